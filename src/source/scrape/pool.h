/* pool: from target groups to targets. On the control loop: one pool per scrape configuration, fed by its discoverers;
 * relabels, validates, deduplicates, applies target_limit and keep_dropped_targets, and tells the difference to whoever
 * runs them.
 */
#ifndef SOURCE_SCRAPE_POOL_H
#define SOURCE_SCRAPE_POOL_H

#include "base/counter.h"
#include "base/log.h"
#include "loop/loop.h"
#include "source/scrape/scrape_status.h"

/* How a pool hands targets on; each call hands over one reference. */
struct scrape_target_consumer {
    void (*add)(struct scrape_target_consumer *self, struct scrape_target *t);
    /* The same identity with another configuration, interval or limit state. */
    void (*update)(struct scrape_target_consumer *self, struct scrape_target *t);
    void (*remove)(struct scrape_target_consumer *self, uint64_t identity, uint32_t lane);
};

struct scrape_pool;

struct scrape_pool_options {
    uint64_t offset_seed;       /* FNV-1a-64 of host name and external labels */
    int64_t reload_interval_ms; /* --scrape.discovery-reload-interval: 5 s; the first update goes through at once */
    struct log *log;
    struct counters *counters;
    /* Told of what discovery found and no target can be made of, and why, at each sync. NULL: it is logged only. */
    void (*malformed)(void *ctx, struct str what, struct str why);
    void *malformed_ctx;
};

/* n_discoverers: how many will feed it, each through its own consumer. */
struct scrape_pool *scrape_pool_new(struct loop *loop, struct plan *plan, const struct plan_scrape *config,
                                    const struct scrape_pool_options *o, uint32_t n_discoverers,
                                    struct scrape_target_consumer *consumer);
struct target_consumer *scrape_pool_input(struct scrape_pool *p, uint32_t discoverer);
/* A reload: same pool, new configuration; targets that stay the same keep their identity. The discoverers may differ in
 * number: the inputs of before are void, and until each new one has reported, its old groups stay. */
void scrape_pool_update(struct scrape_pool *p, struct plan *plan, const struct plan_scrape *config,
                        uint32_t n_discoverers);
void scrape_pool_free(struct scrape_pool *p); /* removes its targets */

struct str scrape_pool_name(const struct scrape_pool *p);
uint32_t scrape_pool_targets(const struct scrape_pool *p, struct scrape_target *const **out); /* borrowed array */
uint32_t scrape_pool_dropped(const struct scrape_pool *p, const struct scrape_dropped **out, uint64_t *total);

#endif

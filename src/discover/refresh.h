/* refresh: the frame of every discoverer that asks somebody again and again (Prometheus discovery/refresh): the first
 * time at once, then each interval; what fails keeps the last good state, is counted and logged. Control loop.
 *
 * In the struct of the discoverer, which fills in `about` and nothing else. `begin` starts one refresh, which ends with
 * exactly one of the three, from inside or later; there is never more than one under way.
 */
#ifndef DISCOVER_REFRESH_H
#define DISCOVER_REFRESH_H

#include "discover/discoverer.h"

struct refresh;
typedef void(refresh_fn)(struct refresh *r);

/* What is the same in all discoverers of a kind; static. */
struct refresh_kind {
    const char *mechanism;
    refresh_fn *begin;
    void (*stop)(struct discoverer *self); /* calls refresh_stop, and frees the discoverer */
};

enum { REFRESH_COUNTERS = 6 };

struct refresh {
    struct discoverer base;
    struct buf about;        /* what is asked, for pages */
    struct discover_env env; /* a copy; its config is this object's own */
    struct plan *plan;       /* a reference: configurations point into it */
    struct target_consumer *consumer;
    const char *mechanism;
    char *config;
    refresh_fn *begin;
    struct counter *own[REFRESH_COUNTERS];
    uint32_t n_own;
    uint64_t interval_ms, began_ms, began_ns;
    bool busy;
    struct timer timer;

    struct counter *failures, *duration_sum, *duration_count; /* among the own */
    struct counter_histogram *duration;
    struct discover_status status;
    struct diag error;          /* of the last refresh */
    uint64_t logged, logged_ms; /* hash of the error that was logged last, and when; 0: none since all was well */
    uint32_t unlogged;
};

/* Begins from a timer: never from inside. r is zeroed. Gives &r->base. */
struct discoverer *refresh_start(struct refresh *r, const struct refresh_kind *kind, const struct discover_env *env,
                                 struct plan *plan, int64_t interval_ms, struct target_consumer *consumer);
/* One more count by mechanism and configuration, until refresh_stop. */
struct counter *refresh_counter(struct refresh *r, enum counter_kind kind, const char *name, const char *help);
/* Reports g, which goes to the consumer. */
void refresh_done(struct refresh *r, struct target_groups *g);
/* Reports g, in which what could not be asked this time is as it was before, and counts a failure. After a reload, when
 * this object does not know yet what was before, but the consumer does, g is not reported at the first two times. With
 * d NULL or empty nothing was amiss: as refresh_done. */
void refresh_partly(struct refresh *r, struct target_groups *g, const struct diag *d);
/* Keeps what was reported last. */
void refresh_failed(struct refresh *r, const struct diag *d);
/* Nothing is called any more; gives everything back but the struct. */
void refresh_stop(struct refresh *r);

#endif

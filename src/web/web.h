/* web: what people and health checks ask: endpoints of the original, the status page, metrics. On the control loop.
 *
 * web/ knows how things look, not where they are: run/ hands it a snapshot, gathered from the workers by message, as
 * often as it asks. No outside asset; every page is rendered on the server and works without script.
 */
#ifndef WEB_WEB_H
#define WEB_WEB_H

#include "base/counter.h"
#include "discover/discover_status.h"
#include "base/log.h"
#include "loop/loop.h"
#include "plan/plan.h"
#include "sink/sink_status.h"
#include "source/push_status.h"
#include "source/scrape/scrape_status.h"
#include "spool/spool_status.h"

struct web_pool {
    struct str name;
    uint32_t pipeline;                   /* pools of one name differ in this */
    const struct scrape_status *targets; /* sorted by URL */
    uint32_t n_targets;
    struct discover_status *discoverers;
    uint32_t n_discoverers;
    const struct scrape_dropped *dropped; /* as many as keep_dropped_targets keeps */
    uint32_t n_dropped;
    uint64_t dropped_total;
};

struct web_sink {
    struct str name, url; /* url without credentials, or words where there is none */
    const char *kind;     /* "remote write", "CloudWatch Logs", "CloudWatch metrics" */
    uint32_t pipelines;   /* bit per pipeline that it gets; 0: all */
    bool no_batches;      /* it gets none: what comes from listeners only */
    struct spool_ledger ledger;
    struct sink_status status; /* of all workers together */
    enum spool_mode mode;
    struct str directory;
    struct spool_ledger lanes[SPOOL_LANES];
};

struct web_worker {
    uint64_t targets, metrics, intern_bytes, scopes;
    uint64_t lag_ns; /* from our question to its turn */
};

/* One moment. Freed by web_snapshot_free. */
struct web_snapshot {
    struct arena arenas[18];
    struct plan *plan;
    struct web_pool *pools;
    uint32_t n_pools;
    struct web_sink *sinks;
    uint32_t n_sinks;
    struct push_status *push; /* listeners */
    uint32_t n_push;
    struct discover_status *discovery; /* of the plan, beside those of the jobs; NULL: none */
    uint32_t workers;
    struct web_worker *threads; /* one a worker */
    uint64_t series;            /* interned metrics */
    int64_t taken_ms;
    void (*release)(struct web_snapshot *s); /* set by whoever made it */
};
void web_snapshot_free(struct web_snapshot *s); /* NULL is allowed */

struct web_flag {
    struct str name, value;
};

struct web_options {
    struct str *addresses; /* --web.listen-address, several; none: no port is opened */
    uint32_t n_addresses;
    struct str unix_socket; /* "unix:PATH", for us and root alone; cannot be had: a warning. Empty: none */
    struct str route_prefix, external_url, page_title, cors_origin;
    bool enable_lifecycle, agent; /* --agent */
    const char *data_directory;   /* of the spools, to be shown */
    uint32_t max_connections, read_timeout_s;
    const char *config_file;      /* --web.config.file; empty or NULL: none. Not for the Unix socket */
    const struct web_flag *flags; /* /api/v1/status/flags; outlive the web */
    uint32_t n_flags;
    int64_t start_ms;
    struct log *log;
    struct counters *counters;

    void *ctx; /* given to all of these, on the control loop */
    /* families: with those of each target, which costs more. */
    void (*snapshot)(void *ctx, bool families, void (*done)(void *done_ctx, struct web_snapshot *s), void *done_ctx);
    enum err (*reload)(void *ctx, struct diag *d);
    void (*quit)(void *ctx);
    bool (*ready)(void *ctx);
    bool (*last_reload)(void *ctx, int64_t *at_ms); /* was it good, and when */
};

struct web;
/* ERR_NET when an address cannot be listened on, with the address and the reason. */
enum err web_new(struct loop *loop, const struct web_options *o, struct web **out, struct diag *d) MUST_USE;
void web_free(struct web *w);
int web_port(const struct web *w); /* of the first address */

#endif

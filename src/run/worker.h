/* worker: one thread with its loop, and everything that lives on it: the intern table, scopes, connections, the scraper
 * of its lanes' targets, and its half of every sink. Workers share nothing; the control loop talks to them by message.
 *
 * With one CPU there is one worker and it has no thread: its loop is the control loop. The messages are the same.
 */
#ifndef RUN_WORKER_H
#define RUN_WORKER_H

#include "base/counter.h"
#include "base/log.h"
#include "loop/loop.h"
#include "sink/cloudwatch/cloudwatch.h"
#include "sink/remote_write/remote_write.h"
#include "source/scrape/scraper.h"

struct worker;

struct worker_options {
    uint32_t index, n_workers;
    struct loop *control;
    bool own_thread;
    struct log *log;
    struct counters *counters;
    bool adjust_timestamps;
    int64_t timestamp_tolerance_ms;
    uint32_t max_connecting, max_slow; /* net/http_client.h */
    /* On the control loop: a destination refused its signatures, and not for the clock. At most once in some seconds.
     */
    void (*sink_refused)(void *ctx, int slot);
    void *sink_refused_ctx;
};

struct worker *worker_new(const struct worker_options *o);
/* After worker_stop's done: joins the thread. */
void worker_free(struct worker *w);

/* ---- from the control loop; each is a message, in order ---- */

void worker_target_add(struct worker *w, struct scrape_target *t);    /* takes the reference */
void worker_target_update(struct worker *w, struct scrape_target *t); /* takes the reference */
void worker_target_remove(struct worker *w, uint64_t identity);

/* A destination joins, or is the same under a new plan. */
struct worker_sink {
    int slot; /* 0 .. SCOPE_SLOTS-1, the same on every worker */
    struct spool *spool;
    struct plan *plan; /* a reference is taken */
    /* One of the two, in that plan. */
    const struct plan_remote_write *remote_write;
    const struct plan_cloudwatch *cloudwatch;
    enum compression compression;       /* of remote write */
    struct remote_write_shared *shared; /* the same */
    struct aws *aws;                    /* of CloudWatch */
};
/* CloudWatch is told at once, and needs a worker without a thread of its own: AWS is called on the control loop. */
void worker_sink_set(struct worker *w, const struct worker_sink *sink);
/* NULL: there is none in this slot, or it could not be started. Of a worker without a thread of its own. */
struct cloudwatch *worker_cloudwatch(const struct worker *w, int slot);
/* What its requests are signed with from now on (plan_remote_write.sigv4), for which region. Takes a reference; NULL:
 * nothing, for the reason given. */
struct aws_credentials;
void worker_sink_credentials(struct worker *w, int slot, struct aws_credentials *c, struct str region,
                             const struct diag *why);
/* Closes it; done(ctx) on the control loop when its lanes are closed. */
void worker_sink_remove(struct worker *w, int slot, void (*done)(void *ctx), void *ctx);

/* Where failed scrapes are written from now on; takes the reference. */
struct failure_logs;
void worker_failure_logs(struct worker *w, struct failure_logs *logs);

/* Memory is short: memory_level (run/memory.h). */
void worker_pressure(struct worker *w, int level);

/* What a worker knows at this moment; arena memory of the reply, which the receiver owns. */
struct worker_snapshot {
    struct arena arena;
    struct scrape_status *targets;
    uint32_t n_targets;
    struct sink_status sinks[SCOPE_SLOTS];
    bool has_sink[SCOPE_SLOTS];
    uint64_t series, intern_bytes, scopes;
    uint64_t lag_ns; /* from the question to its turn on the worker's loop */
};
typedef void(worker_snapshot_fn)(void *ctx, uint32_t worker, struct worker_snapshot *s);
/* families: with those of each target. */
void worker_snapshot(struct worker *w, bool families, worker_snapshot_fn *fn, void *ctx);

/* The families that this worker's targets expose. */
struct worker_families {
    struct arena arena;
    struct family *v;
    uint32_t n;
};
typedef void(worker_families_fn)(void *ctx, struct worker_families *f);
void worker_families(struct worker *w, worker_families_fn *fn, void *ctx);
/* Sends them as metadata; `f` is handed over. */
void worker_send_metadata(struct worker *w, int slot, struct worker_families *f);

/* No scrape starts any more; destinations go on. */
void worker_stop_scraping(struct worker *w);
/* Ends scraping, seals, sends what waits until everything is delivered, `deadline_ns` (monotonic) has come, or, with
 * leave_durable, only destinations that fail anyway are left; then closes the lanes. done(ctx) on the control loop. */
struct worker_stop {
    uint64_t deadline_ns;
    bool leave_durable;
    void (*done)(void *ctx);
    void *ctx;
};
void worker_stop(struct worker *w, const struct worker_stop *o);
/* While it stops: do not wait for destinations any longer. */
void worker_hurry(struct worker *w);

#endif

/* program: the running plan. Owns the control loop's side of everything: discoverers, scrape pools, sinks with their
 * spools, workers, web; connects them, replaces the plan by difference, and stops in good order.
 *
 * Everything here is for the control loop's thread.
 */
#ifndef RUN_PROGRAM_H
#define RUN_PROGRAM_H

#include "base/counter.h"
#include "base/log.h"
#include "loop/loop.h"
#include "plan/plan.h"
#include "web/web.h"
#include "wire/compress.h"

struct program;

struct program_options {
    struct log *log;
    struct counters *counters;
    uint32_t workers; /* 0: from the task metadata, the control group, the CPUs */
    bool single_loop; /* one worker, on the control loop: plans with CloudWatch or push sources need it */

    const char *data_directory; /* of the spools; NULL with spool_memory */
    bool data_named;            /* the user named it: failing to write there is an error, not a fallback */
    const char *data_flag;      /* by which flag, for messages: "--spool.path" */
    bool spool_memory;          /* --spool=memory */
    uint64_t spool_max_bytes, spool_memory_bytes;
    int64_t spool_max_age_ms;

    enum compression compression;  /* --remote-write.compression: COMPRESS_SNAPPY or COMPRESS_ZSTD */
    uint64_t memory_ceiling_bytes; /* --memory.ceiling; 0: nine tenths of the control group's limit, UINT64_MAX: none */

    bool adjust_timestamps;
    int64_t timestamp_tolerance_ms, discovery_reload_ms;
    int64_t flush_deadline_ms; /* --storage.remote.flush-deadline */
    int64_t summary_ms;        /* how often the ledgers are logged; 0: at the end only */

    struct web_options web; /* without the functions: the program fills them in */
    /* Reads the configuration again; control loop. */
    enum err (*load)(void *ctx, struct plan **out, struct diag *d);
    void *load_ctx;
    /* The end of program_stop, right before loop_stop: the owner closes what it has opened on the loop. */
    void (*stopped)(void *ctx);
    void *stopped_ctx;
};

/* Starts everything on the loop; takes a reference to the plan. On failure nothing is left: `stopped` was called, and
 * the loop has ended. */
enum err program_start(struct loop *loop, const struct program_options *o, struct plan *plan, struct program **out,
                       struct diag *d) MUST_USE;
/* A new plan through options.load; on failure the running one stays. */
enum err program_reload(struct program *p, struct diag *d) MUST_USE;
/* Once: ends in loop_stop. A second call makes it hurry: what waits stays on disk. */
void program_stop(struct program *p, const char *reason);
void program_free(struct program *p); /* after loop_run returned */

#endif

/* program_int: the parts of a running program, shared by the files of run/. Control loop only. */
#ifndef RUN_PROGRAM_INT_H
#define RUN_PROGRAM_INT_H

#include "discover/discoverer.h"
#include "run/machine.h"
#include "run/memory.h"
#include "run/program.h"
#include "run/worker.h"
#include "source/push_status.h"
#include "source/scrape/pool.h"

/* One scrape configuration: its pool and what feeds it. Known by its pipeline and job. */
struct program_pool {
    struct program *p;
    uint32_t pipeline;
    struct scrape_pool *pool;
    struct discoverer **discoverers;
    uint32_t n_discoverers;
    bool seen; /* during a reload */
};

/* One destination: the spool, and its number in the workers. Known across reloads by its key: of remote write the name
 * that the user gave, else the hash of the URL; of CloudWatch its name and the hash of region, role and endpoint. */
struct program_sink {
    struct program *p;
    int slot; /* -1: this place is free */
    char *key, *directory;
    struct spool *spool;
    const char *kind; /* for people: "remote write", "CloudWatch Logs", "CloudWatch metrics" */
    struct str name;  /* in the current plan, as are these: one of the two */
    const struct plan_remote_write *remote_write;
    const struct plan_cloudwatch *cloudwatch;
    enum spool_mode mode;
    struct remote_write_shared shared;
    uint32_t closing; /* workers that have yet to say that it is closed there */
    bool seen;
};

struct program {
    struct loop *loop;
    struct program_options o;
    struct plan *plan;
    struct io_thread *io;
    struct spool_budget budget;
    enum spool_mode mode; /* of all spools: memory when asked for, or when the default directory cannot be written */

    struct worker *workers[LANES];
    uint32_t n_workers;
    struct program_aws *aws;             /* aws.c; NULL before it is needed */
    struct program_discovery *discovery; /* discovery.c; NULL before the first pools, and when they are gone */
    struct program_pool **pools;
    uint32_t n_pools;
    struct program_sink sinks[SCOPE_SLOTS];
    struct statsd *statsd;       /* NULL: none. Fed into the destination of kind METRICS */
    struct emf_input *emf_input; /* the same of kind LOGS */
    struct cloudwatch *statsd_to, *emf_input_to;
    struct discoverer *ecs_agent;    /* NULL: none */
    struct target_feed *ecs_feed;    /* what it finds, in the place of its result file */
    struct timer summary, lingering; /* lingering: scraping has ended, receivers are still open */
    uint64_t stop_deadline_ns, quiet_since_ns, received;
    struct scrape_target_consumer to_workers;
    uint64_t offset_seed;

    struct memory_guard *memory;
    struct failure_logs *failure_logs; /* of the plan; NULL: none */
    struct web *web;
    struct timer metadata;
    uint32_t metadata_pending;
    struct worker_families *families; /* being gathered */

    bool stopping, finishing, hurry, reload_good;
    int64_t reload_at_ms;
    uint32_t workers_left; /* to stop */
    uint32_t gatherings;   /* snapshots being put together: their answers are still on the way */
    struct message last;   /* to ourselves, behind everything that was posted to workers on this loop */
    struct counter *reload_ok, *reload_time;
};

/* pools.c */
void program_pools_apply(struct program *p);
void program_pools_free(struct program *p);
void program_discoverers_stop(struct program *p);
/* One status per discoverer of the pool, with copies of all views in a; for pages. */
uint32_t program_pool_discoverers(const struct program_pool *pool, struct arena *a, struct discover_status **out);

/* discovery.c */
void program_discovery_open(struct program *p);
void program_discovery_close(struct program *p); /* after the discoverers have stopped; the loop runs on for a turn */
/* NULL: of the plan's own discovery, ecs_service_discovery. */
struct discover_env program_discover_env(struct program *p, const struct plan_scrape *config);

/* aws.c */
struct aws *program_aws_open(struct program *p); /* the same one each time */
/* After the workers have been told of the destination: its credentials follow, and go on coming. */
void program_aws_sink(struct program *p, int slot, const struct plan_remote_write *config);
void program_aws_sink_remove(struct program *p, int slot);
void program_aws_refused(void *ctx, int slot); /* worker_options.sink_refused */
void program_aws_close(struct program *p);     /* after discoverers and workers; the loop runs on for a turn */

/* sinks.c */
enum err program_sinks_apply(struct program *p, struct diag *d) MUST_USE;
void program_sinks_close(struct program *p);         /* the spools, after the workers have closed their lanes */
bool program_sinks_closing(const struct program *p); /* removed, and their lanes are still being closed */
void program_maybe_finish(struct program *p);        /* program.c: something that the end waits for is over */
/* Logs one line per sink: read, delivered, waiting, dropped. */
void program_sinks_report(struct program *p, const char *msg);
struct program_sink *program_sink_of_kind(struct program *p, enum cloudwatch_kind kind); /* NULL: there is none */
/* Where it is, for people. */
struct str program_sink_url(const struct program_sink *s, struct arena *a);

/* push.c */
enum err program_push_apply(struct program *p, struct diag *d) MUST_USE; /* after the sinks */
void program_push_close(struct program *p);                              /* what is pending goes to the sinks */
bool program_push_open(const struct program *p);
uint32_t program_push_status(const struct program *p, struct arena *a, struct push_status **out);

/* summary.c */
void program_summary_start(struct program *p);

/* metadata.c */
void program_metadata_start(struct program *p);

/* snapshot.c */
void program_snapshot(void *ctx, bool families, void (*done)(void *done_ctx, struct web_snapshot *s), void *done_ctx);

#endif

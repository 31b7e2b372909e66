/* program: see the header.
 *
 *   program_start   workers -> sinks (spools are opened, lanes with data drain) -> push sources -> pools (discovery,
 *                   scraping)
 *   program_reload  load the new plan; sinks, then pools, are changed by difference; a failure changes nothing
 *   program_stop    readiness off, discovery off -> push sources hand over what is pending (in a container they wait
 *                   for what comes last) -> workers scrape no more, seal, drain, close their lanes
 *                   -> spools closed, one line per sink -> I/O thread, web, workers freed -> loop_stop
 *
 * A plan is kept by whoever still refers to it (targets, sinks, pages) and freed with its last user.
 */
#include "run/program.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/units.h"
#include "base/mem.h"
#include "run/program_int.h"
#include "source/scrape/failure_log.h"

enum { IO_THREAD_PATIENCE_MS = 5000, MAX_CONNECTING = 256, LINGER_POLL_MS = 100 };

/* At the end: how long nothing may have come until receivers are closed, and what is left for draining then. */
#define QUIET_NS      1000000000ull
#define LAST_DRAIN_NS 3000000000ull

/* ---- targets go to the worker of their lane ---- */

static struct worker *lane_worker(struct program *p, uint32_t lane)
{
    return p->workers[lane % p->n_workers];
}

static void on_target_add(struct scrape_target_consumer *self, struct scrape_target *t)
{
    struct program *p = CONTAINER_OF(self, struct program, to_workers);
    worker_target_add(lane_worker(p, t->lane), t);
}

static void on_target_update(struct scrape_target_consumer *self, struct scrape_target *t)
{
    struct program *p = CONTAINER_OF(self, struct program, to_workers);
    worker_target_update(lane_worker(p, t->lane), t);
}

static void on_target_remove(struct scrape_target_consumer *self, uint64_t identity, uint32_t lane)
{
    struct program *p = CONTAINER_OF(self, struct program, to_workers);
    worker_target_remove(lane_worker(p, lane), identity);
}

/* Stable over restarts, different for each replica: the host's name and the external labels. */
static uint64_t offset_seed(const struct plan *plan)
{
    char host[256] = "";
    AUTO_BUF text = {0};

    gethostname(host, sizeof(host) - 1);
    buf_c(&text, host);
    labels_print(plan->external_labels, &text);
    return hash_fnv1a64(buf_view(&text), HASH_FNV1A64_INIT);
}

/* ---- start ---- */

static uint32_t count_workers(const struct program_options *o)
{
    uint32_t n = o->single_loop ? 1 : o->workers;

    if (n == 0) {
        const char *uri = getenv("ECS_CONTAINER_METADATA_URI_V4");
        double cpus = 0;
        uint64_t memory = 0;
        n = machine_cpus("");
        if (uri && machine_ask_task(uri, &cpus, &memory) && cpus > 0 && cpus < n)
            n = cpus < 1 ? 1 : (uint32_t)(cpus + 0.999);
    }
    return n > LANES ? LANES : n;
}

static void set_budget(struct program *p)
{
    uint64_t limit = machine_memory_limit("");
    uint64_t memory = p->o.spool_memory_bytes;

    if (limit && memory > limit / 4)
        memory = limit / 4;
    p->budget.max_bytes = p->o.spool_max_bytes;
    p->budget.max_memory_bytes = memory;
    p->budget.max_age_ms = p->o.spool_max_age_ms;
    p->mode = p->o.spool_memory ? SPOOL_MEMORY : SPOOL_DISK;
    if (p->mode == SPOOL_MEMORY)
        log_warn(p->o.log, "--spool=memory: samples wait in memory only",
                 F_C("next", "what waits when the process ends is lost and counted in the last line"));
}

/* Half of the descriptors may wait for addresses that do not answer; the rest is for those that do. */
static uint32_t max_slow(uint32_t n_workers)
{
    uint64_t files = machine_raise_files() / 2 / n_workers;
    return files > 100000 ? 100000 : (uint32_t)files;
}

static void start_workers(struct program *p)
{
    p->n_workers = count_workers(&p->o);
    for (uint32_t i = 0; i < p->n_workers; i++) {
        struct worker_options o = {
            .index = i,
            .n_workers = p->n_workers,
            .control = p->loop,
            .own_thread = p->n_workers > 1,
            .log = p->o.log,
            .counters = p->o.counters,
            .adjust_timestamps = p->o.adjust_timestamps,
            .timestamp_tolerance_ms = p->o.timestamp_tolerance_ms,
            .max_connecting = MAX_CONNECTING,
            .max_slow = max_slow(p->n_workers),
            .sink_refused = program_aws_refused,
            .sink_refused_ctx = p,
        };
        p->workers[i] = worker_new(&o);
    }
}

static enum err on_web_reload(void *ctx, struct diag *d)
{
    return program_reload(ctx, d);
}

static void on_web_quit(void *ctx)
{
    program_stop(ctx, "Received termination request via web service, exiting gracefully...");
}

/* With a discovery of its own the program is ready when that has found out anything. */
static bool is_ready(void *ctx)
{
    struct program *p = ctx;
    struct discover_status status = {.last_refresh_ms = 1};

    if (p->ecs_agent)
        p->ecs_agent->status(p->ecs_agent, &status);
    return !p->stopping && status.last_refresh_ms > 0;
}

static bool last_reload(void *ctx, int64_t *at_ms)
{
    struct program *p = ctx;
    *at_ms = p->reload_at_ms;
    return p->reload_good;
}

static enum err start_web(struct program *p, struct diag *d)
{
    struct web_options o = p->o.web;

    o.ctx = p;
    o.snapshot = program_snapshot;
    o.reload = on_web_reload;
    o.quit = on_web_quit;
    o.ready = is_ready;
    o.last_reload = last_reload;
    return web_new(p->loop, &o, &p->web, d);
}

static void note_reload(struct program *p, bool good)
{
    p->reload_good = good;
    p->reload_at_ms = clock_wall_ms();
    counter_set(p->reload_ok, good);
    if (good)
        counter_set_f64(p->reload_time, (double)p->reload_at_ms / 1000);
}

static void warn_of_plan(struct program *p)
{
    for (uint32_t i = 0; i < p->plan->n_warnings; i++)
        log_warn(p->o.log, p->plan->warnings[i].p);
    bool only_finds = p->plan->ecs_agent && p->plan->n_scrapes == 0;
    if (p->plan->n_remote_writes + p->plan->n_cloudwatch == 0 && !only_finds)
        log_warn(p->o.log, "no destination is configured: targets are scraped, and nothing is delivered");
}

/* An existing write-ahead log of the original in the same directory is nobody's to touch. */
static void warn_of_wal(struct program *p)
{
    char path[4096];

    if (!p->o.data_directory)
        return;
    snprintf(path, sizeof(path), "%s/wal", p->o.data_directory);
    if (access(path, F_OK) == 0)
        log_warn(p->o.log, "a Prometheus write-ahead log is in the data directory: it is left alone", F_C("path", path),
                 F_C("next", "what it holds unsent is not delivered; remove it when it is not needed"));
}

static void on_memory(void *ctx, enum memory_level level)
{
    struct program *p = ctx;

    atomic_store_explicit(&p->budget.pressed, level >= MEMORY_SPOOL, memory_order_relaxed);
    for (uint32_t i = 0; i < p->n_workers; i++)
        worker_pressure(p->workers[i], level);
}

static void start_memory_guard(struct program *p)
{
    struct memory_guard_options o = {
        .loop = p->loop,
        .log = p->o.log,
        .counters = p->o.counters,
        .ceiling_bytes = p->o.memory_ceiling_bytes,
        .changed = on_memory,
        .ctx = p,
        .root = "",
    };
    p->memory = memory_guard_new(&o);
}

/* The files that the plan's jobs name, to all workers; those of the plan before close with their last user. */
static void use_failure_logs(struct program *p, struct failure_logs *logs)
{
    failure_logs_unref(p->failure_logs);
    p->failure_logs = logs;
    for (uint32_t i = 0; i < p->n_workers; i++)
        worker_failure_logs(p->workers[i], failure_logs_ref(logs));
}

enum err program_start(struct loop *loop, const struct program_options *o, struct plan *plan, struct program **out,
                       struct diag *d)
{
    struct program *p = NEW(struct program);

    p->loop = loop;
    p->o = *o;
    p->plan = plan_ref(plan);
    p->to_workers = (struct scrape_target_consumer){on_target_add, on_target_update, on_target_remove};
    p->offset_seed = offset_seed(plan);
    p->io = io_thread_new();
    for (int i = 0; i < SCOPE_SLOTS; i++)
        p->sinks[i].slot = -1;
    p->reload_ok = counter_new(o->counters, COUNTER_GAUGE, "prometheus_config_last_reload_successful",
                               "Whether the last configuration reload attempt was successful.", NULL, 0);
    p->reload_time =
        counter_new(o->counters, COUNTER_GAUGE_F64, "prometheus_config_last_reload_success_timestamp_seconds",
                    "Timestamp of the last successful configuration reload.", NULL, 0);
    set_budget(p);
    warn_of_wal(p);
    enum err err = start_web(p, d);
    if (err)
        goto fail_web;
    start_workers(p);
    struct failure_logs *logs;
    err = failure_logs_open(plan, &logs, d);
    if (err)
        goto fail_sinks;
    use_failure_logs(p, logs);
    err = program_sinks_apply(p, d);
    if (err)
        goto fail_sinks;
    err = program_push_apply(p, d);
    if (err)
        goto fail_sinks;
    program_pools_apply(p);
    program_metadata_start(p);
    program_summary_start(p);
    if (p->o.memory_ceiling_bytes != UINT64_MAX)
        start_memory_guard(p);
    note_reload(p, true);
    warn_of_plan(p);
    *out = p;
    return OK;

fail_sinks:
    p->hurry = true;
    program_stop(p, NULL);
    loop_run(loop);
    program_free(p);
    return err;
fail_web:
    io_thread_free(p->io, IO_THREAD_PATIENCE_MS);
    o->stopped(o->stopped_ctx);
    loop_stop(loop);
    loop_run(loop);
    program_free(p);
    return err;
}

/* ---- reload ---- */

enum err program_reload(struct program *p, struct diag *d)
{
    struct plan *next = NULL, *before = p->plan;
    struct failure_logs *logs = NULL;
    struct diag push = {0};

    if (p->stopping)
        return diag_set(d, ERR_CANCELED, "stopping");
    enum err err = p->o.load(p->o.load_ctx, &next, d);
    if (!err)
        err = failure_logs_open(next, &logs, d);
    if (!err) {
        p->plan = next;
        err = program_sinks_apply(p, d);
        if (err)
            p->plan = before;
    }
    if (err) {
        char text[800];
        diag_format(d, text, sizeof(text));
        failure_logs_unref(logs);
        if (next)
            plan_unref(next);
        note_reload(p, false);
        log_error(p->o.log, "Error reloading config", F_C("err", text),
                  F_C("next", "the running configuration stays in force"));
        return err;
    }
    use_failure_logs(p, logs);
    if (program_push_apply(p, &push))
        log_error(p->o.log, "a listener cannot be changed", F_C("err", push.text),
                  F_C("next", "it stays as it was; the rest of the new configuration is in force"));
    program_pools_apply(p);
    program_metadata_start(p);
    plan_unref(before);
    note_reload(p, true);
    warn_of_plan(p);
    log_info(p->o.log, "Completed loading of configuration file");
    return OK;
}

/* ---- stop ---- */

static void finish_stop(struct message *m)
{
    struct program *p = CONTAINER_OF(m, struct program, last);

    program_sinks_report(p, "stopped");
    program_sinks_close(p);
    if (!io_thread_free(p->io, IO_THREAD_PATIENCE_MS))
        log_error(p->o.log, "the disk does not answer: leaving with writes under way");
    for (uint32_t i = 0; i < p->n_workers; i++)
        worker_free(p->workers[i]);
    program_aws_close(p);
    if (p->web)
        web_free(p->web);
    p->o.stopped(p->o.stopped_ctx);
    loop_stop(p->loop);
}

/* A destination that was removed just before is closed first: its lanes are the workers' too. Pools tell the workers
 * that their targets go; a worker on this loop hears it before the message to ourselves comes round, and is freed after
 * it. */
void program_maybe_finish(struct program *p)
{
    if (!p->stopping || p->finishing || p->workers_left || p->gatherings || program_sinks_closing(p))
        return;
    p->finishing = true;
    program_pools_free(p);
    p->last.deliver = finish_stop;
    loop_post(p->loop, &p->last);
}

static void on_worker_stopped(void *ctx)
{
    struct program *p = ctx;

    p->workers_left--;
    program_maybe_finish(p);
}

/* In a container ECS kills after stopTimeout; outside one the original's flush deadline holds. */
static int64_t stop_deadline_ms(const struct program *p)
{
    const char *own = getenv("LEADLINE_STOP_TIMEOUT");
    int64_t cap = 25000, ms = p->o.flush_deadline_ms;

    if (own && units_parse_duration(str_c(own), &cap, NULL))
        cap = 25000;
    if (own || (machine_in_container() && ms > cap))
        ms = cap;
    return p->hurry ? 0 : ms;
}

static void end_workers(struct program *p)
{
    struct worker_stop stop = {
        .deadline_ns = p->stop_deadline_ns,
        .leave_durable = p->mode == SPOOL_DISK && !machine_in_container(),
        .done = on_worker_stopped,
        .ctx = p,
    };

    timer_stop(&p->lingering);
    program_push_close(p);
    for (uint32_t i = 0; i < p->n_workers; i++)
        worker_stop(p->workers[i], &stop);
}

/* Whether what depends on us may still send something. */
static bool may_still_come(struct program *p)
{
    struct arena a = {0};
    struct push_status *v;
    uint64_t received = 0, now_ns = clock_mono_ns();
    bool connected = false;
    uint32_t n = program_push_status(p, &a, &v);

    for (uint32_t i = 0; i < n; i++) {
        received += v[i].received + v[i].dropped;
        connected = connected || v[i].connections > 0;
    }
    arena_release(&a);
    if (received != p->received || !p->quiet_since_ns)
        p->quiet_since_ns = now_ns;
    p->received = received;
    return (connected || now_ns - p->quiet_since_ns < QUIET_NS) && now_ns + LAST_DRAIN_NS < p->stop_deadline_ns;
}

static void linger(struct program *p);

static void on_lingering(struct timer *t)
{
    linger(CONTAINER_OF(t, struct program, lingering));
}

static void linger(struct program *p)
{
    if (may_still_come(p))
        timer_start(p->loop, &p->lingering, LINGER_POLL_MS, on_lingering);
    else
        end_workers(p);
}

static void hurry(struct program *p)
{
    if (timer_armed(&p->lingering)) {
        p->stop_deadline_ns = 0;
        end_workers(p);
        return;
    }
    for (uint32_t i = 0; i < p->n_workers && p->workers_left; i++)
        worker_hurry(p->workers[i]);
}

void program_stop(struct program *p, const char *reason)
{
    if (p->stopping) {
        hurry(p);
        return;
    }
    p->stopping = true;
    if (reason)
        log_info(p->o.log, reason);
    timer_stop(&p->metadata);
    timer_stop(&p->summary);
    memory_guard_free(p->memory);
    program_discoverers_stop(p);
    p->stop_deadline_ns = clock_mono_ns() + (uint64_t)stop_deadline_ms(p) * 1000000;
    p->workers_left = p->n_workers;
    if (!program_push_open(p) || p->hurry || !machine_in_container()) {
        end_workers(p);
        return;
    }
    for (uint32_t i = 0; i < p->n_workers; i++)
        worker_stop_scraping(p->workers[i]);
    linger(p);
}

void program_free(struct program *p)
{
    if (p->families)
        free(p->families);
    failure_logs_unref(p->failure_logs);
    plan_unref(p->plan);
    free(p);
}

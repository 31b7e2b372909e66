/* worker: see the header. The control side posts `struct order`s; each runs once on the worker's thread and frees
 * itself or travels back as the reply.
 *
 *   control loop                         worker loop
 *   worker_snapshot() -- order --------> run: fill the snapshot
 *                      <------- order -- deliver back: fn(ctx, snapshot)
 *
 * Stopping is a small sequence on the worker: scraper_stop -> every sink drains -> every sink closes -> the reply. The
 * rest (tables, client, loop) is freed on the worker's own thread after that, when worker_free asks.
 *
 * Interned metrics that nobody refers to are swept from a timer, between scrapes.
 */
#include "run/worker.h"

#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "aws/signer.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/thread.h"
#include "base/version.h"

enum { SWEEP_MS = 5000, DRAIN_POLL_MS = 100 };

/* What signs for a destination. One per service name that it has had: requests under way keep theirs. */
struct slot_signer {
    struct slot_signer *next;
    struct worker *w;
    int slot;
    char *service;
    struct aws_signer *aws;
};

struct sink_slot {
    struct sink *sink; /* NULL: none. One of the two below */
    struct remote_write *rw;
    struct cloudwatch *cw;
    struct slot_signer *signers; /* freed when the destination is closed */
    bool drained;
};

struct worker {
    struct worker_options o;
    struct loop *loop;
    pthread_t thread;
    struct http_client *http;
    struct intern *intern;
    struct scope_table *scopes;
    struct scraper *scraper;
    struct sink_slot sinks[SCOPE_SLOTS];
    struct batch_consumer *consumers[SCOPE_SLOTS];
    struct timer sweep, drain;
    struct counter *series, *intern_bytes;

    struct worker_stop stop;
    bool stopping;
    uint32_t closing; /* sinks that have not said closed */
};

/* ---- orders: how the control loop talks to the worker ---- */

struct order {
    struct message message;
    struct worker *w;
    void (*run)(struct order *o);
    union {
        struct scrape_target *target;
        struct failure_logs *failure_logs;
        uint64_t identity;
        int level, slot;
        struct worker_sink sink;
        struct {
            int slot;
            void (*done)(void *ctx);
            void *ctx;
        } remove;
        struct {
            worker_snapshot_fn *fn;
            void *ctx;
            struct worker_snapshot *s;
            bool families;
            uint64_t asked_ns;
        } snapshot;
        struct {
            worker_families_fn *fn;
            void *ctx;
            struct worker_families *f;
            int slot;
        } families;
        struct {
            int slot;
            struct aws_credentials *c;
            char *region;
            struct diag why;
        } credentials;
        struct worker_stop stop;
    };
};

static void order_deliver(struct message *m)
{
    struct order *o = CONTAINER_OF(m, struct order, message);
    o->run(o);
}

static struct order *order_new(struct worker *w, void (*run)(struct order *o))
{
    struct order *o = NEW(struct order);
    o->message.deliver = order_deliver;
    o->w = w;
    o->run = run;
    return o;
}

static void order_post(struct order *o)
{
    loop_post(o->w->loop, &o->message);
}

/* The same order travels back and runs `run` on the control loop. */
static void order_reply(struct order *o, void (*run)(struct order *o))
{
    o->run = run;
    loop_post(o->w->o.control, &o->message);
}

/* ---- targets ---- */

static void run_add(struct order *o)
{
    if (!o->w->scraper) {
        scrape_target_unref(o->target);
        free(o);
        return;
    }
    scraper_add(o->w->scraper, o->target);
    free(o);
}

static void run_update(struct order *o)
{
    if (!o->w->scraper) {
        scrape_target_unref(o->target);
        free(o);
        return;
    }
    scraper_update(o->w->scraper, o->target);
    free(o);
}

static void run_remove(struct order *o)
{
    if (o->w->scraper)
        scraper_remove(o->w->scraper, o->identity);
    free(o);
}

void worker_target_add(struct worker *w, struct scrape_target *t)
{
    struct order *o = order_new(w, run_add);
    o->target = t;
    order_post(o);
}

void worker_target_update(struct worker *w, struct scrape_target *t)
{
    struct order *o = order_new(w, run_update);
    o->target = t;
    order_post(o);
}

void worker_target_remove(struct worker *w, uint64_t identity)
{
    struct order *o = order_new(w, run_remove);
    o->identity = identity;
    order_post(o);
}

/* ---- sinks ---- */

static void tell_scraper(struct worker *w)
{
    uint32_t n = 0;

    for (int i = 0; i < SCOPE_SLOTS; i++) {
        struct sink *s = w->sinks[i].sink;
        struct batch_consumer *c = s ? s->ops->consumer(s) : NULL;
        if (c)
            w->consumers[n++] = c;
    }
    scraper_consumers(w->scraper, w->consumers, n);
}

static void run_refused(struct order *o)
{
    o->w->o.sink_refused(o->w->o.sink_refused_ctx, o->slot);
    free(o);
}

static void on_refused(void *ctx)
{
    struct slot_signer *s = ctx;
    struct order *o = order_new(s->w, run_refused);

    o->slot = s->slot;
    loop_post(s->w->o.control, &o->message);
}

static struct slot_signer *signer_of(struct worker *w, const struct worker_sink *sink)
{
    struct sink_slot *slot = &w->sinks[sink->slot];
    struct aws_signer_options options = {.service = sink->remote_write->sigv4->service,
                                         .destination = sink->remote_write->name,
                                         .log = w->o.log,
                                         .refused = w->o.sink_refused ? on_refused : NULL};

    for (struct slot_signer *s = slot->signers; s; s = s->next)
        if (str_eq_c(options.service, s->service))
            return s;
    struct slot_signer *s = NEW(struct slot_signer);
    *s = (struct slot_signer){.next = slot->signers, .w = w, .slot = sink->slot, .service = str_to_c(options.service)};
    options.ctx = s;
    s->aws = aws_signer_new(&options);
    slot->signers = s;
    return s;
}

static void free_signers(struct sink_slot *slot)
{
    for (struct slot_signer *s = slot->signers, *next; s; s = next) {
        next = s->next;
        aws_signer_free(s->aws);
        free(s->service);
        free(s);
    }
    slot->signers = NULL;
}

static void run_credentials(struct order *o)
{
    for (struct slot_signer *s = o->w->sinks[o->credentials.slot].signers; s; s = s->next)
        aws_signer_set(s->aws, o->credentials.c, str_c(o->credentials.region), &o->credentials.why);
    aws_credentials_unref(o->credentials.c);
    free(o->credentials.region);
    free(o);
}

void worker_sink_credentials(struct worker *w, int slot, struct aws_credentials *c, struct str region,
                             const struct diag *why)
{
    struct order *o = order_new(w, run_credentials);

    o->credentials.slot = slot;
    o->credentials.c = c ? aws_credentials_ref(c) : NULL;
    o->credentials.region = str_to_c(region);
    if (why)
        o->credentials.why = *why;
    order_post(o);
}

static enum err set_remote_write(struct worker *w, const struct worker_sink *sink, struct diag *d)
{
    struct sink_slot *slot = &w->sinks[sink->slot];
    struct remote_write_signing signing = {0};

    if (sink->remote_write->sigv4)
        signing = (struct remote_write_signing){aws_signer_http(signer_of(w, sink)->aws), aws_signer_refused};
    if (slot->rw) {
        remote_write_update(slot->rw, sink->plan, sink->remote_write, &signing);
        return OK;
    }
    struct remote_write_options options = {
        .loop = w->loop,
        .http = w->http,
        .intern = w->intern,
        .scopes = w->scopes,
        .slot = sink->slot,
        .spool = sink->spool,
        .worker = w->o.index,
        .n_workers = w->o.n_workers,
        .plan = sink->plan,
        .config = sink->remote_write,
        .compression = sink->compression,
        .signing = signing,
        .shared = sink->shared,
        .log = w->o.log,
        .counters = w->o.counters,
    };
    enum err err = remote_write_new(&options, &slot->rw, d);
    if (!err)
        slot->sink = remote_write_sink(slot->rw);
    return err;
}

static enum err set_cloudwatch(struct worker *w, const struct worker_sink *sink, struct diag *d)
{
    struct sink_slot *slot = &w->sinks[sink->slot];

    if (slot->cw) {
        cloudwatch_update(slot->cw, sink->plan, sink->cloudwatch);
        return OK;
    }
    struct cloudwatch_options options = {
        .loop = w->loop,
        .aws = sink->aws,
        .intern = w->intern,
        .scopes = w->scopes,
        .slot = sink->slot,
        .spool = sink->spool,
        .plan = sink->plan,
        .config = sink->cloudwatch,
        .log = w->o.log,
        .counters = w->o.counters,
    };
    enum err err = cloudwatch_new(&options, &slot->cw, d);
    if (!err)
        slot->sink = cloudwatch_sink(slot->cw);
    return err;
}

static void run_sink_set(struct order *o)
{
    struct worker *w = o->w;
    const struct worker_sink *sink = &o->sink;
    struct str name = sink->cloudwatch ? sink->cloudwatch->name : sink->remote_write->name;
    struct diag d = {0};

    if (sink->cloudwatch ? set_cloudwatch(w, sink, &d) : set_remote_write(w, sink, &d))
        log_error(w->o.log, "destination cannot be started", F_STR("remote_name", name), F_C("err", d.text),
                  F_C("next", "it receives nothing until the next reload"));
    w->sinks[sink->slot].drained = false;
    tell_scraper(w);
    plan_unref(sink->plan);
    free(o);
}

void worker_sink_set(struct worker *w, const struct worker_sink *sink)
{
    struct order *o = order_new(w, run_sink_set);

    o->sink = *sink;
    plan_ref(sink->plan);
    CHECK(!sink->cloudwatch || !w->o.own_thread);
    if (sink->cloudwatch)
        run_sink_set(o);
    else
        order_post(o);
}

struct cloudwatch *worker_cloudwatch(const struct worker *w, int slot)
{
    CHECK(!w->o.own_thread);
    return w->sinks[slot].cw;
}

static void reply_removed(struct order *o)
{
    o->remove.done(o->remove.ctx);
    free(o);
}

static void on_removed(void *ctx)
{
    struct order *o = ctx;

    free_signers(&o->w->sinks[o->remove.slot]);
    order_reply(o, reply_removed);
}

/* Out of the slot, to be closed. */
static struct sink *take_sink(struct sink_slot *slot)
{
    struct sink *sink = slot->sink;

    slot->sink = NULL;
    slot->rw = NULL;
    slot->cw = NULL;
    return sink;
}

static void run_sink_remove(struct order *o)
{
    struct sink *sink = take_sink(&o->w->sinks[o->remove.slot]);

    tell_scraper(o->w);
    if (sink)
        sink->ops->close(sink, on_removed, o);
    else
        on_removed(o);
}

void worker_sink_remove(struct worker *w, int slot, void (*done)(void *ctx), void *ctx)
{
    struct order *o = order_new(w, run_sink_remove);
    o->remove.slot = slot;
    o->remove.done = done;
    o->remove.ctx = ctx;
    order_post(o);
}

/* ---- questions ---- */

static void reply_snapshot(struct order *o)
{
    o->snapshot.fn(o->snapshot.ctx, o->w->o.index, o->snapshot.s);
    free(o);
}

static void run_snapshot(struct order *o)
{
    struct worker *w = o->w;
    struct worker_snapshot *s = NEW(struct worker_snapshot);

    s->lag_ns = clock_mono_ns() - o->snapshot.asked_ns;
    if (w->scraper) /* gone once the worker has stopped */
        s->n_targets = scraper_status(w->scraper, &s->arena, &s->targets);
    if (w->scraper && o->snapshot.families)
        scraper_status_families(w->scraper, &s->arena, s->targets, s->n_targets);
    for (int i = 0; i < SCOPE_SLOTS; i++) {
        const struct sink *sink = w->sinks[i].sink;
        s->has_sink[i] = sink != NULL;
        if (sink)
            sink->ops->status(sink, &s->arena, &s->sinks[i]);
    }
    s->series = intern_count(w->intern);
    s->intern_bytes = intern_bytes(w->intern);
    s->scopes = scope_count(w->scopes);
    o->snapshot.s = s;
    order_reply(o, reply_snapshot);
}

void worker_snapshot(struct worker *w, bool families, worker_snapshot_fn *fn, void *ctx)
{
    struct order *o = order_new(w, run_snapshot);
    o->snapshot.families = families;
    o->snapshot.asked_ns = clock_mono_ns();
    o->snapshot.fn = fn;
    o->snapshot.ctx = ctx;
    order_post(o);
}

static void reply_families(struct order *o)
{
    o->families.fn(o->families.ctx, o->families.f);
    free(o);
}

static void run_families(struct order *o)
{
    struct worker_families *f = NEW(struct worker_families);

    if (o->w->scraper)
        f->n = scraper_families(o->w->scraper, &f->arena, &f->v);
    o->families.f = f;
    order_reply(o, reply_families);
}

void worker_families(struct worker *w, worker_families_fn *fn, void *ctx)
{
    struct order *o = order_new(w, run_families);
    o->families.fn = fn;
    o->families.ctx = ctx;
    order_post(o);
}

static void run_metadata(struct order *o)
{
    struct worker_families *f = o->families.f;
    struct remote_write *rw = o->w->sinks[o->families.slot].rw;

    if (rw && !o->w->stopping)
        remote_write_metadata(rw, f->v, f->n);
    arena_release(&f->arena);
    free(f);
    free(o);
}

void worker_send_metadata(struct worker *w, int slot, struct worker_families *f)
{
    struct order *o = order_new(w, run_metadata);
    o->families.slot = slot;
    o->families.f = f;
    order_post(o);
}

/* ---- stopping ---- */

static void reply_stopped(struct order *o)
{
    o->w->stop.done(o->w->stop.ctx);
    free(o);
}

static void finish_stop(struct worker *w)
{
    timer_stop(&w->sweep);
    scraper_free(w->scraper);
    w->scraper = NULL;
    struct order *o = order_new(w, reply_stopped);
    loop_post(w->o.control, &o->message);
}

static void on_sink_closed(void *ctx)
{
    struct worker *w = ctx;

    if (--w->closing == 0)
        finish_stop(w);
}

static void close_sinks(struct worker *w)
{
    timer_stop(&w->drain);
    w->closing = 1; /* held while the loop below runs: a sink may close at once */
    for (int i = 0; i < SCOPE_SLOTS; i++) {
        struct sink *sink = take_sink(&w->sinks[i]);
        if (!sink)
            continue;
        w->closing++;
        sink->ops->close(sink, on_sink_closed, w);
    }
    on_sink_closed(w);
}

/* Failing: its last word was an error, and nothing is on the way. */
static bool is_failing(const struct sink *sink)
{
    struct arena a = {0};
    struct sink_status st = {0};

    sink->ops->status(sink, &a, &st);
    arena_release(&a);
    return st.last_error_ms > st.last_success_ms && st.backing_off > 0 && st.in_flight == 0;
}

static void on_drain_poll(struct timer *t)
{
    struct worker *w = CONTAINER_OF(t, struct worker, drain);
    bool wait = false;

    for (int i = 0; i < SCOPE_SLOTS && clock_mono_ns() < w->stop.deadline_ns; i++)
        if (w->sinks[i].sink && !w->sinks[i].drained && !(w->stop.leave_durable && is_failing(w->sinks[i].sink)))
            wait = true;
    if (wait)
        timer_start(w->loop, &w->drain, DRAIN_POLL_MS, on_drain_poll);
    else
        close_sinks(w);
}

static void on_drained(void *ctx)
{
    struct sink_slot *slot = ctx;
    slot->drained = true;
}

static void run_stop_scraping(struct order *o)
{
    if (o->w->scraper)
        scraper_stop(o->w->scraper);
    free(o);
}

void worker_stop_scraping(struct worker *w)
{
    order_post(order_new(w, run_stop_scraping));
}

static void run_stop(struct order *o)
{
    struct worker *w = o->w;

    w->stop = o->stop;
    w->stopping = true;
    free(o);
    scraper_stop(w->scraper);
    for (int i = 0; i < SCOPE_SLOTS; i++) {
        struct sink *sink = w->sinks[i].sink;
        if (sink)
            sink->ops->drain(sink, on_drained, &w->sinks[i]);
    }
    timer_start(w->loop, &w->drain, 1, on_drain_poll);
}

void worker_stop(struct worker *w, const struct worker_stop *stop)
{
    struct order *o = order_new(w, run_stop);
    o->stop = *stop;
    order_post(o);
}

static void run_hurry(struct order *o)
{
    o->w->stop.deadline_ns = 0;
    free(o);
}

void worker_hurry(struct worker *w)
{
    order_post(order_new(w, run_hurry));
}

/* ---- files of failed scrapes ---- */

static void run_failure_logs(struct order *o)
{
    scraper_failure_logs(o->w->scraper, o->failure_logs);
    free(o);
}

void worker_failure_logs(struct worker *w, struct failure_logs *logs)
{
    struct order *o = order_new(w, run_failure_logs);
    o->failure_logs = logs;
    order_post(o);
}

/* ---- memory ---- */

static void run_pressure(struct order *o)
{
    scraper_set_pressure(o->w->scraper, o->level);
    free(o);
}

void worker_pressure(struct worker *w, int level)
{
    struct order *o = order_new(w, run_pressure);
    o->level = level;
    order_post(o);
}

/* ---- life ---- */

static void on_sweep(struct timer *t)
{
    struct worker *w = CONTAINER_OF(t, struct worker, sweep);

    if (intern_wants_sweep(w->intern)) {
        intern_sweep(w->intern);
        malloc_trim(0); /* what the swept series' targets and pages leave behind goes back to the system */
    }
    counter_set(w->series, intern_count(w->intern));
    counter_set(w->intern_bytes, intern_bytes(w->intern));
    timer_start(w->loop, &w->sweep, SWEEP_MS, on_sweep);
}

static void set_up(struct worker *w)
{
    struct http_client_limits limits = {
        .max_connecting = w->o.max_connecting, .max_slow = w->o.max_slow, .user_agent = LEADLINE_USER_AGENT};

    w->http = http_client_new(w->loop, w->o.log, &limits);
    w->intern = intern_new();
    w->scopes = scope_table_new();
    struct scraper_options so = {
        .loop = w->loop,
        .http = w->http,
        .intern = w->intern,
        .scopes = w->scopes,
        .log = w->o.log,
        .counters = w->o.counters,
        .adjust_timestamps = w->o.adjust_timestamps,
        .timestamp_tolerance_ms = w->o.timestamp_tolerance_ms,
        .max_body = (size_t)1 << 30,
    };
    w->scraper = scraper_new(&so);
    w->series = counter_new(w->o.counters, COUNTER_GAUGE, "leadline_metrics_interned",
                            "Metrics known to the workers, each counted once per worker.", NULL, 0);
    w->intern_bytes =
        counter_new(w->o.counters, COUNTER_GAUGE, "leadline_intern_bytes", "Memory of the interned metrics.", NULL, 0);
    timer_start(w->loop, &w->sweep, SWEEP_MS, on_sweep);
}

static void tear_down(struct worker *w)
{
    for (int i = 0; i < SCOPE_SLOTS; i++)
        free_signers(&w->sinks[i]);
    http_client_free(w->http);
    scope_table_free(w->scopes);
    intern_free(w->intern);
}

static void *thread_main(void *arg)
{
    struct worker *w = arg;

    set_up(w);
    loop_run(w->loop);
    return NULL;
}

struct worker *worker_new(const struct worker_options *o)
{
    struct worker *w = NEW(struct worker);
    char name[16];

    w->o = *o;
    if (!o->own_thread) {
        w->loop = o->control;
        set_up(w);
        return w;
    }
    snprintf(name, sizeof(name), "worker-%u", o->index);
    w->loop = loop_new(name);
    thread_start(&w->thread, name, thread_main, w);
    return w;
}

static void run_end(struct order *o)
{
    struct worker *w = o->w;

    free(o);
    tear_down(w);
    loop_stop(w->loop);
}

void worker_free(struct worker *w)
{
    if (!w->o.own_thread) {
        tear_down(w);
        free(w);
        return;
    }
    order_post(order_new(w, run_end));
    CHECK(pthread_join(w->thread, NULL) == 0);
    loop_free(w->loop);
    free(w);
}

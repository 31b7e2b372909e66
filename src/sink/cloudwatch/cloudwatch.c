/* cloudwatch: the life of one destination: lanes, reload, draining, closing.
 *
 *   emf, log events, data -> cw_commit -> open batch of a lane -> spool -> requests (send.c) -> AWS
 *
 * A lane is opened when its first record comes, or at the start when the spool has data for it, and stays open until
 * close. The state of counters (and of whose each lane is) is opened before the lanes and closed after them, since both
 * are of one spool.
 *
 * A reload (cloudwatch_update) exchanges the plan below a running destination; region, role and endpoint are the same,
 * or it would be another destination. What is in flight goes on.
 *
 * Draining is an ordinary run with batches sealed at once, and whoever waits after a failure tries again at once, since
 * there may be little time and the reason may have passed; it ends when no lane has anything that waits. Closing ends
 * calls without waiting for their answers (the requests stay in the spool, marked as perhaps sent), hands the lanes'
 * bytes over, and frees everything when the last lane has been closed. Both ends are told from a timer, never from
 * below a call of the owner.
 *
 * On the control loop.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "sink/cloudwatch/cloudwatch_int.h"

static struct cloudwatch *of_sink(const struct sink *s)
{
    return CONTAINER_OF((struct sink *)s, struct cloudwatch, sink);
}

uint64_t cw_random(struct cloudwatch *c)
{
    c->random ^= c->random << 13;
    c->random ^= c->random >> 7;
    c->random ^= c->random << 17;
    return c->random;
}

/* ---- draining ---- */

static bool nothing_waits(const struct cloudwatch *c)
{
    for (uint32_t i = 0; i < SPOOL_LANES; i++) {
        if (c->lanes[i] && (c->lanes[i]->request || c->lanes[i]->pending))
            return false;
    }
    return true;
}

static void drain_over(struct timer *t)
{
    struct cloudwatch *c = CONTAINER_OF(t, struct cloudwatch, drain_timer);
    if (!c->drained || c->closing || !nothing_waits(c))
        return;
    void (*drained)(void *ctx) = c->drained;
    c->drained = NULL;
    drained(c->drained_ctx);
}

static void check_drained(struct cloudwatch *c)
{
    if (c->drained && !c->closing && nothing_waits(c) && !timer_armed(&c->drain_timer))
        timer_start(c->loop, &c->drain_timer, 0, drain_over);
}

void cw_lane_changed(struct cw_lane *l)
{
    struct spool_ledger ledger = {0};
    spool_lane_ledger(l->spool, &ledger);
    l->pending = ledger.waiting + ledger.requests_waiting; /* a request may have no samples */
    check_drained(l->c);
}

static void drain(struct sink *s, void (*drained)(void *ctx), void *ctx)
{
    struct cloudwatch *c = of_sink(s);
    c->drained = drained;
    c->drained_ctx = ctx;
    for (uint32_t i = 0; i < SPOOL_LANES; i++) {
        if (c->lanes[i]) {
            spool_lane_seal(c->lanes[i]->spool);
            cw_lane_changed(c->lanes[i]);
            cw_lane_wake(c->lanes[i]);
            cw_lane_hurry(c->lanes[i]);
        }
    }
    check_drained(c);
}

/* ---- closing ---- */

static void cloudwatch_free(struct cloudwatch *c)
{
    timer_stop(&c->drain_timer);
    timer_stop(&c->close_timer);
    if (c->emf)
        emf_free(c->emf);
    if (c->folds)
        fold_state_close(c->folds);
    if (c->session)
        aws_session_release(c->session);
    compressor_release(&c->compressor);
    cw_counters_release(c);
    buf_release(&c->last_error);
    buf_release(&c->input_text);
    free(c->input_records);
    plan_unref(c->plan);
    free(c);
}

static void all_closed(struct timer *t)
{
    struct cloudwatch *c = CONTAINER_OF(t, struct cloudwatch, close_timer);
    void (*closed)(void *ctx) = c->closed;
    void *ctx = c->closed_ctx;
    cloudwatch_free(c);
    if (closed)
        closed(ctx);
}

static void lane_closed(void *ctx)
{
    struct cw_lane *l = ctx;
    struct cloudwatch *c = l->c;
    c->lanes[l->number] = NULL;
    cw_lane_free(l);
    if (--c->closing_lanes == 0)
        timer_start(c->loop, &c->close_timer, 0, all_closed);
}

static void close_sink(struct sink *s, void (*closed)(void *ctx), void *ctx)
{
    struct cloudwatch *c = of_sink(s);
    CHECK(!c->closing);
    c->closing = true;
    c->closed = closed;
    c->closed_ctx = ctx;
    timer_stop(&c->drain_timer);
    c->closing_lanes = 1; /* ours, until all of them were told */
    for (uint32_t i = 0; i < SPOOL_LANES; i++) {
        if (c->lanes[i]) {
            c->closing_lanes++;
            cw_lane_stop(c->lanes[i]);
            spool_lane_close(c->lanes[i]->spool, lane_closed, c->lanes[i]);
        }
    }
    if (--c->closing_lanes == 0)
        timer_start(c->loop, &c->close_timer, 0, all_closed);
}

/* ---- status ---- */

static void status(const struct sink *s, struct arena *a, struct sink_status *out)
{
    const struct cloudwatch *c = of_sink(s);
    *out = (struct sink_status){
        .in_flight = c->in_flight,
        .last_http_status = c->last_status,
        .last_error = str_dup(a, buf_view(&c->last_error)),
        .last_success_ms = c->last_success_ms,
        .last_error_ms = c->last_error_ms,
    };
    for (uint32_t i = 0; i < SPOOL_LANES; i++)
        out->backing_off += c->lanes[i] && c->lanes[i]->state == CW_BACKING_OFF;
}

static struct batch_consumer *consumer(struct sink *s)
{
    return cloudwatch_batches(of_sink(s));
}

static const struct sink_ops ops = {
    .consumer = consumer,
    .drain = drain,
    .close = close_sink,
    .status = status,
};

/* ---- opening ---- */

void cloudwatch_spool_options(const struct plan_cloudwatch *config, struct spool_options *o)
{
    bool logs = config->kind == CLOUDWATCH_LOGS;
    int64_t flush = config->flush_ms;
    o->compression = COMPRESS_NONE;
    o->sealer = cloudwatch_sealer(config->kind);
    o->protocol = logs ? CLOUDWATCH_PROTOCOL_LOGS : CLOUDWATCH_PROTOCOL_METRICS;
    o->max_samples = UINT32_MAX; /* events and data are counted here, and many samples may make one */
    o->max_raw_bytes = CW_RAW_MAX;
    o->seal_after_ms = flush < 0 ? 0 : flush > UINT32_MAX ? UINT32_MAX : (uint32_t)flush;
}

static enum err open_lanes_with_data(struct cloudwatch *c, struct diag *d)
{
    for (uint32_t i = 0; i < SPOOL_LANES; i++) {
        if (!spool_lane_has_data(c->spool, i))
            continue;
        enum err err = cw_lane_open(c, i, d);
        if (err)
            return err;
        cw_lane_wake(c->lanes[i]);
    }
    return OK;
}

static enum err start(struct cloudwatch *c, const struct cloudwatch_options *o, struct diag *d)
{
    struct aws_config aws = o->config->aws;
    aws.dual_stack |= o->config->dual_stack;
    enum err err = aws_session_get(o->aws, &aws, &c->session, d);
    if (err)
        return err;
    err = fold_state_open(o->spool, o->loop, &c->folds, d);
    if (err)
        return err;
    cw_owners_load(c);
    if (o->config->emf)
        c->emf = emf_new(c, o);
    return open_lanes_with_data(c, d);
}

enum err cloudwatch_new(const struct cloudwatch_options *o, struct cloudwatch **out, struct diag *d)
{
    struct cloudwatch *c = NEW(struct cloudwatch);
    c->options = *o;
    c->sink.ops = &ops;
    c->events.append = cw_append_events;
    c->data.append = cw_append_data;
    c->loop = o->loop;
    c->aws = o->aws;
    c->spool = o->spool;
    c->log = o->log;
    c->set = o->counters;
    c->plan = plan_ref(o->plan);
    c->config = o->config;
    c->random = (clock_mono_ns() ^ (uint64_t)(uintptr_t)c) | 1;
    c->longest_wait_ms = CW_LONGEST_WAIT_MS;
    cw_counters_init(c);
    enum err err = start(c, o, d);
    if (err) {
        close_sink(&c->sink, NULL, NULL);
        return err;
    }
    *out = c;
    return OK;
}

struct fold_state *cw_folds(struct cloudwatch *c)
{
    return c->folds;
}

struct sink *cloudwatch_sink(struct cloudwatch *c)
{
    return &c->sink;
}

struct batch_consumer *cloudwatch_batches(struct cloudwatch *c)
{
    return c->emf ? emf_consumer(c->emf) : NULL;
}

struct log_event_consumer *cloudwatch_log_events(struct cloudwatch *c)
{
    return c->config->kind == CLOUDWATCH_LOGS ? &c->events : NULL;
}

struct datum_consumer *cloudwatch_data(struct cloudwatch *c)
{
    return c->config->kind == CLOUDWATCH_METRICS ? &c->data : NULL;
}

void cloudwatch_update(struct cloudwatch *c, struct plan *plan, const struct plan_cloudwatch *config)
{
    struct plan *old = c->plan;
    CHECK(config->kind == c->config->kind);
    c->plan = plan_ref(plan);
    c->config = config;
    c->options.plan = plan;
    c->options.config = config;
    if (c->emf && config->emf) {
        emf_update(c->emf, plan, config);
    } else if (c->emf) {
        emf_free(c->emf);
        c->emf = NULL;
    } else if (config->emf) {
        c->emf = emf_new(c, &c->options);
    }
    plan_unref(old);
}

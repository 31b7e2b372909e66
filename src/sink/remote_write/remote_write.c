/* remote_write: the life of one destination on one worker: lanes, reload, draining, closing.
 *
 *   append (encode.c) -> open batch of a lane -> spool -> requests of that lane (send.c) -> destination
 *
 * A lane is opened when its first batch comes, or at the start when the spool has data for it, and stays open until
 * close. Requests of an earlier process are sent before anything new of their lane, since lanes are queues.
 *
 * A reload (remote_write_update) exchanges the plan below a running destination. What is in flight finishes with the
 * options that it began with: a lane holds the plan that its peer's options lie in, and changes both before its next
 * request. Prepared forms are forgotten only if external labels or the rules differ; series go on without markers.
 * What a destination turned out not to take, 2.0 or zstd, is tried again.
 *
 * Draining is an ordinary run with batches sealed at once; it has an end when every lane's ledger says that nothing
 * waits. Closing ends requests without waiting for their answers (they stay in the spool), hands the lanes' bytes
 * over, and frees everything when the last lane has been closed. Both ends are told from a timer, never from below
 * a call of the owner.
 *
 * On the worker's thread.
 */
#include "base/clock.h"
#include "base/mem.h"
#include "sink/remote_write/remote_write_int.h"

#include <stdlib.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "doubles are written as they lie in memory");

/* ---- small things ------------------------------------------------------------------------------------------------ */

uint64_t remote_write_random(struct remote_write *rw)
{
    rw->random ^= rw->random << 13;
    rw->random ^= rw->random >> 7;
    rw->random ^= rw->random << 17;
    return rw->random;
}

/* The URL with a password masked, as Go's URL.Redacted prints it. */
static void print_url(struct str url, struct buf *out)
{
    struct http_url parts;
    struct str user, password;
    if (http_url_parse(url, &parts, NULL) != OK || !str_cut(parts.userinfo, ':', &user, &password)) {
        buf_str(out, url);
        return;
    }
    buf_append(out, url.p, (size_t)(password.p - url.p));
    buf_c(out, "xxxxx");
    buf_append(out, password.p + password.n, url.n - (size_t)(password.p + password.n - url.p));
}

/* This worker's part of max_shards: all of its lanes when there are enough for all. */
static uint32_t share_of_shards(const struct remote_write *rw)
{
    uint32_t max = rw->config->queue.max_shards;
    if (max == 0 || max > LANES)
        max = LANES;
    uint32_t share = max * (rw->worker + 1) / rw->n_workers - max * rw->worker / rw->n_workers;
    uint32_t lanes = (LANES + rw->n_workers - 1 - rw->worker) / rw->n_workers;
    if (max == LANES || share > lanes)
        return lanes;
    return share ? share : 1;
}

enum err remote_write_peer(struct remote_write *rw, struct http_peer **out, struct diag *d)
{
    enum err err = http_peer_new(rw->http, rw->config->url, &rw->config->http, out, d);
    if (!err && rw->signing.signer)
        http_peer_sign(*out, rw->signing.signer);
    return err;
}

/* ---- protocol ---------------------------------------------------------------------------------------------------- */

/* Forms are forgotten: labels, rules or protocol changed. */
static void reset_forms(struct remote_write *rw)
{
    struct symbols *symbols = rw->protocol == REMOTE_WRITE_PROTOCOL_2 ? &rw->two.symbols : NULL;
    blocks_release(&rw->two.blocks);
    forms_reset(&rw->forms, rw->plan->external_labels, rw->config->write_relabel, symbols);
    if (symbols)
        encoder2_start(&rw->two, rw->intern);
}

void remote_write_speak(struct remote_write *rw, uint32_t protocol, enum compression compression)
{
    bool other = protocol != rw->protocol;
    rw->protocol = protocol;
    rw->compression = compression;
    for (uint32_t i = 0; i < LANES; i++) {
        if (rw->lanes[i])
            spool_lane_set_encoding(rw->lanes[i]->spool, protocol, compression);
    }
    if (other)
        reset_forms(rw);
}

/* ---- lanes ------------------------------------------------------------------------------------------------------- */

static void lane_ready(void *ctx)
{
    lane_wake(ctx);
}

static void lane_free(struct lane *l)
{
    buf_release(&l->answer);
    buf_release(&l->raw);
    buf_release(&l->cut);
    free(l);
}

static enum err lane_open(struct remote_write *rw, uint32_t number, struct diag *d)
{
    struct lane *l = NEW(struct lane);
    l->rw = rw;
    l->number = number;
    enum err err = spool_lane_open(rw->spool, number, rw->loop, lane_ready, l, &l->spool, d);
    if (err) {
        lane_free(l);
        return err;
    }
    rw->lanes[number] = l;
    spool_lane_set_encoding(l->spool, rw->protocol, rw->compression);
    remote_write_lane_changed(l);
    return OK;
}

struct lane *remote_write_lane(struct remote_write *rw, uint32_t number)
{
    CHECK(number < LANES && number % rw->n_workers == rw->worker);
    if (rw->lanes[number] || rw->closing)
        return rw->closing ? NULL : rw->lanes[number];
    struct diag d = {0};
    uint32_t suppressed;
    if (lane_open(rw, number, &d) != OK && log_allow(&rw->log_other, LOG_PERIOD_MS, &suppressed))
        log_error(rw->log, "Cannot open a lane of the spool; its samples are lost",
                  F_STR("remote_name", rw->config->name), F_INT("lane", number), F_C("err", d.text),
                  F_INT("suppressed", suppressed));
    return rw->lanes[number];
}

/* ---- draining ---------------------------------------------------------------------------------------------------- */

static bool nothing_waits(const struct remote_write *rw)
{
    for (uint32_t i = 0; i < LANES; i++) {
        if (rw->lanes[i] && (rw->lanes[i]->request || rw->lanes[i]->pending))
            return false;
    }
    return true;
}

static void drain_over(struct timer *t)
{
    struct remote_write *rw = CONTAINER_OF(t, struct remote_write, drain_timer);
    if (!rw->drained || rw->closing || !nothing_waits(rw))
        return;
    void (*drained)(void *ctx) = rw->drained;
    rw->drained = NULL;
    drained(rw->drained_ctx);
}

static void check_drained(struct remote_write *rw)
{
    if (rw->drained && !rw->closing && nothing_waits(rw) && !timer_armed(&rw->drain_timer))
        timer_start(rw->loop, &rw->drain_timer, 0, drain_over);
}

void remote_write_lane_changed(struct lane *l)
{
    struct remote_write *rw = l->rw;
    struct spool_ledger ledger = {0};
    spool_lane_ledger(l->spool, &ledger);
    counter_add(rw->count.pending, ledger.waiting - l->pending); /* a gauge: wraps as it should */
    l->pending = ledger.waiting;
    check_drained(rw);
}

void remote_write_drain(struct remote_write *rw, void (*drained)(void *ctx), void *ctx)
{
    rw->draining = true;
    rw->drained = drained;
    rw->drained_ctx = ctx;
    for (uint32_t i = 0; i < LANES; i++) {
        if (rw->lanes[i]) {
            spool_lane_seal(rw->lanes[i]->spool);
            remote_write_lane_changed(rw->lanes[i]);
            lane_wake(rw->lanes[i]);
        }
    }
    check_drained(rw);
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

static void remote_write_free(struct remote_write *rw)
{
    timer_stop(&rw->drain_timer);
    timer_stop(&rw->close_timer);
    metadata_free(rw->metadata);
    forms_release(&rw->forms);
    encoder2_stop(&rw->two);
    compressor_release(&rw->compressor);
    remote_write_counters_release(rw);
    buf_release(&rw->url);
    buf_release(&rw->last_error);
    plan_unref(rw->plan);
    free(rw);
}

static void all_closed(struct timer *t)
{
    struct remote_write *rw = CONTAINER_OF(t, struct remote_write, close_timer);
    void (*closed)(void *ctx) = rw->closed;
    void *ctx = rw->closed_ctx;
    remote_write_free(rw);
    if (closed)
        closed(ctx);
}

static void lane_closed(void *ctx)
{
    struct lane *l = ctx;
    struct remote_write *rw = l->rw;
    rw->lanes[l->number] = NULL;
    lane_free(l);
    if (--rw->closing_lanes == 0)
        timer_start(rw->loop, &rw->close_timer, 0, all_closed);
}

void remote_write_close(struct remote_write *rw, void (*closed)(void *ctx), void *ctx)
{
    CHECK(!rw->closing);
    rw->closing = true;
    rw->closed = closed;
    rw->closed_ctx = ctx;
    timer_stop(&rw->drain_timer);
    metadata_free(rw->metadata);
    rw->metadata = NULL;
    rw->closing_lanes = 1; /* ours, until all of them were told */
    for (uint32_t i = 0; i < LANES; i++) {
        if (rw->lanes[i]) {
            rw->closing_lanes++;
            lane_stop(rw->lanes[i]);
            spool_lane_close(rw->lanes[i]->spool, lane_closed, rw->lanes[i]);
        }
    }
    if (--rw->closing_lanes == 0)
        timer_start(rw->loop, &rw->close_timer, 0, all_closed);
}

static enum err open_lanes_with_data(struct remote_write *rw, struct diag *d)
{
    for (uint32_t i = rw->worker; i < LANES; i += rw->n_workers) {
        if (!spool_lane_has_data(rw->spool, i))
            continue;
        enum err err = lane_open(rw, i, d);
        if (err)
            return err;
        lane_wake(rw->lanes[i]);
    }
    return OK;
}

/* ---- as any destination ------------------------------------------------------------------------------------------ */

static struct remote_write *of_sink(const struct sink *s)
{
    return (struct remote_write *)CONTAINER_OF(s, struct remote_write, sink);
}

static struct batch_consumer *sink_consumer(struct sink *s)
{
    return remote_write_consumer(of_sink(s));
}

static void sink_drain(struct sink *s, void (*drained)(void *ctx), void *ctx)
{
    remote_write_drain(of_sink(s), drained, ctx);
}

static void sink_close(struct sink *s, void (*closed)(void *ctx), void *ctx)
{
    remote_write_close(of_sink(s), closed, ctx);
}

static void sink_status(const struct sink *s, struct arena *a, struct sink_status *out)
{
    remote_write_status(of_sink(s), a, out);
}

static const struct sink_ops sink_ops = {
    .consumer = sink_consumer, .drain = sink_drain, .close = sink_close, .status = sink_status};

struct sink *remote_write_sink(struct remote_write *rw)
{
    return &rw->sink;
}

/* ---- making and changing one ------------------------------------------------------------------------------------- */

static void opening_failed(void *ctx)
{
    (void)ctx;
}

enum err remote_write_new(const struct remote_write_options *o, struct remote_write **out, struct diag *d)
{
    CHECK(o->n_workers > 0 && o->worker < o->n_workers);
    struct http_peer *probe;
    enum err err = http_peer_new(o->http, o->config->url, &o->config->http, &probe, d);
    if (err)
        return err;
    http_peer_free(probe);

    struct remote_write *rw = NEW(struct remote_write);
    rw->sink.ops = &sink_ops;
    rw->consumer = (struct batch_consumer){.pipelines = o->config->pipelines, .append = remote_write_append};
    rw->loop = o->loop;
    rw->http = o->http;
    rw->spool = o->spool;
    rw->log = o->log;
    rw->set = o->counters;
    rw->worker = o->worker;
    rw->n_workers = o->n_workers;
    rw->plan = plan_ref(o->plan);
    rw->config = o->config;
    rw->intern = o->intern;
    rw->protocol = REMOTE_WRITE_PROTOCOL_1;
    rw->compression = rw->wanted_compression = o->compression == COMPRESS_ZSTD ? COMPRESS_ZSTD : COMPRESS_SNAPPY;
    rw->signing = o->signing;
    rw->said = o->shared ? &o->shared->said : NULL;
    rw->random = (clock_mono_ns() ^ (uint64_t)(uintptr_t)rw) | 1;
    rw->max_in_flight = share_of_shards(rw);
    print_url(o->config->url, &rw->url);
    forms_init(&rw->forms, o->intern, o->scopes, o->slot, o->plan->external_labels, o->config->write_relabel);
    remote_write_speak(rw, remote_write_protocol(o->config), rw->compression);
    remote_write_counters_init(rw);
    rw->metadata = metadata_new(rw);
    err = open_lanes_with_data(rw, d);
    if (err) {
        remote_write_close(rw, opening_failed, NULL);
        return err;
    }
    *out = rw;
    return OK;
}

struct batch_consumer *remote_write_consumer(struct remote_write *rw)
{
    return &rw->consumer;
}

void remote_write_update(struct remote_write *rw, struct plan *plan, const struct plan_remote_write *config,
                         const struct remote_write_signing *signing)
{
    struct plan *old = rw->plan;
    bool same_shape = config->shape_hash == rw->config->shape_hash &&
                      labels_eq(plan->external_labels, old->external_labels) &&
                      !config->write_relabel == !rw->config->write_relabel;
    rw->plan = plan_ref(plan);
    rw->config = config;
    rw->consumer.pipelines = config->pipelines;
    rw->signing = signing ? *signing : (struct remote_write_signing){0};
    rw->max_in_flight = share_of_shards(rw);
    forms_rebase(&rw->forms, plan->external_labels, config->write_relabel);
    if (!same_shape)
        reset_forms(rw);
    rw->zstd_taken = false;
    if (rw->said)
        atomic_store(rw->said, 0);
    remote_write_speak(rw, remote_write_protocol(config), rw->wanted_compression);
    remote_write_counters_config(rw);
    plan_unref(old);
    lanes_take_turns(rw);
}

void remote_write_status(const struct remote_write *rw, struct arena *a, struct sink_status *out)
{
    *out = (struct sink_status){
        .in_flight = rw->in_flight,
        .last_http_status = rw->last_status,
        .fell_to_1 = rw->protocol != remote_write_protocol(rw->config),
        .fell_to_snappy = rw->compression != rw->wanted_compression,
        .last_error = str_dup(a, buf_view(&rw->last_error)),
        .last_success_ms = rw->last_success_ms,
        .last_error_ms = rw->last_error_ms,
    };
    for (uint32_t i = 0; i < LANES; i++)
        out->backing_off += rw->lanes[i] && rw->lanes[i]->state == LANE_BACKING_OFF;
}

/* send_world: a destination on a loop of the test's own, in front of a fake spool (or, with SEND_WORLD_REAL_SPOOL,
 * of the real one), with a receiver that does what it is told and remembers what it was sent. Included by one file
 * of a test program.
 */
#ifndef SEND_WORLD_H
#define SEND_WORLD_H

#include <uv.h>

#ifdef SEND_WORLD_REAL_SPOOL
#include "spool/spool.h"
#else
#include "unit/sink/remote_write/fake_spool.h"
#endif
#include "unit/sink/remote_write/message.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "net/http_server.h"
#include "sink/remote_write/remote_write_int.h"

enum { HOLD = -1, MAX_SEEN = 4000 };

struct seen {
    int status; /* as answered */
    uint32_t samples;
    uint64_t at_ms;
    char instance[16], attempt[8]; /* of the first series */
    int64_t first_ts_ms;
    uint32_t protocol;
    bool zstd;
};

/* One request, read. */
struct received {
    struct http_call *call;
    struct decoded *v;
    uint32_t n, n_histograms;
    struct str raw;
    uint32_t protocol;
    bool zstd;
};

struct world;
typedef int(decide_fn)(struct world *w, const struct received *m);

struct world {
    struct loop *loop;
    struct http_client *http;
    struct http_server *server;
    int port;
    struct intern *intern;
    struct scope_table *scopes;
    struct spool *spool;
    struct io_thread *io; /* with the real spool */
    struct spool_budget budget;
    char directory[64];
    struct plan *plan;
    struct plan_remote_write *config;
    enum compression compression;
    struct remote_write_signing signing;
    struct remote_write *rw;
    struct arena arena;

    decide_fn *decide;
    const char *retry_after, *words;
    int statuses[16], n_statuses; /* decide_script: answers in turn, then 204 */
    struct seen seen[MAX_SEEN];
    uint32_t n_seen;
    uint32_t accepted; /* samples in requests that were answered 2xx */
    struct http_call *held[64];
    uint32_t n_held;
    bool drained, closed;
    char bad[16]; /* decide_bad: an instance that is refused */
    int written;  /* answers to 2.0 say so; -1: all of it, -2: nothing about it */
    struct unit_random random;
    struct compressor compressor;
};

static inline struct str label_of(const struct decoded *d, const char *name)
{
    return labels_get(d->labels, str_c(name));
}

static inline int decide_script(struct world *w, const struct received *m)
{
    (void)m;
    return (int)w->n_seen < w->n_statuses ? w->statuses[w->n_seen] : 204;
}

static inline int decide_bad(struct world *w, const struct received *m)
{
    for (uint32_t i = 0; i < m->n; i++) {
        if (str_eq_c(label_of(&m->v[i], "instance"), w->bad))
            return 400;
    }
    return 204;
}

static inline void world_receive(void *ctx, struct http_call *call)
{
    struct world *w = ctx;
    struct arena a = {0};
    AUTO_BUF raw = {0};
    bool two =
        str_eq_c(http_call_header(call, "Content-Type"), "application/x-protobuf;proto=io.prometheus.write.v2.Request");
    bool zstd = str_eq_c(http_call_header(call, "Content-Encoding"), "zstd");
    if (!zstd)
        assert_str_c(http_call_header(call, "Content-Encoding"), "snappy");
    if (!two)
        assert_str_c(http_call_header(call, "Content-Type"), "application/x-protobuf");
    assert_str_c(http_call_header(call, "X-Prometheus-Remote-Write-Version"), two ? "2.0.0" : "0.1.0");
    assert_int_equal(
        compress_decode(&w->compressor, zstd ? COMPRESS_ZSTD : COMPRESS_SNAPPY, http_call_body(call), 4 << 20, &raw),
        OK);

    struct received m = {.call = call,
                         .v = ARENA_ARRAY(&a, struct decoded, 5000),
                         .raw = buf_view(&raw),
                         .protocol = two ? 2 : 1,
                         .zstd = zstd};
    struct message_read r = {.r = proto_read(buf_view(&raw)), .arena = &a};
    bool metadata = raw.n && raw.p[0] == 0x1a;
    while (!metadata && message_next(&r, &m.v[m.n]))
        m.n_histograms += m.v[m.n++].histogram.n > 0;
    assert_true(r.n_symbols > 0 || !two || m.n == 0);
    assert_true(w->n_seen < MAX_SEEN);
    struct seen *s = &w->seen[w->n_seen];
    *s = (struct seen){.samples = m.n,
                       .at_ms = clock_mono_ms(),
                       .first_ts_ms = m.n ? m.v[0].ts_ms : 0,
                       .protocol = m.protocol,
                       .zstd = zstd};
    if (m.n)
        snprintf(s->instance, sizeof(s->instance), "%.*s", STR_ARGS(label_of(&m.v[0], "instance")));
    struct str attempt = http_call_header(call, "Retry-Attempt");
    snprintf(s->attempt, sizeof(s->attempt), "%.*s", STR_ARGS(attempt));
    s->status = w->decide(w, &m);
    w->n_seen++;
    if (s->status / 100 == 2)
        w->accepted += m.n;
    arena_release(&a);
    if (s->status == HOLD) {
        assert_true(w->n_held < COUNT_OF(w->held));
        w->held[w->n_held++] = call;
        return;
    }
    if (two && w->written != -2) {
        char text[16];
        snprintf(text, sizeof(text), "%d", w->written == -1 ? (int)m.n : w->written);
        http_call_header_set(call, "X-Prometheus-Remote-Write-Samples-Written", text);
    }
    if (w->retry_after && s->status / 100 != 2)
        http_call_header_set(call, "Retry-After", w->retry_after);
    http_call_answer(call, s->status, "text/plain", str_c(s->status / 100 == 2 ? "" : w->words));
}

static inline void world_answer_held(struct world *w, int status)
{
    for (uint32_t i = 0; i < w->n_held; i++)
        http_call_answer(w->held[i], status, "text/plain", STR(""));
    w->n_held = 0;
}

static inline void world_listen(struct world *w)
{
    char address[32];
    struct diag d = {0};
    snprintf(address, sizeof(address), "127.0.0.1:%d", w->port);
    struct http_server_options o = {.address = str_c(address), .max_body = 8 << 20};
    if (http_server_new(w->loop, NULL, &o, world_receive, w, &w->server, &d) != OK)
        fail_msg("%s", d.text);
    w->port = http_server_port(w->server);
}

#ifdef SEND_WORLD_REAL_SPOOL
static inline void world_spool_init(struct world *w)
{
    (void)w; /* the test opens it */
}

static inline void world_spool_release(struct world *w)
{
    spool_close(w->spool);
    io_thread_free(w->io, 5000);
}

static inline struct spool_ledger world_ledger(struct world *w)
{
    struct spool_ledger l;
    uint64_t dropped = 0;
    spool_ledger(w->spool, &l);
    for (int i = 0; i < DROP_REASONS; i++)
        dropped += l.dropped[i];
    assert_int_equal(l.read, l.delivered + l.waiting + dropped);
    return l;
}
#else
static inline void world_spool_init(struct world *w)
{
    w->spool = mem_alloc(sizeof(*w->spool));
    fake_spool_init(w->spool);
}

static inline void world_spool_release(struct world *w)
{
    fake_spool_release(w->spool);
    free(w->spool);
}

static inline struct spool_ledger world_ledger(struct world *w)
{
    return fake_ledger(w->spool);
}
#endif

static inline struct plan *world_plan(struct world *w, struct plan_remote_write **config)
{
    struct plan *p = plan_new();
    struct plan_remote_write *c = ARENA_NEW(&p->arena, struct plan_remote_write);
    c->name = STR("test");
    c->url = str_c(arena_printf(&p->arena, "http://user:secret@127.0.0.1:%d/api/v1/write", w->port));
    c->remote_timeout_ms = 5000;
    c->queue = (struct plan_queue){
        .max_shards = 50, .min_shards = 1, .max_samples_per_send = 2000, .min_backoff_ms = 1, .max_backoff_ms = 20};
    c->metadata_send = true;
    c->metadata_max_samples_per_send = 3;
    p->remote_writes = c;
    p->n_remote_writes = 1;
    *config = c;
    return p;
}

/* Everything but the destination: the test changes config or spool first. */
static inline struct world *world_new(void)
{
    static const struct http_client_limits limits = {.max_connecting = 64, .user_agent = "leadline/test"};
    struct world *w = NEW(struct world);
    w->loop = loop_new("test");
    w->http = http_client_new(w->loop, NULL, &limits);
    w->decide = decide_script;
    w->words = "no reason given";
    w->written = -1;
    w->intern = intern_new();
    w->scopes = scope_table_new();
    world_spool_init(w);
    world_listen(w);
    w->plan = world_plan(w, &w->config);
    return w;
}

static inline void world_start(struct world *w)
{
    struct diag d = {0};
    struct remote_write_options o = {.loop = w->loop,
                                     .http = w->http,
                                     .intern = w->intern,
                                     .scopes = w->scopes,
                                     .slot = 5,
                                     .spool = w->spool,
                                     .n_workers = 1,
                                     .compression = w->compression,
                                     .signing = w->signing,
                                     .plan = w->plan,
                                     .config = w->config};
    if (remote_write_new(&o, &w->rw, &d) != OK)
        fail_msg("%s", d.text);
}

static inline void world_nothing(struct timer *t)
{
    (void)t;
}

static inline void world_turn(struct world *w, uint64_t at_most_ms)
{
    struct timer alarm = {0};
    timer_start(w->loop, &alarm, at_most_ms, world_nothing);
    uv_run(loop_uv(w->loop), UV_RUN_ONCE);
    timer_stop(&alarm);
    world_ledger(w); /* balances at any moment */
}

static inline void world_run_for(struct world *w, uint64_t ms)
{
    uint64_t end = clock_mono_ms() + ms;
    while (clock_mono_ms() < end)
        world_turn(w, 5);
}

static inline void world_until(struct world *w, const bool *flag)
{
    uint64_t end = clock_mono_ms() + 20000;
    while (!*flag) {
        world_turn(w, 50);
        assert_true(clock_mono_ms() < end);
    }
}

static inline void world_until_seen(struct world *w, uint32_t n)
{
    uint64_t end = clock_mono_ms() + 20000;
    while (w->n_seen < n) {
        world_turn(w, 50);
        assert_true(clock_mono_ms() < end);
    }
}

static inline void set_flag(void *ctx)
{
    *(bool *)ctx = true;
}

static inline void world_drain(struct world *w)
{
    w->drained = false;
    remote_write_drain(w->rw, set_flag, &w->drained);
    assert_false(w->drained); /* told later, never from below the call */
    world_until(w, &w->drained);
}

static inline void world_close(struct world *w)
{
    w->closed = false;
    remote_write_close(w->rw, set_flag, &w->closed);
    assert_false(w->closed);
    world_until(w, &w->closed);
    w->rw = NULL;
}

static inline void world_free(struct world *w)
{
    if (w->rw)
        world_close(w);
    http_client_free(w->http);
    world_run_for(w, 5);
    world_answer_held(w, 204);
    http_server_free(w->server);
    world_run_for(w, 5);
    plan_unref(w->plan);
    world_spool_release(w);
    scope_table_free(w->scopes);
    intern_free(w->intern);
    compressor_release(&w->compressor);
    arena_release(&w->arena);
    loop_stop(w->loop);
    loop_run(w->loop);
    loop_free(w->loop);
    free(w);
}

/* One scrape of n samples of instance tNUMBER at ts_ms, to a lane. */
static inline void world_scrape(struct world *w, uint32_t lane, int number, int64_t ts_ms, uint32_t n)
{
    struct arena a = {0};
    struct scope *s = scope_get(w->scopes, labels_of(&a, arena_printf(&a, "instance=t%d", number)));
    struct sample *samples = ARENA_ARRAY(&a, struct sample, n);
    for (uint32_t i = 0; i < n; i++) {
        struct labels l = labels_of(&a, arena_printf(&a, "__name__=m%u", i));
        AUTO_BUF raw = {0};
        labels_print(l, &raw);
        uint64_t hash = intern_hash(buf_view(&raw));
        uint32_t id = intern_find(w->intern, hash, buf_view(&raw), s->names);
        if (id == METRIC_NONE)
            id = intern_add(w->intern, hash, buf_view(&raw), s->names, l, 0);
        samples[i] = (struct sample){id, SIDE_NONE, i};
    }
    struct intern_view view = intern_view(w->intern);
    struct batch_run run = {.scope = s, .n = n};
    struct batch b = {
        .ts_ms = ts_ms, .lane = lane, .metrics = &view, .samples = samples, .n_samples = n, .runs = &run, .n_runs = 1};
    struct batch_consumer *c = remote_write_consumer(w->rw);
    c->append(c, &b, NULL, NULL);
    scope_unref(w->scopes, s);
    arena_release(&a);
}

#endif

/* fake_spool: a spool in plain memory that tests can look into and steer. Included by the one file of a test
 * program: it defines the functions of spool/spool.h, so the real ones are not linked.
 *
 * Kept as simple as the contract allows: an open batch, a list of sealed requests, a ledger whose terms are counted
 * where they happen. `delayed` makes peek answer ERR_AGAIN once for each request, as reading from a segment does.
 */
#ifndef FAKE_SPOOL_H
#define FAKE_SPOOL_H

#include "base/clock.h"
#include "base/mem.h"
#include "spool/spool.h"

struct fake_sealed {
    struct spool_request request;
    struct buf body;
    struct spool_border borders[64];
    bool read;
};

struct fake_outcome {
    uint32_t lane;
    uint64_t seq;
    struct spool_outcome outcome;
};

struct spool_lane {
    struct spool *spool;
    uint32_t number;
    struct loop *loop;
    void (*ready)(void *ctx);
    void *ctx;
    struct timer ready_timer, close_timer;
    void (*closed)(void *ctx);
    void *closed_ctx;
    bool open;

    uint8_t *room;
    size_t n; /* bytes of the open batch */
    uint32_t samples;
    struct spool_border borders[64];
    uint32_t n_borders;
    int64_t first_ms, last_ms;

    bool in_group;
    struct fake_sealed *group[256];
    struct spool_counts group_counts;
    uint32_t n_group;

    uint32_t protocol; /* 0: 1 */
    enum compression compression;

    struct fake_sealed *sealed[4096];
    uint32_t first_sealed, n_sealed;
    uint64_t next_seq;
    struct spool_ledger ledger;
};

struct spool {
    size_t room_bytes, max_raw_bytes;
    uint32_t max_samples;
    bool delayed, maybe_sent;
    struct spool_lane lanes[LANES];
    struct fake_outcome outcomes[4096];
    uint32_t n_outcomes;
    struct compressor compressor;
    uint32_t parts_added, groups_ended; /* of groups */
};

static inline void fake_spool_init(struct spool *s)
{
    memset(s, 0, sizeof(*s));
    s->max_raw_bytes = 1 << 20;
    s->room_bytes = s->max_raw_bytes + 65536;
    s->max_samples = 2000;
    for (uint32_t i = 0; i < LANES; i++) {
        s->lanes[i].spool = s;
        s->lanes[i].number = i;
    }
}

static inline void fake_sealed_free(struct fake_sealed *f)
{
    buf_release(&f->body);
    free(f);
}

static inline void fake_spool_release(struct spool *s)
{
    for (uint32_t i = 0; i < LANES; i++) {
        struct spool_lane *l = &s->lanes[i];
        free(l->room);
        while (l->first_sealed < l->n_sealed)
            fake_sealed_free(l->sealed[l->first_sealed++]);
    }
    compressor_release(&s->compressor);
}

const char *spool_reason_name(enum spool_reason r)
{
    static const char *const names[DROP_REASONS] = {
        "relabel", "unsendable",      "histogram", "type", "no_baseline", "not_newer", "not_finite", "undeclared",
        "refused", "maybe_delivered", "too_old",   "age",  "cap",         "memory",    "crash",      "corrupt",
        "stop",    "too_new",         "expired"};
    return names[r];
}

bool spool_lane_has_data(const struct spool *s, uint32_t lane)
{
    return s->lanes[lane].first_sealed < s->lanes[lane].n_sealed || s->lanes[lane].samples;
}

static inline void fake_ready(struct timer *t)
{
    struct spool_lane *l = CONTAINER_OF(t, struct spool_lane, ready_timer);
    if (l->open)
        l->ready(l->ctx);
}

static inline void fake_tell(struct spool_lane *l)
{
    if (l->loop && l->open)
        timer_start(l->loop, &l->ready_timer, 0, fake_ready);
}

enum err spool_lane_open(struct spool *s, uint32_t lane, struct loop *loop, void (*ready)(void *ctx), void *ctx,
                         struct spool_lane **out, struct diag *d)
{
    (void)d;
    struct spool_lane *l = &s->lanes[lane];
    l->loop = loop;
    l->ready = ready;
    l->ctx = ctx;
    l->open = true;
    *out = l;
    fake_tell(l);
    return OK;
}

static inline void fake_closed(struct timer *t)
{
    struct spool_lane *l = CONTAINER_OF(t, struct spool_lane, close_timer);
    l->open = false;
    l->closed(l->closed_ctx);
}

void spool_lane_close(struct spool_lane *l, void (*closed)(void *ctx), void *ctx)
{
    spool_lane_seal(l);
    l->closed = closed;
    l->closed_ctx = ctx;
    l->open = false;
    timer_stop(&l->ready_timer);
    timer_start(l->loop, &l->close_timer, 0, fake_closed);
}

struct spool_room spool_lane_room(struct spool_lane *l)
{
    if (!l->room)
        l->room = mem_alloc(l->spool->room_bytes);
    size_t n = l->spool->room_bytes - l->n;
    size_t max = l->spool->max_raw_bytes;
    return (struct spool_room){l->room + l->n, n, l->samples, l->n == 0 ? n : max > l->n ? max - l->n : 0};
}

static inline enum compression fake_compression(const struct spool_lane *l)
{
    return l->compression ? l->compression : COMPRESS_SNAPPY;
}

static inline struct fake_sealed *fake_make(struct spool_lane *l, const uint8_t *p, size_t n, uint32_t samples)
{
    struct fake_sealed *f = NEW(struct fake_sealed);
    CHECK(compress_encode(&l->spool->compressor, fake_compression(l), str_from((const char *)p, n), &f->body) == OK);
    f->request = (struct spool_request){.body = buf_view(&f->body),
                                        .compression = fake_compression(l),
                                        .protocol = l->protocol ? l->protocol : 1,
                                        .raw_bytes = (uint32_t)n,
                                        .samples = samples,
                                        .sealed_ms = clock_wall_ms(),
                                        .maybe_sent = l->spool->maybe_sent};
    f->request.borders = f->borders;
    return f;
}

static inline void fake_push(struct spool_lane *l, struct fake_sealed *f)
{
    CHECK(l->n_sealed < COUNT_OF(l->sealed));
    f->request.seq = ++l->next_seq;
    l->sealed[l->n_sealed++] = f;
    fake_tell(l);
}

void spool_lane_seal(struct spool_lane *l)
{
    if (l->n == 0)
        return;
    struct fake_sealed *f = fake_make(l, l->room, l->n, l->samples);
    memcpy(f->borders, l->borders, sizeof(l->borders));
    f->request.n_borders = l->n_borders;
    f->request.first_ms = l->first_ms;
    f->request.last_ms = l->last_ms;
    l->n = l->samples = l->n_borders = 0;
    fake_push(l, f);
}

static uint32_t fake_counted_out(const struct spool_counts *c)
{
    uint32_t sum = 0;
    for (int i = 0; i < DROPS_AT_COMMIT; i++)
        sum += c->dropped[i];
    return sum;
}

void spool_lane_commit(struct spool_lane *l, size_t n, const struct spool_counts *c)
{
    CHECK(!l->in_group && n <= l->spool->room_bytes - l->n);
    CHECK(c->read == c->samples + fake_counted_out(c));
    CHECK((n == 0) == (c->samples == 0));
    l->ledger.read += c->read;
    for (int i = 0; i < DROPS_AT_COMMIT; i++)
        l->ledger.dropped[i] += c->dropped[i];
    l->ledger.waiting += c->samples;
    if (n == 0)
        return;
    CHECK(l->n_borders < COUNT_OF(l->borders));
    l->borders[l->n_borders++] = (struct spool_border){(uint32_t)l->n, (uint32_t)n, c->samples};
    if (l->samples == 0 || c->first_ms < l->first_ms)
        l->first_ms = c->first_ms;
    if (l->samples == 0 || c->last_ms > l->last_ms)
        l->last_ms = c->last_ms;
    l->n += n;
    l->samples += c->samples;
    if (l->samples >= l->spool->max_samples || l->n >= l->spool->max_raw_bytes)
        spool_lane_seal(l);
}

void spool_lane_set_encoding(struct spool_lane *l, uint32_t protocol, enum compression compression)
{
    if ((l->protocol ? l->protocol : 1) == protocol && fake_compression(l) == compression)
        return;
    spool_lane_seal(l);
    l->protocol = protocol;
    l->compression = compression;
}

void spool_lane_group_begin(struct spool_lane *l)
{
    CHECK(!l->in_group && l->n == 0);
    l->in_group = true;
    l->group_counts = (struct spool_counts){0};
    l->n_group = 0;
}

void spool_lane_group_add(struct spool_lane *l, size_t n, const struct spool_counts *c)
{
    CHECK(l->in_group && n <= l->spool->room_bytes);
    CHECK(c->read == c->samples + fake_counted_out(c));
    l->group_counts.read += c->read;
    l->group_counts.samples += c->samples;
    for (int i = 0; i < DROPS_AT_COMMIT; i++)
        l->group_counts.dropped[i] += c->dropped[i];
    l->spool->parts_added++;
    if (n == 0)
        return;
    CHECK(l->n_group < COUNT_OF(l->group));
    struct fake_sealed *f = fake_make(l, l->room, n, c->samples);
    f->borders[0] = (struct spool_border){0, (uint32_t)n, c->samples};
    f->request.n_borders = 1;
    f->request.first_ms = c->first_ms;
    f->request.last_ms = c->last_ms;
    l->group[l->n_group++] = f;
    memset(l->room, 0xaa, l->spool->room_bytes); /* scratch: nobody may rely on it */
}

void spool_lane_group_end(struct spool_lane *l)
{
    l->ledger.read += l->group_counts.read;
    l->ledger.waiting += l->group_counts.samples;
    for (int i = 0; i < DROPS_AT_COMMIT; i++)
        l->ledger.dropped[i] += l->group_counts.dropped[i];
    for (uint32_t i = 0; i < l->n_group; i++)
        fake_push(l, l->group[i]);
    l->spool->groups_ended++;
    l->in_group = false;
}

void spool_lane_group_abort(struct spool_lane *l)
{
    for (uint32_t i = 0; i < l->n_group; i++)
        fake_sealed_free(l->group[i]);
    l->in_group = false;
}

enum err spool_lane_peek(struct spool_lane *l, const struct spool_request **out)
{
    if (l->first_sealed == l->n_sealed)
        return ERR_EOF;
    struct fake_sealed *f = l->sealed[l->first_sealed];
    if (l->spool->delayed && !f->read) {
        f->read = true;
        fake_tell(l);
        return ERR_AGAIN;
    }
    *out = &f->request;
    return OK;
}

void spool_lane_done(struct spool_lane *l, uint64_t seq, const struct spool_outcome *o)
{
    CHECK(l->first_sealed < l->n_sealed);
    struct fake_sealed *f = l->sealed[l->first_sealed];
    uint32_t sum = o->delivered;
    for (int i = 0; i < DROP_REASONS; i++) {
        sum += o->dropped[i];
        l->ledger.dropped[i] += o->dropped[i];
    }
    CHECK(f->request.seq == seq && sum == f->request.samples);
    l->ledger.delivered += o->delivered;
    l->ledger.waiting -= f->request.samples;
    CHECK(l->spool->n_outcomes < COUNT_OF(l->spool->outcomes));
    l->spool->outcomes[l->spool->n_outcomes++] = (struct fake_outcome){l->number, seq, *o};
    fake_sealed_free(f);
    l->first_sealed++;
}

void spool_lane_ledger(const struct spool_lane *l, struct spool_ledger *out)
{
    *out = l->ledger;
}

static inline uint64_t fake_dropped(const struct spool_ledger *l)
{
    uint64_t sum = 0;
    for (int i = 0; i < DROP_REASONS; i++)
        sum += l->dropped[i];
    return sum;
}

/* The sum over the lanes, balanced. */
static inline struct spool_ledger fake_ledger(const struct spool *s)
{
    struct spool_ledger sum = {0};
    for (uint32_t i = 0; i < LANES; i++) {
        const struct spool_ledger *l = &s->lanes[i].ledger;
        CHECK(l->read == l->delivered + l->waiting + fake_dropped(l));
        sum.read += l->read;
        sum.delivered += l->delivered;
        sum.waiting += l->waiting;
        for (int k = 0; k < DROP_REASONS; k++)
            sum.dropped[k] += l->dropped[k];
    }
    return sum;
}

#endif

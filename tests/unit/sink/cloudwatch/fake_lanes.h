/* fake_lanes: places and the state of counters as the encoder sees them. Each place has a lane of its own; a commit is
 * checked (every sample accounted for, records and folds in order) and kept. For one file of a test program.
 */
#ifndef FAKE_LANES_H
#define FAKE_LANES_H

#include "base/hash.h"
#include "base/mem.h"
#include "sink/cloudwatch/lanes_int.h"

struct fold_series {
    uint64_t id;
    bool has;
    struct fold_value v;
};

struct fold_block {
    uint64_t key;
    uint32_t lane;
    struct fold_series *v;
    size_t n, cap;
    int64_t last_ms, keep_until_ms;
};

struct fold_state {
    struct fold_block **v;
    size_t n, cap;
};

struct cw_lane {
    struct cloudwatch *c;
    uint32_t number;
    struct buf place; /* "group|stream" */
    struct buf text;  /* records, a line each */
    uint64_t read, delivered, records;
    uint64_t dropped[DROPS_AT_COMMIT];
};

struct cloudwatch {
    struct cw_lane **lanes;
    size_t n, cap;
    struct fold_state folds;
    uint64_t lost;
    bool closed;     /* no lane can be opened */
    bool silent;     /* texts are not kept: for measuring */
    bool with_times; /* a line begins with the record's time */
    size_t bytes;
};

static inline struct fold_state *fake_folds(struct cloudwatch *c)
{
    return &c->folds;
}

struct fold_state *cw_folds(struct cloudwatch *c)
{
    return &c->folds;
}

struct cw_lane *cw_lane_of(struct cloudwatch *c, const struct cw_place *place)
{
    AUTO_BUF key = {0};

    if (c->closed)
        return NULL;
    buf_printf(&key, "%.*s|%.*s", STR_ARGS(place->group), STR_ARGS(place->stream));
    for (size_t i = 0; i < c->n; i++) {
        if (str_eq(buf_view(&c->lanes[i]->place), buf_view(&key)))
            return c->lanes[i];
    }
    c->lanes = mem_grow(c->lanes, &c->cap, c->n + 1, sizeof(struct cw_lane *));
    struct cw_lane *l = NEW(struct cw_lane);
    *l = (struct cw_lane){.c = c, .number = (uint32_t)c->n};
    buf_str(&l->place, buf_view(&key));
    c->lanes[c->n++] = l;
    return l;
}

uint32_t cw_lane_number(const struct cw_lane *l)
{
    return l->number;
}

void cw_lost(struct cloudwatch *c, uint32_t samples)
{
    c->lost += samples;
}

static inline void fake_fold(const struct cw_fold *f)
{
    CHECK(f->series < f->block->n);
    f->block->v[f->series].has = true;
    f->block->v[f->series].v = f->value;
}

void cw_commit(struct cw_lane *l, const struct cw_place *place, const struct cw_scrape *s)
{
    uint64_t samples = 0, folds = 0;

    (void)place;
    for (uint32_t i = 0; i < s->n_records; i++) {
        const struct cw_record *r = &s->records[i];
        CHECK((uint64_t)r->offset + r->bytes <= s->text.n && r->bytes <= CW_EVENT_MAX);
        samples += r->samples;
        folds += r->n_folds;
        l->c->bytes += r->bytes;
        if (l->c->silent)
            continue;
        if (l->c->with_times)
            buf_printf(&l->text, "%lld ", (long long)r->ts_ms);
        buf_append(&l->text, s->text.p + r->offset, r->bytes);
        buf_char(&l->text, '\n');
    }
    CHECK(folds <= s->n_folds);
    l->records += s->n_records;
    l->delivered += samples;
    l->read += s->read;
    for (int i = 0; i < DROPS_AT_COMMIT; i++) {
        l->dropped[i] += s->dropped[i];
        samples += s->dropped[i];
    }
    CHECK(samples == s->read);
    for (uint32_t i = 0; i < s->n_folds; i++) {
        CHECK(s->folds[i].block->lane == l->number);
        fake_fold(&s->folds[i]);
    }
    if (s->touch)
        s->touch->last_ms = s->touch_ms;
}

/* ---- the state of counters ---- */

struct fold_block *fold_state_block(struct fold_state *f, uint64_t key, uint32_t lane)
{
    for (size_t i = 0; i < f->n; i++) {
        struct fold_block *b = f->v[i];
        if (b->key != key)
            continue;
        if (b->lane != lane)
            b->n = 0;
        b->lane = lane;
        b->keep_until_ms = 0;
        return b;
    }
    struct fold_block *b = NEW(struct fold_block);
    b->key = key;
    b->lane = lane;
    f->v = mem_grow(f->v, &f->cap, f->n + 1, sizeof(struct fold_block *));
    f->v[f->n++] = b;
    return b;
}

void fold_block_forget(struct fold_block *b, int64_t keep_until_ms)
{
    b->keep_until_ms = keep_until_ms;
}

/* What nobody writes to any more, and was kept until now. */
static inline void fake_forget(struct cloudwatch *c, int64_t now_ms)
{
    for (size_t i = 0; i < c->folds.n; i++) {
        struct fold_block *b = c->folds.v[i];
        if (!b->keep_until_ms || b->keep_until_ms > now_ms)
            continue;
        b->n = 0;
        b->last_ms = 0;
    }
}

uint32_t fold_block_find(struct fold_block *b, uint64_t id)
{
    for (size_t i = 0; i < b->n; i++) {
        if (b->v[i].id == id)
            return (uint32_t)i;
    }
    return FOLD_NONE;
}

uint32_t fold_block_add(struct fold_block *b, uint64_t id)
{
    b->v = mem_grow(b->v, &b->cap, b->n + 1, sizeof(*b->v));
    b->v[b->n] = (struct fold_series){.id = id};
    return (uint32_t)b->n++;
}

bool fold_block_get(const struct fold_block *b, uint32_t series, struct fold_value *out)
{
    CHECK(series < b->n);
    *out = b->v[series].v;
    return b->v[series].has;
}

bool fold_block_compact(struct fold_block *b, int64_t older_than_ms)
{
    size_t n = 0;

    for (size_t i = 0; i < b->n; i++) {
        if (b->v[i].has && b->v[i].v.ts_ms >= older_than_ms)
            b->v[n++] = b->v[i];
    }
    bool any = n != b->n;
    b->n = n;
    return any;
}

int64_t fold_block_last_ms(const struct fold_block *b)
{
    return b->last_ms;
}

static inline void fake_lanes_release(struct cloudwatch *c)
{
    for (size_t i = 0; i < c->n; i++) {
        buf_release(&c->lanes[i]->place);
        buf_release(&c->lanes[i]->text);
        free(c->lanes[i]);
    }
    free(c->lanes);
    for (size_t i = 0; i < c->folds.n; i++) {
        free(c->folds.v[i]->v);
        free(c->folds.v[i]);
    }
    free(c->folds.v);
    *c = (struct cloudwatch){0};
}

#endif

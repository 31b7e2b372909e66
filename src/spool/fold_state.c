/* fold_state: the last values of counters, in blocks.
 *
 * A counter is told as the increase since the value before. That value has to survive the process exactly as far as
 * the batch does which told it: one commit too few and the next increase tells something twice, one too many and it
 * is lost. So it lies where the batches lie, in pages that the kernel keeps after a kill, and each value says to which
 * commit it belongs, in the lane's own running count of samples read:
 *
 *     set(value, from: what `read` will be)    the older of two versions is replaced
 *     spool_lane_commit                        one store: the samples are there, and `read` is as announced
 *
 * Killed before the commit: the count of the new version is above what the start finds, it is left out, and the other
 * one holds. Killed after it: both hold and the newer one is taken. There is no moment in between.
 *
 * A block is a list of pages of 72 series each:
 *
 *   page     | mark, key, lane, keep until | touch, touch | series 0 | series 1 | ...        64 + 72 * 56 bytes
 *   series   | id | version | version |                                                      56 bytes
 *   version  | value | time, 48 bits; check | from, 48 bits; check |
 *
 * A series' number is its place in the list: page n / 72, entry n % 72. Numbers are of one process; a start closes
 * gaps, puts what it finds in whatever order, and series are found again by their ids. The index that finding needs is
 * made when it is asked for and given back some batches later, for layouts change seldom: it would cost as much again
 * as an eighth of the values.
 *
 * - `from` is cleared before a version is written and stored last; an id is stored after the versions it names.
 * - An entry that moves is copied before its old place is cleared; should both be met at a start, the newer counts.
 * - A version that does not hold is cleared at the start, before the lane's count can reach it.
 *
 * What is forgotten, and what a start found and nobody asked for, is kept for a while and swept once a minute.
 * fold_file.c has the file. One thread, that of the lanes.
 */
#include "spool/fold_state.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "spool/fold_int.h"

enum {
    SWEEP_MS = 60000,
    INDEX_TOUCHES = 8, /* batches after which an index that was not asked for is given back */
};
#define KEEP_FOUND_MS (INT64_C(24) * 3600 * 1000)

struct fold_block {
    struct fold_state *f;
    uint64_t key;
    uint32_t lane;
    uint32_t n;       /* series */
    uint32_t place;   /* in f->blocks */
    uint32_t touches; /* since the index was used */
    bool asked_for;
    bool indexed;
    struct map index; /* of series by id */
    struct fold_page **pages;
    uint32_t *numbers; /* of the pages */
    size_t n_pages, cap_pages, cap_numbers;
};

/* ---- entries ---- */

static struct fold_entry *entry_at(const struct fold_block *b, uint32_t series)
{
    return &b->pages[series / FOLD_PAGE_SERIES]->series[series % FOLD_PAGE_SERIES];
}

static uint64_t entry_from(const struct fold_entry *e)
{
    const struct fold_version *v = &e->version[fold_newest(e->version[0].from, e->version[1].from)];
    return fold_version_from(v->from);
}

static void entry_clear(struct fold_entry *e)
{
    __atomic_store_n(&e->id, 0, __ATOMIC_RELAXED);
    fold_order();
}

static void entry_name(struct fold_entry *e, uint64_t id)
{
    fold_order();
    __atomic_store_n(&e->id, id, __ATOMIC_RELAXED);
    fold_order();
}

/* to has no id. */
static void entry_move(struct fold_entry *to, struct fold_entry *from)
{
    memcpy(to->version, from->version, sizeof(to->version));
    entry_name(to, from->id);
    entry_clear(from);
}

static bool id_is(const void *ctx, uint32_t series)
{
    const struct fold_block *b = ((const void *const *)ctx)[0];
    const uint64_t *id = ((const void *const *)ctx)[1];
    return entry_at(b, series)->id == *id;
}

static uint32_t index_find(const struct fold_block *b, uint64_t id)
{
    const void *ctx[2] = {b, &id};
    return map_find(&b->index, id, id_is, ctx);
}

static void index_drop(struct fold_block *b)
{
    map_release(&b->index);
    b->index = (struct map){0};
    b->indexed = false;
}

static void index_make(struct fold_block *b)
{
    b->touches = 0;
    if (b->indexed)
        return;
    for (uint32_t i = 0; i < b->n; i++)
        map_add(&b->index, entry_at(b, i)->id, i);
    b->indexed = true;
}

/* ---- blocks ---- */

static bool key_is(const void *ctx, uint32_t i)
{
    const struct fold_state *f = ((const void *const *)ctx)[0];
    const uint64_t *key = ((const void *const *)ctx)[1];
    return f->blocks[i]->key == *key;
}

static struct fold_block *block_find(const struct fold_state *f, uint64_t key)
{
    const void *ctx[2] = {f, &key};
    uint32_t i = map_find(&f->by_key, key, key_is, ctx);
    return i == MAP_NONE ? NULL : f->blocks[i];
}

static struct fold_block *block_new(struct fold_state *f, uint64_t key, uint32_t lane)
{
    struct fold_block *b = NEW(struct fold_block);
    b->f = f;
    b->key = key;
    b->lane = lane;
    b->place = (uint32_t)f->n_blocks;
    f->blocks = mem_grow(f->blocks, &f->cap_blocks, f->n_blocks + 1, sizeof(struct fold_block *));
    f->blocks[f->n_blocks++] = b;
    map_add(&f->by_key, key, b->place);
    return b;
}

static void block_add_page(struct fold_block *b, struct fold_page *p, uint32_t number)
{
    b->pages = mem_grow(b->pages, &b->cap_pages, b->n_pages + 1, sizeof(struct fold_page *));
    b->numbers = mem_grow(b->numbers, &b->cap_numbers, b->n_pages + 1, sizeof(*b->numbers));
    b->pages[b->n_pages] = p;
    b->numbers[b->n_pages++] = number;
}

static bool block_grow(struct fold_block *b)
{
    uint32_t number;
    struct fold_page *p = fold_page_new(b->f, b->key, b->lane, &number);
    if (!p)
        return false;
    block_add_page(b, p, number);
    return true;
}

static void block_cut(struct fold_block *b, size_t pages)
{
    while (b->n_pages > pages) {
        b->n_pages--;
        fold_page_free(b->f, b->pages[b->n_pages], b->numbers[b->n_pages]);
    }
}

/* The memory alone: what is in its pages stays there. */
static void block_release(struct fold_block *b)
{
    map_release(&b->index);
    free(b->pages);
    free(b->numbers);
    free(b);
}

static void block_free(struct fold_block *b)
{
    struct fold_state *f = b->f;
    block_cut(b, 0);
    map_remove(&f->by_key, b->key, b->place);
    struct fold_block *last = f->blocks[--f->n_blocks];
    if (last != b) {
        map_replace(&f->by_key, last->key, last->place, b->place);
        last->place = b->place;
        f->blocks[b->place] = last;
    }
    block_release(b);
}

/* Closes gaps, leaves out what is without a value or older, and of two entries of one id the older one. True when
 * anything was left out. */
static bool squeeze(struct fold_block *b, int64_t older_than_ms)
{
    uint32_t kept = 0, all = (uint32_t)b->n_pages * FOLD_PAGE_SERIES;
    bool any = false;
    index_drop(b);
    for (uint32_t i = 0; i < all; i++) {
        struct fold_entry *e = entry_at(b, i);
        if (!e->id)
            continue;
        const struct fold_version *v = &e->version[fold_newest(e->version[0].from, e->version[1].from)];
        uint32_t same = index_find(b, e->id);
        bool keep = v->from && fold_version_ms(v->time) >= older_than_ms;
        if (keep && same != FOLD_NONE) {
            struct fold_entry *other = entry_at(b, same);
            keep = false;
            if (entry_from(other) < entry_from(e)) {
                entry_clear(other);
                entry_move(other, e);
                continue;
            }
        }
        if (!keep) {
            any = true;
            entry_clear(e);
            continue;
        }
        map_add(&b->index, e->id, kept);
        if (kept != i)
            entry_move(entry_at(b, kept), e);
        kept++;
    }
    b->n = kept;
    b->indexed = true;
    b->touches = 0;
    size_t pages = (kept + FOLD_PAGE_SERIES - 1) / FOLD_PAGE_SERIES;
    for (size_t i = 0; i < b->n_pages; i++)
        fold_page_written(b->f, b->pages[i]);
    block_cut(b, pages ? pages : 1);
    return any;
}

/* ---- opening ---- */

static uint64_t touch_from(const struct fold_page *p)
{
    return fold_version_from(p->touch[fold_newest(p->touch[0].from, p->touch[1].from)].from);
}

/* The page with the newest touch is the first. */
static void settle_first_page(struct fold_block *b, int64_t now_ms)
{
    int64_t keep_until = now_ms + KEEP_FOUND_MS, until = 0;
    size_t first = 0;
    for (size_t i = 0; i < b->n_pages; i++) {
        if (touch_from(b->pages[i]) > touch_from(b->pages[first]))
            first = i;
        if (b->pages[i]->keep_until_ms > until)
            until = b->pages[i]->keep_until_ms;
        b->pages[i]->keep_until_ms = 0;
    }
    struct fold_page *p = b->pages[first];
    uint32_t number = b->numbers[first];
    b->pages[first] = b->pages[0];
    b->numbers[first] = b->numbers[0];
    b->pages[0] = p;
    b->numbers[0] = number;
    p->keep_until_ms = until && until < keep_until ? until : keep_until;
}

static void find_blocks(struct fold_state *f, bool found)
{
    int64_t now_ms = clock_wall_ms();
    for (uint32_t i = f->n_pages; i-- > 1;)
        if (!found || !fold_page_at(f, i)->mark)
            fold_file_free(f, i);
    for (uint32_t i = 1; i < f->n_pages && found; i++) {
        struct fold_page *p = fold_page_at(f, i);
        if (!p->mark)
            continue;
        struct fold_block *b = block_find(f, p->key);
        if (!b)
            b = block_new(f, p->key, p->lane);
        block_add_page(b, p, i);
    }
    for (size_t i = f->n_blocks; i-- > 0;) { /* freeing one puts a settled one in its place */
        struct fold_block *b = f->blocks[i];
        settle_first_page(b, now_ms);
        squeeze(b, INT64_MIN);
        index_drop(b);
        if ((b->n == 0 && touch_from(b->pages[0]) == 0) || b->pages[0]->keep_until_ms <= now_ms)
            block_free(b);
    }
    if (found)
        fold_file_rest(f);
}

static void sweep_soon(struct fold_state *f);

static void on_sweep(struct timer *t)
{
    struct fold_state *f = CONTAINER_OF(t, struct fold_state, sweep_timer);
    int64_t now_ms = clock_wall_ms();
    bool more = false;
    for (size_t i = f->n_blocks; i-- > 0;) {
        struct fold_block *b = f->blocks[i];
        if (b->asked_for)
            continue;
        if (b->n_pages == 0 || b->pages[0]->keep_until_ms <= now_ms)
            block_free(b);
        else
            more = true;
    }
    if (more)
        sweep_soon(f);
}

static void sweep_soon(struct fold_state *f)
{
    if (!timer_armed(&f->sweep_timer))
        timer_start(f->loop, &f->sweep_timer, SWEEP_MS, on_sweep);
}

enum err fold_state_open(struct spool *s, struct loop *loop, struct fold_state **out, struct diag *d)
{
    for (uint32_t i = 0; i < SPOOL_LANES; i++)
        if (s->lanes[i].open)
            return diag_set(d, ERR_INTERNAL, "the fold state of spool %s is opened after its lanes", s->o.directory);
    struct fold_state *f = NEW(struct fold_state);
    f->s = s;
    f->loop = loop;
    find_blocks(f, fold_file_open(f));
    if (f->n_blocks)
        sweep_soon(f);
    *out = f;
    return OK;
}

void fold_state_close(struct fold_state *f)
{
    timer_stop(&f->sweep_timer);
    for (size_t i = 0; i < f->n_blocks; i++)
        block_release(f->blocks[i]);
    fold_file_close(f);
    free(f->blocks);
    map_release(&f->by_key);
    free(f);
}

/* ---- blocks, for their users ---- */

/* Of the two words that a version or a touch has: what it holds, from that count on. */
static void put_words(uint64_t *time, uint64_t *from, int64_t ts_ms, uint64_t valid_from, uint32_t check)
{
    *time = fold_time_word(ts_ms, check);
    fold_order();
    __atomic_store_n(from, fold_from_word(valid_from, check), __ATOMIC_RELAXED);
}

static void page_clear(struct fold_page *p)
{
    for (int i = 0; i < 2; i++)
        fold_clear_word(&p->touch[i].from);
    for (int i = 0; i < FOLD_PAGE_SERIES; i++) {
        fold_clear_word(&p->series[i].version[0].from);
        fold_clear_word(&p->series[i].version[1].from);
    }
}

/* The page becomes another lane's. What its values were told with is committed, so they hold from that lane's present
 * count on. A kill amid it costs values, and makes no older one the last. */
static void page_move(struct fold_state *f, struct fold_page *p, uint32_t lane)
{
    struct fold_page kept = *p;
    struct spool_ledger there;

    spool_ledger_lane(f->s, lane, &there);
    page_clear(p);
    fold_page_relabel(p, lane);
    for (int i = 0; i < FOLD_PAGE_SERIES; i++) {
        const struct fold_version *old = kept.series[i].version;
        struct fold_version *v = &p->series[i].version[0];
        old += fold_newest(old[0].from, old[1].from);
        int64_t ts_ms = fold_version_ms(old->time);
        v->value = old->value;
        if (old->from)
            put_words(&v->time, &v->from, ts_ms, there.read,
                      fold_check(p->series[i].id, old->value, (uint64_t)ts_ms, there.read));
    }
    const struct fold_touch *old = &kept.touch[fold_newest(kept.touch[0].from, kept.touch[1].from)];
    int64_t ts_ms = fold_version_ms(old->time);
    if (old->from)
        put_words(&p->touch[0].time, &p->touch[0].from, ts_ms, there.read,
                  fold_check(p->key, 0, (uint64_t)ts_ms, there.read));
}

struct fold_block *fold_state_block(struct fold_state *f, uint64_t key, uint32_t lane)
{
    struct fold_block *b = block_find(f, key);
    if (!b)
        b = block_new(f, key, lane);
    b->lane = lane;
    b->asked_for = true;
    if (b->n_pages == 0)
        block_grow(b);
    for (size_t i = 0; i < b->n_pages; i++) {
        struct fold_page *p = b->pages[i];
        if (p->lane != lane)
            page_move(f, p, lane);
        p->keep_until_ms = 0;
        fold_page_written(f, p);
    }
    return b;
}

struct fold_block *fold_state_known(struct fold_state *f, uint64_t key, uint32_t lane)
{
    return block_find(f, key) ? fold_state_block(f, key, lane) : NULL;
}

void fold_block_forget(struct fold_block *b, int64_t keep_until_ms)
{
    index_drop(b);
    b->asked_for = false;
    for (size_t i = 0; i < b->n_pages; i++) {
        b->pages[i]->keep_until_ms = keep_until_ms;
        fold_page_written(b->f, b->pages[i]);
    }
    sweep_soon(b->f);
}

uint32_t fold_block_series(const struct fold_block *b)
{
    return b->n;
}

/* ---- series ---- */

/* 0 says that there is none. */
static uint64_t id_of(uint64_t id)
{
    return id ? id : UINT64_C(0x9e3779b97f4a7c15);
}

uint32_t fold_block_find(struct fold_block *b, uint64_t id)
{
    index_make(b);
    return index_find(b, id_of(id));
}

uint32_t fold_block_add(struct fold_block *b, uint64_t id)
{
    if (b->n >= b->n_pages * FOLD_PAGE_SERIES && !block_grow(b))
        return FOLD_NONE;
    struct fold_entry *e = entry_at(b, b->n);
    memset(e->version, 0, sizeof(e->version));
    entry_name(e, id_of(id));
    if (b->indexed)
        map_add(&b->index, e->id, b->n);
    fold_page_written(b->f, b->pages[b->n / FOLD_PAGE_SERIES]);
    return b->n++;
}

bool fold_block_get(const struct fold_block *b, uint32_t series, struct fold_value *out)
{
    if (series >= b->n)
        return false;
    const struct fold_entry *e = entry_at(b, series);
    const struct fold_version *v = &e->version[fold_newest(e->version[0].from, e->version[1].from)];
    if (!v->from)
        return false;
    memcpy(&out->value, &v->value, sizeof(out->value));
    out->ts_ms = fold_version_ms(v->time);
    return true;
}

void fold_block_set(struct fold_block *b, uint32_t series, struct fold_value v, uint64_t valid_from)
{
    if (series >= b->n)
        return;
    struct fold_entry *e = entry_at(b, series);
    int newest = fold_newest(e->version[0].from, e->version[1].from);
    /* Twice before one commit: the value of the commit before stays. */
    bool again = e->version[newest].from && fold_version_from(e->version[newest].from) >= valid_from;
    struct fold_version *to = &e->version[again ? newest : !newest];
    fold_page_written(b->f, b->pages[series / FOLD_PAGE_SERIES]);
    fold_clear_word(&to->from);
    if (!fold_time_fits(v.ts_ms)) {
        fold_clear_word(&e->version[0].from);
        fold_clear_word(&e->version[1].from);
        return;
    }
    uint64_t bits;
    memcpy(&bits, &v.value, sizeof(bits));
    uint32_t check = fold_check(e->id, bits, (uint64_t)v.ts_ms, valid_from);
    to->value = bits;
    put_words(&to->time, &to->from, v.ts_ms, valid_from, check);
}

bool fold_block_compact(struct fold_block *b, int64_t older_than_ms)
{
    return b->n_pages && squeeze(b, older_than_ms);
}

/* ---- touch ---- */

int64_t fold_block_last_ms(const struct fold_block *b)
{
    if (b->n_pages == 0)
        return 0;
    const struct fold_touch *t = b->pages[0]->touch;
    t += fold_newest(t[0].from, t[1].from);
    return t->from ? fold_version_ms(t->time) : 0;
}

void fold_block_touch(struct fold_block *b, int64_t ts_ms, uint64_t valid_from)
{
    if (b->indexed && ++b->touches > INDEX_TOUCHES)
        index_drop(b);
    if (b->n_pages == 0 || !fold_time_fits(ts_ms))
        return;
    struct fold_page *p = b->pages[0];
    int newest = fold_newest(p->touch[0].from, p->touch[1].from);
    bool again = p->touch[newest].from && fold_version_from(p->touch[newest].from) >= valid_from;
    struct fold_touch *to = &p->touch[again ? newest : !newest];
    uint32_t check = fold_check(b->key, 0, (uint64_t)ts_ms, valid_from);
    fold_page_written(b->f, p);
    fold_clear_word(&to->from);
    put_words(&to->time, &to->from, ts_ms, valid_from, check);
}

/* blocks: type, help and unit of a series, by the block of comments that it stands under.
 *
 *   # HELP x_seconds Time.       \  a block: one metric of the intern table (METRIC_COMMENT), shared by all targets
 *   # TYPE x_seconds histogram   /  that say the same
 *   x_seconds_bucket{le="1"} 3      its series, by their names
 *
 * A block is read once for each destination and kept by the metric's id until that is swept; help and unit become
 * symbols. Nearly every block has one family and series of one to four names, so the outcome for a name is kept with
 * the block, by its symbol. Blocks follow each other as on the last page: each knows where the next one was. A help
 * text beyond 32 KiB is left out: it would crowd out samples.
 *
 * One worker, one thread.
 */
#include "sink/remote_write/blocks_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "format/exposition.h"

_Static_assert(sizeof(struct block) <= 64, "a cache line");

enum {
    TEXT_MAX = 32 << 10,
    METADATA_MAX = 16, /* the message of a series, tag included */
};

/* ---- names ------------------------------------------------------------------------------------------------------- */

static struct str without(struct str name, struct str suffix)
{
    return str_ends(name, suffix) ? str_from(name.p, name.n - suffix.n) : name;
}

static struct str without_first(struct str name, const struct str *suffixes, int n)
{
    for (int i = 0; i < n; i++) {
        if (str_ends(name, suffixes[i]))
            return str_from(name.p, name.n - suffixes[i].n);
    }
    return name;
}

bool block_family_has(const struct block_family *f, struct str name)
{
    const struct str total = STR("_total"), info = STR("_info");
    const struct str histogram[] = {STR("_bucket"), STR("_sum"), STR("_count")};
    const struct str gauge_histogram[] = {STR("_bucket"), STR("_gsum"), STR("_gcount")};
    if (name.n < f->name.n || memcmp(name.p, f->name.p, f->name.n) != 0)
        return false;
    switch (f->said.type) {
    case TYPE_COUNTER:
        return str_eq(without(f->name, total), without(name, total));
    case TYPE_INFO:
        return str_eq(without(f->name, info), without(name, info));
    case TYPE_HISTOGRAM:
        return str_eq(f->name, without_first(name, histogram, 3));
    case TYPE_GAUGE_HISTOGRAM:
        return str_eq(f->name, without_first(name, gauge_histogram, 3));
    case TYPE_SUMMARY:
        return str_eq(f->name, without_first(name, histogram + 1, 2));
    default:
        return str_eq(f->name, name);
    }
}

/* ---- blocks ------------------------------------------------------------------------------------------------------ */

static uint64_t metric_hash(uint32_t metric)
{
    uint64_t h = metric * 0x9e3779b97f4a7c15ULL;
    return h ^ h >> 29;
}

struct block_key {
    const struct blocks *b;
    uint32_t metric;
};

static bool is_metric(const void *ctx, uint32_t place)
{
    const struct block_key *key = ctx;
    return block_at(key->b, place)->metric == key->metric;
}

static uint32_t find(const struct blocks *b, uint32_t metric)
{
    return map_find(&b->by_metric, metric_hash(metric), is_metric, &(struct block_key){b, metric});
}

static uint32_t symbol_of(struct blocks *b, struct str text)
{
    if (text.n == 0 || text.n > TEXT_MAX)
        return 0;
    uint32_t id = symbols_get(b->symbols, text);
    symbols_ref(b->symbols, id);
    return id;
}

static uint32_t text_bound(struct str text)
{
    return text.n > TEXT_MAX ? 0 : (uint32_t)text.n + SYMBOL_HEAD_MAX;
}

static void make(struct blocks *b, const struct intern_view *view, uint32_t metric, struct block *out)
{
    struct family *families = NULL;
    uint32_t n = 0;
    arena_reset(&b->scratch);
    exposition_families(intern_raw(view, metric), (enum exposition_kind)batch_block_kind(intern_get(view, metric)),
                        &b->scratch, &families, &n);
    *out = (struct block){.metric = metric};
    for (uint32_t i = 0; i < n; i++) {
        const struct family *f = &families[i];
        if (f->type == TYPE_UNKNOWN && !f->help.n && !f->unit.n)
            continue;
        if (!out->v)
            out->v = mem_alloc((n - i) * sizeof(*out->v));
        uint32_t bound = text_bound(f->help) + text_bound(f->unit) + METADATA_MAX;
        if (bound > out->bound)
            out->bound = bound;
        out->v[out->n++] = (struct block_family){
            .name = str_from(mem_strndup(f->name.p, f->name.n), f->name.n),
            .said = {.type = f->type, .help = symbol_of(b, f->help), .unit = symbol_of(b, f->unit)}};
        b->bytes += f->name.n + 1 + sizeof(*out->v);
    }
    if (out->n)
        out->first = out->v[0].said;
}

static void drop(struct blocks *b, struct block *block)
{
    for (int i = 0; i < BLOCK_NAMES; i++) {
        if (block->names[i].symbol)
            symbols_unref(b->symbols, block->names[i].symbol);
    }
    for (uint32_t i = 0; i < block->n; i++) {
        const struct block_family *f = &block->v[i];
        if (f->said.help)
            symbols_unref(b->symbols, f->said.help);
        if (f->said.unit)
            symbols_unref(b->symbols, f->said.unit);
        b->bytes -= f->name.n + 1 + sizeof(*f);
        free((char *)f->name.p);
    }
    free(block->v);
}

/* A free place; chunks do not move, and no block straddles two lines. */
static uint32_t take_place(struct blocks *b)
{
    uint32_t place = b->free;
    if (place) {
        b->free = block_at(b, place)->next;
        return place;
    }
    if (b->n % BLOCKS_A_CHUNK == 0) {
        size_t i = b->n / BLOCKS_A_CHUNK;
        b->chunks = mem_grow(b->chunks, &b->cap_chunks, i + 1, sizeof(struct block *));
        b->chunks[i] = aligned_alloc(64, BLOCKS_A_CHUNK * sizeof(struct block));
        CHECK(b->chunks[i]);
        b->bytes += BLOCKS_A_CHUNK * sizeof(struct block);
    }
    if (b->n == 0)
        *block_at(b, b->n++) = (struct block){.metric = METRIC_NONE};
    return b->n++;
}

struct block *blocks_get(struct blocks *b, const struct intern_view *view, uint32_t metric, struct block *after)
{
    if (after && after->next && block_at(b, after->next)->metric == metric)
        return block_at(b, after->next);
    uint32_t at = find(b, metric);
    if (at == MAP_NONE) {
        at = take_place(b);
        make(b, view, metric, block_at(b, at));
        map_add(&b->by_metric, metric_hash(metric), at);
    }
    if (after)
        after->next = at;
    return block_at(b, at);
}

static int32_t find_family(const struct block *block, struct str name)
{
    for (uint32_t i = 0; i < block->n; i++) {
        if (block_family_has(&block->v[i], name))
            return (int32_t)i;
    }
    return -1;
}

const struct block_said *block_said_of(struct blocks *b, struct block *block, uint32_t symbol, struct str name)
{
    int k = 0;
    while (symbol && k < BLOCK_NAMES && block->names[k].symbol && block->names[k].symbol != symbol)
        k++;
    int32_t family;
    if (symbol && k < BLOCK_NAMES && block->names[k].symbol == symbol) {
        family = block->names[k].family;
    } else {
        family = find_family(block, name);
        if (symbol && k < BLOCK_NAMES) {
            symbols_ref(b->symbols, symbol);
            block->names[k].symbol = symbol;
            block->names[k].family = family;
        }
    }
    return family < 0 ? NULL : &block->v[family].said;
}

static void swept(void *ctx, uint32_t metric)
{
    struct blocks *b = ctx;
    uint32_t at = find(b, metric);
    if (at == MAP_NONE)
        return;
    CHECK(map_remove(&b->by_metric, metric_hash(metric), at));
    drop(b, block_at(b, at));
    *block_at(b, at) = (struct block){.metric = METRIC_NONE, .next = b->free};
    b->free = at;
}

void blocks_init(struct blocks *b, struct intern *in, struct symbols *symbols)
{
    *b = (struct blocks){.intern = in, .symbols = symbols};
    intern_listen(in, swept, b);
}

void blocks_release(struct blocks *b)
{
    if (!b->intern)
        return;
    intern_unlisten(b->intern, swept, b);
    for (uint32_t i = 1; i < b->n; i++) {
        if (block_at(b, i)->metric != METRIC_NONE)
            drop(b, block_at(b, i));
    }
    for (uint32_t i = 0; i < b->n; i += BLOCKS_A_CHUNK)
        free(b->chunks[i / BLOCKS_A_CHUNK]);
    free(b->chunks);
    map_release(&b->by_metric);
    arena_release(&b->scratch);
    *b = (struct blocks){0};
}

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
    switch (f->type) {
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

static bool is_metric(const void *ctx, uint32_t index)
{
    const struct block *wanted = ((const struct blocks *)ctx)->v[0];
    return ((const struct blocks *)ctx)->v[index]->metric == wanted->metric;
}

/* The place of a metric's block; v[0] is the key's. */
static uint32_t find(const struct blocks *b, uint32_t metric)
{
    if (b->n == 0)
        return MAP_NONE;
    b->v[0]->metric = metric;
    return map_find(&b->by_metric, metric_hash(metric), is_metric, b);
}

static size_t block_size(uint32_t n)
{
    return sizeof(struct block) + n * sizeof(struct block_family);
}

static uint32_t symbol_of(struct blocks *b, struct str text)
{
    if (text.n == 0 || text.n > TEXT_MAX)
        return 0;
    uint32_t id = symbols_get(b->symbols, text);
    symbols_ref(b->symbols, id);
    return id;
}

static size_t text_bound(struct str text)
{
    return text.n > TEXT_MAX ? 0 : text.n + SYMBOL_HEAD_MAX;
}

static struct block *make(struct blocks *b, const struct intern_view *view, uint32_t metric)
{
    struct family *families = NULL;
    uint32_t n = 0;
    arena_reset(&b->scratch);
    exposition_families(intern_raw(view, metric), (enum exposition_kind)batch_block_kind(intern_get(view, metric)),
                        &b->scratch, &families, &n);
    struct block *out = mem_alloc(block_size(n));
    *out = (struct block){.metric = metric};
    for (uint32_t i = 0; i < n; i++) {
        const struct family *f = &families[i];
        if (f->type == TYPE_UNKNOWN && !f->help.n && !f->unit.n)
            continue;
        size_t bound = text_bound(f->help) + text_bound(f->unit) + METADATA_MAX;
        if (bound > out->bound)
            out->bound = bound;
        out->v[out->n++] = (struct block_family){.name = str_from(mem_strndup(f->name.p, f->name.n), f->name.n),
                                                 .type = f->type,
                                                 .help = symbol_of(b, f->help),
                                                 .unit = symbol_of(b, f->unit)};
        b->bytes += f->name.n + 1;
    }
    b->bytes += block_size(n);
    return out;
}

static void drop(struct blocks *b, struct block *block)
{
    for (int i = 0; i < BLOCK_NAMES; i++) {
        if (block->names[i].symbol)
            symbols_unref(b->symbols, block->names[i].symbol);
    }
    for (uint32_t i = 0; i < block->n; i++) {
        const struct block_family *f = &block->v[i];
        if (f->help)
            symbols_unref(b->symbols, f->help);
        if (f->unit)
            symbols_unref(b->symbols, f->unit);
        b->bytes -= f->name.n + 1;
        free((char *)f->name.p);
    }
    b->bytes -= block_size(block->n);
    free(block);
}

static uint32_t place(struct blocks *b)
{
    if (b->n_holes)
        return b->holes[--b->n_holes];
    b->v = mem_grow(b->v, &b->cap, b->n + 2, sizeof(struct block *));
    if (b->n == 0) {
        b->v[0] = mem_zalloc(sizeof(struct block));
        b->n = 1;
    }
    return (uint32_t)b->n++;
}

struct block *blocks_get(struct blocks *b, const struct intern_view *view, uint32_t metric, struct block *after)
{
    if (after && after->next && b->v[after->next] && b->v[after->next]->metric == metric)
        return b->v[after->next];
    uint32_t at = find(b, metric);
    if (at == MAP_NONE) {
        at = place(b);
        b->v[at] = make(b, view, metric);
        map_add(&b->by_metric, metric_hash(metric), at);
    }
    if (after)
        after->next = at;
    return b->v[at];
}

static int32_t find_family(const struct block *block, struct str name)
{
    for (uint32_t i = 0; i < block->n; i++) {
        if (block_family_has(&block->v[i], name))
            return (int32_t)i;
    }
    return -1;
}

const struct block_family *block_family_of(struct blocks *b, struct block *block, uint32_t symbol, struct str name)
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
    return family < 0 ? NULL : &block->v[family];
}

static void swept(void *ctx, uint32_t metric)
{
    struct blocks *b = ctx;
    uint32_t at = find(b, metric);
    if (at == MAP_NONE)
        return;
    CHECK(map_remove(&b->by_metric, metric_hash(metric), at));
    drop(b, b->v[at]);
    b->v[at] = NULL;
    b->holes = mem_grow(b->holes, &b->cap_holes, b->n_holes + 1, sizeof(*b->holes));
    b->holes[b->n_holes++] = at;
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
    for (size_t i = 1; i < b->n; i++) {
        if (b->v[i])
            drop(b, b->v[i]);
    }
    if (b->n)
        free(b->v[0]);
    free(b->v);
    free(b->holes);
    map_release(&b->by_metric);
    arena_release(&b->scratch);
    *b = (struct blocks){0};
}

/* families: TYPE, HELP and UNIT of everything that is exposed, for metadata requests.
 *
 * Comment blocks are interned like metrics, once however many targets expose them. So the families of the worker are
 * those of the blocks that any target's page refers to: one walk over the intern table, and a parse per distinct block.
 * For the API's question by target the pages' positions are walked, each distinct block parsed once again.
 */
#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"
#include "source/scrape/scraper_int.h"

struct family_list {
    struct family *v;
    size_t n, cap;
    struct map map;
};

struct family_key {
    const struct family_list *list;
    const struct family *f;
};

static bool same_family(const void *ctx, uint32_t index)
{
    const struct family_key *key = ctx;
    const struct family *a = &key->list->v[index];
    const struct family *b = key->f;

    return a->type == b->type && str_eq(a->name, b->name) && str_eq(a->help, b->help) && str_eq(a->unit, b->unit);
}

static uint64_t hash_family(const struct family *f)
{
    return hash_bytes_seed(f->name, hash_bytes_seed(f->help, hash_bytes_seed(f->unit, (uint64_t)f->type)));
}

static void add_family(struct family_list *list, const struct family *f, struct arena *a)
{
    struct family_key key = {list, f};
    uint64_t hash = hash_family(f);

    if (map_find(&list->map, hash, same_family, &key) != MAP_NONE)
        return;
    list->v = mem_grow(list->v, &list->cap, list->n + 1, sizeof(*list->v));
    list->v[list->n] = (struct family){str_dup(a, f->name), str_dup(a, f->help), str_dup(a, f->unit), f->type};
    map_add(&list->map, hash, (uint32_t)list->n++);
}

uint32_t scraper_families(struct scraper *s, struct arena *a, struct family **out)
{
    struct intern_view view = intern_view(s->o.intern);
    struct family_list list = {0};
    struct arena scratch = {0};

    for (uint32_t id = 0; id < intern_top(s->o.intern); id++) {
        const struct metric *m = intern_get(&view, id);
        if (!(m->flags & METRIC_COMMENT) || m->refs == 0)
            continue;
        struct family *families;
        uint32_t n;
        arena_reset(&scratch);
        exposition_families(intern_raw(&view, id), (enum exposition_kind)batch_block_kind(m), &scratch, &families, &n);
        for (uint32_t i = 0; i < n; i++)
            add_family(&list, &families[i], a);
    }
    *out = ARENA_ARRAY(a, struct family, list.n + 1);
    if (list.n)
        memcpy(*out, list.v, sizeof(**out) * list.n);
    free(list.v);
    map_release(&list.map);
    arena_release(&scratch);
    return (uint32_t)list.n;
}

/* ---- by target ---- */

struct block_cache {
    struct scraper *s;
    struct intern_view view;
    struct arena *arena;
    const struct scrape_block **by_id; /* NULL: not parsed yet */
    uint32_t top;
};

static const struct scrape_block *get_block(struct block_cache *c, uint32_t id)
{
    const struct metric *m = id < c->top ? intern_get(&c->view, id) : NULL;
    struct arena scratch = {0};
    struct family *families;

    if (!m || !(m->flags & METRIC_COMMENT) || m->refs == 0)
        return NULL;
    if (c->by_id[id])
        return c->by_id[id];
    struct scrape_block *block = ARENA_NEW(c->arena, struct scrape_block);
    exposition_families(intern_raw(&c->view, id), (enum exposition_kind)batch_block_kind(m), &scratch, &families,
                        &block->n);
    struct family *copies = ARENA_ARRAY(c->arena, struct family, block->n + 1);
    for (uint32_t i = 0; i < block->n; i++)
        copies[i] = (struct family){str_dup(c->arena, families[i].name), str_dup(c->arena, families[i].help),
                                    str_dup(c->arena, families[i].unit), families[i].type};
    block->v = copies;
    c->by_id[id] = block;
    arena_release(&scratch);
    return block;
}

static void add_blocks(struct block_cache *c, const struct page *page, struct scrape_status *out)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < page->n; i++)
        n += get_block(c, page->positions[i]) != NULL;
    const struct scrape_block **blocks = ARENA_ARRAY(c->arena, const struct scrape_block *, n + 1);
    for (uint32_t i = 0; i < page->n; i++) {
        const struct scrape_block *b = get_block(c, page->positions[i]);
        if (b)
            blocks[out->n_blocks++] = b;
    }
    out->blocks = blocks;
}

void scraper_status_families(struct scraper *s, struct arena *a, struct scrape_status *v, uint32_t n)
{
    struct block_cache c = {.s = s, .view = intern_view(s->o.intern), .arena = a, .top = intern_top(s->o.intern)};
    uint32_t at = 0;

    c.by_id = mem_zalloc((c.top + 1) * sizeof(*c.by_id));
    for (size_t i = 0; i < s->n_targets && at < n; i++)
        if (s->targets[i])
            add_blocks(&c, &s->targets[i]->page, &v[at++]);
    free(c.by_id);
}

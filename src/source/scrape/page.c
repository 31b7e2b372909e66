/* page: what is remembered of one target, and under which contexts its metrics are interned.
 *
 * The array of positions is the whole memory of a target's exposition: names, labels and bytes are in the intern table,
 * shared by all targets of the worker. What distinguishes two targets that expose the same line is the *context*:
 *
 *   shape_hash of the configuration, label names of the scope, rules that remain   -> one group for all such targets
 *   (folded rules: shape/metric_map.h)
 *   a map that looked at a scope's value                                           -> a group of this target alone
 *
 * Groups of the first kind are counted uses of a small table; a group that nobody uses any more is forgotten, its
 * number never given again.
 *
 * A new configuration changes groups and scopes, not the array: its entries then fail the context check one by one, are
 * looked up anew, and what does not come back under its old labels is a series that is gone.
 */
#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"
#include "source/scrape/predict_int.h"

/* ---- groups ------------------------------------------------------------------------------------------------------ */

static uint32_t new_group(struct predictor *p)
{
    uint32_t group = p->next_group;

    CHECK(group < UINT32_MAX - CONTEXT_GROUP);
    p->next_group += CONTEXT_GROUP;
    return group;
}

struct use_key {
    const struct predictor *p;
    uint64_t key;
};

static bool same_use(const void *ctx, uint32_t index)
{
    const struct use_key *k = ctx;

    return k->p->contexts[index].key == k->key;
}

static uint32_t find_use(const struct predictor *p, uint64_t key)
{
    struct use_key k = {p, key};

    return map_find(&p->contexts_by_key, key, same_use, &k);
}

static uint32_t group_ref(struct predictor *p, const struct plan_scrape *config, uint32_t names, uint64_t remaining)
{
    uint64_t parts[3] = {config->shape_hash, names, remaining};
    uint64_t key = hash_bytes(str_from((const char *)parts, sizeof(parts)));
    uint32_t at = find_use(p, key);

    if (at == MAP_NONE) {
        p->contexts = mem_grow(p->contexts, &p->cap_contexts, p->n_contexts + 1, sizeof(*p->contexts));
        at = (uint32_t)p->n_contexts++;
        p->contexts[at] = (struct context_use){key, new_group(p), 0};
        map_add(&p->contexts_by_key, key, at);
    }
    p->contexts[at].refs++;
    return p->contexts[at].group;
}

static void group_unref(struct predictor *p, uint32_t group)
{
    for (size_t i = 0; i < p->n_contexts; i++) {
        struct context_use *use = &p->contexts[i];
        if (use->group != group)
            continue;
        if (--use->refs > 0)
            return;
        map_remove(&p->contexts_by_key, use->key, (uint32_t)i);
        if (i != --p->n_contexts) {
            *use = p->contexts[p->n_contexts];
            map_replace(&p->contexts_by_key, use->key, (uint32_t)p->n_contexts, (uint32_t)i);
        }
        return;
    }
}

uint32_t page_scoped_group(struct predictor *p, struct page *page, enum way way)
{
    if (page->scoped[way] == 0)
        page->scoped[way] = new_group(p);
    return page->scoped[way];
}

/* ---- forms ------------------------------------------------------------------------------------------------------- */

static void fold_free(struct page_fold *fold)
{
    if (!fold)
        return;
    arena_release(&fold->arena);
    free(fold);
}

static void fold(struct predictor *p, struct page *page, const struct plan_scrape *config)
{
    page->inner = NULL;
    if (config->metric_relabel && config->metric_relabel->n > 0) {
        struct page_fold *f = NEW(struct page_fold);
        f->arena.block_size = 512;
        metric_map_fold(config->metric_relabel, page->outer->labels, &f->arena, &f->f);
        if (f->f.remaining.n < config->metric_relabel->n) {
            page->fold = f;
            page->inner = scope_get(p->scopes, f->f.scope);
            return;
        }
        fold_free(f);
    }
    page->inner = scope_ref(page->outer);
}

static void take_form(struct predictor *p, struct page *page, const struct plan_scrape *config)
{
    fold(p, page, config);
    page->general[INNER] = group_ref(p, config, page->inner->names, page->fold ? page->fold->f.remaining_id : 0);
    page->general[OUTER] = page->fold ? group_ref(p, config, page->outer->names, 0) : 0;
    page->scoped[INNER] = 0;
    page->scoped[OUTER] = 0;
}

static void drop_form(struct predictor *p, struct page *page)
{
    group_unref(p, page->general[INNER]);
    if (page->general[OUTER])
        group_unref(p, page->general[OUTER]);
    scope_unref(p->scopes, page->inner);
    fold_free(page->fold);
    page->fold = NULL;
}

void page_init(struct predictor *p, struct page *page, const struct plan_scrape *config, struct scope *scope)
{
    *page = (struct page){.last_ms = INT64_MIN};
    page->outer = scope_ref(scope);
    take_form(p, page, config);
    page->seen_inner = scope_ref(page->inner);
}

void page_shape(struct predictor *p, struct page *page, const struct plan_scrape *config, bool fresh)
{
    struct page old = *page;

    page->fold = NULL;
    take_form(p, page, config);
    for (int way = INNER; way <= OUTER; way++) {
        if (page->general[way] == old.general[way])
            page->scoped[way] = old.scoped[way];
    }
    drop_form(p, &old);
    page->fresh |= fresh;
}

void page_adopt(struct predictor *p, struct page *to, struct page *from)
{
    to->positions = from->positions;
    to->n = from->n;
    to->stamped = from->stamped;
    to->latest = from->latest;
    to->limit = from->limit;
    to->converted = from->converted;
    to->last_ms = from->last_ms;
    to->marked = from->marked;
    to->fresh = true;
    scope_unref(p->scopes, to->seen_inner);
    to->seen_inner = scope_ref(from->seen_inner);
    from->positions = NULL;
    from->n = 0;
    from->stamped = NULL;
    from->latest = NULL;
    from->limit = NULL;
    page_release(p, from);
}

void page_release(struct predictor *p, struct page *page)
{
    struct intern_view view = intern_view(p->intern);

    for (uint32_t i = 0; i < page->n; i++)
        intern_unref(&view, page->positions[i] & POSITION_ID);
    free(page->positions);
    stamped_free(p, page->stamped);
    exemplars_free(p, page->latest);
    series_limit_free(page->limit);
    drop_form(p, page);
    scope_unref(p->scopes, page->seen_inner);
    scope_unref(p->scopes, page->outer);
    *page = (struct page){0};
}

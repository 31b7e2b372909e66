/* blocks: which comments the samples of a batch stand under, for sinks that send TYPE, HELP and UNIT beside them.
 *
 *   # TYPE a ..   a 1   a 2   # TYPE b ..   b 1   (end)   stale a, up, ...
 *   block 0, A                block 2, B          block 3, none
 *
 * A block costs one entry where its comments stand: nothing is done for a sample. The lists are by way, like those of
 * the samples; comments stand above the samples of both. What leaves samples out afterwards (duplicates, refused
 * timestamps) walks the list through a struct thinning, which keeps the borders where they belong.
 */
#include "base/mem.h"
#include "source/scrape/predict_int.h"

static void note(struct predictor *p, enum way way, uint32_t comments)
{
    struct block_list *list = &p->blocks[way];
    uint32_t first = (uint32_t)p->samples[way].n;

    if (list->n == 0 || list->v[list->n - 1].first != first) {
        list->v = mem_grow(list->v, &list->cap, list->n + 1, sizeof(*list->v));
        list->n++;
    }
    list->v[list->n - 1] = (struct batch_block){first, comments};
}

void blocks_note(struct reading *r, uint32_t comments)
{
    note(r->p, INNER, comments);
    if (UNLIKELY(r->page->fold))
        note(r->p, OUTER, comments);
}

struct thinning thinning_begin(struct predictor *p, enum way way, size_t from)
{
    struct thinning t = {&p->samples[way], &p->blocks[way], from, from, 0};

    while (t.block < t.blocks->n && t.blocks->v[t.block].first < from)
        t.block++;
    return t;
}

struct sample *thinning_next(struct thinning *t)
{
    while (t->block < t->blocks->n && t->blocks->v[t->block].first <= t->from)
        t->blocks->v[t->block++].first = (uint32_t)t->to;
    return t->from < t->samples->n ? &t->samples->v[t->from++] : NULL;
}

void thinning_keep(struct thinning *t, const struct sample *s)
{
    t->samples->v[t->to++] = *s;
}

void thinning_end(struct thinning *t)
{
    for (; t->block < t->blocks->n; t->block++)
        t->blocks->v[t->block].first = (uint32_t)t->to;
    t->samples->n = t->to;
}

/* series_limit: at most so many different series of a target in 24 hours (vmagent's series_limit, counted exactly).
 *
 *   set of label-set hashes     { known since the day began }     full: a series that is not in it is left out
 *
 * A series costs 8 bytes and its place in a map, about 25 in all; none is kept for a target without a limit. Only a
 * series that is new on the page is looked up. A day begins when the limit is set and 24 hours after the last one
 * began: then the series of the next page are the first ones in. What a page that is refused brought is taken back.
 */
#include <stdlib.h>

#include "source/scrape/predict_int.h"

#define DAY_MS ((int64_t)24 * 60 * 60 * 1000)

struct series_limit {
    uint64_t max;
    uint64_t *hashes;
    size_t n, cap, settled; /* settled: of pages that were good */
    struct map map;
    int64_t since_ms;
};

struct series_key {
    const struct series_limit *l;
    uint64_t hash;
};

static bool same_series(const void *ctx, uint32_t index)
{
    const struct series_key *key = ctx;

    return key->l->hashes[index] == key->hash;
}

void series_limit_free(struct series_limit *l)
{
    if (!l)
        return;
    free(l->hashes);
    map_release(&l->map);
    free(l);
}

bool series_limit_begin(struct page *page, uint64_t max, int64_t now_ms)
{
    struct series_limit *l = page->limit;

    if (max == 0) {
        series_limit_free(l);
        page->limit = NULL;
        return l != NULL;
    }
    bool same_day = l && now_ms >= l->since_ms && now_ms - l->since_ms < DAY_MS;
    if (same_day && l->max == max)
        return false;
    series_limit_free(l);
    page->limit = NEW(struct series_limit);
    page->limit->max = max;
    page->limit->since_ms = now_ms;
    return true;
}

bool series_limit_allows(struct series_limit *l, uint64_t hash)
{
    struct series_key key = {l, hash};

    if (map_find(&l->map, hash, same_series, &key) != MAP_NONE)
        return true;
    if (l->n >= l->max)
        return false;
    l->hashes = mem_grow(l->hashes, &l->cap, l->n + 1, sizeof(*l->hashes));
    l->hashes[l->n] = hash;
    map_add(&l->map, hash, (uint32_t)l->n++);
    return true;
}

void series_limit_settle(struct series_limit *l, bool good)
{
    if (!l)
        return;
    while (!good && l->n > l->settled) {
        l->n--;
        map_remove(&l->map, l->hashes[l->n], (uint32_t)l->n);
    }
    l->settled = l->n;
}

/* exemplars: which of those that a page shows were not there last time.
 *
 * A target shows a bucket's exemplar until it has a better one, for hours if need be. The agent sends one when it
 * differs from the one that it sent last for the series; so it remembers one for each series that ever had any:
 *
 *   page->latest   map: metric id -> { time, value, hash of the labels, hash of the text }     NULL for most targets
 *
 * Two are equal when labels and value are, and the time, if either has one of its own (model/exemplar: Equals). A line
 * of OpenMetrics whose exemplar has the same bytes is not even parsed. A native histogram shows several, all with
 * times: of these only what is newer than the last one sent goes on. (The original compares each with the last alone,
 * and sends all but one of them again at every scrape, for the receiver to refuse.)
 *
 * Refused are those with more than 128 characters of labels or a label twice. Labels without a value are left out.
 *
 * What is to be sent lies in the batch's arena; what was sent is noted at the page's end, when its samples are certain.
 * An entry holds a reference to its metric, and goes when it was not seen for an hour.
 */
#include <stdlib.h>

#include "base/hash.h"
#include "base/quote.h"
#include "source/scrape/predict_int.h"

#define RUNES_MAX      128u
#define EVICT_EVERY_MS (10 * 60 * 1000)
#define KEEP_MS        (60 * 60 * 1000)

struct latest {
    uint32_t metric;
    bool has_ts;
    int64_t ts_ms, seen_ms;
    double value;
    uint64_t labels, text; /* hashes; text 0: it was not read from one */
};

struct latest_exemplars {
    struct map map;
    struct latest *v;
    size_t n, cap;
    int64_t evicted_ms;
};

static uint64_t hash_id(uint32_t id)
{
    return (id + 1) * 0x9e3779b97f4a7c15ULL;
}

struct latest_key {
    const struct latest_exemplars *list;
    uint32_t metric;
};

static bool same_metric(const void *ctx, uint32_t index)
{
    const struct latest_key *key = ctx;

    return key->list->v[index].metric == key->metric;
}

static struct latest *find(const struct reading *r, uint32_t metric)
{
    struct latest_key key = {r->page->latest, metric};
    uint32_t at = key.list ? map_find(&key.list->map, hash_id(metric), same_metric, &key) : MAP_NONE;

    if (at == MAP_NONE)
        return NULL;
    key.list->v[at].seen_ms = r->in->ts_ms;
    return &key.list->v[at];
}

/* ---- what is sent ------------------------------------------------------------------------------------------------ */

static size_t count_runes(struct str s)
{
    size_t n = 0;
    uint32_t rune;

    for (size_t at = 0; at < s.n; n++) {
        size_t width = quote_rune(s, at, &rune);
        at += width ? width : 1;
    }
    return n;
}

/* False: too long, or a label twice. Labels are sorted. */
static bool check_labels(struct labels *l, struct arena *a)
{
    struct label *v = ARENA_ARRAY(a, struct label, l->n + 1);
    uint32_t n = 0;
    size_t runes = 0;

    for (uint32_t i = 0; i < l->n; i++) {
        if (l->v[i].value.n == 0)
            continue;
        if (n > 0 && str_eq(v[n - 1].name, l->v[i].name))
            return false;
        runes += count_runes(l->v[i].name) + count_runes(l->v[i].value);
        v[n++] = l->v[i];
    }
    *l = (struct labels){v, n};
    return runes <= RUNES_MAX;
}

static bool same_exemplar(const struct latest *last, const struct exemplar *e)
{
    if ((last->has_ts || e->has_ts) && last->ts_ms != e->ts_ms)
        return false;
    return last->value == e->value && last->labels == labels_hash(e->labels);
}

static bool older(const struct latest *last, const struct exemplar *e)
{
    return e->ts_ms < last->ts_ms || (e->ts_ms == last->ts_ms && e->value < last->value);
}

void exemplars_of_line(struct reading *r, uint32_t metric, struct str text, struct extras *x)
{
    struct predictor *p = r->p;
    const struct latest *last = find(r, metric);
    uint64_t hash = hash_bytes(text) | 1;
    struct exposition_exemplar from;

    if (last && last->text == hash)
        return;
    struct exemplar *e = ARENA_NEW(&p->held, struct exemplar);
    if (exposition_exemplar(text, &p->held, &from) != OK || !check_labels(&from.labels, &p->held)) {
        counter_inc(p->counters.bad_exemplars);
        return;
    }
    *e = (struct exemplar){from.labels, from.value, from.has_ts ? from.ts_ms : r->in->ts_ms, from.has_ts};
    if (!from.has_ts && x->own_time)
        e->ts_ms = x->ts_ms;
    if (last && same_exemplar(last, e))
        return;
    x->exemplars = e;
    x->n_exemplars = 1;
    x->text = hash;
}

void exemplars_of_series(struct reading *r, uint32_t metric, const struct exemplar *v, uint32_t n, struct extras *x)
{
    struct predictor *p = r->p;
    const struct latest *last = find(r, metric);
    struct exemplar *kept = ARENA_ARRAY(&p->held, struct exemplar, n);
    uint32_t n_kept = 0;

    for (uint32_t i = 0; i < n; i++) {
        struct exemplar e = v[i];
        if (!check_labels(&e.labels, &p->held)) {
            counter_inc(p->counters.bad_exemplars);
            continue;
        }
        if (!e.has_ts)
            e.ts_ms = x->own_time ? x->ts_ms : r->in->ts_ms;
        if (last && (same_exemplar(last, &e) || (x->histogram && older(last, &e))))
            continue;
        kept[n_kept++] = e;
    }
    x->exemplars = kept;
    x->n_exemplars = n_kept;
}

/* ---- what was sent ----------------------------------------------------------------------------------------------- */

static void note(struct reading *r, uint32_t metric, const struct exemplar *e, uint64_t text)
{
    struct page *page = r->page;
    struct latest *last = find(r, metric);

    if (!last) {
        if (!page->latest) {
            page->latest = NEW(struct latest_exemplars);
            page->latest->evicted_ms = r->in->ts_ms;
        }
        struct latest_exemplars *l = page->latest;
        l->v = mem_grow(l->v, &l->cap, l->n + 1, sizeof(*l->v));
        map_add(&l->map, hash_id(metric), (uint32_t)l->n);
        last = &l->v[l->n++];
        intern_ref(&r->view, metric);
    }
    *last = (struct latest){metric, e->has_ts, e->ts_ms, r->in->ts_ms, e->value, labels_hash(e->labels), text};
}

static void note_all(struct reading *r, const struct sample_list *list)
{
    struct predictor *p = r->p;

    for (size_t i = 0; i < list->n; i++) {
        if (list->v[i].side == SIDE_NONE)
            continue;
        const struct sample_side *side = &p->sides[list->v[i].side];
        if (side->n_exemplars == 0)
            continue;
        uint32_t at = side->exemplar + side->n_exemplars - 1;
        note(r, list->v[i].metric, &p->exemplars.v[at], p->exemplars.text[at]);
        counter_add(p->counters.exemplars, side->n_exemplars);
    }
}

static void evict(struct reading *r)
{
    struct latest_exemplars *l = r->page->latest;
    size_t kept = 0;

    if (!l || r->in->ts_ms - l->evicted_ms < EVICT_EVERY_MS)
        return;
    l->evicted_ms = r->in->ts_ms;
    map_clear(&l->map);
    for (size_t i = 0; i < l->n; i++) {
        if (r->in->ts_ms - l->v[i].seen_ms > KEEP_MS) {
            intern_unref(&r->view, l->v[i].metric);
            continue;
        }
        l->v[kept] = l->v[i];
        map_add(&l->map, hash_id(l->v[kept].metric), (uint32_t)kept);
        kept++;
    }
    l->n = kept;
    if (kept == 0) {
        exemplars_free(r->p, l);
        r->page->latest = NULL;
    }
}

void exemplars_commit(struct reading *r)
{
    if (r->p->exemplars.n > 0) {
        note_all(r, &r->p->samples[RUN_INNER]);
        note_all(r, &r->p->samples[RUN_OUTER]);
    }
    evict(r);
}

void exemplars_free(struct predictor *p, struct latest_exemplars *l)
{
    struct intern_view view = intern_view(p->intern);

    if (!l)
        return;
    for (size_t i = 0; i < l->n; i++)
        intern_unref(&view, l->v[i].metric);
    map_release(&l->map);
    free(l->v);
    free(l);
}

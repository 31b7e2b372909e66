/* stamped: series that bring timestamps of their own.
 *
 * A receiver refuses a whole request for one sample that repeats a time or steps back, the neighbours' samples with it.
 * Prometheus' agent therefore keeps every series' last timestamp; leadline keeps it only for the series that ever had
 * one of their own, since the others have the batch's, which only grows:
 *
 *   page->stamped   map: metric id -> { last_ms, seen_ms }       NULL for nearly all targets
 *
 * A sample is refused, and counted, when its time is not after the last one; so is one more than ten minutes ahead of
 * the clock, and one more than an hour behind it that was taken before this process began (the agent sends nothing from
 * before its start). Within one page times must grow as well: the receiver will not take them otherwise. On a page with
 * such series those that get a stale marker have an entry too, since they may come back with a time of their own. An
 * entry that was not seen for an hour goes, as the agent's series do; until then the entry holds a reference, so that
 * its id means the same metric.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "source/scrape/predict_int.h"

#define AHEAD_MS       (10 * 60 * 1000)
#define BEHIND_MS      (60 * 60 * 1000)
#define EVICT_EVERY_MS (10 * 60 * 1000)
#define KEEP_MS        (60 * 60 * 1000)

struct stamped_entry {
    uint32_t metric;
    int64_t last_ms; /* the latest timestamp sent */
    int64_t seen_ms; /* of the batch */
};

struct stamped {
    struct map map;
    struct stamped_entry *v;
    size_t n, cap;
    int64_t evicted_ms;
};

static uint64_t hash_id(uint32_t id)
{
    return (id + 1) * 0x9e3779b97f4a7c15ULL;
}

struct stamped_key {
    const struct stamped *s;
    uint32_t metric;
};

static bool same_metric(const void *ctx, uint32_t index)
{
    const struct stamped_key *key = ctx;

    return key->s->v[index].metric == key->metric;
}

static struct stamped_entry *find(const struct stamped *s, uint32_t metric)
{
    struct stamped_key key = {s, metric};
    uint32_t at = s ? map_find(&s->map, hash_id(metric), same_metric, &key) : MAP_NONE;

    return at == MAP_NONE ? NULL : &s->v[at];
}

static struct stamped_entry *add_to(struct stamped *s, struct intern_view *view, uint32_t metric, int64_t last_ms,
                                    int64_t seen_ms)
{
    s->v = mem_grow(s->v, &s->cap, s->n + 1, sizeof(*s->v));
    s->v[s->n] = (struct stamped_entry){metric, last_ms, seen_ms};
    map_add(&s->map, hash_id(metric), (uint32_t)s->n);
    intern_ref(view, metric);
    return &s->v[s->n++];
}

static struct stamped_entry *add(struct reading *r, uint32_t metric, int64_t last_ms)
{
    struct page *page = r->page;

    if (!page->stamped) {
        page->stamped = NEW(struct stamped);
        page->stamped->evicted_ms = r->in->ts_ms;
    }
    return add_to(page->stamped, &r->view, metric, last_ms, r->in->ts_ms);
}

void stamped_note(struct reading *r, uint32_t metric)
{
    if (!find(r->page->stamped, metric))
        add(r, metric, r->page->last_ms);
}

bool stamped_allows_marker(struct predictor *p, struct page *page, uint32_t metric, int64_t ts_ms)
{
    struct stamped_entry *e = find(page->stamped, metric);
    struct intern_view view = intern_view(p->intern);

    if (!e) {
        if (page->stamped)
            add_to(page->stamped, &view, metric, ts_ms, ts_ms);
        return true;
    }
    if (ts_ms <= e->last_ms)
        return false;
    e->last_ms = ts_ms;
    return true;
}

/* From before this process, and older than Prometheus' own storage and Amazon's take. */
static bool is_ancient(const struct reading *r, int64_t ts_ms)
{
    return ts_ms < r->p->started_ms && ts_ms < r->in->now_ms - BEHIND_MS;
}

/* A series of an unchanged page that has no entry had the batch's time until now (track_timestamps_staleness). */
static bool allows(struct reading *r, const struct sample *sample)
{
    struct stamped_entry *e = find(r->page->stamped, sample->metric);
    int64_t ts_ms = r->in->ts_ms;

    if (!has_own_time(r->p, sample)) {
        if (!e)
            return true;
    } else {
        ts_ms = r->p->sides[sample->side].ts_ms;
        if (ts_ms > r->in->now_ms + AHEAD_MS || is_ancient(r, ts_ms)) {
            r->out_of_bounds++;
            return false;
        }
        if (!e)
            e = add(r, sample->metric, r->diverged ? INT64_MIN : r->page->last_ms);
    }
    e->seen_ms = r->in->ts_ms;
    if (ts_ms <= e->last_ms) {
        r->out_of_order++;
        return false;
    }
    e->last_ms = ts_ms;
    return true;
}

static void evict(struct reading *r)
{
    struct stamped *s = r->page->stamped;
    size_t kept = 0;

    if (!s || r->in->ts_ms - s->evicted_ms < EVICT_EVERY_MS)
        return;
    s->evicted_ms = r->in->ts_ms;
    map_clear(&s->map);
    for (size_t i = 0; i < s->n; i++) {
        if (r->in->ts_ms - s->v[i].seen_ms > KEEP_MS) {
            intern_unref(&r->view, s->v[i].metric);
            continue;
        }
        s->v[kept] = s->v[i];
        map_add(&s->map, hash_id(s->v[kept].metric), (uint32_t)kept);
        kept++;
    }
    s->n = kept;
    if (kept == 0) {
        stamped_free(r->p, s);
        r->page->stamped = NULL;
    }
}

void stamped_filter(struct reading *r)
{
    for (int way = INNER; way <= OUTER; way++) {
        struct thinning list = thinning_begin(r->p, (enum way)way, 0);
        const struct sample *s;
        while ((s = thinning_next(&list))) {
            if (allows(r, s))
                thinning_keep(&list, s);
        }
        thinning_end(&list);
    }
    evict(r);
}

void stamped_free(struct predictor *p, struct stamped *s)
{
    struct intern_view view = intern_view(p->intern);

    if (!s)
        return;
    for (size_t i = 0; i < s->n; i++)
        intern_unref(&view, s->v[i].metric);
    map_release(&s->map);
    free(s->v);
    free(s);
}

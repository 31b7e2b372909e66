/* reading: what the formats share while a page is read.
 *
 *   the line stands where it stood     reading_take_again      no look-up at all
 *   it stands elsewhere                reading_identify        by hash; the old array goes on behind it
 *   nobody has exposed it yet          reading_identify        labels parsed, mapped (shape/metric_map.h), interned
 *
 * What few samples have (a time of their own, a start, exemplars, a histogram) comes as struct extras and becomes a
 * side of the sample; a sample without them has none and takes the sinks' fast ways.
 */
#include "base/mem.h"
#include "format/histogram_buckets.h"
#include "source/scrape/predict_int.h"

#define RESYNC_AHEAD   8u
#define HOPELESS_SLACK 1000u

/* ---- the array --------------------------------------------------------------------------------------------------- */

bool reading_owns(const struct reading *r, uint32_t context, enum way way)
{
    uint32_t group = context & ~(CONTEXT_GROUP - 1);

    return LIKELY(group == r->page->general[way]) || group == r->page->scoped[way];
}

void reading_diverge(struct reading *r)
{
    struct predictor *p = r->p;

    if (r->diverged)
        return;
    p->positions = mem_grow(p->positions, &p->cap_positions, r->at + 1, sizeof(*p->positions));
    if (r->at)
        memcpy(p->positions, r->page->positions, sizeof(*p->positions) * r->at);
    p->n_positions = r->at;
    r->diverged = true;
    r->same = r->at;
    r->settled[INNER] = p->samples[RUN_INNER].n;
    r->settled[OUTER] = p->samples[RUN_OUTER].n;
}

void reading_put(struct reading *r, uint32_t position)
{
    struct predictor *p = r->p;

    p->positions = mem_grow(p->positions, &p->cap_positions, p->n_positions + 1, sizeof(*p->positions));
    p->positions[p->n_positions++] = position;
}

void reading_resync(struct reading *r, uint32_t id)
{
    for (uint32_t k = r->at; k < r->page->n && k <= r->at + RESYNC_AHEAD; k++) {
        if ((r->page->positions[k] & POSITION_ID) == id) {
            r->at = k + 1;
            return;
        }
    }
}

/* ---- samples ----------------------------------------------------------------------------------------------------- */

static uint32_t keep_exemplars(struct predictor *p, const struct extras *x)
{
    struct exemplar_list *list = &p->exemplars;
    uint32_t first = (uint32_t)list->n;

    list->v = mem_grow(list->v, &list->cap, list->n + x->n_exemplars, sizeof(*list->v));
    list->text = mem_grow(list->text, &list->cap_text, list->n + x->n_exemplars, sizeof(*list->text));
    for (uint32_t i = 0; i < x->n_exemplars; i++) {
        list->text[list->n] = x->text;
        list->v[list->n++] = x->exemplars[i];
    }
    return first;
}

static void add_side(struct predictor *p, struct sample *to, const struct extras *x)
{
    struct sample_side *side = sample_side(p, to);

    if (x->own_time)
        side->ts_ms = x->ts_ms == SIDE_BATCH_TIME ? x->ts_ms + 1 : x->ts_ms;
    side->start_ms = x->start_ms;
    side->n_exemplars = x->n_exemplars;
    if (x->n_exemplars)
        side->exemplar = keep_exemplars(p, x);
}

static void emit(struct reading *r, uint32_t position, double value, const struct extras *x,
                 const struct histogram *histogram)
{
    struct predictor *p = r->p;
    struct sample *to = sample_append(p, (enum run_of)position_way(position), position & POSITION_ID, value);

    if (!x || (!x->own_time && !x->start_ms && !x->n_exemplars && !histogram))
        return;
    add_side(p, to, x);
    r->stamped |= x->own_time;
    if (!histogram)
        return;
    struct histogram_list *list = &p->histograms;
    list->v = mem_grow(list->v, &list->cap, list->n + 1, sizeof(*list->v));
    p->sides[to->side].histogram = (uint32_t)list->n;
    list->v[list->n++] = *histogram;
    counter_inc(p->counters.histograms);
}

/* A histogram over the bucket limit fails the scrape at its end: until then everything is counted. */
static enum err prepare(struct reading *r, struct histogram *h, struct diag *d)
{
    const struct plan_scrape *config = r->in->config;
    struct diag unused = {0};

    if (r->max_schema == INT32_MIN)
        r->max_schema = histogram_schema_for_factor(config->native_histogram_min_bucket_factor);
    enum err err =
        histogram_prepare(h, r->max_schema, config->native_histogram_bucket_limit, &r->p->held, d ? d : &unused);
    if (err != ERR_LIMIT)
        return err;
    r->over_buckets = true;
    return OK;
}

enum err reading_take(struct reading *r, uint32_t position, double value, const struct extras *x, bool dropped,
                      struct diag *d)
{
    struct histogram histogram;
    bool has_histogram = x && x->histogram;

    if (x && x->own_time && !r->in->config->track_timestamps_staleness)
        position |= POSITION_UNTRACKED;
    if (r->diverged)
        reading_put(r, position);
    r->result.scraped++;
    if (dropped)
        return OK;
    if (has_histogram) {
        histogram = *x->histogram;
        enum err err = prepare(r, &histogram, d);
        if (err != OK)
            return err;
    }
    r->result.relabelled++;
    emit(r, position, value, x, has_histogram ? &histogram : NULL);
    return OK;
}

enum err reading_take_again(struct reading *r, double value, const struct extras *x, struct diag *d)
{
    uint32_t position = r->page->positions[r->at];
    bool own_time = x && x->own_time;
    bool untracked = own_time && !r->in->config->track_timestamps_staleness;
    enum err err = OK;

    if (UNLIKELY(untracked != !!(position & POSITION_UNTRACKED)))
        reading_diverge(r);
    bool limited = !r->diverged && (position & POSITION_LIMITED);
    bool duplicate = !r->diverged && (position & POSITION_DUPLICATE) && !own_time;
    if (limited || duplicate) {
        r->result.limited += limited;
        r->duplicates += duplicate;
        r->result.scraped++;
        r->result.relabelled++;
    } else {
        bool dropped = intern_get(&r->view, position & POSITION_ID)->flags & METRIC_DROPPED;
        err = reading_take(r, position & (POSITION_ID | POSITION_ASIDE), value, x, dropped, d);
    }
    r->at++;
    return err;
}

/* ---- misses ------------------------------------------------------------------------------------------------------ */

/* Typed or not is a property of the bytes, so at most one of the two is there. */
static uint32_t find_in_group(const struct reading *r, const struct line *line, uint32_t group)
{
    uint32_t id = intern_find(r->p->intern, line->hash, line->raw, group | line->suffix);

    if (id != METRIC_NONE || line->typed_suffix == line->suffix)
        return id;
    return intern_find(r->p->intern, line->hash, line->raw, group | line->typed_suffix);
}

uint32_t reading_find(const struct reading *r, const struct line *line)
{
    for (int way = INNER; way <= (r->page->fold ? OUTER : INNER); way++) {
        uint32_t id = find_in_group(r, line, r->page->general[way]);
        if (id != METRIC_NONE && intern_get(&r->view, id)->flags & METRIC_SCOPED)
            id = r->page->scoped[way] ? find_in_group(r, line, r->page->scoped[way]) : METRIC_NONE;
        if (id != METRIC_NONE)
            return id | (way == OUTER ? POSITION_ASIDE : 0);
    }
    return METRIC_NONE;
}

static enum err add_metric(struct reading *r, const struct line *line, uint32_t context, struct labels labels,
                           uint16_t flags, uint32_t *id, struct diag *d)
{
    *id = intern_add(r->p->intern, line->hash, line->raw, context, labels, flags);
    if (*id == METRIC_NONE || *id > POSITION_ID)
        return diag_set(d, ERR_LIMIT, "a line of %zu bytes with %u labels is more than leadline takes", line->raw.n,
                        labels.n);
    r->view = intern_view(r->p->intern);
    return OK;
}

/* In the general group a metric whose map read a scope's value is only a signpost to the scoped one. */
static enum err add_scoped(struct reading *r, const struct line *line, uint32_t suffix, enum way way,
                           struct labels labels, uint16_t flags, uint32_t *id, struct diag *d)
{
    uint32_t general = r->page->general[way] | suffix;
    enum err err = OK;

    if (intern_find(r->p->intern, line->hash, line->raw, general) == METRIC_NONE)
        err = add_metric(r, line, general, (struct labels){NULL, 0}, METRIC_SCOPED, id, d);
    if (err != OK)
        return err;
    uint32_t scoped = page_scoped_group(r->p, r->page, way) | suffix;
    *id = intern_find(r->p->intern, line->hash, line->raw, scoped);
    return *id == METRIC_NONE ? add_metric(r, line, scoped, labels, flags, id, d) : OK;
}

/* A line that nobody has exposed yet under these rules: parsed, mapped, interned. */
static enum err add_series(struct reading *r, const struct line *line, uint32_t *position, bool *dropped,
                           struct diag *d)
{
    struct predictor *p = r->p;
    const struct page *page = r->page;
    struct labels labels;
    struct metric_mapped mapped;
    bool typed = false;

    arena_reset(&p->arena);
    enum err err = line->labels(r, line, &labels, &typed, d);
    if (err != OK)
        return err;
    enum way way = page->fold && !metric_map_folds(&page->fold->f, labels) ? OUTER : INNER;
    struct metric_map map = {
        .honor_labels = r->in->config->honor_labels,
        .legacy_names = r->in->config->name_validation == NAMES_LEGACY,
        .rules = page->fold && way == INNER ? &page->fold->f.remaining : r->in->config->metric_relabel,
    };
    const struct scope *scope = way == INNER ? page->inner : page->outer;
    enum metric_map_result result = metric_map_run(&map, labels, scope->labels, &p->arena, &mapped, d);
    if (result == MAP_ERROR)
        return ERR_SYNTAX;
    *dropped = result == MAP_DROPPED;
    *position = METRIC_NONE;
    if (r->hopeless)
        return OK;

    uint32_t suffix = typed ? line->typed_suffix : line->suffix;
    uint16_t flags = line->flags | (*dropped ? METRIC_DROPPED : 0);
    struct labels own = *dropped ? (struct labels){NULL, 0} : mapped.labels;
    uint32_t id = METRIC_NONE;
    if (mapped.read_scope)
        err = add_scoped(r, line, suffix, way, own, flags, &id, d);
    else
        err = add_metric(r, line, page->general[way] | suffix, own, flags, &id, d);
    *position = id | (way == OUTER ? POSITION_ASIDE : 0);
    return err;
}

enum err reading_identify(struct reading *r, const struct line *line, uint32_t *position, bool *dropped, struct diag *d)
{
    *position = reading_find(r, line);
    if (*position == METRIC_NONE)
        return add_series(r, line, position, dropped, d);
    *dropped = intern_get(&r->view, *position & POSITION_ID)->flags & METRIC_DROPPED;
    reading_resync(r, *position & POSITION_ID);
    return OK;
}

void reading_note_size(struct reading *r)
{
    uint64_t limit = r->in->config->sample_limit;

    r->hopeless |= limit && r->p->samples[RUN_INNER].n + r->p->samples[RUN_OUTER].n > 2 * limit + HOPELESS_SLACK;
}

/* ---- comments ---------------------------------------------------------------------------------------------------- */

enum err reading_new_comments(struct reading *r, struct str raw, uint32_t context, uint32_t *id, struct diag *d)
{
    struct line line = {.raw = raw, .hash = intern_hash(raw)};

    *id = intern_find(r->p->intern, line.hash, raw, context);
    if (*id == METRIC_NONE)
        return add_metric(r, &line, context, (struct labels){NULL, 0}, METRIC_COMMENT, id, d);
    reading_resync(r, *id);
    return OK;
}

void reading_comments(struct reading *r, uint32_t id)
{
    if (r->diverged)
        reading_put(r, id);
    blocks_note(r, id);
}

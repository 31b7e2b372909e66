/* predict: reading an exposition that is nearly the one of last time.
 *
 *   old array   [ # HELP a.. | a{x="1"} | a{x="2"} | # HELP b.. | b ]
 *   body          # HELP a..   a{x="1"}   a{x="3"}   # HELP b..   b        bytes compared, value parsed
 *                      =           =          |           =       =
 *                                             `- miss: parsed, looked up by hash, else mapped and interned;
 *                                                then the old array is searched a few places ahead
 *
 * While everything matches, nothing is written but the samples: no hash, no label, no set. At the first difference the
 * reading *diverges*: a new array is written from there on, and what only the whole page can tell (duplicates, what is
 * new, what is gone) is settled at its end (settle.c). A page that ends sooner than the old array diverges at its end.
 *
 * A match means: the same bytes, interned under a context of this page, of this format, and, where the type is part of
 * the metric's labels (`le`, `quantile`), under the TYPE now in force. Comment blocks are entries like series, so that
 * a TYPE line in front of known series is never missed.
 *
 * Nothing is committed before the last byte has been read: a page that fails leaves samples and array as they were, and
 * the metrics that it brought are swept.
 *
 * Hot loop: about 25 ns a sample, of which half is the value. One worker's thread.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/quote.h"
#include "source/scrape/predict_int.h"

#define RESYNC_AHEAD   8u
#define TRIM_EVERY     256u
#define TRIM_KEEP      4096u
#define HOPELESS_SLACK 1000u

/* ---- the worker's part ------------------------------------------------------------------------------------------- */

static void make_counters(struct predictor *p, struct counters *set)
{
    struct predict_counters *c = &p->counters;

    c->samples = counter_new(set, COUNTER_TOTAL, "leadline_scrape_samples_total",
                             "Samples read from targets, before metric relabelling.", NULL, 0);
    c->predicted = counter_new(set, COUNTER_TOTAL, "leadline_scrape_lines_predicted_total",
                               "Series lines and comment blocks that were the ones of the last scrape.", NULL, 0);
    c->parsed = counter_new(set, COUNTER_TOTAL, "leadline_scrape_lines_parsed_total",
                            "Series lines and comment blocks that had to be parsed.", NULL, 0);
    c->stale = counter_new(set, COUNTER_TOTAL, "leadline_scrape_stale_markers_total",
                           "Stale markers made for series that are gone.", NULL, 0);
    c->duplicate =
        counter_new(set, COUNTER_TOTAL, "prometheus_target_scrapes_sample_duplicate_timestamp_total",
                    "Total number of samples rejected due to duplicate timestamps but different values.", NULL, 0);
    c->out_of_order =
        counter_new(set, COUNTER_TOTAL, "prometheus_target_scrapes_sample_out_of_order_total",
                    "Total number of samples rejected due to not being out of the expected order.", NULL, 0);
    c->out_of_bounds =
        counter_new(set, COUNTER_TOTAL, "prometheus_target_scrapes_sample_out_of_bounds_total",
                    "Total number of samples rejected due to timestamp falling outside of the time bounds.", NULL, 0);
    c->over_sample_limit = counter_new(set, COUNTER_TOTAL, "prometheus_target_scrapes_exceeded_sample_limit_total",
                                       "Total number of scrapes that hit the sample limit and were rejected.", NULL, 0);
    c->over_label_limits =
        counter_new(set, COUNTER_TOTAL, "prometheus_target_scrape_pool_exceeded_label_limits_total",
                    "Total number of times scrape pools hit the label limits, during sync or config reload.", NULL, 0);
}

void predictor_init(struct predictor *p, struct intern *in, struct scope_table *scopes, struct log *log,
                    struct counters *set)
{
    *p = (struct predictor){.intern = in, .scopes = scopes, .log = log, .set = set, .next_group = CONTEXT_FIRST_GROUP};
    p->started_ms = clock_wall_ms();
    make_counters(p, set);
}

static void free_scratch(struct predictor *p)
{
    for (int i = 0; i < RUNS; i++) {
        free(p->samples[i].v);
        p->samples[i] = (struct sample_list){0};
    }
    for (int way = INNER; way <= OUTER; way++) {
        free(p->blocks[way].v);
        p->blocks[way] = (struct block_list){0};
    }
    free(p->sides);
    free(p->positions);
    p->sides = NULL;
    p->positions = NULL;
    p->n_sides = p->cap_sides = p->n_positions = p->cap_positions = 0;
    arena_release(&p->arena);
}

void predictor_release(struct predictor *p)
{
    struct counter *const cells[] = {
        p->counters.samples,       p->counters.predicted,         p->counters.parsed,
        p->counters.stale,         p->counters.duplicate,         p->counters.out_of_order,
        p->counters.out_of_bounds, p->counters.over_sample_limit, p->counters.over_label_limits};

    for (size_t i = 0; i < COUNT_OF(cells); i++)
        counter_release(p->set, cells[i]);
    if (p->leaving)
        scope_unref(p->scopes, p->leaving);
    free_scratch(p);
    free(p->contexts);
    map_release(&p->contexts_by_key);
    *p = (struct predictor){0};
}

/* What one very large page needed goes back when none like it came for a while. */
static void trim(struct predictor *p)
{
    if (++p->batches < TRIM_EVERY)
        return;
    size_t cap = p->samples[RUN_INNER].cap > p->cap_positions ? p->samples[RUN_INNER].cap : p->cap_positions;
    if (cap > TRIM_KEEP && cap / 4 > p->largest)
        free_scratch(p);
    p->batches = 0;
    p->largest = 0;
}

/* ---- samples ----------------------------------------------------------------------------------------------------- */

void predict_begin(struct predictor *p)
{
    trim(p);
    if (p->leaving)
        scope_unref(p->scopes, p->leaving);
    p->leaving = NULL;
    for (int i = 0; i < RUNS; i++)
        p->samples[i].n = 0;
    p->blocks[INNER].n = p->blocks[OUTER].n = 0;
    p->n_sides = 0;
    p->n_positions = 0;
}

struct sample *sample_append(struct predictor *p, enum run_of run, uint32_t metric, double value)
{
    struct sample_list *list = &p->samples[run];

    if (UNLIKELY(list->n == list->cap))
        list->v = mem_grow(list->v, &list->cap, list->n + 1, sizeof(*list->v));
    struct sample *s = &list->v[list->n++];
    *s = (struct sample){metric, SIDE_NONE, value};
    return s;
}

void predict_append(struct predictor *p, const struct page *page, uint32_t metric, double value)
{
    sample_append(p, page->inner == page->outer ? RUN_INNER : RUN_OUTER, metric, value);
}

void marker_append(struct predictor *p, struct page *page, uint32_t position, int64_t ts_ms)
{
    uint32_t id = position & POSITION_ID;
    enum run_of run = RUN_OUTER;

    if (!stamped_allows_marker(p, page, id, ts_ms))
        return;
    if (position_way(position) == INNER)
        run = page->seen_inner == page->inner ? RUN_INNER : RUN_SEEN;
    else if (page->inner == page->outer)
        run = RUN_INNER;
    sample_append(p, run, id, sample_from_bits(SAMPLE_STALE_BITS));
    counter_inc(p->counters.stale);
}

void predict_failed(struct predictor *p, struct page *page, int64_t ts_ms)
{
    if (!page->marked)
        settle_failed(p, page, ts_ms);
    page->marked = true;
}

/* The blocks of a run that begins at `first` in the batch, behind those of the runs before. */
static void append_blocks(struct predictor *p, int i, struct batch_run *run, uint32_t *n_blocks)
{
    struct block_list *all = &p->blocks[INNER];
    const struct block_list *own = &p->blocks[i];

    run->first_block = *n_blocks;
    if (i == RUN_SEEN || own->n == 0)
        return;
    if (i == RUN_OUTER) {
        all->v = mem_grow(all->v, &all->cap, *n_blocks + own->n, sizeof(*all->v));
        for (size_t k = 0; k < own->n; k++)
            all->v[*n_blocks + k] = (struct batch_block){own->v[k].first + run->first, own->v[k].metric};
    }
    run->n_blocks = (uint32_t)own->n;
    *n_blocks += run->n_blocks;
}

/* The runs behind each other in the list of the first. */
struct batch predict_batch(struct predictor *p, const struct page *page, uint32_t lane, int64_t ts_ms)
{
    struct scope *scopes[RUNS] = {page->inner, page->outer, p->leaving ? p->leaving : page->seen_inner};
    struct sample_list *all = &p->samples[RUN_INNER];
    struct batch b = {.ts_ms = ts_ms, .lane = lane, .runs = p->runs};
    uint32_t first = 0;

    for (int i = 0; i < RUNS; i++) {
        const struct sample_list *list = &p->samples[i];
        uint32_t n = (uint32_t)list->n;
        if (n == 0)
            continue;
        if (i != RUN_INNER) {
            all->v = mem_grow(all->v, &all->cap, all->n + n, sizeof(*all->v));
            memcpy(&all->v[all->n], list->v, sizeof(*all->v) * n);
            all->n += n;
        }
        struct batch_run *run = &p->runs[b.n_runs++];
        *run = (struct batch_run){.scope = scopes[i], .first = first, .n = n};
        append_blocks(p, i, run, &b.n_blocks);
        first += n;
    }
    b.samples = all->v;
    b.n_samples = first;
    b.sides = p->sides;
    b.n_sides = (uint32_t)p->n_sides;
    b.blocks = p->blocks[INNER].v;
    if (all->n > p->largest)
        p->largest = all->n;
    return b;
}

/* ---- matching ---------------------------------------------------------------------------------------------------- */

static inline uint32_t kind_bits(const struct reading *r)
{
    return (uint32_t)r->e.kind << BATCH_KIND_SHIFT;
}

static inline bool context_matches(const struct reading *r, uint32_t context, enum way way)
{
    uint32_t typed = context & CONTEXT_TYPE;
    uint32_t group = context & ~(CONTEXT_GROUP - 1);

    if (UNLIKELY((context & CONTEXT_KIND) != kind_bits(r) || (typed && typed != 1 + (uint32_t)r->e.type)))
        return false;
    return LIKELY(group == r->page->general[way]) || group == r->page->scoped[way];
}

static uint32_t comments_context(const struct reading *r, int type)
{
    return CONTEXT_COMMENTS | kind_bits(r) | (type == EXPOSITION_TYPE_KEPT ? 0 : 1 + (uint32_t)type);
}

static bool match_comments(struct reading *r, uint32_t id, const struct metric *m)
{
    uint32_t typed = m->context & CONTEXT_TYPE;

    if ((m->context & CONTEXT_KIND) != kind_bits(r))
        return false;
    return exposition_predict_comments(&r->e, intern_raw(&r->view, id), typed ? (int)typed - 1 : EXPOSITION_TYPE_KEPT);
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

static void put_position(struct reading *r, uint32_t position)
{
    struct predictor *p = r->p;

    p->positions = mem_grow(p->positions, &p->cap_positions, p->n_positions + 1, sizeof(*p->positions));
    p->positions[p->n_positions++] = position;
}

/* The old array goes on behind this metric, if it is a few places ahead. */
static void resync(struct reading *r, uint32_t id)
{
    for (uint32_t k = r->at; k < r->page->n && k <= r->at + RESYNC_AHEAD; k++) {
        if ((r->page->positions[k] & POSITION_ID) == id) {
            r->at = k + 1;
            return;
        }
    }
}

static void emit(struct reading *r, uint32_t position, const struct exposition_sample *s, bool own_time)
{
    struct predictor *p = r->p;
    struct sample *to = sample_append(p, (enum run_of)position_way(position), position & POSITION_ID, s->value);

    if (LIKELY(!own_time))
        return;
    p->sides = mem_grow(p->sides, &p->cap_sides, p->n_sides + 1, sizeof(*p->sides));
    p->sides[p->n_sides] = (struct sample_side){.ts_ms = s->ts_ms, .histogram = SIDE_NONE};
    to->side = (uint32_t)p->n_sides++;
}

/* A series line whose metric is known, with its value. `position` has no flag but POSITION_ASIDE. */
static void take_series(struct reading *r, uint32_t position, const struct exposition_sample *s, bool dropped)
{
    const struct plan_scrape *config = r->in->config;
    bool own_time = s->has_ts && config->honor_timestamps;

    if (own_time && !config->track_timestamps_staleness)
        position |= POSITION_UNTRACKED;
    if (r->diverged)
        put_position(r, position);
    r->result.scraped++;
    if (dropped)
        return;
    r->result.relabelled++;
    emit(r, position, s, own_time);
}

/* The entry at the cursor is the one at r->at. */
static bool take_predicted(struct reading *r)
{
    struct exposition_sample s;
    uint32_t position = r->page->positions[r->at];
    uint32_t id = position & POSITION_ID;
    const struct metric *m = intern_get(&r->view, id);

    if (m->flags & METRIC_COMMENT) {
        if (!match_comments(r, id, m))
            return false;
        blocks_note(r, id);
        if (r->diverged)
            put_position(r, id);
        r->at++;
        return true;
    }
    if (!context_matches(r, m->context, position_way(position)) ||
        !exposition_predict_series(&r->e, intern_raw(&r->view, id)))
        return false;
    if (UNLIKELY(exposition_value(&r->e, &s, NULL) != OK)) {
        exposition_back(&r->e);
        return false;
    }
    bool own_time = s.has_ts && r->in->config->honor_timestamps;
    bool untracked = own_time && !r->in->config->track_timestamps_staleness;
    if (UNLIKELY(untracked != !!(position & POSITION_UNTRACKED)))
        reading_diverge(r);
    if (UNLIKELY(!r->diverged && (position & POSITION_DUPLICATE) && !own_time)) {
        r->duplicates++;
        r->result.scraped++;
        r->result.relabelled++;
    } else {
        take_series(r, position & (POSITION_ID | POSITION_ASIDE), &s, m->flags & METRIC_DROPPED);
    }
    r->at++;
    return true;
}

/* ---- misses ------------------------------------------------------------------------------------------------------ */

/* Typed or not is a property of the bytes, so at most one of the two is there. */
static uint32_t find_in_group(const struct reading *r, uint64_t hash, struct str raw, uint32_t group)
{
    uint32_t context = group | kind_bits(r);
    uint32_t id = intern_find(r->p->intern, hash, raw, context);

    return id != METRIC_NONE ? id : intern_find(r->p->intern, hash, raw, context + 1 + (uint32_t)r->e.type);
}

/* The position (id and way) of a metric interned before, by this target or another. */
static uint32_t find_series(const struct reading *r, uint64_t hash, struct str raw)
{
    for (int way = INNER; way <= (r->page->fold ? OUTER : INNER); way++) {
        uint32_t id = find_in_group(r, hash, raw, r->page->general[way]);
        if (id != METRIC_NONE && intern_get(&r->view, id)->flags & METRIC_SCOPED)
            id = r->page->scoped[way] ? find_in_group(r, hash, raw, r->page->scoped[way]) : METRIC_NONE;
        if (id != METRIC_NONE)
            return id | (way == OUTER ? POSITION_ASIDE : 0);
    }
    return METRIC_NONE;
}

static enum err add_metric(struct reading *r, uint64_t hash, struct str raw, uint32_t context, struct labels labels,
                           uint16_t flags, uint32_t *id, struct diag *d)
{
    *id = intern_add(r->p->intern, hash, raw, context, labels, flags);
    if (*id == METRIC_NONE || *id > POSITION_ID)
        return diag_set(d, ERR_LIMIT, "a line of %zu bytes with %u labels is more than leadline takes", raw.n,
                        labels.n);
    r->view = intern_view(r->p->intern);
    return OK;
}

/* In the general group a metric whose map read a scope's value is only a signpost to the scoped one. */
static enum err add_scoped(struct reading *r, uint64_t hash, struct str raw, uint32_t suffix, enum way way,
                           struct labels labels, uint16_t flags, uint32_t *id, struct diag *d)
{
    uint32_t general = r->page->general[way] | suffix;
    enum err err = OK;

    if (intern_find(r->p->intern, hash, raw, general) == METRIC_NONE)
        err = add_metric(r, hash, raw, general, (struct labels){NULL, 0}, METRIC_SCOPED, id, d);
    if (err != OK)
        return err;
    uint32_t scoped = page_scoped_group(r->p, r->page, way) | suffix;
    *id = intern_find(r->p->intern, hash, raw, scoped);
    return *id == METRIC_NONE ? add_metric(r, hash, raw, scoped, labels, flags, id, d) : OK;
}

/* A line that nobody has exposed yet under these rules: parsed, mapped, interned. */
static enum err add_series(struct reading *r, uint64_t hash, struct str raw, uint32_t *position, bool *dropped,
                           struct diag *d)
{
    struct predictor *p = r->p;
    const struct page *page = r->page;
    struct labels labels;
    struct metric_mapped mapped;
    bool typed;

    arena_reset(&p->arena);
    enum err err = exposition_labels(raw, r->e.kind, r->e.type, &p->arena, &labels, &typed, d);
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

    uint32_t suffix = kind_bits(r) | (typed ? 1 + (uint32_t)r->e.type : 0);
    uint16_t flags = *dropped ? METRIC_DROPPED : 0;
    struct labels own = *dropped ? (struct labels){NULL, 0} : mapped.labels;
    uint32_t id = METRIC_NONE;
    if (mapped.read_scope)
        err = add_scoped(r, hash, raw, suffix, way, own, flags, &id, d);
    else
        err = add_metric(r, hash, raw, page->general[way] | suffix, own, flags, &id, d);
    *position = id | (way == OUTER ? POSITION_ASIDE : 0);
    return err;
}

static enum err take_new_series(struct reading *r, struct str raw, struct diag *d)
{
    struct exposition_sample s;
    enum err err = exposition_value(&r->e, &s, d);

    if (err != OK)
        return err;
    uint64_t hash = intern_hash(raw);
    uint32_t position = find_series(r, hash, raw);
    bool dropped = false;
    if (position == METRIC_NONE) {
        err = add_series(r, hash, raw, &position, &dropped, d);
        if (err != OK) {
            r->result.scraped++;
            return err;
        }
    } else {
        dropped = intern_get(&r->view, position & POSITION_ID)->flags & METRIC_DROPPED;
        resync(r, position & POSITION_ID);
    }
    if (position == METRIC_NONE) {
        r->result.scraped++;
        r->result.relabelled += !dropped;
        return OK;
    }
    take_series(r, position, &s, dropped);
    uint64_t limit = r->in->config->sample_limit;
    r->hopeless |= limit && r->p->samples[RUN_INNER].n + r->p->samples[RUN_OUTER].n > 2 * limit + HOPELESS_SLACK;
    return OK;
}

static enum err take_new_comments(struct reading *r, const struct exposition_entry *entry, struct diag *d)
{
    uint64_t hash = intern_hash(entry->raw);
    uint32_t context = comments_context(r, entry->type);
    uint32_t id = intern_find(r->p->intern, hash, entry->raw, context);

    if (id == METRIC_NONE) {
        enum err err = add_metric(r, hash, entry->raw, context, (struct labels){NULL, 0}, METRIC_COMMENT, &id, d);
        if (err != OK)
            return err;
    } else {
        resync(r, id);
    }
    put_position(r, id);
    blocks_note(r, id);
    return OK;
}

/* Parses one entry; *ended: there is none. */
static enum err take_parsed(struct reading *r, bool *ended, struct diag *d)
{
    struct exposition_entry entry;
    enum err err = exposition_next(&r->e, &entry, d);

    *ended = err == OK && entry.kind == EXPOSITION_EOF;
    if (err != OK || *ended)
        return err;
    reading_diverge(r);
    r->parsed++;
    return entry.kind == EXPOSITION_COMMENTS ? take_new_comments(r, &entry, d) : take_new_series(r, entry.raw, d);
}

static enum err read_page(struct reading *r, struct diag *d)
{
    bool ended = false;
    enum err err = OK;

    while (err == OK && !ended) {
        if (LIKELY(r->at < r->page->n) && LIKELY(take_predicted(r)))
            r->predicted++;
        else
            err = take_parsed(r, &ended, d);
    }
    return err;
}

/* ---- a page ------------------------------------------------------------------------------------------------------ */

static void warn_dropped(struct reading *r, struct log_limit *limit, uint32_t n, const char *what)
{
    uint32_t swallowed;

    if (n && log_allow(limit, 60000, &swallowed))
        log_warn(r->p->log, what, F_STR("target", r->in->url), F_INT("num_dropped", n), F_INT("suppressed", swallowed));
}

static void count(struct reading *r)
{
    struct predictor *p = r->p;

    counter_add(p->counters.samples, r->result.scraped);
    counter_add(p->counters.predicted, r->predicted);
    counter_add(p->counters.parsed, r->parsed);
    counter_add(p->counters.duplicate, r->duplicates);
    counter_add(p->counters.out_of_order, r->out_of_order);
    counter_add(p->counters.out_of_bounds, r->out_of_bounds);
    warn_dropped(r, &p->order_limit, r->out_of_order, "Error on ingesting out-of-order samples");
    warn_dropped(r, &p->duplicate_limit, r->duplicates,
                 "Error on ingesting samples with different value but same timestamp");
    warn_dropped(r, &p->bounds_limit, r->out_of_bounds,
                 "Error on ingesting samples that are too old or are too far into the future");
}

enum err predict_page(struct predictor *p, const struct predict_input *in, struct predict_result *out, struct diag *d)
{
    struct reading r = {.p = p, .page = in->page, .in = in, .view = intern_view(p->intern)};

    *out = (struct predict_result){0};
    if (in->body.n == 0) {
        predict_failed(p, in->page, in->ts_ms);
        return OK;
    }
    exposition_init(&r.e, in->kind, in->body);
    enum err err = read_page(&r, d);
    if (err == OK) {
        err = settle_page(&r, d);
    } else {
        struct diag limits = {0};
        if (settle_limits(&r, &limits) != OK && d)
            *d = limits;
        if (over_sample_limit(&r))
            counter_inc(p->counters.over_sample_limit);
    }
    count(&r);
    *out = r.result;
    if (err != OK) {
        out->added = 0;
        predict_begin(p);
    }
    return err;
}

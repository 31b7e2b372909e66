/* predict: from an exposition that is nearly the one of last time to a batch.
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
 *   lines.c, messages.c   the formats: text and OpenMetrics by line, protobuf by message
 *   reading.c             what they share: matches, misses, samples
 *   settle.c              the page as a whole
 *   stamped.c, exemplars.c, starts.c, convert.c, series_limit.c, blocks.c    one thing each that few samples have
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

#define TRIM_EVERY 256u
#define TRIM_KEEP  4096u

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
    c->over_bucket_limit =
        counter_new(set, COUNTER_TOTAL, "prometheus_target_scrapes_exceeded_native_histogram_bucket_limit_total",
                    "Total number of scrapes that hit the native histogram bucket limit and were rejected.", NULL, 0);
    c->over_series_limit =
        counter_new(set, COUNTER_TOTAL, "leadline_scrape_series_over_limit_total",
                    "Samples left out since their target has as many series as series_limit allows.", NULL, 0);
    c->histograms = counter_new(set, COUNTER_TOTAL, "leadline_scrape_histograms_total",
                                "Native histograms read or converted, among the samples.", NULL, 0);
    c->exemplars = counter_new(set, COUNTER_TOTAL, "leadline_scrape_exemplars_total",
                               "Exemplars read that were not the ones of the scrape before.", NULL, 0);
    c->bad_exemplars =
        counter_new(set, COUNTER_TOTAL, "leadline_scrape_exemplars_refused_total",
                    "Exemplars left out: more than 128 characters of labels, or a label twice.", NULL, 0);
    c->late_exemplars =
        counter_new(set, COUNTER_TOTAL, "prometheus_target_scrapes_exemplar_out_of_order_total",
                    "Total number of exemplar rejected due to not being out of the expected order.", NULL, 0);
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
    free(p->exemplars.v);
    free(p->exemplars.text);
    free(p->histograms.v);
    p->exemplars = (struct exemplar_list){0};
    p->histograms = (struct histogram_list){0};
    prom_proto_release(&p->proto);
    nhcb_stage_release(&p->stage);
    p->proto = (struct prom_proto){0};
    p->stage = (struct nhcb_stage){0};
    arena_release(&p->arena);
    arena_release(&p->held);
}

void predictor_release(struct predictor *p)
{
    struct counter *const cells[] = {p->counters.samples,
                                     p->counters.predicted,
                                     p->counters.parsed,
                                     p->counters.stale,
                                     p->counters.duplicate,
                                     p->counters.out_of_order,
                                     p->counters.out_of_bounds,
                                     p->counters.over_sample_limit,
                                     p->counters.over_label_limits,
                                     p->counters.over_bucket_limit,
                                     p->counters.over_series_limit,
                                     p->counters.histograms,
                                     p->counters.exemplars,
                                     p->counters.bad_exemplars,
                                     p->counters.late_exemplars};

    for (size_t i = 0; i < COUNT_OF(cells); i++)
        counter_release(p->set, cells[i]);
    if (p->leaving)
        scope_unref(p->scopes, p->leaving);
    free_scratch(p);
    convert_release(p);
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
    p->exemplars.n = 0;
    p->histograms.n = 0;
    p->n_positions = 0;
    arena_reset(&p->held);
}

struct sample_side *sample_side(struct predictor *p, struct sample *s)
{
    if (s->side == SIDE_NONE) {
        p->sides = mem_grow(p->sides, &p->cap_sides, p->n_sides + 1, sizeof(*p->sides));
        p->sides[p->n_sides] = (struct sample_side){.ts_ms = SIDE_BATCH_TIME, .histogram = SIDE_NONE};
        s->side = (uint32_t)p->n_sides++;
    }
    return &p->sides[s->side];
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
    for (size_t i = 0; i < p->n_sides; i++) {
        if (p->sides[i].ts_ms == SIDE_BATCH_TIME)
            p->sides[i].ts_ms = ts_ms;
    }
    b.samples = all->v;
    b.n_samples = first;
    b.sides = p->sides;
    b.n_sides = (uint32_t)p->n_sides;
    b.histograms = p->histograms.v;
    b.n_histograms = (uint32_t)p->histograms.n;
    b.exemplars = p->exemplars.v;
    b.n_exemplars = (uint32_t)p->exemplars.n;
    b.blocks = p->blocks[INNER].v;
    if (all->n > p->largest)
        p->largest = all->n;
    return b;
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
    counter_add(p->counters.over_series_limit, r->result.limited);
    warn_dropped(r, &p->order_limit, r->out_of_order, "Error on ingesting out-of-order samples");
    warn_dropped(r, &p->duplicate_limit, r->duplicates,
                 "Error on ingesting samples with different value but same timestamp");
    warn_dropped(r, &p->bounds_limit, r->out_of_bounds,
                 "Error on ingesting samples that are too old or are too far into the future");
}

static void begin_reading(struct reading *r)
{
    const struct predict_input *in = r->in;

    exposition_init(&r->e, in->kind, in->body);
    r->relimit = series_limit_begin(r->page, in->series_limit, in->now_ms);
    r->convert = in->histograms.convert && in->kind != EXPOSITION_PROTO;
    r->skips = r->convert || r->page->converted;
    if (r->relimit || r->skips)
        reading_diverge(r);
    if (r->convert)
        convert_begin(r);
}

/* What the limits have to say about a page that was refused for something else. */
static void note_limits(struct reading *r, struct diag *d)
{
    struct diag limits = {0};

    if (settle_limits(r, &limits) != OK && d)
        *d = limits;
    if (over_sample_limit(r))
        counter_inc(r->p->counters.over_sample_limit);
    if (r->over_buckets)
        counter_inc(r->p->counters.over_bucket_limit);
}

enum err predict_page(struct predictor *p, const struct predict_input *in, struct predict_result *out, struct diag *d)
{
    struct reading r = {.p = p,
                        .page = in->page,
                        .in = in,
                        .view = intern_view(p->intern),
                        .first = METRIC_NONE,
                        .created = METRIC_NONE,
                        .max_schema = INT32_MIN};

    *out = (struct predict_result){0};
    if (in->body.n == 0) {
        predict_failed(p, in->page, in->ts_ms);
        return OK;
    }
    begin_reading(&r);
    enum err err = in->kind == EXPOSITION_PROTO ? messages_read(&r, d) : lines_read(&r, d);
    if (err == OK)
        err = settle_page(&r, d);
    else
        note_limits(&r, d);
    count(&r);
    *out = r.result;
    if (err != OK) {
        series_limit_settle(in->page->limit, false);
        out->added = 0;
        predict_begin(p);
    }
    return err;
}

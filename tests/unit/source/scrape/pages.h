/* pages: a target without HTTP: expositions in, batches as text out.
 *
 * A batch is printed as one line per sample, in the order of the batch:
 *
 *   a{job="j",x="1"} 5
 *   b{job="j"} 7 @1234        a timestamp of its own
 *   c{job="j"} stale
 *   d{job="j"} 8 start=500 # {id="a"} 3 @400           since when it counts; an exemplar
 *   e{job="j"} h:7 sum=20 schema=0 z=1 +[0:2,1:-1]      a native histogram; spans left out, buckets as they are
 */
#ifndef TESTS_UNIT_SOURCE_SCRAPE_PAGES_H
#define TESTS_UNIT_SOURCE_SCRAPE_PAGES_H

#include "unit.h"

#include "base/mem.h"
#include "base/num.h"
#include "source/scrape/predict_int.h"

struct pages {
    struct intern *intern;
    struct scope_table *scopes;
    struct counters *counters;
    struct predictor predictor;
    struct plan_scrape config;
    struct page page;
    struct predict_result result;
    struct diag diag;
    enum err err;
    enum exposition_kind kind;
    struct scrape_histograms histograms;
    bool starts;
    uint64_t series_limit;
    int64_t ts_ms, now_ms;
    struct buf text;   /* the last batch */
    struct buf blocks; /* what its samples stand under: `a < # TYPE a gauge` */
};

static inline void pages_print_labels(struct labels l, struct buf *out)
{
    buf_str(out, labels_get(l, LABEL_NAME));
    buf_char(out, '{');
    const char *comma = "";
    for (uint32_t i = 0; i < l.n; i++) {
        if (str_eq(l.v[i].name, LABEL_NAME))
            continue;
        buf_printf(out, "%s%.*s=\"%.*s\"", comma, STR_ARGS(l.v[i].name), STR_ARGS(l.v[i].value));
        comma = ",";
    }
    buf_char(out, '}');
}

static inline void pages_print_buckets(const struct histogram *h, const struct histogram_buckets *b, char sign,
                                       struct buf *out)
{
    uint32_t at = 0;
    int32_t index = 0;

    if (b->n == 0)
        return;
    buf_printf(out, " %c[", sign);
    for (uint32_t s = 0; s < b->n_spans; s++) {
        index += b->spans[s].offset;
        for (uint32_t i = 0; i < b->spans[s].length; i++, at++, index++) {
            buf_printf(out, "%s%d:", at ? "," : "", index);
            buf_double(out, h->is_float ? b->counts[at] : (double)b->deltas[at]);
        }
    }
    assert_int_equal(at, b->n);
    buf_char(out, ']');
}

static inline void pages_print_histogram(const struct histogram *h, struct buf *out)
{
    buf_c(out, h->is_float ? "fh:" : "h:");
    buf_double(out, h->is_float ? h->count_float : (double)h->count_int);
    buf_c(out, " sum=");
    buf_double(out, h->sum);
    buf_printf(out, " schema=%d", (int)h->schema);
    double zeros = h->is_float ? h->zero_count_float : (double)h->zero_count_int;
    if (zeros > 0) {
        buf_c(out, " z=");
        buf_double(out, zeros);
    }
    for (uint32_t i = 0; i < h->n_custom_values; i++) {
        buf_c(out, i ? "," : " le=");
        buf_double(out, h->custom_values[i]);
    }
    pages_print_buckets(h, &h->positive, '+', out);
    pages_print_buckets(h, &h->negative, '-', out);
}

static inline void pages_print_side(const struct batch *b, const struct sample *s, struct buf *out)
{
    if (s->side == SIDE_NONE)
        return;
    const struct sample_side *side = &b->sides[s->side];
    if (side->ts_ms != b->ts_ms)
        buf_printf(out, " @%lld", (long long)side->ts_ms);
    if (side->start_ms)
        buf_printf(out, " start=%lld", (long long)side->start_ms);
    for (uint32_t i = 0; i < side->n_exemplars; i++) {
        const struct exemplar *e = &b->exemplars[side->exemplar + i];
        assert_true(side->exemplar + i < b->n_exemplars);
        buf_c(out, " # ");
        labels_print(e->labels, out);
        buf_char(out, ' ');
        buf_double(out, e->value);
        if (e->has_ts)
            buf_printf(out, " @%lld", (long long)e->ts_ms);
        else
            assert_int_equal(e->ts_ms, side->ts_ms);
    }
}

static inline void pages_print_batch(const struct batch *b, struct buf *out)
{
    struct arena a = {0};

    for (uint32_t r = 0; r < b->n_runs; r++) {
        const struct batch_run *run = &b->runs[r];
        for (uint32_t i = run->first; i < run->first + run->n; i++) {
            const struct sample *s = &b->samples[i];
            uint64_t bits;
            memcpy(&bits, &s->value, sizeof(bits));
            pages_print_labels(metric_map_merged(intern_labels(b->metrics, s->metric, &a), run->scope->labels, &a),
                               out);
            buf_char(out, ' ');
            if (s->side != SIDE_NONE && b->sides[s->side].histogram != SIDE_NONE)
                pages_print_histogram(&b->histograms[b->sides[s->side].histogram], out);
            else if (bits == SAMPLE_STALE_BITS)
                buf_c(out, "stale");
            else
                buf_double(out, s->value);
            pages_print_side(b, s, out);
            buf_char(out, '\n');
            arena_reset(&a);
        }
    }
    arena_release(&a);
}

static inline const struct batch_block *pages_block_of(const struct batch *b, const struct batch_run *run, uint32_t i)
{
    const struct batch_block *at = NULL;

    for (uint32_t k = run->first_block; k < run->first_block + run->n_blocks; k++) {
        assert_true(k < b->n_blocks && b->blocks[k].first >= run->first);
        if (b->blocks[k].first <= i)
            at = &b->blocks[k];
    }
    return at && at->metric != METRIC_NONE ? at : NULL;
}

/* One line per sample: its name, and the first line of its block. */
static inline void pages_print_blocks(const struct batch *b, struct buf *out)
{
    struct arena a = {0};

    for (uint32_t r = 0; r < b->n_runs; r++) {
        const struct batch_run *run = &b->runs[r];
        for (uint32_t i = run->first; i < run->first + run->n; i++) {
            struct labels l = intern_labels(b->metrics, b->samples[i].metric, &a);
            const struct batch_block *block = pages_block_of(b, run, i);
            struct str line, rest;
            str_cut(block ? intern_raw(b->metrics, block->metric) : STR("-"), '\n', &line, &rest);
            buf_printf(out, "%.*s < %.*s\n", STR_ARGS(labels_get(l, LABEL_NAME)), STR_ARGS(line));
            arena_reset(&a);
        }
    }
    arena_release(&a);
}

static inline void pages_open_as(struct pages *p, struct labels target)
{
    p->intern = intern_new();
    p->scopes = scope_table_new();
    p->counters = counters_new();
    predictor_init(&p->predictor, p->intern, p->scopes, NULL, p->counters);
    struct scope *scope = scope_get(p->scopes, target);
    page_init(&p->predictor, &p->page, &p->config, scope);
    scope_unref(p->scopes, scope);
    p->ts_ms = 0;
    p->now_ms = 1000000;
}

/* A target whose labels are job="j". */
static inline void pages_open(struct pages *p)
{
    static const struct label job = {{"job", 3}, {"j", 1}};

    *p = (struct pages){.config = {.honor_timestamps = true, .shape_hash = 1}};
    pages_open_as(p, (struct labels){&job, 1});
}

static inline void pages_close(struct pages *p)
{
    page_release(&p->predictor, &p->page);
    predictor_release(&p->predictor);
    intern_sweep(p->intern);
    assert_int_equal(intern_count(p->intern), 0);
    assert_int_equal(scope_count(p->scopes), 0);
    intern_free(p->intern);
    scope_table_free(p->scopes);
    counters_free(p->counters);
    buf_release(&p->text);
    buf_release(&p->blocks);
}

static inline void pages_take_batch(struct pages *p)
{
    struct batch b = predict_batch(&p->predictor, &p->page, 0, p->ts_ms);
    struct intern_view view = intern_view(p->intern);

    b.metrics = &view;
    buf_clear(&p->text);
    buf_c(&p->text, "");
    pages_print_batch(&b, &p->text);
    buf_clear(&p->blocks);
    buf_c(&p->blocks, "");
    pages_print_blocks(&b, &p->blocks);
    p->page.last_ms = p->ts_ms;
}

/* One scrape a second: a failed one marks the series. The batch as text. */
static inline struct str pages_scrape_bytes(struct pages *p, struct str body)
{
    struct buf copy = {0};

    p->ts_ms += 1000;
    buf_str(&copy, body);
    buf_c(&copy, "");
    struct predict_input in = {
        .page = &p->page,
        .config = &p->config,
        .body = buf_view(&copy),
        .kind = p->kind,
        .histograms = p->histograms,
        .starts = p->starts,
        .series_limit = p->series_limit,
        .ts_ms = p->ts_ms,
        .now_ms = p->now_ms,
    };
    p->diag = (struct diag){0};
    predict_begin(&p->predictor);
    p->err = predict_page(&p->predictor, &in, &p->result, &p->diag);
    if (p->err != OK)
        predict_failed(&p->predictor, &p->page, p->ts_ms);
    pages_take_batch(p);
    buf_release(&copy);
    return buf_view(&p->text);
}

static inline struct str pages_scrape(struct pages *p, const char *body)
{
    return pages_scrape_bytes(p, str_c(body));
}

static inline double pages_counter(const struct pages *p, const char *name)
{
    return counters_sum(p->counters, name, NULL, 0);
}

/* How many lines of the last scrape were not predicted. */
#define pages_parsed(p) ((unsigned)pages_counter((p), "leadline_scrape_lines_parsed_total"))

#endif

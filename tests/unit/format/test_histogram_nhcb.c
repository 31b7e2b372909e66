/* Classic histograms made native: the arithmetic, and the stage that reads them line by line. */
#include "unit.h"

#include <math.h>

#include "base/mem.h"
#include "base/num.h"
#include "format/exposition.h"
#include "format/histogram_nhcb.h"

/* ---- the arithmetic ---- */

static void print_histogram(struct buf *out, const struct histogram *h)
{
    buf_printf(out, "%s count %g sum %g bounds", h->is_float ? "float" : "integer",
               h->is_float ? h->count_float : (double)h->count_int, h->sum);
    for (uint32_t i = 0; i < h->n_custom_values; i++)
        buf_printf(out, " %g", h->custom_values[i]);
    buf_c(out, " buckets");
    for (uint32_t i = 0; i < h->positive.n_spans; i++)
        buf_printf(out, " %d:%u", h->positive.spans[i].offset, h->positive.spans[i].length);
    buf_c(out, " |");
    for (uint32_t i = 0; i < h->positive.n; i++) {
        buf_char(out, ' ');
        if (h->is_float)
            buf_double(out, h->positive.counts[i]);
        else
            buf_i64(out, h->positive.deltas[i]);
    }
}

/* le and count in turn, up to a bound of NAN; count < 0: none is set */
static void expect_converted(const double *buckets, double count, const char *want)
{
    struct nhcb h = {0};
    struct arena a = {0};
    struct diag d = {0};
    struct histogram out;
    AUTO_BUF text = {0};
    for (size_t i = 0; !isnan(buckets[i]); i += 2)
        nhcb_set_bucket(&h, buckets[i], buckets[i + 1]);
    if (count >= 0)
        nhcb_set_count(&h, count);
    nhcb_set_sum(&h, 10);
    if (nhcb_convert(&h, &a, &out, &d))
        buf_c(&text, d.text);
    else
        print_histogram(&text, &out);
    assert_string_equal(text.p, want);
    nhcb_release(&h);
    arena_release(&a);
}

static void buckets_become_what_lies_between_bounds(void **state)
{
    (void)state;
    expect_converted((double[]){1, 2, 2.5, 5, INFINITY, 6, NAN}, 6,
                     "integer count 6 sum 10 bounds 1 2.5 buckets 0:3 | 2 1 -2");
    expect_converted((double[]){2.5, 5, 1, 2, NAN}, 6, "integer count 6 sum 10 bounds 1 2.5 buckets 0:3 | 2 1 -2");
    expect_converted((double[]){1, 2, 2.5, 5, NAN}, -1, "integer count 5 sum 10 bounds 1 2.5 buckets 0:2 | 2 1");
    expect_converted((double[]){1, 2, 1, 3, INFINITY, 2.5, NAN}, 2.5,
                     "float count 2.5 sum 10 bounds 1 buckets 0:2 | 2 0.5");
    expect_converted((double[]){NAN}, 3, "integer count 3 sum 10 bounds buckets 0:1 | 3");
}

static void two_empty_buckets_in_a_row_stay_three_do_not(void **state)
{
    (void)state;
    expect_converted((double[]){1, 1, 2, 1, 3, 1, 4, 2, NAN}, 2,
                     "integer count 2 sum 10 bounds 1 2 3 4 buckets 0:4 | 1 -1 0 1");
    expect_converted((double[]){1, 1, 2, 1, 3, 1, 4, 1, 5, 2, NAN}, 2,
                     "integer count 2 sum 10 bounds 1 2 3 4 5 buckets 0:1 3:1 | 1 0");
    expect_converted((double[]){1, 0.5, 2, 0.5, 3, 2, NAN}, 2,
                     "float count 2 sum 10 bounds 1 2 3 buckets 0:1 1:1 | 0.5 1.5");
}

static void contradictions_are_refused(void **state)
{
    (void)state;
    expect_converted((double[]){1, 3, 2, 2, NAN}, 3, "count is not cumulative: 2 < 3");
    expect_converted((double[]){2, 2, 1, 3, NAN}, 3, "count is not cumulative: 3 > 2");
    expect_converted((double[]){1, -1, NAN}, 3, "bucket count must be non-negative: le=1, count=-1");
    expect_converted((double[]){1, 3, INFINITY, 4, NAN}, 5, "count mismatch: count=5 != le=+Inf count=4");
}

/* ---- the stage ---- */

struct reader {
    struct nhcb_stage stage;
    struct arena arena;
    struct buf out;
    struct labels first;
    struct nhcb_part first_part;
};

static void print_taken(struct reader *r)
{
    const struct nhcb_result *result = nhcb_stage_take(&r->stage);
    labels_print(nhcb_labels(r->first, &r->first_part, &r->arena), &r->out);
    buf_char(&r->out, ' ');
    print_histogram(&r->out, &result->histogram);
    if (result->start_ms)
        buf_printf(&r->out, " since %lld", (long long)result->start_ms);
    for (uint32_t i = 0; i < result->n_exemplars; i++)
        buf_printf(&r->out, " #%g@%lld", result->exemplars[i].value, (long long)result->exemplars[i].ts_ms);
    buf_c(&r->out, "; ");
}

static void read_series(struct reader *r, struct exposition *e, const struct exposition_entry *entry)
{
    struct exposition_sample s;
    struct exposition_exemplar x;
    struct labels labels;
    struct nhcb_part part;
    bool typed;
    assert_int_equal(exposition_value(e, &s, NULL), OK);
    assert_int_equal(exposition_labels(entry->raw, e->kind, e->type, &r->arena, &labels, &typed, NULL), OK);
    nhcb_part_of(labels, &part);
    unsigned verdict = nhcb_stage_series(&r->stage, &part, s.value, NULL);
    if (verdict & NHCB_EMIT)
        print_taken(r);
    if (verdict & NHCB_FIRST) {
        r->first = labels;
        r->first_part = part;
        nhcb_stage_start(&r->stage, 77);
    }
    if (verdict & NHCB_TAKEN && s.has_exemplar) {
        assert_int_equal(exposition_exemplar(s.exemplar, &r->arena, &x), OK);
        nhcb_stage_exemplar(&r->stage, &(struct exemplar){x.labels, x.value, x.ts_ms, x.has_ts});
    }
    if (!(verdict & NHCB_TAKEN)) {
        labels_print(labels, &r->out);
        buf_printf(&r->out, " %g; ", s.value);
    }
}

static void expect_read(enum exposition_kind kind, const char *body, const char *want)
{
    struct reader r = {0};
    struct exposition e;
    struct exposition_entry entry;
    struct nhcb_block block;
    exposition_init(&e, kind, str_c(body));
    nhcb_stage_init(&r.stage, &r.arena);
    for (;;) {
        assert_int_equal(exposition_next(&e, &entry, NULL), OK);
        if (entry.kind == EXPOSITION_EOF)
            break;
        if (entry.kind == EXPOSITION_SERIES) {
            read_series(&r, &e, &entry);
            continue;
        }
        nhcb_block_of(entry.raw, kind == EXPOSITION_OPENMETRICS, &block);
        if (nhcb_stage_block(&r.stage, &block))
            print_taken(&r);
        buf_c(&r.out, "block; ");
    }
    if (nhcb_stage_end(&r.stage))
        print_taken(&r);
    assert_string_equal(r.out.p, want);
    nhcb_stage_release(&r.stage);
    buf_release(&r.out);
    arena_release(&r.arena);
}

static void a_histogram_stands_where_its_lines_stood(void **state)
{
    (void)state;
    expect_read(
        EXPOSITION_TEXT,
        "# TYPE a histogram\na_bucket{le=\"1\",x=\"1\"} 2\n\na_bucket{le=\"+Inf\",x=\"1\"} 3\na_sum{x=\"1\"} 4\n"
        "a_count{x=\"1\"} 3\na_bucket{le=\"+Inf\",x=\"2\"} 1\na_other 5\n# TYPE b gauge\nb 1\nb_count 2\n",
        "block; block; {__name__=\"a\", x=\"1\"} integer count 3 sum 4 bounds 1 buckets 0:2 | 2 -1 since 77; "
        "{__name__=\"a\", x=\"2\"} integer count 1 sum 0 bounds buckets 0:1 | 1 since 77; "
        "{__name__=\"a_other\"} 5; block; {__name__=\"b\"} 1; {__name__=\"b_count\"} 2; ");
}

static void only_the_family_of_the_type_line_is_taken(void **state)
{
    (void)state;
    expect_read(EXPOSITION_TEXT, "# TYPE a histogram\nb_bucket{le=\"1\"} 2\na_bucket 1\na_bucket{le=\"x\"} 1\na 1\n",
                "block; {__name__=\"b_bucket\", le=\"1.0\"} 2; {__name__=\"a_bucket\"} 1; "
                "{__name__=\"a_bucket\", le=\"x\"} 1; {__name__=\"a\"} 1; ");
}

static void exemplars_with_a_time_come_along(void **state)
{
    (void)state;
    expect_read(EXPOSITION_OPENMETRICS,
                "# TYPE a histogram\na_bucket{le=\"1.0\"} 2 # {} 0.5 9\na_bucket{le=\"2.0\"} 2 # {} 0.25\n"
                "a_bucket{le=\"+Inf\"} 3 # {} 3 5\n# EOF\n",
                "block; {__name__=\"a\"} integer count 3 sum 0 bounds 1 2 buckets 0:3 | 2 -2 1 since 77 #3@5000 "
                "#0.5@9000; ");
}

static void a_contradiction_costs_only_its_own_histogram(void **state)
{
    (void)state;
    expect_read(EXPOSITION_TEXT,
                "# TYPE a histogram\na_bucket{le=\"1\"} 3\na_count 2\n# TYPE b histogram\nb_bucket{le=\"+Inf\"} 1\n",
                "block; block; {__name__=\"b\"} integer count 1 sum 0 bounds buckets 0:1 | 1 since 77; ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buckets_become_what_lies_between_bounds),
        cmocka_unit_test(two_empty_buckets_in_a_row_stay_three_do_not),
        cmocka_unit_test(contradictions_are_refused),
        cmocka_unit_test(a_histogram_stands_where_its_lines_stood),
        cmocka_unit_test(only_the_family_of_the_type_line_is_taken),
        cmocka_unit_test(exemplars_with_a_time_come_along),
        cmocka_unit_test(a_contradiction_costs_only_its_own_histogram),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

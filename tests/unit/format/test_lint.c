/* Linting: promlint's words with positions, what cannot be read, and OpenMetrics by the letter. */
#include "unit.h"

#include "base/buf.h"
#include "base/mem.h"
#include "format/lint.h"

/* "LINE:COL metric text\n" for each. */
static void print(const struct lint_report *r, struct buf *out)
{
    for (size_t i = 0; i < r->n; i++)
        buf_printf(out, "%u:%u %.*s %.*s\n", r->v[i].line, r->v[i].col, STR_ARGS(r->v[i].metric),
                   STR_ARGS(r->v[i].text));
}

typedef enum err(lint_fn)(struct str body, struct arena *a, struct lint_report *out, struct diag *d);

static enum err text(struct str body, struct arena *a, struct lint_report *out, struct diag *d)
{
    return lint_text(body, false, a, out, d);
}

static enum err strict(struct str body, struct arena *a, struct lint_report *out, struct diag *d)
{
    (void)d;
    lint_strict(body, a, out);
    return OK;
}

static void expect(lint_fn *fn, const char *page, const char *findings)
{
    struct arena a = {0};
    struct lint_report r;
    struct diag d = {0};
    AUTO_BUF out = {0};

    if (fn(str_c(page), &a, &r, &d))
        fail_msg("%s: %d:%d %s", page, d.line, d.col, d.text);
    buf_c(&out, "");
    print(&r, &out);
    assert_string_equal(out.p, findings);
    lint_report_release(&r);
    arena_release(&a);
}

static void refuse(lint_fn *fn, const char *page, int line, int col, const char *words)
{
    struct arena a = {0};
    struct lint_report r;
    struct diag d = {0};

    if (fn(str_c(page), &a, &r, &d) == OK)
        fail_msg("taken: %s", page);
    assert_string_equal(d.text, words);
    assert_int_equal(d.line, line);
    assert_int_equal(d.col, col);
    lint_report_release(&r);
    arena_release(&a);
}

static void test_rules(void **state)
{
    (void)state;
    expect(text, "", "");
    expect(text, "# HELP a_total x\n# TYPE a_total counter\na_total 1\n", "");
    expect(text, "# HELP b x\n# TYPE b counter\nb 1\na 1\n",
           "4:1 a no help text\n1:1 b counter metrics should have \"_total\" suffix\n");
    expect(text, "# HELP a_ms x\na_ms 1\n", "1:1 a_ms metric names should not contain abbreviated units\n");
    expect(text, "# HELP a_milliseconds x\na_milliseconds 1\n",
           "1:1 a_milliseconds use base unit \"seconds\" instead of \"milliseconds\"\n");
    expect(text, "# HELP a_gauge x\n# TYPE a_gauge gauge\n  a_gauge{le=\"1\"} 1\n",
           "1:1 a_gauge metric name should not include type 'gauge'\n"
           "3:3 a_gauge non-histogram metrics should not have \"le\" label\n");
    expect(text, "# HELP a:bC x\na:bC{dE=\"1\"} 1\n",
           "2:1 a:bC label names should be written in 'snake_case' not 'camelCase'\n"
           "1:1 a:bC metric names should be written in 'snake_case' not 'camelCase'\n"
           "1:1 a:bC metric names should not contain ':'\n");
    expect(text, "# HELP a x\na{x=\"1\",y=\"2\"} 1\na{y=\"2\",x=\"1\"} 1\na{x=\"1\",y=\"2\"} 1\n",
           "4:1 a metric not unique\n");
    expect(text, "# HELP a_count x\n# TYPE a_count gauge\na_count 1\n",
           "1:1 a_count non-histogram and non-summary metrics should not have \"_count\" suffix\n");
}

/* The lines of a histogram or summary are one metric. */
static void test_parts(void **state)
{
    (void)state;
    expect(text,
           "# HELP a x\n# TYPE a histogram\na_bucket{x=\"1\",le=\"1\"} 1\na_bucket{x=\"1\",le=\"+Inf\"} 1\n"
           "a_sum{x=\"1\"} 1\na_count{x=\"1\"} 1\n",
           "");
    expect(text, "# HELP a x\n# TYPE a summary\na{quantile=\"0.5\"} 1\na{quantile=\"0.9\"} 1\na_sum 1\na_count 1\n",
           "");
}

static void test_counts(void **state)
{
    struct arena a = {0};
    struct lint_report r;

    (void)state;
    assert_int_equal(lint_text(STR("a 1\nb{x=\"1\"} 1\nb{x=\"2\"} 1\n# TYPE c histogram\nc_bucket{le=\"1\"} 1\n"
                                   "c_bucket{le=\"+Inf\"} 1\nc_count 1\nc_sum 1\n{\"d.e\"} 1\n"),
                               true, &a, &r, NULL),
                     OK);
    assert_int_equal(r.n_families, 4);
    assert_str_c(r.families[0].name, "c");
    assert_int_equal(r.families[0].series, 4);
    assert_str_c(r.families[1].name, "b");
    assert_int_equal(r.families[1].series, 2);
    lint_report_release(&r);
    arena_release(&a);
}

static void test_what_cannot_be_read(void **state)
{
    (void)state;
    refuse(text, "a 1\nb x\n", 2, 4, "expected float as value, got \"x\"");
    refuse(text, "a 1", 1, 3, "unexpected end of input stream");
    refuse(text, "a{x=\"1\" y=\"2\"} 1\n", 1, 9, "unexpected end of label value \"1\"");
    refuse(text, "# TYPE a gauge\n# TYPE a gauge\n", 2, 10,
           "second TYPE line for metric name \"a\", or TYPE reported after samples");
    refuse(text, "a.b 1\n", 1, 4, "expected float as value, got \".b\"");
    refuse(lint_openmetrics, "a 1\n", 2, 1, "data does not end with # EOF");
}

static void test_openmetrics(void **state)
{
    (void)state;
    expect(lint_openmetrics, "# HELP a x\n# TYPE a counter\na_total 1\na_created 5\n# EOF\n", "");
    expect(lint_openmetrics, "# TYPE a_ms counter\na_ms_total 1\n# EOF\n",
           "2:1 a_ms_total metric names should not contain abbreviated units\n2:1 a_ms_total no help text\n");
}

static void test_strict(void **state)
{
    (void)state;
    expect(strict, "# TYPE a counter\na_total 1\n# EOF\n", "");
    expect(strict, "# TYPE a counter\na_total 1\n# EOF", "");
    expect(strict, "a 1\n", "2:1 a # EOF is missing\n");
    expect(strict, "a 1\n\n# EOF\nb 1\n", "2:1 a a blank line\n4:1 a a line after # EOF\n");
    expect(strict, "a  1\n# EOF\n", "1:3  one blank separates, and a number follows it\n");
    expect(strict, "a{x=\"1\", y=\"2\"} 1\n# EOF\n", "1:9  a label's name is [a-zA-Z_][a-zA-Z0-9_]*\n");
    expect(strict, "# TYPE a counter\na_total -1\n# EOF\n", "2:9 a a counter, sum or count is not negative\n");
    expect(strict, "# TYPE a gauge\na 1 # {x=\"y\"} 1\n# EOF\n",
           "2:5 a only buckets, and the total of a counter, have exemplars\n");
    expect(strict, "a 1 2\na 1 1\n# EOF\n", "2:5 a the timestamps of this metric go back\n");
    expect(strict, "a{x=\"1\"} 1\na{x=\"2\"} 1\na{x=\"1\"} 1\n# EOF\n",
           "3:1 a the samples of this metric do not stand together\n");
    expect(strict, "a 1\nb 1\na 2\n# EOF\n",
           "3:1 a the name a belongs to another family, or this family was interrupted\n");
    expect(strict, "# TYPE a histogram\na_bucket{le=\"1\"} 2\na_bucket{le=\"+Inf\"} 1\n# EOF\n",
           "3:21 a the counts of buckets are cumulative, this one is below that of the bucket before\n");
    expect(strict, "# TYPE a histogram\na_bucket{le=\"1\"} 2\n# EOF\n",
           "2:1 a the bucket with le=\"+Inf\" is missing\n");
    expect(strict, "# UNIT a seconds\na 1\n# EOF\n", "1:10 a the name does not end in _seconds, its unit\n");
    expect(strict, "{\"a.b\"} 1\n# EOF\n", "1:1  quoted names are not part of OpenMetrics 1.0\n");
}

/* Reading goes on: every finding of a page comes out, in the order of the lines. */
static void test_strict_finds_all(void **state)
{
    (void)state;
    expect(strict, "# FOO\n a 1\nb x\nc 1 z\n# EOF\n",
           "1:3  OpenMetrics has no comments but TYPE, HELP, UNIT and EOF\n"
           "2:1  a metric's name is [a-zA-Z_:][a-zA-Z0-9_:]*\n"
           "3:3  this is not a number of OpenMetrics\n"
           "4:5  a timestamp is a number of seconds\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_what_cannot_be_read),
        cmocka_unit_test(test_openmetrics),
        cmocka_unit_test(test_strict),
        cmocka_unit_test(test_strict_finds_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* emf_diff: recordings of two agents that are equal, and in what way others are not. */
#include "unit.h"

#include "base/mem.h"
#include "format/emf_diff.h"

enum { L = EMF_DIFF_LEFT, R = EMF_DIFF_RIGHT };

static const char *const kinds[] = {"label", "set", "metric", "directive", "times", "values"};

/* An event of version 0, as the original writes it. */
static void add_v0(struct emf_diff *f, int side, int64_t s, const char *type, const char *labels, const char *metric,
                   double value)
{
    AUTO_BUF b = {0};
    buf_printf(&b,
               "{\"CloudWatchMetrics\":[{\"Namespace\":\"N\",\"Dimensions\":[[\"job\"]],"
               "\"Metrics\":[{\"Name\":\"%s\"}]}],"
               "\"Timestamp\":\"%lld000\",\"Version\":\"0\",%s,\"prom_metric_type\":\"%s\",\"%s\":%g}",
               metric, (long long)s, labels, type, metric, value);
    emf_diff_add(f, side, s * 1000, buf_view(&b));
}

/* The findings as lines "kind subject where | left | right xN". */
static void expect(struct emf_diff *f, const char *want)
{
    struct arena a = {0};
    struct emf_diff_result r;
    struct diag d = {0};
    AUTO_BUF got = {0};

    if (emf_diff_compare(f, &a, &r, &d))
        buf_printf(&got, "error: %s\n", d.text);
    for (uint32_t i = 0; i < r.n; i++) {
        const struct emf_difference *x = &r.differences[i];
        buf_printf(&got, "%s %.*s | %.*s | %.*s x%u\n", kinds[x->kind], STR_ARGS(x->subject), STR_ARGS(x->left),
                   STR_ARGS(x->right), x->series);
    }
    buf_c(&got, "");
    assert_string_equal(got.p, want);
    arena_release(&a);
}

static struct emf_diff *start(void)
{
    return emf_diff_new(&(struct emf_diff_options){.value_tolerance = 0.05});
}

/* Scrapes of different moments, values that move. */
static void test_equal(void **state)
{
    struct emf_diff *f = start();
    (void)state;
    for (int i = 0; i < 20; i++) {
        add_v0(f, L, 1000 + 15 * i, "gauge", "\"job\":\"a\"", "temp", 20 + i % 3);
        add_v0(f, R, 1007 + 15 * i, "gauge", "\"job\":\"a\"", "temp", 21 + i % 4);
        add_v0(f, L, 1000 + 15 * i, "counter", "\"job\":\"a\"", "hits", 10 + i % 2);
        add_v0(f, R, 1007 + 15 * i, "counter", "\"job\":\"a\"", "hits", 11 - i % 2);
    }
    expect(f, "");
    emf_diff_free(f);
}

/* Version 1, another order of keys, one event for several, a shadow's namespace: all the same. */
static void test_forms(void **state)
{
    struct emf_diff *f =
        emf_diff_new(&(struct emf_diff_options){.namespace_suffix = STR("-shadow"), .value_tolerance = 0.05});
    (void)state;
    emf_diff_add(f, L, 5000,
                 STR("{\"CloudWatchMetrics\":[{\"Namespace\":\"N\",\"Dimensions\":[[\"job\",\"a\"],[]],\"Metrics\":["
                     "{\"Name\":\"x\",\"Unit\":\"Count\"},{\"Name\":\"y\"}]}],\"Version\":\"0\",\"Timestamp\":\"5000\","
                     "\"job\":\"j\",\"a\":\"<\",\"x\":1,\"y\":2.0}"));
    emf_diff_add(f, R, 5000,
                 STR("{\"y\":2,\"_aws\":{\"Timestamp\":5000,\"CloudWatchMetrics\":[{\"Metrics\":[{\"Name\":\"y\","
                     "\"Unit\":\"None\",\"StorageResolution\":60}],\"Dimensions\":[[],[\"a\",\"job\"]],\"Namespace\":"
                     "\"N-shadow\"}]},\"Version\":\"1\",\"a\":\"\\u003c\",\"job\":\"j\"}"));
    emf_diff_add(f, R, 5000,
                 STR("{\"_aws\":{\"Timestamp\":5000,\"CloudWatchMetrics\":[{\"Namespace\":\"N-shadow\",\"Dimensions\":["
                     "[\"a\",\"job\"],[]],\"Metrics\":[{\"Name\":\"x\",\"Unit\":\"Count\"}]}]},\"Version\":\"1\","
                     "\"a\":\"<\",\"job\":\"j\",\"x\":1}"));
    expect(f, "");
    emf_diff_free(f);
}

static void test_totals(void **state)
{
    struct emf_diff *f = start();
    struct arena a = {0};
    struct emf_diff_result r;
    struct diag d = {0};
    AUTO_BUF big = {0};
    (void)state;
    emf_diff_add(f, L, 7000, STR("plain text"));
    emf_diff_add(f, L, 8000, STR("{\"job\":\"j\",\"x\":1}"));
    emf_diff_add(f, L, 8000, STR("{\"job\":\"j\",\"x\":1}"));
    buf_c(&big, "{\"_aws\":{\"CloudWatchMetrics\":[{\"Namespace\":\"N\",\"Dimensions\":[[]],\"Metrics\":[");
    for (int i = 0; i < 101; i++)
        buf_printf(&big, "%s{\"Name\":\"m%d\"}", i ? "," : "", i);
    buf_c(&big, "]}]},\"x\":1,\"m7\":1,\"job\":\"j\"}");
    emf_diff_add(f, R, 8000, buf_view(&big));
    assert_int_equal(emf_diff_compare(f, &a, &r, &d), OK);
    assert_int_equal(r.sides[L].events, 3);
    assert_int_equal(r.sides[L].others, 1);
    assert_int_equal(r.sides[L].billed_bytes, 10 + 2 * 17 + 3 * 26);
    assert_int_equal(r.sides[L].values, 2);
    assert_int_equal(r.sides[L].repeated, 1);
    assert_int_equal(r.sides[L].series, 1);
    assert_int_equal(r.sides[L].first_ms, 7000);
    assert_int_equal(r.sides[L].last_ms, 8000);
    assert_int_equal(r.sides[R].version_1, 1);
    assert_int_equal(r.sides[R].over_100, 1);
    assert_int_equal(r.sides[R].declared_values, 1);
    assert_int_equal(r.sides[R].label_sets, 1);
    arena_release(&a);
    emf_diff_free(f);
}

static void test_one_side_only(void **state)
{
    struct emf_diff *f = start();
    (void)state;
    for (int i = 0; i < 5; i++) {
        for (int side = L; side <= R; side++) {
            add_v0(f, side, 100 + 10 * i, "gauge", "\"job\":\"a\"", "x", 1);
            add_v0(f, side, 100 + 10 * i, "gauge", "\"job\":\"b\"", "x", 1);
        }
        add_v0(f, L, 100 + 10 * i, "gauge", "\"job\":\"a\"", "y", 1);
        add_v0(f, L, 100 + 10 * i, "gauge", "\"job\":\"b\"", "y", 1);
        add_v0(f, R, 100 + 10 * i, "gauge", "\"job\":\"c\"", "x", 1);
        add_v0(f, R, 100 + 10 * i, "gauge", "\"job\":\"c\",\"zone\":\"z\"", "x", 1);
    }
    expect(f, "label zone |  | present x1\n"
              "set {job=\"c\", prom_metric_type=\"gauge\", zone=\"z\"} |  | 1 metric x1\n"
              "set {job=\"c\", prom_metric_type=\"gauge\"} |  | 1 metric x1\n"
              "metric y | present |  x2\n");
    emf_diff_free(f);
}

/* A series at the edge of what both cover need not have begun, or ended, at the same moment. */
static void test_edges(void **state)
{
    struct emf_diff *f = start();
    (void)state;
    for (int i = 0; i < 10; i++) {
        add_v0(f, L, 100 + 10 * i, "gauge", "\"job\":\"a\"", "x", 1);
        add_v0(f, R, 105 + 10 * i, "gauge", "\"job\":\"a\"", "x", 1);
    }
    add_v0(f, L, 190, "gauge", "\"job\":\"new\"", "x", 1);
    add_v0(f, R, 105, "gauge", "\"job\":\"old\"", "x", 1);
    add_v0(f, R, 300, "gauge", "\"job\":\"a\"", "x", 1);
    add_v0(f, L, 50, "gauge", "\"job\":\"a\"", "x", 99);
    expect(f, "");
    emf_diff_free(f);
}

static void test_directives(void **state)
{
    struct emf_diff *f = start();
    (void)state;
    emf_diff_add(f, L, 5000,
                 STR("{\"CloudWatchMetrics\":[{\"Namespace\":\"N\",\"Dimensions\":[[\"a\"],[\"b\",\"a\"]],"
                     "\"Metrics\":[{\"Name\":\"x\",\"Unit\":\"Count\"},{\"Name\":\"y\"}]}],\"a\":\"1\","
                     "\"b\":\"2\",\"x\":1,\"y\":1,\"z\":1}"));
    emf_diff_add(f, R, 5000,
                 STR("{\"CloudWatchMetrics\":[{\"Namespace\":\"N\",\"Dimensions\":[[\"a\"]],"
                     "\"Metrics\":[{\"Name\":\"x\",\"Unit\":\"Bytes\"},{\"Name\":\"y\",\"StorageResolution\""
                     ":1},{\"Name\":\"z\"}]}],\"a\":\"1\",\"b\":\"2\",\"x\":1,\"y\":1,\"z\":1}"));
    expect(f, "directive x | N [a] Count; N [a, b] Count | N [a] Bytes x1\n"
              "directive y | N [a]; N [a, b] | N [a] 1s x1\n"
              "directive z |  | N [a] x1\n");
    emf_diff_free(f);
}

static void test_times(void **state)
{
    struct emf_diff *f = start();
    (void)state;
    for (int i = 0; i < 20; i++) {
        add_v0(f, L, 1000 + 15 * i, "gauge", "\"job\":\"a\"", "x", 1);
        if (i < 7 || i > 11)
            add_v0(f, R, 1007 + 15 * i, "gauge", "\"job\":\"a\"", "x", 1);
    }
    expect(f, "times x | 4 of 17 have none within 15s |  x1\n");
    emf_diff_free(f);
    f = emf_diff_new(&(struct emf_diff_options){.value_tolerance = 0.05, .tolerance_ms = 60000});
    for (int i = 0; i < 40; i++) {
        add_v0(f, L, 1000 + 15 * i, "gauge", "\"job\":\"a\"", "x", 1);
        if (i % 4 == 0)
            add_v0(f, R, 1007 + 15 * i, "gauge", "\"job\":\"a\"", "x", 1);
    }
    expect(f, "");
    emf_diff_free(f);
}

/* A counter that is not a delta on one side; a gauge in other units; a summary's parts. */
static void test_values(void **state)
{
    struct emf_diff *f = start();
    (void)state;
    for (int i = 0; i < 20; i++) {
        add_v0(f, L, 1000 + 15 * i, "counter", "\"job\":\"a\"", "raw", 10);
        add_v0(f, R, 1000 + 15 * i, "counter", "\"job\":\"a\"", "raw", 10 * i);
        add_v0(f, L, 1000 + 15 * i, "gauge", "\"job\":\"a\"", "size", 1 + i % 2);
        add_v0(f, R, 1000 + 15 * i, "gauge", "\"job\":\"a\"", "size", 1024);
        add_v0(f, L, 1000 + 15 * i, "summary", "\"job\":\"a\"", "t_sum", i);
        add_v0(f, R, 1000 + 15 * i, "summary", "\"job\":\"a\"", "t_sum", 30);
        add_v0(f, L, 1000 + 15 * i, "summary", "\"job\":\"a\",\"quantile\":\"0.5\"", "t", i);
        add_v0(f, R, 1000 + 15 * i, "summary", "\"job\":\"a\",\"quantile\":\"0.5\"", "t", 19 - i);
    }
    expect(f, "values raw | sum 180 | sum 1710 x1\n"
              "values size | 1 to 2 | 1024 x1\n"
              "values t_sum | sum 171 | sum 540 x1\n");
    emf_diff_free(f);
}

static void test_distribution(void **state)
{
    struct emf_diff *f = start();
    (void)state;
    emf_diff_add(f, L, 5000, STR("{\"a\":\"1\",\"h\":{\"Values\":[1,2],\"Counts\":[3,4],\"Sum\":11,\"Count\":7}}"));
    emf_diff_add(f, R, 5000, STR("{\"a\":\"1\",\"h\":{\"Values\":[1,2],\"Counts\":[3,40]}}"));
    expect(f, "values h | sum 7 | sum 43 x1\n");
    emf_diff_free(f);
}

static void test_ignored_labels(void **state)
{
    const struct str ignored[] = {STR("host")};
    struct emf_diff *f = emf_diff_new(
        &(struct emf_diff_options){.value_tolerance = 0.05, .ignored_labels = ignored, .n_ignored_labels = 1});
    (void)state;
    add_v0(f, L, 100, "gauge", "\"host\":\"one\",\"job\":\"a\"", "x", 1);
    add_v0(f, R, 100, "gauge", "\"host\":\"two\",\"job\":\"a\"", "x", 1);
    expect(f, "");
    emf_diff_free(f);
}

static void test_nothing_to_compare(void **state)
{
    struct emf_diff *f = start();
    (void)state;
    expect(f, "error: the first group has no metrics in this time\n");
    add_v0(f, L, 100, "gauge", "\"job\":\"a\"", "x", 1);
    expect(f, "error: the second group has no metrics in this time\n");
    add_v0(f, R, 10000, "gauge", "\"job\":\"a\"", "x", 1);
    expect(f, "error: the two groups have no time in common: one ends before the other begins\n");
    emf_diff_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal),
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_totals),
        cmocka_unit_test(test_one_side_only),
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_directives),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_distribution),
        cmocka_unit_test(test_ignored_labels),
        cmocka_unit_test(test_nothing_to_compare),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* A datum's text, letter by letter, how many values are cut into several, and what is refused with which reason. That
 * the form is that of the API is checked against botocore's model of it (tests/conformance/put_metric_data). */
#include "unit.h"

#include <math.h>

#include "base/mem.h"
#include "sink/cloudwatch/lanes_int.h"
#include "wire/tree.h"

struct printed {
    struct buf text;
    struct cw_record records[16];
    uint32_t n, samples;
};

static void record(void *ctx, const struct cw_record *r)
{
    struct printed *p = ctx;
    assert_true(p->n < COUNT_OF(p->records));
    p->samples += r->samples;
    p->records[p->n++] = *r;
}

static void prints(const struct datum *v, const char *expected)
{
    struct printed p = {0};
    struct diag d = {0};
    buf_c(&p.text, "before");
    assert_int_equal(datum_print(v, &p.text, record, &p, &d), OK);
    assert_int_equal(p.n, 1);
    assert_int_equal(p.records[0].offset, 6);
    assert_int_equal(p.records[0].bytes, p.text.n - 6);
    assert_int_equal(p.records[0].samples, v->samples);
    assert_int_equal(p.records[0].ts_ms, v->ts_ms);
    assert_str_c(str_from(p.text.p + 6, p.text.n - 6), expected);
    buf_release(&p.text);
}

static void refused(const struct datum *v, const char *reason)
{
    struct printed p = {0};
    struct diag d = {0};
    assert_int_equal(datum_print(v, &p.text, record, &p, &d), ERR_SYNTAX);
    assert_int_equal(p.text.n, 0);
    assert_int_equal(p.n, 0);
    if (!strstr(d.text, reason))
        fail_msg("\"%s\" says nothing of \"%s\"", d.text, reason);
}

static const double one[] = {3.5};

static struct datum simple(void)
{
    return (struct datum){.name = STR("latency"), .ts_ms = 1767323045678, .values = one, .n_values = 1, .samples = 7};
}

static void one_value(void **state)
{
    (void)state;
    struct datum v = simple();
    prints(&v, "{\"MetricName\":\"latency\",\"Timestamp\":1767323045.678,\"Value\":3.5}");
    const struct label two[] = {{STR("app"), STR("a \"b\"")}, {STR("none"), STR("")}, {STR("zone"), STR("z")}};
    v.dimensions = (struct labels){two, 3};
    v.unit = STR("Milliseconds");
    v.high_resolution = true;
    prints(&v, "{\"MetricName\":\"latency\",\"Dimensions\":[{\"Name\":\"app\",\"Value\":\"a \\\"b\\\"\"},"
               "{\"Name\":\"zone\",\"Value\":\"z\"}],\"Timestamp\":1767323045.678,\"Value\":3.5,"
               "\"Unit\":\"Milliseconds\",\"StorageResolution\":1}");
}

static void a_distribution(void **state)
{
    (void)state;
    static const double values[] = {-2, 0, 1e22, 0x1p360}, counts[] = {1, 2, 3, 1};
    struct datum v = simple();
    v.ts_ms = 1767323045000;
    v.values = values;
    v.counts = counts;
    v.n_values = 2;
    v.has_statistics = true;
    v.sample_count = 3;
    v.sum = -2.5;
    v.min = -2.5;
    prints(&v, "{\"MetricName\":\"latency\",\"Timestamp\":1767323045,\"Values\":[-2,0],\"Counts\":[1,2],"
               "\"StatisticValues\":{\"SampleCount\":3,\"Sum\":-2.5,\"Minimum\":-2.5,\"Maximum\":0}}");
    v.n_values = 0;
    prints(&v, "{\"MetricName\":\"latency\",\"Timestamp\":1767323045,"
               "\"StatisticValues\":{\"SampleCount\":3,\"Sum\":-2.5,\"Minimum\":-2.5,\"Maximum\":0}}");
    v.n_values = 4;
    v.has_statistics = false;
    prints(&v, "{\"MetricName\":\"latency\",\"Timestamp\":1767323045,"
               "\"Values\":[-2,0,1e+22,2.3485425827738332e+108],\"Counts\":[1,2,3,1]}");
}

static double number(const struct node *of, const char *name)
{
    double v = NAN;
    assert_true(node_double(node_find(of, name), &v));
    return v;
}

static void many_values_are_cut_and_their_statistics_add_up(void **state)
{
    (void)state;
    double values[400], counts[400], sum = 0, count = 0, total = 0;
    struct printed p = {0};
    struct arena a = {0};
    struct datum v = simple();
    for (int i = 0; i < 400; i++) {
        values[i] = i + 1;
        counts[i] = 1 + i % 3;
        total += counts[i];
        sum += (values[i] + 0.25) * counts[i]; /* as if Values were centres, and the sum exact */
    }
    v.values = values;
    v.counts = counts;
    v.n_values = 400;
    v.has_statistics = true;
    v.sum = sum;
    v.sample_count = total;
    v.min = 1.25;
    v.max = 400.25;
    v.samples = 1000;
    assert_int_equal(datum_print(&v, &p.text, record, &p, NULL), OK);
    assert_int_equal(p.n, 3);
    assert_int_equal(p.samples, 1000);
    sum = 0;
    for (uint32_t i = 0; i < 3; i++) {
        struct node *n = NULL;
        struct str text = str_from(p.text.p + p.records[i].offset, p.records[i].bytes);
        assert_int_equal(tree_parse_json(text, "datum", &a, &n, NULL), OK);
        assert_int_equal(node_find(n, "Values")->n, i < 2 ? 150 : 100);
        assert_int_equal(node_find(n, "Counts")->n, i < 2 ? 150 : 100);
        const struct node *s = node_find(n, "StatisticValues");
        sum += number(s, "Sum");
        count += number(s, "SampleCount");
        assert_true(number(s, "Minimum") == (i == 0 ? 1.25 : 150 * i + 1));
        assert_true(number(s, "Maximum") == (i == 2 ? 400.25 : 150 * (i + 1)));
    }
    assert_true(fabs(sum - v.sum) < 1e-6);
    assert_true(count == total);
    arena_release(&a);
    buf_release(&p.text);
}

static void dimensions_are_thirty_at_most_and_host(void **state)
{
    (void)state;
    struct label labels[41];
    char names[40][8];
    struct arena a = {0};
    struct node *n = NULL;
    struct printed p = {0};
    struct datum v = simple();
    for (int i = 0; i < 40; i++) {
        snprintf(names[i], sizeof(names[i]), "d%02d", i);
        labels[i] = (struct label){str_c(names[i]), STR("x")};
    }
    labels[40] = (struct label){STR("host"), STR("h")};
    labels[3].value = STR("");
    v.dimensions = (struct labels){labels, 41};
    assert_int_equal(datum_print(&v, &p.text, record, &p, NULL), OK);
    assert_int_equal(tree_parse_json(buf_view(&p.text), "datum", &a, &n, NULL), OK);
    const struct node *list = node_find(n, "Dimensions"), *last = list->first;
    assert_int_equal(list->n, 30);
    for (int i = 0; i < 28; i++)
        last = last->next;
    assert_str_c(node_text(last, "Name"), "d29");
    assert_str_c(node_text(last->next, "Name"), "host");
    arena_release(&a);
    buf_release(&p.text);
}

static void bad_names_and_dimensions_are_refused(void **state)
{
    (void)state;
    char longest[1100];
    struct datum v = simple();
    memset(longest, 'x', sizeof(longest));
    v.name = STR("");
    refused(&v, "metric name");
    v.name = str_from(longest, 256);
    refused(&v, "256 characters, 1 to 255");
    v = simple();
    struct label l = {STR("d"), str_from(longest, 1025)};
    v.dimensions = (struct labels){&l, 1};
    refused(&v, "dimension d: its value has 1025 characters, 1024 are allowed");
    l.value = STR("m\xc3\xbcnchen");
    refused(&v, "not printable ASCII");
    l.value = STR("a\nb");
    refused(&v, "not printable ASCII");
    l.value = STR("  ");
    refused(&v, "not printable ASCII");
    l = (struct label){str_from(longest, 256), STR("x")};
    refused(&v, "dimension name");
    l.name = STR(":x");
    refused(&v, "colon");
    l.name = STR("");
    refused(&v, "dimension name");
}

static void bad_numbers_are_refused(void **state)
{
    (void)state;
    double x[2] = {1, NAN}, counts[2] = {1, -1};
    struct datum v = simple();
    v.n_values = 0;
    refused(&v, "neither a value nor statistics");
    v.values = x;
    v.n_values = 2;
    refused(&v, "value is no finite number");
    x[1] = -INFINITY;
    refused(&v, "value is no finite number");
    x[1] = 0x1p361;
    refused(&v, "beyond 2^360");
    x[1] = -0x1p361;
    refused(&v, "beyond 2^360");
    x[1] = 2;
    v.counts = counts;
    refused(&v, "count");
    v.counts = NULL;
    v.has_statistics = true;
    refused(&v, "no sample");
    v.sample_count = 2;
    v.sum = INFINITY;
    refused(&v, "sum");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_value),
        cmocka_unit_test(a_distribution),
        cmocka_unit_test(many_values_are_cut_and_their_statistics_add_up),
        cmocka_unit_test(dimensions_are_thirty_at_most_and_host),
        cmocka_unit_test(bad_names_and_dimensions_are_refused),
        cmocka_unit_test(bad_numbers_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Counters as a scraper sees them: sums over workers, escaping, histograms, threads. */
#include "unit.h"

#include <pthread.h>

#include "base/counter.h"

static void prints_sorted_families(void **state)
{
    (void)state;
    struct counters *set = counters_new();
    const struct counter_label a[] = {{STR("job"), STR("a\"b\\c\nd")}, {STR("code"), STR("200")}};
    struct counter *one = counter_new(set, COUNTER_TOTAL, "z_total", "Last\nof all.", a, 2);
    struct counter *two = counter_new(set, COUNTER_TOTAL, "z_total", "Last\nof all.", a, 2);
    struct counter *time = counter_new(set, COUNTER_NS_TOTAL, "a_seconds_total", "First.", NULL, 0);
    struct counter *level = counter_new(set, COUNTER_GAUGE, "m_level", "Level.", NULL, 0);
    struct counter *ratio = counter_new(set, COUNTER_GAUGE_F64, "n_ratio", "Ratio.", NULL, 0);
    counter_add(one, 2);
    counter_inc(two);
    counter_add(time, 1500000000);
    counter_set(level, (uint64_t)-3);
    counter_set_f64(ratio, 0.25);
    AUTO_BUF out = {0};
    counters_print(set, &out);
    assert_string_equal(out.p, "# HELP a_seconds_total First.\n# TYPE a_seconds_total counter\na_seconds_total 1.5\n"
                               "# HELP m_level Level.\n# TYPE m_level gauge\nm_level -3\n"
                               "# HELP n_ratio Ratio.\n# TYPE n_ratio gauge\nn_ratio 0.25\n"
                               "# HELP z_total Last\\nof all.\n# TYPE z_total counter\n"
                               "z_total{code=\"200\",job=\"a\\\"b\\\\c\\nd\"} 3\n");
    counter_release(set, two);
    const struct counter_label code = {STR("code"), STR("200")}, other = {STR("code"), STR("20")};
    assert_true(counters_sum(set, "z_total", &code, 1) == 2);
    assert_true(counters_sum(set, "z_total", &other, 1) == 0);
    assert_true(counters_sum(set, "m_level", NULL, 0) == -3);
    assert_true(counters_sum(set, "a_seconds_total", NULL, 0) == 1.5);
    counters_free(set);
}

static void histograms_are_cumulative(void **state)
{
    (void)state;
    struct counters *set = counters_new();
    const double bounds[] = {0.1, 1};
    const struct counter_label label = {STR("w"), STR("1")};
    struct counter_histogram *h = counter_histogram_new(set, "d_seconds", "D.", bounds, 2, &label, 1);
    struct counter_histogram *k = counter_histogram_new(set, "d_seconds", "D.", bounds, 2, &label, 1);
    counter_histogram_observe(h, 0.1);
    counter_histogram_observe(k, 0.5);
    counter_histogram_observe(h, 7);
    AUTO_BUF out = {0};
    counters_print(set, &out);
    assert_string_equal(
        out.p, "# HELP d_seconds D.\n# TYPE d_seconds histogram\n"
               "d_seconds_bucket{w=\"1\",le=\"0.1\"} 1\nd_seconds_bucket{w=\"1\",le=\"1\"} 2\n"
               "d_seconds_bucket{w=\"1\",le=\"+Inf\"} 3\nd_seconds_sum{w=\"1\"} 7.6\nd_seconds_count{w=\"1\"} 3\n");
    counter_histogram_release(set, h);
    counters_free(set);
}

static void private_cells(void **state)
{
    (void)state;
    struct counter *c = counter_new(NULL, COUNTER_TOTAL, "x_total", "X.", NULL, 0);
    counter_inc(c);
    assert_int_equal(counter_get(c), 1);
    counter_release(NULL, c);
    counter_release(NULL, NULL);
    counters_free(NULL);
}

static void *count(void *arg)
{
    struct counters *set = arg;
    for (int i = 0; i < 20; i++) {
        struct counter *passing = counter_new(set, COUNTER_TOTAL, "passing_total", "P.", NULL, 0);
        counter_inc(passing);
        counter_release(set, passing);
    }
    struct counter *c = counter_new(set, COUNTER_TOTAL, "x_total", "X.", NULL, 0);
    for (int i = 0; i < 10000; i++)
        counter_inc(c);
    return NULL;
}

static void threads_count_and_are_read(void **state)
{
    (void)state;
    struct counters *set = counters_new();
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count, set), 0);
    double last = 0;
    for (int i = 0; i < 50; i++) {
        AUTO_BUF out = {0};
        counters_print(set, &out);
        double now = counters_sum(set, "x_total", NULL, 0);
        assert_true(now >= last);
        last = now;
    }
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_true(counters_sum(set, "x_total", NULL, 0) == 40000);
    counters_free(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prints_sorted_families),
        cmocka_unit_test(histograms_are_cumulative),
        cmocka_unit_test(private_cells),
        cmocka_unit_test(threads_count_and_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

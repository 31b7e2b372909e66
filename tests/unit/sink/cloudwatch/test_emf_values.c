/* What is told of counters, histograms and samples with times of their own, and of values as data of PutMetricData. */
#include "unit/sink/cloudwatch/emf_world.h"

static struct world w;

static int setup(void **state)
{
    (void)state;
    world_open(&w);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    world_close(&w);
    return 0;
}

#define assert_has(text) assert_world_has(&w, text)
#define assert_nothing() assert_str_c(world_text(&w, 0), "")

static void scrape_c(double v)
{
    char text[100];

    snprintf(text, sizeof(text), "# TYPE c counter\nc %.17g\n", v);
    world_scrape(&w, w.web, text);
}

/* A counter at 9, of a process that began then. */
static void scrape_process(struct scope *scope, int64_t began_ms)
{
    char text[200];

    snprintf(text, sizeof(text),
             "# TYPE c counter\nc 9\n# TYPE process_start_time_seconds gauge\n"
             "process_start_time_seconds %lld\n",
             (long long)began_ms / 1000);
    world_scrape(&w, scope, text);
}

/* ---- counters ---------------------------------------------------------------------------------------------------- */

static void counters_are_differences(void **state)
{
    (void)state;
    world_start_web(&w);
    scrape_c(10);
    assert_nothing();
    scrape_c(15);
    assert_has("\"c\":5}");
    scrape_c(15);
    assert_has("\"c\":0}");
    scrape_c(3);
    assert_has("\"c\":3}"); /* it began again */
    scrape_c(NAN);
    assert_nothing();
    scrape_c(7);
    assert_has("\"c\":4}"); /* over the one that was no number */
    assert_int_equal(world_dropped(&w, DROP_NO_BASELINE), 1);
    assert_int_equal(world_dropped(&w, DROP_NOT_FINITE), 1);
}

static void a_gap_makes_a_new_baseline(void **state)
{
    (void)state;
    world_start_web(&w);
    scrape_c(10);
    w.ts_ms += 240000;
    scrape_c(20); /* five minutes */
    assert_has("\"c\":10}");
    w.ts_ms += 240001;
    scrape_c(30);
    assert_nothing();
    scrape_c(31);
    assert_has("\"c\":1}");
    w.interval_ms = 600000; /* three intervals are longer */
    w.ts_ms += 1000000;
    scrape_c(40);
    assert_has("\"c\":9}");
}

static void counters_survive_a_restart(void **state)
{
    (void)state;
    world_start_web(&w);
    scrape_c(10);
    scope_unref(w.scopes, w.web);
    emf_free(w.e);
    assert_int_equal(w.c.folds.v[0]->keep_until_ms, w.ts_ms - w.interval_ms + 300000);
    world_start_web(&w);
    scrape_c(12);
    assert_has("\"c\":2}");
}

/* Started twice, and the target answered only before: its values are kept from when it did. */
static void counters_survive_two_restarts(void **state)
{
    (void)state;
    world_start_web(&w);
    scrape_c(10);
    for (int i = 0; i < 2; i++) {
        scope_unref(w.scopes, w.web);
        emf_free(w.e);
        assert_int_equal(w.c.folds.v[0]->keep_until_ms, 1700000000000 + 300000);
        world_start_web(&w);
        world_scrape(&w, w.web, "");
    }
    fake_forget(&w.c, w.ts_ms);
    scrape_c(12);
    assert_has("\"c\":2}");
}

static void a_series_that_went_away_is_forgotten(void **state)
{
    (void)state;
    world_start_web(&w);
    world_scrape(&w, w.web, "# TYPE c counter\nc{x=\"1\"} 1\nc{x=\"2\"} 1\nc{x=\"3\"} 1\n");
    assert_int_equal(w.c.folds.v[0]->n, 3);
    for (int i = 0; i < 12; i++)
        world_scrape(&w, w.web,
                     i % 2 ? "# TYPE c counter\nc{x=\"1\"} 5\nc{x=\"3\"} 2\n" : "# TYPE c counter\nc{x=\"3\"} 2\n");
    assert_int_equal(w.c.folds.v[0]->n, 2);
    world_scrape(&w, w.web, "# TYPE c counter\nc{x=\"3\"} 7\n");
    assert_has("\"x\":\"3\",\"c\":5}");
}

/* ---- times ------------------------------------------------------------------------------------------------------- */

static void samples_with_a_time_are_events_of_that_time(void **state)
{
    (void)state;
    w.c.with_times = true;
    world_declare(&w, "job", "web", "job", ".");
    world_start_web(&w);
    world_scrape(&w, w.web, "# TYPE a gauge\na 1 1690000000000\n# TYPE b gauge\nb 2\n");
    assert_has(
        "1690000000000 {\"CloudWatchMetrics\":[{\"Namespace\":\"ECS/ContainerInsights/Prometheus\",\"Dimensions\":"
        "[[\"job\"]],\"Metrics\":[{\"Name\":\"a\"}]}],\"Timestamp\":\"1690000000000\"");
    assert_has(
        "\n1700000000000 {\"CloudWatchMetrics\":[{\"Namespace\":\"ECS/ContainerInsights/Prometheus\",\"Dimensions\":"
        "[[\"job\"]],\"Metrics\":[{\"Name\":\"b\"}]}],\"Timestamp\":\"1700000000000\"");
}

static void an_equal_time_is_not_told_again(void **state)
{
    (void)state;
    world_start_web(&w);
    for (int i = 0; i < 3; i++)
        world_scrape(&w, w.web, "# TYPE c counter\nc 100 1690000000000\n");
    assert_nothing();
    assert_int_equal(world_dropped(&w, DROP_NOT_NEWER), 2);
    world_scrape(&w, w.web, "# TYPE c counter\nc 90 1680000000000\n");
    assert_int_equal(world_dropped(&w, DROP_NOT_NEWER), 3);
    world_scrape(&w, w.web, "# TYPE c counter\nc 103 1690000030000\n");
    assert_has("\"c\":3}");
}

static void one_line_with_several_times(void **state)
{
    (void)state;
    w.c.with_times = true;
    world_start_web(&w);
    scrape_c(1);
    world_scrape(&w, w.web,
                 "# TYPE c counter\nc 9 1700000003000\nc 4 1700000001000\nc 6 1700000002000\nc 7 1700000002000\n");
    assert_has("1700000001000 {");
    assert_has("\"c\":3}\n1700000002000 {");
    assert_has("\"c\":3}\n1700000003000 {"); /* of equal times the last: 7 - 4 */
    assert_has("\"c\":2}\n");
    assert_int_equal(world_dropped(&w, DROP_NOT_NEWER), 1);
    w.ts_ms = 1700000010000;
    scrape_c(10);
    assert_has("\"c\":1}");
}

static void native_histograms_and_exemplars_are_no_samples(void **state)
{
    (void)state;
    world_start_web(&w);
    for (int i = 1; i <= 2; i++) {
        world_begin(&w);
        world_parse(&w, STR("# TYPE c counter\nc 1\n# TYPE g gauge\ng 1\n"));
        w.samples[0].value = i;
        world_side(&w, &w.samples[0], w.ts_ms)->n_exemplars = 1;
        world_side(&w, &w.samples[1], w.ts_ms)->histogram = 0;
        world_deliver(&w, w.web);
    }
    assert_has("\"prom_metric_type\":\"counter\",\"c\":1}");
    assert_int_equal(world_dropped(&w, DROP_TYPE), 2);
    assert_int_equal(w.c.lanes[0]->records, 1);
}

/* ---- first values ------------------------------------------------------------------------------------------------ */

static void a_new_series_of_a_known_target_counts_from_0(void **state)
{
    static const char one[] = "# TYPE c counter\nc{x=\"1\"} 1\n",
                      both[] = "# TYPE c counter\nc{x=\"1\"} 1\nc{x=\"2\"} 7\n";

    (void)state;
    w.emf.first_values = true;
    world_start_web(&w);
    world_scrape(&w, w.web, one);
    assert_nothing();
    world_scrape(&w, w.web, one);
    world_scrape(&w, w.web, both);
    assert_has("\"x\":\"2\",\"c\":7}");
    for (int i = 0; i < 20; i++)
        world_scrape(&w, w.web, one);
    world_scrape(&w, w.web, both); /* it comes back */
    assert_false(str_contains(world_text(&w, 0), STR("\"x\":\"2\"")));
}

static void but_not_after_an_update(void **state)
{
    (void)state;
    w.emf.first_values = true;
    world_start_web(&w);
    for (int i = 0; i < 3; i++)
        scrape_c(i);
    emf_update(w.e, NULL, &w.config);
    world_scrape(&w, w.web, "# TYPE c counter\nc 3\n# TYPE d counter\nd 100\n");
    assert_has("\"c\":1}");
    assert_int_equal(world_dropped(&w, DROP_NO_BASELINE), 2);
}

static void a_process_that_began_since_counts_from_0(void **state)
{
    (void)state;
    w.emf.first_values = true;
    world_start_web(&w);
    scrape_c(1);
    struct scope *two = world_scope(&w, "job=new");
    scrape_process(two, w.ts_ms - 1000);
    assert_true(str_contains(world_text(&w, 1), STR("\"c\":9}")));
    scope_unref(w.scopes, two);
    two = world_scope(&w, "job=old");
    scrape_process(two, 1600000000000);
    assert_false(str_contains(world_text(&w, 2), STR("\"c\":9}")));
    scope_unref(w.scopes, two);
}

/* Discovery loses a target for a while: what was told of it is not told again. */
static void a_target_that_comes_back_is_not_new(void **state)
{
    (void)state;
    w.emf.first_values = true;
    world_start_web(&w);
    scrape_c(1);
    struct scope *two = world_scope(&w, "job=new");
    int64_t began_ms = w.ts_ms - 1000;
    scrape_process(two, began_ms);
    assert_true(str_contains(world_text(&w, 1), STR("\"c\":9}")));
    scope_unref(w.scopes, two);
    w.ts_ms += 3600 * 1000;
    fake_forget(&w.c, w.ts_ms);
    two = world_scope(&w, "job=new");
    scrape_process(two, began_ms);
    assert_false(str_contains(world_text(&w, 1), STR("\"c\":9}")));
    scope_unref(w.scopes, two);
}

static void nor_is_it_told_unasked(void **state)
{
    (void)state;
    world_start_web(&w);
    scrape_c(1);
    scrape_c(2);
    world_scrape(&w, w.web, "# TYPE c counter\nc 3\n# TYPE d counter\nd 100\n");
    assert_false(str_contains(world_text(&w, 0), STR("\"d\"")));
}

/* ---- histograms -------------------------------------------------------------------------------------------------- */

#define H(a, b, c, d, sum, count)                                                                                      \
    "# TYPE h histogram\nh_bucket{le=\"1\"} " #a "\nh_bucket{le=\"2\"} " #b "\nh_bucket{le=\"5\"} " #c                 \
    "\nh_bucket{le=\"+Inf\"} " #d "\nh_sum " #sum "\nh_count " #count "\n"

static void histograms_as_sum_and_count(void **state)
{
    (void)state;
    w.emf.histograms = EMF_HISTOGRAMS_SUM_COUNT;
    world_start_web(&w);
    world_scrape(&w, w.web, H(1, 2, 3, 4, 10, 4));
    world_scrape(&w, w.web, H(1, 2, 3, 6, 15.5, 6));
    assert_has("\"prom_metric_type\":\"histogram\",\"h_sum\":5.5,\"h_count\":2}");
    assert_int_equal(world_dropped(&w, DROP_TYPE), 8);
}

static void histograms_as_buckets(void **state)
{
    (void)state;
    w.emf.histograms = EMF_HISTOGRAMS_BUCKETS;
    world_declare(&w, "job", "web", "job", "^h$");
    world_start_web(&w);
    world_scrape(&w, w.web, H(8, 10, 10, 12, 40, 12));
    assert_nothing();
    world_scrape(&w, w.web, H(10, 14, 14, 17, 72.5, 17));
    assert_has("\"Metrics\":[{\"Name\":\"h\"}]");
    assert_has(
        "\"prom_metric_type\":\"histogram\",\"h\":{\"Values\":[0.5,1.5,5],\"Counts\":[2,2,1],\"Max\":5,\"Min\":0.5,"
        "\"Count\":5,\"Sum\":32.5}}");
    world_scrape(&w, w.web, H(10, 14, 14, 17, 72.5, 17));
    assert_has("\"h\":{\"Max\":0,\"Min\":0,\"Count\":0,\"Sum\":0}}"); /* a field of the event, no metric */
    assert_false(str_contains(world_text(&w, 0), STR("CloudWatchMetrics")));
    world_scrape(&w, w.web, H(0, 20, 20, 20, 30, 20)); /* one bucket went back: all began again */
    assert_has("\"h\":{\"Values\":[1.5],\"Counts\":[20],\"Max\":1.5,\"Min\":1.5,\"Count\":20,\"Sum\":30}}");
    assert_int_equal(world_dropped(&w, DROP_NO_BASELINE), 6);
    assert_int_equal(w.c.lanes[0]->delivered, 18);
}

/* Found by the fuzzer: no event has a number that JSON has not. */
static void infinite_bounds_and_differences(void **state)
{
    (void)state;
    w.emf.histograms = EMF_HISTOGRAMS_BUCKETS;
    world_start_web(&w);
    for (int i = 0; i < 2; i++) {
        char page[200];
        snprintf(page, sizeof(page), "# TYPE h histogram\nh_bucket{le=\"-Inf\"} %d\nh_bucket{le=\"+Inf\"} %d\n", i,
                 i * 3);
        world_scrape(&w, w.web, page);
    }
    assert_has("\"h\":{\"Values\":[0,0],\"Counts\":[1,2],\"Max\":0,\"Min\":0,\"Count\":3,\"Sum\":0}}");
    scrape_c(-1.7e308);
    scrape_c(1.7e308);
    assert_nothing();
    assert_int_equal(world_dropped(&w, DROP_NOT_FINITE), 1);
}

static void many_buckets_are_several_events(void **state)
{
    (void)state;
    w.emf.histograms = EMF_HISTOGRAMS_BUCKETS;
    world_start_web(&w);
    for (int round = 0; round < 2; round++) {
        AUTO_BUF page = {0};
        buf_c(&page, "# TYPE h histogram\n");
        for (int i = 1; i <= 250; i++)
            buf_printf(&page, "h_bucket{le=\"%d\"} %d\n", i, i * round);
        buf_printf(&page, "h_bucket{le=\"+Inf\"} %d\nh_sum %d\nh_count %d\n", 250 * round, 1234 * round, 250 * round);
        world_scrape(&w, w.web, page.p);
    }
    assert_int_equal(w.c.lanes[0]->records, 3);
    assert_int_equal(w.c.lanes[0]->delivered, 253);
    assert_has("\"Max\":99.5,\"Min\":0.5,\"Count\":100,\"Sum\":1234}}\n");
    assert_has("\"Max\":199.5,\"Min\":100.5,\"Count\":100,\"Sum\":0}}\n");
    assert_has("\"Max\":249.5,\"Min\":200.5,\"Count\":50,\"Sum\":0}}\n");
}

/* ---- data -------------------------------------------------------------------------------------------------------- */

static void as_data(void)
{
    w.config.kind = CLOUDWATCH_METRICS;
}

static void values_of_equal_dimensions_are_one_datum(void **state)
{
    static struct plan_unit unit = {{"a", 1}, {"Count", 5}};

    (void)state;
    as_data();
    w.emf.units = &unit;
    w.emf.n_units = 1;
    world_declare(&w, "job", "web", "job|job,x", "^a$");
    world_start_web(&w);
    world_scrape(&w, w.web, "# TYPE a gauge\na{x=\"1\"} 3\na{x=\"2\"} 4\na{x=\"3\"} NaN\n# TYPE b gauge\nb 5\n");
    assert_str_c(buf_view(&w.c.lanes[0]->place), "ECS/ContainerInsights/Prometheus|");
    assert_int_equal(w.c.lanes[0]->records, 3);
    assert_int_equal(w.c.lanes[0]->delivered, 2);
    assert_has("{\"MetricName\":\"a\",\"Dimensions\":[{\"Name\":\"job\",\"Value\":\"web\"}],\"Timestamp\":1700000000");
    assert_has("\"Values\":[3,4]");
    assert_has("{\"Name\":\"x\",\"Value\":\"1\"}");
    assert_has("\"Unit\":\"Count\"");
    assert_int_equal(world_dropped(&w, DROP_UNDECLARED), 1);
    assert_int_equal(world_dropped(&w, DROP_NOT_FINITE), 1);
}

static void data_carry_their_state(void **state)
{
    (void)state;
    as_data();
    world_declare(&w, "job", "web", "job|job,x", "^c$");
    world_start_web(&w);
    world_scrape(&w, w.web, "# TYPE c counter\nc{x=\"1\"} 3\nc{x=\"2\"} 4\n");
    assert_nothing();
    world_scrape(&w, w.web, "# TYPE c counter\nc{x=\"1\"} 5\nc{x=\"2\"} 8\n");
    assert_has("\"Values\":[2,4]");
    world_scrape(&w, w.web, "# TYPE c counter\nc{x=\"1\"} 6\nc{x=\"2\"} 8\n");
    assert_has("\"Values\":[1,0]");
}

static void data_of_histograms(void **state)
{
    (void)state;
    as_data();
    w.emf.histograms = EMF_HISTOGRAMS_BUCKETS;
    world_declare(&w, "job", "web", "job", "^h$ ^g$");
    world_start_web(&w);
    world_scrape(&w, w.web, H(8, 10, 10, 12, 40, 12));
    world_scrape(&w, w.web, "# TYPE g gauge\ng 1\n" H(10, 14, 14, 17, 72.5, 17));
    assert_has("\"Values\":[0.5,1.5,5],\"Counts\":[2,2,1],\"StatisticValues\":{\"SampleCount\":5,\"Sum\":32.5,");
    world_scrape(&w, w.web, "# TYPE g gauge\ng 1\n" H(10, 14, 14, 17, 72.5, 17)); /* nothing new is no datum */
    assert_int_equal(w.c.lanes[0]->records, 3);
    assert_int_equal(w.c.lanes[0]->delivered, 14);
}

static void data_that_would_be_refused(void **state)
{
    AUTO_BUF page = {0};

    (void)state;
    as_data();
    world_declare(&w, "job", "web", "job", "^a");
    world_start_web(&w);
    buf_c(&page, "# TYPE a gauge\na 1e200\n# TYPE a2 gauge\na2 1\n");
    world_scrape(&w, w.web, page.p);
    assert_int_equal(w.c.lanes[0]->delivered, 1);
    assert_int_equal(world_dropped(&w, DROP_UNSENDABLE), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(counters_are_differences),
        TEST(a_gap_makes_a_new_baseline),
        TEST(counters_survive_a_restart),
        TEST(counters_survive_two_restarts),
        TEST(a_series_that_went_away_is_forgotten),
        TEST(samples_with_a_time_are_events_of_that_time),
        TEST(an_equal_time_is_not_told_again),
        TEST(one_line_with_several_times),
        TEST(native_histograms_and_exemplars_are_no_samples),
        TEST(a_new_series_of_a_known_target_counts_from_0),
        TEST(but_not_after_an_update),
        TEST(a_process_that_began_since_counts_from_0),
        TEST(a_target_that_comes_back_is_not_new),
        TEST(nor_is_it_told_unasked),
        TEST(histograms_as_sum_and_count),
        TEST(histograms_as_buckets),
        TEST(infinite_bounds_and_differences),
        TEST(many_buckets_are_several_events),
        TEST(values_of_equal_dimensions_are_one_datum),
        TEST(data_carry_their_state),
        TEST(data_of_histograms),
        TEST(data_that_would_be_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

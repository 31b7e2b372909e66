/* Classic histograms of text pages as native ones. */
#include "unit/source/scrape/pages.h"

#define TYPE    "# TYPE h histogram\n"
#define CLASSIC "h_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 3\nh_sum 4\nh_count 3\n"
#define NATIVE  "h:3 sum=4 schema=-53 le=1 +[0:2,1:-1]"

static void open_converting(struct pages *p)
{
    pages_open(p);
    p->histograms.convert = true;
}

static void the_histogram_stands_for_its_lines(void **state)
{
    struct pages p;
    (void)state;
    open_converting(&p);
    for (int i = 0; i < 3; i++) {
        assert_str_c(pages_scrape(&p, TYPE CLASSIC "# TYPE b gauge\nb 1\n"),
                     "h{job=\"j\"} " NATIVE "\nb{job=\"j\"} 1\n");
        assert_str_c(buf_view(&p.blocks), "h < # TYPE h histogram\nb < # TYPE b gauge\n");
        assert_int_equal(p.result.scraped, 2);
        assert_int_equal(p.result.relabelled, 2);
        assert_int_equal(p.result.added, i == 0 ? 2 : 0);
    }
    assert_int_equal(pages_parsed(&p), 7);
    pages_close(&p);
}

static void at_the_pages_end_too(void **state)
{
    struct pages p;
    (void)state;
    open_converting(&p);
    for (int i = 0; i < 2; i++)
        assert_str_c(pages_scrape(&p, "b 1\n" TYPE CLASSIC), "b{job=\"j\"} 1\nh{job=\"j\"} " NATIVE "\n");
    p.kind = EXPOSITION_OPENMETRICS;
    for (int i = 0; i < 2; i++)
        assert_str_c(pages_scrape(&p, "b 1\n" TYPE CLASSIC "# EOF\n"), "b{job=\"j\"} 1\nh{job=\"j\"} " NATIVE "\n");
    pages_close(&p);
}

static void several_of_one_family(void **state)
{
    struct pages p;
    (void)state;
    open_converting(&p);
    for (int i = 0; i < 2; i++)
        assert_str_c(pages_scrape(&p, TYPE "h_bucket{x=\"1\",le=\"+Inf\"} 3\nh_count{x=\"1\"} 3\nh_sum{x=\"1\"} 1\n"
                                           "h_bucket{x=\"2\",le=\"+Inf\"} 4\nh_count{x=\"2\"} 4\nh_sum{x=\"2\"} 2\n"),
                     "h{job=\"j\",x=\"1\"} h:3 sum=1 schema=-53 +[0:3]\n"
                     "h{job=\"j\",x=\"2\"} h:4 sum=2 schema=-53 +[0:4]\n");
    pages_close(&p);
}

static void the_classic_series_may_stay(void **state)
{
    struct pages p;
    (void)state;
    open_converting(&p);
    p.histograms.classic_too = true;
    for (int i = 0; i < 2; i++) {
        assert_str_c(pages_scrape(&p, TYPE CLASSIC),
                     "h_bucket{job=\"j\",le=\"1.0\"} 2\nh_bucket{job=\"j\",le=\"+Inf\"} 3\nh_sum{job=\"j\"} 4\n"
                     "h_count{job=\"j\"} 3\nh{job=\"j\"} " NATIVE "\n");
        assert_int_equal(p.result.scraped, 5);
    }
    pages_close(&p);
}

/* Rules see the histogram, not its lines. */
static void rules_see_the_histogram(void **state)
{
    struct pages p;
    struct str le = STR("le"), name = STR("__name__");
    struct relabel_rule rules[2] = {
        {.action = RELABEL_DROP, .source_labels = &le, .n_source_labels = 1, .separator = STR(";")},
        {.action = RELABEL_REPLACE,
         .source_labels = &name,
         .n_source_labels = 1,
         .separator = STR(";"),
         .target_label = STR("was"),
         .replacement = STR("$1")},
    };
    struct relabel_rules all = {rules, 2};
    (void)state;
    assert_int_equal(regex_new(STR(".+"), &rules[0].regex, NULL), OK);
    assert_int_equal(regex_new(STR("(.*)"), &rules[1].regex, NULL), OK);
    open_converting(&p);
    p.config.metric_relabel = &all;
    page_shape(&p.predictor, &p.page, &p.config, false);
    for (int i = 0; i < 2; i++)
        assert_str_c(pages_scrape(&p, TYPE CLASSIC), "h{job=\"j\",was=\"h\"} " NATIVE "\n");
    pages_close(&p);
    regex_free(rules[0].regex);
    regex_free(rules[1].regex);
}

static void a_histogram_that_goes_gets_a_marker(void **state)
{
    struct pages p;
    (void)state;
    open_converting(&p);
    pages_scrape(&p, TYPE CLASSIC "# TYPE b gauge\nb 1\n");
    assert_str_c(pages_scrape(&p, "# TYPE b gauge\nb 1\n"), "b{job=\"j\"} 1\nh{job=\"j\"} stale\n");
    pages_scrape(&p, TYPE CLASSIC);
    assert_str_c(pages_scrape(&p, ""), "h{job=\"j\"} stale\n");
    pages_close(&p);
}

static void the_switch_changes_which_series_there_are(void **state)
{
    struct pages p;
    (void)state;
    pages_open(&p);
    pages_scrape(&p, TYPE CLASSIC);
    p.histograms.convert = true;
    assert_str_c(pages_scrape(&p, TYPE CLASSIC),
                 "h{job=\"j\"} " NATIVE "\nh_bucket{job=\"j\",le=\"1.0\"} stale\n"
                 "h_bucket{job=\"j\",le=\"+Inf\"} stale\nh_sum{job=\"j\"} stale\nh_count{job=\"j\"} stale\n");
    p.histograms.convert = false;
    assert_str_c(pages_scrape(&p, TYPE CLASSIC),
                 "h_bucket{job=\"j\",le=\"1.0\"} 2\nh_bucket{job=\"j\",le=\"+Inf\"} 3\nh_sum{job=\"j\"} 4\n"
                 "h_count{job=\"j\"} 3\nh{job=\"j\"} stale\n");
    unsigned before = pages_parsed(&p);
    pages_scrape(&p, TYPE CLASSIC);
    assert_int_equal(pages_parsed(&p), before);
    pages_close(&p);
}

static void too_many_buckets_fail_the_scrape(void **state)
{
    struct pages p;
    (void)state;
    open_converting(&p);
    p.config.native_histogram_bucket_limit = 1;
    pages_scrape(&p, "b 1\n" TYPE CLASSIC "# TYPE c gauge\nc 1\n");
    assert_int_equal(p.err, ERR_LIMIT);
    assert_string_equal(p.diag.text, "histogram bucket limit exceeded");
    assert_int_equal(p.result.scraped, 3);
    assert_int_equal(p.result.added, 0);
    assert_true(pages_counter(&p, "prometheus_target_scrapes_exceeded_native_histogram_bucket_limit_total") == 1);
    pages_close(&p);
}

static void exemplars_go_to_the_histogram(void **state)
{
    struct pages p;
    (void)state;
    open_converting(&p);
    p.kind = EXPOSITION_OPENMETRICS;
    p.starts = true;
    for (int i = 0; i < 2; i++)
        assert_str_c(pages_scrape(&p, TYPE "h_bucket{le=\"1.0\"} 2 # {id=\"a\"} 0.5 2.5\n"
                                           "h_bucket{le=\"+Inf\"} 3 # {id=\"b\"} 7\nh_sum 4\nh_count 3\n"
                                           "h_created 0.25\n# EOF\n"),
                     i == 0 ? "h{job=\"j\"} " NATIVE " start=250 # {id=\"a\"} 0.5 @2500\nh_created{job=\"j\"} 0.25\n"
                            : "h{job=\"j\"} " NATIVE " start=250\nh_created{job=\"j\"} 0.25\n");
    pages_close(&p);
}

/* Its identity is its first line, its series is not. */
static void another_first_line_is_the_same_series(void **state)
{
    struct pages p;
    (void)state;
    open_converting(&p);
    pages_scrape(&p, TYPE CLASSIC);
    assert_str_c(pages_scrape(&p, TYPE "h_sum 4\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 3\nh_count 3\n"),
                 "h{job=\"j\"} " NATIVE "\n");
    assert_str_c(pages_scrape(&p, TYPE CLASSIC), "h{job=\"j\"} " NATIVE "\n");
    assert_str_c(pages_scrape(&p, "# TYPE h gauge\nh 3\n"), "h{job=\"j\"} 3\n");
    assert_str_c(pages_scrape(&p, TYPE CLASSIC), "h{job=\"j\"} " NATIVE "\n");
    pages_close(&p);
}

/* What a line is to the conversion is kept by its number, and numbers are given again. */
static void swept_lines_are_forgotten(void **state)
{
    struct pages p;
    (void)state;
    open_converting(&p);
    pages_scrape(&p, TYPE CLASSIC);
    pages_scrape(&p, "");
    pages_scrape(&p, "# TYPE x gauge\nx 1\n");
    intern_sweep(p.intern);
    assert_str_c(pages_scrape(&p, "# TYPE x gauge\nx 1\ny 2\nz 3\n# TYPE h histogram\n" CLASSIC "v 1\n"),
                 "x{job=\"j\"} 1\ny{job=\"j\"} 2\nz{job=\"j\"} 3\nh{job=\"j\"} " NATIVE "\nv{job=\"j\"} 1\n");
    pages_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_histogram_stands_for_its_lines),
        cmocka_unit_test(at_the_pages_end_too),
        cmocka_unit_test(several_of_one_family),
        cmocka_unit_test(the_classic_series_may_stay),
        cmocka_unit_test(rules_see_the_histogram),
        cmocka_unit_test(a_histogram_that_goes_gets_a_marker),
        cmocka_unit_test(the_switch_changes_which_series_there_are),
        cmocka_unit_test(too_many_buckets_fail_the_scrape),
        cmocka_unit_test(exemplars_go_to_the_histogram),
        cmocka_unit_test(another_first_line_is_the_same_series),
        cmocka_unit_test(swept_lines_are_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

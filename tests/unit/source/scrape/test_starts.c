/* _created lines as start timestamps. */
#include "unit/source/scrape/pages.h"

#define COUNTER   "# TYPE a counter\n"
#define HISTOGRAM "# TYPE h histogram\n"

static void open_openmetrics(struct pages *p)
{
    pages_open(p);
    p->kind = EXPOSITION_OPENMETRICS;
    p->starts = true;
}

static void a_created_line_speaks_of_the_series_above_it(void **state)
{
    struct pages p;
    (void)state;
    open_openmetrics(&p);
    for (int i = 0; i < 3; i++)
        assert_str_c(pages_scrape(&p, COUNTER "a_total{x=\"1\"} 5\na_created{x=\"1\"} 0.25\n"
                                              "a_total{x=\"2\"} 6\na_created{x=\"2\"} 0.5\nb 1\n# EOF\n"),
                     "a_total{job=\"j\",x=\"1\"} 5 start=250\na_created{job=\"j\",x=\"1\"} 0.25\n"
                     "a_total{job=\"j\",x=\"2\"} 6 start=500\na_created{job=\"j\",x=\"2\"} 0.5\nb{job=\"j\"} 1\n");
    assert_int_equal(pages_parsed(&p), 6);
    pages_close(&p);
}

static void all_series_of_a_histogram_begin_together(void **state)
{
    struct pages p;
    (void)state;
    open_openmetrics(&p);
    assert_str_c(pages_scrape(&p, HISTOGRAM "h_bucket{le=\"1.0\"} 5\nh_bucket{le=\"+Inf\"} 6\nh_count 6\nh_sum 7\n"
                                            "h_created 0.25\n# EOF\n"),
                 "h_bucket{job=\"j\",le=\"1.0\"} 5 start=250\nh_bucket{job=\"j\",le=\"+Inf\"} 6 start=250\n"
                 "h_count{job=\"j\"} 6 start=250\nh_sum{job=\"j\"} 7 start=250\nh_created{job=\"j\"} 0.25\n");
    pages_close(&p);
}

static void a_created_line_may_come_first(void **state)
{
    struct pages p;
    (void)state;
    open_openmetrics(&p);
    for (int i = 0; i < 2; i++)
        assert_str_c(pages_scrape(&p, COUNTER "a_created 0.25\na_total 5\n# TYPE b counter\nb_total 1\n# EOF\n"),
                     "a_created{job=\"j\"} 0.25\na_total{job=\"j\"} 5 start=250\nb_total{job=\"j\"} 1\n");
    pages_close(&p);
}

static void a_gauge_of_that_name_is_only_a_gauge(void **state)
{
    struct pages p;
    (void)state;
    open_openmetrics(&p);
    assert_str_c(pages_scrape(&p, "# TYPE a gauge\na_total 5\na_created 0.25\n# EOF\n"),
                 "a_total{job=\"j\"} 5\na_created{job=\"j\"} 0.25\n");
    pages_close(&p);
}

static void nobody_asked_nothing_said(void **state)
{
    struct pages p;
    (void)state;
    open_openmetrics(&p);
    p.starts = false;
    assert_str_c(pages_scrape(&p, COUNTER "a_total 5\na_created 0.25\n# EOF\n"),
                 "a_total{job=\"j\"} 5\na_created{job=\"j\"} 0.25\n");
    p.starts = true;
    assert_str_c(pages_scrape(&p, COUNTER "a_total 5\na_created 0.25\n# EOF\n"),
                 "a_total{job=\"j\"} 5 start=250\na_created{job=\"j\"} 0.25\n");
    p.kind = EXPOSITION_TEXT;
    assert_str_c(pages_scrape(&p, COUNTER "a_total 5\na_created 0.25\n"),
                 "a_total{job=\"j\"} 5\na_created{job=\"j\"} 0.25\n");
    pages_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_created_line_speaks_of_the_series_above_it),
        cmocka_unit_test(all_series_of_a_histogram_begin_together),
        cmocka_unit_test(a_created_line_may_come_first),
        cmocka_unit_test(a_gauge_of_that_name_is_only_a_gauge),
        cmocka_unit_test(nobody_asked_nothing_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Which exemplars of a page go on. */
#include "unit/source/scrape/pages.h"

static void open_openmetrics(struct pages *p)
{
    pages_open(p);
    p->kind = EXPOSITION_OPENMETRICS;
}

static void an_exemplar_is_sent_once(void **state)
{
    struct pages p;
    (void)state;
    open_openmetrics(&p);
    assert_str_c(pages_scrape(&p, "a_total 5 # {id=\"x\"} 3 1.5\nb 1\n# EOF\n"),
                 "a_total{job=\"j\"} 5 # {id=\"x\"} 3 @1500\nb{job=\"j\"} 1\n");
    assert_str_c(pages_scrape(&p, "a_total 6 # {id=\"x\"} 3 1.5\nb 1\n# EOF\n"),
                 "a_total{job=\"j\"} 6\nb{job=\"j\"} 1\n");
    assert_str_c(pages_scrape(&p, "a_total 7 # {id=\"y\"} 3 1.5\nb 1\n# EOF\n"),
                 "a_total{job=\"j\"} 7 # {id=\"y\"} 3 @1500\nb{job=\"j\"} 1\n");
    assert_str_c(pages_scrape(&p, "a_total 7 # {id=\"y\"} 4 1.5\nb 1\n# EOF\n"),
                 "a_total{job=\"j\"} 7 # {id=\"y\"} 4 @1500\nb{job=\"j\"} 1\n");
    assert_str_c(pages_scrape(&p, "a_total 7\nb 1\n# EOF\n"), "a_total{job=\"j\"} 7\nb{job=\"j\"} 1\n");
    assert_str_c(pages_scrape(&p, "a_total 7 # {id=\"y\"} 4 1.5\nb 1\n# EOF\n"),
                 "a_total{job=\"j\"} 7\nb{job=\"j\"} 1\n");
    assert_true(pages_counter(&p, "leadline_scrape_exemplars_total") == 3);
    assert_int_equal(pages_parsed(&p), 2);
    pages_close(&p);
}

/* Only the time tells one from the next. */
static void a_new_time_is_a_new_exemplar(void **state)
{
    struct pages p;
    (void)state;
    open_openmetrics(&p);
    pages_scrape(&p, "a_total 5 # {id=\"x\"} 3 1.5\n# EOF\n");
    assert_str_c(pages_scrape(&p, "a_total 5 # {id=\"x\"} 3 1.6\n# EOF\n"),
                 "a_total{job=\"j\"} 5 # {id=\"x\"} 3 @1600\n");
    assert_str_c(pages_scrape(&p, "a_total 5 # {id=\"x\"} 3.0 1.600\n# EOF\n"), "a_total{job=\"j\"} 5\n");
    pages_close(&p);
}

static void without_a_time_it_has_the_samples(void **state)
{
    struct pages p;
    (void)state;
    open_openmetrics(&p);
    assert_str_c(pages_scrape(&p, "a_total 5 # {id=\"x\"} 3\n# EOF\n"), "a_total{job=\"j\"} 5 # {id=\"x\"} 3\n");
    assert_str_c(pages_scrape(&p, "a_total 6 # {id=\"x\"} 3\n# EOF\n"), "a_total{job=\"j\"} 6\n");
    assert_str_c(pages_scrape(&p, "a_total 6 # {id=\"x\"} 3.0\n# EOF\n"), "a_total{job=\"j\"} 6\n");
    p.config.track_timestamps_staleness = true;
    assert_str_c(pages_scrape(&p, "a_total 6 9 # {id=\"z\"} 3\n# EOF\n"),
                 "a_total{job=\"j\"} 6 @9000 # {id=\"z\"} 3\n");
    pages_close(&p);
}

static void what_no_receiver_takes_is_left_out(void **state)
{
    struct pages p;
    AUTO_BUF page = {0};
    (void)state;
    open_openmetrics(&p);
    buf_c(&page, "a_total 5 # {id=\"");
    for (int i = 0; i < 127; i++)
        buf_c(&page, "\u00e9");
    buf_c(&page, "\"} 3\nb_total 5 # {x=\"1\",x=\"2\"} 3\nc_total 5 # {e=\"\",id=\"x\"} 3\n# EOF\n");
    assert_str_c(pages_scrape(&p, page.p),
                 "a_total{job=\"j\"} 5\nb_total{job=\"j\"} 5\nc_total{job=\"j\"} 5 # {id=\"x\"} 3\n");
    assert_true(pages_counter(&p, "leadline_scrape_exemplars_refused_total") == 2);
    pages_close(&p);
}

static void a_sample_left_out_takes_its_exemplar_along(void **state)
{
    struct pages p;
    (void)state;
    open_openmetrics(&p);
    assert_str_c(pages_scrape(&p, "a_total 5\na_total 6 # {id=\"x\"} 3\n# EOF\n"), "a_total{job=\"j\"} 5\n");
    assert_str_c(pages_scrape(&p, "a_total 5 # {id=\"x\"} 3\n# EOF\n"), "a_total{job=\"j\"} 5 # {id=\"x\"} 3\n");
    pages_close(&p);
}

static void a_page_that_is_refused_has_sent_none(void **state)
{
    struct pages p;
    (void)state;
    open_openmetrics(&p);
    pages_scrape(&p, "a_total 5\n# EOF\n");
    pages_scrape(&p, "a_total 5 # {id=\"x\"} 3\n");
    assert_int_equal(p.err, ERR_SYNTAX);
    assert_str_c(pages_scrape(&p, "a_total 5 # {id=\"x\"} 3\n# EOF\n"), "a_total{job=\"j\"} 5 # {id=\"x\"} 3\n");
    pages_close(&p);
}

static void what_is_remembered_goes_after_an_hour(void **state)
{
    struct pages p;
    (void)state;
    open_openmetrics(&p);
    pages_scrape(&p, "a_total 5 # {id=\"x\"} 3\nb 1\n# EOF\n");
    assert_non_null(p.page.latest);
    for (int i = 0; i < 9; i++) {
        p.ts_ms += 10 * 60 * 1000;
        p.now_ms = p.ts_ms;
        pages_scrape(&p, "b 1\n# EOF\n");
    }
    assert_null(p.page.latest);
    intern_sweep(p.intern);
    assert_int_equal(intern_count(p.intern), 1);
    pages_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_exemplar_is_sent_once),
        cmocka_unit_test(a_new_time_is_a_new_exemplar),
        cmocka_unit_test(without_a_time_it_has_the_samples),
        cmocka_unit_test(what_no_receiver_takes_is_left_out),
        cmocka_unit_test(a_sample_left_out_takes_its_exemplar_along),
        cmocka_unit_test(a_page_that_is_refused_has_sent_none),
        cmocka_unit_test(what_is_remembered_goes_after_an_hour),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

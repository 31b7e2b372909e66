/* At most so many series of a target in a day. */
#include "unit/source/scrape/pages.h"

#define DAY_MS ((int64_t)24 * 60 * 60 * 1000)

static void open_limited(struct pages *p, uint64_t limit)
{
    pages_open(p);
    p->series_limit = limit;
}

static double left_out(const struct pages *p)
{
    return pages_counter(p, "leadline_scrape_series_over_limit_total");
}

static void series_beyond_the_limit_are_left_out(void **state)
{
    struct pages p;
    (void)state;
    open_limited(&p, 2);
    for (int i = 0; i < 3; i++) {
        unsigned before = pages_parsed(&p);
        assert_str_c(pages_scrape(&p, "a 1\nb 2\nc 3\nd 4\n"), "a{job=\"j\"} 1\nb{job=\"j\"} 2\n");
        assert_int_equal(p.result.scraped, 4);
        assert_int_equal(p.result.relabelled, 4);
        assert_int_equal(p.result.added, i == 0 ? 2 : 0);
        assert_int_equal(p.result.limited, 2);
        assert_true(left_out(&p) == 2 * (i + 1));
        assert_true(i == 0 || pages_parsed(&p) == before);
    }
    pages_close(&p);
}

static void a_series_that_goes_keeps_its_place_for_the_day(void **state)
{
    struct pages p;
    (void)state;
    open_limited(&p, 2);
    pages_scrape(&p, "a 1\nb 2\n");
    assert_str_c(pages_scrape(&p, "c 3\na 1\n"), "a{job=\"j\"} 1\nb{job=\"j\"} stale\n");
    assert_str_c(pages_scrape(&p, "c 3\nb 2\n"), "b{job=\"j\"} 2\na{job=\"j\"} stale\n");
    assert_str_c(pages_scrape(&p, ""), "b{job=\"j\"} stale\n");
    assert_str_c(pages_scrape(&p, "a 1\nb 2\nc 3\n"), "a{job=\"j\"} 1\nb{job=\"j\"} 2\n");
    pages_close(&p);
}

static void a_day_later_there_is_room_again(void **state)
{
    struct pages p;
    (void)state;
    open_limited(&p, 2);
    pages_scrape(&p, "a 1\nb 2\nc 3\n");
    p.now_ms += DAY_MS - 1;
    assert_str_c(pages_scrape(&p, "b 2\nc 3\n"), "b{job=\"j\"} 2\na{job=\"j\"} stale\n");
    p.now_ms += 1;
    assert_str_c(pages_scrape(&p, "b 2\nc 3\n"), "b{job=\"j\"} 2\nc{job=\"j\"} 3\n");
    assert_int_equal(p.result.added, 1);
    unsigned before = pages_parsed(&p);
    assert_str_c(pages_scrape(&p, "b 2\nc 3\n"), "b{job=\"j\"} 2\nc{job=\"j\"} 3\n");
    assert_int_equal(pages_parsed(&p), before);
    pages_close(&p);
}

static void a_limit_that_is_set_later_ends_what_is_too_much(void **state)
{
    struct pages p;
    (void)state;
    open_limited(&p, 0);
    pages_scrape(&p, "a 1\nb 2\nc 3\n");
    p.series_limit = 2;
    assert_str_c(pages_scrape(&p, "a 1\nb 2\nc 3\n"), "a{job=\"j\"} 1\nb{job=\"j\"} 2\nc{job=\"j\"} stale\n");
    p.series_limit = 0;
    assert_str_c(pages_scrape(&p, "a 1\nb 2\nc 3\n"), "a{job=\"j\"} 1\nb{job=\"j\"} 2\nc{job=\"j\"} 3\n");
    assert_int_equal(p.result.added, 1);
    assert_null(p.page.limit);
    pages_close(&p);
}

static void a_page_that_is_refused_takes_no_place(void **state)
{
    struct pages p;
    (void)state;
    open_limited(&p, 2);
    pages_scrape(&p, "a 1\n");
    pages_scrape(&p, "a 1\nx 1\n{\n");
    assert_int_equal(p.err, ERR_SYNTAX);
    p.config.sample_limit = 1;
    pages_scrape(&p, "a 1\nb 1\n");
    assert_int_equal(p.err, ERR_LIMIT);
    p.config.sample_limit = 0;
    assert_str_c(pages_scrape(&p, "x 1\nb 2\na 1\n"), "x{job=\"j\"} 1\na{job=\"j\"} 1\n");
    pages_close(&p);
}

static void lines_of_one_series_take_one_place(void **state)
{
    struct pages p;
    (void)state;
    open_limited(&p, 2);
    pages_scrape(&p, "a{x=\"1\",y=\"2\"} 1\n");
    pages_scrape(&p, "a{y=\"2\",x=\"1\"} 1\n");
    assert_str_c(pages_scrape(&p, "a{x=\"1\",y=\"2\"} 1\nb 1\nc 1\n"),
                 "a{job=\"j\",x=\"1\",y=\"2\"} 1\nb{job=\"j\"} 1\n");
    pages_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(series_beyond_the_limit_are_left_out),
        cmocka_unit_test(a_series_that_goes_keeps_its_place_for_the_day),
        cmocka_unit_test(a_day_later_there_is_room_again),
        cmocka_unit_test(a_limit_that_is_set_later_ends_what_is_too_much),
        cmocka_unit_test(a_page_that_is_refused_takes_no_place),
        cmocka_unit_test(lines_of_one_series_take_one_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Times: what they look like, and that they go on. */
#include "unit.h"

#include "base/clock.h"

static void prints_utc(void **state)
{
    (void)state;
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {1767323045678, "2026-01-02T03:04:05.678Z"},
        {-1, "1969-12-31T23:59:59.999Z"},
        {951827696007, "2000-02-29T12:34:56.007Z"},
        {253402300799999, "9999-12-31T23:59:59.999Z"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        AUTO_BUF b = {0};
        clock_print(&b, cases[i].ms);
        assert_string_equal(b.p, cases[i].text);
    }
    AUTO_BUF b = {0};
    clock_print(&b, INT64_MAX);
    assert_true(b.n > 0);
}

static void reads_http_dates(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "Sun, 06 Nov 1994 08:49:37",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Xyz 1994 08:49:37 GMT",
        "Sun, 6x Nov 1994 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT",
    };
    int64_t ms = 7;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(clock_parse_http(str_c(bad[i]), &ms));
    assert_int_equal(ms, 7);
    assert_true(clock_parse_http(STR("Sun, 06 Nov 1994 08:49:37 GMT"), &ms));
    assert_int_equal(ms, 784111777000);
    assert_true(clock_parse_http(STR(" Tue, 29 Feb 2000 12:34:56 GMT "), &ms));
    assert_int_equal(ms, 951827696000);
}

static void moves_forward(void **state)
{
    (void)state;
    uint64_t before = clock_mono_ns();
    assert_true(clock_mono_ns() >= before);
    assert_true(clock_mono_ms() >= before / 1000000);
    int64_t wall = clock_wall_ms();
    assert_true(wall > 1700000000000 && clock_wall_ns() / 1000000 >= wall);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prints_utc),
        cmocka_unit_test(reads_http_dates),
        cmocka_unit_test(moves_forward),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

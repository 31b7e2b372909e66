/* _created lines of OpenMetrics: of which series they speak. */
#include "unit.h"

#include <math.h>

#include "format/exposition.h"

static bool speaks(const char *created, const char *series, enum metric_type type)
{
    return exposition_created_for(str_c(created), str_c(series), type);
}

static void which_lines_they_are(void **state)
{
    (void)state;
    assert_true(exposition_is_created(STR("a_created "), TYPE_COUNTER));
    assert_true(exposition_is_created(STR("a_created{x=\"1\"} "), TYPE_HISTOGRAM));
    assert_true(exposition_is_created(STR("{\"a.b_created\",x=\"1\"} "), TYPE_SUMMARY));
    assert_false(exposition_is_created(STR("a_created "), TYPE_GAUGE));
    assert_false(exposition_is_created(STR("a_total{x=\"_created\"} "), TYPE_COUNTER));
    assert_false(exposition_is_created(STR("created "), TYPE_COUNTER));
}

static void of_which_series_they_speak(void **state)
{
    (void)state;
    assert_true(speaks("a_created ", "a_total ", TYPE_COUNTER));
    assert_true(speaks("a_created{x=\"1\"} ", "a_total{x=\"1\"} ", TYPE_COUNTER));
    assert_false(speaks("a_created{x=\"1\"} ", "a_total{x=\"2\"} ", TYPE_COUNTER));
    assert_false(speaks("a_created{x=\"1\"} ", "a_total ", TYPE_COUNTER));
    assert_false(speaks("a_created{x=\"1\"} ", "ab_total{x=\"1\"} ", TYPE_COUNTER));
    assert_false(speaks("a_created ", "a_total ", TYPE_GAUGE));
    assert_true(speaks("{\"a.b_created\",x=\"1\"} ", "{\"a.b_total\",x=\"1\"} ", TYPE_COUNTER));
    assert_false(speaks("{\"a.b_created\",x=\"1\"} ", "{\"a.c_total\",x=\"1\"} ", TYPE_COUNTER));
}

static void bounds_and_quantiles_do_not_count(void **state)
{
    (void)state;
    const char *created = "a_created{x=\"1\",y=\"a,\\\"}b\"} ";
    assert_true(speaks(created, "a_bucket{x=\"1\",y=\"a,\\\"}b\",le=\"0.5\"} ", TYPE_HISTOGRAM));
    assert_true(speaks(created, "a_bucket{le=\"0.5\",x=\"1\",y=\"a,\\\"}b\"} ", TYPE_HISTOGRAM));
    assert_true(speaks(created, "a_sum{x=\"1\",y=\"a,\\\"}b\"} ", TYPE_HISTOGRAM));
    assert_true(speaks(created, "a{x=\"1\",y=\"a,\\\"}b\",quantile=\"1.0\"} ", TYPE_SUMMARY));
    assert_false(speaks(created, "a_bucket{x=\"1\",le=\"0.5\"} ", TYPE_HISTOGRAM));
    assert_false(speaks(created, "a_total{x=\"1\",y=\"a,\\\"}b\",le=\"0.5\"} ", TYPE_COUNTER));
}

static void any_bytes_are_safe(void **state)
{
    (void)state;
    const char *const bytes[] = {"", "{", "{\"", "{\"\\", "a{", "a{x=\"", "a{x=\"\\", "_created", "_created{\"", "}"};
    for (size_t i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++)
        for (size_t k = 0; k < sizeof(bytes) / sizeof(bytes[0]); k++)
            (void)speaks(bytes[i], bytes[k], TYPE_HISTOGRAM);
}

static void seconds_become_milliseconds(void **state)
{
    (void)state;
    assert_true(exposition_created_ms(1700000000.5) == 1700000000500);
    assert_true(exposition_created_ms(NAN) == 0);
    assert_true(exposition_created_ms(1e300) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(which_lines_they_are),
        cmocka_unit_test(of_which_series_they_speak),
        cmocka_unit_test(bounds_and_quantiles_do_not_count),
        cmocka_unit_test(any_bytes_are_safe),
        cmocka_unit_test(seconds_become_milliseconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

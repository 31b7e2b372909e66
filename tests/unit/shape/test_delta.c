/* What a counter's next value says: the agent's rules. */
#include "unit.h"

#include <math.h>

#include "shape/delta.h"

static enum delta_outcome next(double before, int64_t at, double value, int64_t ts, double *out)
{
    *out = -1;
    return delta_next(&(struct delta_before){true, before, at}, value, ts, 300000, out);
}

static void differences(void **state)
{
    double v;

    (void)state;
    assert_int_equal(next(10, 1000, 12.5, 2000, &v), DELTA_EMIT);
    assert_true(v == 2.5);
    assert_int_equal(next(10, 1000, 10, 2000, &v), DELTA_EMIT);
    assert_true(v == 0);
    assert_int_equal(next(10, 1000, 3, 2000, &v), DELTA_EMIT); /* it began again */
    assert_true(v == 3);
}

static void what_says_nothing(void **state)
{
    double v;

    (void)state;
    assert_int_equal(delta_next(&(struct delta_before){0}, 5, 1000, 300000, &v), DELTA_NO_BASELINE);
    assert_int_equal(next(10, 1000, 12, 1000, &v), DELTA_NOT_NEWER);
    assert_int_equal(next(10, 1000, 12, 999, &v), DELTA_NOT_NEWER);
    assert_int_equal(next(10, 1000, NAN, 2000, &v), DELTA_NOT_FINITE);
    assert_int_equal(next(10, 1000, INFINITY, 2000, &v), DELTA_NOT_FINITE);
    assert_int_equal(next(10, 1000, 12, 301001, &v), DELTA_NO_BASELINE);
    assert_int_equal(next(10, 1000, 12, 301000, &v), DELTA_EMIT);
}

static void gaps(void **state)
{
    (void)state;
    assert_int_equal(delta_gap_ms(15000), 300000);
    assert_int_equal(delta_gap_ms(100000), 300000);
    assert_int_equal(delta_gap_ms(300000), 900000);
    assert_int_equal(delta_gap_ms(0), 300000);
    assert_true(delta_gap_ms(INT64_MAX) == INT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(differences),
        cmocka_unit_test(what_says_nothing),
        cmocka_unit_test(gaps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

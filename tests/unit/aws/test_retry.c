/* Quota, back-off and rate. */
#include "unit.h"

#include <math.h>

#include "aws/retry_int.h"

static void test_quota(void **state)
{
    (void)state;
    struct aws_quota q = {0};
    int n = 0;

    while (aws_quota_take(&q, AWS_FAILED_TRANSIENT) == 5)
        n++;
    assert_int_equal(n, 100);
    assert_int_equal(aws_quota_take(&q, AWS_FAILED_THROTTLED), 0);
    /* a success without retries is worth 1, one with what it took */
    for (int i = 0; i < 4; i++)
        aws_quota_give(&q, 0);
    assert_int_equal(aws_quota_take(&q, AWS_FAILED_THROTTLED), 0);
    aws_quota_give(&q, 0);
    assert_int_equal(aws_quota_take(&q, AWS_FAILED_THROTTLED), 5);
    aws_quota_give(&q, 10);
    assert_int_equal(aws_quota_take(&q, AWS_FAILED_TIMEOUT), 10);
    /* never more than full */
    q = (struct aws_quota){0};
    aws_quota_give(&q, 10);
    assert_int_equal(q.used, 0);
}

static void test_backoff(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 40; i++) {
        uint64_t most = i < 5 ? 1000ull << i : 20000, least = i < 9 ? 50ull << i : 20000;
        assert_int_equal(aws_backoff_ms(AWS_FAILED_THROTTLED, i, most, 0), most);
        assert_int_equal(aws_backoff_ms(AWS_FAILED_THROTTLED, i, most + 1, 0), 0);
        assert_int_equal(aws_backoff_ms(AWS_FAILED_TRANSIENT, i, least, 0), least);
    }
    /* what the service asks for: at least that, at most 5 s more than ours */
    assert_int_equal(aws_backoff_ms(AWS_FAILED_TRANSIENT, 0, 30, 1500), 1500);
    assert_int_equal(aws_backoff_ms(AWS_FAILED_TRANSIENT, 0, 30, 10), 30);
    assert_int_equal(aws_backoff_ms(AWS_FAILED_TRANSIENT, 0, 30, UINT64_MAX), 5030);
}

/* As many sends as the rate lets through in a span of time, all answered in the same way. */
static int sends(struct aws_rate *r, double *now_s, double for_s, double most_a_second, bool throttled)
{
    double end_s = *now_s + for_s;
    int n = 0;

    while (*now_s < end_s) {
        double wait_s = aws_rate_wait_s(r, *now_s);
        if (wait_s > 0) {
            *now_s += fmin(wait_s, end_s - *now_s + 0.001);
            continue;
        }
        n++;
        aws_rate_answered(r, *now_s, throttled);
        *now_s += 1 / most_a_second;
    }
    return n;
}

static void test_rate(void **state)
{
    (void)state;
    struct aws_rate r = {0};
    double now_s = 1000;

    /* off until something is throttled */
    int all = sends(&r, &now_s, 10, 20, false);
    assert_true(all >= 199 && all <= 201);
    assert_true(r.measured == 0 || r.measured > 15);
    assert_false(r.on);
    aws_rate_answered(&r, now_s, true);
    assert_true(r.on);
    /* 0.7 of what went through, then back towards it and beyond it */
    assert_true(r.fill_rate > 0.7 * 15 && r.fill_rate < 0.7 * 25);
    int first = sends(&r, &now_s, 1, 1000, false);
    assert_true(first >= 8 && first <= 40);
    sends(&r, &now_s, 20, 1000, false);
    int later = sends(&r, &now_s, 1, 1000, false);
    assert_true(later > 2 * first);
    /* throttled without end: down to one every two seconds, never to nothing */
    for (int i = 0; i < 50; i++) {
        now_s += 1;
        aws_rate_answered(&r, now_s, true);
    }
    assert_true(r.fill_rate == 0.5);
    int few = sends(&r, &now_s, 10, 1000, true);
    assert_true(few >= 4 && few <= 6);
}

/* 0.7 of the old maximum right after the failure, flat around it, and as far beyond it as it was below. */
static void test_curve(void **state)
{
    (void)state;
    struct aws_rate r = {.on = true, .measured = 1e9, .last_max = 10, .last_fail_s = 5};
    double k = cbrt(10 * 0.3 / 0.4);

    aws_rate_answered(&r, 5 + k, false);
    assert_true(fabs(r.fill_rate - 10) < 1e-6);
    aws_rate_answered(&r, 5, false);
    assert_true(fabs(r.fill_rate - 7) < 1e-6);
    aws_rate_answered(&r, 5 + 2 * k, false);
    assert_true(fabs(r.fill_rate - 13) < 1e-6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quota),
        cmocka_unit_test(test_backoff),
        cmocka_unit_test(test_rate),
        cmocka_unit_test(test_curve),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

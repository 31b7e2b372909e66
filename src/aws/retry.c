/* retry: quota, back-off and rate of calls.
 *
 * Quota: 500 tokens a service. A retry costs 5, after a time-out 10; a call that succeeds gives back what its last
 * retry took, or 1. With a service that fails for good some hundred retries go out and then none: its calls fail at
 * once, at their first attempt.
 *
 * Back-off: a random part of x * 2^n, at most 20 s, where x is a second for throttling and 50 ms for the rest. What the
 * service asks for (x-amz-retry-after) is taken up to 5 s more than that.
 *
 * Rate, in adaptive mode (off until the first throttling answer):
 *
 *   rate
 *     |-- last_max ------------.--------------   0.7 of what went through when throttled, then a cubic curve that
 *     |        \            .-'        /          is flat around the old maximum and steep beyond it
 *     |         \   _.--'''          probing
 *     |          \.'
 *     +-----------throttled------------------> time
 *
 * and never more than twice what is measured. A send takes a token of a bucket that fills at this rate.
 */
#include "aws/retry_int.h"

#include <math.h>

enum { COST = 5, COST_OF_TIMEOUT = 10, ASKED_FOR_MORE_MS = 5000 };

static const double beta = 0.7, scale = 0.4, smooth = 0.8, bucket_s = 0.5, least_rate = 0.5, least_capacity = 1;

/* ---- the quota ---- */

uint32_t aws_quota_take(struct aws_quota *q, enum aws_failure failure)
{
    uint32_t cost = failure == AWS_FAILED_TIMEOUT ? COST_OF_TIMEOUT : COST;

    if (q->used + cost > AWS_QUOTA_MAX)
        return 0;
    q->used += cost;
    return cost;
}

void aws_quota_give(struct aws_quota *q, uint32_t taken)
{
    uint32_t back = taken ? taken : 1;

    q->used -= back < q->used ? back : q->used;
}

/* ---- the back-off ---- */

uint32_t aws_backoff_ms(enum aws_failure failure, uint32_t nth, uint64_t random, uint64_t asked_for_ms)
{
    uint64_t first = failure == AWS_FAILED_THROTTLED ? 1000 : 50;
    uint64_t most = nth < 16 ? first << nth : AWS_BACKOFF_MAX_MS;

    if (most > AWS_BACKOFF_MAX_MS)
        most = AWS_BACKOFF_MAX_MS;
    uint64_t wait = random % (most + 1);
    uint64_t asked = asked_for_ms < wait + ASKED_FOR_MORE_MS ? asked_for_ms : wait + ASKED_FOR_MORE_MS;
    return (uint32_t)(asked > wait ? asked : wait);
}

/* ---- the rate ---- */

static void measure(struct aws_rate *r, double now_s)
{
    double bucket = floor(now_s / bucket_s) * bucket_s;

    if (!r->counting) {
        r->counting = true;
        r->bucket_s = bucket;
    }
    r->count++;
    if (bucket > r->bucket_s) {
        r->measured = smooth * r->count / (bucket - r->bucket_s) + (1 - smooth) * r->measured;
        r->count = 0;
        r->bucket_s = bucket;
    }
}

static void fill(struct aws_rate *r, double now_s)
{
    double elapsed = now_s - r->filled_s;

    if (elapsed > 0)
        r->tokens = fmin(r->capacity, r->tokens + elapsed * r->fill_rate);
    r->filled_s = now_s;
}

double aws_rate_wait_s(struct aws_rate *r, double now_s)
{
    if (!r->on)
        return 0;
    fill(r, now_s);
    if (r->tokens < 1)
        return fmax((1 - r->tokens) / r->fill_rate, 0.001);
    r->tokens--;
    return 0;
}

static double flat_after_s(const struct aws_rate *r)
{
    return cbrt(r->last_max * (1 - beta) / scale);
}

void aws_rate_answered(struct aws_rate *r, double now_s, bool throttled)
{
    double rate;

    measure(r, now_s);
    if (!throttled && !r->on)
        return;
    if (throttled) {
        r->last_max = r->on ? fmin(r->measured, r->fill_rate) : r->measured;
        r->last_fail_s = now_s;
        rate = beta * r->last_max;
    } else {
        rate = scale * pow(now_s - r->last_fail_s - flat_after_s(r), 3) + r->last_max;
    }
    rate = fmin(rate, 2 * r->measured);
    if (r->on)
        fill(r, now_s);
    r->on = true;
    r->filled_s = now_s;
    r->fill_rate = fmax(least_rate, rate);
    r->capacity = fmax(least_capacity, rate);
    r->tokens = fmin(r->tokens, r->capacity);
}

/* retry: whether and when a failed call is sent again. Pure but for the state handed in; times are the caller's.
 *
 * Standard mode (AWS SDKs and Tools Reference Guide, "Retry behavior"): a quota per service keeps a failing service
 * from being hammered. Adaptive mode adds a rate that follows what the service lets through: CUBIC, as botocore's
 * retries/throttling.py and bucket.py.
 */
#ifndef AWS_RETRY_INT_H
#define AWS_RETRY_INT_H

#include <stdbool.h>
#include <stdint.h>

enum aws_retry_mode { AWS_RETRY_STANDARD, AWS_RETRY_ADAPTIVE };
enum aws_failure { AWS_FAILED_TRANSIENT, AWS_FAILED_TIMEOUT, AWS_FAILED_THROTTLED };

enum { AWS_QUOTA_MAX = 500, AWS_BACKOFF_MAX_MS = 20000 };

struct aws_quota {
    uint32_t used; /* of AWS_QUOTA_MAX; zeroed is full */
};
/* The cost of a retry, taken; 0: there is too little left, the failure stands. */
uint32_t aws_quota_take(struct aws_quota *q, enum aws_failure failure);
/* A call succeeded: what its last retry took, 0 when there was none. */
void aws_quota_give(struct aws_quota *q, uint32_t taken);

/* Before retry `nth` (from 0). random: any 64 bits. asked_for_ms: of x-amz-retry-after, 0 when absent. */
uint32_t aws_backoff_ms(enum aws_failure failure, uint32_t nth, uint64_t random, uint64_t asked_for_ms);

/* Zeroed is valid: off until the first throttling answer. */
struct aws_rate {
    bool on;
    /* what went through, measured */
    bool counting;
    double measured, bucket_s, count;
    /* what the curve allows */
    double last_max, last_fail_s;
    /* tokens */
    double fill_rate, capacity, tokens, filled_s;
};
/* 0: go. Else the seconds after which to ask again. */
double aws_rate_wait_s(struct aws_rate *r, double now_s);
void aws_rate_answered(struct aws_rate *r, double now_s, bool throttled);

#endif

/* retry: what an answer means, and when to ask again. Pure functions, for the sender and the metadata. */
#ifndef SINK_RETRY_INT_H
#define SINK_RETRY_INT_H

#include <stdbool.h>
#include <stdint.h>

#include "net/http_client.h"
#include "plan/plan.h"

enum answer {
    ANSWER_TAKEN,
    ANSWER_RETRY,
    ANSWER_REFUSED,
    ANSWER_CANCELED,
};

enum answer answer_of(const struct http_response *r, const struct plan_queue *q);
/* A refusal that may be the fault of one target's samples, or of the request's size. */
bool answer_may_split(int status);
/* The request may have been carried out although the answer does not say so. */
bool answer_leaves_doubt(const struct http_response *r);

/* What X-Prometheus-Remote-Write-*-Written of an answer say. */
struct written {
    bool any;         /* of the fields is there: the destination speaks 2.0 */
    uint64_t samples; /* histograms included */
};
struct written answer_written(const struct http_response *r);
/* A signature or its credentials were refused: by status, or by the words of a 400 as AWS has them. */
bool answer_refuses_signature(const struct http_response *r);

/* The wait before the next attempt; *backoff_ms (0 at first) becomes the base of the one after it. */
uint64_t retry_wait_ms(uint64_t *backoff_ms, const struct plan_queue *q, uint64_t asked_for_ms, uint64_t random);

#endif

/* answer: what an answer of CloudWatch means, and when to ask again. Pure. */
#ifndef SINK_CLOUDWATCH_ANSWER_INT_H
#define SINK_CLOUDWATCH_ANSWER_INT_H

#include "sink/cloudwatch/cloudwatch_int.h"

enum cw_verdict {
    CW_TAKEN,
    CW_TAKEN_BEFORE, /* the service has it already */
    CW_MISSING,      /* log group or stream */
    CW_EXISTS,       /* what was to be made */
    CW_REFUSED,      /* the request itself: parts of it may fare better */
    CW_RETRY_SOON,   /* somebody else changes the same thing */
    CW_RETRY,
    CW_RETRY_MENDED, /* when somebody has changed something: a permission, a quota, an endpoint */
    CW_STOPPED,      /* nobody waits for the answer any more */
};

enum cw_verdict cw_verdict_of(const struct aws_answer *a);
/* The request may have been carried out although no answer says so. */
bool cw_leaves_doubt(const struct aws_answer *a);
bool cw_is_forbidden(const struct aws_answer *a); /* by a policy, not by keys that are wrong */
/* Before the next attempt; attempt: failures so far, from 0. */
uint64_t cw_wait_ms(enum cw_verdict v, uint32_t attempt, uint64_t asked_for_ms, uint64_t random);

/* "logs:PutLogEvents on arn:aws:logs:eu-west-1:123456789012:log-group:g:log-stream:s"; the account from the answer's
 * words, else "*". */
void cw_print_permission(struct buf *out, enum cloudwatch_kind kind, enum cw_step step, const struct cw_place *place,
                         struct str region, struct str message);

/* Positions of a request's events that were taken and then rejected; of n. Empty ranges: none were. */
struct cw_rejected {
    uint32_t too_new_from; /* up to n */
    uint32_t too_old_to;   /* from 0 */
    uint32_t expired_to;   /* from too_old_to */
};
/* False: the body says nothing of that. */
bool cw_read_rejected(struct str body, uint32_t n, struct cw_rejected *out);

#endif

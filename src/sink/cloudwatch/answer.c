/* answer: the table of answers of CloudWatch Logs and CloudWatch.
 *
 *   2xx                                              taken; of PutLogEvents perhaps but for some events (below)
 *   DataAlreadyAccepted                              taken before
 *   ResourceNotFound, ResourceAlreadyExists          a step of making groups and streams
 *   InvalidParameter..., Validation..., 413 ...      refused: cut in two until what is wrong stands alone
 *   OperationAborted                                 again, soon: somebody else makes the same group
 *   throttled, 5xx, no answer, keys expired          again
 *   access denied, all else                          again each minute: a policy, a quota or an endpoint may be mended
 *
 * Nothing is ever given up for a reason that may pass, since what waits is on disk. A code that is not known counts as
 * such a reason: dropping by a misunderstanding cannot be undone, and the log says what the service said.
 *
 * InvalidSequenceToken, which CloudWatch Logs has not answered since tokens are ignored, falls under "all else":
 * whoever still answers it has not taken the events.
 *
 * Waiting: 200 ms, or 2 s, doubled each time up to a minute, of which a random half is taken off: tasks that failed
 * together do not come back together. Retry-After is waited for where it asks for more.
 *
 * Rejected events (PutLogEvents, rejectedLogEventsInfo), by position in the request:
 *
 *     0        too old       expired            taken           too new        n
 *     |-----------------|--------------|---------------------|----------------|
 *                tooOldLogEventEndIndex  expiredLogEventEndIndex
 *                     (both exclusive)                   tooNewLogEventStartIndex (inclusive)
 *
 * Sources: CloudWatch Logs API reference (PutLogEvents, RejectedLogEventsInfo), CloudWatch API reference
 * (PutMetricData), Service Authorization Reference (resource types of logs and cloudwatch).
 */
#include "sink/cloudwatch/answer_int.h"

#include "base/mem.h"
#include "base/num.h"
#include "wire/tree.h"

enum {
    SHORT_MS = 200,
    LONG_MS = 2000,
    MOST_MS = 60 * 1000,
    ANSWER_MAX = 1 << 20,
};

static const char *const refused[] = {
    "InvalidParameterException",
    "InvalidParameterValue",
    "InvalidParameterValueException",
    "InvalidParameterCombination",
    "InvalidParameterCombinationException",
    "MissingParameter",
    "MissingParameterException",
    "MissingRequiredParameterException",
    "InvalidFormatFault",
    "ValidationError",
    "ValidationException",
    "SerializationException",
    "MalformedInput",
    "RequestEntityTooLarge",
    "RequestEntityTooLargeException",
};

static bool is_refused(const struct aws_answer *a)
{
    if (a->status == 413)
        return true;
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        if (str_eq_c(a->code, refused[i]))
            return true;
    }
    return false;
}

bool cw_is_forbidden(const struct aws_answer *a)
{
    return str_starts(a->code, STR("AccessDenied")) || str_eq_c(a->code, "UnauthorizedOperation") ||
           str_eq_c(a->code, "NotAuthorized");
}

enum cw_verdict cw_verdict_of(const struct aws_answer *a)
{
    if (a->err == OK)
        return CW_TAKEN;
    if (a->err == ERR_CANCELED)
        return CW_STOPPED;
    if (a->status == 0 || a->status / 100 == 2 || a->throttled || a->status >= 500)
        return CW_RETRY;
    if (str_eq_c(a->code, "DataAlreadyAcceptedException"))
        return CW_TAKEN_BEFORE;
    if (str_eq_c(a->code, "ResourceNotFoundException"))
        return CW_MISSING;
    if (str_eq_c(a->code, "ResourceAlreadyExistsException"))
        return CW_EXISTS;
    if (str_eq_c(a->code, "OperationAbortedException"))
        return CW_RETRY_SOON;
    if (is_refused(a))
        return CW_REFUSED;
    if (a->err == ERR_AUTH && !cw_is_forbidden(a))
        return CW_RETRY; /* new keys, or the right time, may be there in a moment */
    return CW_RETRY_MENDED;
}

bool cw_leaves_doubt(const struct aws_answer *a)
{
    if (a->err == OK || a->err == ERR_CANCELED)
        return false;
    if (a->status / 100 == 2)
        return true;
    return a->status == 0 ? a->connected : a->status == 502 || a->status == 504;
}

uint64_t cw_wait_ms(enum cw_verdict v, uint32_t attempt, uint64_t asked_for_ms, uint64_t random)
{
    uint64_t first = v == CW_RETRY_MENDED ? MOST_MS : v == CW_RETRY ? LONG_MS : SHORT_MS;
    uint64_t most = attempt < 16 ? first << attempt : MOST_MS;
    if (most > MOST_MS)
        most = MOST_MS;
    uint64_t wait = most - random % (most / 2 + 1);
    return asked_for_ms > wait ? asked_for_ms : wait;
}

/* ---- permissions ---- */

/* Twelve digits between colons: an account, in the ARN of whoever was refused. */
static struct str account_in(struct str s)
{
    size_t digits = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] >= '0' && s.p[i] <= '9') {
            digits++;
            continue;
        }
        if (digits == 12 && s.p[i] == ':' && i >= 13 && s.p[i - 13] == ':')
            return str_from(s.p + i - 12, 12);
        digits = 0;
    }
    return STR("*");
}

void cw_print_permission(struct buf *out, enum cloudwatch_kind kind, enum cw_step step, const struct cw_place *place,
                         struct str region, struct str message)
{
    static const char *const actions[CW_STEPS] = {
        [CW_PUT] = "logs:PutLogEvents",
        [CW_CREATE_STREAM] = "logs:CreateLogStream",
        [CW_CREATE_GROUP] = "logs:CreateLogGroup",
        [CW_RETENTION] = "logs:PutRetentionPolicy",
    };
    if (kind == CLOUDWATCH_METRICS) {
        buf_printf(out, "cloudwatch:PutMetricData on * (its condition key cloudwatch:namespace is \"%.*s\")",
                   STR_ARGS(place->group));
        return;
    }
    struct str account = account_in(message), partition = aws_partition_of_region(region);
    buf_printf(out, "%s on arn:%.*s:logs:%.*s:%.*s:log-group:%.*s", actions[step], STR_ARGS(partition),
               STR_ARGS(region), STR_ARGS(account), STR_ARGS(place->group));
    if (step == CW_PUT || step == CW_CREATE_STREAM)
        buf_printf(out, ":log-stream:%.*s", STR_ARGS(place->stream));
}

/* ---- rejected events ---- */

static uint32_t index_of(const struct node *info, const char *key, uint32_t n, uint32_t otherwise)
{
    const struct node *v = node_member(info, key, NODE_NUMBER);
    int64_t i;
    if (!v || !node_i64(v, &i))
        return otherwise;
    return i < 0 ? 0 : i > n ? n : (uint32_t)i;
}

bool cw_read_rejected(struct str body, uint32_t n, struct cw_rejected *out)
{
    struct arena a = {0};
    struct node *root = NULL, *info = NULL;
    *out = (struct cw_rejected){.too_new_from = n};
    if (body.n > ANSWER_MAX || !str_contains(body, STR("rejectedLogEventsInfo")))
        return false;
    if (tree_parse_json(body, "", &a, &root, NULL) == OK && root && root->kind == NODE_MAPPING)
        info = node_member(root, "rejectedLogEventsInfo", NODE_MAPPING);
    if (info) {
        out->too_old_to = index_of(info, "tooOldLogEventEndIndex", n, 0);
        out->expired_to = index_of(info, "expiredLogEventEndIndex", n, 0);
        out->too_new_from = index_of(info, "tooNewLogEventStartIndex", n, n);
        if (out->expired_to < out->too_old_to)
            out->expired_to = out->too_old_to;
        if (out->too_new_from < out->expired_to)
            out->too_new_from = out->expired_to;
    }
    arena_release(&a);
    return out->expired_to > 0 || out->too_new_from < n;
}

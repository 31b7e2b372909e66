/* counters: what a destination counts beside the ledger of its spool: requests by operation and how they ended, what
 * went out, what was rejected. The label `destination` is the name of it in the plan.
 *
 * Samples are the ledger's unit; records are events or data. A code is the HTTP status, AWS' own word for an error, or
 * why there was no answer; of one destination at most CW_CODES_MAX are kept apart, so that no service fills our memory.
 */
#include "base/mem.h"
#include "sink/cloudwatch/cloudwatch_int.h"

#include <stdlib.h>

#define OWN "leadline_cloudwatch_"

static struct counter *cell(struct cloudwatch *c, const char *name, const char *help, const char *label,
                            const char *value)
{
    const struct counter_label labels[] = {{STR("destination"), c->config->name}, {str_c(label), str_c(value)}};
    return counter_new(c->set, COUNTER_TOTAL, name, help, labels, label ? 2 : 1);
}

static void rejected_cells(struct cloudwatch *c)
{
    static const char *const reasons[CW_REJECTIONS] = {
        [CW_REJECTED_TOO_NEW] = "too_new",
        [CW_REJECTED_TOO_OLD] = "too_old",
        [CW_REJECTED_EXPIRED] = "expired",
        [CW_REJECTED_REFUSED] = "refused",
    };
    for (int i = 0; i < CW_REJECTIONS; i++)
        c->count.rejected[i] =
            cell(c, OWN "records_rejected_total",
                 "Events or data that CloudWatch did not take, or that were too old to be sent.", "reason", reasons[i]);
}

void cw_counters_init(struct cloudwatch *c)
{
    static const double bounds[] = {.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30};
    static const double to_ack[] = {.1, .25, .5, 1, 2.5, 5, 7.5, 10, 15, 30, 60, 300, 1800, 7200, 86400};
    const struct counter_label label = {STR("destination"), c->config->name};
    struct cw_counters *n = &c->count;

    n->records = cell(c, OWN "records_total", "Events or data that were put into the spool.", NULL, NULL);
    n->raw_bytes = cell(c, OWN "bytes_total",
                        "Bytes delivered, as CloudWatch Logs bills them: messages, and 26 for each.", NULL, NULL);
    n->wire_bytes = cell(c, OWN "wire_bytes_total", "Bytes of requests that were taken, compressed.", NULL, NULL);
    n->retries = cell(c, OWN "retries_total",
                      "Requests that are sent again, or whose groups are made again, after a wait.", NULL, NULL);
    n->splits = cell(c, OWN "splits_total", "Refused requests that were cut in two.", NULL, NULL);
    n->duplicates = cell(c, OWN "possible_duplicate_requests_total",
                         "Requests taken after an attempt whose answer was lost.", NULL, NULL);
    n->unspooled =
        cell(c, OWN "unspooled_samples_total", "Samples lost because their lane could not be opened.", NULL, NULL);
    n->created_groups = cell(c, OWN "log_groups_created_total", "Log groups that were made.", NULL, NULL);
    n->created_streams = cell(c, OWN "log_streams_created_total", "Log streams that were made.", NULL, NULL);
    rejected_cells(c);
    n->duration = counter_histogram_new(c->set, OWN "request_seconds", "Time from sending a request to its answer.",
                                        bounds, COUNT_OF(bounds), &label, 1);
    n->to_ack = counter_histogram_new(c->set, OWN "record_to_ack_seconds",
                                      "Time from the oldest record of a request to the answer that took it.", to_ack,
                                      COUNT_OF(to_ack), &label, 1);
}

void cw_counters_release(struct cloudwatch *c)
{
    struct cw_counters *n = &c->count;
    struct counter *cells[] = {n->records,    n->raw_bytes, n->wire_bytes,     n->retries,        n->splits,
                               n->duplicates, n->unspooled, n->created_groups, n->created_streams};
    for (size_t i = 0; i < COUNT_OF(cells); i++)
        counter_release(c->set, cells[i]);
    for (int i = 0; i < CW_REJECTIONS; i++)
        counter_release(c->set, n->rejected[i]);
    counter_histogram_release(c->set, n->duration);
    counter_histogram_release(c->set, n->to_ack);
    for (size_t i = 0; i < n->n_codes; i++) {
        counter_release(c->set, n->codes[i].n);
        free(n->codes[i].code);
    }
    free(n->codes);
}

const char *cw_operation(const struct cloudwatch *c, enum cw_step step)
{
    static const char *const operations[CW_STEPS] = {
        [CW_PUT] = "PutLogEvents",
        [CW_CREATE_STREAM] = "CreateLogStream",
        [CW_CREATE_GROUP] = "CreateLogGroup",
        [CW_RETENTION] = "PutRetentionPolicy",
    };
    return c->config->kind == CLOUDWATCH_METRICS ? "PutMetricData" : operations[step];
}

void cw_count_request(struct cloudwatch *c, enum cw_step step, struct str code)
{
    struct cw_counters *n = &c->count;
    if (n->n_codes >= CW_CODES_MAX)
        code = STR("other");
    for (size_t i = 0; i < n->n_codes; i++) {
        if (n->codes[i].step == step && str_eq_c(code, n->codes[i].code)) {
            counter_inc(n->codes[i].n);
            return;
        }
    }
    n->codes = mem_grow(n->codes, &n->cap_codes, n->n_codes + 1, sizeof(*n->codes));
    struct cw_code *added = &n->codes[n->n_codes++];
    const struct counter_label labels[] = {
        {STR("destination"), c->config->name}, {STR("operation"), str_c(cw_operation(c, step))}, {STR("code"), code}};
    *added = (struct cw_code){.step = step, .code = mem_strndup(code.p, code.n)};
    added->n = counter_new(c->set, COUNTER_TOTAL, OWN "requests_total", "Requests by operation and how they ended.",
                           labels, COUNT_OF(labels));
    counter_inc(added->n);
}

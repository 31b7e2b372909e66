/* statsd: the CloudWatch agent's StatsD listener: datagrams to counters, gauges, sets and distributions, collected and
 * aggregated, to data. On the loop of its consumer.
 *
 * Nothing waits to be parsed, so config->pending bounds what is held instead: ten metrics for each, 10,000 to
 * 1,000,000, and 64 MiB. Beyond that everything held is collected and handed on ahead of time, counted and said;
 * nothing is lost.
 *
 * Counters: leadline_statsd_lines_total, leadline_statsd_values_total, leadline_statsd_early_collections_total,
 * leadline_statsd_dropped_total{reason}: syntax, type, sign, value, range, tags (lines from the fault on), not_finite,
 * too_large, rate (values), socket (datagrams that the kernel dropped).
 */
#ifndef SOURCE_STATSD_STATSD_H
#define SOURCE_STATSD_STATSD_H

#include "base/counter.h"
#include "base/log.h"
#include "loop/loop.h"
#include "model/datum.h"
#include "plan/plan.h"
#include "source/push_status.h"

struct statsd;

struct statsd_options {
    struct loop *loop;
    struct log *log;
    struct counters *counters;
    struct plan *plan; /* referenced */
    const struct plan_statsd *config;
    struct datum_consumer *consumer; /* outlives it */
};

/* ERR_NET when the address cannot be listened on, with the address and the reason. */
enum err statsd_new(const struct statsd_options *o, struct statsd **out, struct diag *d) MUST_USE;
/* The same listener under a new plan: the socket stays where the address does. What is pending is kept. */
enum err statsd_update(struct statsd *s, struct plan *plan, const struct plan_statsd *config, struct diag *d) MUST_USE;
/* Reads what the socket still holds, then hands everything that is pending to the consumer: before it is drained at the
 * end. */
void statsd_flush(struct statsd *s);
void statsd_free(struct statsd *s); /* flushes; the loop runs on for a turn */
void statsd_status(const struct statsd *s, struct push_status *out);

#endif

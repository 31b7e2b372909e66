/* statsd: the CloudWatch agent's StatsD listener: datagrams to counters, gauges, sets and distributions, collected and
 * aggregated, to data. On the loop of its consumer.
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

/* state: what has come for each metric since the last collection, and in the window of aggregation it is in. Pure: time
 * is given. Private to source/statsd/.
 */
#ifndef SOURCE_STATSD_STATE_INT_H
#define SOURCE_STATSD_STATE_INT_H

#include "format/statsd.h"
#include "model/datum.h"

struct statsd_state;

/* Why values that were well written are not handed on. */
enum statsd_loss {
    STATSD_NOT_FINITE, /* NaN and infinities */
    STATSD_TOO_LARGE,  /* beyond 2^360, which CloudWatch does not take */
    STATSD_WEIGHTLESS, /* a rate above 1 that leaves less than one whole value: the agent loses it too */
    STATSD_LOSSES,
};

struct statsd_state_options {
    int64_t aggregation_ms;     /* 0: each collection is handed on by itself */
    struct str separator, host; /* in the place of '.'; a dimension, or empty. Copied */
    bool exact_values;
    uint32_t max_metrics; /* held at once; more make a collection of their own */
    size_t max_bytes;     /* the same for all memory of what is held, about */
    struct datum_consumer *consumer;
    void (*lost)(void *ctx, enum statsd_loss why, struct str name, uint32_t values);
    void *ctx;
};

struct statsd_state *statsd_state_new(const struct statsd_state_options *o);
void statsd_state_free(struct statsd_state *s); /* what it holds is gone */
/* One value of a line that came now. False: the limits were reached, and what is held was collected and handed on
 * before. */
bool statsd_state_add(struct statsd_state *s, const struct statsd_line *l, const struct statsd_value *v,
                      int64_t now_ms);
/* Ends a collection: counters, gauges and sets begin anew. Without aggregation hands it on. */
void statsd_state_collect(struct statsd_state *s, int64_t now_ms);
/* Hands on the windows that have ended by now. */
void statsd_state_aggregate(struct statsd_state *s, int64_t now_ms);
/* Collects, then hands on every window, ended or not. */
void statsd_state_flush(struct statsd_state *s, int64_t now_ms);
uint32_t statsd_state_metrics(const struct statsd_state *s);
size_t statsd_state_bytes(const struct statsd_state *s);

/* The centre of the agent's bucket for a value; of a negative one, that of its opposite with the sign. */
double statsd_centre(double v);

#endif

/* statsd: one line of the StatsD protocol as the CloudWatch agent reads it (amazon-cloudwatch-agent,
 * plugins/inputs/statsd): DogStatsD tags wherever they stand, tags in the bucket as InfluxDB writes them, several
 * values on a line.
 *
 *   name[,tag=value]...:value|type[|@rate][:value|type[|@rate]]...[|#tag:value,tag...]
 *
 * Pure. Everything points into the line, or into line->joined; nothing else is allocated.
 */
#ifndef FORMAT_STATSD_H
#define FORMAT_STATSD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "model/label.h"

enum { STATSD_TAGS_MAX = 128 };

enum statsd_type { STATSD_COUNTER, STATSD_GAUGE, STATSD_SET, STATSD_TIMING, STATSD_HISTOGRAM, STATSD_TYPES };

/* What is wrong with a line from some value on. */
enum statsd_fault {
    STATSD_FINE,
    STATSD_NO_COLON,
    STATSD_NO_PIPE,
    STATSD_TYPE,  /* none of c g s ms h */
    STATSD_SIGN,  /* a sign where only counters and gauges have one */
    STATSD_VALUE, /* no number, or one that a double does not hold */
    STATSD_RANGE, /* ours: a counter beyond 64 bits, where the agent counts anything */
    STATSD_TAGS,  /* ours: more than STATSD_TAGS_MAX */
    STATSD_FAULTS,
};

struct statsd_value {
    enum statsd_type type;
    bool bad_rate;   /* there is a rate that cannot be used: the value counts without */
    bool relative;   /* of a gauge: a change to what it is */
    int64_t count;   /* COUNTER: divided by the rate, cut off towards zero */
    double number;   /* GAUGE, TIMING, HISTOGRAM: may be NaN or an infinity */
    double weight;   /* TIMING, HISTOGRAM: 1 / rate; of others 1 */
    struct str text; /* SET: its member */
};

/* A line being read. {0} before the first; kept from line to line. */
struct statsd_line {
    struct str name;                    /* of the metric, as written; may be empty */
    struct label tags[STATSD_TAGS_MAX]; /* sorted by name, unique; values may be empty */
    uint32_t n_tags;
    enum statsd_fault fault; /* when ERR_SYNTAX was returned */
    struct str type_text;    /* of STATSD_TYPE: what was written */
    struct str rest;         /* values not read yet */
    bool more;
    struct buf joined; /* what is left of a line with tags in its middle */
};

/* `text`: without the newline, trimmed (str_trim), not empty. OK, or ERR_SYNTAX with l->fault. */
enum err statsd_line_parse(struct statsd_line *l, struct str text) MUST_USE;
/* The next value; ERR_EOF after the last one; ERR_SYNTAX with l->fault: the rest of the line is lost. */
enum err statsd_line_next(struct statsd_line *l, struct statsd_value *v) MUST_USE;
void statsd_line_release(struct statsd_line *l);

static inline struct labels statsd_line_tags(const struct statsd_line *l)
{
    return (struct labels){l->tags, l->n_tags};
}

/* What the agent adds as dimension metric_type: "counter", "gauge", "set", "timing", "histogram". */
struct str statsd_type_name(enum statsd_type t);
/* For logs, in the agent's words where it has any. */
const char *statsd_fault_text(enum statsd_fault f);

#endif

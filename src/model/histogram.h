/* histogram: a native histogram, exponential or with custom buckets, integer or float (prometheus/client_model
 * metrics.proto, Histogram; prometheus/prometheus prompb/types.proto, Histogram).
 *
 *   spans      offset, length: the first offset is a bucket's index, later ones the gap to the span before
 *   buckets    one number a bucket of a span, in order. Integer: the difference to the bucket before (the first:
 * itself); float: the count itself schema     -4 .. 8: bounds are 2^(i * 2^-schema); -53: the bounds are custom_values,
 * without the +Inf one, and there are no negative buckets and no zero bucket
 *
 * Plain data: views into memory of whoever made it (a batch: the source's arena).
 */
#ifndef MODEL_HISTOGRAM_H
#define MODEL_HISTOGRAM_H

#include <stdbool.h>
#include <stdint.h>

#define HISTOGRAM_CUSTOM_BUCKETS (-53)
#define HISTOGRAM_SCHEMA_MIN     (-4)
#define HISTOGRAM_SCHEMA_MAX     8

enum histogram_reset { HISTOGRAM_RESET_UNKNOWN, HISTOGRAM_RESET_YES, HISTOGRAM_RESET_NO, HISTOGRAM_RESET_GAUGE };

struct histogram_span {
    int32_t offset;
    uint32_t length;
};

struct histogram_buckets {
    const struct histogram_span *spans;
    uint32_t n_spans, n; /* n: buckets, the sum of the spans' lengths */
    union {
        const int64_t *deltas; /* integer */
        const double *counts;  /* float */
    };
};

struct histogram {
    bool is_float;
    int32_t schema;
    enum histogram_reset reset;
    union {
        uint64_t count_int;
        double count_float;
    };
    union {
        uint64_t zero_count_int;
        double zero_count_float;
    };
    double zero_threshold, sum; /* sum is a stale marker's bits for a marker */
    struct histogram_buckets positive, negative;
    const double *custom_values;
    uint32_t n_custom_values;
};

#endif

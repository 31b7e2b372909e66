/* datum: what one metric with one set of dimensions was over a period, as CloudWatch's PutMetricData takes it
 * (API reference, MetricDatum), and the interface through which data move on.
 *
 *   one value               n_values 1, no counts, no statistics
 *   a distribution          values with counts, and the statistics of what was observed
 *
 * A datum with more values than a request takes in one (150) is cut by the sink.
 */
#ifndef MODEL_DATUM_H
#define MODEL_DATUM_H

#include <stdbool.h>
#include <stdint.h>

#include "model/label.h"

struct datum {
    struct str name_space; /* empty: the destination's own */
    struct str name;
    struct labels dimensions; /* sorted by name; the sink leaves out empty values and keeps 30 */
    int64_t ts_ms;
    struct str unit; /* "Seconds"; empty: none is named */
    bool high_resolution; /* StorageResolution 1 */
    const double *values;
    const double *counts; /* as many; NULL: 1 each */
    uint32_t n_values;
    bool has_statistics;
    double sum, min, max, sample_count; /* of has_statistics */
    uint32_t samples;                   /* for the ledger: what was received for it */
};

/* A consumer of data, on the thread that owns it; never blocks. Views are valid until append returns. Whatever it does
 * with a datum, its samples are accounted for. */
struct datum_consumer {
    void (*append)(struct datum_consumer *self, const struct datum *v, uint32_t n);
};

#endif

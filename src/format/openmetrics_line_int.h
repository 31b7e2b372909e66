/* openmetrics_line_int: one sample line of OpenMetrics 1.0, by the letter of the specification's ABNF. */
#ifndef FORMAT_OPENMETRICS_LINE_INT_H
#define FORMAT_OPENMETRICS_LINE_INT_H

#include "base/arena.h"
#include "model/label.h"

struct openmetrics_line {
    struct str name;
    struct label *labels; /* unescaped, in the order of the line */
    uint32_t n_labels;
    double value;
    bool has_timestamp, has_exemplar;
    double timestamp;
    size_t value_at, timestamp_at, exemplar_at; /* offsets in the line */
};

/* False: *why is what is wrong, at byte *at of the line. */
bool openmetrics_line_parse(struct str line, struct arena *a, struct openmetrics_line *out, size_t *at,
                            const char **why);
/* Whether the name fits ABNF's metricname and label-name. */
bool openmetrics_is_metric_name(struct str s);
/* number: a real number, or one of inf, infinity, nan in any case. */
bool openmetrics_number(struct str s, double *out);

#endif

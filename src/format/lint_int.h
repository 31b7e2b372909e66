/* lint_int: what lint_text.c, lint_openmetrics.c and lint_rules.c share: an exposition as families of metrics, the way
 * prometheus/client_model has it: a histogram or summary with its parts is one metric.
 */
#ifndef FORMAT_LINT_INT_H
#define FORMAT_LINT_INT_H

#include "base/map.h"
#include "format/lint.h"
#include "model/label.h"

enum lint_type {
    LINT_UNTYPED,
    LINT_COUNTER,
    LINT_GAUGE,
    LINT_SUMMARY,
    LINT_HISTOGRAM,
    LINT_GAUGE_HISTOGRAM,
    LINT_OTHER, /* of OpenMetrics: info, stateset */
};

struct lint_metric {
    struct labels labels; /* in the order of the text, without le of histograms and quantile of summaries */
    uint64_t hash;        /* of the labels in that order */
    uint32_t line, col;
    uint32_t parts; /* buckets or quantiles */
};

struct lint_group {
    struct str name;
    enum lint_type type;
    bool has_type, has_help;
    uint32_t line, col; /* where it is first spoken of */
    struct lint_metric *metrics;
    size_t n, cap;
    struct map by_labels; /* of histograms and summaries, and of OpenMetrics' */
};

struct lint_groups {
    struct arena *arena;
    struct lint_group *v;
    size_t n, cap;
    size_t n_metrics;
    struct map by_name;
};

enum { LINT_MAX_METRICS = 4 << 20 };

/* NULL when there is none. The pointer is good until the next one is added. */
struct lint_group *lint_groups_find(struct lint_groups *g, struct str name);
struct lint_group *lint_groups_add(struct lint_groups *g, struct str name, uint32_t line, uint32_t col);
/* The metric with these labels in any order, or NULL. */
struct lint_metric *lint_group_find(struct lint_group *g, struct labels sorted);
struct lint_metric *lint_group_add(struct lint_groups *all, struct lint_group *g, struct labels labels,
                                   const struct labels *sorted, uint32_t line, uint32_t col);
void lint_groups_release(struct lint_groups *g);

void lint_add(struct lint_report *r, uint32_t line, uint32_t col, struct str metric, struct str text);
/* promlint's rules over all groups that have metrics, sorted as promtool prints them; and the counts. */
void lint_rules(const struct lint_groups *g, struct arena *a, struct lint_report *out);

#endif

/* emf_diff: two recordings of embedded-metric-format events compared, as two agents wrote them that look at the same
 * targets. Pure; for `leadline check diff`.
 *
 * Two agents scrape at different moments and order keys in their own ways, so events are not compared one with one, but
 * taken apart into series: a metric under a label set (all string members but Version and Timestamp). Compared is
 *
 *   label names    that occur on one side only
 *   label sets     that occur on one side only, with their metrics
 *   metrics        of label sets that both have
 *   directives     which namespace, dimensions, unit and resolution a metric is declared with
 *   times          points of a series without one of the other side within the tolerance
 *   values         of counters (which are deltas) the sums; of the rest the ranges, which must meet
 *
 * within the time that both cover. Events of version 0 and 1 are equal, as are a scrape in one event or in several.
 */
#ifndef FORMAT_EMF_DIFF_H
#define FORMAT_EMF_DIFF_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

struct emf_diff;
enum { EMF_DIFF_LEFT, EMF_DIFF_RIGHT, EMF_DIFF_SIDES };

struct emf_diff_options {
    struct str namespace_suffix;      /* cut off behind namespaces; empty: none */
    int64_t tolerance_ms;             /* between the points of both sides; 0: the interval of each series */
    double value_tolerance;           /* relative: 0.05 */
    const struct str *ignored_labels; /* names */
    uint32_t n_ignored_labels;
};

/* What a side is made of. */
struct emf_diff_side {
    uint64_t events, others; /* others: of events, those that are no JSON object */
    uint64_t version_1;
    uint64_t billed_bytes; /* text, and 26 an event */
    uint64_t values, declared_values;
    uint64_t repeated; /* values that came twice, at one time */
    uint64_t over_100; /* events with a directive of more than 100 metrics: CloudWatch takes no metrics of it */
    uint32_t series, label_sets;
    int64_t first_ms, last_ms; /* of events; 0: none */
};

enum emf_difference_kind {
    EMF_DIFF_LABEL_NAME,
    EMF_DIFF_LABEL_SET,
    EMF_DIFF_METRIC,
    EMF_DIFF_DIRECTIVE,
    EMF_DIFF_TIMES,
    EMF_DIFF_VALUES,
    EMF_DIFF_KINDS,
};

/* One line of the findings; views of the diff or of the arena. */
struct emf_difference {
    enum emf_difference_kind kind;
    struct str subject; /* a label's name, a label set, a metric */
    struct str where;   /* the label set of the first series of which it is so */
    struct str left, right;
    uint32_t series; /* of which it is so */
};

struct emf_diff_result {
    struct emf_diff_side sides[EMF_DIFF_SIDES];
    int64_t from_ms, to_ms;             /* what both cover */
    struct emf_difference *differences; /* by kind, then as they were found */
    uint32_t n, by_kind[EMF_DIFF_KINDS];
};

struct emf_diff *emf_diff_new(const struct emf_diff_options *o); /* o is copied, its strings are not */
void emf_diff_free(struct emf_diff *f);
/* One event, in any order. */
void emf_diff_add(struct emf_diff *f, int side, int64_t ts_ms, struct str text);
/* Once, after the last event. ERR_NOT_FOUND with the reason: a side has nothing to compare, or they have no time in
 * common; the sides are filled in all the same. */
enum err emf_diff_compare(struct emf_diff *f, struct arena *a, struct emf_diff_result *out, struct diag *d) MUST_USE;

#endif

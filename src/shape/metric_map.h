/* metric_map: from what an exposition says to what a metric is, beside the scope of its target.
 *
 * The steps are Prometheus' (scrape/scrape.go: mutateSampleLabels, then the checks of the append loop):
 *
 * 1. The metric's labels meet the target's (the scope). honor_labels false: the target's win, and an exposed label of
 * the
 *    same name becomes exported_<name>, the prefix repeated until the name is free, shorter names first. honor_labels
 *    true: the exposed label wins, an empty one too: it is absent then, and the target's with it.
 *    Without a namesake in the scope an exposed empty label is just absent.
 * 2. metric_relabel_configs run on the union. Dropped, or nothing left: MAP_DROPPED.
 * 3. There must be a valid __name__, valid label names and UTF-8 values, each name once: else MAP_ERROR, and the scrape
 *    fails.
 *
 * The outcome is the metric's own form relative to the scope: labels whose value is still the scope's are left out,
 * scope labels that are gone are there with an empty value, which hides them (and lets an external label of that name
 * through). It may be shared by all scopes with the same label names, unless read_scope says that a scope's value was
 * looked at.
 *
 * Limits of label count and lengths are the scraper's: it has the whole set from metric_map_merged.
 */
#ifndef SHAPE_METRIC_MAP_H
#define SHAPE_METRIC_MAP_H

#include <stdbool.h>

#include "base/err.h"
#include "model/label.h"
#include "plan/relabel_rules.h"

enum metric_map_result { MAP_KEPT, MAP_DROPPED, MAP_ERROR };

struct metric_map {
    bool honor_labels;
    bool legacy_names;                 /* metric_name_validation_scheme: legacy */
    const struct relabel_rules *rules; /* metric_relabel_configs; NULL: none */
};

struct metric_mapped {
    struct labels labels; /* MAP_KEPT: the metric's own; names and values may point into metric, scope, rules, arena */
    bool read_scope;      /* of any result: valid beside this scope only */
};

/* metric: as parsed, sorted, with __name__, empty values included. scope: the target's labels. The text of MAP_ERROR
 * goes to d, in the original's words. */
enum metric_map_result metric_map_run(const struct metric_map *map, struct labels metric, struct labels scope,
                                      struct arena *a, struct metric_mapped *out, struct diag *d) MUST_USE;

/* The visible set: metric over scope, empty values hide and are not part of it. The array is in a, the text is
 * shared. */
struct labels metric_map_merged(struct labels metric, struct labels scope, struct arena *a);

/* Folding: rules that read and write nothing but scope labels (instance without its port, a constant cluster label) are
 * run once on the scope instead of once per series.
 *
 *   scope, rules  ->  derived scope, remaining rules, and the names involved
 *
 * For a metric that exposes none of the involved names, with any value, not even an empty one (metric_map_folds):
 * metric_map_run with `remaining` beside `scope` gives the same visible set, or the same refusal, as the full rules
 * beside the original scope. Any other metric must go the long way: the full rules, the original scope; its samples
 * are a run of their own in the batch.
 *
 * Which rules remain may depend on the scope's values; `remaining_id` is equal for equal remainders of the same
 * rules, and belongs into the context under which metrics are interned. */
struct metric_fold {
    struct labels scope;            /* derived; equal to the original when nothing was folded */
    struct relabel_rules remaining; /* shares the original's parts: valid as long as those */
    struct str *names;              /* involved */
    uint32_t n_names;
    uint64_t remaining_id;
};

/* All of *out lies in a, or points into rules and scope. */
void metric_map_fold(const struct relabel_rules *rules, struct labels scope, struct arena *a, struct metric_fold *out);
/* Whether the metric with these exposed labels may take the short way. */
bool metric_map_folds(const struct metric_fold *f, struct labels metric);

#endif

/* populate: from one discovered item to a target's labels, URL and schedule (Prometheus scrape/target.go
 * PopulateDiscoveredLabels, PopulateLabels, Target.URL, Target.hash). Pure; in an arena of the caller.
 */
#ifndef SOURCE_SCRAPE_POPULATE_INT_H
#define SOURCE_SCRAPE_POPULATE_INT_H

#include "model/label.h"
#include "plan/plan.h"
#include "source/scrape/target.h"

enum populate_result {
    POPULATE_OK,
    POPULATE_DROPPED, /* relabelling said so; only `discovered` is set */
    POPULATE_FAILED,  /* the diag says why; only `discovered` is set */
};

/* Views into the arena, the group and the configuration: copied by whoever keeps them. */
struct populated {
    struct labels discovered; /* before relabelling */
    struct labels labels;     /* what the series carry */
    struct str url;
    int64_t interval_ms, timeout_ms;
    struct scrape_histograms histograms;
    uint64_t series_limit;
    uint64_t identity;    /* of job, labels and URL: an interval or a temporary label does not make another target */
    uint64_t offset_hash; /* the original's Target.hash(): all labels that survived, and the URL */
};

enum populate_result populate(const struct plan_scrape *config, struct labels group, struct labels target,
                              struct arena *a, struct populated *out, struct diag *d);

#endif

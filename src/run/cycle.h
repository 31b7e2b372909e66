/* cycle: one cycle of every discovery of a plan, outside a running program: what would be scraped, and what not, and
 * why. Blocking, on a loop of its own; nothing is written and nothing is scraped.
 */
#ifndef RUN_CYCLE_H
#define RUN_CYCLE_H

#include "plan/plan.h"

/* A target behind relabelling. Of the CloudWatch agent's discovery, which has no jobs, the target is as found. */
struct cycle_target {
    uint32_t job; /* index in the plan; CYCLE_NO_JOB: the agent's */
    struct str job_name, url, found_by;
    struct labels labels, discovered;
};

/* Something that was looked at and gives no target. */
struct cycle_skip {
    uint32_t job;
    struct str job_name, found_by, what, why;
};

struct cycle_discovery {
    struct str job_name, mechanism, about;
    struct str error; /* empty: it worked */
    uint32_t targets; /* that it found, before relabelling */
};

enum { CYCLE_NO_JOB = UINT32_MAX };

/* Sorted: by job in the order of the plan, then by URL, labels, and what found it. */
struct cycle_findings {
    struct cycle_target *targets;
    uint32_t n_targets;
    struct cycle_skip *skips;
    uint32_t n_skips;
    struct cycle_discovery *discoveries; /* in the order of the plan */
    uint32_t n_discoveries, n_failed;
};

/* job: of this name only; empty: all. task_metadata_uri: $ECS_CONTAINER_METADATA_URI_V4, or NULL. What has not answered
 * within the timeout has failed. Everything found is in the arena. */
void cycle_run(struct plan *plan, struct str job, const char *task_metadata_uri, uint32_t timeout_ms, struct arena *a,
               struct cycle_findings *out);

#endif

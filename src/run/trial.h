/* trial: one cycle of a plan with everything but the delivery: discovery as in the program, one scrape of each target
 * whose samples go to CloudWatch, and what they would become. Blocking, on a loop of its own; AWS and the targets are
 * asked, nothing is written and nothing delivered.
 */
#ifndef RUN_TRIAL_H
#define RUN_TRIAL_H

#include "run/cycle.h"
#include "sink/cloudwatch/emf_survey.h"

struct trial_target {
    struct str job_name, url;
    struct str error; /* of its scrape; empty: it was good */
    uint32_t pipeline;
    bool scraped; /* else nobody asks for its samples here */
};

/* One for each destination of CloudWatch that gets scraped samples. */
struct trial_survey {
    const struct plan_cloudwatch *config;
    struct emf_survey_report report;
};

struct trial_findings {
    struct cycle_discovery *discoveries; /* in the order of the plan, ecs_service_discovery last */
    uint32_t n_discoveries, n_discoveries_failed;
    struct trial_target *targets; /* by job in the order of the plan, then by URL */
    uint32_t n_targets, n_scraped, n_failed;
    struct trial_survey *surveys;
    uint32_t n_surveys;
};

/* task_metadata_uri as in cycle.h. What has not answered within the timeout has failed. Everything is in the arena, or
 * in the plan. */
void trial_run(struct plan *plan, const char *task_metadata_uri, uint32_t timeout_ms, struct arena *a,
               struct trial_findings *out);

#endif

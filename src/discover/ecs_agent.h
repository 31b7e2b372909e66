/* ecs_agent: what the CloudWatch agent's ecs_service_discovery makes of what runs on ECS (amazon-cloudwatch-agent
 * internal/ecsservicediscovery): a target per container, port and path, with the agent's labels; and the file that it
 * writes them to.
 */
#ifndef DISCOVER_ECS_AGENT_H
#define DISCOVER_ECS_AGENT_H

#include "discover/discoverer.h"
#include "discover/ecs_client.h"

struct ecs_agent_target {
    struct str address;              /* host:port */
    struct labels labels;            /* sorted, without __address__ */
    struct str task, container, how; /* for people: which task, which container, what found it */
};

/* Something that was looked at and gives no target, and why. */
struct ecs_agent_skip {
    struct str task, container, reason; /* container empty: the whole task */
};

struct ecs_agent_findings {
    struct ecs_agent_target *targets; /* sorted by address, then path: two runs over the same tasks write equal files */
    uint32_t n_targets;
    struct ecs_agent_skip *skips;
    uint32_t n_skips;
};

/* Pure. Everything found is in the arena, or points into the plan. With `near_misses` tasks that no pattern matches are
 * among the skips too, with the patterns that did not match them. */
void ecs_agent_match(const struct plan_ecs_agent_sd *config, const struct ecs_inventory *const *clusters,
                     uint32_t n_clusters, bool near_misses, struct arena *a, struct ecs_agent_findings *out);

/* The result file: a YAML list of {targets: [one], labels}, as file_sd_configs reads it. */
void ecs_agent_print(const struct ecs_agent_findings *f, struct buf *out);

/* Discovers at once and then each frequency_ms, and replaces the result file where it has changed; a file that cannot
 * be written is a warning. The consumer gets the same as one group per target; NULL: only the file is written. */
struct discoverer *discover_ecs_agent_new(const struct discover_env *env, struct plan *plan,
                                          const struct plan_ecs_agent_sd *config, struct target_consumer *consumer);

#endif

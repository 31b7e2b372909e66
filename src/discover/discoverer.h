/* discoverer: what finds target groups. Each runs on the control loop and tells its consumer the whole state at each
 * change; a failed refresh keeps the last good state and is counted. The first report comes at once, not a period
 * later.
 */
#ifndef DISCOVER_DISCOVERER_H
#define DISCOVER_DISCOVERER_H

#include "base/counter.h"
#include "base/log.h"
#include "discover/discover_status.h"
#include "loop/loop.h"
#include "model/target_group.h"
#include "plan/plan.h"

struct aws;
struct http_client;
struct resolver;
struct target_feed;

struct discoverer {
    void (*stop)(struct discoverer *self); /* frees it; nothing is reported from then on */
    void (*status)(const struct discoverer *self, struct discover_status *out);
};

/* Counts of the whole process, whatever configurations come and go. They are shown as 0 before anything happens. */
struct discover_totals {
    struct counter *file_read_errors, *file_watch_errors;
    struct counter *http_failures;
    struct counter *dns_lookups, *dns_failures;
};
void discover_totals_init(struct discover_totals *t, struct counters *counters); /* NULL: private cells */
void discover_totals_release(struct discover_totals *t, struct counters *counters);

/* Somebody who wants to hear of all that is looked at and gives no target, near misses included, and of what found a
 * target where a discovery has several ways. Called during a refresh, on the control loop; views hold until the return.
 */
struct discover_observer {
    void (*left_out)(struct discover_observer *self, struct str what, struct str why);
    void (*found)(struct discover_observer *self, struct str source, struct str how); /* source: of the group */
};

struct discover_env {
    struct loop *loop;
    struct log *log;
    struct counters *counters;
    struct discover_totals *totals;
    struct http_client *http;      /* of http_sd */
    struct resolver *resolver;     /* of dns_sd: with resolver_use_edns */
    struct aws *aws;               /* of ec2, ecs and cloudmap; NULL: these fail and say so */
    const char *task_metadata_uri; /* of ecs_task: $ECS_CONTAINER_METADATA_URI_V4, or NULL */
    struct target_feed *feed;      /* of file_sd: taken in the place of the file of its path; NULL: none */
    struct str config;             /* the job's name, for counters and log lines; copied */
    bool after_reload;             /* the consumer still has what a discoverer before this one found */
    struct discover_observer *observer; /* NULL: none */
};

/* static_configs: reports once, asynchronously. */
struct discoverer *discover_static_new(const struct discover_env *env, struct plan *plan,
                                       const struct plan_discovery *config, struct target_consumer *consumer);
/* file_sd_configs: watches the directories, and reads everything again each refresh interval. */
struct discoverer *discover_file_new(const struct discover_env *env, struct plan *plan,
                                     const struct plan_file_sd *config, struct target_consumer *consumer);
/* http_sd_configs: asks the URL each refresh interval. */
struct discoverer *discover_http_new(const struct discover_env *env, struct plan *plan,
                                     const struct plan_http_sd *config, struct target_consumer *consumer);
/* dns_sd_configs: asks for every name each refresh interval. A name that cannot be looked up keeps its last targets. */
struct discoverer *discover_dns_new(const struct discover_env *env, struct plan *plan, const struct plan_dns_sd *config,
                                    struct target_consumer *consumer);
/* ec2_sd_configs, ecs_sd_configs, aws_sd_configs of these roles. */
struct discoverer *discover_ec2_new(const struct discover_env *env, struct plan *plan, const struct plan_aws_sd *config,
                                    struct target_consumer *consumer);
struct discoverer *discover_ecs_new(const struct discover_env *env, struct plan *plan, const struct plan_aws_sd *config,
                                    struct target_consumer *consumer);
/* ecs_task_sd_configs: asks the task metadata endpoint. */
struct discoverer *discover_ecs_task_new(const struct discover_env *env, struct plan *plan,
                                         const struct plan_ecs_task_sd *config, struct target_consumer *consumer);
/* cloudmap_sd_configs: instances of AWS Cloud Map services. */
struct discoverer *discover_cloudmap_new(const struct discover_env *env, struct plan *plan,
                                         const struct plan_cloudmap_sd *config, struct target_consumer *consumer);

#endif

/* discoverer: what finds target groups. Each runs on the control loop and tells its consumer the whole state at each
 * change; a failed refresh keeps the last good state and is counted. The first report comes at once, not a period
 * later.
 */
#ifndef DISCOVER_DISCOVERER_H
#define DISCOVER_DISCOVERER_H

#include "base/counter.h"
#include "base/log.h"
#include "loop/loop.h"
#include "model/target_group.h"
#include "plan/plan.h"

struct discoverer {
    void (*stop)(struct discoverer *self); /* frees it; nothing is reported from then on */
};

struct discover_env {
    struct loop *loop;
    struct log *log;
    struct counters *counters;
};

/* static_configs: reports once, asynchronously. */
struct discoverer *discover_static_new(const struct discover_env *env, struct plan *plan,
                                       const struct plan_discovery *config, struct target_consumer *consumer);
/* file_sd_configs: watches the directories, and reads everything again each refresh interval. */
struct discoverer *discover_file_new(const struct discover_env *env, struct plan *plan,
                                     const struct plan_file_sd *config, struct target_consumer *consumer);

#endif

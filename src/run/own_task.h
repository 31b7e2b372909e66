/* own_task: the ECS task in which leadline itself runs, from the task metadata endpoint: what the CloudWatch agent's
 * configuration means where it names no cluster and no region.
 */
#ifndef RUN_OWN_TASK_H
#define RUN_OWN_TASK_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

struct own_task {
    struct str cluster, region, arn; /* empty: not known */
};

/* Whether the agent's defaults are those of its container: RUN_IN_CONTAINER=True, or a task that has metadata. */
bool own_task_in_container(void);
/* Asks up to three times, waiting two seconds each. Blocking. Strings are in the arena; *url is what was asked, empty
 * outside ECS, which is no error. */
enum err own_task_ask(struct arena *a, struct own_task *out, struct buf *url, struct diag *d) MUST_USE;

#endif

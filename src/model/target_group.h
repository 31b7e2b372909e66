/* target_group: what discovery finds, and the consumer of it. */
#ifndef MODEL_TARGET_GROUP_H
#define MODEL_TARGET_GROUP_H

#include <stdatomic.h>

#include "model/label.h"

struct target_group {
    struct str source;              /* unique within one discoverer: "0", "/etc/targets.json:3" */
    struct labels labels;           /* common to the targets, __meta_* included */
    const struct labels *targets;   /* each at least __address__ */
    uint32_t n_targets;
};

/* All groups of one discoverer at one moment: immutable, in an arena of its own. */
struct target_groups {
    struct arena arena;
    struct target_group *groups;
    uint32_t n;
};

struct target_groups *target_groups_new(void);
void target_groups_free(struct target_groups *g);
/* A deep copy of one group into a. */
struct target_group target_group_copy(const struct target_group *g, struct arena *a);

/* Called on the control loop with the whole new state of this discoverer; the consumer owns `groups` from then on. A
 * failed refresh is not reported here: the last good state stays. */
struct target_consumer {
    void (*update)(struct target_consumer *self, struct target_groups *groups);
};

#endif

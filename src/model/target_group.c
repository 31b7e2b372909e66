/* target_group: one discoverer's findings, complete, with everything they point to in one arena.
 *
 * A refresh makes a new object and hands it over; nothing is ever changed in place, so the consumer may compare the old
 * state with the new one at leisure. The object itself is outside its arena: the arena may be released and with it
 * every group, label and byte, without a list of what was allocated.
 */
#include "model/target_group.h"

#include <stdlib.h>

#include "base/mem.h"

struct target_groups *target_groups_new(void)
{
    return NEW(struct target_groups);
}

void target_groups_free(struct target_groups *g)
{
    if (!g)
        return;
    arena_release(&g->arena);
    free(g);
}

struct target_group target_group_copy(const struct target_group *g, struct arena *a)
{
    struct target_group copy = {.source = str_dup(a, g->source), .labels = labels_copy(g->labels, a)};
    struct labels *targets = ARENA_ARRAY(a, struct labels, g->n_targets);

    for (uint32_t i = 0; i < g->n_targets; i++)
        targets[i] = labels_copy(g->targets[i], a);
    copy.targets = targets;
    copy.n_targets = g->n_targets;
    return copy;
}

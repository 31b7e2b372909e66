/* target: the counted hand-over object between the pool (control loop) and a worker.
 *
 * A target is made complete on the control loop and never changed afterwards, so no thread needs a lock to read it. It
 * holds one reference to the plan, since its configuration, HTTP options and relabelling rules are plan memory; whoever
 * drops the last reference, on whichever thread, frees both.
 */
#include "source/scrape/target.h"

#include <stdlib.h>

struct scrape_target *scrape_target_ref(struct scrape_target *t)
{
    atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
    return t;
}

void scrape_target_unref(struct scrape_target *t)
{
    if (!t || atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (t->plan)
        plan_unref(t->plan);
    arena_release(&t->arena);
    free(t);
}

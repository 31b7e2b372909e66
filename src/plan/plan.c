/* plan: the compiled configuration's life. plan_print.c draws it for people.
 *
 * A plan is made by one thread (config/), then only read. References are counted atomically: workers, pools and pages
 * hold one each, and the last to let go frees it, whichever thread that is. Everything is in the plan's arena but what
 * brings its own memory (compiled regular expressions); those are released through the list, latest first.
 */
#include "plan/plan.h"

#include <stdlib.h>

#include "base/mem.h"

struct plan *plan_new(void)
{
    struct plan *p = NEW(struct plan);
    atomic_init(&p->refs, 1);
    return p;
}

struct plan *plan_ref(struct plan *p)
{
    atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
    return p;
}

void plan_unref(struct plan *p)
{
    if (!p || atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (const struct plan_release *r = p->releases; r; r = r->next)
        r->fn(r->p);
    struct arena arena = p->arena;
    free(p);
    arena_release(&arena);
}

void plan_on_release(struct plan *p, void (*fn)(void *p), void *ptr)
{
    struct plan_release *r = ARENA_NEW(&p->arena, struct plan_release);
    *r = (struct plan_release){.fn = fn, .p = ptr, .next = p->releases};
    p->releases = r;
}

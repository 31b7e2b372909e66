/* static: target groups that stand in the configuration itself.
 *
 * They are copied, since what a consumer receives lives in an arena of its own, and reported from a timer, so that
 * every discoverer reports asynchronously. Control loop only.
 */
#include "base/clock.h"
#include "base/mem.h"
#include "discover/discoverer.h"

struct static_discoverer {
    struct discoverer base;
    struct timer timer;
    struct plan *plan;
    const struct plan_discovery *config;
    struct target_consumer *consumer;
    struct discover_status status;
};

static void report(struct timer *t)
{
    struct static_discoverer *s = CONTAINER_OF(t, struct static_discoverer, timer);
    struct target_groups *g = target_groups_new();

    g->n = s->config->n_static;
    g->groups = ARENA_ARRAY(&g->arena, struct target_group, g->n);
    for (uint32_t i = 0; i < g->n; i++)
        g->groups[i] = target_group_copy(&s->config->static_groups[i], &g->arena);
    s->status.groups = g->n;
    for (uint32_t i = 0; i < g->n; i++)
        s->status.targets += g->groups[i].n_targets;
    s->status.refreshes = 1;
    s->status.last_refresh_ms = clock_wall_ms();
    s->consumer->update(s->consumer, g);
}

static void stop(struct discoverer *self)
{
    struct static_discoverer *s = CONTAINER_OF(self, struct static_discoverer, base);

    timer_stop(&s->timer);
    plan_unref(s->plan);
    free(s);
}

static void status(const struct discoverer *self, struct discover_status *out)
{
    const struct static_discoverer *s = CONTAINER_OF(self, struct static_discoverer, base);

    *out = s->status;
    out->mechanism = "static";
}

struct discoverer *discover_static_new(const struct discover_env *env, struct plan *plan,
                                       const struct plan_discovery *config, struct target_consumer *consumer)
{
    struct static_discoverer *s = NEW(struct static_discoverer);

    s->base = (struct discoverer){stop, status};
    s->plan = plan_ref(plan);
    s->config = config;
    s->consumer = consumer;
    timer_start(env->loop, &s->timer, 0, report);
    return &s->base;
}

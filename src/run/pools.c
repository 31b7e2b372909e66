/* pools: scrape pools and their discoverers, made and replaced by difference.
 *
 * A pool is known by its pipeline and its job name. At a reload a pool that stays gets its new configuration and new
 * discoverers; targets that are the same under both keep all their state in the workers, since the pool reports only
 * differences.
 *
 * Beside the jobs' own discoverers there may be one of the plan, ecs_service_discovery: a job that reads its result
 * file gets its targets by a feed, in memory (discover/target_feed.h).
 */
#include <stdlib.h>

#include "base/mem.h"
#include "discover/ecs_agent.h"
#include "discover/target_feed.h"
#include "run/discoverers.h"
#include "run/program_int.h"

static void stop_discoverers(struct program_pool *pool)
{
    for (uint32_t i = 0; i < pool->n_discoverers; i++)
        pool->discoverers[i]->stop(pool->discoverers[i]);
    free(pool->discoverers);
    pool->discoverers = NULL;
    pool->n_discoverers = 0;
}

static struct target_consumer *input(void *ctx, uint32_t n)
{
    struct program_pool *pool = ctx;

    return scrape_pool_input(pool->pool, n);
}

static void start_discoverers(struct program_pool *pool, const struct plan_scrape *config, bool after_reload)
{
    struct discover_env env = program_discover_env(pool->p, config);

    env.after_reload = after_reload;
    pool->n_discoverers = discoverers_count(&config->discovery);
    pool->discoverers = mem_zalloc(sizeof(struct discoverer *) * (pool->n_discoverers + 1));
    discoverers_start(&env, pool->p->plan, &config->discovery, input, pool, pool->discoverers);
}

static struct program_pool *find_pool(struct program *p, const struct plan_scrape *config)
{
    for (uint32_t i = 0; i < p->n_pools; i++) {
        struct program_pool *pool = p->pools[i];
        if (pool->pipeline == config->pipeline && str_eq(scrape_pool_name(pool->pool), config->job_name))
            return pool;
    }
    return NULL;
}

static struct program_pool *add_pool(struct program *p, const struct plan_scrape *config)
{
    struct program_pool *pool = NEW(struct program_pool);
    struct scrape_pool_options o = {
        .offset_seed = p->offset_seed,
        .reload_interval_ms = p->o.discovery_reload_ms,
        .log = p->o.log,
        .counters = p->o.counters,
    };

    pool->p = p;
    pool->pipeline = config->pipeline;
    pool->pool = scrape_pool_new(p->loop, p->plan, config, &o, discoverers_count(&config->discovery), &p->to_workers);
    p->pools = mem_realloc(p->pools, sizeof(*p->pools) * (p->n_pools + 1));
    p->pools[p->n_pools++] = pool;
    return pool;
}

static void free_pool(struct program_pool *pool)
{
    stop_discoverers(pool);
    scrape_pool_free(pool->pool);
    free(pool);
}

/* ---- discovery of the plan, beside those of the jobs ---- */

static void stop_ecs_agent(struct program *p)
{
    if (p->ecs_agent)
        p->ecs_agent->stop(p->ecs_agent);
    p->ecs_agent = NULL;
}

static bool same_file(const struct target_feed *feed, const struct plan_ecs_agent_sd *config)
{
    return feed && config && str_eq_c(config->result_file, target_feed_path(feed));
}

/* The feed of before, when another one takes its place: to be freed when nobody listens to it any more. */
static struct target_feed *start_ecs_agent(struct program *p)
{
    const struct plan_ecs_agent_sd *config = p->plan->ecs_agent;
    struct target_feed *old = same_file(p->ecs_feed, config) ? NULL : p->ecs_feed;
    bool after_reload = p->ecs_agent != NULL;

    stop_ecs_agent(p);
    if (old)
        p->ecs_feed = NULL;
    if (!config)
        return old;
    if (!p->ecs_feed)
        p->ecs_feed = target_feed_new(config->result_file.p);
    struct discover_env env = program_discover_env(p, NULL);
    env.after_reload = after_reload;
    p->ecs_agent = discover_ecs_agent_new(&env, p->plan, config, target_feed_input(p->ecs_feed));
    return old;
}

void program_pools_apply(struct program *p)
{
    if (!p->discovery)
        program_discovery_open(p);
    struct target_feed *old_feed = start_ecs_agent(p);
    for (uint32_t i = 0; i < p->n_pools; i++)
        p->pools[i]->seen = false;
    for (uint32_t i = 0; i < p->plan->n_scrapes; i++) {
        const struct plan_scrape *config = &p->plan->scrapes[i];
        struct program_pool *pool = find_pool(p, config);
        bool after_reload = pool != NULL;
        if (pool) {
            stop_discoverers(pool);
            scrape_pool_update(pool->pool, p->plan, config, discoverers_count(&config->discovery));
        } else {
            pool = add_pool(p, config);
        }
        pool->seen = true;
        start_discoverers(pool, config, after_reload);
    }
    for (uint32_t i = p->n_pools; i-- > 0;) {
        if (p->pools[i]->seen)
            continue;
        free_pool(p->pools[i]);
        p->pools[i] = p->pools[--p->n_pools];
    }
    target_feed_free(old_feed);
}

void program_discoverers_stop(struct program *p)
{
    stop_ecs_agent(p);
    for (uint32_t i = 0; i < p->n_pools; i++)
        stop_discoverers(p->pools[i]);
}

void program_pools_free(struct program *p)
{
    for (uint32_t i = 0; i < p->n_pools; i++)
        free_pool(p->pools[i]);
    free(p->pools);
    target_feed_free(p->ecs_feed);
    p->ecs_feed = NULL;
    p->pools = NULL;
    p->n_pools = 0;
    program_discovery_close(p);
}

uint32_t program_pool_discoverers(const struct program_pool *pool, struct arena *a, struct discover_status **out)
{
    *out = ARENA_ARRAY(a, struct discover_status, pool->n_discoverers);
    for (uint32_t i = 0; i < pool->n_discoverers; i++) {
        struct discover_status *s = &(*out)[i];
        pool->discoverers[i]->status(pool->discoverers[i], s);
        s->about = str_dup(a, s->about);
        s->last_error = str_dup(a, s->last_error);
    }
    return pool->n_discoverers;
}

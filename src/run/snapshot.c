/* snapshot: one moment of the program, for the pages.
 *
 * Each worker is asked once, by message, and when all have answered, their targets are put into their pools' order and
 * the ledgers are read from the spools:
 *
 *   program_snapshot -> worker 0 .. n-1 -> on_answer, n times -> finish -> done(snapshot)
 *
 * The answers keep their arenas; the snapshot owns them all, with one reference to each target in its lists, until
 * web_snapshot_free. The end of the program waits for what is being gathered; once it has begun to free things there
 * are no workers to ask any more, and the answer is a snapshot of the plan alone, at once. Control loop only.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "run/program_int.h"

struct gathering {
    struct program *p;
    struct worker_snapshot *answers[LANES];
    uint32_t left;
    void (*done)(void *done_ctx, struct web_snapshot *s);
    void *done_ctx;
};

enum { ARENA_OWN = LANES }; /* the workers' arenas are 0 .. LANES-1 */

static int by_pipeline(uint32_t a, uint32_t b)
{
    return a < b ? -1 : a > b;
}

/* The order of pools: by name, then by pipeline. */
static int compare_pool(const struct scrape_target *t, const struct web_pool *w)
{
    int c = str_cmp(t->scrape_pool, w->name);
    return c ? c : by_pipeline(t->config->pipeline, w->pipeline);
}

static int by_pool_and_url(const void *a, const void *b)
{
    const struct scrape_target *x = ((const struct scrape_status *)a)->target;
    const struct scrape_target *y = ((const struct scrape_status *)b)->target;
    int c = str_cmp(x->scrape_pool, y->scrape_pool);
    if (!c)
        c = by_pipeline(x->config->pipeline, y->config->pipeline);
    return c ? c : str_cmp(x->url, y->url);
}

static int by_pool(const void *a, const void *b)
{
    const struct web_pool *x = a, *y = b;
    int c = str_cmp(x->name, y->name);
    return c ? c : by_pipeline(x->pipeline, y->pipeline);
}

static struct scrape_status *merge_targets(struct gathering *g, struct web_snapshot *s, uint32_t *n_out)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < g->p->n_workers; i++)
        n += g->answers[i]->n_targets;
    struct scrape_status *all = ARENA_ARRAY(&s->arenas[ARENA_OWN], struct scrape_status, n + 1);
    n = 0;
    for (uint32_t i = 0; i < g->p->n_workers; i++) {
        if (g->answers[i]->n_targets)
            memcpy(all + n, g->answers[i]->targets, g->answers[i]->n_targets * sizeof(*all));
        n += g->answers[i]->n_targets;
    }
    qsort(all, n, sizeof(*all), by_pool_and_url);
    *n_out = n;
    return all;
}

static void fill_pools(struct gathering *g, struct web_snapshot *s)
{
    struct arena *a = &s->arenas[ARENA_OWN];
    uint32_t n, at = 0;
    struct scrape_status *all = merge_targets(g, s, &n);

    s->pools = ARENA_ARRAY(a, struct web_pool, g->p->n_pools + 1);
    s->n_pools = g->p->n_pools;
    for (uint32_t i = 0; i < s->n_pools; i++) {
        struct scrape_pool *pool = g->p->pools[i]->pool;
        const struct scrape_dropped *dropped;
        struct web_pool *w = &s->pools[i];
        w->name = str_dup(a, scrape_pool_name(pool));
        w->pipeline = g->p->pools[i]->pipeline;
        w->n_dropped = scrape_pool_dropped(pool, &dropped, &w->dropped_total);
        struct scrape_dropped *copies = ARENA_ARRAY(a, struct scrape_dropped, w->n_dropped + 1);
        for (uint32_t k = 0; k < w->n_dropped; k++)
            copies[k].discovered = labels_copy(dropped[k].discovered, a);
        w->dropped = copies;
        w->n_discoverers = program_pool_discoverers(g->p->pools[i], a, &w->discoverers);
    }
    qsort(s->pools, s->n_pools, sizeof(*s->pools), by_pool);
    /* Both are in the order of pools; a target whose pool has just gone is left out. */
    for (uint32_t i = 0; i < s->n_pools; i++) {
        struct web_pool *w = &s->pools[i];
        while (at < n && compare_pool(all[at].target, w) < 0)
            at++;
        w->targets = all + at;
        while (at < n && compare_pool(all[at].target, w) == 0) {
            at++;
            w->n_targets++;
        }
    }
}

static void merge_status(struct sink_status *to, const struct sink_status *from)
{
    to->in_flight += from->in_flight;
    to->backing_off += from->backing_off;
    if (from->last_success_ms > to->last_success_ms)
        to->last_success_ms = from->last_success_ms;
    if (from->last_error_ms > to->last_error_ms) {
        to->last_error_ms = from->last_error_ms;
        to->last_error = from->last_error;
        to->last_http_status = from->last_http_status;
    }
    if (to->last_http_status == 0)
        to->last_http_status = from->last_http_status;
}

static void fill_sinks(struct gathering *g, struct web_snapshot *s)
{
    struct arena *a = &s->arenas[ARENA_OWN];

    s->sinks = ARENA_ARRAY(a, struct web_sink, SCOPE_SLOTS);
    for (int i = 0; i < SCOPE_SLOTS; i++) {
        const struct program_sink *sink = &g->p->sinks[i];
        if (sink->slot < 0 || sink->closing)
            continue;
        struct web_sink *w = &s->sinks[s->n_sinks++];
        w->name = str_dup(a, sink->name);
        w->kind = sink->kind;
        w->url = program_sink_url(sink, a);
        w->pipelines = sink->cloudwatch ? sink->cloudwatch->pipelines : sink->remote_write->pipelines;
        w->no_batches = sink->cloudwatch && !sink->cloudwatch->emf;
        w->mode = sink->mode;
        w->directory = str_dup(a, str_c(sink->directory));
        spool_ledger(sink->spool, &w->ledger);
        for (uint32_t lane = 0; lane < SPOOL_LANES; lane++)
            spool_ledger_lane(sink->spool, lane, &w->lanes[lane]);
        for (uint32_t k = 0; k < g->p->n_workers; k++)
            if (g->answers[k]->has_sink[i])
                merge_status(&w->status, &g->answers[k]->sinks[i]);
    }
}

static void fill_sources(struct gathering *g, struct web_snapshot *s)
{
    struct arena *a = &s->arenas[ARENA_OWN];
    struct discoverer *d = g->p->ecs_agent;

    s->n_push = program_push_status(g->p, a, &s->push);
    if (!d)
        return;
    s->discovery = ARENA_NEW(a, struct discover_status);
    d->status(d, s->discovery);
    s->discovery->about = str_dup(a, s->discovery->about);
    s->discovery->last_error = str_dup(a, s->discovery->last_error);
}

static void fill_workers(struct gathering *g, struct web_snapshot *s)
{
    s->threads = ARENA_ARRAY(&s->arenas[ARENA_OWN], struct web_worker, g->p->n_workers + 1);
    for (uint32_t i = 0; i < g->p->n_workers; i++) {
        const struct worker_snapshot *w = g->answers[i];
        s->threads[i] = (struct web_worker){.targets = w->n_targets,
                                            .metrics = w->series,
                                            .intern_bytes = w->intern_bytes,
                                            .scopes = w->scopes,
                                            .lag_ns = w->lag_ns};
    }
}

static void release(struct web_snapshot *s)
{
    for (uint32_t i = 0; i < s->n_pools; i++)
        for (uint32_t k = 0; k < s->pools[i].n_targets; k++)
            scrape_target_unref(s->pools[i].targets[k].target);
    for (size_t i = 0; i < COUNT_OF(s->arenas); i++)
        arena_release(&s->arenas[i]);
    plan_unref(s->plan);
    free(s);
}

/* Targets of pools that are gone are in nobody's list: their references go at once. */
static void drop_unlisted(struct web_snapshot *s, struct gathering *g)
{
    for (uint32_t i = 0; i < g->p->n_workers; i++) {
        for (uint32_t k = 0; k < g->answers[i]->n_targets; k++) {
            struct scrape_target *t = g->answers[i]->targets[k].target;
            bool listed = false;
            for (uint32_t j = 0; j < s->n_pools && !listed; j++)
                listed = compare_pool(t, &s->pools[j]) == 0;
            if (!listed)
                scrape_target_unref(t);
        }
    }
}

static struct web_snapshot *snapshot_new(struct program *p)
{
    struct web_snapshot *s = NEW(struct web_snapshot);

    s->release = release;
    s->plan = plan_ref(p->plan);
    s->workers = p->n_workers;
    s->taken_ms = clock_wall_ms();
    return s;
}

static void finish(struct gathering *g)
{
    struct program *p = g->p;
    struct web_snapshot *s = snapshot_new(p);

    fill_pools(g, s);
    drop_unlisted(s, g);
    fill_sinks(g, s);
    fill_sources(g, s);
    fill_workers(g, s);
    for (uint32_t i = 0; i < g->p->n_workers; i++) {
        s->series += g->answers[i]->series;
        s->arenas[i] = g->answers[i]->arena;
        free(g->answers[i]);
    }
    g->done(g->done_ctx, s);
    free(g);
    p->gatherings--;
    program_maybe_finish(p);
}

static void on_answer(void *ctx, uint32_t worker, struct worker_snapshot *answer)
{
    struct gathering *g = ctx;

    g->answers[worker] = answer;
    if (--g->left == 0)
        finish(g);
}

void program_snapshot(void *ctx, bool families, void (*done)(void *done_ctx, struct web_snapshot *s), void *done_ctx)
{
    struct program *p = ctx;

    if (p->finishing) {
        done(done_ctx, snapshot_new(p));
        return;
    }
    struct gathering *g = NEW(struct gathering);
    p->gatherings++;
    g->p = p;
    g->left = p->n_workers;
    g->done = done;
    g->done_ctx = done_ctx;
    for (uint32_t i = 0; i < p->n_workers; i++)
        worker_snapshot(p->workers[i], families, on_answer, g);
}

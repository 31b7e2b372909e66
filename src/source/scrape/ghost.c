/* ghost: what is left of a target that is gone, until its stale markers are due.
 *
 *   last scrape    removed   first missed tick   second   + 10 %
 *  ------|------------x------------|---------------|-------|------->
 *                                  stale_ms                 markers, stamped stale_ms
 *
 * Two intervals are the original's grace for a target that comes back: discovery flaps, and a task that is replaced is
 * seen under the same labels again. If that happens here, the new target takes the ghost's page over: its first scrape
 * is predicted, and marks exactly what has not come back. If the same labels are alive under another URL, no marker is
 * sent, since it would end series that go on. Both within one pipeline: another one's series are delivered elsewhere.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "source/scrape/scraper_int.h"

struct scope_key {
    const struct scraper *s;
    const struct scope *scope;
    uint32_t pipeline;
};

static bool same_scope(const void *ctx, uint32_t index)
{
    const struct scope_key *key = ctx;

    const struct ghost *g = key->s->ghosts[index];
    return g->page.outer == key->scope && g->target->config->pipeline == key->pipeline;
}

struct ghost *ghost_find(const struct scraper *s, const struct scope *scope, uint32_t pipeline)
{
    struct scope_key key = {s, scope, pipeline};
    uint32_t at = map_find(&s->ghosts_by_scope, scope->hash, same_scope, &key);

    return at == MAP_NONE ? NULL : s->ghosts[at];
}

static void unlink_ghost(struct ghost *g, uint64_t scope_hash)
{
    struct scraper *s = g->s;
    uint32_t last = (uint32_t)--s->n_ghosts;

    map_remove(&s->ghosts_by_scope, scope_hash, g->slot);
    if (g->slot == last)
        return;
    struct ghost *moved = s->ghosts[last];
    map_replace(&s->ghosts_by_scope, moved->page.outer->hash, last, g->slot);
    s->ghosts[g->slot] = moved;
    moved->slot = g->slot;
}

void ghost_free(struct ghost *g)
{
    uint64_t scope_hash = labels_hash(g->target->labels);

    timer_stop(&g->timer);
    unlink_ghost(g, scope_hash);
    if (g->page.outer)
        page_release(&g->s->predictor, &g->page);
    scrape_target_unref(g->target);
    free(g);
}

static void on_due(struct timer *timer)
{
    struct ghost *g = CONTAINER_OF(timer, struct ghost, timer);
    struct scraper *s = g->s;

    if (!scraper_has_scope(s, g->page.outer, g->target->config->pipeline)) {
        predict_begin(&s->predictor);
        predict_failed(&s->predictor, &g->page, g->stale_ms);
        report_stale(s, g);
        scraper_deliver(s, &g->page, g->target, g->stale_ms);
    }
    ghost_free(g);
}

void ghost_add(struct scraped *t)
{
    struct scraper *s = t->s;
    struct ghost *g = NEW(struct ghost);
    int64_t interval_ms = t->target->interval_ms;
    int64_t now_ms = clock_wall_ms();

    g->s = s;
    g->target = scrape_target_ref(t->target);
    g->page = t->page;
    t->page = (struct page){0};
    g->stale_ms = t->flight ? t->flight->ts_ms : t->tick_ns / 1000000;
    if (g->stale_ms <= g->page.last_ms)
        g->stale_ms = g->page.last_ms + 1;
    int64_t due_ms = g->stale_ms + interval_ms + interval_ms / 10;

    struct ghost *twin = ghost_find(s, g->page.outer, t->target->config->pipeline);
    if (twin)
        ghost_free(twin);
    s->ghosts = mem_grow(s->ghosts, &s->cap_ghosts, s->n_ghosts + 1, sizeof(struct ghost *));
    g->slot = (uint32_t)s->n_ghosts;
    s->ghosts[s->n_ghosts++] = g;
    map_add(&s->ghosts_by_scope, g->page.outer->hash, g->slot);
    timer_start(s->o.loop, &g->timer, due_ms > now_ms ? (uint64_t)(due_ms - now_ms) : 0, on_due);
}

void ghosts_release(struct scraper *s)
{
    while (s->n_ghosts > 0)
        ghost_free(s->ghosts[s->n_ghosts - 1]);
    free(s->ghosts);
    map_release(&s->ghosts_by_scope);
}

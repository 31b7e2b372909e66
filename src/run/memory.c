/* memory: see the header.
 *
 * Once a second two quotients are taken, and the larger counts:
 *
 *   the process's own memory / the ceiling          a leadline that shares its group with others keeps to its part
 *   the group's working set / 90 % of its limit     the killer looks at the group, whoever fills it
 *
 * Own memory is what cannot be written back: anonymous and shared pages. The spool's mappings are files and do not
 * count, nor does page cache that nobody has used lately: the kernel takes those back before it kills.
 *
 * Giving way goes in the order of what it costs. At the first level nothing is lost and nothing is late: what waits is
 * read back from disk when its turn comes. At the second a scrape waits for a later tick of its target; the series of a
 * target that is delayed get no stale markers for it.
 */
#include "run/memory.h"

#include <malloc.h>
#include <stdlib.h>

#include "base/mem.h"

enum { LOOK_MS = 1000, SPOOL_AT = 80, DELAY_AT = 90, HYSTERESIS = 5 };

struct memory_guard {
    struct memory_guard_options o;
    struct timer timer;
    enum memory_level level;
    struct counter *ceiling, *used, *shown_level, *pressed_s[2];
};

static uint64_t percent(uint64_t used, uint64_t bound)
{
    return bound ? used / (bound / 100 ? bound / 100 : 1) : 0;
}

static uint64_t group_bound(const struct machine_memory *m)
{
    return m->group_limit / 10 * 9;
}

enum memory_level memory_level_of(const struct machine_memory *m, uint64_t ceiling, enum memory_level before)
{
    uint64_t own = percent(m->own_bytes, ceiling), group = percent(m->group_bytes, group_bound(m));
    uint64_t at = own > group ? own : group;

    if (at >= DELAY_AT || (before == MEMORY_DELAY && at >= DELAY_AT - HYSTERESIS))
        return MEMORY_DELAY;
    if (at >= SPOOL_AT || (before >= MEMORY_SPOOL && at >= SPOOL_AT - HYSTERESIS))
        return MEMORY_SPOOL;
    return MEMORY_PLENTY;
}

static void say(const struct memory_guard *g, const struct machine_memory *m, enum memory_level before)
{
    static const char *const next[] = {
        "everything runs as usual",
        "what waits is written to disk at once and read back when it is sent",
        "scrapes are delayed until memory is free: give the task more memory, or split the targets with --shard",
    };
    uint64_t ceiling = g->o.ceiling_bytes ? g->o.ceiling_bytes : group_bound(m);
    if (g->level > before)
        log_warn(g->o.log, "memory is short", F_INT("own_bytes", m->own_bytes), F_INT("group_bytes", m->group_bytes),
                 F_INT("ceiling_bytes", ceiling), F_C("next", next[g->level]));
    else
        log_info(g->o.log, "memory is less short", F_INT("own_bytes", m->own_bytes),
                 F_INT("group_bytes", m->group_bytes), F_INT("ceiling_bytes", ceiling), F_C("next", next[g->level]));
}

static void look(struct timer *t)
{
    struct memory_guard *g = CONTAINER_OF(t, struct memory_guard, timer);
    struct machine_memory m = machine_memory(g->o.root);
    enum memory_level before = g->level;

    timer_start(g->o.loop, &g->timer, LOOK_MS, look);
    g->level = memory_level_of(&m, g->o.ceiling_bytes, before);
    counter_set(g->ceiling, g->o.ceiling_bytes ? g->o.ceiling_bytes : group_bound(&m));
    counter_set(g->used, m.own_bytes);
    counter_set(g->shown_level, g->level);
    if (g->level != MEMORY_PLENTY) {
        counter_add(g->pressed_s[g->level - 1], LOOK_MS / 1000);
        malloc_trim(0);
    }
    if (g->level == before)
        return;
    say(g, &m, before);
    g->o.changed(g->o.ctx, g->level);
}

struct memory_guard *memory_guard_new(const struct memory_guard_options *o)
{
    struct memory_guard *g = NEW(struct memory_guard);
    struct counters *set = o->counters;

    g->o = *o;
    g->ceiling = counter_new(set, COUNTER_GAUGE, "leadline_memory_ceiling_bytes",
                             "What the process keeps below by giving way; 0: there is no bound.", NULL, 0);
    g->used = counter_new(set, COUNTER_GAUGE, "leadline_memory_used_bytes",
                          "Anonymous and shared memory of the process.", NULL, 0);
    g->shown_level = counter_new(set, COUNTER_GAUGE, "leadline_memory_level",
                                 "0: plenty; 1: what waits goes to disk at once; 2: scrapes are delayed too.", NULL, 0);
    for (int i = 0; i < 2; i++) {
        struct counter_label label = {STR("level"), i ? STR("2") : STR("1")};
        g->pressed_s[i] = counter_new(set, COUNTER_TOTAL, "leadline_memory_pressure_seconds_total",
                                      "Time spent at each level above 0.", &label, 1);
    }
    timer_start(o->loop, &g->timer, 1, look);
    return g;
}

void memory_guard_free(struct memory_guard *g)
{
    if (!g)
        return;
    timer_stop(&g->timer);
    counter_release(g->o.counters, g->ceiling);
    counter_release(g->o.counters, g->used);
    counter_release(g->o.counters, g->shown_level);
    for (int i = 0; i < 2; i++)
        counter_release(g->o.counters, g->pressed_s[i]);
    free(g);
}

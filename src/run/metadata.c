/* metadata: once a minute (metadata_config.send_interval) the families that targets expose go to every destination that
 * wants them, in requests of their own.
 *
 *   timer -> every worker: what did your targets expose? -> all answers are there: one entry per family name
 *         -> worker 0, once per destination: send -> timer
 *
 * The first answer per name counts, since a receiver keeps one anyway, and the first worker sends. Not spooled and not
 * in the ledger: metadata is said again a minute later. Control loop only; at most one round is under way.
 */
#include <stdlib.h>

#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"
#include "run/program_int.h"

static void arm(struct program *p);

static int by_name(const void *a, const void *b)
{
    return str_cmp(((const struct family *)a)->name, ((const struct family *)b)->name);
}

static void append_copies(struct worker_families *to, const struct family *v, uint32_t n)
{
    struct family *all = ARENA_ARRAY(&to->arena, struct family, to->n + n);

    for (uint32_t i = 0; i < to->n; i++)
        all[i] = to->v[i];
    for (uint32_t i = 0; i < n; i++)
        all[to->n + i] = (struct family){.name = str_dup(&to->arena, v[i].name),
                                         .help = str_dup(&to->arena, v[i].help),
                                         .unit = str_dup(&to->arena, v[i].unit),
                                         .type = v[i].type};
    to->v = all;
    to->n += n;
}

/* One entry per family name: a receiver keeps one anyway. */
static void deduplicate(struct worker_families *f)
{
    uint32_t n = 0;

    if (f->n == 0)
        return;
    qsort(f->v, f->n, sizeof(*f->v), by_name);
    for (uint32_t i = 0; i < f->n; i++)
        if (n == 0 || !str_eq(f->v[n - 1].name, f->v[i].name))
            f->v[n++] = f->v[i];
    f->n = n;
}

static void free_families(struct worker_families *f)
{
    arena_release(&f->arena);
    free(f);
}

static void send_all(struct program *p)
{
    deduplicate(p->families);
    for (int i = 0; i < SCOPE_SLOTS; i++) {
        const struct program_sink *s = &p->sinks[i];
        if (s->slot < 0 || s->closing || !s->remote_write || !s->remote_write->metadata_send || p->families->n == 0)
            continue;
        struct worker_families *copy = NEW(struct worker_families);
        append_copies(copy, p->families->v, p->families->n);
        worker_send_metadata(p->workers[0], s->slot, copy);
    }
    free_families(p->families);
    p->families = NULL;
}

static void on_families(void *ctx, struct worker_families *f)
{
    struct program *p = ctx;

    append_copies(p->families, f->v, f->n);
    free_families(f);
    if (--p->metadata_pending > 0)
        return;
    if (p->stopping) {
        free_families(p->families);
        p->families = NULL;
        return;
    }
    send_all(p);
    arm(p);
}

static void on_timer(struct timer *t)
{
    struct program *p = CONTAINER_OF(t, struct program, metadata);

    p->families = NEW(struct worker_families);
    p->metadata_pending = p->n_workers;
    for (uint32_t i = 0; i < p->n_workers; i++)
        worker_families(p->workers[i], on_families, p);
}

/* The shortest interval among the destinations that want metadata. */
static void arm(struct program *p)
{
    int64_t ms = 0;

    for (uint32_t i = 0; i < p->plan->n_remote_writes; i++) {
        const struct plan_remote_write *c = &p->plan->remote_writes[i];
        if (c->metadata_send && (ms == 0 || c->metadata_interval_ms < ms))
            ms = c->metadata_interval_ms;
    }
    if (ms > 0)
        timer_start(p->loop, &p->metadata, (uint64_t)ms, on_timer);
}

void program_metadata_start(struct program *p)
{
    if (p->metadata_pending == 0)
        arm(p);
}

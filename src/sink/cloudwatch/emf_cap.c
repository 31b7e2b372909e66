/* emf_cap: how many metrics CloudWatch makes of what is declared, which is what it bills.
 *
 * A metric there is (namespace, name, dimensions and their values). A hash of (declaration, name, dimensions) of each
 * is kept, at most UNIQUE_MAX of them: 16 bytes a metric. Counted when a scope meets a layout, not per sample. What
 * would be one more than max_metrics of its declaration is told without a directive: the event stays in the log.
 */
#include "base/hash.h"
#include "sink/cloudwatch/emf_int.h"

enum { UNIQUE_MAX = 1 << 18 };

struct unique_key {
    const struct emf *e;
    uint64_t hash;
};

static bool same(const void *ctx, uint32_t index)
{
    const struct unique_key *k = ctx;

    return k->e->unique[index] == k->hash;
}

static uint64_t hash_of(const struct emf_visible *v, struct str name, const struct emf_set *set)
{
    uint64_t h = hash_bytes_seed(name, set->declaration);

    for (uint32_t i = 0; i < set->n; i++)
        h = hash_bytes_seed(emf_visible_get(v, set->names[i]), hash_bytes_seed(set->names[i], h));
    return h;
}

static bool cap_set(struct emf *e, const struct emf_visible *v, struct str name, const struct emf_set *set)
{
    uint64_t hash = hash_of(v, name, set);
    uint32_t limit = e->emf->max_metrics;

    if (map_find(&e->by_unique, hash, same, &(struct unique_key){e, hash}) != MAP_NONE)
        return true;
    if (limit && e->unique_of[set->declaration] >= limit)
        return false;
    if (e->n_unique == UNIQUE_MAX)
        return limit == 0;
    e->unique = mem_grow(e->unique, &e->cap_unique, e->n_unique + 1, sizeof(*e->unique));
    e->unique[e->n_unique] = hash;
    map_add(&e->by_unique, hash, (uint32_t)e->n_unique++);
    counter_set(e->counters.unique[set->declaration], ++e->unique_of[set->declaration]);
    return true;
}

bool emf_cap_value(struct emf *e, const struct emf_visible *v, struct str name, const struct emf_directive *d)
{
    uint32_t swallowed;

    for (uint32_t i = 0; i < d->n_sets; i++) {
        if (cap_set(e, v, name, &d->sets[i]))
            continue;
        if (log_allow(&e->cap_limit, 3600000, &swallowed))
            log_warn(e->log, "A declaration has as many metrics as its limit allows: more go to the log alone",
                     F_INT("declaration", d->sets[i].declaration), F_STR("metric", name),
                     F_INT("max_metrics", e->emf->max_metrics), F_INT("suppressed", swallowed));
        return false;
    }
    return true;
}

void emf_cap_reset(struct emf *e)
{
    map_clear(&e->by_unique);
    e->n_unique = 0;
}

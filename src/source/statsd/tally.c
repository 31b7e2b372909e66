/* tally: keys with weights, for distributions and sets.
 *
 * Most of a service's timers have a handful of distinct values between two collections, one has thousands. So entries
 * are an array, searched from the end (the value that came last comes again) as long as it is short; beyond that each
 * entry is in a map too. Keys are the bits of a double, or the hash of a set's member: two members with the same 64
 * bits count as one, which at a million members happens once in 30 million sets.
 *
 * Clearing keeps up to KEEP entries' room: what is filled again each collection is not allocated again. One thread.
 */
#include "source/statsd/tally_int.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"

enum { KEEP = 256 };

static uint64_t hash_key(uint64_t key)
{
    return hash_bytes(str_from((const char *)&key, sizeof(key)));
}

struct sought {
    const struct tally *t;
    uint64_t key;
};

static bool is_sought(const void *ctx, uint32_t index)
{
    const struct sought *s = ctx;
    return s->t->v[index].key == s->key;
}

static struct tally_entry *find(const struct tally *t, uint64_t key)
{
    if (t->map.n) {
        uint32_t at = map_find(&t->map, hash_key(key), is_sought, &(struct sought){t, key});
        return at == MAP_NONE ? NULL : &t->v[at];
    }
    for (size_t i = t->n; i-- > 0;) {
        if (t->v[i].key == key)
            return &t->v[i];
    }
    return NULL;
}

void tally_add(struct tally *t, uint64_t key, double weight, uint32_t n)
{
    struct tally_entry *e = find(t, key);

    if (e) {
        e->weight += weight;
        e->n += n;
        return;
    }
    t->v = mem_grow(t->v, &t->cap, t->n + 1, sizeof(*t->v));
    t->v[t->n++] = (struct tally_entry){key, weight, n};
    if (t->n <= TALLY_FEW)
        return;
    for (size_t i = t->map.n; i < t->n; i++)
        map_add(&t->map, hash_key(t->v[i].key), (uint32_t)i);
}

void tally_clear(struct tally *t)
{
    if (t->cap > KEEP) {
        tally_release(t);
        return;
    }
    t->n = 0;
    map_clear(&t->map);
}

void tally_release(struct tally *t)
{
    free(t->v);
    map_release(&t->map);
    *t = (struct tally){0};
}

size_t tally_bytes(const struct tally *t)
{
    return t->cap * sizeof(*t->v) + map_bytes(&t->map);
}

/* map: open addressing with Robin Hood probing, 64-bit hashes to 32-bit indexes.
 *
 * The program has a few very large tables (interned metrics, scopes, symbols), all of the same form: the things live in
 * an array of their owner's, the table finds them by hash. So the table holds no keys, only
 *
 *   slot = | tag: upper half of the hash | index |        8 bytes, MAP_NONE in index: empty
 *
 * A slot's home is tag & mask; an entry lies at its home or behind it, and of two entries that compete for a slot the
 * one further from its home gets it ("take from the rich"). Hence along a run of slots the homes never decrease, a
 * search may stop at the first entry nearer to its home than the search is, and probes stay short (mean about 3) at a
 * load of 7/8. Removing shifts the rest of the run back by one: there are no tombstones.
 *
 * The tag alone is enough to move entries when the table grows or shrinks: no key is ever hashed again. Both happen by
 * rebuilding, growth at 7/8 full, shrinking (in map_remove) at less than 1/8, to a load between 1/4 and 1/2, so that
 * adding and removing around one size never rebuilds twice in a row.
 */
#include "base/map.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"

enum { LEAST_SLOTS = 16 };

static uint32_t distance_of(const struct map *m, uint32_t at)
{
    return (at - m->slots[at].tag) & m->mask;
}

static void insert(struct map *m, struct map_slot s)
{
    uint32_t at = s.tag & m->mask, distance = 0;
    while (m->slots[at].index != MAP_NONE) {
        uint32_t theirs = distance_of(m, at);
        if (theirs < distance) {
            struct map_slot evicted = m->slots[at];
            m->slots[at] = s;
            s = evicted;
            distance = theirs;
        }
        at = (at + 1) & m->mask;
        distance++;
    }
    m->slots[at] = s;
}

static void rebuild(struct map *m, uint64_t slots)
{
    CHECK(slots <= 1ULL << 31);
    struct map_slot *old = m->slots;
    uint64_t n_old = old ? (uint64_t)m->mask + 1 : 0;
    m->slots = mem_alloc(slots * sizeof(*m->slots));
    m->mask = (uint32_t)(slots - 1);
    memset(m->slots, 0xFF, slots * sizeof(*m->slots));
    for (uint64_t i = 0; i < n_old; i++) {
        if (old[i].index != MAP_NONE)
            insert(m, old[i]);
    }
    free(old);
}

void map_add(struct map *m, uint64_t hash, uint32_t index)
{
    CHECK(index != MAP_NONE);
    uint64_t slots = m->slots ? (uint64_t)m->mask + 1 : 0;
    if ((uint64_t)m->n + 1 > slots / 8 * 7)
        rebuild(m, slots ? slots * 2 : LEAST_SLOTS);
    insert(m, (struct map_slot){.tag = map_tag(hash), .index = index});
    m->n++;
}

static struct map_slot *slot_of(const struct map *m, uint64_t hash, uint32_t index)
{
    if (m->n == 0)
        return NULL;
    uint32_t tag = map_tag(hash);
    for (uint32_t at = tag & m->mask, distance = 0;; at = (at + 1) & m->mask, distance++) {
        struct map_slot *s = &m->slots[at];
        if (s->index == MAP_NONE || distance_of(m, at) < distance)
            return NULL;
        if (s->tag == tag && s->index == index)
            return s;
    }
}

bool map_remove(struct map *m, uint64_t hash, uint32_t index)
{
    struct map_slot *s = slot_of(m, hash, index);
    if (!s)
        return false;
    uint32_t at = (uint32_t)(s - m->slots);
    for (;;) {
        uint32_t next = (at + 1) & m->mask;
        if (m->slots[next].index == MAP_NONE || distance_of(m, next) == 0)
            break;
        m->slots[at] = m->slots[next];
        at = next;
    }
    m->slots[at].index = MAP_NONE;
    m->n--;
    uint64_t slots = (uint64_t)m->mask + 1;
    if (slots > LEAST_SLOTS && m->n < slots / 8)
        rebuild(m, slots / 4 > LEAST_SLOTS ? slots / 4 : LEAST_SLOTS);
    return true;
}

bool map_replace(struct map *m, uint64_t hash, uint32_t old_index, uint32_t new_index)
{
    CHECK(new_index != MAP_NONE);
    struct map_slot *s = slot_of(m, hash, old_index);
    if (!s)
        return false;
    s->index = new_index;
    return true;
}

void map_clear(struct map *m)
{
    map_release(m);
}

void map_release(struct map *m)
{
    free(m->slots);
    *m = (struct map){0};
}

size_t map_bytes(const struct map *m)
{
    return m->slots ? ((size_t)m->mask + 1) * sizeof(*m->slots) : 0;
}

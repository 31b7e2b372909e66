/* map: the one hash table: a 64-bit hash to a 32-bit index into the caller's own array. Open addressing (Robin Hood),
 * 8 bytes a slot, load at most 7/8; it stores the hash's upper half as a tag and asks the caller only on a tag match.
 *
 * The caller owns keys and values; equality is a function given at each call, inlined where the caller is.
 * {0} is an empty map. At most 2^31 entries. One thread.
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAP_NONE UINT32_MAX

struct map_slot {
    uint32_t tag;   /* upper half of the hash */
    uint32_t index; /* MAP_NONE: empty */
};

struct map {
    struct map_slot *slots;
    uint32_t mask; /* slots - 1; 0 when there are none */
    uint32_t n;
};

typedef bool(map_eq_fn)(const void *ctx, uint32_t index);

static inline uint32_t map_tag(uint64_t hash)
{
    return (uint32_t)(hash >> 32);
}

/* The index stored under a key of this hash, or MAP_NONE. eq(ctx, index) says whether it is the key sought. */
static inline uint32_t map_find(const struct map *m, uint64_t hash, map_eq_fn *eq, const void *ctx)
{
    if (m->n == 0)
        return MAP_NONE;
    uint32_t tag = map_tag(hash);
    for (uint32_t at = tag & m->mask, distance = 0;; at = (at + 1) & m->mask, distance++) {
        struct map_slot s = m->slots[at];
        if (s.index == MAP_NONE || ((at - s.tag) & m->mask) < distance)
            return MAP_NONE;
        if (s.tag == tag && eq(ctx, s.index))
            return s.index;
    }
}

/* Adds without looking: the caller knows that the key is absent. index is anything but MAP_NONE. */
void map_add(struct map *m, uint64_t hash, uint32_t index);
/* Removes the entry (hash, index); false when it is not there. Shrinks when less than an eighth is used. */
bool map_remove(struct map *m, uint64_t hash, uint32_t index);
/* Stores new_index where (hash, old_index) was; false when that is not there. */
bool map_replace(struct map *m, uint64_t hash, uint32_t old_index, uint32_t new_index);
void map_clear(struct map *m);
void map_release(struct map *m);
size_t map_bytes(const struct map *m); /* memory held, for the accounts */

#endif

/* ecs_cache: what ECS and EC2 have once said, by ARN or id.
 *
 *   NEW ----answered----> KNOWN(until) ---asked again when stale---> KNOWN | MISSING
 *    |                      ^    |
 *    +--not in the answer---|----+--> MISSING(until a minute later) ---> asked again
 *
 * A failed call changes nothing in an entry: what was known stays in use. An entry that no task of any cluster refers
 * to after a refresh is swept. There may be thousands, so an entry is one allocation with its key behind it, and its
 * arena grows from 512 bytes. Control loop.
 */
#include "discover/ecs_cache_int.h"

#include "base/hash.h"
#include "base/mem.h"

enum { ENTRY_BLOCK_BYTES = 512 };

struct key {
    const struct ecs_cache *cache;
    struct str text;
};

static bool is_key(const void *ctx, uint32_t index)
{
    const struct key *key = ctx;

    return str_eq(key->cache->v[index]->key, key->text);
}

struct ecs_entry *ecs_cache_find(const struct ecs_cache *c, struct str key)
{
    uint32_t at = map_find(&c->map, hash_bytes(key), is_key, &(struct key){c, key});

    return at == MAP_NONE ? NULL : c->v[at];
}

static struct ecs_entry *entry_new(struct str key)
{
    struct ecs_entry *e = mem_zalloc(sizeof(*e) + key.n + 1);
    char *copy = (char *)(e + 1);

    if (key.n)
        memcpy(copy, key.p, key.n);
    e->key = str_from(copy, key.n);
    e->hash = hash_bytes(key);
    e->arena.block_size = ENTRY_BLOCK_BYTES;
    return e;
}

struct ecs_entry *ecs_cache_get(struct ecs_cache *c, struct str key)
{
    struct ecs_entry *e = ecs_cache_find(c, key);

    if (!e) {
        e = entry_new(key);
        c->v = mem_grow(c->v, &c->cap, c->map.n + 1, sizeof(struct ecs_entry *));
        c->v[c->map.n] = e;
        map_add(&c->map, e->hash, c->map.n);
    }
    e->used = true;
    return e;
}

void ecs_entry_renew(struct ecs_entry *e)
{
    arena_release(&e->arena);
    e->arena = (struct arena){.block_size = ENTRY_BLOCK_BYTES};
    e->state = ENTRY_NEW;
}

void ecs_cache_begin(struct ecs_cache *c)
{
    diag_reset(&c->error);
    c->denied = false;
    for (uint32_t i = 0; i < c->map.n; i++) {
        c->v[i]->used = c->v[i]->asking = c->v[i]->failed = false;
        c->v[i]->copy_for = NULL;
    }
}

static void entry_free(struct ecs_entry *e)
{
    arena_release(&e->arena);
    free(e);
}

void ecs_cache_sweep(struct ecs_cache *c)
{
    for (uint32_t i = c->map.n; i-- > 0;) {
        struct ecs_entry *e = c->v[i];
        if (e->used)
            continue;
        uint32_t last = c->map.n - 1;
        map_remove(&c->map, e->hash, i);
        if (i != last) {
            map_replace(&c->map, c->v[last]->hash, last, i);
            c->v[i] = c->v[last];
        }
        entry_free(e);
    }
}

void ecs_cache_release(struct ecs_cache *c)
{
    for (uint32_t i = 0; i < c->map.n; i++)
        entry_free(c->v[i]);
    free(c->v);
    map_release(&c->map);
    *c = (struct ecs_cache){0};
}

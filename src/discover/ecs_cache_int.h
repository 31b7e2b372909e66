/* ecs_cache_int: what was described once and need not be described again, by ARN or id. Entries have an arena of their
 * own; a pointer to one holds until it is swept.
 */
#ifndef DISCOVER_ECS_CACHE_INT_H
#define DISCOVER_ECS_CACHE_INT_H

#include "base/map.h"
#include "discover/ec2_answers.h"
#include "discover/ecs_answers.h"

enum ecs_entry_state {
    ENTRY_NEW, /* never answered */
    ENTRY_KNOWN,
    ENTRY_MISSING, /* AWS does not know it */
};

struct ecs_entry {
    struct str key;
    uint64_t hash, until_ms; /* fresh until then, by the loop's clock */
    enum ecs_entry_state state;
    bool used;                       /* in this refresh */
    bool asking;                     /* a job of this refresh has it */
    bool failed;                     /* and that job failed: `error` of the cache */
    const struct ec2_instance *copy; /* of a container instance: its host as copied into copy_for */
    const void *copy_for;
    struct arena arena;
    union {
        struct ecs_cluster cluster;
        struct ecs_instance instance;
        struct ecs_definition definition;
        struct ec2_instance host;
        struct str public_ip;
    };
};

struct ecs_cache {
    struct map map;
    struct ecs_entry **v;
    size_t cap;
    struct diag error; /* of this refresh's first failed job */
    bool denied;       /* and it was refused for want of permission */
};

/* The entry of this key, made when there is none. Marks it as used. */
struct ecs_entry *ecs_cache_get(struct ecs_cache *c, struct str key);
struct ecs_entry *ecs_cache_find(const struct ecs_cache *c, struct str key); /* or NULL */
/* Empties the entry for a new answer; its arena is ready to be filled. */
void ecs_entry_renew(struct ecs_entry *e);
/* Before a refresh: nothing is used, nothing has failed. */
void ecs_cache_begin(struct ecs_cache *c);
/* After one: what was not used goes. */
void ecs_cache_sweep(struct ecs_cache *c);
void ecs_cache_release(struct ecs_cache *c);

#endif

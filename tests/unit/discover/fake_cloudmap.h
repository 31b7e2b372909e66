/* fake_cloudmap: a small world of Cloud Map namespaces, services and instances, to answer a fake_aws from. */
#ifndef TESTS_FAKE_CLOUDMAP_H
#define TESTS_FAKE_CLOUDMAP_H

#include "unit/discover/fake_aws.h"

enum { MAP_MAX = 300 };

struct map_instance {
    char id[16];
    const char *attributes; /* JSON without braces */
    const char *health;
    bool gone;
};

struct map_service {
    char name[24];
    uint32_t namespace;
    const char *tags; /* "KEY=VALUE KEY=VALUE" */
    struct map_instance instances[12];
    uint32_t n;
    uint64_t revision;
    bool gone;
};

enum map_fault {
    MAP_FINE,
    MAP_CODE,        /* an error answer of `code` */
    MAP_GARBAGE,     /* no JSON */
    MAP_WRONG_TYPE,  /* JSON in which the list is none */
    MAP_REPEAT,      /* a token that repeats, for ever */
    MAP_EMPTY_PAGES, /* two empty pages with tokens before the first item: no failure */
};

struct map_world {
    const char *namespaces[8], *http_names[8], *owners[8]; /* NULL: as AWS leaves them out */
    bool namespace_gone[8];
    uint32_t n_namespaces, n, page;
    struct map_service services[MAP_MAX];
    enum map_fault fault;
    const char *operation, *service; /* of the fault; NULL: any */
    const char *code;
    bool denies_revision;
    struct buf asked;     /* "ListInstances:web ..." */
    struct buf questions; /* the bodies, a line each */
};

void map_world_init(struct map_world *w);
void map_world_release(struct map_world *w);
struct map_service *map_add_service(struct map_world *w, uint32_t namespace, const char *name, const char *tags);
struct map_instance *map_add_instance(struct map_service *s, const char *id, const char *attributes);
fake_fn map_world_answer; /* ctx: the world */

#endif

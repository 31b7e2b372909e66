/* cloudmap_answers: what AWS Cloud Map says of namespaces, services, their tags and instances, and Systems Manager of a
 * parameter (their API References), as plain data. Pure, any thread.
 *
 * Everything is copied into the arena given; strings are NUL-terminated beyond n, absent ones empty. Items without what
 * identifies them are skipped and counted. ERR_SYNTAX only where the whole answer cannot be read.
 */
#ifndef DISCOVER_CLOUDMAP_ANSWERS_H
#define DISCOVER_CLOUDMAP_ANSWERS_H

#include "discover/ecs_answers.h"

struct cloudmap_namespace {
    struct str id, arn, name;
    struct str http_name; /* what DiscoverInstances knows it by; the name where the answer has none */
    struct str owner;     /* account that owns it; empty: not said */
};

struct cloudmap_summary { /* of a service */
    struct str id, arn, name;
};

struct cloudmap_instance {
    struct str id;
    struct str health; /* HEALTHY, UNHEALTHY, UNKNOWN; empty: ListInstances does not know */
    struct ecs_tags attributes;
};

struct cloudmap_page {
    struct cloudmap_namespace *namespaces;
    struct cloudmap_summary *services;
    struct cloudmap_instance *instances;
    uint32_t n, skipped; /* of the one that was asked for */
    struct str next_token;
    uint64_t revision; /* of DiscoverInstances */
    bool has_revision;
};

enum err cloudmap_namespaces_parse(struct str body, struct arena *a, struct cloudmap_page *out,
                                   struct diag *d) MUST_USE;
enum err cloudmap_services_parse(struct str body, struct arena *a, struct cloudmap_page *out, struct diag *d) MUST_USE;
/* ListInstances and DiscoverInstances alike. */
enum err cloudmap_instances_parse(struct str body, struct arena *a, struct cloudmap_page *out, struct diag *d) MUST_USE;
enum err cloudmap_tags_parse(struct str body, struct arena *a, struct ecs_tags *out, struct diag *d) MUST_USE;
enum err cloudmap_revision_parse(struct str body, uint64_t *out, struct diag *d) MUST_USE;

/* GetParameter; a value of more than 8 KiB, which the service does not have, is ERR_LIMIT. */
enum err ssm_parameter_parse(struct str body, struct arena *a, struct str *value, struct diag *d) MUST_USE;

/* The value of this key, or empty. */
struct str cloudmap_tag(struct ecs_tags tags, struct str key);

#endif

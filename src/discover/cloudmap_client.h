/* cloudmap_client: the services of some AWS Cloud Map namespaces, with their tags and instances. Control loop.
 *
 * Each refresh lists namespaces and services, and the instances of the services that are wanted; tags are asked for
 * again after five minutes. Instances come from ListInstances, or from DiscoverInstances, which knows their health;
 * then DiscoverInstancesRevision says first, in a small answer, whether any came or went. It does not tell of health,
 * so what DiscoverInstances said is taken for at most a minute under a filter and five minutes without one.
 *
 * A call that fails harms what it was about: a service keeps its last tags or instances, a namespace its last services,
 * and the rest is renewed. A namespace, service or resource that AWS says is not there is gone.
 */
#ifndef DISCOVER_CLOUDMAP_CLIENT_H
#define DISCOVER_CLOUDMAP_CLIENT_H

#include "discover/aws_queue.h"
#include "discover/cloudmap_answers.h"
#include "plan/plan.h"

struct cloudmap_service {
    struct str id, arn, name;
    struct str namespace_id, namespace_name, http_name, owner; /* of its namespace */
    struct ecs_tags tags;
    struct cloudmap_instance *instances; /* none where the service is not wanted */
    uint32_t n_instances;
};

struct cloudmap_client_options {
    struct aws_queue_options queue; /* the client takes over the session's reference; the rest is kept by the caller */
    struct str endpoint;            /* of Cloud Map alone, or empty; kept by the caller */
    bool discover;                  /* by DiscoverInstances */
    enum cloudmap_health health;
    bool (*wanted)(const struct cloudmap_service *s); /* by its tags: the instances of others are not asked for */
};

struct cloudmap_client_result {
    const struct cloudmap_service *const *services; /* sorted by namespace, name, id; those whose tags are known */
    uint32_t n_services;
    const struct str *missing; /* namespaces that were asked for, and that there are not */
    uint32_t n_missing;
    uint32_t n_failed;  /* namespaces and services that kept what they had */
    uint32_t n_skipped; /* items of answers that were none */
    bool failed;        /* nothing is new */
    uint64_t calls;     /* requests that this refresh took */
    struct diag diag;   /* the first failure; else empty */
};

struct cloudmap_client;
struct cloudmap_client *cloudmap_client_new(const struct cloudmap_client_options *o);
/* `done` is called once, later; one refresh at a time. The names are kept by the caller until then. The result is valid
 * during `done`. */
void cloudmap_client_refresh(struct cloudmap_client *c, const struct str *namespaces, uint32_t n_namespaces,
                             void (*done)(void *ctx, const struct cloudmap_client_result *r), void *ctx);
void cloudmap_client_free(struct cloudmap_client *c); /* ends a refresh silently */

#endif

/* ecs_client: what runs on ECS, for every dialect that discovers it: clusters, their services and tasks, the hosts and
 * network interfaces and definitions of these. Control loop.
 *
 * A refresh asks for what may have changed (the lists, the tasks, the services wanted) and takes the rest from caches:
 * a task definition never changes; container instances keep their host; hosts, interfaces and clusters are asked for
 * again after ten minutes. One cluster's failure is its own: its last inventory stays, the others are renewed.
 */
#ifndef DISCOVER_ECS_CLIENT_H
#define DISCOVER_ECS_CLIENT_H

#include "discover/aws_queue.h"
#include "discover/ec2_answers.h"
#include "discover/ecs_answers.h"

enum ecs_services {
    ECS_NO_SERVICES,
    ECS_SERVICES_OF_TASKS, /* those that tasks name in their group: no ListServices */
    ECS_ALL_SERVICES,      /* as ListServices lists them and service_wanted lets through */
};

struct ecs_client_options {
    struct aws_queue_options queue; /* the client takes over the session's reference; the rest is kept by the caller */
    struct log *log;
    struct str endpoint;        /* of ECS alone, or empty; kept by the caller */
    const struct str *clusters; /* names or ARNs; none: all of the region; kept by the caller */
    uint32_t n_clusters;
    enum ecs_services services;
    bool (*service_wanted)(void *ctx, struct str arn); /* NULL: every one */
    void *service_ctx;
    bool cluster_tags; /* DescribeClusters, for the names and tags of clusters */
    bool definitions;
    bool hosts;      /* container instances and their EC2 instances */
    bool interfaces; /* the public addresses of awsvpc tasks' interfaces */
};

/* A task and what belongs to it. What could not be found out, or was not wanted, is NULL or empty. */
struct ecs_found {
    struct ecs_task task;
    const struct ecs_service *service; /* of its group "service:..." */
    struct str ec2_id;                 /* of its container instance */
    const struct ec2_instance *host;
    const struct ecs_definition *definition;
    struct str public_ip; /* of its interface */
};

/* One cluster, complete and immutable, until the end of the next refresh. */
struct ecs_inventory {
    struct arena arena;
    struct ecs_cluster cluster; /* arn and name are there in any case, unless there is neither task nor description */
    struct ecs_found *tasks;    /* sorted by ARN */
    uint32_t n_tasks;
    struct ecs_service *services;
    uint32_t n_services;
    uint32_t missing; /* tasks, services and hosts that AWS listed and then did not know */
};

struct ecs_client_result {
    const struct ecs_inventory *const *clusters; /* the last good of each that there is */
    uint32_t n_clusters;
    uint32_t n_failed; /* clusters that kept their last inventory, or have none yet */
    bool failed;       /* nothing is new: the clusters could not be listed, or all failed */
    uint64_t calls;    /* requests that this refresh took */
    struct diag diag;  /* the first failure, or what is left out for want of permission; else empty */
};

struct ecs_client;
struct ecs_client *ecs_client_new(const struct ecs_client_options *o);
/* `done` is called once, later; one refresh at a time. The result is valid during it, the inventories longer. */
void ecs_client_refresh(struct ecs_client *c, void (*done)(void *ctx, const struct ecs_client_result *r), void *ctx);
void ecs_client_free(struct ecs_client *c); /* ends a refresh silently */

#endif

/* ecs_client_int: what the steps of a refresh share: ecs_client.c has the order of things, ecs_jobs.c the calls,
 * ecs_assemble.c makes inventories of the answers.
 */
#ifndef DISCOVER_ECS_CLIENT_INT_H
#define DISCOVER_ECS_CLIENT_INT_H

#include "discover/aws_queue.h"
#include "discover/ecs_cache_int.h"
#include "discover/ecs_client.h"

enum ecs_job_kind {
    JOB_LIST_CLUSTERS,
    JOB_LIST_TASKS,
    JOB_LIST_SERVICES,
    JOB_CLUSTERS,
    JOB_TASKS,
    JOB_SERVICES,
    JOB_INSTANCES,
    JOB_DEFINITION,
    JOB_INTERFACES,
    JOB_HOSTS,
};

struct ecs_strings {
    struct str *v;
    size_t n, cap;
};

/* One cluster, as it was asked for or listed. */
struct ecs_work {
    struct ecs_client *client;
    char *id;
    bool seen;
    struct ecs_inventory *inventory; /* last good */

    /* of the refresh under way */
    struct ecs_inventory *next;
    struct ecs_strings task_arns; /* listed, and not yet a whole batch */
    struct ecs_strings service_names;
    struct ecs_found *tasks;
    size_t n_tasks, cap_tasks;
    struct ecs_service *services;
    size_t n_services, cap_services;
    bool failed;
};

struct ecs_client {
    struct ecs_client_options o;
    struct aws_queue *queue;
    struct ecs_work **clusters;
    size_t n_clusters, cap_clusters;
    struct ecs_cache cluster_cache, instances, definitions, interfaces, hosts;

    /* of the refresh under way */
    enum { STAGE_IDLE, STAGE_CLUSTERS, STAGE_LISTS, STAGE_DETAILS, STAGE_HOSTS } stage;
    uint32_t n_jobs;
    bool list_failed;
    uint64_t calls_before;
    struct diag diag;
    void (*done)(void *ctx, const struct ecs_client_result *r);
    void *ctx;
    struct timer kick; /* nothing to ask: done comes from here */
};

struct ecs_job {
    struct aws_job job;
    struct ecs_client *client;
    struct ecs_work *work; /* NULL: of the region */
    enum ecs_job_kind kind;
    struct str *items;
    uint32_t n_items;
};

void ecs_strings_add(struct ecs_strings *s, struct str v);

/* ecs_jobs.c: starts one job; items are copied, not what they point to. */
void ecs_job_start(struct ecs_client *c, enum ecs_job_kind kind, struct ecs_work *work, const struct str *items,
                   uint32_t n);
/* As many jobs as their batches take; empties the list. */
void ecs_jobs_start(struct ecs_client *c, enum ecs_job_kind kind, struct ecs_work *work, struct ecs_strings *items);
uint32_t ecs_batch(enum ecs_job_kind kind);
void ecs_job_drop(struct aws_job *j);
/* The cache whose entries such a job fills, or NULL. */
struct ecs_cache *ecs_job_cache(struct ecs_client *c, enum ecs_job_kind kind);

/* ecs_client.c: what a job tells. */
void ecs_client_listed(struct ecs_client *c, const struct ecs_page *page);
void ecs_client_listed_tasks(struct ecs_work *w, const struct ecs_page *page);
void ecs_client_ended(struct ecs_client *c); /* one job less */

/* ecs_assemble.c: makes the new inventory, or fails the cluster. */
void ecs_assemble(struct ecs_work *w);
/* What a kept inventory refers to is not swept. */
void ecs_mark_used(struct ecs_client *c, const struct ecs_inventory *v);
void ecs_inventory_free(struct ecs_inventory *v);

#endif

/* ecs_answers: what ECS says of clusters, services, tasks, container instances and task definitions (Amazon ECS API
 * Reference), as plain data. Pure, any thread.
 *
 * Everything is copied into the arena given; strings are NUL-terminated beyond n, absent ones empty. Items that are not
 * what the API promises (an object without its ARN) are skipped and counted in `skipped`: one bad item harms only
 * itself. ERR_SYNTAX only where the whole answer cannot be read.
 */
#ifndef DISCOVER_ECS_ANSWERS_H
#define DISCOVER_ECS_ANSWERS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

struct ecs_tag {
    struct str key, value;
};

struct ecs_tags {
    struct ecs_tag *v;
    uint32_t n;
};

struct ecs_cluster {
    struct str arn, name, status;
    struct ecs_tags tags;
};

struct ecs_service {
    struct str arn, name, status, launch_type, definition_arn;
    struct str *deployments; /* ids of those that are PRIMARY or ACTIVE: what a task of theirs has as started_by */
    uint32_t n_deployments;
    struct ecs_tags tags;
};

struct ecs_binding {
    struct str protocol; /* "tcp", "udp" */
    uint16_t container_port, host_port;
};

struct ecs_container {
    struct str name, image, runtime_id, last_status, health_status;
    struct str ipv4, ipv6; /* of its first network interface */
    struct ecs_binding *bindings;
    uint32_t n_bindings;
};

struct ecs_task {
    struct str arn, cluster_arn, definition_arn, instance_arn, capacity_provider, zone, launch_type, platform_family,
        platform_version, group, started_by, last_status, desired_status, health_status;
    bool has_interface; /* an ElasticNetworkInterface: awsvpc */
    struct str interface_id, subnet_id, ipv4, ipv6;
    struct ecs_container *containers;
    uint32_t n_containers;
    struct ecs_tags tags;
};

struct ecs_instance {
    struct str arn, ec2_id, capacity_provider, status; /* ec2_id: "i-...", of EXTERNAL ones "mi-..." */
};

struct ecs_port {
    struct str name, protocol, app_protocol;
    uint16_t container_port, host_port; /* host_port 0: dynamic, or absent */
};

struct ecs_container_definition {
    struct str name, image;
    struct ecs_port *ports;
    uint32_t n_ports;
    struct ecs_tags labels; /* dockerLabels, in the order of the answer */
    struct ecs_tags environment;
};

struct ecs_definition {
    struct str arn, family, network_mode; /* network_mode empty: bridge */
    uint32_t revision;
    struct ecs_container_definition *containers;
    uint32_t n_containers;
    struct ecs_tags tags;
};

/* An item that could not be described: {arn, reason}: MISSING ... */
struct ecs_failure {
    struct str arn, reason;
};

struct ecs_page { /* of a List call */
    struct str *arns;
    uint32_t n;
    struct str next_token; /* empty: the last page */
};

struct ecs_described {
    struct ecs_cluster *clusters;
    struct ecs_service *services;
    struct ecs_task *tasks;
    struct ecs_instance *instances;
    uint32_t n; /* of the one that was asked for */
    struct ecs_failure *failures;
    uint32_t n_failures, skipped;
};

/* member: "clusterArns", "serviceArns", "taskArns", ... */
enum err ecs_page_parse(struct str body, const char *member, struct arena *a, struct ecs_page *out,
                        struct diag *d) MUST_USE;
enum err ecs_clusters_parse(struct str body, struct arena *a, struct ecs_described *out, struct diag *d) MUST_USE;
enum err ecs_services_parse(struct str body, struct arena *a, struct ecs_described *out, struct diag *d) MUST_USE;
enum err ecs_tasks_parse(struct str body, struct arena *a, struct ecs_described *out, struct diag *d) MUST_USE;
enum err ecs_instances_parse(struct str body, struct arena *a, struct ecs_described *out, struct diag *d) MUST_USE;
enum err ecs_definition_parse(struct str body, struct arena *a, struct ecs_definition *out, struct diag *d) MUST_USE;

struct ecs_tags ecs_tags_copy(struct ecs_tags from, struct arena *a);
/* The last part of an ARN or a name: "arn:aws:ecs:eu-west-1:1:cluster/demo" -> "demo". */
struct str ecs_short_name(struct str arn);
/* Every character but letters, digits and the underscore becomes an underscore, as the original makes label names of
 * tags. */
void ecs_label_name(struct buf *out, const char *prefix, struct str key);

#endif

/* prometheus_ours: discoveries that Prometheus does not have, in its way of writing them.
 *
 *   ecs_task_sd_configs:                       the containers of leadline's own task
 *   - refresh_interval: 30s
 *     port_label: ECS_PROMETHEUS_EXPORTER_PORT           docker labels
 *     metrics_path_label: ECS_PROMETHEUS_METRICS_PATH
 *     containers:                                        beside the labels
 *     - {name: app.*, ports: [8080], metrics_path: /m}
 *
 *   cloudmap_sd_configs:                       instances of AWS Cloud Map services
 *   - namespaces: [ecs-services]
 *     refresh_interval: 30s
 *     region: ..., and endpoint, access_key, secret_key, profile, role_arn, external_id as in ecs_sd_configs
 *     health_status: HEALTHY                             asks DiscoverInstances, which knows health, in place of
 * ListInstances
 */
#include "base/mem.h"
#include "config/prometheus_int.h"

enum { DEFAULT_REFRESH_MS = 30 * 1000, CONCURRENCY = 10, CONCURRENCY_MAX = 100 };

/* ---- ecs_task_sd_configs ---- */

struct task_draft {
    struct plan_ecs_task_sd sd;
    struct node *containers;
};

static const struct field task_fields[] = {
    {.key = "refresh_interval", .kind = FIELD_DURATION, .offset = offsetof(struct task_draft, sd.refresh_ms)},
    {.key = "port_label", .kind = FIELD_STRING, .offset = offsetof(struct task_draft, sd.port_label)},
    {.key = "metrics_path_label", .kind = FIELD_STRING, .offset = offsetof(struct task_draft, sd.metrics_path_label)},
    {.key = "containers", .kind = FIELD_NODE, .offset = offsetof(struct task_draft, containers)},
};
static const struct schema task_schema = SCHEMA("ecs_task_sd_config", task_fields);

struct containers_draft {
    struct str name, metrics_path;
    struct node *ports;
};

static const struct field containers_fields[] = {
    {.key = "name", .kind = FIELD_STRING, .offset = offsetof(struct containers_draft, name)},
    {.key = "ports", .kind = FIELD_NODE, .offset = offsetof(struct containers_draft, ports)},
    {.key = "metrics_path", .kind = FIELD_STRING, .offset = offsetof(struct containers_draft, metrics_path)},
};
static const struct schema containers_schema = SCHEMA("ecs_task_sd_config.containers", containers_fields);

static void read_ports(struct reader *r, const struct node *mapping, struct node *list, struct plan_port_list *out)
{
    if (!list || !reader_sequence(r, list, "[]int")) {
        reader_error_key(r, mapping, "ports", ERR_SYNTAX, "ports must name at least one port");
        return;
    }
    out->v = ARENA_ARRAY(r->arena, uint16_t, list->n);
    for (struct node *n = list->first; n; n = n->next) {
        int64_t port;
        if (!reader_int(r, n, &port))
            continue;
        if (port < 1 || port > UINT16_MAX)
            reader_error(r, n, ERR_SYNTAX, "ports: %lld is not a port from 1 to 65535", (long long)port);
        else
            out->v[out->n++] = (uint16_t)port;
    }
}

static void read_containers(struct reader *r, struct node *list, struct plan_ecs_task_sd *sd)
{
    if (!list || !reader_sequence(r, list, "[]ecs_task_sd_config.containers"))
        return;
    sd->containers = ARENA_ARRAY(r->arena, struct plan_task_containers, list->n);
    for (struct node *n = list->first; n; n = n->next) {
        struct containers_draft d = {.name = STR(".*"), .metrics_path = STR("")};
        struct plan_task_containers *c = &sd->containers[sd->n_containers];
        if (reader_is_null(n) || !reader_mapping(r, n, &containers_schema, &d)) {
            if (reader_is_null(n))
                reader_error(r, n, ERR_SYNTAX, "empty or null section in containers");
            continue;
        }
        read_ports(r, n, d.ports, &c->ports);
        c->metrics_path = d.metrics_path;
        const struct node *at = node_find(n, "name");
        c->name = reader_regex(r, at ? at : n, "name", d.name);
        sd->n_containers += c->name != NULL;
    }
}

bool ecs_task_sd_read(struct reader *r, struct node *n, struct plan_ecs_task_sd *out)
{
    struct task_draft d = {.sd = {.refresh_ms = DEFAULT_REFRESH_MS,
                                  .port_label = STR("ECS_PROMETHEUS_EXPORTER_PORT"),
                                  .metrics_path_label = STR("ECS_PROMETHEUS_METRICS_PATH")}};
    if (!reader_mapping(r, n, &task_schema, &d))
        return false;
    refresh_read(r, n, DEFAULT_REFRESH_MS, &d.sd.refresh_ms);
    read_containers(r, d.containers, &d.sd);
    *out = d.sd;
    return true;
}

/* ---- cloudmap_sd_configs ---- */

struct cloudmap_draft {
    struct plan_cloudmap_sd sd;
    struct node *namespaces;
    struct str health;
    int64_t concurrency;
};

#define MAP(name) offsetof(struct cloudmap_draft, name)

static const struct field cloudmap_fields[] = {
    {.key = "namespaces", .kind = FIELD_NODE, .offset = MAP(namespaces)},
    {.key = "refresh_interval", .kind = FIELD_DURATION, .offset = MAP(sd.refresh_ms)},
    {.key = "health_status", .kind = FIELD_STRING, .offset = MAP(health)},
    {.key = "request_concurrency", .kind = FIELD_INT, .offset = MAP(concurrency)},
    {.key = "region", .kind = FIELD_STRING, .offset = MAP(sd.aws.region)},
    {.key = "endpoint", .kind = FIELD_URL, .offset = MAP(sd.aws.endpoint)},
    {.key = "access_key", .kind = FIELD_STRING, .offset = MAP(sd.aws.access_key)},
    {.key = "secret_key", .kind = FIELD_SECRET, .offset = MAP(sd.aws.secret_key)},
    {.key = "profile", .kind = FIELD_STRING, .offset = MAP(sd.aws.profile)},
    {.key = "role_arn", .kind = FIELD_STRING, .offset = MAP(sd.aws.role_arn)},
    {.key = "external_id", .kind = FIELD_STRING, .offset = MAP(sd.aws.external_id)},
};
static const struct schema cloudmap_schema = SCHEMA("cloudmap_sd_config", cloudmap_fields);

static void read_health(struct reader *r, const struct node *n, struct str name, struct plan_cloudmap_sd *sd)
{
    static const char *const names[] = {
        [CLOUDMAP_ALL] = "ALL",
        [CLOUDMAP_HEALTHY] = "HEALTHY",
        [CLOUDMAP_UNHEALTHY] = "UNHEALTHY",
        [CLOUDMAP_HEALTHY_OR_ALL] = "HEALTHY_OR_ELSE_ALL",
    };
    sd->discover = name.n > 0;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (!str_eq_c(name, names[i]))
            continue;
        sd->health = (enum cloudmap_health)i;
        return;
    }
    if (name.n)
        reader_error_key(r, n, "health_status", ERR_SYNTAX,
                         "health_status must be ALL, HEALTHY, UNHEALTHY or HEALTHY_OR_ELSE_ALL, not %s",
                         reader_quote(r, name));
}

bool cloudmap_sd_read(struct reader *r, struct node *n, struct plan_cloudmap_sd *out)
{
    struct cloudmap_draft d = {.sd = {.refresh_ms = DEFAULT_REFRESH_MS}, .health = STR(""), .concurrency = CONCURRENCY};
    if (!reader_mapping(r, n, &cloudmap_schema, &d))
        return false;
    refresh_read(r, n, DEFAULT_REFRESH_MS, &d.sd.refresh_ms);
    if (!d.namespaces || !reader_strings(r, d.namespaces, "[]string", &d.sd.namespaces, &d.sd.n_namespaces))
        reader_error_key(r, n, "namespaces", ERR_SYNTAX, "namespaces must name at least one Cloud Map namespace");
    for (uint32_t i = 0; i < d.sd.n_namespaces; i++)
        d.sd.namespaces[i] = str_trim(d.sd.namespaces[i]);
    if (d.concurrency < 1 || d.concurrency > CONCURRENCY_MAX)
        reader_error_key(r, n, "request_concurrency", ERR_SYNTAX, "request_concurrency must be from 1 to %d",
                         CONCURRENCY_MAX);
    if ((d.sd.aws.access_key.n == 0) != (d.sd.aws.secret_key.n == 0))
        reader_error_key(r, n, d.sd.aws.access_key.n ? "access_key" : "secret_key", ERR_SYNTAX,
                         "access_key and secret_key belong together");
    d.sd.request_concurrency = (uint32_t)d.concurrency;
    read_health(r, n, d.health, &d.sd);
    *out = d.sd;
    return true;
}

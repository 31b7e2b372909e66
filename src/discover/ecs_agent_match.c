/* ecs_agent_match: from the inventories of clusters to the CloudWatch agent's targets. Pure.
 *
 *   task --- container definition --- service patterns ------+
 *                                 --- docker label ----------+--> ports --> host port --> ip:port + path
 *                                 --- definition patterns ---+                            the first one wins
 *
 * The rules are the agent's: mechanisms in this order, entries and ports in the order of the file; of two targets with
 * equal address and path the first is kept, over all tasks. Tasks come sorted, so that which one is first does not
 * change from run to run. A target's labels, later ones over earlier:
 *
 *   1. container_name TaskDefinitionFamily TaskRevision TaskGroup StartedBy LaunchType TaskClusterName TaskId,
 *      InstanceType VpcId SubnetId of the host where there is one, __metrics_path__ where one is configured
 *   2. docker labels whose names are label names
 *   3. job, where one is configured
 *   4. ServiceName, by the service mechanism only
 *
 * Better than the agent, and told in docs/compatibility.md: in awsvpc and host mode a mapping without host port means
 * the container port; of two bindings of a container port that of TCP is taken; a task in awsvpc mode is never looked
 * for at its host; an IPv6 address serves where there is no other; tasks on managed instances are found by their
 * container instance, whatever their launch type.
 */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/regex.h"
#include "discover/aws_labels_int.h"
#include "discover/ecs_agent.h"

enum { NAMED_MAX = 8 /* patterns in one reason */ };

struct matching {
    const struct plan_ecs_agent_sd *config;
    struct arena *a;
    struct ecs_agent_findings *out;
    uint32_t cap_targets, cap_skips;
    struct map keys; /* address and path of the targets */
    bool near_misses;

    const struct ecs_inventory *cluster;
    const struct ecs_found *found;
    const struct ecs_container_definition *container;
    const struct ecs_service *service; /* of the task, by its deployment; NULL: none of those wanted */
    struct str ip;
    bool own_network; /* awsvpc or host: ports are the container's own */
};

/* ---- what is written down ---- */

static void *grow(struct arena *a, void *v, uint32_t n, uint32_t *cap, size_t size)
{
    if (n < *cap)
        return v;
    uint32_t more = *cap ? *cap * 2 : 64;
    void *next = arena_alloc(a, more * size);
    if (n)
        memcpy(next, v, n * size);
    *cap = more;
    return next;
}

static void skip(struct matching *m, struct str container, struct str reason)
{
    struct ecs_agent_findings *f = m->out;
    f->skips = grow(m->a, f->skips, f->n_skips, &m->cap_skips, sizeof(*f->skips));
    f->skips[f->n_skips++] =
        (struct ecs_agent_skip){str_dup(m->a, m->found->task.arn), str_dup(m->a, container), str_dup(m->a, reason)};
}

static void skip_container(struct matching *m, const char *reason)
{
    skip(m, m->container->name, str_c(reason));
}

/* ---- one target ---- */

/* arn:aws:ecs:REGION:ACCOUNT:task/CLUSTER/ID; old ones lack the cluster. */
static void set_task_arn(struct labels_builder *b, struct matching *m)
{
    struct str arn, cluster, id, rest = m->found->task.arn;
    if (!str_cut(rest, '/', &arn, &rest))
        return;
    bool with_cluster = str_cut(rest, '/', &cluster, &id);
    if (with_cluster)
        aws_sd_label(b, m->a, "TaskClusterName", cluster);
    aws_sd_label(b, m->a, "TaskId", with_cluster ? id : rest);
}

static void set_labels(struct labels_builder *b, struct matching *m, struct str path, struct str job, bool by_service)
{
    const struct ecs_task *t = &m->found->task;
    const struct ecs_definition *definition = m->found->definition;
    const struct ec2_instance *host = m->found->host;

    aws_sd_label(b, m->a, "container_name", m->container->name);
    aws_sd_label(b, m->a, "TaskDefinitionFamily", definition->family);
    labels_builder_set(b, STR("TaskRevision"), str_c(arena_printf(m->a, "%u", definition->revision)));
    aws_sd_label(b, m->a, "TaskGroup", t->group);
    aws_sd_label(b, m->a, "StartedBy", t->started_by);
    aws_sd_label(b, m->a, "LaunchType", t->launch_type);
    set_task_arn(b, m);
    if (host) {
        aws_sd_label(b, m->a, "InstanceType", host->type);
        aws_sd_label(b, m->a, "VpcId", host->vpc_id);
        aws_sd_label(b, m->a, "SubnetId", host->subnet_id);
    }
    aws_sd_label(b, m->a, "__metrics_path__", path);
    for (uint32_t i = 0; i < m->container->labels.n; i++) {
        const struct ecs_tag *l = &m->container->labels.v[i];
        if (label_name_is_legacy(l->key) && l->value.n)
            labels_builder_set(b, str_dup(m->a, l->key), str_dup(m->a, l->value));
    }
    aws_sd_label(b, m->a, "job", job);
    if (by_service && m->service)
        aws_sd_label(b, m->a, "ServiceName", m->service->name);
}

struct key {
    const struct matching *m;
    struct str address, path;
};

static struct str path_of(struct labels l)
{
    struct str path = labels_get(l, STR("__metrics_path__"));
    return path.n ? path : STR("/metrics");
}

static bool same_key(const void *ctx, uint32_t index)
{
    const struct key *k = ctx;
    const struct ecs_agent_target *t = &k->m->out->targets[index];
    return str_eq(t->address, k->address) && str_eq(path_of(t->labels), k->path);
}

static void add_target(struct matching *m, uint16_t port, struct str path, struct str job, bool by_service,
                       const char *how)
{
    struct ecs_agent_findings *f = m->out;
    struct labels_builder b;
    bool six = memchr(m->ip.p, ':', m->ip.n) != NULL;
    struct str address = str_c(six ? arena_printf(m->a, "[%.*s]:%u", STR_ARGS(m->ip), port)
                                   : arena_printf(m->a, "%.*s:%u", STR_ARGS(m->ip), port));

    labels_builder_init(&b, m->a);
    set_labels(&b, m, path, job, by_service);
    struct labels labels = labels_builder_labels(&b);
    struct key key = {m, address, path_of(labels)};
    uint64_t hash = hash_bytes(address) ^ hash_bytes(key.path);
    if (map_find(&m->keys, hash, same_key, &key) != MAP_NONE)
        return;
    f->targets = grow(m->a, f->targets, f->n_targets, &m->cap_targets, sizeof(*f->targets));
    f->targets[f->n_targets] = (struct ecs_agent_target){.address = address,
                                                         .labels = labels,
                                                         .task = str_dup(m->a, m->found->task.arn),
                                                         .container = str_dup(m->a, m->container->name),
                                                         .how = str_c(how)};
    map_add(&m->keys, hash, f->n_targets++);
}

/* ---- ports ---- */

static const struct ecs_container *running_container(const struct matching *m)
{
    for (uint32_t i = 0; i < m->found->task.n_containers; i++)
        if (str_eq(m->found->task.containers[i].name, m->container->name))
            return &m->found->task.containers[i];
    return NULL;
}

static uint16_t mapped_at(const struct matching *m, uint16_t port)
{
    for (uint32_t i = 0; i < m->container->n_ports; i++)
        if (m->container->ports[i].container_port == port)
            return m->container->ports[i].host_port ? m->container->ports[i].host_port : port;
    return 0;
}

/* The last one wins, as in the agent; but one of UDP only where there is no other. */
static uint16_t bound_at(const struct matching *m, uint16_t port)
{
    const struct ecs_container *c = running_container(m);
    uint16_t any = 0, tcp = 0;

    for (uint32_t i = 0; c && i < c->n_bindings; i++) {
        const struct ecs_binding *b = &c->bindings[i];
        if (b->container_port != port || b->host_port == 0)
            continue;
        any = b->host_port;
        if (!str_eq(b->protocol, STR("udp")))
            tcp = b->host_port;
    }
    return tcp ? tcp : any;
}

static void add_port(struct matching *m, uint16_t port, struct str path, struct str job, bool by_service,
                     const char *how)
{
    uint16_t at = m->own_network ? mapped_at(m, port) : bound_at(m, port);

    if (at)
        add_target(m, at, path, job, by_service, how);
    else
        skip_container(m, arena_printf(m->a, "port %u is not among its %s", port,
                                       m->own_network ? "portMappings" : "network bindings"));
}

/* ---- mechanisms ---- */

/* False: there is no such label. */
static bool docker_label(const struct matching *m, struct str name, struct str *value)
{
    for (uint32_t i = 0; i < m->container->labels.n; i++) {
        if (!str_eq(m->container->labels.v[i].key, name))
            continue;
        *value = m->container->labels.v[i].value;
        return true;
    }
    *value = STR("");
    return false;
}

static void by_docker_label(struct matching *m)
{
    const struct plan_ecs_agent_sd *c = m->config;
    struct str text, path, job;
    uint16_t port;

    if (!c->by_docker_label || !docker_label(m, c->port_label, &text))
        return;
    if (num_parse_port(text, &port)) {
        struct str shown = text.n > 32 ? str_from(text.p, 32) : text;
        skip_container(m, arena_printf(m->a, "docker label %.*s is \"%.*s\", not a port from 1 to 65535",
                                       STR_ARGS(c->port_label), STR_ARGS(shown)));
        return;
    }
    docker_label(m, c->metrics_path_label, &path);
    docker_label(m, c->job_name_label, &job);
    add_port(m, port, path, job, false, "docker label");
}

static bool entry_wants(const struct plan_ecs_match *e, struct str container)
{
    return !e->container_pattern || regex_match(e->container_pattern, container);
}

static void by_entries(struct matching *m, const struct plan_ecs_match *entries, uint32_t n, struct str subject,
                       bool by_service)
{
    for (uint32_t i = 0; i < n; i++) {
        const struct plan_ecs_match *e = &entries[i];
        if (!regex_match(e->pattern, subject) || !entry_wants(e, m->container->name))
            continue;
        for (uint32_t k = 0; k < e->ports.n; k++)
            add_port(m, e->ports.v[k], e->metrics_path, e->job_name, by_service,
                     by_service ? "service name" : "task definition");
    }
}

/* ---- a task ---- */

static const struct ecs_service *service_of(const struct matching *m)
{
    struct str started_by = m->found->task.started_by;
    for (uint32_t i = 0; m->config->n_services && started_by.n && i < m->cluster->n_services; i++) {
        const struct ecs_service *s = &m->cluster->services[i];
        for (uint32_t k = 0; k < s->n_deployments; k++)
            if (str_eq(s->deployments[k], started_by))
                return s;
    }
    return NULL;
}

/* NULL: m->ip is set. */
static const char *find_address(struct matching *m)
{
    const struct ecs_found *f = m->found;
    struct str mode = f->definition->network_mode;

    m->own_network = str_eq(mode, STR("awsvpc")) || str_eq(mode, STR("host"));
    if (str_eq(mode, STR("none")))
        return "its network mode is none";
    if (str_eq(f->task.launch_type, STR("EXTERNAL")))
        return "it runs on an external instance (ECS Anywhere), whose address ECS does not know";
    if (str_eq(mode, STR("awsvpc"))) {
        m->ip = f->task.ipv4.n ? f->task.ipv4 : f->task.ipv6;
        return m->ip.n ? NULL : "its network interface has no address yet";
    }
    m->ip = !f->host ? STR_NONE : f->host->private_ip.n ? f->host->private_ip : f->host->ipv6;
    return m->ip.n ? NULL : "the address of its host is not known";
}

/* Whether any mechanism wants this container, before anything is asked about it. */
static bool wanted(const struct matching *m)
{
    const struct plan_ecs_agent_sd *c = m->config;
    struct str port;
    if (c->by_docker_label && docker_label(m, c->port_label, &port))
        return true;
    for (uint32_t i = 0; i < c->n_definitions; i++)
        if (regex_match(c->definitions[i].pattern, m->found->task.definition_arn) &&
            entry_wants(&c->definitions[i], m->container->name))
            return true;
    for (uint32_t i = 0; m->service && i < c->n_services; i++)
        if (regex_match(c->services[i].pattern, m->service->name) && entry_wants(&c->services[i], m->container->name))
            return true;
    return false;
}

static void add_patterns(struct buf *b, const struct plan_ecs_match *v, uint32_t n, const char *what)
{
    for (uint32_t i = 0; i < n && i < NAMED_MAX; i++)
        buf_printf(b, "%s%s `%.*s`", b->n ? ", " : "", what, STR_ARGS(v[i].pattern_text));
    if (n > NAMED_MAX)
        buf_printf(b, " and %u more", n - NAMED_MAX);
}

static void note_near_miss(struct matching *m)
{
    AUTO_BUF b = {0};
    struct str short_name = ecs_short_name(m->found->task.definition_arn);
    add_patterns(&b, m->config->definitions, m->config->n_definitions, "task definition");
    if (m->service || m->config->n_services)
        add_patterns(&b, m->config->services, m->config->n_services, "service");
    if (m->config->by_docker_label)
        buf_printf(&b, "%sdocker label %.*s", b.n ? ", " : "", STR_ARGS(m->config->port_label));
    skip(m, STR(""),
         str_c(arena_printf(m->a, "%.*s: not matched by %.*s", STR_ARGS(short_name), (int)b.n, b.p ? b.p : "")));
}

static void match_task(struct matching *m)
{
    const struct ecs_definition *definition = m->found->definition;
    bool some = false;

    if (!definition) {
        skip(m, STR(""), STR("its task definition could not be described"));
        return;
    }
    m->service = service_of(m);
    for (uint32_t i = 0; i < definition->n_containers && !some; i++) {
        m->container = &definition->containers[i];
        some = wanted(m);
    }
    if (!some) {
        if (m->near_misses)
            note_near_miss(m);
        return;
    }
    const char *nowhere = find_address(m);
    if (nowhere) {
        skip(m, STR(""), str_c(nowhere));
        return;
    }
    for (uint32_t i = 0; i < definition->n_containers; i++) {
        m->container = &definition->containers[i];
        if (m->service)
            by_entries(m, m->config->services, m->config->n_services, m->service->name, true);
        by_docker_label(m);
        by_entries(m, m->config->definitions, m->config->n_definitions, m->found->task.definition_arn, false);
    }
}

static int by_address(const void *a, const void *b)
{
    const struct ecs_agent_target *x = a, *y = b;
    int c = str_cmp(x->address, y->address);
    return c ? c : str_cmp(path_of(x->labels), path_of(y->labels));
}

void ecs_agent_match(const struct plan_ecs_agent_sd *config, const struct ecs_inventory *const *clusters,
                     uint32_t n_clusters, bool near_misses, struct arena *a, struct ecs_agent_findings *out)
{
    *out = (struct ecs_agent_findings){0};
    struct matching m = {.config = config, .a = a, .out = out, .near_misses = near_misses};

    for (uint32_t i = 0; i < n_clusters; i++) {
        m.cluster = clusters[i];
        for (uint32_t k = 0; k < clusters[i]->n_tasks; k++) {
            m.found = &clusters[i]->tasks[k];
            match_task(&m);
        }
    }
    map_release(&m.keys);
    if (out->n_targets)
        qsort(out->targets, out->n_targets, sizeof(*out->targets), by_address);
}

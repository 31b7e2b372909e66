/* ecs_task: ecs_task_sd_configs, ours: the containers of the task in which leadline itself runs. No API call, no
 * permission: the task metadata endpoint of the ECS agent says everything (Amazon ECS Developer Guide, "Amazon ECS task
 * metadata endpoint version 4").
 *
 *   GET $ECS_CONTAINER_METADATA_URI_V4/task
 *   {"Cluster": "demo", "TaskARN": ..., "Containers": [{"Name": "app", "Labels": {"ECS_PROMETHEUS_EXPORTER_PORT":
 * "9100"}, "KnownStatus": "RUNNING", "Type": "NORMAL", "Networks": [{"NetworkMode": "awsvpc", "IPv4Addresses":
 * [...]}]}, ...]}
 *
 * Containers of an awsvpc or host task share our network: they are found at 127.0.0.1. In bridge mode a container is
 * found at its own address on the docker network, with its own port.
 *
 * A container's ports are that of its docker label, and those that the configuration lists for its name; equal ones
 * give one target. A container that does not run (yet) is left out; a label that is no port is left out, counted and
 * logged. The label of the metrics path, where there is one, goes into __metrics_path__.
 *
 *   __meta_ecs_task_   cluster arn family revision availability_zone launch_type
 *                      container_name container_id container_image container_health container_label_NAME
 */
#include "discover/aws_labels_int.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/regex.h"
#include "net/http_client.h"
#include "wire/tree.h"

#define META "__meta_ecs_task_"

enum { TIMEOUT_MS = 5000, ANSWER_MAX = 4 << 20, PATIENCE_MS = 60 * 1000 };

struct task_discoverer {
    struct refresh refresh;
    const struct plan_ecs_task_sd *config;
    struct http_peer *peer; /* NULL: bad_url says why */
    struct diag bad_url;
    struct http_request request;
    struct buf body;
    struct counter *skipped;
    struct log_limit skip_limit;
};

static struct task_discoverer *of(struct refresh *r)
{
    return CONTAINER_OF(r, struct task_discoverer, refresh);
}

/* ---- the answer ---- */

static const struct node *first_of(const struct node *n, const char *key)
{
    const struct node *v = node_find(n, key);
    return v && (v->kind == NODE_SEQUENCE || v->kind == NODE_MAPPING) ? v->first : NULL;
}

/* Where leadline reaches the container; empty: nowhere. */
static struct str host_of(const struct node *container)
{
    const struct node *network = first_of(container, "Networks");
    struct str mode = node_text(network, "NetworkMode");
    if (str_eq(mode, STR("awsvpc")) || str_eq(mode, STR("host")))
        return STR("127.0.0.1");
    const struct node *address = first_of(network, "IPv4Addresses");
    if (!address)
        address = first_of(network, "IPv6Addresses");
    return address && address->kind == NODE_STRING ? address->text : STR("");
}

static bool runs(const struct node *container)
{
    struct str status = node_text(container, "KnownStatus"), type = node_text(container, "Type");
    return str_eq(status, STR("RUNNING")) && (type.n == 0 || str_eq(type, STR("NORMAL")));
}

/* ---- targets ---- */

struct gathering {
    struct task_discoverer *d;
    struct arena *a;
    const struct node *container;
    struct labels *targets;
    uint32_t n;
    uint32_t first; /* of this container */
};

static void tell_observer(struct gathering *g, const char *why)
{
    struct discover_observer *o = g->d->refresh.env.observer;
    AUTO_BUF what = {0};

    if (!o)
        return;
    buf_c(&what, "container ");
    buf_str(&what, node_text(g->container, "Name"));
    o->left_out(o, buf_view(&what), str_c(why));
}

static void say_skipped(struct gathering *g, const char *why)
{
    uint32_t suppressed;

    tell_observer(g, why);
    counter_inc(g->d->skipped);
    if (log_allow(&g->d->skip_limit, PATIENCE_MS, &suppressed))
        log_warn(g->d->refresh.env.log, "a container of this task is left out",
                 F_STR("container", node_text(g->container, "Name")), F_C("why", why), F_INT("suppressed", suppressed));
}

static void set_labels(struct labels_builder *b, struct gathering *g)
{
    AUTO_BUF name = {0};
    aws_sd_label(b, g->a, META "container_name", node_text(g->container, "Name"));
    aws_sd_label(b, g->a, META "container_id", node_text(g->container, "DockerId"));
    aws_sd_label(b, g->a, META "container_image", node_text(g->container, "Image"));
    const struct node *health = node_find(g->container, "Health");
    aws_sd_label(b, g->a, META "container_health", node_text(health, "status"));
    for (const struct node *l = first_of(g->container, "Labels"); l; l = l->next) {
        buf_clear(&name);
        ecs_label_name(&name, META "container_label_", l->key);
        if (l->kind == NODE_STRING)
            labels_builder_set(b, str_dup(g->a, buf_view(&name)), str_dup(g->a, l->text));
    }
}

static void add_target(struct gathering *g, struct str host, uint16_t port, struct str path)
{
    struct labels_builder b;
    labels_builder_init(&b, g->a);
    aws_sd_address(&b, g->a, host, port);
    aws_sd_label(&b, g->a, "__metrics_path__", path);
    set_labels(&b, g);
    struct labels target = labels_builder_labels(&b);
    for (uint32_t i = g->first; i < g->n; i++)
        if (labels_eq(g->targets[i], target))
            return;
    g->targets[g->n++] = target;
}

static uint32_t most_targets(const struct plan_ecs_task_sd *config)
{
    uint32_t n = 1;
    for (uint32_t i = 0; i < config->n_containers; i++)
        n += config->containers[i].ports.n;
    return n;
}

static void add_container(struct gathering *g)
{
    const struct plan_ecs_task_sd *config = g->d->config;
    const struct node *labels = node_find(g->container, "Labels");
    const struct node *port_label = node_find(labels, config->port_label.p);
    struct str name = node_text(g->container, "Name"), host = host_of(g->container);
    uint16_t port;

    g->first = g->n;
    if (!runs(g->container)) {
        tell_observer(g, "it does not run, or is not the task's own");
        return;
    }
    if (port_label && host.n == 0)
        say_skipped(g, "the task metadata gives it no address");
    if (host.n == 0)
        return;
    if (port_label && (port_label->kind != NODE_STRING || num_parse_port(port_label->text, &port)))
        say_skipped(g, "its port label is not a port from 1 to 65535");
    else if (port_label)
        add_target(g, host, port, node_text(labels, config->metrics_path_label.p));
    for (uint32_t i = 0; i < config->n_containers; i++) {
        const struct plan_task_containers *c = &config->containers[i];
        for (uint32_t k = 0; regex_match(c->name, name) && k < c->ports.n; k++)
            add_target(g, host, c->ports.v[k], c->metrics_path);
    }
    if (g->n == g->first && !port_label)
        tell_observer(g, "neither a port label nor a name among `containers`");
}

static struct labels task_labels(const struct node *task, struct arena *a)
{
    static const char *const names[][2] = {
        {META "cluster", "Cluster"},
        {META "arn", "TaskARN"},
        {META "family", "Family"},
        {META "revision", "Revision"},
        {META "availability_zone", "AvailabilityZone"},
        {META "launch_type", "LaunchType"},
    };
    struct labels_builder b;
    labels_builder_init(&b, a);
    for (size_t i = 0; i < COUNT_OF(names); i++)
        aws_sd_label(&b, a, names[i][0], node_text(task, names[i][1]));
    return labels_builder_labels(&b);
}

static enum err read_task(struct task_discoverer *t, struct str body, struct target_groups *out, struct diag *d)
{
    struct arena scratch = {0};
    struct node *task = NULL;
    enum err err = tree_parse_json(body, "task metadata", &scratch, &task, d);
    if (!err && (!task || task->kind != NODE_MAPPING || !node_find(task, "Containers")))
        err = diag_set(d, ERR_SYNTAX, "the answer is not a task");
    if (!err) {
        const struct node *containers = node_find(task, "Containers");
        uint32_t cap = containers->kind == NODE_SEQUENCE ? containers->n * most_targets(t->config) : 0;
        struct gathering g = {.d = t, .a = &out->arena, .targets = ARENA_ARRAY(&out->arena, struct labels, cap + 1)};
        for (const struct node *c = cap ? containers->first : NULL; c; c = c->next) {
            g.container = c;
            if (c->kind == NODE_MAPPING)
                add_container(&g);
        }
        out->groups = ARENA_NEW(&out->arena, struct target_group);
        out->n = 1;
        out->groups[0] = (struct target_group){
            .source = STR("task"), .labels = task_labels(task, &out->arena), .targets = g.targets, .n_targets = g.n};
    }
    arena_release(&scratch);
    return err;
}

/* ---- asking ---- */

static void on_answer(struct http_request *request, const struct http_response *response)
{
    struct task_discoverer *t = CONTAINER_OF(request, struct task_discoverer, request);
    struct diag d = {0}, why = response->diag;
    enum err err = response->err;

    if (!err && response->status != 200)
        err = diag_set(&why, ERR_NET, "server returned HTTP status %d", response->status);
    struct target_groups *groups = err ? NULL : target_groups_new();
    if (!err)
        err = read_task(t, buf_view(&t->body), groups, &why);
    buf_release(&t->body);
    if (!err) {
        refresh_done(&t->refresh, groups);
        return;
    }
    target_groups_free(groups);
    diag_set(&d, err, "%s: %s", t->refresh.about.p, why.text);
    refresh_failed(&t->refresh, &d);
}

static void begin(struct refresh *r)
{
    struct task_discoverer *t = of(r);

    if (!t->peer) {
        refresh_failed(r, &t->bad_url);
        return;
    }
    t->request = (struct http_request){
        .method = "GET",
        .timeout_ms = TIMEOUT_MS,
        .max_body = ANSWER_MAX,
        .response_body = &t->body,
        .done = on_answer,
    };
    http_start(t->peer, &t->request);
}

static void stop(struct discoverer *self)
{
    struct task_discoverer *t = CONTAINER_OF(self, struct task_discoverer, refresh.base);

    if (t->peer)
        http_peer_free(t->peer);
    refresh_stop(&t->refresh);
    buf_release(&t->body);
    free(t);
}

struct discoverer *discover_ecs_task_new(const struct discover_env *env, struct plan *plan,
                                         const struct plan_ecs_task_sd *config, struct target_consumer *consumer)
{
    static const struct refresh_kind kind = {"ecs_task", begin, stop};
    struct task_discoverer *t = NEW(struct task_discoverer);
    struct buf *url = &t->refresh.about;
    const char *uri = env->task_metadata_uri;

    refresh_start(&t->refresh, &kind, env, plan, config->refresh_ms, consumer);
    t->config = config;
    t->skipped = refresh_counter(&t->refresh, COUNTER_TOTAL, "leadline_sd_skipped_total",
                                 "Items that discovery found and left out, since something about them is wrong.");
    buf_c(url, uri ? uri : "");
    buf_c(url, uri ? "/task" : "");
    if (!uri)
        diag_set(&t->bad_url, ERR_NOT_FOUND,
                 "ECS_CONTAINER_METADATA_URI_V4 is not set: ecs_task_sd_configs works in an ECS task only");
    else if (http_peer_new(env->http, buf_view(url), NULL, &t->peer, &t->bad_url))
        t->peer = NULL;
    return &t->refresh.base;
}

/* ecs: ecs_sd_configs, and aws_sd_configs of that role: one target per task (Prometheus discovery/aws/ecs.go, 3.15).
 *
 *   refresh --> ecs_client --> one group per cluster, one target per task --> report
 *
 * A task with a network interface of its own (awsvpc) is found at that, another one at its host's private address; the
 * port is the configuration's. Labels are the original's. Where it differs:
 *
 *   - a cluster may be named as well as given by its ARN;
 *   - clusters fail one by one, and keep their last targets; the original drops a failing cluster's targets;
 *   - services are described as tasks name them, so none are listed;
 *   - refused permissions for container instances, hosts and interfaces leave out what they would have told;
 *   - an interface with an IPv6 address only is found at that.
 *
 * What is common to a cluster stands in the group's labels, once.
 */
#include "discover/aws_labels_int.h"
#include "discover/ecs_client.h"

#include "base/mem.h"

#define TAG_CLUSTER "__meta_ecs_tag_cluster_"
#define TAG_SERVICE "__meta_ecs_tag_service_"
#define TAG_TASK    "__meta_ecs_tag_task_"
#define TAG_EC2     "__meta_ecs_tag_ec2_"

struct ecs_discoverer {
    struct refresh refresh;
    const struct plan_aws_sd *config;
    struct aws_config aws;       /* the configuration's, without the endpoint: that is of ECS alone */
    struct ecs_client *client;   /* NULL: could not be made yet */
    struct aws_session *session; /* the client's */
    struct counter *skipped, *calls;
};

/* ---- from a task to a target ---- */

static void set_host(struct labels_builder *b, struct arena *a, const struct ecs_found *f)
{
    aws_sd_label(b, a, "__meta_ecs_container_instance_arn", f->task.instance_arn);
    aws_sd_label(b, a, "__meta_ecs_ec2_instance_id", f->ec2_id);
    if (!f->host)
        return;
    aws_sd_label(b, a, "__meta_ecs_ec2_instance_type", f->host->type);
    aws_sd_label(b, a, "__meta_ecs_ec2_instance_private_ip", f->host->private_ip);
    aws_sd_label(b, a, "__meta_ecs_ec2_instance_public_ip", f->host->public_ip);
    aws_sd_tags(b, a, TAG_EC2, f->host->tags);
}

static void set_service(struct labels_builder *b, struct arena *a, const struct ecs_service *s)
{
    aws_sd_label(b, a, "__meta_ecs_service", s->name);
    aws_sd_label(b, a, "__meta_ecs_service_arn", s->arn);
    aws_sd_label(b, a, "__meta_ecs_service_status", s->status);
    aws_sd_tags(b, a, TAG_SERVICE, s->tags);
}

static void set_task(struct labels_builder *b, struct arena *a, const struct ecs_task *t)
{
    aws_sd_label(b, a, "__meta_ecs_launch_type", t->launch_type);
    aws_sd_label(b, a, "__meta_ecs_health_status", t->health_status);
    aws_sd_label(b, a, "__meta_ecs_task_group", t->group);
    aws_sd_label(b, a, "__meta_ecs_task_arn", t->arn);
    aws_sd_label(b, a, "__meta_ecs_task_definition", t->definition_arn);
    aws_sd_label(b, a, "__meta_ecs_availability_zone", t->zone);
    aws_sd_label(b, a, "__meta_ecs_desired_status", t->desired_status);
    aws_sd_label(b, a, "__meta_ecs_last_status", t->last_status);
    aws_sd_label(b, a, "__meta_ecs_platform_family", t->platform_family);
    aws_sd_label(b, a, "__meta_ecs_platform_version", t->platform_version);
    aws_sd_tags(b, a, TAG_TASK, t->tags);
}

/* False: the task has no address. */
static bool make_target(const struct ecs_found *f, uint16_t port, struct arena *a, struct labels *out)
{
    struct str ip = STR(""), public_ip = STR(""), subnet = STR("");
    struct labels_builder b;

    if (f->task.has_interface) {
        ip = f->task.ipv4.n ? f->task.ipv4 : f->task.ipv6;
        subnet = f->task.subnet_id;
        public_ip = f->public_ip;
    } else if (f->host) {
        ip = f->host->private_ip;
        subnet = f->host->subnet_id;
        public_ip = f->host->public_ip;
    }
    if (ip.n == 0)
        return false;
    labels_builder_init(&b, a);
    aws_sd_address(&b, a, ip, port);
    aws_sd_label(&b, a, "__meta_ecs_ip_address", ip);
    aws_sd_label(&b, a, "__meta_ecs_subnet_id", subnet);
    aws_sd_label(&b, a, "__meta_ecs_public_ip", public_ip);
    labels_builder_set(&b, STR("__meta_ecs_network_mode"), f->task.has_interface ? STR("awsvpc") : STR("bridge"));
    set_task(&b, a, &f->task);
    set_host(&b, a, f);
    if (f->service)
        set_service(&b, a, f->service);
    *out = labels_builder_labels(&b);
    return true;
}

static void make_group(struct ecs_discoverer *e, const struct ecs_inventory *v, struct target_groups *all,
                       uint32_t *skipped)
{
    struct arena *a = &all->arena;
    struct target_group *g = &all->groups[all->n++];
    struct discover_observer *o = e->refresh.env.observer;
    struct str region = aws_session_region(e->session);
    struct labels *targets = ARENA_ARRAY(a, struct labels, v->n_tasks);
    struct labels_builder b;

    labels_builder_init(&b, a);
    aws_sd_label(&b, a, "__meta_ecs_region", region);
    aws_sd_label(&b, a, "__meta_ecs_cluster", v->cluster.name);
    aws_sd_label(&b, a, "__meta_ecs_cluster_arn", v->cluster.arn);
    aws_sd_tags(&b, a, TAG_CLUSTER, v->cluster.tags);
    *g = (struct target_group){
        .source = str_c(arena_printf(a, "%.*s/%.*s", STR_ARGS(region), STR_ARGS(v->cluster.name))),
        .labels = labels_builder_labels(&b),
        .targets = targets,
    };
    for (uint32_t i = 0; i < v->n_tasks; i++) {
        if (make_target(&v->tasks[i], e->config->port, a, &targets[g->n_targets])) {
            g->n_targets++;
            continue;
        }
        (*skipped)++;
        if (o)
            o->left_out(o, v->tasks[i].task.arn, STR("it has no address yet, or its host's is not known"));
    }
}

/* ---- refreshes ---- */

static void describe(struct ecs_discoverer *e)
{
    struct buf *about = &e->refresh.about;

    aws_sd_describe(&e->refresh, e->session, &e->aws);
    buf_c(about, e->config->n_clusters ? ", clusters " : ", all clusters");
    for (uint32_t i = 0; i < e->config->n_clusters; i++)
        buf_printf(about, "%s%.*s", i ? ", " : "", STR_ARGS(e->config->clusters[i]));
}

static void on_done(void *ctx, const struct ecs_client_result *r)
{
    struct ecs_discoverer *e = ctx;
    uint32_t skipped = 0;

    describe(e);
    counter_set(e->calls, r->calls);
    if (r->failed) {
        refresh_failed(&e->refresh, &r->diag);
        return;
    }
    struct target_groups *all = target_groups_new();
    all->groups = ARENA_ARRAY(&all->arena, struct target_group, r->n_clusters);
    for (uint32_t i = 0; i < r->n_clusters; i++)
        make_group(e, r->clusters[i], all, &skipped);
    counter_set(e->skipped, skipped);
    refresh_partly(&e->refresh, all, &r->diag);
}

static enum err open_client(struct ecs_discoverer *e, struct diag *d)
{
    enum err err = aws_sd_session(&e->refresh.env, &e->aws, &e->session, d);
    if (err)
        return err;
    struct ecs_client_options o = {
        .queue = aws_sd_queue(&e->refresh, e->session, aws_sd_http(&e->config->http), e->config->request_concurrency),
        .log = e->refresh.env.log,
        .endpoint = e->config->aws.endpoint,
        .clusters = e->config->clusters,
        .n_clusters = e->config->n_clusters,
        .services = ECS_SERVICES_OF_TASKS,
        .cluster_tags = true,
        .hosts = true,
        .interfaces = true,
    };
    e->client = ecs_client_new(&o);
    return OK;
}

static void begin(struct refresh *r)
{
    struct ecs_discoverer *e = CONTAINER_OF(r, struct ecs_discoverer, refresh);
    struct diag d = {0};

    if (!e->client && open_client(e, &d)) {
        refresh_failed(r, &d);
        return;
    }
    ecs_client_refresh(e->client, on_done, e);
}

static void stop(struct discoverer *self)
{
    struct ecs_discoverer *e = CONTAINER_OF(self, struct ecs_discoverer, refresh.base);

    if (e->client)
        ecs_client_free(e->client);
    refresh_stop(&e->refresh);
    free(e);
}

struct discoverer *discover_ecs_new(const struct discover_env *env, struct plan *plan, const struct plan_aws_sd *config,
                                    struct target_consumer *consumer)
{
    static const struct refresh_kind kind = {"ecs", begin, stop};
    struct ecs_discoverer *e = NEW(struct ecs_discoverer);

    refresh_start(&e->refresh, &kind, env, plan, config->refresh_ms, consumer);
    e->config = config;
    e->aws = config->aws;
    e->aws.endpoint = STR_NONE;
    e->skipped = refresh_counter(&e->refresh, COUNTER_GAUGE, "leadline_sd_ecs_tasks_without_address",
                                 "Tasks in the last refresh that have no address yet, or whose host is not known.");
    e->calls = aws_sd_calls(&e->refresh);
    describe(e);
    return &e->refresh.base;
}

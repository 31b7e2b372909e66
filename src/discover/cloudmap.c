/* cloudmap: cloudmap_sd_configs, and the discovery of the cloudmap-sd sidecar.
 *
 *   refresh --> cloudmap_client --> a group per service, one or two targets per instance --> report
 *
 *   group    namespace, __meta_cloudmap_namespace, _service_name, _service_id, _tag_NAME
 *   target   __address__, __metrics_path__, instance, taskid, cluster, service, taskdefinition,
 *            __meta_cloudmap_instance_id, _health_status, _attribute_NAME
 *
 * The labels without __meta_ are the sidecar's. Its label `instance` is the address alone, so the two targets of one
 * instance have equal labels, and so do their `up` series; ours has the port unless the sidecar's form is asked for. An
 * IPv6 address is used where there is no other; the original needs IPv4.
 *
 * What is left out is counted by reason; what is wrong is logged once, and again when something else is wrong. Services
 * without tags are no fault: namespaces hold services that nobody scrapes.
 */
#include "discover/cloudmap.h"

#include "base/hash.h"
#include "base/mem.h"
#include "base/num.h"
#include "discover/aws_labels_int.h"
#include "net/resolver.h"

enum { MAX_LOGGED = 10 };

struct cloudmap_discoverer {
    struct refresh refresh;
    const struct plan_cloudmap_sd *config;
    struct aws_config aws;          /* the configuration's, without the endpoint: that is of Cloud Map alone */
    struct cloudmap_client *client; /* NULL: could not be made yet */
    struct aws_session *session;    /* the client's */
    struct arena names_arena, next_names_arena;
    const struct str *names, *next_names; /* next: from the next refresh on; NULL: the same */
    uint32_t n_names, n_next_names;
    struct counter *calls, *targets, *skipped[CLOUDMAP_REASONS];
    uint64_t logged; /* hash of what was wrong last */
};

const char *cloudmap_reason_name(enum cloudmap_reason reason)
{
    static const char *const names[] = {
        [CLOUDMAP_NO_NAMESPACE] = "no_namespace",
        [CLOUDMAP_NO_TAGS] = "no_tags",
        [CLOUDMAP_BAD_PORT] = "bad_port",
        [CLOUDMAP_NO_ADDRESS] = "no_address",
    };
    return names[reason];
}

/* ---- from services to targets ---- */

/* What the tags of a service ask for. */
struct endpoint {
    struct str path, port; /* port empty: the instance's */
};

static uint32_t endpoints_of(const struct cloudmap_service *s, struct endpoint out[2])
{
    struct str path = str_trim(cloudmap_tag(s->tags, STR("METRICS_PATH")));
    struct str ecs_path = str_trim(cloudmap_tag(s->tags, STR("ECS_METRICS_PATH")));
    struct str ecs_port = str_trim(cloudmap_tag(s->tags, STR("ECS_METRICS_PORT")));
    uint32_t n = 0;

    if (path.n)
        out[n++] = (struct endpoint){path, str_trim(cloudmap_tag(s->tags, STR("METRICS_PORT")))};
    if (ecs_path.n && ecs_port.n)
        out[n++] = (struct endpoint){ecs_path, ecs_port};
    return n;
}

bool cloudmap_is_scraped(const struct cloudmap_service *s)
{
    struct endpoint endpoints[2];

    return endpoints_of(s, endpoints) > 0;
}

struct finding {
    const struct plan_cloudmap_sd *config;
    struct arena *a; /* of the groups */
    struct arena *skips_arena;
    struct cloudmap_findings *out;
    size_t cap_skips;
    const struct cloudmap_service *service;
};

static void skip(struct finding *f, enum cloudmap_reason reason, struct str instance, const char *text)
{
    struct cloudmap_findings *out = f->out;
    struct arena *a = f->skips_arena;

    if (out->n_skips == f->cap_skips) {
        struct cloudmap_skip *old = out->skips;
        f->cap_skips = f->cap_skips ? 2 * f->cap_skips : 16;
        out->skips = ARENA_ARRAY(a, struct cloudmap_skip, f->cap_skips);
        if (old)
            memcpy(out->skips, old, out->n_skips * sizeof(*old));
    }
    out->by_reason[reason]++;
    out->skips[out->n_skips++] = (struct cloudmap_skip){
        .reason = reason,
        .namespace_name = str_dup(a, f->service->namespace_name),
        .service = str_dup(a, f->service->name),
        .instance = str_dup(a, instance),
        .text = str_c(text),
    };
}

static struct str address_of(const struct cloudmap_instance *i)
{
    struct str four = cloudmap_tag(i->attributes, STR("AWS_INSTANCE_IPV4"));
    struct str ip = str_trim(four.n ? four : cloudmap_tag(i->attributes, STR("AWS_INSTANCE_IPV6")));
    struct net_address parsed;

    return ip.n && net_address_parse(ip, &parsed) ? ip : STR("");
}

static struct labels make_target(const struct finding *f, const struct cloudmap_instance *i, struct str ip,
                                 const struct endpoint *e, uint16_t port)
{
    struct arena *a = f->a;
    struct labels_builder b;

    labels_builder_init(&b, a);
    aws_sd_address(&b, a, ip, port);
    aws_sd_label(&b, a, "__metrics_path__", e->path);
    aws_sd_label(&b, a, "instance",
                 f->config->instance_without_port ? ip : labels_builder_find(&b, STR("__address__"))->value);
    aws_sd_label(&b, a, "taskid", i->id);
    aws_sd_label(&b, a, "cluster", cloudmap_tag(i->attributes, STR("ECS_CLUSTER_NAME")));
    aws_sd_label(&b, a, "service", cloudmap_tag(i->attributes, STR("ECS_SERVICE_NAME")));
    aws_sd_label(&b, a, "taskdefinition", cloudmap_tag(i->attributes, STR("ECS_TASK_DEFINITION_FAMILY")));
    aws_sd_label(&b, a, "__meta_cloudmap_instance_id", i->id);
    aws_sd_label(&b, a, "__meta_cloudmap_health_status", i->health);
    aws_sd_tags(&b, a, "__meta_cloudmap_attribute_", i->attributes);
    return labels_builder_labels(&b);
}

static void find_instance(struct finding *f, const struct cloudmap_instance *i, const struct endpoint *endpoints,
                          uint32_t n, struct labels *targets, uint32_t *n_targets)
{
    struct str ip = address_of(i);

    if (ip.n == 0) {
        skip(f, CLOUDMAP_NO_ADDRESS, i->id, "neither AWS_INSTANCE_IPV4 nor AWS_INSTANCE_IPV6 is an IP address");
        return;
    }
    for (uint32_t k = 0; k < n; k++) {
        struct str attribute = cloudmap_tag(i->attributes, STR("AWS_INSTANCE_PORT"));
        struct str text = endpoints[k].port.n ? endpoints[k].port : attribute;
        uint16_t port = 80;
        if (text.n && num_parse_port(text, &port))
            skip(f, CLOUDMAP_BAD_PORT, i->id,
                 endpoints[k].port.n ? "METRICS_PORT or ECS_METRICS_PORT of the service is no port from 1 to 65535"
                                     : "AWS_INSTANCE_PORT is no port from 1 to 65535");
        else
            targets[(*n_targets)++] = make_target(f, i, ip, &endpoints[k], port);
    }
}

static void find_service(struct finding *f, struct target_groups *out)
{
    const struct cloudmap_service *s = f->service;
    struct endpoint endpoints[2];
    uint32_t n = endpoints_of(s, endpoints);
    struct arena *a = f->a;
    struct labels_builder b;

    if (n == 0) {
        skip(f, CLOUDMAP_NO_TAGS, STR(""), "no tag METRICS_PATH, nor ECS_METRICS_PATH with ECS_METRICS_PORT");
        return;
    }
    struct labels *targets = ARENA_ARRAY(a, struct labels, s->n_instances * (size_t)n);
    struct target_group *g = &out->groups[out->n++];
    labels_builder_init(&b, a);
    aws_sd_label(&b, a, "namespace", s->namespace_name);
    aws_sd_label(&b, a, "__meta_cloudmap_namespace", s->namespace_name);
    aws_sd_label(&b, a, "__meta_cloudmap_service_name", s->name);
    aws_sd_label(&b, a, "__meta_cloudmap_service_id", s->id);
    aws_sd_tags(&b, a, "__meta_cloudmap_tag_", s->tags);
    *g = (struct target_group){
        .source = str_c(arena_printf(a, "%.*s/%.*s", STR_ARGS(s->namespace_name), STR_ARGS(s->id))),
        .labels = labels_builder_labels(&b),
        .targets = targets,
    };
    for (uint32_t i = 0; i < s->n_instances; i++)
        find_instance(f, &s->instances[i], endpoints, n, targets, &g->n_targets);
}

void cloudmap_find(const struct plan_cloudmap_sd *config, const struct cloudmap_client_result *r,
                   struct target_groups *out, struct arena *a, struct cloudmap_findings *findings)
{
    struct finding f = {.config = config, .a = &out->arena, .skips_arena = a, .out = findings};

    *findings = (struct cloudmap_findings){0};
    for (uint32_t i = 0; i < r->n_missing; i++) {
        f.service = &(struct cloudmap_service){.namespace_name = r->missing[i]};
        skip(&f, CLOUDMAP_NO_NAMESPACE, STR(""), "there is no Cloud Map namespace of this name in the region");
    }
    out->groups = ARENA_ARRAY(&out->arena, struct target_group, r->n_services);
    for (uint32_t i = 0; i < r->n_services; i++) {
        f.service = r->services[i];
        find_service(&f, out);
    }
}

/* ---- refreshes ---- */

static void describe(struct cloudmap_discoverer *e)
{
    struct buf *about = &e->refresh.about;

    aws_sd_describe(&e->refresh, e->session, &e->aws);
    buf_c(about, ", namespaces ");
    for (uint32_t i = 0; i < e->n_names; i++)
        buf_printf(about, "%s%.*s", i ? ", " : "", STR_ARGS(e->names[i]));
}

/* Says what is wrong, each thing once. */
static void log_skips(struct cloudmap_discoverer *e, const struct cloudmap_findings *found)
{
    uint64_t hash = 0;
    uint32_t n = 0;

    for (uint32_t i = 0; i < found->n_skips; i++) {
        const struct cloudmap_skip *s = &found->skips[i];
        if (s->reason == CLOUDMAP_NO_TAGS)
            continue;
        hash = hash_bytes_seed(s->namespace_name, hash + s->reason + 1);
        hash = hash_bytes_seed(s->instance, hash_bytes_seed(s->service, hash));
    }
    if (hash == e->logged)
        return;
    e->logged = hash;
    for (uint32_t i = 0; i < found->n_skips && n < MAX_LOGGED; i++) {
        const struct cloudmap_skip *s = &found->skips[i];
        if (s->reason == CLOUDMAP_NO_TAGS)
            continue;
        n++;
        log_warn(e->refresh.env.log, "left out of discovery", F_STR("config", e->refresh.env.config),
                 F_STR("namespace", s->namespace_name), F_STR("service", s->service), F_STR("instance", s->instance),
                 F_STR("reason", s->text));
    }
}

static void tell_observer(struct discover_observer *o, const struct cloudmap_findings *found)
{
    for (uint32_t i = 0; o && i < found->n_skips; i++) {
        const struct cloudmap_skip *s = &found->skips[i];
        AUTO_BUF what = {0};
        buf_printf(&what, "namespace %.*s", STR_ARGS(s->namespace_name));
        if (s->service.n)
            buf_printf(&what, ", service %.*s", STR_ARGS(s->service));
        if (s->instance.n)
            buf_printf(&what, ", instance %.*s", STR_ARGS(s->instance));
        o->left_out(o, buf_view(&what), s->text);
    }
}

static void on_done(void *ctx, const struct cloudmap_client_result *r)
{
    struct cloudmap_discoverer *e = ctx;
    struct arena scratch = {0};
    struct cloudmap_findings found;
    uint64_t n = 0;

    describe(e);
    counter_set(e->calls, r->calls);
    if (r->failed) {
        refresh_failed(&e->refresh, &r->diag);
        return;
    }
    struct target_groups *all = target_groups_new();
    cloudmap_find(e->config, r, all, &scratch, &found);
    log_skips(e, &found);
    tell_observer(e->refresh.env.observer, &found);
    for (int i = 0; i < CLOUDMAP_REASONS; i++)
        counter_set(e->skipped[i], found.by_reason[i]);
    for (uint32_t i = 0; i < all->n; i++)
        n += all->groups[i].n_targets;
    counter_set(e->targets, n);
    arena_release(&scratch);
    refresh_partly(&e->refresh, all, &r->diag);
}

static enum err open_client(struct cloudmap_discoverer *e, struct diag *d)
{
    enum err err = aws_sd_session(&e->refresh.env, &e->aws, &e->session, d);
    if (err)
        return err;
    struct cloudmap_client_options o = {
        .queue = aws_sd_queue(&e->refresh, e->session, NULL, e->config->request_concurrency),
        .endpoint = e->config->aws.endpoint,
        .discover = e->config->discover,
        .health = e->config->health,
        .wanted = cloudmap_is_scraped,
    };
    e->client = cloudmap_client_new(&o);
    return OK;
}

static void adopt_names(struct cloudmap_discoverer *e)
{
    struct arena old = e->names_arena;

    if (!e->next_names)
        return;
    e->names_arena = e->next_names_arena;
    e->next_names_arena = old;
    e->names = e->next_names;
    e->n_names = e->n_next_names;
    e->next_names = NULL;
    describe(e);
}

static void begin(struct refresh *r)
{
    struct cloudmap_discoverer *e = CONTAINER_OF(r, struct cloudmap_discoverer, refresh);
    struct diag d = {0};

    adopt_names(e);
    if (!e->client && open_client(e, &d)) {
        refresh_failed(r, &d);
        return;
    }
    cloudmap_client_refresh(e->client, e->names, e->n_names, on_done, e);
}

void cloudmap_set_namespaces(struct discoverer *d, const struct str *names, uint32_t n)
{
    struct cloudmap_discoverer *e = CONTAINER_OF(d, struct cloudmap_discoverer, refresh.base);
    struct arena *a = &e->next_names_arena;

    arena_reset(a);
    struct str *copy = ARENA_ARRAY(a, struct str, n + 1);
    for (uint32_t i = 0; i < n; i++)
        copy[i] = str_dup(a, names[i]);
    e->next_names = copy;
    e->n_next_names = n;
    if (!e->refresh.busy)
        timer_start(e->refresh.env.loop, &e->refresh.timer, 0, e->refresh.timer.fn);
}

static void stop(struct discoverer *self)
{
    struct cloudmap_discoverer *e = CONTAINER_OF(self, struct cloudmap_discoverer, refresh.base);
    struct counters *set = e->refresh.env.counters;

    if (e->client)
        cloudmap_client_free(e->client);
    for (int i = 0; i < CLOUDMAP_REASONS; i++)
        counter_release(set, e->skipped[i]);
    refresh_stop(&e->refresh);
    arena_release(&e->names_arena);
    arena_release(&e->next_names_arena);
    free(e);
}

static void open_counters(struct cloudmap_discoverer *e)
{
    const struct refresh *r = &e->refresh;
    struct counter_label labels[] = {
        {STR("mechanism"), str_c(r->mechanism)}, {STR("config"), r->env.config}, {STR("reason"), STR("")}};

    e->calls = aws_sd_calls(&e->refresh);
    e->targets = aws_sd_targets(&e->refresh);
    for (int i = 0; i < CLOUDMAP_REASONS; i++) {
        labels[2].value = str_c(cloudmap_reason_name((enum cloudmap_reason)i));
        e->skipped[i] =
            counter_new(r->env.counters, COUNTER_GAUGE, "leadline_sd_cloudmap_skipped",
                        "Namespaces, services and instances that the last refresh left out, by reason.", labels, 3);
    }
}

struct discoverer *discover_cloudmap_new(const struct discover_env *env, struct plan *plan,
                                         const struct plan_cloudmap_sd *config, struct target_consumer *consumer)
{
    static const struct refresh_kind kind = {"cloudmap", begin, stop};
    struct cloudmap_discoverer *e = NEW(struct cloudmap_discoverer);

    refresh_start(&e->refresh, &kind, env, plan, config->refresh_ms, consumer);
    e->config = config;
    e->aws = config->aws;
    e->aws.endpoint = STR_NONE;
    e->names = config->namespaces;
    e->n_names = config->n_namespaces;
    open_counters(e);
    describe(e);
    return &e->refresh.base;
}

/* ec2: ec2_sd_configs, and aws_sd_configs of that role: one target per instance (Prometheus
 * discovery/aws/ec2.go, 3.15).
 *
 *   refresh --> DescribeAvailabilityZones (until it was once answered) --> DescribeInstances, page by page --> report
 *
 * The zones give names their ids; without permission to ask for them there is no such label, which is no failure. An
 * instance without any address is passed over. Instances that services such as ECS manage are always asked for: AWS
 * leaves them out unless told.
 */
#include "discover/aws_labels_int.h"
#include "discover/aws_queue.h"
#include "discover/ec2_answers.h"

#include "base/mem.h"
#include "net/http_client.h"

struct ec2_discoverer {
    struct refresh refresh;
    const struct plan_aws_sd *config;
    struct aws_session *session; /* NULL: could not be got yet */
    struct aws_queue *queue;
    struct aws_job job;
    struct arena zones_arena;
    struct ec2_described zones;
    bool has_zones;
    struct target_groups *next; /* being filled */
    struct labels *targets;
    size_t n_targets, cap_targets;
    uint64_t calls_before;
    struct counter *calls;
};

/* ---- from an instance to a target ---- */

struct addresses6 {
    struct str *all, *primary; /* primary: by the index of the device; empty ones in between */
    uint32_t n_all, n_primary;
};

static struct addresses6 gather_addresses(const struct ec2_instance *i, struct arena *a)
{
    struct addresses6 out = {0};
    uint32_t n = 0, most = 0;

    for (uint32_t k = 0; i->vpc_id.p && k < i->n_interfaces; k++) {
        n += i->interfaces[k].n_ipv6;
        if (i->interfaces[k].device_index >= (int32_t)most)
            most = (uint32_t)i->interfaces[k].device_index + 1;
    }
    out.all = ARENA_ARRAY(a, struct str, n);
    out.primary = ARENA_ARRAY(a, struct str, most);
    for (uint32_t k = 0; n && k < i->n_interfaces; k++) {
        const struct ec2_interface *interface = &i->interfaces[k];
        for (uint32_t m = 0; interface->subnet_id.p && m < interface->n_ipv6; m++) {
            out.all[out.n_all++] = interface->ipv6[m].address;
            if (!interface->ipv6[m].primary || interface->device_index < 0)
                continue;
            out.primary[interface->device_index] = interface->ipv6[m].address;
            if ((uint32_t)interface->device_index >= out.n_primary)
                out.n_primary = (uint32_t)interface->device_index + 1;
        }
    }
    return out;
}

static struct str default_address(const struct addresses6 *from)
{
    for (uint32_t i = 0; i < from->n_primary; i++)
        if (from->primary[i].n)
            return from->primary[i];
    for (uint32_t i = 0; i < from->n_all; i++)
        if (from->all[i].n)
            return from->all[i];
    return STR_NONE;
}

/* ",a,b," */
static void set_list(struct labels_builder *b, struct arena *a, const char *name, const struct str *v, uint32_t n)
{
    AUTO_BUF text = {0};

    buf_char(&text, ',');
    for (uint32_t i = 0; i < n; i++) {
        if (i)
            buf_char(&text, ',');
        buf_str(&text, v[i]);
    }
    buf_char(&text, ',');
    aws_sd_label(b, a, name, buf_view(&text));
}

static void set_subnets(struct labels_builder *b, struct arena *a, const struct ec2_instance *i)
{
    struct str *subnets = ARENA_ARRAY(a, struct str, i->n_interfaces);
    uint32_t n = 0;

    for (uint32_t k = 0; k < i->n_interfaces; k++) {
        bool seen = i->interfaces[k].subnet_id.p == NULL;
        for (uint32_t m = 0; m < n && !seen; m++)
            seen = str_eq(subnets[m], i->interfaces[k].subnet_id);
        if (!seen)
            subnets[n++] = i->interfaces[k].subnet_id;
    }
    aws_sd_label(b, a, "__meta_ec2_primary_subnet_id", i->subnet_id);
    set_list(b, a, "__meta_ec2_subnet_id", subnets, n);
}

static struct str zone_id(const struct ec2_discoverer *e, struct str zone)
{
    for (uint32_t i = 0; i < e->zones.n; i++)
        if (str_eq(e->zones.zones[i].name, zone))
            return e->zones.zones[i].id;
    return STR_NONE;
}

static void set_names(struct labels_builder *b, struct arena *a, const struct ec2_instance *i)
{
    aws_sd_label(b, a, "__meta_ec2_instance_id", i->id);
    aws_sd_label(b, a, "__meta_ec2_owner_id", i->owner_id);
    aws_sd_label(b, a, "__meta_ec2_private_ip", i->private_ip);
    aws_sd_label(b, a, "__meta_ec2_private_dns_name", i->private_dns);
    aws_sd_label(b, a, "__meta_ec2_public_ip", i->public_ip);
    if (i->public_ip.p)
        aws_sd_label(b, a, "__meta_ec2_public_dns_name", i->public_dns);
    aws_sd_label(b, a, "__meta_ec2_platform", i->platform);
    aws_sd_label(b, a, "__meta_ec2_ami", i->image_id);
    aws_sd_label(b, a, "__meta_ec2_instance_state", i->state);
    aws_sd_label(b, a, "__meta_ec2_instance_type", i->type);
    aws_sd_label(b, a, "__meta_ec2_instance_lifecycle", i->lifecycle);
    aws_sd_label(b, a, "__meta_ec2_architecture", i->architecture);
    aws_sd_label(b, a, "__meta_ec2_vpc_id", i->vpc_id);
}

/* False: the instance has no address. */
static bool make_target(const struct ec2_discoverer *e, const struct ec2_instance *i, struct arena *a,
                        struct labels *out)
{
    struct addresses6 six = gather_addresses(i, a);
    struct str default6 = default_address(&six);
    struct labels_builder b;

    if (!i->private_ip.p && !default6.p)
        return false;
    labels_builder_init(&b, a);
    aws_sd_address(&b, a, i->private_ip.p ? i->private_ip : default6, e->config->port);
    set_names(&b, a, i);
    aws_sd_label(&b, a, "__meta_ec2_default_ipv6_address", default6);
    if (six.n_primary)
        set_list(&b, a, "__meta_ec2_primary_ipv6_addresses", six.primary, six.n_primary);
    if (six.n_all)
        set_list(&b, a, "__meta_ec2_ipv6_addresses", six.all, six.n_all);
    aws_sd_label(&b, a, "__meta_ec2_availability_zone", i->zone);
    aws_sd_label(&b, a, "__meta_ec2_availability_zone_id", zone_id(e, i->zone));
    if (i->vpc_id.p)
        set_subnets(&b, a, i);
    aws_sd_tags(&b, a, "__meta_ec2_tag_", i->tags);
    *out = labels_builder_labels(&b);
    return true;
}

/* ---- calls ---- */

static struct ec2_discoverer *of(struct aws_job *j)
{
    return CONTAINER_OF(j, struct ec2_discoverer, job);
}

static void write_zones(struct aws_job *j, struct str token, struct buf *body)
{
    (void)j;
    (void)token;
    (void)body; /* no parameters: those of the region */
}

static enum err take_zones(struct aws_job *j, struct str body, struct buf *token, struct diag *d)
{
    struct ec2_discoverer *e = of(j);

    (void)token;
    arena_reset(&e->zones_arena);
    return ec2_zones_parse(body, &e->zones_arena, &e->zones, d);
}

static void start_instances(struct ec2_discoverer *e);

static void end_zones(struct aws_job *j, enum err err, struct str code, const struct diag *d)
{
    struct ec2_discoverer *e = of(j);

    (void)code;
    e->has_zones = err == OK;
    if (err) {
        e->zones = (struct ec2_described){0};
        log_debug(e->refresh.env.log, "Unable to describe availability zones", F_STR("config", e->refresh.env.config),
                  F_C("err", d->text));
    }
    start_instances(e);
}

static void write_instances(struct aws_job *j, struct str token, struct buf *body)
{
    const struct ec2_discoverer *e = of(j);

    for (uint32_t i = 0; i < e->config->n_filters; i++) {
        const struct plan_filter *f = &e->config->filters[i];
        buf_printf(body, "Filter.%u.Name=", i + 1);
        http_query_escape(body, f->name);
        for (uint32_t k = 0; k < f->n_values; k++) {
            buf_printf(body, "&Filter.%u.Value.%u=", i + 1, k + 1);
            http_query_escape(body, f->values[k]);
        }
        buf_char(body, '&');
    }
    buf_c(body, "IncludeManagedResources=true&MaxResults=1000");
    if (token.n) {
        buf_c(body, "&NextToken=");
        http_query_escape(body, token);
    }
}

static enum err take_instances(struct aws_job *j, struct str body, struct buf *token, struct diag *d)
{
    struct ec2_discoverer *e = of(j);
    struct arena scratch = {0};
    struct ec2_described got;
    enum err err = ec2_instances_parse(body, &scratch, &got, d);

    for (uint32_t i = 0; !err && i < got.n; i++) {
        e->targets = mem_grow(e->targets, &e->cap_targets, e->n_targets + 1, sizeof(*e->targets));
        if (make_target(e, &got.instances[i], &e->next->arena, &e->targets[e->n_targets]))
            e->n_targets++;
        else if (e->refresh.env.observer)
            e->refresh.env.observer->left_out(e->refresh.env.observer, got.instances[i].id,
                                              STR("the instance has no address"));
    }
    if (!err)
        buf_str(token, got.next_token);
    arena_release(&scratch);
    return err;
}

static void describe(struct ec2_discoverer *e)
{
    aws_sd_describe(&e->refresh, e->session, &e->config->aws);
    if (e->config->n_filters)
        buf_printf(&e->refresh.about, ", %u filters", e->config->n_filters);
}

static void finish_group(struct ec2_discoverer *e)
{
    struct target_groups *all = e->next;
    struct labels_builder b;

    labels_builder_init(&b, &all->arena);
    aws_sd_label(&b, &all->arena, "__meta_ec2_region", aws_session_region(e->session));
    all->groups = ARENA_NEW(&all->arena, struct target_group);
    all->n = 1;
    all->groups[0] = (struct target_group){
        .source = str_dup(&all->arena, aws_session_region(e->session)),
        .labels = labels_builder_labels(&b),
        .n_targets = (uint32_t)e->n_targets,
    };
    if (e->n_targets)
        all->groups[0].targets = arena_memdup(&all->arena, e->targets, e->n_targets * sizeof(*e->targets));
    e->next = NULL;
}

static void end_instances(struct aws_job *j, enum err err, struct str code, const struct diag *d)
{
    struct ec2_discoverer *e = of(j);
    struct target_groups *all = e->next;

    (void)code;
    describe(e);
    counter_set(e->calls, aws_queue_calls(e->queue) - e->calls_before);
    if (err) {
        target_groups_free(e->next);
        e->next = NULL;
        refresh_failed(&e->refresh, d);
        return;
    }
    finish_group(e);
    refresh_done(&e->refresh, all);
}

static void start_job(struct ec2_discoverer *e, const char *operation, enum aws_family family)
{
    e->job.service = &aws_ec2;
    e->job.operation = operation;
    e->job.family = family;
    aws_queue_start(e->queue, &e->job);
}

static void start_instances(struct ec2_discoverer *e)
{
    e->n_targets = 0;
    e->next = target_groups_new();
    e->job = (struct aws_job){.write = write_instances, .page = take_instances, .end = end_instances};
    start_job(e, "DescribeInstances", AWS_EC2_INSTANCES);
}

/* ---- refreshes ---- */

static enum err open_session(struct ec2_discoverer *e, struct diag *d)
{
    enum err err = aws_sd_session(&e->refresh.env, &e->config->aws, &e->session, d);
    if (err)
        return err;
    struct aws_queue_options o = aws_sd_queue(&e->refresh, e->session, aws_sd_http(&e->config->http), 0);
    e->queue = aws_queue_new(&o);
    return OK;
}

static void begin(struct refresh *r)
{
    struct ec2_discoverer *e = CONTAINER_OF(r, struct ec2_discoverer, refresh);
    struct diag d = {0};

    if (!e->session && open_session(e, &d)) {
        refresh_failed(r, &d);
        return;
    }
    e->calls_before = aws_queue_calls(e->queue);
    if (e->has_zones) {
        start_instances(e);
        return;
    }
    e->job = (struct aws_job){.write = write_zones, .page = take_zones, .end = end_zones};
    start_job(e, "DescribeAvailabilityZones", AWS_EC2_OTHER);
}

static void forget_job(struct aws_job *j)
{
    (void)j; /* it is part of the discoverer */
}

static void stop(struct discoverer *self)
{
    struct ec2_discoverer *e = CONTAINER_OF(self, struct ec2_discoverer, refresh.base);

    if (e->session) {
        aws_queue_free(e->queue, forget_job);
        aws_session_release(e->session);
    }
    target_groups_free(e->next);
    free(e->targets);
    arena_release(&e->zones_arena);
    refresh_stop(&e->refresh);
    free(e);
}

struct discoverer *discover_ec2_new(const struct discover_env *env, struct plan *plan, const struct plan_aws_sd *config,
                                    struct target_consumer *consumer)
{
    static const struct refresh_kind kind = {"ec2", begin, stop};
    struct ec2_discoverer *e = NEW(struct ec2_discoverer);

    refresh_start(&e->refresh, &kind, env, plan, config->refresh_ms, consumer);
    e->config = config;
    e->calls = aws_sd_calls(&e->refresh);
    describe(e);
    return &e->refresh.base;
}

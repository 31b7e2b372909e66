/* ecs_answers: see the header.
 *
 * JSON of the API, lower camel case; members that are not known are passed over, members of another type count as
 * absent (aws_json.c).
 */
#include "discover/ecs_answers.h"

#include "base/quote.h"
#include "discover/aws_json_int.h"

/* A list of objects or strings, or NULL; its length in *n. */
static const struct node *list(const struct node *of, const char *key, uint32_t *n)
{
    const struct node *v = node_member(of, key, NODE_SEQUENCE);

    *n = v ? v->n : 0;
    return *n ? v->first : NULL;
}

static uint64_t number(const struct node *n, const char *key, uint64_t most)
{
    const struct node *v = node_member(n, key, NODE_NUMBER);
    uint64_t u;

    return v && node_u64(v, &u) && u <= most ? u : 0;
}

static struct ecs_tags read_tags(const struct node *of, struct arena *a)
{
    return aws_json_tags(node_member(of, "tags", NODE_SEQUENCE), "key", "value", a);
}

static void read_failures(const struct node *root, struct arena *a, struct ecs_described *out)
{
    uint32_t n;
    const struct node *v = list(root, "failures", &n);

    out->failures = ARENA_ARRAY(a, struct ecs_failure, n);
    for (; v; v = v->next)
        if (v->kind == NODE_MAPPING)
            out->failures[out->n_failures++] =
                (struct ecs_failure){aws_json_text(v, "arn", a), aws_json_text(v, "reason", a)};
}

/* ---- lists ---- */

enum err ecs_page_parse(struct str body, const char *member, struct arena *a, struct ecs_page *out, struct diag *d)
{
    struct arena scratch = {0};
    const struct node *root;
    uint32_t n;
    enum err err = aws_json_open(body, &scratch, &root, d);

    *out = (struct ecs_page){0};
    if (!err) {
        const struct node *v = list(root, member, &n);
        out->arns = ARENA_ARRAY(a, struct str, n);
        for (; v; v = v->next)
            if (v->kind == NODE_STRING && v->text.n)
                out->arns[out->n++] = str_dup(a, v->text);
        out->next_token = aws_json_text(root, "nextToken", a);
    }
    arena_release(&scratch);
    return err;
}

/* ---- clusters, services, instances ---- */

static void read_cluster(const struct node *v, struct arena *a, struct ecs_cluster *c)
{
    c->arn = aws_json_text(v, "clusterArn", a);
    c->name = aws_json_text(v, "clusterName", a);
    c->status = aws_json_text(v, "status", a);
    c->tags = read_tags(v, a);
}

static void read_service(const struct node *v, struct arena *a, struct ecs_service *s)
{
    uint32_t n;
    const struct node *deployment = list(v, "deployments", &n);

    s->arn = aws_json_text(v, "serviceArn", a);
    s->name = aws_json_text(v, "serviceName", a);
    s->status = aws_json_text(v, "status", a);
    s->launch_type = aws_json_text(v, "launchType", a);
    s->definition_arn = aws_json_text(v, "taskDefinition", a);
    s->tags = read_tags(v, a);
    s->deployments = ARENA_ARRAY(a, struct str, n);
    for (; deployment; deployment = deployment->next) {
        struct str status = aws_json_text(deployment, "status", a);
        if (str_eq(status, STR("PRIMARY")) || str_eq(status, STR("ACTIVE")))
            s->deployments[s->n_deployments++] = aws_json_text(deployment, "id", a);
    }
}

static void read_instance(const struct node *v, struct arena *a, struct ecs_instance *i)
{
    i->arn = aws_json_text(v, "containerInstanceArn", a);
    i->ec2_id = aws_json_text(v, "ec2InstanceId", a);
    i->capacity_provider = aws_json_text(v, "capacityProviderName", a);
    i->status = aws_json_text(v, "status", a);
}

/* ---- tasks ---- */

static void read_bindings(const struct node *v, struct arena *a, struct ecs_container *c)
{
    uint32_t n;
    const struct node *b = list(v, "networkBindings", &n);

    c->bindings = ARENA_ARRAY(a, struct ecs_binding, n);
    for (; b; b = b->next)
        if (b->kind == NODE_MAPPING)
            c->bindings[c->n_bindings++] = (struct ecs_binding){
                .protocol = aws_json_text(b, "protocol", a),
                .container_port = (uint16_t)number(b, "containerPort", UINT16_MAX),
                .host_port = (uint16_t)number(b, "hostPort", UINT16_MAX),
            };
}

static void read_container(const struct node *v, struct arena *a, struct ecs_container *c)
{
    uint32_t n;
    const struct node *interface = list(v, "networkInterfaces", &n);

    c->name = aws_json_text(v, "name", a);
    c->image = aws_json_text(v, "image", a);
    c->runtime_id = aws_json_text(v, "runtimeId", a);
    c->last_status = aws_json_text(v, "lastStatus", a);
    c->health_status = aws_json_text(v, "healthStatus", a);
    c->ipv4 = aws_json_text(interface, "privateIpv4Address", a);
    c->ipv6 = aws_json_text(interface, "ipv6Address", a);
    read_bindings(v, a, c);
}

/* The first attachment that is a network interface; of its details the last of each name stands. */
static void read_interface(const struct node *v, struct arena *a, struct ecs_task *t)
{
    uint32_t n;
    const struct node *attachment = list(v, "attachments", &n);

    while (attachment && !str_eq(aws_json_text(attachment, "type", a), STR("ElasticNetworkInterface")))
        attachment = attachment->next;
    if (!attachment)
        return;
    t->has_interface = true;
    for (const struct node *d = list(attachment, "details", &n); d; d = d->next) {
        struct str name = aws_json_text(d, "name", a), value = aws_json_text(d, "value", a);
        if (str_eq(name, STR("privateIPv4Address")))
            t->ipv4 = value;
        else if (str_eq(name, STR("privateIPv6Address")))
            t->ipv6 = value;
        else if (str_eq(name, STR("subnetId")))
            t->subnet_id = value;
        else if (str_eq(name, STR("networkInterfaceId")))
            t->interface_id = value;
    }
}

static void read_containers(const struct node *v, struct arena *a, struct ecs_task *t)
{
    uint32_t n;
    const struct node *c = list(v, "containers", &n);

    t->containers = ARENA_ARRAY(a, struct ecs_container, n);
    for (; c; c = c->next)
        if (c->kind == NODE_MAPPING)
            read_container(c, a, &t->containers[t->n_containers++]);
    for (uint32_t i = 0; i < t->n_containers && t->ipv6.n == 0; i++)
        t->ipv6 = t->containers[i].ipv6;
}

static void read_task(const struct node *v, struct arena *a, struct ecs_task *t)
{
    t->arn = aws_json_text(v, "taskArn", a);
    t->cluster_arn = aws_json_text(v, "clusterArn", a);
    t->definition_arn = aws_json_text(v, "taskDefinitionArn", a);
    t->instance_arn = aws_json_text(v, "containerInstanceArn", a);
    t->capacity_provider = aws_json_text(v, "capacityProviderName", a);
    t->zone = aws_json_text(v, "availabilityZone", a);
    t->launch_type = aws_json_text(v, "launchType", a);
    t->platform_family = aws_json_text(v, "platformFamily", a);
    t->platform_version = aws_json_text(v, "platformVersion", a);
    t->group = aws_json_text(v, "group", a);
    t->started_by = aws_json_text(v, "startedBy", a);
    t->last_status = aws_json_text(v, "lastStatus", a);
    t->desired_status = aws_json_text(v, "desiredStatus", a);
    t->health_status = aws_json_text(v, "healthStatus", a);
    t->ipv4 = t->ipv6 = t->subnet_id = t->interface_id = STR("");
    t->tags = read_tags(v, a);
    read_interface(v, a, t);
    read_containers(v, a, t);
}

/* ---- Describe calls ---- */

/* The items of one member; those without an ARN are skipped. */
#define READ_ITEMS(member, type, field, read)                                                                          \
    do {                                                                                                               \
        uint32_t n_;                                                                                                   \
        const struct node *v_ = list(root, (member), &n_);                                                             \
        out->field = ARENA_ARRAY(a, type, n_);                                                                         \
        for (; v_; v_ = v_->next) {                                                                                    \
            out->field[out->n] = (type){0};                                                                            \
            if (v_->kind == NODE_MAPPING)                                                                              \
                read(v_, a, &out->field[out->n]);                                                                      \
            if (v_->kind == NODE_MAPPING && out->field[out->n].arn.n)                                                  \
                out->n++;                                                                                              \
            else                                                                                                       \
                out->skipped++;                                                                                        \
        }                                                                                                              \
        read_failures(root, a, out);                                                                                   \
    } while (0)

enum err ecs_clusters_parse(struct str body, struct arena *a, struct ecs_described *out, struct diag *d)
{
    struct arena scratch = {0};
    const struct node *root;
    enum err err = aws_json_open(body, &scratch, &root, d);

    *out = (struct ecs_described){0};
    if (!err)
        READ_ITEMS("clusters", struct ecs_cluster, clusters, read_cluster);
    arena_release(&scratch);
    return err;
}

enum err ecs_services_parse(struct str body, struct arena *a, struct ecs_described *out, struct diag *d)
{
    struct arena scratch = {0};
    const struct node *root;
    enum err err = aws_json_open(body, &scratch, &root, d);

    *out = (struct ecs_described){0};
    if (!err)
        READ_ITEMS("services", struct ecs_service, services, read_service);
    arena_release(&scratch);
    return err;
}

enum err ecs_tasks_parse(struct str body, struct arena *a, struct ecs_described *out, struct diag *d)
{
    struct arena scratch = {0};
    const struct node *root;
    enum err err = aws_json_open(body, &scratch, &root, d);

    *out = (struct ecs_described){0};
    if (!err)
        READ_ITEMS("tasks", struct ecs_task, tasks, read_task);
    arena_release(&scratch);
    return err;
}

enum err ecs_instances_parse(struct str body, struct arena *a, struct ecs_described *out, struct diag *d)
{
    struct arena scratch = {0};
    const struct node *root;
    enum err err = aws_json_open(body, &scratch, &root, d);

    *out = (struct ecs_described){0};
    if (!err)
        READ_ITEMS("containerInstances", struct ecs_instance, instances, read_instance);
    arena_release(&scratch);
    return err;
}

/* ---- task definitions ---- */

static void read_container_definition(const struct node *v, struct arena *a, struct ecs_container_definition *c)
{
    uint32_t n;
    const struct node *p = list(v, "portMappings", &n);

    c->name = aws_json_text(v, "name", a);
    c->image = aws_json_text(v, "image", a);
    c->labels = aws_json_map(node_member(v, "dockerLabels", NODE_MAPPING), a);
    c->environment = aws_json_tags(node_member(v, "environment", NODE_SEQUENCE), "name", "value", a);
    c->ports = ARENA_ARRAY(a, struct ecs_port, n);
    for (; p; p = p->next)
        if (p->kind == NODE_MAPPING)
            c->ports[c->n_ports++] = (struct ecs_port){
                .name = aws_json_text(p, "name", a),
                .protocol = aws_json_text(p, "protocol", a),
                .app_protocol = aws_json_text(p, "appProtocol", a),
                .container_port = (uint16_t)number(p, "containerPort", UINT16_MAX),
                .host_port = (uint16_t)number(p, "hostPort", UINT16_MAX),
            };
}

static enum err read_definition(const struct node *root, struct arena *a, struct ecs_definition *out, struct diag *d)
{
    const struct node *v = node_find(root, "taskDefinition");
    uint32_t n;

    if (!v || v->kind != NODE_MAPPING)
        return diag_set(d, ERR_SYNTAX, "the answer has no taskDefinition");
    out->arn = aws_json_text(v, "taskDefinitionArn", a);
    out->family = aws_json_text(v, "family", a);
    out->network_mode = aws_json_text(v, "networkMode", a);
    out->revision = (uint32_t)number(v, "revision", UINT32_MAX);
    out->tags = read_tags(root, a);
    const struct node *c = list(v, "containerDefinitions", &n);
    out->containers = ARENA_ARRAY(a, struct ecs_container_definition, n);
    for (; c; c = c->next)
        if (c->kind == NODE_MAPPING)
            read_container_definition(c, a, &out->containers[out->n_containers++]);
    if (out->arn.n == 0)
        return diag_set(d, ERR_SYNTAX, "the answer's taskDefinition has no ARN");
    return OK;
}

enum err ecs_definition_parse(struct str body, struct arena *a, struct ecs_definition *out, struct diag *d)
{
    struct arena scratch = {0};
    const struct node *root;
    enum err err = aws_json_open(body, &scratch, &root, d);

    *out = (struct ecs_definition){0};
    if (!err)
        err = read_definition(root, a, out, d);
    arena_release(&scratch);
    return err;
}

/* ---- names and tags ---- */

struct ecs_tags ecs_tags_copy(struct ecs_tags from, struct arena *a)
{
    struct ecs_tags tags = {ARENA_ARRAY(a, struct ecs_tag, from.n), 0};

    for (; tags.n < from.n; tags.n++)
        tags.v[tags.n] = (struct ecs_tag){str_dup(a, from.v[tags.n].key), str_dup(a, from.v[tags.n].value)};
    return tags;
}

struct str ecs_short_name(struct str arn)
{
    for (size_t i = arn.n; i-- > 0;)
        if (arn.p[i] == '/')
            return str_from(arn.p + i + 1, arn.n - i - 1);
    return arn;
}

void ecs_label_name(struct buf *out, const char *prefix, struct str key)
{
    uint32_t rune;

    buf_c(out, prefix);
    for (size_t i = 0; i < key.n;) {
        unsigned char c = (unsigned char)key.p[i];
        size_t n = quote_rune(key, i, &rune);
        bool keep = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        buf_char(out, keep ? (char)c : '_');
        i += n ? n : 1;
    }
}

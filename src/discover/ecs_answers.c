/* ecs_answers: see the header.
 *
 * JSON of the API, lower camel case; members that are not known are passed over, members of another type count as
 * absent. The tree is made in a scratch arena, and what is kept is copied: an answer about a hundred tasks is some
 * hundred kilobytes, of which a tenth is of interest.
 */
#include "discover/ecs_answers.h"

#include "base/quote.h"
#include "wire/tree.h"

static struct str text(const struct node *n, const char *key, struct arena *a)
{
    const struct node *v = n && n->kind == NODE_MAPPING ? node_find(n, key) : NULL;

    return v && v->kind == NODE_STRING ? str_dup(a, v->text) : (struct str){"", 0};
}

/* A list of objects or strings, or NULL; its length in *n. */
static const struct node *list(const struct node *of, const char *key, uint32_t *n)
{
    const struct node *v = of && of->kind == NODE_MAPPING ? node_find(of, key) : NULL;

    *n = v && v->kind == NODE_SEQUENCE ? v->n : 0;
    return *n ? v->first : NULL;
}

static uint64_t number(const struct node *n, const char *key, uint64_t most)
{
    const struct node *v = node_find(n, key);
    uint64_t u;

    return v && v->kind == NODE_NUMBER && node_u64(v, &u) && u <= most ? u : 0;
}

/* [{"key": ..., "value": ...}]; the environment says "name" for "key". */
static struct ecs_tags read_tags(const struct node *of, const char *member, const char *key, struct arena *a)
{
    struct ecs_tags tags = {0};
    uint32_t n;
    const struct node *v = list(of, member, &n);

    tags.v = ARENA_ARRAY(a, struct ecs_tag, n);
    for (; v; v = v->next) {
        struct ecs_tag tag = {text(v, key, a), text(v, "value", a)};
        if (tag.key.n)
            tags.v[tags.n++] = tag;
    }
    return tags;
}

static struct ecs_tags read_map(const struct node *of, const char *member, struct arena *a)
{
    struct ecs_tags tags = {0};
    const struct node *v = node_find(of, member);

    if (!v || v->kind != NODE_MAPPING)
        return tags;
    tags.v = ARENA_ARRAY(a, struct ecs_tag, v->n);
    for (const struct node *e = v->first; e; e = e->next)
        if (e->kind == NODE_STRING && e->key.n)
            tags.v[tags.n++] = (struct ecs_tag){str_dup(a, e->key), str_dup(a, e->text)};
    return tags;
}

/* ---- the frame of every answer ---- */

struct answer {
    struct arena scratch;
    const struct node *root;
};

static enum err open_answer(struct answer *answer, struct str body, struct diag *d)
{
    struct node *root = NULL;
    enum err err = tree_parse_json(body, "answer", &answer->scratch, &root, d);

    if (!err && (!root || root->kind != NODE_MAPPING))
        err = diag_set(d, ERR_SYNTAX, "the answer is not a JSON object");
    answer->root = root;
    return err;
}

static void read_failures(const struct node *root, struct arena *a, struct ecs_described *out)
{
    uint32_t n;
    const struct node *v = list(root, "failures", &n);

    out->failures = ARENA_ARRAY(a, struct ecs_failure, n);
    for (; v; v = v->next)
        if (v->kind == NODE_MAPPING)
            out->failures[out->n_failures++] = (struct ecs_failure){text(v, "arn", a), text(v, "reason", a)};
}

/* ---- lists ---- */

enum err ecs_page_parse(struct str body, const char *member, struct arena *a, struct ecs_page *out, struct diag *d)
{
    struct answer answer = {0};
    uint32_t n;
    enum err err = open_answer(&answer, body, d);

    *out = (struct ecs_page){0};
    if (!err) {
        const struct node *v = list(answer.root, member, &n);
        out->arns = ARENA_ARRAY(a, struct str, n);
        for (; v; v = v->next)
            if (v->kind == NODE_STRING && v->text.n)
                out->arns[out->n++] = str_dup(a, v->text);
        out->next_token = text(answer.root, "nextToken", a);
    }
    arena_release(&answer.scratch);
    return err;
}

/* ---- clusters, services, instances ---- */

static void read_cluster(const struct node *v, struct arena *a, struct ecs_cluster *c)
{
    c->arn = text(v, "clusterArn", a);
    c->name = text(v, "clusterName", a);
    c->status = text(v, "status", a);
    c->tags = read_tags(v, "tags", "key", a);
}

static void read_service(const struct node *v, struct arena *a, struct ecs_service *s)
{
    uint32_t n;
    const struct node *deployment = list(v, "deployments", &n);

    s->arn = text(v, "serviceArn", a);
    s->name = text(v, "serviceName", a);
    s->status = text(v, "status", a);
    s->launch_type = text(v, "launchType", a);
    s->definition_arn = text(v, "taskDefinition", a);
    s->tags = read_tags(v, "tags", "key", a);
    s->deployments = ARENA_ARRAY(a, struct str, n);
    for (; deployment; deployment = deployment->next) {
        struct str status = text(deployment, "status", a);
        if (str_eq(status, STR("PRIMARY")) || str_eq(status, STR("ACTIVE")))
            s->deployments[s->n_deployments++] = text(deployment, "id", a);
    }
}

static void read_instance(const struct node *v, struct arena *a, struct ecs_instance *i)
{
    i->arn = text(v, "containerInstanceArn", a);
    i->ec2_id = text(v, "ec2InstanceId", a);
    i->capacity_provider = text(v, "capacityProviderName", a);
    i->status = text(v, "status", a);
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
                .protocol = text(b, "protocol", a),
                .container_port = (uint16_t)number(b, "containerPort", UINT16_MAX),
                .host_port = (uint16_t)number(b, "hostPort", UINT16_MAX),
            };
}

static void read_container(const struct node *v, struct arena *a, struct ecs_container *c)
{
    uint32_t n;
    const struct node *interface = list(v, "networkInterfaces", &n);

    c->name = text(v, "name", a);
    c->image = text(v, "image", a);
    c->runtime_id = text(v, "runtimeId", a);
    c->last_status = text(v, "lastStatus", a);
    c->health_status = text(v, "healthStatus", a);
    c->ipv4 = text(interface, "privateIpv4Address", a);
    c->ipv6 = text(interface, "ipv6Address", a);
    read_bindings(v, a, c);
}

/* The first attachment that is a network interface; of its details the last of each name stands. */
static void read_interface(const struct node *v, struct arena *a, struct ecs_task *t)
{
    uint32_t n;
    const struct node *attachment = list(v, "attachments", &n);

    while (attachment && !str_eq(text(attachment, "type", a), STR("ElasticNetworkInterface")))
        attachment = attachment->next;
    if (!attachment)
        return;
    t->has_interface = true;
    for (const struct node *d = list(attachment, "details", &n); d; d = d->next) {
        struct str name = text(d, "name", a), value = text(d, "value", a);
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
    t->arn = text(v, "taskArn", a);
    t->cluster_arn = text(v, "clusterArn", a);
    t->definition_arn = text(v, "taskDefinitionArn", a);
    t->instance_arn = text(v, "containerInstanceArn", a);
    t->capacity_provider = text(v, "capacityProviderName", a);
    t->zone = text(v, "availabilityZone", a);
    t->launch_type = text(v, "launchType", a);
    t->platform_family = text(v, "platformFamily", a);
    t->platform_version = text(v, "platformVersion", a);
    t->group = text(v, "group", a);
    t->started_by = text(v, "startedBy", a);
    t->last_status = text(v, "lastStatus", a);
    t->desired_status = text(v, "desiredStatus", a);
    t->health_status = text(v, "healthStatus", a);
    t->ipv4 = t->ipv6 = t->subnet_id = t->interface_id = STR("");
    t->tags = read_tags(v, "tags", "key", a);
    read_interface(v, a, t);
    read_containers(v, a, t);
}

/* ---- Describe calls ---- */

/* The items of one member; those without an ARN are skipped. */
#define READ_ITEMS(member, type, field, read)                                                                          \
    do {                                                                                                               \
        uint32_t n_;                                                                                                   \
        const struct node *v_ = list(answer.root, (member), &n_);                                                      \
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
        read_failures(answer.root, a, out);                                                                            \
    } while (0)

enum err ecs_clusters_parse(struct str body, struct arena *a, struct ecs_described *out, struct diag *d)
{
    struct answer answer = {0};
    enum err err = open_answer(&answer, body, d);

    *out = (struct ecs_described){0};
    if (!err)
        READ_ITEMS("clusters", struct ecs_cluster, clusters, read_cluster);
    arena_release(&answer.scratch);
    return err;
}

enum err ecs_services_parse(struct str body, struct arena *a, struct ecs_described *out, struct diag *d)
{
    struct answer answer = {0};
    enum err err = open_answer(&answer, body, d);

    *out = (struct ecs_described){0};
    if (!err)
        READ_ITEMS("services", struct ecs_service, services, read_service);
    arena_release(&answer.scratch);
    return err;
}

enum err ecs_tasks_parse(struct str body, struct arena *a, struct ecs_described *out, struct diag *d)
{
    struct answer answer = {0};
    enum err err = open_answer(&answer, body, d);

    *out = (struct ecs_described){0};
    if (!err)
        READ_ITEMS("tasks", struct ecs_task, tasks, read_task);
    arena_release(&answer.scratch);
    return err;
}

enum err ecs_instances_parse(struct str body, struct arena *a, struct ecs_described *out, struct diag *d)
{
    struct answer answer = {0};
    enum err err = open_answer(&answer, body, d);

    *out = (struct ecs_described){0};
    if (!err)
        READ_ITEMS("containerInstances", struct ecs_instance, instances, read_instance);
    arena_release(&answer.scratch);
    return err;
}

/* ---- task definitions ---- */

static void read_container_definition(const struct node *v, struct arena *a, struct ecs_container_definition *c)
{
    uint32_t n;
    const struct node *p = list(v, "portMappings", &n);

    c->name = text(v, "name", a);
    c->image = text(v, "image", a);
    c->labels = read_map(v, "dockerLabels", a);
    c->environment = read_tags(v, "environment", "name", a);
    c->ports = ARENA_ARRAY(a, struct ecs_port, n);
    for (; p; p = p->next)
        if (p->kind == NODE_MAPPING)
            c->ports[c->n_ports++] = (struct ecs_port){
                .name = text(p, "name", a),
                .protocol = text(p, "protocol", a),
                .app_protocol = text(p, "appProtocol", a),
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
    out->arn = text(v, "taskDefinitionArn", a);
    out->family = text(v, "family", a);
    out->network_mode = text(v, "networkMode", a);
    out->revision = (uint32_t)number(v, "revision", UINT32_MAX);
    out->tags = read_tags(root, "tags", "key", a);
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
    struct answer answer = {0};
    enum err err = open_answer(&answer, body, d);

    *out = (struct ecs_definition){0};
    if (!err)
        err = read_definition(answer.root, a, out, d);
    arena_release(&answer.scratch);
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

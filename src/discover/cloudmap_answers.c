/* cloudmap_answers: see the header.
 *
 *   ListNamespaces        {"Namespaces": [{Id, Arn, Name, ResourceOwner, Properties: {HttpProperties: {HttpName}}}]}
 *   ListServices          {"Services": [{Id, Arn, Name}]}
 *   ListInstances         {"Instances": [{Id, Attributes: {}}]}
 *   DiscoverInstances     {"Instances": [{InstanceId, HealthStatus, Attributes: {}}], "InstancesRevision": 5}
 *   ListTagsForResource   {"Tags": [{Key, Value}]}
 *   GetParameter          {"Parameter": {"Value": ...}}
 *
 * A list that is absent or null is empty; one of another type makes the answer unreadable, since taking it for empty
 * would end every target of it. Members that are not known are passed over. The tree is made in a scratch arena.
 */
#include "discover/cloudmap_answers.h"

#include "wire/tree.h"

enum { PARAMETER_MAX = 8192 }; /* an advanced parameter's size */

static struct str text(const struct node *n, const char *key, struct arena *a)
{
    const struct node *v = n && n->kind == NODE_MAPPING ? node_find(n, key) : NULL;

    return v && v->kind == NODE_STRING ? str_dup(a, v->text) : STR("");
}

static const struct node *inner(const struct node *n, const char *key)
{
    const struct node *v = n && n->kind == NODE_MAPPING ? node_find(n, key) : NULL;

    return v && v->kind == NODE_MAPPING ? v : NULL;
}

static enum err open_answer(struct str body, struct arena *scratch, const struct node **root, struct diag *d)
{
    struct node *n = NULL;
    enum err err = tree_parse_json(body, "answer", scratch, &n, d);

    if (!err && (!n || n->kind != NODE_MAPPING))
        err = diag_set(d, ERR_SYNTAX, "the answer is not a JSON object");
    *root = n;
    return err;
}

static enum err open_list(struct str body, const char *member, struct arena *scratch, const struct node **root,
                          const struct node **list, struct diag *d)
{
    enum err err = open_answer(body, scratch, root, d);

    *list = NULL;
    if (err)
        return err;
    const struct node *v = node_find(*root, member);
    if (!v || v->kind == NODE_NULL)
        return OK;
    if (v->kind != NODE_SEQUENCE)
        return diag_set(d, ERR_SYNTAX, "%s is a %s, not a list", member, node_kind_name(v->kind));
    *list = v;
    return OK;
}

/* ---- the items ---- */

static bool read_namespace(const struct node *v, struct arena *a, struct cloudmap_page *out)
{
    struct cloudmap_namespace *n = &out->namespaces[out->n];

    *n = (struct cloudmap_namespace){.id = text(v, "Id", a), .arn = text(v, "Arn", a), .name = text(v, "Name", a)};
    n->owner = text(v, "ResourceOwner", a);
    n->http_name = text(inner(inner(v, "Properties"), "HttpProperties"), "HttpName", a);
    if (n->http_name.n == 0)
        n->http_name = n->name;
    return n->id.n && n->name.n;
}

static bool read_service(const struct node *v, struct arena *a, struct cloudmap_page *out)
{
    struct cloudmap_summary *s = &out->services[out->n];

    *s = (struct cloudmap_summary){text(v, "Id", a), text(v, "Arn", a), text(v, "Name", a)};
    return s->id.n && s->arn.n && s->name.n;
}

static struct ecs_tags read_attributes(const struct node *map, struct arena *a)
{
    struct ecs_tags tags = {0};

    if (!map)
        return tags;
    tags.v = ARENA_ARRAY(a, struct ecs_tag, map->n);
    for (const struct node *e = map->first; e; e = e->next)
        if (e->kind == NODE_STRING && e->key.n)
            tags.v[tags.n++] = (struct ecs_tag){str_dup(a, e->key), str_dup(a, e->text)};
    return tags;
}

static bool read_instance(const struct node *v, struct arena *a, struct cloudmap_page *out)
{
    struct cloudmap_instance *i = &out->instances[out->n];

    *i = (struct cloudmap_instance){.id = text(v, "Id", a), .health = text(v, "HealthStatus", a)};
    if (i->id.n == 0)
        i->id = text(v, "InstanceId", a);
    i->attributes = read_attributes(inner(v, "Attributes"), a);
    return i->id.n > 0;
}

static void read_items(const struct node *list, struct arena *a, struct cloudmap_page *out,
                       bool (*read)(const struct node *v, struct arena *a, struct cloudmap_page *out))
{
    for (const struct node *v = list ? list->first : NULL; v; v = v->next) {
        if (v->kind == NODE_MAPPING && read(v, a, out))
            out->n++;
        else
            out->skipped++;
    }
}

/* ---- the answers ---- */

enum err cloudmap_namespaces_parse(struct str body, struct arena *a, struct cloudmap_page *out, struct diag *d)
{
    struct arena scratch = {0};
    const struct node *root, *list;
    enum err err = open_list(body, "Namespaces", &scratch, &root, &list, d);

    *out = (struct cloudmap_page){0};
    if (!err) {
        out->namespaces = ARENA_ARRAY(a, struct cloudmap_namespace, list ? list->n : 0);
        read_items(list, a, out, read_namespace);
        out->next_token = text(root, "NextToken", a);
    }
    arena_release(&scratch);
    return err;
}

enum err cloudmap_services_parse(struct str body, struct arena *a, struct cloudmap_page *out, struct diag *d)
{
    struct arena scratch = {0};
    const struct node *root, *list;
    enum err err = open_list(body, "Services", &scratch, &root, &list, d);

    *out = (struct cloudmap_page){0};
    if (!err) {
        out->services = ARENA_ARRAY(a, struct cloudmap_summary, list ? list->n : 0);
        read_items(list, a, out, read_service);
        out->next_token = text(root, "NextToken", a);
    }
    arena_release(&scratch);
    return err;
}

static bool read_revision(const struct node *root, uint64_t *out)
{
    const struct node *v = node_find(root, "InstancesRevision");

    return v && v->kind == NODE_NUMBER && node_u64(v, out);
}

enum err cloudmap_instances_parse(struct str body, struct arena *a, struct cloudmap_page *out, struct diag *d)
{
    struct arena scratch = {0};
    const struct node *root, *list;
    enum err err = open_list(body, "Instances", &scratch, &root, &list, d);

    *out = (struct cloudmap_page){0};
    if (!err) {
        out->instances = ARENA_ARRAY(a, struct cloudmap_instance, list ? list->n : 0);
        read_items(list, a, out, read_instance);
        out->next_token = text(root, "NextToken", a);
        out->has_revision = read_revision(root, &out->revision);
    }
    arena_release(&scratch);
    return err;
}

enum err cloudmap_tags_parse(struct str body, struct arena *a, struct ecs_tags *out, struct diag *d)
{
    struct arena scratch = {0};
    const struct node *root, *list;
    enum err err = open_list(body, "Tags", &scratch, &root, &list, d);

    *out = (struct ecs_tags){0};
    if (!err) {
        out->v = ARENA_ARRAY(a, struct ecs_tag, list ? list->n : 0);
        for (const struct node *v = list ? list->first : NULL; v; v = v->next) {
            struct ecs_tag tag = {text(v, "Key", a), text(v, "Value", a)};
            if (tag.key.n)
                out->v[out->n++] = tag;
        }
    }
    arena_release(&scratch);
    return err;
}

enum err cloudmap_revision_parse(struct str body, uint64_t *out, struct diag *d)
{
    struct arena scratch = {0};
    const struct node *root;
    enum err err = open_answer(body, &scratch, &root, d);

    if (!err && !read_revision(root, out))
        err = diag_set(d, ERR_SYNTAX, "the answer has no InstancesRevision");
    arena_release(&scratch);
    return err;
}

enum err ssm_parameter_parse(struct str body, struct arena *a, struct str *value, struct diag *d)
{
    struct arena scratch = {0};
    const struct node *root;
    enum err err = open_answer(body, &scratch, &root, d);

    if (!err) {
        const struct node *p = inner(root, "Parameter"), *v = p ? node_find(p, "Value") : NULL;
        if (!v || v->kind != NODE_STRING)
            err = diag_set(d, ERR_SYNTAX, "the answer has no value of the parameter");
        else if (v->text.n > PARAMETER_MAX)
            err = diag_set(d, ERR_LIMIT, "the parameter has more than %d bytes", PARAMETER_MAX);
        else
            *value = str_dup(a, v->text);
    }
    arena_release(&scratch);
    return err;
}

struct str cloudmap_tag(struct ecs_tags tags, struct str key)
{
    for (uint32_t i = 0; i < tags.n; i++)
        if (str_eq(tags.v[i].key, key))
            return tags.v[i].value;
    return STR("");
}

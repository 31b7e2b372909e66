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

#include "discover/aws_json_int.h"

enum { PARAMETER_MAX = 8192 }; /* an advanced parameter's size */

static enum err open_list(struct str body, const char *member, struct arena *scratch, const struct node **root,
                          const struct node **list, struct diag *d)
{
    enum err err = aws_json_open(body, scratch, root, d);

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

    *n = (struct cloudmap_namespace){
        .id = aws_json_text(v, "Id", a), .arn = aws_json_text(v, "Arn", a), .name = aws_json_text(v, "Name", a)};
    n->owner = aws_json_text(v, "ResourceOwner", a);
    n->http_name = aws_json_text(node_find(node_find(v, "Properties"), "HttpProperties"), "HttpName", a);
    if (n->http_name.n == 0)
        n->http_name = n->name;
    return n->id.n && n->name.n;
}

static bool read_service(const struct node *v, struct arena *a, struct cloudmap_page *out)
{
    struct cloudmap_summary *s = &out->services[out->n];

    *s = (struct cloudmap_summary){aws_json_text(v, "Id", a), aws_json_text(v, "Arn", a), aws_json_text(v, "Name", a)};
    return s->id.n && s->arn.n && s->name.n;
}

static bool read_instance(const struct node *v, struct arena *a, struct cloudmap_page *out)
{
    struct cloudmap_instance *i = &out->instances[out->n];

    *i = (struct cloudmap_instance){.id = aws_json_text(v, "Id", a), .health = aws_json_text(v, "HealthStatus", a)};
    if (i->id.n == 0)
        i->id = aws_json_text(v, "InstanceId", a);
    i->attributes = aws_json_map(node_member(v, "Attributes", NODE_MAPPING), a);
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
        out->next_token = aws_json_text(root, "NextToken", a);
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
        out->next_token = aws_json_text(root, "NextToken", a);
    }
    arena_release(&scratch);
    return err;
}

static bool read_revision(const struct node *root, uint64_t *out)
{
    const struct node *v = node_member(root, "InstancesRevision", NODE_NUMBER);

    return v && node_u64(v, out);
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
        out->next_token = aws_json_text(root, "NextToken", a);
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
    if (!err)
        *out = aws_json_tags(list, "Key", "Value", a);
    arena_release(&scratch);
    return err;
}

enum err cloudmap_revision_parse(struct str body, uint64_t *out, struct diag *d)
{
    struct arena scratch = {0};
    const struct node *root;
    enum err err = aws_json_open(body, &scratch, &root, d);

    if (!err && !read_revision(root, out))
        err = diag_set(d, ERR_SYNTAX, "the answer has no InstancesRevision");
    arena_release(&scratch);
    return err;
}

enum err ssm_parameter_parse(struct str body, struct arena *a, struct str *value, struct diag *d)
{
    struct arena scratch = {0};
    const struct node *root;
    enum err err = aws_json_open(body, &scratch, &root, d);

    if (!err) {
        const struct node *v = node_member(node_find(root, "Parameter"), "Value", NODE_STRING);
        if (!v)
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

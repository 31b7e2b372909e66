/* group_file: see the header. The tree remembers positions, so every refusal names its line and column.
 *
 *   - targets: ["127.0.0.1:9100"]      a target is its __address__
 *     labels: {env: prod}              label names are UTF-8 and not empty
 *
 * YAML scalars of any type are taken as the strings that they were written as (as the original's decoder does); JSON
 * values must be strings. A null group is an error, a null list of targets is an empty one.
 */
#include "discover/group_file.h"

#include "base/mem.h"
#include "wire/tree.h"

struct reader {
    const char *name;
    enum group_file_format format;
    struct arena *out;
    struct diag *d;
};

static enum err refuse(const struct reader *r, const struct node *n, const char *what)
{
    return diag_at(r->d, ERR_SYNTAX, r->name, (int)n->line, (int)n->col, "%s", what);
}

static enum err read_scalar(const struct reader *r, const struct node *n, struct str *out)
{
    bool scalar = n->kind != NODE_SEQUENCE && n->kind != NODE_MAPPING;

    if (!scalar || (r->format == GROUP_FILE_JSON && n->kind != NODE_STRING && n->kind != NODE_NULL))
        return refuse(r, n, "expected a string");
    *out = n->kind == NODE_NULL ? STR("") : str_dup(r->out, n->text);
    if (!str_is_utf8(*out))
        return refuse(r, n, "not valid UTF-8");
    return OK;
}

static enum err read_labels(const struct reader *r, const struct node *n, struct labels_builder *b)
{
    if (n->kind == NODE_NULL)
        return OK;
    if (n->kind != NODE_MAPPING)
        return refuse(r, n, "labels: expected a mapping of names to values");
    for (const struct node *v = n->first; v; v = v->next) {
        struct str value;
        if (v->key.n == 0 || !str_is_utf8(v->key))
            return refuse(r, v, "labels: not a valid label name");
        enum err err = read_scalar(r, v, &value);
        if (err)
            return err;
        labels_builder_set(b, str_dup(r->out, v->key), value);
    }
    return OK;
}

static enum err read_targets(const struct reader *r, const struct node *n, struct target_group *g)
{
    if (n->kind == NODE_NULL)
        return OK;
    if (n->kind != NODE_SEQUENCE)
        return refuse(r, n, "targets: expected a list of addresses");
    struct labels *targets = ARENA_ARRAY(r->out, struct labels, n->n);
    for (const struct node *v = n->first; v; v = v->next) {
        struct label *address = ARENA_NEW(r->out, struct label);
        enum err err = read_scalar(r, v, &address->value);
        if (err)
            return err;
        address->name = STR("__address__");
        targets[g->n_targets++] = (struct labels){address, 1};
    }
    g->targets = targets;
    return OK;
}

/* The original's JSON decoder does not mind the case of a field's name, its YAML decoder does. */
static bool is_key(const struct reader *r, const struct node *n, struct str name)
{
    return r->format == GROUP_FILE_JSON ? str_eq_nocase(n->key, name) : str_eq(n->key, name);
}

static enum err read_group(const struct reader *r, const struct node *n, struct label meta, struct target_group *g)
{
    struct labels_builder labels;

    if (n->kind != NODE_MAPPING)
        return refuse(r, n, n->kind == NODE_NULL ? "nil target group item found" : "expected a target group");
    labels_builder_init(&labels, r->out);
    for (const struct node *v = n->first; v; v = v->next) {
        enum err err = OK;
        if (is_key(r, v, STR("targets")))
            err = read_targets(r, v, g);
        else if (is_key(r, v, STR("labels")))
            err = read_labels(r, v, &labels);
        else
            err = diag_at(r->d, ERR_SYNTAX, r->name, (int)v->key_line, (int)v->key_col,
                          "unknown field \"%.*s\" in a target group: it has targets and labels", STR_ARGS(v->key));
        if (err)
            return err;
    }
    labels_builder_set(&labels, meta.name, str_dup(r->out, meta.value));
    g->labels = labels_builder_labels(&labels);
    return OK;
}

static enum err read_groups(const struct reader *r, const struct node *root, struct label meta, struct target_groups *g)
{
    if (!root && r->format == GROUP_FILE_JSON) /* a file being written is empty for a moment: not "no targets" */
        return diag_at(r->d, ERR_SYNTAX, r->name, 1, 1, "unexpected end of JSON input");
    if (!root || root->kind == NODE_NULL)
        return OK;
    if (root->kind != NODE_SEQUENCE)
        return refuse(r, root, "expected a list of target groups");
    g->groups = ARENA_ARRAY(&g->arena, struct target_group, root->n);
    for (const struct node *n = root->first; n; n = n->next) {
        struct target_group *group = &g->groups[g->n];
        group->source = str_c(arena_printf(&g->arena, "%s:%u", r->name, g->n));
        enum err err = read_group(r, n, meta, group);
        if (err)
            return err;
        g->n++;
    }
    return OK;
}

enum err group_file_parse(struct str text, enum group_file_format format, const char *name, struct label meta,
                          struct target_groups **out, struct diag *d)
{
    struct arena scratch = {0};
    struct node *root = NULL;
    struct target_groups *g = target_groups_new();
    struct reader r = {.name = name, .format = format, .out = &g->arena, .d = d};
    enum err err = format == GROUP_FILE_JSON ? tree_parse_json(text, name, &scratch, &root, d)
                                             : tree_parse_yaml(text, name, &scratch, &root, d);

    if (!err)
        err = read_groups(&r, root, meta, g);
    arena_release(&scratch);
    if (err) {
        target_groups_free(g);
        return err;
    }
    *out = g;
    return OK;
}

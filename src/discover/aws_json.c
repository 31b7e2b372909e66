/* aws_json: see the header.
 *
 * Readers of answers are tables of "this member goes there"; here is what they have in common, so that all of them take
 * or refuse the same things: an answer that is JSON but no object is unreadable, a member of an unexpected type counts
 * as absent, and a tag needs a name but may be empty. The tree of an answer lives in a scratch arena and is gone when
 * the reader returns: an answer about a hundred tasks is some hundred kilobytes, of which a tenth is kept.
 *
 * Any thread.
 */
#include "discover/aws_json_int.h"

enum err aws_json_open(struct str body, struct arena *scratch, const struct node **root, struct diag *d)
{
    struct node *n = NULL;
    enum err err = tree_parse_json(body, "answer", scratch, &n, d);

    if (!err && (!n || n->kind != NODE_MAPPING))
        err = diag_set(d, ERR_SYNTAX, "the answer is not a JSON object");
    *root = n;
    return err;
}

struct str aws_json_text(const struct node *of, const char *key, struct arena *a)
{
    const struct node *v = node_member(of, key, NODE_STRING);

    return v ? str_dup(a, v->text) : STR("");
}

struct ecs_tags aws_json_tags(const struct node *list, const char *key, const char *value, struct arena *a)
{
    struct ecs_tags tags = {ARENA_ARRAY(a, struct ecs_tag, list ? list->n : 0), 0};

    for (const struct node *v = list ? list->first : NULL; v; v = v->next) {
        struct ecs_tag tag = {aws_json_text(v, key, a), aws_json_text(v, value, a)};
        if (tag.key.n)
            tags.v[tags.n++] = tag;
    }
    return tags;
}

struct ecs_tags aws_json_map(const struct node *map, struct arena *a)
{
    struct ecs_tags tags = {ARENA_ARRAY(a, struct ecs_tag, map ? map->n : 0), 0};

    for (const struct node *v = map ? map->first : NULL; v; v = v->next)
        if (v->kind == NODE_STRING && v->key.n)
            tags.v[tags.n++] = (struct ecs_tag){str_dup(a, v->key), str_dup(a, v->text)};
    return tags;
}

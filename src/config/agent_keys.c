/* agent_keys: the table-driven reading of the CloudWatch agent's JSON, in the words of its validator.
 *
 *   {"sd_frequency": 60}      sd_frequency: Invalid type. Expected: string, given: integer
 *   {"sd_frequncy": "1m"}     Additional property sd_frequncy is not allowed
 *   {"region": ""}            region: String length must be greater than or equal to 1
 *
 * A string may name environment variables as ${NAME}; one that is not set is empty. Limits apply to what is written,
 * since that is what the agent's schema sees. A dollar before anything else means itself: patterns end with one.
 */
#include "base/mem.h"
#include "config/agent_int.h"

static const char *const type_names[] = {
    [AGENT_ANY] = "any",         [AGENT_STRING] = "string", [AGENT_BOOL] = "boolean",
    [AGENT_INTEGER] = "integer", [AGENT_OBJECT] = "object", [AGENT_ARRAY] = "array",
};

static bool is_integer(const struct node *n)
{
    double v;
    return n->kind == NODE_NUMBER && node_double(n, &v) && v >= -1e15 && v <= 1e15 && v == (double)(int64_t)v;
}

static const char *given(const struct node *n)
{
    switch (n->kind) {
    case NODE_NULL:
        return "null";
    case NODE_BOOL:
        return "boolean";
    case NODE_NUMBER:
        return is_integer(n) ? "integer" : "number";
    case NODE_STRING:
        return "string";
    case NODE_SEQUENCE:
        return "array";
    case NODE_MAPPING:
        return "object";
    }
    return "null";
}

static bool has_type(const struct node *n, enum agent_type type)
{
    switch (type) {
    case AGENT_ANY:
        return true;
    case AGENT_STRING:
        return n->kind == NODE_STRING;
    case AGENT_BOOL:
        return n->kind == NODE_BOOL;
    case AGENT_INTEGER:
        return is_integer(n);
    case AGENT_OBJECT:
        return n->kind == NODE_MAPPING;
    case AGENT_ARRAY:
        return n->kind == NODE_SEQUENCE;
    }
    return false;
}

bool agent_is(struct agent_reader *a, const struct node *n, enum agent_type type)
{
    if (has_type(n, type))
        return true;
    reader_error(&a->r, n, ERR_SYNTAX, "%.*s%sInvalid type. Expected: %s, given: %s", STR_ARGS(n->key),
                 n->key.n ? ": " : "", type_names[type], given(n));
    return false;
}

static bool is_variable(struct str s)
{
    return str_starts(s, STR("${")) && str_ends(s, STR("}"));
}

static size_t count_characters(struct str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    return n;
}

static bool is_within(struct agent_reader *a, const struct node *n, const struct agent_key *k)
{
    bool text = k->type == AGENT_STRING;
    const char *what = text ? "String length must" : "Must";
    double v = 0;

    if (!k->max || (text && is_variable(n->text)))
        return true;
    if (text)
        v = (double)count_characters(n->text);
    else if (!node_double(n, &v))
        return true;
    if (v < k->min)
        reader_error(&a->r, n, ERR_SYNTAX, "%s: %s be greater than or equal to %u", k->key, what, k->min);
    else if (v > k->max)
        reader_error(&a->r, n, ERR_SYNTAX, "%s: %s be less than or equal to %u", k->key, what, k->max);
    return v >= k->min && v <= k->max;
}

static const struct agent_key *find_key(const struct agent_object *o, struct str key)
{
    for (size_t i = 0; i < o->n; i++)
        if (str_eq_c(key, o->keys[i].key))
            return &o->keys[i];
    return NULL;
}

static void other_key(struct agent_reader *a, const struct node *n, enum agent_others others)
{
    if (others == OTHERS_REFUSED)
        reader_error_key(&a->r, n, NULL, ERR_SYNTAX, "Additional property %s is not allowed",
                         reader_quote(&a->r, n->key));
    else if (others == OTHERS_TOLD)
        reader_warn(&a->r, n, "%s has no effect: there is no such key", reader_quote(&a->r, n->key));
}

void agent_read_object(struct agent_reader *a, const struct node *n, const struct agent_object *o, void *out)
{
    for (struct node *c = n->first; c; c = c->next) {
        const struct agent_key *k = find_key(o, c->key);
        if (!k)
            other_key(a, c, o->others);
        else if (k->refused)
            reader_error(&a->r, c, ERR_UNSUPPORTED, "%s: not supported by leadline: %s", k->key, k->refused);
        else if (agent_is(a, c, k->type) && is_within(a, c, k) && k->read)
            k->read(a, c, (char *)out + k->offset);
    }
}

/* ---- values ---- */

static struct str expand(struct agent_reader *a, struct str s)
{
    AUTO_BUF b = {0};
    struct str before, rest, name, after;

    while (str_cut(s, '$', &before, &rest)) {
        buf_str(&b, before);
        s = rest;
        if (!rest.n || *rest.p != '{' || !str_cut(str_from(rest.p + 1, rest.n - 1), '}', &name, &after) ||
            !label_name_is_legacy(name)) {
            buf_char(&b, '$');
            continue;
        }
        buf_str(&b, str_c(a->o->getenv ? a->o->getenv(str_dup(a->r.tree, name).p) : NULL));
        s = after;
    }
    buf_str(&b, s);
    return b.n ? str_dup(a->r.arena, buf_view(&b)) : STR("");
}

void agent_string(struct agent_reader *a, struct node *n, void *out)
{
    *(struct str *)out =
        memchr(n->text.n ? n->text.p : "", '$', n->text.n) ? expand(a, n->text) : str_dup(a->r.arena, n->text);
}

void agent_bool(struct agent_reader *a, struct node *n, void *out)
{
    (void)a;
    *(bool *)out = n->truth;
}

void agent_node(struct agent_reader *a, struct node *n, void *out)
{
    (void)a;
    *(struct node **)out = n;
}

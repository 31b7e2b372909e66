/* agent_keys: the table-driven reading of the CloudWatch agent's JSON, in the words of its validator.
 *
 *   {"sd_frequency": 60}      sd_frequency: Invalid type. Expected: string, given: integer
 *   {"sd_frequncy": "1m"}     Additional property sd_frequncy is not allowed
 *   {"region": ""}            region: String length must be greater than or equal to 1
 *
 * Tables may nest: the keys of an inner object are read into the same struct. Values of the sections are kept by their
 * place, since what they mean is decided when all have been read, and a complaint then needs the file and line.
 *
 * A string may name environment variables as ${NAME}; one that is not set is empty. Limits apply to what is written,
 * since that is what the agent's schema sees. A dollar before anything else means itself: patterns end with one.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

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

const struct agent_key *agent_find_key(const struct agent_object *o, struct str key)
{
    for (size_t i = 0; i < o->n; i++)
        if (str_eq_c(key, o->keys[i].key))
            return &o->keys[i];
    return NULL;
}

static void other_key(struct agent_reader *a, struct node *n, const struct agent_object *o)
{
    if (o->others == OTHERS_REFUSED)
        reader_error_key(&a->r, n, NULL, ERR_SYNTAX, "Additional property %s is not allowed",
                         reader_quote(&a->r, n->key));
    else if (o->others == OTHERS_TOLD)
        reader_warn(&a->r, n, "%s has no effect: there is no such key", reader_quote(&a->r, n->key));
    if (o->read_other)
        o->read_other(a, n, NULL);
}

static void read_key(struct agent_reader *a, struct node *n, const struct agent_key *k, void *out)
{
    if (k->refused) {
        reader_error(&a->r, n, ERR_UNSUPPORTED, "%s: not supported by leadline: %s", k->key, k->refused);
        return;
    }
    if (!agent_is(a, n, k->type) || !is_within(a, n, k))
        return;
    if (k->read)
        k->read(a, n, (char *)out + k->offset);
    if (k->object)
        agent_read_object(a, n, k->object, out);
}

void agent_read_object(struct agent_reader *a, const struct node *n, const struct agent_object *o, void *out)
{
    for (struct node *c = n->first; c; c = c->next) {
        const struct agent_key *k = agent_find_key(o, c->key);
        if (o->merged)
            a->r.file = ((const struct agent_merged *)c)->file;
        if (k)
            read_key(a, c, k, out);
        else
            other_key(a, c, o);
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

void agent_place(struct agent_reader *a, struct node *n, void *out)
{
    *(struct agent_at *)out = (struct agent_at){n, a->r.file};
}

struct str agent_text(struct agent_reader *a, struct agent_at at, struct str otherwise)
{
    struct str s = otherwise;

    if (at.node)
        agent_string(a, at.node, &s);
    return s;
}

int64_t agent_number(struct agent_at at, int64_t otherwise)
{
    double v = 0;
    return at.node && node_double(at.node, &v) ? (int64_t)v : otherwise;
}

bool agent_truth(struct agent_at at, bool otherwise)
{
    return at.node ? at.node->truth : otherwise;
}

uint32_t agent_line(struct agent_at at)
{
    return at.node ? at.node->line : 0;
}

struct str agent_environment(struct agent_reader *a, const char *name)
{
    const char *value = a->o->getenv ? a->o->getenv(name) : NULL;
    return value ? str_dup(a->r.arena, str_c(value)) : STR("");
}

/* ---- messages with a place ---- */

void agent_error(struct agent_reader *a, struct agent_at at, enum err code, const char *fmt, ...)
{
    char text[512];
    const char *file = a->r.file;
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    a->r.file = at.file ? at.file : file;
    reader_error(&a->r, at.node, code, "%s", text);
    a->r.file = file;
}

void agent_warn(struct agent_reader *a, struct agent_at at, const char *fmt, ...)
{
    char text[512];
    const char *file = a->r.file;
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    a->r.file = at.file ? at.file : file;
    reader_warn(&a->r, at.node, "%s", text);
    a->r.file = file;
}

/* ---- arrays ---- */

bool agent_strings(struct agent_reader *a, const struct node *n, uint32_t max, uint32_t longest, struct str **out,
                   uint32_t *n_out)
{
    const struct agent_key item = {.key = "item", .type = AGENT_STRING, .min = 1, .max = longest};

    *n_out = 0;
    *out = NULL;
    if (!agent_is(a, n, AGENT_ARRAY))
        return false;
    if (n->n > max) {
        reader_error(&a->r, n, ERR_SYNTAX, "Array must have at most %u items", max);
        return false;
    }
    *out = ARENA_ARRAY(a->r.arena, struct str, n->n + 1);
    for (struct node *c = n->first; c; c = c->next) {
        if (!agent_is(a, c, AGENT_STRING) || (longest && !is_within(a, c, &item)))
            return false;
        agent_string(a, c, &(*out)[(*n_out)++]);
    }
    return true;
}

static int compare(const void *x, const void *y)
{
    return str_cmp(*(const struct str *)x, *(const struct str *)y);
}

uint32_t agent_sort_unique(struct str *v, uint32_t n)
{
    uint32_t kept = 0;

    if (n)
        qsort(v, n, sizeof(*v), compare);
    for (uint32_t i = 0; i < n; i++)
        if (kept == 0 || !str_eq(v[kept - 1], v[i]))
            v[kept++] = v[i];
    return kept;
}

struct printed {
    struct str text;
    const struct node *node;
    uint32_t index;
};

static int compare_printed(const void *x, const void *y)
{
    const struct printed *a = x, *b = y;
    int c = str_cmp(a->text, b->text);
    return c ? c : (a->index > b->index) - (a->index < b->index);
}

bool agent_distinct(struct agent_reader *a, const struct node *list)
{
    struct printed *v = ARENA_ARRAY(a->r.tree, struct printed, list->n + 1);
    uint32_t n = 0;

    for (const struct node *c = list->first; c; c = c->next, n++) {
        AUTO_BUF b = {0};
        tree_print_json(c, &b);
        v[n] = (struct printed){str_dup(a->r.tree, buf_view(&b)), c, n};
    }
    if (n)
        qsort(v, n, sizeof(*v), compare_printed);
    for (uint32_t i = 1; i < n; i++) {
        if (!str_eq(v[i - 1].text, v[i].text))
            continue;
        reader_error(&a->r, v[i].node, ERR_SYNTAX, "array items[%u,%u] must be unique", v[i - 1].index, v[i].index);
        return false;
    }
    return true;
}

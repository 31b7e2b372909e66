/* tree: reading YAML.
 *
 * libyaml turns the text into events, each with its mark; a stack of open sequences and mappings turns those into
 * nodes:
 *
 *     MAPPING-START      push a frame
 *       SCALAR "a"         no key waiting: becomes the key (with its position)
 *       SCALAR "1"         the key's value: a child of the frame's node
 *       SCALAR "<<"        a merge: what follows is copied into the mapping, entry by entry
 *       ALIAS *x           a copy of the anchored node's head; the children are shared
 *     MAPPING-END        make keys unique, pop, and put the node where its parent wants it
 *
 * Sharing makes ten lines of nested aliases cost ten nodes, but whoever walks the tree would meet all the billions that
 * they stand for; so every anchor knows what it weighs expanded, and the limits hold for the expanded document.
 *
 * Only the first document is read: what follows `---` or `...` after it is not looked at, as go-yaml's Unmarshal does.
 * A mapping with an alias to something that contains the alias itself is an error, so the tree is finite.
 *
 * Differences from go-yaml, knowingly: line numbers of errors are right; `!!binary` is refused; merging over or under
 * an entry of the same mapping is never an error (there it depends on the type that is decoded into).
 */
#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"
#include "wire/tree_int.h"

struct anchor {
    struct str name;
    struct node *node;
    struct tree_weight weight;
    bool open; /* its end has not been seen: an alias to it would contain itself */
};

struct frame {
    struct node *node, **tail;
    struct tree_weight weight;
    uint32_t anchor; /* MAP_NONE: none */
    bool have_key, key_is_merge;
    struct str key;
    uint32_t key_line, key_col;
};

struct reader {
    const char *name;
    struct arena *arena;
    struct diag *diag;
    struct frame frames[TREE_MAX_DEPTH];
    uint32_t depth;
    struct node *root;
    struct anchor *anchors;
    size_t n_anchors, cap_anchors;
    struct map by_name;
};

#define FAIL_AT(r, code, n, ...) diag_at((r)->diag, (code), (r)->name, (int)(n)->line, (int)(n)->col, __VA_ARGS__)

static struct node *new_node(struct reader *r, enum node_kind kind, const yaml_mark_t *mark)
{
    struct node *n = ARENA_NEW(r->arena, struct node);
    n->kind = kind;
    n->line = (uint32_t)mark->line + 1;
    n->col = (uint32_t)mark->column + 1;
    return n;
}

/* ---- anchors ---- */

struct anchor_search {
    const struct anchor *anchors;
    struct str name;
};

static bool anchor_eq(const void *ctx, uint32_t index)
{
    const struct anchor_search *s = ctx;
    return str_eq(s->anchors[index].name, s->name);
}

static uint32_t find_anchor(const struct reader *r, struct str name)
{
    struct anchor_search search = {r->anchors, name};
    return map_find(&r->by_name, hash_bytes(name), anchor_eq, &search);
}

static uint32_t add_anchor(struct reader *r, const yaml_char_t *name, struct node *n, struct tree_weight w, bool open)
{
    if (!name)
        return MAP_NONE;
    struct str key = str_dup(r->arena, str_c((const char *)name));
    uint32_t old = find_anchor(r, key), index = (uint32_t)r->n_anchors;
    r->anchors = mem_grow(r->anchors, &r->cap_anchors, r->n_anchors + 1, sizeof(*r->anchors));
    r->anchors[r->n_anchors++] = (struct anchor){.name = key, .node = n, .weight = w, .open = open};
    if (old == MAP_NONE)
        map_add(&r->by_name, hash_bytes(key), index);
    else
        map_replace(&r->by_name, hash_bytes(key), old, index);
    return index;
}

/* ---- putting nodes into their parents ---- */

static void append_child(struct frame *f, struct node *n)
{
    *f->tail = n;
    f->tail = &n->next;
    f->node->n++;
}

static void merge_entries(struct reader *r, struct frame *f, const struct node *from)
{
    for (const struct node *e = from->first; e; e = e->next) {
        struct node *copy = arena_memdup(r->arena, e, sizeof(*e));
        copy->next = NULL;
        copy->merged = true;
        append_child(f, copy);
    }
}

/* The earlier mappings of a list win; since of two entries the later stands, they are merged from the end. */
static enum err merge_list(struct reader *r, struct frame *f, const struct node *e)
{
    if (!e)
        return OK;
    enum err err = merge_list(r, f, e->next);
    if (err)
        return err;
    if (e->kind != NODE_MAPPING)
        return FAIL_AT(r, ERR_SYNTAX, e, "yaml: map merge requires map or sequence of maps as the value");
    merge_entries(r, f, e);
    return OK;
}

enum { MERGE_LIST_MAX = 1024 }; /* bounds the recursion above */

static enum err merge(struct reader *r, struct frame *f, const struct node *n)
{
    if (n->kind == NODE_MAPPING) {
        merge_entries(r, f, n);
        return OK;
    }
    if (n->kind == NODE_SEQUENCE && n->n <= MERGE_LIST_MAX)
        return merge_list(r, f, n->first);
    if (n->kind == NODE_SEQUENCE)
        return FAIL_AT(r, ERR_LIMIT, n, "yaml: more than %d maps in one merge", MERGE_LIST_MAX);
    return FAIL_AT(r, ERR_SYNTAX, n, "yaml: map merge requires map or sequence of maps as the value");
}

/* A finished node: the root, an item, a key, a key's value or what a merge brings. */
static enum err put(struct reader *r, struct node *n, struct tree_weight w, bool is_merge_key)
{
    if (r->depth == 0) {
        r->root = n;
        return OK;
    }
    struct frame *f = &r->frames[r->depth - 1];
    enum err err = tree_weight_add(&f->weight, w, r->diag, r->name, n->line, n->col);
    if (err)
        return err;
    if (f->node->kind == NODE_SEQUENCE) {
        append_child(f, n);
        return OK;
    }
    if (!f->have_key) {
        if (n->kind == NODE_MAPPING || n->kind == NODE_SEQUENCE)
            return FAIL_AT(r, ERR_SYNTAX, n, "yaml: invalid map key: a %s", node_kind_name(n->kind));
        f->key = n->kind == NODE_NULL ? STR("") : n->text;
        f->key_line = n->line;
        f->key_col = n->col;
        f->have_key = true;
        f->key_is_merge = is_merge_key;
        return OK;
    }
    f->have_key = false;
    if (f->key_is_merge)
        return merge(r, f, n);
    n->key = f->key;
    n->key_line = f->key_line;
    n->key_col = f->key_col;
    append_child(f, n);
    return OK;
}

/* ---- events ---- */

static const char core_tag[] = "tag:yaml.org,2002:";

static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* RFC 4648, section 4, with its padding; line ends are skipped. */
static bool decode_base64(struct str in, struct arena *a, struct str *out)
{
    char *bytes = arena_alloc(a, in.n / 4 * 3 + 4);
    size_t n = 0, pads = 0, digits = 0;
    uint32_t group = 0;
    for (size_t i = 0; i < in.n; i++) {
        if (in.p[i] == '\r' || in.p[i] == '\n')
            continue;
        int v = base64_value(in.p[i]);
        bool pad = in.p[i] == '=' && digits % 4 >= 2;
        if ((v < 0 && !pad) || (pads > 0 && (!pad || digits % 4 == 0)))
            return false;
        pads += pad;
        group = group << 6 | (pad ? 0 : (uint32_t)v);
        if (++digits % 4 != 0)
            continue;
        bytes[n++] = (char)(group >> 16);
        bytes[n++] = (char)(group >> 8);
        bytes[n++] = (char)group;
    }
    *out = str_from(bytes, n - pads);
    return digits % 4 == 0;
}

/* A scalar with a tag of the core schema must look like what the tag says. */
static enum err apply_tag(struct reader *r, struct node *n, const char *tag)
{
    if (strncmp(tag, core_tag, sizeof(core_tag) - 1) != 0) {
        n->quoted = true;
        return OK;
    }
    const char *what = tag + sizeof(core_tag) - 1;
    static const struct {
        const char *tag;
        enum node_kind kind;
    } tags[] = {{"null", NODE_NULL}, {"bool", NODE_BOOL}, {"int", NODE_NUMBER}, {"float", NODE_NUMBER}};
    for (size_t i = 0; i < COUNT_OF(tags); i++) {
        if (strcmp(what, tags[i].tag) != 0)
            continue;
        n->kind = tree_resolve(n->text, &n->truth);
        if (n->kind == tags[i].kind)
            return OK;
        return FAIL_AT(r, ERR_SYNTAX, n, "yaml: cannot decode `%.*s` as a !!%s", STR_ARGS(n->text), what);
    }
    if (strcmp(what, "binary") == 0 && !decode_base64(n->text, r->arena, &n->text))
        return FAIL_AT(r, ERR_SYNTAX, n, "yaml: !!binary value contains invalid base64 data");
    n->quoted = true;
    return OK;
}

static enum err on_scalar(struct reader *r, const yaml_event_t *e)
{
    struct str text = str_from((const char *)e->data.scalar.value, e->data.scalar.length);
    const char *tag = (const char *)e->data.scalar.tag;
    struct node *n = new_node(r, NODE_STRING, &e->start_mark);
    n->text = str_dup(r->arena, text);
    if (tag) {
        enum err err = apply_tag(r, n, tag);
        if (err)
            return err;
    } else if (e->data.scalar.plain_implicit) {
        n->kind = tree_resolve(n->text, &n->truth);
    } else {
        n->quoted = true;
    }
    struct tree_weight w = {.nodes = 1, .bytes = text.n};
    bool merge_tag = tag && strcmp(tag, "tag:yaml.org,2002:merge") == 0;
    bool is_merge = str_eq(text, STR("<<")) && (merge_tag || (!tag && e->data.scalar.plain_implicit));
    add_anchor(r, e->data.scalar.anchor, n, w, false);
    return put(r, n, w, is_merge);
}

static enum err on_alias(struct reader *r, const yaml_event_t *e)
{
    struct node *n = new_node(r, NODE_NULL, &e->start_mark);
    const char *name = (const char *)e->data.alias.anchor;
    uint32_t index = find_anchor(r, str_c(name));
    if (index == MAP_NONE)
        return FAIL_AT(r, ERR_SYNTAX, n, "yaml: unknown anchor '%s' referenced", name);
    const struct anchor *a = &r->anchors[index];
    if (a->open)
        return FAIL_AT(r, ERR_SYNTAX, n, "yaml: anchor '%s' value contains itself", name);
    if (r->depth + a->weight.height > TREE_MAX_DEPTH)
        return FAIL_AT(r, ERR_LIMIT, n, "yaml: nested more than %d deep", TREE_MAX_DEPTH);
    uint32_t line = n->line, col = n->col;
    *n = *a->node;
    n->next = NULL;
    n->merged = false;
    n->line = line;
    n->col = col;
    return put(r, n, a->weight, false);
}

static enum err on_open(struct reader *r, const yaml_event_t *e, enum node_kind kind, const yaml_char_t *anchor)
{
    struct node *n = new_node(r, kind, &e->start_mark);
    if (r->depth == TREE_MAX_DEPTH)
        return FAIL_AT(r, ERR_LIMIT, n, "yaml: nested more than %d deep", TREE_MAX_DEPTH);
    if (r->depth > 0) {
        const struct frame *parent = &r->frames[r->depth - 1];
        if (parent->node->kind == NODE_MAPPING && !parent->have_key)
            return FAIL_AT(r, ERR_SYNTAX, n, "yaml: invalid map key: a %s", node_kind_name(kind));
    }
    struct frame *f = &r->frames[r->depth++];
    *f = (struct frame){.node = n, .tail = &n->first, .weight = {.nodes = 1, .height = 1}};
    f->anchor = add_anchor(r, anchor, n, f->weight, true);
    return OK;
}

static enum err check_keys(struct reader *r, struct node *mapping)
{
    struct node *twice;
    tree_unique_keys(mapping, true, &twice);
    if (!twice)
        return OK;
    const struct node *before = mapping->first;
    while (before->merged || !str_eq(before->key, twice->key))
        before = before->next;
    return diag_at(r->diag, ERR_SYNTAX, r->name, (int)twice->key_line, (int)twice->key_col,
                   "yaml: key \"%.*s\" already set in map (first on line %u)", STR_ARGS(twice->key), before->key_line);
}

static enum err on_close(struct reader *r)
{
    struct frame *f = &r->frames[--r->depth];
    if (f->node->kind == NODE_MAPPING) {
        enum err err = check_keys(r, f->node);
        if (err)
            return err;
    }
    if (f->anchor != MAP_NONE) {
        r->anchors[f->anchor].open = false;
        r->anchors[f->anchor].weight = f->weight;
    }
    return put(r, f->node, f->weight, false);
}

/* ERR_EOF when the first document has ended. */
static enum err on_event(struct reader *r, const yaml_event_t *e)
{
    switch (e->type) {
    case YAML_SCALAR_EVENT:
        return on_scalar(r, e);
    case YAML_ALIAS_EVENT:
        return on_alias(r, e);
    case YAML_SEQUENCE_START_EVENT:
        return on_open(r, e, NODE_SEQUENCE, e->data.sequence_start.anchor);
    case YAML_MAPPING_START_EVENT:
        return on_open(r, e, NODE_MAPPING, e->data.mapping_start.anchor);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return on_close(r);
    case YAML_DOCUMENT_END_EVENT:
    case YAML_STREAM_END_EVENT:
        return ERR_EOF;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_DOCUMENT_START_EVENT:
        return OK;
    }
    return ERR_INTERNAL;
}

/* libyaml gives only an offset for bytes that it cannot decode. */
static void offset_position(struct str text, size_t offset, int *line, int *col)
{
    *line = *col = 1;
    for (size_t i = 0; i < offset && i < text.n; i++) {
        if (text.p[i] == '\n') {
            ++*line;
            *col = 1;
        } else if (((unsigned char)text.p[i] & 0xc0) != 0x80) {
            ++*col;
        }
    }
}

static enum err parser_failed(struct reader *r, const yaml_parser_t *p, struct str text)
{
    int line = (int)p->problem_mark.line + 1, col = (int)p->problem_mark.column + 1;
    if (p->error == YAML_MEMORY_ERROR)
        return diag_set(r->diag, ERR_INTERNAL, "yaml: out of memory");
    if (p->error == YAML_READER_ERROR)
        offset_position(text, p->problem_offset, &line, &col);
    return diag_at(r->diag, ERR_SYNTAX, r->name, line, col, "yaml: %s",
                   p->problem ? p->problem : "unknown problem parsing YAML content");
}

static enum err read_document(struct reader *r, struct str text)
{
    yaml_parser_t parser;
    yaml_event_t event;
    enum err err = OK;
    if (!yaml_parser_initialize(&parser))
        return diag_set(r->diag, ERR_INTERNAL, "yaml: out of memory");
    yaml_parser_set_input_string(&parser, (const unsigned char *)(text.p ? text.p : ""), text.n);
    while (err == OK) {
        if (!yaml_parser_parse(&parser, &event)) {
            err = parser_failed(r, &parser, text);
            break;
        }
        err = on_event(r, &event);
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    return err == ERR_EOF ? OK : err;
}

enum err tree_parse_yaml(struct str text, const char *name, struct arena *a, struct node **out, struct diag *d)
{
    struct reader *r = NEW(struct reader);
    r->name = name;
    r->arena = a;
    r->diag = d;
    *out = NULL;
    enum err err = read_document(r, text);
    const struct node *root = r->root;
    if (err == OK && root && !(root->kind == NODE_NULL && root->text.n == 0))
        *out = r->root;
    map_release(&r->by_name);
    free(r->anchors);
    free(r);
    return err;
}

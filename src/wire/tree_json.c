/* tree: reading JSON (RFC 8259).
 *
 * A cursor over the bytes and a stack of open arrays and objects; no recursion. The grammar is strict: no comments, no
 * trailing commas, no leading zeros, nothing after the value. Two things follow Go's encoding/json rather than the
 * strictest reading, since the files and answers read here were made for it: of a repeated key the last stands, and
 * bytes that are not UTF-8 as well as lone surrogates become U+FFFD. Error texts begin as that library's do; behind
 * them stand what was expected there and the key before it, since the missing comma that people look for is at that
 * key:
 *
 *   2:2: json: invalid character '"' after object key:value pair: expected ',' or '}' behind the value of "region"
 *
 * Positions count lines and characters from 1 and are counted behind the cursor, from the last place that was
 * asked for, so that the whole text is counted once.
 */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/quote.h"
#include "wire/tree_int.h"

struct frame {
    struct node *node, **tail;
    const struct node *last; /* of its children, the last one that is complete */
    struct tree_weight weight;
};

struct reader {
    const unsigned char *p, *end;
    const unsigned char *counted; /* the column has been counted up to here */
    uint32_t line, col;           /* of `counted` */
    const char *name;
    struct arena *arena;
    struct diag *diag;
    struct frame frames[TREE_MAX_DEPTH];
    uint32_t depth;
    struct str key; /* of the value that comes next */
    uint32_t key_line, key_col;
};

/* Moves the counted position to p. */
static void count_to(struct reader *r, const unsigned char *p)
{
    for (; r->counted < p; r->counted++) {
        if (*r->counted == '\n') {
            r->line++;
            r->col = 1;
        } else if ((*r->counted & 0xc0) != 0x80) {
            r->col++;
        }
    }
}

static enum err fail(struct reader *r, enum err code, const unsigned char *at, const char *text)
{
    count_to(r, at);
    return diag_at(r->diag, code, r->name, (int)r->line, (int)r->col, "json: %s", text);
}

enum { MAX_KEY_SHOWN = 64 };

/* The key of the member that was read last, or of what the open array or object stands under; empty when there is none.
 */
static struct str last_key(const struct reader *r)
{
    for (uint32_t i = r->depth; i > 0; i--) {
        const struct frame *f = &r->frames[i - 1];
        if (f->node->kind == NODE_MAPPING && f->last)
            return f->last->key;
        if (f->node->key.n)
            return f->node->key;
    }
    return STR("");
}

static enum err unexpected_for(struct reader *r, const char *where, const char *expected, struct str key)
{
    AUTO_BUF hint = {0};
    char what[32];

    if (expected)
        buf_printf(&hint, ": expected %s", expected);
    if (expected && key.n) {
        buf_c(&hint, " ");
        buf_quote(&hint, str_from(key.p, key.n < MAX_KEY_SHOWN ? key.n : MAX_KEY_SHOWN));
    }
    if (r->p == r->end)
        snprintf(what, sizeof(what), "unexpected end of JSON input");
    else if (*r->p >= ' ' && *r->p < 127)
        snprintf(what, sizeof(what), "invalid character '%c' ", *r->p);
    else
        snprintf(what, sizeof(what), "invalid byte 0x%02x ", *r->p);
    count_to(r, r->p);
    return diag_at(r->diag, ERR_SYNTAX, r->name, (int)r->line, (int)r->col, "json: %s%s%s", what,
                   r->p == r->end ? "" : where, hint.n ? hint.p : "");
}

static enum err unexpected(struct reader *r, const char *where)
{
    return unexpected_for(r, where, NULL, STR_NONE);
}

static void skip_space(struct reader *r)
{
    while (r->p < r->end && (*r->p == ' ' || *r->p == '\t' || *r->p == '\n' || *r->p == '\r'))
        r->p++;
}

/* ---- strings ---- */

static int hex4(const unsigned char *p, const unsigned char *end)
{
    int v = 0;
    if (end - p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int c = p[i], d = c >= '0' && c <= '9'                 ? c - '0'
                          : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                               : -1;
        if (d < 0)
            return -1;
        v = v << 4 | d;
    }
    return v;
}

static char *put_utf8(char *q, unsigned c)
{
    return q + str_put_utf8(q, c);
}

/* Length of the well-formed character at p, or 0. */
static int utf8_length(const unsigned char *p, const unsigned char *end)
{
    int n = *p < 0x80 ? 1 : *p < 0xc2 ? 0 : *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : *p < 0xf5 ? 4 : 0;
    return n && end - p >= n && str_is_utf8(str_from((const char *)p, (size_t)n)) ? n : 0;
}

/* The escape behind a backslash; NULL when it is none. */
static char *unescape(struct reader *r, char *q)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (r->p == r->end)
        return NULL;
    if (*r->p != 'u') {
        const char *e = *r->p ? strchr(from, *r->p) : NULL;
        if (!e)
            return NULL;
        r->p++;
        *q++ = to[e - from];
        return q;
    }
    int c = hex4(r->p + 1, r->end);
    if (c < 0)
        return NULL;
    r->p += 5;
    if (c < 0xd800 || c > 0xdfff)
        return put_utf8(q, (unsigned)c);
    int low = r->end - r->p >= 6 && r->p[0] == '\\' && r->p[1] == 'u' ? hex4(r->p + 2, r->end) : -1;
    if (c > 0xdbff || low < 0xdc00 || low > 0xdfff)
        return put_utf8(q, 0xfffd);
    r->p += 6;
    return put_utf8(q, 0x10000 + ((unsigned)(c - 0xd800) << 10) + (unsigned)(low - 0xdc00));
}

/* The closing quote, or the end of the input. */
static const unsigned char *string_end(const unsigned char *p, const unsigned char *end)
{
    while (p < end && *p != '"')
        p += *p == '\\' && end - p > 1 ? 2 : 1;
    return p;
}

/* The cursor stands behind the opening quote. */
static enum err read_string(struct reader *r, struct str *out)
{
    const unsigned char *close = string_end(r->p, r->end);
    /* A byte that is no UTF-8 grows to three; escapes only shrink. */
    size_t room = 0;
    for (const unsigned char *p = r->p; p < close; p++)
        room += *p < 0x80 ? 1 : 3;
    char *text = arena_alloc(r->arena, room + 1), *q = text;
    while (r->p < r->end && *r->p != '"') {
        if (*r->p < ' ')
            return unexpected(r, "in string literal");
        if (*r->p == '\\') {
            r->p++;
            if (!(q = unescape(r, q)))
                return unexpected(r, "in string escape code");
            continue;
        }
        int n = utf8_length(r->p, r->end);
        if (n == 0) {
            q = put_utf8(q, 0xfffd);
            r->p++;
            continue;
        }
        memcpy(q, r->p, (size_t)n);
        q += n;
        r->p += n;
    }
    if (r->p == r->end)
        return unexpected(r, "");
    r->p++;
    *q = '\0';
    *out = str_from(text, (size_t)(q - text));
    return OK;
}

/* ---- numbers and words ---- */

static bool skip_digits(struct reader *r)
{
    const unsigned char *start = r->p;
    while (r->p < r->end && *r->p >= '0' && *r->p <= '9')
        r->p++;
    return r->p > start;
}

static enum err read_number(struct reader *r, struct str *out)
{
    const unsigned char *start = r->p;
    if (*r->p == '-')
        r->p++;
    if (r->p < r->end && *r->p == '0')
        r->p++;
    else if (!skip_digits(r))
        return unexpected(r, "in numeric literal");
    if (r->p < r->end && *r->p == '.') {
        r->p++;
        if (!skip_digits(r))
            return unexpected(r, "after decimal point in numeric literal");
    }
    if (r->p < r->end && (*r->p | 32) == 'e') {
        r->p++;
        if (r->p < r->end && (*r->p == '+' || *r->p == '-'))
            r->p++;
        if (!skip_digits(r))
            return unexpected(r, "in exponent of numeric literal");
    }
    *out = str_dup(r->arena, str_from((const char *)start, (size_t)(r->p - start)));
    return OK;
}

static enum err read_word(struct reader *r, const char *word)
{
    for (const char *c = word; *c; c++, r->p++)
        if (r->p == r->end || *r->p != (unsigned char)*c)
            return unexpected(r, "in literal true, false or null");
    return OK;
}

/* ---- values ---- */

/* Where a value should begin. */
static enum err no_value(struct reader *r)
{
    const struct frame *f = r->depth > 0 ? &r->frames[r->depth - 1] : NULL;
    bool comment = r->p < r->end && (*r->p == '/' || *r->p == '#');
    bool closed = f && f->node->kind == NODE_SEQUENCE && r->p < r->end && *r->p == ']';
    const char *expected = comment  ? "a value (JSON has no comments)"
                           : closed ? "a value (no comma may stand at the end)"
                                    : "a value";
    struct str key = f && f->node->kind == NODE_MAPPING ? r->key : last_key(r);
    AUTO_BUF b = {0};

    buf_printf(&b, "%s%s", expected, key.n ? ", after" : "");
    return unexpected_for(r, "looking for beginning of value", b.p, key);
}

static enum err read_scalar(struct reader *r, struct node *n)
{
    switch (*r->p) {
    case '"':
        n->kind = NODE_STRING;
        n->quoted = true;
        r->p++;
        return read_string(r, &n->text);
    case 't':
        n->kind = NODE_BOOL;
        n->truth = true;
        n->text = STR("true");
        return read_word(r, "true");
    case 'f':
        n->kind = NODE_BOOL;
        n->text = STR("false");
        return read_word(r, "false");
    case 'n':
        n->kind = NODE_NULL;
        n->text = STR("null");
        return read_word(r, "null");
    default:
        if (*r->p != '-' && (*r->p < '0' || *r->p > '9'))
            return no_value(r);
        n->kind = NODE_NUMBER;
        return read_number(r, &n->text);
    }
}

/* Where a key should begin: behind '{', or behind a comma. */
static enum err no_key(struct reader *r)
{
    bool comment = r->p < r->end && (*r->p == '/' || *r->p == '#');
    bool behind_comma = r->frames[r->depth - 1].node->n > 0;
    bool closed = behind_comma && r->p < r->end && *r->p == '}';
    const char *expected = comment        ? "a key in double quotes (JSON has no comments)"
                           : closed       ? "a key behind the comma (no comma may stand at the end)"
                           : behind_comma ? "a key in double quotes behind the comma"
                                          : "a key in double quotes, or '}'";
    struct str key = last_key(r);
    AUTO_BUF b = {0};

    buf_printf(&b, "%s%s", expected, key.n ? ", after" : "");
    return unexpected_for(r, "looking for beginning of object key string", b.p, key);
}

/* Behind a member or an element, where only a comma or the end may stand. */
static enum err no_comma(struct reader *r, bool object)
{
    bool comment = r->p < r->end && (*r->p == '/' || *r->p == '#');
    struct str key = last_key(r);
    AUTO_BUF b = {0};

    buf_printf(&b, "',' or '%c'%s%s", object ? '}' : ']', comment ? " (JSON has no comments)" : "",
               !key.n   ? ""
               : object ? " behind the value of"
                        : " in the list of");
    return unexpected_for(r, object ? "after object key:value pair" : "after array element", b.p, key);
}

/* A key and its colon; the cursor stands at the quote. */
static enum err read_key(struct reader *r)
{
    if (r->p == r->end || *r->p != '"')
        return no_key(r);
    count_to(r, r->p);
    r->key_line = r->line;
    r->key_col = r->col;
    r->p++;
    enum err err = read_string(r, &r->key);
    if (err)
        return err;
    skip_space(r);
    if (r->p == r->end || *r->p != ':')
        return unexpected_for(r, "after object key", "':' behind", r->key);
    r->p++;
    return OK;
}

static enum err put(struct reader *r, struct node *n, struct tree_weight w)
{
    struct frame *f = &r->frames[r->depth - 1];
    enum err err = tree_weight_add(&f->weight, w, r->diag, r->name, n->line, n->col);
    *f->tail = n;
    f->tail = &n->next;
    f->last = n;
    f->node->n++;
    return err;
}

static enum err open_frame(struct reader *r, struct node *n)
{
    if (r->depth == TREE_MAX_DEPTH)
        return fail(r, ERR_LIMIT, r->p, "nested too deep");
    r->frames[r->depth++] = (struct frame){.node = n, .tail = &n->first, .weight = {.nodes = 1, .height = 1}};
    n->kind = *r->p == '{' ? NODE_MAPPING : NODE_SEQUENCE;
    r->p++;
    return OK;
}

/* The value at the cursor; an array or object is only opened. */
static enum err read_value(struct reader *r, struct node **out)
{
    skip_space(r);
    if (r->p == r->end)
        return no_value(r);
    count_to(r, r->p);
    struct node *n = ARENA_NEW(r->arena, struct node);
    n->line = r->line;
    n->col = r->col;
    if (r->depth > 0 && r->frames[r->depth - 1].node->kind == NODE_MAPPING) {
        n->key = r->key;
        n->key_line = r->key_line;
        n->key_col = r->key_col;
    }
    *out = n;
    if (*r->p == '{' || *r->p == '[')
        return open_frame(r, n);
    enum err err = read_scalar(r, n);
    if (err == OK && r->depth > 0)
        err = put(r, n, (struct tree_weight){.nodes = 1, .bytes = n->text.n + n->key.n});
    return err;
}

static enum err close_frame(struct reader *r)
{
    struct node *twice;
    struct frame f = r->frames[--r->depth];
    r->p++;
    if (f.node->kind == NODE_MAPPING)
        tree_unique_keys(f.node, false, &twice);
    f.weight.bytes += f.node->key.n;
    return r->depth > 0 ? put(r, f.node, f.weight) : OK;
}

/* One step inside an open array or object: its end, or its next member. */
static enum err step(struct reader *r)
{
    struct frame *f = &r->frames[r->depth - 1];
    bool object = f->node->kind == NODE_MAPPING;
    struct node *n;
    skip_space(r);
    if (r->p < r->end && *r->p == (object ? '}' : ']'))
        return close_frame(r);
    if (f->node->n > 0) {
        if (r->p == r->end || *r->p != ',')
            return no_comma(r, object);
        r->p++;
        skip_space(r);
    }
    if (object) {
        enum err err = read_key(r);
        if (err)
            return err;
    }
    return read_value(r, &n);
}

enum err tree_parse_json(struct str text, const char *name, struct arena *a, struct node **out, struct diag *d)
{
    const unsigned char *p = (const unsigned char *)(text.p ? text.p : "");
    struct reader r = {
        .p = p, .end = p + text.n, .counted = p, .line = 1, .col = 1, .name = name, .arena = a, .diag = d};
    struct node *root = NULL;
    *out = NULL;
    skip_space(&r);
    if (r.p == r.end)
        return OK;
    enum err err = read_value(&r, &root);
    while (err == OK && r.depth > 0)
        err = step(&r);
    if (err)
        return err;
    skip_space(&r);
    if (r.p < r.end)
        return unexpected(&r, "after top-level value");
    *out = root;
    return OK;
}

/* tree: writing trees.
 *
 * YAML comes out in block style, two blanks a level, so that a person can read it and any YAML 1.1 reader gets the same
 * tree: a string is written plain only where it is a simple word that would be resolved as a string, and in double
 * quotes with JSON's escapes (a subset of YAML's) everywhere else.
 *
 *     global:
 *       scrape_interval: 15s
 *     scrape_configs:
 *       - job_name: "a: b"
 *         static_configs: []
 *
 * JSON has fewer kinds of numbers than YAML: 0x10 and 1_000 are written in decimal, .inf and .nan as strings. The
 * nesting that the readers allow fits into the writer's depth.
 */
#include <math.h>
#include <string.h>

#include "base/num.h"
#include "base/quote.h"
#include "wire/json.h"
#include "wire/tree.h"

/* ---- YAML ---- */

static bool is_simple_word(struct str s)
{
    bool truth;
    if (s.n == 0 || tree_resolve(s, &truth) != NODE_STRING)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '/' || c == '$';
        bool inner = (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '+' || c == '(' || c == ')' || c == '^';
        /* a colon is plain inside a word, but not at its end */
        if (!letter && !(inner && (i > 0 || (c >= '0' && c <= '9'))) && !(c == ':' && i > 0 && i + 1 < s.n))
            return false;
    }
    return true;
}

/* Not what libyaml refuses to read raw (YAML 1.1, c-printable), nor what it reads as a line's end (U+0085) or skips. */
static bool is_raw_yaml(uint32_t rune)
{
    if (rune < 0xa0)
        return rune < 0x7f;
    return rune != 0xfeff && rune != 0xfffe && rune != 0xffff;
}

static void print_quoted(struct buf *out, struct str s)
{
    struct buf all = {0};
    json_escape(&all, s);
    struct str quoted = buf_view(&all);
    for (size_t i = 0, n; i < quoted.n; i += n) {
        uint32_t rune = 0;
        n = quote_rune(quoted, i, &rune);
        CHECK(n > 0); /* json_escape writes nothing but UTF-8 */
        if (is_raw_yaml(rune))
            buf_append(out, quoted.p + i, n);
        else
            buf_printf(out, "\\u%04x", rune);
    }
    buf_release(&all);
}

static void print_word(struct buf *out, struct str s)
{
    if (is_simple_word(s))
        buf_str(out, s);
    else
        print_quoted(out, s);
}

static void indent(struct buf *out, int depth)
{
    for (int i = 0; i < depth; i++)
        buf_c(out, "  ");
}

enum { SIMPLE_KEY_MAX = 1000 }; /* a reader looks for the colon of a simple key within 1024 characters */

static void print_key(struct buf *out, struct str key, int depth)
{
    size_t start = out->n;
    struct buf word = {0};
    print_word(&word, key);
    if (word.n > SIMPLE_KEY_MAX)
        buf_c(out, "? ");
    buf_str(out, buf_view(&word));
    if (out->n - start > SIMPLE_KEY_MAX) {
        buf_char(out, '\n');
        indent(out, depth);
    }
    buf_char(out, ':');
    buf_release(&word);
}

static void print_scalar(const struct node *n, struct buf *out)
{
    bool truth;
    switch (n->kind) {
    case NODE_NULL:
        buf_c(out, "null");
        return;
    case NODE_BOOL:
        buf_c(out, n->truth ? "true" : "false");
        return;
    case NODE_NUMBER: /* one of JSON's that YAML does not take for a number is a word here: 1e999 */
        if (tree_resolve(n->text, &truth) == NODE_NUMBER)
            buf_str(out, n->text);
        else
            print_word(out, n->text);
        return;
    case NODE_STRING:
        print_word(out, n->text);
        return;
    case NODE_SEQUENCE:
        buf_c(out, "[]");
        return;
    case NODE_MAPPING:
        buf_c(out, "{}");
        return;
    }
}

static bool has_children(const struct node *n)
{
    return (n->kind == NODE_SEQUENCE || n->kind == NODE_MAPPING) && n->first;
}

/* The children of n, each on its line; the first one's indent is already there when `started`. */
static void print_block(const struct node *n, int depth, bool started, struct buf *out)
{
    for (const struct node *e = n->first; e; e = e->next) {
        if (!started)
            indent(out, depth);
        started = false;
        if (n->kind == NODE_SEQUENCE) {
            buf_c(out, "- ");
        } else {
            print_key(out, e->key, depth);
        }
        if (has_children(e) && n->kind == NODE_SEQUENCE) {
            print_block(e, depth + 1, true, out);
        } else if (has_children(e)) {
            buf_char(out, '\n');
            print_block(e, depth + 1, false, out);
        } else {
            if (n->kind == NODE_MAPPING)
                buf_char(out, ' ');
            print_scalar(e, out);
            buf_char(out, '\n');
        }
    }
}

void tree_print_yaml(const struct node *n, struct buf *out)
{
    if (!n)
        return;
    if (has_children(n)) {
        print_block(n, 0, false, out);
        return;
    }
    print_scalar(n, out);
    buf_char(out, '\n');
}

/* ---- JSON ---- */

/* The grammar of RFC 8259, section 6, as far as what the readers call a number can fall short of it. */
static bool is_json_number(struct str s)
{
    size_t i = s.n > 0 && s.p[0] == '-';
    if (i == s.n || s.p[i] < '0' || s.p[i] > '9' || (s.p[i] == '0' && i + 1 < s.n && s.p[i + 1] != '.'))
        return false;
    for (; i < s.n; i++) {
        bool digit = s.p[i] >= '0' && s.p[i] <= '9';
        bool next_is_digit = i + 1 < s.n && s.p[i + 1] >= '0' && s.p[i + 1] <= '9';
        if (!digit && !(s.p[i] == '.' && next_is_digit))
            return false;
    }
    return true;
}

static void json_number(struct json *j, const struct node *n)
{
    int64_t i;
    uint64_t u;
    double f;
    if (is_json_number(n->text)) {
        json_raw(j, n->text);
        return;
    }
    if (!node_double(n, &f)) {
        json_str(j, n->text);
        return;
    }
    if (f == floor(f) && node_i64(n, &i) && (double)i == f)
        json_i64(j, i);
    else if (f == floor(f) && node_u64(n, &u) && (double)u == f)
        json_u64(j, u);
    else
        json_double(j, f);
}

static void json_node(struct json *j, const struct node *n)
{
    switch (n->kind) {
    case NODE_NULL:
        json_c(j, NULL);
        return;
    case NODE_BOOL:
        json_bool(j, n->truth);
        return;
    case NODE_NUMBER:
        json_number(j, n);
        return;
    case NODE_STRING:
        json_str(j, n->text);
        return;
    case NODE_SEQUENCE:
        json_array(j);
        for (const struct node *e = n->first; e; e = e->next)
            json_node(j, e);
        json_array_end(j);
        return;
    case NODE_MAPPING:
        json_object(j);
        for (const struct node *e = n->first; e; e = e->next) {
            json_key(j, e->key);
            json_node(j, e);
        }
        json_object_end(j);
        return;
    }
}

void tree_print_json(const struct node *n, struct buf *out)
{
    struct json j = json_to(out);
    if (n)
        json_node(&j, n);
    else
        json_c(&j, NULL);
}

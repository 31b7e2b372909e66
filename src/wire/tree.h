/* tree: what a YAML or JSON text says, as a tree of nodes that remember where they stood.
 *
 * Everything lives in the caller's arena and is immutable afterwards: an alias shares the children of its anchor.
 * The readers are limited in depth, nodes and bytes (alias expansion included).
 *
 * YAML is read as go-yaml v2 reads it for Prometheus: the first document only; a repeated key is an error; `<<` merges
 * in place, and of a merged and another entry of one key the later stands; what type a plain scalar has follows
 * YAML 1.1 as that library resolves it (yes, on, 0x1f, 1_000, .inf; dates stay strings).
 * JSON is RFC 8259; of a repeated key the last stands and invalid UTF-8 becomes U+FFFD, both as in Go's encoding/json.
 */
#ifndef WIRE_TREE_H
#define WIRE_TREE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

#define TREE_MAX_DEPTH 60 /* what json.h writes */
#define TREE_MAX_NODES (1u << 20)
#define TREE_MAX_BYTES (64u << 20) /* of scalars and keys, aliases expanded */

enum node_kind { NODE_NULL, NODE_BOOL, NODE_NUMBER, NODE_STRING, NODE_SEQUENCE, NODE_MAPPING };

struct node {
    enum node_kind kind;
    bool quoted;        /* a YAML scalar in quotes, as a block or with !!str: never null, bool or number */
    bool truth;         /* NODE_BOOL */
    bool merged;        /* an entry of a mapping that came through `<<` */
    uint32_t line, col; /* from 1; of an alias, where it is used */
    struct str text;    /* scalars: as written, unescaped */
    struct node *first; /* SEQUENCE, MAPPING: children in order */
    struct node *next;  /* sibling */
    struct str key;     /* in a mapping */
    uint32_t key_line, key_col;
    uint32_t n; /* children */
};

/* *out is NULL for an empty document. `name` is the file's name for the diag. */
enum err tree_parse_yaml(struct str text, const char *name, struct arena *a, struct node **out,
                         struct diag *d) MUST_USE;
/* Strict JSON (RFC 8259), with positions. */
enum err tree_parse_json(struct str text, const char *name, struct arena *a, struct node **out,
                         struct diag *d) MUST_USE;

struct node *node_find(const struct node *mapping, const char *key); /* NULL when absent */
/* A member of that kind; NULL when there is none, or one of another kind. */
struct node *node_member(const struct node *mapping, const char *key, enum node_kind kind);
struct str node_text(const struct node *mapping, const char *key); /* of a member that is a string; else empty */
const char *node_kind_name(enum node_kind kind);                   /* "mapping", "string", ... */

/* What a plain YAML scalar is: NODE_NULL, NODE_BOOL (*truth tells), NODE_NUMBER or NODE_STRING. */
enum node_kind tree_resolve(struct str text, bool *truth);
/* The value of a NODE_NUMBER. False when it is none, or does not fit; a fraction is cut off towards zero by the integer
 * ones, as go-yaml does. */
bool node_i64(const struct node *n, int64_t *out);
bool node_u64(const struct node *n, uint64_t *out);
bool node_double(const struct node *n, double *out);

/* Writes the tree back as YAML (block style, keys in order) or as JSON. NULL is an empty document, or null. */
struct buf;
void tree_print_yaml(const struct node *n, struct buf *out);
void tree_print_json(const struct node *n, struct buf *out);

#endif

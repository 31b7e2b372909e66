/* label: label sets, and the builder in which they are changed.
 *
 * A `struct labels` is a borrowed, immutable view: sorted by name (bytewise), names unique. An empty value means two
 * things, said where it matters: in a scope it does not occur; in a metric it hides the scope's label of that name.
 */
#ifndef MODEL_LABEL_H
#define MODEL_LABEL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"

#define LABEL_NAME STR("__name__")

struct label {
    struct str name, value;
};

struct labels {
    const struct label *v;
    uint32_t n;
};

/* The value, or the empty view when absent. */
struct str labels_get(struct labels l, struct str name);
bool labels_has(struct labels l, struct str name);
bool labels_eq(struct labels a, struct labels b);
int labels_cmp(struct labels a, struct labels b);
/* Prometheus' Labels.Hash() of the slice build: XXH64 over name 0xff value 0xff. */
uint64_t labels_hash(struct labels l);
struct labels labels_copy(struct labels l, struct arena *a); /* deep */
/* {__name__="up", job="x"} sorted, values quoted as Go's %q. */
void labels_print(struct labels l, struct buf *out);
/* Classic names: [a-zA-Z_][a-zA-Z0-9_]*, metric names with ':' too. */
bool label_name_is_legacy(struct str name);
bool metric_name_is_legacy(struct str name);


/* ---- the builder ----
 *
 * Small and linear: label sets have tens of labels. Each entry knows whether its value is still the scope's own; a map
 * (relabelling) that reads such a value depends on the scope and not only on its names, and the builder notes it.
 *
 * It also knows in which order labels were set, since that decides which of two labels wins when a labelmap gives both
 * the same name: Prometheus visits the base labels by name, then those set afterwards in the order of their setting.
 */
struct labels_entry {
    struct str name, value;
    bool from_scope;
    uint32_t order; /* 0: of the base; else from 1, in the order of first setting */
};

struct labels_builder {
    struct labels_entry *v; /* sorted by name */
    uint32_t n, cap;
    uint32_t last_order;
    bool begun;             /* the base is there, be it empty */
    struct arena *arena;    /* entries and changed values; names and values given in are borrowed */
    bool read_scope;        /* a scope label's value was read */
};

void labels_builder_init(struct labels_builder *b, struct arena *a); /* empty; the arena may hold other things too */
/* On top of what is there. The first call on a new builder gives its base. Empty values delete. */
void labels_builder_set_all(struct labels_builder *b, struct labels l, bool from_scope);
/* The entry as it is, without noting anything, or NULL. */
const struct labels_entry *labels_builder_find(const struct labels_builder *b, struct str name);
/* Reads as relabelling does: absent is empty; notes read_scope. */
struct str labels_builder_get(struct labels_builder *b, struct str name);
bool labels_builder_has(const struct labels_builder *b, struct str name);
/* An empty value deletes. Borrowed: the caller keeps the bytes as long as the arena lives. */
void labels_builder_set(struct labels_builder *b, struct str name, struct str value);
void labels_builder_del(struct labels_builder *b, struct str name);
/* The result without empty values, in the builder's arena. */
struct labels labels_builder_labels(struct labels_builder *b);

#endif

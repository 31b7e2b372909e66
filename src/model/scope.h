/* scope: who is speaking. The label set shared by everything one source yields (design: ARCHITECTURE.md, "A series is a
 * scope and a metric"). Pool memory of one worker: counted references, no locks.
 *
 * A scope never holds __name__ nor an empty value. Its *name set* (the sorted label names) is numbered, since the
 * shape of a metric beside a scope depends on the names alone.
 */
#ifndef MODEL_SCOPE_H
#define MODEL_SCOPE_H

#include <stdint.h>

#include "model/label.h"

#define SCOPE_SLOTS 32 /* one per sink of a worker; config refuses more sinks */

struct scope {
    uint32_t refs;
    uint32_t names;        /* number of its name set in this table */
    uint64_t hash;         /* labels_hash of labels */
    struct labels labels;  /* owned by the scope */
    void *forms[SCOPE_SLOTS]; /* a sink's prepared form, or NULL; freed through form_free when the scope goes */
};

struct scope_table; /* one per worker */

struct scope_table *scope_table_new(void);
void scope_table_free(struct scope_table *t);
/* The scope of these labels (deduplicated), with a reference for the caller. */
struct scope *scope_get(struct scope_table *t, struct labels labels);
struct scope *scope_ref(struct scope *s);
void scope_unref(struct scope_table *t, struct scope *s);
/* How a sink's forms are freed; slot < SCOPE_SLOTS. fn NULL: the slot is free again, its forms are freed first. */
void scope_table_slot(struct scope_table *t, int slot, void (*fn)(void *ctx, void *form), void *ctx);
uint32_t scope_count(const struct scope_table *t);

#endif

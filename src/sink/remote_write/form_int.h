/* form: prepared forms of label sets, of remote write 1.0 and 2.0. See form.c for the idea and the layout. */
#ifndef SINK_FORM_INT_H
#define SINK_FORM_INT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/slab.h"
#include "model/batch.h"
#include "plan/relabel_rules.h"
#include "sink/remote_write/symbols_int.h"

enum form_kind {
    FORM_SERIES,
    FORM_COMPACT,    /* the metric's labels are read where they are interned */
    FORM_DROPPED,    /* write_relabel_configs drop it */
    FORM_UNSENDABLE, /* its labels are larger than any request */
    FORM_SCOPED,     /* by metric only: the rules read a scope's value, look in the table of pairs */
};

enum {
    FORM_SHARED_BY = 4, /* references to a metric from which on it is worth a form with bytes */
    FORM_NO_NAME = UINT16_MAX,
};

/* Copy `bytes` of the metric's, pass over `skip` labels of the scope's form, copy `take` of them. FORM_COMPACT: pass
 * over `pass` labels of the metric first, and write `own` of them instead. */
struct form_op {
    union {
        uint16_t bytes;
        struct {
            uint8_t pass, own;
        };
    };
    uint8_t skip, take;
};

struct form {
    uint32_t names; /* the scope's name set that it is for; 0: it is one pair's */
    uint32_t
        bytes; /* of the metric's own, in a message at most; FORM_SCOPED: the first pair of this metric; FORM_COMPACT:
                * which of the metric's labels is the name that has no entry in its table, or FORM_NO_NAME */
    uint16_t n_ops;
    uint16_t kind;
    struct form_op ops[]; /* FORM_SERIES: the metric's bytes follow */
};

/* The scope's labels and the external labels that are absent from it, each as the label entry of a TimeSeries; 2.0: as
 * two symbols. */
struct scope_form {
    uint32_t n;          /* entries */
    uint32_t bytes;      /* in a message, at most */
    uint32_t first_pair; /* of this scope, in the table of pairs */
    uint32_t *offsets;   /* n + 1, into encoded */
    const uint8_t *encoded;
};

/* A form without bytes, for all metrics that it fits. */
struct form_shared {
    struct form *form; /* NULL: this number is free, and refs links the free ones */
    uint32_t refs;
};

struct form_pair {
    uint32_t metric;
    uint32_t form; /* slab handle; 0: this index is free, and next_metric links the free ones */
    struct scope_form *scope;
    uint32_t next_metric, prev_metric, next_scope, prev_scope; /* 0: none */
};

struct forms {
    struct intern *intern;
    struct scope_table *scopes;
    int slot;
    struct symbols *symbols;           /* NULL: forms are bytes of 1.0; else pairs of symbols of these */
    struct labels externals;           /* borrowed from the plan, as the rules */
    const struct relabel_rules *rules; /* NULL: none */

    uint32_t *by_metric; /* slab handles, or below SLAB_FIRST numbers of shared forms; SLAB_NONE: not made yet */
    size_t n_metrics;
    struct slab slab;
    struct form_shared *shared; /* from 1 */
    size_t n_shared, cap_shared, shared_bytes;
    uint32_t free_shared;
    struct map by_shape;
    struct form_pair *pairs; /* from 1 */
    size_t n_pairs, cap_pairs;
    uint32_t free_pair, live_pairs;
    uint32_t max_pairs;
    struct map by_pair;
    struct arena scratch; /* of one compilation, and of a form that is not kept */
    bool swept;
    size_t scope_bytes;
};

/* Takes the scopes' slot and listens to sweeps. Forms are those of 1.0. */
void forms_init(struct forms *f, struct intern *in, struct scope_table *scopes, int slot, struct labels externals,
                const struct relabel_rules *rules);
void forms_release(struct forms *f);
/* Other external labels, rules or protocol: every form is forgotten and made again when it is needed; of the symbols
 * none is left. */
void forms_reset(struct forms *f, struct labels externals, const struct relabel_rules *rules, struct symbols *symbols);
/* The same labels and rules at another address. */
void forms_rebase(struct forms *f, struct labels externals, const struct relabel_rules *rules);
/* Before each batch: by_metric covers every id, and what a sweep left behind is compacted. */
void forms_prepare(struct forms *f);

struct scope_form *forms_scope(struct forms *f, struct scope *s);
/* The form of this pair, made when there is none; never FORM_SCOPED. Valid until the next call of any function here. */
const struct form *forms_find(struct forms *f, const struct intern_view *view, uint32_t metric, struct scope *s);
/* The same with bytes whatever the references are; never FORM_COMPACT. */
const struct form *forms_find_encoded(struct forms *f, const struct intern_view *view, uint32_t metric,
                                      struct scope *s);
size_t forms_bytes(const struct forms *f);

/* form_share.c: the number of this form, which has no bytes; 0: there is none left. */
uint32_t forms_share(struct forms *f, const struct form *made);
void forms_unshare(struct forms *f, uint32_t number);
void forms_unshare_all(struct forms *f);

/* The form by metric alone: right for this scope if its names are the scope's. NULL: none. */
static inline const struct form *forms_quick(const struct forms *f, uint32_t metric)
{
    uint32_t handle = f->by_metric[metric];
    if (LIKELY(handle >= SLAB_FIRST))
        return slab_get(&f->slab, handle);
    return handle == SLAB_NONE ? NULL : f->shared[handle].form;
}

/* 2.0: the metric's own labels, two symbols each. */
static inline const uint32_t *form_symbols(const struct form *f)
{
    return (const uint32_t *)(const void *)(f->ops + f->n_ops);
}

static inline const uint8_t *form_encoded(const struct form *f)
{
    return (const uint8_t *)(f->ops + f->n_ops);
}

#endif

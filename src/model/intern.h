/* intern: the metrics that a worker knows, each once, however many sources yield it.
 *
 * Identity: (raw bytes of the exposition up to the value, context). The context is a number given by the source: it
 * stands for everything else that decides a metric's shape (TYPE in force where it matters, the map's rules, the
 * scope's name set, or one scope where the map read a scope label's value).
 *
 * What is kept per metric, so that a series that nobody shares costs little:
 *
 *   struct metric (dense array, by id)     blob in a slab
 *   +-----------------------------------+  +------------------+----------------------+-----------------------------+
 *   | blob | blob_n | raw_n | refs      |->| raw bytes        | bytes not in raw     | label table, unaligned:     |
 *   | context | n_labels | flags        |  | go_goroutines{..}| relabelled values    | name off,n value off,n each |
 *   +-----------------------------------+  +------------------+----------------------+-----------------------------+
 *
 * An entry of the table takes 4 bytes while raw and the bytes beside it are fewer than 256, 8 below 64 KiB, else 16. A
 * metric name that starts raw has no entry, only its length, in front of the table. Labels are the metric's own after
 * the map: sorted, __name__ included, an empty value hides the scope's label.
 *
 * - ids are stable while referenced; blobs move at a sweep: never keep a pointer or view across intern_sweep;
 * - a target's array holds one reference per position;
 * - sinks keep arrays of their own by id and are told when an id is swept;
 * - one worker, one thread.
 */
#ifndef MODEL_INTERN_H
#define MODEL_INTERN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slab.h"
#include "model/label.h"

#define METRIC_NONE UINT32_MAX

/* What intern_add takes; beyond it the source refuses the exposition. */
#define INTERN_RAW_MAX (16u << 20)
#define INTERN_LABELS_MAX 65535u
#define INTERN_BLOB_MAX (64u << 20)

enum metric_flags {
    METRIC_DROPPED = 1,   /* the map dropped it: counted as scraped, never delivered */
    METRIC_SCOPED = 2,    /* the map read a scope's value: look the raw bytes up again under the scope's own context */
    METRIC_COMMENT = 4,   /* a block of comment lines of the exposition, kept for prediction; has no labels */
    METRIC_WIDE = 8,      /* internal: 16-byte label table */
    METRIC_USER1 = 16,    /* for the source that added it */
    METRIC_USER2 = 32,
    METRIC_TINY = 64,     /* internal: 4-byte label table */
    METRIC_NAMED = 128,   /* internal: raw starts with the value of __name__, which has no entry in the table */
    METRIC_LIVE = 256,    /* internal: this id is in use; a free id is all zero */
};

struct metric {
    uint32_t blob;     /* slab handle; SLAB_NONE: no bytes at all */
    uint32_t blob_n;
    uint32_t raw_n;
    uint32_t refs;
    uint32_t context;
    uint16_t n_labels; /* __name__ included */
    uint16_t flags;
};

struct intern;

struct intern *intern_new(void);
void intern_free(struct intern *in);

/* hash = intern_hash(raw). */
uint64_t intern_hash(struct str raw);
/* The id, or METRIC_NONE. Raw bytes and context are compared, not only the hash. */
uint32_t intern_find(const struct intern *in, uint64_t hash, struct str raw, uint32_t context);
/* Copies raw and labels; the new metric has no reference yet, and lives until the next sweep at least. The caller knows
 * that it is absent (intern_find). METRIC_NONE when a limit above is exceeded. Names and values that lie in raw, or are
 * equal to bytes of it, cost nothing beyond their table entry. Views and pointers taken before are invalid
 * afterwards. */
uint32_t intern_add(struct intern *in, uint64_t hash, struct str raw, uint32_t context, struct labels labels,
                    uint16_t flags);

/* Hot path: loads and stores only. */
struct intern_view {
    struct metric *metrics; /* by id; valid until the next intern_add or intern_sweep: take the view again then */
    const struct slab *slab;
    uint32_t *unreferenced; /* how many metrics have no reference */
};
struct intern_view intern_view(struct intern *in);
static inline const struct metric *intern_get(const struct intern_view *v, uint32_t id)
{
    return &v->metrics[id];
}
static inline struct str intern_raw(const struct intern_view *v, uint32_t id)
{
    const struct metric *m = &v->metrics[id];

    return m->raw_n ? str_from((const char *)slab_get(v->slab, m->blob), m->raw_n) : STR_NONE;
}
/* The metric's labels as an array in `a`; names and values point into the blob (valid until the next sweep or add). */
struct labels intern_labels(const struct intern_view *v, uint32_t id, struct arena *a);

/* The labels as they lie in the blob, for a reader that takes an array for each sample as too dear. Sorted; __name__
 * stands where it belongs by its order, without an entry, when name_n is not 0. Valid until the next sweep or add. */
struct intern_table {
    const uint8_t *blob;
    const uint8_t *entries; /* four numbers of `width` bytes each: name offset and length, value offset and length */
    uint32_t width;         /* 1, 2 or 4; in the order of the machine */
    uint32_t name_n;        /* the first bytes of the blob are the metric's name */
};
static inline uint32_t intern_table_number(const uint8_t *p, uint32_t width)
{
    uint16_t two;
    uint32_t four;

    if (width == 1)
        return *p;
    if (width == 2) {
        __builtin_memcpy(&two, p, sizeof(two));
        return two;
    }
    __builtin_memcpy(&four, p, sizeof(four));
    return four;
}
/* m has labels. */
static inline struct intern_table intern_table(const struct intern_view *v, const struct metric *m)
{
    struct intern_table t = {.blob = (const uint8_t *)slab_get(v->slab, m->blob)};
    uint32_t named = (m->flags & METRIC_NAMED) != 0;

    t.width = m->flags & METRIC_TINY ? 1 : m->flags & METRIC_WIDE ? 4 : 2;
    t.entries = t.blob + m->blob_n - (size_t)(m->n_labels - named) * 4 * t.width;
    if (named)
        t.name_n = intern_table_number(t.entries - t.width, t.width);
    return t;
}

static inline void intern_ref(const struct intern_view *v, uint32_t id)
{
    *v->unreferenced -= v->metrics[id].refs++ == 0;
}
static inline void intern_unref(const struct intern_view *v, uint32_t id)
{
    *v->unreferenced += --v->metrics[id].refs == 0;
}

/* Frees every metric without a reference, tells the listeners of each, then compacts: blobs move, the arrays and the
 * map shrink to what is left. Call it between scrapes, when intern_wants_sweep says so (more than a quarter of the
 * metrics, and at least 1024, have no reference), and now and then (minutes) while intern_unreferenced is not 0, for
 * the small remains. Cost is linear in the metrics. */
bool intern_wants_sweep(const struct intern *in);
void intern_sweep(struct intern *in);
/* fn is called in intern_sweep, once for each id, while its metric can still be read; it may not call intern_add. Ids
 * at or above intern_top after a sweep are free: arrays by id may be cut there. */
typedef void(intern_swept_fn)(void *ctx, uint32_t id);
void intern_listen(struct intern *in, intern_swept_fn *fn, void *ctx);
void intern_unlisten(struct intern *in, intern_swept_fn *fn, void *ctx);

uint32_t intern_top(const struct intern *in);   /* ids in use are below this */
uint32_t intern_count(const struct intern *in); /* live metrics */
uint32_t intern_unreferenced(const struct intern *in);
size_t intern_bytes(const struct intern *in);   /* everything this table holds */

/* A worker-wide scratch array, one 32-bit stamp per metric, for staleness: stamps[id] == generation means seen. A new
 * generation at each call, in which no metric is seen yet; the array is valid until the next intern_add or sweep (take
 * it when the scrape's metrics are all known). It costs 4 bytes a metric from the first call on. */
uint32_t *intern_stamps(struct intern *in, uint32_t *generation);

#endif

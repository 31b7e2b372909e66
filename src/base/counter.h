/* counter: how every layer counts what it does.
 *
 * A cell has exactly one writing thread, which adds with a plain load and store (no locked instruction); any thread may
 * read it. Several cells of one name and label set (one per worker) are summed when shown. Cells are registered in a
 * process-wide set that cmd/ makes and hands down; registering and releasing take a mutex, counting does not.
 */
#ifndef BASE_COUNTER_H
#define BASE_COUNTER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

struct counter {
    _Atomic uint64_t v;
};

static inline void counter_add(struct counter *c, uint64_t n)
{
    atomic_store_explicit(&c->v, atomic_load_explicit(&c->v, memory_order_relaxed) + n, memory_order_relaxed);
}

static inline void counter_inc(struct counter *c)
{
    counter_add(c, 1);
}

static inline void counter_set(struct counter *c, uint64_t v) /* gauges; COUNTER_GAUGE_F64 stores the bits */
{
    atomic_store_explicit(&c->v, v, memory_order_relaxed);
}

static inline uint64_t counter_get(const struct counter *c)
{
    return atomic_load_explicit(&((struct counter *)c)->v, memory_order_relaxed);
}

void counter_set_f64(struct counter *c, double v);

enum counter_kind {
    COUNTER_TOTAL,    /* shown as TYPE counter */
    COUNTER_NS_TOTAL, /* counter kept in nanoseconds, shown in seconds */
    COUNTER_GAUGE,    /* an int64, may be negative; cells are summed */
    COUNTER_GAUGE_F64,
    COUNTER_GAUGE_MAX, /* an int64 of which the largest cell is shown: the newest timestamp of any worker */
};

struct counter_label {
    struct str name, value;
};

struct counters; /* the set */

struct counters *counters_new(void);
void counters_free(struct counters *set);

/* A new zero cell. `name` and `help` are static strings (Prometheus naming, `_total` included); labels are copied and
 * may be empty. The cell stays valid until counter_release or counters_free. A NULL set gives a private cell. */
struct counter *counter_new(struct counters *set, enum counter_kind kind, const char *name, const char *help,
                            const struct counter_label *labels, int n_labels);
void counter_release(struct counters *set, struct counter *c);

/* A histogram with fixed upper bounds (ascending, without +Inf); same rules as cells. */
struct counter_histogram;
struct counter_histogram *counter_histogram_new(struct counters *set, const char *name, const char *help,
                                                const double *bounds, int n_bounds, const struct counter_label *labels,
                                                int n_labels);
void counter_histogram_observe(struct counter_histogram *h, double v);
void counter_histogram_release(struct counters *set, struct counter_histogram *h);

/* The whole set as text exposition 0.0.4: families sorted by name, HELP and TYPE once, equal cells summed. */
struct buf;
void counters_print(struct counters *set, struct buf *out);
/* The sum of all cells of this name whose labels include `labels`; for status pages and tests. */
double counters_sum(struct counters *set, const char *name, const struct counter_label *labels, int n_labels);

#endif

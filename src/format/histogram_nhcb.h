/* histogram_nhcb: classic histograms made into native ones with custom buckets (convert_classic_histograms_to_nhcb).
 *
 * Two halves. `struct nhcb` is the arithmetic: cumulative buckets, count and sum in, a struct histogram out, as
 * Prometheus 3.15's util/convertnhcb. `struct nhcb_stage` is what its NHCBParser does around a line-based parser (text,
 * OpenMetrics; the protobuf cursor has it built in): series of one classic histogram are swallowed, and the histogram
 * stands in their place, in front of the first entry that is no longer part of it.
 *
 *   # TYPE a histogram   a_bucket{le="1"} 2   a_bucket{le="+Inf"} 3   a_sum 4   a_count 3   # TYPE b ..
 *        comments            swallowed             swallowed          swallowed swallowed    ^ a: 1 -> 2, +Inf -> 1
 *
 * Made for a reader that predicts: what a series is to the stage (struct nhcb_part) is a function of its labels alone,
 * so that it is worked out once, when the metric is interned, and kept by the metric's id. A hit costs a comparison of
 * numbers and the bucket's insertion. The same holds for blocks of comments (struct nhcb_block).
 *
 *   nhcb_stage_init(&s, arena);                                              at the page's beginning
 *   block:   if (nhcb_stage_block(&s, &block))                    take()     the histogram stands in front of the block
 *   series:  verdict = nhcb_stage_series(&s, &part, value, ts)
 *            if (verdict & NHCB_EMIT)                             take()     .. in front of this series
 *            if (verdict & NHCB_TAKEN)                            the line is part of a histogram: its exemplars go to
 *                                                                 nhcb_stage_exemplar, and unless the classic series
 *                                                                 are kept it yields no sample; an exemplar is given
 *                                                                 away in any case
 *   end:     if (nhcb_stage_end(&s))                              take()
 *
 * The finished histogram's identity for interning: the raw bytes of the first line of it that was taken, with a byte
 * 0xff behind (no line's raw has that at its end), under the context of that line; its labels: nhcb_labels() of the
 * first line's. Which line that was the caller knows: NHCB_FIRST says so.
 *
 * Pure; memory: the stage's own scratch (kept from page to page, bounded by the page) and the given arena.
 */
#ifndef FORMAT_HISTOGRAM_NHCB_H
#define FORMAT_HISTOGRAM_NHCB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "model/batch.h"
#include "model/family.h"
#include "model/label.h"

/* ---- the arithmetic ---- */

struct nhcb_bucket {
    double le, count; /* cumulative */
};

/* {0} is empty; the first error sticks until nhcb_reset. */
struct nhcb {
    struct nhcb_bucket *v; /* by le */
    size_t n, cap;
    double count, sum;
    bool has_count;
    struct diag diag;
};

void nhcb_reset(struct nhcb *h);   /* empty, memory kept */
void nhcb_release(struct nhcb *h); /* memory given back */
/* In any order; a bound that is there already is ignored. A count that is negative or not cumulative, a bound that is
 * NaN: nhcb_convert says so. */
void nhcb_set_bucket(struct nhcb *h, double le, double count);
void nhcb_set_count(struct nhcb *h, double count);
void nhcb_set_sum(struct nhcb *h, double sum);
/* Integer if all counts are whole, else float; compacted; reset hint unknown. A missing +Inf bucket is supplied.
 * ERR_SYNTAX, texts as Prometheus' (`count mismatch: ...`, `count is not cumulative: 3 < 5`). */
enum err nhcb_convert(const struct nhcb *h, struct arena *a, struct histogram *out, struct diag *d) MUST_USE;

/* ---- the stage ---- */

enum nhcb_role { NHCB_NONE, NHCB_BUCKET, NHCB_COUNT, NHCB_SUM };

/* What a series is: of its labels as exposition_labels gave them (before any relabelling). 32 bytes, to be kept. */
struct nhcb_part {
    uint64_t name;   /* hash of the name without its suffix */
    uint64_t group;  /* hash of that and of the labels without `le` */
    double le;       /* BUCKET */
    uint32_t base_n; /* the length of the name without the suffix */
    uint32_t role;   /* enum nhcb_role */
};
void nhcb_part_of(struct labels series, struct nhcb_part *out);

/* What a block of comments is. */
struct nhcb_block {
    uint64_t name;  /* hash of the last TYPE line's name; 0: it has none */
    bool histogram; /* that TYPE is histogram */
    bool breaks;    /* it has a line that is not blank: it ends a histogram */
};
/* raw and kind as for exposition_families; only text and OpenMetrics. */
void nhcb_block_of(struct str raw, bool openmetrics, struct nhcb_block *out);

enum nhcb_verdict {
    NHCB_EMIT = 1,  /* a histogram is finished: nhcb_stage_take, before anything else */
    NHCB_TAKEN = 2, /* the series is part of a classic histogram that is being converted */
    NHCB_FIRST = 4, /* ... the first of it */
};

struct nhcb_stage {
    struct nhcb nhcb;
    struct arena *arena;
    uint64_t group;     /* of the histogram being collected */
    uint64_t type_name; /* of the last TYPE */
    bool is_histogram;  /* the last TYPE is histogram */
    bool collecting, has_ts;
    int64_t ts_ms; /* of the series read last */
    int64_t start_ms;
    struct exemplar *exemplars;
    size_t n_exemplars, cap_exemplars;
    struct nhcb_result *result;
};

struct nhcb_result {
    struct histogram histogram;       /* valid, compacted */
    const struct exemplar *exemplars; /* sorted by time, value, labels; those without a time are left out */
    uint32_t n_exemplars;
    bool has_ts; /* as for Prometheus: the time of the series read last */
    int64_t ts_ms, start_ms;
};

void nhcb_stage_init(struct nhcb_stage *s, struct arena *arena); /* s is {0} or was used before: scratch is kept */
void nhcb_stage_release(struct nhcb_stage *s);

/* True: a histogram is finished. */
bool nhcb_stage_block(struct nhcb_stage *s, const struct nhcb_block *block);
bool nhcb_stage_end(struct nhcb_stage *s);
/* A set of enum nhcb_verdict. A series whose counts make no histogram (not cumulative, or the count is another than
 * the last bucket's) is taken and nothing comes of it, as with Prometheus. ts: NULL when the line has none. */
unsigned nhcb_stage_series(struct nhcb_stage *s, const struct nhcb_part *part, double value, const int64_t *ts_ms);
/* For the series taken last: its exemplar (labels in the stage's arena), and when its histogram began (from _created,
 * 0: not known; the first line's counts). */
void nhcb_stage_exemplar(struct nhcb_stage *s, const struct exemplar *exemplar);
void nhcb_stage_start(struct nhcb_stage *s, int64_t start_ms);
/* The finished histogram, in the arena; once for each EMIT or true. */
const struct nhcb_result *nhcb_stage_take(struct nhcb_stage *s);

/* The labels of the histogram that a part belongs to: without le, the name without its suffix. Borrowed from series. */
struct labels nhcb_labels(struct labels series, const struct nhcb_part *part, struct arena *a);

#endif

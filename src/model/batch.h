/* batch: what one scrape, one push part or one collection yields, and the interface through which it moves on.
 *
 * A batch is a list of runs, each one scope with its samples. Arena memory of the source: valid until append returns.
 */
#ifndef MODEL_BATCH_H
#define MODEL_BATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "model/histogram.h"
#include "model/intern.h"
#include "model/scope.h"

/* Prometheus' stale marker and its ordinary NaN (model/value/value.go). */
#define SAMPLE_STALE_BITS 0x7ff0000000000002ULL
#define SAMPLE_NAN_BITS   0x7ff8000000000001ULL

static inline double sample_from_bits(uint64_t bits)
{
    double v;
    __builtin_memcpy(&v, &bits, sizeof(v));
    return v;
}

#define SIDE_NONE UINT32_MAX

struct sample {
    uint32_t metric; /* id in the worker's intern table */
    uint32_t side;   /* index into batch.sides, or SIDE_NONE: the batch's own time, nothing else */
    double value;
};

/* What few samples have. */
struct sample_side {
    int64_t ts_ms;      /* the sample's time, explicit or not: it stands in place of the batch's */
    int64_t start_ms;   /* since when a counter counts; 0: not known */
    uint32_t histogram; /* index into batch.histograms: the sample is that, and its value says nothing; or SIDE_NONE */
    uint32_t exemplar, n_exemplars; /* batch.exemplars[exemplar ..]; 0: none */
};

struct exemplar {
    struct labels labels;
    double value;
    int64_t ts_ms;
    bool has_ts; /* else it has the sample's time */
};

/* Samples from `first` on, up to the next mark, stand under this block of comments, the HELP, TYPE and UNIT of their
 * families: a METRIC_COMMENT of the intern table, read by exposition_families(raw, kind of its context). METRIC_NONE:
 * under none. Which family of the block a sample belongs to, if any, its name tells. */
struct batch_block {
    uint32_t first, metric; /* first: index into batch.samples */
};

/* Which kind of exposition a block of comments was found in (enum exposition_kind of format/exposition.h): whoever
 * interns comments keeps it in these bits of their context. */
#define BATCH_KIND_SHIFT 4
#define BATCH_KIND_MASK  3u

static inline unsigned batch_block_kind(const struct metric *comments)
{
    return comments->context >> BATCH_KIND_SHIFT & BATCH_KIND_MASK;
}

struct batch_run {
    struct scope *scope;
    uint32_t first, n;              /* samples[first .. first+n) */
    uint32_t first_block, n_blocks; /* blocks[first_block ..], ascending; samples in front of the first have none */
};

struct batch {
    int64_t ts_ms;
    int64_t interval_ms; /* after which the next one is due; 0: nobody knows */
    uint32_t lane; /* hash(final target labels) mod LANES */
    const struct intern_view *metrics;
    const struct sample *samples;
    uint32_t n_samples;
    const struct sample_side *sides;
    uint32_t n_sides;
    const struct histogram *histograms;
    uint32_t n_histograms;
    const struct exemplar *exemplars;
    uint32_t n_exemplars;
    const struct batch_block *blocks;
    uint32_t n_blocks;
    const struct batch_run *runs;
    uint32_t n_runs;
};

#define LANES 16

/* A consumer of batches: a sink, or a stage in front of it. Called on the worker that owns the batch's lane, as often
 * as the source likes; never blocks. Whatever append answers, the batch is accounted for: a consumer that cannot keep
 * samples counts them as dropped with a reason. For a push source `done` is called once, on the same thread, when the
 * batch is in the spool (or was refused: err != OK); scrapes pass NULL. */
typedef void(batch_done_fn)(void *ctx, enum err err);

struct batch_consumer {
    uint32_t pipelines; /* bit per pipeline (plan_scrape.pipeline) whose batches it gets; 0: all */
    void (*append)(struct batch_consumer *self, const struct batch *b, batch_done_fn *done, void *done_ctx);
};

#endif

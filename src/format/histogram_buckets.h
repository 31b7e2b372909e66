/* histogram_buckets: what a scraper does to a native histogram before it is stored: checks it, limits its buckets,
 * lowers its resolution, leaves out empty buckets. As Prometheus 3.15's model/histogram and scrape/target.go, error
 * texts included.
 *
 * The operations replace the arrays of *h by new ones in the arena and leave the old ones as they are: a histogram that
 * points into other memory may be given. Spans and buckets must agree (as prom_proto and nhcb yield them), but for
 * histogram_validate, which is safe with anything.
 *
 * Pure; any thread.
 */
#ifndef FORMAT_HISTOGRAM_BUCKETS_H
#define FORMAT_HISTOGRAM_BUCKETS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "model/batch.h"
#include "model/histogram.h"

/* Schemas that are read but must be lowered to HISTOGRAM_SCHEMA_MAX before they are stored. */
#define HISTOGRAM_SCHEMA_MIN_KNOWN (-9)
#define HISTOGRAM_SCHEMA_MAX_KNOWN 52

static inline bool histogram_is_custom(const struct histogram *h)
{
    return h->schema == HISTOGRAM_CUSTOM_BUCKETS;
}

static inline uint32_t histogram_n_buckets(const struct histogram *h)
{
    return h->positive.n + h->negative.n;
}

/* A stale marker: its sum is that NaN (SAMPLE_STALE_BITS). */
bool histogram_is_stale(const struct histogram *h);

/* ERR_SYNTAX: what is wrong with it, in Prometheus' words. */
enum err histogram_validate(const struct histogram *h, struct diag *d) MUST_USE;

/* Leaves out empty buckets at the ends of spans, and in their middle where there are more than max_empty of them in a
 * row; merges spans that touch. */
void histogram_compact(struct histogram *h, uint32_t max_empty, struct arena *a);

/* To a smaller schema: neighbouring buckets become one. ERR_SYNTAX when h has custom buckets or schema is not smaller
 * than its own. */
enum err histogram_reduce_resolution(struct histogram *h, int32_t schema, struct arena *a, struct diag *d) MUST_USE;

/* The schema for native_histogram_min_bucket_factor (0 and below 1: HISTOGRAM_SCHEMA_MAX): 65536 -> -4 .. 1.002 -> 8 */
int32_t histogram_schema_for_factor(double factor);

/* What the scraper does with each histogram, in the original's order: its schema to at most max_schema
 * (HISTOGRAM_SCHEMA_MAX: no cap, but schemas above it, up to 52, are lowered to it: the store would do so), then
 * resolution lowered step by step until it has no more than `limit` buckets (0: no limit), then validated.
 *   ERR_LIMIT   `histogram bucket limit exceeded`: the whole scrape fails, in the end, as with sample_limit
 *   ERR_SYNTAX  it is not a histogram that may be stored: the whole scrape fails */
enum err histogram_prepare(struct histogram *h, int32_t max_schema, uint64_t limit, struct arena *a,
                           struct diag *d) MUST_USE;

/* By time, then value, then labels, as the scraper sorts them before they are appended. */
void exemplars_sort(struct exemplar *v, uint32_t n);

#endif

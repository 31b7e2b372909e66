/* histogram_buckets: arithmetic on the sparse buckets of native histograms.
 *
 *   spans    {offset -2, length 2}  {offset 3, length 1}        integer buckets are differences, float ones are counts
 *   buckets      5    -1                 +3
 *   means    index -2: 5   -1: 4   ..   3: 7
 *
 * Spans with their differences are a form for the wire. The operations read them as what they mean, a row of (index,
 * count) in rising order, and write such a row again, so that integer and float histograms need one piece of code each:
 *
 *   compact            drop the counts that are 0, then fill gaps of up to max_empty with zeros
 *   reduce resolution  index -> ((index - 1) >> by) + 1, and counts of one index are added up
 *
 * The written form has no spans that touch, and none without buckets; it is the one that Prometheus 3.15 arrives at
 * (model/histogram/generic.go) by moving spans about. Reading stops where the buckets end, whatever the spans say;
 * indexes are 64 bits wide, so that no sum of offsets overflows.
 *
 * Checks and their words: Histogram.Validate and FloatHistogram.Validate there, errBucketLimit of scrape/target.go.
 */
#include "format/histogram_buckets.h"

#include <math.h>
#include <stdlib.h>

#include "base/num.h"

/* ---- rows of buckets --------------------------------------------------------------------------------------------- */

struct bucket {
    int64_t index;
    uint64_t whole; /* of an integer histogram; sums wrap, as they do for Prometheus */
    double part;    /* of a float histogram */
};

struct bucket_reader {
    const struct histogram_buckets *b;
    bool is_float;
    uint32_t span, in_span, at;
    struct bucket last;
};

static struct bucket_reader read_buckets(const struct histogram_buckets *b, bool is_float)
{
    struct bucket_reader r = {.b = b, .is_float = is_float};
    if (b->n_spans > 0)
        r.last.index = (int64_t)b->spans[0].offset - 1;
    return r;
}

static bool next_bucket(struct bucket_reader *r, struct bucket *out)
{
    const struct histogram_buckets *b = r->b;
    if (r->at >= b->n)
        return false;
    while (r->span < b->n_spans && r->in_span >= b->spans[r->span].length) {
        r->in_span = 0;
        if (++r->span < b->n_spans)
            r->last.index += b->spans[r->span].offset;
    }
    if (r->span >= b->n_spans)
        return false;
    r->last.index++;
    r->in_span++;
    if (r->is_float)
        r->last.part = b->counts[r->at];
    else
        r->last.whole += (uint64_t)b->deltas[r->at];
    r->at++;
    *out = r->last;
    return true;
}

struct bucket_writer {
    struct histogram_span *spans;
    int64_t *deltas;
    double *counts;
    uint32_t n_spans, n;
    bool is_float;
    struct bucket last;
    uint64_t before_last; /* the count that the last difference is to */
};

/* Room for max buckets, each with a span of its own. */
static struct bucket_writer write_buckets(size_t max, bool is_float, struct arena *a)
{
    struct bucket_writer w = {.is_float = is_float};
    w.spans = ARENA_ARRAY(a, struct histogram_span, max + 1);
    if (is_float)
        w.counts = ARENA_ARRAY(a, double, max + 1);
    else
        w.deltas = ARENA_ARRAY(a, int64_t, max + 1);
    return w;
}

static void put_bucket(struct bucket_writer *w, const struct bucket *b)
{
    if (w->n == 0 || b->index != w->last.index + 1)
        w->spans[w->n_spans++].offset = (int32_t)(w->n == 0 ? b->index : b->index - w->last.index - 1);
    w->spans[w->n_spans - 1].length++;
    if (w->is_float) {
        w->counts[w->n] = b->part;
    } else {
        w->before_last = w->n == 0 ? 0 : w->last.whole;
        w->deltas[w->n] = (int64_t)(b->whole - w->before_last);
    }
    w->n++;
    w->last = *b;
}

static void add_to_last(struct bucket_writer *w, const struct bucket *b)
{
    if (w->is_float) {
        w->counts[w->n - 1] += b->part;
        return;
    }
    w->last.whole += b->whole;
    w->deltas[w->n - 1] = (int64_t)(w->last.whole - w->before_last);
}

static struct histogram_buckets written(const struct bucket_writer *w)
{
    struct histogram_buckets b = {.spans = w->spans, .n_spans = w->n_spans, .n = w->n};
    if (w->is_float)
        b.counts = w->counts;
    else
        b.deltas = w->deltas;
    return b;
}

/* ---- checks ------------------------------------------------------------------------------------------------------ */

bool histogram_is_stale(const struct histogram *h)
{
    uint64_t bits;
    memcpy(&bits, &h->sum, sizeof(bits));
    return bits == SAMPLE_STALE_BITS;
}

static enum err check_spans(const char *side, const struct histogram_buckets *b, bool first_too, struct diag *d)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < b->n_spans; i++) {
        if ((i > 0 || first_too) && b->spans[i].offset < 0)
            return diag_set(d, ERR_SYNTAX,
                            "%s: span number %u with offset %d: histogram has a span whose offset is negative", side,
                            i + 1, b->spans[i].offset);
        total += b->spans[i].length;
    }
    if (total != b->n)
        return diag_set(d, ERR_SYNTAX,
                        "%s: spans need %llu buckets, have %u buckets: histogram spans specify different number of "
                        "buckets than provided",
                        side, (unsigned long long)total, b->n);
    return OK;
}

/* *whole: the sum of an integer histogram's counts. */
static enum err check_counts(const char *side, const struct histogram_buckets *b, bool is_float, uint64_t *whole,
                             struct diag *d)
{
    char text[32];
    uint64_t last = 0;
    for (uint32_t i = 0; i < b->n; i++) {
        size_t n = 0;
        if (is_float && b->counts[i] < 0)
            n = num_print_double(b->counts[i], text);
        if (!is_float && (int64_t)(last += (uint64_t)b->deltas[i]) < 0)
            n = num_print_i64((int64_t)last, text);
        if (n > 0)
            return diag_set(d, ERR_SYNTAX,
                            "%s: bucket number %u has observation count of %.*s: histogram has a bucket whose "
                            "observation count is negative",
                            side, i + 1, (int)n, text);
        *whole += last;
    }
    return OK;
}

static enum err check_bounds(const struct histogram *h, struct diag *d)
{
    for (uint32_t i = 0; i < h->n_custom_values; i++) {
        double v = h->custom_values[i];
        if (isnan(v))
            return diag_set(d, ERR_SYNTAX, "custom buckets: histogram custom bounds must not be NaN");
        if (i > 0 && v <= h->custom_values[i - 1])
            return diag_set(
                d, ERR_SYNTAX,
                "custom buckets: previous bound is %f and current is %f: histogram custom bounds must be in "
                "strictly increasing order",
                h->custom_values[i - 1], v);
    }
    if (h->n_custom_values > 0 && h->custom_values[h->n_custom_values - 1] == INFINITY)
        return diag_set(d, ERR_SYNTAX,
                        "custom buckets: last +Inf bound must not be explicitly defined: histogram custom bounds must "
                        "be finite");
    return OK;
}

static enum err check_custom(const struct histogram *h, struct diag *d)
{
    enum err err = check_bounds(h, d);
    if (!err)
        err = check_spans("custom buckets", &h->positive, true, d);
    if (err)
        return err;
    uint64_t reach = 0;
    for (uint32_t i = 0; i < h->positive.n_spans; i++)
        reach += (uint64_t)h->positive.spans[i].length + (uint64_t)h->positive.spans[i].offset;
    if ((uint64_t)h->n_custom_values + 1 < reach)
        return diag_set(
            d, ERR_SYNTAX,
            "custom buckets: only %u custom bounds defined which is insufficient to cover total span length "
            "of %llu: histogram custom bounds are too few",
            h->n_custom_values, (unsigned long long)reach);
    if (h->is_float ? h->zero_count_float != 0 : h->zero_count_int != 0)
        return diag_set(d, ERR_SYNTAX, "custom buckets: must have zero count of 0");
    if (h->zero_threshold != 0)
        return diag_set(d, ERR_SYNTAX, "custom buckets: must have zero threshold of 0");
    if (h->negative.n_spans > 0)
        return diag_set(d, ERR_SYNTAX, "custom buckets: must not have negative spans");
    if (h->negative.n > 0)
        return diag_set(d, ERR_SYNTAX, "custom buckets: must not have negative buckets");
    return OK;
}

static enum err check_exponential(const struct histogram *h, uint64_t *whole, struct diag *d)
{
    char text[32];
    enum err err = check_spans("positive side", &h->positive, false, d);
    if (!err)
        err = check_spans("negative side", &h->negative, false, d);
    if (!err)
        err = check_counts("negative side", &h->negative, h->is_float, whole, d);
    if (err)
        return err;
    if (h->is_float && h->zero_count_float < 0)
        return diag_set(d, ERR_SYNTAX,
                        "zero bucket has observation count of %.*s: histogram has a bucket whose observation count is "
                        "negative",
                        (int)num_print_double(h->zero_count_float, text), text);
    if (h->n_custom_values > 0)
        return diag_set(d, ERR_SYNTAX, "histogram with exponential schema must not have custom bounds");
    return OK;
}

enum err histogram_validate(const struct histogram *h, struct diag *d)
{
    char text[32];
    uint64_t whole = 0;
    enum err err = OK;
    if (histogram_is_custom(h))
        err = check_custom(h, d);
    else if (h->schema >= HISTOGRAM_SCHEMA_MIN && h->schema <= HISTOGRAM_SCHEMA_MAX)
        err = check_exponential(h, &whole, d);
    else
        err =
            diag_set(d, ERR_SYNTAX,
                     "histogram has an invalid schema, which must be between -4 and 8 for exponential buckets, or -53 "
                     "for custom buckets, got schema %d",
                     h->schema);
    if (err)
        return err;
    if (h->is_float && h->count_float < 0)
        return diag_set(d, ERR_SYNTAX, "observation count is  %.*s: histogram's observation count is negative",
                        (int)num_print_double(h->count_float, text), text);
    if ((err = check_counts("positive side", &h->positive, h->is_float, &whole, d)) || h->is_float)
        return err;
    whole += h->zero_count_int;
    if (isnan(h->sum) ? whole > h->count_int : whole != h->count_int)
        return diag_set(
            d, ERR_SYNTAX,
            "%llu observations found in buckets, but the Count field is %llu: histogram's observation count "
            "should %s",
            (unsigned long long)whole, (unsigned long long)h->count_int,
            isnan(h->sum) ? "be at least the number of observations found in the buckets"
                          : "equal the number of observations found in the buckets (in absence of NaN)");
    return OK;
}

/* ---- changes ----------------------------------------------------------------------------------------------------- */

/* As it is already: nothing empty, nothing that touches. */
static bool is_compact(const struct histogram_buckets *b, bool is_float, uint32_t max_empty)
{
    uint64_t whole = 0;
    for (uint32_t i = 0; i < b->n_spans; i++)
        if (b->spans[i].length == 0 || (i > 0 && b->spans[i].offset <= (int64_t)max_empty))
            return false;
    for (uint32_t i = 0; i < b->n; i++)
        if (is_float ? b->counts[i] == 0 : (whole += (uint64_t)b->deltas[i]) == 0)
            return false;
    return true;
}

static void compact_side(struct histogram_buckets *b, bool is_float, uint32_t max_empty, struct arena *a)
{
    if (is_compact(b, is_float, max_empty))
        return;
    struct bucket_reader r = read_buckets(b, is_float);
    struct bucket_writer w = write_buckets(b->n + (size_t)max_empty * b->n_spans, is_float, a);
    struct bucket at, empty = {0};
    while (next_bucket(&r, &at)) {
        if (is_float ? at.part == 0 : at.whole == 0)
            continue;
        if (w.n > 0 && at.index - w.last.index - 1 <= (int64_t)max_empty) {
            for (empty.index = w.last.index + 1; empty.index < at.index; empty.index++)
                put_bucket(&w, &empty);
        }
        put_bucket(&w, &at);
    }
    *b = written(&w);
}

void histogram_compact(struct histogram *h, uint32_t max_empty, struct arena *a)
{
    compact_side(&h->positive, h->is_float, max_empty, a);
    compact_side(&h->negative, h->is_float, max_empty, a);
}

static enum err reduce_side(struct histogram_buckets *b, bool is_float, int32_t by, struct arena *a, struct diag *d)
{
    struct bucket_reader r = read_buckets(b, is_float);
    struct bucket at;
    for (uint32_t i = 1; i < b->n_spans; i++)
        if (b->spans[i].offset < 0)
            return diag_set(d, ERR_SYNTAX,
                            "span number %u with offset %d: histogram has a span whose offset is negative", i + 1,
                            b->spans[i].offset);
    struct bucket_writer w = write_buckets(b->n, is_float, a);
    while (next_bucket(&r, &at)) {
        at.index = ((at.index - 1) >> by) + 1;
        if (w.n > 0 && w.last.index == at.index)
            add_to_last(&w, &at);
        else
            put_bucket(&w, &at);
    }
    *b = written(&w);
    return OK;
}

enum err histogram_reduce_resolution(struct histogram *h, int32_t schema, struct arena *a, struct diag *d)
{
    if (histogram_is_custom(h))
        return diag_set(d, ERR_SYNTAX, "cannot reduce resolution when there are custom buckets");
    if (schema == HISTOGRAM_CUSTOM_BUCKETS)
        return diag_set(d, ERR_SYNTAX, "cannot reduce resolution to custom buckets schema");
    if (schema >= h->schema)
        return diag_set(d, ERR_SYNTAX, "cannot reduce resolution from schema %d to %d", h->schema, schema);
    int64_t by = (int64_t)h->schema - schema;
    int32_t shift = by > 62 ? 62 : (int32_t)by;
    enum err err = reduce_side(&h->positive, h->is_float, shift, a, d);
    if (!err)
        err = reduce_side(&h->negative, h->is_float, shift, a, d);
    if (!err)
        h->schema = schema;
    return err;
}

int32_t histogram_schema_for_factor(double factor)
{
    if (!(factor > 1))
        return HISTOGRAM_SCHEMA_MAX;
    double schema = floor(-log2(log2(factor)));
    if (schema >= HISTOGRAM_SCHEMA_MAX)
        return HISTOGRAM_SCHEMA_MAX;
    return schema <= HISTOGRAM_SCHEMA_MIN ? HISTOGRAM_SCHEMA_MIN : (int32_t)schema;
}

enum err histogram_prepare(struct histogram *h, int32_t max_schema, uint64_t limit, struct arena *a, struct diag *d)
{
    enum err err = OK;
    if (h->schema > max_schema && h->schema <= HISTOGRAM_SCHEMA_MAX_KNOWN)
        err = histogram_reduce_resolution(h, max_schema, a, d);
    while (!err && limit > 0 && histogram_n_buckets(h) > limit) {
        if (h->schema <= HISTOGRAM_SCHEMA_MIN || h->schema > HISTOGRAM_SCHEMA_MAX)
            return diag_set(d, ERR_LIMIT, "histogram bucket limit exceeded");
        err = histogram_reduce_resolution(h, h->schema - 1, a, d);
    }
    return err ? err : histogram_validate(h, d);
}

/* ---- exemplars --------------------------------------------------------------------------------------------------- */

static int compare_exemplars(const void *a, const void *b)
{
    const struct exemplar *x = a, *y = b;
    if (x->ts_ms != y->ts_ms)
        return x->ts_ms < y->ts_ms ? -1 : 1;
    if (x->value < y->value || x->value > y->value)
        return x->value < y->value ? -1 : 1;
    return labels_cmp(x->labels, y->labels);
}

void exemplars_sort(struct exemplar *v, uint32_t n)
{
    if (n > 1)
        qsort(v, n, sizeof(*v), compare_exemplars);
}

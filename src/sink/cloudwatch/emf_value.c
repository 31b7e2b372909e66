/* emf_value: what is told of one value at one time.
 *
 *   gauge     as it is
 *   counter   the difference to the value before (shape/delta.h), which is in the scope's block (spool/fold_state.h)
 *   buckets   a classic histogram: the differences of its buckets, those between neighbours, as values and counts
 *
 *   le      1     2     5     +Inf            value of a bucket: its middle; of the first the middle between 0 and its
 *   now    10    14    14     17              bound, or the bound where that is not above 0; of +Inf the last finite
 *   before  8    10    10     12              bound. Empty buckets are left out. Count and Sum are the exact ones of
 *   told    2 at 0.5, 2 at 1.5, 1 at 5        _count and _sum. More than 100 values: in chunks, the sum with the first.
 *
 * The parts of a histogram stand and fall together: one that has no value before keeps the whole untold, and one that
 * went back means that all began again. A value that is told carries its new state with its event; a baseline goes with
 * the last commit of the batch.
 *
 * A first value (off unless asked for) counts from 0 when the series is new on a target that was scraped under this
 * plan for more than an interval, or when what exposes it began after the last scrape. A series that has a value from
 * before, however old, is none.
 */
#include "sink/cloudwatch/emf_int.h"

/* ---- before and after -------------------------------------------------------------------------------------------- */

static struct delta_before before_of(const struct emf_run *r, const struct emf_target *t, uint32_t counter)
{
    const struct emf *e = r->e;
    struct fold_value v;

    if (UNLIKELY(e->n_pending > counter && e->pending[counter].run == e->run))
        return (struct delta_before){true, e->pending[counter].value.value, e->pending[counter].value.ts_ms};
    if (!fold_block_get(t->block, r->binding->series[counter], &v))
        return (struct delta_before){0};
    return (struct delta_before){true, v.value, v.ts_ms};
}

static void note_pending(struct emf_run *r, uint32_t counter, struct fold_value v)
{
    struct emf *e = r->e;

    if (e->n_pending > counter)
        e->pending[counter] = (struct emf_pending){e->run, v};
}

static void keep_fold(struct emf_run *r, const struct emf_target *t, uint32_t counter, double value, int64_t ts_ms)
{
    struct emf *e = r->e;

    if (UNLIKELY(e->n_folds == e->cap_folds))
        e->folds = mem_grow(e->folds, &e->cap_folds, e->n_folds + 1, sizeof(*e->folds));
    struct cw_fold *f = &e->folds[e->n_folds++];
    *f = (struct cw_fold){t->block, r->binding->series[counter], {value, ts_ms}};
    note_pending(r, counter, f->value);
}

static void keep_baseline(struct emf_run *r, struct emf_out *out, const struct emf_target *t, uint32_t counter,
                          double value, int64_t ts_ms)
{
    out->tail = mem_grow(out->tail, &out->cap_tail, out->n_tail + 1, sizeof(*out->tail));
    out->tail[out->n_tail] = (struct cw_fold){t->block, r->binding->series[counter], {value, ts_ms}};
    note_pending(r, counter, out->tail[out->n_tail++].value);
}

static enum spool_reason reason_of(enum delta_outcome o)
{
    return o == DELTA_NO_BASELINE ? DROP_NO_BASELINE : o == DELTA_NOT_NEWER ? DROP_NOT_NEWER : DROP_NOT_FINITE;
}

/* Since when the series counts, as far as its sample or the page says. */
static bool is_first(const struct emf_run *r, uint32_t at)
{
    uint32_t side = r->samples[at].side;
    int64_t start_ms = side == SIDE_NONE ? 0 : r->b->sides[side].start_ms;

    return r->first_values || start_ms > r->born_ms || r->start_ms > r->born_ms;
}

static enum delta_outcome counter_next(const struct emf_run *r, const struct emf_target *t, uint32_t at,
                                       uint32_t counter, int64_t ts_ms, double *out)
{
    struct delta_before before = before_of(r, t, counter);
    double value = r->samples[at].value;
    enum delta_outcome o = delta_next(&before, value, ts_ms, r->gap_ms, out);

    if (LIKELY(o != DELTA_NO_BASELINE) || before.known || r->binding->series[counter] == FOLD_NONE || !is_first(r, at))
        return o;
    *out = value;
    return DELTA_EMIT;
}

/* The difference of two finite values may be none. */
static enum delta_outcome counter_finite(enum delta_outcome o, double delta)
{
    return LIKELY(o != DELTA_EMIT || isfinite(delta)) ? o : DELTA_NOT_FINITE;
}

/* ---- histograms -------------------------------------------------------------------------------------------------- */

/* What became of the parts together. */
struct parts {
    enum delta_outcome outcome;
    bool again; /* one went back: all began again */
};

static void join_part(struct emf_run *r, const struct emf_target *t, const struct emf_bucket *p, int64_t ts_ms,
                      struct parts *parts)
{
    double delta = 0;

    if (p->at == EMF_NONE)
        return;
    enum delta_outcome o = counter_next(r, t, p->at, p->counter, ts_ms, &delta);
    o = counter_finite(o, delta);
    if (o > parts->outcome)
        parts->outcome = o;
    struct delta_before before = before_of(r, t, p->counter);
    parts->again |= before.known && r->samples[p->at].value < before.value;
}

static double part_delta(const struct emf_run *r, const struct emf_target *t, const struct emf_bucket *p, bool again)
{
    struct delta_before before = before_of(r, t, p->counter);
    double value = r->samples[p->at].value;

    return again || !before.known ? value : value - before.value;
}

/* The last finite bound in front of bucket i, or 0. */
static double finite_below(const struct emf_histogram *h, uint32_t i)
{
    while (i > 0 && !isfinite(h->buckets[i - 1].bound))
        i--;
    return i > 0 ? h->buckets[i - 1].bound : 0;
}

static double middle(const struct emf_histogram *h, uint32_t i)
{
    double bound = h->buckets[i].bound;

    if (!isfinite(bound))
        return bound > 0 ? finite_below(h, i) : 0;
    if (i == 0)
        return bound > 0 ? bound / 2 : bound;
    return isfinite(h->buckets[i - 1].bound) ? h->buckets[i - 1].bound / 2 + bound / 2 : bound;
}

static void put_double(struct emf *e, double v)
{
    e->numbers = mem_grow(e->numbers, &e->cap_numbers, e->n_numbers + 1, sizeof(*e->numbers));
    e->numbers[e->n_numbers++] = v;
}

static void print_numbers(struct emf *e, const char *key, uint32_t first, uint32_t n)
{
    buf_c(&e->scratch, key);
    buf_reserve(&e->scratch, (size_t)n * (EMF_NUMBER_MAX + 1) + 2);
    char *p = e->scratch.p + e->scratch.n;
    *p++ = '[';
    for (uint32_t i = 0; i < n; i++) {
        if (i)
            *p++ = ',';
        p = emf_put_number(p, e->numbers[first + i]);
    }
    *p++ = ']';
    e->scratch.n = (size_t)(p - e->scratch.p);
}

static void print_number(struct emf *e, const char *key, double v)
{
    buf_c(&e->scratch, key);
    buf_reserve(&e->scratch, EMF_NUMBER_MAX);
    e->scratch.n = (size_t)(emf_put_number(e->scratch.p + e->scratch.n, v) - e->scratch.p);
}

/* The values of [first, first + n) of `numbers`, their counts behind all `total` values. */
static void add_chunk(struct emf *e, uint32_t first, uint32_t n, uint32_t counts, double sum, double count)
{
    struct emf_chunk c = {.text = (uint32_t)e->scratch.n, .first = first, .n = n, .sum = sum, .count = count};

    c.min = n ? e->numbers[first] : 0;
    c.max = n ? e->numbers[first + n - 1] : 0;
    buf_char(&e->scratch, '{');
    if (n) {
        print_numbers(e, "\"Values\":", first, n);
        print_numbers(e, ",\"Counts\":", counts, n);
        buf_char(&e->scratch, ',');
    }
    print_number(e, "\"Max\":", c.max);
    print_number(e, ",\"Min\":", c.min);
    print_number(e, ",\"Count\":", c.count);
    print_number(e, ",\"Sum\":", c.sum);
    buf_char(&e->scratch, '}');
    c.text_n = (uint32_t)e->scratch.n - c.text;
    e->chunks = mem_grow(e->chunks, &e->cap_chunks, e->n_chunks + 1, sizeof(*e->chunks));
    e->chunks[e->n_chunks++] = c;
}

/* The first chunk has what the counts of the others leave of the exact count. */
static void cut_chunks(struct emf *e, uint32_t first, uint32_t n, double sum, double count)
{
    uint32_t counts = first + n;
    double rest = count;

    for (uint32_t at = EMF_VALUES_MAX; at < n; at++)
        rest -= e->numbers[counts + at];
    if (rest < 0) /* _count says less than the buckets */
        rest = 0;
    add_chunk(e, first, n < EMF_VALUES_MAX ? n : EMF_VALUES_MAX, counts, sum, rest);
    for (uint32_t at = EMF_VALUES_MAX; at < n; at += EMF_VALUES_MAX) {
        uint32_t m = n - at < EMF_VALUES_MAX ? n - at : EMF_VALUES_MAX;
        double own = 0;
        for (uint32_t i = 0; i < m; i++)
            own += e->numbers[counts + at + i];
        add_chunk(e, first + at, m, counts + at, 0, own);
    }
}

/* False: its sum is beyond any number. */
static bool tell_buckets(struct emf_run *r, const struct emf_target *t, const struct emf_histogram *h, bool again,
                         struct emf_result *result)
{
    struct emf *e = r->e;
    uint32_t first = (uint32_t)e->n_numbers, n = 0;
    double below = 0, all = 0, sum = 0;

    for (int pass = 0; pass < 2; pass++) {
        below = 0;
        for (uint32_t i = 0; i < h->n; i++) {
            double upto = part_delta(r, t, &h->buckets[i], again);
            if (upto <= below)
                continue;
            put_double(e, pass == 0 ? middle(h, i) : upto - below);
            n += pass == 0;
            below = upto;
        }
    }
    all = h->count.at == EMF_NONE ? below : part_delta(r, t, &h->count, again);
    if (h->sum.at != EMF_NONE) {
        sum = part_delta(r, t, &h->sum, again);
    } else {
        for (uint32_t i = 0; i < n; i++)
            sum += e->numbers[first + i] * e->numbers[first + n + i];
    }
    if (!isfinite(sum))
        return false;
    result->chunk = (uint32_t)e->n_chunks;
    cut_chunks(e, first, n, sum, all);
    result->n_chunks = (uint32_t)e->n_chunks - result->chunk;
    return true;
}

static void each_part(struct emf_run *r, struct emf_out *out, const struct emf_target *t, const struct emf_histogram *h,
                      bool told, int64_t ts_ms)
{
    const struct emf_bucket *part;

    for (uint32_t i = 0; i < h->n + 2; i++) {
        part = i < h->n ? &h->buckets[i] : i == h->n ? &h->sum : &h->count;
        if (part->at == EMF_NONE)
            continue;
        if (told)
            keep_fold(r, t, part->counter, r->samples[part->at].value, ts_ms);
        else
            keep_baseline(r, out, t, part->counter, r->samples[part->at].value, ts_ms);
    }
}

static void buckets_next(struct emf_run *r, struct emf_out *out, const struct emf_target *t,
                         const struct emf_histogram *h, int64_t ts_ms, struct emf_result *result)
{
    struct parts parts = {.outcome = DELTA_EMIT};

    result->samples = h->n + (h->sum.at != EMF_NONE) + (h->count.at != EMF_NONE);
    for (uint32_t i = 0; i < h->n; i++)
        join_part(r, t, &h->buckets[i], ts_ms, &parts);
    join_part(r, t, &h->sum, ts_ms, &parts);
    join_part(r, t, &h->count, ts_ms, &parts);
    if (parts.outcome == DELTA_EMIT && !tell_buckets(r, t, h, parts.again, result))
        parts.outcome = DELTA_NOT_FINITE;
    if (parts.outcome != DELTA_EMIT)
        result->reason = reason_of(parts.outcome);
    result->present = parts.outcome == DELTA_EMIT;
    if (parts.outcome == DELTA_EMIT || parts.outcome == DELTA_NO_BASELINE)
        each_part(r, out, t, h, result->present, ts_ms);
}

/* ---- any value --------------------------------------------------------------------------------------------------- */

static bool is_histogram(const struct emf_run *r, uint32_t at)
{
    uint32_t side = r->samples[at].side;

    return UNLIKELY(side != SIDE_NONE) && r->b->sides[side].histogram != SIDE_NONE;
}

void emf_value_next(struct emf_run *r, struct emf_out *out, const struct emf_target *target, const struct emf_event *ev,
                    uint32_t value, int64_t ts_ms, struct emf_result *result)
{
    const struct emf_value *v = &r->layout->values[ev->first + value];

    *result = (struct emf_result){.samples = 1, .fold = (uint32_t)r->e->n_folds};
    if (UNLIKELY(v->kind == EMF_BUCKETS)) {
        buckets_next(r, out, target, &r->layout->histograms[v->at], ts_ms, result);
        result->n_folds = (uint32_t)r->e->n_folds - result->fold;
        return;
    }
    if (UNLIKELY(is_histogram(r, v->at))) {
        result->reason = DROP_TYPE;
        return;
    }
    double sample = r->samples[v->at].value;
    if (v->kind == EMF_GAUGE) {
        result->value = sample;
        result->present = isfinite(sample);
        result->reason = DROP_NOT_FINITE;
        return;
    }
    enum delta_outcome o = counter_next(r, target, v->at, v->counter, ts_ms, &result->value);
    o = counter_finite(o, result->value);
    result->present = o == DELTA_EMIT;
    if (LIKELY(result->present)) {
        keep_fold(r, target, v->counter, sample, ts_ms);
        result->n_folds = 1;
        return;
    }
    result->reason = reason_of(o);
    if (o == DELTA_NO_BASELINE)
        keep_baseline(r, out, target, v->counter, sample, ts_ms);
}

/* histogram_nhcb: collecting the series of a classic histogram, and making a native one with custom buckets of them.
 *
 *   le          1     2.5    +Inf            cumulative, in whatever order the series came
 *   count       2      5      6
 *   custom values   1  2.5                   bounds without +Inf
 *   buckets     2     3      1               what lies between two bounds
 *
 * Counts that are whole make an integer histogram (differences, runs of up to two empty buckets kept inside a span),
 * any other a float one (no empty bucket kept): the shapes that Prometheus 3.15 gives them (util/convertnhcb).
 *
 * The stage follows model/textparse/nhcbparse.go: series belong to the histogram that is being collected while the TYPE
 * in force is histogram and name (without suffix) and labels (without le) stay the same; anything else but a blank line
 * ends it. A series is taken only if the last TYPE line named its family. Labels are compared by a hash of 64 bits, as
 * there.
 *
 * A histogram whose numbers contradict each other is dropped, and its series with it (unless they are kept), without a
 * word, as there. Where the original after such a histogram mixes its exemplars into the next one, leadline does not.
 */
#include "format/histogram_nhcb.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/num.h"
#include "format/exposition_int.h"
#include "format/histogram_buckets.h"

#define INTEGER_MAX_EMPTY 2u

/* ---- the arithmetic ---------------------------------------------------------------------------------------------- */

void nhcb_reset(struct nhcb *h)
{
    h->n = 0;
    h->count = h->sum = 0;
    h->has_count = false;
    h->diag.text[0] = '\0';
}

void nhcb_release(struct nhcb *h)
{
    free(h->v);
    *h = (struct nhcb){0};
}

static bool failed(const struct nhcb *h)
{
    return h->diag.text[0] != '\0';
}

struct number {
    char text[40];
};

static struct number number(double v)
{
    struct number n;
    n.text[num_print_double(v, n.text)] = '\0';
    return n;
}

static void not_cumulative(struct nhcb *h, double a, const char *sign, double b)
{
    (void)diag_set(&h->diag, ERR_SYNTAX, "count is not cumulative: %s %s %s", number(a).text, sign, number(b).text);
}

/* The first bucket at or above le. */
static size_t find_bucket(const struct nhcb *h, double le)
{
    size_t low = 0, high = h->n;
    if (h->n == 0 || h->v[h->n - 1].le < le)
        return h->n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (h->v[middle].le >= le)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

void nhcb_set_bucket(struct nhcb *h, double le, double count)
{
    if (failed(h))
        return;
    if (isnan(le)) {
        (void)diag_set(&h->diag, ERR_SYNTAX, "bucket boundary must not be NaN");
        return;
    }
    if (count < 0) {
        (void)diag_set(&h->diag, ERR_SYNTAX, "bucket count must be non-negative: le=%s, count=%s", number(le).text,
                       number(count).text);
        return;
    }
    size_t i = find_bucket(h, le);
    if (i < h->n && h->v[i].le == le)
        return;
    if (i > 0 && count < h->v[i - 1].count) {
        not_cumulative(h, count, "<", h->v[i - 1].count);
        return;
    }
    if (i < h->n && count > h->v[i].count) {
        not_cumulative(h, count, ">", h->v[i].count);
        return;
    }
    h->v = mem_grow(h->v, &h->cap, h->n + 1, sizeof(*h->v));
    if (i < h->n)
        memmove(&h->v[i + 1], &h->v[i], sizeof(*h->v) * (h->n - i));
    h->v[i] = (struct nhcb_bucket){le, count};
    h->n++;
}

void nhcb_set_count(struct nhcb *h, double count)
{
    if (failed(h))
        return;
    if (count < 0) {
        (void)diag_set(&h->diag, ERR_SYNTAX, "count must be non-negative: count=%s", number(count).text);
        return;
    }
    h->count = count;
    h->has_count = true;
}

void nhcb_set_sum(struct nhcb *h, double sum)
{
    if (!failed(h))
        h->sum = sum;
}

static bool is_whole(double v)
{
    return v >= 0 && v < 9223372036854775808.0 && v == rint(v);
}

/* n buckets, of which the last is +Inf's. */
static void fill(const struct nhcb *h, double count, size_t n, bool is_float, struct arena *a, struct histogram *out)
{
    struct histogram_span *span = ARENA_NEW(a, struct histogram_span);
    double *bounds = ARENA_ARRAY(a, double, n);
    double *counts = is_float ? ARENA_ARRAY(a, double, n) : NULL;
    int64_t *deltas = is_float ? NULL : ARENA_ARRAY(a, int64_t, n);
    double before = 0;
    int64_t last = 0;
    for (size_t i = 0; i < n; i++) {
        double cumulative = i < h->n ? h->v[i].count : count;
        double here = cumulative - before;
        if (is_float) {
            counts[i] = here;
        } else {
            int64_t whole = (int64_t)cumulative - (int64_t)before;
            deltas[i] = whole - last;
            last = whole;
        }
        before = cumulative;
        bounds[i] = i < h->n ? h->v[i].le : INFINITY;
    }
    span->length = (uint32_t)n;
    *out = (struct histogram){.is_float = is_float, .schema = HISTOGRAM_CUSTOM_BUCKETS, .sum = h->sum};
    out->positive = (struct histogram_buckets){.spans = span, .n_spans = 1, .n = (uint32_t)n};
    if (is_float) {
        out->positive.counts = counts;
        out->count_float = count;
    } else {
        out->positive.deltas = deltas;
        out->count_int = (uint64_t)count;
    }
    out->n_custom_values = (uint32_t)n - 1;
    out->custom_values = n > 1 ? bounds : NULL;
}

enum err nhcb_convert(const struct nhcb *h, struct arena *a, struct histogram *out, struct diag *d)
{
    if (failed(h))
        return diag_set(d, ERR_SYNTAX, "%s", h->diag.text);
    if (h->n >= UINT32_MAX)
        return diag_set(d, ERR_LIMIT, "a histogram of %zu buckets is more than leadline takes", h->n);
    double count = !h->has_count && h->n > 0 ? h->v[h->n - 1].count : h->count;
    bool has_inf = h->n > 0 && h->v[h->n - 1].le == INFINITY;
    bool is_float = !is_whole(count);
    for (size_t i = 0; i < h->n && !is_float; i++)
        is_float = !is_whole(h->v[i].count);
    double last = has_inf ? h->v[h->n - 1].count : count;
    if (!(last == count)) {
        struct number written = number(count);
        if (!is_float)
            written.text[num_print_u64((uint64_t)count, written.text)] = '\0';
        return diag_set(d, ERR_SYNTAX, "count mismatch: count=%s != le=+Inf count=%s", written.text, number(last).text);
    }
    fill(h, count, h->n + !has_inf, is_float, a, out);
    histogram_compact(out, is_float ? 0 : INTEGER_MAX_EMPTY, a);
    return OK;
}

/* ---- what series and blocks are ---------------------------------------------------------------------------------- */

static enum nhcb_role role_of(struct str name, uint32_t *base_n)
{
    static const struct {
        struct str suffix;
        enum nhcb_role role;
    } suffixes[] = {{{"_bucket", 7}, NHCB_BUCKET}, {{"_sum", 4}, NHCB_SUM}, {{"_count", 6}, NHCB_COUNT}};
    for (size_t i = 0; i < COUNT_OF(suffixes); i++) {
        if (str_ends(name, suffixes[i].suffix)) {
            *base_n = (uint32_t)(name.n - suffixes[i].suffix.n);
            return suffixes[i].role;
        }
    }
    *base_n = (uint32_t)name.n;
    return NHCB_NONE;
}

static uint64_t hash_or_one(struct str s)
{
    uint64_t hash = hash_bytes(s);
    return hash ? hash : 1; /* 0 is "no TYPE line" */
}

void nhcb_part_of(struct labels series, struct nhcb_part *out)
{
    AUTO_BUF text = {0};
    struct str name = labels_get(series, LABEL_NAME);
    *out = (struct nhcb_part){0};
    out->role = role_of(name, &out->base_n);
    out->name = hash_or_one(str_from(name.p, out->base_n));
    if (out->role == NHCB_BUCKET && (num_parse_double(labels_get(series, STR("le")), &out->le) || isnan(out->le)))
        out->role = NHCB_NONE;
    for (uint32_t i = 0; i < series.n; i++) {
        if (str_eq(series.v[i].name, LABEL_NAME) || str_eq(series.v[i].name, STR("le")))
            continue;
        buf_str(&text, series.v[i].name);
        buf_char(&text, '\xff');
        buf_str(&text, series.v[i].value);
        buf_char(&text, '\xff');
    }
    out->group = hash_bytes_seed(buf_view(&text), out->name);
}

struct labels nhcb_labels(struct labels series, const struct nhcb_part *part, struct arena *a)
{
    struct label *v = ARENA_ARRAY(a, struct label, series.n + 1);
    uint32_t n = 0;
    for (uint32_t i = 0; i < series.n; i++) {
        if (str_eq(series.v[i].name, STR("le")))
            continue;
        v[n] = series.v[i];
        if (str_eq(v[n].name, LABEL_NAME))
            v[n].value.n = part->base_n;
        n++;
    }
    return (struct labels){v, n};
}

void nhcb_block_of(struct str raw, bool openmetrics, struct nhcb_block *out)
{
    struct expo_lexer l = {
        .b = (const unsigned char *)raw.p, .n = raw.n, .kind = openmetrics ? EXPOSITION_OPENMETRICS : EXPOSITION_TEXT};
    struct expo_pairs pairs = {0};
    struct expo_entry entry;
    *out = (struct nhcb_block){0};
    while (l.i < l.n && expo_parse_entry(&l, &entry, &pairs) == OK && entry.kind != ENTRY_EOF) {
        out->breaks = true;
        if (entry.kind != ENTRY_TYPE)
            continue;
        out->name = hash_or_one(entry.name);
        out->histogram = entry.type == TYPE_HISTOGRAM;
    }
}

/* ---- the stage --------------------------------------------------------------------------------------------------- */

static void forget(struct nhcb_stage *s)
{
    nhcb_reset(&s->nhcb);
    s->n_exemplars = 0;
    s->start_ms = 0;
    s->collecting = false;
}

void nhcb_stage_init(struct nhcb_stage *s, struct arena *arena)
{
    forget(s);
    s->arena = arena;
    s->group = s->type_name = 0;
    s->is_histogram = s->has_ts = false;
    s->ts_ms = 0;
    s->result = NULL;
}

void nhcb_stage_release(struct nhcb_stage *s)
{
    nhcb_release(&s->nhcb);
    free(s->exemplars);
    *s = (struct nhcb_stage){0};
}

/* Ends the histogram that is being collected; true: there is a result. */
static bool finish(struct nhcb_stage *s)
{
    if (!s->collecting)
        return false;
    struct nhcb_result *r = ARENA_NEW(s->arena, struct nhcb_result);
    bool good =
        nhcb_convert(&s->nhcb, s->arena, &r->histogram, NULL) == OK && histogram_validate(&r->histogram, NULL) == OK;
    if (good) {
        struct exemplar *v = s->n_exemplars ? arena_memdup(s->arena, s->exemplars, sizeof(*v) * s->n_exemplars) : NULL;
        r->exemplars = v;
        r->n_exemplars = (uint32_t)s->n_exemplars;
        exemplars_sort(v, r->n_exemplars);
        r->has_ts = s->has_ts;
        r->ts_ms = s->ts_ms;
        r->start_ms = s->start_ms;
        s->result = r;
    }
    forget(s);
    return good;
}

bool nhcb_stage_block(struct nhcb_stage *s, const struct nhcb_block *block)
{
    if (!block->breaks)
        return false;
    bool done = finish(s);
    if (block->name) {
        s->type_name = block->name;
        s->is_histogram = block->histogram;
    }
    return done;
}

bool nhcb_stage_end(struct nhcb_stage *s)
{
    return finish(s);
}

unsigned nhcb_stage_series(struct nhcb_stage *s, const struct nhcb_part *part, double value, const int64_t *ts_ms)
{
    unsigned verdict = 0;
    s->has_ts = ts_ms != NULL;
    s->ts_ms = ts_ms ? *ts_ms : 0;
    if (s->collecting && (!s->is_histogram || s->group != part->group) && finish(s))
        verdict |= NHCB_EMIT;
    if (!s->is_histogram || part->name != s->type_name || part->role == NHCB_NONE)
        return verdict;
    verdict |= NHCB_TAKEN;
    if (!s->collecting) {
        verdict |= NHCB_FIRST;
        s->collecting = true;
        s->group = part->group;
    }
    if (part->role == NHCB_BUCKET)
        nhcb_set_bucket(&s->nhcb, part->le, value);
    else if (part->role == NHCB_COUNT)
        nhcb_set_count(&s->nhcb, value);
    else
        nhcb_set_sum(&s->nhcb, value);
    return verdict;
}

void nhcb_stage_exemplar(struct nhcb_stage *s, const struct exemplar *exemplar)
{
    if (!exemplar->has_ts)
        return;
    s->exemplars = mem_grow(s->exemplars, &s->cap_exemplars, s->n_exemplars + 1, sizeof(*s->exemplars));
    s->exemplars[s->n_exemplars++] = *exemplar;
}

void nhcb_stage_start(struct nhcb_stage *s, int64_t start_ms)
{
    if (s->start_ms == 0)
        s->start_ms = start_ms;
}

const struct nhcb_result *nhcb_stage_take(struct nhcb_stage *s)
{
    return s->result;
}

/* emf_diff_compare: what two recordings have in common, and what not.
 *
 *   left    x   x   x   x   x   x
 *   right         y   y   y   y   y   y
 *              [ common time      ]
 *                 [ core  ]              a tolerance less at both ends: what lies here must have a counterpart
 *
 * Recordings begin and end at different moments, and a point near the border may have its counterpart beyond it. So
 * only points of the core must find one, anywhere within the tolerance; a common time that is shorter than two
 * tolerances is taken whole, with a tolerance around it. The tolerance is the interval of the series, the median of its
 * gaps, unless the caller gave one.
 *
 * Sums of counters are those of the core. A delta more or less at each border is the moment of the scrape, so two of
 * the larger side's largest are allowed beside the relative tolerance. Other values cannot be compared moment by
 * moment: their ranges over the common time must meet.
 *
 * Findings of one kind that say the same of several series are one, with their number.
 */
#include <math.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/units.h"
#include "format/emf_diff_int.h"

enum { DEFAULT_INTERVAL_MS = 60000 };

struct comparison {
    struct emf_diff *f;
    struct arena *a;
    struct emf_diff_result *out;
    size_t cap;
    struct map found;                                       /* differences by what they say */
    int64_t from, to;                                       /* common time */
    int64_t interval;                                       /* of series that do not tell theirs */
    bool *present[EMF_DIFF_SIDES], *wanted[EMF_DIFF_SIDES]; /* by label set: has points; has some in the core */
};

struct window {
    int64_t from, to, tolerance;
};

/* ---- findings ---- */

static bool is_same(const void *ctx, uint32_t i)
{
    const void *const *q = ctx;
    const struct emf_difference *have = &((const struct comparison *)q[0])->out->differences[i], *want = q[1];
    return have->kind == want->kind && str_eq(have->subject, want->subject) && str_eq(have->left, want->left) &&
           str_eq(have->right, want->right);
}

static void find(struct comparison *c, enum emf_difference_kind kind, struct str subject, struct str where,
                 struct str left, struct str right)
{
    struct emf_difference d = {
        .kind = kind, .subject = subject, .where = where, .left = left, .right = right, .series = 1};
    const void *query[] = {c, &d};
    uint64_t hash = hash_bytes(subject) ^ hash_bytes(left) * 3 ^ hash_bytes(right) * 5 ^ (uint64_t)kind << 40;
    uint32_t at = map_find(&c->found, hash, is_same, query);

    if (at != MAP_NONE) {
        c->out->differences[at].series++;
        return;
    }
    if (c->out->n == c->cap) {
        size_t cap = 2 * c->cap + 16;
        struct emf_difference *grown = ARENA_ARRAY(c->a, struct emf_difference, cap);
        if (c->out->n)
            memcpy(grown, c->out->differences, c->out->n * sizeof(*grown));
        c->out->differences = grown;
        c->cap = cap;
    }
    map_add(&c->found, hash, c->out->n);
    c->out->differences[c->out->n++] = d;
    c->out->by_kind[kind]++;
}

static struct str name(const struct comparison *c, uint32_t number)
{
    return c->f->names.v[number];
}

/* ---- points ---- */

static int by_time(const void *a, const void *b)
{
    const struct emf_point *x = a, *y = b;
    return x->ts_ms != y->ts_ms ? (x->ts_ms > y->ts_ms) - (x->ts_ms < y->ts_ms)
                                : (x->value > y->value) - (x->value < y->value);
}

/* A request that was sent twice gives every point twice. */
static uint64_t sort_points(struct emf_line *l)
{
    size_t kept = 0;

    if (l->n)
        qsort(l->points, l->n, sizeof(*l->points), by_time);
    for (size_t i = 0; i < l->n; i++)
        if (!kept || by_time(&l->points[kept - 1], &l->points[i]) != 0)
            l->points[kept++] = l->points[i];
    uint64_t repeated = l->n - kept;
    l->n = kept;
    return repeated;
}

static int by_number(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* The median; 0 when there is none. Changes the order. */
static int64_t median(int64_t *v, size_t n)
{
    if (n == 0)
        return 0;
    qsort(v, n, sizeof(*v), by_number);
    return v[n / 2];
}

static int64_t interval_of(const struct emf_line *l)
{
    if (l->n < 2)
        return 0;
    int64_t *gaps = mem_alloc((l->n - 1) * sizeof(*gaps));
    for (size_t i = 1; i < l->n; i++)
        gaps[i - 1] = l->points[i].ts_ms - l->points[i - 1].ts_ms;
    int64_t m = median(gaps, l->n - 1);
    free(gaps);
    return m;
}

static struct window window_of(const struct comparison *c, const struct emf_series *s)
{
    struct window w = {.tolerance = c->f->o.tolerance_ms};

    for (int side = 0; !c->f->o.tolerance_ms && side < EMF_DIFF_SIDES; side++) {
        int64_t interval = interval_of(&s->sides[side]);
        w.tolerance = interval > w.tolerance ? interval : w.tolerance;
    }
    if (!w.tolerance)
        w.tolerance = c->interval;
    w.from = c->from + w.tolerance;
    w.to = c->to - w.tolerance;
    if (w.from > w.to) {
        w.from = c->from - w.tolerance;
        w.to = c->to + w.tolerance;
    }
    return w;
}

static size_t points_in(const struct emf_line *l, const struct window *w)
{
    size_t n = 0;
    for (size_t i = 0; i < l->n; i++)
        n += l->points[i].ts_ms >= w->from && l->points[i].ts_ms <= w->to;
    return n;
}

/* Of the points in the window, those without one of the other line within the tolerance. */
static size_t lonely_points(const struct emf_line *l, const struct emf_line *other, const struct window *w)
{
    size_t n = 0, at = 0;

    for (size_t i = 0; i < l->n; i++) {
        int64_t ts = l->points[i].ts_ms;
        if (ts < w->from || ts > w->to)
            continue;
        while (at < other->n && other->points[at].ts_ms < ts - w->tolerance)
            at++;
        n += at == other->n || other->points[at].ts_ms > ts + w->tolerance;
    }
    return n;
}

/* ---- series of both sides ---- */

static void compare_times(struct comparison *c, const struct emf_series *s, const struct window *w)
{
    size_t alone[EMF_DIFF_SIDES];
    struct str text[EMF_DIFF_SIDES];
    AUTO_BUF tolerance = {0};

    for (int side = 0; side < EMF_DIFF_SIDES; side++)
        alone[side] = lonely_points(&s->sides[side], &s->sides[!side], w);
    if (!alone[EMF_DIFF_LEFT] && !alone[EMF_DIFF_RIGHT])
        return;
    units_print_duration(&tolerance, w->tolerance);
    for (int side = 0; side < EMF_DIFF_SIDES; side++)
        text[side] = alone[side] ? str_c(arena_printf(c->a, "%zu of %zu have none within %s", alone[side],
                                                      points_in(&s->sides[side], w), tolerance.p))
                                 : STR("");
    find(c, EMF_DIFF_TIMES, name(c, s->metric), name(c, s->labels), text[EMF_DIFF_LEFT], text[EMF_DIFF_RIGHT]);
}

struct range {
    double sum, min, max;
    size_t n;
};

static struct range range_of(const struct emf_line *l, int64_t from, int64_t to)
{
    struct range r = {0};

    for (size_t i = 0; i < l->n; i++) {
        double v = l->points[i].value;
        if (l->points[i].ts_ms < from || l->points[i].ts_ms > to)
            continue;
        r.min = r.n && r.min < v ? r.min : v;
        r.max = r.n && r.max > v ? r.max : v;
        r.sum += v;
        r.n++;
    }
    return r;
}

static double larger(double a, double b)
{
    return fabs(a) > fabs(b) ? fabs(a) : fabs(b);
}

static struct str range_text(struct comparison *c, const struct range *r, bool counter)
{
    AUTO_BUF text = {0};

    if (counter) {
        buf_c(&text, "sum ");
        buf_double(&text, r->sum);
    } else {
        buf_double(&text, r->min);
        if (r->max > r->min) {
            buf_c(&text, " to ");
            buf_double(&text, r->max);
        }
    }
    return str_dup(c->a, buf_view(&text));
}

static void compare_values(struct comparison *c, const struct emf_series *s, const struct window *w)
{
    int64_t from = s->counter ? w->from : c->from - w->tolerance, to = s->counter ? w->to : c->to + w->tolerance;
    struct range l = range_of(&s->sides[EMF_DIFF_LEFT], from, to), r = range_of(&s->sides[EMF_DIFF_RIGHT], from, to);
    bool equal;

    if (!l.n || !r.n)
        return;
    if (s->counter) {
        double border = l.n + r.n > 2 ? 2 * larger(larger(l.max, l.min), larger(r.max, r.min)) : 0;
        equal = fabs(l.sum - r.sum) <= c->f->o.value_tolerance * larger(l.sum, r.sum) + border;
    } else {
        double slack = c->f->o.value_tolerance * larger(larger(l.max, l.min), larger(r.max, r.min));
        equal = l.min <= r.max + slack && r.min <= l.max + slack;
    }
    if (!equal)
        find(c, EMF_DIFF_VALUES, name(c, s->metric), name(c, s->labels), range_text(c, &l, s->counter),
             range_text(c, &r, s->counter));
}

/* What of a line's directives the other has not. */
static struct str directives_beyond(struct comparison *c, const struct emf_line *l, const struct emf_line *other)
{
    AUTO_BUF text = {0};

    for (size_t i = 0; i < l->n_directives; i++) {
        size_t k = 0;
        while (k < other->n_directives && other->directives[k] != l->directives[i])
            k++;
        if (k < other->n_directives)
            continue;
        buf_printf(&text, "%s%.*s", text.n ? "; " : "", STR_ARGS(name(c, l->directives[i])));
    }
    return str_dup(c->a, buf_view(&text));
}

static void compare_directives(struct comparison *c, const struct emf_series *s)
{
    const struct emf_line *l = &s->sides[EMF_DIFF_LEFT], *r = &s->sides[EMF_DIFF_RIGHT];
    struct str left = directives_beyond(c, l, r), right = directives_beyond(c, r, l);

    if (left.n || right.n)
        find(c, EMF_DIFF_DIRECTIVE, name(c, s->metric), name(c, s->labels), left, right);
}

/* ---- what one side has alone ---- */

static void compare_label_names(struct comparison *c)
{
    for (int side = 0; side < EMF_DIFF_SIDES; side++) {
        const struct emf_names *mine = &c->f->label_names[side], *others = &c->f->label_names[!side];
        for (uint32_t i = 0; i < mine->n; i++)
            if (!emf_has_name(others, mine->v[i]))
                find(c, EMF_DIFF_LABEL_NAME, mine->v[i], STR(""), side == EMF_DIFF_LEFT ? STR("present") : STR(""),
                     side == EMF_DIFF_RIGHT ? STR("present") : STR(""));
    }
}

static void mark_label_sets(struct comparison *c)
{
    for (int side = 0; side < EMF_DIFF_SIDES; side++) {
        c->present[side] = ARENA_ARRAY(c->a, bool, c->f->names.n + 1);
        c->wanted[side] = ARENA_ARRAY(c->a, bool, c->f->names.n + 1);
    }
    for (uint32_t i = 0; i < c->f->n; i++) {
        const struct emf_series *s = &c->f->series[i];
        struct window w = window_of(c, s);
        for (int side = 0; side < EMF_DIFF_SIDES; side++) {
            struct emf_diff_side *totals = &c->out->sides[side];
            if (!s->sides[side].n)
                continue;
            totals->series++;
            totals->label_sets += !c->present[side][s->labels];
            c->present[side][s->labels] = true;
            c->wanted[side][s->labels] = c->wanted[side][s->labels] || points_in(&s->sides[side], &w);
        }
    }
}

/* One finding for each label set, with the number of its metrics. */
static void compare_label_sets(struct comparison *c)
{
    for (int side = 0; side < EMF_DIFF_SIDES; side++) {
        uint32_t *metrics = ARENA_ARRAY(c->a, uint32_t, c->f->names.n + 1);
        for (uint32_t i = 0; i < c->f->n; i++)
            metrics[c->f->series[i].labels] += c->f->series[i].sides[side].n > 0;
        for (uint32_t i = 0; i < c->f->names.n; i++) {
            if (!c->wanted[side][i] || c->present[!side][i])
                continue;
            struct str text = str_c(arena_printf(c->a, "%u metric%s", metrics[i], metrics[i] == 1 ? "" : "s"));
            find(c, EMF_DIFF_LABEL_SET, name(c, i), STR(""), side == EMF_DIFF_LEFT ? text : STR(""),
                 side == EMF_DIFF_RIGHT ? text : STR(""));
        }
    }
}

static void compare_lone_metric(struct comparison *c, const struct emf_series *s, int side, const struct window *w)
{
    if (!c->present[!side][s->labels] || !points_in(&s->sides[side], w))
        return;
    find(c, EMF_DIFF_METRIC, name(c, s->metric), name(c, s->labels), side == EMF_DIFF_LEFT ? STR("present") : STR(""),
         side == EMF_DIFF_RIGHT ? STR("present") : STR(""));
}

/* ---- the whole ---- */

static int64_t usual_interval(const struct emf_diff *f)
{
    int64_t *v = mem_alloc((2 * (size_t)f->n + 1) * sizeof(*v)), m;
    size_t n = 0;

    for (uint32_t i = 0; i < f->n; i++)
        for (int side = 0; side < EMF_DIFF_SIDES; side++)
            if ((m = interval_of(&f->series[i].sides[side])) > 0)
                v[n++] = m;
    m = median(v, n);
    free(v);
    return f->o.tolerance_ms ? f->o.tolerance_ms : m ? m : DEFAULT_INTERVAL_MS;
}

static enum err find_common_time(struct comparison *c, struct diag *d)
{
    const struct emf_diff_side *l = &c->out->sides[EMF_DIFF_LEFT], *r = &c->out->sides[EMF_DIFF_RIGHT];

    for (int side = 0; side < EMF_DIFF_SIDES; side++)
        if (!c->out->sides[side].values)
            return diag_set(d, ERR_NOT_FOUND, "%s has no metrics in this time",
                            side == EMF_DIFF_LEFT ? "the first group" : "the second group");
    c->from = l->first_ms > r->first_ms ? l->first_ms : r->first_ms;
    c->to = l->last_ms < r->last_ms ? l->last_ms : r->last_ms;
    if (c->from > c->to + c->interval)
        return diag_set(d, ERR_NOT_FOUND, "the two groups have no time in common: one ends before the other begins");
    c->out->from_ms = c->from;
    c->out->to_ms = c->to;
    return OK;
}

static int by_kind(const void *a, const void *b)
{
    const struct emf_difference *x = a, *y = b;
    return x->kind != y->kind       ? (int)x->kind - (int)y->kind
           : x->series != y->series ? (x->series < y->series) - (x->series > y->series)
                                    : str_cmp(x->subject, y->subject);
}

enum err emf_diff_compare(struct emf_diff *f, struct arena *a, struct emf_diff_result *out, struct diag *d)
{
    struct comparison c = {.f = f, .a = a, .out = out};
    enum err err;

    *out = (struct emf_diff_result){0};
    for (uint32_t i = 0; i < f->n; i++)
        for (int side = 0; side < EMF_DIFF_SIDES; side++)
            f->sides[side].repeated += sort_points(&f->series[i].sides[side]);
    memcpy(out->sides, f->sides, sizeof(out->sides));
    c.interval = usual_interval(f);
    err = find_common_time(&c, d);
    if (err)
        return err;
    mark_label_sets(&c);
    compare_label_names(&c);
    compare_label_sets(&c);
    for (uint32_t i = 0; i < f->n; i++) {
        const struct emf_series *s = &f->series[i];
        struct window w = window_of(&c, s);
        bool left = s->sides[EMF_DIFF_LEFT].n > 0, right = s->sides[EMF_DIFF_RIGHT].n > 0;
        if (left != right)
            compare_lone_metric(&c, s, left ? EMF_DIFF_LEFT : EMF_DIFF_RIGHT, &w);
        if (!left || !right)
            continue;
        compare_directives(&c, s);
        compare_times(&c, s, &w);
        compare_values(&c, s, &w);
    }
    if (out->n)
        qsort(out->differences, out->n, sizeof(*out->differences), by_kind);
    map_release(&c.found);
    return OK;
}

/* emf_diff_read: events to series.
 *
 *   {"CloudWatchMetrics": [{"Namespace","Dimensions","Metrics"}], "Version": "0", "job": "web", "x": 5}
 *                 |                                                     |            |
 *        directives of metrics, as texts               label set, as text            a point of (label set, metric)
 *
 * A label set is written as {job="web", ...} in the order of names, a directive as `Namespace [a, b] Count`: what is
 * equal as text is equal, and the texts are what people are shown. Numbers are values; so is an object with Values and
 * Counts (a distribution, by its number of observations) and an array of numbers (by its length).
 */
#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/quote.h"
#include "format/emf_diff_int.h"
#include "wire/tree.h"

enum { BILLED_OVERHEAD = 26, METRICS_MAX = 100 };

/* ---- names ---- */

struct name_query {
    const struct emf_names *t;
    struct str s;
};

static bool is_name(const void *ctx, uint32_t i)
{
    const struct name_query *q = ctx;
    return str_eq(q->t->v[i], q->s);
}

uint32_t emf_name(struct emf_names *t, struct str s)
{
    struct name_query q = {t, s};
    uint64_t hash = hash_bytes(s);
    uint32_t at = map_find(&t->map, hash, is_name, &q);

    if (at != MAP_NONE)
        return at;
    t->v = mem_grow(t->v, &t->cap, t->n + 1, sizeof(*t->v));
    t->v[t->n] = str_dup(&t->arena, s);
    map_add(&t->map, hash, t->n);
    return t->n++;
}

bool emf_has_name(const struct emf_names *t, struct str s)
{
    return map_find(&t->map, hash_bytes(s), is_name, &(struct name_query){t, s}) != MAP_NONE;
}

static void names_release(struct emf_names *t)
{
    map_release(&t->map);
    arena_release(&t->arena);
    free(t->v);
}

/* ---- series ---- */

struct series_query {
    const struct emf_diff *f;
    uint32_t labels, metric;
};

static bool is_series(const void *ctx, uint32_t i)
{
    const struct series_query *q = ctx;
    return q->f->series[i].labels == q->labels && q->f->series[i].metric == q->metric;
}

static struct emf_series *series_of(struct emf_diff *f, uint32_t labels, struct str metric)
{
    struct series_query q = {f, labels, emf_name(&f->names, metric)};
    uint32_t key[2] = {q.labels, q.metric};
    uint64_t hash = hash_bytes(str_from((const char *)key, sizeof(key)));
    uint32_t at = map_find(&f->by_key, hash, is_series, &q);

    if (at == MAP_NONE) {
        f->series = mem_grow(f->series, &f->cap, f->n + 1, sizeof(*f->series));
        f->series[f->n] = (struct emf_series){.labels = q.labels, .metric = q.metric};
        at = f->n++;
        map_add(&f->by_key, hash, at);
    }
    return &f->series[at];
}

static void add_point(struct emf_line *l, int64_t ts_ms, double value)
{
    l->points = mem_grow(l->points, &l->cap, l->n + 1, sizeof(*l->points));
    l->points[l->n++] = (struct emf_point){ts_ms, value};
}

static void add_directive(struct emf_line *l, uint32_t name)
{
    size_t at = 0;

    while (at < l->n_directives && l->directives[at] < name)
        at++;
    if (at < l->n_directives && l->directives[at] == name)
        return;
    l->directives = mem_grow(l->directives, &l->cap_directives, l->n_directives + 1, sizeof(*l->directives));
    memmove(l->directives + at + 1, l->directives + at, (l->n_directives - at) * sizeof(*l->directives));
    l->directives[at] = name;
    l->n_directives++;
}

/* ---- labels ---- */

static int by_key(const void *a, const void *b)
{
    return str_cmp((*(const struct node *const *)a)->key, (*(const struct node *const *)b)->key);
}

static bool is_label(const struct emf_diff *f, const struct node *n)
{
    if (n->kind != NODE_STRING || str_eq(n->key, STR("Version")) || str_eq(n->key, STR("Timestamp")))
        return false;
    for (uint32_t i = 0; i < f->o.n_ignored_labels; i++)
        if (str_eq(f->o.ignored_labels[i], n->key))
            return false;
    return true;
}

static uint32_t read_labels(struct emf_diff *f, int side, const struct node *event)
{
    const struct node **sorted = ARENA_ARRAY(&f->scratch, const struct node *, event->n + 1);
    uint32_t n = 0;
    AUTO_BUF text = {0};

    for (const struct node *m = event->first; m; m = m->next)
        if (is_label(f, m))
            sorted[n++] = m;
    qsort(sorted, n, sizeof(*sorted), by_key);
    buf_char(&text, '{');
    for (uint32_t i = 0; i < n; i++) {
        buf_printf(&text, "%s%.*s=", i ? ", " : "", STR_ARGS(sorted[i]->key));
        buf_quote_json(&text, sorted[i]->text);
        emf_name(&f->label_names[side], sorted[i]->key);
    }
    buf_char(&text, '}');
    return emf_name(&f->names, buf_view(&text));
}

static bool ends_with_count(struct str metric)
{
    return str_ends(metric, STR("_sum")) || str_ends(metric, STR("_count")) || str_ends(metric, STR("_bucket"));
}

static bool is_counter(const struct node *event, struct str metric)
{
    struct str type = node_text(event, "prom_metric_type");

    if (str_eq(type, STR("summary")) || str_eq(type, STR("histogram")))
        return ends_with_count(metric);
    return str_eq(type, STR("counter"));
}

/* ---- directives ---- */

static int by_text(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static struct str dimensions_text(struct emf_diff *f, const struct node *set)
{
    struct str *names = ARENA_ARRAY(&f->scratch, struct str, set->n + 1);
    uint32_t n = 0;
    AUTO_BUF text = {0};

    for (const struct node *d = set->first; d; d = d->next)
        names[n++] = d->text;
    qsort(names, n, sizeof(*names), by_text);
    buf_char(&text, '[');
    for (uint32_t i = 0; i < n; i++)
        buf_printf(&text, "%s%.*s", i ? ", " : "", STR_ARGS(names[i]));
    buf_char(&text, ']');
    return str_dup(&f->scratch, buf_view(&text));
}

/* One metric of a directive, under each of its dimension sets. */
static void read_metric(struct emf_diff *f, int side, uint32_t labels, struct str name_space, const struct node *metric,
                        const struct str *sets, uint32_t n)
{
    const struct node *resolution = node_member(metric, "StorageResolution", NODE_NUMBER);
    struct str unit = node_text(metric, "Unit");
    AUTO_BUF text = {0};

    for (uint32_t i = 0; i < n; i++) {
        buf_clear(&text);
        buf_printf(&text, "%.*s %.*s", STR_ARGS(name_space), STR_ARGS(sets[i]));
        if (unit.n && !str_eq(unit, STR("None")))
            buf_printf(&text, " %.*s", STR_ARGS(unit));
        if (resolution && !str_eq(resolution->text, STR("60")))
            buf_printf(&text, " %.*ss", STR_ARGS(resolution->text));
        struct emf_series *s = series_of(f, labels, node_text(metric, "Name"));
        add_directive(&s->sides[side], emf_name(&f->names, buf_view(&text)));
    }
    struct emf_series *s = series_of(f, labels, node_text(metric, "Name"));
    if (n)
        f->sides[side].declared_values += s->sides[side].n > 0;
}

static void read_directive(struct emf_diff *f, int side, uint32_t labels, const struct node *directive, bool *over)
{
    const struct node *dimensions = node_member(directive, "Dimensions", NODE_SEQUENCE);
    const struct node *metrics = node_member(directive, "Metrics", NODE_SEQUENCE);
    struct str name_space = node_text(directive, "Namespace");
    struct str *sets = ARENA_ARRAY(&f->scratch, struct str, (dimensions ? dimensions->n : 0) + 1);
    uint32_t n = 0;

    if (f->o.namespace_suffix.n && str_ends(name_space, f->o.namespace_suffix))
        name_space.n -= f->o.namespace_suffix.n;
    if (dimensions)
        for (const struct node *set = dimensions->first; set; set = set->next)
            if (set->kind == NODE_SEQUENCE)
                sets[n++] = dimensions_text(f, set);
    if (!metrics)
        return;
    *over = *over || metrics->n > METRICS_MAX;
    for (const struct node *m = metrics->first; m; m = m->next)
        if (m->kind == NODE_MAPPING)
            read_metric(f, side, labels, name_space, m, sets, n);
}

/* ---- events ---- */

static bool read_value(const struct node *n, double *out)
{
    const struct node *counts;

    if (n->kind == NODE_NUMBER)
        return node_double(n, out);
    if (n->kind == NODE_SEQUENCE && n->first && n->first->kind == NODE_NUMBER) {
        *out = n->n;
        return true;
    }
    if (n->kind != NODE_MAPPING)
        return false;
    counts = node_member(n, "Counts", NODE_SEQUENCE);
    if (!counts)
        return false;
    *out = 0;
    for (const struct node *c = counts->first; c; c = c->next) {
        double v = 0;
        if (c->kind == NODE_NUMBER && node_double(c, &v))
            *out += v;
    }
    return true;
}

static void read_event(struct emf_diff *f, int side, int64_t ts_ms, const struct node *event)
{
    const struct node *aws = node_member(event, "_aws", NODE_MAPPING);
    const struct node *directives = node_member(aws ? aws : event, "CloudWatchMetrics", NODE_SEQUENCE);
    struct emf_diff_side *s = &f->sides[side];
    uint32_t labels = read_labels(f, side, event);
    bool over = false;

    for (const struct node *m = event->first; m; m = m->next) {
        double value;
        if (str_eq(m->key, STR("CloudWatchMetrics")) || str_eq(m->key, STR("_aws")) ||
            str_eq(m->key, STR("Timestamp")) || !read_value(m, &value))
            continue;
        struct emf_series *series = series_of(f, labels, m->key);
        series->counter = m->kind != NODE_NUMBER || is_counter(event, m->key);
        add_point(&series->sides[side], ts_ms, value);
        s->values++;
    }
    for (const struct node *d = directives ? directives->first : NULL; d; d = d->next)
        if (d->kind == NODE_MAPPING)
            read_directive(f, side, labels, d, &over);
    s->version_1 += aws != NULL;
    s->over_100 += over;
}

void emf_diff_add(struct emf_diff *f, int side, int64_t ts_ms, struct str text)
{
    struct emf_diff_side *s = &f->sides[side];
    struct node *root = NULL;

    s->events++;
    s->billed_bytes += text.n + BILLED_OVERHEAD;
    if (!s->first_ms || ts_ms < s->first_ms)
        s->first_ms = ts_ms;
    if (ts_ms > s->last_ms)
        s->last_ms = ts_ms;
    if (tree_parse_json(text, "event", &f->scratch, &root, NULL) == OK && root && root->kind == NODE_MAPPING)
        read_event(f, side, ts_ms, root);
    else
        s->others++;
    arena_reset(&f->scratch);
}

struct emf_diff *emf_diff_new(const struct emf_diff_options *o)
{
    struct emf_diff *f = NEW(struct emf_diff);
    f->o = *o;
    return f;
}

void emf_diff_free(struct emf_diff *f)
{
    if (!f)
        return;
    for (uint32_t i = 0; i < f->n; i++) {
        for (int side = 0; side < EMF_DIFF_SIDES; side++) {
            free(f->series[i].sides[side].points);
            free(f->series[i].sides[side].directives);
        }
    }
    for (int side = 0; side < EMF_DIFF_SIDES; side++)
        names_release(&f->label_names[side]);
    names_release(&f->names);
    map_release(&f->by_key);
    arena_release(&f->scratch);
    free(f->series);
    free(f);
}

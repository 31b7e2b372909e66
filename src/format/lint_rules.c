/* lint_rules: promlint's nine rules (client_golang prometheus/testutil/promlint), and the families that they look at.
 *
 *   help        every family has a HELP text
 *   units       base units: the first word of the name that is a unit, with or without a prefix, is one
 *   counter     counters end in _total, nothing else does
 *   reserved    _bucket, _count, _sum, le and quantile belong to histograms and summaries
 *   type name   the type is not part of the name
 *   colons      those are for recording rules
 *   camel case  neither in names nor in labels
 *   shortened   no abbreviated units
 *   repeated    no two metrics with the same labels in the same order
 *
 * A rule that looks at labels speaks once for each metric it finds, as promlint does. Sorted by metric, then text. The
 * position is that of the line where the family begins; of a rule about labels and of a repetition, the series' line.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/mem.h"
#include "format/lint_int.h"

/* ---- families ---- */

struct name_key {
    const struct lint_groups *g;
    struct str name;
};

static bool same_name(const void *ctx, uint32_t index)
{
    const struct name_key *k = ctx;
    return str_eq(k->g->v[index].name, k->name);
}

struct lint_group *lint_groups_find(struct lint_groups *g, struct str name)
{
    struct name_key k = {g, name};
    uint32_t i = map_find(&g->by_name, hash_bytes(name), same_name, &k);
    return i == MAP_NONE ? NULL : &g->v[i];
}

struct lint_group *lint_groups_add(struct lint_groups *g, struct str name, uint32_t line, uint32_t col)
{
    g->v = mem_grow(g->v, &g->cap, g->n + 1, sizeof(*g->v));
    g->v[g->n] = (struct lint_group){.name = str_dup(g->arena, name), .line = line, .col = col};
    map_add(&g->by_name, hash_bytes(name), (uint32_t)g->n);
    return &g->v[g->n++];
}

struct labels_key {
    const struct lint_group *g;
    uint64_t hash;
};

/* By the whole of a 64-bit hash: two label sets of one page that agree in it are not a case to provide for. */
static bool same_labels(const void *ctx, uint32_t index)
{
    const struct labels_key *k = ctx;
    return k->g->metrics[index].hash == k->hash;
}

struct lint_metric *lint_group_find(struct lint_group *g, struct labels sorted)
{
    struct labels_key k = {g, labels_hash(sorted)};
    uint32_t i = map_find(&g->by_labels, k.hash, same_labels, &k);
    return i == MAP_NONE ? NULL : &g->metrics[i];
}

struct lint_metric *lint_group_add(struct lint_groups *all, struct lint_group *g, struct labels labels,
                                   const struct labels *sorted, uint32_t line, uint32_t col)
{
    uint64_t hash = labels_hash(sorted ? *sorted : labels);

    g->metrics = mem_grow(g->metrics, &g->cap, g->n + 1, sizeof(*g->metrics));
    g->metrics[g->n] = (struct lint_metric){.labels = labels, .hash = hash, .line = line, .col = col};
    if (sorted)
        map_add(&g->by_labels, hash, (uint32_t)g->n);
    all->n_metrics++;
    return &g->metrics[g->n++];
}

void lint_groups_release(struct lint_groups *g)
{
    for (size_t i = 0; i < g->n; i++) {
        free(g->v[i].metrics);
        map_release(&g->v[i].by_labels);
    }
    free(g->v);
    map_release(&g->by_name);
    *g = (struct lint_groups){0};
}

/* ---- findings ---- */

void lint_add(struct lint_report *r, uint32_t line, uint32_t col, struct str metric, struct str text)
{
    r->v = mem_grow(r->v, &r->cap, r->n + 1, sizeof(*r->v));
    r->v[r->n++] = (struct lint_finding){line, col, metric, text};
}

void lint_report_release(struct lint_report *r)
{
    free(r->v);
    *r = (struct lint_report){0};
}

struct judge {
    struct lint_report *out;
    struct arena *arena;
    const struct lint_group *g;
};

static void say(struct judge *j, struct str text)
{
    lint_add(j->out, j->g->line, j->g->col, j->g->name, text);
}

static void say_of(struct judge *j, const struct lint_metric *m, struct str text)
{
    lint_add(j->out, m->line, m->col, j->g->name, text);
}

/* ---- rules about names ---- */

static const struct {
    const char *unit, *base;
} units[] = {
    {"amperes", "amperes"}, {"bytes", "bytes"},     {"celsius", "celsius"}, {"grams", "grams"},
    {"joules", "joules"},   {"kelvin", "kelvin"},   {"meters", "meters"},   {"metres", "metres"},
    {"seconds", "seconds"}, {"volts", "volts"},     {"minutes", "seconds"}, {"hours", "seconds"},
    {"days", "seconds"},    {"weeks", "seconds"},   {"kelvins", "kelvin"},  {"fahrenheit", "celsius"},
    {"rankine", "celsius"}, {"inches", "meters"},   {"yards", "meters"},    {"miles", "meters"},
    {"bits", "bytes"},      {"calories", "joules"}, {"pounds", "grams"},    {"ounces", "grams"},
};

static const char *const prefixes[] = {"pico", "nano", "micro", "milli", "centi", "deci", "deca", "hecto", "kilo",
                                       "kibi", "mega", "mibi",  "giga",  "gibi",  "tera", "tebi", "peta",  "pebi"};

static const char *const short_units[] = {"s",  "ms", "us", "ns", "sec", "b", "kb",
                                          "mb", "gb", "tb", "pb", "m",   "h", "d"};

static const char *base_of(struct str word)
{
    for (size_t i = 0; i < COUNT_OF(units); i++)
        if (str_eq_c(word, units[i].unit))
            return units[i].base;
    return NULL;
}

static const char *base_of_prefixed(struct str word)
{
    for (size_t i = 0; i < COUNT_OF(prefixes); i++) {
        struct str prefix = str_c(prefixes[i]);
        const char *base = str_starts(word, prefix) ? base_of(str_from(word.p + prefix.n, word.n - prefix.n)) : NULL;
        if (base)
            return base;
    }
    return NULL;
}

static void rule_units(struct judge *j)
{
    struct str word, more = j->g->name;

    do {
        str_cut(more, '_', &word, &more);
        const char *base = base_of(word);
        if (!base)
            base = base_of_prefixed(word);
        if (!base)
            continue;
        if (!str_eq_c(word, base))
            say(j, str_c(arena_printf(j->arena, "use base unit \"%s\" instead of \"%.*s\"", base, STR_ARGS(word))));
        return;
    } while (more.n);
}

static void rule_counter(struct judge *j)
{
    bool total = str_ends(j->g->name, STR("_total"));

    if (j->g->type == LINT_COUNTER && !total)
        say(j, STR("counter metrics should have \"_total\" suffix"));
    else if (j->g->type != LINT_COUNTER && j->g->type != LINT_UNTYPED && total)
        say(j, STR("non-counter metrics should not have \"_total\" suffix"));
}

static struct str lower(struct arena *a, struct str s)
{
    char *copy = arena_memdup(a, s.p, s.n + 1);

    for (size_t i = 0; i < s.n; i++)
        if (copy[i] >= 'A' && copy[i] <= 'Z')
            copy[i] = (char)(copy[i] + 32);
    return str_from(copy, s.n);
}

/* "_word_" inside, or "_word" at the end. */
static bool has_word(struct str name, const char *word)
{
    struct str rest = name, w = str_c(word);

    for (size_t i = 0; i + 1 + w.n <= rest.n; i++)
        if (rest.p[i] == '_' && memcmp(rest.p + i + 1, w.p, w.n) == 0 &&
            (i + 1 + w.n == rest.n || rest.p[i + 1 + w.n] == '_'))
            return true;
    return false;
}

static void rule_type_in_name(struct judge *j)
{
    static const char *const names[] = {NULL, "counter", "gauge", "summary", "histogram", "gauge_histogram", NULL};
    const char *type = names[j->g->type];

    if (type && has_word(lower(j->arena, j->g->name), type))
        say(j, str_c(arena_printf(j->arena, "metric name should not include type '%s'", type)));
}

static bool is_camel(struct str s)
{
    for (size_t i = 0; i + 1 < s.n; i++)
        if (s.p[i] >= 'a' && s.p[i] <= 'z' && s.p[i + 1] >= 'A' && s.p[i + 1] <= 'Z')
            return true;
    return false;
}

static void rule_short_units(struct judge *j)
{
    struct str name = lower(j->arena, j->g->name);

    for (size_t i = 0; i < COUNT_OF(short_units); i++)
        if (has_word(name, short_units[i]))
            say(j, STR("metric names should not contain abbreviated units"));
}

static void rule_reserved_names(struct judge *j)
{
    struct str name = j->g->name;
    bool histogram = j->g->type == LINT_HISTOGRAM, summary = j->g->type == LINT_SUMMARY;

    if (!histogram && str_ends(name, STR("_bucket")))
        say(j, STR("non-histogram metrics should not have \"_bucket\" suffix"));
    if (!histogram && !summary && str_ends(name, STR("_count")))
        say(j, STR("non-histogram and non-summary metrics should not have \"_count\" suffix"));
    if (!histogram && !summary && str_ends(name, STR("_sum")))
        say(j, STR("non-histogram and non-summary metrics should not have \"_sum\" suffix"));
}

/* ---- rules about labels ---- */

static void rule_labels(struct judge *j)
{
    bool histogram = j->g->type == LINT_HISTOGRAM, summary = j->g->type == LINT_SUMMARY;
    bool typed = j->g->type != LINT_UNTYPED;

    for (size_t i = 0; i < j->g->n; i++) {
        const struct lint_metric *m = &j->g->metrics[i];
        for (uint32_t k = 0; k < m->labels.n; k++) {
            struct str name = m->labels.v[k].name;
            if (typed && !histogram && str_eq(name, STR("le")))
                say_of(j, m, STR("non-histogram metrics should not have \"le\" label"));
            if (typed && !summary && str_eq(name, STR("quantile")))
                say_of(j, m, STR("non-summary metrics should not have \"quantile\" label"));
            if (is_camel(name))
                say_of(j, m, STR("label names should be written in 'snake_case' not 'camelCase'"));
        }
    }
}

static int by_hash(const void *a, const void *b)
{
    const struct lint_metric *const *x = a, *const *y = b;
    if ((*x)->hash != (*y)->hash)
        return (*x)->hash < (*y)->hash ? -1 : 1;
    return (*x < *y) ? -1 : *x > *y;
}

/* Once for each metric that one after it repeats; the position is the repetition's. */
static void rule_repeated(struct judge *j)
{
    size_t n = j->g->n;
    const struct lint_metric **sorted;

    if (n < 2)
        return;
    sorted = mem_alloc(n * sizeof(*sorted));
    for (size_t i = 0; i < n; i++)
        sorted[i] = &j->g->metrics[i];
    qsort(sorted, n, sizeof(*sorted), by_hash);
    for (size_t i = 0; i + 1 < n; i++)
        if (sorted[i]->hash == sorted[i + 1]->hash && labels_eq(sorted[i]->labels, sorted[i + 1]->labels))
            say_of(j, sorted[i + 1], STR("metric not unique"));
    free(sorted);
}

/* ---- all of them ---- */

static int by_metric_and_text(const void *a, const void *b)
{
    const struct lint_finding *x = a, *y = b;
    int c = str_cmp(x->metric, y->metric);

    if (!c)
        c = str_cmp(x->text, y->text);
    if (!c)
        c = (x->line > y->line) - (x->line < y->line);
    return c;
}

static int by_series(const void *a, const void *b)
{
    const struct lint_family *x = a, *y = b;
    return x->series != y->series ? (x->series < y->series ? 1 : -1) : str_cmp(x->name, y->name);
}

/* As promtool counts: a histogram or summary is as many series as its first metric suggests. */
static uint64_t count_series(const struct lint_group *g)
{
    bool parts = g->type == LINT_HISTOGRAM || g->type == LINT_SUMMARY;
    return parts ? g->n * (2 + (uint64_t)g->metrics[0].parts) : g->n;
}

static void judge_group(struct judge *j)
{
    if (!j->g->has_help)
        say(j, STR("no help text"));
    rule_units(j);
    rule_counter(j);
    if (j->g->type != LINT_UNTYPED)
        rule_reserved_names(j);
    rule_labels(j);
    rule_type_in_name(j);
    if (j->g->name.n && memchr(j->g->name.p, ':', j->g->name.n))
        say(j, STR("metric names should not contain ':'"));
    if (is_camel(j->g->name))
        say(j, STR("metric names should be written in 'snake_case' not 'camelCase'"));
    rule_short_units(j);
    rule_repeated(j);
}

void lint_rules(const struct lint_groups *g, struct arena *a, struct lint_report *out)
{
    struct judge j = {out, a, NULL};

    out->families = ARENA_ARRAY(a, struct lint_family, g->n + 1);
    for (size_t i = 0; i < g->n; i++) {
        j.g = &g->v[i];
        if (j.g->n == 0)
            continue;
        judge_group(&j);
        out->families[out->n_families++] = (struct lint_family){j.g->name, count_series(j.g)};
    }
    if (out->n)
        qsort(out->v, out->n, sizeof(*out->v), by_metric_and_text);
    qsort(out->families, out->n_families, sizeof(*out->families), by_series);
}

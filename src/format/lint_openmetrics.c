/* lint_openmetrics: promlint's rules for OpenMetrics. The page is read by the scraper's own parser, so what is refused
 * here is refused there.
 *
 * A family's name has no _total in OpenMetrics, its samples have; the rules are about what people see in queries, so
 * they are given the name of the sample: x_total for a counter, x_info for an info.
 */
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "format/exposition.h"
#include "format/lint_int.h"

struct page {
    struct exposition e;
    struct arena *arena;
    struct lint_groups groups;
    const char *counted; /* lines are counted up to here */
    uint32_t line;
    struct family *families; /* of the last block of comments */
    uint32_t n_families;
    struct family last; /* the family that is spoken of */
};

static enum lint_type type_of(enum metric_type t)
{
    switch (t) {
    case TYPE_COUNTER:
        return LINT_COUNTER;
    case TYPE_GAUGE:
        return LINT_GAUGE;
    case TYPE_HISTOGRAM:
        return LINT_HISTOGRAM;
    case TYPE_GAUGE_HISTOGRAM:
        return LINT_GAUGE_HISTOGRAM;
    case TYPE_SUMMARY:
        return LINT_SUMMARY;
    case TYPE_INFO:
    case TYPE_STATESET:
        return LINT_OTHER;
    case TYPE_UNKNOWN:
        break;
    }
    return LINT_UNTYPED;
}

/* Which part of a family a sample's name says it is; false when it is of another family. */
static bool part_of(const struct family *f, struct str name, struct str *suffix)
{
    if (!f->name.n || !str_starts(name, f->name))
        return false;
    *suffix = str_from(name.p + f->name.n, name.n - f->name.n);
    if (suffix->n == 0)
        return true;
    static const char *const ends[] = {"_total", "_created", "_count", "_sum", "_bucket", "_gcount", "_gsum", "_info"};
    for (size_t i = 0; i < COUNT_OF(ends); i++)
        if (str_eq_c(*suffix, ends[i]))
            return f->type != TYPE_UNKNOWN && f->type != TYPE_GAUGE && f->type != TYPE_STATESET;
    return false;
}

static void count_lines(struct page *p, const char *upto)
{
    for (; p->counted < upto; p->counted++)
        p->line += *p->counted == '\n';
}

static void note_families(struct page *p, struct str block)
{
    exposition_families(block, EXPOSITION_OPENMETRICS, p->arena, &p->families, &p->n_families);
    if (p->n_families)
        p->last = p->families[p->n_families - 1];
}

static struct lint_group *group_of(struct page *p, const struct family *f, struct str shown, uint32_t line)
{
    struct lint_group *g = lint_groups_find(&p->groups, shown);

    if (g)
        return g;
    g = lint_groups_add(&p->groups, shown, line, 1);
    g->type = type_of(f->type);
    g->has_help = f->help.n > 0;
    return g;
}

static void take_series(struct page *p, struct labels l, uint32_t line)
{
    struct str name = labels_get(l, LABEL_NAME), suffix = STR_NONE, shown = name;
    struct label *kept = ARENA_ARRAY(p->arena, struct label, l.n + 1);
    bool parted = false;
    uint32_t n = 0;

    if (!part_of(&p->last, name, &suffix))
        p->last = (struct family){.name = name};
    if (str_eq(suffix, STR("_created")))
        return;
    if (p->last.type != TYPE_COUNTER && p->last.type != TYPE_INFO)
        shown = p->last.name;
    struct lint_group *g = group_of(p, &p->last, shown, line);
    bool whole = g->type == LINT_HISTOGRAM || g->type == LINT_GAUGE_HISTOGRAM || g->type == LINT_SUMMARY;
    for (uint32_t i = 0; i < l.n; i++) {
        bool part = whole && str_eq(l.v[i].name, g->type == LINT_SUMMARY ? STR("quantile") : STR("le"));
        parted |= part;
        if (!part && !str_eq(l.v[i].name, LABEL_NAME))
            kept[n++] = l.v[i];
    }
    struct labels rest = {kept, n};
    struct lint_metric *m = whole ? lint_group_find(g, rest) : NULL;
    if (!m)
        m = lint_group_add(&p->groups, g, rest, whole ? &rest : NULL, line, 1);
    m->parts += parted;
}

static enum err read_page(struct page *p, struct diag *d)
{
    for (;;) {
        struct exposition_entry entry;
        struct exposition_sample sample;
        struct labels labels;
        bool typed;
        enum err err = exposition_next(&p->e, &entry, d);
        if (err || entry.kind == EXPOSITION_EOF)
            return err;
        count_lines(p, p->e.entry);
        if (entry.kind == EXPOSITION_COMMENTS) {
            note_families(p, entry.raw);
            continue;
        }
        err = exposition_labels(entry.raw, EXPOSITION_OPENMETRICS, p->e.type, p->arena, &labels, &typed, d);
        if (!err)
            err = exposition_value(&p->e, &sample, d);
        if (err)
            return err;
        take_series(p, labels, p->line);
        if (p->groups.n_metrics > LINT_MAX_METRICS)
            return diag_set(d, ERR_LIMIT, "more than %d series", LINT_MAX_METRICS);
    }
}

enum err lint_openmetrics(struct str body, struct arena *a, struct lint_report *out, struct diag *d)
{
    struct page p = {.arena = a, .groups = {.arena = a}, .counted = body.p, .line = 1};

    *out = (struct lint_report){0};
    exposition_init(&p.e, EXPOSITION_OPENMETRICS, body);
    enum err err = read_page(&p, d);
    if (err && d && d->line == 0) {
        count_lines(&p, p.e.entry);
        d->line = (int)p.line;
    }
    if (err && d && d->col == 0)
        d->col = 1;
    if (!err)
        lint_rules(&p.groups, a, out);
    lint_groups_release(&p.groups);
    return err;
}

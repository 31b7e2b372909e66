/* metric_map: conflicts between metric and target, metric relabelling, and what is left as the metric's own.
 *
 * Everything happens in one labels_builder: the metric's labels are its base, the scope's are set on top with their
 * mark, and after the rules have run the marks tell the two halves apart again:
 *
 *   exposed     __name__=up  job=mine            scope   instance=i  job=node  zone=a
 *   union       __name__=up  exported_job=mine   instance=i*  job=node*  zone=a*         * the scope's own
 *   rules       labeldrop zone; job := "x"
 *   outcome     __name__=up  exported_job=mine  job=x  zone=""
 *
 * An exposed label that occurs twice keeps its first value here; if it is still there, unset by any rule, at the end,
 * that is the error which the original's storage reports.
 *
 * Runs once for a metric and a set of scope names (or a scope, where its values were read), never per sample.
 * Pure; any thread.
 */
#include "shape/metric_map.h"

#include "shape/relabel.h"

#define EXPORTED "exported_"

/* ---- the union ------------------------------------------------------------------------------------------------- */

static void set_scope_label(struct labels_builder *b, const struct label *l)
{
    labels_builder_set_all(b, (struct labels){l, 1}, true);
}

static void honor(struct labels_builder *b, struct labels metric, struct labels scope)
{
    for (uint32_t i = 0; i < scope.n; i++) {
        if (!labels_has(metric, scope.v[i].name))
            set_scope_label(b, &scope.v[i]);
    }
}

static void rename_exposed(struct labels_builder *b, struct label l)
{
    struct str name = l.name;

    do {
        char *longer = arena_alloc(b->arena, sizeof(EXPORTED) - 1 + name.n);
        memcpy(longer, EXPORTED, sizeof(EXPORTED) - 1);
        memcpy(longer + sizeof(EXPORTED) - 1, name.p, name.n);
        name = str_from(longer, sizeof(EXPORTED) - 1 + name.n);
    } while (labels_builder_has(b, name));
    labels_builder_set(b, name, l.value);
}

static void override(struct labels_builder *b, struct labels metric, struct labels scope)
{
    struct label *conflicts = NULL;
    uint32_t n = 0;

    for (uint32_t i = 0; i < scope.n; i++) {
        struct str exposed = labels_get(metric, scope.v[i].name);
        if (exposed.n > 0) {
            if (!conflicts)
                conflicts = arena_alloc(b->arena, sizeof(*conflicts) * scope.n);
            /* Shorter names first, else by name: there are few. */
            uint32_t at = n++;
            for (; at > 0 && conflicts[at - 1].name.n > scope.v[i].name.n; at--)
                conflicts[at] = conflicts[at - 1];
            conflicts[at] = (struct label){scope.v[i].name, exposed};
        }
        set_scope_label(b, &scope.v[i]);
    }
    for (uint32_t i = 0; i < n; i++)
        rename_exposed(b, conflicts[i]);
}

/* ---- checks ---------------------------------------------------------------------------------------------------- */

static bool is_valid(const struct labels_entry *e, bool legacy)
{
    if (legacy) {
        if (!label_name_is_legacy(e->name))
            return false;
        if (str_eq(e->name, LABEL_NAME) && !metric_name_is_legacy(e->value))
            return false;
    }
    return e->name.n > 0 && str_is_utf8(e->name) && str_is_utf8(e->value);
}

static enum metric_map_result refuse_invalid(struct labels_builder *b, struct diag *d)
{
    AUTO_BUF text = {0};

    labels_print(labels_builder_labels(b), &text);
    (void)diag_set(d, ERR_SYNTAX, "invalid metric name or label names: %.*s", STR_ARGS(buf_view(&text)));
    return MAP_ERROR;
}

static enum metric_map_result check(struct labels_builder *b, struct labels metric, bool legacy, struct diag *d)
{
    if (!labels_builder_has(b, LABEL_NAME)) {
        (void)diag_set(d, ERR_SYNTAX, "missing metric name (__name__ label)");
        return MAP_ERROR;
    }
    for (uint32_t i = 0; i < b->n; i++) {
        if (!is_valid(&b->v[i], legacy))
            return refuse_invalid(b, d);
    }
    for (uint32_t i = 1; i < metric.n; i++) {
        if (!str_eq(metric.v[i].name, metric.v[i - 1].name))
            continue;
        const struct labels_entry *e = labels_builder_find(b, metric.v[i].name);
        if (e && e->order == 0) {
            (void)diag_set(d, ERR_SYNTAX, "label name \"%.*s\" is not unique: invalid sample", STR_ARGS(e->name));
            return MAP_ERROR;
        }
    }
    return MAP_KEPT;
}

/* ---- the outcome ----------------------------------------------------------------------------------------------- */

static struct labels own_labels(const struct labels_builder *b, struct labels scope)
{
    struct label *v = arena_alloc(b->arena, sizeof(*v) * ((size_t)b->n + scope.n + 1));
    uint32_t n = 0;
    uint32_t s = 0;

    for (uint32_t i = 0; i <= b->n; i++) {
        const struct labels_entry *e = i < b->n ? &b->v[i] : NULL;
        for (; s < scope.n && (!e || str_cmp(scope.v[s].name, e->name) < 0); s++)
            v[n++] = (struct label){scope.v[s].name, STR("")};
        if (!e)
            break;
        if (s < scope.n && str_eq(scope.v[s].name, e->name))
            s++;
        if (!e->from_scope)
            v[n++] = (struct label){e->name, e->value};
    }
    return (struct labels){v, n};
}

enum metric_map_result metric_map_run(const struct metric_map *map, struct labels metric, struct labels scope,
                                      struct arena *a, struct metric_mapped *out, struct diag *d)
{
    struct labels_builder b;

    *out = (struct metric_mapped){{NULL, 0}, false};
    labels_builder_init(&b, a);
    labels_builder_set_all(&b, metric, false);
    if (map->honor_labels)
        honor(&b, metric, scope);
    else
        override(&b, metric, scope);
    bool kept = relabel_run(map->rules, &b);
    out->read_scope = b.read_scope;
    if (!kept || b.n == 0)
        return MAP_DROPPED;
    if (check(&b, metric, map->legacy_names, d) != MAP_KEPT)
        return MAP_ERROR;
    out->labels = own_labels(&b, scope);
    return MAP_KEPT;
}

struct labels metric_map_merged(struct labels metric, struct labels scope, struct arena *a)
{
    struct label *v = arena_alloc(a, sizeof(*v) * ((size_t)metric.n + scope.n + 1));
    uint32_t n = 0;
    uint32_t m = 0;
    uint32_t s = 0;

    while (m < metric.n || s < scope.n) {
        int c = m == metric.n ? 1 : s == scope.n ? -1 : str_cmp(metric.v[m].name, scope.v[s].name);
        struct label l = c <= 0 ? metric.v[m] : scope.v[s];
        m += c <= 0;
        s += c >= 0;
        if (l.value.n > 0)
            v[n++] = l;
    }
    return (struct labels){v, n};
}

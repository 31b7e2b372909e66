/* agent_emf: emf_processor of the CloudWatch agent's JSON: how scraped samples become performance log events.
 *
 *   metric_namespace            by default ECS/ContainerInsights/Prometheus, ContainerInsights/Prometheus in another
 *                               container, CWAgent/Prometheus elsewhere
 *   metric_unit                 {metric: unit}; a unit that CloudWatch has not is passed over with a warning
 *   metric_declaration: [
 *     source_labels             their values, joined with ';', are what label_matcher is searched in
 *     label_matcher             by default .*
 *     metric_selectors          searched in the metric's name
 *     dimensions                [[name, ...], ...]: sorted, each name and each set once, at most 30 names
 *   ]
 *
 * What the agent passes over in silence is a warning: a declaration without source_labels or metric_selectors, a set
 * with too many names, label_separator and metric_declaration_dedup, which have no effect there either. A pattern that
 * does not compile is an error with its position: the agent ends itself by it, or drops the declaration and then, with
 * none left, makes every label a dimension. The same for an empty label_matcher.
 *
 * Dimensions whose values are made anew with each task or deployment are told, since each value is a metric that is
 * billed for a month.
 */
#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"
#include "config/agent_int.h"

enum { MAX_DIMENSIONS = 30, MAX_UNIT = 256, MAX_NAMESPACE = 255 };

struct emf_draft {
    struct agent_at name_space, units, declarations, dedup;
};

static const struct agent_key emf_keys[] = {
    AGENT_PLACED(struct emf_draft, "metric_namespace", AGENT_STRING, 1, MAX_NAMESPACE, name_space),
    AGENT_PLACED(struct emf_draft, "metric_unit", AGENT_OBJECT, 0, 0, units),
    AGENT_PLACED(struct emf_draft, "metric_declaration", AGENT_ARRAY, 0, 0, declarations),
    AGENT_PLACED(struct emf_draft, "metric_declaration_dedup", AGENT_BOOL, 0, 0, dedup),
};
static const struct agent_object emf_object = AGENT_OBJECT_OF(emf_keys, OTHERS_REFUSED);

struct declaration_draft {
    struct agent_at sources, matcher, separator, selectors, dimensions;
};

static const struct agent_key declaration_keys[] = {
    AGENT_PLACED(struct declaration_draft, "source_labels", AGENT_ARRAY, 0, 0, sources),
    AGENT_PLACED(struct declaration_draft, "label_matcher", AGENT_STRING, 0, 0, matcher),
    AGENT_PLACED(struct declaration_draft, "label_separator", AGENT_STRING, 0, 0, separator),
    AGENT_PLACED(struct declaration_draft, "metric_selectors", AGENT_ARRAY, 0, 0, selectors),
    AGENT_PLACED(struct declaration_draft, "dimensions", AGENT_ARRAY, 0, 0, dimensions),
};
static const struct agent_object declaration_object = AGENT_OBJECT_OF(declaration_keys, OTHERS_REFUSED);

/* ---- units ---- */

static const char *const units[] = {
    "Seconds",          "Microseconds",     "Milliseconds", "Bytes",           "Kilobytes",        "Megabytes",
    "Gigabytes",        "Terabytes",        "Bits",         "Kilobits",        "Megabits",         "Gigabits",
    "Terabits",         "Percent",          "Count",        "Bytes/Second",    "Kilobytes/Second", "Megabytes/Second",
    "Gigabytes/Second", "Terabytes/Second", "Bits/Second",  "Kilobits/Second", "Megabits/Second",  "Gigabits/Second",
    "Terabits/Second",  "Count/Second",     "None",
};

static bool is_unit(struct str s)
{
    for (size_t i = 0; i < COUNT_OF(units); i++)
        if (str_eq_c(s, units[i]))
            return true;
    return false;
}

static int compare_units(const void *a, const void *b)
{
    return str_cmp(((const struct plan_unit *)a)->metric, ((const struct plan_unit *)b)->metric);
}

static void read_units(struct agent_reader *a, const struct node *n, struct plan_emf *e)
{
    e->units = ARENA_ARRAY(a->r.arena, struct plan_unit, n->n + 1);
    for (struct node *c = n->first; c; c = c->next) {
        struct plan_unit *u = &e->units[e->n_units];
        if (!agent_is(a, c, AGENT_STRING))
            continue;
        agent_string(a, c, &u->unit);
        u->metric = str_dup(a->r.arena, c->key);
        if (is_unit(u->unit))
            e->n_units++;
        else if (c->text.n == 0 || c->text.n > MAX_UNIT)
            reader_error(&a->r, c, ERR_SYNTAX, "%s: String length must be from 1 to %d", reader_quote(&a->r, c->key),
                         MAX_UNIT);
        else
            reader_warn(&a->r, c, "metric_unit: %s of %s is no unit of CloudWatch: none is sent",
                        reader_quote(&a->r, u->unit), reader_quote(&a->r, u->metric));
    }
    if (e->n_units)
        qsort(e->units, e->n_units, sizeof(*e->units), compare_units);
}

/* ---- dimensions ---- */

/* Labels that differ from task to task, or from deployment to deployment. */
static const char *const costly[] = {
    "instance", "TaskId", "TaskRevision", "StartedBy", "container_id", "ContainerId", "ContainerInstanceId", "DockerId",
};

static void warn_of_costs(struct agent_reader *a, const struct node *at, const struct plan_dimensions *set)
{
    for (uint32_t i = 0; i < set->n; i++)
        for (size_t k = 0; k < COUNT_OF(costly); k++)
            if (str_eq_c(set->names[i], costly[k]))
                reader_warn(&a->r, at, "dimension %s: each value is a metric of its own, billed by the month",
                            costly[k]);
}

static bool is_same_set(const struct plan_dimensions *x, const struct plan_dimensions *y)
{
    if (x->n != y->n)
        return false;
    for (uint32_t i = 0; i < x->n; i++)
        if (!str_eq(x->names[i], y->names[i]))
            return false;
    return true;
}

static bool is_known_set(const struct plan_emf_declaration *d, const struct plan_dimensions *set)
{
    for (uint32_t i = 0; i < d->n_dimensions; i++)
        if (is_same_set(&d->dimensions[i], set))
            return true;
    return false;
}

static void read_set(struct agent_reader *a, const struct node *n, struct plan_emf *e, struct plan_emf_declaration *d)
{
    struct plan_dimensions *set = &d->dimensions[d->n_dimensions];

    if (!agent_strings(a, n, UINT32_MAX, 0, &set->names, &set->n))
        return;
    set->n = agent_sort_unique(set->names, set->n);
    set->line = n->line;
    set->column = n->col;
    if (set->n > MAX_DIMENSIONS && a->o->strict) {
        reader_error(&a->r, n, ERR_LIMIT,
                     "dimensions: a set of %u names; CloudWatch takes at most %d, and the set would be dropped", set->n,
                     MAX_DIMENSIONS);
        return;
    }
    if (set->n > MAX_DIMENSIONS) {
        reader_warn(&a->r, n, "Dropped dimension set: > %d dimensions specified.", MAX_DIMENSIONS);
        e->n_oversized++;
        return;
    }
    if (set->n < n->n)
        reader_warn(&a->r, n, "Removed duplicates from dimension set.");
    if (is_known_set(d, set)) {
        reader_warn(&a->r, n, "Dropped duplicated dimension set.");
        return;
    }
    warn_of_costs(a, n, set);
    d->n_dimensions++;
}

enum { MAX_SETS = 1000 };

static void read_dimensions(struct agent_reader *a, const struct agent_at *at, const struct node *declaration,
                            struct plan_emf *e, struct plan_emf_declaration *d)
{
    if (!at->node || at->node->n == 0) {
        reader_warn(&a->r, declaration,
                    "a declaration without dimensions makes no metrics, its events are only logged");
        return;
    }
    if (at->node->n > MAX_SETS) {
        reader_error(&a->r, at->node, ERR_LIMIT, "dimensions: more than %d sets", MAX_SETS);
        return;
    }
    d->dimensions = ARENA_ARRAY(a->r.arena, struct plan_dimensions, at->node->n);
    for (const struct node *n = at->node->first; n; n = n->next)
        read_set(a, n, e, d);
}

/* ---- declarations ---- */

static void free_regex(void *p)
{
    regex_free(p);
}

static struct regex *compile_pattern(struct agent_reader *a, const struct node *at, const char *what,
                                     struct str pattern)
{
    struct regex *re;
    struct diag d = {0};

    if (regex_new_search(pattern, &re, &d)) {
        reader_error(&a->r, at, ERR_SYNTAX, "%s: %s", what, d.text);
        return NULL;
    }
    plan_on_release(a->r.plan, free_regex, re);
    return re;
}

static void read_selectors(struct agent_reader *a, const struct node *list, struct plan_emf_declaration *d)
{
    if (!agent_strings(a, list, UINT32_MAX, 0, &d->selector_texts, &d->n_selectors))
        return;
    d->selectors = ARENA_ARRAY(a->r.arena, struct regex *, d->n_selectors + 1);
    const struct node *n = list->first;
    for (uint32_t i = 0; i < d->n_selectors; i++, n = n->next)
        d->selectors[i] = compile_pattern(a, n, "metric_selectors", d->selector_texts[i]);
}

static void read_matcher(struct agent_reader *a, struct agent_at at, const struct node *declaration,
                         struct plan_emf_declaration *d)
{
    d->label_matcher_text = agent_text(a, at, STR(".*"));
    if (d->label_matcher_text.n == 0)
        agent_error(a, at, ERR_SYNTAX, "label_matcher is empty: write .* for all, or leave it out");
    else
        d->label_matcher = compile_pattern(a, at.node ? at.node : declaration, "label_matcher", d->label_matcher_text);
}

static bool is_empty_list(struct agent_at at)
{
    return !at.node || at.node->n == 0;
}

/* False: the declaration does not count. */
static bool read_declaration(struct agent_reader *a, const struct node *n, struct plan_emf *e,
                             struct plan_emf_declaration *d)
{
    struct declaration_draft draft = {0};

    if (!agent_is(a, n, AGENT_OBJECT))
        return false;
    agent_read_object(a, n, &declaration_object, &draft);
    if (draft.separator.node)
        agent_warn(a, draft.separator,
                   "label_separator has no effect: values are joined with ';', as the agent does it");
    if (is_empty_list(draft.sources) || is_empty_list(draft.selectors)) {
        reader_warn(&a->r, n, "the declaration has no %s and is passed over, as the agent does it",
                    is_empty_list(draft.sources) ? "source_labels" : "metric_selectors");
        return false;
    }
    d->line = n->line;
    agent_strings(a, draft.sources.node, UINT32_MAX, 0, &d->source_labels, &d->n_source_labels);
    read_matcher(a, draft.matcher, n, d);
    read_selectors(a, draft.selectors.node, d);
    read_dimensions(a, &draft.dimensions, n, e, d);
    return true;
}

static void read_declarations(struct agent_reader *a, const struct node *list, struct plan_emf *e)
{
    e->declarations = ARENA_ARRAY(a->r.arena, struct plan_emf_declaration, list->n + 1);
    for (const struct node *n = list->first; n; n = n->next)
        if (read_declaration(a, n, e, &e->declarations[e->n_declarations]))
            e->n_declarations++;
    if (e->n_declarations == 0)
        reader_warn(&a->r, list, "metric_declaration: there is none that counts: no metrics come of the events");
}

static void read_processor(struct agent_reader *a, struct agent_at at, struct plan_emf *e)
{
    struct emf_draft d = {0};

    if (!at.node)
        return;
    a->r.file = at.file;
    agent_read_object(a, at.node, &emf_object, &d);
    e->name_space = agent_text(a, d.name_space, e->name_space);
    if (e->name_space.n == 0)
        agent_error(a, d.name_space, ERR_SYNTAX, "metric_namespace is empty");
    if (d.dedup.node)
        agent_warn(a, d.dedup,
                   "metric_declaration_dedup has no effect: equal dimension sets are always merged, as the "
                   "agent does it");
    if (d.units.node)
        read_units(a, d.units.node, e);
    if (d.declarations.node)
        read_declarations(a, d.declarations.node, e);
}

/* ---- what stands around it ---- */

static struct str default_namespace(const struct config_agent_options *o)
{
    if (o->cluster.n)
        return STR("ECS/ContainerInsights/Prometheus");
    return o->in_container ? STR("ContainerInsights/Prometheus") : STR("CWAgent/Prometheus");
}

static struct str join(struct agent_reader *a, struct str s, struct str suffix)
{
    return suffix.n ? str_c(arena_printf(a->r.arena, "%.*s%.*s", STR_ARGS(s), STR_ARGS(suffix))) : s;
}

static struct str read_cluster_name(struct agent_reader *a, const struct agent_draft *d, bool used)
{
    struct str name = agent_text(a, d->cluster_name, STR(""));

    if (name.n == 0)
        name = str_dup(a->r.arena, a->o->cluster);
    if (name.n == 0 && a->o->in_container && used)
        agent_error(a, d->prometheus, ERR_SYNTAX,
                    "ClusterName is not defined: set cluster_name, or let the task's metadata be reachable");
    return name;
}

/* The default has the task's own cluster in it, whatever cluster_name says. */
static struct str read_group(struct agent_reader *a, const struct agent_draft *d, struct str cluster_name, bool needed)
{
    struct str own = a->o->cluster, group = agent_text(a, d->log_group, STR(""));
    struct agent_at at = d->log_group.node ? d->log_group : d->prometheus;

    if (group.n == 0 && own.n)
        group = str_c(arena_printf(a->r.arena, "/aws/ecs/containerinsights/%.*s/prometheus", STR_ARGS(own)));
    else if (group.n == 0 && a->o->in_container && cluster_name.n)
        group = str_c(arena_printf(a->r.arena, "/aws/containerinsights/%.*s/prometheus", STR_ARGS(cluster_name)));
    if (group.n)
        agent_check_log_group(a, at, group, true);
    else if (needed)
        agent_error(a, at, ERR_SYNTAX, "prometheus does not have log group name: set log_group_name");
    return group;
}

static void print_list(struct buf *b, const struct str *v, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        buf_printf(b, " %zu:%.*s", v[i].n, STR_ARGS(v[i]));
    buf_char(b, '\n');
}

static void print_declaration(struct buf *b, const struct plan_emf_declaration *d)
{
    print_list(b, d->source_labels, d->n_source_labels);
    print_list(b, &d->label_matcher_text, 1);
    print_list(b, d->selector_texts, d->n_selectors);
    for (uint32_t i = 0; i < d->n_dimensions; i++)
        print_list(b, d->dimensions[i].names, d->dimensions[i].n);
}

static uint64_t shape_hash(const struct plan_emf *e)
{
    const struct str texts[] = {e->cluster_name, e->host, e->log_group, e->log_stream, e->name_space};
    AUTO_BUF b = {0};

    print_list(&b, texts, COUNT_OF(texts));
    for (uint32_t i = 0; i < e->n_units; i++)
        print_list(&b, (struct str[]){e->units[i].metric, e->units[i].unit}, 2);
    for (uint32_t i = 0; i < e->n_declarations; i++)
        print_declaration(&b, &e->declarations[i]);
    buf_printf(&b, "%d %d %d %d %d %d %d %u", e->no_directives, e->version_1, (int)e->histograms, e->untyped_as_gauge,
               e->first_values, e->drop_unselected, e->high_resolution, e->max_metrics);
    return hash_bytes(buf_view(&b));
}

struct plan_emf *agent_emf_read(struct agent_reader *a, const struct agent_draft *d, const struct agent_settings *s,
                                bool used)
{
    struct plan_emf *e = ARENA_NEW(a->r.arena, struct plan_emf);

    e->cluster_name = read_cluster_name(a, d, used);
    e->host = s->host;
    e->log_group =
        s->shadow_group.n ? s->shadow_group : read_group(a, d, e->cluster_name, used && s->prometheus_to & TO_LOGS);
    e->log_stream = STR("{JobName}");
    e->name_space = default_namespace(a->o);
    read_processor(a, d->emf_processor, e);
    e->name_space = join(a, e->name_space, s->suffix);
    e->no_directives = agent_truth(d->no_extraction, false);
    e->version_1 = s->emf_version_1;
    e->histograms = s->histograms;
    e->untyped_as_gauge = s->untyped_as_gauge;
    e->first_values = s->first_values;
    e->drop_unselected = s->drop_unselected;
    e->high_resolution = s->high_resolution;
    e->max_metrics = s->max_metrics;
    e->shape_hash = shape_hash(e);
    return e;
}

struct plan_emf *agent_emf_for_metrics(struct agent_reader *a, const struct agent_draft *d,
                                       const struct agent_settings *s, const struct plan_emf *logs)
{
    struct plan_emf *e = ARENA_NEW(a->r.arena, struct plan_emf);
    struct str given = a->o->ours.metrics_namespace;
    bool twice = s->prometheus_to & TO_LOGS && !logs->no_directives && logs->n_declarations;

    *e = *logs;
    e->log_group = e->log_stream = STR("");
    e->no_directives = false;
    if (given.n)
        e->name_space = join(a, str_dup(a->r.arena, given), s->suffix);
    e->shape_hash = shape_hash(e);
    if (e->n_declarations == 0)
        agent_warn(a, d->emf_processor.node ? d->emf_processor : d->prometheus,
                   "LEADLINE_PROMETHEUS_TO sends what metric_declaration selects, and there is none: nothing is sent");
    if (!twice || !str_eq(e->name_space, logs->name_space))
        return e;
    agent_error(a, (struct agent_at){NULL, "LEADLINE_PROMETHEUS_TO"}, ERR_SYNTAX,
                "both would count twice: events and PutMetricData into the same namespace %s with the same dimensions; "
                "set LEADLINE_METRICS_NAMESPACE, or disable_metric_extraction",
                reader_quote(&a->r, e->name_space));
    return e;
}

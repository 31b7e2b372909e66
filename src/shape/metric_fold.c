/* metric_fold: rules of metric_relabel_configs that speak of the target only, moved onto the scope.
 *
 * A rule such as
 *
 *   source_labels: [instance]  regex: "([^:]+):.*"  target_label: instance
 *
 * reads a scope's value for each metric, so that no metric could be shared between targets. It does the same to every
 * metric, though, and is as well done once, to the scope.
 *
 * A rule is moved to the front, out of its place, so each rule that stays behind in front of it must be indifferent:
 *
 *   stays          moved rule's sources S, target T
 *   any            must not read T; must not write T or one of S; a written name must be literal
 *   labeldrop      must match neither T nor S
 *   labelkeep      must match T and all of S
 *   labelmap       not at all: it reads and writes any name, and looks at the order in which labels were set
 *
 * keep and drop rules on scope labels that let this scope pass are moved likewise, that is: they vanish. One that stops
 * everything stays, and does so.
 *
 * The names that moved rules read or write are the scope's alone only if the metric has no label of that name; hence
 * the list of involved names. No rule that writes exported_<something> is moved: conflicts are resolved by looking
 * for free names of that form.
 *
 * Quadratic in the number of rules, which is tens; runs once per target and reload. Pure; any thread.
 */
#include "base/hash.h"
#include "shape/metric_map.h"
#include "shape/relabel.h"

struct folding {
    struct labels_builder scope;
    struct relabel_rule *remaining;
    uint32_t n_remaining;
    struct str *names;
    uint32_t n_names;
};

static bool is_literal(struct str s)
{
    return !s.n || !memchr(s.p, '$', s.n);
}

static bool has_target(const struct relabel_rule *r)
{
    switch (r->action) {
    case RELABEL_REPLACE:
    case RELABEL_HASHMOD:
    case RELABEL_LOWERCASE:
    case RELABEL_UPPERCASE:
    case RELABEL_KEEPEQUAL:
    case RELABEL_DROPEQUAL:
        return true;
    default:
        return false;
    }
}

static bool writes_target(const struct relabel_rule *r)
{
    return has_target(r) && r->action != RELABEL_KEEPEQUAL && r->action != RELABEL_DROPEQUAL;
}

static bool is_source(const struct relabel_rule *r, struct str name)
{
    for (uint32_t i = 0; i < r->n_source_labels; i++) {
        if (str_eq(r->source_labels[i], name))
            return true;
    }
    return false;
}

/* Whether the rule's labels are S or T of the table above. */
static bool concerns(const struct relabel_rule *r, struct str name)
{
    return is_source(r, name) || (has_target(r) && str_eq(r->target_label, name));
}

static bool matches_none(const struct regex *re, const struct relabel_rule *moved)
{
    for (uint32_t i = 0; i < moved->n_source_labels; i++) {
        if (regex_match(re, moved->source_labels[i]))
            return false;
    }
    return !has_target(moved) || !regex_match(re, moved->target_label);
}

static bool matches_all(const struct regex *re, const struct relabel_rule *moved)
{
    for (uint32_t i = 0; i < moved->n_source_labels; i++) {
        if (!regex_match(re, moved->source_labels[i]))
            return false;
    }
    return !has_target(moved) || regex_match(re, moved->target_label);
}

/* Whether `moved` may pass `stays`, which is in front of it. */
static bool may_pass(const struct relabel_rule *moved, const struct relabel_rule *stays)
{
    if (stays->action == RELABEL_LABELMAP)
        return false;
    if (stays->action == RELABEL_LABELDROP)
        return matches_none(stays->regex, moved);
    if (stays->action == RELABEL_LABELKEEP)
        return matches_all(stays->regex, moved);
    if (writes_target(stays) && (!is_literal(stays->target_label) || concerns(moved, stays->target_label)))
        return false;
    return !writes_target(moved) || !concerns(stays, moved->target_label);
}

static bool is_involved(const struct folding *f, struct str name)
{
    for (uint32_t i = 0; i < f->n_names; i++) {
        if (str_eq(f->names[i], name))
            return true;
    }
    return false;
}

/* A name whose value the scope decides, for every metric that may take the short way. */
static bool is_known(const struct folding *f, struct str name)
{
    return labels_builder_has(&f->scope, name) || is_involved(f, name);
}

static bool may_fold(const struct folding *f, const struct relabel_rule *r)
{
    if (r->action == RELABEL_LABELMAP || r->action == RELABEL_LABELDROP || r->action == RELABEL_LABELKEEP)
        return false;
    for (uint32_t i = 0; i < r->n_source_labels; i++) {
        if (!is_known(f, r->source_labels[i]))
            return false;
    }
    if (has_target(r)) {
        if (!is_literal(r->target_label) || str_eq(r->target_label, LABEL_NAME))
            return false;
        if (writes_target(r) ? str_starts(r->target_label, STR("exported_")) : !is_known(f, r->target_label))
            return false;
    }
    for (uint32_t i = 0; i < f->n_remaining; i++) {
        if (!may_pass(r, &f->remaining[i]))
            return false;
    }
    return true;
}

static void involve(struct folding *f, struct str name)
{
    if (!is_involved(f, name))
        f->names[f->n_names++] = name;
}

/* Runs the rule on the scope; false when it stops everything, and has to stay. */
static bool fold_one(struct folding *f, const struct relabel_rule *r)
{
    if (!relabel_run_one(r, &f->scope))
        return false;
    for (uint32_t i = 0; i < r->n_source_labels; i++)
        involve(f, r->source_labels[i]);
    if (has_target(r))
        involve(f, r->target_label);
    return true;
}

static bool has_labelmap(const struct relabel_rules *rules)
{
    for (uint32_t i = 0; i < rules->n; i++) {
        if (rules->rules[i].action == RELABEL_LABELMAP)
            return true;
    }
    return false;
}

void metric_map_fold(const struct relabel_rules *rules, struct labels scope, struct arena *a, struct metric_fold *out)
{
    struct folding f = {0};
    uint32_t n_names = 0;

    *out = (struct metric_fold){.scope = scope};
    if (!rules || rules->n == 0)
        return;
    for (uint32_t i = 0; i < rules->n; i++)
        n_names += rules->rules[i].n_source_labels + 1;
    f.remaining = ARENA_ARRAY(a, struct relabel_rule, rules->n);
    f.names = ARENA_ARRAY(a, struct str, n_names);
    labels_builder_init(&f.scope, a);
    labels_builder_set_all(&f.scope, scope, false);
    bool none = has_labelmap(rules);
    for (uint32_t i = 0; i < rules->n; i++) {
        const struct relabel_rule *r = &rules->rules[i];
        if (!none && may_fold(&f, r) && fold_one(&f, r))
            continue;
        f.remaining[f.n_remaining++] = *r;
        out->remaining_id = hash_bytes_seed(str_from((const char *)&i, sizeof(i)), out->remaining_id);
    }
    out->remaining = (struct relabel_rules){f.remaining, f.n_remaining};
    out->names = f.names;
    out->n_names = f.n_names;
    if (f.n_remaining < rules->n)
        out->scope = labels_builder_labels(&f.scope);
}

bool metric_map_folds(const struct metric_fold *f, struct labels metric)
{
    for (uint32_t i = 0; i < f->n_names; i++) {
        if (labels_has(metric, f->names[i]))
            return false;
    }
    return true;
}

/* prometheus_relabel: relabel_configs, metric_relabel_configs and write_relabel_configs.
 *
 * A rule starts from the defaults (replace, ";", "(.*)", "$1"), then takes its keys, then is judged by its action:
 *
 *   replace              target_label, a name or a template; in the classic scheme a template of classic pieces
 *   keep, drop           nothing more
 *   keepequal, dropequal source_labels and target_label only; a written regex counts even if it is the default
 *   hashmod              target_label and a modulus that is not zero
 *   labelmap             replacement must be a name or a template of one
 *   labeldrop, labelkeep regex only; a written source_labels counts even if it is empty
 *   lowercase, uppercase target_label, and no replacement
 *
 * The order of these checks is the original's, so that the first complaint about a rule is the same. Regular
 * expressions are compiled here, once, and freed with the plan.
 */
#include "base/buf.h"
#include "base/mem.h"
#include "base/num.h"
#include "config/prometheus_int.h"

struct rule_draft {
    struct relabel_rule rule;
    struct str *source_labels;
    bool action_null;
};

static const char *const action_names[] = {
    [RELABEL_REPLACE] = "replace",     [RELABEL_KEEP] = "keep",           [RELABEL_DROP] = "drop",
    [RELABEL_KEEPEQUAL] = "keepequal", [RELABEL_DROPEQUAL] = "dropequal", [RELABEL_HASHMOD] = "hashmod",
    [RELABEL_LABELMAP] = "labelmap",   [RELABEL_LABELDROP] = "labeldrop", [RELABEL_LABELKEEP] = "labelkeep",
    [RELABEL_LOWERCASE] = "lowercase", [RELABEL_UPPERCASE] = "uppercase",
};

static void read_action(struct reader *r, struct node *n, void *out)
{
    struct rule_draft *d = out;
    struct str name;
    d->action_null = reader_is_null(n);
    if (d->action_null || !reader_string(r, n, &name))
        return;
    for (size_t i = 0; i < COUNT_OF(action_names); i++) {
        if (str_eq_nocase(name, str_c(action_names[i]))) {
            d->rule.action = (enum relabel_action)i;
            return;
        }
    }
    reader_error(r, n, ERR_SYNTAX, "unknown relabel action %s", reader_quote(r, name));
}

static void read_regex(struct reader *r, struct node *n, void *out)
{
    struct str pattern;
    if (reader_string(r, n, &pattern))
        *(struct regex **)out = reader_regex(r, n, "regex", pattern);
}

static void read_source_labels(struct reader *r, struct node *n, void *out)
{
    struct rule_draft *d = out;
    if (!reader_strings(r, n, "model.LabelNames", &d->rule.source_labels, &d->rule.n_source_labels))
        return;
    uint32_t i = 0;
    for (const struct node *e = n->kind == NODE_SEQUENCE ? n->first : NULL; e; e = e->next, i++) {
        struct str name = d->rule.source_labels[i];
        if (!reader_is_skipped(e) && (name.n == 0 || !str_is_utf8(name)))
            reader_error(r, e, ERR_SYNTAX, "source_labels: %s is not a valid label name", reader_quote(r, name));
    }
}

static const struct field rule_fields[] = {
    {.key = "source_labels", .kind = FIELD_CALL, .fn = read_source_labels},
    {.key = "separator", .kind = FIELD_STRING, .offset = offsetof(struct rule_draft, rule.separator)},
    {.key = "regex", .kind = FIELD_CALL, .fn = read_regex, .offset = offsetof(struct rule_draft, rule.regex)},
    {.key = "modulus", .kind = FIELD_UINT, .offset = offsetof(struct rule_draft, rule.modulus)},
    {.key = "target_label", .kind = FIELD_STRING, .offset = offsetof(struct rule_draft, rule.target_label)},
    {.key = "replacement", .kind = FIELD_STRING, .offset = offsetof(struct rule_draft, rule.replacement)},
    {.key = "action", .kind = FIELD_CALL, .fn = read_action},
};
static const struct schema rule_schema = SCHEMA("relabel.plain", rule_fields);

static bool valid_name(struct str name, bool legacy)
{
    return legacy ? label_name_is_legacy(name) : name.n > 0 && str_is_utf8(name);
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* The bytes of a $name or ${name} at the start of s; 0 when it is none. */
static size_t template_variable(struct str s)
{
    size_t i = 1;
    bool braces = s.n > 1 && s.p[1] == '{';
    i += braces;
    size_t start = i;
    while (i < s.n && is_word(s.p[i]))
        i++;
    if (i == start)
        return 0;
    if (!braces)
        return i;
    return i < s.n && s.p[i] == '}' ? i + 1 : 0;
}

/* A classic name in which variables may stand anywhere. */
static bool legacy_template(struct str s)
{
    if (s.n == 0 || (s.p[0] >= '0' && s.p[0] <= '9'))
        return false;
    for (size_t i = 0; i < s.n;) {
        size_t n = s.p[i] == '$' ? template_variable(str_from(s.p + i, s.n - i)) : is_word(s.p[i]);
        if (n == 0)
            return false;
        i += n;
    }
    return true;
}

static bool valid_template(struct str s, bool legacy)
{
    return legacy ? legacy_template(s) : valid_name(s, false);
}

static bool wants_target(enum relabel_action a)
{
    return a == RELABEL_REPLACE || a == RELABEL_HASHMOD || a == RELABEL_LOWERCASE || a == RELABEL_UPPERCASE ||
           a == RELABEL_KEEPEQUAL || a == RELABEL_DROPEQUAL;
}

static bool refuses_replacement(enum relabel_action a)
{
    return wants_target(a) && a != RELABEL_REPLACE && a != RELABEL_HASHMOD;
}

static bool target_is_valid(const struct relabel_rule *rule)
{
    bool template = rule->target_label.n && memchr(rule->target_label.p, '$', rule->target_label.n);
    if (rule->action == RELABEL_REPLACE && template)
        return valid_template(rule->target_label, rule->legacy_names);
    return !wants_target(rule->action) || valid_name(rule->target_label, rule->legacy_names);
}

static bool only_defaults(const struct relabel_rule *rule)
{
    return rule->modulus == 0 && str_eq_c(rule->separator, ";") && str_eq_c(rule->replacement, "$1");
}

static bool is_set(const struct node *n, const char *key)
{
    const struct node *c = node_find(n, key);
    return c && !reader_is_null(c);
}

static void validate(struct reader *r, const struct node *n, const struct rule_draft *d)
{
    const struct relabel_rule *rule = &d->rule;
    const char *action = action_names[rule->action];
    if (d->action_null)
        reader_error_key(r, n, "action", ERR_SYNTAX, "relabel action cannot be empty");
    else if (rule->action == RELABEL_HASHMOD && rule->modulus == 0)
        reader_error_key(r, n, "modulus", ERR_SYNTAX, "relabel configuration for hashmod requires non-zero modulus");
    else if (wants_target(rule->action) && rule->target_label.n == 0)
        reader_error_key(r, n, "target_label", ERR_SYNTAX,
                         "relabel configuration for %s action requires 'target_label' value", action);
    else if (!target_is_valid(rule))
        reader_error_key(r, n, "target_label", ERR_SYNTAX, "%s is invalid 'target_label' for %s action",
                         reader_quote(r, rule->target_label), action);
    else if (refuses_replacement(rule->action) && !str_eq_c(rule->replacement, "$1"))
        reader_error_key(r, n, "replacement", ERR_SYNTAX, "'replacement' can not be set for %s action", action);
    else if (rule->action == RELABEL_LABELMAP && !valid_template(rule->replacement, rule->legacy_names))
        reader_error_key(r, n, "replacement", ERR_SYNTAX, "%s is invalid 'replacement' for %s action",
                         reader_quote(r, rule->replacement), action);
    else if ((rule->action == RELABEL_KEEPEQUAL || rule->action == RELABEL_DROPEQUAL) &&
             (node_find(n, "regex") || !only_defaults(rule)))
        reader_error_key(r, n, "action", ERR_SYNTAX,
                         "%s action requires only 'source_labels' and `target_label`, and no other fields", action);
    else if ((rule->action == RELABEL_LABELDROP || rule->action == RELABEL_LABELKEEP) &&
             (is_set(n, "source_labels") || rule->target_label.n || !only_defaults(rule)))
        reader_error_key(r, n, "action", ERR_SYNTAX, "%s action requires only 'regex', and no other fields", action);
}

static void read_rule(struct reader *r, struct node *n, bool legacy_names, struct relabel_rule *out)
{
    struct rule_draft d = {.rule = {.action = RELABEL_REPLACE,
                                    .separator = STR(";"),
                                    .replacement = STR("$1"),
                                    .target_label = STR(""),
                                    .legacy_names = legacy_names}};
    uint32_t before = r->errors->n;
    if (!reader_mapping(r, n, &rule_schema, &d))
        return;
    if (!node_find(n, "regex"))
        d.rule.regex = reader_regex(r, n, "regex", STR("(.*)"));
    if (r->errors->n == before)
        validate(r, n, &d);
    *out = d.rule;
}

struct relabel_rules *relabel_read(struct reader *r, struct node *list, bool legacy_names, const char *what)
{
    if (!list || !reader_sequence(r, list, "[]*relabel.Config"))
        return NULL;
    struct relabel_rules *rules = ARENA_NEW(r->arena, struct relabel_rules);
    rules->rules = ARENA_ARRAY(r->arena, struct relabel_rule, list->n);
    for (struct node *n = list->first; n; n = n->next) {
        if (reader_is_null(n))
            reader_error(r, n, ERR_SYNTAX, "empty or null %s", what);
        else
            read_rule(r, n, legacy_names, &rules->rules[rules->n++]);
    }
    return rules;
}

/* As Prometheus' documentation shares out targets, and its operator does: by the address after all other rules. */
struct relabel_rules *relabel_add_shard(struct reader *r, struct relabel_rules *rules, const struct node *at)
{
    const struct str address = STR("__address__"), part = STR("__tmp_shard");
    uint32_t n = rules ? rules->n : 0;
    if (!r->options->shard_count)
        return rules;

    struct relabel_rules *all = ARENA_NEW(r->arena, struct relabel_rules);
    all->rules = ARENA_ARRAY(r->arena, struct relabel_rule, n + 2);
    if (n)
        memcpy(all->rules, rules->rules, n * sizeof(*all->rules));
    struct str *sources = ARENA_ARRAY(r->arena, struct str, 2);
    sources[0] = address;
    sources[1] = part;
    struct relabel_rule hash = {.action = RELABEL_HASHMOD,
                                .source_labels = &sources[0],
                                .n_source_labels = 1,
                                .separator = STR(";"),
                                .target_label = part,
                                .replacement = STR("$1"),
                                .modulus = r->options->shard_count};
    struct relabel_rule keep = {.action = RELABEL_KEEP,
                                .source_labels = &sources[1],
                                .n_source_labels = 1,
                                .separator = STR(";"),
                                .target_label = STR(""),
                                .replacement = STR("$1")};
    hash.regex = reader_regex(r, at, "regex", STR("(.*)"));
    keep.regex = reader_regex(r, at, "regex", str_c(arena_printf(r->arena, "%u", r->options->shard_index)));
    all->rules[n] = hash;
    all->rules[n + 1] = keep;
    all->n = n + 2;
    return all;
}

static void print_str(struct buf *out, struct str s)
{
    buf_u64(out, s.n);
    buf_char(out, ':');
    buf_str(out, s);
}

void relabel_print(const struct relabel_rules *rules, struct buf *out)
{
    for (uint32_t i = 0; rules && i < rules->n; i++) {
        const struct relabel_rule *rule = &rules->rules[i];
        buf_printf(out, "%s %d ", action_names[rule->action], rule->legacy_names);
        buf_u64(out, rule->modulus);
        for (uint32_t k = 0; k < rule->n_source_labels; k++)
            print_str(out, rule->source_labels[k]);
        buf_char(out, ' ');
        print_str(out, rule->separator);
        print_str(out, rule->target_label);
        print_str(out, rule->replacement);
        print_str(out, rule->regex ? regex_pattern(rule->regex) : STR(""));
        buf_char(out, '\n');
    }
}

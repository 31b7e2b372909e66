/* relabel_steps: see the header. The rules run one after the other on one builder, as relabel_run does it; between two
 * of them the labels are copied out:
 *
 *   labels -> rule 1 -> after 1 = before 2 -> rule 2 -> ... -> after n, or dropped
 *
 * A rule behind the one that drops does not run any more: the original's API shows it with keep false and no labels,
 * the pages say so.
 */
#include "web/relabel_steps.h"

#include "base/quote.h"
#include "shape/relabel.h"

uint32_t relabel_steps(const struct relabel_rules *rules, struct labels labels, struct arena *a,
                       struct relabel_step **out)
{
    struct labels_builder b;
    struct labels now = labels;
    bool keep = true;
    uint32_t n = rules ? rules->n : 0;

    *out = ARENA_ARRAY(a, struct relabel_step, n + 1);
    labels_builder_init(&b, a);
    labels_builder_set_all(&b, labels, false);
    for (uint32_t i = 0; i < n; i++) {
        struct relabel_step *s = &(*out)[i];
        *s = (struct relabel_step){.rule = &rules->rules[i], .ran = keep, .before = now};
        if (keep)
            keep = relabel_run_one(s->rule, &b);
        now = keep ? labels_copy(labels_builder_labels(&b), a) : (struct labels){0};
        s->keep = keep;
        s->after = now;
    }
    return n;
}

static bool is_plain(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
                    c == '-' || c == '/' || c == '.' || c == '$' || c == '(' || c == ')' || c == '+' || c == ';' ||
                    c == '^';
        if (!word && !(c == '*' && i))
            return false;
    }
    return s.n > 0;
}

static void put_value(struct buf *out, const char *key, struct str value)
{
    buf_printf(out, "%s: ", key);
    if (is_plain(value))
        buf_str(out, value);
    else
        buf_quote(out, value);
    buf_c(out, ", ");
}

void relabel_rule_print(const struct relabel_rule *rule, struct buf *out)
{
    buf_char(out, '{');
    if (rule->n_source_labels) {
        buf_c(out, "source_labels: [");
        for (uint32_t i = 0; i < rule->n_source_labels; i++) {
            buf_c(out, i ? ", " : "");
            buf_str(out, rule->source_labels[i]);
        }
        buf_c(out, "], ");
    }
    if (!str_eq(rule->separator, STR(";")))
        put_value(out, "separator", rule->separator);
    if (rule->regex && !str_eq(regex_pattern(rule->regex), STR("(.*)")))
        put_value(out, "regex", regex_pattern(rule->regex));
    if (rule->modulus)
        buf_printf(out, "modulus: %llu, ", (unsigned long long)rule->modulus);
    if (rule->target_label.n)
        put_value(out, "target_label", rule->target_label);
    if (!str_eq(rule->replacement, STR("$1")))
        put_value(out, "replacement", rule->replacement);
    buf_printf(out, "action: %s}", relabel_action_name(rule->action));
}

void relabel_changes(struct labels before, struct labels after, relabel_change_fn *fn, void *ctx)
{
    uint32_t i = 0, k = 0;

    while (i < before.n || k < after.n) {
        int c = i == before.n ? 1 : k == after.n ? -1 : str_cmp(before.v[i].name, after.v[k].name);
        if (c < 0) {
            fn(ctx, before.v[i].name, before.v[i].value, STR_NONE);
            i++;
        } else if (c > 0) {
            fn(ctx, after.v[k].name, STR_NONE, after.v[k].value);
            k++;
        } else {
            if (!str_eq(before.v[i].value, after.v[k].value))
                fn(ctx, before.v[i].name, before.v[i].value, after.v[k].value);
            i++;
            k++;
        }
    }
}

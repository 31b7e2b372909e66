/* relabel: Prometheus' relabelling.
 *
 * A rule joins the values of its source labels with a separator (an absent label is empty), and its action decides:
 *
 *   replace               matched: target := replacement, both with $1 expanded; an empty result deletes
 *   keep, drop            matched or not: the whole set stays or goes
 *   keepequal, dropequal  the same, by comparing with the target label's value
 *   hashmod               target := last 8 bytes of MD5, big-endian, modulo
 *   lowercase, uppercase  target := the value, in that case
 *   labelmap              for each name that matches: a copy of its value under the expanded name
 *   labeldrop, labelkeep  names that match (or do not) go
 *
 * Details that follow the original to the letter, since a difference is a different series:
 * - a target name that is not valid after expansion makes the rule do nothing; labelmap does not check its names,
 * what is
 *   invalid is refused later by whoever checks the whole set;
 * - labelmap works on a snapshot, base labels by name first, then the others as they were set, and the last one wins
 * when
 *   two get the same name.
 *
 * What costs: most rules most of the time do not match. One source label is matched in place, several are joined on the
 * stack; nothing is allocated until something is set, and that goes to the builder's arena. The default expression (.*)
 * and replacements without `$` never reach the regular expression engine.
 *
 * Provenance: values are read through labels_builder_get, which notes the reading of a scope's value. Matching names
 * (labeldrop, labelkeep, and labelmap's test) reads none, copying a value does.
 */
#include "shape/relabel.h"

#include "base/hash.h"
#include "base/mem.h"
#include "base/num.h"
#include "shape/letter_case.h"

#define JOIN_ON_STACK 512

const char *relabel_action_name(enum relabel_action a)
{
    static const char *const names[] = {
        [RELABEL_REPLACE] = "replace",
        [RELABEL_KEEP] = "keep",
        [RELABEL_DROP] = "drop",
        [RELABEL_KEEPEQUAL] = "keepequal",
        [RELABEL_DROPEQUAL] = "dropequal",
        [RELABEL_HASHMOD] = "hashmod",
        [RELABEL_LABELMAP] = "labelmap",
        [RELABEL_LABELDROP] = "labeldrop",
        [RELABEL_LABELKEEP] = "labelkeep",
        [RELABEL_LOWERCASE] = "lowercase",
        [RELABEL_UPPERCASE] = "uppercase",
    };

    return (size_t)a < COUNT_OF(names) ? names[a] : "unknown";
}

/* ---- the source value ------------------------------------------------------------------------------------------ */

struct joined {
    char stack[JOIN_ON_STACK];
    struct buf heap;
    struct str value;
    bool borrowed; /* value is the builder's own: it need not be copied */
};

static void joined_release(struct joined *j)
{
    buf_release(&j->heap);
}

static void join_append(struct joined *j, struct str s)
{
    if (s.n == 0)
        return;
    if (j->heap.n == 0 && s.n <= sizeof(j->stack) - j->value.n) {
        memcpy(j->stack + j->value.n, s.p, s.n);
        j->value = str_from(j->stack, j->value.n + s.n);
        return;
    }
    if (j->heap.n == 0)
        buf_str(&j->heap, j->value);
    buf_str(&j->heap, s);
    j->value = buf_view(&j->heap);
}

static void join(struct joined *j, const struct relabel_rule *rule, struct labels_builder *b)
{
    j->heap = (struct buf){0};
    j->value = str_from(j->stack, 0);
    j->borrowed = false;
    if (rule->n_source_labels == 1) {
        j->value = labels_builder_get(b, rule->source_labels[0]);
        j->borrowed = true;
        return;
    }
    for (uint32_t i = 0; i < rule->n_source_labels; i++) {
        if (i > 0)
            join_append(j, rule->separator);
        join_append(j, labels_builder_get(b, rule->source_labels[i]));
    }
}

/* ---- actions --------------------------------------------------------------------------------------------------- */

static bool has_variable(struct str template)
{
    return template.n && memchr(template.p, '$', template.n);
}

static bool is_default(const struct regex *re)
{
    return !re || str_eq_c(regex_pattern(re), "(.*)");
}

static bool name_is_valid(struct str name, const struct relabel_rule *rule)
{
    return rule->legacy_names ? label_name_is_legacy(name) : name.n > 0 && str_is_utf8(name);
}

static struct str keep_copy(struct labels_builder *b, struct str s)
{
    return s.n ? str_dup(b->arena, s) : STR_NONE;
}

static void set_copy(struct labels_builder *b, struct str name, struct str value)
{
    labels_builder_set(b, name, keep_copy(b, value));
}

/* The template with its variables, in the builder's arena or borrowed. False: the expression does not match. */
static bool expand(const struct relabel_rule *rule, struct str template, const struct joined *j,
                   struct labels_builder *b, struct str *out)
{
    AUTO_BUF expanded = {0};

    if (is_default(rule->regex) && (str_eq_c(template, "$1") || str_eq_c(template, "${1}"))) {
        *out = j->borrowed ? j->value : keep_copy(b, j->value);
        return true;
    }
    if (!has_variable(template)) {
        *out = template;
        return is_default(rule->regex) || regex_match(rule->regex, j->value);
    }
    if (!regex_expand(rule->regex, j->value, template, &expanded))
        return false;
    *out = keep_copy(b, buf_view(&expanded));
    return true;
}

static void replace(const struct relabel_rule *rule, const struct joined *j, struct labels_builder *b)
{
    struct str target = rule->target_label;
    struct str value;

    if (!expand(rule, rule->replacement, j, b, &value))
        return;
    if (has_variable(target) && !expand(rule, rule->target_label, j, b, &target))
        return;
    if (name_is_valid(target, rule))
        labels_builder_set(b, target, value);
}

static void hashmod(const struct relabel_rule *rule, const struct joined *j, struct labels_builder *b)
{
    uint8_t digest[16];
    uint64_t n = 0;
    char text[24];

    CHECK(rule->modulus > 0);
    hash_md5(j->value, digest);
    for (int i = 8; i < 16; i++)
        n = n << 8 | digest[i];
    set_copy(b, rule->target_label, str_from(text, num_print_u64(n % rule->modulus, text)));
}

static void change_case(const struct relabel_rule *rule, const struct joined *j, struct labels_builder *b)
{
    AUTO_BUF changed = {0};

    if (rule->action == RELABEL_LOWERCASE)
        letter_case_lower(j->value, &changed);
    else
        letter_case_upper(j->value, &changed);
    set_copy(b, rule->target_label, buf_view(&changed));
}

/* The entries whose names match, in the order in which the original visits them. */
static struct labels_entry *matching(const struct relabel_rule *rule, struct labels_builder *b, uint32_t *n)
{
    struct labels_entry *v = NULL;

    *n = 0;
    for (uint32_t i = 0; i < b->n; i++) {
        if (!regex_match(rule->regex, b->v[i].name))
            continue;
        if (!v)
            v = arena_alloc(b->arena, sizeof(*v) * b->n);
        uint32_t at = (*n)++;
        for (; at > 0 && v[at - 1].order > b->v[i].order; at--)
            v[at] = v[at - 1];
        v[at] = b->v[i];
    }
    return v;
}

static void labelmap(const struct relabel_rule *rule, struct labels_builder *b)
{
    AUTO_BUF name = {0};
    uint32_t n;
    struct labels_entry *v = matching(rule, b, &n);

    for (uint32_t i = 0; i < n; i++) {
        buf_clear(&name);
        if (!regex_expand(rule->regex, v[i].name, rule->replacement, &name))
            continue;
        b->read_scope |= v[i].from_scope;
        labels_builder_set(b, keep_copy(b, buf_view(&name)), v[i].value);
    }
}

/* Removes the labels whose names match, or those whose names do not. */
static void drop_names(const struct relabel_rule *rule, struct labels_builder *b, bool matched)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < b->n; i++) {
        if (regex_match(rule->regex, b->v[i].name) != matched)
            b->v[kept++] = b->v[i];
    }
    b->n = kept;
}

static bool run_joined(const struct relabel_rule *rule, const struct joined *j, struct labels_builder *b)
{
    switch (rule->action) {
    case RELABEL_KEEP:
        return is_default(rule->regex) || regex_match(rule->regex, j->value);
    case RELABEL_DROP:
        return !is_default(rule->regex) && !regex_match(rule->regex, j->value);
    case RELABEL_KEEPEQUAL:
        return str_eq(labels_builder_get(b, rule->target_label), j->value);
    case RELABEL_DROPEQUAL:
        return !str_eq(labels_builder_get(b, rule->target_label), j->value);
    case RELABEL_REPLACE:
        replace(rule, j, b);
        return true;
    case RELABEL_HASHMOD:
        hashmod(rule, j, b);
        return true;
    case RELABEL_LOWERCASE:
    case RELABEL_UPPERCASE:
        change_case(rule, j, b);
        return true;
    default:
        return true;
    }
}

bool relabel_run_one(const struct relabel_rule *rule, struct labels_builder *b)
{
    switch (rule->action) {
    case RELABEL_LABELMAP:
        labelmap(rule, b);
        return true;
    case RELABEL_LABELDROP:
        drop_names(rule, b, true);
        return true;
    case RELABEL_LABELKEEP:
        drop_names(rule, b, false);
        return true;
    default:
        break;
    }

    __attribute__((cleanup(joined_release))) struct joined j;
    join(&j, rule, b);
    return run_joined(rule, &j, b);
}

bool relabel_run(const struct relabel_rules *rules, struct labels_builder *b)
{
    for (uint32_t i = 0; rules && i < rules->n; i++) {
        if (!relabel_run_one(&rules->rules[i], b))
            return false;
    }
    return true;
}

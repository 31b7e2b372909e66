#include "unit/shape/rules.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"

static struct str or_default(const char *given, const char *otherwise)
{
    return str_c(given ? given : otherwise);
}

struct relabel_rules *rules_new(const struct rule_text *texts, uint32_t n)
{
    struct relabel_rules *out = NEW(struct relabel_rules);

    out->rules = mem_zalloc(sizeof(*out->rules) * n);
    out->n = n;
    for (uint32_t i = 0; i < n; i++) {
        struct relabel_rule *r = &out->rules[i];
        struct str rest = str_c(texts[i].sources);
        r->action = texts[i].action;
        r->source_labels = mem_alloc(sizeof(struct str) * (rest.n + 1));
        while (rest.n > 0)
            str_cut(rest, ' ', &r->source_labels[r->n_source_labels++], &rest);
        r->separator = or_default(texts[i].separator, ";");
        r->replacement = or_default(texts[i].replacement, "$1");
        r->target_label = or_default(texts[i].target, "");
        r->modulus = texts[i].modulus;
        r->legacy_names = texts[i].legacy;
        struct diag d = {0};
        CHECK(regex_new(or_default(texts[i].regex, "(.*)"), &r->regex, &d) == OK);
    }
    return out;
}

void rules_free(struct relabel_rules *rules)
{
    for (uint32_t i = 0; i < rules->n; i++) {
        regex_free(rules->rules[i].regex);
        free(rules->rules[i].source_labels);
    }
    free(rules->rules);
    free(rules);
}

static int by_name(const void *a, const void *b)
{
    return str_cmp(((const struct label *)a)->name, ((const struct label *)b)->name);
}

struct labels labels_of_text(const char *text, struct arena *a)
{
    struct str rest = str_c(text);
    struct label *v = ARENA_ARRAY(a, struct label, rest.n + 1);
    uint32_t n = 0;

    while (rest.n > 0) {
        struct str one;
        str_cut(rest, ' ', &one, &rest);
        str_cut(one, '=', &v[n].name, &v[n].value);
        n++;
    }
    if (n > 0)
        qsort(v, n, sizeof(*v), by_name);
    return (struct labels){v, n};
}

const char *text_of_labels(struct labels l, struct arena *a)
{
    const char *out = "";

    for (uint32_t i = 0; i < l.n; i++)
        out = arena_printf(a, "%s%s%.*s=%.*s", out, i ? " " : "", STR_ARGS(l.v[i].name), STR_ARGS(l.v[i].value));
    return out;
}

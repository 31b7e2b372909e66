/* emf_survey_report: a survey's tallies as what a person wants to know: for what matches nothing, what came near it.
 *
 *   selector  ^jvm_thread_curent$     the literal text of it: jvm_thread_curent
 *   names     jvm_threads_current     how many letters differ, at the place of the name where they differ least: 2
 *             process_cpu_seconds     ... too many: not shown
 *
 * A selector is searched in a name, so the text may begin and end anywhere in it (Sellers' variant of the edit
 * distance). A name is near when at most a third of the text differs.
 */
#include <stdlib.h>

#include "sink/cloudwatch/emf_survey_int.h"

enum { TEXT_MAX = 64 };

/* ---- names that are near ----------------------------------------------------------------------------------------- */

/* What is left of a pattern without what is not text; its length. */
static size_t literal_of(struct str pattern, char *out)
{
    size_t n = 0;

    for (size_t i = 0; i < pattern.n && n < TEXT_MAX; i++) {
        char c = pattern.p[i];
        if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':')
            out[n++] = c;
    }
    return n;
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static uint32_t distance(const char *text, size_t n, struct str name)
{
    uint32_t row[TEXT_MAX + 1], best = (uint32_t)n;

    for (uint32_t i = 0; i <= n; i++)
        row[i] = i;
    for (size_t k = 0; k < name.n; k++) {
        uint32_t diagonal = row[0];
        for (uint32_t i = 1; i <= n; i++) {
            uint32_t above = row[i];
            row[i] = smaller(smaller(row[i - 1], above) + 1, diagonal + (text[i - 1] != name.p[k]));
            diagonal = above;
        }
        best = smaller(best, row[n]);
    }
    return best;
}

static void find_like(const struct survey_declaration *t, uint32_t selector, struct str *out)
{
    char text[TEXT_MAX];
    size_t n = literal_of(regex_pattern(t->declaration->selectors[selector]), text);
    uint32_t found[EMF_SURVEY_EXAMPLES], n_found = 0;

    for (size_t i = 0; n > 0 && i < t->n_names; i++) {
        uint32_t d = distance(text, n, t->names[i].name), at = n_found;
        if (d * 3 > n)
            continue;
        for (; at > 0 && found[at - 1] > d; at--) {
            if (at < EMF_SURVEY_EXAMPLES) {
                found[at] = found[at - 1];
                out[at] = out[at - 1];
            }
        }
        if (at == EMF_SURVEY_EXAMPLES)
            continue;
        found[at] = d;
        out[at] = t->names[i].name;
        n_found += n_found < EMF_SURVEY_EXAMPLES;
    }
}

/* ---- the report -------------------------------------------------------------------------------------------------- */

static void report_set(const struct survey_set *t, const struct plan_dimensions *d, struct arena *a,
                       struct emf_survey_set *out)
{
    struct str *missing = ARENA_ARRAY(a, struct str, d->n + 1);

    *out = (struct emf_survey_set){.dimensions = d,
                                   .applied = t->applied,
                                   .incomplete = t->incomplete,
                                   .missing = missing,
                                   .example = str_dup(a, t->example)};
    for (uint32_t i = 0; i < d->n; i++) {
        if (t->lacking[i])
            missing[out->n_missing++] = d->names[i];
    }
    memcpy(out->skipped, t->skipped, sizeof(out->skipped));
}

static void report_declaration(const struct survey_declaration *t, struct arena *a, struct emf_survey_declaration *out)
{
    const struct plan_emf_declaration *d = t->declaration;
    struct emf_survey_set *sets = ARENA_ARRAY(a, struct emf_survey_set, d->n_dimensions + 1);
    struct str *absent = ARENA_ARRAY(a, struct str, d->n_source_labels + 1);
    struct str *like = ARENA_ARRAY(a, struct str, d->n_selectors * EMF_SURVEY_EXAMPLES + 1);
    uint32_t *names = ARENA_ARRAY(a, uint32_t, d->n_selectors + 1);

    *out = (struct emf_survey_declaration){.declaration = d,
                                           .series = t->series,
                                           .selected = t->selected,
                                           .told = t->told,
                                           .metrics = t->metrics.n,
                                           .sets = sets,
                                           .absent = absent,
                                           .n_values = t->n_values,
                                           .names = names,
                                           .like = like};
    for (uint32_t i = 0; i < d->n_dimensions; i++)
        report_set(&t->sets[i], &d->dimensions[i], a, &sets[i]);
    for (uint32_t i = 0; i < d->n_source_labels; i++) {
        if (t->present[i] == 0)
            absent[out->n_absent++] = d->source_labels[i];
    }
    for (uint32_t i = 0; i < t->n_values; i++)
        out->values[i] = str_dup(a, t->values[i]);
    for (uint32_t i = 0; i < d->n_selectors; i++) {
        names[i] = t->by_selector[i];
        if (names[i])
            continue;
        struct str *near = &like[i * EMF_SURVEY_EXAMPLES];
        find_like(t, i, near);
        for (int k = 0; k < EMF_SURVEY_EXAMPLES && near[k].n; k++)
            near[k] = str_dup(a, near[k]);
    }
}

void emf_survey_report(const struct emf_survey *s, struct arena *a, struct emf_survey_report *out)
{
    struct emf_survey_declaration *v = ARENA_ARRAY(a, struct emf_survey_declaration, s->n_declarations + 1);

    *out = s->sum;
    out->declarations = v;
    out->n_declarations = s->n_declarations;
    out->metrics = s->metrics.n;
    for (uint32_t i = 0; i < s->n_declarations; i++)
        report_declaration(&s->declarations[i], a, &v[i]);
    for (uint32_t i = 0; i < s->n_declarations; i++)
        v[i].number = i;
    for (int i = 0; i < EMF_SURVEY_DROPS; i++)
        out->dropped_example[i] = str_dup(a, s->sum.dropped_example[i]);
}

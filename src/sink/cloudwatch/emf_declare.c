/* emf_declare: which declarations select a metric, and which of their dimension sets are possible beside its labels.
 *
 *   declaration 0   source_labels [job], label_matcher ^web$          labels -> bit 0?   asked once per set of labels
 *                   metric_selectors [^http_, ^process_]              name -> bit 0?     asked once per name
 *                   dimensions [[ClusterName, job], [code]]
 *
 * The values of source_labels, joined with ';' (none is the empty string), are searched for the matcher, not anchored;
 * so is the metric's name after relabelling for each selector. Metrics with the same bits form one directive: the sets
 * of all its declarations whose labels are all there, each once. What CloudWatch would refuse a whole directive for, a
 * value that is empty, not ASCII or too long, makes its set impossible here, and is counted.
 *
 * Lives as long as one layout is made; both answers are kept as long.
 */
#include "base/hash.h"
#include "sink/cloudwatch/emf_int.h"

struct name_answer {
    struct str name;
    uint64_t *known, *selected; /* bits by declaration */
};

struct emf_declare {
    struct emf *e;
    const struct plan_emf *emf;
    struct arena *scratch;
    uint32_t n, words;
    bool mixed;
    uint64_t *matched; /* by declaration, for the labels given last */
    struct name_answer *names;
    size_t n_names, cap_names;
    uint32_t *by_name; /* open addressing: 1 + index */
    uint32_t mask;
};

/* ---- labels ------------------------------------------------------------------------------------------------------ */

static bool is_hidden(const struct emf_visible *v, uint32_t position)
{
    for (uint32_t i = 0; i < v->n_hidden; i++) {
        if (v->hidden[i] == position)
            return true;
    }
    return false;
}

static const struct label *find_label(const struct label *v, uint32_t n, struct str name)
{
    uint32_t low = 0, high = n;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int c = str_cmp(v[middle].name, name);
        if (c == 0)
            return &v[middle];
        if (c < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static const struct label *find_visible(const struct emf_visible *v, struct str name)
{
    const struct label *own = find_label(v->own.v, v->own.n, name);

    if (own)
        return own;
    const struct label *scope = find_label(v->form->labels, v->form->n, name);
    return scope && !is_hidden(v, (uint32_t)(scope - v->form->labels)) ? scope : NULL;
}

struct str emf_visible_get(const struct emf_visible *v, struct str name)
{
    const struct label *l = find_visible(v, name);

    return l ? l->value : STR_NONE;
}

bool emf_visible_has(const struct emf_visible *v, struct str name)
{
    return find_visible(v, name) != NULL;
}

/* ---- declarations ------------------------------------------------------------------------------------------------ */

uint32_t emf_declarations(const struct emf *e)
{
    bool asked = !e->emf->no_directives || e->emf->drop_unselected || e->config->kind == CLOUDWATCH_METRICS;

    return asked ? e->emf->n_declarations : 0;
}

struct emf_declare *emf_declare_new(struct emf *e, struct arena *scratch)
{
    struct emf_declare *d = ARENA_NEW(scratch, struct emf_declare);
    d->e = e;
    d->emf = e->emf;
    d->scratch = scratch;
    d->n = emf_declarations(e);
    d->words = (d->n + 63) / 64;
    d->matched = ARENA_ARRAY(scratch, uint64_t, d->words + 1);
    d->mask = 63;
    d->by_name = ARENA_ARRAY(scratch, uint32_t, d->mask + 1);
    return d;
}

uint32_t emf_declare_words(const struct emf_declare *d)
{
    return d->words;
}

bool emf_declare_mixed(const struct emf_declare *d)
{
    return d->mixed;
}

/* Some of what it reads is the scope's, whose values its class does not tell, and some is not. */
static bool is_mixed(const struct plan_emf_declaration *declaration, const struct emf_visible *v)
{
    bool own = false, scope = false;

    for (uint32_t i = 0; i < declaration->n_source_labels; i++) {
        struct str name = declaration->source_labels[i];
        const struct label *below = find_label(v->form->labels, v->form->n, name);
        if (find_label(v->own.v, v->own.n, name) || (below && is_hidden(v, (uint32_t)(below - v->form->labels))))
            own = true;
        else if (below)
            scope = true;
    }
    return own && scope;
}

bool emf_declare_matches(const struct plan_emf_declaration *declaration, const struct emf_visible *v,
                         struct buf *joined)
{
    buf_clear(joined);
    for (uint32_t i = 0; i < declaration->n_source_labels; i++) {
        if (i)
            buf_char(joined, ';');
        buf_str(joined, emf_visible_get(v, declaration->source_labels[i]));
    }
    buf_c(joined, "");
    return !declaration->label_matcher || regex_match(declaration->label_matcher, buf_view(joined));
}

void emf_declare_labels(struct emf_declare *d, const struct emf_visible *v)
{
    AUTO_BUF joined = {0};

    for (uint32_t i = 0; i < d->words; i++)
        d->matched[i] = 0;
    for (uint32_t i = 0; i < d->n; i++) {
        if (emf_declare_matches(&d->emf->declarations[i], v, &joined))
            d->matched[i / 64] |= 1ULL << i % 64;
        d->mixed = d->mixed || is_mixed(&d->emf->declarations[i], v);
    }
}

static uint32_t *name_slot(const struct emf_declare *d, struct str name)
{
    uint32_t at = (uint32_t)hash_bytes(name) & d->mask;

    while (d->by_name[at] && !str_eq(d->names[d->by_name[at] - 1].name, name))
        at = (at + 1) & d->mask;
    return &d->by_name[at];
}

static void grow_names(struct emf_declare *d)
{
    size_t cap = d->cap_names ? d->cap_names * 2 : 32;
    struct name_answer *names = ARENA_ARRAY(d->scratch, struct name_answer, cap);

    if (d->n_names)
        memcpy(names, d->names, d->n_names * sizeof(*names));
    d->names = names;
    d->cap_names = cap;
    d->mask = (uint32_t)cap * 2 - 1;
    d->by_name = ARENA_ARRAY(d->scratch, uint32_t, d->mask + 1);
    for (size_t i = 0; i < d->n_names; i++)
        *name_slot(d, d->names[i].name) = (uint32_t)i + 1;
}

static struct name_answer *answer_of(struct emf_declare *d, struct str name)
{
    uint32_t *slot = name_slot(d, name);

    if (*slot)
        return &d->names[*slot - 1];
    if (d->n_names == d->cap_names) {
        grow_names(d);
        slot = name_slot(d, name);
    }
    d->names[d->n_names] = (struct name_answer){name, ARENA_ARRAY(d->scratch, uint64_t, d->words),
                                                ARENA_ARRAY(d->scratch, uint64_t, d->words)};
    *slot = (uint32_t)++d->n_names;
    return &d->names[d->n_names - 1];
}

static bool selects(const struct plan_emf_declaration *declaration, struct str name)
{
    for (uint32_t i = 0; i < declaration->n_selectors; i++) {
        if (regex_match(declaration->selectors[i], name))
            return true;
    }
    return false;
}

const uint64_t *emf_declare_metric(struct emf_declare *d, struct str name)
{
    if (d->n == 0)
        return NULL;
    struct name_answer *a = answer_of(d, name);
    uint64_t *bits = ARENA_ARRAY(d->scratch, uint64_t, d->words);
    bool any = false;
    for (uint32_t i = 0; i < d->n; i++) {
        uint64_t bit = 1ULL << i % 64;
        if (!(d->matched[i / 64] & bit))
            continue;
        if (!(a->known[i / 64] & bit) && selects(&d->emf->declarations[i], name))
            a->selected[i / 64] |= bit;
        a->known[i / 64] |= bit;
        bits[i / 64] |= a->selected[i / 64] & bit;
        any |= (a->selected[i / 64] & bit) != 0;
    }
    return any ? bits : NULL;
}

/* ---- dimension sets ---------------------------------------------------------------------------------------------- */

enum emf_skip emf_dimension_check(struct str value)
{
    bool blank = true;

    for (size_t i = 0; i < value.n; i++) {
        unsigned char c = (unsigned char)value.p[i];
        if (c >= 128 || c < ' ' || c == 127)
            return EMF_SKIP_NOT_ASCII;
        blank &= c == ' ';
    }
    if (blank)
        return EMF_SKIP_EMPTY;
    return value.n > EMF_DIMENSION_VALUE_MAX ? EMF_SKIP_TOO_LONG : EMF_SKIPS;
}

static bool set_eq(const struct emf_set *s, const struct plan_dimensions *d)
{
    if (s->n != d->n)
        return false;
    for (uint32_t i = 0; i < s->n; i++) {
        if (!str_eq(s->names[i], d->names[i]))
            return false;
    }
    return true;
}

/* The labels are all there, whatever their values. */
static bool has_all(const struct emf_visible *v, const struct plan_dimensions *d)
{
    for (uint32_t i = 0; i < d->n; i++) {
        if (!emf_visible_has(v, d->names[i]))
            return false;
    }
    return true;
}

enum emf_skip emf_set_check(const struct emf_visible *v, const struct plan_dimensions *d)
{
    for (uint32_t i = 0; i < d->n; i++) {
        if (d->names[i].n > EMF_DIMENSION_NAME_MAX)
            return EMF_SKIP_NAME;
        enum emf_skip skip = emf_dimension_check(emf_visible_get(v, d->names[i]));
        if (skip != EMF_SKIPS)
            return skip;
    }
    return EMF_SKIPS;
}

static const char *const skip_texts[EMF_SKIPS] = {
    [EMF_SKIP_EMPTY] = "A dimension's value is empty",
    [EMF_SKIP_TOO_LONG] = "A dimension's value has more than 1024 characters",
    [EMF_SKIP_NOT_ASCII] = "A dimension's value is not printable ASCII",
    [EMF_SKIP_NAME] = "A dimension's name has more than 250 characters",
};

static void say_skip(struct emf *e, enum emf_skip skip, const struct plan_dimensions *d)
{
    uint32_t swallowed;

    if (!log_allow(&e->skip_limit[skip], 3600000, &swallowed))
        return;
    AUTO_BUF names = {0};
    for (uint32_t i = 0; i < d->n; i++)
        buf_printf(&names, "%s%.*s", i ? "," : "", STR_ARGS(d->names[i]));
    buf_c(&names, "");
    log_warn(e->log, "A dimension set is left out: CloudWatch would refuse it; the event stays",
             F_C("reason", skip_texts[skip]), F_STR("dimensions", buf_view(&names)), F_INT("suppressed", swallowed));
}

static bool has_set(const struct emf_directive *out, const struct emf_set *sets, const struct plan_dimensions *d)
{
    for (uint32_t i = 0; i < out->n_sets; i++) {
        if (set_eq(&sets[i], d))
            return true;
    }
    return false;
}

static void keep_set(struct emf_set *to, const struct plan_dimensions *d, uint32_t declaration, struct arena *a)
{
    struct str *names = ARENA_ARRAY(a, struct str, d->n);

    for (uint32_t i = 0; i < d->n; i++)
        names[i] = str_dup(a, d->names[i]);
    *to = (struct emf_set){names, d->n, declaration};
}

void emf_declare_sets(struct emf_declare *d, const struct emf_visible *v, const uint64_t *bits, struct arena *a,
                      struct emf_directive *out)
{
    uint32_t n = 0;

    *out = (struct emf_directive){0};
    for (uint32_t i = 0; i < d->n; i++)
        n += bits[i / 64] >> i % 64 & 1 ? d->emf->declarations[i].n_dimensions : 0;
    struct emf_set *sets = ARENA_ARRAY(a, struct emf_set, n);
    out->sets = sets;
    for (uint32_t i = 0; i < d->n; i++) {
        if (!(bits[i / 64] >> i % 64 & 1))
            continue;
        for (uint32_t k = 0; k < d->emf->declarations[i].n_dimensions; k++) {
            const struct plan_dimensions *set = &d->emf->declarations[i].dimensions[k];
            if (!has_all(v, set) || has_set(out, sets, set))
                continue;
            enum emf_skip skip = emf_set_check(v, set);
            if (skip == EMF_SKIPS) {
                keep_set(&sets[out->n_sets++], set, i, a);
                continue;
            }
            out->skipped[skip]++;
            say_skip(d->e, skip, set);
        }
    }
}

/* emf_survey: see the header. The encoder's own layouts, made and thrown away, with a tally beside them:
 *
 *   batch -> form of the scope -> layout -> events
 *                                             labels of the event  x  declarations -> matched?  which values not
 *                                             value's name         x  selectors    -> selected? which names not
 *                                             value                x  sets         -> told?     which labels are
 * missing
 *                                           -> printed by the encoder: bytes
 *
 * An encoder that drops what nothing selects would not have it in its layouts; so the survey's keeps everything, as
 * events, and leaves out later what the configuration leaves out. Bytes are counted twice: with everything, and with
 * what is declared alone; the difference is what nobody asked for.
 *
 * Differences need a value before; each counter gets one, 0 at a time before the batch, by the way that series that
 * stand twice in a batch take (emf.pending). So nothing is read from, or written to, any state, and nothing is handed
 * on: the encoder has no lanes here.
 *
 * A metric of CloudWatch is a hash of its name and its dimensions with their values: 16 bytes each, for each
 * declaration and for all together. What is kept for near misses is bounded: NAMES_MAX names a declaration, three
 * examples of values.
 */
#include "sink/cloudwatch/emf_survey.h"

#include <stdlib.h>

#include "base/hash.h"
#include "format/exposition.h"
#include "sink/cloudwatch/emf_survey_int.h"

enum {
    SELECTED = 1, /* flags */
    TOLD = 2,
    NAMES_MAX = 20000,
    EXAMPLE_MAX = 80,
};

_Static_assert((int)EMF_SURVEY_SKIPS == (int)EMF_SKIPS && (int)EMF_SURVEY_NAME == (int)EMF_SKIP_NAME &&
                   (int)EMF_SURVEY_TOO_LONG == (int)EMF_SKIP_TOO_LONG && (int)EMF_SURVEY_EMPTY == (int)EMF_SKIP_EMPTY,
               "the same reasons, without the encoder's header");

#define MONTH_MS (30 * 24 * 3600 * 1000.0)

/* ---- hashes ------------------------------------------------------------------------------------------------------ */

struct hash_key {
    const struct survey_hashes *h;
    uint64_t hash;
};

static bool same_hash(const void *ctx, uint32_t index)
{
    const struct hash_key *k = ctx;

    return k->h->v[index] == k->hash;
}

static void add_hash(struct survey_hashes *h, uint64_t hash)
{
    if (map_find(&h->map, hash, same_hash, &(struct hash_key){h, hash}) != MAP_NONE)
        return;
    h->v = mem_grow(h->v, &h->cap, h->n + 1, sizeof(*h->v));
    h->v[h->n] = hash;
    map_add(&h->map, hash, (uint32_t)h->n++);
}

static void release_hashes(struct survey_hashes *h)
{
    free(h->v);
    map_release(&h->map);
}

static uint64_t hash_metric(const struct emf_visible *v, struct str name, const struct plan_dimensions *set)
{
    uint64_t h = hash_bytes_seed(name, set->n);

    for (uint32_t i = 0; i < set->n; i++)
        h = hash_bytes_seed(emf_visible_get(v, set->names[i]), hash_bytes_seed(set->names[i], h));
    return h;
}

/* ---- a declaration's labels and names ---------------------------------------------------------------------------- */

static struct str cut(struct arena *a, struct str s)
{
    return s.n <= EXAMPLE_MAX ? str_dup(a, s) : str_c(arena_printf(a, "%.*s...", EXAMPLE_MAX, s.p));
}

static void note_labels(struct emf_survey *s, struct survey_declaration *t, const struct emf_visible *v, uint32_t n,
                        bool matched)
{
    for (uint32_t i = 0; i < t->declaration->n_source_labels; i++)
        t->present[i] += emf_visible_has(v, t->declaration->source_labels[i]) ? n : 0;
    if (matched) {
        t->series += n;
        return;
    }
    if (t->n_values == EMF_SURVEY_EXAMPLES || t->series)
        return;
    struct str value = cut(&s->arena, buf_view(&s->joined));
    for (uint32_t i = 0; i < t->n_values; i++) {
        if (str_eq(t->values[i], value))
            return;
    }
    t->values[t->n_values++] = value;
}

struct name_key {
    const struct survey_declaration *t;
    struct str name;
};

static bool same_name(const void *ctx, uint32_t index)
{
    const struct name_key *k = ctx;

    return str_eq(k->t->names[index].name, k->name);
}

static bool ask_selectors(struct survey_declaration *t, struct str name)
{
    bool selected = false;

    for (uint32_t i = 0; i < t->declaration->n_selectors; i++) {
        if (!regex_match(t->declaration->selectors[i], name))
            continue;
        t->by_selector[i]++;
        selected = true;
    }
    return selected;
}

/* Whether the declaration selects this name; each is asked once. */
static bool is_selected(struct emf_survey *s, struct survey_declaration *t, struct str name)
{
    uint64_t hash = hash_bytes(name);
    uint32_t at = map_find(&t->by_name, hash, same_name, &(struct name_key){t, name});

    if (at != MAP_NONE)
        return t->names[at].selected;
    bool selected = ask_selectors(t, name);
    if (t->n_names == NAMES_MAX)
        return selected;
    t->names = mem_grow(t->names, &t->cap_names, t->n_names + 1, sizeof(*t->names));
    t->names[t->n_names] = (struct survey_name){str_dup(&s->arena, name), selected};
    map_add(&t->by_name, hash, (uint32_t)t->n_names++);
    return selected;
}

/* ---- its dimension sets ------------------------------------------------------------------------------------------ */

static bool is_complete(const struct emf_visible *v, const struct plan_dimensions *set, struct survey_set *tally)
{
    bool complete = true;

    for (uint32_t i = 0; i < set->n; i++) {
        bool has = emf_visible_has(v, set->names[i]);
        tally->lacking[i] += !has;
        complete &= has;
    }
    tally->incomplete += !complete;
    return complete;
}

static void note_skip(struct emf_survey *s, struct survey_set *tally, const struct emf_visible *v,
                      const struct plan_dimensions *set, enum emf_skip skip)
{
    tally->skipped[skip]++;
    for (uint32_t i = 0; i < set->n && !tally->example.n; i++) {
        struct str value = emf_visible_get(v, set->names[i]);
        if (set->names[i].n > EMF_DIMENSION_NAME_MAX || emf_dimension_check(value) != EMF_SKIPS)
            tally->example = cut(
                &s->arena, str_c(arena_printf(&s->scratch, "%.*s=\"%.*s\"", STR_ARGS(set->names[i]), STR_ARGS(value))));
    }
}

/* A series that is selected. True: some set of it is possible. */
static bool note_sets(struct emf_survey *s, struct survey_declaration *t, const struct emf_visible *v, struct str name)
{
    bool told = false;

    for (uint32_t i = 0; i < t->declaration->n_dimensions; i++) {
        const struct plan_dimensions *set = &t->declaration->dimensions[i];
        if (!is_complete(v, set, &t->sets[i]))
            continue;
        enum emf_skip skip = emf_set_check(v, set);
        if (skip != EMF_SKIPS) {
            note_skip(s, &t->sets[i], v, set, skip);
            continue;
        }
        t->sets[i].applied++;
        told = true;
        if (s->emf.no_directives)
            continue;
        uint64_t hash = hash_metric(v, name, set);
        add_hash(&t->metrics, hash);
        add_hash(&s->metrics, hash);
    }
    return told;
}

/* ---- an event ---------------------------------------------------------------------------------------------------- */

/* The name between the quotes of `,"name":`. Metrics whose names JSON escapes are looked at as escaped. */
static struct str name_of(const struct emf_layout *l, const struct emf_value *v)
{
    return str_from(l->text + v->key + 2, v->key_n - 4u);
}

static void note_declarations(struct emf_survey *s, const struct emf_run *r, const struct emf_event *ev)
{
    struct emf_visible v = emf_visible_of(r->form, r->layout, ev);

    for (uint32_t i = 0; i < s->n_declarations; i++) {
        struct survey_declaration *t = &s->declarations[i];
        bool matched = emf_declare_matches(t->declaration, &v, &s->joined);
        note_labels(s, t, &v, ev->n, matched);
        for (uint32_t k = 0; matched && k < ev->n; k++) {
            struct str name = name_of(r->layout, &r->layout->values[ev->first + k]);
            if (!is_selected(s, t, name))
                continue;
            bool told = note_sets(s, t, &v, name);
            t->selected++;
            t->told += told;
            s->flags[k] |= told ? SELECTED | TOLD : SELECTED;
        }
    }
}

static size_t bytes_of(const struct emf_out *out)
{
    return out->text.n + out->n_records * CW_EVENT_OVERHEAD;
}

/* The event with those of its values that are finite, and declared where `declared` says so; its bytes. */
static size_t print(struct emf_survey *s, struct emf_run *r, const struct emf_event *ev, bool declared)
{
    uint32_t n = 0;

    buf_clear(&s->out.text);
    s->out.n_records = s->out.n_folds = s->out.n_tail = 0;
    for (uint32_t i = 0; i < ev->n; i++) {
        if (r->e->results[i].present && (!declared || s->flags[i] & TOLD))
            s->picked[n++] = i;
    }
    if (n)
        emf_print_some(r, &s->out, ev, s->picked, n, r->b->ts_ms);
    return bytes_of(&s->out);
}

static void count_bytes(struct emf_survey *s, struct emf_run *r, const struct emf_event *ev)
{
    double cycles = MONTH_MS / (double)(r->b->interval_ms > 0 ? r->b->interval_ms : 60000);
    size_t declared = print(s, r, ev, true), all = declared;

    if (!s->drop_unselected)
        all = print(s, r, ev, false);
    s->sum.events += s->out.n_records;
    s->sum.bytes += all;
    s->sum.undeclared_bytes += all - declared;
    s->sum.month_bytes += (double)all * cycles;
    s->sum.undeclared_month_bytes += (double)(all - declared) * cycles;
}

static void one_event(struct emf_survey *s, struct emf_run *r, const struct emf_event *ev)
{
    struct emf *e = r->e;

    memset(s->flags, 0, ev->n);
    note_declarations(s, r, ev);
    for (uint32_t i = 0; i < ev->n; i++) {
        const struct emf_value *v = &r->layout->values[ev->first + i];
        emf_value_next(r, &s->out, &r->form->targets[0], ev, i, r->b->ts_ms, &e->results[i]);
        s->sum.series++;
        s->sum.unselected += s->flags[i] == 0;
        s->sum.incomplete += s->flags[i] == SELECTED;
        s->sum.not_finite += !e->results[i].present;
        if (v->directive != EMF_NONE)
            s->sum.data += r->layout->directives[v->directive].n_sets;
    }
    if (!s->data)
        count_bytes(s, r, ev);
}

/* ---- types ------------------------------------------------------------------------------------------------------- */

static void note_drop(struct emf_survey *s, enum emf_survey_drop drop, struct str name)
{
    if (s->sum.dropped[drop]++ == 0)
        s->sum.dropped_example[drop] = cut(&s->arena, name);
}

static void note_type(struct emf_survey *s, const struct emf_types *types, struct str name)
{
    enum metric_type type = TYPE_UNKNOWN;
    uint32_t stripped = 0;
    bool known = emf_types_find(types, name, &type, &stripped);

    if (!known && (str_eq(name, STR("up")) || str_starts(name, STR("scrape_")) || str_ends(name, STR("_created"))))
        return;
    s->sum.samples++;
    if (type == TYPE_HISTOGRAM) {
        bool bucket = stripped == strlen("_bucket");
        if (s->emf.histograms == EMF_HISTOGRAMS_NONE || stripped == 0 ||
            (bucket && s->emf.histograms == EMF_HISTOGRAMS_SUM_COUNT))
            note_drop(s, EMF_SURVEY_HISTOGRAM, name);
    } else if (type == TYPE_UNKNOWN && !s->emf.untyped_as_gauge) {
        note_drop(s, EMF_SURVEY_UNTYPED, name);
    } else if (type == TYPE_GAUGE_HISTOGRAM || type == TYPE_INFO || type == TYPE_STATESET) {
        note_drop(s, EMF_SURVEY_OTHER_TYPE, name);
    }
}

static void note_types(struct emf_survey *s, const struct emf_run *r)
{
    const struct emf_types *types = emf_types_read(r->b, &s->scratch);

    for (uint32_t i = 0; i < r->n; i++)
        note_type(s, types, emf_original_name(intern_raw(r->b->metrics, r->samples[i].metric), &s->scratch));
}

/* ---- batches ----------------------------------------------------------------------------------------------------- */

static bool is_stale(const struct sample *s)
{
    uint64_t bits;

    memcpy(&bits, &s->value, sizeof(bits));
    return bits == SAMPLE_STALE_BITS;
}

/* In the scratch arena. */
static const struct sample *without_stale(struct emf_survey *s, const struct sample *v, uint32_t *n)
{
    struct sample *kept = ARENA_ARRAY(&s->scratch, struct sample, *n + 1);
    uint32_t k = 0;

    for (uint32_t i = 0; i < *n; i++) {
        if (!is_stale(&v[i]))
            kept[k++] = v[i];
    }
    *n = k;
    return kept;
}

/* Every counter was 0 a moment ago. */
static void invent_before(struct emf *e, const struct emf_layout *l, int64_t ts_ms)
{
    free(e->pending);
    e->pending = mem_zalloc((l->n_counters + 1) * sizeof(*e->pending));
    e->n_pending = l->n_counters;
    for (uint32_t i = 0; i < l->n_counters; i++)
        e->pending[i] = (struct emf_pending){e->run, {0, ts_ms - 1}};
}

static void one_run(struct emf_survey *s, const struct batch *b, const struct batch_run *run)
{
    struct emf *e = s->e;
    struct emf_run r = {.e = e, .b = b, .n = run->n, .form = emf_form_get(e, run->scope), .gap_ms = INT64_MAX / 2};

    arena_reset(&s->scratch);
    r.samples = without_stale(s, b->samples + run->first, &r.n);
    if (r.n == 0)
        return;
    struct emf_layout *l = emf_layout_make(e, r.form, b, r.samples, r.n);
    struct emf_binding binding = {.layout = l, .series = ARENA_ARRAY(&s->scratch, uint32_t, l->n_counters + 1)};
    r.layout = l;
    r.binding = &binding;
    e->run++;
    e->n_folds = e->n_chunks = e->n_numbers = 0;
    buf_clear(&e->scratch);
    e->results = mem_grow(e->results, &e->cap_results, l->largest + 1, sizeof(*e->results));
    s->picked = mem_grow(s->picked, &s->cap_picked, l->largest + 1, sizeof(*s->picked));
    s->flags = mem_grow(s->flags, &s->cap_flags, l->largest + 1, 1);
    note_types(s, &r);
    invent_before(e, l, b->ts_ms);
    for (uint32_t i = 0; i < l->n_events; i++)
        one_event(s, &r, &l->events[i]);
    s->sum.left_out += l->left_out + (l->n_events ? r.form->left_out : 0);
    emf_class_unref(e, l->class);
    emf_layout_free(l);
}

static void append(struct batch_consumer *self, const struct batch *b, batch_done_fn *done, void *done_ctx)
{
    struct emf_survey *s = CONTAINER_OF(self, struct emf_survey, consumer);

    for (uint32_t i = 0; i < b->n_runs; i++)
        one_run(s, b, &b->runs[i]);
    if (done)
        done(done_ctx, OK);
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

static void open_declaration(struct emf_survey *s, struct survey_declaration *t, const struct plan_emf_declaration *d)
{
    struct arena *a = &s->arena;

    t->declaration = d;
    t->present = ARENA_ARRAY(a, uint64_t, d->n_source_labels + 1);
    t->by_selector = ARENA_ARRAY(a, uint32_t, d->n_selectors + 1);
    t->sets = ARENA_ARRAY(a, struct survey_set, d->n_dimensions + 1);
    for (uint32_t i = 0; i < d->n_dimensions; i++)
        t->sets[i].lacking = ARENA_ARRAY(a, uint64_t, d->dimensions[i].n + 1);
}

struct emf_survey *emf_survey_new(const struct emf_survey_options *o)
{
    struct emf_survey *s = NEW(struct emf_survey);

    s->config = *o->config;
    s->emf = *o->config->emf;
    s->data = s->config.kind == CLOUDWATCH_METRICS;
    s->drop_unselected = s->emf.drop_unselected;
    s->config.kind = CLOUDWATCH_LOGS;
    s->config.emf = &s->emf;
    s->emf.drop_unselected = false;
    struct cloudwatch_options eo = {.intern = o->intern,
                                    .scopes = o->scopes,
                                    .slot = o->slot,
                                    .plan = o->plan,
                                    .config = &s->config,
                                    .counters = o->counters};
    s->e = emf_new(NULL, &eo);
    s->consumer = (struct batch_consumer){o->config->pipelines, append};
    s->n_declarations = s->emf.n_declarations;
    s->declarations = ARENA_ARRAY(&s->arena, struct survey_declaration, s->n_declarations + 1);
    for (uint32_t i = 0; i < s->n_declarations; i++)
        open_declaration(s, &s->declarations[i], &s->emf.declarations[i]);
    return s;
}

struct batch_consumer *emf_survey_batches(struct emf_survey *s)
{
    return &s->consumer;
}

void emf_survey_free(struct emf_survey *s)
{
    if (!s)
        return;
    emf_free(s->e);
    for (uint32_t i = 0; i < s->n_declarations; i++) {
        free(s->declarations[i].names);
        map_release(&s->declarations[i].by_name);
        release_hashes(&s->declarations[i].metrics);
    }
    release_hashes(&s->metrics);
    buf_release(&s->out.text);
    free(s->out.records);
    free(s->out.folds);
    free(s->out.tail);
    free(s->flags);
    free(s->picked);
    buf_release(&s->joined);
    arena_release(&s->scratch);
    arena_release(&s->arena);
    free(s);
}

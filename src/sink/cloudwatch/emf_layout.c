/* emf_layout: from a sequence of metrics to the events that it is.
 *
 *   sample 0  http_total{code="200"}  counter, declared by 0      group {code="200", prom_metric_type="counter"}
 *   sample 1  up                      no type: dropped               value 0: `,"http_total":` delta of sample 0
 *   sample 2  go_threads              gauge, declared by none     group {prom_metric_type="gauge"}
 *   ...                                                              value 1: `,"go_threads":` sample 2
 *
 *   1. each sample is judged: by its type what it becomes, or why it is dropped
 *   2. samples with equal labels (their own: the scope is the same) and type are a group, in the order of the page
 *   3. each group gets its labels, directives and texts, and is cut into events of at most 100 metric definitions
 *
 * Own labels stand over the scope's: a scope's label of the same name is left out (hidden), as is one that has the name
 * of a metric of the group, and JobName=default where the metric brings a job. An empty value hides, too; what is added
 * to label sets without it (ClusterName, host, JobName) is then added here.
 *
 * A name that is there twice in a group (relabelling made two series equal, or one line has several timestamps) stays
 * twice: of equal times the last is told (emf.c). Both are values of the same event.
 *
 * What is made here depends on the scope by its class alone (emf_form.c). Scratch memory is e->arena; the layout has an
 * arena of its own, and is of one piece.
 */
#include <stdlib.h>

#include "base/hash.h"
#include "base/num.h"
#include "sink/cloudwatch/emf_int.h"
#include "wire/json.h"

enum { NO_GROUP = UINT32_MAX };

struct item {
    struct str name;
    uint32_t at; /* of the samples, or of the histograms */
    uint64_t series;
    enum emf_kind kind;
    uint32_t samples;
    uint32_t next; /* of the group */
    uint32_t name_number, chunk, directive;
};

struct group {
    uint64_t hash;
    struct labels labels; /* as interned, without the name and what no event can have */
    enum metric_type type;
    uint32_t first, last, n;
};

struct histogram_draft {
    struct emf_bucket *v;
    uint64_t *series;
    size_t n, cap, cap_series;
    uint64_t sum_series, count_series;
    struct emf_bucket sum, count;
};

struct build {
    struct emf *e;
    const struct emf_form *form;
    const struct batch *b;
    const struct sample *samples;
    struct emf_layout *l;
    struct emf_types *types;
    struct emf_declare *declare;
    struct item *items;
    size_t n_items, cap_items;
    struct group *groups;
    size_t n_groups, cap_groups;
    struct map by_group;
    struct histogram_draft *drafts;
    size_t n_drafts, cap_drafts;
    struct buf text, head;
    struct emf_event *events;
    size_t n_events, cap_events;
    struct emf_value *values;
    size_t n_values, cap_values;
    struct emf_directive *directives;
    size_t n_directives, cap_directives;
    uint32_t *hidden;
    size_t n_hidden, cap_hidden;
    struct label *labels;
    size_t n_labels, cap_labels;
    uint64_t *series;
    uint32_t *series_event;
    size_t n_series, cap_series, cap_series_event;
    struct map by_series;
    struct arena *a; /* scratch */
};

/* ---- groups ------------------------------------------------------------------------------------------------------ */

static bool form_has(const struct emf_form *f, struct str name)
{
    return emf_visible_has(&(struct emf_visible){.form = f}, name);
}

/* The labels that distinguish the metric's events from others of the scope. */
static struct labels own_labels(struct build *b, struct labels labels, bool buckets)
{
    struct label *v = ARENA_ARRAY(b->a, struct label, labels.n);
    uint32_t n = 0;

    for (uint32_t i = 0; i < labels.n; i++) {
        struct label l = labels.v[i];
        if (str_eq(l.name, LABEL_NAME) || str_eq(l.name, STR("prom_metric_type")) ||
            (buckets && str_eq(l.name, STR("le"))))
            continue;
        if (emf_is_reserved(l.name)) {
            b->l->left_out += l.value.n > 0;
            emf_say_left_out(b->e, STR("label"), l.name);
            continue;
        }
        if (l.value.n || form_has(b->form, l.name))
            v[n++] = l;
    }
    return (struct labels){v, n};
}

struct group_key {
    const struct build *b;
    struct labels labels;
    enum metric_type type;
};

static bool same_group(const void *ctx, uint32_t index)
{
    const struct group_key *k = ctx;

    return k->b->groups[index].type == k->type && labels_eq(k->b->groups[index].labels, k->labels);
}

static uint32_t group_of(struct build *b, struct labels labels, enum metric_type type)
{
    uint64_t hash = labels_hash(labels) * 31 + (uint64_t)type;
    uint32_t at = map_find(&b->by_group, hash, same_group, &(struct group_key){b, labels, type});

    if (at != MAP_NONE)
        return at;
    b->groups = mem_grow(b->groups, &b->cap_groups, b->n_groups + 1, sizeof(*b->groups));
    b->groups[b->n_groups] = (struct group){hash, labels, type, NO_GROUP, NO_GROUP, 0};
    map_add(&b->by_group, hash, (uint32_t)b->n_groups);
    return (uint32_t)b->n_groups++;
}

static void add_item(struct build *b, uint32_t group, const struct item *item)
{
    struct group *g = &b->groups[group];

    b->items = mem_grow(b->items, &b->cap_items, b->n_items + 1, sizeof(*b->items));
    b->items[b->n_items] = *item;
    b->items[b->n_items].next = NO_GROUP;
    if (g->first == NO_GROUP)
        g->first = (uint32_t)b->n_items;
    else
        b->items[g->last].next = (uint32_t)b->n_items;
    g->last = (uint32_t)b->n_items++;
    g->n++;
}

/* ---- histograms -------------------------------------------------------------------------------------------------- */

static struct item *histogram_item(struct build *b, uint32_t group, struct str name)
{
    for (uint32_t i = b->groups[group].first; i != NO_GROUP; i = b->items[i].next) {
        if (b->items[i].kind == EMF_BUCKETS && str_eq(b->items[i].name, name))
            return &b->items[i];
    }
    b->drafts = mem_grow(b->drafts, &b->cap_drafts, b->n_drafts + 1, sizeof(*b->drafts));
    b->drafts[b->n_drafts] = (struct histogram_draft){.sum = {.at = EMF_NONE}, .count = {.at = EMF_NONE}};
    add_item(b, group, &(struct item){.name = name, .at = (uint32_t)b->n_drafts++, .kind = EMF_BUCKETS});
    return &b->items[b->n_items - 1];
}

/* False: what it says cannot be used, or was said before. */
static bool add_part(struct build *b, struct item *item, const struct emf_verdict *v, struct labels labels, uint32_t at)
{
    struct histogram_draft *d = &b->drafts[item->at];
    struct emf_bucket part = {.at = at};
    uint64_t series = labels_hash(labels);

    if (str_eq(v->part, STR("_bucket"))) {
        if (num_parse_double(labels_get(labels, STR("le")), &part.bound) != OK || isnan(part.bound))
            return false;
        d->v = mem_grow(d->v, &d->cap, d->n + 1, sizeof(*d->v));
        d->series = mem_grow(d->series, &d->cap_series, d->n + 1, sizeof(*d->series));
        d->series[d->n] = series;
        part.counter = (uint32_t)d->n; /* until its number is given */
        d->v[d->n++] = part;
        return true;
    }
    bool sum = str_eq(v->part, STR("_sum"));
    struct emf_bucket *to = sum ? &d->sum : &d->count;
    if (to->at != EMF_NONE)
        return false;
    *to = part;
    *(sum ? &d->sum_series : &d->count_series) = series;
    return true;
}

static int by_bound(const void *a, const void *b)
{
    const struct emf_bucket *x = a, *y = b;

    return (x->bound > y->bound) - (x->bound < y->bound);
}

/* ---- samples ----------------------------------------------------------------------------------------------------- */

static void take_sample(struct build *b, uint32_t at)
{
    uint32_t id = b->samples[at].metric;
    struct labels labels = intern_labels(b->b->metrics, id, b->a);
    struct str original = emf_original_name(intern_raw(b->b->metrics, id), b->a);
    struct emf_verdict v = emf_judge(b->e, b->types, labels, original);

    if (str_eq(original, STR("process_start_time_seconds")))
        b->l->start_at = at;
    if (v.dropped) {
        b->l->dropped[v.reason]++;
        b->l->left_out += v.reason == DROP_UNSENDABLE;
        return;
    }
    uint32_t group = group_of(b, own_labels(b, labels, v.kind == EMF_BUCKETS), v.type);
    if (v.kind != EMF_BUCKETS) {
        add_item(b, group,
                 &(struct item){.name = v.name, .at = at, .series = labels_hash(labels), .kind = v.kind, .samples = 1});
        return;
    }
    struct item *item = histogram_item(b, group, v.name);
    if (add_part(b, item, &v, labels, at))
        item->samples++;
    else
        b->l->dropped[DROP_TYPE]++;
}

/* ---- a group's labels -------------------------------------------------------------------------------------------- */

/* Own labels of a group that is being finished, and what they hide. */
struct dress {
    struct label *v;
    uint32_t n;
    uint32_t *hidden;
    uint32_t n_hidden;
};

static void hide(struct build *b, struct dress *d, struct str name)
{
    for (uint32_t i = 0; i < b->form->n; i++) {
        if (!str_eq(b->form->labels[i].name, name))
            continue;
        for (uint32_t k = 0; k < d->n_hidden; k++) {
            if (d->hidden[k] == i)
                return;
        }
        uint32_t at = d->n_hidden++;
        for (; at > 0 && d->hidden[at - 1] > i; at--)
            d->hidden[at] = d->hidden[at - 1];
        d->hidden[at] = i;
    }
}

static void dress_add(struct dress *d, struct str name, struct str value)
{
    uint32_t at = d->n;

    for (; at > 0 && str_cmp(d->v[at - 1].name, name) > 0; at--)
        d->v[at] = d->v[at - 1];
    d->v[at] = (struct label){name, value};
    d->n++;
}

static bool dress_remove(struct dress *d, struct str name)
{
    for (uint32_t i = 0; i < d->n; i++) {
        if (!str_eq(d->v[i].name, name))
            continue;
        memmove(&d->v[i], &d->v[i + 1], (--d->n - i) * sizeof(*d->v));
        return true;
    }
    return false;
}

static bool dress_has(const struct dress *d, struct str name)
{
    return labels_has((struct labels){d->v, d->n}, name);
}

/* What label sets without it get. */
static void add_missing(struct build *b, struct dress *d, struct labels own)
{
    const struct plan_emf *p = b->e->emf;

    for (uint32_t i = 0; i < own.n; i++) {
        struct label l = own.v[i];
        if (str_eq(l.name, STR("job")) && l.value.n && !labels_has(b->form->scope->labels, STR("JobName")))
            hide(b, d, STR("JobName"));
        if (l.value.n)
            continue;
        if (str_eq(l.name, STR("ClusterName")) && p->cluster_name.n)
            dress_add(d, l.name, p->cluster_name);
        else if (str_eq(l.name, STR("host")) && p->host.n)
            dress_add(d, l.name, p->host);
        else if (str_eq(l.name, STR("job")) && !dress_has(d, STR("JobName")) && !form_has(b->form, STR("JobName")))
            dress_add(d, STR("JobName"), STR("default"));
    }
}

static struct dress dress_group(struct build *b, const struct group *g)
{
    struct dress d = {ARENA_ARRAY(b->a, struct label, g->labels.n + 4), 0, ARENA_ARRAY(b->a, uint32_t, b->form->n + 1),
                      0};

    for (uint32_t i = 0; i < g->labels.n; i++) {
        hide(b, &d, g->labels.v[i].name);
        if (g->labels.v[i].value.n)
            d.v[d.n++] = g->labels.v[i];
    }
    add_missing(b, &d, g->labels);
    dress_add(&d, STR("prom_metric_type"), str_c(metric_type_name(g->type)));
    for (uint32_t i = g->first; i != NO_GROUP; i = b->items[i].next) {
        struct str name = b->items[i].name;
        bool own = dress_remove(&d, name);
        uint32_t before = d.n_hidden;
        hide(b, &d, name);
        if (!own && d.n_hidden == before)
            continue;
        b->l->left_out++;
        emf_say_left_out(b->e, STR("label with the name of a metric"), name);
    }
    return d;
}

/* ---- a group's directives ---------------------------------------------------------------------------------------- */

struct chosen {
    const uint64_t *bits;
    uint32_t directive;
};

static void print_dimensions(const struct emf_directive *d, struct buf *out)
{
    buf_c(out, "\"Dimensions\":[");
    for (uint32_t i = 0; i < d->n_sets; i++) {
        buf_c(out, i ? ",[" : "[");
        for (uint32_t k = 0; k < d->sets[i].n; k++) {
            if (k)
                buf_char(out, ',');
            json_escape(out, d->sets[i].names[k]);
        }
        buf_char(out, ']');
    }
    buf_char(out, ']');
}

static uint32_t add_directive(struct build *b, const struct emf_visible *v, const uint64_t *bits)
{
    b->directives = mem_grow(b->directives, &b->cap_directives, b->n_directives + 1, sizeof(*b->directives));
    struct emf_directive *d = &b->directives[b->n_directives];
    emf_declare_sets(b->declare, v, bits, &b->l->arena, d);
    d->dimensions = (uint32_t)b->text.n;
    print_dimensions(d, &b->text);
    d->dimensions_n = (uint32_t)b->text.n - d->dimensions;
    return (uint32_t)b->n_directives++;
}

/* Gives each item of the group its directive, or EMF_NONE. */
static void choose_directives(struct build *b, const struct group *g, const struct emf_visible *v)
{
    uint32_t words = emf_declare_words(b->declare), n = 0;
    struct chosen *chosen = NULL;
    size_t cap = 0;

    emf_declare_labels(b->declare, v);
    for (uint32_t i = g->first; i != NO_GROUP; i = b->items[i].next) {
        const uint64_t *bits = emf_declare_metric(b->declare, b->items[i].name);
        b->items[i].directive = EMF_NONE;
        if (!bits)
            continue;
        uint32_t k = 0;
        while (k < n && memcmp(chosen[k].bits, bits, words * sizeof(*bits)) != 0)
            k++;
        if (k == n) {
            chosen = mem_grow(chosen, &cap, n + 1, sizeof(*chosen));
            chosen[n++] = (struct chosen){bits, add_directive(b, v, bits)};
        }
        b->items[i].directive = chosen[k].directive;
    }
    free(chosen);
}

/* ---- a group's events -------------------------------------------------------------------------------------------- */

struct name_key {
    const struct build *b;
    struct str name;
};

static bool same_name(const void *ctx, uint32_t index)
{
    const struct name_key *k = ctx;

    return str_eq(k->b->items[index].name, k->name);
}

static bool is_declared(const struct build *b, const struct item *item)
{
    return item->directive != EMF_NONE && b->directives[item->directive].n_sets > 0;
}

/* Numbers the names and says which event each item goes to; *chunks: how many there are. Values of one name stay
 * together. *repeats: there are some. */
static uint32_t number_items(struct build *b, const struct group *g, uint32_t *chunks, bool *repeats)
{
    struct map names = {0};
    uint32_t n = 0, definitions = 0;
    bool cut = b->e->config->kind == CLOUDWATCH_LOGS;

    *repeats = false;
    *chunks = 1;
    for (uint32_t i = g->first; i != NO_GROUP; i = b->items[i].next) {
        struct item *item = &b->items[i];
        uint64_t hash = hash_bytes(item->name);
        uint32_t first = map_find(&names, hash, same_name, &(struct name_key){b, item->name});
        if (first != MAP_NONE) {
            item->name_number = b->items[first].name_number;
            item->chunk = b->items[first].chunk;
            *repeats = true;
            continue;
        }
        map_add(&names, hash, i);
        item->name_number = n++;
        if (is_declared(b, item) && definitions++ == EMF_DEFINITIONS_MAX && cut) {
            definitions = 1;
            ++*chunks;
        }
        item->chunk = *chunks - 1;
    }
    map_release(&names);
    return n;
}

struct series_key {
    const struct build *b;
    uint64_t series;
};

static bool same_series(const void *ctx, uint32_t index)
{
    const struct series_key *k = ctx;

    return k->b->series[index] == k->series;
}

static uint32_t counter_of(struct build *b, uint64_t series)
{
    uint32_t at = map_find(&b->by_series, series, same_series, &(struct series_key){b, series});

    if (at != MAP_NONE)
        return at;
    b->series = mem_grow(b->series, &b->cap_series, b->n_series + 1, sizeof(*b->series));
    b->series_event = mem_grow(b->series_event, &b->cap_series_event, b->n_series + 1, sizeof(*b->series_event));
    b->series[b->n_series] = series;
    b->series_event[b->n_series] = (uint32_t)b->n_events;
    map_add(&b->by_series, series, (uint32_t)b->n_series);
    return (uint32_t)b->n_series++;
}

static uint32_t finish_histogram(struct build *b, uint32_t draft)
{
    struct histogram_draft *d = &b->drafts[draft];
    struct emf_histogram *h = (struct emf_histogram *)b->l->histograms + draft;

    for (size_t i = 0; i < d->n; i++)
        d->v[i].counter = counter_of(b, d->series[i]);
    if (d->n)
        qsort(d->v, d->n, sizeof(*d->v), by_bound);
    if (d->sum.at != EMF_NONE)
        d->sum.counter = counter_of(b, d->sum_series);
    if (d->count.at != EMF_NONE)
        d->count.counter = counter_of(b, d->count_series);
    *h = (struct emf_histogram){.n = (uint32_t)d->n, .sum = d->sum, .count = d->count};
    if (d->n)
        h->buckets = arena_memdup(&b->l->arena, d->v, d->n * sizeof(*d->v));
    return draft;
}

static const struct str *unit_of(const struct emf *e, struct str name)
{
    uint32_t low = 0, high = e->emf->n_units;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int c = str_cmp(e->emf->units[middle].metric, name);
        if (c == 0)
            return &e->emf->units[middle].unit;
        if (c < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static void print_texts(struct build *b, const struct item *item, struct emf_value *v)
{
    const struct str *unit = unit_of(b->e, item->name);

    v->key = (uint32_t)b->text.n;
    buf_char(&b->text, ',');
    json_escape(&b->text, item->name);
    buf_char(&b->text, ':');
    v->key_n = (uint16_t)(b->text.n - v->key);
    v->definition = (uint32_t)b->text.n;
    if (v->directive == EMF_NONE)
        return;
    buf_c(&b->text, "{\"Name\":");
    json_escape(&b->text, item->name);
    if (unit) {
        buf_c(&b->text, ",\"Unit\":");
        json_escape(&b->text, *unit);
    }
    if (b->e->emf->high_resolution)
        buf_c(&b->text, ",\"StorageResolution\":1");
    buf_char(&b->text, '}');
    v->definition_n = (uint16_t)(b->text.n - v->definition);
}

static void add_value(struct build *b, struct emf_event *ev, const struct item *item)
{
    struct emf_value v = {
        .at = item->at,
        .kind = (uint8_t)item->kind,
        .name = item->name_number,
        .directive = b->e->emf->no_directives && b->e->config->kind == CLOUDWATCH_LOGS ? EMF_NONE : item->directive};

    if (v.kind == EMF_COUNTER)
        v.counter = counter_of(b, item->series);
    if (v.kind == EMF_BUCKETS)
        finish_histogram(b, item->at);
    if (b->e->config->kind == CLOUDWATCH_METRICS)
        v.text = str_dup(&b->l->arena, item->name);
    print_texts(b, item, &v);
    b->values = mem_grow(b->values, &b->cap_values, b->n_values + 1, sizeof(*b->values));
    b->values[b->n_values++] = v;
    ev->n++;
    ev->samples += item->samples;
    ev->buckets |= v.kind == EMF_BUCKETS;
    ev->bound += v.key_n + EMF_NUMBER_MAX;
}

static void note_skips(struct build *b, struct emf_event *ev, const struct group *g, uint32_t chunk)
{
    for (uint32_t i = g->first; i != NO_GROUP; i = b->items[i].next) {
        const struct item *item = &b->items[i];
        if (item->chunk != chunk || item->directive == EMF_NONE)
            continue;
        for (int k = 0; k < EMF_SKIPS; k++) {
            if (b->directives[item->directive].skipped[k] > ev->skipped[k])
                ev->skipped[k] = b->directives[item->directive].skipped[k];
            ev->skips |= ev->skipped[k] > 0;
        }
    }
}

static void finish_event(struct build *b, struct emf_event *ev)
{
    uint32_t *all = ARENA_ARRAY(b->a, uint32_t, ev->n);

    for (uint32_t i = 0; i < ev->n; i++)
        all[i] = i;
    b->l->text = b->text.p;
    b->l->values = b->values;
    b->l->directives = b->directives;
    b->l->n_directives = (uint32_t)b->n_directives;
    buf_clear(&b->head);
    ev->declared = emf_print_directives(b->e, b->l, ev, all, ev->n, &b->head);
    ev->head = (uint32_t)b->text.n;
    ev->head_n = (uint32_t)b->head.n;
    if (b->head.n)
        buf_str(&b->text, buf_view(&b->head));
    ev->bound += ev->head_n + ev->own_n + 128;
    if (ev->n > b->l->largest)
        b->l->largest = ev->n;
    b->events = mem_grow(b->events, &b->cap_events, b->n_events + 1, sizeof(*b->events));
    b->events[b->n_events++] = *ev;
}

static void append_labels(struct build *b, const struct dress *d, struct emf_event *ev)
{
    ev->labels = (uint32_t)b->n_labels;
    ev->n_labels = d->n;
    b->labels = mem_grow(b->labels, &b->cap_labels, b->n_labels + d->n, sizeof(*b->labels));
    ev->own = (uint32_t)b->text.n;
    for (uint32_t i = 0; i < d->n; i++) {
        b->labels[b->n_labels++] =
            (struct label){str_dup(&b->l->arena, d->v[i].name), str_dup(&b->l->arena, d->v[i].value)};
        if (i)
            buf_char(&b->text, ',');
        json_escape(&b->text, d->v[i].name);
        buf_char(&b->text, ':');
        json_escape(&b->text, d->v[i].value);
    }
    ev->own_n = (uint32_t)b->text.n - ev->own;
    ev->hidden = (uint32_t)b->n_hidden;
    ev->n_hidden = d->n_hidden;
    b->hidden = mem_grow(b->hidden, &b->cap_hidden, b->n_hidden + d->n_hidden, sizeof(*b->hidden));
    for (uint32_t i = 0; i < d->n_hidden; i++)
        b->hidden[b->n_hidden++] = d->hidden[i];
}

/* Items that are in no event go: histograms without buckets, and what nothing selects where that matters. */
static void thin(struct build *b, struct group *g)
{
    bool selected_only = b->e->emf->drop_unselected || b->e->config->kind == CLOUDWATCH_METRICS;
    uint32_t *link = &g->first;

    while (*link != NO_GROUP) {
        struct item *item = &b->items[*link];
        bool empty = item->kind == EMF_BUCKETS && b->drafts[item->at].n == 0;
        if (!empty && (!selected_only || is_declared(b, item))) {
            link = &item->next;
            continue;
        }
        b->l->dropped[empty ? DROP_TYPE : DROP_UNDECLARED] += item->samples;
        g->n--;
        *link = item->next;
    }
}

static void finish_group(struct build *b, struct group *g)
{
    struct dress d = dress_group(b, g);
    struct emf_visible v = {b->form, d.hidden, d.n_hidden, {d.v, d.n}};
    struct emf_event first = {0};
    uint32_t chunks;

    choose_directives(b, g, &v);
    thin(b, g);
    if (g->n == 0)
        return;
    uint32_t names = number_items(b, g, &chunks, &first.repeats);
    if (names > b->l->names)
        b->l->names = names;
    for (uint32_t i = 0; i < g->labels.n && !first.own_place; i++)
        first.own_place = emf_is_place_label(b->e, g->labels.v[i].name);
    b->l->own_places |= first.own_place;
    b->l->repeats |= first.repeats;
    append_labels(b, &d, &first);
    for (uint32_t chunk = 0; chunk < chunks; chunk++) {
        struct emf_event ev = first;
        ev.first = (uint32_t)b->n_values;
        for (uint32_t i = g->first; i != NO_GROUP; i = b->items[i].next) {
            if (b->items[i].chunk == chunk)
                add_value(b, &ev, &b->items[i]);
        }
        note_skips(b, &ev, g, chunk);
        finish_event(b, &ev);
    }
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

static void keep_sequence(struct build *b, uint32_t n)
{
    struct emf_layout *l = b->l;
    uint32_t *ids = ARENA_ARRAY(&l->arena, uint32_t, n);
    uint32_t *blocks = ARENA_ARRAY(&l->arena, uint32_t, b->b->n_blocks);

    for (uint32_t i = 0; i < n; i++)
        ids[i] = b->samples[i].metric;
    for (uint32_t i = 0; i < b->b->n_blocks; i++)
        blocks[i] = b->b->blocks[i].metric;
    l->ids = ids;
    l->n_ids = n;
    l->blocks = blocks;
    l->n_blocks = b->b->n_blocks;
}

static const void *keep_array(struct emf_layout *l, const void *v, size_t n, size_t size)
{
    return arena_memdup(&l->arena, n ? v : "", n * size);
}

static void keep_all(struct build *b)
{
    struct emf_layout *l = b->l;

    l->events = keep_array(l, b->events, b->n_events, sizeof(*b->events));
    l->n_events = (uint32_t)b->n_events;
    l->values = keep_array(l, b->values, b->n_values, sizeof(*b->values));
    l->n_values = (uint32_t)b->n_values;
    l->directives = keep_array(l, b->directives, b->n_directives, sizeof(*b->directives));
    l->n_directives = (uint32_t)b->n_directives;
    l->series = keep_array(l, b->series, b->n_series, sizeof(*b->series));
    l->series_event = keep_array(l, b->series_event, b->n_series, sizeof(*b->series_event));
    l->n_counters = (uint32_t)b->n_series;
    l->hidden = keep_array(l, b->hidden, b->n_hidden, sizeof(*b->hidden));
    l->labels = keep_array(l, b->labels, b->n_labels, sizeof(*b->labels));
    l->text = keep_array(l, b->text.p, b->text.n, 1);
}

static void release(struct build *b)
{
    for (size_t i = 0; i < b->n_drafts; i++) {
        free(b->drafts[i].v);
        free(b->drafts[i].series);
    }
    free(b->drafts);
    free(b->items);
    free(b->groups);
    free(b->events);
    free(b->values);
    free(b->directives);
    free(b->hidden);
    free(b->labels);
    free(b->series);
    free(b->series_event);
    map_release(&b->by_group);
    map_release(&b->by_series);
    buf_release(&b->text);
    buf_release(&b->head);
}

struct emf_layout *emf_layout_make(struct emf *e, const struct emf_form *form, const struct batch *batch,
                                   const struct sample *samples, uint32_t n)
{
    arena_reset(&e->arena);
    struct build b = {
        .e = e, .form = form, .b = batch, .samples = samples, .l = NEW(struct emf_layout), .a = &e->arena};
    b.l->start_at = EMF_NONE;
    b.l->class = form->class;
    b.l->class->refs++;
    b.types = emf_types_read(batch, b.a);
    b.declare = emf_declare_new(e, b.a);
    keep_sequence(&b, n);
    for (uint32_t i = 0; i < n; i++)
        take_sample(&b, i);
    b.l->n_histograms = (uint32_t)b.n_drafts;
    b.l->histograms = ARENA_ARRAY(&b.l->arena, struct emf_histogram, b.n_drafts);
    for (size_t i = 0; i < b.n_groups; i++)
        finish_group(&b, &b.groups[i]);
    b.l->mixed = emf_declare_mixed(b.declare);
    if (b.l->mixed)
        b.l->reads = str_dup(&b.l->arena, form->reads);
    keep_all(&b);
    release(&b);
    return b.l;
}

void emf_layout_free(struct emf_layout *l)
{
    arena_release(&l->arena);
    free(l);
}

/* emf_data: values as data of PutMetricData, in place of events.
 *
 *   event value http_total, directive with sets [a] [a,b]     datum 0: http_total {a=1}        from 3 values
 *                                                             datum 1: http_total {a=1,b=2}    from 1 value
 *
 * CloudWatch bills what it is told, and adds up what has the same metric, dimensions, unit and time: so such values of
 * one scrape become the values of one datum. Which data there are beside a scope is worked out when a layout is bound
 * to it; a scrape then strings its values to them:
 *
 *   heads  datum 0 -> point 0 -> point 3 -> ...
 *
 * A sample that goes to several data is counted with the first, and makes its state durable with that one.
 */
#include <stdlib.h>

#include "base/hash.h"
#include "sink/cloudwatch/emf_int.h"

/* ---- binding ----------------------------------------------------------------------------------------------------- */

struct datum_key {
    const struct emf_datum *data, *datum;
};

static bool same_datum(const void *ctx, uint32_t index)
{
    const struct datum_key *k = ctx;

    return str_eq(k->data[index].name, k->datum->name) && labels_eq(k->data[index].dimensions, k->datum->dimensions);
}

static struct labels dimensions_of(const struct emf_visible *v, const struct emf_set *set, struct arena *a)
{
    struct label *labels = ARENA_ARRAY(a, struct label, set->n);

    for (uint32_t i = 0; i < set->n; i++)
        labels[i] = (struct label){set->names[i], emf_visible_get(v, set->names[i])};
    return (struct labels){labels, set->n};
}

static struct str unit_of(const struct plan_emf *p, struct str name)
{
    for (uint32_t i = 0; i < p->n_units; i++) {
        if (str_eq(p->units[i].metric, name))
            return p->units[i].unit;
    }
    return STR_NONE;
}

struct binder {
    struct emf_form *f;
    struct emf_binding *b;
    struct map by_datum;
    size_t cap_data, n_of, cap_of;
};

static uint32_t datum_of(struct binder *x, const struct emf_datum *d)
{
    struct emf_binding *b = x->b;
    uint64_t hash = labels_hash(d->dimensions) ^ hash_bytes(d->name);
    uint32_t at = map_find(&x->by_datum, hash, same_datum, &(struct datum_key){b->data, d});

    if (at != MAP_NONE)
        return at;
    b->data = mem_grow(b->data, &x->cap_data, b->n_data + 1, sizeof(*b->data));
    b->data[b->n_data] = *d;
    map_add(&x->by_datum, hash, b->n_data);
    return b->n_data++;
}

static void bind_value(struct binder *x, const struct emf_event *ev, uint32_t at)
{
    struct emf_binding *b = x->b;
    const struct emf_layout *l = b->layout;
    const struct emf_value *v = &l->values[at];
    struct emf_visible visible = emf_visible_of(x->f, l, ev);

    if (v->directive == EMF_NONE || (b->capped && b->capped[at]))
        return;
    const struct emf_directive *d = &l->directives[v->directive];
    struct emf_datum datum = {.name = v->text};
    datum.unit = unit_of(x->f->e->emf, datum.name);
    for (uint32_t i = 0; i < d->n_sets; i++) {
        datum.dimensions = dimensions_of(&visible, &d->sets[i], &b->arena);
        b->datum_of = mem_grow(b->datum_of, &x->cap_of, x->n_of + 1, sizeof(*b->datum_of));
        b->datum_of[x->n_of++] = datum_of(x, &datum);
    }
}

void emf_data_bind(struct emf_form *f, struct emf_binding *b)
{
    struct binder x = {.f = f, .b = b};

    b->datum_first = mem_zalloc((b->layout->n_values + 1) * sizeof(*b->datum_first));
    for (uint32_t i = 0; i < b->layout->n_events; i++) {
        const struct emf_event *ev = &b->layout->events[i];
        for (uint32_t k = ev->first; k < ev->first + ev->n; k++) {
            b->datum_first[k] = (uint32_t)x.n_of;
            bind_value(&x, ev, k);
        }
    }
    b->datum_first[b->layout->n_values] = (uint32_t)x.n_of;
    map_release(&x.by_datum);
}

/* ---- a scrape ---------------------------------------------------------------------------------------------------- */

/* Not to be told: beyond max_metrics. */
static void drop_value(struct emf_run *r, struct emf_out *out, const struct emf_result *result, enum spool_reason why)
{
    out->dropped[why] += result->samples;
    for (uint32_t i = 0; i < result->n_folds; i++) {
        out->tail = mem_grow(out->tail, &out->cap_tail, out->n_tail + 1, sizeof(*out->tail));
        out->tail[out->n_tail++] = r->e->folds[result->fold + i];
    }
}

static void add_point(struct emf *e, const struct emf_point *p)
{
    e->points = mem_grow(e->points, &e->cap_points, e->n_points + 1, sizeof(*e->points));
    e->points[e->n_points++] = *p;
}

void emf_data_take(struct emf_run *r, struct emf_out *out, const struct emf_event *ev, const uint32_t *picked,
                   uint32_t n, int64_t ts_ms)
{
    const struct emf_binding *b = r->binding;

    for (uint32_t i = 0; i < n; i++) {
        const struct emf_result *result = &r->e->results[picked[i]];
        uint32_t value = ev->first + picked[i];
        uint32_t first = b->datum_first[value], end = b->datum_first[value + 1];
        if (first == end)
            drop_value(r, out, result, DROP_UNDECLARED);
        for (uint32_t k = first; k < end; k++) {
            struct emf_point p = {.value = result->value,
                                  .datum = b->datum_of[k],
                                  .ts_ms = ts_ms,
                                  .chunk = result->chunk,
                                  .n_chunks = result->n_chunks};
            if (k == first) {
                p.samples = result->samples;
                p.fold = result->fold;
                p.n_folds = result->n_folds;
            }
            add_point(r->e, &p);
        }
    }
}

struct printing {
    struct emf_run *run;
    struct emf_out *out;
    uint32_t records;
};

static void on_record(void *ctx, const struct cw_record *record)
{
    struct printing *p = ctx;
    struct emf_out *out = p->out;

    out->records = mem_grow(out->records, &out->cap_records, out->n_records + 1, sizeof(*out->records));
    out->records[out->n_records++] = *record;
    p->records++;
}

/* One datum of points that were strung together; `first` is one of them. */
static void print_datum(struct emf_run *r, struct emf_out *out, struct datum *d, const uint32_t *points, uint32_t n)
{
    struct emf *e = r->e;
    struct printing p = {r, out, 0};
    struct diag diag = {0};
    size_t before = out->text.n;
    uint32_t folds = 0, swallowed;

    d->samples = 0;
    for (uint32_t i = 0; i < n; i++) {
        d->samples += e->points[points[i]].samples;
        folds += e->points[points[i]].n_folds;
    }
    bool refused = datum_print(d, &out->text, on_record, &p, &diag) != OK;
    for (uint32_t i = 0; i < n; i++) {
        const struct emf_point *point = &e->points[points[i]];
        for (uint32_t k = 0; k < point->n_folds; k++) {
            struct cw_fold **list = refused ? &out->tail : &out->folds;
            size_t *count = refused ? &out->n_tail : &out->n_folds;
            *list = mem_grow(*list, refused ? &out->cap_tail : &out->cap_folds, *count + 1, sizeof(**list));
            (*list)[(*count)++] = e->folds[point->fold + k];
        }
    }
    counter_add(e->counters.bytes[1], out->text.n - before);
    if (!refused) {
        CHECK(p.records > 0);
        out->records[out->n_records - 1].n_folds = folds;
        return;
    }
    out->dropped[DROP_UNSENDABLE] += d->samples;
    if (log_allow(&e->datum_limit, 60000, &swallowed))
        log_warn(e->log, "A metric cannot be told to CloudWatch: its samples are dropped", F_STR("metric", d->name),
                 F_C("reason", diag.text), F_INT("suppressed", swallowed));
}

/* Nothing was observed: PutMetricData has no form for that. The state, and the samples, go with the datum before. */
static void tell_nothing(struct emf_run *r, struct emf_out *out, const struct emf_point *p)
{
    struct emf_result result = {.samples = p->samples, .fold = p->fold, .n_folds = p->n_folds};

    if (out->n_records == 0) {
        drop_value(r, out, &result, DROP_UNSENDABLE);
        return;
    }
    struct cw_record *last = &out->records[out->n_records - 1];
    last->samples += p->samples;
    last->n_folds += p->n_folds;
    for (uint32_t k = 0; k < p->n_folds; k++) {
        out->folds = mem_grow(out->folds, &out->cap_folds, out->n_folds + 1, sizeof(*out->folds));
        out->folds[out->n_folds++] = r->e->folds[p->fold + k];
    }
}

/* A histogram is one datum of all its chunks, with the exact statistics. */
static void print_chunks(struct emf_run *r, struct emf_out *out, struct datum *d, uint32_t point)
{
    struct emf *e = r->e;
    const struct emf_point p = e->points[point];
    uint32_t values = e->chunks[p.chunk].first, n = 0;

    for (uint32_t i = 0; i < p.n_chunks; i++)
        n += e->chunks[p.chunk + i].n;
    d->n_values = n;
    d->has_statistics = true;
    d->sum = d->sample_count = 0;
    for (uint32_t i = 0; i < p.n_chunks; i++) {
        d->sum += e->chunks[p.chunk + i].sum;
        d->sample_count += e->chunks[p.chunk + i].count;
    }
    if (n == 0) {
        tell_nothing(r, out, &p);
        return;
    }
    d->values = e->numbers + values;
    d->counts = e->numbers + values + n;
    d->min = e->numbers[values];
    d->max = e->numbers[values + n - 1];
    print_datum(r, out, d, &point, 1);
}

/* Of the list of a datum: those of the time of its first, which are taken off it. */
static uint32_t take_time(struct emf *e, uint32_t *head, uint32_t *points)
{
    int64_t ts_ms = e->points[*head].ts_ms;
    uint32_t n = 0, *link = head;

    while (*link != EMF_NONE) {
        struct emf_point *p = &e->points[*link];
        if (p->ts_ms != ts_ms) {
            link = &p->next;
            continue;
        }
        points[n++] = *link;
        *link = p->next;
    }
    return n;
}

static void print_list(struct emf_run *r, struct emf_out *out, const struct emf_datum *datum, uint32_t *head)
{
    struct emf *e = r->e;

    while (*head != EMF_NONE) {
        struct datum d = {.name_space = e->emf->name_space,
                          .name = datum->name,
                          .dimensions = datum->dimensions,
                          .ts_ms = e->points[*head].ts_ms,
                          .unit = datum->unit,
                          .high_resolution = e->emf->high_resolution};
        uint32_t *points = e->picked;
        uint32_t n = take_time(e, head, points), plain = 0;
        size_t first = e->n_numbers;
        for (uint32_t i = 0; i < n; i++) {
            if (e->points[points[i]].n_chunks) {
                struct datum histogram = d;
                print_chunks(r, out, &histogram, points[i]);
                continue;
            }
            e->numbers = mem_grow(e->numbers, &e->cap_numbers, e->n_numbers + 1, sizeof(*e->numbers));
            e->numbers[e->n_numbers++] = e->points[points[i]].value;
            points[plain++] = points[i];
        }
        d.n_values = plain;
        if (plain) {
            d.values = e->numbers + first;
            print_datum(r, out, &d, points, plain);
        }
        e->n_numbers = first;
    }
}

void emf_data_end(struct emf_run *r, struct emf_out *out)
{
    struct emf *e = r->e;
    uint32_t n = r->binding->n_data;

    if (e->n_points == 0)
        return;
    e->heads = mem_grow(e->heads, &e->cap_heads, n, sizeof(*e->heads));
    e->picked = mem_grow(e->picked, &e->cap_picked, e->n_points, sizeof(*e->picked));
    for (uint32_t i = 0; i < n; i++)
        e->heads[i] = EMF_NONE;
    for (size_t i = e->n_points; i-- > 0;) {
        e->points[i].next = e->heads[e->points[i].datum];
        e->heads[e->points[i].datum] = (uint32_t)i;
    }
    for (uint32_t i = 0; i < n; i++)
        print_list(r, out, &r->binding->data[i], &e->heads[i]);
    e->n_points = 0;
}

/* emf: scrapes become performance log events (embedded metric format), or data of PutMetricData.
 *
 * A thousand scrapes of one image say the same but for the values and who is speaking. So what a page is as events is
 * worked out once, as a *layout*, and shared by all scopes that are alike (a *class*: label names, which
 * declarations match, whether values can be dimensions):
 *
 *   scope form   "ClusterName":"c1","TaskId":"abc",                                        its labels, once
 *   layout       ids 17 18 19 ..   blocks 3 9 ..        what it was made of: compared before it is used
 *                event 0   head {"CloudWatchMetrics":[..],   own "code":"200","prom_metric_type":"counter"
 *                          values   ,"http_total":  delta of sample 0   ,"other_total":  delta of sample 7
 *                event 1 ..
 *   binding      layout beside scope: the counters' places in the scope's fold block
 *
 *   scrape -> the same ids as last time? -> values and differences -> copies and numbers -> records -> cw_commit
 *
 * Stale markers are taken out before the comparison (dropped{not_finite}); what has no event (by its type, by its name)
 * is a number in the layout. An event whose values are all there is its prepared text; else one is written that names
 * what is there (emf_print.c), or none. Values with times of their own make events of those times; of one name twice at
 * one time the last is told and the others are dropped{not_newer}, as the second series of equal labels would be.
 *
 * The accounts of a run are kept per place and committed together with its records and the new state of its counters;
 * what is dropped whole goes to the scope's own place. Kind METRICS takes the same way up to the values (emf_data.c).
 *
 *   emf_types.c    a metric's type by the families of the page
 *   emf_layout.c   from metrics to events; emf_declare.c its declarations and dimension sets
 *   emf_form.c     scopes, classes, places, bindings
 *   emf_value.c    differences, histograms, first values; emf_print.c, emf_data.c what is told; emf_cap.c how many
 *   emf_survey.c   layouts and texts as here, counted and not delivered, for checks
 *
 * Layouts that nobody is bound to go after two rounds of batches or when there are many of them, and at once when an id
 * of theirs is swept: the number may come back as another metric. Nothing is allocated for a sample. One thread, that
 * of the lanes.
 */
#include <stdlib.h>

#include "base/hash.h"
#include "base/num.h"
#include "sink/cloudwatch/emf_int.h"

enum {
    ROUND_BATCHES = 1024,
    IDLE_SAMPLES = 32768, /* some 6 MiB of layouts */
    KNOWN = 1,            /* e->known */
    SWEPT = 2,
};

/* ---- layouts ----------------------------------------------------------------------------------------------------- */

static bool same_sequence(const struct emf_layout *l, const struct batch *b, const struct sample *samples, uint32_t n)
{
    uint32_t differ = 0;

    if (l->n_ids != n || l->n_blocks != b->n_blocks)
        return false;
    for (uint32_t i = 0; i < n; i++)
        differ |= l->ids[i] ^ samples[i].metric;
    for (uint32_t i = 0; i < b->n_blocks; i++)
        differ |= l->blocks[i] ^ b->blocks[i].metric;
    return differ == 0;
}

struct layout_key {
    const struct emf *e;
    const struct emf_form *form;
    const struct batch *b;
    const struct sample *samples;
    uint32_t n;
};

static bool same_layout(const void *ctx, uint32_t index)
{
    const struct layout_key *k = ctx;
    const struct emf_layout *l = k->e->layouts[index];

    return l->class == k->form->class && (!l->mixed || str_eq(l->reads, k->form->reads)) &&
           same_sequence(l, k->b, k->samples, k->n);
}

static uint64_t hash_sequence(struct emf *e, const struct layout_key *k)
{
    size_t n = (size_t)k->n + k->b->n_blocks;

    e->picked = mem_grow(e->picked, &e->cap_picked, n + 1, sizeof(*e->picked));
    for (uint32_t i = 0; i < k->n; i++)
        e->picked[i] = k->samples[i].metric;
    for (uint32_t i = 0; i < k->b->n_blocks; i++)
        e->picked[k->n + i] = k->b->blocks[i].metric;
    return hash_bytes_seed(str_from((const char *)e->picked, n * sizeof(*e->picked)), k->form->class->hash);
}

static void mark_known(struct emf *e, const uint32_t *ids, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (ids[i] != METRIC_NONE)
            e->known[ids[i]] |= KNOWN;
    }
}

static struct emf_layout *add_layout(struct emf *e, struct emf_layout *l, uint64_t hash)
{
    uint32_t top = intern_top(e->intern);

    if (e->n_known < top) {
        size_t cap = e->n_known;
        e->known = mem_grow(e->known, &cap, top, 1);
        memset(e->known + e->n_known, 0, cap - e->n_known);
        e->n_known = cap;
    }
    mark_known(e, l->ids, l->n_ids);
    mark_known(e, l->blocks, l->n_blocks);
    l->hash = hash;
    e->layouts = mem_grow(e->layouts, &e->cap_layouts, e->n_layouts + 1, sizeof(struct emf_layout *));
    e->idle += l->n_ids;
    e->layouts[e->n_layouts] = l;
    map_add(&e->by_layout, hash, (uint32_t)e->n_layouts++);
    return l;
}

static struct emf_layout *layout_of(struct emf *e, const struct emf_form *f, const struct batch *b,
                                    const struct sample *samples, uint32_t n)
{
    for (size_t i = 0; i < COUNT_OF(f->bindings); i++) {
        if (f->bindings[i].layout && same_sequence(f->bindings[i].layout, b, samples, n))
            return f->bindings[i].layout;
    }
    struct layout_key key = {e, f, b, samples, n};
    uint64_t hash = hash_sequence(e, &key);
    uint32_t at = map_find(&e->by_layout, hash, same_layout, &key);
    return at != MAP_NONE ? e->layouts[at] : add_layout(e, emf_layout_make(e, f, b, samples, n), hash);
}

/* The last one takes its number. */
static void drop_layout(struct emf *e, uint32_t at)
{
    struct emf_layout *l = e->layouts[at];
    uint32_t last = (uint32_t)--e->n_layouts;

    CHECK(l->refs == 0);
    CHECK(map_remove(&e->by_layout, l->hash, at));
    if (at != last) {
        e->layouts[at] = e->layouts[last];
        CHECK(map_replace(&e->by_layout, e->layouts[at]->hash, last, at));
    }
    e->idle -= l->n_ids;
    emf_class_unref(e, l->class);
    emf_layout_free(l);
}

static void drop_all_layouts(struct emf *e)
{
    while (e->n_layouts > 0)
        drop_layout(e, (uint32_t)e->n_layouts - 1);
}

static void on_swept(void *ctx, uint32_t id)
{
    struct emf *e = ctx;

    if (id >= e->n_known || !e->known[id])
        return;
    e->known[id] |= SWEPT;
    e->swept = true;
}

static bool is_dead(const struct emf *e, const uint32_t *ids, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (ids[i] != METRIC_NONE && e->known[ids[i]] & SWEPT)
            return true;
    }
    return false;
}

/* An id that was swept may be another metric by now. */
static void drop_dead_layouts(struct emf *e)
{
    for (size_t i = 0; i < e->n_layouts; i++) {
        struct emf_layout *l = e->layouts[i];
        l->dead = is_dead(e, l->ids, l->n_ids) || is_dead(e, l->blocks, l->n_blocks);
    }
    for (struct emf_form *f = e->forms; f; f = f->next) {
        for (size_t i = 0; i < COUNT_OF(f->bindings); i++) {
            if (f->bindings[i].layout && f->bindings[i].layout->dead)
                emf_binding_release(e, &f->bindings[i]);
        }
    }
    for (size_t i = e->n_layouts; i-- > 0;) {
        if (e->layouts[i]->dead)
            drop_layout(e, (uint32_t)i);
    }
    for (size_t i = 0; i < e->n_known; i++) {
        if (e->known[i] & SWEPT)
            e->known[i] = 0;
    }
    e->swept = false;
}

static void drop_idle_layouts(struct emf *e, uint64_t used_before)
{
    for (size_t i = e->n_layouts; i-- > 0;) {
        if (e->layouts[i]->refs == 0 && e->layouts[i]->used < used_before)
            drop_layout(e, (uint32_t)i);
    }
}

static void prepare(struct emf *e, const struct batch *b)
{
    if (UNLIKELY(e->swept))
        drop_dead_layouts(e);
    if (UNLIKELY(!e->since_ms))
        e->since_ms = b->ts_ms;
    if (UNLIKELY(e->idle > IDLE_SAMPLES)) /* pages that are others at each scrape */
        drop_idle_layouts(e, UINT64_MAX);
    if (++e->batches % ROUND_BATCHES == 0)
        drop_idle_layouts(e, e->round++);
}

/* ---- events ------------------------------------------------------------------------------------------------------ */

static uint32_t time_at(const struct emf_run *r, const struct emf_value *v)
{
    return v->kind == EMF_BUCKETS ? r->layout->histograms[v->at].buckets[0].at : v->at;
}

static bool has_own_times(const struct emf_run *r, const struct emf_event *ev)
{
    for (uint32_t i = 0; i < ev->n; i++) {
        if (emf_time_of(r, time_at(r, &r->layout->values[ev->first + i])) != r->b->ts_ms)
            return true;
    }
    return false;
}

static void note_skips(struct emf *e, const struct emf_event *ev)
{
    for (int i = 0; UNLIKELY(ev->skips) && i < EMF_SKIPS; i++)
        counter_add(e->counters.skipped[i], ev->skipped[i]);
}

/* The first n of e->picked that are present, as one event or more. */
static void tell(struct emf_run *r, struct emf_out *out, const struct emf_event *ev, uint32_t *picked, uint32_t n,
                 int64_t ts_ms)
{
    struct emf *e = r->e;
    uint32_t present = 0;

    for (uint32_t i = 0; i < n; i++) {
        const struct emf_result *result = &e->results[picked[i]];
        if (result->present)
            picked[present++] = picked[i];
        else
            out->dropped[result->reason] += result->samples;
    }
    if (present == 0)
        return;
    if (e->config->kind == CLOUDWATCH_METRICS)
        emf_data_take(r, out, ev, picked, present, ts_ms);
    else
        emf_print_some(r, out, ev, picked, present, ts_ms);
    note_skips(e, ev);
}

static int by_time(const void *a, const void *b)
{
    const struct emf_order *x = a, *y = b;

    if (x->ts_ms != y->ts_ms)
        return x->ts_ms < y->ts_ms ? -1 : 1;
    return (x->value > y->value) - (x->value < y->value);
}

static uint32_t samples_of(const struct emf_run *r, const struct emf_value *v)
{
    if (v->kind != EMF_BUCKETS)
        return 1;
    const struct emf_histogram *h = &r->layout->histograms[v->at];
    return h->n + (h->sum.at != EMF_NONE) + (h->count.at != EMF_NONE);
}

/* Values of one time; of one name the last. */
static void tell_time(struct emf_run *r, struct emf_out *out, const struct emf_target *t, const struct emf_event *ev,
                      const struct emf_order *order, uint32_t n)
{
    struct emf *e = r->e;
    uint32_t stamp = emf_new_stamp(e, r->layout->names), kept = 0;

    for (uint32_t i = n; i-- > 0;) {
        const struct emf_value *v = &r->layout->values[ev->first + order[i].value];
        if (e->stamps[v->name] == stamp)
            out->dropped[DROP_NOT_NEWER] += samples_of(r, v);
        else
            e->picked[n - ++kept] = order[i].value;
        e->stamps[v->name] = stamp;
    }
    uint32_t *picked = e->picked + n - kept;
    for (uint32_t i = 0; i < kept; i++)
        emf_value_next(r, out, t, ev, picked[i], order[0].ts_ms, &e->results[picked[i]]);
    tell(r, out, ev, picked, kept, order[0].ts_ms);
}

/* With times of their own, or a name twice. */
static void event_by_times(struct emf_run *r, struct emf_out *out, const struct emf_target *t,
                           const struct emf_event *ev)
{
    struct emf *e = r->e;
    uint32_t first = 0;

    e->order = mem_grow(e->order, &e->cap_order, ev->n, sizeof(*e->order));
    for (uint32_t i = 0; i < ev->n; i++)
        e->order[i] = (struct emf_order){emf_time_of(r, time_at(r, &r->layout->values[ev->first + i])), i};
    qsort(e->order, ev->n, sizeof(*e->order), by_time);
    for (uint32_t i = 1; i <= ev->n; i++) {
        if (i < ev->n && e->order[i].ts_ms == e->order[first].ts_ms)
            continue;
        tell_time(r, out, t, ev, &e->order[first], i - first);
        first = i;
    }
}

static void event(struct emf_run *r, struct emf_out *out, const struct emf_target *t, const struct emf_event *ev,
                  struct str ts)
{
    struct emf *e = r->e;
    bool whole = !ev->buckets && e->config->kind == CLOUDWATCH_LOGS && !r->binding->capped;

    if (UNLIKELY(ev->repeats || (r->b->n_sides && has_own_times(r, ev)))) {
        event_by_times(r, out, t, ev);
        return;
    }
    for (uint32_t i = 0; i < ev->n; i++) {
        emf_value_next(r, out, t, ev, i, r->b->ts_ms, &e->results[i]);
        whole &= e->results[i].present;
    }
    if (LIKELY(whole) && ev->bound + r->form->offsets[r->form->n] <= CW_EVENT_MAX) {
        emf_print_whole(r, out, ev, ts);
        note_skips(e, ev);
        return;
    }
    for (uint32_t i = 0; i < ev->n; i++)
        e->picked[i] = i;
    tell(r, out, ev, e->picked, ev->n, r->b->ts_ms);
}

/* ---- a run ------------------------------------------------------------------------------------------------------- */

static bool is_stale(const struct sample *s)
{
    uint64_t bits;

    memcpy(&bits, &s->value, sizeof(bits));
    return bits == SAMPLE_STALE_BITS;
}

/* The run's samples without stale markers; *n of them. */
static const struct sample *without_stale(struct emf *e, const struct sample *s, uint32_t *n)
{
    uint32_t stale = 0, kept = 0;

    for (uint32_t i = 0; i < *n; i++)
        stale += is_stale(&s[i]);
    if (LIKELY(stale == 0))
        return s;
    e->samples = mem_grow(e->samples, &e->cap_samples, *n, sizeof(*e->samples));
    for (uint32_t i = 0; i < *n; i++) {
        if (!is_stale(&s[i]))
            e->samples[kept++] = s[i];
    }
    *n = kept;
    return e->samples;
}

static void make_room(struct emf *e, const struct emf_layout *l)
{
    e->results = mem_grow(e->results, &e->cap_results, l->largest + 1, sizeof(*e->results));
    e->picked = mem_grow(e->picked, &e->cap_picked, l->largest + 1, sizeof(*e->picked));
    e->n_folds = e->n_chunks = e->n_numbers = e->n_points = 0;
    buf_clear(&e->scratch);
    e->run++;
    free(l->repeats ? e->pending : NULL);
    if (l->repeats)
        e->pending = mem_zalloc((l->n_counters + 1) * sizeof(*e->pending));
    e->n_pending = l->repeats ? l->n_counters : 0;
}

static void clear_out(struct emf_out *out)
{
    buf_clear(&out->text);
    out->n_records = out->n_folds = out->n_tail = 0;
    out->read = 0;
    memset(out->dropped, 0, sizeof(out->dropped));
}

static void commit(struct emf_run *r, struct emf_out *out, struct emf_target *t, bool touch)
{
    struct emf *e = r->e;

    if (out->read == 0)
        return;
    if (!out->lane) {
        cw_lost(e->c, out->read);
        return;
    }
    out->folds = mem_grow(out->folds, &out->cap_folds, out->n_folds + out->n_tail, sizeof(*out->folds));
    if (out->n_tail)
        memcpy(out->folds + out->n_folds, out->tail, out->n_tail * sizeof(*out->tail));
    struct cw_scrape s = {
        .text = buf_view(&out->text),
        .records = out->records,
        .n_records = (uint32_t)out->n_records,
        .folds = out->folds,
        .n_folds = (uint32_t)(out->n_folds + out->n_tail),
        .read = out->read,
        .touch = touch ? t->block : NULL,
        .touch_ms = r->b->ts_ms,
    };
    memcpy(s.dropped, out->dropped, sizeof(s.dropped));
    counter_add(e->counters.events, out->n_records);
    cw_commit(out->lane, &t->place, &s);
}

/* When a first value may be told: see emf_value.c. */
static void allow_first_values(struct emf_run *r)
{
    const struct emf *e = r->e;
    const struct emf_form *f = r->form;
    int64_t interval_ms = r->b->interval_ms ? r->b->interval_ms : 60000;

    r->born_ms = INT64_MAX;
    if (!e->emf->first_values)
        return;
    r->first_values = f->first_ms && r->b->ts_ms - f->first_ms > interval_ms;
    int64_t before_ms = f->targets[0].block ? fold_block_last_ms(f->targets[0].block) : 0;
    if (f->last_ms || before_ms == 0)
        before_ms = f->last_ms > e->since_ms ? f->last_ms : e->since_ms;
    r->born_ms = before_ms;
    if (r->layout->start_at != EMF_NONE) {
        double start_s = r->samples[r->layout->start_at].value;
        r->start_ms = start_s > 0 && start_s < 1e12 ? (int64_t)(start_s * 1000) : 0;
    }
}

/* Places that went away, and series that went away longer ago than any difference reaches. */
static void compact(struct emf_run *r)
{
    struct emf_form *f = r->form;
    int64_t keep_ms = r->gap_ms;

    if (r->b->ts_ms < f->next_compact_ms)
        return;
    if (r->e->emf->first_values && keep_ms < EMF_FIRST_VALUES_KEEP_MS)
        keep_ms = EMF_FIRST_VALUES_KEEP_MS;
    for (uint32_t i = 0; i < f->n_targets; i++) {
        if (f->next_compact_ms && f->targets[i].block && fold_block_compact(f->targets[i].block, r->b->ts_ms - keep_ms))
            f->epoch++;
    }
    emf_form_trim(f);
    f->next_compact_ms = r->b->ts_ms + r->gap_ms;
}

static void tell_events(struct emf_run *r)
{
    struct emf *e = r->e;
    char text[24];
    struct str ts = str_from(text, num_print_i64(r->b->ts_ms, text));

    for (uint32_t i = 0; i < r->layout->n_events; i++) {
        const struct emf_event *ev = &r->layout->events[i];
        uint32_t t = r->binding->targets ? r->binding->targets[i] : 0;
        e->outs[t].read += ev->samples;
        if (LIKELY(e->outs[t].lane != NULL))
            event(r, &e->outs[t], &r->form->targets[t], ev, ts);
    }
    if (e->config->kind == CLOUDWATCH_METRICS && e->outs[0].lane)
        emf_data_end(r, &e->outs[0]);
    counter_add(e->counters.capped, r->binding->n_capped);
}

static void one_run(struct emf *e, const struct batch *b, const struct batch_run *run)
{
    struct emf_run r = {
        .e = e, .b = b, .n = run->n, .form = emf_form_get(e, run->scope), .gap_ms = delta_gap_ms(b->interval_ms)};
    struct emf_form *f = r.form;

    r.samples = without_stale(e, b->samples + run->first, &r.n);
    struct emf_layout *l = layout_of(e, f, b, r.samples, r.n);
    l->used = e->round;
    r.layout = l;
    f->interval_ms = b->interval_ms;
    compact(&r);
    make_room(e, l);
    r.binding = emf_form_bind(f, l);
    for (uint32_t i = 0; i < f->n_targets; i++)
        clear_out(&e->outs[i]);
    struct emf_out *own = &e->outs[0];
    own->dropped[DROP_NOT_FINITE] = run->n - r.n;
    own->read = run->n - r.n;
    for (int i = 0; i < DROPS_AT_COMMIT; i++) {
        own->dropped[i] += l->dropped[i];
        own->read += l->dropped[i];
    }
    counter_add(e->counters.left_out, l->left_out + (l->n_events ? f->left_out : 0));
    allow_first_values(&r);
    tell_events(&r);
    for (uint32_t i = 0; i < f->n_targets; i++)
        commit(&r, &e->outs[i], &f->targets[i], i == 0 && l->n_events > 0);
    if (l->n_events == 0)
        return;
    f->last_ms = b->ts_ms;
    if (!f->first_ms)
        f->first_ms = b->ts_ms;
}

static void append(struct batch_consumer *self, const struct batch *b, batch_done_fn *done, void *done_ctx)
{
    struct emf *e = CONTAINER_OF(self, struct emf, consumer);

    if (e->emf) {
        prepare(e, b);
        for (uint32_t i = 0; i < b->n_runs; i++)
            one_run(e, b, &b->runs[i]);
    }
    if (done)
        done(done_ctx, OK);
}

/* ---- making and changing one ------------------------------------------------------------------------------------- */

static void make_counters(struct emf *e)
{
    static const char *const reasons[EMF_SKIPS] = {
        [EMF_SKIP_EMPTY] = "empty",
        [EMF_SKIP_TOO_LONG] = "too_long",
        [EMF_SKIP_NOT_ASCII] = "not_ascii",
        [EMF_SKIP_NAME] = "name",
    };
    struct emf_counters *c = &e->counters;

    for (int i = 0; i < 2; i++) {
        struct counter_label label = {STR("declared"), i ? STR("true") : STR("false")};
        c->bytes[i] = counter_new(e->set, COUNTER_TOTAL, "leadline_emf_bytes_total",
                                  "Bytes of events by whether they have metric directives.", &label, 1);
    }
    c->events = counter_new(e->set, COUNTER_TOTAL, "leadline_emf_events_total", "Events made of scrapes.", NULL, 0);
    c->left_out = counter_new(e->set, COUNTER_TOTAL, "leadline_emf_left_out_total",
                              "Labels and metrics whose names an event cannot carry.", NULL, 0);
    c->capped = counter_new(
        e->set, COUNTER_TOTAL, "leadline_emf_metrics_over_limit_total",
        "Values told without a directive, since their declaration has as many metrics as its limit.", NULL, 0);
    for (int i = 0; i < EMF_SKIPS; i++) {
        struct counter_label label = {STR("reason"), str_c(reasons[i])};
        c->skipped[i] = counter_new(e->set, COUNTER_TOTAL, "leadline_emf_dimension_sets_skipped_total",
                                    "Dimension sets left out of events by what is wrong with a value.", &label, 1);
    }
}

static void release_unique(struct emf *e)
{
    for (uint32_t i = 0; i < e->counters.n_unique; i++)
        counter_release(e->set, e->counters.unique[i]);
    free(e->counters.unique);
    free(e->unique_of);
    e->counters.unique = NULL;
    e->unique_of = NULL;
    e->counters.n_unique = 0;
    emf_cap_reset(e);
}

static void make_unique(struct emf *e)
{
    uint32_t n = e->emf ? e->emf->n_declarations : 0;

    e->unique_of = mem_zalloc((n + 1) * sizeof(*e->unique_of));
    e->counters.unique = mem_zalloc((n + 1) * sizeof(struct counter *));
    e->counters.n_unique = n;
    for (uint32_t i = 0; i < n; i++) {
        char text[24];
        struct counter_label label = {STR("declaration"), str_from(text, num_print_u64(i, text))};
        e->counters.unique[i] =
            counter_new(e->set, COUNTER_GAUGE, "leadline_emf_unique_metrics",
                        "Metrics that CloudWatch made of a declaration since the start, about.", &label, 1);
    }
}

static void release_counters(struct emf *e)
{
    struct emf_counters *c = &e->counters;

    counter_release(e->set, c->bytes[0]);
    counter_release(e->set, c->bytes[1]);
    counter_release(e->set, c->events);
    counter_release(e->set, c->left_out);
    counter_release(e->set, c->capped);
    for (int i = 0; i < EMF_SKIPS; i++)
        counter_release(e->set, c->skipped[i]);
}

static void use_config(struct emf *e, struct plan *plan, const struct plan_cloudwatch *config)
{
    e->plan = plan ? plan_ref(plan) : NULL;
    e->config = config;
    e->emf = config->emf;
    e->consumer.pipelines = config->pipelines;
    e->since_ms = 0;
}

struct emf *emf_new(struct cloudwatch *c, const struct cloudwatch_options *o)
{
    if (!o->config->emf)
        return NULL;
    struct emf *e = NEW(struct emf);
    e->consumer.append = append;
    e->c = c;
    e->intern = o->intern;
    e->scopes = o->scopes;
    e->slot = o->slot;
    e->log = o->log;
    e->set = o->counters;
    use_config(e, o->plan, o->config);
    make_counters(e);
    make_unique(e);
    scope_table_slot(e->scopes, e->slot, emf_form_free, e);
    intern_listen(e->intern, on_swept, e);
    return e;
}

static void free_outs(struct emf *e)
{
    for (size_t i = 0; i < e->n_outs; i++) {
        buf_release(&e->outs[i].text);
        free(e->outs[i].records);
        free(e->outs[i].folds);
        free(e->outs[i].tail);
    }
    free(e->outs);
}

static void free_scratch(struct emf *e)
{
    free_outs(e);
    free(e->known);
    free(e->samples);
    free(e->results);
    free(e->picked);
    free(e->order);
    free(e->pending);
    free(e->stamps);
    free(e->folds);
    free(e->chunks);
    free(e->points);
    free(e->numbers);
    free(e->heads);
    free(e->unique);
    buf_release(&e->scratch);
    arena_release(&e->arena);
}

void emf_free(struct emf *e)
{
    if (!e)
        return;
    intern_unlisten(e->intern, on_swept, e);
    scope_table_slot(e->scopes, e->slot, NULL, NULL);
    drop_all_layouts(e);
    release_unique(e);
    release_counters(e);
    free(e->layouts);
    free(e->classes);
    map_release(&e->by_layout);
    map_release(&e->by_class);
    map_release(&e->by_unique);
    free_scratch(e);
    if (e->plan)
        plan_unref(e->plan);
    free(e);
}

struct batch_consumer *emf_consumer(struct emf *e)
{
    return &e->consumer;
}

void emf_update(struct emf *e, struct plan *plan, const struct plan_cloudwatch *config)
{
    struct plan *before = e->plan;
    bool same =
        e->emf && config->emf && e->emf->shape_hash == config->emf->shape_hash && e->config->kind == config->kind;

    for (struct emf_form *f = e->forms; f; f = f->next)
        emf_form_reset(f);
    if (!same)
        drop_all_layouts(e);
    release_unique(e);
    use_config(e, plan, config);
    make_unique(e);
    if (before)
        plan_unref(before);
}

/* emf_print: events as text.
 *
 *   v0  {"CloudWatchMetrics":[..],"Timestamp":"1700000000000","Version":"0", LABELS , VALUES }
 *   v1  {"Version":"1","_aws":{"CloudWatchMetrics":[..],"Timestamp":1700000000000}, LABELS , VALUES }
 *
 * Without directives v0 has no CloudWatchMetrics, as in the original; v1 has an empty list, since its schema wants one.
 *
 *   LABELS   the scope's, in stretches around those that are hidden; the metric's own
 *   VALUES   "name":number
 *
 * An event with all its values is four copies and its numbers. One with some is written from its parts: a directive
 * names only the metrics that are there. What is larger than CW_EVENT_MAX is written in two halves, each with all
 * labels; what cannot be halved is dropped as unsendable.
 *
 * Space is made once for an event, by its bound; then bytes are written without asking.
 */
#include "base/num.h"
#include "sink/cloudwatch/emf_int.h"
#include "wire/json.h"

/* ---- numbers ----------------------------------------------------------------------------------------------------- */

char *emf_put_number(char *p, double v)
{
    char text[352];
    double size = fabs(v);
    size_t n;

    if (size < 9007199254740992.0 && v == (double)(int64_t)v && (v != 0 || !signbit(v))) {
        uint64_t u = (uint64_t)size;
        char *end = text + 24, *at = end;
        do
            *--at = (char)('0' + u % 10);
        while (u /= 10);
        if (v < 0)
            *--at = '-';
        n = (size_t)(end - at);
        memcpy(p, at, n);
        return p + n;
    }
    if (size == 0 || (size >= 1e-6 && size < 1e21)) {
        n = num_print_double_plain(v, text);
        memcpy(p, text, n);
        return p + n;
    }
    n = num_print_double(v, text);
    if (n >= 4 && text[n - 4] == 'e' && text[n - 3] == '-' && text[n - 2] == '0') { /* encoding/json: e-7 */
        text[n - 2] = text[n - 1];
        n--;
    }
    memcpy(p, text, n);
    return p + n;
}

/* ---- directives -------------------------------------------------------------------------------------------------- */

/* What a directive is printed for. */
struct telling {
    const struct emf *e;
    const struct emf_layout *l;
    const struct emf_event *ev;
    const uint8_t *capped;
    bool values; /* e->results are those of this event */
};

/* The directive of a value that is told with one. A histogram without observations is no metric: the service takes none
 * that is empty. */
static uint32_t directive_of(const struct telling *t, uint32_t value)
{
    const struct emf_value *v = &t->l->values[t->ev->first + value];

    if (v->directive == EMF_NONE || t->l->directives[v->directive].n_sets == 0 ||
        (t->capped && t->capped[t->ev->first + value]))
        return EMF_NONE;
    if (v->kind == EMF_BUCKETS && t->values && t->e->chunks[t->e->results[value].chunk].n == 0)
        return EMF_NONE;
    return v->directive;
}

uint32_t emf_new_stamp(struct emf *e, size_t n)
{
    if (e->n_stamps < n) {
        size_t cap = e->n_stamps;
        e->stamps = mem_grow(e->stamps, &cap, n, sizeof(*e->stamps));
        memset(e->stamps + e->n_stamps, 0, (cap - e->n_stamps) * sizeof(*e->stamps));
        e->n_stamps = cap;
    }
    if (++e->stamp == 0) {
        memset(e->stamps, 0, e->n_stamps * sizeof(*e->stamps));
        e->stamp = 1;
    }
    return e->stamp;
}

static void print_directive(const struct telling *t, const uint32_t *picked, uint32_t n, uint32_t d, struct buf *out)
{
    const struct emf_layout *l = t->l;
    const char *comma = "";

    buf_c(out, "{\"Namespace\":");
    json_escape(out, t->e->emf->name_space);
    buf_char(out, ',');
    buf_append(out, l->text + l->directives[d].dimensions, l->directives[d].dimensions_n);
    buf_c(out, ",\"Metrics\":[");
    for (uint32_t i = 0; i < n; i++) {
        const struct emf_value *v = &l->values[t->ev->first + picked[i]];
        if (directive_of(t, picked[i]) != d)
            continue;
        buf_c(out, comma);
        buf_append(out, l->text + v->definition, v->definition_n);
        comma = ",";
    }
    buf_c(out, "]}");
}

static bool print_directives(struct emf *e, const struct telling *t, const uint32_t *picked, uint32_t n,
                             struct buf *out)
{
    uint32_t stamp = emf_new_stamp(e, t->l->n_directives);
    bool any = false;

    for (uint32_t i = 0; i < n; i++) {
        uint32_t d = directive_of(t, picked[i]);
        if (d == EMF_NONE || e->stamps[d] == stamp)
            continue;
        e->stamps[d] = stamp;
        buf_c(out, any ? "," : "\"CloudWatchMetrics\":[");
        print_directive(t, picked, n, d, out);
        any = true;
    }
    if (any)
        buf_c(out, "],");
    return any;
}

bool emf_print_directives(struct emf *e, const struct emf_layout *l, const struct emf_event *ev, const uint32_t *all,
                          uint32_t n, struct buf *out)
{
    return print_directives(e, &(struct telling){e, l, ev, NULL, false}, all, n, out);
}

/* ---- events ------------------------------------------------------------------------------------------------------ */

static char *put(char *p, const char *text, size_t n)
{
    memcpy(p, text, n);
    return p + n;
}

#define PUT(p, literal) put((p), "" literal, sizeof(literal) - 1)

static char *put_opening(char *p, bool version_1, const char *head, size_t head_n, struct str ts)
{
    if (version_1) {
        p = PUT(p, "{\"Version\":\"1\",\"_aws\":{");
        p = head_n ? put(p, head, head_n) : PUT(p, "\"CloudWatchMetrics\":[],");
        p = PUT(p, "\"Timestamp\":");
        p = put(p, ts.p, ts.n);
        return PUT(p, "},");
    }
    *p++ = '{';
    p = put(p, head, head_n);
    p = PUT(p, "\"Timestamp\":\"");
    p = put(p, ts.p, ts.n);
    return PUT(p, "\",\"Version\":\"0\",");
}

static char *put_labels(char *p, const struct emf_form *f, const struct emf_layout *l, const struct emf_event *ev)
{
    uint32_t at = 0;

    for (uint32_t i = 0; i < ev->n_hidden; i++) {
        uint32_t hidden = l->hidden[ev->hidden + i];
        p = put(p, f->text + f->offsets[at], f->offsets[hidden] - f->offsets[at]);
        at = hidden + 1;
    }
    p = put(p, f->text + f->offsets[at], f->offsets[f->n] - f->offsets[at]);
    return put(p, l->text + ev->own, ev->own_n);
}

static void end_record(struct emf_run *r, struct emf_out *out, size_t from, int64_t ts_ms, uint32_t samples,
                       uint32_t folds, bool declared)
{
    struct emf *e = r->e;
    size_t n = out->text.n - from;

    out->records = mem_grow(out->records, &out->cap_records, out->n_records + 1, sizeof(*out->records));
    out->records[out->n_records++] = (struct cw_record){ts_ms, (uint32_t)from, (uint32_t)n, samples, folds};
    counter_add(e->counters.bytes[declared], n);
}

static uint32_t take_folds(struct emf_run *r, struct emf_out *out, const struct emf_result *result)
{
    if (result->n_folds == 0)
        return 0;
    if (UNLIKELY(out->n_folds + result->n_folds > out->cap_folds))
        out->folds = mem_grow(out->folds, &out->cap_folds, out->n_folds + result->n_folds, sizeof(*out->folds));
    for (uint32_t i = 0; i < result->n_folds; i++)
        out->folds[out->n_folds++] = r->e->folds[result->fold + i];
    return result->n_folds;
}

void emf_print_whole(struct emf_run *r, struct emf_out *out, const struct emf_event *ev, struct str ts)
{
    const struct emf_layout *l = r->layout;
    const struct emf_form *f = r->form;
    size_t from = out->text.n;
    uint32_t folds = 0;

    buf_reserve(&out->text, ev->bound + f->offsets[f->n]);
    char *p = put_opening(out->text.p + from, r->e->emf->version_1, l->text + ev->head, ev->head_n, ts);
    p = put_labels(p, f, l, ev);
    for (uint32_t i = 0; i < ev->n; i++) {
        const struct emf_value *v = &l->values[ev->first + i];
        p = put(p, l->text + v->key, v->key_n);
        p = emf_put_number(p, r->e->results[i].value);
        folds += take_folds(r, out, &r->e->results[i]);
    }
    *p++ = '}';
    out->text.n = (size_t)(p - out->text.p);
    end_record(r, out, from, r->b->ts_ms, ev->samples, folds, ev->declared);
}

static void put_text(struct buf *out, const char *p, size_t n)
{
    if (n)
        buf_append(out, p, n);
}

/* The event up to its values. */
static bool print_beginning(struct emf_run *r, const struct emf_event *ev, const uint32_t *picked, uint32_t n,
                            int64_t ts_ms, struct buf *out)
{
    AUTO_BUF head = {0};
    char text[24];
    struct str ts = str_from(text, num_print_i64(ts_ms, text));
    struct telling t = {r->e, r->layout, ev, r->binding->capped, true};
    bool declared = print_directives(r->e, &t, picked, n, &head);

    buf_reserve(out, head.n + 128 + r->form->offsets[r->form->n] + ev->own_n);
    char *p = put_opening(out->p + out->n, r->e->emf->version_1, head.n ? head.p : "", head.n, ts);
    out->n = (size_t)(put_labels(p, r->form, r->layout, ev) - out->p);
    return declared;
}

static void print_value(struct emf_run *r, const struct emf_value *v, const struct emf_result *result, uint32_t chunk,
                        struct buf *out)
{
    put_text(out, r->layout->text + v->key, v->key_n);
    if (v->kind == EMF_BUCKETS) {
        const struct emf_chunk *c = &r->e->chunks[result->chunk + chunk];
        put_text(out, r->e->scratch.p + c->text, c->text_n);
        return;
    }
    buf_reserve(out, EMF_NUMBER_MAX);
    out->n = (size_t)(emf_put_number(out->p + out->n, result->value) - out->p);
}

static void too_large(struct emf_run *r, struct emf_out *out, const struct emf_event *ev, uint32_t value)
{
    struct emf *e = r->e;
    const struct emf_value *v = &r->layout->values[ev->first + value];
    const struct emf_result *result = &e->results[value];
    uint32_t swallowed;

    if (log_allow(&e->large_limit, 60000, &swallowed))
        log_error(e->log, "An event is larger than CloudWatch Logs takes, and cannot be split: its samples are dropped",
                  F_STR("metric", str_from(r->layout->text + v->key + 2, v->key_n - 4u)),
                  F_STR("log_group", r->form->targets[0].place.group), F_INT("suppressed", swallowed));
    out->dropped[DROP_UNSENDABLE] += result->samples;
    for (uint32_t i = 0; i < result->n_folds; i++) {
        out->tail = mem_grow(out->tail, &out->cap_tail, out->n_tail + 1, sizeof(*out->tail));
        out->tail[out->n_tail++] = e->folds[result->fold + i];
    }
}

/* The parts of histograms with more buckets than an event takes. */
static void print_further_chunks(struct emf_run *r, struct emf_out *out, const struct emf_event *ev, uint32_t value,
                                 int64_t ts_ms)
{
    const struct emf_value *v = &r->layout->values[ev->first + value];
    const struct emf_result *result = &r->e->results[value];

    for (uint32_t i = 1; i < result->n_chunks; i++) {
        size_t from = out->text.n;
        bool declared = print_beginning(r, ev, &value, 1, ts_ms, &out->text);
        print_value(r, v, result, i, &out->text);
        buf_char(&out->text, '}');
        end_record(r, out, from, ts_ms, 0, 0, declared);
    }
}

void emf_print_some(struct emf_run *r, struct emf_out *out, const struct emf_event *ev, const uint32_t *picked,
                    uint32_t n, int64_t ts_ms)
{
    struct emf *e = r->e;
    size_t from = out->text.n;
    uint32_t samples = 0, folds = 0;
    bool declared = print_beginning(r, ev, picked, n, ts_ms, &out->text);

    for (uint32_t i = 0; i < n; i++)
        print_value(r, &r->layout->values[ev->first + picked[i]], &e->results[picked[i]], 0, &out->text);
    buf_char(&out->text, '}');
    if (out->text.n - from > CW_EVENT_MAX) {
        out->text.n = from;
        if (n == 1) {
            too_large(r, out, ev, picked[0]);
            return;
        }
        emf_print_some(r, out, ev, picked, n / 2, ts_ms);
        emf_print_some(r, out, ev, picked + n / 2, n - n / 2, ts_ms);
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        samples += e->results[picked[i]].samples;
        folds += take_folds(r, out, &e->results[picked[i]]);
    }
    end_record(r, out, from, ts_ms, samples, folds, declared);
    for (uint32_t i = 0; i < n; i++)
        print_further_chunks(r, out, ev, picked[i], ts_ms);
}

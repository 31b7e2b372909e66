/* datum_input: data become records: MetricDatum as JSON text (datum.c), one or more for each.
 *
 *   datum ----+-- its own dimensions --------------------+--> datum_print --> records of its namespace
 *             +-- roll-up {a}, where it has more than a --+
 *             +-- roll-up {} -----------------------------+
 *
 * Dimensions without a value are left out. Of more than CW_DIMENSIONS_MAX the first by name stay, and `host` in any
 * case, as in the CloudWatch agent. A roll-up (aggregation_dimensions) is a datum with these dimensions alone; there is
 * one for each set that is smaller than the datum's and all of which the datum has. drop_original_metrics leaves out
 * the datum's own: when no roll-up takes its place it is dropped{undeclared}.
 *
 * A datum's samples go with the first record that it gives; roll-ups say the same samples again and count none. What
 * the service would refuse (datum_print) is dropped{unsendable}, counted, and logged once in a while.
 *
 * What comes in one call goes into the spool in one commit for each namespace.
 */
#include "base/mem.h"
#include "sink/cloudwatch/cloudwatch_int.h"

struct input {
    struct cloudwatch *c;
    uint32_t read, unsendable, undeclared;
};

static void add_record(void *ctx, const struct cw_record *r)
{
    struct cloudwatch *c = ctx;
    c->input_records =
        mem_grow(c->input_records, &c->cap_input_records, c->n_input_records + 1, sizeof(*c->input_records));
    c->input_records[c->n_input_records++] = *r;
}

/* Into v, sorted as they are; at most CW_DIMENSIONS_MAX. */
static struct labels own_dimensions(struct labels all, struct label v[CW_DIMENSIONS_MAX])
{
    uint32_t n = 0;
    const struct label *host = NULL;
    for (uint32_t i = 0; i < all.n; i++) {
        const struct label *l = &all.v[i];
        if (l->value.n == 0)
            continue;
        if (n < CW_DIMENSIONS_MAX)
            v[n++] = *l;
        else if (str_eq_c(l->name, "host"))
            host = l;
    }
    if (host)
        v[n - 1] = *host;
    return (struct labels){v, n};
}

/* The dimensions of this set, sorted; false when one is missing, or the set is not smaller than all there are. */
static bool roll_up(struct labels own, const struct plan_dimensions *set, struct label v[CW_DIMENSIONS_MAX],
                    struct labels *out)
{
    uint32_t n = 0, found = 0;
    if (set->n >= own.n)
        return false;
    for (uint32_t k = 0; k < set->n; k++)
        found += labels_has(own, set->names[k]);
    if (found != set->n)
        return false;
    for (uint32_t i = 0; i < own.n; i++) {
        for (uint32_t k = 0; k < set->n; k++) {
            if (str_eq(own.v[i].name, set->names[k])) {
                v[n++] = own.v[i];
                break;
            }
        }
    }
    *out = (struct labels){v, n};
    return true;
}

static bool drops_original(const struct plan_cloudwatch *config, struct str name)
{
    uint32_t from = 0, to = config->n_drop_original;
    while (from < to) {
        uint32_t middle = from + (to - from) / 2;
        int order = str_cmp(config->drop_original[middle], name);
        if (order == 0)
            return true;
        if (order < 0)
            from = middle + 1;
        else
            to = middle;
    }
    return false;
}

/* True: its samples are told with it. */
static bool print(struct input *in, const struct datum *v, struct labels dimensions, uint32_t samples)
{
    struct cloudwatch *c = in->c;
    struct datum d = *v;
    struct diag why = {0};
    uint32_t suppressed;
    d.dimensions = dimensions;
    d.samples = samples;
    if (datum_print(&d, &c->input_text, add_record, c, &why) == OK)
        return true;
    if (log_allow(&c->log_input, CW_LOG_PERIOD_MS, &suppressed))
        log_warn(c->log, "Dropped a datum that CloudWatch would not take", F_STR("destination", c->config->name),
                 F_STR("metric", v->name), F_C("err", why.text), F_INT("samples", samples),
                 F_INT("suppressed", suppressed));
    return false;
}

static void add_datum(struct input *in, const struct datum *v)
{
    const struct plan_cloudwatch *config = in->c->config;
    struct label own_labels[CW_DIMENSIONS_MAX], labels[CW_DIMENSIONS_MAX];
    struct labels own = own_dimensions(v->dimensions, own_labels), set;
    uint32_t samples = v->samples;
    bool any = false;
    in->read += v->samples;
    if (!drops_original(config, v->name)) {
        any = true;
        samples = print(in, v, own, samples) ? 0 : samples;
    }
    for (uint32_t i = 0; i < config->n_rollups; i++) {
        if (!roll_up(own, &config->rollups[i], labels, &set))
            continue;
        any = true;
        samples = print(in, v, set, samples) ? 0 : samples;
    }
    *(any ? &in->unsendable : &in->undeclared) += samples;
}

static struct str name_space(const struct cloudwatch *c, const struct datum *v)
{
    return v->name_space.n ? v->name_space : c->config->name_space;
}

static void commit(struct input *in, const struct cw_place *place)
{
    struct cloudwatch *c = in->c;
    struct cw_scrape s = {.text = buf_view(&c->input_text),
                          .records = c->input_records,
                          .n_records = (uint32_t)c->n_input_records,
                          .read = in->read};
    struct cw_lane *l = cw_lane_of(c, place);
    s.dropped[DROP_UNSENDABLE] = in->unsendable;
    s.dropped[DROP_UNDECLARED] = in->undeclared;
    if (l)
        cw_commit(l, place, &s);
    else
        cw_lost(c, in->read);
    buf_clear(&c->input_text);
    c->n_input_records = 0;
    *in = (struct input){.c = c};
}

static void refuse(struct cloudwatch *c, const struct datum *v, uint32_t samples, const char *why)
{
    uint32_t suppressed;
    cw_drop(c, samples, DROP_UNSENDABLE);
    if (log_allow(&c->log_input, CW_LOG_PERIOD_MS, &suppressed))
        log_warn(c->log, "Dropped a datum that CloudWatch would not take", F_STR("destination", c->config->name),
                 F_STR("metric", v->name), F_C("err", why), F_INT("samples", samples), F_INT("suppressed", suppressed));
}

/* All data of the namespace of v[0], which is the first of them. */
static void append_place(struct cloudwatch *c, const struct datum *v, uint32_t n)
{
    enum { TEXT_MAX = 16 << 20 }; /* what is printed before it is committed */
    const struct cw_place place = {.group = name_space(c, v)};
    struct input in = {.c = c};
    struct diag d = {0};
    enum err err = cw_place_check(CLOUDWATCH_METRICS, &place, &d);
    for (uint32_t i = 0; i < n; i++) {
        if (!str_eq(name_space(c, &v[i]), place.group))
            continue;
        if (err)
            refuse(c, &v[i], v[i].samples, d.text);
        else
            add_datum(&in, &v[i]);
        if (c->input_text.n > TEXT_MAX)
            commit(&in, &place);
    }
    if (!err)
        commit(&in, &place);
}

static bool was_before(const struct cloudwatch *c, const struct datum *v, uint32_t i)
{
    for (uint32_t k = i; k-- > 0;) {
        if (str_eq(name_space(c, &v[k]), name_space(c, &v[i])))
            return true;
    }
    return false;
}

void cw_append_data(struct datum_consumer *self, const struct datum *v, uint32_t n)
{
    enum { KEEP_BYTES = 256 * 1024 };
    struct cloudwatch *c = CONTAINER_OF(self, struct cloudwatch, data);
    buf_clear(&c->input_text);
    c->n_input_records = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (!was_before(c, v, i))
            append_place(c, v + i, n - i);
    }
    if (c->input_text.cap > KEEP_BYTES)
        buf_release(&c->input_text);
}

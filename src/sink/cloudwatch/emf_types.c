/* emf_types: the type of a metric, by the CloudWatch agent's way of looking it up.
 *
 *   http_seconds_sum   families of the page: http_seconds summary, requests counter
 *   1. without _count, _sum or _bucket:  http_seconds   found: summary
 *   2. as it is                                          (when 1 cut something off)
 *   3. without _total                    requests_total -> requests
 *
 * The name is the one that was exposed, whatever relabelling made of it: it begins the metric's raw bytes, and ends
 * there with a brace or a blank, in protobuf with ff; or it is the first string behind a brace, where names are quoted.
 * All families of the batch count, wherever on the page they stand, as in the original, which asks the target's
 * metadata. So a gauge x_count beside a summary x is a summary there and here.
 *
 * By the type, and what is configured, a sample becomes a value of some kind, or is dropped. The caller's arena.
 *
 * A metric called `value` is told as `prometheus`, as the CloudWatch agent tells it: dashboards have that name.
 */
#include "base/hash.h"
#include "format/exposition.h"
#include "sink/cloudwatch/emf_int.h"

struct emf_types {
    struct family *v;
    size_t n, cap;
    uint32_t *buckets; /* by hash: 1 + index, open addressing */
    uint32_t mask;
};

/* ---- families ---------------------------------------------------------------------------------------------------- */

static void add_block(struct emf_types *t, const struct batch *b, uint32_t comments, struct arena *a)
{
    struct family *families = NULL;
    uint32_t n = 0;

    exposition_families(intern_raw(b->metrics, comments),
                        (enum exposition_kind)batch_block_kind(intern_get(b->metrics, comments)), a, &families, &n);
    if (t->n + n > t->cap) {
        size_t cap = 2 * (t->n + n) + 16;
        struct family *v = ARENA_ARRAY(a, struct family, cap);
        if (t->n)
            memcpy(v, t->v, t->n * sizeof(*v));
        t->v = v;
        t->cap = cap;
    }
    for (uint32_t i = 0; i < n; i++)
        t->v[t->n++] = families[i];
}

static uint32_t *slot_of(const struct emf_types *t, struct str name)
{
    uint32_t at = (uint32_t)hash_bytes(name) & t->mask;

    while (t->buckets[at] && !str_eq(t->v[t->buckets[at] - 1].name, name))
        at = (at + 1) & t->mask;
    return &t->buckets[at];
}

struct emf_types *emf_types_read(const struct batch *b, struct arena *a)
{
    struct emf_types *t = ARENA_NEW(a, struct emf_types);
    uint32_t size = 16;

    for (uint32_t i = 0; i < b->n_blocks; i++) {
        if (b->blocks[i].metric != METRIC_NONE)
            add_block(t, b, b->blocks[i].metric, a);
    }
    while (size < 2 * t->n)
        size *= 2;
    t->mask = size - 1;
    t->buckets = ARENA_ARRAY(a, uint32_t, size);
    for (size_t i = 0; i < t->n; i++) {
        uint32_t *slot = slot_of(t, t->v[i].name);
        if (*slot == 0 || t->v[*slot - 1].type == TYPE_UNKNOWN)
            *slot = (uint32_t)i + 1;
    }
    return t;
}

static bool find(const struct emf_types *t, struct str name, enum metric_type *type)
{
    uint32_t at = *slot_of(t, name);

    if (at == 0)
        return false;
    *type = t->v[at - 1].type;
    return true;
}

bool emf_types_find(const struct emf_types *t, struct str original, enum metric_type *type, uint32_t *stripped)
{
    const struct str suffixes[] = {STR("_count"), STR("_sum"), STR("_bucket")}, total = STR("_total");

    *stripped = 0;
    for (size_t i = 0; i < COUNT_OF(suffixes) && !*stripped; i++) {
        if (str_ends(original, suffixes[i]))
            *stripped = (uint32_t)suffixes[i].n;
    }
    if (find(t, str_from(original.p, original.n - *stripped), type))
        return true;
    if (*stripped) {
        *stripped = 0;
        return find(t, original, type);
    }
    if (!str_ends(original, total))
        return false;
    *stripped = (uint32_t)total.n;
    return find(t, str_from(original.p, original.n - total.n), type);
}

/* ---- names ------------------------------------------------------------------------------------------------------- */

/* A string in quotes at p, without its escapes. */
static struct str unquote(const char *p, const char *end, struct arena *a)
{
    char *out = arena_alloc(a, (size_t)(end - p) + 1);
    size_t n = 0;

    for (p++; p < end && *p != '"'; p++) {
        if (*p == '\\' && p + 1 < end) {
            p++;
            out[n++] = *p == 'n' ? '\n' : *p;
        } else {
            out[n++] = *p;
        }
    }
    return str_from(out, n);
}

struct str emf_original_name(struct str raw, struct arena *a)
{
    const char *p = raw.p, *end = raw.p + raw.n;

    if (raw.n && *p == '{') {
        while (++p < end && (*p == ' ' || *p == '\t'))
            continue;
        return p < end && *p == '"' ? unquote(p, end, a) : STR_NONE;
    }
    while (p < end && *p != '{' && *p != ' ' && *p != '\t' && *p != (char)0xff)
        p++;
    return str_from(raw.p, (size_t)(p - raw.p));
}

/* ---- what a sample becomes --------------------------------------------------------------------------------------- */

static struct emf_verdict drop(enum spool_reason reason)
{
    return (struct emf_verdict){.dropped = true, .reason = reason};
}

static struct emf_verdict keep(enum metric_type type, enum emf_kind kind, struct str name)
{
    return (struct emf_verdict){.type = type, .kind = kind, .name = name};
}

/* Series that scrapes make of themselves, and OpenMetrics' start times: of no family, and never meant. */
static bool is_aside(struct str original)
{
    return str_eq(original, STR("up")) || str_starts(original, STR("scrape_")) || str_ends(original, STR("_created"));
}

static struct emf_verdict judge_histogram(const struct emf *e, struct labels labels, struct str original,
                                          struct str name, uint32_t stripped)
{
    struct str part = str_from(original.p + original.n - stripped, stripped);
    bool bucket = str_eq(part, STR("_bucket"));

    if (e->emf->histograms == EMF_HISTOGRAMS_NONE || stripped == 0)
        return drop(DROP_TYPE);
    if (e->emf->histograms == EMF_HISTOGRAMS_SUM_COUNT)
        return bucket ? drop(DROP_TYPE) : keep(TYPE_HISTOGRAM, EMF_COUNTER, name);
    if (!str_ends(name, part) || name.n == part.n || (bucket && !labels_has(labels, STR("le"))))
        return drop(DROP_TYPE);
    struct emf_verdict v = keep(TYPE_HISTOGRAM, EMF_BUCKETS, str_from(name.p, name.n - part.n));
    v.part = part;
    return v;
}

static struct emf_verdict judge_type(const struct emf *e, const struct emf_types *t, struct labels labels,
                                     struct str original, struct str name)
{
    enum metric_type type = TYPE_UNKNOWN;
    uint32_t stripped;

    if (!emf_types_find(t, original, &type, &stripped)) {
        stripped = 0;
        if (is_aside(original))
            return drop(DROP_TYPE);
    }
    switch (type) {
    case TYPE_COUNTER:
        return keep(type, EMF_COUNTER, name);
    case TYPE_GAUGE:
        return keep(type, EMF_GAUGE, name);
    case TYPE_SUMMARY: /* by the label, not by the name's end: a summary may be called x_sum */
        return keep(type, stripped && !labels_has(labels, STR("quantile")) ? EMF_COUNTER : EMF_GAUGE, name);
    case TYPE_HISTOGRAM:
        return judge_histogram(e, labels, original, name, stripped);
    case TYPE_UNKNOWN:
        return e->emf->untyped_as_gauge ? keep(TYPE_GAUGE, EMF_GAUGE, name) : drop(DROP_TYPE);
    default:
        return drop(DROP_TYPE);
    }
}

static void say_type(struct emf *e, struct str original)
{
    if (!e->type_said) {
        e->type_said = true;
        log_info(e->log,
                 "Drop Prometheus metrics with unsupported types. Only Gauge, Counter and Summary are supported.",
                 F_STR("first", original));
    }
    if (!is_aside(original))
        log_debug(e->log, "A metric is dropped by its type", F_STR("metric", original));
}

struct emf_verdict emf_judge(struct emf *e, const struct emf_types *t, struct labels labels, struct str original)
{
    struct str name = labels_get(labels, LABEL_NAME);
    struct emf_verdict v = judge_type(e, t, labels, original, name);

    if (v.dropped) {
        say_type(e, original);
        return v;
    }
    if (str_eq(v.name, STR("value")))
        v.name = STR("prometheus");
    if (v.name.n > 0 && v.name.n <= EMF_METRIC_NAME_MAX && !emf_is_reserved(v.name))
        return v;
    emf_say_left_out(e, STR("metric"), v.name);
    return drop(DROP_UNSENDABLE);
}

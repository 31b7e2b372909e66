/* state: collection and aggregation as the CloudWatch agent does them for StatsD.
 *
 *   value --> metric since the last collection --collect--> its window --aggregate--> a datum
 *             c: sum  g: last  s: members                   values with counts,
 *             ms, h: distinct values with weights           exact sum, count, least and most
 *
 * A metric is a name, its tags, and its type: metric_type is a dimension. Each collection gives counters, gauges and
 * sets one entry in the window, distributions one for each distinct value with its weight cut to a whole count. A
 * window begins at a multiple of the interval of aggregation and carries the time of its first collection. Without
 * aggregation a collection is handed on at once, counters, gauges and sets as a plain value.
 *
 * Values. What goes out as Values are the centres of the agent's buckets, exp((n + 0.5) ln 1.1), n = floor(ln v /
 * ln 1.1), or what was observed (exact_values). Where the agent refuses negative values, we mirror: the centre of -5 is
 * minus that of 5. The statistics are those of the values as observed.
 *
 * Bounds. Metrics, keys, members and distinct values are counted as bytes; when these or the number of metrics reach
 * their limit, everything is collected and handed on as it is, and forgotten: nothing is lost, a period has two data
 * where it had one. The distinct values of one distribution go to its window early, PENDING_MAX at a time; only
 * fractions of weights, cut off more often, show it.
 *
 * A metric's struct stays for a while after its last value, so that one that comes every few seconds costs no
 * allocation. One thread.
 */
#include "source/statsd/state_int.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "source/statsd/tally_int.h"

#define VALUE_MAX 0x1p360

enum {
    PENDING_MAX = 4096, /* distinct values of one distribution between two collections */
    IDLE_LEAST_MS = 60000,
    DATA_AT_ONCE = 256,
};

/* Values with whole counts, and what they are together. */
struct window {
    struct tally bins; /* keys: values as they go out */
    double sum, min, max, count;
    int64_t start_ms, ts_ms;
    uint32_t samples; /* 0: there is none */
};

/* One block with the labels and text of its name and dimensions behind it. */
struct metric {
    uint64_t hash;
    enum statsd_type type;
    uint32_t samples; /* since the last collection */
    int64_t count;    /* COUNTER */
    double gauge;
    struct tally pending; /* SET: hashes of members; TIMING, HISTOGRAM: values with weights */
    struct window window;
    int64_t last_ms; /* of the last value */
    size_t bytes;    /* of this block */
    struct str key, name;
    struct labels dimensions;
    struct label labels[];
};

struct statsd_state {
    struct statsd_state_options o;
    struct metric **metrics;
    size_t n, cap;
    struct map map;
    size_t bytes; /* blocks and tallies */
    struct buf separator, host;
    struct buf key;     /* of the metric being looked for */
    struct arena arena; /* data to be handed on */
    struct datum data[DATA_AT_ONCE];
    uint32_t n_data;
};

struct statsd_state *statsd_state_new(const struct statsd_state_options *o)
{
    struct statsd_state *s = NEW(struct statsd_state);
    s->o = *o;
    buf_str(&s->separator, o->separator);
    buf_str(&s->host, o->host);
    return s;
}

uint32_t statsd_state_metrics(const struct statsd_state *s)
{
    return (uint32_t)s->n;
}

size_t statsd_state_bytes(const struct statsd_state *s)
{
    return s->bytes;
}

/* ---- metrics ---- */

static size_t tallies_bytes(const struct metric *m)
{
    return tally_bytes(&m->pending) + tally_bytes(&m->window.bins);
}

static void metric_free(struct statsd_state *s, struct metric *m)
{
    s->bytes -= m->bytes + tallies_bytes(m);
    tally_release(&m->pending);
    tally_release(&m->window.bins);
    free(m);
}

static void remove_all(struct statsd_state *s)
{
    for (size_t i = 0; i < s->n; i++)
        metric_free(s, s->metrics[i]);
    s->n = 0;
    map_release(&s->map);
}

void statsd_state_free(struct statsd_state *s)
{
    if (!s)
        return;
    remove_all(s);
    free(s->metrics);
    buf_release(&s->key);
    buf_release(&s->separator);
    buf_release(&s->host);
    arena_release(&s->arena);
    free(s);
}

static void remove_at(struct statsd_state *s, size_t at)
{
    struct metric *m = s->metrics[at], *last = s->metrics[--s->n];
    map_remove(&s->map, m->hash, (uint32_t)at);
    if (m != last) {
        map_replace(&s->map, last->hash, (uint32_t)s->n, (uint32_t)at);
        s->metrics[at] = last;
    }
    metric_free(s, m);
}

static void put_text(struct buf *b, struct str s)
{
    uint32_t n = (uint32_t)s.n;
    buf_append(b, &n, sizeof(n));
    buf_str(b, s);
}

/* What makes a metric this one, without doubt about where a text ends. */
static void build_key(struct statsd_state *s, const struct statsd_line *l, enum statsd_type type)
{
    buf_clear(&s->key);
    buf_char(&s->key, (char)type);
    put_text(&s->key, l->name);
    for (uint32_t i = 0; i < l->n_tags; i++) {
        put_text(&s->key, l->tags[i].name);
        put_text(&s->key, l->tags[i].value);
    }
}

struct sought {
    const struct statsd_state *s;
    struct str key;
};

static bool is_sought(const void *ctx, uint32_t index)
{
    const struct sought *sought = ctx;
    return str_eq(sought->s->metrics[index]->key, sought->key);
}

static struct str put_copy(char **at, struct str s)
{
    struct str copy = str_from(*at, s.n);
    if (s.n)
        memcpy(*at, s.p, s.n);
    *at += s.n;
    return copy;
}

static size_t name_bytes(const struct statsd_state *s, struct str name)
{
    size_t n = name.n;
    for (size_t i = 0; i < name.n; i++)
        n += name.p[i] == '.' ? s->separator.n : 0;
    return n;
}

static struct str put_name(const struct statsd_state *s, char **at, struct str name)
{
    char *start = *at;
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] == '.')
            put_copy(at, buf_view(&s->separator));
        else
            *(*at)++ = name.p[i];
    }
    return str_from(start, (size_t)(*at - start));
}

/* Adds one that the line's tags do not have, in its place. */
static void add_dimension(struct metric *m, struct str name, struct str value)
{
    uint32_t at = m->dimensions.n;
    if (labels_has(m->dimensions, name))
        return;
    for (; at > 0 && str_cmp(m->labels[at - 1].name, name) > 0; at--)
        m->labels[at] = m->labels[at - 1];
    m->labels[at] = (struct label){name, value};
    m->dimensions.n++;
}

static struct metric *metric_new(struct statsd_state *s, const struct statsd_line *l, enum statsd_type type,
                                 uint64_t hash)
{
    size_t text = s->key.n + name_bytes(s, l->name) + s->host.n, labels = (l->n_tags + 2) * sizeof(struct label);
    for (uint32_t i = 0; i < l->n_tags; i++)
        text += l->tags[i].name.n + l->tags[i].value.n;
    struct metric *m = mem_zalloc(sizeof(*m) + labels + text);
    char *at = (char *)m + sizeof(*m) + labels;
    m->hash = hash;
    m->type = type;
    m->bytes = sizeof(*m) + labels + text;
    m->key = put_copy(&at, buf_view(&s->key));
    m->name = put_name(s, &at, l->name);
    m->dimensions = (struct labels){m->labels, l->n_tags};
    for (uint32_t i = 0; i < l->n_tags; i++)
        m->labels[i] = (struct label){put_copy(&at, l->tags[i].name), put_copy(&at, l->tags[i].value)};
    add_dimension(m, STR("metric_type"), statsd_type_name(type));
    if (s->host.n)
        add_dimension(m, STR("host"), put_copy(&at, buf_view(&s->host)));
    s->bytes += m->bytes;
    return m;
}

static bool full(const struct statsd_state *s)
{
    return s->n >= s->o.max_metrics || s->bytes >= s->o.max_bytes;
}

/* The line's metric of this type. *early: what was held had to go first. */
static struct metric *metric_get(struct statsd_state *s, const struct statsd_line *l, enum statsd_type type,
                                 int64_t now_ms, bool *early)
{
    build_key(s, l, type);
    struct str key = buf_view(&s->key);
    uint64_t hash = hash_bytes(key);
    uint32_t at = map_find(&s->map, hash, is_sought, &(struct sought){s, key});
    *early = s->bytes >= s->o.max_bytes || (at == MAP_NONE && full(s));
    if (at != MAP_NONE && !*early)
        return s->metrics[at];
    if (*early) {
        statsd_state_flush(s, now_ms);
        remove_all(s);
    }
    s->metrics = mem_grow(s->metrics, &s->cap, s->n + 1, sizeof(*s->metrics));
    s->metrics[s->n] = metric_new(s, l, type, hash);
    map_add(&s->map, hash, (uint32_t)s->n);
    return s->metrics[s->n++];
}

static void lose(struct statsd_state *s, enum statsd_loss why, struct str name, uint32_t values)
{
    if (values)
        s->o.lost(s->o.ctx, why, name, values);
}

/* ---- data to the consumer ---- */

static void hand_on(struct statsd_state *s)
{
    if (s->n_data)
        s->o.consumer->append(s->o.consumer, s->data, s->n_data);
    s->n_data = 0;
    arena_reset(&s->arena);
}

static struct datum *datum_new(struct statsd_state *s, const struct metric *m)
{
    if (s->n_data == DATA_AT_ONCE)
        hand_on(s);
    struct datum *d = &s->data[s->n_data++];
    *d = (struct datum){.name = m->name, .dimensions = m->dimensions, .high_resolution = s->o.aggregation_ms < 60000};
    return d;
}

static int compare_entries(const void *a, const void *b)
{
    double x = tally_value(((const struct tally_entry *)a)->key), y = tally_value(((const struct tally_entry *)b)->key);
    return (x > y) - (x < y);
}

/* The window as a datum; it is empty afterwards. */
static void hand_on_window(struct statsd_state *s, struct metric *m)
{
    struct window *w = &m->window;
    if (!w->samples)
        return;
    struct datum *d = datum_new(s, m);
    size_t n = w->bins.n;
    double *values = ARENA_ARRAY(&s->arena, double, 2 * n);
    s->bytes -= tally_bytes(&w->bins);
    map_clear(&w->bins.map); /* which knows entries by their place */
    qsort(w->bins.v, n, sizeof(*w->bins.v), compare_entries);
    for (size_t i = 0; i < n; i++) {
        values[i] = tally_value(w->bins.v[i].key);
        values[n + i] = w->bins.v[i].weight;
    }
    d->values = values;
    d->counts = values + n;
    d->n_values = (uint32_t)n;
    d->has_statistics = true;
    d->sum = w->sum;
    d->min = w->min;
    d->max = w->max;
    d->sample_count = w->count;
    d->ts_ms = w->ts_ms;
    d->samples = w->samples;
    tally_clear(&w->bins);
    s->bytes += tally_bytes(&w->bins);
    w->samples = 0;
}

/* ---- windows ---- */

double statsd_centre(double v)
{
    if (v == 0)
        return 0;
    double step = log(1.1), n = floor(log(fabs(v)) / step), centre = exp((n + 0.5) * step);
    return copysign(centre < VALUE_MAX ? centre : VALUE_MAX, v);
}

/* Makes the window the one of a collection at this time; another that is still there has ended. */
static void open_window(struct statsd_state *s, struct metric *m, int64_t ts_ms)
{
    int64_t start = s->o.aggregation_ms ? ts_ms - ts_ms % s->o.aggregation_ms : ts_ms;
    struct window *w = &m->window;
    if (w->samples && w->start_ms != start)
        hand_on_window(s, m);
    if (w->samples)
        return;
    w->start_ms = start;
    w->ts_ms = ts_ms;
    w->sum = w->count = 0;
    w->min = INFINITY;
    w->max = -INFINITY;
}

static void window_add(struct statsd_state *s, struct window *w, double v, double count, uint32_t samples)
{
    size_t before = tally_bytes(&w->bins);
    double out = s->o.exact_values ? v : statsd_centre(v);
    tally_add(&w->bins, tally_key(out == 0 ? 0 : out), count, samples); /* -0 is 0 */
    s->bytes += tally_bytes(&w->bins) - before;
    w->sum += v * count;
    w->count += count;
    w->min = fmin(w->min, v);
    w->max = fmax(w->max, v);
    w->samples += samples;
}

/* ---- collection ---- */

static void clear_pending(struct statsd_state *s, struct metric *m)
{
    s->bytes -= tally_bytes(&m->pending);
    tally_clear(&m->pending);
    s->bytes += tally_bytes(&m->pending);
    m->samples = 0;
}

/* The distinct values of a distribution into its window. */
static void fold_pending(struct statsd_state *s, struct metric *m, int64_t ts_ms)
{
    open_window(s, m, ts_ms);
    for (size_t i = 0; i < m->pending.n; i++) {
        const struct tally_entry *e = &m->pending.v[i];
        double count = trunc(e->weight);
        if (count >= 1)
            window_add(s, &m->window, tally_value(e->key), count, e->n);
        else
            lose(s, STATSD_WEIGHTLESS, m->name, e->n);
    }
    clear_pending(s, m);
}

static double single_value(const struct metric *m)
{
    switch (m->type) {
    case STATSD_COUNTER:
        return (double)m->count;
    case STATSD_GAUGE:
        return m->gauge;
    default:
        return (double)m->pending.n;
    }
}

static void hand_on_value(struct statsd_state *s, const struct metric *m, double v, int64_t ts_ms)
{
    struct datum *d = datum_new(s, m);
    double *value = ARENA_NEW(&s->arena, double);
    *value = v;
    d->values = value;
    d->n_values = 1;
    d->ts_ms = ts_ms;
    d->samples = m->samples;
}

static void collect_single(struct statsd_state *s, struct metric *m, int64_t ts_ms)
{
    double v = single_value(m);
    if (!isfinite(v) || fabs(v) > VALUE_MAX) {
        lose(s, isfinite(v) ? STATSD_TOO_LARGE : STATSD_NOT_FINITE, m->name, m->samples);
    } else if (s->o.aggregation_ms) {
        open_window(s, m, ts_ms);
        window_add(s, &m->window, v, 1, m->samples);
    } else {
        hand_on_value(s, m, v, ts_ms);
    }
    clear_pending(s, m);
    m->count = 0;
    m->gauge = 0;
}

static bool is_distribution(enum statsd_type t)
{
    return t == STATSD_TIMING || t == STATSD_HISTOGRAM;
}

static void collect_metric(struct statsd_state *s, struct metric *m, int64_t now_ms)
{
    if (m->samples && is_distribution(m->type))
        fold_pending(s, m, now_ms);
    else if (m->samples)
        collect_single(s, m, now_ms);
    if (!s->o.aggregation_ms)
        hand_on_window(s, m);
}

void statsd_state_collect(struct statsd_state *s, int64_t now_ms)
{
    int64_t idle_ms = 2 * s->o.aggregation_ms > IDLE_LEAST_MS ? 2 * s->o.aggregation_ms : IDLE_LEAST_MS;
    for (size_t i = 0; i < s->n; i++)
        collect_metric(s, s->metrics[i], now_ms);
    hand_on(s); /* data borrow names */
    for (size_t i = s->n; i-- > 0;) {
        const struct metric *m = s->metrics[i];
        if (!m->samples && !m->window.samples && now_ms - m->last_ms > idle_ms)
            remove_at(s, i);
    }
}

void statsd_state_aggregate(struct statsd_state *s, int64_t now_ms)
{
    for (size_t i = 0; i < s->n; i++) {
        int64_t start_ms = s->metrics[i]->window.start_ms;
        if (start_ms + s->o.aggregation_ms <= now_ms || start_ms > now_ms) /* the clock was put back */
            hand_on_window(s, s->metrics[i]);
    }
    hand_on(s);
}

void statsd_state_flush(struct statsd_state *s, int64_t now_ms)
{
    statsd_state_collect(s, now_ms);
    for (size_t i = 0; i < s->n; i++)
        hand_on_window(s, s->metrics[i]);
    hand_on(s);
}

/* ---- values ---- */

static void add_to_distribution(struct statsd_state *s, struct metric *m, double v, double weight, int64_t now_ms)
{
    size_t before = tally_bytes(&m->pending);
    tally_add(&m->pending, tally_key(v == 0 ? 0 : v), weight, 1);
    s->bytes += tally_bytes(&m->pending) - before;
    m->samples++;
    if (m->pending.n >= PENDING_MAX)
        fold_pending(s, m, now_ms);
}

static void add_to_set(struct statsd_state *s, struct metric *m, struct str member)
{
    size_t before = tally_bytes(&m->pending);
    tally_add(&m->pending, hash_bytes(member), 1, 1);
    s->bytes += tally_bytes(&m->pending) - before;
    m->samples++;
}

static void add_to_counter(struct metric *m, int64_t by)
{
    if (__builtin_add_overflow(m->count, by, &m->count))
        m->count = by < 0 ? INT64_MIN : INT64_MAX;
    m->samples++;
}

bool statsd_state_add(struct statsd_state *s, const struct statsd_line *l, const struct statsd_value *v, int64_t now_ms)
{
    bool early;

    if (is_distribution(v->type) && !(fabs(v->number) <= VALUE_MAX)) {
        lose(s, isfinite(v->number) ? STATSD_TOO_LARGE : STATSD_NOT_FINITE, l->name, 1);
        return true;
    }
    struct metric *m = metric_get(s, l, v->type, now_ms, &early);
    m->last_ms = now_ms;
    switch (v->type) {
    case STATSD_COUNTER:
        add_to_counter(m, v->count);
        break;
    case STATSD_GAUGE:
        m->gauge = v->relative ? m->gauge + v->number : v->number;
        m->samples++;
        break;
    case STATSD_SET:
        add_to_set(s, m, v->text);
        break;
    default:
        add_to_distribution(s, m, v->number, v->weight, now_ms);
    }
    return !early;
}

/* statsd: the listener: datagrams in, data out, and two timers.
 *
 *   udp --datagram--> lines --format/statsd--> values --> state --collect, aggregate--> consumer
 *
 * A datagram is split at '\n', each line trimmed; a faulty line costs itself from the fault on. The agent keeps
 * datagrams in a queue of allowed_pending_messages; here each is read at once and nothing waits but its sums, so that
 * number bounds how many metrics are held (METRICS_A_MESSAGE for each), beside a bound on their memory.
 *
 * Collections follow each other by the monotonic clock from the start on, as the agent's do; windows of aggregation are
 * handed on at multiples of their interval by the wall clock. At the end what the socket holds is read, then everything
 * is collected and handed on: the agent loses both.
 *
 * What is dropped is counted by reason and said in the log at most once a LOG_EVERY_MS for each reason. All on the
 * loop's thread.
 */
#include "source/statsd/statsd.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/udp.h"
#include "source/statsd/state_int.h"

enum {
    METRICS_A_MESSAGE = 10,
    METRICS_LEAST = 10000,
    METRICS_MOST = 1000000,
    BYTES_MOST = 64 << 20,
    LOG_EVERY_MS = 10000,
    LOGGED_BYTES = 200, /* of a line */
};

/* Reasons: the faults of lines, then what the state loses, then what never reached us. */
enum { REASON_LOSS = STATSD_FAULTS, REASON_SOCKET = REASON_LOSS + STATSD_LOSSES, REASONS };

static const char *const reason_names[REASONS] = {
    [STATSD_FINE] = "rate", /* never counted: a rate that is ignored drops nothing, but is logged */
    [STATSD_NO_COLON] = "syntax",
    [STATSD_NO_PIPE] = "syntax",
    [STATSD_TYPE] = "type",
    [STATSD_SIGN] = "sign",
    [STATSD_VALUE] = "value",
    [STATSD_RANGE] = "range",
    [STATSD_TAGS] = "tags",
    [REASON_LOSS + STATSD_NOT_FINITE] = "not_finite",
    [REASON_LOSS + STATSD_TOO_LARGE] = "too_large",
    [REASON_LOSS + STATSD_WEIGHTLESS] = "rate",
    [REASON_SOCKET] = "socket",
};

struct statsd {
    struct loop *loop;
    struct log *log;
    struct counters *set;
    struct plan *plan;
    const struct plan_statsd *config;
    struct datum_consumer *consumer;
    struct udp *udp;
    struct statsd_state *state;
    struct statsd_line line;
    struct timer collect, aggregate;
    uint64_t collect_ns; /* when the next collection is due */
    uint32_t socket_drops;
    struct counter *lines, *values, *early, *dropped[REASONS];
    struct log_limit limits[REASONS], early_limit;
    uint64_t n_received, n_dropped;
    int64_t last_ms;
    char last_error[LOGGED_BYTES + 128];
};

/* ---- what goes wrong ---- */

static void dropped(struct statsd *s, int reason, const char *text, struct str what, uint32_t n)
{
    uint32_t suppressed;
    if (what.n > LOGGED_BYTES)
        what.n = LOGGED_BYTES;
    if (reason != STATSD_FINE) {
        s->n_dropped += n;
        counter_add(s->dropped[reason], n);
        snprintf(s->last_error, sizeof(s->last_error), "%s: %.*s", text, STR_ARGS(what));
    }
    if (log_allow(&s->limits[reason], LOG_EVERY_MS, &suppressed))
        log_warn(s->log, text, F_C("input", "statsd"), F_STR("metric", what), F_INT("dropped", reason ? n : 0),
                 F_INT("suppressed", suppressed));
}

static void lost(void *ctx, enum statsd_loss why, struct str name, uint32_t values)
{
    static const char *const texts[STATSD_LOSSES] = {
        [STATSD_NOT_FINITE] = "value cannot be NaN or Inf",
        [STATSD_TOO_LARGE] = "value cannot be greater than 2^360",
        [STATSD_WEIGHTLESS] = "a sample rate above 1 left less than one value",
    };
    dropped(ctx, REASON_LOSS + (int)why, texts[why], name, values);
}

static void count_socket_drops(struct statsd *s)
{
    uint32_t now = udp_dropped(s->udp), n = now - s->socket_drops;
    s->socket_drops = now;
    if (n)
        dropped(s, REASON_SOCKET, "the socket's buffer was full, the kernel dropped datagrams", s->config->address, n);
}

static void handed_on_early(struct statsd *s)
{
    uint32_t suppressed;
    counter_inc(s->early);
    if (log_allow(&s->early_limit, LOG_EVERY_MS, &suppressed))
        log_warn(s->log, "more metrics than allowed_pending_messages lets wait: they are handed on early",
                 F_C("input", "statsd"), F_INT("suppressed", suppressed));
}

/* ---- lines ---- */

static void read_line(struct statsd *s, struct str text)
{
    struct statsd_value v;
    enum err err = statsd_line_parse(&s->line, text);

    counter_inc(s->lines);
    while (!err && !(err = statsd_line_next(&s->line, &v))) {
        counter_inc(s->values);
        if (v.bad_rate)
            dropped(s, STATSD_FINE,
                    "Error: parsing sample rate, it must be in format like: @0.1, @0.5, etc. Ignoring sample rate",
                    text, 0);
        if (!statsd_state_add(s->state, &s->line, &v, s->last_ms))
            handed_on_early(s);
    }
    if (err == ERR_EOF)
        s->n_received++;
    else
        dropped(s, (int)s->line.fault, statsd_fault_text(s->line.fault), text, 1);
}

static void read_datagram(void *ctx, struct str datagram)
{
    struct statsd *s = ctx;
    bool more = true;

    s->last_ms = clock_wall_ms();
    while (more) {
        struct str text;
        more = str_cut(datagram, '\n', &text, &datagram);
        text = str_trim(text);
        if (text.n)
            read_line(s, text);
    }
}

/* ---- time ---- */

static void start_collecting(struct statsd *s);
static void start_aggregating(struct statsd *s);

static void on_collect(struct timer *t)
{
    struct statsd *s = CONTAINER_OF(t, struct statsd, collect);
    statsd_state_collect(s->state, clock_wall_ms());
    count_socket_drops(s);
    start_collecting(s);
}

static void on_aggregate(struct timer *t)
{
    struct statsd *s = CONTAINER_OF(t, struct statsd, aggregate);
    statsd_state_aggregate(s->state, clock_wall_ms());
    start_aggregating(s);
}

static void start_collecting(struct statsd *s)
{
    uint64_t period = (uint64_t)s->config->collection_ms * 1000000, now = clock_mono_ns();
    s->collect_ns += period;
    if (s->collect_ns <= now) /* the first, or a loop that was away */
        s->collect_ns = now + period;
    timer_start_at_ns(s->loop, &s->collect, s->collect_ns, on_collect);
}

static void start_aggregating(struct statsd *s)
{
    int64_t period = s->config->aggregation_ms;
    if (period)
        timer_start(s->loop, &s->aggregate, (uint64_t)(period - clock_wall_ms() % period), on_aggregate);
    else
        timer_stop(&s->aggregate);
}

/* ---- life ---- */

static struct statsd_state *state_for(struct statsd *s, const struct plan_statsd *config)
{
    uint64_t metrics = (uint64_t)config->pending * METRICS_A_MESSAGE;
    metrics = metrics < METRICS_LEAST ? METRICS_LEAST : metrics > METRICS_MOST ? METRICS_MOST : metrics;
    return statsd_state_new(&(struct statsd_state_options){
        .aggregation_ms = config->aggregation_ms,
        .separator = config->separator,
        .host = config->host,
        .exact_values = config->exact_values,
        .max_metrics = (uint32_t)metrics,
        .max_bytes = BYTES_MOST,
        .consumer = s->consumer,
        .lost = lost,
        .ctx = s,
    });
}

static void make_counters(struct statsd *s)
{
    s->lines =
        counter_new(s->set, COUNTER_TOTAL, "leadline_statsd_lines_total", "Lines of StatsD that came in.", NULL, 0);
    s->values = counter_new(s->set, COUNTER_TOTAL, "leadline_statsd_values_total",
                            "Values on lines of StatsD that could be read.", NULL, 0);
    s->early = counter_new(s->set, COUNTER_TOTAL, "leadline_statsd_early_collections_total",
                           "Collections ahead of time, because no more metrics could be held.", NULL, 0);
    for (int i = STATSD_FINE + 1; i < REASONS; i++) {
        struct counter_label reason = {STR("reason"), str_c(reason_names[i])};
        s->dropped[i] = counter_new(s->set, COUNTER_TOTAL, "leadline_statsd_dropped_total",
                                    "Lines, values and datagrams of StatsD that were dropped.", &reason, 1);
    }
}

static void release_counters(struct statsd *s)
{
    counter_release(s->set, s->lines);
    counter_release(s->set, s->values);
    counter_release(s->set, s->early);
    for (int i = STATSD_FINE + 1; i < REASONS; i++)
        counter_release(s->set, s->dropped[i]);
}

enum err statsd_new(const struct statsd_options *o, struct statsd **out, struct diag *d)
{
    struct statsd *s = NEW(struct statsd);
    enum err err = udp_open(o->loop, o->config->address, read_datagram, s, &s->udp, d);
    if (err) {
        free(s);
        return err;
    }
    s->loop = o->loop;
    s->log = o->log;
    s->set = o->counters;
    s->plan = plan_ref(o->plan);
    s->config = o->config;
    s->consumer = o->consumer;
    s->state = state_for(s, s->config);
    make_counters(s);
    start_collecting(s);
    start_aggregating(s);
    *out = s;
    return OK;
}

static bool same_state(const struct plan_statsd *a, const struct plan_statsd *b)
{
    return a->aggregation_ms == b->aggregation_ms && a->pending == b->pending && str_eq(a->separator, b->separator) &&
           str_eq(a->host, b->host) && a->exact_values == b->exact_values;
}

enum err statsd_update(struct statsd *s, struct plan *plan, const struct plan_statsd *config, struct diag *d)
{
    if (!str_eq(s->config->address, config->address)) {
        struct udp *udp;
        enum err err = udp_open(s->loop, config->address, read_datagram, s, &udp, d);
        if (err)
            return err;
        udp_drain(s->udp);
        count_socket_drops(s);
        udp_close(s->udp);
        s->udp = udp;
        s->socket_drops = 0;
    }
    if (!same_state(s->config, config)) {
        statsd_state_flush(s->state, clock_wall_ms());
        statsd_state_free(s->state);
        s->state = state_for(s, config);
    }
    bool other_collections = s->config->collection_ms != config->collection_ms;
    struct plan *old = s->plan;
    s->plan = plan_ref(plan);
    s->config = config;
    plan_unref(old);
    if (other_collections) {
        s->collect_ns = 0;
        start_collecting(s);
    }
    start_aggregating(s);
    return OK;
}

void statsd_flush(struct statsd *s)
{
    udp_drain(s->udp);
    count_socket_drops(s);
    statsd_state_flush(s->state, clock_wall_ms());
}

void statsd_free(struct statsd *s)
{
    if (!s)
        return;
    statsd_flush(s);
    udp_close(s->udp);
    timer_stop(&s->collect);
    timer_stop(&s->aggregate);
    statsd_state_free(s->state);
    statsd_line_release(&s->line);
    release_counters(s);
    plan_unref(s->plan);
    free(s);
}

void statsd_status(const struct statsd *s, struct push_status *out)
{
    *out = (struct push_status){
        .name = STR("statsd"),
        .address = s->config->address,
        .received = s->n_received,
        .dropped = s->n_dropped,
        .last_error = str_c(s->last_error),
        .last_ms = s->last_ms,
    };
}

/* refresh: see the header.
 *
 *   start --0 ms--> begin ... done | partly | failed --> timer: the next multiple of the interval since it began
 *                     ^                                    |
 *                     +------------------------------------+
 *
 * A refresh that takes longer than its interval is followed by the next one at once, as a ticker of the original would
 * have it. A lasting failure is logged again after ten minutes, after one when its words have changed (some hold an id
 * of the request): with an interval of a second the log would hold nothing else.
 *
 * A reload makes discoverers anew, which know nothing of before; the pool keeps the groups of before until the first
 * report. If that lacked what just then could not be asked, targets would go for one failed call: so a partial result
 * waits for two more refreshes, and is reported then, since what fails for good must not hold up the rest for good.
 *
 * The original counts durations in a summary and a histogram; quantiles of the summary are left out.
 */
#include "discover/refresh.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"

enum { LOG_OTHER_MS = 60 * 1000, LOG_AGAIN_MS = 10 * 60 * 1000, PATIENCE_AFTER_RELOAD = 2 };

struct counter *refresh_counter(struct refresh *r, enum counter_kind kind, const char *name, const char *help)
{
    const struct counter_label labels[] = {{STR("mechanism"), str_c(r->mechanism)}, {STR("config"), r->env.config}};

    CHECK(r->n_own < REFRESH_COUNTERS);
    return r->own[r->n_own++] = counter_new(r->env.counters, kind, name, help, labels, 2);
}

static void open_counters(struct refresh *r)
{
    static const double bounds[] = {.01, .1, 1, 10};
    const struct counter_label mechanism = {STR("mechanism"), str_c(r->mechanism)};

    r->failures = refresh_counter(r, COUNTER_TOTAL, "prometheus_sd_refresh_failures_total",
                                  "Number of refresh failures for the given SD mechanism.");
    r->duration_sum = refresh_counter(r, COUNTER_NS_TOTAL, "prometheus_sd_refresh_duration_seconds_sum",
                                      "Seconds spent refreshing for the given SD mechanism.");
    r->duration_count = refresh_counter(r, COUNTER_TOTAL, "prometheus_sd_refresh_duration_seconds_count",
                                        "Number of refreshes for the given SD mechanism.");
    if (r->env.counters)
        r->duration = counter_histogram_new(r->env.counters, "prometheus_sd_refresh_duration_histogram_seconds",
                                            "The duration of a refresh for the given SD mechanism.", bounds,
                                            COUNT_OF(bounds), &mechanism, 1);
}

static void on_timer(struct timer *t)
{
    struct refresh *r = CONTAINER_OF(t, struct refresh, timer);

    CHECK(!r->busy);
    r->busy = true;
    r->began_ms = loop_now_ms(r->env.loop);
    r->began_ns = clock_mono_ns();
    r->begin(r);
}

static void status(const struct discoverer *self, struct discover_status *out)
{
    const struct refresh *r = CONTAINER_OF(self, struct refresh, base);

    *out = r->status;
    out->mechanism = r->mechanism;
    out->about = buf_view(&r->about);
    out->last_error = str_c(r->error.text);
}

struct discoverer *refresh_start(struct refresh *r, const struct refresh_kind *kind, const struct discover_env *env,
                                 struct plan *plan, int64_t interval_ms, struct target_consumer *consumer)
{
    *r = (struct refresh){
        .base = {kind->stop, status},
        .env = *env,
        .plan = plan_ref(plan),
        .mechanism = kind->mechanism,
        .consumer = consumer,
        .begin = kind->begin,
    };
    r->config = str_to_c(env->config);
    r->env.config = str_c(r->config);
    r->interval_ms = interval_ms > 0 ? (uint64_t)interval_ms : 1;
    open_counters(r);
    timer_start(env->loop, &r->timer, 0, on_timer);
    return &r->base;
}

static void end(struct refresh *r)
{
    uint64_t took_ns = clock_mono_ns() - r->began_ns, due_ms = r->began_ms + r->interval_ms;

    CHECK(r->busy);
    r->busy = false;
    r->status.refreshes++;
    counter_add(r->duration_sum, took_ns);
    counter_inc(r->duration_count);
    if (r->duration)
        counter_histogram_observe(r->duration, (double)took_ns / 1e9);
    loop_update_time(r->env.loop);
    uint64_t now_ms = loop_now_ms(r->env.loop);
    timer_start(r->env.loop, &r->timer, due_ms > now_ms ? due_ms - now_ms : 0, on_timer);
}

static void log_failure(struct refresh *r)
{
    uint64_t hash = hash_bytes(str_c(r->error.text)), now_ms = clock_mono_ms();
    char text[800];

    if (r->logged && now_ms - r->logged_ms < (r->logged == hash ? LOG_AGAIN_MS : LOG_OTHER_MS)) {
        r->unlogged++;
        return;
    }
    diag_format(&r->error, text, sizeof(text));
    log_error(r->env.log, "Unable to refresh target groups", F_C("discovery", r->mechanism), F_C("config", r->config),
              F_C("err", text), F_INT("unlogged", r->unlogged),
              F_C("next", r->status.last_refresh_ms ? "the last good targets stay" : "there are no targets yet"));
    r->logged = hash;
    r->logged_ms = now_ms;
    r->unlogged = 0;
}

static void note_failure(struct refresh *r, const struct diag *d)
{
    r->error = *d;
    r->status.failures++;
    r->status.last_error_ms = clock_wall_ms();
    counter_inc(r->failures);
    log_failure(r);
}

static void report(struct refresh *r, struct target_groups *g)
{
    r->status.groups = g->n;
    r->status.targets = 0;
    for (uint32_t i = 0; i < g->n; i++)
        r->status.targets += g->groups[i].n_targets;
    r->consumer->update(r->consumer, g);
}

void refresh_done(struct refresh *r, struct target_groups *g)
{
    r->status.last_refresh_ms = clock_wall_ms();
    if (r->error.text[0]) {
        log_info(r->env.log, "target groups are refreshed again", F_C("discovery", r->mechanism),
                 F_C("config", r->config));
        r->logged = 0;
        diag_reset(&r->error);
    }
    end(r);
    report(r, g);
}

void refresh_partly(struct refresh *r, struct target_groups *g, const struct diag *d)
{
    bool wait = r->env.after_reload && !r->status.last_refresh_ms && r->status.failures < PATIENCE_AFTER_RELOAD;

    if (!d || !d->text[0]) {
        refresh_done(r, g);
        return;
    }
    note_failure(r, d);
    end(r);
    if (wait) {
        target_groups_free(g);
        return;
    }
    report(r, g);
}

void refresh_failed(struct refresh *r, const struct diag *d)
{
    note_failure(r, d);
    end(r);
}

void refresh_stop(struct refresh *r)
{
    timer_stop(&r->timer);
    if (r->duration)
        counter_histogram_release(r->env.counters, r->duration);
    for (uint32_t i = 0; i < r->n_own; i++)
        counter_release(r->env.counters, r->own[i]);
    plan_unref(r->plan);
    buf_release(&r->about);
    free(r->config);
}

/* ---- counts of the whole process ---- */

void discover_totals_init(struct discover_totals *t, struct counters *set)
{
    t->file_read_errors = counter_new(set, COUNTER_TOTAL, "prometheus_sd_file_read_errors_total",
                                      "The number of File-SD read errors.", NULL, 0);
    t->file_watch_errors = counter_new(set, COUNTER_TOTAL, "prometheus_sd_file_watcher_errors_total",
                                       "The number of File-SD errors caused by filesystem watch failures.", NULL, 0);
    t->http_failures = counter_new(set, COUNTER_TOTAL, "prometheus_sd_http_failures_total",
                                   "Number of HTTP service discovery refresh failures.", NULL, 0);
    t->dns_lookups =
        counter_new(set, COUNTER_TOTAL, "prometheus_sd_dns_lookups_total", "The number of DNS-SD lookups.", NULL, 0);
    t->dns_failures = counter_new(set, COUNTER_TOTAL, "prometheus_sd_dns_lookup_failures_total",
                                  "The number of DNS-SD lookup failures.", NULL, 0);
}

void discover_totals_release(struct discover_totals *t, struct counters *set)
{
    counter_release(set, t->file_read_errors);
    counter_release(set, t->file_watch_errors);
    counter_release(set, t->http_failures);
    counter_release(set, t->dns_lookups);
    counter_release(set, t->dns_failures);
}

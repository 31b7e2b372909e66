/* scraper: when targets are scraped, and what becomes of each scrape.
 *
 *   tick --> fetch_start ... done --> inflate -> predict -> report -> batch -> consumers
 *    |                        |
 *    |                        `- failed, refused, over a limit: markers and report instead
 *    `- still running: remembered, and taken up as soon as the scrape ends; a second one is skipped and counted
 *
 * Ticks lie on the wall clock, at a target's own offset inside its interval, so that they are the same after a restart:
 *
 *   wall:  ...|----o---------|----o---------|----o---------|     o = k * interval + offset
 *
 * A timer waits for the next one; when it fires, the next is computed from the clock anew. A clock that is set, forward
 * or back, thus moves the ticks once and no more. A scrape that starts within the tolerance of its tick is stamped with
 * the tick itself, which compresses far better in any store; one that starts later with the time at which it does. Time
 * of a target's batches only grows: what a clock that went back would stamp below the last batch is dropped and
 * counted, as a receiver would do with it, until the clock has caught up.
 *
 * A target is a slot with a timer, an idle connection and its page; request and buffer exist while a scrape runs.
 * Removed targets leave a ghost (ghost.c). A target whose configuration changes keeps its page; its connection too,
 * unless the HTTP options differ.
 *
 * Everything runs on the worker's thread. The done callback of one request runs from bytes to consumers without leaving
 * it, so all scratch memory is the worker's, once.
 */
#include "source/scrape/scraper.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "source/scrape/scraper_int.h"

#define NS_PER_MS  1000000
#define DELAY_MOST 10 /* intervals */

static void on_tick(struct timer *timer);
static void on_done(struct http_request *request, const struct http_response *response);

/* ---- slots ------------------------------------------------------------------------------------------------------- */

struct identity_key {
    const struct scraper *s;
    uint64_t identity;
};

static bool same_identity(const void *ctx, uint32_t index)
{
    const struct identity_key *key = ctx;

    return key->s->targets[index]->target->identity == key->identity;
}

static struct scraped *find(const struct scraper *s, uint64_t identity)
{
    struct identity_key key = {s, identity};
    uint32_t at = map_find(&s->by_identity, identity, same_identity, &key);

    return at == MAP_NONE ? NULL : s->targets[at];
}

struct scope_key {
    const struct scraper *s;
    const struct scope *scope;
    uint32_t pipeline;
};

static bool same_scope(const void *ctx, uint32_t index)
{
    const struct scope_key *key = ctx;

    const struct scraped *t = key->s->targets[index];
    return t->page.outer == key->scope && t->target->config->pipeline == key->pipeline;
}

bool scraper_has_scope(const struct scraper *s, const struct scope *scope, uint32_t pipeline)
{
    struct scope_key key = {s, scope, pipeline};

    return map_find(&s->by_scope, scope->hash, same_scope, &key) != MAP_NONE;
}

static void slot_take(struct scraper *s, struct scraped *t)
{
    if (s->n_free_slots > 0) {
        t->slot = s->free_slots[--s->n_free_slots];
    } else {
        s->targets = mem_grow(s->targets, &s->cap_targets, s->n_targets + 1, sizeof(struct scraped *));
        t->slot = (uint32_t)s->n_targets++;
    }
    s->targets[t->slot] = t;
    map_add(&s->by_identity, t->target->identity, t->slot);
    map_add(&s->by_scope, t->page.outer->hash, t->slot);
    counter_set(s->counters.targets, s->by_identity.n);
}

static void slot_give(struct scraped *t)
{
    struct scraper *s = t->s;

    map_remove(&s->by_identity, t->target->identity, t->slot);
    map_remove(&s->by_scope, t->page.outer->hash, t->slot);
    s->free_slots = mem_grow(s->free_slots, &s->cap_free_slots, s->n_free_slots + 1, sizeof(uint32_t));
    s->free_slots[s->n_free_slots++] = t->slot;
    s->targets[t->slot] = NULL;
    counter_set(s->counters.targets, s->by_identity.n);
}

/* ---- ticks ------------------------------------------------------------------------------------------------------- */

static void arm_after(struct scraped *t, int64_t wall_ns)
{
    int64_t interval = t->target->interval_ms * NS_PER_MS;
    int64_t offset = (int64_t)(t->target->offset_ns % (uint64_t)interval);
    int64_t into = (wall_ns - offset) % interval;
    int64_t now = clock_wall_ns();

    if (into < 0)
        into += interval;
    t->tick_ns = wall_ns - into + interval;
    int64_t wait = t->tick_ns > now ? t->tick_ns - now : 0;
    timer_start_at_ns(t->s->o.loop, &t->timer, clock_mono_ns() + (uint64_t)wait, on_tick);
}

/* A tick that is far ahead of the clock belongs to a time before the clock was set back. */
static void arm_next(struct scraped *t, int64_t now_ns)
{
    int64_t half = t->target->interval_ms * NS_PER_MS / 2;

    arm_after(t, now_ns < t->tick_ns && t->tick_ns - now_ns < half ? t->tick_ns : now_ns);
}

static int64_t stamp(const struct scraped *t, int64_t tick_ns, int64_t now_ns)
{
    const struct scraper_options *o = &t->s->o;
    int64_t tolerance = o->timestamp_tolerance_ms * NS_PER_MS;
    int64_t hundredth = t->target->interval_ms * NS_PER_MS / 100;
    int64_t off = now_ns > tick_ns ? now_ns - tick_ns : tick_ns - now_ns;

    if (tolerance > hundredth)
        tolerance = hundredth;
    return (o->adjust_timestamps && off <= tolerance ? tick_ns : now_ns) / NS_PER_MS;
}

static void print_go_duration(int64_t ms, struct buf *b)
{
    int64_t h = ms / 3600000;
    int64_t m = ms / 60000 % 60;

    if (ms < 1000) {
        buf_printf(b, "%lldms", (long long)ms);
        return;
    }
    if (h)
        buf_printf(b, "%lldh", (long long)h);
    if (h || m)
        buf_printf(b, "%lldm", (long long)m);
    buf_printf(b, "%lld", (long long)(ms / 1000 % 60));
    if (ms % 1000) {
        char digits[8];
        int n = snprintf(digits, sizeof(digits), "%03d", (int)(ms % 1000));
        while (n > 0 && digits[n - 1] == '0')
            digits[--n] = '\0';
        buf_printf(b, ".%s", digits);
    }
    buf_char(b, 's');
}

static struct counter_histogram *interval_histogram(struct scraper *s, int64_t interval_ms)
{
    static const double bounds[] = {0.01, 0.1, 1, 10};
    AUTO_BUF text = {0};

    for (size_t i = 0; i < s->n_intervals; i++) {
        if (s->intervals[i].interval_ms == interval_ms)
            return s->intervals[i].h;
    }
    print_go_duration(interval_ms, &text);
    struct counter_label label = {STR("interval"), buf_view(&text)};
    s->intervals = mem_grow(s->intervals, &s->cap_intervals, s->n_intervals + 1, sizeof(*s->intervals));
    s->intervals[s->n_intervals] = (struct interval_histogram){
        interval_ms,
        counter_histogram_new(s->o.counters, "prometheus_target_interval_length_histogram_seconds",
                              "Actual intervals between scrapes.", bounds, COUNT_OF(bounds), &label, 1),
    };
    return s->intervals[s->n_intervals++].h;
}

static void note_interval(struct scraped *t, uint64_t now_ns)
{
    if (t->last_start_ns && t->s->o.counters)
        counter_histogram_observe(interval_histogram(t->s, t->target->interval_ms),
                                  (double)(now_ns - t->last_start_ns) / 1e9);
    t->last_start_ns = now_ns;
}

/* ---- the end of a scrape ----------------------------------------------------------------------------------------- */

bool scraper_deliver(struct scraper *s, struct page *page, const struct scrape_target *target, int64_t ts_ms)
{
    struct batch b = predict_batch(&s->predictor, page, target->lane, ts_ms);

    struct intern_view view = intern_view(s->o.intern);
    b.metrics = &view;
    b.interval_ms = target->interval_ms;
    if (ts_ms <= page->last_ms) {
        counter_add(s->predictor.counters.out_of_order, b.n_samples);
        return false;
    }
    page->last_ms = ts_ms;
    for (uint32_t i = 0; b.n_samples > 0 && i < s->o.n_consumers; i++) {
        struct batch_consumer *c = s->o.consumers[i];
        if (!c->pipelines || c->pipelines >> target->config->pipeline & 1)
            c->append(c, &b, NULL, NULL);
    }
    return true;
}

static void set_error(struct scraped *t, const char *text)
{
    if (text && t->last_error && strcmp(text, t->last_error) == 0)
        return;
    free(t->last_error);
    t->last_error = text ? mem_strdup(text) : NULL;
}

static void set_status(struct scraped *t, const struct outcome *o, int64_t ts_ms, double duration_s)
{
    t->health = o->err == OK ? HEALTH_UP : HEALTH_DOWN;
    set_error(t, o->err == OK ? NULL : o->diag.text);
    t->last_scrape_ms = ts_ms;
    t->last_duration_s = duration_s;
    t->samples = o->result.scraped;
    t->series = o->result.relabelled;
    t->over_series_limit = o->result.limited;
    t->body_bytes = o->body_size > 0 ? (uint64_t)o->body_size : 0;
    counter_inc(t->s->counters.scrapes);
    if (o->err == OK)
        return;
    counter_inc(t->s->counters.failed);
    if (o->no_page)
        log_error(failure_logs_get(t->s->failure_logs, t->target->config->scrape_failure_log_file), o->diag.text,
                  F_STR("job_name", t->target->scrape_pool), F_STR("target", t->target->url));
    log_debug(t->s->o.log, "Scrape failed", F_STR("scrape_pool", t->target->scrape_pool),
              F_STR("target", t->target->url), F_C("err", o->diag.text));
}

/* With the page's samples or markers appended: report, hand on, remember. */
static void finish(struct scraped *t, const struct outcome *o, int64_t ts_ms, uint64_t start_ns)
{
    double duration_s = (double)(clock_mono_ns() - start_ns) / 1e9;

    report_append(t, o, duration_s);
    if (!scraper_deliver(t->s, &t->page, t->target, ts_ms))
        log_warn(t->s->o.log, "The clock went back: a scrape is not after the one before it and was dropped",
                 F_STR("target", t->target->url));
    if (t->target->config->extra_scrape_metrics)
        counter_histogram_observe(t->s->durations, (double)(clock_mono_ns() - start_ns) / 1e9);
    set_status(t, o, ts_ms, duration_s);
}

/* Failed before there was an answer. */
static void fail(struct scraped *t, struct str text, int64_t ts_ms)
{
    struct outcome o = {.err = ERR_NET, .no_page = !t->target->over_limit};

    diag_set(&o.diag, ERR_NET, "%.*s", STR_ARGS(text));
    predict_begin(&t->s->predictor);
    predict_failed(&t->s->predictor, &t->page, ts_ms);
    finish(t, &o, ts_ms, t->last_start_ns);
}

/* Only remote write 2.0 carries start timestamps, and events that tell first values look at them; each costs. */
static bool wants_starts(const struct plan *plan)
{
    for (uint32_t i = 0; i < plan->n_cloudwatch; i++) {
        if (plan->cloudwatch[i].emf && plan->cloudwatch[i].emf->first_values)
            return true;
    }
    for (uint32_t i = 0; i < plan->n_remote_writes; i++) {
        if (plan->remote_writes[i].message == REMOTE_WRITE_2)
            return true;
    }
    return false;
}

static void take_answer(struct scraped *t, const struct http_response *response, struct outcome *o)
{
    struct scraper *s = t->s;
    struct predict_input in = {
        .page = &t->page,
        .config = t->target->config,
        .url = t->target->url,
        .histograms = t->target->histograms,
        .starts = wants_starts(t->target->plan),
        .series_limit = t->target->series_limit,
        .ts_ms = t->flight->ts_ms,
        .now_ms = clock_wall_ms(),
    };

    predict_begin(&s->predictor);
    o->err = fetch_body(s, t->target, response, &in.body, &o->body_size, &o->diag);
    o->no_page = o->err != OK;
    if (o->err == OK && in.body.n > 0)
        o->err = fetch_kind(s, t->target, response->content_type, &in.kind, &o->diag);
    if (o->err == OK)
        o->err = predict_page(&s->predictor, &in, &o->result, &o->diag);
    if (o->err != OK)
        predict_failed(&s->predictor, &t->page, in.ts_ms);
}

/* ---- peers ------------------------------------------------------------------------------------------------------- */

static void make_peer(struct scraped *t)
{
    struct diag why = {0};

    t->renew_peer = false;
    if (http_peer_new(t->s->o.http, t->target->url, &t->target->config->http, &t->peer, &why) == OK) {
        t->peer_owner = scrape_target_ref(t->target);
        return;
    }
    t->peer = NULL;
    struct diag told = {0};
    diag_set(&told, ERR_NET, "Get \"%.*s\": %s", STR_ARGS(t->target->url), why.text);
    t->peer_error = mem_strdup(told.text);
}

static void drop_peer(struct scraped *t)
{
    if (t->peer)
        http_peer_free(t->peer);
    scrape_target_unref(t->peer_owner);
    free(t->peer_error);
    t->peer = NULL;
    t->peer_owner = NULL;
    t->peer_error = NULL;
}

/* ---- scrapes ----------------------------------------------------------------------------------------------------- */

static void scrape(struct scraped *t, int64_t tick_ns)
{
    int64_t ts_ms = stamp(t, tick_ns, clock_wall_ns());

    note_interval(t, clock_mono_ns());
    if (t->target->over_limit)
        fail(t, t->target->forced_error, ts_ms);
    else if (!t->peer)
        fail(t, str_c(t->peer_error), ts_ms);
    else
        fetch_start(t, ts_ms, on_done);
}

static void on_done(struct http_request *request, const struct http_response *response)
{
    struct flight *f = CONTAINER_OF(request, struct flight, request);
    struct scraped *t = f->t;
    struct outcome o = {0};

    if (response->err == ERR_CANCELED) {
        fetch_end(t);
        return;
    }
    take_answer(t, response, &o);
    finish(t, &o, f->ts_ms, f->start_ns); /* before the body goes: exemplars point into it */
    fetch_end(t);

    if (t->renew_peer) {
        drop_peer(t);
        make_peer(t);
    }
    int64_t late_ns = t->late_ns;
    t->late_ns = 0;
    if (late_ns && !t->s->stopped)
        scrape(t, late_ns);
}

/* Little memory is left, and this target was asked not long ago. */
static bool is_put_off(const struct scraped *t)
{
    uint64_t interval_ns = (uint64_t)t->target->interval_ms * NS_PER_MS;

    return t->s->pressure >= 2 && t->last_start_ns && clock_mono_ns() - t->last_start_ns < DELAY_MOST * interval_ns;
}

static void on_tick(struct timer *timer)
{
    struct scraped *t = CONTAINER_OF(timer, struct scraped, timer);
    int64_t tick_ns = t->tick_ns;

    arm_next(t, clock_wall_ns());
    if (is_put_off(t)) {
        counter_inc(t->s->counters.delayed);
        return;
    }
    if (!t->flight) {
        scrape(t, tick_ns);
        return;
    }
    if (t->late_ns)
        counter_inc(t->s->counters.skipped);
    t->late_ns = tick_ns;
}

/* ---- targets ----------------------------------------------------------------------------------------------------- */

static bool same_histogram_options(const struct plan_scrape *a, const struct plan_scrape *b)
{
    return a->scrape_native_histograms == b->scrape_native_histograms &&
           a->always_scrape_classic_histograms == b->always_scrape_classic_histograms &&
           a->convert_classic_histograms_to_nhcb == b->convert_classic_histograms_to_nhcb &&
           a->native_histogram_bucket_limit == b->native_histogram_bucket_limit &&
           a->native_histogram_min_bucket_factor == b->native_histogram_min_bucket_factor;
}

/* What the original's reusableCache compares: all but interval, timeout, sample_limit and the HTTP options. The parts
 * that only choose targets or bytes do not matter here. */
static bool same_cache(const struct plan_scrape *a, const struct plan_scrape *b)
{
    return a->shape_hash == b->shape_hash && a->honor_labels == b->honor_labels &&
           a->honor_timestamps == b->honor_timestamps &&
           a->track_timestamps_staleness == b->track_timestamps_staleness && a->label_limit == b->label_limit &&
           a->label_name_length_limit == b->label_name_length_limit &&
           a->label_value_length_limit == b->label_value_length_limit && a->body_size_limit == b->body_size_limit &&
           a->target_limit == b->target_limit && a->fallback_protocol == b->fallback_protocol &&
           a->extra_scrape_metrics == b->extra_scrape_metrics && same_histogram_options(a, b) &&
           a->n_protocols == b->n_protocols &&
           memcmp(a->protocols, b->protocols, sizeof(a->protocols[0]) * a->n_protocols) == 0;
}

void scraper_add(struct scraper *s, struct scrape_target *target)
{
    if (find(s, target->identity)) {
        scraper_update(s, target);
        return;
    }
    struct scraped *t = NEW(struct scraped);
    struct scope *scope = scope_get(s->o.scopes, target->labels);
    t->s = s;
    t->target = target;
    page_init(&s->predictor, &t->page, target->config, scope);
    struct ghost *g = ghost_find(s, scope, target->config->pipeline);
    if (g) {
        page_adopt(&s->predictor, &t->page, &g->page);
        ghost_free(g);
    }
    scope_unref(s->o.scopes, scope);
    slot_take(s, t);
    make_peer(t);
    if (!s->stopped)
        arm_after(t, clock_wall_ns());
}

void scraper_update(struct scraper *s, struct scrape_target *target)
{
    struct scraped *t = find(s, target->identity);

    if (!t) {
        scraper_add(s, target);
        return;
    }
    struct scrape_target *old = t->target;
    bool other_ticks = old->interval_ms != target->interval_ms || old->offset_ns != target->offset_ns;
    t->target = target;
    if (old->config != target->config)
        page_shape(&s->predictor, &t->page, target->config, !same_cache(old->config, target->config));
    scrape_target_unref(old);
    if (other_ticks && !s->stopped)
        arm_after(t, clock_wall_ns());
    if (t->peer && http_options_eq(&t->peer_owner->config->http, &target->config->http))
        return;
    if (t->flight) {
        t->renew_peer = true;
        return;
    }
    drop_peer(t);
    make_peer(t);
}

static void release_target(struct scraped *t)
{
    timer_stop(&t->timer);
    drop_peer(t);
    fetch_end(t);
    if (t->page.outer)
        page_release(&t->s->predictor, &t->page);
    scrape_target_unref(t->target);
    free(t->last_error);
    free(t);
}

void scraper_remove(struct scraper *s, uint64_t identity)
{
    struct scraped *t = find(s, identity);

    if (!t)
        return;
    slot_give(t);
    if (t->page.last_ms != INT64_MIN && !s->stopped)
        ghost_add(t);
    release_target(t);
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

static void make_counters(struct scraper *s)
{
    struct counters *set = s->o.counters;
    struct scraper_counters *c = &s->counters;

    c->scrapes =
        counter_new(set, COUNTER_TOTAL, "leadline_scrape_scrapes_total", "Scrapes that came to an end.", NULL, 0);
    c->failed = counter_new(set, COUNTER_TOTAL, "leadline_scrape_scrapes_failed_total",
                            "Scrapes that failed: no answer, not an exposition, or over a limit.", NULL, 0);
    c->skipped = counter_new(set, COUNTER_TOTAL, "leadline_scrape_ticks_skipped_total",
                             "Scrapes that did not start since the one before it was still running.", NULL, 0);
    struct counter_label memory = {STR("reason"), STR("memory")};
    c->delayed = counter_new(set, COUNTER_TOTAL, "leadline_scrapes_delayed_total",
                             "Scrapes that were put off to a later tick.", &memory, 1);
    c->received = counter_new(set, COUNTER_TOTAL, "leadline_scrape_body_bytes_total",
                              "Bytes of bodies received from targets, as sent.", NULL, 0);
    c->inflated = counter_new(set, COUNTER_TOTAL, "leadline_scrape_inflated_bytes_total",
                              "Bytes of bodies received from targets, inflated.", NULL, 0);
    c->over_body_size = counter_new(set, COUNTER_TOTAL, "prometheus_target_scrapes_exceeded_body_size_limit_total",
                                    "Total number of scrapes that hit the body size limit", NULL, 0);
    s->durations = counter_histogram_new(set, "prometheus_target_scrape_duration_seconds",
                                         "Total duration of the scrape from start to commit completion in seconds.",
                                         NULL, 0, NULL, 0);
    c->targets = counter_new(set, COUNTER_GAUGE, "leadline_scrape_targets", "Targets being scraped.", NULL, 0);
}

static void release_counters(struct scraper *s)
{
    struct scraper_counters *c = &s->counters;
    struct counter *const cells[] = {c->scrapes,  c->failed,   c->skipped,        c->delayed,
                                     c->received, c->inflated, c->over_body_size, c->targets};

    for (size_t i = 0; i < COUNT_OF(cells); i++)
        counter_release(s->o.counters, cells[i]);
    counter_histogram_release(s->o.counters, s->durations);
    for (size_t i = 0; i < s->n_intervals; i++)
        counter_histogram_release(s->o.counters, s->intervals[i].h);
    free(s->intervals);
}

struct scraper *scraper_new(const struct scraper_options *o)
{
    struct scraper *s = NEW(struct scraper);

    s->o = *o;
    make_counters(s);
    predictor_init(&s->predictor, o->intern, o->scopes, o->log, o->counters);
    report_init(s);
    return s;
}

void scraper_stop(struct scraper *s)
{
    s->stopped = true;
    for (size_t i = 0; i < s->n_targets; i++) {
        struct scraped *t = s->targets[i];
        if (!t)
            continue;
        timer_stop(&t->timer);
        drop_peer(t);
        fetch_end(t);
    }
    while (s->n_ghosts > 0)
        ghost_free(s->ghosts[s->n_ghosts - 1]);
}

void scraper_free(struct scraper *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->n_targets; i++) {
        if (s->targets[i])
            release_target(s->targets[i]);
    }
    free(s->targets);
    free(s->free_slots);
    map_release(&s->by_identity);
    map_release(&s->by_scope);
    ghosts_release(s);
    fetch_release(s);
    report_release(s);
    predictor_release(&s->predictor);
    release_counters(s);
    failure_logs_unref(s->failure_logs);
    free(s);
}

void scraper_consumers(struct scraper *s, struct batch_consumer **consumers, uint32_t n)
{
    s->o.consumers = consumers;
    s->o.n_consumers = n;
}

void scraper_failure_logs(struct scraper *s, struct failure_logs *logs)
{
    failure_logs_unref(s->failure_logs);
    s->failure_logs = logs;
}

void scraper_set_pressure(struct scraper *s, int level)
{
    s->pressure = level;
}

uint32_t scraper_status(struct scraper *s, struct arena *a, struct scrape_status **out)
{
    struct scrape_status *v = ARENA_ARRAY(a, struct scrape_status, s->by_identity.n + 1);
    uint32_t n = 0;

    for (size_t i = 0; i < s->n_targets; i++) {
        const struct scraped *t = s->targets[i];
        if (!t)
            continue;
        v[n++] = (struct scrape_status){
            .target = scrape_target_ref(t->target),
            .health = t->health,
            .last_error = str_dup(a, str_c(t->last_error)),
            .last_scrape_ms = t->last_scrape_ms,
            .last_duration_s = t->last_duration_s,
            .samples = t->samples,
            .series = t->series,
            .body_bytes = t->body_bytes,
            .series_limit = t->target->series_limit,
            .series_over_limit = t->over_series_limit,
        };
    }
    *out = v;
    return n;
}

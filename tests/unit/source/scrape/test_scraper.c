/* When targets are scraped, what an answer becomes, and what is left of a target. */
#include "unit/source/scrape/world.h"

#include "unit/source/scrape/pages.h"

#include "source/scrape/scraper.h"
#include "wire/compress.h"

#define INTERVAL_MS 10000
#define TEXT        "text/plain; version=0.0.4"

/* ---- a worker with one consumer that writes down ----------------------------------------------------------------- */

struct fixture {
    struct plan *plan;
    struct plan_scrape config;
    struct intern *intern;
    struct scope_table *scopes;
    struct counters *counters;
    struct scraper *scraper;
    struct batch_consumer consumer;
    struct batch_consumer *consumers[1];
    struct buf batches; /* "at <ms since start>: " and the samples of each */
    unsigned n_batches;
};

static struct fixture *fx;

static void record(struct batch_consumer *self, const struct batch *b, batch_done_fn *done, void *ctx)
{
    struct fixture *f = CONTAINER_OF(self, struct fixture, consumer);

    (void)ctx;
    assert_null(done);
    buf_printf(&f->batches, "at %lld:\n", (long long)(b->ts_ms - WORLD_START_MS));
    pages_print_batch(b, &f->batches);
    f->n_batches++;
}

static int setup(void **state)
{
    world_reset();
    fx = NEW(struct fixture);
    fx->plan = plan_new();
    fx->config = (struct plan_scrape){
        .job_name = STR("j"),
        .honor_timestamps = true,
        .enable_compression = true,
        .interval_ms = INTERVAL_MS,
        .timeout_ms = INTERVAL_MS,
        .protocols = {PROTOCOL_OPENMETRICS_1_0_0, PROTOCOL_OPENMETRICS_0_0_1, PROTOCOL_TEXT_1_0_0, PROTOCOL_TEXT_0_0_4},
        .n_protocols = 4,
        .fallback_protocol = PROTOCOL_NONE,
        .shape_hash = 1,
    };
    fx->intern = intern_new();
    fx->scopes = scope_table_new();
    fx->counters = counters_new();
    fx->consumer.append = record;
    fx->consumers[0] = &fx->consumer;
    fx->scraper = scraper_new(&(struct scraper_options){
        .intern = fx->intern,
        .scopes = fx->scopes,
        .counters = fx->counters,
        .consumers = fx->consumers,
        .n_consumers = 1,
        .adjust_timestamps = true,
        .timestamp_tolerance_ms = 2,
        .max_body = 1 << 20,
    });
    *state = fx;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    scraper_free(fx->scraper);
    assert_int_equal(world.n_timers, 0);
    assert_int_equal(world_peers(), 0);
    intern_sweep(fx->intern);
    assert_int_equal(intern_count(fx->intern), 0);
    assert_int_equal(scope_count(fx->scopes), 0);
    intern_free(fx->intern);
    scope_table_free(fx->scopes);
    counters_free(fx->counters);
    plan_unref(fx->plan);
    buf_release(&fx->batches);
    free(fx);
    return 0;
}

/* Ticks at every even interval (offset 0) unless changed before the target is handed on. */
static struct scrape_target *target_of(const struct plan_scrape *config, const char *instance)
{
    struct scrape_target *t = NEW(struct scrape_target);
    struct label labels[2] = {{STR("instance"), str_c(instance)}, {STR("job"), STR("j")}};

    atomic_store(&t->refs, 1);
    t->plan = plan_ref(fx->plan);
    t->config = config;
    t->labels = labels_copy((struct labels){labels, 2}, &t->arena);
    t->url = str_c(arena_printf(&t->arena, "http://%s/metrics", instance));
    t->scrape_pool = STR("j");
    t->interval_ms = config->interval_ms;
    t->timeout_ms = config->timeout_ms;
    t->identity = labels_hash(t->labels);
    return t;
}

static struct scrape_target *target(const char *instance)
{
    return target_of(&fx->config, instance);
}

static uint64_t identity(const char *instance)
{
    struct scrape_target *t = target(instance);
    uint64_t id = t->identity;

    scrape_target_unref(t);
    return id;
}

static void answer_with(const char *url, int status, const char *type, const char *encoding, struct str body)
{
    struct http_peer *p = world_peer(url);
    struct http_response response = {
        .status = status,
        .content_type = str_c(type),
        .content_encoding = str_c(encoding),
    };

    assert_non_null(p->request);
    buf_append(p->request->response_body, body.p, body.n);
    world_finish(p, &response);
}

static void answer(const char *body)
{
    answer_with("http://a/metrics", 200, TEXT, "", str_c(body));
}

static void answer_error(enum err err, const char *text)
{
    struct http_response response = {.err = err};

    diag_set(&response.diag, err, "%s", text);
    world_finish(world_peer("http://a/metrics"), &response);
}

/* What the consumer got since the last call. */
static const char *batches(void)
{
    static struct buf copy;

    buf_release(&copy);
    buf_take(&fx->batches, &copy);
    fx->n_batches = 0;
    return copy.p ? copy.p : "";
}

#define assert_batches(expected) assert_str_c(str_c(batches()), (expected))

#define LABELS "{instance=\"a\",job=\"j\"}"
#define REPORT(up, duration, scraped, relabelled, added)                                                               \
    "up" LABELS " " up "\nscrape_duration_seconds" LABELS " " duration "\nscrape_samples_scraped" LABELS " " scraped   \
    "\nscrape_samples_post_metric_relabeling" LABELS " " relabelled "\nscrape_series_added" LABELS " " added "\n"
#define STALE_REPORT REPORT("stale", "stale", "stale", "stale", "stale")

static struct scrape_status status_of(const char *instance)
{
    static struct arena a;
    struct scrape_status *v;
    struct scrape_status found = {0};

    arena_reset(&a);
    uint32_t n = scraper_status(fx->scraper, &a, &v);
    for (uint32_t i = 0; i < n; i++) {
        if (str_eq_c(labels_get(v[i].target->labels, STR("instance")), instance)) {
            found = v[i];
            found.last_error = str_c(arena_printf(&a, "%.*s", STR_ARGS(v[i].last_error)));
        }
        scrape_target_unref(v[i].target);
    }
    return found;
}

/* One good scrape of `a`, looked at and forgotten. */
static void scrape_once(const char *body)
{
    world_run(INTERVAL_MS);
    answer(body);
    batches();
}

/* ---- ticks ------------------------------------------------------------------------------------------------------- */

static void the_first_scrape_is_at_the_first_tick(void **state)
{
    (void)state;
    struct scrape_target *t = target("a");
    t->offset_ns = 3000000000;
    scraper_add(fx->scraper, t);
    world_run(2999);
    assert_null(world_peer("http://a/metrics")->request);
    world_run(1);
    assert_non_null(world_peer("http://a/metrics")->request);
    world_run(20);
    answer("m 1\n");
    assert_batches("at 3000:\nm" LABELS " 1\n" REPORT("1", "0.02", "1", "1", "1"));
    world_run(INTERVAL_MS - 20);
    answer("m 2\n");
    assert_batches("at 13000:\nm" LABELS " 2\n" REPORT("1", "0", "1", "1", "0"));
}

static void the_request_is_the_originals(void **state)
{
    (void)state;
    fx->config.timeout_ms = 1500;
    scraper_add(fx->scraper, target("a"));
    world_run(INTERVAL_MS);
    const struct http_peer *p = world_peer("http://a/metrics");
    assert_string_equal(p->request->method, "GET");
    assert_int_equal(p->request->timeout_ms, 1500);
    assert_str_c(world_header(p, "Accept"),
                 "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.7,"
                 "application/openmetrics-text;version=0.0.1;q=0.6,"
                 "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.3");
    assert_str_c(world_header(p, "Accept-Encoding"), "gzip");
    assert_str_c(world_header(p, "X-Prometheus-Scrape-Timeout-Seconds"), "1.5");
}

static void an_other_choice_of_protocols_is_asked_for(void **state)
{
    (void)state;
    fx->config.protocols[0] = PROTOCOL_TEXT_0_0_4;
    fx->config.n_protocols = 1;
    fx->config.enable_compression = false;
    fx->config.name_escaping = ESCAPE_UNDERSCORES;
    scraper_add(fx->scraper, target("a"));
    world_run(INTERVAL_MS);
    const struct http_peer *p = world_peer("http://a/metrics");
    assert_str_c(world_header(p, "Accept"), "text/plain;version=0.0.4;q=0.7,*/*;q=0.6");
    assert_str_c(world_header(p, "Accept-Encoding"), "identity");
    assert_str_c(world_header(p, "X-Prometheus-Scrape-Timeout-Seconds"), "10");
}

static void protobuf_is_asked_for_where_it_stands(void **state)
{
    (void)state;
    fx->config.protocols[0] = PROTOCOL_PROTO;
    fx->config.protocols[1] = PROTOCOL_TEXT_1_0_0;
    fx->config.n_protocols = 2;
    fx->config.name_escaping = ESCAPE_VALUES;
    scraper_add(fx->scraper, target("a"));
    world_run(INTERVAL_MS);
    assert_str_c(world_header(world_peer("http://a/metrics"), "Accept"),
                 "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7,"
                 "text/plain;version=1.0.0;escaping=values;q=0.6,*/*;q=0.5");
    /* MetricFamily { name: "m", type: GAUGE, metric { gauge { value: 2 } } } */
    answer_with("http://a/metrics", 200,
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited", "",
                str_from("\x12\x0a\x01m\x18\x01\x22\x0b\x12\x09\x09\0\0\0\0\0\0\0\x40", 19));
    assert_batches("at 10000:\nm" LABELS " 2\n" REPORT("1", "0", "1", "1", "1"));
}

/* Names are the exporter's business; a scraper with the legacy scheme only refuses those that are not. */
static void the_legacy_scheme_refuses_other_names(void **state)
{
    (void)state;
    fx->config.name_validation = NAMES_LEGACY;
    fx->config.name_escaping = ESCAPE_UNDERSCORES;
    scraper_add(fx->scraper, target("a"));
    world_run(INTERVAL_MS);
    assert_str_c(world_header(world_peer("http://a/metrics"), "Accept"),
                 "application/openmetrics-text;version=1.0.0;escaping=underscores;q=0.7,"
                 "application/openmetrics-text;version=0.0.1;q=0.6,"
                 "text/plain;version=1.0.0;escaping=underscores;q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.3");
    answer("{\"a.b\"} 1\n");
    assert_str_c(status_of("a").last_error,
                 "invalid metric name or label names: {__name__=\"a.b\", instance=\"a\", job=\"j\"}");
    scrape_once("a_b 1\n");
    assert_int_equal(status_of("a").health, HEALTH_UP);
}

static void timestamps_snap_to_the_tick_within_the_tolerance(void **state)
{
    (void)state;
    scraper_add(fx->scraper, target("a"));
    world_run_late(INTERVAL_MS, 1900);
    answer("m 1\n");
    assert_memory_equal(batches(), "at 10000:", 9);
    world_run_late(INTERVAL_MS, 2100);
    answer("m 1\n");
    assert_memory_equal(batches(), "at 20002:", 9);
}

static void a_tick_during_a_scrape_is_taken_up_when_it_ends(void **state)
{
    (void)state;
    scraper_add(fx->scraper, target("a"));
    world_run(INTERVAL_MS + 1);
    /* the time-out is as long as the interval: the next tick comes first */
    world_run(INTERVAL_MS);
    answer_error(ERR_TIMEOUT, "context deadline exceeded");
    assert_batches("at 10000:\n" REPORT("0", "10.001", "0", "0", "0"));
    assert_non_null(world_peer("http://a/metrics")->request);
    answer("m 1\n");
    assert_memory_equal(batches(), "at 20000:", 9);
    assert_true(counters_sum(fx->counters, "leadline_scrape_ticks_skipped_total", NULL, 0) == 0);
    world_run(3 * INTERVAL_MS);
    assert_true(counters_sum(fx->counters, "leadline_scrape_ticks_skipped_total", NULL, 0) == 1);
}

static void a_clock_that_goes_back_repeats_no_time(void **state)
{
    (void)state;
    scraper_add(fx->scraper, target("a"));
    scrape_once("m 1\n");
    world.wall_ns -= 3600 * 1000000000LL;
    world_run(INTERVAL_MS);
    answer("m 1\n");
    assert_batches("");
    assert_true(counters_sum(fx->counters, "prometheus_target_scrapes_sample_out_of_order_total", NULL, 0) > 0);
    assert_int_equal(status_of("a").health, HEALTH_UP);
    world_run(INTERVAL_MS);
    assert_int_equal(world_peer("http://a/metrics")->requests, 3);
    answer("m 1\n");
    world.wall_ns += 3600 * 1000000000LL;
    world_run(INTERVAL_MS);
    answer("m 1\n");
    assert_int_equal(fx->n_batches, 1);
}

/* ---- answers ----------------------------------------------------------------------------------------------------- */

static void a_failed_scrape_marks_the_series_and_says_why(void **state)
{
    (void)state;
    scraper_add(fx->scraper, target("a"));
    scrape_once("m 1\nn 2\n");
    world_run(INTERVAL_MS);
    answer_with("http://a/metrics", 404, TEXT, "", STR("m 1\n"));
    assert_batches("at 20000:\nm" LABELS " stale\nn" LABELS " stale\n" REPORT("0", "0", "0", "0", "0"));
    assert_int_equal(status_of("a").health, HEALTH_DOWN);
    assert_str_c(status_of("a").last_error, "server returned HTTP status 404 Not Found");
    world_run(INTERVAL_MS);
    answer_error(ERR_NET, "connect 10.0.0.1:80: connection refused");
    assert_batches("at 30000:\n" REPORT("0", "0", "0", "0", "0"));
    assert_str_c(status_of("a").last_error, "Get \"http://a/metrics\": connect 10.0.0.1:80: connection refused");
    world_run(INTERVAL_MS);
    answer("m 1\nn 2\n");
    assert_batches("at 40000:\nm" LABELS " 1\nn" LABELS " 2\n" REPORT("1", "0", "2", "2", "0"));
    assert_int_equal(status_of("a").last_error.n, 0);
}

static void a_page_that_does_not_parse_is_reported_as_far_as_it_came(void **state)
{
    (void)state;
    scraper_add(fx->scraper, target("a"));
    scrape_once("m 1\n");
    world_run(INTERVAL_MS);
    answer("m 1\nn x\n");
    assert_batches("at 20000:\nm" LABELS " stale\n" REPORT("0", "0", "1", "1", "0"));
    assert_true(str_starts(status_of("a").last_error, STR("strconv.ParseFloat")));
}

static void an_answer_needs_a_content_type_or_a_fallback(void **state)
{
    (void)state;
    scraper_add(fx->scraper, target("a"));
    world_run(INTERVAL_MS);
    answer_with("http://a/metrics", 200, "", "", STR("m 1\n"));
    assert_str_c(status_of("a").last_error, "non-compliant scrape target sending blank Content-Type and no "
                                            "fallback_scrape_protocol specified for target");
    world_run(INTERVAL_MS);
    answer_with("http://a/metrics", 200, "text/html", "", STR("m 1\n"));
    assert_str_c(status_of("a").last_error, "received unsupported Content-Type \"text/html\" and no "
                                            "fallback_scrape_protocol specified for target");
    /* nothing to parse, nothing to know */
    world_run(INTERVAL_MS);
    answer_with("http://a/metrics", 200, "", "", STR(""));
    assert_int_equal(status_of("a").health, HEALTH_UP);
    fx->config.fallback_protocol = PROTOCOL_TEXT_0_0_4;
    world_run(INTERVAL_MS);
    answer_with("http://a/metrics", 200, "", "", STR("m 1\n"));
    assert_int_equal(status_of("a").health, HEALTH_UP);
    /* a content type that is understood is believed */
    world_run(INTERVAL_MS);
    answer_with("http://a/metrics", 200, "application/openmetrics-text", "", STR("m 1\n"));
    assert_int_equal(status_of("a").health, HEALTH_DOWN);
}

static void gzip(struct buf *out, const char *text)
{
    struct compressor c = {0};

    assert_int_equal(compress_encode(&c, COMPRESS_GZIP, str_c(text), out), OK);
    compressor_release(&c);
}

static void every_member_of_a_gzip_body_counts(void **state)
{
    AUTO_BUF body = {0};
    (void)state;
    gzip(&body, "m 1\n");
    gzip(&body, "n 2\n");
    scraper_add(fx->scraper, target("a"));
    world_run(INTERVAL_MS);
    answer_with("http://a/metrics", 200, TEXT, "gzip", buf_view(&body));
    assert_batches("at 10000:\nm" LABELS " 1\nn" LABELS " 2\n" REPORT("1", "0", "2", "2", "2"));
    world_run(INTERVAL_MS);
    answer_with("http://a/metrics", 200, TEXT, "gzip", str_from(body.p, body.n - 4));
    assert_str_c(status_of("a").last_error, "gzip: the body is damaged or cut off");
    world_run(INTERVAL_MS);
    answer_with("http://a/metrics", 200, TEXT, "gzip", STR("m 1, m 1, m 1, m 1\n"));
    assert_str_c(status_of("a").last_error, "gzip: invalid header");
}

static void what_one_large_body_needed_is_given_back_between_bodies(void **state)
{
    AUTO_BUF large = {0}, small = {0}, text = {0};
    (void)state;
    while (text.n < 1000000)
        buf_str(&text, STR("# one line of many, which is long enough to fill a buffer soon\n"));
    gzip(&large, text.p);
    gzip(&small, "m 1\n");
    scraper_add(fx->scraper, target("a"));
    for (int i = 0; i < 600; i++) {
        world_run(INTERVAL_MS);
        answer_with("http://a/metrics", 200, TEXT, "gzip", buf_view(i == 0 ? &large : &small));
        assert_int_equal(status_of("a").health, HEALTH_UP);
        assert_int_equal(status_of("a").samples, i > 0);
    }
}

static void the_body_limit_counts_inflated_bytes(void **state)
{
    AUTO_BUF body = {0};
    (void)state;
    fx->config.body_size_limit = 9;
    fx->config.extra_scrape_metrics = true;
    gzip(&body, "m 1\nn 22\n");
    scraper_add(fx->scraper, target("a"));
    world_run(INTERVAL_MS);
    answer("m 1\nn 2\n");
    assert_int_equal(status_of("a").health, HEALTH_UP);
    batches();
    world_run(INTERVAL_MS);
    answer_with("http://a/metrics", 200, TEXT, "gzip", buf_view(&body));
    assert_str_c(status_of("a").last_error, "body size limit exceeded");
    assert_non_null(strstr(batches(), "scrape_body_size_bytes" LABELS " -1\n"));
    world_run(INTERVAL_MS);
    answer("m 1\nn 22\n");
    assert_str_c(status_of("a").last_error, "body size limit exceeded");
    assert_true(counters_sum(fx->counters, "prometheus_target_scrapes_exceeded_body_size_limit_total", NULL, 0) == 2);
}

static void extra_scrape_metrics_are_three_more(void **state)
{
    (void)state;
    fx->config.extra_scrape_metrics = true;
    fx->config.sample_limit = 100;
    scraper_add(fx->scraper, target("a"));
    world_run(INTERVAL_MS);
    answer("m 1\n");
    assert_batches("at 10000:\nm" LABELS " 1\n" REPORT("1", "0", "1", "1", "1") "scrape_timeout_seconds" LABELS
                                                                                " 10\nscrape_sample_limit" LABELS
                                                                                " 100\nscrape_body_size_bytes" LABELS
                                                                                " 4\n");
}

static void a_target_over_the_limit_fails_without_being_asked(void **state)
{
    (void)state;
    scraper_add(fx->scraper, target("a"));
    scrape_once("m 1\n");
    struct scrape_target *over = target("a");
    over->over_limit = true;
    over->forced_error = STR("target_limit exceeded (number of targets: 2, limit: 1)");
    scraper_update(fx->scraper, over);
    world_run(INTERVAL_MS);
    assert_null(world_peer("http://a/metrics")->request);
    assert_batches("at 20000:\nm" LABELS " stale\n" REPORT("0", "0", "0", "0", "0"));
    assert_str_c(status_of("a").last_error, "target_limit exceeded (number of targets: 2, limit: 1)");
}

static void a_url_that_cannot_be_asked_is_a_failed_scrape(void **state)
{
    (void)state;
    struct scrape_target *t = target("a");
    t->url = STR("//a/metrics");
    scraper_add(fx->scraper, t);
    world_run(INTERVAL_MS);
    assert_batches("at 10000:\n" REPORT("0", "0", "0", "0", "0"));
    assert_str_c(status_of("a").last_error, "Get \"//a/metrics\": unsupported protocol scheme \"\"");
}

/* ---- targets that go --------------------------------------------------------------------------------------------- */

static void the_markers_of_a_removed_target_come_two_intervals_later(void **state)
{
    (void)state;
    scraper_add(fx->scraper, target("a"));
    scrape_once("m 1\nt 1 1\n");
    world_run(4000);
    scraper_remove(fx->scraper, identity("a"));
    assert_int_equal(world_peers(), 0);
    world_run(16999); /* next tick at 20,000, the one after that at 30,000, and a tenth */
    assert_batches("");
    world_run(1);
    assert_batches("at 20000:\nm" LABELS " stale\n" STALE_REPORT);
    assert_int_equal(world.n_timers, 0);
}

static void a_target_that_comes_back_goes_on(void **state)
{
    (void)state;
    scraper_add(fx->scraper, target("a"));
    scrape_once("m 1\nn 2\n");
    scraper_remove(fx->scraper, identity("a"));
    scraper_add(fx->scraper, target("a"));
    unsigned parsed = (unsigned)counters_sum(fx->counters, "leadline_scrape_lines_parsed_total", NULL, 0);
    world_run(INTERVAL_MS);
    answer("m 1\n");
    assert_batches("at 20000:\nm" LABELS " 1\nn" LABELS " stale\n" REPORT("1", "0", "1", "1", "1"));
    assert_int_equal((int)counters_sum(fx->counters, "leadline_scrape_lines_parsed_total", NULL, 0), parsed);
    world_run(INTERVAL_MS);
    answer("m 1\n");
    batches();
    assert_int_equal(world.n_timers, 1);
}

static void no_markers_while_the_same_labels_live_under_another_url(void **state)
{
    (void)state;
    struct scrape_target *twin = target("a");
    twin->url = STR("http://b/metrics");
    twin->identity++;
    twin->offset_ns = 5000000000;
    scraper_add(fx->scraper, target("a"));
    scrape_once("m 1\n");
    scraper_add(fx->scraper, twin);
    scraper_remove(fx->scraper, identity("a"));
    world_run(3 * INTERVAL_MS);
    assert_batches("");
}

static void a_target_that_was_never_scraped_leaves_nothing(void **state)
{
    (void)state;
    scraper_add(fx->scraper, target("a"));
    world_run(5000);
    scraper_remove(fx->scraper, identity("a"));
    assert_int_equal(world.n_timers, 0);
}

static void after_a_failed_scrape_only_the_report_ends(void **state)
{
    (void)state;
    scraper_add(fx->scraper, target("a"));
    scrape_once("m 1\n");
    world_run(INTERVAL_MS);
    answer_error(ERR_NET, "no");
    batches();
    scraper_remove(fx->scraper, identity("a"));
    world_run(3 * INTERVAL_MS);
    assert_batches("at 30000:\n" STALE_REPORT);
}

static void a_target_removed_during_its_scrape_ends_at_that_tick(void **state)
{
    (void)state;
    scraper_add(fx->scraper, target("a"));
    scrape_once("m 1\n");
    world_run(INTERVAL_MS + 5);
    scraper_remove(fx->scraper, identity("a"));
    world_run(3 * INTERVAL_MS);
    assert_batches("at 20000:\nm" LABELS " stale\n" STALE_REPORT);
}

static void the_end_of_the_process_marks_nothing(void **state)
{
    (void)state;
    scraper_add(fx->scraper, target("a"));
    scraper_add(fx->scraper, target("b"));
    scrape_once("m 1\n");
    scraper_remove(fx->scraper, identity("a"));
    scraper_stop(fx->scraper);
    assert_int_equal(world.n_timers, 0);
    scraper_remove(fx->scraper, identity("b"));
    world_run(5 * INTERVAL_MS);
    assert_batches("");
}

/* ---- reloads ----------------------------------------------------------------------------------------------------- */

static void other_intervals_and_options_keep_the_array(void **state)
{
    struct plan_scrape changed = fx->config;
    (void)state;
    scraper_add(fx->scraper, target("a"));
    scrape_once("m 1\nn 2\n");
    unsigned peers = world.peers_made;
    changed.interval_ms = 5000;
    changed.sample_limit = 10;
    scraper_update(fx->scraper, target_of(&changed, "a"));
    assert_int_equal(world.peers_made, peers);
    world_run(5000);
    answer("m 1\nn 2\n");
    assert_batches("at 15000:\nm" LABELS " 1\nn" LABELS " 2\n" REPORT("1", "0", "2", "2", "0"));
    struct plan_scrape other_http = changed;
    other_http.http.basic_username = STR("me");
    scraper_update(fx->scraper, target_of(&other_http, "a"));
    assert_int_equal(world.peers_made, peers + 1);
    assert_int_equal(world_peers(), 1);
    world_run(5000);
    answer("m 1\nn 2\n");
    assert_batches("at 20000:\nm" LABELS " 1\nn" LABELS " 2\n" REPORT("1", "0", "2", "2", "0"));
    scraper_remove(fx->scraper, identity("a"));
    world_run(20000);
}

static void a_change_during_a_scrape_waits_for_its_end(void **state)
{
    struct plan_scrape other_http = fx->config;
    (void)state;
    scraper_add(fx->scraper, target("a"));
    world_run(INTERVAL_MS);
    other_http.http.basic_username = STR("me");
    scraper_update(fx->scraper, target_of(&other_http, "a"));
    assert_int_equal(world.peers_made, 1);
    answer("m 1\n");
    assert_int_equal(fx->n_batches, 1);
    assert_int_equal(world.peers_made, 2);
    assert_string_equal(world_peer("http://a/metrics")->options->basic_username.p, "me");
    scraper_remove(fx->scraper, identity("a"));
    world_run(3 * INTERVAL_MS);
}

static void other_rules_count_every_series_as_added(void **state)
{
    struct plan_scrape honor = fx->config;
    (void)state;
    honor.honor_labels = true;
    honor.shape_hash = 2;
    scraper_add(fx->scraper, target("a"));
    scrape_once("m{job=\"x\"} 1\nn 2\n");
    scraper_update(fx->scraper, target_of(&honor, "a"));
    world_run(INTERVAL_MS);
    answer("m{job=\"x\"} 1\nn 2\n");
    assert_batches("at 20000:\nm{instance=\"a\",job=\"x\"} 1\nn" LABELS
                   " 2\nm{exported_job=\"x\",instance=\"a\",job=\"j\"} stale\n" REPORT("1", "0", "2", "2", "2"));
    scraper_remove(fx->scraper, identity("a"));
    world_run(3 * INTERVAL_MS);
}

/* ---- what is shown ----------------------------------------------------------------------------------------------- */

static void families_are_those_exposed_now_each_once(void **state)
{
    struct arena a = {0};
    struct family *v;
    (void)state;
    scraper_add(fx->scraper, target("a"));
    scraper_add(fx->scraper, target("b"));
    world_run(INTERVAL_MS);
    answer("# HELP m M.\n# TYPE m counter\nm 1\n# TYPE n gauge\nn 1\n");
    answer_with("http://b/metrics", 200, TEXT, "", STR("# HELP m M.\n# TYPE m counter\nm 1\n"));
    assert_int_equal(scraper_families(fx->scraper, &a, &v), 2);
    assert_str_c(v[0].name, "m");
    assert_str_c(v[0].help, "M.");
    assert_int_equal(v[0].type, TYPE_COUNTER);
    assert_str_c(v[1].name, "n");
    assert_int_equal(v[1].type, TYPE_GAUGE);
    world_run(INTERVAL_MS);
    answer("m 1\n");
    answer_with("http://b/metrics", 200, TEXT, "", STR("# HELP m Other.\n# TYPE m counter\nm 1\n"));
    assert_int_equal(scraper_families(fx->scraper, &a, &v), 1);
    assert_str_c(v[0].help, "Other.");
    arena_release(&a);
}

static void status_tells_what_the_pages_show(void **state)
{
    (void)state;
    scraper_add(fx->scraper, target("a"));
    assert_int_equal(status_of("a").health, HEALTH_UNKNOWN);
    assert_int_equal(status_of("a").last_scrape_ms, 0);
    world_run(INTERVAL_MS + 250);
    answer("m 1\nn 2\n");
    struct scrape_status s = status_of("a");
    assert_int_equal(s.health, HEALTH_UP);
    assert_int_equal(s.last_scrape_ms, WORLD_START_MS + INTERVAL_MS);
    assert_true(s.last_duration_s == 0.25);
    assert_int_equal(s.samples, 2);
    assert_int_equal(s.series, 2);
    assert_int_equal(s.body_bytes, 8);
}

static void intervals_between_scrapes_are_observed(void **state)
{
    AUTO_BUF page = {0};
    (void)state;
    scraper_add(fx->scraper, target("a"));
    scrape_once("m 1\n");
    scrape_once("m 1\n");
    counters_print(fx->counters, &page);
    assert_non_null(strstr(page.p, "prometheus_target_interval_length_histogram_seconds_sum{interval=\"10s\"} 10\n"));
}

/* ---- little memory ----------------------------------------------------------------------------------------------- */

static double put_off(void)
{
    struct counter_label memory = {STR("reason"), STR("memory")};

    return counters_sum(fx->counters, "leadline_scrapes_delayed_total", &memory, 1);
}

static void scrapes_are_put_off_when_memory_is_short(void **state)
{
    (void)state;
    scraper_add(fx->scraper, target("a"));
    scrape_once("m 1\n");
    scraper_set_pressure(fx->scraper, 2);
    world_run(9 * INTERVAL_MS);
    assert_null(world_peer("http://a/metrics")->request);
    assert_true(put_off() == 9);
    assert_batches("");
    world_run(INTERVAL_MS);
    answer("m 2\n");
    assert_batches("at 110000:\nm" LABELS " 2\n" REPORT("1", "0", "1", "1", "0"));
    scraper_set_pressure(fx->scraper, 1);
    world_run(INTERVAL_MS);
    answer("m 3\n");
    assert_batches("at 120000:\nm" LABELS " 3\n" REPORT("1", "0", "1", "1", "0"));
    assert_true(put_off() == 9);
}

static void a_target_says_what_its_series_limit_left_out(void **state)
{
    (void)state;
    struct scrape_target *t = target("a");
    t->series_limit = 1;
    scraper_add(fx->scraper, t);
    world_run(INTERVAL_MS);
    answer("m 1\nn 2\n");
    assert_batches("at 10000:\nm" LABELS " 1\n" REPORT("1", "0", "2", "2", "1"));
    assert_int_equal(status_of("a").series_limit, 1);
    assert_int_equal(status_of("a").series_over_limit, 1);
}

static void a_batch_goes_to_the_consumers_of_its_pipeline(void **state)
{
    struct plan_scrape other = fx->config;

    (void)state;
    other.pipeline = 1;
    scraper_add(fx->scraper, target_of(&other, "a"));
    fx->consumer.pipelines = 1u << 0;
    scrape_once("m 1\n");
    assert_int_equal(status_of("a").samples, 1);
    world_run(INTERVAL_MS);
    answer("m 2\n");
    assert_batches("");
    fx->consumer.pipelines = 1u << 0 | 1u << 1;
    world_run(INTERVAL_MS);
    answer("m 3\n");
    assert_batches("at 30000:\nm" LABELS " 3\n" REPORT("1", "0", "1", "1", "0"));
}

/* What another pipeline scrapes under the same labels ends or goes on by itself. */
static void the_same_labels_in_another_pipeline_are_others(void **state)
{
    struct plan_scrape other = fx->config;

    (void)state;
    other.pipeline = 1;
    scraper_add(fx->scraper, target("a"));
    scrape_once("m 1\n");
    struct scrape_target *twin = target_of(&other, "a");
    twin->identity++;
    twin->offset_ns = 3000000000;
    scraper_add(fx->scraper, twin);
    scraper_remove(fx->scraper, identity("a"));
    world_run(3000);
    answer("m 5\n");
    assert_batches("at 13000:\nm" LABELS " 5\n" REPORT("1", "0", "1", "1", "1"));
    fx->consumer.pipelines = 1u << 0;
    world_run(2 * INTERVAL_MS);
    assert_batches("at 20000:\nm" LABELS " stale\n" STALE_REPORT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_first_scrape_is_at_the_first_tick),
        TEST(the_request_is_the_originals),
        TEST(an_other_choice_of_protocols_is_asked_for),
        TEST(protobuf_is_asked_for_where_it_stands),
        TEST(the_legacy_scheme_refuses_other_names),
        TEST(timestamps_snap_to_the_tick_within_the_tolerance),
        TEST(a_tick_during_a_scrape_is_taken_up_when_it_ends),
        TEST(a_clock_that_goes_back_repeats_no_time),
        TEST(a_failed_scrape_marks_the_series_and_says_why),
        TEST(a_page_that_does_not_parse_is_reported_as_far_as_it_came),
        TEST(an_answer_needs_a_content_type_or_a_fallback),
        TEST(every_member_of_a_gzip_body_counts),
        TEST(what_one_large_body_needed_is_given_back_between_bodies),
        TEST(the_body_limit_counts_inflated_bytes),
        TEST(extra_scrape_metrics_are_three_more),
        TEST(a_target_over_the_limit_fails_without_being_asked),
        TEST(a_url_that_cannot_be_asked_is_a_failed_scrape),
        TEST(the_markers_of_a_removed_target_come_two_intervals_later),
        TEST(a_target_that_comes_back_goes_on),
        TEST(no_markers_while_the_same_labels_live_under_another_url),
        TEST(a_target_that_was_never_scraped_leaves_nothing),
        TEST(after_a_failed_scrape_only_the_report_ends),
        TEST(a_target_removed_during_its_scrape_ends_at_that_tick),
        TEST(the_end_of_the_process_marks_nothing),
        TEST(other_intervals_and_options_keep_the_array),
        TEST(a_change_during_a_scrape_waits_for_its_end),
        TEST(other_rules_count_every_series_as_added),
        TEST(families_are_those_exposed_now_each_once),
        TEST(status_tells_what_the_pages_show),
        TEST(intervals_between_scrapes_are_observed),
        TEST(scrapes_are_put_off_when_memory_is_short),
        TEST(a_target_says_what_its_series_limit_left_out),
        TEST(a_batch_goes_to_the_consumers_of_its_pipeline),
        TEST(the_same_labels_in_another_pipeline_are_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The plan's life and its picture. */
#include "unit.h"

#include "plan/plan.h"

static int released[3], n_released;

static void note(void *p)
{
    released[n_released++] = *(int *)p;
}

static void the_last_reference_releases_latest_first(void **state)
{
    (void)state;
    static int one = 1, two = 2;
    struct plan *p = plan_new();
    plan_on_release(p, note, &one);
    plan_on_release(p, note, &two);
    assert_ptr_equal(plan_ref(p), p);
    plan_unref(p);
    assert_int_equal(n_released, 0);
    plan_unref(p);
    assert_int_equal(n_released, 2);
    assert_int_equal(released[0], 2);
    assert_int_equal(released[1], 1);
    plan_unref(NULL);
}

static void the_picture_names_everything_but_secrets(void **state)
{
    (void)state;
    struct plan *p = plan_new();
    static const struct label external[] = {{STR("region"), STR("a\"b")}};
    static const struct label address[] = {{STR("__address__"), STR("h:1")}};
    static const struct labels targets[] = {{address, 1}};
    struct target_group group = {.source = STR("0"), .targets = targets, .n_targets = 1};
    struct str file = STR("t/*.json");
    struct plan_file_sd file_sd = {.files = &file, .n_files = 1, .refresh_ms = 90000};
    struct str source = STR("job");
    struct relabel_rule rule = {.action = RELABEL_HASHMOD,
                                .source_labels = &source,
                                .n_source_labels = 1,
                                .modulus = 4,
                                .target_label = STR("shard")};
    struct relabel_rules rules = {&rule, 1};
    struct plan_scrape scrape = {
        .job_name = STR("node"),
        .file = STR("p.yml"),
        .line = 3,
        .interval_ms = 15000,
        .timeout_ms = 500,
        .scheme = STR("http"),
        .metrics_path = STR("/m"),
        .protocols = {PROTOCOL_TEXT_0_0_4},
        .n_protocols = 1,
        .fallback_protocol = PROTOCOL_NONE,
        .honor_timestamps = true,
        .sample_limit = 9,
        .relabel = &rules,
        .discovery = {.static_groups = &group, .n_static = 1, .file_sd = &file_sd, .n_file_sd = 1}};
    struct plan_remote_write write = {
        .name = STR("main"),
        .url = STR("https://me:sesame@h/w?x"),
        .remote_timeout_ms = 30000,
        .queue = {.max_samples_per_send = 2000,
                  .batch_send_deadline_ms = 5000,
                  .min_backoff_ms = 30,
                  .max_backoff_ms = 5000,
                  .retry_on_http_429 = true},
        .http = {.authorization_type = STR("Bearer"), .authorization_credentials = STR("sesame")}};
    struct str warning = STR("p.yml:1: careful");
    p->external_labels = (struct labels){external, 1};
    p->scrapes = &scrape;
    p->n_scrapes = 1;
    p->remote_writes = &write;
    p->n_remote_writes = 1;
    p->warnings = &warning;
    p->n_warnings = 1;

    AUTO_BUF b = {0};
    plan_print(p, &b);
    assert_str_c(buf_view(&b), "external labels {region=\"a\\\"b\"}\n"
                               "scrape \"node\" (p.yml:3)\n"
                               "  every: 15s\n"
                               "  timeout: 500ms\n"
                               "  url: http://<address>/m\n"
                               "  formats: PrometheusText0.0.4\n"
                               "  sample_limit: 9\n"
                               "  static targets: 1 {}\n"
                               "    h:1\n"
                               "  targets from files, every: 1m30s\n"
                               "    t/*.json\n"
                               "  relabel targets:\n"
                               "    hashmod [job] mod 4 -> shard\n"
                               "remote write \"main\" -> https://h/w?x\n"
                               "  message: prometheus.WriteRequest\n"
                               "  timeout: 30s\n"
                               "  batch: 2000 samples, at most 5s\n"
                               "  retry: after 30ms to 5s, also on 429\n"
                               "  authorization: Bearer\n"
                               "warning: p.yml:1: careful\n");
    plan_unref(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_reference_releases_latest_first),
        cmocka_unit_test(the_picture_names_everything_but_secrets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

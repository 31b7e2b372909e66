/* scrape_configs: defaults, inheritance, names and protocols, discovery. */
#include "unit/config/read.h"

#define JOB(keys) "scrape_configs:\n  - job_name: a\n    " keys "\n"

static void a_job_starts_from_the_defaults(void **state)
{
    (void)state;
    struct plan *p = read_good("scrape_configs: [{job_name: 42}]");
    const struct plan_scrape *s = &p->scrapes[0];
    assert_str_c(s->job_name, "42");
    assert_str_c(s->metrics_path, "/metrics");
    assert_str_c(s->scheme, "http");
    assert_false(s->honor_labels);
    assert_true(s->honor_timestamps);
    assert_false(s->track_timestamps_staleness);
    assert_true(s->enable_compression);
    assert_true(s->http.follow_redirects);
    assert_true(s->http.enable_http2);
    assert_int_equal(s->interval_ms, 60000);
    assert_int_equal(s->timeout_ms, 10000);
    assert_int_equal(s->n_protocols, 4);
    assert_int_equal(s->protocols[0], PROTOCOL_OPENMETRICS_1_0_0);
    assert_int_equal(s->protocols[3], PROTOCOL_TEXT_0_0_4);
    assert_int_equal(s->fallback_protocol, PROTOCOL_NONE);
    assert_int_equal(s->name_validation, NAMES_UTF8);
    assert_int_equal(s->name_escaping, ESCAPE_ALLOW_UTF8);
    assert_int_equal(s->body_size_limit, 0);
    assert_null(s->relabel);
    assert_int_equal(s->line, 1);
    assert_str_c(s->file, "p.yml");
    plan_unref(p);
}

/* --enable-feature changes defaults; what the file says stands. */
static void features_change_defaults(void **state)
{
    static const char text[] = "scrape_configs: [{job_name: a}, {job_name: b, extra_scrape_metrics: false,\n"
                               "  scrape_protocols: [PrometheusText0.0.4]}]";
    struct config_options o = {.agent = true, .extra_scrape_metrics = true, .protobuf_first = true};
    struct plan *p;

    (void)state;
    assert_int_equal(config_parse_prometheus(str_c(text), "p.yml", ".", &o, &p, NULL, NULL), OK);
    assert_true(p->scrapes[0].extra_scrape_metrics);
    assert_int_equal(p->scrapes[0].protocols[0], PROTOCOL_PROTO);
    assert_int_equal(p->scrapes[0].n_protocols, 5);
    assert_false(p->scrapes[1].extra_scrape_metrics);
    assert_int_equal(p->scrapes[1].n_protocols, 1);
    plan_unref(p);
}

static void null_is_the_zero_value_and_not_the_default(void **state)
{
    (void)state;
    struct plan *p = read_good(JOB("follow_redirects:\n    honor_timestamps: ~\n    metrics_path: null\n"
                                   "    scrape_interval:\n    sample_limit:\n    static_configs:\n"));
    assert_false(p->scrapes[0].http.follow_redirects);
    assert_false(p->scrapes[0].honor_timestamps);
    assert_int_equal(p->scrapes[0].metrics_path.n, 0);
    assert_int_equal(p->scrapes[0].interval_ms, 60000);
    plan_unref(p);
}

static void zero_limits_take_the_global_value(void **state)
{
    (void)state;
    struct plan *p =
        read_good("global: {sample_limit: 5, label_limit: 6, body_size_limit: 1KB, target_limit: 0x10, "
                  "label_name_length_limit: 1_000, label_value_length_limit: 1e3, keep_dropped_targets: 010, "
                  "extra_scrape_metrics: true}\n"
                  "scrape_configs:\n  - {job_name: a, sample_limit: 0}\n"
                  "  - {job_name: b, sample_limit: 9, body_size_limit: -1KB, extra_scrape_metrics: false}\n");
    const struct plan_scrape *a = &p->scrapes[0], *b = &p->scrapes[1];
    assert_int_equal(a->sample_limit, 5);
    assert_int_equal(a->label_limit, 6);
    assert_int_equal(a->body_size_limit, 1024);
    assert_int_equal(a->target_limit, 16);
    assert_int_equal(a->label_name_length_limit, 1000);
    assert_int_equal(a->label_value_length_limit, 1000);
    assert_int_equal(a->keep_dropped_targets, 8);
    assert_true(a->extra_scrape_metrics);
    assert_int_equal(b->sample_limit, 9);
    assert_int_equal(b->body_size_limit, 0); /* negative: without limit, whatever the global one is */
    assert_false(b->extra_scrape_metrics);
    plan_unref(p);
}

static void jobs_are_refused_in_the_original_words(void **state)
{
    (void)state;
    assert_errors("scrape_configs:\n  - {job_name: x, scrape_interval: 5s, scrape_timeout: 6s}\n",
                  "2:40: scrape timeout greater than scrape interval for scrape config with job name \"x\"\n");
    assert_errors("scrape_configs:\n  - job_name: x\n  - job_name: x\n",
                  "3:5: found multiple scrape configs with job name \"x\"\n");
    assert_errors("scrape_configs: [{job_name: ''}, null, {}, 5]\n",
                  "1:19: job_name is empty\n"
                  "1:34: empty or null scrape config section\n"
                  "1:40: job_name is empty\n"
                  "1:44: cannot unmarshal !!int into config.ScrapeConfig\n");
    assert_error(JOB("scrape_interval: 5m1h"), ERR_SYNTAX,
                 "3:22: scrape_interval: not a valid duration string: \"5m1h\"");
    assert_error(JOB("body_size_limit: 5kB"), ERR_SYNTAX, "body_size_limit: units: unknown unit kB in 5kB");
    assert_error(JOB("params: {a: 5}"), ERR_SYNTAX, "a: cannot unmarshal !!int into []string");
    assert_error(JOB("honour_labels: true"), ERR_SYNTAX,
                 "3:5: field honour_labels not found in type config.ScrapeConfig");
}

static void protocols_keep_their_order_and_leave_out_what_is_not_read(void **state)
{
    (void)state;
    struct plan *p = read_good("global: {scrape_protocols: [PrometheusText0.0.4]}\n"
                               "scrape_configs:\n  - job_name: a\n"
                               "  - job_name: b\n    scrape_protocols: [PrometheusProto, OpenMetricsText2.0.0, "
                               "OpenMetricsText1.0.0]\n    fallback_scrape_protocol: PrometheusText1.0.0\n");
    assert_int_equal(p->scrapes[0].n_protocols, 1);
    assert_int_equal(p->scrapes[0].protocols[0], PROTOCOL_TEXT_0_0_4);
    assert_int_equal(p->scrapes[1].n_protocols, 2);
    assert_int_equal(p->scrapes[1].protocols[0], PROTOCOL_PROTO);
    assert_int_equal(p->scrapes[1].protocols[1], PROTOCOL_OPENMETRICS_1_0_0);
    assert_int_equal(p->scrapes[1].fallback_protocol, PROTOCOL_TEXT_1_0_0);
    assert_true(str_contains(p->warnings[0], STR("p.yml:5: scrape_protocols: OpenMetricsText2.0.0 is not")));
    plan_unref(p);
    assert_error(JOB("scrape_protocols: [OpenMetricsText2.0.0]"), ERR_UNSUPPORTED, "3:5: scrape_protocols: not");
    assert_error(JOB("fallback_scrape_protocol: OpenMetricsText2.0.0"), ERR_UNSUPPORTED,
                 "fallback_scrape_protocol: not");
    assert_error(JOB("fallback_scrape_protocol: text"), ERR_SYNTAX,
                 "invalid fallback_scrape_protocol for scrape config with job name \"a\": unknown scrape protocol");
    assert_error(JOB("scrape_protocols: []"), ERR_SYNTAX,
                 "scrape_protocols cannot be empty for scrape config with job name \"a\"");
    assert_error(JOB("scrape_protocols: [X]"), ERR_SYNTAX, "unknown scrape protocol \"X\", supported: [OpenMetrics");
}

static void native_histograms_follow_the_global_section(void **state)
{
    (void)state;
    struct plan *p = read_good("global: {scrape_native_histograms: true, convert_classic_histograms_to_nhcb: true, "
                               "always_scrape_classic_histograms: true, scrape_failure_log_file: all.log}\n"
                               "scrape_configs:\n  - job_name: a\n    native_histogram_bucket_limit: 20\n"
                               "    native_histogram_min_bucket_factor: 1.5\n    series_limit: 9\n"
                               "  - {job_name: b, scrape_native_histograms: false, "
                               "convert_classic_histograms_to_nhcb: false, always_scrape_classic_histograms: false, "
                               "scrape_failure_log_file: b.log, fallback_scrape_protocol: PrometheusProto}\n");
    const struct plan_scrape *a = &p->scrapes[0], *b = &p->scrapes[1];
    assert_true(a->scrape_native_histograms && a->convert_classic_histograms_to_nhcb);
    assert_true(a->always_scrape_classic_histograms);
    assert_int_equal(a->n_protocols, 5);
    assert_int_equal(a->protocols[0], PROTOCOL_PROTO);
    assert_int_equal(a->native_histogram_bucket_limit, 20);
    assert_true(a->native_histogram_min_bucket_factor == 1.5);
    assert_int_equal(a->series_limit, 9);
    assert_str_c(a->scrape_failure_log_file, "conf/all.log");
    assert_false(b->scrape_native_histograms || b->convert_classic_histograms_to_nhcb);
    assert_false(b->always_scrape_classic_histograms);
    assert_int_equal(b->n_protocols, 4);
    assert_int_equal(b->protocols[0], PROTOCOL_OPENMETRICS_1_0_0);
    assert_int_equal(b->fallback_protocol, PROTOCOL_PROTO);
    assert_str_c(b->scrape_failure_log_file, "conf/b.log");
    assert_true(a->shape_hash != b->shape_hash);
    plan_unref(p);
}

static void escaping_follows_validation(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum name_validation validation;
        enum name_escaping escaping;
    } cases[] = {
        {JOB("metric_name_validation_scheme: legacy"), NAMES_LEGACY, ESCAPE_UNDERSCORES},
        {JOB("metric_name_escaping_scheme: dots"), NAMES_UTF8, ESCAPE_DOTS},
        {"global: {metric_name_validation_scheme: legacy}\n" JOB("honor_labels: true"), NAMES_LEGACY,
         ESCAPE_UNDERSCORES},
        {"global: {metric_name_validation_scheme: legacy}\n" JOB("metric_name_validation_scheme: utf8"), NAMES_UTF8,
         ESCAPE_ALLOW_UTF8},
        {"global: {metric_name_escaping_scheme: values}\n" JOB("honor_labels: true"), NAMES_UTF8, ESCAPE_VALUES},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct plan *p = read_good(cases[i].text);
        assert_int_equal(p->scrapes[0].name_validation, cases[i].validation);
        assert_int_equal(p->scrapes[0].name_escaping, cases[i].escaping);
        plan_unref(p);
    }
    assert_error(JOB("metric_name_validation_scheme: legacy\n    metric_name_escaping_scheme: allow-utf-8"), ERR_SYNTAX,
                 "4:5: utf8 metric names requested but validation scheme is not set to UTF8");
    assert_error(JOB("metric_name_escaping_scheme: none"), ERR_SYNTAX,
                 "unknown scrape config name escaping method specified");
    assert_error("global: {metric_name_escaping_scheme: none}\n" JOB("honor_labels: true"), ERR_SYNTAX,
                 "1:10: unknown global name escaping method specified");
}

static void static_groups_are_numbered(void **state)
{
    (void)state;
    struct plan *p = read_good(JOB("static_configs:\n      - targets: [a:1, 5]\n        labels: {z: 1, b: x}\n"
                                   "      - labels: {}\n"));
    const struct plan_discovery *d = &p->scrapes[0].discovery;
    assert_int_equal(d->n_static, 2);
    assert_str_c(d->static_groups[0].source, "0");
    assert_str_c(d->static_groups[1].source, "1");
    assert_int_equal(d->static_groups[0].n_targets, 2);
    assert_str_c(labels_get(d->static_groups[0].targets[1], STR("__address__")), "5");
    assert_str_c(d->static_groups[0].labels.v[0].name, "b");
    assert_str_c(d->static_groups[0].labels.v[1].value, "1");
    assert_int_equal(d->static_groups[1].n_targets, 0);
    plan_unref(p);
    assert_error(JOB("static_configs: [null]"), ERR_SYNTAX, "3:22: empty or null section in static_configs");
    assert_error(JOB("static_configs: [{target: [a]}]"), ERR_SYNTAX,
                 "field target not found in type targetgroup.Group");
    assert_error(JOB("static_configs: [{labels: {'': a}}]"), ERR_SYNTAX, "\"\" is not a valid label name");
}

static void a_url_as_target_needs_relabelling(void **state)
{
    (void)state;
    assert_error(JOB("static_configs: [{targets: ['http://a/']}]"), ERR_SYNTAX,
                 "3:33: targets: \"http://a/\" is not a valid hostname");
    plan_unref(read_good(JOB("static_configs: [{targets: ['http://a/']}]\n"
                             "    relabel_configs: [{source_labels: [__address__], target_label: __param_target}]")));
}

static void files_are_joined_and_checked(void **state)
{
    (void)state;
    struct plan *p = read_good(JOB("file_sd_configs:\n      - files: [x.json, ../t/*.yml, /abs/./x.YAML]\n"
                                   "      - {files: [a*b*.yaml], refresh_interval: 30s}"));
    const struct plan_discovery *d = &p->scrapes[0].discovery;
    assert_int_equal(d->n_file_sd, 2);
    assert_str_c(d->file_sd[0].files[0], "conf/x.json");
    assert_str_c(d->file_sd[0].files[1], "t/*.yml");
    assert_str_c(d->file_sd[0].files[2], "/abs/./x.YAML");
    assert_int_equal(d->file_sd[0].refresh_ms, 300000);
    assert_int_equal(d->file_sd[1].refresh_ms, 30000);
    plan_unref(p);
    static const char *const bad[] = {"x.txt", "*/x.yml", "yml", "x.yml*", "x.Yml", ""};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char text[256];
        snprintf(text, sizeof(text), JOB("file_sd_configs: [{files: ['%s']}]"), bad[i]);
        assert_error(text, ERR_SYNTAX, "is not valid for file discovery");
    }
    assert_error(JOB("file_sd_configs: [{files: []}]"), ERR_SYNTAX,
                 "file service discovery config must contain at least one path name");
    assert_error(JOB("file_sd_configs: [null]"), ERR_SYNTAX, "empty or null section in file_sd_configs");
}

static void http_discovery_is_kept_and_checked(void **state)
{
    (void)state;
    struct plan *p = read_good(JOB("http_sd_configs:\n      - {url: 'https://u:p@h/x', refresh_interval: 5s, "
                                   "bearer_token: t}\n      - url: HTTP://h\n"));
    const struct plan_discovery *d = &p->scrapes[0].discovery;
    assert_int_equal(d->n_http_sd, 2);
    assert_str_c(d->http_sd[0].url, "https://u:p@h/x");
    assert_int_equal(d->http_sd[0].refresh_ms, 5000);
    assert_str_c(d->http_sd[0].http.authorization_credentials, "t");
    assert_int_equal(d->http_sd[1].refresh_ms, 60000);
    assert_true(d->http_sd[1].http.follow_redirects);
    assert_false(str_contains(p->config_yaml, STR(":p@")));
    plan_unref(p);
    assert_error(JOB("http_sd_configs: [{}]"), ERR_SYNTAX, "3:23: URL is missing");
    assert_error(JOB("http_sd_configs: [{url: h}]"), ERR_SYNTAX, "3:29: URL scheme must be 'http' or 'https'");
    assert_error(JOB("http_sd_configs: [{url: 'http:///x'}]"), ERR_SYNTAX, "host is missing in URL");
    assert_error(JOB("http_sd_configs: [{url: 'http://u@/x'}]"), ERR_SYNTAX, "host is missing in URL");
    assert_error(JOB("http_sd_configs: [{url: 'http://h', bearer_token: a, basic_auth: {}}]"), ERR_SYNTAX,
                 "at most one of basic_auth, oauth2, bearer_token");
    assert_error(JOB("http_sd_configs: [null]"), ERR_SYNTAX, "empty or null section in http_sd_configs");
}

static void dns_discovery_is_kept_and_checked(void **state)
{
    (void)state;
    struct plan *p = read_good(JOB("dns_sd_configs:\n      - names: [a, b]\n"
                                   "      - {names: [c], type: aaaa, port: 9100, refresh_interval: 0s}\n"));
    const struct plan_discovery *d = &p->scrapes[0].discovery;
    assert_int_equal(d->n_dns_sd, 2);
    assert_int_equal(d->dns_sd[0].type, DNS_SD_SRV);
    assert_int_equal(d->dns_sd[0].n_names, 2);
    assert_int_equal(d->dns_sd[0].refresh_ms, 30000);
    assert_int_equal(d->dns_sd[1].type, DNS_SD_AAAA);
    assert_int_equal(d->dns_sd[1].port, 9100);
    assert_int_equal(d->dns_sd[1].refresh_ms, 30000); /* with 0 the original ends itself */
    plan_unref(p);
    assert_error(JOB("dns_sd_configs: [{type: A, port: 1}]"), ERR_SYNTAX,
                 "DNS-SD config must contain at least one SRV");
    assert_error(JOB("dns_sd_configs: [{names: [a], type: A}]"), ERR_SYNTAX, "a port is required in DNS-SD configs");
    assert_error(JOB("dns_sd_configs: [{names: [a], type: TXT}]"), ERR_SYNTAX, "invalid DNS-SD records type \"TXT\"");
    assert_error(JOB("dns_sd_configs: [{names: [a], type: A, port: 70000}]"), ERR_UNSUPPORTED, "70000 is no port");
}

static void aws_discovery_is_kept_and_checked(void **state)
{
    (void)state;
    struct plan *p = read_good(JOB("ec2_sd_configs:\n      - {region: r, access_key: a, secret_key: s, port: 9100, "
                                   "filters: [{name: n, values: [x, y]}]}\n"
                                   "    ecs_sd_configs:\n      - {clusters: [c], request_concurrency: 3}\n"
                                   "    aws_sd_configs:\n      - {role: ecs, endpoint: 'http://e'}\n"
                                   "      - {role: ec2, access_key: lone}\n"));
    const struct plan_discovery *d = &p->scrapes[0].discovery;
    assert_int_equal(d->n_aws_sd, 4);
    assert_int_equal(d->aws_sd[0].role, AWS_SD_EC2);
    assert_str_c(d->aws_sd[0].aws.region, "r");
    assert_str_c(d->aws_sd[0].aws.secret_key, "s");
    assert_int_equal(d->aws_sd[0].port, 9100);
    assert_int_equal(d->aws_sd[0].refresh_ms, 60000);
    assert_int_equal(d->aws_sd[0].filters[0].n_values, 2);
    assert_int_equal(d->aws_sd[1].role, AWS_SD_ECS);
    assert_str_c(d->aws_sd[1].clusters[0], "c");
    assert_int_equal(d->aws_sd[1].request_concurrency, 3);
    assert_int_equal(d->aws_sd[1].port, 80);
    assert_int_equal(d->aws_sd[2].role, AWS_SD_ECS);
    assert_int_equal(d->aws_sd[2].request_concurrency, 20);
    assert_str_c(d->aws_sd[2].aws.endpoint, "http://e");
    assert_int_equal(d->aws_sd[3].role, AWS_SD_EC2);
    assert_int_equal(d->aws_sd[3].aws.access_key.n, 0); /* one key alone is none */
    plan_unref(p);
    assert_error(JOB("ec2_sd_configs: [{filters: [{name: a}]}]"), ERR_SYNTAX, "filter values cannot be empty");
    assert_error(JOB("ecs_sd_configs: [{request_concurrency: 0}]"), ERR_SYNTAX, "request_concurrency must be positive");
    assert_error(JOB("ecs_sd_configs: [{filters: []}]"), ERR_SYNTAX, "field filters not found in type aws.plain");
    assert_error(JOB("aws_sd_configs: [{}]"), ERR_SYNTAX, "unknown AWS SD role \"\"");
    assert_error(JOB("aws_sd_configs: [{role: rds}]"), ERR_UNSUPPORTED,
                 "3:23: role: not supported by leadline: rds; the roles ec2 and ecs are");
}

static void other_discoveries_are_refused_unless_empty(void **state)
{
    (void)state;
    assert_error(JOB("kubernetes_sd_configs: [{role: pod}]"), ERR_UNSUPPORTED,
                 "3:5: kubernetes_sd_configs: not supported by leadline: targets come from static_configs, "
                 "file_sd_configs, http_sd_configs, dns_sd_configs, ec2_sd_configs, ecs_sd_configs, aws_sd_configs, "
                 "ecs_task_sd_configs and cloudmap_sd_configs");
    assert_error(JOB("dns_sd_configs: {}"), ERR_SYNTAX, "dns_sd_configs: cannot unmarshal !!map into");
    assert_error(JOB("bogus_sd_configs: []"), ERR_SYNTAX, "field bogus_sd_configs not found");
    plan_unref(read_good(JOB("dns_sd_configs: []\n    consul_sd_configs:")));
}

static void the_shape_hash_follows_what_shapes_a_metric(void **state)
{
    (void)state;
    struct plan *p = read_good("scrape_configs:\n  - {job_name: a}\n  - {job_name: b, scrape_interval: 3s}\n"
                               "  - {job_name: c, honor_labels: true}\n"
                               "  - {job_name: d, metric_relabel_configs: [{regex: a, action: labeldrop}]}\n"
                               "  - {job_name: e, metric_relabel_configs: [{regex: b, action: labeldrop}]}\n");
    assert_true(p->scrapes[0].shape_hash == p->scrapes[1].shape_hash);
    assert_true(p->scrapes[0].shape_hash != p->scrapes[2].shape_hash);
    assert_true(p->scrapes[0].shape_hash != p->scrapes[3].shape_hash);
    assert_true(p->scrapes[3].shape_hash != p->scrapes[4].shape_hash);
    plan_unref(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_starts_from_the_defaults),
        cmocka_unit_test(features_change_defaults),
        cmocka_unit_test(null_is_the_zero_value_and_not_the_default),
        cmocka_unit_test(zero_limits_take_the_global_value),
        cmocka_unit_test(jobs_are_refused_in_the_original_words),
        cmocka_unit_test(protocols_keep_their_order_and_leave_out_what_is_not_read),
        cmocka_unit_test(escaping_follows_validation),
        cmocka_unit_test(static_groups_are_numbered),
        cmocka_unit_test(a_url_as_target_needs_relabelling),
        cmocka_unit_test(files_are_joined_and_checked),
        cmocka_unit_test(native_histograms_follow_the_global_section),
        cmocka_unit_test(http_discovery_is_kept_and_checked),
        cmocka_unit_test(dns_discovery_is_kept_and_checked),
        cmocka_unit_test(aws_discovery_is_kept_and_checked),
        cmocka_unit_test(other_discoveries_are_refused_unless_empty),
        cmocka_unit_test(the_shape_hash_follows_what_shapes_a_metric),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

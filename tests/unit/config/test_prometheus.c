/* prometheus.yml as a whole: the top level, global, what an agent refuses, included files, and what is printed. */
#include "unit/config/read.h"

#include <unistd.h>

#include "base/file.h"

static void an_empty_file_is_taken_with_defaults(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        "# nothing\n",
                                        "global:\n",
                                        "null\n",
                                        "global: {}\nruntime:\n",
                                        "scrape_configs:\nremote_write: []\nalerting: {}\nrule_files: []\n"};
    for (size_t i = 0; i < 6; i++) {
        struct plan *p = read_good(texts[i]);
        assert_int_equal(p->scrape_interval_ms, 60000);
        assert_int_equal(p->scrape_timeout_ms, 10000);
        assert_int_equal(p->n_scrapes, 0);
        assert_int_equal(p->n_remote_writes, 0);
        plan_unref(p);
    }
}

static void global_is_read_wherever_it_stands(void **state)
{
    (void)state;
    struct plan *p = read_good("scrape_configs: [{job_name: a}]\n"
                               "global: {scrape_interval: 5s, sample_limit: 7, body_size_limit: 2MB}\n");
    assert_int_equal(p->scrapes[0].interval_ms, 5000);
    assert_int_equal(p->scrapes[0].timeout_ms, 5000);
    assert_int_equal(p->scrapes[0].sample_limit, 7);
    assert_int_equal(p->scrapes[0].body_size_limit, 2 << 20);
    plan_unref(p);
}

static void every_error_is_told_in_the_order_of_lines(void **state)
{
    (void)state;
    assert_errors("remote_write:\n"
                  "  - nam: x\n"
                  "    remote_timeout: 30\n"
                  "global:\n"
                  "  scrape_interval: abc\n"
                  "  sample_limit: -1\n"
                  "  foo: bar\n"
                  "scrape_configs:\n"
                  "  - job_name: a\n"
                  "    honor_labels: 1\n"
                  "bar: 1\n",
                  "2:5: field nam not found in type config.plain\n"
                  "3:21: remote_timeout: not a valid duration string: \"30\"\n"
                  "5:20: scrape_interval: not a valid duration string: \"abc\"\n"
                  "6:17: sample_limit: cannot unmarshal !!int `-1` into uint\n"
                  "7:3: field foo not found in type config.plain\n"
                  "10:19: honor_labels: cannot unmarshal !!int `1` into bool\n"
                  "11:1: field bar not found in type config.plain\n");
}

static void global_refuses_what_the_original_refuses(void **state)
{
    (void)state;
    assert_errors("global: {scrape_interval: 5s, scrape_timeout: 6s}",
                  "1:31: global scrape timeout greater than scrape interval\n");
    assert_errors("global:\n  scrape_protocols: []\n", "2:3: scrape_protocols cannot be empty for global config\n");
    assert_error("global: {scrape_protocols: [PrometheusText0.0.4, prometheustext0.0.4]}", ERR_SYNTAX,
                 "1:50: duplicated protocol in scrape_protocols");
    assert_error("global: {metric_name_validation_scheme: ascii}", ERR_SYNTAX,
                 "unrecognized ValidationScheme: \"ascii\"");
    assert_error("global: {external_labels: {'': x}}", ERR_SYNTAX, "\"\" is not a valid label name");
    assert_error("global: {metric_name_validation_scheme: legacy, external_labels: {a.b: x}}", ERR_SYNTAX,
                 "\"a.b\" is not a valid label name");
    assert_error("global: [1]", ERR_SYNTAX, "cannot unmarshal !!seq into config.plain");
    assert_error("global: {a: 1, a: 2}", ERR_SYNTAX, "already set");
    assert_error("a: [", ERR_SYNTAX, "");
}

static void rules_and_alerts_are_refused_by_name(void **state)
{
    (void)state;
    static const char *const texts[][2] = {
        {"rule_files: [a.yml]", "1:1: field rule_files is not allowed in agent mode"},
        {"remote_read: [{url: 'http://x'}]", "1:1: field remote_read is not allowed in agent mode"},
        {"alerting: {alertmanagers: [{}]}", "1:1: field alerting is not allowed in agent mode"},
        {"alerting: {alert_relabel_configs: [{}]}", "1:1: field alerting is not allowed in agent mode"},
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_error(texts[i][0], ERR_UNSUPPORTED, texts[i][1]);
    assert_error("alerting: {foo: 1}", ERR_SYNTAX, "field foo not found");
}

static bool warns(const struct plan *p, const char *words)
{
    for (uint32_t i = 0; i < p->n_warnings; i++) {
        if (str_contains(p->warnings[i], str_c(words)))
            return true;
    }
    return false;
}

static void the_file_of_a_server_is_taken_with_warnings(void **state)
{
    (void)state;
    struct reading r = read_text("storage: {tsdb: {out_of_order_time_window: 10m, retention: {size: 1GB}}}\n"
                                 "tracing: {endpoint: x}\notlp: {promote_resource_attributes: [a]}\n"
                                 "remote_read: [{url: 'http://x', read_recent: true}]\n"
                                 "alerting: {}\nrule_files: []\n",
                                 false);
    assert_non_null(r.plan);
    assert_true(warns(r.plan, "p.yml:1: storage has no effect"));
    assert_true(warns(r.plan, "p.yml:2: tracing has no effect"));
    assert_true(warns(r.plan, "p.yml:3: otlp has no effect"));
    assert_true(warns(r.plan, "p.yml:4: remote_read has no effect"));
    reading_release(&r);
    r = read_text("rule_files: [a.yml]\nalerting: {alertmanagers: [{}]}\n", false);
    assert_int_equal(r.errors.n, 2);
    assert_int_equal(r.errors.codes[0], ERR_UNSUPPORTED);
    assert_non_null(strstr(r.errors.v[0].text, "rule_files: not supported by leadline: it scrapes and sends, and "
                                               "evaluates no rules"));
    assert_non_null(strstr(r.errors.v[1].text, "alerting: not supported by leadline"));
    reading_release(&r);
}

static void the_sections_of_a_server_are_read_strictly(void **state)
{
    (void)state;
    static const char *const texts[][2] = {
        {"storage: {tsdb: {retention: {size: -1GB}}}", "retention.size' must be greater than or equal to 0"},
        {"storage: {tsdb: {retention: {percentage: 101}}}", "retention.percentage' must be in the range [0, 100]"},
        {"storage: {tsdb: {chunk_encoding: {floats: x}}}", "floats' must be 'xor' or 'xor2'"},
        {"storage: {tsdb: {path: x}}", "field path not found in type config.plain"},
        {"tracing: {}", "tracing endpoint must be set"},
        {"tracing: {endpoint: x, client_type: udp}", "expected tracing client type to be to be http or grpc"},
        {"tracing: {endpoint: x, compression: zstd}", "invalid compression type"},
        {"tracing: {endpoint: x, headers: {Host: x}}", "Host is a reserved header"},
        {"otlp: {ignore_resource_attributes: [a]}", "'ignore_resource_attributes' cannot be configured unless"},
        {"otlp: {promote_resource_attributes: [a, ' a']}", "duplicated promoted OTel resource attribute \"a\""},
        {"otlp: {translation_strategy: x}", "unsupported OTLP translation strategy \"x\""},
        {"global: {metric_name_validation_scheme: legacy}\notlp: {translation_strategy: NoTranslation}",
         "OTLP translation strategy \"NoTranslation\" is not allowed when UTF8 is disabled"},
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_error(texts[i][0], ERR_SYNTAX, texts[i][1]);
}

static void external_labels_are_expanded_and_sorted(void **state)
{
    (void)state;
    setenv("LEADLINE_TEST_A", "alpha", 1);
    unsetenv("LEADLINE_TEST_NONE");
    struct plan *p = read_good("global:\n  external_labels:\n    z: '${LEADLINE_TEST_A}-$LEADLINE_TEST_A/$$x'\n"
                               "    Zone: 1\n    gone: ${LEADLINE_TEST_NONE}\n    odd: 'a$ b${} ${x c'\n");
    assert_int_equal(p->external_labels.n, 3);
    assert_str_c(p->external_labels.v[0].name, "Zone");
    assert_str_c(p->external_labels.v[0].value, "1");
    assert_str_c(p->external_labels.v[1].name, "odd");
    assert_str_c(p->external_labels.v[1].value, "a$ b x c");
    assert_str_c(p->external_labels.v[2].value, "alpha-alpha/$x");
    bool warned = false;
    for (uint32_t i = 0; i < p->n_warnings; i++)
        warned = warned || str_contains(p->warnings[i], STR("p.yml:5: external_labels: the environment variable "
                                                            "\"LEADLINE_TEST_NONE\" is empty"));
    assert_true(warned);
    assert_true(str_contains(p->config_yaml, STR("alpha-alpha/$x")));
    plan_unref(p);
}

static void what_has_no_effect_is_a_warning(void **state)
{
    (void)state;
    struct plan *p = read_good("global: {evaluation_interval: 15s, rule_query_offset: 1m, query_log_file: q}\n"
                               "runtime: {gogc: 50, log_level: Debug}\n"
                               "remote_write: [{url: 'http://x', queue_config: {capacity: 5, max_shards: 100}}]\n");
    assert_int_equal(p->n_warnings, 7);
    plan_unref(p);
    assert_error("runtime: {log_level: loud}", ERR_SYNTAX, "unrecognized log level");
    assert_error("runtime: {gogc: lots}", ERR_SYNTAX, "gogc: cannot unmarshal !!str `lots` into int");
}

static const char secrets[] = "scrape_configs:\n"
                              "  - job_name: a\n"
                              "    basic_auth: &auth {username: u, password: sesame1}\n"
                              "    proxy_url: http://me:sesame2@proxy:3128\n"
                              "    http_headers: {X-Key: {secrets: [sesame3], values: [open]}}\n"
                              "  - job_name: b\n"
                              "    basic_auth: *auth\n"
                              "    tls_config: {cert_file: c, key: sesame4}\n"
                              "  - job_name: c\n"
                              "    bearer_token: sesame5\n"
                              "remote_write:\n"
                              "  - url: https://me:sesame6@host/write\n"
                              "    authorization: {credentials: sesame7}\n";

static void secrets_are_kept_and_not_shown(void **state)
{
    (void)state;
    struct plan *p = read_good(secrets);
    assert_str_c(p->scrapes[0].http.basic_password, "sesame1");
    assert_str_c(p->scrapes[1].http.basic_password, "sesame1"); /* an alias: the tree is shared */
    assert_str_c(p->scrapes[0].http.headers[1].value, "sesame3");
    assert_str_c(p->remote_writes[0].url, "https://me:sesame6@host/write");
    assert_str_c(p->remote_writes[0].http.authorization_credentials, "sesame7");
    assert_false(str_contains(p->config_yaml, STR("sesame")));
    assert_true(str_contains(p->config_yaml, STR("<secret>")));
    assert_true(str_contains(p->config_yaml, STR("https://me:xxxxx@host/write")));
    AUTO_BUF b = {0};
    plan_print(p, &b);
    assert_false(str_contains(buf_view(&b), STR("sesame")));
    plan_unref(p);
    assert_errors("scrape_configs: [{job_name: a, basic_auth: sesame, tls_config: [sesame]}]",
                  "1:44: basic_auth: cannot unmarshal !!str into config.BasicAuth\n"
                  "1:64: tls_config: cannot unmarshal !!seq into config.plain\n");
    struct reading r = read_text("remote_write: [{url: 'http://me:ses/ame@host'}]", true);
    assert_null(strstr(r.errors.v[0].text, "ses"));
    reading_release(&r);
}

static void hashes_do_not_change_from_run_to_run(void **state)
{
    (void)state;
    struct plan *a = read_good(secrets), *b = read_good(secrets);
    assert_true(a->remote_writes[0].hash == b->remote_writes[0].hash);
    assert_true(a->scrapes[0].shape_hash == b->scrapes[0].shape_hash);
    assert_int_equal(a->remote_writes[0].name.n, 6);
    assert_str(a->remote_writes[0].name, b->remote_writes[0].name);
    plan_unref(a);
    plan_unref(b);
}

static void put(const char *dir, const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    assert_int_equal(file_replace(path, str_c(text), NULL), OK);
}

static void included_files_are_read_beside_themselves(void **state)
{
    (void)state;
    char dir[] = "/tmp/leadline-config-XXXXXX", path[512], sub[512];
    assert_non_null(mkdtemp(dir));
    snprintf(sub, sizeof(sub), "%s/jobs", dir);
    assert_int_equal(file_mkdirs(sub, NULL), OK);
    put(dir, "p.yml",
        "global: {scrape_interval: 7s}\nscrape_config_files: ['jobs/*.yml']\n"
        "scrape_configs: [{job_name: main, file_sd_configs: [{files: [./t/../x.json]}]}]\n");
    put(sub, "a.yml", "scrape_configs: [{job_name: a, bearer_token_file: token}]\n");
    snprintf(path, sizeof(path), "%s/p.yml", dir);
    struct plan *p = NULL;
    assert_int_equal(config_load_prometheus(path, NULL, &p, NULL, NULL), OK);
    assert_int_equal(p->n_scrapes, 2);
    assert_int_equal(p->scrapes[1].interval_ms, 7000);
    assert_true(str_ends(p->scrapes[0].discovery.file_sd[0].files[0], STR("/x.json")));
    assert_int_equal(p->scrapes[0].discovery.file_sd[0].files[0].n, strlen(dir) + 7);
    assert_true(str_ends(p->scrapes[1].http.authorization_credentials_file, STR("/jobs/token")));
    plan_unref(p);

    put(sub, "b.yml", "scrape_configs: [{job_name: main}]\n");
    put(sub, "c.yml", "global: {}\n");
    struct arena arena = {0};
    struct config_errors errors = {.arena = &arena};
    struct diag d;
    diag_reset(&d);
    assert_int_equal(config_load_prometheus(path, NULL, &p, &errors, &d), ERR_SYNTAX);
    assert_int_equal(errors.n, 2);
    assert_non_null(strstr(errors.v[0].file, "/jobs/b.yml"));
    assert_non_null(strstr(errors.v[0].text, "found multiple scrape configs with job name \"main\", first found in"));
    assert_string_equal(errors.v[1].text, "field global not found in type config.ScrapeConfigs");
    arena_release(&arena);
    assert_error("scrape_config_files: ['a/*/b.yml']", ERR_SYNTAX, "invalid scrape config file path \"a/*/b.yml\"");

    static const char *const names[] = {"jobs/a.yml", "jobs/b.yml", "jobs/c.yml", "p.yml", "jobs", ""};
    for (size_t i = 0; i < 6; i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
        assert_int_equal(remove(path), 0);
    }
}

static void a_missing_file_is_one_error(void **state)
{
    (void)state;
    struct plan *p = NULL;
    struct diag d;
    diag_reset(&d);
    assert_int_equal(config_load_prometheus("/nonexistent/p.yml", NULL, &p, NULL, &d), ERR_NOT_FOUND);
    assert_null(p);
    assert_non_null(strstr(d.text, "/nonexistent/p.yml"));
}

static void named_files_are_looked_at_only_when_asked(void **state)
{
    (void)state;
    struct config_options o = {.agent = true, .check_files = true};
    struct arena arena = {0};
    struct config_errors errors = {.arena = &arena};
    struct plan *p = NULL;
    struct diag d;
    struct str text = STR("scrape_configs: [{job_name: a, basic_auth: {username: u, password_file: /nonexistent/p}}]");
    diag_reset(&d);
    assert_int_equal(config_parse_prometheus(text, "p.yml", "conf", &o, &p, &errors, &d), ERR_IO);
    assert_int_equal(errors.n, 1);
    assert_non_null(strstr(d.text, "password_file: error checking file \"/nonexistent/p\""));
    arena_release(&arena);
    plan_unref(read_good(text.p));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_file_is_taken_with_defaults),
        cmocka_unit_test(global_is_read_wherever_it_stands),
        cmocka_unit_test(every_error_is_told_in_the_order_of_lines),
        cmocka_unit_test(global_refuses_what_the_original_refuses),
        cmocka_unit_test(rules_and_alerts_are_refused_by_name),
        cmocka_unit_test(the_sections_of_a_server_are_read_strictly),
        cmocka_unit_test(the_file_of_a_server_is_taken_with_warnings),
        cmocka_unit_test(external_labels_are_expanded_and_sorted),
        cmocka_unit_test(what_has_no_effect_is_a_warning),
        cmocka_unit_test(secrets_are_kept_and_not_shown),
        cmocka_unit_test(hashes_do_not_change_from_run_to_run),
        cmocka_unit_test(included_files_are_read_beside_themselves),
        cmocka_unit_test(a_missing_file_is_one_error),
        cmocka_unit_test(named_files_are_looked_at_only_when_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

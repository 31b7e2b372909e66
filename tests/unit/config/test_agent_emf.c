/* emf_processor and what stands around it: the events that scraped samples become, by the CloudWatch agent's JSON. */
#include "unit/config/told.h"

#include "base/mem.h"

/* Keys of `prometheus`, and of its emf_processor. */
#define PROMETHEUS(keys) "{\"logs\": {\"metrics_collected\": {\"prometheus\": {" keys "}}}}"
#define EMF(keys)        PROMETHEUS("\"prometheus_config_path\": \"env:ONE\", \"emf_processor\": {" keys "}")
#define DECLARED(keys)   EMF("\"metric_declaration\": [{" keys "}]")
#define SELECTED         "\"source_labels\": [\"a\"], \"metric_selectors\": [\"m\"]"

static const struct plan_emf *emf(const struct plan *p)
{
    assert_int_equal(p->n_cloudwatch, 1);
    assert_int_equal(p->cloudwatch[0].kind, CLOUDWATCH_LOGS);
    assert_int_equal(p->cloudwatch[0].pipelines, 1);
    assert_non_null(p->cloudwatch[0].emf);
    return p->cloudwatch[0].emf;
}

static struct config_agent_options with(struct config_agent_ours ours)
{
    struct config_agent_options o = in_a_task;
    o.ours = ours;
    return o;
}

/* ---- what is read ---- */

static void defaults_are_those_of_a_task(void **state)
{
    (void)state;
    struct plan *p = good_with(PROMETHEUS("\"prometheus_config_path\": \"env:ONE\""), &in_a_container);
    const struct plan_emf *e = emf(p);
    assert_str_c(e->cluster_name, "own");
    assert_str_c(e->log_group, "/aws/ecs/containerinsights/own/prometheus");
    assert_str_c(e->log_stream, "{JobName}");
    assert_str_c(e->name_space, "ECS/ContainerInsights/Prometheus");
    assert_int_equal(e->host.n + e->n_units + e->n_declarations, 0);
    assert_false(e->no_directives || e->version_1 || e->untyped_as_gauge || e->first_values || e->drop_unselected);
    assert_int_equal(p->cloudwatch[0].flush_ms, 5000);
    assert_str_c(p->cloudwatch[0].aws.region, "eu-west-1");
    assert_int_equal(p->scrapes[0].pipeline, 0);
    assert_int_equal(p->scrapes[0].fallback_protocol, PROTOCOL_TEXT_0_0_4);
    plan_unref(p);
}

static void the_group_has_the_tasks_cluster_whatever_the_name(void **state)
{
    (void)state;
    struct plan *p = good(PROMETHEUS("\"prometheus_config_path\": \"env:ONE\", \"cluster_name\": \"${STAGE}\""));
    assert_str_c(emf(p)->cluster_name, "blue");
    assert_str_c(emf(p)->log_group, "/aws/ecs/containerinsights/own/prometheus");
    plan_unref(p);
}

static void outside_of_ecs(void **state)
{
    (void)state;
    struct config_agent_options container = {.region = STR("r"), .in_container = true, .getenv = in_a_task.getenv};
    struct config_agent_options machine = {.region = STR("r"), .host_name = STR("m"), .getenv = in_a_task.getenv};
    static const char named[] =
        PROMETHEUS("\"prometheus_config_path\": \"env:ONE\", \"cluster_name\": \"k\", \"log_group_name\": \"g\"");

    refused(EMF(""), &container, ERR_SYNTAX,
            "1:47: ClusterName is not defined: set cluster_name, or let the task's metadata be reachable\n"
            "1:47: prometheus does not have log group name: set log_group_name\n");
    refused(EMF(""), &machine, ERR_SYNTAX, "1:47: prometheus does not have log group name: set log_group_name\n");
    struct plan *p = good_with(named, &container);
    assert_str_c(emf(p)->name_space, "ContainerInsights/Prometheus");
    plan_unref(p);
    p = good_with(named, &machine);
    assert_str_c(emf(p)->name_space, "CWAgent/Prometheus");
    assert_str_c(emf(p)->host, "m");
    plan_unref(p);
    refused(named, &(struct config_agent_options){.getenv = in_a_task.getenv}, ERR_SYNTAX,
            "1:1: Region info is missing for mode: onPremise: set agent.region, or let the task's metadata be "
            "reachable\n");
}

static void a_declaration_is_read(void **state)
{
    (void)state;
    struct plan *p =
        good(DECLARED("\"source_labels\": [\"job\", \"code\"], \"metric_selectors\": [\"^a\", \"b$\", \"\"], "
                      "\"label_matcher\": \"^one;2\", \"dimensions\": [[\"b\", \"a\", \"b\"], [\"a\", "
                      "\"b\"], [], [\"instance\", \"a\"]]"));
    const struct plan_emf_declaration *d = &emf(p)->declarations[0];
    assert_int_equal(d->n_source_labels, 2);
    assert_str_c(d->source_labels[1], "code");
    assert_true(regex_match(d->label_matcher, STR("one;200")));
    assert_false(regex_match(d->label_matcher, STR("zone;200")));
    assert_int_equal(d->n_selectors, 3);
    assert_true(regex_match(d->selectors[1], STR("ab")));
    assert_false(regex_match(d->selectors[1], STR("abc")));
    assert_true(regex_match(d->selectors[2], STR("anything")));
    assert_int_equal(d->n_dimensions, 3);
    assert_int_equal(d->dimensions[0].n, 2);
    assert_str_c(d->dimensions[0].names[0], "a");
    assert_int_equal(d->dimensions[1].n, 0);
    assert_str_c(d->dimensions[2].names[1], "instance");
    assert_warned(p, "Removed duplicates from dimension set.");
    assert_warned(p, "Dropped duplicated dimension set.");
    assert_warned(p, "dimension instance: each value is a metric of its own, billed by the month");
    plan_unref(p);
}

static void what_the_agent_passes_over_is_told(void **state)
{
    (void)state;
    struct plan *p =
        good(EMF("\"metric_declaration_dedup\": true, \"metric_unit\": {\"b\": \"Count\", \"a\": \"Parsec\", "
                 "\"c\": \"Bytes/Second\"}, \"metric_declaration\": [{\"source_labels\": [\"a\"]}, "
                 "{\"metric_selectors\": [\"a\"]}, {\"source_labels\": [], \"metric_selectors\": [\"a\"]}, "
                 "{" SELECTED ", \"label_separator\": \",\"}]"));
    const struct plan_emf *e = emf(p);
    assert_int_equal(e->n_declarations, 1);
    assert_str_c(e->declarations[0].label_matcher_text, ".*");
    assert_int_equal(e->n_units, 2);
    assert_str_c(e->units[0].metric, "b");
    assert_str_c(e->units[1].unit, "Bytes/Second");
    assert_warned(p, "metric_declaration_dedup has no effect");
    assert_warned(p, "metric_unit: \"Parsec\" of \"a\" is no unit of CloudWatch");
    assert_warned(p, "the declaration has no metric_selectors and is passed over");
    assert_warned(p, "the declaration has no source_labels and is passed over");
    assert_warned(p, "label_separator has no effect");
    assert_warned(p, "a declaration without dimensions makes no metrics");
    plan_unref(p);
}

static void thirty_dimensions_and_no_more(void **state)
{
    (void)state;
    AUTO_BUF text = {0};

    buf_c(&text, "{\"logs\": {\"metrics_collected\": {\"prometheus\": {\"prometheus_config_path\": \"env:ONE\", "
                 "\"emf_processor\": {\"metric_declaration\": [{" SELECTED ", \"dimensions\": [");
    for (int set = 30; set <= 31; set++) {
        for (int i = 0; i < set; i++)
            buf_printf(&text, "%s\"l%d\"", i ? ", " : set == 30 ? "[" : "], [", i);
    }
    buf_c(&text, "]]}]}}}}}");
    struct plan *p = good(text.p);
    assert_int_equal(emf(p)->declarations[0].n_dimensions, 1);
    assert_int_equal(emf(p)->declarations[0].dimensions[0].n, 30);
    assert_int_equal(emf(p)->n_oversized, 1);
    assert_warned(p, "Dropped dimension set: > 30 dimensions specified.");
    plan_unref(p);
    struct config_agent_options strict = in_a_task;
    strict.strict = true;
    char expected[160];
    snprintf(expected, sizeof(expected),
             "1:%zu: dimensions: a set of 31 names; CloudWatch takes at most 30, and the set would be dropped\n",
             (size_t)(strstr(text.p, "], [") - text.p) + 4);
    refused(text.p, &strict, ERR_LIMIT, expected);
}

/* ---- what is refused ---- */

static void patterns_that_do_not_compile(void **state)
{
    (void)state;
    bad(DECLARED("\"source_labels\": [\"a\"], \"label_matcher\": \"*\",\n\"metric_selectors\": [\"ok\", \"(\"]"),
        "1:168: label_matcher: error parsing regexp: missing argument to repetition operator: `*`\n"
        "2:28: metric_selectors: error parsing regexp: missing closing ): `(`\n");
    bad(DECLARED(SELECTED ",\n\"label_matcher\": \"\""),
        "2:18: label_matcher is empty: write .* for all, or leave it out\n");
}

static void the_schema_is_closed(void **state)
{
    (void)state;
    bad(EMF("\n\"retention\": 1"), "2:1: Additional property \"retention\" is not allowed\n");
    bad(DECLARED("\n\"dimension\": []"), "2:1: Additional property \"dimension\" is not allowed\n");
    bad(DECLARED(SELECTED ",\n\"dimensions\": [\"x\"]"),
        "2:16: dimensions: Invalid type. Expected: array, given: string\n");
    bad(PROMETHEUS("\n\"log_stream_name\": \"x\""), "2:1: Additional property \"log_stream_name\" is not allowed\n");
    bad(EMF("\n\"metric_namespace\": \"\""),
        "2:21: metric_namespace: String length must be greater than or equal to 1\n");
}

static void names_of_log_groups(void **state)
{
    (void)state;
    bad(PROMETHEUS("\"prometheus_config_path\": \"env:ONE\",\n\"log_group_name\": \"/a b\""),
        "2:19: log_group_name: \"/a b\" is no name of a log group: letters, digits and . - _ / # may stand in it, and "
        "placeholders: "
        "{ClusterName}, {TaskId}, {ServiceName}, {TaskDefinitionFamily}, {JobName}, {ContainerInstanceId}, {NodeName}, "
        "{PodName}\n");
    struct told t = {0};
    static const char *const wrong[] = {
        PROMETHEUS("\"prometheus_config_path\": \"env:ONE\", \"log_group_name\": \"{Cluster}\""),
        PROMETHEUS("\"prometheus_config_path\": \"env:ONE\", \"log_group_name\": \"{ClusterName\""),
        PROMETHEUS("\"prometheus_config_path\": \"env:ONE\", \"log_group_name\": \"a:b\""),
    };
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        t = tell(&wrong[i], 1, &in_a_task);
        assert_null(t.plan);
        forget(&t);
    }
    struct plan *p = good(PROMETHEUS("\"prometheus_config_path\": \"env:ONE\", \"log_group_name\": "
                                     "\"/x.{ClusterName}-{TaskId}_{JobName}#\""));
    assert_str_c(emf(p)->log_group, "/x.{ClusterName}-{TaskId}_{JobName}#");
    plan_unref(p);
}

/* ---- Prometheus files ---- */

static void files_by_variable(void **state)
{
    (void)state;
    bad(PROMETHEUS("\n\"prometheus_config_path\": \"env:BROKEN\""),
        "env:BROKEN:3:17: sample_limit: cannot unmarshal !!str `many` into uint\n");
    refused(PROMETHEUS("\n\"prometheus_config_path\": \"env:GONE\""), &in_a_task, ERR_NOT_FOUND,
            "2:27: Failed to download config from ENV: GONE. Reason: ENV does not exist\n");
    refused(PROMETHEUS("\"prometheus_config_path\": \"env:WRAPPED\""), &in_a_task, ERR_UNSUPPORTED,
            "env:WRAPPED:1:1: config: not supported by leadline: this is a collector's receiver; write the Prometheus "
            "file itself, with global and scrape_configs at its top\n");
    struct plan *p = good(PROMETHEUS("\"prometheus_config_path\": \"env:WHOLE\""));
    assert_int_equal(p->n_scrapes, 2);
    assert_int_equal(p->external_labels.n, 0);
    assert_int_equal(p->n_remote_writes, 0);
    assert_int_equal(p->config_yaml.n, 0);
    assert_int_equal(p->scrapes[0].interval_ms, 30000);
    assert_int_equal(p->scrapes[1].fallback_protocol, PROTOCOL_OPENMETRICS_1_0_0);
    assert_warned(p, "env:WHOLE:1: alerting has no effect");
    assert_warned(p, "env:WHOLE:2: rule_files has no effect");
    assert_warned(p, "env:WHOLE:3: remote_write has no effect");
    assert_warned(p, "external_labels has no effect");
    plan_unref(p);
    p = good(PROMETHEUS("\"prometheus_config_path\": \"env:NOTHING\""));
    assert_warned(p, "\"env:NOTHING\" has no scrape_configs: nothing is scraped");
    assert_int_equal(p->n_cloudwatch, 0);
    plan_unref(p);
}

static void files_by_path(void **state)
{
    (void)state;
    static const char *const forms[] = {"tests/unit/config/golden/prometheus.yaml",
                                        "file:tests/unit/config/golden/prometheus.yaml"};
    for (size_t i = 0; i < COUNT_OF(forms); i++) {
        AUTO_BUF text = {0};
        buf_printf(&text, PROMETHEUS("\"prometheus_config_path\": \"%s\""), forms[i]);
        struct plan *p = good(text.p);
        assert_int_equal(p->n_scrapes, 1);
        assert_str_c(p->scrapes[0].discovery.file_sd[0].files[0], "tests/unit/config/golden/found.json");
        plan_unref(p);
    }
    const char *gone = PROMETHEUS("\"prometheus_config_path\": \"/nonexistent/p.yaml\"");
    struct told t = tell(&gone, 1, &in_a_task);
    assert_null(t.plan);
    assert_non_null(strstr(t.errors.v[0].text, "/nonexistent/p.yaml"));
    forget(&t);
}

/* ---- ours ---- */

static void what_is_asked_for(void **state)
{
    (void)state;
    struct config_agent_options o = with((struct config_agent_ours){
        .emf_version = STR("1"),
        .emf_histograms = STR("buckets"),
        .emf_untyped = STR("gauge"),
        .emf_first_values = STR("true"),
        .emf_unselected = STR("drop"),
        .emf_storage_resolution = STR("1"),
        .emf_max_metrics = STR("100"),
        .log_retention_days = STR("14"),
        .shadow_log_group = STR("/shadow/{ClusterName}"),
        .shadow_namespace_suffix = STR("/Shadow"),
    });
    struct plan *p = good_with(EMF("\"metric_namespace\": \"Mine\""), &o);
    const struct plan_emf *e = emf(p);
    assert_true(e->version_1 && e->untyped_as_gauge && e->first_values && e->drop_unselected && e->high_resolution);
    assert_int_equal(e->histograms, EMF_HISTOGRAMS_BUCKETS);
    assert_int_equal(e->max_metrics, 100);
    assert_int_equal(p->cloudwatch[0].retention_days, 14);
    assert_str_c(e->log_group, "/shadow/{ClusterName}");
    assert_str_c(e->name_space, "Mine/Shadow");
    struct plan *plain = good(EMF("\"metric_namespace\": \"Mine\""));
    assert_true(emf(plain)->shape_hash != e->shape_hash);
    assert_true(plain->cloudwatch[0].hash == p->cloudwatch[0].hash);
    plan_unref(plain);
    plan_unref(p);
}

static void variables_that_are_mistyped(void **state)
{
    (void)state;
    struct config_agent_options o = with((struct config_agent_ours){.emf_version = STR("2"),
                                                                    .emf_max_metrics = STR("many"),
                                                                    .log_retention_days = STR("2"),
                                                                    .prometheus_to = STR("log"),
                                                                    .shadow_log_group = STR("a b")});
    const char *text = EMF("");
    struct told t = tell(&text, 1, &o);
    assert_null(t.plan);
    assert_int_equal(t.errors.n, 5);
    assert_string_equal(t.errors.v[0].file, "LEADLINE_EMF_VERSION");
    assert_string_equal(t.errors.v[0].text, "\"2\" is none of 0, 1");
    assert_string_equal(t.errors.v[1].file, "LEADLINE_EMF_MAX_METRICS");
    assert_string_equal(t.errors.v[2].file, "LEADLINE_LOG_RETENTION_DAYS");
    assert_string_equal(t.errors.v[3].text, "\"log\" is none of logs, metrics, both");
    assert_string_equal(t.errors.v[4].file, "--shadow-log-group");
    forget(&t);
}

#define COUNTED DECLARED(SELECTED ", \"dimensions\": [[\"a\"]]")

static void put_metric_data_in_place_of_events(void **state)
{
    (void)state;
    struct config_agent_options o = with((struct config_agent_ours){.prometheus_to = STR("metrics")});
    struct plan *p = good_with(COUNTED, &o);
    assert_int_equal(p->n_cloudwatch, 1);
    assert_int_equal(p->cloudwatch[0].kind, CLOUDWATCH_METRICS);
    assert_int_equal(p->cloudwatch[0].pipelines, 1);
    assert_int_equal(p->cloudwatch[0].flush_ms, 60000);
    assert_str_c(p->cloudwatch[0].emf->name_space, "ECS/ContainerInsights/Prometheus");
    plan_unref(p);
    o.ours.metrics_namespace = STR("Other");
    p = good_with(COUNTED, &o);
    assert_str_c(p->cloudwatch[0].emf->name_space, "Other");
    plan_unref(p);
}

static void both_into_one_namespace_count_twice(void **state)
{
    (void)state;
    struct config_agent_options o = with((struct config_agent_ours){.prometheus_to = STR("both")});
    refused(COUNTED, &o, ERR_SYNTAX,
            "LEADLINE_PROMETHEUS_TO:1:1: both would count twice: events and PutMetricData into the same namespace "
            "\"ECS/ContainerInsights/Prometheus\" with the same dimensions; set LEADLINE_METRICS_NAMESPACE, or "
            "disable_metric_extraction\n");
    struct plan *p = good_with("{\"logs\": {\"metrics_collected\": {\"prometheus\": {\"prometheus_config_path\": "
                               "\"env:ONE\", \"disable_metric_extraction\": true, \"emf_processor\": "
                               "{\"metric_declaration\": [{" SELECTED ", \"dimensions\": [[]]}]}}}}}",
                               &o);
    assert_int_equal(p->n_cloudwatch, 2);
    assert_true(p->cloudwatch[0].emf->no_directives);
    assert_false(p->cloudwatch[1].emf->no_directives);
    plan_unref(p);
    o.ours.metrics_namespace = STR("Other");
    p = good_with(COUNTED, &o);
    assert_int_equal(p->n_cloudwatch, 2);
    plan_unref(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_those_of_a_task),
        cmocka_unit_test(the_group_has_the_tasks_cluster_whatever_the_name),
        cmocka_unit_test(outside_of_ecs),
        cmocka_unit_test(a_declaration_is_read),
        cmocka_unit_test(what_the_agent_passes_over_is_told),
        cmocka_unit_test(thirty_dimensions_and_no_more),
        cmocka_unit_test(patterns_that_do_not_compile),
        cmocka_unit_test(the_schema_is_closed),
        cmocka_unit_test(names_of_log_groups),
        cmocka_unit_test(files_by_variable),
        cmocka_unit_test(files_by_path),
        cmocka_unit_test(what_is_asked_for),
        cmocka_unit_test(variables_that_are_mistyped),
        cmocka_unit_test(put_metric_data_in_place_of_events),
        cmocka_unit_test(both_into_one_namespace_count_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

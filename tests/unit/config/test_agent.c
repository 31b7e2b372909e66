/* The CloudWatch agent's JSON: what ecs_service_discovery means, its defaults, and what is refused in which words. */
#include "unit/config/told.h"

#include "base/mem.h"
#include "world.h"

#define SD(keys) "{\"logs\": {\"metrics_collected\": {\"prometheus\": {\"ecs_service_discovery\": {" keys "}}}}}"

/* ---- what is read ---- */

static void defaults_are_the_agents(void **state)
{
    (void)state;
    struct plan *p = good(SD("\"docker_label\": {}"));
    const struct plan_ecs_agent_sd *sd = p->ecs_agent;
    assert_int_equal(sd->frequency_ms, 60000);
    assert_str_c(sd->result_file, "/tmp/cwagent_ecs_auto_sd.yaml");
    assert_int_equal(sd->n_clusters, 1);
    assert_str_c(sd->clusters[0].name, "own");
    assert_str_c(sd->clusters[0].aws.region, "eu-west-1");
    assert_int_equal(sd->clusters[0].aws.role_arn.n, 0);
    assert_true(sd->by_docker_label);
    assert_str_c(sd->port_label, "ECS_PROMETHEUS_EXPORTER_PORT");
    assert_str_c(sd->metrics_path_label, "ECS_PROMETHEUS_METRICS_PATH");
    assert_str_c(sd->job_name_label, "job");
    assert_int_equal(sd->n_definitions + sd->n_services, 0);
    plan_unref(p);
}

static void every_key_is_read(void **state)
{
    (void)state;
    struct plan *p =
        good(SD("\"sd_frequency\": \"1m30s\", \"sd_target_cluster\": \"demo\", \"sd_cluster_region\": \"us-east-1\", "
                "\"sd_result_file\": \"/x/${STAGE}.yaml\", "
                "\"docker_label\": {\"sd_port_label\": \"P\", \"sd_metrics_path_label\": \"M\", "
                "\"sd_job_name_label\": \"J\"}, "
                "\"task_definition_list\": [{\"sd_task_definition_arn_pattern\": \"-${STAGE}:[0-9]+$\", "
                "\"sd_metrics_ports\": \"9901; 9902;99999\", \"sd_container_name_pattern\": \"^envoy$\", "
                "\"sd_metrics_path\": \"/stats\", \"sd_job_name\": \"mesh\"}], "
                "\"service_name_list_for_tasks\": [{\"sd_service_name_pattern\": \"nginx\", \"sd_metrics_ports\": "
                "\"9113\"}, {\"sd_service_name_pattern\": \"\", \"sd_metrics_ports\": \"1\"}]"));
    const struct plan_ecs_agent_sd *sd = p->ecs_agent;
    assert_int_equal(sd->frequency_ms, 90000);
    assert_str_c(sd->clusters[0].name, "demo");
    assert_str_c(sd->clusters[0].aws.region, "us-east-1");
    assert_str_c(sd->result_file, "/x/blue.yaml");
    assert_str_c(sd->port_label, "P");
    assert_str_c(sd->metrics_path_label, "M");
    assert_str_c(sd->job_name_label, "J");
    assert_int_equal(sd->n_definitions, 1);
    const struct plan_ecs_match *d = &sd->definitions[0];
    assert_str_c(d->pattern_text, "-blue:[0-9]+$");
    assert_true(regex_match(d->pattern, STR("arn:aws:ecs:eu-west-1:1:task-definition/app-blue:7")));
    assert_false(regex_match(d->pattern, STR("arn:aws:ecs:eu-west-1:1:task-definition/app-green:7")));
    assert_true(regex_match(d->container_pattern, STR("envoy")));
    assert_false(regex_match(d->container_pattern, STR("my-envoy")));
    assert_int_equal(d->ports.n, 2);
    assert_int_equal(d->ports.v[1], 9902);
    assert_str_c(d->metrics_path, "/stats");
    assert_str_c(d->job_name, "mesh");
    assert_int_equal(p->n_warnings, 2);
    assert_str_c(p->warnings[0],
                 "a.json:1: there is no prometheus_config_path and no /etc/cwagentconfig/prometheus.yaml: "
                 "nothing is scraped, targets are only written to sd_result_file");
    assert_str_c(p->warnings[1], "a.json:1: sd_metrics_ports: 99999 is beyond 65535: no container has this port");
    assert_int_equal(sd->n_services, 2);
    assert_true(regex_match(sd->services[0].pattern, STR("my-nginx-2")));
    assert_null(sd->services[0].container_pattern);
    assert_true(regex_match(sd->services[1].pattern, STR("anything")));
    assert_int_equal(sd->services[1].metrics_path.n + sd->services[1].job_name.n, 0);
    plan_unref(p);
}

static void what_stands_around_it(void **state)
{
    (void)state;
    static const struct config_agent_options alone = {.cluster = STR("own")};
    struct plan *p = good_with("{\"agent\": {\"region\": \"us-west-2\", \"whatever\": [1]}, \"logs\": "
                               "{\"metrics_collected\": {\"prometheus\": {\"cluster_name\": \"other\", "
                               "\"ecs_service_discovery\": {\"docker_label\": {}}}}}, \"csm\": {}}",
                               &alone);
    assert_str_c(p->ecs_agent->clusters[0].name, "own");
    assert_str_c(p->ecs_agent->clusters[0].aws.region, "us-west-2");
    assert_warned(p, "csm has no effect");
    plan_unref(p);

    p = good("{\"agent\": {\"debug\": true}}");
    assert_null(p->ecs_agent);
    plan_unref(p);
    p = good("{\"logs\": {\"metrics_collected\": {\"prometheus\": null}}}");
    assert_null(p->ecs_agent);
    plan_unref(p);
}

static void sources_are_merged(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{\"agent\": {\"debug\": true, \"region\": \"r1\"}}",
        SD("\"docker_label\": {\"sd_port_label\": \"P\", \"sd_job_name_label\": \"J\"}"),
        SD("\"docker_label\": {\"sd_job_name_label\": \"J\", \"sd_port_label\": \"P\"}"),
    };
    struct told t = tell(texts, 3, &in_a_task);
    assert_non_null(t.plan);
    assert_true(t.debug);
    assert_str_c(t.plan->ecs_agent->port_label, "P");
    forget(&t);

    static const char *const contrary[] = {SD("\"docker_label\": {}"), SD("\"task_definition_list\": []")};
    t = tell(contrary, 2, &in_a_task);
    assert_null(t.plan);
    assert_string_equal(t.errors.v[0].file, "b.json");
    assert_string_equal(t.errors.v[0].text,
                        "Different values are specified for ecs_service_discovery: the other is in a.json:1");
    forget(&t);
}

/* ---- what is refused ---- */

static void errors_have_the_agents_words(void **state)
{
    (void)state;
    bad(SD("\"docker_label\": {}, \"sd_frequncy\": \"1m\""),
        "1:94: Additional property \"sd_frequncy\" is not allowed\n");
    bad(SD("\"docker_label\": {}, \"sd_frequency\": 60"),
        "1:110: sd_frequency: Invalid type. Expected: string, given: integer\n");
    bad(SD("\"docker_label\": null"), "1:90: docker_label: Invalid type. Expected: object, given: null\n");
    bad(SD("\"docker_label\": {}, \"sd_frequency\": \"-1m\""),
        "1:110: Invalid ECS service discovery frequency: \"-1m\" is not more than 0\n");
    bad(SD("\"task_definition_list\": [{}]"), "1:99: sd_task_definition_arn_pattern is not defined.\n"
                                              "1:99: mandatory key: sd_metrics_ports is not defined.\n");
    bad(SD("\"service_name_list_for_tasks\": [{\"sd_metrics_ports\": \"1\"}, 5]"),
        "1:106: sd_service_name_pattern is not defined.\n"
        "1:133: service_name_list_for_tasks: Invalid type. Expected: object, given: integer\n");
    bad("{\"logs\": {\"metrics_collected\": {\"prometheus\": {\"bogus\": 1}}, \"more\": 2}}",
        "1:48: Additional property \"bogus\" is not allowed\n1:62: Additional property \"more\" is not allowed\n");
    bad("{\"agent\": {\"region\": \"\", \"credentials\": {\"role_arn\": \"short\"}}}",
        "1:22: region: String length must be greater than or equal to 1\n"
        "1:54: role_arn: String length must be greater than or equal to 20\n");
    bad(" ", "1:1: there is no JSON in it\n");
    bad("[]", "1:1: Invalid type. Expected: object, given: array\n");
}

static void ports_are_a_list(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",    "0",      "080", "9090,9091", " 9090", "9090 ;9091", "9090;",
                                        ";80", "123456", "+80", "80x",       "-1",    "80;;81",     "80; "};
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        AUTO_BUF text = {0};
        buf_printf(&text,
                   SD("\"service_name_list_for_tasks\": [{\"sd_service_name_pattern\": \"x\", "
                      "\"sd_metrics_ports\": \"%s\"}]"),
                   wrong[i]);
        const char *p = text.p;
        struct told t = tell(&p, 1, &in_a_task);
        if (t.plan)
            fail_msg("\"%s\" was taken", wrong[i]);
        assert_non_null(strstr(t.errors.v[0].text, "does not follow pattern"));
        forget(&t);
    }
}

static void a_pattern_that_does_not_compile(void **state)
{
    (void)state;
    bad(SD("\n\"task_definition_list\": [{\"sd_task_definition_arn_pattern\": \"*memcached.*\", "
           "\"sd_metrics_ports\": \"1\",\n\"sd_container_name_pattern\": \"(\"}]"),
        "2:61: sd_task_definition_arn_pattern: error parsing regexp: missing argument to repetition operator: `*`\n"
        "3:30: sd_container_name_pattern: error parsing regexp: missing closing ): `(`\n");
}

static void what_leaves_the_agent_without_discovery(void **state)
{
    (void)state;
    struct plan *p = good(SD("\"docker_label\": {}, \"sd_frequency\": \"often\""));
    assert_null(p->ecs_agent);
    assert_warned(p, "a.json:1: Invalid ECS service discovery frequency: time: invalid duration \"often\": nothing is "
                     "discovered");
    plan_unref(p);
    p = good(SD(""));
    assert_null(p->ecs_agent);
    assert_warned(p, "Neither docker label based discovery, nor task definition based discovery, nor service name");
    plan_unref(p);
}

static void sections_that_are_not_done_are_named(void **state)
{
    (void)state;
    refused("{\"traces\": {},\n\"logs\": {\"logs_collected\": {}, \"metrics_collected\": {\"ecs\": {}, \"otlp\": 1}},\n"
            "\"metrics\": {\"metrics_collected\": {\"cpu\": {}, \"otlp\": []}}, \"opentelemetry\": {}}",
            &in_a_task, ERR_UNSUPPORTED,
            "1:12: traces: not supported by leadline: it takes no traces: keep the CloudWatch agent for them with a "
            "configuration of its own, and remove traces here\n"
            "2:28: logs_collected: not supported by leadline: it does not collect log files: keep the CloudWatch agent "
            "for them with a configuration of its own, and remove logs.logs_collected here\n"
            "2:61: ecs: not supported by leadline: it collects no Container Insights: switch them on in the cluster's "
            "settings, and remove logs.metrics_collected.ecs here (beside prometheus it breaks that in the agent)\n"
            "2:73: otlp: not supported by leadline: cloudwatch-agent takes no OTLP: keep the CloudWatch agent for it "
            "with a configuration of its own, and remove logs.metrics_collected.otlp here\n"
            "3:42: cpu: not supported by leadline: it collects no metrics of hosts and processes: keep the CloudWatch "
            "agent for them with a configuration of its own, and remove metrics.metrics_collected.cpu here\n"
            "3:54: otlp: not supported by leadline: cloudwatch-agent takes no OTLP: keep the CloudWatch agent for it "
            "with a configuration of its own, and remove metrics.metrics_collected.otlp here\n"
            "3:77: opentelemetry: not supported by leadline: it has no opentelemetry section: scrape by "
            "logs.metrics_collected.prometheus, or to AMP by metrics.metrics_collected.prometheus, and remove "
            "opentelemetry here\n");
}

static void what_the_schema_wants_of_sections(void **state)
{
    (void)state;
    bad("{\"logs\": {}}", "1:10: logs: one of logs_collected and metrics_collected is required\n");
    bad("{\"metrics\": {}}", "1:13: metrics: metrics_collected is required\n");
    bad("{\"metrics\": {\"metrics_collected\": {}, \"metrics_destinations\": {}}}",
        "1:35: metrics_collected: Must have at least 1 properties\n"
        "1:63: metrics_destinations: Must have at least 1 properties\n");
    bad("{\"metrics\": {\"metrics_collected\": {\"mine\": {}}}}", "1:44: mine: measurement is required\n");
    bad("{\"logs\": 5}", "1:10: logs: Invalid type. Expected: object, given: integer\n");
    bad("{\"logs\": {\"metrics_collected\": {}, \"force_flush_interval\": 0, \"endpoint_override\": \"x\"}}",
        "1:60: force_flush_interval: Must be greater than or equal to 1\n"
        "1:84: endpoint_override: String length must be greater than or equal to 4\n");

    struct plan *p = good("{\"metrics\": {\"metrics_collected\": {\"mine\": {\"measurement\": []}}}, \"other\": 1, "
                          "\"logs\": {\"metrics_collected\": {\"more\": 1}}, \"traces\": null}");
    assert_warned(p, "\"mine\" has no effect");
    assert_warned(p, "\"more\" has no effect");
    assert_warned(p, "\"other\" has no effect");
    assert_int_equal(p->n_cloudwatch, 0);
    plan_unref(p);
}

static void json_that_is_none(void **state)
{
    (void)state;
    bad("{\"agent\": {\"region\": \"r\"\n \"debug\": true}}",
        "2:2: json: invalid character '\"' after object key:value pair: expected ',' or '}' behind the value of "
        "\"region\"\n");
    bad("{\"agent\": {\"region\": \"r\",}}",
        "1:26: json: invalid character '}' looking for beginning of object key string: expected a key behind the comma "
        "(no comma may stand at the end), after \"region\"\n");
    bad("{\"agent\": {\"region\": \"r\"}",
        "1:26: json: unexpected end of JSON input: expected ',' or '}' behind the value of \"agent\"\n");
    bad("{\"agent\": // mine\n {}}", "1:11: json: invalid character '/' looking for beginning of value: expected a "
                                     "value (JSON has no comments), after \"agent\"\n");
}

static void outside_a_task_cluster_and_region_are_needed(void **state)
{
    (void)state;
    static const struct config_agent_options nowhere = {0};
    refused(SD("\"docker_label\": {}"), &nowhere, ERR_SYNTAX,
            "1:73: ECS Target Cluster Name is not defined: set sd_target_cluster, or run in an ECS task\n"
            "1:73: ECS Cluster Region is not defined: set sd_cluster_region, or run in an ECS task\n");
}

/* ---- LEADLINE_ECS_CLUSTERS ---- */

static struct config_agent_options in_clusters(const char *list)
{
    struct config_agent_options o = in_a_task;
    o.ours.ecs_clusters = str_c(list);
    return o;
}

static void clusters_by_name(void **state)
{
    (void)state;
    struct config_agent_options o =
        in_clusters(" web, batch@us-east-1 ,arn:aws:ecs:ap-south-1:1:cluster/far,web@us-east-1");
    struct plan *p = good_with(SD("\"docker_label\": {}"), &o);
    const struct plan_ecs_agent_sd *sd = p->ecs_agent;
    assert_int_equal(sd->n_clusters, 4);
    assert_str_c(sd->clusters[0].name, "web");
    assert_str_c(sd->clusters[0].aws.region, "eu-west-1");
    assert_str_c(sd->clusters[1].name, "batch");
    assert_str_c(sd->clusters[1].aws.region, "us-east-1");
    assert_str_c(sd->clusters[2].aws.region, "ap-south-1");
    plan_unref(p);
}

static void clusters_with_roles(void **state)
{
    (void)state;
    struct config_agent_options o =
        in_clusters("[{\"cluster\": \"web\", \"region\": \"us-east-1\", \"role_arn\": \"arn:aws:iam::2:role/r\", "
                    "\"external_id\": \"x\"}, {\"cluster\": \"here\"}]");
    struct plan *p = good_with(SD("\"docker_label\": {}, \"sd_target_cluster\": \"ignored\""), &o);
    const struct plan_ecs_agent_sd *sd = p->ecs_agent;
    assert_int_equal(sd->n_clusters, 2);
    assert_str_c(sd->clusters[0].aws.role_arn, "arn:aws:iam::2:role/r");
    assert_str_c(sd->clusters[0].aws.external_id, "x");
    assert_str_c(sd->clusters[1].aws.region, "eu-west-1");
    assert_warned(p, "sd_target_cluster has no effect");
    plan_unref(p);
}

static void bad_clusters(void **state)
{
    (void)state;
    static const struct {
        const char *list, *want;
    } cases[] = {
        {"a,,b", "LEADLINE_ECS_CLUSTERS:1:3: a cluster needs a name\n"},
        {"a, a", "LEADLINE_ECS_CLUSTERS:1:3: \"a\" is there twice\n"},
        {"[]", "LEADLINE_ECS_CLUSTERS:1:1: there is no cluster in the list\n"},
        {"[1]", "LEADLINE_ECS_CLUSTERS:1:2: Invalid type. Expected: object, given: integer\n"},
        {"[{\"cluster\": \"a\", \"external_id\": \"x\"}]",
         "LEADLINE_ECS_CLUSTERS:1:2: \"a\": external_id can only be used with role_arn\n"},
        {"[{\"cluster\": \"a\", \"role\": \"x\"}]",
         "LEADLINE_ECS_CLUSTERS:1:19: Additional property \"role\" is not allowed\n"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct config_agent_options o = in_clusters(cases[i].list);
        refused(SD("\"docker_label\": {}"), &o, ERR_SYNTAX, cases[i].want);
    }
}

/* ---- files ---- */

static void put(const struct world_folder *f, const char *name, const char *text)
{
    AUTO_BUF path = {0};
    buf_printf(&path, "%s/%s", f->path, name);
    assert_int_equal(file_replace(path.p, str_c(text), NULL), OK);
}

static void a_directory_is_read_as_the_agent_reads_it(void **state)
{
    (void)state;
    struct world_folder f = world_folder_new();
    struct arena a = {0};
    struct config_agent_source *found;
    uint32_t n;
    struct diag odd, d = {0};
    char inner[128];

    snprintf(inner, sizeof(inner), "%s/m", f.path);
    assert_int_equal(mkdir(inner, 0700), 0);
    put(&f, "m/inner", "{\"b\": 1}");
    put(&f, "a", "{\"a\": 1}");
    put(&f, "b.yaml", "global: {}");
    put(&f, "c.tmp", "{");
    assert_int_equal(config_agent_files(f.path, &a, &found, &n, &odd, &d), OK);
    assert_int_equal(n, 2);
    assert_str_c(found[0].text, "{\"a\": 1}");
    assert_str_c(found[1].text, "{\"b\": 1}");
    assert_string_equal(odd.text, "");

    put(&f, "b.yml", "global: {}");
    assert_int_equal(config_agent_files(f.path, &a, &found, &n, &odd, &d), OK);
    assert_int_equal(n, 1);
    assert_non_null(strstr(odd.file, "b.yml"));

    snprintf(inner, sizeof(inner), "%s/a", f.path);
    assert_int_equal(config_agent_files(inner, &a, &found, &n, &odd, &d), OK);
    assert_int_equal(n, 1);
    assert_int_equal(config_agent_files("/nonexistent/x", &a, &found, &n, &odd, &d), ERR_NOT_FOUND);
    arena_release(&a);
    world_folder_free(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_the_agents),
        cmocka_unit_test(every_key_is_read),
        cmocka_unit_test(what_stands_around_it),
        cmocka_unit_test(sources_are_merged),
        cmocka_unit_test(errors_have_the_agents_words),
        cmocka_unit_test(ports_are_a_list),
        cmocka_unit_test(a_pattern_that_does_not_compile),
        cmocka_unit_test(what_leaves_the_agent_without_discovery),
        cmocka_unit_test(sections_that_are_not_done_are_named),
        cmocka_unit_test(what_the_schema_wants_of_sections),
        cmocka_unit_test(json_that_is_none),
        cmocka_unit_test(outside_a_task_cluster_and_region_are_needed),
        cmocka_unit_test(clusters_by_name),
        cmocka_unit_test(clusters_with_roles),
        cmocka_unit_test(bad_clusters),
        cmocka_unit_test(a_directory_is_read_as_the_agent_reads_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

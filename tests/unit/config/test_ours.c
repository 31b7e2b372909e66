/* ecs_task_sd_configs and cloudmap_sd_configs, which the original does not have. */
#include "unit/config/read.h"

#define JOB(keys) "scrape_configs:\n  - job_name: a\n    " keys "\n"

static void a_task_is_asked_by_the_agents_labels(void **state)
{
    (void)state;
    struct plan *p = read_good(JOB("ecs_task_sd_configs: [{}]"));
    const struct plan_ecs_task_sd *sd = p->scrapes[0].discovery.ecs_task_sd;
    assert_int_equal(p->scrapes[0].discovery.n_ecs_task_sd, 1);
    assert_int_equal(sd->refresh_ms, 30000);
    assert_str_c(sd->port_label, "ECS_PROMETHEUS_EXPORTER_PORT");
    assert_str_c(sd->metrics_path_label, "ECS_PROMETHEUS_METRICS_PATH");
    assert_int_equal(sd->n_containers, 0);
    plan_unref(p);
}

static void containers_have_ports_by_name(void **state)
{
    (void)state;
    struct plan *p =
        read_good(JOB("ecs_task_sd_configs: [{refresh_interval: 5s, port_label: P, metrics_path_label: M, "
                      "containers: [{name: 'app.*', ports: [80, 65535], metrics_path: /m}, {ports: [1]}]}]"));
    const struct plan_ecs_task_sd *sd = p->scrapes[0].discovery.ecs_task_sd;
    assert_int_equal(sd->refresh_ms, 5000);
    assert_int_equal(sd->n_containers, 2);
    assert_true(regex_match(sd->containers[0].name, STR("app-1")));
    assert_false(regex_match(sd->containers[0].name, STR("my-app")));
    assert_int_equal(sd->containers[0].ports.n, 2);
    assert_int_equal(sd->containers[0].ports.v[1], 65535);
    assert_str_c(sd->containers[0].metrics_path, "/m");
    assert_true(regex_match(sd->containers[1].name, STR("anything")));
    plan_unref(p);
}

static void what_is_wrong_is_named_with_its_place(void **state)
{
    (void)state;
    assert_error(JOB("ecs_task_sd_configs: [{bogus: 1}]"), ERR_SYNTAX,
                 "field bogus not found in type ecs_task_sd_config");
    assert_error(JOB("ecs_task_sd_configs: [{containers: [{name: '(', ports: [1]}]}]"), ERR_SYNTAX,
                 "name: error parsing");
    assert_error(JOB("ecs_task_sd_configs: [{containers: [{ports: [65536]}]}]"), ERR_SYNTAX,
                 "ports: 65536 is not a port from 1 to 65535");
    assert_error(JOB("ecs_task_sd_configs: [{containers: [{name: a}]}]"), ERR_SYNTAX,
                 "ports must name at least one port");
    assert_error(JOB("ecs_task_sd_configs: [~]"), ERR_SYNTAX, "empty or null section in ecs_task_sd_configs");
    assert_error(JOB("cloudmap_sd_configs: [{}]"), ERR_SYNTAX, "namespaces must name at least one Cloud Map namespace");
    assert_error(JOB("cloudmap_sd_configs: [{namespaces: [a], health_status: healthy}]"), ERR_SYNTAX,
                 "health_status must be ALL, HEALTHY, UNHEALTHY or HEALTHY_OR_ELSE_ALL, not \"healthy\"");
    assert_error(JOB("cloudmap_sd_configs: [{namespaces: [a], access_key: x}]"), ERR_SYNTAX,
                 "access_key and secret_key belong together");
    assert_error(JOB("cloudmap_sd_configs: [{namespaces: [a], request_concurrency: 0}]"), ERR_SYNTAX,
                 "request_concurrency must be from 1 to 100");
}

static void cloud_map_is_listed_unless_health_matters(void **state)
{
    (void)state;
    struct plan *p = read_good(JOB("cloudmap_sd_configs: [{namespaces: [' a ', b], region: eu-west-1}, "
                                   "{namespaces: [c], health_status: HEALTHY_OR_ELSE_ALL, refresh_interval: 10s}]"));
    const struct plan_cloudmap_sd *sd = p->scrapes[0].discovery.cloudmap_sd;
    assert_int_equal(p->scrapes[0].discovery.n_cloudmap_sd, 2);
    assert_int_equal(sd[0].n_namespaces, 2);
    assert_str_c(sd[0].namespaces[0], "a");
    assert_str_c(sd[0].aws.region, "eu-west-1");
    assert_false(sd[0].discover);
    assert_false(sd[0].instance_without_port);
    assert_true(sd[1].discover);
    assert_int_equal(sd[1].health, CLOUDMAP_HEALTHY_OR_ALL);
    assert_int_equal(sd[1].refresh_ms, 10000);
    plan_unref(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_task_is_asked_by_the_agents_labels),
        cmocka_unit_test(containers_have_ports_by_name),
        cmocka_unit_test(what_is_wrong_is_named_with_its_place),
        cmocka_unit_test(cloud_map_is_listed_unless_health_matters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

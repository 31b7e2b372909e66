/* ecs_task_sd on a real loop, against a task metadata endpoint in the test: which containers are found, where, and what
 * becomes of bad ones. */
#include "unit.h"

#include "discover/discoverer.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "unit/discover/recorder.h"
#include "world.h"

struct bench {
    struct loop *loop;
    struct counters *counters;
    struct discover_totals totals;
    struct http_client *http;
    struct http_server *server;
    struct plan *plan;
    struct plan_ecs_task_sd config;
    struct target_consumer consumer;
    struct buf last; /* the group's labels, then the targets' labels, a line each */
    int updates;
    struct discoverer *d;
    const char *answer;
    int status;
    char uri[64];
};

static void on_update(struct target_consumer *self, struct target_groups *g)
{
    struct bench *b = CONTAINER_OF(self, struct bench, consumer);

    buf_clear(&b->last);
    for (uint32_t i = 0; i < g->n; i++) {
        labels_print(g->groups[i].labels, &b->last);
        for (uint32_t k = 0; k < g->groups[i].n_targets; k++) {
            buf_c(&b->last, "\n");
            labels_print(g->groups[i].targets[k], &b->last);
        }
    }
    target_groups_free(g);
    b->updates++;
}

static void on_call(void *ctx, struct http_call *call)
{
    struct bench *b = ctx;
    bool task = str_eq(http_call_path(call), STR("/v4/x/task"));
    http_call_answer(call, task ? b->status : 404, "application/json", str_c(task ? b->answer : ""));
}

static struct bench *open_bench(const char *answer)
{
    struct bench *b = NEW(struct bench);
    struct http_server_options o = {.address = STR("127.0.0.1:0")};
    struct diag d = {0};

    b->loop = loop_new("test");
    b->counters = counters_new();
    discover_totals_init(&b->totals, b->counters);
    b->http = http_client_new(b->loop, NULL, &(struct http_client_limits){.user_agent = "leadline/test"});
    b->plan = plan_new();
    b->consumer.update = on_update;
    b->answer = answer;
    b->status = 200;
    assert_int_equal(http_server_new(b->loop, NULL, &o, on_call, b, &b->server, &d), OK);
    snprintf(b->uri, sizeof(b->uri), "http://127.0.0.1:%d/v4/x", http_server_port(b->server));
    b->config = (struct plan_ecs_task_sd){.refresh_ms = 50,
                                          .port_label = STR("ECS_PROMETHEUS_EXPORTER_PORT"),
                                          .metrics_path_label = STR("ECS_PROMETHEUS_METRICS_PATH")};
    return b;
}

static void start(struct bench *b)
{
    struct discover_env env = {.loop = b->loop,
                               .counters = b->counters,
                               .totals = &b->totals,
                               .http = b->http,
                               .task_metadata_uri = b->uri[0] ? b->uri : NULL,
                               .config = STR("job")};
    b->d = discover_ecs_task_new(&env, b->plan, &b->config, &b->consumer);
}

static void close_bench(struct bench *b)
{
    b->d->stop(b->d);
    http_client_free(b->http);
    http_server_free(b->server);
    world_loop_free(b->loop);
    counters_free(b->counters);
    plan_unref(b->plan);
    buf_release(&b->last);
    free(b);
}

#define AWSVPC  "\"Networks\": [{\"NetworkMode\": \"awsvpc\", \"IPv4Addresses\": [\"10.0.0.7\"]}]"
#define RUNNING "\"KnownStatus\": \"RUNNING\", \"Type\": \"NORMAL\", "
#define TASK(containers)                                                                                               \
    "{\"Cluster\": \"demo\", \"TaskARN\": \"arn:t\", \"Family\": \"f\", \"Revision\": \"3\", \"Containers\": "         \
    "[" containers "]}"
#define GROUP                                                                                                          \
    "{__meta_ecs_task_arn=\"arn:t\", __meta_ecs_task_cluster=\"demo\", __meta_ecs_task_family=\"f\", "                 \
    "__meta_ecs_task_revision=\"3\"}"

static void says(struct bench *b, const char *want)
{
    world_until(b->loop, b->updates > 0);
    assert_string_equal(b->last.p, want);
}

static void test_a_docker_label_names_the_port_and_the_path(void **state)
{
    (void)state;
    struct bench *b = open_bench(TASK("{\"Name\": \"app\", \"DockerId\": \"d1\", \"Image\": \"i:1\", " RUNNING AWSVPC
                                      ", \"Labels\": {\"ECS_PROMETHEUS_EXPORTER_PORT\": \"9100\", "
                                      "\"ECS_PROMETHEUS_METRICS_PATH\": \"/m\", \"a.b\": \"c\"}}, "
                                      "{\"Name\": \"other\", " RUNNING AWSVPC ", \"Labels\": {}}"));
    start(b);
    says(b, GROUP "\n{__address__=\"127.0.0.1:9100\", __meta_ecs_task_container_id=\"d1\", "
                  "__meta_ecs_task_container_image=\"i:1\", "
                  "__meta_ecs_task_container_label_ECS_PROMETHEUS_EXPORTER_PORT=\"9100\", "
                  "__meta_ecs_task_container_label_ECS_PROMETHEUS_METRICS_PATH=\"/m\", "
                  "__meta_ecs_task_container_label_a_b=\"c\", __meta_ecs_task_container_name=\"app\", "
                  "__metrics_path__=\"/m\"}");
    close_bench(b);
}

static void test_a_list_names_the_ports_of_containers(void **state)
{
    (void)state;
    struct bench *b =
        open_bench(TASK("{\"Name\": \"app\", " RUNNING AWSVPC "}, {\"Name\": \"app2\", " RUNNING AWSVPC "}"));
    uint16_t ports[] = {8080, 8080, 9090};
    struct plan_task_containers containers = {.ports = {ports, 3}, .metrics_path = STR("/p")};
    assert_int_equal(regex_new(STR("app"), &containers.name, NULL), OK);
    b->config.containers = &containers;
    b->config.n_containers = 1;
    start(b);
    says(b,
         GROUP "\n{__address__=\"127.0.0.1:8080\", __meta_ecs_task_container_name=\"app\", __metrics_path__=\"/p\"}"
               "\n{__address__=\"127.0.0.1:9090\", __meta_ecs_task_container_name=\"app\", __metrics_path__=\"/p\"}");
    close_bench(b);
    regex_free(containers.name);
}

static void test_a_bridge_container_is_found_at_its_own_address(void **state)
{
    (void)state;
    struct bench *b =
        open_bench(TASK("{\"Name\": \"app\", " RUNNING
                        "\"Networks\": [{\"NetworkMode\": \"bridge\", \"IPv4Addresses\": [\"172.17.0.3\"]}], "
                        "\"Labels\": {\"ECS_PROMETHEUS_EXPORTER_PORT\": \"80\"}}"));
    start(b);
    world_until(b->loop, b->updates > 0);
    assert_non_null(strstr(b->last.p, "__address__=\"172.17.0.3:80\""));
    close_bench(b);
}

static void test_what_cannot_be_scraped_is_left_out(void **state)
{
    static const char *const bad[] = {"0", "65536", " 80", "80 ", "x", "", "99999999999999999999", "-1"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        char answer[1024];
        snprintf(answer, sizeof(answer),
                 TASK("{\"Name\": \"app\", " RUNNING AWSVPC
                      ", \"Labels\": {\"ECS_PROMETHEUS_EXPORTER_PORT\": \"%s\"}}, "
                      "{\"Name\": \"late\", \"KnownStatus\": \"PULLED\", " AWSVPC
                      ", \"Labels\": {\"ECS_PROMETHEUS_EXPORTER_PORT\": \"80\"}}, 7, "
                      "{\"Name\": \"nowhere\", " RUNNING "\"Labels\": {\"ECS_PROMETHEUS_EXPORTER_PORT\": \"80\"}}"),
                 bad[i]);
        struct bench *b = open_bench(answer);
        start(b);
        says(b, GROUP);
        assert_true(counters_sum(b->counters, "leadline_sd_skipped_total", NULL, 0) == 2 * b->updates);
        close_bench(b);
    }
}

static void test_what_fails_keeps_the_last_good(void **state)
{
    static const char *const bad[] = {"", "[]", "{}", "{\"Containers\": ", "7"};
    (void)state;
    struct bench *b = open_bench(TASK(""));
    start(b);
    says(b, GROUP);
    for (size_t i = 0; i <= COUNT_OF(bad); i++) {
        struct discover_status s;
        b->answer = i < COUNT_OF(bad) ? bad[i] : TASK("");
        b->status = i < COUNT_OF(bad) ? 200 : 500;
        b->d->status(b->d, &s);
        uint64_t failures = s.failures;
        world_until(b->loop, (b->d->status(b->d, &s), s.failures > failures + 1));
        assert_true(s.last_error.n > 0);
        assert_string_equal(b->last.p, GROUP);
    }
    close_bench(b);
}

static void test_outside_a_task_it_says_so(void **state)
{
    struct discover_status s;
    (void)state;
    struct bench *b = open_bench("");
    b->uri[0] = '\0';
    start(b);
    world_until(b->loop, (b->d->status(b->d, &s), s.failures > 0));
    assert_non_null(strstr(s.last_error.p, "ECS_CONTAINER_METADATA_URI_V4 is not set"));
    close_bench(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_docker_label_names_the_port_and_the_path),
        cmocka_unit_test(test_a_list_names_the_ports_of_containers),
        cmocka_unit_test(test_a_bridge_container_is_found_at_its_own_address),
        cmocka_unit_test(test_what_cannot_be_scraped_is_left_out),
        cmocka_unit_test(test_what_fails_keeps_the_last_good),
        cmocka_unit_test(test_outside_a_task_it_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

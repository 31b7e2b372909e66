/* ecs_sd against a world of clusters in the test: which tasks become targets and with which labels (golden text, as
 * Prometheus 3.15 has them), what a refresh costs, and that nothing is lost to an answer that is an error, garbage, or
 * never ends. */
#include "unit.h"

#include "base/mem.h"
#include "discover/discoverer.h"
#include "discover/ecs_client.h"
#include "unit/discover/aws_bench.h"
#include "world.h"

struct bench {
    struct aws_bench base;
    struct plan_aws_sd config;
    struct str clusters[4];
    struct ecs_world world;
};

static struct bench *open_bench(uint32_t n_clusters)
{
    struct bench *b = NEW(struct bench);

    ecs_world_init(&b->world, n_clusters);
    aws_bench_open(&b->base, ecs_world_answer, &b->world);
    b->config = (struct plan_aws_sd){.role = AWS_SD_ECS, .port = 9100, .refresh_ms = 1, .request_concurrency = 20};
    return b;
}

static void start(struct bench *b)
{
    struct discover_env env = aws_bench_env(&b->base);

    b->config.clusters = b->clusters;
    b->base.d = discover_ecs_new(&env, b->base.plan, &b->config, &b->base.consumer);
    assert_int_equal(b->base.updates, 0);
}

static void close_bench(struct bench *b)
{
    aws_bench_close(&b->base);
    ecs_world_release(&b->world);
    free(b);
}

static double total(struct bench *b, const char *name)
{
    return counters_sum(b->base.counters, name, NULL, 0);
}

enum { RARELY = 3600 * 1000 };

/* ---- labels ---- */

#define CLUSTER_LABELS                                                                                                 \
    "__meta_ecs_cluster=\"demo\", __meta_ecs_cluster_arn=\"arn:aws:ecs:eu-west-1:123456789012:cluster/demo\", "
#define STATUS_LABELS "__meta_ecs_desired_status=\"RUNNING\", "

static void finds(enum world_kind kind, int service, const char *want)
{
    struct bench *b = open_bench(1);

    b->config.refresh_ms = RARELY;
    ecs_world_add(&b->world, 0, kind, service)->host = 7;
    start(b);
    world_until(b->base.loop, b->base.updates == 1);
    assert_string_equal(b->base.last.p, want);
    assert_int_equal(aws_bench_status(&b->base).failures, 0);
    close_bench(b);
}

static void test_a_service_on_fargate(void **state)
{
    (void)state;
    finds(
        WORLD_FARGATE, 3,
        "{__address__=\"10.0.0.0:9100\", __meta_ecs_availability_zone=\"eu-west-1a\", " CLUSTER_LABELS STATUS_LABELS
        "__meta_ecs_health_status=\"UNKNOWN\", __meta_ecs_ip_address=\"10.0.0.0\", __meta_ecs_last_status=\"RUNNING\", "
        "__meta_ecs_launch_type=\"FARGATE\", __meta_ecs_network_mode=\"awsvpc\", "
        "__meta_ecs_platform_family=\"Linux\", __meta_ecs_platform_version=\"1.4.0\", "
        "__meta_ecs_public_ip=\"198.51.100.0\", __meta_ecs_region=\"eu-west-1\", __meta_ecs_service=\"service3\", "
        "__meta_ecs_service_arn=\"arn:aws:ecs:eu-west-1:123456789012:service/demo/service3\", "
        "__meta_ecs_service_status=\"ACTIVE\", __meta_ecs_subnet_id=\"subnet-1\", "
        "__meta_ecs_tag_cluster_cost_centre=\"0\", __meta_ecs_tag_service_kind=\"k3\", "
        "__meta_ecs_tag_task_team=\"a\", "
        "__meta_ecs_task_arn=\"arn:aws:ecs:eu-west-1:123456789012:task/demo/task0\", "
        "__meta_ecs_task_definition=\"arn:aws:ecs:eu-west-1:123456789012:task-definition/web:5\", "
        "__meta_ecs_task_group=\"service:service3\"}\n");
}

static void test_a_task_in_a_bridge(void **state)
{
    (void)state;
    finds(WORLD_BRIDGE, -1,
          "{__address__=\"10.9.0.7:9100\", __meta_ecs_availability_zone=\"eu-west-1a\", " CLUSTER_LABELS
          "__meta_ecs_container_instance_arn=\"arn:aws:ecs:eu-west-1:123456789012:container-instance/demo/"
          "host7\", " STATUS_LABELS
          "__meta_ecs_ec2_instance_id=\"i-7\", __meta_ecs_ec2_instance_private_ip=\"10.9.0.7\", "
          "__meta_ecs_ec2_instance_public_ip=\"203.0.113.7\", __meta_ecs_ec2_instance_type=\"t3.small\", "
          "__meta_ecs_health_status=\"UNKNOWN\", __meta_ecs_ip_address=\"10.9.0.7\", "
          "__meta_ecs_last_status=\"RUNNING\", __meta_ecs_launch_type=\"EC2\", __meta_ecs_network_mode=\"bridge\", "
          "__meta_ecs_public_ip=\"203.0.113.7\", __meta_ecs_region=\"eu-west-1\", __meta_ecs_subnet_id=\"subnet-9\", "
          "__meta_ecs_tag_cluster_cost_centre=\"0\", __meta_ecs_tag_ec2_Name=\"host 7\", "
          "__meta_ecs_tag_task_team=\"a\", "
          "__meta_ecs_task_arn=\"arn:aws:ecs:eu-west-1:123456789012:task/demo/task0\", "
          "__meta_ecs_task_definition=\"arn:aws:ecs:eu-west-1:123456789012:task-definition/web:1\", "
          "__meta_ecs_task_group=\"family:web\"}\n");
}

static void test_awsvpc_on_a_host(void **state)
{
    (void)state;
    finds(WORLD_EC2_AWSVPC, -1,
          "{__address__=\"10.0.0.0:9100\", __meta_ecs_availability_zone=\"eu-west-1a\", " CLUSTER_LABELS
          "__meta_ecs_container_instance_arn=\"arn:aws:ecs:eu-west-1:123456789012:container-instance/demo/"
          "host7\", " STATUS_LABELS
          "__meta_ecs_ec2_instance_id=\"i-7\", __meta_ecs_ec2_instance_private_ip=\"10.9.0.7\", "
          "__meta_ecs_ec2_instance_public_ip=\"203.0.113.7\", __meta_ecs_ec2_instance_type=\"t3.small\", "
          "__meta_ecs_health_status=\"UNKNOWN\", __meta_ecs_ip_address=\"10.0.0.0\", "
          "__meta_ecs_last_status=\"RUNNING\", __meta_ecs_launch_type=\"EC2\", __meta_ecs_network_mode=\"awsvpc\", "
          "__meta_ecs_public_ip=\"198.51.100.0\", __meta_ecs_region=\"eu-west-1\", __meta_ecs_subnet_id=\"subnet-1\", "
          "__meta_ecs_tag_cluster_cost_centre=\"0\", __meta_ecs_tag_ec2_Name=\"host 7\", "
          "__meta_ecs_tag_task_team=\"a\", "
          "__meta_ecs_task_arn=\"arn:aws:ecs:eu-west-1:123456789012:task/demo/task0\", "
          "__meta_ecs_task_definition=\"arn:aws:ecs:eu-west-1:123456789012:task-definition/web:1\", "
          "__meta_ecs_task_group=\"family:web\"}\n");
}

/* On a machine outside AWS, and without an interface yet: no address, no target, and no harm to others. */
static void test_tasks_without_an_address(void **state)
{
    struct bench *b = open_bench(1);

    (void)state;
    b->config.refresh_ms = RARELY;
    ecs_world_add(&b->world, 0, WORLD_EXTERNAL, -1);
    ecs_world_add(&b->world, 0, WORLD_BARE, -1);
    ecs_world_add(&b->world, 0, WORLD_FARGATE, -1);
    ecs_world_add(&b->world, 0, WORLD_FARGATE, -1)->vanished = true;
    start(b);
    world_until(b->base.loop, b->base.updates == 1);
    assert_int_equal(b->base.n_targets, 1);
    assert_true(total(b, "leadline_sd_ecs_tasks_without_address") == 2);
    assert_null(strstr(b->base.fake.log.p, "DescribeInstances"));
    close_bench(b);
}

/* ---- which clusters ---- */

static void test_clusters_by_name_and_arn(void **state)
{
    struct bench *b = open_bench(3);

    (void)state;
    for (uint32_t i = 0; i < 3; i++)
        ecs_world_add(&b->world, i, WORLD_FARGATE, -1);
    b->clusters[0] = STR("demo");
    b->clusters[1] = STR("arn:aws:ecs:eu-west-1:123456789012:cluster/third");
    b->clusters[2] = STR("third");
    b->config.n_clusters = 3;
    b->config.aws.endpoint = STR("http://ecs.test");
    b->config.refresh_ms = RARELY;
    start(b);
    world_until(b->base.loop, b->base.updates == 1);
    assert_int_equal(b->base.n_targets, 2);
    assert_non_null(strstr(b->base.last.p, "__meta_ecs_cluster=\"demo\""));
    assert_non_null(strstr(b->base.last.p, "__meta_ecs_cluster=\"third\""));
    assert_non_null(
        strstr(b->base.last.p, "__meta_ecs_cluster_arn=\"arn:aws:ecs:eu-west-1:123456789012:cluster/demo\""));
    assert_null(strstr(b->base.fake.log.p, "ListClusters"));
    assert_string_equal(b->base.fake.last_endpoint, "http://ecs.test");
    assert_str_c(aws_bench_status(&b->base).about,
                 "region eu-west-1, clusters demo, arn:aws:ecs:eu-west-1:123456789012:cluster/third, "
                 "third");
    close_bench(b);
}

/* TLS and proxies of the configuration reach the calls, and are let go before they go. */
static void test_the_http_block(void **state)
{
    struct bench *b = open_bench(1);

    (void)state;
    b->config.http.tls.ca_file = STR("/ca.pem");
    start(b);
    aws_bench_refreshes(&b->base, 0);
    assert_ptr_equal(b->base.fake.last_http, &b->config.http);
    b->base.d->stop(b->base.d);
    b->base.d = NULL;
    assert_ptr_equal(b->base.fake.forgotten, &b->config.http);
    close_bench(b);
    b = open_bench(1);
    b->config.http.follow_redirects = b->config.http.enable_http2 = true;
    start(b);
    aws_bench_refreshes(&b->base, 0);
    assert_null(b->base.fake.last_http); /* the environment's */
    close_bench(b);
}

static void test_a_cluster_that_is_not_there(void **state)
{
    struct bench *b = open_bench(1);

    (void)state;
    ecs_world_add(&b->world, 0, WORLD_FARGATE, -1);
    b->clusters[0] = STR("nowhere");
    b->clusters[1] = STR("demo");
    b->config.n_clusters = 2;
    b->config.refresh_ms = RARELY;
    start(b);
    world_until(b->base.loop, b->base.updates == 1);
    assert_int_equal(b->base.n_targets, 1);
    assert_non_null(
        strstr(aws_bench_status(&b->base).last_error.p, "ecs ListTasks: ClusterNotFoundException: Cluster not found."));
    close_bench(b);
}

static void test_nothing_is_no_failure(void **state)
{
    struct bench *b = open_bench(0);

    (void)state;
    start(b);
    aws_bench_refreshes(&b->base, 1);
    assert_true(b->base.updates >= 1);
    assert_int_equal(aws_bench_status(&b->base).failures, 0);
    close_bench(b);
}

static void test_clusters_and_tasks_come_and_go(void **state)
{
    struct bench *b = open_bench(1);

    (void)state;
    ecs_world_add(&b->world, 0, WORLD_FARGATE, 0);
    ecs_world_add(&b->world, 1, WORLD_BRIDGE, -1)->host = 1;
    start(b);
    aws_bench_refreshes(&b->base, 0);
    assert_int_equal(b->base.n_targets, 1);
    b->world.n_clusters = 2;
    aws_bench_refreshes(&b->base, 1);
    assert_int_equal(b->base.n_targets, 2);
    b->world.tasks[0].vanished = true;
    aws_bench_refreshes(&b->base, 1);
    assert_int_equal(b->base.n_targets, 1);
    b->world.n_clusters = 0;
    aws_bench_refreshes(&b->base, 1);
    assert_int_equal(b->base.n_targets, 0);
    close_bench(b);
}

/* ---- pages, batches, cost ---- */

/* 5,000 tasks of 200 services in 3 clusters: the first refresh takes as few calls as the API's pages allow, the next
 * ones the lists and what may have changed. */
static void test_cost(void **state)
{
    struct bench *b = open_bench(3);

    (void)state;
    for (int i = 0; i < 5000; i++) {
        enum world_kind kind = i % 2 ? WORLD_FARGATE : WORLD_EC2_AWSVPC;
        ecs_world_add(&b->world, (uint32_t)i % 3, kind, i % 200)->host = (uint32_t)i % 150;
    }
    b->config.request_concurrency = 1000; /* the rate is not what is tested here */
    b->config.refresh_ms = 300;
    start(b);
    world_until(b->base.loop, b->base.updates == 1);
    assert_int_equal(b->base.n_targets, 5000);
    /* 1 ListClusters, 1 DescribeClusters; per cluster 17 + 17 of tasks, 20 of services, at most 2 of container
     * instances; 5000/200 interfaces, 150/200 hosts. */
    double calls = total(b, "leadline_sd_refresh_aws_calls"), lists = 1 + 3 * (17 + 17 + 20);
    if (calls > lists + 1 + 3 * 2 + 25 + 1)
        fail_msg("%g calls: %s", calls, b->base.fake.log.p);
    world_until(b->base.loop, b->base.updates >= 2);
    calls = total(b, "leadline_sd_refresh_aws_calls");
    if (calls > lists)
        fail_msg("%g calls in the steady state", calls);
    ecs_world_add(&b->world, 0, WORLD_FARGATE, 0); /* one more: one interface to ask for */
    world_until(b->base.loop, b->base.n_targets == 5001);
    calls = total(b, "leadline_sd_refresh_aws_calls");
    if (calls > lists + 1)
        fail_msg("%g calls after a change", calls);
    close_bench(b);
}

static void test_concurrency_and_rate(void **state)
{
    struct bench *b = open_bench(3);

    (void)state;
    for (uint32_t i = 0; i < 3000; i++)
        ecs_world_add(&b->world, i % 3, WORLD_FARGATE, -1);
    b->config.request_concurrency = 2;
    b->config.refresh_ms = RARELY;
    start(b);
    world_for(b->base.loop, 50);
    assert_true(b->base.fake.n_calls <= 3 * (2 * 4 + 1)); /* four seconds' worth of each family, and what 50 ms add */
    assert_int_equal(b->base.fake.most_running, 2);
    close_bench(b);
}

static void test_short_and_empty_pages(void **state)
{
    struct bench *b = open_bench(2);

    (void)state;
    for (uint32_t i = 0; i < 250; i++)
        ecs_world_add(&b->world, 1, WORLD_FARGATE, -1);
    b->world.page = 30;
    b->config.refresh_ms = RARELY;
    start(b);
    world_until(b->base.loop, b->base.updates == 1);
    assert_int_equal(b->base.n_targets, 250);
    const char *at = b->base.fake.log.p;
    int described = 0;
    while ((at = strstr(at, "DescribeTasks "))) {
        described++;
        at++;
    }
    assert_int_equal(described, 3); /* whole batches, whatever the pages */
    close_bench(b);
}

/* ---- faults ---- */

/* Each call answers with each kind of fault, after a good refresh: not one target or label is lost, and it is said. */
static void test_no_fault_loses_anything(void **state)
{
    static const char *const operations[] = {"ListClusters",      "ListTasks",
                                             "DescribeTasks",     "DescribeServices",
                                             "DescribeClusters",  "DescribeContainerInstances",
                                             "DescribeInstances", "DescribeNetworkInterfaces"};
    static const struct {
        int fault;
        const char *code;
    } faults[] = {{FAULT_CODE, "ThrottlingException"},
                  {FAULT_CODE, "AccessDeniedException"},
                  {FAULT_CODE, "ServerException"},
                  {FAULT_GARBAGE, NULL}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(operations) * COUNT_OF(faults); i++) {
        struct bench *b = open_bench(2);
        const char *operation = operations[i / COUNT_OF(faults)];
        ecs_world_add(&b->world, 0, WORLD_FARGATE, 1);
        ecs_world_add(&b->world, 0, WORLD_BRIDGE, -1)->host = 1;
        ecs_world_add(&b->world, 1, WORLD_EC2_AWSVPC, 2)->host = 2;
        start(b);
        aws_bench_refreshes(&b->base, 1);
        AUTO_BUF good = {0};
        buf_str(&good, buf_view(&b->base.last));
        assert_int_equal(b->base.n_targets, 3);
        b->world.fault_operation = operation;
        b->world.fault = faults[i % COUNT_OF(faults)].fault;
        b->world.fault_code = faults[i % COUNT_OF(faults)].code;
        ecs_world_add(&b->world, 0, WORLD_FARGATE, 1);
        ecs_world_add(&b->world, 1, WORLD_BRIDGE, 1)->host = 3;
        aws_bench_refreshes(&b->base, 2);
        for (const char *line = good.p; *line; line = strchr(line, '\n') + 1) {
            AUTO_BUF one = {0};
            buf_append(&one, line, (size_t)(strchr(line, '\n') - line));
            if (!strstr(b->base.last.p, one.p))
                fail_msg("%s, fault %zu: lost\n%s\nof\n%s", operation, i % COUNT_OF(faults), one.p, b->base.last.p);
        }
        bool asked = strcmp(operation, "DescribeClusters") != 0; /* known from before, not asked for again */
        if (asked && !strstr(aws_bench_status(&b->base).last_error.p, operation))
            fail_msg("%s: %s", operation, aws_bench_status(&b->base).last_error.p);
        b->world.fault = FAULT_NONE;
        aws_bench_refreshes(&b->base, 1);
        assert_int_equal(b->base.n_targets, 5);
        assert_int_equal(aws_bench_status(&b->base).last_error.n, 0);
        close_bench(b);
    }
}

static void test_a_cluster_fails_alone(void **state)
{
    struct bench *b = open_bench(2);

    (void)state;
    ecs_world_add(&b->world, 0, WORLD_FARGATE, -1);
    ecs_world_add(&b->world, 1, WORLD_FARGATE, -1);
    start(b);
    aws_bench_refreshes(&b->base, 0);
    b->world.fault_operation = "DescribeTasks";
    b->world.fault_cluster = "shop";
    b->world.fault = FAULT_CODE;
    b->world.fault_code = "ServerException";
    b->world.tasks[1].vanished = true; /* which nobody can know */
    ecs_world_add(&b->world, 0, WORLD_FARGATE, -1);
    aws_bench_refreshes(&b->base, 1);
    assert_int_equal(b->base.n_targets, 3);
    assert_true(total(b, "prometheus_sd_refresh_failures_total") >= 1);
    b->world.fault = FAULT_NONE;
    aws_bench_refreshes(&b->base, 1);
    assert_int_equal(b->base.n_targets, 2);
    close_bench(b);
}

static void test_a_token_that_repeats(void **state)
{
    struct bench *b = open_bench(1);

    (void)state;
    ecs_world_add(&b->world, 0, WORLD_FARGATE, -1);
    start(b);
    aws_bench_refreshes(&b->base, 0);
    b->world.fault_operation = "ListTasks";
    b->world.fault = FAULT_REPEAT;
    aws_bench_refreshes(&b->base, 1);
    assert_int_equal(b->base.n_targets, 1);
    assert_non_null(strstr(aws_bench_status(&b->base).last_error.p, "is one that was given before"));
    close_bench(b);
}

/* Without permission to ask EC2 tasks with interfaces of their own are found all the same. */
static void test_without_permissions_for_details(void **state)
{
    static const char *const operations[] = {"DescribeContainerInstances", "DescribeInstances",
                                             "DescribeNetworkInterfaces"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(operations); i++) {
        struct bench *b = open_bench(1);
        ecs_world_add(&b->world, 0, WORLD_FARGATE, -1);
        ecs_world_add(&b->world, 0, WORLD_EC2_AWSVPC, -1)->host = 1;
        b->world.fault_operation = operations[i];
        b->world.fault = FAULT_CODE;
        b->world.fault_code = i ? "UnauthorizedOperation" : "AccessDeniedException";
        start(b);
        aws_bench_refreshes(&b->base, 0);
        assert_int_equal(b->base.n_targets, 2);
        assert_non_null(strstr(aws_bench_status(&b->base).last_error.p, operations[i]));
        close_bench(b);
    }
}

static void test_without_a_session(void **state)
{
    struct bench *b = open_bench(1);

    (void)state;
    ecs_world_add(&b->world, 0, WORLD_FARGATE, -1);
    b->base.fake.refuse_session = true;
    start(b);
    aws_bench_refreshes(&b->base, 0);
    assert_str_c(aws_bench_status(&b->base).last_error, "access_key without secret_key");
    b->base.fake.refuse_session = false;
    aws_bench_refreshes(&b->base, 1);
    assert_int_equal(b->base.n_targets, 1);
    close_bench(b);
    b = open_bench(1);
    b->base.aws = NULL;
    start(b);
    aws_bench_refreshes(&b->base, 0);
    assert_str_c(aws_bench_status(&b->base).last_error, "this program has no access to AWS");
    close_bench(b);
}

static void test_stops_at_any_moment(void **state)
{
    (void)state;
    for (uint32_t calls = 0; calls < 12; calls++) {
        struct bench *b = open_bench(2);
        for (uint32_t i = 0; i < 250; i++)
            ecs_world_add(&b->world, i % 2, i % 3 ? WORLD_FARGATE : WORLD_BRIDGE, (int)i % 30)->host = i % 9;
        b->config.request_concurrency = 3;
        start(b);
        world_until(b->base.loop, b->base.fake.n_calls >= calls);
        b->base.d->stop(b->base.d);
        b->base.d = NULL;
        close_bench(b);
    }
}

/* ---- the client for other dialects ---- */

static void on_refreshed(void *ctx, const struct ecs_client_result *r)
{
    struct buf *out = ctx;

    buf_clear(out);
    buf_printf(out, "%u calls:", (unsigned)r->calls);
    for (uint32_t i = 0; i < r->n_clusters; i++)
        for (uint32_t k = 0; k < r->clusters[i]->n_tasks; k++) {
            const struct ecs_found *f = &r->clusters[i]->tasks[k];
            buf_printf(out, " %.*s %.*s %u", STR_ARGS(ecs_short_name(f->task.arn)),
                       STR_ARGS(f->definition ? f->definition->family : STR("?")),
                       f->definition ? f->definition->containers[0].ports[0].container_port : 0);
        }
}

static void test_definitions_are_asked_for_once(void **state)
{
    struct bench *b = open_bench(2);
    AUTO_BUF got = {0};
    struct ecs_client_options o = {
        .queue = {.loop = b->base.loop, .counters = b->base.counters, .mechanism = "other", .config = STR("x")},
        .definitions = true};

    (void)state;
    ecs_world_add(&b->world, 0, WORLD_FARGATE, 1);
    ecs_world_add(&b->world, 0, WORLD_FARGATE, 1);
    ecs_world_add(&b->world, 1, WORLD_FARGATE, 1);
    o.queue.session = (struct aws_session *)b->base.aws;
    struct ecs_client *c = ecs_client_new(&o);
    buf_c(&got, "");
    ecs_client_refresh(c, on_refreshed, &got);
    world_until(b->base.loop, got.n);
    assert_string_equal(got.p, "6 calls: task0 web 9404 task1 web 9404 task2 web 9404");
    buf_clear(&got);
    ecs_client_refresh(c, on_refreshed, &got);
    world_until(b->base.loop, got.n);
    assert_string_equal(got.p, "5 calls: task0 web 9404 task1 web 9404 task2 web 9404");
    ecs_client_free(c);
    close_bench(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_service_on_fargate),
        cmocka_unit_test(test_a_task_in_a_bridge),
        cmocka_unit_test(test_awsvpc_on_a_host),
        cmocka_unit_test(test_tasks_without_an_address),
        cmocka_unit_test(test_clusters_by_name_and_arn),
        cmocka_unit_test(test_the_http_block),
        cmocka_unit_test(test_a_cluster_that_is_not_there),
        cmocka_unit_test(test_nothing_is_no_failure),
        cmocka_unit_test(test_clusters_and_tasks_come_and_go),
        cmocka_unit_test(test_cost),
        cmocka_unit_test(test_concurrency_and_rate),
        cmocka_unit_test(test_short_and_empty_pages),
        cmocka_unit_test(test_no_fault_loses_anything),
        cmocka_unit_test(test_a_cluster_fails_alone),
        cmocka_unit_test(test_a_token_that_repeats),
        cmocka_unit_test(test_without_permissions_for_details),
        cmocka_unit_test(test_without_a_session),
        cmocka_unit_test(test_stops_at_any_moment),
        cmocka_unit_test(test_definitions_are_asked_for_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The CloudWatch agent's discovery as it runs: the result file follows what changes, a refresh costs no more calls than
 * it must, and no answer of AWS, however wrong, takes targets away. */
#include "unit.h"

#include <fcntl.h>

#include "base/mem.h"
#include "base/regex.h"
#include "discover/ecs_agent.h"
#include "unit/discover/aws_bench.h"
#include "world.h"

enum { RARELY = 3600 * 1000 };

struct bench {
    struct aws_bench base;
    struct plan_ecs_agent_sd config;
    struct plan_ecs_cluster clusters[4];
    struct plan_ecs_match definition, service;
    uint16_t port;
    struct world_folder folder;
    char path[128];
    struct ecs_world world;
};

static struct regex *pattern(const char *text)
{
    struct regex *re;
    assert_int_equal(regex_new_search(str_c(text), &re, NULL), OK);
    return re;
}

static struct bench *open_bench(uint32_t n_clusters)
{
    static const char *const names[] = {"demo", "shop", "third", "fourth"};
    struct bench *b = NEW(struct bench);

    b->folder = world_folder_new();
    snprintf(b->path, sizeof(b->path), "%s/targets.yaml", b->folder.path);
    ecs_world_init(&b->world, n_clusters);
    aws_bench_open(&b->base, ecs_world_answer, &b->world);
    for (uint32_t i = 0; i < n_clusters; i++)
        b->clusters[i] = (struct plan_ecs_cluster){.name = str_c(names[i]), .aws.region = STR("eu-west-1")};
    b->port = 9404;
    b->definition =
        (struct plan_ecs_match){.pattern_text = STR("web"), .pattern = pattern("web"), .ports = {&b->port, 1}};
    b->config = (struct plan_ecs_agent_sd){.frequency_ms = 1,
                                           .clusters = b->clusters,
                                           .n_clusters = n_clusters,
                                           .result_file = str_c(b->path),
                                           .definitions = &b->definition,
                                           .n_definitions = 1};
    return b;
}

static void start(struct bench *b)
{
    struct discover_env env = aws_bench_env(&b->base);

    b->base.d = discover_ecs_agent_new(&env, b->base.plan, &b->config, NULL);
}

static void close_bench(struct bench *b)
{
    aws_bench_close(&b->base);
    ecs_world_release(&b->world);
    world_folder_free(&b->folder);
    regex_free(b->definition.pattern);
    regex_free(b->service.pattern);
    free(b);
}

/* How many targets the file has; -1: there is none. */
static int in_file(struct bench *b)
{
    AUTO_BUF text = {0};
    int n = 0;

    if (file_read(b->path, 1 << 20, &text, NULL))
        return -1;
    for (const char *at = text.p; (at = strstr(at, "- targets:")); at++)
        n++;
    return n;
}

static bool file_says(struct bench *b, const char *what)
{
    AUTO_BUF text = {0};

    return file_read(b->path, 1 << 20, &text, NULL) == OK && strstr(text.p, what);
}

/* ---- the file ---- */

static void the_file_is_there_at_once_and_follows(void **state)
{
    (void)state;
    struct bench *b = open_bench(1);

    ecs_world_add(&b->world, 0, WORLD_FARGATE, -1);
    start(b);
    world_until(b->base.loop, in_file(b) == 1);
    assert_true(file_says(b, "    - 10.0.0.0:9404\n"));
    ecs_world_add(&b->world, 0, WORLD_FARGATE, 3);
    world_until(b->base.loop, in_file(b) == 2);
    assert_true(file_says(b, "    TaskGroup: service:service3\n"));
    assert_false(file_says(b, "ServiceName"));
    b->world.tasks[0].vanished = true;
    world_until(b->base.loop, in_file(b) == 1);
    b->world.tasks[1].vanished = true;
    world_until(b->base.loop, in_file(b) == 0);
    assert_true(file_says(b, "[]\n"));
    close_bench(b);
}

static void a_file_that_is_gone_is_written_again(void **state)
{
    (void)state;
    struct bench *b = open_bench(1);

    ecs_world_add(&b->world, 0, WORLD_FARGATE, -1);
    start(b);
    world_until(b->base.loop, in_file(b) == 1);
    assert_int_equal(unlink(b->path), 0);
    world_until(b->base.loop, in_file(b) == 1);
    close_bench(b);
}

static void a_file_that_cannot_be_written_is_tried_again(void **state)
{
    (void)state;
    struct bench *b = open_bench(1);
    char inner[160];

    snprintf(inner, sizeof(inner), "%s/later", b->folder.path);
    snprintf(b->path, sizeof(b->path), "%s/later/targets.yaml", b->folder.path);
    b->config.result_file = str_c(b->path);
    ecs_world_add(&b->world, 0, WORLD_FARGATE, -1);
    start(b);
    aws_bench_refreshes(&b->base, 2);
    assert_int_equal(in_file(b), -1);
    assert_int_equal(aws_bench_status(&b->base).failures, 0);
    assert_int_equal(mkdir(inner, 0700), 0);
    world_until(b->base.loop, in_file(b) == 1);
    close_bench(b);
}

static void hosts_and_services(void **state)
{
    (void)state;
    struct bench *b = open_bench(1);

    b->service =
        (struct plan_ecs_match){.pattern_text = STR("x"), .pattern = pattern("^service[12]$"), .ports = {&b->port, 1}};
    b->config.services = &b->service;
    b->config.n_services = 1;
    b->config.n_definitions = 0;
    b->world.n_services = 4;
    b->config.frequency_ms = RARELY;
    ecs_world_add(&b->world, 0, WORLD_EC2_AWSVPC, 1)->host = 7;
    ecs_world_add(&b->world, 0, WORLD_FARGATE, 3);
    start(b);
    world_until(b->base.loop, in_file(b) == 1);
    assert_true(file_says(b, "    ServiceName: service1\n"));
    assert_true(file_says(b, "    InstanceType: t3.small\n"));
    assert_true(file_says(b, "    VpcId: vpc-1\n"));
    close_bench(b);
}

/* ---- faults ---- */

static const char *const operations[] = {
    "ListTasks",         "DescribeTasks", "DescribeTaskDefinition", "DescribeContainerInstances",
    "DescribeInstances", "ListServices",  "DescribeServices"};

/* An error of one call costs no target, and the next good answer ends it. */
static void no_fault_takes_targets(void **state)
{
    (void)state;
    static const struct {
        int fault;
        const char *code;
    } faults[] = {{FAULT_CODE, "ThrottlingException"},
                  {FAULT_CODE, "AccessDeniedException"},
                  {FAULT_CODE, "InternalError"},
                  {FAULT_GARBAGE, NULL},
                  {FAULT_REPEAT, NULL}};

    for (size_t i = 0; i < COUNT_OF(faults); i++) {
        struct bench *b = open_bench(2);
        b->service =
            (struct plan_ecs_match){.pattern_text = STR("x"), .pattern = pattern("service"), .ports = {&b->port, 1}};
        b->config.services = &b->service;
        b->config.n_services = 1;
        b->world.n_services = 4;
        ecs_world_add(&b->world, 0, WORLD_FARGATE, 2);
        ecs_world_add(&b->world, 1, WORLD_EC2_AWSVPC, 1)->host = 7;
        start(b);
        world_until(b->base.loop, in_file(b) == 2);
        assert_true(file_says(b, "ServiceName: service1"));
        assert_true(file_says(b, "InstanceType"));
        for (size_t k = 0; k < COUNT_OF(operations); k++) {
            b->world.fault_operation = operations[k];
            b->world.fault_code = faults[i].code;
            b->world.fault = faults[i].fault;
            aws_bench_refreshes(&b->base, 3);
            assert_int_equal(in_file(b), 2);
            assert_true(file_says(b, "ServiceName: service1"));
            assert_true(file_says(b, "InstanceType"));
        }
        assert_true(aws_bench_status(&b->base).failures > 0);
        b->world.fault = FAULT_NONE;
        world_until(b->base.loop, aws_bench_status(&b->base).last_error.n == 0);
        assert_int_equal(in_file(b), 2);
        close_bench(b);
    }
}

static void a_file_from_before_survives_a_bad_start(void **state)
{
    (void)state;
    struct bench *b = open_bench(2);

    assert_int_equal(file_replace(b->path, STR("- targets: [\"1.2.3.4:5\"]\n"), NULL), OK);
    ecs_world_add(&b->world, 0, WORLD_FARGATE, -1);
    ecs_world_add(&b->world, 1, WORLD_FARGATE, -1);
    b->world.fault_operation = "ListTasks";
    b->world.fault_code = "ThrottlingException";
    b->world.fault = FAULT_CODE;
    start(b);
    aws_bench_refreshes(&b->base, 5);
    assert_true(file_says(b, "1.2.3.4:5"));
    b->world.fault_cluster = "shop";
    world_until(b->base.loop, file_says(b, "10.0.0.0:9404")); /* one alone, after two periods */
    assert_int_equal(in_file(b), 1);
    b->world.fault = FAULT_NONE;
    world_until(b->base.loop, in_file(b) == 2);
    close_bench(b);
}

static void a_cluster_that_fails_keeps_its_targets(void **state)
{
    (void)state;
    struct bench *b = open_bench(3);

    for (uint32_t i = 0; i < 3; i++)
        ecs_world_add(&b->world, i, WORLD_FARGATE, -1);
    start(b);
    world_until(b->base.loop, in_file(b) == 3);
    b->world.fault_operation = "DescribeTasks";
    b->world.fault_cluster = "shop";
    b->world.fault_code = "ServerException";
    b->world.fault = FAULT_CODE;
    aws_bench_refreshes(&b->base, 1);
    ecs_world_add(&b->world, 0, WORLD_FARGATE, -1);
    ecs_world_add(&b->world, 1, WORLD_FARGATE, -1);
    world_until(b->base.loop, in_file(b) == 4);
    aws_bench_refreshes(&b->base, 3);
    assert_int_equal(in_file(b), 4);
    b->world.fault = FAULT_NONE;
    world_until(b->base.loop, in_file(b) == 5);
    close_bench(b);
}

static void a_session_that_cannot_be_had_is_told(void **state)
{
    (void)state;
    struct bench *b = open_bench(1);

    b->base.fake.refuse_session = true;
    start(b);
    aws_bench_refreshes(&b->base, 1);
    assert_true(aws_bench_status(&b->base).failures > 0);
    assert_int_equal(in_file(b), -1);
    close_bench(b);
}

static uint32_t count_in(const char *path, const char *what)
{
    AUTO_BUF text = {0};
    uint32_t n = 0;

    assert_int_equal(file_read(path, 1 << 20, &text, NULL), OK);
    for (const char *at = text.p; (at = strstr(at, what)); at++)
        n++;
    return n;
}

static void what_is_left_out_is_said_once(void **state)
{
    (void)state;
    struct bench *b = open_bench(1);
    char path[160];

    snprintf(path, sizeof(path), "%s/log", b->folder.path);
    b->base.log = log_new(open(path, O_CREAT | O_WRONLY, 0600), LOG_INFO, LOG_LOGFMT);
    log_own_fd(b->base.log);
    for (int i = 0; i < 30; i++)
        ecs_world_add(&b->world, 0, WORLD_EXTERNAL, -1);
    start(b);
    world_until(b->base.loop, counters_sum(b->base.counters, "leadline_sd_skipped", NULL, 0) == 30);
    aws_bench_refreshes(&b->base, 4);
    b->base.d->stop(b->base.d);
    b->base.d = NULL;
    log_free(b->base.log);
    assert_int_equal(count_in(path, "left out of the targets"), 30);
    assert_int_equal(count_in(path, "task/demo/task7 "), 1);
    assert_int_equal(count_in(path, "ECS Anywhere"), 30);
    close_bench(b);
}

/* ---- cost ---- */

static uint32_t calls_named(struct bench *b, const char *operation)
{
    const struct counter_label label = {STR("call"), str_c(operation)};

    return (uint32_t)counters_sum(b->base.counters, "leadline_sd_aws_calls_total", &label, 1);
}

static void a_refresh_costs_what_pages_allow(void **state)
{
    (void)state;
    struct bench *b = open_bench(3);

    b->service =
        (struct plan_ecs_match){.pattern_text = STR("x"), .pattern = pattern("service"), .ports = {&b->port, 1}};
    b->config.services = &b->service;
    b->config.n_services = 1;
    b->world.n_services = 40;
    b->config.frequency_ms = 400;
    for (uint32_t i = 0; i < 900; i++) /* 300 a cluster, of 40 services each */
        ecs_world_add(&b->world, i % 3, i % 2 ? WORLD_EC2_AWSVPC : WORLD_FARGATE, (int)(i / 3 % 40))->host = i % 7;
    start(b);
    world_until(b->base.loop, in_file(b) == 900);
    assert_int_equal(calls_named(b, "ListTasks"), 3 * 3);
    assert_int_equal(calls_named(b, "DescribeTasks"), 3 * 3);
    assert_int_equal(calls_named(b, "ListServices"), 3);
    assert_int_equal(calls_named(b, "DescribeServices"), 3 * 4);
    assert_int_equal(calls_named(b, "DescribeContainerInstances"), 3);
    assert_int_equal(calls_named(b, "DescribeInstances"), 3);
    assert_int_equal(calls_named(b, "DescribeTaskDefinition"), 3 * 40);
    uint64_t steady = 9 + 9 + 3 + 12;
    world_until(b->base.loop,
                counters_sum(b->base.counters, "leadline_sd_refresh_aws_calls", NULL, 0) == (double)steady);
    assert_int_equal(calls_named(b, "DescribeTaskDefinition"), 3 * 40);
    assert_int_equal(calls_named(b, "DescribeInstances"), 3);
    close_bench(b);
}

static void without_services_none_are_asked(void **state)
{
    (void)state;
    struct bench *b = open_bench(1);

    b->config.frequency_ms = RARELY;
    ecs_world_add(&b->world, 0, WORLD_FARGATE, 1);
    start(b);
    world_until(b->base.loop, in_file(b) == 1);
    assert_string_equal(b->base.fake.log.p, "ListTasks DescribeTasks DescribeTaskDefinition ");
    close_bench(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_file_is_there_at_once_and_follows),
        cmocka_unit_test(a_file_that_is_gone_is_written_again),
        cmocka_unit_test(a_file_that_cannot_be_written_is_tried_again),
        cmocka_unit_test(hosts_and_services),
        cmocka_unit_test(no_fault_takes_targets),
        cmocka_unit_test(a_file_from_before_survives_a_bad_start),
        cmocka_unit_test(a_cluster_that_fails_keeps_its_targets),
        cmocka_unit_test(a_session_that_cannot_be_had_is_told),
        cmocka_unit_test(what_is_left_out_is_said_once),
        cmocka_unit_test(a_refresh_costs_what_pages_allow),
        cmocka_unit_test(without_services_none_are_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

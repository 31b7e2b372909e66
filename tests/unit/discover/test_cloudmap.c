/* cloudmap_sd against a world of namespaces in the test: which targets it makes and with which labels (golden text),
 * what a refresh costs, and that no target is lost to an answer that is an error, garbage, or never ends. */
#include "unit.h"

#include "base/mem.h"
#include "discover/cloudmap.h"
#include "unit/discover/aws_bench.h"
#include "unit/discover/fake_cloudmap.h"
#include "world.h"

struct bench {
    struct aws_bench base;
    struct plan_cloudmap_sd config;
    struct str names[4];
    struct map_world world;
    struct buf list; /* the sidecar's */
};

#define WEB "METRICS_PATH=/metrics METRICS_PORT=8080"

static void update(struct target_consumer *self, struct target_groups *g)
{
    struct bench *b = CONTAINER_OF(self, struct bench, base.consumer);

    buf_clear(&b->list);
    cloudmap_print(g, &b->list);
    aws_bench_update(self, g);
}

static struct bench *open_bench(void)
{
    struct bench *b = NEW(struct bench);

    map_world_init(&b->world);
    b->world.namespaces[0] = "shop";
    b->world.namespaces[1] = "other";
    b->world.n_namespaces = 2;
    aws_bench_open(&b->base, map_world_answer, &b->world);
    b->base.consumer.update = update;
    b->names[0] = STR("shop");
    b->config = (struct plan_cloudmap_sd){
        .refresh_ms = 1, .request_concurrency = 20, .namespaces = b->names, .n_namespaces = 1};
    return b;
}

/* web on 10.0.0.1 and 10.0.0.2, api on 10.0.1.1; plain is not scraped; elsewhere is in another namespace. */
static struct bench *open_shop(void)
{
    struct bench *b = open_bench();
    struct map_service *web = map_add_service(&b->world, 0, "web", WEB);

    map_add_instance(web, "task1", "\"AWS_INSTANCE_IPV4\": \"10.0.0.1\"");
    map_add_instance(web, "task2", "\"AWS_INSTANCE_IPV4\": \"10.0.0.2\"");
    map_add_instance(map_add_service(&b->world, 0, "api", WEB), "task3", "\"AWS_INSTANCE_IPV4\": \"10.0.1.1\"");
    map_add_instance(map_add_service(&b->world, 0, "plain", "team=a"), "task4", "\"AWS_INSTANCE_IPV4\": \"10.0.2.1\"");
    map_add_instance(map_add_service(&b->world, 1, "elsewhere", WEB), "task5", "\"AWS_INSTANCE_IPV4\": \"10.0.3.1\"");
    return b;
}

static void start(struct bench *b)
{
    struct discover_env env = aws_bench_env(&b->base);

    b->base.d = discover_cloudmap_new(&env, b->base.plan, &b->config, &b->base.consumer);
    assert_int_equal(b->base.updates, 0);
}

static void close_bench(struct bench *b)
{
    aws_bench_close(&b->base);
    map_world_release(&b->world);
    buf_release(&b->list);
    free(b);
}

static double skipped(struct bench *b, const char *reason)
{
    const struct counter_label label = {STR("reason"), str_c(reason)};

    return counters_sum(b->base.counters, "leadline_sd_cloudmap_skipped", &label, 1);
}

static uint32_t times(struct bench *b, const char *what)
{
    uint32_t n = 0;

    for (const char *at = b->world.asked.p; (at = strstr(at, what)); at++)
        n++;
    return n;
}

enum { RARELY = 3600 * 1000 };

static void once(struct bench *b)
{
    b->config.refresh_ms = RARELY;
    start(b);
    world_until(b->base.loop, aws_bench_status(&b->base).refreshes == 1);
}

/* ---- labels ---- */

static void test_labels_of_the_native_kind(void **state)
{
    (void)state;
    struct bench *b = open_bench();
    struct map_service *s = map_add_service(&b->world, 0, "web", WEB " cost:centre=7");
    map_add_instance(
        s, "0123abcd",
        "\"AWS_INSTANCE_IPV4\": \"10.0.0.1\", \"ECS_CLUSTER_NAME\": \"demo\", \"ECS_SERVICE_NAME\": \"web\", "
        "\"ECS_TASK_DEFINITION_FAMILY\": \"WebTask\", \"odd-key\": \"x\"");
    once(b);
    assert_string_equal(
        b->base.last.p,
        "{__address__=\"10.0.0.1:8080\", __meta_cloudmap_attribute_AWS_INSTANCE_IPV4=\"10.0.0.1\", "
        "__meta_cloudmap_attribute_ECS_CLUSTER_NAME=\"demo\", __meta_cloudmap_attribute_ECS_SERVICE_NAME=\"web\", "
        "__meta_cloudmap_attribute_ECS_TASK_DEFINITION_FAMILY=\"WebTask\", __meta_cloudmap_attribute_odd_key=\"x\", "
        "__meta_cloudmap_instance_id=\"0123abcd\", __meta_cloudmap_namespace=\"shop\", "
        "__meta_cloudmap_service_id=\"srv-000\", __meta_cloudmap_service_name=\"web\", "
        "__meta_cloudmap_tag_METRICS_PATH=\"/metrics\", __meta_cloudmap_tag_METRICS_PORT=\"8080\", "
        "__meta_cloudmap_tag_cost_centre=\"7\", __metrics_path__=\"/metrics\", cluster=\"demo\", "
        "instance=\"10.0.0.1:8080\", namespace=\"shop\", service=\"web\", taskdefinition=\"WebTask\", "
        "taskid=\"0123abcd\"}\n");
    assert_int_equal(aws_bench_status(&b->base).failures, 0);
    assert_string_equal(aws_bench_status(&b->base).mechanism, "cloudmap");
    assert_string_equal(aws_bench_status(&b->base).about.p, "region eu-west-1, namespaces shop");
    close_bench(b);
}

static void test_the_list_of_the_sidecar(void **state)
{
    (void)state;
    struct bench *b = open_bench();
    b->config.instance_without_port = true;
    struct map_service *s =
        map_add_service(&b->world, 0, "web", "METRICS_PATH=/app ECS_METRICS_PATH=/ecs ECS_METRICS_PORT=9779");
    map_add_instance(s, "task1", "\"AWS_INSTANCE_IPV4\": \"10.0.0.1\", \"ECS_CLUSTER_NAME\": \"a\\\"b\"");
    once(b);
    assert_string_equal(b->list.p, "[\n"
                                   "   {\n"
                                   "      \"targets\": [\n"
                                   "         \"10.0.0.1:80\"\n"
                                   "      ],\n"
                                   "      \"labels\": {\n"
                                   "         \"__metrics_path__\": \"/app\",\n"
                                   "         \"cluster\": \"a\\\"b\",\n"
                                   "         \"instance\": \"10.0.0.1\",\n"
                                   "         \"namespace\": \"shop\",\n"
                                   "         \"taskid\": \"task1\"\n"
                                   "      }\n"
                                   "   },\n"
                                   "   {\n"
                                   "      \"targets\": [\n"
                                   "         \"10.0.0.1:9779\"\n"
                                   "      ],\n"
                                   "      \"labels\": {\n"
                                   "         \"__metrics_path__\": \"/ecs\",\n"
                                   "         \"cluster\": \"a\\\"b\",\n"
                                   "         \"instance\": \"10.0.0.1\",\n"
                                   "         \"namespace\": \"shop\",\n"
                                   "         \"taskid\": \"task1\"\n"
                                   "      }\n"
                                   "   }\n"
                                   "]");
    close_bench(b);
}

static void test_nothing_found_is_an_empty_list(void **state)
{
    (void)state;
    struct bench *b = open_bench();
    once(b);
    assert_int_equal(b->base.updates, 1);
    assert_string_equal(b->list.p, "[]");
    assert_int_equal(aws_bench_status(&b->base).failures, 0);
    close_bench(b);
}

static void address_is(const char *tags, const char *attributes, const char *want)
{
    struct bench *b = open_bench();
    AUTO_BUF found = {0};

    map_add_instance(map_add_service(&b->world, 0, "web", tags), "task1", attributes);
    once(b);
    buf_printf(&found, "__address__=\"%s\"", want);
    assert_non_null(strstr(b->base.last.p, found.p));
    assert_int_equal(b->base.n_targets, 1);
    close_bench(b);
}

static void test_where_port_and_address_come_from(void **state)
{
    (void)state;
    address_is("METRICS_PATH=/m METRICS_PORT=8080", "\"AWS_INSTANCE_IPV4\": \"10.0.0.1\", \"AWS_INSTANCE_PORT\": \"9\"",
               "10.0.0.1:8080");
    address_is("METRICS_PATH=/m", "\"AWS_INSTANCE_IPV4\": \"10.0.0.1\", \"AWS_INSTANCE_PORT\": \"9\"", "10.0.0.1:9");
    address_is("METRICS_PATH=/m", "\"AWS_INSTANCE_IPV4\": \"10.0.0.1\"", "10.0.0.1:80");
    address_is("METRICS_PATH=/m", "\"AWS_INSTANCE_IPV6\": \"fd00::1\"", "[fd00::1]:80");
    address_is("METRICS_PATH=/m", "\"AWS_INSTANCE_IPV6\": \"fd00::1\", \"AWS_INSTANCE_IPV4\": \"10.0.0.1\"",
               "10.0.0.1:80");
    address_is("ECS_METRICS_PATH=/e ECS_METRICS_PORT=1", "\"AWS_INSTANCE_IPV4\": \"10.0.0.1\"", "10.0.0.1:1");
}

static void test_what_is_left_out_is_counted(void **state)
{
    (void)state;
    struct bench *b = open_shop();
    b->names[1] = STR("nowhere");
    b->config.n_namespaces = 2;
    map_add_service(&b->world, 0, "half", "ECS_METRICS_PATH=/e METRICS_PORT=9");
    struct map_service *bad = map_add_service(&b->world, 0, "bad", "METRICS_PATH=/m METRICS_PORT=http");
    map_add_instance(bad, "task6", "\"AWS_INSTANCE_IPV4\": \"10.0.5.1\"");
    struct map_service *odd = map_add_service(&b->world, 0, "odd", "METRICS_PATH=/m");
    map_add_instance(odd, "task7", "\"AWS_INSTANCE_CNAME\": \"db.example.com\"");
    map_add_instance(odd, "task8", "\"AWS_INSTANCE_IPV4\": \"10.0.0.256\"");
    map_add_instance(odd, "task9", "\"AWS_INSTANCE_IPV4\": \"10.0.0.2\", \"AWS_INSTANCE_PORT\": \"65536\"");
    map_add_instance(odd, "", "\"AWS_INSTANCE_IPV4\": \"10.0.0.3\"");
    once(b);
    assert_int_equal(b->base.n_targets, 3);
    assert_int_equal((int)skipped(b, "no_namespace"), 1);
    assert_int_equal((int)skipped(b, "no_tags"), 2);
    assert_int_equal((int)skipped(b, "bad_port"), 2);
    assert_int_equal((int)skipped(b, "no_address"), 2);
    assert_int_equal(aws_bench_status(&b->base).failures, 0);
    close_bench(b);
}

/* ---- calls ---- */

static void test_what_a_refresh_asks(void **state)
{
    (void)state;
    struct bench *b = open_shop();
    start(b);
    world_until(b->base.loop, b->base.updates >= 1);
    assert_true(str_starts(buf_view(&b->world.asked), STR("ListNamespaces ListServices ")));
    assert_int_equal(times(b, "ListTagsForResource:"), 3);
    assert_int_equal(times(b, "ListInstances:"), 2);
    assert_int_equal(times(b, "ListInstances:plain"), 0);
    assert_int_equal((int)counters_sum(b->base.counters, "leadline_sd_refresh_aws_calls", NULL, 0), 7);
    buf_clear(&b->world.asked);
    world_until(b->base.loop, b->base.updates >= 2);
    assert_int_equal(times(b, "ListNamespaces "), 1);
    assert_int_equal(times(b, "ListServices "), 1);
    assert_int_equal(times(b, "ListInstances:"), 2);
    assert_int_equal(times(b, "ListTagsForResource"), 0);
    assert_int_equal((int)counters_sum(b->base.counters, "leadline_sd_refresh_aws_calls", NULL, 0), 4);
    close_bench(b);
}

static bool asks(struct bench *b, const char *body)
{
    return strstr(b->world.questions.p, body) != NULL;
}

static void test_the_questions(void **state)
{
    (void)state;
    struct bench *b = open_shop();
    once(b);
    assert_true(asks(b, "{\"MaxResults\":100}\n"));
    assert_true(asks(b, "{\"Filters\":[{\"Name\":\"NAMESPACE_ID\",\"Values\":[\"ns-000\"],\"Condition\":\"EQ\"}],"
                        "\"MaxResults\":100}\n"));
    assert_true(asks(b, "{\"ResourceARN\":\"arn:aws:servicediscovery:eu-west-1:123456789012:service/srv-000\"}\n"));
    assert_true(asks(b, "{\"ServiceId\":\"srv-000\",\"MaxResults\":100}\n"));
    close_bench(b);
}

/* Where AWS names the owner, the namespace may be another account's: that goes by ARN. */
static void test_the_questions_about_a_shared_namespace(void **state)
{
    (void)state;
    for (int discover = 0; discover < 2; discover++) {
        struct bench *b = open_shop();
        b->world.owners[0] = "999999999999";
        b->config.discover = discover;
        once(b);
        assert_int_equal(b->base.n_targets, 3);
        assert_true(asks(b, "\"Values\":[\"arn:aws:servicediscovery:eu-west-1:123456789012:namespace/ns-000\"]"));
        if (discover)
            assert_true(asks(b, "{\"NamespaceName\":\"shop\",\"ServiceName\":\"web\",\"OwnerAccount\":"
                                "\"999999999999\",\"MaxResults\":1000,\"HealthStatus\":\"ALL\"}\n"));
        else
            assert_true(asks(b, "{\"ServiceId\":\"arn:aws:servicediscovery:eu-west-1:123456789012:service/srv-000\","));
        close_bench(b);
    }
}

static void test_two_namespaces_of_one_name(void **state)
{
    (void)state;
    struct bench *b = open_shop();
    b->world.namespaces[1] = "shop";
    once(b);
    assert_int_equal(b->base.n_targets, 4);
    close_bench(b);
}

static void test_pages(void **state)
{
    (void)state;
    struct bench *b = open_shop();
    b->world.page = 1;
    once(b);
    assert_int_equal(b->base.n_targets, 3);
    assert_int_equal(times(b, "ListInstances:web"), 2);
    close_bench(b);
}

static void test_changes_are_seen_at_the_next_refresh(void **state)
{
    (void)state;
    struct bench *b = open_shop();
    start(b);
    world_until(b->base.loop, b->base.n_targets == 3);
    map_add_instance(&b->world.services[1], "new", "\"AWS_INSTANCE_IPV4\": \"10.0.1.9\"");
    aws_bench_refreshes(&b->base, 1);
    assert_int_equal(b->base.n_targets, 4);
    b->world.services[0].instances[0].gone = true;
    aws_bench_refreshes(&b->base, 1);
    assert_int_equal(b->base.n_targets, 3);
    map_add_instance(map_add_service(&b->world, 0, "late", WEB), "t", "\"AWS_INSTANCE_IPV4\": \"10.0.7.1\"");
    aws_bench_refreshes(&b->base, 1);
    assert_int_equal(b->base.n_targets, 4);
    b->world.services[0].gone = true;
    aws_bench_refreshes(&b->base, 1);
    assert_int_equal(b->base.n_targets, 3);
    b->world.namespace_gone[0] = true;
    aws_bench_refreshes(&b->base, 1);
    assert_int_equal(b->base.n_targets, 0);
    close_bench(b);
}

static void test_two_hundred_services(void **state)
{
    (void)state;
    struct bench *b = open_bench();
    for (int i = 0; i < 200; i++) {
        char name[24];
        snprintf(name, sizeof(name), "service%d", i);
        map_add_instance(map_add_service(&b->world, 0, name, WEB), "t", "\"AWS_INSTANCE_IPV4\": \"10.0.0.1\"");
    }
    b->config.request_concurrency = 100;
    once(b);
    assert_int_equal(b->base.n_targets, 200);
    assert_int_equal(b->base.fake.n_calls, 1 + 2 + 200 + 200);
    assert_true(b->base.fake.most_running <= 100 && b->base.fake.most_running > 50);
    close_bench(b);
}

static void test_other_namespaces_without_a_new_discoverer(void **state)
{
    (void)state;
    struct bench *b = open_shop();
    once(b);
    assert_int_equal(b->base.n_targets, 3);
    {
        char name[] = "other";
        struct str names[] = {str_c(name)};
        cloudmap_set_namespaces(b->base.d, names, 1);
        name[0] = '?';
    }
    world_until(b->base.loop, aws_bench_status(&b->base).refreshes == 2);
    assert_non_null(strstr(b->base.last.p, "10.0.3.1:8080"));
    assert_int_equal(b->base.n_targets, 1);
    close_bench(b);
}

/* ---- DiscoverInstances ---- */

static struct bench *open_discover(enum cloudmap_health health)
{
    struct bench *b = open_shop();

    b->config.discover = true;
    b->config.health = health;
    b->world.http_names[0] = "shop.http";
    b->world.services[0].instances[1].health = "UNHEALTHY";
    return b;
}

static void test_health_is_filtered_by_aws(void **state)
{
    (void)state;
    struct bench *b = open_discover(CLOUDMAP_HEALTHY);
    once(b);
    assert_int_equal(b->base.n_targets, 2);
    assert_null(strstr(b->base.last.p, "10.0.0.2"));
    assert_non_null(strstr(b->base.last.p, "__meta_cloudmap_health_status=\"HEALTHY\""));
    assert_int_equal(times(b, "ListInstances"), 0);
    close_bench(b);
}

static void test_the_revision_spares_what_did_not_change(void **state)
{
    (void)state;
    struct bench *b = open_discover(CLOUDMAP_ALL);
    start(b);
    world_until(b->base.loop, b->base.updates >= 1);
    assert_int_equal(b->base.n_targets, 3);
    assert_int_equal(times(b, "DiscoverInstances:"), 2);
    buf_clear(&b->world.asked);
    aws_bench_refreshes(&b->base, 2);
    assert_int_equal(times(b, "DiscoverInstances:"), 0);
    assert_true(times(b, "DiscoverInstancesRevision:") >= 4);
    map_add_instance(&b->world.services[1], "new", "\"AWS_INSTANCE_IPV4\": \"10.0.1.9\"");
    aws_bench_refreshes(&b->base, 2);
    assert_int_equal(times(b, "DiscoverInstances:api"), 1);
    assert_int_equal(times(b, "DiscoverInstances:web"), 0);
    assert_int_equal(b->base.n_targets, 4);
    close_bench(b);
}

static void test_without_permission_for_the_revision(void **state)
{
    (void)state;
    struct bench *b = open_discover(CLOUDMAP_ALL);
    b->world.denies_revision = true;
    start(b);
    world_until(b->base.loop, b->base.updates >= 4);
    assert_int_equal(b->base.n_targets, 3);
    assert_int_equal(aws_bench_status(&b->base).failures, 0);
    assert_true(times(b, "DiscoverInstancesRevision:") <= 2);
    close_bench(b);
}

/* ---- failures ---- */

static const char *const operations[] = {
    "ListNamespaces",     "ListServices", "ListInstances", "DiscoverInstances", "DiscoverInstancesRevision",
    "ListTagsForResource"};

/* Whatever fails, the targets stay and the failure is told; afterwards all is as it was. */
static void nothing_is_lost(const char *operation, enum map_fault fault, const char *code)
{
    bool by_discover = strncmp(operation, "Discover", 8) == 0, tags = strcmp(operation, "ListTagsForResource") == 0;
    struct bench *b = open_shop();

    b->config.discover = by_discover;
    start(b);
    world_until(b->base.loop, b->base.n_targets == 3);
    b->world.operation = operation;
    b->world.fault = fault;
    b->world.code = code;
    if (strcmp(operation, "DiscoverInstances") == 0)
        b->world.services[0].revision += 100, b->world.services[1].revision += 100;
    uint64_t failures = aws_bench_status(&b->base).failures;
    aws_bench_refreshes(&b->base, 2);
    assert_int_equal(b->base.n_targets, 3);
    if (!tags && strcmp(operation, "DiscoverInstancesRevision") != 0) {
        assert_true(aws_bench_status(&b->base).failures > failures);
        assert_non_null(strstr(aws_bench_status(&b->base).last_error.p, operation));
    }
    b->world.fault = MAP_FINE;
    aws_bench_refreshes(&b->base, 1);
    assert_int_equal(b->base.n_targets, 3);
    assert_int_equal(aws_bench_status(&b->base).last_error.n, 0);
    close_bench(b);
}

static void test_no_target_flaps(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(operations); i++) {
        nothing_is_lost(operations[i], MAP_CODE, "AccessDeniedException");
        nothing_is_lost(operations[i], MAP_CODE, "RequestLimitExceeded");
        nothing_is_lost(operations[i], MAP_CODE, "InternalFailure");
        nothing_is_lost(operations[i], MAP_GARBAGE, NULL);
        if (i < 4)
            nothing_is_lost(operations[i], MAP_WRONG_TYPE, NULL);
        if (i < 3)
            nothing_is_lost(operations[i], MAP_REPEAT, NULL);
    }
}

static void test_empty_pages_with_tokens_are_no_end(void **state)
{
    (void)state;
    struct bench *b = open_shop();
    b->world.fault = MAP_EMPTY_PAGES;
    b->world.operation = "ListInstances";
    once(b);
    assert_int_equal(b->base.n_targets, 3);
    assert_int_equal(aws_bench_status(&b->base).failures, 0);
    close_bench(b);
}

static void test_a_service_fails_alone(void **state)
{
    (void)state;
    struct bench *b = open_shop();
    start(b);
    world_until(b->base.loop, b->base.n_targets == 3);
    b->world.operation = "ListInstances";
    b->world.service = "web";
    b->world.fault = MAP_GARBAGE;
    b->world.services[0].instances[0].gone = true;
    map_add_instance(&b->world.services[1], "new", "\"AWS_INSTANCE_IPV4\": \"10.0.1.9\"");
    aws_bench_refreshes(&b->base, 1);
    assert_int_equal(b->base.n_targets, 4);
    assert_non_null(strstr(b->base.last.p, "10.0.0.1:8080"));
    assert_true(aws_bench_status(&b->base).failures >= 1);
    close_bench(b);
}

static void test_a_first_refresh_that_fails_tells_nothing(void **state)
{
    (void)state;
    struct bench *b = open_shop();
    b->world.operation = "ListTagsForResource";
    b->world.fault = MAP_CODE;
    b->world.code = "ThrottlingException";
    start(b);
    world_until(b->base.loop, aws_bench_status(&b->base).failures >= 1);
    assert_int_equal(b->base.updates, 0);
    b->world.fault = MAP_FINE;
    world_until(b->base.loop, b->base.updates > 0);
    assert_int_equal(b->base.n_targets, 3);
    close_bench(b);
}

static void test_a_session_that_cannot_be_had(void **state)
{
    (void)state;
    struct bench *b = open_shop();
    b->base.fake.refuse_session = true;
    start(b);
    world_until(b->base.loop, aws_bench_status(&b->base).failures >= 1);
    b->base.fake.refuse_session = false;
    world_until(b->base.loop, b->base.updates > 0);
    assert_int_equal(b->base.n_targets, 3);
    close_bench(b);
}

static void test_stopping_in_the_middle(void **state)
{
    (void)state;
    struct bench *b = open_shop();
    start(b);
    world_until(b->base.loop, times(b, "ListTagsForResource") >= 1);
    b->base.d->stop(b->base.d);
    b->base.d = NULL;
    assert_int_equal(b->base.updates, 0);
    close_bench(b);
}

/* ---- parameters ---- */

static void test_parameters(void **state)
{
    (void)state;
    struct arena a = {0};
    struct str value = STR("");
    struct diag d = {0};

    assert_int_equal(
        ssm_parameter_parse(STR("{\"Parameter\": {\"Name\": \"n\", \"Value\": \"a, b\"}}"), &a, &value, &d), OK);
    assert_string_equal(value.p, "a, b");
    assert_int_equal(ssm_parameter_parse(STR("{\"Parameter\": {\"Value\": 5}}"), &a, &value, &d), ERR_SYNTAX);
    assert_int_equal(ssm_parameter_parse(STR("{}"), &a, &value, &d), ERR_SYNTAX);
    assert_int_equal(ssm_parameter_parse(STR("[]"), &a, &value, &d), ERR_SYNTAX);
    arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_labels_of_the_native_kind),
        cmocka_unit_test(test_the_list_of_the_sidecar),
        cmocka_unit_test(test_nothing_found_is_an_empty_list),
        cmocka_unit_test(test_where_port_and_address_come_from),
        cmocka_unit_test(test_what_is_left_out_is_counted),
        cmocka_unit_test(test_what_a_refresh_asks),
        cmocka_unit_test(test_the_questions),
        cmocka_unit_test(test_the_questions_about_a_shared_namespace),
        cmocka_unit_test(test_two_namespaces_of_one_name),
        cmocka_unit_test(test_pages),
        cmocka_unit_test(test_changes_are_seen_at_the_next_refresh),
        cmocka_unit_test(test_two_hundred_services),
        cmocka_unit_test(test_other_namespaces_without_a_new_discoverer),
        cmocka_unit_test(test_health_is_filtered_by_aws),
        cmocka_unit_test(test_the_revision_spares_what_did_not_change),
        cmocka_unit_test(test_without_permission_for_the_revision),
        cmocka_unit_test(test_no_target_flaps),
        cmocka_unit_test(test_empty_pages_with_tokens_are_no_end),
        cmocka_unit_test(test_a_service_fails_alone),
        cmocka_unit_test(test_a_first_refresh_that_fails_tells_nothing),
        cmocka_unit_test(test_a_session_that_cannot_be_had),
        cmocka_unit_test(test_stopping_in_the_middle),
        cmocka_unit_test(test_parameters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

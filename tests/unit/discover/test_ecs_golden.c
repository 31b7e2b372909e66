/* What ecs_sd_configs makes of ECS' answers, over the same answers as the CloudWatch agent's dialect: one file per
 * launch type and network mode. golden/ecs_agent/NAME.json has the answers, golden/ecs_sd/NAME.txt the targets' labels.
 *
 * UPDATE_GOLDEN=1 writes the files of what is expected: look at the difference before they are kept.
 */
#include "unit.h"

#include <stdlib.h>

#include "base/file.h"
#include "base/mem.h"
#include "discover/discoverer.h"
#include "unit/discover/fake_aws.h"
#include "world.h"

#define ANSWERS "tests/unit/discover/golden/ecs_agent/"
#define GOLDEN  "tests/unit/discover/golden/ecs_sd/"

struct golden {
    struct arena a;
    struct node *root;
    struct target_consumer consumer;
    struct buf got;
    int updates;
};

static void update(struct target_consumer *self, struct target_groups *groups)
{
    struct golden *g = CONTAINER_OF(self, struct golden, consumer);

    for (uint32_t i = 0; i < groups->n; i++) {
        labels_print(groups->groups[i].labels, &g->got);
        buf_char(&g->got, '\n');
        for (uint32_t k = 0; k < groups->groups[i].n_targets; k++) {
            buf_c(&g->got, "  ");
            labels_print(groups->groups[i].targets[k], &g->got);
            buf_char(&g->got, '\n');
        }
    }
    target_groups_free(groups);
    g->updates++;
}

/* The ARNs of the tasks that the file describes. */
static void list_tasks(struct golden *g, struct buf *out)
{
    const struct node *tasks = node_find(node_find(g->root, "DescribeTasks"), "tasks");
    bool first = true;

    buf_c(out, "{\"taskArns\": [");
    for (const struct node *t = tasks->first; t; t = t->next) {
        const struct node *arn = t->kind == NODE_MAPPING ? node_find(t, "taskArn") : NULL;
        if (!arn || arn->kind != NODE_STRING)
            continue;
        buf_printf(out, "%s\"%.*s\"", first ? "" : ", ", STR_ARGS(arn->text));
        first = false;
    }
    buf_c(out, "]}");
}

static void answer(struct fake_aws *f, const char *operation, struct str body, struct fake_answer *out)
{
    struct golden *g = f->ctx;
    const struct node *section = node_find(g->root, operation);

    (void)body;
    if (strcmp(operation, "ListTasks") == 0)
        list_tasks(g, &out->body);
    else if (strcmp(operation, "DescribeClusters") == 0)
        buf_c(&out->body, "{\"clusters\": [{\"clusterArn\": \"arn:aws:ecs:eu-west-1:123456789012:cluster/demo\", "
                          "\"clusterName\": \"demo\", \"status\": \"ACTIVE\"}]}");
    else if (strcmp(operation, "DescribeNetworkInterfaces") == 0)
        buf_c(&out->body,
              "<DescribeNetworkInterfacesResponse><networkInterfaceSet/></DescribeNetworkInterfacesResponse>");
    else if (section && section->kind == NODE_STRING)
        buf_str(&out->body, section->text);
    else if (section)
        tree_print_json(section, &out->body);
    else
        fail_msg("%s is not to be asked", operation);
}

static void one_file(const char *path)
{
    struct golden g = {.consumer = {update}};
    struct fake_aws fake = {0};
    struct loop *loop = loop_new("test");
    struct counters *counters = counters_new();
    struct discover_totals totals;
    struct plan *plan = plan_new();
    struct str demo = STR("demo");
    struct plan_aws_sd config = {
        .role = AWS_SD_ECS, .port = 9100, .refresh_ms = 3600 * 1000, .clusters = &demo, .n_clusters = 1};
    AUTO_BUF text = {0};
    AUTO_BUF want = {0};
    char wanted[256];
    struct diag d = {0};

    assert_int_equal(file_read(path, 1 << 20, &text, NULL), OK);
    if (tree_parse_json(buf_view(&text), path, &g.a, &g.root, &d))
        fail_msg("%s: %s", path, d.text);
    discover_totals_init(&totals, counters);
    struct aws *aws = fake_aws_open(&fake, loop, answer, &g);
    struct discover_env env = {.loop = loop, .counters = counters, .totals = &totals, .aws = aws, .config = STR("job")};
    struct discoverer *discoverer = discover_ecs_new(&env, plan, &config, &g.consumer);
    world_until(loop, g.updates > 0);
    discoverer->stop(discoverer);
    fake_aws_close(&fake);
    world_loop_free(loop);

    const char *name = strrchr(path, '/') + 1;
    snprintf(wanted, sizeof(wanted), GOLDEN "%.*s.txt", (int)(strlen(name) - strlen(".json")), name);
    if (getenv("UPDATE_GOLDEN"))
        assert_int_equal(file_replace(wanted, buf_view(&g.got), NULL), OK);
    assert_int_equal(file_read(wanted, 1 << 20, &want, NULL), OK);
    if (!str_eq(buf_view(&g.got), buf_view(&want)))
        fail_msg("%s: got\n%s", wanted, g.got.p);
    counters_free(counters);
    plan_unref(plan);
    buf_release(&g.got);
    arena_release(&g.a);
}

static void test_every_golden_file(void **state)
{
    static const char *const names[] = {"fargate-awsvpc",
                                        "ec2-awsvpc",
                                        "ec2-bridge-dynamic-port",
                                        "ec2-bridge-fixed-port",
                                        "ec2-host",
                                        "managed-instances",
                                        "external",
                                        "network-none",
                                        "ipv6-only"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        char path[256];
        snprintf(path, sizeof(path), ANSWERS "%s.json", names[i]);
        one_file(path);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_golden_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

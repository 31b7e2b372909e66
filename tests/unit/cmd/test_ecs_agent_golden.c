/* What the CloudWatch agent's discovery makes of ECS' answers, one file per launch type and network mode and per rule:
 * ../discover/golden/ecs_agent/NAME.json has the configuration and the answers of ECS and EC2, NAME.yaml the result
 * file with, as comments, what was left out and why. Here and not in discover/, since it takes both config/ and
 * discover/.
 *
 * UPDATE_GOLDEN=1 writes the files of what is expected: look at the difference before they are kept.
 */
#include "unit.h"

#include <glob.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/mem.h"
#include "config/config.h"
#include "discover/ecs_agent.h"
#include "wire/tree.h"

#define GOLDEN "tests/unit/discover/golden/ecs_agent/"

struct golden {
    struct arena a;
    struct node *root;
    struct plan *plan;
    struct ecs_described tasks, services, instances;
    struct ec2_described hosts;
    struct ecs_definition *definitions;
    uint32_t n_definitions;
};

/* A member of the file as the text of an answer. */
static struct str answer(struct golden *g, const struct node *n)
{
    AUTO_BUF text = {0};
    tree_print_json(n, &text);
    return str_dup(&g->a, buf_view(&text));
}

static void read_config(struct golden *g)
{
    struct str section = answer(g, node_find(g->root, "ecs_service_discovery"));
    struct config_agent_options o = {.cluster = STR("demo"), .region = STR("eu-west-1")};
    const char *text = arena_printf(
        &g->a, "{\"logs\": {\"metrics_collected\": {\"prometheus\": {\"ecs_service_discovery\": %s}}}}", section.p);
    struct config_agent_source source = {"golden", str_c(text)};
    struct diag d = {0};
    bool debug;
    if (config_parse_agent(&source, 1, &o, &g->plan, &debug, NULL, &d))
        fail_msg("%s", d.text);
}

static void read_answers(struct golden *g)
{
    struct arena *a = &g->a;
    assert_int_equal(ecs_tasks_parse(answer(g, node_find(g->root, "DescribeTasks")), a, &g->tasks, NULL), OK);
    assert_int_equal(ecs_services_parse(answer(g, node_find(g->root, "DescribeServices")), a, &g->services, NULL), OK);
    assert_int_equal(
        ecs_instances_parse(answer(g, node_find(g->root, "DescribeContainerInstances")), a, &g->instances, NULL), OK);
    assert_int_equal(ec2_instances_parse(node_find(g->root, "DescribeInstances")->text, a, &g->hosts, NULL), OK);
    const struct node *list = node_find(g->root, "DescribeTaskDefinition");
    g->definitions = ARENA_ARRAY(a, struct ecs_definition, list->n);
    for (const struct node *n = list->first; n; n = n->next)
        assert_int_equal(ecs_definition_parse(answer(g, n), a, &g->definitions[g->n_definitions++], NULL), OK);
}

static const struct ec2_instance *host_of(const struct golden *g, struct str instance_arn)
{
    for (uint32_t i = 0; i < g->instances.n; i++)
        for (uint32_t k = 0; k < g->hosts.n; k++)
            if (str_eq(g->instances.instances[i].arn, instance_arn) &&
                str_eq(g->instances.instances[i].ec2_id, g->hosts.instances[k].id))
                return &g->hosts.instances[k];
    return NULL;
}

static int by_arn(const void *a, const void *b)
{
    return str_cmp(((const struct ecs_found *)a)->task.arn, ((const struct ecs_found *)b)->task.arn);
}

static struct ecs_inventory inventory_of(struct golden *g)
{
    struct ecs_inventory v = {.services = g->services.services, .n_services = g->services.n, .n_tasks = g->tasks.n};
    v.tasks = ARENA_ARRAY(&g->a, struct ecs_found, g->tasks.n);
    for (uint32_t i = 0; i < g->tasks.n; i++) {
        struct ecs_found *f = &v.tasks[i];
        f->task = g->tasks.tasks[i];
        f->host = host_of(g, f->task.instance_arn);
        for (uint32_t k = 0; k < g->n_definitions; k++)
            if (str_eq(g->definitions[k].arn, f->task.definition_arn))
                f->definition = &g->definitions[k];
    }
    if (v.n_tasks)
        qsort(v.tasks, v.n_tasks, sizeof(*v.tasks), by_arn);
    return v;
}

static void discover(struct golden *g, struct buf *out)
{
    struct ecs_inventory v = inventory_of(g);
    const struct ecs_inventory *clusters[] = {&v};
    struct ecs_agent_findings found;
    ecs_agent_match(g->plan->ecs_agent, clusters, 1, true, &g->a, &found);
    ecs_agent_print(&found, out);
    for (uint32_t i = 0; i < found.n_skips; i++) {
        const struct ecs_agent_skip *s = &found.skips[i];
        buf_printf(out, "# skipped: %.*s", STR_ARGS(ecs_short_name(s->task)));
        buf_printf(out, "%s%.*s: %.*s\n", s->container.n ? " " : "", STR_ARGS(s->container), STR_ARGS(s->reason));
    }
}

/* Whoever reads the result file sees the labels that were found, byte for byte. */
static void reads_back(struct golden *g)
{
    struct ecs_inventory v = inventory_of(g);
    const struct ecs_inventory *clusters[] = {&v};
    struct ecs_agent_findings found;
    struct node *root;
    AUTO_BUF text = {0};
    ecs_agent_match(g->plan->ecs_agent, clusters, 1, false, &g->a, &found);
    ecs_agent_print(&found, &text);
    assert_int_equal(tree_parse_yaml(buf_view(&text), "result", &g->a, &root, NULL), OK);
    assert_int_equal(root->n, found.n_targets);
    const struct node *n = root->first;
    for (uint32_t i = 0; i < found.n_targets; i++, n = n->next) {
        const struct ecs_agent_target *t = &found.targets[i];
        assert_int_equal(node_find(n, "targets")->n, 1);
        assert_true(str_eq(node_find(n, "targets")->first->text, t->address));
        const struct node *labels = node_find(n, "labels");
        assert_int_equal(labels->n, t->labels.n);
        for (const struct node *l = labels->first; l; l = l->next) {
            assert_int_equal(l->kind, NODE_STRING);
            assert_true(str_eq(labels_get(t->labels, l->key), l->text));
        }
    }
}

static void check_file(const char *path)
{
    struct golden g = {0};
    char wanted[256];
    AUTO_BUF json = {0}, want = {0}, got = {0};
    struct diag d = {0};

    snprintf(wanted, sizeof(wanted), "%.*s.yaml", (int)(strlen(path) - 5), path);
    assert_int_equal(file_read(path, 1 << 20, &json, NULL), OK);
    if (tree_parse_json(buf_view(&json), path, &g.a, &g.root, &d))
        fail_msg("%s: %s", path, d.text);
    read_config(&g);
    read_answers(&g);
    discover(&g, &got);
    if (getenv("UPDATE_GOLDEN"))
        assert_int_equal(file_replace(wanted, buf_view(&got), NULL), OK);
    assert_int_equal(file_read(wanted, 1 << 20, &want, NULL), OK);
    if (!str_eq(buf_view(&got), buf_view(&want)))
        fail_msg("%s: got\n%s", wanted, got.p);
    reads_back(&g);
    plan_unref(g.plan);
    arena_release(&g.a);
}

static void every_golden_file(void **state)
{
    (void)state;
    glob_t found;
    assert_int_equal(glob(GOLDEN "*.json", 0, NULL, &found), 0);
    assert_true(found.gl_pathc >= 13);
    for (size_t i = 0; i < found.gl_pathc; i++)
        check_file(found.gl_pathv[i]);
    globfree(&found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_golden_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

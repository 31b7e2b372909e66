/* iam: the policies of what leadline can do at AWS, each against a file of its own beside the configuration; and that
 * every one of them is one which IAM takes.
 *
 * iam/NAME.yml or NAME.json is the configuration, iam/NAME.policy what is printed for it. A policy that is to change is
 * written anew with UPDATE=1 in the environment, and then read.
 */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/mem.h"
#include "config/config.h"
#include "run/iam.h"
#include "wire/tree.h"

/* Service Authorization Reference: the resource type of each action (NULL: only "*") and the condition key that may
 * stand with it. */
static const struct {
    const char *action, *resource, *key;
} known[] = {
    {"aps:RemoteWrite", ":workspace/", NULL},
    {"ecs:ListClusters", NULL, NULL},
    {"ecs:DescribeTaskDefinition", NULL, NULL},
    {"ecs:DescribeClusters", ":cluster/", NULL},
    {"ecs:ListServices", NULL, "ecs:cluster"},
    {"ecs:ListTasks", ":container-instance/", "ecs:cluster"},
    {"ecs:DescribeContainerInstances", ":container-instance/", "ecs:cluster"},
    {"ecs:DescribeTasks", ":task/", "ecs:cluster"},
    {"ecs:DescribeServices", ":service/", "ecs:cluster"},
    {"ec2:DescribeInstances", NULL, "ec2:Region"},
    {"ec2:DescribeAvailabilityZones", NULL, "ec2:Region"},
    {"ec2:DescribeNetworkInterfaces", NULL, "ec2:Region"},
    {"servicediscovery:ListNamespaces", NULL, NULL},
    {"servicediscovery:ListServices", NULL, NULL},
    {"servicediscovery:ListTagsForResource", NULL, NULL},
    {"servicediscovery:ListInstances", ":service/", NULL},
    {"servicediscovery:DiscoverInstances", "/", "servicediscovery:NamespaceName"},
    {"servicediscovery:DiscoverInstancesRevision", "/", "servicediscovery:NamespaceName"},
    {"logs:CreateLogGroup", ":log-group:", NULL},
    {"logs:CreateLogStream", ":log-group:", NULL},
    {"logs:PutLogEvents", ":log-group:", NULL},
    {"logs:PutRetentionPolicy", ":log-group:", NULL},
    {"cloudwatch:PutMetricData", NULL, "cloudwatch:namespace"},
    {"ssm:GetParameter", ":parameter/", NULL},
    {"sts:AssumeRole", ":role/", NULL},
    {"sts:TagSession", ":role/", NULL},
};

static const struct node *member(const struct node *n, const char *key)
{
    const struct node *v = node_find(n, key);
    if (!v)
        fail_msg("no %s", key);
    return v;
}

/* A list, or the one thing in place of it. */
static const struct node *first(const struct node *n)
{
    return n->kind == NODE_SEQUENCE ? n->first : n;
}

static const struct node *next(const struct node *list, const struct node *at)
{
    return list->kind == NODE_SEQUENCE ? at->next : NULL;
}

static void check_action(const struct node *statement, struct str action)
{
    const struct node *resources = member(statement, "Resource"), *condition = node_find(statement, "Condition");
    size_t k = 0;

    while (k < COUNT_OF(known) && !str_eq_c(action, known[k].action))
        k++;
    if (k == COUNT_OF(known))
        fail_msg("%.*s is no action", STR_ARGS(action));
    for (const struct node *r = first(resources); r; r = next(resources, r)) {
        assert_int_equal(r->kind, NODE_STRING);
        bool fits = known[k].resource ? str_starts(r->text, STR("arn:")) &&
                                            str_contains(r->text, str_c(known[k].resource))
                                      : str_eq(r->text, STR("*"));
        if (!fits)
            fail_msg("%.*s on %.*s", STR_ARGS(action), STR_ARGS(r->text));
    }
    if (condition) {
        assert_non_null(known[k].key);
        assert_true(str_eq_c(condition->first->first->key, known[k].key));
    }
}

static void check_policy(struct str text)
{
    struct arena a = {0};
    struct diag d = {0};
    struct node *root;

    if (tree_parse_json(text, "policy", &a, &root, &d))
        fail_msg("%s", d.text);
    assert_true(str_eq_c(member(root, "Version")->text, "2012-10-17"));
    const struct node *statements = member(root, "Statement");
    assert_true(statements->n > 0);
    for (const struct node *s = statements->first; s; s = s->next) {
        struct str sid = member(s, "Sid")->text;
        const struct node *actions = member(s, "Action");
        assert_true(str_eq_c(member(s, "Effect")->text, "Allow"));
        for (size_t i = 0; i < sid.n; i++)
            assert_true((sid.p[i] | 32) >= 'a' ? (sid.p[i] | 32) <= 'z' : sid.p[i] >= '0' && sid.p[i] <= '9');
        for (const struct node *other = s->next; other; other = other->next)
            assert_false(str_eq(sid, member(other, "Sid")->text));
        for (const struct node *c = first(actions); c; c = next(actions, c))
            check_action(s, c->text);
    }
    arena_release(&a);
}

/* ---- against files ---- */

static struct str folder(void)
{
    struct str file = STR(__FILE__);
    while (file.n && file.p[file.n - 1] != '/')
        file.n--;
    return file;
}

static void compare(const char *name, const struct iam_policies *p)
{
    AUTO_BUF path = {0}, text = {0}, golden = {0};
    struct diag d = {0};

    for (uint32_t i = 0; i < p->n_documents; i++) {
        check_policy(p->documents[i].json);
        buf_printf(&text, "# %.*s: %.*s\n%.*s", STR_ARGS(p->documents[i].name), STR_ARGS(p->documents[i].about),
                   STR_ARGS(p->documents[i].json));
    }
    for (uint32_t i = 0; i < p->n_notes; i++)
        buf_printf(&text, "note: %.*s\n", STR_ARGS(p->notes[i]));
    buf_printf(&path, "%.*siam/%s.policy", STR_ARGS(folder()), name);
    if (getenv("UPDATE"))
        assert_int_equal(file_replace(path.p, buf_view(&text), &d), OK);
    if (file_read(path.p, 1 << 20, &golden, &d))
        fail_msg("%s", d.text);
    assert_string_equal(text.p, golden.p);
}

static struct plan *load_with(const char *name, const char *suffix, const struct config_agent_options *agent)
{
    AUTO_BUF path = {0}, text = {0};
    struct plan *plan = NULL;
    struct diag d = {0};
    bool debug;

    buf_printf(&path, "%.*siam/%s%s", STR_ARGS(folder()), name, suffix);
    if (file_read(path.p, 1 << 20, &text, &d))
        fail_msg("%s", d.text);
    struct config_agent_source source = {path.p, buf_view(&text)};
    enum err err = strcmp(suffix, ".json") == 0
                       ? config_parse_agent(&source, 1, agent, &plan, &debug, NULL, &d)
                       : config_parse_prometheus(buf_view(&text), path.p, ".", &(struct config_options){0}, &plan, NULL,
                                                 &d);
    if (err)
        fail_msg("%s: %s", path.p, d.text);
    return plan;
}

static struct plan *load(const char *name, const char *suffix)
{
    return load_with(name, suffix, &(struct config_agent_options){0});
}

static void check_plan(const char *name, struct plan *plan, const struct iam_options *o)
{
    struct arena a = {0};
    struct iam_policies p;

    iam_of_plan(plan, o, &a, &p);
    compare(name, &p);
    arena_release(&a);
    plan_unref(plan);
}

static void check_file(const char *name, const char *suffix, const struct iam_options *o)
{
    check_plan(name, load(name, suffix), o);
}

static void test_prometheus(void **state)
{
    static const char *const names[] = {"remote_write", "roles",         "ec2_sd",            "ecs_sd_all",
                                        "ecs_sd_clusters", "aws_sd", "cloudmap_list", "cloudmap_discover", "ecs_task"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(names); i++)
        check_file(names[i], ".yml", &(struct iam_options){0});
}

static void test_agent(void **state)
{
    (void)state;
    check_file("agent_labels", ".json", &(struct iam_options){0});
    check_file("agent_services", ".json", &(struct iam_options){0});
    check_file("agent_fargate", ".json", &(struct iam_options){.fargate = true, .account = STR("123456789012")});
}

/* CloudWatch Logs, PutMetricData, AMP: by whom, on which groups, into which namespaces. */
static void test_cloudwatch(void **state)
{
    const struct config_agent_options ours = {.ours = {.log_retention_days = STR("30"),
                                                       .prometheus_to = STR("both"),
                                                       .metrics_namespace = STR("Demo/Direct"),
                                                       .shadow_log_group = STR("/shadow")}};
    (void)state;
    check_file("agent_cloudwatch", ".json", &(struct iam_options){.account = STR("123456789012")});
    check_file("agent_push", ".json", &(struct iam_options){0});
    check_file("agent_amp", ".json", &(struct iam_options){0});
    check_plan("agent_ours", load_with("agent_ours", ".json", &ours), &(struct iam_options){0});
}

static void test_sidecar(void **state)
{
    const struct str parameters[] = {STR("/prod/namespaces"), STR("ECS-Prometheus-Configuration:3"),
                                     STR("arn:aws:ssm:eu-west-1:123456789012:parameter/shared")};
    struct iam_sidecar s = {.region = STR("eu-west-1"), .parameters = parameters, .n_parameters = 3};
    struct arena a = {0};
    struct iam_policies p;

    (void)state;
    iam_of_sidecar(&s, &(struct iam_options){0}, &a, &p);
    compare("sidecar", &p);
    arena_release(&a);
}

/* What covers all makes the narrower of no use, whichever comes first; each thing is said once. */
static void test_wider_wins(void **state)
{
    struct arena a = {0};
    struct iam_policies p;
    struct plan *plan = load("aws_sd", ".yml");

    (void)state;
    iam_of_plan(plan, &(struct iam_options){.account = STR("123456789012")}, &a, &p);
    assert_int_equal(p.n_documents, 1);
    assert_true(str_contains(p.documents[0].json, STR("arn:aws:ecs:eu-west-1:123456789012:task/*")));
    assert_false(str_contains(p.documents[0].json, STR("demo")));
    assert_false(str_contains(p.documents[0].json, STR("ecs:cluster")));
    arena_release(&a);
    plan_unref(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prometheus),
        cmocka_unit_test(test_agent),
        cmocka_unit_test(test_cloudwatch),
        cmocka_unit_test(test_sidecar),
        cmocka_unit_test(test_wider_wins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

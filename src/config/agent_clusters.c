/* agent_clusters: in which clusters the CloudWatch agent's discovery looks.
 *
 * The agent has one: sd_target_cluster in sd_cluster_region, by default those of its own task. Ours: several, with
 * regions and roles of their own, in LEADLINE_ECS_CLUSTERS, since the agent's JSON is closed. In one of two forms:
 *
 *   web@eu-west-1, batch@us-east-1, here
 *   [{"cluster": "web", "region": "eu-west-1", "role_arn": "arn:...", "external_id": "..."}, ...]
 *
 * A cluster is a name or an ARN. Without a region it has that of its ARN, else that of the agent's own cluster. The
 * variable takes the place of sd_target_cluster.
 */
#include "base/mem.h"
#include "config/agent_int.h"

enum { MAX_CLUSTERS = 1000 };

#define VARIABLE   "LEADLINE_ECS_CLUSTERS"
#define PLAN(name) offsetof(struct plan_ecs_cluster, name)

static const struct agent_key keys[] = {
    {.key = "cluster", .type = AGENT_STRING, .read = agent_string, .offset = PLAN(name)},
    {.key = "region", .type = AGENT_STRING, .read = agent_string, .offset = PLAN(aws.region)},
    {.key = "role_arn", .type = AGENT_STRING, .read = agent_string, .offset = PLAN(aws.role_arn)},
    {.key = "external_id", .type = AGENT_STRING, .read = agent_string, .offset = PLAN(aws.external_id)},
};
static const struct agent_object cluster_object = AGENT_OBJECT_OF(keys, OTHERS_REFUSED);

/* arn:PARTITION:ecs:REGION:ACCOUNT:cluster/NAME; empty when it is a name. */
static struct str region_of_arn(struct str s)
{
    struct str part = STR("");

    if (!str_starts(s, STR("arn:")))
        return STR("");
    for (int i = 0; i < 4; i++)
        if (!str_cut(s, ':', &part, &s))
            return STR("");
    return part;
}

static struct plan_ecs_cluster empty_cluster(void)
{
    return (struct plan_ecs_cluster){.name = STR(""), .aws = {.region = STR("")}};
}

static bool is_same(const struct plan_ecs_cluster *x, const struct plan_ecs_cluster *y)
{
    return str_eq(x->name, y->name) && str_eq(x->aws.region, y->aws.region) && str_eq(x->aws.role_arn, y->aws.role_arn);
}

static void add(struct agent_reader *a, const struct node *at, struct plan_ecs_cluster c, struct str region,
                struct plan_ecs_agent_sd *sd)
{
    if (c.aws.region.n == 0)
        c.aws.region = str_dup(a->r.arena, region_of_arn(c.name));
    if (c.aws.region.n == 0)
        c.aws.region = str_dup(a->r.arena, region);
    if (c.name.n == 0)
        reader_error(&a->r, at, ERR_SYNTAX, "a cluster needs a name");
    else if (c.aws.region.n == 0)
        reader_error(&a->r, at, ERR_SYNTAX, "%s: ECS Cluster Region is not defined", reader_quote(&a->r, c.name));
    else if (c.aws.external_id.n && c.aws.role_arn.n == 0)
        reader_error(&a->r, at, ERR_SYNTAX, "%s: external_id can only be used with role_arn",
                     reader_quote(&a->r, c.name));
    for (uint32_t i = 0; i < sd->n_clusters; i++) {
        if (!is_same(&sd->clusters[i], &c))
            continue;
        reader_error(&a->r, at, ERR_SYNTAX, "%s is there twice", reader_quote(&a->r, c.name));
        return;
    }
    sd->clusters[sd->n_clusters++] = c;
}

static void read_json(struct agent_reader *a, struct str text, struct str region, struct plan_ecs_agent_sd *sd)
{
    struct node *list;
    struct diag d = {0};

    if (tree_parse_json(text, VARIABLE, a->r.tree, &list, &d)) {
        reader_add_diag(&a->r, &d, ERR_SYNTAX);
        return;
    }
    if (list->n > MAX_CLUSTERS) {
        reader_error(&a->r, list, ERR_LIMIT, "more than %d clusters", MAX_CLUSTERS);
        return;
    }
    sd->clusters = ARENA_ARRAY(a->r.arena, struct plan_ecs_cluster, list->n + 1);
    for (const struct node *n = list->first; n; n = n->next) {
        struct plan_ecs_cluster c = empty_cluster();
        if (!agent_is(a, n, AGENT_OBJECT))
            continue;
        agent_read_object(a, n, &cluster_object, &c);
        add(a, n, c, region, sd);
    }
}

static void read_names(struct agent_reader *a, struct str text, struct str region, struct plan_ecs_agent_sd *sd)
{
    struct str one, rest = text;
    bool more = true;

    sd->clusters = ARENA_ARRAY(a->r.arena, struct plan_ecs_cluster, MAX_CLUSTERS);
    while (more) {
        struct node at = {.line = 1, .col = (uint32_t)(rest.p - text.p) + 1};
        struct plan_ecs_cluster c = empty_cluster();
        more = str_cut(rest, ',', &one, &rest);
        if (sd->n_clusters == MAX_CLUSTERS) {
            reader_error(&a->r, &at, ERR_LIMIT, "more than %d clusters", MAX_CLUSTERS);
            return;
        }
        str_cut(one, '@', &one, &c.aws.region);
        c.name = str_dup(a->r.arena, str_trim(one));
        c.aws.region = str_dup(a->r.arena, str_trim(c.aws.region));
        add(a, &at, c, region, sd);
    }
}

static void read_variable(struct agent_reader *a, struct str text, struct str region, struct plan_ecs_agent_sd *sd)
{
    const char *file = a->r.file;

    a->r.file = VARIABLE;
    if (*text.p == '[')
        read_json(a, text, region, sd);
    else
        read_names(a, text, region, sd);
    if (sd->n_clusters == 0 && a->r.errors->n == 0)
        reader_error(&a->r, NULL, ERR_SYNTAX, "there is no cluster in the list");
    a->r.file = file;
}

void agent_clusters_read(struct agent_reader *a, const struct node *at, struct str cluster, struct str region,
                         struct plan_ecs_agent_sd *sd)
{
    struct str list = str_trim(a->o->ours.ecs_clusters);

    if (list.n) {
        if (node_find(at, "sd_target_cluster"))
            reader_warn(&a->r, node_find(at, "sd_target_cluster"),
                        "sd_target_cluster has no effect: the clusters are those of " VARIABLE);
        read_variable(a, list, region, sd);
        return;
    }
    sd->clusters = ARENA_ARRAY(a->r.arena, struct plan_ecs_cluster, 1);
    sd->n_clusters = 1;
    sd->clusters[0].name = str_dup(a->r.arena, cluster.n ? cluster : a->o->cluster);
    sd->clusters[0].aws.region = str_dup(a->r.arena, region);
    if (sd->clusters[0].name.n == 0)
        reader_error_key(&a->r, at, "sd_target_cluster", ERR_SYNTAX,
                         "ECS Target Cluster Name is not defined: set sd_target_cluster, or run in an ECS task");
    if (region.n == 0)
        reader_error_key(&a->r, at, "sd_cluster_region", ERR_SYNTAX,
                         "ECS Cluster Region is not defined: set sd_cluster_region, or run in an ECS task");
}

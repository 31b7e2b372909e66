/* iam_print: from what an identity may do, thing by thing, to a policy document.
 *
 *   grants       ecs:ListTasks on container-instance/a/<any> if ecs:cluster is a; the same for b; ecs:DescribeTasks
 *     |          a grant that a wider one of the same action covers is left out
 *     v
 *   rows         one per action: all its resources, all values of its condition
 *     |          conditions merge without widening anything, since a resource belongs to one cluster
 *     v
 *   statements   actions of one service with equal resources and conditions share one
 *
 * The facts are those of the Service Authorization Reference, as of 2026; an action whose row there names no resource
 * type takes "*" only. Order is that of the table, so that equal plans give equal text.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "base/quote.h"
#include "run/iam_int.h"

#define CLUSTER    "ecs:cluster", "ArnLike"
#define REGION     "ec2:Region", "StringEquals"
#define NAMESPACE  "servicediscovery:NamespaceName", "StringEquals"
#define METRICS_IN "cloudwatch:namespace", "StringEquals"

const struct iam_fact iam_facts[IAM_ACTIONS] = {
    /* Amazon Managed Service for Prometheus */
    [IAM_REMOTE_WRITE] = {"aps:RemoteWrite", "RemoteWrite", false, NULL, NULL},
    /* Amazon Elastic Container Service */
    [IAM_LIST_CLUSTERS] = {"ecs:ListClusters", "EcsClusters", true, NULL, NULL},
    [IAM_DESCRIBE_DEFINITION] = {"ecs:DescribeTaskDefinition", "EcsTaskDefinitions", true, NULL, NULL},
    [IAM_DESCRIBE_CLUSTERS] = {"ecs:DescribeClusters", "EcsClusters", false, NULL, NULL},
    [IAM_LIST_TASKS] = {"ecs:ListTasks", "EcsContainerInstances", false, CLUSTER},
    [IAM_DESCRIBE_CONTAINER_INSTANCES] = {"ecs:DescribeContainerInstances", "EcsContainerInstances", false, CLUSTER},
    [IAM_DESCRIBE_TASKS] = {"ecs:DescribeTasks", "EcsTasks", false, CLUSTER},
    [IAM_LIST_ECS_SERVICES] = {"ecs:ListServices", "EcsServiceLists", true, CLUSTER},
    [IAM_DESCRIBE_ECS_SERVICES] = {"ecs:DescribeServices", "EcsServices", false, CLUSTER},
    /* Amazon EC2 */
    [IAM_DESCRIBE_INSTANCES] = {"ec2:DescribeInstances", "Ec2Describe", true, REGION},
    [IAM_DESCRIBE_ZONES] = {"ec2:DescribeAvailabilityZones", "Ec2Describe", true, REGION},
    [IAM_DESCRIBE_INTERFACES] = {"ec2:DescribeNetworkInterfaces", "Ec2Describe", true, REGION},
    /* AWS Cloud Map */
    [IAM_LIST_NAMESPACES] = {"servicediscovery:ListNamespaces", "CloudMap", true, NULL, NULL},
    [IAM_LIST_SERVICES] = {"servicediscovery:ListServices", "CloudMap", true, NULL, NULL},
    [IAM_LIST_TAGS] = {"servicediscovery:ListTagsForResource", "CloudMap", true, NULL, NULL},
    [IAM_LIST_INSTANCES] = {"servicediscovery:ListInstances", "CloudMapInstances", false, NULL, NULL},
    [IAM_DISCOVER_INSTANCES] = {"servicediscovery:DiscoverInstances", "CloudMapInstances", false, NAMESPACE},
    [IAM_DISCOVER_REVISION] = {"servicediscovery:DiscoverInstancesRevision", "CloudMapInstances", false, NAMESPACE},
    /* Amazon CloudWatch Logs, Amazon CloudWatch */
    [IAM_CREATE_LOG_GROUP] = {"logs:CreateLogGroup", "Logs", false, NULL, NULL},
    [IAM_CREATE_LOG_STREAM] = {"logs:CreateLogStream", "Logs", false, NULL, NULL},
    [IAM_PUT_LOG_EVENTS] = {"logs:PutLogEvents", "Logs", false, NULL, NULL},
    [IAM_PUT_RETENTION] = {"logs:PutRetentionPolicy", "Logs", false, NULL, NULL},
    [IAM_PUT_METRIC_DATA] = {"cloudwatch:PutMetricData", "Metrics", true, METRICS_IN},
    /* AWS Systems Manager, AWS Security Token Service */
    [IAM_GET_PARAMETER] = {"ssm:GetParameter", "Parameters", false, NULL, NULL},
    [IAM_ASSUME_ROLE] = {"sts:AssumeRole", "AssumeRole", false, NULL, NULL},
    [IAM_TAG_SESSION] = {"sts:TagSession", "TagSession", false, NULL, NULL},
};

/* The values of one action: sorted, each once. */
struct set {
    struct str *v;
    uint32_t n;
};

struct row {
    enum iam_action action;
    struct set resources, values;
    bool printed;
};

void iam_allow(struct iam_identity *i, enum iam_action action, struct str resource, struct str value)
{
    const struct iam_fact *f = &iam_facts[action];

    i->grants = mem_grow(i->grants, &i->cap, i->n + 1, sizeof(*i->grants));
    i->grants[i->n++] = (struct iam_grant){
        .action = action,
        .resource = f->any_resource ? STR("*") : resource,
        .value = f->key && !str_eq(value, STR("*")) ? value : STR_NONE,
    };
}

/* As IAM matches: '*' is any text. Names that policies hold have no '?'. */
static bool covers(struct str pattern, struct str text)
{
    size_t p = 0, t = 0, star = SIZE_MAX, from = 0;

    while (t < text.n) {
        if (p < pattern.n && pattern.p[p] == '*') {
            star = p++;
            from = t;
        } else if (p < pattern.n && pattern.p[p] == text.p[t]) {
            p++;
            t++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            t = ++from;
        } else {
            return false;
        }
    }
    while (p < pattern.n && pattern.p[p] == '*')
        p++;
    return p == pattern.n;
}

static bool same(const struct iam_grant *a, const struct iam_grant *b)
{
    return a->action == b->action && str_eq(a->resource, b->resource) && str_eq(a->value, b->value);
}

static bool is_needless(const struct iam_identity *id, uint32_t at)
{
    const struct iam_grant *g = &id->grants[at];

    for (uint32_t i = 0; i < id->n; i++) {
        const struct iam_grant *other = &id->grants[i];
        if (i == at || other->action != g->action || (same(other, g) && i > at))
            continue;
        if (covers(other->resource, g->resource) && (!other->value.n || covers(other->value, g->value)))
            return true;
    }
    return false;
}

static void set_add(struct set *s, struct str v)
{
    uint32_t at = 0;

    if (!v.n)
        return;
    while (at < s->n && str_cmp(s->v[at], v) < 0)
        at++;
    if (at < s->n && str_eq(s->v[at], v))
        return;
    memmove(s->v + at + 1, s->v + at, (s->n - at) * sizeof(*s->v));
    s->v[at] = v;
    s->n++;
}

static bool set_eq(const struct set *a, const struct set *b)
{
    for (uint32_t i = 0; i < a->n && i < b->n; i++)
        if (!str_eq(a->v[i], b->v[i]))
            return false;
    return a->n == b->n;
}

/* Two rows of an action where some of its grants have a condition and others have none. */
static uint32_t make_rows(const struct iam_identity *id, struct arena *a, struct row *rows)
{
    uint32_t n = 0;

    for (uint32_t k = 0; k < 2 * IAM_ACTIONS; k++) {
        struct row r = {.action = k / 2,
                        .resources.v = ARENA_ARRAY(a, struct str, id->n + 1),
                        .values.v = ARENA_ARRAY(a, struct str, id->n + 1)};
        for (uint32_t i = 0; i < id->n; i++) {
            const struct iam_grant *g = &id->grants[i];
            if (g->action != r.action || (g->value.n > 0) != (k % 2) || is_needless(id, i))
                continue;
            set_add(&r.resources, g->resource);
            set_add(&r.values, g->value);
        }
        if (r.resources.n)
            rows[n++] = r;
    }
    return n;
}

static bool go_together(const struct row *a, const struct row *b)
{
    const struct iam_fact *x = &iam_facts[a->action], *y = &iam_facts[b->action];
    struct str of_x, of_y, rest;

    str_cut(str_c(x->name), ':', &of_x, &rest);
    str_cut(str_c(y->name), ':', &of_y, &rest);
    return str_eq(of_x, of_y) && set_eq(&a->resources, &b->resources) && set_eq(&a->values, &b->values) &&
           (!a->values.n || strcmp(x->key, y->key) == 0);
}

static void print_list(struct buf *out, const char *indent, const char *name, const struct set *s)
{
    bool one = s->n == 1;

    buf_printf(out, "%s\"%s\": [", indent, name);
    for (uint32_t i = 0; i < s->n; i++) {
        if (!one)
            buf_printf(out, "%s\n%s  ", i ? "," : "", indent);
        buf_quote_json(out, s->v[i]);
    }
    buf_printf(out, one ? "]" : "\n%s]", indent);
}

/* "EcsClusters", and "EcsClusters2" for the next one of that name: a Sid is unique in its document. */
static void print_sid(struct buf *out, const char *name, uint32_t times[IAM_ACTIONS])
{
    uint32_t first = 0;

    while (strcmp(iam_facts[first].sid, name) != 0)
        first++;
    times[first]++;
    buf_printf(out, "      \"Sid\": \"%s", name);
    if (times[first] > 1)
        buf_printf(out, "%u", times[first]);
    buf_c(out, "\",\n      \"Effect\": \"Allow\",\n");
}

static void print_statement(struct buf *out, struct row *rows, uint32_t n, uint32_t first, uint32_t times[IAM_ACTIONS])
{
    struct row *r = &rows[first];
    struct str names[IAM_ACTIONS];
    struct set actions = {.v = names};
    const struct iam_fact *f = &iam_facts[r->action];

    for (uint32_t i = first; i < n; i++) {
        if (rows[i].printed || !go_together(r, &rows[i]))
            continue;
        rows[i].printed = true;
        names[actions.n++] = str_c(iam_facts[rows[i].action].name);
    }
    buf_c(out, "    {\n");
    print_sid(out, f->sid, times);
    print_list(out, "      ", "Action", &actions);
    buf_c(out, ",\n");
    print_list(out, "      ", "Resource", &r->resources);
    if (r->values.n) {
        buf_printf(out, ",\n      \"Condition\": {\n        \"%s\": {\n", f->operator);
        print_list(out, "          ", f->key, &r->values);
        buf_c(out, "\n        }\n      }");
    }
    buf_c(out, "\n    }");
}

void iam_print(const struct iam_identity *id, struct arena *a, struct buf *out)
{
    struct row rows[2 * IAM_ACTIONS];
    uint32_t times[IAM_ACTIONS] = {0}, n = make_rows(id, a, rows);
    bool some = false;

    buf_c(out, "{\n  \"Version\": \"2012-10-17\",\n  \"Statement\": [\n");
    for (uint32_t i = 0; i < n; i++) {
        if (rows[i].printed)
            continue;
        buf_c(out, some ? ",\n" : "");
        print_statement(out, rows, n, i, times);
        some = true;
    }
    buf_c(out, "\n  ]\n}\n");
}

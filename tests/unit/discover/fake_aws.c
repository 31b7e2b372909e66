/* fake_aws: see the header. Answers have the shape of the API's, written by hand. */
#include "unit.h"

#include "base/mem.h"
#include "unit/discover/fake_aws.h"
#include "wire/json.h"

#define ARN     "arn:aws:ecs:eu-west-1:123456789012:"
#define ACCOUNT "123456789012"

/* ---- sessions and calls ---- */

static struct fake_aws *fake;

const struct aws_service aws_ecs = {.name = "ecs", .protocol = AWS_JSON_1_1};
const struct aws_service aws_ec2 = {.name = "ec2", .protocol = AWS_EC2};

struct fake_call {
    struct timer timer;
    struct aws_call *call;
    struct fake_call *next;
};

struct aws *fake_aws_open(struct fake_aws *f, struct loop *loop, fake_fn *answer, void *ctx)
{
    *f = (struct fake_aws){.loop = loop, .answer = answer, .ctx = ctx};
    buf_c(&f->log, "");
    fake = f;
    return (struct aws *)f;
}

void fake_aws_close(struct fake_aws *f)
{
    assert_null(f->calls);
    buf_release(&f->log);
    fake = NULL;
}

enum err aws_session_get(struct aws *a, const struct aws_config *config, struct aws_session **out, struct diag *d)
{
    (void)config;
    assert_ptr_equal(a, fake);
    if (fake->refuse_session)
        return diag_set(d, ERR_SYNTAX, "access_key without secret_key");
    *out = (struct aws_session *)a;
    return OK;
}

void aws_session_release(struct aws_session *s)
{
    assert_ptr_equal(s, fake);
}

struct str aws_session_region(const struct aws_session *s)
{
    assert_ptr_equal(s, fake);
    return STR("eu-west-1");
}

static void unlink_call(struct fake_call *c)
{
    struct fake_call **at = &fake->calls;

    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    fake->n_running--;
}

static void answer_due(struct timer *t)
{
    struct fake_call *c = CONTAINER_OF(t, struct fake_call, timer);
    struct aws_call *call = c->call;
    struct fake_answer out = {0};
    struct aws_answer a = {.status = 200, .attempts = 1};

    unlink_call(c);
    fake->answer(fake, call->operation, call->body, &out);
    a.body = buf_view(&out.body);
    if (out.code) {
        a.status = 400;
        a.code = str_c(out.code);
        a.message = str_c(out.message);
        a.err = diag_set(&a.diag, ERR_NET, "%s %s: %s: %s", call->service->name, call->operation, out.code,
                         out.message ? out.message : "no");
    }
    free(c);
    call->done(call, &a);
    buf_release(&out.body);
}

void aws_call_start(struct aws_session *s, struct aws_call *call)
{
    struct fake_call *c = NEW(struct fake_call);

    assert_ptr_equal(s, fake);
    c->call = call;
    c->next = fake->calls;
    fake->calls = c;
    fake->n_calls++;
    fake->n_running++;
    if (fake->n_running > fake->most_running)
        fake->most_running = fake->n_running;
    buf_printf(&fake->log, "%s ", call->operation);
    if (call->service == &aws_ecs)
        fake->last_endpoint = call->endpoint.p;
    fake->last_http = call->http;
    timer_start(fake->loop, &c->timer, 0, answer_due);
}

void aws_call_cancel(struct aws_session *s, struct aws_call *call)
{
    struct fake_call *c = fake->calls;

    assert_ptr_equal(s, fake);
    while (c && c->call != call)
        c = c->next;
    assert_non_null(c);
    unlink_call(c);
    timer_stop(&c->timer);
    free(c);
}

void aws_session_forget_http(struct aws_session *s, const struct http_options *http)
{
    assert_ptr_equal(s, fake);
    assert_null(fake->calls);
    fake->forgotten = http;
}

/* ---- the world ---- */

void ecs_world_init(struct ecs_world *w, uint32_t n_clusters)
{
    *w = (struct ecs_world){.clusters = {"demo", "shop", "third", "fourth"}, .n_clusters = n_clusters, .page = 100};
}

struct world_task *ecs_world_add(struct ecs_world *w, uint32_t cluster, enum world_kind kind, int service)
{
    w->tasks = mem_grow(w->tasks, &w->cap_tasks, w->n_tasks + 1, sizeof(*w->tasks));
    struct world_task *t = &w->tasks[w->n_tasks];
    *t = (struct world_task){.kind = kind, .id = (uint32_t)w->n_tasks, .cluster = cluster, .service = service};
    w->n_tasks++;
    return t;
}

void ecs_world_release(struct ecs_world *w)
{
    free(w->tasks);
}

static struct str field(const struct node *n, const char *key)
{
    const struct node *v = n ? node_find(n, key) : NULL;

    return v ? v->text : STR("");
}

static struct str last_part(struct str arn)
{
    for (size_t i = arn.n; i-- > 0;)
        if (arn.p[i] == '/')
            return str_from(arn.p + i + 1, arn.n - i - 1);
    return arn;
}

/* The number at the end of an ARN or id. */
static uint32_t number_of(struct str s)
{
    uint32_t n = 0, scale = 1;

    for (size_t i = s.n; i-- > 0 && s.p[i] >= '0' && s.p[i] <= '9'; scale *= 10)
        n += scale * (uint32_t)(s.p[i] - '0');
    return n;
}

static void print_list(struct ecs_world *w, const struct node *request, const char *member, struct str *arns, size_t n,
                       struct buf *out)
{
    size_t at = number_of(field(request, "nextToken")), to = at + w->page < n ? at + w->page : n;

    buf_printf(out, "{\"%s\": [", member);
    for (size_t i = at; i < to; i++)
        buf_printf(out, "%s\"%.*s\"", i > at ? "," : "", STR_ARGS(arns[i]));
    buf_c(out, "]");
    if (w->fault == FAULT_REPEAT && w->fault_operation && strstr(w->fault_operation, "List"))
        buf_c(out, ", \"nextToken\": \"0\"");
    else if (to < n)
        buf_printf(out, ", \"nextToken\": \"%zu\"", to);
    buf_c(out, "}");
}

static void list_clusters(struct ecs_world *w, const struct node *request, struct buf *out)
{
    struct arena a = {0};
    struct str arns[4];

    for (uint32_t i = 0; i < w->n_clusters; i++)
        arns[i] = str_c(arena_printf(&a, ARN "cluster/%s", w->clusters[i]));
    print_list(w, request, "clusterArns", arns, w->n_clusters, out);
    arena_release(&a);
}

static int find_cluster(const struct ecs_world *w, struct str id)
{
    for (uint32_t i = 0; i < w->n_clusters; i++)
        if (str_eq_c(last_part(id), w->clusters[i]))
            return (int)i;
    return -1;
}

static void list_tasks(struct ecs_world *w, const struct node *request, uint32_t cluster, struct buf *out)
{
    struct arena a = {0};
    struct str *arns = ARENA_ARRAY(&a, struct str, w->n_tasks + 1);
    size_t n = 0;

    for (size_t i = 0; i < w->n_tasks; i++)
        if (w->tasks[i].cluster == cluster)
            arns[n++] = str_c(arena_printf(&a, ARN "task/%s/task%zu", w->clusters[cluster], i));
    print_list(w, request, "taskArns", arns, n, out);
    arena_release(&a);
}

static void list_services(struct ecs_world *w, const struct node *request, uint32_t cluster, struct buf *out)
{
    struct arena a = {0};
    struct str *arns = ARENA_ARRAY(&a, struct str, w->n_services + 1);

    for (uint32_t i = 0; i < w->n_services; i++)
        arns[i] = str_c(arena_printf(&a, ARN "service/%s/service%u", w->clusters[cluster], i));
    print_list(w, request, "serviceArns", arns, w->n_services, out);
    arena_release(&a);
}

static void describe_clusters(struct ecs_world *w, const struct node *request, struct buf *out)
{
    const char *comma = "";

    buf_c(out, "{\"clusters\": [");
    for (const struct node *v = node_find(request, "clusters")->first; v; v = v->next) {
        int i = find_cluster(w, v->text);
        if (i < 0)
            continue;
        buf_printf(out,
                   "%s{\"clusterArn\": \"" ARN "cluster/%s\", \"clusterName\": \"%s\", \"status\": \"ACTIVE\", "
                   "\"tags\": [{\"key\": \"cost centre\", \"value\": \"%d\"}]}",
                   comma, w->clusters[i], w->clusters[i], i);
        comma = ",";
    }
    buf_c(out, "], \"failures\": []}");
}

static void print_task(const struct ecs_world *w, const struct world_task *t, struct buf *out)
{
    static const char *const launch[] = {"FARGATE", "EC2", "EC2", "EXTERNAL", "FARGATE"};
    const char *cluster = w->clusters[t->cluster];

    buf_printf(out,
               "{\"taskArn\": \"" ARN "task/%s/task%u\", \"clusterArn\": \"" ARN "cluster/%s\", "
               "\"taskDefinitionArn\": \"" ARN "task-definition/web:%d\", \"launchType\": \"%s\", "
               "\"lastStatus\": \"RUNNING\", \"desiredStatus\": \"RUNNING\", \"healthStatus\": \"UNKNOWN\", "
               "\"availabilityZone\": \"eu-west-1a\", \"startedAt\": 1.7e9, \"version\": 2, ",
               cluster, t->id, cluster, t->service + 2, launch[t->kind]);
    if (t->service >= 0)
        buf_printf(out, "\"group\": \"service:service%d\", \"startedBy\": \"ecs-svc/%d\", ", t->service, t->service);
    else
        buf_c(out, "\"group\": \"family:web\", ");
    if (t->kind == WORLD_FARGATE)
        buf_c(out, "\"platformFamily\": \"Linux\", \"platformVersion\": \"1.4.0\", ");
    if (t->kind == WORLD_BRIDGE || t->kind == WORLD_EC2_AWSVPC || t->kind == WORLD_EXTERNAL)
        buf_printf(out, "\"containerInstanceArn\": \"" ARN "container-instance/%s/%s%u\", ", cluster,
                   t->kind == WORLD_EXTERNAL ? "external" : "host", t->host);
    if (t->kind == WORLD_FARGATE || t->kind == WORLD_EC2_AWSVPC)
        buf_printf(out,
                   "\"attachments\": [{\"type\": \"Service Connect\"}, {\"type\": \"ElasticNetworkInterface\", "
                   "\"details\": [{\"name\": \"subnetId\", \"value\": \"subnet-1\"}, {\"name\": \"x\"}, {\"name\": "
                   "\"networkInterfaceId\", \"value\": \"eni-%u\"}, {\"name\": \"privateIPv4Address\", \"value\": "
                   "\"10.0.%u.%u\"}]}], ",
                   t->id, t->id / 256, t->id % 256);
    buf_printf(out, "\"tags\": [{\"key\": \"team\", \"value\": \"a\"}], \"containers\": [{\"name\": \"app\", "
                    "\"networkBindings\": []}]}");
}

static void describe_tasks(struct ecs_world *w, const struct node *request, struct buf *out)
{
    AUTO_BUF failures = {0};
    const struct node *tasks = node_find(request, "tasks");
    const char *comma = "";

    assert_true(tasks->n >= 1 && tasks->n <= 100);
    buf_c(&failures, "");
    buf_c(out, "{\"tasks\": [");
    for (const struct node *v = tasks->first; v; v = v->next) {
        const struct world_task *t = &w->tasks[number_of(v->text)];
        if (t->vanished) {
            buf_printf(&failures, "%s{\"arn\": \"%.*s\", \"reason\": \"MISSING\"}", failures.n ? "," : "",
                       STR_ARGS(v->text));
            continue;
        }
        buf_c(out, comma);
        print_task(w, t, out);
        comma = ",";
    }
    buf_printf(out, "], \"failures\": [%s]}", failures.p);
}

static void describe_services(const struct node *request, struct str cluster, struct buf *out)
{
    const struct node *services = node_find(request, "services");
    const char *comma = "";

    assert_true(services->n >= 1 && services->n <= 10);
    buf_c(out, "{\"services\": [");
    for (const struct node *v = services->first; v; v = v->next) {
        uint32_t i = number_of(v->text);
        buf_printf(out,
                   "%s{\"serviceArn\": \"" ARN "service/%.*s/service%u\", \"serviceName\": \"service%u\", \"status\": "
                   "\"ACTIVE\", \"deployments\": [{\"id\": \"ecs-svc/%u\", \"status\": \"PRIMARY\"}], \"tags\": "
                   "[{\"key\": \"kind\", \"value\": "
                   "\"k%u\"}]}",
                   comma, STR_ARGS(last_part(cluster)), i, i, i, i);
        comma = ",";
    }
    buf_c(out, "]}");
}

static void describe_instances(const struct node *request, struct buf *out)
{
    const struct node *arns = node_find(request, "containerInstances");
    const char *comma = "";

    assert_true(arns->n >= 1 && arns->n <= 100);
    buf_c(out, "{\"containerInstances\": [");
    for (const struct node *v = arns->first; v; v = v->next) {
        bool external = str_contains(v->text, STR("external"));
        buf_printf(out, "%s{\"containerInstanceArn\": \"%.*s\", \"ec2InstanceId\": \"%s-%u\", \"status\": \"ACTIVE\"}",
                   comma, STR_ARGS(v->text), external ? "mi" : "i", number_of(v->text));
        comma = ",";
    }
    buf_c(out, "], \"failures\": []}");
}

/* Calls fn for each value of the first filter. */
static void each_value(struct str body, void (*fn)(struct str id, struct buf *out), struct buf *out)
{
    struct str part, name, value;

    assert_true(str_contains(body, STR("IncludeManagedResources=true")));
    while (body.n) {
        str_cut(body, '&', &part, &body);
        str_cut(part, '=', &name, &value);
        if (str_starts(name, STR("Filter.1.Value.")))
            fn(value, out);
    }
}

static void print_host(struct str id, struct buf *out)
{
    uint32_t n = number_of(id);

    assert_true(str_starts(id, STR("i-")));
    buf_printf(out,
               "<item><instanceId>%.*s</instanceId><instanceType>t3.small</instanceType><privateIpAddress>10.9.0.%u"
               "</privateIpAddress><ipAddress>203.0.113.%u</ipAddress><subnetId>subnet-9</subnetId><vpcId>vpc-1</vpcId>"
               "<tagSet><item><key>Name</key><value>host %u</value></item></tagSet></item>",
               STR_ARGS(id), n, n, n);
}

static void print_interface(struct str id, struct buf *out)
{
    uint32_t n = number_of(id);

    buf_printf(out, "<item><networkInterfaceId>%.*s</networkInterfaceId>", STR_ARGS(id));
    if (n % 2 == 0)
        buf_printf(out, "<association><publicIp>198.51.100.%u</publicIp></association>", n % 256);
    buf_c(out, "</item>");
}

static void print_definition(const struct node *request, struct buf *out)
{
    buf_printf(out,
               "{\"taskDefinition\": {\"taskDefinitionArn\": \"%.*s\", \"family\": \"web\", \"revision\": %u, "
               "\"networkMode\": \"awsvpc\", \"containerDefinitions\": [{\"name\": \"app\", \"dockerLabels\": {\"a\": "
               "\"b\"}, \"portMappings\": [{\"containerPort\": 9404, \"hostPort\": 0}]}]}}",
               STR_ARGS(field(request, "taskDefinition")), number_of(field(request, "taskDefinition")));
}

static bool is_faulty(struct ecs_world *w, const char *operation, struct str cluster, struct fake_answer *out)
{
    if (w->fault == FAULT_NONE || !w->fault_operation || strcmp(w->fault_operation, operation) != 0 ||
        (w->fault_cluster && !str_eq_c(last_part(cluster), w->fault_cluster)))
        return false;
    switch (w->fault) {
    case FAULT_CODE:
        out->code = w->fault_code;
        out->message = "as the test says";
        return true;
    case FAULT_GARBAGE:
        buf_c(&out->body, "{\"tasks\": [<html");
        return true;
    default:
        return false;
    }
}

static void answer_ec2(const char *operation, struct str body, struct fake_answer *out)
{
    if (strcmp(operation, "DescribeInstances") == 0) {
        buf_c(&out->body, "<DescribeInstancesResponse><reservationSet><item><ownerId>" ACCOUNT "</ownerId>"
                          "<instancesSet>");
        each_value(body, print_host, &out->body);
        buf_c(&out->body, "</instancesSet></item></reservationSet></DescribeInstancesResponse>");
        return;
    }
    assert_string_equal(operation, "DescribeNetworkInterfaces");
    buf_c(&out->body, "<DescribeNetworkInterfacesResponse><networkInterfaceSet>");
    each_value(body, print_interface, &out->body);
    buf_c(&out->body, "</networkInterfaceSet></DescribeNetworkInterfacesResponse>");
}

static void answer_ecs(struct ecs_world *w, const char *operation, const struct node *request, struct fake_answer *out)
{
    struct str cluster = field(request, "cluster");
    int at = find_cluster(w, cluster);

    if (cluster.n && at < 0) {
        out->code = "ClusterNotFoundException";
        out->message = "Cluster not found.";
    } else if (strcmp(operation, "ListClusters") == 0) {
        list_clusters(w, request, &out->body);
    } else if (strcmp(operation, "ListTasks") == 0) {
        list_tasks(w, request, (uint32_t)at, &out->body);
    } else if (strcmp(operation, "ListServices") == 0) {
        list_services(w, request, (uint32_t)at, &out->body);
    } else if (strcmp(operation, "DescribeClusters") == 0) {
        describe_clusters(w, request, &out->body);
    } else if (strcmp(operation, "DescribeTasks") == 0) {
        describe_tasks(w, request, &out->body);
    } else if (strcmp(operation, "DescribeServices") == 0) {
        describe_services(request, cluster, &out->body);
    } else if (strcmp(operation, "DescribeContainerInstances") == 0) {
        describe_instances(request, &out->body);
    } else if (strcmp(operation, "DescribeTaskDefinition") == 0) {
        print_definition(request, &out->body);
    } else {
        fail_msg("nobody answers %s", operation);
    }
}

void ecs_world_answer(struct fake_aws *f, const char *operation, struct str body, struct fake_answer *out)
{
    struct ecs_world *w = f->ctx;
    struct arena a = {0};
    struct node *request = NULL;
    bool json = body.n && *body.p == '{';

    if (json)
        assert_int_equal(tree_parse_json(body, "request", &a, &request, NULL), OK);
    if (is_faulty(w, operation, json ? field(request, "cluster") : STR(""), out)) {
        arena_release(&a);
        return;
    }
    if (json)
        answer_ecs(w, operation, request, out);
    else
        answer_ec2(operation, body, out);
    arena_release(&a);
}

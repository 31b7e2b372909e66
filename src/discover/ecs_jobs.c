/* ecs_jobs: the calls of the ECS client: what is asked, and where the answer goes.
 *
 *   ListClusters, ListTasks, ListServices          pages of 100
 *   DescribeClusters, DescribeTasks,
 *   DescribeContainerInstances                     batches of 100
 *   DescribeServices                               batches of 10
 *   DescribeTaskDefinition                         one each
 *   ec2 DescribeInstances, DescribeNetworkInterfaces   by filter, 200 values each, managed resources included
 *
 * EC2 is asked by filter and not by id: one unknown id would fail the whole call. What a batch asked for and its answer
 * does not have is known to be missing, for a minute: things may be younger than what AWS tells everyone.
 */
#include "discover/ecs_client_int.h"

#include "base/mem.h"
#include "net/http_client.h"
#include "wire/json.h"

enum { FRESH_MS = 10 * 60 * 1000, MISSING_MS = 60 * 1000 };

struct job_type {
    const struct aws_service *service;
    const char *operation, *member; /* member: of the request; of List calls, of the answer */
    enum aws_family family;
    uint32_t batch;
};

static const struct job_type types[] = {
    [JOB_LIST_CLUSTERS] = {&aws_ecs, "ListClusters", "clusterArns", AWS_ECS_CLUSTERS, 0},
    [JOB_LIST_TASKS] = {&aws_ecs, "ListTasks", "taskArns", AWS_ECS_TASKS, 0},
    [JOB_LIST_SERVICES] = {&aws_ecs, "ListServices", "serviceArns", AWS_ECS_SERVICES, 0},
    [JOB_CLUSTERS] = {&aws_ecs, "DescribeClusters", "clusters", AWS_ECS_CLUSTERS, 100},
    [JOB_TASKS] = {&aws_ecs, "DescribeTasks", "tasks", AWS_ECS_TASKS, 100},
    [JOB_SERVICES] = {&aws_ecs, "DescribeServices", "services", AWS_ECS_SERVICES, 10},
    [JOB_INSTANCES] = {&aws_ecs, "DescribeContainerInstances", "containerInstances", AWS_ECS_TASKS, 100},
    [JOB_DEFINITION] = {&aws_ecs, "DescribeTaskDefinition", "taskDefinition", AWS_ECS_DEFINITIONS, 1},
    [JOB_INTERFACES] = {&aws_ec2, "DescribeNetworkInterfaces", "network-interface-id", AWS_EC2_OTHER, 200},
    [JOB_HOSTS] = {&aws_ec2, "DescribeInstances", "instance-id", AWS_EC2_INSTANCES, 200},
};

uint32_t ecs_batch(enum ecs_job_kind kind)
{
    return types[kind].batch;
}

void ecs_strings_add(struct ecs_strings *s, struct str v)
{
    s->v = mem_grow(s->v, &s->cap, s->n + 1, sizeof(*s->v));
    s->v[s->n++] = v;
}

struct ecs_cache *ecs_job_cache(struct ecs_client *c, enum ecs_job_kind kind)
{
    switch (kind) {
    case JOB_CLUSTERS:
        return &c->cluster_cache;
    case JOB_INSTANCES:
        return &c->instances;
    case JOB_DEFINITION:
        return &c->definitions;
    case JOB_INTERFACES:
        return &c->interfaces;
    case JOB_HOSTS:
        return &c->hosts;
    default:
        return NULL;
    }
}

/* ---- requests ---- */

static void write_ec2(const struct ecs_job *j, struct str token, struct buf *body)
{
    buf_printf(body, "Filter.1.Name=%s", types[j->kind].member);
    for (uint32_t i = 0; i < j->n_items; i++) {
        buf_printf(body, "&Filter.1.Value.%u=", i + 1);
        http_query_escape(body, j->items[i]);
    }
    buf_c(body, "&IncludeManagedResources=true&MaxResults=1000");
    if (token.n) {
        buf_c(body, "&NextToken=");
        http_query_escape(body, token);
    }
}

static void write_items(const struct ecs_job *j, struct json *out)
{
    json_key_c(out, types[j->kind].member);
    json_array(out);
    for (uint32_t i = 0; i < j->n_items; i++)
        json_str(out, j->items[i]);
    json_array_end(out);
    if (j->kind == JOB_INSTANCES)
        return;
    json_key_c(out, "include");
    json_array(out);
    json_c(out, "TAGS");
    json_array_end(out);
}

static void write_ecs(const struct ecs_job *j, struct str token, struct buf *body)
{
    struct json out = json_to(body);

    json_object(&out);
    if (j->work) {
        json_key_c(&out, "cluster");
        json_c(&out, j->work->id);
    }
    if (j->kind == JOB_DEFINITION) {
        json_key_c(&out, types[j->kind].member);
        json_str(&out, j->items[0]);
    } else if (types[j->kind].batch) {
        write_items(j, &out);
    } else {
        json_key_c(&out, "maxResults");
        json_i64(&out, 100);
    }
    if (token.n) {
        json_key_c(&out, "nextToken");
        json_str(&out, token);
    }
    json_object_end(&out);
}

static void write_request(struct aws_job *job, struct str token, struct buf *body)
{
    struct ecs_job *j = CONTAINER_OF(job, struct ecs_job, job);

    if (types[j->kind].service == &aws_ec2)
        write_ec2(j, token, body);
    else
        write_ecs(j, token, body);
}

/* ---- answers ---- */

static void note_answered(struct ecs_job *j, struct ecs_entry *e)
{
    e->state = ENTRY_KNOWN;
    e->asking = false;
    e->until_ms = loop_now_ms(j->client->o.queue.loop) + FRESH_MS;
}

static enum err take_page(struct ecs_job *j, struct str body, struct buf *token, struct diag *d)
{
    struct arena scratch = {0};
    struct arena *a = j->work ? &j->work->next->arena : &scratch;
    struct ecs_page page;
    enum err err = ecs_page_parse(body, types[j->kind].member, a, &page, d);

    if (!err) {
        buf_str(token, page.next_token);
        if (j->kind == JOB_LIST_CLUSTERS)
            ecs_client_listed(j->client, &page);
        else if (j->kind == JOB_LIST_TASKS)
            ecs_client_listed_tasks(j->work, &page);
        for (uint32_t i = 0; j->kind == JOB_LIST_SERVICES && i < page.n; i++)
            if (!j->client->o.service_wanted || j->client->o.service_wanted(j->client->o.service_ctx, page.arns[i]))
                ecs_strings_add(&j->work->service_names, page.arns[i]);
    }
    arena_release(&scratch);
    return err;
}

static enum err take_tasks(struct ecs_job *j, struct str body, struct diag *d)
{
    struct ecs_work *w = j->work;
    struct ecs_described got;
    enum err err = ecs_tasks_parse(body, &w->next->arena, &got, d);

    for (uint32_t i = 0; !err && i < got.n; i++) {
        w->tasks = mem_grow(w->tasks, &w->cap_tasks, w->n_tasks + 1, sizeof(*w->tasks));
        w->tasks[w->n_tasks++] = (struct ecs_found){.task = got.tasks[i]};
    }
    if (!err)
        w->next->missing += got.n_failures + got.skipped;
    return err;
}

static enum err take_services(struct ecs_job *j, struct str body, struct diag *d)
{
    struct ecs_work *w = j->work;
    struct ecs_described got;
    enum err err = ecs_services_parse(body, &w->next->arena, &got, d);

    for (uint32_t i = 0; !err && i < got.n; i++) {
        w->services = mem_grow(w->services, &w->cap_services, w->n_services + 1, sizeof(*w->services));
        w->services[w->n_services++] = got.services[i];
    }
    if (!err)
        w->next->missing += got.n_failures + got.skipped;
    return err;
}

/* A cluster is asked for by name or ARN, and answered with both. */
static enum err take_clusters(struct ecs_job *j, struct str body, struct diag *d)
{
    struct arena scratch = {0};
    struct ecs_described got;
    enum err err = ecs_clusters_parse(body, &scratch, &got, d);

    for (uint32_t i = 0; !err && i < got.n; i++) {
        const struct ecs_cluster *from = &got.clusters[i];
        for (uint32_t k = 0; k < j->n_items; k++) {
            struct ecs_entry *e = ecs_cache_find(&j->client->cluster_cache, j->items[k]);
            if (!e || !(str_eq(e->key, from->arn) || str_eq(e->key, from->name)))
                continue;
            ecs_entry_renew(e);
            struct ecs_cluster *c = &e->cluster;
            *c = (struct ecs_cluster){
                str_dup(&e->arena, from->arn), str_dup(&e->arena, from->name), str_dup(&e->arena, from->status), {0}};
            c->tags = ecs_tags_copy(from->tags, &e->arena);
            note_answered(j, e);
        }
    }
    arena_release(&scratch);
    return err;
}

static enum err take_instances(struct ecs_job *j, struct str body, struct diag *d)
{
    struct arena scratch = {0};
    struct ecs_described got;
    enum err err = ecs_instances_parse(body, &scratch, &got, d);

    for (uint32_t i = 0; !err && i < got.n; i++) {
        struct ecs_entry *e = ecs_cache_find(&j->client->instances, got.instances[i].arn);
        if (!e)
            continue;
        ecs_entry_renew(e);
        e->instance = (struct ecs_instance){
            .arn = e->key,
            .ec2_id = str_dup(&e->arena, got.instances[i].ec2_id),
            .capacity_provider = str_dup(&e->arena, got.instances[i].capacity_provider),
            .status = str_dup(&e->arena, got.instances[i].status),
        };
        note_answered(j, e);
        e->until_ms = UINT64_MAX; /* it is the same machine as long as it is registered */
    }
    arena_release(&scratch);
    return err;
}

static enum err take_definition(struct ecs_job *j, struct str body, struct diag *d)
{
    struct ecs_entry *e = ecs_cache_find(&j->client->definitions, j->items[0]);

    ecs_entry_renew(e);
    enum err err = ecs_definition_parse(body, &e->arena, &e->definition, d);
    if (err)
        return err;
    note_answered(j, e);
    e->until_ms = UINT64_MAX; /* a revision never changes */
    return OK;
}

static enum err take_interfaces(struct ecs_job *j, struct str body, struct buf *token, struct diag *d)
{
    struct arena scratch = {0};
    struct ec2_described got;
    enum err err = ec2_interfaces_parse(body, &scratch, &got, d);

    for (uint32_t i = 0; !err && i < got.n; i++) {
        struct ecs_entry *e = ecs_cache_find(&j->client->interfaces, got.interfaces[i].id);
        if (!e)
            continue;
        ecs_entry_renew(e);
        e->public_ip = str_dup(&e->arena, got.interfaces[i].public_ip);
        note_answered(j, e);
    }
    if (!err)
        buf_str(token, got.next_token);
    arena_release(&scratch);
    return err;
}

static enum err take_hosts(struct ecs_job *j, struct str body, struct buf *token, struct diag *d)
{
    struct arena scratch = {0};
    struct ec2_described got;
    enum err err = ec2_instances_parse(body, &scratch, &got, d);

    for (uint32_t i = 0; !err && i < got.n; i++) {
        const struct ec2_instance *from = &got.instances[i];
        struct ecs_entry *e = ecs_cache_find(&j->client->hosts, from->id);
        if (!e)
            continue;
        ecs_entry_renew(e);
        e->host = (struct ec2_instance){
            .id = e->key,
            .type = str_dup(&e->arena, from->type),
            .private_ip = str_dup(&e->arena, from->private_ip),
            .ipv6 = str_dup(&e->arena, from->ipv6),
            .public_ip = str_dup(&e->arena, from->public_ip),
            .subnet_id = str_dup(&e->arena, from->subnet_id),
            .vpc_id = str_dup(&e->arena, from->vpc_id),
            .zone = str_dup(&e->arena, from->zone),
            .tags = ecs_tags_copy(from->tags, &e->arena),
        };
        note_answered(j, e);
    }
    if (!err)
        buf_str(token, got.next_token);
    arena_release(&scratch);
    return err;
}

static enum err take_answer(struct aws_job *job, struct str body, struct buf *token, struct diag *d)
{
    struct ecs_job *j = CONTAINER_OF(job, struct ecs_job, job);

    switch (j->kind) {
    case JOB_CLUSTERS:
        return take_clusters(j, body, d);
    case JOB_TASKS:
        return take_tasks(j, body, d);
    case JOB_SERVICES:
        return take_services(j, body, d);
    case JOB_INSTANCES:
        return take_instances(j, body, d);
    case JOB_DEFINITION:
        return take_definition(j, body, d);
    case JOB_INTERFACES:
        return take_interfaces(j, body, token, d);
    case JOB_HOSTS:
        return take_hosts(j, body, token, d);
    default:
        return take_page(j, body, token, d);
    }
}

/* ---- ends ---- */

/* A definition that was deleted is a client's error of its own kind. */
static bool is_missing_definition(const struct ecs_job *j, struct str code)
{
    return j->kind == JOB_DEFINITION && str_eq(code, STR("ClientException"));
}

static void end_entries(struct ecs_job *j, struct ecs_cache *cache, enum err err, struct str code, const struct diag *d)
{
    bool missing = err == OK || is_missing_definition(j, code);

    if (!missing && !cache->error.text[0]) {
        cache->error = *d;
        cache->denied = aws_code_is_denied(code);
    }
    for (uint32_t i = 0; i < j->n_items; i++) {
        struct ecs_entry *e = ecs_cache_find(cache, j->items[i]);
        if (!e || !e->asking)
            continue;
        e->asking = false;
        e->failed = !missing;
        if (!missing)
            continue;
        ecs_entry_renew(e);
        e->state = ENTRY_MISSING;
        e->until_ms = loop_now_ms(j->client->o.queue.loop) + MISSING_MS;
    }
}

static void end_job(struct aws_job *job, enum err err, struct str code, const struct diag *d)
{
    struct ecs_job *j = CONTAINER_OF(job, struct ecs_job, job);
    struct ecs_client *c = j->client;
    struct ecs_cache *cache = ecs_job_cache(c, j->kind);
    bool gone = j->work && str_eq(code, STR("ClusterNotFoundException"));

    if (cache) {
        end_entries(j, cache, err, code, d);
    } else if (err) {
        diag_keep(&c->diag, d);
        if (j->kind == JOB_LIST_CLUSTERS)
            c->list_failed = true;
        else if (!gone) /* a cluster that is not there has no tasks: that is an answer */
            j->work->failed = true;
    }
    ecs_job_drop(job);
    ecs_client_ended(c);
}

void ecs_job_drop(struct aws_job *job)
{
    struct ecs_job *j = CONTAINER_OF(job, struct ecs_job, job);

    free(j->items);
    free(j);
}

void ecs_job_start(struct ecs_client *c, enum ecs_job_kind kind, struct ecs_work *work, const struct str *items,
                   uint32_t n)
{
    struct ecs_job *j = NEW(struct ecs_job);

    j->client = c;
    j->work = work;
    j->kind = kind;
    j->items = mem_alloc(sizeof(struct str) * (n + 1));
    for (; j->n_items < n; j->n_items++)
        j->items[j->n_items] = items[j->n_items];
    j->job.service = types[kind].service;
    j->job.operation = types[kind].operation;
    j->job.family = types[kind].family;
    j->job.endpoint = types[kind].service == &aws_ecs ? c->o.endpoint : STR_NONE;
    j->job.write = write_request;
    j->job.page = take_answer;
    j->job.end = end_job;
    c->n_jobs++;
    aws_queue_start(c->queue, &j->job);
}

void ecs_jobs_start(struct ecs_client *c, enum ecs_job_kind kind, struct ecs_work *work, struct ecs_strings *items)
{
    uint32_t batch = types[kind].batch;

    for (size_t at = 0; at < items->n; at += batch)
        ecs_job_start(c, kind, work, items->v + at, items->n - at < batch ? (uint32_t)(items->n - at) : batch);
    items->n = 0;
}

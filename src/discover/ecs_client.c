/* ecs_client: see the header. The order of a refresh; each stage begins when the last call of the one before has ended:
 *
 *   clusters   ListClusters                        unless they are configured
 *   lists      ListTasks -> DescribeTasks          as soon as a hundred are listed, side by side
 *              ListServices, DescribeClusters
 *   details    DescribeServices, DescribeContainerInstances, DescribeTaskDefinition, DescribeNetworkInterfaces
 *   hosts      DescribeInstances
 *   end        one inventory per cluster, in place of its last one
 *
 * Only the first stage and the two lists are needed at all in a region where nothing changes, with the tasks and
 * services described again since their state is what is asked for. A failed call fails its cluster, which keeps the
 * inventory it had; refused permissions of the details leave these details out and say so (ecs_assemble.c).
 */
#include "discover/ecs_client_int.h"

#include "base/mem.h"

struct ecs_client *ecs_client_new(const struct ecs_client_options *o)
{
    struct ecs_client *c = NEW(struct ecs_client);

    c->o = *o;
    c->queue = aws_queue_new(&o->queue);
    return c;
}

/* ---- clusters ---- */

static void work_reset(struct ecs_work *w)
{
    ecs_inventory_free(w->next);
    w->next = NULL;
    free(w->task_arns.v);
    free(w->service_names.v);
    free(w->tasks);
    free(w->services);
    w->task_arns = w->service_names = (struct ecs_strings){0};
    w->tasks = NULL;
    w->services = NULL;
    w->n_tasks = w->cap_tasks = w->n_services = w->cap_services = 0;
}

static void work_free(struct ecs_work *w)
{
    work_reset(w);
    ecs_inventory_free(w->inventory);
    free(w->id);
    free(w);
}

/* The same cluster may be configured by name and by ARN. */
static void want_cluster(struct ecs_client *c, struct str id)
{
    struct ecs_work *w;

    for (size_t i = 0; i < c->n_clusters; i++) {
        struct str other = str_c(c->clusters[i]->id);
        if (!str_eq(other, id) && !(c->o.n_clusters && str_eq(ecs_short_name(other), ecs_short_name(id))))
            continue;
        c->clusters[i]->seen = true;
        return;
    }
    w = NEW(struct ecs_work);
    w->client = c;
    w->id = str_to_c(id);
    w->seen = true;
    c->clusters = mem_grow(c->clusters, &c->cap_clusters, c->n_clusters + 1, sizeof(struct ecs_work *));
    c->clusters[c->n_clusters++] = w;
}

void ecs_client_listed(struct ecs_client *c, const struct ecs_page *page)
{
    for (uint32_t i = 0; i < page->n; i++)
        want_cluster(c, page->arns[i]);
}

static void drop_unseen(struct ecs_client *c)
{
    for (size_t i = c->n_clusters; i-- > 0;) {
        if (c->clusters[i]->seen)
            continue;
        work_free(c->clusters[i]);
        c->clusters[i] = c->clusters[--c->n_clusters];
    }
}

/* ---- lists ---- */

void ecs_client_listed_tasks(struct ecs_work *w, const struct ecs_page *page)
{
    for (uint32_t i = 0; i < page->n; i++) {
        ecs_strings_add(&w->task_arns, page->arns[i]);
        if (w->task_arns.n == ecs_batch(JOB_TASKS))
            ecs_jobs_start(w->client, JOB_TASKS, w, &w->task_arns);
    }
}

static bool is_fresh(const struct ecs_client *c, const struct ecs_entry *e)
{
    return e->asking || (e->state != ENTRY_NEW && e->until_ms > loop_now_ms(c->o.queue.loop));
}

/* Notes the key for asking, unless what is known about it is fresh. */
static void want_entry(struct ecs_client *c, struct ecs_cache *cache, struct str key, struct ecs_strings *out)
{
    struct ecs_entry *e = key.n ? ecs_cache_get(cache, key) : NULL;

    if (!e || is_fresh(c, e))
        return;
    e->asking = true;
    ecs_strings_add(out, e->key);
}

static void start_lists(struct ecs_client *c)
{
    struct ecs_strings stale = {0};

    for (size_t i = 0; i < c->n_clusters; i++) {
        struct ecs_work *w = c->clusters[i];
        w->failed = false;
        w->next = NEW(struct ecs_inventory);
        ecs_job_start(c, JOB_LIST_TASKS, w, NULL, 0);
        if (c->o.services == ECS_ALL_SERVICES)
            ecs_job_start(c, JOB_LIST_SERVICES, w, NULL, 0);
        if (c->o.cluster_tags)
            want_entry(c, &c->cluster_cache, str_c(w->id), &stale);
    }
    ecs_jobs_start(c, JOB_CLUSTERS, NULL, &stale);
    free(stale.v);
}

/* What was listed and makes no whole batch is described now. */
static bool start_last_tasks(struct ecs_client *c)
{
    bool any = false;

    for (size_t i = 0; i < c->n_clusters; i++) {
        struct ecs_work *w = c->clusters[i];
        any |= w->task_arns.n && !w->failed;
        if (!w->failed)
            ecs_jobs_start(c, JOB_TASKS, w, &w->task_arns);
    }
    return any;
}

/* ---- details ---- */

static int by_text(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static void want_services(struct ecs_work *w)
{
    struct ecs_strings *names = &w->service_names;
    size_t n = 0;

    for (size_t i = 0; w->client->o.services == ECS_SERVICES_OF_TASKS && i < w->n_tasks; i++) {
        struct str group = w->tasks[i].task.group;
        if (str_starts(group, STR("service:")) && group.n > 8)
            ecs_strings_add(names, str_from(group.p + 8, group.n - 8));
    }
    if (names->n)
        qsort(names->v, names->n, sizeof(*names->v), by_text);
    for (size_t i = 0; i < names->n; i++)
        if (i == 0 || !str_eq(names->v[i], names->v[n - 1]))
            names->v[n++] = names->v[i];
    names->n = n;
    ecs_jobs_start(w->client, JOB_SERVICES, w, names);
}

static void start_details(struct ecs_client *c)
{
    struct ecs_strings instances = {0}, definitions = {0}, interfaces = {0};

    for (size_t i = 0; i < c->n_clusters; i++) {
        struct ecs_work *w = c->clusters[i];
        if (w->failed)
            continue;
        want_services(w);
        for (size_t k = 0; k < w->n_tasks; k++) {
            const struct ecs_task *t = &w->tasks[k].task;
            if (c->o.hosts)
                want_entry(c, &c->instances, t->instance_arn, &instances);
            if (c->o.definitions)
                want_entry(c, &c->definitions, t->definition_arn, &definitions);
            if (c->o.interfaces)
                want_entry(c, &c->interfaces, t->interface_id, &interfaces);
        }
        ecs_jobs_start(c, JOB_INSTANCES, w, &instances);
    }
    ecs_jobs_start(c, JOB_DEFINITION, NULL, &definitions);
    ecs_jobs_start(c, JOB_INTERFACES, NULL, &interfaces);
    free(instances.v);
    free(definitions.v);
    free(interfaces.v);
}

/* Machines outside AWS have ids of another kind ("mi-..."), which EC2 does not know. */
static void start_hosts(struct ecs_client *c)
{
    struct ecs_strings hosts = {0};

    for (uint32_t i = 0; i < c->instances.map.n; i++) {
        const struct ecs_entry *e = c->instances.v[i];
        if (e->used && e->state == ENTRY_KNOWN && str_starts(e->instance.ec2_id, STR("i-")))
            want_entry(c, &c->hosts, e->instance.ec2_id, &hosts);
    }
    ecs_jobs_start(c, JOB_HOSTS, NULL, &hosts);
    free(hosts.v);
}

/* ---- the end ---- */

static void sweep(struct ecs_client *c)
{
    for (size_t i = 0; i < c->n_clusters; i++)
        if (c->clusters[i]->inventory)
            ecs_mark_used(c, c->clusters[i]->inventory);
    ecs_cache_sweep(&c->cluster_cache);
    ecs_cache_sweep(&c->instances);
    ecs_cache_sweep(&c->definitions);
    ecs_cache_sweep(&c->interfaces);
    ecs_cache_sweep(&c->hosts);
}

static void finish(struct ecs_client *c)
{
    struct ecs_client_result r = {.calls = aws_queue_calls(c->queue) - c->calls_before};
    const struct ecs_inventory **found = mem_zalloc(sizeof(void *) * (c->n_clusters + 1));

    for (size_t i = 0; !c->list_failed && i < c->n_clusters; i++) {
        struct ecs_work *w = c->clusters[i];
        if (!w->failed)
            ecs_assemble(w);
        r.n_failed += w->failed;
        work_reset(w);
    }
    if (!c->list_failed)
        sweep(c);
    for (size_t i = 0; i < c->n_clusters; i++)
        if (c->clusters[i]->inventory)
            found[r.n_clusters++] = c->clusters[i]->inventory;
    r.clusters = found;
    r.failed = c->list_failed || (c->n_clusters && r.n_failed == c->n_clusters);
    r.diag = c->diag;
    c->stage = STAGE_IDLE;
    c->done(c->ctx, &r);
    free(found);
}

static void next_stage(struct ecs_client *c)
{
    switch (c->stage) {
    case STAGE_CLUSTERS:
        if (c->list_failed)
            break;
        drop_unseen(c);
        c->stage = STAGE_LISTS;
        start_lists(c);
        return;
    case STAGE_LISTS:
        if (start_last_tasks(c))
            return;
        c->stage = STAGE_DETAILS;
        start_details(c);
        return;
    case STAGE_DETAILS:
        c->stage = STAGE_HOSTS;
        if (c->o.hosts)
            start_hosts(c);
        return;
    default:
        break;
    }
    finish(c);
}

static void advance(struct ecs_client *c)
{
    while (c->stage != STAGE_IDLE && c->n_jobs == 0)
        next_stage(c);
}

void ecs_client_ended(struct ecs_client *c)
{
    c->n_jobs--;
    advance(c);
}

static void on_kick(struct timer *t)
{
    advance(CONTAINER_OF(t, struct ecs_client, kick));
}

void ecs_client_refresh(struct ecs_client *c, void (*done)(void *ctx, const struct ecs_client_result *r), void *ctx)
{
    CHECK(c->stage == STAGE_IDLE);
    c->done = done;
    c->ctx = ctx;
    c->list_failed = false;
    c->calls_before = aws_queue_calls(c->queue);
    diag_reset(&c->diag);
    ecs_cache_begin(&c->cluster_cache);
    ecs_cache_begin(&c->instances);
    ecs_cache_begin(&c->definitions);
    ecs_cache_begin(&c->interfaces);
    ecs_cache_begin(&c->hosts);
    for (size_t i = 0; i < c->n_clusters; i++)
        c->clusters[i]->seen = false;
    for (uint32_t i = 0; i < c->o.n_clusters; i++)
        want_cluster(c, c->o.clusters[i]);
    c->stage = STAGE_CLUSTERS;
    if (c->o.n_clusters == 0)
        ecs_job_start(c, JOB_LIST_CLUSTERS, NULL, NULL, 0);
    else
        timer_start(c->o.queue.loop, &c->kick, 0, on_kick);
}

void ecs_client_free(struct ecs_client *c)
{
    timer_stop(&c->kick);
    aws_queue_free(c->queue, ecs_job_drop);
    for (size_t i = 0; i < c->n_clusters; i++)
        work_free(c->clusters[i]);
    free(c->clusters);
    ecs_cache_release(&c->cluster_cache);
    ecs_cache_release(&c->instances);
    ecs_cache_release(&c->definitions);
    ecs_cache_release(&c->interfaces);
    ecs_cache_release(&c->hosts);
    aws_session_release(c->o.queue.session);
    free(c);
}

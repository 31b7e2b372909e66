/* ecs_assemble: from answers and caches to a cluster's inventory.
 *
 * A task is taken with what belongs to it: its service by the name in its group, its host by way of its container
 * instance, its definition, its interface's public address. Where one of these could not be asked for
 *
 *   and something is known from before    that is used: nothing flaps
 *   and AWS refuses permission            it is left out, and the refresh says so: tasks are found nevertheless
 *   otherwise                             the cluster keeps its last inventory: labels that come and go would make
 *                                         other series of the same targets
 *
 * Hosts are copied once per inventory, since their cache entries are renewed under it; definitions never change and are
 * pointed to.
 */
#include "discover/ecs_client_int.h"

#include "base/mem.h"

void ecs_inventory_free(struct ecs_inventory *v)
{
    if (!v)
        return;
    arena_release(&v->arena);
    free(v);
}

static int by_service_name(const void *a, const void *b)
{
    return str_cmp(((const struct ecs_service *)a)->name, ((const struct ecs_service *)b)->name);
}

static int by_task_arn(const void *a, const void *b)
{
    return str_cmp(((const struct ecs_found *)a)->task.arn, ((const struct ecs_found *)b)->task.arn);
}

/* True when the entry can be used. Fails the cluster where its absence would be a lie. */
static bool usable(struct ecs_work *w, struct ecs_cache *cache, const struct ecs_entry *e)
{
    if (!e)
        return false;
    if (e->failed) {
        diag_keep(&w->client->diag, &cache->error);
        if (e->state == ENTRY_NEW && !cache->denied)
            w->failed = true;
    }
    if (e->state == ENTRY_MISSING)
        w->next->missing++;
    return e->state == ENTRY_KNOWN;
}

static struct ec2_instance *copy_host(const struct ec2_instance *from, struct arena *a)
{
    struct ec2_instance *to = ARENA_NEW(a, struct ec2_instance);

    to->id = str_dup(a, from->id);
    to->type = str_dup(a, from->type);
    to->private_ip = str_dup(a, from->private_ip);
    to->ipv6 = str_dup(a, from->ipv6);
    to->public_ip = str_dup(a, from->public_ip);
    to->subnet_id = str_dup(a, from->subnet_id);
    to->vpc_id = str_dup(a, from->vpc_id);
    to->zone = str_dup(a, from->zone);
    to->tags = ecs_tags_copy(from->tags, a);
    return to;
}

static void find_host(struct ecs_work *w, struct ecs_found *f)
{
    struct ecs_client *c = w->client;
    struct arena *a = &w->next->arena;
    struct ecs_entry *e = f->task.instance_arn.n ? ecs_cache_find(&c->instances, f->task.instance_arn) : NULL;

    if (!usable(w, &c->instances, e))
        return;
    f->ec2_id = str_dup(a, e->instance.ec2_id);
    if (e->copy_for != w->next) {
        const struct ecs_entry *host = ecs_cache_find(&c->hosts, e->instance.ec2_id);
        e->copy = usable(w, &c->hosts, host) ? copy_host(&host->host, a) : NULL;
        e->copy_for = w->next;
    }
    f->host = e->copy;
}

static const struct ecs_service *find_service(const struct ecs_inventory *v, struct str group)
{
    if (!str_starts(group, STR("service:")) || v->n_services == 0)
        return NULL;
    struct ecs_service key = {.name = str_from(group.p + 8, group.n - 8)};
    return bsearch(&key, v->services, v->n_services, sizeof(key), by_service_name);
}

static void complete(struct ecs_work *w, struct ecs_found *f)
{
    struct ecs_client *c = w->client;
    struct ecs_entry *e;

    f->service = find_service(w->next, f->task.group);
    if (c->o.hosts)
        find_host(w, f);
    if (c->o.definitions) {
        e = ecs_cache_find(&c->definitions, f->task.definition_arn);
        if (usable(w, &c->definitions, e))
            f->definition = &e->definition;
    }
    if (c->o.interfaces && f->task.interface_id.n) {
        e = ecs_cache_find(&c->interfaces, f->task.interface_id);
        if (usable(w, &c->interfaces, e))
            f->public_ip = str_dup(&w->next->arena, e->public_ip);
    }
}

static void name_cluster(struct ecs_work *w)
{
    struct ecs_inventory *v = w->next;
    struct ecs_client *c = w->client;
    const struct ecs_entry *e = c->o.cluster_tags ? ecs_cache_find(&c->cluster_cache, str_c(w->id)) : NULL;

    if (usable(w, &c->cluster_cache, e)) {
        v->cluster.arn = str_dup(&v->arena, e->cluster.arn);
        v->cluster.name = str_dup(&v->arena, e->cluster.name);
        v->cluster.status = str_dup(&v->arena, e->cluster.status);
        v->cluster.tags = ecs_tags_copy(e->cluster.tags, &v->arena);
        return;
    }
    struct str id = str_dup(&v->arena, str_c(w->id));
    v->cluster.name = ecs_short_name(id);
    v->cluster.arn = str_starts(id, STR("arn:")) ? id : v->n_tasks ? v->tasks[0].task.cluster_arn : STR("");
}

void ecs_assemble(struct ecs_work *w)
{
    struct ecs_inventory *v = w->next;

    v->services = ARENA_ARRAY(&v->arena, struct ecs_service, w->n_services);
    v->n_services = (uint32_t)w->n_services;
    if (w->n_services) {
        memcpy(v->services, w->services, sizeof(*w->services) * w->n_services);
        qsort(v->services, w->n_services, sizeof(*w->services), by_service_name);
    }
    v->tasks = ARENA_ARRAY(&v->arena, struct ecs_found, w->n_tasks);
    v->n_tasks = (uint32_t)w->n_tasks;
    if (w->n_tasks) {
        memcpy(v->tasks, w->tasks, sizeof(*w->tasks) * w->n_tasks);
        qsort(v->tasks, w->n_tasks, sizeof(*w->tasks), by_task_arn);
    }
    for (uint32_t i = 0; i < v->n_tasks; i++)
        complete(w, &v->tasks[i]);
    name_cluster(w);
    if (w->failed)
        return;
    ecs_inventory_free(w->inventory);
    w->inventory = v;
    w->next = NULL;
}

static void mark(const struct ecs_cache *cache, struct str key)
{
    struct ecs_entry *e = key.n ? ecs_cache_find(cache, key) : NULL;

    if (e)
        e->used = true;
}

void ecs_mark_used(struct ecs_client *c, const struct ecs_inventory *v)
{
    for (uint32_t i = 0; i < v->n_tasks; i++) {
        const struct ecs_found *f = &v->tasks[i];
        mark(&c->instances, f->task.instance_arn);
        mark(&c->definitions, f->task.definition_arn);
        mark(&c->interfaces, f->task.interface_id);
        mark(&c->hosts, f->ec2_id);
    }
}

/* cloudmap_client: see the header. The order of a refresh:
 *
 *   namespaces   ListNamespaces, all types                 those of the names wanted, DNS and HTTP alike
 *   services     ListServices per namespace, side by side
 *   details      per service: ListTagsForResource (when stale) --> is it wanted? --> ListInstances, or
 *                             DiscoverInstancesRevision --moved, too old, or refused--> DiscoverInstances
 *   end          the result, from what is new and what had to stay
 *
 * Two namespaces may have one name (private DNS namespaces of two VPCs): both are meant. AWS identifies what another
 * account shares by ARN; where it names an owner at all, ARNs are used throughout.
 *
 * A service is one allocation with an arena for what never changes of it (Cloud Map renames nothing), one for tags, one
 * for instances; pages of instances gather in a third, which takes their place when the last page is there.
 *
 * DiscoverInstances has no pages: it gives up to 1,000 instances, more than a service may have. The revision is told
 * before and after: a service that changes in between is simply asked again at the next refresh.
 */
#include "discover/cloudmap_client.h"

#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"
#include "discover/aws_queue.h"
#include "wire/json.h"

enum { TAGS_MS = 5 * 60 * 1000, UNFILTERED_MS = 5 * 60 * 1000, FILTERED_MS = 60 * 1000 };
enum { MAX_SERVICES = 10000, MAX_INSTANCES = 10000, MAX_NAMESPACES = 1000, BLOCK_BYTES = 512 };

enum stage { STAGE_IDLE, STAGE_NAMESPACES, STAGE_SERVICES, STAGE_DETAILS };

enum job_kind { JOB_NAMESPACES, JOB_SERVICES, JOB_TAGS, JOB_INSTANCES, JOB_REVISION, JOB_DISCOVER };

static const struct {
    const char *operation;
    enum aws_family family;
} types[] = {
    [JOB_NAMESPACES] = {"ListNamespaces", AWS_CLOUDMAP_LISTS},
    [JOB_SERVICES] = {"ListServices", AWS_CLOUDMAP_LISTS},
    [JOB_TAGS] = {"ListTagsForResource", AWS_CLOUDMAP_LISTS},
    [JOB_INSTANCES] = {"ListInstances", AWS_CLOUDMAP_LISTS},
    [JOB_REVISION] = {"DiscoverInstancesRevision", AWS_CLOUDMAP_DISCOVER},
    [JOB_DISCOVER] = {"DiscoverInstances", AWS_CLOUDMAP_DISCOVER},
};

struct entry {
    struct cloudmap_service service;
    struct cloudmap_client *client;
    uint64_t hash; /* of the id */
    struct arena names, tags, instances, next;
    struct cloudmap_instance *listed; /* in next, page by page */
    size_t n_listed, cap_listed;
    bool seen, failed, gone, has_tags, has_instances, has_revision;
    uint64_t tags_until_ms, discovered_ms, revision, revision_told;
};

struct job {
    struct aws_job job;
    struct cloudmap_client *client;
    enum job_kind kind;
    const struct cloudmap_namespace *of; /* JOB_SERVICES */
    struct entry *entry;                 /* those of one service */
};

struct cloudmap_client {
    struct cloudmap_client_options o;
    struct aws_queue *queue;
    enum stage stage;
    uint32_t n_jobs;
    const struct str *names; /* wanted */
    uint32_t n_names;
    bool *found;        /* by name */
    struct arena arena; /* of the namespaces of this refresh */
    struct cloudmap_namespace *namespaces;
    size_t n_namespaces, cap_namespaces;
    struct entry **entries;
    struct map by_id; /* entries by the hash of the id */
    size_t n_entries, cap_entries;
    bool list_failed, no_revision; /* no_revision: the caller may not ask for it */
    uint32_t n_failed, n_skipped;
    uint64_t calls_before;
    struct diag diag;
    void (*done)(void *ctx, const struct cloudmap_client_result *r);
    void *ctx;
};

struct cloudmap_client *cloudmap_client_new(const struct cloudmap_client_options *o)
{
    struct cloudmap_client *c = NEW(struct cloudmap_client);

    c->o = *o;
    c->queue = aws_queue_new(&o->queue);
    return c;
}

/* ---- services known ---- */

struct id_key {
    const struct cloudmap_client *client;
    struct str id;
};

static bool is_id(const void *ctx, uint32_t index)
{
    const struct id_key *key = ctx;

    return str_eq(key->client->entries[index]->service.id, key->id);
}

static void entry_free(struct entry *e)
{
    arena_release(&e->names);
    arena_release(&e->tags);
    arena_release(&e->instances);
    arena_release(&e->next);
    free(e->listed);
    free(e);
}

static struct entry *entry_new(struct cloudmap_client *c, const struct cloudmap_namespace *n,
                               const struct cloudmap_summary *from)
{
    struct entry *e = NEW(struct entry);
    struct cloudmap_service *s = &e->service;
    struct arena *a = &e->names;

    e->client = c;
    e->hash = hash_bytes(from->id);
    e->names.block_size = e->tags.block_size = e->instances.block_size = e->next.block_size = BLOCK_BYTES;
    s->id = str_dup(a, from->id);
    s->arn = str_dup(a, from->arn);
    s->name = str_dup(a, from->name);
    s->namespace_id = str_dup(a, n->id);
    s->namespace_name = str_dup(a, n->name);
    s->http_name = str_dup(a, n->http_name);
    s->owner = str_dup(a, n->owner);
    return e;
}

/* The service as it is known, or made known now. */
static enum err want_service(struct cloudmap_client *c, const struct cloudmap_namespace *n,
                             const struct cloudmap_summary *from, struct diag *d)
{
    uint32_t at = map_find(&c->by_id, hash_bytes(from->id), is_id, &(struct id_key){c, from->id});

    if (at != MAP_NONE) {
        c->entries[at]->seen = true;
        return OK;
    }
    if (c->n_entries == MAX_SERVICES)
        return diag_set(d, ERR_LIMIT, "more than %d services", MAX_SERVICES);
    struct entry *e = entry_new(c, n, from);
    e->seen = true;
    c->entries = mem_grow(c->entries, &c->cap_entries, c->n_entries + 1, sizeof(*c->entries));
    map_add(&c->by_id, e->hash, (uint32_t)c->n_entries);
    c->entries[c->n_entries++] = e;
    return OK;
}

static void drop_unseen(struct cloudmap_client *c)
{
    size_t n = 0;

    map_clear(&c->by_id);
    for (size_t i = 0; i < c->n_entries; i++) {
        struct entry *e = c->entries[i];
        if (!e->seen || e->gone) {
            entry_free(e);
            continue;
        }
        map_add(&c->by_id, e->hash, (uint32_t)n);
        c->entries[n++] = e;
    }
    c->n_entries = n;
}

/* ---- requests ---- */

static const char *health_name(enum cloudmap_health health)
{
    static const char *const names[] = {
        [CLOUDMAP_ALL] = "ALL",
        [CLOUDMAP_HEALTHY] = "HEALTHY",
        [CLOUDMAP_UNHEALTHY] = "UNHEALTHY",
        [CLOUDMAP_HEALTHY_OR_ALL] = "HEALTHY_OR_ELSE_ALL",
    };
    return names[health];
}

static void write_text(struct json *out, const char *key, struct str value)
{
    json_key_c(out, key);
    json_str(out, value);
}

static void write_filter(struct json *out, struct str namespace)
{
    json_key_c(out, "Filters");
    json_array(out);
    json_object(out);
    write_text(out, "Name", STR("NAMESPACE_ID"));
    json_key_c(out, "Values");
    json_array(out);
    json_str(out, namespace);
    json_array_end(out);
    write_text(out, "Condition", STR("EQ"));
    json_object_end(out);
    json_array_end(out);
}

static void write_discover(struct json *out, const struct job *j)
{
    const struct cloudmap_service *s = &j->entry->service;

    write_text(out, "NamespaceName", s->http_name);
    write_text(out, "ServiceName", s->name);
    if (s->owner.n)
        write_text(out, "OwnerAccount", s->owner);
    if (j->kind == JOB_REVISION)
        return;
    json_key_c(out, "MaxResults");
    json_i64(out, 1000);
    write_text(out, "HealthStatus", str_c(health_name(j->client->o.health)));
}

static void write_request(struct aws_job *job, struct str token, struct buf *body)
{
    struct job *j = CONTAINER_OF(job, struct job, job);
    struct json out = json_to(body);

    json_object(&out);
    if (j->kind == JOB_REVISION || j->kind == JOB_DISCOVER)
        write_discover(&out, j);
    else if (j->kind == JOB_TAGS)
        write_text(&out, "ResourceARN", j->entry->service.arn);
    else if (j->kind == JOB_INSTANCES)
        write_text(&out, "ServiceId", j->entry->service.owner.n ? j->entry->service.arn : j->entry->service.id);
    else if (j->kind == JOB_SERVICES)
        write_filter(&out, j->of->owner.n && j->of->arn.n ? j->of->arn : j->of->id);
    if (j->kind == JOB_NAMESPACES || j->kind == JOB_SERVICES || j->kind == JOB_INSTANCES) {
        json_key_c(&out, "MaxResults");
        json_i64(&out, 100);
    }
    if (token.n)
        write_text(&out, "NextToken", token);
    json_object_end(&out);
}

/* ---- answers ---- */

static enum err take_namespaces(struct cloudmap_client *c, struct str body, struct buf *token, struct diag *d)
{
    struct cloudmap_page page;
    enum err err = cloudmap_namespaces_parse(body, &c->arena, &page, d);

    for (uint32_t i = 0; !err && i < page.n; i++) {
        bool wanted = false;
        for (uint32_t k = 0; k < c->n_names; k++)
            if (str_eq(c->names[k], page.namespaces[i].name))
                wanted = c->found[k] = true;
        if (!wanted)
            continue;
        if (c->n_namespaces == MAX_NAMESPACES)
            return diag_set(d, ERR_LIMIT, "more than %d namespaces of the names wanted", MAX_NAMESPACES);
        c->namespaces = mem_grow(c->namespaces, &c->cap_namespaces, c->n_namespaces + 1, sizeof(*c->namespaces));
        c->namespaces[c->n_namespaces++] = page.namespaces[i];
    }
    if (!err) {
        c->n_skipped += page.skipped;
        buf_str(token, page.next_token);
    }
    return err;
}

static enum err take_services(struct job *j, struct str body, struct buf *token, struct diag *d)
{
    struct arena scratch = {0};
    struct cloudmap_page page;
    enum err err = cloudmap_services_parse(body, &scratch, &page, d);

    if (!err) {
        j->client->n_skipped += page.skipped;
        buf_str(token, page.next_token);
    }
    for (uint32_t i = 0; !err && i < page.n; i++)
        err = want_service(j->client, j->of, &page.services[i], d);
    arena_release(&scratch);
    return err;
}

static enum err take_tags(struct entry *e, struct str body, struct diag *d)
{
    struct arena a = {.block_size = BLOCK_BYTES};
    struct ecs_tags tags;
    enum err err = cloudmap_tags_parse(body, &a, &tags, d);

    if (err) {
        arena_release(&a);
        return err;
    }
    arena_release(&e->tags);
    e->tags = a;
    e->service.tags = tags;
    e->has_tags = true;
    e->tags_until_ms = loop_now_ms(e->client->o.queue.loop) + TAGS_MS;
    return OK;
}

static void use_listed(struct entry *e)
{
    struct arena old = e->instances;

    e->instances = e->next;
    e->next = old;
    arena_release(&e->next);
    e->next.block_size = BLOCK_BYTES;
    e->service.n_instances = (uint32_t)e->n_listed;
    e->service.instances =
        e->n_listed ? arena_memdup(&e->instances, e->listed, e->n_listed * sizeof(*e->listed)) : NULL;
    e->has_instances = true;
    e->n_listed = 0;
}

static enum err take_instances(struct entry *e, struct str body, struct buf *token, struct diag *d)
{
    struct cloudmap_page page;
    enum err err = cloudmap_instances_parse(body, &e->next, &page, d);

    if (err)
        return err;
    if (e->n_listed + page.n > MAX_INSTANCES)
        return diag_set(d, ERR_LIMIT, "more than %d instances of service %.*s", MAX_INSTANCES,
                        STR_ARGS(e->service.name));
    e->listed = mem_grow(e->listed, &e->cap_listed, e->n_listed + page.n + 1, sizeof(*e->listed));
    for (uint32_t i = 0; i < page.n; i++)
        e->listed[e->n_listed++] = page.instances[i];
    e->client->n_skipped += page.skipped;
    e->has_revision = page.has_revision;
    e->revision = page.revision;
    buf_str(token, page.next_token);
    return OK;
}

static enum err take_answer(struct aws_job *job, struct str body, struct buf *token, struct diag *d)
{
    struct job *j = CONTAINER_OF(job, struct job, job);

    switch (j->kind) {
    case JOB_NAMESPACES:
        return take_namespaces(j->client, body, token, d);
    case JOB_SERVICES:
        return take_services(j, body, token, d);
    case JOB_TAGS:
        return take_tags(j->entry, body, d);
    case JOB_REVISION:
        return cloudmap_revision_parse(body, &j->entry->revision_told, d);
    default:
        return take_instances(j->entry, body, token, d);
    }
}

/* ---- jobs ---- */

static void end_job(struct aws_job *job, enum err err, struct str code, const struct diag *d);

static void start_job(struct cloudmap_client *c, enum job_kind kind, const struct cloudmap_namespace *of,
                      struct entry *e)
{
    struct job *j = NEW(struct job);

    j->client = c;
    j->kind = kind;
    j->of = of;
    j->entry = e;
    j->job = (struct aws_job){
        .service = &aws_servicediscovery,
        .operation = types[kind].operation,
        .family = types[kind].family,
        .endpoint = c->o.endpoint,
        .write = write_request,
        .page = take_answer,
        .end = end_job,
    };
    c->n_jobs++;
    aws_queue_start(c->queue, &j->job);
}

static void drop_job(struct aws_job *job)
{
    free(CONTAINER_OF(job, struct job, job));
}

static bool is_fresh(const struct entry *e)
{
    uint64_t most = e->client->o.health == CLOUDMAP_ALL ? UNFILTERED_MS : FILTERED_MS;

    return e->has_instances && e->has_revision && loop_now_ms(e->client->o.queue.loop) - e->discovered_ms < most;
}

static void start_instances(struct entry *e)
{
    struct cloudmap_client *c = e->client;
    enum job_kind kind = JOB_INSTANCES;

    if (c->o.wanted && !c->o.wanted(&e->service)) {
        e->service.n_instances = 0;
        e->has_instances = false;
        return;
    }
    if (c->o.discover)
        kind = is_fresh(e) && !c->no_revision ? JOB_REVISION : JOB_DISCOVER;
    e->n_listed = 0;
    arena_reset(&e->next);
    start_job(c, kind, NULL, e);
}

static bool is_not_there(struct str code)
{
    return str_eq(code, STR("ServiceNotFound")) || str_eq(code, STR("NamespaceNotFound")) ||
           str_eq(code, STR("ResourceNotFoundException"));
}

static void end_revision(struct entry *e, enum err err, struct str code, const struct diag *d)
{
    if (err && code.n == 0) { /* nobody answered: the other question would not be either */
        e->failed = true;
        diag_keep(&e->client->diag, d);
    } else if (err || e->revision_told != e->revision) {
        e->client->no_revision |= aws_code_is_denied(code);
        start_job(e->client, JOB_DISCOVER, NULL, e);
    }
}

static void end_of_entry(struct job *j, enum err err, struct str code, const struct diag *d)
{
    struct entry *e = j->entry;

    if (err && is_not_there(code)) {
        e->gone = true;
        return;
    }
    if (j->kind == JOB_REVISION) {
        end_revision(e, err, code, d);
        return;
    }
    if (err) {
        e->failed = true;
        diag_keep(&j->client->diag, d);
    }
    if (j->kind == JOB_TAGS) {
        if (e->has_tags)
            start_instances(e);
        return;
    }
    if (err) {
        e->has_revision = false; /* pages before the failure may have told one */
        return;
    }
    use_listed(e);
    e->discovered_ms = loop_now_ms(e->client->o.queue.loop);
}

/* Its services stay as they were listed last. */
static void keep_services(struct cloudmap_client *c, const struct cloudmap_namespace *n)
{
    c->n_failed++;
    for (size_t i = 0; i < c->n_entries; i++)
        if (str_eq(c->entries[i]->service.namespace_id, n->id))
            c->entries[i]->seen = true;
}

static void advance(struct cloudmap_client *c);

static void end_job(struct aws_job *job, enum err err, struct str code, const struct diag *d)
{
    struct job *j = CONTAINER_OF(job, struct job, job);
    struct cloudmap_client *c = j->client;

    if (j->entry) {
        end_of_entry(j, err, code, d);
    } else if (err) {
        diag_keep(&c->diag, d);
        if (j->kind == JOB_NAMESPACES)
            c->list_failed = true;
        else if (!is_not_there(code))
            keep_services(c, j->of);
    }
    free(j);
    c->n_jobs--;
    advance(c);
}

/* ---- a refresh ---- */

static int by_name(const void *a, const void *b)
{
    const struct cloudmap_service *x = *(const struct cloudmap_service *const *)a;
    const struct cloudmap_service *y = *(const struct cloudmap_service *const *)b;
    int c = str_cmp(x->namespace_name, y->namespace_name);

    c = c ? c : str_cmp(x->name, y->name);
    return c ? c : str_cmp(x->id, y->id);
}

static void finish(struct cloudmap_client *c)
{
    struct cloudmap_client_result r = {.calls = aws_queue_calls(c->queue) - c->calls_before};
    const struct cloudmap_service **services;
    struct str *missing = mem_zalloc(sizeof(*missing) * (c->n_names + 1));
    size_t renewed = 0;

    if (!c->list_failed)
        drop_unseen(c);
    services = mem_zalloc(sizeof(void *) * (c->n_entries + 1));
    for (size_t i = 0; i < c->n_entries; i++) {
        c->n_failed += c->entries[i]->failed;
        renewed += !c->entries[i]->failed;
        if (c->entries[i]->has_tags)
            services[r.n_services++] = &c->entries[i]->service;
    }
    qsort(services, r.n_services, sizeof(void *), by_name);
    for (uint32_t i = 0; !c->list_failed && i < c->n_names; i++)
        if (!c->found[i])
            missing[r.n_missing++] = c->names[i];
    r.services = services;
    r.missing = missing;
    r.n_failed = c->n_failed;
    r.n_skipped = c->n_skipped;
    r.failed = c->list_failed || (c->n_failed && renewed == 0);
    r.diag = c->diag;
    c->stage = STAGE_IDLE;
    c->done(c->ctx, &r);
    free(missing);
    free(services);
}

static void start_details(struct cloudmap_client *c)
{
    uint64_t now = loop_now_ms(c->o.queue.loop);

    for (size_t i = 0; i < c->n_entries; i++) {
        struct entry *e = c->entries[i];
        if (!e->seen)
            continue;
        if (!e->has_tags || e->tags_until_ms <= now)
            start_job(c, JOB_TAGS, NULL, e);
        else
            start_instances(e);
    }
}

static void next_stage(struct cloudmap_client *c)
{
    if (c->stage == STAGE_NAMESPACES && !c->list_failed) {
        c->stage = STAGE_SERVICES;
        for (size_t i = 0; i < c->n_namespaces; i++)
            start_job(c, JOB_SERVICES, &c->namespaces[i], NULL);
    } else if (c->stage == STAGE_SERVICES) {
        c->stage = STAGE_DETAILS;
        start_details(c);
    } else {
        finish(c);
    }
}

static void advance(struct cloudmap_client *c)
{
    while (c->stage != STAGE_IDLE && c->n_jobs == 0)
        next_stage(c);
}

void cloudmap_client_refresh(struct cloudmap_client *c, const struct str *namespaces, uint32_t n_namespaces,
                             void (*done)(void *ctx, const struct cloudmap_client_result *r), void *ctx)
{
    CHECK(c->stage == STAGE_IDLE);
    c->done = done;
    c->ctx = ctx;
    c->names = namespaces;
    c->n_names = n_namespaces;
    c->found = mem_realloc(c->found, n_namespaces + 1);
    memset(c->found, 0, n_namespaces + 1);
    c->list_failed = false;
    c->n_failed = c->n_skipped = 0;
    c->n_namespaces = 0;
    c->calls_before = aws_queue_calls(c->queue);
    arena_reset(&c->arena);
    diag_reset(&c->diag);
    for (size_t i = 0; i < c->n_entries; i++)
        c->entries[i]->seen = c->entries[i]->failed = c->entries[i]->gone = false;
    c->stage = STAGE_NAMESPACES;
    start_job(c, JOB_NAMESPACES, NULL, NULL);
}

void cloudmap_client_free(struct cloudmap_client *c)
{
    aws_queue_free(c->queue, drop_job);
    for (size_t i = 0; i < c->n_entries; i++)
        entry_free(c->entries[i]);
    free(c->entries);
    map_release(&c->by_id);
    free(c->namespaces);
    free(c->found);
    arena_release(&c->arena);
    aws_session_release(c->o.queue.session);
    free(c);
}

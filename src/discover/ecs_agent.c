/* ecs_agent: the CloudWatch agent's ecs_service_discovery as a discoverer.
 *
 *   refresh --> one ecs_client per configured cluster, side by side --> ecs_agent_match over all inventories
 *           --> the result file (on the work pool) and the consumer
 *
 * A cluster has a region and perhaps a role of its own, so each has its own client; a client that fails keeps the
 * inventory it had, and its targets stay. The first refresh is at start, not one period later as in the agent.
 *
 * The file is replaced when its text has changed or it is gone. One that is there at start may know clusters from
 * before that cannot be asked just now: for two periods it is left alone while a cluster has never answered.
 *
 * At debug level each refresh without failure prints the agent's statistics by its names, a line each:
 *
 *   msg="ECS_SD_Stats: AWSCLI_ListTasks: 3"
 *
 * A refresh that failed is said in the agent's words too, at most once a minute, since people have metric filters on
 * them:
 *
 *   msg="E! ECS SD processor: TaskProcessor got error: ..."
 *
 * Control loop.
 */
#include "discover/ecs_agent.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/regex.h"
#include "discover/aws_labels_int.h"
#include "discover/result_file.h"

enum { HOLD_BACK = 2, SAID_AT_ONCE = 20, SAY_AGAIN_MS = 60 * 1000 };

static const char mechanism[] = "ecs_agent";

/* As the agent's statistics name calls. DescribeServices is not among them. */
static const struct {
    const char *call, *name;
} counted[] = {
    {"DescribeContainerInstances", "AWSCLI_DescribeContainerInstances"},
    {"DescribeInstances", "AWSCLI_DescribeInstancesRequest"},
    {"DescribeTaskDefinition", "AWSCLI_DescribeTaskDefinition"},
    {"DescribeTasks", "AWSCLI_DescribeTasks"},
    {"ListServices", "AWSCLI_ListServices"},
    {"ListTasks", "AWSCLI_ListTasks"},
};

struct agent_discoverer;

/* What a refresh left out, and whether that has been said. */
struct left_out {
    uint64_t hash; /* of task, container and reason */
    bool said;
};

struct cluster {
    struct agent_discoverer *d;
    const struct plan_ecs_cluster *config;
    struct ecs_client *client;             /* NULL: could not be made yet */
    const struct ecs_inventory *inventory; /* NULL: it has never answered */
    struct diag diag;                      /* of this refresh; text empty: it was good */
};

struct agent_discoverer {
    struct refresh refresh;
    const struct plan_ecs_agent_sd *config;
    struct target_consumer *consumer; /* NULL: nobody asks for more than the file */
    struct target_consumer swallow;
    struct cluster *clusters;
    uint32_t pending; /* of this refresh */
    uint64_t calls;
    struct result_file *file;
    uint32_t held_back;
    bool settled;              /* the targets of all clusters have been told, or waiting for them was given up */
    struct left_out *left_out; /* of the last refresh, by hash */
    uint32_t n_left_out;
    struct log_limit failures_said;
    struct counter *targets, *skipped, *calls_shown;
    double calls_before[sizeof(counted) / sizeof(counted[0])];
};

/* ---- the targets ---- */

static void swallow(struct target_consumer *self, struct target_groups *groups)
{
    (void)self;
    target_groups_free(groups);
}

static struct str source_of(const struct ecs_agent_target *t, struct arena *a)
{
    return str_c(
        arena_printf(a, "%.*s%.*s", STR_ARGS(t->address), STR_ARGS(labels_get(t->labels, STR("__metrics_path__")))));
}

static struct target_group group_of(const struct ecs_agent_target *t, struct arena *a)
{
    struct labels *target = ARENA_ARRAY(a, struct labels, 1);
    struct label *address = ARENA_NEW(a, struct label);

    *address = (struct label){STR("__address__"), str_dup(a, t->address)};
    *target = (struct labels){.v = address, .n = 1};
    return (struct target_group){
        .source = source_of(t, a), .labels = labels_copy(t->labels, a), .targets = target, .n_targets = 1};
}

/* Without a consumer only their number is of interest: no copy of thousands. */
static struct target_groups *groups_of(const struct agent_discoverer *d, const struct ecs_agent_findings *f)
{
    struct target_groups *g = target_groups_new();
    struct arena *a = &g->arena;

    g->groups = ARENA_ARRAY(a, struct target_group, f->n_targets + 1);
    if (!d->consumer) {
        g->groups[g->n++] = (struct target_group){.source = STR("file"), .n_targets = f->n_targets};
        return g;
    }
    for (uint32_t i = 0; i < f->n_targets; i++)
        g->groups[g->n++] = group_of(&f->targets[i], a);
    return g;
}

static void write_file(struct agent_discoverer *d, const struct ecs_agent_findings *found)
{
    AUTO_BUF text = {0};

    if (!d->file)
        return;
    ecs_agent_print(found, &text);
    result_file_put(d->file, buf_view(&text));
}

/* ---- statistics ---- */

static void put_stat(const struct agent_discoverer *d, const char *name, uint64_t n)
{
    AUTO_BUF line = {0};

    buf_printf(&line, "ECS_SD_Stats: %s: %llu", name, (unsigned long long)n);
    log_debug(d->refresh.env.log, line.p);
}

static double calls_of(const struct agent_discoverer *d, const char *call)
{
    const struct counter_label labels[] = {
        {STR("mechanism"), str_c(mechanism)}, {STR("config"), d->refresh.env.config}, {STR("call"), str_c(call)}};
    struct counters *set = d->refresh.env.counters;

    return set ? counters_sum(set, "leadline_sd_aws_calls_total", labels, 3) : 0;
}

static int by_pointer(const void *a, const void *b)
{
    const void *x = *(const void *const *)a, *y = *(const void *const *)b;
    return x < y ? -1 : x > y;
}

static uint64_t distinct(const void **v, uint64_t n)
{
    uint64_t count = 0;

    if (n)
        qsort(v, n, sizeof(*v), by_pointer);
    for (uint64_t i = 0; i < n; i++)
        count += i == 0 || v[i] != v[i - 1];
    return count;
}

static void put_cache_stats(const struct agent_discoverer *d, const struct ecs_inventory *const *v, uint32_t n_v,
                            struct arena *a)
{
    uint64_t n = 0, n_definitions = 0, n_hosts = 0;

    for (uint32_t i = 0; i < n_v; i++)
        n += v[i]->n_tasks;
    const void **definitions = ARENA_ARRAY(a, const void *, n + 1), **hosts = ARENA_ARRAY(a, const void *, n + 1);
    for (uint32_t i = 0; i < n_v; i++) {
        for (uint32_t k = 0; k < v[i]->n_tasks; k++) {
            const struct ecs_found *f = &v[i]->tasks[k];
            if (f->definition)
                definitions[n_definitions++] = f->definition;
            if (f->host)
                hosts[n_hosts++] = f->host;
        }
    }
    put_stat(d, "LRUCache_Get_EC2MetaData", n_hosts);
    put_stat(d, "LRUCache_Get_TaskDefinition", n_definitions);
    put_stat(d, "LRUCache_Size_ContainerInstance", distinct(hosts, n_hosts));
    put_stat(d, "LRUCache_Size_TaskDefinition", distinct(definitions, n_definitions));
}

static void put_stats(struct agent_discoverer *d, const struct ecs_agent_findings *found,
                      const struct ecs_inventory *const *v, uint32_t n, struct arena *a)
{
    AUTO_BUF line = {0};

    for (size_t i = 0; i < COUNT_OF(counted); i++) {
        double calls = calls_of(d, counted[i].call);
        put_stat(d, counted[i].name, (uint64_t)(calls - d->calls_before[i]));
        d->calls_before[i] = calls;
    }
    put_stat(d, "Exporter_DiscoveredTargetCount", found->n_targets);
    put_cache_stats(d, v, n, a);
    buf_printf(&line, "ECS_SD_Stats: Latency: %.6fs", (double)(clock_mono_ns() - d->refresh.began_ns) / 1e9);
    log_debug(d->refresh.env.log, line.p);
}

/* ---- the end of a refresh ---- */

static uint32_t inventories_of(const struct agent_discoverer *d, struct arena *a, const struct ecs_inventory ***out)
{
    uint32_t n = 0;

    *out = ARENA_ARRAY(a, const struct ecs_inventory *, d->config->n_clusters);
    for (uint32_t i = 0; i < d->config->n_clusters; i++)
        if (d->clusters[i].inventory)
            (*out)[n++] = d->clusters[i].inventory;
    return n;
}

static const struct diag *first_trouble(const struct agent_discoverer *d)
{
    for (uint32_t i = 0; i < d->config->n_clusters; i++)
        if (d->clusters[i].diag.text[0])
            return &d->clusters[i].diag;
    return NULL;
}

static bool hold_back(struct agent_discoverer *d, uint32_t n_inventories)
{
    if (n_inventories == d->config->n_clusters)
        d->settled = true;
    if (d->settled)
        return false;
    d->settled = d->held_back++ == HOLD_BACK;
    return !d->settled;
}

static int by_hash(const void *a, const void *b)
{
    uint64_t x = ((const struct left_out *)a)->hash, y = ((const struct left_out *)b)->hash;
    return x < y ? -1 : x > y;
}

/* Each thing is said once, and only if it is so in two refreshes running: a task that starts has no address yet. */
static void say_left_out(struct agent_discoverer *d, const struct ecs_agent_findings *f)
{
    struct left_out *now = mem_alloc(sizeof(*now) * (f->n_skips + 1));
    uint32_t n_said = 0;

    for (uint32_t i = 0; i < f->n_skips; i++) {
        const struct ecs_agent_skip *s = &f->skips[i];
        now[i].hash = hash_bytes(s->task) ^ (hash_bytes(s->container) + 1) * 31 ^ hash_bytes(s->reason) * 17;
        const struct left_out *before =
            d->n_left_out ? bsearch(&now[i], d->left_out, d->n_left_out, sizeof(*now), by_hash) : NULL;
        now[i].said = before && (before->said || n_said < SAID_AT_ONCE);
        if (!now[i].said || before->said)
            continue;
        n_said++;
        log_warn(d->refresh.env.log, "left out of the targets", F_STR("task", s->task),
                 F_STR("container", s->container), F_STR("reason", s->reason));
    }
    if (f->n_skips)
        qsort(now, f->n_skips, sizeof(*now), by_hash);
    free(d->left_out);
    d->left_out = now;
    d->n_left_out = f->n_skips;
}

static void tell_observer(struct discover_observer *o, const struct ecs_agent_findings *f, struct arena *a)
{
    for (uint32_t i = 0; i < f->n_targets; i++)
        o->found(o, source_of(&f->targets[i], a), f->targets[i].how);
    for (uint32_t i = 0; i < f->n_skips; i++) {
        const struct ecs_agent_skip *s = &f->skips[i];
        struct str arn = s->task, id = arn;
        while (str_cut(arn, ':', &arn, &id))
            arn = id;
        o->left_out(o,
                    str_c(arena_printf(a, "%.*s%s%.*s", STR_ARGS(arn), s->container.n ? ", container " : "",
                                       STR_ARGS(s->container))),
                    s->reason);
    }
}

static void report(struct agent_discoverer *d, const struct ecs_inventory *const *v, uint32_t n,
                   const struct diag *trouble, struct arena *a)
{
    struct ecs_agent_findings found;

    ecs_agent_match(d->config, v, n, d->refresh.env.observer != NULL, a, &found);
    if (d->refresh.env.observer)
        tell_observer(d->refresh.env.observer, &found, a);
    counter_set(d->targets, found.n_targets);
    counter_set(d->skipped, found.n_skips);
    write_file(d, &found);
    say_left_out(d, &found);
    if (!trouble && log_enabled(d->refresh.env.log, LOG_DEBUG))
        put_stats(d, &found, v, n, a);
    refresh_partly(&d->refresh, groups_of(d, &found), trouble);
}

/* The agent's stages, by the calls that each makes; a call is named in what went wrong with it. */
static const char *stage_of(const struct diag *trouble)
{
    static const struct {
        const char *call, *stage;
    } stages[] = {
        {"DescribeTaskDefinition", "TaskDefinitionProcessor"},
        {"ListServices", "ServiceEndpointDiscoveryProcessor"},
        {"DescribeServices", "ServiceEndpointDiscoveryProcessor"},
        {"DescribeContainerInstances", "ContainerInstanceProcessor"},
        {"DescribeInstances", "ContainerInstanceProcessor"},
    };

    for (size_t i = 0; i < COUNT_OF(stages); i++)
        if (strstr(trouble->text, stages[i].call))
            return stages[i].stage;
    return "TaskProcessor";
}

static void say_failure(struct agent_discoverer *d, const struct diag *trouble)
{
    AUTO_BUF line = {0};
    uint32_t suppressed;

    if (!log_allow(&d->failures_said, SAY_AGAIN_MS, &suppressed))
        return;
    buf_printf(&line, "E! ECS SD processor: %s got error: %s", stage_of(trouble), trouble->text);
    log_error(d->refresh.env.log, line.p, F_INT("suppressed", suppressed));
}

static void all_done(struct agent_discoverer *d)
{
    struct arena scratch = {0};
    const struct ecs_inventory **inventories;
    const struct diag *trouble = first_trouble(d);
    uint32_t n = inventories_of(d, &scratch, &inventories);

    counter_set(d->calls_shown, d->calls);
    if (trouble)
        say_failure(d, trouble);
    /* An observer sees one refresh only: what one cluster says is not held back for another. */
    bool hold = n == 0 || (!d->refresh.env.observer && hold_back(d, n));
    if (hold && trouble)
        refresh_failed(&d->refresh, trouble);
    else
        report(d, inventories, n, trouble, &scratch);
    arena_release(&scratch);
}

static void cluster_over(struct agent_discoverer *d)
{
    if (--d->pending == 0)
        all_done(d);
}

/* A client of one cluster has one inventory or none. */
static void on_cluster(void *ctx, const struct ecs_client_result *r)
{
    struct cluster *c = ctx;

    c->diag = r->diag;
    c->d->calls += r->calls;
    c->inventory = r->n_clusters ? r->clusters[0] : NULL;
    cluster_over(c->d);
}

/* ---- asking ---- */

static bool service_wanted(void *ctx, struct str arn)
{
    const struct agent_discoverer *d = ctx;
    struct str name = ecs_short_name(arn);

    for (uint32_t i = 0; i < d->config->n_services; i++)
        if (regex_match(d->config->services[i].pattern, name))
            return true;
    return false;
}

static enum err open_client(struct cluster *c)
{
    struct agent_discoverer *d = c->d;
    struct aws_session *session;
    enum err err = aws_sd_session(&d->refresh.env, &c->config->aws, &session, &c->diag);

    if (err)
        return err;
    struct ecs_client_options o = {
        .queue = aws_sd_queue(&d->refresh, session, NULL, 0),
        .log = d->refresh.env.log,
        .clusters = &c->config->name,
        .n_clusters = 1,
        .services = d->config->n_services ? ECS_ALL_SERVICES : ECS_NO_SERVICES,
        .service_wanted = service_wanted,
        .service_ctx = d,
        .definitions = true,
        .hosts = true,
    };
    c->client = ecs_client_new(&o);
    return OK;
}

static void begin(struct refresh *r)
{
    struct agent_discoverer *d = CONTAINER_OF(r, struct agent_discoverer, refresh);

    d->calls = 0;
    d->pending = d->config->n_clusters + 1; /* until all are asked: some fail from inside */
    for (uint32_t i = 0; i < d->config->n_clusters; i++) {
        struct cluster *c = &d->clusters[i];
        diag_reset(&c->diag);
        if (!c->client && open_client(c))
            d->pending--;
        else
            ecs_client_refresh(c->client, on_cluster, c);
    }
    cluster_over(d);
}

/* ---- life ---- */

static void stop(struct discoverer *self)
{
    struct agent_discoverer *d = CONTAINER_OF(self, struct agent_discoverer, refresh.base);

    for (uint32_t i = 0; i < d->config->n_clusters; i++)
        if (d->clusters[i].client)
            ecs_client_free(d->clusters[i].client);
    if (d->file)
        result_file_free(d->file);
    refresh_stop(&d->refresh);
    free(d->left_out);
    free(d->clusters);
    free(d);
}

static void describe(struct agent_discoverer *d)
{
    struct buf *about = &d->refresh.about;

    buf_c(about, "clusters");
    for (uint32_t i = 0; i < d->config->n_clusters; i++) {
        const struct plan_ecs_cluster *c = &d->config->clusters[i];
        buf_printf(about, "%s %.*s", i ? "," : "", STR_ARGS(c->name));
        if (c->aws.region.n)
            buf_printf(about, " in %.*s", STR_ARGS(c->aws.region));
    }
}

struct discoverer *discover_ecs_agent_new(const struct discover_env *env, struct plan *plan,
                                          const struct plan_ecs_agent_sd *config, struct target_consumer *consumer)
{
    static const struct refresh_kind kind = {mechanism, begin, stop};
    struct agent_discoverer *d = NEW(struct agent_discoverer);

    refresh_start(&d->refresh, &kind, env, plan, config->frequency_ms, consumer ? consumer : &d->swallow);
    d->config = config;
    d->consumer = consumer;
    d->swallow.update = swallow;
    d->clusters = mem_zalloc(sizeof(*d->clusters) * (config->n_clusters + 1));
    for (uint32_t i = 0; i < config->n_clusters; i++)
        d->clusters[i] = (struct cluster){.d = d, .config = &config->clusters[i]};
    d->targets = aws_sd_targets(&d->refresh);
    d->skipped = refresh_counter(&d->refresh, COUNTER_GAUGE, "leadline_sd_skipped",
                                 "What the last refresh found and left out, since something about it is wrong.");
    d->calls_shown = aws_sd_calls(&d->refresh);
    d->settled = !config->result_file.n || access(config->result_file.p, F_OK) != 0;
    if (config->result_file.n)
        d->file = result_file_new(env->loop, env->log, config->result_file.p);
    describe(d);
    return &d->refresh.base;
}

/* ecs_agent: the CloudWatch agent's ecs_service_discovery as a discoverer.
 *
 *   refresh --> one ecs_client per configured cluster, side by side --> ecs_agent_match over all inventories
 *           --> the result file (on the work pool) and the consumer
 *
 * A cluster has a region and perhaps a role of its own, so each has its own client; a client that fails keeps the
 * inventory it had, and its targets stay. The first refresh is at start, not one period later as in the agent. The file
 * is replaced when its text has changed or it is gone; one that cannot be written is told once and tried again at each
 * refresh.
 *
 * Control loop; only the write of the file runs elsewhere, one at a time, the newest text waiting behind it.
 */
#include "discover/ecs_agent.h"

#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/regex.h"
#include "discover/aws_labels_int.h"

enum { SAY_AGAIN_MS = 60 * 1000 };

struct agent_discoverer;

struct cluster {
    struct agent_discoverer *d;
    const struct plan_ecs_cluster *config;
    struct ecs_client *client; /* NULL: could not be made yet */
    const struct ecs_inventory **inventories;
    uint32_t n_inventories;
    struct diag diag; /* of this refresh; text empty: it was good */
};

/* The file being written; lives on when the discoverer is stopped meanwhile. */
struct result_file {
    struct work work;
    struct agent_discoverer *d; /* NULL: stopped */
    struct str path;
    struct buf text, next; /* next: waits */
    uint64_t written;      /* hash of the text in the file; 0: none yet */
    bool busy, waiting;
    enum err err;
    struct diag diag;
};

struct agent_discoverer {
    struct discoverer base;
    struct refresh refresh;
    const struct plan_ecs_agent_sd *config;
    struct target_consumer swallow; /* where nobody asks for more than the file */
    struct cluster *clusters;
    uint32_t pending; /* of this refresh */
    uint64_t calls;
    struct result_file *file;
    struct counter *targets, *skipped, *calls_shown, *file_errors;
    struct log_limit file_limit;
    struct buf about;
};

/* ---- the file ---- */

static void file_free(struct result_file *f)
{
    buf_release(&f->text);
    buf_release(&f->next);
    free((void *)f->path.p);
    free(f);
}

static void file_write(struct work *w)
{
    struct result_file *f = CONTAINER_OF(w, struct result_file, work);
    uint64_t hash = hash_bytes(buf_view(&f->text)) | 1;

    f->err = OK;
    if (hash == f->written && access(f->path.p, F_OK) == 0)
        return;
    f->err = file_replace_mode(f->path.p, buf_view(&f->text), 0644, &f->diag);
    f->written = f->err ? 0 : hash;
}

static void file_start(struct result_file *f);

static void file_written(struct work *w)
{
    struct result_file *f = CONTAINER_OF(w, struct result_file, work);
    uint32_t suppressed;

    f->busy = false;
    if (!f->d) {
        file_free(f);
        return;
    }
    if (f->err)
        counter_inc(f->d->file_errors);
    if (f->err && log_allow(&f->d->file_limit, SAY_AGAIN_MS, &suppressed))
        log_warn(
            f->d->refresh.env.log, "the file of discovered targets cannot be written", F_STR("file", f->path),
            F_C("err", f->diag.text), F_INT("repeats", suppressed),
            F_C("next", "it is tried again at the next refresh; what reads the file sees the last targets written"));
    if (f->waiting)
        file_start(f);
}

static void file_start(struct result_file *f)
{
    struct buf text = f->text;
    f->text = f->next;
    f->next = text;
    f->busy = true;
    f->waiting = false;
    loop_work(f->d->refresh.env.loop, &f->work);
}

static void write_file(struct agent_discoverer *d, const struct ecs_agent_findings *found)
{
    struct result_file *f = d->file;
    if (!f)
        return;
    buf_clear(&f->next);
    ecs_agent_print(found, &f->next);
    f->waiting = true;
    if (!f->busy)
        file_start(f);
}

static struct result_file *file_new(struct agent_discoverer *d)
{
    struct result_file *f = NEW(struct result_file);
    f->work = (struct work){.run = file_write, .done = file_written};
    f->d = d;
    f->path.n = d->config->result_file.n;
    f->path.p = mem_strndup(d->config->result_file.p, f->path.n);
    return f;
}

/* ---- the targets ---- */

static void swallow(struct target_consumer *self, struct target_groups *groups)
{
    (void)self;
    target_groups_free(groups);
}

static struct target_groups *groups_of(const struct ecs_agent_findings *f)
{
    struct target_groups *g = target_groups_new();
    struct arena *a = &g->arena;

    g->groups = ARENA_ARRAY(a, struct target_group, f->n_targets);
    for (uint32_t i = 0; i < f->n_targets; i++) {
        const struct ecs_agent_target *t = &f->targets[i];
        struct labels *target = ARENA_ARRAY(a, struct labels, 1);
        struct label *address = ARENA_NEW(a, struct label);
        *address = (struct label){STR("__address__"), str_dup(a, t->address)};
        *target = (struct labels){.v = address, .n = 1};
        struct str path = labels_get(t->labels, STR("__metrics_path__"));
        g->groups[g->n++] =
            (struct target_group){.source = str_c(arena_printf(a, "%.*s%.*s", STR_ARGS(t->address), STR_ARGS(path))),
                                  .labels = labels_copy(t->labels, a),
                                  .targets = target,
                                  .n_targets = 1};
    }
    return g;
}

static uint32_t inventories_of(struct agent_discoverer *d, struct arena *a, const struct ecs_inventory ***out)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < d->config->n_clusters; i++)
        n += d->clusters[i].n_inventories;
    *out = ARENA_ARRAY(a, const struct ecs_inventory *, n);
    n = 0;
    for (uint32_t i = 0; i < d->config->n_clusters; i++)
        for (uint32_t k = 0; k < d->clusters[i].n_inventories; k++)
            (*out)[n++] = d->clusters[i].inventories[k];
    return n;
}

static void all_done(struct agent_discoverer *d)
{
    struct arena scratch = {0};
    const struct ecs_inventory **inventories;
    struct ecs_agent_findings found;
    const struct diag *trouble = NULL;
    uint32_t n = inventories_of(d, &scratch, &inventories);

    counter_set(d->calls_shown, d->calls);
    for (uint32_t i = 0; i < d->config->n_clusters && !trouble; i++)
        if (d->clusters[i].diag.text[0])
            trouble = &d->clusters[i].diag;
    if (n == 0 && trouble) {
        refresh_failed(&d->refresh, trouble);
    } else {
        ecs_agent_match(d->config, inventories, n, false, &scratch, &found);
        counter_set(d->targets, found.n_targets);
        counter_set(d->skipped, found.n_skips);
        write_file(d, &found);
        if (trouble)
            refresh_partly(&d->refresh, groups_of(&found), trouble);
        else
            refresh_done(&d->refresh, groups_of(&found));
    }
    arena_release(&scratch);
}

static void cluster_over(struct agent_discoverer *d)
{
    if (--d->pending == 0)
        all_done(d);
}

static void on_cluster(void *ctx, const struct ecs_client_result *r)
{
    struct cluster *c = ctx;

    c->diag = r->diag;
    c->d->calls += r->calls;
    c->inventories = mem_realloc(c->inventories, sizeof(*c->inventories) * (r->n_clusters + 1));
    for (uint32_t i = 0; i < r->n_clusters; i++)
        c->inventories[i] = r->clusters[i];
    c->n_inventories = r->n_clusters;
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
        .loop = d->refresh.env.loop,
        .log = d->refresh.env.log,
        .counters = d->refresh.env.counters,
        .session = session,
        .mechanism = "ecs_agent",
        .config = d->refresh.env.config,
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

static void stop(struct discoverer *self)
{
    struct agent_discoverer *d = CONTAINER_OF(self, struct agent_discoverer, base);
    struct counters *set = d->refresh.env.counters;

    for (uint32_t i = 0; i < d->config->n_clusters; i++) {
        if (d->clusters[i].client)
            ecs_client_free(d->clusters[i].client);
        free(d->clusters[i].inventories);
    }
    if (d->file && d->file->busy)
        d->file->d = NULL;
    else if (d->file)
        file_free(d->file);
    counter_release(set, d->targets);
    counter_release(set, d->skipped);
    counter_release(set, d->calls_shown);
    counter_release(set, d->file_errors);
    refresh_stop(&d->refresh);
    buf_release(&d->about);
    free(d->clusters);
    free(d);
}

static void status(const struct discoverer *self, struct discover_status *out)
{
    const struct agent_discoverer *d = CONTAINER_OF(self, struct agent_discoverer, base);

    refresh_status(&d->refresh, buf_view(&d->about), out);
}

static void describe(struct agent_discoverer *d)
{
    buf_c(&d->about, "clusters");
    for (uint32_t i = 0; i < d->config->n_clusters; i++) {
        const struct plan_ecs_cluster *c = &d->config->clusters[i];
        buf_printf(&d->about, "%s %.*s", i ? "," : "", STR_ARGS(c->name));
        if (c->aws.region.n)
            buf_printf(&d->about, " in %.*s", STR_ARGS(c->aws.region));
    }
}

struct discoverer *discover_ecs_agent_new(const struct discover_env *env, struct plan *plan,
                                          const struct plan_ecs_agent_sd *config, struct target_consumer *consumer)
{
    struct agent_discoverer *d = NEW(struct agent_discoverer);
    const struct counter_label labels[] = {{STR("mechanism"), STR("ecs_agent")}, {STR("config"), env->config}};
    struct counters *set = env->counters;

    d->base = (struct discoverer){stop, status};
    d->config = config;
    d->swallow.update = swallow;
    d->clusters = mem_zalloc(sizeof(*d->clusters) * (config->n_clusters + 1));
    for (uint32_t i = 0; i < config->n_clusters; i++)
        d->clusters[i] = (struct cluster){.d = d, .config = &config->clusters[i]};
    d->targets =
        counter_new(set, COUNTER_GAUGE, "leadline_sd_targets", "Targets that the last refresh found.", labels, 2);
    d->skipped = counter_new(set, COUNTER_GAUGE, "leadline_sd_skipped",
                             "What the last refresh found and left out, since something about it is wrong.", labels, 2);
    d->calls_shown = counter_new(set, COUNTER_GAUGE, "leadline_sd_refresh_aws_calls",
                                 "Requests to AWS that the last refresh took.", labels, 2);
    d->file_errors = counter_new(set, COUNTER_TOTAL, "leadline_sd_result_file_errors_total",
                                 "Attempts to write the file of discovered targets that failed.", labels, 2);
    if (config->result_file.n)
        d->file = file_new(d);
    describe(d);
    refresh_start(&d->refresh, env, plan, "ecs_agent", config->frequency_ms, consumer ? consumer : &d->swallow, begin);
    return &d->base;
}

/* cycle: see the header. The discoverers of the program and its scrape pools, one of each for every discovery, so that
 * what found a target is known:
 *
 *   discoverer --groups--> pool (relabels, validates) --+--> targets, dropped ones, malformed ones
 *        \------ left out, by what -- observer ---------+
 *   discoverer --groups--> ...
 *
 * A discovery has answered when its status counts a refresh, good or not; this is looked at fifty times a second, until
 * all have or the time is up. Then everything is copied out, in an order that is the same each time:
 *
 *   - equal targets of a job are one, as in the program; the second says which one it is equal to;
 *   - a target that relabelling drops says which rule does it;
 *   - over target_limit, one line of the job says so.
 *
 * The CloudWatch agent's discovery has no jobs: its targets are taken as they are, and its result file is left alone.
 */
#include "run/cycle.h"

#include <stdlib.h>

#include "aws/aws.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/units.h"
#include "base/version.h"
#include "discover/ecs_agent.h"
#include "net/http_client.h"
#include "net/poller.h"
#include "net/resolver.h"
#include "run/discoverers.h"
#include "source/scrape/pool.h"
#include "web/relabel_steps.h"

enum { LOOK_MS = 20, MAX_CONNECTING = 32 };

struct cycle;

struct way {
    struct str source, how;
};

/* One discoverer and what it feeds. */
struct cycle_part {
    struct cycle *c;
    uint32_t job;
    const struct plan_scrape *config; /* NULL: the agent's */
    struct discoverer *discoverer;
    struct scrape_pool *pool;        /* NULL: the agent's */
    struct target_consumer consumer; /* of the agent's */
    struct discover_observer observer;
    const char *mechanism;
    struct way *how; /* where a discovery has several */
    uint32_t n_how;
    size_t cap_how;
};

struct cycle {
    struct plan *plan;
    struct plan_ecs_agent_sd agent; /* without a result file */
    struct arena *a;
    struct cycle_findings *out;
    size_t cap_targets, cap_skips;
    uint64_t *identities; /* of the targets of pools */
    size_t cap_identities;
    struct map by_identity;

    struct loop *loop;
    struct http_client *http;
    struct poller *poller;
    struct resolver *resolver;
    struct aws *aws;
    struct discover_totals totals;
    struct scrape_target_consumer swallow;
    struct cycle_part *parts;
    uint32_t n_parts;
    struct timer look;
    uint64_t until_ms;
    uint32_t timeout_ms;
};

static struct str job_name(const struct cycle_part *p)
{
    return p->config ? p->config->job_name : STR("");
}

/* ---- what is written down ---- */

static void *grow(struct arena *a, void *v, uint32_t n, size_t *cap, size_t size)
{
    if (n < *cap)
        return v;
    *cap = *cap ? 2 * *cap : 64;
    void *next = arena_alloc(a, *cap * size);
    if (n)
        memcpy(next, v, n * size);
    return next;
}

static void skip(struct cycle_part *p, struct str what, struct str why)
{
    struct cycle_findings *f = p->c->out;
    struct arena *a = p->c->a;

    f->skips = grow(a, f->skips, f->n_skips, &p->c->cap_skips, sizeof(*f->skips));
    f->skips[f->n_skips++] = (struct cycle_skip){.job = p->job,
                                                 .job_name = job_name(p),
                                                 .found_by = str_c(p->mechanism),
                                                 .what = str_dup(a, what),
                                                 .why = str_dup(a, why)};
}

static struct cycle_target *add_target(struct cycle_part *p)
{
    struct cycle_findings *f = p->c->out;

    f->targets = grow(p->c->a, f->targets, f->n_targets, &p->c->cap_targets, sizeof(*f->targets));
    f->targets[f->n_targets] =
        (struct cycle_target){.job = p->job, .job_name = job_name(p), .found_by = str_c(p->mechanism)};
    return &f->targets[f->n_targets++];
}

static const char *mechanism_of(const struct cycle_part *p)
{
    struct discover_status s;

    p->discoverer->status(p->discoverer, &s);
    return s.mechanism;
}

static void on_left_out(struct discover_observer *o, struct str what, struct str why)
{
    struct cycle_part *p = CONTAINER_OF(o, struct cycle_part, observer);

    p->mechanism = mechanism_of(p);
    skip(p, what, why);
}

/* Told before the targets: by address and path, as their groups are called. */
static void on_found(struct discover_observer *o, struct str source, struct str how)
{
    struct cycle_part *p = CONTAINER_OF(o, struct cycle_part, observer);
    struct arena *a = p->c->a;

    p->how = grow(a, p->how, p->n_how, &p->cap_how, sizeof(*p->how));
    p->how[p->n_how++] = (struct way){str_dup(a, source), str_dup(a, how)};
}

/* Groups come in the order in which they were told of. */
static struct str way_of(const struct cycle_part *p, uint32_t group, struct str source)
{
    bool told = group < p->n_how && str_eq(p->how[group].source, source);

    return told ? p->how[group].how : str_c(p->mechanism);
}

static void on_malformed(void *ctx, struct str what, struct str why)
{
    struct cycle_part *p = ctx;

    p->mechanism = mechanism_of(p);
    skip(p, what, why);
}

/* ---- the agent's targets, which go past pools ---- */

static void take_agents(struct target_consumer *self, struct target_groups *groups)
{
    struct cycle_part *p = CONTAINER_OF(self, struct cycle_part, consumer);
    struct arena *a = p->c->a;

    p->mechanism = mechanism_of(p);
    for (uint32_t i = 0; i < groups->n; i++) {
        const struct target_group *g = &groups->groups[i];
        for (uint32_t k = 0; k < g->n_targets; k++) {
            struct cycle_target *t = add_target(p);
            struct str path = labels_get(g->labels, STR("__metrics_path__"));
            t->found_by = way_of(p, i, g->source);
            t->url = str_c(arena_printf(a, "%.*s%.*s", STR_ARGS(labels_get(g->targets[k], STR("__address__"))),
                                        STR_ARGS(path)));
            t->labels = labels_copy(g->labels, a);
            t->discovered = t->labels;
        }
    }
    target_groups_free(groups);
}

/* ---- what pools made of it ---- */

static void drop_reference(struct scrape_target_consumer *self, struct scrape_target *t)
{
    (void)self;
    scrape_target_unref(t);
}

static void removed(struct scrape_target_consumer *self, uint64_t identity, uint32_t lane)
{
    (void)self;
    (void)identity;
    (void)lane;
}

struct sought {
    const struct cycle *c;
    uint32_t job;
    uint64_t identity;
};

static bool is_sought(const void *ctx, uint32_t i)
{
    const struct sought *s = ctx;

    return s->c->out->targets[i].job == s->job && s->c->identities[i] == s->identity;
}

static void take_target(struct cycle_part *p, const struct scrape_target *t)
{
    struct cycle *c = p->c;
    struct sought sought = {c, p->job, t->identity};
    uint32_t at = map_find(&c->by_identity, t->identity, is_sought, &sought), n = c->out->n_targets;

    if (at != MAP_NONE) {
        struct str by = c->out->targets[at].found_by;
        skip(p, t->url, str_c(arena_printf(c->a, "the same target as one found by %.*s", STR_ARGS(by))));
        return;
    }
    c->identities = mem_grow(c->identities, &c->cap_identities, n + 1, sizeof(uint64_t));
    c->identities[n] = t->identity;
    map_add(&c->by_identity, t->identity, n);
    struct cycle_target *out = add_target(p);
    out->url = str_dup(c->a, t->url);
    out->labels = labels_copy(t->labels, c->a);
    out->discovered = labels_copy(t->discovered, c->a);
}

static void take_dropped(struct cycle_part *p, struct labels discovered)
{
    struct relabel_step *steps;
    struct arena scratch = {0};
    AUTO_BUF why = {0};
    uint32_t n = relabel_steps(p->config->relabel, discovered, &scratch, &steps), rule = 0;

    while (rule < n && steps[rule].keep)
        rule++;
    if (rule < n) {
        buf_printf(&why, "dropped by rule %u of relabel_configs: ", rule + 1);
        relabel_rule_print(steps[rule].rule, &why);
    } else {
        buf_c(&why, "relabel_configs leaves it no label");
    }
    skip(p, labels_get(discovered, STR("__address__")), buf_view(&why));
    arena_release(&scratch);
}

static void take_pool(struct cycle_part *p)
{
    struct scrape_target *const *targets;
    const struct scrape_dropped *dropped;
    uint64_t total;
    uint32_t n = scrape_pool_targets(p->pool, &targets);

    for (uint32_t i = 0; i < n; i++)
        take_target(p, targets[i]);
    n = scrape_pool_dropped(p->pool, &dropped, &total);
    for (uint32_t i = 0; i < n; i++)
        take_dropped(p, dropped[i].discovered);
    if (total > n)
        skip(p, str_c(arena_printf(p->c->a, "%llu more", (unsigned long long)(total - n))),
             STR("dropped by relabel_configs; keep_dropped_targets is reached"));
}

static void take_status(struct cycle_part *p)
{
    struct cycle *c = p->c;
    struct discover_status s;
    struct cycle_discovery *out = &c->out->discoveries[c->out->n_discoveries++];

    p->discoverer->status(p->discoverer, &s);
    p->mechanism = s.mechanism;
    *out = (struct cycle_discovery){
        .job_name = job_name(p),
        .mechanism = str_c(s.mechanism),
        .about = str_dup(c->a, s.about),
        .error = str_dup(c->a, s.last_error),
        .targets = s.targets,
    };
    if (s.refreshes == 0 && s.last_error.n == 0) {
        AUTO_BUF text = {0};
        buf_c(&text, "no answer within ");
        units_print_duration(&text, c->timeout_ms);
        out->error = str_dup(c->a, buf_view(&text));
    }
    c->out->n_failed += out->error.n > 0;
    if (!out->error.n && s.targets == 0)
        skip(p, s.about, STR("it works, and finds nothing"));
}

/* Over the limit all targets of a job fail. */
static void take_limit(struct cycle_part *p)
{
    uint64_t limit = p->config->target_limit;
    uint32_t n = 0;

    for (uint32_t i = 0; i < p->c->out->n_targets; i++)
        n += p->c->out->targets[i].job == p->job;
    p->mechanism = "";
    if (limit && n > limit)
        skip(p, str_c(arena_printf(p->c->a, "%u targets", n)),
             str_c(arena_printf(p->c->a, "target_limit is %llu: none of them is scraped", (unsigned long long)limit)));
}

static int by_job(uint32_t x, uint32_t y)
{
    return (x > y) - (x < y);
}

static int compare_targets(const void *a, const void *b)
{
    const struct cycle_target *x = a, *y = b;
    int c = by_job(x->job, y->job);

    c = c ? c : str_cmp(x->url, y->url);
    c = c ? c : labels_cmp(x->labels, y->labels);
    return c ? c : str_cmp(x->found_by, y->found_by);
}

static int compare_skips(const void *a, const void *b)
{
    const struct cycle_skip *x = a, *y = b;
    int c = by_job(x->job, y->job);

    c = c ? c : str_cmp(x->found_by, y->found_by);
    c = c ? c : str_cmp(x->what, y->what);
    return c ? c : str_cmp(x->why, y->why);
}

static void take_all(struct cycle *c)
{
    struct cycle_findings *f = c->out;

    f->discoveries = ARENA_ARRAY(c->a, struct cycle_discovery, c->n_parts + 1);
    for (uint32_t i = 0; i < c->n_parts; i++) {
        struct cycle_part *p = &c->parts[i];
        take_status(p);
        if (p->pool)
            take_pool(p);
        if (p->pool && (i + 1 == c->n_parts || c->parts[i + 1].job != p->job))
            take_limit(p);
    }
    if (f->n_targets)
        qsort(f->targets, f->n_targets, sizeof(*f->targets), compare_targets);
    if (f->n_skips)
        qsort(f->skips, f->n_skips, sizeof(*f->skips), compare_skips);
}

/* ---- one turn of everything ---- */

static void close_all(struct cycle *c)
{
    for (uint32_t i = 0; i < c->n_parts; i++)
        c->parts[i].discoverer->stop(c->parts[i].discoverer);
    for (uint32_t i = 0; i < c->n_parts; i++)
        scrape_pool_free(c->parts[i].pool);
    aws_free(c->aws);
    http_client_free(c->http);
    resolver_free(c->resolver);
    poller_free(c->poller, NULL, NULL);
    discover_totals_release(&c->totals, NULL);
    loop_stop(c->loop);
}

static void look(struct timer *t)
{
    struct cycle *c = CONTAINER_OF(t, struct cycle, look);
    uint32_t waiting = 0;

    for (uint32_t i = 0; i < c->n_parts; i++) {
        struct discover_status s;
        c->parts[i].discoverer->status(c->parts[i].discoverer, &s);
        waiting += s.refreshes == 0;
    }
    if (waiting && loop_now_ms(c->loop) < c->until_ms) {
        timer_start(c->loop, &c->look, LOOK_MS, look);
        return;
    }
    take_all(c);
    close_all(c);
}

/* A job whose discoverers are being made. */
struct starting {
    struct discover_env env;
    struct cycle_part *parts;
};

/* Called for one discoverer after the other, each before it copies the environment: so each has its own observer. */
static struct target_consumer *input(void *ctx, uint32_t n)
{
    struct starting *s = ctx;

    s->env.observer = &s->parts[n].observer;
    return scrape_pool_input(s->parts[n].pool, 0);
}

static struct cycle_part *add_part(struct cycle *c, uint32_t job, const struct plan_scrape *config)
{
    struct cycle_part *p = &c->parts[c->n_parts++];

    *p = (struct cycle_part){.c = c, .job = job, .config = config, .observer = {on_left_out, on_found}};
    return p;
}

static void start_job(struct cycle *c, uint32_t job, const struct discover_env *env)
{
    const struct plan_scrape *config = &c->plan->scrapes[job];
    uint32_t n = discoverers_count(&config->discovery);
    struct starting s = {.env = *env, .parts = &c->parts[c->n_parts]};
    struct discoverer **made = ARENA_ARRAY(c->a, struct discoverer *, n + 1);

    s.env.config = config->job_name;
    for (uint32_t i = 0; i < n; i++) {
        struct cycle_part *p = add_part(c, job, config);
        struct scrape_pool_options o = {.reload_interval_ms = 1, .malformed = on_malformed, .malformed_ctx = p};
        p->pool = scrape_pool_new(c->loop, c->plan, config, &o, 1, &c->swallow);
    }
    discoverers_start(&s.env, c->plan, &config->discovery, input, &s, made);
    for (uint32_t i = 0; i < n; i++)
        s.parts[i].discoverer = made[i];
}

static void start_agent(struct cycle *c, const struct discover_env *env)
{
    struct cycle_part *p = add_part(c, CYCLE_NO_JOB, NULL);
    struct discover_env own = *env;

    c->agent = *c->plan->ecs_agent;
    c->agent.result_file = STR_NONE;
    p->consumer.update = take_agents;
    own.observer = &p->observer;
    p->discoverer = discover_ecs_agent_new(&own, c->plan, &c->agent, &p->consumer);
}

static bool is_wanted(const struct plan_scrape *config, struct str job)
{
    return job.n == 0 || str_eq(config->job_name, job);
}

static void start_all(struct cycle *c, struct str job, const struct discover_env *env)
{
    uint32_t most = 1;

    for (uint32_t i = 0; i < c->plan->n_scrapes; i++)
        most += discoverers_count(&c->plan->scrapes[i].discovery);
    c->parts = mem_zalloc(most * sizeof(*c->parts));
    for (uint32_t i = 0; i < c->plan->n_scrapes; i++)
        if (is_wanted(&c->plan->scrapes[i], job))
            start_job(c, i, env);
    if (c->plan->ecs_agent && job.n == 0)
        start_agent(c, env);
    timer_start(c->loop, &c->look, LOOK_MS, look);
}

void cycle_run(struct plan *plan, struct str job, const char *task_metadata_uri, uint32_t timeout_ms, struct arena *a,
               struct cycle_findings *out)
{
    struct http_client_limits limits = {.max_connecting = MAX_CONNECTING, .user_agent = LEADLINE_USER_AGENT};
    struct cycle c = {.plan = plan, .a = a, .out = out, .timeout_ms = timeout_ms};

    *out = (struct cycle_findings){0};
    c.swallow = (struct scrape_target_consumer){drop_reference, drop_reference, removed};
    c.loop = loop_new("cycle");
    c.http = http_client_new(c.loop, NULL, &limits);
    c.poller = poller_new(c.loop);
    c.resolver = resolver_new(c.loop, c.poller);
    resolver_use_edns(c.resolver);
    c.aws = aws_new(&(struct aws_env){.loop = c.loop, .http = c.http});
    discover_totals_init(&c.totals, NULL);
    c.until_ms = loop_now_ms(c.loop) + timeout_ms;
    start_all(&c, job,
              &(struct discover_env){.loop = c.loop,
                                     .totals = &c.totals,
                                     .http = c.http,
                                     .resolver = c.resolver,
                                     .aws = c.aws,
                                     .task_metadata_uri = task_metadata_uri});
    loop_run(c.loop);
    loop_free(c.loop);
    map_release(&c.by_identity);
    free(c.identities);
    free(c.parts);
}

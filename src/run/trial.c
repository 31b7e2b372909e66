/* trial: see the header. The parts of the program, wired once, with a survey where a sink would be:
 *
 *   ecs_service_discovery --feed--+
 *   discoverers ------------------+--> pools --> scraper --> batches --> a survey per destination of CloudWatch
 *
 *   1. finding   until every discovery has answered, and a little longer: what one finds another one may read (the
 * feed)
 *   2. scraping  each target once, as soon as it is known, a few milliseconds after the one before
 *   3. telling   when all have been scraped, or the time is up
 *
 * Looked at fifty times a second. A target's ticks are moved to the next moment, and it leaves the scraper when its
 * first scrape is over, so that a short interval does not scrape it twice. The HTTP client bounds how many connections
 * are made at a time. Targets of which no survey wants anything (they go to AMP) are counted and not scraped.
 *
 * Everything on one loop of its own, which ends with the trial.
 */
#include "run/trial.h"

#include <stdlib.h>

#include "aws/aws.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/units.h"
#include "base/version.h"
#include "discover/ecs_agent.h"
#include "discover/target_feed.h"
#include "net/http_client.h"
#include "net/poller.h"
#include "net/resolver.h"
#include "run/discoverers.h"
#include "source/scrape/pool.h"
#include "source/scrape/scraper.h"

enum { LOOK_MS = 20, SETTLE_MS = 200, MAX_CONNECTING = 32, MAX_BODY = 1 << 30 };

#define FIRST_NS 5000000ULL /* from now to the first scrape */
#define APART_NS 1000000ULL /* between the starts of two */

struct trial;

struct trial_pool {
    struct scrape_pool *pool;
    struct discoverer **discoverers;
    uint32_t n_discoverers;
};

/* A target, until the trial is over. */
struct tried {
    struct scrape_target *target; /* a reference */
    uint32_t job;
    bool scraped, over; /* over: its scrape */
    struct str error;
};

struct trial {
    struct plan *plan;
    struct plan_ecs_agent_sd agent; /* without a result file */
    struct arena *a;
    struct trial_findings *out;
    uint32_t timeout_ms;

    struct loop *loop;
    struct http_client *http;
    struct poller *poller;
    struct resolver *resolver;
    struct aws *aws;
    struct counters *counters;
    struct discover_totals totals;
    struct discoverer *agent_discoverer; /* NULL: none */
    struct target_feed *feed;
    struct trial_pool *pools; /* by job */
    struct scrape_target_consumer targets;

    struct intern *intern;
    struct scope_table *scopes;
    struct scraper *scraper;
    struct emf_survey **surveys;
    struct batch_consumer **consumers;
    uint32_t n_surveys;

    struct tried *tried;
    size_t n_tried, cap_tried;
    uint64_t next_ns; /* wall clock: when the next target is scraped */
    uint64_t until_ms, settled_ms;
    bool found, closing;
    struct timer look;
};

/* ---- targets ----------------------------------------------------------------------------------------------------- */

static bool is_wanted(const struct trial *t, uint32_t pipeline)
{
    for (uint32_t i = 0; i < t->n_surveys; i++)
        if (!t->consumers[i]->pipelines || t->consumers[i]->pipelines >> pipeline & 1)
            return true;
    return false;
}

/* The scraper looks at the offset; the pool, which has the target too, does not. */
static void scrape_soon(struct trial *t, struct scrape_target *target)
{
    uint64_t now_ns = (uint64_t)clock_wall_ns();

    if (t->next_ns < now_ns + FIRST_NS)
        t->next_ns = now_ns + FIRST_NS;
    target->offset_ns = t->next_ns % ((uint64_t)target->interval_ms * 1000000);
    t->next_ns += APART_NS;
    scraper_add(t->scraper, scrape_target_ref(target));
}

static void on_add(struct scrape_target_consumer *self, struct scrape_target *target)
{
    struct trial *t = CONTAINER_OF(self, struct trial, targets);

    t->tried = mem_grow(t->tried, &t->cap_tried, t->n_tried + 1, sizeof(*t->tried));
    t->tried[t->n_tried++] = (struct tried){.target = target,
                                            .job = (uint32_t)(target->config - t->plan->scrapes),
                                            .scraped = is_wanted(t, target->config->pipeline)};
    t->settled_ms = loop_now_ms(t->loop) + SETTLE_MS;
    if (is_wanted(t, target->config->pipeline))
        scrape_soon(t, target);
}

/* Of its limit only: the first word holds here. */
static void on_update(struct scrape_target_consumer *self, struct scrape_target *target)
{
    (void)self;
    scrape_target_unref(target);
}

static void on_remove(struct scrape_target_consumer *self, uint64_t identity, uint32_t lane)
{
    struct trial *t = CONTAINER_OF(self, struct trial, targets);

    (void)lane;
    for (size_t i = 0; i < t->n_tried && !t->closing; i++) {
        if (t->tried[i].target->identity != identity)
            continue;
        if (t->tried[i].scraped && !t->tried[i].over)
            scraper_remove(t->scraper, identity);
        scrape_target_unref(t->tried[i].target);
        t->tried[i] = t->tried[--t->n_tried];
        return;
    }
}

static struct tried *find(struct trial *t, const struct scrape_target *target)
{
    for (size_t i = 0; i < t->n_tried; i++)
        if (t->tried[i].target == target)
            return &t->tried[i];
    return NULL;
}

/* Takes out of the scraper what has been scraped. */
static void take_scraped(struct trial *t)
{
    struct arena scratch = {0};
    struct scrape_status *v;
    uint32_t n = scraper_status(t->scraper, &scratch, &v);

    for (uint32_t i = 0; i < n; i++) {
        struct tried *tried = v[i].health == HEALTH_UNKNOWN ? NULL : find(t, v[i].target);
        if (tried && !tried->over) {
            tried->over = true;
            tried->error = v[i].health == HEALTH_UP ? STR("")
                           : v[i].last_error.n      ? str_dup(t->a, v[i].last_error)
                                                    : STR("the scrape failed");
            scraper_remove(t->scraper, v[i].target->identity);
        }
        scrape_target_unref(v[i].target);
    }
    arena_release(&scratch);
}

static bool all_scraped(const struct trial *t)
{
    for (size_t i = 0; i < t->n_tried; i++)
        if (t->tried[i].scraped && !t->tried[i].over)
            return false;
    return true;
}

/* ---- discovery --------------------------------------------------------------------------------------------------- */

static bool has_answered(const struct discoverer *d)
{
    struct discover_status s;

    d->status(d, &s);
    return s.refreshes > 0;
}

static bool all_answered(const struct trial *t)
{
    if (t->agent_discoverer && !has_answered(t->agent_discoverer))
        return false;
    for (uint32_t i = 0; i < t->plan->n_scrapes; i++)
        for (uint32_t k = 0; k < t->pools[i].n_discoverers; k++)
            if (!has_answered(t->pools[i].discoverers[k]))
                return false;
    return true;
}

static struct target_consumer *input(void *ctx, uint32_t n)
{
    return scrape_pool_input(((struct trial_pool *)ctx)->pool, n);
}

static void start_job(struct trial *t, uint32_t job, const struct discover_env *env)
{
    const struct plan_scrape *config = &t->plan->scrapes[job];
    struct trial_pool *p = &t->pools[job];
    struct scrape_pool_options o = {.reload_interval_ms = 1, .counters = t->counters};
    struct discover_env own = *env;

    own.config = config->job_name;
    p->n_discoverers = discoverers_count(&config->discovery);
    p->discoverers = mem_zalloc(sizeof(struct discoverer *) * (p->n_discoverers + 1));
    p->pool = scrape_pool_new(t->loop, t->plan, config, &o, p->n_discoverers, &t->targets);
    discoverers_start(&own, t->plan, &config->discovery, input, p, p->discoverers);
}

static void start_discovery(struct trial *t, const char *task_metadata_uri)
{
    struct discover_env env = {.loop = t->loop,
                               .totals = &t->totals,
                               .http = t->http,
                               .resolver = t->resolver,
                               .aws = t->aws,
                               .task_metadata_uri = task_metadata_uri};

    if (t->plan->ecs_agent) {
        t->agent = *t->plan->ecs_agent;
        t->agent.result_file = STR_NONE;
        t->feed = target_feed_new(t->plan->ecs_agent->result_file.p);
        t->agent_discoverer = discover_ecs_agent_new(&env, t->plan, &t->agent, target_feed_input(t->feed));
    }
    env.feed = t->feed;
    t->pools = mem_zalloc(sizeof(*t->pools) * (t->plan->n_scrapes + 1));
    for (uint32_t i = 0; i < t->plan->n_scrapes; i++)
        start_job(t, i, &env);
}

/* ---- what is told ------------------------------------------------------------------------------------------------ */

static struct str no_answer(const struct trial *t)
{
    AUTO_BUF text = {0};

    buf_c(&text, "no answer within ");
    units_print_duration(&text, t->timeout_ms);
    return str_dup(t->a, buf_view(&text));
}

static void tell_discovery(struct trial *t, struct str job_name, const struct discoverer *d)
{
    struct cycle_discovery *out = &t->out->discoveries[t->out->n_discoveries++];
    struct discover_status s;

    d->status(d, &s);
    *out = (struct cycle_discovery){.job_name = job_name,
                                    .mechanism = str_c(s.mechanism),
                                    .about = str_dup(t->a, s.about),
                                    .error = str_dup(t->a, s.last_error),
                                    .targets = s.targets};
    if (s.refreshes == 0 && s.last_error.n == 0)
        out->error = no_answer(t);
    t->out->n_discoveries_failed += out->error.n > 0;
}

static void tell_discoveries(struct trial *t)
{
    uint32_t n = 1;

    for (uint32_t i = 0; i < t->plan->n_scrapes; i++)
        n += t->pools[i].n_discoverers;
    t->out->discoveries = ARENA_ARRAY(t->a, struct cycle_discovery, n);
    for (uint32_t i = 0; i < t->plan->n_scrapes; i++)
        for (uint32_t k = 0; k < t->pools[i].n_discoverers; k++)
            tell_discovery(t, t->plan->scrapes[i].job_name, t->pools[i].discoverers[k]);
    if (t->agent_discoverer)
        tell_discovery(t, STR(""), t->agent_discoverer);
}

static int compare(const void *a, const void *b)
{
    const struct tried *x = a, *y = b;

    if (x->job != y->job)
        return x->job < y->job ? -1 : 1;
    return str_cmp(x->target->url, y->target->url);
}

static void tell_targets(struct trial *t)
{
    struct trial_findings *f = t->out;

    f->targets = ARENA_ARRAY(t->a, struct trial_target, t->n_tried + 1);
    if (t->n_tried)
        qsort(t->tried, t->n_tried, sizeof(*t->tried), compare);
    for (size_t i = 0; i < t->n_tried; i++) {
        const struct tried *tried = &t->tried[i];
        struct trial_target *out = &f->targets[f->n_targets++];
        *out = (struct trial_target){.job_name = tried->target->config->job_name,
                                     .url = str_dup(t->a, tried->target->url),
                                     .error = !tried->scraped || tried->over ? tried->error : no_answer(t),
                                     .pipeline = tried->target->config->pipeline,
                                     .scraped = tried->scraped};
        f->n_scraped += tried->scraped;
        f->n_failed += out->error.n > 0;
    }
}

static void tell_surveys(struct trial *t)
{
    t->out->surveys = ARENA_ARRAY(t->a, struct trial_survey, t->n_surveys + 1);
    for (uint32_t i = 0; i < t->plan->n_cloudwatch; i++) {
        const struct plan_cloudwatch *config = &t->plan->cloudwatch[i];
        if (!config->emf)
            continue;
        struct trial_survey *out = &t->out->surveys[t->out->n_surveys];
        out->config = config;
        emf_survey_report(t->surveys[t->out->n_surveys++], t->a, &out->report);
    }
}

/* ---- one turn of everything -------------------------------------------------------------------------------------- */

static void stop_discovery(struct trial *t)
{
    if (t->agent_discoverer)
        t->agent_discoverer->stop(t->agent_discoverer);
    for (uint32_t i = 0; i < t->plan->n_scrapes; i++) {
        for (uint32_t k = 0; k < t->pools[i].n_discoverers; k++)
            t->pools[i].discoverers[k]->stop(t->pools[i].discoverers[k]);
        scrape_pool_free(t->pools[i].pool);
        free(t->pools[i].discoverers);
    }
    free(t->pools);
    target_feed_free(t->feed);
}

static void close_all(struct trial *t)
{
    t->closing = true;
    stop_discovery(t);
    scraper_stop(t->scraper);
    scraper_free(t->scraper);
    for (uint32_t i = 0; i < t->n_surveys; i++)
        emf_survey_free(t->surveys[i]);
    aws_free(t->aws);
    http_client_free(t->http);
    resolver_free(t->resolver);
    poller_free(t->poller, NULL, NULL);
    discover_totals_release(&t->totals, t->counters);
    for (size_t i = 0; i < t->n_tried; i++)
        scrape_target_unref(t->tried[i].target);
    free(t->tried);
    loop_stop(t->loop);
}

static void look(struct timer *timer)
{
    struct trial *t = CONTAINER_OF(timer, struct trial, look);
    uint64_t now_ms = loop_now_ms(t->loop);

    take_scraped(t);
    if (!t->found && all_answered(t)) {
        t->found = true;
        t->settled_ms = now_ms + SETTLE_MS;
    }
    bool over = t->found && now_ms >= t->settled_ms && all_scraped(t);
    if (!over && now_ms < t->until_ms) {
        timer_start(t->loop, &t->look, LOOK_MS, look);
        return;
    }
    tell_discoveries(t);
    tell_targets(t);
    tell_surveys(t);
    close_all(t);
}

static void start_scraper(struct trial *t)
{
    t->intern = intern_new();
    t->scopes = scope_table_new();
    t->surveys = ARENA_ARRAY(t->a, struct emf_survey *, t->plan->n_cloudwatch + 1);
    t->consumers = ARENA_ARRAY(t->a, struct batch_consumer *, t->plan->n_cloudwatch + 1);
    for (uint32_t i = 0; i < t->plan->n_cloudwatch; i++) {
        struct emf_survey_options o = {.intern = t->intern,
                                       .scopes = t->scopes,
                                       .slot = (int)t->n_surveys,
                                       .plan = t->plan,
                                       .config = &t->plan->cloudwatch[i],
                                       .counters = t->counters};
        if (!o.config->emf)
            continue;
        t->surveys[t->n_surveys] = emf_survey_new(&o);
        t->consumers[t->n_surveys] = emf_survey_batches(t->surveys[t->n_surveys]);
        t->n_surveys++;
    }
    t->scraper = scraper_new(&(struct scraper_options){.loop = t->loop,
                                                       .http = t->http,
                                                       .intern = t->intern,
                                                       .scopes = t->scopes,
                                                       .counters = t->counters,
                                                       .consumers = t->consumers,
                                                       .n_consumers = t->n_surveys,
                                                       .max_body = MAX_BODY});
}

void trial_run(struct plan *plan, const char *task_metadata_uri, uint32_t timeout_ms, struct arena *a,
               struct trial_findings *out)
{
    struct http_client_limits limits = {.max_connecting = MAX_CONNECTING, .user_agent = LEADLINE_USER_AGENT};
    struct trial t = {.plan = plan, .a = a, .out = out, .timeout_ms = timeout_ms};

    *out = (struct trial_findings){0};
    t.targets = (struct scrape_target_consumer){on_add, on_update, on_remove};
    t.loop = loop_new("trial");
    t.counters = counters_new();
    t.http = http_client_new(t.loop, NULL, &limits);
    t.poller = poller_new(t.loop);
    t.resolver = resolver_new(t.loop, t.poller);
    resolver_use_edns(t.resolver);
    t.aws = aws_new(&(struct aws_env){.loop = t.loop, .http = t.http});
    discover_totals_init(&t.totals, t.counters);
    t.until_ms = loop_now_ms(t.loop) + timeout_ms;
    start_scraper(&t);
    start_discovery(&t, task_metadata_uri);
    timer_start(t.loop, &t.look, LOOK_MS, look);
    loop_run(t.loop);
    loop_free(t.loop);
    intern_free(t.intern);
    scope_table_free(t.scopes);
    counters_free(t.counters);
}

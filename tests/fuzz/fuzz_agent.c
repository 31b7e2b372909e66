/* Any text as the CloudWatch agent's JSON: it is taken, or refused with errors that have a text; a plan that comes out
 * is complete, and can be printed.
 *
 *   line 1   the JSON
 *   line 2   LEADLINE_ECS_CLUSTERS
 *   line 3   bits, as characters: in a container, in a task, to both, labels, shadow
 *   rest     a Prometheus file, as env:P
 */
#include "base/err.h"
#include "base/regex.h"
#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *prometheus;

static const char *environment(const char *name)
{
    return strcmp(name, "P") == 0 ? prometheus : strcmp(name, "STAGE") == 0 ? "blue" : NULL;
}

static void check_matches(const struct plan_ecs_match *v, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        CHECK(v[i].pattern != NULL);
        regex_match(v[i].pattern, STR("arn:aws:ecs:eu-west-1:123456789012:task-definition/web:7"));
        for (uint32_t k = 0; k < v[i].ports.n; k++)
            CHECK(v[i].ports.v[k] > 0);
    }
}

static void check_discovery(const struct plan_ecs_agent_sd *sd)
{
    CHECK(sd->frequency_ms > 0 && sd->result_file.n > 0);
    CHECK(sd->n_clusters > 0);
    for (uint32_t i = 0; i < sd->n_clusters; i++)
        CHECK(sd->clusters[i].name.n > 0 && sd->clusters[i].aws.region.n > 0);
    CHECK(sd->by_docker_label || sd->n_definitions > 0 || sd->n_services > 0);
    check_matches(sd->definitions, sd->n_definitions);
    check_matches(sd->services, sd->n_services);
}

static void check_set(const struct plan_dimensions *set)
{
    CHECK(set->n <= 30);
    for (uint32_t i = 1; i < set->n; i++)
        CHECK(str_cmp(set->names[i - 1], set->names[i]) < 0);
}

static void check_emf(const struct plan_emf *e)
{
    CHECK(e->name_space.n > 0);
    for (uint32_t i = 1; i < e->n_units; i++)
        CHECK(str_cmp(e->units[i - 1].metric, e->units[i].metric) < 0);
    for (uint32_t i = 0; i < e->n_declarations; i++) {
        const struct plan_emf_declaration *d = &e->declarations[i];
        CHECK(d->label_matcher && d->n_selectors && d->n_source_labels);
        regex_match(d->label_matcher, STR("web;200"));
        for (uint32_t k = 0; k < d->n_selectors; k++)
            regex_match(d->selectors[k], STR("http_requests_total"));
        for (uint32_t k = 0; k < d->n_dimensions; k++)
            check_set(&d->dimensions[k]);
    }
}

static void check_cloudwatch(const struct plan *p, const struct plan_cloudwatch *c)
{
    CHECK(c->aws.region.n > 0 && c->flush_ms > 0 && c->hash);
    CHECK((c->emf != NULL) == (c->pipelines != 0));
    CHECK(c->emf || (c->kind == CLOUDWATCH_LOGS ? p->emf_input != NULL : p->statsd != NULL));
    CHECK(c->kind == CLOUDWATCH_LOGS || c->name_space.n > 0);
    if (c->emf)
        check_emf(c->emf);
    for (uint32_t i = 0; i < c->n_rollups; i++)
        check_set(&c->rollups[i]);
}

static void check_plan(const struct plan *p)
{
    AUTO_BUF picture = {0};

    if (p->ecs_agent)
        check_discovery(p->ecs_agent);
    for (uint32_t i = 0; i < p->n_cloudwatch; i++)
        check_cloudwatch(p, &p->cloudwatch[i]);
    for (uint32_t i = 0; i < p->n_scrapes; i++)
        CHECK(p->scrapes[i].pipeline < 2 && p->scrapes[i].fallback_protocol != PROTOCOL_NONE);
    for (uint32_t i = 0; i < p->n_remote_writes; i++)
        CHECK(p->remote_writes[i].url.n > 0 && p->remote_writes[i].sigv4 && p->remote_writes[i].pipelines == 2);
    CHECK(!p->statsd || (p->statsd->collection_ms > 0 && p->statsd->pending > 0));
    CHECK(!p->emf_input || p->emf_input->tcp.n + p->emf_input->udp.n > 0);
    plan_print(p, &picture);
}

static struct config_agent_options options(struct arena *a, struct str list, struct str bits)
{
    struct config_agent_options o = {.getenv = environment, .host_name = STR("box")};

    o.ours.ecs_clusters = str_dup(a, list);
    o.in_container = bits.n > 0 && bits.p[0] != '0';
    if (bits.n < 2 || bits.p[1] != '0') {
        o.cluster = STR("own");
        o.region = STR("eu-west-1");
        o.task_arn = STR("arn:aws:ecs:eu-west-1:1:task/own/x");
    }
    if (bits.n > 2 && bits.p[2] != '0')
        o.ours.prometheus_to = STR("both");
    if (bits.n > 3 && bits.p[3] != '0')
        o.ours.amp_labels = STR("both");
    if (bits.n > 4 && bits.p[4] != '0')
        o.ours.shadow_log_group = o.ours.shadow_namespace_suffix = STR("/shadow");
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = {0};
    struct config_errors errors = {.arena = &arena};
    struct config_agent_source source = {"fuzz.json", STR_NONE};
    struct plan *plan = NULL;
    struct diag d = {0};
    struct str rest, list, bits;
    bool debug;

    str_cut(str_from((const char *)data, size), '\n', &source.text, &rest);
    str_cut(rest, '\n', &list, &rest);
    str_cut(rest, '\n', &bits, &rest);
    prometheus = str_dup(&arena, rest).p;
    struct config_agent_options o = options(&arena, list, bits);
    enum err err = config_parse_agent(&source, 1, &o, &plan, &debug, &errors, &d);
    CHECK((err == OK) == (errors.n == 0));
    CHECK(err == OK || d.text[0]);
    for (uint32_t i = 0; i < errors.n; i++)
        CHECK(errors.v[i].text[0]);
    if (err == OK) {
        check_plan(plan);
        plan_unref(plan);
    }
    arena_release(&arena);
    return 0;
}

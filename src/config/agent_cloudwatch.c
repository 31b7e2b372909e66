/* agent_cloudwatch: the destinations in CloudWatch: Logs, PutMetricData.
 *
 *   "logs"     events of pipeline 0, and what EMF input takes        role and endpoint of `logs`
 *   "metrics"  StatsD data, and pipeline 0 where LEADLINE_PROMETHEUS_TO asks for it
 *                                                                    role and endpoint of `metrics`
 *
 * The role of a section goes before that of `agent`. An endpoint without a scheme is meant to be HTTPS, as the SDK
 * takes it. A destination is known by what it is, region, role and endpoint: what waits on disk is for that one.
 */
#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"
#include "config/agent_int.h"

enum { MAX_ROLLUPS = 1024, MAX_DIMENSIONS = 30, MAX_NAME = 1024, MAX_DROPPED = 10000, DESTINATIONS = 2 };
enum { LOGS_FLUSH_S = 5, METRICS_FLUSH_S = 60, SECOND_MS = 1000 };

static struct str read_endpoint(struct agent_reader *a, struct agent_at at)
{
    struct str s = agent_text(a, at, STR(""));
    const char *why = NULL;

    if (s.n && !str_starts(s, STR("http://")) && !str_starts(s, STR("https://")))
        s = str_c(arena_printf(a->r.arena, "https://%.*s", STR_ARGS(s)));
    if (s.n && go_url_check(s, &why))
        agent_error(a, at, ERR_SYNTAX, "endpoint_override: %s", why);
    return s;
}

static uint64_t identity(const struct plan_cloudwatch *c)
{
    AUTO_BUF b = {0};
    buf_printf(&b, "%d\n%.*s\n%.*s\n%.*s\n", (int)c->kind, STR_ARGS(c->aws.region), STR_ARGS(c->aws.role_arn),
               STR_ARGS(c->aws.endpoint));
    if (c->dual_stack)
        buf_c(&b, "dual stack\n");
    return hash_bytes(buf_view(&b));
}

static struct plan_cloudwatch *add(struct agent_reader *a, const struct agent_draft *d, const struct agent_settings *s,
                                   enum cloudwatch_kind kind)
{
    bool logs = kind == CLOUDWATCH_LOGS;
    struct plan *p = a->r.plan;

    if (!p->cloudwatch)
        p->cloudwatch = ARENA_ARRAY(a->r.arena, struct plan_cloudwatch, DESTINATIONS);
    struct plan_cloudwatch *c = &p->cloudwatch[p->n_cloudwatch++];
    struct agent_at role = logs ? d->logs_role : d->metrics_role;
    *c = (struct plan_cloudwatch){
        .kind = kind,
        .name = logs ? STR("logs") : STR("metrics"),
        .aws = {.region = s->region,
                .role_arn = agent_text(a, role.node ? role : d->role, STR("")),
                .endpoint = read_endpoint(a, logs ? d->logs_endpoint : d->metrics_endpoint)},
        .dual_stack = s->dual_stack,
        .name_space = STR(""),
        .line = agent_line(logs ? d->logs : d->metrics),
    };
    c->flush_ms = (logs ? agent_number(d->logs_flush, LOGS_FLUSH_S) : agent_number(d->metrics_flush, METRICS_FLUSH_S)) *
                  SECOND_MS;
    c->hash = identity(c);
    return c;
}

/* ---- PutMetricData ---- */

static void read_rollups(struct agent_reader *a, const struct node *list, struct plan_cloudwatch *c)
{
    if (list->n < 1 || list->n > MAX_ROLLUPS) {
        reader_error(&a->r, list, ERR_SYNTAX, "aggregation_dimensions: Array must have at %s %d items",
                     list->n ? "most" : "least", list->n ? MAX_ROLLUPS : 1);
        return;
    }
    if (!agent_distinct(a, list))
        return;
    c->rollups = ARENA_ARRAY(a->r.arena, struct plan_dimensions, list->n);
    for (const struct node *n = list->first; n; n = n->next) {
        struct plan_dimensions *set = &c->rollups[c->n_rollups];
        if (!agent_strings(a, n, MAX_DIMENSIONS, MAX_NAME, &set->names, &set->n) || !agent_distinct(a, n))
            continue;
        set->n = agent_sort_unique(set->names, set->n);
        set->line = n->line;
        set->column = n->col;
        c->n_rollups++;
    }
}

static void read_dropped(struct agent_reader *a, const struct agent_draft *d, struct plan_cloudwatch *c)
{
    const struct node *list = d->drop_original.node;

    a->r.file = d->drop_original.file;
    if (list->n == 0)
        reader_error(&a->r, list, ERR_SYNTAX, "drop_original_metrics: Array must have at least 1 items");
    if (!agent_strings(a, list, MAX_DROPPED, 0, &c->drop_original, &c->n_drop_original) || !agent_distinct(a, list))
        return;
    c->n_drop_original = agent_sort_unique(c->drop_original, c->n_drop_original);
    if (c->n_drop_original && !d->rollups.node)
        agent_warn(a, d->drop_original,
                   "drop_original_metrics without metrics.aggregation_dimensions: these metrics are not sent at all");
}

static void read_statsd_data(struct agent_reader *a, const struct agent_draft *d, const struct agent_settings *s,
                             struct plan_cloudwatch *c)
{
    c->name_space = agent_text(a, d->name_space, STR("CWAgent"));
    if (s->suffix.n)
        c->name_space = str_c(arena_printf(a->r.arena, "%.*s%.*s", STR_ARGS(c->name_space), STR_ARGS(s->suffix)));
    if (d->rollups.node) {
        a->r.file = d->rollups.file;
        read_rollups(a, d->rollups.node, c);
    }
    if (d->drop_original.node)
        read_dropped(a, d, c);
}

/* ---- the whole ---- */

static void check_region(struct agent_reader *a, const struct agent_settings *s)
{
    const struct plan *p = a->r.plan;

    if (s->region.n == 0 && (p->n_cloudwatch || p->n_remote_writes))
        agent_error(a, (struct agent_at){NULL, NULL}, ERR_SYNTAX,
                    "Region info is missing for mode: %s: set agent.region, or let the task's metadata be reachable",
                    a->o->in_container ? "ec2" : "onPremise");
}

void agent_cloudwatch_read(struct agent_reader *a, const struct agent_draft *d, const struct agent_settings *s,
                           uint32_t scrapes)
{
    struct plan_emf *emf = d->prometheus.node ? agent_emf_read(a, d, s, scrapes > 0) : NULL;
    bool to_logs = scrapes && s->prometheus_to & TO_LOGS, to_metrics = scrapes && s->prometheus_to & TO_METRICS;
    struct plan_cloudwatch *c;

    if (to_logs || a->r.plan->emf_input) {
        c = add(a, d, s, CLOUDWATCH_LOGS);
        c->emf = to_logs ? emf : NULL;
        c->pipelines = to_logs ? 1u << 0 : 0;
        c->retention_days = s->retention_days;
    }
    if (to_metrics || a->r.plan->statsd) {
        c = add(a, d, s, CLOUDWATCH_METRICS);
        c->emf = to_metrics ? agent_emf_for_metrics(a, d, s, emf) : NULL;
        c->pipelines = to_metrics ? 1u << 0 : 0;
        read_statsd_data(a, d, s, c);
    }
    check_region(a, s);
}

/* agent: the CloudWatch agent's JSON to a plan.
 *
 *   agent    region, role, host name, debug                        open, told
 *   logs     force_flush_interval, credentials ...                 closed
 *     metrics_collected                                            open, told
 *       prometheus   the file, emf_processor, ecs_service_discovery     pipeline 0 -> plan.cloudwatch
 *       emf          finished events from outside                  plan.emf_input -> plan.cloudwatch
 *   metrics  namespace, credentials ...                            closed
 *     metrics_collected
 *       statsd       plan.statsd -> plan.cloudwatch
 *       prometheus   pipeline 1 -> plan.remote_writes              with metrics_destinations.amp
 *
 * Sources are parsed, merged (agent_merge.c) and read by the tables here into a draft: the places of all values. Then
 * each part is compiled by a file of its own. The tables are the agent's schema: types, limits and what is closed; a
 * section that leadline does not do is an error by name that says how to run without it; a key that changes nothing
 * (how the agent logs about itself, what it tells AWS of its use) is taken.
 *
 * With errors the compilation goes on, so that all of them are told at once; the plan then goes.
 *
 * Blocking, since Prometheus files are read: at start, or on the control thread at a reload. One tree per source, all
 * in one arena until the plan is made.
 */
#include "base/mem.h"
#include "config/agent_int.h"

#define D struct agent_draft

/* ---- what leadline does not do ---- */

#define ELSEWHERE(what, section)                                                                                       \
    "it " what ": keep the CloudWatch agent for them with a configuration of its own, and remove " section " here"
#define REFUSED(key_, text_)                                                                                           \
    {                                                                                                                  \
        .key = (key_), .refused = (text_)                                                                              \
    }
#define REFUSED_SECTION(key_, text_)                                                                                   \
    {                                                                                                                  \
        .key = (key_), .refused = (text_), .object = &opaque                                                           \
    }
#define HOST_METRICS(key_)                                                                                             \
    REFUSED(key_, ELSEWHERE("collects no metrics of hosts and processes", "metrics.metrics_collected." key_))

/* A section whose content does not matter. */
static const struct agent_object opaque = {.others = OTHERS_IGNORED, .merged = true};

/* ---- agent ---- */

static const struct agent_key agent_role_keys[] = {AGENT_PLACED(D, "role_arn", AGENT_STRING, 20, 2048, role)};
static const struct agent_object agent_role = AGENT_OBJECT_OF(agent_role_keys, OTHERS_REFUSED);

static void read_internal(struct agent_reader *a, struct node *n, void *out)
{
    (void)out;
    if (n->truth)
        reader_warn(&a->r, n, "internal has no effect: a datum of PutMetricData has at most 150 values");
}

static const struct agent_key agent_keys[] = {
    AGENT_PLACED(D, "region", AGENT_STRING, 1, 64, region),
    {.key = "credentials", .type = AGENT_OBJECT, .object = &agent_role},
    AGENT_PLACED(D, "debug", AGENT_BOOL, 0, 0, debug),
    AGENT_PLACED(D, "quiet", AGENT_BOOL, 0, 0, quiet),
    AGENT_PLACED(D, "omit_hostname", AGENT_BOOL, 0, 0, omit_hostname),
    AGENT_PLACED(D, "hostname", AGENT_STRING, 0, 0, host_name),
    AGENT_PLACED(D, "metrics_collection_interval", AGENT_INTEGER, 1, AGENT_SECONDS_MAX, interval),
    AGENT_PLACED(D, "use_dualstack_endpoint", AGENT_BOOL, 0, 0, dual_stack),
    {.key = "internal", .read = read_internal},
    {.key = "logfile", .type = AGENT_STRING, .min = 0, .max = 4096},
    {.key = "aws_sdk_log_level", .type = AGENT_STRING},
    {.key = "service.name", .type = AGENT_STRING, .min = 1, .max = 255},
    {.key = "deployment.environment", .type = AGENT_STRING, .min = 1, .max = 259},
    /* Not in the schema, and nothing here depends on them. */
    {.key = "run_as_user"},
    {.key = "user_agent"},
    {.key = "usage_data"},
    {.key = "usage_metadata"},
    {.key = "system_metrics_enabled"},
    {.key = "collection_jitter"},
    {.key = "flush_interval"},
    {.key = "flush_jitter"},
    {.key = "metric_batch_size"},
    {.key = "metric_buffer_limit"},
    {.key = "precision"},
    {.key = "round_interval"},
};
static const struct agent_object agent_object = {
    .keys = agent_keys, .n = COUNT_OF(agent_keys), .others = OTHERS_TOLD, .merged = true};

/* ---- logs ---- */

static const struct agent_key prometheus_keys[] = {
    AGENT_PLACED(D, "cluster_name", AGENT_STRING, 0, 0, cluster_name),
    AGENT_PLACED(D, "log_group_name", AGENT_STRING, 0, 0, log_group),
    AGENT_PLACED(D, "prometheus_config_path", AGENT_STRING, 0, 0, config_path),
    AGENT_PLACED(D, "emf_processor", AGENT_OBJECT, 0, 0, emf_processor),
    AGENT_PLACED(D, "ecs_service_discovery", AGENT_OBJECT, 0, 0, discovery),
    AGENT_PLACED(D, "disable_metric_extraction", AGENT_BOOL, 0, 0, no_extraction),
};
static const struct agent_object prometheus_object = {
    .keys = prometheus_keys, .n = COUNT_OF(prometheus_keys), .others = OTHERS_REFUSED, .merged = true};

static const struct agent_key emf_keys[] = {
    AGENT_PLACED(D, "service_address", AGENT_STRING, 0, 0, emf_address),
};
static const struct agent_object emf_object = AGENT_OBJECT_OF(emf_keys, OTHERS_TOLD);

#define INSIGHTS "it collects no Container Insights: switch them on in the cluster's settings, and remove "
static const struct agent_key logs_collected_keys[] = {
    {.key = "prometheus",
     .type = AGENT_OBJECT,
     .read = agent_place,
     .offset = offsetof(D, prometheus),
     .object = &prometheus_object},
    {.key = "emf", .type = AGENT_OBJECT, .read = agent_place, .offset = offsetof(D, emf), .object = &emf_object},
    REFUSED("structuredlog", "the agent itself refuses it; write emf"),
    REFUSED_SECTION("ecs", INSIGHTS "logs.metrics_collected.ecs here (beside prometheus it breaks that in the agent)"),
    REFUSED_SECTION("kubernetes", "it runs on ECS; remove logs.metrics_collected.kubernetes here"),
    REFUSED("app_signals", ELSEWHERE("takes no traces", "logs.metrics_collected.app_signals")),
    REFUSED("application_signals", ELSEWHERE("takes no traces", "logs.metrics_collected.application_signals")),
    REFUSED("otlp", "cloudwatch-agent takes no OTLP: keep the CloudWatch agent for it with a configuration of its own, "
                    "and remove logs.metrics_collected.otlp here"),
};
static const struct agent_object logs_collected = {
    .keys = logs_collected_keys, .n = COUNT_OF(logs_collected_keys), .others = OTHERS_TOLD, .merged = true};

static const struct agent_key logs_role_keys[] = {AGENT_PLACED(D, "role_arn", AGENT_STRING, 20, 2048, logs_role)};
static const struct agent_object logs_role = AGENT_OBJECT_OF(logs_role_keys, OTHERS_REFUSED);

static const struct agent_key logs_keys[] = {
    {.key = "metrics_collected",
     .type = AGENT_OBJECT,
     .read = agent_place,
     .offset = offsetof(D, logs_collected),
     .object = &logs_collected},
    AGENT_PLACED(D, "force_flush_interval", AGENT_INTEGER, 1, AGENT_SECONDS_MAX, logs_flush),
    AGENT_PLACED(D, "endpoint_override", AGENT_STRING, 4, 2048, logs_endpoint),
    {.key = "credentials", .type = AGENT_OBJECT, .object = &logs_role},
    AGENT_PLACED(D, "log_stream_name", AGENT_STRING, 1, 512, log_stream),
    {.key = "concurrency", .type = AGENT_INTEGER, .min = 1, .max = UINT32_MAX},
    REFUSED_SECTION("logs_collected", ELSEWHERE("does not collect log files", "logs.logs_collected")),
    {.key = "service.name", .type = AGENT_STRING, .min = 1, .max = 255},
    {.key = "deployment.environment", .type = AGENT_STRING, .min = 1, .max = 259},
};
static const struct agent_object logs_object = {
    .keys = logs_keys, .n = COUNT_OF(logs_keys), .others = OTHERS_REFUSED, .merged = true};

/* ---- metrics ---- */

static const struct agent_key statsd_keys[] = {
    AGENT_PLACED(D, "service_address", AGENT_STRING, 1, 255, statsd_address),
    AGENT_PLACED(D, "metrics_collection_interval", AGENT_INTEGER, 1, AGENT_SECONDS_MAX, collection),
    AGENT_PLACED(D, "metrics_aggregation_interval", AGENT_INTEGER, 0, AGENT_SECONDS_MAX, aggregation),
    AGENT_PLACED(D, "allowed_pending_messages", AGENT_INTEGER, 1, INT32_MAX, pending),
    AGENT_PLACED(D, "metric_separator", AGENT_STRING, 1, 255, separator),
    AGENT_PLACED(D, "drop_original_metrics", AGENT_ARRAY, 0, 0, drop_original),
    {.key = "service.name", .type = AGENT_STRING, .min = 1, .max = 4096},
    {.key = "deployment.environment", .type = AGENT_STRING, .min = 1, .max = 4096},
};
static const struct agent_object statsd_object = AGENT_OBJECT_OF(statsd_keys, OTHERS_REFUSED);

static const struct agent_key amp_prometheus_keys[] = {
    AGENT_PLACED(D, "prometheus_config_path", AGENT_STRING, 1, 255, amp_config_path),
};
static const struct agent_object amp_prometheus = AGENT_OBJECT_OF(amp_prometheus_keys, OTHERS_REFUSED);

/* The agent wants `measurement` in what it does not know, and ignores it then. */
static void read_unknown_metrics(struct agent_reader *a, struct node *n, void *out)
{
    (void)out;
    if (agent_is(a, n, AGENT_OBJECT) && !node_find(n, "measurement"))
        reader_error(&a->r, n, ERR_SYNTAX, "%.*s: measurement is required", STR_ARGS(n->key));
}

static const struct agent_key metrics_collected_keys[] = {
    {.key = "statsd",
     .type = AGENT_OBJECT,
     .read = agent_place,
     .offset = offsetof(D, statsd),
     .object = &statsd_object},
    {.key = "prometheus",
     .type = AGENT_OBJECT,
     .read = agent_place,
     .offset = offsetof(D, amp_prometheus),
     .object = &amp_prometheus},
    HOST_METRICS("collectd"),
    HOST_METRICS("cpu"),
    HOST_METRICS("disk"),
    HOST_METRICS("diskio"),
    HOST_METRICS("efa"),
    HOST_METRICS("ethtool"),
    HOST_METRICS("jmx"),
    HOST_METRICS("mem"),
    HOST_METRICS("net"),
    HOST_METRICS("netstat"),
    HOST_METRICS("nvidia_smi"),
    REFUSED("otlp", "cloudwatch-agent takes no OTLP: keep the CloudWatch agent for it with a configuration of its own, "
                    "and remove metrics.metrics_collected.otlp here"),
    HOST_METRICS("processes"),
    HOST_METRICS("procstat"),
    HOST_METRICS("swap"),
};
static const struct agent_object metrics_collected = {.keys = metrics_collected_keys,
                                                      .n = COUNT_OF(metrics_collected_keys),
                                                      .others = OTHERS_TOLD,
                                                      .merged = true,
                                                      .read_other = read_unknown_metrics};

static const struct agent_key amp_keys[] = {AGENT_PLACED(D, "workspace_id", AGENT_STRING, 1, 255, workspace)};
static const struct agent_object amp_object = AGENT_OBJECT_OF(amp_keys, OTHERS_REFUSED);
static const struct agent_key destination_keys[] = {
    AGENT_PLACED(D, "cloudwatch", AGENT_ANY, 0, 0, to_cloudwatch),
    {.key = "amp", .type = AGENT_OBJECT, .read = agent_place, .offset = offsetof(D, amp), .object = &amp_object},
};
static const struct agent_object destinations = AGENT_OBJECT_OF(destination_keys, OTHERS_REFUSED);

static const struct agent_key metrics_role_keys[] = {AGENT_PLACED(D, "role_arn", AGENT_STRING, 20, 2048, metrics_role)};
static const struct agent_object metrics_role = AGENT_OBJECT_OF(metrics_role_keys, OTHERS_REFUSED);

static const struct agent_key metrics_keys[] = {
    {.key = "metrics_collected",
     .type = AGENT_OBJECT,
     .read = agent_place,
     .offset = offsetof(D, metrics_collected),
     .object = &metrics_collected},
    {.key = "metrics_destinations",
     .type = AGENT_OBJECT,
     .read = agent_place,
     .offset = offsetof(D, destinations),
     .object = &destinations},
    AGENT_PLACED(D, "namespace", AGENT_STRING, 1, 255, name_space),
    AGENT_PLACED(D, "force_flush_interval", AGENT_INTEGER, 1, AGENT_SECONDS_MAX, metrics_flush),
    AGENT_PLACED(D, "endpoint_override", AGENT_STRING, 4, 2048, metrics_endpoint),
    {.key = "credentials", .type = AGENT_OBJECT, .object = &metrics_role},
    AGENT_PLACED(D, "aggregation_dimensions", AGENT_ARRAY, 0, 0, rollups),
    AGENT_PLACED(D, "append_dimensions", AGENT_OBJECT, 0, 0, appended),
    {.key = "service.name", .type = AGENT_STRING, .min = 1, .max = 4096},
    {.key = "deployment.environment", .type = AGENT_STRING, .min = 1, .max = 4096},
};
static const struct agent_object metrics_object = {
    .keys = metrics_keys, .n = COUNT_OF(metrics_keys), .others = OTHERS_REFUSED, .merged = true};

/* ---- the sections ---- */

static void warn_csm(struct agent_reader *a, struct node *n, void *out)
{
    (void)out;
    reader_warn(&a->r, n, "csm has no effect: it has already been deprecated in the agent");
}

static const struct agent_key top_keys[] = {
    {.key = "agent", .type = AGENT_OBJECT, .object = &agent_object},
    {.key = "logs", .type = AGENT_OBJECT, .read = agent_place, .offset = offsetof(D, logs), .object = &logs_object},
    {.key = "metrics",
     .type = AGENT_OBJECT,
     .read = agent_place,
     .offset = offsetof(D, metrics),
     .object = &metrics_object},
    REFUSED_SECTION("traces", ELSEWHERE("takes no traces", "traces")),
    REFUSED_SECTION("opentelemetry",
                    "it has no opentelemetry section: scrape by logs.metrics_collected.prometheus, or to AMP by "
                    "metrics.metrics_collected.prometheus, and remove opentelemetry here"),
    {.key = "csm", .read = warn_csm},
};
static const struct agent_object top_object = {
    .keys = top_keys, .n = COUNT_OF(top_keys), .others = OTHERS_TOLD, .merged = true};

/* ---- the whole ---- */

/* What stands in a list has no key of its own; errors name it by the list's. The tree is as deep as its reader allows.
 */
static void name_elements(struct node *n)
{
    for (struct node *c = n->first; c; c = c->next) {
        if (n->kind == NODE_SEQUENCE)
            c->key = n->key;
        name_elements(c);
    }
}

static void add_source(struct agent_reader *a, const struct config_agent_source *source, struct node *into)
{
    struct node *root;
    struct diag d = {0};

    a->r.file = source->name;
    enum err err = tree_parse_json(source->text, source->name, a->r.tree, &root, &d);
    if (err) {
        reader_add_diag(&a->r, &d, err);
    } else if (!root) {
        reader_error(&a->r, NULL, ERR_SYNTAX, "there is no JSON in it");
    } else if (agent_is(a, root, AGENT_OBJECT)) {
        name_elements(root);
        agent_merge(a, into, root, &top_object);
    }
}

/* What the schema wants of an object as a whole. */
static void check_sections(struct agent_reader *a, const struct agent_draft *d)
{
    if (d->logs.node && !node_find(d->logs.node, "metrics_collected") && !node_find(d->logs.node, "logs_collected"))
        agent_error(a, d->logs, ERR_SYNTAX, "logs: one of logs_collected and metrics_collected is required");
    if (d->metrics.node && !node_find(d->metrics.node, "metrics_collected"))
        agent_error(a, d->metrics, ERR_SYNTAX, "metrics: metrics_collected is required");
    if (d->metrics_collected.node && d->metrics_collected.node->n == 0)
        agent_error(a, d->metrics_collected, ERR_SYNTAX, "metrics_collected: Must have at least 1 properties");
    if (d->destinations.node && d->destinations.node->n == 0)
        agent_error(a, d->destinations, ERR_SYNTAX, "metrics_destinations: Must have at least 1 properties");
    if (d->amp.node && !node_find(d->amp.node, "workspace_id"))
        agent_error(a, d->amp, ERR_SYNTAX, "amp: workspace_id is required");
    if (d->amp_prometheus.node && !node_find(d->amp_prometheus.node, "prometheus_config_path"))
        agent_error(a, d->amp_prometheus, ERR_SYNTAX, "prometheus: prometheus_config_path is required");
    if (d->appended.node && d->appended.node->n)
        agent_error(a, d->appended, ERR_UNSUPPORTED,
                    "append_dimensions: not supported by leadline: it asks EC2 for no dimensions; remove it here, or "
                    "keep the CloudWatch agent for these metrics");
}

static void compile(struct agent_reader *a, const struct config_agent_source *sources, uint32_t n, bool *debug)
{
    struct agent_draft d = {0};
    struct agent_settings s = {0};
    struct node top = {.kind = NODE_MAPPING, .line = 1, .col = 1, .text = STR(""), .key = STR("")};

    for (uint32_t i = 0; i < n; i++)
        add_source(a, &sources[i], &top);
    agent_read_object(a, &top, &top_object, &d);
    a->r.file = n ? sources[0].name : "";
    check_sections(a, &d);
    *debug = agent_truth(d.debug, false) && !agent_truth(d.quiet, false);
    agent_settings_read(a, &d, &s);
    uint32_t scrapes = agent_logs_prometheus_read(a, &d);
    if (d.discovery.node)
        agent_discovery_read(a, d.discovery, s.region, s.dual_stack);
    agent_emf_input_read(a, &d, &s);
    agent_statsd_read(a, &d, &s);
    agent_amp_read(a, &d, &s);
    agent_cloudwatch_read(a, &d, &s, scrapes);
}

enum err config_parse_agent(const struct config_agent_source *sources, uint32_t n, const struct config_agent_options *o,
                            struct plan **out, bool *debug, struct config_errors *errors, struct diag *d)
{
    static const struct config_agent_options none = {0};
    struct agent_reader a = {.r = {.file = "", .dir = ""}, .o = o ? o : &none};
    struct config_options prometheus = {.agent = true, .check_files = a.o->check_files};
    struct reading reading;

    a.r.options = &prometheus;
    reader_open(&a.r, &reading, errors);
    compile(&a, sources, n, debug);
    return reader_close(&a.r, &reading, out, d);
}

/* agent_amp: metrics.metrics_collected.prometheus of the CloudWatch agent's JSON: scrapes of pipeline 1, which go to a
 * workspace of Amazon Managed Service for Prometheus by remote write.
 *
 *   metrics_destinations.amp.workspace_id   https://aps-workspaces.REGION.SUFFIX/workspaces/ID/api/v1/remote_write
 *                                           or below AWS_ENDPOINT_URL_AMP, as AWS' own programs have it
 *   agent.region, agent.credentials         signed as aps; no other role reaches AMP
 *   force_flush_interval                    how long a batch may wait; 5 s where it is not given (the agent: 60 s)
 *
 * The labels are the agent's, which loses job and instance on the way through its own data model:
 *
 *   service_name           = job
 *   service_instance_id    = instance
 *   server_address, net_host_name   the host of instance; absent for a loopback or unspecified address, or localhost
 *   server_port, net_host_port      its port
 *   url_scheme, http_scheme         the target's scheme
 *
 * They are made by relabelling rules: the scheme at the target, since only it knows; the rest at the destination, where
 * job and instance are dropped too. LEADLINE_AMP_LABELS=prometheus leaves all that out, both keeps job and instance
 * beside it.
 */
#include "base/hash.h"
#include "base/mem.h"
#include "config/agent_int.h"
#include "config/prometheus_int.h"

enum { PIPELINE = 1, BATCH_S = 5, SECOND_MS = 1000, MAX_RULES = 10 };

/* ---- the address ---- */

/* Of the partitions of AWS, by the beginning of the region's name: domains, alone and dual stack. */
static const struct {
    const char *prefix, *suffix, *dual_suffix;
} partitions[] = {
    {"cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn"},
    {"eusc-de-", "amazonaws.eu", "api.amazonwebservices.eu"},
    {"us-iso-", "c2s.ic.gov", "api.aws.ic.gov"},
    {"us-isob-", "sc2s.sgov.gov", "api.aws.scloud"},
    {"eu-isoe-", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"},
    {"us-isof-", "csp.hci.ic.gov", "api.aws.hci.ic.gov"},
    {"", "amazonaws.com", "api.aws"},
};

static struct str workspace_url(struct agent_reader *a, struct str id, const struct agent_settings *s)
{
    struct str endpoint = agent_environment(a, "AWS_ENDPOINT_URL_AMP");
    const char *why = NULL;
    size_t i = 0;

    if (endpoint.n && go_url_check(endpoint, &why))
        agent_error(a, (struct agent_at){NULL, "AWS_ENDPOINT_URL_AMP"}, ERR_SYNTAX, "%s", why);
    while (endpoint.n && endpoint.p[endpoint.n - 1] == '/')
        endpoint.n--;
    if (endpoint.n)
        return str_c(
            arena_printf(a->r.arena, "%.*s/workspaces/%.*s/api/v1/remote_write", STR_ARGS(endpoint), STR_ARGS(id)));
    while (!str_starts(s->region, str_c(partitions[i].prefix)))
        i++;
    return str_c(arena_printf(a->r.arena, "https://aps-workspaces.%.*s.%s/workspaces/%.*s/api/v1/remote_write",
                              STR_ARGS(s->region), s->dual_stack ? partitions[i].dual_suffix : partitions[i].suffix,
                              STR_ARGS(id)));
}

static bool is_workspace(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_'))
            return false;
    }
    return s.n > 0;
}

/* ---- labels ---- */

struct draft_rules {
    struct agent_reader *a;
    const struct node *at;
    struct relabel_rules *rules;
};

static void add_rule(struct draft_rules *d, enum relabel_action action, const char *source, const char *regex,
                     const char *target, const char *replacement)
{
    struct str *sources = ARENA_NEW(d->a->r.arena, struct str);

    *sources = str_c(source);
    d->rules->rules[d->rules->n++] = (struct relabel_rule){
        .action = action,
        .source_labels = sources,
        .n_source_labels = source ? 1 : 0,
        .separator = STR(";"),
        .regex = reader_regex(&d->a->r, d->at, "regex", str_c(regex)),
        .target_label = str_c(target ? target : ""),
        .replacement = str_c(replacement),
    };
}

static void copy(struct draft_rules *d, const char *source, const char *regex, const char *target,
                 const char *replacement)
{
    add_rule(d, RELABEL_REPLACE, source, regex, target, replacement);
}

#define HOST     "__leadline_host"
#define LOOPBACK "localhost|127(?:\\.[0-9]{1,3}){3}|0\\.0\\.0\\.0|::1|::"
/* Go's net.SplitHostPort: [host]:port, host:port; else all of it is the host. */
#define SPLIT "\\[([^\\[\\]]*)\\]:[^:\\[\\]]*|([^:\\[\\]]*):[^:\\[\\]]*|(.*)"
#define PORT  "(?:\\[[^\\[\\]]*\\]|[^:\\[\\]]*):([^:\\[\\]]*)|.*"

static struct relabel_rules *agents_labels(struct agent_reader *a, const struct node *at, bool keep)
{
    struct draft_rules d = {a, at, ARENA_NEW(a->r.arena, struct relabel_rules)};

    d.rules->rules = ARENA_ARRAY(a->r.arena, struct relabel_rule, MAX_RULES);
    copy(&d, "job", "(.*)", "service_name", "$1");
    copy(&d, "instance", "(.*)", "service_instance_id", "$1");
    copy(&d, "instance", SPLIT, HOST, "$1$2$3");
    copy(&d, HOST, LOOPBACK, HOST, "");
    copy(&d, HOST, "(.+)", "server_address", "$1");
    copy(&d, HOST, "(.+)", "net_host_name", "$1");
    copy(&d, "instance", PORT, "server_port", "$1");
    copy(&d, "instance", PORT, "net_host_port", "$1");
    add_rule(&d, RELABEL_LABELDROP, NULL, keep ? HOST : HOST "|job|instance", NULL, "$1");
    return d.rules;
}

/* Behind the job's own rules. */
static void add_scheme(struct agent_reader *a, const struct node *at, struct plan_scrape *s)
{
    uint32_t n = s->relabel ? s->relabel->n : 0;
    struct draft_rules d = {a, at, ARENA_NEW(a->r.arena, struct relabel_rules)};

    d.rules->rules = ARENA_ARRAY(a->r.arena, struct relabel_rule, n + 2);
    if (n)
        memcpy(d.rules->rules, s->relabel->rules, n * sizeof(*d.rules->rules));
    d.rules->n = n;
    copy(&d, "__scheme__", "(.*)", "url_scheme", "$1");
    copy(&d, "__scheme__", "(.*)", "http_scheme", "$1");
    s->relabel = d.rules;
}

/* ---- the destination ---- */

static uint64_t identity(const struct plan_remote_write *w)
{
    AUTO_BUF b = {0};
    buf_printf(&b, "%.*s\n%.*s\n%.*s\n", STR_ARGS(w->name), STR_ARGS(w->url), STR_ARGS(w->sigv4->role_arn));
    return hash_bytes(buf_view(&b));
}

static uint64_t rules_hash(const struct relabel_rules *rules)
{
    AUTO_BUF b = {0};
    relabel_print(rules, &b);
    return hash_bytes(buf_view(&b));
}

static void add_destination(struct agent_reader *a, const struct agent_draft *d, const struct agent_settings *s,
                            struct str workspace)
{
    struct plan_remote_write *w = ARENA_NEW(a->r.arena, struct plan_remote_write);

    *w = (struct plan_remote_write){
        .pipelines = 1u << PIPELINE,
        .name = STR("amp"),
        .named = true,
        .url = workspace_url(a, workspace, s),
        .http = {.follow_redirects = true, .proxy_from_environment = true},
        .remote_timeout_ms = 30 * SECOND_MS,
        .queue = {.capacity = 10000,
                  .max_shards = 50,
                  .min_shards = 1,
                  .max_samples_per_send = 2000,
                  .batch_send_deadline_ms = agent_number(d->metrics_flush, BATCH_S) * SECOND_MS,
                  .min_backoff_ms = 30,
                  .max_backoff_ms = 5000,
                  .retry_on_http_429 = true},
        .message = REMOTE_WRITE_1,
        .send_native_histograms = true,
        .metadata_interval_ms = 60 * SECOND_MS,
        .metadata_max_samples_per_send = 2000,
        .sigv4 = ARENA_NEW(a->r.arena, struct aws_config),
        .line = agent_line(d->amp),
    };
    w->sigv4->region = s->region;
    w->sigv4->role_arn = agent_text(a, d->role, STR(""));
    w->sigv4->service = STR("aps");
    w->sigv4->dual_stack = s->dual_stack;
    if (s->amp_labels & AMP_LABELS_AGENT)
        w->write_relabel = agents_labels(a, d->amp.node, s->amp_labels & AMP_LABELS_PROMETHEUS);
    w->hash = identity(w);
    w->shape_hash = rules_hash(w->write_relabel);
    a->r.plan->remote_writes = w;
    a->r.plan->n_remote_writes = 1;
}

/* ---- the whole ---- */

static bool has_destination(struct agent_reader *a, const struct agent_draft *d)
{
    if (d->amp.node)
        return true;
    agent_error(a, d->amp_prometheus, ERR_SYNTAX,
                "prometheus: missing key in JSON: \"metrics::metrics_destinations::amp or "
                "metrics::metrics_destinations::amp::workspace_id\"; without AMP, scrape by "
                "logs.metrics_collected.prometheus");
    return false;
}

static void check_neighbours(struct agent_reader *a, const struct agent_draft *d, const struct agent_settings *s)
{
    if (d->rollups.node)
        agent_error(a, d->rollups, ERR_UNSUPPORTED,
                    "aggregation_dimensions: not supported by leadline: for AMP it adds no series; remove it here and "
                    "aggregate in queries or recording rules, or keep StatsD in a configuration of its own");
    if (s->shadow_group.n || s->suffix.n)
        agent_warn(a, d->amp, "a shadow run: AMP gets the same series as from the agent, from both");
}

void agent_amp_read(struct agent_reader *a, const struct agent_draft *d, const struct agent_settings *s)
{
    static const struct embedding inside = {.pipeline = PIPELINE, .external_labels = true};
    struct str workspace = agent_text(a, d->workspace, STR(""));
    uint32_t first = a->r.plan->n_scrapes, errors = a->r.errors->n;

    if (d->workspace.node && !is_workspace(workspace))
        agent_error(a, d->workspace, ERR_SYNTAX, "workspace_id: %s is no name of a workspace: letters, digits and -",
                    reader_quote(&a->r, workspace));
    if (!d->amp_config_path.node) {
        if (d->amp.node && !d->amp_prometheus.node)
            agent_warn(a, d->amp, "amp gets nothing: there is no metrics.metrics_collected.prometheus");
        return;
    }
    if (!has_destination(a, d))
        return;
    if (agent_prometheus_read(a, d->amp_config_path, &inside) == 0 && a->r.errors->n == errors)
        agent_error(a, d->amp_config_path, ERR_SYNTAX,
                    "invalid otel config: receivers::prometheus: no Prometheus scrape_configs or target_allocator set");
    for (uint32_t i = first; i < a->r.plan->n_scrapes && s->amp_labels & AMP_LABELS_AGENT; i++)
        add_scheme(a, d->amp_config_path.node, &a->r.plan->scrapes[i]);
    check_neighbours(a, d, s);
    add_destination(a, d, s, workspace);
}

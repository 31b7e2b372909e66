/* plan_print: the plan as people read it.
 *
 * The tree is for `leadline check`: one line per fact, defaults included where they matter, two spaces a level.
 * Passwords, credentials and header values are never printed, only that they are there; the user's part of a URL is
 * left out. The warnings close it.
 */
#include "base/num.h"
#include "base/quote.h"
#include "base/units.h"
#include "plan/plan.h"

static void indent(struct buf *out, int level)
{
    for (int i = 0; i < level; i++)
        buf_c(out, "  ");
}

static void line_text(struct buf *out, int level, const char *key, struct str value)
{
    indent(out, level);
    buf_printf(out, "%s: ", key);
    buf_str(out, value);
    buf_char(out, '\n');
}

static void line_duration(struct buf *out, int level, const char *key, int64_t ms)
{
    indent(out, level);
    buf_printf(out, "%s: ", key);
    units_print_duration(out, ms);
    buf_char(out, '\n');
}

static void line_limit(struct buf *out, int level, const char *key, uint64_t limit)
{
    if (limit == 0)
        return;
    indent(out, level);
    buf_printf(out, "%s: ", key);
    buf_u64(out, limit);
    buf_char(out, '\n');
}

static void print_label_set(struct buf *out, struct labels l)
{
    buf_char(out, '{');
    for (uint32_t i = 0; i < l.n; i++) {
        if (i)
            buf_c(out, ", ");
        buf_str(out, l.v[i].name);
        buf_char(out, '=');
        buf_quote(out, l.v[i].value);
    }
    buf_char(out, '}');
}

static const char *const actions[] = {
    [RELABEL_REPLACE] = "replace",     [RELABEL_KEEP] = "keep",           [RELABEL_DROP] = "drop",
    [RELABEL_KEEPEQUAL] = "keepequal", [RELABEL_DROPEQUAL] = "dropequal", [RELABEL_HASHMOD] = "hashmod",
    [RELABEL_LABELMAP] = "labelmap",   [RELABEL_LABELDROP] = "labeldrop", [RELABEL_LABELKEEP] = "labelkeep",
    [RELABEL_LOWERCASE] = "lowercase", [RELABEL_UPPERCASE] = "uppercase",
};

static void print_rule(struct buf *out, int level, const struct relabel_rule *rule)
{
    indent(out, level);
    buf_c(out, actions[rule->action]);
    if (rule->n_source_labels) {
        buf_c(out, " [");
        for (uint32_t i = 0; i < rule->n_source_labels; i++) {
            buf_c(out, i ? " " : "");
            buf_str(out, rule->source_labels[i]);
        }
        buf_char(out, ']');
    }
    if (rule->regex && !str_eq_c(regex_pattern(rule->regex), "(.*)")) {
        buf_c(out, " =~ ");
        buf_quote(out, regex_pattern(rule->regex));
    }
    if (rule->modulus) {
        buf_c(out, " mod ");
        buf_u64(out, rule->modulus);
    }
    if (rule->target_label.n) {
        buf_c(out, " -> ");
        buf_str(out, rule->target_label);
    }
    if (rule->action == RELABEL_REPLACE || rule->action == RELABEL_LABELMAP) {
        buf_c(out, " = ");
        buf_quote(out, rule->replacement);
    }
    buf_char(out, '\n');
}

static void print_rules(struct buf *out, int level, const char *key, const struct relabel_rules *rules)
{
    if (!rules || rules->n == 0)
        return;
    indent(out, level);
    buf_printf(out, "%s:\n", key);
    for (uint32_t i = 0; i < rules->n; i++)
        print_rule(out, level + 1, &rules->rules[i]);
}

/* user:password@ is left out. */
static void print_url(struct buf *out, struct str url)
{
    const char *start = url.n > 2 ? memmem(url.p, url.n, "//", 2) : NULL;
    size_t from = start ? (size_t)(start - url.p) + 2 : 0, end = from;
    while (end < url.n && url.p[end] != '/' && url.p[end] != '?' && url.p[end] != '#')
        end++;
    const char *at = end > from ? memrchr(url.p + from, '@', end - from) : NULL;
    buf_append(out, url.p, from);
    size_t rest = at ? (size_t)(at - url.p) + 1 : from;
    buf_append(out, url.p + rest, url.n - rest);
}

static void print_http(struct buf *out, int level, const struct http_options *o);

static void print_oauth2(struct buf *out, int level, const struct oauth2_options *o)
{
    indent(out, level);
    buf_printf(out, "oauth2: %s as %.*s from ", o->grant == OAUTH2_JWT_BEARER ? "JWT bearer" : "client credentials",
               STR_ARGS(o->client_id));
    print_url(out, o->token_url);
    buf_char(out, '\n');
    struct str file = o->grant == OAUTH2_JWT_BEARER ? o->client_certificate_key_file : o->client_secret_file;
    if (file.n)
        line_text(out, level + 1, "secret file", file);
    for (int i = 0; i < o->n_scopes; i++)
        line_text(out, level + 1, "scope", o->scopes[i]);
    print_http(out, level + 1, o->http);
}

static void print_http(struct buf *out, int level, const struct http_options *o)
{
    if (o->basic_username.n || o->basic_username_file.n)
        line_text(out, level, "basic_auth user", o->basic_username.n ? o->basic_username : o->basic_username_file);
    if (o->authorization_type.n)
        line_text(out, level, "authorization", o->authorization_type);
    if (o->authorization_credentials_file.n)
        line_text(out, level, "credentials file", o->authorization_credentials_file);
    if (o->tls.ca_file.n)
        line_text(out, level, "CA", o->tls.ca_file);
    if (o->tls.cert_file.n)
        line_text(out, level, "client certificate", o->tls.cert_file);
    if (o->tls.insecure_skip_verify)
        line_text(out, level, "certificates", STR("not verified"));
    if (o->proxy_url.n)
        line_text(out, level, "proxy", STR("as configured"));
    if (o->proxy_from_environment)
        line_text(out, level, "proxy", STR("from the environment"));
    for (int i = 0; i < o->n_proxy_connect_headers; i++)
        line_text(out, level, "header to the proxy", o->proxy_connect_headers[i].name);
    for (int i = 0; i < o->n_headers; i++)
        line_text(out, level, "header", o->headers[i].name);
    if (o->oauth2)
        print_oauth2(out, level, o->oauth2);
}

static void print_aws(struct buf *out, int level, const struct aws_config *c)
{
    line_text(out, level, "region", c->region.n ? c->region : STR("found out at start"));
    if (c->profile.n)
        line_text(out, level, "profile", c->profile);
    if (c->access_key.n)
        line_text(out, level, "access key", c->access_key);
    if (c->role_arn.n)
        line_text(out, level, "role", c->role_arn);
    if (c->endpoint.n)
        line_text(out, level, "endpoint", c->endpoint);
    if (c->service.n)
        line_text(out, level, "service", c->service);
    if (c->dual_stack)
        line_text(out, level, "dual stack", STR("true"));
}

static const char *const protocol_names[] = {
    [PROTOCOL_PROTO] = "PrometheusProto",
    [PROTOCOL_TEXT_0_0_4] = "PrometheusText0.0.4",
    [PROTOCOL_TEXT_1_0_0] = "PrometheusText1.0.0",
    [PROTOCOL_OPENMETRICS_0_0_1] = "OpenMetricsText0.0.1",
    [PROTOCOL_OPENMETRICS_1_0_0] = "OpenMetricsText1.0.0",
    [PROTOCOL_NONE] = "none",
};

static void print_static(struct buf *out, int level, const struct target_group *g)
{
    indent(out, level);
    buf_printf(out, "static targets: %u ", g->n_targets);
    print_label_set(out, g->labels);
    buf_char(out, '\n');
    for (uint32_t k = 0; k < g->n_targets; k++) {
        indent(out, level + 1);
        buf_str(out, labels_get(g->targets[k], STR("__address__")));
        buf_char(out, '\n');
    }
}

static void print_list(struct buf *out, int level, const struct str *v, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        indent(out, level);
        buf_str(out, v[i]);
        buf_char(out, '\n');
    }
}

static void print_http_sd(struct buf *out, int level, const struct plan_http_sd *sd)
{
    line_duration(out, level, "targets by HTTP, every", sd->refresh_ms);
    indent(out, level + 1);
    print_url(out, sd->url);
    buf_char(out, '\n');
    print_http(out, level + 1, &sd->http);
}

static void print_dns_sd(struct buf *out, int level, const struct plan_dns_sd *sd)
{
    static const char *const types[] = {
        [DNS_SD_SRV] = "SRV", [DNS_SD_A] = "A", [DNS_SD_AAAA] = "AAAA", [DNS_SD_MX] = "MX", [DNS_SD_NS] = "NS"};
    indent(out, level);
    buf_printf(out, "targets from DNS (%s), every: ", types[sd->type]);
    units_print_duration(out, sd->refresh_ms);
    buf_char(out, '\n');
    print_list(out, level + 1, sd->names, sd->n_names);
    if (sd->type != DNS_SD_SRV)
        line_limit(out, level + 1, "port", sd->port);
}

static void print_aws_sd(struct buf *out, int level, const struct plan_aws_sd *sd)
{
    line_duration(out, level, sd->role == AWS_SD_ECS ? "targets from ECS, every" : "targets from EC2, every",
                  sd->refresh_ms);
    print_aws(out, level + 1, &sd->aws);
    line_limit(out, level + 1, "port", sd->port);
    for (uint32_t i = 0; i < sd->n_clusters; i++)
        line_text(out, level + 1, "cluster", sd->clusters[i]);
    for (uint32_t i = 0; i < sd->n_filters; i++) {
        line_text(out, level + 1, "filter", sd->filters[i].name);
        print_list(out, level + 2, sd->filters[i].values, sd->filters[i].n_values);
    }
    print_http(out, level + 1, &sd->http);
}

static void print_ecs_task_sd(struct buf *out, int level, const struct plan_ecs_task_sd *sd)
{
    line_duration(out, level, "targets from this ECS task, every", sd->refresh_ms);
    line_text(out, level + 1, "port from docker label", sd->port_label);
    for (uint32_t i = 0; i < sd->n_containers; i++) {
        line_text(out, level + 1, "containers", regex_pattern(sd->containers[i].name));
        for (uint32_t k = 0; k < sd->containers[i].ports.n; k++)
            line_limit(out, level + 2, "port", sd->containers[i].ports.v[k]);
    }
}

static void print_cloudmap_sd(struct buf *out, int level, const struct plan_cloudmap_sd *sd)
{
    static const char *const health[] = {
        [CLOUDMAP_ALL] = "ALL",
        [CLOUDMAP_HEALTHY] = "HEALTHY",
        [CLOUDMAP_UNHEALTHY] = "UNHEALTHY",
        [CLOUDMAP_HEALTHY_OR_ALL] = "HEALTHY_OR_ELSE_ALL",
    };
    line_duration(out, level, "targets from Cloud Map, every", sd->refresh_ms);
    print_aws(out, level + 1, &sd->aws);
    for (uint32_t i = 0; i < sd->n_namespaces; i++)
        line_text(out, level + 1, "namespace", sd->namespaces[i]);
    if (sd->discover)
        line_text(out, level + 1, "health_status", str_c(health[sd->health]));
}

static void print_discovery(struct buf *out, int level, const struct plan_discovery *d)
{
    for (uint32_t i = 0; i < d->n_static; i++)
        print_static(out, level, &d->static_groups[i]);
    for (uint32_t i = 0; i < d->n_file_sd; i++) {
        line_duration(out, level, "targets from files, every", d->file_sd[i].refresh_ms);
        print_list(out, level + 1, d->file_sd[i].files, d->file_sd[i].n_files);
    }
    for (uint32_t i = 0; i < d->n_http_sd; i++)
        print_http_sd(out, level, &d->http_sd[i]);
    for (uint32_t i = 0; i < d->n_dns_sd; i++)
        print_dns_sd(out, level, &d->dns_sd[i]);
    for (uint32_t i = 0; i < d->n_aws_sd; i++)
        print_aws_sd(out, level, &d->aws_sd[i]);
    for (uint32_t i = 0; i < d->n_ecs_task_sd; i++)
        print_ecs_task_sd(out, level, &d->ecs_task_sd[i]);
    for (uint32_t i = 0; i < d->n_cloudmap_sd; i++)
        print_cloudmap_sd(out, level, &d->cloudmap_sd[i]);
}

static void line_flag(struct buf *out, int level, const char *key, bool on)
{
    if (on)
        line_text(out, level, key, STR("true"));
}

static void print_histograms(struct buf *out, const struct plan_scrape *s)
{
    line_flag(out, 1, "scrape_native_histograms", s->scrape_native_histograms);
    line_flag(out, 1, "always_scrape_classic_histograms", s->always_scrape_classic_histograms);
    line_flag(out, 1, "convert_classic_histograms_to_nhcb", s->convert_classic_histograms_to_nhcb);
    line_limit(out, 1, "native_histogram_bucket_limit", s->native_histogram_bucket_limit);
    if (s->native_histogram_min_bucket_factor != 0) {
        indent(out, 1);
        buf_printf(out, "native_histogram_min_bucket_factor: %g\n", s->native_histogram_min_bucket_factor);
    }
}

static void print_scrape(struct buf *out, const struct plan_scrape *s)
{
    buf_c(out, "scrape ");
    buf_quote(out, s->job_name);
    buf_printf(out, " (%.*s:%u)\n", STR_ARGS(s->file), s->line);
    if (s->pipeline)
        line_limit(out, 1, "pipeline", s->pipeline);
    line_duration(out, 1, "every", s->interval_ms);
    line_duration(out, 1, "timeout", s->timeout_ms);
    indent(out, 1);
    buf_printf(out, "url: %.*s://<address>%.*s\n", STR_ARGS(s->scheme), STR_ARGS(s->metrics_path));
    indent(out, 1);
    buf_c(out, "formats:");
    for (uint32_t i = 0; i < s->n_protocols; i++)
        buf_printf(out, " %s", protocol_names[s->protocols[i]]);
    buf_char(out, '\n');
    if (s->fallback_protocol != PROTOCOL_NONE)
        line_text(out, 1, "fallback format", str_c(protocol_names[s->fallback_protocol]));
    line_flag(out, 1, "honor_labels", s->honor_labels);
    if (!s->honor_timestamps)
        line_text(out, 1, "honor_timestamps", STR("false"));
    line_limit(out, 1, "body_size_limit", s->body_size_limit);
    line_limit(out, 1, "sample_limit", s->sample_limit);
    line_limit(out, 1, "target_limit", s->target_limit);
    line_limit(out, 1, "label_limit", s->label_limit);
    line_limit(out, 1, "label_name_length_limit", s->label_name_length_limit);
    line_limit(out, 1, "label_value_length_limit", s->label_value_length_limit);
    line_limit(out, 1, "series_limit", s->series_limit);
    print_histograms(out, s);
    if (s->scrape_failure_log_file.n)
        line_text(out, 1, "failures are written to", s->scrape_failure_log_file);
    print_http(out, 1, &s->http);
    print_discovery(out, 1, &s->discovery);
    print_rules(out, 1, "relabel targets", s->relabel);
    print_rules(out, 1, "relabel metrics", s->metric_relabel);
}

static void print_remote_write(struct buf *out, const struct plan_remote_write *w)
{
    buf_c(out, "remote write ");
    buf_quote(out, w->name);
    buf_c(out, " -> ");
    print_url(out, w->url);
    buf_char(out, '\n');
    line_text(out, 1, "message",
              w->message == REMOTE_WRITE_2 ? STR("io.prometheus.write.v2.Request") : STR("prometheus.WriteRequest"));
    line_flag(out, 1, "send_exemplars", w->send_exemplars);
    line_flag(out, 1, "send_native_histograms", w->send_native_histograms);
    line_flag(out, 1, "round_robin_dns", w->round_robin_dns);
    if (w->sigv4) {
        line_text(out, 1, "signed", STR("AWS Signature Version 4"));
        print_aws(out, 2, w->sigv4);
    }
    line_duration(out, 1, "timeout", w->remote_timeout_ms);
    indent(out, 1);
    buf_printf(out, "batch: %u samples, at most ", w->queue.max_samples_per_send);
    units_print_duration(out, w->queue.batch_send_deadline_ms);
    buf_char(out, '\n');
    indent(out, 1);
    buf_c(out, "retry: after ");
    units_print_duration(out, w->queue.min_backoff_ms);
    buf_c(out, " to ");
    units_print_duration(out, w->queue.max_backoff_ms);
    buf_c(out, w->queue.retry_on_http_429 ? ", also on 429\n" : ", not on 429\n");
    if (w->queue.sample_age_limit_ms)
        line_duration(out, 1, "samples older than this are dropped", w->queue.sample_age_limit_ms);
    if (w->metadata_send)
        line_duration(out, 1, "metadata every", w->metadata_interval_ms);
    print_http(out, 1, &w->http);
    print_rules(out, 1, "relabel", w->write_relabel);
}

/* ---- CloudWatch ---- */

static void print_names(struct buf *out, const struct str *v, uint32_t n)
{
    buf_char(out, '[');
    for (uint32_t i = 0; i < n; i++) {
        buf_c(out, i ? ", " : "");
        buf_str(out, v[i]);
    }
    buf_char(out, ']');
}

static void line_names(struct buf *out, int level, const char *key, const struct str *v, uint32_t n)
{
    indent(out, level);
    buf_printf(out, "%s ", key);
    print_names(out, v, n);
    buf_char(out, '\n');
}

static void print_declaration(struct buf *out, int level, const struct plan_emf_declaration *d)
{
    indent(out, level);
    buf_printf(out, "declaration (line %u): ", d->line);
    print_names(out, d->source_labels, d->n_source_labels);
    buf_c(out, " =~ ");
    buf_quote(out, d->label_matcher_text);
    buf_char(out, '\n');
    for (uint32_t i = 0; i < d->n_selectors; i++) {
        indent(out, level + 1);
        buf_c(out, "metrics =~ ");
        buf_quote(out, d->selector_texts[i]);
        buf_char(out, '\n');
    }
    for (uint32_t i = 0; i < d->n_dimensions; i++)
        line_names(out, level + 1, "dimensions", d->dimensions[i].names, d->dimensions[i].n);
}

static void print_emf_ours(struct buf *out, int level, const struct plan_emf *e)
{
    static const char *const histograms[] = {
        [EMF_HISTOGRAMS_NONE] = "", [EMF_HISTOGRAMS_SUM_COUNT] = "sum and count", [EMF_HISTOGRAMS_BUCKETS] = "buckets"};

    if (e->version_1)
        line_text(out, level, "events", STR("version 1, with _aws"));
    if (e->histograms != EMF_HISTOGRAMS_NONE)
        line_text(out, level, "histograms", str_c(histograms[e->histograms]));
    line_flag(out, level, "untyped metrics are gauges", e->untyped_as_gauge);
    line_flag(out, level, "first values of counters", e->first_values);
    line_flag(out, level, "what no declaration selects is dropped", e->drop_unselected);
    line_flag(out, level, "storage resolution of 1 s", e->high_resolution);
    line_limit(out, level, "unique metrics of a declaration", e->max_metrics);
}

static void print_emf(struct buf *out, int level, const struct plan_emf *e)
{
    if (e->log_group.n)
        line_text(out, level, "log group", e->log_group);
    if (e->log_stream.n)
        line_text(out, level, "log stream", e->log_stream);
    line_text(out, level, "namespace", e->name_space);
    if (e->cluster_name.n)
        line_text(out, level, "ClusterName where there is none", e->cluster_name);
    if (e->host.n)
        line_text(out, level, "host", e->host);
    line_flag(out, level, "disable_metric_extraction", e->no_directives);
    print_emf_ours(out, level, e);
    for (uint32_t i = 0; i < e->n_units; i++) {
        indent(out, level);
        buf_printf(out, "unit of %.*s: %.*s\n", STR_ARGS(e->units[i].metric), STR_ARGS(e->units[i].unit));
    }
    for (uint32_t i = 0; i < e->n_declarations; i++)
        print_declaration(out, level, &e->declarations[i]);
}

static void print_cloudwatch(struct buf *out, const struct plan_cloudwatch *c)
{
    buf_printf(out, "CloudWatch %.*s (%s)\n", STR_ARGS(c->name),
               c->kind == CLOUDWATCH_LOGS ? "PutLogEvents" : "PutMetricData");
    print_aws(out, 1, &c->aws);
    line_flag(out, 1, "dual stack", c->dual_stack && !c->aws.dual_stack);
    line_duration(out, 1, "sent after at most", c->flush_ms);
    if (c->retention_days)
        line_limit(out, 1, "retention of new groups in days", (uint64_t)c->retention_days);
    if (c->name_space.n)
        line_text(out, 1, "namespace of pushed data", c->name_space);
    for (uint32_t i = 0; i < c->n_rollups; i++)
        line_names(out, 1, "also by", c->rollups[i].names, c->rollups[i].n);
    if (c->n_drop_original)
        line_names(out, 1, "only so", c->drop_original, c->n_drop_original);
    if (c->emf) {
        line_text(out, 1, "what is scraped", STR("as follows"));
        print_emf(out, 2, c->emf);
    }
}

static void print_matches(struct buf *out, const char *what, const struct plan_ecs_match *v, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        indent(out, 1);
        buf_printf(out, "%s =~ ", what);
        buf_quote(out, v[i].pattern_text);
        for (uint32_t k = 0; k < v[i].ports.n; k++)
            buf_printf(out, " :%u", v[i].ports.v[k]);
        if (v[i].metrics_path.n)
            buf_printf(out, " %.*s", STR_ARGS(v[i].metrics_path));
        if (v[i].job_name.n)
            buf_printf(out, " as job %.*s", STR_ARGS(v[i].job_name));
        buf_char(out, '\n');
    }
}

static void print_ecs_agent(struct buf *out, const struct plan_ecs_agent_sd *sd)
{
    buf_c(out, "discovery on ECS, every ");
    units_print_duration(out, sd->frequency_ms);
    buf_char(out, '\n');
    line_text(out, 1, "result file", sd->result_file);
    for (uint32_t i = 0; i < sd->n_clusters; i++) {
        line_text(out, 1, "cluster", sd->clusters[i].name);
        print_aws(out, 2, &sd->clusters[i].aws);
    }
    if (sd->by_docker_label)
        line_text(out, 1, "port from docker label", sd->port_label);
    print_matches(out, "task definitions", sd->definitions, sd->n_definitions);
    print_matches(out, "services", sd->services, sd->n_services);
}

static void print_statsd(struct buf *out, const struct plan_statsd *s)
{
    line_text(out, 0, "StatsD on", s->address);
    line_duration(out, 1, "collected every", s->collection_ms);
    line_duration(out, 1, "aggregated over", s->aggregation_ms);
    line_limit(out, 1, "pending datagrams", s->pending);
    line_text(out, 1, "separator", s->separator);
    if (s->host.n)
        line_text(out, 1, "host", s->host);
    line_flag(out, 1, "exact values", s->exact_values);
}

static void print_emf_input(struct buf *out, const struct plan_emf_input *e)
{
    buf_c(out, "EMF events\n");
    if (e->tcp.n)
        line_text(out, 1, "tcp", e->tcp);
    if (e->udp.n)
        line_text(out, 1, "udp", e->udp);
    line_text(out, 1, "log group of events without one", e->log_group.n ? e->log_group : STR("none: they are dropped"));
    line_text(out, 1, "log stream of events without one", e->log_stream);
    if (e->shadow_group.n)
        line_text(out, 1, "all go to log group", e->shadow_group);
}

void plan_print(const struct plan *p, struct buf *out)
{
    buf_c(out, "external labels ");
    print_label_set(out, p->external_labels);
    buf_char(out, '\n');
    for (uint32_t i = 0; i < p->n_scrapes; i++)
        print_scrape(out, &p->scrapes[i]);
    if (p->ecs_agent)
        print_ecs_agent(out, p->ecs_agent);
    if (p->statsd)
        print_statsd(out, p->statsd);
    if (p->emf_input)
        print_emf_input(out, p->emf_input);
    for (uint32_t i = 0; i < p->n_cloudwatch; i++)
        print_cloudwatch(out, &p->cloudwatch[i]);
    for (uint32_t i = 0; i < p->n_remote_writes; i++)
        print_remote_write(out, &p->remote_writes[i]);
    for (uint32_t i = 0; i < p->n_warnings; i++)
        line_text(out, 0, "warning", p->warnings[i]);
}

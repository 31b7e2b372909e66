/* prometheus_scrape: one element of scrape_configs.
 *
 * Zero means unset for intervals and limits, and an unset one takes the global value; so do the three-valued switches.
 * Name validation and escaping depend on each other:
 *
 *   validation  own, else global, else utf8
 *   escaping    own; else, if the validation is the job's own, underscores for legacy and allow-utf-8 for utf8;
 *               else the global one, which defaults to underscores for legacy and allow-utf-8 for utf8
 *
 * and allow-utf-8 with legacy validation is an error. The protocols are a list of names in order of preference; where
 * none is given, native histograms put the protobuf first. A format that leadline does not have among others is left
 * out, since the target then answers with the next one, and one that stands alone is refused.
 */
#include "base/buf.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/num.h"
#include "config/prometheus_int.h"

struct scrape_draft {
    struct plan_scrape s;
    struct http_draft http;
    struct discovery_nodes discovery;
    struct node *params, *protocols, *fallback, *relabel, *metric_relabel;
    struct str validation, escaping;
    int8_t extra_scrape_metrics;
    int8_t native, always_classic, convert_classic; /* -1: as the global section says */
};

/* ---- protocols ---- */

static const struct {
    const char *name;
    enum scrape_protocol protocol; /* PROTOCOL_NONE: known to the original only */
} protocol_names[] = {
    {"OpenMetricsText0.0.1", PROTOCOL_OPENMETRICS_0_0_1},
    {"OpenMetricsText1.0.0", PROTOCOL_OPENMETRICS_1_0_0},
    {"OpenMetricsText2.0.0", PROTOCOL_NONE},
    {"PrometheusProto", PROTOCOL_PROTO},
    {"PrometheusText0.0.4", PROTOCOL_TEXT_0_0_4},
    {"PrometheusText1.0.0", PROTOCOL_TEXT_1_0_0},
};

#define PROTOCOL_LIST                                                                                                  \
    "[OpenMetricsText0.0.1 OpenMetricsText1.0.0 OpenMetricsText2.0.0 PrometheusProto PrometheusText0.0.4 "             \
    "PrometheusText1.0.0]"

static int find_protocol(struct str name)
{
    for (size_t i = 0; i < COUNT_OF(protocol_names); i++) {
        if (str_eq_c(name, protocol_names[i].name))
            return (int)i;
    }
    return -1;
}

static bool does_protocol(int i)
{
    return protocol_names[i].protocol != PROTOCOL_NONE;
}

/* Checks the names; false when the list cannot be used. */
static bool check_protocols(struct reader *r, const struct node *list, const struct str *names, uint32_t n,
                            const char *where)
{
    bool ok = true;
    if (n == 0) {
        reader_error_key(r, list, NULL, ERR_SYNTAX, "scrape_protocols cannot be empty for %s", where);
        return false;
    }
    const struct node *e = list->first;
    for (uint32_t i = 0; i < n; i++, e = e->next) {
        bool twice = false;
        for (uint32_t k = 0; k < i && !twice && i < 16; k++)
            twice = str_eq_nocase(names[i], names[k]);
        if (twice)
            reader_error(r, e, ERR_SYNTAX, "duplicated protocol in scrape_protocols, got %s for %s",
                         reader_quote(r, names[i]), where);
        else if (find_protocol(names[i]) < 0)
            reader_error(r, e, ERR_SYNTAX,
                         "scrape_protocols: unknown scrape protocol %s, supported: " PROTOCOL_LIST " for %s",
                         reader_quote(r, names[i]), where);
        else
            continue;
        ok = false;
        if (i >= 16) /* more than there are: the rest would only repeat itself */
            break;
    }
    return ok;
}

static void default_protocols(const struct reader *r, struct plan_scrape *s)
{
    static const enum scrape_protocol defaults[] = {PROTOCOL_PROTO, PROTOCOL_OPENMETRICS_1_0_0,
                                                    PROTOCOL_OPENMETRICS_0_0_1, PROTOCOL_TEXT_1_0_0,
                                                    PROTOCOL_TEXT_0_0_4};
    uint32_t from = s->scrape_native_histograms || r->options->protobuf_first ? 0 : 1;
    s->n_protocols = COUNT_OF(defaults) - from;
    memcpy(s->protocols, defaults + from, s->n_protocols * sizeof(defaults[0]));
}

/* Of a list whose names are good: what leadline reads of it, with a word about the rest. */
static uint32_t choose_protocols(struct reader *r, const struct node *list, const struct str *names, uint32_t n,
                                 enum scrape_protocol out[5])
{
    uint32_t chosen = 0;
    const struct node *e = list->first;
    for (uint32_t i = 0; i < n; i++, e = e->next) {
        int k = find_protocol(names[i]);
        if (does_protocol(k))
            out[chosen++] = protocol_names[k].protocol;
        else
            reader_warn(r, e, "scrape_protocols: %s is not offered to targets: leadline does not read it",
                        protocol_names[k].name);
    }
    if (chosen == 0)
        reader_error_key(r, list, NULL, ERR_UNSUPPORTED,
                         "scrape_protocols: not supported by leadline: none of these is a format that it reads; add "
                         "PrometheusProto, OpenMetricsText1.0.0, OpenMetricsText0.0.1, PrometheusText1.0.0 or "
                         "PrometheusText0.0.4");
    return chosen;
}

uint32_t scrape_protocols_read(struct reader *r, struct node *list, const char *where, enum scrape_protocol out[5])
{
    struct str *names;
    uint32_t n;
    if (!reader_strings(r, list, "[]config.ScrapeProtocol", &names, &n) || !check_protocols(r, list, names, n, where))
        return 0;
    return choose_protocols(r, list, names, n, out);
}

static void set_protocols(struct reader *r, struct node *own, const struct global *g, struct plan_scrape *s)
{
    if (own) {
        const char *where = arena_printf(r->tree, "scrape config with job name %s", reader_quote(r, s->job_name));
        s->n_protocols = scrape_protocols_read(r, own, where, s->protocols);
    } else if (g->n_protocols) {
        memcpy(s->protocols, g->protocols, sizeof(s->protocols));
        s->n_protocols = g->n_protocols;
    } else {
        default_protocols(r, s);
    }
}

static void set_fallback(struct reader *r, struct node *n, struct plan_scrape *s)
{
    struct str name;
    s->fallback_protocol = r->inside ? PROTOCOL_TEXT_0_0_4 : PROTOCOL_NONE;
    if (!n || !reader_string(r, n, &name) || name.n == 0)
        return;
    int k = find_protocol(name);
    if (k < 0)
        reader_error(r, n, ERR_SYNTAX,
                     "invalid fallback_scrape_protocol for scrape config with job name %s: unknown scrape protocol %s, "
                     "supported: " PROTOCOL_LIST,
                     reader_quote(r, s->job_name), reader_quote(r, name));
    else if (!does_protocol(k))
        reader_error(r, n, ERR_UNSUPPORTED,
                     "fallback_scrape_protocol: not supported by leadline: it does not read %s; take "
                     "OpenMetricsText1.0.0",
                     protocol_names[k].name);
    else
        s->fallback_protocol = protocol_names[k].protocol;
}

/* ---- names ---- */

bool scrape_validation(struct reader *r, struct node *n, struct str *out)
{
    struct str s;
    if (!reader_string(r, n, &s))
        return false;
    if (s.n && !str_eq_c(s, "utf8") && !str_eq_c(s, "legacy")) {
        reader_error(r, n, ERR_SYNTAX, "metric_name_validation_scheme: unrecognized ValidationScheme: %s",
                     reader_quote(r, s));
        return false;
    }
    *out = s;
    return true;
}

static void read_validation(struct reader *r, struct node *n, void *out)
{
    scrape_validation(r, n, out);
}

static bool find_escaping(struct str name, enum name_escaping *out)
{
    static const char *const names[] = {
        [ESCAPE_ALLOW_UTF8] = "allow-utf-8",
        [ESCAPE_UNDERSCORES] = "underscores",
        [ESCAPE_DOTS] = "dots",
        [ESCAPE_VALUES] = "values",
    };
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (str_eq_c(name, names[i])) {
            *out = (enum name_escaping)i;
            return true;
        }
    }
    return false;
}

#define ESCAPING_LIST "must be one of 'allow-utf-8', 'underscores', 'dots', or 'values', got"

static void set_names(struct reader *r, const struct node *n, struct scrape_draft *d, const struct global *g)
{
    struct plan_scrape *s = &d->s;
    bool global_legacy = str_eq_c(g->validation, "legacy");
    bool legacy = d->validation.n ? str_eq_c(d->validation, "legacy") : global_legacy;
    s->name_validation = legacy ? NAMES_LEGACY : NAMES_UTF8;
    enum name_escaping global = global_legacy ? ESCAPE_UNDERSCORES : ESCAPE_ALLOW_UTF8;
    if (g->escaping.n && !find_escaping(g->escaping, &global))
        return; /* reported with the global section */
    if (d->escaping.n == 0)
        s->name_escaping = !d->validation.n ? global : legacy ? ESCAPE_UNDERSCORES : ESCAPE_ALLOW_UTF8;
    else if (!find_escaping(d->escaping, &s->name_escaping)) {
        reader_error_key(r, n, "metric_name_escaping_scheme", ERR_SYNTAX,
                         "unknown scrape config name escaping method specified, " ESCAPING_LIST " %s",
                         reader_quote(r, d->escaping));
        return;
    }
    if (s->name_escaping == ESCAPE_ALLOW_UTF8 && legacy)
        reader_error_key(r, n, d->escaping.n ? "metric_name_escaping_scheme" : "metric_name_validation_scheme",
                         ERR_SYNTAX, "utf8 metric names requested but validation scheme is not set to UTF8");
}

/* ---- the section ---- */

static void read_params(struct reader *r, struct node *n, void *out)
{
    struct plan_scrape *s = out;
    if (reader_is_null(n))
        return;
    if (n->kind != NODE_MAPPING) {
        reader_type_error(r, n, "url.Values");
        return;
    }
    s->params = ARENA_ARRAY(r->arena, struct plan_param, n->n + 1);
    for (struct node *c = n->first; c; c = c->next) {
        struct plan_param *p = &s->params[s->n_params++];
        p->name = str_dup(r->arena, c->key);
        reader_strings(r, c, "[]string", &p->values, &p->n_values);
    }
}

#define PLAN(name)  offsetof(struct scrape_draft, s.name)
#define DRAFT(name) offsetof(struct scrape_draft, name)

static const struct field scrape_fields[] = {
    {.key = "job_name", .kind = FIELD_STRING, .offset = PLAN(job_name)},
    {.key = "honor_labels", .kind = FIELD_BOOL, .offset = PLAN(honor_labels)},
    {.key = "honor_timestamps", .kind = FIELD_BOOL, .offset = PLAN(honor_timestamps)},
    {.key = "track_timestamps_staleness", .kind = FIELD_BOOL, .offset = PLAN(track_timestamps_staleness)},
    {.key = "params", .kind = FIELD_CALL, .fn = read_params, .offset = DRAFT(s)},
    {.key = "scrape_interval", .kind = FIELD_DURATION, .offset = PLAN(interval_ms)},
    {.key = "scrape_timeout", .kind = FIELD_DURATION, .offset = PLAN(timeout_ms)},
    {.key = "scrape_protocols", .kind = FIELD_NODE, .offset = DRAFT(protocols)},
    {.key = "fallback_scrape_protocol", .kind = FIELD_NODE, .offset = DRAFT(fallback)},
    {.key = "scrape_native_histograms", .kind = FIELD_TRISTATE, .offset = DRAFT(native)},
    {.key = "always_scrape_classic_histograms", .kind = FIELD_TRISTATE, .offset = DRAFT(always_classic)},
    {.key = "convert_classic_histograms_to_nhcb", .kind = FIELD_TRISTATE, .offset = DRAFT(convert_classic)},
    {.key = "scrape_failure_log_file", .kind = FIELD_PATH, .offset = PLAN(scrape_failure_log_file)},
    {.key = "metrics_path", .kind = FIELD_STRING, .offset = PLAN(metrics_path)},
    {.key = "scheme", .kind = FIELD_STRING, .offset = PLAN(scheme)},
    {.key = "enable_compression", .kind = FIELD_BOOL, .offset = PLAN(enable_compression)},
    {.key = "body_size_limit", .kind = FIELD_SIZE, .offset = PLAN(body_size_limit)},
    {.key = "sample_limit", .kind = FIELD_UINT, .offset = PLAN(sample_limit)},
    {.key = "target_limit", .kind = FIELD_UINT, .offset = PLAN(target_limit)},
    {.key = "label_limit", .kind = FIELD_UINT, .offset = PLAN(label_limit)},
    {.key = "label_name_length_limit", .kind = FIELD_UINT, .offset = PLAN(label_name_length_limit)},
    {.key = "label_value_length_limit", .kind = FIELD_UINT, .offset = PLAN(label_value_length_limit)},
    {.key = "native_histogram_bucket_limit", .kind = FIELD_UINT, .offset = PLAN(native_histogram_bucket_limit)},
    {.key = "native_histogram_min_bucket_factor",
     .kind = FIELD_FLOAT,
     .offset = PLAN(native_histogram_min_bucket_factor)},
    {.key = "series_limit", .kind = FIELD_UINT, .offset = PLAN(series_limit)},
    {.key = "keep_dropped_targets", .kind = FIELD_UINT, .offset = PLAN(keep_dropped_targets)},
    {.key = "metric_name_validation_scheme", .kind = FIELD_CALL, .fn = read_validation, .offset = DRAFT(validation)},
    {.key = "metric_name_escaping_scheme", .kind = FIELD_STRING, .offset = DRAFT(escaping)},
    {.key = "extra_scrape_metrics", .kind = FIELD_TRISTATE, .offset = DRAFT(extra_scrape_metrics)},
    {.key = "relabel_configs", .kind = FIELD_NODE, .offset = DRAFT(relabel)},
    {.key = "metric_relabel_configs", .kind = FIELD_NODE, .offset = DRAFT(metric_relabel)},
    {.kind = FIELD_INLINE, .schema = &http_schema, .offset = DRAFT(http)},
    {.kind = FIELD_INLINE, .schema = &discovery_schema, .offset = DRAFT(discovery)},
};
static const struct schema scrape_schema = SCHEMA("config.ScrapeConfig", scrape_fields);

static void inherit(uint64_t *limit, uint64_t global)
{
    if (*limit == 0)
        *limit = global;
}

static void set_intervals(struct reader *r, const struct node *n, struct plan_scrape *s, const struct global *g)
{
    if (s->interval_ms == 0)
        s->interval_ms = g->scrape_interval_ms;
    if (s->timeout_ms > s->interval_ms) {
        reader_error_key(r, n, "scrape_timeout", ERR_SYNTAX,
                         "scrape timeout greater than scrape interval for scrape config with job name %s",
                         reader_quote(r, s->job_name));
        return;
    }
    if (s->timeout_ms == 0)
        s->timeout_ms = g->scrape_timeout_ms < s->interval_ms ? g->scrape_timeout_ms : s->interval_ms;
}

static void set_limits(struct plan_scrape *s, const struct global *g)
{
    inherit(&s->body_size_limit, g->body_size_limit);
    inherit(&s->sample_limit, g->sample_limit);
    inherit(&s->target_limit, g->target_limit);
    inherit(&s->label_limit, g->label_limit);
    inherit(&s->label_name_length_limit, g->label_name_length_limit);
    inherit(&s->label_value_length_limit, g->label_value_length_limit);
    inherit(&s->keep_dropped_targets, g->keep_dropped_targets);
    if (s->body_size_limit == UINT64_MAX)
        s->body_size_limit = 0;
}

static bool choose(int8_t own, bool global)
{
    return own >= 0 ? own > 0 : global;
}

static void set_switches(struct plan_scrape *s, const struct scrape_draft *d, const struct global *g)
{
    s->extra_scrape_metrics = choose(d->extra_scrape_metrics, g->extra_scrape_metrics > 0);
    s->scrape_native_histograms = choose(d->native, g->scrape_native_histograms > 0);
    s->always_scrape_classic_histograms = choose(d->always_classic, g->always_scrape_classic_histograms);
    s->convert_classic_histograms_to_nhcb = choose(d->convert_classic, g->convert_classic_histograms_to_nhcb);
    if (s->scrape_failure_log_file.n == 0)
        s->scrape_failure_log_file = g->scrape_failure_log_file;
}

static uint64_t shape_hash(const struct plan_scrape *s)
{
    AUTO_BUF b = {0};
    buf_printf(&b, "%d %d %d %d ", s->honor_labels, s->honor_timestamps, s->track_timestamps_staleness,
               (int)s->name_validation);
    buf_u64(&b, s->label_limit);
    buf_char(&b, ' ');
    buf_u64(&b, s->label_name_length_limit);
    buf_char(&b, ' ');
    buf_u64(&b, s->label_value_length_limit);
    buf_printf(&b, " %d %d %d ", s->scrape_native_histograms, s->always_scrape_classic_histograms,
               s->convert_classic_histograms_to_nhcb);
    buf_u64(&b, s->native_histogram_bucket_limit);
    buf_printf(&b, " %.17g\n", s->native_histogram_min_bucket_factor);
    relabel_print(s->metric_relabel, &b);
    return hash_bytes(buf_view(&b));
}

static bool has_rules(const struct node *n)
{
    return n && n->kind == NODE_SEQUENCE && n->n > 0;
}

bool scrape_read(struct reader *r, struct node *n, const struct global *g, struct plan_scrape *out)
{
    struct scrape_draft d = {
        .s = {.honor_timestamps = true,
              .enable_compression = true,
              .metrics_path = STR("/metrics"),
              .scheme = STR("http"),
              .job_name = STR(""),
              .scrape_failure_log_file = STR(""),
              .file = str_dup(r->arena, str_c(r->file)),
              .line = n->line,
              .pipeline = r->inside ? r->inside->pipeline : 0},
        .extra_scrape_metrics = -1,
        .native = -1,
        .always_classic = -1,
        .convert_classic = -1,
    };
    struct plan_scrape *s = &d.s;
    http_draft_init(&d.http, true);
    if (reader_is_null(n)) {
        reader_error(r, n, ERR_SYNTAX, "empty or null scrape config section");
        return false;
    }
    uint32_t before = r->errors->n;
    if (!reader_mapping(r, n, &scrape_schema, &d))
        return false;
    bool fields_ok = r->errors->n == before;
    if (fields_ok && s->job_name.n == 0)
        reader_error_key(r, n, "job_name", ERR_SYNTAX, "job_name is empty");
    if (fields_ok) {
        http_draft_finish(r, n, &d.http, &s->http);
        set_intervals(r, n, s, g);
        set_names(r, n, &d, g);
    }
    set_switches(s, &d, g);
    set_protocols(r, d.protocols, g, s);
    set_fallback(r, d.fallback, s);
    set_limits(s, g);
    bool legacy = s->name_validation == NAMES_LEGACY;
    s->relabel = relabel_read(r, d.relabel, legacy, "target relabeling rule in scrape config");
    s->relabel = relabel_add_shard(r, s->relabel, n);
    s->metric_relabel = relabel_read(r, d.metric_relabel, legacy, "metric relabeling rule in scrape config");
    discovery_read(r, &d.discovery, !has_rules(d.relabel), s->job_name, &s->discovery);
    s->shape_hash = shape_hash(s);
    *out = *s;
    return true;
}

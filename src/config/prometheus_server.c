/* prometheus_server: the sections that only a server uses, and `runtime`.
 *
 *   storage, tracing, otlp    read as strictly as the original reads them, then unused: a warning each
 *   remote_read               the same without --agent, so that the file of a server starts; with it refused in the
 *                             original's words
 *   alerting, rule_files      refused unless empty: what they ask for, alerts and recorded series, would be missing
 *                             without a word
 *   runtime                   about the Go runtime and its log: a warning for each key
 *
 * Nothing of this reaches the plan but the warnings, and what is secret in it is hidden in the printed configuration.
 */
#include "base/buf.h"
#include "base/mem.h"
#include "config/prometheus_int.h"

/* ---- fields of a request ---- */

static const char *const reserved[] = {
    "host",
    "content-encoding",
    "content-length",
    "content-type",
    "user-agent",
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "www-authenticate",
    "accept-encoding",
    "x-prometheus-remote-write-version",
    "x-prometheus-remote-read-version",
    "x-amz-date",
    "x-amz-security-token",
    "x-amz-content-sha256",
};

static void check_header(struct reader *r, const struct node *n, const char *authorization)
{
    if (str_eq_nocase(n->key, STR("authorization"))) {
        reader_error_key(r, n, NULL, ERR_SYNTAX, "%s", authorization);
        return;
    }
    for (size_t i = 0; i < COUNT_OF(reserved); i++) {
        if (str_eq_nocase(n->key, str_c(reserved[i])))
            reader_error_key(r, n, NULL, ERR_SYNTAX, "%.*s is a reserved header. It must not be changed",
                             STR_ARGS(n->key));
    }
}

static void read_headers(struct reader *r, struct node *n, const char *authorization, struct http_options *o)
{
    if (!n)
        return;
    if (n->kind != NODE_MAPPING) {
        reader_type_error(r, n, "map[string]string");
        return;
    }
    for (struct node *c = n->first; c; c = c->next) {
        struct str value;
        check_header(r, c, authorization);
        if (reader_string(r, c, &value) && o)
            http_add_header(r, o, str_dup(r->arena, c->key), value, false);
    }
}

void request_headers_read(struct reader *r, struct node *n, struct http_options *options)
{
    read_headers(r, n,
                 "authorization header must be changed via the basic_auth, authorization, oauth2, sigv4, azuread or "
                 "google_iam parameter",
                 options);
}

/* ---- storage ---- */

struct storage_draft {
    int64_t out_of_order_ms, max_exemplars, time_ms;
    uint64_t size;
    double stale_threshold, percentage;
    struct node *tsdb, *exemplars, *chunks, *retention;
    struct str floats;
};

#define STORAGE(name) offsetof(struct storage_draft, name)

static const struct field retention_fields[] = {
    {.key = "time", .kind = FIELD_DURATION, .offset = STORAGE(time_ms)},
    {.key = "size", .kind = FIELD_SIZE, .offset = STORAGE(size)},
    {.key = "percentage", .kind = FIELD_FLOAT, .offset = STORAGE(percentage)},
};
static const struct schema retention_schema = SCHEMA("config.plain", retention_fields);

static const struct field chunk_fields[] = {{.key = "floats", .kind = FIELD_STRING, .offset = STORAGE(floats)}};
static const struct schema chunk_schema = SCHEMA("config.ChunkEncodingConfig", chunk_fields);

static const struct field tsdb_fields[] = {
    {.key = "out_of_order_time_window", .kind = FIELD_DURATION, .offset = STORAGE(out_of_order_ms)},
    {.key = "stale_series_compaction_threshold", .kind = FIELD_FLOAT, .offset = STORAGE(stale_threshold)},
    {.key = "chunk_encoding", .kind = FIELD_NODE, .offset = STORAGE(chunks)},
    {.key = "retention", .kind = FIELD_NODE, .offset = STORAGE(retention)},
};
static const struct schema tsdb_schema = SCHEMA("config.plain", tsdb_fields);

static const struct field exemplar_fields[] = {
    {.key = "max_exemplars", .kind = FIELD_INT, .offset = STORAGE(max_exemplars)},
};
static const struct schema exemplar_schema = SCHEMA("config.ExemplarsConfig", exemplar_fields);

static const struct field storage_fields[] = {
    {.key = "tsdb", .kind = FIELD_NODE, .offset = STORAGE(tsdb)},
    {.key = "exemplars", .kind = FIELD_NODE, .offset = STORAGE(exemplars)},
};
static const struct schema storage_schema = SCHEMA("config.StorageConfig", storage_fields);

static void read_retention(struct reader *r, struct node *n, struct storage_draft *d)
{
    if (!n || !reader_mapping(r, n, &retention_schema, d))
        return;
    if (d->size == UINT64_MAX)
        reader_error_key(r, n, "size", ERR_SYNTAX, "'storage.tsdb.retention.size' must be greater than or equal to 0");
    if (d->percentage < 0 || d->percentage > 100)
        reader_error_key(r, n, "percentage", ERR_SYNTAX,
                         "'storage.tsdb.retention.percentage' must be in the range [0, 100], got %g", d->percentage);
}

static void read_storage(struct reader *r, struct node *n)
{
    struct storage_draft d = {.floats = STR("")};
    if (!n || !reader_mapping(r, n, &storage_schema, &d))
        return;
    if (d.tsdb)
        reader_mapping(r, d.tsdb, &tsdb_schema, &d);
    if (d.exemplars)
        reader_mapping(r, d.exemplars, &exemplar_schema, &d);
    if (d.chunks)
        reader_mapping(r, d.chunks, &chunk_schema, &d);
    if (d.floats.n && !str_eq_c(d.floats, "xor") && !str_eq_c(d.floats, "xor2"))
        reader_error_key(r, d.chunks, "floats", ERR_SYNTAX,
                         "'storage.tsdb.chunk_encoding.floats' must be 'xor' or 'xor2', or the field must be omitted "
                         "entirely, got %s",
                         reader_quote(r, d.floats));
    read_retention(r, d.retention, &d);
    if (n->n)
        reader_warn(r, n,
                    "storage has no effect: nothing is kept but what waits to be sent; its limits are "
                    "--spool.max-bytes and --spool.max-age");
}

/* ---- tracing ---- */

struct tracing_draft {
    struct str client_type, endpoint, compression;
    double fraction;
    bool insecure;
    int64_t timeout_ms;
    struct tls_options tls;
    struct node *headers;
};

static void read_client_type(struct reader *r, struct node *n, void *out)
{
    struct str s;
    (void)out;
    if (reader_is_skipped(n) || !reader_string(r, n, &s))
        return;
    if (!str_eq_c(s, "http") && !str_eq_c(s, "grpc"))
        reader_error(r, n, ERR_SYNTAX, "expected tracing client type to be to be http or grpc, but got %s",
                     reader_quote(r, s));
}

#define TRACING(name) offsetof(struct tracing_draft, name)

static const struct field tracing_fields[] = {
    {.key = "client_type", .kind = FIELD_CALL, .fn = read_client_type},
    {.key = "endpoint", .kind = FIELD_STRING, .offset = TRACING(endpoint)},
    {.key = "sampling_fraction", .kind = FIELD_FLOAT, .offset = TRACING(fraction)},
    {.key = "insecure", .kind = FIELD_BOOL, .offset = TRACING(insecure)},
    {.key = "tls_config", .kind = FIELD_CALL, .fn = http_tls_read, .offset = TRACING(tls)},
    {.key = "headers", .kind = FIELD_NODE, .offset = TRACING(headers)},
    {.key = "compression", .kind = FIELD_STRING, .offset = TRACING(compression)},
    {.key = "timeout", .kind = FIELD_DURATION, .offset = TRACING(timeout_ms)},
};
static const struct schema tracing_schema = SCHEMA("config.plain", tracing_fields);

static void read_tracing(struct reader *r, struct node *n, void *out)
{
    struct tracing_draft d = {.endpoint = STR(""), .compression = STR("")};
    uint32_t before = r->errors->n;
    (void)out;
    if (reader_is_skipped(n) || !reader_mapping(r, n, &tracing_schema, &d))
        return;
    read_headers(r, d.headers, "custom authorization header configuration is not yet supported", NULL);
    if (r->errors->n > before)
        return;
    if (d.endpoint.n == 0)
        reader_error_key(r, n, "endpoint", ERR_SYNTAX, "tracing endpoint must be set");
    if (d.compression.n && !str_eq_c(d.compression, "gzip"))
        reader_error_key(r, n, "compression", ERR_SYNTAX, "invalid compression type %s provided, valid options: gzip",
                         reader_quote(r, d.compression));
    reader_warn(r, n, "tracing has no effect: leadline sends no traces of itself");
}

/* ---- otlp ---- */

struct otlp_draft {
    bool promote_all, flag;
    struct node *promote, *ignore;
    struct str strategy;
};

#define OTLP(name) offsetof(struct otlp_draft, name)

static const struct field otlp_fields[] = {
    {.key = "promote_all_resource_attributes", .kind = FIELD_BOOL, .offset = OTLP(promote_all)},
    {.key = "promote_resource_attributes", .kind = FIELD_NODE, .offset = OTLP(promote)},
    {.key = "ignore_resource_attributes", .kind = FIELD_NODE, .offset = OTLP(ignore)},
    {.key = "translation_strategy", .kind = FIELD_STRING, .offset = OTLP(strategy)},
    {.key = "keep_identifying_resource_attributes", .kind = FIELD_BOOL, .offset = OTLP(flag)},
    {.key = "convert_histograms_to_nhcb", .kind = FIELD_BOOL, .offset = OTLP(flag)},
    {.key = "promote_scope_metadata", .kind = FIELD_BOOL, .offset = OTLP(flag)},
    {.key = "label_name_underscore_sanitization", .kind = FIELD_BOOL, .offset = OTLP(flag)},
    {.key = "label_name_preserve_multiple_underscores", .kind = FIELD_BOOL, .offset = OTLP(flag)},
};
static const struct schema otlp_schema = SCHEMA("config.plain", otlp_fields);

static uint32_t read_attributes(struct reader *r, struct node *list, const char *kind, bool judge)
{
    struct str *names;
    uint32_t n = 0;
    if (!list || !reader_strings(r, list, "[]string", &names, &n))
        return 0;
    const struct node *e = n ? list->first : NULL;
    for (uint32_t i = 0; i < n && judge; i++, e = e->next) {
        struct str name = str_trim(names[i]);
        names[i] = name;
        if (name.n == 0)
            reader_error(r, e, ERR_SYNTAX, "empty %s OTel resource attribute", kind);
        for (uint32_t k = 0; k < i && k < 1000; k++) {
            if (name.n && str_eq(names[k], name)) {
                reader_error(r, e, ERR_SYNTAX, "duplicated %s OTel resource attribute %s", kind, reader_quote(r, name));
                break;
            }
        }
    }
    return n;
}

static void read_strategy(struct reader *r, const struct node *n, struct str s, bool legacy_names)
{
    bool escapes = str_eq_c(s, "UnderscoreEscapingWithSuffixes") || str_eq_c(s, "UnderscoreEscapingWithoutSuffixes");
    bool keeps = str_eq_c(s, "NoTranslation") || str_eq_c(s, "NoUTF8EscapingWithSuffixes");
    if (s.n == 0 || escapes || (keeps && !legacy_names))
        return;
    reader_error_key(r, n, "translation_strategy", ERR_SYNTAX,
                     keeps ? "OTLP translation strategy %s is not allowed when UTF8 is disabled"
                           : "unsupported OTLP translation strategy %s",
                     reader_quote(r, s));
}

static void read_otlp(struct reader *r, struct node *n, bool legacy_names)
{
    struct otlp_draft d = {.strategy = STR("")};
    uint32_t before = r->errors->n;
    if (!n || !reader_mapping(r, n, &otlp_schema, &d))
        return;
    uint32_t promoted = read_attributes(r, d.promote, "promoted", !d.promote_all);
    uint32_t ignored = read_attributes(r, d.ignore, "ignored", d.promote_all);
    if (r->errors->n > before)
        return;
    if (d.promote_all && promoted)
        reader_error_key(r, n, "promote_resource_attributes", ERR_SYNTAX,
                         "'promote_all_resource_attributes' and 'promote_resource_attributes' cannot be configured "
                         "simultaneously");
    if (!d.promote_all && ignored)
        reader_error_key(
            r, n, "ignore_resource_attributes", ERR_SYNTAX,
            "'ignore_resource_attributes' cannot be configured unless 'promote_all_resource_attributes' is "
            "true");
    read_strategy(r, n, d.strategy, legacy_names);
    if (n->n)
        reader_warn(r, n, "otlp has no effect: leadline prometheus receives no OTLP");
}

/* ---- remote_read ---- */

struct read_draft {
    struct http_draft http;
    struct node *url, *headers, *matchers;
    struct str name;
    int64_t timeout_ms;
    uint64_t chunked_limit;
    bool recent, filter_external;
};

#define READ(name) offsetof(struct read_draft, name)

static void read_read_url(struct reader *r, struct node *n, void *out)
{
    static const struct field field = {.key = "url", .kind = FIELD_URL};
    struct read_draft *d = out;
    struct str url;
    if (reader_is_skipped(n))
        return;
    d->url = n;
    reader_field(r, &field, n, &url);
}

static const struct field read_fields[] = {
    {.key = "url", .kind = FIELD_CALL, .fn = read_read_url},
    {.key = "remote_timeout", .kind = FIELD_DURATION, .offset = READ(timeout_ms)},
    {.key = "chunked_read_limit", .kind = FIELD_UINT, .offset = READ(chunked_limit)},
    {.key = "headers", .kind = FIELD_NODE, .offset = READ(headers)},
    {.key = "read_recent", .kind = FIELD_BOOL, .offset = READ(recent)},
    {.key = "name", .kind = FIELD_STRING, .offset = READ(name)},
    {.key = "required_matchers", .kind = FIELD_NODE, .offset = READ(matchers)},
    {.key = "filter_external_labels", .kind = FIELD_BOOL, .offset = READ(filter_external)},
    {.kind = FIELD_INLINE, .schema = &http_schema, .offset = READ(http)},
};
static const struct schema read_schema = SCHEMA("config.plain", read_fields);

static struct str read_one(struct reader *r, struct node *n)
{
    struct read_draft d = {.name = STR("")};
    struct http_options options;
    struct labels matchers;
    uint32_t before = r->errors->n;
    http_draft_init(&d.http, true);
    if (reader_is_null(n)) {
        reader_error(r, n, ERR_SYNTAX, "empty or null remote read config section");
        return STR_NONE;
    }
    if (!reader_mapping(r, n, &read_schema, &d))
        return STR_NONE;
    if (d.matchers)
        labels_read(r, d.matchers, true, &matchers);
    if (r->errors->n == before && !d.url)
        reader_error_key(r, n, "url", ERR_SYNTAX, "url for remote_read is empty");
    request_headers_read(r, d.headers, NULL);
    if (r->errors->n == before)
        http_draft_finish(r, n, &d.http, &options);
    return d.name;
}

static void read_remote_reads(struct reader *r, struct node *list)
{
    if (!list || !reader_sequence(r, list, "[]*config.RemoteReadConfig"))
        return;
    if (r->options->agent) {
        reader_error_key(r, list, NULL, ERR_UNSUPPORTED, "field remote_read is not allowed in agent mode");
        return;
    }
    struct str *names = ARENA_ARRAY(r->tree, struct str, list->n);
    uint32_t n_names = 0;
    for (struct node *n = list->first; n; n = n->next) {
        struct str name = read_one(r, n);
        for (uint32_t i = 0; i < n_names && name.n && n_names < 1000; i++) {
            if (str_eq(names[i], name))
                reader_error_key(r, n, "name", ERR_SYNTAX, "found multiple remote read configs with job name %s",
                                 reader_quote(r, name));
        }
        names[n_names++] = name;
    }
    reader_warn(r, list, "remote_read has no effect: leadline answers no queries");
}

/* ---- runtime ---- */

struct runtime_draft {
    int64_t gogc;
    struct node *log_level;
};

static void read_log_level(struct reader *r, struct node *n, void *out)
{
    struct str s;
    (void)out;
    if (!reader_string(r, n, &s) || s.n == 0)
        return;
    static const char *const levels[] = {"debug", "info", "warn", "error"};
    for (size_t i = 0; i < COUNT_OF(levels); i++) {
        if (str_eq_nocase(s, str_c(levels[i]))) {
            reader_warn(r, n, "log_level has no effect: the level is set by --log.level");
            return;
        }
    }
    reader_error(r, n, ERR_SYNTAX, "log_level: unrecognized log level %s", reader_quote(r, s));
}

static const struct field runtime_fields[] = {
    {.key = "gogc", .kind = FIELD_INT, .offset = offsetof(struct runtime_draft, gogc)},
    {.key = "log_level", .kind = FIELD_CALL, .fn = read_log_level},
};
static const struct schema runtime_schema = SCHEMA("config.RuntimeConfig", runtime_fields);

static void read_runtime(struct reader *r, struct node *n)
{
    struct runtime_draft d = {0};
    if (!n)
        return;
    reader_mapping(r, n, &runtime_schema, &d);
    if (d.gogc)
        reader_warn(r, n, "runtime.gogc has no effect: there is no garbage collector");
}

/* ---- rules and alerts ---- */

struct alerting_nodes {
    struct node *relabel, *managers;
};

static const struct field alerting_fields[] = {
    {.key = "alert_relabel_configs", .kind = FIELD_NODE, .offset = offsetof(struct alerting_nodes, relabel)},
    {.key = "alertmanagers", .kind = FIELD_NODE, .offset = offsetof(struct alerting_nodes, managers)},
};
static const struct schema alerting_schema = SCHEMA("config.plain", alerting_fields);

static void refuse(struct reader *r, const struct node *at, const char *key)
{
    if (r->options->agent)
        reader_error_key(r, at, NULL, ERR_UNSUPPORTED, "field %s is not allowed in agent mode", key);
    else
        reader_error_key(
            r, at, NULL, ERR_UNSUPPORTED,
            "%s: not supported by leadline: it scrapes and sends, and evaluates no rules; leave them to the "
            "server that it sends to",
            key);
}

static void read_alerting(struct reader *r, struct node *n)
{
    struct alerting_nodes nodes = {0};
    if (!n || !reader_mapping(r, n, &alerting_schema, &nodes))
        return;
    bool relabel = nodes.relabel && reader_sequence(r, nodes.relabel, "[]*relabel.Config");
    bool managers = nodes.managers && reader_sequence(r, nodes.managers, "config.AlertmanagerConfigs");
    if (relabel || managers)
        refuse(r, n, "alerting");
}

/* ---- all ---- */

#define NODES(name) offsetof(struct server_nodes, name)

static const struct field server_fields[] = {
    {.key = "runtime", .kind = FIELD_NODE, .offset = NODES(runtime)},
    {.key = "alerting", .kind = FIELD_NODE, .offset = NODES(alerting)},
    {.key = "rule_files", .kind = FIELD_NODE, .offset = NODES(rule_files)},
    {.key = "storage", .kind = FIELD_NODE, .offset = NODES(storage)},
    {.key = "tracing", .kind = FIELD_CALL, .fn = read_tracing},
    {.key = "remote_read", .kind = FIELD_NODE, .offset = NODES(remote_read)},
    {.key = "otlp", .kind = FIELD_NODE, .offset = NODES(otlp)},
};
const struct schema server_schema = SCHEMA("config.plain", server_fields);

void server_read(struct reader *r, const struct server_nodes *nodes, bool legacy_names)
{
    read_runtime(r, nodes->runtime);
    read_alerting(r, nodes->alerting);
    if (nodes->rule_files && reader_sequence(r, nodes->rule_files, "[]string"))
        refuse(r, nodes->rule_files, "rule_files");
    read_storage(r, nodes->storage);
    read_otlp(r, nodes->otlp, legacy_names);
    read_remote_reads(r, nodes->remote_read);
}

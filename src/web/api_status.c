/* api_status: /api/v1/status/..., features and notifications: what leadline says of itself, in the original's JSON.
 *
 *   status/config runtimeinfo buildinfo flags walreplay self_metrics
 *   features        the original's words; what is true of a sender is true here
 *   notifications   a failed reload, the end of the program
 *
 * self_metrics is /metrics once more, as the JSON form of client_model's MetricFamily (protojson: 64-bit integers are
 * strings, absent fields are left out): {"name", "help", "type", "metric": [{"label": [...], "counter": {"value":
 * 1}}]}.
 */
#include <math.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/version.h"
#include "format/exposition.h"
#include "web/api_int.h"

int api_config(struct web *w, struct http_call *call, const struct web_snapshot *s, struct buf *out)
{
    struct json j = json_to(out);

    (void)w;
    (void)call;
    api_open(&j);
    json_object(&j);
    api_put_text(&j, "yaml", s->plan->config_yaml);
    json_object_end(&j);
    json_object_end(&j);
    return 200;
}

int api_runtime(struct web *w, struct http_call *call, const struct web_snapshot *s, struct buf *out)
{
    struct json j = json_to(out);
    char host[256] = "", cwd[4096];
    int64_t reload_ms = 0;
    bool good = w->o.last_reload(w->o.ctx, &reload_ms);

    (void)call;
    gethostname(host, sizeof(host) - 1);
    api_open(&j);
    json_object(&j);
    api_put_time(&j, "startTime", w->o.start_ms);
    api_put_text(&j, "CWD", str_c(getcwd(cwd, sizeof(cwd)) ? cwd : ""));
    api_put_text(&j, "hostname", str_c(host));
    api_put_time(&j, "serverTime", clock_wall_ms());
    json_key_c(&j, "reloadConfigSuccess");
    json_bool(&j, good);
    api_put_time(&j, "lastConfigTime", reload_ms);
    json_key_c(&j, "corruptionCount");
    json_u64(&j, 0);
    json_key_c(&j, "goroutineCount"); /* of the original; here: threads that scrape */
    json_u64(&j, s->workers);
    json_key_c(&j, "GOMAXPROCS");
    json_u64(&j, s->workers);
    json_key_c(&j, "GOMEMLIMIT");
    json_i64(&j, INT64_MAX); /* Go's value for none */
    api_put_text(&j, "GOGC", STR(""));
    api_put_text(&j, "GODEBUG", STR(""));
    api_put_text(&j, "storageRetention", STR(""));
    json_object_end(&j);
    json_object_end(&j);
    return 200;
}

int api_flags(struct web *w, struct http_call *call, const struct web_snapshot *s, struct buf *out)
{
    struct json j = json_to(out);

    (void)call;
    (void)s;
    api_open(&j);
    json_object(&j);
    for (uint32_t i = 0; i < w->o.n_flags; i++) {
        json_key(&j, w->o.flags[i].name);
        json_str(&j, w->o.flags[i].value);
    }
    json_object_end(&j);
    json_object_end(&j);
    return 200;
}

void api_put_build(struct json *j)
{
    json_object(j);
    api_put_text(j, "version", STR(LEADLINE_PROMETHEUS_VERSION));
    api_put_text(j, "revision", STR(""));
    api_put_text(j, "branch", STR(""));
    api_put_text(j, "buildUser", STR("leadline"));
    api_put_text(j, "buildDate", STR(""));
    api_put_text(j, "goVersion", STR(""));
    json_object_end(j);
}

int api_build(struct web *w, struct http_call *call, const struct web_snapshot *s, struct buf *out)
{
    struct json j = json_to(out);

    (void)w;
    (void)call;
    (void)s;
    api_open(&j);
    api_put_build(&j);
    json_object_end(&j);
    return 200;
}

/* The spool has nothing to replay before it is ready. */
int api_wal(struct web *w, struct http_call *call, const struct web_snapshot *s, struct buf *out)
{
    static const char *const keys[] = {"min", "max", "current"};
    struct json j = json_to(out);

    (void)w;
    (void)call;
    (void)s;
    api_open(&j);
    json_object(&j);
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        json_key_c(&j, keys[i]);
        json_u64(&j, 0);
    }
    json_object_end(&j);
    json_object_end(&j);
    return 200;
}

/* ---- features ---- */

struct feature {
    const char *category, *name;
    bool on;
};

static const struct feature features[] = {
    {"api", "exclude_alerts", false},
    {"api", "label_values_match", false},
    {"api", "openapi_3.1", false},
    {"api", "openapi_3.2", false},
    {"api", "otlp_write_receiver", false},
    {"api", "query_stats", false},
    {"api", "query_warnings", false},
    {"api", "remote_write_receiver", false},
    {"api", "search", false},
    {"api", "time_range_labels", false},
    {"api", "time_range_series", false},
    {"otlp_receiver", "delta_conversion", false},
    {"otlp_receiver", "native_delta_ingestion", false},
    {"scrape", "extra_scrape_metrics", true},
    {"scrape", "openmetrics2", false},
    {"scrape", "start_timestamp_zero_ingestion", false},
    {"scrape", "type_and_unit_labels", false},
    {"service_discovery_providers", "aws", true},
    {"service_discovery_providers", "dns", true},
    {"service_discovery_providers", "ec2", true},
    {"service_discovery_providers", "ecs", true},
    {"service_discovery_providers", "file", true},
    {"service_discovery_providers", "http", true},
    {"service_discovery_providers", "static", true},
};

static void put_feature(struct json *j, const char *name, bool on)
{
    json_key_c(j, name);
    json_bool(j, on);
}

static bool flag_is_true(const struct web *w, const char *name)
{
    for (uint32_t i = 0; i < w->o.n_flags; i++)
        if (str_eq_c(w->o.flags[i].name, name))
            return str_eq(w->o.flags[i].value, STR("true"));
    return false;
}

static void put_category(struct json *j, const struct web *w, const char *category)
{
    json_key_c(j, category);
    json_object(j);
    if (strcmp(category, "api") == 0) {
        put_feature(j, "admin", false);
        put_feature(j, "lifecycle", w->o.enable_lifecycle);
    }
    if (strcmp(category, "prometheus") == 0) {
        put_feature(j, "agent_mode", w->o.agent);
        put_feature(j, "auto_reload_config", flag_is_true(w, "config.auto-reload"));
        put_feature(j, "server_mode", !w->o.agent);
    }
    if (strcmp(category, "ui") == 0) {
        put_feature(j, "ui_v2", false);
        put_feature(j, "ui_v3", false);
    }
    for (size_t i = 0; i < COUNT_OF(features); i++)
        if (strcmp(features[i].category, category) == 0)
            put_feature(j, features[i].name, features[i].on);
    json_object_end(j);
}

int api_features(struct web *w, struct http_call *call, const struct web_snapshot *s, struct buf *out)
{
    static const char *const categories[] = {
        "api", "otlp_receiver", "prometheus", "scrape", "service_discovery_providers", "templating_functions", "ui"};
    struct json j = json_to(out);

    (void)call;
    (void)s;
    api_open(&j);
    json_object(&j);
    for (size_t i = 0; i < COUNT_OF(categories); i++)
        put_category(&j, w, categories[i]);
    json_object_end(&j);
    json_object_end(&j);
    return 200;
}

static void put_notification(struct json *j, const char *text, int64_t ms)
{
    json_object(j);
    api_put_text(j, "text", str_c(text));
    api_put_time(j, "date", ms);
    json_key_c(j, "active");
    json_bool(j, true);
    json_object_end(j);
}

int api_notifications(struct web *w, struct http_call *call, const struct web_snapshot *s, struct buf *out)
{
    struct json j = json_to(out);
    int64_t reload_ms = 0;

    (void)call;
    (void)s;
    api_open(&j);
    json_array(&j);
    if (!w->o.last_reload(w->o.ctx, &reload_ms))
        put_notification(&j, "Configuration reload has failed.", reload_ms);
    if (!w->o.ready(w->o.ctx))
        put_notification(&j, "leadline is stopping: what waits is being delivered.", clock_wall_ms());
    json_array_end(&j);
    json_object_end(&j);
    return 200;
}

/* ---- self_metrics ---- */

struct self {
    struct json *j;
    struct family family;
    bool open;             /* a family's object */
    struct labels current; /* of the histogram that is being written */
    bool in_histogram, in_buckets;
    double sum;
    struct arena *arena;
};

static void put_label_pairs(struct json *j, struct labels l)
{
    bool any = false;

    for (uint32_t i = 0; i < l.n; i++) {
        if (str_eq(l.v[i].name, LABEL_NAME) || str_eq(l.v[i].name, STR("le")))
            continue;
        if (!any) {
            json_key_c(j, "label");
            json_array(j);
        }
        any = true;
        json_object(j);
        api_put_text(j, "name", l.v[i].name);
        api_put_text(j, "value", l.v[i].value);
        json_object_end(j);
    }
    if (any)
        json_array_end(j);
}

static void put_count(struct json *j, const char *key, double v)
{
    AUTO_BUF text = {0};

    buf_u64(&text, (uint64_t)v);
    api_put_text(j, key, buf_view(&text));
}

static void close_buckets(struct self *s)
{
    if (s->in_buckets)
        json_array_end(s->j);
    s->in_buckets = false;
}

/* Behind a histogram's last line, its count. */
static void close_histogram(struct self *s, double count)
{
    if (!s->in_histogram)
        return;
    close_buckets(s);
    put_count(s->j, "sampleCount", count);
    json_key_c(s->j, "sampleSum");
    json_double(s->j, s->sum);
    json_object_end(s->j);
    json_object_end(s->j);
    s->in_histogram = false;
}

static void open_histogram(struct self *s, struct labels l)
{
    if (s->in_histogram)
        return;
    json_object(s->j);
    put_label_pairs(s->j, l);
    json_key_c(s->j, "histogram");
    json_object(s->j);
    s->in_histogram = true;
    s->sum = 0;
}

static void put_histogram_line(struct self *s, struct labels l, double v)
{
    struct str name = labels_get(l, LABEL_NAME), le = labels_get(l, STR("le"));
    double bound;

    open_histogram(s, l);
    if (str_ends(name, STR("_sum"))) {
        s->sum = v;
    } else if (str_ends(name, STR("_count"))) {
        close_histogram(s, v);
    } else if (num_parse_double(le, &bound) == OK && !isinf(bound)) { /* the last one is the count */
        if (!s->in_buckets) {
            json_key_c(s->j, "bucket");
            json_array(s->j);
            s->in_buckets = true;
        }
        json_object(s->j);
        put_count(s->j, "cumulativeCount", v);
        json_key_c(s->j, "upperBound");
        json_double(s->j, bound);
        json_object_end(s->j);
    }
}

static void put_plain_line(struct self *s, struct labels l, double v)
{
    const char *kind = s->family.type == TYPE_COUNTER ? "counter" : s->family.type == TYPE_GAUGE ? "gauge" : "untyped";

    json_object(s->j);
    put_label_pairs(s->j, l);
    json_key_c(s->j, kind);
    json_object(s->j);
    json_key_c(s->j, "value");
    json_double(s->j, v);
    json_object_end(s->j);
    json_object_end(s->j);
}

static void close_family(struct self *s)
{
    close_histogram(s, 0);
    if (s->open) {
        json_array_end(s->j);
        json_object_end(s->j);
    }
    s->open = false;
}

static void open_family(struct self *s)
{
    static const char *const names[] = {"UNTYPED",         "COUNTER", "GAUGE",   "HISTOGRAM",
                                        "GAUGE_HISTOGRAM", "SUMMARY", "UNTYPED", "UNTYPED"};

    if (s->open)
        return;
    json_object(s->j);
    api_put_text(s->j, "name", s->family.name);
    if (s->family.help.n)
        api_put_text(s->j, "help", s->family.help);
    api_put_text(s->j, "type", str_c(names[s->family.type]));
    json_key_c(s->j, "metric");
    json_array(s->j);
    s->open = true;
}

/* Our own text: its families stand together, a histogram's lines in the order buckets, sum, count. */
static void put_families(struct self *s, struct str text)
{
    struct exposition e;
    struct exposition_entry entry;
    struct exposition_sample sample;
    struct labels labels;
    struct family *families;
    uint32_t n;
    bool typed;

    exposition_init(&e, EXPOSITION_TEXT, text);
    while (exposition_next(&e, &entry, NULL) == OK && entry.kind != EXPOSITION_EOF) {
        if (entry.kind == EXPOSITION_COMMENTS) {
            exposition_families(entry.raw, EXPOSITION_TEXT, s->arena, &families, &n);
            close_family(s);
            if (n)
                s->family = families[n - 1];
            continue;
        }
        if (exposition_labels(entry.raw, EXPOSITION_TEXT, e.type, s->arena, &labels, &typed, NULL) ||
            exposition_value(&e, &sample, NULL))
            break;
        open_family(s);
        if (s->family.type == TYPE_HISTOGRAM)
            put_histogram_line(s, labels, sample.value);
        else
            put_plain_line(s, labels, sample.value);
    }
    close_family(s);
}

int api_self_metrics(struct web *w, struct http_call *call, const struct web_snapshot *s, struct buf *out)
{
    AUTO_BUF text = {0};
    struct json j = json_to(out);
    struct arena a = {0};
    struct self self = {.j = &j, .arena = &a};

    web_metrics(w, call, s, &text);
    api_open(&j);
    json_array(&j);
    put_families(&self, buf_view(&text));
    json_array_end(&j);
    json_object_end(&j);
    arena_release(&a);
    return 200;
}

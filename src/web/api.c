/* api: the original's HTTP API as far as an agent has it, in its JSON (web/api/v1/api.go).
 *
 *   targets scrape_pools status/config status/runtimeinfo      from a snapshot
 *   status/flags status/buildinfo                              at once
 *   query series labels rules alerts ...                       422, errorType "execution", as an agent answers
 *   write otlp/...                                             404: not received in this version
 *
 * An answer is {"status": "success", "data": ...} or {"status": "error", "errorType": ..., "error": ...}.
 */
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/units.h"
#include "base/version.h"
#include "net/http_client.h"
#include "web/web_int.h"
#include "wire/json.h"

static void open_success(struct json *j)
{
    json_object(j);
    json_key_c(j, "status");
    json_c(j, "success");
    json_key_c(j, "data");
}

static void answer_error(struct http_call *call, int status, const char *type, const char *text)
{
    AUTO_BUF out = {0};
    struct json j = json_to(&out);

    json_object(&j);
    json_key_c(&j, "status");
    json_c(&j, "error");
    json_key_c(&j, "errorType");
    json_c(&j, type);
    json_key_c(&j, "error");
    json_c(&j, text);
    json_object_end(&j);
    http_call_answer(call, status, WEB_JSON, buf_view(&out));
}

static void put_text(struct json *j, const char *key, struct str value)
{
    json_key_c(j, key);
    json_str(j, value);
}

static void put_labels(struct json *j, const char *key, struct labels l)
{
    json_key_c(j, key);
    json_object(j);
    for (uint32_t i = 0; i < l.n; i++) {
        json_key(j, l.v[i].name);
        json_str(j, l.v[i].value);
    }
    json_object_end(j);
}

static void put_time(struct json *j, const char *key, int64_t ms)
{
    AUTO_BUF text = {0};

    if (ms)
        clock_print(&text, ms);
    else
        buf_c(&text, "0001-01-01T00:00:00Z"); /* Go's zero time */
    put_text(j, key, buf_view(&text));
}

static void put_duration(struct json *j, const char *key, int64_t ms)
{
    AUTO_BUF text = {0};

    units_print_duration(&text, ms);
    put_text(j, key, buf_view(&text));
}

/* The target's URL as seen from elsewhere: a loopback host becomes that of --web.external-url, else this host's name.
 */
static void put_global_url(struct json *j, const struct web *w, struct str url)
{
    AUTO_BUF text = {0};
    struct http_url u, external;
    char host[256] = "";
    bool parsed = http_url_parse(url, &u, NULL) == OK;

    if (!parsed ||
        !(str_eq(u.host, STR("127.0.0.1")) || str_eq(u.host, STR("localhost")) || str_eq(u.host, STR("::1")))) {
        put_text(j, "globalUrl", url);
        return;
    }
    gethostname(host, sizeof(host) - 1);
    struct str outside = str_c(host);
    if (w->o.external_url.n && http_url_parse(w->o.external_url, &external, NULL) == OK)
        outside = external.host;
    buf_printf(&text, "%.*s://%.*s%s%.*s%.*s", STR_ARGS(u.scheme), STR_ARGS(outside), u.port.n ? ":" : "",
               STR_ARGS(u.port), STR_ARGS(u.path));
    if (u.query.n)
        buf_printf(&text, "?%.*s", STR_ARGS(u.query));
    put_text(j, "globalUrl", buf_view(&text));
}

static void put_target(struct json *j, const struct web *w, const struct scrape_status *s)
{
    static const char *const health[] = {"unknown", "up", "down"};
    const struct scrape_target *t = s->target;

    json_object(j);
    put_labels(j, "discoveredLabels", t->discovered);
    put_labels(j, "labels", t->labels);
    put_text(j, "scrapePool", t->scrape_pool);
    put_text(j, "scrapeUrl", t->url);
    put_global_url(j, w, t->url);
    put_text(j, "lastError", s->last_error);
    put_time(j, "lastScrape", s->last_scrape_ms);
    json_key_c(j, "lastScrapeDuration");
    json_double(j, s->last_duration_s);
    put_text(j, "health", str_c(health[s->health]));
    put_duration(j, "scrapeInterval", t->interval_ms);
    put_duration(j, "scrapeTimeout", t->timeout_ms);
    json_object_end(j);
}

static bool in_pool(struct http_call *call, const struct web_pool *p)
{
    struct str wanted = http_call_query(call, "scrapePool");
    return wanted.n == 0 || str_eq(wanted, p->name);
}

static bool state_shows(struct http_call *call, struct str state)
{
    struct str wanted = http_call_query(call, "state");
    return wanted.n == 0 || str_eq_nocase(wanted, STR("any")) || str_eq_nocase(wanted, state);
}

static void put_dropped(struct json *j, struct http_call *call, const struct web_snapshot *s)
{
    json_key_c(j, "droppedTargets");
    json_array(j);
    for (uint32_t i = 0; i < s->n_pools && state_shows(call, STR("dropped")); i++) {
        for (uint32_t k = 0; in_pool(call, &s->pools[i]) && k < s->pools[i].n_dropped; k++) {
            json_object(j);
            put_labels(j, "discoveredLabels", s->pools[i].dropped[k].discovered);
            put_text(j, "scrapePool", s->pools[i].name);
            json_object_end(j);
        }
    }
    json_array_end(j);
    json_key_c(j, "droppedTargetCounts");
    if (!state_shows(call, STR("dropped"))) {
        json_c(j, NULL);
        return;
    }
    json_object(j);
    for (uint32_t i = 0; i < s->n_pools; i++) {
        json_key(j, s->pools[i].name);
        json_u64(j, s->pools[i].dropped_total);
    }
    json_object_end(j);
}

static void render_targets(struct web *w, struct http_call *call, const struct web_snapshot *s, struct buf *out)
{
    struct json j = json_to(out);

    open_success(&j);
    json_object(&j);
    json_key_c(&j, "activeTargets");
    json_array(&j);
    for (uint32_t i = 0; i < s->n_pools && state_shows(call, STR("active")); i++)
        for (uint32_t k = 0; in_pool(call, &s->pools[i]) && k < s->pools[i].n_targets; k++)
            put_target(&j, w, &s->pools[i].targets[k]);
    json_array_end(&j);
    put_dropped(&j, call, s);
    json_object_end(&j);
    json_object_end(&j);
}

static void render_pools(struct web *w, struct http_call *call, const struct web_snapshot *s, struct buf *out)
{
    struct json j = json_to(out);

    (void)w;
    (void)call;
    open_success(&j);
    json_object(&j);
    json_key_c(&j, "scrapePools");
    json_array(&j);
    for (uint32_t i = 0; i < s->n_pools; i++)
        json_str(&j, s->pools[i].name);
    json_array_end(&j);
    json_object_end(&j);
    json_object_end(&j);
}

static void render_config(struct web *w, struct http_call *call, const struct web_snapshot *s, struct buf *out)
{
    struct json j = json_to(out);

    (void)w;
    (void)call;
    open_success(&j);
    json_object(&j);
    put_text(&j, "yaml", s->plan->config_yaml);
    json_object_end(&j);
    json_object_end(&j);
}

static void render_runtime(struct web *w, struct http_call *call, const struct web_snapshot *s, struct buf *out)
{
    struct json j = json_to(out);
    char host[256] = "", cwd[4096];
    int64_t reload_ms = 0;
    bool good = w->o.last_reload(w->o.ctx, &reload_ms);

    (void)call;
    gethostname(host, sizeof(host) - 1);
    open_success(&j);
    json_object(&j);
    put_time(&j, "startTime", w->o.start_ms);
    put_text(&j, "CWD", str_c(getcwd(cwd, sizeof(cwd)) ? cwd : ""));
    put_text(&j, "hostname", str_c(host));
    put_time(&j, "serverTime", clock_wall_ms());
    json_key_c(&j, "reloadConfigSuccess");
    json_bool(&j, good);
    put_time(&j, "lastConfigTime", reload_ms);
    json_key_c(&j, "corruptionCount");
    json_u64(&j, 0);
    json_key_c(&j, "goroutineCount"); /* of the original; here: threads that scrape */
    json_u64(&j, s->workers);
    json_key_c(&j, "GOMAXPROCS");
    json_u64(&j, s->workers);
    put_text(&j, "storageRetention", STR(""));
    json_object_end(&j);
    json_object_end(&j);
}

static void answer_flags(struct web *w, struct http_call *call)
{
    AUTO_BUF out = {0};
    struct json j = json_to(&out);

    open_success(&j);
    json_object(&j);
    for (uint32_t i = 0; i < w->o.n_flags; i++) {
        json_key(&j, w->o.flags[i].name);
        json_str(&j, w->o.flags[i].value);
    }
    json_object_end(&j);
    json_object_end(&j);
    http_call_answer(call, 200, WEB_JSON, buf_view(&out));
}

static void answer_build(struct http_call *call)
{
    AUTO_BUF out = {0};
    struct json j = json_to(&out);

    open_success(&j);
    json_object(&j);
    put_text(&j, "version", STR(LEADLINE_PROMETHEUS_VERSION));
    put_text(&j, "revision", STR(""));
    put_text(&j, "branch", STR(""));
    put_text(&j, "buildUser", STR("leadline"));
    put_text(&j, "buildDate", STR(""));
    put_text(&j, "goVersion", STR(""));
    json_object_end(&j);
    json_object_end(&j);
    http_call_answer(call, 200, WEB_JSON, buf_view(&out));
}

/* What the original's agent has only as an error, and answers under these names. */
static bool needs_store(struct str path)
{
    static const char *const names[] = {
        "query", "query_range", "query_exemplars", "format_query", "parse_query",      "series", "labels",
        "rules", "alerts",      "alertmanagers",   "status/tsdb",  "status/walreplay", "read",   "metadata"};

    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (str_eq_c(path, names[i]))
            return true;
    return str_starts(path, STR("label/")) || str_starts(path, STR("admin/"));
}

bool web_api(struct web *w, struct http_call *call, struct str path)
{
    if (str_eq(path, STR("targets")))
        web_answer_from_snapshot(w, call, WEB_JSON, render_targets);
    else if (str_eq(path, STR("scrape_pools")))
        web_answer_from_snapshot(w, call, WEB_JSON, render_pools);
    else if (str_eq(path, STR("status/config")))
        web_answer_from_snapshot(w, call, WEB_JSON, render_config);
    else if (str_eq(path, STR("status/runtimeinfo")))
        web_answer_from_snapshot(w, call, WEB_JSON, render_runtime);
    else if (str_eq(path, STR("status/flags")))
        answer_flags(w, call);
    else if (str_eq(path, STR("status/buildinfo")))
        answer_build(call);
    else if (needs_store(path))
        answer_error(call, 422, "execution", "unavailable with Prometheus Agent");
    else if (str_eq(path, STR("write")) || str_starts(path, STR("otlp/")))
        answer_error(call, 404, "not_found", "leadline does not receive remote write or OTLP in this version");
    else
        return false;
    return true;
}

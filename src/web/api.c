/* api: the original's HTTP API as far as an agent has it: which path and method is answered by whom, and the envelope.
 *
 *   api_targets.c   targets, targets/metadata, targets/relabel_steps, scrape_pools, scrape_pools/config, metadata
 *   api_status.c    status/..., features, notifications
 *   here            what an agent refuses: queries, rules, alerts (422); what is not received (404)
 *
 * An answer is {"status": "success", "data": ...} or {"status": "error", "errorType": ..., "error": ...}. Every answer
 * is rendered from a snapshot, or at once where it needs none.
 */
#include "base/clock.h"
#include "base/mem.h"
#include "base/units.h"
#include "web/api_int.h"

void api_open(struct json *j)
{
    json_object(j);
    json_key_c(j, "status");
    json_c(j, "success");
    json_key_c(j, "data");
}

void api_put_error(struct buf *out, const char *type, struct str text)
{
    struct json j = json_to(out);

    json_object(&j);
    json_key_c(&j, "status");
    json_c(&j, "error");
    json_key_c(&j, "errorType");
    json_c(&j, type);
    json_key_c(&j, "error");
    json_str(&j, text);
    json_object_end(&j);
}

static void answer_error(struct http_call *call, int status, const char *type, const char *text)
{
    AUTO_BUF out = {0};

    api_put_error(&out, type, str_c(text));
    http_call_answer(call, status, WEB_JSON, buf_view(&out));
}

void api_put_text(struct json *j, const char *key, struct str value)
{
    json_key_c(j, key);
    json_str(j, value);
}

void api_put_labels(struct json *j, const char *key, struct labels l)
{
    json_key_c(j, key);
    json_object(j);
    for (uint32_t i = 0; i < l.n; i++) {
        json_key(j, l.v[i].name);
        json_str(j, l.v[i].value);
    }
    json_object_end(j);
}

void api_put_time(struct json *j, const char *key, int64_t ms)
{
    AUTO_BUF text = {0};

    if (ms)
        clock_print(&text, ms);
    else
        buf_c(&text, "0001-01-01T00:00:00Z"); /* Go's zero time */
    api_put_text(j, key, buf_view(&text));
}

void api_put_duration(struct json *j, const char *key, int64_t ms)
{
    AUTO_BUF text = {0};

    units_print_duration(&text, ms);
    api_put_text(j, key, buf_view(&text));
}

/* ---- which path ---- */

enum { GET = 1, POST = 2, PUT = 4 };

enum route_kind {
    ROUTE_NOW, /* needs no snapshot */
    ROUTE_SNAPSHOT,
    ROUTE_FAMILIES, /* a snapshot with the families of each target */
    ROUTE_STORE,    /* what only a store can answer */
    ROUTE_SEARCH,
    ROUTE_LIVE,
    ROUTE_WRITE,
    ROUTE_OTLP,
    ROUTE_OPENAPI,
};

struct route {
    const char *path; /* one that ends with a slash stands for all below it */
    int methods;
    enum route_kind kind;
    web_render *render;
};

static const struct route routes[] = {
    {"targets", GET, ROUTE_SNAPSHOT, api_targets},
    {"targets/metadata", GET, ROUTE_FAMILIES, api_target_metadata},
    {"targets/relabel_steps", GET, ROUTE_SNAPSHOT, api_relabel_steps},
    {"scrape_pools", GET, ROUTE_SNAPSHOT, api_pools},
    {"scrape_pools/config", GET, ROUTE_SNAPSHOT, api_pool_config},
    {"metadata", GET, ROUTE_FAMILIES, api_metadata},
    {"status/config", GET, ROUTE_SNAPSHOT, api_config},
    {"status/runtimeinfo", GET, ROUTE_SNAPSHOT, api_runtime},
    {"status/buildinfo", GET, ROUTE_NOW, api_build},
    {"status/flags", GET, ROUTE_NOW, api_flags},
    {"status/walreplay", GET, ROUTE_NOW, api_wal},
    {"status/self_metrics", GET, ROUTE_SNAPSHOT, api_self_metrics},
    {"features", GET, ROUTE_NOW, api_features},
    {"notifications", GET, ROUTE_NOW, api_notifications},
    {"notifications/live", GET, ROUTE_LIVE, NULL},
    {"query", GET | POST, ROUTE_STORE, NULL},
    {"query_range", GET | POST, ROUTE_STORE, NULL},
    {"query_exemplars", GET | POST, ROUTE_STORE, NULL},
    {"format_query", GET | POST, ROUTE_STORE, NULL},
    {"parse_query", GET | POST, ROUTE_STORE, NULL},
    {"series", GET | POST, ROUTE_STORE, NULL},
    {"labels", GET | POST, ROUTE_STORE, NULL},
    {"label/", GET, ROUTE_STORE, NULL},
    {"rules", GET, ROUTE_STORE, NULL},
    {"alerts", GET, ROUTE_STORE, NULL},
    {"alertmanagers", GET, ROUTE_STORE, NULL},
    {"status/tsdb", GET, ROUTE_STORE, NULL},
    {"status/tsdb/blocks", GET, ROUTE_STORE, NULL},
    {"read", POST, ROUTE_STORE, NULL},
    {"admin/", POST | PUT, ROUTE_STORE, NULL},
    {"search/", GET | POST, ROUTE_SEARCH, NULL},
    {"write", POST, ROUTE_WRITE, NULL},
    {"otlp/v1/metrics", POST, ROUTE_OTLP, NULL},
    {"openapi.yaml", GET, ROUTE_OPENAPI, NULL},
};

static const struct route *find(struct str path)
{
    for (size_t i = 0; i < COUNT_OF(routes); i++) {
        struct str p = str_c(routes[i].path);
        if (str_eq(path, p) || (p.p[p.n - 1] == '/' && path.n > p.n && str_starts(path, p)))
            return &routes[i];
    }
    return NULL;
}

static bool method_fits(struct str method, int methods)
{
    return ((methods & GET) && (str_eq(method, STR("GET")) || str_eq(method, STR("HEAD")))) ||
           ((methods & POST) && str_eq(method, STR("POST"))) || ((methods & PUT) && str_eq(method, STR("PUT")));
}

static void refuse_method(struct http_call *call, int methods)
{
    AUTO_BUF allow = {0};

    buf_c(&allow, methods & GET ? "GET, " : "");
    buf_c(&allow, "OPTIONS");
    buf_c(&allow, methods & POST ? ", POST" : "");
    buf_c(&allow, methods & PUT ? ", PUT" : "");
    http_call_header_set(call, "Allow", allow.p);
    http_call_answer(call, 405, WEB_TEXT, STR("Method Not Allowed\n"));
}

static void answer_now(struct web *w, struct http_call *call, web_render *render)
{
    AUTO_BUF out = {0};
    int status = render(w, call, NULL, &out);

    http_call_answer(call, status, WEB_JSON, buf_view(&out));
}

/* What the original asks for before it looks at anything else. */
static bool check_parameters(struct http_call *call, const struct route *r)
{
    if (r->render != api_relabel_steps && r->render != api_pool_config)
        return true;
    if (http_call_query(call, "scrapePool").n == 0)
        answer_error(call, 400, "bad_data", "no scrapePool parameter provided");
    else if (r->render == api_relabel_steps && http_call_query(call, "labels").n == 0)
        answer_error(call, 400, "bad_data", "no labels parameter provided");
    else
        return true;
    return false;
}

static void answer(struct web *w, struct http_call *call, const struct route *r)
{
    switch (r->kind) {
    case ROUTE_NOW:
        answer_now(w, call, r->render);
        break;
    case ROUTE_SNAPSHOT:
        if (check_parameters(call, r))
            web_answer_from_snapshot(w, call, WEB_JSON, r->render);
        break;
    case ROUTE_FAMILIES:
        web_answer_from_families(w, call, WEB_JSON, r->render);
        break;
    case ROUTE_STORE:
        answer_error(call, 422, "execution",
                     w->o.agent ? "unavailable with Prometheus Agent"
                                : "leadline keeps no samples to be queried: ask the destination of its remote_write");
        break;
    case ROUTE_SEARCH:
        answer_error(call, 500, "unavailable", "search API disabled");
        break;
    case ROUTE_LIVE: /* nothing comes: a browser does not ask again after this */
        http_call_answer(call, 204, NULL, STR_NONE);
        break;
    case ROUTE_WRITE:
        answer_error(call, 404, "not_found", "leadline does not receive remote write in this version");
        break;
    case ROUTE_OTLP:
        answer_error(call, 404, "not_found", "leadline does not receive OTLP in this version");
        break;
    case ROUTE_OPENAPI:
        answer_error(call, 404, "not_found", "leadline publishes no OpenAPI description of its endpoints");
        break;
    }
}

bool web_api(struct web *w, struct http_call *call, struct str path)
{
    const struct route *r = find(path);

    if (!r)
        return false;
    if (method_fits(http_call_method(call), r->methods))
        answer(w, call, r);
    else
        refuse_method(call, r->methods);
    return true;
}

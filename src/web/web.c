/* web: which path is answered by whom.
 *
 *   /  /targets  /service-discovery   pages, from a snapshot; also /relabel /config /flags /debug/
 *   /metrics                          counters, and the ledgers from a snapshot
 *   /api/v1/...                       api.c
 *   /-/healthy /-/ready               at once
 *   POST /-/reload /-/quit            with --web.enable-lifecycle
 *
 * Every path stands below the route prefix; the original answers "/" with a redirect to it, and so does this. Words and
 * status codes of the /-/ endpoints are the original's.
 */
#include "web/web.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/regex.h"
#include "web/api_int.h"

void web_snapshot_free(struct web_snapshot *s)
{
    if (s)
        s->release(s);
}

/* ---- answers that wait for the workers ---- */

struct pending {
    struct web *w;
    struct http_call *call;
    const char *content_type;
    web_render *render;
};

static void on_snapshot(void *ctx, struct web_snapshot *s)
{
    struct pending *p = ctx;
    AUTO_BUF out = {0};

    int status = p->render(p->w, p->call, s, &out);
    http_call_answer(p->call, status, p->content_type, buf_view(&out));
    web_snapshot_free(s);
    free(p);
}

void web_answer_from_snapshot(struct web *w, struct http_call *call, const char *content_type, web_render *render)
{
    struct pending *p = NEW(struct pending);

    *p = (struct pending){w, call, content_type, render};
    w->o.snapshot(w->o.ctx, false, on_snapshot, p);
}

void web_answer_from_families(struct web *w, struct http_call *call, const char *content_type, web_render *render)
{
    struct pending *p = NEW(struct pending);

    *p = (struct pending){w, call, content_type, render};
    w->o.snapshot(w->o.ctx, true, on_snapshot, p);
}

/* ---- /-/ ---- */

static void answer_text(struct http_call *call, int status, const char *text)
{
    http_call_answer(call, status, WEB_TEXT, str_c(text));
}

static void answer_lifecycle(struct web *w, struct http_call *call, bool quit)
{
    struct str method = http_call_method(call);
    struct diag d = {0};
    AUTO_BUF text = {0};

    if (!str_eq(method, STR("POST")) && !str_eq(method, STR("PUT"))) {
        answer_text(call, 405, "Only POST or PUT requests allowed");
    } else if (!w->o.enable_lifecycle) {
        answer_text(call, 403, "Lifecycle API is not enabled.");
    } else if (quit) {
        answer_text(call, 200, "Requesting termination... Goodbye!");
        w->o.quit(w->o.ctx);
    } else if (w->o.reload(w->o.ctx, &d)) {
        char line[800];
        diag_format(&d, line, sizeof(line));
        buf_printf(&text, "failed to reload config: %s\n", line);
        http_call_answer(call, 500, WEB_TEXT, buf_view(&text));
    } else {
        answer_text(call, 200, "");
    }
}

static void answer_dash(struct web *w, struct http_call *call, struct str path)
{
    if (str_eq(path, STR("healthy"))) {
        answer_text(call, 200, "leadline is Healthy.\n");
    } else if (str_eq(path, STR("ready"))) {
        if (w->o.ready(w->o.ctx))
            answer_text(call, 200, "leadline is Ready.\n");
        else
            answer_text(call, 503, "Service Unavailable: starting or stopping");
    } else if (str_eq(path, STR("reload"))) {
        answer_lifecycle(w, call, false);
    } else if (str_eq(path, STR("quit"))) {
        answer_lifecycle(w, call, true);
    } else {
        answer_text(call, 404, "404 page not found\n");
    }
}

/* ---- routing ---- */

static void redirect(struct web *w, struct http_call *call, const char *path)
{
    AUTO_BUF to = {0};

    buf_str(&to, w->o.route_prefix);
    buf_c(&to, path);
    http_call_header_set(call, "Location", to.p);
    answer_text(call, 302, "");
}

static void set_cors(struct web *w, struct http_call *call)
{
    struct str origin = http_call_header(call, "Origin");

    http_call_header_set(call, "Vary", "Origin");
    if (origin.n == 0)
        return;
    http_call_header_set(call, "Access-Control-Allow-Headers", "Accept, Authorization, Content-Type, Origin");
    http_call_header_set(call, "Access-Control-Allow-Methods", "GET, POST, OPTIONS");
    http_call_header_set(call, "Access-Control-Expose-Headers", "Date");
    if (str_eq(regex_pattern(w->cors), STR(".*"))) {
        http_call_header_set(call, "Access-Control-Allow-Origin", "*");
    } else if (regex_match(w->cors, origin)) {
        char *copy = str_to_c(origin);
        http_call_header_set(call, "Access-Control-Allow-Origin", copy);
        free(copy);
    }
}

static void answer_version(struct http_call *call)
{
    AUTO_BUF out = {0};
    struct json j = json_to(&out);

    api_put_build(&j);
    buf_char(&out, '\n');
    http_call_answer(call, 200, WEB_TEXT, buf_view(&out));
}

static const struct {
    const char *path, *content_type;
    web_render *render;
} pages[] = {
    {"/", WEB_HTML, web_page_status},
    {"/status", WEB_HTML, web_page_status},
    {"/agent", WEB_HTML, web_page_status},
    {"/targets", WEB_HTML, web_page_targets},
    {"/service-discovery", WEB_HTML, web_page_discovery},
    {"/relabel", WEB_HTML, web_page_relabel},
    {"/config", WEB_HTML, web_page_config},
    {"/flags", WEB_HTML, web_page_flags},
    {"/debug/", WEB_HTML, web_page_debug},
    {"/metrics", WEB_EXPOSITION, web_metrics},
};

static void route(struct web *w, struct http_call *call, struct str path)
{
    for (size_t i = 0; i < COUNT_OF(pages); i++) {
        if (str_eq_c(path, pages[i].path)) {
            web_answer_from_snapshot(w, call, pages[i].content_type, pages[i].render);
            return;
        }
    }
    if (str_starts(path, STR("/-/")))
        answer_dash(w, call, str_from(path.p + 3, path.n - 3));
    else if (str_eq(path, STR("/version")))
        answer_version(call);
    else if (str_eq(path, STR("/debug")) || str_starts(path, STR("/debug/"))) /* the original's profiles */
        redirect(w, call, "/debug/");
    else if (str_eq(path, STR("/federate")))
        answer_text(call, 500, "unsupported operation with WAL-only storage\n");
    else if (str_starts(path, STR("/api/v1/")) && str_eq(http_call_method(call), STR("OPTIONS")))
        answer_text(call, 204, ""); /* a browser asks whether it may ask */
    else if (!str_starts(path, STR("/api/v1/")) || !web_api(w, call, str_from(path.p + 8, path.n - 8)))
        answer_text(call, 404, "404 page not found\n");
}

static void handle(void *ctx, struct http_call *call)
{
    struct web *w = ctx;
    struct str path = http_call_path(call), prefix = w->o.route_prefix;

    set_cors(w, call);
    if (prefix.n == 0) {
        route(w, call, path);
    } else if (str_starts(path, prefix) && path.n > prefix.n && path.p[prefix.n] == '/') {
        route(w, call, str_from(path.p + prefix.n, path.n - prefix.n));
    } else if (str_eq(path, STR("/")) || str_eq(path, prefix)) {
        redirect(w, call, "/");
    } else {
        answer_text(call, 404, "404 page not found\n");
    }
}

/* ---- life ---- */

static enum err listen_on(struct web *w, struct str address, struct web_guard *guard, struct diag *d)
{
    struct http_server_options o = {
        .address = address,
        .max_connections = w->o.max_connections,
        .idle_timeout_s = w->o.read_timeout_s,
        .max_body = 1 << 20,
        .connections = &w->connections,
        .guard = guard,
    };
    enum err err = http_server_new(w->loop, w->o.log, &o, handle, w, &w->servers[w->n_servers], d);

    if (err)
        return err;
    w->n_servers++;
    log_info(w->o.log, "Listening on", F_STR("address", address),
             F_INT("port", http_server_port(w->servers[w->n_servers - 1])));
    if (str_starts(address, STR("unix:")))
        return OK;
    log_info(w->o.log, guard && web_guard_has_tls(guard) ? "TLS is enabled." : "TLS is disabled.",
             F_STR("address", address));
    return OK;
}

static void listen_locally(struct web *w, struct str address)
{
    struct diag d = {0};

    if (listen_on(w, address, NULL, &d))
        log_warn(w->o.log, "no socket for pages and health checks", F_STR("address", address), F_C("err", d.text));
    else
        chmod(address.p + strlen("unix:"), 0600);
}

enum err web_new(struct loop *loop, const struct web_options *o, struct web **out, struct diag *d)
{
    struct web *w = NEW(struct web);

    w->loop = loop;
    w->o = *o;
    w->title = o->page_title.n ? o->page_title : STR("leadline");
    w->servers = mem_zalloc(sizeof(struct http_server *) * (o->n_addresses + 2));
    enum err err = regex_new(o->cors_origin, &w->cors, d);
    if (!err && o->config_file && *o->config_file)
        err = web_guard_new(loop, o->log, o->config_file, &w->guard, d);
    for (uint32_t i = 0; i < o->n_addresses && !err; i++)
        err = listen_on(w, o->addresses[i], w->guard, d);
    if (!err && o->unix_socket.n)
        listen_locally(w, o->unix_socket);
    if (err) {
        web_free(w);
        return err;
    }
    *out = w;
    return OK;
}

void web_free(struct web *w)
{
    for (uint32_t i = 0; i < w->n_servers; i++)
        http_server_free(w->servers[i]);
    web_guard_free(w->guard);
    if (w->cors)
        regex_free(w->cors);
    free(w->servers);
    free(w);
}

int web_port(const struct web *w)
{
    return w->n_servers ? http_server_port(w->servers[0]) : 0;
}

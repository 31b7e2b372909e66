/* http: http_sd_configs. A list of target groups in JSON, asked for at a URL (Prometheus discovery/http).
 *
 *   GET url   Accept: application/json
 *             X-Prometheus-Refresh-Interval-Seconds: 60      so that the server knows how often to expect us
 *   200, application/json
 *   [{"targets": ["10.0.0.1:9100"], "labels": {"env": "prod"}}, ...]
 *
 * Anything else fails the refresh, and the last good groups stay: another status, another content type, a body that is
 * not wholly right. An empty list is a good answer. The refresh interval is the time limit of the exchange. The URL
 * becomes the label __meta_url, as in the original with everything that is in it; messages and pages leave out a user's
 * part and query values, which may be secret.
 */
#include "discover/group_file.h"
#include "discover/refresh.h"

#include "base/mem.h"
#include "base/num.h"
#include "base/quote.h"
#include "net/http_client.h"

struct http_discoverer {
    struct refresh refresh;
    const struct plan_http_sd *config;
    struct http_peer *peer; /* NULL: bad_url says why */
    struct diag bad_url;
    struct http_request request;
    struct http_header headers[2];
    char interval[352];
    struct buf body;
};

static struct http_discoverer *of(struct refresh *r)
{
    return CONTAINER_OF(r, struct http_discoverer, refresh);
}

/* application/json, perhaps with charset=utf-8 and nothing else. */
static bool is_json(struct str type)
{
    struct str kind, parameter;

    type = str_trim(type);
    if (!str_cut(type, ';', &kind, &parameter))
        return str_eq_nocase(type, STR("application/json"));
    while (parameter.n && (*parameter.p == ' ' || *parameter.p == '\t'))
        parameter = str_from(parameter.p + 1, parameter.n - 1);
    return str_eq_nocase(kind, STR("application/json")) &&
           (str_eq_nocase(parameter, STR("charset=utf-8")) || str_eq_nocase(parameter, STR("charset=\"utf-8\"")));
}

static enum err read_answer(struct http_discoverer *h, const struct http_response *response, struct target_groups **out,
                            struct diag *d)
{
    struct label meta = {STR("__meta_url"), h->config->url};
    struct diag parse = {0};

    if (response->err) {
        *d = response->diag;
        return response->err;
    }
    if (response->status != 200)
        return diag_set(d, ERR_NET, "server returned HTTP status %d", response->status);
    if (!is_json(response->content_type)) {
        AUTO_BUF quoted = {0};
        buf_quote(&quoted, response->content_type);
        return diag_set(d, ERR_SYNTAX, "unsupported content type %s", quoted.p);
    }
    if (group_file_parse(buf_view(&h->body), GROUP_FILE_JSON, h->config->url.p, meta, out, &parse))
        return diag_set(d, ERR_SYNTAX, "line %d, column %d of the answer: %s", parse.line, parse.col, parse.text);
    return OK;
}

static void fail(struct http_discoverer *h, const struct diag *why)
{
    struct diag d = {0};

    diag_set(&d, ERR_NET, "%s: %s", h->refresh.about.p, why->text);
    counter_inc(h->refresh.env.totals->http_failures);
    refresh_failed(&h->refresh, &d);
}

static void on_answer(struct http_request *request, const struct http_response *response)
{
    struct http_discoverer *h = CONTAINER_OF(request, struct http_discoverer, request);
    struct target_groups *groups = NULL;
    struct diag d = {0};

    if (read_answer(h, response, &groups, &d))
        fail(h, &d);
    else
        refresh_done(&h->refresh, groups);
    buf_release(&h->body); /* it may be large, and the next one is far off */
}

static void begin(struct refresh *r)
{
    struct http_discoverer *h = of(r);

    if (!h->peer) {
        fail(h, &h->bad_url);
        return;
    }
    h->request = (struct http_request){
        .method = "GET",
        .headers = h->headers,
        .n_headers = COUNT_OF(h->headers),
        .timeout_ms = h->config->refresh_ms < UINT32_MAX ? (uint32_t)h->config->refresh_ms : UINT32_MAX,
        .response_body = &h->body,
        .done = on_answer,
    };
    http_start(h->peer, &h->request);
}

static void stop(struct discoverer *self)
{
    struct http_discoverer *h = CONTAINER_OF(self, struct http_discoverer, refresh.base);

    if (h->peer)
        http_peer_free(h->peer);
    refresh_stop(&h->refresh);
    buf_release(&h->body);
    free(h);
}

static void describe(struct http_discoverer *h)
{
    struct buf *about = &h->refresh.about;
    struct http_url url;

    if (http_url_parse(h->config->url, &url, NULL)) {
        buf_c(about, "the URL");
        return;
    }
    bool six = memchr(url.host.p, ':', url.host.n) != NULL;
    buf_printf(about, six ? "%.*s://[%.*s]" : "%.*s://%.*s", STR_ARGS(url.scheme), STR_ARGS(url.host));
    if (url.port.n)
        buf_printf(about, ":%.*s", STR_ARGS(url.port));
    buf_str(about, url.path);
    if (url.query.n)
        buf_c(about, "?...");
}

struct discoverer *discover_http_new(const struct discover_env *env, struct plan *plan,
                                     const struct plan_http_sd *config, struct target_consumer *consumer)
{
    static const struct refresh_kind kind = {"http", begin, stop};
    struct http_discoverer *h = NEW(struct http_discoverer);
    size_t n = num_print_double_plain((double)config->refresh_ms / 1000, h->interval);

    refresh_start(&h->refresh, &kind, env, plan, config->refresh_ms, consumer);
    h->config = config;
    h->headers[0] = (struct http_header){.name = STR("Accept"), .value = STR("application/json")};
    h->headers[1] =
        (struct http_header){.name = STR("X-Prometheus-Refresh-Interval-Seconds"), .value = str_from(h->interval, n)};
    describe(h);
    if (http_peer_new(env->http, config->url, &config->http, &h->peer, &h->bad_url))
        h->peer = NULL;
    return &h->refresh.base;
}

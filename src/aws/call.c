/* call: one request to AWS with its retries.
 *
 *   start -> (no credentials yet: wait) -> (adaptive: wait for a token) -> sign, send -> answer
 *              ^                                ^                                          |
 *              |                                +--- back-off: throttled, 5xx, connection --+
 *              +--- expired or unknown token: one refresh, one repeat ----------------------+---> done
 *              +--- the clock was wrong by more than 4 minutes: signed again ---------------+
 *
 * What an answer means is decided once, here: callers see a whole body or an error with AWS' own words. A 2xx whose
 * body is not even of the protocol's kind (a proxy's login page) is an error too; whether it makes sense is for the
 * caller.
 *
 * Each try is signed afresh, with the credentials of that moment. The wait for credentials, at the start and after a
 * refusal, is bounded by the call's time-out.
 *
 * A struct running lives from start to done in a list of its session's calls; everything happens on its timer or in the
 * answer, so `done` is never called from inside aws_call_start. It may start, cancel and free anything: nothing of ours
 * is touched after it.
 */
#include "aws/call_int.h"

#include <openssl/rand.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"
#include "net/resolver.h"

enum {
    TIMEOUT_MS = 10000,
    NEW_KEYS_MS = 5000, /* for which a refused call waits */
    MAX_BODY = 32 * 1024 * 1024,
    MAX_HEADERS = 24,
    SHOWN_BODY = 80,
};

struct aws_calls {
    struct aws_calls_from from;
    struct aws_settings settings;
    struct arena memory; /* of the settings' text */
    struct http_options outside, direct;
    struct aws_credentials *credentials;
    bool told, none; /* there was an answer about credentials; it was: none, and why */
    struct diag why_none;
    struct aws_client *clients;
    struct running *first;
};

struct running {
    struct aws_call *call;
    struct aws_calls *calls;
    struct running *next, *prev;
    struct aws_client *client;
    bool own_credentials; /* the chain's */
    bool waits_for_keys, refreshed, throttled;
    struct aws_credentials *used; /* of the last try */
    struct timer timer;
    uint64_t started_ns, sent_ms, keys_until_ms;
    int64_t skew_ms; /* used in the last try */
    uint32_t attempts, max_attempts, retries, taken;
    char id[40], attempt[40];

    struct aws_peer *peer;
    struct http_request request;
    struct http_header headers[MAX_HEADERS];
    struct buf body, target, signature, answer;

    struct buf error_text;
    struct aws_answer outcome;
};

static void proceed(struct timer *t);

/* ---- the calls of a session ---- */

static void keep(struct aws_calls *calls, struct str *s)
{
    *s = s->n ? str_dup(&calls->memory, *s) : STR_NONE;
}

enum err aws_calls_new(const struct aws_calls_from *from, struct aws_calls **out, struct diag *d)
{
    struct aws_calls *calls = NEW(struct aws_calls);

    calls->from = *from;
    enum err err = aws_settings_read(from, &calls->settings, d);
    if (err) {
        free(calls);
        return err;
    }
    calls->settings.dual_stack |= from->dual_stack;
    keep(calls, &calls->settings.ca_bundle);
    calls->outside = (struct http_options){.tls.ca_file = calls->settings.ca_bundle, .proxy_from_environment = true};
    calls->direct = (struct http_options){.tls.ca_file = calls->settings.ca_bundle};
    *out = calls;
    return OK;
}

static void forget(struct running *r)
{
    if (r->prev)
        r->prev->next = r->next;
    else
        r->calls->first = r->next;
    if (r->next)
        r->next->prev = r->prev;
    timer_stop(&r->timer);
    r->call->state = NULL;
}

static void free_running(struct running *r)
{
    aws_credentials_unref(r->used);
    buf_release(&r->body);
    buf_release(&r->target);
    buf_release(&r->signature);
    buf_release(&r->answer);
    buf_release(&r->error_text);
    free(r);
}

static void abandon(struct running *r)
{
    forget(r);
    if (r->peer)
        aws_peer_free(r->peer);
    free_running(r);
}

void aws_calls_free(struct aws_calls *calls)
{
    if (!calls)
        return;
    while (calls->first)
        abandon(calls->first);
    while (calls->clients) {
        struct aws_client *c = calls->clients;
        calls->clients = c->next;
        aws_client_free(c);
    }
    aws_credentials_unref(calls->credentials);
    arena_release(&calls->memory);
    free(calls);
}

void aws_calls_region(struct aws_calls *calls, struct str region)
{
    calls->from.region = region;
}

void aws_calls_credentials(struct aws_calls *calls, struct aws_credentials *c, const struct diag *d)
{
    if (c)
        aws_credentials_ref(c);
    aws_credentials_unref(calls->credentials);
    calls->credentials = c;
    calls->told = true;
    calls->none = !c;
    if (!c) {
        diag_reset(&calls->why_none);
        diag_set(&calls->why_none, ERR_AUTH, "%s", d && d->text[0] ? d->text : "no AWS credentials were found");
    }
    for (struct running *r = calls->first; r; r = r->next) {
        if (r->waits_for_keys)
            timer_start(calls->from.env->loop, &r->timer, 0, proceed);
    }
}

const struct http_options *aws_calls_http_options(const struct aws_calls *calls)
{
    return &calls->outside;
}

/* ---- where a call goes ---- */

static struct aws_endpoint_options endpoint_options(const struct aws_calls *calls)
{
    return (struct aws_endpoint_options){.region = calls->from.region,
                                         .fips = calls->settings.fips,
                                         .dual_stack = calls->settings.dual_stack,
                                         .legacy_sts = calls->settings.legacy_sts};
}

enum err aws_calls_endpoint(const struct aws_calls *calls, const struct aws_service *service, struct buf *out,
                            struct diag *d)
{
    struct str url = aws_settings_endpoint(&calls->from, &calls->settings, service);
    struct aws_endpoint_options o = endpoint_options(calls);

    if (url.n) {
        buf_str(out, url);
        return OK;
    }
    return aws_endpoint(service, &o, out, d);
}

/* Proxies are for the world outside: what answers on a link-local address belongs to this machine. */
static bool is_link_local(struct str host)
{
    struct net_address a;

    if (!net_address_parse(host, &a))
        return false;
    if (a.sa.sa_family == AF_INET)
        return (ntohl(a.in.sin_addr.s_addr) >> 16) == 0xA9FE;
    const uint8_t *b = a.in6.sin6_addr.s6_addr;
    return (b[0] == 0xFE && (b[1] & 0xC0) == 0x80) || (b[0] == 0xFD && b[1] == 0 && b[2] == 0x0E && b[3] == 0xC2);
}

static enum err find_client(struct aws_calls *calls, const struct aws_call *call, struct aws_client **out,
                            struct diag *d)
{
    bool data = call->service == &aws_servicediscovery && str_starts(str_c(call->operation), STR("Discover"));
    AUTO_BUF url = {0};

    for (struct aws_client *c = calls->clients; c; c = c->next) {
        if (c->service == call->service && c->data == data && c->own_options == call->http &&
            str_eq_c(call->endpoint, c->asked_for)) {
            *out = c;
            return OK;
        }
    }
    if (call->endpoint.n) {
        buf_str(&url, call->endpoint);
    } else {
        enum err err = aws_calls_endpoint(calls, data ? &aws_servicediscovery_data : call->service, &url, d);
        if (err)
            return err;
    }
    struct diag why = {0};
    struct aws_client *c = aws_client_new(calls->from.env, call->service, buf_view(&url), &why);
    if (!c)
        return diag_set(d, ERR_SYNTAX, "the endpoint's URL: %s", why.text);
    c->asked_for = str_to_c(call->endpoint);
    c->data = data;
    c->own_options = call->http;
    c->options = call->http ? call->http : is_link_local(c->parts.host) ? &calls->direct : &calls->outside;
    c->next = calls->clients;
    calls->clients = c;
    *out = c;
    return OK;
}

void aws_calls_forget_http(struct aws_calls *calls, const struct http_options *http)
{
    for (struct aws_client **at = &calls->clients; http && *at;) {
        struct aws_client *c = *at;
        if (c->own_options != http) {
            at = &c->next;
            continue;
        }
        *at = c->next;
        aws_client_free(c);
    }
}

/* ---- the end ---- */

static void finish(struct running *r, enum err err)
{
    struct aws_call *call = r->call;
    struct aws_answer *a = &r->outcome;

    a->err = err;
    a->attempts = r->attempts;
    a->throttled = r->throttled;
    if (r->client) {
        double seconds = (double)(clock_mono_ns() - r->started_ns) / 1e9;
        char status[24];
        struct str code = a->code;
        if (!code.n && a->status)
            code = str_from(status, num_print_u64((uint64_t)a->status, status));
        else if (!code.n)
            code = str_c(err_name(err));
        aws_client_count(r->client, call->operation, code, seconds);
    }
    forget(r);
    call->done(call, a);
    free_running(r);
}

/* With the diag's text behind the call's name. */
static void fail(struct running *r, enum err err, const struct diag *d)
{
    diag_reset(&r->outcome.diag);
    diag_set(&r->outcome.diag, err, "%s %s: %s", r->call->service->endpoint, r->call->operation, d->text);
    finish(r, err);
}

/* ---- one try ---- */

static void add_header(struct running *r, const char *name, struct str value)
{
    CHECK(r->request.n_headers < MAX_HEADERS);
    r->headers[r->request.n_headers++] = (struct http_header){.name = str_c(name), .value = value};
}

static void compose(struct running *r)
{
    const struct aws_call *c = r->call;
    const struct aws_service *s = c->service;

    r->request.n_headers = 0;
    buf_clear(&r->body);
    buf_clear(&r->target);
    add_header(r, "Host", str_c(r->client->host));
    switch (s->protocol) {
    case AWS_JSON_1_0:
    case AWS_JSON_1_1:
        buf_printf(&r->target, "%s.%s", s->target, c->operation);
        add_header(r, "X-Amz-Target", buf_view(&r->target));
        add_header(r, "Content-Type",
                   s->protocol == AWS_JSON_1_0 ? STR("application/x-amz-json-1.0") : STR("application/x-amz-json-1.1"));
        if (s == &aws_cloudwatch)
            add_header(r, "X-Amzn-Query-Mode", STR("true"));
        r->request.body = c->body.n ? c->body : STR("{}");
        break;
    case AWS_QUERY:
    case AWS_EC2:
        buf_printf(&r->body, "Action=%s&Version=%s%s", c->operation, s->version, c->body.n ? "&" : "");
        buf_str(&r->body, c->body);
        add_header(r, "Content-Type", STR("application/x-www-form-urlencoded; charset=utf-8"));
        r->request.body = buf_view(&r->body);
        break;
    case AWS_REST_JSON:
        if (c->body.n)
            add_header(r, "Content-Type", STR("application/json"));
        r->request.body = c->body;
        break;
    }
    for (int i = 0; i < c->n_headers && r->request.n_headers < MAX_HEADERS - 6; i++)
        r->headers[r->request.n_headers++] = c->headers[i];
}

static enum err sign(struct running *r, struct str url, struct diag *d)
{
    struct aws_endpoint_options o = endpoint_options(r->calls);
    struct http_url parts;
    int n = 0;

    enum err err = http_url_parse(url, &parts, d);
    if (err)
        return err;
    o.endpoint = r->call->endpoint;
    if (!o.endpoint.n)
        o.endpoint = aws_settings_endpoint(&r->calls->from, &r->calls->settings, r->call->service);
    r->skew_ms = aws_skew_of(r->calls->from.skews, parts.host);
    struct sigv4_request q = {.method = r->request.method,
                              .path = parts.path,
                              .query = parts.query,
                              .headers = r->headers,
                              .n_headers = r->request.n_headers,
                              .body = r->request.body,
                              .region = aws_signing_region(r->call->service, &o),
                              .service = str_c(r->call->service->name),
                              .time_ms = clock_wall_ms() + r->skew_ms};
    buf_clear(&r->signature);
    err = sigv4_sign(&r->client->key, &q, r->used, &r->signature, r->headers + r->request.n_headers, &n, d);
    r->request.n_headers += n;
    return err;
}

static void on_response(struct http_request *request, const struct http_response *response);

static enum err send_now(struct running *r, struct diag *d)
{
    const struct aws_call *c = r->call;
    bool rest = c->service->protocol == AWS_REST_JSON;
    AUTO_BUF url = {0};

    r->request.method = rest && c->method.n ? c->method.p : "POST";
    compose(r);
    buf_c(&url, r->client->url);
    if (rest && c->path.n) {
        while (url.n && url.p[url.n - 1] == '/')
            url.n--;
        buf_str(&url, c->path);
    }
    enum err err = c->is_unsigned ? OK : sign(r, buf_view(&url), d);
    if (!err)
        err = aws_client_take(r->client, rest ? c->path : STR_NONE, &r->peer, d);
    if (err)
        return err;
    r->attempts++;
    snprintf(r->attempt, sizeof(r->attempt), "attempt=%u; max=%u", r->attempts, r->max_attempts);
    add_header(r, "amz-sdk-invocation-id", str_c(r->id));
    add_header(r, "amz-sdk-request", str_c(r->attempt));
    r->request.headers = r->headers;
    r->request.timeout_ms = c->timeout_ms ? c->timeout_ms : TIMEOUT_MS;
    r->request.max_body = MAX_BODY;
    r->request.response_body = &r->answer;
    r->request.done = on_response;
    r->sent_ms = clock_mono_ms();
    http_start(r->peer->http, &r->request);
    return OK;
}

/* ---- waiting ---- */

static void wait_ms(struct running *r, uint64_t ms)
{
    timer_start(r->calls->from.env->loop, &r->timer, ms, proceed);
}

static bool same_keys(const struct aws_credentials *a, const struct aws_credentials *b)
{
    return a && b && str_eq(a->access_key, b->access_key) && str_eq(a->secret_key, b->secret_key) &&
           str_eq(a->session_token, b->session_token);
}

/* Chooses the credentials of this try. ERR_AGAIN: it waits for them. */
static enum err take_credentials(struct running *r, struct diag *d)
{
    struct aws_calls *calls = r->calls;
    bool refused = r->waits_for_keys && r->used;

    if (r->call->is_unsigned || r->own_credentials)
        return OK;
    r->waits_for_keys = false;
    if (refused && (!calls->credentials || same_keys(calls->credentials, r->used)))
        return ERR_AUTH; /* the answer that stands says why */
    if (calls->credentials) {
        aws_credentials_unref(r->used);
        r->used = aws_credentials_ref(calls->credentials);
        return OK;
    }
    uint64_t now = clock_mono_ms();
    if (calls->none)
        return diag_set(d, ERR_AUTH, "%s", calls->why_none.text);
    if (now >= r->keys_until_ms)
        return diag_set(d, ERR_AUTH, "AWS credentials are still being looked for");
    r->waits_for_keys = true;
    wait_ms(r, r->keys_until_ms - now);
    return ERR_AGAIN;
}

static double now_s(void)
{
    return (double)clock_mono_ns() / 1e9;
}

static void proceed(struct timer *t)
{
    struct running *r = CONTAINER_OF(t, struct running, timer);
    struct diag d = {0};
    enum err err = OK;

    if (!r->client)
        err = find_client(r->calls, r->call, &r->client, &d);
    if (!err)
        err = take_credentials(r, &d);
    if (err == ERR_AGAIN)
        return;
    if (err && r->attempts && !d.text[0]) {
        finish(r, r->outcome.err);
        return;
    }
    if (!err && r->calls->settings.retry_mode == AWS_RETRY_ADAPTIVE) {
        double wait_s = aws_rate_wait_s(&r->client->rate, now_s());
        if (wait_s > 0) {
            wait_ms(r, (uint64_t)(wait_s * 1e3) + 1);
            return;
        }
    }
    if (!err)
        err = send_now(r, &d);
    if (err)
        fail(r, err, &d);
}

/* ---- the answer ---- */

static uint64_t random_u64(void)
{
    uint64_t v = 0;

    CHECK(RAND_bytes((unsigned char *)&v, sizeof(v)) == 1);
    return v;
}

static struct str field(const struct http_response *response, const char *name)
{
    for (int i = 0; i < response->n_headers; i++) {
        if (str_eq_nocase(response->headers[i].name, str_c(name)))
            return response->headers[i].value;
    }
    return STR_NONE;
}

/* Whether there may be another try after this failure; if so it is under way. */
static bool retry(struct running *r, enum aws_failure failure, struct str asked_for)
{
    uint64_t asked_ms = 0;

    if (r->attempts >= r->max_attempts)
        return false;
    uint32_t taken = aws_quota_take(&r->client->quota, failure);
    if (!taken)
        return false;
    r->taken = taken;
    if (num_parse_u64(asked_for, &asked_ms) != OK)
        asked_ms = 0;
    counter_inc(r->client->retries);
    wait_ms(r, aws_backoff_ms(failure, r->retries++, random_u64(), asked_ms));
    return true;
}

static void on_no_answer(struct running *r, const struct http_response *response)
{
    enum err err = response->err;
    const struct aws_settings *s = &r->calls->settings;
    bool final = err == ERR_CANCELED || err == ERR_LIMIT || err == ERR_SYNTAX;

    if (!final && retry(r, err == ERR_TIMEOUT ? AWS_FAILED_TIMEOUT : AWS_FAILED_TRANSIENT, STR_NONE))
        return;
    struct diag d = response->diag;
    if (err == ERR_NET && (s->fips || s->dual_stack) && str_contains(str_c(d.text), STR("no such host"))) {
        diag_reset(&d);
        diag_set(&d, err, "%s (there may be no %s%s%s endpoint of this service in %.*s)", response->diag.text,
                 s->fips ? "FIPS" : "", s->fips && s->dual_stack ? " and " : "", s->dual_stack ? "dual-stack" : "",
                 STR_ARGS(r->calls->from.region));
    }
    r->outcome.code = STR_NONE;
    r->outcome.status = 0;
    fail(r, err, &d);
}

/* The first and last byte tell a proxy's page from an answer, and a cut answer from a whole one. */
static bool body_is_of(enum aws_protocol protocol, struct str body)
{
    struct str s = str_trim(body);
    bool xml = protocol == AWS_QUERY || protocol == AWS_EC2;

    if (s.n == 0)
        return !xml;
    return s.p[0] == (xml ? '<' : '{') && s.p[s.n - 1] == (xml ? '>' : '}') &&
           !(xml && s.n > 5 && str_eq_nocase(str_from(s.p, 5), STR("<html")));
}

static void on_success(struct running *r)
{
    struct aws_answer *a = &r->outcome;

    aws_quota_give(&r->client->quota, r->taken);
    aws_rate_answered(&r->client->rate, now_s(), false);
    r->throttled = false;
    a->code = a->message = STR_NONE;
    a->body = buf_view(&r->answer);
    diag_reset(&a->diag);
    if (body_is_of(r->call->service->protocol, a->body)) {
        finish(r, OK);
        return;
    }
    struct diag d = {0};
    AUTO_BUF shown = {0};
    for (size_t i = 0; i < a->body.n && shown.n < SHOWN_BODY; i++)
        buf_char(&shown, a->body.p[i] >= ' ' && a->body.p[i] <= '~' ? a->body.p[i] : '.');
    diag_set(&d, ERR_SYNTAX, "status %d with a body that is no answer of AWS: \"%.*s\"", a->status,
             STR_ARGS(buf_view(&shown)));
    a->body = STR_NONE;
    a->code = STR("garbage");
    fail(r, ERR_SYNTAX, &d);
}

static enum err err_of(struct str code, int status, bool throttled)
{
    if (throttled)
        return ERR_LIMIT;
    if (status == 401 || status == 403 || aws_error_is_refused(code) || aws_error_is_skew(code) ||
        str_starts(code, STR("AccessDenied")) || str_eq_c(code, "UnauthorizedOperation"))
        return ERR_AUTH;
    if (status == 404 || str_ends(code, STR("NotFound")) || str_ends(code, STR("NotFoundException")))
        return ERR_NOT_FOUND;
    return status >= 500 ? ERR_NET : ERR_SYNTAX;
}

/* What the answer says, into r->outcome. */
static void read_error(struct running *r, const struct http_response *response)
{
    struct aws_answer *a = &r->outcome;
    struct aws_error e;

    buf_clear(&r->error_text);
    aws_error_parse(r->call->service->protocol, response->status, response->headers, response->n_headers,
                    buf_view(&r->answer), &r->error_text, &e);
    a->code = e.code;
    a->message = e.message;
    a->body = buf_view(&r->answer);
    a->retry_after_ms = http_retry_after_ms(response->retry_after, clock_wall_ms());
    r->throttled = aws_error_is_throttling(r->call->service, e.code, response->status);
    a->err = err_of(e.code, response->status, r->throttled);
    diag_reset(&a->diag);
    diag_set(&a->diag, a->err, "%s %s: %.*s%s%.*s (HTTP status %d%s%.*s)", r->call->service->endpoint,
             r->call->operation, STR_ARGS(e.code), e.message.n ? ": " : "", STR_ARGS(e.message), response->status,
             e.request_id.n ? ", request id " : "", STR_ARGS(e.request_id));
}

static bool clock_was_wrong(struct running *r, const struct http_response *response)
{
    struct str date = field(response, "age").n ? STR_NONE : response->date;

    return !r->call->is_unsigned && aws_error_is_skew(r->outcome.code) &&
           aws_skew_seen(r->calls->from.skews, r->client->parts.host, date, clock_wall_ms(),
                         clock_mono_ms() - r->sent_ms, r->skew_ms);
}

/* One refresh and one repeat: with what has been found meanwhile, or is found in the next seconds. */
static bool wait_for_new_keys(struct running *r)
{
    struct aws_calls *calls = r->calls;

    if (r->refreshed || r->own_credentials || r->call->is_unsigned || !aws_error_is_refused(r->outcome.code))
        return false;
    r->refreshed = true;
    if (!calls->credentials || same_keys(calls->credentials, r->used)) {
        r->waits_for_keys = true;
        wait_ms(r, NEW_KEYS_MS);
        if (calls->from.refused)
            calls->from.refused(calls->from.ctx);
        return true;
    }
    wait_ms(r, 0);
    return true;
}

static void on_error(struct running *r, const struct http_response *response)
{
    read_error(r, response);
    aws_rate_answered(&r->client->rate, now_s(), r->throttled);
    if (clock_was_wrong(r, response) && r->attempts < r->max_attempts + 1) {
        wait_ms(r, 0);
        return;
    }
    if (wait_for_new_keys(r))
        return;
    struct str asked_for = field(response, "x-amz-retry-after");
    if (r->throttled && retry(r, AWS_FAILED_THROTTLED, asked_for))
        return;
    if (!r->throttled && aws_error_is_transient(r->outcome.code, response->status) &&
        retry(r, AWS_FAILED_TRANSIENT, asked_for))
        return;
    finish(r, r->outcome.err);
}

static void on_response(struct http_request *request, const struct http_response *response)
{
    struct running *r = CONTAINER_OF(request, struct running, request);
    struct aws_peer *peer = r->peer;

    r->peer = NULL;
    r->outcome.status = response->status;
    r->outcome.connected = response->err == OK || response->connected;
    r->outcome.retry_after_ms = 0;
    if (aws_client_give(r->client, peer))
        peer = NULL;
    if (response->err)
        on_no_answer(r, response);
    else if (response->status >= 200 && response->status < 300)
        on_success(r);
    else
        on_error(r, response);
    /* r may be gone; the answer's views were the peer's */
    if (peer)
        aws_peer_free(peer);
}

/* ---- start and cancel ---- */

static void make_id(char out[40])
{
    uint8_t b[16];

    CHECK(RAND_bytes(b, sizeof(b)) == 1);
    b[6] = (uint8_t)((b[6] & 0x0F) | 0x40);
    b[8] = (uint8_t)((b[8] & 0x3F) | 0x80);
    snprintf(out, 40, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2], b[3],
             b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

static struct running *start(struct aws_calls *calls, struct aws_call *c)
{
    struct running *r = NEW(struct running);
    uint32_t timeout_ms = c->timeout_ms ? c->timeout_ms : TIMEOUT_MS;

    r->call = c;
    r->calls = calls;
    r->started_ns = clock_mono_ns();
    r->keys_until_ms = clock_mono_ms() + timeout_ms;
    r->max_attempts = c->max_attempts ? c->max_attempts : calls->settings.max_attempts;
    make_id(r->id);
    r->next = calls->first;
    if (r->next)
        r->next->prev = r;
    calls->first = r;
    c->state = r;
    wait_ms(r, 0);
    return r;
}

void aws_calls_start(struct aws_calls *calls, struct aws_call *c)
{
    start(calls, c);
}

void aws_calls_start_as(struct aws_calls *calls, struct aws_call *c, struct aws_credentials *credentials)
{
    struct running *r = start(calls, c);

    r->own_credentials = true;
    if (credentials)
        r->used = aws_credentials_ref(credentials);
    CHECK(credentials || c->is_unsigned);
}

void aws_calls_cancel(struct aws_calls *calls, struct aws_call *c)
{
    (void)calls;
    if (c->state)
        abandon(c->state);
}

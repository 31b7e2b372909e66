/* oauth2: where access tokens come from.
 *
 *   oauth2_get --valid--> "Bearer x"
 *      | none, expired, refused, another secret
 *      v
 *   fetch (one at a time) --POST token_url--> {"access_token", "token_type", "expires_in"} --> everybody who waits
 *
 * A source belongs to all peers of one client whose options say the same, so that a job of a thousand targets has one
 * token. It asks through a peer of the same client, with the TLS and proxy of its own. A token is taken for valid until
 * 10 s before its end, as golang's oauth2 does; what that library does not do: in the last tenth of its life the next
 * one is fetched while requests go on with this one, and when a server refuses a token that should be good a new one is
 * fetched, at most once a minute.
 *
 * Client credentials are first sent as basic auth, and when that is refused in the form; what worked is kept for the
 * source's life (the probe of golang's oauth2). A failure is remembered for a second, so that the targets of a job do
 * not each ask a server that is down.
 *
 * Errors speak in that library's words. Token, secret and key reach no text; of an answer that refuses, its error code
 * and description do, or its first bytes.
 *
 * Thread: the client's loop.
 */
#include "net/oauth2.h"

#include <openssl/evp.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/mem.h"
#include "net/credentials.h"
#include "net/http_client_int.h"
#include "net/jwt.h"
#include "net/oauth2_answer.h"

enum {
    FETCH_TIMEOUT_MS = 30 * 1000,
    MAX_ANSWER_BYTES = 1 << 20,
    EXPIRY_DELTA_MS = 10 * 1000,
    FAILURE_KEPT_MS = 1000,
    REFUSALS_APART_MS = 60 * 1000,
};

enum style { STYLE_UNKNOWN, STYLE_HEADER, STYLE_FORM };

struct oauth2_source {
    struct http_client *client;
    struct oauth2_source *next;
    uint32_t refs;
    struct arena arena; /* of the options */
    struct oauth2_options options;
    struct http_options http;
    struct http_peer *peer; /* NULL: the URL cannot be asked, `failure` says why */

    bool fetching;
    enum style style, tried;
    struct http_request request;
    struct http_header fields[3];
    struct buf form, basic, answer;
    struct buf secret; /* the one of the last fetch */

    struct buf token;               /* "Bearer x"; empty: none */
    uint64_t renew_ms, expires_ms;  /* of the loop's clock; UINT64_MAX: never */
    uint64_t failed_ms, refused_ms; /* 0: never */
    enum err failed;
    struct diag failure;
    struct oauth2_waiter *first, **last;
};

/* ---- options ---- */

static struct str copy(struct arena *a, struct str s)
{
    return s.n ? str_dup(a, s) : STR_NONE;
}

static void copy_http(struct arena *a, const struct http_options *from, struct http_options *to)
{
    const struct tls_options *t = &from->tls;
    *to = (struct http_options){
        .tls = {.ca = copy(a, t->ca),
                .ca_file = copy(a, t->ca_file),
                .cert = copy(a, t->cert),
                .cert_file = copy(a, t->cert_file),
                .key = copy(a, t->key),
                .key_file = copy(a, t->key_file),
                .server_name = copy(a, t->server_name),
                .insecure_skip_verify = t->insecure_skip_verify,
                .min_version = t->min_version,
                .max_version = t->max_version},
        .proxy_url = copy(a, from->proxy_url),
        .no_proxy = copy(a, from->no_proxy),
        .proxy_from_environment = from->proxy_from_environment,
        .proxy_connect_headers = ARENA_ARRAY(a, struct http_header, from->n_proxy_connect_headers + 1),
        .n_proxy_connect_headers = from->n_proxy_connect_headers,
        .follow_redirects = true,
    };
    for (int i = 0; i < from->n_proxy_connect_headers; i++) {
        const struct http_header *h = &from->proxy_connect_headers[i];
        to->proxy_connect_headers[i] =
            (struct http_header){.name = copy(a, h->name), .value = copy(a, h->value), .secret = true};
    }
}

static void copy_lists(struct arena *a, const struct oauth2_options *from, struct oauth2_options *to)
{
    to->scopes = ARENA_ARRAY(a, struct str, from->n_scopes + 1);
    for (int i = 0; i < from->n_scopes; i++)
        to->scopes[i] = copy(a, from->scopes[i]);
    to->endpoint_params = ARENA_ARRAY(a, struct http_param, from->n_endpoint_params + 1);
    for (int i = 0; i < from->n_endpoint_params; i++) {
        const struct http_param *p = &from->endpoint_params[i];
        to->endpoint_params[i] = (struct http_param){.name = copy(a, p->name), .value = copy(a, p->value)};
    }
}

static void copy_options(struct oauth2_source *s, const struct oauth2_options *from)
{
    static const struct http_options no_http = {.follow_redirects = true};
    struct arena *a = &s->arena;
    struct oauth2_options *to = &s->options;
    *to = (struct oauth2_options){
        .grant = from->grant,
        .client_id = copy(a, from->client_id),
        .client_secret = copy(a, from->client_secret),
        .client_secret_file = copy(a, from->client_secret_file),
        .client_certificate_key = copy(a, from->client_certificate_key),
        .client_certificate_key_file = copy(a, from->client_certificate_key_file),
        .client_certificate_key_id = copy(a, from->client_certificate_key_id),
        .signature_algorithm = copy(a, from->signature_algorithm),
        .iss = copy(a, from->iss),
        .audience = copy(a, from->audience),
        .claims_json = copy(a, from->claims_json),
        .n_scopes = from->n_scopes,
        .token_url = copy(a, from->token_url),
        .n_endpoint_params = from->n_endpoint_params,
        .http = &s->http,
    };
    copy_lists(a, from, to);
    copy_http(a, from->http ? from->http : &no_http, &s->http);
}

/* ---- what ends a fetch ---- */

static void wipe(struct buf *b)
{
    if (b->p)
        explicit_bzero(b->p, b->cap);
    buf_clear(b);
}

/* Nobody of those who wait runs its own user's code below: the client holds what ends. */
static void wake(struct oauth2_source *s, enum err err)
{
    struct http_client *c = s->client;
    s->fetching = false;
    wipe(&s->form);
    wipe(&s->basic);
    wipe(&s->answer);
    c->holding++;
    s->refs++;
    while (s->first) {
        struct oauth2_waiter *w = s->first;
        oauth2_stop_waiting(w);
        w->fn(w, err, &s->failure);
    }
    c->holding--;
    oauth2_source_unref(s);
}

static void fetch_failed(struct oauth2_source *s, enum err err)
{
    s->failed = err;
    s->failed_ms = loop_now_ms(s->client->loop);
    wake(s, err);
}

/* ---- the answer ---- */

static void keep(struct oauth2_source *s, const struct oauth2_token *g)
{
    uint64_t now = loop_now_ms(s->client->loop);
    wipe(&s->token);
    buf_str(&s->token, buf_view(&g->authorization));
    s->renew_ms = s->expires_ms = UINT64_MAX;
    if (g->life_ms) {
        s->expires_ms = now + g->life_ms;
        s->renew_ms = s->expires_ms - g->life_ms / 10;
    }
}

static enum err take_answer(struct oauth2_source *s, const struct http_response *response)
{
    struct oauth2_token g = {0};
    bool form = s->options.grant == OAUTH2_CLIENT_CREDENTIALS;
    enum err err =
        oauth2_answer_parse(response->status, response->content_type, buf_view(response->body), form, &g, &s->failure);
    if (!err)
        keep(s, &g);
    oauth2_token_release(&g);
    return err;
}

/* ---- asking ---- */

static void ask(struct oauth2_source *s);

/* The URL without a user's part. */
static void print_url(struct buf *out, struct str url)
{
    struct http_url u;
    if (http_url_parse(url, &u, NULL) != OK)
        return;
    buf_printf(out, "%.*s://", STR_ARGS(u.scheme));
    http_url_print_host(out, &u);
    http_url_print_target(out, &u);
}

static void answered(struct http_request *r, const struct http_response *response)
{
    struct oauth2_source *s = CONTAINER_OF(r, struct oauth2_source, request);
    diag_reset(&s->failure);
    if (response->err) {
        AUTO_BUF url = {0};
        print_url(&url, s->options.token_url);
        diag_set(&s->failure, response->err, "Post \"%s\": %s", url.p ? url.p : "", response->diag.text);
        fetch_failed(s, response->err);
        return;
    }
    enum err err = take_answer(s, response);
    if (!err) {
        s->style = s->tried;
        s->failed_ms = 0;
        wake(s, OK);
    } else if (s->options.grant == OAUTH2_CLIENT_CREDENTIALS && s->style == STYLE_UNKNOWN && s->tried == STYLE_HEADER) {
        s->tried = STYLE_FORM;
        ask(s);
    } else {
        fetch_failed(s, err);
    }
}

static int compare_params(const void *a, const void *b)
{
    return str_cmp(((const struct http_param *)a)->name, ((const struct http_param *)b)->name);
}

struct form {
    struct arena arena;
    struct http_param *v;
    int n;
};

static void form_set(struct form *f, const char *name, struct str value)
{
    f->v[f->n++] = (struct http_param){.name = str_c(name), .value = value};
}

/* The user's parameters come on top; only the kind of grant may be replaced. */
static enum err form_add_params(struct oauth2_source *s, struct form *f)
{
    int own = f->n;
    for (int i = 0; i < s->options.n_endpoint_params; i++) {
        const struct http_param *p = &s->options.endpoint_params[i];
        int at = 0;
        while (at < own && !str_eq(f->v[at].name, p->name))
            at++;
        if (at < own && !str_eq_c(p->name, "grant_type"))
            return diag_set(&s->failure, ERR_AUTH, "oauth2: cannot overwrite parameter \"%.*s\"", STR_ARGS(p->name));
        f->v[at < own ? at : f->n++] = *p;
    }
    return OK;
}

static void form_print(const struct form *f, struct buf *out)
{
    qsort(f->v, (size_t)f->n, sizeof(*f->v), compare_params);
    for (int i = 0; i < f->n; i++) {
        buf_c(out, i ? "&" : "");
        http_query_escape(out, f->v[i].name);
        buf_char(out, '=');
        http_query_escape(out, f->v[i].value);
    }
}

static struct str joined_scopes(struct oauth2_source *s, struct arena *a)
{
    AUTO_BUF b = {0};
    for (int i = 0; i < s->options.n_scopes; i++) {
        buf_c(&b, i ? " " : "");
        buf_str(&b, s->options.scopes[i]);
    }
    return b.n ? str_dup(a, buf_view(&b)) : STR_NONE;
}

static enum err form_fill(struct oauth2_source *s, struct form *f, struct buf *assertion)
{
    const struct oauth2_options *o = &s->options;
    struct str scopes = joined_scopes(s, &f->arena);
    f->v = ARENA_ARRAY(&f->arena, struct http_param, o->n_endpoint_params + 5);
    if (scopes.n)
        form_set(f, "scope", scopes);
    if (o->grant == OAUTH2_JWT_BEARER) {
        enum err err = jwt_sign(o, buf_view(&s->secret), clock_wall_ms() / 1000, assertion, &s->failure);
        if (err)
            return err;
        form_set(f, "grant_type", STR("urn:ietf:params:oauth:grant-type:jwt-bearer"));
        form_set(f, "assertion", buf_view(assertion));
        return form_add_params(s, f);
    }
    form_set(f, "grant_type", STR("client_credentials"));
    enum err err = form_add_params(s, f);
    if (!err && s->tried == STYLE_FORM) {
        form_set(f, "client_id", o->client_id);
        if (s->secret.n)
            form_set(f, "client_secret", buf_view(&s->secret));
    }
    return err;
}

/* Both halves escaped, as RFC 6749 2.3.1 has it. */
static void print_basic(struct oauth2_source *s)
{
    struct buf pair = {0};
    http_query_escape(&pair, s->options.client_id);
    buf_char(&pair, ':');
    http_query_escape(&pair, buf_view(&s->secret));
    wipe(&s->basic);
    buf_c(&s->basic, "Basic ");
    buf_reserve(&s->basic, (pair.n + 2) / 3 * 4 + 1);
    s->basic.n +=
        (size_t)EVP_EncodeBlock((unsigned char *)s->basic.p + s->basic.n, (const unsigned char *)pair.p, (int)pair.n);
    wipe(&pair);
    buf_release(&pair);
}

static void ask(struct oauth2_source *s)
{
    struct form f = {0};
    struct buf assertion = {0};
    bool basic = s->options.grant == OAUTH2_CLIENT_CREDENTIALS && s->tried == STYLE_HEADER;
    diag_reset(&s->failure);
    enum err err = form_fill(s, &f, &assertion);
    wipe(&s->form);
    if (!err)
        form_print(&f, &s->form);
    wipe(&assertion);
    buf_release(&assertion);
    arena_release(&f.arena);
    if (err) {
        fetch_failed(s, err);
        return;
    }
    if (basic)
        print_basic(s);
    s->fields[0] = (struct http_header){.name = STR("Content-Type"), .value = STR("application/x-www-form-urlencoded")};
    s->fields[1] = (struct http_header){.name = STR("Authorization"), .value = buf_view(&s->basic), .secret = true};
    s->request = (struct http_request){
        .method = "POST",
        .headers = s->fields,
        .n_headers = basic ? 2 : 1,
        .body = buf_view(&s->form),
        .timeout_ms = FETCH_TIMEOUT_MS,
        .max_body = MAX_ANSWER_BYTES,
        .response_body = &s->answer,
        .done = answered,
    };
    http_start(s->peer, &s->request);
}

static void fetch(struct oauth2_source *s)
{
    s->fetching = true;
    s->tried = s->style == STYLE_UNKNOWN ? STYLE_HEADER : s->style;
    ask(s);
}

/* ---- interface ---- */

struct oauth2_source *oauth2_source_get(struct http_client *c, const struct oauth2_options *o)
{
    for (struct oauth2_source *s = c->tokens; s; s = s->next) {
        if (oauth2_options_eq(&s->options, o)) {
            s->refs++;
            return s;
        }
    }
    struct oauth2_source *s = NEW(struct oauth2_source);
    s->client = c;
    s->refs = 1;
    s->last = &s->first;
    copy_options(s, o);
    diag_reset(&s->failure);
    s->failed = http_peer_new(c, s->options.token_url, &s->http, &s->peer, &s->failure);
    if (s->failed)
        s->peer = NULL;
    s->next = c->tokens;
    c->tokens = s;
    return s;
}

void oauth2_source_unref(struct oauth2_source *s)
{
    if (!s || --s->refs > 0)
        return;
    struct oauth2_source **at = &s->client->tokens;
    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    struct buf *const secret[] = {&s->form, &s->basic, &s->answer, &s->secret, &s->token};
    http_peer_free(s->peer);
    for (size_t i = 0; i < COUNT_OF(secret); i++) {
        wipe(secret[i]);
        buf_release(secret[i]);
    }
    arena_release(&s->arena);
    free(s);
}

static enum err read_secret(struct oauth2_source *s, uint64_t now_ms, struct str *out, struct diag *d)
{
    const struct oauth2_options *o = &s->options;
    bool jwt = o->grant == OAUTH2_JWT_BEARER;
    return credentials_secret(s->client->credentials, jwt ? o->client_certificate_key : o->client_secret,
                              jwt ? o->client_certificate_key_file : o->client_secret_file, now_ms,
                              "oauth2 client secret", out, d);
}

enum err oauth2_get(struct oauth2_source *s, struct buf *out, struct diag *d)
{
    uint64_t now = loop_now_ms(s->client->loop);
    struct str secret;
    if (!s->peer)
        return diag_set(d, s->failed, "%s", s->failure.text);
    enum err err = read_secret(s, now, &secret, d);
    if (err)
        return err;
    if (!s->fetching && !str_eq(secret, buf_view(&s->secret))) {
        wipe(&s->token);
        wipe(&s->secret);
        buf_str(&s->secret, secret);
        s->failed_ms = 0;
    }
    bool failed_now = s->failed_ms && now - s->failed_ms < FAILURE_KEPT_MS;
    bool valid = s->token.n && (s->expires_ms == UINT64_MAX || now + EXPIRY_DELTA_MS < s->expires_ms);
    if (valid) {
        buf_str(out, buf_view(&s->token));
        if (now >= s->renew_ms && !s->fetching && !failed_now)
            fetch(s);
        return OK;
    }
    if (!s->fetching && failed_now)
        return diag_set(d, s->failed, "%s", s->failure.text);
    if (!s->fetching)
        fetch(s);
    if (!s->fetching) /* it has failed before anything was sent */
        return diag_set(d, s->failed, "%s", s->failure.text);
    return ERR_AGAIN;
}

void oauth2_take(const struct oauth2_source *s, struct buf *out)
{
    buf_str(out, buf_view(&s->token));
}

void oauth2_wait(struct oauth2_source *s, struct oauth2_waiter *w)
{
    w->source = s;
    w->next = NULL;
    *s->last = w;
    s->last = &w->next;
}

void oauth2_stop_waiting(struct oauth2_waiter *w)
{
    struct oauth2_source *s = w->source;
    if (!s)
        return;
    struct oauth2_waiter **at = &s->first;
    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
    if (!*at)
        s->last = at;
    w->source = NULL;
}

bool oauth2_refused(struct oauth2_source *s, struct str authorization)
{
    uint64_t now = loop_now_ms(s->client->loop);
    if (s->token.n && !str_eq(buf_view(&s->token), authorization))
        return true; /* there is another one by now */
    if (s->refused_ms && now - s->refused_ms < REFUSALS_APART_MS)
        return false;
    s->refused_ms = now;
    wipe(&s->token);
    return true;
}

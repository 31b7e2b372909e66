/* http_fields: the fields of a request, gathered where they are written, and what signs them.
 *
 *   Host, User-Agent                        unless given
 *   the options' headers                    unless the request has one of the same name; files read, if changed
 *   the request's headers
 *   Authorization                           from credentials.c or oauth2.c
 *   the signer's fields                     in place of all of the same names
 *
 * Nothing is copied on the way to the transport: each field is handed to a function. Only a signer gets them as an
 * array, which is built in memory of the client and wiped behind it. It sees path and query as they are sent.
 *
 * A request that a redirect has led elsewhere takes nothing secret along. Names and values are checked before anything
 * is sent, since a line break in one of them would be a field of somebody else's making.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "net/credentials.h"
#include "net/http_client_int.h"

static bool has_field(const struct http_header *h, int n, struct str name)
{
    for (int i = 0; i < n; i++) {
        if (str_eq_nocase(h[i].name, name)) {
            return true;
        }
    }
    return false;
}

bool exchange_has_field(const struct exchange *x, struct str name)
{
    return has_field(x->request->headers, x->request->n_headers, name) ||
           has_field(x->peer->options->headers, x->peer->options->n_headers, name);
}

/* After a redirect to elsewhere nothing secret goes along, and a body that was dropped takes its description with it.
 */
static bool field_stays_back(const struct exchange *x, const struct http_header *h)
{
    static const char *const sensitive[] = {"Authorization",       "Www-Authenticate",   "Cookie", "Cookie2",
                                            "Proxy-Authorization", "Proxy-Authenticate", "Host"};
    for (size_t i = 0; x->left_host && i < COUNT_OF(sensitive); i++) {
        if (h->secret || h->file.n || str_eq_nocase(h->name, str_c(sensitive[i]))) {
            return true;
        }
    }
    bool body_dropped = x->request->body.n && !x->request_body.n;
    return body_dropped && h->name.n > 8 && str_eq_nocase(str_from(h->name.p, 8), STR("Content-"));
}

/* Of a field kept in a file, the text that exchange_prepare has found readable. */
static struct str field_value(struct exchange *x, const struct http_header *h)
{
    struct str text = STR_NONE;
    if (h->file.n == 0) {
        return h->value;
    }
    struct http_client *c = x->client;
    return credentials_file(c->credentials, h->file, loop_now_ms(c->loop), &text, NULL) == OK ? text : STR_NONE;
}

/* What the signer sets replaces what was there. */
static bool is_signed_over(const struct exchange *x, struct str name)
{
    return x->signature.n_headers > 0 && has_field(x->signature.headers, x->signature.n_headers, name);
}

static void each_of(struct exchange *x, const struct http_header *h, int n, bool unless_in_request,
                    exchange_field_fn *fn, void *ctx)
{
    for (int i = 0; i < n; i++) {
        bool overridden = unless_in_request && has_field(x->request->headers, x->request->n_headers, h[i].name);
        if (!overridden && !field_stays_back(x, &h[i]) && !is_signed_over(x, h[i].name)) {
            fn(ctx, h[i].name, field_value(x, &h[i]));
        }
    }
}

void exchange_each_field(struct exchange *x, exchange_field_fn *fn, void *ctx)
{
    const struct http_options *o = x->peer->options;
    if (x->left_host || !exchange_has_field(x, STR("Host"))) {
        char text[300];
        AUTO_BUF long_text = {0};
        bool plain = !memchr(x->url.host.p, ':', x->url.host.n) && x->url.host.n + x->url.port.n + 2 < sizeof(text);
        if (plain) {
            int n = snprintf(text, sizeof(text), x->url.port.n ? "%.*s:%.*s" : "%.*s", STR_ARGS(x->url.host),
                             STR_ARGS(x->url.port));
            fn(ctx, STR("Host"), str_from(text, (size_t)n));
        } else {
            http_url_print_host(&long_text, &x->url);
            fn(ctx, STR("Host"), buf_view(&long_text));
        }
    }
    if (x->client->limits.user_agent && !exchange_has_field(x, STR("User-Agent"))) {
        fn(ctx, STR("User-Agent"), str_c(x->client->limits.user_agent));
    }
    each_of(x, o->headers, o->n_headers, true, fn, ctx);
    each_of(x, x->request->headers, x->request->n_headers, false, fn, ctx);
    if (x->authorization.n && !x->left_host && !is_signed_over(x, STR("Authorization"))) {
        fn(ctx, STR("Authorization"), buf_view(&x->authorization));
    }
    for (int i = 0; i < x->signature.n_headers; i++) {
        fn(ctx, x->signature.headers[i].name, x->signature.headers[i].value);
    }
}

static bool value_is_clean(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char b = (unsigned char)s.p[i];
        if ((b < ' ' && b != '\t') || b == 0x7f) {
            return false;
        }
    }
    return true;
}

struct field_check {
    struct exchange *x;
    enum err err;
};

static void check_field(void *ctx, struct str name, struct str value)
{
    struct field_check *check = ctx;
    bool ok = name.n > 0 && value_is_clean(value) && value_is_clean(name) && !memchr(name.p, ':', name.n) &&
              !memchr(name.p, ' ', name.n);
    if (!ok && !check->err) {
        check->err =
            diag_set(&check->x->response.diag, ERR_SYNTAX, "invalid header field value for \"%.*s\"", STR_ARGS(name));
    }
}

enum err exchange_check_fields(struct exchange *x)
{
    struct field_check check = {x, OK};
    exchange_each_field(x, check_field, &check);
    return check.err;
}

/* ---- signatures ---- */

/* While text grows, views into it are offsets. */
static struct str append_text(struct buf *b, struct str s)
{
    struct str at = {(const char *)b->n, s.n};
    buf_append(b, s.p, s.n);
    return at;
}

static struct str settle(const struct buf *b, struct str at)
{
    return at.n ? str_from(b->p + (size_t)at.p, at.n) : STR("");
}

static void collect_field(void *ctx, struct str name, struct str value)
{
    struct http_client *c = ctx;
    c->to_sign.fields = mem_grow(c->to_sign.fields, &c->to_sign.cap, c->to_sign.n + 1, sizeof(*c->to_sign.fields));
    c->to_sign.fields[c->to_sign.n++] = (struct http_header){.name = append_text(&c->to_sign.text, name),
                                                             .value = append_text(&c->to_sign.text, value)};
}

enum err exchange_sign(struct exchange *x)
{
    struct http_client *c = x->client;
    struct buf *text = &c->to_sign.text;
    struct http_url url = x->url;
    x->signature.n_headers = 0;
    buf_clear(&x->signature.text);
    buf_clear(text);
    c->to_sign.n = 0;
    exchange_each_field(x, collect_field, c);
    size_t target = text->n;
    http_url_print_target(text, &x->url);
    for (size_t i = 0; i < c->to_sign.n; i++) {
        struct http_header *h = &c->to_sign.fields[i];
        h->name = settle(text, h->name);
        h->value = settle(text, h->value);
    }
    str_cut(str_from(text->p + target, text->n - target), '?', &url.path, &url.query);
    url.userinfo = STR("");
    enum err err = x->peer->signer->sign(x->peer->signer, x->method, &url, c->to_sign.fields, (int)c->to_sign.n,
                                         x->request_body, &x->signature, &x->response.diag);
    explicit_bzero(text->p, text->n);
    if (err) {
        x->signature.n_headers = 0;
    }
    return err;
}

void exchange_sign_release(struct http_client *c)
{
    buf_release(&c->to_sign.text);
    free(c->to_sign.fields);
}

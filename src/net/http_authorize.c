/* http_authorize: what an exchange needs before it may go out: readable files, and somebody to vouch for it.
 *
 *   authorization, basic_auth, the URL's user  --> credentials.c, at once
 *   oauth2                                     --> oauth2.c, which may have to fetch a token: the exchange waits,
 * inside its own deadline, and goes on from where it was
 *
 * A request whose token was refused with 401 before any redirect is sent once more with another token, if there is
 * another: its body is the caller's and still there, and a server that has not let it in has not acted on it.
 *
 * Files (header values, certificates) are looked at for every request, as the original does; one that is gone fails the
 * request even where an open connection would have carried it.
 */
#include "base/mem.h"
#include "net/credentials.h"
#include "net/http_client_int.h"

static void token_came(struct oauth2_waiter *w, enum err err, const struct diag *d);

static enum err authorize(struct exchange *x)
{
    struct http_peer *p = x->peer;
    struct diag *d = &x->response.diag;
    if (exchange_has_field(x, STR("Authorization"))) {
        return OK;
    }
    if (!p->oauth2) {
        return credentials_print(x->client->credentials, p->options, &x->url, loop_now_ms(x->client->loop),
                                 &x->authorization, d);
    }
    enum err err = oauth2_get(p->oauth2, &x->authorization, d);
    if (err == ERR_AGAIN) {
        x->state = EXCHANGE_TOKEN;
        x->token.fn = token_came;
        oauth2_wait(p->oauth2, &x->token);
    }
    return err;
}

enum err exchange_authorize(struct exchange *x)
{
    enum err err = authorize(x);
    return err ? err : exchange_check_fields(x);
}

/* With what exchange_authorize returned. */
static void go_or_finish(struct exchange *x, enum err err)
{
    if (!err) {
        exchange_go(x);
    } else if (x->state != EXCHANGE_TOKEN) {
        exchange_finish(x, err);
    }
}

static void token_came(struct oauth2_waiter *w, enum err err, const struct diag *d)
{
    struct exchange *x = CONTAINER_OF(w, struct exchange, token);
    x->state = EXCHANGE_NAME;
    if (err) {
        exchange_finish(x, diag_set(&x->response.diag, err, "%s", d->text));
        return;
    }
    oauth2_take(x->peer->oauth2, &x->authorization);
    go_or_finish(x, exchange_check_fields(x));
}

/* What must be readable before anything is sent: header files and certificates. */
enum err exchange_check_files(struct exchange *x)
{
    const struct http_options *o = x->peer->options;
    const struct {
        struct str path;
        const char *what;
    } tls[] = {{o->tls.ca_file, "CA cert"},
               {o->tls.cert_file, "specified client cert"},
               {o->tls.key_file, "specified client key"}};
    struct credentials *c = x->client->credentials;
    uint64_t now_ms = loop_now_ms(x->client->loop);
    struct diag *d = &x->response.diag;
    enum err err = OK;
    for (int i = 0; !err && i < o->n_headers; i++) {
        struct str unused;
        if (o->headers[i].file.n) {
            err = credentials_file(c, o->headers[i].file, now_ms, &unused, d);
        }
    }
    for (size_t i = 0; !err && i < COUNT_OF(tls) && http_url_is_tls(&x->url); i++) {
        uint32_t unused;
        if (tls[i].path.n) {
            err = credentials_changes(c, tls[i].path, now_ms, tls[i].what, &unused, d);
        }
    }
    return err;
}

/* A token that should be good was refused: the same once more, with another one. */
bool exchange_renew_token(struct exchange *x)
{
    struct http_peer *p = x->peer;
    if (!p->oauth2 || x->token_renewed || x->redirects || x->authorization.n == 0 ||
        !oauth2_refused(p->oauth2, buf_view(&x->authorization))) {
        return false;
    }
    x->token_renewed = true;
    x->state = EXCHANGE_NAME;
    exchange_release_turn(x);
    exchange_reset_answer(x);
    explicit_bzero(x->authorization.p, x->authorization.n);
    buf_clear(&x->authorization);
    go_or_finish(x, exchange_authorize(x));
    return true;
}

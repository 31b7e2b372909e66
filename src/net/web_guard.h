/* web_guard: what stands between a client and the HTTP server's handler, by --web.config.file: TLS settings, a limit of
 * requests, passwords, response headers. One for all listening addresses; control loop.
 *
 * The file, and the certificates that it names, are looked at again when a connection or request comes, at most once a
 * second, and read when they have changed. A file that has become bad closes the door (500), as with the original.
 */
#ifndef NET_WEB_GUARD_H
#define NET_WEB_GUARD_H

#include "base/log.h"
#include "loop/loop.h"
#include "net/tls_server.h"

struct web_guard;

enum web_verdict {
    WEB_ADMITTED,
    WEB_WAITING,      /* the password is being checked: `done` is called */
    WEB_UNAUTHORIZED, /* 401, WWW-Authenticate: Basic */
    WEB_TOO_MANY,     /* 429 */
    WEB_BROKEN,       /* 500: the file is bad */
};

typedef void(web_guard_fn)(void *ctx, enum web_verdict verdict);

/* What the original refuses at start is refused here. */
enum err web_guard_new(struct loop *loop, struct log *log, const char *path, struct web_guard **out,
                       struct diag *d) MUST_USE;
/* Passwords that are being checked are answered still. The loop must run on for them. */
void web_guard_free(struct web_guard *g);
bool web_guard_has_tls(const struct web_guard *g); /* as it was at the start, for the guard's whole life */
/* For a new connection: with a reference, NULL when the file is bad. */
struct tls_server *web_guard_tls(struct web_guard *g);
/* The headers that every response carries, as of now. */
uint32_t web_guard_headers(struct web_guard *g, const struct http_header **out);
/* `authorization`: the request's header. done(ctx, verdict) comes later, once, if the verdict is WEB_WAITING. */
enum web_verdict web_guard_admit(struct web_guard *g, struct str authorization, web_guard_fn *done, void *ctx);

#endif

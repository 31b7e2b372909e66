/* http_server: libmicrohttpd with external epoll on our loop. One per listening address, on the control loop.
 *
 * A handler answers at once, or keeps the call and answers later from the same loop (snapshots that wait for workers).
 */
#ifndef NET_HTTP_SERVER_H
#define NET_HTTP_SERVER_H

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "loop/loop.h"

struct web_guard;
struct http_server;
struct http_call; /* one request being answered */

typedef void(http_handler)(void *ctx, struct http_call *call);

struct http_server_options {
    struct str address;       /* host:port, [v6]:port, :port, or unix:/path */
    uint32_t max_connections; /* Prometheus: 512; 0: 512. Those beyond are closed at once */
    uint32_t idle_timeout_s;  /* Prometheus: 5m; 0: 300 */
    size_t max_body;          /* of a request; larger is answered 413. 0: 1 MiB */
    uint32_t *connections;    /* where servers that share max_connections count them; NULL: each its own */
    struct web_guard *guard;  /* TLS, passwords, headers; outlives the server. NULL: none */
};

/* ERR_NET with the reason in words when the address cannot be listened on. */
enum err http_server_new(struct loop *loop, struct log *log, const struct http_server_options *o, http_handler *handler,
                         void *ctx, struct http_server **out, struct diag *d) MUST_USE;
/* Pending calls are closed: their clients see the end of the connection. The owner of such a call still answers it
 * once, into nothing; until then the call's memory is kept. The loop must run on for a turn. */
void http_server_free(struct http_server *s);
int http_server_port(const struct http_server *s); /* the one bound, for :0; 0 for a Unix socket */

struct str http_call_method(const struct http_call *c);
struct str http_call_path(const struct http_call *c);                    /* decoded, without query */
struct str http_call_query(const struct http_call *c, const char *name); /* first value, empty when absent */
struct str http_call_header(const struct http_call *c, const char *name);
struct str http_call_body(const struct http_call *c);
/* Answers, exactly once for each call: copies body; compresses with gzip where the client accepts it and the body is at
 * least 1 KiB, unless a Content-Encoding was set. The call is gone afterwards, except below its own handler. */
void http_call_answer(struct http_call *c, int status, const char *content_type, struct str body);
void http_call_header_set(struct http_call *c, const char *name, const char *value); /* before the answer */

#endif

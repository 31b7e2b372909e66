/* http_client: the one HTTP client. One per loop; every call and callback on that loop's thread.
 *
 * No type of the transport beneath (libcurl; plain sockets for keep-alive http:// GETs) shows here. A *peer* is one
 * place that is asked again and again (a scrape target, a lane's destination): it keeps its connection. Callbacks are
 * always asynchronous: `done` never runs inside http_start. The program ignores SIGPIPE (OpenSSL writes by write(2)).
 */
#ifndef NET_HTTP_CLIENT_H
#define NET_HTTP_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/counter.h"
#include "base/err.h"
#include "base/log.h"
#include "loop/loop.h"
#include "net/http_options.h"

struct http_client;
struct http_peer;

enum http_transport {
    HTTP_TRANSPORT_AUTO, /* plain sockets for GET and POST over http:// without a proxy, libcurl for the rest */
    HTTP_TRANSPORT_CURL, /* libcurl for everything */
};

struct http_client_limits {
    uint32_t max_connecting; /* connections being opened at once; further requests wait their turn inside their timeout;
                                0: 256 */
    const char *user_agent;  /* static */
    enum http_transport transport;
    uint32_t max_slow; /* connections that have been opening for 200 ms: they hold no turn, but a descriptor; 0: 1024 */
};

enum { HTTP_MAX_BODY_DEFAULT = 64 * 1024 * 1024 }; /* when a request's max_body is 0 */

struct http_client *http_client_new(struct loop *loop, struct log *log, const struct http_client_limits *limits);
/* Cancels what runs (done is called with ERR_CANCELED, later) and closes everything, through the loop, which must run
 * on for a turn. Peers are still freed by their owners, before or after; nothing can be started on them any more. */
void http_client_free(struct http_client *c);

/* `options` outlives the peer (plan memory); NULL: none, redirects followed. The URL is absolute, http or https, at
 * most 16 KiB. A user's part in it serves as basic auth where the options have none. */
enum err http_peer_new(struct http_client *c, struct str url, const struct http_options *options,
                       struct http_peer **out, struct diag *d) MUST_USE;
void http_peer_free(struct http_peer *p); /* cancels its request silently: done is not called */

struct http_response {
    enum err err; /* OK when a complete response arrived, whatever its status */
    int status;   /* 0 when no answer began */
    struct str content_type, content_encoding, retry_after, date; /* empty when absent; valid during done */
    const struct http_header *headers;                            /* all of them */
    int n_headers;
    struct buf *body; /* of the request: as received, not inflated */
    bool reused;      /* an open connection was used */
    bool connected;   /* with err != OK: there was a connection, so the request may have got to the other side */
    struct diag diag; /* for err != OK, in Go's words: `dial tcp 127.0.0.1:9100: connect: connection refused` */
};

struct http_url {
    struct str scheme, userinfo, host, port, path, query; /* host without brackets; port "" when absent */
};

struct http_signature {
    struct http_header headers[5]; /* they replace fields of the same names */
    int n_headers;
    struct buf text; /* what the values point into; cleared and kept by the client between requests */
};

/* Adds fields to a request that is about to go out, over everything that is sent: AWS Signature Version 4. Called on
 * the client's loop at each attempt. `headers` are all fields but those that depend on the connection; `url` is where
 * the request goes. ERR_AGAIN: there are no credentials yet; the request then ends with ERR_AGAIN and the signer's
 * words. */
struct http_signer {
    enum err (*sign)(struct http_signer *self, const char *method, const struct http_url *url,
                     const struct http_header *headers, int n_headers, struct str body, struct http_signature *out,
                     struct diag *d);
};
/* From now on all requests of this peer are signed; the signer outlives it. Redirects are not followed then. */
void http_peer_sign(struct http_peer *p, struct http_signer *signer);

struct http_request;
typedef void(http_done_fn)(struct http_request *r, const struct http_response *response);

/* Lives in the caller's struct until done has been called. */
struct http_request {
    const char *method;                /* "GET", "POST" */
    const struct http_header *headers; /* beyond those of the options; they win over them */
    int n_headers;
    struct str body;           /* kept by the caller until done */
    uint32_t timeout_ms;       /* for the whole exchange: 0 = none */
    size_t max_body;           /* ERR_LIMIT as soon as more is announced or arrives; 0: HTTP_MAX_BODY_DEFAULT */
    struct buf *response_body; /* the caller's; cleared at start. NULL: the body is discarded */
    http_done_fn *done;
    void *transport; /* the client's */
};

/* One request at a time per peer. Redirects are followed as Go does where the options say so: up to 10, 301 to 303
 * become GET; credentials and secret headers are left out from the first hop on that leaves the host (names below it
 * are part of it) or falls back to http. A request whose OAuth 2 token is refused with 401 is sent once more with
 * another. */
void http_start(struct http_peer *p, struct http_request *r);
/* Ends it; done is called with ERR_CANCELED, later. Nothing when r does not run. */
void http_cancel(struct http_peer *p, struct http_request *r);

/* Splits an absolute URL; for pages, checks and Host headers. */
enum err http_url_parse(struct str url, struct http_url *out, struct diag *d) MUST_USE;
/* Of Retry-After (RFC 9110, 10.2.3: seconds, or a date): milliseconds from now, at most an hour; 0 when it is absent,
 * malformed or not in the future. */
uint64_t http_retry_after_ms(struct str header, int64_t wall_ms);
/* Percent-encoding as Go's url.QueryEscape. */
void http_query_escape(struct buf *out, struct str s);

#endif

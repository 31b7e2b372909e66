/* http_client_int: what http_client.c and its two transports share. */
#ifndef NET_HTTP_CLIENT_INT_H
#define NET_HTTP_CLIENT_INT_H

#include "net/http_client.h"
#include "net/http_head.h"
#include "net/oauth2.h"
#include "net/poller.h"
#include "net/resolver.h"
#include "net/response_parser.h"

struct curl_slist;
struct curl_multi;
struct curl_pool;
struct credentials;
struct exchange;

/* ---- http_url.c ---- */

bool http_url_is_tls(const struct http_url *u);
uint16_t http_url_port(const struct http_url *u);
void http_url_print_host(struct buf *out, const struct http_url *u);   /* host[:port] as in a Host field */
void http_url_print_target(struct buf *out, const struct http_url *u); /* /path?query, escaped where it must be */
/* Where `location` leads to, seen from `base`; replaces what out holds. */
enum err http_url_join(struct str base, struct str location, struct buf *out, struct diag *d) MUST_USE;
void http_percent_decode(struct buf *out, struct str s);

/* ---- transports ---- */

struct transport {
    /* Connects if need be, sends, receives into x->head and x->body, and calls exchange_connected and exchange_end. */
    void (*start)(struct exchange *x);
    /* Forgets x and closes its connection; nothing is called any more. */
    void (*abort)(struct exchange *x);
};

extern const struct transport curl_transport, plain_transport;

struct curl_pool *curl_pool_new(struct http_client *c);
void curl_pool_free(struct curl_pool *pool);
void curl_peer_release(struct http_peer *p);
void plain_peer_close(struct http_peer *p); /* the idle connection, if there is one */

/* ---- the client ---- */

struct exchange_list {
    struct exchange *first, *last;
};

struct http_client {
    struct loop *loop;
    struct log *log;
    struct http_client_limits limits;
    struct poller *poller;
    struct resolver *resolver;
    struct credentials *credentials;
    struct oauth2_source *tokens; /* all that are in use */
    struct curl_pool *curl;
    struct exchange_list running;  /* names being looked up, and exchanges that a transport has */
    struct exchange_list queued;   /* wait until fewer than max_connecting connect */
    struct exchange_list suspects; /* the same, behind them: their peers did not answer in time before */
    struct exchange_list ended;    /* their `done` is due */
    struct exchange *spare;        /* ready for use, linked by next */
    uint64_t random;
    uint32_t n_spare, n_connecting, n_slow, n_peers;
    uint32_t holding; /* > 0: a caller of http_start is below us on the stack, `done` must wait */
    bool freed, closed;
    struct timer kick;    /* ends what is in `ended`, starts what is in `queued` */
    char *read_buffer;    /* of READ_BUFFER_BYTES, shared by all plain connections */
    struct buf scratch;   /* a request's head while it is written */
    struct buf discarded; /* bodies that nobody wants pass through here */
    struct {
        struct buf text; /* what is signed: names and values one behind the other, then path and query */
        struct http_header *fields;
        size_t n, cap;
    } to_sign;
};

enum { HTTP_READ_BUFFER_BYTES = 64 * 1024 };

/* What an idle target costs: this, its URL, and a connection in the kernel. */
struct http_peer {
    struct poller_entry entry; /* of fd */
    struct http_client *client;
    const struct http_options *options;
    struct exchange *x;           /* running, or NULL */
    struct oauth2_source *oauth2; /* NULL: its options have none */
    struct http_signer *signer;   /* NULL: requests are not signed */
    struct curl_multi *multi;     /* chosen at the first request through curl */
    int fd;                       /* of the plain transport's connection, -1 */
    bool curl_warm;               /* curl most likely has a connection for it */
    bool suspect;                 /* its last connect was slow */
    uint16_t url_n;
    char url[];
};

enum exchange_state { EXCHANGE_TOKEN, EXCHANGE_NAME, EXCHANGE_QUEUED, EXCHANGE_RUNNING, EXCHANGE_ENDED };

/* One request from http_start to done, redirects included. Pooled by the client. */
struct exchange {
    struct exchange *prev, *next; /* in one of the client's lists */
    struct exchange_list *list;
    struct http_client *client;
    struct http_peer *peer;
    struct http_request *request;
    const struct transport *via;
    enum exchange_state state;
    enum err err;
    bool connecting;    /* counted in n_connecting */
    bool slow;          /* no longer there, counted in n_slow */
    struct timer young; /* while connecting: a connect that takes this long is slow */
    bool left_host;     /* a redirect has led elsewhere: no credentials any more */
    bool token_renewed; /* a token was refused, and another one fetched: not a second time */
    uint8_t redirects;
    struct timer deadline;
    struct resolver_lookup lookup;
    struct oauth2_waiter token;

    /* where to, now */
    const char *method;
    struct str request_body;
    struct buf redirect_url; /* empty before the first redirect */
    struct buf authorization;
    struct http_signature signature;
    struct http_url url;     /* into the peer's URL or redirect_url */
    struct str proxy;        /* its URL; empty: none */
    struct str connect_host; /* whose addresses these are: the URL's host or the proxy's */
    uint16_t connect_port;
    bool resolved_by_name;
    struct net_addresses addresses;

    /* what came */
    struct buf head_bytes;
    struct http_head head;
    struct buf *body;        /* the request's, or the client's `discarded` */
    size_t body_n, body_max; /* received of the body */
    struct http_response response;

    struct {
        void *easy;
        struct curl_slist *headers, *resolve, *connect_to, *proxy_headers;
        bool head_done;
        char error[256];
    } curl;
    struct {
        struct response_parser parser;
        struct timer attempt; /* of one address, while others are left */
        int address_at;
        bool connected, reused, written;
        int write_errno; /* 0: no write has failed */
        struct buf out;  /* the head, if it could not be written at once */
        size_t out_at, body_at;
    } plain;
};

/* The connection is open (or an open one is used): the next in the queue may connect. */
void exchange_connected(struct exchange *x);
/* The transport is through with x: err as in x->response.diag; OK: head_bytes (unless parsed) and body are complete.
 * Must be the transport's last word; x and its peer may be gone when it returns. */
void exchange_end(struct exchange *x, enum err err);
/* From the name on: for a request that needs a fresh connection after all. */
void exchange_go(struct exchange *x);
/* Ends x with what is in err and response.diag: now, or as soon as nobody of ours is on the stack. */
void exchange_finish(struct exchange *x, enum err err);
void exchange_release_turn(struct exchange *x);
void exchange_reset_answer(struct exchange *x); /* forgets what came */
/* The address at that index with its port, or host:port when there is none. */
void exchange_print_place(struct buf *b, const struct exchange *x, int at);
/* http_say_errno(d, ECONNREFUSED, "dial", "10.0.0.1:80", "connect"): dial tcp 10.0.0.1:80: connect: connection refused
 */
enum err http_say_errno(struct diag *d, int number, const char *doing, const char *place, const char *call);
/* Adds to the body and counts. ERR_LIMIT with a diag when it gets larger than allowed. */
enum err exchange_body(struct exchange *x, const void *p, size_t n) MUST_USE;
enum err exchange_body_limit(struct exchange *x);

/* ---- http_authorize.c ---- */

/* The Authorization field, and all fields checked. With an error and state EXCHANGE_TOKEN x waits for a token and goes
 * on by itself. */
enum err exchange_authorize(struct exchange *x) MUST_USE;
enum err exchange_check_files(struct exchange *x) MUST_USE;
/* After a 401: true when x is on its way again. */
bool exchange_renew_token(struct exchange *x);

/* ---- http_fields.c ---- */

/* All fields to send, Host included, Content-Length and connection control excluded. */
typedef void(exchange_field_fn)(void *ctx, struct str name, struct str value);
void exchange_each_field(struct exchange *x, exchange_field_fn *fn, void *ctx);
/* Whether the request or the options bring one. */
bool exchange_has_field(const struct exchange *x, struct str name);
enum err exchange_check_fields(struct exchange *x) MUST_USE;
/* Asks the peer's signer; whatever was signed before is forgotten. */
enum err exchange_sign(struct exchange *x) MUST_USE;
void exchange_sign_release(struct http_client *c);

#endif

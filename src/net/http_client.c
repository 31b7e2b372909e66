/* http_client: requests from start to done, whatever carries them.
 *
 *   http_start -> route -> credentials (token) -> name -> turn -> transport -> (redirect: back to route) -> done
 *
 * An *exchange* is one request with everything that belongs to it; exchanges are pooled by concurrency, so that an idle
 * peer is a struct of some 60 bytes, its URL and a connection. `route` decides per URL: a proxy or not, libcurl or
 * plain sockets. `name` finds addresses by the resolver, for both transports. `turn` bounds how many connect at once (a
 * connecting curl handle holds 16 KB, a SYN to nowhere holds it for the whole time-out); whoever has an open connection
 * goes ahead, the others wait first come, first served, inside their own deadline. A connect that is not through
 * after 200 ms passes its turn on, so that thousands of addresses that never answer do not keep the healthy from
 * connecting; when so many of them wait that descriptors are short, peers that were slow the last time queue behind.
 * Redirects are followed here and not by libcurl, so that names are resolved by us, both transports behave alike, and
 * what leaves the host is decided once.
 *
 * Invariants:
 *  - an exchange is in exactly one list (running, queued, ended) until its `done` runs, and peer->x points to it;
 *  - `done` never runs below http_start, http_cancel or http_client_free: they put it on `ended` and a timer of 0 ms
 * does the rest; `holding` is how the transports' synchronous failures find that out;
 *  - `done` may start, cancel and free anything, the client included; nothing of the exchange's peer is touched after
 * it.
 *
 * The end of a client waits for the poller's handle to close; the last of (that, the last peer's end) frees the memory.
 *
 * Thread: the loop's own. One deadline timer an exchange covers everything: name, queue, connect, body, redirects.
 */
#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/credentials.h"
#include "net/http_client_int.h"
#include "net/proxy.h"

enum {
    MAX_CONNECTING_DEFAULT = 256,
    MAX_SLOW_DEFAULT = 1024,
    YOUNG_MS = 200,
    MAX_REDIRECTS = 10,
    MAX_URL_BYTES = 16 * 1024,
    MAX_SPARE = 64,
    KEEP_BUFFER_BYTES = 4096, /* of a pooled exchange */
};

static const struct http_options no_options = {.follow_redirects = true, .enable_http2 = true};

static void exchange_turn(struct exchange *x);

/* ---- lists ---- */

static void list_add(struct exchange_list *list, struct exchange *x)
{
    x->list = list;
    x->next = NULL;
    x->prev = list->last;
    *(list->last ? &list->last->next : &list->first) = x;
    list->last = x;
}

static void list_remove(struct exchange *x)
{
    if (!x->list) {
        return;
    }
    *(x->prev ? &x->prev->next : &x->list->first) = x->next;
    *(x->next ? &x->next->prev : &x->list->last) = x->prev;
    x->list = NULL;
    x->prev = x->next = NULL;
}

static void list_move(struct exchange_list *list, struct exchange *x)
{
    list_remove(x);
    list_add(list, x);
}

/* ---- exchanges ---- */

static struct exchange *exchange_new(struct http_client *c)
{
    struct exchange *x = c->spare;
    if (!x) {
        return NEW(struct exchange);
    }
    c->spare = x->next;
    c->n_spare--;
    return x;
}

static void buf_wipe(struct buf *b)
{
    if (b->p) {
        explicit_bzero(b->p, b->n);
    }
}

static void buf_reuse(struct buf *b)
{
    if (b->cap > KEEP_BUFFER_BYTES) {
        buf_release(b);
    }
    buf_clear(b);
}

static void exchange_destroy(struct exchange *x)
{
    buf_release(&x->redirect_url);
    buf_release(&x->authorization);
    buf_release(&x->head_bytes);
    buf_release(&x->plain.out);
    buf_release(&x->signature.text);
    http_head_release(&x->head);
    free(x);
}

/* Back to the pool, with its small buffers. */
static void exchange_recycle(struct http_client *c, struct exchange *x)
{
    buf_wipe(&x->authorization);
    buf_wipe(&x->signature.text);
    if (c->freed || c->n_spare >= MAX_SPARE) {
        exchange_destroy(x);
        return;
    }
    buf_reuse(&x->redirect_url);
    buf_reuse(&x->authorization);
    buf_reuse(&x->head_bytes);
    buf_reuse(&x->plain.out);
    buf_reuse(&x->signature.text);
    struct buf url = x->redirect_url, authorization = x->authorization, head = x->head_bytes, out = x->plain.out,
               signature = x->signature.text;
    struct http_head fields = x->head;
    memset(x, 0, sizeof(*x));
    x->redirect_url = url;
    x->authorization = authorization;
    x->head_bytes = head;
    x->plain.out = out;
    x->signature.text = signature;
    x->head = fields;
    x->next = c->spare;
    c->spare = x;
    c->n_spare++;
}

static void kick_due(struct timer *t);

static void kick(struct http_client *c)
{
    if (!timer_armed(&c->kick)) {
        timer_start(c->loop, &c->kick, 0, kick_due);
    }
}

static void kick_queues(struct http_client *c)
{
    if (c->queued.first || c->suspects.first) {
        kick(c);
    }
}

void exchange_release_turn(struct exchange *x)
{
    struct http_client *c = x->client;
    timer_stop(&x->young);
    if (!x->connecting && !x->slow) {
        return;
    }
    x->peer->suspect = x->slow;
    c->n_connecting -= x->connecting;
    c->n_slow -= x->slow;
    x->connecting = x->slow = false;
    kick_queues(c);
}

/* Whoever answers does so soon: a connect that does not passes its turn on and holds a descriptor alone. */
static void connect_is_slow(struct timer *t)
{
    struct exchange *x = CONTAINER_OF(t, struct exchange, young);
    struct http_client *c = x->client;
    if (c->n_slow >= c->limits.max_slow) {
        return; /* it keeps its turn: descriptors are what is short now */
    }
    x->connecting = false;
    x->slow = true;
    c->n_connecting--;
    c->n_slow++;
    kick_queues(c);
}

static void take_turn(struct exchange *x)
{
    x->connecting = true;
    x->client->n_connecting++;
    timer_start(x->client->loop, &x->young, YOUNG_MS, connect_is_slow);
}

static bool may_connect(const struct http_client *c, bool suspect)
{
    return c->n_connecting < c->limits.max_connecting && (!suspect || c->n_slow < c->limits.max_slow);
}

void exchange_connected(struct exchange *x)
{
    x->response.connected = true;
    exchange_release_turn(x);
}

/* Whatever x is doing, it stops. */
static void exchange_halt(struct exchange *x)
{
    timer_stop(&x->deadline);
    resolver_cancel(&x->lookup);
    oauth2_stop_waiting(&x->token);
    if (x->state == EXCHANGE_RUNNING) {
        x->via->abort(x);
    }
    exchange_release_turn(x);
    x->state = EXCHANGE_ENDED;
}

/* The status of an answer whose body did not come to its end. */
static int answered_with(struct exchange *x)
{
    if (x->via == &curl_transport && x->head_bytes.n > 0 && http_head_parse(&x->head_bytes, &x->head, NULL) != OK) {
        return 0;
    }
    return x->head.status;
}

static void fill_response(struct exchange *x)
{
    struct http_response *r = &x->response;
    r->err = x->err;
    r->body = x->request->response_body;
    if (x->err) {
        r->status = answered_with(x);
        return;
    }
    r->status = x->head.status;
    r->headers = x->head.fields;
    r->n_headers = (int)x->head.n_fields;
    r->content_type = http_head_get(&x->head, STR("Content-Type"));
    r->content_encoding = http_head_get(&x->head, STR("Content-Encoding"));
    r->retry_after = http_head_get(&x->head, STR("Retry-After"));
    r->date = http_head_get(&x->head, STR("Date"));
}

static void exchange_deliver(struct exchange *x)
{
    struct http_client *c = x->client;
    list_remove(x);
    x->peer->x = NULL;
    x->request->transport = NULL;
    fill_response(x);
    x->request->done(x->request, &x->response);
    exchange_recycle(c, x);
}

void exchange_finish(struct exchange *x, enum err err)
{
    x->err = err;
    x->state = EXCHANGE_ENDED;
    timer_stop(&x->deadline);
    exchange_release_turn(x);
    if (x->client->holding) {
        list_move(&x->client->ended, x);
        kick(x->client);
        return;
    }
    exchange_deliver(x);
}

static void deadline_due(struct timer *t)
{
    struct exchange *x = CONTAINER_OF(t, struct exchange, deadline);
    exchange_halt(x);
    diag_reset(&x->response.diag);
    exchange_finish(x, diag_set(&x->response.diag, ERR_TIMEOUT, "context deadline exceeded"));
}

static void kick_due(struct timer *t)
{
    struct http_client *c = CONTAINER_OF(t, struct http_client, kick);
    while (c->ended.first && !c->freed) {
        exchange_deliver(c->ended.first);
    }
    c->holding++;
    while (c->queued.first && may_connect(c, false) && !c->freed) {
        exchange_turn(c->queued.first);
    }
    while (c->suspects.first && may_connect(c, true) && !c->freed) {
        exchange_turn(c->suspects.first);
    }
    c->holding--;
}

/* ---- the body ---- */

enum err exchange_body_limit(struct exchange *x)
{
    return diag_set(&x->response.diag, ERR_LIMIT, "body size limit exceeded");
}

enum err exchange_body(struct exchange *x, const void *p, size_t n)
{
    if (n > x->body_max - x->body_n) {
        return exchange_body_limit(x);
    }
    x->body_n += n;
    if (x->request->response_body) {
        buf_append(x->body, p, n);
    }
    return OK;
}

/* ---- words ---- */

void exchange_print_place(struct buf *b, const struct exchange *x, int at)
{
    if (at < x->addresses.n) {
        struct net_address a = x->addresses.a[at];
        net_address_set_port(&a, x->connect_port);
        net_address_print(b, &a);
        return;
    }
    buf_printf(b, "%.*s:%u", STR_ARGS(x->connect_host), x->connect_port);
}

enum err http_say_errno(struct diag *d, int number, const char *doing, const char *place, const char *call)
{
    AUTO_BUF text = {0};
    buf_c(&text, number == ETIMEDOUT ? "i/o timeout" : strerror(number));
    text.p[0] = (char)tolower((unsigned char)text.p[0]);
    d->sys_errno = number;
    return diag_set(d, ERR_NET, "%s tcp %s: %s: %s", doing, place, call, text.p);
}

/* ---- the way of an exchange ---- */

static struct str exchange_url(const struct exchange *x)
{
    return x->redirect_url.n ? buf_view(&x->redirect_url) : str_from(x->peer->url, x->peer->url_n);
}

static enum err route_to_proxy(struct exchange *x)
{
    struct str scheme, rest, proxy = x->proxy, host, port, unused;
    if (str_cut(proxy, ':', &scheme, &rest) && str_starts(rest, STR("//"))) {
        rest = str_from(rest.p + 2, rest.n - 2);
    } else {
        scheme = STR("http");
        rest = proxy;
    }
    str_cut(rest, '/', &rest, &unused);
    const char *at = rest.n ? memrchr(rest.p, '@', rest.n) : NULL;
    if (at) {
        rest = str_from(at + 1, rest.n - (size_t)(at - rest.p) - 1);
    }
    AUTO_BUF text = {0};
    buf_printf(&text, "http://%.*s", STR_ARGS(rest));
    struct http_url u;
    enum err err = http_url_parse(buf_view(&text), &u, &x->response.diag);
    if (err) {
        return err;
    }
    host = str_from(rest.p + (u.host.p - text.p) - 7, u.host.n);
    port = u.port;
    x->connect_host = host;
    bool socks = str_starts(scheme, STR("socks"));
    x->connect_port = port.n ? http_url_port(&u) : socks ? 1080 : str_eq(scheme, STR("https")) ? 443 : 80;
    return OK;
}

/* Looks at the URL that is next: proxy, transport, host to connect to. */
static enum err exchange_route(struct exchange *x)
{
    enum err err = http_url_parse(exchange_url(x), &x->url, &x->response.diag);
    if (err) {
        return err;
    }
    x->proxy = proxy_for(x->peer->options, &x->url);
    x->connect_host = x->url.host;
    x->connect_port = http_url_port(&x->url);
    if (x->proxy.n) {
        err = route_to_proxy(x);
    }
    bool common = strcmp(x->method, "GET") == 0 || strcmp(x->method, "POST") == 0;
    bool plain = x->client->limits.transport == HTTP_TRANSPORT_AUTO && common && !http_url_is_tls(&x->url) &&
                 !x->proxy.n && !x->redirects;
    x->via = plain ? &plain_transport : &curl_transport;
    return err;
}

static void exchange_run(struct exchange *x)
{
    list_move(&x->client->running, x);
    if (x->peer->signer) {
        enum err err = exchange_sign(x);
        if (err) {
            exchange_finish(x, err);
            return;
        }
    }
    x->state = EXCHANGE_RUNNING;
    x->via->start(x);
}

/* Every new connection begins with another one of the addresses, so that they share the load. */
static void rotate_addresses(struct exchange *x)
{
    struct http_client *c = x->client;
    struct net_addresses from = x->addresses;
    c->random ^= c->random << 13; /* xorshift64: nothing depends on its quality */
    c->random ^= c->random >> 7;
    c->random ^= c->random << 17;
    for (int i = 0; i < from.n; i++) {
        x->addresses.a[i] = from.a[(c->random + (uint64_t)i) % (uint64_t)from.n];
    }
}

/* The addresses are known: connect now, or wait until fewer do. */
static void exchange_turn(struct exchange *x)
{
    struct http_client *c = x->client;
    if (x->peer->options->round_robin_dns && x->state == EXCHANGE_NAME && x->addresses.n > 1) {
        rotate_addresses(x);
    }
    bool warm = x->via == &curl_transport && x->peer->curl_warm && !x->redirects;
    if (!warm && !may_connect(c, x->peer->suspect)) {
        x->state = EXCHANGE_QUEUED;
        list_move(x->peer->suspect ? &c->suspects : &c->queued, x);
        return;
    }
    if (!warm) {
        take_turn(x);
    }
    exchange_run(x);
}

static void name_found(struct resolver_lookup *l, enum err err, const struct net_addresses *addresses,
                       const struct diag *diag)
{
    struct exchange *x = CONTAINER_OF(l, struct exchange, lookup);
    bool open = x->via == &curl_transport && x->peer->curl_warm && !x->redirects;
    if (err && !open) {
        exchange_finish(x, diag_set(&x->response.diag, err, "dial tcp: %s", diag->text));
        return;
    }
    x->addresses = *addresses;
    x->addresses.n = err ? 0 : addresses->n;
    exchange_turn(x);
}

void exchange_go(struct exchange *x)
{
    if (x->via == &plain_transport && x->peer->fd >= 0) {
        exchange_run(x);
        return;
    }
    x->state = EXCHANGE_NAME;
    list_move(&x->client->running, x);
    struct net_address unused;
    x->resolved_by_name = !net_address_parse(x->connect_host, &unused);
    if (resolver_get(x->client->resolver, x->connect_host, &x->addresses) == OK) {
        exchange_turn(x);
        return;
    }
    x->lookup.fn = name_found;
    resolver_start(x->client->resolver, x->connect_host, &x->lookup);
}

static enum err exchange_prepare(struct exchange *x)
{
    enum err err = exchange_route(x);
    if (!err) {
        err = exchange_check_files(x);
    }
    return err ? err : exchange_authorize(x);
}

/* ---- redirects ---- */

static bool is_redirect(const struct exchange *x)
{
    int s = x->head.status;
    return x->peer->options->follow_redirects && !x->peer->signer &&
           (s == 301 || s == 302 || s == 303 || s == 307 || s == 308) && http_head_get(&x->head, STR("Location")).n > 0;
}

void exchange_reset_answer(struct exchange *x)
{
    buf_clear(&x->head_bytes);
    buf_clear(x->body);
    x->head.n_fields = 0;
    x->head.status = 0;
    x->body_n = 0;
}

/* host, or a name below it; an address has nothing below it. */
static bool is_same_or_below(struct str name, struct str host)
{
    if (str_eq_nocase(name, host)) {
        return true;
    }
    struct net_address unused;
    bool longer = name.n > host.n + 1 && host.n > 0 && name.p[name.n - host.n - 1] == '.';
    return longer && !memchr(name.p, ':', name.n) && !memchr(name.p, '%', name.n) &&
           !net_address_parse(name, &unused) && str_eq_nocase(str_from(name.p + name.n - host.n, host.n), host);
}

static enum err redirect_to(struct exchange *x, struct str location)
{
    AUTO_BUF next = {0};
    struct diag *d = &x->response.diag;
    if (x->redirects == MAX_REDIRECTS) {
        return diag_set(d, ERR_LIMIT, "stopped after %d redirects", MAX_REDIRECTS);
    }
    enum err err = http_url_join(exchange_url(x), location, &next, d);
    if (err) {
        return err;
    }
    struct http_url origin, to;
    err = http_url_parse(str_from(x->peer->url, x->peer->url_n), &origin, d);
    if (!err) {
        err = http_url_parse(buf_view(&next), &to, d);
    }
    if (err) {
        return err;
    }
    bool downgraded = http_url_is_tls(&origin) && !http_url_is_tls(&to);
    x->left_host |= downgraded || !is_same_or_below(to.host, origin.host);
    x->redirects++;
    buf_clear(&x->redirect_url);
    buf_str(&x->redirect_url, buf_view(&next));
    if (x->head.status <= 303 && strcmp(x->method, "HEAD") != 0) {
        x->method = "GET";
        x->request_body = STR_NONE;
    }
    return OK;
}

void exchange_end(struct exchange *x, enum err err)
{
    if (!err && x->via == &curl_transport) {
        err = http_head_parse(&x->head_bytes, &x->head, &x->response.diag);
    }
    if (!err && x->head.status == 401 && exchange_renew_token(x)) {
        return;
    }
    if (err || !is_redirect(x)) {
        exchange_finish(x, err);
        return;
    }
    exchange_release_turn(x);
    err = redirect_to(x, http_head_get(&x->head, STR("Location")));
    exchange_reset_answer(x);
    if (!err) {
        err = exchange_route(x);
    }
    if (err) {
        exchange_finish(x, err);
        return;
    }
    exchange_go(x);
}

/* ---- interface ---- */

void http_start(struct http_peer *p, struct http_request *r)
{
    struct http_client *c = p->client;
    CHECK(!p->x && !c->freed);
    struct exchange *x = exchange_new(c);
    x->client = c;
    x->peer = p;
    x->request = r;
    x->method = r->method;
    x->head.status = 0;
    x->state = EXCHANGE_NAME;
    x->request_body = r->body;
    x->body = r->response_body ? r->response_body : &c->discarded;
    x->body_max = r->max_body ? r->max_body : HTTP_MAX_BODY_DEFAULT;
    buf_clear(x->body);
    p->x = x;
    r->transport = x;
    list_add(&c->running, x);
    c->holding++;
    if (r->timeout_ms) {
        timer_start(c->loop, &x->deadline, r->timeout_ms, deadline_due);
    }
    enum err err = exchange_prepare(x);
    if (err == OK) {
        exchange_go(x);
    } else if (x->state != EXCHANGE_TOKEN) {
        exchange_finish(x, err);
    }
    c->holding--;
}

static void exchange_cancel(struct exchange *x)
{
    struct http_client *c = x->client;
    exchange_halt(x);
    diag_reset(&x->response.diag);
    c->holding++;
    exchange_finish(x, diag_set(&x->response.diag, ERR_CANCELED, "context canceled"));
    c->holding--;
}

void http_cancel(struct http_peer *p, struct http_request *r)
{
    if (p->x && p->x->request == r && p->x->state != EXCHANGE_ENDED) {
        exchange_cancel(p->x);
    }
}

enum err http_peer_new(struct http_client *c, struct str url, const struct http_options *options,
                       struct http_peer **out, struct diag *d)
{
    struct http_url u;
    if (url.n > MAX_URL_BYTES) {
        return diag_set(d, ERR_LIMIT, "URL of %zu bytes is longer than %d", url.n, MAX_URL_BYTES);
    }
    enum err err = http_url_parse(url, &u, d);
    if (err) {
        return err;
    }
    struct http_peer *p = mem_zalloc(sizeof(*p) + url.n + 1);
    p->client = c;
    p->options = options ? options : &no_options;
    p->fd = -1;
    p->url_n = (uint16_t)url.n;
    memcpy(p->url, url.p, url.n);
    if (p->options->oauth2) {
        p->oauth2 = oauth2_source_get(c, p->options->oauth2);
    }
    c->n_peers++;
    *out = p;
    return OK;
}

void http_peer_sign(struct http_peer *p, struct http_signer *signer)
{
    p->signer = signer;
}

static void client_unref(struct http_client *c)
{
    if (c->closed && c->n_peers == 0) {
        free(c);
    }
}

void http_peer_free(struct http_peer *p)
{
    if (!p) {
        return;
    }
    struct http_client *c = p->client;
    if (p->x) {
        struct exchange *x = p->x;
        exchange_halt(x);
        list_remove(x);
        exchange_recycle(c, x);
    }
    plain_peer_close(p);
    if (!c->closed) {
        curl_peer_release(p);
    }
    oauth2_source_unref(p->oauth2);
    free(p);
    c->n_peers--;
    client_unref(c);
}

struct http_client *http_client_new(struct loop *loop, struct log *log, const struct http_client_limits *limits)
{
    struct http_client *c = NEW(struct http_client);
    CHECK(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
    c->loop = loop;
    c->log = log;
    c->random = (clock_mono_ns() ^ (uint64_t)(uintptr_t)c) | 1;
    c->limits = *limits;
    c->limits.max_slow = limits->max_slow ? limits->max_slow : MAX_SLOW_DEFAULT;
    c->limits.max_connecting = limits->max_connecting ? limits->max_connecting : MAX_CONNECTING_DEFAULT;
    c->poller = poller_new(loop);
    c->resolver = resolver_new(loop, c->poller);
    c->credentials = credentials_new();
    c->curl = curl_pool_new(c);
    c->read_buffer = mem_alloc(HTTP_READ_BUFFER_BYTES);
    return c;
}

/* The poller's handle is closed. What was canceled is told so, then everything goes. */
static void client_closed(void *ctx)
{
    struct http_client *c = ctx;
    while (c->ended.first) {
        exchange_deliver(c->ended.first);
    }
    curl_pool_free(c->curl);
    resolver_free(c->resolver);
    credentials_free(c->credentials);
    while (c->spare) {
        struct exchange *x = c->spare;
        c->spare = x->next;
        exchange_destroy(x);
    }
    timer_stop(&c->kick);
    free(c->read_buffer);
    buf_release(&c->scratch);
    exchange_sign_release(c);
    buf_release(&c->discarded);
    curl_global_cleanup();
    c->closed = true;
    client_unref(c);
}

void http_client_free(struct http_client *c)
{
    if (!c) {
        return;
    }
    while (c->running.first) {
        exchange_cancel(c->running.first);
    }
    while (c->suspects.first) {
        exchange_cancel(c->suspects.first);
    }
    while (c->queued.first) {
        exchange_cancel(c->queued.first);
    }
    c->freed = true;
    poller_free(c->poller, client_closed, c);
}

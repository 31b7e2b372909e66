/* curl_transport: everything that plain sockets do not do: TLS, HTTP/2, proxies, redirected requests.
 *
 *   pool --- multi (<= 256 peers) --- easies, only while a request runs
 *        \-- multi ...                connections, kept by the multi between requests
 *
 * One big multi collapses: in libcurl 7.88 every removed handle walks all cached connections (8,000 targets: 361 us a
 * request; 250 a multi: 24 us). So peers are spread over multis of at most 256, a peer stays with its multi, and the
 * multi's cache holds more connections than it has peers. Easy handles weigh 28 KB and are pooled by concurrency.
 *
 * libcurl tells us its sockets (one entry in the poller each) and its next time-out (one timer a multi). It is entered
 * only from those, from start and from abort, never from one of its own callbacks: callbacks here only store bytes, and
 * completed handles are taken from the message queue after libcurl has returned.
 *
 * libcurl never looks up a name: that would start a thread each. Addresses come from the resolver and are passed by
 * CURLOPT_RESOLVE with a "+", so that the entry lives for a minute in the multi's DNS cache and is then pruned. A TLS
 * server_name replaces the host of the URL and the true one goes into CURLOPT_CONNECT_TO, which is also what libcurl
 * compares when it picks a cached connection: two targets with one server_name do not get mixed up.
 *
 * Set in any case: no proxy from the environment, no redirects (http_client.c follows them), protocols http and https,
 * no signals, path as it is, no Expect. The whole exchange's time-out is http_client.c's.
 *
 * Thread: the loop's own.
 */
#include <curl/curl.h>
#include <errno.h>
#include <openssl/x509_vfy.h>

#include "base/mem.h"
#include "net/credentials.h"
#include "net/http_client_int.h"

enum {
    PEERS_PER_MULTI = 256,
    CONNECTIONS_PER_MULTI = PEERS_PER_MULTI + 64,
    MAX_IDLE_EASIES = 32,
    DNS_ENTRY_S = 60,
    CA_FILE_KEPT_S = 60,
    CA_SYSTEM_KEPT_S = 3600,
    MAX_SPELLINGS = 64, /* of one path */
};
static const long FOREVER_S = 30L * 24 * 3600;

struct curl_multi {
    struct curl_pool *pool;
    struct curl_multi *next;
    CURLM *m;
    struct timer timer;
    uint32_t n_peers, n_running;
};

struct curl_socket {
    struct poller_entry entry;
    struct curl_multi *multi;
    int fd;
};

struct curl_pool {
    struct http_client *client;
    struct curl_multi *multis;
    CURL *idle[MAX_IDLE_EASIES];
    uint32_t n_idle;
};

static void take_completed(struct curl_multi *m);

/* ---- sockets and time ---- */

static void multi_act(struct curl_multi *m, curl_socket_t fd, int what)
{
    int running;
    curl_multi_socket_action(m->m, fd, what, &running);
    take_completed(m);
}

static void socket_ready(struct poller_entry *e, uint32_t events)
{
    struct curl_socket *s = CONTAINER_OF(e, struct curl_socket, entry);
    int what = (events & EPOLLIN ? CURL_CSELECT_IN : 0) | (events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
               (events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);
    multi_act(s->multi, s->fd, what);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *assigned)
{
    struct curl_multi *m = ctx;
    struct curl_socket *s = assigned;
    struct poller *poller = m->pool->client->poller;
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (s) {
            poller_remove(poller, fd, &s->entry);
            curl_multi_assign(m->m, fd, NULL);
            free(s);
        }
        return 0;
    }
    uint32_t events = (what & CURL_POLL_IN ? EPOLLIN : 0) | (what & CURL_POLL_OUT ? EPOLLOUT : 0);
    if (s) {
        poller_change(poller, fd, events, &s->entry);
        return 0;
    }
    s = NEW(struct curl_socket);
    s->entry.fn = socket_ready;
    s->multi = m;
    s->fd = fd;
    if (poller_add(poller, fd, events, &s->entry) != OK) {
        free(s);
        return -1;
    }
    curl_multi_assign(m->m, fd, s);
    return 0;
}

static void multi_free(struct curl_multi *m)
{
    timer_stop(&m->timer);
    curl_multi_cleanup(m->m);
    timer_stop(&m->timer); /* cleaning up may have asked for time */
    free(m);
}

static void multi_due(struct timer *t)
{
    struct curl_multi *m = CONTAINER_OF(t, struct curl_multi, timer);
    if (m->n_peers > 0 || m->n_running > 0) {
        multi_act(m, CURL_SOCKET_TIMEOUT, 0);
        return;
    }
    struct curl_multi **at = &m->pool->multis;
    while (*at != m) {
        at = &(*at)->next;
    }
    *at = m->next;
    multi_free(m);
}

static int on_timer(CURLM *curlm, long timeout_ms, void *ctx)
{
    struct curl_multi *m = ctx;
    (void)curlm;
    if (timeout_ms >= 0) {
        timer_start(m->pool->client->loop, &m->timer, (uint64_t)timeout_ms, multi_due);
    } else if (m->n_peers > 0) {
        timer_stop(&m->timer);
    }
    return 0;
}

static struct curl_multi *multi_new(struct curl_pool *pool)
{
    struct curl_multi *m = NEW(struct curl_multi);
    m->pool = pool;
    m->m = curl_multi_init();
    CHECK(m->m);
    curl_multi_setopt(m->m, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(m->m, CURLMOPT_SOCKETDATA, m);
    curl_multi_setopt(m->m, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(m->m, CURLMOPT_TIMERDATA, m);
    curl_multi_setopt(m->m, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_PER_MULTI);
    m->next = pool->multis;
    pool->multis = m;
    return m;
}

static struct curl_multi *peer_multi(struct http_peer *p)
{
    struct curl_pool *pool = p->client->curl;
    if (p->multi) {
        return p->multi;
    }
    struct curl_multi *m = pool->multis;
    while (m && m->n_peers >= PEERS_PER_MULTI) {
        m = m->next;
    }
    p->multi = m ? m : multi_new(pool);
    p->multi->n_peers++;
    return p->multi;
}

void curl_peer_release(struct http_peer *p)
{
    struct curl_multi *m = p->multi;
    p->multi = NULL;
    if (m && --m->n_peers == 0) {
        timer_start(p->client->loop, &m->timer, 0, multi_due); /* later: we may be below take_completed */
    }
}

/* ---- bytes ---- */

static size_t on_head(char *p, size_t size, size_t n, void *ctx)
{
    struct exchange *x = ctx;
    size_t bytes = size * n;
    struct str line = str_from(p, bytes);
    if (x->curl.head_done) {
        if (!str_starts(line, STR("HTTP/"))) {
            return bytes; /* a trailer */
        }
        buf_clear(&x->head_bytes); /* what came before was a 1xx response */
        x->curl.head_done = false;
    }
    if (x->head_bytes.n + bytes > HTTP_HEAD_MAX) {
        diag_set(&x->response.diag, ERR_LIMIT, "server response headers exceeded %d bytes; aborted", HTTP_HEAD_MAX);
        return 0;
    }
    buf_str(&x->head_bytes, line);
    x->curl.head_done = str_trim(line).n == 0;
    return bytes;
}

static size_t on_body(char *p, size_t size, size_t n, void *ctx)
{
    struct exchange *x = ctx;
    curl_off_t announced = 0;
    if (x->body_n == 0 && curl_easy_getinfo(x->curl.easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &announced) == CURLE_OK &&
        announced > 0) {
        if ((uint64_t)announced > x->body_max) {
            exchange_body_limit(x);
            return 0;
        }
        if (x->request->response_body) {
            buf_reserve(x->body, (size_t)announced < (1u << 20) ? (size_t)announced : (1u << 20));
        }
    }
    return exchange_body(x, p, size * n) == OK ? size * n : 0;
}

static int on_connected(void *ctx, char *primary_ip, char *local_ip, int primary_port, int local_port)
{
    (void)primary_ip, (void)local_ip, (void)primary_port, (void)local_port;
    exchange_connected(ctx);
    return CURL_PREREQFUNC_OK;
}

/* ---- options ---- */

struct field_list {
    struct exchange *x;
    bool accept, content_type;
};

static void list_append(struct curl_slist **list, const char *line)
{
    struct curl_slist *longer = curl_slist_append(*list, line);
    CHECK(longer);
    *list = longer;
}

static void print_field(struct buf *line, struct str name, struct str value)
{
    buf_str(line, name);
    if (value.n) {
        buf_c(line, ": ");
        buf_str(line, value);
    } else {
        buf_char(line, ';'); /* libcurl's way to write an empty field */
    }
}

static void add_field(void *ctx, struct str name, struct str value)
{
    struct field_list *f = ctx;
    AUTO_BUF line = {0};
    print_field(&line, name, value);
    list_append(&f->x->curl.headers, line.p);
    f->accept |= str_eq_nocase(name, STR("Accept"));
    f->content_type |= str_eq_nocase(name, STR("Content-Type"));
    explicit_bzero(line.p, line.n);
}

static void set_fields(CURL *e, struct exchange *x)
{
    struct field_list f = {.x = x};
    exchange_each_field(x, add_field, &f);
    list_append(&x->curl.headers, "Expect:");
    if (!f.accept) {
        list_append(&x->curl.headers, "Accept:");
    }
    if (!f.content_type) {
        list_append(&x->curl.headers, "Content-Type:");
    }
    curl_easy_setopt(e, CURLOPT_HTTPHEADER, x->curl.headers);
}

static void set_method(CURL *e, const struct exchange *x)
{
    bool get = strcmp(x->method, "GET") == 0, post = strcmp(x->method, "POST") == 0;
    if (strcmp(x->method, "HEAD") == 0) {
        curl_easy_setopt(e, CURLOPT_NOBODY, 1L);
        return;
    }
    if (post || x->request_body.n) {
        curl_easy_setopt(e, CURLOPT_POST, 1L);
        curl_easy_setopt(e, CURLOPT_POSTFIELDS, x->request_body.n ? x->request_body.p : "");
        curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)x->request_body.n);
    }
    if ((!get && !post) || (get && x->request_body.n)) {
        curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, x->method);
    }
}

static void set_blob(CURL *e, CURLoption option, struct str s)
{
    struct curl_blob blob = {.data = (void *)s.p, .len = s.n, .flags = CURL_BLOB_NOCOPY};
    curl_easy_setopt(e, option, &blob);
}

static long tls_version(int version)
{
    static const long versions[] = {CURL_SSLVERSION_TLSv1_0, CURL_SSLVERSION_TLSv1_1, CURL_SSLVERSION_TLSv1_2,
                                    CURL_SSLVERSION_TLSv1_3};
    return version >= 10 && version <= 13 ? versions[version - 10] : CURL_SSLVERSION_TLSv1_2;
}

/* libcurl opens these files at each new connection, keeps a CA's certificates for a while, and takes an old connection
 * when the paths are equal. A file that has changed is therefore spelled differently: with a slash more per change. */
static void set_path(CURL *e, CURLoption option, struct exchange *x, struct str path)
{
    struct http_client *c = x->client;
    AUTO_BUF spelled = {0};
    uint32_t n = 0;
    if (credentials_changes(c->credentials, path, loop_now_ms(c->loop), "", &n, NULL) != OK)
        n = 0; /* it has been there a moment ago; libcurl will say what is wrong with it */
    if (path.p[0] != '/')
        buf_c(&spelled, "./");
    for (uint32_t i = 0; i < n % MAX_SPELLINGS; i++)
        buf_char(&spelled, '/');
    buf_str(&spelled, path);
    curl_easy_setopt(e, option, spelled.p);
}

static void set_tls(CURL *e, struct exchange *x)
{
    const struct tls_options *t = &x->peer->options->tls;
    bool own_ca = t->ca.n || t->ca_file.n;
    if (own_ca) {
        curl_easy_setopt(e, CURLOPT_CAPATH, NULL); /* else the system's roots would be trusted beside it */
    }
    if (t->ca.n) {
        set_blob(e, CURLOPT_CAINFO_BLOB, t->ca);
    } else if (t->ca_file.n) {
        set_path(e, CURLOPT_CAINFO, x, t->ca_file);
    }
    curl_easy_setopt(e, CURLOPT_CA_CACHE_TIMEOUT, (long)(own_ca ? CA_FILE_KEPT_S : CA_SYSTEM_KEPT_S));
    if (t->cert.n) {
        set_blob(e, CURLOPT_SSLCERT_BLOB, t->cert);
    } else if (t->cert_file.n) {
        set_path(e, CURLOPT_SSLCERT, x, t->cert_file);
    }
    if (t->key.n) {
        set_blob(e, CURLOPT_SSLKEY_BLOB, t->key);
    } else if (t->key_file.n) {
        set_path(e, CURLOPT_SSLKEY, x, t->key_file);
    }
    if (t->insecure_skip_verify) {
        curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 0L);
        curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    static const long limits[] = {CURL_SSLVERSION_MAX_TLSv1_0, CURL_SSLVERSION_MAX_TLSv1_1, CURL_SSLVERSION_MAX_TLSv1_2,
                                  CURL_SSLVERSION_MAX_TLSv1_3};
    long max = t->max_version >= 10 && t->max_version <= 13 ? limits[t->max_version - 10] : 0;
    curl_easy_setopt(e, CURLOPT_SSLVERSION, tls_version(t->min_version) | max);
}

/* URL, whom to connect to, and the addresses that the resolver found. */
static void set_place(CURL *e, struct exchange *x)
{
    const struct tls_options *t = &x->peer->options->tls;
    bool renamed = http_url_is_tls(&x->url) && t->server_name.n;
    AUTO_BUF url = {0};
    AUTO_BUF line = {0};
    buf_printf(&url, "%s://", http_url_is_tls(&x->url) ? "https" : "http");
    if (renamed) {
        buf_printf(&url, "%.*s:%u", STR_ARGS(t->server_name), http_url_port(&x->url));
        struct http_url host = {.host = x->url.host};
        buf_c(&line, "::");
        http_url_print_host(&line, &host);
        buf_printf(&line, ":%u", http_url_port(&x->url));
        list_append(&x->curl.connect_to, line.p);
        curl_easy_setopt(e, CURLOPT_CONNECT_TO, x->curl.connect_to);
    } else {
        http_url_print_host(&url, &x->url);
    }
    http_url_print_target(&url, &x->url);
    curl_easy_setopt(e, CURLOPT_URL, url.p);
    bool named = x->resolved_by_name && x->addresses.n > 0;
    curl_easy_setopt(e, CURLOPT_DNS_CACHE_TIMEOUT, named ? (long)DNS_ENTRY_S : 0L);
    if (!named) {
        return;
    }
    buf_clear(&line);
    buf_printf(&line, "+%.*s:%u:", STR_ARGS(x->connect_host), x->connect_port);
    for (int i = 0; i < x->addresses.n; i++) {
        struct net_address a = x->addresses.a[i];
        AUTO_BUF text = {0};
        net_address_print(&text, &a);
        const char *colon = strrchr(text.p, ':');
        buf_printf(&line, "%s%.*s", i ? "," : "", (int)(colon - text.p), text.p);
    }
    list_append(&x->curl.resolve, line.p);
    curl_easy_setopt(e, CURLOPT_RESOLVE, x->curl.resolve);
}

/* Fields of CONNECT alone: what goes to a proxy in the clear is the request itself. */
static void set_connect_fields(CURL *e, struct exchange *x)
{
    const struct http_options *o = x->peer->options;
    if (!http_url_is_tls(&x->url) || o->n_proxy_connect_headers == 0)
        return;
    for (int i = 0; i < o->n_proxy_connect_headers; i++) {
        AUTO_BUF line = {0};
        print_field(&line, o->proxy_connect_headers[i].name, o->proxy_connect_headers[i].value);
        list_append(&x->curl.proxy_headers, line.p);
        explicit_bzero(line.p, line.n);
    }
    curl_easy_setopt(e, CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE);
    curl_easy_setopt(e, CURLOPT_PROXYHEADER, x->curl.proxy_headers);
}

static void set_proxy(CURL *e, struct exchange *x)
{
    AUTO_BUF proxy = {0};
    curl_easy_setopt(e, CURLOPT_NOPROXY, ""); /* proxy.c has decided */
    if (x->proxy.n == 0) {
        curl_easy_setopt(e, CURLOPT_PROXY, "");
        return;
    }
    if (str_starts(x->proxy, STR("socks5://"))) {
        buf_printf(&proxy, "socks5h://%.*s", (int)x->proxy.n - 9,
                   x->proxy.p + 9); /* the proxy looks names up, as in Go */
    } else {
        buf_str(&proxy, x->proxy);
    }
    curl_easy_setopt(e, CURLOPT_PROXY, proxy.p);
    curl_easy_setopt(e, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    set_connect_fields(e, x);
}

static void set_common(CURL *e, struct exchange *x)
{
    curl_easy_setopt(e, CURLOPT_PRIVATE, x);
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e, CURLOPT_MAXAGE_CONN, FOREVER_S);
    curl_easy_setopt(e, CURLOPT_ERRORBUFFER, x->curl.error);
    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_head);
    curl_easy_setopt(e, CURLOPT_HEADERDATA, x);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, x);
    curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, on_connected);
    curl_easy_setopt(e, CURLOPT_PREREQDATA, x);
    bool h2 = http_url_is_tls(&x->url) && x->peer->options->enable_http2;
    curl_easy_setopt(e, CURLOPT_HTTP_VERSION, h2 ? (long)CURL_HTTP_VERSION_2TLS : (long)CURL_HTTP_VERSION_1_1);
}

/* ---- the words of failures ---- */

static enum err say_verify(struct exchange *x, struct diag *d, long code)
{
    const struct tls_options *t = &x->peer->options->tls;
    struct str name = t->server_name.n ? t->server_name : x->url.host;
    switch (code) {
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        return diag_set(d, ERR_TLS,
                        "tls: failed to verify certificate: x509: certificate signed by unknown authority (%s)",
                        X509_verify_cert_error_string(code));
    case X509_V_ERR_CERT_NOT_YET_VALID:
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return diag_set(d, ERR_TLS,
                        "tls: failed to verify certificate: x509: certificate has expired or is not yet valid (%s)",
                        X509_verify_cert_error_string(code));
    case X509_V_OK:
    case X509_V_ERR_UNSPECIFIED: /* the chain was not the problem */
        return diag_set(d, ERR_TLS, "tls: failed to verify certificate: x509: certificate is not valid for %.*s (%s)",
                        STR_ARGS(name), x->curl.error);
    default:
        return diag_set(d, ERR_TLS, "tls: failed to verify certificate: x509: %s", X509_verify_cert_error_string(code));
    }
}

static enum err say_failure(struct exchange *x, CURLcode code, long number, long verify)
{
    struct diag *d = &x->response.diag;
    const char *words = x->curl.error[0] ? x->curl.error : curl_easy_strerror(code);
    AUTO_BUF place = {0};
    exchange_print_place(&place, x, 0);
    switch (code) {
    case CURLE_COULDNT_CONNECT:
        return number ? http_say_errno(d, (int)number, "dial", place.p, "connect")
                      : diag_set(d, ERR_NET, "dial tcp %s: %s", place.p, words);
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return diag_set(d, ERR_NET, "dial tcp: lookup %.*s: no such host", STR_ARGS(x->connect_host));
    case CURLE_GOT_NOTHING:
        return diag_set(d, ERR_NET, "EOF");
    case CURLE_PARTIAL_FILE:
        return diag_set(d, ERR_NET, "unexpected EOF");
    case CURLE_RECV_ERROR:
        return number == ECONNRESET ? http_say_errno(d, (int)number, "read", place.p, "read")
                                    : diag_set(d, ERR_NET, "read tcp %s: %s", place.p, words);
    case CURLE_SEND_ERROR:
        return number ? http_say_errno(d, (int)number, "write", place.p, "write")
                      : diag_set(d, ERR_NET, "write tcp %s: %s", place.p, words);
    case CURLE_PEER_FAILED_VERIFICATION:
        return say_verify(x, d, verify);
    case CURLE_SSL_CONNECT_ERROR:
        return diag_set(d, ERR_TLS, "tls: handshake with %s failed: %s", place.p, words);
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
        return diag_set(d, ERR_TLS, "tls: unable to use certificate or key: %s", words);
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return diag_set(d, ERR_SYNTAX, "malformed HTTP response: %s", words);
    default:
        return diag_set(d, ERR_NET, "%s: %s", place.p, words);
    }
}

/* ---- running ---- */

static void put_easy(struct curl_pool *pool, CURL *e)
{
    if (pool->n_idle == MAX_IDLE_EASIES) {
        curl_easy_cleanup(e);
        return;
    }
    curl_easy_reset(e);
    pool->idle[pool->n_idle++] = e;
}

/* x lets go of libcurl; its connection goes back into the cache if the transfer had ended, else it is closed. */
static void detach(struct exchange *x)
{
    struct curl_multi *m = x->peer->multi;
    curl_multi_remove_handle(m->m, x->curl.easy);
    m->n_running--;
    put_easy(m->pool, x->curl.easy);
    x->curl.easy = NULL;
    curl_slist_free_all(x->curl.headers);
    curl_slist_free_all(x->curl.resolve);
    curl_slist_free_all(x->curl.connect_to);
    curl_slist_free_all(x->curl.proxy_headers);
    x->curl.headers = x->curl.resolve = x->curl.connect_to = x->curl.proxy_headers = NULL;
}

static void completed(struct exchange *x, CURLcode code)
{
    long n_connects = 1, number = 0, verify = 0;
    CURL *e = x->curl.easy;
    curl_easy_getinfo(e, CURLINFO_NUM_CONNECTS, &n_connects);
    curl_easy_getinfo(e, CURLINFO_OS_ERRNO, &number);
    curl_easy_getinfo(e, CURLINFO_SSL_VERIFYRESULT, &verify);
    detach(x);
    x->response.reused = n_connects == 0;
    x->peer->curl_warm = code == CURLE_OK;
    enum err err = OK;
    if (code != CURLE_OK && x->response.diag.text[0]) {
        err = ERR_LIMIT; /* a callback has refused to go on, and said why */
    } else if (code != CURLE_OK) {
        err = say_failure(x, code, number, verify);
    }
    exchange_end(x, err);
}

static void take_completed(struct curl_multi *m)
{
    CURLMsg *msg;
    int left;
    while ((msg = curl_multi_info_read(m->m, &left))) {
        void *x = NULL;
        CURLcode code = msg->data.result;
        if (msg->msg == CURLMSG_DONE &&
            curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&x) == CURLE_OK) {
            completed(x, code);
        }
    }
}

static void curl_start(struct exchange *x)
{
    struct curl_multi *m = peer_multi(x->peer);
    struct curl_pool *pool = m->pool;
    CURL *e = pool->n_idle ? pool->idle[--pool->n_idle] : curl_easy_init();
    CHECK(e);
    x->curl.easy = e;
    x->curl.head_done = false;
    x->curl.error[0] = '\0';
    set_common(e, x);
    set_proxy(e, x);
    set_place(e, x);
    set_method(e, x);
    set_fields(e, x);
    if (http_url_is_tls(&x->url)) {
        set_tls(e, x);
    }
    m->n_running++;
    CHECK(curl_multi_add_handle(m->m, e) == CURLM_OK);
}

static void curl_abort(struct exchange *x)
{
    x->peer->curl_warm = false;
    detach(x);
}

const struct transport curl_transport = {.start = curl_start, .abort = curl_abort};

struct curl_pool *curl_pool_new(struct http_client *c)
{
    struct curl_pool *pool = NEW(struct curl_pool);
    pool->client = c;
    return pool;
}

void curl_pool_free(struct curl_pool *pool)
{
    while (pool->multis) {
        struct curl_multi *m = pool->multis;
        pool->multis = m->next;
        multi_free(m);
    }
    for (uint32_t i = 0; i < pool->n_idle; i++) {
        curl_easy_cleanup(pool->idle[i]);
    }
    free(pool);
}

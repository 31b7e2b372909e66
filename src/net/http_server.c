/* http_server: libmicrohttpd without a thread of its own.
 *
 * libmicrohttpd keeps its sockets in an epoll set; the set's descriptor is polled by our loop, and each time it is
 * ready, or when libmicrohttpd's next time-out is due, MHD_run does what there is to do. After each MHD_run its
 * time-out is asked for again. The listening socket is ours: so that addresses are written as the Go programs write
 * them (`:9090`,
 * `[::1]:9090`, `unix:/run/x`), and a failure says what could not be had.
 *
 *   request line, fields --> call; body, piece by piece, up to max_body --> handler --> answered, or suspended
 *                                                             http_call_answer later --> resumed --> answered
 *
 * libmicrohttpd takes a response only inside its own callback. So an answer is kept in the call; a suspended connection
 * is resumed, and MHD_run is called once more by a timer of 0 ms: without that the answer would wait for other traffic,
 * and from within another call's handler MHD_run must not be entered.
 *
 * A call has two owners: libmicrohttpd until the request is completed or the connection is lost, and the handler's side
 * until it has answered. The last of them frees it, so an answer that comes after the client or even the server has
 * gone is harmless. Suspended connections are resumed before the daemon is stopped, as libmicrohttpd demands.
 *
 * With a guard (net/web_guard.h) a request reaches the handler only when it is let in; while a password is checked the
 * connection is suspended, as for an answer. A TLS session is set up anew for each connection, before its handshake,
 * with what the guard says then; the connection keeps a reference in libmicrohttpd's socket context.
 *
 * Request bodies that are too large: refused by 413 at once when Content-Length says so; else the rest is read and
 * thrown away before 413 is sent, up to as much again, and then the connection is closed.
 *
 * Thread: the loop's own.
 */
#include "net/http_server.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <microhttpd.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#include "base/mem.h"
#include "base/num.h"
#include "net/http_options.h"
#include "net/listen.h"
#include "net/web_guard.h"
#include "wire/compress.h"

enum { GZIP_FROM_BYTES = 1024, MAX_BODY_DEFAULT = 1 << 20, CONNECTION_MEMORY = 64 * 1024 };

struct http_server {
    uv_poll_t uv; /* first: closed asynchronously */
    struct loop *loop;
    struct log *log;
    struct MHD_Daemon *daemon;
    http_handler *handler;
    void *ctx;
    size_t max_body;
    struct timer timer;
    struct http_call *suspended; /* those whose connections must be resumed before the end */
    struct compressor compressor;
    struct web_guard *guard;
    uint32_t *connections, own_connections, max_connections;
    int port;
    bool ending;
    char *unix_path;
};

struct http_call {
    struct http_server *server;        /* NULL when it has gone */
    struct MHD_Connection *connection; /* NULL when it has gone */
    struct http_call *prev, *next;
    struct str method, path; /* libmicrohttpd's, for the request's life; copied when suspended */
    struct buf body;
    size_t discarded;
    struct MHD_Response *response;
    int status;
    bool suspended, answered, too_large;
    struct http_header *headers;
    size_t n_headers, headers_cap;
    char *kept; /* method and path of a call that outlives the callback */
};

/* ---- calls ---- */

static void call_free(struct http_call *call)
{
    if (call->response) {
        MHD_destroy_response(call->response);
    }
    for (size_t i = 0; i < call->n_headers; i++) {
        free((char *)call->headers[i].name.p);
        free((char *)call->headers[i].value.p);
    }
    free(call->headers);
    free(call->kept);
    buf_release(&call->body);
    free(call);
}

static void suspended_add(struct http_call *call)
{
    struct http_server *s = call->server;
    call->suspended = true;
    call->prev = NULL;
    call->next = s->suspended;
    if (s->suspended) {
        s->suspended->prev = call;
    }
    s->suspended = call;
}

static void suspended_remove(struct http_call *call)
{
    *(call->prev ? &call->prev->next : &call->server->suspended) = call->next;
    if (call->next) {
        call->next->prev = call->prev;
    }
    call->suspended = false;
}

static void run_daemon(struct http_server *s);

static void timer_due(struct timer *t)
{
    run_daemon(CONTAINER_OF(t, struct http_server, timer));
}

/* The request is over, one way or another. */
static void on_completed(void *ctx, struct MHD_Connection *connection, void **slot,
                         enum MHD_RequestTerminationCode code)
{
    struct http_call *call = *slot;
    (void)ctx, (void)connection, (void)code;
    if (!call) {
        return;
    }
    *slot = NULL;
    call->connection = NULL;
    bool owed = call->kept && !call->answered; /* the handler's side still has it */
    if (!owed) {
        call_free(call);
    }
}

/* ---- answers ---- */

static bool accepts_gzip(const struct http_call *c)
{
    struct str rest = http_call_header(c, "Accept-Encoding"), item, name, parameters;
    while (rest.n) {
        str_cut(rest, ',', &item, &rest);
        str_cut(item, ';', &name, &parameters);
        if (!str_eq_nocase(str_trim(name), STR("gzip"))) {
            continue;
        }
        struct str key, value;
        double q = 1;
        if (str_cut(str_trim(parameters), '=', &key, &value) && str_eq_nocase(str_trim(key), STR("q")) &&
            num_parse_double(str_trim(value), &q) != OK) {
            q = 1;
        }
        return q > 0;
    }
    return false;
}

static void add_guard_headers(struct web_guard *guard, struct MHD_Response *r)
{
    const struct http_header *headers;
    uint32_t n = guard ? web_guard_headers(guard, &headers) : 0;

    for (uint32_t i = 0; i < n; i++) {
        MHD_add_response_header(r, headers[i].name.p, headers[i].value.p);
    }
}

static bool has_header(const struct http_call *c, struct str name)
{
    for (size_t i = 0; i < c->n_headers; i++) {
        if (str_eq_nocase(c->headers[i].name, name)) {
            return true;
        }
    }
    return false;
}

static struct MHD_Response *make_response(struct http_call *c, struct str body, bool *gzipped)
{
    AUTO_BUF packed = {0};
    *gzipped = false;
    if (body.n >= GZIP_FROM_BYTES && !has_header(c, STR("Content-Encoding")) && accepts_gzip(c)) {
        *gzipped = compress_encode(&c->server->compressor, COMPRESS_GZIP, body, &packed) == OK;
    }
    if (*gzipped) {
        body = buf_view(&packed);
    }
    struct MHD_Response *r = MHD_create_response_from_buffer(body.n, (void *)body.p, MHD_RESPMEM_MUST_COPY);
    CHECK(r);
    return r;
}

static void prepare_answer(struct http_call *c, int status, const char *content_type, struct str body)
{
    bool gzipped;
    c->status = status;
    c->response = make_response(c, body, &gzipped);
    if (content_type && *content_type) {
        MHD_add_response_header(c->response, "Content-Type", content_type);
    }
    if (gzipped) {
        MHD_add_response_header(c->response, "Content-Encoding", "gzip");
    }
    if (body.n >= GZIP_FROM_BYTES) {
        MHD_add_response_header(c->response, "Vary", "Accept-Encoding");
    }
    for (size_t i = 0; i < c->n_headers; i++) {
        MHD_add_response_header(c->response, c->headers[i].name.p, c->headers[i].value.p);
    }
    add_guard_headers(c->server->guard, c->response);
}

void http_call_answer(struct http_call *c, int status, const char *content_type, struct str body)
{
    CHECK(!c->answered);
    c->answered = true;
    if (!c->connection || !c->server) {
        call_free(c);
        return;
    }
    prepare_answer(c, status, content_type, body);
    if (c->suspended) {
        suspended_remove(c);
        MHD_resume_connection(c->connection);
        timer_start(c->server->loop, &c->server->timer, 0, timer_due);
    }
}

void http_call_header_set(struct http_call *c, const char *name, const char *value)
{
    c->headers = mem_grow(c->headers, &c->headers_cap, c->n_headers + 1, sizeof(*c->headers));
    c->headers[c->n_headers++] =
        (struct http_header){.name = str_c(mem_strdup(name)), .value = str_c(mem_strdup(value))};
}

/* ---- requests ---- */

struct str http_call_method(const struct http_call *c)
{
    return c->method;
}

struct str http_call_path(const struct http_call *c)
{
    return c->path;
}

static struct str connection_value(const struct http_call *c, enum MHD_ValueKind kind, const char *name)
{
    return c->connection ? str_c(MHD_lookup_connection_value(c->connection, kind, name)) : STR_NONE;
}

struct str http_call_query(const struct http_call *c, const char *name)
{
    return connection_value(c, MHD_GET_ARGUMENT_KIND, name);
}

struct str http_call_header(const struct http_call *c, const char *name)
{
    return connection_value(c, MHD_HEADER_KIND, name);
}

struct str http_call_body(const struct http_call *c)
{
    return buf_view(&c->body);
}

static enum MHD_Result refuse(struct MHD_Connection *connection)
{
    static const char text[] = "request body too large\n";
    struct MHD_Response *r = MHD_create_response_from_buffer(sizeof(text) - 1, (void *)text, MHD_RESPMEM_PERSISTENT);
    CHECK(r);
    MHD_add_response_header(r, "Connection", "close");
    enum MHD_Result result = MHD_queue_response(connection, MHD_HTTP_CONTENT_TOO_LARGE, r);
    MHD_destroy_response(r);
    return result;
}

static enum MHD_Result call_begin(struct http_server *s, struct MHD_Connection *connection, void **slot)
{
    uint64_t announced;
    struct str length = str_c(MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Content-Length"));
    if (length.n && num_parse_u64(length, &announced) == OK && announced > s->max_body) {
        return refuse(connection);
    }
    struct http_call *call = NEW(struct http_call);
    call->server = s;
    call->connection = connection;
    *slot = call;
    return MHD_YES;
}

static enum MHD_Result take_upload(struct http_server *s, struct http_call *call, const char *data, size_t *size)
{
    if (!call->too_large && *size <= s->max_body - call->body.n) {
        buf_append(&call->body, data, *size);
    } else {
        call->too_large = true;
        call->discarded += *size;
    }
    *size = 0;
    return call->discarded > s->max_body + (1 << 20) ? MHD_NO : MHD_YES;
}

/* The handler did not answer: the call is kept, and so are the texts it may still ask for. */
static void call_keep(struct http_call *call)
{
    size_t n = call->method.n, m = call->path.n;
    call->kept = mem_alloc(n + m + 2);
    memcpy(call->kept, call->method.p, n + 1);
    memcpy(call->kept + n + 1, call->path.p, m + 1);
    call->method.p = call->kept;
    call->path.p = call->kept + n + 1;
    suspended_add(call);
    MHD_suspend_connection(call->connection);
}

/* The call is let in or not. */
static void pass_on(struct http_call *call, enum web_verdict verdict)
{
    struct http_server *s = call->server;

    switch (verdict) {
    case WEB_ADMITTED:
        s->handler(s->ctx, call);
        break;
    case WEB_TOO_MANY:
        http_call_answer(call, 429, "text/plain; charset=utf-8", STR("Too Many Requests\n"));
        break;
    case WEB_UNAUTHORIZED:
        http_call_header_set(call, "WWW-Authenticate", "Basic");
        http_call_answer(call, 401, "text/plain; charset=utf-8", STR("Unauthorized\n"));
        break;
    case WEB_BROKEN:
    case WEB_WAITING:
        http_call_header_set(call, "Connection", "close");
        http_call_answer(call, 500, "text/plain; charset=utf-8", STR("Internal Server Error\n"));
        break;
    }
}

static void on_verdict(void *ctx, enum web_verdict verdict)
{
    struct http_call *call = ctx;

    if (!call->server || !call->connection) {
        http_call_answer(call, 503, NULL, STR_NONE);
    } else {
        pass_on(call, verdict);
    }
}

/* A connection that was set up while the guard's file was bad stays outside: nobody has looked at its certificate. */
static enum web_verdict ask_guard(struct http_server *s, struct http_call *call)
{
    const union MHD_ConnectionInfo *info;

    if (!s->guard) {
        return WEB_ADMITTED;
    }
    info = MHD_get_connection_info(call->connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    if (web_guard_has_tls(s->guard) && !(info && info->socket_context)) {
        return WEB_BROKEN;
    }
    return web_guard_admit(s->guard, http_call_header(call, "Authorization"), on_verdict, call);
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection, const char *url, const char *method,
                                  const char *version, const char *upload, size_t *upload_size, void **slot)
{
    struct http_server *s = ctx;
    struct http_call *call = *slot;
    (void)version;
    if (!call) {
        return call_begin(s, connection, slot);
    }
    if (*upload_size) {
        return take_upload(s, call, upload, upload_size);
    }
    if (call->too_large) {
        return refuse(connection);
    }
    if (!call->answered) {
        if (s->ending) {
            return MHD_NO;
        }
        call->method = str_c(method);
        call->path = str_c(url);
        enum web_verdict verdict = ask_guard(s, call);
        if (verdict != WEB_WAITING) {
            pass_on(call, verdict);
        }
        if (!call->answered) {
            call_keep(call);
            return MHD_YES;
        }
    }
    return MHD_queue_response(connection, (unsigned)call->status, call->response);
}

/* ---- listening ---- */

static enum err listen_unix(struct str path, int *fd, struct http_server *s, struct diag *d)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    if (path.n == 0 || path.n >= sizeof(a.sun_path)) {
        return diag_set(d, ERR_NET, "listen unix %.*s: path must have 1 to %zu bytes", STR_ARGS(path),
                        sizeof(a.sun_path) - 1);
    }
    memcpy(a.sun_path, path.p, path.n);
    *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (*fd < 0) {
        return diag_errno(d, ERR_NET, errno, "listen unix %s: socket", a.sun_path);
    }
    struct stat st;
    if (lstat(a.sun_path, &st) == 0 && S_ISSOCK(st.st_mode)) {
        if (connect(*fd, (struct sockaddr *)&a, sizeof(a)) == 0) {
            return diag_errno(d, ERR_NET, EADDRINUSE, "listen unix %s: bind", a.sun_path);
        }
        unlink(a.sun_path); /* left behind by a program that was killed */
    }
    if (bind(*fd, (struct sockaddr *)&a, sizeof(a)) || listen(*fd, SOMAXCONN)) {
        return diag_errno(d, ERR_NET, errno, "listen unix %s: bind", a.sun_path);
    }
    s->unix_path = mem_strdup(a.sun_path);
    return OK;
}

static enum err listen_tcp(struct str address, int *fd, struct http_server *s, struct diag *d)
{
    uint16_t port = 0;
    enum err err = listen_open(address, SOCK_STREAM, fd, &port, d);
    s->port = port;
    return err;
}

/* ---- the daemon on the loop ---- */

static void run_daemon(struct http_server *s)
{
    MHD_UNSIGNED_LONG_LONG ms;
    MHD_run(s->daemon);
    if (!s->ending && MHD_get_timeout(s->daemon, &ms) == MHD_YES) {
        timer_start(s->loop, &s->timer, ms, timer_due);
    } else {
        timer_stop(&s->timer);
    }
}

static void on_ready(uv_poll_t *handle, int status, int events)
{
    (void)status, (void)events;
    run_daemon(handle->data);
}

static void log_daemon(void *ctx, const char *fmt, va_list args) __attribute__((format(printf, 2, 0)));
static void log_daemon(void *ctx, const char *fmt, va_list args)
{
    struct http_server *s = ctx;
    char text[256];
    vsnprintf(text, sizeof(text), fmt, args);
    log_debug(s->log, "http server", F_STR("message", str_trim(str_c(text))));
}

static enum MHD_Result may_connect(void *ctx, const struct sockaddr *address, socklen_t n)
{
    struct http_server *s = ctx;
    (void)address, (void)n;
    return *s->connections < s->max_connections ? MHD_YES : MHD_NO;
}

static void on_connection(void *ctx, struct MHD_Connection *connection, void **slot,
                          enum MHD_ConnectionNotificationCode code)
{
    struct http_server *s = ctx;

    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        --*s->connections;
        tls_server_unref(*slot);
        *slot = NULL;
        return;
    }
    ++*s->connections;
    if (!s->guard || !web_guard_has_tls(s->guard)) {
        return;
    }
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    struct tls_server *tls = web_guard_tls(s->guard);
    if (tls && info && info->tls_session) {
        tls_server_apply(tls, info->tls_session);
        *slot = tls;
    } else {
        tls_server_unref(tls);
    }
}

static struct MHD_Daemon *start_daemon(struct http_server *s, int fd, const struct http_server_options *o)
{
    unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    struct tls_server *tls = o->guard && web_guard_has_tls(o->guard) ? web_guard_tls(o->guard) : NULL;
    struct MHD_OptionItem more[3] = {{MHD_OPTION_END, 0, NULL}};

    if (tls) {
        flags |= MHD_USE_TLS;
        more[0] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)tls_server_key(tls)};
        more[1] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)tls_server_cert(tls)};
        more[2] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
    }
    struct MHD_Daemon *daemon = MHD_start_daemon(
        flags, 0, may_connect, s, on_request, s, MHD_OPTION_EXTERNAL_LOGGER, log_daemon, s, MHD_OPTION_LISTEN_SOCKET,
        fd, MHD_OPTION_NOTIFY_COMPLETED, on_completed, s, MHD_OPTION_NOTIFY_CONNECTION, on_connection, s,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)s->max_connections, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)(o->idle_timeout_s ? o->idle_timeout_s : 300), MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)CONNECTION_MEMORY, MHD_OPTION_ARRAY, more, MHD_OPTION_END);
    tls_server_unref(tls);
    return daemon;
}

static void server_release(struct http_server *s)
{
    compressor_release(&s->compressor);
    free(s->unix_path);
    free(s);
}

enum err http_server_new(struct loop *loop, struct log *log, const struct http_server_options *o, http_handler *handler,
                         void *ctx, struct http_server **out, struct diag *d)
{
    struct http_server *s = NEW(struct http_server);
    s->loop = loop;
    s->log = log;
    s->handler = handler;
    s->ctx = ctx;
    s->max_body = o->max_body ? o->max_body : MAX_BODY_DEFAULT;
    s->guard = o->guard;
    s->max_connections = o->max_connections ? o->max_connections : 512;
    s->connections = o->connections ? o->connections : &s->own_connections;
    int fd = -1;
    bool local = str_starts(o->address, STR("unix:"));
    enum err err = local ? listen_unix(str_from(o->address.p + 5, o->address.n - 5), &fd, s, d)
                         : listen_tcp(o->address, &fd, s, d);
    if (!err) {
        s->daemon = start_daemon(s, fd, o);
        err = s->daemon ? OK : diag_set(d, ERR_NET, "listen %.*s: HTTP server did not start", STR_ARGS(o->address));
    }
    if (err) {
        if (fd >= 0) {
            close(fd);
        }
        server_release(s);
        return err;
    }
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    CHECK(info && info->epoll_fd >= 0);
    CHECK(uv_poll_init(loop_uv(loop), &s->uv, info->epoll_fd) == 0);
    s->uv.data = s;
    CHECK(uv_poll_start(&s->uv, UV_READABLE, on_ready) == 0);
    run_daemon(s);
    *out = s;
    return OK;
}

int http_server_port(const struct http_server *s)
{
    return s->port;
}

static void server_closed(uv_handle_t *handle)
{
    struct http_server *s = handle->data;
    timer_stop(&s->timer);
    while (s->suspended) {
        struct http_call *call = s->suspended;
        suspended_remove(call);
        MHD_resume_connection(call->connection);
        call->server = NULL;
    }
    MHD_stop_daemon(s->daemon); /* completes every request, closes the listening socket */
    if (s->unix_path) {
        unlink(s->unix_path);
    }
    server_release(s);
}

void http_server_free(struct http_server *s)
{
    if (!s || s->ending) {
        return;
    }
    s->ending = true;
    s->connections = &s->own_connections; /* what the owner lent is gone from here on */
    s->guard = NULL;
    timer_stop(&s->timer);
    uv_poll_stop(&s->uv);
    uv_close((uv_handle_t *)&s->uv, server_closed);
}

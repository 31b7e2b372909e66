/* plain_transport: GET and POST over http://, straight on sockets.
 *
 * At a thousand targets every 10 s libcurl costs more than everything else that is done with a scrape. What a scrape
 * needs is small: a connection that stays open, one write, one or two reads. A peer here is a descriptor in its struct;
 * it is registered with the poller once, edge-triggered, and its registration serves connecting, writing, reading and
 * the notice that the other side has closed, without a further epoll_ctl:
 *
 *   none --connect--> connecting --EPOLLOUT--> sending --> receiving --complete--> idle --http_start--> sending
 *                        | failed: next address              | close, error          | EPOLLRDHUP, unasked bytes
 *                        v                                   v                       v
 *                      error                               error                   none
 *
 * Edges: an event says that something has changed, so whoever waits has read until the kernel had no more (EAGAIN, or
 * fewer bytes than asked for; the end of the stream is announced by EPOLLRDHUP, and then reading goes on until 0). To
 * be fair to others at most READ_AT_ONCE bytes are read per event; setting the same interest again brings the next
 * event.
 *
 * No read buffer belongs to a connection: all share the client's 64 KiB one; a big body is read straight into the
 * request's buf. The response parser knows nothing of sockets.
 *
 * A connection that was kept may have been closed by the other side just now. If a request on it finds that, and
 * nothing of a response has arrived, it is sent once more on a fresh connection: GET always, POST only when a write has
 * failed or the connection was found closed before writing, as Go's transport does; otherwise the server may have acted
 * on it.
 *
 * Several addresses are tried in order, each for its share of the time that is left, at least 2 s.
 *
 * Thread: the loop's own.
 */
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"
#include "net/http_client_int.h"

enum {
    READ_AT_ONCE = 1 << 20,
    READ_STEP = 64 * 1024,
    ATTEMPT_MIN_MS = 2000,
    ATTEMPT_WITHOUT_DEADLINE_MS = 10 * 1000,
};
static const uint32_t interest = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
static const uint32_t ending = EPOLLRDHUP | EPOLLHUP | EPOLLERR;

static void connect_next(struct exchange *x, int number);
static void receive(struct exchange *x, uint32_t events);
static void plain_ready(struct poller_entry *e, uint32_t events);

/* ---- ends ---- */

void plain_peer_close(struct http_peer *p)
{
    if (p->fd < 0) {
        return;
    }
    if (!p->client->closed) {
        poller_remove(p->client->poller, -1, &p->entry); /* closing takes it out of the set */
    }
    close(p->fd);
    p->fd = -1;
}

static void finish(struct exchange *x, enum err err, bool keep)
{
    timer_stop(&x->plain.attempt);
    x->response.reused = x->plain.reused;
    if (!keep) {
        plain_peer_close(x->peer);
    }
    exchange_end(x, err);
}

static void plain_abort(struct exchange *x)
{
    timer_stop(&x->plain.attempt);
    plain_peer_close(x->peer);
}

static void start_fresh(struct exchange *x)
{
    plain_peer_close(x->peer);
    exchange_go(x);
}

/* The connection broke (number: why) or ended (0) before the response was complete. */
static void lost(struct exchange *x, int number)
{
    struct diag *d = &x->response.diag;
    bool unheard = x->plain.reused && !x->plain.parser.any;
    if (unheard && (x->plain.write_errno || strcmp(x->method, "GET") == 0)) {
        start_fresh(x);
        return;
    }
    AUTO_BUF place = {0};
    exchange_print_place(&place, x, x->plain.address_at);
    if (x->plain.write_errno) {
        finish(x, http_say_errno(d, x->plain.write_errno, "write", place.p, "write"), false);
        return;
    }
    finish(x, number ? http_say_errno(d, number, "read", place.p, "read") : response_parser_eof(&x->plain.parser, d),
           false);
}

/* ---- sending ---- */

static void print_field(void *ctx, struct str name, struct str value)
{
    struct buf *b = ctx;
    buf_str(b, name);
    buf_append(b, ": ", 2);
    buf_str(b, value);
    buf_append(b, "\r\n", 2);
}

static void print_head(struct exchange *x, struct buf *b)
{
    buf_clear(b);
    buf_c(b, x->method);
    buf_char(b, ' ');
    http_url_print_target(b, &x->url);
    buf_c(b, " HTTP/1.1\r\n");
    exchange_each_field(x, print_field, b);
    if (x->request_body.n || strcmp(x->method, "POST") == 0) {
        buf_c(b, "Content-Length: ");
        buf_u64(b, x->request_body.n);
        buf_append(b, "\r\n", 2);
    }
    buf_append(b, "\r\n", 2);
}

/* Writes what is left of head and body. False when the connection is broken. */
static bool send_rest(struct exchange *x, struct str head)
{
    struct str body = x->request_body;
    while (!x->plain.written) {
        struct iovec iov[2] = {
            {(char *)head.p + x->plain.out_at, head.n - x->plain.out_at},
            {(char *)body.p + x->plain.body_at, body.n - x->plain.body_at},
        };
        struct msghdr m = {.msg_iov = iov, .msg_iovlen = body.n ? 2 : 1};
        ssize_t n = sendmsg(x->peer->fd, &m, MSG_NOSIGNAL);
        if (n < 0) {
            if (errno == EINTR) {
                continue;
            }
            if (errno == EAGAIN) {
                return true;
            }
            x->plain.write_errno = errno;
            return false;
        }
        size_t of_head = (size_t)n < iov[0].iov_len ? (size_t)n : iov[0].iov_len;
        x->plain.out_at += of_head;
        x->plain.body_at += (size_t)n - of_head;
        x->plain.written = x->plain.out_at == head.n && x->plain.body_at == body.n;
    }
    return true;
}

/* A server may answer and close before it has read everything: its answer counts, then. */
static void send_failed(struct exchange *x)
{
    receive(x, ending);
}

static void send_request(struct exchange *x)
{
    struct buf *head = &x->client->scratch;
    print_head(x, head);
    bool ok = send_rest(x, buf_view(head));
    if (ok && !x->plain.written) {
        buf_clear(&x->plain.out);
        buf_str(&x->plain.out, buf_view(head));
    }
    explicit_bzero(head->p, head->n);
    if (!ok) {
        send_failed(x);
    }
}

/* ---- receiving ---- */

static void answered(struct exchange *x, bool more_than_asked, uint32_t events)
{
    bool keep = x->plain.parser.keep_alive && x->plain.written && !more_than_asked && !(events & ending);
    finish(x, OK, keep);
}

/* Reads once. *drained when the kernel has no more for now. */
static enum err read_shared(struct exchange *x, ssize_t *n, bool *drained, bool *rest)
{
    struct http_client *c = x->client;
    size_t used;
    *n = read(x->peer->fd, c->read_buffer, HTTP_READ_BUFFER_BYTES);
    *drained = *n < HTTP_READ_BUFFER_BYTES;
    if (*n <= 0) {
        return ERR_AGAIN;
    }
    enum err err =
        response_parser_feed(&x->plain.parser, str_from(c->read_buffer, (size_t)*n), &used, &x->response.diag);
    *rest = used < (size_t)*n;
    if (!x->request->response_body) {
        buf_clear(x->body);
    }
    return err;
}

static enum err read_straight(struct exchange *x, size_t room, ssize_t *n, bool *drained)
{
    struct buf *b = x->body;
    size_t free_bytes = b->cap > b->n ? b->cap - b->n - 1 : 0;
    if (free_bytes < room && free_bytes < READ_STEP / 4) {
        size_t more = b->n > READ_STEP ? b->n : READ_STEP;
        buf_reserve(b, more < room ? more : room);
        free_bytes = b->cap - b->n - 1;
    }
    size_t want = room < free_bytes ? room : free_bytes;
    *n = read(x->peer->fd, b->p + b->n, want);
    *drained = *n < (ssize_t)want;
    if (*n <= 0) {
        return ERR_AGAIN;
    }
    b->n += (size_t)*n;
    b->p[b->n] = '\0';
    return response_parser_took(&x->plain.parser, (size_t)*n, &x->response.diag);
}

static void receive(struct exchange *x, uint32_t events)
{
    size_t total = 0;
    for (;;) {
        ssize_t n;
        bool drained = false, rest = false;
        size_t room = x->request->response_body ? response_parser_room(&x->plain.parser) : 0;
        enum err err = room ? read_straight(x, room, &n, &drained) : read_shared(x, &n, &drained, &rest);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno == EAGAIN) {
            if (x->plain.write_errno) {
                lost(x, 0);
            }
            return;
        }
        if (n < 0) {
            lost(x, errno);
            return;
        }
        if (n == 0 && x->plain.parser.state == RESPONSE_UNTIL_CLOSE) {
            err = response_parser_eof(&x->plain.parser, NULL);
        } else if (n == 0) {
            lost(x, 0);
            return;
        }
        if (err == OK) {
            answered(x, rest, events);
            return;
        }
        if (err != ERR_AGAIN) {
            finish(x, err, false);
            return;
        }
        total += (size_t)n;
        if (total >= READ_AT_ONCE) {
            poller_change(x->client->poller, x->peer->fd, interest, &x->peer->entry);
            return;
        }
        if (drained && !(events & ending)) {
            return;
        }
    }
}

/* ---- connecting ---- */

static void connected(struct exchange *x)
{
    x->plain.connected = true;
    timer_stop(&x->plain.attempt);
    exchange_connected(x);
    send_request(x);
}

static void connect_result(struct exchange *x, uint32_t events)
{
    int number = 0;
    socklen_t n = sizeof(number);
    if (!(events & (EPOLLOUT | EPOLLERR | EPOLLHUP))) {
        return;
    }
    getsockopt(x->peer->fd, SOL_SOCKET, SO_ERROR, &number, &n);
    if (number) {
        connect_next(x, number);
        return;
    }
    connected(x);
}

static void attempt_due(struct timer *t)
{
    connect_next(CONTAINER_OF(t, struct exchange, plain.attempt), ETIMEDOUT);
}

static void arm_attempt(struct exchange *x)
{
    uint64_t left = (uint64_t)(x->addresses.n - x->plain.address_at), ms = ATTEMPT_WITHOUT_DEADLINE_MS;
    if (left < 2) {
        return;
    }
    if (timer_armed(&x->deadline)) {
        uint64_t now_ns = clock_mono_ns();
        ms = x->deadline.due_ns > now_ns ? (x->deadline.due_ns - now_ns) / 1000000 / left : 0;
        ms = ms < ATTEMPT_MIN_MS ? ATTEMPT_MIN_MS : ms;
    }
    timer_start(x->client->loop, &x->plain.attempt, ms, attempt_due);
}

/* Begins to connect to one address: 0 when that is under way, else errno. */
static int connect_to(struct exchange *x, struct net_address *a)
{
    struct http_peer *p = x->peer;
    int one = 1;
    net_address_set_port(a, x->connect_port);
    p->fd = socket(a->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (p->fd < 0) {
        return errno;
    }
    setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    p->entry.fn = plain_ready;
    if (connect(p->fd, &a->sa, net_address_size(a)) != 0 && errno != EINPROGRESS) {
        return errno;
    }
    return poller_add(p->client->poller, p->fd, interest, &p->entry) == OK ? 0
                                                                           : ENOSPC; /* reports EPOLLOUT when done */
}

static void connect_from(struct exchange *x, int number)
{
    struct diag *d = &x->response.diag;
    for (; x->plain.address_at < x->addresses.n; x->plain.address_at++) {
        number = connect_to(x, &x->addresses.a[x->plain.address_at]);
        if (number == 0) {
            arm_attempt(x);
            return;
        }
        plain_peer_close(x->peer);
    }
    AUTO_BUF place = {0};
    exchange_print_place(&place, x, x->addresses.n - 1);
    finish(x, http_say_errno(d, number, "dial", place.p, "connect"), false);
}

/* The address at address_at has failed with this number. */
static void connect_next(struct exchange *x, int number)
{
    timer_stop(&x->plain.attempt);
    plain_peer_close(x->peer);
    x->plain.address_at++;
    connect_from(x, number);
}

/* ---- events ---- */

static void plain_ready(struct poller_entry *e, uint32_t events)
{
    struct http_peer *p = CONTAINER_OF(e, struct http_peer, entry);
    struct exchange *x = p->x;
    bool busy = x && x->via == &plain_transport && x->state == EXCHANGE_RUNNING;
    if (!busy) {
        if (events & (EPOLLIN | ending)) {
            plain_peer_close(p); /* closed while idle, or bytes that nobody has asked for */
        }
        return;
    }
    if (!x->plain.connected) {
        connect_result(x, events);
        return;
    }
    if (!x->plain.written && (events & EPOLLOUT) && !send_rest(x, buf_view(&x->plain.out))) {
        send_failed(x);
        return;
    }
    if (events & (EPOLLIN | ending)) {
        receive(x, events);
    }
}

static bool still_open(int fd)
{
    char byte;
    return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

static void plain_start(struct exchange *x)
{
    x->plain.parser =
        (struct response_parser){.head = &x->head_bytes, .fields = &x->head, .body = x->body, .max_body = x->body_max};
    x->plain.out_at = x->plain.body_at = 0;
    x->plain.written = false;
    x->plain.write_errno = 0;
    x->plain.address_at = 0;
    x->plain.reused = x->plain.connected = x->peer->fd >= 0;
    if (!x->plain.connected) {
        connect_from(x, EADDRNOTAVAIL);
        return;
    }
    bool get = strcmp(x->method, "GET") == 0;
    if (!get && !still_open(x->peer->fd)) {
        start_fresh(x);
        return;
    }
    exchange_connected(x);
    send_request(x);
}

const struct transport plain_transport = {.start = plain_start, .abort = plain_abort};

/* line_server: lines from many sockets.
 *
 *   listener --accept--> connections --recv--> scratch, 64 KiB, one for all
 *                                                |        |
 *                              whole lines: handed out    the rest: the connection's own buffer, until its line ends
 *                              where they lie
 *
 * The sockets hang on a poller of the server's own, level-triggered: a connection is read a few times a turn at most,
 * so that one peer in a hurry does not keep the others waiting, and what is left is reported again.
 *
 * Memory follows the bytes of lines that have begun and not ended. Before a byte is kept two limits are asked: that of
 * a line, and that of all unfinished lines together. A line that meets one is given up: its buffer goes, it is counted
 * once, and the connection skips to the next '\n'. Buffers are given back with their line, unless they are small.
 *
 * A peer that vanished without a word is found by TCP keep-alive. When descriptors run out (EMFILE) the connection
 * stays in the backlog and accepting pauses for a moment, since the listener would be reported again at once.
 *
 * Thread: the loop's own.
 */
#include "net/line_server.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "net/listen.h"
#include "net/poller.h"

enum {
    SCRATCH = 64 << 10,
    READS_A_TURN = 4,
    ACCEPTS_A_TURN = 64,
    KEEP_BUFFER = 4 << 10, /* a buffer up to here stays with its connection */
    PAUSE_MS = 200,
    FLUSH_READS = 256, /* of a connection: 16 MiB, more than a socket holds */
};

struct connection {
    struct poller_entry entry;
    struct line_server *server;
    struct connection *prev, *next;
    struct buf begun; /* of a line that has not ended */
    int fd;
    bool skipping; /* to the next end of line */
};

struct line_server {
    struct poller_entry entry;
    struct loop *loop;
    struct poller *poller;
    struct timer pause;
    struct connection *connections;
    line_fn *fn;
    void *ctx;
    size_t max_line, max_unfinished, unfinished;
    uint32_t max_connections;
    int fd;
    uint16_t port;
    struct line_server_counts counts;
    char scratch[SCRATCH];
};

/* ---- lines ---- */

static void drop_begun(struct connection *c)
{
    c->server->unfinished -= c->begun.n;
    buf_clear(&c->begun);
    if (c->begun.cap > KEEP_BUFFER)
        buf_release(&c->begun);
}

static void give_up(struct connection *c, uint64_t *counter)
{
    ++*counter;
    drop_begun(c);
    c->skipping = true;
}

/* Keeps a piece of a line, unless it would be too much. */
static void keep(struct connection *c, struct str piece)
{
    struct line_server *s = c->server;

    if (piece.n > s->max_line - c->begun.n) {
        give_up(c, &s->counts.too_long);
    } else if (piece.n > s->max_unfinished - s->unfinished) {
        give_up(c, &s->counts.no_room);
    } else {
        buf_str(&c->begun, piece);
        s->unfinished += piece.n;
    }
}

/* The line ends behind this piece. */
static void end_line(struct connection *c, struct str piece)
{
    struct line_server *s = c->server;

    if (!c->skipping && c->begun.n == 0) {
        if (piece.n <= s->max_line)
            s->fn(s->ctx, piece);
        else
            s->counts.too_long++;
        return;
    }
    if (!c->skipping)
        keep(c, piece);
    if (!c->skipping)
        s->fn(s->ctx, buf_view(&c->begun));
    c->skipping = false;
    drop_begun(c);
}

static void take(struct connection *c, struct str bytes)
{
    struct str line, rest;

    while (bytes.n && str_cut(bytes, '\n', &line, &rest)) {
        end_line(c, line);
        bytes = rest;
    }
    if (bytes.n && !c->skipping)
        keep(c, bytes);
}

static void end_unfinished(struct connection *c)
{
    if (c->skipping || c->begun.n)
        end_line(c, STR(""));
}

/* ---- connections ---- */

static void connection_free(struct connection *c)
{
    struct line_server *s = c->server;

    poller_remove(s->poller, c->fd, &c->entry);
    close(c->fd);
    *(c->prev ? &c->prev->next : &s->connections) = c->next;
    if (c->next)
        c->next->prev = c->prev;
    drop_begun(c);
    buf_release(&c->begun);
    s->counts.connections--;
    free(c);
}

/* Reads at most so many times. False: the peer has ended, with or without a word. */
static bool read_some(struct connection *c, int times)
{
    struct line_server *s = c->server;

    for (int i = 0; i < times; i++) {
        ssize_t n = recv(c->fd, s->scratch, sizeof(s->scratch), 0);
        if (n > 0)
            take(c, str_from(s->scratch, (size_t)n));
        else if (n < 0 && errno == EINTR)
            continue;
        else
            return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
        if ((size_t)n < sizeof(s->scratch) && times == READS_A_TURN)
            return true;
    }
    return true;
}

static void on_connection(struct poller_entry *e, uint32_t events)
{
    struct connection *c = CONTAINER_OF(e, struct connection, entry);

    (void)events;
    if (read_some(c, READS_A_TURN))
        return;
    end_unfinished(c);
    connection_free(c);
}

static void connection_new(struct line_server *s, int fd)
{
    int one = 1;
    struct connection *c;

    if (s->counts.connections >= s->max_connections) {
        s->counts.refused++;
        close(fd);
        return;
    }
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
    c = NEW(struct connection);
    *c = (struct connection){.entry.fn = on_connection, .server = s, .fd = fd, .next = s->connections};
    if (poller_add(s->poller, fd, EPOLLIN | EPOLLRDHUP, &c->entry)) {
        s->counts.refused++;
        close(fd);
        free(c);
        return;
    }
    if (s->connections)
        s->connections->prev = c;
    s->connections = c;
    s->counts.connections++;
}

/* ---- the listener ---- */

static void pause_over(struct timer *t)
{
    struct line_server *s = CONTAINER_OF(t, struct line_server, pause);
    poller_change(s->poller, s->fd, EPOLLIN, &s->entry);
}

static void accept_some(struct line_server *s, uint32_t times)
{
    for (uint32_t i = 0; i < times; i++) {
        int fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            connection_new(s, fd);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            s->counts.refused++;
            poller_change(s->poller, s->fd, 0, &s->entry);
            timer_start(s->loop, &s->pause, PAUSE_MS, pause_over);
        }
        if (errno != EINTR && errno != ECONNABORTED)
            return;
    }
}

static void on_listener(struct poller_entry *e, uint32_t events)
{
    (void)events;
    accept_some(CONTAINER_OF(e, struct line_server, entry), ACCEPTS_A_TURN);
}

enum err line_server_new(struct loop *loop, const struct line_server_options *o, struct line_server **out,
                         struct diag *d)
{
    int fd;
    uint16_t port;
    enum err err = listen_open(o->address, SOCK_STREAM, &fd, &port, d);

    if (err)
        return err;
    struct line_server *s = NEW(struct line_server);
    s->entry.fn = on_listener;
    s->loop = loop;
    s->poller = poller_new(loop);
    s->fn = o->fn;
    s->ctx = o->ctx;
    s->max_line = o->max_line ? o->max_line : 1 << 20;
    s->max_unfinished = o->max_unfinished ? o->max_unfinished : 64 << 20;
    s->max_connections = o->max_connections ? o->max_connections : 1000;
    s->fd = fd;
    s->port = port;
    CHECK(poller_add(s->poller, fd, EPOLLIN, &s->entry) == OK);
    *out = s;
    return OK;
}

void line_server_flush(struct line_server *s)
{
    accept_some(s, s->max_connections);
    for (struct connection *c = s->connections, *next; c; c = next) {
        next = c->next;
        bool goes_on = read_some(c, FLUSH_READS);
        end_unfinished(c);
        if (!goes_on)
            connection_free(c);
    }
}

static void poller_gone(void *ctx)
{
    free(ctx);
}

void line_server_free(struct line_server *s)
{
    if (!s)
        return;
    while (s->connections)
        connection_free(s->connections);
    timer_stop(&s->pause);
    poller_remove(s->poller, s->fd, &s->entry);
    close(s->fd);
    poller_free(s->poller, poller_gone, s);
}

int line_server_port(const struct line_server *s)
{
    return s->port;
}

struct line_server_counts line_server_counts(const struct line_server *s)
{
    return s->counts;
}

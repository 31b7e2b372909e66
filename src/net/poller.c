/* poller: many sockets, one handle of the loop.
 *
 *   libuv's epoll --- one uv_poll_t --- our epoll fd --- peer 1, peer 2, ... curl's sockets, c-ares' sockets
 *
 * libuv would want a uv_poll_t of 160 bytes for each connection, closes it asynchronously, and changes its epoll set by
 * one system call per change of interest. A scrape target keeps its connection for months and speaks once in 10 s, so
 * we watch it edge-triggered instead: one EPOLL_CTL_ADD in its life, no memory but a function pointer in the peer, and
 * a connection that the other side closes is reported once and costs nothing otherwise. The price is a second
 * epoll_wait per wake-up (less than a microsecond), shared by all sockets that are ready together.
 *
 * The inner set is fetched with a zero timeout whenever libuv finds it readable (level-triggered: what does not fit
 * into one fetch comes with the next turn of the loop). While a fetched array is being handed out, a handler may remove
 * any other entry; its pending event is then set to NULL in the array, so that freed memory is never reached.
 *
 * Thread: the loop's own.
 */
#include "net/poller.h"

#include <errno.h>
#include <unistd.h>
#include <uv.h>

#include "base/mem.h"

enum { EVENTS_AT_ONCE = 128 };

struct poller {
    uv_poll_t uv;
    int epoll_fd;
    int n, at; /* of events: being handed out */
    bool closing;
    struct epoll_event events[EVENTS_AT_ONCE];
    void (*closed)(void *ctx);
    void *ctx;
};

static void poller_ready(uv_poll_t *handle, int status, int uv_events)
{
    struct poller *p = handle->data;
    (void)uv_events;
    if (status < 0) {
        return;
    }
    int n = epoll_wait(p->epoll_fd, p->events, EVENTS_AT_ONCE, 0);
    p->n = n > 0 ? n : 0;
    for (p->at = 0; p->at < p->n && !p->closing; p->at++) {
        struct poller_entry *e = p->events[p->at].data.ptr;
        if (e) {
            e->fn(e, p->events[p->at].events);
        }
    }
    p->n = 0;
}

struct poller *poller_new(struct loop *loop)
{
    struct poller *p = NEW(struct poller);
    p->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    CHECK(p->epoll_fd >= 0);
    CHECK(uv_poll_init(loop_uv(loop), &p->uv, p->epoll_fd) == 0);
    p->uv.data = p;
    CHECK(uv_poll_start(&p->uv, UV_READABLE, poller_ready) == 0);
    return p;
}

static void poller_closed(uv_handle_t *handle)
{
    struct poller *p = handle->data;
    if (p->closed) {
        p->closed(p->ctx);
    }
    close(p->epoll_fd);
    free(p);
}

void poller_free(struct poller *p, void (*closed)(void *ctx), void *ctx)
{
    p->closing = true;
    p->closed = closed;
    p->ctx = ctx;
    uv_poll_stop(&p->uv);
    uv_close((uv_handle_t *)&p->uv, poller_closed);
}

enum err poller_add(struct poller *p, int fd, uint32_t events, struct poller_entry *e)
{
    struct epoll_event ev = {.events = events, .data.ptr = e};
    if (epoll_ctl(p->epoll_fd, EPOLL_CTL_ADD, fd, &ev) == 0) {
        return OK;
    }
    if (errno != EEXIST) {
        return ERR_NET;
    }
    poller_change(p, fd, events, e);
    return OK;
}

void poller_change(struct poller *p, int fd, uint32_t events, struct poller_entry *e)
{
    struct epoll_event ev = {.events = events, .data.ptr = e};
    epoll_ctl(p->epoll_fd, EPOLL_CTL_MOD, fd, &ev);
}

void poller_remove(struct poller *p, int fd, struct poller_entry *e)
{
    struct epoll_event unused = {0};
    if (fd >= 0) {
        epoll_ctl(p->epoll_fd, EPOLL_CTL_DEL, fd, &unused);
    }
    for (int i = p->at; i < p->n; i++) {
        if (p->events[i].data.ptr == e) {
            p->events[i].data.ptr = NULL;
        }
    }
}

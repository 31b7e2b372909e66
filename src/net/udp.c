/* udp: datagrams from a socket to a function.
 *
 *   kernel's queue --recvmmsg, 16 at a time--> buffers --one by one--> fn
 *
 * The socket is ours, on a uv_poll_t: a burst costs one system call for 16 datagrams, each into a buffer of 64 KiB that
 * holds any of them whole. The buffers are one mapping of 1 MiB, of which ordinary datagrams touch a page each. A turn
 * reads at most ROUNDS times; the handle is level-triggered, so what is left comes with the next turn and other work
 * of the loop in between.
 *
 * While nobody reads (a busy loop, the end of the program) datagrams wait in the socket: its buffer is raised to
 * RECEIVE_BYTES, or to what net.core.rmem_max allows. What does not fit is dropped by the kernel, which counts it;
 * SO_MEMINFO reads that count at any time, where SO_RXQ_OVFL would tell it only with a later datagram.
 *
 * udp_drain reads until the queue is empty, but no more than the buffer can have held when it was called (a queued
 * datagram is charged more than LEAST_CHARGE bytes): one who sends on and on does not hold up the end.
 */
#include "net/udp.h"

#include <errno.h>
#include <linux/sock_diag.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "base/mem.h"
#include "net/listen.h"

enum {
    AT_ONCE = 16,
    DATAGRAM_BYTES = 64 * 1024,
    ROUNDS = 16, /* a turn: 256 datagrams */
    RECEIVE_BYTES = 4 << 20,
    LEAST_CHARGE = 256,
};

struct udp {
    uv_poll_t uv;
    int fd;
    uint16_t port;
    bool closed;
    udp_fn *fn;
    void *ctx;
    char *bytes; /* AT_ONCE buffers */
    struct iovec parts[AT_ONCE];
    struct mmsghdr messages[AT_ONCE];
};

/* One system call; how many were handed out. Fewer than AT_ONCE: the queue is empty, or the socket closed. */
static int receive(struct udp *u)
{
    int n;
    do {
        n = recvmmsg(u->fd, u->messages, AT_ONCE, MSG_DONTWAIT, NULL);
    } while (n < 0 && errno == EINTR);
    for (int i = 0; i < n && !u->closed; i++) {
        u->fn(u->ctx, str_from(u->parts[i].iov_base, u->messages[i].msg_len));
    }
    return u->closed || n < 0 ? 0 : n;
}

static void on_ready(uv_poll_t *handle, int status, int events)
{
    struct udp *u = handle->data;
    (void)status, (void)events; /* an error of the socket is taken off it by reading, too */
    for (int i = 0; i < ROUNDS && receive(u) == AT_ONCE; i++) {
    }
}

static void raise_buffer(int fd)
{
    int bytes = RECEIVE_BYTES;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes))) { /* asks for CAP_NET_ADMIN */
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
    }
}

enum err udp_open(struct loop *loop, struct str address, udp_fn *fn, void *ctx, struct udp **out, struct diag *d)
{
    int fd;
    uint16_t port;
    enum err err = listen_open(address, SOCK_DGRAM, &fd, &port, d);
    if (err) {
        return err;
    }
    raise_buffer(fd);
    struct udp *u = NEW(struct udp);
    u->fd = fd;
    u->port = port;
    u->fn = fn;
    u->ctx = ctx;
    u->bytes = mem_alloc((size_t)AT_ONCE * DATAGRAM_BYTES);
    for (int i = 0; i < AT_ONCE; i++) {
        u->parts[i] = (struct iovec){u->bytes + (size_t)i * DATAGRAM_BYTES, DATAGRAM_BYTES};
        u->messages[i].msg_hdr = (struct msghdr){.msg_iov = &u->parts[i], .msg_iovlen = 1};
    }
    CHECK(uv_poll_init(loop_uv(loop), &u->uv, fd) == 0);
    u->uv.data = u;
    CHECK(uv_poll_start(&u->uv, UV_READABLE, on_ready) == 0);
    *out = u;
    return OK;
}

static size_t datagrams_at_most(int fd)
{
    int bytes = 0;
    socklen_t n = sizeof(bytes);
    if (getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, &n) || bytes < RECEIVE_BYTES) {
        bytes = RECEIVE_BYTES;
    }
    return (size_t)bytes / LEAST_CHARGE;
}

void udp_drain(struct udp *u)
{
    size_t most = datagrams_at_most(u->fd);
    for (size_t n = 0; n < most; n += AT_ONCE) {
        if (receive(u) < AT_ONCE) {
            return;
        }
    }
}

static void on_closed(uv_handle_t *handle)
{
    struct udp *u = handle->data;
    free(u->bytes);
    free(u);
}

void udp_close(struct udp *u)
{
    if (!u || u->closed) {
        return;
    }
    u->closed = true;
    uv_poll_stop(&u->uv);
    uv_close((uv_handle_t *)&u->uv, on_closed);
    close(u->fd);
}

int udp_port(const struct udp *u)
{
    return u->port;
}

uint32_t udp_dropped(const struct udp *u)
{
    uint32_t info[SK_MEMINFO_VARS] = {0};
    socklen_t n = sizeof(info);
    if (getsockopt(u->fd, SOL_SOCKET, SO_MEMINFO, info, &n)) {
        return 0;
    }
    return info[SK_MEMINFO_DROPS];
}

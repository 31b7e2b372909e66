/* ask: see the header. The one HTTP client, on a loop that lives as long as the question.
 *
 *   loop_new -> http_start -> loop_run ... on_answer: copy what is wanted, free, loop_stop ... loop_free
 *
 * For commands (healthcheck) that ask once and end: the calling thread waits. An answer of more than 64 MiB is an
 * error. Nothing is retried; the timeout covers everything from the name lookup to the last byte.
 *
 * The client knows no Unix sockets. There a question is one line and its answer's first line is all that is read.
 */
#include "run/ask.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/http_client.h"
#include "base/version.h"

enum { MAX_ANSWER = 64 << 20 };

struct question {
    struct http_request request;
    struct loop *loop;
    struct http_client *client;
    struct http_peer *peer;
    enum err err;
    int status;
    struct diag *d;
};

static void on_answer(struct http_request *r, const struct http_response *response)
{
    struct question *q = CONTAINER_OF(r, struct question, request);

    q->err = response->err;
    q->status = response->status;
    if (response->err && q->d)
        *q->d = response->diag;
    http_peer_free(q->peer);
    http_client_free(q->client);
    loop_stop(q->loop);
}

enum err ask_get(struct str url, bool insecure, uint32_t timeout_ms, int *status, struct buf *body, struct diag *d)
{
    struct http_client_limits limits = {.max_connecting = 1, .user_agent = LEADLINE_USER_AGENT};
    struct http_options options = {.tls.insecure_skip_verify = insecure};
    struct question q = {.loop = loop_new("ask"), .d = d};

    q.client = http_client_new(q.loop, NULL, &limits);
    q.err = http_peer_new(q.client, url, &options, &q.peer, d);
    if (q.err) {
        http_client_free(q.client);
    } else {
        q.request = (struct http_request){.method = "GET",
                                          .timeout_ms = timeout_ms,
                                          .max_body = MAX_ANSWER,
                                          .response_body = body,
                                          .done = on_answer};
        http_start(q.peer, &q.request);
        loop_run(q.loop);
    }
    loop_free(q.loop);
    *status = q.status;
    return q.err;
}

/* ---- Unix sockets ---- */

static bool wait_for(int fd, short what, uint64_t end_ms)
{
    struct pollfd p = {.fd = fd, .events = what};
    uint64_t now;

    while ((now = clock_mono_ms()) < end_ms) {
        int n = poll(&p, 1, (int)(end_ms - now));
        if (n > 0)
            return true;
        if (n < 0 && errno != EINTR)
            return false;
    }
    errno = ETIMEDOUT;
    return false;
}

/* "HTTP/1.1 200 OK" */
static int status_of_line(const char *line)
{
    int status;

    return sscanf(line, "HTTP/%*d.%*d %3d", &status) == 1 ? status : 0;
}

static enum err exchange(int fd, const char *path, uint64_t end_ms, int *status, struct diag *d)
{
    char line[256];
    size_t n = 0;
    int size = snprintf(line, sizeof(line), "GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n", path);

    if (size >= (int)sizeof(line))
        return diag_set(d, ERR_LIMIT, "the path is too long");
    if (!wait_for(fd, POLLOUT, end_ms) || send(fd, line, (size_t)size, MSG_NOSIGNAL) != size)
        return diag_errno(d, ERR_NET, errno, "write");
    while (n < sizeof(line) - 1) {
        if (!wait_for(fd, POLLIN, end_ms))
            return diag_errno(d, ERR_NET, errno, "read");
        ssize_t got = recv(fd, line + n, sizeof(line) - 1 - n, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return diag_errno(d, ERR_NET, errno, "read");
        n += (size_t)got;
        line[n] = '\0';
        if (got == 0 || strchr(line, '\n'))
            break;
    }
    line[n] = '\0';
    *status = status_of_line(line);
    return *status ? OK : diag_set(d, ERR_SYNTAX, "no answer of HTTP");
}

enum err ask_get_unix(struct str socket_path, const char *path, uint32_t timeout_ms, int *status, struct diag *d)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    uint64_t end_ms = clock_mono_ms() + timeout_ms;

    *status = 0;
    if (socket_path.n == 0 || socket_path.n >= sizeof(a.sun_path))
        return diag_set(d, ERR_LIMIT, "a socket's path must have 1 to %zu bytes", sizeof(a.sun_path) - 1);
    memcpy(a.sun_path, socket_path.p, socket_path.n);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return diag_errno(d, ERR_NET, errno, "socket");
    enum err err = connect(fd, (struct sockaddr *)&a, sizeof(a)) ? diag_errno(d, ERR_NET, errno, "connect")
                                                                 : exchange(fd, path, end_ms, status, d);
    close(fd);
    return err;
}

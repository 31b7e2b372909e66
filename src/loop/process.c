/* process: one child, two pipes, one clock.
 *
 *   uv_spawn --> [ child ] --stdout--> output  (at most max_output, then the group is killed)
 *                          --stderr--> errors  (the first 4 KiB, the rest is read and thrown away)
 *
 * `done` waits for three things: the child's end and the end of both pipes, so that nothing it wrote is missed. A
 * grandchild that keeps a pipe open does not hold that up for ever: the same clock runs for it, and the whole group,
 * which the child leads (setsid), is killed at the end of it. Memory goes when the four handles have been closed.
 *
 * What the child says may be a secret: it is wiped before it is freed.
 */
#include "loop/process.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "loop/loop_int.h"

enum { CHUNK_BYTES = 4096, ERRORS_KEPT = 4096 };

struct process {
    uv_process_t uv;
    uv_pipe_t out, errors;
    struct timer deadline, grace;
    struct loop *loop;
    struct process_options o;
    struct buf out_bytes, errors_bytes;
    char chunk[CHUNK_BYTES];
    enum err err;
    int64_t status;
    int signal;
    int running; /* of the child and the two pipes */
    int handles; /* still to be closed */
    bool canceled, ended;
};

static void on_closed(uv_handle_t *handle)
{
    struct process *p = handle->data;

    if (--p->handles > 0)
        return;
    explicit_bzero(p->chunk, sizeof(p->chunk));
    if (p->out_bytes.p)
        explicit_bzero(p->out_bytes.p, p->out_bytes.cap);
    buf_release(&p->out_bytes);
    buf_release(&p->errors_bytes);
    free(p);
}

static void close_handle(uv_handle_t *handle)
{
    if (!uv_is_closing(handle))
        uv_close(handle, on_closed);
}

static void close_all(struct process *p)
{
    timer_stop(&p->deadline);
    timer_stop(&p->grace);
    close_handle((uv_handle_t *)&p->out);
    close_handle((uv_handle_t *)&p->errors);
    close_handle((uv_handle_t *)&p->uv);
}

static void finish(struct process *p)
{
    struct process_result r = {.err = p->err,
                               .status = (int)p->status,
                               .signal = p->signal,
                               .output = buf_view(&p->out_bytes),
                               .errors = buf_view(&p->errors_bytes)};

    if (p->ended)
        return;
    p->ended = true;
    if (!p->canceled)
        p->o.done(p->o.ctx, &r);
    close_all(p);
}

static void part_ended(struct process *p)
{
    if (--p->running == 0)
        finish(p);
}

/* A killed group has ended in a moment; a process that has left the group may still hold a pipe. */
static void on_grace(struct timer *t)
{
    finish(CONTAINER_OF(t, struct process, grace));
}

static void kill_group(struct process *p, enum err why)
{
    if (p->err)
        return;
    p->err = why;
    if (p->uv.pid > 0)
        kill(-p->uv.pid, SIGKILL);
    timer_start(p->loop, &p->grace, 1000, on_grace);
}

static void on_deadline(struct timer *t)
{
    kill_group(CONTAINER_OF(t, struct process, deadline), ERR_TIMEOUT);
}

static void on_exit_of(uv_process_t *uv, int64_t status, int signal)
{
    struct process *p = uv->data;

    p->status = status;
    p->signal = signal;
    part_ended(p);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct process *p = handle->data;

    (void)suggested;
    *buf = uv_buf_init(p->chunk, sizeof(p->chunk));
}

static void on_output(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct process *p = stream->data;
    bool errors = stream == (uv_stream_t *)&p->errors;

    if (n < 0) {
        uv_read_stop(stream);
        part_ended(p);
        return;
    }
    if (errors) {
        size_t room = ERRORS_KEPT - p->errors_bytes.n;
        buf_append(&p->errors_bytes, buf->base, (size_t)n < room ? (size_t)n : room);
    } else if (p->out_bytes.n + (size_t)n > p->o.max_output) {
        kill_group(p, ERR_LIMIT);
    } else {
        buf_append(&p->out_bytes, buf->base, (size_t)n);
    }
}

static void open_pipe(struct process *p, uv_pipe_t *pipe)
{
    CHECK(uv_pipe_init(&p->loop->uv, pipe, 0) == 0);
    pipe->data = p;
    p->handles++;
}

enum err process_start(struct loop *loop, const struct process_options *o, struct process **out, struct diag *d)
{
    struct process *p = NEW(struct process);
    uv_stdio_container_t stdio[3];
    uv_process_options_t options = {.file = o->argv[0],
                                    .args = o->argv,
                                    .flags = UV_PROCESS_DETACHED, /* setsid: a group that can be killed as a whole */
                                    .exit_cb = on_exit_of,
                                    .stdio_count = 3,
                                    .stdio = stdio};

    p->loop = loop;
    p->o = *o;
    p->uv.data = p;
    open_pipe(p, &p->out);
    open_pipe(p, &p->errors);
    stdio[0].flags = UV_IGNORE;
    stdio[1].flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE;
    stdio[1].data.stream = (uv_stream_t *)&p->out;
    stdio[2].flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE;
    stdio[2].data.stream = (uv_stream_t *)&p->errors;
    int rc = uv_spawn(&loop->uv, &p->uv, &options);
    p->handles++;
    if (rc) {
        p->ended = true;
        close_all(p);
        return diag_set(d, rc == UV_ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s: %s", o->argv[0], uv_strerror(rc));
    }
    p->running = 3;
    uv_read_start((uv_stream_t *)&p->out, on_alloc, on_output);
    uv_read_start((uv_stream_t *)&p->errors, on_alloc, on_output);
    timer_start(loop, &p->deadline, o->timeout_ms, on_deadline);
    *out = p;
    return OK;
}

void process_cancel(struct process *p)
{
    p->canceled = true;
    kill_group(p, ERR_CANCELED); /* the handles are closed when it has been waited for */
}

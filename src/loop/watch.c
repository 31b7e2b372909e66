/* watch: a directory whose files someone else replaces.
 *
 * Target lists and configuration are rewritten by other programs: by rename, by writing in place, or (in Kubernetes) by
 * moving a symbolic link. inotify, through libuv, says that something happened in the directory; what it was is not
 * worth knowing, since the reader reads everything again. Writers produce bursts (create, write, write, chmod, rename),
 * so the first event arms a timer and the callback comes once, 50 ms later; what happens meanwhile is in that reading,
 * and what happens after it arms the timer again. So at most one call per 50 ms, and none is lost.
 *
 * A watch follows the directory's inode: if the directory itself is removed, nothing is ever reported again; whoever
 * needs more than that also reads from time to time. One thread, the loop's.
 */
#include "loop/loop_int.h"

#include <stdlib.h>

#include "base/mem.h"

enum { COALESCE_MS = 50 };

struct loop_watch {
    uv_fs_event_t uv;
    struct loop *loop;
    struct timer timer;
    watch_fn *fn;
    void *ctx;
};

static void tell(struct timer *t)
{
    struct loop_watch *w = CONTAINER_OF(t, struct loop_watch, timer);
    w->fn(w->ctx); /* may close the watch */
}

static void on_event(uv_fs_event_t *uv, const char *name, int events, int status)
{
    struct loop_watch *w = CONTAINER_OF(uv, struct loop_watch, uv);
    (void)name, (void)events, (void)status; /* an error is a reason to look, too */
    if (!timer_armed(&w->timer))
        timer_start(w->loop, &w->timer, COALESCE_MS, tell);
}

static void free_watch(uv_handle_t *handle)
{
    free(CONTAINER_OF(handle, struct loop_watch, uv));
}

enum err loop_watch_open(struct loop *loop, const char *directory, watch_fn *fn, void *ctx, struct loop_watch **out,
                         struct diag *d)
{
    struct loop_watch *w = NEW(struct loop_watch);
    w->loop = loop;
    w->fn = fn;
    w->ctx = ctx;
    CHECK(uv_fs_event_init(&loop->uv, &w->uv) == 0);
    int rc = uv_fs_event_start(&w->uv, on_event, directory, 0);
    if (rc != 0) {
        uv_close((uv_handle_t *)&w->uv, free_watch);
        return diag_errno(d, rc == UV_ENOENT ? ERR_NOT_FOUND : ERR_IO, -rc, "watch %s", directory);
    }
    *out = w;
    return OK;
}

void loop_watch_close(struct loop_watch *w)
{
    if (!w)
        return;
    timer_stop(&w->timer);
    uv_close((uv_handle_t *)&w->uv, free_watch);
}

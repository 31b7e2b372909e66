/* loop: one libuv loop and one thread, with a mailbox.
 *
 *   other threads --loop_post--> [ list under a mutex ] --uv_async--> drained whole on the loop's thread
 *
 * Only uv_async_send may be called from outside, and several sends may wake a loop once; so each wake takes the whole
 * list (one swap under the lock) and delivers it in order. A poster signals only when the list was empty: a loop that
 * is behind is not signalled again and again.
 *
 * Ending: loop_stop lets go of the two handles that keep a loop alive by itself (mailbox and timer), so loop_run
 * returns as soon as every other handle has been closed by its owner. Until then messages are delivered and timers fire
 * as ever, so that "close yourself" can be a message too. What is posted after that stays in the list, and loop_free
 * drops it:
 *
 *   new -> run ......... stop ......... run returns .... free
 *          delivering     delivering    kept             dropping; no one may post from here on
 *
 * Threads: loop_post from any; everything else from the loop's own (loop_new and loop_free: from the one that owns it).
 */
#include "loop/loop_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"

/* ---- messages ---- */

static void drop(struct message *m)
{
    if (m->drop)
        m->drop(m);
    else
        free(m);
}

static struct message *take_all(struct loop *loop)
{
    pthread_mutex_lock(&loop->lock);
    struct message *list = loop->first;
    loop->first = loop->last = NULL;
    pthread_mutex_unlock(&loop->lock);
    return list;
}

static void on_async(uv_async_t *async)
{
    struct loop *loop = CONTAINER_OF(async, struct loop, async);
    for (struct message *m = take_all(loop), *next; m; m = next) {
        next = m->next; /* deliver owns m, and may have posted it again */
        m->next = NULL;
        m->deliver(m);
    }
}

void loop_post(struct loop *loop, struct message *m)
{
    m->next = NULL;
    pthread_mutex_lock(&loop->lock);
    bool was_empty = !loop->first;
    if (was_empty)
        loop->first = m;
    else
        loop->last->next = m;
    loop->last = m;
    /* Under the lock, so that the loop cannot act on this message, and even end, before the handle has been used. */
    if (was_empty)
        uv_async_send(&loop->async);
    pthread_mutex_unlock(&loop->lock);
}

/* ---- life ---- */

struct loop *loop_new(const char *name)
{
    struct loop *loop = NEW(struct loop);
    snprintf(loop->name, sizeof(loop->name), "%s", name);
    CHECK(uv_loop_init(&loop->uv) == 0);
    CHECK(uv_async_init(&loop->uv, &loop->async, on_async) == 0);
    CHECK(uv_timer_init(&loop->uv, &loop->wake) == 0);
    pthread_mutex_init(&loop->lock, NULL);
    return loop;
}

void loop_run(struct loop *loop)
{
    /* The first thread's name is the process': leave that to main. */
    if (getpid() != gettid())
        pthread_setname_np(pthread_self(), loop->name);
    uv_update_time(&loop->uv);
    uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void loop_stop(struct loop *loop)
{
    uv_unref((uv_handle_t *)&loop->async);
    uv_unref((uv_handle_t *)&loop->wake);
}

void loop_free(struct loop *loop)
{
    if (!loop)
        return;
    uv_close((uv_handle_t *)&loop->async, NULL);
    uv_close((uv_handle_t *)&loop->wake, NULL);
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    CHECK(uv_loop_close(&loop->uv) == 0); /* a handle that its owner did not close */
    for (struct message *m = take_all(loop), *next; m; m = next) {
        next = m->next;
        drop(m);
    }
    /* Timers live in their owners' structs and may be freed after the loop: none may look armed. */
    for (size_t i = 0; i < loop->n_timers; i++)
        loop->heap[i]->position = 0;
    free(loop->heap);
    pthread_mutex_destroy(&loop->lock);
    free(loop);
}

struct uv_loop_s *loop_uv(struct loop *loop)
{
    return &loop->uv;
}

uint64_t loop_now_ms(const struct loop *loop)
{
    return uv_now(&loop->uv);
}

void loop_update_time(struct loop *loop)
{
    uv_update_time(&loop->uv);
}

/* ---- work off the loop ---- */

static void run_work(uv_work_t *uv)
{
    struct work *w = uv->data;
    w->run(w);
}

static void end_work(uv_work_t *uv, int status)
{
    struct work *w = uv->data;
    (void)status; /* nothing cancels work */
    free(uv);
    w->uv = NULL;
    w->done(w);
}

void loop_work(struct loop *loop, struct work *w)
{
    uv_work_t *uv = NEW(uv_work_t);
    uv->data = w;
    w->loop = loop;
    w->uv = uv;
    CHECK(uv_queue_work(&loop->uv, uv, run_work, end_work) == 0);
}

/* ---- signals ---- */

struct loop_signal {
    uv_signal_t uv;
    signal_fn *fn;
    void *ctx;
};

static void on_signal(uv_signal_t *uv, int signum)
{
    struct loop_signal *s = CONTAINER_OF(uv, struct loop_signal, uv);
    s->fn(signum, s->ctx);
}

struct loop_signal *loop_signal_open(struct loop *loop, int signum, signal_fn *fn, void *ctx)
{
    struct loop_signal *s = NEW(struct loop_signal);
    s->fn = fn;
    s->ctx = ctx;
    CHECK(uv_signal_init(&loop->uv, &s->uv) == 0);
    CHECK(uv_signal_start(&s->uv, on_signal, signum) == 0);
    return s;
}

static void free_signal(uv_handle_t *handle)
{
    free(CONTAINER_OF(handle, struct loop_signal, uv));
}

void loop_signal_close(struct loop_signal *s)
{
    if (s)
        uv_close((uv_handle_t *)&s->uv, free_signal);
}

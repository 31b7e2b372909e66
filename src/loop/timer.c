/* timer: a loop's timers, in one heap behind one uv_timer.
 *
 * Ten thousand targets have a timer each, mostly far in the future, often re-armed. A uv_timer_t of libuv is 150 bytes,
 * must be closed, and calls back before it may be freed. Ours are 40 bytes inside the caller's struct: a binary heap by
 * due time, each timer knowing its place in it, so that stopping and moving are O(log n) and freeing a stopped one
 * needs no ceremony.
 *
 *   heap[0] is due first; children of i are 2i+1 and 2i+2; heap[i]->position == i + 1
 *
 * The one uv_timer is armed for heap[0], rounded up to whole milliseconds (its resolution), and moved only when that
 * changes. When it fires, every timer that is due by then runs, in order of its time; one that arms itself again for
 * now or the past waits for the next turn of the loop, so that a busy timer cannot starve sockets. Times are
 * CLOCK_MONOTONIC as libuv's own.
 */
#include "loop/loop_int.h"

#include "base/clock.h"
#include "base/mem.h"

static void put(struct loop *loop, size_t at, struct timer *t)
{
    loop->heap[at] = t;
    t->position = (uint32_t)at + 1;
}

static void sift_up(struct loop *loop, size_t at)
{
    struct timer *t = loop->heap[at];
    while (at > 0) {
        size_t parent = (at - 1) / 2;
        if (loop->heap[parent]->due_ns <= t->due_ns)
            break;
        put(loop, at, loop->heap[parent]);
        at = parent;
    }
    put(loop, at, t);
}

static void sift_down(struct loop *loop, size_t at)
{
    struct timer *t = loop->heap[at];
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= loop->n_timers)
            break;
        if (child + 1 < loop->n_timers && loop->heap[child + 1]->due_ns < loop->heap[child]->due_ns)
            child++;
        if (loop->heap[child]->due_ns >= t->due_ns)
            break;
        put(loop, at, loop->heap[child]);
        at = child;
    }
    put(loop, at, t);
}

static void fire(uv_timer_t *wake);

static void arm(struct loop *loop)
{
    if (loop->firing)
        return;
    if (loop->n_timers == 0) {
        uv_timer_stop(&loop->wake);
        loop->wake_ns = 0;
        return;
    }
    uint64_t due = loop->heap[0]->due_ns, now_ms = uv_now(&loop->uv), due_ms = due / 1000000 + (due % 1000000 != 0);
    if (loop->wake_ns == due)
        return;
    loop->wake_ns = due;
    CHECK(uv_timer_start(&loop->wake, fire, due_ms > now_ms ? due_ms - now_ms : 0, 0) == 0);
}

static void fire(uv_timer_t *wake)
{
    struct loop *loop = CONTAINER_OF(wake, struct loop, wake);
    uint64_t now = clock_mono_ns();
    loop->wake_ns = 0;
    loop->firing = true; /* arm once, at the end */
    while (loop->n_timers && loop->heap[0]->due_ns <= now) {
        struct timer *t = loop->heap[0];
        timer_stop(t);
        t->fn(t);
    }
    loop->firing = false;
    arm(loop);
}

void timer_start_at_ns(struct loop *loop, struct timer *t, uint64_t mono_ns, timer_fn *fn)
{
    uint64_t now = clock_mono_ns();
    if (t->position)
        CHECK(t->loop == loop);
    t->fn = fn;
    t->loop = loop;
    /* Just behind now: fire() is on its way through what was due before. */
    t->due_ns = mono_ns > now ? mono_ns : now + 1;
    if (!t->position) {
        loop->heap = mem_grow(loop->heap, &loop->cap_timers, loop->n_timers + 1, sizeof(struct timer *));
        put(loop, loop->n_timers++, t);
    }
    sift_up(loop, t->position - 1);
    sift_down(loop, t->position - 1);
    arm(loop);
}

void timer_start(struct loop *loop, struct timer *t, uint64_t delay_ms, timer_fn *fn)
{
    timer_start_at_ns(loop, t, clock_mono_ns() + delay_ms * 1000000, fn);
}

void timer_stop(struct timer *t)
{
    if (!t->position)
        return;
    struct loop *loop = t->loop;
    size_t at = t->position - 1;
    struct timer *last = loop->heap[--loop->n_timers];
    t->position = 0;
    if (last != t) {
        put(loop, at, last);
        sift_up(loop, at);
        sift_down(loop, last->position - 1);
    }
    arm(loop);
}

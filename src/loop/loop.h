/* loop: libuv made ours. One loop per thread; everything here but loop_post is for the loop's own thread.
 *
 * - timers live inside the caller's structs, cost nothing when idle, and need no closing: one heap and one uv_timer a
 * loop;
 * - a message is how anything crosses threads: the poster hands over the message and all it points to, whole;
 * - loop_run returns after loop_stop when every handle that was opened through this header has been closed.
 */
#ifndef LOOP_LOOP_H
#define LOOP_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct loop;
struct uv_loop_s;

struct loop *loop_new(const char *name); /* name: of the thread, at most 15 characters */
void loop_run(struct loop *loop);        /* on the calling thread, which becomes the loop's */
void loop_stop(struct loop *loop);       /* from a callback of this loop */
void loop_free(struct loop *loop);       /* after loop_run returned; undelivered messages are dropped by their `drop` */
struct uv_loop_s *loop_uv(struct loop *loop);  /* for net/ and loop/ only */
uint64_t loop_now_ms(const struct loop *loop); /* monotonic, as of this wake-up */
void loop_update_time(struct loop *loop);

/* ---- timers ---- */

struct timer;
typedef void(timer_fn)(struct timer *t);

struct timer {
    uint64_t due_ns;   /* CLOCK_MONOTONIC */
    uint32_t position; /* in the heap, from 1; 0 = not armed */
    timer_fn *fn;
    struct loop *loop;
};

/* Arms t (re-arms if armed). Fires once; fn may arm it again. A zeroed struct is a valid idle timer. */
void timer_start(struct loop *loop, struct timer *t, uint64_t delay_ms, timer_fn *fn);
void timer_start_at_ns(struct loop *loop, struct timer *t, uint64_t mono_ns, timer_fn *fn);
void timer_stop(struct timer *t);
static inline bool timer_armed(const struct timer *t)
{
    return t->position != 0;
}

/* ---- messages ---- */

struct message {
    struct message *next;
    void (*deliver)(struct message *m); /* on the receiving loop's thread; owns m from then on */
    void (*drop)(struct message *m);    /* instead, when the loop has ended; frees it. NULL: free(m) */
};

/* From any thread. Messages of one poster arrive in order. */
void loop_post(struct loop *loop, struct message *m);

/* ---- work off the loop ---- */

struct work {
    void (*run)(struct work *w);  /* on a thread of the pool */
    void (*done)(struct work *w); /* back on the loop */
    struct loop *loop;
    void *uv;
};

/* libuv's pool: a handful of threads for the whole process. Short things only (reading a configuration file). */
void loop_work(struct loop *loop, struct work *w);

/* ---- signals and directories ---- */

typedef void(signal_fn)(int signum, void *ctx);
struct loop_signal;
struct loop_signal *loop_signal_open(struct loop *loop, int signum, signal_fn *fn, void *ctx);
void loop_signal_close(struct loop_signal *s);

typedef void(watch_fn)(void *ctx);
struct loop_watch;
/* Calls fn, coalesced to once per 50 ms, after anything in the directory was created, written, moved or removed. */
enum err loop_watch_open(struct loop *loop, const char *directory, watch_fn *fn, void *ctx, struct loop_watch **out,
                         struct diag *d) MUST_USE;
void loop_watch_close(struct loop_watch *w);

#endif

/* io_thread: file operations, one after the other, on a thread of their own.
 *
 *   loops --post--> [ first -> ... -> last ] --run--> on this thread --loop_post--> done, on the job's loop
 *
 * The spool appends, syncs and removes files; each lane has one operation in flight, and order matters (a rename after
 * the sync of what is renamed). So there is one thread and one queue, without priorities. libuv's pool is not used: its
 * few threads also look up names, and a hung file system would take them all.
 *
 * A job is handed over whole by io_thread_post and comes back whole with done. Its message is linked into the mailbox
 * of the loop it names; if that loop has ended, the message's own drop is called. A job without a loop belongs to its
 * run function from the moment that is called.
 *
 * Stopping waits for the queue, but not for ever: a file system that hangs must not keep a task from ending. Then the
 * thread is left behind with its jobs, since their loops may be gone by then; it never comes back, or frees itself when
 * it does.
 */
#include "loop/io_thread.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/thread.h"

struct io_thread {
    pthread_t thread;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t work, ended;
    struct io_job *first, *last;
    bool stop, done, orphaned;
};

static void deliver(struct message *m)
{
    struct io_job *job = CONTAINER_OF(m, struct io_job, message);
    job->done(job);
}

static void free_thread(struct io_thread *t)
{
    pthread_cond_destroy(&t->work);
    pthread_cond_destroy(&t->ended);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

static void *serve(void *arg)
{
    struct io_thread *t = arg;
    pthread_mutex_lock(&t->lock);
    for (;;) {
        while (!t->first && !t->stop)
            pthread_cond_wait(&t->work, &t->lock);
        struct io_job *job = t->first;
        if (!job || t->orphaned)
            break;
        t->first = job->next;
        pthread_mutex_unlock(&t->lock);
        job->next = NULL;
        struct loop *loop = job->loop; /* without a loop, the job is gone after run */
        job->run(job);
        pthread_mutex_lock(&t->lock);
        if (loop && !t->orphaned) {
            job->message.deliver = deliver;
            loop_post(loop, &job->message);
        }
    }
    t->done = true;
    bool orphaned = t->orphaned;
    pthread_cond_signal(&t->ended);
    pthread_mutex_unlock(&t->lock);
    if (orphaned)
        free_thread(t);
    return NULL;
}

struct io_thread *io_thread_new(void)
{
    struct io_thread *t = NEW(struct io_thread);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->work, &attr);
    pthread_cond_init(&t->ended, &attr);
    pthread_condattr_destroy(&attr);
    thread_start(&t->thread, "io", serve, t);
    return t;
}

void io_thread_post(struct io_thread *t, struct io_job *job)
{
    job->next = NULL;
    pthread_mutex_lock(&t->lock);
    CHECK(!t->stop);
    if (t->first)
        t->last->next = job;
    else
        t->first = job;
    t->last = job;
    pthread_cond_signal(&t->work);
    pthread_mutex_unlock(&t->lock);
}

bool io_thread_free(struct io_thread *t, uint64_t timeout_ms)
{
    if (!t)
        return true;
    uint64_t until = clock_mono_ns() + timeout_ms * 1000000;
    struct timespec ts = {.tv_sec = (time_t)(until / 1000000000), .tv_nsec = (long)(until % 1000000000)};
    pthread_mutex_lock(&t->lock);
    t->stop = true;
    pthread_cond_signal(&t->work);
    int rc = 0;
    while (!t->done && rc == 0)
        rc = pthread_cond_timedwait(&t->ended, &t->lock, &ts);
    bool done = t->done;
    pthread_t thread = t->thread;
    t->orphaned = !done;
    pthread_mutex_unlock(&t->lock);
    if (!done) {
        pthread_detach(thread);
        return false;
    }
    pthread_join(thread, NULL);
    free_thread(t);
    return true;
}

/* io_thread: the spool's own thread for file operations, so that a slow disk never stalls a loop, and a hung one never
 * stalls name lookups. Jobs run in the order in which they were posted; each completes on the loop that it names.
 */
#ifndef LOOP_IO_THREAD_H
#define LOOP_IO_THREAD_H

#include "loop/loop.h"

struct io_thread;

struct io_job {
    struct message message; /* used for the way back */
    struct io_job *next;
    struct loop *loop;                /* where done runs; NULL: nowhere, `done` is not called */
    void (*run)(struct io_job *job);  /* on the I/O thread */
    void (*done)(struct io_job *job); /* on the loop; owns the job again */
};

struct io_thread *io_thread_new(void);
void io_thread_post(struct io_thread *t, struct io_job *job); /* from any thread; hands the job over */
/* Runs what is queued, then ends. Waits at most timeout_ms; false when the thread is stuck and was left behind. */
bool io_thread_free(struct io_thread *t, uint64_t timeout_ms);

#endif

/* loop_int: the inside of a loop, for the files of this directory. */
#ifndef LOOP_LOOP_INT_H
#define LOOP_LOOP_INT_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "loop/loop.h"

struct loop {
    uv_loop_t uv;
    char name[16];
    uv_timer_t wake;     /* armed for timers[0], if at all */
    uint64_t wake_ns;    /* what it is armed for; 0: not */
    struct timer **heap; /* by due_ns; heap[i]->position == i + 1 */
    size_t n_timers, cap_timers;
    uv_async_t async;
    pthread_mutex_t lock; /* guards first and last */
    struct message *first, *last;
    bool firing; /* timers are being run */
};

#endif

/* thread: starting one, the same way everywhere. */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include <pthread.h>

/* With every signal blocked, since signals belong to the control loop's thread; name: at most 15 characters. Failing to
 * start a thread ends the program, as running out of memory does. */
void thread_start(pthread_t *out, const char *name, void *(*fn)(void *arg), void *arg);

#endif

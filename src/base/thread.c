/* thread: starting one.
 *
 * A signal is delivered to any thread that does not block it, and would interrupt a system call there. leadline handles
 * signals in one place, the control loop, so every thread that it starts blocks them all: the mask is set before the
 * thread is made, and is inherited. SIGPIPE comes as an error of write() instead. (Signals that mean a crash are
 * delivered anyway.) Names are what `top -H` and a core dump show.
 */
#include "base/thread.h"

#include <signal.h>

#include "base/err.h"

void thread_start(pthread_t *out, const char *name, void *(*fn)(void *arg), void *arg)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    CHECK(pthread_create(out, NULL, fn, arg) == 0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_setname_np(*out, name);
}

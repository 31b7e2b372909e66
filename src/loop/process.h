/* process: a child process that is asked for its output. Started without a shell, in a process group of its own;
 * nothing blocks the loop but the fork. Loop's thread.
 */
#ifndef LOOP_PROCESS_H
#define LOOP_PROCESS_H

#include "base/buf.h"
#include "loop/loop.h"

struct process;

struct process_result { /* valid during the call */
    enum err err;       /* OK: it ended by itself, whatever its status; ERR_TIMEOUT, ERR_LIMIT: it was killed */
    int status;         /* exit status */
    int signal;         /* that ended it; 0: none */
    struct str output;  /* standard output */
    struct str errors;  /* standard error, its first 4 KiB */
};
typedef void(process_fn)(void *ctx, const struct process_result *r);

struct process_options {
    char **argv;         /* NULL-terminated; argv[0] is looked for in PATH; needed until process_start returns */
    size_t max_output;   /* more is ERR_LIMIT */
    uint32_t timeout_ms; /* then the whole group is killed */
    process_fn *done;    /* once, never from inside process_start */
    void *ctx;
};

/* Standard input is empty, the environment ours. ERR_NOT_FOUND, ERR_IO: it could not be started; done is not called. */
enum err process_start(struct loop *loop, const struct process_options *o, struct process **out,
                       struct diag *d) MUST_USE;
/* Kills it; done is not called any more. The loop runs on for a turn. */
void process_cancel(struct process *p);

#endif

/* service: what the programs that run until a signal share: their log, their pages and where these are. */
#ifndef CMD_SERVICE_H
#define CMD_SERVICE_H

#include "base/counter.h"
#include "base/log.h"
#include "cmd/flags.h"
#include "loop/loop.h"
#include "net/http_server.h"
#include "web/web.h"

/* Of /api/v1/status/flags; f->n_specs of them, with texts in the arena; freed by the caller. */
struct web_flag *service_flags(const struct flags *f, struct arena *a);
/* --memory.ceiling. 0: found out from the control group; UINT64_MAX: none. False: it is neither a size, auto nor off,
 * which has been said on standard error. */
bool service_ceiling(const struct flags *f, uint64_t *bytes);
/* getenv as the readers of settings take it. */
const char *service_environment(const char *name);
/* By --log.level and --log.format, on standard error. */
struct log *service_log(const struct flags *f);
void service_say_signal(struct log *log, int signum);
/* Why a program that is called after the original stops, in the original's words. */
const char *service_stop_reason(int signum);

/* Closed before the loop is freed. */
struct service_signals {
    struct loop_signal *open[3];
};
/* SIGTERM and SIGINT end the service, SIGHUP has it read again; SIGPIPE is ignored from here on. */
void service_signals_open(struct service_signals *s, struct loop *loop, signal_fn *on_terminate, signal_fn *on_hangup,
                          void *ctx);
void service_signals_close(struct service_signals *s);

/* Of what runs under run/program.h: log, counters, the flags --spool, --spool.max-bytes and --spool.memory, and what
 * the pages tell of the process. `shown` is by service_flags, of the same flags. */
struct program_options;
void service_fill_program(const struct flags *f, struct log *log, struct counters *counters, struct web_flag *shown,
                          struct program_options *o);

struct service_pages {
    const char *name; /* "leadline cloudmap-sd" */
    struct counters *counters;
    bool ready;
    const char *not_ready; /* why, with a newline */
};
/* Answers what is no GET or HEAD, /-/healthy, /-/ready, /metrics, and any other path with 404. */
void service_answer(struct http_call *call, const struct service_pages *pages);
bool service_is_read(struct http_call *call); /* GET or HEAD */

/* The CloudWatch agent's pages: a socket in its spool's directory; where that cannot be written (a read-only root
 * without a volume) in the container's shared memory, so that a health check does not end a task that works. */
#define SERVICE_AGENT_DIRECTORY "/var/lib/leadline/cloudwatch-agent"
#define SERVICE_AGENT_SOCKET    "web.sock"
#define SERVICE_AGENT_FALLBACK  "/dev/shm/leadline-cloudwatch-agent.sock"

/* An address that must be had fails; another one is a convenience, and what is wrong with it a warning. */
enum err service_listen(struct loop *loop, struct log *log, struct str address, bool must,
                        void (*on_request)(void *ctx, struct http_call *call), void *ctx, struct http_server **out,
                        struct diag *d) MUST_USE;

#endif

/* service: see the header.
 *
 * The pages of every small service are the same, and so is what a health check or a scraper expects of them:
 *
 *   /-/healthy   200 while the program runs
 *   /-/ready     200 once it has found out anything, 503 before
 *   /metrics     its counters in the text format
 *
 * Control loop.
 */
#include "cmd/service.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/units.h"
#include "run/program.h"

static const char plain[] = "text/plain; charset=utf-8";

const char *service_environment(const char *name)
{
    return getenv(name);
}

struct log *service_log(const struct flags *f)
{
    static const char *const levels[] = {"debug", "info", "warn", "error"};
    struct str level = flags_text(f, "log.level");
    enum log_level at = LOG_INFO;

    for (int i = 0; i < (int)COUNT_OF(levels); i++)
        if (str_eq_c(level, levels[i]))
            at = (enum log_level)i;
    return log_new(2, at, str_eq(flags_text(f, "log.format"), STR("json")) ? LOG_JSON : LOG_LOGFMT);
}

struct web_flag *service_flags(const struct flags *f, struct arena *a)
{
    struct web_flag *shown = mem_zalloc(sizeof(*shown) * (f->n_specs + 1));

    for (uint32_t i = 0; i < f->n_specs; i++)
        shown[i] = (struct web_flag){str_c(f->specs[i].name), flags_shown(f, f->specs[i].name, a)};
    return shown;
}

bool service_ceiling(const struct flags *f, uint64_t *bytes)
{
    struct str text = flags_text(f, "memory.ceiling");

    *bytes = 0;
    if (str_eq(text, STR("off")))
        *bytes = UINT64_MAX;
    if (*bytes || str_eq(text, STR("auto")) || units_parse_size(text, bytes, NULL) == OK)
        return true;
    fprintf(stderr, "--memory.ceiling: expected a size such as 200MB, auto or off, got \"%.*s\"\n", STR_ARGS(text));
    return false;
}

void service_say_signal(struct log *log, int signum)
{
    log_info(log, "Received an OS signal, exiting", F_C("signal", signum == SIGINT ? "interrupt" : "terminated"));
}

const char *service_stop_reason(int signum)
{
    return signum == SIGINT ? "Received an OS signal, exiting gracefully... (interrupt)"
                            : "Received an OS signal, exiting gracefully... (terminated)";
}

void service_signals_open(struct service_signals *s, struct loop *loop, signal_fn *on_terminate, signal_fn *on_hangup,
                          void *ctx)
{
    signal(SIGPIPE, SIG_IGN);
    s->open[0] = loop_signal_open(loop, SIGTERM, on_terminate, ctx);
    s->open[1] = loop_signal_open(loop, SIGINT, on_terminate, ctx);
    s->open[2] = loop_signal_open(loop, SIGHUP, on_hangup, ctx);
}

void service_signals_close(struct service_signals *s)
{
    for (size_t i = 0; i < COUNT_OF(s->open); i++)
        loop_signal_close(s->open[i]);
}

void service_fill_program(const struct flags *f, struct log *log, struct counters *counters, struct web_flag *shown,
                          struct program_options *o)
{
    o->log = o->web.log = log;
    o->counters = o->web.counters = counters;
    o->spool_memory = str_eq(flags_text(f, "spool"), STR("memory"));
    o->spool_max_bytes = flags_size(f, "spool.max-bytes");
    o->spool_memory_bytes = flags_size(f, "spool.memory");
    o->web.flags = shown;
    o->web.n_flags = f->n_specs;
    o->web.start_ms = clock_wall_ms();
}

bool service_is_read(struct http_call *call)
{
    struct str method = http_call_method(call);

    return str_eq(method, STR("GET")) || str_eq(method, STR("HEAD"));
}

void service_answer(struct http_call *call, const struct service_pages *pages)
{
    struct str path = http_call_path(call);
    AUTO_BUF text = {0};

    if (!service_is_read(call)) {
        http_call_header_set(call, "Allow", "GET, HEAD");
        http_call_answer(call, 405, plain, STR("Method Not Allowed\n"));
    } else if (str_eq(path, STR("/-/healthy"))) {
        buf_printf(&text, "%s is healthy.\n", pages->name);
        http_call_answer(call, 200, plain, buf_view(&text));
    } else if (str_eq(path, STR("/-/ready"))) {
        if (pages->ready)
            buf_printf(&text, "%s is ready.\n", pages->name);
        http_call_answer(call, pages->ready ? 200 : 503, plain,
                         pages->ready ? buf_view(&text) : str_c(pages->not_ready));
    } else if (str_eq(path, STR("/metrics"))) {
        counters_print(pages->counters, &text);
        http_call_answer(call, 200, "text/plain; version=0.0.4; charset=utf-8", buf_view(&text));
    } else {
        http_call_answer(call, 404, plain, STR("404 page not found\n"));
    }
}

enum err service_listen(struct loop *loop, struct log *log, struct str address, bool must,
                        void (*on_request)(void *ctx, struct http_call *call), void *ctx, struct http_server **out,
                        struct diag *d)
{
    struct http_server_options o = {.address = address};
    enum err err = http_server_new(loop, log, &o, on_request, ctx, out, d);

    if (!err) {
        log_info(log, "Listening on", F_STR("address", address), F_INT("port", http_server_port(*out)));
        return OK;
    }
    if (must)
        return err;
    log_warn(log, "no socket for pages and health checks", F_STR("address", address), F_C("err", d->text));
    return OK;
}

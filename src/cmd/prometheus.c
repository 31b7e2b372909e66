/* prometheus: `leadline prometheus`, in the place of a Prometheus in agent mode. Flags and exit codes are the
 * original's: 1 for a command line that has another form or an address that cannot be listened on, 2 for a flag's value
 * that cannot be used or a configuration that cannot be loaded, 3 for flags of the other mode.
 *
 * This file turns the command line into program_options, catches signals, and hands over to run/.
 */
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "cmd/cmd.h"
#include "cmd/prometheus_flags.h"
#include "config/config.h"
#include "net/http_client.h"
#include "run/machine.h"
#include "run/program.h"
#include "base/version.h"

enum { MAX_CONFIG = 64 << 20 };

struct agent {
    struct flags flags;
    struct log *log;
    struct counters *counters;
    struct loop *loop;
    struct program *program;
    struct web_flag *shown; /* /api/v1/status/flags */
    struct loop_signal *signals[3];
    struct timer auto_reload;
    uint64_t config_hash;
};

/* ---- command line ---- */

static int refuse_mode(const struct flags *f, const char *text, enum flag_use a, enum flag_use b)
{
    AUTO_BUF names = {0};

    for (uint32_t i = 0; i < f->n_specs; i++)
        if (f->values[i].n && (f->specs[i].use == a || f->specs[i].use == b))
            buf_printf(&names, "%s\"--%s\"", names.n ? " " : "", f->specs[i].name);
    if (!names.n)
        return 0;
    fprintf(stderr, "The following flag(s) can %s: [%s]\n", text, names.p);
    return 3;
}

/* Flags that leadline does not do are errors by name, unless they say what holds anyway. */
static int refuse_unsupported(const struct flags *f)
{
    for (uint32_t i = 0; i < f->n_specs; i++) {
        const struct flag_spec *s = &f->specs[i];
        if (s->use != FLAG_REFUSED || !f->values[i].n || str_eq_c(flags_text(f, s->name), s->initial))
            continue;
        fprintf(stderr, "--%s: leadline does not do this in this version (%s): leave the flag out to start\n", s->name,
                s->help);
        return 1;
    }
    return 0;
}

/* A whole URL, or its path alone; empty when it was not given. False when it is neither. */
static bool external_path(const struct flags *f, struct str *path)
{
    struct str text = flags_text(f, "web.external-url");
    struct http_url url = {.path = text};
    bool good = text.n == 0 || text.p[0] == '/' || http_url_parse(text, &url, NULL) == OK;

    *path = url.path;
    return good;
}

static int check_flags(const struct flags *f)
{
    int status = refuse_unsupported(f);
    struct str path;

    if (status)
        return status;
    if (!external_path(f, &path)) {
        fprintf(stderr, "parse external URL \"%s\": expected http://HOST/PATH or /PATH\n",
                flags_text(f, "web.external-url").p);
        return 2;
    }
    if (flags_number(f, "workers") < 0 || flags_number(f, "workers") > LANES) {
        fprintf(stderr, "--workers: expected 0 to %d\n", LANES);
        return 2;
    }
    if (flags_bool(f, "agent"))
        return refuse_mode(f, "not be used in agent mode", FLAG_SERVER_ONLY, FLAG_SERVER_ONLY);
    return refuse_mode(f, "only be used in agent mode", FLAG_AGENT_ONLY, FLAG_AGENT_NO_EFFECT);
}

static void warn_of_flags(struct agent *a)
{
    const struct flags *f = &a->flags;
    const struct str *features;
    uint32_t n = flags_list(f, "enable-feature", &features);

    if (!flags_bool(f, "agent"))
        log_warn(a->log,
                 "leadline is a sender: without --agent it scrapes and delivers all the same, and answers no queries");
    for (uint32_t i = 0; i < f->n_specs; i++)
        if (f->values[i].n && f->specs[i].use == FLAG_SERVER_ONLY)
            log_warn(a->log, "a flag of the server has no effect", F_C("flag", f->specs[i].name));
    for (uint32_t i = 0; i < n; i++) {
        struct str one, more = features[i];
        do {
            str_cut(more, ',', &one, &more);
            log_warn(a->log, "a feature name has no effect in this version", F_STR("option", one));
        } while (more.n);
    }
}

static void show_flags(struct agent *a)
{
    const struct flags *f = &a->flags;

    a->shown = mem_zalloc(sizeof(*a->shown) * f->n_specs);
    for (uint32_t i = 0; i < f->n_specs; i++)
        a->shown[i] = (struct web_flag){str_c(f->specs[i].name), flags_text(f, f->specs[i].name)};
}

/* ---- configuration ---- */

static enum err load(void *ctx, struct plan **out, struct diag *d)
{
    struct agent *a = ctx;
    struct config_options o = {.agent = flags_bool(&a->flags, "agent")};

    return config_load_prometheus(flags_text(&a->flags, "config.file").p, &o, out, NULL, d);
}

static int refuse_config(struct agent *a, const struct diag *d)
{
    char path[PATH_MAX], text[800], msg[512];
    const char *file = flags_text(&a->flags, "config.file").p;

    diag_format(d, text, sizeof(text));
    snprintf(msg, sizeof(msg), "Error loading config (--config.file=%s)", file);
    log_error(a->log, msg, F_C("file", realpath(file, path) ? path : file), F_C("err", text),
              F_C("next", "leadline does not start; `leadline check` shows every error of the file"));
    return 2;
}

static uint64_t hash_config(const struct agent *a)
{
    AUTO_BUF text = {0};

    if (file_read(flags_text(&a->flags, "config.file").p, MAX_CONFIG, &text, NULL))
        return 0;
    return hash_bytes(buf_view(&text));
}

static void on_auto_reload(struct timer *t)
{
    struct agent *a = CONTAINER_OF(t, struct agent, auto_reload);
    uint64_t hash = hash_config(a);
    struct diag d = {0};

    if (hash && hash != a->config_hash) {
        a->config_hash = hash;
        if (program_reload(a->program, &d))
            log_warn(a->log, "the changed configuration file was not taken; it is tried again when it changes");
    }
    timer_start(a->loop, t, (uint64_t)flags_duration_ms(&a->flags, "config.auto-reload-interval"), on_auto_reload);
}

/* ---- signals ---- */

static void on_terminate(int signum, void *ctx)
{
    struct agent *a = ctx;

    timer_stop(&a->auto_reload);
    if (!a->program) /* a start that failed is being undone */
        return;
    program_stop(a->program, signum == SIGINT ? "Received an OS signal, exiting gracefully... (interrupt)"
                                              : "Received an OS signal, exiting gracefully... (terminated)");
}

static void on_hangup(int signum, void *ctx)
{
    struct agent *a = ctx;
    struct diag d = {0};

    (void)signum;
    if (a->program && program_reload(a->program, &d) == OK)
        a->config_hash = hash_config(a);
}

static void open_signals(struct agent *a)
{
    signal(SIGPIPE, SIG_IGN);
    a->signals[0] = loop_signal_open(a->loop, SIGTERM, on_terminate, a);
    a->signals[1] = loop_signal_open(a->loop, SIGINT, on_terminate, a);
    a->signals[2] = loop_signal_open(a->loop, SIGHUP, on_hangup, a);
}

static void close_signals(void *ctx)
{
    struct agent *a = ctx;

    timer_stop(&a->auto_reload);
    for (size_t i = 0; i < COUNT_OF(a->signals); i++)
        loop_signal_close(a->signals[i]);
}

/* ---- options ---- */

/* "/prefix" without a slash at the end; "" for the root. */
static struct str route_prefix(struct agent *a)
{
    const struct flags *f = &a->flags;
    struct str prefix = flags_text(f, "web.route-prefix");

    if (!flags_given(f, "web.route-prefix"))
        external_path(f, &prefix);
    while (prefix.n && prefix.p[prefix.n - 1] == '/')
        prefix.n--;
    if (prefix.n && prefix.p[0] != '/')
        return str_c(arena_printf(&a->flags.arena, "/%.*s", STR_ARGS(prefix)));
    return str_dup(&a->flags.arena, prefix);
}

static void fill_web(struct agent *a, struct web_options *web)
{
    const struct flags *f = &a->flags;
    const struct str *addresses;

    web->n_addresses = flags_list(f, "web.listen-address", &addresses);
    web->addresses = (struct str *)addresses;
    web->route_prefix = route_prefix(a);
    web->external_url = flags_text(f, "web.external-url");
    web->page_title = flags_text(f, "web.page-title");
    web->cors_origin = flags_text(f, "web.cors.origin");
    web->enable_lifecycle = flags_bool(f, "web.enable-lifecycle");
    web->max_connections = (uint32_t)flags_number(f, "web.max-connections");
    web->read_timeout_s = (uint32_t)((flags_duration_ms(f, "web.read-timeout") + 999) / 1000);
    web->flags = a->shown;
    web->n_flags = f->n_specs;
    web->start_ms = clock_wall_ms();
    web->log = a->log;
    web->counters = a->counters;
}

static void fill_options(struct agent *a, struct program_options *o)
{
    const struct flags *f = &a->flags;
    bool own_path = flags_given(f, "spool.path");

    *o = (struct program_options){
        .log = a->log,
        .counters = a->counters,
        .workers = (uint32_t)flags_number(f, "workers"),
        .data_directory = flags_text(f, own_path ? "spool.path" : "storage.agent.path").p,
        .data_named = own_path || flags_given(f, "storage.agent.path"),
        .spool_memory = str_eq(flags_text(f, "spool"), STR("memory")),
        .spool_max_bytes = flags_size(f, "spool.max-bytes"),
        .spool_memory_bytes = flags_size(f, "spool.memory"),
        .spool_max_age_ms = flags_duration_ms(f, flags_given(f, "spool.max-age") ? "spool.max-age"
                                                                                 : "storage.agent.retention.max-time"),
        .adjust_timestamps = flags_bool(f, "scrape.adjust-timestamps"),
        .timestamp_tolerance_ms = flags_duration_ms(f, "scrape.timestamp-tolerance"),
        .discovery_reload_ms = flags_duration_ms(f, "scrape.discovery-reload-interval"),
        .flush_deadline_ms = flags_duration_ms(f, "storage.remote.flush-deadline"),
        .load = load,
        .load_ctx = a,
        .stopped = close_signals,
        .stopped_ctx = a,
    };
    fill_web(a, &o->web);
}

/* ---- running ---- */

static int run(struct agent *a)
{
    struct program_options o;
    struct diag d = {0};
    struct plan *plan = NULL;
    char text[800];

    log_info(a->log, "Starting leadline", F_C("version", LEADLINE_VERSION),
             F_C("mode", flags_bool(&a->flags, "agent") ? "agent" : "sender"),
             F_INT("open_files", machine_raise_files()));
    if (load(a, &plan, &d))
        return refuse_config(a, &d);
    warn_of_flags(a);
    show_flags(a);
    fill_options(a, &o);
    a->loop = loop_new("control");
    open_signals(a);
    enum err err = program_start(a->loop, &o, plan, &a->program, &d);
    plan_unref(plan);
    if (err) {
        diag_format(&d, text, sizeof(text));
        log_error(a->log, "leadline cannot start", F_C("err", text));
        loop_free(a->loop);
        return 1;
    }
    if (flags_bool(&a->flags, "config.auto-reload")) {
        a->config_hash = hash_config(a);
        timer_start(a->loop, &a->auto_reload, (uint64_t)flags_duration_ms(&a->flags, "config.auto-reload-interval"),
                    on_auto_reload);
    }
    log_info(a->log, "Server is ready to receive web requests.");
    loop_run(a->loop);
    program_free(a->program);
    loop_free(a->loop);
    log_info(a->log, "See you next time!");
    return 0;
}

static int run_logged(struct agent *a)
{
    static const char *const levels[] = {"debug", "info", "warn", "error"};
    struct str level = flags_text(&a->flags, "log.level");
    enum log_level at = LOG_INFO;

    for (int i = 0; i < (int)COUNT_OF(levels); i++)
        if (str_eq_c(level, levels[i]))
            at = (enum log_level)i;
    a->log = log_new(2, at, str_eq(flags_text(&a->flags, "log.format"), STR("json")) ? LOG_JSON : LOG_LOGFMT);
    a->counters = counters_new();
    int status = run(a);
    log_free(a->log);
    return status;
}

int cmd_prometheus(int argc, char **argv)
{
    struct agent a = {0};
    struct diag d = {0};
    AUTO_BUF help = {0};
    int status = 0;

    flags_init(&a.flags, "prometheus", "Scrapes and delivers by remote write, in the place of a Prometheus agent.",
               prometheus_flag_specs, prometheus_n_flag_specs, 0);
    if (flags_parse(&a.flags, argc, argv, &d)) {
        fprintf(stderr, "Error parsing command line arguments: %s\nleadline prometheus: error: %s, try --help\n",
                d.text, d.text);
        status = a.flags.bad_value ? 2 : 1;
    } else if (flags_bool(&a.flags, "help")) {
        flags_print_help(&a.flags, &help);
        fputs(help.p, stdout);
    } else if (flags_bool(&a.flags, "version")) {
        printf("leadline, version %s (follows Prometheus %s)\n", LEADLINE_VERSION, LEADLINE_PROMETHEUS_VERSION);
    } else {
        status = check_flags(&a.flags);
        if (!status)
            status = run_logged(&a);
    }
    free(a.shown);
    if (a.counters)
        counters_free(a.counters);
    flags_release(&a.flags);
    return status;
}

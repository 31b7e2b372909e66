/* prometheus: `leadline prometheus`, in the place of a Prometheus in agent mode. Flags and exit codes are the
 * original's: 1 for a command line that has another form or an address that cannot be listened on, 2 for a flag's value
 * that cannot be used or a configuration that cannot be loaded, 3 for flags of the other mode.
 *
 * This file turns the command line into program_options, catches signals, and hands over to run/.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/num.h"
#include "cmd/cmd.h"
#include "cmd/config_watch.h"
#include "cmd/prometheus_features.h"
#include "cmd/prometheus_flags.h"
#include "cmd/service.h"
#include "config/config.h"
#include "net/http_client.h"
#include "run/machine.h"
#include "run/program.h"
#include "base/version.h"

enum { MAX_SHARDS = 1 << 20 };

struct agent {
    struct flags flags;
    struct prometheus_features features;
    uint32_t shard_index, shard_count;
    uint64_t memory_ceiling_bytes;
    struct log *log;
    struct counters *counters;
    struct loop *loop;
    struct program *program;
    struct web_flag *shown; /* /api/v1/status/flags */
    struct service_signals signals;
    struct timer auto_reload;
    uint64_t config_hash;
};

/* ---- command line ---- */

static int refuse_mode(const struct flags *f, const char *text, enum flag_use a, enum flag_use b)
{
    AUTO_BUF names = {0};

    for (uint32_t order = 1; order <= f->n_given; order++)
        for (uint32_t i = 0; i < f->n_specs; i++)
            if (f->values[i].order == order && (f->specs[i].use == a || f->specs[i].use == b))
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

/* "N/M", N from 0; none: 0/0. */
static bool read_shard(const struct flags *f, uint32_t *index, uint32_t *count)
{
    struct str n, m, text = flags_text(f, "shard");
    uint64_t i, of;

    *index = *count = 0;
    if (!flags_given(f, "shard"))
        return true;
    if (!str_cut(text, '/', &n, &m) || num_parse_u64(n, &i) || num_parse_u64(m, &of) || i >= of || of > MAX_SHARDS)
        return false;
    *index = (uint32_t)i;
    *count = (uint32_t)of;
    return true;
}

/* Values that the original refuses too, with its words and exit status. */
static int check_originals_values(const struct flags *f)
{
    double ratio;

    if (flags_number(f, "web.search.max-limit") < 0) {
        fprintf(stderr, "--web.search.max-limit must be non-negative; got %lld (use 0 to disable the cap)\n",
                (long long)flags_number(f, "web.search.max-limit"));
        return 1;
    }
    int status = flags_bool(f, "agent")
                     ? refuse_mode(f, "not be used in agent mode", FLAG_SERVER_ONLY, FLAG_SERVER_USED)
                     : refuse_mode(f, "only be used in agent mode", FLAG_AGENT_ONLY, FLAG_AGENT_NO_EFFECT);
    if (status)
        return status;
    if (flags_bool(f, "agent") && flags_number(f, "storage.agent.checkpoint-batch-size") <= 0) {
        fprintf(stderr, "--storage.agent.checkpoint-batch-size must be greater than 0.\n");
        return 1;
    }
    if (num_parse_double(flags_text(f, "auto-gomemlimit.ratio"), &ratio) || ratio <= 0 || ratio > 1) {
        fprintf(stderr, "--auto-gomemlimit.ratio must be greater than 0 and less than or equal to 1.\n");
        return 1;
    }
    return 0;
}

static int check_own_values(struct agent *a)
{
    const struct flags *f = &a->flags;

    if (flags_number(f, "workers") < 0 || flags_number(f, "workers") > LANES) {
        fprintf(stderr, "--workers: expected 0 to %d\n", LANES);
        return 2;
    }
    if (!read_shard(f, &a->shard_index, &a->shard_count)) {
        fprintf(stderr, "--shard: expected N/M with N from 0 to M-1, got \"%s\"\n", flags_text(f, "shard").p);
        return 2;
    }
    if (!service_ceiling(f, &a->memory_ceiling_bytes))
        return 2;
    return 0;
}

static int check_flags(struct agent *a)
{
    const struct flags *f = &a->flags;
    struct diag d = {0};
    struct regex *cors;
    struct str path;
    int status = refuse_unsupported(f);

    if (!status && prometheus_features_read(f, &a->features, &d)) {
        fprintf(stderr, "Error parsing feature list: %s\n", d.text);
        status = 1;
    }
    if (!status)
        status = check_originals_values(f);
    if (status)
        return status;
    if (!external_path(f, &path)) {
        fprintf(stderr, "parse external URL \"%s\": expected http://HOST/PATH or /PATH\n",
                flags_text(f, "web.external-url").p);
        return 2;
    }
    if (regex_new(flags_text(f, "web.cors.origin"), &cors, &d)) {
        fprintf(stderr, "could not compile CORS regex string \"%s\": %s\n", flags_text(f, "web.cors.origin").p, d.text);
        return 2;
    }
    regex_free(cors);
    return check_own_values(a);
}

static void warn_of_flags(struct agent *a)
{
    const struct flags *f = &a->flags;

    if (!flags_bool(f, "agent"))
        log_warn(a->log,
                 "leadline is a sender: without --agent it scrapes and delivers all the same, and answers no queries",
                 F_STR("spool", flags_text(f, flags_given(f, "spool.path") ? "spool.path" : "storage.tsdb.path")));
    for (uint32_t i = 0; i < f->n_specs; i++) {
        const struct flag_spec *s = &f->specs[i];
        if (!f->values[i].n)
            continue;
        if (s->use == FLAG_SERVER_ONLY)
            log_warn(a->log, "a flag of the server has no effect", F_C("flag", s->name));
        else if (s->use == FLAG_NO_EFFECT || s->use == FLAG_AGENT_NO_EFFECT)
            log_info(a->log, "a flag has no effect", F_C("flag", s->name), F_C("reason", s->help));
    }
    prometheus_features_log(f, a->log);
}

/* ---- configuration ---- */

static enum err load(void *ctx, struct plan **out, struct diag *d)
{
    struct agent *a = ctx;
    struct config_options o = {.agent = flags_bool(&a->flags, "agent"),
                               .shard_index = a->shard_index,
                               .shard_count = a->shard_count,
                               .extra_scrape_metrics = a->features.extra_scrape_metrics,
                               .protobuf_first = a->features.protobuf_first};

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

static void on_auto_reload(struct timer *t);

static uint64_t hash_config(const struct agent *a)
{
    return config_watch_hash(flags_text(&a->flags, "config.file").p);
}

static void start_auto_reload(struct agent *a)
{
    int64_t ms = flags_duration_ms(&a->flags, "config.auto-reload-interval");
    timer_start(a->loop, &a->auto_reload, ms < 1000 ? 1000 : (uint64_t)ms, on_auto_reload);
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
    start_auto_reload(a);
}

/* ---- signals ---- */

static void on_terminate(int signum, void *ctx)
{
    struct agent *a = ctx;

    timer_stop(&a->auto_reload);
    if (a->program) /* else a start that failed is being undone */
        program_stop(a->program, service_stop_reason(signum));
}

static void on_hangup(int signum, void *ctx)
{
    struct agent *a = ctx;
    struct diag d = {0};

    (void)signum;
    if (a->program && program_reload(a->program, &d) == OK)
        a->config_hash = hash_config(a);
}

static void close_signals(void *ctx)
{
    struct agent *a = ctx;

    timer_stop(&a->auto_reload);
    service_signals_close(&a->signals);
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
    web->config_file = flags_text(f, "web.config.file").p;
    web->agent = flags_bool(f, "agent");
}

static void fill_options(struct agent *a, struct program_options *o)
{
    const struct flags *f = &a->flags;
    const char *path = flags_given(f, "spool.path") ? "spool.path"
                       : flags_bool(f, "agent")     ? "storage.agent.path"
                                                    : "storage.tsdb.path";

    *o = (struct program_options){
        .workers = (uint32_t)flags_number(f, "workers"),
        .data_directory = flags_text(f, path).p,
        .data_named = flags_given(f, path),
        .data_flag = "--storage.agent.path",
        .compression = str_eq(flags_text(f, "remote-write.compression"), STR("zstd")) ? COMPRESS_ZSTD : COMPRESS_SNAPPY,
        .memory_ceiling_bytes = a->memory_ceiling_bytes,
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
    service_fill_program(f, a->log, a->counters, a->shown, o);
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
    warn_of_flags(a);
    if (load(a, &plan, &d))
        return refuse_config(a, &d);
    a->shown = service_flags(&a->flags, &a->flags.arena);
    fill_options(a, &o);
    a->loop = loop_new("control");
    service_signals_open(&a->signals, a->loop, on_terminate, on_hangup, a);
    enum err err = program_start(a->loop, &o, plan, &a->program, &d);
    plan_unref(plan);
    if (err) {
        diag_format(&d, text, sizeof(text));
        log_error(a->log, "leadline cannot start", F_C("err", text));
        loop_free(a->loop);
        return 1;
    }
    if (flags_bool(&a->flags, "config.auto-reload") || a->features.auto_reload) {
        a->config_hash = hash_config(a);
        start_auto_reload(a);
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
    a->log = service_log(&a->flags);
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
    } else if (flags_bool(&a.flags, "help") || flags_bool(&a.flags, "help-long")) {
        flags_print_help(&a.flags, &help);
        fputs(help.p, stdout);
    } else if (flags_bool(&a.flags, "version")) {
        printf("leadline, version %s (follows Prometheus %s)\n", LEADLINE_VERSION, LEADLINE_PROMETHEUS_VERSION);
    } else {
        status = check_flags(&a);
        if (!status)
            status = run_logged(&a);
    }
    free(a.shown);
    if (a.counters)
        counters_free(a.counters);
    flags_release(&a.flags);
    return status;
}

/* cloudwatch_agent: `leadline cloudwatch-agent`, in the place of the CloudWatch agent on ECS: the user's own agent JSON
 * and Prometheus file, to CloudWatch Logs, CloudWatch metrics and AMP.
 *
 *   the agent's JSON --config_parse_agent--> plan --> program (one worker, on the control loop)
 *
 * The JSON comes from --config, else from /etc/cwagentconfig, else from CW_CONFIG_CONTENT, in the agent's order. Its
 * defaults for cluster and region are those of leadline's own task, from the task metadata, asked once before the JSON
 * is read. SIGHUP reads it again, which the agent does not survive; one that is refused changes nothing. What came from
 * the environment is never printed.
 *
 * A start under the original's names may come with the original's arguments (-config, -envconfig ...), which name files
 * that its translator would have written: they are ignored, and the log says so.
 *
 * The agent opens no port: our pages, /metrics, /-/healthy and /-/ready are on a Unix socket in the spool's directory,
 * and where --web.listen-address says.
 *
 * Exit status 0 when told to stop, 1 when it cannot start.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/version.h"
#include "cmd/cloudwatch_settings.h"
#include "cmd/cmd.h"
#include "cmd/flags.h"
#include "cmd/service.h"
#include "config/config.h"
#include "run/machine.h"
#include "run/own_task.h"
#include "run/program.h"

enum { SUMMARY_MS = 60 * 1000, FLUSH_DEADLINE_MS = 25 * 1000, DISCOVERY_RELOAD_MS = 5000, TOLERANCE_MS = 2 };

#define CONFIG_DIRECTORY "/etc/cwagentconfig"
#define OURS(name, choices, help)                                                                                      \
    {                                                                                                                  \
        name, FLAG_TEXT, FLAG_OURS, NULL, choices, help, 0, false                                                      \
    }

static const struct flag_spec specs[] = {
    {"help", FLAG_BOOL, FLAG_USED, "false", NULL, "Show this help.", 'h', false},
    {"version", FLAG_BOOL, FLAG_USED, "false", NULL, "Show the version.", 0, false},
    {"config", FLAG_TEXT, FLAG_OURS, NULL, "<path>",
     "The agent's JSON, or a directory of such files. Default: " CONFIG_DIRECTORY ", else the variable "
     "CW_CONFIG_CONTENT.",
     0, false},
    {"web.listen-address", FLAG_LIST, FLAG_OURS, NULL, "<address>",
     "Where the pages, /metrics, /-/healthy and /-/ready are too: HOST:PORT, :PORT or unix:PATH. Can be repeated. They "
     "are always on the socket web.sock in the spool's directory; no port is opened unless this says so.",
     0, false},
    {"log.level", FLAG_CHOICE, FLAG_OURS, "info", "debug|info|warn|error",
     "Log lines of this severity and above. agent.debug in the JSON means debug.", 0, false},
    {"log.format", FLAG_CHOICE, FLAG_OURS, "logfmt", "logfmt|json", "Form of the log lines.", 0, false},
    {"spool", FLAG_CHOICE, FLAG_OURS, "disk", "disk|memory",
     "Where samples wait for delivery. In memory they are lost when the process ends.", 0, false},
    {"spool.path", FLAG_TEXT, FLAG_OURS, SERVICE_AGENT_DIRECTORY, NULL,
     "Directory of what waits to be delivered. When the default cannot be written, samples wait in memory.", 0, false},
    {"spool.max-bytes", FLAG_SIZE, FLAG_OURS, "4GB", NULL,
     "Disk that the spools of all destinations may take together; the oldest samples go first, counted.", 0, false},
    {"spool.max-age", FLAG_DURATION, FLAG_OURS, "4h", NULL, "What has waited longer is dropped, counted.", 0, false},
    {"spool.memory", FLAG_SIZE, FLAG_OURS, "64MB", NULL,
     "Memory for what waits when there is no disk for it; never more than a quarter of the control group's limit.", 0,
     false},
    {"memory.ceiling", FLAG_TEXT, FLAG_OURS, "auto", NULL,
     "Above this much memory the spool gives way first, then scrapes are put off: a size, off, or auto for nine tenths "
     "of the control group's limit.",
     0, false},
    OURS("emf.version", "0|1", "Form of the performance log events: 1 has _aws."),
    OURS("emf.histograms", "none|sum_count|buckets", "What becomes of histograms."),
    OURS("emf.untyped", "drop|gauge", "What becomes of metrics without a type."),
    OURS("emf.first-values", "false|true", "Tell the first value of a counter that is known to be new."),
    OURS("emf.unselected", "keep|drop", "What becomes of metrics that no declaration selects."),
    OURS("emf.storage-resolution", "60|1", "Seconds; 1 makes high-resolution metrics, which cost more."),
    OURS("emf.max-metrics", "<n>", "Unique metrics of a declaration, 0 for no limit; more stay without the directive."),
    OURS("emf.input-log-group", "<group>", "Log group of received EMF events that name none."),
    OURS("log.retention-days", "<days>", "Retention of log groups that leadline creates."),
    OURS("prometheus.to", "logs|metrics|both",
         "Where logs.metrics_collected.prometheus goes: log events, PutMetricData, or both."),
    OURS("metrics.namespace", "<namespace>", "Namespace of what --prometheus.to sends by PutMetricData."),
    OURS("amp.labels", "agent|prometheus|both", "Labels of a target in AMP: the agent's, job and instance, or both."),
    OURS("statsd.values", "centres|exact", "Distributions as the agent's buckets, or as observed."),
    OURS("ecs.clusters", "<list>", "More clusters to discover targets in."),
    OURS("shadow-log-group", "<group>", "Log group in place of all others, to run beside the original."),
    OURS("shadow-namespace-suffix", "<text>", "Behind every namespace, to run beside the original."),
};

struct agent {
    const struct flags *flags;
    struct log *log;
    struct counters *counters;
    struct loop *loop;
    struct program *program;
    struct service_signals signals;
    struct web_flag *shown;
    uint64_t memory_ceiling_bytes;

    struct arena arena;
    struct own_task task;
};

/* ---- leadline's own task ---- */

static void ask_for_task(struct agent *a)
{
    AUTO_BUF url = {0};
    struct diag d = {0};

    if (own_task_ask(&a->arena, &a->task, &url, &d))
        log_warn(a->log, "the task metadata cannot be read", F_STR("url", buf_view(&url)), F_C("err", d.text),
                 F_C("next", "cluster and region must be in the configuration"));
}

/* ---- configuration ---- */

static enum err find_sources(struct agent *a, struct arena *scratch, struct config_agent_source **out, uint32_t *n,
                             struct diag *d)
{
    bool given = flags_given(a->flags, "config");
    struct str path = given ? flags_text(a->flags, "config") : STR(CONFIG_DIRECTORY);
    const char *content = getenv("CW_CONFIG_CONTENT");
    struct diag odd = {0};
    enum err err = config_agent_files(path.p, scratch, out, n, &odd, d);

    if (err && (given || err != ERR_NOT_FOUND))
        return err;
    diag_reset(d);
    if (odd.text[0]) {
        char text[800];
        diag_format(&odd, text, sizeof(text));
        log_warn(a->log, "the scan of the configuration's directory ends here", F_C("err", text), F_INT("files", *n));
    }
    if (*n)
        return OK;
    if (!given && content && *content) {
        (*out)[0] = (struct config_agent_source){"CW_CONFIG_CONTENT", str_c(content)};
        *n = 1;
        return OK;
    }
    if (odd.text[0]) {
        *d = odd;
        return ERR_SYNTAX;
    }
    return diag_set(d, ERR_NOT_FOUND, "there is no configuration: no JSON file in %s%s", path.p,
                    given ? "" : ", and CW_CONFIG_CONTENT is not set");
}

static bool does_nothing(const struct plan *plan)
{
    return plan->n_scrapes == 0 && !plan->ecs_agent && !plan->statsd && !plan->emf_input;
}

static enum err load(void *ctx, struct plan **out, struct diag *d)
{
    struct agent *a = ctx;
    char host[256] = "";
    struct config_agent_options o = {.cluster = a->task.cluster,
                                     .region = a->task.region,
                                     .task_arn = a->task.arn,
                                     .in_container = own_task_in_container(),
                                     .getenv = service_environment};
    struct arena scratch = {0};
    struct config_agent_source *sources = ARENA_ARRAY(&scratch, struct config_agent_source, 1);
    bool debug = false;
    uint32_t n = 0;
    enum err err = find_sources(a, &scratch, &sources, &n, d);

    gethostname(host, sizeof(host) - 1);
    o.host_name = str_c(host);
    cloudwatch_settings_read(a->flags, &o.ours);
    if (!err)
        err = config_parse_agent(sources, n, &o, out, &debug, NULL, d);
    arena_release(&scratch);
    if (err)
        return err;
    if (does_nothing(*out)) {
        plan_unref(*out);
        *out = NULL;
        return diag_set(d, ERR_UNSUPPORTED,
                        "there is nothing to do: the configuration has neither logs.metrics_collected.prometheus or "
                        "emf, nor metrics.metrics_collected.prometheus or statsd");
    }
    if (!flags_given(a->flags, "log.level"))
        log_set_level(a->log, debug ? LOG_DEBUG : LOG_INFO);
    return OK;
}

/* ---- signals ---- */

static void on_terminate(int signum, void *ctx)
{
    struct agent *a = ctx;

    if (a->program) /* else a start that failed is being undone */
        program_stop(a->program, service_stop_reason(signum));
}

static void on_hangup(int signum, void *ctx)
{
    struct agent *a = ctx;
    struct diag d = {0};

    (void)signum;
    if (a->program && program_reload(a->program, &d))
        return; /* said there */
}

static void close_signals(void *ctx)
{
    struct agent *a = ctx;

    service_signals_close(&a->signals);
}

/* ---- options ---- */

/* Empty where there is no place for it: no pages then, which is said. */
static struct str own_socket(struct agent *a)
{
    struct str directory = flags_text(a->flags, "spool.path");
    struct diag d = {0};

    if (file_mkdirs(directory.p, &d) == OK && access(directory.p, W_OK) == 0)
        return str_c(arena_printf(&a->arena, "unix:%.*s/" SERVICE_AGENT_SOCKET, STR_ARGS(directory)));
    if (!d.text[0])
        diag_errno(&d, ERR_IO, errno, "%s", directory.p);
    if (access("/dev/shm", W_OK) == 0) {
        log_info(a->log, "pages and health checks are elsewhere", F_C("socket", SERVICE_AGENT_FALLBACK),
                 F_C("err", d.text));
        return STR("unix:" SERVICE_AGENT_FALLBACK);
    }
    log_warn(a->log, "no socket for pages and health checks", F_STR("directory", directory), F_C("err", d.text),
             F_C("next", "for a health check name a writable --spool.path, or a --web.listen-address"));
    return STR("");
}

static void fill_web(struct agent *a, struct web_options *web)
{
    const struct str *addresses = NULL;

    if (flags_given(a->flags, "web.listen-address"))
        web->n_addresses = flags_list(a->flags, "web.listen-address", &addresses);
    web->addresses = (struct str *)addresses;
    web->unix_socket = own_socket(a);
    web->route_prefix = web->external_url = STR("");
    web->page_title = STR("leadline cloudwatch-agent");
    web->cors_origin = STR(".*");
    web->agent = true;
}

static void fill_options(struct agent *a, struct program_options *o)
{
    const struct flags *f = a->flags;

    *o = (struct program_options){
        .single_loop = true,
        .data_directory = flags_text(f, "spool.path").p,
        .data_named = flags_given(f, "spool.path"),
        .data_flag = "--spool.path",
        .compression = COMPRESS_SNAPPY,
        .memory_ceiling_bytes = a->memory_ceiling_bytes,
        .spool_max_age_ms = flags_duration_ms(f, "spool.max-age"),
        .adjust_timestamps = true,
        .timestamp_tolerance_ms = TOLERANCE_MS,
        .discovery_reload_ms = DISCOVERY_RELOAD_MS,
        .flush_deadline_ms = FLUSH_DEADLINE_MS,
        .summary_ms = SUMMARY_MS,
        .load = load,
        .load_ctx = a,
        .stopped = close_signals,
        .stopped_ctx = a,
    };
    service_fill_program(f, a->log, a->counters, a->shown, o);
    fill_web(a, &o->web);
}

/* ---- running ---- */

static int refuse(struct agent *a, const struct diag *d)
{
    char text[800];

    diag_format(d, text, sizeof(text));
    log_error(a->log, "leadline cloudwatch-agent cannot start", F_C("err", text));
    return 1;
}

static void say_what_starts(struct agent *a, const struct plan *plan)
{
    const struct plan_ecs_agent_sd *sd = plan->ecs_agent;

    if (sd)
        log_info(a->log, "Discovering targets on ECS", F_STR("cluster", sd->clusters[0].name),
                 F_STR("region", sd->clusters[0].aws.region), F_INT("clusters", sd->n_clusters),
                 F_INT("frequency_ms", sd->frequency_ms), F_STR("result_file", sd->result_file));
    for (uint32_t i = 0; i < plan->n_cloudwatch; i++) {
        const struct plan_cloudwatch *c = &plan->cloudwatch[i];
        log_info(a->log, "Delivering to CloudWatch", F_STR("remote_name", c->name), F_STR("region", c->aws.region),
                 F_INT("flush_ms", c->flush_ms), F_STR("log_group", c->emf ? c->emf->log_group : STR("")),
                 F_STR("namespace", c->emf ? c->emf->name_space : c->name_space));
    }
}

static int run_program(struct agent *a)
{
    struct program_options o;
    struct diag d = {0};
    struct plan *plan = NULL;

    log_info(a->log, "Starting leadline cloudwatch-agent", F_C("version", LEADLINE_VERSION),
             F_INT("open_files", machine_raise_files()));
    ask_for_task(a);
    if (load(a, &plan, &d))
        return refuse(a, &d);
    a->shown = service_flags(a->flags, &a->arena);
    fill_options(a, &o);
    a->loop = loop_new("control");
    service_signals_open(&a->signals, a->loop, on_terminate, on_hangup, a);
    enum err err = program_start(a->loop, &o, plan, &a->program, &d);
    if (!err)
        say_what_starts(a, plan);
    plan_unref(plan);
    if (err) {
        loop_free(a->loop);
        return refuse(a, &d);
    }
    loop_run(a->loop);
    program_free(a->program);
    loop_free(a->loop);
    return 0;
}

static int run(const struct flags *f)
{
    struct agent a = {.flags = f, .task = {STR(""), STR(""), STR("")}};

    if (flags_bool(f, "version")) {
        printf("leadline, version %s (cloudwatch-agent)\n", LEADLINE_VERSION);
        return 0;
    }
    if (!service_ceiling(f, &a.memory_ceiling_bytes))
        return 1;
    a.log = service_log(f);
    a.counters = counters_new();
    int status = run_program(&a);
    log_free(a.log);
    counters_free(a.counters);
    free(a.shown);
    arena_release(&a.arena);
    return status;
}

/* Which words of the command line are the original's and say nothing to leadline; 0: none, else how many. */
static int originals(int argc, char **argv, int i)
{
    static const char *const with_value[] = {"-config", "-envconfig", "-otelconfig", "-pidfile", "-config-directory"};
    static const char *const alone[] = {"-console", "-debug", "-quiet"};

    for (size_t k = 0; k < COUNT_OF(with_value); k++) {
        size_t n = strlen(with_value[k]);
        if (strcmp(argv[i], with_value[k]) == 0)
            return i + 1 < argc ? 2 : 1;
        if (strncmp(argv[i], with_value[k], n) == 0 && argv[i][n] == '=')
            return 1;
    }
    for (size_t k = 0; k < COUNT_OF(alone); k++)
        if (strcmp(argv[i], alone[k]) == 0)
            return 1;
    return 0;
}

/* In place; returns how many are left. */
static int leave_out_originals(int argc, char **argv)
{
    int n = 0;

    for (int i = 0, skip; i < argc; i += skip ? skip : 1) {
        skip = originals(argc, argv, i);
        if (!skip)
            argv[n++] = argv[i];
        else
            fprintf(stderr,
                    "leadline: %s is an argument of the CloudWatch agent and is ignored: leadline reads its "
                    "JSON itself\n",
                    argv[i]);
    }
    return n;
}

int cmd_cloudwatch_agent(int argc, char **argv)
{
    static const struct flags_command command = {
        .program = "leadline cloudwatch-agent",
        .summary = "In the place of the CloudWatch agent: scrapes what ecs_service_discovery and the Prometheus file "
                   "of the agent's JSON name, and delivers to CloudWatch Logs (EMF), CloudWatch metrics and AMP. Each "
                   "setting beyond the agent's has a variable too: --emf.version is LEADLINE_EMF_VERSION, and so on; "
                   "the flag beats the variable.",
        .specs = specs,
        .n_specs = COUNT_OF(specs),
        .max_rest = 0,
        .bad_usage = 1,
        .run = run,
    };
    return flags_run(&command, leave_out_originals(argc, argv), argv);
}

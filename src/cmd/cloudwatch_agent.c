/* cloudwatch_agent: `leadline cloudwatch-agent`, in the place of the CloudWatch agent on ECS, as far as it goes: it
 * finds targets as ecs_service_discovery says and writes them to sd_result_file, which any scraper can read.
 *
 *   the agent's JSON --config_parse_agent--> plan --> discover_ecs_agent_new --> the result file
 *
 * The JSON comes from --config, else from /etc/cwagentconfig, else from CW_CONFIG_CONTENT, in the agent's order. Its
 * defaults for cluster and region are those of leadline's own task, from the task metadata, asked once before the JSON
 * is read. SIGHUP reads it again, which the agent does not survive; one that is refused changes nothing.
 *
 * The agent opens no port: our pages (/metrics, /-/healthy, /-/ready) are on a Unix socket, or where
 * --web.listen-address says.
 *
 * Exit status 0 when told to stop, 1 when it cannot start or the JSON asks for no discovery. One thread, the control
 * loop; the file is written on the work pool.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "aws/aws.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/version.h"
#include "cmd/cmd.h"
#include "cmd/flags.h"
#include "cmd/service.h"
#include "config/config.h"
#include "discover/ecs_agent.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "run/own_task.h"

enum { MAX_CONNECTING = 64 };

#define CONFIG_DIRECTORY "/etc/cwagentconfig"
#define DATA_DIRECTORY   "/var/lib/leadline/cloudwatch-agent"

static const struct flag_spec specs[] = {
    {"help", FLAG_BOOL, FLAG_USED, "false", NULL, "Show this help.", 'h', false},
    {"version", FLAG_BOOL, FLAG_USED, "false", NULL, "Show the version.", 0, false},
    {"config", FLAG_TEXT, FLAG_OURS, NULL, "<path>",
     "The agent's JSON, or a directory of such files. Default: " CONFIG_DIRECTORY ", else the variable "
     "CW_CONFIG_CONTENT.",
     0, false},
    {"web.listen-address", FLAG_TEXT, FLAG_OURS, "unix:" DATA_DIRECTORY "/web.sock", NULL,
     "Where /metrics, /-/healthy and /-/ready are: HOST:PORT, :PORT or unix:PATH.", 0, false},
    {"log.level", FLAG_CHOICE, FLAG_OURS, "info", "debug|info|warn|error",
     "Log lines of this severity and above. agent.debug in the JSON means debug.", 0, false},
    {"log.format", FLAG_CHOICE, FLAG_OURS, "logfmt", "logfmt|json", "Form of the log lines.", 0, false},
};

struct agent {
    const struct flags *flags;
    struct log *log;
    struct counters *counters;
    struct loop *loop;
    struct loop_signal *signals[3];
    struct http_client *http;
    struct aws *aws;
    struct http_server *server; /* NULL: there is none */
    struct plan *plan;
    struct discoverer *discoverer;

    struct arena task_arena;
    struct own_task task;
};

/* ---- leadline's own task ---- */

static void ask_for_task(struct agent *a)
{
    AUTO_BUF url = {0};
    struct diag d = {0};

    if (own_task_ask(&a->task_arena, &a->task, &url, &d))
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

static enum err load(struct agent *a, struct plan **out, struct diag *d)
{
    struct config_agent_options o = {.cluster = a->task.cluster,
                                     .region = a->task.region,
                                     .ours.ecs_clusters = str_c(getenv("LEADLINE_ECS_CLUSTERS")),
                                     .getenv = service_environment};
    struct arena scratch = {0};
    struct config_agent_source *sources = ARENA_ARRAY(&scratch, struct config_agent_source, 1);
    bool debug = false;
    uint32_t n = 0;
    enum err err = find_sources(a, &scratch, &sources, &n, d);

    if (!err)
        err = config_parse_agent(sources, n, &o, out, &debug, NULL, d);
    arena_release(&scratch);
    if (err)
        return err;
    for (uint32_t i = 0; i < (*out)->n_warnings; i++)
        log_warn(a->log, "configuration", F_STR("warning", (*out)->warnings[i]));
    if (!(*out)->ecs_agent) {
        plan_unref(*out);
        *out = NULL;
        return diag_set(d, ERR_UNSUPPORTED,
                        "there is nothing to discover: the configuration has no "
                        "logs.metrics_collected.prometheus.ecs_service_discovery, and leadline cloudwatch-agent does "
                        "nothing else yet");
    }
    if (debug && !flags_given(a->flags, "log.level"))
        log_set_level(a->log, LOG_DEBUG);
    return OK;
}

static void start_discovery(struct agent *a, struct plan *plan)
{
    struct discover_env env = {
        .loop = a->loop, .log = a->log, .counters = a->counters, .aws = a->aws, .config = STR("ecs_service_discovery")};

    a->plan = plan;
    a->discoverer = discover_ecs_agent_new(&env, plan, plan->ecs_agent, NULL);
}

static void stop_discovery(struct agent *a)
{
    if (a->discoverer)
        a->discoverer->stop(a->discoverer);
    plan_unref(a->plan);
    a->discoverer = NULL;
    a->plan = NULL;
}

static void on_hangup(int signum, void *ctx)
{
    struct agent *a = ctx;
    struct plan *plan = NULL;
    struct diag d = {0};
    char text[800];

    (void)signum;
    if (load(a, &plan, &d)) {
        diag_format(&d, text, sizeof(text));
        log_error(a->log, "the configuration is not reloaded", F_C("err", text),
                  F_C("next", "discovery goes on as before"));
        return;
    }
    stop_discovery(a);
    start_discovery(a, plan);
    log_info(a->log, "the configuration is reloaded", F_STR("result_file", plan->ecs_agent->result_file));
}

/* ---- pages ---- */

static bool is_ready(struct agent *a)
{
    struct discover_status status;

    a->discoverer->status(a->discoverer, &status);
    return status.last_refresh_ms > 0;
}

static void on_request(void *ctx, struct http_call *call)
{
    struct agent *a = ctx;
    const struct service_pages pages = {
        .name = "leadline cloudwatch-agent",
        .counters = a->counters,
        .ready = is_ready(a),
        .not_ready = "no targets were found out yet\n",
    };

    service_answer(call, &pages);
}

/* An address that the user names must be had; the socket of ours is a convenience. */
static enum err listen(struct agent *a, struct diag *d)
{
    bool given = flags_given(a->flags, "web.listen-address");
    struct str address = flags_text(a->flags, "web.listen-address");
    enum err err = given ? OK : file_mkdirs(DATA_DIRECTORY, d);

    if (!err)
        return service_listen(a->loop, a->log, address, given, on_request, a, &a->server, d);
    log_warn(a->log, "no socket for pages and health checks", F_STR("address", address), F_C("err", d->text));
    return OK;
}

/* ---- start and stop ---- */

static void close_all(struct agent *a)
{
    for (size_t i = 0; i < COUNT_OF(a->signals); i++)
        loop_signal_close(a->signals[i]);
    if (a->server)
        http_server_free(a->server);
    stop_discovery(a);
    aws_free(a->aws);
    http_client_free(a->http);
    loop_stop(a->loop);
}

static void on_terminate(int signum, void *ctx)
{
    struct agent *a = ctx;

    service_say_signal(a->log, signum);
    close_all(a);
}

static void say_what_starts(struct agent *a)
{
    const struct plan_ecs_agent_sd *sd = a->plan->ecs_agent;

    log_info(a->log, "Discovering targets on ECS", F_STR("cluster", sd->clusters[0].name),
             F_STR("region", sd->clusters[0].aws.region), F_INT("clusters", sd->n_clusters),
             F_INT("frequency_ms", sd->frequency_ms), F_STR("result_file", sd->result_file));
}

static int start(struct agent *a, struct plan *plan)
{
    struct http_client_limits limits = {.max_connecting = MAX_CONNECTING, .user_agent = LEADLINE_USER_AGENT};
    struct diag d = {0};

    signal(SIGPIPE, SIG_IGN);
    a->signals[0] = loop_signal_open(a->loop, SIGTERM, on_terminate, a);
    a->signals[1] = loop_signal_open(a->loop, SIGINT, on_terminate, a);
    a->signals[2] = loop_signal_open(a->loop, SIGHUP, on_hangup, a);
    a->http = http_client_new(a->loop, a->log, &limits);
    a->aws = aws_new(&(struct aws_env){.loop = a->loop, .log = a->log, .counters = a->counters, .http = a->http});
    start_discovery(a, plan);
    if (listen(a, &d) == OK) {
        say_what_starts(a);
        return 0;
    }
    log_error(a->log, "leadline cloudwatch-agent cannot start", F_C("err", d.text));
    close_all(a);
    return 1;
}

static int run_logged(struct agent *a)
{
    struct plan *plan = NULL;
    struct diag d = {0};
    char text[800];

    log_info(a->log, "Starting leadline cloudwatch-agent", F_C("version", LEADLINE_VERSION));
    ask_for_task(a);
    if (load(a, &plan, &d)) {
        diag_format(&d, text, sizeof(text));
        log_error(a->log, "leadline cloudwatch-agent cannot start", F_C("err", text));
        return 1;
    }
    a->loop = loop_new("control");
    int status = start(a, plan);
    loop_run(a->loop);
    loop_free(a->loop);
    return status;
}

static int run(const struct flags *f)
{
    struct agent a = {.flags = f, .task = {STR(""), STR("")}};

    if (flags_bool(f, "version")) {
        printf("leadline, version %s (cloudwatch-agent)\n", LEADLINE_VERSION);
        return 0;
    }
    a.log = service_log(f);
    a.counters = counters_new();
    int status = run_logged(&a);
    log_free(a.log);
    counters_free(a.counters);
    arena_release(&a.task_arena);
    return status;
}

int cmd_cloudwatch_agent(int argc, char **argv)
{
    static const struct flags_command command = {
        .program = "leadline cloudwatch-agent",
        .summary = "Finds targets on ECS as the CloudWatch agent's ecs_service_discovery does and writes them to its "
                   "result file. Its settings are the agent's JSON; LEADLINE_ECS_CLUSTERS names more clusters.",
        .specs = specs,
        .n_specs = COUNT_OF(specs),
        .max_rest = 0,
        .bad_usage = 1,
        .run = run,
    };
    return flags_run(&command, argc, argv);
}

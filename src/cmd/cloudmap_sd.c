/* cloudmap_sd: `leadline cloudmap-sd`, in the place of the config-reloader sidecar of aws-samples/prometheus-for-ecs.
 *
 *   each period:
 *     GetParameter (namespaces) --changed--> discovery of these namespaces (discover/cloudmap.h)
 *     GetParameter (configuration) -----> DIR/prometheus.yaml                   FILE_BASED, but not with OTEL
 *     discovery --> the list of targets --> DIR/ecs-services.json               FILE_BASED
 *                                      '--> GET :9001/prometheus-targets        HTTP_BASED
 *
 * Differences from the original, all towards fewer lost targets: the first discovery is at once; files are replaced
 * atomically; prometheus.yaml follows its parameter; parameters are read decrypted; an answer over HTTP is the last
 * good list, at once; a failed call changes nothing. Before the first list HTTP answers 503, which http_sd takes for a
 * failed refresh and keeps its targets; an empty list would end them. For the same reason a first list that lacks what
 * could not be asked waits for two periods (discover/refresh.h): what reads the list knows more from before.
 *
 * The original opens no port in file mode: there our pages are on a Unix socket in the directory of the files.
 *
 *   /prometheus-targets   the list         /-/healthy   200     /-/ready   200 once there is a list     /metrics
 *
 * One thread, the control loop; files are written on the work pool.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "aws/aws.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/version.h"
#include "cmd/cloudmap_sd_settings.h"
#include "cmd/cmd.h"
#include "cmd/flags.h"
#include "cmd/service.h"
#include "discover/aws_queue.h"
#include "discover/cloudmap.h"
#include "discover/result_file.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "wire/json.h"

enum { MAX_CONNECTING = 32, SAY_AGAIN_MS = 10 * 60 * 1000 };

static const struct flag_spec specs[] = {
    {"help", FLAG_BOOL, FLAG_USED, "false", NULL, "Show this help.", 'h', false},
    {"version", FLAG_BOOL, FLAG_USED, "false", NULL, "Show the version.", 0, false},
    {"listen-address", FLAG_TEXT, FLAG_OURS, NULL, "<address>",
     "Where to answer: HOST:PORT, :PORT or unix:PATH. Default: :9001 with SERVICE_DISCOVERY_MODE=HTTP_BASED, else the "
     "Unix socket cloudmap-sd.sock in CONFIG_FILE_DIR.",
     0, false},
    {"instance-label", FLAG_CHOICE, FLAG_OURS, "ip", "ip|ip:port",
     "The label instance of a target: the address alone, as the original has it, or with the port.", 0, false},
    {"log.level", FLAG_CHOICE, FLAG_OURS, "info", "debug|info|warn|error", "Log lines of this severity and above.", 0,
     false},
    {"log.format", FLAG_CHOICE, FLAG_OURS, "logfmt", "logfmt|json", "Form of the log lines.", 0, false},
};

struct sidecar;

/* A parameter of Systems Manager that is read each period. */
struct parameter {
    struct aws_job job;
    struct sidecar *s;
    struct str name;
    const char *next; /* what happens when it cannot be read */
    struct arena arena, scratch;
    struct str value; /* read last; p NULL: never */
    bool busy;
    void (*read)(struct sidecar *s, bool changed);
    struct counter *failures;
    struct log_limit limit;
};

struct sidecar {
    const struct flags *flags;
    struct cloudmap_sd_settings settings;
    struct arena arena;
    struct log *log;
    struct counters *counters;
    struct loop *loop;
    struct service_signals signals;
    struct timer period;

    struct http_client *http;
    struct aws *aws;
    struct aws_session *session;
    struct aws_queue *queue;
    struct parameter config_parameter, namespaces_parameter;

    struct plan *plan;
    struct plan_cloudmap_sd config;
    struct arena names;            /* the first ones: the configuration's */
    struct discoverer *discoverer; /* NULL before the namespaces are known */
    struct target_consumer consumer;

    struct result_file *config_file, *list_file; /* FILE_BASED; config_file not with OTEL */
    struct http_server *server;                  /* NULL: there is none */
    struct buf list;
    bool has_list;
};

/* ---- the list of targets ---- */

static void on_targets(struct target_consumer *self, struct target_groups *groups)
{
    struct sidecar *s = CONTAINER_OF(self, struct sidecar, consumer);
    uint32_t n = 0;

    for (uint32_t i = 0; i < groups->n; i++)
        n += groups->groups[i].n_targets;
    if (!s->has_list)
        log_info(s->log, "first list of targets", F_INT("targets", n));
    s->has_list = true;
    buf_clear(&s->list);
    cloudmap_print(groups, &s->list);
    target_groups_free(groups);
    if (s->list_file)
        result_file_put(s->list_file, buf_view(&s->list));
}

static void start_discovery(struct sidecar *s, struct str *names, uint32_t n)
{
    struct discover_env env = {.loop = s->loop,
                               .log = s->log,
                               .counters = s->counters,
                               .aws = s->aws,
                               .config = STR("cloudmap-sd"),
                               .after_reload = true};

    s->config = (struct plan_cloudmap_sd){
        .aws.region = s->settings.region,
        .refresh_ms = s->settings.period_ms,
        .namespaces = names,
        .n_namespaces = n,
        .instance_without_port = str_eq(flags_text(s->flags, "instance-label"), STR("ip")),
    };
    s->consumer.update = on_targets;
    s->discoverer = discover_cloudmap_new(&env, s->plan, &s->config, &s->consumer);
}

/* ---- parameters ---- */

static void read_namespaces(struct sidecar *s, bool changed)
{
    struct str *names;

    if (!changed)
        return;
    struct arena scratch = {0};
    uint32_t n = cloudmap_sd_names(s->namespaces_parameter.value, s->discoverer ? &scratch : &s->names, &names);
    log_info(s->log, "namespaces", F_STR("parameter", s->settings.namespaces_parameter),
             F_STR("value", s->namespaces_parameter.value));
    if (n == 0)
        log_warn(s->log, "the parameter names no namespace: nothing is discovered",
                 F_STR("parameter", s->settings.namespaces_parameter));
    if (s->discoverer)
        cloudmap_set_namespaces(s->discoverer, names, n);
    else
        start_discovery(s, names, n);
    arena_release(&scratch);
}

static void read_config(struct sidecar *s, bool changed)
{
    if (changed)
        log_info(s->log, "the Prometheus configuration has come", F_STR("parameter", s->settings.config_parameter),
                 F_INT("bytes", s->config_parameter.value.n));
    result_file_put(s->config_file, s->config_parameter.value);
}

static void write_question(struct aws_job *j, struct str token, struct buf *body)
{
    struct parameter *p = CONTAINER_OF(j, struct parameter, job);
    struct json out = json_to(body);

    (void)token;
    json_object(&out);
    json_key_c(&out, "Name");
    json_str(&out, p->name);
    json_key_c(&out, "WithDecryption");
    json_bool(&out, true);
    json_object_end(&out);
}

static enum err take_value(struct aws_job *j, struct str body, struct buf *token, struct diag *d)
{
    struct parameter *p = CONTAINER_OF(j, struct parameter, job);
    struct str value = STR("");

    (void)token;
    arena_reset(&p->scratch);
    enum err err = ssm_parameter_parse(body, &p->scratch, &value, d);
    if (err)
        return err;
    bool changed = !p->value.p || !str_eq(p->value, value);
    if (changed) {
        arena_reset(&p->arena);
        p->value = str_dup(&p->arena, value);
    }
    p->read(p->s, changed);
    return OK;
}

static void end_question(struct aws_job *j, enum err err, struct str code, const struct diag *d)
{
    struct parameter *p = CONTAINER_OF(j, struct parameter, job);
    uint32_t suppressed;

    (void)code;
    p->busy = false;
    if (!err) {
        p->limit = (struct log_limit){0};
        return;
    }
    counter_inc(p->failures);
    if (log_allow(&p->limit, SAY_AGAIN_MS, &suppressed))
        log_error(p->s->log, "a parameter cannot be read", F_STR("parameter", p->name), F_C("err", d->text),
                  F_INT("suppressed", suppressed), F_C("next", p->value.p ? "what was read last stays" : p->next));
}

static void ask(struct parameter *p)
{
    if (p->busy)
        return;
    p->busy = true;
    p->job = (struct aws_job){.service = &aws_ssm,
                              .operation = "GetParameter",
                              .family = AWS_SSM_PARAMETERS,
                              .write = write_question,
                              .page = take_value,
                              .end = end_question};
    aws_queue_start(p->s->queue, &p->job);
}

static void parameter_init(struct parameter *p, struct sidecar *s, struct str name,
                           void (*read)(struct sidecar *s, bool changed), const char *next)
{
    const struct counter_label label = {STR("parameter"), name};

    p->s = s;
    p->name = name;
    p->read = read;
    p->next = next;
    p->failures = counter_new(s->counters, COUNTER_TOTAL, "leadline_cloudmap_sd_parameter_failures_total",
                              "Readings of a parameter of Systems Manager that failed.", &label, 1);
}

static void parameter_release(struct parameter *p)
{
    if (p->failures)
        counter_release(p->s->counters, p->failures);
    arena_release(&p->arena);
    arena_release(&p->scratch);
}

static void on_period(struct timer *t)
{
    struct sidecar *s = CONTAINER_OF(t, struct sidecar, period);

    ask(&s->namespaces_parameter);
    if (s->config_file)
        ask(&s->config_parameter);
    timer_start(s->loop, t, (uint64_t)s->settings.period_ms, on_period);
}

/* ---- pages ---- */

static void answer_list(struct sidecar *s, struct http_call *call)
{
    AUTO_BUF why = {0};
    struct discover_status status = {.last_error = STR("")};

    if (s->has_list) {
        http_call_answer(call, 200, "application/json", buf_view(&s->list));
        return;
    }
    if (s->discoverer)
        s->discoverer->status(s->discoverer, &status);
    buf_printf(
        &why, "no list of targets yet: %.*s\n",
        STR_ARGS(status.last_error.n ? status.last_error : STR("nothing was asked, or the answer is on its way")));
    http_call_answer(call, 503, "text/plain; charset=utf-8", buf_view(&why));
}

static void on_request(void *ctx, struct http_call *call)
{
    struct sidecar *s = ctx;
    const struct service_pages pages = {
        .name = "leadline cloudmap-sd",
        .counters = s->counters,
        .ready = s->has_list,
        .not_ready = "no list of targets yet\n",
    };

    if (service_is_read(call) && str_eq(http_call_path(call), STR("/prometheus-targets")))
        answer_list(s, call);
    else
        service_answer(call, &pages);
}

/* An address that the user or the original names must be had; the socket of ours is a convenience. */
static enum err listen(struct sidecar *s, struct diag *d)
{
    bool given = flags_given(s->flags, "listen-address");
    struct str address = flags_text(s->flags, "listen-address");

    if (!given)
        address = s->settings.http ? STR(":9001")
                                   : str_c(arena_printf(&s->arena, "unix:%s/cloudmap-sd.sock", s->settings.dir.p));
    return service_listen(s->loop, s->log, address, given || s->settings.http, on_request, s, &s->server, d);
}

/* ---- start and stop ---- */

static void open_files(struct sidecar *s)
{
    const char *list = arena_printf(&s->arena, "%s/ecs-services.json", s->settings.dir.p);
    struct diag d = {0};

    if (s->settings.http)
        return;
    if (file_mkdirs(s->settings.dir.p, &d))
        log_error(s->log, "CONFIG_FILE_DIR cannot be made", F_C("err", d.text),
                  F_C("next", "writing there is tried all the same"));
    s->list_file = result_file_new(s->loop, s->log, list);
    if (access(list, F_OK))
        result_file_put(s->list_file, STR("[]"));
    if (!s->settings.otel)
        s->config_file =
            result_file_new(s->loop, s->log, arena_printf(&s->arena, "%s/prometheus.yaml", s->settings.dir.p));
}

static enum err open_aws(struct sidecar *s, struct diag *d)
{
    struct http_client_limits limits = {.max_connecting = MAX_CONNECTING, .user_agent = LEADLINE_USER_AGENT};
    struct aws_config config = {.region = s->settings.region};

    s->http = http_client_new(s->loop, s->log, &limits);
    s->aws = aws_new(&(struct aws_env){.loop = s->loop, .log = s->log, .counters = s->counters, .http = s->http});
    enum err err = aws_session_get(s->aws, &config, &s->session, d);
    if (err)
        return err;
    struct aws_queue_options o = {.loop = s->loop,
                                  .session = s->session,
                                  .counters = s->counters,
                                  .mechanism = "cloudmap",
                                  .config = STR("cloudmap-sd")};
    s->queue = aws_queue_new(&o);
    return OK;
}

static void forget_job(struct aws_job *j)
{
    (void)j; /* it is part of a parameter */
}

static void close_all(struct sidecar *s)
{
    timer_stop(&s->period);
    service_signals_close(&s->signals);
    if (s->server)
        http_server_free(s->server);
    if (s->discoverer)
        s->discoverer->stop(s->discoverer);
    if (s->queue)
        aws_queue_free(s->queue, forget_job);
    if (s->session)
        aws_session_release(s->session);
    aws_free(s->aws);
    http_client_free(s->http);
    if (s->list_file)
        result_file_free(s->list_file);
    if (s->config_file)
        result_file_free(s->config_file);
    loop_stop(s->loop);
}

static void on_terminate(int signum, void *ctx)
{
    struct sidecar *s = ctx;

    service_say_signal(s->log, signum);
    close_all(s);
}

/* Everything is asked for again now. */
static void on_hangup(int signum, void *ctx)
{
    struct sidecar *s = ctx;

    (void)signum;
    timer_start(s->loop, &s->period, 0, on_period);
}

static int start(struct sidecar *s)
{
    struct diag d = {0};

    service_signals_open(&s->signals, s->loop, on_terminate, on_hangup, s);
    enum err err = open_aws(s, &d);
    open_files(s);
    if (!err)
        err = listen(s, &d);
    if (err) {
        log_error(s->log, "leadline cloudmap-sd cannot start", F_C("err", d.text));
        close_all(s);
        return 1;
    }
    parameter_init(&s->namespaces_parameter, s, s->settings.namespaces_parameter, read_namespaces,
                   "nothing is discovered until it can");
    parameter_init(&s->config_parameter, s, s->settings.config_parameter, read_config,
                   "prometheus.yaml stays as it is");
    timer_start(s->loop, &s->period, 0, on_period);
    return 0;
}

static void log_settings(const struct sidecar *s)
{
    const struct cloudmap_sd_settings *c = &s->settings;

    log_info(s->log, "Starting leadline cloudmap-sd", F_C("version", LEADLINE_VERSION),
             F_C("mode", c->http ? "HTTP_BASED" : "FILE_BASED"), F_STR("region", c->region),
             F_INT("seconds", c->period_ms / 1000), F_STR("dir", c->http ? STR("") : c->dir));
    if (c->odd_mode.n)
        log_warn(s->log, "DEPLOYMENT_MODE has no effect: only OTEL and otel mean something",
                 F_STR("value", c->odd_mode));
}

static int run(const struct flags *f)
{
    struct sidecar s = {.flags = f};
    struct diag d = {0};

    if (flags_bool(f, "version")) {
        printf("leadline, version %s (cloudmap-sd)\n", LEADLINE_VERSION);
        return 0;
    }
    if (cloudmap_sd_settings_read(service_environment, &s.arena, &s.settings, &d)) {
        fprintf(stderr, "leadline cloudmap-sd: %s\n", d.text);
        arena_release(&s.arena);
        return 1;
    }
    s.log = service_log(f);
    s.counters = counters_new();
    s.plan = plan_new();
    s.loop = loop_new("control");
    log_settings(&s);
    int status = start(&s);
    loop_run(s.loop);
    loop_free(s.loop);
    parameter_release(&s.namespaces_parameter);
    parameter_release(&s.config_parameter);
    plan_unref(s.plan);
    buf_release(&s.list);
    arena_release(&s.names);
    arena_release(&s.arena);
    log_free(s.log);
    counters_free(s.counters);
    return status;
}

int cmd_cloudmap_sd(int argc, char **argv)
{
    static const struct flags_command command = {
        .program = "leadline cloudmap-sd",
        .summary =
            "Finds targets in AWS Cloud Map and hands them to a scraper by a file or over HTTP, in the place of\n"
            "the config-reloader sidecar. Its settings are environment variables: AWS_REGION,\n"
            "SERVICE_DISCOVERY_MODE, CONFIG_FILE_DIR, CONFIG_RELOAD_FREQUENCY, PROMETHEUS_CONFIG_PARAMETER_NAME,\n"
            "DISCOVERY_NAMESPACES_PARAMETER_NAME, DEPLOYMENT_MODE.",
        .specs = specs,
        .n_specs = COUNT_OF(specs),
        .max_rest = 0,
        .bad_usage = 1,
        .run = run,
    };
    return flags_run(&command, argc, argv);
}

/* healthcheck: `leadline healthcheck [--port N]`, for a container's health check: asks the running program on this host
 * for /-/healthy, by TCP or at a Unix socket. Where nothing says which, the CloudWatch agent's socket is asked if there
 * is one at its default place, else port 9090.
 *
 * Exit status 0 for an answer of 200, or of 401 (it asks for a password, so it is alive), else 1 with the reason on
 * standard error, where ECS keeps it. Healthy also while a destination is down: a restart would cost what waits in the
 * spool. The image needs no curl for it.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "cmd/cmd.h"
#include "cmd/flags.h"
#include "cmd/service.h"
#include "run/ask.h"

static const struct flag_spec specs[] = {
    {"help", FLAG_BOOL, FLAG_USED, "false", NULL, "Show this help.", 'h', false},
    {"port", FLAG_NUMBER, FLAG_USED, "9090", NULL, "The port of the program's pages on this host.", 0, false},
    {"url", FLAG_TEXT, FLAG_USED, NULL, NULL,
     "The whole address, in place of --port: http://, https://, or unix:PATH for a program that listens on a socket.",
     0, false},
    {"program", FLAG_CHOICE, FLAG_USED, "auto", "auto|prometheus|cloudwatch-agent",
     "Which program is asked at its default place: a port, or the socket in the spool's directory.", 0, false},
    {"spool.path", FLAG_TEXT, FLAG_USED, SERVICE_AGENT_DIRECTORY, NULL, "Directory of the cloudwatch-agent's spool.", 0,
     false},
    {"tls", FLAG_BOOL, FLAG_USED, "false", NULL,
     "Ask by TLS (--web.config.file). The certificate is not verified: it is this host that is asked.", 0, false},
    {"timeout", FLAG_DURATION, FLAG_USED, "3s", NULL, "How long to wait.", 0, false},
};

/* True: the socket in the spool's directory is to be asked. */
static bool find_socket(const struct flags *f, struct buf *url)
{
    struct str program = flags_text(f, "program");
    bool named = str_eq(program, STR("cloudwatch-agent")) || flags_given(f, "spool.path");

    if (!named && (str_eq(program, STR("prometheus")) || flags_given(f, "port") || flags_given(f, "tls")))
        return false;
    buf_printf(url, "unix:%s/" SERVICE_AGENT_SOCKET, flags_text(f, "spool.path").p);
    if (access(url->p + strlen("unix:"), F_OK) == 0)
        return true;
    if (access(SERVICE_AGENT_FALLBACK, F_OK) == 0) {
        buf_clear(url);
        buf_c(url, "unix:" SERVICE_AGENT_FALLBACK);
        return true;
    }
    if (!named)
        buf_clear(url);
    return named;
}

static int run(const struct flags *f)
{
    AUTO_BUF url = {0};
    AUTO_BUF body = {0};
    struct diag d = {0};
    int status = 0;

    if (flags_given(f, "url"))
        buf_str(&url, flags_text(f, "url"));
    else if (!find_socket(f, &url))
        buf_printf(&url, "%s://127.0.0.1:%lld/-/healthy", flags_bool(f, "tls") ? "https" : "http",
                   (long long)flags_number(f, "port"));
    uint32_t timeout_ms = (uint32_t)flags_duration_ms(f, "timeout");
    enum err err = str_starts(buf_view(&url), STR("unix:"))
                       ? ask_get_unix(str_from(url.p + 5, url.n - 5), "/-/healthy", timeout_ms, &status, &d)
                       : ask_get(buf_view(&url), flags_bool(f, "tls"), timeout_ms, &status, &body, &d);
    if (err) {
        fprintf(stderr, "unhealthy: %s: %s\n", url.p, d.text);
        return 1;
    }
    if (status != 200 && status != 401) {
        fprintf(stderr, "unhealthy: %s answered %d\n", url.p, status);
        return 1;
    }
    printf("healthy\n");
    return 0;
}

int cmd_healthcheck(int argc, char **argv)
{
    static const struct flags_command command = {
        .program = "leadline healthcheck",
        .summary = "Asks a running leadline on this host whether it is healthy.",
        .specs = specs,
        .n_specs = COUNT_OF(specs),
        .max_rest = 0,
        .bad_usage = 1,
        .run = run,
    };
    return flags_run(&command, argc, argv);
}

/* cloudmap_sd_settings: see the header.
 *
 *   AWS_REGION                             us-east-1
 *   SERVICE_DISCOVERY_MODE                 FILE_BASED | HTTP_BASED
 *   CONFIG_FILE_DIR                        /etc/config/
 *   CONFIG_RELOAD_FREQUENCY                30, in seconds
 *   PROMETHEUS_CONFIG_PARAMETER_NAME       ECS-Prometheus-Configuration
 *   DISCOVERY_NAMESPACES_PARAMETER_NAME    ECS-ServiceDiscovery-Namespaces
 *   DEPLOYMENT_MODE                        OTEL or otel; anything else is nothing
 *
 * The original ends with status 0 for a mode that it does not know and panics for a frequency that is no number: here
 * both are errors before anything starts.
 */
#include "cmd/cloudmap_sd_settings.h"

#include "base/num.h"

enum { MAX_PERIOD_S = 24 * 3600 };

static struct str value(const char *(*get)(const char *name), const char *name, struct str otherwise)
{
    struct str v = str_c(get(name));

    return v.n ? v : otherwise;
}

static enum err read_period(struct str text, int64_t *ms, struct diag *d)
{
    int64_t seconds;

    if (num_parse_i64(text, &seconds) || seconds < 1 || seconds > MAX_PERIOD_S)
        return diag_set(d, ERR_SYNTAX, "CONFIG_RELOAD_FREQUENCY must be a number of seconds from 1 to %d, not \"%.*s\"",
                        MAX_PERIOD_S, STR_ARGS(text));
    *ms = seconds * 1000;
    return OK;
}

enum err cloudmap_sd_settings_read(const char *(*get)(const char *name), struct arena *a,
                                   struct cloudmap_sd_settings *out, struct diag *d)
{
    struct str mode = value(get, "SERVICE_DISCOVERY_MODE", STR("FILE_BASED"));
    struct str deployment = value(get, "DEPLOYMENT_MODE", STR(""));
    struct str dir = value(get, "CONFIG_FILE_DIR", STR("/etc/config/"));

    *out = (struct cloudmap_sd_settings){
        .region = value(get, "AWS_REGION", STR("us-east-1")),
        .http = str_eq(mode, STR("HTTP_BASED")),
        .config_parameter = value(get, "PROMETHEUS_CONFIG_PARAMETER_NAME", STR("ECS-Prometheus-Configuration")),
        .namespaces_parameter =
            value(get, "DISCOVERY_NAMESPACES_PARAMETER_NAME", STR("ECS-ServiceDiscovery-Namespaces")),
        .otel = str_eq(deployment, STR("OTEL")) || str_eq(deployment, STR("otel")),
    };
    if (!out->http && !str_eq(mode, STR("FILE_BASED")))
        return diag_set(d, ERR_SYNTAX, "SERVICE_DISCOVERY_MODE must be FILE_BASED or HTTP_BASED, not \"%.*s\"",
                        STR_ARGS(mode));
    if (!out->otel)
        out->odd_mode = deployment;
    while (dir.n > 1 && dir.p[dir.n - 1] == '/')
        dir.n--;
    out->dir = str_dup(a, dir);
    return read_period(value(get, "CONFIG_RELOAD_FREQUENCY", STR("30")), &out->period_ms, d);
}

uint32_t cloudmap_sd_names(struct str list, struct arena *a, struct str **out)
{
    uint32_t most = 1, n = 0;
    struct str rest = list, name;

    for (size_t i = 0; i < list.n; i++)
        most += list.p[i] == ',';
    *out = ARENA_ARRAY(a, struct str, most);
    while (rest.n) {
        str_cut(rest, ',', &name, &rest);
        name = str_trim(name);
        if (name.n)
            (*out)[n++] = str_dup(a, name);
    }
    return n;
}

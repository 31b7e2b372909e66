/* cloudmap_sd_settings: the environment variables of the cloudmap-sd sidecar (aws-samples/prometheus-for-ecs,
 * cmd/main.go). A variable that is empty counts as not set.
 */
#ifndef CMD_CLOUDMAP_SD_SETTINGS_H
#define CMD_CLOUDMAP_SD_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

struct cloudmap_sd_settings {
    struct str region;
    bool http;      /* SERVICE_DISCOVERY_MODE is HTTP_BASED */
    struct str dir; /* without a slash at the end */
    int64_t period_ms;
    struct str config_parameter, namespaces_parameter;
    bool otel;           /* prometheus.yaml is not written */
    struct str odd_mode; /* a DEPLOYMENT_MODE that means nothing; else empty */
};

/* get: getenv, or a test's own. ERR_SYNTAX with the variable's name. Strings are the environment's, or in a. */
enum err cloudmap_sd_settings_read(const char *(*get)(const char *name), struct arena *a,
                                   struct cloudmap_sd_settings *out, struct diag *d) MUST_USE;
/* "a, b,,c" -> a b c; into a. */
uint32_t cloudmap_sd_names(struct str list, struct arena *a, struct str **out);

#endif

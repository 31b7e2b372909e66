/* cloudwatch_settings: see the header. What each value may be is the reader's of the configuration to say (config/),
 * with the variable's name in the message; here is only where a value comes from:
 *
 *   --emf.version=1   beats   LEADLINE_EMF_VERSION=1   beats   nothing, which is the agent's own way
 */
#include "cmd/cloudwatch_settings.h"

#include <stddef.h>
#include <stdlib.h>

#include "base/mem.h"

#define MEMBER(name) offsetof(struct config_agent_ours, name)

static const struct {
    const char *flag, *variable; /* variable NULL: a flag alone */
    size_t member;
} settings[] = {
    {"emf.version", "LEADLINE_EMF_VERSION", MEMBER(emf_version)},
    {"emf.histograms", "LEADLINE_EMF_HISTOGRAMS", MEMBER(emf_histograms)},
    {"emf.untyped", "LEADLINE_EMF_UNTYPED", MEMBER(emf_untyped)},
    {"emf.first-values", "LEADLINE_EMF_FIRST_VALUES", MEMBER(emf_first_values)},
    {"emf.unselected", "LEADLINE_EMF_UNSELECTED", MEMBER(emf_unselected)},
    {"emf.storage-resolution", "LEADLINE_EMF_STORAGE_RESOLUTION", MEMBER(emf_storage_resolution)},
    {"emf.max-metrics", "LEADLINE_EMF_MAX_METRICS", MEMBER(emf_max_metrics)},
    {"emf.input-log-group", "LEADLINE_EMF_INPUT_LOG_GROUP", MEMBER(emf_input_log_group)},
    {"log.retention-days", "LEADLINE_LOG_RETENTION_DAYS", MEMBER(log_retention_days)},
    {"prometheus.to", "LEADLINE_PROMETHEUS_TO", MEMBER(prometheus_to)},
    {"metrics.namespace", "LEADLINE_METRICS_NAMESPACE", MEMBER(metrics_namespace)},
    {"amp.labels", "LEADLINE_AMP_LABELS", MEMBER(amp_labels)},
    {"statsd.values", "LEADLINE_STATSD_VALUES", MEMBER(statsd_values)},
    {"ecs.clusters", "LEADLINE_ECS_CLUSTERS", MEMBER(ecs_clusters)},
    {"shadow-log-group", NULL, MEMBER(shadow_log_group)},
    {"shadow-namespace-suffix", NULL, MEMBER(shadow_namespace_suffix)},
};

void cloudwatch_settings_read(const struct flags *f, struct config_agent_ours *out)
{
    for (size_t i = 0; i < COUNT_OF(settings); i++) {
        struct str *member = (struct str *)((char *)out + settings[i].member);
        const char *value = settings[i].variable ? getenv(settings[i].variable) : NULL;
        *member = value ? str_c(value) : STR("");
        if (f && flags_given(f, settings[i].flag))
            *member = flags_text(f, settings[i].flag);
    }
}

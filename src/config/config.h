/* config: the dialects that users write, compiled to the one plan. */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include "base/err.h"
#include "plan/plan.h"

struct config_options {
    bool agent;       /* --agent: the original's refusals in agent mode */
    bool check_files; /* also look at the files that are named (certificates, credentials), as promtool does */
    /* --shard: every job gets two rules more, hashmod and keep, that leave it this part of its targets. count 0: all */
    uint32_t shard_index, shard_count;
    /* Defaults that --enable-feature changes. */
    bool extra_scrape_metrics; /* extra-scrape-metrics: of the key of that name */
    bool protobuf_first;       /* st-storage and another: scrape_protocols begins with PrometheusProto */
};

/* Every error of the file, not only the first, in the order of the lines; at most 1,000. In an arena of the caller. */
struct config_errors {
    struct arena *arena;
    struct diag *v;
    enum err *codes; /* of each: ERR_UNSUPPORTED is what the original takes and leadline does not */
    uint32_t n, cap;
};

/* Reads a Prometheus configuration file and what it includes (scrape_config_files). OK and *out with one reference, or
 * the code of the first error, all of them in `errors` (may be NULL: then only *d gets the first one). */
enum err config_load_prometheus(const char *path, const struct config_options *o, struct plan **out,
                                struct config_errors *errors, struct diag *d) MUST_USE;
/* The same for text in memory; `name` is used in messages and `directory` for relative paths. */
enum err config_parse_prometheus(struct str text, const char *name, const char *directory,
                                 const struct config_options *o, struct plan **out, struct config_errors *errors,
                                 struct diag *d) MUST_USE;

/* ---- the CloudWatch agent's JSON ---- */

struct config_agent_source {
    const char *name; /* of the file or variable, for messages */
    struct str text;
};

/* What leadline offers beyond the agent, off until asked for: flags, or LEADLINE_* variables. Empty: not given. */
struct config_agent_ours {
    struct str emf_version;             /* LEADLINE_EMF_VERSION: 0 or 1 */
    struct str emf_histograms;          /* LEADLINE_EMF_HISTOGRAMS: none, sum_count or buckets */
    struct str emf_untyped;             /* LEADLINE_EMF_UNTYPED: drop or gauge */
    struct str emf_first_values;        /* LEADLINE_EMF_FIRST_VALUES: true or false */
    struct str emf_unselected;          /* LEADLINE_EMF_UNSELECTED: keep or drop */
    struct str emf_storage_resolution;  /* LEADLINE_EMF_STORAGE_RESOLUTION: 60 or 1 */
    struct str emf_max_metrics;         /* LEADLINE_EMF_MAX_METRICS: of a declaration; 0: no limit */
    struct str log_retention_days;      /* LEADLINE_LOG_RETENTION_DAYS: of groups that it creates; one of the API's */
    struct str prometheus_to;           /* LEADLINE_PROMETHEUS_TO: logs, metrics or both */
    struct str metrics_namespace;       /* LEADLINE_METRICS_NAMESPACE: of `metrics` and `both` */
    struct str amp_labels;              /* LEADLINE_AMP_LABELS: agent, prometheus or both */
    struct str statsd_values;           /* LEADLINE_STATSD_VALUES: centres or exact */
    struct str emf_input_log_group;     /* LEADLINE_EMF_INPUT_LOG_GROUP: of events that name none */
    struct str shadow_log_group;        /* --shadow-log-group: in the place of log_group_name, and of EMF events' */
    struct str shadow_namespace_suffix; /* --shadow-namespace-suffix: behind every namespace */
    struct str ecs_clusters;            /* LEADLINE_ECS_CLUSTERS */
};

struct config_agent_options {
    /* Of leadline's own task; empty: unknown. */
    struct str cluster, region, task_arn;
    bool in_container;    /* RUN_IN_CONTAINER=True, or a task's metadata: the agent's defaults there */
    struct str host_name; /* of the machine */
    struct config_agent_ours ours;
    const char *(*getenv)(const char *name); /* for ${NAME} in strings and env:NAME; NULL: nothing is set */
    bool check_files;                        /* as in struct config_options, for the Prometheus files */
    bool strict; /* a dimension set of more than 30 names is an error; else it is left out with the agent's warning */
};

/* Reads the sources as one configuration, merged as the agent merges them, and the Prometheus files that it names. In
 * the plan: scrapes of pipeline 0 (logs) and 1 (AMP), cloudwatch, remote_writes, ecs_agent, statsd, emf_input. *debug
 * is agent.debug (agent.quiet wins). Errors as above, each with the file, line and column that it is in. */
enum err config_parse_agent(const struct config_agent_source *sources, uint32_t n, const struct config_agent_options *o,
                            struct plan **out, bool *debug, struct config_errors *errors, struct diag *d) MUST_USE;

/* The sources in `path`: a file, or a directory with what is below it as the agent takes it: in lexical order, but
 * *.yaml and *.tmp, up to the first file that is not JSON (*odd says which and why; its text is empty when there is
 * none). In the arena. NOT_FOUND when there is no such file or directory; none in a directory is OK. */
enum err config_agent_files(const char *path, struct arena *a, struct config_agent_source **out, uint32_t *n,
                            struct diag *odd, struct diag *d) MUST_USE;

#endif

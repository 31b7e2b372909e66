/* agent_int: what the files that read the CloudWatch agent's JSON share. Private to config/.
 *
 * An object's keys are tables, as in reader_int.h, but by the agent's JSON schema: types are JSON's, null is a value of
 * the wrong type, and the errors have the words of the agent's validator.
 */
#ifndef CONFIG_AGENT_INT_H
#define CONFIG_AGENT_INT_H

#include "config/reader_int.h"

enum { AGENT_SECONDS_MAX = 172800 };

struct agent_reader {
    struct reader r;
    const struct config_agent_options *o;
};

enum agent_type { AGENT_ANY, AGENT_STRING, AGENT_BOOL, AGENT_INTEGER, AGENT_OBJECT, AGENT_ARRAY };

typedef void(agent_fn)(struct agent_reader *a, struct node *n, void *out);

struct agent_object;

struct agent_key {
    const char *key;
    enum agent_type type;
    uint32_t min, max;                 /* of a string's length, of an integer; max 0: any */
    agent_fn *read;                    /* given the value when its type is right; NULL: not used */
    const char *refused;               /* why leadline does not take it; NULL: it does */
    size_t offset;                     /* of what `read` gets, in the caller's struct */
    const struct agent_object *object; /* AGENT_OBJECT: its keys, read into the same struct */
};

enum agent_others {
    OTHERS_REFUSED, /* additionalProperties: false */
    OTHERS_IGNORED, /* as the agent does, silently */
    OTHERS_TOLD,    /* the same with a warning: it would be a mistyped key */
};

struct agent_object {
    const struct agent_key *keys;
    size_t n;
    enum agent_others others;
    bool merged;          /* several sources make one, key by key; null is as if it were not there */
    agent_fn *read_other; /* of OTHERS_TOLD: what else to do with such a key; given no struct */
};

#define AGENT_OBJECT_OF(keys_, others_)                                                                                \
    {                                                                                                                  \
        .keys = (keys_), .n = sizeof(keys_) / sizeof((keys_)[0]), .others = (others_)                                  \
    }

/* ---- merging of sources ---- */

/* An entry of a merged object: where it came from. */
struct agent_merged {
    struct node node; /* first: the tree's */
    const char *file;
};

/* Adds what `from`, of the reader's file, says to `into`, all of whose entries are such: nodes of the reader's tree. */
void agent_merge(struct agent_reader *a, struct node *into, const struct node *from, const struct agent_object *o);

/* ---- keys and values ---- */

/* False, with an error, when the value is of another type. */
bool agent_is(struct agent_reader *a, const struct node *n, enum agent_type type);
void agent_read_object(struct agent_reader *a, const struct node *n, const struct agent_object *o, void *out);
const struct agent_key *agent_find_key(const struct agent_object *o, struct str key);
/* As `read` of a key: a string into a struct str, with ${NAME} replaced by the environment. */
agent_fn agent_string, agent_bool, agent_node;

/* Where a value stands; node NULL: it is not there. */
struct agent_at {
    struct node *node;
    const char *file;
};
agent_fn agent_place; /* as `read` of a key: into a struct agent_at */

/* A key of the agent's whose value is kept by its place. */
#define AGENT_PLACED(struct_, key_, type_, min_, max_, member_)                                                        \
    {                                                                                                                  \
        .key = (key_), .type = (type_), .min = (min_), .max = (max_), .read = agent_place,                             \
        .offset = offsetof(struct_, member_)                                                                           \
    }

/* The value, ${NAME} replaced, or what is given for one that is not there. */
struct str agent_text(struct agent_reader *a, struct agent_at at, struct str otherwise);
int64_t agent_number(struct agent_at at, int64_t otherwise);
bool agent_truth(struct agent_at at, bool otherwise);
uint32_t agent_line(struct agent_at at);
/* The environment's variable; empty when it is not set. */
struct str agent_environment(struct agent_reader *a, const char *name);
/* An error or warning at the value, in its file. */
void agent_error(struct agent_reader *a, struct agent_at at, enum err code, const char *fmt, ...) PRINTF_LIKE(4, 5);
void agent_warn(struct agent_reader *a, struct agent_at at, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* An array of `min` to `max` strings of 1 to `longest` characters; in the plan's arena. */
bool agent_strings(struct agent_reader *a, const struct node *n, uint32_t max, uint32_t longest, struct str **out,
                   uint32_t *n_out);
/* Sorted, each once; how many are left. */
uint32_t agent_sort_unique(struct str *v, uint32_t n);
/* Two equal items are an error. */
bool agent_distinct(struct agent_reader *a, const struct node *list);

/* ---- the whole, while it is read ---- */

struct agent_draft {
    /* agent */
    struct agent_at region, role, debug, quiet, omit_hostname, host_name, interval, dual_stack;
    /* logs */
    struct agent_at logs, logs_collected, logs_flush, logs_endpoint, logs_role, log_stream;
    struct agent_at prometheus, config_path, cluster_name, log_group, emf_processor, discovery, no_extraction;
    struct agent_at emf, emf_address;
    /* metrics */
    struct agent_at metrics, metrics_collected, metrics_flush, metrics_endpoint, metrics_role, name_space;
    struct agent_at rollups, appended, destinations, to_cloudwatch, amp, workspace;
    struct agent_at amp_prometheus, amp_config_path;
    struct agent_at statsd, statsd_address, collection, aggregation, pending, separator, drop_original;
};

enum prometheus_to { TO_LOGS = 1, TO_METRICS = 2 };
enum amp_labels { AMP_LABELS_AGENT = 1, AMP_LABELS_PROMETHEUS = 2 };

/* What LEADLINE_* say, read; and what follows from the task and the agent's settings. */
struct agent_settings {
    bool emf_version_1, untyped_as_gauge, first_values, drop_unselected, high_resolution, exact_values;
    enum emf_histograms histograms;
    uint32_t max_metrics;
    int64_t retention_days;
    int prometheus_to, amp_labels; /* bits */
    struct str suffix, shadow_group;
    struct str region, host; /* host: empty when it is left out */
    bool dual_stack;
};

/* agent_ours.c */
void agent_settings_read(struct agent_reader *a, const struct agent_draft *d, struct agent_settings *out);

/* agent_prometheus.c: a file as prometheus_config_path names it, to scrapes of the pipeline; how many. */
uint32_t agent_prometheus_read(struct agent_reader *a, struct agent_at path, const struct embedding *inside);
/* The same for logs.metrics_collected.prometheus, which has a default path. */
uint32_t agent_logs_prometheus_read(struct agent_reader *a, const struct agent_draft *d);

/* agent_emf.c: how the samples of pipeline 0 become events. Not used: what is written is checked, nothing is missed. */
struct plan_emf *agent_emf_read(struct agent_reader *a, const struct agent_draft *d, const struct agent_settings *s,
                                bool used);
/* The same for PutMetricData; NULL, with an error, when it would count twice what `logs` counts. */
struct plan_emf *agent_emf_for_metrics(struct agent_reader *a, const struct agent_draft *d,
                                       const struct agent_settings *s, const struct plan_emf *logs);
/* agent_names.c: false, with an error, for what CloudWatch Logs refuses; a group perhaps with {placeholders}. */
bool agent_check_log_group(struct agent_reader *a, struct agent_at at, struct str group, bool with_placeholders);
bool agent_check_log_stream(struct agent_reader *a, struct agent_at at, struct str stream);

/* agent_push.c: plan.statsd and plan.emf_input. */
void agent_statsd_read(struct agent_reader *a, const struct agent_draft *d, const struct agent_settings *s);
void agent_emf_input_read(struct agent_reader *a, const struct agent_draft *d, const struct agent_settings *s);

/* agent_cloudwatch.c: plan.cloudwatch, by what the plan has so far. `scrapes`: of pipeline 0. */
void agent_cloudwatch_read(struct agent_reader *a, const struct agent_draft *d, const struct agent_settings *s,
                           uint32_t scrapes);
/* agent_amp.c: metrics.metrics_collected.prometheus and the destination that it goes to. */
void agent_amp_read(struct agent_reader *a, const struct agent_draft *d, const struct agent_settings *s);

/* agent_discovery.c: into r.plan->ecs_agent. `region`: of the agent; may be empty. */
void agent_discovery_read(struct agent_reader *a, struct agent_at at, struct str region, bool dual_stack);
/* agent_clusters.c: by sd_target_cluster and sd_cluster_region (empty: not given) and their defaults, or by
 * LEADLINE_ECS_CLUSTERS. `at`: ecs_service_discovery. */
void agent_clusters_read(struct agent_reader *a, const struct node *at, struct str cluster, struct str region,
                         struct plan_ecs_agent_sd *sd);

#endif

/* plan: what to run. Every configuration dialect compiles to this; nothing past config/ knows which one the user wrote.
 *
 * Plain data, immutable once compiled, in an arena of its own, reference-counted, swapped whole at a reload. Strings
 * are views into the arena and NUL-terminated beyond n. Durations in milliseconds, sizes in bytes, 0 = no limit.
 *
 * A plan is a list of pipelines of the simple kind that scraping is: the batches of every scrape pool of a pipeline go
 * to every sink of that pipeline. prometheus.yml is one pipeline; the CloudWatch agent's file may have two.
 */
#ifndef PLAN_PLAN_H
#define PLAN_PLAN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "aws/config.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"
#include "model/label.h"
#include "model/target_group.h"
#include "net/http_options.h"
#include "plan/relabel_rules.h"

enum scrape_protocol {                             /* in the order of Prometheus' names */
                       PROTOCOL_PROTO,             /* PrometheusProto */
                       PROTOCOL_TEXT_0_0_4,        /* PrometheusText0.0.4 */
                       PROTOCOL_TEXT_1_0_0,        /* PrometheusText1.0.0 */
                       PROTOCOL_OPENMETRICS_0_0_1, /* OpenMetricsText0.0.1 */
                       PROTOCOL_OPENMETRICS_1_0_0, /* OpenMetricsText1.0.0 */
                       PROTOCOL_NONE,
};

enum name_validation { NAMES_UTF8, NAMES_LEGACY };
enum name_escaping { ESCAPE_ALLOW_UTF8, ESCAPE_UNDERSCORES, ESCAPE_DOTS, ESCAPE_VALUES };

struct plan_param {
    struct str name;
    struct str *values;
    uint32_t n_values;
};

struct plan_file_sd {
    struct str *files; /* globs, joined to the configuration file's directory as it was given, like the original */
    uint32_t n_files;
    int64_t refresh_ms;
};

struct plan_http_sd {
    struct str url;
    int64_t refresh_ms; /* the request's timeout too */
    struct http_options http;
};

enum dns_sd_type { DNS_SD_SRV, DNS_SD_A, DNS_SD_AAAA, DNS_SD_MX, DNS_SD_NS };

struct plan_dns_sd {
    struct str *names;
    uint32_t n_names;
    enum dns_sd_type type;
    uint16_t port; /* of A, AAAA, MX, NS */
    int64_t refresh_ms;
};

struct plan_filter {
    struct str name;
    struct str *values;
    uint32_t n_values;
};

enum aws_sd_role { AWS_SD_EC2, AWS_SD_ECS };

/* ec2_sd_configs, ecs_sd_configs, and aws_sd_configs with these roles. */
struct plan_aws_sd {
    enum aws_sd_role role;
    struct aws_config aws; /* region empty: found out at start */
    uint16_t port;
    int64_t refresh_ms;
    struct plan_filter *filters; /* ec2 */
    uint32_t n_filters;
    struct str *clusters; /* ecs: names or ARNs; none: all */
    uint32_t n_clusters;
    uint32_t request_concurrency; /* ecs */
    struct http_options http;
};

struct plan_port_list {
    uint16_t *v;
    uint32_t n;
};

/* Containers by name, for tasks whose ports are not in a docker label. */
struct plan_task_containers {
    struct regex *name; /* anchored */
    struct plan_port_list ports;
    struct str metrics_path; /* empty: the job's */
};

/* ecs_task_sd_configs (ours): the containers of the task in which leadline runs, from the task metadata endpoint. */
struct plan_ecs_task_sd {
    int64_t refresh_ms;
    struct str port_label, metrics_path_label; /* docker labels */
    struct plan_task_containers *containers;
    uint32_t n_containers;
};

enum cloudmap_health { CLOUDMAP_ALL, CLOUDMAP_HEALTHY, CLOUDMAP_UNHEALTHY, CLOUDMAP_HEALTHY_OR_ALL };

/* cloudmap_sd_configs (ours), and the sidecar's discovery. */
struct plan_cloudmap_sd {
    struct aws_config aws;
    int64_t refresh_ms;
    struct str *namespaces; /* names */
    uint32_t n_namespaces;
    bool discover;               /* by DiscoverInstances, with `health`; else by ListInstances */
    enum cloudmap_health health; /* of `discover` */
    bool instance_without_port;  /* the label `instance` is the address alone, as the sidecar writes it */
    uint32_t request_concurrency;
};

/* A cluster to discover in, for the CloudWatch agent's ecs_service_discovery: the one of its file, or several of ours.
 */
struct plan_ecs_cluster {
    struct str name; /* or ARN */
    struct aws_config aws;
};

/* An entry of task_definition_list or service_name_list_for_tasks. */
struct plan_ecs_match {
    struct str pattern_text;         /* as written, for messages */
    struct regex *pattern;           /* searched: not anchored */
    struct regex *container_pattern; /* NULL: any container */
    struct plan_port_list ports;
    struct str metrics_path, job_name; /* empty: none */
};

/* ecs_service_discovery of the CloudWatch agent. */
struct plan_ecs_agent_sd {
    int64_t frequency_ms;
    struct plan_ecs_cluster *clusters;
    uint32_t n_clusters;
    struct str result_file;
    bool by_docker_label;
    struct str port_label, metrics_path_label, job_name_label;
    struct plan_ecs_match *definitions, *services;
    uint32_t n_definitions, n_services;
};

struct plan_discovery {
    struct target_group *static_groups; /* static_configs; source "0", "1", ... */
    uint32_t n_static;
    struct plan_file_sd *file_sd;
    uint32_t n_file_sd;
    struct plan_http_sd *http_sd;
    uint32_t n_http_sd;
    struct plan_dns_sd *dns_sd;
    uint32_t n_dns_sd;
    struct plan_aws_sd *aws_sd;
    uint32_t n_aws_sd;
    struct plan_ecs_task_sd *ecs_task_sd;
    uint32_t n_ecs_task_sd;
    struct plan_cloudmap_sd *cloudmap_sd;
    uint32_t n_cloudmap_sd;
};

enum { PIPELINES_MAX = 8 };

struct plan_scrape {
    struct str job_name;
    uint32_t pipeline; /* below PIPELINES_MAX; pools are known by pipeline and job */
    bool honor_labels, honor_timestamps, track_timestamps_staleness;
    bool enable_compression;
    struct plan_param *params;
    uint32_t n_params;
    int64_t interval_ms, timeout_ms;
    enum scrape_protocol protocols[5]; /* in order of preference */
    uint32_t n_protocols;
    enum scrape_protocol fallback_protocol; /* PROTOCOL_NONE: none */
    struct str metrics_path, scheme;
    uint64_t body_size_limit, sample_limit, target_limit, label_limit, label_name_length_limit,
        label_value_length_limit, keep_dropped_targets;
    enum name_validation name_validation;
    enum name_escaping name_escaping;
    bool extra_scrape_metrics;
    bool scrape_native_histograms, always_scrape_classic_histograms, convert_classic_histograms_to_nhcb;
    uint64_t native_histogram_bucket_limit;
    double native_histogram_min_bucket_factor;      /* 0: none */
    struct str scrape_failure_log_file;             /* empty: none */
    uint64_t series_limit;                          /* ours: series of a target in 24 hours, more are dropped */
    struct relabel_rules *relabel, *metric_relabel; /* NULL: none */
    struct http_options http;
    struct plan_discovery discovery;
    uint64_t shape_hash; /* of what makes a metric's form: honor_labels, metric_relabel, validation ... */
    uint32_t line;       /* in the file that it came from, for messages */
    struct str file;
};

struct plan_queue {
    uint32_t capacity, max_shards, min_shards, max_samples_per_send;
    int64_t batch_send_deadline_ms, min_backoff_ms, max_backoff_ms, sample_age_limit_ms;
    bool retry_on_http_429;
    bool retry_on_http_429_set; /* an explicit false is honoured; unset means true (docs/compatibility.md) */
};

enum remote_write_message { REMOTE_WRITE_1, REMOTE_WRITE_2 }; /* protobuf_message */

struct plan_remote_write {
    uint32_t pipelines; /* bit per pipeline whose batches it gets; 0: all */
    struct str name; /* as configured, else the first six hex digits of the hash, as Prometheus names queues */
    bool named;
    struct str url;
    struct http_options http;
    int64_t remote_timeout_ms;
    struct relabel_rules *write_relabel;
    struct plan_queue queue;
    enum remote_write_message message;
    bool send_exemplars, send_native_histograms, round_robin_dns;
    struct aws_config *sigv4; /* NULL: not signed */
    bool metadata_send;
    int64_t metadata_interval_ms;
    uint32_t metadata_max_samples_per_send;
    uint64_t hash;       /* of everything that makes it this destination */
    uint64_t shape_hash; /* of write_relabel */
    uint32_t line;
};

/* ---- CloudWatch ---- */

/* A set of label names that become dimensions together: sorted, unique, at most 30; none: no dimensions. */
struct plan_dimensions {
    struct str *names;
    uint32_t n;
    uint32_t line, column;
};

/* metric_declaration of the CloudWatch agent's emf_processor. */
struct plan_emf_declaration {
    struct str *source_labels;
    uint32_t n_source_labels;
    struct regex *label_matcher; /* searched in the values joined with ';': not anchored */
    struct regex **selectors;    /* searched in the metric's name; any */
    uint32_t n_selectors;
    struct plan_dimensions *dimensions;
    uint32_t n_dimensions;
    struct str label_matcher_text, *selector_texts; /* as written */
    uint32_t line;
};

struct plan_unit {
    struct str metric, unit; /* one of CloudWatch's 27 */
};

enum emf_histograms { EMF_HISTOGRAMS_NONE, EMF_HISTOGRAMS_SUM_COUNT, EMF_HISTOGRAMS_BUCKETS };

/* How scraped samples become performance log events, or data of PutMetricData. */
struct plan_emf {
    struct str cluster_name; /* label ClusterName of what has none; empty: none */
    struct str host;         /* label host; empty: none */
    struct str log_group;    /* with {placeholders} */
    struct str log_stream;   /* "{JobName}" */
    struct str name_space;   /* with the suffix of a shadow run */
    struct plan_unit *units; /* sorted by metric */
    uint32_t n_units;
    struct plan_emf_declaration *declarations; /* none: events without directives */
    uint32_t n_declarations;
    uint32_t n_oversized; /* dimension sets with more than 30 names, left out with a warning: `check` fails on them */
    bool no_directives;   /* disable_metric_extraction */
    /* Ours, off until asked for. */
    bool version_1; /* `_aws` in place of the top-level CloudWatchMetrics */
    enum emf_histograms histograms;
    bool untyped_as_gauge, first_values, drop_unselected;
    bool high_resolution;   /* StorageResolution 1 */
    uint32_t max_metrics;   /* unique metrics of a declaration; 0: no limit */
    uint64_t shape_hash;    /* of everything above */
};

enum cloudwatch_kind { CLOUDWATCH_LOGS, CLOUDWATCH_METRICS };

/* CloudWatch Logs, or PutMetricData, as a destination: of a pipeline's batches, of finished log events, of data. */
struct plan_cloudwatch {
    enum cloudwatch_kind kind;
    struct str name;       /* "logs", "metrics": for pages and the spool's directory */
    struct aws_config aws; /* region, role, endpoint */
    bool dual_stack;
    struct plan_emf *emf;     /* NULL: gets no batches */
    uint32_t pipelines;       /* bit per pipeline whose batches it gets */
    int64_t flush_ms;         /* force_flush_interval */
    struct str name_space;    /* of data that come without one: "CWAgent" */
    int64_t retention_days;   /* of log groups that it creates; 0: never expires */
    struct plan_dimensions *rollups; /* aggregation_dimensions: of data; each adds a datum */
    uint32_t n_rollups;
    struct str *drop_original; /* names of data whose own datum is not sent beside rollups, sorted */
    uint32_t n_drop_original;
    uint64_t hash; /* of everything that makes it this destination: what it is, region, role, endpoint */
    uint32_t line;
};

/* metrics.metrics_collected.statsd of the CloudWatch agent. */
struct plan_statsd {
    struct str address; /* ":8125" */
    int64_t collection_ms;  /* metrics_collection_interval */
    int64_t aggregation_ms; /* metrics_aggregation_interval; 0: off */
    uint32_t pending;       /* allowed_pending_messages */
    struct str separator;   /* metric_separator */
    struct str host;        /* dimension; empty: none */
    bool exact_values;      /* ours: Values as observed, not the centres of the agent's buckets */
    uint32_t line;
};

/* logs.metrics_collected.emf of the CloudWatch agent. */
struct plan_emf_input {
    struct str tcp, udp;      /* addresses, "0.0.0.0:25888"; empty: not opened */
    struct str log_group;     /* ours: of events that name none; empty: they are dropped, counted and logged */
    struct str shadow_group;  /* ours: in the place of the group that an event names; empty: none */
    struct str log_stream;    /* of events that name none */
    uint32_t line;
};

struct plan_release {
    void (*fn)(void *p);
    void *p;
    struct plan_release *next;
};

struct plan {
    _Atomic uint32_t refs;
    struct arena arena;
    struct plan_release *releases; /* what needs more than the arena: compiled regular expressions */

    struct labels external_labels;                 /* expanded, sorted, without empty values */
    int64_t scrape_interval_ms, scrape_timeout_ms; /* global */
    struct plan_scrape *scrapes;
    uint32_t n_scrapes;
    struct plan_remote_write *remote_writes;
    uint32_t n_remote_writes;
    struct plan_cloudwatch *cloudwatch;
    uint32_t n_cloudwatch;
    struct plan_ecs_agent_sd *ecs_agent; /* of the CloudWatch agent's file; NULL: none */
    struct plan_statsd *statsd;          /* to the destination of kind METRICS; NULL: none */
    struct plan_emf_input *emf_input;    /* to the destination of kind LOGS; NULL: none */
    struct str config_yaml;              /* the file as read, secrets replaced by <secret>: /api/v1/status/config */
    struct str *warnings;                /* what the original would do silently, in one line each */
    uint32_t n_warnings;
};

struct plan *plan_new(void); /* one reference */
struct plan *plan_ref(struct plan *p);
void plan_unref(struct plan *p); /* any thread; the last one frees */
/* Runs fn(ptr) when the plan goes. */
void plan_on_release(struct plan *p, void (*fn)(void *), void *ptr);
/* For people: the plan as a tree, one line per fact, secrets left out; then the warnings. */
void plan_print(const struct plan *p, struct buf *out);

#endif

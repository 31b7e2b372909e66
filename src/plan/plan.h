/* plan: what to run. Every configuration dialect compiles to this; nothing past config/ knows which one the user wrote.
 *
 * Plain data, immutable once compiled, in an arena of its own, reference-counted, swapped whole at a reload. Strings
 * are views into the arena and NUL-terminated beyond n. Durations in milliseconds, sizes in bytes, 0 = no limit.
 *
 * A plan is a list of pipelines of the simple kind that scraping is: every scrape pool's batches go to every sink.
 */
#ifndef PLAN_PLAN_H
#define PLAN_PLAN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

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

struct plan_discovery {
    struct target_group *static_groups; /* static_configs; source "0", "1", ... */
    uint32_t n_static;
    struct plan_file_sd *file_sd;
    uint32_t n_file_sd;
};

struct plan_scrape {
    struct str job_name;
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

struct plan_remote_write {
    struct str name; /* as configured, else the first six hex digits of the hash, as Prometheus names queues */
    bool named;
    struct str url;
    struct http_options http;
    int64_t remote_timeout_ms;
    struct relabel_rules *write_relabel;
    struct plan_queue queue;
    bool metadata_send;
    int64_t metadata_interval_ms;
    uint32_t metadata_max_samples_per_send;
    uint64_t hash;       /* of everything that makes it this destination */
    uint64_t shape_hash; /* of write_relabel */
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
    struct str config_yaml; /* the file as read, secrets replaced by <secret>: /api/v1/status/config */
    struct str *warnings;   /* what the original would do silently, in one line each */
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

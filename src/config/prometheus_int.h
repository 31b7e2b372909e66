/* prometheus_int: the sections of prometheus.yml. Private to config/. */
#ifndef CONFIG_PROMETHEUS_INT_H
#define CONFIG_PROMETHEUS_INT_H

#include "config/reader_int.h"

/* What `global` says, the defaults filled in: what a scrape configuration falls back to. */
struct global {
    int64_t scrape_interval_ms, scrape_timeout_ms;
    enum scrape_protocol protocols[5];
    uint32_t n_protocols; /* 0: unset */
    uint64_t body_size_limit, sample_limit, target_limit, label_limit, label_name_length_limit,
        label_value_length_limit, keep_dropped_targets;
    struct str validation, escaping;
    int8_t extra_scrape_metrics, scrape_native_histograms; /* -1: unset */
    bool always_scrape_classic_histograms, convert_classic_histograms_to_nhcb;
    struct str scrape_failure_log_file;
};

/* An HTTP client block while it is read: what is set matters for what excludes what. */
struct http_draft {
    struct http_options options;
    struct node *basic_auth, *authorization, *oauth2, *proxy_url; /* NULL: unset or null */
    struct node *connect_header;                                  /* NULL: none in it */
    struct str bearer_token, bearer_token_file;
};

/* Of struct http_draft, to be inlined: the whole block, and its proxy's keys alone. */
extern const struct schema http_schema, http_proxy_schema;
void http_proxy_validate(struct reader *r, const struct node *mapping, const struct http_draft *d);
field_fn http_tls_read; /* of struct tls_options */
field_fn oauth2_read;   /* of struct http_draft */
void oauth2_validate(struct reader *r, const struct node *n, const struct oauth2_options *o);
/* Fields of *_ref. */
#define REF_TEXT "there is no secret manager; give the value or a file"

void http_draft_init(struct http_draft *d, bool enable_http2);
/* Checks what excludes what in the mapping and hands the options out. */
void http_draft_finish(struct reader *r, struct node *mapping, struct http_draft *d, struct http_options *out);
/* Adds one header; `value` is the plan's. */
void http_add_header(struct reader *r, struct http_options *o, struct str name, struct str value, bool secret);

/* `what` is the original's name of the place: "target relabeling rule in scrape config". NULL: no rules. */
struct relabel_rules *relabel_read(struct reader *r, struct node *list, bool legacy_names, const char *what);
/* The rules of a job with those of --shard behind them; `rules` may be NULL, and is given back without --shard. */
struct relabel_rules *relabel_add_shard(struct reader *r, struct relabel_rules *rules, const struct node *at);
/* A canonical print, for hashes. */
void relabel_print(const struct relabel_rules *rules, struct buf *out);

/* What finds targets. check_hosts: the original refuses URLs as targets when nothing relabels them. */
struct discovery_nodes {
    struct node *static_configs, *file_sd, *http_sd, *dns_sd, *ec2_sd, *ecs_sd, *aws_sd, *ecs_task_sd, *cloudmap_sd;
};
extern const struct schema discovery_schema; /* of struct discovery_nodes, to be inlined */
void discovery_read(struct reader *r, const struct discovery_nodes *nodes, bool check_hosts, struct str job,
                    struct plan_discovery *out);
/* A duration of 0, with which the original ends itself, becomes the default with a warning. */
void refresh_read(struct reader *r, const struct node *n, int64_t default_ms, int64_t *refresh_ms);
/* False, with an error, when it is no port. */
bool port_check(struct reader *r, const struct node *mapping, int64_t port, uint16_t *out);

/* One element of ec2_sd_configs, ecs_sd_configs and aws_sd_configs; false when it is not usable. */
bool ec2_sd_read(struct reader *r, struct node *n, struct plan_aws_sd *out);
bool ecs_sd_read(struct reader *r, struct node *n, struct plan_aws_sd *out);
bool aws_sd_read(struct reader *r, struct node *n, struct plan_aws_sd *out);
/* Of ecs_task_sd_configs and cloudmap_sd_configs, which the original does not have. */
bool ecs_task_sd_read(struct reader *r, struct node *n, struct plan_ecs_task_sd *out);
bool cloudmap_sd_read(struct reader *r, struct node *n, struct plan_cloudmap_sd *out);
void sigv4_read(struct reader *r, struct node *n, struct aws_config *out);

/* A mapping of label names and values, sorted. */
void labels_read(struct reader *r, struct node *n, bool check_names, struct labels *out);

/* One element of scrape_configs; false when it is not usable. */
bool scrape_read(struct reader *r, struct node *n, const struct global *g, struct plan_scrape *out);
/* A list of scrape_protocols: how many of them leadline reads; 0 with an error. `where` ends its message. */
uint32_t scrape_protocols_read(struct reader *r, struct node *list, const char *where, enum scrape_protocol out[5]);
/* "", "utf8" or "legacy"; false for anything else, which is an error. */
bool scrape_validation(struct reader *r, struct node *n, struct str *out);

/* What only a server uses: storage, tracing, otlp, remote_read, alerting, rule_files; and runtime. */
struct server_nodes {
    struct node *storage, *otlp, *remote_read, *alerting, *rule_files, *runtime;
};
extern const struct schema server_schema; /* of struct server_nodes, to be inlined */
void server_read(struct reader *r, const struct server_nodes *nodes, bool legacy_names);
/* `headers` of remote_write and remote_read: a mapping of fields, some of which are not the user's to set. `options`
 * NULL: only checked. */
void request_headers_read(struct reader *r, struct node *n, struct http_options *options);

void remote_writes_read(struct reader *r, struct node *list, bool legacy_names);

/* Reads a Prometheus file into the plan of another program's configuration, as far as it is about scraping; errors and
 * warnings name it. text.p NULL: from the file `name`, whose directory relative paths start from. */
void prometheus_read_embedded(const struct reader *outer, const struct embedding *inside, struct str text,
                              const char *name, const char *directory, uint32_t *cap_warnings);

#endif

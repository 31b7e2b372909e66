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
    int8_t extra_scrape_metrics;
};

/* An HTTP client block while it is read: what is set matters for what excludes what. */
struct http_draft {
    struct http_options options;
    struct node *basic_auth, *authorization, *proxy_url; /* NULL: unset or null */
    struct str bearer_token, bearer_token_file;
};

extern const struct schema http_schema; /* of struct http_draft, to be inlined */

void http_draft_init(struct http_draft *d, bool enable_http2);
/* Checks what excludes what in the mapping and hands the options out. */
void http_draft_finish(struct reader *r, struct node *mapping, struct http_draft *d, struct http_options *out);
/* Adds one header; `value` is the plan's. */
void http_add_header(struct reader *r, struct http_options *o, struct str name, struct str value, bool secret);

/* `what` is the original's name of the place: "target relabeling rule in scrape config". NULL: no rules. */
struct relabel_rules *relabel_read(struct reader *r, struct node *list, bool legacy_names, const char *what);
/* A canonical print, for hashes. */
void relabel_print(const struct relabel_rules *rules, struct buf *out);

/* Static groups and file_sd_configs. check_hosts: the original refuses URLs as targets when nothing relabels them. */
void discovery_read(struct reader *r, struct node *static_configs, struct node *file_sd, bool check_hosts,
                    struct str job, struct plan_discovery *out);
extern const struct schema discovery_schema; /* of struct discovery_nodes, to be inlined */
struct discovery_nodes {
    struct node *static_configs, *file_sd;
};
/* A mapping of label names and values, sorted. */
void labels_read(struct reader *r, struct node *n, bool check_names, struct labels *out);

/* One element of scrape_configs; false when it is not usable. */
bool scrape_read(struct reader *r, struct node *n, const struct global *g, struct plan_scrape *out);
/* A list of scrape_protocols: how many of them leadline reads; 0 with an error. `where` ends its message. */
uint32_t scrape_protocols_read(struct reader *r, struct node *list, const char *where, enum scrape_protocol out[5]);
/* "", "utf8" or "legacy"; false for anything else, which is an error. */
bool scrape_validation(struct reader *r, struct node *n, struct str *out);

void remote_writes_read(struct reader *r, struct node *list, bool legacy_names);

#endif

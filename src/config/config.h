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

#endif

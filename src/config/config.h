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

struct config_agent_options {
    struct str cluster, region;              /* of leadline's own task; empty: unknown */
    const char *clusters;                    /* LEADLINE_ECS_CLUSTERS; NULL: none */
    const char *(*getenv)(const char *name); /* for ${NAME} in strings; NULL: nothing is set */
};

/* Reads the sources as one configuration, merged as the agent merges them. In the plan, ecs_agent is NULL when they ask
 * for no discovery. *debug is agent.debug. Errors as above. */
enum err config_parse_agent(const struct config_agent_source *sources, uint32_t n,
                            const struct config_agent_options *o, struct plan **out, bool *debug,
                            struct config_errors *errors, struct diag *d) MUST_USE;

/* The sources in `path`: a file, or a directory with what is below it as the agent takes it: in lexical order, but
 * *.yaml and *.tmp, up to the first file that is not JSON (*odd says which and why; its text is empty when there is
 * none). In the arena. NOT_FOUND when there is no such file or directory; none in a directory is OK. */
enum err config_agent_files(const char *path, struct arena *a, struct config_agent_source **out, uint32_t *n,
                            struct diag *odd, struct diag *d) MUST_USE;

#endif

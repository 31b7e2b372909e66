/* agent_int: what the files that read the CloudWatch agent's JSON share. Private to config/.
 *
 * An object's keys are tables, as in reader_int.h, but by the agent's JSON schema: types are JSON's, null is a value of
 * the wrong type, and the errors have the words of the agent's validator.
 */
#ifndef CONFIG_AGENT_INT_H
#define CONFIG_AGENT_INT_H

#include "config/reader_int.h"

struct agent_reader {
    struct reader r;
    const struct config_agent_options *o;
};

enum agent_type { AGENT_ANY, AGENT_STRING, AGENT_BOOL, AGENT_INTEGER, AGENT_OBJECT, AGENT_ARRAY };

typedef void(agent_fn)(struct agent_reader *a, struct node *n, void *out);

struct agent_key {
    const char *key;
    enum agent_type type;
    uint32_t min, max;   /* of a string's length, of an integer; max 0: any */
    agent_fn *read;      /* given the value when its type is right; NULL: not used */
    const char *refused; /* why leadline does not take it; NULL: it does */
    size_t offset;       /* of what `read` gets, in the caller's struct */
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
};

#define AGENT_OBJECT_OF(keys_, others_)                                                                                \
    {                                                                                                                  \
        .keys = (keys_), .n = sizeof(keys_) / sizeof((keys_)[0]), .others = (others_)                                  \
    }

/* False, with an error, when the value is of another type. */
bool agent_is(struct agent_reader *a, const struct node *n, enum agent_type type);
void agent_read_object(struct agent_reader *a, const struct node *n, const struct agent_object *o, void *out);
/* As `read` of a key: a string into a struct str, with ${NAME} replaced by the environment. */
agent_fn agent_string, agent_bool, agent_node;

/* What stands beside ecs_service_discovery and matters to it. */
struct agent_surroundings {
    struct str region; /* agent.region, or empty */
};

/* agent_discovery.c: into r.plan->ecs_agent. */
void agent_discovery_read(struct agent_reader *a, struct node *n, const struct agent_surroundings *around);
/* agent_clusters.c: by sd_target_cluster and sd_cluster_region (empty: not given) and their defaults, or by
 * LEADLINE_ECS_CLUSTERS. `at`: ecs_service_discovery. */
void agent_clusters_read(struct agent_reader *a, const struct node *at, struct str cluster, struct str region,
                         struct plan_ecs_agent_sd *sd);

#endif

/* iam_int: facts about actions, and the collection of what each identity may do. */
#ifndef RUN_IAM_INT_H
#define RUN_IAM_INT_H

#include "run/iam.h"

enum iam_action {
    IAM_REMOTE_WRITE,
    IAM_LIST_CLUSTERS,
    IAM_DESCRIBE_DEFINITION,
    IAM_DESCRIBE_CLUSTERS,
    IAM_LIST_TASKS,
    IAM_DESCRIBE_CONTAINER_INSTANCES,
    IAM_DESCRIBE_TASKS,
    IAM_LIST_ECS_SERVICES,
    IAM_DESCRIBE_ECS_SERVICES,
    IAM_DESCRIBE_INSTANCES,
    IAM_DESCRIBE_ZONES,
    IAM_DESCRIBE_INTERFACES,
    IAM_LIST_NAMESPACES,
    IAM_LIST_SERVICES,
    IAM_LIST_TAGS,
    IAM_LIST_INSTANCES,
    IAM_DISCOVER_INSTANCES,
    IAM_DISCOVER_REVISION,
    IAM_CREATE_LOG_GROUP,
    IAM_CREATE_LOG_STREAM,
    IAM_PUT_LOG_EVENTS,
    IAM_PUT_RETENTION,
    IAM_PUT_METRIC_DATA,
    IAM_GET_PARAMETER,
    IAM_ASSUME_ROLE,
    IAM_TAG_SESSION,
    IAM_ACTIONS,
};

/* What IAM lets a policy say about an action. */
struct iam_fact {
    const char *name;     /* "ecs:ListTasks" */
    const char *sid;      /* of a statement that begins with it */
    bool any_resource;    /* only "*" is taken */
    const char *key;      /* condition key that leadline uses; NULL: none, or none of use */
    const char *operator; /* that goes with it */
};
extern const struct iam_fact iam_facts[IAM_ACTIONS];

/* One thing that is allowed: under a condition where value is not empty. */
struct iam_grant {
    enum iam_action action;
    struct str resource, value;
};

/* What one identity may do. */
struct iam_identity {
    struct iam_document document;
    bool assumed;
    struct iam_grant *grants;
    uint32_t n;
    size_t cap;
};

/* The resource is "*" where the action takes no other. */
void iam_allow(struct iam_identity *i, enum iam_action action, struct str resource, struct str value);
void iam_print(const struct iam_identity *i, struct arena *a, struct buf *out);

#endif

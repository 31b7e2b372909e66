/* iam: the smallest IAM policies that let a plan do what it does at AWS, for `leadline check iam`. Pure: nobody is
 * asked. Facts: Service Authorization Reference (actions, resource types, condition keys of each service).
 *
 * A document for each identity that speaks: the task's role, a profile or an access key where the configuration names
 * one, and every role that is assumed on top of them.
 */
#ifndef RUN_IAM_H
#define RUN_IAM_H

#include "base/arena.h"
#include "base/buf.h"
#include "plan/plan.h"

struct iam_options {
    struct str region;  /* where the configuration names none; empty: "*" */
    struct str account; /* where the configuration names none; empty: "*" */
    bool fargate;       /* no task runs on EC2 instances: leave out what only those need */
};

struct iam_document {
    struct str name;  /* "task", "profile X", "access key ****WXYZ", or the ARN of a role that is assumed */
    struct str about; /* for people: "what the task's role needs" */
    struct str json;  /* the policy, indented, with a newline at the end */
};

/* In an arena of the caller, views of the plan included. */
struct iam_policies {
    struct iam_document *documents; /* in the order of their first use; the assumed roles behind the others */
    uint32_t n_documents;
    struct str *notes; /* what no policy can say, a line each */
    uint32_t n_notes;
};

void iam_of_plan(const struct plan *plan, const struct iam_options *o, struct arena *a, struct iam_policies *out);

/* The cloudmap-sd sidecar: its parameters of Systems Manager and what they name in Cloud Map. */
struct iam_sidecar {
    struct str region;
    const struct str *parameters; /* names or ARNs */
    uint32_t n_parameters;
};
void iam_of_sidecar(const struct iam_sidecar *s, const struct iam_options *o, struct arena *a,
                    struct iam_policies *out);

#endif

/* config: who asks AWS, where, and as whom: plain data from a configuration. Views outlive the user (plan memory).
 * What is empty is found out as the AWS SDKs do: environment, profile files, task or instance metadata.
 */
#ifndef AWS_CONFIG_H
#define AWS_CONFIG_H

#include <stdbool.h>

#include "base/str.h"

struct aws_tag {
    struct str key, value;
};

struct aws_config {
    struct str region;
    struct str profile;
    struct str access_key, secret_key; /* both or none */
    struct str role_arn, external_id;  /* assumed on top of the credentials found */
    struct str role_session_name;      /* of that role; empty: made up */
    struct aws_tag *tags;              /* of that session */
    int n_tags;
    struct str endpoint;               /* of the service itself, a URL; beats the environment's */
    struct str service;                /* the name signed for, of remote write: "aps" when empty */
    bool use_fips_sts_endpoint;
    bool dual_stack; /* as AWS_USE_DUALSTACK_ENDPOINT=true */
};

#endif

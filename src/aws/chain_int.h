/* chain: which credentials this process is meant to use, decided from configuration, environment and profile files
 * alone. Pure: nothing is asked, no file is opened; fetch.c then does what the plan says.
 *
 * A plan is one source of keys and the roles that are assumed on top of them, in order. As in aws-sdk-go-v2, the first
 * source that is configured is the one: when it then fails, that is an error, and nothing behind it is tried.
 */
#ifndef AWS_CHAIN_INT_H
#define AWS_CHAIN_INT_H

#include "aws/aws_int.h"
#include "aws/profile_int.h"

enum { CHAIN_MAX_ROLES = 16, CHAIN_STEPS = 7 };

enum chain_source {
    CHAIN_NOTHING, /* nothing is configured, and instance metadata is switched off */
    CHAIN_KEYS,
    CHAIN_WEB_IDENTITY,
    CHAIN_SSO,
    CHAIN_PROCESS,
    CHAIN_CONTAINER,
    CHAIN_IMDS,
};

struct chain_role {
    struct str role_arn, external_id;
    struct str session_name; /* empty: one is made up */
    int64_t duration_s;      /* 0: what the service gives */
    const struct aws_tag *tags;
    int n_tags;
};

struct chain_keys {
    struct str access_key, secret_key, session_token, account;
};

struct chain_sso {
    struct str session; /* its token file is named after it; empty: the old form, named after the start URL */
    struct str start_url, region, account_id, role_name;
};

struct chain_container {
    struct str url;
    bool relative;                /* made from the relative variable: the host is the agent's own */
    struct str token_file, token; /* the file beats the text */
};

struct chain_imds {
    struct str url; /* without a slash at the end */
    bool v1_disabled;
};

struct chain {
    enum chain_source source;
    struct str name; /* of the source, for people */
    struct chain_keys keys;
    struct chain_role web; /* CHAIN_WEB_IDENTITY: of this role, by the token in that file */
    struct str token_file;
    struct chain_sso sso;
    struct str command; /* CHAIN_PROCESS */
    struct chain_container container;
    struct chain_imds imds; /* also for the region; url empty: switched off */
    struct chain_role roles[CHAIN_MAX_ROLES];
    uint32_t n_roles;

    struct str profile;               /* the name in force */
    struct str region, region_source; /* region empty: task metadata and instance metadata are left to ask */
    struct aws_step steps[CHAIN_STEPS];
    uint32_t n_steps, used; /* used: the step that `source` belongs to; n_steps: none */
};

struct chain_input {
    const struct aws_config *config;
    const struct aws_env *env;
    const struct profiles *profiles;
    struct str files; /* what was read, for messages: "~/.aws/config, ~/.aws/credentials" */
};

/* Strings are in the arena, the input's or static. On failure the steps are filled all the same. */
enum err chain_plan(const struct chain_input *in, struct arena *a, struct chain *out, struct diag *d) MUST_USE;

/* "true" in any case, as the SDKs read switches. */
bool chain_is_true(struct str s);

#endif

/* aws_int: what the two halves of aws/ share. Control loop only.
 *
 *   sessions    aws.c, session.c and the providers: configuration, profile, region, credentials and their refresh
 *   calls       call.c and what stands beneath it: endpoints, signatures, retries, clock skew, errors
 *
 * Sessions use calls and not the other way round: a session opens its `struct aws_calls` when it has read its profile,
 * and tells it the credentials at each change. The chain's own questions (STS, SSO) go through the same object with
 * credentials of their own.
 */
#ifndef AWS_AWS_INT_H
#define AWS_AWS_INT_H

#include "aws/aws.h"
#include "base/arena.h"

struct aws_calls;
struct aws_skews;

struct aws {
    struct aws_env env;
    struct aws_skews *skews; /* aws_skews_new in aws_new, aws_skews_free in aws_free: shared by all sessions */
    struct aws_session *sessions;
};

struct aws_session {
    struct aws *aws;
    struct aws_calls *calls;
    struct aws_session *next; /* of aws->sessions */
    uint32_t refs;
};

/* A variable of the environment; empty ones are unset. */
struct str aws_getenv(const struct aws_env *env, const char *name);

/* What is in use now; NULL: none yet, or none any more. Borrowed. */
struct aws_credentials *aws_session_current(const struct aws_session *s);

/* ---- calls (call.c) ---- */

/* Where calls come from. Views and ctx outlive the aws_calls. Functions may be NULL. */
struct aws_calls_from {
    const struct aws_env *env;
    struct aws_skews *skews;
    struct str region; /* may be empty: then calls without an endpoint of their own fail and say so */
    struct str
        endpoint; /* of the configuration (aws_config.endpoint); replaces that of every service but STS and SSO */
    bool dual_stack; /* of the configuration, beside environment and profile */
    /* A key of the session's profile ("use_fips_endpoint"); empty when absent. */
    struct str (*profile)(void *ctx, const char *key);
    /* A key of a block in the section that the profile's `services` names ("cloudwatch_logs", "endpoint_url"). */
    struct str (*profile_service)(void *ctx, const char *service, const char *key);
    /* A destination said that the credentials are expired or unknown: aws_calls_credentials is expected, soon. */
    void (*refused)(void *ctx);
    void *ctx;
};

/* Reads what environment and profile say about calls: FIPS, dual stack, endpoints, CA bundle, retry mode, attempts.
 * What cannot be understood is an error that names the variable or key. */
enum err aws_calls_new(const struct aws_calls_from *from, struct aws_calls **out, struct diag *d) MUST_USE;
void aws_calls_free(struct aws_calls *calls); /* NULL is fine; calls that still run are forgotten, done is not called */
/* When the region became known later. The view outlives the aws_calls. */
void aws_calls_region(struct aws_calls *calls, struct str region);
/* At each change; takes a reference. Calls that waited go out. NULL and a diag: they fail with its words. */
void aws_calls_credentials(struct aws_calls *calls, struct aws_credentials *c, const struct diag *d);
/* What aws_call_start does: signed with the current credentials; waits for them inside its timeout. */
void aws_calls_start(struct aws_calls *calls, struct aws_call *c);
/* For the chain: signed with these (not waited for, not refreshed). They may be NULL when c->is_unsigned. */
void aws_calls_start_as(struct aws_calls *calls, struct aws_call *c, struct aws_credentials *credentials);
void aws_calls_cancel(struct aws_calls *calls, struct aws_call *c);
void aws_calls_forget_http(struct aws_calls *calls, const struct http_options *http);
/* For requests that the chain makes by itself: AWS_CA_BUNDLE and the environment's proxies. Lives as long as calls. */
const struct http_options *aws_calls_http_options(const struct aws_calls *calls);
/* The URL a call to this service goes to, by configuration, environment, profile or the partition's rules. */
enum err aws_calls_endpoint(const struct aws_calls *calls, const struct aws_service *service, struct buf *out,
                            struct diag *d) MUST_USE;

extern const struct aws_service aws_servicediscovery_data, aws_sso, aws_sso_oidc, aws_signin;

/* ---- errors (error.c), pure ---- */

/* The code and message of an error answer: headers, JSON or XML. Views point into text, which is appended to. A body
 * that cannot be read gives the status as code and no message. Codes are printable ASCII without namespace and URL. */
struct aws_error {
    struct str code, message, request_id;
};
void aws_error_parse(enum aws_protocol protocol, int status, const struct http_header *headers, int n_headers,
                     struct str body, struct buf *text, struct aws_error *out);
/* service may be NULL. */
bool aws_error_is_throttling(const struct aws_service *service, struct str code, int status);
bool aws_error_is_transient(struct str code, int status);
bool aws_error_is_refused(struct str code); /* the token is expired or the key unknown: other credentials may help */
bool aws_error_is_skew(struct str code);    /* may come from a wrong clock */

/* ---- clock skew (skew.c) ---- */

struct aws_skews *aws_skews_new(struct log *log, struct counters *counters);
void aws_skews_free(struct aws_skews *skews); /* NULL is fine */
/* What to add to the local clock when signing for this host: 0 until something else was seen. */
int64_t aws_skew_of(const struct aws_skews *skews, struct str host);
/* A signature, made with used_ms, was refused with a code that aws_error_is_skew; the answer's Date, the local time of
 * its receipt, and how long it took. True when the clock was wrong by more than 4 minutes: worth signing again. */
bool aws_skew_seen(struct aws_skews *skews, struct str host, struct str date, int64_t wall_ms, uint64_t took_ms,
                   int64_t used_ms);
/* The same without a memory, any thread: *skew_ms is set when it returns true. */
bool aws_skew_measure(struct str date, int64_t wall_ms, uint64_t took_ms, int64_t used_ms, int64_t *skew_ms);

#endif

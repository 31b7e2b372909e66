/* aws: sessions and calls. Everything on the control loop; only credentials' snapshots leave it.
 *
 *   struct aws          one per program: HTTP client, environment, clock skew per endpoint, shared sessions
 *   struct aws_session  one per distinct configuration: region, credentials and their refresh
 *   struct aws_call     one request with its retries
 *
 * Retries (AWS SDKs and Tools Reference Guide, "Retry behavior", standard mode, and its token bucket; adaptive where
 * AWS_RETRY_MODE says so), throttling with jitter, clock skew by the answer's Date, expired credentials refreshed once.
 */
#ifndef AWS_AWS_H
#define AWS_AWS_H

#include "aws/credentials.h"
#include "aws/sigv4.h"
#include "base/counter.h"
#include "base/log.h"
#include "loop/loop.h"
#include "net/http_client.h"

struct aws;
struct aws_session;

struct aws_env {
    struct loop *loop;
    struct log *log;
    struct counters *counters;
    struct http_client *http;
    /* A variable that is not set is NULL. The function NULL: the process's own environment; tests give their own. */
    const char *(*getenv)(void *ctx, const char *name);
    void *getenv_ctx;
};
struct aws *aws_new(const struct aws_env *env);
void aws_free(struct aws *a); /* after every session is released; the loop runs on for a turn */

/* The session of this configuration; equal ones are shared and counted. The first call starts looking for credentials
 * and the region. ERR_SYNTAX: the configuration contradicts itself (a key without a secret...). */
enum err aws_session_get(struct aws *a, const struct aws_config *config, struct aws_session **out,
                         struct diag *d) MUST_USE;
void aws_session_release(struct aws_session *s);

/* Empty until it is known. */
struct str aws_session_region(const struct aws_session *s);

/* In the struct of whoever listens. `changed` is called on the control loop, never from inside aws_session_listen: soon
 * with what is there, then at each refresh, and with NULL and a diag when there is nothing (again each time it is
 * tried). The region is known by then. The listener takes a reference if it keeps c. */
struct aws_listener {
    void (*changed)(struct aws_listener *l, struct aws_credentials *c, const struct diag *d);
    struct aws_listener *next;
    bool listening;
};
void aws_session_listen(struct aws_session *s, struct aws_listener *l);
void aws_session_unlisten(struct aws_session *s, struct aws_listener *l);
/* The destination said that they are expired or not valid: looks for new ones now, or, when it says so again and again,
 * ever more rarely. */
void aws_session_refused(struct aws_session *s);

/* ---- calls ---- */

enum aws_protocol {
    AWS_JSON_1_0, /* X-Amz-Target, application/x-amz-json-1.0 */
    AWS_JSON_1_1,
    AWS_QUERY,    /* form body, XML answer: sts */
    AWS_EC2,      /* the same with EC2's shape of errors */
    AWS_REST_JSON /* method and path of the call */
};

/* Static data, one per service that leadline calls. */
struct aws_service {
    const char *name;     /* signing name: "ecs" */
    const char *endpoint; /* of the host name: "ecs", "monitoring", "data-servicediscovery" */
    const char *id;       /* of AWS_ENDPOINT_URL_<ID>: "ECS", "CLOUDWATCH_LOGS" */
    const char *target;   /* in front of the operation in X-Amz-Target; NULL: none */
    const char *version;  /* of AWS_QUERY and AWS_EC2 */
    enum aws_protocol protocol;
};
extern const struct aws_service aws_ecs, aws_ec2, aws_servicediscovery, aws_ssm, aws_secretsmanager, aws_sts, aws_logs,
    aws_cloudwatch, aws_aps;

struct aws_call;
struct aws_answer {
    enum err err; /* OK: a 2xx with a whole body. ERR_REFUSED-like errors carry `code` */
    int status;
    struct str body;          /* valid during done */
    struct str code, message; /* of an error answer: "ThrottlingException", without namespace and URL */
    bool throttled;           /* the last error was one */
    bool connected;           /* no answer (status 0): the request may have got to the other side all the same */
    uint64_t retry_after_ms;  /* Retry-After of an error answer; 0: none */
    uint32_t attempts;
    struct diag diag; /* err != OK: what, where, and what AWS said; for logs and pages */
};
typedef void(aws_done_fn)(struct aws_call *c, const struct aws_answer *a);

/* Lives in the caller's struct until done has been called. */
struct aws_call {
    const struct aws_service *service;
    const char *operation;   /* static: "ListClusters" */
    struct str body;         /* JSON, or Action's form parameters without Action and Version; kept until done */
    struct str method, path; /* AWS_REST_JSON; NUL-terminated; the path may have a query, escaped */
    const struct http_header *headers; /* beyond those of the protocol: sso's token */
    int n_headers;
    struct str endpoint;   /* a URL that replaces the service's; empty: by region and environment */
    /* TLS and proxy of the caller's own, which then tells aws_session_forget_http before they go; NULL: those of the
     * environment. */
    const struct http_options *http;
    uint32_t timeout_ms;   /* of one attempt; 0: 10 s */
    uint32_t max_attempts; /* 0: AWS_MAX_ATTEMPTS or 3 */
    bool is_unsigned;      /* sts AssumeRoleWithWebIdentity */
    aws_done_fn *done;
    void *state; /* the session's */
};
void aws_call_start(struct aws_session *s, struct aws_call *c);  /* done is always called, never from inside */
void aws_call_cancel(struct aws_session *s, struct aws_call *c); /* done is not called any more */
/* Closes what was opened with these options: no call with them runs. Before the session is released. */
void aws_session_forget_http(struct aws_session *s, const struct http_options *http);

/* ---- endpoints (endpoints.c), pure ---- */

struct aws_endpoint_options {
    struct str region;
    bool fips, dual_stack;
    bool legacy_sts;     /* AWS_STS_REGIONAL_ENDPOINTS=legacy */
    struct str endpoint; /* a URL that replaces the service's: does not go with fips and dual_stack */
};
/* "https://ecs.eu-west-1.amazonaws.com", by the partition's rules. ERR_SYNTAX with botocore's words where there is no
 * such endpoint. */
enum err aws_endpoint(const struct aws_service *service, const struct aws_endpoint_options *o, struct buf *out,
                      struct diag *d) MUST_USE;
/* The region such requests are signed for: us-east-1 for the global STS. */
struct str aws_signing_region(const struct aws_service *service, const struct aws_endpoint_options *o);
struct str aws_partition_of_region(struct str region); /* "aws", "aws-cn", ... */

#endif

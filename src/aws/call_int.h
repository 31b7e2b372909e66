/* call_int: what call.c, client.c and settings.c share. Control loop only. */
#ifndef AWS_CALL_INT_H
#define AWS_CALL_INT_H

#include "aws/aws_int.h"
#include "aws/retry_int.h"

/* ---- settings.c: what environment and profile say about calls ---- */

struct aws_settings {
    bool fips, dual_stack, legacy_sts, ignore_endpoints;
    enum aws_retry_mode retry_mode;
    uint32_t max_attempts;
    struct str ca_bundle; /* a file; empty: the system's */
};

enum err aws_settings_read(const struct aws_calls_from *from, struct aws_settings *out, struct diag *d) MUST_USE;
/* The URL that replaces the service's own, or the empty view: configuration, variable of the service, AWS_ENDPOINT_URL,
 * the profile's services section, its endpoint_url. */
struct str aws_settings_endpoint(const struct aws_calls_from *from, const struct aws_settings *s,
                                 const struct aws_service *service);

/* ---- client.c: a service at a place, and what is remembered of it ---- */

struct aws_peer {
    struct http_peer *http;
    struct aws_peer *next;
    bool shared; /* goes back to its client */
};

struct aws_client {
    struct aws_client *next;
    const struct aws_env *env;
    const struct aws_service *service;
    char *asked_for; /* aws_call.endpoint, "" mostly */
    bool data;       /* Cloud Map's other front */
    char *url;       /* of the service */
    struct http_url parts;
    char *host; /* as in the Host field */
    const struct http_options *options;
    const struct http_options *own_options; /* aws_call.http */
    struct sigv4_key key;
    struct aws_quota quota;
    struct aws_rate rate;
    struct aws_peer *idle;
    uint32_t n_idle;

    struct aws_outcome {
        const char *operation;
        char *code;
        struct counter *n;
    } * outcomes;
    size_t n_outcomes, cap_outcomes;
    struct counter *retries;
    struct counter_histogram *seconds;
};

struct aws_client *aws_client_new(const struct aws_env *env, const struct aws_service *service, struct str url,
                                  struct diag *d);
void aws_client_free(struct aws_client *c);
/* A connection for a request to this path (with query), which is empty but for AWS_REST_JSON. */
enum err aws_client_take(struct aws_client *c, struct str path, struct aws_peer **out, struct diag *d) MUST_USE;
/* False: it is not kept, the caller frees it. */
bool aws_client_give(struct aws_client *c, struct aws_peer *p);
void aws_peer_free(struct aws_peer *p); /* cancels its request silently */
/* A call ended. `operation` is a static string. */
void aws_client_count(struct aws_client *c, const char *operation, struct str code, double seconds);

#endif

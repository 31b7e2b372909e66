/* credentials: AWS keys, where they came from, and the chain that finds and refreshes them.
 *
 * Chain (AWS SDKs and Tools Reference Guide, "Standardized credential providers"; order as aws-sdk-go-v2, which
 * Prometheus uses): keys of the configuration; a profile named in it; environment; web identity; the profile (source
 * profile, static, credential_source, web identity, SSO, process); container endpoint; IMDSv2. A role_arn of the
 * configuration is assumed on top.
 *
 * A snapshot is immutable and counted; the control loop makes it, workers sign with it. Refreshed early, one refresh in
 * flight, old ones kept on failure while they are valid.
 */
#ifndef AWS_CREDENTIALS_H
#define AWS_CREDENTIALS_H

#include <stdatomic.h>
#include <stdint.h>

#include "aws/config.h"
#include "base/arena.h"
#include "base/err.h"

struct aws_credentials {
    _Atomic uint32_t refs;
    struct str access_key, secret_key, session_token; /* NUL-terminated; wiped when the last user goes */
    struct str account;                               /* empty: not known */
    struct str source;                                /* for people: "environment", "container endpoint", ... */
    int64_t expires_ms;                               /* wall clock; INT64_MAX: never */
    size_t text_bytes;                                /* of all the strings, which follow the struct */
};

struct aws_credentials *aws_credentials_new(struct str access_key, struct str secret_key, struct str session_token,
                                            struct str account, struct str source, int64_t expires_ms);
struct aws_credentials *aws_credentials_ref(struct aws_credentials *c); /* any thread */
void aws_credentials_unref(struct aws_credentials *c);                  /* any thread; NULL is fine */

/* ---- the search for them, for people: `leadline check aws` ---- */

struct aws_session;

/* One link of the chain. */
enum aws_step_verdict { AWS_STEP_PASSED_OVER, AWS_STEP_USED, AWS_STEP_FAILED, AWS_STEP_NOT_REACHED };
struct aws_step {
    struct str name; /* "environment", "container endpoint" */
    enum aws_step_verdict verdict;
    struct str why; /* "AWS_ACCESS_KEY_ID is not set" */
};

/* The links of the last search, in order; valid until the control loop goes on. 0 while the first has not ended. */
uint32_t aws_session_steps(const struct aws_session *s, const struct aws_step **out);
/* Where the region comes from: "AWS_REGION", "task metadata"; empty while it is not known. */
struct str aws_session_region_source(const struct aws_session *s);
/* How far this machine's clock is behind that of a service, in ms, as its last refusal has shown; 0: it is right, or
 * nothing was refused. */
struct aws_service;
int64_t aws_session_clock_behind_ms(const struct aws_session *s, const struct aws_service *service);
/* The answer of sts GetCallerIdentity; the strings are in the arena. */
enum err aws_identity_parse(struct str body, struct arena *a, struct str *account, struct str *arn,
                            struct diag *d) MUST_USE;

#endif

/* sigv4: AWS Signature Version 4 (AWS IAM User Guide, "Create a signed AWS API request"). Pure, any thread.
 *
 * The day's key is derived once per (key, day, region, service) and kept in the signer.
 */
#ifndef AWS_SIGV4_H
#define AWS_SIGV4_H

#include <stdbool.h>
#include <stdint.h>

#include "aws/credentials.h"
#include "base/buf.h"
#include "net/http_options.h"

struct sigv4_key { /* zeroed is valid */
    uint8_t key[32];
    char day[9];
    uint64_t of; /* hash of secret, region and service */
};

struct sigv4_request {
    const char *method;
    struct str path, query;            /* as on the wire */
    const struct http_header *headers; /* `host` among them; what may not be signed is passed over */
    int n_headers;
    struct str body;
    struct str region, service;
    int64_t time_ms;         /* wall clock, corrected for skew */
    bool keep_path;          /* S3: neither normalised nor escaped again */
    bool sign_body_header;   /* adds x-amz-content-sha256 */
    bool unsigned_body;      /* UNSIGNED-PAYLOAD */
    bool omit_session_token; /* it is sent, but not signed */
};

/* Appends to `text` and sets the fields x-amz-date, Authorization and, when they apply, x-amz-security-token and
 * x-amz-content-sha256; their values point into text (which must not grow until they have been used: reserve first, or
 * take offsets). At most 4 headers. */
enum err sigv4_sign(struct sigv4_key *key, const struct sigv4_request *r, const struct aws_credentials *c,
                    struct buf *text, struct http_header headers[4], int *n_headers, struct diag *d) MUST_USE;
/* The query form (presigned), appended to out: the whole query. */
enum err sigv4_presign(struct sigv4_key *key, const struct sigv4_request *r, const struct aws_credentials *c,
                       uint32_t expires_s, struct buf *out, struct diag *d) MUST_USE;

/* For tests and for messages about refused signatures: the canonical request without secrets. */
void sigv4_canonical_request(const struct sigv4_request *r, const struct aws_credentials *c, struct buf *out);

#endif

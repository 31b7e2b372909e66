/* signer: signs the requests of one destination on one worker: remote write to Amazon Managed Service for Prometheus,
 * and whatever else stands behind AWS Signature Version 4.
 *
 * The credentials are found on the control loop; each change comes to the worker as a message, and the worker sets them
 * here. Everything on the worker's thread.
 */
#ifndef AWS_SIGNER_H
#define AWS_SIGNER_H

#include "aws/credentials.h"
#include "base/log.h"
#include "net/http_client.h"

struct aws_signer;

struct aws_signer_options {
    struct str service;     /* "aps" when empty */
    struct str destination; /* for the log */
    struct log *log;
    /* The destination refused: other credentials are needed. At most once in some seconds. May be NULL. */
    void (*refused)(void *ctx);
    void *ctx;
};

struct aws_signer *aws_signer_new(const struct aws_signer_options *o);
void aws_signer_free(struct aws_signer *s); /* after the peers that use it */
/* For http_peer_sign. */
struct http_signer *aws_signer_http(struct aws_signer *s);
/* From now on signs with these, for this region; takes a reference. NULL: there are none, for the reason given (NULL:
 * they are still being looked for); requests then end with ERR_AGAIN and these words. */
void aws_signer_set(struct aws_signer *s, struct aws_credentials *c, struct str region, const struct diag *why);
/* The destination answered 401 or 403 to what was signed: the Date of the answer, and its body. Corrects the clock when
 * that is what was wrong (said once in the log), else asks for other credentials. */
void aws_signer_refused(struct http_signer *self, struct str date, struct str words);

#endif

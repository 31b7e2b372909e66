/* aws_labels_int: what the discoverers of AWS share: a session of their configuration, how they count and describe
 * themselves, and labels of what was found. */
#ifndef DISCOVER_AWS_LABELS_INT_H
#define DISCOVER_AWS_LABELS_INT_H

#include "aws/aws.h"
#include "discover/aws_queue.h"
#include "discover/ecs_answers.h"
#include "discover/refresh.h"

/* ERR_UNSUPPORTED where the program has no struct aws. */
enum err aws_sd_session(const struct discover_env *env, const struct aws_config *config, struct aws_session **out,
                        struct diag *d) MUST_USE;
/* NULL where the block says nothing of TLS and proxies: then the environment does. The rest of it does not apply to
 * signed requests, as in the original. */
const struct http_options *aws_sd_http(const struct http_options *block);
/* A queue's options: counted as the discoverer's. */
struct aws_queue_options aws_sd_queue(const struct refresh *r, struct aws_session *session,
                                      const struct http_options *http, uint32_t concurrency);
/* leadline_sd_refresh_aws_calls, leadline_sd_targets. */
struct counter *aws_sd_calls(struct refresh *r);
struct counter *aws_sd_targets(struct refresh *r);
/* Makes r->about anew: "region NAME". `session` NULL: there is none yet. */
void aws_sd_describe(struct refresh *r, const struct aws_session *session, const struct aws_config *config);
/* Sets a label unless the value is absent (p NULL) or empty; the value is copied into a. */
void aws_sd_label(struct labels_builder *b, struct arena *a, const char *name, struct str value);
/* PREFIX and the tag's key as a label name. */
void aws_sd_tags(struct labels_builder *b, struct arena *a, const char *prefix, struct ecs_tags tags);
/* host:port, an IPv6 address in brackets. */
void aws_sd_address(struct labels_builder *b, struct arena *a, struct str host, uint16_t port);

#endif

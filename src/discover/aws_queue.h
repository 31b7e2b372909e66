/* aws_queue: the calls of one discoverer to AWS: page by page, so many at once, so many a second, counted. Control
 * loop.
 *
 * A job is one list or one question. Its pages are asked for one after the other: `write` puts the request into body
 * (the token of the page before, or empty), `page` takes an answer and appends the next token. `end` is called once,
 * never from inside aws_queue_start. A token that was seen before ends the job with an error: it would never end.
 */
#ifndef DISCOVER_AWS_QUEUE_H
#define DISCOVER_AWS_QUEUE_H

#include "aws/aws.h"
#include "base/buf.h"
#include "base/counter.h"

/* Calls that share a throttle of the service (Amazon ECS API throttling; 20 a second each, by default). */
enum aws_family {
    AWS_ECS_TASKS, /* ListTasks, DescribeTasks, DescribeContainerInstances */
    AWS_ECS_SERVICES,
    AWS_ECS_CLUSTERS,
    AWS_ECS_DEFINITIONS,
    AWS_EC2_INSTANCES,
    AWS_EC2_OTHER,
    AWS_CLOUDMAP_LISTS,    /* namespaces, services, instances, tags */
    AWS_CLOUDMAP_DISCOVER, /* DiscoverInstances and its revision */
    AWS_SSM_PARAMETERS,
    AWS_FAMILIES,
};

struct aws_queue;
struct aws_job;

/* In the struct of whoever asks; zeroed but for the first part. */
struct aws_job {
    const struct aws_service *service;
    const char *operation; /* static */
    enum aws_family family;
    struct str endpoint; /* a URL in place of the service's; or empty */
    void (*write)(struct aws_job *j, struct str token, struct buf *body);
    enum err (*page)(struct aws_job *j, struct str body, struct buf *next_token, struct diag *d);
    /* code: AWS' own, of an error answer; empty when there is none. The job may be freed in here. */
    void (*end)(struct aws_job *j, enum err err, struct str code, const struct diag *d);

    struct aws_queue *queue;
    struct aws_job *next, *prev;
    bool running;
    struct aws_call call;
    struct buf body, token;
    uint64_t *tokens; /* hashes of those seen */
    size_t n_tokens, cap_tokens;
};

struct aws_queue_options {
    struct loop *loop;
    struct aws_session *session;
    const struct http_options *http; /* TLS and proxy of its own; NULL: those of the environment */
    struct counters *counters;
    const char *mechanism;
    struct str config;
    uint32_t concurrency; /* calls at once, and a second of each family; 0: 20 */
};

struct aws_queue *aws_queue_new(const struct aws_queue_options *o);
/* Cancels what runs and waits: no `end` is called; `drop` gets each of these jobs, to be freed. */
void aws_queue_free(struct aws_queue *q, void (*drop)(struct aws_job *j));
void aws_queue_start(struct aws_queue *q, struct aws_job *j);
/* Requests sent since the queue was made, repeats included. */
uint64_t aws_queue_calls(const struct aws_queue *q);
/* AWS refuses this caller this question, whenever it is asked: not a failure that passes. */
bool aws_code_is_denied(struct str code);

#endif

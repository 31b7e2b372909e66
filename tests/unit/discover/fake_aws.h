/* fake_aws: AWS in the test's own process. It takes the place of aws/ (sessions and calls) when linked: each call is
 * answered from a timer, by a function of the test. A small world of ECS clusters is there to answer from.
 */
#ifndef TESTS_FAKE_AWS_H
#define TESTS_FAKE_AWS_H

#include "aws/aws.h"
#include "wire/tree.h"

struct fake_answer {
    const char *code; /* an error answer; NULL: success with body */
    const char *message;
    struct buf body;
};

struct fake_aws;
typedef void(fake_fn)(struct fake_aws *f, const char *operation, struct str body, struct fake_answer *out);

struct fake_aws {
    struct loop *loop;
    fake_fn *answer;
    void *ctx;
    struct fake_call *calls; /* under way */
    uint32_t n_calls, n_running, most_running;
    struct buf log; /* "ListTasks DescribeTasks ..." since it was cleared */
    const char *last_endpoint;
    const struct http_options *last_http, *forgotten;
    bool refuse_session;
};

/* There is one at a time. */
struct aws *fake_aws_open(struct fake_aws *f, struct loop *loop, fake_fn *answer, void *ctx);
void fake_aws_close(struct fake_aws *f);

/* ---- a world of clusters ---- */

enum world_kind { WORLD_FARGATE, WORLD_BRIDGE, WORLD_EC2_AWSVPC, WORLD_EXTERNAL, WORLD_BARE };

struct world_task {
    enum world_kind kind;
    uint32_t id, cluster, host; /* host: of those on container instances */
    int service;                /* -1: none */
    bool vanished;              /* listed, and then not known */
};

struct ecs_world {
    const char *clusters[4];
    uint32_t n_clusters, page, n_services;
    struct world_task *tasks;
    size_t n_tasks, cap_tasks;
    /* a fault: this operation (of this cluster, or NULL) answers so */
    const char *fault_operation, *fault_cluster;
    enum { FAULT_NONE, FAULT_CODE, FAULT_GARBAGE, FAULT_REPEAT, FAULT_EMPTY_PAGES } fault;
    const char *fault_code;
};

void ecs_world_init(struct ecs_world *w, uint32_t n_clusters); /* named demo, shop, third, fourth */
struct world_task *ecs_world_add(struct ecs_world *w, uint32_t cluster, enum world_kind kind, int service);
void ecs_world_release(struct ecs_world *w);
fake_fn ecs_world_answer; /* ctx: the world */

#endif

/* aws_bench: what a test of a discoverer of AWS needs around it: a loop, counters, a plan, a fake AWS, and a consumer
 * that keeps what it was told last. In the test's own struct, beside the configuration and the world to answer from.
 */
#ifndef TESTS_AWS_BENCH_H
#define TESTS_AWS_BENCH_H

#include "discover/discoverer.h"
#include "unit/discover/fake_aws.h"

struct aws_bench {
    struct loop *loop;
    struct log *log; /* NULL: none */
    struct counters *counters;
    struct discover_totals totals;
    struct plan *plan;
    struct fake_aws fake;
    struct aws *aws;
    struct target_consumer consumer;
    struct buf last; /* "{labels}" per target, those of its group among them */
    uint32_t n_targets;
    int updates;
    struct discoverer *d; /* NULL: not started */
};

void aws_bench_open(struct aws_bench *b, fake_fn *answer, void *ctx);
void aws_bench_close(struct aws_bench *b);
struct discover_env aws_bench_env(struct aws_bench *b); /* of a job named "job" */
/* The consumer, for those that look at more. */
void aws_bench_update(struct target_consumer *self, struct target_groups *g);
struct discover_status aws_bench_status(const struct aws_bench *b);
/* Whole refreshes, from now: the one under way may have begun before what the test has changed. */
void aws_bench_refreshes(struct aws_bench *b, uint64_t n);

#endif

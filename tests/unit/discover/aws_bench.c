/* aws_bench: see the header. */
#include "unit/discover/aws_bench.h"

#include "unit.h"

#include "base/mem.h"
#include "world.h"

void aws_bench_open(struct aws_bench *b, fake_fn *answer, void *ctx)
{
    b->loop = loop_new("test");
    b->counters = counters_new();
    discover_totals_init(&b->totals, b->counters);
    b->plan = plan_new();
    b->aws = fake_aws_open(&b->fake, b->loop, answer, ctx);
    b->consumer.update = aws_bench_update;
}

void aws_bench_close(struct aws_bench *b)
{
    if (b->d)
        b->d->stop(b->d);
    fake_aws_close(&b->fake);
    world_loop_free(b->loop);
    counters_free(b->counters);
    plan_unref(b->plan);
    buf_release(&b->last);
}

struct discover_env aws_bench_env(struct aws_bench *b)
{
    return (struct discover_env){.loop = b->loop,
                                 .log = b->log,
                                 .counters = b->counters,
                                 .totals = &b->totals,
                                 .aws = b->aws,
                                 .config = STR("job")};
}

void aws_bench_update(struct target_consumer *self, struct target_groups *g)
{
    struct aws_bench *b = CONTAINER_OF(self, struct aws_bench, consumer);

    buf_clear(&b->last);
    buf_c(&b->last, "");
    b->n_targets = 0;
    for (uint32_t i = 0; i < g->n; i++) {
        for (uint32_t k = 0; k < g->groups[i].n_targets; k++) {
            struct labels_builder all;
            labels_builder_init(&all, &g->arena);
            labels_builder_set_all(&all, g->groups[i].labels, false);
            labels_builder_set_all(&all, g->groups[i].targets[k], false);
            labels_print(labels_builder_labels(&all), &b->last);
            buf_char(&b->last, '\n');
            b->n_targets++;
        }
    }
    b->updates++;
    target_groups_free(g);
}

struct discover_status aws_bench_status(const struct aws_bench *b)
{
    struct discover_status s;

    b->d->status(b->d, &s);
    return s;
}

void aws_bench_refreshes(struct aws_bench *b, uint64_t n)
{
    uint64_t to = aws_bench_status(b).refreshes + n + 1;

    world_until(b->loop, aws_bench_status(b).refreshes >= to);
}

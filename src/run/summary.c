/* summary: the state of everything in the log, for those who have nothing but the log: once in summary_ms, a line per
 * destination with its ledger, per pipeline with its targets, and per listener.
 *
 *   msg="state of a destination" remote_name=logs read=507 delivered=507 waiting=0 dropped=0 disk_outlives_task=no
 *   msg="state of a pipeline" pipeline=0 jobs=1 targets=3 up=3 down=0 samples=1521
 *   msg="state of a listener" name=statsd address=:8125 received=10 dropped=0
 *
 * The samples of a pipeline are those of the last scrape of each target. Control loop.
 */
#include "base/mem.h"
#include "run/program_int.h"

struct pipeline_sums {
    uint64_t jobs, targets, up, down, samples;
};

static void sum_pool(const struct web_pool *pool, struct pipeline_sums *sums)
{
    sums->jobs++;
    sums->targets += pool->n_targets;
    for (uint32_t i = 0; i < pool->n_targets; i++) {
        sums->up += pool->targets[i].health == HEALTH_UP;
        sums->down += pool->targets[i].health == HEALTH_DOWN;
        sums->samples += pool->targets[i].samples;
    }
}

static void say_pipelines(const struct program *p, const struct web_snapshot *s)
{
    struct pipeline_sums sums[PIPELINES_MAX] = {0};

    for (uint32_t i = 0; i < s->n_pools; i++)
        sum_pool(&s->pools[i], &sums[s->pools[i].pipeline]);
    for (uint32_t i = 0; i < PIPELINES_MAX; i++)
        if (sums[i].jobs)
            log_info(p->o.log, "state of a pipeline", F_INT("pipeline", i), F_INT("jobs", sums[i].jobs),
                     F_INT("targets", sums[i].targets), F_INT("up", sums[i].up), F_INT("down", sums[i].down),
                     F_INT("samples", sums[i].samples));
    for (uint32_t i = 0; i < s->n_push; i++)
        log_info(p->o.log, "state of a listener", F_STR("name", s->push[i].name), F_STR("address", s->push[i].address),
                 F_INT("received", s->push[i].received), F_INT("dropped", s->push[i].dropped));
}

static void on_snapshot(void *ctx, struct web_snapshot *s)
{
    struct program *p = ctx;

    if (!p->stopping) {
        program_sinks_report(p, "state of a destination");
        say_pipelines(p, s);
        program_summary_start(p);
    }
    web_snapshot_free(s);
}

static void on_timer(struct timer *t)
{
    struct program *p = CONTAINER_OF(t, struct program, summary);

    program_snapshot(p, false, on_snapshot, p);
}

void program_summary_start(struct program *p)
{
    if (p->o.summary_ms)
        timer_start(p->loop, &p->summary, (uint64_t)p->o.summary_ms, on_timer);
}

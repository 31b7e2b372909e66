/* The I/O thread: order, the way back, and leaving a stuck one behind. */
#include "unit.h"

#include <pthread.h>
#include <unistd.h>

#include "base/mem.h"
#include "loop/io_thread.h"

enum { JOBS = 1000 };

struct job {
    struct io_job io;
    struct scene *scene;
    int number;
};

struct scene {
    struct loop *loop;
    struct io_thread *io;
    pthread_t loop_thread;
    int ran, done;
};

static void on_run(struct io_job *io)
{
    struct job *j = CONTAINER_OF(io, struct job, io);
    assert_int_equal(j->scene->ran, j->number);
    j->scene->ran++;
}

static void on_done(struct io_job *io)
{
    struct job *j = CONTAINER_OF(io, struct job, io);
    assert_int_equal(j->scene->done, j->number);
    assert_true(pthread_equal(pthread_self(), j->scene->loop_thread));
    if (++j->scene->done == JOBS)
        loop_stop(j->scene->loop);
    free(j);
}

static void post(struct scene *s, int number, struct loop *loop, void (*run)(struct io_job *))
{
    struct job *j = NEW(struct job);
    *j = (struct job){.io = {.loop = loop, .run = run, .done = on_done}, .scene = s, .number = number};
    io_thread_post(s->io, &j->io);
}

static void jobs_run_in_order_and_come_back(void **state)
{
    (void)state;
    struct scene s = {.loop = loop_new("test"), .io = io_thread_new(), .loop_thread = pthread_self()};
    for (int i = 0; i < JOBS; i++)
        post(&s, i, s.loop, on_run);
    loop_run(s.loop);
    assert_int_equal(s.done, JOBS);
    assert_true(io_thread_free(s.io, 5000));
    loop_free(s.loop);
}

static void run_and_free(struct io_job *io)
{
    on_run(io);
    free(CONTAINER_OF(io, struct job, io));
}

static void freeing_runs_what_is_queued(void **state)
{
    (void)state;
    struct scene s = {.io = io_thread_new()};
    for (int i = 0; i < 100; i++)
        post(&s, i, NULL, run_and_free);
    assert_true(io_thread_free(s.io, 5000));
    assert_int_equal(s.ran, 100);
    assert_true(io_thread_free(NULL, 0));
}

static void jobs_for_an_ended_loop_are_dropped(void **state)
{
    (void)state;
    struct scene s = {.loop = loop_new("test"), .io = io_thread_new()};
    post(&s, 0, s.loop, on_run);
    assert_true(io_thread_free(s.io, 5000));
    loop_free(s.loop); /* frees the job: the leak checker would tell */
    assert_int_equal(s.done, 0);
}

static int gate[2];

static void wait_at_gate(struct io_job *io)
{
    char c;
    assert_int_equal(read(gate[0], &c, 1), 1);
    free(CONTAINER_OF(io, struct job, io));
}

static void a_stuck_thread_is_left_behind(void **state)
{
    (void)state;
    struct scene s = {.io = io_thread_new()};
    assert_int_equal(pipe(gate), 0);
    post(&s, 0, NULL, wait_at_gate);
    assert_false(io_thread_free(s.io, 50));
    assert_int_equal(write(gate[1], "x", 1), 1); /* let it end, for the leak checker's sake */
    usleep(50000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_run_in_order_and_come_back),
        cmocka_unit_test(freeing_runs_what_is_queued),
        cmocka_unit_test(jobs_for_an_ended_loop_are_dropped),
        cmocka_unit_test(a_stuck_thread_is_left_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Loops: messages between threads, ending, work off the loop, signals. */
#include "unit.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "base/mem.h"
#include "loop/loop.h"

static void *run_loop(void *loop)
{
    loop_run(loop);
    return NULL;
}

/* ---- messages ---- */

enum { POSTERS = 4, EACH = 5000 };

struct note {
    struct message message;
    struct board *board;
    int poster, number;
};

struct board {
    struct loop *loop;
    int next[POSTERS];
    int total, dropped;
};

static void on_note(struct message *m)
{
    struct note *n = CONTAINER_OF(m, struct note, message);
    struct board *b = n->board;
    assert_int_equal(n->number, b->next[n->poster]); /* in order */
    b->next[n->poster]++;
    if (++b->total == POSTERS * EACH)
        loop_stop(b->loop);
    free(n);
}

struct poster {
    struct board *board;
    int number;
};

static void *post_many(void *arg)
{
    struct poster *p = arg;
    for (int i = 0; i < EACH; i++) {
        struct note *n = NEW(struct note);
        *n = (struct note){.message.deliver = on_note, .board = p->board, .poster = p->number, .number = i};
        loop_post(p->board->loop, &n->message);
    }
    return NULL;
}

static void every_message_arrives_in_order(void **state)
{
    (void)state;
    struct board board = {.loop = loop_new("test")};
    pthread_t loop_thread, threads[POSTERS];
    struct poster posters[POSTERS];
    pthread_create(&loop_thread, NULL, run_loop, board.loop);
    for (int i = 0; i < POSTERS; i++) {
        posters[i] = (struct poster){&board, i};
        pthread_create(&threads[i], NULL, post_many, &posters[i]);
    }
    for (int i = 0; i < POSTERS; i++)
        pthread_join(threads[i], NULL);
    pthread_join(loop_thread, NULL);
    assert_int_equal(board.total, POSTERS * EACH);
    loop_free(board.loop);
}

static void never(struct message *m)
{
    (void)m;
    fail();
}

static void on_drop(struct message *m)
{
    struct note *n = CONTAINER_OF(m, struct note, message);
    n->board->dropped++;
    free(n);
}

static void what_was_not_delivered_is_dropped(void **state)
{
    (void)state;
    struct board board = {.loop = loop_new("test")};
    for (int i = 0; i < 3; i++) {
        struct note *n = NEW(struct note);
        *n = (struct note){.message = {.deliver = never, .drop = i < 2 ? on_drop : NULL}, .board = &board};
        loop_post(board.loop, &n->message);
    }
    loop_free(board.loop);
    assert_int_equal(board.dropped, 2); /* the third was freed: the leak checker would tell */
}

static void ping(struct message *m);

struct rally {
    struct message message;
    struct loop *a, *b;
    int left;
};

static void end_b(struct message *m)
{
    loop_stop(CONTAINER_OF(m, struct rally, message)->b);
}

static void pong(struct message *m)
{
    struct rally *r = CONTAINER_OF(m, struct rally, message);
    m->deliver = ping;
    loop_post(r->a, m);
}

static void ping(struct message *m)
{
    struct rally *r = CONTAINER_OF(m, struct rally, message);
    m->deliver = r->left-- ? pong : end_b;
    if (r->left < 0)
        loop_stop(r->a);
    loop_post(r->b, m);
}

static void a_message_may_go_back_and_forth(void **state)
{
    (void)state;
    struct rally r = {.a = loop_new("a"), .b = loop_new("b"), .left = 1000};
    pthread_t thread;
    pthread_create(&thread, NULL, run_loop, r.b);
    r.message.deliver = ping;
    loop_post(r.a, &r.message);
    loop_run(r.a);
    pthread_join(thread, NULL);
    assert_int_equal(r.left, -1);
    loop_free(r.a);
    loop_free(r.b);
}

/* ---- work ---- */

struct job {
    struct work work;
    pthread_t ran_on;
    int done;
};

static void work_run(struct work *w)
{
    CONTAINER_OF(w, struct job, work)->ran_on = pthread_self();
}

static void work_done(struct work *w)
{
    CONTAINER_OF(w, struct job, work)->done++;
}

static void work_runs_elsewhere_and_comes_back(void **state)
{
    (void)state;
    struct loop *loop = loop_new("test");
    struct job job = {.work = {.run = work_run, .done = work_done}};
    loop_work(loop, &job.work);
    loop_stop(loop); /* pending work keeps the loop alive */
    loop_run(loop);
    assert_int_equal(job.done, 1);
    assert_false(pthread_equal(job.ran_on, pthread_self()));
    loop_free(loop);
}

/* ---- signals ---- */

struct listener {
    struct loop *loop;
    struct loop_signal *signal;
    int got;
};

static void on_signal(int signum, void *ctx)
{
    struct listener *l = ctx;
    l->got = signum;
    loop_signal_close(l->signal);
    loop_stop(l->loop);
}

static void signals_arrive(void **state)
{
    (void)state;
    struct listener l = {.loop = loop_new("test")};
    l.signal = loop_signal_open(l.loop, SIGUSR1, on_signal, &l);
    kill(getpid(), SIGUSR1);
    loop_run(l.loop);
    assert_int_equal(l.got, SIGUSR1);
    loop_free(l.loop);
    loop_signal_close(NULL);
}

static void time_moves(void **state)
{
    (void)state;
    struct loop *loop = loop_new("test");
    uint64_t before = loop_now_ms(loop);
    usleep(20000);
    assert_int_equal(loop_now_ms(loop), before);
    loop_update_time(loop);
    assert_true(loop_now_ms(loop) >= before + 15);
    loop_free(loop);
    loop_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_arrives_in_order),
        cmocka_unit_test(what_was_not_delivered_is_dropped),
        cmocka_unit_test(a_message_may_go_back_and_forth),
        cmocka_unit_test(work_runs_elsewhere_and_comes_back),
        cmocka_unit_test(signals_arrive),
        cmocka_unit_test(time_moves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

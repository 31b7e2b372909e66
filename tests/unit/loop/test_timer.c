/* Timers: order, moving, stopping from within, and that a busy one starves no one. */
#include "unit.h"

#include "base/clock.h"
#include "base/mem.h"
#include "loop/loop.h"

enum { MANY = 2000 };

struct one {
    struct timer timer;
    uint64_t due_ns;
    bool fired, expected;
};

static struct one timers[MANY];
static int fired_count;
static uint64_t last_due;

static void on_fire(struct timer *t)
{
    struct one *o = CONTAINER_OF(t, struct one, timer);
    assert_false(timer_armed(t));
    assert_true(o->expected && !o->fired);
    assert_true(clock_mono_ns() >= o->due_ns);
    assert_true(o->due_ns >= last_due);
    last_due = o->due_ns;
    o->fired = true;
    fired_count++;
}

static void stop_loop(struct timer *t)
{
    loop_stop(t->loop);
}

static void fires_in_order_whatever_was_moved(void **state)
{
    (void)state;
    struct unit_random r = unit_random_new();
    struct loop *loop = loop_new("test");
    struct timer end = {0};
    uint64_t now = clock_mono_ns();
    int expected = 0;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < MANY; i++) {
            struct one *o = &timers[i];
            o->expected = unit_random_below(&r, 4) != 0;
            o->due_ns = now + 60000000 + unit_random_below(&r, 40000000);
            if (o->expected)
                timer_start_at_ns(loop, &o->timer, o->due_ns, on_fire);
            else
                timer_stop(&o->timer);
            assert_int_equal(timer_armed(&o->timer), o->expected);
        }
    }
    for (int i = 0; i < MANY; i++)
        expected += timers[i].expected;
    timer_start_at_ns(loop, &end, now + 100000000, stop_loop);
    loop_run(loop);
    assert_int_equal(fired_count, expected);
    loop_free(loop);
}

struct busy {
    struct timer again, other;
    int turns;
};

static void fire_again(struct timer *t)
{
    struct busy *b = CONTAINER_OF(t, struct busy, again);
    b->turns++;
    timer_start(t->loop, t, 0, fire_again);
}

static void end_busy(struct timer *t)
{
    timer_stop(&CONTAINER_OF(t, struct busy, other)->again);
    loop_stop(t->loop);
}

static void a_timer_that_rearms_for_now_lets_others_run(void **state)
{
    (void)state;
    struct loop *loop = loop_new("test");
    struct busy b = {0};
    timer_start(loop, &b.again, 0, fire_again);
    timer_start(loop, &b.other, 20, end_busy);
    loop_run(loop);
    assert_true(b.turns > 1);
    loop_free(loop);
}

struct pair {
    struct timer first, second, end;
    bool second_fired;
};

static void stop_second(struct timer *t)
{
    timer_stop(&CONTAINER_OF(t, struct pair, first)->second);
}

static void on_second(struct timer *t)
{
    CONTAINER_OF(t, struct pair, second)->second_fired = true;
}

static void stopping_one_that_is_due_too(void **state)
{
    (void)state;
    struct loop *loop = loop_new("test");
    struct pair p = {0};
    uint64_t due = clock_mono_ns() + 1000000;
    timer_start_at_ns(loop, &p.first, due, stop_second);
    timer_start_at_ns(loop, &p.second, due + 1, on_second);
    timer_start(loop, &p.end, 10, stop_loop);
    loop_run(loop);
    assert_false(p.second_fired);
    timer_stop(&p.second);
    timer_start(loop, &p.second, 1000, on_second);
    loop_free(loop); /* with an armed timer in it */
    assert_false(timer_armed(&p.second));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fires_in_order_whatever_was_moved),
        cmocka_unit_test(a_timer_that_rearms_for_now_lets_others_run),
        cmocka_unit_test(stopping_one_that_is_due_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

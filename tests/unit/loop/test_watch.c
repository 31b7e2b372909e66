/* Watching a directory: bursts become one call, later changes another. */
#include "unit.h"

#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "loop/loop.h"

struct scene {
    struct loop *loop;
    struct loop_watch *watch;
    struct timer timer, give_up;
    char dir[64], path[96];
    int calls, step;
};

static void write_burst(struct scene *s)
{
    for (int i = 0; i < 20; i++)
        assert_int_equal(file_replace(s->path, STR("x"), NULL), OK);
}

static void next_burst(struct timer *t)
{
    write_burst(CONTAINER_OF(t, struct scene, timer));
}

static void give_up(struct timer *t)
{
    struct scene *s = CONTAINER_OF(t, struct scene, give_up);
    loop_watch_close(s->watch);
    loop_stop(s->loop);
}

static void on_change(void *ctx)
{
    struct scene *s = ctx;
    s->calls++;
    if (s->calls == 1) {
        timer_start(s->loop, &s->timer, 20, next_burst);
        return;
    }
    /* An armed timer does not keep a stopped loop alive. */
    loop_watch_close(s->watch);
    loop_stop(s->loop);
}

static void bursts_become_single_calls(void **state)
{
    (void)state;
    struct scene s = {.loop = loop_new("test"), .dir = "/tmp/leadline-watch-XXXXXX"};
    assert_non_null(mkdtemp(s.dir));
    snprintf(s.path, sizeof(s.path), "%s/targets.json", s.dir);
    assert_int_equal(loop_watch_open(s.loop, s.dir, on_change, &s, &s.watch, NULL), OK);
    timer_start(s.loop, &s.give_up, 20000, give_up);
    write_burst(&s);
    loop_run(s.loop);
    assert_int_equal(s.calls, 2);
    loop_free(s.loop);
    unlink(s.path);
    rmdir(s.dir);
}

static void a_missing_directory_is_an_error(void **state)
{
    (void)state;
    struct loop *loop = loop_new("test");
    struct loop_watch *w = NULL;
    struct diag d = {0};
    assert_int_equal(loop_watch_open(loop, "/no/such/directory", on_change, NULL, &w, &d), ERR_NOT_FOUND);
    assert_string_equal(d.text, "watch /no/such/directory: No such file or directory");
    loop_watch_close(NULL);
    loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bursts_become_single_calls),
        cmocka_unit_test(a_missing_directory_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

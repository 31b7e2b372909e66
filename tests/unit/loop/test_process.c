/* Child processes: what they say, how they end, and that they do end. */
#include "unit.h"
#include "world.h"

#include <signal.h>

#include "loop/process.h"

struct child {
    struct loop *loop;
    struct process *p;
    bool done;
    enum err err;
    int status, signal;
    struct buf output, errors;
};

static void on_done(void *ctx, const struct process_result *r)
{
    struct child *c = ctx;

    assert_false(c->done);
    c->done = true;
    c->err = r->err;
    c->status = r->status;
    c->signal = r->signal;
    buf_str(&c->output, r->output);
    buf_str(&c->errors, r->errors);
}

static void start(struct child *c, char **argv, uint32_t timeout_ms)
{
    struct process_options o = {.argv = argv, .max_output = 10000, .timeout_ms = timeout_ms, .done = on_done, .ctx = c};

    *c = (struct child){.loop = loop_new("test")};
    assert_int_equal(process_start(c->loop, &o, &c->p, NULL), OK);
    assert_false(c->done);
}

static void end(struct child *c)
{
    world_loop_free(c->loop);
    buf_release(&c->output);
    buf_release(&c->errors);
}

static void test_output_errors_and_status(void **state)
{
    (void)state;
    struct child c;

    start(&c, (char *[]){"sh", "-c", "printf out; printf err >&2; exit 3", NULL}, 20000);
    world_until(c.loop, c.done);
    assert_int_equal(c.err, OK);
    assert_int_equal(c.status, 3);
    assert_int_equal(c.signal, 0);
    assert_str_c(buf_view(&c.output), "out");
    assert_str_c(buf_view(&c.errors), "err");
    end(&c);
}

static void test_standard_input_is_empty(void **state)
{
    (void)state;
    struct child c;

    start(&c, (char *[]){"cat", NULL}, 20000);
    world_until(c.loop, c.done);
    assert_int_equal(c.status, 0);
    assert_int_equal(c.output.n, 0);
    end(&c);
}

static void test_what_does_not_exist(void **state)
{
    (void)state;
    struct loop *loop = loop_new("test");
    struct process *p = NULL;
    struct diag d = {0};
    struct process_options o = {.argv = (char *[]){"/nonexistent/program", NULL}, .max_output = 1, .timeout_ms = 1};

    assert_int_equal(process_start(loop, &o, &p, &d), ERR_NOT_FOUND);
    assert_non_null(strstr(d.text, "/nonexistent/program"));
    world_loop_free(loop);
}

/* The grandchild holds the pipes: only the end of the whole group lets go of them. */
static void test_time_out_ends_the_group(void **state)
{
    (void)state;
    struct child c;

    start(&c, (char *[]){"sh", "-c", "sleep 1000 & sleep 1000", NULL}, 100);
    world_until(c.loop, c.done);
    assert_int_equal(c.err, ERR_TIMEOUT);
    assert_int_equal(c.signal, SIGKILL);
    end(&c);
}

static void test_too_much_output(void **state)
{
    (void)state;
    struct child c;

    start(&c, (char *[]){"sh", "-c", "while :; do echo 0123456789; done", NULL}, 20000);
    world_until(c.loop, c.done);
    assert_int_equal(c.err, ERR_LIMIT);
    assert_true(c.output.n <= 10000);
    end(&c);
}

static void test_many_error_lines_do_not_block_the_child(void **state)
{
    (void)state;
    struct child c;

    start(
        &c,
        (char *[]){"sh", "-c", "i=0; while [ $i -lt 20000 ]; do echo 0123456789 >&2; i=$((i+1)); done; echo end", NULL},
        20000);
    world_until(c.loop, c.done);
    assert_int_equal(c.status, 0);
    assert_str_c(buf_view(&c.output), "end\n");
    assert_int_equal(c.errors.n, 4096);
    end(&c);
}

static void test_cancel_says_nothing(void **state)
{
    (void)state;
    struct child c;

    start(&c, (char *[]){"sleep", "1000", NULL}, 20000);
    process_cancel(c.p);
    world_for(c.loop, 20);
    assert_false(c.done);
    end(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_output_errors_and_status), cmocka_unit_test(test_standard_input_is_empty),
        cmocka_unit_test(test_what_does_not_exist),      cmocka_unit_test(test_time_out_ends_the_group),
        cmocka_unit_test(test_too_much_output),          cmocka_unit_test(test_many_error_lines_do_not_block_the_child),
        cmocka_unit_test(test_cancel_says_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

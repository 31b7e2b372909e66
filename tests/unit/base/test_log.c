/* The log: both shapes, levels, dropping instead of waiting. */
#include "unit.h"

#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <pthread.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

struct run {
    struct log *log;
    int pipe[2];
    struct buf text;
};

static void start(struct run *r, enum log_level level, enum log_format format)
{
    assert_int_equal(pipe(r->pipe), 0);
    r->log = log_new(r->pipe[1], level, format);
}

static void finish(struct run *r)
{
    log_free(r->log);
    close(r->pipe[1]);
    for (;;) {
        buf_reserve(&r->text, 65536);
        ssize_t n = read(r->pipe[0], r->text.p + r->text.n, 65536);
        if (n <= 0)
            break;
        r->text.n += (size_t)n;
        r->text.p[r->text.n] = '\0';
    }
    close(r->pipe[0]);
}

/* The line behind its time, which is checked for its shape only. */
static const char *behind_time(const char *line, const char *before, char after)
{
    size_t n = strlen(before);
    assert_memory_equal(line, before, n);
    assert_int_equal(line[n + 10], 'T');
    assert_int_equal(line[n + 23], 'Z');
    assert_int_equal(line[n + 24], after);
    return line + n + 24;
}

static void logfmt(void **state)
{
    (void)state;
    struct run r = {0};
    start(&r, LOG_INFO, LOG_LOGFMT);
    log_line(r.log, LOG_WARN, "/src/a/manager.c", 118, "scrape failed",
             (struct log_field[]){F_C("target", "http://x/metrics"), F_STR("err", STR("a \"b\"\n")), F_INT("n", -5),
                                  F_DOUBLE("f", 1e21), F_C("empty", ""), F_C("eq", "a=b"), F_C("slash", "a\\b"),
                                  F_C("uni", "é"), F_C("nbsp", "\u00a0")},
             9);
    log_debug(r.log, "unseen");
    finish(&r);
    assert_string_equal(
        behind_time(r.text.p, "time=", ' '),
        " level=WARN source=manager.c:118 msg=\"scrape failed\" target=http://x/metrics err=\"a \\\"b\\\"\\n\" n=-5 "
        "f=1e+21 empty=\"\" eq=\"a=b\" slash=a\\b uni=é nbsp=\"\\u00a0\"\n");
    buf_release(&r.text);
}

static void json(void **state)
{
    (void)state;
    struct run r = {0};
    start(&r, LOG_DEBUG, LOG_JSON);
    log_debug(r.log, "two \"words\"", F_C("k", "v\xff"), F_INT("n", 7), F_DOUBLE("inf", -INFINITY));
    int line = __LINE__ - 1;
    finish(&r);
    char want[200];
    snprintf(want, sizeof(want),
             "\",\"level\":\"DEBUG\",\"source\":\"test_log.c:%d\",\"msg\":\"two "
             "\\\"words\\\"\",\"k\":\"v\\ufffd\",\"n\":7,\"inf\":\"-Inf\"}\n",
             line);
    assert_string_equal(behind_time(r.text.p, "{\"time\":\"", '"'), want);
    buf_release(&r.text);
}

static void levels_change(void **state)
{
    (void)state;
    struct run r = {0};
    start(&r, LOG_ERROR, LOG_LOGFMT);
    log_warn(r.log, "no");
    log_set_level(r.log, LOG_WARN);
    assert_true(log_enabled(r.log, LOG_WARN) && !log_enabled(r.log, LOG_INFO));
    log_warn(r.log, "yes");
    finish(&r);
    assert_null(strstr(r.text.p, "msg=no"));
    assert_non_null(strstr(r.text.p, "msg=yes"));
    buf_release(&r.text);
    log_error(NULL, "swallowed");
    assert_false(log_enabled(NULL, LOG_ERROR));
    assert_int_equal(log_dropped(NULL), 0);
    log_set_level(NULL, LOG_INFO);
    log_free(NULL);
}

static void a_stuck_reader_stops_nobody(void **state)
{
    (void)state;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    struct log *log = log_new(fds[1], LOG_INFO, LOG_LOGFMT);
    char text[1000];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    for (int i = 0; i < 1000; i++)
        log_info(log, text);
    assert_true(log_dropped(log) > 500);
    log_free(log); /* gives up, and leaves the thread with its memory */
    close(fds[0]); /* the thread gets EPIPE, and frees the log; fds[1] stays its own */
    usleep(100000);
}

static void *log_often(void *log)
{
    for (int i = 0; i < 500; i++)
        log_info(log, "line", F_INT("i", i));
    return NULL;
}

static void threads_write_whole_lines(void **state)
{
    (void)state;
    struct run r = {0};
    FILE *file = tmpfile();
    r.log = log_new(fileno(file), LOG_INFO, LOG_LOGFMT);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, log_often, r.log);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    uint64_t dropped = log_dropped(r.log);
    log_free(r.log);
    rewind(file);
    char line[256];
    uint64_t lines = 0;
    for (; fgets(line, sizeof(line), file); lines++)
        assert_memory_equal(behind_time(line, "time=", ' '), " level=INFO source=test_log.c:", 30);
    assert_int_equal(lines + dropped, 2000);
    fclose(file);
}

static void limits_say_what_they_swallowed(void **state)
{
    (void)state;
    struct log_limit limit = {0};
    uint32_t suppressed = 9;
    assert_true(log_allow(&limit, 60000, &suppressed));
    assert_int_equal(suppressed, 0);
    assert_false(log_allow(&limit, 60000, &suppressed));
    assert_false(log_allow(&limit, 60000, &suppressed));
    limit.next_ms = clock_mono_ms();
    assert_true(log_allow(&limit, 60000, &suppressed));
    assert_int_equal(suppressed, 2);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logfmt),
        cmocka_unit_test(json),
        cmocka_unit_test(levels_change),
        cmocka_unit_test(a_stuck_reader_stops_nobody),
        cmocka_unit_test(threads_write_whole_lines),
        cmocka_unit_test(limits_say_what_they_swallowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

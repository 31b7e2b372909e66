/* line_server, spoken to by raw sockets that cut their lines where it hurts. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net_fixture.h"

#include "base/buf.h"
#include "base/mem.h"
#include "net/line_server.h"

enum { MAX_LINE = 200000, MAX_UNFINISHED = 300000 };

struct state {
    struct loop *loop;
    struct line_server *server;
    struct buf text;   /* every line and a bar; of a long one its length */
    uint32_t n, until; /* lines */
    bool enough;
};

static void on_line(void *ctx, struct str line)
{
    struct state *s = ctx;
    if (line.n <= 40)
        buf_printf(&s->text, "%.*s|", STR_ARGS(line));
    else
        buf_printf(&s->text, "%zu|", line.n);
    s->enough = ++s->n >= s->until;
}

static int setup(void **out)
{
    struct state *s = NEW(struct state);
    struct diag d = {0};
    struct line_server_options o = {.address = STR("127.0.0.1:0"),
                                    .max_line = MAX_LINE,
                                    .max_unfinished = MAX_UNFINISHED,
                                    .max_connections = 3,
                                    .fn = on_line,
                                    .ctx = s};
    s->loop = fixture_loop_new();
    if (line_server_new(s->loop, &o, &s->server, &d))
        fail_msg("%s", d.text);
    buf_c(&s->text, "");
    *out = s;
    return 0;
}

static int teardown(void **out)
{
    struct state *s = *out;
    line_server_free(s->server);
    fixture_loop_free(s->loop);
    buf_release(&s->text);
    free(s);
    return 0;
}

static int dial(struct state *s)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)line_server_port(s->server)),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    return fd;
}

static void run_until(struct state *s, uint32_t lines)
{
    s->until = lines;
    s->enough = s->n >= lines;
    fixture_run_until(s->loop, &s->enough);
    assert_int_equal(s->n, lines);
}

static void send_x(struct state *s, int fd, size_t n)
{
    char block[1000];
    memset(block, 'x', sizeof(block));
    while (n) {
        size_t some = n < sizeof(block) ? n : sizeof(block);
        ssize_t sent = send(fd, block, some, MSG_DONTWAIT);
        if (sent > 0)
            n -= (size_t)sent;
        else
            fixture_run_for(s->loop, 5);
    }
}

static void run_until_connections(struct state *s, uint32_t n)
{
    for (int i = 0; i < 2000 && line_server_counts(s->server).connections != n; i++)
        fixture_run_for(s->loop, 5);
    assert_int_equal(line_server_counts(s->server).connections, n);
}

static void test_lines(void **state)
{
    struct state *s = *state;
    int fd = dial(s);
    raw_send(fd, "one\ntwo\r\n\nthr");
    run_until(s, 3);
    assert_string_equal(s->text.p, "one|two\r||");
    raw_send(fd, "ee\nfour");
    run_until(s, 4);
    close(fd);
    run_until(s, 5);
    assert_string_equal(s->text.p, "one|two\r||three|four|");
    run_until_connections(s, 0);
}

static void test_peers_do_not_mix(void **state)
{
    struct state *s = *state;
    int a = dial(s), b = dial(s);
    raw_send(a, "aa");
    fixture_run_for(s->loop, 20);
    raw_send(b, "bb\n");
    run_until(s, 1);
    raw_send(a, "AA\n");
    run_until(s, 2);
    assert_string_equal(s->text.p, "bb|aaAA|");
    close(a);
    close(b);
}

static void test_reset_keeps_what_came(void **state)
{
    struct state *s = *state;
    struct linger now = {.l_onoff = 1};
    int fd = dial(s);
    raw_send(fd, "whole\nbegun");
    run_until(s, 1);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    close(fd);
    run_until(s, 2);
    assert_string_equal(s->text.p, "whole|begun|");
    run_until_connections(s, 0);
}

static void test_longest(void **state)
{
    struct state *s = *state;
    int fd = dial(s);
    send_x(s, fd, MAX_LINE);
    raw_send(fd, "\n");
    run_until(s, 1);
    assert_string_equal(s->text.p, "200000|");
    assert_int_equal(line_server_counts(s->server).too_long, 0);
    close(fd);
}

/* One byte too much: the line is lost, what follows it is not. */
static void test_too_long(void **state)
{
    struct state *s = *state;
    int fd = dial(s);
    send_x(s, fd, MAX_LINE + 1);
    raw_send(fd, "\nnext\n");
    run_until(s, 1);
    send_x(s, fd, 3 * MAX_LINE);
    raw_send(fd, "\nlast");
    close(fd);
    run_until(s, 2);
    assert_string_equal(s->text.p, "next|last|");
    assert_int_equal(line_server_counts(s->server).too_long, 2);
}

static void test_too_long_to_the_end(void **state)
{
    struct state *s = *state;
    int fd = dial(s);
    run_until_connections(s, 1);
    send_x(s, fd, MAX_LINE + 1);
    close(fd);
    run_until_connections(s, 0);
    assert_int_equal(s->n, 0);
    assert_int_equal(line_server_counts(s->server).too_long, 1);
}

/* Many peers that begin lines and do not end them cannot have more than max_unfinished. */
static void test_no_room(void **state)
{
    struct state *s = *state;
    int a = dial(s), b = dial(s);
    send_x(s, a, 180000);
    send_x(s, b, 180000);
    for (int i = 0; i < 2000 && line_server_counts(s->server).no_room == 0; i++)
        fixture_run_for(s->loop, 5);
    assert_int_equal(line_server_counts(s->server).no_room, 1);
    raw_send(a, "\n");
    raw_send(b, "\n");
    run_until(s, 1);
    send_x(s, b, 180000); /* there is room again, for all */
    raw_send(b, "\n");
    run_until(s, 2);
    assert_string_equal(s->text.p, "180000|180000|");
    close(a);
    close(b);
}

static void test_too_many(void **state)
{
    struct state *s = *state;
    int fds[4];
    char byte;
    for (int i = 0; i < 3; i++)
        fds[i] = dial(s);
    run_until_connections(s, 3);
    fds[3] = dial(s);
    for (int i = 0; i < 2000 && line_server_counts(s->server).refused == 0; i++)
        fixture_run_for(s->loop, 5);
    assert_int_equal(recv(fds[3], &byte, 1, 0), 0); /* closed */
    assert_int_equal(line_server_counts(s->server).refused, 1);
    close(fds[0]);
    run_until_connections(s, 2);
    close(fds[3]);
    fds[3] = dial(s);
    raw_send(fds[3], "in\n");
    run_until(s, 1);
    for (int i = 1; i < 4; i++)
        close(fds[i]);
}

/* Nothing has turned the loop since the peers wrote: accepted or not, ended or not, it comes out. */
static void test_flush(void **state)
{
    struct state *s = *state;
    int a = dial(s), b;
    raw_send(a, "a1\na");
    run_until(s, 1);
    raw_send(a, "2\na3");
    b = dial(s);
    raw_send(b, "b1\nb2\n");
    usleep(20000);
    line_server_flush(s->server);
    assert_int_equal(s->n, 5);
    assert_true(str_contains(buf_view(&s->text), STR("a2|a3|")));
    assert_true(str_contains(buf_view(&s->text), STR("b1|b2|")));
    close(a);
    close(b);
}

static void test_address_is_taken(void **state)
{
    struct state *s = *state;
    AUTO_BUF address = {0};
    struct line_server *second;
    struct diag d = {0};
    buf_printf(&address, "127.0.0.1:%d", line_server_port(s->server));
    struct line_server_options o = {.address = buf_view(&address), .fn = on_line, .ctx = s};
    assert_int_equal(line_server_new(s->loop, &o, &second, &d), ERR_NET);
    assert_true(str_contains(str_c(d.text), buf_view(&address)));
    assert_true(str_contains(str_c(d.text), STR("in use")));
    o.address = STR("127.0.0.1");
    diag_reset(&d);
    assert_int_equal(line_server_new(s->loop, &o, &second, &d), ERR_SYNTAX);
    assert_true(str_contains(str_c(d.text), STR("missing port")));
}

static void test_any_address(void **state)
{
    struct state *s = *state;
    struct line_server_options o = {.address = STR(":0"), .fn = on_line, .ctx = s};
    struct line_server *both;
    struct diag d = {0};
    assert_int_equal(line_server_new(s->loop, &o, &both, &d), OK);
    line_server_free(s->server);
    s->server = both;
    int fd = dial(s);
    raw_send(fd, "v4\n");
    run_until(s, 1);
    close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_lines),       TEST(test_peers_do_not_mix), TEST(test_reset_keeps_what_came),
        TEST(test_longest),     TEST(test_too_long),         TEST(test_too_long_to_the_end),
        TEST(test_no_room),     TEST(test_too_many),         TEST(test_flush),
        TEST(test_any_address), TEST(test_address_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* emf_input, spoken to over real sockets: what comes out, where it goes, and what is said of the rest. The cases are
 * those of the CloudWatch agent's listener, and those in which leadline loses less.
 */
#include "unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "source/emf_input/emf_input.h"
#include "world.h"

struct state {
    struct loop *loop;
    struct counters *counters;
    struct plan *plan;
    struct plan_emf_input config;
    struct log_event_consumer consumer;
    struct emf_input *input;
    struct buf got; /* "group|stream|text" and a newline, of each */
    uint32_t n, appends;
    int64_t last_ms;
    uint16_t port;
    char address[32];
};

static void append(struct log_event_consumer *self, const struct log_event *v, uint32_t n)
{
    struct state *s = CONTAINER_OF(self, struct state, consumer);
    for (uint32_t i = 0; i < n; i++) {
        buf_printf(&s->got, "%.*s|%.*s|", STR_ARGS(v[i].group), STR_ARGS(v[i].stream));
        if (v[i].text.n < 200)
            buf_str(&s->got, v[i].text);
        else
            buf_printf(&s->got, "%zu", v[i].text.n);
        buf_char(&s->got, '\n');
        s->last_ms = v[i].ts_ms;
    }
    s->n += n;
    s->appends++;
}

static int open_socket(int type)
{
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    return fd;
}

/* A port that is free for both. */
static uint16_t free_port(void)
{
    for (;;) {
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t n = sizeof(a);
        int tcp = open_socket(SOCK_STREAM), udp = open_socket(SOCK_DGRAM);
        assert_int_equal(bind(tcp, (struct sockaddr *)&a, n), 0);
        assert_int_equal(getsockname(tcp, (struct sockaddr *)&a, &n), 0);
        int taken = bind(udp, (struct sockaddr *)&a, n);
        close(tcp);
        close(udp);
        if (!taken)
            return ntohs(a.sin_port);
    }
}

static int setup(void **out)
{
    struct state *s = NEW(struct state);
    struct diag d = {0};
    s->loop = loop_new("test");
    s->counters = counters_new();
    s->plan = plan_new();
    s->consumer.append = append;
    s->port = free_port();
    snprintf(s->address, sizeof(s->address), "127.0.0.1:%u", s->port);
    s->config = (struct plan_emf_input){.tcp = str_c(s->address), .udp = str_c(s->address), .log_stream = STR("own")};
    struct emf_input_options o = {
        .loop = s->loop, .counters = s->counters, .plan = s->plan, .config = &s->config, .consumer = &s->consumer};
    if (emf_input_new(&o, &s->input, &d))
        fail_msg("%s", d.text);
    buf_c(&s->got, "");
    *out = s;
    return 0;
}

static int teardown(void **out)
{
    struct state *s = *out;
    emf_input_free(s->input);
    world_loop_free(s->loop);
    counters_free(s->counters);
    plan_unref(s->plan);
    buf_release(&s->got);
    free(s);
    return 0;
}

static int dial(struct state *s, int type)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(s->port)};
    int fd = open_socket(type);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    return fd;
}

static void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), 0), (ssize_t)strlen(text));
}

static void datagram(struct state *s, const char *text)
{
    int fd = dial(s, SOCK_DGRAM);
    say(fd, text);
    close(fd);
}

static double dropped(struct state *s, const char *reason)
{
    struct counter_label l = {STR("reason"), str_c(reason)};
    return counters_sum(s->counters, "leadline_emf_input_dropped_total", &l, 1);
}

static double taken(struct state *s, const char *transport)
{
    struct counter_label l = {STR("transport"), str_c(transport)};
    return counters_sum(s->counters, "leadline_emf_input_events_total", &l, 1);
}

#define V1 "{\"_aws\":{\"LogGroupName\":\"/app\",\"LogStreamName\":\"s\",\"Timestamp\":5},\"a\": 1.50, \"a\":2}"
#define V0 "{\"log_group_name\":\"x\",\"msg\":\"hi\"}"

static void test_tcp(void **state)
{
    struct state *s = *state;
    int64_t before = clock_wall_ms();
    int fd = dial(s, SOCK_STREAM);
    say(fd, "  " V1 " \r\n\n" V0 "\n" V0);
    world_until(s->loop, s->n == 2);
    assert_int_equal(s->appends, 1); /* of one turn, together */
    close(fd);
    world_until(s->loop, s->n == 3);
    assert_str_c(buf_view(&s->got), "/app|s|" V1 "\nx|own|" V0 "\nx|own|" V0 "\n");
    assert_true(s->last_ms >= before && s->last_ms <= clock_wall_ms());
    assert_true(taken(s, "tcp") == 3 && taken(s, "udp") == 0);
}

static void test_udp(void **state)
{
    struct state *s = *state;
    datagram(s, V1 "\r\n");
    datagram(s, "\t " V0 " \t");
    datagram(s, "\n");
    datagram(s, "{\n \"log_group_name\":\n \"x\"}");
    world_until(s->loop, s->n == 3);
    assert_str_c(buf_view(&s->got), "/app|s|" V1 "\nx|own|" V0 "\nx|own|{\n \"log_group_name\":\n \"x\"}\n");
    assert_true(taken(s, "udp") == 3);
}

/* The original drops both. */
static void test_lines_of_a_datagram(void **state)
{
    struct state *s = *state;
    datagram(s, V1 "\n\n " V0 "\r\n{\"no\":\"group\"}\n");
    world_until(s->loop, s->n == 2);
    assert_str_c(buf_view(&s->got), "/app|s|" V1 "\nx|own|" V0 "\n");
    assert_true(dropped(s, "no_group") == 1);
    datagram(s, V1 "\n" V0 "}");
    world_until(s->loop, dropped(s, "invalid") == 1);
    assert_int_equal(s->n, 2);
}

static void test_dropped(void **state)
{
    struct state *s = *state;
    struct push_status status;
    int fd = dial(s, SOCK_STREAM);
    say(fd, "hello\n{\"a\":1}\n{\"log_group_name\":\"a b\"}\n[1]\n" V0 "\n");
    world_until(s->loop, s->n == 1);
    assert_true(dropped(s, "invalid") == 2);
    assert_true(dropped(s, "no_group") == 1);
    assert_true(dropped(s, "bad_group") == 1);
    emf_input_status(s->input, &status);
    assert_int_equal(status.received, 1);
    assert_int_equal(status.dropped, 4);
    assert_int_equal(status.connections, 1);
    assert_true(status.last_ms > 0);
    assert_str_c(status.last_error, "invalid: it is no JSON object");
    assert_true(str_starts(status.address, STR("tcp 127.0.0.1:")));
    close(fd);
}

static void test_names(void **state)
{
    struct state *s = *state;
    struct buf text = {0};
    int fd = dial(s, SOCK_STREAM);
    say(fd, "{\"log_group_name\":\"a.b-c_d/e#F9\",\"log_stream_name\":\"arn:aws:x/*\"}\n");
    world_until(s->loop, s->n == 1);
    assert_true(str_starts(buf_view(&s->got), STR("a.b-c_d/e#F9|arn_aws_x/_|")));
    for (int n = 512; n <= 513; n++) {
        buf_clear(&text);
        buf_printf(&text, "{\"log_group_name\":\"%0*d\",\"log_stream_name\":\"%0*d\"}\n", n, 7, n, 7);
        say(fd, text.p);
    }
    world_until(s->loop, dropped(s, "bad_group") == 1);
    world_until(s->loop, s->n == 2);
    buf_release(&text);
    close(fd);
}

/* The longest event that the service takes; one byte more is dropped, and the connection goes on. */
static void test_longest(void **state)
{
    struct state *s = *state;
    int fd = dial(s, SOCK_STREAM);
    for (size_t n = (1 << 20) - 1050; n <= (1 << 20) + 20000; n = n < (1 << 20) - 1049 ? n + 1 : n + 20025) {
        char *text = mem_alloc(n + 2);
        size_t sent = 0;
        memset(text, 'x', n);
        memcpy(text, "{\"log_group_name\":\"x\",\"a\":\"", 27);
        memcpy(text + n - 2, "\"}\n", 4);
        while (sent < n + 1) {
            ssize_t some = send(fd, text + sent, n + 1 - sent, MSG_DONTWAIT);
            sent += some > 0 ? (size_t)some : 0;
            world_turn(s->loop, 1);
        }
        free(text);
    }
    say(fd, V0 "\n");
    world_until(s->loop, s->n == 2);
    assert_str_c(buf_view(&s->got), "x|own|1047526\nx|own|" V0 "\n");
    emf_input_flush(s->input); /* asks the socket */
    assert_true(dropped(s, "too_long") == 2);
    close(fd);
}

static void test_own_group(void **state)
{
    struct state *s = *state;
    struct plan_emf_input config = s->config;
    struct diag d = {0};
    config.log_group = STR("emf/default");
    assert_int_equal(emf_input_update(s->input, s->plan, &config, &d), OK);
    datagram(s, "{\"a\":1}");
    datagram(s, V0);
    world_until(s->loop, s->n == 2);
    assert_str_c(buf_view(&s->got), "emf/default|own|{\"a\":1}\nx|own|" V0 "\n");
    struct plan_emf_input shadow = config;
    shadow.shadow_group = STR("beside");
    assert_int_equal(emf_input_update(s->input, s->plan, &shadow, &d), OK);
    datagram(s, V1);
    world_until(s->loop, s->n == 3);
    assert_true(str_ends(buf_view(&s->got), STR("beside|s|" V1 "\n")));
    emf_input_flush(s->input);
    assert_int_equal(emf_input_update(s->input, s->plan, &s->config, &d), OK);
}

/* Nothing turns the loop any more, and all comes out. */
static void test_flush(void **state)
{
    struct state *s = *state;
    int fd = dial(s, SOCK_STREAM);
    say(fd, V0 "\n" V0);
    datagram(s, V1);
    datagram(s, V1);
    usleep(20000);
    emf_input_flush(s->input);
    assert_int_equal(s->n, 4);
    close(fd);
}

static void test_free_flushes(void **state)
{
    struct state *s = *state;
    struct plan_emf_input tcp_only = s->config;
    struct diag d = {0};
    datagram(s, V1);
    usleep(10000);
    tcp_only.udp = STR("");
    assert_int_equal(emf_input_update(s->input, s->plan, &tcp_only, &d), OK); /* reads the socket that it closes */
    world_until(s->loop, s->n == 1);
    int fd = dial(s, SOCK_STREAM);
    say(fd, V0);
    usleep(10000);
    emf_input_free(s->input);
    assert_int_equal(s->n, 2);
    close(fd);
    struct emf_input_options o = {
        .loop = s->loop, .counters = s->counters, .plan = s->plan, .config = &s->config, .consumer = &s->consumer};
    world_turn(s->loop, 1);
    assert_int_equal(emf_input_new(&o, &s->input, &d), OK);
}

/* An address that cannot be had changes nothing. */
static void test_refused_update(void **state)
{
    struct state *s = *state;
    struct plan_emf_input config = s->config;
    struct diag d = {0};
    char text[32];
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(a);
    int taken_port = open_socket(SOCK_DGRAM);
    assert_int_equal(bind(taken_port, (struct sockaddr *)&a, n), 0);
    assert_int_equal(getsockname(taken_port, (struct sockaddr *)&a, &n), 0);
    snprintf(text, sizeof(text), "127.0.0.1:%u", ntohs(a.sin_port));
    config.tcp = STR("127.0.0.1:0");
    config.udp = str_c(text);
    assert_int_equal(emf_input_update(s->input, s->plan, &config, &d), ERR_NET);
    assert_true(str_contains(str_c(d.text), str_c(text)));
    datagram(s, V1);
    int fd = dial(s, SOCK_STREAM);
    say(fd, V0 "\n");
    world_until(s->loop, s->n == 2);
    close(fd);
    close(taken_port);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_tcp),
        TEST(test_udp),
        TEST(test_lines_of_a_datagram),
        TEST(test_dropped),
        TEST(test_names),
        TEST(test_longest),
        TEST(test_own_group),
        TEST(test_flush),
        TEST(test_free_flushes),
        TEST(test_refused_update),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

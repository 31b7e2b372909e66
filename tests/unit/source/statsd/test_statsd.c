/* The listener: datagrams on a socket of this machine become data, nothing is lost at the end or at a reload, and what
 * is dropped is counted by reason. */
#include "unit.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"
#include "source/statsd/statsd.h"

struct bench {
    struct datum_consumer consumer;
    struct loop *loop;
    struct counters *counters;
    struct plan *plan;
    struct plan_statsd config;
    struct statsd *statsd;
    struct buf out; /* name=value each */
    struct timer alarm, look;
    uint32_t samples, n, wanted;
    int port, fd;
};

static void append(struct datum_consumer *self, const struct datum *v, uint32_t n)
{
    struct bench *b = CONTAINER_OF(self, struct bench, consumer);
    for (uint32_t i = 0; i < n; i++) {
        int64_t age = clock_wall_ms() - v[i].ts_ms;
        assert_true(age >= -1000 && age < 60000);
        b->samples += v[i].samples;
        buf_printf(&b->out, "%.*s=", STR_ARGS(v[i].name));
        buf_double(&b->out, v[i].values[0]);
        buf_char(&b->out, ' ');
    }
    b->n += n;
}

/* A port that was free a moment ago: the configuration names it. */
static int free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(a);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, n), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    close(fd);
    return ntohs(a.sin_port);
}

static int sender(int port)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    return fd;
}

static struct plan_statsd config_for(struct plan *plan, int port)
{
    char text[32];
    int n = snprintf(text, sizeof(text), "127.0.0.1:%d", port);
    return (struct plan_statsd){
        .address = str_dup(&plan->arena, str_from(text, (size_t)n)),
        .collection_ms = 10000,
        .pending = 10000,
        .separator = STR("_"),
    };
}

static void bench_open(struct bench *b, int64_t collection_ms)
{
    struct diag d = {0};
    *b = (struct bench){.consumer.append = append};
    b->loop = loop_new("test");
    b->counters = counters_new();
    b->plan = plan_new();
    b->port = free_port();
    b->config = config_for(b->plan, b->port);
    b->config.collection_ms = collection_ms;
    b->fd = sender(b->port);
    struct statsd_options o = {
        .loop = b->loop, .counters = b->counters, .plan = b->plan, .config = &b->config, .consumer = &b->consumer};
    assert_int_equal(statsd_new(&o, &b->statsd, &d), OK);
}

static void bench_close(struct bench *b)
{
    statsd_free(b->statsd);
    loop_stop(b->loop);
    loop_run(b->loop);
    loop_free(b->loop);
    plan_unref(b->plan);
    counters_free(b->counters);
    buf_release(&b->out);
    close(b->fd);
}

static void say(struct bench *b, const char *datagram)
{
    assert_int_equal(send(b->fd, datagram, strlen(datagram), 0), (ssize_t)strlen(datagram));
}

static double dropped(struct bench *b, const char *reason)
{
    struct counter_label label = {STR("reason"), str_c(reason)};
    return counters_sum(b->counters, "leadline_statsd_dropped_total", &label, 1);
}

static void what_the_socket_holds_leaves_at_the_end(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 10000);
    say(&b, "a.b:1|c\n\n  c:2|g \r\n");
    say(&b, "a.b:2|c");
    statsd_flush(b.statsd);
    assert_str_c(buf_view(&b.out), "a_b=3 c=2 ");
    assert_int_equal(b.samples, 3);
    assert_true(counters_sum(b.counters, "leadline_statsd_lines_total", NULL, 0) == 3);
    say(&b, "last:1|c");
    statsd_free(b.statsd);
    b.statsd = NULL;
    assert_int_equal(b.n, 3);
    bench_close(&b);
}

static void bad_lines_are_counted_and_harm_only_themselves(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 10000);
    say(&b,
        "nothing\na:1\nb:1|x\nc:-1|ms\nd:0x1|c\ne:1e30|c\nf:nan|g\ng:1e300|g\nh:1|ms|@5\ngood:1|c:2|c:x|c\nrate:1|c|z");
    statsd_flush(b.statsd);
    assert_str_c(buf_view(&b.out), "good=3 rate=1 ");
    assert_true(dropped(&b, "syntax") == 2);
    assert_true(dropped(&b, "type") == 1);
    assert_true(dropped(&b, "sign") == 1);
    assert_true(dropped(&b, "value") == 2);
    assert_true(dropped(&b, "range") == 1);
    assert_true(dropped(&b, "not_finite") == 1);
    assert_true(dropped(&b, "too_large") == 1);
    assert_true(dropped(&b, "rate") == 1);
    struct push_status status;
    statsd_status(b.statsd, &status);
    assert_int_equal(status.dropped, 10);
    assert_int_equal(status.received, 4);
    assert_str_c(status.name, "statsd");
    assert_true(str_starts(status.address, STR("127.0.0.1:")));
    assert_true(status.last_error.n > 0 && status.last_ms > 0);
    bench_close(&b);
}

static void stop(struct timer *t)
{
    loop_stop(t->loop);
}

static void look(struct timer *t)
{
    struct bench *b = CONTAINER_OF(t, struct bench, look);
    if (b->n < b->wanted) {
        timer_start(t->loop, t, 5, look);
        return;
    }
    timer_stop(&b->alarm);
    statsd_free(b->statsd); /* its socket keeps the loop alive */
    b->statsd = NULL;
    stop(t);
}

static void give_up(struct timer *t)
{
    (void)t;
    fail_msg("nothing came");
}

static void collections_come_by_themselves(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 20);
    b.wanted = 1;
    say(&b, "a:5|c");
    timer_start(b.loop, &b.alarm, 20000, give_up);
    timer_start(b.loop, &b.look, 0, look);
    loop_run(b.loop);
    assert_str_c(buf_view(&b.out), "a=5 ");
    bench_close(&b);
}

static void windows_end_by_themselves(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 10);
    struct plan *plan = plan_new();
    struct plan_statsd other = b.config;
    other.aggregation_ms = 50;
    assert_int_equal(statsd_update(b.statsd, plan, &other, NULL), OK);
    b.wanted = 1;
    say(&b, "a:1|c");
    timer_start(b.loop, &b.alarm, 20000, give_up);
    timer_start(b.loop, &b.look, 0, look);
    loop_run(b.loop);
    assert_str_c(buf_view(&b.out), "a=1.0488088481701516 ");
    plan_unref(plan);
    bench_close(&b);
}

static void a_reload_keeps_what_is_pending(void **state)
{
    (void)state;
    struct bench b;
    struct diag d = {0};
    bench_open(&b, 10000);
    struct plan *plan = plan_new();
    int port = free_port();
    struct plan_statsd same = config_for(plan, b.port), moved = config_for(plan, port), taken = same;
    say(&b, "a:1|c");
    assert_int_equal(statsd_update(b.statsd, plan, &same, &d), OK);
    assert_int_equal(b.n, 0);
    assert_int_equal(statsd_update(b.statsd, plan, &moved, &d), OK); /* reads the old socket to its end */
    int fd = sender(port);
    assert_int_equal(send(fd, "a:2|c", 5, 0), 5);
    int other = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)b.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(bind(other, (struct sockaddr *)&a, sizeof(a)), 0); /* it was given back */
    assert_int_equal(statsd_update(b.statsd, plan, &taken, &d), ERR_NET);
    assert_non_null(strstr(d.text, "Address already in use"));
    statsd_flush(b.statsd);
    assert_str_c(buf_view(&b.out), "a=3 ");
    close(fd);
    close(other);
    bench_close(&b);
    plan_unref(plan);
}

static void a_taken_address_is_an_error(void **state)
{
    (void)state;
    struct bench b;
    struct diag d = {0};
    struct statsd *second = NULL;
    bench_open(&b, 10000);
    struct statsd_options o = {.loop = b.loop, .plan = b.plan, .config = &b.config, .consumer = &b.consumer};
    assert_int_equal(statsd_new(&o, &second, &d), ERR_NET);
    assert_non_null(strstr(d.text, "listen udp 127.0.0.1:"));
    assert_non_null(strstr(d.text, "Address already in use"));
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_socket_holds_leaves_at_the_end),
        cmocka_unit_test(bad_lines_are_counted_and_harm_only_themselves),
        cmocka_unit_test(collections_come_by_themselves),
        cmocka_unit_test(windows_end_by_themselves),
        cmocka_unit_test(a_reload_keeps_what_is_pending),
        cmocka_unit_test(a_taken_address_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Datagrams arrive whole, in order and as often as they were sent; a full socket is counted; addresses that cannot be
 * had are named with the reason. */
#include "unit.h"

#include <arpa/inet.h>
#include <unistd.h>

#include "net/udp.h"
#include "net_fixture.h"

struct inbox {
    struct udp *udp;
    uint32_t n, close_after;
    size_t bytes, longest;
    bool ordered, enough;
    uint32_t wanted;
};

static void take(void *ctx, struct str datagram)
{
    struct inbox *in = ctx;
    uint32_t number = UINT32_MAX;
    if (datagram.n >= sizeof(number))
        memcpy(&number, datagram.p, sizeof(number));
    in->ordered &= number == in->n;
    in->n++;
    in->bytes += datagram.n;
    in->longest = datagram.n > in->longest ? datagram.n : in->longest;
    in->enough = in->n >= in->wanted;
    if (in->n == in->close_after)
        udp_close(in->udp);
}

static void inbox_open(struct loop *loop, const char *address, struct inbox *in)
{
    struct diag d = {0};
    *in = (struct inbox){.ordered = true};
    assert_int_equal(udp_open(loop, str_c(address), take, in, &in->udp, &d), OK);
}

static int sender_to(int family, const char *ip, int port)
{
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(family, SOCK_DGRAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(inet_pton(family, ip, family == AF_INET ? (void *)&four.sin_addr : (void *)&six.sin6_addr), 1);
    if (family == AF_INET)
        assert_int_equal(connect(fd, (struct sockaddr *)&four, sizeof(four)), 0);
    else
        assert_int_equal(connect(fd, (struct sockaddr *)&six, sizeof(six)), 0);
    return fd;
}

static void send_number(int fd, uint32_t number, size_t size)
{
    char *bytes = calloc(1, size);
    memcpy(bytes, &number, sizeof(number));
    assert_int_equal(send(fd, bytes, size, 0), (ssize_t)size);
    free(bytes);
}

static void datagrams_arrive_whole_and_in_order(void **state)
{
    (void)state;
    struct loop *loop = fixture_loop_new();
    struct inbox in;
    inbox_open(loop, "127.0.0.1:0", &in);
    int fd = sender_to(AF_INET, "127.0.0.1", udp_port(in.udp));
    in.wanted = 41;
    for (uint32_t i = 0; i < 40; i++)
        send_number(fd, i, 4 + i);
    send_number(fd, 40, 60000);
    fixture_run_until(loop, &in.enough);
    assert_true(in.ordered);
    assert_int_equal(in.n, 41);
    assert_int_equal(in.longest, 60000);
    assert_int_equal(udp_dropped(in.udp), 0);
    close(fd);
    udp_close(in.udp);
    fixture_loop_free(loop);
}

static void an_empty_host_is_both_families(void **state)
{
    (void)state;
    struct loop *loop = fixture_loop_new();
    struct inbox in;
    inbox_open(loop, ":0", &in);
    in.wanted = 1;
    int four = sender_to(AF_INET, "127.0.0.1", udp_port(in.udp));
    send_number(four, 0, 10);
    fixture_run_until(loop, &in.enough);
    close(four);
    int probe = socket(AF_INET6, SOCK_DGRAM, 0);
    if (probe >= 0) {
        close(probe);
        int six = sender_to(AF_INET6, "::1", udp_port(in.udp));
        in.wanted = 2;
        in.enough = false;
        send_number(six, 1, 10);
        fixture_run_until(loop, &in.enough);
        assert_true(in.ordered);
        close(six);
    }
    udp_close(in.udp);
    fixture_loop_free(loop);
}

static void what_waits_is_drained_at_the_end(void **state)
{
    (void)state;
    struct loop *loop = fixture_loop_new();
    struct inbox in;
    inbox_open(loop, "127.0.0.1:0", &in);
    int fd = sender_to(AF_INET, "127.0.0.1", udp_port(in.udp));
    for (uint32_t i = 0; i < 100; i++)
        send_number(fd, i, 8);
    udp_drain(in.udp);
    assert_int_equal(in.n, 100);
    assert_true(in.ordered);
    close(fd);
    udp_close(in.udp);
    fixture_loop_free(loop);
}

static void a_function_may_close_its_socket(void **state)
{
    (void)state;
    struct loop *loop = fixture_loop_new();
    struct inbox in;
    inbox_open(loop, "127.0.0.1:0", &in);
    in.close_after = 3;
    in.wanted = 3;
    int fd = sender_to(AF_INET, "127.0.0.1", udp_port(in.udp));
    for (uint32_t i = 0; i < 10; i++)
        send_number(fd, i, 8);
    fixture_run_until(loop, &in.enough);
    fixture_run_for(loop, 20);
    assert_int_equal(in.n, 3);
    close(fd);
    fixture_loop_free(loop);
}

static void the_kernels_drops_are_counted(void **state)
{
    (void)state;
    struct loop *loop = fixture_loop_new();
    struct inbox in;
    inbox_open(loop, "127.0.0.1:0", &in);
    int fd = sender_to(AF_INET, "127.0.0.1", udp_port(in.udp));
    enum { SENT = 2000 }; /* of 32 KB: 64 MB, far beyond any buffer */
    for (uint32_t i = 0; i < SENT; i++)
        send_number(fd, i, 32000);
    udp_drain(in.udp);
    assert_true(in.n > 0 && in.n < SENT);
    assert_int_equal(in.n + udp_dropped(in.udp), SENT);
    close(fd);
    udp_close(in.udp);
    fixture_loop_free(loop);
}

static void refuse(struct loop *loop, const char *address, enum err expected, const char *text)
{
    struct diag d = {0};
    struct udp *u = NULL;
    assert_int_equal(udp_open(loop, str_c(address), take, NULL, &u, &d), expected);
    assert_null(u);
    if (!strstr(d.text, text))
        fail_msg("%s: %s", address, d.text);
}

static void errors_name_address_and_reason(void **state)
{
    (void)state;
    struct loop *loop = fixture_loop_new();
    struct inbox in;
    char taken[64];
    inbox_open(loop, "127.0.0.1:0", &in);
    snprintf(taken, sizeof(taken), "127.0.0.1:%d", udp_port(in.udp));
    refuse(loop, taken, ERR_NET, "listen udp 127.0.0.1:");
    refuse(loop, taken, ERR_NET, "Address already in use");
    refuse(loop, "203.0.113.9:8125", ERR_NET, "listen udp 203.0.113.9:8125: bind");
    refuse(loop, "8125", ERR_SYNTAX, "missing port in address");
    refuse(loop, ":statsd", ERR_SYNTAX, "invalid port");
    refuse(loop, "::1:8125", ERR_SYNTAX, "too many colons");
    udp_close(in.udp);
    udp_close(NULL);
    fixture_loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(datagrams_arrive_whole_and_in_order), cmocka_unit_test(an_empty_host_is_both_families),
        cmocka_unit_test(what_waits_is_drained_at_the_end),    cmocka_unit_test(a_function_may_close_its_socket),
        cmocka_unit_test(the_kernels_drops_are_counted),       cmocka_unit_test(errors_name_address_and_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

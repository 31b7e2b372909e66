/* resolver against a DNS server inside the test: a UDP socket on a thread that answers by the first label of the name.
 *
 *   short.*  A 192.0.2.1, AAAA 2001:db8::1, both for 1 s      gone.*   no such name
 *   long.*   A 192.0.2.2 for an hour                         silent.* no answer
 *   broken.* server failure
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net_fixture.h"

#include "base/clock.h"
#include "base/mem.h"
#include "net/resolver.h"

struct dns {
    int fd, port;
    pthread_t thread;
    atomic_int n_queries;
};

struct state {
    struct loop *loop;
    struct poller *poller;
    struct resolver *resolver;
    struct dns dns;
};

struct asked {
    struct resolver_lookup lookup;
    bool done;
    enum err err;
    struct net_addresses addresses;
    char text[sizeof(((struct diag *)0)->text)];
    struct state *again; /* ask once more from the callback */
    const char *name;
};

/* Fills in the answer behind the question; the whole length. */
static size_t answer(const unsigned char *q, size_t n, unsigned char *out)
{
    bool is = false;
    memcpy(out, q, n);
    out[2] = 0x81;
    out[3] = 0x80;
    out[8] = out[9] = out[10] = out[11] = 0; /* no authority, no additional records */
    size_t at = 12;
    while (at < n && q[at]) {
        at += (size_t)q[at] + 1;
    }
    int type = q[at + 2];
    at += 5;
    const char *label = (const char *)q + 13;
    if (strncmp(label, "gone", 4) == 0 || strncmp(label, "broken", 6) == 0) {
        out[3] = label[0] == 'g' ? 0x83 : 0x82;
        return at;
    }
    is = strncmp(label, "short", 5) == 0;
    if (type == 28 && !is) {
        return at;
    }
    out[7] = 1;
    unsigned ttl = is ? 1 : 3600;
    unsigned char record[] = {0xc0,
                              12,
                              0,
                              (unsigned char)type,
                              0,
                              1,
                              0,
                              0,
                              (unsigned char)(ttl >> 8),
                              (unsigned char)ttl,
                              0,
                              type == 28 ? 16 : 4};
    memcpy(out + at, record, sizeof(record));
    at += sizeof(record);
    if (type == 28) {
        inet_pton(AF_INET6, "2001:db8::1", out + at);
        return at + 16;
    }
    inet_pton(AF_INET, is ? "192.0.2.1" : "192.0.2.2", out + at);
    return at + 4;
}

static void *dns_main(void *arg)
{
    struct dns *d = arg;
    for (;;) {
        unsigned char q[512], out[1024];
        struct sockaddr_in from;
        socklen_t n_from = sizeof(from);
        ssize_t n = recvfrom(d->fd, q, sizeof(q), 0, (struct sockaddr *)&from, &n_from);
        if (n < 17) {
            return NULL; /* the test's way to end us */
        }
        d->n_queries++;
        if (strncmp((char *)q + 13, "silent", 6) != 0) {
            size_t size = answer(q, (size_t)n, out);
            sendto(d->fd, out, size, 0, (struct sockaddr *)&from, n_from);
        }
    }
}

static struct sockaddr_in dns_address(const struct dns *d)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)d->port)};
}

static int setup(void **out)
{
    struct state *s = NEW(struct state);
    struct sockaddr_in a = dns_address(&s->dns);
    socklen_t n = sizeof(a);
    char server[32];
    s->dns.fd = socket(AF_INET, SOCK_DGRAM, 0);
    assert_int_equal(bind(s->dns.fd, (struct sockaddr *)&a, n), 0);
    getsockname(s->dns.fd, (struct sockaddr *)&a, &n);
    s->dns.port = ntohs(a.sin_port);
    pthread_create(&s->dns.thread, NULL, dns_main, &s->dns);
    s->loop = fixture_loop_new();
    s->poller = poller_new(s->loop);
    s->resolver = resolver_new(s->loop, s->poller);
    snprintf(server, sizeof(server), "127.0.0.1:%d", s->dns.port);
    assert_int_equal(resolver_use_server(s->resolver, server), OK);
    *out = s;
    return 0;
}

static int teardown(void **out)
{
    struct state *s = *out;
    struct sockaddr_in a = dns_address(&s->dns);
    resolver_free(s->resolver);
    poller_free(s->poller, NULL, NULL);
    fixture_loop_free(s->loop);
    sendto(s->dns.fd, "", 1, 0, (struct sockaddr *)&a, sizeof(a));
    pthread_join(s->dns.thread, NULL);
    close(s->dns.fd);
    free(s);
    return 0;
}

static void found(struct resolver_lookup *l, enum err err, const struct net_addresses *addresses,
                  const struct diag *diag)
{
    struct asked *a = CONTAINER_OF(l, struct asked, lookup);
    struct state *again = a->again;
    a->err = err;
    a->addresses = *addresses;
    snprintf(a->text, sizeof(a->text), "%s", diag->text);
    if (again) {
        a->again = NULL;
        resolver_start(again->resolver, str_c(a->name), l);
        return;
    }
    a->done = true;
}

static void ask(struct state *s, struct asked *a, const char *name)
{
    *a = (struct asked){.lookup.fn = found, .name = name};
    resolver_start(s->resolver, str_c(name), &a->lookup);
    assert_false(a->done);
}

static void lookup(struct state *s, struct asked *a, const char *name)
{
    ask(s, a, name);
    fixture_run_until(s->loop, &a->done);
}

static bool has(const struct net_addresses *addresses, const char *text)
{
    AUTO_BUF b = {0};
    for (int i = 0; i < addresses->n; i++) {
        buf_clear(&b);
        net_address_print(&b, &addresses->a[i]);
        if (strcmp(b.p, text) == 0) {
            return true;
        }
    }
    return false;
}

static void finds_both_families(void **out)
{
    struct state *s = *out;
    struct asked a;
    lookup(s, &a, "short.example.");
    assert_int_equal(a.err, OK);
    assert_int_equal(a.addresses.n, 2);
    assert_true(has(&a.addresses, "192.0.2.1:0"));
    assert_true(has(&a.addresses, "[2001:db8::1]:0"));
}

static void keeps_answers_for_their_time(void **out)
{
    struct state *s = *out;
    struct asked a;
    struct net_addresses known;
    assert_int_equal(resolver_get(s->resolver, STR("long.example."), &known), ERR_AGAIN);
    lookup(s, &a, "long.example.");
    lookup(s, &a, "short.example.");
    assert_int_equal(resolver_get(s->resolver, STR("LONG.Example."), &known), OK);
    assert_true(has(&known, "192.0.2.2:0"));
    assert_int_equal(resolver_get(s->resolver, STR("short.example."), &known), OK);
    fixture_run_for(s->loop, 1100);
    assert_int_equal(resolver_get(s->resolver, STR("short.example."), &known), ERR_AGAIN);
    assert_int_equal(resolver_get(s->resolver, STR("long.example."), &known), OK);
}

static void equal_questions_share_a_query(void **out)
{
    struct state *s = *out;
    struct asked a[20];
    for (size_t i = 0; i < COUNT_OF(a); i++) {
        ask(s, &a[i], "long.example.");
    }
    resolver_cancel(&a[7].lookup);
    resolver_cancel(&a[7].lookup);
    for (size_t i = 0; i < COUNT_OF(a); i++) {
        if (i != 7) {
            fixture_run_until(s->loop, &a[i].done);
        }
    }
    assert_false(a[7].done);
    assert_int_equal(s->dns.n_queries, 2); /* A and AAAA */
}

static void names_what_went_wrong(void **out)
{
    struct state *s = *out;
    struct asked a;
    struct net_addresses known;
    lookup(s, &a, "gone.example.");
    assert_int_equal(a.err, ERR_NET);
    assert_string_equal(a.text, "lookup gone.example.: no such host");
    assert_int_equal(resolver_get(s->resolver, STR("gone.example."), &known), ERR_AGAIN);
    lookup(s, &a, "broken.example.");
    assert_int_equal(a.err, ERR_NET);
    assert_string_equal(a.text, "lookup broken.example.: server misbehaving");
}

static void asks_again_from_the_callback(void **out)
{
    struct state *s = *out;
    struct asked a;
    ask(s, &a, "gone.example.");
    a.again = s;
    fixture_run_until(s->loop, &a.done);
    assert_int_equal(a.err, ERR_NET);
    assert_true(s->dns.n_queries >= 2);
}

static void forgets_a_canceled_question(void **out)
{
    struct state *s = *out;
    static struct asked a; /* outlives the test */
    ask(s, &a, "silent.example.");
    fixture_run_for(s->loop, 20);
    resolver_cancel(&a.lookup);
    ask(s, &a, "silent2.example."); /* freed while it runs, by teardown */
    fixture_run_for(s->loop, 20);
    assert_false(a.done);
}

static void knows_numbers_and_localhost(void **out)
{
    struct state *s = *out;
    struct net_addresses known;
    struct asked a;
    assert_int_equal(resolver_get(s->resolver, STR("192.0.2.7"), &known), OK);
    assert_true(has(&known, "192.0.2.7:0"));
    assert_int_equal(resolver_get(s->resolver, STR("2001:db8::7"), &known), OK);
    assert_true(has(&known, "[2001:db8::7]:0"));
    assert_int_equal(resolver_get(s->resolver, STR("127.1"), &known), ERR_AGAIN);
    lookup(s, &a, "localhost");
    assert_int_equal(a.err, OK);
    assert_true(has(&a.addresses, "127.0.0.1:0") || has(&a.addresses, "[::1]:0"));
}

static void sweeps_what_is_stale(void **out)
{
    struct state *s = *out;
    struct net_addresses known;
    struct asked a;
    char name[32];
    for (int i = 0; i < 50; i++) {
        snprintf(name, sizeof(name), "short%d.example.", i);
        lookup(s, &a, name);
        assert_int_equal(a.err, OK);
    }
    for (int i = 40; i < 50; i++) { /* found by name, wherever they are stored by now */
        snprintf(name, sizeof(name), "short%d.example.", i);
        assert_int_equal(resolver_get(s->resolver, str_c(name), &known), OK);
    }
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(finds_both_families),         T(keeps_answers_for_their_time), T(equal_questions_share_a_query),
        T(names_what_went_wrong),       T(asks_again_from_the_callback), T(forgets_a_canceled_question),
        T(knows_numbers_and_localhost), T(sweeps_what_is_stale),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

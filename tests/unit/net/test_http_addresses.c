/* Which of a host's addresses a request goes to: a DNS server in the test gives four of this machine for every name,
 * and a server notes at which of them it was met. */
#include "client_state.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/http_client_int.h"

enum { ADDRESSES = 4 };

struct place {
    int fd, port;
    pthread_t thread;
};

static atomic_int met[ADDRESSES];
static char last_head[2048]; /* of the last request that was not redirected, written before it is answered */

static void open_place(struct place *p, int type, in_addr_t at, void *(*fn)(void *))
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(at)};
    socklen_t n = sizeof(a);
    p->fd = socket(AF_INET, type, 0);
    assert_int_equal(bind(p->fd, (struct sockaddr *)&a, n), 0);
    assert_int_equal(getsockname(p->fd, (struct sockaddr *)&a, &n), 0);
    p->port = ntohs(a.sin_port);
    if (type == SOCK_STREAM)
        assert_int_equal(listen(p->fd, 64), 0);
    assert_int_equal(pthread_create(&p->thread, NULL, fn, p), 0);
}

/* A: 127.0.0.1 to 127.0.0.4; of every other kind none. */
static size_t answer(unsigned char *q, size_t n)
{
    size_t at = 12;
    while (at < n && q[at])
        at += (size_t)q[at] + 1;
    bool a = q[at + 2] == 1;
    at += 5;
    q[2] = 0x81;
    q[3] = 0x80;
    q[7] = a ? ADDRESSES : 0;
    memset(q + 8, 0, 4);
    for (unsigned char i = 1; a && i <= ADDRESSES; i++, at += 16) {
        const unsigned char record[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, i};
        memcpy(q + at, record, sizeof(record));
    }
    return at;
}

static void *dns_main(void *arg)
{
    struct place *p = arg;
    for (;;) {
        unsigned char q[1024] = {0};
        struct sockaddr_in from;
        socklen_t size = sizeof(from);
        ssize_t n = recvfrom(p->fd, q, 512, 0, (struct sockaddr *)&from, &size);
        if (n < 17)
            return NULL;
        size_t length = answer(q, (size_t)n);
        sendto(p->fd, q, length, 0, (struct sockaddr *)&from, size);
    }
}

static void *http_main(void *arg)
{
    static const char text[] = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    struct place *p = arg;
    for (;;) {
        struct sockaddr_in here;
        socklen_t size = sizeof(here);
        char head[sizeof(last_head)] = {0};
        int fd = accept(p->fd, NULL, NULL);
        if (fd < 0)
            return NULL;
        assert_int_equal(getsockname(fd, (struct sockaddr *)&here, &size), 0);
        met[(ntohl(here.sin_addr.s_addr) & 0xff) - 1]++;
        char to[64], moved[256];
        if (raw_read(fd, head, sizeof(head)) && sscanf(head, "GET /to/%63s", to) == 1) {
            snprintf(moved, sizeof(moved),
                     "HTTP/1.1 302 Found\r\nLocation: http://%s:%d/\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
                     to, p->port);
            raw_send(fd, moved);
        } else {
            memcpy(last_head, head, sizeof(head));
            raw_send_n(fd, text, sizeof(text) - 1);
        }
        close(fd);
    }
}

static void open_places(struct client_state *s, struct place *dns, struct place *http)
{
    char server[32];
    for (int i = 0; i < ADDRESSES; i++)
        met[i] = 0;
    open_place(dns, SOCK_DGRAM, INADDR_LOOPBACK, dns_main);
    open_place(http, SOCK_STREAM, INADDR_ANY, http_main);
    snprintf(server, sizeof(server), "127.0.0.1:%d", dns->port);
    assert_int_equal(resolver_use_server(s->client->resolver, server), OK);
}

static void close_places(struct place *dns, struct place *http)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)dns->port)};
    shutdown(http->fd, SHUT_RDWR);
    sendto(dns->fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)); /* too short: the end */
    pthread_join(dns->thread, NULL);
    pthread_join(http->thread, NULL);
    close(dns->fd);
    close(http->fd);
}

/* Sixty requests, a connection each: at how many addresses were they met? */
static int ask(struct client_state *s, const struct http_options *o)
{
    struct place dns, http;
    char url[64];
    int places = 0;
    open_places(s, &dns, &http);
    snprintf(url, sizeof(url), "http://many.example:%d/", http.port);
    struct http_peer *p = fixture_peer(s->client, url, o);
    for (int i = 0; i < 60; i++) {
        fixture_get(s->loop, p, &s->a);
        assert_string_equal(s->a.text, "");
    }
    http_peer_free(p);
    close_places(&dns, &http);
    for (int i = 0; i < ADDRESSES; i++)
        places += met[i] > 0;
    return places;
}

static void connections_go_to_the_first_address(void **out)
{
    assert_int_equal(ask(*out, NULL), 1);
}

/* Sixty draws out of four: that one is never drawn has a chance of 1 in 10 million. */
static void round_robin_spreads_them(void **out)
{
    struct http_options o = {.round_robin_dns = true};
    assert_int_equal(ask(*out, &o), ADDRESSES);
}

static void credentials_follow_to_names_below(void **out)
{
    static const struct {
        const char *to;
        bool keeps;
    } cases[] = {{"many.example", true},        {"MANY.example", true},     {"a.many.example", true},
                 {"a.b.many.example", true},    {"notmany.example", false}, {"example", false},
                 {"many.example.other", false}, {"127.0.0.1", false}};
    struct client_state *s = *out;
    struct http_options o = {.basic_username = STR("u"), .basic_password = STR("p"), .follow_redirects = true};
    struct place dns, http;
    open_places(s, &dns, &http);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char url[128];
        snprintf(url, sizeof(url), "http://many.example:%d/to/%s", http.port, cases[i].to);
        struct http_peer *p = fixture_peer(s->client, url, &o);
        fixture_get(s->loop, p, &s->a);
        assert_int_equal(s->a.status, 200);
        if ((strstr(last_head, "\r\nAuthorization: Basic dTpw\r\n") != NULL) != cases[i].keeps)
            fail_msg("%s: %s", cases[i].to, last_head);
        http_peer_free(p);
    }
    close_places(&dns, &http);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        BOTH(connections_go_to_the_first_address),
        BOTH(round_robin_spreads_them),
        BOTH(credentials_follow_to_names_below),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

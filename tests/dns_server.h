/* dns_server: a small DNS server in the test, on a thread: UDP and TCP on one loopback port. It knows zone lines of the
 * form "NAME TYPE DATA" (in lower case, with the final dot) and answers in their order.
 *
 *   a.test. A 192.0.2.1          x.test. SRV 9100 host.test.      m.test. MX mail.test.      n.test. NS ns.test.
 *   c.test. CNAME a.test.        a.test. AAAA 2001:db8::1         q.test. TXT -
 *   b.test. FAIL -               server failure                   s.test. SILENT -           no answer
 *   t.test. CUT -                the UDP answer is cut off (TC), whatever else there is
 *   t.test. CUTTCP -             the TCP one too
 *
 * A name without a line does not exist; one without a line of the type asked for has no records of it.
 */
#ifndef TESTS_DNS_SERVER_H
#define TESTS_DNS_SERVER_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct dns_server {
    int udp, tcp, wake[2], port;
    pthread_t thread;
    pthread_mutex_t lock; /* guards zone */
    const char *zone;     /* lines */
    atomic_int n_udp, n_tcp, n_edns;
};

static inline void dns_server_put16(unsigned char *p, unsigned v)
{
    p[0] = (unsigned char)(v >> 8);
    p[1] = (unsigned char)v;
}

static inline size_t dns_server_put_name(unsigned char *p, const char *name)
{
    size_t n = 0;
    while (*name) {
        const char *dot = strchr(name, '.');
        size_t label = (size_t)(dot - name);
        p[n++] = (unsigned char)label;
        memcpy(p + n, name, label);
        n += label;
        name = dot + 1;
    }
    p[n++] = 0;
    return n;
}

/* The data of a record of this type; its length. */
static inline size_t dns_server_put_data(unsigned char *p, unsigned type, const char *data)
{
    char name[256] = "";
    unsigned port = 0;

    switch (type) {
    case 1:
        inet_pton(AF_INET, data, p);
        return 4;
    case 28:
        inet_pton(AF_INET6, data, p);
        return 16;
    case 33:
        sscanf(data, "%u %255s", &port, name);
        dns_server_put16(p, 10);
        dns_server_put16(p + 2, 5);
        dns_server_put16(p + 4, port);
        return 6 + dns_server_put_name(p + 6, name);
    case 15:
        dns_server_put16(p, 10);
        return 2 + dns_server_put_name(p + 2, data);
    case 16:
        p[0] = 1;
        p[1] = 'x';
        return 2;
    default:
        return dns_server_put_name(p, data);
    }
}

static inline unsigned dns_server_type(const char *word)
{
    static const struct {
        const char *word;
        unsigned type;
    } types[] = {{"A", 1}, {"NS", 2}, {"CNAME", 5}, {"MX", 15}, {"TXT", 16}, {"AAAA", 28}, {"SRV", 33}};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (strcmp(types[i].word, word) == 0)
            return types[i].type;
    return 0;
}

/* The answer's length; 0: none. */
static inline size_t dns_server_answer(struct dns_server *s, const unsigned char *q, size_t n, bool tcp,
                                       unsigned char *out, size_t room)
{
    char asked[256] = "", name[256], word[16], data[256], line[600];
    size_t at = 12, length = 0;
    bool exists = false, fails = false, silent = false, cut = false;
    unsigned count = 0;

    while (at < n && q[at]) {
        memcpy(asked + length, q + at + 1, q[at]);
        length += q[at];
        asked[length++] = '.';
        at += (size_t)q[at] + 1;
    }
    unsigned type = (unsigned)q[at + 1] << 8 | q[at + 2];
    at += 5;
    memcpy(out, q, at);
    memset(out + 6, 0, 6);
    if (q[11])
        s->n_edns++;
    pthread_mutex_lock(&s->lock);
    for (const char *p = s->zone; *p; p = strchr(p, '\n') + 1) {
        snprintf(line, sizeof(line), "%.*s", (int)(strchr(p, '\n') - p), p);
        if (sscanf(line, "%255s %15s %255[^\n]", name, word, data) != 3 || strcmp(name, asked) != 0)
            continue;
        exists = true;
        fails |= strcmp(word, "FAIL") == 0;
        silent |= strcmp(word, "SILENT") == 0;
        cut |= (strcmp(word, "CUT") == 0 && !tcp) || strcmp(word, "CUTTCP") == 0;
        unsigned is = dns_server_type(word);
        if ((is == type || is == 5 || is == 16) && is && at + 300 < room) {
            unsigned char head[] = {0xc0, 12, 0, (unsigned char)is, 0, 1, 0, 0, 0, 60};
            memcpy(out + at, head, sizeof(head));
            size_t size = dns_server_put_data(out + at + 12, is, data);
            dns_server_put16(out + at + 10, (unsigned)size);
            at += 12 + size;
            count++;
        }
    }
    pthread_mutex_unlock(&s->lock);
    dns_server_put16(out + 2, 0x8180 | (fails ? 2 : exists ? 0 : 3) | (cut ? 0x200 : 0));
    dns_server_put16(out + 6, count);
    return silent ? 0 : at;
}

static inline void dns_server_tcp(struct dns_server *s)
{
    unsigned char q[600], out[65536];
    int fd = accept(s->tcp, NULL, NULL);

    while (fd >= 0) {
        size_t n = 0, want = 2;
        while (n < want) {
            ssize_t got = read(fd, q + n, want - n);
            if (got <= 0)
                break;
            n += (size_t)got;
            if (n == 2)
                want = 2 + ((size_t)q[0] << 8 | q[1]);
            if (want > sizeof(q))
                break;
        }
        if (n < want || want < 14)
            break;
        s->n_tcp++;
        size_t size = dns_server_answer(s, q + 2, want - 2, true, out + 2, sizeof(out) - 2);
        dns_server_put16(out, (unsigned)size);
        if (write(fd, out, size + 2) < 0)
            break;
    }
    if (fd >= 0)
        close(fd);
}

static inline void *dns_server_main(void *arg)
{
    struct dns_server *s = arg;

    for (;;) {
        struct pollfd fds[] = {{s->udp, POLLIN, 0}, {s->tcp, POLLIN, 0}, {s->wake[0], POLLIN, 0}};
        poll(fds, 3, -1);
        if (fds[2].revents)
            return NULL;
        if (fds[1].revents)
            dns_server_tcp(s);
        if (fds[0].revents) {
            unsigned char q[600], out[1400];
            struct sockaddr_in from;
            socklen_t n_from = sizeof(from);
            ssize_t n = recvfrom(s->udp, q, sizeof(q), 0, (struct sockaddr *)&from, &n_from);
            if (n < 17)
                continue;
            s->n_udp++;
            size_t size = dns_server_answer(s, q, (size_t)n, false, out, sizeof(out));
            if (size)
                sendto(s->udp, out, size, 0, (struct sockaddr *)&from, n_from);
        }
    }
}

static inline void dns_server_zone(struct dns_server *s, const char *zone)
{
    pthread_mutex_lock(&s->lock);
    s->zone = zone;
    pthread_mutex_unlock(&s->lock);
}

/* zone: every line ends with a newline; kept by the caller. */
static inline void dns_server_open(struct dns_server *s, const char *zone)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(a);

    *s = (struct dns_server){.zone = zone};
    pthread_mutex_init(&s->lock, NULL);
    for (int tries = 0;; tries++) { /* a port that is free for both */
        a.sin_port = 0;
        s->udp = socket(AF_INET, SOCK_DGRAM, 0);
        s->tcp = socket(AF_INET, SOCK_STREAM, 0);
        assert_int_equal(bind(s->udp, (struct sockaddr *)&a, n), 0);
        getsockname(s->udp, (struct sockaddr *)&a, &n);
        if (bind(s->tcp, (struct sockaddr *)&a, n) == 0)
            break;
        close(s->udp);
        close(s->tcp);
        assert_true(tries < 100);
    }
    s->port = ntohs(a.sin_port);
    assert_int_equal(listen(s->tcp, 8), 0);
    assert_int_equal(pipe(s->wake), 0);
    pthread_create(&s->thread, NULL, dns_server_main, s);
}

static inline void dns_server_close(struct dns_server *s)
{
    assert_int_equal(write(s->wake[1], "x", 1), 1);
    pthread_join(s->thread, NULL);
    close(s->udp);
    close(s->tcp);
    close(s->wake[0]);
    close(s->wake[1]);
}

#endif

/* http_client, each test over both transports where both can do it: the second column of TESTS says which. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net_fixture.h"

#include "base/clock.h"
#include "base/mem.h"

struct state {
    struct loop *loop;
    struct http_client *client;
    struct http_server *server;
    struct raw_server *raw;
    enum http_transport transport;
    struct answer a;
    char url[256];
    char seen[16][2048]; /* request heads that the raw server got */
};

static struct state *current; /* for raw servers' threads */

static struct http_client *client_new(struct state *s, uint32_t max_connecting)
{
    struct http_client_limits limits = {
        .max_connecting = max_connecting, .user_agent = "leadline-test/1", .transport = s->transport};
    return http_client_new(s->loop, NULL, &limits);
}

static int setup(void **out)
{
    struct state *s = NEW(struct state);
    s->transport = *(enum http_transport *)*out;
    s->loop = fixture_loop_new();
    s->client = client_new(s, 0);
    current = s;
    *out = s;
    return 0;
}

static int teardown(void **out)
{
    struct state *s = *out;
    if (s->raw) {
        raw_close(s->raw);
    }
    http_server_free(s->server);
    http_client_free(s->client);
    answer_release(&s->a);
    fixture_loop_free(s->loop);
    free(s);
    return 0;
}

static struct http_peer *raw_peer(struct state *s, raw_fn *fn, bool parallel, const struct http_options *o)
{
    s->raw = raw_open(fn, parallel);
    snprintf(s->url, sizeof(s->url), "http://127.0.0.1:%d/metrics?x=1", raw_port(s->raw));
    return fixture_peer(s->client, s->url, o);
}

/* One GET against a raw server that serves a connection by fn. */
static void get_raw(struct state *s, raw_fn *fn, const struct http_options *o)
{
    struct http_peer *p = raw_peer(s, fn, false, o);
    fixture_get(s->loop, p, &s->a);
    http_peer_free(p);
}

/* Reads a request, remembers it, sends the text; false when the client has gone. */
static bool serve_one(int fd, int nth, const char *answer)
{
    if (!raw_read(fd, current->seen[nth % 16], sizeof(current->seen[0]))) {
        return false;
    }
    raw_send(fd, answer);
    return true;
}

/* ---- good answers in all framings ---- */

static void ok_keep_alive(struct raw_server *r, int fd, int nth)
{
    (void)r;
    while (serve_one(fd, nth,
                     "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nRetry-After: 7\r\n"
                     "Content-Length: 5\r\n\r\nhello")) {
    }
}

static void gets_and_reuses(void **out)
{
    struct state *s = *out;
    struct http_peer *p = raw_peer(s, ok_keep_alive, false, NULL);
    for (int i = 0; i < 5; i++) {
        fixture_get(s->loop, p, &s->a);
        assert_int_equal(s->a.err, OK);
        assert_int_equal(s->a.status, 200);
        assert_string_equal(s->a.content_type, "text/plain; version=0.0.4");
        assert_string_equal(s->a.retry_after, "7");
        assert_int_equal(s->a.n_headers, 3);
        assert_string_equal(s->a.body.p, "hello");
        assert_int_equal(s->a.reused, i > 0);
    }
    assert_int_equal(raw_accepted(s->raw), 1);
    char line[300];
    snprintf(line, sizeof(line),
             "GET /metrics?x=1 HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUser-Agent: leadline-test/1\r\n\r\n",
             raw_port(s->raw));
    assert_string_equal(s->seen[0], line);
    http_peer_free(p);
}

static void chunked(struct raw_server *r, int fd, int nth)
{
    (void)r;
    while (serve_one(fd, nth, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;ext=\"a\"\r\nhello\r\n")) {
        usleep(2000);
        raw_send(fd, "1\r\n \r");
        usleep(2000);
        raw_send(fd, "\n05\r\nworld\r\n0\r\nTrailer: x\r\n\r\n");
    }
}

static void reads_chunks(void **out)
{
    struct state *s = *out;
    struct http_peer *p = raw_peer(s, chunked, false, NULL);
    for (int i = 0; i < 3; i++) {
        fixture_get(s->loop, p, &s->a);
        assert_int_equal(s->a.err, OK);
        assert_string_equal(s->a.body.p, "hello world");
        assert_int_equal(s->a.reused, i > 0);
    }
    http_peer_free(p);
}

static void until_close(struct raw_server *r, int fd, int nth)
{
    (void)r;
    serve_one(fd, nth, "HTTP/1.0 200 OK\n\nhello ");
    usleep(5000);
    raw_send(fd, "there");
}

static void reads_until_the_connection_closes(void **out)
{
    struct state *s = *out;
    get_raw(s, until_close, NULL);
    assert_int_equal(s->a.err, OK);
    assert_string_equal(s->a.body.p, "hello there");
}

static void interim(struct raw_server *r, int fd, int nth)
{
    (void)r;
    serve_one(fd, nth,
              "HTTP/1.1 100 Continue\r\nX: y\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n"
              "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    raw_wait_close(fd);
}

static void skips_interim_responses(void **out)
{
    struct state *s = *out;
    get_raw(s, interim, NULL);
    assert_int_equal(s->a.err, OK);
    assert_int_equal(s->a.status, 200);
    assert_int_equal(s->a.n_headers, 1);
    assert_string_equal(s->a.body.p, "ok");
}

static void no_content(struct raw_server *r, int fd, int nth)
{
    (void)r;
    while (serve_one(fd, nth, "HTTP/1.1 204 No Content\r\n\r\n")) {
    }
}

static void takes_answers_without_a_body(void **out)
{
    struct state *s = *out;
    struct http_peer *p = raw_peer(s, no_content, false, NULL);
    for (int i = 0; i < 2; i++) {
        fixture_get(s->loop, p, &s->a);
        assert_int_equal(s->a.status, 204);
        assert_int_equal(s->a.body.n, 0);
        assert_int_equal(s->a.reused, i > 0);
    }
    http_peer_free(p);
}

static void byte_by_byte(struct raw_server *r, int fd, int nth)
{
    (void)r;
    static const char text[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nslow!";
    serve_one(fd, nth, "");
    for (size_t i = 0; i < sizeof(text) - 1; i++) {
        raw_send_n(fd, text + i, 1);
        usleep(500);
    }
    raw_wait_close(fd);
}

static void reads_byte_by_byte(void **out)
{
    struct state *s = *out;
    get_raw(s, byte_by_byte, NULL);
    assert_int_equal(s->a.err, OK);
    assert_string_equal(s->a.body.p, "slow!");
}

enum { LARGE = 5 * 1024 * 1024 };

static void large(struct raw_server *r, int fd, int nth)
{
    (void)r;
    char *body = malloc(LARGE);
    for (int i = 0; i < LARGE; i++) {
        body[i] = (char)('a' + i % 23);
    }
    serve_one(fd, nth,
              nth ? "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n500000\r\n"
                  : "HTTP/1.1 200 OK\r\nContent-Length: 5242880\r\n\r\n");
    raw_send_n(fd, body, LARGE);
    raw_send(fd, nth ? "\r\n0\r\n\r\n" : "");
    free(body);
    if (nth) {
        raw_wait_close(fd);
    }
}

static void reads_large_bodies(void **out)
{
    struct state *s = *out;
    struct http_peer *p = raw_peer(s, large, false, NULL);
    for (int round = 0; round < 2; round++) {
        answer_init(&s->a);
        s->a.request.max_body = LARGE;
        http_start(p, &s->a.request);
        fixture_run_until(s->loop, &s->a.done);
        assert_int_equal(s->a.err, OK);
        assert_int_equal(s->a.body.n, LARGE);
        for (int i = 0; i < LARGE; i++) {
            assert_true(s->a.body.p[i] == (char)('a' + i % 23));
        }
    }
    http_peer_free(p);
}

static void discards_an_unwanted_body(void **out)
{
    struct state *s = *out;
    struct http_peer *p = raw_peer(s, ok_keep_alive, false, NULL);
    answer_init(&s->a);
    s->a.request.response_body = NULL;
    http_start(p, &s->a.request);
    fixture_run_until(s->loop, &s->a.done);
    assert_int_equal(s->a.err, OK);
    http_peer_free(p);
}

/* ---- limits ---- */

static void announces_too_much(struct raw_server *r, int fd, int nth)
{
    (void)r;
    serve_one(fd, nth, "HTTP/1.1 200 OK\r\nContent-Length: 1048577\r\n\r\nx");
    raw_wait_close(fd);
}

static void refuses_an_announced_body_over_the_limit(void **out)
{
    struct state *s = *out;
    get_raw(s, announces_too_much, NULL);
    assert_int_equal(s->a.err, ERR_LIMIT);
    assert_string_equal(s->a.text, "body size limit exceeded");
    assert_true(s->a.body.cap < 100000);
}

static void endless(struct raw_server *r, int fd, int nth)
{
    (void)r;
    char block[16384];
    memset(block, 'x', sizeof(block));
    serve_one(fd, nth, nth ? "HTTP/1.1 200 OK\r\n\r\n" : "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (;;) {
        if (!nth) {
            raw_send(fd, "4000\r\n");
        }
        if (send(fd, block, sizeof(block), MSG_NOSIGNAL) <= 0) {
            return;
        }
        if (!nth) {
            raw_send(fd, "\r\n");
        }
    }
}

static void stops_an_endless_body(void **out)
{
    struct state *s = *out;
    struct http_peer *p = raw_peer(s, endless, true, NULL);
    for (int i = 0; i < 2; i++) { /* chunked, then until close */
        fixture_get(s->loop, p, &s->a);
        assert_int_equal(s->a.err, ERR_LIMIT);
        assert_string_equal(s->a.text, "body size limit exceeded");
        assert_true(s->a.body.n <= 1 << 20);
    }
    http_peer_free(p);
}

static void endless_head(struct raw_server *r, int fd, int nth)
{
    (void)r;
    serve_one(fd, nth, "HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < 5000; i++) {
        raw_send(fd, "X-Filler: 0123456789012345678901234567890123456789\r\n");
    }
    raw_wait_close(fd);
}

static void stops_an_endless_head(void **out)
{
    struct state *s = *out;
    get_raw(s, endless_head, NULL);
    assert_int_equal(s->a.err, ERR_LIMIT);
}

static void silent(struct raw_server *r, int fd, int nth)
{
    (void)r, (void)nth;
    raw_wait_close(fd);
}

static void drips(struct raw_server *r, int fd, int nth)
{
    (void)r;
    serve_one(fd, nth, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
    for (int i = 0; i < 500 && send(fd, "x", 1, MSG_NOSIGNAL) == 1; i++) {
        usleep(5000);
    }
}

static void times_out(struct state *s, raw_fn *fn)
{
    struct http_peer *p = raw_peer(s, fn, true, NULL);
    uint64_t began = clock_mono_ms();
    answer_init(&s->a);
    s->a.request.timeout_ms = 150;
    http_start(p, &s->a.request);
    fixture_run_until(s->loop, &s->a.done);
    assert_int_equal(s->a.err, ERR_TIMEOUT);
    assert_string_equal(s->a.text, "context deadline exceeded");
    assert_true(clock_mono_ms() - began >= 150);
    http_peer_free(p);
}

static void times_out_on_silence(void **out)
{
    times_out(*out, silent);
}

static void times_out_on_a_dripping_body(void **out)
{
    times_out(*out, drips);
}

static void times_out_while_connecting(void **out)
{
    struct state *s = *out;
    struct tarpit t;
    tarpit_open(&t);
    snprintf(s->url, sizeof(s->url), "http://127.0.0.1:%d/", t.port);
    struct http_peer *p = fixture_peer(s->client, s->url, NULL);
    answer_init(&s->a);
    s->a.request.timeout_ms = 100;
    http_start(p, &s->a.request);
    fixture_run_until(s->loop, &s->a.done);
    assert_int_equal(s->a.err, ERR_TIMEOUT);
    http_peer_free(p);
    tarpit_close(&t);
}

static void few_connect_at_once(void **out)
{
    struct state *s = *out;
    struct tarpit t;
    struct answer slow[3] = {0};
    struct http_peer *peers[3], *good;
    struct http_client *narrow = client_new(s, 2);
    tarpit_open(&t);
    snprintf(s->url, sizeof(s->url), "http://127.0.0.1:%d/", t.port);
    for (int i = 0; i < 3; i++) {
        peers[i] = fixture_peer(narrow, s->url, NULL);
        answer_init(&slow[i]);
        slow[i].request.timeout_ms = i == 2 ? 100 : 300; /* the third waits for its turn, in vain */
        http_start(peers[i], &slow[i].request);
    }
    s->raw = raw_open(ok_keep_alive, false);
    snprintf(s->url, sizeof(s->url), "http://127.0.0.1:%d/", raw_port(s->raw));
    good = fixture_peer(narrow, s->url, NULL);
    answer_init(&s->a);
    http_start(good, &s->a.request);
    fixture_run_until(s->loop, &slow[2].done);
    assert_int_equal(slow[2].err, ERR_TIMEOUT);
    assert_false(slow[0].done);
    assert_false(s->a.done);
    fixture_run_until(s->loop, &s->a.done); /* the others have given up their places */
    assert_int_equal(s->a.err, OK);
    assert_true(slow[0].done || slow[1].done);
    for (int i = 0; i < 3; i++) {
        http_peer_free(peers[i]);
    }
    http_peer_free(good);
    http_client_free(narrow);
    tarpit_close(&t);
}

/* ---- broken answers ---- */

static void half_body(struct raw_server *r, int fd, int nth)
{
    (void)r;
    serve_one(fd, nth, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
}

static void half_chunk(struct raw_server *r, int fd, int nth)
{
    (void)r;
    serve_one(fd, nth, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nhalf");
    shutdown(fd, SHUT_WR);
    raw_wait_close(fd);
}

static void names_a_cut_off_body(void **out)
{
    struct state *s = *out;
    get_raw(s, half_body, NULL);
    assert_int_equal(s->a.err, ERR_NET);
    assert_string_equal(s->a.text, "unexpected EOF");
}

static void names_a_cut_off_chunk(void **out)
{
    struct state *s = *out;
    get_raw(s, half_chunk, NULL);
    assert_int_equal(s->a.err, ERR_NET);
    assert_non_null(strstr(s->a.text, "EOF"));
}

static void hangs_up(struct raw_server *r, int fd, int nth)
{
    (void)r;
    serve_one(fd, nth, "");
}

static void names_an_empty_answer(void **out)
{
    struct state *s = *out;
    get_raw(s, hangs_up, NULL);
    assert_int_equal(s->a.err, ERR_NET);
    assert_string_equal(s->a.text, "EOF");
    assert_int_equal(raw_accepted(s->raw), 1); /* a fresh connection is not tried twice */
}

static void resets(struct raw_server *r, int fd, int nth)
{
    (void)r;
    struct linger hard = {1, 0};
    serve_one(fd, nth, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
    usleep(20000);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
}

static void names_a_reset(void **out)
{
    struct state *s = *out;
    get_raw(s, resets, NULL);
    assert_int_equal(s->a.err, ERR_NET);
    assert_non_null(strstr(s->a.text, "connection reset by peer"));
    assert_non_null(strstr(s->a.text, "127.0.0.1:"));
}

static void garbage(struct raw_server *r, int fd, int nth)
{
    (void)r;
    serve_one(fd, nth, "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n");
    raw_wait_close(fd);
}

static void bad_header(struct raw_server *r, int fd, int nth)
{
    (void)r;
    serve_one(fd, nth, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nthis is no header\r\n\r\n");
    raw_wait_close(fd);
}

static void refuses_garbage(void **out)
{
    struct state *s = *out;
    get_raw(s, garbage, NULL);
    assert_int_equal(s->a.err, ERR_SYNTAX);
    assert_non_null(strstr(s->a.text, "malformed HTTP response"));
}

static void refuses_a_bad_header(void **out)
{
    struct state *s = *out;
    get_raw(s, bad_header, NULL);
    assert_int_equal(s->a.err, ERR_SYNTAX);
    assert_non_null(strstr(s->a.text, "malformed"));
}

static void names_a_refused_connection(void **out)
{
    struct state *s = *out;
    struct raw_server *gone = raw_open(silent, false);
    int port = raw_port(gone);
    char want[200];
    raw_close(gone);
    snprintf(s->url, sizeof(s->url), "http://127.0.0.1:%d/", port);
    snprintf(want, sizeof(want), "dial tcp 127.0.0.1:%d: connect: connection refused", port);
    struct http_peer *p = fixture_peer(s->client, s->url, NULL);
    for (int i = 0; i < 2; i++) {
        fixture_get(s->loop, p, &s->a);
        assert_int_equal(s->a.err, ERR_NET);
        assert_string_equal(s->a.text, want);
    }
    http_peer_free(p);
}

/* ---- connections that come and go ---- */

static void closes_after_each(struct raw_server *r, int fd, int nth)
{
    (void)r;
    serve_one(fd, nth, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
}

static void server_closes_after_each_answer(void **out)
{
    struct state *s = *out;
    struct http_peer *p = raw_peer(s, closes_after_each, false, NULL);
    for (int i = 0; i < 20; i++) {
        fixture_get(s->loop, p, &s->a);
        assert_int_equal(s->a.err, OK);
        assert_string_equal(s->a.body.p, "ok");
        if (i % 3 == 0) {
            fixture_run_for(s->loop, 3); /* sometimes the end is noticed while idle, sometimes by the request */
        }
    }
    assert_int_equal(raw_accepted(s->raw), 20);
    http_peer_free(p);
}

/* Takes the second request and hangs up without a word: the client cannot know whether it was acted upon. */
static void drops_the_second(struct raw_server *r, int fd, int nth)
{
    (void)r;
    if (serve_one(fd, nth, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") && nth == 0) {
        raw_read(fd, current->seen[15], sizeof(current->seen[15]));
        return;
    }
    raw_wait_close(fd);
}

static void repeats_a_get_once(void **out)
{
    struct state *s = *out;
    struct http_peer *p = raw_peer(s, drops_the_second, false, NULL);
    fixture_get(s->loop, p, &s->a);
    assert_int_equal(s->a.err, OK);
    fixture_get(s->loop, p, &s->a);
    assert_int_equal(s->a.err, OK);
    assert_false(s->a.reused);
    assert_int_equal(raw_accepted(s->raw), 2);
    http_peer_free(p);
}

static void does_not_repeat_a_post(void **out)
{
    struct state *s = *out;
    struct http_peer *p = raw_peer(s, drops_the_second, false, NULL);
    fixture_get(s->loop, p, &s->a);
    assert_int_equal(s->a.err, OK);
    answer_init(&s->a);
    s->a.request.method = "POST";
    s->a.request.body = STR("order a pizza");
    http_start(p, &s->a.request);
    fixture_run_until(s->loop, &s->a.done);
    assert_int_equal(s->a.err, ERR_NET);
    assert_string_equal(s->a.text, "EOF");
    assert_int_equal(raw_accepted(s->raw), 1);
    http_peer_free(p);
}

static void post_after_an_idle_close(void **out)
{
    struct state *s = *out;
    struct http_peer *p = raw_peer(s, closes_after_each, false, NULL);
    for (int i = 0; i < 6; i++) {
        answer_init(&s->a);
        s->a.request.method = "POST";
        s->a.request.body = STR("data");
        http_start(p, &s->a.request);
        fixture_run_until(s->loop, &s->a.done);
        assert_int_equal(s->a.err, OK);
        usleep(3000); /* the close has arrived; the loop has not seen it in every round */
        if (i % 2) {
            fixture_run_for(s->loop, 2);
        }
    }
    http_peer_free(p);
}

static void says_close(struct raw_server *r, int fd, int nth)
{
    (void)r;
    serve_one(fd, nth, "HTTP/1.1 200 OK\r\nConnection: foo, Close\r\nContent-Length: 2\r\n\r\nok");
    raw_wait_close(fd);
}

static void obeys_connection_close(void **out)
{
    struct state *s = *out;
    struct http_peer *p = raw_peer(s, says_close, true, NULL);
    for (int i = 0; i < 3; i++) {
        fixture_get(s->loop, p, &s->a);
        assert_int_equal(s->a.err, OK);
        assert_false(s->a.reused);
    }
    assert_int_equal(raw_accepted(s->raw), 3);
    http_peer_free(p);
}

static void says_too_much(struct raw_server *r, int fd, int nth)
{
    (void)r;
    while (serve_one(
        fd, nth, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")) {
    }
}

static void unasked_bytes_are_not_an_answer(void **out)
{
    struct state *s = *out;
    struct http_peer *p = raw_peer(s, says_too_much, true, NULL);
    for (int i = 0; i < 3; i++) {
        fixture_get(s->loop, p, &s->a);
        assert_int_equal(s->a.err, OK);
        assert_string_equal(s->a.body.p, "ok");
    }
    http_peer_free(p);
}

static void handler(void *ctx, struct http_call *call)
{
    (void)ctx;
    http_call_answer(call, 200, "text/plain", http_call_header(call, "Host"));
}

enum { FLEET = 1000 };

static void a_thousand_peers_keep_their_connections(void **out)
{
    struct state *s = *out;
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < 2 * FLEET + 100) {
        skip();
    }
    struct http_server_options o = {.address = STR("0.0.0.0:0"), .max_connections = FLEET + 10};
    assert_int_equal(http_server_new(s->loop, NULL, &o, handler, s, &s->server, NULL), OK);
    struct http_peer **peers = mem_alloc(FLEET * sizeof(*peers));
    struct answer *answers = mem_zalloc(FLEET * sizeof(*answers));
    for (int i = 0; i < FLEET; i++) {
        snprintf(s->url, sizeof(s->url), "http://127.0.%d.%d:%d/", i / 200 + 1, i % 200 + 1,
                 http_server_port(s->server));
        peers[i] = fixture_peer(s->client, s->url, NULL);
    }
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < FLEET; i++) {
            answer_init(&answers[i]);
            http_start(peers[i], &answers[i].request);
        }
        for (int i = 0; i < FLEET; i++) {
            fixture_run_until(s->loop, &answers[i].done);
            assert_int_equal(answers[i].err, OK);
            assert_int_equal(answers[i].reused, round > 0);
            snprintf(s->url, sizeof(s->url), "127.0.%d.%d:%d", i / 200 + 1, i % 200 + 1, http_server_port(s->server));
            assert_string_equal(answers[i].body.p, s->url);
        }
    }
    for (int i = 0; i < FLEET; i++) {
        http_peer_free(peers[i]);
        answer_release(&answers[i]);
    }
    free(peers);
    free(answers);
}

/* ---- requests ---- */

static void posts_a_large_body(void **out)
{
    struct state *s = *out;
    struct http_peer *p = raw_peer(s, ok_keep_alive, false, NULL);
    char *body = mem_zalloc(LARGE);
    for (int i = 0; i < 2; i++) {
        answer_init(&s->a);
        s->a.request.method = "POST";
        s->a.request.body = str_from(body, LARGE);
        http_start(p, &s->a.request);
        fixture_run_until(s->loop, &s->a.done);
        assert_int_equal(s->a.err, OK);
        assert_int_equal(s->a.status, 200);
        assert_int_equal(s->a.reused, i > 0);
    }
    free(body);
    assert_non_null(strstr(s->seen[0], "POST /metrics?x=1 HTTP/1.1\r\n"));
    assert_non_null(strstr(s->seen[0], "\r\nContent-Length: 5242880\r\n"));
    assert_null(strstr(s->seen[0], "Expect"));
    assert_null(strstr(s->seen[0], "Content-Type"));
    http_peer_free(p);
}

static void refuses_early(struct raw_server *r, int fd, int nth)
{
    (void)r, (void)nth;
    char some[1000];
    (void)!recv(fd, some, sizeof(some), 0);
    raw_send(fd, "HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\nno!");
    shutdown(fd, SHUT_WR);
    raw_wait_close(fd);
}

static void hears_an_early_answer(void **out)
{
    struct state *s = *out;
    struct http_peer *p = raw_peer(s, refuses_early, false, NULL);
    char *body = mem_zalloc(LARGE);
    answer_init(&s->a);
    s->a.request.method = "POST";
    s->a.request.body = str_from(body, LARGE);
    http_start(p, &s->a.request);
    fixture_run_until(s->loop, &s->a.done);
    assert_int_equal(s->a.err, OK);
    assert_int_equal(s->a.status, 413);
    http_peer_free(p);
    free(body);
}

static void fields_of_request_win(void **out)
{
    struct state *s = *out;
    struct http_header of_options[] = {{.name = STR("X-Tenant"), .value = STR("options")},
                                       {.name = STR("X-Other"), .value = STR("stays")}};
    struct http_header of_request[] = {{.name = STR("x-tenant"), .value = STR("request")},
                                       {.name = STR("User-Agent"), .value = STR("mine/2")},
                                       {.name = STR("Accept"), .value = STR("text/plain;q=1")}};
    struct http_options o = {.headers = of_options, .n_headers = 2};
    struct http_peer *p = raw_peer(s, ok_keep_alive, false, &o);
    answer_init(&s->a);
    s->a.request.headers = of_request;
    s->a.request.n_headers = 3;
    http_start(p, &s->a.request);
    fixture_run_until(s->loop, &s->a.done);
    assert_int_equal(s->a.err, OK);
    assert_null(strstr(s->seen[0], "options"));
    assert_non_null(strstr(s->seen[0], "\r\nX-Other: stays\r\n"));
    assert_non_null(strstr(s->seen[0], "\r\nx-tenant: request\r\n"));
    assert_non_null(strstr(s->seen[0], "\r\nUser-Agent: mine/2\r\n"));
    assert_null(strstr(s->seen[0], "leadline-test"));
    assert_non_null(strstr(s->seen[0], "\r\nAccept: text/plain;q=1\r\n"));
    of_request[0].value = STR("split\r\nHost: evil");
    answer_init(&s->a);
    s->a.request.headers = of_request;
    s->a.request.n_headers = 1;
    http_start(p, &s->a.request);
    fixture_run_until(s->loop, &s->a.done);
    assert_int_equal(s->a.err, ERR_SYNTAX);
    http_peer_free(p);
}

/* ---- credentials ---- */

static void sends_basic_auth(void **out)
{
    struct state *s = *out;
    struct http_options o = {.basic_username = STR("Aladdin"), .basic_password = STR("open sesame")};
    get_raw(s, ok_keep_alive, &o);
    assert_non_null(strstr(s->seen[0], "\r\nAuthorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"));
}

static void sends_basic_auth_of_the_url(void **out)
{
    struct state *s = *out;
    s->raw = raw_open(ok_keep_alive, false);
    snprintf(s->url, sizeof(s->url), "http://Aladdin:open%%20sesame@127.0.0.1:%d/p", raw_port(s->raw));
    struct http_peer *p = fixture_peer(s->client, s->url, NULL);
    fixture_get(s->loop, p, &s->a);
    assert_non_null(strstr(s->seen[0], "GET /p HTTP/1.1\r\nHost: 127.0.0.1:"));
    assert_non_null(strstr(s->seen[0], "\r\nAuthorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"));
    http_peer_free(p);
}

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void reads_changed_credentials(void **out)
{
    struct state *s = *out;
    char path[] = "/tmp/test-credentials-XXXXXX";
    int fd = mkstemp(path);
    close(fd);
    write_file(path, "  first-token\n");
    struct http_header header = {.name = STR("X-Key"), .file = str_c(path), .secret = true};
    struct http_options o = {.authorization_credentials_file = str_c(path), .headers = &header, .n_headers = 1};
    struct http_peer *p = raw_peer(s, ok_keep_alive, false, &o);
    fixture_get(s->loop, p, &s->a);
    assert_non_null(strstr(s->seen[0], "\r\nAuthorization: Bearer first-token\r\n"));
    assert_non_null(strstr(s->seen[0], "\r\nX-Key: first-token\r\n"));
    write_file(path, "the-second-token");
    fixture_run_for(s->loop, 1050);
    fixture_get(s->loop, p, &s->a);
    assert_non_null(strstr(s->seen[0], "\r\nAuthorization: Bearer the-second-token\r\n"));
    assert_non_null(strstr(s->seen[0], "\r\nX-Key: the-second-token\r\n"));
    unlink(path);
    fixture_run_for(s->loop, 1050);
    fixture_get(s->loop, p, &s->a);
    assert_int_equal(s->a.err, ERR_AUTH);
    assert_non_null(strstr(s->a.text, "unable to read authorization credentials: unable to read file /tmp/test-"));
    assert_non_null(strstr(s->a.text, "o such file or directory"));
    http_peer_free(p);
}

/* ---- redirects ---- */

static void in_circles(struct raw_server *r, int fd, int nth)
{
    (void)r;
    while (serve_one(fd, nth, "HTTP/1.1 302 Found\r\nLocation: ../round\r\nContent-Length: 4\r\n\r\nmove")) {
    }
}

static void stops_after_ten_redirects(void **out)
{
    struct state *s = *out;
    struct http_peer *p = raw_peer(s, in_circles, true, NULL);
    fixture_get(s->loop, p, &s->a);
    assert_int_equal(s->a.err, ERR_LIMIT);
    assert_string_equal(s->a.text, "stopped after 10 redirects");
    http_peer_free(p);
}

static void follows_no_redirect_unless_told(void **out)
{
    struct state *s = *out;
    struct http_options o = {.follow_redirects = false};
    get_raw(s, in_circles, &o);
    assert_int_equal(s->a.err, OK);
    assert_int_equal(s->a.status, 302);
    assert_string_equal(s->a.body.p, "move");
}

static void elsewhere(struct raw_server *r, int fd, int nth)
{
    char answer[200];
    while (raw_read(fd, current->seen[nth], sizeof(current->seen[0]))) {
        if (strstr(current->seen[nth], " /final ")) {
            raw_send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nthere");
            continue;
        }
        bool same = strstr(current->seen[nth], " /same ") != NULL;
        snprintf(answer, sizeof(answer),
                 "HTTP/1.1 %s Moved\r\nLocation: http://%s:%d/final\r\nContent-Length: 0\r\n\r\n",
                 strstr(current->seen[nth], "POST") ? "307" : "301", same ? "127.0.0.1" : "localhost", raw_port(r));
        raw_send(fd, answer);
    }
}

static const char *seen_final(const struct state *s)
{
    for (int i = 0; i < 16; i++) {
        if (strstr(s->seen[i], " /final ")) {
            return s->seen[i];
        }
    }
    fail();
    return NULL;
}

static void redirected(struct state *s, const char *path, const char *method)
{
    struct http_header secret[] = {{.name = STR("X-Key"), .value = STR("hush"), .secret = true},
                                   {.name = STR("Cookie"), .value = STR("c=1")},
                                   {.name = STR("X-Open"), .value = STR("fine")}};
    struct http_options o = {.authorization_credentials = STR("token"),
                             .authorization_type = STR("Bearer"),
                             .headers = secret,
                             .n_headers = 3,
                             .follow_redirects = true};
    s->raw = raw_open(elsewhere, true);
    snprintf(s->url, sizeof(s->url), "http://127.0.0.1:%d%s", raw_port(s->raw), path);
    struct http_peer *p = fixture_peer(s->client, s->url, &o);
    answer_init(&s->a);
    s->a.request.method = method;
    s->a.request.body = strcmp(method, "POST") == 0 ? STR("payload") : STR_NONE;
    http_start(p, &s->a.request);
    fixture_run_until(s->loop, &s->a.done);
    assert_string_equal(s->a.text, "");
    assert_int_equal(s->a.status, 200);
    assert_string_equal(s->a.body.p, "there");
    http_peer_free(p);
}

static void redirect_to_another_host_drops_secrets(void **out)
{
    struct state *s = *out;
    redirected(s, "/away", "GET");
    const char *head = seen_final(s);
    assert_non_null(strstr(head, "Host: localhost:"));
    assert_null(strstr(head, "Authorization"));
    assert_null(strstr(head, "X-Key"));
    assert_null(strstr(head, "Cookie"));
    assert_non_null(strstr(head, "X-Open: fine"));
}

static void redirect_on_the_same_host_keeps_secrets(void **out)
{
    struct state *s = *out;
    redirected(s, "/same", "GET");
    const char *head = seen_final(s);
    assert_non_null(strstr(head, "Authorization: Bearer token"));
    assert_non_null(strstr(head, "X-Key: hush"));
}

static void redirect_307_repeats_the_post(void **out)
{
    struct state *s = *out;
    redirected(s, "/same", "POST");
    const char *head = seen_final(s);
    assert_non_null(strstr(head, "POST /final"));
    assert_non_null(strstr(head, "Content-Length: 7"));
}

static void bad_redirect(struct raw_server *r, int fd, int nth)
{
    (void)r;
    serve_one(fd, nth, "HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n");
    raw_wait_close(fd);
}

static void refuses_a_redirect_to_another_protocol(void **out)
{
    struct state *s = *out;
    get_raw(s, bad_redirect, NULL);
    assert_int_equal(s->a.err, ERR_SYNTAX);
    assert_string_equal(s->a.text, "unsupported protocol scheme \"file\"");
}

/* ---- ending in the middle ---- */

static void stalls(struct raw_server *r, int fd, int nth)
{
    (void)r;
    serve_one(fd, nth, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nsome");
    raw_wait_close(fd);
}

static void cancels_in_the_body(void **out)
{
    struct state *s = *out;
    struct http_peer *p = raw_peer(s, stalls, true, NULL);
    answer_init(&s->a);
    http_start(p, &s->a.request);
    fixture_run_for(s->loop, 30);
    http_cancel(p, &s->a.request);
    assert_false(s->a.done);
    http_cancel(p, &s->a.request);
    fixture_run_until(s->loop, &s->a.done);
    assert_int_equal(s->a.err, ERR_CANCELED);
    http_cancel(p, &s->a.request);
    fixture_run_for(s->loop, 10);
    assert_int_equal(s->a.n_done, 1);
    http_peer_free(p);
}

static void cancels_while_connecting(void **out)
{
    struct state *s = *out;
    struct tarpit t;
    tarpit_open(&t);
    snprintf(s->url, sizeof(s->url), "http://127.0.0.1:%d/", t.port);
    struct http_peer *p = fixture_peer(s->client, s->url, NULL);
    for (int i = 0; i < 2; i++) {
        answer_init(&s->a);
        http_start(p, &s->a.request);
        fixture_run_for(s->loop, i * 20);
        http_cancel(p, &s->a.request);
        fixture_run_until(s->loop, &s->a.done);
        assert_int_equal(s->a.err, ERR_CANCELED);
    }
    http_peer_free(p);
    tarpit_close(&t);
}

static void peer_freed_while_it_runs(void **out)
{
    struct state *s = *out;
    struct http_peer *p = raw_peer(s, stalls, true, NULL);
    answer_init(&s->a);
    http_start(p, &s->a.request);
    fixture_run_for(s->loop, 20);
    http_peer_free(p);
    fixture_run_for(s->loop, 20);
    assert_false(s->a.done);
}

static void client_freed_while_it_runs(void **out)
{
    struct state *s = *out;
    struct http_peer *p = raw_peer(s, stalls, true, NULL);
    answer_init(&s->a);
    http_start(p, &s->a.request);
    fixture_run_for(s->loop, 20);
    http_client_free(s->client);
    s->client = NULL;
    assert_false(s->a.done);
    fixture_run_until(s->loop, &s->a.done);
    assert_int_equal(s->a.err, ERR_CANCELED);
    http_peer_free(p);
}

struct chain {
    struct answer a;
    struct state *s;
    struct http_peer *p;
    int n;
    bool over;
};

static void chain_done(struct http_request *r, const struct http_response *response)
{
    struct chain *c = (struct chain *)CONTAINER_OF(r, struct answer, request);
    assert_int_equal(response->err, OK);
    if (++c->n < 5) {
        http_start(c->p, &c->a.request);
        return;
    }
    http_peer_free(c->p);
    http_client_free(c->s->client);
    c->s->client = NULL;
    c->over = true;
}

static void done_may_start_and_free(void **out)
{
    struct state *s = *out;
    struct chain c = {.s = s};
    c.p = raw_peer(s, ok_keep_alive, true, NULL);
    answer_init(&c.a);
    c.a.request.done = chain_done;
    http_start(c.p, &c.a.request);
    fixture_run_until(s->loop, &c.over);
    assert_int_equal(c.n, 5);
    answer_release(&c.a);
}

/* ---- names, proxies, TLS ---- */

static void resolves_localhost(void **out)
{
    struct state *s = *out;
    s->raw = raw_open(ok_keep_alive, true);
    snprintf(s->url, sizeof(s->url), "http://localhost:%d/", raw_port(s->raw));
    struct http_peer *p = fixture_peer(s->client, s->url, NULL);
    for (int i = 0; i < 2; i++) { /* ::1 may be tried first, and refuses */
        fixture_get(s->loop, p, &s->a);
        assert_string_equal(s->a.text, "");
        assert_int_equal(s->a.reused, i);
    }
    http_peer_free(p);
}

static void goes_through_a_proxy_only_when_told(void **out)
{
    struct state *s = *out;
    s->raw = raw_open(ok_keep_alive, true);
    char proxy[64];
    snprintf(proxy, sizeof(proxy), "http://user:pw@127.0.0.1:%d", raw_port(s->raw));
    setenv("http_proxy", proxy, 1);
    setenv("HTTP_PROXY", proxy, 1);
    struct http_options direct = {0}, by_environment = {.proxy_from_environment = true},
                        by_url = {.proxy_url = str_c(proxy)},
                        excepted = {.proxy_url = str_c(proxy), .no_proxy = STR("192.0.2.0/24")};
    struct http_peer *p = fixture_peer(s->client, "http://target.invalid:81/m", &by_environment);
    fixture_get(s->loop, p, &s->a);
    assert_string_equal(s->a.text, "");
    assert_non_null(strstr(s->seen[0], "GET http://target.invalid:81/m HTTP/1.1\r\n"));
    assert_non_null(strstr(s->seen[0], "Proxy-Authorization: Basic dXNlcjpwdw==\r\n"));
    http_peer_free(p);
    p = fixture_peer(s->client, "http://192.0.2.1:81/n", &by_url);
    fixture_get(s->loop, p, &s->a);
    assert_string_equal(s->a.text, "");
    http_peer_free(p);
    int n = raw_accepted(s->raw);
    const struct http_options *none[] = {&direct, &excepted};
    for (int i = 0; i < 2; i++) {
        p = fixture_peer(s->client, "http://192.0.2.1:81/o", none[i]);
        answer_init(&s->a);
        s->a.request.timeout_ms = 100;
        http_start(p, &s->a.request);
        fixture_run_until(s->loop, &s->a.done);
        assert_int_not_equal(s->a.err, OK);
        http_peer_free(p);
    }
    assert_int_equal(raw_accepted(s->raw), n);
    unsetenv("http_proxy");
    unsetenv("HTTP_PROXY");
}

static void get_tls(struct state *s, const char *host, const struct http_options *o)
{
    snprintf(s->url, sizeof(s->url), "https://%s:%d/", host, raw_port(s->raw));
    struct http_peer *p = fixture_peer(s->client, s->url, o);
    fixture_get(s->loop, p, &s->a);
    if (s->a.err == OK) {
        assert_string_equal(s->a.body.p, "secure");
        fixture_get(s->loop, p, &s->a);
        assert_int_equal(s->a.err, OK);
        assert_true(s->a.reused);
    }
    http_peer_free(p);
}

static void verifies_certificates(void **out)
{
    struct state *s = *out;
    struct certificates c;
    certificates_new(&c);
    s->raw = tls_open(&c);
    struct http_options good = {.tls.ca = str_c(c.ca_pem), .enable_http2 = true};
    struct http_options wrong = {.tls.ca = str_c(c.other_ca_pem)}, none = {0};
    struct http_options named = {.tls.ca = str_c(c.ca_pem), .tls.server_name = STR("example.test")};
    struct http_options careless = {.tls.insecure_skip_verify = true};
    struct http_options modern = {.tls.ca = str_c(c.ca_pem), .tls.min_version = 13, .tls.max_version = 13};

    get_tls(s, "localhost", &good);
    assert_string_equal(s->a.text, "");
    get_tls(s, "localhost", &modern);
    assert_string_equal(s->a.text, "");
    get_tls(s, "127.0.0.1", &good);
    assert_int_equal(s->a.err, ERR_TLS);
    assert_non_null(strstr(s->a.text, "x509: certificate is not valid for 127.0.0.1"));
    get_tls(s, "127.0.0.1", &named);
    assert_string_equal(s->a.text, "");
    get_tls(s, "localhost", &wrong);
    assert_int_equal(s->a.err, ERR_TLS);
    assert_non_null(strstr(s->a.text, "x509: certificate signed by unknown authority"));
    get_tls(s, "localhost", &none);
    assert_int_equal(s->a.err, ERR_TLS);
    get_tls(s, "127.0.0.1", &careless);
    assert_string_equal(s->a.text, "");

    char path[] = "/tmp/test-ca-XXXXXX";
    close(mkstemp(path));
    write_file(path, c.ca_pem);
    struct http_options file = {.tls.ca_file = str_c(path)};
    get_tls(s, "localhost", &file);
    assert_string_equal(s->a.text, "");
    unlink(path);
    certificates_release(&c);
}

static void tls_spoken_to_plain(void **out)
{
    struct state *s = *out;
    struct http_options careless = {.tls.insecure_skip_verify = true};
    s->raw = raw_open(garbage, true);
    snprintf(s->url, sizeof(s->url), "https://127.0.0.1:%d/", raw_port(s->raw));
    struct http_peer *p = fixture_peer(s->client, s->url, &careless);
    answer_init(&s->a);
    s->a.request.timeout_ms = 300;
    http_start(p, &s->a.request);
    fixture_run_until(s->loop, &s->a.done);
    assert_int_not_equal(s->a.err, OK);
    http_peer_free(p);
}

static enum http_transport automatic = HTTP_TRANSPORT_AUTO, by_curl = HTTP_TRANSPORT_CURL;

#define ONE(f, label, which)                                                                                           \
    {                                                                                                                  \
        .name = #f " (" label ")", .test_func = f, .setup_func = setup, .teardown_func = teardown,                     \
        .initial_state = &which                                                                                        \
    }
#define BOTH(f) ONE(f, "curl", by_curl), ONE(f, "plain", automatic)

int main(void)
{
    signal(SIGPIPE, SIG_IGN); /* as the program does: OpenSSL writes with write(2) */
    const struct CMUnitTest tests[] = {
        BOTH(gets_and_reuses),
        BOTH(reads_chunks),
        BOTH(reads_until_the_connection_closes),
        BOTH(skips_interim_responses),
        BOTH(takes_answers_without_a_body),
        BOTH(reads_byte_by_byte),
        BOTH(reads_large_bodies),
        BOTH(discards_an_unwanted_body),
        BOTH(refuses_an_announced_body_over_the_limit),
        BOTH(stops_an_endless_body),
        BOTH(stops_an_endless_head),
        BOTH(times_out_on_silence),
        BOTH(times_out_on_a_dripping_body),
        BOTH(times_out_while_connecting),
        BOTH(few_connect_at_once),
        BOTH(names_a_cut_off_body),
        BOTH(names_a_cut_off_chunk),
        BOTH(names_an_empty_answer),
        BOTH(names_a_reset),
        BOTH(refuses_garbage),
        BOTH(refuses_a_bad_header),
        BOTH(names_a_refused_connection),
        BOTH(server_closes_after_each_answer),
        BOTH(repeats_a_get_once),
        ONE(does_not_repeat_a_post, "plain", automatic),
        BOTH(post_after_an_idle_close),
        BOTH(obeys_connection_close),
        BOTH(unasked_bytes_are_not_an_answer),
        BOTH(a_thousand_peers_keep_their_connections),
        BOTH(posts_a_large_body),
        BOTH(hears_an_early_answer),
        BOTH(fields_of_request_win),
        BOTH(sends_basic_auth),
        BOTH(sends_basic_auth_of_the_url),
        BOTH(reads_changed_credentials),
        BOTH(stops_after_ten_redirects),
        BOTH(follows_no_redirect_unless_told),
        BOTH(redirect_to_another_host_drops_secrets),
        BOTH(redirect_on_the_same_host_keeps_secrets),
        BOTH(redirect_307_repeats_the_post),
        BOTH(refuses_a_redirect_to_another_protocol),
        BOTH(cancels_in_the_body),
        BOTH(cancels_while_connecting),
        BOTH(peer_freed_while_it_runs),
        BOTH(client_freed_while_it_runs),
        BOTH(done_may_start_and_free),
        BOTH(resolves_localhost),
        BOTH(goes_through_a_proxy_only_when_told),
        ONE(verifies_certificates, "curl", automatic),
        ONE(tls_spoken_to_plain, "curl", automatic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

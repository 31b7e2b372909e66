/* http_client: answers, limits, failures and connections, over both transports. */
#include "client_state.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

/* ---- good answers in all framings ---- */

static void gets_and_reuses(void **out)
{
    struct client_state *s = *out;
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
    struct client_state *s = *out;
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
    struct client_state *s = *out;
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
    struct client_state *s = *out;
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
    struct client_state *s = *out;
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
    struct client_state *s = *out;
    get_raw(s, byte_by_byte, NULL);
    assert_int_equal(s->a.err, OK);
    assert_string_equal(s->a.body.p, "slow!");
}

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
    struct client_state *s = *out;
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
    struct client_state *s = *out;
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
    struct client_state *s = *out;
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
    struct client_state *s = *out;
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
    struct client_state *s = *out;
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

static void times_out(struct client_state *s, raw_fn *fn)
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
    struct client_state *s = *out;
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
    struct client_state *s = *out;
    struct tarpit t;
    struct answer slow[3] = {0};
    struct http_peer *peers[3], *good;
    struct http_client *narrow = client_new(s, 2);
    tarpit_open(&t);
    snprintf(s->url, sizeof(s->url), "http://127.0.0.1:%d/", t.port);
    for (int i = 0; i < 3; i++) {
        peers[i] = fixture_peer(narrow, s->url, NULL);
        answer_init(&slow[i]);
        slow[i].request.timeout_ms = i == 2 ? 100 : 600000; /* the third waits for its turn, in vain */
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
    fixture_run_until(s->loop, &s->a.done); /* the others have passed their turns on, and go on waiting */
    assert_int_equal(s->a.err, OK);
    assert_false(slow[0].done || slow[1].done);
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
    struct client_state *s = *out;
    get_raw(s, half_body, NULL);
    assert_int_equal(s->a.err, ERR_NET);
    assert_string_equal(s->a.text, "unexpected EOF");
}

static void names_a_cut_off_chunk(void **out)
{
    struct client_state *s = *out;
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
    struct client_state *s = *out;
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
    struct client_state *s = *out;
    get_raw(s, resets, NULL);
    assert_int_equal(s->a.err, ERR_NET);
    assert_non_null(strstr(s->a.text, "connection reset by peer"));
    assert_non_null(strstr(s->a.text, "127.0.0.1:"));
}

static void bad_header(struct raw_server *r, int fd, int nth)
{
    (void)r;
    serve_one(fd, nth, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nthis is no header\r\n\r\n");
    raw_wait_close(fd);
}

static void refuses_garbage(void **out)
{
    struct client_state *s = *out;
    get_raw(s, garbage, NULL);
    assert_int_equal(s->a.err, ERR_SYNTAX);
    assert_non_null(strstr(s->a.text, "malformed HTTP response"));
}

static void refuses_a_bad_header(void **out)
{
    struct client_state *s = *out;
    get_raw(s, bad_header, NULL);
    assert_int_equal(s->a.err, ERR_SYNTAX);
    assert_non_null(strstr(s->a.text, "malformed"));
}

static void names_a_refused_connection(void **out)
{
    struct client_state *s = *out;
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
    struct client_state *s = *out;
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
        raw_read(fd, client_current->seen[15], sizeof(client_current->seen[15]));
        return;
    }
    raw_wait_close(fd);
}

static void repeats_a_get_once(void **out)
{
    struct client_state *s = *out;
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
    struct client_state *s = *out;
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
    struct client_state *s = *out;
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
    struct client_state *s = *out;
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
    struct client_state *s = *out;
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
    struct client_state *s = *out;
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
        ONE(does_not_repeat_a_post, "plain", client_automatic),
        BOTH(post_after_an_idle_close),
        BOTH(obeys_connection_close),
        BOTH(unasked_bytes_are_not_an_answer),
        BOTH(a_thousand_peers_keep_their_connections),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* http_server, seen by http_client over loopback, and by a raw socket where a client would be too polite. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "net_fixture.h"

#include "base/mem.h"
#include "wire/compress.h"

struct state {
    struct loop *loop;
    struct http_client *client;
    struct http_server *server;
    struct http_call *kept;
    struct timer timer;
    bool got_call;
    char url[128];
};

static struct buf big;

static void handler(void *ctx, struct http_call *call)
{
    struct state *s = ctx;
    struct str path = http_call_path(call);
    if (str_eq_c(path, "/hello")) {
        http_call_header_set(call, "X-Test", "yes");
        http_call_answer(call, 200, "text/plain", STR("hello"));
    } else if (str_eq_c(path, "/echo")) {
        http_call_answer(call, 201, "text/x", http_call_body(call));
    } else if (str_eq_c(path, "/big")) {
        http_call_answer(call, 200, "text/plain", buf_view(&big));
    } else if (str_eq_c(path, "/a b/ü")) {
        http_call_answer(call, 200, NULL, http_call_query(call, "match[]"));
    } else if (str_eq_c(path, "/method")) {
        http_call_answer(call, 200, NULL, http_call_method(call));
    } else if (str_eq_c(path, "/agent")) {
        http_call_answer(call, 200, NULL, http_call_header(call, "user-agent"));
    } else if (str_eq_c(path, "/later")) {
        s->kept = call;
        s->got_call = true;
    } else {
        http_call_answer(call, 404, "text/plain", STR("not found\n"));
    }
}

static int setup(void **out)
{
    struct state *s = NEW(struct state);
    struct http_client_limits limits = {.user_agent = "leadline-test/1"};
    struct http_server_options o = {.address = STR("127.0.0.1:0"), .max_body = 1000};
    s->loop = fixture_loop_new();
    s->client = http_client_new(s->loop, NULL, &limits);
    assert_int_equal(http_server_new(s->loop, NULL, &o, handler, s, &s->server, NULL), OK);
    assert_true(http_server_port(s->server) > 0);
    *out = s;
    return 0;
}

static int teardown(void **out)
{
    struct state *s = *out;
    http_server_free(s->server);
    http_client_free(s->client);
    fixture_loop_free(s->loop);
    free(s);
    return 0;
}

static struct http_peer *peer(struct state *s, const char *path)
{
    snprintf(s->url, sizeof(s->url), "http://127.0.0.1:%d%s", http_server_port(s->server), path);
    return fixture_peer(s->client, s->url, NULL);
}

static void get(struct state *s, const char *path, struct answer *a)
{
    struct http_peer *p = peer(s, path);
    fixture_get(s->loop, p, a);
    http_peer_free(p);
}

static void answers_requests(void **out)
{
    struct answer a = {0};
    get(*out, "/hello", &a);
    assert_int_equal(a.err, OK);
    assert_int_equal(a.status, 200);
    assert_string_equal(a.content_type, "text/plain");
    assert_string_equal(a.body.p, "hello");
    assert_true(a.date[0]);
    get(*out, "/nowhere", &a);
    assert_int_equal(a.status, 404);
    get(*out, "/a%20b/%C3%BC?x=1&match[]=%7Bjob%3D%22a%22%7D&match[]=second", &a);
    assert_string_equal(a.body.p, "{job=\"a\"}");
    get(*out, "/agent", &a);
    assert_string_equal(a.body.p, "leadline-test/1");
    answer_release(&a);
}

static void takes_bodies_up_to_its_limit(void **out)
{
    struct state *s = *out;
    struct answer a = {0};
    struct http_peer *p = peer(s, "/echo");
    char body[1001];
    memset(body, 'x', sizeof(body));
    answer_init(&a);
    a.request.method = "POST";
    a.request.body = str_from(body, 1000);
    http_start(p, &a.request);
    fixture_run_until(s->loop, &a.done);
    assert_int_equal(a.status, 201);
    assert_int_equal(a.body.n, 1000);
    answer_init(&a);
    a.request.method = "POST";
    a.request.body = str_from(body, 1001);
    http_start(p, &a.request);
    fixture_run_until(s->loop, &a.done);
    assert_int_equal(a.status, 413);
    http_peer_free(p);
    answer_release(&a);
}

static void answers_later(void **out)
{
    struct state *s = *out;
    struct answer a = {0};
    struct http_peer *p = peer(s, "/later?name=x");
    answer_init(&a);
    http_start(p, &a.request);
    fixture_run_until(s->loop, &s->got_call);
    fixture_run_for(s->loop, 20);
    assert_false(a.done);
    assert_true(str_eq_c(http_call_path(s->kept), "/later"));
    assert_true(str_eq_c(http_call_query(s->kept, "name"), "x"));
    http_call_answer(s->kept, 200, "text/plain", STR("at last"));
    fixture_run_until(s->loop, &a.done);
    assert_int_equal(a.status, 200);
    assert_string_equal(a.body.p, "at last");
    http_peer_free(p);
    answer_release(&a);
}

static void late_answer_to_a_client_that_left(void **out)
{
    struct state *s = *out;
    struct answer a = {0};
    struct http_peer *p = peer(s, "/later");
    answer_init(&a);
    http_start(p, &a.request);
    fixture_run_until(s->loop, &s->got_call);
    http_peer_free(p);
    fixture_run_for(s->loop, 20);
    assert_false(a.done);
    http_call_answer(s->kept, 200, "text/plain", STR("too late"));
    fixture_run_for(s->loop, 20);
    get(s, "/hello", &a);
    assert_int_equal(a.status, 200);
    answer_release(&a);
}

static void ends_with_a_call_unanswered(void **out)
{
    struct state *s = *out;
    struct answer a = {0};
    struct http_peer *p = peer(s, "/later");
    answer_init(&a);
    http_start(p, &a.request);
    fixture_run_until(s->loop, &s->got_call);
    http_server_free(s->server);
    s->server = NULL;
    fixture_run_until(s->loop, &a.done);
    assert_int_equal(a.err, ERR_NET);
    http_call_answer(s->kept, 200, NULL, STR("into nothing"));
    http_peer_free(p);
    answer_release(&a);
}

static void compresses_when_asked(void **out)
{
    struct state *s = *out;
    struct answer a = {0};
    struct compressor compressor = {0};
    struct buf plain = {0};
    struct http_header accept = {.name = STR("Accept-Encoding"), .value = STR("zstd;q=0, gzip;q=0.5")};
    buf_clear(&big);
    for (int i = 0; i < 5000; i++) {
        buf_printf(&big, "metric_%d %d\n", i, i);
    }
    struct http_peer *p = peer(s, "/big");
    fixture_get(s->loop, p, &a);
    assert_string_equal(a.content_encoding, "");
    assert_int_equal(a.body.n, big.n);
    answer_init(&a);
    a.request.headers = &accept;
    a.request.n_headers = 1;
    http_start(p, &a.request);
    fixture_run_until(s->loop, &a.done);
    assert_string_equal(a.content_encoding, "gzip");
    assert_true(a.body.n < big.n / 2);
    assert_int_equal(compress_gunzip(&compressor, buf_view(&a.body), 1 << 20, &plain), OK);
    assert_true(str_eq(buf_view(&plain), buf_view(&big)));
    accept.value = STR("gzip;q=0");
    answer_init(&a);
    a.request.headers = &accept;
    a.request.n_headers = 1;
    http_start(p, &a.request);
    fixture_run_until(s->loop, &a.done);
    assert_string_equal(a.content_encoding, "");
    http_peer_free(p);
    compressor_release(&compressor);
    buf_release(&plain);
    buf_release(&big);
    answer_release(&a);
}

static void head_has_no_body(void **out)
{
    struct state *s = *out;
    struct answer a = {0};
    struct http_peer *p = peer(s, "/hello");
    answer_init(&a);
    a.request.method = "HEAD";
    http_start(p, &a.request);
    fixture_run_until(s->loop, &a.done);
    assert_int_equal(a.status, 200);
    assert_int_equal(a.body.n, 0);
    http_peer_free(p);
    answer_release(&a);
}

static void says_why_it_cannot_listen(void **out)
{
    struct state *s = *out;
    struct http_server *other = NULL;
    struct diag d = {0};
    char address[64];
    snprintf(address, sizeof(address), "127.0.0.1:%d", http_server_port(s->server));
    struct http_server_options o = {.address = str_c(address)};
    assert_int_equal(http_server_new(s->loop, NULL, &o, handler, s, &other, &d), ERR_NET);
    assert_non_null(strstr(d.text, address));
    assert_non_null(strstr(d.text, "ddress already in use"));
    static const char *const bad[] = {"127.0.0.1", ":99999", "1:2:3", "[::1]", "127.0.0.1:x", ""};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        o.address = str_c(bad[i]);
        diag_reset(&d);
        assert_int_equal(http_server_new(s->loop, NULL, &o, handler, s, &other, &d), ERR_SYNTAX);
        assert_true(d.text[0]);
    }
}

static void listens_on_every_form_of_address(void **out)
{
    struct state *s = *out;
    struct http_server *other = NULL;
    struct answer a = {0};
    struct diag d = {0};
    static const char *const forms[] = {":0", "0.0.0.0:0", "localhost:0"};
    for (size_t i = 0; i < COUNT_OF(forms); i++) {
        struct http_server_options o = {.address = str_c(forms[i])};
        assert_int_equal(http_server_new(s->loop, NULL, &o, handler, s, &other, &d), OK);
        snprintf(s->url, sizeof(s->url), "http://localhost:%d/hello", http_server_port(other));
        struct http_peer *p = fixture_peer(s->client, s->url, NULL);
        fixture_get(s->loop, p, &a);
        assert_int_equal(a.status, 200);
        http_peer_free(p);
        http_server_free(other);
    }
    answer_release(&a);
}

static void listens_on_a_unix_socket(void **out)
{
    struct state *s = *out;
    struct http_server *first, *second;
    struct diag d = {0};
    struct stat st;
    char directory[] = "/tmp/test-http-server-XXXXXX";
    assert_non_null(mkdtemp(directory));
    char address[100];
    snprintf(address, sizeof(address), "unix:%s/socket", directory);
    struct http_server_options o = {.address = str_c(address)};
    assert_int_equal(http_server_new(s->loop, NULL, &o, handler, s, &first, &d), OK);
    assert_int_equal(http_server_new(s->loop, NULL, &o, handler, s, &second, &d), ERR_NET); /* in use */

    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof(a.sun_path), "%s", address + 5);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    raw_send(fd, "GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    fixture_run_for(s->loop, 50);
    char in[1024] = "";
    assert_true(recv(fd, in, sizeof(in) - 1, MSG_DONTWAIT) > 0);
    assert_non_null(strstr(in, "200 OK"));
    close(fd);
    http_server_free(first);
    fixture_run_for(s->loop, 10);
    assert_int_not_equal(lstat(a.sun_path, &st), 0);
    assert_int_equal(rmdir(directory), 0);
}

static void chunked_body_beyond_the_limit(void **out)
{
    struct state *s = *out;
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                            .sin_port = htons((uint16_t)http_server_port(s->server))};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    raw_send(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    char block[2048];
    memset(block, 'y', sizeof(block));
    raw_send(fd, "800\r\n");
    raw_send_n(fd, block, sizeof(block));
    raw_send(fd, "\r\n0\r\n\r\n");
    fixture_run_for(s->loop, 50);
    char in[1024] = "";
    assert_true(recv(fd, in, sizeof(in) - 1, MSG_DONTWAIT) > 0);
    assert_non_null(strstr(in, " 413 "));
    close(fd);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(answers_requests),
        T(takes_bodies_up_to_its_limit),
        T(answers_later),
        T(late_answer_to_a_client_that_left),
        T(ends_with_a_call_unanswered),
        T(compresses_when_asked),
        T(head_has_no_body),
        T(says_why_it_cannot_listen),
        T(listens_on_every_form_of_address),
        T(listens_on_a_unix_socket),
        T(chunked_body_beyond_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

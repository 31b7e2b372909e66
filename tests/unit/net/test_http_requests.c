/* http_client: what is sent and to whom: fields, credentials, redirects, proxies, TLS; and ending in the middle. */
#include "client_state.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

/* ---- requests ---- */

static void posts_a_large_body(void **out)
{
    struct client_state *s = *out;
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
    struct client_state *s = *out;
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
    struct client_state *s = *out;
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
    struct client_state *s = *out;
    struct http_options o = {.basic_username = STR("Aladdin"), .basic_password = STR("open sesame")};
    get_raw(s, ok_keep_alive, &o);
    assert_non_null(strstr(s->seen[0], "\r\nAuthorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"));
}

static void sends_basic_auth_of_the_url(void **out)
{
    struct client_state *s = *out;
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
    struct client_state *s = *out;
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
    assert_non_null(strstr(s->a.text, "unable to read header value: unable to read file /tmp/test-"));
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
    struct client_state *s = *out;
    struct http_peer *p = raw_peer(s, in_circles, true, NULL);
    fixture_get(s->loop, p, &s->a);
    assert_int_equal(s->a.err, ERR_LIMIT);
    assert_string_equal(s->a.text, "stopped after 10 redirects");
    http_peer_free(p);
}

static void follows_no_redirect_unless_told(void **out)
{
    struct client_state *s = *out;
    struct http_options o = {.follow_redirects = false};
    get_raw(s, in_circles, &o);
    assert_int_equal(s->a.err, OK);
    assert_int_equal(s->a.status, 302);
    assert_string_equal(s->a.body.p, "move");
}

static void elsewhere(struct raw_server *r, int fd, int nth)
{
    char answer[200];
    while (raw_read(fd, client_current->seen[nth], sizeof(client_current->seen[0]))) {
        if (strstr(client_current->seen[nth], " /final ")) {
            raw_send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nthere");
            continue;
        }
        bool same = strstr(client_current->seen[nth], " /same ") != NULL;
        snprintf(
            answer, sizeof(answer), "HTTP/1.1 %s Moved\r\nLocation: http://%s:%d/final\r\nContent-Length: 0\r\n\r\n",
            strstr(client_current->seen[nth], "POST") ? "307" : "301", same ? "127.0.0.1" : "localhost", raw_port(r));
        raw_send(fd, answer);
    }
}

static const char *seen_final(const struct client_state *s)
{
    for (int i = 0; i < 16; i++) {
        if (strstr(s->seen[i], " /final ")) {
            return s->seen[i];
        }
    }
    fail();
    return NULL;
}

static void redirected(struct client_state *s, const char *path, const char *method)
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
    struct client_state *s = *out;
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
    struct client_state *s = *out;
    redirected(s, "/same", "GET");
    const char *head = seen_final(s);
    assert_non_null(strstr(head, "Authorization: Bearer token"));
    assert_non_null(strstr(head, "X-Key: hush"));
}

static void redirect_307_repeats_the_post(void **out)
{
    struct client_state *s = *out;
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
    struct client_state *s = *out;
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
    struct client_state *s = *out;
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
    struct client_state *s = *out;
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
    struct client_state *s = *out;
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
    struct client_state *s = *out;
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
    struct client_state *s;
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
    struct client_state *s = *out;
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
    struct client_state *s = *out;
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
    struct client_state *s = *out;
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

static void get_tls(struct client_state *s, const char *host, const struct http_options *o)
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
    struct client_state *s = *out;
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
    struct client_state *s = *out;
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

int main(void)
{
    signal(SIGPIPE, SIG_IGN); /* as the program does: OpenSSL writes with write(2) */
    const struct CMUnitTest tests[] = {
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
        ONE(verifies_certificates, "curl", client_automatic),
        ONE(tls_spoken_to_plain, "curl", client_automatic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

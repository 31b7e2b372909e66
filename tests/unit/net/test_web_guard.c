/* The HTTP server behind a file of --web.config.file: who gets in, with which headers, over TLS or not, and what
 * happens when the file changes under it. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net_fixture.h"

#include "base/file.h"
#include "base/mem.h"
#include "net/web_guard.h"

/* bcrypt of "secret", of little cost. */
#define HASH "$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"

struct state {
    struct loop *loop;
    struct http_client *client;
    struct http_server *server;
    struct web_guard *guard;
    char directory[64], path[128];
    uint32_t calls;
    bool seen;
};

static void handler(void *ctx, struct http_call *call)
{
    struct state *s = ctx;

    s->calls++;
    http_call_answer(call, 200, "text/plain", STR("inside"));
}

static void write_file(struct state *s, const char *name, const char *text)
{
    char path[256];

    snprintf(path, sizeof(path), "%s/%s", s->directory, name);
    assert_int_equal(file_replace(path, str_c(text), NULL), OK);
}

static int setup(void **out)
{
    struct state *s = NEW(struct state);
    struct http_client_limits limits = {.user_agent = "leadline-test/1"};

    snprintf(s->directory, sizeof(s->directory), "/tmp/leadline-guard-XXXXXX");
    assert_non_null(mkdtemp(s->directory));
    snprintf(s->path, sizeof(s->path), "%s/web.yml", s->directory);
    s->loop = fixture_loop_new();
    s->client = http_client_new(s->loop, NULL, &limits);
    *out = s;
    return 0;
}

static void serve(struct state *s, const char *config)
{
    struct http_server_options o = {.address = STR("127.0.0.1:0")};
    struct diag d = {0};

    write_file(s, "web.yml", config);
    if (web_guard_new(s->loop, NULL, s->path, &s->guard, &d))
        fail_msg("%s", d.text);
    o.guard = s->guard;
    assert_int_equal(http_server_new(s->loop, NULL, &o, handler, s, &s->server, NULL), OK);
}

static void remove_all(const char *directory)
{
    static const char *const names[] = {"web.yml", "cert.pem", "key.pem", "ca.pem"};
    char path[256];

    for (size_t i = 0; i < COUNT_OF(names); i++) {
        snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
        unlink(path);
    }
    rmdir(directory);
}

static int teardown(void **out)
{
    struct state *s = *out;

    http_server_free(s->server);
    web_guard_free(s->guard);
    http_client_free(s->client);
    fixture_loop_free(s->loop);
    remove_all(s->directory);
    free(s);
    return 0;
}

static int ask(struct state *s, const char *scheme, const struct http_options *o, struct answer *a)
{
    char url[128];

    *a = (struct answer){0};
    snprintf(url, sizeof(url), "%s:%d/", scheme, http_server_port(s->server));
    struct http_peer *p = fixture_peer(s->client, url, o);
    fixture_get(s->loop, p, a);
    http_peer_free(p);
    return a->status;
}

static int ask_as(struct state *s, const char *user, const char *password)
{
    struct http_options o = {.basic_username = str_c(user), .basic_password = str_c(password)};
    struct answer a;

    int status = ask(s, "http://127.0.0.1", user ? &o : NULL, &a);
    answer_release(&a);
    return status;
}

static void test_passwords(void **state)
{
    struct state *s = *state;

    serve(s, "basic_auth_users: {ann: \"" HASH "\"}\n");
    assert_int_equal(ask_as(s, NULL, ""), 401);
    assert_int_equal(ask_as(s, "ann", "wrong"), 401);
    assert_int_equal(ask_as(s, "ann", ""), 401);
    assert_int_equal(ask_as(s, "bob", "secret"), 401);
    assert_int_equal(s->calls, 0);
    assert_int_equal(ask_as(s, "ann", "secret"), 200);
    assert_int_equal(ask_as(s, "ann", "secret"), 200); /* known by now */
    assert_int_equal(ask_as(s, "ann", "wrong"), 401);
    assert_int_equal(s->calls, 2);
}

static void test_headers(void **state)
{
    struct state *s = *state;
    struct answer a;

    serve(s, "http_server_config: {headers: {X-Frame-Options: deny, X-XSS-Protection: \"0\"}}\n");
    assert_int_equal(ask(s, "http://127.0.0.1", NULL, &a), 200);
    assert_true(a.n_headers >= 4);
    answer_release(&a);
}

static void test_limit(void **state)
{
    struct state *s = *state;

    serve(s, "rate_limit: {interval: 1h, burst: 2}\n");
    assert_int_equal(ask_as(s, NULL, ""), 200);
    assert_int_equal(ask_as(s, NULL, ""), 200);
    assert_int_equal(ask_as(s, NULL, ""), 429);
}

/* A removed user is out, a broken file lets nobody in, a good one again does. */
static void test_changes(void **state)
{
    struct state *s = *state;

    serve(s, "basic_auth_users: {ann: \"" HASH "\"}\n");
    assert_int_equal(ask_as(s, "ann", "secret"), 200);
    write_file(s, "web.yml", "basic_auth_users: {bob: \"" HASH "\"}\n");
    fixture_run_for(s->loop, 1100);
    assert_int_equal(ask_as(s, "ann", "secret"), 401);
    assert_int_equal(ask_as(s, "bob", "secret"), 200);
    write_file(s, "web.yml", "nonsense");
    fixture_run_for(s->loop, 1100);
    assert_int_equal(ask_as(s, "bob", "secret"), 500);
    unlink(s->path);
    fixture_run_for(s->loop, 1100);
    assert_int_equal(ask_as(s, "bob", "secret"), 500);
    write_file(s, "web.yml", "http_server_config: {http2: true}\n");
    fixture_run_for(s->loop, 1100);
    assert_int_equal(ask_as(s, NULL, ""), 200);
}

static void test_tls(void **state)
{
    struct state *s = *state;
    struct certificates c, other;
    struct answer a;

    certificates_new(&c);
    certificates_new(&other);
    write_file(s, "cert.pem", c.cert_pem);
    write_file(s, "key.pem", c.key_pem);
    serve(s, "tls_server_config: {cert_file: cert.pem, key_file: key.pem}\n");
    struct http_options trust = {.tls.ca = str_c(c.ca_pem)}, trust_other = {.tls.ca = str_c(other.ca_pem)};
    assert_int_equal(ask(s, "https://localhost", &trust, &a), 200);
    answer_release(&a);
    ask(s, "https://localhost", &trust_other, &a);
    assert_int_equal(a.err, ERR_TLS);
    answer_release(&a);
    ask(s, "http://localhost", NULL, &a);
    assert_int_not_equal(a.err, OK);
    answer_release(&a);

    write_file(s, "cert.pem", other.cert_pem); /* renewed */
    write_file(s, "key.pem", other.key_pem);
    fixture_run_for(s->loop, 1100);
    assert_int_equal(ask(s, "https://localhost", &trust_other, &a), 200);
    answer_release(&a);
    write_file(s, "key.pem", c.key_pem); /* of another certificate: nobody is let in */
    fixture_run_for(s->loop, 1100);
    ask(s, "https://localhost", &trust_other, &a);
    assert_int_not_equal(a.status, 200);
    answer_release(&a);
    certificates_release(&c);
    certificates_release(&other);
}

static void refuse(struct state *s, const char *config, const char *words)
{
    struct web_guard *g;
    struct diag d = {0};

    write_file(s, "web.yml", config);
    if (web_guard_new(s->loop, NULL, s->path, &g, &d) == OK)
        fail_msg("taken: %s", config);
    if (!strstr(d.text, words))
        fail_msg("%s", d.text);
}

static void test_what_is_refused_at_start(void **state)
{
    struct state *s = *state;
    struct certificates c, other;

    certificates_new(&c);
    certificates_new(&other);
    write_file(s, "cert.pem", c.cert_pem);
    write_file(s, "key.pem", other.key_pem);
    refuse(s, "tls_server_config: {cert_file: cert.pem, key_file: key.pem}\n", "failed to load certificate and key");
    refuse(s, "tls_server_config: {cert_file: none.pem, key_file: key.pem}\n", "failed to read cert_file");
    write_file(s, "key.pem", c.key_pem);
    write_file(s, "ca.pem", "nothing");
    refuse(s,
           "tls_server_config: {cert_file: cert.pem, key_file: key.pem, client_ca_file: ca.pem, client_auth_type: "
           "RequireAndVerifyClientCert}\n",
           "client_ca: no certificate in it");
    certificates_release(&c);
    certificates_release(&other);
}

/* The server goes while a password is being checked. */
static void test_end_during_a_check(void **state)
{
    struct state *s = *state;
    struct http_options o = {.basic_username = STR("ann"), .basic_password = STR("secret")};
    struct answer a = {0};
    char url[64];

    serve(s, "basic_auth_users: {ann: \"$2y$12$abcdefghijklmnopqrstuuJrvaPEnQ71bg0eF0rYsiuyTuLV0O6du\"}\n");
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/", http_server_port(s->server));
    struct http_peer *p = fixture_peer(s->client, url, &o);
    answer_init(&a);
    http_start(p, &a.request);
    fixture_run_for(s->loop, 50);
    http_server_free(s->server);
    s->server = NULL;
    web_guard_free(s->guard);
    s->guard = NULL;
    fixture_run_until(s->loop, &a.done);
    assert_int_not_equal(a.status, 200);
    http_peer_free(p);
    answer_release(&a);
    assert_int_equal(s->calls, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_passwords, setup, teardown),
        cmocka_unit_test_setup_teardown(test_headers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_changes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_tls, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_refused_at_start, setup, teardown),
        cmocka_unit_test_setup_teardown(test_end_during_a_check, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

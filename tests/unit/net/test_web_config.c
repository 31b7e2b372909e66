/* The file of --web.config.file: what is taken and how, what is refused and where, and that no secret gets out. */
#include "unit.h"

#include "base/mem.h"
#include "net/web_config.h"

#define HASH "$2y$10$PYpgxOqScY.WFTIMp4XEVuc0EVukLflybTurNyX.OC4hHnsbEx3Xa"

static struct web_config *take(const char *text)
{
    struct web_config *c = NULL;
    struct diag d = {0};

    if (web_config_parse(str_c(text), "web.yml", STR("/etc/x"), &c, &d))
        fail_msg("%s\n%d:%d: %s", text, d.line, d.col, d.text);
    return c;
}

static void refuse(const char *text, int line, int col, const char *words)
{
    struct web_config *c;
    struct diag d = {0};

    if (web_config_parse(str_c(text), "web.yml", STR("/etc/x"), &c, &d) == OK)
        fail_msg("taken: %s", text);
    if (!strstr(d.text, words))
        fail_msg("%s: %s", text, d.text);
    assert_int_equal(d.line, line);
    assert_int_equal(d.col, col);
    assert_string_equal(d.file, "web.yml");
}

static void test_defaults(void **state)
{
    struct web_config *c = take("");

    (void)state;
    assert_false(c->tls);
    assert_true(c->http2);
    assert_int_equal(c->min_version, 12);
    assert_int_equal(c->max_version, 13);
    assert_int_equal(c->n_users + c->n_headers, 0);
    web_config_unref(c);
    web_config_unref(take("tls_server_config:\nbasic_auth_users:\nhttp_server_config:\n"));
}

static void test_everything(void **state)
{
    struct web_config *c = take("tls_server_config:\n"
                                "  cert_file: a.pem\n"
                                "  key_file: /abs/b.pem\n"
                                "  client_ca: text\n"
                                "  client_auth_type: RequireAndVerifyClientCert\n"
                                "  client_allowed_sans: [one, two]\n"
                                "  min_version: TLS10\n"
                                "  max_version: TLS12\n"
                                "  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]\n"
                                "  curve_preferences: [X25519]\n"
                                "http_server_config:\n"
                                "  http2: false\n"
                                "  headers: {X-Frame-Options: sameorigin, Content-Security-Policy: \"x y\"}\n"
                                "rate_limit: {interval: 1s, burst: 3}\n"
                                "basic_auth_users:\n"
                                "  ann: " HASH "\n");

    (void)state;
    assert_true(c->tls);
    assert_str_c(c->cert_file, "/etc/x/a.pem");
    assert_str_c(c->key_file, "/abs/b.pem");
    assert_str_c(c->client_ca, "text");
    assert_int_equal(c->client_auth, CLIENT_AUTH_REQUIRE_AND_VERIFY);
    assert_int_equal(c->n_client_sans, 2);
    assert_int_equal(c->min_version, 10);
    assert_int_equal(c->max_version, 12);
    assert_int_equal(c->n_cipher_suites, 1);
    assert_int_equal(c->n_curves, 1);
    assert_false(c->http2);
    assert_int_equal(c->n_headers, 2);
    assert_str_c(c->headers[1].value, "x y");
    assert_int_equal(c->rate_interval_ns, 1000000000);
    assert_int_equal(c->rate_burst, 3);
    assert_str_c(c->users[0].name, "ann");
    web_config_unref(c);
}

static void test_positions(void **state)
{
    (void)state;
    refuse("tls_server_config:\n  cert_filse: x\n", 2, 3, "field cert_filse not found in type web.TLSConfig");
    refuse("nope: 1\n", 1, 1, "field nope not found in type web.Config");
    refuse("text", 1, 1, "expected a mapping");
    refuse("tls_server_config:\n  cert_file: a\n", 2, 3, "missing one of key or key_file");
    refuse("tls_server_config:\n  key_file: a\n", 2, 3, "missing one of cert or cert_file");
    refuse("tls_server_config: {cert: a, key: b, client_ca: c}\n", 1, 20, "without a Client Auth Policy");
    refuse("tls_server_config: {cert: a, key: b, min_version: TLS11, max_version: TLS10}\n", 1, 20, "min_version");
    refuse("tls_server_config: {cert: a, key: b, min_version: TLS9}\n", 1, 51, "unknown TLS version: TLS9");
    refuse("tls_server_config: {cert: a, key: b, cipher_suites: [x]}\n", 1, 54, "unknown cipher: x");
    refuse("tls_server_config: {cert: a, key: b, curve_preferences: [x]}\n", 1, 58, "unknown curve: x");
    refuse("tls_server_config: {cert: a, key: b, client_auth_type: x}\n", 1, 56, "invalid ClientAuth: x");
    refuse("http_server_config: {headers: {Server: x}}\n", 1, 40, "HTTP header \"Server\" can not be configured");
    refuse("http_server_config: {headers: {X-Frame-Options: x}}\n", 1, 49, "expected deny or sameorigin");
    refuse("rate_limit: {interval: x}\n", 1, 24, "expected a duration");
    refuse("tls_server_config: {cert: a, key: b, cipher_suites: [TLS_AES_128_GCM_SHA256]}\n", 1, 1, "HTTP/2-required");
}

static void test_hashes(void **state)
{
    static const char *const bad[] = {"secret-word", "$2y$10$short", ("$1$abc$" HASH),
                                      "$2y$99$PYpgxOqScY.WFTIMp4XEVuc0EVukLflybTurNyX.OC4hHnsbEx3Xa",
                                      "$2y$10$PYpgxOqScY WFTIMp4XEVuc0EVukLflybTurNyX.OC4hHnsbEx3Xa"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct web_config *c;
        struct diag d = {0};
        AUTO_BUF text = {0};
        buf_printf(&text, "basic_auth_users:\n  ann: \"%s\"\n", bad[i]);
        assert_int_equal(web_config_parse(buf_view(&text), "web.yml", STR("."), &c, &d), ERR_SYNTAX);
        assert_non_null(strstr(d.text, "\"ann\" is not a bcrypt hash"));
        assert_null(strstr(d.text, bad[i])); /* it may be the password itself */
    }
    web_config_unref(take("basic_auth_users: {b: \"$2$10$PYpgxOqScY.WFTIMp4XEVuc0EVukLflybTurNyX.OC4hHnsbEx3Xa\"}\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_everything),
        cmocka_unit_test(test_positions),
        cmocka_unit_test(test_hashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

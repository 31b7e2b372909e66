/* The HTTP client block, and the URLs in it. */
#include "unit/config/read.h"

#define HTTP(keys) "scrape_configs:\n- job_name: a\n  " keys "\n"

static void every_key_reaches_the_options(void **state)
{
    (void)state;
    struct plan *p = read_good(HTTP("basic_auth: {username: u, password_file: p}\n"
                                    "  tls_config: {ca: CA, cert_file: /c, key_file: k, server_name: s, "
                                    "insecure_skip_verify: true, min_version: TLS12, max_version: TLS13}\n"
                                    "  proxy_url: http://p:1\n  no_proxy: a,b\n  follow_redirects: no\n"
                                    "  enable_http2: off\n"
                                    "  http_headers: {X-A: {values: [1, 2], secrets: [3], files: [f]}, X-B: }\n"));
    const struct http_options *o = &p->scrapes[0].http;
    assert_str_c(o->basic_username, "u");
    assert_str_c(o->basic_password_file, "conf/p");
    assert_str_c(o->tls.ca, "CA");
    assert_str_c(o->tls.cert_file, "/c");
    assert_str_c(o->tls.key_file, "conf/k");
    assert_str_c(o->tls.server_name, "s");
    assert_true(o->tls.insecure_skip_verify);
    assert_int_equal(o->tls.min_version, 12);
    assert_int_equal(o->tls.max_version, 13);
    assert_str_c(o->proxy_url, "http://p:1");
    assert_str_c(o->no_proxy, "a,b");
    assert_false(o->follow_redirects);
    assert_false(o->enable_http2);
    assert_int_equal(o->n_headers, 4);
    assert_str_c(o->headers[1].value, "2");
    assert_false(o->headers[1].secret);
    assert_str_c(o->headers[2].value, "3");
    assert_true(o->headers[2].secret);
    assert_str_c(o->headers[3].file, "conf/f");
    plan_unref(p);
}

static void tokens_become_an_authorization(void **state)
{
    (void)state;
    struct plan *p =
        read_good("scrape_configs:\n- {job_name: a, bearer_token: t}\n- {job_name: b, bearer_token_file: f}\n"
                  "- {job_name: c, authorization: {type: ' Token ', credentials: x}}\n"
                  "- {job_name: d, authorization: {}}\n- {job_name: e}\n");
    assert_str_c(p->scrapes[0].http.authorization_type, "Bearer");
    assert_str_c(p->scrapes[0].http.authorization_credentials, "t");
    assert_str_c(p->scrapes[1].http.authorization_credentials_file, "conf/f");
    assert_str_c(p->scrapes[2].http.authorization_type, "Token");
    assert_str_c(p->scrapes[3].http.authorization_type, "Bearer");
    assert_int_equal(p->scrapes[4].http.authorization_type.n, 0);
    plan_unref(p);
}

static void what_excludes_each_other_is_refused(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {HTTP("bearer_token: a\n  bearer_token_file: b"),
         "4:3: at most one of bearer_token & bearer_token_file must be"},
        {HTTP("bearer_token: a\n  basic_auth: {}"),
         "4:3: at most one of basic_auth, oauth2, bearer_token & bearer_token"},
        {HTTP("basic_auth: {username: a, username_file: b}"), "at most one of basic_auth username, username_file"},
        {HTTP("basic_auth: {password: a, password_file: b}"), "at most one of basic_auth password, password_file"},
        {HTTP("bearer_token: a\n  authorization: {}"), "authorization is not compatible with bearer_token"},
        {HTTP("authorization: {credentials: a, credentials_file: b}"), "at most one of authorization credentials"},
        {HTTP("authorization: {type: Basic}"),
         "3:19: authorization type cannot be set to \"basic\", use \"basic_auth\""},
        {HTTP("basic_auth: {}\n  authorization: {}"), "at most one of basic_auth, oauth2 & authorization must be"},
        {HTTP("tls_config: {ca: a, ca_file: b}"), "at most one of ca, ca_file & ca_ref must be configured"},
        {HTTP("tls_config: {cert: a, cert_file: b, key: c}"), "at most one of cert, cert_file & cert_ref"},
        {HTTP("tls_config: {key: a, key_file: b, cert: c}"), "at most one of key and key_file must be configured"},
        {HTTP("tls_config: {cert: a}"), "exactly one of key or key_file must be configured when a client certificate"},
        {HTTP("tls_config: {key: a}"), "exactly one of cert or cert_file must be configured when a client key"},
        {HTTP("tls_config: {min_version: TLS14}"), "min_version: unknown TLS version: \"TLS14\""},
        {HTTP("tls_config: {ciphers: x}"), "field ciphers not found in type config.plain"},
        {HTTP("proxy_from_environment: true\n  proxy_url: http://x"),
         "if proxy_from_environment is configured, proxy_url"},
        {HTTP("proxy_from_environment: true\n  no_proxy: x"), "if proxy_from_environment is configured, no_proxy"},
        {HTTP("no_proxy: x"), "if no_proxy is configured, proxy_url must also be configured"},
        {HTTP("http_headers: {user-agent: {values: [x]}}"), "3:18: setting header \"User-Agent\" is not allowed"},
        {HTTP("http_headers: {X: {value: [x]}}"), "field value not found in type config.Header"},
        {HTTP("http_headers: {X: {values: x}}"), "values: cannot unmarshal !!str into []string"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_error(cases[i][0], ERR_SYNTAX, cases[i][1]);
}

#define OAUTH2(keys) HTTP("oauth2: {client_id: me, token_url: 'https://a/t', " keys "}")
#define JWT          "grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer'"

static void oauth2_is_kept_whole(void **state)
{
    (void)state;
    struct plan *p = read_good(OAUTH2("client_secret_file: s, scopes: [r, w], endpoint_params: {aud: x}, "
                                      "tls_config: {ca_file: ca}, proxy_url: 'http://p', "
                                      "proxy_connect_header: {A: [1, 2]}"));
    const struct oauth2_options *o = p->scrapes[0].http.oauth2;
    assert_int_equal(o->grant, OAUTH2_CLIENT_CREDENTIALS);
    assert_str_c(o->client_id, "me");
    assert_str_c(o->client_secret_file, "conf/s");
    assert_str_c(o->token_url, "https://a/t");
    assert_int_equal(o->n_scopes, 2);
    assert_str_c(o->scopes[1], "w");
    assert_int_equal(o->n_endpoint_params, 1);
    assert_str_c(o->endpoint_params[0].name, "aud");
    assert_str_c(o->http->tls.ca_file, "conf/ca");
    assert_str_c(o->http->proxy_url, "http://p");
    assert_int_equal(o->http->n_proxy_connect_headers, 2);
    plan_unref(p);
    p = read_good(OAUTH2(JWT ", client_certificate_key_file: k, signature_algorithm: RS512, iss: i, audience: a, "
                             "client_certificate_key_id: 7, claims: {n: 0x10, deep: {list: [a, yes]}}"));
    o = p->scrapes[0].http.oauth2;
    assert_int_equal(o->grant, OAUTH2_JWT_BEARER);
    assert_str_c(o->client_certificate_key_file, "k"); /* as it stands, like the original */
    assert_str_c(o->client_certificate_key_id, "7");
    assert_str_c(o->signature_algorithm, "RS512");
    assert_str_c(o->claims_json, "{\"n\":16,\"deep\":{\"list\":[\"a\",true]}}");
    plan_unref(p);
}

static void oauth2_is_checked_in_the_original_words(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {HTTP("oauth2: {token_url: a}"), "3:11: oauth2 client_id must be configured"},
        {HTTP("oauth2: {client_id: a}"), "3:11: oauth2 token_url must be configured"},
        {OAUTH2("client_secret: a, client_secret_file: b"),
         "at most one of oauth2 client_secret, client_secret_file &"},
        {OAUTH2(JWT ", client_certificate_key: a, client_certificate_key_file: b"),
         "at most one of oauth2 client_certificate_key, client_certificate_key_file &"},
        {OAUTH2(JWT ", signature_algorithm: ES256"), "valid signature algorithms are RS256, RS384 and RS512"},
        {OAUTH2("claims: [a]"), "claims: cannot unmarshal !!seq into map[string]interface {}"},
        {OAUTH2("no_proxy: a"), "if no_proxy is configured, proxy_url must also be configured"},
        {OAUTH2("proxy_connect_header: {A: [b]}"), "if proxy_connect_header is configured, proxy_url or"},
        {OAUTH2("secret: a"), "field secret not found in type config.plain"},
        {OAUTH2("client_secret: a") "  basic_auth: {}\n", "at most one of basic_auth, oauth2 & authorization must be"},
        {OAUTH2("client_secret: a") "  authorization: {}\n", "at most one of basic_auth, oauth2 & authorization must"},
        {OAUTH2("client_secret: a") "  bearer_token: x\n", "at most one of basic_auth, oauth2, bearer_token & bearer"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_error(cases[i][0], ERR_SYNTAX, cases[i][1]);
    struct plan *p = read_good(OAUTH2("grant_type: password"));
    assert_true(str_contains(p->warnings[0], STR("grant_type: \"password\" is taken for client_credentials")));
    plan_unref(p);
}

static void fields_for_the_proxy_need_one(void **state)
{
    (void)state;
    struct plan *p = read_good(HTTP("proxy_url: http://x\n  proxy_connect_header: {A: [b, c], B: [d]}"));
    const struct http_options *o = &p->scrapes[0].http;
    assert_int_equal(o->n_proxy_connect_headers, 3);
    assert_str_c(o->proxy_connect_headers[1].name, "A");
    assert_str_c(o->proxy_connect_headers[1].value, "c");
    assert_true(o->proxy_connect_headers[2].secret);
    plan_unref(p);
    assert_error(HTTP("proxy_connect_header: {A: [b]}"), ERR_SYNTAX,
                 "3:3: if proxy_connect_header is configured, proxy_url or proxy_from_environment must also be");
    plan_unref(read_good(HTTP("proxy_from_environment: true\n  proxy_connect_header: {A: [b]}")));
}

static void secret_managers_are_refused_by_name(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {HTTP("basic_auth: {password_ref: a}"), "3:16: password_ref: not supported by leadline"},
        {HTTP("authorization: {credentials_ref: a}"), "credentials_ref: not supported"},
        {HTTP("tls_config: {ca_ref: a}"), "ca_ref: not supported"},
        {HTTP("oauth2: {client_id: a, token_url: b, client_secret_ref: c}"), "client_secret_ref: not supported"},
        {HTTP("oauth2: {client_id: a, token_url: b, client_certificate_key_ref: c}"),
         "client_certificate_key_ref: not"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_error(cases[i][0], ERR_UNSUPPORTED, cases[i][1]);
    plan_unref(read_good(HTTP("oauth2:\n  proxy_connect_header: {}\n  basic_auth: {username_ref: ''}")));
}

static void urls_are_taken_as_go_takes_them(void **state)
{
    (void)state;
    static const char *const good[] = {
        "http://h",
        "https://u:p@h:1/a%20b?x=%zz#f",
        "http://[::1]:9090/",
        "http://[fe80::1%25eth0]/",
        "h",
        "/a:b",
        "",
        "http:",
        "HTTP://h",
        "mailto:x y",
        "http://h:",
        "//h/x",
        "http://h_1.x-y~z/",
        "unix:/x",
        "http://h/\xc3\xa9",
    };
    static const char *const bad[][2] = {
        {":x", "missing protocol scheme"},
        {"a b:c", "first path segment in URL cannot contain colon"},
        {"1:2", "first path segment in URL cannot contain colon"},
        {"http://h:x", "invalid port after host"},
        {"http://h:1:2/", "invalid port after host"},
        {"http://[::1]x/", "invalid port after host"},
        {"http://[::1/", "missing ']' in host"},
        {"http://a[::1]/", "invalid IP-literal"},
        {"http://[1.2.3.4]/", "invalid IP-literal"},
        {"http://[zz::]/", "invalid host"},
        {"http://a b/", "invalid character in host name"},
        {"http://h%41/", "invalid URL escape"},
        {"http://h/%zz", "invalid URL escape"},
        {"http://h/#%z", "invalid URL escape"},
        {"http://a b@h/", "net/url: invalid userinfo"},
        {"http://h/\x01", "net/url: invalid control character in URL"},
    };
    char text[256];
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        snprintf(text, sizeof(text), HTTP("proxy_url: '%s'"), good[i]);
        plan_unref(read_good(text));
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char escaped[128] = "";
        for (size_t k = 0, n = 0; bad[i][0][k]; k++)
            n += (size_t)snprintf(escaped + n, sizeof(escaped) - n, bad[i][0][k] == 1 ? "\\x01" : "%c", bad[i][0][k]);
        snprintf(text, sizeof(text), HTTP("proxy_url: \"%s\""), escaped);
        assert_error(text, ERR_SYNTAX, bad[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_reaches_the_options),           cmocka_unit_test(tokens_become_an_authorization),
        cmocka_unit_test(what_excludes_each_other_is_refused),     cmocka_unit_test(oauth2_is_kept_whole),
        cmocka_unit_test(oauth2_is_checked_in_the_original_words), cmocka_unit_test(fields_for_the_proxy_need_one),
        cmocka_unit_test(secret_managers_are_refused_by_name),     cmocka_unit_test(urls_are_taken_as_go_takes_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

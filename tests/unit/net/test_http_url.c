/* URLs: splitting, escaping, joining; and which proxy they go through. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>

#include "base/mem.h"
#include "net/http_client_int.h"
#include "net/proxy.h"

struct split {
    const char *url, *scheme, *userinfo, *host, *port, *path, *query;
};

static void splits(void **state)
{
    static const struct split cases[] = {
        {"http://a", "http", "", "a", "", "", ""},
        {"https://a.b:9100/metrics?x=1&y#z", "https", "", "a.b", "9100", "/metrics", "x=1&y"},
        {"HTTP://u:p@w@[fd00::1]:80?q", "HTTP", "u:p@w", "fd00::1", "80", "", "q"},
        {"http://[::1]/", "http", "", "::1", "", "/", ""},
        {"http://a/x@y:1", "http", "", "a", "", "/x@y:1", ""},
        {"http://a?x=/@b", "http", "", "a", "", "", "x=/@b"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct http_url u;
        const struct split *c = &cases[i];
        assert_int_equal(http_url_parse(str_c(c->url), &u, NULL), OK);
        assert_true(str_eq_c(u.scheme, c->scheme) && str_eq_c(u.userinfo, c->userinfo) && str_eq_c(u.host, c->host) &&
                    str_eq_c(u.port, c->port) && str_eq_c(u.path, c->path) && str_eq_c(u.query, c->query));
    }
}

static void refuses(void **state)
{
    static const char *const cases[] = {
        "",           "/metrics",       "a:80/metrics",  "ftp://a/",       "http:///x",
        "http://:80", "http://a:x",     "http://a:0",    "http://a:65536", "http://[::1",
        "http://a b", "http://[::1]80", "http://a\n.b/", "http://a/\x01",  "http:a"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct http_url u;
        struct diag d = {0};
        if (http_url_parse(str_c(cases[i]), &u, &d) != ERR_SYNTAX || !d.text[0]) {
            fail_msg("%s was taken", cases[i]);
        }
    }
}

static void prints_and_escapes(void **state)
{
    struct http_url u;
    AUTO_BUF b = {0};
    (void)state;
    assert_int_equal(http_url_parse(STR("http://[::1]:80/a b/%41\xc3\xbc?q=\"x\" y"), &u, NULL), OK);
    http_url_print_host(&b, &u);
    assert_string_equal(b.p, "[::1]:80");
    buf_clear(&b);
    http_url_print_target(&b, &u);
    assert_string_equal(b.p, "/a%20b/%41%C3%BC?q=\"x\"%20y");
    buf_clear(&b);
    http_query_escape(&b, STR("aZ0-_.~ +/?&={}\"\xc3\xbc"));
    assert_string_equal(b.p, "aZ0-_.~+%2B%2F%3F%26%3D%7B%7D%22%C3%BC");
    buf_clear(&b);
    http_percent_decode(&b, STR("%41%zz%4"));
    assert_string_equal(b.p, "A%zz%4");
}

static void joins(void **state)
{
    static const char *const cases[][3] = {
        {"http://a:81/b/c?d", "/e", "http://a:81/e"},
        {"http://a/b/c", "e?f", "http://a/b/e?f"},
        {"http://a/b/c/", "../e", "http://a/b/e"},
        {"http://a/b", "//c/d", "http://c/d"},
        {"http://a/b", "https://c:4/d e", "https://c:4/d%20e"},
        {"http://a/b?c", "?e", "http://a/b?e"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        AUTO_BUF out = {0};
        assert_int_equal(http_url_join(str_c(cases[i][0]), str_c(cases[i][1]), &out, NULL), OK);
        assert_string_equal(out.p, cases[i][2]);
    }
}

struct bypass {
    const char *list, *host;
    uint16_t port;
    bool direct;
};

static void no_proxy_lists(void **state)
{
    static const struct bypass cases[] = {
        {"", "a.b", 80, false},
        {"", "localhost", 80, true},
        {"", "127.0.0.9", 80, true},
        {"", "::1", 80, true},
        {"*", "a.b", 80, true},
        {"b.c", "b.c", 80, true},
        {"b.c", "a.b.c", 80, true},
        {"b.c", "ab.c", 80, false},
        {".b.c", "b.c", 80, false},
        {".b.c", "A.B.C", 80, true},
        {"*.b.c", "a.b.c", 80, true},
        {"x, b.c ,y", "b.c", 80, true},
        {"b.c:81", "b.c", 80, false},
        {"b.c:81", "b.c", 81, true},
        {"10.0.0.0/8", "10.9.8.7", 80, true},
        {"10.0.0.0/9", "10.200.0.1", 80, false},
        {"10.1.2.3", "10.1.2.3", 80, true},
        {"10.1.2.3", "10.1.2.4", 80, false},
        {"10.1.2.3:81", "10.1.2.3", 80, false},
        {"fd00::/8", "fd12::1", 80, true},
        {"fd00::1", "fd00::1", 80, true},
        {"[fd00::1]:80", "fd00::1", 80, true},
        {"10.0.0.0/99", "10.0.0.0", 80, false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const struct bypass *c = &cases[i];
        if (proxy_bypassed(str_c(c->list), str_c(c->host), c->port) != c->direct) {
            fail_msg("\"%s\" and %s:%u", c->list, c->host, c->port);
        }
    }
}

static void chooses_a_proxy(void **state)
{
    struct http_url http, https, local;
    struct http_options none = {0}, environment = {.proxy_from_environment = true},
                        url = {.proxy_url = STR("http://p:1")};
    (void)state;
    assert_int_equal(http_url_parse(STR("http://a/"), &http, NULL), OK);
    assert_int_equal(http_url_parse(STR("https://b/"), &https, NULL), OK);
    assert_int_equal(http_url_parse(STR("http://localhost/"), &local, NULL), OK);
    setenv("http_proxy", "http://lower:1", 1);
    setenv("HTTPS_PROXY", "http://upper:1", 1);
    setenv("NO_PROXY", "b", 1);
    assert_int_equal(proxy_for(&none, &http).n, 0);
    assert_true(str_eq_c(proxy_for(&environment, &http), "http://lower:1"));
    assert_int_equal(proxy_for(&environment, &https).n, 0);
    setenv("NO_PROXY", "c", 1);
    assert_true(str_eq_c(proxy_for(&environment, &https), "http://upper:1"));
    assert_int_equal(proxy_for(&environment, &local).n, 0);
    assert_true(str_eq_c(proxy_for(&url, &local), "http://p:1"));
    url.no_proxy = STR("x");
    assert_int_equal(proxy_for(&url, &local).n, 0);
    unsetenv("http_proxy");
    unsetenv("HTTPS_PROXY");
    unsetenv("NO_PROXY");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(splits), cmocka_unit_test(refuses),        cmocka_unit_test(prints_and_escapes),
        cmocka_unit_test(joins),  cmocka_unit_test(no_proxy_lists), cmocka_unit_test(chooses_a_proxy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

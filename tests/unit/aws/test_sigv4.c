/* The signer: values of the AWS signing test suite, and what callers rely on. tests/conformance/sigv4 has the rest. */
#include "unit.h"

#include "aws/sigv4.h"
#include "base/mem.h"

#define OF_2015 1440938160000 /* 2015-08-30T12:36:00Z */

static const struct aws_credentials example = {
    .access_key = {"AKIDEXAMPLE", 11},
    .secret_key = {"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", 40},
};
static const struct http_header host[] = {{.name = {"Host", 4}, .value = {"example.amazonaws.com", 21}}};

static struct sigv4_request get(const char *path)
{
    return (struct sigv4_request){.method = "GET",
                                  .path = str_c(path),
                                  .headers = host,
                                  .n_headers = 1,
                                  .region = STR("us-east-1"),
                                  .service = STR("service"),
                                  .time_ms = OF_2015};
}

static const struct http_header *named(const struct http_header *headers, int n, const char *name)
{
    for (int i = 0; i < n; i++) {
        if (str_eq_nocase(headers[i].name, str_c(name)))
            return &headers[i];
    }
    return NULL;
}

/* The hexadecimal digits behind Signature=, or the error's text. */
static void sign(const struct sigv4_request *r, const struct aws_credentials *c, struct buf *out)
{
    struct sigv4_key key = {0};
    struct http_header headers[4];
    struct diag d = {0};
    AUTO_BUF text = {0};
    int n = -1;

    buf_clear(out);
    if (sigv4_sign(&key, r, c, &text, headers, &n, &d) != OK) {
        assert_int_equal(n, 0);
        buf_c(out, d.text);
        return;
    }
    struct str value = named(headers, n, "authorization")->value;
    buf_str(out, str_from(value.p + value.n - 64, 64));
}

static void test_known_signatures(void **state)
{
    (void)state;
    AUTO_BUF out = {0};
    struct sigv4_request r = get("/");
    sign(&r, &example, &out);
    assert_str_c(buf_view(&out), "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
    /* empty is the root */
    r.path = STR_NONE;
    sign(&r, &example, &out);
    assert_str_c(buf_view(&out), "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
    /* normalising: the same request again */
    r.path = STR("/a/./..//b/../");
    sign(&r, &example, &out);
    assert_str_c(buf_view(&out), "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
    r.keep_path = true;
    sign(&r, &example, &out);
    assert_false(str_eq_c(buf_view(&out), "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"));
}

static void test_fields(void **state)
{
    (void)state;
    struct aws_credentials c = example;
    struct sigv4_request r = get("/");
    struct sigv4_key key = {0};
    struct http_header headers[4];
    AUTO_BUF text = {0};
    struct diag d = {0};
    int n;

    c.session_token = STR("token/with+signs==");
    r.sign_body_header = true;
    assert_int_equal(sigv4_sign(&key, &r, &c, &text, headers, &n, &d), OK);
    assert_int_equal(n, 4);
    assert_str_c(named(headers, n, "x-amz-date")->value, "20150830T123600Z");
    assert_str(named(headers, n, "x-amz-security-token")->value, c.session_token);
    assert_true(named(headers, n, "x-amz-security-token")->secret);
    assert_true(named(headers, n, "authorization")->secret);
    assert_str_c(named(headers, n, "x-amz-content-sha256")->value,
                 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_true(str_starts(named(headers, n, "authorization")->value,
                           STR("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
                               "SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token, Signature=")));
    /* sent, not signed */
    r.omit_session_token = true;
    r.sign_body_header = false;
    assert_int_equal(sigv4_sign(&key, &r, &c, &text, headers, &n, &d), OK);
    assert_int_equal(n, 3);
    assert_non_null(named(headers, n, "x-amz-security-token"));
    assert_true(str_contains(named(headers, n, "authorization")->value, STR("SignedHeaders=host;x-amz-date,")));
    /* signed, not hashed */
    r.unsigned_body = r.sign_body_header = true;
    assert_int_equal(sigv4_sign(&key, &r, &c, &text, headers, &n, &d), OK);
    assert_str_c(named(headers, n, "x-amz-content-sha256")->value, "UNSIGNED-PAYLOAD");
}

/* What proxies and clients change on the way is passed over, and so is what a retry carries from the try before. */
static void test_not_signed(void **state)
{
    (void)state;
    const char *names[] = {"User-Agent", "X-Amzn-Trace-Id", "authorization", "CONNECTION", "te",           "Trailer",
                           "x-amz-date", "Expect",          "baggage",       "upgrade",    "Uber-Trace-Id"};
    struct http_header headers[1 + COUNT_OF(names)] = {host[0]};
    struct sigv4_request r = get("/");
    AUTO_BUF out = {0};

    for (size_t i = 0; i < COUNT_OF(names); i++)
        headers[1 + i] = (struct http_header){.name = str_c(names[i]), .value = STR("x")};
    r.headers = headers;
    r.n_headers = COUNT_OF(headers);
    sign(&r, &example, &out);
    assert_str_c(buf_view(&out), "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
}

static void test_day_key(void **state)
{
    (void)state;
    struct sigv4_key key = {0}, fresh = {0};
    struct sigv4_request r = get("/");
    struct http_header headers[4];
    struct aws_credentials other = example;
    struct diag d = {0};
    AUTO_BUF text = {0};
    AUTO_BUF want = {0};
    int n;

    /* Whatever of it changes, the kept key gives what a fresh one gives. */
    other.secret_key = STR("another secret");
    for (int step = 0; step < 6; step++) {
        if (step == 1)
            r.time_ms += 86400000;
        if (step == 2)
            r.region = STR("eu-west-1");
        if (step == 3)
            r.service = STR("aps");
        if (step == 5)
            r.time_ms += 3600000;
        const struct aws_credentials *c = step >= 4 ? &other : &example;
        buf_clear(&text);
        assert_int_equal(sigv4_sign(&key, &r, c, &text, headers, &n, &d), OK);
        buf_clear(&want);
        buf_str(&want, headers[n - 1].value);
        fresh = (struct sigv4_key){0};
        buf_clear(&text);
        assert_int_equal(sigv4_sign(&fresh, &r, c, &text, headers, &n, &d), OK);
        assert_str(headers[n - 1].value, buf_view(&want));
        assert_memory_equal(key.key, fresh.key, 32);
    }
    assert_string_equal(key.day, "20150831");
}

static void test_presign(void **state)
{
    (void)state;
    struct sigv4_key key = {0};
    struct sigv4_request r = get("/");
    struct aws_credentials c = example;
    struct diag d = {0};
    AUTO_BUF out = {0};

    r.query = STR("b=2&a=1");
    c.session_token = STR("a/b");
    assert_int_equal(sigv4_presign(&key, &r, &c, 60, &out, &d), OK);
    assert_true(str_starts(buf_view(&out),
                           STR("X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20150830%2Fus-east-1%2F"
                               "service%2Faws4_request&X-Amz-Date=20150830T123600Z&X-Amz-Expires=60&"
                               "X-Amz-Security-Token=a%2Fb&X-Amz-SignedHeaders=host&a=1&b=2&X-Amz-Signature=")));
    buf_clear(&out);
    r.omit_session_token = true;
    assert_int_equal(sigv4_presign(&key, &r, &c, 60, &out, &d), OK);
    assert_true(str_ends(buf_view(&out), STR("&X-Amz-Security-Token=a%2Fb")));
}

static void test_canonical_request_has_no_secret(void **state)
{
    (void)state;
    struct aws_credentials c = example;
    struct sigv4_request r = get("/a%20b/x y");
    AUTO_BUF out = {0};

    c.session_token = STR("tokenvalue");
    r.query = STR("z&b=c d&a=%7e&&a=");
    sigv4_canonical_request(&r, &c, &out);
    assert_str_c(buf_view(&out), "GET\n/a%2520b/x%20y\na=&a=~&b=c%20d&z=\nhost:example.amazonaws.com\n"
                                 "x-amz-date:20150830T123600Z\nx-amz-security-token:<session token>\n\n"
                                 "host;x-amz-date;x-amz-security-token\n"
                                 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void test_refused(void **state)
{
    (void)state;
    AUTO_BUF out = {0};
    struct sigv4_request r = get("/");
    struct aws_credentials c = example;
    struct http_header many[400];

    r.n_headers = 0;
    sign(&r, &c, &out);
    assert_str_c(buf_view(&out), "signing: the request has no Host field");
    r = get("/");
    r.region = STR_NONE;
    sign(&r, &c, &out);
    assert_str_c(buf_view(&out), "signing: the AWS region is not known");
    r = get("/");
    c.secret_key = STR_NONE;
    sign(&r, &c, &out);
    assert_str_c(buf_view(&out), "signing: the AWS credentials have no key");
    for (size_t i = 0; i < COUNT_OF(many); i++)
        many[i] = host[0];
    r.headers = many;
    r.n_headers = COUNT_OF(many);
    sign(&r, &example, &out);
    assert_str_c(buf_view(&out), "signing: more than 253 header fields");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_signatures), cmocka_unit_test(test_fields),
        cmocka_unit_test(test_not_signed),       cmocka_unit_test(test_day_key),
        cmocka_unit_test(test_presign),          cmocka_unit_test(test_canonical_request_has_no_secret),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

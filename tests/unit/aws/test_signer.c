/* The signer of a destination: what it sends, with what, and what it makes of refusals. */
#include "unit.h"

#include "aws/aws_int.h"
#include "aws/signer.h"
#include "base/clock.h"
#include "base/mem.h"

struct fixture {
    struct aws_signer *signer;
    struct http_signature out;
    struct diag d;
    int n_refused;
};

static void refused(void *ctx)
{
    ((struct fixture *)ctx)->n_refused++;
}

static void open_signer(struct fixture *f, const char *service)
{
    *f = (struct fixture){0};
    f->signer = aws_signer_new(&(struct aws_signer_options){.service = str_c(service), .refused = refused, .ctx = f});
}

static void give(struct fixture *f, const char *access, const char *token)
{
    struct aws_credentials *c =
        aws_credentials_new(str_c(access), STR("secret"), str_c(token), STR_NONE, STR("test"), INT64_MAX);
    aws_signer_set(f->signer, c, STR("eu-west-1"), NULL);
    aws_credentials_unref(c);
}

static void close_signer(struct fixture *f)
{
    aws_signer_free(f->signer);
    buf_release(&f->out.text);
}

static enum err sign(struct fixture *f)
{
    static const struct http_header headers[] = {
        {.name = {"Host", 4}, .value = {"aps-workspaces.eu-west-1.amazonaws.com", 38}},
        {.name = {"User-Agent", 10}, .value = {"leadline", 8}},
        {.name = {"Content-Encoding", 16}, .value = {"snappy", 6}},
        {.name = {"X-Prometheus-Remote-Write-Version", 33}, .value = {"0.1.0", 5}},
    };
    struct http_url url = {.scheme = STR("https"),
                           .host = STR("aps-workspaces.eu-west-1.amazonaws.com"),
                           .path = STR("/workspaces/ws-1/api/v1/remote_write")};
    struct http_signer *s = aws_signer_http(f->signer);

    buf_clear(&f->out.text);
    diag_reset(&f->d);
    return s->sign(s, "POST", &url, headers, COUNT_OF(headers), STR("body"), &f->out, &f->d);
}

static struct str field(const struct fixture *f, const char *name)
{
    for (int i = 0; i < f->out.n_headers; i++) {
        if (str_eq_nocase(f->out.headers[i].name, str_c(name)))
            return f->out.headers[i].value;
    }
    return STR_NONE;
}

static void test_fields(void **state)
{
    (void)state;
    struct fixture f;
    open_signer(&f, "");
    give(&f, "AKID", "token");
    assert_int_equal(sign(&f), OK);
    assert_int_equal(f.out.n_headers, 3);
    assert_str_c(field(&f, "x-amz-security-token"), "token");
    struct str a = field(&f, "authorization");
    assert_true(str_starts(a, STR("AWS4-HMAC-SHA256 Credential=AKID/")));
    assert_true(str_contains(a, STR("/eu-west-1/aps/aws4_request, SignedHeaders=content-encoding;host;x-amz-date;"
                                    "x-amz-security-token;x-prometheus-remote-write-version, Signature=")));
    /* without a token there is no field for it */
    give(&f, "AKID2", "");
    assert_int_equal(sign(&f), OK);
    assert_int_equal(f.out.n_headers, 2);
    close_signer(&f);
    open_signer(&f, "aoss");
    give(&f, "AKID", "");
    assert_int_equal(sign(&f), OK);
    assert_str_c(field(&f, "x-amz-content-sha256"), "230d8358dc8e8890b4c58deeb62912ee2f20357ae92a5cc861b98e68fe31acb5");
    close_signer(&f);
}

static void test_without_credentials(void **state)
{
    (void)state;
    struct fixture f;
    struct diag why = {0};
    open_signer(&f, "");
    assert_int_equal(sign(&f), ERR_AGAIN);
    assert_string_equal(f.d.text, "AWS credentials are still being looked for");
    diag_set(&why, ERR_NOT_FOUND, "nothing anywhere");
    aws_signer_set(f.signer, NULL, STR_NONE, &why);
    assert_int_equal(sign(&f), ERR_AGAIN);
    assert_string_equal(f.d.text, "nothing anywhere");
    give(&f, "AKID", "");
    assert_int_equal(sign(&f), OK);
    aws_signer_set(f.signer, NULL, STR_NONE, NULL);
    assert_int_equal(sign(&f), ERR_AGAIN);
    close_signer(&f);
}

static void http_date(int64_t wall_ms, char out[40])
{
    time_t t = (time_t)(wall_ms / 1000);
    struct tm tm;
    assert_non_null(gmtime_r(&t, &tm));
    strftime(out, 40, "%a, %d %b %Y %H:%M:%S GMT", &tm);
}

static int64_t signed_at(const struct fixture *f)
{
    struct tm tm = {0};
    char text[32];
    snprintf(text, sizeof(text), "%.*s", STR_ARGS(field(f, "x-amz-date")));
    assert_non_null(strptime(text, "%Y%m%dT%H%M%SZ", &tm));
    return (int64_t)timegm(&tm) * 1000;
}

static void test_refusals(void **state)
{
    (void)state;
    struct fixture f;
    char date[40];
    open_signer(&f, "");
    give(&f, "AKID", "");
    struct http_signer *s = aws_signer_http(f.signer);
    int64_t now = clock_wall_ms();
    /* the clock is right: the credentials are to blame, asked for once */
    http_date(now, date);
    aws_signer_refused(s, str_c(date), STR("AccessDenied"));
    aws_signer_refused(s, str_c(date), STR("AccessDenied"));
    aws_signer_refused(s, STR_NONE, STR(""));
    assert_int_equal(f.n_refused, 1);
    assert_int_equal(sign(&f), OK);
    assert_true(llabs(signed_at(&f) - now) < 100000);
    /* it is an hour behind */
    http_date(now + 3600000, date);
    aws_signer_refused(s, str_c(date), STR("Signature expired"));
    assert_int_equal(sign(&f), OK);
    assert_true(llabs(signed_at(&f) - now - 3600000) < 100000);
    aws_signer_refused(s, str_c(date), STR("Signature expired"));
    assert_int_equal(f.n_refused, 1);
    close_signer(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_without_credentials),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Error answers in every shape, and the clock that refusals tell. */
#include "unit.h"

#include "aws/aws_int.h"
#include "base/mem.h"

static const struct {
    enum aws_protocol protocol;
    const char *header, *value, *body, *code, *message;
} table[] = {
    {AWS_JSON_1_1, NULL, NULL, "{\"__type\":\"FooError\",\"message\":\"m\"}", "FooError", "m"},
    {AWS_JSON_1_1, NULL, NULL, "{\"__type\":\"aws.x#FooError:http://a/b\",\"Message\":\"M\"}", "FooError", "M"},
    {AWS_JSON_1_1, NULL, NULL, "{\"code\":\"FooError\"}", "FooError", ""},
    {AWS_JSON_1_1, "X-Amzn-Errortype", "FooError:http://x#y/", "{\"__type\":\"BarError\"}", "FooError", ""},
    {AWS_JSON_1_0, "x-amzn-query-error", "Real;Sender", "{\"__type\":\"RealException\"}", "Real", ""},
    {AWS_JSON_1_0, "x-amzn-query-error", ";Sender", "{\"__type\":\"RealException\"}", "RealException", ""},
    {AWS_JSON_1_0, "x-amzn-query-error", "Real", "{\"__type\":\"RealException\"}", "RealException", ""},
    {AWS_JSON_1_1, NULL, NULL, "", "400", ""},
    {AWS_JSON_1_1, NULL, NULL, "null", "400", ""},
    {AWS_JSON_1_1, NULL, NULL, "[\"__type\"]", "400", ""},
    {AWS_JSON_1_1, NULL, NULL, "{\"__type\":7}", "400", ""},
    {AWS_JSON_1_1, NULL, NULL, "{\"__type\":\"two words\"}", "400", ""},
    {AWS_JSON_1_1, NULL, NULL, "{\"__type\":\"#\",\"message\":\"a\\nb\\u0007\"}", "400", "a b"},
    {AWS_REST_JSON, NULL, NULL, "{\"code\":\"A\",\"__type\":\"B\"}", "A", ""},
    {AWS_REST_JSON, NULL, NULL, "{\"Code\":\"A\",\"__type\":\"B\"}", "A", ""},
    {AWS_REST_JSON, NULL, NULL, "{\"__type\":\"B\"}", "B", ""},
    {AWS_REST_JSON, NULL, NULL, "{\"error\":\"invalid_grant\",\"error_description\":\"d\"}", "invalid_grant", "d"},
    {AWS_QUERY, NULL, NULL,
     "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>"
     "<Code>ExpiredToken</Code><Message>old</Message></Error><RequestId>r</RequestId></ErrorResponse>",
     "ExpiredToken", "old"},
    {AWS_EC2, NULL, NULL,
     "<?xml version=\"1.0\"?><Response><Errors><Error><Code>AuthFailure</Code><Message>no</Message></Error></Errors>"
     "<RequestID>r</RequestID></Response>",
     "AuthFailure", "no"},
    {AWS_QUERY, NULL, NULL, "<Error><Code>SlowDown</Code></Error>", "SlowDown", ""},
    {AWS_QUERY, NULL, NULL, "<UnknownOperationException/>", "400", ""},
    {AWS_QUERY, NULL, NULL, "<html>", "400", ""},
    {AWS_QUERY, NULL, NULL, "{\"__type\":\"FooError\"}", "FooError", ""},
    {AWS_JSON_1_1, NULL, NULL, " <Error><Code>SlowDown</Code></Error>", "SlowDown", ""},
    {AWS_JSON_1_1, "x-amzn-errortype", "A", "<html>no</html>", "A", ""},
};

static void test_shapes(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct http_header headers[] = {
            {.name = STR("x-other"), .value = STR("y")},
            {.name = str_c(table[i].header), .value = str_c(table[i].value)},
        };
        struct aws_error e;
        AUTO_BUF text = {0};

        aws_error_parse(table[i].protocol, 400, headers, table[i].header ? 2 : 1, str_c(table[i].body), &text, &e);
        assert_str_c(e.code, table[i].code);
        assert_str_c(e.message, table[i].message);
    }
}

static void test_request_id(void **state)
{
    (void)state;
    struct http_header id = {.name = STR("x-amzn-RequestId"), .value = STR("abc-1")};
    struct aws_error e;
    AUTO_BUF text = {0};

    aws_error_parse(AWS_JSON_1_1, 400, &id, 1, STR("{}"), &text, &e);
    assert_str_c(e.request_id, "abc-1");
    aws_error_parse(
        AWS_EC2, 400, NULL, 0,
        STR("<Response><Errors><Error><Code>A</Code></Error></Errors><RequestID>r-2</RequestID></Response>"), &text,
        &e);
    assert_str_c(e.request_id, "r-2");
    assert_str_c(e.code, "A");
}

static void test_long_message(void **state)
{
    (void)state;
    AUTO_BUF body = {0};
    AUTO_BUF text = {0};
    struct aws_error e;

    buf_c(&body, "{\"__type\":\"A\",\"message\":\"x");
    for (int i = 0; i < 3000; i++)
        buf_c(&body, "\xC3\xA9");
    buf_c(&body, "\"}");
    aws_error_parse(AWS_JSON_1_1, 400, NULL, 0, buf_view(&body), &text, &e);
    assert_int_equal(e.message.n, 2047);
    assert_true(str_is_utf8(e.message));
}

static void test_meaning(void **state)
{
    (void)state;
    assert_true(aws_error_is_throttling(&aws_ecs, STR("ThrottlingException"), 400));
    assert_true(aws_error_is_throttling(&aws_ecs, STR("LimitExceededException"), 400));
    assert_false(aws_error_is_throttling(&aws_logs, STR("LimitExceededException"), 400));
    assert_true(aws_error_is_throttling(NULL, STR("429"), 429));
    assert_false(aws_error_is_throttling(NULL, STR("AccessDenied"), 403));
    assert_true(aws_error_is_transient(STR("X"), 503));
    assert_true(aws_error_is_transient(STR("IDPCommunicationError"), 400));
    assert_false(aws_error_is_transient(STR("X"), 501));
    assert_true(aws_error_is_refused(STR("ExpiredToken")));
    assert_true(aws_error_is_refused(STR("UnrecognizedClientException")));
    assert_false(aws_error_is_refused(STR("AccessDeniedException")));
    assert_true(aws_error_is_skew(STR("SignatureDoesNotMatch")));
    assert_false(aws_error_is_skew(STR("ThrottlingException")));
}

static void test_skew(void **state)
{
    (void)state;
    struct aws_skews *s = aws_skews_new(NULL, NULL);
    const int64_t noon = 784123200000; /* Sun, 06 Nov 1994 12:00:00 GMT */
    struct str a = STR("a.example"), b = STR("b.example"), date = STR("Sun, 06 Nov 1994 12:00:00 GMT");

    assert_int_equal(aws_skew_of(s, a), 0);
    /* 4 minutes are nothing */
    assert_false(aws_skew_seen(s, a, date, noon + 240000, 10, 0));
    assert_false(aws_skew_seen(s, a, date, noon - 240000, 10, 0));
    assert_int_equal(aws_skew_of(s, a), 0);
    /* more are, in both directions; of this host only */
    assert_true(aws_skew_seen(s, a, date, noon + 600000, 10, 0));
    assert_int_equal(aws_skew_of(s, a), -600000);
    assert_int_equal(aws_skew_of(s, b), 0);
    assert_true(aws_skew_seen(s, b, date, noon - 300000, 10, 0));
    assert_int_equal(aws_skew_of(s, b), 300000);
    /* signed with the right time already: the code meant something else */
    assert_false(aws_skew_seen(s, a, date, noon + 600000, 10, -600000));
    /* another call found out first: again, without changing what is known */
    assert_true(aws_skew_seen(s, a, date, noon + 601000, 10, 0));
    assert_int_equal(aws_skew_of(s, a), -600000);
    /* somebody set the clock */
    assert_true(aws_skew_seen(s, a, date, noon, 10, -600000));
    assert_int_equal(aws_skew_of(s, a), 0);
    /* nothing to go by */
    assert_false(aws_skew_seen(s, a, STR_NONE, noon + 600000, 10, 0));
    assert_false(aws_skew_seen(s, a, STR("yesterday"), noon + 600000, 10, 0));
    assert_false(aws_skew_seen(s, a, date, noon + 3600000, 16 * 60 * 1000, 0));
    aws_skews_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),  cmocka_unit_test(test_request_id), cmocka_unit_test(test_long_message),
        cmocka_unit_test(test_meaning), cmocka_unit_test(test_skew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

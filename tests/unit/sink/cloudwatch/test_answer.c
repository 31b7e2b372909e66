/* The table of answers, waits, permissions and rejected ranges, as pure functions. */
#include "unit.h"

#include "base/mem.h"
#include "sink/cloudwatch/answer_int.h"

static void answers(void **state)
{
    (void)state;
    static const struct {
        enum err err;
        int status;
        const char *code;
        bool throttled, connected;
        enum cw_verdict want;
        bool doubt;
    } t[] = {
        {OK, 200, NULL, false, true, CW_TAKEN, false},
        {ERR_CANCELED, 0, NULL, false, true, CW_STOPPED, false},
        {ERR_NET, 0, NULL, false, false, CW_RETRY, false},
        {ERR_NET, 0, NULL, false, true, CW_RETRY, true},
        {ERR_TIMEOUT, 0, NULL, false, true, CW_RETRY, true},
        {ERR_AUTH, 0, NULL, false, false, CW_RETRY, false},
        {ERR_SYNTAX, 200, "garbage", false, true, CW_RETRY, true},
        {ERR_LIMIT, 400, "ThrottlingException", true, true, CW_RETRY, false},
        {ERR_NET, 500, "InternalFailure", false, true, CW_RETRY, false},
        {ERR_NET, 503, "ServiceUnavailableException", false, true, CW_RETRY, false},
        {ERR_NET, 502, "502", false, true, CW_RETRY, true},
        {ERR_NET, 504, "504", false, true, CW_RETRY, true},
        {ERR_AUTH, 400, "ExpiredTokenException", false, true, CW_RETRY, false},
        {ERR_AUTH, 403, "SignatureDoesNotMatch", false, true, CW_RETRY, false},
        {ERR_AUTH, 403, "AccessDenied", false, true, CW_RETRY_MENDED, false},
        {ERR_AUTH, 400, "AccessDeniedException", false, true, CW_RETRY_MENDED, false},
        {ERR_SYNTAX, 400, "LimitExceededException", false, true, CW_RETRY_MENDED, false},
        {ERR_SYNTAX, 400, "InvalidSequenceTokenException", false, true, CW_RETRY_MENDED, false},
        {ERR_NOT_FOUND, 404, "404", false, true, CW_RETRY_MENDED, false},
        {ERR_NOT_FOUND, 400, "ResourceNotFoundException", false, true, CW_MISSING, false},
        {ERR_SYNTAX, 400, "ResourceAlreadyExistsException", false, true, CW_EXISTS, false},
        {ERR_SYNTAX, 400, "OperationAbortedException", false, true, CW_RETRY_SOON, false},
        {ERR_SYNTAX, 400, "DataAlreadyAcceptedException", false, true, CW_TAKEN_BEFORE, false},
        {ERR_SYNTAX, 400, "InvalidParameterException", false, true, CW_REFUSED, false},
        {ERR_SYNTAX, 400, "InvalidParameterValue", false, true, CW_REFUSED, false},
        {ERR_SYNTAX, 400, "InvalidParameterCombination", false, true, CW_REFUSED, false},
        {ERR_SYNTAX, 400, "SerializationException", false, true, CW_REFUSED, false},
        {ERR_SYNTAX, 413, "413", false, true, CW_REFUSED, false},
    };
    for (size_t i = 0; i < COUNT_OF(t); i++) {
        const struct aws_answer a = {.err = t[i].err,
                                     .status = t[i].status,
                                     .code = str_c(t[i].code),
                                     .throttled = t[i].throttled,
                                     .connected = t[i].connected};
        if (cw_verdict_of(&a) != t[i].want || cw_leaves_doubt(&a) != t[i].doubt)
            fail_msg("status %d, code %s: %d", t[i].status, t[i].code ? t[i].code : "-", cw_verdict_of(&a));
    }
}

static void waits(void **state)
{
    (void)state;
    struct unit_random r = unit_random_new();
    static const struct {
        enum cw_verdict v;
        uint64_t first;
    } t[] = {{CW_RETRY_SOON, 200}, {CW_RETRY, 2000}, {CW_RETRY_MENDED, 60000}};
    for (size_t i = 0; i < COUNT_OF(t); i++) {
        uint64_t base = t[i].first;
        for (uint32_t attempt = 0; attempt < 100; attempt++) {
            uint64_t wait = cw_wait_ms(t[i].v, attempt, 0, unit_random_u64(&r));
            assert_true(wait <= base && wait >= base / 2);
            base = base * 2 > 60000 ? 60000 : base * 2;
        }
    }
    assert_int_equal(cw_wait_ms(CW_RETRY, 0, 30000, 1), 30000);
    assert_true(cw_wait_ms(CW_RETRY, 20, 1, 1) >= 30000);
}

static void permissions(void **state)
{
    (void)state;
    static const struct cw_place place = {{"/a/g", 4}, {"job", 3}}, ns = {{"CWAgent", 7}, {NULL, 0}};
    static const struct {
        enum cw_step step;
        const char *region, *message, *want;
    } t[] = {
        {CW_PUT, "eu-west-1", "User: arn:aws:sts::123456789012:assumed-role/r/s is not authorized to perform ...",
         "logs:PutLogEvents on arn:aws:logs:eu-west-1:123456789012:log-group:/a/g:log-stream:job"},
        {CW_CREATE_STREAM, "cn-north-1", "no",
         "logs:CreateLogStream on arn:aws-cn:logs:cn-north-1:*:log-group:/a/g:log-stream:job"},
        {CW_CREATE_GROUP, "us-east-1",
         "1234567890123:12345678901:", "logs:CreateLogGroup on arn:aws:logs:us-east-1:*:log-group:/a/g"},
        {CW_RETENTION, "us-east-1", "", "logs:PutRetentionPolicy on arn:aws:logs:us-east-1:*:log-group:/a/g"},
    };
    for (size_t i = 0; i < COUNT_OF(t); i++) {
        AUTO_BUF out = {0};
        cw_print_permission(&out, CLOUDWATCH_LOGS, t[i].step, &place, str_c(t[i].region), str_c(t[i].message));
        assert_str_c(buf_view(&out), t[i].want);
    }
    AUTO_BUF out = {0};
    cw_print_permission(&out, CLOUDWATCH_METRICS, CW_PUT, &ns, STR("us-east-1"), STR(""));
    assert_str_c(buf_view(&out),
                 "cloudwatch:PutMetricData on * (its condition key cloudwatch:namespace is \"CWAgent\")");
}

static void rejected_ranges(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        bool any;
        struct cw_rejected want;
    } t[] = {
        {"{}", false, {10, 0, 0}},
        {"{\"nextSequenceToken\":\"x\"}", false, {10, 0, 0}},
        {"{\"rejectedEntityInfo\":{\"errorType\":\"InvalidEntity\"}}", false, {10, 0, 0}},
        {"{\"rejectedLogEventsInfo\":null}", false, {10, 0, 0}},
        {"{\"rejectedLogEventsInfo\":{}}", false, {10, 0, 0}},
        {"{\"rejectedLogEventsInfo\":{\"tooNewLogEventStartIndex\":7}}", true, {7, 0, 0}},
        {"{\"rejectedLogEventsInfo\":{\"tooNewLogEventStartIndex\":0}}", true, {0, 0, 0}},
        {"{\"rejectedLogEventsInfo\":{\"tooOldLogEventEndIndex\":3}}", true, {10, 3, 3}},
        {"{\"rejectedLogEventsInfo\":{\"expiredLogEventEndIndex\":3}}", true, {10, 0, 3}},
        {"{\"rejectedLogEventsInfo\":{\"tooOldLogEventEndIndex\":3,\"expiredLogEventEndIndex\":2}}", true, {10, 3, 3}},
        {"{\"rejectedLogEventsInfo\":{\"tooOldLogEventEndIndex\":99,\"tooNewLogEventStartIndex\":-4}}",
         true,
         {10, 10, 10}},
        {"{\"rejectedLogEventsInfo\":{\"tooOldLogEventEndIndex\":\"3\"}}", false, {10, 0, 0}},
        {"{\"rejectedLogEventsInfo\":", false, {10, 0, 0}},
    };
    for (size_t i = 0; i < COUNT_OF(t); i++) {
        struct cw_rejected r;
        assert_int_equal(cw_read_rejected(str_c(t[i].body), 10, &r), t[i].any);
        assert_int_equal(r.too_new_from, t[i].want.too_new_from);
        assert_int_equal(r.too_old_to, t[i].want.too_old_to);
        assert_int_equal(r.expired_to, t[i].want.expired_to);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers),
        cmocka_unit_test(waits),
        cmocka_unit_test(permissions),
        cmocka_unit_test(rejected_ranges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

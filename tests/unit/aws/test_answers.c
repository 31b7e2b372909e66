/* What sources of credentials answer. */
#include "unit.h"

#include "aws/answers_int.h"
#include "aws/credentials.h"
#include "base/clock.h"
#include "wire/tree.h"

static struct arena arena;

static int empty_arena(void **state)
{
    (void)state;
    arena_release(&arena);
    return 0;
}

static int64_t time_of(const char *text)
{
    int64_t ms = -1;
    return clock_parse_iso(str_c(text), &ms) ? ms : -1;
}

static void test_times(void **state)
{
    (void)state;
    assert_int_equal(time_of("1970-01-01T00:00:00Z"), 0);
    assert_int_equal(time_of("2026-01-02T03:04:05Z"), 1767323045000);
    assert_int_equal(time_of("2026-01-02T03:04:05.678Z"), 1767323045678);
    assert_int_equal(time_of("2026-01-02T03:04:05.6789123Z"), 1767323045678);
    assert_int_equal(time_of("2026-01-02T03:04:05UTC"), 1767323045000);
    assert_int_equal(time_of("2026-01-02T05:04:05+02:00"), 1767323045000);
    assert_int_equal(time_of("2026-01-01T19:34:05-0730"), 1767323045000);
    assert_int_equal(time_of("2024-02-29T00:00:00Z"), 1709164800000);
    assert_int_equal(time_of(""), -1);
    assert_int_equal(time_of("2026-01-02"), -1);
    assert_int_equal(time_of("2026-13-02T03:04:05Z"), -1);
    assert_int_equal(time_of("2026-01-02T03:04:05 tomorrow"), -1);
    assert_int_equal(time_of("2026-01-02T25:04:05Z"), -1);
}

static void test_metadata_keys(void **state)
{
    (void)state;
    struct answer_keys k;

    assert_int_equal(answer_metadata(STR("{\"Code\":\"Success\",\"AccessKeyId\":\"ASIA\",\"SecretAccessKey\":\"s/+\","
                                         "\"Token\":\"t==\",\"Expiration\":\"2026-01-02T03:04:05Z\",\"AccountId\":"
                                         "\"123456789012\",\"Unknown\":[{}]}"),
                                     &arena, &k, NULL),
                     OK);
    assert_str_c(k.access_key, "ASIA");
    assert_str_c(k.secret_key, "s/+");
    assert_str_c(k.session_token, "t==");
    assert_str_c(k.account, "123456789012");
    assert_int_equal(k.expires_ms, 1767323045000);
}

static void test_keys_without_an_end_never_expire(void **state)
{
    (void)state;
    struct answer_keys k;

    assert_int_equal(answer_metadata(STR("{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"B\"}"), &arena, &k, NULL), OK);
    assert_true(k.expires_ms == INT64_MAX);
    assert_int_equal(k.session_token.n, 0);
}

/* A 200 that is none: the words of the service come through, on one line. */
static void test_metadata_failure_in_a_200(void **state)
{
    (void)state;
    struct answer_keys k;
    struct diag d = {0};

    assert_int_equal(answer_metadata(STR("{\"Code\":\"AssumeRoleUnauthorizedAccess\",\"Message\":\"EC2 cannot\\nassume "
                                         "it\"}"),
                                     &arena, &k, &d),
                     ERR_AUTH);
    assert_string_equal(d.text, "AssumeRoleUnauthorizedAccess: EC2 cannot assume it");
}

static void expect_no_keys(const char *body, const char *why)
{
    struct answer_keys k;
    struct diag d = {0};

    assert_int_equal(answer_metadata(str_c(body), &arena, &k, &d), ERR_SYNTAX);
    if (!strstr(d.text, why))
        fail_msg("\"%s\" does not say \"%s\"", d.text, why);
}

static void test_garbage_is_said_to_be_it(void **state)
{
    (void)state;
    expect_no_keys("", "not a JSON object");
    expect_no_keys("<html>", "not a JSON object");
    expect_no_keys("[]", "not a JSON object");
    expect_no_keys("{}", "no access key id");
    expect_no_keys("{\"AccessKeyId\":\"A\"}", "no secret access key");
    expect_no_keys("{\"AccessKeyId\":1,\"SecretAccessKey\":\"B\"}", "no access key id");
    expect_no_keys("{\"AccessKeyId\":\"A\\r\\nX: y\",\"SecretAccessKey\":\"B\"}", "characters in its access key id");
    expect_no_keys("{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"B\",\"Expiration\":\"soon\"}", "no time");
    expect_no_keys("{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"B\",\"Expiration\":17}", "no time");
}

/* A key id that is refused must not show what stood there. */
static void test_secrets_stay_out_of_messages(void **state)
{
    (void)state;
    struct answer_keys k;
    struct diag d = {0};

    assert_int_equal(answer_metadata(STR("{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"hidden one\"}"), &arena, &k, &d),
                     ERR_SYNTAX);
    assert_null(strstr(d.text, "hidden"));
    diag_reset(&d);
    assert_int_equal(answer_metadata(STR("{\"SecretAccessKey\":\"hidden\", oops"), &arena, &k, &d), ERR_SYNTAX);
    assert_null(strstr(d.text, "hidden"));
}

static void test_process_output(void **state)
{
    (void)state;
    struct answer_keys k;

    assert_int_equal(
        answer_process(STR("{\"Version\":1,\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"B\",\"SessionToken\":"
                           "\"T\"}\n"),
                       &arena, &k, NULL),
        OK);
    assert_str_c(k.session_token, "T");
    assert_int_equal(
        answer_process(STR("{\"Version\":2,\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"B\"}"), &arena, &k, NULL),
        ERR_SYNTAX);
    assert_int_equal(answer_process(STR("{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"B\"}"), &arena, &k, NULL),
                     ERR_SYNTAX);
}

static void test_sso_keys(void **state)
{
    (void)state;
    struct answer_keys k;

    assert_int_equal(answer_sso_keys(STR("{\"roleCredentials\":{\"accessKeyId\":\"A\",\"secretAccessKey\":\"B\","
                                         "\"sessionToken\":\"T\",\"expiration\":1767323045000}}"),
                                     &arena, &k, NULL),
                     OK);
    assert_int_equal(k.expires_ms, 1767323045000);
    assert_int_equal(answer_sso_keys(STR("{\"accessKeyId\":\"A\"}"), &arena, &k, NULL), ERR_SYNTAX);
}

static void test_sts_keys(void **state)
{
    (void)state;
    struct answer_keys k;

    assert_int_equal(
        answer_sts(STR("<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>"
                       "<AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/r/s</Arn></AssumedRoleUser>"
                       "<Credentials><AccessKeyId>ASIA</AccessKeyId><SecretAccessKey>s</SecretAccessKey>"
                       "<SessionToken>t</SessionToken><Expiration>2026-01-02T03:04:05Z</Expiration></Credentials>"
                       "</AssumeRoleResult></AssumeRoleResponse>"),
                   &arena, &k, NULL),
        OK);
    assert_str_c(k.access_key, "ASIA");
    assert_str_c(k.session_token, "t");
    assert_str_c(k.account, "123456789012");
    assert_int_equal(k.expires_ms, 1767323045000);
    assert_int_equal(answer_sts(STR("<html/>"), &arena, &k, NULL), ERR_SYNTAX);
    assert_int_equal(answer_sts(STR("not found"), &arena, &k, NULL), ERR_SYNTAX);
    assert_int_equal(answer_sts(STR("<a><b><Credentials/></b></a>"), &arena, &k, NULL), ERR_SYNTAX);
}

static void test_identity(void **state)
{
    (void)state;
    struct str account, arn;

    assert_int_equal(aws_identity_parse(STR("<R><GetCallerIdentityResult><Arn>arn:aws:iam::1:user/u</Arn><Account>1"
                                            "</Account></GetCallerIdentityResult></R>"),
                                        &arena, &account, &arn, NULL),
                     OK);
    assert_str_c(account, "1");
    assert_str_c(arn, "arn:aws:iam::1:user/u");
    assert_int_equal(aws_identity_parse(STR("<R/>"), &arena, &account, &arn, NULL), ERR_SYNTAX);
}

static void test_region_of_the_task(void **state)
{
    (void)state;
    struct str region;

    assert_int_equal(
        answer_task_region(STR("{\"TaskARN\":\"arn:aws:ecs:eu-west-1:1:task/c/x\"}"), &arena, &region, NULL), OK);
    assert_str_c(region, "eu-west-1");
    assert_int_equal(answer_task_region(STR("{\"TaskARN\":\"arn\"}"), &arena, &region, NULL), ERR_SYNTAX);
    assert_int_equal(answer_task_region(STR("{}"), &arena, &region, NULL), ERR_SYNTAX);
}

static void test_sso_token_is_renewed_and_the_rest_kept(void **state)
{
    (void)state;
    struct sso_token t;
    AUTO_BUF out = {0};

    assert_int_equal(answer_sso_file(STR("{\"startUrl\":\"https://x\",\"accessToken\":\"old\",\"expiresAt\":"
                                         "\"2026-01-02T03:04:05UTC\",\"refreshToken\":\"r1\",\"clientId\":\"c\"}"),
                                     &arena, &t, NULL),
                     OK);
    assert_str_c(t.refresh_token, "r1");
    assert_int_equal(t.registration_expires_ms, 0);
    assert_int_equal(answer_sso_renewed(STR("{\"accessToken\":\"new\",\"expiresIn\":3600,\"refreshToken\":\"r2\"}"),
                                        1767323045000, &arena, &t, NULL),
                     OK);
    assert_str_c(t.access_token, "new");
    tree_print_json(t.tree, &out);
    assert_true(str_contains(buf_view(&out), STR("\"startUrl\"")));
    assert_true(str_contains(buf_view(&out), STR("2026-01-02T04:04:05Z")));
    assert_true(str_contains(buf_view(&out), STR("r2")));
    assert_false(str_contains(buf_view(&out), STR("old")));
    struct sso_token again;
    assert_int_equal(answer_sso_file(buf_view(&out), &arena, &again, NULL), OK);
    assert_str_c(again.access_token, "new");
    /* an answer without a refresh token: there is none from now on */
    assert_int_equal(answer_sso_renewed(STR("{\"accessToken\":\"newer\",\"expiresIn\":1}"), 0, &arena, &t, NULL), OK);
    assert_int_equal(t.refresh_token.n, 0);
    assert_int_equal(answer_sso_renewed(STR("{\"accessToken\":\"x\"}"), 0, &arena, &t, NULL), ERR_SYNTAX);
    assert_int_equal(answer_sso_file(STR("{\"accessToken\":\"x\"}"), &arena, &t, NULL), ERR_SYNTAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_times, empty_arena),
        cmocka_unit_test_teardown(test_metadata_keys, empty_arena),
        cmocka_unit_test_teardown(test_keys_without_an_end_never_expire, empty_arena),
        cmocka_unit_test_teardown(test_metadata_failure_in_a_200, empty_arena),
        cmocka_unit_test_teardown(test_garbage_is_said_to_be_it, empty_arena),
        cmocka_unit_test_teardown(test_secrets_stay_out_of_messages, empty_arena),
        cmocka_unit_test_teardown(test_process_output, empty_arena),
        cmocka_unit_test_teardown(test_sso_keys, empty_arena),
        cmocka_unit_test_teardown(test_sts_keys, empty_arena),
        cmocka_unit_test_teardown(test_identity, empty_arena),
        cmocka_unit_test_teardown(test_region_of_the_task, empty_arena),
        cmocka_unit_test_teardown(test_sso_token_is_renewed_and_the_rest_kept, empty_arena),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Snapshots of credentials. */
#include "unit.h"

#include "aws/credentials.h"

static void test_new_copies_everything(void **state)
{
    (void)state;
    char secret[] = "secret";
    struct aws_credentials *c =
        aws_credentials_new(STR("AKID"), str_c(secret), STR("token"), STR("123456789012"), STR("environment"), 42);

    memset(secret, 'x', sizeof(secret) - 1);
    assert_str_c(c->access_key, "AKID");
    assert_str_c(c->secret_key, "secret");
    assert_str_c(c->session_token, "token");
    assert_str_c(c->account, "123456789012");
    assert_str_c(c->source, "environment");
    assert_int_equal(c->expires_ms, 42);
    assert_int_equal(c->secret_key.p[c->secret_key.n], '\0');
    aws_credentials_unref(c);
}

static void test_empty_parts(void **state)
{
    (void)state;
    struct aws_credentials *c = aws_credentials_new(STR("A"), STR("B"), STR_NONE, STR_NONE, STR_NONE, INT64_MAX);

    assert_int_equal(c->session_token.n, 0);
    assert_string_equal(c->session_token.p, "");
    aws_credentials_unref(c);
}

static void test_lives_until_the_last_user_goes(void **state)
{
    (void)state;
    struct aws_credentials *c = aws_credentials_new(STR("A"), STR("B"), STR_NONE, STR_NONE, STR_NONE, INT64_MAX);

    assert_ptr_equal(aws_credentials_ref(c), c);
    aws_credentials_unref(c);
    assert_str_c(c->secret_key, "B");
    aws_credentials_unref(c);
    aws_credentials_unref(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_new_copies_everything),
        cmocka_unit_test(test_empty_parts),
        cmocka_unit_test(test_lives_until_the_last_user_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

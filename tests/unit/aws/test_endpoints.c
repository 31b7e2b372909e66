/* Host names, partition by partition. tests/conformance/botocore runs the published tests. */
#include "unit.h"

#include "aws/aws_int.h"
#include "base/mem.h"

enum { PLAIN, FIPS = 1, DUAL = 2, LEGACY = 4 };

static const struct {
    const struct aws_service *service;
    const char *region;
    int flags;
    const char *want;
} table[] = {
    {&aws_ecs, "eu-west-1", PLAIN, "https://ecs.eu-west-1.amazonaws.com"},
    {&aws_ecs, "us-east-1", FIPS, "https://ecs-fips.us-east-1.amazonaws.com"},
    {&aws_ecs, "us-east-1", DUAL, "https://ecs.us-east-1.api.aws"},
    {&aws_ecs, "us-east-1", FIPS | DUAL, "https://ecs-fips.us-east-1.api.aws"},
    {&aws_ecs, "us-gov-west-1", FIPS, "https://ecs-fips.us-gov-west-1.amazonaws.com"},
    {&aws_ecs, "a-region-to-come", PLAIN, "https://ecs.a-region-to-come.amazonaws.com"},
    {&aws_ecs, "fips-us-east-1", PLAIN, "https://ecs-fips.us-east-1.amazonaws.com"},
    {&aws_ecs, "us-east-1-fips", PLAIN, "https://ecs-fips.us-east-1.amazonaws.com"},
    {&aws_ec2, "us-gov-west-1", FIPS, "https://ec2.us-gov-west-1.amazonaws.com"},
    {&aws_ec2, "us-gov-west-1", FIPS | DUAL, "https://ec2-fips.us-gov-west-1.api.aws"},
    {&aws_ec2, "cn-north-1", DUAL, "https://ec2.cn-north-1.api.amazonwebservices.com.cn"},
    {&aws_servicediscovery, "us-east-1", DUAL, "https://servicediscovery.us-east-1.api.aws"},
    {&aws_servicediscovery_data, "us-east-1", FIPS | DUAL, "https://data-servicediscovery-fips.us-east-1.api.aws"},
    {&aws_cloudwatch, "us-gov-west-1", FIPS | DUAL, "https://monitoring.us-gov-west-1.api.aws"},
    {&aws_cloudwatch, "eusc-de-east-1", PLAIN, "https://monitoring.eusc-de-east-1.amazonaws.eu"},
    {&aws_logs, "us-iso-east-1", PLAIN, "https://logs.us-iso-east-1.c2s.ic.gov"},
    {&aws_logs, "us-isob-east-1", PLAIN, "https://logs.us-isob-east-1.sc2s.sgov.gov"},
    {&aws_logs, "eu-isoe-west-1", PLAIN, "https://logs.eu-isoe-west-1.cloud.adc-e.uk"},
    {&aws_logs, "us-isof-south-1", PLAIN, "https://logs.us-isof-south-1.csp.hci.ic.gov"},
    {&aws_secretsmanager, "us-east-1", DUAL, "https://secretsmanager.us-east-1.amazonaws.com"},
    {&aws_secretsmanager, "cn-north-1", FIPS | DUAL,
     "https://secretsmanager-fips.cn-north-1.api.amazonwebservices.com.cn"},
    {&aws_sts, "eu-west-1", PLAIN, "https://sts.eu-west-1.amazonaws.com"},
    {&aws_sts, "eu-west-1", LEGACY, "https://sts.amazonaws.com"},
    {&aws_sts, "af-south-1", LEGACY, "https://sts.af-south-1.amazonaws.com"},
    {&aws_sts, "eu-west-1", LEGACY | FIPS, "https://sts-fips.eu-west-1.amazonaws.com"},
    {&aws_sts, "aws-global", PLAIN, "https://sts.amazonaws.com"},
    {&aws_sso, "eu-central-1", PLAIN, "https://portal.sso.eu-central-1.amazonaws.com"},
    {&aws_sso_oidc, "eu-central-1", PLAIN, "https://oidc.eu-central-1.amazonaws.com"},
    {&aws_signin, "eu-central-1", PLAIN, "https://eu-central-1.signin.aws.amazon.com"},
    {&aws_ecs, "", PLAIN, "Invalid Configuration: Missing Region"},
    {&aws_ecs, "eu-west-1/@evil", PLAIN, "Provided region_name 'eu-west-1/@evil' doesn't match a supported format."},
    {&aws_ecs, "-", PLAIN, "Provided region_name '-' doesn't match a supported format."},
    {&aws_ecs, "fips-", PLAIN, "Invalid Configuration: Missing Region"},
};

static void test_urls(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct aws_endpoint_options o = {.region = str_c(table[i].region),
                                         .fips = table[i].flags & FIPS,
                                         .dual_stack = table[i].flags & DUAL,
                                         .legacy_sts = table[i].flags & LEGACY};
        struct diag d = {0};
        AUTO_BUF url = {0};
        if (aws_endpoint(table[i].service, &o, &url, &d) != OK)
            buf_c(&url, d.text);
        assert_str_c(buf_view(&url), table[i].want);
    }
}

static void test_endpoint_of_ones_own(void **state)
{
    (void)state;
    struct aws_endpoint_options o = {.endpoint = STR("http://localhost:4566")};
    struct diag d = {0};
    AUTO_BUF url = {0};

    assert_int_equal(aws_endpoint(&aws_ecs, &o, &url, &d), OK);
    assert_str_c(buf_view(&url), "http://localhost:4566");
    o.fips = true;
    assert_int_equal(aws_endpoint(&aws_ecs, &o, &url, &d), ERR_SYNTAX);
    assert_string_equal(d.text, "Invalid Configuration: FIPS and custom endpoint are not supported");
}

static void test_signing_region(void **state)
{
    (void)state;
    struct aws_endpoint_options o = {.region = STR("eu-west-1"), .legacy_sts = true};

    assert_str_c(aws_signing_region(&aws_sts, &o), "us-east-1");
    assert_str_c(aws_signing_region(&aws_ecs, &o), "eu-west-1");
    o.endpoint = STR("http://localhost:4566");
    assert_str_c(aws_signing_region(&aws_sts, &o), "eu-west-1");
    o = (struct aws_endpoint_options){.region = STR("us-gov-west-1-fips")};
    assert_str_c(aws_signing_region(&aws_sts, &o), "us-gov-west-1");
}

static void test_partitions(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"us-east-1", "aws"},
        {"mx-central-1", "aws"},
        {"us-gov-east-1", "aws-us-gov"},
        {"cn-north-1", "aws-cn"},
        {"us-iso-east-1", "aws-iso"},
        {"us-isob-east-1", "aws-iso-b"},
        {"us-isof-1-1", "aws-iso-f"},
        {"aws-cn-global", "aws-cn"},
        {"eusc-de-east-1", "aws-eusc"},
        {"nonsense", "aws"},
        {"", "aws"},
        {"cn-north", "aws"},
        {"cn-north-1x", "aws"},
        {"eu-isoe-west-1", "aws-iso-e"},
    };
    for (size_t i = 0; i < COUNT_OF(pairs); i++)
        assert_str_c(aws_partition_of_region(str_c(pairs[i][0])), pairs[i][1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_endpoint_of_ones_own),
        cmocka_unit_test(test_signing_region),
        cmocka_unit_test(test_partitions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

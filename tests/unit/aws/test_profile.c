/* The shared profile files. */
#include "unit.h"

#include "aws/profile_int.h"

struct files {
    struct arena arena;
    struct profiles p;
};

static struct files files_of(const char *config, const char *credentials)
{
    struct files f = {0};

    if (config)
        assert_int_equal(profiles_parse(&f.p, PROFILE_CONFIG, str_c(config), &f.arena, NULL), OK);
    if (credentials)
        assert_int_equal(profiles_parse(&f.p, PROFILE_CREDENTIALS, str_c(credentials), &f.arena, NULL), OK);
    return f;
}

static void files_release(struct files *f)
{
    profiles_release(&f->p);
    arena_release(&f->arena);
}

static struct str get(const struct files *f, const char *profile, const char *key)
{
    return profiles_get(&f->p, SECTION_PROFILE, str_c(profile), key, NULL);
}

static void test_sections_of_both_files(void **state)
{
    (void)state;
    struct files f = files_of("[default]\nregion = eu-west-1\n"
                              "[profile prod]\nregion=us-east-1\nRole_ARN = arn:x\n"
                              "[sso-session corp]\nsso_region = eu-north-1\n"
                              "[services local]\ncloudwatch_logs =\n  endpoint_url = http://localhost:1/\n"
                              "[prod2]\nregion = nowhere\n",
                              "[prod]\naws_access_key_id = AKID\n[profile odd]\nregion = nowhere\n");

    assert_str_c(get(&f, "default", "region"), "eu-west-1");
    assert_str_c(get(&f, "prod", "region"), "us-east-1");
    assert_str_c(get(&f, "prod", "role_arn"), "arn:x");
    assert_str_c(get(&f, "prod", "aws_access_key_id"), "AKID");
    assert_str_c(profiles_get(&f.p, SECTION_SSO_SESSION, STR("corp"), "sso_region", NULL), "eu-north-1");
    assert_str_c(profiles_get(&f.p, SECTION_SERVICES, STR("local"), "cloudwatch_logs", "endpoint_url"),
                 "http://localhost:1/");
    assert_false(profiles_has(&f.p, SECTION_PROFILE, STR("prod2"))); /* the config file wants `profile` */
    assert_false(profiles_has(&f.p, SECTION_PROFILE, STR("odd")));   /* the credentials file does not */
    assert_false(profiles_has(&f.p, SECTION_PROFILE, STR("profile odd")));
    files_release(&f);
}

static void test_credentials_file_wins_and_later_lines_win(void **state)
{
    (void)state;
    struct files f =
        files_of("[profile a]\nregion = 1\nregion = 2\naws_access_key_id = config\n[profile a]\noutput = json",
                 "[a]\naws_access_key_id = credentials\n");

    assert_str_c(get(&f, "a", "aws_access_key_id"), "credentials");
    assert_str_c(get(&f, "a", "region"), "2");
    assert_str_c(get(&f, "a", "output"), "json");
    files_release(&f);
}

static void test_profile_default_hides_default(void **state)
{
    (void)state;
    struct files f = files_of("[profile default]\nregion = full\n[default]\nregion = bare\noutput = text\n", NULL);

    assert_str_c(get(&f, "default", "region"), "full");
    assert_int_equal(get(&f, "default", "output").n, 0);
    files_release(&f);
}

static void test_names_in_quotes_and_white_space(void **state)
{
    (void)state;
    struct files f =
        files_of("[ profile  \"two words\" ]\r\nregion\t=  x  \r\n[profile\tb] ; why\nregion=y", "[ c ]\nregion = z");

    assert_str_c(get(&f, "two words", "region"), "x");
    assert_str_c(get(&f, "b", "region"), "y");
    assert_str_c(get(&f, "c", "region"), "z");
    files_release(&f);
}

static void test_comments(void **state)
{
    (void)state;
    struct files f = files_of("\xEF\xBB\xBF# first\n[default] # x\n; second\nregion = r # third\nsecret = a#b;c\n"
                              "empty = # nothing\n",
                              NULL);

    assert_str_c(get(&f, "default", "region"), "r");
    assert_str_c(get(&f, "default", "secret"), "a#b;c");
    assert_str_c(get(&f, "default", "empty"), "");
    files_release(&f);
}

static void test_nested_lines_do_not_leak(void **state)
{
    (void)state;
    struct files f = files_of("[default]\ns3 =\n  region = nested\nregion = outer\n  output = continued\n", NULL);

    assert_str_c(get(&f, "default", "region"), "outer");
    assert_str_c(get(&f, "default", "output"), "");
    assert_str_c(profiles_get(&f.p, SECTION_PROFILE, STR("default"), "s3", "region"), "nested");
    files_release(&f);
}

static void test_garbage_harms_nobody_else(void **state)
{
    (void)state;
    struct files f =
        files_of("region = orphan\n[unclosed\nregion = lost\n[]\nregion = lost\n= x\nno sign\n[profile a]\n"
                 "===\n\x01\xff\nregion = a=b\n",
                 NULL);

    assert_str_c(get(&f, "a", "region"), "a=b");
    assert_str_c(get(&f, "", "region"), "");
    files_release(&f);
}

static void test_too_large_is_refused(void **state)
{
    (void)state;
    struct files f = {0};
    struct diag d = {0};
    char *big = calloc(1, PROFILE_MAX_BYTES + 1);

    assert_int_equal(profiles_parse(&f.p, PROFILE_CONFIG, str_from(big, PROFILE_MAX_BYTES + 1), &f.arena, &d),
                     ERR_LIMIT);
    free(big);
    files_release(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sections_of_both_files),
        cmocka_unit_test(test_credentials_file_wins_and_later_lines_win),
        cmocka_unit_test(test_profile_default_hides_default),
        cmocka_unit_test(test_names_in_quotes_and_white_space),
        cmocka_unit_test(test_comments),
        cmocka_unit_test(test_nested_lines_do_not_leak),
        cmocka_unit_test(test_garbage_harms_nobody_else),
        cmocka_unit_test(test_too_large_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Which credentials are meant, by configuration, environment and profile files. */
#include "unit.h"

#include "aws/chain_int.h"

struct world {
    struct arena arena;
    struct profiles profiles;
    struct aws_config config;
    struct aws_env env;
    const char *const *variables; /* name, value, ..., NULL */
    struct chain chain;
    struct diag d;
};

static const char *look_up(void *ctx, const char *name)
{
    const struct world *w = ctx;
    const char *value = NULL;
    for (const char *const *v = w->variables; v && *v; v += 2)
        if (strcmp(v[0], name) == 0)
            value = v[1];
    return value;
}

#define VARIABLES(...) ((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

static enum err plan(struct world *w, const char *config_file, const char *const *variables)
{
    struct chain_input in = {.config = &w->config, .env = &w->env, .profiles = &w->profiles, .files = STR("the files")};

    w->env = (struct aws_env){.getenv = look_up, .getenv_ctx = w};
    w->variables = variables;
    if (config_file)
        assert_int_equal(profiles_parse(&w->profiles, PROFILE_CONFIG, str_c(config_file), &w->arena, NULL), OK);
    return chain_plan(&in, &w->arena, &w->chain, &w->d);
}

static void release(struct world *w)
{
    profiles_release(&w->profiles);
    arena_release(&w->arena);
    *w = (struct world){0};
}

#define ALL_ENV                                                                                                        \
    "AWS_ACCESS_KEY_ID", "ENVKEY", "AWS_SECRET_ACCESS_KEY", "s", "AWS_WEB_IDENTITY_TOKEN_FILE", "/token",              \
        "AWS_ROLE_ARN", "arn:web", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/x"
static const char default_keys[] = "[default]\naws_access_key_id=PROFILEKEY\naws_secret_access_key=s\nregion=p\n";

static void test_keys_of_the_configuration_come_first(void **state)
{
    (void)state;
    struct world w = {.config = {.access_key = STR("CONFIG"), .secret_key = STR("s"), .profile = STR("default")}};

    assert_int_equal(plan(&w, default_keys, VARIABLES(ALL_ENV)), OK);
    assert_int_equal(w.chain.source, CHAIN_KEYS);
    assert_str_c(w.chain.keys.access_key, "CONFIG");
    release(&w);
}

static void test_a_profile_of_the_configuration_beats_the_environment(void **state)
{
    (void)state;
    struct world w = {.config = {.profile = STR("default")}};

    assert_int_equal(plan(&w, default_keys, VARIABLES(ALL_ENV)), OK);
    assert_str_c(w.chain.keys.access_key, "PROFILEKEY");
    release(&w);
}

static void test_environment_then_web_identity_then_profile(void **state)
{
    (void)state;
    struct world w = {0};

    assert_int_equal(plan(&w, default_keys, VARIABLES(ALL_ENV, "AWS_SESSION_TOKEN", "t")), OK);
    assert_str_c(w.chain.keys.access_key, "ENVKEY");
    assert_str_c(w.chain.keys.session_token, "t");
    release(&w);
    assert_int_equal(plan(&w, default_keys, VARIABLES(ALL_ENV, "AWS_ACCESS_KEY_ID", "")), OK); /* empty: not set */
    assert_int_equal(w.chain.source, CHAIN_WEB_IDENTITY);
    release(&w);
    assert_int_equal(plan(&w, default_keys, &(VARIABLES(ALL_ENV))[4]), OK);
    assert_int_equal(w.chain.source, CHAIN_WEB_IDENTITY);
    assert_str_c(w.chain.web.role_arn, "arn:web");
    assert_str_c(w.chain.token_file, "/token");
    release(&w);
    assert_int_equal(plan(&w, default_keys, &(VARIABLES(ALL_ENV))[8]), OK);
    assert_str_c(w.chain.keys.access_key, "PROFILEKEY");
    release(&w);
}

static void test_container_beats_the_instance(void **state)
{
    (void)state;
    struct world w = {0};

    assert_int_equal(
        plan(&w, NULL, &(VARIABLES(ALL_ENV, "AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://localhost/x"))[8]), OK);
    assert_int_equal(w.chain.source, CHAIN_CONTAINER);
    assert_str_c(w.chain.container.url, "http://169.254.170.2/v2/x");
    release(&w);
    assert_int_equal(plan(&w, NULL, VARIABLES("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://localhost/x")), OK);
    assert_str_c(w.chain.container.url, "http://localhost/x");
    assert_false(w.chain.container.relative);
    release(&w);
    assert_int_equal(plan(&w, NULL, NULL), OK);
    assert_int_equal(w.chain.source, CHAIN_IMDS);
    assert_str_c(w.chain.imds.url, "http://169.254.169.254");
    release(&w);
    assert_int_equal(plan(&w, NULL, VARIABLES("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "IPv6")), OK);
    assert_str_c(w.chain.imds.url, "http://[fd00:ec2::254]");
    release(&w);
    assert_int_equal(plan(&w, NULL, VARIABLES("AWS_EC2_METADATA_DISABLED", "True")), ERR_NOT_FOUND);
    assert_non_null(strstr(w.d.text, "no AWS credentials"));
    release(&w);
}

/* The search as it is shown: every link with a reason. */
static void test_steps_say_why(void **state)
{
    (void)state;
    struct world w = {.config = {.role_arn = STR("arn:role"), .external_id = STR("x")}};

    assert_int_equal(plan(&w, NULL,
                          VARIABLES("AWS_ACCESS_KEY_ID", "A", "AWS_EC2_METADATA_DISABLED", "true",
                                    "AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1/")),
                     OK);
    assert_int_equal(w.chain.n_steps, 7);
    assert_str_c(w.chain.steps[0].name, "configuration");
    assert_int_equal(w.chain.steps[1].verdict, AWS_STEP_PASSED_OVER);
    assert_str_c(w.chain.steps[1].why, "AWS_ACCESS_KEY_ID is set, AWS_SECRET_ACCESS_KEY is not");
    assert_str_c(w.chain.steps[3].why, "not in the files");
    assert_int_equal(w.chain.steps[4].verdict, AWS_STEP_USED);
    assert_int_equal(w.chain.used, 4);
    assert_int_equal(w.chain.steps[5].verdict, AWS_STEP_NOT_REACHED);
    assert_str_c(w.chain.steps[6].name, "role");
    assert_int_equal(w.chain.n_roles, 1);
    assert_str_c(w.chain.roles[0].external_id, "x");
    release(&w);
}

static void test_region_order(void **state)
{
    (void)state;
    struct world w = {.config = {.region = STR("c")}};
    const char *const *all = VARIABLES("AWS_REGION", "r", "AWS_DEFAULT_REGION", "d");

    assert_int_equal(plan(&w, default_keys, all), OK);
    assert_str_c(w.chain.region, "c");
    release(&w);
    assert_int_equal(plan(&w, default_keys, all), OK);
    assert_str_c(w.chain.region, "r");
    release(&w);
    assert_int_equal(plan(&w, default_keys, all + 2), OK);
    assert_str_c(w.chain.region, "d");
    assert_str_c(w.chain.region_source, "AWS_DEFAULT_REGION");
    release(&w);
    assert_int_equal(plan(&w, default_keys, NULL), OK);
    assert_str_c(w.chain.region, "p");
    assert_str_c(w.chain.region_source, "profile \"default\"");
    release(&w);
    assert_int_equal(plan(&w, NULL, NULL), OK);
    assert_int_equal(w.chain.region.n, 0);
    release(&w);
}

static void test_roles_on_roles(void **state)
{
    (void)state;
    struct world w = {.config = {.role_arn = STR("arn:config")}};

    assert_int_equal(plan(&w,
                          "[profile a]\nrole_arn=arn:a\nsource_profile=b\nexternal_id=xa\nduration_seconds=1800\n"
                          "role_session_name=me\n[profile b]\nrole_arn=arn:b\nsource_profile=c\n[profile c]\n"
                          "aws_access_key_id=C\naws_secret_access_key=s\n",
                          VARIABLES("AWS_PROFILE", "a")),
                     OK);
    assert_int_equal(w.chain.source, CHAIN_KEYS);
    assert_str_c(w.chain.keys.access_key, "C");
    assert_int_equal(w.chain.n_roles, 3);
    assert_str_c(w.chain.roles[0].role_arn, "arn:b");
    assert_str_c(w.chain.roles[1].role_arn, "arn:a");
    assert_str_c(w.chain.roles[1].external_id, "xa");
    assert_str_c(w.chain.roles[1].session_name, "me");
    assert_int_equal(w.chain.roles[1].duration_s, 1800);
    assert_str_c(w.chain.roles[2].role_arn, "arn:config");
    release(&w);
}

/* In the first profile the role beats its own keys; in a source profile the keys beat the role. */
static void test_keys_and_role_in_one_profile(void **state)
{
    (void)state;
    struct world w = {0};
    const char *files =
        "[profile a]\nrole_arn=arn:a\nsource_profile=b\naws_access_key_id=A\naws_secret_access_key=s\n"
        "[profile b]\nrole_arn=arn:b\nsource_profile=zzz\naws_access_key_id=B\naws_secret_access_key=s\n"
        "[profile self]\nrole_arn=arn:s\nsource_profile=self\naws_access_key_id=S\n"
        "aws_secret_access_key=s\n";

    assert_int_equal(plan(&w, files, VARIABLES("AWS_PROFILE", "a")), OK);
    assert_int_equal(w.chain.n_roles, 1);
    assert_str_c(w.chain.keys.access_key, "B");
    release(&w);
    assert_int_equal(plan(&w, files, VARIABLES("AWS_PROFILE", "self")), OK);
    assert_str_c(w.chain.keys.access_key, "S");
    assert_int_equal(w.chain.n_roles, 1);
    release(&w);
}

static void expect_error(const char *profile, const char *const *more, enum err want, const char *words)
{
    struct world w = {.config = {.profile = STR("p")}};
    enum err err = plan(&w, profile, more);

    if (err != want || !strstr(w.d.text, words))
        fail_msg("%s: %s, \"%s\", not \"%s\"", profile, err_name(err), w.d.text, words);
    release(&w);
}

static void test_contradictions_are_errors(void **state)
{
    (void)state;
    expect_error("[profile q]\n", NULL, ERR_NOT_FOUND, "profile \"p\" of the configuration is not in the files");
    expect_error("[profile p]\nrole_arn=r\nsource_profile=q\n", NULL, ERR_NOT_FOUND, "source_profile \"q\" is not in");
    expect_error("[profile p]\nrole_arn=r\nsource_profile=q\n[profile q]\nregion=x\n", NULL, ERR_NOT_FOUND,
                 "\"q\" has no credentials");
    expect_error("[profile p]\nrole_arn=r\nsource_profile=p\n", NULL, ERR_SYNTAX, "leads back");
    expect_error("[profile p]\nrole_arn=r\nsource_profile=q\n[profile q]\nrole_arn=r\nsource_profile=p\n", NULL,
                 ERR_SYNTAX, "leads back");
    expect_error("[profile p]\nrole_arn=r\nsource_profile=q\ncredential_source=Environment\n", NULL, ERR_SYNTAX,
                 "one of them");
    expect_error("[profile p]\nrole_arn=r\n", NULL, ERR_SYNTAX, "role_arn without");
    expect_error("[profile p]\nsource_profile=q\n", NULL, ERR_SYNTAX, "source_profile without role_arn");
    expect_error("[profile p]\nweb_identity_token_file=/x\n", NULL, ERR_SYNTAX, "without role_arn");
    expect_error("[profile p]\nrole_arn=r\ncredential_source=environment\n", NULL, ERR_SYNTAX, "\"environment\"");
    expect_error("[profile p]\nrole_arn=r\ncredential_source=EcsContainer\n", NULL, ERR_NOT_FOUND, "nothing there");
    expect_error("[profile p]\nrole_arn=r\nmfa_serial=x\ncredential_source=Ec2InstanceMetadata\n", NULL, ERR_SYNTAX,
                 "mfa_serial");
    expect_error("[profile p]\nrole_arn=r\nduration_seconds=5\ncredential_source=Ec2InstanceMetadata\n", NULL,
                 ERR_SYNTAX, "duration_seconds");
    expect_error("[profile p]\naws_access_key_id=x\n", NULL, ERR_SYNTAX, "without aws_secret_access_key");
    expect_error("[profile p]\nlogin_session=x\n", NULL, ERR_UNSUPPORTED, "login_session");
    expect_error("[profile p]\nsso_account_id=1\nsso_role_name=r\nsso_session=s\n", NULL, ERR_SYNTAX,
                 "no [sso-session s]");
    expect_error("[profile p]\nsso_account_id=1\nsso_role_name=r\nsso_region=x\n", NULL, ERR_SYNTAX, "sso_start_url");
    expect_error("[profile p]\nsso_account_id=1\nsso_session=s\n[sso-session s]\nsso_region=r\nsso_start_url=u\n", NULL,
                 ERR_SYNTAX, "sso_role_name is missing");
    expect_error("[profile p]\nsso_account_id=1\nsso_role_name=r\nsso_session=s\nsso_region=y\n[sso-session s]\n"
                 "sso_region=r\nsso_start_url=u\n",
                 NULL, ERR_SYNTAX, "differs");
    expect_error("[profile p]\n", VARIABLES("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "v6"), ERR_SYNTAX,
                 "IPv4 or IPv6");
    struct world w = {0};
    assert_int_equal(plan(&w, NULL, VARIABLES("AWS_WEB_IDENTITY_TOKEN_FILE", "/x")), ERR_SYNTAX);
    assert_int_equal(w.chain.steps[w.chain.n_steps - 1].verdict, AWS_STEP_FAILED);
    release(&w);
}

static void test_credential_sources(void **state)
{
    (void)state;
    struct world w = {0};
    const char *files =
        "[profile e]\nrole_arn=r\ncredential_source=Environment\n[profile c]\nrole_arn=r\n"
        "credential_source = EcsContainer\n[profile i]\nrole_arn=r\ncredential_source=Ec2InstanceMetadata";

    w.config.profile = STR("e");
    assert_int_equal(plan(&w, files, VARIABLES(ALL_ENV)), OK);
    assert_str_c(w.chain.keys.access_key, "ENVKEY");
    assert_int_equal(w.chain.n_roles, 1);
    release(&w);
    w.config.profile = STR("c");
    assert_int_equal(plan(&w, files, VARIABLES(ALL_ENV)), OK);
    assert_int_equal(w.chain.source, CHAIN_CONTAINER);
    release(&w);
    w.config.profile = STR("i");
    assert_int_equal(plan(&w, files, VARIABLES(ALL_ENV)), OK);
    assert_int_equal(w.chain.source, CHAIN_IMDS);
    release(&w);
}

static void test_sso_process_and_web_identity_of_a_profile(void **state)
{
    (void)state;
    struct world w = {.config = {.profile = STR("s")}};
    const char *files =
        "[profile s]\nsso_session=corp\nsso_account_id=1\nsso_role_name=dev\n[sso-session corp]\n"
        "sso_region=eu-west-1\nsso_start_url=https://x\n[profile old]\nsso_account_id=1\nsso_role_name=d\n"
        "sso_region=r\nsso_start_url=u\n[profile x]\ncredential_process=/bin/keys 1\n"
        "[profile w]\nrole_arn=arn:w\nweb_identity_token_file=/t\n";

    assert_int_equal(plan(&w, files, NULL), OK);
    assert_int_equal(w.chain.source, CHAIN_SSO);
    assert_str_c(w.chain.sso.session, "corp");
    assert_str_c(w.chain.sso.region, "eu-west-1");
    release(&w);
    w.config.profile = STR("old");
    assert_int_equal(plan(&w, files, NULL), OK);
    assert_int_equal(w.chain.sso.session.n, 0);
    assert_str_c(w.chain.sso.start_url, "u");
    release(&w);
    w.config.profile = STR("x");
    assert_int_equal(plan(&w, files, NULL), OK);
    assert_int_equal(w.chain.source, CHAIN_PROCESS);
    assert_str_c(w.chain.command, "/bin/keys 1");
    release(&w);
    w.config.profile = STR("w");
    assert_int_equal(plan(&w, files, NULL), OK);
    assert_int_equal(w.chain.source, CHAIN_WEB_IDENTITY);
    assert_int_equal(w.chain.n_roles, 0);
    assert_str_c(w.chain.web.role_arn, "arn:w");
    release(&w);
}

/* As the original's library does it: a profile of the environment that does not exist is passed over. */
static void test_an_unknown_profile_of_the_environment_is_passed_over(void **state)
{
    (void)state;
    struct world w = {0};

    assert_int_equal(plan(&w, default_keys, VARIABLES("AWS_PROFILE", "gone")), OK);
    assert_int_equal(w.chain.source, CHAIN_IMDS);
    assert_str_c(w.chain.steps[3].name, "profile \"gone\"");
    assert_str_c(w.chain.steps[3].why, "not in the files");
    release(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys_of_the_configuration_come_first),
        cmocka_unit_test(test_a_profile_of_the_configuration_beats_the_environment),
        cmocka_unit_test(test_environment_then_web_identity_then_profile),
        cmocka_unit_test(test_container_beats_the_instance),
        cmocka_unit_test(test_steps_say_why),
        cmocka_unit_test(test_region_order),
        cmocka_unit_test(test_roles_on_roles),
        cmocka_unit_test(test_keys_and_role_in_one_profile),
        cmocka_unit_test(test_contradictions_are_errors),
        cmocka_unit_test(test_credential_sources),
        cmocka_unit_test(test_sso_process_and_web_identity_of_a_profile),
        cmocka_unit_test(test_an_unknown_profile_of_the_environment_is_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

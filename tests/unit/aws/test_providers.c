/* Where keys come from: each source, as it should answer, and as it should not. */
#include "unit.h"
#include "world.h"

#include "aws_world.h"

#include "net/resolver.h"

static struct aws_world *world_in(const char *region)
{
    struct aws_world *w = aws_world_new();

    if (region)
        aws_world_set(w, "AWS_REGION", "%s", region);
    return w;
}

static void expect_keys(struct aws_world *w, const char *id)
{
    world_until(w->loop, w->told || w->n_nothing);
    if (!w->told)
        fail_msg("no keys: %s", w->why.text);
    assert_str_c(w->told->access_key, id);
    aws_world_free(w);
}

static void expect_failure(struct aws_world *w, const char *words)
{
    world_until(w->loop, w->told || w->n_nothing);
    assert_null(w->told);
    if (!strstr(w->why.text, words))
        fail_msg("\"%s\" does not say \"%s\"", w->why.text, words);
    aws_world_free(w);
}

/* ---- container ---- */

static void on_container(struct aws_world *w, struct http_call *call, const struct fake_request *r)
{
    (void)w;
    if (strcmp(r->authorization, "file token") == 0)
        fake_keys(call, "BYFILE", 3600000);
    else if (strcmp(r->authorization, "plain") == 0)
        fake_keys(call, "BYTEXT", 3600000);
    else
        fake_answer(call, 401, "{\"code\":\"NoAuth\",\"message\":\"who are you\"}");
}

static struct aws_world *world_with_container(void)
{
    struct aws_world *w = world_in("eu-west-1");

    aws_world_set(w, "AWS_CONTAINER_CREDENTIALS_FULL_URI", "%s/x", w->url);
    w->handle = on_container;
    return w;
}

static void test_container_token_file_beats_the_text(void **state)
{
    (void)state;
    struct aws_world *w = world_with_container();

    world_write(&w->folder, "token", "file token\n");
    aws_world_set(w, "AWS_CONTAINER_AUTHORIZATION_TOKEN", "plain");
    aws_world_start(w, NULL);
    world_until(w->loop, w->told);
    assert_str_c(w->told->access_key, "BYTEXT");
    assert_str_c(w->told->session_token, "token");
    assert_str_c(w->told->source, "container endpoint");
    aws_world_set(w, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "%s", world_path(&w->folder, "token"));
    aws_session_refused(w->session);
    world_until(w->loop, w->n_told == 2);
    expect_keys(w, "BYFILE");
}

static void test_container_says_why_not(void **state)
{
    (void)state;
    struct aws_world *w = world_with_container();

    aws_world_start(w, NULL);
    expect_failure(w, "container endpoint: status 401: NoAuth: who are you");
    w = world_with_container();
    aws_world_set(w, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/nonexistent/token");
    aws_world_start(w, NULL);
    expect_failure(w, "/nonexistent/token");
    w = world_with_container();
    aws_world_set(w, "AWS_CONTAINER_AUTHORIZATION_TOKEN", "a\r\nX-Evil: 1");
    aws_world_start(w, NULL);
    expect_failure(w, "characters that cannot be sent");
}

static void test_keys_are_asked_over_http_only_at_home(void **state)
{
    (void)state;
    struct aws_world *w = world_in("eu-west-1");

    aws_world_set(w, "AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://192.0.2.1/x");
    aws_world_start(w, NULL);
    expect_failure(w, "192.0.2.1 is neither; use https");
    w = world_in("eu-west-1");
    aws_world_set(w, "AWS_CONTAINER_CREDENTIALS_FULL_URI", "ftp:/x");
    aws_world_start(w, NULL);
    expect_failure(w, "not a URL");
}

static bool trusts(const char *address)
{
    struct net_address a = {0};
    assert_true(net_address_parse(str_c(address), &a));
    return provider_container_trusts(&a);
}

static void test_addresses_that_are_trusted(void **state)
{
    (void)state;
    assert_true(trusts("127.0.0.1"));
    assert_true(trusts("127.9.8.7"));
    assert_true(trusts("::1"));
    assert_true(trusts("169.254.170.2"));
    assert_true(trusts("169.254.170.23"));
    assert_true(trusts("fd00:ec2::23"));
    assert_false(trusts("169.254.169.254"));
    assert_false(trusts("169.254.170.3"));
    assert_false(trusts("10.0.0.1"));
    assert_false(trusts("fd00:ec2::254"));
    assert_false(trusts("::ffff:10.0.0.1"));
}

/* A moment's failure is no failure. */
static void on_shaky(struct aws_world *w, struct http_call *call, const struct fake_request *r)
{
    (void)r;
    if (w->requests < 3)
        fake_answer(call, 500, "later");
    else
        fake_keys(call, "THIRD", 3600000);
}

static void test_container_is_asked_three_times(void **state)
{
    (void)state;
    struct aws_world *w = world_with_container();

    w->handle = on_shaky;
    aws_world_start(w, NULL);
    world_until(w->loop, w->told);
    assert_int_equal(w->n_nothing, 0);
    expect_keys(w, "THIRD");
}

static void on_garbage(struct aws_world *w, struct http_call *call, const struct fake_request *r)
{
    (void)w;
    (void)r;
    fake_answer(call, 200, "<html>Welcome to the hotel network</html>");
}

static void test_a_200_with_garbage(void **state)
{
    (void)state;
    struct aws_world *w = world_with_container();

    w->handle = on_garbage;
    aws_world_start(w, NULL);
    expect_failure(w, "container endpoint: the answer is not a JSON object");
}

/* ---- instance metadata ---- */

enum { NO_TOKENS = 1, NO_ROLE = 2, FORGETS_TOKENS = 4, NO_SUCCESS = 8 };
static int imds_manner;

static void on_imds(struct aws_world *w, struct http_call *call, const struct fake_request *r)
{
    if (strcmp(r->path, "/latest/api/token") == 0) {
        if (imds_manner & NO_TOKENS)
            fake_answer(call, 404, "?");
        else
            fake_answer(call, strcmp(r->method, "PUT") ? 405 : 200, "T%d", ++w->number);
        return;
    }
    const char *want = imds_manner & NO_TOKENS ? "" : imds_manner & FORGETS_TOKENS ? "T2" : "T1";
    if (strcmp(r->token, want) != 0)
        fake_answer(call, 401, "token?");
    else if (strcmp(r->path, "/latest/meta-data/placement/region") == 0)
        fake_answer(call, 200, "ap-south-1");
    else if (imds_manner & NO_ROLE)
        fake_answer(call, 404, "none");
    else if (strcmp(r->path, "/latest/meta-data/iam/security-credentials/") == 0)
        fake_answer(call, 200, "my-role\n");
    else if (strcmp(r->path, "/latest/meta-data/iam/security-credentials/my-role") != 0)
        fake_answer(call, 404, "what?");
    else if (imds_manner & NO_SUCCESS)
        fake_answer(call, 200, "{\"Code\":\"AssumeRoleUnauthorizedAccess\",\"Message\":\"no\"}");
    else
        fake_keys(call, "IMDS", 3600000);
}

static struct aws_world *world_with_imds(int manner)
{
    struct aws_world *w = world_in(NULL);

    imds_manner = manner;
    w->handle = on_imds;
    aws_world_set(w, "AWS_EC2_METADATA_DISABLED", "false");
    aws_world_set(w, "AWS_EC2_METADATA_SERVICE_ENDPOINT", "%s/", w->url);
    return w;
}

static void test_imds_gives_region_and_keys(void **state)
{
    (void)state;
    struct aws_world *w = world_with_imds(0);

    aws_world_start(w, NULL);
    world_until(w->loop, w->told);
    assert_str_c(aws_session_region(w->session), "ap-south-1");
    assert_str_c(aws_session_region_source(w->session), "instance metadata");
    assert_int_equal(w->number, 1); /* one token served for all */
    expect_keys(w, "IMDS");
}

static void test_imds_token_that_is_refused_is_replaced(void **state)
{
    (void)state;
    struct aws_world *w = world_with_imds(FORGETS_TOKENS);

    aws_world_start(w, NULL);
    expect_keys(w, "IMDS");
}

static void test_imds_version_1(void **state)
{
    (void)state;
    struct aws_world *w = world_with_imds(NO_TOKENS);

    aws_world_start(w, NULL);
    expect_keys(w, "IMDS");
    w = world_with_imds(NO_TOKENS);
    aws_world_set(w, "AWS_REGION", "eu-west-1");
    aws_world_set(w, "AWS_EC2_METADATA_V1_DISABLED", "true");
    aws_world_start(w, NULL);
    expect_failure(w, "instance metadata");
}

static void test_imds_without_a_role(void **state)
{
    (void)state;
    struct aws_world *w = world_with_imds(NO_ROLE);

    aws_world_start(w, NULL);
    expect_failure(w, "the instance has no role");
    w = world_with_imds(NO_SUCCESS);
    aws_world_start(w, NULL);
    expect_failure(w, "instance metadata: AssumeRoleUnauthorizedAccess: no");
}

static void on_task(struct aws_world *w, struct http_call *call, const struct fake_request *r)
{
    if (strcmp(r->path, "/v4/id/task") == 0)
        fake_answer(call, 200, "{\"TaskARN\":\"arn:aws:ecs:eu-central-1:123456789012:task/c/t\"}");
    else
        on_container(w, call, r);
}

static void test_region_of_the_task(void **state)
{
    (void)state;
    struct aws_world *w = world_in(NULL);

    w->handle = on_task;
    aws_world_set(w, "ECS_CONTAINER_METADATA_URI_V4", "%s/v4/id", w->url);
    aws_world_set(w, "AWS_CONTAINER_CREDENTIALS_FULL_URI", "%s/x", w->url);
    aws_world_set(w, "AWS_CONTAINER_AUTHORIZATION_TOKEN", "plain");
    aws_world_start(w, NULL);
    world_until(w->loop, w->told);
    assert_str_c(aws_session_region(w->session), "eu-central-1");
    assert_str_c(aws_session_region_source(w->session), "task metadata");
    aws_world_free(w);
}

/* ---- STS ---- */

static void on_sts(struct aws_world *w, struct http_call *call, const struct fake_request *r)
{
    char id[32];

    if (strstr(r->body, "Action=AssumeRoleWithWebIdentity&")) {
        if (r->authorization[0])
            fake_answer(call, 400, "signed");
        else if (strstr(r->body, "WebIdentityToken=jwt.%2B%2F%3D") && strstr(r->body, "RoleArn=arn%3Aweb"))
            fake_sts(call, "AssumeRoleWithWebIdentity", "WEB", 3600000);
        else
            fake_answer(call, 400,
                        "<ErrorResponse><Error><Code>InvalidIdentityToken</Code><Message>bad token"
                        "</Message></Error></ErrorResponse>");
        return;
    }
    w->number++;
    snprintf(id, sizeof(id), "ROLE%d", w->number);
    if (strstr(r->body, "RoleArn=arn%3Adenied"))
        fake_answer(call, 403,
                    "<ErrorResponse><Error><Code>AccessDenied</Code><Message>not authorized to perform "
                    "sts:AssumeRole</Message></Error></ErrorResponse>");
    else
        fake_sts(call, "AssumeRole", id, 3600000);
}

static struct aws_world *world_with_sts(void)
{
    struct aws_world *w = world_in("eu-west-1");

    w->handle = on_sts;
    aws_world_set(w, "AWS_ENDPOINT_URL_STS", "%s", w->url);
    return w;
}

static void test_web_identity(void **state)
{
    (void)state;
    struct aws_world *w = world_with_sts();

    world_write(&w->folder, "jwt", "jwt.+/=\n");
    aws_world_set(w, "AWS_WEB_IDENTITY_TOKEN_FILE", "%s", world_path(&w->folder, "jwt"));
    aws_world_set(w, "AWS_ROLE_ARN", "arn:web");
    aws_world_start(w, NULL);
    world_until(w->loop, w->told);
    assert_non_null(strstr(w->last.body, "RoleSessionName=leadline-"));
    assert_null(strstr(w->last.body, "DurationSeconds"));
    expect_keys(w, "WEB");
}

static void test_web_identity_fails(void **state)
{
    (void)state;
    struct aws_world *w = world_with_sts();

    world_write(&w->folder, "jwt", "other");
    aws_world_set(w, "AWS_WEB_IDENTITY_TOKEN_FILE", "%s", world_path(&w->folder, "jwt"));
    aws_world_set(w, "AWS_ROLE_ARN", "arn:web");
    aws_world_start(w, NULL);
    expect_failure(w, "InvalidIdentityToken");
    w = world_with_sts();
    aws_world_set(w, "AWS_WEB_IDENTITY_TOKEN_FILE", "/nonexistent/jwt");
    aws_world_set(w, "AWS_ROLE_ARN", "arn:web");
    aws_world_start(w, NULL);
    expect_failure(w, "/nonexistent/jwt");
}

/* Each role is assumed with the keys of the one before. */
static void test_roles_on_roles(void **state)
{
    (void)state;
    struct aws_world *w = world_with_sts();
    struct aws_config config = {
        .profile = STR("a"), .role_arn = STR("arn:top"), .external_id = STR("x&y"), .role_session_name = STR("me")};

    world_write(&w->folder, ".aws/config",
                "[profile a]\nrole_arn=arn:a\nsource_profile=b\nduration_seconds=1800\n"
                "[profile b]\naws_access_key_id=BASE\naws_secret_access_key=s\n");
    aws_world_start(w, &config);
    world_until(w->loop, w->told);
    assert_int_equal(w->number, 2);
    assert_non_null(strstr(w->last.body, "RoleArn=arn%3Atop&RoleSessionName=me&ExternalId=x%26y"));
    assert_non_null(strstr(w->last.authorization, "Credential=ROLE1/"));
    assert_str_c(w->told->source, "role arn:top by profile \"b\"");
    expect_keys(w, "ROLE2");
}

static void test_a_role_that_may_not_be_assumed(void **state)
{
    (void)state;
    struct aws_world *w = world_with_sts();
    struct aws_config config = {
        .access_key = STR("A"), .secret_key = STR("s"), .role_arn = STR("arn:denied"), .region = STR("us-east-1")};
    const struct aws_step *steps = NULL;

    aws_world_start(w, &config);
    world_until(w->loop, w->n_nothing);
    uint32_t n = aws_session_steps(w->session, &steps);
    assert_str_c(steps[n - 1].name, "role");
    assert_int_equal(steps[n - 1].verdict, AWS_STEP_FAILED);
    assert_int_equal(steps[0].verdict, AWS_STEP_USED);
    expect_failure(w, "not authorized to perform sts:AssumeRole");
}

/* An endpoint that somebody has named stands, whatever host the FIPS key would choose. */
static void test_fips_does_not_move_a_named_endpoint(void **state)
{
    (void)state;
    struct aws_world *w = world_with_sts();
    struct aws_config config = {
        .access_key = STR("A"), .secret_key = STR("s"), .role_arn = STR("arn:r"), .use_fips_sts_endpoint = true};

    aws_world_start(w, &config);
    expect_keys(w, "ROLE1");
}

/* ---- processes ---- */

static struct aws_world *world_with_process(const char *script)
{
    struct aws_world *w = world_in("eu-west-1");
    char path[256], profile[512];

    world_write(&w->folder, "two words/keys", script);
    snprintf(path, sizeof(path), "%s/two words/keys", w->folder.path);
    assert_int_equal(chmod(path, 0755), 0);
    snprintf(profile, sizeof(profile), "[default]\ncredential_process = \"%s\" 'a  b' c\\ d\n", path);
    world_write(&w->folder, ".aws/config", profile);
    aws_world_start(w, NULL);
    return w;
}

static void test_process(void **state)
{
    (void)state;
    expect_keys(world_with_process("#!/bin/sh\n[ \"$1\" = 'a  b' ] && [ \"$2\" = 'c d' ] && [ $# = 2 ] || exit 9\n"
                                   "echo '{\"Version\": 1, \"AccessKeyId\": \"PROC\", \"SecretAccessKey\": \"s\"}'\n"),
                "PROC");
}

static void test_process_that_fails(void **state)
{
    (void)state;
    expect_failure(world_with_process("#!/bin/sh\necho secret; echo 'vault is sealed' >&2; exit 3\n"),
                   "credential_process: exit status 3: vault is sealed");
    expect_failure(world_with_process("#!/bin/sh\necho hello\n"), "its output is not a JSON object");
    expect_failure(world_with_process("#!/bin/sh\nkill -9 $$\n"), "ended by signal 9");
    expect_failure(world_with_process("#!/bin/sh\necho '{\"Version\": 1, \"AccessKeyId\": \"P\", \"SecretAccessKey\": "
                                      "\"s\", \"Expiration\": \"2001-01-01T00:00:00Z\"}'\n"),
                   "have expired");
    struct aws_world *w = world_in("eu-west-1");
    world_write(&w->folder, ".aws/config", "[default]\ncredential_process = /nonexistent/keys\n");
    aws_world_start(w, NULL);
    expect_failure(w, "/nonexistent/keys");
}

static void test_words_of_a_process(void **state)
{
    (void)state;
    struct arena a = {0};
    char **argv = NULL;

    assert_int_equal(provider_process_split(STR(" x  'a b'\"c d\"\\ e '' \"q\\\"\\n\" "), &a, &argv, NULL), OK);
    assert_string_equal(argv[0], "x");
    assert_string_equal(argv[1], "a bc d e");
    assert_string_equal(argv[2], "");
    assert_string_equal(argv[3], "q\"\\n");
    assert_null(argv[4]);
    assert_int_equal(provider_process_split(STR("x 'a"), &a, &argv, NULL), ERR_SYNTAX);
    assert_int_equal(provider_process_split(STR("  "), &a, &argv, NULL), ERR_SYNTAX);
    assert_int_equal(provider_process_split(STR("'' x"), &a, &argv, NULL), ERR_SYNTAX);
    arena_release(&a);
}

/* ---- SSO ---- */

static void on_sso(struct aws_world *w, struct http_call *call, const struct fake_request *r)
{
    struct str bearer = http_call_header(call, "x-amz-sso_bearer_token");

    if (strcmp(r->path, "/token") == 0) {
        w->number++;
        assert_string_equal(r->body, "{\"grantType\":\"refresh_token\",\"clientId\":\"c\",\"clientSecret\":\"cs\","
                                     "\"refreshToken\":\"r1\"}");
        fake_answer(call, 200, "{\"accessToken\":\"fresh\",\"expiresIn\":3600,\"refreshToken\":\"r2\"}");
        return;
    }
    assert_string_equal(r->path, "/federation/credentials");
    assert_str_c(http_call_query(call, "account_id"), "123456789012");
    assert_str_c(http_call_query(call, "role_name"), "dev role");
    if (!str_eq(bearer, STR("good")) && !str_eq(bearer, STR("fresh"))) {
        fake_answer(call, 401, "{\"message\":\"Session token not found or invalid\"}");
        return;
    }
    fake_answer(call, 200,
                "{\"roleCredentials\":{\"accessKeyId\":\"SSO%.*s\",\"secretAccessKey\":\"s\",\"sessionToken\":\"t\","
                "\"expiration\":%lld}}",
                STR_ARGS(bearer), (long long)clock_wall_ms() + 3600000);
}

/* named after the SHA-1 of "corp" */
static const char sso_file[] = ".aws/sso/cache/ee0bfd2552fbd840c02cc48b6e823320543c450f.json";

static struct aws_world *world_with_sso(const char *token, int64_t token_lives_ms)
{
    struct aws_world *w = world_in("eu-west-1");
    char text[1024];

    world_write(&w->folder, ".aws/config",
                "[default]\nsso_session = corp\nsso_account_id = 123456789012\nsso_role_name = dev role\n"
                "[sso-session corp]\nsso_region = eu-north-1\nsso_start_url = https://x\n");
    if (token) {
        snprintf(text, sizeof(text),
                 "{\"startUrl\":\"https://x\",\"accessToken\":\"%s\",\"expiresAt\":\"%s\",\"refreshToken\":\"r1\","
                 "\"clientId\":\"c\",\"clientSecret\":\"cs\",\"registrationExpiresAt\":\"2099-01-01T00:00:00Z\"}",
                 token, fake_time(token_lives_ms));
        world_write(&w->folder, sso_file, text);
    }
    w->handle = on_sso;
    aws_world_set(w, "AWS_ENDPOINT_URL_SSO", "%s", w->url);
    aws_world_set(w, "AWS_ENDPOINT_URL_SSO_OIDC", "%s/", w->url);
    aws_world_start(w, NULL);
    return w;
}

static void test_sso(void **state)
{
    (void)state;
    struct aws_world *w = world_with_sso("good", 3600000);

    world_until(w->loop, w->told);
    assert_int_equal(w->number, 0);
    assert_str_c(w->told->account, "123456789012");
    expect_keys(w, "SSOgood");
}

static void test_sso_token_is_renewed_and_kept(void **state)
{
    (void)state;
    struct aws_world *w = world_with_sso("old", -1000);
    AUTO_BUF text = {0};
    struct stat st;

    world_until(w->loop, w->told);
    assert_int_equal(w->number, 1);
    const char *path = world_path(&w->folder, sso_file);
    assert_int_equal(file_read(path, 10000, &text, NULL), OK);
    assert_true(str_contains(buf_view(&text), STR("\"fresh\"")));
    assert_true(str_contains(buf_view(&text), STR("\"r2\"")));
    assert_true(str_contains(buf_view(&text), STR("https://x")));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    expect_keys(w, "SSOfresh");
}

static void test_sso_needs_a_login(void **state)
{
    (void)state;
    expect_failure(world_with_sso(NULL, 0), "nobody has logged in: run `aws sso login --profile default`");
    expect_failure(world_with_sso("bad", 3600000), "not accepted: run `aws sso login");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_container_token_file_beats_the_text),
        cmocka_unit_test(test_container_says_why_not),
        cmocka_unit_test(test_keys_are_asked_over_http_only_at_home),
        cmocka_unit_test(test_addresses_that_are_trusted),
        cmocka_unit_test(test_container_is_asked_three_times),
        cmocka_unit_test(test_a_200_with_garbage),
        cmocka_unit_test(test_imds_gives_region_and_keys),
        cmocka_unit_test(test_imds_token_that_is_refused_is_replaced),
        cmocka_unit_test(test_imds_version_1),
        cmocka_unit_test(test_imds_without_a_role),
        cmocka_unit_test(test_region_of_the_task),
        cmocka_unit_test(test_web_identity),
        cmocka_unit_test(test_web_identity_fails),
        cmocka_unit_test(test_roles_on_roles),
        cmocka_unit_test(test_a_role_that_may_not_be_assumed),
        cmocka_unit_test(test_fips_does_not_move_a_named_endpoint),
        cmocka_unit_test(test_process),
        cmocka_unit_test(test_process_that_fails),
        cmocka_unit_test(test_words_of_a_process),
        cmocka_unit_test(test_sso),
        cmocka_unit_test(test_sso_token_is_renewed_and_kept),
        cmocka_unit_test(test_sso_needs_a_login),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

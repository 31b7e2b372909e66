/* Sessions: keys found, shared, renewed before they end, kept while they are good. */
#include "unit.h"
#include "world.h"

#include "aws_world.h"

static void on_nothing(struct aws_world *w, struct http_call *call, const struct fake_request *r)
{
    (void)w;
    (void)r;
    fake_answer(call, 404, "not here");
}

static struct aws_world *world_with_keys(void)
{
    struct aws_world *w = aws_world_new();

    aws_world_set(w, "AWS_REGION", "eu-west-1");
    aws_world_set(w, "AWS_ACCESS_KEY_ID", "AKIDENV");
    aws_world_set(w, "AWS_SECRET_ACCESS_KEY", "secret");
    w->handle = on_nothing;
    return w;
}

/* Container credentials with this life, numbered by the request. */
static int64_t life_ms;
static bool broken;

static void on_container(struct aws_world *w, struct http_call *call, const struct fake_request *r)
{
    char id[32];

    (void)r;
    snprintf(id, sizeof(id), "KEY%d", ++w->number);
    if (broken)
        fake_answer(call, 403, "{\"code\":\"AccessDenied\",\"message\":\"not today\"}");
    else
        fake_keys(call, id, life_ms);
}

static struct aws_world *world_with_container(int64_t keys_live_ms)
{
    struct aws_world *w = aws_world_new();

    life_ms = keys_live_ms;
    broken = false;
    aws_world_set(w, "AWS_REGION", "eu-west-1");
    aws_world_set(w, "AWS_CONTAINER_CREDENTIALS_FULL_URI", "%s/keys", w->url);
    w->handle = on_container;
    return w;
}

static void test_keys_of_the_environment(void **state)
{
    (void)state;
    struct aws_world *w = world_with_keys();
    const struct aws_step *steps = NULL;

    aws_world_start(w, NULL);
    assert_null(aws_session_current(w->session));
    assert_int_equal(aws_session_steps(w->session, &steps), 0);
    world_until(w->loop, w->told);
    assert_str_c(w->told->access_key, "AKIDENV");
    assert_str_c(w->told->source, "environment");
    assert_true(w->told->expires_ms == INT64_MAX);
    assert_str_c(aws_session_region(w->session), "eu-west-1");
    assert_str_c(aws_session_region_source(w->session), "AWS_REGION");
    assert_ptr_equal(aws_session_current(w->session), w->told);
    assert_int_equal(aws_session_steps(w->session, &steps), 6);
    assert_int_equal(steps[1].verdict, AWS_STEP_USED);
    aws_world_free(w);
}

static void test_equal_configurations_share_a_session(void **state)
{
    (void)state;
    struct aws_world *w = world_with_keys();
    struct aws_session *same = NULL, *other = NULL;
    char region[] = "us-east-1";
    struct aws_config config = {.region = str_c(region), .service = STR("aps")};

    aws_world_start(w, &config);
    memset(region, 'x', 3); /* the session has its own copy */
    assert_int_equal(
        aws_session_get(w->aws, &(struct aws_config){.region = STR("us-east-1"), .service = STR("x")}, &same, NULL),
        OK);
    assert_ptr_equal(same, w->session);
    assert_int_equal(aws_session_get(w->aws, &(struct aws_config){.region = STR("us-east-2")}, &other, NULL), OK);
    assert_ptr_not_equal(other, w->session);
    world_until(w->loop, w->told);
    assert_str_c(aws_session_region(w->session), "us-east-1");
    aws_session_release(same);
    aws_session_release(other);
    aws_world_free(w);
}

static void test_half_a_pair_of_keys_is_refused(void **state)
{
    (void)state;
    struct aws_world *w = world_with_keys();
    struct diag d = {0};

    assert_int_equal(aws_session_get(w->aws, &(struct aws_config){.access_key = STR("A")}, &w->session, &d),
                     ERR_SYNTAX);
    assert_string_equal(d.text, "access_key without secret_key");
    aws_world_free(w);
}

/* A listener that comes late is told too, and later than its own call. */
static void test_late_listener(void **state)
{
    (void)state;
    struct aws_world *w = world_with_keys();

    aws_world_start(w, NULL);
    world_until(w->loop, w->told);
    aws_session_unlisten(w->session, &w->listener);
    int before = w->n_told;
    aws_session_listen(w->session, &w->listener);
    assert_int_equal(w->n_told, before);
    world_until(w->loop, w->n_told > before);
    aws_world_free(w);
}

/* Keys that live two seconds, for five: whoever signs always has keys that are good. */
static void test_short_lives_leave_no_gap(void **state)
{
    (void)state;
    struct aws_world *w = world_with_container(2000);

    aws_world_start(w, NULL);
    world_until(w->loop, w->told);
    for (uint64_t end = clock_mono_ms() + 5000; clock_mono_ms() < end;) {
        world_turn(w->loop, 20);
        assert_true(w->told->expires_ms > clock_wall_ms());
    }
    assert_false(w->gap);
    assert_in_range(w->number, 3, 7);
    assert_true(counters_sum(w->counters, "leadline_aws_credentials_expiry_timestamp_seconds", NULL, 0) * 1000 >
                (double)clock_wall_ms());
    assert_true(counters_sum(w->counters, "leadline_aws_credential_refreshes_total", NULL, 0) >= 3);
    aws_world_free(w);
}

/* While the source fails, the old keys stay; when they have ended, there are none, with the reason; then new ones. */
static void test_old_keys_are_kept_while_they_are_good(void **state)
{
    (void)state;
    struct aws_world *w = world_with_container(3000);
    struct counter_label failure = {STR("result"), STR("failure")};

    aws_world_start(w, NULL);
    world_until(w->loop, w->told);
    int64_t ends = w->told->expires_ms;
    broken = true;
    world_until(w->loop, counters_sum(w->counters, "leadline_aws_credential_refreshes_total", &failure, 1) > 0);
    assert_non_null(w->told);
    world_until(w->loop, !w->told);
    assert_true(clock_wall_ms() >= ends);
    assert_string_equal(w->why.text, "container endpoint: status 403: AccessDenied: not today");
    assert_null(aws_session_current(w->session));
    broken = false;
    life_ms = 3600000;
    world_until(w->loop, w->told);
    aws_world_free(w);
}

static void test_refused_keys_are_replaced_at_once_but_not_in_a_row(void **state)
{
    (void)state;
    struct aws_world *w = world_with_container(3600000);

    aws_world_start(w, NULL);
    world_until(w->loop, w->told);
    aws_session_refused(w->session);
    aws_session_refused(w->session);
    world_until(w->loop, w->n_told == 2);
    assert_str_c(w->told->access_key, "KEY2");
    aws_session_refused(w->session);
    world_for(w->loop, 100);
    assert_int_equal(w->n_told, 2);
    /* keys that are refused whatever they are: less and less often */
    struct aws_session_full *s = CONTAINER_OF(w->session, struct aws_session_full, base);
    uint64_t waits[8];
    for (int i = 0; i < 8; i++) {
        waits[i] = s->refused_wait_ms;
        s->refused_ms -= s->refused_wait_ms;
        aws_session_refused(w->session);
        world_until(w->loop, w->n_told == 3 + i);
    }
    assert_int_equal(waits[0], 5000);
    assert_int_equal(waits[1], 10000);
    assert_int_equal(waits[7], 300000);
    aws_world_free(w);
}

/* The clock may be wrong: AWS decides. */
static void test_keys_that_look_expired_are_used(void **state)
{
    (void)state;
    struct aws_world *w = world_with_container(-60000);

    aws_world_start(w, NULL);
    world_until(w->loop, w->told);
    assert_str_c(w->told->access_key, "KEY1");
    world_for(w->loop, 200);
    assert_int_equal(w->number, 1);
    aws_world_free(w);
}

static void test_nothing_to_be_found(void **state)
{
    (void)state;
    struct aws_world *w = aws_world_new();

    aws_world_set(w, "AWS_REGION", "eu-west-1");
    aws_world_start(w, NULL);
    world_until(w->loop, w->n_nothing > 1); /* tried again */
    assert_non_null(strstr(w->why.text, "no AWS credentials"));
    aws_world_free(w);
}

static void test_no_region(void **state)
{
    (void)state;
    struct aws_world *w = aws_world_new();

    aws_world_set(w, "AWS_ACCESS_KEY_ID", "A");
    aws_world_set(w, "AWS_SECRET_ACCESS_KEY", "s");
    aws_world_start(w, NULL);
    world_until(w->loop, w->n_nothing);
    assert_non_null(strstr(w->why.text, "no AWS region"));
    aws_world_free(w);
}

/* Profile files are read anew: a key that somebody has replaced there is taken when the old one is refused. */
static void test_profile_files_are_read_again(void **state)
{
    (void)state;
    struct aws_world *w = aws_world_new();

    world_write(&w->folder, ".aws/config", "[default]\nregion = eu-north-1\n");
    world_write(&w->folder, ".aws/credentials", "[default]\naws_access_key_id=OLD\naws_secret_access_key=s\n");
    aws_world_start(w, NULL);
    world_until(w->loop, w->told);
    assert_str_c(w->told->access_key, "OLD");
    assert_str_c(w->told->source, "profile \"default\"");
    assert_str_c(aws_session_region(w->session), "eu-north-1");
    world_write(&w->folder, ".aws/credentials", "[default]\naws_access_key_id=NEW\naws_secret_access_key=s\n");
    aws_session_refused(w->session);
    world_until(w->loop, w->n_told == 2);
    assert_str_c(w->told->access_key, "NEW");
    aws_world_free(w);
}

static void test_files_named_by_the_environment(void **state)
{
    (void)state;
    struct aws_world *w = aws_world_new();

    world_write(&w->folder, "c", "[profile x]\nregion = eu-north-1\n");
    world_write(&w->folder, "k", "[x]\naws_access_key_id=X\naws_secret_access_key=s\n");
    aws_world_set(w, "AWS_CONFIG_FILE", "%s", world_path(&w->folder, "c"));
    aws_world_set(w, "AWS_SHARED_CREDENTIALS_FILE", "~/k");
    aws_world_set(w, "AWS_PROFILE", "x");
    aws_world_start(w, NULL);
    world_until(w->loop, w->told);
    assert_str_c(w->told->access_key, "X");
    aws_world_free(w);
}

/* ---- calls ---- */

struct one_call {
    struct aws_call call;
    bool done;
    enum err err;
    struct diag diag;
};

static void on_done(struct aws_call *call, const struct aws_answer *a)
{
    struct one_call *c = CONTAINER_OF(call, struct one_call, call);
    c->done = true;
    c->err = a->err;
    c->diag = a->diag;
}

static void on_sts(struct aws_world *w, struct http_call *call, const struct fake_request *r)
{
    (void)w;
    assert_non_null(strstr(r->authorization, "Credential=AKIDENV/"));
    fake_answer(call, 200, "<x/>");
}

/* Started before the profile files have been read, and before there are keys. */
static void test_a_call_may_be_started_at_once(void **state)
{
    (void)state;
    struct aws_world *w = world_with_keys();
    struct one_call c = {.call = {.service = &aws_sts, .operation = "GetCallerIdentity", .done = on_done}};
    struct one_call never = c;

    w->handle = on_sts;
    aws_world_set(w, "AWS_ENDPOINT_URL_STS", "%s", w->url);
    aws_world_start(w, NULL);
    aws_call_start(w->session, &never.call);
    aws_call_start(w->session, &c.call);
    aws_call_cancel(w->session, &never.call);
    assert_false(c.done);
    world_until(w->loop, c.done);
    assert_int_equal(c.err, OK);
    assert_false(never.done);
    assert_int_equal(w->requests, 1);
    aws_world_free(w);
}

static void test_a_call_without_credentials_says_why(void **state)
{
    (void)state;
    struct aws_world *w = aws_world_new();
    struct one_call c = {.call = {.service = &aws_sts, .operation = "GetCallerIdentity", .done = on_done}};

    aws_world_set(w, "AWS_REGION", "eu-west-1");
    aws_world_start(w, NULL);
    aws_call_start(w->session, &c.call);
    world_until(w->loop, c.done);
    assert_int_not_equal(c.err, OK);
    assert_non_null(strstr(c.diag.text, "no AWS credentials"));
    aws_world_free(w);
}

/* ---- times ---- */

static void test_when_to_renew(void **state)
{
    (void)state;
    for (uint64_t r = 0; r < 100; r++) {
        assert_in_range(session_renew_after(3600000, r), 3300000, 3360000);
        assert_in_range(session_renew_after(60000, r), 30000, 36000);
        assert_int_equal(session_renew_after(10, r), 1000);
        assert_in_range(session_retry_after(1, r), 750, 1000);
        assert_in_range(session_retry_after(3, r), 3000, 4000);
        assert_in_range(session_retry_after(1000000, r), 45000, 60000);
    }
    assert_true(session_renew_after(3600000, 0) != session_renew_after(3600000, 20));
}

/* A reload lets go of a session and takes it again: nothing is asked anew. */
static void test_taken_again_soon(void **state)
{
    (void)state;
    struct aws_world *w = world_with_container(60000);

    aws_world_start(w, NULL);
    world_until(w->loop, w->told);
    aws_session_unlisten(w->session, &w->listener);
    aws_session_release(w->session);
    aws_world_start(w, NULL);
    world_until(w->loop, w->n_told == 2);
    assert_str_c(w->told->access_key, "KEY1");
    assert_int_equal(w->number, 1);
    aws_world_free(w);
}

/* The session goes while its files are being read, or while its source is being asked. */
static void test_freed_in_the_middle(void **state)
{
    (void)state;
    for (int turns = 0; turns < 8; turns++) {
        struct aws_world *w = world_with_container(60000);
        aws_world_start(w, NULL);
        for (int i = 0; i < turns; i++)
            world_turn(w->loop, 10);
        aws_world_free(w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys_of_the_environment),
        cmocka_unit_test(test_equal_configurations_share_a_session),
        cmocka_unit_test(test_half_a_pair_of_keys_is_refused),
        cmocka_unit_test(test_late_listener),
        cmocka_unit_test(test_short_lives_leave_no_gap),
        cmocka_unit_test(test_old_keys_are_kept_while_they_are_good),
        cmocka_unit_test(test_refused_keys_are_replaced_at_once_but_not_in_a_row),
        cmocka_unit_test(test_keys_that_look_expired_are_used),
        cmocka_unit_test(test_nothing_to_be_found),
        cmocka_unit_test(test_no_region),
        cmocka_unit_test(test_profile_files_are_read_again),
        cmocka_unit_test(test_files_named_by_the_environment),
        cmocka_unit_test(test_a_call_may_be_started_at_once),
        cmocka_unit_test(test_a_call_without_credentials_says_why),
        cmocka_unit_test(test_when_to_renew),
        cmocka_unit_test(test_taken_again_soon),
        cmocka_unit_test(test_freed_in_the_middle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* remote_write: defaults, queues, identity, and what is refused. */
#include "unit/config/read.h"

#define WRITE(keys) "remote_write:\n- url: http://h/w\n  " keys "\n"

static void a_destination_starts_from_the_defaults(void **state)
{
    (void)state;
    struct plan *p = read_good("remote_write: [{url: 'http://h/w'}]");
    const struct plan_remote_write *w = &p->remote_writes[0];
    assert_str_c(w->url, "http://h/w");
    assert_false(w->named);
    assert_int_equal(w->name.n, 6);
    assert_int_equal(w->remote_timeout_ms, 30000);
    assert_true(w->http.follow_redirects);
    assert_false(w->http.enable_http2);
    assert_int_equal(w->queue.capacity, 10000);
    assert_int_equal(w->queue.max_shards, 50);
    assert_int_equal(w->queue.min_shards, 1);
    assert_int_equal(w->queue.max_samples_per_send, 2000);
    assert_int_equal(w->queue.batch_send_deadline_ms, 5000);
    assert_int_equal(w->queue.min_backoff_ms, 30);
    assert_int_equal(w->queue.max_backoff_ms, 5000);
    assert_int_equal(w->queue.sample_age_limit_ms, 0);
    assert_true(w->queue.retry_on_http_429);
    assert_false(w->queue.retry_on_http_429_set);
    assert_true(w->metadata_send);
    assert_int_equal(w->metadata_interval_ms, 60000);
    assert_int_equal(w->metadata_max_samples_per_send, 2000);
    assert_int_equal(p->n_warnings, 0);
    plan_unref(p);
}

static void every_key_is_kept(void **state)
{
    (void)state;
    struct plan *p =
        read_good(WRITE("name: n\n  remote_timeout: 5s\n  headers: {X-A: 1}\n"
                        "  http_headers: {X-B: {values: [2]}}\n"
                        "  queue_config: {capacity: 1, max_shards: 3, min_shards: 2, "
                        "max_samples_per_send: 4, batch_send_deadline: 1s, min_backoff: 1s, max_backoff: 2s, "
                        "retry_on_http_429: false, sample_age_limit: 1h}\n"
                        "  metadata_config: {send: false, send_interval: 2m, max_samples_per_send: 6}\n"
                        "  protobuf_message: prometheus.WriteRequest\n  send_exemplars: false\n"
                        "  write_relabel_configs: [{action: drop}]"));
    const struct plan_remote_write *w = &p->remote_writes[0];
    assert_true(w->named);
    assert_str_c(w->name, "n");
    assert_int_equal(w->remote_timeout_ms, 5000);
    assert_int_equal(w->http.n_headers, 2);
    assert_str_c(w->http.headers[0].name, "X-B");
    assert_str_c(w->http.headers[1].name, "X-A");
    assert_str_c(w->http.headers[1].value, "1");
    assert_int_equal(w->queue.max_shards, 3);
    assert_int_equal(w->queue.sample_age_limit_ms, 3600000);
    assert_false(w->queue.retry_on_http_429);
    assert_true(w->queue.retry_on_http_429_set);
    assert_false(w->metadata_send);
    assert_int_equal(w->metadata_interval_ms, 120000);
    assert_int_equal(w->write_relabel->n, 1);
    plan_unref(p);
}

static void bad_destinations_are_refused_in_the_original_words(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"remote_write: [{}]", "1:16: url for remote_write is empty"},
        {"remote_write: [null]", "1:16: empty or null remote write config section"},
        {"remote_write: [{url: ':'}]", "1:22: url: missing protocol scheme"},
        {"remote_write: [{url: 'http://a', name: x}, {url: 'http://b', name: x}]",
         "1:62: found multiple remote write configs with job name \"x\""},
        {"remote_write: [{url: 'http://a'}, {url: 'http://a'}]",
         "1:35: duplicate remote write configs are not allowed, found duplicate for URL: http://a"},
        {WRITE("headers: {Authorization: x}"),
         "authorization header must be changed via the basic_auth, authorization"},
        {WRITE("headers: {Content-type: x}"), "3:13: Content-type is a reserved header. It must not be changed"},
        {WRITE("headers: {X-Amz-Date: x}"), "X-Amz-Date is a reserved header"},
        {WRITE("protobuf_message: x"),
         "invalid protobuf_message value: unknown type for remote write protobuf message"},
        {WRITE("queue_config:"), "remote write queue max_shards must be positive"},
        {WRITE("queue_config: {capacity: 0}"), "3:18: remote write queue capacity must be positive"},
        {WRITE("queue_config: {max_shards: 1, min_shards: 2}"), "min_shards must not be greater than max_shards"},
        {WRITE("queue_config: {min_backoff: 6s}"), "max_backoff must not be less than min_backoff"},
        {WRITE("queue_config: {shards: 6}"), "field shards not found in type config.QueueConfig"},
        {WRITE("metadata_config: {interval: 6}"), "field interval not found in type config.MetadataConfig"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_error(cases[i][0], ERR_SYNTAX, cases[i][1]);
}

static void messages_and_signatures_are_kept(void **state)
{
    (void)state;
    struct plan *p = read_good(WRITE("protobuf_message: io.prometheus.write.v2.Request\n  send_exemplars: true\n"
                                     "  send_native_histograms: true\n  round_robin_dns: true\n"
                                     "  sigv4: {region: r, access_key: a, secret_key: s, profile: p, role_arn: x, "
                                     "external_id: e, session_name: some, tags: {k: v}, use_fips_sts_endpoint: true, "
                                     "service_name: aps}"));
    const struct plan_remote_write *w = &p->remote_writes[0];
    assert_int_equal(w->message, REMOTE_WRITE_2);
    assert_true(w->send_exemplars && w->send_native_histograms && w->round_robin_dns && w->http.round_robin_dns);
    assert_str_c(w->sigv4->region, "r");
    assert_str_c(w->sigv4->secret_key, "s");
    assert_str_c(w->sigv4->role_session_name, "some");
    assert_str_c(w->sigv4->tags[0].value, "v");
    assert_str_c(w->sigv4->service, "aps");
    assert_true(w->sigv4->use_fips_sts_endpoint);
    assert_false(str_contains(p->config_yaml, STR("secret_key: s\n")));
    plan_unref(p);
    p = read_good(WRITE("sigv4: {}"));
    assert_non_null(p->remote_writes[0].sigv4);
    plan_unref(p);
}

static void signatures_are_checked_in_the_original_words(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {WRITE("sigv4: {access_key: a}"), "3:11: must provide a AWS SigV4 Access key and Secret Key"},
        {WRITE("sigv4: {external_id: a}"), "external_id can only be used with role_arn"},
        {WRITE("sigv4: {session_name: abc}"), "session_name can only be used with role_arn"},
        {WRITE("sigv4: {role_arn: x, session_name: a}"), "session_name must match ^[\\w+=,.@-]{2,64}$"},
        {WRITE("sigv4: {tags: {a: b}}"), "tags can only be used with role_arn"},
        {WRITE("sigv4: {role_arn: x, tags: {'': b}}"), "tag key must not be empty"},
        {WRITE("sigv4: {secret: x}"), "field secret not found in type sigv4.plain"},
        {WRITE("sigv4: {}\n  basic_auth: {}"),
         "3:3: at most one of basic_auth, authorization, oauth2, sigv4, azuread or google_iam must be configured. "
         "Currently configured: [basic_auth sigv4]"},
        {WRITE("sigv4: {}\n  bearer_token: x"), "Currently configured: [authorization sigv4]"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_error(cases[i][0], ERR_SYNTAX, cases[i][1]);
}

static void other_clouds_are_refused_by_name(void **state)
{
    (void)state;
    assert_error(WRITE("azuread: {cloud: x}"), ERR_UNSUPPORTED, "3:3: azuread: not supported by leadline");
    assert_error(WRITE("google_iam: {}"), ERR_UNSUPPORTED, "google_iam: not supported");
    AUTO_BUF many = {0};
    buf_c(&many, "remote_write:\n");
    for (int i = 0; i < 33; i++)
        buf_printf(&many, "- url: http://h/%d\n", i);
    assert_error(many.p, ERR_UNSUPPORTED, "remote_write: not supported by leadline: more than 32 destinations");
}

static void names_tell_destinations_apart(void **state)
{
    (void)state;
    struct plan *p = read_good("remote_write:\n- url: http://a\n- url: http://b\n"
                               "- {url: http://a, headers: {X-Scope-OrgID: t}}\n"
                               "- {url: http://a, write_relabel_configs: [{action: keep}]}\n"
                               "- {url: http://a, write_relabel_configs: [{action: drop}]}\n");
    for (uint32_t i = 0; i < p->n_remote_writes; i++) {
        for (uint32_t k = 0; k < i; k++) {
            assert_true(p->remote_writes[i].hash != p->remote_writes[k].hash);
            assert_false(str_eq(p->remote_writes[i].name, p->remote_writes[k].name));
        }
    }
    assert_true(p->remote_writes[0].shape_hash == p->remote_writes[1].shape_hash);
    assert_true(p->remote_writes[3].shape_hash != p->remote_writes[4].shape_hash);
    plan_unref(p);
}

/* What waits on disk is found by the name: a new password or queue must not change it. */
static void the_name_survives_what_does_not_move_the_destination(void **state)
{
    (void)state;
    struct plan *a = read_good(WRITE("basic_auth: {username: u, password: p}"));
    struct plan *b = read_good(WRITE("basic_auth: {username: u, password: q}\n  queue_config: {max_shards: 4}\n"
                                     "  write_relabel_configs: [{action: drop}]"));
    struct plan *c = read_good(WRITE("basic_auth: {username: other, password: p}"));
    assert_str(a->remote_writes[0].name, b->remote_writes[0].name);
    assert_false(str_eq(a->remote_writes[0].name, c->remote_writes[0].name));
    plan_unref(a);
    plan_unref(b);
    plan_unref(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_destination_starts_from_the_defaults),
        cmocka_unit_test(every_key_is_kept),
        cmocka_unit_test(bad_destinations_are_refused_in_the_original_words),
        cmocka_unit_test(messages_and_signatures_are_kept),
        cmocka_unit_test(signatures_are_checked_in_the_original_words),
        cmocka_unit_test(other_clouds_are_refused_by_name),
        cmocka_unit_test(names_tell_destinations_apart),
        cmocka_unit_test(the_name_survives_what_does_not_move_the_destination),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The sender of remote write 2.0, against a receiver over HTTP: Written fields, falling back to 1.0 and to snappy,
 * parts, what waits from before, signatures. The ledger balances at every step. */
#include "unit.h"

#include "unit/sink/remote_write/send_world.h"

static int64_t now_ms(void)
{
    return clock_wall_ms();
}

static struct world *world2(void)
{
    struct world *w = world_new();
    w->config->message = REMOTE_WRITE_2;
    return w;
}

/* A lane's scrapes, sealed into one request. */
static void scrapes(struct world *w, int from, int n, int64_t ts_ms)
{
    for (int i = 0; i < n; i++)
        world_scrape(w, 0, from + i, ts_ms, 10);
    spool_lane_seal(&w->spool->lanes[0]);
}

static void delivers(void **state)
{
    (void)state;
    struct world *w = world2();
    world_start(w);
    scrapes(w, 1, 2, now_ms());
    world_drain(w);
    assert_int_equal(w->n_seen, 1);
    assert_int_equal(w->seen[0].protocol, 2);
    assert_string_equal(w->seen[0].instance, "t1");
    assert_int_equal(fake_ledger(w->spool).delivered, 20);
    world_free(w);
}

static int only_1(struct world *w, const struct received *m)
{
    (void)w;
    return m->protocol == 1 ? 204 : 415;
}

static int takes_anything(struct world *w, const struct received *m)
{
    (void)w;
    (void)m;
    return 204;
}

static void falls_back_to_1(decide_fn *decide, int written)
{
    struct world *w = world2();
    w->decide = decide;
    w->written = written;
    world_start(w);
    scrapes(w, 1, 3, now_ms());
    scrapes(w, 4, 3, now_ms());          /* sealed as 2.0 too */
    world_scrape(w, 0, 7, now_ms(), 10); /* and begun */
    world_until_seen(w, 2);
    scrapes(w, 8, 1, now_ms());
    world_drain(w);
    struct sink_status status;
    remote_write_status(w->rw, &w->arena, &status);
    assert_true(status.fell_to_1);
    assert_int_equal(w->seen[0].protocol, 2);
    for (uint32_t i = 1; i < w->n_seen; i++) {
        assert_int_equal(w->seen[i].protocol, 1);
        assert_int_equal(w->seen[i].status, 204);
    }
    assert_int_equal(w->seen[1].samples, 30); /* the same ones, in 1.0 */
    assert_string_equal(w->seen[1].instance, "t1");
    assert_string_equal(w->seen[1].attempt, "");
    assert_int_equal(fake_ledger(w->spool).delivered, 80);
    assert_int_equal(counter_get(w->rw->count.fallbacks), 1);

    /* a reload tries again */
    struct plan_remote_write *config;
    struct plan *next = world_plan(w, &config);
    config->message = REMOTE_WRITE_2;
    remote_write_update(w->rw, next, config, NULL);
    plan_unref(w->plan);
    w->plan = next;
    w->config = config;
    uint32_t before = w->n_seen;
    w->decide = decide_script;
    w->written = -1;
    scrapes(w, 1, 1, now_ms());
    world_drain(w);
    assert_int_equal(w->seen[before].protocol, 2);
    assert_int_equal(fake_ledger(w->spool).delivered, 90);
    world_free(w);
}

static void falls_back_on_415(void **state)
{
    (void)state;
    falls_back_to_1(only_1, -1);
}

static void falls_back_when_nothing_is_said_of_writing(void **state)
{
    (void)state;
    falls_back_to_1(takes_anything, -2);
}

static void a_415_to_both_is_a_refusal(void **state)
{
    (void)state;
    struct world *w = world2();
    for (int i = 0; i < 4; i++)
        w->statuses[i] = 415;
    w->n_statuses = 4;
    world_start(w);
    scrapes(w, 1, 1, now_ms());
    world_drain(w);
    assert_int_equal(w->n_seen, 2);
    assert_int_equal(fake_ledger(w->spool).dropped[DROP_REFUSED], 10);
    world_free(w);
}

/* ---- parts ------------------------------------------------------------------------------------------------------- */

static int refuses_t2(struct world *w, const struct received *m)
{
    w->written = 0;
    for (uint32_t i = 0; i < m->n; i++) {
        if (str_eq_c(label_of(&m->v[i], "instance"), "t2"))
            return 400;
    }
    w->written = -1;
    return 204;
}

static void a_bad_target_is_refused_alone(void **state)
{
    (void)state;
    struct world *w = world2();
    w->decide = refuses_t2;
    world_start(w);
    scrapes(w, 1, 3, now_ms());
    world_drain(w);
    assert_int_equal(w->n_seen, 4);
    for (int i = 1; i < 4; i++) {
        assert_int_equal(w->seen[i].samples, 10);
        assert_int_equal(w->seen[i].protocol, 2);
    }
    assert_string_equal(w->seen[3].instance, "t3");
    assert_int_equal(fake_ledger(w->spool).delivered, 20);
    assert_int_equal(fake_ledger(w->spool).dropped[DROP_REFUSED], 10);
    world_free(w);
}

static void old_samples_are_cut_out(void **state)
{
    (void)state;
    struct world *w = world2();
    w->config->queue.sample_age_limit_ms = 60000;
    world_start(w);
    world_scrape(w, 0, 1, now_ms() - 120000, 10);
    world_scrape(w, 0, 2, now_ms(), 10);
    spool_lane_seal(&w->spool->lanes[0]);
    world_drain(w);
    assert_int_equal(w->n_seen, 1);
    assert_int_equal(w->seen[0].samples, 10);
    assert_string_equal(w->seen[0].instance, "t2");
    assert_int_equal(fake_ledger(w->spool).dropped[DROP_TOO_OLD], 10);
    world_free(w);
}

static void partial(int status)
{
    struct world *w = world2();
    w->statuses[0] = status;
    w->n_statuses = 1;
    w->written = 17;
    world_start(w);
    scrapes(w, 1, 2, now_ms());
    world_drain(w);
    assert_int_equal(w->n_seen, 1); /* neither again nor in parts */
    assert_int_equal(fake_ledger(w->spool).delivered, 17);
    assert_int_equal(fake_ledger(w->spool).dropped[DROP_REFUSED], 3);
    world_free(w);
}

static void what_was_written_counts(void **state)
{
    (void)state;
    partial(400);
    partial(200);
}

static void a_500_that_wrote_some_is_sent_again_whole(void **state)
{
    (void)state;
    struct world *w = world2();
    w->statuses[0] = 500;
    w->n_statuses = 1;
    world_start(w);
    scrapes(w, 1, 2, now_ms());
    world_drain(w);
    assert_int_equal(w->n_seen, 2);
    assert_int_equal(w->seen[1].protocol, 2);
    assert_int_equal(fake_ledger(w->spool).delivered, 20);
    world_free(w);
}

/* ---- zstd -------------------------------------------------------------------------------------------------------- */

static int no_zstd(struct world *w, const struct received *m)
{
    (void)w;
    return m->zstd ? 400 : 204;
}

static void zstd(uint32_t protocol, bool taken)
{
    struct world *w = protocol == 2 ? world2() : world_new();
    w->compression = COMPRESS_ZSTD;
    w->decide = taken ? decide_script : no_zstd;
    world_start(w);
    scrapes(w, 1, 1, now_ms());
    scrapes(w, 2, 1, now_ms());
    world_until_seen(w, 2);
    scrapes(w, 3, 1, now_ms());
    world_drain(w);
    assert_true(w->seen[0].zstd);
    for (uint32_t i = 1; i < w->n_seen; i++) {
        assert_int_equal(w->seen[i].zstd, taken);
        assert_int_equal(w->seen[i].protocol, protocol);
    }
    assert_int_equal(w->n_seen, taken ? 3 : 4);
    assert_int_equal(fake_ledger(w->spool).delivered, 30);
    world_free(w);
}

static void zstd_where_it_is_taken(void **state)
{
    (void)state;
    zstd(1, true);
    zstd(2, true);
    zstd(1, false);
    zstd(2, false);
}

static void a_400_to_zstd_that_was_taken_before_is_about_samples(void **state)
{
    (void)state;
    struct world *w = world2();
    w->compression = COMPRESS_ZSTD;
    w->statuses[0] = 204;
    w->statuses[1] = 400;
    w->n_statuses = 2;
    world_start(w);
    scrapes(w, 1, 1, now_ms());
    world_until_seen(w, 1);
    w->written = 0;
    scrapes(w, 2, 1, now_ms());
    world_drain(w);
    assert_int_equal(w->n_seen, 2);
    assert_int_equal(fake_ledger(w->spool).dropped[DROP_REFUSED], 10);
    world_free(w);
}

static int only_1_snappy(struct world *w, const struct received *m)
{
    (void)w;
    return m->zstd || m->protocol == 2 ? 415 : 204;
}

static void both_fall_back(void **state)
{
    (void)state;
    struct world *w = world2();
    w->compression = COMPRESS_ZSTD;
    w->decide = only_1_snappy;
    world_start(w);
    scrapes(w, 1, 2, now_ms());
    world_drain(w);
    assert_int_equal(w->n_seen, 3);
    assert_int_equal(w->seen[1].protocol, 2);
    assert_false(w->seen[1].zstd);
    assert_int_equal(w->seen[2].protocol, 1);
    assert_int_equal(fake_ledger(w->spool).delivered, 20);
    world_free(w);
}

/* ---- what waits from before -------------------------------------------------------------------------------------- */

static void what_was_sealed_as_2_goes_to_a_destination_of_1(void **state)
{
    (void)state;
    struct world *w = world2();
    w->compression = COMPRESS_ZSTD;
    w->statuses[0] = HOLD;
    w->n_statuses = 1;
    world_start(w);
    scrapes(w, 1, 2, now_ms());
    world_until_seen(w, 1);
    world_close(w);
    w->config->message = REMOTE_WRITE_1;
    w->compression = COMPRESS_SNAPPY;
    world_start(w);
    world_until_seen(w, 2);
    world_drain(w);
    assert_int_equal(w->seen[1].protocol, 1);
    assert_false(w->seen[1].zstd);
    assert_int_equal(w->seen[1].samples, 20);
    assert_int_equal(fake_ledger(w->spool).delivered, 20);
    world_free(w);
}

static void what_was_sealed_as_1_stays_so(void **state)
{
    (void)state;
    struct world *w = world_new();
    w->statuses[0] = HOLD;
    w->n_statuses = 1;
    world_start(w);
    scrapes(w, 1, 2, now_ms());
    world_until_seen(w, 1);
    world_close(w);
    w->config->message = REMOTE_WRITE_2;
    w->written = -2; /* nothing is expected of an answer to 1.0 */
    world_start(w);
    world_until_seen(w, 2);
    world_drain(w);
    assert_int_equal(w->seen[1].protocol, 1);
    assert_int_equal(fake_ledger(w->spool).delivered, 20);
    world_free(w);
}

/* ---- signatures -------------------------------------------------------------------------------------------------- */

struct test_signer {
    struct http_signer signer;
    int signed_n, refused_n, not_yet;
    char words[64];
};

static enum err test_sign(struct http_signer *self, const char *method, const struct http_url *url,
                          const struct http_header *headers, int n_headers, struct str body, struct http_signature *out,
                          struct diag *d)
{
    struct test_signer *t = CONTAINER_OF(self, struct test_signer, signer);
    (void)url;
    (void)headers;
    (void)n_headers;
    (void)out;
    assert_string_equal(method, "POST");
    assert_true(body.n > 0);
    if (t->not_yet-- > 0)
        return diag_set(d, ERR_AGAIN, "no credentials yet");
    t->signed_n++;
    return OK;
}

static void test_refused(struct http_signer *self, struct str date, struct str words)
{
    struct test_signer *t = CONTAINER_OF(self, struct test_signer, signer);
    (void)date;
    t->refused_n++;
    snprintf(t->words, sizeof(t->words), "%.*s", STR_ARGS(words));
}

static void refused_signatures_lose_nothing(void **state)
{
    (void)state;
    static const int statuses[] = {403, 401, 400};
    struct test_signer t = {.signer = {test_sign}, .not_yet = 2};
    struct world *w = world2();
    memcpy(w->statuses, statuses, sizeof(statuses));
    w->n_statuses = 3;
    w->words = "ExpiredTokenException: renew";
    w->signing = (struct remote_write_signing){&t.signer, test_refused};
    world_start(w);
    scrapes(w, 1, 1, now_ms());
    world_drain(w);
    assert_int_equal(w->n_seen, 4);
    assert_int_equal(t.signed_n, 4);
    assert_int_equal(t.refused_n, 3);
    assert_string_equal(t.words, "ExpiredTokenException: renew");
    assert_int_equal(fake_ledger(w->spool).delivered, 10);
    assert_int_equal(counter_get(w->rw->count.retries_signature), 3);
    world_free(w);
}

static void a_403_without_signature_is_a_refusal(void **state)
{
    (void)state;
    struct world *w = world2();
    w->statuses[0] = 403;
    w->n_statuses = 1;
    world_start(w);
    scrapes(w, 1, 1, now_ms());
    world_drain(w);
    assert_int_equal(w->n_seen, 1);
    assert_int_equal(fake_ledger(w->spool).dropped[DROP_REFUSED], 10);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(delivers),
        cmocka_unit_test(falls_back_on_415),
        cmocka_unit_test(falls_back_when_nothing_is_said_of_writing),
        cmocka_unit_test(a_415_to_both_is_a_refusal),
        cmocka_unit_test(a_bad_target_is_refused_alone),
        cmocka_unit_test(old_samples_are_cut_out),
        cmocka_unit_test(what_was_written_counts),
        cmocka_unit_test(a_500_that_wrote_some_is_sent_again_whole),
        cmocka_unit_test(zstd_where_it_is_taken),
        cmocka_unit_test(a_400_to_zstd_that_was_taken_before_is_about_samples),
        cmocka_unit_test(both_fall_back),
        cmocka_unit_test(what_was_sealed_as_2_goes_to_a_destination_of_1),
        cmocka_unit_test(what_was_sealed_as_1_stays_so),
        cmocka_unit_test(refused_signatures_lose_nothing),
        cmocka_unit_test(a_403_without_signature_is_a_refusal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

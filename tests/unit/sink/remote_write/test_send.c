/* The sender, against a receiver over HTTP: the table of answers, splitting, doubt, order, draining, closing,
 * metadata. The fake spool checks at every step that what was read is delivered, waiting or dropped. */
#include "unit.h"

#include "unit/sink/remote_write/send_world.h"

static int64_t now_ms(void)
{
    return clock_wall_ms();
}

/* ---- the ordinary way -------------------------------------------------------------------------------------------- */

static int check_agent(struct world *w, const struct received *m)
{
    (void)w;
    assert_str_c(http_call_header(m->call, "User-Agent"), "leadline/test");
    assert_str_c(http_call_header(m->call, "Retry-Attempt"), "");
    assert_str_c(http_call_method(m->call), "POST");
    assert_str_c(http_call_path(m->call), "/api/v1/write");
    assert_str_c(label_of(&m->v[1], "__name__"), "m1");
    return 204;
}

static void delivers(void **state)
{
    (void)state;
    struct world *w = world_new();
    w->decide = check_agent;
    world_start(w);
    world_scrape(w, 3, 1, now_ms(), 10);
    world_scrape(w, 5, 2, now_ms(), 20);
    world_drain(w);
    struct spool_ledger l = fake_ledger(w->spool);
    assert_int_equal(l.delivered, 30);
    assert_int_equal(w->accepted, 30);
    assert_int_equal(w->n_seen, 2);
    assert_int_equal(counter_get(w->rw->count.samples), 30);
    assert_int_equal(counter_get(w->rw->count.pending), 0);
    assert_true(counter_get(w->rw->count.highest_sent) > 1700000000);
    assert_true(counter_get(w->rw->count.bytes) > 0);
    assert_str(buf_view(&w->rw->url),
               str_c(arena_printf(&w->arena, "http://user:xxxxx@127.0.0.1:%d/api/v1/write", w->port)));
    world_free(w);
}

static void waits_while_the_spool_reads(void **state)
{
    (void)state;
    struct world *w = world_new();
    w->spool->delayed = true;
    world_start(w);
    for (int i = 0; i < 5; i++) {
        world_scrape(w, 3, 1, now_ms() + i, 10);
        spool_lane_seal(&w->spool->lanes[3]);
    }
    world_drain(w);
    assert_int_equal(fake_ledger(w->spool).delivered, 50);
    assert_int_equal(w->n_seen, 5);
    world_free(w);
}

static void what_was_there_before_is_sent_at_the_start(void **state)
{
    (void)state;
    struct world *w = world_new();
    world_start(w);
    w->statuses[0] = w->statuses[1] = HOLD;
    w->n_statuses = 2;
    world_scrape(w, 3, 1, 1000, 10);
    spool_lane_seal(&w->spool->lanes[3]);
    world_until_seen(w, 1);
    world_close(w); /* in flight: stays waiting */
    assert_int_equal(fake_ledger(w->spool).waiting, 10);
    w->n_statuses = 0;
    world_start(w);
    assert_non_null(w->rw->lanes[3]);
    assert_null(w->rw->lanes[4]);
    world_until_seen(w, 2);
    world_drain(w);
    assert_int_equal(fake_ledger(w->spool).delivered, 10);
    world_free(w);
}

/* ---- the table of answers ---------------------------------------------------------------------------------------- */

static void retried(int status)
{
    struct world *w = world_new();
    w->statuses[0] = w->statuses[1] = status;
    w->n_statuses = 2;
    world_start(w);
    world_scrape(w, 0, 1, now_ms(), 7);
    world_drain(w);
    assert_int_equal(w->n_seen, 3);
    assert_string_equal(w->seen[0].attempt, "");
    assert_string_equal(w->seen[1].attempt, "1");
    assert_string_equal(w->seen[2].attempt, "2");
    assert_int_equal(fake_ledger(w->spool).delivered, 7);
    assert_int_equal(counter_get(w->rw->count.retried), 14);
    assert_int_equal(counter_get(status == 429 ? w->rw->count.retries_429 : w->rw->count.retries_5xx), 2);
    world_free(w);
}

static void refused(int status, bool explicit_429)
{
    struct world *w = world_new();
    w->statuses[0] = status;
    w->n_statuses = 1;
    w->config->queue.retry_on_http_429_set = explicit_429;
    world_start(w);
    world_scrape(w, 0, 1, now_ms(), 7);
    world_drain(w);
    assert_int_equal(w->n_seen, 1);
    struct spool_ledger l = fake_ledger(w->spool);
    assert_int_equal(l.delivered, 0);
    assert_int_equal(l.dropped[DROP_REFUSED], 7);
    assert_int_equal(counter_get(w->rw->count.failed), 7);
    world_free(w);
}

static void table_of_answers(void **state)
{
    (void)state;
    static const int again[] = {500, 502, 503, 504, 599, 429};
    static const int never[] = {400, 401, 402, 403, 404, 405, 406, 408, 409,
                                410, 411, 413, 415, 422, 431, 451, 304, 301};
    for (size_t i = 0; i < COUNT_OF(again); i++)
        retried(again[i]);
    for (size_t i = 0; i < COUNT_OF(never); i++)
        refused(never[i], false);
    refused(429, true);
}

static void retry_after_is_waited_for(void **state)
{
    (void)state;
    struct world *w = world_new();
    w->statuses[0] = 503;
    w->n_statuses = 1;
    w->retry_after = "1";
    world_start(w);
    world_scrape(w, 0, 1, now_ms(), 7);
    world_drain(w);
    assert_int_equal(w->n_seen, 2);
    assert_true(w->seen[1].at_ms - w->seen[0].at_ms >= 995);
    world_free(w);
}

static void words_of_the_destination_are_kept(void **state)
{
    (void)state;
    struct world *w = world_new();
    w->statuses[0] = 400;
    w->n_statuses = 1;
    w->words = "  out of order sample\nsecond line";
    world_start(w);
    world_scrape(w, 0, 1, now_ms(), 7);
    world_drain(w);
    struct sink_status s;
    remote_write_status(w->rw, &w->arena, &s);
    assert_str_c(s.last_error, "server returned HTTP status 400: out of order sample");
    assert_int_equal(s.last_http_status, 400);
    assert_int_equal(s.in_flight, 0);
    world_free(w);
}

/* ---- doubt ------------------------------------------------------------------------------------------------------- */

static void lost_answer_makes_a_refusal_doubtful(void **state)
{
    (void)state;
    struct world *w = world_new();
    w->statuses[0] = HOLD;
    w->statuses[1] = 400;
    w->n_statuses = 2;
    w->config->remote_timeout_ms = 100;
    world_start(w);
    world_scrape(w, 0, 1, now_ms(), 7);
    world_drain(w);
    assert_int_equal(fake_ledger(w->spool).dropped[DROP_MAYBE_DELIVERED], 7);
    world_scrape(w, 0, 1, now_ms(), 5); /* and it does not stick to the next request */
    w->statuses[2] = 400;
    w->n_statuses = 3;
    world_drain(w);
    assert_int_equal(fake_ledger(w->spool).dropped[DROP_REFUSED], 5);
    world_free(w);
}

static void connection_that_was_not_made_leaves_no_doubt(void **state)
{
    (void)state;
    struct world *w = world_new();
    http_server_free(w->server);
    world_run_for(w, 5);
    world_start(w);
    world_scrape(w, 0, 1, now_ms(), 7);
    spool_lane_seal(&w->spool->lanes[0]);
    while (counter_get(w->rw->count.retries_network) < 3)
        world_turn(w, 10);
    struct sink_status s;
    remote_write_status(w->rw, &w->arena, &s);
    assert_true(s.last_error.n > 0);
    assert_int_equal(s.last_http_status, 0);
    w->statuses[0] = 400;
    w->n_statuses = 1;
    world_listen(w);
    world_drain(w);
    assert_int_equal(w->n_seen, 1);
    assert_true(w->seen[0].attempt[0] != '\0');
    assert_int_equal(fake_ledger(w->spool).dropped[DROP_REFUSED], 7);
    world_free(w);
}

static void replay_after_a_crash_is_doubtful(void **state)
{
    (void)state;
    struct world *w = world_new();
    w->spool->maybe_sent = true;
    w->decide = decide_bad;
    snprintf(w->bad, sizeof(w->bad), "t2");
    world_start(w);
    for (int i = 1; i <= 3; i++)
        world_scrape(w, 0, i, now_ms(), 7);
    world_drain(w);
    /* refused parts only */
    struct spool_ledger l = fake_ledger(w->spool);
    assert_int_equal(l.delivered, 14);
    assert_int_equal(l.dropped[DROP_MAYBE_DELIVERED], 7);
    assert_int_equal(l.dropped[DROP_REFUSED], 0);
    world_free(w);
}

/* ---- splitting --------------------------------------------------------------------------------------------------- */

static void bad_neighbour_costs_nobody_else(void **state)
{
    (void)state;
    struct world *w = world_new();
    w->decide = decide_bad;
    snprintf(w->bad, sizeof(w->bad), "t3");
    world_start(w);
    for (int i = 1; i <= 4; i++)
        world_scrape(w, 0, i, now_ms(), (uint32_t)i * 10);
    world_drain(w);
    struct spool_ledger l = fake_ledger(w->spool);
    assert_int_equal(l.delivered, 70);
    assert_int_equal(l.dropped[DROP_REFUSED], 30);
    assert_int_equal(w->n_seen, 5);
    for (int i = 1; i <= 4; i++) {
        char want[16];
        snprintf(want, sizeof(want), "t%d", i);
        assert_string_equal(w->seen[i].instance, want);
        assert_int_equal(w->seen[i].samples, i * 10);
    }
    assert_int_equal(counter_get(w->rw->count.splits), 1);
    assert_int_equal(counter_get(w->rw->count.split_pauses), 0);
    world_free(w);
}

static void part_is_retried_until_it_has_an_answer(void **state)
{
    (void)state;
    struct world *w = world_new();
    static const int script[] = {400, 204, 503, 503, 400, 204};
    memcpy(w->statuses, script, sizeof(script));
    w->n_statuses = COUNT_OF(script);
    world_start(w);
    for (int i = 1; i <= 3; i++)
        world_scrape(w, 0, i, now_ms(), 10);
    world_drain(w);
    assert_int_equal(w->n_seen, 6);
    assert_string_equal(w->seen[2].instance, "t2");
    assert_string_equal(w->seen[4].instance, "t2");
    assert_string_equal(w->seen[4].attempt, "2");
    assert_string_equal(w->seen[5].instance, "t3");
    assert_string_equal(w->seen[5].attempt, "");
    struct spool_ledger l = fake_ledger(w->spool);
    assert_int_equal(l.delivered, 20);
    assert_int_equal(l.dropped[DROP_REFUSED], 10);
    world_free(w);
}

static void doubt_about_a_part_is_its_own(void **state)
{
    (void)state;
    struct world *w = world_new();
    static const int script[] = {400, HOLD, 400, 400, 204};
    memcpy(w->statuses, script, sizeof(script));
    w->n_statuses = COUNT_OF(script);
    w->config->remote_timeout_ms = 100;
    world_start(w);
    for (int i = 1; i <= 3; i++)
        world_scrape(w, 0, i, now_ms(), 10);
    world_drain(w);
    struct spool_ledger l = fake_ledger(w->spool);
    assert_int_equal(l.dropped[DROP_MAYBE_DELIVERED], 10);
    assert_int_equal(l.dropped[DROP_REFUSED], 10);
    assert_int_equal(l.delivered, 10);
    world_free(w);
}

static int decide_never(struct world *w, const struct received *m)
{
    (void)w;
    (void)m;
    return 400;
}

static void splitting_pauses_when_no_part_is_taken(void **state)
{
    (void)state;
    struct world *w = world_new();
    w->decide = decide_never;
    world_start(w);
    for (int round = 0; round < 3; round++) {
        for (int i = 1; i <= 3; i++)
            world_scrape(w, 0, i, now_ms(), 10);
        spool_lane_seal(&w->spool->lanes[0]);
    }
    world_drain(w);
    assert_int_equal(w->n_seen, 4 + 1 + 1);
    assert_int_equal(fake_ledger(w->spool).dropped[DROP_REFUSED], 90);
    assert_int_equal(counter_get(w->rw->count.split_pauses), 1);
    w->rw->lanes[0]->split_again_ms = 1; /* the minute is over */
    w->n_seen = 0;
    world_scrape(w, 0, 1, now_ms(), 10);
    world_scrape(w, 0, 2, now_ms(), 10);
    world_drain(w);
    assert_int_equal(w->n_seen, 2); /* draining seals each scrape: nothing to split */
    world_free(w);
}

static void answers_about_the_sender_split_nothing(void **state)
{
    (void)state;
    static const int statuses[] = {401, 403, 404, 415};
    for (size_t k = 0; k < COUNT_OF(statuses); k++) {
        struct world *w = world_new();
        w->statuses[0] = statuses[k];
        w->n_statuses = 1;
        world_start(w);
        for (int i = 1; i <= 3; i++)
            world_scrape(w, 0, i, now_ms(), 10);
        world_drain(w);
        assert_int_equal(w->n_seen, 1);
        assert_int_equal(fake_ledger(w->spool).dropped[DROP_REFUSED], 30);
        world_free(w);
    }
}

/* ---- age --------------------------------------------------------------------------------------------------------- */

static void too_old_is_not_sent(void **state)
{
    (void)state;
    struct world *w = world_new();
    w->config->queue.sample_age_limit_ms = 60000;
    world_start(w);
    world_scrape(w, 0, 1, now_ms() - 120000, 10); /* a request of old ones */
    spool_lane_seal(&w->spool->lanes[0]);
    world_scrape(w, 0, 1, now_ms() - 90000, 10); /* old and young in one */
    world_scrape(w, 0, 2, now_ms(), 10);
    world_drain(w);
    struct spool_ledger l = fake_ledger(w->spool);
    assert_int_equal(l.dropped[DROP_TOO_OLD], 20);
    assert_int_equal(l.delivered, 10);
    assert_int_equal(w->n_seen, 1);
    assert_string_equal(w->seen[0].instance, "t2");
    assert_int_equal(counter_get(w->rw->count.dropped_too_old), 20);
    world_free(w);
}

static void age_and_splitting_together(void **state)
{
    (void)state;
    struct world *w = world_new();
    w->config->queue.sample_age_limit_ms = 60000;
    w->decide = decide_bad;
    snprintf(w->bad, sizeof(w->bad), "t3");
    world_start(w);
    world_scrape(w, 0, 1, now_ms() - 90000, 10);
    world_scrape(w, 0, 2, now_ms(), 10);
    world_scrape(w, 0, 3, now_ms(), 10);
    world_drain(w);
    struct spool_ledger l = fake_ledger(w->spool);
    assert_int_equal(l.dropped[DROP_TOO_OLD], 10);
    assert_int_equal(l.dropped[DROP_REFUSED], 10);
    assert_int_equal(l.delivered, 10);
    assert_int_equal(w->n_seen, 3);
    world_free(w);
}

/* ---- turns ------------------------------------------------------------------------------------------------------- */

static int decide_hold(struct world *w, const struct received *m)
{
    (void)w;
    (void)m;
    return HOLD;
}

static void max_shards_bounds_what_is_in_flight(void **state)
{
    (void)state;
    struct world *w = world_new();
    w->config->queue.max_shards = 3;
    w->decide = decide_hold;
    world_start(w);
    for (uint32_t lane = 0; lane < LANES; lane++)
        world_scrape(w, lane, (int)lane, now_ms(), 10);
    w->drained = false;
    remote_write_drain(w->rw, set_flag, &w->drained);
    for (uint32_t done = 0; done < LANES;) {
        uint32_t want = LANES - done < 3 ? LANES - done : 3;
        while (w->n_held < want)
            world_turn(w, 10);
        world_run_for(w, 5);
        assert_int_equal(w->n_held, want);
        done += w->n_held;
        world_answer_held(w, 204);
    }
    world_until(w, &w->drained);
    assert_int_equal(fake_ledger(w->spool).delivered, 160);
    world_free(w);
}

static void backing_off_lane_holds_no_turn(void **state)
{
    (void)state;
    struct world *w = world_new();
    w->config->queue.max_shards = 1;
    w->config->queue.min_backoff_ms = w->config->queue.max_backoff_ms = 60000;
    w->statuses[0] = 503;
    w->n_statuses = 1;
    world_start(w);
    world_scrape(w, 0, 1, now_ms(), 10);
    spool_lane_seal(&w->spool->lanes[0]);
    world_until_seen(w, 1);
    world_scrape(w, 1, 2, now_ms(), 10);
    spool_lane_seal(&w->spool->lanes[1]);
    while (fake_ledger(w->spool).delivered < 10)
        world_turn(w, 10);
    struct sink_status s;
    remote_write_status(w->rw, &w->arena, &s);
    assert_int_equal(s.backing_off, 1);
    world_close(w);
    assert_int_equal(fake_ledger(w->spool).waiting, 10);
    world_free(w);
}

/* ---- ends -------------------------------------------------------------------------------------------------------- */

static void drain_with_nothing_to_do(void **state)
{
    (void)state;
    struct world *w = world_new();
    world_start(w);
    world_drain(w);
    world_scrape(w, 1, 1, now_ms(), 4);
    world_drain(w);
    assert_int_equal(fake_ledger(w->spool).delivered, 4);
    world_free(w);
}

static void close_while_the_destination_is_down(void **state)
{
    (void)state;
    struct world *w = world_new();
    http_server_free(w->server);
    world_run_for(w, 5);
    world_start(w);
    for (uint32_t lane = 0; lane < LANES; lane++)
        world_scrape(w, lane, (int)lane, now_ms(), 10);
    w->drained = false;
    remote_write_drain(w->rw, set_flag, &w->drained);
    world_run_for(w, 50);
    assert_false(w->drained);
    world_close(w);
    assert_false(w->drained);
    assert_int_equal(fake_ledger(w->spool).waiting, 160);
    world_listen(w);
    world_free(w);
}

static void close_in_the_middle_of_a_split(void **state)
{
    (void)state;
    struct world *w = world_new();
    static const int script[] = {400, 204, HOLD};
    memcpy(w->statuses, script, sizeof(script));
    w->n_statuses = COUNT_OF(script);
    world_start(w);
    for (int i = 1; i <= 3; i++)
        world_scrape(w, 0, i, now_ms(), 10);
    spool_lane_seal(&w->spool->lanes[0]);
    world_until_seen(w, 3);
    world_close(w);
    assert_int_equal(fake_ledger(w->spool).waiting, 30);
    world_free(w);
}

/* ---- reload ------------------------------------------------------------------------------------------------------ */

static int decide_note_region(struct world *w, const struct received *m)
{
    snprintf(w->bad, sizeof(w->bad), "%.*s", STR_ARGS(label_of(&m->v[0], "region")));
    return 204;
}

static void reload_changes_labels_and_options(void **state)
{
    (void)state;
    struct world *w = world_new();
    w->decide = decide_note_region;
    world_start(w);
    world_scrape(w, 0, 1, now_ms(), 10);
    spool_lane_seal(&w->spool->lanes[0]);
    world_until_seen(w, 1);
    assert_string_equal(w->bad, "");

    struct plan_remote_write *config;
    struct plan *next = world_plan(w, &config);
    next->external_labels = labels_of(&next->arena, "region=eu");
    config->queue.max_shards = 2;
    config->queue.max_samples_per_send = 5;
    remote_write_update(w->rw, next, config, NULL);
    plan_unref(w->plan); /* ours; a running request may still need it */
    w->plan = next;
    w->config = config;
    world_scrape(w, 0, 1, now_ms(), 10);
    spool_lane_seal(&w->spool->lanes[0]);
    world_until_seen(w, 3); /* two parts of five */
    assert_string_equal(w->bad, "eu");
    assert_int_equal(w->seen[1].samples, 5);
    assert_int_equal(counter_get(w->rw->count.shards), 2);
    world_drain(w);
    world_free(w);
}

static void reload_while_in_flight(void **state)
{
    (void)state;
    struct world *w = world_new();
    w->statuses[0] = HOLD;
    w->n_statuses = 1;
    world_start(w);
    world_scrape(w, 0, 1, now_ms(), 10);
    spool_lane_seal(&w->spool->lanes[0]);
    world_until_seen(w, 1);
    struct plan_remote_write *config;
    struct plan *next = world_plan(w, &config);
    remote_write_update(w->rw, next, config, NULL);
    plan_unref(w->plan);
    w->plan = next;
    w->config = config;
    world_answer_held(w, 503);
    world_drain(w);
    assert_int_equal(w->n_seen, 2);
    assert_int_equal(fake_ledger(w->spool).delivered, 10);
    world_free(w);
}

/* ---- metadata ---------------------------------------------------------------------------------------------------- */

static char metadata_text[1024];

static int decide_metadata(struct world *w, const struct received *m)
{
    struct proto_reader r = proto_read(m->raw);
    struct proto_field f;
    int status = decide_script(w, m);
    while (status == 204 && proto_next(&r, &f) == OK) {
        struct proto_reader e = proto_read(f.bytes);
        struct proto_field g;
        uint64_t type = 0;
        struct str text[6] = {0};
        assert_int_equal(f.number, 3);
        while (proto_next(&e, &g) == OK) {
            if (g.number == 1)
                type = g.value;
            else
                text[g.number] = g.bytes;
        }
        size_t n = strlen(metadata_text);
        snprintf(metadata_text + n, sizeof(metadata_text) - n, "%d:%.*s:%.*s:%.*s ", (int)type, STR_ARGS(text[2]),
                 STR_ARGS(text[4]), STR_ARGS(text[5]));
    }
    return status;
}

static const struct family families[] = {
    {STR("a_total"), STR("help a"), STR(""), TYPE_COUNTER},
    {STR("b"), STR(""), STR(""), TYPE_UNKNOWN},
    {STR("c_seconds"), STR("c"), STR("seconds"), TYPE_GAUGE},
    {STR("d"), STR("d"), STR(""), TYPE_HISTOGRAM},
    {STR("e"), STR("e"), STR(""), TYPE_STATESET},
};

static void metadata_in_requests_of_its_own(void **state)
{
    (void)state;
    struct world *w = world_new();
    metadata_text[0] = '\0';
    w->decide = decide_metadata;
    w->statuses[0] = 503;
    w->n_statuses = 1;
    world_start(w);
    remote_write_metadata(w->rw, families, COUNT_OF(families));
    remote_write_metadata(w->rw, families, COUNT_OF(families)); /* one round at a time */
    world_until_seen(w, 3);
    world_run_for(w, 10);
    assert_string_equal(metadata_text, "1:a_total:help a: 0:b:: 2:c_seconds:c:seconds 3:d:d: 7:e:e: ");
    assert_int_equal(w->n_seen, 3);
    assert_int_equal(counter_get(w->rw->count.metadata), 5);
    assert_int_equal(counter_get(w->rw->count.metadata_retried), 3);
    assert_int_equal(fake_ledger(w->spool).read, 0);
    world_free(w);
}

static void refused_metadata_is_forgotten(void **state)
{
    (void)state;
    struct world *w = world_new();
    w->statuses[0] = 400;
    w->n_statuses = 1;
    w->decide = decide_metadata;
    world_start(w);
    remote_write_metadata(w->rw, families, COUNT_OF(families));
    world_until_seen(w, 2);
    world_run_for(w, 10);
    assert_int_equal(w->n_seen, 2);
    assert_int_equal(counter_get(w->rw->count.metadata_failed), 3);
    assert_int_equal(counter_get(w->rw->count.metadata), 2);
    w->config->metadata_send = false;
    remote_write_metadata(w->rw, families, COUNT_OF(families));
    world_run_for(w, 10);
    assert_int_equal(w->n_seen, 2);
    world_free(w);
}

/* ---- everything at once ------------------------------------------------------------------------------------------ */

enum { TARGETS = 24 };

static int64_t last_ts[TARGETS];
static uint32_t stored, repeated;

/* A receiver with a memory, as Prometheus: all or nothing, older than the last is refused, the same again is taken. */
static int decide_chaos(struct world *w, const struct received *m)
{
    switch (unit_random_below(&w->random, 12)) {
    case 0:
        return 500;
    case 1:
        return 429;
    case 2:
        return 404;
    case 3:
        if (unit_random_below(&w->random, 8) == 0)
            return HOLD;
        break;
    default:
        break;
    }
    for (uint32_t i = 0; i < m->n; i++) {
        struct str instance = label_of(&m->v[i], "instance");
        int target = (instance.p[1] - '0') * 10 + instance.p[2] - '0';
        if (target % 8 == 5 || m->v[i].ts_ms < last_ts[target])
            return 400;
    }
    for (uint32_t i = 0; i < m->n; i++) {
        struct str instance = label_of(&m->v[i], "instance");
        int target = (instance.p[1] - '0') * 10 + instance.p[2] - '0';
        repeated += m->v[i].ts_ms == last_ts[target] && str_eq_c(label_of(&m->v[i], "__name__"), "m0");
        last_ts[target] = m->v[i].ts_ms;
        stored++;
    }
    return 204;
}

static void chaos(void **state)
{
    (void)state;
    struct world *w = world_new();
    w->random = unit_random_new();
    w->decide = decide_chaos;
    w->config->remote_timeout_ms = 150;
    w->config->queue.max_shards = 5;
    w->config->queue.max_samples_per_send = 25;
    w->spool->max_samples = 25;
    w->spool->delayed = true;
    memset(last_ts, 0, sizeof(last_ts));
    stored = repeated = 0;
    world_start(w);
    uint64_t read = 0;
    for (int round = 1; round <= 30; round++) {
        for (int t = 0; t < TARGETS; t++) {
            uint32_t n = 1 + (uint32_t)unit_random_below(&w->random, t == 7 ? 60 : 9);
            world_scrape(w, (uint32_t)t % LANES, t + 10 - 10 * (t >= 10), 1000 + round, n);
            read += n;
            if (unit_random_below(&w->random, 4) == 0)
                world_turn(w, 1);
        }
    }
    world_drain(w);
    struct spool_ledger l = fake_ledger(w->spool);
    assert_int_equal(l.read, read);
    assert_int_equal(l.waiting, 0);
    assert_int_equal(l.delivered, stored);
    assert_int_equal(l.delivered + fake_dropped(&l), read);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(delivers),
        cmocka_unit_test(waits_while_the_spool_reads),
        cmocka_unit_test(what_was_there_before_is_sent_at_the_start),
        cmocka_unit_test(table_of_answers),
        cmocka_unit_test(retry_after_is_waited_for),
        cmocka_unit_test(words_of_the_destination_are_kept),
        cmocka_unit_test(lost_answer_makes_a_refusal_doubtful),
        cmocka_unit_test(connection_that_was_not_made_leaves_no_doubt),
        cmocka_unit_test(replay_after_a_crash_is_doubtful),
        cmocka_unit_test(bad_neighbour_costs_nobody_else),
        cmocka_unit_test(part_is_retried_until_it_has_an_answer),
        cmocka_unit_test(doubt_about_a_part_is_its_own),
        cmocka_unit_test(splitting_pauses_when_no_part_is_taken),
        cmocka_unit_test(answers_about_the_sender_split_nothing),
        cmocka_unit_test(too_old_is_not_sent),
        cmocka_unit_test(age_and_splitting_together),
        cmocka_unit_test(max_shards_bounds_what_is_in_flight),
        cmocka_unit_test(backing_off_lane_holds_no_turn),
        cmocka_unit_test(drain_with_nothing_to_do),
        cmocka_unit_test(close_while_the_destination_is_down),
        cmocka_unit_test(close_in_the_middle_of_a_split),
        cmocka_unit_test(reload_changes_labels_and_options),
        cmocka_unit_test(reload_while_in_flight),
        cmocka_unit_test(metadata_in_requests_of_its_own),
        cmocka_unit_test(refused_metadata_is_forgotten),
        cmocka_unit_test(chaos),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

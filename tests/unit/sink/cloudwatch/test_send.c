/* What becomes of requests under every kind of answer: nothing is lost, nothing is counted twice. */
#include "unit.h"

#include <sys/wait.h>

#include "unit/sink/cloudwatch/cw_world.h"

#define DAY ((int64_t)24 * 3600 * 1000)

static double counted(struct cw_world *w, const char *name)
{
    return counters_sum(w->counters, name, NULL, 0);
}

static struct cw_world *start(void)
{
    struct cw_world *w = cw_world_new(CLOUDWATCH_LOGS);
    cw_open(w);
    return w;
}

static void events_arrive(void **state)
{
    (void)state;
    struct cw_world *w = start();
    int64_t now = clock_wall_ms();
    cw_event(w, "one", now, "{\"a\":\"b\\n\"}\t\x01 \xc3\xa9 end");
    cw_event(w, "one", now + 1, "second");
    cw_drain(w);
    assert_int_equal(w->n_seen, 2);
    assert_string_equal(w->seen[0].text, "{\"a\":\"b\\n\"}\t\x01 \xc3\xa9 end");
    assert_int_equal(w->seen[0].ts_ms, now);
    assert_string_equal(w->seen[1].text, "second");
    struct spool_ledger l = cw_ledger(w);
    assert_int_equal(l.read, 2);
    assert_int_equal(l.delivered, 2);
    assert_int_equal(l.possible_duplicates, 0);
    assert_true(counted(w, "leadline_cloudwatch_requests_total") > 0);
    assert_true(counted(w, "leadline_cloudwatch_bytes_total") ==
                strlen("{\"a\":\"b\\n\"}\t\x01 \xc3\xa9 end") + 6 + 52);
    cw_world_free(w);
}

static void group_and_stream_are_made(void **state)
{
    (void)state;
    struct cw_world *w = cw_world_new(CLOUDWATCH_LOGS);
    w->group = w->stream = false;
    w->config->retention_days = 7;
    cw_open(w);
    cw_event(w, "one", clock_wall_ms(), "x");
    cw_drain(w);
    assert_string_equal(w->operations.p,
                        "PutLogEvents CreateLogStream CreateLogGroup PutRetentionPolicy CreateLogStream "
                        "PutLogEvents ");
    assert_int_equal(w->n_seen, 1);

    /* a group that is there keeps the retention it has; one that is deleted under us is made again */
    buf_clear(&w->operations);
    w->stream = false;
    cw_event(w, "one", clock_wall_ms(), "y");
    cw_drain(w);
    assert_string_equal(w->operations.p, "PutLogEvents CreateLogStream PutLogEvents ");
    assert_int_equal(w->n_seen, 2);
    assert_int_equal(cw_ledger(w).delivered, 2);
    cw_world_free(w);
}

static void decide_race(struct cw_world *w, const char *operation, const struct node *body, struct fake_reply *out)
{
    (void)body;
    if (!strcmp(operation, "CreateLogGroup") && w->number++ == 0)
        *out = (struct fake_reply){.code = "OperationAbortedException"};
    else if (!strcmp(operation, "CreateLogGroup"))
        *out = (struct fake_reply){.code = "ResourceAlreadyExistsException"}, w->group = true;
    else if (!strcmp(operation, "PutRetentionPolicy"))
        fail_msg("the retention of somebody else's group was changed");
    else
        cw_default(w, operation, out);
}

static void somebody_else_makes_the_group(void **state)
{
    (void)state;
    struct cw_world *w = cw_world_new(CLOUDWATCH_LOGS);
    w->group = w->stream = false;
    w->config->retention_days = 7;
    w->decide = decide_race;
    cw_open(w);
    cw_event(w, "one", clock_wall_ms(), "x");
    cw_drain(w);
    assert_string_equal(w->operations.p, "PutLogEvents CreateLogStream CreateLogGroup CreateLogGroup CreateLogStream "
                                         "PutLogEvents ");
    assert_int_equal(w->n_seen, 1);
    cw_world_free(w);
}

static void decide_retention_fails(struct cw_world *w, const char *operation, const struct node *body,
                                   struct fake_reply *out)
{
    (void)body;
    if (!strcmp(operation, "PutRetentionPolicy"))
        *out = (struct fake_reply){.code = "AccessDeniedException", .message = "no"};
    else
        cw_default(w, operation, out);
}

static void events_are_worth_more_than_retention(void **state)
{
    (void)state;
    struct cw_world *w = cw_world_new(CLOUDWATCH_LOGS);
    w->group = w->stream = false;
    w->config->retention_days = 7;
    w->decide = decide_retention_fails;
    cw_open(w);
    cw_event(w, "one", clock_wall_ms(), "x");
    cw_drain(w);
    assert_int_equal(w->n_seen, 1);
    assert_non_null(
        strstr(w->c->last_error.p, "needs logs:PutRetentionPolicy on arn:aws:logs:eu-west-1:*:log-group:group"));
    cw_world_free(w);
}

/* Fails four times in ways that pass. */
static void decide_passing(struct cw_world *w, const char *operation, const struct node *body, struct fake_reply *out)
{
    (void)operation, (void)body;
    static const struct fake_reply script[] = {
        {.code = "ThrottlingException"},
        {.code = "InternalFailure", .status = 500},
        {.code = "AccessDeniedException",
         .status = 403,
         .message = "User: arn:aws:sts::123456789012:assumed-role/r/s is not authorized"},
        {.code = "ExpiredTokenException", .status = 400},
        {.code = "SomethingNobodyHasHeardOf"},
        {.code = "LimitExceededException"},
        {.code = "404", .status = 404},
    };
    if ((size_t)w->number < COUNT_OF(script))
        *out = script[w->number++];
}

static void what_passes_is_waited_for(void **state)
{
    (void)state;
    struct cw_world *w = start();
    w->decide = decide_passing;
    cw_event(w, "one", clock_wall_ms(), "x");
    world_until(w->loop, w->number == 3);
    world_until(w->loop, w->c->last_error.n > 0 && strstr(w->c->last_error.p, "AccessDenied"));
    assert_non_null(
        strstr(w->c->last_error.p,
               "needs logs:PutLogEvents on arn:aws:logs:eu-west-1:123456789012:log-group:group:log-stream:one"));
    cw_drain(w);
    assert_int_equal(w->n_seen, 1);
    assert_int_equal(w->n_calls, 8);
    struct spool_ledger l = cw_ledger(w);
    assert_int_equal(l.delivered, 1);
    assert_int_equal(l.possible_duplicates, 0); /* each answer said that nothing was taken */
    assert_true(counted(w, "leadline_cloudwatch_retries_total") == 7);
    cw_world_free(w);
}

static void decide_forbidden_once(struct cw_world *w, const char *operation, const struct node *body,
                                  struct fake_reply *out)
{
    (void)operation, (void)body;
    if (w->number++ == 0)
        *out = (struct fake_reply){.code = "AccessDeniedException", .status = 403};
}

/* In a task that stops, half a minute is left, and the disk may go with it. */
static void draining_does_not_wait_out_a_back_off(void **state)
{
    (void)state;
    struct cw_world *w = start();
    w->c->longest_wait_ms = 3600 * 1000;
    w->decide = decide_forbidden_once;
    cw_event(w, "one", clock_wall_ms(), "x");
    struct arena a = {0};
    struct sink_status s = {0};
    while (s.backing_off == 0) {
        world_turn(w->loop, 5);
        cloudwatch_sink(w->c)->ops->status(cloudwatch_sink(w->c), &a, &s);
    }
    assert_int_equal(s.last_http_status, 403);
    assert_int_equal(s.in_flight, 0);
    assert_true(s.last_error.n > 0 && s.last_error_ms > 0);
    cw_drain(w); /* the wait would be half a minute at least */
    assert_int_equal(w->n_seen, 1);
    arena_release(&a);
    cw_world_free(w);
}

static void decide_gone(struct cw_world *w, const char *operation, const struct node *body, struct fake_reply *out)
{
    (void)w, (void)body;
    if (strcmp(operation, "PutLogEvents") == 0)
        *out = (struct fake_reply){.code = "ResourceNotFoundException", .message = "no such stream"};
}

/* A stream that is there, and missing, is asked for less and less often. */
static void a_stream_that_stays_missing_is_waited_for(void **state)
{
    (void)state;
    struct cw_world *w = start();
    w->decide = decide_gone;
    cw_event(w, "one", clock_wall_ms(), "x");
    world_until(w->loop, w->n_puts > 12);
    uint32_t most = 0;
    for (int i = 0; i < SPOOL_LANES; i++)
        most = w->c->lanes[i] && w->c->lanes[i]->gone > most ? w->c->lanes[i]->gone : most;
    assert_true(most >= 5);
    w->decide = NULL;
    cw_drain(w);
    assert_int_equal(cw_ledger(w).delivered, 1);
    cw_world_free(w);
}

static void decide_lost(struct cw_world *w, const char *operation, const struct node *body, struct fake_reply *out)
{
    (void)operation, (void)body;
    if (w->number++ == 0)
        *out = (struct fake_reply){.lost = ERR_TIMEOUT, .stored = true};
}

static void lost_answers_are_counted(void **state)
{
    (void)state;
    struct cw_world *w = start();
    w->decide = decide_lost;
    cw_events(w, "one", clock_wall_ms(), "e", 5);
    cw_drain(w);
    assert_int_equal(w->n_seen, 10);
    struct spool_ledger l = cw_ledger(w);
    assert_int_equal(l.delivered, 5);
    assert_int_equal(l.possible_duplicates, 5);
    assert_true(counted(w, "leadline_cloudwatch_possible_duplicate_requests_total") == 1);
    cw_world_free(w);
}

static void decide_accepted_before(struct cw_world *w, const char *operation, const struct node *body,
                                   struct fake_reply *out)
{
    (void)operation, (void)body;
    *out = w->number++ == 0 ? (struct fake_reply){.lost = ERR_NET, .stored = true}
                            : (struct fake_reply){.code = "DataAlreadyAcceptedException"};
}

static void what_the_service_has_is_no_duplicate(void **state)
{
    (void)state;
    struct cw_world *w = start();
    w->decide = decide_accepted_before;
    cw_events(w, "one", clock_wall_ms(), "e", 5);
    cw_drain(w);
    assert_int_equal(w->n_seen, 5);
    assert_int_equal(cw_ledger(w).delivered, 5);
    assert_int_equal(cw_ledger(w).possible_duplicates, 0);
    cw_world_free(w);
}

/* Refuses a request that holds an event whose text begins with "bad". */
static void decide_bad(struct cw_world *w, const char *operation, const struct node *body, struct fake_reply *out)
{
    (void)operation, (void)w;
    for (const struct node *e = node_member(body, "logEvents", NODE_SEQUENCE)->first; e; e = e->next) {
        if (str_starts(node_text(e, "message"), STR("bad")))
            *out = (struct fake_reply){.code = "InvalidParameterException", .message = "a bad event"};
    }
}

static void a_bad_event_costs_only_itself(void **state)
{
    (void)state;
    struct cw_world *w = start();
    int64_t now = clock_wall_ms();
    w->hang = true;
    cw_events(w, "one", now, "first", 1); /* sealed at once: the rest is one request */
    cw_events(w, "one", now, "good", 700);
    cw_event(w, "one", now, "bad 1");
    cw_events(w, "one", now, "fine", 300);
    cw_event(w, "one", now, "bad 2");
    w->decide = decide_bad;
    w->hang = false;
    cw_drain(w);
    struct spool_ledger l = cw_ledger(w);
    assert_int_equal(l.delivered, 1001);
    assert_int_equal(l.dropped[DROP_REFUSED], 2);
    assert_int_equal(w->n_seen, 1001);
    char text[16];
    for (int i = 0; i < 700; i++) { /* each once, in order */
        snprintf(text, sizeof(text), "good%d", i);
        assert_string_equal(w->seen[1 + i].text, text);
    }
    assert_true(w->n_puts < 60);
    cw_world_free(w);
}

/* So many that it looks as if nothing would ever be taken. */
static void many_bad_events_cost_only_themselves(void **state)
{
    (void)state;
    struct cw_world *w = start();
    int64_t now = clock_wall_ms();
    w->hang = true;
    cw_events(w, "one", now, "first", 1);
    cw_events(w, "one", now, "bad", 100);
    cw_events(w, "one", now, "good", 400);
    cw_events(w, "one", now, "bad", 100);
    w->decide = decide_bad;
    w->hang = false;
    cw_drain(w);
    struct spool_ledger l = cw_ledger(w);
    assert_int_equal(l.delivered, 401);
    assert_int_equal(l.dropped[DROP_REFUSED], 200);
    assert_int_equal(w->n_seen, 401);
    cw_world_free(w);
}

static void decide_never(struct cw_world *w, const char *operation, const struct node *body, struct fake_reply *out)
{
    (void)w, (void)operation, (void)body;
    *out = (struct fake_reply){.code = "InvalidParameterException", .message = "never"};
}

static void what_is_never_taken_does_not_cost_thousands_of_calls(void **state)
{
    (void)state;
    struct cw_world *w = start();
    w->decide = decide_never;
    cw_events(w, "one", clock_wall_ms(), "a", 1);
    cw_events(w, "one", clock_wall_ms(), "b", 5000);
    cw_drain(w);
    assert_int_equal(cw_ledger(w).dropped[DROP_REFUSED], 5001);
    assert_true(w->n_puts < 60);
    uint32_t before = w->n_puts;
    cw_events(w, "one", clock_wall_ms(), "c", 5000);
    cw_drain(w);
    assert_int_equal(w->n_puts, before + 1);
    assert_int_equal(cw_ledger(w).dropped[DROP_REFUSED], 10001);
    cw_world_free(w);
}

static void decide_rejected(struct cw_world *w, const char *operation, const struct node *body, struct fake_reply *out)
{
    (void)w, (void)operation, (void)body;
    out->body = "{\"nextSequenceToken\":\"1\",\"rejectedLogEventsInfo\":{\"tooNewLogEventStartIndex\":8,"
                "\"tooOldLogEventEndIndex\":2,\"expiredLogEventEndIndex\":5}}";
}

static void rejected_events_are_dropped_by_reason(void **state)
{
    (void)state;
    struct cw_world *w = start();
    w->decide = decide_rejected;
    cw_events(w, "one", clock_wall_ms(), "e", 10);
    cw_drain(w);
    struct spool_ledger l = cw_ledger(w);
    assert_int_equal(l.dropped[DROP_TOO_OLD], 2);
    assert_int_equal(l.dropped[DROP_EXPIRED], 3);
    assert_int_equal(l.dropped[DROP_TOO_NEW], 2);
    assert_int_equal(l.delivered, 3);
    cw_world_free(w);
}

static void what_is_too_old_is_not_sent(void **state)
{
    (void)state;
    struct cw_world *w = start();
    int64_t limit = clock_wall_ms() - 14 * DAY;
    cw_event(w, "one", limit - 1000, "too old");
    cw_drain(w);
    assert_int_equal(w->n_calls, 0);
    struct log_event v[] = {{STR("group"), STR("one"), limit + 600000, STR("young")},
                            {STR("group"), STR("one"), limit - 3600000, STR("old")}};
    struct log_event_consumer *consumer = cloudwatch_log_events(w->c);
    consumer->append(consumer, v, 2);
    cw_drain(w);
    assert_int_equal(w->n_seen, 1);
    assert_string_equal(w->seen[0].text, "young");
    assert_int_equal(cw_ledger(w).dropped[DROP_TOO_OLD], 2);
    assert_int_equal(cw_ledger(w).delivered, 1);
    cw_world_free(w);
}

static void events_that_nobody_takes(void **state)
{
    (void)state;
    struct cw_world *w = start();
    int64_t now = clock_wall_ms();
    AUTO_BUF large = {0};
    for (int i = 0; i < 1048576; i++)
        buf_char(&large, 'x');
    struct log_event v[] = {
        {STR("group"), STR("one"), now, buf_view(&large)},
        {STR("group"), STR("one"), now, STR("")},
        {STR("group"), STR("one"), now, STR("fits")},
        {STR("gro up"), STR("one"), now, STR("x")},
        {STR("group"), STR("a:b"), now, STR("x")},
        {STR("group"), STR("two"), now, STR("not \xff UTF-8")},
        {STR("group"), STR("one"), now, str_from(large.p, 1048576 - 26 - 1024)},
    };
    struct log_event_consumer *consumer = cloudwatch_log_events(w->c);
    consumer->append(consumer, v, COUNT_OF(v));
    cw_drain(w);
    struct spool_ledger l = cw_ledger(w);
    assert_int_equal(l.read, 7);
    assert_int_equal(l.dropped[DROP_UNSENDABLE], 4);
    assert_int_equal(l.delivered, 3);
    assert_int_equal(cw_times_seen(w, "fits"), 1);
    assert_int_equal(cw_times_seen(w, "not \xef\xbf\xbd UTF-8"), 1);
    cw_world_free(w);
}

/* ---- restarts ---- */

static void decide_nothing(struct cw_world *w, const char *operation, const struct node *body, struct fake_reply *out)
{
    (void)w, (void)operation, (void)body;
    *out = (struct fake_reply){.lost = ERR_NET};
}

static void what_waits_is_sent_by_the_next_process(void **state)
{
    (void)state;
    struct cw_world *w = start();
    w->decide = decide_nothing;
    char stream[16];
    for (int i = 0; i < 40; i++) {
        snprintf(stream, sizeof(stream), "s%d", i % 5);
        cw_events(w, stream, clock_wall_ms(), "e", 10);
    }
    world_for(w->loop, 30);
    cw_close(w);
    cw_open(w);
    w->decide = NULL;
    cw_drain(w);
    assert_int_equal(w->n_seen, 400);
    assert_int_equal(cw_ledger(w).delivered, 400);
    assert_int_equal(cw_ledger(w).read, 400);
    cw_world_free(w);
}

/* A child is killed with a request in flight for each of three streams, and more behind them. */
static void a_kill_repeats_at_most_one_request_a_stream(void **state)
{
    (void)state;
    struct cw_world *w = cw_world_new(CLOUDWATCH_LOGS);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct loop *loop = loop_new("child");
        w->loop = loop;
        w->io = io_thread_new();
        cw_open(w);
        w->hang = true;
        for (int i = 0; i < 30; i++) {
            char stream[16], prefix[32];
            snprintf(stream, sizeof(stream), "s%d", i % 3);
            snprintf(prefix, sizeof(prefix), "%d-", i);
            cw_events(w, stream, clock_wall_ms(), prefix, 7);
            world_for(loop, 5);
        }
        _exit(w->n_running == 3 ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    cw_open(w);
    assert_int_equal(cw_ledger(w).waiting, 210);
    cw_drain(w);
    struct spool_ledger l = cw_ledger(w);
    assert_int_equal(l.read, 210);
    assert_int_equal(l.delivered, 210);
    assert_int_equal(w->n_seen, 210);
    assert_int_equal(counted(w, "leadline_cloudwatch_possible_duplicate_requests_total"), 3);
    assert_int_equal(l.possible_duplicates, 21); /* the first commit of each lane is sealed at once */
    cw_world_free(w);
}

/* ---- PutMetricData ---- */

static void put_data(struct cw_world *w, const char *name_space, uint32_t n, const char *prefix)
{
    AUTO_BUF text = {0};
    struct cw_record *records = mem_zalloc(n * sizeof(*records));
    for (uint32_t i = 0; i < n; i++) {
        uint32_t from = (uint32_t)text.n;
        buf_printf(&text, "{\"MetricName\":\"%s%u\",\"Value\":1,\"Padding\":\"%0600d\"}", prefix, i, 0);
        records[i] = (struct cw_record){
            .ts_ms = clock_wall_ms() - 1000 * i, .offset = from, .bytes = (uint32_t)text.n - from, .samples = 2};
    }
    const struct cw_place place = {.group = str_c(name_space)};
    const struct cw_scrape s = {.text = buf_view(&text), .records = records, .n_records = n, .read = 2 * n};
    cw_commit(cw_lane_of(w->c, &place), &place, &s);
    free(records);
}

static void decide_entity(struct cw_world *w, const char *operation, const struct node *body, struct fake_reply *out)
{
    (void)w;
    assert_string_equal(operation, "PutMetricData");
    const struct node *list = node_member(body, "MetricData", NODE_SEQUENCE);
    if (list->n > 300)
        *out = (struct fake_reply){.code = "413", .status = 413};
    for (const struct node *e = list->first; e; e = e->next) {
        if (str_eq_c(node_text(e, "MetricName"), "x77"))
            *out = (struct fake_reply){.code = "InvalidParameterValue", .message = "x77"};
    }
}

static void data_arrive(void **state)
{
    (void)state;
    struct cw_world *w = cw_world_new(CLOUDWATCH_METRICS);
    cw_open(w);
    put_data(w, "NS", 3000, "m");
    put_data(w, "Other", 10, "o");
    cw_drain(w);
    assert_int_equal(w->n_seen, 3010);
    assert_int_equal(cw_ledger(w).delivered, 6020);
    w->decide = decide_entity;
    put_data(w, "NS", 900, "x");
    cw_drain(w);
    assert_int_equal(cw_ledger(w).dropped[DROP_REFUSED], 2);
    assert_int_equal(cw_ledger(w).delivered, 6020 + 1798);
    cw_world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_arrive),
        cmocka_unit_test(group_and_stream_are_made),
        cmocka_unit_test(somebody_else_makes_the_group),
        cmocka_unit_test(events_are_worth_more_than_retention),
        cmocka_unit_test(what_passes_is_waited_for),
        cmocka_unit_test(draining_does_not_wait_out_a_back_off),
        cmocka_unit_test(a_stream_that_stays_missing_is_waited_for),
        cmocka_unit_test(lost_answers_are_counted),
        cmocka_unit_test(what_the_service_has_is_no_duplicate),
        cmocka_unit_test(a_bad_event_costs_only_itself),
        cmocka_unit_test(many_bad_events_cost_only_themselves),
        cmocka_unit_test(what_is_never_taken_does_not_cost_thousands_of_calls),
        cmocka_unit_test(rejected_events_are_dropped_by_reason),
        cmocka_unit_test(what_is_too_old_is_not_sent),
        cmocka_unit_test(events_that_nobody_takes),
        cmocka_unit_test(what_waits_is_sent_by_the_next_process),
        cmocka_unit_test(a_kill_repeats_at_most_one_request_a_stream),
        cmocka_unit_test(data_arrive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* A whole program in this process: real targets and a real receiver over HTTP on the control loop, spools in a folder
 * of the test's own. What a user sees is asserted: what arrives, what the pages say, and the last log line of each
 * destination, whose terms must balance and agree with what was received.
 */
#include "unit.h"

#include <fcntl.h>

#include "base/mem.h"
#include "config/config.h"
#include "format/remote_write.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "run/program_int.h"
#include "spool/inspect.h"
#include "wire/compress.h"
#include "world.h"

enum { RECEIVERS = 4, JOBS = 4 };

/* Where samples go: path /0 .. /3 of the receiver. */
struct receiver {
    int status; /* of its answers; 0: never answers */
    uint64_t samples, requests, metadata;
    bool seen[JOBS]; /* samples of job "j0" .. "j3" */
};

struct bench {
    struct loop *loop;
    struct world_folder folder;
    struct http_server *target, *sink;
    struct http_client *http;
    struct http_call *held[64];
    int n_held;
    struct compressor compressor;
    struct receiver receivers[RECEIVERS];
    uint64_t scrapes[JOBS];

    struct log *log;
    struct counters *counters;
    struct program *program;
    struct program_options o;
    struct str address;
    const char *next; /* the configuration that a reload reads */
    bool stopped;
    struct buf logged; /* after the end */
};

/* ---- the other sides ---- */

static void on_scrape(void *ctx, struct http_call *call)
{
    struct bench *b = ctx;
    struct str path = http_call_path(call); /* /j0 */

    b->scrapes[path.p[2] - '0']++;
    http_call_answer(
        call, 200, "text/plain; version=0.0.4",
        STR("# HELP depth Of the water.\n# TYPE depth gauge\ndepth{at=\"bow\"} 5\ndepth{at=\"stern\"} 7\n"));
}

static void receive(struct bench *b, struct receiver *r, struct str message)
{
    struct remote_write_reader reader = remote_write_read(message);
    struct remote_write_item item;

    while (remote_write_next(&reader, &item) == OK) {
        if (item.kind == REMOTE_WRITE_METADATA) {
            r->metadata++;
            continue;
        }
        r->samples++;
        for (int j = 0; j < JOBS; j++) {
            char job[] = {'\n', 3, 'j', 'o', 'b', 0x12, 2, 'j', (char)('0' + j), '\0'};
            if (memmem(item.bytes.p, item.bytes.n, job, sizeof(job) - 1))
                r->seen[j] = true;
        }
    }
    (void)b;
}

static void on_write(void *ctx, struct http_call *call)
{
    struct bench *b = ctx;
    struct receiver *r = &b->receivers[http_call_path(call).p[1] - '0'];
    AUTO_BUF message = {0};

    r->requests++;
    if (r->status == 0) {
        assert_true(b->n_held < (int)COUNT_OF(b->held));
        b->held[b->n_held++] = call;
        return;
    }
    assert_int_equal(compress_decode(&b->compressor, COMPRESS_SNAPPY, http_call_body(call), 16 << 20, &message), OK);
    if (r->status / 100 == 2)
        receive(b, r, buf_view(&message));
    http_call_answer(call, r->status, "text/plain", r->status / 100 == 2 ? STR("") : STR("not today"));
}

static struct http_server *serve(struct bench *b, http_handler *handler)
{
    struct http_server_options o = {.address = STR("127.0.0.1:0"), .max_body = 16 << 20};
    struct http_server *s = NULL;

    assert_int_equal(http_server_new(b->loop, NULL, &o, handler, b, &s, NULL), OK);
    return s;
}

/* ---- the program ---- */

static char *write_config(struct bench *b, const char *jobs, const char *receivers)
{
    AUTO_BUF t = {0};

    buf_c(&t, "global: {scrape_interval: 200ms, scrape_timeout: 200ms}\nscrape_configs:\n");
    for (; *jobs; jobs++)
        buf_printf(&t,
                   "- job_name: j%c\n  metrics_path: /j%c\n  static_configs:\n"
                   "  - {targets: ['127.0.0.1:%d'], labels: {n: a}}\n  - {targets: ['127.0.0.1:%d'], labels: {n: b}}\n",
                   *jobs, *jobs, http_server_port(b->target), http_server_port(b->target));
    buf_c(&t, "remote_write:\n");
    for (; *receivers; receivers++)
        buf_printf(&t,
                   "- url: http://127.0.0.1:%d/%c\n  name: r%c\n  queue_config: {batch_send_deadline: 100ms, "
                   "max_backoff: 200ms}\n  metadata_config: {send_interval: 1s}\n",
                   http_server_port(b->sink), *receivers, *receivers);
    return mem_strndup(t.p, t.n);
}

static enum err parse(const char *text, struct plan **out, struct diag *d)
{
    return config_parse_prometheus(str_c(text), "unit.yml", ".", &(struct config_options){.agent = true}, out, NULL, d);
}

static enum err load(void *ctx, struct plan **out, struct diag *d)
{
    return parse(((struct bench *)ctx)->next, out, d);
}

/* The program is over: what the test itself has opened on the loop goes too. */
static void on_stopped(void *ctx)
{
    struct bench *b = ctx;

    b->stopped = true;
    http_server_free(b->target);
    http_server_free(b->sink);
    for (int i = 0; i < b->n_held; i++)
        http_call_answer(b->held[i], 200, "text/plain", STR(""));
    http_client_free(b->http);
}

static void open_log(struct bench *b)
{
    int fd = open(world_path(&b->folder, "log"), O_CREAT | O_WRONLY | O_APPEND, 0600);

    assert_true(fd >= 0);
    b->log = log_new(fd, LOG_DEBUG, LOG_LOGFMT);
    b->o.log = b->o.web.log = b->log;
}

static struct bench *open_bench(uint32_t workers, bool memory)
{
    struct bench *b = NEW(struct bench);

    unsetenv("ECS_CONTAINER_METADATA_URI_V4");
    unsetenv("LEADLINE_STOP_TIMEOUT");
    b->loop = loop_new("control");
    b->folder = world_folder_new();
    b->counters = counters_new();
    b->target = serve(b, on_scrape);
    b->sink = serve(b, on_write);
    b->http = http_client_new(b->loop, NULL, &(struct http_client_limits){.user_agent = "test"});
    b->address = STR("127.0.0.1:0");
    for (int i = 0; i < RECEIVERS; i++)
        b->receivers[i].status = 204;
    b->o = (struct program_options){
        .counters = b->counters,
        .workers = workers,
        .data_directory = mem_strdup(world_path(&b->folder, "data")),
        .data_named = true,
        .spool_memory = memory,
        .spool_max_bytes = 1 << 30,
        .spool_memory_bytes = 16 << 20,
        .spool_max_age_ms = 3600 * 1000,
        .discovery_reload_ms = 50,
        .flush_deadline_ms = 10000,
        .load = load,
        .load_ctx = b,
        .stopped = on_stopped,
        .stopped_ctx = b,
    };
    b->o.web = (struct web_options){.addresses = &b->address,
                                    .n_addresses = 1,
                                    .route_prefix = STR(""),
                                    .cors_origin = STR(".*"),
                                    .counters = b->counters};
    open_log(b);
    return b;
}

static enum err try_start(struct bench *b, const char *jobs, const char *receivers, struct diag *d)
{
    struct plan *plan = NULL;
    char *text = write_config(b, jobs, receivers);

    if (parse(text, &plan, d))
        fail_msg("%s\n%s", d->text, text);
    enum err err = program_start(b->loop, &b->o, plan, &b->program, d);
    plan_unref(plan);
    free(text);
    return err;
}

static void start(struct bench *b, const char *jobs, const char *receivers)
{
    struct diag d = {0};

    if (try_start(b, jobs, receivers, &d))
        fail_msg("%s", d.text);
}

static enum err reload(struct bench *b, const char *jobs, const char *receivers, struct diag *d)
{
    char *text = write_config(b, jobs, receivers);

    b->next = text;
    enum err err = program_reload(b->program, d);
    b->next = NULL;
    free(text);
    return err;
}

/* Runs to the end, and reads the log. */
static void finish(struct bench *b)
{
    loop_run(b->loop);
    assert_true(b->stopped);
    program_free(b->program);
    loop_free(b->loop);
    log_free(b->log);
    assert_int_equal(file_read(world_path(&b->folder, "log"), 64 << 20, &b->logged, NULL), OK);
}

static void close_bench(struct bench *b)
{
    compressor_release(&b->compressor);
    counters_free(b->counters);
    buf_release(&b->logged);
    free((char *)b->o.data_directory);
    world_folder_free(&b->folder);
    free(b);
}

/* ---- what is seen ---- */

struct question {
    struct http_request request;
    struct http_peer *peer;
    struct buf body;
    bool done;
    int status;
};

static void on_answer(struct http_request *r, const struct http_response *response)
{
    struct question *q = CONTAINER_OF(r, struct question, request);

    q->done = true;
    q->status = response->err ? -1 : response->status;
    http_peer_free(q->peer);
}

static void ask(struct bench *b, struct question *q, const char *path)
{
    AUTO_BUF url = {0};

    *q = (struct question){.request = {.method = "GET", .timeout_ms = 10000, .done = on_answer}};
    q->request.response_body = &q->body;
    buf_printf(&url, "http://127.0.0.1:%d%s", web_port(b->program->web), path);
    assert_int_equal(http_peer_new(b->http, buf_view(&url), NULL, &q->peer, NULL), OK);
    http_start(q->peer, &q->request);
}

static bool page_says(struct bench *b, const char *path, const char *text)
{
    struct question q;

    ask(b, &q, path);
    world_until(b->loop, q.done);
    assert_int_equal(q.status, 200);
    bool says = q.body.p && strstr(q.body.p, text);
    buf_release(&q.body);
    return says;
}

struct last_line {
    bool found;
    unsigned long long read, delivered, waiting, dropped;
};

static struct last_line last_line(struct bench *b, const char *name)
{
    struct last_line l = {0};
    char start[64];

    snprintf(start, sizeof(start), "msg=stopped remote_name=%s ", name);
    const char *at = strstr(b->logged.p, start);
    l.found = at && sscanf(at + strlen(start), "read=%llu delivered=%llu waiting=%llu dropped=%llu", &l.read,
                           &l.delivered, &l.waiting, &l.dropped) == 4;
    return l;
}

/* Everything was delivered, and the receiver agrees; a destination that was closed with a request on the way may have
 * got that one twice. */
static void all_arrived_once_or_twice(struct bench *b, const char *name, const struct receiver *r)
{
    struct last_line l = last_line(b, name);

    if (!l.found)
        fail_msg("no last line of %s in:\n%s", name, b->logged.p);
    assert_int_equal(l.read, l.delivered);
    assert_int_equal(l.waiting, 0);
    assert_int_equal(l.dropped, 0);
    assert_true(l.delivered <= r->samples);
    assert_true(l.read > 0);
}

static void all_arrived(struct bench *b, const char *name, const struct receiver *r)
{
    all_arrived_once_or_twice(b, name, r);
    assert_int_equal(last_line(b, name).delivered, r->samples);
}

static void run_simple(uint32_t workers, bool memory)
{
    struct bench *b = open_bench(workers, memory);

    start(b, "012", "01");
    for (int j = 0; j < 3; j++)
        world_until(b->loop, b->receivers[0].seen[j] && b->receivers[1].seen[j]);
    world_until(b->loop, b->receivers[0].metadata > 0);
    assert_true(page_says(b, "/-/ready", "Ready"));
    assert_true(page_says(b, "/api/v1/scrape_pools", "[\"j0\",\"j1\",\"j2\"]"));
    assert_true(page_says(b, "/api/v1/targets", "\"health\":\"up\""));
    assert_true(page_says(b, "/", "6</b> targets") || page_says(b, "/", "metrics known"));
    assert_true(page_says(b, "/metrics", "\nprometheus_config_last_reload_successful 1\n"));
    program_stop(b->program, "enough");
    finish(b);
    all_arrived(b, "r0", &b->receivers[0]);
    all_arrived(b, "r1", &b->receivers[1]);
    assert_non_null(strstr(b->logged.p, "msg=enough"));
    assert_int_equal(access(world_path(&b->folder, "data/r0/meta"), F_OK), memory ? -1 : 0);
    close_bench(b);
}

/* What those see who have nothing but the log. */
static void test_the_state_is_logged_again_and_again(void **state)
{
    struct bench *b = open_bench(2, true);

    (void)state;
    b->o.summary_ms = 50;
    start(b, "01", "0");
    world_until(b->loop, page_says(b, "/metrics", "{scrape_job=\"j0\",health=\"up\"} 2") &&
                             page_says(b, "/metrics", "{scrape_job=\"j1\",health=\"up\"} 2"));
    uint64_t scrapes = b->scrapes[0];
    world_until(b->loop, b->scrapes[0] > scrapes + 4);
    program_stop(b->program, NULL);
    finish(b);
    assert_non_null(strstr(b->logged.p, "msg=\"state of a destination\" remote_name=r0 read="));
    assert_non_null(
        strstr(b->logged.p, "msg=\"state of a pipeline\" pipeline=0 jobs=2 targets=4 up=4 down=0 samples=8"));
    close_bench(b);
}

static void test_delivers_from_memory(void **state)
{
    (void)state;
    run_simple(1, true);
    run_simple(2, true);
}

static void test_delivers_from_disk(void **state)
{
    (void)state;
    run_simple(1, false);
    run_simple(2, false);
}

/* ---- reload ---- */

static void run_reload(uint32_t workers)
{
    struct bench *b = open_bench(workers, false);
    struct diag d = {0};

    start(b, "01", "01");
    world_until(b->loop, b->receivers[0].seen[1] && b->receivers[1].seen[1]);
    assert_int_equal(reload(b, "12", "12", &d), OK);
    world_until(b->loop, b->receivers[2].seen[2] && b->receivers[1].seen[2]);
    assert_true(page_says(b, "/api/v1/scrape_pools", "[\"j1\",\"j2\"]"));
    world_until(b->loop, !page_says(b, "/metrics", "remote_name=\"r0\""));
    uint64_t scrapes = b->scrapes[1], gone = b->scrapes[0], removed = b->receivers[0].requests;
    world_until(b->loop, b->scrapes[1] > scrapes + 4);
    assert_int_equal(b->scrapes[0], gone);
    assert_int_equal(b->receivers[0].requests, removed);
    assert_false(b->receivers[0].seen[2]);

    /* What was removed comes back, with what its spool holds. */
    assert_int_equal(reload(b, "012", "012", &d), OK);
    world_until(b->loop, b->receivers[0].seen[2] && b->scrapes[0] > gone);
    program_stop(b->program, NULL);
    finish(b);
    all_arrived_once_or_twice(b, "r0", &b->receivers[0]);
    all_arrived(b, "r1", &b->receivers[1]);
    all_arrived(b, "r2", &b->receivers[2]);
    assert_non_null(strstr(b->logged.p, "msg=\"destination removed\""));
    close_bench(b);
}

static void test_reloads_by_difference(void **state)
{
    (void)state;
    run_reload(1);
    run_reload(2);
}

/* Its spool is still ours: the reload says so instead of blaming another process, and a later one takes it. */
static void test_a_destination_that_is_back_too_soon(void **state)
{
    struct bench *b = open_bench(2, false);
    struct diag d = {0};

    (void)state;
    start(b, "0", "01");
    world_until(b->loop, b->receivers[0].seen[0]);
    assert_int_equal(reload(b, "0", "1", &d), OK);
    assert_int_equal(reload(b, "0", "01", &d), ERR_AGAIN);
    assert_non_null(strstr(d.text, "r0 was removed just now"));
    diag_reset(&d);
    world_until(b->loop, reload(b, "0", "01", &d) == OK);
    program_stop(b->program, NULL);
    finish(b);
    all_arrived_once_or_twice(b, "r0", &b->receivers[0]);
    all_arrived(b, "r1", &b->receivers[1]);
    close_bench(b);
}

/* Targets that stay keep their place in the schedule: the same configuration again costs no scrape and no gap. */
static void test_the_same_configuration_again(void **state)
{
    struct bench *b = open_bench(2, true);
    struct diag d = {0};

    (void)state;
    start(b, "0", "0");
    world_until(b->loop, b->receivers[0].seen[0]);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(reload(b, "0", "0", &d), OK);
        world_turn(b->loop, 30);
    }
    uint64_t scrapes = b->scrapes[0];
    world_until(b->loop, b->scrapes[0] > scrapes + 2);
    program_stop(b->program, NULL);
    finish(b);
    all_arrived(b, "r0", &b->receivers[0]);
    assert_null(strstr(b->logged.p, "level=ERROR"));
    close_bench(b);
}

static void run_failing_reload(uint32_t workers)
{
    struct bench *b = open_bench(workers, false);
    struct diag d = {0};

    start(b, "01", "01");
    world_until(b->loop, b->receivers[0].seen[0]);
    b->next = "global: {scrape_intervall: 15s}\n";
    assert_int_not_equal(program_reload(b->program, &d), OK);
    assert_non_null(strstr(d.text, "scrape_intervall"));
    assert_true(page_says(b, "/metrics", "\nprometheus_config_last_reload_successful 0\n"));

    /* r3 cannot be opened: r2, which could, is closed again, and nothing has changed. */
    world_write(&b->folder, "data/r3", "a file stands where the spool should be");
    diag_reset(&d);
    assert_int_equal(reload(b, "2", "23", &d), ERR_IO);
    assert_non_null(strstr(d.text, "--spool=memory"));
    assert_true(page_says(b, "/api/v1/scrape_pools", "[\"j0\",\"j1\"]"));
    assert_false(page_says(b, "/metrics", "remote_name=\"r2\""));
    uint64_t samples = b->receivers[1].samples;
    world_until(b->loop, b->receivers[1].samples > samples);

    assert_int_equal(reload(b, "2", "12", &d), OK);
    assert_true(page_says(b, "/metrics", "\nprometheus_config_last_reload_successful 1\n"));
    world_until(b->loop, b->receivers[2].seen[2]);
    program_stop(b->program, NULL);
    finish(b);
    all_arrived(b, "r1", &b->receivers[1]);
    all_arrived(b, "r2", &b->receivers[2]);
    close_bench(b);
}

static void test_a_failing_reload_leaves_everything(void **state)
{
    (void)state;
    run_failing_reload(1);
    run_failing_reload(2);
}

/* ---- starting ---- */

static void undone(struct bench *b)
{
    assert_true(b->stopped);
    loop_run(b->loop);
    loop_free(b->loop);
    log_free(b->log);
    close_bench(b);
}

static void test_an_address_in_use(void **state)
{
    struct bench *b = open_bench(2, true);
    char address[32];
    struct diag d = {0};

    (void)state;
    snprintf(address, sizeof(address), "127.0.0.1:%d", http_server_port(b->target));
    b->address = str_c(address);
    assert_int_equal(try_start(b, "0", "0", &d), ERR_NET);
    assert_non_null(strstr(d.text, address));
    undone(b);
}

static void test_a_named_directory_that_cannot_be_written(void **state)
{
    struct bench *b = open_bench(2, false);
    struct diag d = {0};

    (void)state;
    world_write(&b->folder, "data", "a file");
    assert_int_equal(try_start(b, "0", "01", &d), ERR_IO);
    assert_non_null(strstr(d.text, "--spool=memory"));
    undone(b);
}

static void test_the_default_directory_falls_back_to_memory(void **state)
{
    struct bench *b = open_bench(1, false);

    (void)state;
    world_write(&b->folder, "data", "a file");
    b->o.data_named = false;
    start(b, "0", "01");
    world_until(b->loop, b->receivers[0].seen[0] && b->receivers[1].seen[0]);
    program_stop(b->program, NULL);
    finish(b);
    all_arrived(b, "r0", &b->receivers[0]);
    all_arrived(b, "r1", &b->receivers[1]);
    assert_non_null(strstr(b->logged.p, "samples wait in memory only"));
    close_bench(b);
}

/* ---- stopping ---- */

/* The receiver fails, the disk stays: the program leaves at once, and the next one delivers. */
static void run_restart(uint32_t workers)
{
    struct bench *b = open_bench(workers, false), *second;
    struct spool_ledger ledger = {0};

    b->receivers[0].status = 503;
    start(b, "0", "0");
    world_until(b->loop, b->receivers[0].requests > 2 && b->scrapes[0] > 4);
    program_stop(b->program, NULL);
    finish(b);
    struct last_line l = last_line(b, "r0");
    assert_true(l.found && l.read > 0 && l.read == l.waiting);
    assert_int_equal(spool_inspect(world_path(&b->folder, "data/r0"), true, NULL, NULL, &ledger, NULL), OK);
    assert_int_equal(ledger.waiting, l.waiting);

    second = open_bench(workers, false);
    free((char *)second->o.data_directory);
    second->o.data_directory = mem_strdup(world_path(&b->folder, "data"));
    /* Other ports, and so another URL: the destination is known by its name. */
    start(second, "", "0");
    world_until(second->loop, second->receivers[0].samples == l.waiting);
    program_stop(second->program, NULL);
    finish(second);
    struct last_line m = last_line(second, "r0");
    assert_true(m.found && m.delivered == l.waiting && m.waiting == 0);
    close_bench(second);
    close_bench(b);
}

static void test_what_waits_outlives_the_program(void **state)
{
    (void)state;
    run_restart(1);
    run_restart(2);
}

/* Nothing answers, nothing stays: the deadline ends it, and what is lost is said. */
static void test_the_deadline_ends_a_hopeless_stop(void **state)
{
    struct bench *b = open_bench(2, true);

    (void)state;
    b->receivers[0].status = 0;
    b->o.flush_deadline_ms = 300;
    start(b, "0", "0");
    world_until(b->loop, b->receivers[0].requests > 0);
    program_stop(b->program, NULL);
    finish(b);
    struct last_line l = last_line(b, "r0");
    assert_true(l.found && l.read > 0 && l.delivered == 0);
    assert_int_equal(l.read, l.waiting + l.dropped);
    close_bench(b);
}

static void test_a_second_stop_hurries(void **state)
{
    for (uint32_t workers = 1; workers <= 2; workers++) {
        struct bench *b = open_bench(workers, true);
        b->receivers[0].status = 0;
        b->o.flush_deadline_ms = 3600 * 1000;
        start(b, "0", "0");
        world_until(b->loop, b->receivers[0].requests > 0);
        program_stop(b->program, NULL);
        world_for(b->loop, 50);
        assert_false(b->stopped);
        assert_true(page_says(b, "/-/healthy", "Healthy"));
        program_stop(b->program, NULL);
        finish(b);
        assert_true(last_line(b, "r0").found);
        close_bench(b);
    }
    (void)state;
}

/* Pages are asked for until the end; whoever asks late gets an answer or the end of the connection, never more. */
static void run_pages_while_stopping(uint32_t workers)
{
    enum { N = 40 };
    struct bench *b = open_bench(workers, true);
    struct question *questions = mem_zalloc(sizeof(*questions) * N);
    static const char *const paths[] = {"/", "/metrics", "/api/v1/targets", "/targets"};

    start(b, "012", "01");
    world_until(b->loop, b->receivers[0].seen[0]);
    for (int i = 0; i < N / 2; i++)
        ask(b, &questions[i], paths[i % 4]);
    program_stop(b->program, NULL);
    for (int i = N / 2; i < N; i++) {
        if (!b->stopped)
            ask(b, &questions[i], paths[i % 4]);
        if (!b->stopped)
            world_turn(b->loop, 2);
    }
    finish(b);
    for (int i = 0; i < N; i++)
        buf_release(&questions[i].body);
    free(questions);
    close_bench(b);
}

static void test_pages_while_stopping(void **state)
{
    (void)state;
    run_pages_while_stopping(1);
    run_pages_while_stopping(2);
}

static void test_stop_right_after_start_and_after_a_reload(void **state)
{
    struct diag d = {0};

    (void)state;
    for (uint32_t workers = 1; workers <= 2; workers++) {
        struct bench *b = open_bench(workers, false);
        start(b, "012", "012");
        program_stop(b->program, NULL);
        finish(b);
        close_bench(b);

        b = open_bench(workers, false);
        start(b, "012", "012");
        world_until(b->loop, b->receivers[0].seen[0]);
        assert_int_equal(reload(b, "3", "3", &d), OK); /* three destinations are being closed */
        program_stop(b->program, NULL);
        assert_int_equal(reload(b, "0", "0", &d), ERR_CANCELED);
        finish(b);
        assert_true(last_line(b, "r3").found);
        close_bench(b);
    }
}

/* ---- two destinations of one URL ---- */

static void test_two_destinations_of_one_url(void **state)
{
    struct bench *b = open_bench(1, false);
    struct plan *plan = NULL;
    struct diag d = {0};
    AUTO_BUF text = {0};

    (void)state;
    char *jobs = write_config(b, "0", "");
    buf_c(&text, jobs);
    for (int i = 0; i < 2; i++)
        buf_printf(&text,
                   "- url: http://127.0.0.1:%d/0\n  queue_config: {batch_send_deadline: 100ms}\n"
                   "  write_relabel_configs: [{source_labels: [at], regex: '%s', action: %s}]\n",
                   http_server_port(b->sink), "bow", i ? "drop" : "keep");
    if (parse(text.p, &plan, &d))
        fail_msg("%s\n%s", d.text, text.p);
    if (program_start(b->loop, &b->o, plan, &b->program, &d))
        fail_msg("%s", d.text);
    plan_unref(plan);
    free(jobs);
    world_until(b->loop, b->receivers[0].samples > 20);
    program_stop(b->program, NULL);
    finish(b);
    const char *first = strstr(b->logged.p, "msg=stopped remote_name=");
    assert_non_null(first);
    assert_non_null(strstr(first + 1, "msg=stopped remote_name="));
    close_bench(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delivers_from_memory),
        cmocka_unit_test(test_the_state_is_logged_again_and_again),
        cmocka_unit_test(test_delivers_from_disk),
        cmocka_unit_test(test_reloads_by_difference),
        cmocka_unit_test(test_a_destination_that_is_back_too_soon),
        cmocka_unit_test(test_the_same_configuration_again),
        cmocka_unit_test(test_a_failing_reload_leaves_everything),
        cmocka_unit_test(test_an_address_in_use),
        cmocka_unit_test(test_a_named_directory_that_cannot_be_written),
        cmocka_unit_test(test_the_default_directory_falls_back_to_memory),
        cmocka_unit_test(test_what_waits_outlives_the_program),
        cmocka_unit_test(test_the_deadline_ends_a_hopeless_stop),
        cmocka_unit_test(test_a_second_stop_hurries),
        cmocka_unit_test(test_pages_while_stopping),
        cmocka_unit_test(test_stop_right_after_start_and_after_a_reload),
        cmocka_unit_test(test_two_destinations_of_one_url),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

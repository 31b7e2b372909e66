/* http_sd on a real loop, against a server in the test that answers what the test says: which answers are taken, what
 * becomes of targets when they are not, and what the server is told. */
#include "unit.h"

#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "discover/discoverer.h"
#include "net/http_client.h"
#include "unit/discover/recorder.h"
#include "world.h"

struct bench {
    struct loop *loop;
    struct counters *counters;
    struct discover_totals totals;
    struct http_client *http;
    struct plan *plan;
    struct plan_http_sd config;
    struct recorder seen;
    struct discoverer *d;

    pthread_t thread;
    int listener, port;
    pthread_mutex_t lock; /* guards these */
    char answer[4096], request[4096];
    int n_requests;
};

static void *serve(void *arg)
{
    struct bench *b = arg;

    for (;;) {
        char request[4096] = "";
        size_t n = 0;
        int fd = accept(b->listener, NULL, NULL);
        if (fd < 0)
            return NULL;
        while (!strstr(request, "\r\n\r\n")) {
            ssize_t got = read(fd, request + n, sizeof(request) - 1 - n);
            if (got <= 0)
                break;
            n += (size_t)got;
            request[n] = '\0';
        }
        pthread_mutex_lock(&b->lock);
        memcpy(b->request, request, sizeof(request));
        b->n_requests++;
        size_t length = strlen(b->answer);
        assert_int_equal(write(fd, b->answer, length), (ssize_t)length);
        pthread_mutex_unlock(&b->lock);
        close(fd);
    }
}

static void say(struct bench *b, const char *head, const char *body)
{
    pthread_mutex_lock(&b->lock);
    snprintf(b->answer, sizeof(b->answer), "HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s", head,
             strlen(body), body);
    pthread_mutex_unlock(&b->lock);
}

#define GOOD "200 OK\r\nContent-Type: application/json"

static struct bench *open_bench(int64_t refresh_ms)
{
    struct bench *b = NEW(struct bench);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(a);

    b->loop = loop_new("test");
    b->counters = counters_new();
    discover_totals_init(&b->totals, b->counters);
    b->http = http_client_new(b->loop, NULL, &(struct http_client_limits){.user_agent = "leadline/test"});
    b->plan = plan_new();
    b->seen = recorder_new();
    pthread_mutex_init(&b->lock, NULL);
    b->listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(b->listener, (struct sockaddr *)&a, n), 0);
    assert_int_equal(listen(b->listener, 16), 0);
    getsockname(b->listener, (struct sockaddr *)&a, &n);
    b->port = ntohs(a.sin_port);
    pthread_create(&b->thread, NULL, serve, b);
    char *url = arena_printf(&b->plan->arena, "http://user:hush@127.0.0.1:%d/sd/x?token=hush", b->port);
    b->config = (struct plan_http_sd){.url = str_c(url), .refresh_ms = refresh_ms, .http = {.follow_redirects = true}};
    return b;
}

static void start(struct bench *b)
{
    struct discover_env env = {
        .loop = b->loop, .counters = b->counters, .totals = &b->totals, .http = b->http, .config = STR("job")};

    b->d = discover_http_new(&env, b->plan, &b->config, &b->seen.consumer);
    assert_int_equal(b->seen.updates, 0);
}

static void close_bench(struct bench *b)
{
    if (b->d)
        b->d->stop(b->d);
    http_client_free(b->http);
    world_loop_free(b->loop);
    shutdown(b->listener, SHUT_RDWR);
    pthread_join(b->thread, NULL);
    close(b->listener);
    counters_free(b->counters);
    plan_unref(b->plan);
    buf_release(&b->seen.last);
    free(b);
}

static double failures(struct bench *b)
{
    const struct counter_label labels[] = {{STR("config"), STR("job")}, {STR("mechanism"), STR("http")}};
    double n = counters_sum(b->counters, "prometheus_sd_http_failures_total", NULL, 0);

    assert_true(n == counters_sum(b->counters, "prometheus_sd_refresh_failures_total", labels, 2));
    return n;
}

enum { RARELY = 90500 };

/* The recorder leaves out nothing but __meta_filepath: __meta_url is seen. */
static bool says(struct bench *b, const char *targets)
{
    return b->seen.last.p && strstr(b->seen.last.p, targets);
}

static void test_asks_as_the_original_does(void **state)
{
    struct bench *b = open_bench(RARELY);

    (void)state;
    say(b, GOOD, "[{\"targets\": [\"a:1\", \"b:2\"], \"labels\": {\"k\": \"v\"}}, {\"targets\": [\"c:3\"]}]");
    start(b);
    world_until(b->loop, b->seen.updates == 1);
    char want[512];
    snprintf(want, sizeof(want),
             "x?token=hush:0 __meta_url=http://user:hush@127.0.0.1:%d/sd/x?token=hush k=v a:1,b:2\n"
             "x?token=hush:1 __meta_url=http://user:hush@127.0.0.1:%d/sd/x?token=hush c:3\n",
             b->port, b->port);
    assert_string_equal(b->seen.last.p, want);
    pthread_mutex_lock(&b->lock);
    assert_non_null(strstr(b->request, "GET /sd/x?token=hush HTTP/1.1\r\n"));
    assert_non_null(strstr(b->request, "\r\nAccept: application/json\r\n"));
    assert_non_null(strstr(b->request, "\r\nX-Prometheus-Refresh-Interval-Seconds: 90.5\r\n"));
    assert_non_null(strstr(b->request, "\r\nUser-Agent: leadline/test\r\n"));
    assert_non_null(strstr(b->request, "\r\nAuthorization: Basic dXNlcjpodXNo\r\n"));
    pthread_mutex_unlock(&b->lock);
    assert_true(failures(b) == 0);
    close_bench(b);
}

static void test_content_types(void **state)
{
    static const struct {
        const char *type;
        bool good;
    } cases[] = {
        {"application/json", true},
        {"Application/JSON", true},
        {"application/json; charset=utf-8", true},
        {"application/json;charset=\"UTF-8\"", true},
        {"application/json;  charset=utf-8 ", true},
        {"application/json; charset=latin1", false},
        {"application/json; charset=utf-8; x=y", false},
        {"application/json+x", false},
        {"text/plain", false},
        {"", false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct bench *b = open_bench(RARELY);
        char head[128];
        snprintf(head, sizeof(head), "200 OK\r\nContent-Type: %s", cases[i].type);
        say(b, head, "[]");
        start(b);
        world_until(b->loop, b->seen.updates == 1 || failures(b) > 0);
        if ((b->seen.updates == 1) != cases[i].good)
            fail_msg("%s is %s", cases[i].type, cases[i].good ? "refused" : "taken");
        close_bench(b);
    }
}

static void test_what_fails_keeps_the_last_good(void **state)
{
    static const struct {
        const char *head, *body, *words;
    } cases[] = {
        {"503 Service Unavailable\r\nContent-Type: application/json", "[]", "server returned HTTP status 503"},
        {"204 No Content\r\nContent-Type: application/json", "", "server returned HTTP status 204"},
        {"200 OK\r\nContent-Type: text/html", "[]", "unsupported content type \"text/html\""},
        {GOOD, "", "line 1, column 1 of the answer: unexpected end of JSON input"},
        {GOOD, "[null]", "line 1, column 2 of the answer: nil target group item found"},
        {GOOD, "[{\"targets\": [\"x\"], \"job\": 1}]", "unknown field \"job\""},
        {GOOD, "{\"targets\": [\"x\"]}", "expected a list of target groups"},
        {"200 OK\r\nContent-Type: application/json\r\nContent-Length: 100", "[", ""},
    };
    struct bench *b = open_bench(20);
    struct discover_status status;

    (void)state;
    say(b, GOOD, "[{\"targets\": [\"a:1\"]}]");
    start(b);
    world_until(b->loop, says(b, " a:1\n"));
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        say(b, cases[i].head, cases[i].body);
        double before = failures(b);
        world_until(b->loop, failures(b) >= before + 2);
        assert_true(says(b, " a:1\n"));
        b->d->status(b->d, &status);
        if (!strstr(status.last_error.p, cases[i].words))
            fail_msg("got: %s\nwant: %s", status.last_error.p, cases[i].words);
        assert_null(strstr(status.last_error.p, "hush"));
    }
    assert_int_equal(status.targets, 1);
    say(b, GOOD, "[]");
    world_until(b->loop, recorder_says(&b->seen, ""));
    b->d->status(b->d, &status);
    assert_string_equal(status.mechanism, "http");
    assert_int_equal(status.last_error.n, 0);
    assert_true(status.last_refresh_ms > 0 && status.targets == 0);
    assert_null(strstr(status.about.p, "hush"));
    close_bench(b);
}

static void test_groups_come_and_go(void **state)
{
    struct bench *b = open_bench(20);

    (void)state;
    say(b, GOOD, "[{\"targets\": [\"a:1\"]}, {\"targets\": [\"b:1\"]}]");
    start(b);
    world_until(b->loop, says(b, " b:1\n"));
    say(b, GOOD, "[{\"targets\": [\"a:1\"]}]");
    world_until(b->loop, !says(b, " b:1\n"));
    assert_true(says(b, " a:1\n"));
    say(b, GOOD, "null");
    world_until(b->loop, recorder_says(&b->seen, ""));
    close_bench(b);
}

static void test_a_server_that_is_not_there_is_asked_again(void **state)
{
    struct bench *b = open_bench(20);

    (void)state;
    b->config.url = STR("http://127.0.0.1:1/");
    start(b);
    world_until(b->loop, failures(b) >= 3);
    assert_int_equal(b->seen.updates, 0);
    close_bench(b);
}

static void test_stops_while_it_waits(void **state)
{
    struct bench *b = open_bench(RARELY);

    (void)state;
    pthread_mutex_lock(&b->lock); /* the answer does not come */
    start(b);
    world_for(b->loop, 50);
    b->d->stop(b->d);
    b->d = NULL;
    pthread_mutex_unlock(&b->lock);
    world_for(b->loop, 50);
    assert_int_equal(b->seen.updates, 0);
    close_bench(b);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_asks_as_the_original_does),
        cmocka_unit_test(test_content_types),
        cmocka_unit_test(test_what_fails_keeps_the_last_good),
        cmocka_unit_test(test_groups_come_and_go),
        cmocka_unit_test(test_a_server_that_is_not_there_is_asked_again),
        cmocka_unit_test(test_stops_while_it_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

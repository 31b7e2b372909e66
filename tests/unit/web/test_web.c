/* The pages and the API over HTTP, from a snapshot made by hand: what is answered under which path, in which shape, and
 * that nothing from outside reaches a page unescaped. */
#include "unit.h"

#include "base/mem.h"
#include "net/http_client.h"
#include "source/scrape/target.h"
#include "web/web.h"
#include "wire/tree.h"
#include "world.h"

/* ---- a program to be asked ---- */

struct bench {
    struct loop *loop;
    struct counters *counters;
    struct web *web;
    struct web_options o;
    struct http_client *http;
    struct plan *plan;
    struct str address;

    bool ready, good, late, quit, families;
    int reloads, snapshots, released;
    enum err reload_result;
    struct timer later;
    void (*done)(void *ctx, struct web_snapshot *s);
    void *done_ctx;

    /* the last answer */
    struct http_request request;
    struct buf body;
    bool answered;
    int status;
    enum err err;
    char type[64], headers[1024];
};

static struct bench *of_snapshot; /* whose snapshots are counted: the callback has no context */

static struct label label(const char *name, const char *value)
{
    return (struct label){str_c(name), str_c(value)};
}

static struct labels set_of(struct arena *a, struct label x, struct label y)
{
    struct label *v = ARENA_ARRAY(a, struct label, 2);
    v[0] = x;
    v[1] = y;
    return (struct labels){v, 2};
}

static struct scrape_target *make_target(const char *pool, const char *url, const char *instance)
{
    struct scrape_target *t = NEW(struct scrape_target);

    atomic_init(&t->refs, 1);
    t->url = str_c(url);
    t->scrape_pool = str_c(pool);
    t->labels = set_of(&t->arena, label("instance", instance), label("job", pool));
    t->discovered = set_of(&t->arena, label("__address__", instance), label("__scheme__", "http"));
    t->interval_ms = 60000;
    t->timeout_ms = 10000;
    return t;
}

static void release(struct web_snapshot *s)
{
    of_snapshot->released++;
    for (uint32_t i = 0; i < s->n_pools; i++)
        for (uint32_t k = 0; k < s->pools[i].n_targets; k++) {
            struct scrape_target *t = s->pools[i].targets[k].target;
            arena_release(&t->arena);
            free(t);
        }
    arena_release(&s->arenas[0]);
    plan_unref(s->plan);
    free(s);
}

#define EVIL "<script>\"&'"

/* A counter with this help, and a gauge that both targets have. */
static void give_families(struct arena *a, struct scrape_status *t, const char *help)
{
    struct family *v = ARENA_ARRAY(a, struct family, 2);
    struct scrape_block *block = ARENA_NEW(a, struct scrape_block);
    const struct scrape_block **blocks = ARENA_ARRAY(a, const struct scrape_block *, 1);

    v[0] = (struct family){STR("b_bytes"), STR(""), STR("bytes"), TYPE_GAUGE};
    v[1] = (struct family){STR("a_total"), str_c(help), STR(""), TYPE_COUNTER};
    *block = (struct scrape_block){v, 2};
    blocks[0] = block;
    t->blocks = blocks;
    t->n_blocks = 1;
}

static void fill_pools(struct web_snapshot *s)
{
    struct arena *a = &s->arenas[0];
    struct scrape_status *targets = ARENA_ARRAY(a, struct scrape_status, 3);
    struct scrape_dropped *dropped = ARENA_ARRAY(a, struct scrape_dropped, 1);

    targets[0] = (struct scrape_status){.target = make_target("node", "http://10.0.0.1:9100/metrics", "10.0.0.1:9100"),
                                        .health = HEALTH_UP,
                                        .last_scrape_ms = 1700000000123,
                                        .last_duration_s = 0.0625,
                                        .samples = 1234567};
    targets[1] = (struct scrape_status){.target = make_target("node", "http://10.0.0.2:9100/metrics?a=" EVIL, EVIL),
                                        .health = HEALTH_DOWN,
                                        .last_error = STR("server said " EVIL),
                                        .last_scrape_ms = 1700000000000};
    targets[2] = (struct scrape_status){.target = make_target("a & b", "http://c/metrics", "c:80")};
    give_families(a, &targets[0], "One.");
    give_families(a, &targets[1], "Other.");
    dropped[0].discovered = set_of(a, label("__address__", "gone:1"), label("job", "node"));
    s->pools = ARENA_ARRAY(a, struct web_pool, 2);
    s->n_pools = 2;
    s->pools[0] = (struct web_pool){.name = STR("a & b"), .targets = targets + 2, .n_targets = 1};
    s->pools[1] = (struct web_pool){.name = STR("node"),
                                    .targets = targets,
                                    .n_targets = 2,
                                    .dropped = dropped,
                                    .n_dropped = 1,
                                    .dropped_total = 7};
}

static struct web_snapshot *make_snapshot(struct bench *b)
{
    struct web_snapshot *s = NEW(struct web_snapshot);

    s->release = release;
    s->plan = plan_ref(b->plan);
    s->workers = 2;
    s->series = 4321;
    s->taken_ms = 1700000001000;
    fill_pools(s);
    s->sinks = ARENA_ARRAY(&s->arenas[0], struct web_sink, 1);
    s->n_sinks = 1;
    s->sinks[0] = (struct web_sink){.name = STR("amp" EVIL),
                                    .url = STR("https://aps/" EVIL),
                                    .ledger = {.read = 100,
                                               .delivered = 70,
                                               .waiting = 20,
                                               .requests_waiting = 2,
                                               .bytes_waiting = 999,
                                               .possible_duplicates = 5},
                                    .directory = STR("/data/amp")};
    s->sinks[0].ledger.dropped[DROP_REFUSED] = 9;
    s->sinks[0].ledger.dropped[DROP_RELABEL] = 1;
    s->sinks[0].status.last_error = STR("out of order " EVIL);
    s->sinks[0].status.last_error_ms = 1700000000999;
    return s;
}

static void on_later(struct timer *t)
{
    struct bench *b = CONTAINER_OF(t, struct bench, later);
    b->done(b->done_ctx, make_snapshot(b));
}

static void give_snapshot(void *ctx, bool families, void (*done)(void *done_ctx, struct web_snapshot *s),
                          void *done_ctx)
{
    struct bench *b = ctx;

    b->families = families;
    b->snapshots++;
    b->done = done;
    b->done_ctx = done_ctx;
    if (b->late)
        timer_start(b->loop, &b->later, 20, on_later);
    else
        done(done_ctx, make_snapshot(b));
}

static enum err on_reload(void *ctx, struct diag *d)
{
    struct bench *b = ctx;

    b->reloads++;
    return b->reload_result ? diag_at(d, b->reload_result, "x.yml", 3, 5, "no such key") : OK;
}

static void on_quit(void *ctx)
{
    ((struct bench *)ctx)->quit = true;
}

static bool is_ready(void *ctx)
{
    return ((struct bench *)ctx)->ready;
}

static bool last_reload(void *ctx, int64_t *at_ms)
{
    *at_ms = 1699999999000;
    return ((struct bench *)ctx)->good;
}

static struct bench *open_bench(const char *prefix, bool lifecycle, const char *cors)
{
    static const struct web_flag flags[] = {{{"web.page-title", 14}, {"leadline", 8}}, {{"x", 1}, {"\"", 1}}};
    struct bench *b = NEW(struct bench);
    struct diag d = {0};

    of_snapshot = b;
    b->loop = loop_new("web");
    b->counters = counters_new();
    b->http = http_client_new(b->loop, NULL, &(struct http_client_limits){.user_agent = "test"});
    b->plan = plan_new();
    b->plan->config_yaml = STR("global:\n  scrape_interval: 15s\n");
    b->address = STR("127.0.0.1:0");
    b->ready = b->good = true;
    b->o = (struct web_options){.addresses = &b->address,
                                .n_addresses = 1,
                                .route_prefix = str_c(prefix),
                                .page_title = STR("Depth " EVIL),
                                .cors_origin = str_c(cors),
                                .enable_lifecycle = lifecycle,
                                .agent = true,
                                .flags = flags,
                                .n_flags = 2,
                                .start_ms = 1690000000000,
                                .counters = b->counters,
                                .ctx = b,
                                .snapshot = give_snapshot,
                                .reload = on_reload,
                                .quit = on_quit,
                                .ready = is_ready,
                                .last_reload = last_reload};
    if (web_new(b->loop, &b->o, &b->web, &d))
        fail_msg("%s", d.text);
    return b;
}

static void close_bench(struct bench *b)
{
    assert_int_equal(b->snapshots, b->released);
    web_free(b->web);
    http_client_free(b->http);
    world_loop_free(b->loop);
    counters_free(b->counters);
    plan_unref(b->plan);
    buf_release(&b->body);
    free(b);
}

static void on_answer(struct http_request *r, const struct http_response *response)
{
    struct bench *b = CONTAINER_OF(r, struct bench, request);
    size_t n = 0;

    b->answered = true;
    b->err = response->err;
    b->status = response->status;
    snprintf(b->type, sizeof(b->type), "%.*s", STR_ARGS(response->content_type));
    b->headers[0] = '\0';
    for (int i = 0; i < response->n_headers && n < sizeof(b->headers); i++)
        n += (size_t)snprintf(b->headers + n, sizeof(b->headers) - n, "%.*s: %.*s\n",
                              STR_ARGS(response->headers[i].name), STR_ARGS(response->headers[i].value));
    buf_c(&b->body, "");
}

static int ask_with(struct bench *b, const char *method, const char *path, struct http_header *header)
{
    static const struct http_options stay = {.follow_redirects = false};
    struct http_peer *peer;
    AUTO_BUF url = {0};

    buf_printf(&url, "http://127.0.0.1:%d%s", web_port(b->web), path);
    assert_int_equal(http_peer_new(b->http, buf_view(&url), &stay, &peer, NULL), OK);
    b->answered = false;
    b->request = (struct http_request){.method = method,
                                       .headers = header,
                                       .n_headers = header ? 1 : 0,
                                       .timeout_ms = 10000,
                                       .response_body = &b->body,
                                       .done = on_answer};
    http_start(peer, &b->request);
    world_until(b->loop, b->answered);
    http_peer_free(peer);
    assert_int_equal(b->err, OK);
    return b->status;
}

static int get(struct bench *b, const char *path)
{
    return ask_with(b, "GET", path, NULL);
}

static bool says(struct bench *b, const char *text)
{
    return b->body.p && strstr(b->body.p, text);
}

static bool has_header(struct bench *b, const char *line)
{
    return strcasestr(b->headers, line) != NULL;
}

/* ---- routing ---- */

static void test_paths(void **state)
{
    static const struct {
        const char *path;
        int status;
        const char *type;
    } cases[] = {
        {"/", 200, "text/html"},
        {"/targets", 200, "text/html"},
        {"/status", 200, "text/html"},
        {"/agent", 200, "text/html"},
        {"/service-discovery", 200, "text/html"},
        {"/relabel", 200, "text/html"},
        {"/config", 200, "text/html"},
        {"/flags", 200, "text/html"},
        {"/debug/", 200, "text/html"},
        {"/debug/pprof/heap", 302, ""},
        {"/version", 200, "text/plain"},
        {"/federate", 500, "text/plain"},
        {"/api/v1/features", 200, "application/json"},
        {"/api/v1/notifications", 200, "application/json"},
        {"/api/v1/notifications/live", 204, ""},
        {"/api/v1/status/walreplay", 200, "application/json"},
        {"/api/v1/status/self_metrics", 200, "application/json"},
        {"/api/v1/metadata", 200, "application/json"},
        {"/api/v1/metadata?limit=x", 400, "application/json"},
        {"/api/v1/targets/metadata", 200, "application/json"},
        {"/api/v1/targets/metadata?match_target={", 400, "application/json"},
        {"/api/v1/targets/relabel_steps", 400, "application/json"},
        {"/api/v1/targets/relabel_steps?scrapePool=node", 400, "application/json"},
        {"/api/v1/targets/relabel_steps?scrapePool=none&labels={}", 400, "application/json"},
        {"/api/v1/scrape_pools/config", 400, "application/json"},
        {"/api/v1/scrape_pools/config?scrapePool=none", 400, "application/json"},
        {"/api/v1/write", 405, "text/plain"},
        {"/api/v1/search/metric_names", 500, "application/json"},
        {"/metrics", 200, "text/plain; version=0.0.4"},
        {"/-/healthy", 200, "text/plain"},
        {"/-/ready", 200, "text/plain"},
        {"/-/nothing", 404, "text/plain"},
        {"/-/", 404, "text/plain"},
        {"/nothing", 404, "text/plain"},
        {"/metrics/", 404, "text/plain"},
        {"/api/v1/targets", 200, "application/json"},
        {"/api/v1/scrape_pools", 200, "application/json"},
        {"/api/v1/status/config", 200, "application/json"},
        {"/api/v1/status/flags", 200, "application/json"},
        {"/api/v1/status/buildinfo", 200, "application/json"},
        {"/api/v1/status/runtimeinfo", 200, "application/json"},
        {"/api/v1/query?query=up", 422, "application/json"},
        {"/api/v1/label/job/values", 422, "application/json"},
        {"/api/v1/nothing", 404, "text/plain"},
        {"/api/v1/", 404, "text/plain"},
        {"/federate", 500, "text/plain"},
    };
    struct bench *b = open_bench("", false, ".*");

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int status = get(b, cases[i].path);
        if (status != cases[i].status || strncmp(b->type, cases[i].type, strlen(cases[i].type)) != 0)
            fail_msg("%s: %d %s", cases[i].path, status, b->type);
    }
    close_bench(b);
}

static void test_route_prefix(void **state)
{
    struct bench *b = open_bench("/ship/log", false, ".*");

    (void)state;
    assert_int_equal(get(b, "/"), 302);
    assert_true(has_header(b, "Location: /ship/log/\n"));
    assert_int_equal(get(b, "/ship/log"), 302);
    assert_int_equal(get(b, "/ship/log/"), 200);
    assert_true(says(b, "href=\"/ship/log/targets\""));
    assert_int_equal(get(b, "/ship/log/-/healthy"), 200);
    assert_int_equal(get(b, "/ship/log/api/v1/scrape_pools"), 200);
    assert_int_equal(get(b, "/-/healthy"), 404);
    assert_int_equal(get(b, "/ship/logbook"), 404);
    close_bench(b);
}

static void test_an_answer_that_waits_for_the_workers(void **state)
{
    struct bench *b = open_bench("", false, ".*");

    (void)state;
    b->late = true;
    assert_int_equal(get(b, "/"), 200);
    assert_true(says(b, "metrics known"));
    close_bench(b);
}

static void test_readiness(void **state)
{
    struct bench *b = open_bench("", false, ".*");

    (void)state;
    assert_int_equal(get(b, "/-/ready"), 200);
    b->ready = false;
    assert_int_equal(get(b, "/-/ready"), 503);
    assert_int_equal(get(b, "/-/healthy"), 200); /* or ECS would kill what is draining */
    assert_int_equal(get(b, "/metrics"), 200);
    assert_true(says(b, "\nprometheus_ready 0\n"));
    close_bench(b);
}

/* ---- lifecycle ---- */

static void test_lifecycle_is_off_by_default(void **state)
{
    struct bench *b = open_bench("", false, ".*");

    (void)state;
    assert_int_equal(ask_with(b, "POST", "/-/reload", NULL), 403);
    assert_string_equal(b->body.p, "Lifecycle API is not enabled.");
    assert_int_equal(ask_with(b, "PUT", "/-/quit", NULL), 403);
    assert_int_equal(get(b, "/-/quit"), 405);
    assert_int_equal(b->reloads, 0);
    assert_false(b->quit);
    close_bench(b);
}

static void test_lifecycle(void **state)
{
    struct bench *b = open_bench("", true, ".*");

    (void)state;
    assert_int_equal(get(b, "/-/reload"), 405);
    assert_string_equal(b->body.p, "Only POST or PUT requests allowed");
    assert_int_equal(b->reloads, 0);
    assert_int_equal(ask_with(b, "POST", "/-/reload", NULL), 200);
    assert_int_equal(ask_with(b, "PUT", "/-/reload", NULL), 200);
    assert_int_equal(b->reloads, 2);
    b->reload_result = ERR_SYNTAX;
    assert_int_equal(ask_with(b, "POST", "/-/reload", NULL), 500);
    assert_string_equal(b->body.p, "failed to reload config: x.yml:3:5: no such key\n");
    assert_int_equal(get(b, "/-/quit"), 405);
    assert_false(b->quit);
    assert_int_equal(ask_with(b, "POST", "/-/quit", NULL), 200);
    assert_true(says(b, "Requesting termination... Goodbye!"));
    assert_true(b->quit);
    close_bench(b);
}

/* ---- CORS ---- */

static int ask_from(struct bench *b, const char *origin)
{
    struct http_header h = {.name = STR("Origin"), .value = str_c(origin)};
    return ask_with(b, "GET", "/api/v1/scrape_pools", &h);
}

static void test_cors(void **state)
{
    struct bench *b = open_bench("", false, ".*");

    (void)state;
    get(b, "/api/v1/scrape_pools");
    assert_false(has_header(b, "Access-Control-"));
    assert_true(has_header(b, "Vary: Origin\n"));
    assert_int_equal(ask_from(b, "https://x.example"), 200);
    assert_true(has_header(b, "Access-Control-Allow-Origin: *\n"));
    assert_true(has_header(b, "Access-Control-Allow-Methods: GET, POST, OPTIONS\n"));
    assert_true(has_header(b, "Access-Control-Expose-Headers: Date\n"));
    close_bench(b);
    b = open_bench("", false, "https?://(a|b)\\.example");
    ask_from(b, "https://b.example");
    assert_true(has_header(b, "Access-Control-Allow-Origin: https://b.example\n"));
    ask_from(b, "https://b.example.evil"); /* anchored */
    assert_false(has_header(b, "Access-Control-Allow-Origin"));
    assert_int_equal(ask_with(b, "OPTIONS", "/api/v1/targets", NULL), 204);
    close_bench(b);
}

static void test_bad_options(void **state)
{
    struct bench *b = open_bench("", false, ".*");
    struct web_options o = b->o;
    struct web *second = NULL;
    struct diag d = {0};
    char taken[32];
    struct str address;

    (void)state;
    o.cors_origin = STR("(");
    assert_int_not_equal(web_new(b->loop, &o, &second, &d), OK);
    o = b->o;
    snprintf(taken, sizeof(taken), "127.0.0.1:%d", web_port(b->web));
    address = str_c(taken);
    o.addresses = &address;
    diag_reset(&d);
    assert_int_equal(web_new(b->loop, &o, &second, &d), ERR_NET);
    assert_non_null(strstr(d.text, taken));
    assert_null(second);
    close_bench(b);
}

/* ---- the API's shapes ---- */

static void test_api_targets(void **state)
{
    struct bench *b = open_bench("", false, ".*");

    (void)state;
    get(b, "/api/v1/targets");
    const char *head =
        "{\"status\":\"success\",\"data\":{\"activeTargets\":[{\"discoveredLabels\":{\"__address__\":\"c:80\","
        "\"__scheme__\":\"http\"},\"labels\":{\"instance\":\"c:80\",\"job\":\"a & b\"},\"scrapePool\":\"a & b\","
        "\"scrapeUrl\":\"http://c/metrics\",\"globalUrl\":\"http://c/metrics\",\"lastError\":\"\","
        "\"lastScrape\":\"0001-01-01T00:00:00Z\",\"lastScrapeDuration\":0,\"health\":\"unknown\","
        "\"scrapeInterval\":\"1m\",\"scrapeTimeout\":\"10s\"},{";
    if (strncmp(b->body.p, head, strlen(head)) != 0)
        fail_msg("got  %s\nwant %s", b->body.p, head);
    assert_true(says(b, "\"lastScrape\":\"2023-11-14T22:13:20.123Z\",\"lastScrapeDuration\":0.0625,\"health\":\"up\""));
    assert_true(says(b, "\"lastError\":\"server said <script>\\\"&'\""));
    assert_true(says(b, "],\"droppedTargets\":[{\"discoveredLabels\":{\"__address__\":\"gone:1\",\"job\":\"node\"},"
                        "\"scrapePool\":\"node\"}],\"droppedTargetCounts\":{\"a & b\":0,\"node\":7}}}"));
    close_bench(b);
}

static uint32_t count(struct bench *b, const char *path, const char *list)
{
    struct arena a = {0};
    struct node *root = NULL;

    get(b, path);
    assert_int_equal(tree_parse_json(buf_view(&b->body), "answer", &a, &root, NULL), OK);
    const struct node *n = node_find(node_find(root, "data"), list);
    uint32_t children = n->kind == NODE_NULL ? UINT32_MAX : n->n;
    arena_release(&a);
    return children;
}

static void test_api_targets_by_state_and_pool(void **state)
{
    struct bench *b = open_bench("", false, ".*");

    (void)state;
    assert_int_equal(count(b, "/api/v1/targets?state=any", "activeTargets"), 3);
    assert_int_equal(count(b, "/api/v1/targets?state=active", "activeTargets"), 3);
    assert_int_equal(count(b, "/api/v1/targets?state=active", "droppedTargets"), 0);
    assert_int_equal(count(b, "/api/v1/targets?state=active", "droppedTargetCounts"), UINT32_MAX); /* null */
    assert_int_equal(count(b, "/api/v1/targets?state=Dropped", "activeTargets"), 0);
    assert_int_equal(count(b, "/api/v1/targets?state=dropped", "droppedTargets"), 1);
    assert_int_equal(count(b, "/api/v1/targets?scrapePool=node", "activeTargets"), 2);
    assert_int_equal(count(b, "/api/v1/targets?scrapePool=a%20%26+b", "activeTargets"), 1);
    assert_int_equal(count(b, "/api/v1/targets?scrapePool=a%20%26+b", "droppedTargets"), 0);
    assert_int_equal(count(b, "/api/v1/targets?scrapePool=none", "activeTargets"), 0);
    close_bench(b);
}

static void test_api_status(void **state)
{
    struct bench *b = open_bench("", false, ".*");

    (void)state;
    get(b, "/api/v1/scrape_pools");
    assert_string_equal(b->body.p, "{\"status\":\"success\",\"data\":{\"scrapePools\":[\"a & b\",\"node\"]}}");
    get(b, "/api/v1/status/config");
    assert_string_equal(b->body.p,
                        "{\"status\":\"success\",\"data\":{\"yaml\":\"global:\\n  scrape_interval: 15s\\n\"}}");
    get(b, "/api/v1/status/flags");
    assert_string_equal(b->body.p,
                        "{\"status\":\"success\",\"data\":{\"web.page-title\":\"leadline\",\"x\":\"\\\"\"}}");
    get(b, "/api/v1/status/buildinfo");
    assert_true(says(b, "{\"status\":\"success\",\"data\":{\"version\":\"3."));
    get(b, "/api/v1/status/runtimeinfo");
    assert_true(says(b, "\"startTime\":\"2023-07-22T04:26:40Z\"") ||
                says(b, "\"startTime\":\"2023-07-22T04:26:40.000Z\""));
    assert_true(says(b, "\"reloadConfigSuccess\":true"));
    b->good = false;
    get(b, "/api/v1/status/runtimeinfo");
    assert_true(says(b, "\"reloadConfigSuccess\":false"));
    close_bench(b);
}

static void test_api_without_a_store(void **state)
{
    struct bench *b = open_bench("", false, ".*");

    (void)state;
    assert_int_equal(get(b, "/api/v1/series"), 422);
    assert_string_equal(
        b->body.p,
        "{\"status\":\"error\",\"errorType\":\"execution\",\"error\":\"unavailable with Prometheus Agent\"}");
    assert_int_equal(ask_with(b, "POST", "/api/v1/write", NULL), 404);
    close_bench(b);
}

static void test_families(void **state)
{
    struct bench *b = open_bench("", false, ".*");

    (void)state;
    get(b, "/api/v1/metadata");
    assert_true(b->families);
    assert_string_equal(
        b->body.p,
        "{\"status\":\"success\",\"data\":{\"a_total\":[{\"type\":\"counter\",\"unit\":\"\",\"help\":\"One.\"},"
        "{\"type\":\"counter\",\"unit\":\"\",\"help\":\"Other.\"}],"
        "\"b_bytes\":[{\"type\":\"gauge\",\"unit\":\"bytes\",\"help\":\"\"}]}}");
    get(b, "/api/v1/metadata?metric=a_total&limit_per_metric=1");
    assert_string_equal(b->body.p, "{\"status\":\"success\",\"data\":{\"a_total\":[{\"type\":\"counter\",\"unit\":\"\","
                                   "\"help\":\"One.\"}]}}");
    get(b, "/api/v1/metadata?limit=0");
    assert_true(says(b, "\"data\":{}"));
    get(b, "/api/v1/targets/metadata?match_target={instance=~%2210.*:9100%22}");
    assert_true(says(
        b, "\"target\":{\"instance\":\"10.0.0.1:9100\",\"job\":\"node\"},\"metric\":\"a_total\",\"type\":\"counter\","
           "\"help\":\"One.\",\"unit\":\"\""));
    assert_false(says(b, "Other."));
    get(b, "/api/v1/targets/metadata?metric=b_bytes&limit=1");
    assert_true(says(b, "\"type\":\"gauge\",\"help\":\"\",\"unit\":\"bytes\"}]}"));
    assert_false(says(b, "\"metric\""));
    get(b, "/api/v1/targets/metadata?match_target=up{x!=%22%22}");
    assert_true(says(b, "\"data\":[]"));
    close_bench(b);
}

/* ---- pages ---- */

static void test_pages_escape_what_comes_from_outside(void **state)
{
    static const char *const paths[] = {"/",
                                        "/targets",
                                        "/targets?health=down",
                                        "/targets?pool=node",
                                        "/service-discovery",
                                        "/service-discovery?pool=node",
                                        "/relabel",
                                        "/relabel?pool=<script>",
                                        "/relabel?pool=node&target=<script>",
                                        "/relabel?pool=node&labels=<script>",
                                        "/config",
                                        "/flags",
                                        "/debug/"};
    struct bench *b = open_bench("", false, ".*");

    (void)state;
    b->plan->n_warnings = 1;
    b->plan->warnings = ARENA_ARRAY(&b->plan->arena, struct str, 1);
    b->plan->warnings[0] = STR("careful with " EVIL);
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        assert_int_equal(get(b, paths[i]), 200);
        assert_false(says(b, "<script"));
        assert_true(says(b, "&lt;script&gt;&quot;&amp;"));
        assert_true(says(b, "</html>\n"));
    }
    close_bench(b);
}

static void test_status_page(void **state)
{
    struct bench *b = open_bench("", false, ".*");

    (void)state;
    get(b, "/");
    assert_true(says(b, "1 target down"));
    assert_true(says(b, "read <b>100</b> = delivered <b class=\"good\">70</b> + waiting <b class=\"warn\">20</b> + "
                        "dropped <b class=\"bad\">10</b>"));
    assert_true(says(b, "4,321"));
    assert_false(says(b, "The last reload failed"));
    b->good = false;
    get(b, "/");
    assert_true(says(b, "The last reload failed"));
    assert_false(says(b, "http-equiv=\"refresh\" content=\"0"));
    assert_false(says(b, "src=\"http")); /* no outside asset */
    close_bench(b);
}

static void test_targets_page(void **state)
{
    struct bench *b = open_bench("", false, ".*");

    (void)state;
    get(b, "/targets");
    assert_true(says(b, "10.0.0.1:9100/metrics") && says(b, "10.0.0.2:9100/metrics") && says(b, "http://c/metrics"));
    assert_true(says(b, "1,234,567"));
    get(b, "/targets?health=down");
    assert_true(says(b, "10.0.0.2:9100/metrics"));
    assert_false(says(b, "10.0.0.1:9100/metrics"));
    get(b, "/targets?pool=a%20%26%20b");
    assert_true(says(b, "http://c/metrics"));
    assert_false(says(b, "10.0.0.1:9100/metrics"));
    close_bench(b);
}

/* ---- metrics ---- */

static void test_metrics(void **state)
{
    struct bench *b = open_bench("", false, ".*");
    struct counter *c = counter_new(b->counters, COUNTER_TOTAL, "test_total", "Of this test.", NULL, 0);

    (void)state;
    counter_add(c, 5);
    get(b, "/metrics");
    assert_true(says(b, "# TYPE test_total counter\ntest_total 5\n"));
#define SINK "{remote_name=\"amp<script>\\\"&'\""
    assert_true(says(b, "\nleadline_samples_read_total" SINK "} 100\n"));
    assert_true(says(b, "\nleadline_samples_delivered_total" SINK "} 70\n"));
    assert_true(says(b, "\nleadline_samples_waiting" SINK "} 20\n"));
    assert_true(says(b, "\nleadline_samples_dropped_total" SINK ",reason=\"refused\"} 9\n"));
    assert_true(says(b, "\nleadline_samples_dropped_total" SINK ",reason=\"relabel\"} 1\n"));
    assert_true(says(b, "\nleadline_samples_dropped_total" SINK ",reason=\"crash\"} 0\n")); /* before it ever happens */
    assert_true(says(b, "\nleadline_possible_duplicates_total" SINK "} 5\n"));
    assert_true(says(b, "\nleadline_spool_waiting_requests" SINK "} 2\n"));
    assert_true(says(b, "\nleadline_spool_waiting_bytes" SINK "} 999\n"));
    assert_true(says(b, "\nleadline_targets{scrape_job=\"node\",health=\"down\"} 1\n"));
    assert_true(says(b, "\nleadline_targets{scrape_job=\"a & b\",health=\"unknown\"} 1\n"));
    assert_true(says(b, "\nprocess_start_time_seconds 1.69e+09\n"));
    assert_true(says(b, "\nprocess_resident_memory_bytes "));
    assert_true(says(b, "\nprometheus_ready 1\n"));
    close_bench(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_route_prefix),
        cmocka_unit_test(test_an_answer_that_waits_for_the_workers),
        cmocka_unit_test(test_readiness),
        cmocka_unit_test(test_lifecycle_is_off_by_default),
        cmocka_unit_test(test_lifecycle),
        cmocka_unit_test(test_cors),
        cmocka_unit_test(test_bad_options),
        cmocka_unit_test(test_api_targets),
        cmocka_unit_test(test_api_targets_by_state_and_pool),
        cmocka_unit_test(test_api_status),
        cmocka_unit_test(test_api_without_a_store),
        cmocka_unit_test(test_families),
        cmocka_unit_test(test_pages_escape_what_comes_from_outside),
        cmocka_unit_test(test_status_page),
        cmocka_unit_test(test_targets_page),
        cmocka_unit_test(test_metrics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

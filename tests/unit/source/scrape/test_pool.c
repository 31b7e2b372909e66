/* From target groups to targets, and what changes between two states of discovery. */
#include "unit/source/scrape/world.h"

#include "base/hash.h"
#include "base/regex.h"
#include "source/scrape/pool.h"

/* ---- a pool whose targets are written down ----------------------------------------------------------------------- */

struct fixture {
    struct plan *plan;
    struct plan_scrape config;
    struct counters *counters;
    struct scrape_pool *pool;
    struct scrape_target_consumer consumer;
    struct buf events; /* "+url", "~url", "-identity" per line */
    struct scrape_target *last;
};

static struct fixture *fx;

static void note(char what, struct scrape_target *t)
{
    buf_printf(&fx->events, "%c%.*s%s\n", what, STR_ARGS(t->url), t->over_limit ? " over" : "");
    scrape_target_unref(fx->last);
    fx->last = t;
}

static void on_add(struct scrape_target_consumer *self, struct scrape_target *t)
{
    (void)self;
    note('+', t);
}

static void on_update(struct scrape_target_consumer *self, struct scrape_target *t)
{
    (void)self;
    note('~', t);
}

static void on_remove(struct scrape_target_consumer *self, uint64_t identity, uint32_t lane)
{
    (void)self;
    (void)identity;
    assert_true(lane < LANES);
    buf_c(&fx->events, "-\n");
}

static int setup(void **state)
{
    world_reset();
    fx = NEW(struct fixture);
    fx->plan = plan_new();
    fx->config = (struct plan_scrape){
        .job_name = STR("node"),
        .interval_ms = 15000,
        .timeout_ms = 10000,
        .metrics_path = STR("/metrics"),
        .scheme = STR("http"),
    };
    fx->counters = counters_new();
    fx->consumer = (struct scrape_target_consumer){on_add, on_update, on_remove};
    *state = fx;
    return 0;
}

static void open_pool(uint32_t n_discoverers)
{
    struct scrape_pool_options o = {.offset_seed = 42, .reload_interval_ms = 5000, .counters = fx->counters};

    fx->pool = scrape_pool_new(NULL, fx->plan, &fx->config, &o, n_discoverers, &fx->consumer);
}

static int teardown(void **state)
{
    (void)state;
    scrape_pool_free(fx->pool);
    scrape_target_unref(fx->last);
    assert_int_equal(world.n_timers, 0);
    assert_int_equal(atomic_load(&fx->plan->refs), 1);
    plan_unref(fx->plan);
    counters_free(fx->counters);
    buf_release(&fx->events);
    free(fx);
    return 0;
}

static const char *events(void)
{
    static struct buf copy;

    buf_release(&copy);
    buf_take(&fx->events, &copy);
    return copy.p ? copy.p : "";
}

#define assert_events(expected) assert_str_c(str_c(events()), (expected))

/* "a=1 b=2" as a sorted set; a value may be empty. */
static struct labels labels_of(const char *text, struct arena *a)
{
    struct str rest = str_c(text);
    struct str item;
    struct label *v = ARENA_ARRAY(a, struct label, 32);
    uint32_t n = 0;

    while (rest.n) {
        str_cut(rest, ' ', &item, &rest);
        str_cut(item, '=', &v[n].name, &v[n].value);
        n++;
    }
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t k = i; k > 0 && str_cmp(v[k - 1].name, v[k].name) > 0; k--) {
            struct label swap = v[k];
            v[k] = v[k - 1];
            v[k - 1] = swap;
        }
    }
    return (struct labels){v, n};
}

/* One group of targets, NULL-terminated, to one input. */
static void discover(uint32_t input, const char *group, const char *const *targets)
{
    struct target_groups *g = target_groups_new();
    uint32_t n = 0;

    while (targets[n])
        n++;
    struct labels *v = ARENA_ARRAY(&g->arena, struct labels, n + 1);
    for (uint32_t i = 0; i < n; i++)
        v[i] = labels_of(targets[i], &g->arena);
    g->groups = ARENA_NEW(&g->arena, struct target_group);
    g->groups[0] = (struct target_group){STR("0"), labels_of(group, &g->arena), v, n};
    g->n = 1;
    struct target_consumer *consumer = scrape_pool_input(fx->pool, input);
    consumer->update(consumer, g);
}

#define DISCOVER(input, ...) discover((input), "", (const char *const[]){__VA_ARGS__, NULL})

static const struct scrape_target *only(void)
{
    struct scrape_target *const *v;

    assert_int_equal(scrape_pool_targets(fx->pool, &v), 1);
    return v[0];
}

static const char *printed(struct labels l)
{
    static struct buf text;

    buf_release(&text);
    labels_print(l, &text);
    return text.p;
}

/* ---- one target -------------------------------------------------------------------------------------------------- */

static void a_target_has_what_the_configuration_says(void **state)
{
    (void)state;
    open_pool(1);
    DISCOVER(0, "__address__=h:9100 __meta_x=m env=prod");
    assert_events("+http://h:9100/metrics\n");
    assert_string_equal(printed(only()->labels), "{env=\"prod\", instance=\"h:9100\", job=\"node\"}");
    assert_string_equal(
        printed(only()->discovered),
        "{__address__=\"h:9100\", __always_scrape_classic_histograms__=\"false\", "
        "__convert_classic_histograms_to_nhcb__=\"false\", __meta_x=\"m\", __metrics_path__=\"/metrics\", "
        "__scheme__=\"http\", __scrape_interval__=\"15s\", __scrape_native_histograms__=\"false\", "
        "__scrape_timeout__=\"10s\", env=\"prod\", job=\"node\"}");
    assert_int_equal(only()->interval_ms, 15000);
    assert_int_equal(only()->timeout_ms, 10000);
    assert_int_equal(only()->lane, labels_hash(only()->labels) % LANES);
    assert_true(only()->offset_ns < 15000000000ULL);
}

static void labels_of_the_target_win_over_the_groups(void **state)
{
    (void)state;
    open_pool(1);
    discover(0, "a=group b=group c=group job=mine",
             (const char *const[]){"__address__=h:1 __metrics_path__=/m a=target b=", NULL});
    assert_string_equal(printed(only()->labels), "{a=\"target\", c=\"group\", instance=\"h:1\", job=\"mine\"}");
    assert_str_c(only()->url, "http://h:1/m");
}

static void parameters_are_labels_and_labels_are_parameters(void **state)
{
    struct str values[2] = {STR("http_2xx"), STR("a b&c")};
    struct plan_param params[2] = {{STR("module"), values, 2}, {STR("empty"), NULL, 0}};
    (void)state;
    fx->config.params = params;
    fx->config.n_params = 2;
    fx->config.metrics_path = STR("/probe");
    open_pool(1);
    DISCOVER(0, "__address__=h:1 __param_target=http://x/?y=1");
    assert_str_c(only()->url, "http://h:1/probe?module=http_2xx&module=a+b%26c&target=http%3A%2F%2Fx%2F%3Fy%3D1");
    assert_str_c(labels_get(only()->discovered, STR("__param_module")), "http_2xx");
    DISCOVER(0, "__address__=h:1 __param_module=tcp");
    world_run(5000);
    assert_str_c(only()->url, "http://h:1/probe?module=tcp&module=a+b%26c");
}

static void a_url_is_escaped_as_the_original_does(void **state)
{
    static const struct {
        const char *target, *url;
    } cases[] = {
        {"__address__=[::1]:9100", "http://[::1]:9100/metrics"},
        {"__address__=h:1 __metrics_path__=metrics", "http://h:1/metrics"},
        {"__address__=h:1 __metrics_path__=/a?b=c", "http://h:1/a%3Fb=c"},
        {"__address__=h:1 __metrics_path__=/a(b)%20", "http://h:1/a%28b%29%2520"},
        {"__address__=h:1 __metrics_path__=/\xc3\xa4;x,y@z", "http://h:1/%C3%A4;x,y@z"},
        {"__address__=h%:1", "http://h%25:1/metrics"},
    };
    (void)state;
    open_pool(1);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        DISCOVER(0, cases[i].target);
        world_run(5000);
        assert_str_c(only()->url, cases[i].url);
    }
}

static void an_interval_may_be_the_targets_own(void **state)
{
    (void)state;
    open_pool(1);
    DISCOVER(0, "__address__=h:1 __scrape_interval__=1m30s __scrape_timeout__=500ms");
    assert_int_equal(only()->interval_ms, 90000);
    assert_int_equal(only()->timeout_ms, 500);
}

static void how_histograms_are_read_may_be_the_targets_own(void **state)
{
    (void)state;
    fx->config.always_scrape_classic_histograms = true;
    fx->config.scrape_native_histograms = true;
    fx->config.series_limit = 7;
    open_pool(1);
    DISCOVER(0, "__address__=h:1");
    assert_true(only()->histograms.native && only()->histograms.classic_too && !only()->histograms.convert);
    assert_int_equal(only()->series_limit, 7);
    assert_str_c(labels_get(only()->discovered, STR("__scrape_native_histograms__")), "true");
    DISCOVER(0, "__address__=h:1 __scrape_native_histograms__=F __always_scrape_classic_histograms__=0 "
                "__convert_classic_histograms_to_nhcb__=True __series_limit__=0");
    world_run(5000);
    assert_events("+http://h:1/metrics\n~http://h:1/metrics\n");
    assert_true(!only()->histograms.native && !only()->histograms.classic_too && only()->histograms.convert);
    assert_int_equal(only()->series_limit, 0);
    assert_string_equal(printed(only()->labels), "{instance=\"h:1\", job=\"node\"}");
}

static void bad_targets_are_left_out_and_counted(void **state)
{
    static const char *const bad[] = {
        "env=x",
        "__address__=h/x",
        "__address__=h:1 __scrape_interval__=x",
        "__address__=h:1 __scrape_interval__=0s",
        "__address__=h:1 __scrape_timeout__=20s",
        "__address__=h:1 __scrape_timeout__=0s",
        "__address__=h:1 __scrape_native_histograms__=maybe",
        "__address__=h:1 __series_limit__=many",
        "__address__=h:1 env=\xff",
        "__address__=h:1 __unix_socket__=/run/x",
        "__address__=good:1",
        NULL,
    };
    (void)state;
    open_pool(1);
    discover(0, "", bad);
    assert_events("+http://good:1/metrics\n");
    assert_true(counters_sum(fx->counters, "prometheus_target_sync_failed_total", NULL, 0) == 10);
}

/* ---- relabelling ------------------------------------------------------------------------------------------------- */

static struct relabel_rules *rule(enum relabel_action action, const char *source, const char *target, const char *regex,
                                  const char *replacement)
{
    static struct str sources[1];
    static struct relabel_rule r;
    static struct relabel_rules rules = {&r, 1};

    sources[0] = str_c(source);
    r = (struct relabel_rule){
        .action = action,
        .source_labels = sources,
        .n_source_labels = 1,
        .separator = STR(";"),
        .target_label = str_c(target),
        .replacement = str_c(replacement),
    };
    assert_int_equal(regex_new(str_c(regex), &r.regex, NULL), OK);
    return &rules;
}

static void relabelling_chooses_and_changes_targets(void **state)
{
    const struct scrape_dropped *dropped;
    uint64_t total;
    (void)state;
    fx->config.relabel = rule(RELABEL_KEEP, "__meta_role", "", "db", "$1");
    fx->config.keep_dropped_targets = 1;
    open_pool(1);
    DISCOVER(0, "__address__=a:1 __meta_role=db", "__address__=b:1 __meta_role=web", "__address__=c:1");
    assert_events("+http://a:1/metrics\n");
    assert_int_equal(scrape_pool_dropped(fx->pool, &dropped, &total), 1);
    assert_int_equal(total, 2);
    assert_str_c(labels_get(dropped[0].discovered, STR("__address__")), "b:1");
    regex_free(fx->config.relabel->rules[0].regex);
}

static void the_address_that_relabelling_gives_is_the_one_asked(void **state)
{
    (void)state;
    fx->config.relabel = rule(RELABEL_REPLACE, "__meta_ip", "__address__", "(.+)", "$1:9999");
    open_pool(1);
    DISCOVER(0, "__address__=a:1 __meta_ip=10.0.0.1 instance=me");
    assert_str_c(only()->url, "http://10.0.0.1:9999/metrics");
    assert_string_equal(printed(only()->labels), "{instance=\"me\", job=\"node\"}");
    regex_free(fx->config.relabel->rules[0].regex);
}

/* ---- identity ---------------------------------------------------------------------------------------------------- */

static void equal_targets_are_one(void **state)
{
    (void)state;
    open_pool(2);
    DISCOVER(0, "__address__=a:1", "__address__=a:1", "__address__=a:1 __meta_x=other");
    DISCOVER(1, "__address__=a:1");
    assert_events("+http://a:1/metrics\n");
    only();
}

static void only_the_difference_is_told(void **state)
{
    (void)state;
    open_pool(1);
    DISCOVER(0, "__address__=a:1", "__address__=b:1");
    assert_events("+http://a:1/metrics\n+http://b:1/metrics\n");
    world_run(5000);
    DISCOVER(0, "__address__=a:1", "__address__=b:1");
    assert_events("");
    world_run(5000);
    DISCOVER(0, "__address__=c:1", "__address__=b:1");
    assert_events("-\n+http://c:1/metrics\n");
    world_run(5000);
    DISCOVER(0, "__address__=c:1", "__address__=b:1 __meta_new=1");
    assert_events("~http://b:1/metrics\n");
}

static void an_interval_makes_no_other_target(void **state)
{
    (void)state;
    open_pool(1);
    DISCOVER(0, "__address__=a:1");
    uint64_t identity = only()->identity;
    events();
    world_run(5000);
    DISCOVER(0, "__address__=a:1 __scrape_interval__=30s");
    assert_events("~http://a:1/metrics\n");
    assert_int_equal(only()->identity, identity);
}

static void offsets_are_stable_and_differ(void **state)
{
    (void)state;
    open_pool(1);
    DISCOVER(0, "__address__=a:1");
    uint64_t a = only()->offset_ns;
    AUTO_BUF text = {0};
    struct arena arena = {0};
    struct labels all = labels_of("__address__=a:1 __always_scrape_classic_histograms__=false "
                                  "__convert_classic_histograms_to_nhcb__=false __metrics_path__=/metrics "
                                  "__scheme__=http __scrape_interval__=15s __scrape_native_histograms__=false "
                                  "__scrape_timeout__=10s instance=a:1 job=node",
                                  &arena);
    buf_printf(&text, "%016llu%s", (unsigned long long)labels_hash(all), "http://a:1/metrics");
    uint64_t original = (hash_fnv1a64(buf_view(&text), HASH_FNV1A64_INIT) ^ 42) % 15000000000ULL;
    assert_int_equal(a, original - original % 100000000); /* in steps, so that neighbours share a wake-up */
    arena_release(&arena);
    world_run(5000);
    DISCOVER(0, "__address__=b:1");
    assert_int_not_equal(only()->offset_ns, a);
}

/* ---- limits and pace --------------------------------------------------------------------------------------------- */

static void over_the_target_limit_all_targets_fail(void **state)
{
    (void)state;
    fx->config.target_limit = 2;
    open_pool(1);
    DISCOVER(0, "__address__=a:1", "__address__=b:1");
    assert_events("+http://a:1/metrics\n+http://b:1/metrics\n");
    world_run(5000);
    DISCOVER(0, "__address__=a:1", "__address__=b:1", "__address__=c:1");
    assert_events("~http://a:1/metrics over\n~http://b:1/metrics over\n+http://c:1/metrics over\n");
    assert_str_c(fx->last->forced_error, "target_limit exceeded (number of targets: 3, limit: 2)");
    assert_true(counters_sum(fx->counters, "prometheus_target_scrape_pool_exceeded_target_limit_total", NULL, 0) == 1);
    world_run(5000);
    DISCOVER(0, "__address__=a:1", "__address__=b:1");
    assert_events("-\n~http://a:1/metrics\n~http://b:1/metrics\n");
}

static void the_first_report_counts_at_once_later_ones_in_turn(void **state)
{
    (void)state;
    open_pool(2);
    DISCOVER(0, "__address__=a:1");
    DISCOVER(1, "__address__=x:1");
    assert_events("+http://a:1/metrics\n+http://x:1/metrics\n");
    DISCOVER(0, "__address__=b:1");
    DISCOVER(0, "__address__=c:1");
    assert_events("");
    world_run(4999);
    assert_events("");
    world_run(1);
    assert_events("-\n+http://c:1/metrics\n");
    world_run(60000);
    DISCOVER(0, "__address__=d:1");
    assert_events("-\n+http://d:1/metrics\n");
}

/* ---- reload ------------------------------------------------------------------------------------------------------ */

static void a_reload_keeps_targets_until_discovery_has_reported(void **state)
{
    struct plan_scrape changed = fx->config;
    struct plan *plan = plan_new();
    (void)state;
    open_pool(2);
    DISCOVER(0, "__address__=a:1");
    DISCOVER(1, "__address__=b:1");
    events();
    changed.scheme = STR("https");
    scrape_pool_update(fx->pool, plan, &changed, 1);
    assert_int_equal(atomic_load(&fx->plan->refs), 1);
    assert_events("-\n-\n+https://a:1/metrics\n+https://b:1/metrics\n");
    DISCOVER(0, "__address__=a:1");
    assert_events("-\n");
    assert_ptr_equal(only()->plan, plan);
    scrape_pool_free(fx->pool);
    fx->pool = NULL;
    scrape_target_unref(fx->last);
    fx->last = NULL;
    assert_int_equal(atomic_load(&plan->refs), 1);
    plan_unref(plan);
}

static void a_reload_without_a_change_updates_each_target(void **state)
{
    struct plan_scrape same = fx->config;
    (void)state;
    open_pool(1);
    DISCOVER(0, "__address__=a:1");
    events();
    scrape_pool_update(fx->pool, fx->plan, &same, 1);
    assert_events("~http://a:1/metrics\n");
    scrape_pool_free(fx->pool);
    fx->pool = NULL;
}

static void a_pool_that_goes_takes_its_targets_along(void **state)
{
    (void)state;
    open_pool(1);
    DISCOVER(0, "__address__=a:1", "__address__=b:1");
    events();
    scrape_pool_free(fx->pool);
    fx->pool = NULL;
    assert_events("-\n-\n");
    assert_true(counters_sum(fx->counters, "prometheus_target_scrape_pools_total", NULL, 0) == 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_target_has_what_the_configuration_says),
        TEST(labels_of_the_target_win_over_the_groups),
        TEST(parameters_are_labels_and_labels_are_parameters),
        TEST(a_url_is_escaped_as_the_original_does),
        TEST(an_interval_may_be_the_targets_own),
        TEST(how_histograms_are_read_may_be_the_targets_own),
        TEST(bad_targets_are_left_out_and_counted),
        TEST(relabelling_chooses_and_changes_targets),
        TEST(the_address_that_relabelling_gives_is_the_one_asked),
        TEST(equal_targets_are_one),
        TEST(only_the_difference_is_told),
        TEST(an_interval_makes_no_other_target),
        TEST(offsets_are_stable_and_differ),
        TEST(over_the_target_limit_all_targets_fail),
        TEST(the_first_report_counts_at_once_later_ones_in_turn),
        TEST(a_reload_keeps_targets_until_discovery_has_reported),
        TEST(a_reload_without_a_change_updates_each_target),
        TEST(a_pool_that_goes_takes_its_targets_along),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

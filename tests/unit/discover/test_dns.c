/* dns_sd on a real loop, against a DNS server in the test, by way of the real resolver: what becomes of records, names
 * that are not there, servers that fail, search domains and answers that do not fit a datagram. */
#include "unit.h"

#include "base/mem.h"
#include "discover/discoverer.h"
#include "dns_server.h"
#include "net/resolver.h"
#include "world.h"

struct bench {
    struct loop *loop;
    struct counters *counters;
    struct discover_totals totals;
    struct poller *poller;
    struct resolver *resolver;
    struct world_folder folder;
    struct dns_server dns;
    struct plan *plan;
    struct plan_dns_sd config;
    struct str names[4];
    struct target_consumer consumer;
    struct buf last; /* "source: {labels}" per target */
    int updates;
    struct discoverer *d;
    bool after_reload;
};

static void update(struct target_consumer *self, struct target_groups *g)
{
    struct bench *b = CONTAINER_OF(self, struct bench, consumer);

    buf_clear(&b->last);
    buf_c(&b->last, "");
    for (uint32_t i = 0; i < g->n; i++) {
        if (g->groups[i].n_targets == 0)
            buf_printf(&b->last, "%.*s: none\n", STR_ARGS(g->groups[i].source));
        for (uint32_t k = 0; k < g->groups[i].n_targets; k++) {
            buf_printf(&b->last, "%.*s: ", STR_ARGS(g->groups[i].source));
            labels_print(g->groups[i].targets[k], &b->last);
            buf_char(&b->last, '\n');
        }
    }
    b->updates++;
    target_groups_free(g);
}

static struct bench *open_bench(const char *zone, const char *resolv_conf)
{
    struct bench *b = NEW(struct bench);
    char text[256], server[32];

    b->loop = loop_new("test");
    b->counters = counters_new();
    discover_totals_init(&b->totals, b->counters);
    b->folder = world_folder_new();
    dns_server_open(&b->dns, zone);
    b->poller = poller_new(b->loop);
    b->resolver = resolver_new(b->loop, b->poller);
    resolver_use_edns(b->resolver);
    snprintf(text, sizeof(text), "nameserver 127.0.0.1\n%s\n", resolv_conf);
    world_write(&b->folder, "resolv.conf", text);
    resolver_use_configuration(b->resolver, world_path(&b->folder, "resolv.conf"));
    snprintf(server, sizeof(server), "127.0.0.1:%d", b->dns.port);
    assert_int_equal(resolver_use_server(b->resolver, server), OK);
    b->plan = plan_new();
    b->consumer.update = update;
    return b;
}

static void start(struct bench *b, enum dns_sd_type type, uint16_t port, int64_t refresh_ms, const char *names)
{
    struct discover_env env = {.loop = b->loop,
                               .counters = b->counters,
                               .totals = &b->totals,
                               .resolver = b->resolver,
                               .config = STR("job"),
                               .after_reload = b->after_reload};
    struct str rest = str_c(names);

    b->config = (struct plan_dns_sd){.names = b->names, .type = type, .port = port, .refresh_ms = refresh_ms};
    while (rest.n)
        str_cut(rest, ' ', &b->names[b->config.n_names++], &rest);
    b->d = discover_dns_new(&env, b->plan, &b->config, &b->consumer);
    assert_int_equal(b->updates, 0);
}

static void close_bench(struct bench *b)
{
    if (b->d)
        b->d->stop(b->d);
    resolver_free(b->resolver);
    poller_free(b->poller, NULL, NULL);
    world_loop_free(b->loop);
    dns_server_close(&b->dns);
    counters_free(b->counters);
    plan_unref(b->plan);
    buf_release(&b->last);
    world_folder_free(&b->folder);
    free(b);
}

static double total(struct bench *b, const char *name)
{
    return counters_sum(b->counters, name, NULL, 0);
}

enum { RARELY = 3600 * 1000 };

/* One refresh of these names, to its report. */
static void finds(const char *zone, const char *conf, enum dns_sd_type type, const char *names, const char *want)
{
    struct bench *b = open_bench(zone, conf);

    start(b, type, 9100, RARELY, names);
    world_until(b->loop, b->updates == 1);
    assert_string_equal(b->last.p, want);
    assert_true(total(b, "prometheus_sd_dns_lookup_failures_total") == 0);
    close_bench(b);
}

static void test_record_types(void **state)
{
    (void)state;
    finds("x.test. SRV 9101 one.test.\nx.test. SRV 9102 two.test.\n", "", DNS_SD_SRV, "x.test",
          "x.test: {__address__=\"one.test:9101\", __meta_dns_name=\"x.test\", __meta_dns_srv_record_port=\"9101\", "
          "__meta_dns_srv_record_target=\"one.test.\"}\n"
          "x.test: {__address__=\"two.test:9102\", __meta_dns_name=\"x.test\", __meta_dns_srv_record_port=\"9102\", "
          "__meta_dns_srv_record_target=\"two.test.\"}\n");
    finds("x.test. A 192.0.2.1\nx.test. A 192.0.2.2\nx.test. AAAA 2001:db8::1\n", "", DNS_SD_A, "x.test",
          "x.test: {__address__=\"192.0.2.1:9100\", __meta_dns_name=\"x.test\"}\n"
          "x.test: {__address__=\"192.0.2.2:9100\", __meta_dns_name=\"x.test\"}\n");
    finds("x.test. AAAA 2001:db8::1\nx.test. AAAA ::ffff:192.0.2.7\n", "", DNS_SD_AAAA, "x.test",
          "x.test: {__address__=\"[2001:db8::1]:9100\", __meta_dns_name=\"x.test\"}\n"
          "x.test: {__address__=\"192.0.2.7:9100\", __meta_dns_name=\"x.test\"}\n");
    finds("x.test. MX mail.test.\n", "", DNS_SD_MX, "x.test",
          "x.test: {__address__=\"mail.test:9100\", __meta_dns_mx_record_target=\"mail.test.\", "
          "__meta_dns_name=\"x.test\"}\n");
    finds("x.test. NS ns.test.\n", "", DNS_SD_NS, "x.test",
          "x.test: {__address__=\"ns.test:9100\", __meta_dns_name=\"x.test\", "
          "__meta_dns_ns_record_target=\"ns.test.\"}\n");
}

/* CNAMEs lead to records, other types are passed over. */
static void test_other_records(void **state)
{
    (void)state;
    finds("x.test. CNAME y.test.\nx.test. TXT -\nx.test. A 192.0.2.1\n", "", DNS_SD_A, "x.test",
          "x.test: {__address__=\"192.0.2.1:9100\", __meta_dns_name=\"x.test\"}\n");
}

static void test_names_that_are_not_there(void **state)
{
    (void)state;
    finds("x.test. A 192.0.2.1\ny.test. TXT -\n", "", DNS_SD_A, "gone.test x.test y.test",
          "gone.test: none\nx.test: {__address__=\"192.0.2.1:9100\", __meta_dns_name=\"x.test\"}\ny.test: none\n");
}

static void test_search_domains(void **state)
{
    static const char zone[] = "x.one.test. A 192.0.2.1\nx.two.test. A 192.0.2.2\na.b. A 192.0.2.3\n"
                               "a.b.one.test. A 192.0.2.4\nz. A 192.0.2.5\n";

    (void)state;
    finds(zone, "search two.test one.test", DNS_SD_A, "x",
          "x: {__address__=\"192.0.2.2:9100\", __meta_dns_name=\"x\"}\n");
    finds(zone, "domain one.test", DNS_SD_A, "x", "x: {__address__=\"192.0.2.1:9100\", __meta_dns_name=\"x\"}\n");
    finds(zone, "search nowhere.test one.test", DNS_SD_A, "a.b z x. x",
          "a.b: {__address__=\"192.0.2.3:9100\", __meta_dns_name=\"a.b\"}\n"
          "z: {__address__=\"192.0.2.5:9100\", __meta_dns_name=\"z\"}\n"
          "x.: none\n"
          "x: {__address__=\"192.0.2.1:9100\", __meta_dns_name=\"x\"}\n");
    finds(zone, "search one.test\noptions ndots:3", DNS_SD_A, "a.b",
          "a.b: {__address__=\"192.0.2.4:9100\", __meta_dns_name=\"a.b\"}\n");
}

/* Only when every name is known not to exist is there nothing; a failure in between leaves the question open. */
static void test_a_failure_among_search_domains(void **state)
{
    struct bench *b = open_bench("x.bad.test. FAIL -\n", "search bad.test good.test");

    (void)state;
    start(b, DNS_SD_A, 1, RARELY, "x");
    world_until(b->loop, total(b, "prometheus_sd_dns_lookup_failures_total") == 1);
    assert_int_equal(b->updates, 0);
    close_bench(b);
    finds("x.bad.test. FAIL -\nx.good.test. A 192.0.2.1\n", "search bad.test good.test", DNS_SD_A, "x",
          "x: {__address__=\"192.0.2.1:9100\", __meta_dns_name=\"x\"}\n");
}

static void test_failures_keep_the_last_targets(void **state)
{
    struct bench *b = open_bench("x.test. A 192.0.2.1\ny.test. A 192.0.2.2\n", "");
    struct discover_status status;

    (void)state;
    start(b, DNS_SD_A, 1, 20, "x.test y.test");
    world_until(b->loop, b->updates >= 1);
    dns_server_zone(&b->dns, "x.test. FAIL -\ny.test. A 192.0.2.3\n");
    world_until(b->loop, strstr(b->last.p, "192.0.2.3"));
    assert_string_equal(b->last.p, "x.test: {__address__=\"192.0.2.1:1\", __meta_dns_name=\"x.test\"}\n"
                                   "y.test: {__address__=\"192.0.2.3:1\", __meta_dns_name=\"y.test\"}\n");
    b->d->status(b->d, &status);
    assert_string_equal(status.mechanism, "dns");
    assert_str_c(status.about, "A x.test, y.test");
    assert_non_null(strstr(status.last_error.p, "could not resolve \"x.test\": x.test.: server misbehaving"));
    assert_int_equal(status.targets, 2);
    dns_server_zone(&b->dns, "y.test. A 192.0.2.3\n");
    world_until(b->loop, strstr(b->last.p, "x.test: none\n"));
    world_until(b->loop, (b->d->status(b->d, &status), status.last_error.n == 0));
    assert_true(total(b, "prometheus_sd_dns_lookups_total") >= 6);
    assert_true(total(b, "prometheus_sd_dns_lookup_failures_total") >= 1);
    close_bench(b);
}

/* What the discoverer before a reload found stays while one name fails; not for ever, for the sake of the others. */
static void test_a_failure_after_a_reload(void **state)
{
    struct bench *b = open_bench("x.test. FAIL -\ny.test. A 192.0.2.2\n", "");

    (void)state;
    b->after_reload = true;
    start(b, DNS_SD_A, 1, 20, "x.test y.test");
    world_until(b->loop, b->updates >= 1);
    struct discover_status status;
    b->d->status(b->d, &status);
    assert_int_equal(status.failures, 3);
    assert_string_equal(b->last.p, "y.test: {__address__=\"192.0.2.2:1\", __meta_dns_name=\"y.test\"}\n");
    close_bench(b);
    b = open_bench("x.test. A 192.0.2.1\ny.test. A 192.0.2.2\n", "");
    b->after_reload = true;
    start(b, DNS_SD_A, 1, RARELY, "x.test y.test");
    world_until(b->loop, b->updates == 1); /* nothing failed: at once */
    close_bench(b);
}

/* Records beyond one datagram come over TCP. */
static void test_large_answers(void **state)
{
    enum { RECORDS = 600 };
    AUTO_BUF zone = {0};

    (void)state;
    buf_c(&zone, "x.test. CUT -\n");
    for (int i = 0; i < RECORDS; i++)
        buf_printf(&zone, "x.test. A 10.0.%d.%d\n", i / 256, i % 256);
    struct bench *b = open_bench(zone.p, "");
    start(b, DNS_SD_A, 1, RARELY, "x.test");
    world_until(b->loop, b->updates == 1);
    struct discover_status status;
    b->d->status(b->d, &status);
    assert_int_equal(status.targets, RECORDS);
    assert_int_equal(b->dns.n_tcp, 1);
    assert_true(b->dns.n_edns >= 1);
    close_bench(b);
}

static void test_answers_that_are_cut_off_for_good(void **state)
{
    struct bench *b = open_bench("x.test. CUTTCP -\nx.test. A 192.0.2.1\n", "");
    struct discover_status status;

    (void)state;
    start(b, DNS_SD_A, 1, RARELY, "x.test");
    world_until(b->loop, total(b, "prometheus_sd_dns_lookup_failures_total") == 1);
    world_until(b->loop, (b->d->status(b->d, &status), status.last_error.n > 0));
    assert_non_null(strstr(status.last_error.p, "cut off even over TCP"));
    assert_int_equal(b->updates, 0);
    close_bench(b);
}

static void test_stops_while_it_asks(void **state)
{
    struct bench *b = open_bench("x.test. SILENT -\n", "");

    (void)state;
    start(b, DNS_SD_A, 1, RARELY, "x.test y.test");
    world_until(b->loop, b->dns.n_udp >= 1);
    b->d->stop(b->d);
    b->d = NULL;
    world_for(b->loop, 30);
    assert_int_equal(b->updates, 0);
    close_bench(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_record_types),
        cmocka_unit_test(test_other_records),
        cmocka_unit_test(test_names_that_are_not_there),
        cmocka_unit_test(test_search_domains),
        cmocka_unit_test(test_a_failure_among_search_domains),
        cmocka_unit_test(test_failures_keep_the_last_targets),
        cmocka_unit_test(test_a_failure_after_a_reload),
        cmocka_unit_test(test_large_answers),
        cmocka_unit_test(test_answers_that_are_cut_off_for_good),
        cmocka_unit_test(test_stops_while_it_asks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

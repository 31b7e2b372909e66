/* The CloudWatch agent's way to AMP: its own scrapes, their destination, and the labels that its users have. */
#include "unit/config/told.h"

#include "base/mem.h"

#define AMP(destinations, more)                                                                                        \
    "{\"metrics\": {\"metrics_destinations\": {" destinations "}, " more                                               \
    "\"metrics_collected\": {\"prometheus\": {\"prometheus_config_path\": \"env:WHOLE\"}}}}"
#define WORKSPACE "\"amp\": {\"workspace_id\": \"ws-1\"}"

static struct config_agent_options labelled(const char *labels)
{
    struct config_agent_options o = in_a_container;
    o.ours.amp_labels = str_c(labels);
    return o;
}

static void the_destination(void **state)
{
    (void)state;
    struct plan *p = good(AMP(WORKSPACE, ""));
    assert_int_equal(p->n_remote_writes, 1);
    assert_int_equal(p->n_cloudwatch, 0);
    const struct plan_remote_write *w = &p->remote_writes[0];
    assert_str_c(w->url, "https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-1/api/v1/remote_write");
    assert_int_equal(w->pipelines, 2);
    assert_str_c(w->sigv4->region, "eu-west-1");
    assert_str_c(w->sigv4->service, "aps");
    assert_int_equal(w->sigv4->role_arn.n, 0);
    assert_int_equal(w->queue.batch_send_deadline_ms, 5000);
    assert_int_equal(w->queue.max_samples_per_send, 2000);
    assert_int_equal(p->n_scrapes, 2);
    assert_int_equal(p->scrapes[0].pipeline, 1);
    assert_int_equal(p->external_labels.n, 1);
    plan_unref(p);
}

static void what_reaches_amp_and_what_does_not(void **state)
{
    (void)state;
    struct plan *p =
        good("{\"agent\": {\"credentials\": {\"role_arn\": \"arn:aws:iam::1:role/agent\"}, \"use_dualstack_endpoint\": "
             "true, \"region\": \"us-isob-east-1\"}, \"metrics\": {\"force_flush_interval\": 7, \"endpoint_override\": "
             "\"http://not.amp\", \"credentials\": {\"role_arn\": \"arn:aws:iam::1:role/other\"}, "
             "\"metrics_destinations\": {\"amp\": {\"workspace_id\": \"ws-${STAGE}\"}}, \"metrics_collected\": "
             "{\"prometheus\": {\"prometheus_config_path\": \"env:TWO\"}}}}");
    const struct plan_remote_write *w = &p->remote_writes[0];
    assert_str_c(w->url, "https://aps-workspaces.us-isob-east-1.api.aws.scloud/workspaces/ws-blue/api/v1/remote_write");
    assert_str_c(w->sigv4->role_arn, "arn:aws:iam::1:role/agent");
    assert_true(w->sigv4->dual_stack);
    assert_int_equal(w->queue.batch_send_deadline_ms, 7000);
    plan_unref(p);
}

static const char *near(const char *name)
{
    return strcmp(name, "AWS_ENDPOINT_URL_AMP") == 0 ? "http://127.0.0.1:9090/" : in_a_task.getenv(name);
}

static void an_endpoint_of_ones_own(void **state)
{
    (void)state;
    struct config_agent_options o = in_a_task;
    o.getenv = near;
    struct plan *p = good_with(AMP(WORKSPACE, ""), &o);
    assert_str_c(p->remote_writes[0].url, "http://127.0.0.1:9090/workspaces/ws-1/api/v1/remote_write");
    plan_unref(p);
}

static void both_sections_have_their_own_file(void **state)
{
    (void)state;
    struct plan *p = good("{\"logs\": {\"metrics_collected\": {\"prometheus\": {\"prometheus_config_path\": "
                          "\"env:ONE\"}}}, \"metrics\": {\"metrics_destinations\": {" WORKSPACE "}, "
                          "\"metrics_collected\": {\"prometheus\": {\"prometheus_config_path\": \"env:TWO\"}}}}");
    assert_int_equal(p->n_scrapes, 2);
    assert_str_c(p->scrapes[0].job_name, "one");
    assert_int_equal(p->scrapes[0].pipeline, 0);
    assert_null(p->scrapes[0].relabel);
    assert_str_c(p->scrapes[1].job_name, "two");
    assert_int_equal(p->scrapes[1].pipeline, 1);
    assert_int_equal(p->cloudwatch[0].pipelines, 1);
    assert_int_equal(p->remote_writes[0].pipelines, 2);
    plan_unref(p);
}

/* Job names may be the same in both: they are known by pipeline and name. */
static void one_file_for_both(void **state)
{
    (void)state;
    struct plan *p = good("{\"logs\": {\"metrics_collected\": {\"prometheus\": {\"prometheus_config_path\": "
                          "\"env:ONE\"}}}, \"metrics\": {\"metrics_destinations\": {" WORKSPACE "}, "
                          "\"metrics_collected\": {\"prometheus\": {\"prometheus_config_path\": \"env:ONE\"}}}}");
    assert_int_equal(p->n_scrapes, 2);
    plan_unref(p);
}

/* The host and port of an instance, as the rules cut it: what the rules' expressions give. */
static void apply(const struct relabel_rules *rules, const char *instance, struct str label, struct buf *out)
{
    AUTO_BUF host = {0};

    for (uint32_t i = 0; i < rules->n; i++) {
        const struct relabel_rule *r = &rules->rules[i];
        bool of_host = r->n_source_labels && str_starts(r->source_labels[0], STR("__"));
        AUTO_BUF value = {0};
        if (r->action != RELABEL_REPLACE ||
            !regex_expand(r->regex, of_host ? buf_view(&host) : str_c(instance), r->replacement, &value))
            continue;
        if (str_starts(r->target_label, STR("__"))) {
            buf_clear(&host);
            buf_str(&host, buf_view(&value));
        } else if (str_eq(r->target_label, label)) {
            buf_clear(out);
            buf_str(out, buf_view(&value));
        }
    }
}

static void instances_are_cut_as_go_cuts_them(void **state)
{
    (void)state;
    static const struct {
        const char *instance, *host, *port;
    } cases[] = {
        {"10.0.1.5:9100", "10.0.1.5", "9100"},
        {"127.0.0.1:9000", "", "9000"},
        {"127.8.9.1:1", "", "1"},
        {"localhost:80", "", "80"},
        {"[::1]:80", "", "80"},
        {"[fe80::2]:80", "fe80::2", "80"},
        {"fe80::2", "fe80::2", ""},
        {"box", "box", ""},
        {"0.0.0.0:5", "", "5"},
        {"127.example:1", "127.example", "1"},
        {":9100", "", "9100"},
    };
    struct plan *p = good(AMP(WORKSPACE, ""));
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        static const char *const labels[] = {"server_address", "net_host_name", "server_port", "net_host_port"};
        for (size_t k = 0; k < COUNT_OF(labels); k++) {
            AUTO_BUF got = {0};
            buf_c(&got, "");
            apply(p->remote_writes[0].write_relabel, cases[i].instance, str_c(labels[k]), &got);
            assert_str(buf_view(&got), str_c(k < 2 ? cases[i].host : cases[i].port));
        }
    }
    plan_unref(p);
}

static void labels_by_choice(void **state)
{
    (void)state;
    struct config_agent_options o = labelled("prometheus");
    struct plan *p = good_with(AMP(WORKSPACE, ""), &o);
    assert_null(p->remote_writes[0].write_relabel);
    assert_int_equal(p->scrapes[0].relabel->n, 1);
    assert_null(p->scrapes[1].relabel);
    plan_unref(p);
    o = labelled("both");
    p = good_with(AMP(WORKSPACE, ""), &o);
    const struct relabel_rules *rules = p->remote_writes[0].write_relabel;
    assert_int_equal(rules->rules[rules->n - 1].action, RELABEL_LABELDROP);
    assert_false(regex_match(rules->rules[rules->n - 1].regex, STR("job")));
    assert_int_equal(p->scrapes[1].relabel->n, 2);
    plan_unref(p);
    p = good(AMP(WORKSPACE, ""));
    rules = p->remote_writes[0].write_relabel;
    assert_true(regex_match(rules->rules[rules->n - 1].regex, STR("job")));
    assert_true(regex_match(rules->rules[rules->n - 1].regex, STR("instance")));
    plan_unref(p);
}

static void combinations_that_are_refused(void **state)
{
    (void)state;
    static const char missing[] = "1:94: prometheus: missing key in JSON: \"metrics::metrics_destinations::amp or "
                                  "metrics::metrics_destinations::amp::workspace_id\"; without AMP, scrape by "
                                  "logs.metrics_collected.prometheus\n";
    bad(AMP("\"cloudwatch\": {}", ""), missing);
    bad(AMP("", ""), "1:38: metrics_destinations: Must have at least 1 properties\n"
                     "1:78: prometheus: missing key in JSON: \"metrics::metrics_destinations::amp or "
                     "metrics::metrics_destinations::amp::workspace_id\"; without AMP, scrape by "
                     "logs.metrics_collected.prometheus\n");
    bad(AMP("\"amp\": {}", ""), "1:46: amp: workspace_id is required\n");
    bad(AMP("\"amp\": {\"workspace_id\": \"../x\"}", ""),
        "1:63: workspace_id: \"../x\" is no name of a workspace: letters, digits and -\n");
    bad("{\"metrics\": {\"metrics_destinations\": {" WORKSPACE "}, \"metrics_collected\": {\"prometheus\": {}}}}",
        "1:109: prometheus: prometheus_config_path is required\n");
    bad("{\"metrics\": {\"metrics_destinations\": {" WORKSPACE "}, \"metrics_collected\": {\"prometheus\": "
        "{\"prometheus_config_path\": \"env:NOTHING\"}}}}",
        "1:136: invalid otel config: receivers::prometheus: no Prometheus scrape_configs or target_allocator set\n");
    refused(AMP(WORKSPACE, "\"aggregation_dimensions\": [[]], "), &in_a_task, ERR_UNSUPPORTED,
            "1:99: aggregation_dimensions: not supported by leadline: for AMP it adds no series; remove it here and "
            "aggregate in queries or recording rules, or keep StatsD in a configuration of its own\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_destination),         cmocka_unit_test(what_reaches_amp_and_what_does_not),
        cmocka_unit_test(an_endpoint_of_ones_own), cmocka_unit_test(both_sections_have_their_own_file),
        cmocka_unit_test(one_file_for_both),       cmocka_unit_test(instances_are_cut_as_go_cuts_them),
        cmocka_unit_test(labels_by_choice),        cmocka_unit_test(combinations_that_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

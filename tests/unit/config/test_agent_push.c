/* What the CloudWatch agent listens for, and where it goes: StatsD, EMF events, PutMetricData. */
#include "unit/config/told.h"

#include "base/mem.h"

#define STATSD(keys)       "{\"metrics\": {\"metrics_collected\": {\"statsd\": {" keys "}}}}"
#define METRICS(keys)      "{\"metrics\": {\"metrics_collected\": {\"statsd\": {}}, " keys "}}"
#define EMF_INPUT(keys)    "{\"logs\": {\"metrics_collected\": {\"emf\": {" keys "}}}}"
#define LOGS(keys)         "{\"logs\": {\"metrics_collected\": {\"emf\": {}}, " keys "}}"
#define EMF_ADDRESS(value) EMF_INPUT("\"service_address\": \"" value "\"")

/* ---- StatsD ---- */

static void statsd_by_default(void **state)
{
    (void)state;
    struct plan *p = good_with(STATSD(""), &in_a_container);
    const struct plan_statsd *s = p->statsd;
    assert_str_c(s->address, ":8125");
    assert_int_equal(s->collection_ms, 10000);
    assert_int_equal(s->aggregation_ms, 60000);
    assert_int_equal(s->pending, 10000);
    assert_str_c(s->separator, "_");
    assert_int_equal(s->host.n, 0);
    assert_false(s->exact_values);
    assert_int_equal(p->n_cloudwatch, 1);
    const struct plan_cloudwatch *c = &p->cloudwatch[0];
    assert_int_equal(c->kind, CLOUDWATCH_METRICS);
    assert_str_c(c->name, "metrics");
    assert_null(c->emf);
    assert_int_equal(c->pipelines, 0);
    assert_int_equal(c->flush_ms, 60000);
    assert_str_c(c->name_space, "CWAgent");
    plan_unref(p);
}

static void statsd_as_written(void **state)
{
    (void)state;
    struct config_agent_options o = in_a_container;
    o.ours.statsd_values = STR("exact");
    o.ours.shadow_namespace_suffix = STR("/S");
    struct plan *p = good_with(
        "{\"agent\": {\"metrics_collection_interval\": 20, \"omit_hostname\": false, \"region\": \"us-east-1\", "
        "\"credentials\": {\"role_arn\": \"arn:aws:iam::1:role/agent\"}}, \"metrics\": {\"namespace\": \"Mine\", "
        "\"endpoint_override\": \"monitoring.local\", \"aggregation_dimensions\": [[\"b\", \"a\"], []], "
        "\"metrics_collected\": {\"statsd\": {\"service_address\": \"127.0.0.1:1\", \"metrics_aggregation_interval\": "
        "0, "
        "\"allowed_pending_messages\": 5, \"metric_separator\": \".\", \"drop_original_metrics\": [\"z\", \"y\"], "
        "\"service.name\": \"x\"}}}}",
        &o);
    assert_int_equal(p->statsd->collection_ms, 20000);
    assert_int_equal(p->statsd->aggregation_ms, 0);
    assert_int_equal(p->statsd->pending, 5);
    assert_str_c(p->statsd->separator, ".");
    assert_str_c(p->statsd->host, "box");
    assert_true(p->statsd->exact_values);
    const struct plan_cloudwatch *c = &p->cloudwatch[0];
    assert_str_c(c->name_space, "Mine/S");
    assert_str_c(c->aws.region, "us-east-1");
    assert_str_c(c->aws.role_arn, "arn:aws:iam::1:role/agent");
    assert_str_c(c->aws.endpoint, "https://monitoring.local");
    assert_int_equal(c->n_rollups, 2);
    assert_str_c(c->rollups[0].names[0], "a");
    assert_int_equal(c->rollups[1].n, 0);
    assert_str_c(c->drop_original[0], "y");
    assert_int_equal(p->n_warnings, 0);
    plan_unref(p);

    p = good_with(
        "{\"agent\": {\"metrics_collection_interval\": 20}, \"metrics\": {\"metrics_collected\": {\"statsd\": "
        "{\"metrics_collection_interval\": 7, \"drop_original_metrics\": [\"z\"]}}}}",
        &o);
    assert_int_equal(p->statsd->collection_ms, 7000);
    assert_warned(p, "drop_original_metrics without metrics.aggregation_dimensions");
    plan_unref(p);
}

static void statsd_in_the_schemas_limits(void **state)
{
    (void)state;
    bad(STATSD("\n\"metrics_collection_interval\": 0, \"metrics_aggregation_interval\": 172801,\n"
               "\"allowed_pending_messages\": 2147483648, \"metric_separator\": \"\", \"more\": 1"),
        "2:32: metrics_collection_interval: Must be greater than or equal to 1\n"
        "2:67: metrics_aggregation_interval: Must be less than or equal to 172800\n"
        "3:29: allowed_pending_messages: Must be less than or equal to 2147483647\n"
        "3:61: metric_separator: String length must be greater than or equal to 1\n"
        "3:65: Additional property \"more\" is not allowed\n");
    bad(STATSD("\n\"service_address\": \"8125\""), "2:20: service_address: \"8125\" is no host:port\n");
    bad(STATSD("\n\"drop_original_metrics\": []"), "2:26: drop_original_metrics: Array must have at least 1 items\n");
    bad(STATSD("\n\"drop_original_metrics\": [\"a\", \"b\", \"a\"]"), "2:37: array items[0,2] must be unique\n");
    bad(METRICS("\n\"aggregation_dimensions\": [[\"a\"], [\"a\"]]"), "2:35: array items[0,1] must be unique\n");
    bad(METRICS("\n\"aggregation_dimensions\": [[\"a\", \"\"]]"),
        "2:34: item: String length must be greater than or equal to 1\n");
    bad(METRICS("\n\"aggregation_dimensions\": []"),
        "2:27: aggregation_dimensions: Array must have at least 1 items\n");
    refused(
        METRICS("\n\"append_dimensions\": {\"InstanceId\": \"x\"}"), &in_a_task, ERR_UNSUPPORTED,
        "2:22: append_dimensions: not supported by leadline: it asks EC2 for no dimensions; remove it here, or keep "
        "the CloudWatch agent for these metrics\n");
}

static void statsd_with_amp_alone_goes_nowhere(void **state)
{
    (void)state;
    struct plan *p = good(METRICS("\"metrics_destinations\": {\"amp\": {\"workspace_id\": \"ws-1\"}}"));
    assert_null(p->statsd);
    assert_int_equal(p->n_cloudwatch + p->n_remote_writes, 0);
    assert_warned(p, "StatsD goes nowhere and is not listened for: metrics_destinations names amp only");
    assert_warned(p, "amp gets nothing");
    plan_unref(p);
    p = good(METRICS("\"metrics_destinations\": {\"amp\": {\"workspace_id\": \"ws-1\"}, \"cloudwatch\": {}}"));
    assert_non_null(p->statsd);
    plan_unref(p);
}

/* ---- EMF ---- */

static void emf_by_default(void **state)
{
    (void)state;
    struct plan *p = good_with(EMF_INPUT(""), &in_a_container);
    const struct plan_emf_input *e = p->emf_input;
    assert_str_c(e->tcp, "0.0.0.0:25888");
    assert_str_c(e->udp, "0.0.0.0:25888");
    assert_int_equal(e->log_group.n, 0);
    assert_str_c(e->log_stream, "arn_aws_ecs_eu-west-1_123456789012_task/own/abc");
    assert_int_equal(p->n_cloudwatch, 1);
    assert_int_equal(p->cloudwatch[0].kind, CLOUDWATCH_LOGS);
    assert_null(p->cloudwatch[0].emf);
    assert_int_equal(p->cloudwatch[0].pipelines, 0);
    plan_unref(p);
}

static void emf_addresses(void **state)
{
    (void)state;
    static const struct {
        const char *text, *tcp, *udp;
    } cases[] = {
        {EMF_ADDRESS("udp://:25888"), "", "0.0.0.0:25888"},
        {EMF_ADDRESS("udp:127.0.0.1:1"), "", "127.0.0.1:1"},
        {EMF_ADDRESS("tcp://box:2"), "box:2", ""},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct plan *p = good(cases[i].text[0] ? cases[i].text : "");
        assert_str_c(p->emf_input->tcp, cases[i].tcp);
        assert_str_c(p->emf_input->udp, cases[i].udp);
        plan_unref(p);
    }
    bad(EMF_ADDRESS(":25888"),
        "1:60: service_address: \":25888\": missing logs::metrics_collected::emf or tcp service address: write "
        "tcp://HOST:PORT or udp://HOST:PORT\n");
    bad(EMF_ADDRESS("tcp://[::1]:25888"), "1:60: service_address: \"tcp://[::1]:25888\": invalid service split: write "
                                          "tcp://HOST:PORT or udp://HOST:PORT, HOST a name or an IPv4 address\n");
    bad(EMF_ADDRESS("tcpboth"), "1:60: service_address: \"tcpboth\": invalid service split: write tcp://HOST:PORT "
                                "or udp://HOST:PORT, HOST a name or an IPv4 address\n");
    bad(EMF_ADDRESS("tcp:25888"), "1:60: service_address: \"tcp:25888\": invalid service split: write tcp://HOST:PORT "
                                  "or udp://HOST:PORT, HOST a name or an IPv4 address\n");
}

static void emf_streams_and_groups(void **state)
{
    (void)state;
    struct config_agent_options o = in_a_container;
    o.task_arn = STR("");
    struct plan *p = good_with(EMF_INPUT(""), &o);
    assert_str_c(p->emf_input->log_stream, "box");
    plan_unref(p);
    o.in_container = false;
    p = good_with(EMF_INPUT(""), &o);
    assert_str_c(p->emf_input->log_stream, "ip-10-0-0-1");
    plan_unref(p);
    p = good_with(LOGS("\"log_stream_name\": \"{hostname}\""), &o);
    assert_str_c(p->emf_input->log_stream, "ip-10-0-0-1");
    plan_unref(p);

    o.ours.emf_input_log_group = STR("/events");
    o.ours.shadow_log_group = STR("/shadow");
    p = good_with(LOGS("\"log_stream_name\": \"mine/${STAGE}\""), &o);
    assert_str_c(p->emf_input->log_group, "/events");
    assert_str_c(p->emf_input->shadow_group, "/shadow");
    assert_str_c(p->emf_input->log_stream, "mine/blue");
    assert_warned(p, "a shadow run: events of EMF input keep the namespaces that they name");
    plan_unref(p);
    o.ours.emf_input_log_group = STR("{ClusterName}");
    refused(
        LOGS("\"log_stream_name\": \"a:b\""), &o, ERR_SYNTAX,
        "LEADLINE_EMF_INPUT_LOG_GROUP:1:1: \"{ClusterName}\" is no name of a log group: letters, digits and . - _ / # "
        "may stand in it\n"
        "1:64: \"a:b\" is no name of a log stream: it has 1 to 512 characters, and no : or *\n");
    refused(LOGS("\"log_stream_name\": \"{instance_id}\""), &in_a_task, ERR_UNSUPPORTED,
            "1:64: log_stream_name: not supported by leadline: {instance_id}; write the name itself\n");
}

static void emf_and_scrapes_share_the_destination(void **state)
{
    (void)state;
    struct plan *p = good("{\"agent\": {\"credentials\": {\"role_arn\": \"arn:aws:iam::1:role/agent\"}}, \"logs\": "
                          "{\"credentials\": {\"role_arn\": \"arn:aws:iam::1:role/logss\"}, \"metrics_collected\": "
                          "{\"emf\": {}, \"prometheus\": {\"prometheus_config_path\": \"env:ONE\"}}}}");
    assert_int_equal(p->n_cloudwatch, 1);
    assert_non_null(p->cloudwatch[0].emf);
    assert_str_c(p->cloudwatch[0].aws.role_arn, "arn:aws:iam::1:role/logss");
    assert_non_null(p->emf_input);
    plan_unref(p);
    refused("{\"logs\": {\"metrics_collected\": {\"structuredlog\": {}}}}", &in_a_task, ERR_UNSUPPORTED,
            "1:50: structuredlog: not supported by leadline: the agent itself refuses it; write emf\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statsd_by_default),
        cmocka_unit_test(statsd_as_written),
        cmocka_unit_test(statsd_in_the_schemas_limits),
        cmocka_unit_test(statsd_with_amp_alone_goes_nowhere),
        cmocka_unit_test(emf_by_default),
        cmocka_unit_test(emf_addresses),
        cmocka_unit_test(emf_streams_and_groups),
        cmocka_unit_test(emf_and_scrapes_share_the_destination),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* agent_push: what the CloudWatch agent listens for: StatsD lines and finished EMF events.
 *
 *   metrics.metrics_collected.statsd   service_address, two intervals, allowed_pending_messages, metric_separator
 *   logs.metrics_collected.emf         service_address: udp://host:port, tcp:host:port ...; without it both, on 25888
 *
 * The stream of events that name none is log_stream_name, else the task's ARN with ':' as '_', else POD_NAME,
 * HOST_NAME, or the machine's name.
 *
 * With amp as the only destination the agent listens for StatsD and throws away what comes. Here nothing listens then,
 * and a warning says what to add.
 */
#include "base/mem.h"
#include "base/num.h"
#include "config/agent_int.h"

enum { SECOND_MS = 1000, COLLECTION_S = 10, AGGREGATION_S = 60, PENDING = 10000 };

/* ---- StatsD ---- */

/* host:port, the host in brackets or not there at all. */
static bool is_address(struct str s)
{
    const char *colon = s.n ? memrchr(s.p, ':', s.n) : NULL;
    uint16_t port;

    return colon && num_parse_port(str_from(colon + 1, (size_t)(s.p + s.n - colon) - 1), &port) == OK;
}

static bool goes_nowhere(struct agent_reader *a, const struct agent_draft *d)
{
    if (!d->destinations.node || node_find(d->destinations.node, "cloudwatch"))
        return false;
    agent_warn(a, d->statsd,
               "StatsD goes nowhere and is not listened for: metrics_destinations names amp only, to which the agent "
               "sends none of it; add \"cloudwatch\": {} there");
    return true;
}

void agent_statsd_read(struct agent_reader *a, const struct agent_draft *d, const struct agent_settings *s)
{
    struct plan_statsd *out = ARENA_NEW(a->r.arena, struct plan_statsd);

    if (!d->statsd.node || goes_nowhere(a, d))
        return;
    out->address = agent_text(a, d->statsd_address, STR(":8125"));
    if (!is_address(out->address))
        agent_error(a, d->statsd_address, ERR_SYNTAX, "service_address: %s is no host:port",
                    reader_quote(&a->r, out->address));
    out->collection_ms = agent_number(d->collection, agent_number(d->interval, COLLECTION_S)) * SECOND_MS;
    out->aggregation_ms = agent_number(d->aggregation, AGGREGATION_S) * SECOND_MS;
    out->pending = (uint32_t)agent_number(d->pending, PENDING);
    out->separator = agent_text(a, d->separator, STR("_"));
    out->host = s->host;
    out->exact_values = s->exact_values;
    out->line = agent_line(d->statsd);
    a->r.plan->statsd = out;
}

/* ---- EMF ---- */

static struct str stream_of_task(struct agent_reader *a)
{
    char *arn = arena_printf(a->r.arena, "%.*s", STR_ARGS(a->o->task_arn));

    for (char *c = arn; *c; c++)
        if (*c == ':')
            *c = '_';
    return str_c(arn);
}

static struct str default_stream(struct agent_reader *a)
{
    struct str s = STR("");

    if (a->o->task_arn.n)
        return stream_of_task(a);
    if (a->o->in_container)
        s = agent_environment(a, "POD_NAME");
    if (s.n == 0 && a->o->in_container)
        s = agent_environment(a, "HOST_NAME");
    return s.n ? s : str_dup(a->r.arena, a->o->host_name);
}

/* The agent fills these in from the host it runs on. */
static struct str fill_stream(struct agent_reader *a, struct agent_at at, struct str s)
{
    static const char *const unknown[] = {"{instance_id}", "{ip_address}", "{aws_region}", "{account_id}"};

    for (size_t i = 0; i < COUNT_OF(unknown); i++)
        if (str_contains(s, str_c(unknown[i])))
            agent_error(a, at, ERR_UNSUPPORTED, "log_stream_name: not supported by leadline: %s; write the name itself",
                        unknown[i]);
    if (str_eq_c(s, "{hostname}") || str_eq_c(s, "{local_hostname}"))
        return str_dup(a->r.arena, a->o->host_name);
    return s;
}

static struct str read_stream(struct agent_reader *a, const struct agent_draft *d)
{
    struct str s = agent_text(a, d->log_stream, STR(""));

    s = s.n ? fill_stream(a, d->log_stream, s) : default_stream(a);
    if (s.n == 0) /* a check far from where it will run */
        return STR("default");
    agent_check_log_stream(a, d->log_stream.node ? d->log_stream : d->emf, s);
    return s;
}

/* PROTOCOL:[//]HOST:PORT with exactly two colons. */
static void read_address(struct agent_reader *a, struct agent_at at, struct plan_emf_input *out)
{
    struct str text = agent_text(a, at, STR("")), host = STR(""), protocol, port, rest;
    bool tcp, udp;
    uint16_t number;

    bool split = str_cut(text, ':', &protocol, &rest) && str_cut(rest, ':', &host, &port);
    tcp = str_contains(text, STR("tcp"));
    udp = str_contains(text, STR("udp"));
    if (str_starts(host, STR("//")))
        host = str_from(host.p + 2, host.n - 2);
    if (!tcp && !udp)
        agent_error(a, at, ERR_SYNTAX,
                    "service_address: %s: missing logs::metrics_collected::emf or tcp service address: write "
                    "tcp://HOST:PORT or udp://HOST:PORT",
                    reader_quote(&a->r, text));
    else if (!split || num_parse_port(port, &number))
        agent_error(a, at, ERR_SYNTAX,
                    "service_address: %s: invalid service split: write tcp://HOST:PORT or "
                    "udp://HOST:PORT, HOST a name or an IPv4 address",
                    reader_quote(&a->r, text));
    else {
        const char *address =
            arena_printf(a->r.arena, "%.*s:%u", host.n ? (int)host.n : 7, host.n ? host.p : "0.0.0.0", number);
        if (tcp)
            out->tcp = str_c(address);
        else
            out->udp = str_c(address);
    }
}

void agent_emf_input_read(struct agent_reader *a, const struct agent_draft *d, const struct agent_settings *s)
{
    static const struct agent_at variable = {NULL, "LEADLINE_EMF_INPUT_LOG_GROUP"};
    struct plan_emf_input *out = ARENA_NEW(a->r.arena, struct plan_emf_input);

    if (!d->emf.node)
        return;
    out->tcp = out->udp = STR("");
    if (d->emf_address.node)
        read_address(a, d->emf_address, out);
    else
        out->tcp = out->udp = STR("0.0.0.0:25888");
    out->log_group = str_dup(a->r.arena, a->o->ours.emf_input_log_group);
    if (out->log_group.n)
        agent_check_log_group(a, variable, out->log_group, false);
    out->shadow_group = s->shadow_group;
    out->log_stream = read_stream(a, d);
    out->line = agent_line(d->emf);
    if (s->shadow_group.n || s->suffix.n)
        agent_warn(a, d->emf,
                   "a shadow run: events of EMF input keep the namespaces that they name, so their metrics "
                   "are counted again");
    a->r.plan->emf_input = out;
}

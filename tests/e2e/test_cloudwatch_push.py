"""What applications push to `leadline cloudwatch-agent`: StatsD lines become data of CloudWatch, EMF events lines of its logs. Every
answer of AWS comes through the checking proxy."""

import json
import math
import socket
import time
from collections import defaultdict

import pytest

import emf
from agent import until
from aws import REGION, free_port
from cloudwatch_limits import times
import cloudwatch_limits as limits
from cloudwatch_reporting import drained, free_udp_port
from cloudwatch_reporting import emulator, make_reporting, metadata, proxy  # noqa: F401 - fixtures

TASK_STREAM = f"arn_aws_ecs_{REGION}_123456789012_task/demo/0123"


# ---- StatsD ----


class Statsd:
    def __init__(self, make_reporting, namespace, aggregation=0, collection=1, flush=1, start=True, metrics=(), **variables):
        self.port = free_udp_port()
        section = {
            "service_address": f"127.0.0.1:{self.port}",
            "metrics_collection_interval": collection,
            "metrics_aggregation_interval": aggregation,
        }
        metrics = {"namespace": namespace, "force_flush_interval": flush, **dict(metrics)}
        config = {"metrics": {**metrics, "metrics_collected": {"statsd": section}}}
        self.agent = make_reporting(config, start=start, **variables)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def send(self, *lines):
        self.socket.sendto("\n".join(lines).encode(), ("127.0.0.1", self.port))

    def values(self):
        return self.agent.metric("leadline_statsd_values_total")

    def wait(self, n):
        until(lambda: self.values() >= n, f"{n} values come in\n{self.agent.log()[-3000:]}", 10)


def data(proxy, namespace):
    """The data that the service took: [datum]."""
    found = []
    for request in proxy.distinct("PutMetricData")[0]:
        if request.body["Namespace"] == namespace:
            found += request.body["MetricData"]
    return found


def dimensions(datum):
    return {d["Name"]: d["Value"] for d in datum.get("Dimensions", [])}


def observed(datum):
    """(sum, number) of what a datum says."""
    if "Value" in datum:
        return datum["Value"], 1
    if "StatisticValues" in datum:
        return datum["StatisticValues"]["Sum"], datum["StatisticValues"]["SampleCount"]
    counts = datum.get("Counts", [1] * len(datum["Values"]))
    return sum(v * c for v, c in zip(datum["Values"], counts)), sum(counts)


def by_name(proxy, namespace):
    """{(name, dimensions without metric_type...): (sum, number)}"""
    out = defaultdict(lambda: [0, 0])
    for datum in data(proxy, namespace):
        key = datum["MetricName"], tuple(sorted(dimensions(datum).items()))
        total, number = observed(datum)
        out[key][0] += total
        out[key][1] += number
    return {k: tuple(v) for k, v in out.items()}


def typed(name, kind, **more):
    return name, tuple(sorted({"metric_type": kind, **more}.items()))


def test_statsd_of_each_type(make_reporting, proxy, emulator):
    s = Statsd(make_reporting, "Each", collection=3600)
    s.send("hits:3|c", "hits:4|c", "hits:1|c|@0.1", "page.views:5|c|#region:eu:west,empty:", "users:a|s", "users:b|s", "users:a|s")
    s.send("temp:-5|g", "level:7|g", "level:+2|g", "level:2.5|g", "t:320|ms|@0.1", "t:100|ms", "h:7|h", "two:1|c:2|g")
    s.send("bad", "worse:1|d", "  ", "fine:1|c\r")
    s.wait(16)
    assert s.agent.stop() == 0, s.agent.log()[-3000:]
    found = by_name(proxy, "Each")
    assert found[typed("hits", "counter")][0] == 17
    assert found[typed("page_views", "counter", region="eu:west")][0] == 5
    assert found[typed("users", "set")] == (2, 1)
    assert found[typed("temp", "gauge")] == (-5, 1)
    assert found[typed("level", "gauge")] == (2.5, 1)
    assert found[typed("t", "timing")] == (3300, 11)
    assert found[typed("h", "histogram")] == (7, 1)
    assert found[typed("two", "counter")][0] == 1 and found[typed("two", "gauge")] == (2, 1)
    assert found[typed("fine", "counter")][0] == 1
    assert not {name for name, _ in found} & {"bad", "worse"}
    distribution = next(d for d in data(proxy, "Each") if d["MetricName"] == "t")
    centre = lambda v: math.exp((math.floor(math.log(v) / math.log(1.1)) + 0.5) * math.log(1.1))
    assert sorted(distribution["Values"]) == [pytest.approx(centre(100)), pytest.approx(centre(320))]
    assert (distribution["StatisticValues"]["Minimum"], distribution["StatisticValues"]["Maximum"]) == (100, 320)
    assert {d.get("Unit", "None") for d in data(proxy, "Each")} == {"None"}
    assert {d.get("StorageResolution", 60) for d in data(proxy, "Each")} == {1}
    listed = {m["MetricName"] for m in emulator.cloudwatch.list_metrics(Namespace="Each")["Metrics"]}
    assert {"hits", "page_views", "users", "temp", "level", "t", "h", "two", "fine"} == listed


def test_exact_values(make_reporting, proxy):
    s = Statsd(make_reporting, "Exact", LEADLINE_STATSD_VALUES="exact")
    s.send("t:320|ms", "t:100.5|ms", "t:320|ms")
    s.wait(3)
    assert s.agent.stop() == 0
    values = defaultdict(float)
    for d in data(proxy, "Exact"):
        for v, c in zip(d["Values"], d.get("Counts", [1] * len(d["Values"]))):
            values[v] += c
    assert values == {320: 2, 100.5: 1}


def test_nothing_pending_is_lost_at_the_end(make_reporting, proxy):
    """A minute's window is open, and the flush is far away; what the socket still holds counts too."""
    s = Statsd(make_reporting, "End", aggregation=60, collection=10, flush=3600)
    s.send("early:1|c")
    s.wait(1)
    for _ in range(50):
        s.send("late:2|c", "cold:-1|g")
    assert s.agent.stop() == 0
    found = by_name(proxy, "End")
    assert found[typed("early", "counter")][0] == 1
    assert found[typed("late", "counter")][0] == 100
    assert found[typed("cold", "gauge")][0] % -50 == 0 and found[typed("cold", "gauge")][0] < 0, "a change, 50 times"


def test_aggregation(make_reporting, proxy):
    """Each collection is an observation of the window; the resolution is a minute."""
    s = Statsd(make_reporting, "Minute", aggregation=60, collection=1)
    for _ in range(3):
        s.send("c:10|c")
        time.sleep(1.1)
    s.wait(3)
    assert s.agent.stop() == 0
    total, number = by_name(proxy, "Minute")[typed("c", "counter")]
    assert total == 30 and 2 <= number <= 3
    assert {d.get("StorageResolution", 60) for d in data(proxy, "Minute")} == {60}


def test_rollups(make_reporting, proxy):
    rolled = {"aggregation_dimensions": [["region"], []]}
    s = Statsd(make_reporting, "Rolled", metrics=rolled)
    s.send("c:1|c|#region:eu,zone:a", "c:2|c|#region:eu,zone:b")
    s.wait(2)
    assert s.agent.stop() == 0
    found = by_name(proxy, "Rolled")
    assert found[typed("c", "counter", region="eu", zone="a")][0] == 1
    assert found["c", (("region", "eu"),)][0] == 3 and found["c", ()][0] == 3


def test_many_values(make_reporting, proxy):
    """More than 150 values of one metric: several data."""
    s = Statsd(make_reporting, "Many", LEADLINE_STATSD_VALUES="exact")
    for i in range(0, 400, 20):
        s.send(*[f"t:{j + 1}|ms" for j in range(i, i + 20)])
    s.wait(400)
    assert s.agent.stop() == 0
    assert by_name(proxy, "Many")[typed("t", "timing")] == (sum(range(1, 401)), 400)
    assert max(len(d["Values"]) for d in data(proxy, "Many")) <= 150


def test_two_thousand_metrics(make_reporting, proxy):
    s = Statsd(make_reporting, "Thousands")
    for i in range(0, 2000, 20):
        s.send(*[f"m{j}:1|c|#tag:{'x' * 200}" for j in range(i, i + 20)])
        time.sleep(0.002)
    s.wait(2000)
    assert s.agent.stop() == 0
    assert len({name for name, _ in by_name(proxy, "Thousands")}) == 2000
    assert max(len(r.body["MetricData"]) for r in proxy.of("PutMetricData")) <= 1000


def test_what_cloudwatch_would_refuse(make_reporting, proxy):
    """One line at a time: the others of a request do not suffer."""
    s = Statsd(make_reporting, "Refused")
    s.send(f"{'n' * 300}:1|c", f"long:1|c|#d:{'v' * 1100}", "umlaut:1|c|#d:Käse", "nan:NaN|g", "inf:inf|g", "fine:1|c")
    s.send("many:1|c|#" + ",".join(f"d{i:02}:v" for i in range(40)))
    until(lambda: s.values() >= 2, "values")
    until(lambda: any(name == "fine" for name, _ in by_name(proxy, "Refused")), f"the good one\n{s.agent.log()[-3000:]}")
    assert s.agent.stop() == 0
    found = by_name(proxy, "Refused")
    assert not {name for name, _ in found} & {"nan", "inf", "n" * 300}
    assert all(len(pairs) <= 30 for _, pairs in found)


@pytest.mark.parametrize("fault", [limits.THROTTLED, limits.DROP, limits.DROP_ANSWER], ids=["throttled", "cut", "answer-lost"])
def test_faults_of_put_metric_data(make_reporting, proxy, fault):
    namespace = f"Faults{['THROTTLED', 'DROP', 'ANSWER'][[limits.THROTTLED, limits.DROP, limits.DROP_ANSWER].index(fault)]}"
    proxy.faults["PutMetricData"] = times(2 if fault != limits.DROP_ANSWER else 1, fault)
    s = Statsd(make_reporting, namespace)
    for i in range(20):
        s.send("c:1|c")
        time.sleep(0.1)
    s.wait(20)
    drained(s.agent)
    assert s.agent.stop() == 0
    assert by_name(proxy, namespace)[typed("c", "counter")][0] == 20
    assert sum(proxy.distinct("PutMetricData")[1].values()) <= (fault == limits.DROP_ANSWER)


def test_a_kill_loses_no_data_that_was_collected(make_reporting, proxy):
    proxy.faults["PutMetricData"] = limits.UNAVAILABLE
    s = Statsd(make_reporting, "Killed")
    s.send("c:5|c")
    until(lambda: s.agent.balanced()["waiting"] > 0, "it waits in the spool")
    s.agent.kill()
    proxy.faults.clear()
    s.agent.start()
    drained(s.agent)
    assert s.agent.stop() == 0
    assert by_name(proxy, "Killed")[typed("c", "counter")][0] == 5


# ---- EMF ----


def line(group, n=0, stream=None, **members):
    aws = {"LogGroupName": group, **({"LogStreamName": stream} if stream else {}), "Timestamp": int(time.time() * 1000)}
    aws["CloudWatchMetrics"] = [{"Namespace": "App", "Dimensions": [["d"]], "Metrics": [{"Name": "m", "Unit": "Count"}]}]
    return json.dumps({"_aws": aws, "d": "x", "m": n, **members})


class EmfInput:
    def __init__(self, make_reporting, transport, flush=1, **variables):
        self.port = free_port() if transport == "tcp" else free_udp_port()
        section = {"service_address": f"{transport}://127.0.0.1:{self.port}"}
        config = {"logs": {"metrics_collected": {"emf": section}, "force_flush_interval": flush}}
        self.agent = make_reporting(config, **variables)
        self.transport = transport
        self.socket = None

    def send(self, *lines):
        if self.transport == "udp":
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                for text in lines:
                    s.sendto(text.encode(), ("127.0.0.1", self.port))
        else:
            self.socket = self.socket or socket.create_connection(("127.0.0.1", self.port))
            self.socket.sendall(("\n".join(lines) + "\n").encode())

    def close(self):
        """Connections that are open keep the listener from ending before its deadline."""
        if self.socket:
            self.socket.close()

    def stop(self):
        self.close()
        assert self.agent.stop() == 0, self.agent.log()[-3000:]

    def taken(self):
        return self.agent.metric("leadline_emf_input_events_total")

    def dropped(self):
        return self.agent.metric("leadline_emf_input_dropped_total")

    def wait(self, n):
        until(lambda: self.taken() >= n, f"{n} events come in\n{self.agent.log()[-3000:]}")


def texts(emulator, group, stream=TASK_STREAM):
    return [text for _, text in emf.log_events(emulator.logs, group, stream)]


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_events_arrive_as_they_are(make_reporting, emulator, transport):
    """Byte by byte: numbers, order, doubled members and escapes; in the stream that they name, or the task's."""
    group = f"/emf/{transport}"
    odd = f'{{"log_group_name":"{group}","a":1.50e+3,"a":2,"\\u00e4":"\\/ä","b": [1 , 2]}}'
    sent = [line(group, 1), odd, line(group, 3, stream="own/stream"), f'{{"log_group_name":"{group}","log_stream_name":"old"}}']
    e = EmfInput(make_reporting, transport)
    e.send(*sent)
    e.wait(4)
    drained(e.agent)
    e.stop()
    assert texts(emulator, group) == sent[:2]
    assert texts(emulator, group, "own/stream") == [sent[2]] and texts(emulator, group, "old") == [sent[3]]


def test_events_that_are_dropped_are_counted_and_said(make_reporting, emulator):
    e = EmfInput(make_reporting, "tcp")
    e.send("no json", '{"a": 1}', "[1]", '{"_aws":{"LogGroupName":"/bad{name}"}}', line("/emf/good"))
    e.wait(1)
    drained(e.agent)
    until(lambda: e.dropped() + sum(e.agent.ledger()["dropped"].values()) >= 4, f"the others are counted\n{e.agent.metrics()}")
    assert "EMF events were dropped" in e.agent.log()
    e.stop()
    assert len(texts(emulator, "/emf/good")) == 1


def test_a_group_for_those_that_name_none(make_reporting, emulator):
    e = EmfInput(make_reporting, "tcp", LEADLINE_EMF_INPUT_LOG_GROUP="/emf/fallback")
    e.send('{"a": 1}')
    e.wait(1)
    drained(e.agent)
    e.stop()
    assert texts(emulator, "/emf/fallback") == ['{"a": 1}']


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_what_was_received_is_sent_before_the_end(make_reporting, emulator, transport):
    group = f"/emf/end/{transport}"
    e = EmfInput(make_reporting, transport, flush=3600)
    e.send(line(group, 0))
    e.wait(1)
    e.send(*[line(group, n) for n in range(1, 50)])
    e.stop()
    assert [json.loads(t)["m"] for t in texts(emulator, group)] == list(range(50))


def test_long_lines(make_reporting, emulator):
    """300 KB go through as they are; what no log event holds costs only itself."""
    e = EmfInput(make_reporting, "tcp")
    long = line("/emf/long", filler="x" * 300_000)
    e.send(long, line("/emf/long", filler="x" * 1_200_000), line("/emf/long", 7))
    e.wait(2)
    drained(e.agent)
    e.stop()
    assert texts(emulator, "/emf/long")[0] == long and json.loads(texts(emulator, "/emf/long")[-1])["m"] == 7
    assert len(texts(emulator, "/emf/long")) == 2


def test_a_kill_loses_no_event_that_was_read(make_reporting, proxy, emulator):
    proxy.faults["PutLogEvents"] = limits.UNAVAILABLE
    e = EmfInput(make_reporting, "tcp")
    e.send(*[line("/emf/killed", n) for n in range(200)])
    until(lambda: e.agent.balanced()["waiting"] == 200, "they wait in the spool")
    e.agent.kill()
    proxy.faults.clear()
    e.agent.start()
    drained(e.agent)
    e.stop()
    assert [json.loads(t)["m"] for t in texts(emulator, "/emf/killed")] == list(range(200))


def test_a_burst_of_small_events(make_reporting, proxy, emulator):
    """25,000 at once: requests of 10,000 at most."""
    e = EmfInput(make_reporting, "tcp")
    e.send(*[f'{{"log_group_name":"/emf/burst","n":{n}}}' for n in range(25_000)])
    e.wait(25_000)
    drained(e.agent)
    e.stop()
    kept = [json.loads(m["message"])["n"] for r in proxy.distinct("PutLogEvents")[0] for m in r.body["logEvents"]]
    assert kept == list(range(25_000))


def test_beside_prometheus(make_reporting, make_target, emulator):
    """One destination for both: events of a page, and events of an application."""
    port = free_port()
    section = {"log_group_name": "/beside", "prometheus_config_path": "env:PROMETHEUS_CONFIG_CONTENT"}
    config = {"logs": {"metrics_collected": {"prometheus": section, "emf": {"service_address": f"tcp:127.0.0.1:{port}"}}}}
    config["logs"]["force_flush_interval"] = 1
    target = make_target("# TYPE g gauge\ng 1\n")
    scrape = {"job_name": "j", "scrape_interval": "1s", "scrape_timeout": "1s", "static_configs": [{"targets": [target.address]}]}
    agent = make_reporting(config, json.dumps({"scrape_configs": [scrape]}))
    with socket.create_connection(("127.0.0.1", port)) as s:
        s.sendall((line("/beside", 1) + "\n").encode())
    until(lambda: target.served > 1, "scrapes")
    assert agent.stop() == 0
    assert len(texts(emulator, "/beside")) == 1
    assert emf.events(emulator.logs, "/beside", "j")

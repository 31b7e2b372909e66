"""`leadline cloudwatch-agent` on an emulated AWS: the shipped deployments of Java/JMX, nginx, App Mesh Envoy, memcached and redis
are found, scraped and told to CloudWatch Logs; every event is checked, read back, and compared with golden files and with a
second implementation. Each answer of AWS comes through the checking proxy."""

import datetime
import json
import os
from collections import defaultdict

import pytest

import emf
from agent import until
from cloudwatch_reporting import (
    CLUSTER, KINDS, LABELS, NAMESPACE, REPLACED, STREAMS, build_fleet, drained, golden, moved, prometheus_json, prometheus_yaml,
    read_exposition, serve_fleet, shipped, shipped_rules,
)  # fmt: skip
from cloudwatch_reporting import emulator, make_reporting, metadata, proxy  # noqa: F401 - fixtures

NET = f"127.{64 + os.getpid() % 128}.{(os.getpid() >> 7) % 254 + 1}."  # its own, however many of these run side by side
GROUP = f"/aws/ecs/containerinsights/{CLUSTER}/prometheus"
SCRAPES = 5


@pytest.fixture(scope="module")
def fleet(emulator):
    build_fleet(emulator, NET)


@pytest.fixture
def served(fleet):
    targets = serve_fleet(NET)
    yield targets
    for t in targets.values():
        t.close()


def run_shipped(make_reporting, served, tmp_path, change=None, scrapes=SCRAPES, **variables):
    """The agent, stopped after so many scrapes of each."""
    config, prometheus = shipped(str(tmp_path / "targets.yaml"))
    if change:
        change(config)
    agent = make_reporting(config, prometheus, **variables)
    agent.result = str(tmp_path / "targets.yaml")
    until(lambda: all(t.served >= scrapes for t in served.values()), f"the scrapes\n{agent.log()[-3000:]}")
    agent.found = agent.targets()
    agent.last_ledger = agent.balanced()
    assert agent.stop() == 0, agent.log()[-3000:]
    return agent


def log_group(name):
    """Gives each test a group of its own: the emulator keeps what it was told."""
    return lambda config: config["logs"]["metrics_collected"]["prometheus"].update(log_group_name=name)


# ---- the shipped deployments ----


def cycles(events):
    """{ms: its events}, in the order of time."""
    out = defaultdict(list)
    for e in events:
        out[emf.stamp_ms(e)].append(e)
    return dict(sorted(out.items()))


def cumulative_of(kind):
    """{(name, own labels): value of a step} of what the page counts."""
    pages = [emf.Page(moved(read_exposition(f"{kind}.txt"), n)) for n in (0, 1)]
    out = {}
    for (name, labels, before), (_, _, after) in zip(pages[0].samples, pages[1].samples):
        if pages[0].type_of(name) in ("counter", "summary"):
            out[name, tuple(sorted(labels.items()))] = after - before
    return out


def told_in_all(kind, events):
    """{(name, own labels): sum of what the events said}"""
    sums = defaultdict(float)
    steps = cumulative_of(kind)
    own = {name for _, labels in steps for name, _ in labels}
    for e in events:
        for name in {name for name, _ in steps} & set(e):
            sums[name, tuple(sorted((n, e[n]) for n in own if n in e))] += e[name]
    return sums


def same_events(found, wanted, what):
    found, wanted = emf.as_set(found), emf.as_set(wanted)
    extra = [e for e in found if e not in wanted]
    missing = [e for e in wanted if e not in found]
    assert not extra and not missing, f"{what}\nunexpected:\n" + "\n".join(extra) + "\nmissing:\n" + "\n".join(missing)


def steps_between(served_kind, first, last):
    return {key: step * (last - first) for key, step in served_kind.items()}


def test_the_shipped_deployments(make_reporting, served, tmp_path, emulator, proxy):
    agent = run_shipped(make_reporting, served, tmp_path)
    assert emf.groups(emulator.logs).count(GROUP) == 1
    assert emf.streams(emulator.logs, GROUP) == sorted(STREAMS.values())
    for kind, target in served.items():
        events = emf.events(emulator.logs, GROUP, STREAMS[kind])
        by_cycle = cycles(events)
        labels = {k: v for k, v in agent.found[f"{NET}{KINDS[kind][0]}:{KINDS[kind][1]}"].items() if not k.startswith("__")}
        labels = {"job": STREAMS[kind], **labels, "instance": target.address, "ClusterName": CLUSTER}
        assert {**labels, **{k: v for k, v in REPLACED.items() if k in labels}} == LABELS[kind]

        # The first scrape has no deltas; each later one is as the page says, and as the golden file has it.
        pages = [moved(target.text, n) for n in range(target.served)]
        rules = emf.Rules(shipped_rules())
        first, *later = by_cycle
        same_events(by_cycle[first], emf.expected(None, pages[0], labels, rules, first), f"{kind}, the first scrape")
        for n, ms in enumerate(later, 1):
            same_events(by_cycle[ms], emf.expected(pages[n - 1], pages[n], labels, rules, ms), f"{kind}, scrape {n}")
        whole = [emf.normalised(e, REPLACED) for e in by_cycle[later[0]]]
        same_events(whole, golden(kind), f"{kind}, the golden file")

        # Over the whole run: the sum of the deltas is the last value less the first.
        assert target.served - 1 <= len(by_cycle) <= target.served
        assert told_in_all(kind, events) == steps_between(cumulative_of(kind), 0, len(by_cycle) - 1)
    assert not proxy.distinct("PutLogEvents")[1], "requests that were repeated"
    assert max(proxy.most_in_flight.values()) == 1
    assert all(path == KINDS["envoy"][2] for path, _ in served["envoy"].requests)
    ledger = agent.last_ledger
    assert set(ledger["dropped"]) == {"type", "no_baseline"}, ledger


CF = ("ClusterName", "TaskDefinitionFamily")
SELECTED = {  # the table of the shipped deployments: metric -> dimension sets
    "jvm_threads_current": [CF],
    "jvm_classes_loaded": [CF],
    "jvm_memory_bytes_used": [(*CF, "area")],
    "jvm_memory_pool_bytes_used": [(*CF, "pool")],
    "jvm_gc_collection_seconds_count": [CF],
    "jvm_gc_collection_seconds_sum": [CF],
    "java_lang_operatingsystem_openfiledescriptorcount": [CF],
    "envoy_http_downstream_rq_total": [CF],
    "envoy_http_downstream_rq_xx": [CF, (*CF, "envoy_http_conn_manager_prefix", "envoy_response_code_class")],
    "envoy_cluster_upstream_rq_retry": [CF],
    "envoy_cluster_membership_total": [CF],
    "envoy_server_live": [CF],
    "nginx_http_requests_total": [(*CF, "ServiceName")],
    "nginx_up": [(*CF, "ServiceName")],
    "memcached_commands_total": [CF, (*CF, "command"), (*CF, "command", "status")],
    "memcached_limit_bytes": [CF],
    "redis_commands_total": [(*CF, "cmd")],
    "redis_db_keys": [(*CF, "db")],
    "redis_connected_clients": [CF],
}
NOT_SELECTED = [
    "jvm_memory_bytes_max", "jmx_scrape_duration_seconds", "jvm_threads_state", "process_cpu_seconds_total",
    "catalina_globalrequestprocessor_requestcount_total", "envoy_cluster_upstream_cx_rx_bytes_buffered",
    "nginxexporter_build_info", "memcached_up", "memcached_slab_commands_total", "redis_up", "redis_instance_info",
]  # fmt: skip
NOT_TOLD = ["catalina_manager_activesessions", "envoy_cluster_upstream_rq_time_count", "up", "scrape_duration_seconds"]


def test_what_is_selected(make_reporting, served, tmp_path, emulator):
    """Version 1 of the format, by the way, and the metrics that CloudWatch makes of it."""
    run_shipped(make_reporting, served, tmp_path, log_group("/selected"), scrapes=3, LEADLINE_EMF_VERSION="1")
    events = [e for s in STREAMS.values() for e in emf.events(emulator.logs, "/selected", s)]
    assert {e["Version"] for e in events} == {"1"}
    sets = defaultdict(set)
    for namespace, name, pairs, unit, _ in emf.extract(events):
        assert (namespace, unit) == (NAMESPACE, "None")
        sets[name].add(tuple(n for n, _ in pairs))
    assert {n: sets[n] for n in SELECTED} == {n: {tuple(sorted(s)) for s in v} for n, v in SELECTED.items()}
    members = {name for e in events for name in e}
    assert set(NOT_SELECTED) <= members and not set(NOT_SELECTED) & set(sets)
    assert not set(NOT_TOLD) & members


def test_names_of_groups_and_of_ours(make_reporting, make_target, emulator):
    """Placeholders of the group's name, the stream of each job, a label of the target in the place of ClusterName."""
    targets = [make_target("# TYPE g gauge\ng 1\n") for _ in range(2)]
    jobs = [
        {"job_name": f"job{i}", "static_configs": [{"targets": [t.address], "labels": {"TaskId": f"task{i}"}}]}
        for i, t in enumerate(targets)
    ]
    jobs[1]["static_configs"][0]["labels"]["ClusterName"] = "another"
    prometheus = json.dumps({"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": jobs})
    section = {"log_group_name": "/names/{ClusterName}/{TaskId}/{PodName}", "prometheus_config_path": "env:PROMETHEUS_CONFIG_CONTENT"}
    agent = make_reporting(prometheus_json(section), prometheus)
    until(lambda: all(t.served > 1 for t in targets), "scrapes")
    assert agent.stop() == 0
    ours = [g for g in emf.groups(emulator.logs) if g.startswith("/names/")]
    assert ours == ["/names/another/task1/undefined", f"/names/{CLUSTER}/task0/undefined"]
    assert [emf.streams(emulator.logs, g) for g in ours] == [["job1"], ["job0"]]
    assert emf.events(emulator.logs, ours[0], "job1")[0]["ClusterName"] == "another"


def test_disable_metric_extraction(make_reporting, served, tmp_path, emulator):
    def change(config):
        config["logs"]["metrics_collected"]["prometheus"].update(log_group_name="/plain", disable_metric_extraction=True)

    run_shipped(make_reporting, served, tmp_path, change, scrapes=2)
    events = [e for s in STREAMS.values() for e in emf.events(emulator.logs, "/plain", s)]
    assert events and not any(emf.directives(e) for e in events)


# ---- one target, one thing each ----


def simple(group, declarations=(), **emf_processor):
    """A section with a group of its own; by default everything that has the job's name is selected."""
    declared = declarations or [{"source_labels": ["job"], "label_matcher": "^test$", "dimensions": [["job"]], "metric_selectors": [".*"]}]
    section = {"log_group_name": group, "prometheus_config_path": "env:PROMETHEUS_CONFIG_CONTENT"}
    return prometheus_json({**section, "emf_processor": {"metric_declaration": declared, **emf_processor}})


def told(make_reporting, emulator, target, config, scrapes=3, **variables):
    """The events of a run of so many scrapes."""
    group = config["logs"]["metrics_collected"]["prometheus"]["log_group_name"]
    agent = make_reporting(config, prometheus_yaml([target.address]), **variables)
    until(lambda: target.served >= scrapes, f"scrapes\n{agent.log()[-3000:]}")
    drained(agent)
    agent.last_ledger = agent.balanced()
    assert agent.stop() == 0
    return agent, emf.events(emulator.logs, group, "test")


def test_units_and_namespace(make_reporting, make_target, emulator):
    target = make_target("# TYPE a gauge\na 1\n# TYPE b gauge\nb 2\n# TYPE c gauge\nc 3\n")
    config = simple("/units", metric_namespace="Mine", metric_unit={"a": "Bytes", "b": "Furlongs"})
    agent, events = told(make_reporting, emulator, target, config)
    directive = {"Namespace": "Mine", "Dimensions": [["job"]], "Metrics": [{"Name": "a", "Unit": "Bytes"}, {"Name": "b"}, {"Name": "c"}]}
    assert all(e["CloudWatchMetrics"] == [directive] for e in events)
    assert "Furlongs" in agent.log()


def test_options_of_ours(make_reporting, make_target, emulator):
    page = lambda n: f"# TYPE g gauge\ng 1\n# TYPE u untyped\nu 2\n# TYPE other gauge\nother 3\n"
    selected = [{"source_labels": ["job"], "label_matcher": "test", "dimensions": [["job"]], "metric_selectors": ["^[gu]$"]}]
    ours = {"LEADLINE_EMF_UNTYPED": "gauge", "LEADLINE_EMF_UNSELECTED": "drop", "LEADLINE_EMF_STORAGE_RESOLUTION": "1"}
    ours["LEADLINE_LOG_RETENTION_DAYS"] = "7"
    agent, events = told(make_reporting, emulator, make_target(page), simple("/ours", selected), **ours)
    assert not any("other" in e for e in events)
    metrics = {(m["Name"], m.get("StorageResolution")) for e in events for d in emf.directives(e) for m in d["Metrics"]}
    assert metrics == {("g", 1), ("u", 1)}
    assert emulator.logs.describe_log_groups(logGroupNamePrefix="/ours")["logGroups"][0]["retentionInDays"] == 7
    assert agent.last_ledger["dropped"]["undeclared"] > 0


HISTOGRAM = """# TYPE h histogram
h_bucket{{le="1"}} {a}
h_bucket{{le="2"}} {b}
h_bucket{{le="+Inf"}} {c}
h_sum {s}
h_count {c}
"""


def histogram_page(n):
    return HISTOGRAM.format(a=2 * n, b=5 * n, c=6 * n, s=10.5 * n)


def test_histograms_are_dropped_by_default(make_reporting, make_target, emulator):
    page = lambda n: histogram_page(n) + "# TYPE g gauge\ng 1\n"
    _, events = told(make_reporting, emulator, make_target(page), simple("/histograms"))
    assert events and not any(name.startswith("h") for e in events for name in e)


def test_sums_and_counts_of_histograms(make_reporting, make_target, emulator):
    target = make_target(histogram_page)
    _, events = told(make_reporting, emulator, target, simple("/sums"), LEADLINE_EMF_HISTOGRAMS="sum_count")
    steps = [(e["h_sum"], e["h_count"]) for e in events]
    assert steps and all(count % 6 == 0 and total == 10.5 * count / 6 for total, count in steps)
    assert not any("h_bucket" in e or "le" in e for e in events)


def test_buckets_of_histograms(make_reporting, make_target, emulator):
    """The value of a bucket is its middle, of the last one the last bound; sum and count are exact."""
    target = make_target(histogram_page)
    _, events = told(make_reporting, emulator, target, simple("/buckets"), LEADLINE_EMF_HISTOGRAMS="buckets")
    assert events
    total = emf.by_metric(emf.extract(events))[NAMESPACE, "h", (("job", "test"),)]
    n = total.count / 6
    assert n == int(n) >= 1 and total.sum == 10.5 * n
    counts = defaultdict(float)
    for value, count in total.values:
        counts[value] += count
    assert counts == {0.5: 2 * n, 1.5: 3 * n, 2: n}


def test_more_than_a_hundred_buckets(make_reporting, make_target, emulator):
    """Several events; the sum and the number are told once in all."""
    def page(n):
        buckets = "".join(f'h_bucket{{le="{i}"}} {i * n}\n' for i in range(1, 251))
        return f'# TYPE h histogram\n{buckets}h_bucket{{le="+Inf"}} {250 * n}\nh_sum {1000.25 * n}\nh_count {250 * n}\n'

    _, events = told(make_reporting, emulator, make_target(page), simple("/wide"), LEADLINE_EMF_HISTOGRAMS="buckets")
    for at_once in cycles(events).values():
        assert len(at_once) >= 3
        one = emf.by_metric(emf.extract(at_once))[NAMESPACE, "h", (("job", "test"),)]
        n = one.count / 250
        assert n == int(n) >= 1 and one.sum == pytest.approx(1000.25 * n, rel=1e-12)
        assert len(one.values) == 250 and {count for _, count in one.values} == {n}


def test_first_values(make_reporting, make_target, emulator):
    """Of a series that begins on a target that is known: told if asked for."""
    page = lambda n: f"# TYPE old counter\nold {n}\n" + (f"# TYPE new counter\nnew {n + 40}\n" if n >= 3 else "")
    target = make_target(page)
    _, events = told(make_reporting, emulator, target, simple("/first"), scrapes=6, LEADLINE_EMF_FIRST_VALUES="true")
    news = [e["new"] for e in events if "new" in e]
    assert news[0] >= 43 and set(news[1:]) <= {1, 2, 3}
    assert sum(news) == 40 + sum(e["old"] for e in events if "old" in e)


def test_a_summary(make_reporting, make_target, emulator):
    page = lambda n: f'# TYPE s summary\ns{{quantile="0.5"}} {n}.5\ns{{quantile="0.9"}} NaN\ns_sum {10 * n}\ns_count {2 * n}\n'
    target = make_target(page)
    _, events = told(make_reporting, emulator, target, simple("/summary"), scrapes=4)
    quantiles = [e for e in events if "quantile" in e]
    assert {e["quantile"] for e in quantiles} == {"0.5"} and quantiles[0]["s"] == 0.5
    sums = [(e["s_sum"], e["s_count"]) for e in events if "s_sum" in e]
    assert sum(s for s, _ in sums) == 5 * sum(c for _, c in sums) == 10 * (len(quantiles) - 1)


# ---- PutMetricData ----


def statistics(cloudwatch, namespace):
    """{(name, dimensions): (Sum, SampleCount)} of all that the namespace was told, by GetMetricData."""
    now = datetime.datetime.now(datetime.timezone.utc)
    metrics, token = [], {}
    while True:
        page = cloudwatch.list_metrics(Namespace=namespace, **token)
        metrics += [(m["MetricName"], tuple((d["Name"], d["Value"]) for d in m["Dimensions"])) for m in page["Metrics"]]
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}
    out = {}
    for name, pairs in set(metrics):
        metric = {"Namespace": namespace, "MetricName": name, "Dimensions": [{"Name": n, "Value": v} for n, v in pairs]}
        queries = [
            {"Id": stat.lower(), "MetricStat": {"Metric": metric, "Period": 3600, "Stat": stat}} for stat in ("Sum", "SampleCount")
        ]
        hour = datetime.timedelta(hours=1)
        answer = cloudwatch.get_metric_data(MetricDataQueries=queries, StartTime=now - hour, EndTime=now + hour)
        sums = {r["Id"]: sum(r["Values"]) for r in answer["MetricDataResults"]}
        out[name, tuple(sorted(pairs))] = sums["sum"], sums["samplecount"]
    return out


def test_metrics_without_logs(make_reporting, served, tmp_path, emulator, proxy):
    """The same pages by PutMetricData: what GetMetricData says is what the extractor gets of the events."""
    run_shipped(
        make_reporting, served, tmp_path, log_group("/none"), scrapes=3,
        LEADLINE_PROMETHEUS_TO="metrics", LEADLINE_METRICS_NAMESPACE="Direct",
    )  # fmt: skip
    assert not proxy.of("PutLogEvents") and "/none" not in emf.groups(emulator.logs)
    wanted = {}
    rules = emf.Rules(shipped_rules(), namespace="Direct")
    found = statistics(emulator.cloudwatch, "Direct")
    for kind, target in served.items():
        took = until_scrapes(found, kind, target)
        pages = [moved(target.text, n) for n in range(took)]
        labels = {**LABELS[kind], "TaskId": "-"}
        events = []
        for n, page in enumerate(pages):
            events += emf.expected(pages[n - 1] if n else None, page, labels, rules, 1_700_000_000_000 + n)
        wanted.update({(name, pairs): (m.sum, m.count) for (_, name, pairs), m in emf.by_metric(emf.extract(events)).items()})
    assert set(found) == set(wanted)
    for key, (total, count) in wanted.items():
        assert found[key] == (pytest.approx(total, rel=1e-9), count), key


def until_scrapes(found, kind, target):
    """How many scrapes of it were told: the last may have been under way."""
    gauge = {"javajmx": "jvm_threads_daemon", "nginx": "nginx_up", "envoy": "envoy_server_live", "memcached": "memcached_limit_bytes"}
    count = next(v[1] for k, v in found.items() if k[0] == gauge.get(kind, "redis_connected_clients"))
    assert target.served - 1 <= count <= target.served
    return int(count)


def test_logs_and_metrics_into_one_place_is_refused(make_reporting, make_target):
    """It would count twice."""
    agent = make_reporting(simple("/both"), prometheus_yaml([make_target().address]), start=False, LEADLINE_PROMETHEUS_TO="both")
    agent.start(wait=False)
    assert agent.process.wait(60) == 1
    assert "LEADLINE_METRICS_NAMESPACE" in agent.log()

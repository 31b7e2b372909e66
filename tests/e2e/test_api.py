"""The HTTP API beside that of the newest Prometheus agent on the same configuration: status codes, keys and types."""

import json
import re
import urllib.parse

import pytest

from agent import BINARY, until
from fixtures import config
from prometheus_peer import Prometheus

PAGE = """# HELP a_total A counter.
# TYPE a_total counter
a_total 1
# TYPE b gauge
b{x="y"} 2
"""

LABELS = urllib.parse.quote(json.dumps({"__address__": "a:1", "b": "c"}))
DROPPED = urllib.parse.quote(json.dumps({"__address__": "gone:2", "b": "c"}))

# Method, path below /api/v1/.
SAME = [
    ("GET", "targets"),
    ("GET", "targets?state=active"),
    ("GET", "targets?state=dropped"),
    ("GET", "targets?state=any&scrapePool=test"),
    ("GET", "targets?state=nonsense"),
    ("GET", "targets/metadata"),
    ("GET", "targets/metadata?metric=a_total"),
    ("GET", "targets/metadata?metric=none"),
    ("GET", "targets/metadata?match_target=" + urllib.parse.quote('{job="test"}')),
    ("GET", "targets/metadata?match_target=" + urllib.parse.quote('{job!="test"}')),
    ("GET", "targets/metadata?match_target=" + urllib.parse.quote('{job=~"te.."}')),
    ("GET", "targets/metadata?match_target=" + urllib.parse.quote("{")),
    ("GET", "targets/metadata?limit=x"),
    ("GET", "targets/relabel_steps"),
    ("GET", "targets/relabel_steps?scrapePool=test"),
    ("GET", "targets/relabel_steps?scrapePool=test&labels=x"),
    ("GET", f"targets/relabel_steps?scrapePool=none&labels={LABELS}"),
    ("GET", f"targets/relabel_steps?scrapePool=test&labels={LABELS}"),
    ("GET", f"targets/relabel_steps?scrapePool=test&labels={DROPPED}"),
    ("GET", "scrape_pools"),
    ("GET", "scrape_pools/config"),
    ("GET", "scrape_pools/config?scrapePool=none"),
    ("GET", "scrape_pools/config?scrapePool=test"),
    ("GET", "metadata"),
    ("GET", "metadata?metric=b"),
    ("GET", "metadata?limit=5"),
    ("GET", "metadata?limit=x"),
    ("GET", "metadata?limit_per_metric=x"),
    ("GET", "status/config"),
    ("GET", "status/runtimeinfo"),
    ("GET", "status/buildinfo"),
    ("GET", "status/walreplay"),
    ("GET", "status/tsdb"),
    ("GET", "status/tsdb/blocks"),
    ("GET", "notifications"),
    ("GET", "alertmanagers"),
    ("GET", "alerts"),
    ("GET", "rules"),
    ("GET", "query?query=up"),
    ("POST", "query?query=up"),
    ("GET", "query_range"),
    ("GET", "query_exemplars"),
    ("GET", "format_query"),
    ("GET", "parse_query"),
    ("GET", "series"),
    ("GET", "labels"),
    ("GET", "label/job/values"),
    ("GET", "search/metric_names"),
    ("GET", "read"),
    ("GET", "write"),
    ("GET", "otlp/v1/metrics"),
    ("GET", "admin/tsdb/snapshot"),
    ("POST", "admin/tsdb/snapshot"),
    ("PUT", "admin/tsdb/delete_series"),
    ("POST", "targets"),
    ("DELETE", "query"),
    ("GET", "nothing"),
]
# Answers that are compared to the last character.
EXACT = {
    "targets/metadata?metric=a_total",
    "targets/metadata?metric=none",
    "targets/relabel_steps",
    "targets/relabel_steps?scrapePool=test",
    f"targets/relabel_steps?scrapePool=none&labels={LABELS}",
    f"targets/relabel_steps?scrapePool=test&labels={LABELS}",
    f"targets/relabel_steps?scrapePool=test&labels={DROPPED}",
    "scrape_pools",
    "scrape_pools/config",
    "scrape_pools/config?scrapePool=none",
    "metadata",
    "metadata?metric=b",
    "metadata?limit=x",
    "metadata?limit_per_metric=x",
    "status/walreplay",
    "status/tsdb",
    "notifications",
    "rules",
    "query?query=up",
    "search/metric_names",
    "targets/metadata?limit=x",
}


def shape(value):
    """Keys and types; of a list, the shapes of its members, each once."""
    if isinstance(value, dict):
        return {k: shape(v) for k, v in value.items()}
    if isinstance(value, list):
        return sorted({json.dumps(shape(v), sort_keys=True) for v in value})
    return type(value).__name__ if not isinstance(value, (int, float)) or isinstance(value, bool) else "number"


@pytest.fixture
def pair(make_agent, make_target, receiver, tmp_path):
    """leadline and Prometheus on one configuration, both with a target up and one dropped."""
    target = make_target(PAGE)
    text = config(
        [target.address, "gone:2"],
        receiver.url,
        relabel_configs=[
            {"source_labels": ["__address__"], "regex": ".*:2", "action": "drop"},
            {"source_labels": ["__address__", "b"], "separator": "/", "regex": "(.*)/(.*)", "target_label": "both",
             "replacement": "$2-$1"},
            {"source_labels": ["__address__"], "modulus": 8, "target_label": "__tmp_hash", "action": "hashmod"},
            {"regex": "__tmp_.*", "action": "labeldrop"},
        ],
    )
    ours = make_agent(text)
    theirs = Prometheus(tmp_path / "prometheus", text).start()
    try:
        for agent in (ours, theirs):
            until(lambda a=agent: any(t["health"] == "up" for t in a.api("targets")["activeTargets"]), "a target is up")
        yield ours, theirs
    finally:
        theirs.kill()


def test_every_endpoint_has_the_originals_status_and_shape(pair):
    ours, theirs = pair
    faults = []
    for method, path in SAME:
        answers = [agent.get(f"/api/v1/{path}", method=method) for agent in (theirs, ours)]
        if answers[0][0] != answers[1][0]:
            faults.append(f"{method} {path}: {answers[0][0]} there, {answers[1][0]} here: {answers[1][1][:200]}")
            continue
        try:
            there, here = (json.loads(text) for _, text in answers)
        except ValueError:
            if answers[0][1] != answers[1][1]:
                faults.append(f"{method} {path}: {answers[0][1][:200]!r} there, {answers[1][1][:200]!r} here")
            continue
        if shape(there) != shape(here):
            faults.append(f"{method} {path}: {json.dumps(shape(there))} there, {json.dumps(shape(here))} here")
        elif path in EXACT and there != here:
            faults.append(f"{method} {path}: {json.dumps(there)} there, {json.dumps(here)} here")
    assert not faults, "\n".join(faults)


def test_flags_and_features_have_the_originals_names(pair):
    ours, theirs = pair
    there, here = theirs.api("status/flags"), ours.api("status/flags")
    assert not set(there) - set(here)
    own = {"config.file", "web.page-title", "web.remote-write-receiver.accepted-protobuf-messages", "web.external-url",
           "storage.agent.path", "storage.tsdb.retention.time", "storage.remote.read-sample-limit", "web.route-prefix"}
    assert {k: v for k, v in here.items() if k in there and v != there[k] and k not in own} == {}
    there, here = theirs.api("features"), ours.api("features")
    assert set(there) == set(here)
    for category in ("api", "scrape", "otlp_receiver", "ui"):
        have = {k for k in here[category]}
        assert not {k for k in there[category] if not k.startswith("search_fuzz")} - have, category
    assert here["prometheus"]["agent_mode"] is True and here["service_discovery_providers"]["ecs"] is True


def test_self_metrics_have_the_originals_form(pair):
    ours, theirs = pair
    kinds = {}
    for agent in (theirs, ours):
        for family in agent.api("status/self_metrics"):
            assert {"name", "type", "metric"} <= set(family), family
            for metric in family["metric"]:
                kind = [k for k in metric if k not in ("label", "timestampMs")]
                assert len(kind) == 1, metric
                inner = {k for k in metric[kind[0]] if k != "createdTimestamp"}
                kinds.setdefault(agent, {}).setdefault(family["type"], set()).add((kind[0], tuple(sorted(inner - {"bucket"}))))
    for kind, forms in kinds[ours].items():
        assert kind in ("COUNTER", "GAUGE", "HISTOGRAM", "UNTYPED")
        if kind in kinds[theirs]:
            assert forms <= kinds[theirs][kind] | {("histogram", ("sampleCount", "sampleSum"))}, kind


def test_outside_the_api(pair):
    ours, theirs = pair
    for path in ("/federate", "/federate?match[]=up", "/version", "/-/healthy", "/-/ready", "/alerts", "/rules", "/query"):
        assert ours.get(path)[0] == theirs.get(path)[0], path
    assert ours.get("/federate")[1] == theirs.get("/federate")[1]
    assert set(json.loads(ours.get("/version")[1])) == set(json.loads(theirs.get("/version")[1]))
    assert "Prometheus" not in ours.get("/-/healthy")[1]


def test_the_pages(pair):
    ours, _ = pair
    address = ours.api("targets")["activeTargets"][0]["discoveredLabels"]["__address__"]
    for path, text in (
        ("/service-discovery", "static"),
        ("/service-discovery?pool=test", "gone:2"),
        ("/config", "scrape_configs"),
        ("/flags", "--storage.agent.path"),
        ("/debug/", "Loop lag"),
        ("/relabel", address),
        (f"/relabel?pool=test&target={address}", "hashmod"),
        ("/relabel?pool=test&target=gone:2", "dropped"),
        ("/relabel?pool=test&target=nowhere", "no such target"),
        ("/relabel?pool=none&target=x", "no such job"),
    ):
        status, page = ours.get(path)
        assert status == 200 and text in page, path
        for asset in ("<script", "<link", "<img", "src=", "url(", 'href="http', "@import"):
            assert asset not in page, (path, asset)
    assert ours.get("/debug/pprof/heap")[0] == 200, "redirected to /debug/"


def test_without_agent_mode_queries_are_answered_with_the_reason(make_agent, make_target, receiver, tmp_path):
    spool = tmp_path / "volume"
    agent = make_agent(config([make_target(PAGE).address], receiver.url), f"--storage.tsdb.path={spool}",
                       "--storage.tsdb.retention.time=15d", "--query.timeout=1m", data=False, start=False)
    agent.words = [BINARY, "prometheus"]
    agent.start()
    status, text = agent.get("/api/v1/query?query=up")
    assert status == 422 and "keeps no samples" in json.loads(text)["error"]
    until(lambda: receiver.find("b"), "samples are delivered")
    assert [p for p in spool.iterdir()], "the spool is where the server's storage was"
    assert 'flag=storage.tsdb.retention.time' in agent.log() and "flag=query.timeout" in agent.log()
    assert 'flag=storage.tsdb.path' not in agent.log()
    assert agent.api("features")["prometheus"]["server_mode"] is True
    assert agent.stop() == 0


def test_a_changed_included_file_is_read_again(make_agent, make_target, receiver, tmp_path):
    first, second = make_target("one 1\n"), make_target("two 2\n")
    included = tmp_path / "more" / "jobs.yml"
    included.parent.mkdir()

    def include(target):
        included.write_text(json.dumps({"scrape_configs": [{"job_name": "inc", "static_configs": [{"targets": [target.address]}]}]}))

    include(first)
    text = config([], receiver.url)
    text["scrape_config_files"] = [f"{included.parent}/*.yml"]
    agent = make_agent(text, "--config.auto-reload", "--config.auto-reload-interval=1s")
    until(lambda: receiver.find("one"), "the included job")
    include(second)
    until(lambda: receiver.find("two"), "the changed file is read by itself")
    assert "Completed loading" in agent.log()


def test_feature_names(make_agent, make_target, receiver):
    agent = make_agent(config([make_target(PAGE).address], receiver.url),
                       "--enable-feature=exemplar-storage,type-and-unit-labels", "--enable-feature=no-such-thing")
    log = agent.log()
    assert 'msg="Unknown option for --enable-feature" option=no-such-thing' in log
    assert re.search(r"has no effect.*option=exemplar-storage", log)
    assert re.search(r"not done by leadline.*option=type-and-unit-labels", log)
    assert agent.stop() == 0

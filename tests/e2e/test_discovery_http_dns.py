"""Targets from an HTTP server and from DNS records, alone and beside the newest Prometheus, which must find the same."""

import json
import os

import pytest

import prometheus_peer
from agent import BINARY, until
from dns_peer import Dns, with_resolv_conf
from fixtures import config
from prometheus_peer import make_prometheus  # noqa: F401 - a fixture

PAGE = "a 1\n"


def discovering(c, **sd):
    c["scrape_configs"][0].pop("static_configs")
    c["scrape_configs"][0].update(sd)
    return c


def discovered(agent):
    """What discovery says of each target, without what the scrape configuration adds."""
    added = ("__metrics_path__", "__scheme__", "__scrape_interval__", "__scrape_timeout__", "job")
    found = [t["discoveredLabels"] for t in agent.api("targets")["activeTargets"]]
    return sorted(tuple(sorted((k, v) for k, v in labels.items() if k not in added and v)) for labels in found)


# ---- HTTP ----


def groups(*targets, **labels):
    return json.dumps([{"targets": list(targets), "labels": labels}])


def test_targets_of_an_http_server(make_agent, make_target, receiver):
    one, two = make_target(PAGE), make_target("b 1\n")
    server = make_target(groups(one.address, env="prod"), content_type="application/json; charset=utf-8", gzip=False)
    url = f"http://{server.address}/targets"
    agent = make_agent(discovering(config([], receiver.url), http_sd_configs=[{"url": url, "refresh_interval": "1s"}]))
    until(lambda: receiver.find("a", env="prod"), "the target of the first answer")
    headers = server.requests[0][1]
    assert headers["Accept"] == "application/json"
    assert headers["X-Prometheus-Refresh-Interval-Seconds"] == "1"
    labels = agent.api("targets")["activeTargets"][0]["discoveredLabels"]
    assert labels["__meta_url"] == url

    server.page = json.dumps([{"targets": [one.address], "labels": {"env": "prod"}}, {"targets": [two.address]}])
    until(lambda: receiver.find("b"), "a second group")
    server.status = 503
    until(lambda: agent.metrics()["prometheus_sd_http_failures_total"] >= 2, "failures are counted")
    assert "server returned HTTP status 503" in agent.log()
    served = two.served
    until(lambda: two.served > served + 2, "the last good targets are still scraped")
    failed = 'prometheus_sd_refresh_failures_total{config="test",mechanism="http"}'
    assert agent.metrics()[failed] >= 2
    server.page, server.status = groups(two.address), 200
    until(lambda: [s for s in receiver.find("a") if s.stale], "a target that is gone ends with stale markers")
    assert len(agent.api("targets")["activeTargets"]) == 1


def test_credentials_of_http_discovery_do_not_show(make_agent, make_target, receiver):
    target = make_target(PAGE)
    server = make_target(groups(target.address), content_type="application/json", gzip=False)
    sd = {
        "url": f"http://{server.address}/",
        "refresh_interval": "1s",
        "basic_auth": {"username": "me", "password": "hush-hush"},
        "http_headers": {"X-Key": {"secrets": ["whisper"]}},
    }
    agent = make_agent(discovering(config([], receiver.url), http_sd_configs=[sd]))
    until(lambda: receiver.find("a"), "the target")
    assert server.requests[0][1]["Authorization"] == "Basic bWU6aHVzaC1odXNo"
    assert server.requests[0][1]["X-Key"] == "whisper"
    server.status = 500
    until(lambda: "Unable to refresh" in agent.log(), "a failure is logged")
    shown = agent.log() + agent.get("/api/v1/status/config")[1] + agent.get("/")[1]
    assert "hush-hush" not in shown and "whisper" not in shown


def test_a_reload_while_the_http_server_is_down_keeps_its_targets(make_agent, make_target, receiver):
    target = make_target(PAGE)
    server = make_target(groups(target.address), content_type="application/json", gzip=False)
    c = discovering(
        config([], receiver.url), http_sd_configs=[{"url": f"http://{server.address}/", "refresh_interval": "1s"}]
    )
    agent = make_agent(c)
    until(lambda: receiver.find("a"), "the target")
    server.status = 500
    c["scrape_configs"][0]["sample_limit"] = 1000
    agent.configure(c)
    assert agent.reload()[0] == 200
    served = target.served
    until(lambda: target.served > served + 2, "it is still scraped")
    assert not [s for s in receiver.find("a") if s.stale]


def test_http_discovery_beside_prometheus(make_agent, make_prometheus, make_target, receiver):
    one, two = make_target(PAGE), make_target(PAGE)
    answer = [
        {"targets": [one.address, two.address], "labels": {"env": "prod", "dotted.name": "x", "empty": ""}},
        {"targets": [], "labels": {"a": "b"}},
        {"targets": ["[::1]:9"], "labels": {"__metrics_path__": "/x", "__meta_own": "1"}},
    ]
    server = make_target(json.dumps(answer), content_type="application/json", gzip=False)
    sd = [{"url": f"http://{server.address}/x?y=z", "refresh_interval": "1s"}]
    c = discovering(config([], receiver.url), http_sd_configs=sd)
    agent, prometheus = make_agent(c), make_prometheus(c)
    until(lambda: len(discovered(agent)) == 3 and len(discovered(prometheus)) == 3, "three targets each")
    assert discovered(agent) == discovered(prometheus)


# ---- DNS ----


@pytest.fixture
def dns():
    try:
        d = Dns()
    except PermissionError:
        pytest.skip("port 53 is not ours to open")
    yield d
    d.close()


@pytest.fixture
def asking(tmp_path):
    """A program that asks this server: asking(program, "search ...")."""

    def make(dns, program, more=""):
        script = with_resolv_conf(tmp_path, os.path.abspath(program), f"nameserver {dns.host}\n{more}\n")
        if script is None:
            pytest.skip("mount namespaces are not allowed here")
        return script

    return make


def test_targets_of_srv_records(make_agent, make_target, receiver, dns, asking):
    one, two = make_target(PAGE), make_target("b 1\n")
    dns.zone = {
        ("_m._tcp.shop.test.", "SRV"): [(one.port, "one.shop.test.")],
        ("one.shop.test.", "A"): ["127.0.0.1"],
        ("two.shop.test.", "A"): ["127.0.0.1"],
    }
    sd = [{"names": ["_m._tcp.shop.test"], "refresh_interval": "1s"}]
    agent = make_agent(discovering(config([], receiver.url), dns_sd_configs=sd), binary=asking(dns, BINARY))
    until(lambda: receiver.find("a", instance=f"one.shop.test:{one.port}"), "the target of the record")
    dns.zone["_m._tcp.shop.test.", "SRV"] = [(one.port, "one.shop.test."), (two.port, "two.shop.test.")]
    until(lambda: receiver.find("b"), "a record that came later")
    dns.fail.add("_m._tcp.shop.test.")
    until(lambda: agent.metrics()["prometheus_sd_dns_lookup_failures_total"] >= 2, "failures are counted")
    served = two.served
    until(lambda: two.served > served + 2, "the last good targets are still scraped")
    assert 'could not resolve \\"_m._tcp.shop.test\\"' in agent.log()
    dns.fail.clear()
    del dns.zone["_m._tcp.shop.test.", "SRV"]
    until(lambda: not agent.api("targets")["activeTargets"], "a name that is gone has no targets")
    assert agent.metrics()["prometheus_sd_dns_lookups_total"] >= 4


def test_dns_discovery_beside_prometheus(make_agent, make_prometheus, receiver, dns, asking, monkeypatch):
    many = [f"10.1.{i // 250}.{i % 250 + 1}" for i in range(300)]
    dns.zone = {
        ("srv.shop.test.", "SRV"): [(9100, "one.shop.test."), (9101, "Two.shop.test.")],
        ("a.shop.test.", "A"): ["127.0.0.1", "127.0.0.2"],
        ("b.shop.test.", "A"): ["127.0.0.3"],
        ("six.shop.test.", "AAAA"): ["2001:db8::1", "::ffff:192.0.2.1"],
        ("mail.shop.test.", "MX"): ["mx.shop.test."],
        ("zone.shop.test.", "NS"): ["ns1.shop.test.", "ns2.shop.test."],
        ("many.shop.test.", "A"): many,
        ("other.shop.test.", "CNAME"): ["a.shop.test."],
    }
    sd = [
        {"names": ["srv.shop.test", "gone.shop.test"]},
        {"names": ["a", "b.shop.test.", "many.shop.test", "other"], "type": "A", "port": 9100},
        {"names": ["six"], "type": "AAAA", "port": 9100},
        {"names": ["mail"], "type": "MX", "port": 25},
        {"names": ["zone"], "type": "NS", "port": 53},
    ]
    c = discovering(config([], receiver.url, interval="60s"), dns_sd_configs=[{**s, "refresh_interval": "2s"} for s in sd])
    search = "search nowhere.test shop.test"
    monkeypatch.setattr(prometheus_peer, "PROMETHEUS", asking(dns, prometheus_peer.PROMETHEUS, search))
    agent = make_agent(c, binary=asking(dns, BINARY, search))
    prometheus = make_prometheus(c)
    expected = 2 + 2 + 1 + 300 + 2 + 1 + 2
    until(lambda: len(discovered(agent)) == expected and len(discovered(prometheus)) == expected, "all targets")
    assert discovered(agent) == discovered(prometheus)
    assert any(tcp for _, _, tcp in dns.asked)

"""Targets from files, and what relabelling makes of them."""

import json
import os

from agent import until
from fixtures import config

PAGE = "a 1\n"


def with_files(c, *patterns, **options):
    c["scrape_configs"][0].pop("static_configs")
    c["scrape_configs"][0]["file_sd_configs"] = [{"files": list(patterns), **options}]
    return c


def replace(path, text):
    with open(str(path) + ".new", "w") as f:
        f.write(text)
    os.rename(str(path) + ".new", path)


def test_files_are_watched(make_agent, make_target, receiver, tmp_path):
    one, two = make_target(PAGE), make_target("b 1\n")
    sd = tmp_path / "sd"
    sd.mkdir()
    replace(sd / "x.json", json.dumps([{"targets": [one.address], "labels": {"env": "prod"}}]))
    make_agent(with_files(config([], receiver.url), f"{sd}/*.json", f"{sd}/*.yml"))
    until(lambda: receiver.find("a", env="prod"), "the target of the file")
    replace(sd / "y.yml", f"- targets: ['{two.address}']\n  labels: {{n: 1}}\n")
    until(lambda: receiver.find("b", n="1"), "the target of a file that came later")
    os.remove(sd / "x.json")
    until(lambda: [s for s in receiver.find("a") if s.stale], "the target is gone with its file")


def test_a_bad_file_keeps_its_last_good_targets(make_agent, make_target, receiver, tmp_path):
    target = make_target(PAGE)
    path = tmp_path / "x.json"
    replace(path, json.dumps([{"targets": [target.address]}]))
    agent = make_agent(with_files(config([], receiver.url), str(path)))
    until(lambda: receiver.find("a"), "the target")
    replace(path, '[{"targets": ["127.0.0.1:1"],]')
    until(lambda: "Error reading file" in agent.log(), "the log says so")
    assert "x.json:1:" in agent.log()
    served = target.served
    until(lambda: target.served > served + 2, "it is still scraped")
    assert agent.metrics()["prometheus_sd_file_read_errors_total"] >= 1
    replace(path, "[]")
    until(lambda: not agent.api("targets")["activeTargets"], "an empty list is a good file")


def test_relabelling_of_targets(make_agent, make_target, receiver):
    target, dropped = make_target(PAGE), make_target(PAGE)
    c = config([target.address, dropped.address], receiver.url)
    c["scrape_configs"][0]["relabel_configs"] = [
        {"source_labels": ["__address__"], "regex": dropped.address.replace(".", "\\."), "action": "drop"},
        {"source_labels": ["__address__"], "regex": "([^:]+):.*", "target_label": "host"},
        {"target_label": "__param_q", "replacement": "x y"},
        {"target_label": "__metrics_path__", "replacement": "/probe"},
    ]
    c["scrape_configs"][0]["params"] = {"module": ["http", "more"]}
    agent = make_agent(c)
    until(lambda: receiver.find("a", host="127.0.0.1"), "the kept target")
    assert target.requests[0][0] in ("/probe?module=http&module=more&q=x+y", "/probe?q=x+y&module=http&module=more")
    assert not dropped.requests
    targets = agent.api("targets")
    assert targets["droppedTargetCounts"] == {"test": 1}
    assert targets["droppedTargets"][0]["discoveredLabels"]["__address__"] == dropped.address


def test_interval_and_timeout_per_target(make_agent, make_target, receiver):
    fast, slow = make_target(PAGE), make_target(PAGE)
    c = config([fast.address, slow.address], receiver.url, interval="30s")
    c["scrape_configs"][0]["relabel_configs"] = [
        {"source_labels": ["__address__"], "regex": fast.address, "target_label": "__scrape_interval__", "replacement": "1s"},
        {"source_labels": ["__address__"], "regex": fast.address, "target_label": "__scrape_timeout__", "replacement": "500ms"},
    ]
    make_agent(c)
    until(lambda: fast.served >= 4, "the fast target")
    assert slow.served <= 1
    assert fast.requests[0][1]["X-Prometheus-Scrape-Timeout-Seconds"] == "0.5"


def test_a_target_that_moves_away_goes_stale_once(make_agent, make_target, receiver, tmp_path):
    target = make_target(PAGE)
    path = tmp_path / "x.json"
    replace(path, json.dumps([{"targets": [target.address]}]))
    agent = make_agent(with_files(config([], receiver.url), str(path)))
    until(lambda: len(receiver.find("a")) >= 2, "the target")
    replace(path, "[]")
    until(lambda: [s for s in receiver.find("up") if s.stale], "report series go stale too")
    assert len([s for s in receiver.find("a") if s.stale]) == 1
    agent.balanced()

"""Targets that count, and what must be found of them in the log events: for tests of kills, outages and refusals."""

import json
from collections import defaultdict

import emf
from agent import until
from cloudwatch_reporting import drained, prometheus_json

SERIES = 20


def counting(n):
    """Page n: which it is, and counters that went up by their number."""
    counters = "".join(f'work_total{{i="{i}"}} {1000 + n * (i + 1)}\n' for i in range(SERIES))
    return f"# TYPE serial gauge\nserial {n}\n# TYPE work_total counter\n{counters}"


def told(proxy, group):
    """The checked events that the service took for a group, each request once: {instance: events}."""
    out = defaultdict(list)
    for (where, _), events in proxy.log_events().items():
        if where == group:
            for log_event in events:
                event = emf.check(log_event["message"])
                assert emf.stamp_ms(event) == log_event["timestamp"]
                out[event["instance"]].append(event)
    return out


def nothing_lost(proxy, group, targets, missed=0):
    """Every scrape of a `counting` target came, once; at most `missed` were under way at a kill, and what they counted is in the
    next one's. Gives the number of scrapes."""
    events = told(proxy, group)
    scrapes = 0
    for target in targets:
        of = events[target.address]
        serials = sorted(int(e["serial"]) for e in of if "serial" in e)
        assert len(set(serials)) == len(serials), f"twice: {[s for s in serials if serials.count(s) > 1]}"
        assert target.served - len(serials) <= missed + 1, f"{len(serials)} of {target.served} scrapes came: {serials}"
        sums = defaultdict(float)
        for e in of:
            if "work_total" in e:
                sums[int(e["i"])] += e["work_total"]
        went_up = serials[-1] - serials[0]
        assert dict(sums) == {i: went_up * (i + 1) for i in range(SERIES)}, f"{target.address} went up {went_up} times"
        scrapes += len(serials)
    return scrapes


def read_back(logs, group, stream):
    """How many events a stream holds: what the service kept, repeats too."""
    return len(emf.log_events(logs, group, stream))


DECLARED = {"source_labels": ["job"], "label_matcher": ".*", "dimensions": [["ClusterName", "job"]], "metric_selectors": [".*"]}


def section(group, *declarations, **processor):
    of = {"log_group_name": group, "prometheus_config_path": "env:PROMETHEUS_CONFIG_CONTENT"}
    return prometheus_json({**of, "emf_processor": {"metric_declaration": list(declarations) or [DECLARED], **processor}})


def jobs(targets, interval="500ms", n=2):
    """So many jobs, so many log streams."""
    parts = [targets[i::n] for i in range(n)]
    listed = [{"job_name": f"job{i}", "static_configs": [{"targets": [t.address for t in part]}]} for i, part in enumerate(parts)]
    return json.dumps({"global": {"scrape_interval": interval, "scrape_timeout": interval}, "scrape_configs": listed})


def served(targets):
    return sum(t.served for t in targets)


def more(targets, n):
    goal = served(targets) + n
    until(lambda: served(targets) >= goal, f"{n} scrapes more")


def ended(agent, proxy, group, targets, missed=0):
    drained(agent)
    assert agent.stop() == 0, agent.log()[-3000:]
    return nothing_lost(proxy, group, targets, missed)


def duplicates(agent):
    return sum(v for k, v in agent.metrics().items() if k.startswith("leadline_possible_duplicates_total"))

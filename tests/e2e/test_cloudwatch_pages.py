"""Pages at their worst, on their way to CloudWatch Logs: a bad value, name or number costs nothing but itself. Each answer of AWS comes
through the checking proxy."""

import json
import time

import pytest

import cloudwatch_limits as limits
import emf
from agent import until
from cloudwatch_counting import DECLARED, section, told
from cloudwatch_reporting import CLUSTER, drained
from cloudwatch_reporting import emulator, make_reporting, metadata, proxy  # noqa: F401 - fixtures


def told_of(make_reporting, proxy, make_target, page, group, *declarations, scrapes=4, **processor):
    """(the agent, ended; its ledger before; the events of the one target)"""
    target = make_target(page)
    one = {"job_name": "odd", "static_configs": [{"targets": [target.address]}]}
    prometheus = json.dumps({"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": [one]})
    agent = make_reporting(section(group, *declarations, **processor), prometheus)
    until(lambda: target.served >= scrapes, f"scrapes\n{agent.log()[-3000:]}")
    drained(agent)
    agent.last_ledger = agent.balanced()
    assert agent.stop() == 0, agent.log()[-3000:]
    return agent, told(proxy, group).get(target.address, [])


def values(events, name):
    return [e[name] for e in events if name in e]


def test_counters_that_jump_back(make_reporting, proxy, make_target):
    """The value itself is what was counted since."""
    ladder = [100, 107, 5, 9, 0, 4]
    page = lambda n: f"# TYPE serial gauge\nserial {n}\n# TYPE c counter\nc {ladder[min(n, 5)]}\n"
    _, events = told_of(make_reporting, proxy, make_target, page, "/back", scrapes=7)
    assert values(events, "c")[:5] == [7, 5, 4, 0, 4]


def test_values_that_are_no_numbers(make_reporting, proxy, make_target):
    """They are dropped and counted; a counter goes on from its last value that was a number."""
    odd = ["NaN", "+Inf", "-Inf"]
    ladder = ["10", "12", "NaN", "20", "25"]
    page = lambda n: (
        f"# TYPE g gauge\ng {odd[n % 3]}\n# TYPE fine gauge\nfine 1\n# TYPE c counter\nc {ladder[n] if n < 5 else 25 + n}\n"
    )
    agent, events = told_of(make_reporting, proxy, make_target, page, "/odd", scrapes=6)
    assert not values(events, "g") and len(values(events, "fine")) >= 5
    assert values(events, "c")[:2] == [2, 8]
    assert agent.last_ledger["dropped"]["not_finite"] >= 6


def test_declarations_that_match_nothing(make_reporting, proxy, make_target):
    nothing = [
        {"source_labels": ["job"], "label_matcher": "^another$", "dimensions": [["job"]], "metric_selectors": [".*"]},
        {"source_labels": ["job"], "label_matcher": ".*", "dimensions": [["job"]], "metric_selectors": ["^another$"]},
        {"source_labels": ["job"], "label_matcher": ".*", "dimensions": [["another"]], "metric_selectors": [".*"]},
    ]
    _, events = told_of(make_reporting, proxy, make_target, "# TYPE g gauge\ng 1\n", "/nothing", *nothing)
    assert values(events, "g") and not any(emf.directives(e) for e in events)


LONG = "v" * 1025
DIMENSION_VALUES = {"none": "", "long": LONG, "umlaut": "Käse", "blank": " ", "fits": "v" * 1024}


def test_values_that_are_no_dimensions(make_reporting, proxy, make_target):
    """Such a set is skipped and counted; the event and the other sets stay."""
    page = "# TYPE g gauge\n" + "".join(f'g{{kind="{k}",d="{v}"}} 1\n' for k, v in DIMENSION_VALUES.items())
    declared = {**DECLARED, "dimensions": [["kind"], ["kind", "d"]]}
    agent, events = told_of(make_reporting, proxy, make_target, page, "/dimensions", declared)
    sets = {e["kind"]: emf.directives(e)[0]["Dimensions"] for e in events}
    assert sets == {k: [["kind"], ["d", "kind"]] if k == "fits" else [["kind"]] for k in DIMENSION_VALUES}
    assert {e.get("d", "") for e in events} == set(DIMENSION_VALUES.values()), "the labels themselves are told as they are"


def test_labels_with_the_names_of_the_format(make_reporting, proxy, make_target):
    """A label called Timestamp or Version: the format's own wins. A metric called as a label: its value wins, as in the agent, and no
    set has that dimension."""
    page = '# TYPE g gauge\ng{Timestamp="x",Version="y",CloudWatchMetrics="z",_aws="q"} 1\n# TYPE job gauge\njob 5\n'
    _, events = told_of(make_reporting, proxy, make_target, page, "/names")
    assert values(events, "g") and all(e["Version"] == "0" for e in events)
    assert all(e["job"] == 5 for e in events)
    assert not any("job" in names for e in events for d in emf.directives(e) for names in d["Dimensions"])


@pytest.mark.parametrize("n", [100, 101, 250])
def test_more_than_a_hundred_metrics_with_equal_labels(make_reporting, proxy, make_target, n):
    page = "".join(f"# TYPE g{i} gauge\ng{i} {i}\n" for i in range(n))
    _, events = told_of(make_reporting, proxy, make_target, page, f"/hundred/{n}", scrapes=2)
    at_once = [e for e in events if emf.stamp_ms(e) == emf.stamp_ms(events[0])]
    assert len(at_once) == (n + 99) // 100
    metrics = [m["Name"] for e in at_once for d in emf.directives(e) for m in d["Metrics"]]
    assert sorted(metrics) == sorted(f"g{i}" for i in range(n))
    assert all(e["job"] == "odd" and e["ClusterName"] == CLUSTER for e in at_once)


def test_a_page_of_megabytes_of_events(make_reporting, proxy, make_target):
    """4,000 label sets with long labels: several requests, none over the limit."""
    filler = "x" * 600
    lines = "".join(f'g{{i="{i}",filler="{filler}"}} {i}\n' for i in range(4000))
    page = lambda n: "# TYPE g gauge\n" + (lines if n < 2 else "g 1\n")
    agent, events = told_of(make_reporting, proxy, make_target, page, "/huge", scrapes=3)
    stamp = min(map(emf.stamp_ms, events))
    assert sorted(int(e["i"]) for e in events if emf.stamp_ms(e) == stamp) == list(range(4000))
    sizes = [sum(limits.utf8(e["message"]) + 26 for e in r.body["logEvents"]) for r in proxy.of("PutLogEvents")]
    assert len(sizes) > 3 and max(sizes) > limits.BATCH_BYTES * 0.8


def test_an_event_that_is_too_large(make_reporting, proxy, make_target):
    """It is dropped and counted, by itself."""
    page = f'# TYPE g gauge\ng{{i="large",filler="{"x" * 1100000}"}} 1\ng{{i="small"}} 2\n'
    agent, events = told_of(make_reporting, proxy, make_target, page, "/large", scrapes=2)
    assert {e["i"] for e in events} == {"small"}
    assert agent.last_ledger["dropped"]["unsendable"] >= 1


def test_31_dimensions(make_reporting, proxy, make_target):
    """A set of more than 30 is left out, with a warning; the others stay."""
    labels = ",".join(f'd{i:02}="v"' for i in range(31))
    names = [f"d{i:02}" for i in range(31)]
    declared = {**DECLARED, "dimensions": [names, names[:30]]}
    agent, events = told_of(make_reporting, proxy, make_target, f"# TYPE g gauge\ng{{{labels}}} 1\n", "/many", declared)
    assert emf.directives(events[0])[0]["Dimensions"] == [names[:30]]
    assert "30" in agent.log()


def test_times_of_the_page(make_reporting, proxy, make_target):
    """Explicit times: a counter's value that is not newer is dropped, not told as it is; events of one page are sorted."""
    begin = int(time.time() * 1000) - 60_000
    page = lambda n: (
        f"# TYPE c counter\nc {100 * n + 5} {begin + (n // 2) * 1000}\n# TYPE g gauge\ng{{at=\"late\"}} 1 {begin + 5000 + n}\n"
        f'g{{at="early"}} 2 {begin - 5000 + n}\n'
    )
    agent, events = told_of(make_reporting, proxy, make_target, page, "/times", scrapes=6)
    deltas = values(events, "c")
    assert deltas and set(deltas) <= {200}, deltas
    assert {e["at"] for e in events if "at" in e} == {"late", "early"}

"""What is asked of targets, and what becomes of their formats: protobuf, exemplars, conversion, limits, failed scrapes."""

import json
import os

from agent import until
from fixtures import config
from metric_family import COUNTER, GAUGE, HISTOGRAM, PROTOBUF, SUMMARY, UNTYPED
from metric_family import bucket, counter, family, gauge, histogram, metric, summary, untyped

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
CLASSIC = 'h_bucket{le="1"} 2\nh_bucket{le="+Inf"} 3\nh_sum 4\nh_count 3\n'


def names(receiver, target):
    """What the target's series are called, without the report series."""
    found = {s.name for s in receiver.find(instance=target.address)}
    return {n for n in found if n != "up" and not n.startswith("scrape_")}


def scraped(agent, target, n=2):
    until(lambda: target.served >= n, f"{n} scrapes\n{agent.log()}")


def healthy(agent, target):
    found = [t for t in agent.api("targets")["activeTargets"] if t["labels"]["instance"] == target.address]
    return found and found[0]["health"] == "up"


def accept(target):
    return target.requests[0][1]["Accept"]


def proto_target(make_target, *families):
    return make_target(b"".join(families), content_type=PROTOBUF)


# ---- what is asked for ----


def test_native_histograms_ask_for_protobuf_first(make_agent, make_target, receiver):
    plain, native = make_target("a 1\n"), make_target("a 1\n")
    c = config([plain.address], receiver.url)
    c["scrape_configs"].append(
        {"job_name": "native", "static_configs": [{"targets": [native.address]}], "scrape_native_histograms": True}
    )
    make_agent(c)
    until(lambda: plain.requests and native.requests, "both are asked")
    assert accept(plain) == (
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.7,application/openmetrics-text;version=0.0.1;q=0.6,"
        "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.3"
    )
    assert accept(native) == (
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7,"
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,"
        "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
    )


def test_names_are_escaped_as_the_configuration_says(make_agent, make_target, receiver):
    target = make_target('{"a.b"} 1\n')
    agent = make_agent(
        config([target.address], receiver.url, metric_name_validation_scheme="legacy", metric_name_escaping_scheme="dots")
    )
    scraped(agent, target)
    assert "escaping=dots" in accept(target)
    state = until(lambda: [t for t in agent.api("targets")["activeTargets"] if t["lastError"]], "the name is refused")
    assert 'invalid metric name or label names: {__name__="a.b"' in state[0]["lastError"]
    assert names(receiver, target) == set()


# ---- protobuf ----


def test_a_protobuf_page_is_the_same_as_its_text(make_agent, make_target, receiver):
    binary = proto_target(
        make_target,
        family("c_total", COUNTER, [metric(counter(5, created=1700000000000), {"x": "1"})], help="C."),
        family("g", GAUGE, [metric(gauge(1.5)), metric(gauge(-2), {"y": "2"})]),
        family("s", SUMMARY, [metric(summary(3, 4.5, [(0.5, 1), (0.99, 2)]))]),
        family("h", HISTOGRAM, [metric(histogram(3, 4, bucket(1, 2)))]),
        family("u", UNTYPED, [metric(untyped(7))]),
    )
    text = make_target(
        '# TYPE c_total counter\nc_total{x="1"} 5\n# TYPE g gauge\ng 1.5\ng{y="2"} -2\n# TYPE s summary\ns_count 3\ns_sum 4.5\n'
        's{quantile="0.5"} 1\ns{quantile="0.99"} 2\n# TYPE h histogram\nh_count 3\nh_sum 4\nh_bucket{le="1"} 2\nh_bucket{le="+Inf"} 3\n'
        "# TYPE u untyped\nu 7\n"
    )
    agent = make_agent(config([binary.address, text.address], receiver.url))
    scraped(agent, binary, 3)
    scraped(agent, text, 3)
    until(lambda: len(receiver.find("u", instance=binary.address)) > 1, "two scrapes arrived")

    def series(target):
        out = {}
        for s in receiver.find(instance=target.address):
            labels = tuple((k, v) for k, v in s.labels if k != "instance")
            if not s.name.startswith("scrape_") and s.name != "up":
                out.setdefault(labels, set()).add(s.value)
        return out

    assert series(binary) == series(text) and len(series(text)) == 12
    assert agent.metrics()["leadline_scrape_lines_predicted_total"] > 0
    agent.balanced()


def test_a_native_histogram_stands_for_its_classic_series(make_agent, make_target, receiver):
    def page(n):
        h = histogram(3, 4, bucket(1, 2), schema=0, zero_threshold=0.001, zero_count=1, positive=[(0, 2)], positive_deltas=[1, 0])
        return (family("h", HISTOGRAM, [metric(h)]) if n < 3 else b"") + family("g", GAUGE, [metric(gauge(n))])

    both = [make_target(page, content_type=PROTOBUF) for _ in range(3)]
    c = config([both[0].address], receiver.url, scrape_native_histograms=True)
    c["scrape_configs"].append(
        {
            "job_name": "more",
            "static_configs": [
                {"targets": [both[1].address], "labels": {"__always_scrape_classic_histograms__": "true"}},
                {"targets": [both[2].address], "labels": {"__scrape_native_histograms__": "false"}},
            ],
            "scrape_native_histograms": True,
        }
    )
    agent = make_agent(c)
    for t in both:
        scraped(agent, t, 5)
    classic = {"h_count", "h_sum", "h_bucket"}
    until(lambda: names(receiver, both[2]) >= {"g"} | classic, "the classic series where native ones are not wanted")
    assert not names(receiver, both[0]) & classic
    assert names(receiver, both[1]) & classic == classic
    assert "h" not in names(receiver, both[2])
    assert agent.metrics()["leadline_scrape_histograms_total"] >= 6
    agent.balanced()


def test_a_histogram_with_too_many_buckets_fails_its_scrape(make_agent, make_target, receiver):
    h = histogram(6, 4, schema=0, zero_threshold=0.001, positive=[(0, 3), (40, 3)], positive_deltas=[1, 0, 0, 0, 0, 0])
    target = proto_target(make_target, family("h", HISTOGRAM, [metric(h)]))
    agent = make_agent(
        config([target.address], receiver.url, scrape_native_histograms=True, native_histogram_bucket_limit=1)
    )
    state = until(lambda: [t for t in agent.api("targets")["activeTargets"] if t["lastError"]], "it fails")
    assert state[0]["lastError"] == "histogram bucket limit exceeded"
    assert agent.metrics()["prometheus_target_scrapes_exceeded_native_histogram_bucket_limit_total"] > 0
    until(lambda: [s for s in receiver.find("up") if s.value == 0], "up is 0")


def test_a_protobuf_body_that_is_none_fails_its_scrape(make_agent, make_target, receiver):
    cut = family("g", GAUGE, [metric(gauge(1))])[:-1]
    for body in (cut, b"\x00\xff", b"a 1\n"):
        target = make_target(body, content_type=PROTOBUF)
        agent = make_agent(config([target.address], receiver.url))
        state = until(lambda: agent.api("targets")["activeTargets"], "a target")
        state = until(lambda: [t for t in agent.api("targets")["activeTargets"] if t["lastError"]], f"{body} fails")
        assert state[0]["health"] == "down"
        agent.stop()


# ---- conversion of text pages ----


def test_classic_histograms_are_converted(make_agent, make_target, receiver):
    swallowed = make_target("# TYPE h histogram\n" + CLASSIC + "g 1\n")
    kept = make_target("# TYPE h histogram\n" + CLASSIC + "g 1\n")
    c = config([swallowed.address], receiver.url, convert_classic_histograms_to_nhcb=True)
    c["scrape_configs"].append(
        {
            "job_name": "kept",
            "static_configs": [{"targets": [kept.address]}],
            "convert_classic_histograms_to_nhcb": True,
            "always_scrape_classic_histograms": True,
        }
    )
    agent = make_agent(c)
    scraped(agent, swallowed, 3)
    scraped(agent, kept, 3)
    until(lambda: names(receiver, kept) >= {"g", "h_count", "h_sum", "h_bucket"}, "classic series where they are kept")
    until(lambda: names(receiver, swallowed) >= {"g"}, "the rest of the page")
    assert not names(receiver, swallowed) & {"h_count", "h_sum", "h_bucket"}
    scraped_lines = {s.value for s in receiver.find("scrape_samples_scraped", instance=swallowed.address)}
    assert scraped_lines == {2}, "the histogram is one sample"
    assert agent.metrics()["leadline_scrape_histograms_total"] >= 4


# ---- exemplars ----


def test_exemplars_are_counted_once(make_agent, make_target, receiver):
    def page(n):
        return f'# TYPE c counter\nc_total {n} # {{id="{n // 3}"}} 1 {1700000000 + n // 3}\n# EOF\n'

    target = make_target(page, content_type=OPENMETRICS)
    agent = make_agent(config([target.address], receiver.url))
    scraped(agent, target, 7)
    until(lambda: agent.metrics()["leadline_scrape_exemplars_total"] >= 3, "three exemplars in seven scrapes")
    served = target.served
    assert agent.metrics()["leadline_scrape_exemplars_total"] <= served // 3 + 1
    agent.balanced()


# ---- limits ----


def test_a_series_limit_leaves_new_series_out(make_agent, make_target, receiver):
    target = make_target(lambda n: f'a 1\nb{{n="{n}"}} 1\n')
    free = make_target(lambda n: f'a 1\nb{{n="{n}"}} 1\n')
    c = config([target.address], receiver.url)
    c["scrape_configs"][0]["static_configs"][0]["labels"] = {"__series_limit__": "3"}
    c["scrape_configs"][0]["static_configs"].append({"targets": [free.address]})
    agent = make_agent(c)
    scraped(agent, target, 6)
    scraped(agent, free, 6)
    until(lambda: len({s.labels for s in receiver.find("b", instance=free.address)}) >= 5, "no limit there")
    assert len({s.labels for s in receiver.find("b", instance=target.address)}) == 2
    assert len(receiver.find("a", instance=target.address)) >= 4
    assert agent.metrics()["leadline_scrape_series_over_limit_total"] > 0
    agent.balanced()


def test_extra_scrape_metrics(make_agent, make_target, receiver):
    target, failing = make_target("a 1\n"), make_target("a 1\n", status=500)
    c = config([target.address, failing.address], receiver.url, extra_scrape_metrics=True, sample_limit=9, scrape_timeout="500ms")
    agent = make_agent(c)
    until(lambda: receiver.find("scrape_body_size_bytes", instance=failing.address), "the failing one reports")
    until(lambda: receiver.find("scrape_body_size_bytes", instance=target.address), "the other one too")

    def values(name, t):
        return {s.value for s in receiver.find(name, instance=t.address)}

    metrics = agent.metrics()
    assert metrics["prometheus_target_scrape_duration_seconds_count"] >= 2
    assert metrics['prometheus_target_scrape_duration_seconds_bucket{le="+Inf"}'] >= 2
    assert values("scrape_timeout_seconds", target) == {0.5}
    assert values("scrape_sample_limit", target) == {9}
    assert values("scrape_body_size_bytes", target) == {4}
    assert values("scrape_body_size_bytes", failing) == {0}
    agent.balanced()


# ---- failed scrapes ----


def test_failed_scrapes_are_written_to_a_file(make_agent, make_target, receiver, tmp_path):
    good, bad, broken = make_target("a 1\n"), make_target("a 1\n", status=500), make_target("a{\n")
    path = str(tmp_path / "failures.json")
    c = config([good.address, bad.address, broken.address], receiver.url, scrape_failure_log_file=path)
    agent = make_agent(c)
    until(lambda: os.path.exists(path) and open(path).read().count("\n") >= 2, "two lines")
    lines = [json.loads(line) for line in open(path)]
    assert {line["target"] for line in lines} == {f"http://{bad.address}/metrics"}, "what was read is no failure of that kind"
    assert list(lines[0]) == ["time", "level", "source", "msg", "job_name", "target"]
    assert lines[0]["level"] == "ERROR" and lines[0]["job_name"] == "test"
    assert lines[0]["msg"] == "server returned HTTP status 500 Internal Server Error"

    os.rename(path, path + ".1")
    assert agent.reload()[0] == 200
    until(lambda: os.path.exists(path) and open(path).read().count("\n") >= 1, "a reload opens it anew")
    c["scrape_configs"][0]["scrape_failure_log_file"] = str(tmp_path / "nowhere" / "failures.json")
    agent.configure(c)
    status, text = agent.reload()
    assert status == 500 and "nowhere/failures.json: No such file or directory" in text
    size = os.path.getsize(path)
    until(lambda: os.path.getsize(path) > size, "the file of before stays in use")


def test_a_failure_log_that_cannot_be_opened_ends_the_start(make_agent, make_target, receiver, tmp_path):
    c = config([], receiver.url, scrape_failure_log_file=str(tmp_path / "nowhere" / "x.json"))
    agent = make_agent(c, start=False)
    agent.start(wait=False)
    assert agent.process.wait(30) == 1
    assert "can't create json log file" in agent.log()

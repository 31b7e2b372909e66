"""leadline and the newest Prometheus side by side, both sending remote write 2.0: native histograms, exemplars and start
timestamps, from protobuf, OpenMetrics and text pages.

Each series is compared as the sequence of what was sent of it, whatever the moments of the scrapes; metadata is compared with
the pages, since the original sends none as an agent. Prometheus runs with the feature that gives it start timestamps
(st-storage), and then keeps `_created` lines to itself; leadline needs no feature, and they stay series too, as they are for
the original without it.
"""

import os
import struct

import pytest

from agent import Agent, until
from metric_family import (
    COUNTER,
    GAUGE,
    GAUGE_HISTOGRAM,
    HISTOGRAM,
    PROTOBUF,
    SUMMARY,
    UNTYPED,
    bucket,
    counter,
    exemplar,
    family,
    gauge,
    histogram,
    metric,
    summary,
    untyped,
)
from prometheus_peer import OPENMETRICS, SCRAPERS, TEXT, Prometheus, Script, Stage
from write2 import MESSAGE, Receiver2

MINUS_ZERO = 1 << 63
BORN_MS = 1700000000123
ROUNDS = 3
PATIENCE_S = 60
REPORT = {
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
}
INF = float("inf")


def native(n, **more):
    """An integer histogram that grows with the round."""
    return histogram(
        count=10 + 4 * n,
        total=18.4 + n,
        schema=3,
        zero_threshold=1e-128,
        zero_count=2,
        positive=[(0, 2), (3, 2)],
        positive_deltas=[1 + n, 1, -1, 0],
        negative=[(-2, 2)],
        negative_deltas=[1, 1],
        **more,
    )


def classic_buckets(n, exemplars=True):
    e = exemplar({"trace_id": f"t{n}"}, 0.7, BORN_MS + n) if exemplars else None
    return bucket(0.5, 2 + n) + bucket(1, 4 + n, e) + bucket(2.5, 5 + n) + bucket(INF, 6 + n)


def protobuf_page(n):
    """What a page of round n holds; every kind of family once."""
    trace = exemplar({"trace_id": f"c{n}"}, 1.5 + n, BORN_MS + n)
    return b"".join(
        [
            family(
                "requests_total",
                COUNTER,
                [
                    metric(counter(5 + n, BORN_MS, trace), {"code": "200"}),
                    metric(counter(n, BORN_MS + 7), {"code": "500"}),
                ],
                "Requests, by code.",
            ),
            family("temperature_celsius", GAUGE, [metric(gauge(20.5 + n), {"room": "a"}), metric(gauge(-0.0))], "Heat.", "celsius"),
            family("odd", UNTYPED, [metric(untyped(n))]),
            family(
                "rpc_seconds",
                SUMMARY,
                [metric(summary(3 + n, 4.5 + n, [(0.5, 1.0), (0.99, 2.5)], BORN_MS), {"rpc": "x"})],
                "Durations.",
            ),
            family(
                "classic_seconds",
                HISTOGRAM,
                [metric(histogram(6 + n, 7.25 + n, classic_buckets(n), created=BORN_MS), {"path": "/"})],
                "Classic.",
            ),
            family("native_seconds", HISTOGRAM, [metric(native(n, created=BORN_MS), {"path": "/"})], "Native."),
            family(
                "both_seconds",
                HISTOGRAM,
                [metric(native(n, buckets=classic_buckets(n), exemplars=[exemplar({"span": f"{n}"}, 3.5, BORN_MS + n)]))],
            ),
            family(
                "float_seconds",
                HISTOGRAM,
                [
                    metric(
                        histogram(
                            count_float=7.5 + n,
                            total=3.25,
                            schema=0,
                            zero_threshold=0.001,
                            zero_count_float=1.5,
                            positive=[(1, 3)],
                            positive_counts=[2.0, 1.5, 2.5 + n],
                        )
                    )
                ],
            ),
            family("queue_bytes", GAUGE_HISTOGRAM, [metric(native(n))], "A gauge histogram."),
            family("empty_seconds", HISTOGRAM, [metric(histogram(count=0, total=0.0, schema=2, zero_threshold=0.01, zero_count=0, positive=[(0, 0)]))]),
        ]
    )


def bad_page(n):
    """The second histogram holds fewer observations than its buckets: the original refuses the whole page."""
    wrong = histogram(count=1 + n, total=1.0, schema=0, zero_threshold=0.1, zero_count=0, positive=[(0, 1)], positive_deltas=[5])
    return family("good_seconds", HISTOGRAM, [metric(native(n))]) + family("wrong_seconds", HISTOGRAM, [metric(wrong)] if n else [])


def openmetrics_page(n):
    return f"""# HELP jobs Jobs done.
# TYPE jobs counter
jobs_total{{queue="a"}} {5 + n} # {{trace_id="t{n}"}} 0.5 {(BORN_MS + n) / 1000:.3f}
jobs_created{{queue="a"}} {BORN_MS / 1000:.3f}
jobs_total{{queue="b"}} {n}
jobs_created{{queue="b"}} {(BORN_MS + 1000) / 1000:.3f}
# TYPE wait_seconds histogram
# UNIT wait_seconds seconds
# HELP wait_seconds Waiting.
wait_seconds_bucket{{le="0.5"}} {1 + n} # {{trace_id="b{n}"}} 0.4
wait_seconds_bucket{{le="1"}} {2 + n}
wait_seconds_bucket{{le="+Inf"}} {3 + n} # {{trace_id="i{n}"}} 3 {(BORN_MS + n) / 1000:.3f}
wait_seconds_count {3 + n}
wait_seconds_sum {4.5 + n}
wait_seconds_created {BORN_MS / 1000:.3f}
# TYPE took_seconds summary
took_seconds{{quantile="0.5"}} 0.25
took_seconds_count {n}
took_seconds_sum {n}
took_seconds_created {BORN_MS / 1000:.3f}
# TYPE build info
build_info{{version="1"}} 1
# TYPE state stateset
state{{state="on"}} 1
# TYPE plain unknown
plain {n}
# EOF
"""


def text_page(n):
    return f"""# HELP hits_total Hits.
# TYPE hits_total counter
hits_total {n}
# TYPE size_bytes histogram
size_bytes_bucket{{le="10"}} {1 + n}
size_bytes_bucket{{le="100"}} {1 + n}
size_bytes_bucket{{le="+Inf"}} {4 + n}
size_bytes_sum {400 + n}
size_bytes_count {4 + n}
# TYPE two gauge
two{{x="1"}} {n}
two{{x="2"}} NaN
"""


PROTO_FIRST = ["PrometheusProto", "OpenMetricsText1.0.0", "PrometheusText0.0.4"]
PAGES = {"proto": (PROTOBUF, protobuf_page), "bad": (PROTOBUF, bad_page), "om": (OPENMETRICS, openmetrics_page), "text": (TEXT, text_page)}
JOBS = {
    # name: page, settings
    "proto_default": ("proto", {"scrape_protocols": PROTO_FIRST}),
    "proto_native": ("proto", {"scrape_native_histograms": True}),
    "proto_both": ("proto", {"scrape_native_histograms": True, "always_scrape_classic_histograms": True}),
    "proto_nhcb": ("proto", {"scrape_native_histograms": True, "convert_classic_histograms_to_nhcb": True}),
    "proto_nhcb_both": (
        "proto",
        {
            "scrape_native_histograms": True,
            "convert_classic_histograms_to_nhcb": True,
            "always_scrape_classic_histograms": True,
        },
    ),
    "proto_limit": ("proto", {"scrape_native_histograms": True, "native_histogram_bucket_limit": 3}),
    "proto_factor": ("proto", {"scrape_native_histograms": True, "native_histogram_min_bucket_factor": 1.8}),
    "proto_relabel": (
        "proto",
        {
            "scrape_native_histograms": True,
            "metric_relabel_configs": [
                {"source_labels": ["__name__"], "regex": "native_(.*)", "target_label": "__name__", "replacement": "renamed_$1"},
                {"source_labels": ["__name__"], "regex": "temperature.*", "action": "drop"},
            ],
        },
    ),
    "proto_bad": ("bad", {"scrape_native_histograms": True}),
    "om": ("om", {}),
    "om_nhcb": ("om", {"convert_classic_histograms_to_nhcb": True}),
    "om_nhcb_both": ("om", {"convert_classic_histograms_to_nhcb": True, "always_scrape_classic_histograms": True}),
    "text": ("text", {}),
    "text_nhcb": ("text", {"convert_classic_histograms_to_nhcb": True}),
}


class Run:
    def __init__(self, folder):
        scripts = {}
        for job, (kind, _) in JOBS.items():
            content_type, page = PAGES[kind]
            scripts[f"/{job}"] = Script([page(n) for n in range(ROUNDS)], content_type)
        self.stage = Stage(scripts)
        self.receivers = {who: Receiver2(check_order=False) for who in SCRAPERS}
        self.agents = {}
        for who in SCRAPERS:
            kind, flags = (Prometheus, ["--enable-feature=st-storage"]) if who == "prometheus" else (Agent, [])
            self.agents[who] = kind(os.path.join(folder, who), self.config(who), *flags)

    def config(self, who):
        return {
            "global": {"scrape_interval": "2s", "scrape_timeout": "2s", "external_labels": {"region": "r"}},
            "scrape_configs": [
                {
                    "job_name": job,
                    "metrics_path": f"/{job}",
                    "static_configs": [{"targets": [self.stage.address]}],
                    **settings,
                }
                for job, (_, settings) in JOBS.items()
            ],
            "remote_write": [
                {
                    "url": self.receivers[who].url,
                    "protobuf_message": MESSAGE,
                    "send_exemplars": True,
                    "send_native_histograms": True,
                    "queue_config": {"batch_send_deadline": "300ms", "max_shards": 1, "min_shards": 1},
                }
            ],
        }

    def finished(self, who):
        for job in JOBS:
            if len(self.receivers[who].entries_of("up", job=job)) < ROUNDS + 2:
                return False
        return True

    def play(self):
        for agent in self.agents.values():
            agent.start(wait=False)
        for who in SCRAPERS:
            until(lambda: self.agents[who]._listening(), f"{who} listens")
        for who in SCRAPERS:
            until(lambda: self.finished(who), f"{who} sends {ROUNDS + 2} scrapes of each job", PATIENCE_S)
        for agent in self.agents.values():
            agent.stop()
        for receiver in self.receivers.values():
            receiver.close()
        self.stage.close()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    run = Run(str(tmp_path_factory.mktemp("differential2")))
    try:
        run.play()
        yield run
    finally:
        for agent in run.agents.values():
            if agent.process and agent.process.poll() is None:
                agent.kill()


def sequences(run, who, job):
    """{labels: [what was sent, without the scrapes' own times]}, of the first ROUNDS + 1 scrapes: the pages and the empty
    one behind them."""
    out, exemplars = {}, {}
    for s in run.receivers[who].entries:
        labels = dict(s.labels)
        name = labels["__name__"]
        if labels.get("job") != job or name in REPORT or (job.startswith("om") and name.endswith("_created")):
            continue
        for ms, value, start in s.samples:
            # The original loses the sign of zero (docs/compatibility.md).
            out.setdefault(s.labels, []).append(("sample", 0 if value == MINUS_ZERO else value, start))
        for h in s.histograms:
            out.setdefault(s.labels, []).append(("histogram", h.key, h.start_ms))
        for e_labels, value, ms in s.exemplars:
            # One without a time of its own has the scrape's.
            exemplars.setdefault(s.labels, []).append((e_labels, value, ms if ms < BORN_MS + 1000 else "scrape"))
    return out, exemplars


def show(item):
    if item is None:
        return "nothing"
    kind, value, start = item
    if kind == "sample":
        value = struct.unpack("<d", struct.pack("<Q", value))[0]
    return f"{kind} {value} since {start}"


def compare(ours, theirs, length):
    found = []
    for labels in sorted(set(ours) | set(theirs)):
        a, b = ours.get(labels, [])[:length], theirs.get(labels, [])[:length]
        if a == b:
            continue
        at = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
        text = show if length < 100 else str
        found.append(
            f"{dict(labels)}, {len(a)} and {len(b)}, at {at}:\n"
            f"    leadline   {text(a[at]) if at < len(a) else 'nothing'}\n    prometheus {text(b[at]) if at < len(b) else 'nothing'}"
        )
    return found


@pytest.mark.parametrize("job", JOBS)
def test_samples_and_histograms(run, job):
    ours, _ = sequences(run, "leadline", job)
    theirs, _ = sequences(run, "prometheus", job)
    assert theirs, "the original sent nothing: the comparison says nothing"
    found = compare(ours, theirs, ROUNDS + 1)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("job", JOBS)
def test_exemplars(run, job):
    _, ours = sequences(run, "leadline", job)
    _, theirs = sequences(run, "prometheus", job)
    found = compare(ours, theirs, 1000)
    assert not found, "\n".join(found)
    if JOBS[job][0] not in ("text", "bad"):
        assert theirs, "the original sent no exemplar: the comparison says nothing"


def test_report_series(run):
    for job, (kind, _) in JOBS.items():
        if kind == "om":
            continue  # the `_created` lines count
        for name in ("up", "scrape_samples_scraped", "scrape_samples_post_metric_relabeling", "scrape_series_added"):
            ours, theirs = (
                [s.samples[0][1] for s in run.receivers[who].entries_of(name, job=job)][: ROUNDS + 1] for who in SCRAPERS
            )
            assert ours == theirs, f"{job} {name}"


def test_every_request_keeps_to_the_specification(run):
    for who in SCRAPERS:
        assert not run.receivers[who].problems, f"{who}: {run.receivers[who].problems[:10]}"


def test_metadata_is_the_pages(run):
    """The original's agent sends none; here it is known from the pages."""
    expected = {
        ("proto_native", "requests_total"): ("counter", "Requests, by code.", ""),
        ("proto_native", "temperature_celsius"): ("gauge", "Heat.", "celsius"),
        ("proto_native", "odd"): ("", "", ""),
        ("proto_native", "rpc_seconds_count"): ("summary", "Durations.", ""),
        ("proto_native", "rpc_seconds"): ("summary", "Durations.", ""),
        ("proto_native", "classic_seconds_bucket"): ("histogram", "Classic.", ""),
        ("proto_native", "native_seconds"): ("histogram", "Native.", ""),
        ("proto_native", "queue_bytes"): ("gaugehistogram", "A gauge histogram.", ""),
        ("om", "jobs_total"): ("counter", "Jobs done.", ""),
        ("om", "wait_seconds_bucket"): ("histogram", "Waiting.", "seconds"),
        ("om", "took_seconds_count"): ("summary", "", ""),
        ("om", "build_info"): ("info", "", ""),
        ("om", "state"): ("stateset", "", ""),
        ("om_nhcb", "wait_seconds"): ("histogram", "Waiting.", "seconds"),
        ("text", "hits_total"): ("counter", "Hits.", ""),
        ("text", "size_bytes_bucket"): ("histogram", "", ""),
        ("text", "two"): ("gauge", "", ""),
    }
    for (job, name), want in expected.items():
        live = [s for s in run.receivers["leadline"].entries_of(name, job=job)]
        assert live, f"{job} {name} was not sent"
        assert live[0].metadata == want, f"{job} {name}"

"""`leadline check diff`: two log groups in the emulator, as the original and a leadline beside it would fill them."""

import json
import subprocess
import time

import pytest
from agent import BINARY
from aws import REGION, environment
from cloudwatch_reporting import emulator  # noqa: F401 - a fixture

NOW_S = int(time.time()) - 1800
STEP_S = 15
LABELS = {"ClusterName": "demo", "job": "web", "instance": "10.0.0.5:9100"}


def event(at_s, values, kind="gauge", labels=LABELS, namespace="ECS/P", dimensions=(("ClusterName", "job"),), version="0", unit=None):
    """One performance log event; every value is declared."""
    metrics = [{"Name": name, **({"Unit": unit} if unit else {})} for name in values]
    directives = [{"Namespace": namespace, "Dimensions": [list(d) for d in dimensions], "Metrics": metrics}]
    body = {**labels, "prom_metric_type": kind, **values}
    if version == "1":
        body = {"Version": "1", "_aws": {"CloudWatchMetrics": directives, "Timestamp": at_s * 1000}, **body}
    else:
        body = {"CloudWatchMetrics": directives, "Timestamp": str(at_s * 1000), "Version": "0", **body}
    return {"timestamp": at_s * 1000, "message": json.dumps(body, separators=(",", ":"))}


def recording(n=20, shift_s=0, **options):
    """Scrapes of a counter (deltas) and two gauges."""
    out = []
    for i in range(n):
        at = NOW_S + shift_s + STEP_S * i
        out.append(event(at, {"http_requests_total": 100 + (i + shift_s) % 3}, "counter", **options))
        out.append(event(at, {"memory_bytes": 1e6 + 1000 * ((i + shift_s) % 5), "up": 1}, **options))
    return out


class Groups:
    def __init__(self, emulator, name):
        self.emulator, self.logs = emulator, emulator.client("logs")
        self.left, self.right = f"/diff/{name}/original", f"/diff/{name}/shadow"
        for group in (self.left, self.right):
            self.logs.create_log_group(logGroupName=group)

    def put(self, group, events, stream="web"):
        self.logs.create_log_stream(logGroupName=group, logStreamName=stream)
        events = sorted(events, key=lambda e: e["timestamp"])
        for i in range(0, len(events), 1000):
            self.logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events[i : i + 1000])

    def diff(self, *flags, groups=None, **variables):
        variables = {
            "AWS_ACCESS_KEY_ID": "AKIATEST",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_ENDPOINT_URL": self.emulator.url,
            "AWS_REGION": REGION,
            **variables,
        }
        command = [BINARY, "check", "diff", *(groups or (self.left, self.right)), *flags]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment(**variables))
        return done.returncode, done.stdout, done.stderr


@pytest.fixture
def groups(emulator, request):  # noqa: F811
    return Groups(emulator, request.node.name.replace("[", "-").replace("]", ""))


def rows(text):
    """{first cell: the others} of all tables."""
    cells = (line.rstrip().split("  ") for line in text.splitlines() if line.strip())
    found = {}
    for line in cells:
        parts = [c.strip() for c in line if c.strip()]
        if parts:
            found.setdefault(parts[0], parts[1:])
    return found


def test_equal(groups):
    """Scraped at other moments, in version 1, under a namespace of its own, in another order: equal."""
    left = recording()
    right = [
        {**e, "message": json.dumps(dict(reversed(json.loads(e["message"]).items())))}
        for e in recording(shift_s=6, version="1", namespace="ECS/P-shadow")
    ]
    groups.put(groups.left, left)
    groups.put(groups.right, right)
    status, out, err = groups.diff("--namespace-suffix=-shadow")
    assert (status, err) == (0, ""), out + err
    assert "equal: 3 series, over 4m39s that both cover" in out
    table = rows(out)
    assert table["events"] == ["40", "40"]
    assert table["billed bytes"] == [str(sum(len(e["message"]) + 26 for e in side)) for side in (left, right)]
    assert table["of these of version 1"] == ["0", "40"]
    status, out, err = groups.diff()
    assert status == 1 and "different: 3 directives\n" in out
    assert "ECS/P [ClusterName, job]" in out and "ECS/P-shadow [ClusterName, job]" in out


def test_differences(groups):
    other = {**LABELS, "instance": "10.0.0.6:9100"}
    groups.put(groups.left, recording() + [event(NOW_S + STEP_S * i, {"only_left": i}) for i in range(20)])
    groups.put(groups.left, recording(labels=other), stream="other")
    right = []
    for i in range(20):
        at = NOW_S + STEP_S * i
        right.append(event(at, {"http_requests_total": 100 * i}, "counter"))  # cumulative: the delta was forgotten
        right.append(event(at, {"memory_bytes": 1e6}, unit="Bytes"))
        if not 8 <= i <= 12:
            right.append(event(at, {"up": 1}))
    groups.put(groups.right, right)
    status, out, err = groups.diff("--tolerance=10s")
    assert (status, err) == (1, "")
    assert "different: 2 label sets, 1 metric, 1 directive, 1 series with gaps, 1 series with other values\n" in out
    table = rows(out)
    assert table["only_left"][:2] == ["present", "1"]
    assert "LABEL SETS OF ONE SIDE ONLY" in out and "10.0.0.6:9100" in out
    assert "5 of 19 have none within 10s" in out or "5 of 18 have none within 10s" in out
    assert "ECS/P [ClusterName, job] Bytes" in out
    assert "sum 1818" in out or "sum 1819" in out or "sum 1817" in out
    status, out, err = groups.diff("--show=1")
    assert "... and 1 more: --show=2" in out


def test_split_events(groups):
    """A scrape of 150 metrics in one event, which CloudWatch takes no metrics of, and in two."""
    names = [f"m{i:03}" for i in range(150)]
    left = [event(NOW_S + STEP_S * i, dict.fromkeys(names, 1)) for i in range(5)]
    right = [event(NOW_S + STEP_S * i, dict.fromkeys(part, 1)) for i in range(5) for part in (names[:100], names[100:])]
    groups.put(groups.left, left)
    groups.put(groups.right, right)
    status, out, err = groups.diff()
    assert (status, err) == (0, "")
    assert rows(out)["events"] == ["5", "10"]
    assert rows(out)["of these over 100 metrics a directive"] == ["5", "0"]
    assert "equal: 150 series" in out


def test_many_pages_and_limit(groups):
    """More than one answer of the API holds; --limit leaves the later part out, and the rest is compared."""
    n = 10_050
    at = NOW_S - 600
    groups.put(groups.left, [{**event(at, {"x": 1}), "timestamp": at * 1000 + 100 * i} for i in range(n)])
    groups.put(groups.right, [{**event(at, {"x": 1}), "timestamp": at * 1000 + 100 * i + 50} for i in range(n)])
    status, out, err = groups.diff("--start=2h")
    assert (status, err) == (0, ""), out + err
    assert rows(out)["events"] == [str(n), str(n)]
    status, out, err = groups.diff("--start=2h", "--limit=5000")
    assert (status, err) == (0, "")
    assert rows(out)["events"] == ["5000", "5000"]
    assert f"{groups.left} has more events than --limit=5000: the rest was not read" in out


def test_time_and_streams(groups):
    groups.put(groups.left, recording())
    groups.put(groups.left, recording(labels={"job": "x"}), stream="x")
    groups.put(groups.right, recording())
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(NOW_S + 10 * STEP_S))
    status, out, err = groups.diff(f"--start={stamp}", "--end=1m", "--stream=web")
    assert (status, err) == (0, "")
    assert rows(out)["events"] == ["20", "20"]
    status, out, err = groups.diff(f"--start={stamp}")
    assert status == 1 and "different: 2 label sets" in out


def test_could_not_compare(groups):
    status, out, err = groups.diff()
    assert status == 2 and "the first group has no metrics in this time" in err
    status, out, err = groups.diff(groups=(groups.left, "/diff/no-such-group"))
    assert status == 2 and "/diff/no-such-group" in err and "ResourceNotFoundException" in err
    for flags, said in (
        (["--start=tomorrow"], "--start and --end take a time"),
        (["--start=1m", "--end=2m"], "--start must lie before --end"),
        (["--value-tolerance=x"], "--value-tolerance must be a number"),
        (["--limit=0"], "--limit must be"),
    ):
        status, out, err = groups.diff(*flags)
        assert status == 2 and said in err
    status, out, err = groups.diff(groups=(groups.left,))
    assert status == 2 and "which log groups?" in err

"""leadline and the newest Prometheus side by side: the same targets, the same configuration, a receiver each.

What they send is compared series by series as sequences of values (bit by bit, stale markers included), what they ask the
targets as requests, and what they say of them as /api/v1/targets. Nothing may differ that docs/compatibility.md does not
explain under "Deviations seen side by side"; the exceptions here carry the number that it has there.
"""

import json
import os
import re
import subprocess
import time

import pytest

import differential_cases
from agent import Agent, until
from peers import STALE_BITS
from prometheus_peer import OPENMETRICS, SCRAPERS, TEXT, Prometheus, Recorder, Script, Stage

HERE = os.path.dirname(os.path.abspath(__file__))
INTERVAL = "3s"  # and the timeout: generous, since a scrape that fails by itself is a difference
PATIENCE_S = 70
REPORT = {
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
    "scrape_timeout_seconds",
    "scrape_sample_limit",
    "scrape_body_size_bytes",
}
GONE_AFTER_RELOAD = ("reload_target_relabel", "reload_target_drop")
EXTERNAL = {
    "region": "ext",
    "Zone": "ext-zone",
    "replica": "1",
    "instance_id": "$$x",
    "team": "ext-team",
    "_under": "ext",
    "x": "ext-x",
}


def page_files():
    """(name, content type, bytes): a real node_exporter, and every page that Prometheus' own parser tests use."""
    with open(os.path.join(HERE, "..", "bench", "page.prom"), "rb") as f:
        yield "node_exporter", TEXT, f.read()
    deps = os.environ.get("LEADLINE_DEPS", os.path.expanduser("~/.cache/leadline"))
    for go in ("go", os.path.join(deps, "venv", "bin", "go")):
        try:
            module = subprocess.run(
                [go, "list", "-m", "-f", "{{.Dir}}", "github.com/prometheus/prometheus"],
                cwd=os.path.join(HERE, "..", "peers"),
                capture_output=True,
                text=True,
                check=True,
                env=dict(os.environ, GOTOOLCHAIN="local"),
            ).stdout.strip()
            break
        except (OSError, subprocess.CalledProcessError):
            continue
    else:
        raise AssertionError("no Go that finds Prometheus' module: run tools/deps all")
    folder = os.path.join(module, "model", "textparse", "testdata")
    names = sorted(os.listdir(folder))
    assert len(names) > 8, names
    for name in names:
        with open(os.path.join(folder, name), "rb") as f:
            yield name.removesuffix(".txt").replace(".", "_"), TEXT if name.endswith(".prom.txt") else OPENMETRICS, f.read()


class Side:
    """What came from one scraper."""

    def __init__(self, who):
        self.who = who
        self.plain, self.relabelled = Recorder(), Recorder()
        self.agent = None
        self.targets = None
        self.base_ms = {}

    def close(self):
        if self.agent and self.agent.process and self.agent.process.poll() is None:
            self.agent.kill()
        self.plain.close()
        self.relabelled.close()

    def scrapes(self):
        """{labels of `up`: [(ms, bits)]}"""
        with self.plain.lock:
            return {k: list(v) for k, v in self.plain.received.items() if ("__name__", "up") in k}


class Run:
    def __init__(self, folder):
        self.folder = folder
        self.cases = {c.name: c for c in differential_cases.cases(list(page_files()))}
        scripts = {path: script for c in self.cases.values() for path, (_, script) in zip(c.paths(), c.targets)}
        scripts["/elsewhere"] = Script(["elsewhere 1\n"], steady=True)
        scripts.update(FileTargets.SCRIPTS)
        self.stage = Stage(scripts)
        self.sides = {who: Side(who) for who in SCRAPERS}
        self.files = FileTargets(self)
        self.trouble = []
        self.made = {}
        self.reloaded = False

    def config(self, side):
        write = {"queue_config": {"batch_send_deadline": "300ms", "max_shards": 1, "min_shards": 1}}
        return {
            "global": {"scrape_interval": INTERVAL, "scrape_timeout": INTERVAL, "external_labels": EXTERNAL},
            "scrape_configs": [c.scrape_config(self.stage.address, self.reloaded) for c in self.cases.values()]
            + [self.files.scrape_config()],
            "remote_write": [
                {"url": side.plain.url, "name": "plain", "metadata_config": {"send": True, "send_interval": "2s"}, **write},
                {
                    "url": side.relabelled.url,
                    "name": "relabelled",
                    "metadata_config": {"send": False},
                    "write_relabel_configs": WRITE_RELABEL,
                    **write,
                },
            ],
        }

    def start(self):
        for side in self.sides.values():
            kind = Prometheus if side.who == "prometheus" else Agent
            side.agent = kind(
                os.path.join(self.folder, side.who), self.config(side), "--web.external-url=http://example.org:9999/"
            )
            side.agent.start(wait=False)
        for side in self.sides.values():
            until(side.agent._listening, f"{side.who} listens")

    def finished(self, side):
        """Every script was played, and two more scrapes; the last of them has arrived."""
        counts = {}
        for labels, bits in side.scrapes().items():
            counts.setdefault(dict(labels)["job"], []).append(len(bits))
        for case in self.cases.values():
            want = max(len(s.answers) for _, s in case.targets) + 2
            if min(counts.get(case.name, [0])) < want:
                side.waiting_for = case.name, want, counts.get(case.name)
                return False
        return True

    def reload(self):
        self.reloaded = True
        for side in self.sides.values():
            before = self.ups_after_reload(side)
            side.agent.configure(self.config(side))
            status, text = side.agent.reload()
            assert status == 200, text
            side.settled = {job: n + 4 for job, n in before.items()}
        for side in self.sides.values():
            try:
                until(lambda: self.settled(side), f"{side.who}: scrapes after the reload", patience_s=20)
            except AssertionError as e:
                self.trouble.append(str(e))

    def ups_after_reload(self, side):
        counts = {c.name: 0 for c in self.cases.values() if c.after is not None}
        for labels, samples in side.scrapes().items():
            job = dict(labels)["job"]
            if job in counts:
                counts[job] += len(samples)
        return counts

    def settled(self, side):
        """Four more scrapes of each job that changed; one that lost its target has the target's markers."""
        counts = self.ups_after_reload(side)
        gone = [v for k, v in side.scrapes().items() if dict(k)["job"] in GONE_AFTER_RELOAD and dict(k)["k"] == "v"]
        return all(v[-1][1] == STALE_BITS for v in gone) and all(
            counts[job] >= n for job, n in side.settled.items() if job != "reload_target_drop"
        )

    def play(self):
        self.start()
        try:
            self.files.play()
        except AssertionError as e:
            self.trouble.append(str(e))
        end = time.monotonic() + PATIENCE_S
        for side in self.sides.values():
            while not self.finished(side):
                if time.monotonic() > end:
                    self.trouble.append(f"{side.who}: not finished: {side.waiting_for}")
                    break
                time.sleep(0.1)
        self.reload()
        for side in self.sides.values():
            side.targets = side.agent.api("targets?state=any")
        self.requests, self.first_headers, base_ms = self.stage.state()
        for side in self.sides.values():
            side.base_ms = {path: ms for (who, path), ms in base_ms.items() if who == side.who}
            try:
                side.status = side.agent.stop(patience_s=20)
            except AssertionError as e:
                side.status = str(e)

    def compared(self, which):
        if which not in self.made:
            self.made[which] = series_of(self, which)
        return self.made[which]

    def close(self):
        for side in self.sides.values():
            side.close()
        self.stage.close()


class FileTargets:
    """Targets of file_sd that vanish and come back: two of them, one after the other."""

    NAME = "file_sd"
    SCRIPTS = {f"/file/{i}": Script([f'fs{{i="{i}"}} 1\n# TYPE ts_fs gauge\nts_fs 1 @ms:50@\n'], steady=True) for i in range(3)}

    def __init__(self, run):
        self.run = run
        self.file = os.path.join(run.folder, "targets.json")
        self.write(0, 1)

    def write(self, *numbers):
        groups = [
            {"targets": [self.run.stage.address], "labels": {"__metrics_path__": f"/file/{i}", "i_label": str(i)}}
            for i in numbers
        ]
        with open(self.file + ".new", "w") as f:
            json.dump(groups, f)
        os.rename(self.file + ".new", self.file)

    def scrape_config(self):
        return {
            "job_name": self.NAME,
            "scrape_interval": "2s",
            "scrape_timeout": "2s",
            "file_sd_configs": [{"files": [self.file], "refresh_interval": "1s"}],
        }

    def values(self, side, i):
        found = [v for k, v in side.scrapes().items() if ("i_label", str(i)) in k]
        return [bits for _, bits in found[0]] if found else []

    def everywhere(self, condition, what):
        for side in self.run.sides.values():
            until(lambda: condition(side), f"{side.who}: {what}", patience_s=20)

    def play(self):
        self.everywhere(lambda s: len(self.values(s, 0)) >= 3 and len(self.values(s, 1)) >= 3, "both targets of the file")
        self.write(1, 2)
        self.everywhere(lambda s: STALE_BITS in self.values(s, 0), "stale markers of the target that vanished")
        self.everywhere(lambda s: len(self.values(s, 2)) >= 2, "the new target")
        self.write(0, 1, 2)
        self.everywhere(lambda s: self.values(s, 0)[-1] != STALE_BITS, "the target came back")


WRITE_RELABEL = [
    {"source_labels": ["job"], "regex": "types|values", "action": "drop"},
    {"source_labels": ["__name__", "x"], "regex": "honor;[12]", "target_label": "__name__", "replacement": "renamed_honor"},
    {"source_labels": ["region"], "regex": "ext", "target_label": "region", "replacement": ""},
    {"regex": "replica|Zone", "action": "labeldrop"},
    {"source_labels": ["team"], "target_label": "TEAM", "action": "uppercase"},
    {"source_labels": ["job"], "target_label": "shard", "modulus": 7, "action": "hashmod"},
    {"source_labels": ["__name__"], "regex": "go_info|nothing", "target_label": "__name__", "replacement": ""},
]


# ---- the comparison ----


def tokens(side, labels, samples):
    """[(value bits, "t" for the time of a scrape or the explicit timestamp's distance from the base)]"""
    l = dict(labels)
    path = f"/file/{l.get('i_label')}" if l.get("job") == FileTargets.NAME else f"/{l.get('job')}/0"
    stamped = l.get("__name__", "").startswith("ts_")
    out = []
    for ms, bits in samples:
        distance = ms - side.base_ms.get(path, ms)
        time_of = "old" if distance < -60000 else distance if stamped and (50 <= distance < 100 or distance > 200000) else "t"
        out.append(("stale" if bits == STALE_BITS else f"{bits:016x}", time_of))
    return out


def collapsed(sequence):
    return [t for i, t in enumerate(sequence) if i == 0 or t != sequence[i - 1]]


def series_of(run, which):
    """{case: {labels: {scraper: tokens}}}; report series and steady ones cut to what both have."""
    out = {}
    for side in run.sides.values():
        for labels, samples in getattr(side, which).received.items():
            job = dict(labels).get("job")
            job = job if job in run.cases or job == FileTargets.NAME else "other"
            out.setdefault(job, {}).setdefault(labels, {})[side.who] = tokens(side, labels, samples)
    for job, series in out.items():
        for labels, by_side in series.items():
            name = dict(labels).get("__name__")
            if name == "scrape_duration_seconds":
                for who in by_side:
                    by_side[who] = [("stale" if b == "stale" else "any", t) for b, t in by_side[who]]
            if job == FileTargets.NAME or (job in run.cases and run.cases[job].after is not None):
                for who in by_side:
                    by_side[who] = collapsed(by_side[who])
            elif name in REPORT or is_steady(run, job):
                n = min(len(by_side.get(who, [])) for who in SCRAPERS)
                for who in by_side:
                    by_side[who] = by_side[who][: max(n, 1)]
    return out


def is_steady(run, job):
    return job in run.cases and any(s.steady for _, s in run.cases[job].targets)


def differences(series, seen=None):
    out = []
    for labels, by_side in sorted(series.items()):
        ours, theirs = by_side.get("leadline"), by_side.get("prometheus")
        if ours == theirs:
            continue
        numbers = [n for n, explains in EXPLAINED.items() if explains(dict(labels), ours or [], theirs or [])]
        if seen is not None:
            seen.update(numbers)
        if not numbers:
            out.append(f"{dict(labels)}\n    leadline   {ours}\n    prometheus {theirs}")
    return out


def values_of(sequence):
    return [b for b, _ in sequence if b != "stale"]


# By the number that they have in docs/compatibility.md, "Deviations seen side by side": what explains a difference of a series.
FAILING = {
    "values_alone",
    "extra",
    "sample_limit",
    "sample_limit_steady",
    "label_limit",
    "label_limit_steady",
    "name_length",
    "value_length",
    "syntax",
    "syntax_om",
    "page_",
    "utf8_legacy",
    "bad_name",
    "nameless",
}
NEW_TARGETS = {"reload_interval", "reload_params", "reload_target_relabel", "reload_target_drop"}
CONSTANT_TIMES = {"stamps", "stamps_vanish", "stamps_vanish_tracked", "file_sd", "reload_extra"}
CONSTANT_TIMES |= {"reload_metric_relabel", "reload_metric_drop", "reload_metric_undrop"}
EXPLAINED = {
    # A page that fails half way.
    1: lambda l, ours, theirs: fails(l) and ours == without_leading_markers(theirs),
    2: lambda l, ours, theirs: l["job"] in ("sample_limit", "reload_limit")
    and ours
    and values_of(ours) == values_of(theirs)
    and l["__name__"] not in REPORT,
    3: lambda l, ours, theirs: l["__name__"] == "scrape_series_added" and fails(l),
    4: lambda l, ours, theirs: l["job"] == "syntax_om"
    and l["snippet"] in ("006", "046")
    and l["__name__"].startswith("scrape_samples_"),
    # A TYPE line that changes.
    5: lambda l, ours, theirs: l["job"] == "types" and (l["__name__"].startswith("ty") or l["__name__"] == "scrape_series_added"),
    # Timestamps of the exposition.
    6: lambda l, ours, theirs: l["job"] == "dupes" and l["__name__"] == "ts_du" and rising(ours) and not rising(theirs),
    7: lambda l, ours, theirs: l["__name__"] == "ts_lag" and not theirs and len(ours) == 4,
    8: lambda l, ours, theirs: l["job"] in CONSTANT_TIMES and l["__name__"] == "scrape_series_added",
    9: lambda l, ours, theirs: l["job"] == "stamps_tracked"
    and l["__name__"] == "ts_come_and_go"
    and values_of(ours) == values_of(theirs),
    # The sign of zero.
    10: lambda l, ours, theirs: plain_zeros(ours) == theirs,
    # A reload that gives targets another interval, or ends them.
    16: lambda l, ours, theirs: l["job"] in NEW_TARGETS and l["__name__"] == "scrape_series_added",
}


def without_leading_markers(sequence):
    first = next((i for i, (b, _) in enumerate(sequence) if b != "stale"), len(sequence))
    return sequence[first:]


def plain_zeros(sequence):
    return [("0" * 16 if b == "8000000000000000" else b, t) for b, t in sequence]


def fails(labels):
    return any(labels["job"].startswith(f) if f.endswith("_") else labels["job"] == f for f in FAILING)


def rising(sequence):
    """Explicit timestamps, which come before those of scrapes here, only rise."""
    times = [float("inf") if t == "t" else t for _, t in sequence]
    return all(a < b or a == b == float("inf") for a, b in zip(times, times[1:]))


def report(found, what):
    assert not found, f"{len(found)} {what} differ:\n" + "\n".join(found[:400])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    r = Run(str(tmp_path_factory.mktemp("differential")))
    try:
        r.play()
        yield r
    finally:
        r.close()


CASES = [c.name for c in differential_cases.cases([])] + [FileTargets.NAME, "other"]


@pytest.mark.parametrize("job", CASES)
def test_series(run, job):
    series = run.compared("plain").get(job, {})
    assert series or job == "other", "nothing to compare"
    report(differences(series), "series")


def test_series_of_pages(run):
    all_series = run.compared("plain")
    for job in run.cases:
        if job.startswith("page_"):
            assert all_series.get(job), job
            report(differences(all_series[job]), f"series of {job}")


def test_series_after_write_relabelling(run):
    found = []
    for job, series in sorted(run.compared("relabelled").items()):
        found += differences(series)
    report(found, "series")


def test_every_deviation_is_still_there(run):
    """What does not differ any more leaves the table, and the documentation."""
    seen = set()
    for series in run.compared("plain").values():
        differences(series, seen)
    assert seen == set(EXPLAINED)


def test_every_script_was_played(run):
    assert not run.trouble, run.trouble


def test_requests(run):
    found = []  # but for the names of the two, and deviation 11
    paths = sorted({path for _, path in run.first_headers})
    for path in paths:
        ours, theirs = (
            {k: v for k, v in run.first_headers.get((who, path), {}).items() if k not in ("User-Agent", "Referer")}
            for who in SCRAPERS
        )
        if ours != theirs:
            found.append(f"{path}\n    leadline   {ours}\n    prometheus {theirs}")
    report(found, "requests")


def described(run, side):
    out = {}
    for t in side.targets["activeTargets"]:
        d = {
            k: t[k]
            for k in (
                "scrapePool",
                "health",
                "lastError",
                "labels",
                "discoveredLabels",
                "scrapeUrl",
                "globalUrl",
                "scrapeInterval",
                "scrapeTimeout",
            )
        }
        # Deviations 12 to 15.
        if "stopped after" in d["lastError"]:
            d["lastError"] = d["lastError"][d["lastError"].index("stopped after") :]
        d["lastError"] = re.sub(r"(lookup \S+) on \S+:53:", r"\1:", d["lastError"])
        if t["scrapePool"] in ("bad_address", "bad_targets"):
            del d["globalUrl"]
        d["scrapeTimeout"] = d["scrapeTimeout"].replace("1900ms", "1s900ms")
        out[t["scrapePool"], t["discoveredLabels"]["__metrics_path__"]] = d
    return out


def test_api_targets(run):
    ours, theirs = (described(run, run.sides[who]) for who in SCRAPERS)
    found = []
    for key in sorted(set(ours) | set(theirs)):
        a, b = ours.get(key, {}), theirs.get(key, {})
        for field in sorted(set(a) | set(b)):
            if a.get(field) != b.get(field):
                found.append(f"{key} {field}\n    leadline   {a.get(field)!r}\n    prometheus {b.get(field)!r}")
    report(found, "fields of active targets")


def test_api_dropped_targets(run):
    ours, theirs = (run.sides[who].targets for who in SCRAPERS)
    by_labels = lambda t: sorted(json.dumps(d, sort_keys=True) for d in t["droppedTargets"])  # noqa: E731
    assert by_labels(ours) == by_labels(theirs)
    assert ours["droppedTargetCounts"] == theirs["droppedTargetCounts"]


def test_metadata(run):
    def entries(side):
        return sorted(
            {
                (m.get(1, 0), m.get(2, b""), m.get(4, b""), m.get(5, b""))
                for m in side.plain.metadata
                if m.get(2, b"").startswith(b"md_")
            }
        )

    assert entries(run.sides["leadline"]) == entries(run.sides["prometheus"])


def test_both_leave_cleanly(run):
    assert run.sides["leadline"].status == 0
    assert not run.sides["leadline"].plain.problems, run.sides["leadline"].plain.problems[:10]
    # The last rule takes a name away.
    problems = [p for p in run.sides["leadline"].relabelled.problems if not p.startswith("no name")]
    assert not problems, problems[:10]

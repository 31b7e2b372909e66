"""`leadline cloudwatch-agent` as a whole: from the agent's JSON and the Prometheus file to events in CloudWatch Logs, data in
CloudWatch and samples in AMP, on an emulated AWS; how it starts, reloads, stops and is watched."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import time

import pytest

from agent import BINARY, PATIENCE_S, ledger_of, until
from aws import REGION, Emulator, environment
from peers import Listener, Receiver

JOBS = """
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
- job_name: app
  {discovery}
"""
PAGE = """# TYPE app_depth gauge
app_depth{at="bow"} 5
# TYPE app_requests_total counter
app_requests_total 10
"""
DECLARATION = {
    "source_labels": ["job"],
    "label_matcher": "^app$",
    "dimensions": [["ClusterName", "job"]],
    "metric_selectors": ["^app_depth$", "^app_requests_total$"],
}


@pytest.fixture(scope="module")
def emulator(tmp_path_factory):
    e = Emulator(tmp_path_factory.mktemp("emulator"))
    e.keys = e.user()
    yield e
    e.close()


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=30)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(30)
        self.sock.connect(self.path)


class Program:
    """Its spool is in `directory`; pages are asked on the socket there."""

    def __init__(self, directory, agent, jobs, url, keys, *flags, name=None, **variables):
        self.directory = str(directory)
        os.makedirs(self.directory, exist_ok=True)
        self.spool = os.path.join(self.directory, "s")
        self.json, self.yaml = os.path.join(self.directory, "agent.json"), os.path.join(self.directory, "prometheus.yaml")
        self.flags = [f"--config={self.json}", f"--spool.path={self.spool}", *flags]
        self.env = environment(
            AWS_ACCESS_KEY_ID=keys[0], AWS_SECRET_ACCESS_KEY=keys[1], AWS_ENDPOINT_URL=url, AWS_MAX_ATTEMPTS="1", **variables
        )
        self.starts = 0
        self.name = name or [BINARY, "cloudwatch-agent"]
        self.configure(agent, jobs)

    def configure(self, agent, jobs=None):
        with open(self.json, "w") as f:
            json.dump(agent, f)
        if jobs:
            with open(self.yaml, "w") as f:
                f.write(jobs)

    @property
    def log_path(self):
        return os.path.join(self.directory, f"log-{self.starts}")

    def log(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()

    def start(self, wait=True):
        self.starts += 1
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen([*self.name, *self.flags], stderr=log, stdout=log, env=self.env, cwd=self.directory)
        if wait:
            until(self._listening, "leadline listens")
        return self

    def _listening(self):
        if self.process.poll() is not None:
            raise AssertionError(f"leadline ended with {self.process.returncode}:\n{self.log()}")
        return 'msg="Listening on"' in self.log()

    def get(self, path):
        connection = UnixConnection(os.path.join(self.spool, "web.sock"))
        connection.request("GET", path)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, text

    def metrics(self):
        lines = [l for l in self.get("/metrics")[1].splitlines() if l and not l.startswith("#")]
        names = [l.rsplit(" ", 1)[0] for l in lines]
        assert len(names) == len(set(names)), [n for n in names if names.count(n) > 1]
        return {name: float(value) for name, value in (l.rsplit(" ", 1) for l in lines)}

    def ledger(self, sink="logs"):
        """{read, delivered, waiting, dropped: {reason: n}}; it must balance."""
        found = {"dropped": {}}
        for name, value in self.metrics().items():
            if f'remote_name="{sink}"' not in name:
                continue
            term = re.match(r"leadline_samples_(read|delivered|waiting|dropped)", name)
            if term and term[1] == "dropped" and value:
                found["dropped"][re.search('reason="([^"]*)"', name)[1]] = int(value)
            elif term and term[1] != "dropped":
                found[term[1]] = int(value)
        assert found["read"] == found["delivered"] + found["waiting"] + sum(found["dropped"].values()), found
        return found

    def stop(self, signum=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(signum)
        return self.process.wait(PATIENCE_S)

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def make_program(tmp_path, emulator):
    made = []

    def make(agent, jobs, *flags, start=True, **options):
        directory = tmp_path / f"p{len(made)}"
        made.append(Program(directory, agent, jobs, options.pop("url", emulator.url), emulator.keys, *flags, **options))
        return made[-1].start() if start else made[-1]

    yield make
    for p in made:
        p.kill()


def agent(group, logs=None, **sections):
    """The agent's JSON with a Prometheus section that delivers to this log group."""
    prometheus = {
        "cluster_name": "demo",
        "log_group_name": group,
        "prometheus_config_path": "prometheus.yaml",
        "emf_processor": {"metric_declaration": [DECLARATION]},
    }
    return {
        "agent": {"region": REGION},
        "logs": {"metrics_collected": {"prometheus": prometheus}, "force_flush_interval": 1, **(logs or {})},
        **sections,
    }


def static(*targets):
    return JOBS.format(discovery=f"static_configs: [{{targets: {json.dumps([t.address for t in targets])}}}]")


def events(emulator, group):
    """All events of a group, in order of stream and time."""
    logs = emulator.client("logs")
    out = []
    try:
        streams = logs.describe_log_streams(logGroupName=group)["logStreams"]
    except logs.exceptions.ResourceNotFoundException:
        return out
    for stream in streams:
        token = None
        while True:
            more = {"nextToken": token} if token else {}
            page = logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True, **more)
            out += [json.loads(e["message"]) for e in page["events"]]
            if page["nextForwardToken"] == token or not page["events"]:
                break
            token = page["nextForwardToken"]
    return out


# ---- the thin path ----


def test_a_page_becomes_events(make_program, make_target, emulator):
    target = make_target(PAGE)
    p = make_program(agent("thin"), static(target))
    until(lambda: len(events(emulator, "thin")) >= 3, "events")
    assert p.stop() == 0
    first = events(emulator, "thin")[0]
    assert first["job"] == "app" and first["instance"] == target.address and first["ClusterName"] == "demo"
    gauges = [e for e in events(emulator, "thin") if "app_depth" in e]
    assert gauges and all(e["app_depth"] == 5 and e["prom_metric_type"] == "gauge" and e["at"] == "bow" for e in gauges)
    counters = [e for e in events(emulator, "thin") if "app_requests_total" in e]
    assert counters and all(e["app_requests_total"] == 0 for e in counters)
    last = re.search(r"msg=stopped remote_name=logs read=(\d+) delivered=(\d+) waiting=(\d+) dropped=(\d+)", p.log())
    read, delivered, waiting, dropped = map(int, last.groups())
    assert read == delivered + dropped and delivered > 0 and waiting == 0
    assert ledger_of(p.spool)[0] == 0

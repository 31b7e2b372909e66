"""Remote write 2.0: against the newest Prometheus as receiver, against a decoder of our own, and where it is not spoken."""

import json
import re
import subprocess
import urllib.parse
import urllib.request

import pytest

from agent import ledger_of, until
from fixtures import config
from peers import Receiver, arrived, numbered
from prometheus_peer import PROMETHEUS
from write2 import CONTENT_TYPE, MESSAGE, Receiver2

PAGE = """# HELP requests_total How many "requests".
# TYPE requests_total counter
requests_total{code="200"} 5
requests_total{code="500"} 1
# HELP temp_celsius How warm.
# TYPE temp_celsius gauge
temp_celsius 21.5
# HELP took_seconds How long.
# TYPE took_seconds histogram
took_seconds_bucket{le="1"} 3
took_seconds_bucket{le="+Inf"} 4
took_seconds_sum 2.5
took_seconds_count 4
plain 1
"""


def page(n):
    return numbered(n, PAGE)


def config2(targets, url, metadata=True):
    return config(targets, url, remote={"protobuf_message": MESSAGE, "metadata_config": {"send": metadata}})


class Receiver1(Receiver):
    """Speaks 1.0 alone, and says so or does not: a 2.0 body is a message without a series to it."""

    def __init__(self, status):
        self.status = status
        self.twos = 0
        super().__init__()

    def receive(self, path, headers, body):
        if headers.get("Content-Type") == CONTENT_TYPE:
            with self.lock:
                self.twos += 1
            return self.status, {}, "" if self.status < 300 else "unsupported"
        return super().receive(path, headers, body)


def test_series_say_type_and_help(make_agent, make_target):
    receiver = Receiver2()

    def said(name):
        return {s.metadata for s in receiver.entries_of(name)}

    try:
        target = make_target(page)
        agent = make_agent(config2([target.address], receiver.url))
        until(lambda: receiver.find("plain") and receiver.find("up"), "samples")
        assert agent.stop() == 0
        assert receiver.problems == []
        assert said("requests_total") == {("counter", 'How many "requests".', "")}
        assert said("temp_celsius") == {("gauge", "How warm.", "")}
        for suffix in ("bucket", "sum", "count"):
            assert said(f"took_seconds_{suffix}") - {("", "", "")} == {("histogram", "How long.", "")}
        assert said("plain") == {("", "", "")}
        assert said("up") == {("", "", "")}
        ledger = ledger_of(agent.data)[1]
        assert ledger["delivered"] == len(receiver.samples) == ledger["read"]
    finally:
        receiver.close()


@pytest.mark.parametrize("status", [415, 204])
def test_a_receiver_of_1_gets_everything_in_1(make_agent, make_target, status):
    receiver = Receiver1(status)
    try:
        targets = [make_target(page) for _ in range(3)]
        agent = make_agent(config2([t.address for t in targets], receiver.url))
        until(lambda: len(receiver.find("plain")) >= 9, "samples")
        agent.balanced()
        assert agent.stop() == 0
        assert receiver.problems == []
        assert receiver.twos >= 1
        for target in targets:
            arrived(receiver, target)
        assert "does not speak remote write 2.0" in agent.log()
        ledger = ledger_of(agent.data)[1]
        assert ledger["dropped"] == 0 and ledger["delivered"] == ledger["read"]
    finally:
        receiver.close()


def test_what_waits_as_2_is_delivered_as_1(make_agent, make_target):
    """Sealed while the destination was away, some of it before a restart; then it turns out to speak 1.0 alone."""
    receiver = Receiver1(415)
    target = make_target(page)
    agent = make_agent(config2([target.address], receiver.url))
    until(lambda: len(receiver.find("plain")) >= 1, "samples")
    receiver.close()
    served = target.served
    until(lambda: target.served >= served + 3, "scrapes during the outage")
    agent.kill()
    agent.start()
    until(lambda: target.served >= served + 6, "scrapes after the restart")
    receiver.restart()
    until(lambda: agent.ledger()["waiting"] < 30, "the backlog is delivered")
    assert agent.stop() == 0
    arrived(receiver, target)
    receiver.close()


class PrometheusStore:
    """The newest Prometheus with nothing but its receiver."""

    def __init__(self, directory):
        directory.mkdir()
        (directory / "prometheus.yml").write_text("global: {}\n")
        self.log = directory / "log"
        command = [
            PROMETHEUS,
            "--config.file=prometheus.yml",
            "--storage.tsdb.path=data",
            "--web.listen-address=127.0.0.1:0",
            "--web.enable-remote-write-receiver",
        ]
        self.process = subprocess.Popen(command, cwd=directory, stdout=self.log.open("wb"), stderr=subprocess.STDOUT)
        self.port = None
        until(self._listening, "Prometheus listens")

    def _listening(self):
        found = re.search(r'msg="Listening on" .*address=127\.0\.0\.1:(\d+)', self.log.read_text())
        assert self.process.poll() is None, self.log.read_text()
        self.port = found and int(found.group(1))
        return found and "Server is ready" in self.log.read_text()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/api/v1/write"

    def query(self, text):
        url = f"http://127.0.0.1:{self.port}/api/v1/query?" + urllib.parse.urlencode({"query": text})
        with urllib.request.urlopen(url, timeout=10) as r:
            return json.load(r)["data"]["result"]

    def close(self):
        self.process.terminate()
        self.process.wait(20)


def test_prometheus_takes_it(make_agent, make_target, tmp_path):
    store = PrometheusStore(tmp_path / "store")
    try:
        targets = [make_target(page) for _ in range(3)]
        agent = make_agent(config2([t.address for t in targets], store.url))
        until(lambda: sum(int(r["value"][1]) for r in store.query("count_over_time(plain[5m])")) >= 9, "samples")
        assert {r["metric"]["le"]: r["value"][1] for r in store.query("max by (le) (took_seconds_bucket)")} == {
            "1.0": "3",
            "+Inf": "4",
        }
        agent.balanced()
        assert agent.stop() == 0
        ledger = ledger_of(agent.data)[1]
        assert ledger["dropped"] == 0
        series = store.query('{__name__=~".+"}[10m]')
        stored = sum(len(r["values"]) for r in series)
        # what a range does not show are stale markers, at most one a series
        assert stored > 100 and 0 <= ledger["delivered"] - stored <= len(series)
        assert "1.0 from now on" not in agent.log()
    finally:
        store.close()

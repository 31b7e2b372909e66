"""The neighbour test: whatever a target does, the healthy targets that share its lanes lose no sample."""

import gzip
import socket
import threading
import time

import pytest

from agent import until
from fixtures import config
from peers import arrived, numbered

GOOD_LINES = "# TYPE good gauge\n" + "".join(f'good{{i="{i}"}} {i}\n' for i in range(20))


def good_page(n):
    return numbered(n, GOOD_LINES)


NEIGHBOURS = 20  # more than lanes: some share the lane of the bad one
LIMIT = {"body_size_limit": "20MB", "sample_limit": 100000, "label_limit": 200}


class RawTarget:
    """A listener that speaks as it likes: script(connection) after the request has been read."""

    def __init__(self, script):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=16)
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.script = script
        self.connections = 0
        self.open = True
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while self.open:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection):
        try:
            connection.settimeout(10)
            connection.recv(65536)
            self.script(connection)
        except OSError:
            pass
        finally:
            connection.close()

    def close(self):
        self.open = False
        self.listener.close()


def head(extra="", status="200 OK"):
    return f"HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4\r\n{extra}\r\n".encode()


def body(data, extra=""):
    return head(f"{extra}Content-Length: {len(data)}\r\n") + data


def endless(connection):
    connection.sendall(head())
    for i in range(100000):
        connection.sendall(b"filler{i=\"%d\"} 1\n" % i * 100)


def slow(connection):
    connection.sendall(head("Content-Length: 1000\r\n"))
    for _ in range(100):
        connection.sendall(b"#")
        time.sleep(0.1)


def bomb():
    return gzip.compress(b"# " + b"0" * (64 << 20) + b"\n")


def many_labels():
    return ("wide{" + ",".join(f'l{i}="x"' for i in range(1000000)) + "} 1\n").encode()


ENCODED = "Content-Encoding: gzip\r\n"
RAW = {
    "malformed line": lambda c: c.sendall(body(b"this is not an exposition\n")),
    "half a line": lambda c: c.sendall(body(b'a{b="c')),
    "wrong content type": lambda c: c.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 4\r\n\r\na 1\n"),
    "no content type": lambda c: c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\na 1\n"),
    "endless body": endless,
    "slow body": slow,
    "gzip bomb": lambda c: c.sendall(body(bomb(), ENCODED)),
    "broken gzip": lambda c: c.sendall(body(gzip.compress(b"a 1\n" * 100)[:-12], ENCODED)),
    "garbage after gzip": lambda c: c.sendall(body(gzip.compress(b"a 1\n") + b"garbage", ENCODED)),
    "not gzip": lambda c: c.sendall(body(b"a 1\n", ENCODED)),
    "a million labels": lambda c: c.sendall(body(many_labels())),
    "NUL bytes": lambda c: c.sendall(body(b"a\0b 1\n\0\0\0")),
    "redirect in a circle": lambda c: c.sendall(b"HTTP/1.1 302 Found\r\nLocation: /metrics\r\nContent-Length: 0\r\n\r\n"),
    "closed at once": lambda c: None,
    "half closed": lambda c: (c.shutdown(socket.SHUT_WR), time.sleep(3)),
    "cut off": lambda c: c.sendall(head("Content-Length: 500\r\n") + b"a 1\n"),
    "not HTTP": lambda c: c.sendall(b"SSH-2.0-OpenSSH_9\r\n"),
    "bad chunk": lambda c: c.sendall(head("Transfer-Encoding: chunked\r\n") + b"zzz\r\na 1\n\r\n"),
    "huge header": lambda c: c.sendall(b"HTTP/1.1 200 OK\r\nX: " + b"y" * (1 << 20) + b"\r\n\r\n"),
    "silence": lambda c: time.sleep(5),
    "not UTF-8": lambda c: c.sendall(body(b'a{b="\xff\xfe"} 1\n')),
    "duplicate label": lambda c: c.sendall(body(b'a{b="1",b="2"} 1\n')),
}


@pytest.mark.parametrize("name", RAW)
def test_a_bad_target_is_down_and_harms_nobody(make_agent, make_target, receiver, name):
    healthy = [make_target(good_page) for _ in range(NEIGHBOURS)]
    bad = RawTarget(RAW[name])
    try:
        agent = make_agent(config([bad.address] + [t.address for t in healthy], receiver.url, **LIMIT))
        until(lambda: bad.connections >= 2 and all(t.served >= 3 for t in healthy), "some scrapes of everyone")
        error = until(
            lambda: [t["lastError"] for t in agent.api("targets")["activeTargets"]
                     if t["labels"]["instance"] == bad.address and t["health"] == "down"],
            "the bad target is down",
        )[0]
        print(f"{name}: {error}")
        assert len(error) > 10, "an error says what is wrong"
        assert agent.stop() == 0
    finally:
        bad.close()
    assert {s.value for s in receiver.find("up", instance=bad.address)} == {0.0}
    for target in healthy:
        assert len(receiver.find("good", instance=target.address, i="7")) == arrived(receiver, target)
        assert {s.value for s in receiver.find("up", instance=target.address)} == {1.0}
    assert "panic" not in agent.log() and "Sanitizer" not in agent.log()


def test_a_series_too_large_for_any_request_is_counted_and_harms_nobody(make_agent, make_target, receiver):
    """A label value of 10 MB is a valid line; no receiver takes it. The rest of its own page arrives."""
    healthy = [make_target(good_page) for _ in range(NEIGHBOURS)]
    page = body(b'long{v="' + b"x" * (10 << 20) + b'"} 1\nshort 2\n')
    large = RawTarget(lambda c: c.sendall(page))
    agent = make_agent(config([large.address] + [t.address for t in healthy], receiver.url))
    until(lambda: len(receiver.find("short")) >= 2, "the short line beside it")
    assert agent.balanced()["dropped"].get("unsendable", 0) >= 2
    assert agent.stop() == 0
    large.close()
    for target in healthy:
        assert len(receiver.find("good", instance=target.address, i="7")) == arrived(receiver, target)


def test_several_gzip_members_are_one_body(make_agent, make_target, receiver):
    data = gzip.compress(b"a 1\n") + gzip.compress(b"b 2\n") + gzip.compress(b"c 3\n")
    raw = RawTarget(lambda c: c.sendall(body(data, ENCODED)))
    make_agent(config([raw.address], receiver.url))
    until(lambda: receiver.find("c"), "the last member")
    assert receiver.find("a") and receiver.find("b")
    raw.close()


def test_the_same_series_in_another_order_yield_no_marker(make_agent, make_target, receiver):
    lines = [f'm{{i="{i}"}} {i}\n' for i in range(50)]
    target = make_target(lambda n: "".join(lines[n % 50 :] + lines[: n % 50]) if n % 2 else "".join(reversed(lines)))
    make_agent(config([target.address], receiver.url))
    until(lambda: target.served >= 6 and len(receiver.find("m")) >= 250, "some scrapes")
    assert not [s for s in receiver.find("m") if s.stale]
    assert {s.value for s in receiver.find("scrape_series_added")[1:]} == {0.0}
    for labels, samples in receiver.series().items():
        if dict(labels)["__name__"] == "m":
            assert {s.value for s in receiver.find("m", i=dict(labels)["i"])} == {float(dict(labels)["i"])}


def test_duplicates_keep_the_first_value(make_agent, make_target, receiver):
    target = make_target("d 1\nother 5\nd 2\n")
    make_agent(config([target.address], receiver.url))
    until(lambda: len(receiver.find("other")) >= 3, "some scrapes")
    assert {s.value for s in receiver.find("d")} == {1.0}
    assert {s.value for s in receiver.find("scrape_samples_scraped")} == {3.0}
    assert receiver.find("scrape_series_added")[0].value == 2


def test_explicit_timestamps_that_repeat_or_step_back_are_dropped_before_sending(make_agent, make_target, receiver):
    base = int(time.time() * 1000)
    target = make_target(lambda n: f"still 1 {base}\nback {n} {base - n * 1000}\nforward {n} {base + n}\nplain {n}\n")
    agent = make_agent(config([target.address], receiver.url))
    until(lambda: len(receiver.find("plain")) >= 4, "some scrapes")
    assert agent.stop() == 0
    assert len(receiver.find("still")) == 1 and len(receiver.find("back")) == 1
    assert target.served - 1 <= len(receiver.find("plain")) == len(receiver.find("forward"))
    assert receiver.refused == 0


def test_limits_fail_the_scrape_and_say_so(make_agent, make_target, receiver):
    over = {
        "sample_limit": ({"sample_limit": 5}, "sample limit exceeded"),
        "label_limit": ({"label_limit": 2}, "label_limit exceeded"),
        "label_value_length_limit": ({"label_value_length_limit": 5}, "label_value_length_limit exceeded"),
        "body_size_limit": ({"body_size_limit": "50B"}, "body size limit exceeded"),
    }
    target = make_target(good_page)
    c = config([target.address], receiver.url)
    c["scrape_configs"] = [
        {"job_name": name, "static_configs": [{"targets": [target.address]}], **option} for name, (option, _) in over.items()
    ]
    agent = make_agent(c)
    found = until(
        lambda: {t["scrapePool"]: t["lastError"] for t in agent.api("targets")["activeTargets"] if t["health"] == "down"}
        if all(t["health"] == "down" for t in agent.api("targets")["activeTargets"]) else None,
        "every pool is down",
    )
    for name, (_, words) in over.items():
        assert words in found[name], found
    assert not receiver.find("good")


def test_a_full_data_directory_does_not_stop_the_program(make_agent, make_target, receiver, tmp_path):
    """A file system of 8 MiB, which fills up during an outage: samples wait in memory, then the oldest go, counted."""
    import os
    import random
    import subprocess

    disk = tmp_path / "disk"
    disk.mkdir()
    root = [] if os.geteuid() == 0 else ["sudo"]
    options = f"size=12m,uid={os.getuid()}"
    assert subprocess.run([*root, "mount", "-t", "tmpfs", "-o", options, "leadline-test", str(disk)]).returncode == 0
    try:
        rng = random.Random(1)
        page = lambda n: "".join(f'noise{{i="{i}",w="{rng.random()}"}} {rng.random()}\n' for i in range(500))  # noqa: E731
        receiver.close()
        targets = [make_target(page) for _ in range(4)]
        agent = make_agent(config([t.address for t in targets], receiver.url, interval="300ms"),
                           f"--storage.agent.path={disk}/data", "--spool.memory=2MB", data=False)
        until(lambda: sum(agent.ledger()["dropped"].values()) > 0, "the oldest go", patience_s=120)
        agent.balanced()
        receiver.restart()
        delivered = agent.ledger()["delivered"]
        until(lambda: agent.ledger()["delivered"] > delivered + 5000, "it delivers again")
        assert agent.stop() == 0
        assert os.path.isdir(disk / "data")
    finally:
        subprocess.run([*root, "umount", str(disk)])

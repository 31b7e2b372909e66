"""Prometheus in agent mode as a peer of leadline, and the stage on which both scrape.

The stage answers each scraper from a script: the n-th request of a scraper for a target gets the n-th answer, whenever it
comes. So what the two send can be compared as sequences, though they never scrape at the same moment. After its script a
target answers with an empty page, which ends every series with its stale marker.
"""

import gzip
import multiprocessing
import os
import re
import threading
import time

import cramjam
import pytest

from agent import Agent, until
from peers import Handler, Listener, Receiver, decode_write_request, fields

PROMETHEUS = os.path.join(os.environ.get("LEADLINE_DEPS", os.path.expanduser("~/.cache/leadline")), "bin", "prometheus")
SCRAPERS = ("leadline", "prometheus")
TEXT = "text/plain; version=0.0.4; charset=utf-8"
TEXT1 = "text/plain; version=1.0.0; escaping=allow-utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


class Prometheus(Agent):
    """The newest Prometheus. A machine without it fails the test: `make deps` builds it."""

    @property
    def words(self):
        return [PROMETHEUS, "--agent"]  # as it is called by now: a test may put another program in front

    def start(self, wait=True):
        assert os.access(PROMETHEUS, os.X_OK), f"no Prometheus at {PROMETHEUS}: run tools/deps all"
        return super().start(wait)

    def _listens(self):
        found = re.search(r'msg="Listening on" .*address=127\.0\.0\.1:(\d+)', self.log())
        self.port = int(found.group(1)) if found else None
        return found and self.get("/-/ready")[0] == 200  # it answers 503 to everything before that


class Answer:
    """One answer of a script. `act`: "hang" until the scraper gives up, "close" without an answer, "short": a body that ends
    before its announced length."""

    def __init__(self, body="", status=200, content_type=None, headers=None, act=None):
        self.body = body if isinstance(body, bytes) else body.encode()
        self.status, self.content_type, self.headers = status, content_type, headers or {}
        self.act = act


class Script:
    """What one target answers: a list of answers, then an empty page for ever, or (steady) the last one for ever."""

    def __init__(self, answers, content_type=TEXT, steady=False):
        self.answers = [a if isinstance(a, Answer) else Answer(a) for a in answers]
        self.content_type = content_type
        self.steady = steady
        self.end = Answer("# EOF\n" if content_type.startswith("application/openmetrics") else "")

    def answer(self, n):
        if n < len(self.answers):
            return self.answers[n]
        return self.answers[-1] if self.steady else self.end


class _StageHandler(Handler):
    def do_GET(self):
        stage = self.server.owner
        who = "leadline" if self.headers.get("User-Agent", "").startswith("leadline") else "prometheus"
        script, answer, n = stage.next(who, self.path, dict(self.headers))
        if script is None:
            self.send_error(404)
            return
        if answer.act == "hang":
            time.sleep(10)
        if answer.act in ("hang", "close"):
            self.close_connection = True
            return
        body = stage.fill(who, answer.body, self.path, n)
        headers = dict(answer.headers)
        kind = script.content_type if answer.content_type is None else answer.content_type
        if kind:
            headers.setdefault("Content-Type", kind)
        if "gzip" in self.headers.get("Accept-Encoding", "") and body and "Content-Encoding" not in headers:
            body = stage.compressed(body)
            headers["Content-Encoding"] = "gzip"
        self.send_response(answer.status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) + (10 if answer.act == "short" else 0)))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection |= answer.act == "short"


class Stage(Listener):
    """Runs in a process of its own, since two scrapers and two receivers keep one interpreter busy. `state()` asks it."""

    handler = _StageHandler

    def __init__(self, scripts):
        self.scripts = scripts  # by path without query
        there, here = multiprocessing.Pipe()
        context = multiprocessing.get_context("fork")
        self.process = context.Process(target=self._main, args=(here, there), daemon=True)
        self.process.start()
        here.close()
        self.pipe = there
        self.address_ = self.pipe.recv()

    @property
    def address(self):
        return self.address_

    def _main(self, pipe, other):
        other.close()
        self.lock = threading.Lock()
        self.counts = {}  # (scraper, path with query) -> requests
        self.first_headers = {}  # the same -> headers of the first request
        self.base_ms = {}  # the same -> what explicit timestamps are relative to
        self.cache = {}
        super().__init__()
        pipe.send(f"{self.host}:{self.port}")
        try:
            while pipe.recv() == "state":
                with self.lock:
                    pipe.send((self.counts, self.first_headers, self.base_ms))
        except EOFError:
            pass
        os._exit(0)

    def next(self, who, path, headers):
        with self.lock:
            # Shortly behind its first scrape and long before the second: never the time of a scrape of this target.
            self.base_ms.setdefault((who, path), int(time.time() * 1000) + 100)
            script = self.scripts.get(path.partition("?")[0])
            n = self.counts.get((who, path), 0)
            self.counts[who, path] = n + 1
            self.first_headers.setdefault((who, path), headers)
        return script, script and script.answer(n), n

    def compressed(self, body):
        if body not in self.cache:
            self.cache[body] = gzip.compress(body, 1)
        return self.cache[body]

    def fill(self, who, body, path, n):
        """@ms:N@ and @s:N@ become explicit timestamps N ms after this scraper's base, @query@ and @n@ what they say."""
        if b"@" not in body:
            return body
        base = self.base_ms[who, path]
        body = re.sub(rb"@ms:(-?\d+)@", lambda m: str(base + int(m[1])).encode(), body)
        body = re.sub(rb"@s:(-?\d+)@", lambda m: f"{(base + int(m[1])) / 1000:.3f}".encode(), body)
        return body.replace(b"@query@", path.partition("?")[2].encode()).replace(b"@n@", str(n).encode())

    def state(self):
        """(requests, headers of the first, bases of explicit timestamps), each by (scraper, path with query)"""
        self.pipe.send("state")
        return self.pipe.recv()

    def close(self):
        self.pipe.close()
        self.process.join(10)


class Recorder(Receiver):
    """A receiver that keeps every sample in the order in which it came, and is quick about series that it has seen."""

    def __init__(self):
        self.known = {}  # bytes of a series without its sample -> labels
        self.received = {}  # labels -> [(ms, bits)]
        super().__init__(check_order=False)

    def _series(self, entry):
        # Labels, then one sample of 16 bytes: a value and a timestamp of this century.
        if entry[-18:-15] == b"\x12\x10\x09" and entry[-7] == 0x10:
            labels = self.known.get(entry[:-18])
            if labels is not None:
                shift = ms = 0
                for byte in entry[-6:]:
                    ms |= (byte & 127) << shift
                    shift += 7
                return labels, [(ms, int.from_bytes(entry[-15:-7], "little"))]
        ((labels, samples),) = decode_write_request(b"\x0a" + _length(len(entry)) + entry)[0]
        self.known[entry[:-18]] = labels
        return labels, samples

    def receive(self, path, headers, body):
        raw = bytes(cramjam.snappy.decompress_raw(body))
        series = []
        for number, value in fields(raw):
            if number == 1:
                series.append(self._series(value))
            elif number == 3:
                self.metadata.append(dict(fields(value)))
        with self.lock:
            self.requests.append((time.time(), headers, len(body)))
            self._check(headers, series)
            for labels, samples in series:
                self.received.setdefault(labels, []).extend(samples)
        return 204, {}, ""


def _length(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes(out) + bytes([n])


# ---- fixtures, for tests that import them ----


@pytest.fixture
def make_prometheus(tmp_path):
    made = []

    def make(c, **options):
        made.append(Prometheus(tmp_path / f"prometheus{len(made)}", c, **options))
        p = made[-1].start()
        until(lambda: p.get("/-/ready")[0] == 200, "Prometheus is ready")
        return p

    yield make
    for p in made:
        p.kill()

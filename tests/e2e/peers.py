"""What leadline talks to in the end-to-end tests: targets that expose pages, and a remote-write receiver that checks.

Everything listens on loopback addresses and ports of the kernel's choice, runs in threads of the test process, and keeps what
it saw for the test to look at. The receiver decodes with a protobuf reader of its own, so that it shares no code with leadline.
"""

import gzip
import http.server
import socket
import socketserver
import struct
import threading
import time

import cramjam

STALE_BITS = 0x7FF0000000000002


class _Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 512
    allow_reuse_address = True

    def __init__(self, *args):
        self.connections = set()
        super().__init__(*args)

    def process_request(self, request, client_address):
        self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request):
        self.connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request, client_address):
        pass  # a peer that went away is part of many tests


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def body(self):
        return self.rfile.read(int(self.headers["Content-Length"]))

    def reply(self, status, data=b"", content_type=None, headers=()):
        """`data`: bytes, or text; `headers`: {name: value}."""
        data = data.encode() if isinstance(data, str) else data
        self.send_response(status)
        if content_type is not None:
            self.send_header("Content-Type", content_type)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


class Listener:
    """An HTTP server in a thread. Subclasses give a handler class that finds this object as `self.server.owner`."""

    handler = None

    def __init__(self, host="127.0.0.1", port=0):
        self.host = host
        self._start(port)

    def _start(self, port):
        self.closed = False
        self.server = _Server((self.host, port), self.handler)
        self.server.owner = self
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()

    @property
    def address(self):
        return f"{self.host}:{self.port}"

    def close(self):
        """No new connection, and the open ones end."""
        if self.closed:
            return
        self.closed = True
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
        for connection in list(self.server.connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def restart(self):
        """The same address again, after close()."""
        self._start(self.port)


def numbered(n, rest=""):
    """A page that says which answer it is, for `arrived`."""
    return f"serial {n}\n{rest}"


def arrived(receiver, target):
    """Asserts that every scrape of a `numbered` target arrived, in order and once. The last may be missing: it may have been
    under way when leadline stopped. Gives their number."""
    values = [int(s.value) for s in receiver.find("serial", instance=target.address) if not s.stale]
    assert values == list(range(len(values))), f"gaps, repeats or disorder: {values}"
    assert target.served - 1 <= len(values) <= target.served, f"{len(values)} of {target.served} scrapes arrived"
    return len(values)


class _TargetHandler(Handler):
    def do_GET(self):
        owner = self.server.owner
        with owner.lock:
            owner.requests.append((self.path, dict(self.headers)))
            answer = owner.answer
        status, headers, body = answer(self.path, self.headers)
        if body is None:
            return  # the answer function has dealt with the connection
        if "gzip" in self.headers.get("Accept-Encoding", "") and "Content-Encoding" not in headers and owner.gzip:
            body = gzip.compress(body)
            headers["Content-Encoding"] = "gzip"
        self.reply(status, body, headers=headers)


class Target(Listener):
    """A scrape target. `page` is text or a function of the number of the request (from 0) giving text."""

    handler = _TargetHandler

    def __init__(self, page="", host="127.0.0.1", port=0, content_type="text/plain; version=0.0.4", status=200, gzip=True):
        self.page = page
        self.content_type = content_type
        self.status = status
        self.gzip = gzip
        self.lock = threading.Lock()
        self.requests = []
        self.served = 0
        self.answer = self._answer
        super().__init__(host, port)

    def _answer(self, path, headers):
        with self.lock:
            n = self.served
            self.served += 1
        text = self.page(n) if callable(self.page) else self.page
        body = text if isinstance(text, bytes) else text.encode()
        return self.status, {"Content-Type": self.content_type} if self.content_type else {}, body


# ---- a protobuf reader of three wire types ----


def _varint(b, i):
    shift = value = 0
    while True:
        byte = b[i]
        i += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, i
        shift += 7


def fields(b):
    i = 0
    while i < len(b):
        key, i = _varint(b, i)
        kind = key & 7
        if kind == 0:
            value, i = _varint(b, i)
        elif kind == 1:
            value, i = b[i : i + 8], i + 8
        elif kind == 2:
            n, i = _varint(b, i)
            value, i = b[i : i + n], i + n
            assert len(value) == n, "cut off"
        else:
            raise AssertionError(f"wire type {kind}")
        yield key >> 3, value


def _signed(v):
    return v - (1 << 64) if v >= 1 << 63 else v


def decode_write_request(raw):
    """[(labels as a sorted tuple of pairs, [(ms, 64 value bits)])], metadata entries."""
    series, metadata = [], []
    for number, value in fields(raw):
        if number == 3:
            metadata.append({n: v for n, v in fields(value)})
        if number != 1:
            continue
        labels, samples = [], []
        for n, part in fields(value):
            if n == 1:
                pair = dict(fields(part))
                labels.append((pair.get(1, b"").decode(), pair.get(2, b"").decode()))
            elif n == 2:
                s = dict(fields(part))
                samples.append((_signed(s.get(2, 0)), struct.unpack("<Q", s.get(1, b"\0" * 8))[0]))
        series.append((tuple(labels), samples))
    return series, metadata


class Sample:
    __slots__ = ("labels", "ms", "bits", "request")

    def __init__(self, labels, ms, bits, request):
        self.labels, self.ms, self.bits, self.request = labels, ms, bits, request

    @property
    def name(self):
        return dict(self.labels).get("__name__", "")

    @property
    def stale(self):
        return self.bits == STALE_BITS

    @property
    def value(self):
        return struct.unpack("<d", struct.pack("<Q", self.bits))[0]

    def __repr__(self):
        return f"{dict(self.labels)} {'stale' if self.stale else self.value} @{self.ms}"


class _ReceiverHandler(Handler):
    def do_POST(self):
        owner = self.server.owner
        body = self.body()
        status, headers, text = owner.receive(self.path, dict(self.headers), body)
        if status is None:
            self.close_connection = True
            return
        self.reply(status, text, headers=headers)


class Receiver(Listener):
    """A remote-write 1.0 endpoint. It asserts what the specification demands of every request (problems are collected in
    `problems`), keeps accepted samples, and refuses out-of-order samples as Prometheus does: 400, nothing of the request kept.

    `policy(receiver, series, n)` may answer (status, headers, text) to refuse request number n, (None, ...) to drop the
    connection without an answer, or None to go on. `lose_answers` accepts and then drops the connection.
    """

    handler = _ReceiverHandler

    def __init__(self, host="127.0.0.1", port=0, check_order=True):
        self.lock = threading.Lock()
        self.samples = []
        self.metadata = []
        self.last = {}
        self.requests = []
        self.problems = []
        self.policy = None
        self.lose_answers = 0
        self.check_order = check_order
        self.accepted = self.refused = self.repeats = 0
        super().__init__(host, port)

    @property
    def url(self):
        return f"http://{self.address}/api/v1/write"

    def _check(self, headers, series):
        want = {
            "Content-Encoding": "snappy",
            "Content-Type": "application/x-protobuf",
            "X-Prometheus-Remote-Write-Version": "0.1.0",
        }
        for name, value in want.items():
            if headers.get(name) != value:
                self.problems.append(f"header {name}: {headers.get(name)}")
        for labels, samples in series:
            names = [n for n, _ in labels]
            if names != sorted(set(names), key=lambda n: n.encode()):
                self.problems.append(f"labels not sorted or not unique: {labels}")
            if any(v == "" for _, v in labels):
                self.problems.append(f"empty label value: {labels}")
            if "__name__" not in names:
                self.problems.append(f"no name: {labels}")
            if len(samples) != 1:
                self.problems.append(f"{len(samples)} samples in one entry: {labels}")

    def receive(self, path, headers, body):
        with self.lock:
            number = len(self.requests)
            self.requests.append((time.time(), headers, len(body)))
            try:
                raw = bytes(cramjam.snappy.decompress_raw(body))
                series, metadata = decode_write_request(raw)
            except Exception as e:  # noqa: BLE001 - whatever is wrong with the body is the finding
                self.problems.append(f"body: {e!r}")
                return 400, {}, "cannot decode"
            self._check(headers, series)
            if self.policy:
                answer = self.policy(self, series, number)
                if answer:
                    self.refused += 1
                    return answer
            refusal = self._take(series, number)
            if refusal:
                self.refused += 1
                return 400, {}, refusal
            self.metadata += metadata
            self.accepted += 1
            if self.lose_answers > 0:
                self.lose_answers -= 1
                return None, {}, ""
        return 204, {}, ""

    def _take(self, series, number):
        fresh = dict()
        for labels, samples in series:
            for ms, bits in samples:
                before = fresh.get(labels, self.last.get(labels))
                if self.check_order and before is not None:
                    if ms < before[0] or (ms == before[0] and bits != before[1]):
                        return f"out of order sample: {dict(labels)} at {ms}, have {before[0]}"
                fresh[labels] = (ms, bits)
        for labels, samples in series:
            for ms, bits in samples:
                if self.last.get(labels) == (ms, bits):
                    self.repeats += 1  # an exact repeat is taken, and is no second sample
                else:
                    self.samples.append(Sample(labels, ms, bits, number))
        self.last.update(fresh)
        return None

    # ---- for the tests ----

    def find(self, name=None, **labels):
        with self.lock:
            found = list(self.samples)
        return [
            s
            for s in found
            if (name is None or s.name == name) and all(dict(s.labels).get(k) == v for k, v in labels.items())
        ]

    def series(self):
        """{labels: [(ms, bits), ...]} in order of arrival."""
        out = {}
        with self.lock:
            for s in self.samples:
                out.setdefault(s.labels, []).append((s.ms, s.bits))
        return out

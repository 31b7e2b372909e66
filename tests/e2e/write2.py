"""Remote write 2.0 as a receiver sees it, decoded with the protobuf reader of peers.py."""

import struct
import time

import cramjam

from peers import Receiver, _signed, _varint, fields

MESSAGE = "io.prometheus.write.v2.Request"
CONTENT_TYPE = f"application/x-protobuf;proto={MESSAGE}"
TYPES = ("", "counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset")


def packed(data):
    out, i = [], 0
    while i < len(data):
        value, i = _varint(data, i)
        out.append(value)
    return out


def repeated(message, number):
    return [v for n, v in fields(message) if n == number]


def refs(message, number=1):
    """A repeated uint32, packed or not."""
    out = []
    for v in repeated(message, number):
        out += packed(v) if isinstance(v, bytes) else [v]
    return out


def unzigzag(v):
    return v >> 1 if not v & 1 else -(v >> 1) - 1


def doubles(message, number):
    out = []
    for v in repeated(message, number):
        out += [struct.unpack("<d", v[i : i + 8])[0] for i in range(0, len(v), 8)]
    return out


def bits(v):
    return struct.unpack("<Q", v)[0]


class Histogram:
    """One native histogram; `key` is everything but its times, for comparison."""

    def __init__(self, message):
        one = dict(fields(message))
        self.ms, self.start_ms = _signed(one.get(15, 0)), _signed(one.get(17, 0))
        self.sum_bits = bits(one[3]) if 3 in one else 0
        deltas = lambda number: tuple(unzigzag(v) for v in refs(message, number))  # noqa: E731
        spans = lambda number: tuple(  # noqa: E731
            (unzigzag(dict(fields(s)).get(1, 0)), dict(fields(s)).get(2, 0)) for s in repeated(message, number)
        )
        self.is_float = 2 in one
        self.count = struct.unpack("<d", one[2])[0] if self.is_float else one.get(1, 0)
        self.zero_count = struct.unpack("<d", one[7])[0] if 7 in one else one.get(6, 0)
        self.schema = unzigzag(one.get(4, 0))
        self.reset = one.get(14, 0)
        self.key = (
            self.is_float,
            self.count,
            self.sum_bits,
            self.schema,
            struct.unpack("<d", one[5])[0] if 5 in one else 0.0,
            self.zero_count,
            spans(8),
            deltas(9),
            tuple(doubles(message, 10)),
            spans(11),
            deltas(12),
            tuple(doubles(message, 13)),
            self.reset,
            tuple(doubles(message, 16)),
        )


class Series:
    """One TimeSeries: labels, what it holds, exemplars and metadata, resolved."""

    def __init__(self, message, symbols):
        def pairs(numbers):
            assert len(numbers) % 2 == 0, numbers
            return tuple((symbols[a], symbols[b]) for a, b in zip(numbers[::2], numbers[1::2]))

        self.labels = pairs(refs(message))
        self.samples = []  # (ms, bits, start ms)
        for s in repeated(message, 2):
            one = dict(fields(s))
            self.samples.append((_signed(one.get(2, 0)), bits(one.get(1, b"\0" * 8)), _signed(one.get(3, 0))))
        self.histograms = [Histogram(h) for h in repeated(message, 3)]
        self.exemplars = []  # (labels, bits, ms)
        for e in repeated(message, 4):
            one = dict(fields(e))
            self.exemplars.append((pairs(refs(e)), bits(one.get(2, b"\0" * 8)), _signed(one.get(3, 0))))
        metadata = dict(fields(b"".join(repeated(message, 5))))
        self.metadata = (TYPES[metadata.get(1, 0)], symbols[metadata.get(3, 0)], symbols[metadata.get(4, 0)])


def decode(raw):
    """The series of a Request; AssertionError where it breaks the specification."""
    symbols, series = [], []
    for n, v in fields(raw):
        assert n in (4, 5), f"field {n} in a request"
        if n == 4:
            symbols.append(v.decode())
    assert symbols and symbols[0] == "", "the first symbol is not the empty one"
    assert len(set(symbols)) == len(symbols), "a symbol stands twice"
    for n, v in fields(raw):
        if n == 5:
            series.append(Series(v, symbols))
    for s in series:
        names = [n for n, _ in s.labels]
        assert names == sorted(set(names), key=lambda n: n.encode()), f"labels not sorted or not unique: {s.labels}"
        assert all(v for _, v in s.labels), f"empty label value: {s.labels}"
        assert not (s.samples and s.histograms), f"samples and histograms: {s.labels}"
        assert s.samples or s.histograms or s.exemplars, f"an empty entry: {s.labels}"
        assert len(s.samples) + len(s.histograms) <= 1, f"more than one sample in an entry: {s.labels}"
    return series


class Receiver2(Receiver):
    """A remote-write 2.0 endpoint: what peers.Receiver is for 1.0, and every entry that it took, in the order in which it
    came, in `entries`."""

    def __init__(self, **options):
        self.entries = []
        super().__init__(**options)

    def receive(self, path, headers, body):
        with self.lock:
            number = len(self.requests)
            self.requests.append((time.time(), headers, len(body)))
            if headers.get("Content-Type") != CONTENT_TYPE:
                return 415, {}, "only " + CONTENT_TYPE
            for name, value in {"Content-Encoding": "snappy", "X-Prometheus-Remote-Write-Version": "2.0.0"}.items():
                if headers.get(name) != value:
                    self.problems.append(f"header {name}: {headers.get(name)}")
            try:
                entries = decode(bytes(cramjam.snappy.decompress_raw(body)))
            except Exception as e:  # noqa: BLE001 - whatever is wrong with the body is the finding
                self.problems.append(f"body: {e!r}")
                return 400, {}, "cannot decode"
            samples = [(e.labels, [(ms, value) for ms, value, _ in e.samples]) for e in entries if e.samples]
            answer = self.policy and self.policy(self, samples, number)
            refusal = answer or ((400, {}, text) if (text := self._take(samples, number)) else None)
            if refusal:
                self.refused += 1
                return refusal
            self.entries += entries
            self.accepted += 1
            if self.lose_answers > 0:
                self.lose_answers -= 1
                return None, {}, ""
        return 204, self.written(entries), ""

    @staticmethod
    def written(entries):
        counts = {
            "Samples": sum(len(s.samples) for s in entries),
            "Histograms": sum(len(s.histograms) for s in entries),
            "Exemplars": sum(len(s.exemplars) for s in entries),
        }
        return {f"X-Prometheus-Remote-Write-{k}-Written": str(v) for k, v in counts.items()}

    def entries_of(self, name, **labels):
        """All entries of this metric, in the order in which they came."""
        want = set(labels.items()) | {("__name__", name)}
        with self.lock:
            return [s for s in self.entries if want <= set(s.labels)]

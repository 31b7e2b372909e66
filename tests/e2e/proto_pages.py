"""Pages in delimited protobuf, written by hand (prometheus/client_model metrics.proto): no code shared with leadline.

  page(family("requests_total", COUNTER, counter(5, labels={"code": "200"}, exemplar=exemplar({"id": "x"}, 1, 1700000000))))
"""

import struct

COUNTER, GAUGE, SUMMARY, UNTYPED, HISTOGRAM, GAUGE_HISTOGRAM = range(6)
CONTENT_TYPE = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"


def _varint(n):
    out = bytearray()
    while n >= 128:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def _bytes(number, value):
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _text(number, value):
    return _bytes(number, value.encode())


def _double(number, value):
    return _varint(number << 3 | 1) + struct.pack("<d", value)


def _int(number, value):
    return _varint(number << 3) + _varint(value)


def _zigzag(number, value):
    return _int(number, value * 2 if value >= 0 else -value * 2 - 1)


def _labels(labels):
    return b"".join(_bytes(1, _text(1, k) + _text(2, v)) for k, v in (labels or {}).items())


def _time(number, seconds):
    return _bytes(number, _int(1, int(seconds)) + _int(2, round(seconds % 1 * 1e9)))


def exemplar(labels, value, seconds=None):
    return _labels(labels) + _double(2, value) + (_time(3, seconds) if seconds is not None else b"")


def _metric(number, value, labels, ms):
    return _labels(labels) + _bytes(number, value) + (_int(6, ms) if ms else b"")


def gauge(value, labels=None, ms=0):
    return _metric(2, _double(1, value), labels, ms)


def counter(value, labels=None, ms=0, exemplar=None, created=None):
    body = _double(1, value)
    body += _bytes(2, exemplar) if exemplar is not None else b""
    body += _time(3, created) if created is not None else b""
    return _metric(3, body, labels, ms)


def summary(count, total, quantiles=(), labels=None, created=None):
    body = _int(1, count) + _double(2, total)
    body += b"".join(_bytes(3, _double(1, q) + _double(2, v)) for q, v in quantiles)
    body += _time(4, created) if created is not None else b""
    return _metric(4, body, labels, 0)


def untyped(value, labels=None, ms=0):
    return _metric(5, _double(1, value), labels, ms)


def histogram(count, total, buckets=(), labels=None, created=None, schema=None, zero=(0.001, 0), positive=None, negative=None, exemplars=()):
    """buckets: (bound, cumulative count[, exemplar]); positive, negative: ([(offset, length)], [differences])."""
    body = _int(1, count) + _double(2, total)
    for bound, n, *rest in buckets:
        body += _bytes(3, _int(1, n) + _double(2, bound) + b"".join(_bytes(3, e) for e in rest))
    if schema is not None:
        body += _zigzag(5, schema) + _double(6, zero[0]) + _int(7, zero[1])
        for number, part in ((9, negative), (12, positive)):
            if part:
                body += b"".join(_bytes(number, _zigzag(1, o) + _int(2, n)) for o, n in part[0])
                body += _bytes(number + 1, b"".join(_varint(d * 2 if d >= 0 else -d * 2 - 1) for d in part[1]))
    body += _time(15, created) if created is not None else b""
    body += b"".join(_bytes(16, e) for e in exemplars)
    return _metric(7, body, labels, 0)


def family(name, kind, *metrics, help="", unit=""):
    body = _text(1, name) + (_text(2, help) if help else b"") + _int(3, kind)
    body += b"".join(_bytes(4, m) for m in metrics)
    return body + (_text(5, unit) if unit else b"")


def page(*families):
    return b"".join(_varint(len(f)) + f for f in families)

"""Pages in the delimited protobuf form (io.prometheus.client.MetricFamily), written field by field.

A message is bytes; the functions here give the bytes of one message. Numbers that are None are left out.
"""

import struct

COUNTER, GAUGE, SUMMARY, UNTYPED, HISTOGRAM, GAUGE_HISTOGRAM = range(6)
PROTOBUF = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"


def varint(v):
    v &= (1 << 64) - 1
    out = bytearray()
    while v > 127:
        out.append(v & 127 | 128)
        v >>= 7
    return bytes(out) + bytes([v])


def number(field, v):
    return b"" if v is None else varint(field << 3) + varint(v)


def zigzag(field, v):
    return b"" if v is None else number(field, v << 1 if v >= 0 else (-v << 1) - 1)


def double(field, v):
    return b"" if v is None else varint(field << 3 | 1) + struct.pack("<d", v)


def message(field, v):
    if v is None:
        return b""
    data = v.encode() if isinstance(v, str) else v
    return varint(field << 3 | 2) + varint(len(data)) + data


def labels(field, pairs):
    return b"".join(message(field, message(1, k) + message(2, v)) for k, v in pairs.items())


def timestamp(ms):
    return None if ms is None else number(1, ms // 1000) + number(2, ms % 1000 * 1000000)


def exemplar(pairs, value, ms=None):
    return labels(1, pairs) + double(2, value) + message(3, timestamp(ms))


def counter(value, created=None, exemplar=None):
    return message(3, double(1, value) + message(2, exemplar) + message(3, timestamp(created)))


def gauge(value):
    return message(2, double(1, value))


def untyped(value):
    return message(5, double(1, value))


def summary(count, total, quantiles=(), created=None):
    parts = b"".join(message(3, double(1, q) + double(2, v)) for q, v in quantiles)
    return message(4, number(1, count) + double(2, total) + parts + message(4, timestamp(created)))


def bucket(bound, count, exemplar=None, is_float=False):
    value = double(4, count) if is_float else number(1, count)
    return message(3, value + double(2, bound) + message(3, exemplar))


def spans(field, pairs):
    return b"".join(message(field, zigzag(1, offset) + number(2, length)) for offset, length in pairs)


def histogram(
    count=None,
    total=None,
    buckets=b"",
    schema=None,
    zero_threshold=None,
    zero_count=None,
    positive=(),
    positive_deltas=(),
    negative=(),
    negative_deltas=(),
    count_float=None,
    zero_count_float=None,
    positive_counts=(),
    negative_counts=(),
    created=None,
    exemplars=(),
):
    return message(
        7,
        number(1, count)
        + double(4, count_float)
        + double(2, total)
        + buckets
        + zigzag(5, schema)
        + double(6, zero_threshold)
        + number(7, zero_count)
        + double(8, zero_count_float)
        + spans(9, negative)
        + b"".join(zigzag(10, d) for d in negative_deltas)
        + b"".join(double(11, d) for d in negative_counts)
        + spans(12, positive)
        + b"".join(zigzag(13, d) for d in positive_deltas)
        + b"".join(double(14, d) for d in positive_counts)
        + message(15, timestamp(created))
        + b"".join(message(16, e) for e in exemplars),
    )


def metric(value, pairs=None, ms=None):
    return message(4, labels(1, pairs or {}) + value + number(6, ms))


def family(name, kind, metrics, help="", unit=None):
    """Delimited."""
    body = message(1, name) + message(2, help) + number(3, kind) + b"".join(metrics) + message(5, unit)
    return varint(len(body)) + body

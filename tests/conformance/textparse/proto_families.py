"""Random io.prometheus.client.MetricFamily messages, delimited, with what encoders are free to do and what none should."""
import struct

NAMES = [b"a", b"a_total", b"b_seconds", b"http.requests", b"caf\xc3\xa9", b"go_gc", b"", b"x\xff"]
LABELS = [b"x", b"y", b"le", b"quantile", b"__name__", b"job", b"d.e", b"", b"\xff"]
VALUES = [b"", b"1", b"two", b"\xc3\xa9", b"0.5", b'q"\\\n', b"\xff"]
NUMBERS = [0.0, 1.0, -1.0, 0.5, 2.5, 1e6, 1e21, 3.0, 7.0, 1e-9, float("inf"), float("-inf"), float("nan"), -0.0, 1e300, 12345678.0]
BOUNDS = [0.0, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 100.0, 1e6, float("inf")]


def varint(v):
    v &= (1 << 64) - 1
    out = bytearray()
    while v >= 128:
        out.append(v & 127 | 128)
        v >>= 7
    out.append(v)
    return bytes(out)


def tag(number, kind):
    return varint(number << 3 | kind)


def bytes_field(number, b):
    return tag(number, 2) + varint(len(b)) + b


def int_field(number, v):
    return tag(number, 0) + varint(v)


def double_field(number, v):
    return tag(number, 1) + struct.pack("<d", v)


def zigzag(v):
    return (v << 1) ^ (v >> 63)


class Maker:
    """wild: how often a thing that no encoder does is done."""

    def __init__(self, rng, wild):
        self.rng, self.wild = rng, wild

    def maybe(self, p=.5):
        return self.rng.random() < p

    def pick(self, choices, rare=2):
        """The last `rare` only when wild."""
        return self.rng.choice(choices if self.maybe(self.wild) else choices[:-rare])

    def fields(self, parts):
        """In the order given, or not; with things nobody knows in between."""
        parts = [p for p in parts if p]
        if self.maybe(.1):
            self.rng.shuffle(parts)
        if self.maybe(.05) and parts:
            parts.append(self.rng.choice(parts))
        if self.maybe(.05):
            unknown = [int_field(99, 5), bytes_field(77, b"abc"), double_field(50, 1), tag(51, 5) + b"1234",
                       tag(60, 3) + int_field(1, 2) + tag(60, 4)]
            parts.insert(self.rng.randrange(len(parts) + 1), self.rng.choice(unknown))
        if self.maybe(self.wild):
            strange = [b"\x04", b"\x00", b"\x80" * 11, b"\xff" * 9 + b"\x7f", tag(1, 5) + b"1234", tag(2, 6), tag(3, 7), tag(60, 3), b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
                       b"\x12\x7f", int_field(1, 7), double_field(4, 3), bytes_field(6, b"x")]
            parts.insert(self.rng.randrange(len(parts) + 1), self.rng.choice(strange))
        return b"".join(parts)

    def label(self):
        return bytes_field(1, self.fields([bytes_field(1, self.pick(LABELS)), bytes_field(2, self.pick(VALUES, 1))]))

    def labels(self, n=None):
        names = self.rng.sample(LABELS[:2] + LABELS[5:7], self.rng.choice([0, 0, 1, 2, 3]) if n is None else n)
        out = [bytes_field(1, bytes_field(1, n) + (bytes_field(2, self.pick(VALUES, 1)) if self.maybe(.95) else b"")) for n in names]
        if self.maybe(self.wild):
            out.append(self.label())
        return out

    def stamp(self, number):
        return bytes_field(number, self.fields([int_field(1, self.rng.choice([0, 1, 1700000000, -5])) if self.maybe(.9) else b"",
                                                int_field(2, self.rng.choice([0, 5000000, 999999999, -1000000])) if self.maybe() else b""]))

    def exemplar(self, number):
        return bytes_field(number, self.fields(self.labels() + [double_field(2, self.rng.choice(NUMBERS[:11])),
                                                                self.stamp(3) if self.maybe(.8) else b""]))

    def value(self, number):
        return bytes_field(number, self.fields([double_field(1, self.rng.choice(NUMBERS))]))

    def counter(self):
        return bytes_field(3, self.fields([double_field(1, self.rng.choice(NUMBERS)), self.exemplar(2) if self.maybe(.3) else b"",
                                           self.stamp(3) if self.maybe(.4) else b""]))

    def summary(self):
        points = [bytes_field(3, self.fields([double_field(1, q), double_field(2, self.rng.choice(NUMBERS))]))
                  for q in sorted(self.rng.sample([0.0, 0.5, 0.9, 0.99, 1.0], self.rng.randrange(4)))]
        return bytes_field(4, self.fields([int_field(1, self.rng.choice([0, 1, 5, 1 << 60])), double_field(2, self.rng.choice(NUMBERS))] + points +
                                          [self.stamp(4) if self.maybe(.4) else b""]))

    def bucket(self, le, count, is_float):
        return bytes_field(3, self.fields([double_field(4, count) if is_float else int_field(1, int(count)) if count else b"", double_field(2, le),
                                           self.exemplar(3) if self.maybe(.2) else b""]))

    def classic(self):
        """Count and buckets that agree, mostly."""
        is_float, count, out = self.maybe(.2), 0, []
        bounds = sorted(self.rng.sample(BOUNDS, self.rng.randrange(len(BOUNDS))))
        for le in bounds:
            count += self.rng.choice([0, 0, 1, 3, 2.5 if is_float else 2, -1 if self.maybe(self.wild) else 0])
            out.append(self.bucket(le, max(count, 0), is_float))
        if float("inf") not in bounds or self.maybe(self.wild):
            count += self.rng.choice([0, 0, 1])
        return out, [double_field(4, count) if is_float else int_field(1, int(max(count, 0)))]

    def side(self, number, is_float):
        """Spans and buckets of one sign; also the sum of the counts."""
        spans, counts, room = [], [], 0
        for i in range(self.rng.choice([0, 1, 1, 2, 3, 4])):
            length = self.rng.choice([0, 1, 2, 3, 5])
            offset = self.rng.choice([0, 0, 1, 2, 5, -3 if i == 0 or self.maybe(self.wild) else 1])
            spans.append(bytes_field(number, self.fields([int_field(1, zigzag(offset)) if offset else b"", int_field(2, length) if length else b""])))
            counts += [self.rng.choice([0, 0, 1, 2, 7, 2.5 if is_float else 4]) for _ in range(length)]
        total = sum(counts)
        if self.maybe(self.wild):
            counts.append(1)
        if is_float:
            numbers = [struct.pack("<d", c) for c in counts]
            kind, number = 1, number + 2
        else:
            deltas = [b - a for a, b in zip([0] + counts, counts)]
            numbers = [varint(zigzag(v)) for v in deltas]
            kind, number = 0, number + 1
        if self.maybe():
            return spans + ([bytes_field(number, b"".join(numbers))] if numbers else []), total
        return spans + [tag(number, kind) + n for n in numbers], total

    def native(self):
        is_float = self.maybe(.3)
        positive, p = self.side(12, is_float)
        negative, n = self.side(9, is_float) if self.maybe(.3) else ([], 0)
        zero = self.rng.choice([0, 0, 1, 4])
        count = p + n + zero + (self.rng.choice([1, -1]) if self.maybe(self.wild) else 0)
        schema = self.rng.choice([0, 1, 2, 3, 3, 3, 8, -4, -1]) if not self.maybe(self.wild) else self.rng.choice([9, 20, -5, -9, 52, 53, -53])
        out = positive + negative + [int_field(5, zigzag(schema))]
        if self.maybe(.8):
            out.append(double_field(6, self.rng.choice([2.938735877055719e-39, 0.001, 0.0])))
        out.append(double_field(8, zero) if is_float else int_field(7, zero) if zero else b"")
        out += [self.exemplar(16) for _ in range(self.rng.choice([0, 0, 1, 2, 3]))]
        return out, [double_field(4, count) if is_float else int_field(1, max(count, 0))]

    def histogram(self):
        kind = self.rng.choice(["classic", "classic", "native", "both", "none"])
        parts, count = [], []
        if kind in ("classic", "both"):
            parts, count = self.classic()
        if kind in ("native", "both"):
            native, count = self.native()
            parts += native
        if kind == "none" and self.maybe():
            count = [int_field(1, 3)]
        return bytes_field(7, self.fields(count + [double_field(2, self.rng.choice(NUMBERS))] + parts + [self.stamp(15) if self.maybe(.4) else b""]))

    def metric(self, kind):
        make = {0: self.counter, 1: lambda: self.value(2), 2: self.summary, 3: lambda: self.value(5), 4: self.histogram, 5: self.histogram}
        labels = self.labels()
        parts = [make.get(kind, self.counter)() if self.maybe(.97) else b"", int_field(6, self.rng.choice([1700000000000, 1, 0, -7])) if self.maybe(.2) else b""]
        if self.maybe(self.wild):
            parts.append(make[self.rng.randrange(6)]())
        if self.maybe(.05):
            return self.fields(parts + labels)
        return b"".join(labels) + self.fields(parts)

    def family(self):
        kind = self.rng.choice([0, 1, 2, 3, 4, 4, 4, 5]) if not self.maybe(self.wild) else self.rng.choice([6, -1, 99])
        head = [bytes_field(1, self.pick(NAMES)), bytes_field(2, self.pick([b"", b"help me", b"x\\n", b"\xc3\xa9", b"\xff"], 1)) if self.maybe(.8) else b"",
                int_field(3, kind) if kind else b""]
        metrics = [bytes_field(4, self.metric(kind)) for _ in range(self.rng.choice([0, 1, 1, 2, 3, 5]))]
        unit = [bytes_field(5, b"seconds")] if self.maybe(.2) else []
        if self.maybe(.1):
            return self.fields(head + metrics + unit)
        return b"".join(head) + b"".join(metrics) + b"".join(unit)

    def body(self):
        out = b""
        for _ in range(self.rng.choice([1, 1, 2, 4, 8])):
            family = self.family()
            length = len(family) if not self.maybe(self.wild / 4) else self.rng.choice([0, 3, len(family) + 1, 1 << 33])
            out += varint(length) + family
        return out


def body(rng):
    return Maker(rng, rng.choice([0, 0, 0, .01, .05])).body()

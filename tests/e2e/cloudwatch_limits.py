"""A checking proxy in front of the AWS emulator: CloudWatch as strict as the real one, and as moody.

Each request's signature is verified, and every limit of CloudWatch Logs and PutMetricData that the emulator accepts to be broken
is asserted (API references of both services; the lists of the reference's testbed 2.3). What breaks one is in `violations`, and
the fixture fails its test with them at the end. All requests are kept, so that a test can say what was repeated.

The emulator behind it must not be guarded: an injected `rejected` forwards another body than was signed.
"""

import datetime
import gzip
import json
import math
import re
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import defaultdict

from aws import REGION, sigv4_check
from fault_proxy import JSON, FaultHandler, FaultProxy

KIB = 1024
BATCH_BYTES, EVENT_OVERHEAD, BATCH_EVENTS = 1024 * KIB, 26, 10_000
EVENT_BYTES = 1024 * KIB
DAY_MS, HOUR_MS = 86_400_000, 3_600_000
OLDEST_MS, NEWEST_MS = 14 * DAY_MS, 2 * HOUR_MS
GROUP = re.compile(r"[.\-_/#A-Za-z0-9]{1,512}\Z")
STREAM = re.compile(r"[^:*]{1,512}\Z", re.S)
RETENTION_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)

DATA, VALUES, DIMENSIONS, POST_BYTES = 1000, 150, 30, 1024 * KIB
VALUE_MOST = 2.0**360
NAMESPACE = re.compile(r"[0-9A-Za-z.\-_/#: ]{1,255}\Z")
_SIZES = [prefix + unit for unit in ("bytes", "bits") for prefix in ("", "Kilo", "Mega", "Giga", "Tera")]
_SIZES = [s[0].upper() + s[1:] for s in _SIZES]
UNITS = {"Seconds", "Microseconds", "Milliseconds", "Percent", "Count", "Count/Second", "None"}
UNITS |= set(_SIZES) | {s + "/Second" for s in _SIZES}
assert len(UNITS) == 27

SERVICES = {"Logs_20140328": "logs", "GraniteServiceVersion20100801": "monitoring"}


# ---- the limits: each function yields what is wrong with a request ----


def utf8(text):
    return len(text.encode("utf-8", "surrogatepass"))


def name_faults(body):
    """Of log group and stream, in whatever request."""
    group, stream = body.get("logGroupName"), body.get("logStreamName")
    if group is not None and not GROUP.match(group):
        yield f"log group name {group!r}"
    if stream is not None and not STREAM.match(stream):
        yield f"log stream name {stream!r}"


def put_log_events_faults(body, now_ms):
    yield from name_faults(body)
    for key in ("logGroupName", "logStreamName", "logEvents"):
        if not body.get(key):
            yield f"{key} is missing or empty"
            return
    events = body["logEvents"]
    if len(events) > BATCH_EVENTS:
        yield f"{len(events)} events"
    sizes = [utf8(e.get("message", "")) for e in events]
    if sum(sizes) + EVENT_OVERHEAD * len(events) > BATCH_BYTES:
        yield f"a batch of {sum(sizes) + EVENT_OVERHEAD * len(events)} bytes"
    for event, size in zip(events, sizes):
        if set(event) != {"timestamp", "message"}:
            yield f"an event with the members {sorted(event)}"
        if not 0 < size <= EVENT_BYTES - EVENT_OVERHEAD:
            yield f"an event of {size} bytes"
    stamps = [e.get("timestamp") for e in events]
    if any(type(t) is not int or t < 0 for t in stamps):
        yield f"timestamps that are no counts of milliseconds: {stamps[:5]}"
        return
    if stamps != sorted(stamps):
        yield "events not in the order of their time"
    if max(stamps) - min(stamps) > DAY_MS:
        yield f"a batch that spans {max(stamps) - min(stamps)} ms"
    if min(stamps) < now_ms - OLDEST_MS or max(stamps) > now_ms + NEWEST_MS:
        yield f"events of an age that is refused: {min(stamps)} to {max(stamps)} at {now_ms}"


def is_number(v):
    return type(v) in (int, float) and math.isfinite(v) and abs(v) <= VALUE_MOST


def is_name(text, most):
    """As CloudWatch has names of metrics and dimensions."""
    return isinstance(text, str) and 0 < len(text) <= most and bool(text.strip()) and text.isprintable()


def dimension_faults(dimensions):
    if len(dimensions) > DIMENSIONS:
        yield f"{len(dimensions)} dimensions"
    names = [d.get("Name") for d in dimensions]
    if len(set(names)) != len(names):
        yield f"a dimension twice: {names}"
    for d in dimensions:
        name, value = d.get("Name"), d.get("Value")
        if not is_name(name, 255) or not name.isascii() or name.startswith(":"):
            yield f"dimension name {name!r}"
        if not is_name(value, 1024) or not value.isascii():
            yield f"value {value!r:.80} of dimension {name}"


def value_faults(datum):
    values, counts, statistics = datum.get("Values"), datum.get("Counts"), datum.get("StatisticValues")
    if ("Value" in datum) + (values is not None or statistics is not None) != 1:
        yield f"a datum with neither or both of Value and Values: {sorted(datum)}"
    if "Value" in datum and not is_number(datum["Value"]):
        yield f"value {datum['Value']!r}"
    if values is not None:
        if not 1 <= len(values) <= VALUES:
            yield f"{len(values)} values"
        if not all(is_number(v) for v in values):
            yield f"values {[v for v in values if not is_number(v)][:3]}"
    if counts is not None and (len(counts) != len(values or ()) or not all(is_number(c) and c >= 0 for c in counts)):
        yield f"{len(counts)} counts of {len(values or ())} values: {counts[:5]}"
    if statistics is not None:
        if set(statistics) != {"SampleCount", "Sum", "Minimum", "Maximum"} or not all(map(is_number, statistics.values())):
            yield f"statistics {statistics}"


def datum_faults(datum, now_ms):
    known = {"MetricName", "Dimensions", "Timestamp", "Value", "Values", "Counts", "StatisticValues", "Unit", "StorageResolution"}
    if set(datum) - known:
        yield f"members {sorted(set(datum) - known)}"
    if not is_name(datum.get("MetricName"), 255):
        yield f"metric name {datum.get('MetricName')!r}"
    yield from dimension_faults(datum.get("Dimensions", []))
    yield from value_faults(datum)
    if datum.get("Unit", "None") not in UNITS:
        yield f"unit {datum['Unit']!r}"
    if datum.get("StorageResolution", 60) not in (1, 60):
        yield f"StorageResolution {datum['StorageResolution']!r}"
    stamp = datum.get("Timestamp")
    if stamp is not None and not now_ms - 14 * DAY_MS <= stamp * 1000 <= now_ms + NEWEST_MS:
        yield f"a stamp of {stamp} at {now_ms} ms"


def put_metric_data_faults(body, now_ms, size=0, plain_size=0):
    namespace = body.get("Namespace", "")
    if not NAMESPACE.match(namespace) or not namespace.strip() or namespace.startswith((":", "AWS/")):
        yield f"namespace {namespace!r}"
    if set(body) - {"Namespace", "MetricData", "StrictEntityValidation"}:
        yield f"members {sorted(body)}"
    data = body.get("MetricData", [])
    if not 1 <= len(data) <= DATA:
        yield f"{len(data)} data"
    if max(size, plain_size) > POST_BYTES:
        yield f"a request of {size} bytes, {plain_size} before compression"
    for datum in data:
        for fault in datum_faults(datum, now_ms):
            yield f"{datum.get('MetricName')!r:.60}: {fault}"


def retention_faults(body, now_ms):
    yield from name_faults(body)
    if body.get("retentionInDays") not in RETENTION_DAYS:
        yield f"retention of {body.get('retentionInDays')} days"


CHECKS = {
    "PutLogEvents": put_log_events_faults,
    "PutMetricData": put_metric_data_faults,
    "CreateLogGroup": lambda body, now_ms: name_faults(body),
    "CreateLogStream": lambda body, now_ms: name_faults(body),
    "PutRetentionPolicy": retention_faults,
}


# ---- requests ----


def of_form(text):
    """The body of a query-protocol request in the form of the JSON one: member.N are lists, numbers are numbers."""
    tree = {}
    for name, value in urllib.parse.parse_qsl(text, keep_blank_values=True):
        at = tree
        *path, last = name.replace(".member.", ".").split(".")
        for step in path:
            at = at.setdefault(step, {})
        at[last] = value
    numbers = {"Value", "SampleCount", "Sum", "Minimum", "Maximum", "StorageResolution"}

    def tidy(v, key=None, dimension=False):
        if not isinstance(v, dict):
            if key == "Timestamp":
                return datetime.datetime.fromisoformat(v.replace("Z", "+00:00")).timestamp()
            is_text = dimension and key == "Value" or key not in numbers
            return v if is_text else float(v) if key != "StorageResolution" else int(v)
        if v and all(k.isdigit() for k in v):
            items = [v[k] for k in sorted(v, key=int)]
            return [float(i) if key in ("Values", "Counts") else tidy(i, None, key == "Dimensions") for i in items]
        return {k: tidy(i, k, dimension) for k, i in v.items()}

    return tidy(tree)


class Request:
    """`operation`, `body` as a dictionary; `answered`: the status, None while it is under way or when nothing was said;
    `accepted`: the service took it, whether or not it could say so."""

    def __init__(self, path, headers, raw):
        self.at = time.time()
        self.path, self.headers, self.raw = path, headers, raw
        self.plain = gzip.decompress(raw) if headers.get("Content-Encoding") == "gzip" else raw
        self.api, _, self.operation = headers.get("X-Amz-Target", "").rpartition(".")
        self.answered, self.accepted = None, False
        if self.operation:
            self.body = json.loads(self.plain)
        else:
            self.body = of_form(self.plain.decode())
            self.operation = self.body.pop("Action", "?")
            self.body.pop("Version", None)

    @property
    def place(self):
        if self.operation == "PutMetricData":
            return self.body.get("Namespace")
        return self.body.get("logGroupName"), self.body.get("logStreamName")

    @property
    def identity(self):
        return self.operation, json.dumps(self.body, sort_keys=True)


# ---- faults: what a test puts into proxy.faults[operation] ----


def error(kind, message="injected", status=400, **members):
    return status, json.dumps({"__type": kind, "message": message, **members}), JSON


THROTTLED = error("ThrottlingException", "Rate exceeded")
UNAVAILABLE = error("ServiceUnavailableException", "not now", 503)
FAILURE = error("InternalFailure", "not now", 500)
DROP = "close"  # nothing is forwarded, the connection ends
DROP_ANSWER = "accepted, but the answer dropped"


def denied(action, resource):
    who = "arn:aws:sts::123456789012:assumed-role/task-role/0123"
    why = f"because no identity-based policy allows the {action} action"
    return error("AccessDeniedException", f"User: {who} is not authorized to perform: {action} on resource: {resource} {why}")


def times(n, fault):
    """The next n requests of the operation; those after it pass."""
    left = [n]
    lock = threading.Lock()

    def answer(request):
        with lock:
            left[0] -= 1
            hit = left[0] >= 0
        return (fault(request) if callable(fault) else fault) if hit else None

    answer.left = left
    return answer


def slow(seconds, fault=None):
    def answer(request):
        time.sleep(seconds)
        return fault(request) if callable(fault) else fault

    return answer


class Rejected:
    """Some events of a PutLogEvents are taken, the others told of: as too old up to an index, as expired up to one, or as too
    new from one on."""

    def __init__(self, too_old=None, expired=None, too_new=None):
        self.too_old, self.expired, self.too_new = too_old, expired, too_new

    def kept(self, events):
        first = max(self.too_old or 0, self.expired or 0)
        return events[first : self.too_new]

    def info(self):
        names = {
            "tooOldLogEventEndIndex": self.too_old,
            "expiredLogEventEndIndex": self.expired,
            "tooNewLogEventStartIndex": self.too_new,
        }
        return {k: v for k, v in names.items() if v is not None}


# ---- the proxy ----


class CheckingHandler(FaultHandler):
    def do_POST(self):
        owner = self.server.owner
        raw = self.body()
        try:
            request = Request(self.path, self.headers, raw)
        except (OSError, ValueError, EOFError) as e:
            owner.violate(f"a body that cannot be read: {e!r}")
            return self.reply(400, "", JSON)
        fault = owner.begin(request)
        try:
            self.serve(request, fault)
        finally:
            owner.end(request)

    def serve(self, request, fault):
        owner = self.server.owner
        unsigned = owner.signature_fault(request)
        if unsigned:
            owner.violate(f"{request.operation}: {unsigned}")
            request.answered = 403
            return self.reply(*error("InvalidSignatureException", unsigned[:200], 403))
        owner.check(request)
        answer = fault(request) if callable(fault) else fault
        if answer == DROP:
            self.close_connection = True
            return None
        if isinstance(answer, tuple):
            request.answered = answer[0]
            return self.reply(*answer)
        status, body, kind = self.pass_on(request, answer)
        request.accepted = status == 200
        if answer == DROP_ANSWER and request.accepted:
            self.close_connection = True
            return None
        request.answered = status
        return self.reply(status, body, kind)

    def pass_on(self, request, answer):
        if not isinstance(answer, Rejected):
            return self.forward(self.headers.get("X-Amz-Target", "").rpartition(".")[2], request.raw)
        rest = answer.kept(request.body["logEvents"])
        told = json.dumps({"nextSequenceToken": "0", "rejectedLogEventsInfo": answer.info()}), JSON
        if not rest:
            return 200, *told
        del self.headers["Content-Encoding"]
        status, body, kind = self.forward(request.operation, json.dumps({**request.body, "logEvents": rest}).encode())
        return (200, *told) if status == 200 else (status, body, kind)


class CheckingProxy(FaultProxy):
    """`faults`: {operation: an answer of the constants and functions above, or a function of the Request that gives one or
    None}; "*" is for operations without a fault of their own. `keys`: the credentials that are good."""

    handler = CheckingHandler

    def __init__(self, behind, keys, region=REGION):
        self.keys = keys
        self.region = region
        self.requests = []
        self.violations = []
        self.ages = True  # False: old and new events may come
        self.most_in_flight = defaultdict(int)  # of a place
        self._in_flight = defaultdict(int)
        super().__init__(behind)

    def violate(self, text):
        with self.lock:
            self.violations.append(text)

    def begin(self, request):
        with self.lock:
            self.requests.append(request)
            self.calls.append((request.operation, request.plain))
            if request.operation.startswith("Put"):
                self._in_flight[request.place] += 1
                self.most_in_flight[request.place] = max(self.most_in_flight[request.place], self._in_flight[request.place])
            return self.faults.get(request.operation, self.faults.get("*"))

    def end(self, request):
        with self.lock:
            if request.operation.startswith("Put"):
                self._in_flight[request.place] -= 1

    def signature_fault(self, request):
        service = SERVICES.get(request.api)
        try:
            sigv4_check.check("POST", request.path, request.headers, request.raw, self.keys, region=self.region, service=service)
        except sigv4_check.SignatureError as e:
            return str(e)
        return None

    def check(self, request):
        faults = CHECKS.get(request.operation)
        now_ms = int(time.time() * 1000)
        if request.operation == "PutMetricData":
            found = faults(request.body, now_ms, len(request.raw), len(request.plain))
        else:
            found = faults(request.body, now_ms) if faults else ()
        for fault in found:
            if self.ages or "of an age" not in fault:
                self.violate(f"{request.operation} to {request.place}: {fault}")

    # ---- for the tests ----

    def of(self, operation, accepted=None):
        """The requests of an operation; only those that the service took, or did not."""
        with self.lock:
            found = [r for r in self.requests if r.operation == operation]
        return [r for r in found if accepted in (None, r.accepted)]

    def distinct(self, operation):
        """The requests that the service took, each once; and {place: how many of them it took again}."""
        once, again = {}, defaultdict(int)
        for request in self.of(operation, accepted=True):
            if request.identity in once:
                again[request.place] += 1
            once.setdefault(request.identity, request)
        return list(once.values()), dict(again)

    def log_events(self):
        """{(group, stream): events in the order they were taken}, each request once."""
        out = defaultdict(list)
        for request in self.distinct("PutLogEvents")[0]:
            out[request.place] += request.body["logEvents"]
        return dict(out)

    def verdict(self):
        """Raises with what was wrong, readable."""
        counts = defaultdict(int)
        for v in self.violations:
            counts[v] += 1
        shown = "\n".join(f"  {n} x {v}" if n > 1 else f"  {v}" for v, n in list(counts.items())[:20])
        assert not counts, f"{len(self.violations)} requests or parts of them are not as CloudWatch takes them:\n{shown}"

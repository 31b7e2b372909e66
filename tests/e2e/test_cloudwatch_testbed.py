"""The instruments of the CloudWatch tests themselves: the proxy finds what breaks a limit and lets pass what does not, the schemas
take and refuse, the extractor counts, the second implementation gives what the description of the original says."""

import gzip
import json
import time
import urllib.error
import urllib.parse
import urllib.request

import botocore.auth
import botocore.awsrequest
import pytest
from botocore.credentials import Credentials

import cloudwatch_limits as limits
import emf
from aws import KEY, REGION
from cloudwatch_limits import CheckingProxy, Rejected
from cloudwatch_reporting import LABELS, go_float, golden, java_double, moved, read_exposition, shipped_rules
from cloudwatch_reporting import emulator  # noqa: F401 - a fixture

NOW_MS = int(time.time() * 1000)


# ---- limits ----


def batch(*messages, group="/g", stream="s", stamps=None):
    stamps = stamps or [NOW_MS] * len(messages)
    events = [{"timestamp": t, "message": m} for t, m in zip(stamps, messages)]
    return {"logGroupName": group, "logStreamName": stream, "logEvents": events}


FULL = ["x" * (limits.EVENT_BYTES // 4 - 26)] * 4  # to the byte
LOGS = [
    ("", batch("a")),
    ("", batch(*FULL)),
    ("a batch of", batch(*FULL[:3], FULL[3] + "y")),
    ("a batch of", batch(*FULL[:3], FULL[3][:-1] + "é")),
    ("", batch(*["x"] * 10_000)),
    ("10001 events", batch(*["x"] * 10_001)),
    ("an event of", batch("x" * limits.EVENT_BYTES)),
    ("an event of 0", batch("")),
    ("missing or empty", batch()),
    ("", batch("a", "b", stamps=[NOW_MS - limits.DAY_MS, NOW_MS])),
    ("spans", batch("a", "b", stamps=[NOW_MS - limits.DAY_MS - 1, NOW_MS])),
    ("not in the order", batch("a", "b", stamps=[NOW_MS, NOW_MS - 1])),
    ("of an age", batch("a", stamps=[NOW_MS - 15 * limits.DAY_MS])),
    ("of an age", batch("a", stamps=[NOW_MS + 3 * limits.HOUR_MS])),
    ("no counts of milliseconds", batch("a", stamps=[NOW_MS + 0.5])),
    ("log group name", batch("a", group="/g{ClusterName}")),
    ("log group name", batch("a", group="g" * 513)),
    ("log stream name", batch("a", stream="a:b")),
    ("log stream name", batch("a", stream="s" * 513)),
]


@pytest.mark.parametrize("finds, body", LOGS, ids=[f"{i}-{f}" for i, (f, _) in enumerate(LOGS)])
def test_limits_of_logs(finds, body):
    found = list(limits.put_log_events_faults(body, NOW_MS))
    assert (finds in "\n".join(found) and found) if finds else not found, found


def datum(**members):
    return {"MetricName": "m", "Value": 1.5, **members}


def without_value(**members):
    return {"MetricName": "m", **members}


def dimensions(n):
    return [{"Name": f"d{i}", "Value": "v"} for i in range(n)]


STATISTICS = {"SampleCount": 2, "Sum": 3, "Minimum": 1, "Maximum": 2}
DATA = [
    ("", datum()),
    ("", datum(Dimensions=dimensions(30), Unit="Kilobytes/Second", StorageResolution=1)),
    ("31 dimensions", datum(Dimensions=dimensions(31))),
    ("a dimension twice", datum(Dimensions=dimensions(1) * 2)),
    ("dimension name", datum(Dimensions=[{"Name": "", "Value": "v"}])),
    ("dimension name", datum(Dimensions=[{"Name": ":a", "Value": "v"}])),
    ("dimension name", datum(Dimensions=[{"Name": "a" * 256, "Value": "v"}])),
    ("of dimension", datum(Dimensions=[{"Name": "a", "Value": ""}])),
    ("of dimension", datum(Dimensions=[{"Name": "a", "Value": "é"}])),
    ("of dimension", datum(Dimensions=[{"Name": "a", "Value": "v" * 1025}])),
    ("", without_value(Values=list(range(150)), Counts=[1] * 150)),
    ("151 values", without_value(Values=list(range(151)))),
    ("counts of", without_value(Values=[1, 2], Counts=[1])),
    ("", without_value(Values=[1, 2], Counts=[1, 1], StatisticValues=STATISTICS)),
    ("statistics", without_value(StatisticValues={"Sum": 1})),
    ("neither or both", datum(Values=[1])),
    ("neither or both", without_value()),
    ("value inf", datum(Value=float("inf"))),
    ("value 1e+300", datum(Value=1e300)),
    ("", datum(Value=-(2.0**360))),
    ("unit", datum(Unit="Furlongs")),
    ("StorageResolution", datum(StorageResolution=30)),
    ("a stamp", datum(Timestamp=NOW_MS / 1000 - 21 * 86400)),
    ("metric name", datum(MetricName="m" * 256)),
]


@pytest.mark.parametrize("finds, one", DATA, ids=[f"{i}-{f}" for i, (f, _) in enumerate(DATA)])
def test_limits_of_data(finds, one):
    found = list(limits.put_metric_data_faults({"Namespace": "n", "MetricData": [one]}, NOW_MS))
    assert (finds in "\n".join(found) and found) if finds else not found, found


@pytest.mark.parametrize("namespace, good", [("A/b.c-d_e#f:g", True), ("AWS/ECS", False), (":a", False), ("", False), ("é", False)])
def test_namespaces(namespace, good):
    found = list(limits.put_metric_data_faults({"Namespace": namespace, "MetricData": [datum()]}, NOW_MS))
    assert bool(found) != good, found


def test_sizes_of_requests_of_data():
    body = {"Namespace": "n", "MetricData": [datum()] * 1000}
    assert not list(limits.put_metric_data_faults(body, NOW_MS, 1 << 20, 1 << 20))
    assert "before compression" in str(list(limits.put_metric_data_faults(body, NOW_MS, 1000, (1 << 20) + 1)))
    assert "1001 data" in str(list(limits.put_metric_data_faults({"Namespace": "n", "MetricData": [datum()] * 1001}, NOW_MS)))


# ---- the proxy ----


@pytest.fixture
def checked(emulator):
    """A proxy whose verdict is the test's own business."""
    p = CheckingProxy(emulator.url, [KEY])
    yield p
    p.close()


class Client:
    """Signed requests with the body as it is: boto3 looks at it first."""

    def __init__(self, proxy, key=KEY):
        self.proxy, self.key = proxy, key

    def call(self, api, operation, body, compress=False, headers=()):
        raw = json.dumps(body).encode()
        sent = {"X-Amz-Target": f"{api}.{operation}", "Content-Type": "application/x-amz-json-1.1", **dict(headers)}
        if compress:
            raw, sent = gzip.compress(raw), {**sent, "Content-Encoding": "gzip"}
        request = botocore.awsrequest.AWSRequest("POST", self.proxy.url + "/", headers=sent, data=raw)
        service = limits.SERVICES[api]
        botocore.auth.SigV4Auth(self.key, service, REGION).add_auth(request)
        done = urllib.request.Request(self.proxy.url + "/", raw, dict(request.headers.items()))
        try:
            with urllib.request.urlopen(done, timeout=30) as answer:
                return answer.status, json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as e:
            return e.code, json.loads(e.read() or b"{}")

    def logs(self, operation, compress=False, **body):
        return self.call("Logs_20140328", operation, body, compress)

    def make(self, group, stream="s"):
        assert self.logs("CreateLogGroup", logGroupName=group)[0] == 200
        assert self.logs("CreateLogStream", logGroupName=group, logStreamName=stream)[0] == 200


def test_what_is_right_passes(checked, emulator):
    client = Client(checked)
    client.make("/right")
    for compress in (False, True):
        assert client.logs("PutLogEvents", compress, **batch("one", "two", group="/right"))[0] == 200
    assert [text for _, text in emf.log_events(emulator.logs, "/right", "s")] == ["one", "two"] * 2
    data = {"Namespace": "Right", "MetricData": [datum(Dimensions=dimensions(2))]}
    assert client.call("GraniteServiceVersion20100801", "PutMetricData", data, True)[0] == 200
    assert emulator.cloudwatch.list_metrics(Namespace="Right")["Metrics"][0]["MetricName"] == "m"
    checked.verdict()
    assert [r.operation for r in checked.of("PutLogEvents", accepted=True)] == ["PutLogEvents"] * 2
    assert checked.distinct("PutLogEvents")[1] == {("/right", "s"): 1}
    assert len(checked.log_events()["/right", "s"]) == 2


def test_a_broken_limit_is_in_the_verdict(checked):
    client = Client(checked)
    client.make("/wrong")
    client.logs("PutLogEvents", **batch("a", "b", group="/wrong", stamps=[NOW_MS, NOW_MS - 1]))
    with pytest.raises(AssertionError, match="not in the order"):
        checked.verdict()


@pytest.mark.parametrize("key", [Credentials("AKIALONGLIVED0000", "wrong"), Credentials("AKIANOBODY", "x")])
def test_a_bad_signature_is_refused_and_in_the_verdict(checked, key):
    status, answer = Client(checked, key).logs("CreateLogGroup", logGroupName="/forged")
    assert (status, answer["__type"]) == (403, "InvalidSignatureException")
    with pytest.raises(AssertionError, match="signature differs|unknown access key"):
        checked.verdict()


def test_the_query_protocol_is_understood(checked, emulator):
    cloudwatch = botocore_query_client(checked)
    stamp = NOW_MS // 1000
    form = {
        "Action": "PutMetricData",
        "Version": "2010-08-01",
        "Namespace": "Form",
        "MetricData.member.1.MetricName": "m",
        "MetricData.member.1.Timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(stamp)),
        "MetricData.member.1.Dimensions.member.1.Name": "Value",
        "MetricData.member.1.Dimensions.member.1.Value": "12",
        "MetricData.member.1.Values.member.1": "1.5",
        "MetricData.member.1.Values.member.2": "2",
        "MetricData.member.1.StorageResolution": "60",
    }
    assert cloudwatch(form) == 200
    checked.verdict()
    expected = {"MetricName": "m", "Timestamp": stamp, "Dimensions": [{"Name": "Value", "Value": "12"}]}
    expected.update({"Values": [1.5, 2.0], "StorageResolution": 60})
    assert checked.of("PutMetricData")[0].body == {"Namespace": "Form", "MetricData": [expected]}


def botocore_query_client(proxy):
    def post(form):
        raw = urllib.parse.urlencode(form).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        request = botocore.awsrequest.AWSRequest("POST", proxy.url + "/", headers=headers, data=raw)
        botocore.auth.SigV4Auth(KEY, "monitoring", REGION).add_auth(request)
        with urllib.request.urlopen(urllib.request.Request(proxy.url + "/", raw, dict(request.headers.items()))) as answer:
            return answer.status

    return post


def test_faults(checked, emulator):
    client = Client(checked)
    client.make("/faults")
    put = lambda text: client.logs("PutLogEvents", **batch(text, group="/faults"))
    checked.faults["PutLogEvents"] = limits.times(1, limits.THROTTLED)
    assert put("a")[1]["__type"] == "ThrottlingException"
    assert put("b")[0] == 200, "the fault was for one request"
    checked.faults["PutLogEvents"] = limits.DROP
    with pytest.raises(OSError):
        put("c")
    checked.faults["PutLogEvents"] = limits.DROP_ANSWER
    with pytest.raises(OSError):
        put("d")
    checked.faults["PutLogEvents"] = limits.denied("logs:PutLogEvents", "arn:x")
    assert "logs:PutLogEvents on resource: arn:x" in put("e")[1]["message"]
    checked.faults.clear()
    assert [text for _, text in emf.log_events(emulator.logs, "/faults", "s")] == ["b", "d"]
    assert [(r.accepted, r.answered) for r in checked.of("PutLogEvents")] == [
        (False, 400), (True, 200), (False, None), (True, None), (False, 400)]  # fmt: skip
    checked.verdict()


def test_rejected_events(checked, emulator):
    client = Client(checked)
    client.make("/rejected")
    checked.faults["PutLogEvents"] = limits.times(1, Rejected(too_old=1, too_new=3))
    status, answer = client.logs("PutLogEvents", True, **batch("a", "b", "c", "d", group="/rejected"))
    assert status == 200
    assert answer["rejectedLogEventsInfo"] == {"tooOldLogEventEndIndex": 1, "tooNewLogEventStartIndex": 3}
    assert [text for _, text in emf.log_events(emulator.logs, "/rejected", "s")] == ["b", "c"]
    checked.verdict()


# ---- EMF ----


def event(directive=True, **members):
    told = {"Namespace": "N", "Dimensions": [["a"], ["a", "b"]], "Metrics": [{"Name": "m", "Unit": "Count"}]}
    head = {"CloudWatchMetrics": [told]} if directive else {}
    return {**head, "Timestamp": "1678226606712", "Version": "0", "a": "1", "b": "2", "m": 3, **members}


def version_1(of):
    of = dict(of)
    metadata = {"CloudWatchMetrics": of.pop("CloudWatchMetrics", []), "Timestamp": int(of.pop("Timestamp"))}
    of.pop("Version")
    return {"Version": "1", "_aws": metadata, **of}


def test_good_events():
    for good in (event(), event(directive=False), event(m=[1, 2, 3]), event(m={"Values": [1], "Counts": [2], "Count": 2, "Sum": 2.5})):
        for e in (good, version_1(good)):
            emf.check(json.dumps(e))


def told(**members):
    e = event()
    e["CloudWatchMetrics"][0].update(members)
    return e


def dimension_of(value, **more):
    return {**told(Dimensions=[["d"]]), **more, "d": value}


BAD_EVENTS = [
    ("dimension d is", {k: v for k, v in dimension_of("x").items() if k != "d"}),
    ("dimension d is ''", dimension_of("")),
    ("dimension d is 5", dimension_of(5)),
    ("dimension d is", dimension_of("v" * 1025)),
    ("dimension d is", dimension_of("é")),
    ("is too long", told(Dimensions=[[f"d{i}" for i in range(31)]])),
    ("metric n is None", told(Metrics=[{"Name": "n"}])),
    ("metric a is '1'", told(Metrics=[{"Name": "a"}])),
    ("defined twice", told(Metrics=[{"Name": "m"}, {"Name": "m"}])),
    ("is too long", told(Metrics=[{"Name": f"m{i}"} for i in range(101)])),
    ("is not one of", told(Metrics=[{"Name": "m", "Unit": "Furlong"}])),
    ("is not one of", told(Metrics=[{"Name": "m", "StorageResolution": 30}])),
    ("is too short|non-empty", told(Namespace="")),
    ("a dimension set twice", told(Dimensions=[["a", "b"], ["b", "a"]])),
    ("is too long|not valid", event(m=list(range(101)))),
    ("is not valid", event(m=None)),
    ("2 values, 1 counts", event(m={"Values": [1, 2], "Counts": [1], "Count": 1, "Sum": 1})),
    ("does not match", event(Timestamp="1678226606")),
    ("is not of type 'string'", event(Timestamp=1678226606712)),
    ("Version None", {"m": 1}),
]


@pytest.mark.parametrize("finds, bad", BAD_EVENTS, ids=[f"{i}-{f}" for i, (f, _) in enumerate(BAD_EVENTS)])
def test_bad_events(finds, bad):
    with pytest.raises(emf.NotEmf, match=finds):
        emf.check(json.dumps(bad))


def test_a_hundred_and_one_definitions_in_two_directives():
    one = {"Namespace": "N", "Dimensions": [["a"]]}
    split = [{**one, "Metrics": [{"Name": f"m{i}"} for i in part]} for part in (range(100), range(100, 101))]
    bad = {"CloudWatchMetrics": split, "Timestamp": "1678226606712", "Version": "0", "a": "1", **{f"m{i}": i for i in range(101)}}
    with pytest.raises(emf.NotEmf, match="101 metric definitions"):
        emf.check(json.dumps(bad))


@pytest.mark.parametrize("text", ['{"Version":"0"', "[]x", '{"a":1,"a":2}', '{"a":NaN}', '{"a":Infinity}'])
def test_what_is_no_json(text):
    with pytest.raises(emf.NotEmf):
        emf.check(text)


def test_the_order_of_members():
    assert emf.order_fault({**event(), "Zone": "z"}), "a label behind a value"
    in_order = {"Timestamp": "1678226606712", "Version": "0", "b": "", "c": "", "a": "", "m": 1}
    assert emf.order_fault(in_order) is None, "those of the target, then those of the metric"
    assert emf.order_fault({**{k: v for k, v in in_order.items() if k != "m"}, "B": "", "A": ""}), "three runs"


def test_extraction():
    events = [event(), event(a="9", m=4), event(m=5, Timestamp="1678226606713"), event(directive=False, m=100)]
    ms, n = 1678226606712, "N"
    found = emf.extract(events)
    assert found[n, "m", (("a", "1"),), "Count", ms].values == [(3, 1)]
    assert found[n, "m", (("a", "9"), ("b", "2")), "Count", ms].values == [(4, 1)]
    assert found[n, "m", (("a", "1"),), "Count", ms + 1].values == [(5, 1)]
    assert len(found) == 6
    both = emf.by_metric(found)[n, "m", (("a", "1"),)]
    assert (both.sum, both.count) == (8, 2)
    histogram = event(m={"Values": [1, 2], "Counts": [3, 4], "Count": 7, "Sum": 12.5})
    one = emf.extract([histogram])[n, "m", (("a", "1"),), "Count", ms]
    assert (one.values, one.sum, one.count) == ([(1, 3), (2, 4)], 12.5, 7)


def test_the_second_implementation():
    """The event of the original's documentation, and the rules about types, deltas, groups and subsets."""
    section = {
        "metric_unit": {"c_total": "Count"},
        "metric_declaration": [
            {"source_labels": ["job", "x"], "label_matcher": "^j;$", "dimensions": [["b", "a"]], "metric_selectors": ["^c_total$", "g"]},
            {"source_labels": ["job"], "label_matcher": "j", "dimensions": [["a"], ["a", "b"], ["nope"]], "metric_selectors": ["total"]},
        ],
    }
    head = "# TYPE c_total counter\n# TYPE g gauge\n# TYPE u untyped\n# TYPE s summary\n# TYPE h histogram\n"
    page = lambda n: head + f'c_total{{b="1",}} {10 * n}\ng{{b="1"}} 7\nu 1\ns{{quantile="0.5"}} 2\ns_sum {n}\ns_count {n}\nh_count {n}\n'
    labels = {"a": "0", "job": "j"}
    rules = emf.Rules(section, namespace="N")
    first = emf.expected(None, page(1), labels, rules)
    assert [sorted(set(e) & {"c_total", "g", "s", "s_sum"}) for e in first] == [["g"], ["s"]]
    counter, gauge, quantile, sums = emf.expected(page(1), page(3), labels, rules)
    shared = {"Timestamp": "0", "Version": "0", "a": "0", "job": "j"}
    sets = [["a", "b"], ["a"]]
    directive = [{"Namespace": "N", "Dimensions": sets, "Metrics": [{"Name": "c_total", "Unit": "Count"}]}]
    assert counter == {"CloudWatchMetrics": directive, **shared, "b": "1", "prom_metric_type": "counter", "c_total": 20}
    assert gauge["CloudWatchMetrics"] == [{"Namespace": "N", "Dimensions": [["a", "b"]], "Metrics": [{"Name": "g"}]}]
    assert quantile == {**shared, "prom_metric_type": "summary", "quantile": "0.5", "s": 2}
    assert sums == {**shared, "prom_metric_type": "summary", "s_sum": 2, "s_count": 2}
    assert emf.expected(page(3), page(1), labels, rules)[0]["c_total"] == 10, "a reset: the value itself"


# ---- pages ----


def test_numbers_of_other_languages():
    cases = [(40390928.0, "4.0390928E7"), (9071.0, "9071.0"), (1e7, "1.0E7"), (0.00025, "2.5E-4"), (-1.0, "-1.0"), (0.0, "0.0")]
    assert [java_double(x) for x, _ in cases] == [text for _, text in cases]
    assert [go_float(x) for x in (18446744.0, 67108864.0)] == ["1.8446744e+07", "6.7108864e+07"]


@pytest.mark.parametrize("name", ["javajmx", "nginx", "envoy", "memcached", "redis"])
def test_counters_of_a_page_move_evenly(name):
    text = read_exposition(f"{name}.txt")
    assert moved(text, 0) == text
    pages = [emf.Page(moved(text, n)) for n in range(4)]
    steps = 0
    for samples in zip(*(p.samples for p in pages)):
        kind = pages[0].type_of(samples[0][0])
        values = [v for _, _, v in samples]
        step = values[1] - values[0]
        assert [b - a for a, b in zip(values, values[1:])] == [step] * 3
        assert (step > 0) == (kind in ("counter", "summary", "histogram")), samples[0]
        steps += step > 0
    assert steps > 2


@pytest.mark.parametrize("kind", sorted(LABELS))
def test_golden_files(kind):
    """The second implementation gives them: what is in them was read by a person."""
    text = read_exposition(f"{kind}.txt")
    events = emf.expected(moved(text, 4), moved(text, 5), LABELS[kind], emf.Rules(shipped_rules()))
    assert emf.as_set(events) == emf.as_set(golden(kind))

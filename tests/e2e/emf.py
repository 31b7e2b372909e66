"""The embedded metric format as the end-to-end tests see it: schemas, the rules that no schema can say, what CloudWatch would make
of an event, and what the CloudWatch agent makes of a page.

No emulator turns events into metrics, and nobody publishes the schema in a package: both are written here, from the
specification page of the format (for versions 0 and 1) and its limits. `expected()` is a second implementation of the way from a
page to events, written for clearness from the description of the original, against which leadline's events are compared.
"""

import json
import re
from collections import defaultdict

import jsonschema

from cloudwatch_limits import UNITS

# ---- schemas ----

_NAME = {"type": "string", "minLength": 1, "maxLength": 1024}
_DIRECTIVES = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["Namespace", "Dimensions", "Metrics"],
        "additionalProperties": False,
        "properties": {
            "Namespace": _NAME,
            "Dimensions": {
                "type": "array",
                "items": {
                    "type": "array",
                    "maxItems": 30,
                    "uniqueItems": True,
                    "items": {"type": "string", "minLength": 1, "maxLength": 250},
                },
            },
            "Metrics": {
                "type": "array",
                "minItems": 1,
                "maxItems": 100,
                "items": {
                    "type": "object",
                    "required": ["Name"],
                    "additionalProperties": False,
                    "properties": {
                        "Name": _NAME,
                        "Unit": {"enum": sorted(UNITS)},
                        "StorageResolution": {"enum": [1, 60]},
                    },
                },
            },
        },
    },
}
_NUMBERS = {"type": "array", "minItems": 1, "maxItems": 100, "items": {"type": "number"}}
_VALUE = {
    "anyOf": [
        {"type": ["string", "number"]},
        _NUMBERS,
        {
            "type": "object",  # values with counts, and the statistics of what was observed
            "required": ["Values", "Counts", "Count", "Sum"],
            "additionalProperties": False,
            "properties": {
                "Values": _NUMBERS,
                "Counts": {**_NUMBERS, "items": {"type": "number", "minimum": 0}},
                **{k: {"type": "number"} for k in ("Count", "Sum", "Min", "Max")},
            },
        },
    ]
}
V0 = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "required": ["Timestamp", "Version"],
    "properties": {
        "CloudWatchMetrics": {**_DIRECTIVES, "minItems": 1},
        "Timestamp": {"type": "string", "pattern": "^[0-9]{13}$"},
        "Version": {"const": "0"},
        "_aws": False,
    },
    "additionalProperties": _VALUE,
}
V1 = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "required": ["Version", "_aws"],
    "properties": {
        "Version": {"const": "1"},
        "CloudWatchMetrics": False,
        "_aws": {
            "type": "object",
            "required": ["CloudWatchMetrics", "Timestamp"],
            "additionalProperties": False,
            "properties": {
                "CloudWatchMetrics": _DIRECTIVES,
                "Timestamp": {"type": "integer", "minimum": 10**12, "maximum": 10**13 - 1},
            },
        },
    },
    "additionalProperties": _VALUE,
}
for _schema in (V0, V1):
    jsonschema.Draft202012Validator.check_schema(_schema)
_VALIDATORS = {"0": jsonschema.Draft202012Validator(V0), "1": jsonschema.Draft202012Validator(V1)}
DEFINITIONS = 100  # of metrics, in an event


class NotEmf(AssertionError):
    pass


def _strict_pairs(pairs):
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        raise NotEmf(f"a member twice: {sorted(n for n in set(names) if names.count(n) > 1)}")
    return dict(pairs)


def _no_constant(text):
    raise NotEmf(f"{text} is no JSON")


def read(text):
    """The event as a dictionary in the order of its members."""
    try:
        return json.loads(text, object_pairs_hook=_strict_pairs, parse_constant=_no_constant)
    except json.JSONDecodeError as e:
        raise NotEmf(f"{e}: {text[:200]}") from None


def directives(event):
    return event.get("_aws", event).get("CloudWatchMetrics", [])


def stamp_ms(event):
    return int(event["_aws"]["Timestamp"] if "_aws" in event else event["Timestamp"])


def faults(event):
    """What the service would not take, or would silently leave out."""
    validator = _VALIDATORS.get(event.get("Version"))
    if validator is None:
        yield f"Version {event.get('Version')!r}"
        return
    for error in validator.iter_errors(event):
        said = error.message if len(error.message) < 200 else f"{error.message[:90]} ... {error.message[-90:]}"
        yield f"{error.json_path}: {said}"
    defined = []
    for directive in directives(event):
        sets = [tuple(sorted(s)) for s in directive["Dimensions"]]
        if len(set(sets)) != len(sets):
            yield f"a dimension set twice: {sets}"
        for name in {n for s in sets for n in s}:
            value = event.get(name)
            if not isinstance(value, str) or not 0 < len(value) <= 1024 or not value.isascii() or not value.strip():
                yield f"dimension {name} is {value!r:.80}"
        for metric in directive["Metrics"]:
            defined.append((directive["Namespace"], metric["Name"]))
            value = event.get(metric["Name"])
            if isinstance(value, (str, bool, type(None))):
                yield f"metric {metric['Name']} is {value!r:.80}"
            elif isinstance(value, dict) and len(value["Values"]) != len(value["Counts"]):
                yield f"metric {metric['Name']}: {len(value['Values'])} values, {len(value['Counts'])} counts"
    if len(defined) > DEFINITIONS:
        yield f"{len(defined)} metric definitions"
    if len(set(defined)) != len(defined):
        yield f"defined twice: {sorted(d for d in set(defined) if defined.count(d) > 1)}"


def order_fault(event):
    """Our order of members: directives, time, version, labels (the target's, sorted, then the metric's own, sorted), values."""
    head = ["Version", "_aws"] if "_aws" in event else ["CloudWatchMetrics", "Timestamp", "Version"][0 if directives(event) else 1 :]
    names = list(event)
    if names[: len(head)] != head:
        return f"begins with {names[:4]}"
    kinds = [isinstance(event[n], str) for n in names[len(head) :]]
    if kinds != sorted(kinds, reverse=True):
        return f"labels behind values: {names}"
    labels = [n.encode() for n in names[len(head) : len(head) + sum(kinds)]]
    falls = [b for a, b in zip(labels, labels[1:]) if b <= a]
    return f"labels in more than two sorted runs: {labels}" if len(falls) > 1 else None


def check(text):
    """The event, or NotEmf with all that is wrong."""
    event = read(text)
    wrong = list(faults(event))
    misplaced = order_fault(event) if not wrong else None
    if wrong or misplaced:
        raise NotEmf("\n".join(wrong[:10] or [misplaced]) + f"\nin {text[:2000]}")
    return event


# ---- reading back ----


def streams(logs, group):
    """The names of a group's streams; none when there is no group."""
    try:
        return sorted(s["logStreamName"] for s in logs.describe_log_streams(logGroupName=group)["logStreams"])
    except logs.exceptions.ResourceNotFoundException:
        return []


def groups(logs):
    return sorted(g["logGroupName"] for g in logs.describe_log_groups()["logGroups"])


def log_events(logs, group, stream):
    """[(ms, text)] by GetLogEvents, all pages."""
    out, token = [], {}
    while True:
        try:
            page = logs.get_log_events(logGroupName=group, logStreamName=stream, startFromHead=True, **token)
        except logs.exceptions.ResourceNotFoundException:
            return out
        out += [(e["timestamp"], e["message"]) for e in page["events"]]
        if not page["events"] or page["nextForwardToken"] == token.get("nextToken"):
            return out
        token = {"nextToken": page["nextForwardToken"]}


def events(logs, group, stream):
    """The events of a stream, each checked; the time in the event is that of the log event."""
    out = []
    for ms, text in log_events(logs, group, stream):
        event = check(text)
        assert stamp_ms(event) == ms, f"Timestamp {stamp_ms(event)}, log event at {ms}"
        out.append(event)
    return out


# ---- what CloudWatch makes of an event ----


def values_of(member):
    """[(value, count)], the sum of all, their number."""
    if isinstance(member, dict):
        return list(zip(member["Values"], member["Counts"])), member["Sum"], member["Count"]
    values = member if isinstance(member, list) else [member]
    return [(v, 1) for v in values], sum(values), len(values)


class Metric:
    """What was told of one metric: observations [(value, count)], their sum and number."""

    def __init__(self):
        self.values, self.sum, self.count = [], 0.0, 0.0

    def add(self, member):
        values, total, number = values_of(member)
        self.values += values
        self.sum += total
        self.count += number

    def __repr__(self):
        return f"{self.values} sum {self.sum} of {self.count}"

    def __eq__(self, other):
        return (sorted(self.values), self.sum, self.count) == (sorted(other.values), other.sum, other.count)


def extract(of):
    """{(namespace, metric, ((dimension, value), ...), unit, ms): Metric} of some events: one entry per dimension set."""
    out = defaultdict(Metric)
    for event in of:
        for directive in directives(event):
            for dimensions in directive["Dimensions"]:
                pairs = tuple(sorted((n, event[n]) for n in dimensions))
                for metric in directive["Metrics"]:
                    key = directive["Namespace"], metric["Name"], pairs, metric.get("Unit", "None"), stamp_ms(event)
                    out[key].add(event[metric["Name"]])
    return dict(out)


def by_metric(extracted):
    """The same without time and unit: {(namespace, metric, dimensions): Metric}."""
    out = defaultdict(Metric)
    for (namespace, name, pairs, _, _), metric in extracted.items():
        sums = out[namespace, name, pairs]
        sums.values += metric.values
        sums.sum += metric.sum
        sums.count += metric.count
    return dict(out)


# ---- a page as the agent understands it ----

_LINE = re.compile(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})?[ \t]+(\S+)(?:[ \t]+(-?\d+))?\s*\Z")
_LABEL = re.compile(r'\s*([a-zA-Z_]\w*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*,?')
_ESCAPE = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}


class Page:
    """`samples`: [(name, labels, value)] in order; `types`: {family: type}."""

    def __init__(self, text):
        self.samples, self.types = [], {}
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split()
                self.types[name] = kind
            elif line.strip() and not line.startswith("#"):
                name, labels, value, _ = _LINE.match(line).groups()
                pairs = _LABEL.findall(labels or "")
                unescaped = {k: re.sub(r'\\[\\"n]', lambda m: _ESCAPE[m.group()], v) for k, v in pairs}
                self.samples.append((name, unescaped, float(value)))

    def type_of(self, name):
        stripped = re.sub(r"_(count|sum|bucket)$", "", name)
        for candidate in (stripped, name, re.sub(r"_total$", "", name)):
            if candidate in self.types:
                return self.types[candidate]
        return None


def _is_cumulative(kind, name, labels):
    return kind == "counter" or kind == "summary" and "quantile" not in labels and name.endswith(("_sum", "_count"))


class Rules:
    """The emf_processor section of the agent's JSON."""

    def __init__(self, section, namespace="ECS/ContainerInsights/Prometheus"):
        self.namespace = section.get("metric_namespace", namespace)
        self.units = section.get("metric_unit", {})
        self.declarations = section.get("metric_declaration", [])

    def selecting(self, name, labels):
        """The indexes of the declarations that select a metric."""
        found = []
        for i, d in enumerate(self.declarations):
            joined = ";".join(labels.get(l, "") for l in d["source_labels"])
            if re.search(d.get("label_matcher", ".*"), joined) and any(re.search(s, name) for s in d["metric_selectors"]):
                found.append(i)
        return tuple(found)

    def sets(self, declarations, labels):
        found = []
        for i in declarations:
            for names in self.declarations[i].get("dimensions", []):
                names = sorted(set(names))
                if all(labels.get(n) for n in names) and names not in found:
                    found.append(names)
        return found

    def directives(self, names, labels):
        by_declarations = {}
        for name in names:
            by_declarations.setdefault(self.selecting(name, labels), []).append(name)
        out = []
        for declarations, members in by_declarations.items():
            sets = self.sets(declarations, labels)
            if sets:
                metrics = [{"Name": n, **({"Unit": self.units[n]} if n in self.units else {})} for n in members]
                out.append({"Namespace": self.namespace, "Dimensions": sets, "Metrics": metrics})
        return out


def expected(before, now, target_labels, rules, ms=0):
    """The events (version 0) that a scrape gives when `before` was the page of the one before it; None: it is the first."""
    page, last = Page(now), Page(before) if before is not None else None
    previous = {(n, tuple(sorted(l.items()))): v for n, l, v in last.samples} if last else {}
    records = {}
    for name, labels, value in page.samples:
        kind = page.type_of(name)
        if kind not in ("counter", "gauge", "summary") or value != value or abs(value) == float("inf"):
            continue
        if _is_cumulative(kind, name, labels):
            was = previous.get((name, tuple(sorted(labels.items()))))
            if was is None or was != was:
                continue
            value = value - was if value >= was else value
        own = {k: v for k, v in labels.items() if v}
        shown = {k: v for k, v in target_labels.items()}
        for k, v in own.items():  # honor_labels: false
            shown[f"exported_{k}" if k in target_labels else k] = v
        shown["prom_metric_type"] = kind
        records.setdefault(tuple(sorted(shown.items())), {})[name] = value
    out = []
    for labels, values in records.items():
        labels = dict(labels)
        told = rules.directives(list(values), labels)
        head = {"CloudWatchMetrics": told} if told else {}
        out.append({**head, "Timestamp": str(ms), "Version": "0", **labels, **values})
    return out


# ---- comparing ----


def normalised(event, replace):
    """The event with its time and what `replace` ({label: placeholder}) names made the same in every run."""
    out = {**event}
    if "_aws" in out:
        out["_aws"] = {**out["_aws"], "Timestamp": 0}
    else:
        out["Timestamp"] = "0"
    out.update({k: v for k, v in replace.items() if k in out})
    return out


def as_set(of):
    """Events in an order of their own, each as text: for comparing and for golden files. Directives and the metrics in them too."""

    def tidy(event):
        event = json.loads(json.dumps(event), parse_int=float)
        at = event.get("_aws", event)
        for directive in at.get("CloudWatchMetrics", []):
            directive["Metrics"].sort(key=lambda m: m["Name"])
            directive["Dimensions"].sort()
        at.get("CloudWatchMetrics", []).sort(key=lambda d: d["Metrics"][0]["Name"])
        return json.dumps(event, sort_keys=True)

    return sorted(tidy(e) for e in of)

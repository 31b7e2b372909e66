"""Events as they are compared: what each says, with the very text of its numbers and strings.

    Event(tick, target, place, labels, values, directives, rest)

tick        the number of the scrape, which the gauge `tick` of each page tells; an event belongs to it by target and time
place       (log group, log stream)
labels      {name: JSON text of the string}, values {name: JSON text of the number}
directives  a list of (namespace, dimension sets in order, {(metric, unit)}), sorted: their order is that of a hash map in the
            original, and so is that of the metrics in one
rest        what else the format has: version, place of the time
"""
import collections
import json
import re

SPACE = re.compile(r"[ \t\n\r]*")
ENVELOPE = ("Version", "Timestamp", "CloudWatchMetrics", "_aws")


class Event:
    def __init__(self, place, timestamp, labels, values, directives, rest):
        self.tick, self.target = None, labels.get("instance")
        self.place, self.timestamp, self.labels, self.values = place, timestamp, labels, values
        self.directives, self.rest = directives, rest

    def key(self):
        return self.tick, self.target, tuple(sorted(self.labels.items()))

    def says(self):
        return {"place": self.place, "values": self.values, "directives": self.directives, "rest": self.rest}


def members(text):
    """[(name, JSON text, value)] of an object; a name that is there twice is an error"""
    decoder, out, at = json.JSONDecoder(strict=True), [], 1
    while True:
        at = SPACE.match(text, at).end()
        name, at = decoder.raw_decode(text, at)
        at = SPACE.match(text, at).end() + 1
        at = SPACE.match(text, at).end()
        value, end = decoder.raw_decode(text, at)
        out.append((name, text[at:end], value))
        at = SPACE.match(text, end).end()
        if text[at] == "}":
            break
        at += 1
    if text[at + 1:].strip():
        raise ValueError("more behind the event")
    names = [name for name, _, _ in out]
    if len(set(names)) < len(names):
        raise ValueError(f"a member twice in {text[:300]}")
    return out


def directive(d):
    if set(d) != {"Namespace", "Dimensions", "Metrics"}:
        raise ValueError(f"a directive with {sorted(d)}")
    metrics = [tuple(sorted(m.items())) for m in d["Metrics"]]
    if len(set(metrics)) < len(metrics):
        raise ValueError(f"a metric twice in {d}")
    return d["Namespace"], tuple(tuple(s) for s in d["Dimensions"]), frozenset(metrics)


def ordered(directives):
    return sorted(directives, key=lambda d: (d[0], d[1], sorted(d[2])))


def read(received, is_version_1):
    labels, values, rest, directives = {}, {}, {}, []
    for name, text, value in members(received.message):
        if name == ("_aws" if is_version_1 else "CloudWatchMetrics") and not isinstance(value, str):
            found = value if not is_version_1 else value.pop("CloudWatchMetrics")
            directives = ordered(map(directive, found))
            if is_version_1:
                rest["_aws"] = {k: v == received.timestamp if k == "Timestamp" else v for k, v in value.items()}
        elif name == "Timestamp" and not is_version_1:
            rest[name] = value == str(received.timestamp)
        elif name == "Version":
            rest[name] = value
        elif isinstance(value, str):
            labels[name] = text
        else:
            values[name] = text
    return Event((received.group, received.stream), received.timestamp, labels, values, directives, rest)


def number_ticks(events):
    """Gives each event the number of its scrape; those of a scrape whose tick is not known have None."""
    ticks = {(e.target, e.timestamp): int(float(e.values["tick"])) for e in events if "tick" in e.values}
    for e in events:
        e.tick = ticks.get((e.target, e.timestamp))
    return events


def by_key(events):
    out = collections.defaultdict(list)
    for e in events:
        out[e.key()].append(e)
    return out


def show(event):
    tick, target, labels = event.key()
    named = ", ".join(f"{k}={v}" for k, v in labels if k not in ("instance", "ClusterName"))
    return f"scrape {tick} of {target}, {{{named}}}"


def differences(mine, theirs):
    """A line for each event or part of one that is not the same."""
    out, mine, theirs = [], by_key(mine), by_key(theirs)
    for key in sorted(set(mine) | set(theirs), key=repr):
        a, b = mine.get(key, []), theirs.get(key, [])
        if len(a) != 1 or len(b) != 1:
            some = (a or b)[0]
            out.append(f"{show(some)}: {len(a)} events of leadline, {len(b)} of the collector: {sorted(some.values)[:8]}")
            continue
        x, y = a[0].says(), b[0].says()
        out += [f"{show(a[0])}: {part}: leadline {short(x[part], y[part])}, the collector {short(y[part], x[part])}"
                for part in x if x[part] != y[part]]
    return out


def short(part, other):
    """What is in this one alone"""
    if isinstance(part, dict):
        return {k: v for k, v in part.items() if other.get(k) != v}
    if isinstance(part, list):
        return [d for d in part if d not in other] or part
    return part

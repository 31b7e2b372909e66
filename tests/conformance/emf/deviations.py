"""Why leadline and the collector may differ: NORMALISED of every case, the deviations of those that name them.

The collector is not the CloudWatch agent, only its exporter: where the two differ, what the agent does is asked of leadline.
Each function takes the events of leadline and those of the collector, and the case, and gives them as they must be equal. One
that changes nothing in a case that names it fails the case: it is no deviation any more.
"""
import copy
import json
import re

from events import ordered

OF_THE_RESOURCE = {"service.name": "job", "service.instance.id": "instance"}
ONLY_OF_THE_RESOURCE = ("net.host.name", "net.host.port", "http.scheme", "server.address", "server.port", "url.scheme",
                        "receiver", "OTelLib")


def each(events, change):
    out = []
    for e in events:
        e = copy.copy(e)
        e.labels, e.values, e.rest = dict(e.labels), dict(e.values), dict(e.rest)
        change(e)
        out.append(e)
    return out


# ---- what every event of the collector differs by ----

def resource_is_labels(e, _):
    """The receiver makes attributes of the resource of job and instance, and adds some; the agent has the scraped labels."""
    for name, label in OF_THE_RESOURCE.items():
        if name in e.labels:
            e.labels[label] = e.labels.pop(name)
    for name in ONLY_OF_THE_RESOURCE:
        e.labels.pop(name, None)
    e.target = e.labels.get("instance")
    sets = lambda found: tuple(tuple(sorted(OF_THE_RESOURCE.get(n, n) for n in s)) for s in found)
    e.directives = ordered((space, sets(dimensions), metrics) for space, dimensions, metrics in e.directives)


def no_empty_unit(e, _):
    """This version of the exporter writes an empty unit and the resolution of a minute; the agent's leaves them out."""
    member = lambda m: tuple(x for x in m if x not in (("Unit", ""), ("StorageResolution", 60)))
    e.directives = ordered((space, dimensions, frozenset(map(member, metrics))) for space, dimensions, metrics in e.directives)


def always_a_version(e, case):
    """An event without directives says its version in leadline, and in version 1 has `_aws` with its time."""
    e.rest.setdefault("Version", case.version)
    if case.version == "1":
        e.rest.setdefault("_aws", {"Timestamp": True})


REPORT = ("up", "scrape_duration_seconds", "scrape_samples_scraped", "scrape_samples_post_metric_relabeling",
          "scrape_series_added")


def without_metrics(e, names):
    """As if these had not been scraped"""
    e.values = {k: v for k, v in e.values.items() if k not in names}
    kept = [(space, sets, frozenset(m for m in metrics if dict(m)["Name"] not in names)) for space, sets, metrics in e.directives]
    e.directives = ordered(d for d in kept if d[2])


def no_report(e, _):
    """The agent drops what a scrape reports of itself: it has no type."""
    without_metrics(e, REPORT)


NORMALISED = [no_report, resource_is_labels, no_empty_unit, always_a_version]


# ---- deviations ----

def of_collector(change):
    """A deviation that is made of a change of each event of the collector"""
    def deviation(mine, theirs, case):
        return mine, [e for e in each(theirs, lambda e: change(e, case)) if e.values]
    deviation.__name__, deviation.__doc__ = change.__name__, change.__doc__
    return deviation


def with_sets(e, is_kept):
    """Only those dimension sets"""
    found = [(space, tuple(s for s in sets if is_kept(s)), metrics) for space, sets, metrics in e.directives]
    e.directives = ordered(d for d in found if d[1])


def other_escapes(mine, theirs, _):
    """The original's encoder writes <, > and & as \\u003c, \\u003e and \\u0026, for pages of HTML, and \\b and \\f short: other
    text of the same string."""
    def decode(e):
        e.labels = {k: json.dumps(json.loads(v)) for k, v in e.labels.items()}
    return each(mine, decode), each(theirs, decode)


def first_quantiles(mine, theirs, _):
    """The exporter keeps all of a summary back until it has a difference of its sum; the agent and leadline keep the sum and
    the count alone."""
    is_first = lambda e: e.tick == 0 and "quantile" in e.labels and e.labels["prom_metric_type"] == '"summary"'
    return [e for e in mine if not is_first(e)], theirs


def whole_summaries(mine, theirs, _):
    """The exporter drops all of a summary while a quantile of it is no number; the agent and leadline that quantile alone. So
    what leadline tells of the scrapes 2 and 3 comes together in the exporter's third: the first two are its beginning."""
    kept, before = [], {}
    for e in sorted(each(mine, lambda e: None), key=lambda e: e.tick):
        if e.labels["prom_metric_type"] != '"summary"':
            kept.append(e)
        elif e.tick == 2 and "quantile" not in e.labels:
            before = e.values
        elif e.tick == 3:
            if "quantile" not in e.labels:
                e.values = {k: plain(float(v) + float(before[k])) for k, v in e.values.items()}
            kept.append(e)
    return kept, theirs


def plain(number):
    return str(int(number)) if number == int(number) else repr(number)


@of_collector
def summary_resets(e, case):
    """Of a summary that began anew the exporter tells the difference, negative, or the count beyond 2^63; the agent and
    leadline what it has counted since."""
    now = dict(line.split() for line in case.page(e.tick).splitlines() if line.startswith("s_"))
    if e.values.get("s_sum", "").startswith("-"):
        e.values.update(s_sum=plain(float(now["s_sum"])), s_count=plain(float(now["s_count"])))


@of_collector
def only_three_types(e, _):
    """The receiver takes what has no type for a gauge, and the exporter tells histograms as statistics; the agent drops both."""
    without_metrics(e, ("untyped_thing", "said_so", *(["h"] if e.labels["prom_metric_type"] == '"histogram"' else [])))


def is_possible_value(text):
    value = json.loads(text)
    return 1 <= len(value) <= 1024 and bool(value.strip()) and all(" " <= c <= "~" for c in value)


@of_collector
def impossible_dimensions(e, _):
    """A dimension that CloudWatch does not take (too long, blank, not printable ASCII) costs leadline the sets it is in, and the
    original, unseen, all metrics of the event."""
    with_sets(e, lambda s: all(n not in e.labels or is_possible_value(e.labels[n]) for n in s))


@of_collector
def number_is_no_dimension(e, _):
    """A label that has the name of a metric of the event is overwritten by it, and a number cannot be a dimension."""
    with_sets(e, lambda s: not any(n in e.values for n in s))


@of_collector
def no_label_of_the_envelope(e, _):
    """leadline leaves out labels that have the name of a member of the format, in either version."""
    for name in ("Timestamp", "CloudWatchMetrics", "_aws", "Version"):
        e.labels.pop(name, None)


@of_collector
def value_is_prometheus(e, case):
    """The agent calls a metric `value` by another name, before its exporter sees it."""
    new = ("Name", "prometheus"), ("Unit", case.units["prometheus"])
    if "value" in e.values:
        e.values["prometheus"] = e.values.pop("value")
    renamed = lambda metrics: frozenset(new if m[0] == ("Name", "value") else m for m in metrics)
    e.directives = ordered((space, sets, renamed(metrics)) for space, sets, metrics in e.directives)


def definitions(e):
    return sum(len(metrics) for _, _, metrics in e.directives)


def split_at_100(mine, theirs, _):
    """More than 100 definitions in an event are refused: leadline makes several events of them, the original one."""
    joined = {}
    for e in each(mine, lambda e: None):
        if definitions(e) > 100:
            return mine, theirs
        first = joined.setdefault(e.key(), e)
        if first is e:
            continue
        if set(first.values) & set(e.values):
            return mine, theirs
        first.values.update(e.values)
        merged = {(space, sets): metrics for space, sets, metrics in first.directives}
        for space, sets, metrics in e.directives:
            merged[space, sets] = merged.get((space, sets), frozenset()) | metrics
        first.directives = ordered((*k, metrics) for k, metrics in merged.items())
    return list(joined.values()), theirs


def more_than_10_dimensions(mine, theirs, _):
    """The exporter drops sets of more than 10 names, from when CloudWatch took no more; it takes 30."""
    return each(mine, lambda e: with_sets(e, lambda s: len(s) <= 10)), theirs


@of_collector
def possible_places(e, _):
    """What no log group or stream may be called becomes underscores, one for a byte: the original is refused it, and loses the events."""
    group, stream = e.place
    e.place = re.sub(r"[^A-Za-z0-9._/#-]", lambda m: "_" * len(m[0].encode()), group), re.sub("[:*]", "_", stream)


@of_collector
def first_of_twins(e, _):
    """Of a series that a page has twice the first counts in leadline, as in Prometheus; the agent takes the last."""
    if "c" in e.values:
        e.values["c"] = plain(float(e.values["c"]) - 10)


def no_first_values_at_start(mine, theirs, _):
    """The exporter, where it keeps first values at all, does so for what it finds at its start, too: increases of weeks. leadline
    only for what is new on a target that it knows."""
    return mine, [e for e in theirs if e.tick or e.labels["prom_metric_type"] != '"counter"']

"""What is scraped, and the declarations: each case runs in versions 0 and 1 of the format.

A page is a function of the number of the scrape; every page has the gauge `tick`, which tells it. `steps` scrapes are compared.
"""
import random
import struct
import time

from deviations import *

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
ALL = {"source_labels": ["job"], "label_matcher": ".*", "metric_selectors": [".*"], "dimensions": [["ClusterName", "job"]]}


class Case:
    def __init__(self, name, page, declarations=(ALL,), steps=4, targets=({},), units=None, namespace="Spaces/Of Names",
                 group="g", relabel=(), cluster="c1", deviations=(), content_type=TEXT, time_of=lambda n: None, **more):
        self.name, self.make, self.declarations, self.steps = name, page, list(declarations), steps
        self.targets, self.units, self.namespace, self.group = list(targets), units or {}, namespace, group
        self.relabel, self.cluster, self.deviations = list(relabel), cluster, list(deviations)
        self.content_type, self.time_of, self.version = content_type, time_of, "0"
        self.variables, self.exporter = more.get("variables", {}), more.get("exporter", {})

    def page(self, n):
        text = self.make(n)
        if text is None:
            return None
        at = f" {self.time_of(n)}" if self.time_of(n) else ""
        end = "# EOF\n" if self.content_type == OPENMETRICS else ""
        return f"# TYPE tick gauge\ntick {n}{at}\n{text}{end}"

    def in_version(self, version):
        out = Case.__new__(Case)
        out.__dict__.update(self.__dict__, name=f"{self.name}-v{version}", version=version)
        return out


def family(kind, name, *lines):
    """One family; a line is what stands behind its name"""
    return f"# TYPE {name} {kind}\n" + "".join(f"{name}{l}\n" for l in lines)


def declared(selectors, dimensions, labels=("job",), matcher=".*"):
    return {"source_labels": list(labels), "label_matcher": matcher, "metric_selectors": list(selectors),
            "dimensions": [list(d) for d in dimensions]}


# ---- values ----

AWKWARD = ["0", "-0", "1", "-1", "0.1", "0.30000000000000004", "1e-6", "9.99e-7", "1e-7", "1e20", "1e21", "999999999999999900000",
           "-1e21", "123456789012345680000", "9007199254740993", "5e-324", "2.2250738585072014e-308", "1.7976931348623157e308",
           "100", "1e2", "3.0000000000000004", "1e-5", "12345.678", "4.35", "2e-9", "0.000001", "1234567890123456789"]
COUNTS = [5, 9, 9, 12.5, 3, 3, 3.25, 1e17]  # an unchanged one, a fall, fractions
TENTHS = [0, 0.1, 0.2, 0.3, 0.7, 1.1, 1.3, 1e-9]


def numbers(_):
    return family("gauge", "g", *[f'{{n="{i}"}} {v}' for i, v in enumerate(AWKWARD)])


def counters(n):
    k = min(n, len(COUNTS) - 1)
    return (family("counter", "requests_total", f'{{code="200"}} {COUNTS[k]}', f'{{code="500"}} {n * 3}')
            + family("counter", "tenths", f" {TENTHS[k]}") + family("counter", "still", " 77")
            + family("counter", "large_total", f" {9007199254740992 + 2 * n}") + family("counter", "down", f" {100 - n}")
            + family("gauge", "moving", f" {-n / 3}"))


def summaries(n):
    return ("# TYPE latency summary\n"
            f'latency{{path="/",quantile="0.5"}} {0.25 + n}\nlatency{{path="/",quantile="0.99"}} {1.5 * n}\n'
            f'latency_sum{{path="/"}} {10.5 * n}\nlatency_count{{path="/"}} {4 * n}\n'
            f'latency_sum{{path="/b"}} {n * n * 0.1}\nlatency_count{{path="/b"}} {n * n}\n')


def falling_summary(n):
    k = [10, 30, 4, 6, 9, 9, 20, 22][min(n, 7)]
    return f"# TYPE s summary\ns_sum {k * 2.5}\ns_count {k}\n"


def unfinished(n):
    """Values that are no numbers, now and then"""
    return (family("gauge", "g", f'{{n="1"}} {"NaN" if n == 1 else n}', f'{{n="2"}} {"+Inf" if n == 2 else n}', '{n="3"} -Inf')
            + family("gauge", "steady", " 1"))


def nan_counter(n):
    return family("counter", "c", f' {"NaN" if n == 2 else n * n}')


def nan_quantile(n):
    return ("# TYPE s summary\n" + f's{{quantile="0.5"}} {"NaN" if n in (0, 2) else n}\ns{{quantile="0.9"}} {n}\n'
            f"s_sum {n * 1.5}\ns_count {n}\n")


def random_numbers(seed):
    """Doubles of any exponent, and small and large decimal ones; counters that grow by such"""
    draw = random.Random(f"{seed}-numbers")

    def any_double():
        while True:
            v = struct.unpack("<d", draw.randbytes(8))[0]
            if v == v and abs(v) != float("inf"):
                return v

    def number():
        return draw.choice([any_double, lambda: draw.randint(-10**9, 10**9) / 10**draw.randint(0, 12),
                            lambda: float(draw.randint(0, 10**18)), lambda: draw.random() * 10.0**draw.randint(-9, 23)])()

    values = [[number() for _ in range(90)] for _ in range(4)]
    grown = [[0.0] * 60]
    for _ in range(4):
        steps = [0, draw.random(), draw.randint(0, 10**6) / 1000, draw.random() * 1e22]
        grown.append([v + draw.choice(steps) for v in grown[-1]])
    return lambda n: (family("gauge", "g", *[f'{{i="{i}"}} {v!r}' for i, v in enumerate(values[min(n, 3)])])
                      + family("counter", "c", *[f'{{i="{i}"}} {v!r}' for i, v in enumerate(grown[min(n, 4)])]))


def random_strings(seed):
    draw = random.Random(f"{seed}-strings")
    some = "ab<>&'/\"\\\n\x7f\x01\x1f\t\x80ü漢🚢\u2028\ufffd\ud7ff\ue000 "
    texts = ["".join(draw.choice(some) for _ in range(draw.randint(1, 12))) for _ in range(60)]
    escaped = [t.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") for t in texts]
    return lambda n: family("gauge", "g", *[f'{{i="{i}",text="{t}"}} {n}' for i, t in enumerate(escaped)])


def other_types(n):
    return ("untyped_thing 4\n# TYPE said_so untyped\nsaid_so 5\n# TYPE h histogram\n"
            f'h_bucket{{le="1"}} {n}\nh_bucket{{le="+Inf"}} {2 * n}\nh_sum {3 * n}\nh_count {2 * n}\n'
            + family("gauge", "kept", f" {n}"))


def coming_and_going(n):
    lines = [f'{{who="always"}} {10 * n}'] + ([f'{{who="some"}} {7 * n}'] if n not in (2, 3) else [])
    return family("counter", "visits", *lines) + family("gauge", "level", *lines)


def failing(n):
    return None if n == 2 else counters(n)


# ---- names and strings ----

STRINGS = {"angle": "<a href='x'>&amp;</a>", "quote": 'say \\"hi\\"', "back": "C:\\\\x\\\\y", "line": "a\\nb", "tab": "a\tb",
           "controls": "\x01\x02\x07\b\v\f\x0e\x1b\x1f\x7f", "return": "a\rb", "latin": "Grüße", "cjk": "漢字",
           "emoji": "🚢⚓", "separators": "\u2028\u2029", "bom": "\ufeffx", "nul": "a\x00b", "slash": "a/b", "blank": "  ",
           "plus": "+%$#@!*", "nonchar": "\ufffe\uffff", "c1": "\x80\x9f", "replacement": "\ufffd"}


def strings(_):
    return family("gauge", "g", *[f'{{kind="{k}",text="{v}"}} 1' for k, v in STRINGS.items()])


def long_strings(_):
    lines = [f'{{size="{n}",text="{"x" * n}"}} {n}' for n in (1, 1023, 1024, 1025, 5000)]
    return family("gauge", "g", *lines, '{size="umlaut",text="ü"} 1', '{size="c",text="\x01"} 1', '{size="blank",text=" "} 1')


def reserved_names(_):
    return (family("gauge", "g", '{Timestamp="x",a="1"} 1', '{Version="x",a="2"} 2', '{CloudWatchMetrics="x",a="3"} 3',
                   '{_aws="x",a="4"} 4', '{Namespace="x",Metrics="y",a="5"} 5'))


def same_as_label(_):
    """A metric and a label of one name"""
    return family("gauge", "colour", '{colour="red",a="1"} 1') + family("gauge", "size", '{colour="red",a="1"} 2')


def metric_named_value(n):
    return family("gauge", "value", f" {n}") + family("gauge", "other", f" {n}")


def few(n):
    return (family("gauge", "alpha", f'{{x="1"}} {n}', f'{{x="1",y="2"}} {n + 1}', f" {n + 2}")
            + family("gauge", "beta", f'{{x="1"}} {n}', f'{{x="2",y="1"}} {n}') + family("gauge", "alphabet", f'{{x="1"}} {n}')
            + family("counter", "gamma_total", f'{{x="1"}} {2 * n}', f'{{y="1"}} {3 * n}'))


UNITS = ("Seconds Microseconds Milliseconds Bytes Kilobytes Megabytes Gigabytes Terabytes Bits Kilobits Megabits Gigabits "
         "Terabits Percent Count Bytes/Second Kilobytes/Second Megabytes/Second Gigabytes/Second Terabytes/Second Bits/Second "
         "Kilobits/Second Megabits/Second Gigabits/Second Terabits/Second Count/Second None "
         "count seconds Second Minutes Bytes/second Count/Minute none NONE Unit By ms 1").split()


def as_many_as_units(n):
    return "".join(family("gauge", f"u{i}", f" {n}") for i in range(len(UNITS)))


def labels_for_patterns(n):
    texts = ["ab", "a;b", ";", "a\\nb", "ü", "a b", "AB", "ba", "\u2028", ".", "a.b", "\\\\d", "12"]
    return family("gauge", "g", *[f'{{t="{t}",u="{texts[i - 1]}"}} {n}' for i, t in enumerate(texts)])


PATTERNS = ["^a.b$", "(?s)^a.b$", "(?m)^b$", "^.$", r"^\pL", r"\d", r"\\d", r"\W", r"\bb", "(?i)^ab$", "^a|b$", "^(a|b)+$",
            "a{0}$", "[[:upper:]]", "^[^a]*$", r"\x{fc}", "ü", ";", "^;;", r"\.", "x*", "(?P<n>a)b", r"\Aab\z", "[^\\n]{3}", r"\s", "a\nb"]


def said_twice(n):
    """A family twice, a series twice, a type behind its samples, types of other names"""
    return ("# TYPE a gauge\na 1\n# TYPE b gauge\nb 2\n# TYPE a gauge\na{x=\"1\"} 3\n"
            f"# TYPE c gauge\nc {n}\nc {n + 10}\n# TYPE late gauge\n# TYPE hits counter\nhits_total {n * 2}\nlate 4\n")


def odd_names(n):
    return (family("gauge", "g", f'{{quantile="0.5"}} {n}', f'{{le="1"}} {n}', f'{{le="+Inf",quantile="1"}} {n}')
            + family("counter", "c_total", f'{{le="2"}} {n * 3}', f'{{quantile="0.5"}} {n * 4}')
            + family("gauge", "rule:of:colons", f" {n}") + family("gauge", "b_total", f" {n}") + family("gauge", "n_bucket", f" {n}")
            + family("counter", "d_sum", f" {n * 2}") + family("gauge", "e_count", f" {n}") + family("gauge", "_", f" {n}")
            + family("counter", "plain", f" {n * n}") + family("gauge", "A", f' {n}', f'{{_="1",B="2",__x="3"}} {n}'))


def untyped(n):
    return f"one {n}\n# TYPE two untyped\ntwo {n}\n# TYPE three gauge\nthree {n}\n"


def empty_labels(n):
    return family("gauge", "g", f'{{a="",b="1"}} {n}', f'{{a="1",b=""}} {n}', f'{{a="2",}} {n}')


def appearing(n):
    return family("counter", "c", f'{{a="1"}} {n}', *([f'{{a="2"}} {n * 5}'] if n >= 3 else []))


def merged(n):
    """Relabelling makes one series of two"""
    return (family("gauge", "level", f'{{who="a"}} {n}', f'{{who="b"}} {n + 100}')
            + family("counter", "visits", f'{{who="a"}} {n * n}', f'{{who="b"}} {7 * n * n}'))


def clashing(n):
    """Labels that the target has, too"""
    return family("gauge", "g", f'{{job="mine"}} {n}', f'{{instance="here",job="mine"}} {n}', f'{{exported_job="x"}} {n}')


def many(count):
    def page(n):
        return "".join(family("gauge", f"m{i:03}", f" {i + n}") for i in range(count))
    return page


def twelve_labels(n):
    return family("gauge", "wide", "{" + ",".join(f'l{i:02}="v{i}"' for i in range(12)) + "} " + str(n))


WIDE = [f"l{i:02}" for i in range(12)]

BASE_MS = int(time.time() * 1000) - 60_000


def at_times(n):
    return BASE_MS + 1000 * n


def with_times(n):
    return (family("gauge", "g", f'{{a="1"}} {n} {at_times(n)}') + family("counter", "c", f" {n * n} {at_times(n)}"))


def openmetrics(n):
    """The exemplar is none of the values"""
    return (f'# TYPE jobs counter\njobs_total{{q="a"}} {2 * n} # {{trace="t"}} 0.67\njobs_total{{q="b"}} {5 * n}.5\n'
            "# TYPE depth gauge\n"
            f'depth{{q="a"}} {n}\n# TYPE wait summary\nwait_sum {n}\nwait_count {2 * n}\nwait{{quantile="0.5"}} 0.{n}\n')


# ---- at random ----

def at_random(seed, number):
    """Declarations and pages of a small alphabet: sets, subsets and labels meet by chance"""
    draw = random.Random(f"{seed}-{number}")
    names = [f"{a}_{b}" for a in ("http", "jvm", "db") for b in ("hits_total", "busy", "size_bytes", "errors_total")]
    labels = ["code", "pool", "area", "job", "ClusterName", "instance", "zone"]
    patterns = ["^http_", "jvm", "_total$", "hits|busy", "^db_busy$", "s", "^(http|db)_", "[hj]", "x", "_b", ".*"]
    matchers = [".*", "^a", "a;b", "b$", "^$", "[ab];.*", "^main", "c1", "(a|b)", ";", "^;"]
    sets = lambda: [draw.sample(labels, draw.randint(0, 3)) + draw.choices(labels, k=draw.randint(0, 1))
                    for _ in range(draw.randint(1, 4))]
    chosen = [declared(draw.sample(patterns, draw.randint(1, 2)), sets(), draw.sample(labels, draw.randint(1, 3)),
                       draw.choice(matchers)) for _ in range(draw.randint(1, 6))]
    series = {}
    for name in names:
        own = [draw.sample(["code", "pool", "area"], draw.randint(0, 3)) for _ in range(draw.randint(1, 4))]
        series[name] = sorted({"{" + ",".join(f'{l}="{draw.choice("ab")}"' for l in sorted(o)) + "}" for o in own})
    steps = {(name, s): [draw.choice([0, 0, 1, 2.5, 1000, -3]) for _ in range(8)] for name in names for s in series[name]}

    def page(n):
        out = ""
        for name in names:
            kind = "counter" if name.endswith("_total") else "gauge"
            out += family(kind, name, *[f"{s} {100 + sum(steps[name, s][:min(n, 8)])!r}" for s in series[name]])
        return out

    targets = [{"zone": "a"}, {"job": "second"}, {"zone": "b", "job": "a"}, {"zone": "a;b"}]
    units = {name: draw.choice(["Count", "Bytes", "Percent"]) for name in draw.sample(names, 4)}
    return Case(f"random{number}", page, chosen, targets=targets, units=units)


# ---- the list ----

OVERLAPPING = [declared(["^alpha$", "beta"], [["ClusterName", "x"], ["ClusterName"]]),
               declared(["alpha"], [["x"], ["ClusterName"], ["x", "y"]]),
               declared(["^beta", "gamma"], [["job", "ClusterName"], ["y"]]),
               declared(["nothing_has_this"], [["ClusterName"]])]
SETS = [declared(["alpha"], [[], ["x", "x"], ["y", "x"], ["x", "y"], ["missing"], ["ClusterName", "missing"]]),
        declared(["beta"], [["missing"]]), declared(["gamma"], [["y", "ClusterName", "x"], [], []]),
        declared(["alphabet"], [["x"], [], ["instance", "job"]])]
THREE = [[["job"]], [["instance"]], [["ClusterName"], []]]
SOURCES = [declared(["^alpha$"], [["ClusterName"]], ("x",), "1"), declared(["^beta$"], [["ClusterName"]], ("x", "y"), "^1;$"),
           declared(["gamma"], [["ClusterName"]], ("none", "y"), "^;1$"),
           declared(["alphabet"], [["ClusterName"]], ("none",), ".+"),
           declared(["beta"], [["job"]], ("y", "x", "job"), "1;2;main"), declared(["alpha"], [["job"]], ("job", "job"), "ain;m"),
           declared(["^alpha$"], [["instance"]], ("ClusterName",), "^C1$"), declared(["gamma"], [["x"]], ("x",), "^$|1")]
SELECTORS = [declared(["lpha$", "^bet"], [["ClusterName"]]), declared(["a{2}|m{2}"], [["job"]]),
             declared(["(?i)ALPHABET"], [["x"]]),
             declared([r"\w+_total", "^beta$"], [["x"], ["y"]]), declared(["alpha|beta"], [["job", "x"]])]
PLACEHOLDERS = "{ClusterName}/{TaskDefinitionFamily}/{TaskId}/{NodeName}/{PodName}/{ContainerInstanceId}"
FULL = {k: f"the-{k}" for k in ("TaskDefinitionFamily", "TaskId", "NodeName", "PodName", "ContainerInstanceId")}
SPREAD = [{**FULL, "job": "web"}, {"TaskDefinitionFamily": "half", "job": "web"}, {"job": "a b/c"}, {**FULL, "job": "worker"}]
ODD = [{"job": "x:y*z", "TaskId": "a b:c*d"}, {"job": "ü/漢", "TaskId": "größe", "PodName": "{x}"},
       {"job": " ", "TaskId": "", "PodName": "p"}, {"job": "undefined", "TaskId": "<&>", "PodName": "\\\"\n"}]
RELABEL = [{"source_labels": ["__name__"], "regex": "alpha", "target_label": "__name__", "replacement": "renamed"},
           {"source_labels": ["__name__"], "regex": "alphabet", "action": "drop"},
           {"source_labels": ["x"], "regex": "(.+)", "target_label": "z", "replacement": "z-$1"},
           {"regex": "y", "action": "labeldrop"}]


def cases(seed):
    return [
        Case("numbers", numbers),
        Case("counters", counters, steps=8, units={"requests_total": "Count", "tenths": "Seconds"}),
        Case("summaries", summaries, deviations=[first_quantiles]),
        Case("falling_summary", falling_summary, steps=8, deviations=[summary_resets]),
        Case("unfinished", unfinished),
        Case("nan_counter", nan_counter, steps=6),
        Case("other_types", other_types, deviations=[only_three_types]),
        Case("coming_and_going", coming_and_going, steps=7),
        Case("failing", failing, steps=6),
        Case("strings", strings, [declared(["none"], [["job"]])], deviations=[other_escapes]),
        Case("long_strings", long_strings, [declared(["g"], [["text"], ["job"], ["job", "text"]])],
             deviations=[impossible_dimensions]),
        Case("reserved_names", reserved_names, [declared(["g"], [["a"]])], deviations=[no_label_of_the_envelope]),
        Case("same_as_label", same_as_label, [declared(["colour", "size"], [["a"], ["colour"]])],
             deviations=[number_is_no_dimension]),
        Case("value", metric_named_value, units={"value": "Count", "prometheus": "Bytes"}, deviations=[value_is_prometheus]),
        Case("overlapping", few, OVERLAPPING),
        Case("sets", few, SETS),
        Case("sources", few, SOURCES),
        Case("selectors", few, SELECTORS),
        Case("no_dimensions", few, [declared(["alpha"], [["missing"]]), declared(["beta"], [])]),
        Case("units", few, OVERLAPPING,
             units={"alpha": "Bytes/Second", "gamma_total": "Count", "beta": "Bananas", "none": "Bits"}),
        Case("many", many(250), deviations=[split_at_100]),
        Case("hundred", many(99)),
        Case("wide", twelve_labels, [declared(["wide"], [WIDE[:10], WIDE[:11], WIDE])], deviations=[more_than_10_dimensions]),
        Case("groups", few, group=PLACEHOLDERS, targets=SPREAD, cluster="a.b-c"),
        Case("odd_places", few, group="{TaskId}/{PodName}", targets=ODD, cluster="c",
             deviations=[possible_places, impossible_dimensions, other_escapes]),
        Case("relabel", few, [declared(["alpha", "renamed"], [["z"], ["y"], ["x"]])], relabel=RELABEL),
        Case("merged", merged, relabel=[{"regex": "who", "action": "labeldrop"}]),
        Case("clashing", clashing, [declared(["g"], [["exported_job", "job"], ["exported_instance"]])]),
        Case("times", with_times, time_of=at_times),
        Case("openmetrics", openmetrics, content_type=OPENMETRICS, deviations=[first_quantiles]),
        Case("nan_quantile", nan_quantile, deviations=[first_quantiles, whole_summaries]),
        Case("random_numbers", random_numbers(seed), [declared(["g"], [["i"]])]),
        Case("random_strings", random_strings(seed), [declared(["none"], [["i"]])], deviations=[other_escapes]),
        Case("all_units", as_many_as_units, units={f"u{i}": u for i, u in enumerate(UNITS)}),
        Case("patterns", labels_for_patterns, [declared(["g"], [["u", "t"][:i % 3], ["job"]], ["t", "u"][:1 + i % 2], p)
                                               for i, p in enumerate(PATTERNS)],
             deviations=[impossible_dimensions]),
        Case("hundred_and_one", many(100), deviations=[split_at_100]),
        Case("many_and_some", many(350), [declared([r"[05]$"], [["job"]]), declared([r"^m.[1-6]"], [["ClusterName"], ["job"]]),
                                          declared([r"m[012]"], [["instance"]])], deviations=[split_at_100]),
        Case("declarations", many(90), [declared([f"^m{i % 90:03}$"], THREE[i % 2 + i // 90]) for i in range(180)]),
        Case("said_twice", said_twice, deviations=[first_of_twins]),
        Case("empty_labels", empty_labels, [declared(["g"], [["a"], ["b"]])]),
        Case("odd_names", odd_names),
        Case("untyped", untyped, variables={"LEADLINE_EMF_UNTYPED": "gauge"}),
        Case("appearing", appearing, steps=6, variables={"LEADLINE_EMF_FIRST_VALUES": "true"},
             exporter={"retain_initial_value_of_delta_metric": True}, deviations=[no_first_values_at_start]),
        *[at_random(seed, i) for i in range(8)],
    ]

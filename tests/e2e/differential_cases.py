"""The cases of test_differential.py: one scrape configuration each, with the scripts that its targets play.

Each page is one scrape. Metric names tell the case apart where labels do not; the label `job` is left as it is in report series,
since the comparison finds out by it which case a series belongs to.
"""

from differential_pages import CLASH, FAILURES, GOOD, NORMAL, OM, OM_SNIPPETS, TEXT_SNIPPETS, TYPES, UTF8, VALUES
from prometheus_peer import OPENMETRICS, TEXT, TEXT1, Answer, Script


class Case:
    """`targets` is a list of (labels of the target group, Script); a target's path is /NAME/NUMBER. `settings` goes into the
    scrape config. `after` holds the settings that a reload changes, when the scripts have been played."""

    def __init__(self, name, pages=None, content_type=TEXT, targets=None, steady=False, address=None, after=None, **settings):
        self.name = name
        self.settings = settings
        self.address = address
        self.after = after
        self.targets = targets if targets is not None else [({}, Script(pages, content_type, steady))]

    def paths(self):
        return [f"/{self.name}/{i}" for i in range(len(self.targets))]

    def scrape_config(self, address, reloaded=False):
        groups = []
        for path, (labels, _) in zip(self.paths(), self.targets):
            groups.append({"targets": [self.address or address], "labels": {"__metrics_path__": path, **labels}})
        return {"job_name": self.name, "static_configs": groups, **self.settings, **(self.after or {} if reloaded else {})}


def relabel(action=None, **keys):
    return dict(keys, action=action) if action else keys


def many(snippets, content_type, before="before 1\n", after=""):
    """One steady target for each snippet, told apart by the label `snippet`."""
    return [({"snippet": f"{i:03}"}, Script([before + s + after], content_type, steady=True)) for i, s in enumerate(snippets)]


def many_labels(n):
    return "limit{" + ",".join(f'l{i}="v"' for i in range(n)) + "} 1\n"


def cases(extra_pages):
    """`extra_pages`: (name, content type, bytes) of pages that are files."""
    out = [
        Case(
            "values", ["".join(f'value{{i="{i}"}} {v}\n' for i, v in enumerate(vs)) for vs in (GOOD, GOOD[1:] + GOOD[:1], GOOD)]
        ),
        Case("values_alone", targets=many([f"m {v}\n" for v in VALUES], TEXT), scrape_interval="4s"),
        Case(
            "target_relabel",
            targets=[
                (
                    {"env": "prod", "idx": "1", "drop_me": "no", "a": "x", "b": "x", "Mixed": "MiXeD \u00c4\u00d6"},
                    Script(["tr 1\n", 'tr{env="page"} 2\n']),
                ),
                ({"env": "dev", "idx": "2", "drop_me": "yes"}, Script(["tr 1\n"])),
                ({"env": "prod", "idx": "3", "a": "x", "b": "y"}, Script(["tr 1\n"])),
                ({"env": "prod", "idx": "4", "a": "z", "b": "z", "c": "same"}, Script(["tr 1\n"])),
                ({"env": "prod", "idx": "5", "a": "1", "b": "1", "c": "other"}, Script(["tr 1\n"])),
            ],
            keep_dropped_targets=2,
            relabel_configs=[
                relabel("keep", source_labels=["env", "idx"], regex="(prod|dev);[1-5]"),
                relabel("drop", source_labels=["drop_me"], regex="yes"),
                relabel("keepequal", source_labels=["a"], target_label="b"),
                relabel("dropequal", source_labels=["c"], target_label="env"),
                relabel("hashmod", source_labels=["env", "idx"], separator="/", target_label="shard", modulus=1009),
                relabel("labelmap", regex="(.)", replacement="one_$1"),
                relabel("labelmap", regex="__metrics_(path)__", replacement="meta_${1}"),
                relabel("lowercase", source_labels=["Mixed"], target_label="lower"),
                relabel("uppercase", source_labels=["Mixed"], target_label="upper"),
                relabel("labeldrop", regex="drop_me|c"),
                relabel(source_labels=["idx"], regex="(?P<n>\\d+)", target_label="dyn_${n}", replacement="v$n"),
                relabel(source_labels=["idx"], regex="4", target_label="env", replacement=""),
                relabel(target_label="__param_from_relabel", replacement="yes"),
                relabel(target_label="__tmp_x", replacement="gone"),
            ],
        ),
        Case(
            "target_keep",
            ["tk 1\n", 'tk{instance="x"} 2\n'],
            relabel_configs=[
                relabel("labelkeep", regex="__.*|job"),
                relabel(source_labels=["__address__"], regex="(.*):.*", target_label="instance", replacement="$1"),
            ],
        ),
        Case(
            "metric_relabel",
            [
                'mr_keep{a="1",b="1",x="X"} 1\nmr_keep{a="1",b="2"} 2\nmr_drop 3\nmr_path{path="/a/b"} 4\nmr_rename 5\nmr_gone{c="same"} 6\n'
                'mr_case{s="MiXed \u00e9\u00c9"} 7\nmr_labels{tmp_a="1",tmp_b="2",keepme="3"} 8\nmr_empty{e="x"} 9\nmr_hash{h="abc"} 10\nmr_nomatch{n="\u00e9"} 11\n',
                'mr_keep{a="1",b="1",x="X"} 1\nmr_drop 3\nmr_path{path="/a/b"} 4\nmr_path{path="/a/c"} 4\nmr_empty{e="x"} 9\n',
            ],
            metric_relabel_configs=[
                relabel("keep", source_labels=["__name__"], regex="mr_.*|before"),
                relabel("drop", source_labels=["__name__"], regex="mr_drop"),
                relabel(source_labels=["path"], regex="/([^/]+)/(.*)", target_label="first", replacement="${1}-$2"),
                relabel(source_labels=["__name__"], regex="mr_rename", target_label="__name__", replacement="mr_renamed"),
                relabel("replace", source_labels=["c"], regex="same", target_label="cc", replacement="same"),
                relabel("lowercase", source_labels=["s"], target_label="low"),
                relabel("uppercase", source_labels=["s"], target_label="up"),
                relabel("labelmap", regex="tmp_(.+)", replacement="mapped_$1"),
                relabel("labeldrop", regex="tmp_.+"),
                relabel(source_labels=["e"], regex="x", target_label="e", replacement=""),
                relabel("hashmod", source_labels=["h"], target_label="bucket", modulus=64),
                relabel(
                    source_labels=["__name__", "nothing"],
                    separator="|",
                    regex="mr_path\\|",
                    target_label="joined",
                    replacement="$0",
                ),
                relabel(source_labels=["n"], regex=".", target_label="onechar", replacement="yes"),
            ],
        ),
        Case(
            "metric_equal",
            ['me{a="1",b="1"} 1\nme{a="1",b="2"} 2\nme{c="3"} 3\nme{d="metric_equal",b="4",a="4"} 4\n'] * 2,
            metric_relabel_configs=[
                relabel("keepequal", source_labels=["a"], target_label="b"),
                relabel("dropequal", source_labels=["d"], target_label="job"),
            ],
        ),
        Case(
            "metric_labelkeep",
            ['mk{a="1",b="2",Z="3"} 1\nmk{a="2"} 2\n'] * 2,
            metric_relabel_configs=[relabel("labelkeep", regex="__name__|a|job|Z")],
        ),
        Case(
            "collapse",
            ['co{a="1"} 1\nco{a="2"} 2\nother 3\n', 'co{a="2"} 4\nother 5\n', 'co{a="1"} 6\nco{a="2"} 7\n'],
            metric_relabel_configs=[relabel("labeldrop", regex="a")],
        ),
        Case(
            "nameless",
            ["nl 1\nok 2\n", "ok 3\n"],
            metric_relabel_configs=[relabel(source_labels=["__name__"], regex="nl", target_label="__name__", replacement="")],
        ),
        Case(
            "bad_name",
            ["bn 1\nok 2\n", "ok 3\n"],
            metric_name_validation_scheme="legacy",
            metric_name_escaping_scheme="underscores",
            metric_relabel_configs=[relabel(source_labels=["__name__"], regex="bn", target_label="__name__", replacement="b.n")],
        ),
        Case(
            "scope_read",
            ['sr{path="/a"} 1\nsr{path="/b"} 2\n', 'sr{path="/b"} 3\n', 'sr{path="/a"} 4\nsr{path="/b"} 5\n'],
            metric_relabel_configs=[
                relabel(source_labels=["instance"], regex="(.*):\\d+", target_label="host"),
                relabel(source_labels=["instance"], regex="(.*):\\d+", target_label="instance"),
                relabel(source_labels=["job", "path"], regex="(.*);(.*)", target_label="both", replacement="$1$2"),
            ],
        ),
        Case(
            "scope_drop",
            targets=[
                ({"tier": t}, Script([f'sd{{x="1"}} 1\nsd{{x="2",tier="page"}} 2\nse 3\n', 'sd{x="1"} 4\nse 5\n']))
                for t in ("gold", "tin")
            ],
            metric_relabel_configs=[relabel("drop", source_labels=["tier", "__name__"], regex="tin;sd")],
        ),
        Case(
            "scope_rewrite",
            targets=[
                ({"tier": t, "path": t}, Script([f'sw{{x="1"}} 1\nsw{{x="2",path="/p",page="{t}"}} 2\n'] * 2))
                for t in ("gold", "tin")
            ],
            honor_labels=True,
            metric_relabel_configs=[
                relabel("labeldrop", regex="tier"),
                relabel(source_labels=["path"], target_label="route", regex="(.+)"),
                relabel("uppercase", source_labels=["job"], target_label="JOB"),
            ],
        ),
        Case(
            "honor_no",
            targets=[({"team": "t", "group": "", "Big": "B"}, Script([CLASH, CLASH.replace(" 1\n", " 21\n"), CLASH]))],
            honor_labels=False,
        ),
        Case(
            "honor_yes",
            targets=[({"team": "t", "group": "", "Big": "B"}, Script([CLASH, CLASH.replace(" 1\n", " 21\n"), CLASH]))],
            honor_labels=True,
        ),
        Case(
            "honor_yes_relabel",
            targets=[({"team": "t"}, Script([CLASH]))],
            honor_labels=True,
            metric_relabel_configs=[
                relabel("labeldrop", regex="region|instance"),
                relabel(source_labels=["team"], regex="", target_label="noteam", replacement="1"),
            ],
        ),
        Case(
            "honor_no_relabel",
            targets=[({"team": "t"}, Script([CLASH]))],
            honor_labels=False,
            metric_relabel_configs=[
                relabel("labeldrop", regex="exported_.*"),
                relabel(source_labels=["region"], regex="(.+)", target_label="seen_region"),
            ],
        ),
        Case("upper", ['up_case{A="1",Z="2",_a="3",a="4",AA="5"} 1\nup_case{ZZ="1"} 2\n'] * 2),
        Case(
            "dupes",
            [
                'du{a="1"} 1\ndu{a="2"} 2\ndu{a="1"} 3\n',
                'du{a="1"} 4\ndu{a="1"} 4\ndu{a="2"} 5\n',
                'du{a="2"} 6\ndu{a="2"} 7\n',
                'du{a="1",b="2"} 1\ndu{b="2",a="1"} 2\ndu{a="1",b="2",} 3\n',
                "ts_du 1 @ms:50@\nts_du 2 @ms:60@\nts_du 3\nts_du 4 @ms:55@\n",
                "ts_du 5\nts_du 6 @ms:70@\n",
                "ts_du 5 @ms:80@\nts_du 6 @ms:80@\nts_du 5 @ms:80@\n",
            ],
        ),
        Case("report_clash", ['up 5\nscrape_samples_scraped 7\nup{job="x"} 8\n', "up 6\n", "x 1\n"], honor_labels=True),
        Case(
            "order",
            [
                "".join(f'or{{i="{i}"}} {n}\n' for i in order)
                for n, order in enumerate(
                    [
                        range(20),
                        range(19, -1, -1),
                        [3, 1, 2, *range(4, 20), 0],
                        range(0, 20, 2),
                        range(20),
                        range(5, 25),
                        [],
                        range(20),
                    ]
                )
            ],
        ),
        Case(
            "come_and_go",
            [
                "cg_a 1\ncg_b 1\n",
                "cg_a 2\n",
                "cg_b 3\n",
                "",
                "cg_a 5\ncg_b 5\n",
                Answer(status=500),
                "cg_b 7\n",
                Answer("bad bad bad\n"),
                "cg_a 9\n",
            ],
        ),
        Case("types", TYPES),
        Case("normalise", [NORMAL, NORMAL.replace(" 5\n", " 6\n")]),
        Case("normalise_om", [NORMAL + "# EOF\n", NORMAL.replace(" 5\n", " 6\n") + "# EOF\n"], content_type=OPENMETRICS),
        Case("utf8", [UTF8, UTF8], content_type=TEXT1),
        Case(
            "utf8_legacy",
            ["plain 1\n", UTF8, "plain 2\n"],
            content_type=TEXT1,
            metric_name_validation_scheme="legacy",
            metric_name_escaping_scheme="values",
        ),
        Case("utf8_underscores", [UTF8, "my_dotted_metric 1\n"], content_type=TEXT1, metric_name_escaping_scheme="underscores"),
        Case("utf8_dots", [UTF8], content_type=TEXT1, metric_name_escaping_scheme="dots"),
        Case("openmetrics", OM, content_type=OPENMETRICS),
        Case("openmetrics_track", OM, content_type=OPENMETRICS, track_timestamps_staleness=True),
        Case(
            "fallback",
            targets=[
                ({"kind": k}, Script([Answer(b, content_type=c)] * 2))
                for k, b, c in [
                    ("none", "fb 1\n", ""),
                    ("odd", "fb 1\n", "text/html"),
                    ("bad", "fb 1\n", ";;"),
                    ("om", "fb 1\n# EOF\n", "application/openmetrics-text"),
                ]
            ],
            fallback_scrape_protocol="PrometheusText0.0.4",
        ),
        Case(
            "fallback_om",
            targets=[
                ({"kind": k}, Script([Answer("fb 1\n# EOF\n", content_type=c)] * 2))
                for k, c in [("none", ""), ("text", "text/plain")]
            ],
            fallback_scrape_protocol="OpenMetricsText1.0.0",
        ),
        Case("protocols", ["pr 1\n"], scrape_protocols=["PrometheusText0.0.4", "OpenMetricsText0.0.1"]),
        Case("uncompressed", ["uc 1\n"], enable_compression=False),
        Case(
            "params",
            [Answer('pa{query="@query@"} 1\n')],
            params={"b": ["1", "2"], "a": ["x y&z", "\u00e9"], "c": [""], "d": []},
            relabel_configs=[
                relabel(source_labels=["__param_b"], target_label="seen"),
                relabel(target_label="__param_b", replacement="3/4+5%~"),
            ],
        ),
        Case(
            "http_headers",
            ["hh 1\n"],
            http_headers={"X-One": {"values": ["a", "b"]}},
            basic_auth={"username": "u", "password": "p:\u00e9"},
        ),
        Case(
            "interval_label",
            targets=[
                ({"k": "2s", "__scrape_interval__": "2s", "__scrape_timeout__": "1900ms"}, Script(["il 1\n", "il 2\n"])),
                ({"k": "4s", "__scrape_interval__": "4s"}, Script(["il 1\n", "il 2\n"])),
            ],
        ),
        Case(
            "bad_targets",
            targets=[
                ({"k": "interval", "__scrape_interval__": "x"}, Script(["bt 1\n"])),
                ({"k": "timeout", "__scrape_timeout__": "1h"}, Script(["bt 1\n"])),
                ({"k": "scheme", "__scheme__": "ftp"}, Script(["bt 1\n"], steady=True)),
                ({"k": "zero", "__scrape_interval__": "0s"}, Script(["bt 1\n"])),
                ({"k": "name", "l.dot": "v"}, Script(["bt 1\n"])),
            ],
        ),
        Case(
            "extra",
            targets=[
                ({"k": "ok"}, Script(["ex 1\nex2 2\n", "ex 1\n"])),
                ({"k": "fail"}, Script([Answer(status=500), "ex 1\n"])),
                ({"k": "big"}, Script(["ex 1\n", "ex 1\n" + "# padding\n" * 200, "ex 3\n"])),
                ({"k": "many"}, Script(["ex 1\n", "".join(f"ex{i} 1\n" for i in range(30)), "ex 2\n"])),
            ],
            extra_scrape_metrics=True,
            body_size_limit="1KB",
            sample_limit=20,
        ),
        Case(
            "sample_limit",
            [
                'sl{i="1"} 1\n',
                "".join(f'sl{{i="{i}"}} 1\n' for i in range(5)),
                "".join(f'sl{{i="{i}"}} 1\n' for i in range(6)),
                'sl{i="1"} 2\n',
                "".join(f'sl{{i="{i}"}} 1\n' for i in range(6)) + "dropped 1\n",
                "".join(f'sl{{i="{i}"}} 1\n' for i in range(5)) + "dropped 1\n",
            ],
            sample_limit=5,
            metric_relabel_configs=[relabel("drop", source_labels=["__name__"], regex="dropped")],
        ),
        Case(
            "label_limit",
            [many_labels(3), many_labels(2) + many_labels(4), many_labels(3), many_labels(3) + many_labels(2)],
            label_limit=6,
        ),
        Case("label_limit_steady", [many_labels(3) + many_labels(4)], label_limit=6, steady=True),
        Case("name_length", ['limit{abcdefgh="1"} 1\n', 'limit{abcdefghi="1"} 1\n', "limit 2\n"], label_name_length_limit=8),
        Case("name_length_steady", ['limit{abcdefghi="1"} 1\n'], label_name_length_limit=8, steady=True),
        Case(
            "value_length",
            ['limit{a="12345678901234567890"} 1\n', 'limit{a="123456789012345678901"} 1\n', "limit 2\n"],
            label_value_length_limit=20,
        ),
        Case("value_length_steady", ['limit{a="123456789012345678901"} 1\n'], label_value_length_limit=20, steady=True),
        Case("body_limit", ["bl 1\n", "bl 2\n" + "#" * 94 + "\n", "bl 2\n" + "#" * 93 + "\n", "bl 3\n"], body_size_limit="100B"),
        Case("body_limit_steady", ["#" * 94 + "\nbl 3\n"], body_size_limit="100B", steady=True),
        Case("sample_limit_steady", ["a 1\nb 2\nc 3\n"], sample_limit=2, steady=True),
        Case("target_limit", targets=[({"k": str(i)}, Script(["tl 1\n"], steady=True)) for i in range(3)], target_limit=2),
        Case(
            "failures",
            targets=[({"k": k}, Script([a], steady=True)) for k, a in FAILURES.items()],
            scrape_interval="4s",
            scrape_timeout="3s",
        ),
        Case(
            "failures_between",
            targets=[
                ({"k": k}, Script(['fbw{a="1"} 1\nfbw{a="2"} 1\n', a, 'fbw{a="1"} 3\n']))
                for k, a in FAILURES.items()
                if k in ("500", "short", "hang", "bad_type", "bad_gzip")
            ],
            scrape_interval="4s",
            scrape_timeout="3s",
        ),
        Case("no_redirect", [Answer("", status=302, headers={"Location": "/elsewhere"})], follow_redirects=False, steady=True),
        Case("refused", ["x 1\n"], address="127.0.0.1:1", steady=True),
        Case("unresolved", ["x 1\n"], address="name.invalid:80", steady=True),
        Case("bad_address", ["x 1\n"], address="127.0.0.1:99999", steady=True),
        Case(
            "stamps",
            targets=[
                (
                    {"k": "honor"},
                    Script(
                        [
                            f'ts_constant 1 @ms:50@\nts_forward {n} @ms:{50 + n}@\nts_back {n} @ms:{60 - n}@\nts_mixed{{a="1"}} {n}\nts_future {n} @ms:{300000 + n}@\n'
                            f"ts_far {n} @ms:{700000 + n}@\nts_zero {n} 0\nts_lag {n} @ms:{n - 600000}@\n"
                            for n in range(4)
                        ]
                    ),
                )
            ],
        ),
        Case(
            "stamps_ignored",
            [
                f"ts_constant 1 @ms:50@\nts_forward {n} @ms:{50 + n}@\nts_far {n} @ms:{700000 + n}@\nts_zero {n} 0\n"
                for n in range(3)
            ],
            honor_timestamps=False,
        ),
        Case(
            "stamps_tracked",
            [
                f"ts_forward {n} @ms:{50 + n}@\nts_back {n} @ms:{60 - n}@\nts_constant 1 @ms:51@\nts_come_and_go {n}"
                + (f" @ms:{50 + n}@\n" if n % 2 else "\n")
                for n in range(5)
            ],
            track_timestamps_staleness=True,
        ),
        Case(
            "stamps_vanish",
            [
                "ts_a 1 @ms:50@\nts_b 1\n",
                "ts_b 2\n",
                "ts_a 3 @ms:53@\n",
                "ts_a 4\nts_b 4 @ms:54@\n",
                "ts_b 5\n",
                Answer(status=500),
            ],
        ),
        Case(
            "stamps_vanish_tracked",
            [
                "ts_a 1 @ms:50@\nts_b 1\n",
                "ts_b 2\n",
                "ts_a 3 @ms:53@\n",
                "ts_a 4\nts_b 4 @ms:54@\n",
                "ts_b 5\n",
                Answer(status=500),
            ],
            track_timestamps_staleness=True,
        ),
        Case("syntax", targets=many(TEXT_SNIPPETS, TEXT), scrape_interval="4s"),
        Case("syntax_om", targets=many(OM_SNIPPETS, OPENMETRICS, before=""), scrape_interval="4s"),
        Case(
            "metadata",
            [
                '# HELP md_a Help \\\\ of \\n a.\n# TYPE md_a counter\nmd_a 1\n# TYPE md_b histogram\nmd_b_bucket{le="1"} 1\nmd_b_sum 1\nmd_b_count 1\n# HELP md_c only help\nmd_c 1\nmd_d 1\n'
                "# TYPE md_e untyped\n# HELP md_e e\nmd_e 1\n# TYPE md_f summary\nmd_f 1\n# TYPE md_unused gauge\n"
            ],
            steady=True,
        ),
        Case(
            "metadata_om",
            [
                '# TYPE md_om_seconds counter\n# HELP md_om_seconds Om \\"q\\" help.\n# UNIT md_om_seconds seconds\nmd_om_seconds_total 1\n# TYPE md_om_info info\nmd_om_info 1\n'
                '# TYPE md_om_st stateset\nmd_om_st{md_om_st="a"} 1\n# TYPE md_om_gh gaugehistogram\nmd_om_gh_bucket{le="+Inf"} 1\n# TYPE md_om_u unknown\nmd_om_u 1\n# EOF\n'
            ],
            content_type=OPENMETRICS,
            steady=True,
        ),
    ]
    out += reload_cases()
    for name, kind, body in extra_pages:
        out.append(Case("page_" + name, [Answer(body)] * 2, content_type=kind, honor_timestamps=False, scrape_interval="4s"))
        if len(body) < 100000:
            out.append(
                Case(
                    "page_relabel_" + name,
                    [Answer(body)] * 2,
                    content_type=kind,
                    honor_timestamps=False,
                    honor_labels=True,
                    metric_relabel_configs=[
                        relabel("labelmap", regex="(le|quantile|mode|device)", replacement="mapped_$1"),
                        relabel("drop", source_labels=["__name__"], regex=".*_created|go_gc.*"),
                    ],
                )
            )
    return out


def reload_cases():
    page = Script(['re{a="1"} 1\nre{a="2"} 2\n# TYPE ts_re gauge\nts_re 3 @ms:50@\n'], steady=True)

    def case(name, after, **settings):
        return Case(
            "reload_" + name, targets=[({"k": "v"}, page)], after=after, scrape_interval="2s", scrape_timeout="2s", **settings
        )

    rule = relabel(source_labels=["a"], regex="1", target_label="new", replacement="x")
    return [
        case("nothing", {}),
        case("interval", {"scrape_interval": "1900ms", "scrape_timeout": "1900ms"}),
        case("metric_relabel", {"metric_relabel_configs": [rule]}),
        case("metric_drop", {"metric_relabel_configs": [relabel("drop", source_labels=["a"], regex="2")]}),
        case(
            "metric_undrop",
            {"metric_relabel_configs": []},
            metric_relabel_configs=[relabel("drop", source_labels=["a"], regex="2")],
        ),
        case("target_relabel", {"relabel_configs": [relabel(target_label="k", replacement="w")]}),
        case("target_drop", {"relabel_configs": [relabel("drop", source_labels=["k"], regex="v")]}),
        case("limit", {"sample_limit": 1}),
        case("label_limit", {"label_limit": 1}),
        case("timestamps", {"honor_timestamps": False}),
        case("extra", {"extra_scrape_metrics": True}),
        case("params", {"params": {"x": ["y"]}}),
    ]

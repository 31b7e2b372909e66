"""Pages and lines that test_differential.py lets both scrape; what a target may do wrong."""

from prometheus_peer import Answer

VALUES = [
    "0",
    "-0",
    "1",
    "+1",
    "-1.5",
    ".5",
    "5.",
    "1e3",
    "1E-3",
    "NaN",
    "nan",
    "-NaN",
    "Inf",
    "+Inf",
    "-Inf",
    "inf",
    "Infinity",
    "5e-324",
    "4.9e-324",
    "2.2250738585072014e-308",
    "2.225073858507201e-308",
    "1.7976931348623157e308",
    "1e309",
    "-1e309",
    "1e-400",
    "9007199254740993",
    "123456789012345678901234567890",
    "0.1",
    "0.30000000000000004",
    "1.00000000000000011102230246251565",
    "00012",
    "1e+05",
    "4503599627370497.5",
    "1e23",
    "8.41e21",
    "9.5e-3",
]

GOOD = [v for v in VALUES if v not in ("-NaN", "1e309", "-1e309")]  # Go's ParseFloat takes the others

CLASH = """# TYPE honor gauge
honor{job="a"} 1
honor{job="",x="1"} 2
honor{instance="b",exported_instance="c"} 3
honor{job="d",exported_job="e",exported_exported_job="f"} 4
honor{exported_job="g"} 5
honor{exported_job="",job="h"} 6
honor{region="page",x="2"} 7
honor{region="",x="3"} 8
honor{Zone="",x="4"} 9
honor{team="",job="",instance="",x="5"} 10
honor{team="mine",group="mine",x="6"} 11
honor{Alpha="1",_under="2",zeta="3"} 12
honor{exported_team="",team="",x="7"} 13
honor{instance=""} 14
honor{le="",quantile="",x="8"} 15
"""

TYPES = [
    '# TYPE ty gauge\nty{le="1"} 1\nty_bucket{le="1"} 2\nty{quantile="1"} 3\n',
    '# TYPE ty histogram\nty{le="1"} 4\nty_bucket{le="1"} 5\nty{quantile="1"} 6\n',
    '# TYPE ty summary\nty{le="1"} 7\nty_bucket{le="1"} 8\nty{quantile="1"} 9\n',
    'ty{le="1"} 10\nty_bucket{le="1"} 11\nty{quantile="1"} 12\n',
    '# TYPE ty summary\nty{le="1"} 13\nty_bucket{le="1"} 14\nty{quantile="1"} 15\n',
]

NORMAL = """# TYPE h histogram
h_bucket{le="1"} 1
h_bucket{le="2.0"} 2
h_bucket{le="1e3"} 3
h_bucket{le="1e-7"} 3
h_bucket{le="1e21"} 4
h_bucket{le="123456789"} 4
h_bucket{le="0.10"} 4
h_bucket{le="+inf"} 4
h_bucket{le="Inf"} 4
h_bucket{le="+Inf"} 5
h_bucket{le="x"} 5
h_bucket{le=""} 5
h_bucket{le="NaN"} 5
h_bucket{le="-0"} 5
h_sum 17
h_count 5
# TYPE s summary
s{quantile="0"} 1
s{quantile="0.50"} 2
s{quantile="1"} 3
s{quantile="0.99",le="1"} 4
s{quantile="99e-2",le="2"} 5
s_sum{quantile="1"} 6
s_count 7
# TYPE g gauge
g{le="1",quantile="1"} 1
"""

UTF8 = r"""# HELP "my.dotted.metric" a \"dotted\" name
# TYPE "my.dotted.metric" gauge
{"my.dotted.metric"} 1
{"my.dotted.metric","label.one"="v1",plain="p"} 2
{"metric with space","sp ace"="x y"} 3
{"été","名"="值"} 4
plain{"quoted label"="1"} 5
{"quoted_plain",a="b"} 6
{a="b","name.second"} 7
# TYPE "hist.dotted" histogram
{"hist.dotted_bucket",le="1"} 8
{"hist.dotted_bucket",le="+Inf"} 9
{"hist.dotted_sum"} 10
{"hist.dotted_count"} 11
:colon:name 12
{"esc\"aped","l\"q"="v\b\nn"} 13
"""

OM = [
    """# TYPE req counter
# UNIT req_seconds seconds
# HELP req Requests.
req_total{path="/"} 5 # {trace_id="abc"} 1 1520879607.789
req_created{path="/"} 1520872607.123
req_total{path="/x"} 6
# TYPE lat_seconds histogram
# UNIT lat_seconds seconds
lat_seconds_bucket{le="0.5"} 1 # {trace_id="x"} 0.4
lat_seconds_bucket{le="1"} 2 # {} 0.9 1520879607
lat_seconds_bucket{le="+Inf"} 3
lat_seconds_count 3
lat_seconds_sum 4.5
lat_seconds_created 1520872607.123
# TYPE st stateset
st{st="a"} 1
st{st="b"} 0
# TYPE build info
build_info{version="1.2"} 1
# TYPE gh gaugehistogram
gh_bucket{le="1.0"} 1
gh_bucket{le="+Inf"} 2
gh_gcount 2
gh_gsum 3
# TYPE sm summary
sm{quantile="0.5"} 1
sm_sum 2
sm_count 3
sm_created 4
# TYPE unk unknown
unk 1
no_type{x="y"} 1e3
# EOF
""",
    '# TYPE req counter\nreq_total{path="/"} 7\nreq_created{path="/"} 1520872607.123\n# TYPE ts_om gauge\nts_om{a="1"} 1 @s:50@\nts_om{a="2"} 2\n# EOF',
    '# TYPE req gauge\nreq 7\n# TYPE ts_om gauge\nts_om{a="1"} 2 @s:60@\nts_om{a="2"} 3\n# EOF\n',
]

TEXT_SNIPPETS = [
    'm{a="1" 1\n',
    "m 1 abc\n",
    "m\n",
    "m{a=b} 1\n",
    "1m 1\n",
    "m 0x1p3\n",
    "m 0x10\n",
    "m 1_0\n",
    "# TYPE m foo\nm 1\n",
    "# TYPE m\nm 1\n",
    'm{a="x",a="y"} 1\n',
    b'm{a="\xff"} 1\n'.decode("latin-1"),
    'm{__name__="x"} 1\n',
    'm{"a.b"="1"} 1\n',
    '{"m"} 1\n',
    '{a="b"} 1\n',
    "m 1 1.5\n",
    "m 1",
    "m 1\r\n",
    "\tm 1\n",
    "m{} 1\n",
    "m{,} 1\n",
    'm{a="b",} 1\n',
    'm{a="b",,} 1\n',
    "m -+1\n",
    "m 1 2 3\n",
    "m  1\n",
    'm{a="b"}1\n',
    "# HELP m a\\qb\nm 1\n",
    "m\x00 1\n",
    'm{a="\x00"} 1\n',
    'm { a = "b" , c = "d" } 1\n',
    'm{a="b"} 1 \n',
    "m 1 # x\n",
    "# comment\n#\n##\nm 1\n",
    "\n\n   \nm 1\n",
    "m 1\n\nn 2\n",
    'm{a="un\\"quo\\\\te\\nd"} 1\n',
    'm{a="bad\\q"} 1\n',
    'm{a="open} 1\n',
    'm{a="b"\n',
    'm{a="two\nlines"} 1\n',
    "m:a:b 1\n",
    "m-a 1\n",
    "m.a 1\n",
    'm{a-b="c"} 1\n',
    'm{1a="c"} 1\n',
    'm{:a="c"} 1\n',
    '{"m","n"} 1\n',
    "# TYPE m counter extra\nm 1\n",
    "# TYPE m gauge\n# TYPE m counter\nm 1\n",
    "m 1\n# TYPE m gauge\n",
    "# HELP\nm 1\n",
    "# HELP m\nm 1\n",
    "# TYPE  m   gauge  \nm 1\n",
    "m 1 \t 2000\n",
    "m 1 -5\n",
    "m 1 9223372036854775808\n",
    "m infinity\n",
    "m N\n",
    "m \n",
    'm{a="b"} \n',
    "é 1\n",
    'm{é="b"} 1\n',
    'm{a="é"} 1\n',
    "{} 1\n",
    '{""} 1\n',
    'm{""="x"} 1\n',
    '{"m" 1\n',
    'm{a="b" c="d"} 1\n',
    'm{a"b"} 1\n',
    "m{a=} 1\n",
    'm{="b"} 1\n',
    "}m 1\n",
    'm{a="b"}} 1\n',
    "m 0b11\n",
    "m 0o7\n",
    "m 1e\n",
    "m e1\n",
    "m 1f\n",
    "m 1e5000\n",
    "m 0x\n",
    "m 1.2.3\n",
    "m \u0661\n",
    "\ufeffm 1\n",
    'm{a="1"} 1\nm{a="1"} 2\n',
    "\r\n",
]

OM_SNIPPETS = [
    "m 1\n",
    "m 1\n# EOF",
    "m 1\n# EOF\n\n",
    "m 1\n# EOF\nx 1\n",
    "m 1\n\n# EOF\n",
    "\n# EOF\n",
    "m 1 \n# EOF\n",
    "m  1\n# EOF\n",
    "# comment\n# EOF\n",
    "#x\n# EOF\n",
    "m 1 1.5\n# EOF\n",
    "m 1 -1\n# EOF\n",
    "m 1 1e3\n# EOF\n",
    "m 1 NaN\n# EOF\n",
    "m 1 +Inf\n# EOF\n",
    "m 1 # {}\n# EOF\n",
    'm 1 # {a="b"} 1\n# EOF\n',
    'm_total 1 # {a="b"} 1\n# EOF\n',
    'm_total 1 # {a="b"} 1 2\n# EOF\n',
    'm_total 1 # {a="b"} 1 x\n# EOF\n',
    'm_total 1 # {a="b" 1\n# EOF\n',
    'm_bucket{le="1"} 1 # {a="b"} NaN\n# EOF\n',
    "# TYPE m counter\nm 1\n# EOF\n",
    "# TYPE m_total counter\nm_total 1\n# EOF\n",
    "# TYPE m foo\n# EOF\n",
    "# UNIT m seconds\nm 1\n# EOF\n",
    "# UNIT m_seconds seconds\nm_seconds 1\n# EOF\n",
    "# UNIT m_seconds\nm_seconds 1\n# EOF\n",
    "# HELP m\nm 1\n# EOF\n",
    "# HELP m a\\qb\nm 1\n# EOF\n",
    "# TYPE m gauge\n# TYPE m gauge\nm 1\n# EOF\n",
    "m 1\r\n# EOF\n",
    'm{a="b",} 1\n# EOF\n',
    "m{,} 1\n# EOF\n",
    'm{a="x",a="y"} 1\n# EOF\n',
    '{"m.x",a="b"} 1\n# EOF\n',
    "# EOF\n",
    "",
    "# EOF \n",
    "# eof\n",
    'm{a="b"}1\n# EOF\n',
    "m 0x1p3\n# EOF\n",
    "m 1_0\n# EOF\n",
    "m nan\n# EOF\n",
    "m inf\n# EOF\n",
    "m 1 2 3\n# EOF\n",
    "m 1 # x\n# EOF\n",
    "# TYPE m\n# EOF\n",
    "# TYPE m gauge \nm 1\n# EOF\n",
    'm{a="bad\\q"} 1\n# EOF\n',
    "\tm 1\n# EOF\n",
    '# TYPE h histogram\nh_bucket{le="1"} 1\nh_bucket{le="+Inf"} 1\nh_count 1\nh_sum 1\n# EOF\n',
    "# TYPE i info\ni 1\n# EOF\n",
    "# TYPE s stateset\ns 1\n# EOF\n",
    "m 1 1.2.3\n# EOF\n",
    "m 1\n# TYPE m gauge\n# EOF\n",
    'm{a="1"} 1\nm{a="1"} 2\n# EOF\n',
    'm{a="1"} 1 @s:50@\nm{a="1"} 2 @s:60@\n# EOF\n',
]

# What a target may do wrong, by the value of its label `k`.
FAILURES = {
    "500": Answer("x 1\n", status=500),
    "404": Answer("x 1\n", status=404),
    "204": Answer("", status=204),
    "299": Answer("x 1\n", status=299),
    "418": Answer("x 1\n", status=418),
    "599": Answer("x 1\n", status=599),
    "hang": Answer(act="hang"),
    "close": Answer(act="close"),
    "short": Answer("x 1\n", act="short"),
    "no_type": Answer("x 1\n", content_type=""),
    "html": Answer("x 1\n", content_type="text/html"),
    "bad_type": Answer("x 1\n", content_type=";;; no"),
    "json": Answer("x 1\n", content_type="application/json; charset=utf-8"),
    "upper_type": Answer("x 1\n", content_type="Text/Plain; Version=0.0.4"),
    "type_without_version": Answer("x 1\n", content_type="text/plain"),
    "odd_version": Answer("x 1\n", content_type="text/plain; version=9.9"),
    "odd_parameter": Answer("x 1\n", content_type="text/plain; a"),
    "om_odd_version": Answer("x 1\n# EOF\n", content_type="application/openmetrics-text; version=0.0.1"),
    "om_2": Answer("x 1\n# EOF\n", content_type="application/openmetrics-text; version=2.0.0"),
    "protobuf": Answer(
        "", content_type="application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
    ),
    "bad_gzip": Answer("not gzip at all", headers={"Content-Encoding": "gzip"}),
    "bad_gzip_long": Answer("not gzip at all, and longer than its header is", headers={"Content-Encoding": "gzip"}),
    "deflate": Answer("x 1\n", headers={"Content-Encoding": "deflate"}),
    "identity": Answer("x 1\n", headers={"Content-Encoding": "identity"}),
    "redirect": Answer("", status=302, headers={"Location": "/elsewhere"}),
    "redirect_loop": Answer("", status=302, headers={"Location": "/failures/25"}),
    "redirect_nowhere": Answer("", status=302),
    "redirect_gone": Answer("", status=301, headers={"Location": "/gone"}),
    "not_modified": Answer("", status=304),
}

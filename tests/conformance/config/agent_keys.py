"""Every key of the CloudWatch agent's JSON, from `agent` to the declarations of emf_processor, as our own list: its
type, its limits, and a value that is right. Each makes several files:

  the value            answered as the key's row in docs/compatibility.md says:
                         yes ...            taken
                         taken ...          taken, without effect and without a warning
                         no effect ...      taken, with a warning that names the key
                         error: `text`      refused with that text (KEY is the key)
  another type, null   refused, in the words of the agent's validator
  beyond its limits    the same

and each object one more, with a key that the schema has not: refused where the object is closed, else taken with a
warning.
"""
import collections
import copy
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[3]
ROLE = "arn:aws:iam::123456789012:role/x"

Key = collections.namedtuple("Key", "type good low high company", defaults=(None, None, None))
Case = collections.namedtuple("Case", "name content verdict text warning")
OTHER = {"string": [5, None], "integer": ["5", 5.5, None], "boolean": ["true", None], "object": [[], 5],
         "array": [{}, "x"], "any": []}
NAMES = {"string": "string", "integer": "integer", "boolean": "boolean", "object": "object", "array": "array"}
SECONDS = {"low": 1, "high": 172800}


def string(good, low=None, high=None, **more):
    return Key("string", good, low, high, **more)


def seconds(good, low=1):
    return Key("integer", good, low, 172800)


def declared(extra):
    return {"metric_declaration": [{"source_labels": ["a"], "metric_selectors": ["b"], "dimensions": [["c"]], **extra}]}


# heading of a table: (path of the object, how it treats other keys, what else is in it, {key: Key})
# A path is keys from the top; * is an element of a list.
SERVICE = {"service.name": string("x", 1, 255), "deployment.environment": string("x", 1, 259)}
PROMETHEUS = ("logs", "metrics_collected", "prometheus")
EMF = PROMETHEUS + ("emf_processor",)
SD = PROMETHEUS + ("ecs_service_discovery",)
HOST = ["collectd", "cpu", "disk", "diskio", "efa", "ethtool", "jmx", "mem", "net", "netstat", "nvidia_smi", "otlp",
        "processes", "procstat", "swap"]
ENTRY = {"sd_metrics_ports": string("80; 81"), "sd_container_name_pattern": string("^a$"),
         "sd_metrics_path": string("/m"), "sd_job_name": string("j")}
STATSD = {"metrics_collected": {"statsd": {}}}

SECTIONS = {
    "Sections of the agent": ((), "told", {}, {
        "agent": Key("object", {}), "logs": Key("object", {"metrics_collected": {}}), "metrics": Key("object", STATSD),
        "traces": Key("any", {}), "opentelemetry": Key("any", {}), "csm": Key("any", {})}),
    "`agent`": (("agent",), "told", {}, {
        "region": string("us-east-1", 1, 64), "credentials": Key("object", {"role_arn": ROLE}),
        "debug": Key("boolean", True), "quiet": Key("boolean", True), "omit_hostname": Key("boolean", False),
        "hostname": string("h"), "metrics_collection_interval": seconds(30),
        "use_dualstack_endpoint": Key("boolean", True), "logfile": string("", None, 4096),
        "aws_sdk_log_level": string("LogDebug"), "internal": Key("any", True), **SERVICE,
        **{k: Key("any", 1) for k in ("run_as_user", "user_agent", "usage_data", "usage_metadata", "precision",
                                      "system_metrics_enabled", "collection_jitter", "flush_interval", "flush_jitter",
                                      "metric_batch_size", "metric_buffer_limit", "round_interval")}}),
    "`credentials` of `agent`, `logs`, `metrics`": (("agent", "credentials"), "closed", {}, {
        "role_arn": string(ROLE, 20, 2048)}),
    "`logs`": (("logs",), "closed", {"metrics_collected": {}}, {
        "metrics_collected": Key("object", {}), "force_flush_interval": seconds(15),
        "endpoint_override": string("http://127.0.0.1:1", 4, 2048), "credentials": Key("object", {"role_arn": ROLE}),
        "log_stream_name": string("s", 1, 512), "concurrency": Key("integer", 3, 1), "logs_collected": Key("any", {}),
        **SERVICE}),
    "`logs.metrics_collected`": (("logs", "metrics_collected"), "told", {}, {
        "prometheus": Key("object", {"prometheus_config_path": "env:P"}), "emf": Key("object", {}),
        **{k: Key("any", {}) for k in ("structuredlog", "ecs", "kubernetes", "app_signals", "application_signals",
                                       "otlp")}}),
    "`logs.metrics_collected.prometheus`": (PROMETHEUS, "closed", {"prometheus_config_path": "env:P"}, {
        "cluster_name": string("c"), "log_group_name": string("/g/{ClusterName}"),
        "prometheus_config_path": string("env:P"), "emf_processor": Key("object", {}),
        "ecs_service_discovery": Key("object", {"docker_label": {}}),
        "disable_metric_extraction": Key("boolean", True)}),
    "`emf_processor`": (EMF, "closed", {}, {
        "metric_declaration": Key("array", declared({})["metric_declaration"]),
        "metric_declaration_dedup": Key("boolean", True), "metric_namespace": string("N"),
        "metric_unit": Key("object", {"a": "Count"})}),
    "`metric_declaration`": (EMF + ("metric_declaration", "*"), "closed", declared({})["metric_declaration"][0], {
        "source_labels": Key("array", ["job"]), "label_matcher": string("^a"), "label_separator": string(","),
        "metric_selectors": Key("array", ["^a"]), "dimensions": Key("array", [["ClusterName"], []])}),
    "`ecs_service_discovery`": (SD, "closed", {"docker_label": {}}, {
        "sd_frequency": string("30s"), "sd_target_cluster": string("c"), "sd_cluster_region": string("us-east-1"),
        "sd_result_file": string("/tmp/x.yaml"), "docker_label": Key("object", {}),
        "task_definition_list": Key("array", []), "service_name_list_for_tasks": Key("array", [])}),
    "`docker_label`": (SD + ("docker_label",), "told", {}, {
        "sd_port_label": string("P"), "sd_metrics_path_label": string("M"), "sd_job_name_label": string("J")}),
    "`task_definition_list`": (
        SD + ("task_definition_list", "*"), "told", {"sd_task_definition_arn_pattern": "x", "sd_metrics_ports": "1"},
        {"sd_task_definition_arn_pattern": string("a.*"), **ENTRY}),
    "`service_name_list_for_tasks`": (
        SD + ("service_name_list_for_tasks", "*"), "told", {"sd_service_name_pattern": "x", "sd_metrics_ports": "1"},
        {"sd_service_name_pattern": string("a.*"), **ENTRY}),
    "`logs.metrics_collected.emf`": (("logs", "metrics_collected", "emf"), "told", {}, {
        "service_address": string("udp://127.0.0.1:25888")}),
    "`metrics`": (("metrics",), "closed", STATSD, {
        "metrics_collected": Key("object", {"statsd": {}}),
        "metrics_destinations": Key("object", {"cloudwatch": {}}), "namespace": string("N", 1, 255),
        "force_flush_interval": seconds(30), "endpoint_override": string("http://127.0.0.1:1", 4, 2048),
        "credentials": Key("object", {"role_arn": ROLE}), "aggregation_dimensions": Key("array", [["a"], []]),
        "append_dimensions": Key("object", {"InstanceId": "x"}),
        "service.name": string("x", 1, 4096), "deployment.environment": string("x", 1, 4096)}),
    "`metrics.metrics_destinations`": (("metrics", "metrics_destinations"), "closed", {"cloudwatch": {}}, {
        "cloudwatch": Key("any", {}), "amp": Key("object", {"workspace_id": "ws-1"})}),
    "`amp`": (("metrics", "metrics_destinations", "amp"), "closed", {"workspace_id": "ws-1"}, {
        "workspace_id": string("ws-2", 1, 255)}),
    "`metrics.metrics_collected`": (("metrics", "metrics_collected"), "measured", {"statsd": {}}, {
        "statsd": Key("object", {}),
        "prometheus": Key("object", {"prometheus_config_path": "env:P"},
                          company={"metrics": {"metrics_destinations": {"amp": {"workspace_id": "ws-1"}}}}),
        **{k: Key("any", {}) for k in HOST}}),
    "`metrics.metrics_collected.prometheus`": (
        ("metrics", "metrics_collected", "prometheus"), "closed", {"prometheus_config_path": "env:P"},
        {"prometheus_config_path": string("env:P", 1, 255)}),
    "`metrics.metrics_collected.statsd`": (("metrics", "metrics_collected", "statsd"), "closed", {}, {
        "service_address": string("127.0.0.1:8125", 1, 255), "metrics_collection_interval": seconds(5),
        "metrics_aggregation_interval": seconds(0, low=0),
        "allowed_pending_messages": Key("integer", 5, 1, 2147483647), "metric_separator": string(".", 1, 255),
        "drop_original_metrics": Key("array", ["a"], company={"metrics": {"aggregation_dimensions": [[]]}}),
        "service.name": string("x", 1, 4096), "deployment.environment": string("x", 1, 4096)}),
}
AROUND = {"metrics": STATSD}
AMP = {"metrics": {"metrics_destinations": {"amp": {"workspace_id": "ws-1"}}}}


def merge(into, more):
    for k, v in more.items():
        if isinstance(v, dict) and isinstance(into.get(k), dict):
            merge(into[k], v)
        else:
            into[k] = copy.deepcopy(v)
    return into


def place(path, content, company):
    """The whole file in which `content` stands at `path`, with what the schema wants around it."""
    for key in reversed(path):
        content = [content] if key == "*" else {key: content}
    whole = {}
    if path[:1] == ("metrics",) and path != ("metrics",):
        merge(whole, AROUND)
    if path == ("metrics", "metrics_collected", "prometheus"):
        merge(whole, AMP)
    if path[:3] == PROMETHEUS and path != PROMETHEUS:
        merge(whole, {"logs": {"metrics_collected": {"prometheus": {"prometheus_config_path": "env:P"}}}})
    return merge(merge(whole, content), company or {})


def read_tables(problem):
    """{heading: {key: the row's words}} of the document's part about the agent"""
    text = (ROOT / "docs" / "compatibility.md").read_text()
    start = text.find("## `leadline cloudwatch-agent`")
    end = text.find("\n## ", start + 1)
    tables, heading = {}, None
    for line in text[start:end].splitlines():
        if line.startswith("### "):
            heading = line[4:].strip()
        row = re.fullmatch(r"\| (.+?) \| (.+) \|", line)
        if heading not in SECTIONS or not row or row.group(1) == "key":
            continue
        for key in re.findall(r"`([A-Za-z0-9_.]+)`", row.group(1)):
            if key in tables.setdefault(heading, {}):
                problem(f"{heading}: {key} has two rows")
            tables[heading][key] = row.group(2)
    return tables


def expected(words, key):
    """(verdicts, text, a warning is due: None where it does not matter)"""
    if re.match(r"yes\b", words):
        return ("ok",), None, None
    if re.match(r"taken\b", words):
        return ("ok",), None, False
    if re.match(r"no effect\b", words):
        return ("ok",), None, True
    error = re.match(r"error: `([^`]+)`", words)
    return (("refused", "unsupported"), error.group(1).replace("KEY", key), None) if error else None


def at_its_limits(key, k):
    """(value, the validator's words or None) at the limits and one beyond"""
    text = k.type == "string"
    for bound, way in ((k.low, -1), (k.high, 1)):
        if bound is None:
            continue
        beyond = bound + way
        if beyond >= 0 or not text:
            words = f"{key}: {'String length must' if text else 'Must'} be "
            words += f"greater than or equal to {bound}" if way < 0 else f"less than or equal to {bound}"
            yield "x" * beyond if text else beyond, words


def cases_of_key(heading, section, key, words, problem):
    path, _, around, keys = section
    k = keys[key]
    want = expected(words, key)
    if not want:
        problem(f"{heading}: {key}: a row of an unknown form: {words}")
        return
    refused = want[0][0] != "ok" and "not supported" in want[1]
    name = f"{heading}: {key}"

    def file(value):
        return place(path, {**around, key: value}, k.company)

    yield Case(name, file(k.good), *want[:2], key if want[2] else want[2])
    for value in [] if refused else OTHER[k.type]:
        yield Case(f"{name} of another type", file(value), ("refused",),
                   f"{key}: Invalid type. Expected: {NAMES[k.type]}", None)
    for value, text in [] if refused else at_its_limits(key, k):
        yield Case(f"{name} beyond its limits", file(value), ("refused",), text, None)


def case_of_others(heading, section):
    path, others, around, _ = section
    unknown = {} if path == () or others == "measured" else 1
    if others == "measured":
        yield Case(f"{heading}: what is not known", place(path, {**around, "unknown": {"measurement": []}}, None),
                   ("ok",), None, "unknown")
        yield Case(f"{heading}: what is not known, bare", place(path, {**around, "unknown": {}}, None), ("refused",),
                   "unknown: measurement is required", None)
        return
    want = {"closed": (("refused",), "Additional property \"unknown\" is not allowed", None),
            "told": (("ok",), None, "unknown")}[others]
    yield Case(f"{heading}: what is not known", place(path, {**around, "unknown": unknown}, None), *want)


def cases(problem):
    tables = read_tables(problem)
    for heading in sorted(set(SECTIONS) - set(tables)):
        problem(f"{heading}: there is no table of it")
    for heading, section in SECTIONS.items():
        table = tables.get(heading, {})
        for key in sorted(set(table) ^ set(section[3])):
            problem(f"{heading}: {key} has a row and is not in the schema here, or the other way about")
        for key in sorted(set(table) & set(section[3])):
            yield from cases_of_key(heading, section, key, table[key], problem)
        yield from case_of_others(heading, section)


def judge(case, verdict, messages):
    """None, or what is wrong"""
    told = "\n".join(messages)
    if verdict not in case.verdict:
        return f"{verdict}, not {' or '.join(case.verdict)}\n{told}"
    if case.text and not any(case.text in m for m in messages):
        return f"no message says: {case.text}\n{told}"
    warnings = [m for m in messages if m.startswith("warning: ")]
    if case.warning is False and warnings:
        return f"warnings where there should be none\n{told}"
    if case.warning and not any(case.warning in m for m in warnings):
        return f"no warning names {case.warning}\n{told}"
    return None

"""Configurations that are wrong: leadline cloudwatch-agent ends with status 1 and says where, what was expected and what is there;
what the agent takes with a shrug is a warning. By the variable, by a file, and by `leadline check`."""

import json
import os
import re
import subprocess

import pytest

from agent import BINARY
from aws import Task, environment
from cloudwatch_reporting import prometheus_yaml, read_exposition, run_agent

PAGE = prometheus_yaml(["127.0.0.1:1"])


@pytest.fixture(scope="module")
def metadata():
    t = Task()
    yield {"ECS_CONTAINER_METADATA_URI_V4": t.as_container()["ECS_CONTAINER_METADATA_URI_V4"]}
    t.close()


def section(**members):
    inner = {"prometheus_config_path": "env:PROMETHEUS_CONFIG_CONTENT", **members}
    return {"logs": {"metrics_collected": {"prometheus": inner}}}


def declared(**members):
    whole = {"source_labels": ["job"], "label_matcher": "^a$", "metric_selectors": ["^m$"], "dimensions": [["job"]]}
    return section(emf_processor={"metric_declaration": [{**whole, **members}]})


def place(text, mark):
    """line:column of what is at ^ in a text, which is taken out."""
    at = text.index(mark)
    line = text.count("\n", 0, at) + 1
    return text.replace(mark, "", 1), f"{line}:{at - text.rfind(chr(10), 0, at)}"


# ---- what is no JSON: § stands where it is noticed ----

SYNTAX = {
    "missing comma": ('{"agent": {"region": "r"\n §"debug": true}}', "','", '"region"'),
    "missing bracket": ('{"logs": {"metrics_collected": {"prometheus": {}\n §', "'}'", '"prometheus"'),
    "missing list end": ('{"logs": {"x": [1, 2§}}', "']'", '"x"'),
    "line comment": ('{"agent": §// mine\n{}}', "comment", '"agent"'),
    "block comment": ('{§/* mine */ "agent": {}}', "comment", None),
    "trailing comma": ('{"agent": {"region": "r",§}}', "comma", '"region"'),
    "trailing comma of a list": ('{"logs": {"x": [1,§]}}', "comma", '"x"'),
    "missing colon": ('{"agent" §{}}', "':'", '"agent"'),
    "single quotes": ("{§'agent': {}}", "key", None),
    "no quotes": ("{§agent: {}}", "key", None),
    "two texts": ('{"agent": {}}\n§{}', "after top-level value", None),
    "a tab in a string": ('{"agent": {"region": "a§\tb"}}', "0x09 in string", None),
    "python": ('{"agent": {"debug": §True}}', "value", '"debug"'),
    "nothing": ("§", "", None),
}


@pytest.mark.parametrize("what", SYNTAX)
def test_what_is_no_json(what, metadata):
    text, expected, key = SYNTAX[what]
    text, at = place(text, "§")
    if not text:
        text = " "
        at = ""
    status, log = run_agent(text, **metadata)
    assert status == 1, log
    assert f"CW_CONFIG_CONTENT:{at}" in log, log
    assert expected in log.replace('\\"', '"'), log
    if key:
        assert key in log.replace('\\"', '"'), log


@pytest.mark.parametrize("what", ["missing comma", "trailing comma", "line comment"])
def test_in_a_file(what, metadata, tmp_path):
    """The same of --config."""
    text, expected, _ = SYNTAX[what]
    text, at = place(text, "§")
    path = tmp_path / "agent.json"
    path.write_text(text)
    status, said = run_agent("", f"--config={path}", **metadata)
    assert status == 1, said
    assert f"agent.json:{at}" in said and expected in said.replace('\\"', '"'), said


# ---- what the schema refuses ----

REFUSED = {
    "unknown key of prometheus": (section(log_stream_name="x"), 'Additional property "log_stream_name" is not allowed'),
    "unknown key of emf_processor": (section(emf_processor={"metric_names": []}), "metric_names"),
    "unknown key of a declaration": (declared(metric_filters=[]), "metric_filters"),
    "unknown key of logs": ({"logs": {"metrics_collected": {}, "retention": 5}}, "retention"),
    "unknown key of discovery": (section(ecs_service_discovery={"sd_clusters": []}), "sd_clusters"),
    "flat dimensions": (declared(dimensions=["job"]), "Expected: array, given: string"),
    "a matcher that is a list": (declared(label_matcher=["a"]), "label_matcher"),
    "a number for a name": (section(log_group_name=5), "log_group_name"),
    "log files": ({"logs": {"logs_collected": {"files": {}}}}, "logs_collected: not supported by leadline"),
    "container insights": ({"logs": {"metrics_collected": {"ecs": {}}}}, "ecs: not supported by leadline"),
    "host metrics": ({"metrics": {"metrics_collected": {"cpu": {"measurement": []}}}}, "cpu: not supported by leadline"),
    "collectd": ({"metrics": {"metrics_collected": {"collectd": {}}}}, "collectd: not supported by leadline"),
    "traces": ({"traces": {"traces_collected": {"xray": {}}}}, "traces: not supported by leadline"),
    "opentelemetry": ({"opentelemetry": {"collect": {"prometheus": {"config_path": "/x"}}}}, "opentelemetry: not supported"),
    "a flush interval of 0": ({"logs": {"metrics_collected": {"emf": {}}, "force_flush_interval": 0}}, "force_flush_interval"),
    "a long workspace": (
        {"metrics": {"metrics_destinations": {"amp": {"workspace_id": "w" * 256}}, "metrics_collected": {"statsd": {}}}},
        "workspace_id",
    ),
    "bad statsd": ({"metrics": {"metrics_collected": {"statsd": {"metrics_collection_interval": 0}}}}, "metrics_collection_interval"),
    "bad emf address": ({"logs": {"metrics_collected": {"emf": {"service_address": "localhost"}}}}, "service_address"),
}


def where_in(text, word):
    """Whether the log names a position in the text: some line:column that exists."""
    return [(int(a), int(b)) for a, b in re.findall(r"CW_CONFIG_CONTENT:(\d+):(\d+)", text)]


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_refused(what, metadata):
    config, says = REFUSED[what]
    text = json.dumps(config, indent=1)
    status, log = run_agent(text, prometheus=PAGE, **metadata)
    said = log.replace('\\"', '"')
    assert status == 1, log
    assert says in said, log
    positions = where_in(said, says)
    lines = text.splitlines()
    assert positions, log
    key = re.match(r'(?:Additional property ")?(\w+)', says).group(1)
    assert any(f'"{key}"' in lines[line - 1] or key == "Expected" for line, _ in positions), log


BAD_REGEX = {
    "label_matcher": declared(label_matcher="*"),
    "metric_selectors": declared(metric_selectors=["^ok$", "(("]),
    "sd_service_name_pattern": section(
        ecs_service_discovery={"service_name_list_for_tasks": [{"sd_service_name_pattern": "[", "sd_metrics_ports": "1"}]}
    ),
    "sd_task_definition_arn_pattern": section(
        ecs_service_discovery={
            "task_definition_list": [{"sd_task_definition_arn_pattern": "*memcached.*", "sd_metrics_ports": "1"}]
        }
    ),
}


@pytest.mark.parametrize("key", BAD_REGEX)
def test_a_regex_that_does_not_compile(key, metadata):
    """Never a fallback to all labels: an error with its place."""
    text = json.dumps(BAD_REGEX[key], indent=1)
    status, log = run_agent(text, prometheus=PAGE, **metadata)
    assert status == 1, log
    assert "error parsing regexp" in log
    pattern = re.search(r"CW_CONFIG_CONTENT:(\d+):(\d+): (\w+)", log)
    assert pattern and pattern.group(3) == key, log
    wanted = next(i for i, line in enumerate(text.splitlines(), 1) if re.search(r'"(\*|\(\(|\[|\*memcached.*)"', line))
    assert int(pattern.group(1)) == wanted, log


@pytest.mark.parametrize("group", ["/a b", "/a*", "/größe", "x" * 513, "/a:b"])
def test_a_log_group_with_bad_characters(group, metadata):
    text = json.dumps(section(log_group_name=group), indent=1, ensure_ascii=False)
    status, log = run_agent(text, prometheus=PAGE, **metadata)
    assert status == 1, log
    line = next(i for i, l in enumerate(text.splitlines(), 1) if "log_group_name" in l)
    assert "log group" in log and f"CW_CONFIG_CONTENT:{line}:" in log, log


def test_all_errors_at_once(metadata, tmp_path):
    """Not only the first: `leadline check` says everything that there is to repair."""
    config = section(log_stream_name="x", emf_processor={"metric_declaration": [], "other_key": 1})
    status, log = run_agent(config, prometheus=PAGE, **metadata)
    assert status == 1 and "log_stream_name" in log, log
    path = tmp_path / "agent.json"
    path.write_text(json.dumps(config))
    env = environment(PROMETHEUS_CONFIG_CONTENT=PAGE, RUN_IN_CONTAINER="True", **metadata)
    done = subprocess.run([BINARY, "check", str(path)], capture_output=True, text=True, timeout=60, env=env)
    said = done.stdout + done.stderr
    assert done.returncode == 1 and "log_stream_name" in said and "other_key" in said, said


# ---- the Prometheus file ----


def test_a_variable_that_is_missing(metadata):
    status, log = run_agent(section(), **metadata)
    assert status == 1 and "PROMETHEUS_CONFIG_CONTENT" in log, log


def test_a_prometheus_file_that_is_missing(metadata):
    status, log = run_agent(section(prometheus_config_path="/nonexistent/p.yaml"), **metadata)
    assert status == 1 and "/nonexistent/p.yaml" in log, log


def test_a_prometheus_file_that_is_wrong(metadata):
    """Its place is in its own text; what is in the variable is not echoed."""
    text = "scrape_configs:\n- job_name: a\n  sample_limit: many\n  basic_auth: {username: u, password: secret-word}\n"
    status, log = run_agent(section(), prometheus=text, **metadata)
    assert status == 1 and "PROMETHEUS_CONFIG_CONTENT:3" in log and "secret-word" not in log, log


# ---- options of ours ----

OURS = {
    "LEADLINE_EMF_VERSION": "2",
    "LEADLINE_EMF_HISTOGRAMS": "all",
    "LEADLINE_EMF_UNTYPED": "counter",
    "LEADLINE_EMF_FIRST_VALUES": "perhaps",
    "LEADLINE_EMF_UNSELECTED": "hide",
    "LEADLINE_EMF_STORAGE_RESOLUTION": "5",
    "LEADLINE_EMF_MAX_METRICS": "-1",
    "LEADLINE_LOG_RETENTION_DAYS": "8",
    "LEADLINE_PROMETHEUS_TO": "nowhere",
    "LEADLINE_AMP_LABELS": "mine",
    "LEADLINE_STATSD_VALUES": "rounded",
}


@pytest.mark.parametrize("name", OURS)
def test_a_variable_of_ours_with_a_bad_value(name, metadata):
    status, log = run_agent(declared(), prometheus=PAGE, **{name: OURS[name]}, **metadata)
    assert status == 1 and name in log and OURS[name] in log, log


# ---- what is there is taken ----


def test_the_shipped_configuration_has_no_errors(metadata, tmp_path):
    path = tmp_path / "agent.json"
    path.write_text(read_exposition("agent.json"))
    env = environment(PROMETHEUS_CONFIG_CONTENT=read_exposition("prometheus.yaml"), RUN_IN_CONTAINER="True", **metadata)
    done = subprocess.run([BINARY, "check", str(path)], capture_output=True, text=True, timeout=60, env=env)
    assert done.returncode == 0, done.stdout + done.stderr


def test_nothing_to_do(metadata):
    status, log = run_agent({"agent": {"debug": False}}, **metadata)
    assert status == 1, log


def test_no_configuration_at_all(metadata):
    if os.path.exists("/etc/cwagentconfig"):
        pytest.skip("this machine has a configuration of the agent")
    status, log = run_agent("", **metadata)
    assert status == 1 and "CW_CONFIG_CONTENT" in log, log

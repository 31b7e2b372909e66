"""`leadline check` of the CloudWatch agent's file: what it compiles to, what is wrong with it and where, and what one trial
cycle would make of it."""

import json
import re
import subprocess

import pytest

from agent import BINARY, until
from aws import REGION, Emulator, environment
from peers import Target
from test_cloudwatch_program import SocketAgent

PAGE = """# TYPE http_requests_total counter
http_requests_total{code="200"} 5
http_requests_total{code="500"} 1
# TYPE go_threads gauge
go_threads 7
# TYPE jvm_threads_current gauge
jvm_threads_current 9
# TYPE latency histogram
latency_bucket{le="1"} 1
latency_bucket{le="+Inf"} 2
latency_sum 3
latency_count 2
build 1
"""


@pytest.fixture
def page():
    t = Target(PAGE)
    yield t
    t.close()


def declaration(labels, matcher, dimensions, *selectors):
    return {"source_labels": labels, "label_matcher": matcher, "dimensions": dimensions, "metric_selectors": list(selectors)}


def agent(yaml, *declarations, prometheus=(), **sections):
    processor = {"metric_declaration": list(declarations)}
    job = {"cluster_name": "c1", "log_group_name": "/g", "prometheus_config_path": str(yaml), "emf_processor": processor}
    job.update(prometheus)
    return {"agent": {"region": REGION}, "logs": {"metrics_collected": {"prometheus": job}}, **sections}


def jobs(path, *targets, interval="15s", **labels):
    groups = [{"targets": [t.address if hasattr(t, "address") else t for t in targets], "labels": labels}]
    job = {"job_name": "web", "static_configs": groups}
    path.write_text(json.dumps({"global": {"scrape_interval": interval, "scrape_timeout": "1s"}, "scrape_configs": [job]}))
    return path


def write(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content, indent=1))
    return path


def check(*arguments, env=None):
    """(exit status, standard output, standard error)"""
    done = subprocess.run(
        [BINARY, "check", *map(str, arguments)], capture_output=True, text=True, timeout=100, env=env or environment()
    )
    return done.returncode, done.stdout, done.stderr


def rows(out):
    """Of the table of declarations: [(matcher, series, selected, told, metrics)]."""
    found = re.findall(r'^\d+ \(line \d+\) +\[[^]]*\] =~ "(\S*)" +(\d+) +(\d+) +(\d+) +(\d+)$', out, re.M)
    return [(f[0], *map(int, f[1:])) for f in found]


def warnings(out):
    return [line for line in out.split("TRIAL", 1)[-1].splitlines() if line.startswith("warning: ")]


# ---- what the file says ----


def test_a_file_is_known_by_what_is_in_it(tmp_path, page):
    yaml = jobs(tmp_path / "jobs.json", page)
    status, out, err = check(write(tmp_path / "agent.json", agent(yaml, declaration(["job"], "^web$", [["job"]], "^http_"))))
    assert status == 0, err
    assert "CloudWatch logs (PutLogEvents)" in out and "log group: /g" in out and 'scrape "web"' in out
    assert 'declaration (line ' in out and '[job] =~ "^web$"' in out
    # the same YAML, which is JSON too, is Prometheus' own
    status, out, _ = check(yaml)
    assert status == 0 and 'scrape "web"' in out and "CloudWatch" not in out
    assert page.served == 0


def test_a_pipe_is_read_once(tmp_path, page):
    yaml = jobs(tmp_path / "jobs.json", page)
    for text, said in ((json.dumps(agent(yaml)), "CloudWatch logs"), (yaml.read_text(), "no remote_write")):
        done = subprocess.run([BINARY, "check", "/dev/stdin"], input=text, capture_output=True, text=True, timeout=60, env=environment())
        assert done.returncode == 0 and said in done.stdout, done.stdout + done.stderr


def test_a_directory_is_the_agents(tmp_path, page):
    parts = tmp_path / "etc"
    parts.mkdir()
    yaml = jobs(tmp_path / "jobs.json", page)
    whole = agent(yaml, declaration(["job"], "^web$", [["job"]], "^http_"))
    write(parts / "a.json", {"agent": whole["agent"]})
    write(parts / "b.json", {"logs": whole["logs"]})
    status, out, err = check(parts)
    assert status == 0, err
    assert f"region: {REGION}" in out and "log group: /g" in out


@pytest.mark.parametrize(
    "text, said",
    [
        ('{"agent": {},\n "logs": {"metrics_collected": {}\n}', r"agent.json:3:2: .*expected ',' or '}'"),
        ('{"agent": {"region": "x",},\n "logs": {}}', r"agent.json:1:\d+: json: "),
        ('// mine\n{"logs": {}}', r"agent.json:1:1: json: "),
        ('{"logs": {}}', r"agent.json:1:\d+: logs: one of"),
        ('{"agent": {"region": "x"},\n "traces": {}}', r"agent.json:2:\d+: "),
    ],
)
def test_errors_have_a_position(tmp_path, text, said):
    status, _, err = check(write(tmp_path / "agent.json", text))
    assert status == 1
    assert re.search(said, err), err
    assert re.search(r"agent.json: \d+ errors?$", err.strip()), err


def test_every_error_is_said(tmp_path, page):
    bad = [declaration(["job"], "web(", [["job"]], "^a"), declaration(["job"], "web", [["job"]], "^a", "b[")]
    status, _, err = check(write(tmp_path / "agent.json", agent(jobs(tmp_path / "jobs.json", page), *bad)))
    assert status == 1
    lines = [line for line in err.splitlines() if re.match(r".*agent\.json:\d+:\d+: ", line)]
    assert len(lines) == 2 and "label_matcher" in lines[0] and "metric_selectors" in lines[1], err
    assert err.strip().endswith("2 errors")


def test_more_than_30_dimensions_fail_the_check_and_not_the_program(tmp_path, page):
    many = [f"d{n:02}" for n in range(31)]
    content = agent(jobs(tmp_path / "jobs.json", page), declaration(["job"], "web", [["job"], many], "^a"))
    path = write(tmp_path / "agent.json", content)
    line = next(n for n, l in enumerate(path.read_text().splitlines(), 1) if '"d00"' in l) - 1
    status, _, err = check(path)
    assert status == 1
    assert re.search(rf"agent.json:{line}:\d+: dimensions: a set of 31 names; CloudWatch takes at most 30", err), err
    status, out, err = check("discovery", path)
    assert status == 0, err


def test_what_the_agent_does_silently_is_said(tmp_path, page):
    costly = declaration(["job"], "web", [["instance"], ["TaskId"], ["StartedBy"], ["TaskRevision"]], "^a")
    costly["label_separator"] = ","
    content = agent(jobs(tmp_path / "jobs.json", page), costly, {"source_labels": ["job"], "dimensions": [["job"]]})
    processor = content["logs"]["metrics_collected"]["prometheus"]["emf_processor"]
    processor["metric_declaration_dedup"] = True
    processor["metric_unit"] = {"a": "Furlongs", "b": "Seconds"}
    status, out, err = check(write(tmp_path / "agent.json", content))
    assert status == 0, err
    for what in ("instance", "TaskId", "StartedBy", "TaskRevision"):
        assert f"dimension {what}: each value is a metric of its own" in out
    assert "label_separator has no effect" in out and "metric_declaration_dedup has no effect" in out
    assert '"Furlongs" of "a" is no unit of CloudWatch' in out
    assert "the declaration has no metric_selectors and is passed over" in out
    assert "note: what no declaration selects becomes log events too, which are billed by the byte" in out
    assert "note: histograms are dropped" in out and "note: metrics without a type are dropped" in out
    asked = {"LEADLINE_EMF_UNSELECTED": "drop", "LEADLINE_EMF_HISTOGRAMS": "buckets", "LEADLINE_EMF_UNTYPED": "gauge"}
    status, out, err = check(tmp_path / "agent.json", env=environment(**asked))
    assert status == 0 and "note:" not in out and "histograms: buckets" in out, out + err


def test_the_task_is_told_by_flags(tmp_path, page):
    yaml = str(jobs(tmp_path / "jobs.json", page))
    path = write(tmp_path / "agent.json", {"logs": {"metrics_collected": {"prometheus": {"prometheus_config_path": yaml}}}})
    status, _, err = check(path)
    assert status == 1 and "ClusterName is not defined" in err and "--cluster and --region" in err
    status, out, err = check(path, "--cluster=demo", f"--region={REGION}")
    assert status == 0, err
    assert "/aws/ecs/containerinsights/demo/prometheus" in out and "ECS/ContainerInsights/Prometheus" in out


def test_the_defaults_are_the_containers_unless_told(tmp_path, page):
    content = agent(jobs(tmp_path / "jobs.json", page))
    path = write(tmp_path / "agent.json", content)
    assert "namespace: ContainerInsights/Prometheus" in check(path)[1]
    assert "namespace: CWAgent/Prometheus" in check(path, "--container=false")[1]
    assert "namespace: CWAgent/Prometheus" in check(path, env=environment(RUN_IN_CONTAINER="False"))[1]


def test_nothing_to_do_fails(tmp_path):
    path = write(tmp_path / "agent.json", {"agent": {"region": REGION}})
    status, _, err = check(path)
    assert status == 1 and "there is nothing to do" in err


# ---- the trial ----


def test_a_trial_is_of_the_agents_file_alone(tmp_path, page):
    status, _, err = check(jobs(tmp_path / "jobs.json", page), "--trial")
    assert status == 1 and "--trial is for the CloudWatch agent's file" in err


def test_counts_are_exact(tmp_path, page):
    second = Target(PAGE)
    yaml = jobs(tmp_path / "jobs.json", page, second, env="prod")
    path = write(
        tmp_path / "agent.json",
        agent(
            yaml,
            declaration(["job"], "^web$", [["ClusterName", "job"], ["code"], ["instance"]], "^http_", "^go_"),
            declaration(["env"], "^prod$", [["ClusterName", "job"]], "^go_"),
        ),
    )
    status, out, err = check(path, "--trial")
    second.close()
    assert status == 0, out + err
    assert "TRIAL: 2 targets, 2 scraped, 0 failed; 0 of 1 discoveries failed" in out
    # of each target 4 series; 3 are selected: [c, job] knows 2 names, [code] 2 values of one, [instance] 2 names at 2 targets
    assert rows(out) == [("^web$", 8, 6, 6, 2 + 2 + 4), ("^prod$", 8, 2, 2, 1)]
    assert "metrics of CloudWatch: 8\n" in out
    assert "makes no metrics: 2 series: 2 that no declaration selects, 0 without" in out
    assert "dropped: 8 samples of histograms, such as latency_bucket; LEADLINE_EMF_HISTOGRAMS" in out
    assert "dropped: 2 samples without a type, such as build; LEADLINE_EMF_UNTYPED=gauge" in out
    cycle = re.search(r"a cycle: 8 series in 6 events, (\d+) bytes, of which (\d+) are", out)
    month = re.search(r"30 days: about (\d+) bytes, of which (\d+) are", out)
    per_month = 30 * 24 * 3600 // 15
    assert [int(n) * per_month for n in cycle.groups()] == [int(n) for n in month.groups()]
    assert 0 < int(cycle[2]) < int(cycle[1])
    assert warnings(out) == []
    assert (page.served, second.served) == (1, 1)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["agent.json", "jobs.json"]  # nothing is written


def test_what_matches_nothing_says_why(tmp_path, page):
    yaml = jobs(tmp_path / "jobs.json", page, env="prod", odd="\u00e9", blank=" ")
    path = write(
        tmp_path / "agent.json",
        agent(
            yaml,
            declaration(["jbo"], "^web$", [["job"]], "^http_"),
            declaration(["job", "env"], "^wbe;prod$", [["job"]], "^http_"),
            declaration(["job"], "^web", [["job"]], "^jvm_thread_curent$"),
            declaration(["job"], "^we", [["job", "TaskId"]], "^jvm_"),
            declaration(["job"], "^w", [["job"], ["odd"], ["blank"]], "^go_", "^goo_"),
        ),
    )
    status, out, err = check(path, "--trial")
    assert status == 0, out + err
    assert [r[1:] for r in rows(out)] == [(0, 0, 0, 0), (0, 0, 0, 0), (4, 0, 0, 0), (4, 1, 0, 0), (4, 1, 1, 1)]
    said = [re.sub(r" ?\(line \d+\)", "", w) for w in warnings(out)]
    assert said == [
        "warning: declaration 0 matches nothing: no series has the label [jbo]",
        'warning: declaration 1 matches nothing: label_matcher "^wbe;prod$" finds nothing in the values of [job, env], '
        'such as "web;prod"',
        "warning: declaration 2 matches nothing: the labels of 4 series match, and the name of none is found by "
        '"^jvm_thread_curent$" (near: jvm_threads_current)',
        "warning: declaration 3 makes no metrics: of 1 series that it selects none has a dimension set that is possible",
        "warning: declaration 3 never uses dimensions [TaskId, job]: 1 series do not have all of it, missing is "
        "[TaskId]",
        'warning: declaration 4 has selectors that find no name: "^goo_" (near: go_threads)',
        "warning: declaration 4 leaves out dimensions [odd] for 1 series, of which a value is not printable "
        'ASCII: odd="\u00e9"',
        'warning: declaration 4 leaves out dimensions [blank] for 1 series, of which a value is empty: blank=" "',
    ]


def test_metric_relabelling_counts(tmp_path, page):
    yaml = jobs(tmp_path / "jobs.json", page)
    content = json.loads(yaml.read_text())
    content["scrape_configs"][0]["metric_relabel_configs"] = [
        {"source_labels": ["__name__"], "regex": "go_.*", "action": "drop"},
        {"regex": "code", "action": "labeldrop"},
    ]
    yaml.write_text(json.dumps(content))
    path = write(tmp_path / "agent.json", agent(yaml, declaration(["job"], "^web$", [["job"]], "^http_", "^go_", "^jvm_")))
    status, out, err = check(path, "--trial")
    assert status == 0, out + err
    assert rows(out) == [("^web$", 3, 3, 3, 2)]


def test_a_short_interval_is_scraped_once(tmp_path, page):
    slow = Target(lambda n: __import__("time").sleep(0.9) or PAGE)
    yaml = jobs(tmp_path / "jobs.json", page, slow, interval="1s")
    path = write(tmp_path / "agent.json", agent(yaml, declaration(["job"], "^web$", [["job"]], "^go_")))
    status, out, err = check(path, "--trial")
    slow.close()
    assert status == 0, out + err
    assert rows(out) == [("^web$", 8, 2, 2, 1)]
    assert page.served == 1


def test_what_fails_is_named_and_fails_the_check(tmp_path, page):
    gone = Target(PAGE)
    gone.close()
    hanging = Target(PAGE)
    hanging.answer = lambda path, headers: __import__("time").sleep(3) or (200, {}, b"")
    yaml = jobs(tmp_path / "jobs.json", page, gone, hanging)
    path = write(tmp_path / "agent.json", agent(yaml, declaration(["job"], "^web$", [["job"]], "^go_")))
    status, out, err = check(path, "--trial")
    assert status == 1
    assert "TRIAL: 3 targets, 1 scraped, 2 failed" in out, out + err
    failed = " ".join(out.split("FAILED", 1)[1].split())
    assert gone.address in failed and "connection refused" in failed and hanging.address in failed
    assert rows(out) == [("^web$", 4, 1, 1, 1)]
    hanging.close()


def test_the_time_is_bounded(tmp_path):
    hanging = Target(PAGE)
    hanging.answer = lambda path, headers: __import__("time").sleep(4) or (200, {}, b"")
    yaml = tmp_path / "jobs.json"
    job = {"job_name": "web", "static_configs": [{"targets": [hanging.address]}]}
    yaml.write_text(json.dumps({"global": {"scrape_interval": "30s", "scrape_timeout": "30s"}, "scrape_configs": [job]}))
    path = write(tmp_path / "agent.json", agent(yaml, declaration(["job"], "^web$", [["job"]], "^go_")))
    status, out, err = check(path, "--trial", "--timeout=500ms")
    assert status == 1 and "no answer within 500ms" in " ".join(out.split()), out + err
    assert "no sample came: nothing can be said of declarations" in out
    hanging.close()


def test_amp_and_what_is_pushed_have_nothing_to_try(tmp_path, page):
    yaml = jobs(tmp_path / "jobs.json", page)
    other = Target(PAGE)
    amp = write(tmp_path / "amp.json", jobs(tmp_path / "amp-jobs.json", other).read_text())
    content = agent(
        yaml,
        declaration(["job"], "^web$", [["job"]], "^go_"),
        metrics={
            "metrics_destinations": {"amp": {"workspace_id": "ws-0123"}, "cloudwatch": {}},
            "metrics_collected": {"prometheus": {"prometheus_config_path": str(amp)}, "statsd": {}},
        },
    )
    content["logs"]["metrics_collected"]["emf"] = {}
    status, out, err = check(write(tmp_path / "agent.json", content), "--trial")
    other.close()
    assert status == 0, out + err
    assert "TRIAL: 2 targets, 1 scraped, 0 failed" in out
    assert "AMP: 1 target, not scraped here" in out and "StatsD on :8125: nothing to try" in out and "EMF events: nothing" in out
    assert "note: logs.metrics_collected.prometheus and metrics.metrics_collected.prometheus scrape apart" in out
    assert (page.served, other.served) == (1, 0)


def test_both_destinations_are_told(tmp_path, page):
    yaml = jobs(tmp_path / "jobs.json", page)
    path = write(tmp_path / "agent.json", agent(yaml, declaration(["job"], "^web$", [["job"], ["code"]], "^http_", "^go_")))
    both = environment(LEADLINE_PROMETHEUS_TO="both", LEADLINE_METRICS_NAMESPACE="Other")
    status, out, err = check(path, "--trial", env=both)
    assert status == 0, out + err
    assert rows(out) == [("^web$", 4, 3, 3, 4)] * 2
    assert "metrics: namespace Other" in out and "a cycle: 5 values by PutMetricData" in out
    assert page.served == 1


def test_ecs_discovery_feeds_the_trial(tmp_path):
    e = Emulator(tmp_path)
    ecs, ec2 = e.client("ecs"), e.client("ec2")
    ecs.create_cluster(clusterName="demo")
    target = Target(PAGE, host="127.0.19.5")
    port = int(target.address.rsplit(":", 1)[1])
    labels = {"ECS_PROMETHEUS_EXPORTER_PORT": str(port), "job": "by-label"}
    app = {"name": "app", "image": "x", "memory": 64, "dockerLabels": labels, "portMappings": [{"containerPort": port}]}
    ecs.register_task_definition(
        family="web", networkMode="awsvpc", cpu="256", memory="512", requiresCompatibilities=["FARGATE"],
        containerDefinitions=[app],
    )  # fmt: skip
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    group = ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"]
    ecs.run_task(
        cluster="demo", taskDefinition="web", launchType="FARGATE", tags=[{"key": "ip", "value": "127.0.19.5"}],
        networkConfiguration={"awsvpcConfiguration": {"subnets": [subnet], "securityGroups": [group]}},
    )  # fmt: skip
    result = tmp_path / "found.yaml"
    yaml = tmp_path / "jobs.json"
    job = {"job_name": "ecs", "file_sd_configs": [{"files": [str(result)]}]}
    yaml.write_text(json.dumps({"global": {"scrape_interval": "60s"}, "scrape_configs": [job]}))
    discovery = {"sd_target_cluster": "demo", "sd_cluster_region": REGION, "sd_result_file": str(result), "docker_label": {}}
    content = agent(
        yaml,
        declaration(["job"], "^by-label$", [["ClusterName", "TaskDefinitionFamily"]], "^go_"),
        prometheus={"ecs_service_discovery": discovery},
    )
    path = write(tmp_path / "agent.json", content)
    at = environment(AWS_ENDPOINT_URL=e.url, AWS_ACCESS_KEY_ID="AKIATEST", AWS_SECRET_ACCESS_KEY="secret")
    status, out, err = check(path, "--trial", env=at)
    nobody = environment(AWS_ENDPOINT_URL="http://127.0.0.1:1", AWS_ACCESS_KEY_ID="AKIATEST", AWS_SECRET_ACCESS_KEY="secret")
    failed = check(path, "--trial", "--timeout=5s", env=nobody)
    e.close()
    target.close()
    assert status == 0, out + err
    assert rows(out) == [("^by-label$", 4, 1, 1, 1)]
    assert "TRIAL: 1 target, 1 scraped, 0 failed; 0 of 2 discoveries failed" in out
    assert not result.exists() and target.served == 1
    assert failed[0] == 1 and "FAILED" in failed[1] and "discovery ecs" in " ".join(failed[1].split()), failed


def test_the_program_then_says_the_same(tmp_path):
    gauges = '# TYPE depth gauge\ndepth{at="bow"} 7\ndepth{at="stern"} 9\n# TYPE other gauge\nother 1\n'
    targets = [Target(gauges), Target(gauges)]
    yaml = jobs(tmp_path / "jobs.json", *targets, interval="1s")
    content = agent(
        yaml,
        declaration(["job"], "^web$", [["job"], ["at", "instance"]], "^depth$"),
        declaration(["job"], "^wbe$", [["job"]], "^depth$"),
    )
    content["logs"]["force_flush_interval"] = 1
    status, out, err = check(write(tmp_path / "agent.json", content), "--trial", "--container=false")  # as it runs here
    assert status == 0, out + err
    assert [r[4] for r in rows(out)] == [1 + 4, 0]
    told = re.search(r"a cycle: 6 series in (\d+) events, (\d+) bytes, of which (\d+) are", out)
    events, all_bytes, undeclared = map(int, told.groups())
    assert events == 6

    e = Emulator(tmp_path)
    p = SocketAgent(tmp_path / "program", content, None, e.url, ("AKIATEST", "secret"))
    p.start()

    def cycles():
        return p.metrics().get("leadline_emf_events_total", 0) >= 4 * events

    until(cycles, "four cycles")
    m = p.metrics()
    assert p.stop() == 0
    e.close()
    for t in targets:
        t.close()
    assert m['leadline_emf_unique_metrics{declaration="0"}'] == 5
    assert m['leadline_emf_unique_metrics{declaration="1"}'] == 0
    ran = m["leadline_emf_events_total"] / events  # scrapes of all targets; the last round may be half
    declared, rest = m['leadline_emf_bytes_total{declared="true"}'], m['leadline_emf_bytes_total{declared="false"}']
    overhead = 26  # of an event, as CloudWatch Logs counts it: here 4 that are declared and 2 that are not
    assert declared == ran * (all_bytes - undeclared - 4 * overhead)
    assert rest == ran * (undeclared - 2 * overhead)

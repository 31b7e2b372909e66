"""`leadline cloudwatch-agent` as a whole: from the agent's JSON and the Prometheus file to events in CloudWatch Logs, data in
CloudWatch and samples in AMP, on an emulated AWS; how it starts, reloads, stops and is watched."""

import json
import os
import re
import signal
import socket
import subprocess
import time

import pytest

from agent import BINARY, PATIENCE_S, Program, get_over_socket, ledger_of, until
from aws import REGION, Emulator
from cloudwatch import with_keys
from peers import Listener, Receiver

JOBS = """
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
- job_name: app
  {discovery}
"""
PAGE = """# TYPE app_depth gauge
app_depth{at="bow"} 5
# TYPE app_requests_total counter
app_requests_total 10
"""
DECLARATION = {
    "source_labels": ["job"],
    "label_matcher": "^app$",
    "dimensions": [["ClusterName", "job"]],
    "metric_selectors": ["^app_depth$", "^app_requests_total$"],
}


@pytest.fixture(scope="module")
def emulator(tmp_path_factory):
    e = Emulator(tmp_path_factory.mktemp("emulator"))
    e.keys = e.user()
    yield e
    e.close()


class SocketAgent(Program):
    """Its JSON, its Prometheus file and its spool are in `directory`; pages are asked on the socket in the spool."""

    def __init__(self, directory, agent, jobs, url, keys, *flags, name=None, **variables):
        super().__init__(directory, with_keys(url, keys, **variables))
        self.spool = os.path.join(self.directory, "s")
        self.json, self.yaml = os.path.join(self.directory, "agent.json"), os.path.join(self.directory, "prometheus.yaml")
        self.flags = [f"--config={self.json}", f"--spool.path={self.spool}", *flags]
        self.name = name or [BINARY, "cloudwatch-agent"]
        self.configure(agent, jobs)

    @property
    def command(self):
        return [*self.name, *self.flags]

    def configure(self, agent, jobs=None):
        with open(self.json, "w") as f:
            json.dump(agent, f)
        if jobs:
            with open(self.yaml, "w") as f:
                f.write(jobs)

    def get(self, path):
        return get_over_socket(os.path.join(self.spool, "web.sock"), path)


@pytest.fixture
def make_program(tmp_path, emulator):
    made = []

    def make(agent, jobs, *flags, start=True, **options):
        directory = tmp_path / f"p{len(made)}"
        made.append(SocketAgent(directory, agent, jobs, options.pop("url", emulator.url), emulator.keys, *flags, **options))
        return made[-1].start() if start else made[-1]

    yield make
    for p in made:
        p.kill()


def agent(group, logs=None, **sections):
    """The agent's JSON with a Prometheus section that delivers to this log group."""
    prometheus = {
        "cluster_name": "demo",
        "log_group_name": group,
        "prometheus_config_path": "prometheus.yaml",
        "emf_processor": {"metric_declaration": [DECLARATION]},
    }
    return {
        "agent": {"region": REGION},
        "logs": {"metrics_collected": {"prometheus": prometheus}, "force_flush_interval": 1, **(logs or {})},
        **sections,
    }


def static(*targets):
    return JOBS.format(discovery=f"static_configs: [{{targets: {json.dumps([t.address for t in targets])}}}]")


def events(emulator, group):
    """All events of a group, in order of stream and time."""
    logs = emulator.client("logs")
    out = []
    try:
        streams = logs.describe_log_streams(logGroupName=group)["logStreams"]
    except logs.exceptions.ResourceNotFoundException:
        return out
    for stream in streams:
        token = None
        while True:
            more = {"nextToken": token} if token else {}
            page = logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True, **more)
            out += [json.loads(e["message"]) for e in page["events"]]
            if page["nextForwardToken"] == token or not page["events"]:
                break
            token = page["nextForwardToken"]
    return out


# ---- the thin path ----


def test_a_page_becomes_events(make_program, make_target, emulator):
    target = make_target(PAGE)
    p = make_program(agent("thin"), static(target))
    until(lambda: len(events(emulator, "thin")) >= 3, "events")
    assert p.stop() == 0
    first = events(emulator, "thin")[0]
    assert first["job"] == "app" and first["instance"] == target.address and first["ClusterName"] == "demo"
    gauges = [e for e in events(emulator, "thin") if "app_depth" in e]
    assert gauges and all(e["app_depth"] == 5 and e["prom_metric_type"] == "gauge" and e["at"] == "bow" for e in gauges)
    counters = [e for e in events(emulator, "thin") if "app_requests_total" in e]
    assert counters and all(e["app_requests_total"] == 0 for e in counters)
    last = re.search(r"msg=stopped remote_name=logs read=(\d+) delivered=(\d+) waiting=(\d+) dropped=(\d+)", p.log())
    read, delivered, waiting, dropped = map(int, last.groups())
    assert read == delivered + dropped and delivered > 0 and waiting == 0
    assert ledger_of(p.spool)[0] == 0


def test_two_pipelines_of_one_job(make_program, make_target, emulator):
    """The same file for CloudWatch Logs and for AMP: two scrapes of each target, each for its own destination."""
    target = make_target(PAGE)
    sections = {
        "metrics": {
            "metrics_destinations": {"amp": {"workspace_id": "ws-1"}},
            "metrics_collected": {"prometheus": {"prometheus_config_path": "prometheus.yaml"}},
        }
    }
    p = make_program(agent("two", **sections), static(target))
    until(lambda: p.balanced("amp")["waiting"] > 0 and p.balanced("logs")["delivered"] > 0, "both pipelines")
    metrics = p.metrics()
    assert metrics['leadline_targets{scrape_job="app",health="up"}'] == 1
    assert metrics['leadline_targets{scrape_job="app",pipeline="1",health="up"}'] == 1
    amp, logs = p.balanced("amp"), p.balanced("logs")
    assert amp["dropped"] == {} and logs["dropped"]["type"] > 0
    status, page = p.get("/")
    assert status == 200 and "to amp" in page and "to logs" in page and "CloudWatch Logs" in page
    pools = json.loads(p.get("/api/v1/scrape_pools")[1])["data"]["scrapePools"]
    assert pools == ["app"]
    assert len(json.loads(p.get("/api/v1/targets")[1])["data"]["activeTargets"]) == 2
    assert p.stop() == 0


# ---- discovery ----


def test_what_is_discovered_is_scraped_without_a_file(make_program, make_target, emulator):
    """The result file is in a place that cannot be written."""
    target = make_target(PAGE, host="127.0.9.142")
    port = target.address.rsplit(":", 1)[1]
    ecs, ec2 = emulator.client("ecs"), emulator.client("ec2")
    ecs.create_cluster(clusterName="fed")
    labels = {"ECS_PROMETHEUS_EXPORTER_PORT": port, "tier": "front"}
    container = {"name": "app", "image": "x", "memory": 64, "dockerLabels": labels}
    container["portMappings"] = [{"containerPort": int(port)}]
    fargate = {"networkMode": "awsvpc", "cpu": "256", "memory": "512", "requiresCompatibilities": ["FARGATE"]}
    ecs.register_task_definition(family="web", **fargate, containerDefinitions=[container])
    network = {
        "subnets": [ec2.describe_subnets()["Subnets"][0]["SubnetId"]],
        "securityGroups": [ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"]],
    }
    tags = [{"key": "ip", "value": "127.0.9.142"}]
    launch = {"launchType": "FARGATE", "networkConfiguration": {"awsvpcConfiguration": network}, "tags": tags}
    ecs.run_task(cluster="fed", taskDefinition="web", **launch)

    result = "/nonexistent/below/targets.yaml"
    configured = agent("fed")
    configured["logs"]["metrics_collected"]["prometheus"]["ecs_service_discovery"] = {
        "sd_frequency": "1s",
        "sd_target_cluster": "fed",
        "sd_cluster_region": REGION,
        "sd_result_file": result,
        "docker_label": {},
    }
    p = make_program(configured, JOBS.format(discovery=f"file_sd_configs: [{{files: [{result}]}}]"))
    until(lambda: events(emulator, "fed"), f"events\n{p.log()}")
    first = events(emulator, "fed")[0]
    assert first["tier"] == "front" and first["TaskDefinitionFamily"] == "web" and first["instance"] == target.address
    (found,) = json.loads(p.get("/api/v1/targets")[1])["data"]["activeTargets"]
    assert found["discoveredLabels"]["__meta_filepath"] == result
    assert p.get("/-/ready")[0] == 200
    assert "level=WARN" in p.log() and "a file cannot be written" in p.log() and "level=ERROR" not in p.log()
    assert p.stop() == 0


def test_a_failing_discovery_is_said_in_the_agents_words(make_program, emulator):
    configured = agent("failing")
    configured["logs"]["metrics_collected"]["prometheus"]["ecs_service_discovery"] = {
        "sd_frequency": "1s",
        "sd_target_cluster": "there-is-none",
        "sd_cluster_region": REGION,
        "docker_label": {},
        "sd_result_file": "targets.yaml",
    }
    p = make_program(configured, JOBS.format(discovery="file_sd_configs: [{files: [targets.yaml]}]"))
    until(lambda: "E! ECS SD processor: TaskProcessor got error: " in p.log(), "the agent's words")
    assert p.get("/-/ready")[0] == 503 and p.get("/-/healthy")[0] == 200
    assert p.stop() == 0


# ---- what is pushed ----


def free_ports(n):
    sockets = [socket.socket() for _ in range(n)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def pushed(statsd, emf):
    return {
        "agent": {"region": REGION},
        "logs": {"metrics_collected": {"emf": {"service_address": f"tcp://127.0.0.1:{emf}"}}, "force_flush_interval": 1},
        "metrics": {
            "namespace": "Pushed",
            "metrics_collected": {
                "statsd": {
                    "service_address": f"127.0.0.1:{statsd}",
                    "metrics_collection_interval": 10,
                    "metrics_aggregation_interval": 60,
                }
            },
        },
    }


def event(group, n):
    directive = {"Namespace": "Pushed", "Dimensions": [[]], "Metrics": [{"Name": "n"}]}
    aws = {"CloudWatchMetrics": [directive], "Timestamp": int(time.time() * 1000), "LogGroupName": group}
    return json.dumps({"_aws": aws, "n": n}) + "\n"


@pytest.mark.parametrize("container", [False, True])
def test_what_was_pushed_before_the_end_is_delivered(make_program, emulator, container):
    """In a container also what comes while the program stops, since what depends on it stops too."""
    statsd, emf = free_ports(2)
    group = f"pushed-{container}"
    variables = {"RUN_IN_CONTAINER": "True"} if container else {}
    p = make_program(pushed(statsd, emf), None, **variables)
    until(lambda: p.log().count("Listening on") >= 1 and p.get("/-/ready")[0] == 200, "it listens")
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    name = f"hits_{container}"
    sent = 0
    with socket.create_connection(("127.0.0.1", emf)) as lines:
        for n in range(20):
            lines.sendall(event(group, n).encode())
            datagrams.sendto(f"{name}:1|c".encode(), ("127.0.0.1", statsd))
            sent += 1
        until(lambda: p.metrics()['leadline_listener_received_total{listener="emf"}'] == 20, "they came")
        p.process.send_signal(signal.SIGTERM)
        if container:
            until(lambda: "exiting gracefully" in p.log(), "it stops")
            for n in range(20, 40):
                lines.sendall(event(group, n).encode())
                datagrams.sendto(f"{name}:1|c".encode(), ("127.0.0.1", statsd))
                sent += 1
                time.sleep(0.05)
    assert p.process.wait(PATIENCE_S) == 0
    assert sorted(e["n"] for e in events(emulator, group)) == list(range(sent))
    for sink in ("logs", "metrics"):
        line = re.search(rf"msg=stopped remote_name={sink} read=(\d+) delivered=(\d+) waiting=0 dropped=0", p.log())
        assert line and int(line[1]) == int(line[2]) == sent, p.log()
    found = emulator.client("cloudwatch").list_metrics(Namespace="Pushed")["Metrics"]
    assert name in [m["MetricName"] for m in found]


def test_a_port_that_is_taken_is_an_error_at_start(make_program):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        (emf,) = free_ports(1)
        p = make_program(pushed(taken.getsockname()[1], emf), None, start=False).start(wait=False)
        assert p.process.wait(PATIENCE_S) == 1
        assert "cannot start" in p.log() and str(taken.getsockname()[1]) in p.log()


# ---- how it is run ----


def open_ports(process):
    listing = subprocess.run(["ss", "-ltunpH"], capture_output=True, text=True).stdout
    return [l for l in listing.splitlines() if f"pid={process.pid}," in l]


def test_no_port_unless_asked(make_program, make_target, emulator):
    target = make_target(PAGE)
    p = make_program(agent("quiet"), static(target))
    until(lambda: p.balanced("logs")["delivered"] > 0, "a delivery")
    assert open_ports(p.process) == []
    assert os.stat(os.path.join(p.spool, "web.sock")).st_mode & 0o777 == 0o600
    assert p.stop() == 0
    p.flags.append("--web.listen-address=127.0.0.1:0")
    p.start()
    assert len(open_ports(p.process)) == 1
    assert p.stop() == 0


def healthcheck(*flags):
    return subprocess.run([BINARY, "healthcheck", *flags], capture_output=True, timeout=30).returncode


def test_healthy_while_the_destination_is_down(make_program, make_target):
    target = make_target(PAGE)
    p = make_program(agent("down"), static(target), url="http://127.0.0.1:9")
    until(lambda: "sent again" in p.log() and p.balanced("logs")["waiting"] > 0, "it fails")
    assert healthcheck(f"--spool.path={p.spool}") == 0
    assert healthcheck("--program=cloudwatch-agent", f"--spool.path={p.spool}") == 0
    waiting = p.balanced("logs")["waiting"]
    assert p.stop() == 0
    assert healthcheck(f"--spool.path={p.spool}") == 1
    status, sums, text = ledger_of(p.spool)
    assert status == 0 and sums["waiting"] >= waiting, text


def test_a_reload_takes_what_is_good(make_program, make_target, emulator):
    target = make_target(PAGE)
    p = make_program(agent("before"), static(target))
    until(lambda: events(emulator, "before"), "events")
    with open(p.json, "w") as f:
        f.write('{"logs": {"metrics_collected": ')
    p.process.send_signal(signal.SIGHUP)
    until(lambda: "Error reloading config" in p.log(), "a bad file is told")
    seen = len(events(emulator, "before"))
    until(lambda: len(events(emulator, "before")) > seen, "it goes on")
    p.configure(agent("before"), "scrape_configs: [{job_name: app, static_confgs: []}]")
    p.process.send_signal(signal.SIGHUP)
    until(lambda: p.log().count("Error reloading config") == 2, "a bad Prometheus file is told")
    p.configure(agent("after"), static(target))
    p.process.send_signal(signal.SIGHUP)
    until(lambda: "Completed loading of configuration file" in p.log(), "it is reloaded")
    until(lambda: events(emulator, "after"), "events in the other group")
    assert p.stop() == 0
    assert ledger_of(p.spool)[0] == 0


def test_a_start_as_the_original_is_started(make_program, make_target, emulator, tmp_path):
    target = make_target(PAGE)
    link = tmp_path / "amazon-cloudwatch-agent"
    os.symlink(os.path.abspath(BINARY), link)
    p = make_program(agent("original"), static(target), start=False, name=[str(link)])
    p.flags += ["-config", "/opt/aws/x.toml", "-envconfig", "/opt/aws/env.json", "-otelconfig=/opt/aws/x.yaml", "-pidfile", "x.pid"]
    p.start()
    until(lambda: events(emulator, "original"), "events")
    assert "-envconfig is an argument of the CloudWatch agent and is ignored" in p.log()
    assert p.stop() == 0


def test_what_the_environment_says_is_not_printed(make_program, make_target, emulator):
    target = make_target(PAGE)
    jobs = static(target) + "  params: {token: [hush-hush]}\n  basic_auth: {username: u, password: hush-password}\n"
    configured = agent("env")
    configured["logs"]["metrics_collected"]["prometheus"]["prometheus_config_path"] = "env:PROMETHEUS_CONFIG_CONTENT"
    p = make_program(configured, None, start=False, PROMETHEUS_CONFIG_CONTENT=jobs, CW_CONFIG_CONTENT=json.dumps(configured))
    p.flags = [f for f in p.flags if not f.startswith("--config")]
    p.start()
    until(lambda: events(emulator, "env"), "events")
    for text in (p.log(), p.get("/")[1], p.get("/config")[1], p.get("/api/v1/status/config")[1]):
        assert "hush" not in text
    assert p.stop() == 0


def test_listeners_follow_a_reload(make_program, emulator):
    first, second, emf = free_ports(3)
    p = make_program(pushed(first, emf), None)
    until(lambda: len(open_ports(p.process)) == 2, "both listen")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.sendto(b"kept:1|c", ("127.0.0.1", first))
        until(lambda: p.metrics()['leadline_listener_received_total{listener="statsd"}'] == 1, "a value came")
    p.configure(pushed(second, emf))
    p.process.send_signal(signal.SIGHUP)
    until(lambda: any(f":{second} " in l for l in open_ports(p.process)), "another port")
    assert not any(f":{first} " in l for l in open_ports(p.process))
    without = pushed(second, emf)
    del without["metrics"]
    p.configure(without)
    p.process.send_signal(signal.SIGHUP)
    until(lambda: len(open_ports(p.process)) == 1, "StatsD is gone")
    until(lambda: re.search('msg="destination removed".* waiting_samples=1', p.log()), "its value waits")
    p.configure(pushed(second, emf))
    p.process.send_signal(signal.SIGHUP)
    until(lambda: p.balanced("metrics")["delivered"] == 1, "and is delivered when the destination is back")
    assert p.stop() == 0


def test_after_kill_9_it_starts_where_it_was(make_program, make_target, emulator):
    target = make_target(PAGE)
    p = make_program(agent("killed"), static(target))
    until(lambda: p.balanced("logs")["delivered"] > 0, "a delivery")
    p.kill()
    before = ledger_of(p.spool)[1]
    p.start()
    until(lambda: p.balanced("logs")["read"] > before["read"], "it goes on")
    assert p.balanced("logs")["dropped"].get("no_baseline", 0) == 1  # of the very first scrape
    assert p.stop() == 0

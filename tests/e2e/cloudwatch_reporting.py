"""`leadline cloudwatch-agent` reporting to CloudWatch behind the checking proxy, with targets whose counters move.

A test imports the fixtures `emulator`, `metadata`, `proxy` and `make_reporting`. Everything of one test is told apart by its log
group or namespace, since the emulator is started once per file.
"""

import json
import os
import re
import socket
import subprocess
from decimal import Decimal

import pytest

from agent import BINARY, PATIENCE_S, until
from aws import KEY, REGION, Emulator, Task, environment
from cloudwatch import CloudWatchAgent
from cloudwatch_limits import CheckingProxy
from peers import Target

EXPOSITIONS = os.path.join(os.path.dirname(__file__), "expositions")
CLUSTER = "demo"
NAMESPACE = "ECS/ContainerInsights/Prometheus"


def read_exposition(name):
    with open(os.path.join(EXPOSITIONS, name)) as f:
        return f.read()


# ---- pages whose counters move ----


def java_double(x):
    """As Java's Double.toString has it."""
    if x == 0 or 1e-3 <= abs(x) < 1e7:
        return repr(float(x))
    sign, digits, exponent = Decimal(repr(x)).normalize().as_tuple()
    digits = "".join(map(str, digits))
    return f"{'-' * sign}{digits[0]}.{digits[1:] or '0'}E{exponent + len(digits) - 1}"


def go_float(x):
    """As Go's shortest 'g' has a large number."""
    _, digits, exponent = Decimal(repr(x)).normalize().as_tuple()
    digits = "".join(map(str, digits))
    point = "." if digits[1:] else ""
    return f"{digits[0]}{point}{digits[1:]}e+{exponent + len(digits) - 1:02}"


def printed(x, like):
    if "E" in like or like.endswith(".0"):
        return java_double(x)
    if "e+" in like:
        return go_float(x)
    return repr(x if x != int(x) else int(x))


def moved(text, n):
    """The page after n steps: each counter, and each sum and count, went up by the same every time; gauges stay."""
    kind, buckets, out = None, 0, []
    for i, line in enumerate(text.splitlines()):
        if line.startswith("# TYPE "):
            kind = line.split()[3]
        if not line or line.startswith("#") or not (kind == "counter" or kind == "summary" or kind == "histogram"):
            out.append(line)
            continue
        head, value = line.rsplit(" ", 1)
        base = float(value)
        step = 1 + i % 7 if base == int(base) else 0.25 * (1 + i % 3)
        buckets = buckets + 1 if "_bucket{" in head else buckets
        if kind == "histogram":
            step = buckets if "_bucket{" in head or head.split("{")[0].endswith("_count") else 20.5
            buckets = 0 if head.split("{")[0].endswith("_count") else buckets
        out.append(f"{head} {printed(base + n * step, value)}")
    return "\n".join(out) + "\n"


# ---- the agent ----


def prometheus_json(section, **logs):
    """The agent's JSON with one Prometheus section."""
    return {"logs": {"metrics_collected": {"prometheus": section}, "force_flush_interval": 1, **logs}}


def prometheus_yaml(targets, interval="1s", job="test", **scrape):
    """A Prometheus file (JSON is YAML) with one job of these addresses."""
    scrape = {"job_name": job, "static_configs": [{"targets": list(targets)}], **scrape}
    return json.dumps({"global": {"scrape_interval": interval, "scrape_timeout": interval}, "scrape_configs": [scrape]})


class ReportingAgent(CloudWatchAgent):
    """With its JSON in CW_CONFIG_CONTENT, the Prometheus file in PROMETHEUS_CONFIG_CONTENT, and a spool that outlives a kill."""

    def __init__(self, directory, config, prometheus, url, metadata, *flags, **variables):
        self.data = os.path.join(str(directory), "s")
        variables = {"RUN_IN_CONTAINER": "True", "LEADLINE_STOP_TIMEOUT": "10s", **metadata, **variables}
        super().__init__(directory, {}, url, (KEY.access_key, KEY.secret_key), *flags, **variables)
        if not any("spool.path" in f for f in self.flags):
            self.flags.append(f"--spool.path={self.data}")
        self.env["CW_CONFIG_CONTENT"] = config if isinstance(config, str) else json.dumps(config)
        if prometheus is not None:
            self.env["PROMETHEUS_CONFIG_CONTENT"] = prometheus

    def start(self, wait=True):
        super().start(wait)
        if wait:
            self.get("/-/healthy")  # the listener for pages is the first of all: when it answers, the others are there
        return self

    def settled(self):
        """How many samples are delivered or dropped."""
        l = self.balanced()
        return l["delivered"] + sum(l["dropped"].values())


def run_agent(config, *flags, prometheus=None, **variables):
    """Runs it until it ends by itself, for what stops it at start: (exit status, its log)."""
    env = environment(
        RUN_IN_CONTAINER="True",
        AWS_REGION=REGION,
        AWS_ACCESS_KEY_ID=KEY.access_key,
        AWS_SECRET_ACCESS_KEY=KEY.secret_key,
        CW_CONFIG_CONTENT=config if isinstance(config, str) else json.dumps(config),
        **variables,
    )
    if prometheus is not None:
        env["PROMETHEUS_CONFIG_CONTENT"] = prometheus
    command = [BINARY, "cloudwatch-agent", "--web.listen-address=127.0.0.1:0", "--spool=memory", *flags]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=env)
    return done.returncode, done.stdout + done.stderr


# ---- fixtures ----


@pytest.fixture(scope="module")
def emulator(tmp_path_factory):
    e = Emulator(tmp_path_factory.mktemp("emulator"))
    e.logs = e.client("logs")
    e.cloudwatch = e.client("cloudwatch")
    yield e
    e.close()


@pytest.fixture(scope="module")
def metadata():
    t = Task()
    yield {"ECS_CONTAINER_METADATA_URI_V4": t.as_container()["ECS_CONTAINER_METADATA_URI_V4"]}
    t.close()


@pytest.fixture
def proxy(emulator):
    p = CheckingProxy(emulator.url, [KEY])
    yield p
    p.close()
    p.verdict()


@pytest.fixture
def make_reporting(tmp_path, proxy, metadata):
    made = []

    def make(config, prometheus=None, *flags, start=True, url=None, **variables):
        directory = tmp_path / f"agent{len(made)}"
        made.append(ReportingAgent(directory, config, prometheus, url or proxy.url, metadata, *flags, **variables))
        return made[-1].start() if start else made[-1]

    yield make
    for a in made:
        a.kill()


# ---- a fleet on ECS: the shipped deployments, each with its exposition ----


class Served(Target):
    """A page of the expositions, one step further with each scrape."""

    def __init__(self, name, host, port, path="/metrics"):
        self.text = read_exposition(name)
        self.path = path
        super().__init__(lambda n: moved(self.text, n), host=host, port=port)

    def pages(self, n):
        """Page n and the one before."""
        return moved(self.text, n - 1), moved(self.text, n)


KINDS = {  # exposition: (last part of the address, port, path)
    "javajmx": (10, 9404, "/metrics"),
    "nginx": (11, 9113, "/metrics"),
    "envoy": (12, 9901, "/stats/prometheus"),
    "memcached": (14, 9150, "/metrics"),
    "redis": (15, 9121, "/metrics"),
}
STREAMS = {
    "javajmx": "cwagent-ecs-file-sd-config",
    "nginx": "nginx-prometheus-exporter",
    "envoy": "ecs-appmesh-colors",
    "memcached": "ecs-memcached",
    "redis": "prometheus-redis",
}


def build_fleet(e, net):
    """The tasks of the samples on an emulated ECS, their addresses below `net` ("127.0.21.")."""
    ecs, ec2 = e.client("ecs"), e.client("ec2")
    ecs.create_cluster(clusterName=CLUSTER)
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    group = ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"]
    network = {"awsvpcConfiguration": {"subnets": [subnet], "securityGroups": [group]}}

    def container(name, port=None, labels=()):
        c = {"name": name, "image": "x", "memory": 64, "dockerLabels": dict(labels)}
        return {**c, "portMappings": [{"containerPort": port}]} if port else c

    def define(family, *containers):
        fargate = {"networkMode": "awsvpc", "cpu": "256", "memory": "512", "requiresCompatibilities": ["FARGATE"]}
        ecs.register_task_definition(family=family, **fargate, containerDefinitions=list(containers))
        return {"cluster": CLUSTER, "taskDefinition": family, "launchType": "FARGATE", "networkConfiguration": network}

    def at(kind):
        return [{"key": "ip", "value": f"{net}{KINDS[kind][0]}"}]

    java = {"ECS_PROMETHEUS_EXPORTER_PORT": "9404", "Java_EMF_Metrics": "true"}
    ecs.run_task(**define("ecs-tomcat-jmx", container("tomcat", 9404, java)), tags=at("javajmx"))
    nginx = define("nginx-sample", container("nginx", 8080), container("nginx-prometheus-exporter", 9113))
    ecs.create_service(**nginx, serviceName="nginx-service", desiredCount=1, tags=at("nginx"))
    envoy = define("DEMO-ColorTeller-white", container("app", 9080), container("envoy", 9901))
    ecs.run_task(**envoy, tags=at("envoy"))
    labels = {"job": "prometheus-memcached", "app_x": "memcached_exporter"}
    memcached = define("memcached-prometheus-demo-fargate", container("memcached-0", 11211), container("memcached-exporter-0", 9150, labels))
    ecs.run_task(**memcached, tags=at("memcached"))
    labels = {"ECS_PROMETHEUS_EXPORTER_PORT": "9121", "job": "prometheus-redis", "app_x": "redis_exporter"}
    labels["CWAgent-Usage-invalid-prometheus-label"] = "invalid"
    redis = define("redis-prometheus-demo-fargate", container("redis-0", 6379), container("redis-exporter-0", 9121, labels))
    ecs.run_task(**redis, tags=at("redis"))


def serve_fleet(net):
    return {kind: Served(f"{kind}.txt", f"{net}{last}", port, path) for kind, (last, port, path) in KINDS.items()}


def shipped(result_file, interval="1s", **logs):
    """(the agent's JSON, the Prometheus file) as they are deployed, with this result file and this pace."""
    config = json.loads(read_exposition("agent.json"))
    config["logs"]["metrics_collected"]["prometheus"]["ecs_service_discovery"]["sd_result_file"] = result_file
    config["logs"]["force_flush_interval"] = 1
    config["logs"].update(logs)
    text = read_exposition("prometheus.yaml").replace("/tmp/cwagent_ecs_auto_sd.yaml", result_file)
    text = re.sub(r"scrape_interval: .*", f"scrape_interval: {interval}", text)
    return config, re.sub(r"scrape_timeout: .*", f"scrape_timeout: {interval}", text)


def free_udp_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def drained(agent, patience_s=PATIENCE_S):
    """Waits until what was read so far is delivered or dropped."""
    read = agent.balanced()["read"]
    until(lambda: agent.settled() >= read, f"{read} samples are delivered\n{agent.log()[-3000:]}", patience_s)


# ---- golden files: what a scrape of each exposition gives, once its counters have a value before ----

GOLDEN = os.path.join(os.path.dirname(__file__), "golden")


def _labels(family, container, job, group=None, **more):
    shared = {
        "ClusterName": CLUSTER,
        "TaskClusterName": CLUSTER,
        "LaunchType": "FARGATE",
        "TaskDefinitionFamily": family,
        "TaskGroup": group or f"family:{family}",
        "TaskRevision": "1",
        "TaskId": "TASK",
        "instance": "ADDRESS",
    }
    return {**shared, "container_name": container, "job": job, **more}


REPLACED = {"TaskId": "TASK", "instance": "ADDRESS", "StartedBy": "ecs-svc/DEPLOYMENT"}
LABELS = {  # of each target
    "javajmx": _labels(
        "ecs-tomcat-jmx", "tomcat", STREAMS["javajmx"], ECS_PROMETHEUS_EXPORTER_PORT="9404", Java_EMF_Metrics="true"
    ),
    "nginx": _labels(
        "nginx-sample",
        "nginx-prometheus-exporter",
        STREAMS["nginx"],
        group="service:nginx-service",
        ServiceName="nginx-service",
        StartedBy="ecs-svc/DEPLOYMENT",
    ),
    "envoy": _labels("DEMO-ColorTeller-white", "envoy", STREAMS["envoy"]),
    "memcached": _labels(
        "memcached-prometheus-demo-fargate", "memcached-exporter-0", STREAMS["memcached"], app_x="memcached_exporter"
    ),
    "redis": _labels(
        "redis-prometheus-demo-fargate",
        "redis-exporter-0",
        STREAMS["redis"],
        app_x="redis_exporter",
        ECS_PROMETHEUS_EXPORTER_PORT="9121",
    ),
}


def golden(kind):
    """The events of one scrape, time, task and address replaced."""
    with open(os.path.join(GOLDEN, f"emf_{kind}.json")) as f:
        return json.load(f)


def shipped_rules():
    return json.loads(read_exposition("agent.json"))["logs"]["metrics_collected"]["prometheus"]["emf_processor"]

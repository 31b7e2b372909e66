"""Targets from AWS Cloud Map, from an emulated AWS: `cloudmap_sd_configs`, and the cloudmap-sd sidecar in both of its modes,
read by leadline and by the newest Prometheus. Every call fails in every way, and no target is lost."""

import json
import os
import signal
import stat
import subprocess
import time
import urllib.error
import urllib.request

import pytest

from agent import BINARY, get_over_socket, until
from aws import REGION, Emulator, environment, free_port
from fault_proxy import JSON, FaultHandler, FaultProxy
from fixtures import addresses, discovered, discovering
from prometheus_peer import make_prometheus  # noqa: F401 - a fixture

PORT = 9404
LISTS = ("ListNamespaces", "ListServices", "ListInstances")


# ---- a proxy in front of the emulator ----


class _MapHandler(FaultHandler):
    def forward(self, operation, body):
        question = json.loads(body)
        token = question.get("NextToken")
        if token in ("again", "empty1"):  # the fault ended within a list; AWS refuses tokens that it did not give
            return 400, b'{"__type": "InvalidInput"}', JSON
        if token == "empty2":  # of ours: the emulator begins with the first page
            del question["NextToken"]
        return self.repaired(operation, question)

    def repaired(self, operation, question):
        """The emulator ignores the filter by namespace, and tells what AWS does not; its revision is that of the instances
        that a filter lets through, where AWS has one per service."""
        status, data, kind = super().forward(operation, json.dumps(question).encode())
        if status != 200:
            return status, data, kind
        answer = json.loads(data)
        if operation == "ListServices":
            wanted = question["Filters"][0]["Values"][0]
            answer["Services"] = [s for s in answer["Services"] if s.pop("NamespaceId") == wanted]
        elif operation == "DiscoverInstances":
            service = {key: question[key] for key in ("NamespaceName", "ServiceName")}
            answer.update(json.loads(self.repaired("DiscoverInstancesRevision", service)[1]))
        return status, json.dumps(answer).encode(), JSON


class MapProxy(FaultProxy):
    handler = _MapHandler


EMPTY = {"Namespaces": [], "Services": [], "Instances": []}


def empty_pages(body):
    """Two empty pages with tokens, and then what there is: no failure."""
    token = json.loads(body).get("NextToken")
    if token == "empty2":
        return None
    return 200, json.dumps({**EMPTY, "NextToken": "empty2" if token else "empty1"}).encode(), JSON


FAULTS = {
    "throttled": (400, b'{"__type": "RequestLimitExceeded", "message": "Rate exceeded"}', JSON),
    "broken": (500, b"oops", JSON),
    "denied": (400, b'{"__type": "AccessDeniedException", "message": "no"}', JSON),
    "garbage": (200, b'{"Services": [{"Id', JSON),
    "no list": (200, b'{"Namespaces": 1, "Services": 1, "Instances": 1, "Tags": 1, "Parameter": 1}', JSON),
    "closed": "close",
    "endless": (200, json.dumps({**EMPTY, "NextToken": "again"}).encode(), JSON),
}


# ---- what runs ----


class Map:
    """Namespaces, services and instances in the emulator."""

    def __init__(self, emulator):
        self.client = emulator.client("servicediscovery")
        self.ssm = emulator.client("ssm")

    def namespace(self, name, dns=False):
        if dns:
            done = self.client.create_private_dns_namespace(Name=name, Vpc="vpc-1")
        else:
            done = self.client.create_http_namespace(Name=name)
        operation = self.client.get_operation(OperationId=done["OperationId"])["Operation"]
        return operation["Targets"]["NAMESPACE"]

    def service(self, namespace, name, **tags):
        tags = [{"Key": k, "Value": v} for k, v in tags.items()]
        return self.client.create_service(Name=name, NamespaceId=namespace, Tags=tags)["Service"]["Id"]

    def register(self, service, instance, ip, **attributes):
        attributes = {"AWS_INSTANCE_IPV4": ip, **attributes}
        self.client.register_instance(ServiceId=service, InstanceId=instance, Attributes=attributes)

    def deregister(self, service, instance):
        self.client.deregister_instance(ServiceId=service, InstanceId=instance)

    def parameter(self, name, value, kind="String"):
        self.ssm.put_parameter(Name=name, Value=value, Type=kind, Overwrite=True)


@pytest.fixture(scope="module")
def emulator(tmp_path_factory):
    e = Emulator(tmp_path_factory.mktemp("emulator"))
    yield e
    e.close()


@pytest.fixture
def world(emulator):
    """Namespaces shop (DNS) and tools (HTTP), and services web, api (its port is its instances'), node and plain in them."""
    request = urllib.request.Request(emulator.url + "/moto-api/reset", b"", method="POST")
    urllib.request.urlopen(request).close()
    m = Map(emulator)
    m.shop, m.tools = m.namespace("shop", dns=True), m.namespace("tools")
    m.web = m.service(m.shop, "web", METRICS_PATH="/metrics", METRICS_PORT=str(PORT), team="a")
    m.api = m.service(m.shop, "api", METRICS_PATH="/m", ECS_METRICS_PATH="/ecs", ECS_METRICS_PORT=str(PORT + 1))
    m.node = m.service(m.tools, "node", METRICS_PATH="/metrics")
    m.plain = m.service(m.shop, "plain", team="b")
    ecs = {"ECS_CLUSTER_NAME": "demo", "ECS_SERVICE_NAME": "web-service", "ECS_TASK_DEFINITION_FAMILY": "Web"}
    m.register(m.web, "task1", "127.0.0.51", **ecs)
    m.register(m.web, "task2", "127.0.0.52", **ecs)
    m.register(m.api, "task3", "127.0.0.53", AWS_INSTANCE_PORT=str(PORT))
    m.register(m.node, "task4", "127.0.0.54", AWS_INSTANCE_PORT=str(PORT))
    m.register(m.plain, "task5", "127.0.0.55")
    m.parameter("ECS-ServiceDiscovery-Namespaces", "shop, tools ,nowhere")
    m.parameter("ECS-Prometheus-Configuration", "global: {scrape_interval: 1s}\n")
    return m


SHOP = [f"127.0.0.51:{PORT}", f"127.0.0.52:{PORT}", f"127.0.0.53:{PORT}", f"127.0.0.53:{PORT + 1}"]
ALL = SHOP + [f"127.0.0.54:{PORT}"]


@pytest.fixture
def proxy(emulator):
    p = MapProxy(emulator.url)
    yield p
    p.close()


def keys(proxy, **more):
    return environment(
        AWS_ENDPOINT_URL=proxy.url, AWS_REGION=REGION, AWS_ACCESS_KEY_ID="AKIATEST", AWS_SECRET_ACCESS_KEY="secret", **more
    )


def sd(*namespaces, **more):
    return {"namespaces": list(namespaces), "refresh_interval": "500ms", **more}


# ---- cloudmap_sd_configs ----


def test_instances_are_scraped(make_agent, make_target, receiver, world, proxy):
    for address in ALL:
        host, port = address.split(":")
        make_target("a 1\n", host=host, port=int(port))
    c = discovering(receiver, interval="1s", cloudmap_sd_configs=[sd(" shop ", "tools")])
    c["scrape_configs"][0]["relabel_configs"] = [
        {"source_labels": ["__meta_cloudmap_tag_team"], "target_label": "team"},
        {"source_labels": ["__meta_cloudmap_service_name"], "target_label": "map"},
    ]
    agent = make_agent(c, env=keys(proxy))
    web = {"cluster": "demo", "service": "web-service", "taskdefinition": "Web", "namespace": "shop", "team": "a"}
    until(lambda: receiver.find("a", **web, taskid="task1", instance=f"127.0.0.51:{PORT}"), "the first of web")
    until(lambda: receiver.find("a", **web, taskid="task2", instance=f"127.0.0.52:{PORT}"), "the second of web")
    until(lambda: receiver.find("a", map="api", instance=f"127.0.0.53:{PORT}"), "the application")
    until(lambda: receiver.find("a", map="api", instance=f"127.0.0.53:{PORT + 1}"), "and the other target beside it")
    until(lambda: receiver.find("a", map="node", namespace="tools"), "an HTTP namespace")
    until(lambda: addresses(agent) == ALL, "nothing else")
    assert dict(discovered(agent)[3])["__metrics_path__"] == "/ecs"
    assert {q["ServiceId"] for q in proxy.asked("ListInstances")} == {world.web, world.api, world.node}
    assert agent.metrics()['leadline_sd_cloudmap_skipped{config="test",mechanism="cloudmap",reason="no_tags"}'] == 1


def test_instances_come_and_go(make_agent, receiver, world, proxy):
    agent = make_agent(discovering(receiver, cloudmap_sd_configs=[sd("shop")]), env=keys(proxy))
    until(lambda: addresses(agent) == SHOP, "the namespace")
    world.register(world.web, "task9", "127.0.0.59")
    until(lambda: addresses(agent) == sorted(SHOP + [f"127.0.0.59:{PORT}"]), "a new instance")
    world.deregister(world.web, "task9")
    world.deregister(world.api, "task3")  # the emulator would keep both
    world.register(world.api, "task3", "127.0.0.53", AWS_INSTANCE_PORT="9999")
    until(lambda: "127.0.0.53:9999" in addresses(agent) and len(addresses(agent)) == 4, "one moved, one gone")
    calls = 'leadline_sd_refresh_aws_calls{config="test",mechanism="cloudmap"}'
    until(lambda: agent.metrics()[calls] == 2 + 2, "two lists, and two services with tags")


def test_health_is_asked_for(make_agent, receiver, world, proxy):
    world.client.update_instance_custom_health_status(ServiceId=world.web, InstanceId="task2", Status="UNHEALTHY")
    kind = sd("shop", health_status="HEALTHY")
    agent = make_agent(discovering(receiver, cloudmap_sd_configs=[kind]), env=keys(proxy))
    until(lambda: addresses(agent) == [a for a in SHOP if "52" not in a], "the healthy ones")
    assert dict(discovered(agent)[0])["__meta_cloudmap_health_status"] == "HEALTHY"
    until(lambda: len(proxy.asked("DiscoverInstancesRevision")) >= 4, "then only the revision is asked for")
    assert len(proxy.asked("DiscoverInstances")) == 2 and not proxy.asked("ListInstances")
    question = proxy.asked("DiscoverInstances")[0]
    assert question["MaxResults"] == 1000 and question["HealthStatus"] == "HEALTHY" and question["NamespaceName"] == "shop"
    world.register(world.web, "task9", "127.0.0.59")
    until(lambda: f"127.0.0.59:{PORT}" in addresses(agent), "a change is seen by the revision")
    assert len(proxy.asked("DiscoverInstances")) == 3


def told(agent):
    return agent.metrics()['prometheus_sd_refresh_failures_total{config="test",mechanism="cloudmap"}']


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_no_fault_loses_a_target(make_agent, receiver, world, proxy, fault):
    """Each call fails in turn: what was found stays, and it is counted."""
    env = keys(proxy, AWS_MAX_ATTEMPTS="1")
    kind = sd("shop", "tools", refresh_interval="250ms")
    agent = make_agent(discovering(receiver, cloudmap_sd_configs=[kind]), env=env)
    until(lambda: addresses(agent) == ALL, "all targets")
    good = discovered(agent)
    for operation in LISTS:
        before = told(agent)
        proxy.faults = {operation: FAULTS[fault]}
        until(lambda: told(agent) >= before + 2, f"{operation} fails, {fault}")
        assert discovered(agent) == good, operation
    proxy.faults = {}
    until(lambda: "target groups are refreshed again" in agent.log(), "all is well again")
    assert discovered(agent) == good


def test_tags_that_cannot_be_had(make_agent, receiver, world, proxy):
    """A service whose tags fail at first is found when they come; the others do not wait for it."""
    def fault(body):
        return FAULTS["throttled"] if json.loads(body)["ResourceARN"].endswith(world.web) else None

    proxy.faults = {"ListTagsForResource": fault}
    env = keys(proxy, AWS_MAX_ATTEMPTS="1")
    agent = make_agent(discovering(receiver, cloudmap_sd_configs=[sd("shop")]), env=env)
    until(lambda: addresses(agent) == SHOP[2:], "the others")
    proxy.faults = {}
    until(lambda: addresses(agent) == SHOP, "and then all")


def test_empty_pages_are_no_end(make_agent, receiver, world, proxy):
    proxy.faults = {operation: empty_pages for operation in LISTS}
    agent = make_agent(discovering(receiver, cloudmap_sd_configs=[sd("shop", "tools")]), env=keys(proxy))
    until(lambda: addresses(agent) == ALL, "all targets")
    assert told(agent) == 0


# ---- the sidecar ----


class Sidecar:
    def __init__(self, directory, proxy, *flags, command=(BINARY, "cloudmap-sd"), **env):
        self.dir = str(directory / "config")
        self.log_path = str(directory / "sidecar.log")
        more = {"CONFIG_FILE_DIR": self.dir + "/", "CONFIG_RELOAD_FREQUENCY": "1", "AWS_MAX_ATTEMPTS": "1", **env}
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([*command, *flags], stdout=log, stderr=log, env=keys(proxy, **more))

    def log(self):
        with open(self.log_path) as f:
            return f.read()

    def path(self, name):
        return os.path.join(self.dir, name)

    def text(self, name):
        try:
            with open(self.path(name)) as f:
                return f.read()
        except FileNotFoundError:
            return None

    def targets(self):
        text = self.text("ecs-services.json")
        return sorted(t["targets"][0] for t in json.loads(text)) if text else None

    def over_socket(self, path, name="cloudmap-sd.sock"):
        return get_over_socket(self.path(name), path)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


@pytest.fixture
def make_sidecar(tmp_path, proxy):
    made = []

    def make(*flags, **env):
        made.append(Sidecar(tmp_path, proxy, *flags, **env))
        return made[-1]

    yield make
    for s in made:
        s.process.kill()
        s.process.wait()


def test_files(make_agent, make_sidecar, make_target, receiver, world):
    target = make_target("a 1\n", host="127.0.0.51", port=PORT)
    sidecar = make_sidecar()
    until(lambda: sidecar.targets() == ALL, "the targets file")
    until(lambda: sidecar.text("prometheus.yaml") == "global: {scrape_interval: 1s}\n", "the configuration")
    assert stat.S_IMODE(os.stat(sidecar.path("ecs-services.json")).st_mode) == 0o644
    assert sidecar.text("ecs-services.json").startswith('[\n   {\n      "targets": [\n         "127.0.0.')
    first = [t for t in json.loads(sidecar.text("ecs-services.json")) if t["targets"] == [target.address]]
    assert first[0]["labels"] == {
        "__metrics_path__": "/metrics",
        "cluster": "demo",
        "instance": "127.0.0.51",
        "namespace": "shop",
        "service": "web-service",
        "taskdefinition": "Web",
        "taskid": "task1",
    }
    files = [{"files": [sidecar.path("ecs-services.json")], "refresh_interval": "1s"}]
    make_agent(discovering(receiver, interval="1s", file_sd_configs=files))
    until(lambda: receiver.find("a", taskid="task1", instance="127.0.0.51", cluster="demo"), "its samples")
    world.deregister(world.web, "task1")
    until(lambda: sidecar.targets() == ALL[1:], "one is gone")
    until(lambda: [s for s in receiver.find("a") if s.stale], "and ends with stale markers")
    assert sidecar.stop() == 0
    assert not [name for name in os.listdir(sidecar.dir) if name.endswith(".tmp")]


def test_parameters_are_followed(make_sidecar, world):
    sidecar = make_sidecar()
    until(lambda: sidecar.targets() == ALL and sidecar.text("prometheus.yaml"), "both files")
    world.parameter("ECS-Prometheus-Configuration", "global: {scrape_interval: 2s}\n", "SecureString")
    until(lambda: sidecar.text("prometheus.yaml") == "global: {scrape_interval: 2s}\n", "the new one, decrypted")
    world.parameter("ECS-ServiceDiscovery-Namespaces", "shop")
    until(lambda: sidecar.targets() == SHOP, "one namespace")
    os.remove(sidecar.path("ecs-services.json"))
    until(lambda: sidecar.targets() == SHOP, "a file that is gone is written again")


def test_names_of_parameters(make_sidecar, world):
    world.parameter("/my/namespaces", "tools")
    sidecar = make_sidecar("--instance-label=ip:port", DISCOVERY_NAMESPACES_PARAMETER_NAME="/my/namespaces", DEPLOYMENT_MODE="otel")
    until(lambda: sidecar.targets() == ALL[4:], "the namespace of that parameter")
    assert json.loads(sidecar.text("ecs-services.json"))[0]["labels"]["instance"] == f"127.0.0.54:{PORT}"
    time.sleep(1.5)
    assert sidecar.text("prometheus.yaml") is None  # DEPLOYMENT_MODE


def healthcheck(*flags):
    done = subprocess.run([BINARY, "healthcheck", *flags], capture_output=True, text=True, timeout=30)
    return done.returncode, done.stdout + done.stderr


def test_pages_of_file_mode_are_on_a_socket(make_sidecar, world):
    sidecar = make_sidecar()
    until(lambda: sidecar.targets() == ALL, "the targets file")
    assert sidecar.over_socket("/-/healthy")[0] == 200
    assert sidecar.over_socket("/-/ready")[0] == 200
    status, text = sidecar.over_socket("/metrics")
    assert status == 200 and 'leadline_sd_targets{config="cloudmap-sd",mechanism="cloudmap"} 5' in text
    assert sorted(t["targets"][0] for t in json.loads(sidecar.over_socket("/prometheus-targets")[1])) == ALL
    assert sidecar.over_socket("/other")[0] == 404
    where = "--url=unix:" + sidecar.path("cloudmap-sd.sock")
    assert healthcheck(where) == (0, "healthy\n")
    assert sidecar.stop() == 0
    assert healthcheck(where)[0] == 1


def get(port, path="/prometheus-targets"):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, e.headers["Content-Type"], e.read().decode()
    except OSError:
        return 0, "", ""


def test_http(make_agent, make_prometheus, make_sidecar, make_target, receiver, world, proxy):
    """Read by leadline and by the newest Prometheus, which find the same."""
    make_target("a 1\n", host="127.0.0.51", port=PORT)
    port = free_port()
    sidecar = make_sidecar(f"--listen-address=127.0.0.1:{port}", SERVICE_DISCOVERY_MODE="HTTP_BASED")
    until(lambda: get(port)[0] == 200, "the first list")
    assert get(port)[1] == "application/json"
    assert get(port, "/-/healthy")[0] == 200 and healthcheck(f"--port={port}")[0] == 0
    http_sd = [{"url": f"http://127.0.0.1:{port}/prometheus-targets", "refresh_interval": "1s"}]
    c = discovering(receiver, interval="1s", http_sd_configs=http_sd)
    agent, prometheus = make_agent(c), make_prometheus(c)
    until(lambda: addresses(agent) == ALL, "leadline's targets")
    until(lambda: addresses(prometheus) == ALL, "Prometheus' targets")
    assert discovered(agent) == discovered(prometheus)
    until(lambda: receiver.find("a", taskid="task1", instance="127.0.0.51"), "samples")
    asked = len(proxy.asked("ListInstances"))
    for _ in range(50):
        get(port)
    assert len(proxy.asked("ListInstances")) < asked + 50, "no request asks AWS"
    assert not os.path.exists(sidecar.path("ecs-services.json"))


def test_no_list_is_no_empty_list(make_sidecar, world, proxy):
    """Before the first list there is none: an empty one would end the targets that Prometheus has."""
    proxy.faults = {"ListNamespaces": FAULTS["denied"]}
    port = free_port()
    sidecar = make_sidecar(f"--listen-address=127.0.0.1:{port}", SERVICE_DISCOVERY_MODE="HTTP_BASED")
    until(lambda: "AccessDenied" in get(port)[2], "the reason")
    assert get(port)[0] == 503 and get(port, "/-/healthy")[0] == 200 and get(port, "/-/ready")[0] == 503
    proxy.faults = {}
    until(lambda: get(port)[0] == 200, "the list")
    assert sidecar.process.poll() is None


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_no_fault_empties_the_files(make_sidecar, world, proxy, fault):
    sidecar = make_sidecar()
    until(lambda: sidecar.targets() == ALL and sidecar.text("prometheus.yaml"), "both files")
    for operation in LISTS + ("GetParameter",):
        proxy.faults = {operation: FAULTS[fault]}
        n = len(proxy.asked(operation))
        until(lambda: len(proxy.asked(operation)) >= n + 2, f"{operation} is asked for")
        assert sidecar.targets() == ALL, operation
        assert sidecar.text("prometheus.yaml") == "global: {scrape_interval: 1s}\n"
    proxy.faults = {}
    world.register(world.web, "task9", "127.0.0.59")
    until(lambda: len(sidecar.targets()) == len(ALL) + 1, "all is well again")


def test_a_restart_amid_failures_keeps_the_file(make_sidecar, world, proxy):
    sidecar = make_sidecar()
    until(lambda: sidecar.targets() == ALL, "the targets file")
    assert sidecar.stop() == 0
    proxy.faults = {"ListInstances": lambda body: FAULTS["broken"] if json.loads(body)["ServiceId"] == world.web else None}
    sidecar = make_sidecar()
    until(lambda: "Unable to refresh target groups" in sidecar.log(), "an incomplete list")
    assert sidecar.targets() == ALL
    proxy.faults = {}
    until(lambda: sidecar.log().count("first list of targets") == 2, "a complete one")
    assert sidecar.targets() == ALL


def run(proxy, **env):
    done = subprocess.run([BINARY, "cloudmap-sd"], env=keys(proxy, **env), capture_output=True, text=True, timeout=30)
    return done.returncode, done.stderr


def test_wrong_settings_are_errors(proxy, tmp_path):
    status, text = run(proxy, SERVICE_DISCOVERY_MODE="DNS_BASED")
    assert status == 1 and "SERVICE_DISCOVERY_MODE must be FILE_BASED or HTTP_BASED" in text
    for frequency in ("often", "0", "-5", "1.5"):
        status, text = run(proxy, CONFIG_RELOAD_FREQUENCY=frequency)
        assert status == 1 and f'not "{frequency}"' in text
    status, text = run(proxy, SERVICE_DISCOVERY_MODE="HTTP_BASED", AWS_PROFILE="nobody", CONFIG_RELOAD_FREQUENCY="x")
    assert status == 1


def test_the_name_of_the_original(proxy, world, tmp_path):
    link = tmp_path / "config-reloader"
    link.symlink_to(os.path.abspath(BINARY))
    sidecar = Sidecar(tmp_path, proxy, command=(str(link),))
    try:
        until(lambda: sidecar.targets() == ALL, "the targets file")
        assert sidecar.stop() == 0
    finally:
        sidecar.process.kill()
        sidecar.process.wait()

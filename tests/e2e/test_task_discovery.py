"""Targets of the task in which leadline runs, from the task metadata endpoint: no call to AWS, no permission."""

import json
import threading

import pytest

from agent import until
from aws import environment
from fixtures import addresses, discovering
from peers import Handler, Listener

ARN = "arn:aws:ecs:eu-west-1:123456789012:task/demo/0123456789abcdef"


class _MetadataHandler(Handler):
    def do_GET(self):
        owner = self.server.owner
        with owner.lock:
            owner.asked += 1
            fault = owner.fault
            data = json.dumps(owner.task).encode()
        if fault == "close":
            self.close_connection = True
            return
        status, data = fault or (200, data)
        if self.path != "/v4/abc/task":
            status, data = 404, b"?"
        self.reply(status, data, "application/json")


class Metadata(Listener):
    """The endpoint of one task. `fault`: (status, body), "close", or None."""

    handler = _MetadataHandler

    def __init__(self, *containers):
        self.lock = threading.Lock()
        self.asked = 0
        self.fault = None
        self.task = {
            "Cluster": "demo",
            "TaskARN": ARN,
            "Family": "shop",
            "Revision": "7",
            "DesiredStatus": "RUNNING",
            "KnownStatus": "RUNNING",
            "AvailabilityZone": "eu-west-1b",
            "LaunchType": "FARGATE",
            "Containers": list(containers),
        }
        super().__init__()

    @property
    def environment(self):
        return environment(ECS_CONTAINER_METADATA_URI_V4=f"http://{self.address}/v4/abc")


def container(name, address=None, status="RUNNING", type="NORMAL", **labels):
    """In an awsvpc task, or at an address of its own in a bridge."""
    network = {"NetworkMode": "awsvpc", "IPv4Addresses": ["10.0.2.106"]}
    if address:
        network = {"NetworkMode": "bridge", "IPv4Addresses": [address]}
    return {
        "DockerId": f"id-of-{name}",
        "Name": name,
        "Image": f"shop/{name}:1",
        "Labels": {"com.amazonaws.ecs.container-name": name, **labels},
        "DesiredStatus": "RUNNING",
        "KnownStatus": status,
        "Type": type,
        "Networks": [network],
    }


def port(target):
    return target.address.rsplit(":", 1)[1]


def of_the_task(receiver, sd=None, relabel=(), interval="250ms"):
    c = discovering(receiver, interval, ecs_task_sd_configs=[{"refresh_interval": "1s", **(sd or {})}])
    c["scrape_configs"][0]["relabel_configs"] = [
        {"source_labels": [f"__meta_ecs_task_{name}"], "target_label": name}
        for name in ("cluster", "arn", "family", "revision", "availability_zone", "launch_type", "container_name", *relabel)
    ]
    return c


@pytest.fixture
def make_metadata():
    made = []

    def make(*containers):
        made.append(Metadata(*containers))
        return made[-1]

    yield make
    for m in made:
        m.close()


def test_a_task_with_its_own_network(make_agent, make_target, make_metadata, receiver):
    """awsvpc: every container is at 127.0.0.1; by docker label, and by the configured list of ports."""
    app, exporter, sidecar = make_target("a 1\n"), make_target("b 2\n"), make_target("c 3\n")
    metadata = make_metadata(
        container("app", ECS_PROMETHEUS_EXPORTER_PORT=port(app), team="pay"),
        container("exporter", ECS_PROMETHEUS_EXPORTER_PORT=port(exporter), ECS_PROMETHEUS_METRICS_PATH="/deep/metrics"),
        container("sidecar"),
        container("leadline"),
        container("~internal~ecs~pause", type="CNI_PAUSE", ECS_PROMETHEUS_EXPORTER_PORT="1"),
    )
    sd = {"containers": [{"name": "side.*", "ports": [int(port(sidecar))], "metrics_path": "/c"}]}
    c = of_the_task(receiver, sd, relabel=("container_label_team", "container_image", "container_id"))
    agent = make_agent(c, env=metadata.environment)
    task = {"arn": ARN, "cluster": "demo", "family": "shop", "revision": "7", "availability_zone": "eu-west-1b"}
    sample = until(lambda: receiver.find("a", container_name="app", **task), "the sample of app")[0]
    labels = dict(sample.labels)
    assert labels["instance"] == app.address and labels["launch_type"] == "FARGATE"
    assert labels["container_label_team"] == "pay" and labels["container_image"] == "shop/app:1"
    assert labels["container_id"] == "id-of-app"
    until(lambda: receiver.find("b", container_name="exporter", instance=exporter.address), "the sample of exporter")
    until(lambda: receiver.find("c", container_name="sidecar"), "the sample of sidecar")
    urls = sorted(t["scrapeUrl"].partition("/")[2].lstrip("/").partition("/")[2] for t in agent.api("targets")["activeTargets"])
    assert urls == ["c", "deep/metrics", "metrics"]
    assert "left out" not in agent.log()


def test_a_task_in_a_bridge(make_agent, make_target, make_metadata, receiver):
    """Each container at its own address, at the port it listens on itself."""
    one, two = make_target("a 1\n", host="127.0.3.11"), make_target("a 2\n", host="127.0.3.12")
    metadata = make_metadata(
        container("one", address="127.0.3.11", ECS_PROMETHEUS_EXPORTER_PORT=port(one)),
        container("two", address="127.0.3.12", ECS_PROMETHEUS_EXPORTER_PORT=port(two)),
    )
    agent = make_agent(of_the_task(receiver), env=metadata.environment)
    first = until(lambda: receiver.find("a", container_name="one", instance=one.address), "the sample of one")[0]
    second = until(lambda: receiver.find("a", container_name="two", instance=two.address), "the sample of two")[0]
    assert (first.value, second.value) == (1, 2)
    assert addresses(agent) == [one.address, two.address]


def test_containers_come_and_go(make_agent, make_target, make_metadata, receiver):
    app, late = make_target("a 1\n"), make_target("b 2\n")
    slow = container("late", status="PENDING", ECS_PROMETHEUS_EXPORTER_PORT=port(late))
    metadata = make_metadata(container("app", ECS_PROMETHEUS_EXPORTER_PORT=port(app)), slow)
    agent = make_agent(of_the_task(receiver), env=metadata.environment)
    until(lambda: receiver.find("a"), "the sample of app")
    assert addresses(agent) == [app.address]
    with metadata.lock:
        slow["KnownStatus"] = "RUNNING"
        asked = metadata.asked
    until(lambda: len(addresses(agent)) == 2, "the container that has started")
    assert metadata.asked <= asked + 2, "it is there after one refresh"
    until(lambda: receiver.find("b", container_name="late"), "its sample")
    with metadata.lock:
        slow["KnownStatus"] = "STOPPED"
    until(lambda: addresses(agent) == [app.address], "the container that has stopped")
    until(lambda: any(s.stale for s in receiver.find("b")), "its series end")


@pytest.mark.parametrize("fault", [(500, b"oops"), (200, b"{}"), (200, b'{"Containers": [{"Na'), (404, b""), "close", "down"])
def test_no_fault_loses_a_target(make_agent, make_target, make_metadata, receiver, fault):
    app = make_target("a 1\n")
    metadata = make_metadata(container("app", ECS_PROMETHEUS_EXPORTER_PORT=port(app)))
    agent = make_agent(of_the_task(receiver), env=metadata.environment)
    until(lambda: receiver.find("a"), "the sample of app")
    failures = 'prometheus_sd_refresh_failures_total{config="test",mechanism="ecs_task"}'
    if fault == "down":
        metadata.close()
    else:
        metadata.fault = fault
    until(lambda: agent.metrics()[failures] >= 2, "refreshes fail")
    assert addresses(agent) == [app.address]
    n = len(receiver.find("a"))
    until(lambda: len(receiver.find("a")) > n + 2, "it is scraped on")
    assert agent.log().count("Unable to refresh target groups") == 1
    if fault == "down":
        metadata.restart()
    metadata.fault = None
    until(lambda: "target groups are refreshed again" in agent.log(), "all is well again")
    assert not any(s.stale for s in receiver.find("a"))


def test_bad_items_harm_nobody_else(make_agent, make_target, make_metadata, receiver):
    app = make_target("a 1\n")
    metadata = make_metadata(
        container("words", ECS_PROMETHEUS_EXPORTER_PORT="nine"),
        container("high", ECS_PROMETHEUS_EXPORTER_PORT="70000"),
        container("long", ECS_PROMETHEUS_EXPORTER_PORT="9" * 10000),
        container("nowhere", address="", ECS_PROMETHEUS_EXPORTER_PORT="1"),
        {"Name": "odd", "KnownStatus": "RUNNING", "Labels": ["no", "map"], "Networks": "none"},
        None,
        container("app", ECS_PROMETHEUS_EXPORTER_PORT=port(app), note="x" * 10000),
    )
    metadata.task["Containers"][3]["Networks"] = [{"NetworkMode": "bridge", "IPv4Addresses": []}]
    agent = make_agent(of_the_task(receiver), env=metadata.environment)
    until(lambda: receiver.find("a", container_name="app"), "the sample of app")
    assert addresses(agent) == [app.address]
    skipped = 'leadline_sd_skipped_total{config="test",mechanism="ecs_task"}'
    assert agent.metrics()[skipped] >= 4
    assert agent.log().count("a container of this task is left out") == 1


def test_outside_a_task(make_agent, make_target, receiver):
    """The error says where this discovery works; the job's other discoveries do."""
    target = make_target("a 1\n")
    c = of_the_task(receiver)
    c["scrape_configs"][0]["static_configs"] = [{"targets": [target.address]}]
    agent = make_agent(c, env=environment())
    until(lambda: receiver.find("a"), "the static target's sample")
    assert "ECS_CONTAINER_METADATA_URI_V4 is not set" in agent.log()

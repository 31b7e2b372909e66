"""The CloudWatch agent's discovery on an emulated AWS: `leadline cloudwatch-agent` writes the file, `leadline prometheus`
reads it and scrapes. Each call to AWS fails in each way, and no target is lost."""

import json
import os
import signal
import subprocess

import pytest

from agent import BINARY, until
from aws import REGION, Emulator, environment
from cloudwatch import CloudWatchAgent, agent_json
from fault_proxy import FaultProxy
from fixtures import config
from peers import Listener

PORT = 9404
NET = "127.0.9."  # every address here
HOST, SECOND, THIRD = NET + "77", NET + "78", NET + "79"


# ---- what runs ----


@pytest.fixture(scope="module")
def emulator(tmp_path_factory):
    e = Emulator(tmp_path_factory.mktemp("emulator"))
    e.keys = e.user()
    e.role = e.role()
    build(e)
    e.guard()
    yield e
    e.close()


def build(e):
    """Cluster demo: a Fargate task, two services, two tasks in bridges and one in host mode on
    instances. Cluster other: a
    Fargate task."""
    ecs, ec2 = e.client("ecs"), e.client("ec2")
    for name in ("demo", "other"):
        ecs.create_cluster(clusterName=name)
    labels = {"ECS_PROMETHEUS_EXPORTER_PORT": str(PORT), "job": "by-label", "Java_EMF_Metrics": "true", "not-a-label": "x"}
    app = {"name": "app", "image": "x", "memory": 64, "dockerLabels": labels, "portMappings": [{"containerPort": PORT}]}
    exporter = {"name": "nginx-exporter", "image": "x", "memory": 64}
    exporter["portMappings"] = [{"containerPort": 9113}, {"containerPort": 9114}]
    fargate = {"networkMode": "awsvpc", "cpu": "256", "memory": "512", "requiresCompatibilities": ["FARGATE"]}
    ecs.register_task_definition(family="web", **fargate, containerDefinitions=[app])
    ecs.register_task_definition(family="shop", **fargate, containerDefinitions=[{**app, "dockerLabels": {}}, exporter])
    ecs.register_task_definition(family="bridge", networkMode="bridge", containerDefinitions=[app])
    hosted = {**app, "dockerLabels": {}, "portMappings": [{"containerPort": 9150}]}
    ecs.register_task_definition(family="memcached", networkMode="host", containerDefinitions=[hosted])
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    group = ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"]
    network = {"awsvpcConfiguration": {"subnets": [subnet], "securityGroups": [group]}}
    e.fargate = {"cluster": "demo", "taskDefinition": "web", "launchType": "FARGATE", "networkConfiguration": network}
    ecs.run_task(**e.fargate, tags=ip(42))
    ecs.run_task(**{**e.fargate, "cluster": "other"}, tags=ip(43))
    for name, at in (("shop", 44), ("shop-admin", 45)):
        ecs.create_service(**{**e.fargate, "taskDefinition": "shop"}, serviceName=name, desiredCount=1, tags=ip(at))

    vpc = ec2.create_vpc(CidrBlock="127.0.0.0/16")["Vpc"]["VpcId"]
    loopback = ec2.create_subnet(VpcId=vpc, CidrBlock=NET + "0/24")["Subnet"]["SubnetId"]
    image = ec2.describe_images()["Images"][0]["ImageId"]
    e.instance = None
    for host in (HOST, SECOND, THIRD):  # the emulator puts one task with dynamic ports on an instance
        run = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, SubnetId=loopback, PrivateIpAddress=host)
        instance = run["Instances"][0]
        e.instance = e.instance or instance
        identity = json.dumps({"instanceId": instance["InstanceId"], "region": REGION})
        ecs.register_container_instance(cluster="demo", instanceIdentityDocument=identity)
    for port in (32801, 32802):
        ecs.run_task(cluster="demo", taskDefinition="bridge", launchType="EC2", tags=host_port(port))
    ecs.run_task(cluster="demo", taskDefinition="memcached", launchType="EC2")


def ip(last):
    return [{"key": "ip", "value": f"{NET}{last}"}]


def host_port(port):
    return [{"key": f"port-{PORT}", "value": str(port)}]


DISCOVERY = {
    "sd_target_cluster": "demo",
    "docker_label": {},
    "service_name_list_for_tasks": [
        {
            "sd_service_name_pattern": "^shop$",
            "sd_metrics_ports": "9113; 9114",
            "sd_container_name_pattern": "-exporter$",
            "sd_job_name": "nginx",
        },
        {"sd_service_name_pattern": "admin", "sd_metrics_ports": str(PORT), "sd_metrics_path": "/admin/metrics"},
    ],
    "task_definition_list": [
        {"sd_task_definition_arn_pattern": ":task-definition/memcached:[0-9]+$", "sd_metrics_ports": "9150"}
    ],
}
IN_DEMO = sorted(
    [f"{NET}42:{PORT}", f"{NET}44:9113", f"{NET}44:9114", f"{NET}45:{PORT}", f"{HOST}:32801", f"{SECOND}:32802", f"{HOST}:9150"]
)


@pytest.fixture
def make_cloudwatch(tmp_path, emulator):
    made = []

    def make(discovery=DISCOVERY, *flags, url=None, start=True, name=None, **variables):
        directory = tmp_path / (name or f"cloudwatch{len(made)}")
        made.append(CloudWatchAgent(directory, discovery, url or emulator.url, emulator.keys, *flags, **variables))
        return made[-1].start() if start else made[-1]

    yield make
    for a in made:
        a.kill()


@pytest.fixture
def make_proxy(emulator):
    made = []

    def make():
        made.append(FaultProxy(emulator.url))
        return made[-1]

    yield make
    for p in made:
        p.close()


def finds(agent, addresses=IN_DEMO):
    until(lambda: sorted(agent.targets() or {}) == sorted(addresses), f"the targets\n{agent.text()}\n{agent.log()}")


# ---- what is found ----


def test_labels(make_cloudwatch, emulator):
    agent = make_cloudwatch()
    finds(agent)
    found = agent.targets()
    web = found[f"{NET}42:{PORT}"]
    assert len(web.pop("TaskId")) == 36
    assert web == {
        "container_name": "app",
        "TaskDefinitionFamily": "web",
        "TaskRevision": "1",
        "TaskGroup": "family:web",
        "LaunchType": "FARGATE",
        "TaskClusterName": "demo",
        "ECS_PROMETHEUS_EXPORTER_PORT": str(PORT),
        "Java_EMF_Metrics": "true",
        "job": "by-label",
    }
    shop = found[f"{NET}44:9114"]
    assert (shop["ServiceName"], shop["job"], shop["container_name"]) == ("shop", "nginx", "nginx-exporter")
    assert shop["StartedBy"].startswith("ecs-svc/") and shop["TaskGroup"] == "service:shop"
    assert "__metrics_path__" not in shop
    admin = found[f"{NET}45:{PORT}"]
    assert (admin["ServiceName"], admin["__metrics_path__"]) == ("shop-admin", "/admin/metrics")
    bridge = found[f"{HOST}:32801"]
    assert (bridge["LaunchType"], bridge["InstanceType"]) == ("EC2", emulator.instance["InstanceType"])
    assert (bridge["VpcId"], bridge["SubnetId"]) == (emulator.instance["VpcId"], emulator.instance["SubnetId"])
    assert "ServiceName" not in bridge
    assert found[f"{HOST}:9150"]["TaskDefinitionFamily"] == "memcached"
    assert os.stat(agent.result).st_mode & 0o777 == 0o644
    assert agent.stop() == 0


def test_samples_of_all_arrive(make_cloudwatch, make_target, make_agent, receiver):
    """Real targets at every address that is found, scraped by way of the file."""
    where = [("42", PORT), ("44", 9113), ("44", 9114), ("45", PORT), ("77", 32801), ("78", 32802), ("77", 9150)]
    targets = {f"{NET}{last}:{port}": make_target(f"up_here {port}\n", host=NET + last, port=port) for last, port in where}
    assert sorted(targets) == IN_DEMO
    cloudwatch = make_cloudwatch()
    finds(cloudwatch)
    c = config([], receiver.url, interval="1s")
    c["scrape_configs"][0].pop("static_configs")
    c["scrape_configs"][0]["file_sd_configs"] = [{"files": [cloudwatch.result], "refresh_interval": "1s"}]
    make_agent(c)
    for address, labels in cloudwatch.targets().items():
        expected = {k: v for k, v in labels.items() if not k.startswith("__")}
        port = float(address.rsplit(":", 1)[1])
        sample = until(lambda: receiver.find("up_here", instance=address, **expected), f"samples of {address}")[0]
        assert sample.value == port
        expected.setdefault("job", "test")
        assert set(dict(sample.labels)) == set(expected) | {"__name__", "instance"}
    assert any(path == "/admin/metrics" for path, *_ in targets[f"{NET}45:{PORT}"].requests)


def test_several_clusters(make_cloudwatch, emulator):
    """In place of sd_target_cluster; one by a role."""
    listed = json.dumps([{"cluster": "demo"}, {"cluster": "other", "region": REGION, "role_arn": emulator.role}])
    agent = make_cloudwatch({"docker_label": {}}, LEADLINE_ECS_CLUSTERS=listed)
    finds(agent, [f"{NET}42:{PORT}", f"{NET}43:{PORT}", f"{HOST}:32801", f"{SECOND}:32802"])
    assert agent.targets()[f"{NET}43:{PORT}"]["TaskClusterName"] == "other"


def test_a_change_is_seen_in_the_next_refresh(make_cloudwatch, emulator):
    agent = make_cloudwatch()
    finds(agent)
    ecs = emulator.client("ecs", *emulator.keys)
    task = ecs.run_task(**emulator.fargate, tags=ip(99))["tasks"][0]["taskArn"]
    agent.refreshes()
    assert f"{NET}99:{PORT}" in agent.targets(), "a task that was started"
    ecs.stop_task(cluster="demo", task=task)
    agent.refreshes()
    assert sorted(agent.targets()) == IN_DEMO, "a task that was stopped"

    bridge = {"cluster": "demo", "taskDefinition": "bridge", "launchType": "EC2"}
    task = ecs.run_task(**bridge, tags=host_port(32803))["tasks"][0]["taskArn"]
    agent.refreshes()
    assert f"{THIRD}:32803" in agent.targets()
    ecs.stop_task(cluster="demo", task=task)
    task = ecs.run_task(**bridge, tags=host_port(32804))["tasks"][0]["taskArn"]
    agent.refreshes()
    assert f"{THIRD}:32804" in agent.targets() and f"{THIRD}:32803" not in agent.targets(), "a port that moved"
    ecs.stop_task(cluster="demo", task=task)


# ---- through faults ----

JSON, XML = "application/x-amz-json-1.1", "text/xml"
LISTS = ("ListTasks", "DescribeTasks", "ListServices", "DescribeServices")
DETAILS = ("DescribeTaskDefinition", "DescribeContainerInstances", "DescribeInstances")


def refusal(code, status=400):
    def answer(operation):
        if operation == "DescribeInstances":
            text = f"<Response><Errors><Error><Code>{code}</Code><Message>no</Message></Error></Errors></Response>"
            return status, text.encode(), XML
        return status, json.dumps({"__type": code, "message": "no"}).encode(), JSON

    return lambda operation: lambda body: answer(operation)


def repeated(operation):
    if operation == "DescribeInstances":
        page = b"<DescribeInstancesResponse><reservationSet/><nextToken>again</nextToken></DescribeInstancesResponse>"
        return lambda body: (200, page, XML)
    if operation.startswith("List"):
        return lambda body: (200, b'{"taskArns": [], "serviceArns": [], "nextToken": "again"}', JSON)
    return None


FAULTS = {
    "throttled": refusal("ThrottlingException"),
    "denied": refusal("AccessDeniedException"),
    "server": refusal("ServerException", 500),
    "html": lambda operation: lambda body: (500, b"<html>oops", "text/html"),
    "malformed": lambda operation: lambda body: (200, b'{"tasks": [{"taskArn', JSON),
    "closed": lambda operation: lambda body: "close",
    "repeated token": repeated,
}


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_no_fault_loses_a_target(make_cloudwatch, make_proxy, fault):
    """Each call of a refresh fails in turn."""
    proxy = make_proxy()
    agent = make_cloudwatch(url=proxy.url)
    finds(agent)
    good = agent.text()
    failures = "prometheus_sd_refresh_failures_total"
    for operation in LISTS:
        answer = FAULTS[fault](operation)
        if not answer:
            continue
        before = agent.metric(failures)
        proxy.faults = {operation: answer}
        until(lambda: agent.metric(failures) > before, f"{operation} fails\n{agent.log()}")
        assert agent.text() == good, operation
    proxy.faults = {}
    until(lambda: "target groups are refreshed again" in agent.log(), "all is well again")
    assert agent.text() == good


@pytest.mark.parametrize("fault", sorted(set(FAULTS) - {"denied"}))
def test_a_file_from_before_survives_a_bad_start(make_cloudwatch, make_proxy, fault):
    """Calls about what is then kept are made at the start only."""
    proxy = make_proxy()
    agent = make_cloudwatch(url=proxy.url)
    finds(agent)
    good = agent.text()
    for operation in DETAILS + LISTS:
        answer = FAULTS[fault](operation)
        if not answer:
            continue
        assert agent.stop() == 0
        proxy.faults = {operation: answer}
        agent.start()
        agent.refreshes(1)
        assert agent.text() == good, operation
    proxy.faults = {}
    agent.refreshes()
    assert agent.text() == good and agent.get("/-/ready")[0] == 200


def test_an_answer_that_never_comes(make_cloudwatch, make_proxy):
    """Each call hangs, side by side: it is given up, and the next one answers."""
    agents = {}
    for operation in LISTS:
        proxy = make_proxy()
        agents[operation] = (make_cloudwatch(url=proxy.url), proxy)
    for operation, (agent, proxy) in agents.items():
        finds(agent)
        proxy.faults = {operation: proxy.hang}
    for operation, (agent, proxy) in agents.items():
        until(lambda: agent.metric("prometheus_sd_refresh_failures_total"), f"{operation} is given up\n{agent.log()}")
        proxy.faults = {}
        assert sorted(agent.targets()) == IN_DEMO, operation
    for agent, _ in agents.values():
        until(lambda: "target groups are refreshed again" in agent.log(), "all is well again")
        assert sorted(agent.targets()) == IN_DEMO


def test_empty_pages_are_passed_over(make_cloudwatch, make_proxy):
    proxy = make_proxy()

    def empty_first(body):
        token = json.loads(body).get("nextToken")
        return None if token else (200, b'{"taskArns": [], "serviceArns": [], "nextToken": "0"}', JSON)

    proxy.faults = {"ListTasks": empty_first, "ListServices": empty_first}
    agent = make_cloudwatch(url=proxy.url)
    finds(agent)
    agent.refreshes()
    assert sorted(agent.targets()) == IN_DEMO
    assert agent.metric("prometheus_sd_refresh_failures_total") == 0


def test_what_is_denied_lastingly_is_said(make_cloudwatch, make_proxy):
    """Without DescribeInstances the tasks on Fargate are found nevertheless."""
    proxy = make_proxy()
    proxy.faults = {"DescribeInstances": FAULTS["denied"]("DescribeInstances")}
    agent = make_cloudwatch(url=proxy.url)
    finds(agent, [a for a in IN_DEMO if not a.startswith(NET + "7")])
    until(lambda: "DescribeInstances" in agent.log() and "AccessDenied" in agent.log(), "the log names the call")
    proxy.faults = {}
    finds(agent)


# ---- the program ----


def test_the_json_in_a_directory(make_cloudwatch, tmp_path, emulator):
    """In two files, one of which says that it wants to hear more."""
    directory = tmp_path / "cwagentconfig"
    directory.mkdir()
    result = str(tmp_path / "cloudwatch0" / "targets.yaml")
    discovery = {**DISCOVERY, "sd_result_file": result, "sd_cluster_region": REGION, "sd_frequency": "1s"}
    (directory / "a.json").write_text(json.dumps(agent_json(discovery)))
    (directory / "b").write_text('{"agent": {"debug": true}}')
    (directory / "prometheus.yaml").write_text("scrape_configs: []\n")
    agent = make_cloudwatch(config=str(directory))
    finds(agent)
    agent.refreshes()
    for name, n in (("AWSCLI_ListTasks", 1), ("AWSCLI_DescribeTasks", 1), ("Exporter_DiscoveredTargetCount", len(IN_DEMO))):
        assert f"ECS_SD_Stats: {name}: {n}" in agent.log()
    assert "LRUCache_Size_TaskDefinition: 4" in agent.log() and "ECS_SD_Stats: Latency: " in agent.log()
    assert emulator.keys[1] not in agent.log()

    (directory / "a.json").write_text(json.dumps(agent_json({**discovery, "docker_label": {"sd_port_label": "none"}})))
    agent.process.send_signal(signal.SIGHUP)
    finds(agent, [a for a in IN_DEMO if a in (f"{NET}44:9113", f"{NET}44:9114", f"{NET}45:{PORT}", f"{HOST}:9150")])
    (directory / "a.json").write_text("{")
    agent.process.send_signal(signal.SIGHUP)
    until(lambda: "Error reloading config" in agent.log(), "a bad file is told")
    agent.refreshes()
    assert agent.stop() == 0


def test_cluster_and_region_of_the_own_task(make_cloudwatch, emulator):
    class Metadata(Listener):
        from aws import _TaskHandler as handler

        vault = None

    metadata = Metadata()
    try:
        agent = make_cloudwatch({"docker_label": {}}, start=False)
        content = {"sd_result_file": agent.result, "sd_frequency": "1s", "docker_label": {}, "sd_target_cluster": "other"}
        agent.env["CW_CONFIG_CONTENT"] = json.dumps(agent_json(content))
        agent.env["ECS_CONTAINER_METADATA_URI_V4"] = f"http://{metadata.address}/v4/id"
        agent.start()
        finds(agent, [f"{NET}43:{PORT}"])
        assert f"region={REGION}" in agent.log()
    finally:
        metadata.close()


def run(content, **variables):
    env = environment(CW_CONFIG_CONTENT=content, **variables) if content else environment(**variables)
    done = subprocess.run([BINARY, "cloudwatch-agent"], capture_output=True, text=True, timeout=30, env=env)
    return done.returncode, done.stderr


def test_what_cannot_start():
    status, said = run(None)
    assert status == 1 and "CW_CONFIG_CONTENT is not set" in said
    status, said = run('{"agent": {"region": "eu-west-1"}}')
    assert status == 1 and "there is nothing to do" in said
    status, said = run(json.dumps(agent_json({"docker_label": {}, "sd_frequency": "0s"})))
    assert status == 1 and "CW_CONFIG_CONTENT:1:" in said and "Invalid ECS service discovery frequency" in said
    status, said = run('{"logs": {"logs_collected": {"files": {}}}}')
    assert status == 1 and "logs_collected: not supported by leadline: it does not collect log files" in said


def test_names_of_the_original(tmp_path):
    for name in ("amazon-cloudwatch-agent", "start-amazon-cloudwatch-agent"):
        os.symlink(os.path.abspath(BINARY), tmp_path / name)
        done = subprocess.run([tmp_path / name, "--help"], capture_output=True, text=True, timeout=30)
        assert done.returncode == 0 and "ecs_service_discovery" in done.stdout


def test_pages_on_a_socket(make_cloudwatch, tmp_path):
    socket = tmp_path / "web.sock"
    agent = make_cloudwatch(DISCOVERY, f"--web.listen-address=unix:{socket}")
    until(socket.exists, "the socket")
    healthcheck = [BINARY, "healthcheck", f"--url=unix:{socket}"]
    assert subprocess.run(healthcheck, capture_output=True, timeout=30).returncode == 0
    assert agent.stop() == 0
    assert subprocess.run(healthcheck, capture_output=True, timeout=30).returncode == 1

"""Targets on EC2 and ECS, from an emulated AWS: alone, through faults, and beside the newest Prometheus, which must find the
same instances and tasks with the same labels."""

import json

import pytest

from agent import until
from aws import REGION, Emulator, environment
from fault_proxy import JSON, XML, FaultProxy
from fixtures import addresses, discovered, discovering
from prometheus_peer import make_prometheus  # noqa: F401 - a fixture

PORT = 9404


# ---- what runs ----


@pytest.fixture(scope="module")
def emulator(tmp_path_factory):
    e = Emulator(tmp_path_factory.mktemp("emulator"))
    e.keys = e.user()
    build(e)
    e.guard()
    yield e
    e.close()


def build(e):
    """Clusters demo and other: Fargate tasks, a service of two, a task in a bridge, tasks with interfaces on an instance."""
    ecs, ec2 = e.client("ecs"), e.client("ec2")
    ecs.create_cluster(clusterName="demo", tags=[{"key": "cost centre", "value": "7"}])
    ecs.create_cluster(clusterName="other")
    app = {"name": "app", "image": "x", "memory": 64, "portMappings": [{"containerPort": PORT}]}
    ecs.register_task_definition(
        family="web",
        networkMode="awsvpc",
        cpu="256",
        memory="512",
        requiresCompatibilities=["FARGATE"],
        containerDefinitions=[app],
    )
    bridged = {**app, "portMappings": [{"containerPort": PORT, "hostPort": 0}]}
    ecs.register_task_definition(family="bridge", networkMode="bridge", containerDefinitions=[bridged])
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    group = ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"]
    network = {"awsvpcConfiguration": {"subnets": [subnet], "securityGroups": [group]}}
    e.fargate = {"cluster": "demo", "taskDefinition": "web", "launchType": "FARGATE", "networkConfiguration": network}
    ecs.run_task(**e.fargate, tags=[{"key": "ip", "value": "127.0.0.42"}, {"key": "team:name", "value": "a"}])
    tags = [{"key": "team", "value": "shop"}]
    ecs.create_service(**e.fargate, serviceName="shop", desiredCount=2, tags=tags)
    ecs.run_task(**{**e.fargate, "cluster": "other"}, tags=[{"key": "ip", "value": "127.0.0.43"}])

    vpc = ec2.create_vpc(CidrBlock="127.0.0.0/16")["Vpc"]["VpcId"]
    loopback = ec2.create_subnet(VpcId=vpc, CidrBlock="127.0.0.0/24")["Subnet"]["SubnetId"]
    image = ec2.describe_images()["Images"][0]["ImageId"]
    e.instances = []
    for address, name in (("127.0.0.77", "host"), ("127.0.0.78", "plain & simple")):
        run = ec2.run_instances(
            ImageId=image,
            MinCount=1,
            MaxCount=1,
            SubnetId=loopback,
            PrivateIpAddress=address,
            TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": name}]}],
        )
        e.instances.append(run["Instances"][0]["InstanceId"])
    identity = json.dumps({"instanceId": e.instances[0], "region": REGION})
    ecs.register_container_instance(cluster="demo", instanceIdentityDocument=identity)
    ecs.run_task(cluster="demo", taskDefinition="bridge", launchType="EC2")


# ---- configurations ----


def sd(emulator, url=None, **more):
    key, secret = emulator.keys
    base = {"region": REGION, "endpoint": url or emulator.url, "access_key": key, "secret_key": secret}
    return {**base, "port": PORT, "refresh_interval": "1s", **more}


def aws_environment(emulator, url=None):
    """`endpoint` is that of ECS alone: EC2 has its own variable, for the original too."""
    return environment(AWS_ENDPOINT_URL_EC2=url or emulator.url)


# ---- alone ----


def test_tasks_are_scraped(make_agent, make_target, receiver, emulator):
    """Fargate, a service, a bridge: samples arrive with labels made of what ECS says."""
    make_target("a 1\n", host="127.0.0.42", port=PORT)
    make_target("a 2\n", host="127.0.0.77", port=PORT)
    c = discovering(receiver, interval="1s", ecs_sd_configs=[sd(emulator, clusters=["demo"])])
    c["scrape_configs"][0]["relabel_configs"] = [
        {"source_labels": ["__meta_ecs_cluster"], "target_label": "cluster"},
        {"source_labels": ["__meta_ecs_network_mode"], "target_label": "mode"},
        {"source_labels": ["__meta_ecs_tag_task_team_name"], "target_label": "team"},
    ]
    agent = make_agent(c, env=aws_environment(emulator))
    until(lambda: receiver.find("a", cluster="demo", mode="awsvpc", team="a"), "the task on Fargate")
    until(lambda: receiver.find("a", cluster="demo", mode="bridge"), "the task in a bridge")
    assert len(discovered(agent)) == 4
    assert emulator.keys[1] not in agent.log() + agent.get("/api/v1/status/config")[1]


def test_tasks_come_and_go(make_agent, receiver, emulator):
    agent = make_agent(discovering(receiver, ecs_sd_configs=[sd(emulator)]), env=aws_environment(emulator))
    until(lambda: len(addresses(agent)) == 5, "all tasks of all clusters")
    ecs = emulator.client("ecs", *emulator.keys)
    task = ecs.run_task(**emulator.fargate, tags=[{"key": "ip", "value": "127.0.0.99"}])["tasks"][0]["taskArn"]
    until(lambda: f"127.0.0.99:{PORT}" in addresses(agent), "a task that was started")
    ecs.stop_task(cluster="demo", task=task)
    until(lambda: len(addresses(agent)) == 5, "a task that was stopped")


def test_wrong_keys_are_told(make_agent, receiver, emulator):
    c = discovering(
        receiver,
        ecs_sd_configs=[sd(emulator, secret_key="wrong")],
        ec2_sd_configs=[sd(emulator, secret_key="wrong")],
    )
    agent = make_agent(c, env=aws_environment(emulator))
    until(lambda: agent.log().count("Unable to refresh target groups") >= 2, "both say so, once")
    assert "SignatureDoesNotMatch" in agent.log() and "AuthFailure" in agent.log()
    failed = 'prometheus_sd_refresh_failures_total{config="test",mechanism="%s"}'
    until(lambda: agent.metrics()[failed % "ec2"] and agent.metrics()[failed % "ecs"], "both are counted")
    assert not agent.api("targets")["activeTargets"]


def test_a_cluster_that_is_not_there(make_agent, receiver, emulator):
    c = discovering(receiver, ecs_sd_configs=[sd(emulator, clusters=["nowhere", "other"])])
    agent = make_agent(c, env=aws_environment(emulator))
    until(lambda: addresses(agent) == [f"127.0.0.43:{PORT}"], "the other cluster's task")
    until(lambda: "ClusterNotFoundException" in agent.log(), "the log names the reason")


def test_a_proxy_of_the_configuration(make_agent, receiver, emulator):
    """The HTTP block of the discovery, for the calls to AWS: here a proxy that passes on what it is asked for."""
    proxy = FaultProxy("")
    try:
        c = discovering(receiver, ec2_sd_configs=[sd(emulator, proxy_url=proxy.url)])
        agent = make_agent(c, env=aws_environment(emulator))
        until(lambda: len(addresses(agent)) == 2, "the instances")
        assert "DescribeInstances" in proxy.operations()
    finally:
        proxy.close()


# ---- through faults ----


FAULTS = {
    "throttled": lambda ec2: (
        (503, b"<Response><Errors><Error><Code>RequestLimitExceeded</Code></Error></Errors></Response>", XML)
        if ec2
        else (400, b'{"__type": "ThrottlingException", "message": "Rate exceeded"}', JSON)
    ),
    "denied": lambda ec2: (
        (403, b"<Response><Errors><Error><Code>UnauthorizedOperation</Code></Error></Errors></Response>", XML)
        if ec2
        else (400, b'{"__type": "AccessDeniedException", "message": "no"}', JSON)
    ),
    "broken": lambda ec2: (500, b"oops", "text/html"),
    "garbage": lambda ec2: (200, b"<html>a proxy's greeting" if ec2 else b'{"tasks": [{"taskArn', JSON),
    "closed": lambda ec2: "close",
}
ECS_CALLS = ("ListClusters", "ListTasks", "DescribeTasks", "DescribeServices")


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_no_fault_loses_a_target(make_agent, receiver, emulator, fault):
    """Each call fails in turn: what was found stays, and it is counted."""
    proxy = FaultProxy(emulator.url)
    try:
        ec2_sd = sd(emulator, url=proxy.url, port=PORT + 1)
        c = discovering(receiver, ecs_sd_configs=[sd(emulator, url=proxy.url)], ec2_sd_configs=[ec2_sd])
        env = {**aws_environment(emulator, proxy.url), "AWS_MAX_ATTEMPTS": "1"}
        agent = make_agent(c, env=env)
        until(lambda: len(addresses(agent)) == 7, "tasks and instances")
        good = discovered(agent)
        for operation in ECS_CALLS + ("DescribeInstances",):
            mechanism = "ec2" if operation == "DescribeInstances" else "ecs"
            counter = f'prometheus_sd_refresh_failures_total{{config="test",mechanism="{mechanism}"}}'
            before = agent.metrics()[counter]
            proxy.faults = {operation: FAULTS[fault](mechanism == "ec2")}
            until(lambda: agent.metrics()[counter] > before, f"{operation} fails, {fault}")
            assert discovered(agent) == good, operation
        proxy.faults = {}
        until(lambda: agent.log().count("target groups are refreshed again") >= 2, "all is well again")
        assert discovered(agent) == good
    finally:
        proxy.close()


def test_what_a_refresh_costs(make_agent, receiver, emulator):
    proxy = FaultProxy(emulator.url)
    try:
        c = discovering(receiver, ecs_sd_configs=[sd(emulator, url=proxy.url)])
        agent = make_agent(c, env=aws_environment(emulator, proxy.url))
        until(lambda: len(addresses(agent)) == 5, "all tasks")
        calls = 'leadline_sd_refresh_aws_calls{config="test",mechanism="ecs"}'
        # the list of clusters, per cluster the tasks listed and described, and one service
        until(lambda: agent.metrics()[calls] == 1 + 2 * 2 + 1, "the steady state")
        proxy.calls.clear()
        until(lambda: len(proxy.calls) >= 12, "two refreshes")
        assert set(proxy.operations()) == set(ECS_CALLS)
    finally:
        proxy.close()


# ---- beside Prometheus ----


def same(make_agent, make_prometheus, c, env, n):
    agent, prometheus = make_agent(c, env=dict(env)), make_prometheus(c, env={**env, "AWS_CA_BUNDLE": ""})
    until(lambda: len(discovered(agent)) == n, f"{n} targets of leadline\n{agent.log()}")
    until(lambda: len(discovered(prometheus)) == n, f"{n} targets of Prometheus\n{prometheus.log()}")
    assert discovered(agent) == discovered(prometheus)


def test_ecs_beside_prometheus(make_agent, make_prometheus, receiver, emulator):
    arns = emulator.client("ecs", *emulator.keys).list_clusters()["clusterArns"]
    for kind in ({"ecs_sd_configs": [sd(emulator)]}, {"aws_sd_configs": [sd(emulator, role="ecs", clusters=arns[:1])]}):
        n = 5 if "ecs_sd_configs" in kind else 4
        same(make_agent, make_prometheus, discovering(receiver, **kind), aws_environment(emulator), n)


def test_ec2_beside_prometheus(make_agent, make_prometheus, receiver, emulator):
    ids = emulator.instances
    filters = [{"name": "instance-id", "values": [ids[1]]}]
    for kind, n in (
        ({"ec2_sd_configs": [sd(emulator)]}, 2),
        ({"aws_sd_configs": [sd(emulator, role="ec2", filters=filters)]}, 1),
    ):
        same(make_agent, make_prometheus, discovering(receiver, **kind), aws_environment(emulator), n)

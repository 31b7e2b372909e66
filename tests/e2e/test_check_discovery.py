"""`leadline check discovery` and `leadline check iam`: what an operator sees before anything runs."""

import json
import os
import socket
import subprocess

import pytest

from agent import BINARY
from aws import REGION, Emulator, environment, free_port
from test_task_discovery import Metadata, container

PORT = 9404


def check(what, *arguments, env=None, cwd=None):
    """(exit status, standard output, standard error)"""
    done = subprocess.run(
        [BINARY, "check", what, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=100,
        env=env or environment(),
        cwd=cwd,
    )
    return done.returncode, done.stdout, done.stderr


def write(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


@pytest.fixture(scope="module")
def emulator(tmp_path_factory):
    e = Emulator(tmp_path_factory.mktemp("emulator"))
    ecs, ec2 = e.client("ecs"), e.client("ec2")
    ecs.create_cluster(clusterName="demo")
    app = {"name": "app", "image": "x", "memory": 64, "portMappings": [{"containerPort": PORT}]}
    exporter = {"name": "exporter", "image": "x", "memory": 64, "portMappings": [{"containerPort": 9100}]}
    label = {"dockerLabels": {"ECS_PROMETHEUS_EXPORTER_PORT": "ninety", "job": "odd"}}
    families = {"BackendTask": [app, exporter], "BackendAlarmTask": [app], "LabelTask": [{**app, **label}]}
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    group = ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"]
    network = {"awsvpcConfiguration": {"subnets": [subnet], "securityGroups": [group]}}
    for n, (family, containers) in enumerate(families.items()):
        ecs.register_task_definition(
            family=family,
            networkMode="awsvpc",
            cpu="256",
            memory="512",
            requiresCompatibilities=["FARGATE"],
            containerDefinitions=containers,
        )
        ecs.run_task(
            cluster="demo",
            taskDefinition=family,
            launchType="FARGATE",
            networkConfiguration=network,
            tags=[{"key": "ip", "value": f"127.0.4.{n + 1}"}],
        )
    yield e
    e.close()


def at_emulator(emulator):
    return environment(AWS_ENDPOINT_URL=emulator.url, AWS_ACCESS_KEY_ID="AKIATEST", AWS_SECRET_ACCESS_KEY="secret")


# ---- discovery ----


def test_targets_and_what_is_left_out(tmp_path):
    groups = [
        {"targets": ["10.0.0.1:9100", "10.0.0.2:9100"], "labels": {"env": "prod", "team": "a" * 100}},
        {"targets": ["10.0.0.3:9100"], "labels": {"env": "test"}},
    ]
    write(tmp_path / "groups.json", groups)
    job = {
        "job_name": "node",
        "static_configs": [{"targets": ["10.0.0.1:9100"], "labels": groups[0]["labels"]}, {"targets": ["http://a/b"]}],
        "file_sd_configs": [{"files": ["groups.json"]}],
        "relabel_configs": [
            {"source_labels": ["env"], "target_label": "stage"},
            {"source_labels": ["env"], "regex": "test", "action": "drop"},
        ],
    }
    none = {"job_name": "none", "file_sd_configs": [{"files": ["nothing*.json"]}]}
    c = write(tmp_path / "prometheus.yml", {"scrape_configs": [job, none]})
    status, out, err = check("discovery", c, cwd=tmp_path)
    assert (status, err) == (0, "")
    assert max(map(len, out.splitlines())) <= 100 and "\x1b" not in out
    assert out == check("discovery", c, cwd=tmp_path)[1], "the order is the same each time"
    assert out.splitlines()[0].split() == ["JOB", "TARGET", "LABELS", "FOUND", "BY"]
    flat = " ".join(out.split())
    assert "node http://10.0.0.1:9100/metrics env=prod, stage=prod," in flat and "node http://10.0.0.2:9100/metrics" in flat
    assert "10.0.0.3:9100 dropped by rule 2 of relabel_configs: {source_labels: [env], regex: test, action: drop}" in flat
    assert "http://10.0.0.1:9100/metrics the same target as one found by static" in flat
    assert '"http://a/b" is not a valid hostname' in flat
    assert "it works, and finds nothing" in flat
    assert out.endswith("2 targets, 4 left out; 0 of 3 discoveries failed\n")


def test_json(tmp_path):
    job = {"job_name": "node", "static_configs": [{"targets": ["10.0.0.1:9100"], "labels": {"env": "prod"}}]}
    c = write(tmp_path / "prometheus.yml", {"scrape_configs": [job, {"job_name": "other"}]})
    status, out, _ = check("discovery", c, "--format=json", "--job=node")
    said = json.loads(out)
    assert status == 0 and said["left_out"] == []
    assert said["discoveries"] == [{"job": "node", "discovery": "static", "about": "", "error": "", "targets": 1}]
    (target,) = said["targets"]
    assert target["labels"] == {"env": "prod", "instance": "10.0.0.1:9100", "job": "node"}
    assert target["discovered"]["__address__"] == "10.0.0.1:9100" and target["found_by"] == "static"
    assert target["target"] == "http://10.0.0.1:9100/metrics"


def test_what_fails_is_told(tmp_path):
    closed = free_port()
    jobs = [
        {"job_name": "gone", "http_sd_configs": [{"url": f"http://127.0.0.1:{closed}/targets"}]},
        {"job_name": "good", "static_configs": [{"targets": ["10.0.0.1:9100"]}]},
        {"job_name": "task", "ecs_task_sd_configs": [{}]},
        {"job_name": "keys", "ec2_sd_configs": [{"region": REGION}]},
    ]
    c = write(tmp_path / "prometheus.yml", {"scrape_configs": jobs})
    status, out, _ = check("discovery", c, "--timeout=20s", env=environment(AWS_MAX_ATTEMPTS="1"))
    flat = " ".join(out.split())
    assert status == 1 and "good http://10.0.0.1:9100/metrics" in flat
    assert "connection refused" in flat and "ECS_CONTAINER_METADATA_URI_V4 is not set" in flat
    assert "3 of 4 discoveries failed" in out
    assert max(map(len, out.splitlines())) <= 100


def test_no_answer_in_time(tmp_path):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        url = f"http://127.0.0.1:{s.getsockname()[1]}/targets"
        c = write(tmp_path / "prometheus.yml", {"scrape_configs": [{"job_name": "slow", "http_sd_configs": [{"url": url}]}]})
        status, out, _ = check("discovery", c, "--timeout=1s")
    assert status == 1 and "no answer within 1s" in out


def test_the_task_at_hand(tmp_path):
    metadata = Metadata(
        container("app", ECS_PROMETHEUS_EXPORTER_PORT="9100"),
        container("words", ECS_PROMETHEUS_EXPORTER_PORT="nine"),
        container("slow", status="PENDING", ECS_PROMETHEUS_EXPORTER_PORT="9101"),
        container("plain"),
    )
    c = write(tmp_path / "prometheus.yml", {"scrape_configs": [{"job_name": "here", "ecs_task_sd_configs": [{}]}]})
    status, out, _ = check("discovery", c, env=metadata.environment)
    metadata.close()
    flat = " ".join(out.split())
    assert status == 0 and "here http://127.0.0.1:9100/metrics ecs_task" in flat
    assert "container words its port label is not a port from 1 to 65535" in flat
    assert "container slow it does not run" in flat
    assert "container plain neither a port label nor a name among `containers`" in flat


def agents_file(tmp_path, **more):
    sd = {
        "sd_frequency": "1m",
        "sd_target_cluster": "demo",
        "sd_cluster_region": REGION,
        "sd_result_file": str(tmp_path / "result.yaml"),
        **more,
    }
    return write(tmp_path / "agent.json", {"logs": {"metrics_collected": {"prometheus": {"ecs_service_discovery": sd}}}})


def test_near_misses_of_the_agents_patterns(tmp_path, emulator):
    definition = {"sd_task_definition_arn_pattern": ":task-definition/BackendTask:", "sd_metrics_ports": "9404;9999"}
    c = agents_file(tmp_path, docker_label={}, task_definition_list=[{**definition, "sd_job_name": "backend"}])
    status, out, err = check("discovery", c, env=at_emulator(emulator))
    assert status == 0, out + err
    assert "backend 127.0.4.1:9404" in " ".join(out.split()) and "task definition" in out.splitlines()[1]
    assert max(map(len, out.splitlines())) <= 100
    assert not os.path.exists(tmp_path / "result.yaml"), "a check writes no file"
    said = json.loads(check("discovery", c, "--format=json", env=at_emulator(emulator))[1])
    reasons = {s["why"]: s["what"] for s in said["left_out"]}
    docker = "docker label ECS_PROMETHEUS_EXPORTER_PORT"
    assert f"BackendAlarmTask:1: not matched by task definition `:task-definition/BackendTask:`, {docker}" in reasons
    assert "port 9999 is not among its portMappings" in reasons
    assert reasons[f'{docker} is "ninety", not a port from 1 to 65535'].endswith(", container app")
    (target,) = said["targets"]
    assert target["labels"]["TaskDefinitionFamily"] == "BackendTask" and target["found_by"] == "task definition"


def test_tasks_of_ecs_sd(tmp_path, emulator):
    jobs = [{"job_name": "tasks", "ecs_sd_configs": [{"region": REGION, "clusters": ["demo"], "port": PORT}]}]
    c = write(tmp_path / "prometheus.yml", {"scrape_configs": jobs})
    status, out, _ = check("discovery", c, env=at_emulator(emulator))
    assert status == 0 and "3 targets" in out
    jobs[0]["ecs_sd_configs"][0]["clusters"] = ["nowhere"]
    status, out, _ = check("discovery", write(c, {"scrape_configs": jobs}), env=at_emulator(emulator))
    assert status == 1 and "ClusterNotFoundException" in " ".join(out.split())


def test_services_of_cloud_map(tmp_path, emulator):
    client = emulator.client("servicediscovery")
    client.create_private_dns_namespace(Name="shop", Vpc="vpc-1")
    space = client.list_namespaces()["Namespaces"][0]["Id"]
    for name, tags in (("web", [{"Key": "METRICS_PATH", "Value": "/m"}]), ("plain", [])):
        dns = {"DnsRecords": [{"Type": "A", "TTL": 60}]}
        service = client.create_service(Name=name, NamespaceId=space, DnsConfig=dns, Tags=tags)["Service"]["Id"]
        for instance, more in (("i1", {"AWS_INSTANCE_IPV4": "127.0.4.9"}), ("i2", {})):
            attributes = {"AWS_INSTANCE_PORT": "9000", **more}
            client.register_instance(ServiceId=service, InstanceId=instance, Attributes=attributes)
    jobs = [{"job_name": "services", "cloudmap_sd_configs": [{"region": REGION, "namespaces": ["shop", "nope"]}]}]
    c = write(tmp_path / "prometheus.yml", {"scrape_configs": jobs})
    status, out, _ = check("discovery", c, "--format=json", env=at_emulator(emulator))
    said = json.loads(out)
    assert status == 0 and [t["target"] for t in said["targets"]] == ["http://127.0.4.9:9000/m"]
    assert [s["what"] for s in said["left_out"]] == [
        "namespace nope",
        "namespace shop, service plain",
        "namespace shop, service web, instance i2",
    ]
    status, out, _ = check("discovery", c)
    assert status == 1 and "no AWS" in out and "credentials" in out


def test_a_bad_file(tmp_path):
    c = write(tmp_path / "prometheus.yml", "scrape_configs:\n  - job_name: a\n    nonsense: 1\n")
    for what in ("discovery", "iam"):
        status, out, err = check(what, c)
        assert (status, out) == (1, "") and "prometheus.yml:3" in err
    status, out, err = check("discovery", agents_file(tmp_path, sd_frequenzy="1m"))
    assert (status, out) == (1, "") and "sd_frequenzy" in err
    c = write(tmp_path / "prometheus.yml", "scrape_configs:\n  - job_name: a\n")
    status, out, err = check("discovery", c, "--job=b")
    assert status == 1 and 'no job "b"' in err
    assert check("discovery")[0] == 1 and check("iam")[0] == 1


# ---- iam ----


def test_one_policy_stands_alone(tmp_path):
    url = f"https://aps-workspaces.{REGION}.amazonaws.com/workspaces/ws-1/api/v1/remote_write"
    job = {"job_name": "tasks", "ecs_sd_configs": [{"region": REGION, "clusters": ["demo"]}]}
    c = write(tmp_path / "prometheus.yml", {"scrape_configs": [job], "remote_write": [{"url": url, "sigv4": {}}]})
    status, out, err = check("iam", c, "--account=123456789012")
    policy = json.loads(out)
    assert (status, err) == (0, "") and policy["Version"] == "2012-10-17"
    by_action = {}
    for s in policy["Statement"]:
        for action in s["Action"]:
            by_action[action] = s
    assert by_action["aps:RemoteWrite"]["Resource"] == [f"arn:aws:aps:{REGION}:123456789012:workspace/ws-1"]
    cluster = f"arn:aws:ecs:{REGION}:123456789012:cluster/demo"
    assert by_action["ecs:DescribeTasks"]["Resource"] == [f"arn:aws:ecs:{REGION}:123456789012:task/demo/*"]
    assert by_action["ecs:DescribeTasks"]["Condition"] == {"ArnLike": {"ecs:cluster": [cluster]}}
    assert by_action["ecs:DescribeClusters"]["Resource"] == [cluster]
    assert "ecs:ListClusters" not in by_action
    assert "ecs:DescribeContainerInstances" not in check("iam", c, "--fargate")[1]


def test_a_policy_for_each_role(tmp_path):
    role = "arn:aws:iam::210987654321:role/writer"
    url = f"https://aps-workspaces.{REGION}.amazonaws.com/workspaces/ws-1/api/v1/remote_write"
    remote = {"url": url, "sigv4": {"role_arn": role}}
    c = write(tmp_path / "prometheus.yml", {"remote_write": [remote]})
    out = check("iam", c)[1]
    assert out.startswith("# task: what the task's role needs\n") and f"\n# {role}: " in out
    (assume,) = json.loads(check("iam", c, "--for=task")[1])["Statement"]
    assert (assume["Action"], assume["Resource"]) == (["sts:AssumeRole"], [role])
    (write_it,) = json.loads(check("iam", c, f"--for={role}")[1])["Statement"]
    assert write_it["Resource"] == [f"arn:aws:aps:{REGION}:210987654321:workspace/ws-1"]
    status, out, err = check("iam", c, "--for=x")
    assert (status, out) == (1, "") and role in err


def test_the_sidecar(tmp_path):
    env = environment(AWS_REGION=REGION, DISCOVERY_NAMESPACES_PARAMETER_NAME="/prod/names", SERVICE_DISCOVERY_MODE="HTTP_BASED")
    status, out, err = check("iam", "--cloudmap-sd", env=env)
    resources = {a: s["Resource"] for s in json.loads(out)["Statement"] for a in s["Action"]}
    assert status == 0 and "kms:Decrypt" in err
    assert resources["ssm:GetParameter"] == [f"arn:aws:ssm:{REGION}:*:parameter/prod/names"]
    assert resources["servicediscovery:ListInstances"] == [f"arn:aws:servicediscovery:{REGION}:*:service/*"]


def test_the_agent(tmp_path):
    out = check("iam", agents_file(tmp_path, docker_label={}))[1]
    assert "ecs:DescribeTaskDefinition" in out and "ecs:ListServices" not in out
    services = [{"sd_service_name_pattern": "web", "sd_metrics_ports": "9090"}]
    out = check("iam", agents_file(tmp_path, service_name_list_for_tasks=services))[1]
    assert "ecs:ListServices" in out and f"arn:aws:ecs:{REGION}:*:service/demo/*" in out


def test_the_agents_own_cluster(tmp_path):
    """A file that names no cluster means the one of the task: by its metadata, or as given."""
    sd = {"sd_frequency": "1m", "sd_result_file": "/tmp/x", "docker_label": {}}
    c = write(tmp_path / "agent.json", {"logs": {"metrics_collected": {"prometheus": {"ecs_service_discovery": sd}}}})
    metadata = Metadata()
    out = check("iam", c, env=metadata.environment)[1]
    metadata.close()
    assert f"arn:aws:ecs:{REGION}:*:cluster/demo" in out
    out = check("iam", c, "--cluster=other", "--region=us-east-1")[1]
    assert "arn:aws:ecs:us-east-1:*:cluster/other" in out
    assert check("iam", c)[0] == 1


def test_the_policies_are_enough(tmp_path, emulator):
    """With nothing but what is printed, the emulator lets the discovery through; without one action it does not."""
    job = {"job_name": "tasks", "ecs_sd_configs": [{"region": REGION, "clusters": ["demo"], "port": PORT}]}
    c = write(tmp_path / "prometheus.yml", {"scrape_configs": [job]})
    policy = json.loads(check("iam", c)[1])
    actions = [a for s in policy["Statement"] for a in s["Action"]]
    key, secret = emulator.user("least", actions)
    fewer = [a for a in actions if a != "ecs:DescribeTasks"]
    poor_key, poor_secret = emulator.user("poor", fewer)
    emulator.guard()
    base = at_emulator(emulator)
    status, out, _ = check("discovery", c, env={**base, "AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret})
    assert status == 0 and "3 targets" in out, out
    env = {**base, "AWS_ACCESS_KEY_ID": poor_key, "AWS_SECRET_ACCESS_KEY": poor_secret}
    status, out, _ = check("discovery", c, env=env)
    assert status == 1 and "DescribeTasks" in out

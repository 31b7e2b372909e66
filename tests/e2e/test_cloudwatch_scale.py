"""5,000 tasks of 200 services in 3 clusters: what the CloudWatch agent's discovery asks of AWS, and how much it keeps."""

import math
import os
import sys

import pytest

from agent import until
from cloudwatch import CloudWatchAgent

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "bench"))

from ecs_fake import PER_HOST, EcsFake  # noqa: E402

TASKS, SERVICES, CLUSTERS = 5000, 200, 3
DISCOVERY = {
    "sd_frequency": "2s",
    "docker_label": {},
    "service_name_list_for_tasks": [{"sd_service_name_pattern": "^service-[0-9]*0$", "sd_metrics_ports": "9404"}],
}


@pytest.fixture
def fake():
    f = EcsFake(CLUSTERS, SERVICES, TASKS)
    yield f
    f.close()


def status_of(pid):
    with open(f"/proc/{pid}/status") as f:
        return {k: v for k, v in (line.split(":", 1) for line in f)}


def pages(fake, what, size):
    return sum(math.ceil(len(of) / size) for of in what.values())


def test_five_thousand_tasks(tmp_path, fake):
    variables = {"LEADLINE_ECS_CLUSTERS": ",".join(fake.clusters)}
    agent = CloudWatchAgent(tmp_path / "agent", DISCOVERY, fake.url, ("AKIA", "secret"), **variables)
    agent.start()
    try:
        until(lambda: agent.metric("leadline_sd_targets") == TASKS, f"all targets\n{agent.log()}", 120)
        first = agent.calls()
        task_pages = pages(fake, fake.tasks, 100)
        matched = {c: [s for s in v if s % 10 == 0] for c, v in fake.services.items()}
        hosts = {c: {i // PER_HOST for i, s in v.values() if not fake.on_fargate(s)} for c, v in fake.tasks.items()}
        steady = {
            "ListTasks": task_pages,
            "DescribeTasks": task_pages,
            "ListServices": pages(fake, fake.services, 100),
            "DescribeServices": pages(fake, matched, 10),
        }
        once = {
            "DescribeTaskDefinition": SERVICES,
            "DescribeContainerInstances": pages(fake, hosts, 100),
            "DescribeInstances": pages(fake, hosts, 200),
        }
        rounds = first["ListTasks"] / steady["ListTasks"]
        assert {k: first[k] for k in once} == once
        if rounds == 1:  # else the second refresh had begun
            assert first == {**steady, **once}
        until(lambda: (agent.text() or "").count("ServiceName: ") == TASKS // 10, "the file")

        calls = "leadline_sd_refresh_aws_calls"
        until(lambda: agent.metric(calls) == sum(steady.values()), "the steady state")
        assert {k: agent.calls()[k] for k in once} == once

        stopped = next(iter(fake.tasks["cluster0"]))
        fake.stop_task(stopped)
        started = fake.start_task()
        agent.refreshes()
        assert stopped.rsplit("/")[-1] not in agent.text() and started.rsplit("/")[-1] in agent.text()
        assert {k: agent.calls()[k] for k in once} == once, "nothing is described again for a task of a known service"

        agent.refreshes(3)
        status = status_of(agent.process.pid)
        print("resident", status["VmRSS"].strip(), "at most", status["VmHWM"].strip())
        assert int(status["VmHWM"].split()[0]) < 64 << 10
        assert agent.stop() == 0
    finally:
        agent.kill()

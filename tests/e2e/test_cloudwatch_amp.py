"""The CloudWatch agent's file with Amazon Managed Service for Prometheus as destination: signed remote write, with the labels of the
agent, of Prometheus, or both; alone and beside the log events."""

import base64
import json

import pytest

import emf
from agent import until
from cloudwatch_reporting import drained, prometheus_yaml
from cloudwatch_reporting import emulator, make_reporting, metadata, proxy  # noqa: F401 - fixtures
from aws import make_signed  # noqa: F401 - a fixture

PAGE = lambda n: f'# TYPE demo_requests_total counter\ndemo_requests_total{{code="200"}} {100 + n}\n# TYPE h histogram\nh_bucket{{le="+Inf"}} 1\nh_sum 2\nh_count 1\n'  # noqa: E731


def amp_json(logs=None, path="env:AMP_CONFIG"):
    metrics = {
        "metrics_destinations": {"amp": {"workspace_id": "ws-1"}},
        "metrics_collected": {"prometheus": {"prometheus_config_path": path}},
        "force_flush_interval": 1,
    }
    return {"metrics": metrics, **({"logs": logs} if logs else {})}


@pytest.fixture
def receiver(make_signed):
    return make_signed()


def at(receiver):
    return {"AWS_ENDPOINT_URL_AMP": f"http://{receiver.address}"}


def arrive(receiver, agent, name="demo_requests_total", n=3):
    until(lambda: len(receiver.find(name)) >= n, f"samples\n{agent.log()[-3000:]}")
    drained(agent)
    assert agent.stop() == 0, agent.log()[-3000:]
    assert not receiver.turned_away
    return {k: v for k, v in receiver.find(name)[0].labels if k != "__name__"}


def of_the_agent(target):
    return {
        "service_name": "test",
        "service_instance_id": target.address,
        "server_port": str(target.port),
        "net_host_port": str(target.port),
        "url_scheme": "http",
        "http_scheme": "http",
    }


@pytest.mark.parametrize("labels", ["agent", "prometheus", "both"])
def test_labels(make_reporting, make_target, receiver, labels):
    """The agent's by default: job and instance go by other names."""
    target = make_target(PAGE)
    variables = {} if labels == "agent" else {"LEADLINE_AMP_LABELS": labels}
    agent = make_reporting(amp_json(), AMP_CONFIG=prometheus_yaml([target.address]), **at(receiver), **variables)
    found = arrive(receiver, agent)
    wanted = {"code": "200"}
    wanted.update(of_the_agent(target) if labels != "prometheus" else {})
    wanted.update({"job": "test", "instance": target.address} if labels != "agent" else {})
    assert found == wanted


def test_values_are_as_scraped(make_reporting, make_target, receiver, proxy):
    """Cumulative, from the first one on; histograms and the reports of the scrape too; nothing to CloudWatch."""
    target = make_target(PAGE)
    agent = make_reporting(amp_json(), AMP_CONFIG=prometheus_yaml([target.address]), **at(receiver))
    arrive(receiver, agent)
    values = [s.value for s in receiver.find("demo_requests_total") if not s.stale]
    assert values[0] == 100 and values == list(range(100, 100 + len(values)))
    assert receiver.find("h_bucket") and receiver.find("up") and receiver.find("scrape_samples_scraped")
    assert not proxy.of("PutMetricData") and not proxy.of("PutLogEvents")


def test_beside_log_events(make_reporting, make_target, receiver, emulator):
    """Two files, two pipelines: each scrapes its own."""
    one, other = make_target(PAGE), make_target(PAGE)
    section = {"log_group_name": "/amp", "prometheus_config_path": "env:PROMETHEUS_CONFIG_CONTENT"}
    config = amp_json({"metrics_collected": {"prometheus": section}, "force_flush_interval": 1})
    agent = make_reporting(config, prometheus_yaml([one.address]), AMP_CONFIG=prometheus_yaml([other.address]), **at(receiver))
    until(lambda: one.served > 3, "scrapes for the logs")
    assert arrive(receiver, agent)["service_instance_id"] == other.address
    events = emf.events(emulator.logs, "/amp", "test")
    assert {e["instance"] for e in events} == {one.address}
    assert {e["demo_requests_total"] for e in events if "demo_requests_total" in e} <= {1, 2}


def test_what_breaks_the_agent_works(make_reporting, make_target, receiver):
    """Rules with $1, a secret in the file, no global section, alerting."""
    target = make_target(PAGE)
    scrape = {
        "job_name": "test",
        "scrape_interval": "1s",
        "scrape_timeout": "1s",
        "static_configs": [{"targets": [target.address], "labels": {"zone": "eu-1a"}}],
        "relabel_configs": [{"source_labels": ["zone"], "regex": "(.*)-.*", "target_label": "place", "replacement": "$1"}],
        "basic_auth": {"username": "u", "password": "p"},
    }
    agent = make_reporting(amp_json(), AMP_CONFIG=json.dumps({"alerting": {}, "scrape_configs": [scrape]}), **at(receiver))
    labels = arrive(receiver, agent)
    assert labels["place"] == "eu" and labels["zone"] == "eu-1a"
    assert target.requests[0][1]["Authorization"] == "Basic " + base64.b64encode(b"u:p").decode()


def test_external_labels(make_reporting, make_target, receiver):
    target = make_target(PAGE)
    prometheus = json.loads(prometheus_yaml([target.address]))
    prometheus["global"]["external_labels"] = {"ext": "e1"}
    agent = make_reporting(amp_json(), AMP_CONFIG=json.dumps(prometheus), **at(receiver))
    assert arrive(receiver, agent)["ext"] == "e1"


def test_without_a_workspace(make_reporting):
    """As the agent has it: a section for AMP without the destination is refused, by name."""
    config = {"metrics": {"metrics_collected": {"prometheus": {"prometheus_config_path": "env:AMP_CONFIG"}}}}
    agent = make_reporting(config, start=False, AMP_CONFIG=prometheus_yaml([]))
    agent.start(wait=False)
    assert agent.process.wait(60) == 1
    assert "workspace_id" in agent.log()

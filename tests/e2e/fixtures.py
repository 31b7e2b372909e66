"""Fixtures: everything that a test starts is ended with it, whatever happens."""

import pytest

from agent import Agent
from peers import Receiver, Target


@pytest.fixture
def receiver():
    r = Receiver()
    yield r
    r.close()
    assert not r.problems, r.problems[:5]


@pytest.fixture
def make_receiver():
    made = []

    def make(**options):
        made.append(Receiver(**options))
        return made[-1]

    yield make
    for r in made:
        r.close()
        assert not r.problems, r.problems[:5]


@pytest.fixture
def make_target():
    made = []

    def make(page="", **options):
        made.append(Target(page, **options))
        return made[-1]

    yield make
    for t in made:
        t.close()


@pytest.fixture
def make_agent(tmp_path):
    made = []

    def make(config, *flags, start=True, name="agent", **options):
        a = Agent(tmp_path / f"{name}{len(made)}", config, *flags, **options)
        made.append(a)
        return a.start() if start else a

    yield make
    for a in made:
        if a.process and a.process.poll() is None:
            a.kill()


def config(targets, url, interval="1s", job=None, remote=None, **extra):
    """A configuration of one job; `extra` goes into the scrape config."""
    scrape = {"job_name": job or "test", "static_configs": [{"targets": list(targets)}], **extra}
    write = {"url": url, "queue_config": {"batch_send_deadline": "500ms"}, "metadata_config": {"send": False}}
    write.update(remote or {})
    return {
        "global": {"scrape_interval": interval, "scrape_timeout": interval},
        "scrape_configs": [scrape],
        "remote_write": [write],
    }


def discovering(receiver, interval="60s", **kinds):
    """A configuration of one job whose targets are found so: discovering(receiver, dns_sd_configs=[...])."""
    c = config([], receiver.url, interval=interval)
    c["scrape_configs"][0].pop("static_configs")
    c["scrape_configs"][0].update(kinds)
    return c


def discovered(agent):
    """The labels of each target before relabelling, without those that every target has; of leadline or Prometheus."""
    added = ("__scheme__", "__scrape_interval__", "__scrape_timeout__", "job", "__meta_url")
    found = [t["discoveredLabels"] for t in agent.api("targets")["activeTargets"]]
    return sorted(tuple(sorted((k, v) for k, v in labels.items() if k not in added and v)) for labels in found)


def addresses(agent):
    return sorted(dict(labels)["__address__"] for labels in discovered(agent))

"""CloudWatch Logs at its worst: nothing is lost, and at most one request of a stream comes twice. Each answer comes through the
checking proxy."""

import os
import random
import time

import pytest

import cloudwatch_limits as limits
import emf
from agent import until
from cloudwatch_counting import counting, duplicates, ended, jobs, more, nothing_lost, read_back, section
from cloudwatch_limits import Rejected, times
from cloudwatch_reporting import drained
from cloudwatch_reporting import emulator, make_reporting, metadata, proxy  # noqa: F401 - fixtures

SEED = int(os.environ.get("LEADLINE_SEED", "20260101"))
KILLS = int(os.environ.get("LEADLINE_KILLS", "3"))
OUTAGE_S = float(os.environ.get("LEADLINE_OUTAGE_S", "6"))
@pytest.fixture
def targets(make_target):
    return [make_target(counting) for _ in range(4)]


# ---- the service ----


@pytest.mark.parametrize("mood", ["well", "throttled", "answers-lost"])
def test_kill_9_at_random_moments(make_reporting, proxy, targets, mood):
    rng = random.Random(f"{SEED}{mood}")
    print(f"seed {SEED}")
    group = f"/kills/{mood}"
    if mood == "throttled":
        proxy.faults["PutLogEvents"] = lambda request: limits.THROTTLED if rng.random() < 0.4 else None
    if mood == "answers-lost":
        proxy.faults["PutLogEvents"] = lambda request: limits.DROP_ANSWER if rng.random() < 0.2 else None
    agent = make_reporting(section(group), jobs(targets), start=False)
    lost = 0
    for _ in range(KILLS):
        agent.start()
        more(targets, rng.randint(8, 40))
        time.sleep(rng.random() * 0.3)
        agent.kill()
    agent.start()
    more(targets, 8)
    proxy.faults.clear()
    drained(agent)
    counted = duplicates(agent)
    lost = len([r for r in proxy.of("PutLogEvents", accepted=True) if r.answered is None])
    ended(agent, proxy, group, targets, missed=KILLS)
    again = proxy.distinct("PutLogEvents")[1]
    for place, repeats in again.items():
        assert repeats <= KILLS + lost, f"{place} got {repeats} requests again"
    assert bool(again) <= bool(counted), f"{again} are repeats, {counted} are counted"
    if mood != "answers-lost":
        assert all(n <= KILLS for n in again.values()), again
    assert max(proxy.most_in_flight.values()) == 1


def test_a_request_is_tried_again(make_reporting, proxy, targets):
    """Four answers, for four streams: throttled, two kinds of failures, none."""
    answers = [limits.THROTTLED, limits.UNAVAILABLE, limits.FAILURE, limits.DROP]
    left = iter(answers)
    agent = make_reporting(section("/again"), jobs(targets, n=4))
    until(lambda: len(proxy.of("PutLogEvents", accepted=True)) >= 4, "requests before")
    proxy.faults["PutLogEvents"] = times(4, lambda request: next(left))
    before = len(proxy.of("PutLogEvents", accepted=True))
    until(lambda: len(proxy.of("PutLogEvents", accepted=True)) > before + 4, f"requests are accepted\n{agent.log()[-3000:]}")
    ended(agent, proxy, "/again", targets)
    assert next(left, None) is None and not proxy.distinct("PutLogEvents")[1]


def test_creating_is_tried_again(make_reporting, proxy, targets):
    for operation in ("CreateLogGroup", "CreateLogStream"):
        proxy.faults[operation] = times(1, limits.THROTTLED)
    agent = make_reporting(section("/created"), jobs(targets))
    until(lambda: len(proxy.of("PutLogEvents", accepted=True)) > 3, f"requests are accepted\n{agent.log()[-3000:]}")
    ended(agent, proxy, "/created", targets)


def test_an_outage(make_reporting, proxy, targets, emulator):
    agent = make_reporting(section("/outage"), jobs(targets))
    until(lambda: proxy.of("PutLogEvents", accepted=True), "requests before the outage")
    proxy.close()
    end = time.monotonic() + OUTAGE_S
    until(lambda: time.monotonic() > end, "the outage ends", OUTAGE_S + 60)
    assert agent.balanced()["waiting"] > 0
    proxy.restart()
    ended(agent, proxy, "/outage", targets)
    kept = sum(read_back(emulator.logs, "/outage", f"job{i}") for i in range(2))
    assert kept == sum(len(v) for v in proxy.log_events().values()) + repeated_events(proxy)


def repeated_events(proxy):
    once = proxy.distinct("PutLogEvents")[0]
    return sum(len(r.body["logEvents"]) for r in proxy.of("PutLogEvents", accepted=True)) - sum(
        len(r.body["logEvents"]) for r in once
    )


def test_everything_is_delivered_at_the_end_of_the_task(make_reporting, proxy, targets):
    """SIGTERM between two flushes."""
    config = section("/sigterm")
    config["logs"]["force_flush_interval"] = 3600
    agent = make_reporting(config, jobs(targets))
    more(targets, 12)
    assert len(proxy.of("PutLogEvents", accepted=True)) <= 2, "only the first scrape of each stream is sent at once"
    assert agent.stop() == 0
    nothing_lost(proxy, "/sigterm", targets, missed=1)


def test_an_answer_that_is_lost_is_repeated_once(make_reporting, proxy, targets):
    agent = make_reporting(section("/lost"), jobs(targets))
    until(lambda: len(proxy.of("PutLogEvents", accepted=True)) > 1, "requests are accepted")
    proxy.faults["PutLogEvents"] = times(1, limits.DROP_ANSWER)
    before = len(proxy.of("PutLogEvents", accepted=True))
    until(lambda: len(proxy.of("PutLogEvents", accepted=True)) > before + 3, "requests are accepted")
    drained(agent)
    counted = duplicates(agent)
    ended(agent, proxy, "/lost", targets)
    assert list(proxy.distinct("PutLogEvents")[1].values()) == [1]
    assert counted > 0


def test_the_log_group_is_deleted_under_it(make_reporting, proxy, targets, emulator):
    agent = make_reporting(section("/deleted"), jobs(targets))
    until(lambda: len(proxy.of("PutLogEvents", accepted=True)) > 1, "requests before")
    emulator.logs.delete_log_group(logGroupName="/deleted")
    before = len(proxy.of("PutLogEvents", accepted=True))
    until(lambda: len(proxy.of("PutLogEvents", accepted=True)) > before + 3, f"requests after\n{agent.log()[-3000:]}")
    ended(agent, proxy, "/deleted", targets)
    assert emf.streams(emulator.logs, "/deleted") == ["job0", "job1"]
    assert len(proxy.of("CreateLogGroup", accepted=True)) == 2


def test_rejected_events(make_reporting, proxy, targets):
    """Those that the service turned away are counted by reason and said; the others stay."""
    agent = make_reporting(section("/rejected"), jobs(targets))
    until(lambda: len(proxy.of("PutLogEvents", accepted=True)) > 1, "requests")
    proxy.faults["PutLogEvents"] = times(1, lambda request: Rejected(too_old=1, too_new=len(request.body["logEvents"]) - 1))
    more(targets, 12)
    drained(agent)
    dropped = agent.balanced()["dropped"]
    assert dropped.get("too_old", 0) >= 1 and dropped.get("too_new", 0) >= 1, dropped
    assert agent.stop() == 0
    assert "rejected" in agent.log()
    assert not proxy.distinct("PutLogEvents")[1]


def test_a_slow_service(make_reporting, proxy, targets):
    """Answers after seconds: one request at a time for each stream, the next ones grow."""
    proxy.faults["PutLogEvents"] = limits.slow(2)
    agent = make_reporting(section("/slow"), jobs(targets))
    until(lambda: len(proxy.of("PutLogEvents", accepted=True)) > 4, "requests")
    proxy.faults.clear()
    ended(agent, proxy, "/slow", targets)
    assert max(proxy.most_in_flight.values()) == 1
    assert not proxy.distinct("PutLogEvents")[1]


def test_an_existing_group_keeps_its_retention(make_reporting, proxy, targets, emulator):
    emulator.logs.create_log_group(logGroupName="/kept")
    emulator.logs.put_retention_policy(logGroupName="/kept", retentionInDays=30)
    agent = make_reporting(section("/kept"), jobs(targets), LEADLINE_LOG_RETENTION_DAYS="7")
    more(targets, 12)
    ended(agent, proxy, "/kept", targets)
    assert emulator.logs.describe_log_groups(logGroupNamePrefix="/kept")["logGroups"][0]["retentionInDays"] == 30
    assert not proxy.of("PutRetentionPolicy")

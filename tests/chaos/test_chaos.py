"""Scenarios of minutes: a long outage, a destination of moods, and everything at once with kills between."""

import os
import random
import time

from agent import ledger_of, until
from fixtures import config
from peers import arrived, numbered

SEED = int(os.environ.get("LEADLINE_SEED", "20260101"))
KILLS = int(os.environ.get("LEADLINE_KILLS", "20"))
SERIES = 50


def page(n):
    return numbered(n, "".join(f'part{{i="{i}"}} {n}\n' for i in range(SERIES - 1)))


def served(targets):
    return sum(t.served for t in targets)


def settled(agent):
    ledger = agent.ledger()
    return ledger["delivered"] + sum(ledger["dropped"].values())


def check_everything_arrived(receiver, targets):
    for target in targets:
        arrived(receiver, target)
    for samples in receiver.series().values():
        ticks = [ms for ms, _ in samples]
        assert ticks == sorted(ticks)


def test_a_two_minute_outage_loses_nothing(make_agent, make_target, receiver):
    targets = [make_target(page) for _ in range(20)]
    agent = make_agent(config([t.address for t in targets], receiver.url, interval="1s"))
    until(lambda: receiver.find("serial"), "samples before the outage")
    receiver.close()
    time.sleep(120)
    read = agent.ledger()["read"]
    receiver.restart()
    until(lambda: settled(agent) >= read, "the backlog is delivered")
    assert agent.stop() == 0
    status, ledger, text = ledger_of(agent.data)
    assert status == 0 and ledger["dropped"] == 0 and ledger["waiting"] == 0, text
    check_everything_arrived(receiver, targets)


def test_a_destination_of_moods(make_agent, make_target, receiver):
    """Errors, throttling, lost answers and slow ones, at random: nothing is lost, nothing twice, order holds."""
    rng = random.Random(SEED)

    def mood(r, series, n):
        x = rng.random()
        if x < 0.1:
            return 500, {}, "mood"
        if x < 0.15:
            return 429, {"Retry-After": "1"}, "mood"
        if x < 0.2:
            return None, {}, ""
        if x < 0.25:
            r.lose_answers += 1
        return None

    receiver.policy = mood
    targets = [make_target(page) for _ in range(20)]
    agent = make_agent(config([t.address for t in targets], receiver.url, interval="500ms"))
    until(lambda: served(targets) >= 20 * 120, "a minute of scrapes", patience_s=180)
    receiver.policy = None
    receiver.lose_answers = 0
    read = agent.ledger()["read"]
    until(lambda: settled(agent) >= read, "what waited is delivered")
    assert agent.stop() == 0
    status, ledger, text = ledger_of(agent.data)
    assert status == 0 and ledger["waiting"] == 0, text
    assert ledger["read"] == ledger["delivered"] + ledger["dropped"], text
    assert "refused" not in text and "crash" not in text, text
    check_everything_arrived(receiver, targets)


def test_kills_among_moods(make_agent, make_target, receiver):
    """kill -9 at random moments while the destination errs at random: every scrape that was read arrives or is counted."""
    rng = random.Random(SEED + 1)
    receiver.policy = lambda r, series, n: (503, {}, "mood") if rng.random() < 0.2 else None
    targets = [make_target(page) for _ in range(12)]
    agent = make_agent(config([t.address for t in targets], receiver.url, interval="300ms"), start=False)
    for _ in range(KILLS):
        agent.start()
        goal = served(targets) + rng.randint(12, 150)
        until(lambda: served(targets) >= goal, "some scrapes")
        if rng.random() < 0.3:
            receiver.lose_answers += rng.randint(1, 3)
        time.sleep(rng.random() * 0.3)
        agent.kill()
        status, ledger, text = ledger_of(agent.data)
        assert status == 0 and ledger["read"] == ledger["delivered"] + ledger["waiting"] + ledger["dropped"], text
    receiver.policy = None
    receiver.lose_answers = 0
    agent.start()
    until(lambda: settled(agent) >= ledger["read"], "what waited is delivered")
    assert agent.stop() == 0
    status, ledger, text = ledger_of(agent.data)
    assert status == 0 and ledger["waiting"] == 0, text
    assert "crash" not in text and "corrupt" not in text and "refused" not in text, text
    distinct = {(s.labels, s.ms) for s in receiver.find()}
    assert ledger["read"] - ledger["dropped"] <= len(distinct), text
    for samples in receiver.series().values():
        ticks = [ms for ms, _ in samples]
        assert ticks == sorted(ticks)

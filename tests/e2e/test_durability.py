"""Nothing lost over kill -9, restarts and outages; the ledger balances after each."""

import os
import random
import time

import pytest

from agent import ledger_of, until
from fixtures import config
from peers import arrived, numbered
from write2 import MESSAGE, Receiver2

SEED = int(os.environ.get("LEADLINE_SEED", "20260101"))
ROUNDS = int(os.environ.get("LEADLINE_KILLS", "3"))


class Numbered:
    """A page that says which scrape it is, so that every completed scrape can be found again."""

    def __init__(self, series=20):
        self.series = series

    def __call__(self, n):
        return numbered(n, "".join(f'part{{i="{i}"}} {n}\n' for i in range(self.series - 1)))


def complete_scrapes(agent, targets):
    """Scrapes that the ledger says were read: every one has 20 samples and 5 report series."""
    return ledger_of(agent.data)[1]["read"] / 25


@pytest.fixture
def receiver2():
    r = Receiver2()
    yield r
    r.close()
    assert not r.problems, r.problems[:5]


@pytest.mark.parametrize("outage", [False, True])
@pytest.mark.parametrize("message", ["prometheus.WriteRequest", MESSAGE])
def test_kill_9_at_random_moments(make_agent, make_target, request, outage, message):
    receiver = request.getfixturevalue("receiver2" if message == MESSAGE else "receiver")
    rng = random.Random(SEED + outage)
    print(f"seed {SEED}")
    targets = [make_target(Numbered()) for _ in range(8)]
    remote = {"protobuf_message": message}
    agent = make_agent(config([t.address for t in targets], receiver.url, interval="200ms", remote=remote), start=False)
    for round_number in range(ROUNDS):
        agent.start()
        goal = sum(t.served for t in targets) + rng.randint(20, 120)
        until(lambda: sum(t.served for t in targets) >= goal, "some scrapes")
        if outage and round_number % 2 == 0:
            receiver.close()
            down = sum(t.served for t in targets) + rng.randint(20, 80)
            until(lambda: sum(t.served for t in targets) >= down, "scrapes during the outage")
        time.sleep(rng.random() * 0.3)
        agent.kill()
        status, ledger, text = ledger_of(agent.data)
        assert status == 0, text
        assert ledger["read"] == ledger["delivered"] + ledger["waiting"] + ledger["dropped"], text
        if outage and round_number % 2 == 0:
            receiver.restart()
    agent.start()
    until(lambda: agent.ledger()["delivered"] + sum(agent.ledger()["dropped"].values()) >= ledger["read"], "the backlog is delivered")
    assert agent.stop() == 0
    status, ledger, text = ledger_of(agent.data)
    assert status == 0, text
    assert ledger["waiting"] == 0 and ledger["read"] == ledger["delivered"] + ledger["dropped"], text
    assert "crash" not in text and "corrupt" not in text, text
    # Every sample that was read arrived, but for what was counted; a repeat of the same sample is one sample.
    distinct = {(s.labels, s.ms) for s in receiver.find()}
    assert ledger["read"] - ledger["dropped"] <= len(distinct), text
    for samples in receiver.series().values():
        ticks = [ms for ms, _ in samples]
        assert ticks == sorted(ticks)
    for target in targets:
        seen = {s.value for s in receiver.find("serial", instance=target.address) if not s.stale}
        whole = {s.value for s in receiver.find("part", instance=target.address, i="18") if not s.stale}
        assert seen == whole, "a scrape arrives whole"


def test_sigterm_during_an_outage_and_a_start_on_the_same_data(make_agent, make_target, receiver):
    targets = [make_target(Numbered()) for _ in range(4)]
    agent = make_agent(config([t.address for t in targets], receiver.url), "--storage.remote.flush-deadline=30s")
    until(lambda: receiver.find("serial"), "samples")
    receiver.close()
    served = sum(t.served for t in targets)
    until(lambda: sum(t.served for t in targets) >= served + 12, "scrapes during the outage")
    began = time.monotonic()
    assert agent.stop() == 0
    assert time.monotonic() - began < 25, "everything is durable and the destination fails anyway: it does not wait"
    waiting = ledger_of(agent.data)[1]["waiting"]
    assert waiting >= 12 * 25
    for t in targets:
        t.close()  # nothing new: what arrives now is what waited
    receiver.restart()
    agent.start()
    until(lambda: agent.ledger()["delivered"] >= waiting, "what waited is delivered")
    for target in targets:
        arrived(receiver, target)
    assert agent.stop() == 0
    assert ledger_of(agent.data)[1]["dropped"] == 0


def test_a_full_spool_drops_the_oldest_and_counts_them(make_agent, make_target, receiver):
    receiver.close()
    rng = random.Random(SEED)
    page = lambda n: "".join(f'noise{{i="{i}",w="{rng.random()}"}} {rng.random()}\n' for i in range(500))  # noqa: E731
    targets = [make_target(page) for _ in range(4)]
    agent = make_agent(config([t.address for t in targets], receiver.url, interval="300ms"), "--spool.max-bytes=6MB")
    until(lambda: agent.ledger()["dropped"].get("cap", 0) > 0, "the cap drops", patience_s=120)
    size = sum(os.path.getsize(os.path.join(d, f)) for d, _, fs in os.walk(agent.data) for f in fs)
    assert size < 40 << 20
    agent.balanced()
    receiver.restart()
    assert agent.stop() == 0
    status, ledger, text = ledger_of(agent.data)
    assert ledger["read"] == ledger["delivered"] + ledger["waiting"] + ledger["dropped"], text


def test_a_second_process_on_the_same_directory_is_refused(make_agent, make_target, receiver):
    target = make_target("a 1\n")
    first = make_agent(config([target.address], receiver.url))
    second = make_agent(config([target.address], receiver.url), start=False)
    second.flags = [f"--storage.agent.path={first.data}"]
    second.start(wait=False)
    assert second.process.wait(30) == 1
    assert "another process" in second.log()
    until(lambda: receiver.find("a"), "the first goes on")


def test_an_unwritable_directory_that_the_user_named_is_an_error(make_agent, make_target, receiver, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a directory")
    agent = make_agent(config([make_target("a 1\n").address], receiver.url), f"--storage.agent.path={blocked}/x", data=False, start=False)
    agent.start(wait=False)
    assert agent.process.wait(30) == 1
    assert "--spool=memory" in agent.log()


def test_damage_is_counted_and_the_rest_is_delivered(make_agent, make_target, receiver):
    receiver.close()
    targets = [make_target(Numbered()) for _ in range(4)]
    agent = make_agent(config([t.address for t in targets], receiver.url, interval="200ms"))
    until(lambda: sum(t.served for t in targets) >= 80, "scrapes during the outage")
    agent.stop()
    before = ledger_of(agent.data)[1]
    segments = [os.path.join(d, f) for d, _, fs in os.walk(agent.data) for f in fs if f.isdigit()]
    assert segments
    victim = max(segments, key=os.path.getsize)
    with open(victim, "r+b") as f:
        f.seek(os.path.getsize(victim) // 2)
        byte = f.read(1)
        f.seek(-1, os.SEEK_CUR)
        f.write(bytes([byte[0] ^ 0x40]))
    status, _, text = ledger_of(agent.data)
    assert status == 1, text
    for t in targets:
        t.close()
    receiver.restart()
    agent.start()
    settled = lambda l: l["delivered"] + sum(l["dropped"].values())  # noqa: E731
    until(lambda: settled(agent.ledger()) >= before["read"], "the rest is delivered")
    assert agent.stop() == 0
    status, ledger, text = ledger_of(agent.data)
    assert ledger["read"] == ledger["delivered"] + ledger["dropped"], text
    assert 0 < ledger["dropped"] < before["waiting"], text


def test_memory_mode_delivers_and_says_what_it_means(make_agent, make_target, receiver):
    target = make_target(numbered)
    agent = make_agent(config([target.address], receiver.url), "--spool=memory", data=False)
    until(lambda: len(receiver.find("serial")) >= 3, "samples")
    assert agent.stop() == 0
    arrived(receiver, target)
    assert "memory" in agent.log()
    assert not os.path.exists(os.path.join(agent.directory, "data-agent"))

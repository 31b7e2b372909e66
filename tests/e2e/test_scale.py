"""More than one of everything: agents that share targets, destinations that do not wait for each other, a bound of memory."""

import hashlib
import json
import time

from agent import until
from fixtures import config
from peers import arrived, numbered

PAGE = "a 1\n"


def hashmod(address, modulus):
    return int.from_bytes(hashlib.md5(address.encode()).digest()[8:], "big") % modulus


def test_shards_share_out_the_targets(make_agent, make_target, make_receiver):
    """Each target is scraped by the agent that the original's hashmod names, and by no other."""
    targets = [make_target(PAGE) for _ in range(12)]
    agents = []
    for n in range(3):
        receiver = make_receiver()
        agents.append((make_agent(config([t.address for t in targets], receiver.url), f"--shard={n}/3"), receiver))
    for n, (agent, receiver) in enumerate(agents):
        mine = {t.address for t in targets if hashmod(t.address, 3) == n}
        until(lambda: {dict(s.labels)["instance"] for s in receiver.find("a")} >= mine, f"shard {n} scrapes its targets")
        seen = agent.api("targets")
        assert {t["labels"]["instance"] for t in seen["activeTargets"]} == mine
        assert {t["discoveredLabels"]["__address__"] for t in seen["droppedTargets"]} == {
            t.address for t in targets
        } - mine
        assert not [s for s in receiver.samples if any(name.startswith("__tmp") for name, _ in s.labels)]
    for target in targets:
        assert target.requests, f"nobody scrapes {target.address}"


def test_a_pair_is_told_apart_by_external_labels(make_agent, make_target, receiver):
    target = make_target(PAGE)
    for replica in ("a", "b"):
        c = config([target.address], receiver.url)
        c["global"]["external_labels"] = {"cluster": "pair", "__replica__": "${REPLICA}"}
        make_agent(c, env={"REPLICA": replica})
    until(lambda: receiver.find("a", cluster="pair", __replica__="a"), "the first replica")
    until(lambda: receiver.find("a", cluster="pair", __replica__="b"), "the second replica")


def test_twenty_destinations_do_not_wait_for_each_other(make_agent, make_target, make_receiver):
    """One is down, one refuses everything, one answers 429 with a long Retry-After: the other seventeen get every scrape."""
    target = make_target(numbered)
    receivers = [make_receiver() for _ in range(20)]
    down, refusing, busy = receivers[:3]
    down.close()
    refusing.policy = lambda *_: (400, {}, "no")
    busy.policy = lambda *_: (429, {"Retry-After": "3600"}, "later")
    c = config([target.address], receivers[0].url)
    write = c["remote_write"][0]
    c["remote_write"] = [dict(write, url=r.url, name=f"to-{i}") for i, r in enumerate(receivers)]
    agent = make_agent(c)
    for receiver in receivers[3:]:
        until(lambda: len(receiver.find("serial")) >= 5, "five scrapes")
    # What the down and the busy one are to get waits; what the refusing one refused is dropped.
    metrics = agent.metrics()
    waiting = {i: metrics[f'leadline_samples_waiting{{remote_name="to-{i}"}}'] for i in (0, 2)}
    assert all(waiting.values()), waiting
    until(
        lambda: agent.metrics().get('leadline_samples_dropped_total{remote_name="to-1",reason="refused"}'),
        "what is refused is counted",
    )
    agent.balanced()
    assert agent.stop() == 0
    for receiver in receivers[3:]:
        arrived(receiver, target)


def test_a_slow_destination_slows_nobody(make_agent, make_target, make_receiver):
    target = make_target(numbered)
    slow, quick = make_receiver(), make_receiver()
    take = slow._take

    def late(series, number):
        time.sleep(1)
        return take(series, number)

    slow._take = late
    c = config([target.address], slow.url, interval="300ms")
    c["remote_write"].append(dict(c["remote_write"][0], url=quick.url, name="quick"))
    agent = make_agent(c)
    until(lambda: len(quick.find("serial")) >= 10, "ten scrapes, while the other takes a second a request")
    assert len(slow.find("serial")) < len(quick.find("serial"))
    assert agent.stop() == 0
    arrived(quick, target)
    arrived(slow, target)


def test_above_the_memory_ceiling_scrapes_wait_and_nothing_is_lost(make_agent, make_target, receiver):
    target = make_target(numbered)
    agent = make_agent(config([target.address], receiver.url, interval="500ms"), "--memory.ceiling=1MB")
    until(lambda: agent.metrics()["leadline_memory_level"] == 2, "the level of a process that is far above its ceiling")
    delayed = 'leadline_scrapes_delayed_total{reason="memory"}'
    until(lambda: agent.metrics().get(delayed, 0) >= 3, "scrapes are delayed")
    served = target.served
    until(lambda: target.served > served, "a target is still scraped now and then")
    assert "memory is short" in agent.log()
    assert not [s for s in receiver.samples if s.stale], "a delayed scrape ends no series"
    assert json.loads(agent.get("/api/v1/targets")[1])["data"]["activeTargets"][0]["health"] == "up"
    assert agent.stop() == 0
    arrived(receiver, target)

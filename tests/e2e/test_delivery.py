"""What a destination may answer, and what becomes of the samples."""

import time

from agent import ledger_of, until
from fixtures import config
from peers import arrived, numbered


def page(n):
    return numbered(n, "a 1\nb 2\n")


def names(series):
    return {dict(labels).get("__name__") for labels, _ in series}


def test_an_outage_loses_nothing_and_keeps_the_order(make_agent, make_target, receiver):
    targets = [make_target(page) for _ in range(5)]
    agent = make_agent(config([t.address for t in targets], receiver.url))
    until(lambda: len(receiver.find("a")) >= 5, "samples before the outage")
    receiver.close()
    before = [t.served for t in targets]
    until(lambda: all(t.served >= n + 5 for t, n in zip(targets, before)), "five scrapes during the outage")
    assert agent.balanced()["waiting"] > 0
    receiver.restart()
    until(lambda: agent.ledger()["waiting"] < 30 and agent.ledger()["delivered"] > 100, "the backlog is delivered")
    assert agent.stop() == 0
    for target in targets:
        arrived(receiver, target)
    for samples in receiver.series().values():
        assert samples == sorted(samples, key=lambda s: s[0])
    assert ledger_of(agent.data)[1]["dropped"] == 0


def test_server_errors_and_429_are_retried(make_agent, make_target, receiver):
    answers = [(500, {}, "try later"), (503, {}, ""), (429, {"Retry-After": "1"}, "slow down")]
    receiver.policy = lambda r, series, n: answers.pop(0) if answers else None
    target = make_target(page)
    agent = make_agent(config([target.address], receiver.url))
    until(lambda: len(receiver.find("a")) >= 3 and not answers, "delivered after the refusals")
    assert agent.stop() == 0
    arrived(receiver, target)
    retried = [h for _, h, _ in receiver.requests if "Retry-Attempt" in h]
    assert [h["Retry-Attempt"] for h in retried][:3] == ["1", "2", "3"]


def test_an_explicit_false_for_429_drops_as_the_original(make_agent, make_target, receiver):
    answers = [(429, {}, "slow down")]
    receiver.policy = lambda r, series, n: answers.pop(0) if answers else None
    target = make_target(page)
    remote = {"queue_config": {"batch_send_deadline": "500ms", "retry_on_http_429": False}}
    agent = make_agent(config([target.address], receiver.url, remote=remote))
    until(lambda: receiver.find("a") and not answers, "later samples are delivered")
    ledger = agent.balanced()
    assert ledger["dropped"].get("refused", 0) > 0


def test_a_refused_target_costs_its_neighbours_nothing(make_agent, make_target, receiver):
    """Requests with samples of the target `poison` are refused whole; its lane mates are delivered all the same."""
    poison = make_target("poison 1\n")
    healthy = [make_target(page) for _ in range(31)]  # more targets than lanes: some share the poisoned one
    receiver.policy = lambda r, series, n: (400, {}, "poison is not welcome") if "poison" in names(series) else None
    agent = make_agent(config([t.address for t in [poison, *healthy]], receiver.url))
    until(lambda: all(t.served >= 5 for t in healthy), "five scrapes of everyone")
    assert agent.stop() == 0
    for target in healthy:
        arrived(receiver, target)
    status, ledger, text = ledger_of(agent.data)
    assert ledger["dropped"] > 0 and ledger["waiting"] == 0
    assert "poison is not welcome" in agent.log()


def test_an_accepted_request_whose_answer_was_lost_is_not_a_loss(make_agent, make_target, receiver):
    receiver.lose_answers = 2
    target = make_target(page)
    agent = make_agent(config([target.address], receiver.url))
    until(lambda: target.served >= 4 and len(receiver.find("a")) >= 4, "deliveries after the lost answers")
    assert agent.stop() == 0
    arrived(receiver, target)


def test_two_destinations_do_not_wait_for_each_other(make_agent, make_target, make_receiver):
    good, bad = make_receiver(), make_receiver()
    bad.policy = lambda r, series, n: (503, {}, "down")
    target = make_target(page)
    c = config([target.address], good.url)
    c["remote_write"].append({"url": bad.url, "name": "bad", "metadata_config": {"send": False}})
    agent = make_agent(c)
    until(lambda: len(good.find("a")) >= 5, "the healthy one receives")
    assert not bad.find("a")
    agent.balanced()


def test_write_relabel_and_external_labels(make_agent, make_target, receiver, monkeypatch):
    target = make_target('keep_me{empty=""} 1\ndrop_me 2\nboth{region="mine"} 3\n')
    c = config([target.address], receiver.url)
    c["global"]["external_labels"] = {"region": "${REGION}", "empty": "filled", "job": "never"}
    c["remote_write"][0]["write_relabel_configs"] = [
        {"source_labels": ["__name__"], "regex": "drop_me", "action": "drop"},
        {"source_labels": ["region"], "target_label": "copied"},
    ]
    agent = make_agent(c, env={"REGION": "eu-1"})
    until(lambda: receiver.find("both"), "samples")
    kept = dict(receiver.find("keep_me")[0].labels)
    assert kept["region"] == kept["copied"] == "eu-1" and kept["empty"] == "filled" and kept["job"] == "test"
    assert dict(receiver.find("both")[0].labels)["region"] == "mine"
    assert not receiver.find("drop_me")
    assert agent.balanced()["dropped"].get("relabel", 0) > 0


def test_credentials_reach_the_destination_and_nothing_else(make_agent, make_target, receiver):
    c = config([make_target(page).address], receiver.url)
    c["remote_write"][0]["basic_auth"] = {"username": "u", "password": "s3cret-word"}
    c["remote_write"][0]["headers"] = {"X-Scope-OrgID": "team"}
    agent = make_agent(c, "--log.level=debug")
    until(lambda: receiver.find("a"), "samples")
    headers = receiver.requests[0][1]
    assert headers["Authorization"] == "Basic dTpzM2NyZXQtd29yZA==" and headers["X-Scope-OrgID"] == "team"
    pages = agent.get("/")[1] + agent.get("/api/v1/status/config")[1] + agent.get("/targets")[1] + agent.log()
    assert "s3cret-word" not in pages and "dTpzM2NyZXQtd29yZA" not in pages


def test_metadata_is_sent_in_requests_of_its_own(make_agent, make_target, receiver):
    page = "# HELP jobs_total Jobs done.\n# TYPE jobs_total counter\njobs_total 1\n"
    remote = {"metadata_config": {"send": True, "send_interval": "1s"}}
    make_agent(config([make_target(page).address], receiver.url, remote=remote))
    entry = until(lambda: [m for m in receiver.metadata if m.get(2) == b"jobs_total"], "metadata")[0]
    assert entry[1] == 1 and entry[4] == b"Jobs done."


def test_a_deadline_of_the_original_bounds_the_delay(make_agent, make_target, receiver):
    """batch_send_deadline: a lone small target is not kept waiting for a full request."""
    target = make_target(page)
    make_agent(config([target.address], receiver.url, interval="30s", remote={"queue_config": {"batch_send_deadline": "1s"}}))
    until(lambda: receiver.find("a"), "the first sample", patience_s=45)
    sample = receiver.find("a")[0]
    assert receiver.requests[sample.request][0] * 1000 >= sample.ms - 5
    assert time.time() - sample.ms / 1000 < 40

"""The main job: scrape, deliver, account."""

from agent import ledger_of, until
from fixtures import config

PAGE = "# TYPE requests_total counter\nrequests_total{code=\"200\"} 5\nrequests_total{code=\"500\"} 1\n# TYPE temp gauge\ntemp 21.5\n"


def test_samples_arrive_with_their_labels_and_values(make_agent, make_target, receiver):
    target = make_target(PAGE)
    agent = make_agent(config([target.address], receiver.url))
    until(lambda: len(receiver.find("temp")) >= 2, "two scrapes arrived")
    ok = receiver.find("requests_total", code="200")[0]
    assert dict(ok.labels) == {"__name__": "requests_total", "code": "200", "job": "test", "instance": target.address}
    assert ok.value == 5
    assert receiver.find("up")[0].value == 1
    assert receiver.find("scrape_samples_scraped")[0].value == 3
    assert receiver.find("scrape_series_added")[0].value == 3
    assert receiver.find("scrape_series_added")[1].value == 0
    agent.balanced()


def test_everything_read_is_delivered_before_it_leaves(make_agent, make_target, receiver):
    target = make_target(PAGE)
    agent = make_agent(config([target.address], receiver.url, remote={"queue_config": {"batch_send_deadline": "1h"}}))
    until(lambda: target.served >= 3, "three scrapes")
    assert agent.stop() == 0
    assert len(receiver.find("up")) >= 3
    status, ledger, text = ledger_of(agent.data)
    assert status == 0, text
    assert ledger["waiting"] == 0
    assert ledger["read"] == ledger["delivered"] == len(receiver.find())


def test_a_failing_target_is_down_and_its_series_go_stale(make_agent, make_target, receiver):
    target = make_target(PAGE)
    make_agent(config([target.address], receiver.url))
    until(lambda: receiver.find("temp"), "a good scrape")
    target.status = 503
    stale = until(lambda: [s for s in receiver.find("temp") if s.stale], "a stale marker")
    assert len(stale) == 1
    until(lambda: [s for s in receiver.find("up") if s.value == 0], "up is 0")
    assert not [s for s in receiver.find("up") if s.stale]

"""Ten minutes without CloudWatch Logs (LEADLINE_OUTAGE_MINUTES), with kills between: no event is lost."""

import os
import random
import time

import pytest

from agent import until
from cloudwatch_counting import counting, jobs, nothing_lost, section
from cloudwatch_reporting import drained
from cloudwatch_reporting import emulator, make_reporting, metadata, proxy  # noqa: F401 - fixtures

SEED = int(os.environ.get("LEADLINE_SEED", "20260101"))
OUTAGE_S = 60 * float(os.environ.get("LEADLINE_OUTAGE_MINUTES", "10"))


@pytest.mark.parametrize("kills", [0, 5])
def test_a_long_outage(make_reporting, proxy, make_target, kills):
    rng = random.Random(SEED)
    targets = [make_target(counting) for _ in range(20)]
    group = f"/long/{kills}"
    agent = make_reporting(section(group), jobs(targets, "1s"))
    until(lambda: proxy.of("PutLogEvents", accepted=True), "requests before the outage")
    proxy.close()
    for _ in range(kills):
        time.sleep(OUTAGE_S / (kills + 1) * (0.8 + 0.4 * rng.random()))
        agent.kill()
        agent.start()
    time.sleep(OUTAGE_S / (kills + 1))
    waiting = agent.balanced()["waiting"]
    proxy.restart()
    drained(agent, OUTAGE_S + 120)
    assert agent.stop() == 0
    scrapes = nothing_lost(proxy, group, targets, missed=kills)
    assert waiting > 0 and sum(proxy.distinct("PutLogEvents")[1].values()) <= 2 * (kills + 1)
    print(f"{scrapes} scrapes, {waiting} samples waited")

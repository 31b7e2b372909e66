"""More log streams than lanes of the spool: they share, and each counter's last value outlives kills and restarts all the same."""

import pytest

from cloudwatch_counting import counting, ended, jobs, more, section
from cloudwatch_reporting import emulator, make_reporting, metadata, proxy  # noqa: F401 - fixtures

STREAMS = 40


@pytest.fixture
def targets(make_target):
    return [make_target(counting) for _ in range(STREAMS)]


def test_streams_that_share_lanes(make_reporting, proxy, targets):
    agent = make_reporting(section("/streams"), jobs(targets, interval="1s", n=STREAMS), start=False)
    for end in (agent.kill, agent.stop):
        agent.start()
        more(targets, 3 * STREAMS)
        end()
    agent.start()
    more(targets, 3 * STREAMS)
    ended(agent, proxy, "/streams", targets, missed=2)
    assert len({stream for _, stream in proxy.log_events()}) == STREAMS

"""Permissions that are missing at CloudWatch Logs: said with the action and the resource, and nothing is lost until they are granted.
One test: what is not granted is asked for once a minute."""

import cloudwatch_limits as limits
from agent import until
from aws import KEY
from cloudwatch_counting import counting, ended, jobs, more, section
from cloudwatch_limits import CheckingProxy
from cloudwatch_reporting import emulator, make_reporting, metadata, proxy  # noqa: F401 - fixtures

PATIENCE_S = 150


def test_missing_permissions(make_reporting, make_target, emulator):
    cases = []
    for operation in ("PutLogEvents", "CreateLogGroup", "CreateLogStream"):
        group = f"/denied/{operation}"
        own = CheckingProxy(emulator.url, [KEY])
        arn = f"arn:aws:logs:eu-west-1:123456789012:log-group:{group}:log-stream:job0"
        own.faults[operation] = limits.denied(f"logs:{operation}", arn)
        targets = [make_target(counting) for _ in range(2)]
        cases.append((operation, group, own, targets, make_reporting(section(group), jobs(targets), url=own.url)))
    for operation, group, own, targets, agent in cases:
        until(lambda: f"logs:{operation}" in agent.log() and group in agent.log(), f"it is said\n{agent.log()[-3000:]}")
        more(targets, 6)
        assert agent.balanced()["delivered"] == 0
        own.faults.clear()
    for operation, group, own, targets, agent in cases:
        until(lambda: own.of("PutLogEvents", accepted=True), f"{operation} is granted\n{agent.log()[-3000:]}", PATIENCE_S)
        ended(agent, own, group, targets)
        own.close()
        own.verdict()

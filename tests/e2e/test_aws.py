"""AWS: signed remote write, credentials that come and go, a wrong clock, and what `leadline check aws` says."""

import json
import re
import time

import pytest
from botocore.credentials import Credentials

from agent import until
from aws import KEY, REGION, Emulator, Sts, check_aws, delivered, environment, keys_rotate, signed_config
from aws import make_signed, task  # noqa: F401 - fixtures

SIGV4 = {"region": REGION, "access_key": KEY.access_key, "secret_key": KEY.secret_key}


@pytest.fixture(scope="module")
def emulator(tmp_path_factory):
    e = Emulator(tmp_path_factory.mktemp("emulator"))
    e.keys = e.user()
    e.role_arn = e.role()
    e.guard()
    yield e
    e.close()


# ---- signatures ----


def test_signed_with_keys_of_the_configuration(make_agent, make_target, make_signed):
    receiver, target = make_signed(), make_target("up_and_running 1\n")
    agent = make_agent(signed_config(target, receiver, SIGV4), env=environment())
    until(lambda: receiver.accepted > 3, "signed requests are accepted")
    assert receiver.find("up_and_running")
    assert not receiver.turned_away
    assert agent.stop() == 0
    assert KEY.secret_key not in agent.log()


def test_session_token_and_region_of_the_environment(make_agent, make_target, make_signed):
    keys = Credentials("ASIAENVIRONMENT01", "s", "a/long+token==")
    receiver, target = make_signed(lambda: [keys]), make_target("a 1\n")
    env = environment(
        AWS_ACCESS_KEY_ID=keys.access_key,
        AWS_SECRET_ACCESS_KEY=keys.secret_key,
        AWS_SESSION_TOKEN=keys.token,
        AWS_REGION=REGION,
    )
    make_agent(signed_config(target, receiver, {}), env=env)
    until(lambda: receiver.accepted > 1, "signed requests are accepted")
    assert not receiver.turned_away


def test_a_wrong_secret_is_refused_and_nothing_is_lost(make_agent, make_target, make_signed):
    receiver, target = make_signed(), make_target("a 1\n")
    agent = make_agent(signed_config(target, receiver, {**SIGV4, "secret_key": "wrong"}), env=environment())
    until(lambda: len(receiver.turned_away) > 1, "signatures are refused")
    assert "signature differs" in receiver.turned_away[0][1]
    assert receiver.accepted == 0
    ledger = agent.balanced()
    assert ledger["delivered"] == 0 and not ledger["dropped"] and ledger["waiting"] > 0, ledger
    # the right one, by a reload: everything that waited arrives
    agent.configure(signed_config(target, receiver, SIGV4))
    assert agent.reload()[0] == 200
    until(lambda: delivered(agent) >= ledger["waiting"], "what waited is delivered")
    assert not agent.balanced()["dropped"]


# ---- credentials ----


def test_keys_that_live_a_moment_leave_no_gap(make_agent, make_target, make_signed, task):
    keys_rotate(make_agent, make_target, make_signed, task, life_s=6, seconds=25)


def test_the_endpoint_is_down_for_a_while(make_agent, make_target, make_signed, task):
    task.vault.life_s = 8
    receiver, target = make_signed(task.vault.good), make_target("a 1\n")
    agent = make_agent(signed_config(target, receiver, {}), env=environment(**task.as_container()))
    until(lambda: receiver.accepted > 0, "the first request is accepted")
    task.vault.fail = True
    until(lambda: "AWS credentials cannot be had" in agent.log(), "the failure is in the log")
    task.vault.fail = False
    before = receiver.accepted
    until(lambda: receiver.accepted > before + 3, "requests are accepted again")
    until(lambda: "AWS credentials can be had again" in agent.log(), "the recovery is in the log")
    assert agent.log().count("AWS credentials cannot be had") == 1
    assert not agent.balanced()["dropped"]


def test_revoked_keys_are_replaced(make_agent, make_target, make_signed, task):
    task.vault.life_s = 3600
    receiver, target = make_signed(task.vault.good), make_target("a 1\n")
    agent = make_agent(signed_config(target, receiver, {}), env=environment(**task.as_container()))
    until(lambda: receiver.accepted > 0, "the first request is accepted")
    task.vault.revoke()
    until(lambda: len(receiver.used) > 1, "others are found and used")
    before = delivered(agent)
    until(lambda: delivered(agent) > before, "delivery goes on")
    assert not agent.balanced()["dropped"]


def test_no_credentials_at_first(make_agent, make_target, make_signed, task):
    task.vault.fail = True
    receiver, target = make_signed(task.vault.good), make_target("a 1\n")
    agent = make_agent(signed_config(target, receiver, {}), env=environment(**task.as_container()))
    until(lambda: agent.balanced()["waiting"] > 3, "samples wait")
    assert not receiver.requests and not receiver.turned_away, "nothing goes out unsigned"
    task.vault.fail = False
    until(lambda: delivered(agent) > 3, "they are delivered")
    assert not agent.balanced()["dropped"]


# ---- the clock ----


@pytest.mark.parametrize("ahead_s", [1800, -1800])
def test_a_wrong_clock(make_agent, make_target, make_signed, ahead_s):
    receiver, target = make_signed(ahead_s=ahead_s), make_target("a 1\n")
    agent = make_agent(signed_config(target, receiver, SIGV4), env=environment())
    until(lambda: receiver.accepted > 3, "signatures are made by the destination's clock")
    assert "clock skew" in receiver.turned_away[0][1]
    refused = len(receiver.turned_away)
    before = receiver.accepted
    until(lambda: receiver.accepted > before + 3, "and go on being accepted")
    assert len(receiver.turned_away) == refused
    assert agent.log().count("because of its time") >= 1
    assert all(abs(s.ms / 1000 - time.time()) < 120 for s in receiver.samples), "samples keep our own time"


# ---- leadline check aws ----


def test_check_names_key_and_account(emulator):
    key, secret = emulator.keys
    status, text = check_aws(
        AWS_ACCESS_KEY_ID=key, AWS_SECRET_ACCESS_KEY=secret, AWS_REGION=REGION, AWS_ENDPOINT_URL=emulator.url
    )
    assert status == 0, text
    assert f"region       {REGION} (AWS_REGION)" in text
    assert f"{key[-4:]} (environment), do not expire" in text
    assert key not in text and secret not in text
    assert "identity     arn:aws:iam::123456789012:user/u, account 123456789012" in text
    assert "environment         used: AWS_ACCESS_KEY_ID" in text


def test_check_with_a_wrong_secret(emulator):
    status, text = check_aws(
        AWS_ACCESS_KEY_ID=emulator.keys[0], AWS_SECRET_ACCESS_KEY="x", AWS_REGION=REGION, AWS_ENDPOINT_URL=emulator.url
    )
    assert status == 1, text
    assert "identity     FAILED" in text and "SignatureDoesNotMatch" in text


@pytest.mark.parametrize("ahead_s, words", [(1800, "behind"), (-1800, "ahead of"), (0, "")])
def test_check_says_how_far_the_clock_is_off(ahead_s, words):
    sts = Sts(ahead_s)
    try:
        status, text = check_aws(
            AWS_ACCESS_KEY_ID=KEY.access_key,
            AWS_SECRET_ACCESS_KEY=KEY.secret_key,
            AWS_REGION=REGION,
            AWS_ENDPOINT_URL_STS=f"http://{sts.address}",
        )
    finally:
        sts.close()
    assert status == 0, text
    assert "account 123456789012" in text
    if words:
        assert re.search(rf"clock        (30 min 0|29 min 59) s {words} AWS", text), text
    else:
        assert "clock" not in text


def test_check_assumes_a_role(emulator):
    key, secret = emulator.keys
    status, text = check_aws(
        "--role-arn",
        emulator.role_arn,
        "--region=eu-central-1",
        AWS_ACCESS_KEY_ID=key,
        AWS_SECRET_ACCESS_KEY=secret,
        AWS_ENDPOINT_URL=emulator.url,
    )
    assert status == 0, text
    assert "region       eu-central-1 (configuration)" in text
    assert f"(role {emulator.role_arn} by environment), expire " in text
    assert "assumed-role/r/leadline-" in text


def test_check_with_nothing():
    status, text = check_aws(AWS_REGION=REGION)
    assert status == 1
    assert "credentials  FAILED: no AWS credentials" in text
    assert "environment         passed over: AWS_ACCESS_KEY_ID is not set" in text
    assert "instance metadata   passed over: AWS_EC2_METADATA_DISABLED is true" in text


def test_check_on_an_instance_and_in_a_task(task):
    for variables, source, region in (
        (task.as_instance(), "instance metadata", "instance metadata"),
        (task.as_container(), "container endpoint", "task metadata"),
    ):
        status, text = check_aws(**variables, AWS_ENDPOINT_URL_STS="http://127.0.0.1:1", AWS_MAX_ATTEMPTS="1")
        assert status == 1  # nobody is at home at that STS
        assert f"region       {REGION} ({region})" in text, text
        assert f"({source}), expire " in text, text
        assert "identity     FAILED" in text and "connection refused" in text


def test_check_of_a_configuration(emulator, tmp_path):
    key, secret = emulator.keys
    file = tmp_path / "prometheus.yml"
    write = {"url": "http://127.0.0.1:1/", "name": "amp", "sigv4": {"access_key": key, "secret_key": secret, "region": REGION}}
    plain = {"url": "http://127.0.0.1:1/", "name": "plain"}
    file.write_text(json.dumps({"remote_write": [write, plain]}))
    status, text = check_aws(f"--config.file={file}", AWS_ENDPOINT_URL=emulator.url)
    assert status == 0, text
    assert "remote_write amp" in text and "plain" not in text
    assert "(configuration), do not expire" in text
    file.write_text(json.dumps({"remote_write": [plain]}))
    status, text = check_aws(f"--config.file={file}")
    assert status == 0 and "speaks to AWS" in text

"""AWS as the end-to-end tests have it: an emulator with signature checks, a task's metadata and credentials endpoints, and a
remote-write receiver that checks signatures with botocore. All on loopback."""

import datetime
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import pytest

from agent import BINARY, until
from fixtures import config
from peers import Handler, Listener, Receiver, _ReceiverHandler

TESTBED = os.path.join(os.path.dirname(__file__), "..", "testbed")
sys.path.insert(0, TESTBED)

import botocore.config  # noqa: E402
import botocore.session  # noqa: E402
import sigv4_check  # noqa: E402
from botocore.credentials import Credentials  # noqa: E402

REGION = "eu-west-1"
KEY = Credentials("AKIALONGLIVED0000", "sEcReT/with+signs=")


def environment(**variables):
    """An environment in which nothing of this machine's own AWS is found."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "ECS_"))}
    bare.update({"HOME": "/nonexistent", "AWS_EC2_METADATA_DISABLED": "true"})
    bare.update(variables)
    return bare


def check_aws(*flags, **variables):
    """`leadline check aws`: (exit status, what it prints)."""
    done = subprocess.run(
        [BINARY, "check", "aws", *flags], capture_output=True, text=True, timeout=60, env=environment(**variables)
    )
    return done.returncode, done.stdout + done.stderr


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Emulator:
    """The emulator's process. `user()` makes a user with a key; `guard()` switches signature checks on, for good."""

    def __init__(self, directory):
        self.url = f"http://127.0.0.1:{free_port()}"
        self.log = open(os.path.join(str(directory), "emulator.log"), "wb")
        program = os.path.join(TESTBED, "aws_emulator.py")
        port = self.url.rsplit(":", 1)[1]
        self.process = subprocess.Popen(
            [sys.executable, program, "--host", "127.0.0.1", "--port", port],
            stdout=self.log,
            stderr=self.log,
            env=dict(environment(), HOME=str(directory)),
        )
        until(self._answers, "the emulator answers")

    def _answers(self):
        try:
            urllib.request.urlopen(self.url + "/moto-api/", timeout=5).close()
            return True
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False

    def client(self, service, key="AKIATEST", secret="secret"):
        return botocore.session.get_session().create_client(
            service,
            region_name=REGION,
            endpoint_url=self.url,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            config=botocore.config.Config(inject_host_prefix=False),
        )

    def user(self, name="u", actions=("*",)):
        """(access key id, secret)"""
        iam = self.client("iam")
        iam.create_user(UserName=name)
        rule = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": list(actions), "Resource": "*"}}
        iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps(rule))
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return key["AccessKeyId"], key["SecretAccessKey"]

    def role(self, name="r"):
        """its ARN"""
        iam = self.client("iam")
        trust = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}}
        arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
        rule = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}
        iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=json.dumps(rule))
        return arn

    def guard(self):
        switch = urllib.request.Request(self.url + "/moto-api/reset-auth", b"0", {"Content-Type": "text/plain"})
        urllib.request.urlopen(switch).close()

    def close(self):
        self.process.terminate()
        self.process.wait()
        self.log.close()


class Vault:
    """Hands out keys that live for a while, and knows which are good."""

    def __init__(self, life_s):
        self.life_s = life_s
        self.lock = threading.Lock()
        self.issued = []  # (Credentials, end)
        self.fail = False

    def issue(self):
        with self.lock:
            n = len(self.issued)
            keys = Credentials(f"ASIATEMPORARY{n:05}", f"secret/{n}+", f"token=={n}")
            end = time.time() + self.life_s
            self.issued.append((keys, end))
        return keys, end

    def good(self):
        with self.lock:
            return [keys for keys, end in self.issued if end > time.time()]

    def revoke(self):
        """Keys issued so far are good no longer."""
        with self.lock:
            self.issued = [(keys, 0) for keys, _ in self.issued]


class _TaskHandler(Handler):
    def answer(self, status, text, content_type="text/plain"):
        self.reply(status, text if isinstance(text, str) else json.dumps(text), content_type)

    def keys(self):
        owner = self.server.owner
        if owner.vault.fail:
            self.answer(500, {"code": "InternalServerError", "message": "not now"})
            return
        keys, end = owner.vault.issue()
        expiration = datetime.datetime.fromtimestamp(end, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        answer = {"Code": "Success", "AccessKeyId": keys.access_key, "SecretAccessKey": keys.secret_key}
        self.answer(200, {**answer, "Token": keys.token, "Expiration": expiration}, "application/json")

    def do_PUT(self):
        owner = self.server.owner
        owner.token = f"imds-token-{time.monotonic_ns()}"
        good = self.path == "/latest/api/token" and self.headers.get("X-aws-ec2-metadata-token-ttl-seconds")
        self.answer(200 if good else 400, owner.token)

    def do_GET(self):
        owner = self.server.owner
        role = "/latest/meta-data/iam/security-credentials/"
        if self.path.startswith("/latest/"):
            if self.headers.get("X-aws-ec2-metadata-token") != owner.token:
                self.answer(401, "token?")
            elif self.path == "/latest/meta-data/placement/region":
                self.answer(200, REGION)
            elif self.path == role:
                self.answer(200, "task-role")
            elif self.path == role + "task-role":
                self.keys()
            else:
                self.answer(404, "?")
        elif self.path == "/v2/credentials/id":
            if self.headers.get("Authorization") == owner.authorization:
                self.keys()
            else:
                self.answer(401, {"code": "Unauthorized", "message": "wrong token"})
        elif self.path == "/v4/id/task":
            arn = f"arn:aws:ecs:{REGION}:123456789012:task/demo/0123"
            self.answer(200, {"TaskARN": arn, "Cluster": "demo", "Limits": {}})
        else:
            self.answer(404, "?")


class Task(Listener):
    """Credentials endpoint, instance metadata (version 2 only) and task metadata."""

    handler = _TaskHandler

    def __init__(self, life_s=60):
        self.vault = Vault(life_s)
        self.authorization = "let me in"
        self.token = None
        super().__init__()

    def as_container(self):
        """The variables that ECS sets."""
        return {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://{self.address}/v2/credentials/id",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": self.authorization,
            "ECS_CONTAINER_METADATA_URI_V4": f"http://{self.address}/v4/id",
        }

    def as_instance(self):
        return {
            "AWS_EC2_METADATA_DISABLED": "false",
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://{self.address}",
        }


class _SignedHandler(_ReceiverHandler):
    def date_time_string(self, timestamp=None):
        return super().date_time_string((timestamp or time.time()) + self.server.owner.ahead_s)


class SignedReceiver(Receiver):
    """A remote-write endpoint behind AWS signatures. `keys` gives those that are good; its clock is `ahead_s` of ours."""

    handler = _SignedHandler

    def __init__(self, keys, service="aps", region=REGION, ahead_s=0, **options):
        self.keys = keys
        self.service = service
        self.region = region
        self.ahead_s = ahead_s
        self.turned_away = []  # (time, why)
        self.used = []  # access key ids, in order, each once
        super().__init__(**options)

    @property
    def url(self):
        return f"http://{self.address}/workspaces/ws-1/api/v1/remote_write"

    def receive(self, path, headers, body):
        now = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=self.ahead_s)
        try:
            sigv4_check.check(
                "POST", path, headers, body, self.keys(), region=self.region, service=self.service, now=now
            )
        except sigv4_check.SignatureError as e:
            with self.lock:
                self.turned_away.append((time.time(), str(e)))
            return 403, {"x-amzn-ErrorType": "AccessDeniedException"}, json.dumps({"message": str(e)[:200]})
        key = sigv4_check.AUTHORIZATION.match(headers["Authorization"])["key"]
        with self.lock:
            if key not in self.used:
                self.used.append(key)
        return super().receive(path, headers, body)


class _StsHandler(_SignedHandler):
    def do_POST(self):
        owner = self.server.owner
        body = self.body()
        now = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=owner.ahead_s)
        try:
            sigv4_check.check("POST", self.path, dict(self.headers), body, [KEY], service="sts", now=now)
            who = "<Arn>arn:aws:iam::123456789012:user/u</Arn><Account>123456789012</Account>"
            status, text = 200, f"<R><GetCallerIdentityResult>{who}</GetCallerIdentityResult></R>"
        except sigv4_check.SignatureError as e:
            code = "<Code>SignatureDoesNotMatch</Code>"
            status, text = 403, f"<ErrorResponse><Error>{code}<Message>{str(e)[:100]}</Message></Error></ErrorResponse>"
        self.reply(status, text)


class Sts(Listener):
    """GetCallerIdentity for KEY, with a clock of its own."""

    handler = _StsHandler

    def __init__(self, ahead_s):
        self.ahead_s = ahead_s
        super().__init__()


# ---- fixtures, for tests that import them ----


@pytest.fixture
def make_signed():
    made = []

    def make(keys=None, **options):
        made.append(SignedReceiver(keys or (lambda: [KEY]), **options))
        return made[-1]

    yield make
    for r in made:
        r.close()
        assert not r.problems, r.problems[:5]


@pytest.fixture
def task():
    t = Task()
    yield t
    t.close()


# ---- steps ----


def signed_config(target, receiver, sigv4, **remote):
    remote = {"sigv4": sigv4, "queue_config": {"batch_send_deadline": "200ms", "max_backoff": "300ms"}, **remote}
    return config([target.address], receiver.url, interval="250ms", remote=remote)


def delivered(agent):
    return agent.balanced()["delivered"]


def keys_rotate(make_agent, make_target, make_signed, task, life_s, seconds):
    """Keys that live so long, for so long: not one request is refused."""
    task.vault.life_s = life_s
    receiver, target = make_signed(task.vault.good), make_target("a 1\n")
    agent = make_agent(signed_config(target, receiver, {}), env=environment(**task.as_container()))
    until(lambda: receiver.accepted > 0, "the first request is accepted")
    time.sleep(seconds)
    assert not receiver.turned_away, receiver.turned_away[:3]
    assert len(receiver.used) >= seconds / life_s, receiver.used
    metrics = agent.metrics()
    assert metrics['leadline_aws_credential_refreshes_total{result="failure"}'] == 0
    assert metrics['leadline_aws_credential_refreshes_total{result="success"}'] >= len(receiver.used)
    assert metrics['leadline_aws_credentials_expiry_timestamp_seconds{session="default"}'] > time.time()
    assert not agent.balanced()["dropped"]
    assert "secret/" not in agent.log() and "token==" not in agent.log()
    return receiver.accepted, len(receiver.used)

"""leadline under test: started with a configuration, asked through its own pages, ended by signal."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

BINARY = os.environ.get("LEADLINE", os.path.join(os.path.dirname(__file__), "..", "..", "build", "leadline"))
PATIENCE_S = 60  # the longest that any test waits for something that must happen: generous, since machines are slow


def until(condition, what, patience_s=PATIENCE_S):
    """Waits until condition() is true and gives its value; fails the test with `what` when it never is."""
    end = time.monotonic() + patience_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"never happened: {what}")
        time.sleep(0.05)


def get_over_socket(socket_path, path):
    """(status, text)"""
    connection = http.client.HTTPConnection("localhost", timeout=30)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(30)
    try:
        connection.sock.connect(socket_path)
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


class Program:
    """A program under test: `command` is what it is started with, in its directory; it answers on a port of its own
    choice. Each start has a log of its own."""

    command = None

    def __init__(self, directory, env):
        self.directory = str(directory)
        os.makedirs(self.directory, exist_ok=True)
        self.env = env
        self.process = None
        self.port = None
        self.starts = 0

    @property
    def log_path(self):
        return os.path.join(self.directory, f"log-{self.starts}")

    def log(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()

    def start(self, wait=True):
        self.starts += 1
        self.port = None
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(self.command, stderr=log, stdout=log, env=self.env, cwd=self.directory)
        if wait:
            until(self._listening, f"it listens\n{self.log()}")
        return self

    def _listening(self):
        found = self._listens()
        if not found and self.process.poll() is not None:
            raise AssertionError(f"it ended with {self.process.returncode}:\n{self.log()}")
        return found

    def _listens(self):
        found = re.search(r'msg="Listening on".* port=(\d+)', self.log())
        self.port = int(found.group(1)) if found else None
        return found

    def get(self, path, method="GET", timeout=30):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as e:
            return e.code, e.read().decode()

    def metrics(self):
        """{name{labels}: value} of /metrics."""
        out = {}
        for line in self.get("/metrics")[1].splitlines():
            if line and not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                assert name not in out, f"twice in one answer: {name}"
                out[name] = float(value)
        return out

    def ledger(self, of=None):
        """Summed over the destinations, or of one; `dropped` by reason."""
        sums = {"read": 0, "delivered": 0, "waiting": 0, "dropped": {}}
        for name, value in self.metrics().items():
            if of and f'remote_name="{of}"' not in name:
                continue
            if name.startswith("leadline_samples_read_total"):
                sums["read"] += int(value)
            elif name.startswith("leadline_samples_delivered_total"):
                sums["delivered"] += int(value)
            elif name.startswith("leadline_samples_waiting"):
                sums["waiting"] += int(value)
            elif name.startswith("leadline_samples_dropped_total") and value:
                reason = re.search(r'reason="([^"]*)"', name).group(1)
                sums["dropped"][reason] = sums["dropped"].get(reason, 0) + int(value)
        return sums

    def balanced(self, of=None):
        l = self.ledger(of)
        assert l["read"] == l["delivered"] + l["waiting"] + sum(l["dropped"].values()), l
        return l

    def stop(self, signum=signal.SIGTERM, patience_s=PATIENCE_S):
        """The exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signum)
        try:
            return self.process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"did not end by itself:\n{self.log()[-4000:]}")

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Agent(Program):
    """`leadline prometheus`."""

    words = [BINARY, "prometheus", "--agent"]

    def __init__(self, directory, config, *flags, env=None, data=True, binary=None):
        super().__init__(directory, dict(os.environ, **(env or {})))
        self.config_path = os.path.join(self.directory, "prometheus.yml")
        self.data = os.path.join(self.directory, "data")
        self.flags = list(flags)
        if data:
            self.flags.append(f"--storage.agent.path={self.data}")
        if binary:
            self.words = [binary, *self.words[1:]]
        self.configure(config)

    def configure(self, config):
        text = config if isinstance(config, str) else json.dumps(config)
        with open(self.config_path, "w") as f:
            f.write(text)

    @property
    def command(self):
        return [
            *self.words,
            f"--config.file={self.config_path}",
            "--web.listen-address=127.0.0.1:0",
            "--web.enable-lifecycle",
            "--scrape.discovery-reload-interval=1s",
            *self.flags,
        ]

    def api(self, path):
        status, text = self.get(f"/api/v1/{path}")
        assert status == 200, text
        return json.loads(text)["data"]

    def reload(self):
        return self.get("/-/reload", method="POST")


def ledger_of(directory):
    """What `leadline spool verify` says of a data directory: (exit status, sums, text)."""
    done = subprocess.run([BINARY, "spool", "verify", directory], capture_output=True, text=True)
    sums = {"read": 0, "delivered": 0, "waiting": 0, "dropped": 0}
    for line in re.findall(r"read (\d+) = delivered (\d+) \+ waiting (\d+) \+ dropped (\d+)", done.stdout):
        for key, value in zip(sums, line):
            sums[key] += int(value)
    return done.returncode, sums, done.stdout + done.stderr

"""`leadline cloudwatch-agent` under test."""

import json
import os
import re
import signal
import subprocess
import urllib.error
import urllib.request

from agent import BINARY, PATIENCE_S, until
from aws import REGION, environment


def agent_json(discovery, **agent):
    return {"agent": agent, "logs": {"metrics_collected": {"prometheus": {"ecs_service_discovery": discovery}}}}


class CloudWatchAgent:
    """Writes its result file in `directory`; the JSON comes by CW_CONFIG_CONTENT unless a path is given."""

    def __init__(self, directory, discovery, url, keys, *flags, config=None, **variables):
        self.directory = str(directory)
        os.makedirs(self.directory, exist_ok=True)
        self.result = os.path.join(self.directory, "targets.yaml")
        self.log_path = os.path.join(self.directory, "log")
        discovery = {"sd_frequency": "1s", "sd_result_file": self.result, "sd_cluster_region": REGION, **discovery}
        self.env = environment(
            AWS_ACCESS_KEY_ID=keys[0], AWS_SECRET_ACCESS_KEY=keys[1], AWS_ENDPOINT_URL=url, AWS_MAX_ATTEMPTS="1", **variables
        )
        listen = [] if any("listen-address" in f for f in flags) else ["--web.listen-address=127.0.0.1:0"]
        self.flags = listen + [f"--spool.path={self.directory}/s"] + list(flags)
        if config:
            self.flags.append(f"--config={config}")
        else:
            self.env["CW_CONFIG_CONTENT"] = json.dumps(agent_json(discovery))
        self.process = None

    def start(self, wait=True):
        with open(self.log_path, "wb") as log:
            command = [BINARY, "cloudwatch-agent", *self.flags]
            self.process = subprocess.Popen(command, stderr=log, stdout=log, env=self.env, cwd=self.directory)
        if wait:
            self.port = until(self._port, f"leadline listens\n{self.log()}")
        return self

    def _port(self):
        found = re.search(r'msg="Listening on".* port=(\d+)', self.log())
        if not found and self.process.poll() is not None:
            raise AssertionError(f"leadline ended with {self.process.returncode}:\n{self.log()}")
        return found and (int(found.group(1)) or "none: a socket")

    def log(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()

    def get(self, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as e:
            return e.code, e.read().decode()

    def metrics(self):
        lines = [l for l in self.get("/metrics")[1].splitlines() if l and not l.startswith("#")]
        return {name: float(value) for name, value in (l.rsplit(" ", 1) for l in lines)}

    def calls(self):
        """{operation: how often AWS was asked}"""
        found = {}
        for name, value in self.metrics().items():
            if name.startswith("leadline_sd_aws_calls_total"):
                found[re.search(r'call="(\w+)"', name).group(1)] = int(value)
        return found

    def metric(self, name):
        return sum(v for k, v in self.metrics().items() if k == name or k.startswith(name + "{"))

    def refreshes(self, n=2):
        """Waits for so many to end."""
        counter = "prometheus_sd_refresh_duration_seconds_count"
        to = self.metric(counter) + n
        until(lambda: self.metric(counter) >= to, f"{n} refreshes\n{self.log()}")

    def text(self):
        try:
            with open(self.result) as f:
                return f.read()
        except FileNotFoundError:
            return None

    def targets(self):
        """{address: labels}, or None while there is no file. Our file is simple YAML: a scalar is plain or as in JSON."""
        text = self.text()
        if text is None:
            return None
        scalar = lambda s: json.loads(s) if s.startswith('"') else s
        out, labels = {}, None
        for line in text.splitlines():
            if line.startswith("    - "):
                labels = out[scalar(line[6:])] = {}
            elif line.startswith("    "):
                key, value = line[4:].split(": ", 1)
                labels[scalar(key)] = scalar(value)
        return out

    def stop(self, signum=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(signum)
        return self.process.wait(PATIENCE_S)

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

"""`leadline cloudwatch-agent` under test."""

import json
import os
import re

from agent import BINARY, Program, until
from aws import REGION, environment


def agent_json(discovery, **agent):
    return {"agent": agent, "logs": {"metrics_collected": {"prometheus": {"ecs_service_discovery": discovery}}}}


def with_keys(url, keys, **variables):
    """The environment of an agent that has these keys, tries once, and finds its AWS at the URL."""
    return environment(
        AWS_ACCESS_KEY_ID=keys[0], AWS_SECRET_ACCESS_KEY=keys[1], AWS_ENDPOINT_URL=url, AWS_MAX_ATTEMPTS="1", **variables
    )


class CloudWatchAgent(Program):
    """Writes its result file in `directory`; the JSON comes by CW_CONFIG_CONTENT unless a path is given."""

    def __init__(self, directory, discovery, url, keys, *flags, config=None, **variables):
        super().__init__(directory, with_keys(url, keys, **variables))
        self.result = os.path.join(self.directory, "targets.yaml")
        discovery = {"sd_frequency": "1s", "sd_result_file": self.result, "sd_cluster_region": REGION, **discovery}
        listen = [] if any("listen-address" in f for f in flags) else ["--web.listen-address=127.0.0.1:0"]
        self.flags = listen + [f"--spool.path={self.directory}/s"] + list(flags)
        if config:
            self.flags.append(f"--config={config}")
        else:
            self.env["CW_CONFIG_CONTENT"] = json.dumps(agent_json(discovery))

    @property
    def command(self):
        return [BINARY, "cloudwatch-agent", *self.flags]

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

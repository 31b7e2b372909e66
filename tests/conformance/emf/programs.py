"""The two programs of the suite, what they scrape and where they send.

Targets is one server on all of 127/8: which case a scrape belongs to and who scrapes stands in the path, the target in the
address. A page is a function of the number of the scrape, counted for each program apart, so both see the same pages in the
same order. LogsReceiver stands for CloudWatch Logs and keeps the events.
"""
import collections
import gzip
import json
import os
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

INTERVAL_S = 1
FIRST_HOST = "127.0.77.1"


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, *_):
        """A program that is killed resets its connections."""


def serve(address, handler):
    server = Server((address, 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


class Quiet(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body, kind):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Targets:
    """GET /CASE/PROGRAM: the next page of that case for that program and target."""

    def __init__(self, cases):
        cases = {c.name: c for c in cases}
        seen, lock = collections.Counter(), threading.Lock()

        class Handler(Quiet):
            def do_GET(self):
                name, program = self.path.strip("/").split("/")
                host = self.connection.getsockname()[0]
                with lock:
                    n = seen[name, program, host]
                    seen[name, program, host] += 1
                text = cases[name].page(n)
                if text is None:
                    self.answer(500, b"", "text/plain")
                    return
                if program == "collector":
                    text = add_receiver(text, cases[name].time_of(n))
                self.answer(200, text.encode(), cases[name].content_type)

        self.port = serve("", Handler)


def add_receiver(text, at):
    """The CloudWatch agent has the attribute `receiver` of the resource set to prometheus: by it the exporter adds
    prom_metric_type and makes differences of summaries. Here it comes of the target's information."""
    line = '# TYPE target_info gauge\ntarget_info{receiver="prometheus"} 1' + (f" {at}" if at else "") + "\n"
    return line + text


Received = collections.namedtuple("Received", "group stream timestamp message")


class LogsReceiver:
    """Takes everything at once. Without a token the collector takes the success for a failure and sends again."""

    def __init__(self):
        self.events, self.lock = collections.defaultdict(list), threading.Lock()
        receiver = self

        class Handler(Quiet):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                if self.headers.get("X-Amz-Target", "").endswith(".PutLogEvents"):
                    receiver.keep(json.loads(body))
                self.answer(200, b'{"nextSequenceToken": "1"}', "application/x-amz-json-1.1")

        self.port = serve("127.0.0.1", Handler)

    def keep(self, request):
        place = request["logGroupName"], request["logStreamName"]
        with self.lock:
            self.events[place[0].split("/")[1]] += [Received(*place, e["timestamp"], e["message"]) for e in request["logEvents"]]

    def of(self, case):
        """Each case has a log group of its own"""
        with self.lock:
            return list(self.events[case.name])


def addresses(case, port):
    network, _, first = FIRST_HOST.rpartition(".")
    return [f"{network}.{int(first) + i}:{port}" for i in range(len(case.targets))]


def scrape_config(case, program, port, more):
    static = [{"targets": [a], "labels": {**labels, **more}} for a, labels in zip(addresses(case, port), case.targets)]
    by_job = collections.defaultdict(list)
    for s in static:
        by_job[s["labels"].pop("job", "main")].append(s)
    return [{"job_name": job, "scrape_interval": f"{INTERVAL_S}s", "scrape_timeout": f"{INTERVAL_S}s",
             "metrics_path": f"/{case.name}/{program}", "static_configs": s, "metric_relabel_configs": case.relabel}
            for job, s in sorted(by_job.items())]


# ---- leadline: the CloudWatch agent's JSON -----------------------------------------------------------------------------

def agent_json(case, prometheus_path, port):
    processor = {"metric_namespace": case.namespace, "metric_unit": case.units, "metric_declaration": case.declarations}
    section = {"prometheus_config_path": prometheus_path, "log_group_name": f"/{case.name}/{case.group}",
               "cluster_name": case.cluster, "emf_processor": processor}
    return {"agent": {"region": "eu-west-1", "omit_hostname": True},
            "logs": {"metrics_collected": {"prometheus": section}, "force_flush_interval": 1,
                     "endpoint_override": f"http://127.0.0.1:{port}"}}


def start(command, folder, **more):
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "ECS_", "LEADLINE_"))}
    environment.update(AWS_ACCESS_KEY_ID="AKIDEXAMPLE", AWS_SECRET_ACCESS_KEY="example", AWS_REGION="eu-west-1",
                       AWS_EC2_METADATA_DISABLED="true", **more)
    with open(folder / "log", "wb") as log:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, cwd=folder)


def start_leadline(binary, case, folder, targets_port, logs_port):
    folder.mkdir()
    (folder / "prometheus.yaml").write_text(json.dumps({"scrape_configs": scrape_config(case, "leadline", targets_port, {})}))
    (folder / "agent.json").write_text(json.dumps(agent_json(case, str(folder / "prometheus.yaml"), logs_port)))
    command = [str(binary), "cloudwatch-agent", f"--config={folder}/agent.json", f"--spool.path={folder}/data"]
    return start(command, folder, LEADLINE_EMF_VERSION=case.version, **case.variables)


# ---- the collector: what the agent makes of that JSON, in YAML ---------------------------------------------------------

OF_THE_RESOURCE = {"job": "service.name", "instance": "service.instance.id"}


def renamed(names):
    return [OF_THE_RESOURCE.get(n, n) for n in names]


def declaration(d):
    return {"label_matchers": [{"label_names": renamed(d["source_labels"]), "regex": d.get("label_matcher", ".*")}],
            "metric_name_selectors": d["metric_selectors"], "dimensions": [renamed(s) for s in d["dimensions"]]}


def exporter(case, port):
    units = [{"metric_name": name, "unit": unit, "overwrite": True} for name, unit in case.units.items()]
    return {"region": "eu-west-1", "endpoint": f"http://127.0.0.1:{port}", "log_group_name": f"/{case.name}/{case.group}",
            "log_stream_name": "{ServiceName}", "namespace": case.namespace, "dimension_rollup_option": "NoDimensionRollup",
            "version": case.version, "detailed_metrics": True, "resource_to_telemetry_conversion": {"enabled": True},
            "metric_declarations": [declaration(d) for d in case.declarations], "metric_descriptors": units, **case.exporter}


def start_collector(binary, cases, folder, targets_port, logs_port):
    """One collector for all cases: each is a pipeline."""
    receivers, exporters, pipelines = {}, {}, {}
    for c in cases:
        own = {"ClusterName": c.cluster}
        receivers[f"prometheus/{c.name}"] = {"config": {"scrape_configs": scrape_config(c, "collector", targets_port, own)}}
        exporters[f"awsemf/{c.name}"] = exporter(c, logs_port)
        pipelines[f"metrics/{c.name}"] = {"receivers": [f"prometheus/{c.name}"], "processors": ["batch"],
                                          "exporters": [f"awsemf/{c.name}"]}
    config = {"receivers": receivers, "processors": {"batch": {"timeout": "200ms"}}, "exporters": exporters,
              "service": {"telemetry": {"metrics": {"level": "none"}, "logs": {"level": "warn"}}, "pipelines": pipelines}}
    folder.mkdir()
    # A dollar begins a variable in a collector's configuration.
    (folder / "collector.yaml").write_text(json.dumps(config).replace("$", "$$"))
    return start([str(binary), f"--config=file:{folder}/collector.yaml"], folder)

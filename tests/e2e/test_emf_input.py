"""EMF events of applications over TCP and UDP, through the program, to CloudWatch Logs: what arrives, where, and that nothing
pending is lost when the program ends, by order or by force."""

import json
import os
import socket
import subprocess
import sys
import time

import emf
from agent import until
from aws import environment, free_port
from cloudwatch_limits import DROP
from cloudwatch_reporting import drained, emulator, free_udp_port, make_reporting, metadata, proxy  # noqa: F401 - fixtures

CLIENT = """
from aws_embedded_metrics import metric_scope

@metric_scope
def work(n, metrics):
    metrics.set_namespace("Shop")
    metrics.set_dimensions({"Route": "/pay"})
    metrics.put_metric("Latency", 10.5 + n, "Milliseconds")
    metrics.put_metric("Calls", 1, "Count", 1)
    metrics.set_property("RequestId", f"r{n}")

for n in range(20):
    work(n)
"""


def line(n, group, **members):
    metrics = [{"Namespace": "App", "Dimensions": [["route"]], "Metrics": [{"Name": "n", "Unit": "Count"}]}]
    aws = {"LogGroupName": group, "Timestamp": int(time.time() * 1000), "CloudWatchMetrics": metrics, **members}
    return json.dumps({"_aws": aws, "route": "/", "n": n})


def config(address=None, **logs):
    section = {"service_address": address} if address else {}
    return {"logs": {"metrics_collected": {"emf": section}, "force_flush_interval": 1, **logs}}


def dial(port):
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def send_udp(port, *datagrams):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        for d in datagrams:
            s.sendto(d.encode(), ("127.0.0.1", port))


def counted(agent, name, **labels):
    text = ",".join(f'{k}="{v}"' for k, v in labels.items())
    for sample in agent.get("/metrics")[1].splitlines():
        if sample.startswith(f"{name}{{{text}}} "):
            return float(sample.rsplit(" ", 1)[1])
    return None


def messages(proxy):  # noqa: F811
    """{(group, stream): texts in order}"""
    return {place: [e["message"] for e in events] for place, events in proxy.log_events().items()}


def test_tcp_to_its_groups(make_reporting, proxy, emulator):  # noqa: F811
    """Verbatim, each to the group and stream that it names, in order; the time is that of the receipt."""
    port = free_port()
    agent = make_reporting(config(f"tcp://127.0.0.1:{port}", log_stream_name="own"))
    odd = '{"log_group_name":"/emf/tcp/a", "x": 1.50, "x":2, "y":"\\u00e9\\/"}'
    sent = {f"/emf/tcp/{g}": [line(n, f"/emf/tcp/{g}") for n in range(200)] for g in "ab"}
    began = int(time.time() * 1000)
    with dial(port) as a, dial(port) as b:
        for first, second in zip(sent["/emf/tcp/a"], sent["/emf/tcp/b"]):
            a.sendall(b"  " + first.encode() + b" \r\n")
            b.sendall(second.encode() + b"\n")
        a.sendall(odd.encode() + b"\n" + line(0, "/emf/tcp/a", LogStreamName="named").encode())
    until(lambda: sum(map(len, messages(proxy).values())) == 402, "everything has arrived")
    arrived = messages(proxy)
    assert arrived[("/emf/tcp/a", "own")] == sent["/emf/tcp/a"] + [odd]
    assert arrived[("/emf/tcp/b", "own")] == sent["/emf/tcp/b"]
    assert len(arrived[("/emf/tcp/a", "named")]) == 1
    stamps = [e["timestamp"] for e in proxy.log_events()[("/emf/tcp/a", "own")]]
    assert began - 1000 <= min(stamps) and max(stamps) <= time.time() * 1000 + 1000
    stored = emf.log_events(emulator.logs, "/emf/tcp/a", "own")
    assert [text for _, text in stored] == arrived[("/emf/tcp/a", "own")]
    drained(agent)
    ledger = agent.balanced()
    assert ledger["read"] == ledger["delivered"] == 402
    assert counted(agent, "leadline_emf_input_events_total", transport="tcp") == 402
    agent.stop()


def test_udp(make_reporting, proxy):  # noqa: F811
    port = free_udp_port()
    agent = make_reporting(config(f"udp://127.0.0.1:{port}", log_stream_name="own"))
    events = [line(n, "/emf/udp") for n in range(6)]
    large = json.dumps({"log_group_name": "/emf/udp", "x": "y" * 60_000})
    send_udp(port, events[0] + "\n", " " + events[1] + "\0", events[2] + "\n" + events[3] + "\n", large)
    until(lambda: len(messages(proxy).get(("/emf/udp", "own"), ())) == 5, "everything has arrived")
    assert messages(proxy)[("/emf/udp", "own")] == events[:4] + [large]
    send_udp(port, events[4] + "\n" + events[5][:-1], '{"a":1}', "[]", line(0, "no good"))
    dropped = "leadline_emf_input_dropped_total"
    until(lambda: counted(agent, dropped, reason="bad_group") == 1, "all are counted")
    assert counted(agent, dropped, reason="invalid") == 2
    assert counted(agent, dropped, reason="no_group") == 1
    log = agent.log()
    assert "reason=no_group" in log and "LEADLINE_EMF_INPUT_LOG_GROUP" in log
    agent.stop()


def test_own_group_and_shadow(make_reporting, proxy):  # noqa: F811
    port = free_udp_port()
    address = config(f"udp://127.0.0.1:{port}", log_stream_name="own")
    agent = make_reporting(address, LEADLINE_EMF_INPUT_LOG_GROUP="/emf/of-none")
    send_udp(port, '{"a":1}', line(1, "/emf/named"))
    until(lambda: len(messages(proxy)) == 2, "both have arrived")
    assert messages(proxy)[("/emf/of-none", "own")] == ['{"a":1}']
    agent.stop()
    agent = make_reporting(address, None, "--shadow-log-group=/emf/shadow")
    send_udp(port, line(2, "/emf/named"))
    until(lambda: ("/emf/shadow", "own") in messages(proxy), "it has arrived")
    assert len(messages(proxy)[("/emf/named", "own")]) == 1
    agent.stop()


def test_long_lines(make_reporting, proxy):  # noqa: F811
    """As long as the service takes them; a longer one is lost alone, where the original closes the connection."""
    port = free_port()
    agent = make_reporting(config(f"tcp://127.0.0.1:{port}", log_stream_name="own"))
    head = '{"log_group_name":"/emf/long","x":"'
    longest = 1_048_576 - 26 - 1024  # what the spool keeps for the place's name
    with dial(port) as s:
        for n in (longest, 1_100_000, 3_000_000):
            s.sendall((head + "y" * (n - len(head) - 2) + '"}\n').encode())
        s.sendall((line(1, "/emf/long") + "\n").encode())
        until(lambda: len(messages(proxy).get(("/emf/long", "own"), ())) == 2, "two have arrived")
    assert sorted(map(len, messages(proxy)[("/emf/long", "own")]))[1] == longest
    until(lambda: counted(agent, "leadline_emf_input_dropped_total", reason="too_long") == 2, "two are counted")
    agent.stop()


def test_stop_delivers_what_is_pending(make_reporting, proxy):  # noqa: F811
    """SIGTERM with lines in the sockets, one of them without an end."""
    port = free_port()
    agent = make_reporting(config(f"tcp://127.0.0.1:{port}", log_stream_name="own", force_flush_interval=60))
    events = [line(n, "/emf/stop") for n in range(500)]
    with dial(port) as s:
        s.sendall("\n".join(events).encode())
        agent.stop()
    assert messages(proxy)[("/emf/stop", "own")] == events


def test_kill_during_an_outage(make_reporting, proxy):  # noqa: F811
    """What was received while CloudWatch Logs is away survives kill -9, and comes once."""
    port = free_port()
    agent = make_reporting(config(f"tcp://127.0.0.1:{port}", log_stream_name="own"))
    proxy.faults["*"] = DROP
    events = [line(n, "/emf/kill") for n in range(300)]
    with dial(port) as s:
        s.sendall(("\n".join(events) + "\n").encode())
        until(lambda: counted(agent, "leadline_emf_input_events_total", transport="tcp") == 300, "all are taken")
        time.sleep(0.2)
        agent.kill()
    proxy.faults.clear()
    agent.start()
    until(lambda: len(messages(proxy).get(("/emf/kill", "own"), ())) >= 300, "all have arrived")
    drained(agent)
    assert messages(proxy)[("/emf/kill", "own")] == events
    agent.stop()


def test_official_client(make_reporting, proxy):  # noqa: F811
    """The client library of AWS, by its own settings, over both transports."""
    for scheme, port in (("tcp", free_port()), ("udp", free_udp_port())):
        group = f"/emf/client/{scheme}"
        agent = make_reporting(config(f"{scheme}://127.0.0.1:{port}", log_stream_name="own"))
        settings = {
            "AWS_EMF_ENVIRONMENT": "Default",
            "AWS_EMF_AGENT_ENDPOINT": f"{scheme}://127.0.0.1:{port}",
            "AWS_EMF_LOG_GROUP_NAME": group,
            "AWS_EMF_SERVICE_NAME": "shop",
            "AWS_EMF_SERVICE_TYPE": "test",
            "PATH": os.environ["PATH"],
        }
        done = subprocess.run([sys.executable, "-c", CLIENT], env=environment(**settings), capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        place = until(lambda g=group: [p for p, m in messages(proxy).items() if p[0] == g and len(m) == 20], f"all of {scheme}")[0]
        events = [emf.read(m) for m in messages(proxy)[place]]
        latency = emf.by_metric(emf.extract(events))["Shop", "Latency", (("Route", "/pay"),)]
        assert latency.count == 20 and latency.sum == sum(10.5 + n for n in range(20))
        agent.stop()

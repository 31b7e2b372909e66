"""What an operator sees and does: flags, endpoints, reload, check, health."""

import json
import os
import signal
import subprocess

from agent import BINARY, until
from fixtures import config

PAGE = "a 1\n"


def leadline(*words, **options):
    return subprocess.run([BINARY, *words], capture_output=True, text=True, timeout=60, **options)


def test_the_originals_endpoints(make_agent, make_target, receiver):
    up, down = make_target(PAGE), make_target(PAGE, status=500)
    agent = make_agent(config([up.address, down.address], receiver.url))
    until(lambda: {t["health"] for t in agent.api("targets")["activeTargets"]} == {"up", "down"}, "both were scraped")
    targets = {t["labels"]["instance"]: t for t in agent.api("targets")["activeTargets"]}
    good, bad = targets[up.address], targets[down.address]
    assert good["scrapeUrl"] == f"http://{up.address}/metrics" and good["lastError"] == ""
    assert good["scrapePool"] == "test" and good["scrapeInterval"] == "1s"
    assert good["discoveredLabels"]["__address__"] == up.address
    assert bad["lastError"] == "server returned HTTP status 500 Internal Server Error"
    assert agent.get("/-/healthy")[0] == agent.get("/-/ready")[0] == 200
    assert agent.api("status/flags")["config.file"] == agent.config_path
    assert agent.api("status/buildinfo")["version"] == "3.15.0"
    assert "scrape_configs" in agent.api("status/config")["yaml"]
    assert agent.api("status/runtimeinfo")["reloadConfigSuccess"] is True
    assert agent.api("scrape_pools")["scrapePools"] == ["test"]
    status, text = agent.get("/api/v1/query?query=up")
    assert status == 422 and json.loads(text)["errorType"] == "execution"
    metrics = agent.metrics()
    assert metrics["prometheus_config_last_reload_successful"] == 1
    assert metrics['leadline_targets{scrape_job="test",health="up"}'] == 1


def test_the_status_pages_are_html_without_outside_assets(make_agent, make_target, receiver):
    agent = make_agent(config([make_target('x{evil="<script>alert(1)</script>"} 1\n').address], receiver.url, job="<b>job</b>"))
    until(lambda: receiver.find("x"), "a scrape")
    for path in ("/", "/targets"):
        status, page = agent.get(path)
        assert status == 200 and page.startswith("<!doctype html>")
        for asset in ("<script", "<link", "<img", "src=", "url(", 'href="http', "@import"):
            assert asset not in page, asset
        assert "<b>job" not in page


def test_reload_by_signal_and_by_request(make_agent, make_target, receiver):
    first, second = make_target(PAGE), make_target("b 1\n")
    agent = make_agent(config([first.address], receiver.url))
    until(lambda: receiver.find("a"), "the first target")
    agent.configure(config([first.address, second.address], receiver.url))
    agent.process.send_signal(signal.SIGHUP)
    until(lambda: receiver.find("b"), "the second target after SIGHUP")
    assert not [s for s in receiver.find("a") if s.stale], "an unchanged target keeps its state"
    added = until(lambda: receiver.find("scrape_series_added", instance=first.address)[1:], "a second scrape of the first")
    assert {s.value for s in added} == {0}
    agent.configure(config([second.address], receiver.url))
    assert agent.reload()[0] == 200
    until(lambda: len(agent.api("targets")["activeTargets"]) == 1, "the first target is gone")
    until(lambda: [s for s in receiver.find("a") if s.stale], "its stale markers follow")
    agent.balanced()


def test_a_bad_file_keeps_the_running_plan(make_agent, make_target, receiver):
    target = make_target(PAGE)
    agent = make_agent(config([target.address], receiver.url))
    until(lambda: receiver.find("a"), "a scrape")
    agent.configure("scrape_configs:\n  - job_name: x\n    scrape_intervall: 5s\n")
    status, text = agent.reload()
    assert status == 500 and "prometheus.yml:3" in text and "scrape_intervall" in text
    assert agent.metrics()["prometheus_config_last_reload_successful"] == 0
    served = target.served
    until(lambda: target.served > served + 1, "it is still scraped")


def test_a_destination_may_come_and_go(make_agent, make_target, make_receiver):
    one, two = make_receiver(), make_receiver()
    target = make_target(PAGE)
    agent = make_agent(config([target.address], one.url))
    until(lambda: one.find("a"), "the first destination")
    agent.configure(config([target.address], two.url))
    assert agent.reload()[0] == 200
    until(lambda: two.find("a"), "the second destination")
    count = len(one.find("a"))
    until(lambda: len(two.find("a")) > 3, "more for the second")
    assert len(one.find("a")) <= count + 1
    assert agent.stop() == 0


def test_lifecycle_needs_its_flag_and_a_post(make_agent, make_target, receiver):
    agent = make_agent(config([make_target(PAGE).address], receiver.url))
    assert agent.get("/-/reload")[0] == 405
    assert agent.get("/-/quit", method="POST")[0] == 200
    assert agent.process.wait(60) == 0


def test_a_route_prefix_from_the_external_url(make_agent, make_target, receiver):
    agent = make_agent(config([make_target(PAGE).address], receiver.url), "--web.external-url=/lead")
    assert agent.get("/lead/-/healthy")[0] == 200 and agent.get("/-/healthy")[0] == 404
    done = leadline("prometheus", "--agent", "--web.external-url=://x")
    assert done.returncode == 2 and "parse external URL" in done.stderr


def test_healthcheck(make_agent, make_target, receiver):
    agent = make_agent(config([make_target(PAGE).address], receiver.url))
    receiver.close()
    assert leadline("healthcheck", "--port", str(agent.port)).returncode == 0, "also while the destination is down"
    agent.stop()
    gone = leadline("healthcheck", "--port", str(agent.port))
    assert gone.returncode == 1 and "refused" in gone.stderr
    receiver.restart()


def test_check_prints_the_plan_or_every_error(tmp_path):
    good = tmp_path / "good.yml"
    good.write_text(json.dumps(config(["127.0.0.1:1"], "http://127.0.0.1:2/w")))
    done = leadline("check", str(good))
    assert done.returncode == 0 and "test" in done.stdout and "127.0.0.1:2" in done.stdout
    assert "SUCCESS" in leadline("check", "config", str(good)).stdout
    bad = tmp_path / "bad.yml"
    bad.write_text("global:\n  scrape_interval: 5x\nscrape_configs:\n- job_name: a\n  metrics_pth: /\n- job_name: a\nnope: 1\n")
    done = leadline("check", str(bad))
    assert done.returncode == 1
    for position in ("bad.yml:2:", "bad.yml:5:", "bad.yml:7:"):
        assert position in done.stderr, done.stderr


def test_flags_are_refused_in_the_originals_words(tmp_path):
    done = leadline("prometheus", "--nope")
    assert done.returncode == 1 and "unknown long flag '--nope'" in done.stderr
    done = leadline("prometheus", "--agent", "--storage.tsdb.path=x")
    assert done.returncode == 3 and 'can not be used in agent mode: ["--storage.tsdb.path"]' in done.stderr
    done = leadline("prometheus", "--storage.agent.path=x")
    assert done.returncode == 3 and "can only be used in agent mode" in done.stderr
    done = leadline("prometheus", "--agent", f"--config.file={tmp_path}/none.yml")
    assert done.returncode == 2 and "no such file or directory" in done.stderr.lower()
    done = leadline("prometheus", "--agent", "--web.enable-otlp-receiver")
    assert done.returncode == 1 and "--web.enable-otlp-receiver" in done.stderr


def test_help_and_version():
    assert "--config.file" in leadline("prometheus", "--help").stdout
    assert leadline("--version").stdout.startswith("leadline, version")
    assert leadline().returncode == 2


def test_an_address_in_use_is_said_plainly(make_agent, make_target, receiver):
    agent = make_agent(config([make_target(PAGE).address], receiver.url))
    done = leadline("prometheus", "--agent", f"--config.file={agent.config_path}", f"--web.listen-address=127.0.0.1:{agent.port}",
                    "--spool=memory")
    assert done.returncode == 1 and str(agent.port) in done.stderr and "in use" in done.stderr


def test_log_lines_in_json(make_agent, make_target, receiver):
    agent = make_agent(config([make_target(PAGE).address], receiver.url), "--log.format=json", start=False)
    agent.start(wait=False)
    until(lambda: agent.log().count("\n") >= 3, "log lines")
    agent.stop()
    for line in agent.log().splitlines():
        assert {"time", "level", "msg"} <= set(json.loads(line))


def test_a_read_only_root_and_any_user(make_agent, make_target, receiver):
    """It writes to its data directory and nowhere else."""
    agent = make_agent(config([make_target(PAGE).address], receiver.url))
    until(lambda: receiver.find("a"), "a scrape")
    agent.stop()
    assert set(os.listdir(agent.directory)) == {"prometheus.yml", "log-1", "data"}


def test_one_cpu_runs_everything_on_the_control_loop(make_agent, make_target, receiver):
    agent = make_agent(config([make_target(PAGE).address for _ in range(3)], receiver.url), "--workers=1")
    until(lambda: len(receiver.find("a")) >= 9, "samples")
    with open(f"/proc/{agent.process.pid}/status") as f:
        threads = int([line for line in f if line.startswith("Threads:")][0].split()[1])
    assert threads <= 3 + 4, "control, log, I/O, and the pool that reads files"
    assert agent.stop() == 0

"""--web.config.file in the real program, asked by Python's own TLS; and the checks that go with it."""

import base64
import json
import os
import ssl
import subprocess
import urllib.error
import urllib.request

import pytest

from agent import BINARY, until
from fixtures import config

PAGE = "a 1\n"
# bcrypt of "secret", of little cost
HASH = "$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"


def leadline(*words, **options):
    return subprocess.run([BINARY, *words], capture_output=True, text=True, timeout=60, **options)


@pytest.fixture
def certificates(tmp_path):
    """A folder with ca.pem and, signed by it, server, client and other, each .pem and .key."""
    where = tmp_path / "certificates"
    where.mkdir()

    def openssl(*words):
        subprocess.run(["openssl", *words], cwd=where, check=True, capture_output=True)

    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=ca")
    for name in ("server", "client", "other"):
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        (where / "ext").write_text(f"subjectAltName=DNS:{name}.example,IP:127.0.0.1\n")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out", f"{name}.pem",
                "-days", "2", "-extfile", "ext")
    return where


def ask(agent, where, client=None, user=None, path="/-/healthy", **limits):
    """The status, or the name of the failure."""
    context = ssl.create_default_context(cafile=str(where / "ca.pem"))
    if client:
        context.load_cert_chain(where / f"{client}.pem", where / f"{client}.key")
    for name, value in limits.items():
        setattr(context, name, value)
    request = urllib.request.Request(f"https://127.0.0.1:{agent.port}{path}")
    if user:
        request.add_header("Authorization", "Basic " + base64.b64encode(user.encode()).decode())
    try:
        with urllib.request.urlopen(request, timeout=20, context=context) as answer:
            ask.headers = answer.headers
            return answer.status
    except urllib.error.HTTPError as e:
        return e.code
    except (OSError, urllib.error.URLError) as e:
        return type(e).__name__


def start(make_agent, make_target, receiver, where, text, *flags):
    path = where / "web.yml"
    path.write_text(json.dumps(text))
    return make_agent(config([make_target(PAGE).address], receiver.url), f"--web.config.file={path}", *flags)


TLS = {"cert_file": "server.pem", "key_file": "server.key"}


def test_tls_and_passwords(make_agent, make_target, receiver, certificates):
    agent = start(make_agent, make_target, receiver, certificates,
                  {"tls_server_config": TLS, "basic_auth_users": {"ann": HASH}, "http_server_config": {"headers": {"X-Frame-Options": "deny"}}})
    assert ask(agent, certificates) == 401
    assert ask(agent, certificates, user="ann:wrong") == 401
    assert ask(agent, certificates, user="ann:secret") == 200
    assert ask.headers["X-Frame-Options"] == "deny"
    assert ask(agent, certificates, user="ann:secret", maximum_version=ssl.TLSVersion.TLSv1_2) == 200
    assert leadline("healthcheck", "--port", str(agent.port), "--tls").returncode == 0
    assert leadline("healthcheck", "--port", str(agent.port)).returncode == 1
    assert "secret" not in agent.log() and HASH not in agent.log()
    assert agent.stop() == 0


def test_client_certificates(make_agent, make_target, receiver, certificates):
    agent = start(make_agent, make_target, receiver, certificates,
                  {"tls_server_config": dict(TLS, client_ca_file="ca.pem", client_auth_type="RequireAndVerifyClientCert",
                                             client_allowed_sans=["client.example"])})
    assert ask(agent, certificates, client="client") == 200
    assert ask(agent, certificates, client="other") != 200, "its name is not in the list"
    assert ask(agent, certificates) != 200
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "self.key", "-out", "self.pem", "-subj", "/CN=x",
                    "-addext", "subjectAltName=DNS:client.example"], cwd=certificates, check=True, capture_output=True)
    assert ask(agent, certificates, client="self") != 200, "nobody has signed it"


def test_versions_and_ciphers(make_agent, make_target, receiver, certificates):
    agent = start(make_agent, make_target, receiver, certificates,
                  {"tls_server_config": dict(TLS, min_version="TLS12", max_version="TLS12",
                                             cipher_suites=["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"])})
    assert ask(agent, certificates) == 200
    assert ask(agent, certificates, minimum_version=ssl.TLSVersion.TLSv1_3) != 200
    context = ssl.create_default_context(cafile=str(certificates / "ca.pem"))
    context.set_ciphers("ECDHE-RSA-AES256-GCM-SHA384")
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"https://127.0.0.1:{agent.port}/-/healthy", timeout=20, context=context)


def test_a_renewed_certificate_and_a_removed_user(make_agent, make_target, receiver, certificates):
    agent = start(make_agent, make_target, receiver, certificates, {"tls_server_config": TLS, "basic_auth_users": {"ann": HASH}})
    assert ask(agent, certificates, user="ann:secret") == 200

    def served():
        der = ssl.get_server_certificate(("127.0.0.1", agent.port))
        return der.strip() == (certificates / "other.pem").read_text()[(certificates / "other.pem").read_text().index("-----BEGIN"):].strip()

    for kind in ("pem", "key"):
        os.replace(certificates / f"other.{kind}", certificates / f"server.{kind}.new")
    (certificates / "other.pem").write_text((certificates / "server.pem.new").read_text())
    os.replace(certificates / "server.key.new", certificates / "server.key")
    os.replace(certificates / "server.pem.new", certificates / "server.pem")
    until(served, "the new certificate is served")
    (certificates / "web.yml").write_text(json.dumps({"tls_server_config": TLS, "basic_auth_users": {"bob": HASH}}))
    until(lambda: ask(agent, certificates, user="ann:secret") == 401, "the removed user is out")
    assert ask(agent, certificates, user="bob:secret") == 200
    (certificates / "web.yml").write_text("nonsense")
    until(lambda: ask(agent, certificates, user="bob:secret") == 500, "nobody is let in by a file that cannot be read")
    assert "Unable to parse configuration" in agent.log()


def test_several_addresses_share_it(make_agent, make_target, receiver, certificates):
    agent = start(make_agent, make_target, receiver, certificates, {"tls_server_config": TLS}, "--web.listen-address=127.0.0.1:0")
    assert agent.log().count("TLS is enabled.") == 2


def test_a_bad_file_is_refused_at_start(make_agent, make_target, receiver, tmp_path):
    path = tmp_path / "web.yml"
    path.write_text("tls_server_config:\n  cert_filse: x\n")
    agent = make_agent(config([make_target(PAGE).address], receiver.url), start=False)
    done = leadline("prometheus", "--agent", f"--config.file={agent.config_path}", f"--web.config.file={path}", "--spool=memory")
    assert done.returncode == 1 and "web.yml:2:3" in done.stderr and "cert_filse" in done.stderr
    done = leadline("check", "web-config", str(path))
    assert done.returncode == 1 and "FAILED" in done.stderr and "web.yml:2:3" in done.stderr
    path.write_text(f"basic_auth_users: {{ann: \"{HASH}\"}}\n")
    done = leadline("check", "web-config", str(path))
    assert done.returncode == 0 and "SUCCESS" in done.stderr
    path.write_text("basic_auth_users: {ann: plain-password}\n")
    done = leadline("check", "web-config", str(path))
    assert done.returncode == 1 and "plain-password" not in done.stderr


def test_check_relabel(tmp_path):
    path = tmp_path / "p.yml"
    path.write_text(json.dumps({"scrape_configs": [{
        "job_name": "j",
        "static_configs": [{"targets": ["a:1", "b:2"]}],
        "relabel_configs": [
            {"source_labels": ["__address__"], "regex": "(.*):.*", "target_label": "host"},
            {"source_labels": ["host"], "regex": "b", "action": "drop"},
            {"target_label": "late", "replacement": "x"},
        ],
        "metric_relabel_configs": [{"source_labels": ["__name__"], "regex": "go_.*", "action": "drop"}],
    }]}))
    done = leadline("check", "relabel", str(path))
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.split("\n\n")
    assert '+ host="a"' in first and '+ late="x"' in first and first.rstrip().splitlines()[-1].startswith("out   {__address__=")
    assert "dropped" in second and "not reached" in second and second.rstrip().endswith("out   dropped")
    done = leadline("check", "relabel", str(path), "--job=j", "__address__=c:3", "x=y")
    assert '+ host="c"' in done.stdout and 'x="y"' in done.stdout
    done = leadline("check", "relabel", str(path), "--job=j", "--metric", "__name__=go_x")
    assert "dropped" in done.stdout
    assert leadline("check", "relabel", str(path), "--job=none").returncode == 1
    assert leadline("check", "relabel", str(path), "nonsense").returncode == 1


def test_check_metrics():
    def check(page, *words):
        return leadline("check", "metrics", *words, input=page)

    assert check("# HELP a_total x\n# TYPE a_total counter\na_total 1\n").returncode == 0
    done = check("a_ms 1\n")
    assert done.returncode == 3 and "1:1: a_ms no help text" in done.stderr
    done = check("a x\n")
    assert done.returncode == 1 and "line 1, column 4" in done.stderr
    assert check("a 1\n# EOF\n", "--strict").returncode == 0
    done = check("a 1\n\n# EOF\n", "--strict")
    assert done.returncode == 1 and "2:1: a a blank line" in done.stderr
    assert check("# TYPE a counter\na_total 1\n# EOF\n", "--format=openmetrics").returncode == 3
    assert check("a 1\n", "--format=openmetrics").returncode == 1
    assert check("", "--lint=none").returncode == 1
    assert "Cardinality" in check("a 1\n", "--extended").stdout
    assert check("", "--strict", "--format=text").returncode == 1

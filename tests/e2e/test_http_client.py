"""The HTTP client block against real peers: tokens, proxies, certificates that change, header files, redirects."""

import json
import os
import select
import socket
import ssl
import subprocess
import threading
import urllib.parse

import pytest
from agent import until
from fixtures import config
from peers import Handler, Listener, Target

PAGE = "one 1\n"


def ups(receiver, **labels):
    return [s.value for s in receiver.find("up", **labels) if not s.stale]


# ---- tokens ----


class _TokenHandler(Handler):
    def do_POST(self):
        owner = self.server.owner
        form = urllib.parse.parse_qs(self.body().decode())
        with owner.lock:
            owner.requests.append((dict(self.headers), form))
            token = f"token-{len(owner.requests)}"
            owner.valid.add(token)
        answer = {"access_token": token, "token_type": "bearer", "expires_in": owner.life_s}
        self.reply(200, json.dumps(answer), "application/json")


class TokenServer(Listener):
    handler = _TokenHandler

    def __init__(self, life_s):
        self.lock = threading.Lock()
        self.requests, self.valid, self.life_s = [], set(), life_s
        super().__init__()

    def accepts(self, headers):
        kind, _, token = headers.get("Authorization", "").partition(" ")
        with self.lock:
            return kind == "Bearer" and token in self.valid


@pytest.fixture
def make_tokens():
    made = []

    def make(life_s):
        made.append(TokenServer(life_s))
        return made[-1]

    yield make
    for t in made:
        t.close()


def guarded(make_target, tokens):
    """A target that lets nobody in without a token."""
    target = make_target(PAGE)
    serve = target.answer
    target.answer = lambda path, headers: serve(path, headers) if tokens.accepts(headers) else (401, {}, b"")
    return target


def test_tokens_are_fetched_shared_and_renewed(make_agent, make_target, make_tokens, receiver):
    tokens = make_tokens(12)  # good for 2 s of use, by the rule of 10 s
    targets = [guarded(make_target, tokens) for _ in range(4)]
    refused = []

    def policy(_, series, n):
        headers = receiver.requests[n][1]
        if not tokens.accepts(headers):
            refused.append(headers)
            return 401, {}, "no token"
        return None

    receiver.policy = policy
    oauth2 = {"client_id": "me", "client_secret": "sesame", "token_url": f"http://{tokens.address}/token",
              "scopes": ["read", "write"], "endpoint_params": {"audience": "api"}}
    agent = make_agent(config([t.address for t in targets], receiver.url, oauth2=oauth2, remote={"oauth2": oauth2}))
    until(lambda: all(len(ups(receiver, instance=t.address)) >= 5 for t in targets), "five scrapes of each")
    assert not refused
    assert set(ups(receiver)) == {1.0}
    headers, form = tokens.requests[0]
    assert headers["Authorization"] == "Basic bWU6c2VzYW1l"
    assert form == {"grant_type": ["client_credentials"], "scope": ["read write"], "audience": ["api"]}
    assert 2 <= len(tokens.requests) < 40, "one for all, again and again"
    assert "sesame" not in agent.log() and "token-1" not in agent.log()
    assert "sesame" not in agent.get("/api/v1/status/config")[1]


def test_a_revoked_token_is_replaced_without_a_lost_scrape(make_agent, make_target, make_tokens, receiver):
    tokens = make_tokens(3600)
    target = guarded(make_target, tokens)
    oauth2 = {"client_id": "me", "client_secret": "sesame", "token_url": f"http://{tokens.address}/token"}
    make_agent(config([target.address], receiver.url, oauth2=oauth2))
    until(lambda: len(ups(receiver)) >= 2, "scrapes arrive")
    with tokens.lock:
        tokens.valid.clear()
    before = len(ups(receiver))
    until(lambda: len(ups(receiver)) >= before + 3, "and go on")
    assert set(ups(receiver)) == {1.0}
    assert len(tokens.requests) == 2


def test_without_a_token_server_a_target_is_down_and_says_why(make_agent, make_target, receiver):
    target = make_target(PAGE)
    oauth2 = {"client_id": "me", "client_secret": "sesame", "token_url": "http://127.0.0.1:1/token"}
    agent = make_agent(config([target.address], receiver.url, oauth2=oauth2))
    until(lambda: ups(receiver), "a scrape")
    assert set(ups(receiver)) == {0.0}
    error = agent.api("targets")["activeTargets"][0]["lastError"]
    assert error.endswith('Post "http://127.0.0.1:1/token": dial tcp 127.0.0.1:1: connect: connection refused'), error
    assert not target.requests


# ---- certificates ----


def run(*command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Authority:
    """A certificate authority in a directory."""

    def __init__(self, directory, name):
        os.makedirs(directory, exist_ok=True)
        self.directory, self.name = str(directory), name
        self.certificate, self.key = self._path("ca.pem"), self._path("ca.key")
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
            "-subj", f"/CN={name}", "-keyout", self.key, "-out", self.certificate)

    def _path(self, name):
        return os.path.join(self.directory, name)

    def issue(self, name):
        """(certificate, key) of this name, for 127.0.0.1"""
        request, key, certificate = (self._path(f"{name}.{e}") for e in ("csr", "key", "pem"))
        run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
            "-keyout", key, "-out", request)
        extensions = self._path("extensions")
        with open(extensions, "w") as f:
            f.write("subjectAltName=IP:127.0.0.1")
        run("openssl", "x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key, "-days", "2",
            "-CAcreateserial", "-extfile", extensions, "-out", certificate)
        return certificate, key


class SecureTarget(Target):
    """Over TLS; asks for certificates of `clients` when given, and notes whose each request was."""

    def __init__(self, page, certificate, clients=None):
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.load_cert_chain(*certificate)
        if clients:
            self.context.load_verify_locations(clients.certificate)
            self.context.verify_mode = ssl.CERT_REQUIRED
        self.names = []
        super().__init__(page)

    def _start(self, port):
        super()._start(port)
        get_request = self.server.get_request

        def secured():
            connection, address = get_request()
            connection.settimeout(10)
            try:
                return self.context.wrap_socket(connection, server_side=True), address
            except (OSError, ssl.SSLError) as e:
                connection.close()
                raise OSError(str(e)) from e

        self.server.get_request = secured
        owner = self

        class Handler(self.server.RequestHandlerClass):
            def do_GET(self):
                peer = self.connection.getpeercert()
                owner.names.append(peer["subject"][0][0][1] if peer else None)
                super().do_GET()

        self.server.RequestHandlerClass = Handler


@pytest.fixture
def make_secure():
    made = []

    def make(*a, **k):
        made.append(SecureTarget(*a, **k))
        return made[-1]

    yield make
    for t in made:
        t.close()


def put(path, source):
    """As secrets are rotated: a new file under the old name."""
    with open(source, "rb") as f, open(path + ".new", "wb") as out:
        out.write(f.read())
    os.rename(path + ".new", path)


def test_rotated_certificates_are_used_without_a_restart(make_agent, make_secure, receiver, tmp_path):
    servers, clients = Authority(tmp_path / "servers", "servers"), Authority(tmp_path / "clients", "clients")
    first, second = clients.issue("first"), clients.issue("second")
    target = make_secure(PAGE, servers.issue("server"), clients)
    files = [str(tmp_path / n) for n in ("ca.pem", "cert.pem", "key.pem")]
    for path, source in zip(files, (servers.certificate, *first)):
        put(path, source)
    tls = dict(zip(("ca_file", "cert_file", "key_file"), files))
    make_agent(config([target.address], receiver.url, scheme="https", tls_config=tls))
    until(lambda: target.names.count("first") >= 2, "requests of the first")
    put(files[2], second[1])
    put(files[1], second[0])
    until(lambda: target.names.count("second") >= 2, "requests of the second, on a new connection")
    assert target.names[target.names.index("second"):].count("first") == 0
    # Another authority: what is not vouched for any more is not asked.
    others = Authority(tmp_path / "others", "others")
    put(files[0], others.certificate)
    until(lambda: ups(receiver)[-1] == 0.0, "the target is down")
    put(files[0], servers.certificate)
    until(lambda: ups(receiver)[-1] == 1.0, "and up again")


def test_a_certificate_that_is_gone_fails_the_scrape(make_agent, make_secure, receiver, tmp_path):
    servers = Authority(tmp_path / "servers", "servers")
    target = make_secure(PAGE, servers.issue("server"))
    ca = str(tmp_path / "ca.pem")
    put(ca, servers.certificate)
    agent = make_agent(config([target.address], receiver.url, scheme="https", tls_config={"ca_file": ca}))
    until(lambda: ups(receiver) and ups(receiver)[-1] == 1.0, "the target is up")
    os.unlink(ca)
    until(lambda: ups(receiver)[-1] == 0.0, "the target is down")
    error = agent.api("targets")["activeTargets"][0]["lastError"]
    assert "unable to read CA cert: unable to read file" in error and error.endswith("o such file or directory"), error


def test_http2_is_offered_where_it_is_enabled(make_agent, make_secure, receiver, tmp_path):
    servers = Authority(tmp_path / "servers", "servers")
    chosen = {}

    def make(name):
        target = make_secure(PAGE, servers.issue(name))
        target.context.set_alpn_protocols(["h2", "http/1.1"])
        serve = target.server.finish_request

        def finish_request(connection, address):
            chosen.setdefault(name, connection.selected_alpn_protocol())
            serve(connection, address)

        target.server.finish_request = finish_request
        return target

    with_it, without = make("with"), make("without")
    tls = {"ca_file": servers.certificate}
    jobs = config([with_it.address], receiver.url, scheme="https", tls_config=tls)
    jobs["scrape_configs"].append(dict(jobs["scrape_configs"][0], job_name="without", enable_http2=False,
                                       static_configs=[{"targets": [without.address]}]))
    make_agent(jobs)
    until(lambda: len(chosen) == 2, "both are met")
    assert chosen == {"with": "h2", "without": "http/1.1"}
    until(lambda: 1.0 in ups(receiver, instance=without.address), "and HTTP/1.1 is spoken")


# ---- proxies ----


class Proxy:
    """CONNECT to anywhere, and what it was asked with."""

    def __init__(self):
        self.heads = []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        head = b""
        while b"\r\n\r\n" not in head:
            piece = client.recv(4096)
            if not piece:
                return
            head += piece
        self.heads.append(head.decode())
        host, _, port = head.split()[1].decode().rpartition(":")
        with client, socket.create_connection((host, int(port))) as server:
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            ends = {client: server, server: client}
            while True:
                for ready in select.select(list(ends), [], [])[0]:
                    piece = ready.recv(65536)
                    if not piece:
                        return
                    ends[ready].sendall(piece)

    def close(self):
        self.socket.close()


def test_the_proxy_alone_gets_its_fields(make_agent, make_secure, receiver, tmp_path):
    servers = Authority(tmp_path / "servers", "servers")
    target = make_secure(PAGE, servers.issue("server"))
    proxy = Proxy()
    try:
        agent = make_agent(config([target.address], receiver.url, scheme="https",
                                  tls_config={"ca_file": servers.certificate}, proxy_url=f"http://{proxy.address}",
                                  proxy_connect_header={"X-Proxy": ["sesame"], "X-More": ["a", "b"]}))
        until(lambda: 1.0 in ups(receiver), "the target is up")
        assert proxy.heads[0].startswith(f"CONNECT {target.address} HTTP/1.1\r\n")
        for line in ("X-Proxy: sesame", "X-More: a", "X-More: b"):
            assert f"\r\n{line}\r\n" in proxy.heads[0]
        assert all("X-Proxy" not in headers for _, headers in target.requests)
        assert "sesame" not in agent.get("/api/v1/status/config")[1]
    finally:
        proxy.close()


# ---- fields and redirects ----


def test_header_files_are_read_again(make_agent, make_target, receiver, tmp_path):
    target = make_target(PAGE)
    path = tmp_path / "key"
    path.write_text("one\n")
    headers = {"X-Key": {"files": [str(path)]}, "X-Other": {"values": ["plain"], "secrets": ["hidden"]}}
    agent = make_agent(config([target.address], receiver.url, http_headers=headers))

    def last():
        with target.lock:
            return target.requests[-1][1].get("X-Key") if target.requests else None

    until(lambda: last() == "one", "the first")
    path.write_text("two\n")
    until(lambda: last() == "two", "the second")
    path.unlink()
    until(lambda: ups(receiver)[-1] == 0.0, "a scrape without it is none")
    assert "unable to read" in agent.api("targets")["activeTargets"][0]["lastError"]
    assert "hidden" not in agent.get("/api/v1/status/config")[1]


def test_credentials_stay_with_their_host(make_agent, make_target, receiver):
    elsewhere, here, asked = make_target(PAGE), make_target(PAGE), make_target()
    places = [f"http://localhost:{elsewhere.address.rsplit(':')[-1]}/there", f"http://{here.address}/here"]
    asked.answer = lambda path, headers: (302, {"Location": places[path == "/here"]}, b"")
    jobs = config([asked.address], receiver.url, basic_auth={"username": "u", "password": "p"},
                  http_headers={"X-Key": {"secrets": ["s"]}, "X-Plain": {"values": ["v"]}}, metrics_path="/there")
    jobs["scrape_configs"].append(dict(jobs["scrape_configs"][0], job_name="same", metrics_path="/here"))
    make_agent(jobs)
    until(lambda: elsewhere.requests and here.requests, "both are asked")
    assert "Authorization" in asked.requests[0][1]
    kept, left = here.requests[0][1], elsewhere.requests[0][1]
    assert "Authorization" in kept and kept["X-Key"] == "s"
    assert "Authorization" not in left and "X-Key" not in left and left["X-Plain"] == "v"

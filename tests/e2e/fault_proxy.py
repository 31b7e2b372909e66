"""A proxy in front of the AWS emulator that answers some calls itself."""

import json
import threading
import urllib.error
import urllib.request

from peers import Handler, Listener

JSON, XML = "application/x-amz-json-1.1", "text/xml"


class FaultHandler(Handler):
    def do_POST(self):
        owner = self.server.owner
        body = self.body()
        target = self.headers.get("X-Amz-Target", "")
        operation = target.rsplit(".", 1)[-1] or body.decode().partition("Action=")[2].partition("&")[0]
        with owner.lock:
            owner.calls.append((operation, body))
            fault = owner.faults.get(operation)
        answer = fault(body) if callable(fault) else fault
        if answer == "close":
            self.close_connection = True
            return
        self.reply(*(answer or self.forward(operation, body)))

    def forward(self, operation, body):
        """(status, body, content type)"""
        # The signature covers the name of the host asked, so it goes on as it came.
        kept = {k: v for k, v in self.headers.items() if k.lower() not in ("connection", "content-length", "x-amz-target")}
        if "X-Amz-Target" in self.headers:
            kept["X-Amz-Target"] = self.headers["X-Amz-Target"].rsplit(".", 1)[0] + "." + operation
        request = urllib.request.Request(self.server.owner.behind + self.path, body, kept)
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, answer.read(), answer.headers.get("Content-Type", "")
        except urllib.error.HTTPError as e:
            return e.code, e.read(), e.headers.get("Content-Type", "")


class FaultProxy(Listener):
    """`faults`: {operation: (status, body, content type), "close", None: passed on; or a function of the request's body that
    gives one of these}. `calls`: [(operation, body)]."""

    handler = FaultHandler

    def __init__(self, behind):
        self.behind = behind
        self.lock = threading.Lock()
        self.calls = []
        self.faults = {}
        self.released = threading.Event()
        super().__init__()

    @property
    def url(self):
        return f"http://{self.address}"

    def operations(self):
        with self.lock:
            return [operation for operation, _ in self.calls]

    def asked(self, operation):
        """The questions of it."""
        with self.lock:
            return [json.loads(body) for o, body in self.calls if o == operation]

    def hang(self, body):
        """Longer than anyone waits, unless the test ends."""
        self.released.wait(120)
        return "close"

    def close(self):
        self.released.set()
        super().close()

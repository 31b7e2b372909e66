"""A DNS server of a few lines, and a way to have a program ask it: its own /etc/resolv.conf in a mount namespace."""

import os
import socket
import struct
import subprocess
import threading

TYPES = {"A": 1, "NS": 2, "CNAME": 5, "MX": 15, "AAAA": 28, "SRV": 33}


def encoded(name):
    return b"".join(bytes([len(p)]) + p.encode() for p in name.rstrip(".").split(".") if p) + b"\0"


def data(kind, value):
    if kind == "A":
        return socket.inet_aton(value)
    if kind == "AAAA":
        return socket.inet_pton(socket.AF_INET6, value)
    if kind == "SRV":
        port, target = value
        return struct.pack(">HHH", 10, 5, port) + encoded(target)
    if kind == "MX":
        return struct.pack(">H", 10) + encoded(value)
    return encoded(value)


class Dns:
    """Answers on port 53 of a loopback address. `zone`: {(name with its final dot, type): [values]}; a name with no entry
    does not exist. `fail`: names that get a server failure. What does not fit 512 bytes is cut off and asked for by TCP."""

    def __init__(self, host="127.0.0.153"):
        self.host = host
        self.zone = {}
        self.fail = set()
        self.asked = []  # (name, type, over TCP)
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind((host, 53))
        self.tcp = socket.socket()
        self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.tcp.bind((host, 53))
        self.tcp.listen(16)
        for run in (self._datagrams, self._connections):
            threading.Thread(target=run, daemon=True).start()

    def close(self):
        for s in (self.udp, self.tcp):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()

    def _answer(self, query, tcp):
        at, labels = 12, []
        while query[at]:
            labels.append(query[at + 1 : at + 1 + query[at]].decode())
            at += query[at] + 1
        name, kind = (".".join(labels) + ".").lower(), struct.unpack(">H", query[at + 1 : at + 3])[0]
        question = query[12 : at + 5]
        self.asked.append((name, kind, tcp))
        rcode, records = 0, []
        if name in self.fail:
            rcode = 2
        elif not any(n == name for n, _ in self.zone):
            rcode = 3
        else:
            records = [(t, v) for (n, t), values in self.zone.items() for v in values if n == name and TYPES[t] in (kind, 5)]
        body = b"".join(
            struct.pack(">HHHIH", 0xC00C, TYPES[t], 1, 60, len(data(t, v))) + data(t, v) for t, v in records
        )
        cut = not tcp and len(body) > 400
        flags = 0x8180 | rcode | (0x200 if cut else 0)
        head = query[:2] + struct.pack(">HHHHH", flags, 1, 0 if cut else len(records), 0, 0)
        return head + question + (b"" if cut else body)

    def _datagrams(self):
        while True:
            try:
                query, peer = self.udp.recvfrom(4096)
                if len(query) < 17:
                    return  # closed
                self.udp.sendto(self._answer(query, False), peer)
            except OSError:
                return

    def _connections(self):
        while True:
            try:
                connection, _ = self.tcp.accept()
                size = struct.unpack(">H", connection.recv(2))[0]
                answer = self._answer(connection.recv(size), True)
                connection.sendall(struct.pack(">H", len(answer)) + answer)
                connection.close()
            except OSError:
                if self.tcp.fileno() < 0:
                    return


def with_resolv_conf(directory, program, text):
    """A program that runs the given one with this text as /etc/resolv.conf, or None where the system does not allow it."""
    conf = os.path.join(str(directory), "resolv.conf")
    with open(conf, "w") as f:
        f.write(text)
    script = os.path.join(str(directory), f"with-dns-{os.path.basename(program)}")
    with open(script, "w") as f:
        f.write(f'#!/bin/sh\nexec unshare -m sh -c \'mount --bind {conf} /etc/resolv.conf && exec "$0" "$@"\' {program} "$@"\n')
    os.chmod(script, 0o755)
    probe = subprocess.run(
        ["unshare", "-m", "sh", "-c", f"mount --bind {conf} /etc/resolv.conf"], capture_output=True, check=False
    )
    return script if probe.returncode == 0 else None

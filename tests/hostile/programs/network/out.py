# Attacks the wall: tries to reach anything outside by every kind of socket that may be made.
import json
import os
import socket
import sys

order = json.load(sys.stdin)
reached = []
for host, port in order["addresses"]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        try:
            with socket.socket(family, kind) as way:
                way.settimeout(0.2)
                way.connect((host, port))
                way.send(b"hello")
                if kind == socket.SOCK_STREAM or not host.startswith(("127.", "0.0.0.0", "::1")):
                    reached.append(f"{host}:{port} {kind.name}")
                else:
                    way.recv(1)
                    reached.append(f"{host}:{port} answered")
        except OSError:
            continue
for name in order["names"]:
    try:
        reached.append(str(socket.getaddrinfo(name, 80)))
    except OSError:
        continue
for path in order["sockets"]:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
        try:
            with socket.socket(socket.AF_UNIX, kind) as way:
                way.connect(path)
                reached.append(path)
        except OSError:
            continue
options = []
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
    for name, level, option, value in (
        ("bind to device", socket.SOL_SOCKET, 25, b"eth0\0"),
        ("transparent", socket.SOL_IP, 19, b"\1\0\0\0"),
        ("mark", socket.SOL_SOCKET, 36, b"\1\0\0\0"),
        ("filter table", socket.SOL_IP, 64, bytes(200)),
        ("own headers", socket.SOL_IP, 3, b"\1\0\0\0"),
    ):
        try:
            way.setsockopt(level, option, value)
            options.append(name)
        except OSError:
            continue
    way.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    for address in ("255.255.255.255", "224.0.0.1", "0.0.0.1"):
        try:
            way.sendto(b"x", (address, 9))
            reached.append(address)
        except OSError:
            continue
foreign = []
for address in ("172.17.0.2", "10.0.0.1", "169.254.169.254"):
    try:
        with socket.socket() as way:
            way.bind((address, 0))
            foreign.append(address)
    except OSError:
        continue
json.dump(
    {
        "reached": reached,
        "options": options,
        "addresses that are not ours": foreign,
        "interfaces": sorted(line.split(":")[0].strip() for line in open("/proc/net/dev").read().splitlines()[2:]),
        "routes": open("/proc/net/route").read().splitlines()[1:],
        "engine": [path for path in ("/var/run/docker.sock", "/run/docker.sock", "/run/containerd") if os.path.exists(path)],
    },
    sys.stdout,
)

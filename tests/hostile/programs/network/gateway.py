# Attacks a gateway: replaces, removes and covers its socket, takes its port, ends its relay, exhausts its slots.
import json
import os
import socket
import sys
import threading

port = int(sys.argv[1])
path = f"/gateways/{port}"


def ask(question: bytes = b"?") -> str:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as way:
            way.sendall(question)
            way.shutdown(socket.SHUT_WR)
            return way.makefile("rb").read().decode()
    except OSError as error:
        return str(error)


said: dict[str, object] = {"first": ask()}
harm = []
open("/box/own", "w").close()
for name, act in {
    "remove": lambda: os.unlink(path),
    "rename": lambda: os.rename(path, path + ".old"),
    "replace": lambda: os.rename("/box/own", path),
    "mode": lambda: os.chmod(path, 0),
    "owner": lambda: os.chown(path, os.getuid(), -1),
    "times": lambda: os.utime(path, (0, 0)),
    "new socket": lambda: socket.socket(socket.AF_UNIX).bind(f"/gateways/{port + 1}"),
    "same socket": lambda: socket.socket(socket.AF_UNIX).bind(path),
    "new file": lambda: os.open("/gateways/new", os.O_CREAT | os.O_WRONLY),
    "folder": lambda: os.rmdir("/gateways"),
    "cover": lambda: os.symlink("/box/own", "/gateways/link"),
    "the port": lambda: socket.socket().bind(("127.0.0.1", port)),
    "the port of all": lambda: socket.socket().bind(("", port)),
}.items():
    try:
        act()
        harm.append(name)
    except OSError:
        continue
shared = socket.socket()
shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
for address in ("127.0.0.1", "0.0.0.0"):
    try:
        shared.bind((address, port))
        shared.listen()
        harm.append(f"shared port {address}")
    except OSError:
        continue
for pid in [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) not in (1, os.getpid())]:
    for number in (9, 15, 19):
        try:
            os.kill(pid, number)
            harm.append(f"signal {number} to {pid}")
        except OSError:
            continue
said["harm"] = harm
said["there"] = sorted(os.listdir("/gateways"))
others = []
for other in range(1, 65536):
    if other != port:
        with socket.socket() as way:
            if way.connect_ex(("127.0.0.1", other)) == 0 and way.getsockname() != way.getpeername():
                others.append(other)  # and not itself, met at the port that it was just given
said["other ports"] = others
held = []
try:
    for _ in range(60):
        held.append(socket.create_connection(("127.0.0.1", port), timeout=1))
        held[-1].setblocking(False)
        held[-1].send(b"x" * 1000)
except OSError:
    pass
for way in held:
    way.close()
threads = [threading.Thread(target=ask, args=(b"\0" * 100_000,)) for _ in range(20)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
said["last"] = ask()
json.dump(said, sys.stdout)

# Attacks another room: listens wherever one can listen, or knocks at every such place.
import json
import os
import socket
import sys
import time

PLACES = (
    (socket.AF_INET, ("127.0.0.1", 9000)),
    (socket.AF_INET, ("127.0.0.2", 9001)),
    (socket.AF_INET, ("0.0.0.0", 9002)),
    (socket.AF_UNIX, "\0meeting"),
    (socket.AF_UNIX, "/tmp/meeting"),
    (socket.AF_UNIX, "/box/meeting"),
    (socket.AF_UNIX, "/dev/shm/meeting"),
)
ways = []
if sys.argv[1] == "listen":
    for family, address in PLACES:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            way = socket.socket(family, kind)
            try:
                way.bind(address)
            except OSError:
                continue
            if kind == socket.SOCK_STREAM:
                way.listen()
            ways.append(way)
    for folder in ("/box", "/tmp", "/dev/shm"):
        with open(f"{folder}/left", "w") as file:
            file.write("a word")
    print(len(ways), flush=True)
    time.sleep(1e6)
met = []
for family, address in PLACES:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        way = socket.socket(family, kind)
        way.settimeout(0.2)
        try:
            way.connect(address)
            way.send(b"knock")
            way.send(b"knock")  # a datagram to a closed port is refused at the second
            met.append(f"{address} {kind.name}")
        except OSError:
            continue
met += [folder for folder in ("/box", "/tmp", "/dev/shm") if os.path.exists(f"{folder}/left")]
json.dump(met, sys.stdout)

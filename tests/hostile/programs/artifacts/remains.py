# Attacks the next candidate: leaves a word in every place that may outlive a room, or looks for one.
import ctypes
import json
import os
import sys

WORD = "left by another"
PLACES = ("/box", "/tmp", "/dev/shm", "/var/tmp", "/run", "/var/cache", "/var/log", "/dev/mqueue", "/dev", "/root", "/")
KEY = 0x5EC0DE
libc = ctypes.CDLL(None, use_errno=True)
left = []
if sys.argv[1] == "leave":
    for place in PLACES:
        try:
            with open(f"{place}/remains", "w") as file:
                file.write(WORD)
            left.append(place)
        except OSError:
            continue
    libc.shmat.restype = ctypes.c_void_p
    segment = libc.shmget(KEY, 4096, 0o1666)
    if segment >= 0:
        ctypes.memmove(libc.shmat(segment, None, 0), WORD.encode(), len(WORD))
        left.append("shm")
else:
    left = [place for place in PLACES if os.path.lexists(f"{place}/remains")]
    if libc.shmget(KEY, 0, 0) >= 0:
        left.append("shm")
    left += [name for folder in ("/box", "/tmp", "/dev/shm") for name in os.listdir(folder) if name != "attack.py"]
json.dump(left, sys.stdout)

# Attacks the host's disk: dies with much in memory, in ways that leave a core file where one may be left.
import os
import resource
import signal
import sys

ballast = bytearray(b"x") * (20 << 20)
for wanted in (resource.RLIM_INFINITY, 0):
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (wanted, wanted))
    except (OSError, ValueError):
        print("refused", flush=True)
os.kill(os.getpid(), getattr(signal, sys.argv[1]))

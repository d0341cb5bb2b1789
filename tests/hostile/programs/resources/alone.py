# Tells which other processes are in the room, for what an earlier program left behind.
import os

print([int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) not in (1, os.getpid())])

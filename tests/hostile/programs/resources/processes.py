# Attacks the limit on processes, and the end of the room: makes as many as it can, some of which mean to stay.
import ctypes
import os
import signal
import sys
import threading
import time

PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER, PR_SET_PDEATHSIG = 4, 36, 1
CLONE, CLONE_PARENT = 56, 0x8000
libc = ctypes.CDLL(None, use_errno=True)


def linger() -> None:
    """What a program does that wants to be there after the end."""
    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, signal.NSIG))
    while True:
        time.sleep(0.01)


def daemon() -> None:
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            linger()
        os._exit(0)
    os.wait()


way = sys.argv[1]
if way == "fork bomb":
    while True:
        try:
            os.fork()
        except OSError:
            continue
elif way == "thread bomb":
    made = 0
    try:
        while True:
            threading.Thread(target=time.sleep, args=(1e6,), daemon=True).start()
            made += 1
    except RuntimeError as error:
        print(made, error, flush=True)
        os._exit(0)
elif way == "children up to the limit":
    made = 0
    try:
        while True:
            if os.fork() == 0:
                linger()
            made += 1
    except OSError as error:
        print(made, error.errno, flush=True)
elif way == "daemon":
    daemon()
elif way == "many daemons":
    for _ in range(5):
        daemon()
elif way == "zombies":
    for _ in range(15):
        if os.fork() == 0:
            os._exit(0)
elif way == "subreaper":
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    if os.fork() == 0:
        libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        for _ in range(3):
            daemon()
        linger()
elif way == "not dumpable":
    libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    if os.fork() == 0:
        libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
        linger()
elif way == "stopped children":
    for _ in range(5):
        if os.fork() == 0:
            os.kill(os.getpid(), signal.SIGSTOP)
elif way == "children of PID 1":
    for _ in range(10):
        if libc.syscall(CLONE, CLONE_PARENT | signal.SIGCHLD, 0, 0, 0, 0) == 0:
            linger()
elif way == "dying children of PID 1":
    for _ in range(3):
        os.fork()
    while True:
        if libc.syscall(CLONE, CLONE_PARENT | signal.SIGCHLD, 0, 0, 0, 0) == 0:
            os._exit(0)
elif way == "vfork":
    if os.fork() == 0:
        if libc.vfork() == 0:
            time.sleep(1e6)
        os._exit(0)
elif way == "death wish":
    if os.fork() == 0:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGCONT, 0, 0, 0)
        linger()
print("done", flush=True)
os._exit(0)

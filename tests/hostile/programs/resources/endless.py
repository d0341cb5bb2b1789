# Attacks the time limit: never ends, each time in another way of spending or not spending processor time.
import os
import select
import signal
import sys
import threading
import time

way = sys.argv[1]
print("began", flush=True)
if way == "spin":
    while True:
        pass
elif way == "sleep":
    time.sleep(1e6)
elif way == "pause":
    signal.pause()
elif way == "select":
    select.select([], [], [])
elif way == "deadlock":
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()
elif way == "empty pipe":
    os.read(os.pipe()[0], 1)
elif way == "wait for a child that waits for us":
    if os.fork():
        os.wait()
    signal.pause()
elif way == "stopped":
    os.kill(os.getpid(), signal.SIGSTOP)
elif way == "ignoring every signal":
    for number in range(1, signal.NSIG):
        if number not in (signal.SIGKILL, signal.SIGSTOP, 32, 33):
            signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, signal.NSIG))
    while True:
        time.sleep(0.01)
elif way == "niced spin in a new session":
    os.nice(14)
    if os.fork() == 0:
        os.setsid()
    while True:
        pass
elif way == "alarms":
    signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, 0.0001, 0.0001)
    while True:
        signal.pause()
elif way == "signals to PID 1":
    for _ in range(8):
        os.fork()
        if os.getppid() != 1:
            break
    while True:
        os.kill(1, signal.SIGCHLD)

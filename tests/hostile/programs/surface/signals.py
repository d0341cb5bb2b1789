# Attacks PID 1, and everything else in the room: sends every signal in every way that the kernel knows.
import ctypes
import fcntl
import os
import signal
import socket
import struct
import sys
import threading

CALL = {"rt_sigqueueinfo": 129, "tkill": 200, "tgkill": 234, "timer_create": 222, "rt_tgsigqueueinfo": 297}
PIDFD_OPEN, PIDFD_SEND = 434, 424
F_SETSIG, F_SETOWN_EX, F_NOTIFY, F_SETLEASE = 10, 15, 1026, 1024
libc = ctypes.CDLL(None, use_errno=True)
signals = [number for number in range(1, 65) if number not in (32, 33)]


def quietly(act: object, *arguments: object) -> None:
    try:
        act(*arguments)  # type: ignore[operator]
    except (OSError, ValueError, OverflowError):
        pass


def by_call(*words: object) -> None:
    libc.syscall(*(word if isinstance(word, ctypes.Array) else ctypes.c_long(word) for word in words))


def info(number: int, code: int) -> ctypes.Array[ctypes.c_char]:
    return ctypes.create_string_buffer(struct.pack("iiixxxxii", number, 0, code, 0, 0), 128)


way = sys.argv[1]
signal.pthread_sigmask(signal.SIG_BLOCK, set(range(1, 65)) - {32, 33})
if way == "kill":
    for number in signals:
        for target in (1, -1):
            quietly(os.kill, target, number)
    quietly(os.killpg, 1, signal.SIGKILL)
elif way == "tkill":
    for number in signals:
        by_call(CALL["tkill"], 1, number)
        by_call(CALL["tgkill"], 1, 1, number)
elif way == "queue":
    for number in signals:
        for code in (-1, -2, -6, 0, 0x80):
            by_call(CALL["rt_sigqueueinfo"], 1, number, info(number, code))
            by_call(CALL["rt_tgsigqueueinfo"], 1, 1, number, info(number, code))
elif way == "pidfd":
    one = libc.syscall(PIDFD_OPEN, 1, 0)
    for number in signals:
        for code in (None, -1, -6, 0x80):
            by_call(PIDFD_SEND, one, number, 0 if code is None else info(number, code), 0)
elif way == "owner of input and output":
    for number in signals:
        for owner in (1, -1):
            pair = socket.socketpair()
            for end in pair:
                quietly(fcntl.fcntl, end, fcntl.F_SETOWN, owner)
                quietly(fcntl.fcntl, end, F_SETSIG, number)
                quietly(fcntl.fcntl, end, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
            pair[0].send(b"x")
            pair[1].send(b"x", socket.MSG_OOB)
            pair[0].close()
    for kind in (0, 1, 2):
        here, there = os.pipe()
        quietly(fcntl.fcntl, here, F_SETOWN_EX, struct.pack("ii", kind, 1))
        quietly(fcntl.fcntl, here, F_SETSIG, signal.SIGKILL)
        quietly(fcntl.fcntl, here, fcntl.F_SETFL, os.O_ASYNC)
        os.write(there, b"x")
elif way == "folders and leases":
    for number in signals:
        folder = os.open("/box", os.O_RDONLY)
        quietly(fcntl.fcntl, folder, fcntl.F_SETOWN, 1)
        quietly(fcntl.fcntl, folder, F_SETSIG, number)
        quietly(fcntl.fcntl, folder, F_NOTIFY, 0xF)
        file = os.open(f"/box/lease{number}", os.O_RDONLY | os.O_CREAT)
        quietly(fcntl.fcntl, file, fcntl.F_SETOWN, 1)
        quietly(fcntl.fcntl, file, F_SETSIG, number)
        quietly(fcntl.fcntl, file, F_SETLEASE, fcntl.F_RDLCK)
        quietly(os.open, f"/box/lease{number}", os.O_WRONLY | os.O_NONBLOCK)
elif way == "timers":
    for number in signals:
        event = ctypes.create_string_buffer(struct.pack("qiii", 0, number, 4, 1), 64)
        by_call(CALL["timer_create"], 0, event, ctypes.create_string_buffer(8))
elif way == "death of children":
    for number in signals:
        if libc.syscall(56, 0x8000 | number, 0, 0, 0, 0) == 0:
            os._exit(0)
        child = os.fork()
        if child == 0:
            if libc.syscall(56, number, 0, 0, 0, 0) == 0:
                while os.getppid() != 1:
                    pass
            os._exit(0)
        os.waitpid(child, 0)
elif way == "child flood":
    threads = [threading.Thread(target=lambda: [os.kill(1, 17) for _ in range(20_000)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
print("alive", flush=True)
os._exit(7)

# Attacks the limit on memory: holds more and more where the kernel may not count it, and tells how much so far.
import ctypes
import mmap
import os
import socket
import struct
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

MB = 1 << 20
kept: list[Any] = []
held = 0
libc = ctypes.CDLL(None, use_errno=True)


def tell(more: int) -> None:
    global held
    before, held = held, held + more
    if before // MB != held // MB:
        os.write(1, f"{os.getpid()} {held}\n".encode())


def fill(sender: socket.socket, piece: bytes) -> None:
    sender.setblocking(False)
    try:
        while True:
            tell(sender.send(piece))
    except OSError:
        kept.append(sender)


def enlarge(end: socket.socket) -> None:
    """Ask for large buffers in every way of writing SO_SNDBUF and SO_RCVBUF; the kernel reads 32 bits of 64."""
    size = ctypes.c_int(64 * MB)
    for high in (0, 1 << 32):
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF, 32, 33):
            for level, name in ((1 | high, option), (1, option | high)):
                libc.syscall(
                    ctypes.c_long(54), ctypes.c_long(end.fileno()), ctypes.c_long(level), ctypes.c_long(name),
                    ctypes.byref(size), ctypes.c_long(4),
                )  # fmt: skip


def tcp() -> None:
    listener = socket.socket()
    enlarge(listener)
    listener.bind(("127.0.0.1", 0))
    listener.listen(1024)
    while True:
        sender = socket.socket()
        enlarge(sender)
        sender.connect(listener.getsockname())
        there, _ = listener.accept()
        kept.append(there)
        fill(sender, b"x" * 65536)
        fill(there, b"x" * 65536)


def udp() -> None:
    sender = socket.socket(type=socket.SOCK_DGRAM)
    while True:
        receiver = socket.socket(type=socket.SOCK_DGRAM)
        enlarge(receiver)
        receiver.bind(("127.0.0.1", 0))
        kept.append(receiver)
        for _ in range(1024):  # what does not fit is dropped in silence
            sender.sendto(b"x" * 1024, receiver.getsockname())
        received = struct.unpack("9I", receiver.getsockopt(1, 55, 36))[0]  # SO_MEMINFO: what is held
        tell(received)


def unix() -> None:
    while True:
        pair = socket.socketpair()
        for end in pair:
            enlarge(end)
            fill(end, b"x" * 65536)


def in_flight() -> None:
    """Descriptors that are nowhere but in messages under way, with memory behind them."""
    while True:
        here, there = socket.socketpair()
        files = [os.memfd_create("x") for _ in range(50)]
        for file in files:
            os.write(file, b"x" * 65536)
            tell(65536)
        socket.send_fds(here, [b"x"], [*files, here.fileno(), there.fileno()])
        for file in files:
            os.close(file)
        kept.append((here, there))


def pipes() -> None:
    while True:
        _, there = os.pipe()
        os.set_blocking(there, False)
        try:
            while True:
                tell(os.write(there, b"x" * 65536))
        except BlockingIOError:
            continue


def memfd() -> None:
    while True:
        file = os.memfd_create("x")
        for _ in range(7 * MB // 65536):
            tell(os.write(file, b"x" * 65536))


def shm() -> None:
    libc.shmat.restype = ctypes.c_void_p
    while True:
        segment = libc.shmget(0, MB, 0o1600)
        address = libc.shmat(segment, None, 0)
        ctypes.memset(address, 1, MB)
        libc.shmdt(ctypes.c_void_p(address))
        tell(MB)


def anonymous() -> None:
    while True:
        kept.append(bytearray(b"x") * MB)
        tell(MB)


def at_once() -> None:
    kept.append(bytearray(10 << 30))
    tell(10 << 30)


def shared() -> None:
    while True:
        area = mmap.mmap(-1, MB)
        for start in range(0, MB, 4096):
            area[start] = 1
        kept.append(area)
        tell(MB)


def page_tables() -> None:
    """One page in every 2 MB: each costs another page of table."""
    area = mmap.mmap(-1, 64 << 30, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000)
    zeros = 0
    for start in range(0, 64 << 30, 2 * MB):
        zeros += area[start]
        tell(4096)
    kept.append(area)


def tmpfs() -> None:
    while True:
        for folder in ("/box", "/tmp", "/dev/shm"):
            handle, _ = tempfile.mkstemp(dir=folder)
            try:
                for _ in range(15):
                    tell(os.write(handle, b"x" * 65536))
            finally:
                os.close(handle)


def many() -> None:
    """Many small processes, each of less weight than PID 1 can be made to look."""
    for _ in range(18):
        if os.fork() == 0:
            break
    try:
        Path("/proc/self/oom_score_adj").write_text("0")
    except OSError:
        pass
    while True:
        kept.append(bytearray(b"x") * 65536)
        time.sleep(0.002)


def threads() -> None:
    threading.stack_size(64 * MB)
    for _ in range(10):
        threading.Thread(target=anonymous).start()


def inotify() -> None:
    while True:
        watcher = libc.inotify_init1(0)
        if watcher < 0:
            time.sleep(1e6)
        for name in range(2000):
            Path(f"/tmp/{name}").touch()
            libc.inotify_add_watch(watcher, f"/tmp/{name}".encode(), 0xFFF)


def locks() -> None:
    handle, _ = tempfile.mkstemp(dir="/tmp")
    for start in range(0, 1 << 40, 2):
        os.lseek(handle, start, os.SEEK_SET)
        os.lockf(handle, os.F_TLOCK, 1)
        tell(200)


for _ in range(int(sys.argv[2]) - 1):
    if os.fork() == 0:
        break
globals()[sys.argv[1]]()
print("end", flush=True)
time.sleep(1e6)

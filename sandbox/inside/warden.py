"""PID 1 of every room: the one program of ours that lives beside the candidate's.

It takes files and commands on stdin, runs one program at a time, and says on stdout what happened. It shares the
candidate's uid, since no process in the room may change its own, and is nevertheless out of reach:

- the kernel lets nobody inside a PID namespace kill or stop PID 1, and we install no handler that could matter;
- the interpreter it runs on may be executed but not read (mode 0711), so the kernel makes the process "not dumpable":
  /proc/1/mem, /proc/1/fd and /proc/1/environ belong to root, and stdout, where our words go, can't be opened;
- the seccomp profile allows prlimit only on oneself: a limit on PID 1 would be a way to kill it.

It ends, and the kernel ends everything else in the room with it, when its lifetime is over or when the other end
of stdin is gone, so no program outlives the worker that asked for it.

A frame is one letter, four bytes of length, and that many bytes. Fields within a frame are separated by NUL.
Nothing but a few small modules is imported: starting costs a candidate neither time nor memory.
"""

import errno
import os
import resource
import select
import signal
import stat
import sys
import time
from _collections_abc import Iterator  # collections.abc would import ten times as much

BOX = "/box"
CHUNK = 1 << 16
# Seconds between two looks at what no event tells: sockets, orphans. A look costs a few microseconds; in a tenth of a
# second a dozen processes together fill socket buffers with several times the room's memory, uncounted by cgroup v1.
TICK = 0.01
MOST_FILES = 1000
DEEPEST = 40
DYING = 10.0  # seconds; hundreds of processes on a tenth of a processor need some
LIFETIME_OVER = 99  # our exit code; a program cannot make PID 1 exit

Found = tuple[str, int, str]  # a name below /box, a descriptor or -1, and why it is refused


class Outside:
    """The two streams to the worker. Writing waits for a slow reader, but never beyond the room's lifetime."""

    def __init__(self, lifetime: float) -> None:
        self.ends = time.monotonic() + lifetime
        self.received = bytearray()
        os.set_blocking(1, False)

    def exit_when_over(self) -> None:
        if time.monotonic() >= self.ends:
            os._exit(LIFETIME_OVER)

    def send(self, kind: bytes, *fields: bytes) -> None:
        payload = b"\0".join(fields)
        rest = memoryview(kind + len(payload).to_bytes(4, "big") + payload)
        writable = select.poll()
        writable.register(1, select.POLLOUT)
        while rest:
            try:
                rest = rest[os.write(1, rest) :]
            except BlockingIOError:
                writable.poll(1000)
                self.exit_when_over()

    def receive(self) -> None:
        """Read what has come; the worker's end being closed is the end of the room."""
        piece = os.read(0, CHUNK)
        if not piece:
            os._exit(0)
        self.received += piece

    def frame(self) -> tuple[bytes, bytes] | None:
        if len(self.received) < 5:
            return None
        length = int.from_bytes(self.received[1:5], "big")
        if len(self.received) < 5 + length:
            return None
        kind, payload = bytes(self.received[:1]), bytes(self.received[5 : 5 + length])
        del self.received[: 5 + length]
        return kind, payload


class Gauge:
    """Counters of this container's cgroup, which no program in it can set back. Both cgroup versions."""

    def __init__(self) -> None:
        self.cpu = self._open("/sys/fs/cgroup/cpu.stat", "/sys/fs/cgroup/cpuacct/cpuacct.usage")
        self.memory = self._open("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")
        self.sockets = self._open("/proc/net/sockstat")

    @staticmethod
    def _open(*paths: str) -> int:
        for path in paths:
            try:
                return os.open(path, os.O_RDONLY)
            except OSError:
                continue
        return -1

    def cpu_microseconds(self) -> int:
        """-1 where the container does not show it (gVisor)."""
        text = self._read(self.cpu)
        if text.strip().isdigit():
            return int(text) // 1000
        return self._field(text, b"usage_usec")

    def kills(self) -> int:
        return self._field(self._read(self.memory), b"oom_kill")

    def open_sockets(self) -> int:
        return self._field(self._read(self.sockets), b"sockets: used")

    @staticmethod
    def _read(descriptor: int) -> bytes:
        return os.pread(descriptor, 4096, 0) if descriptor >= 0 else b""

    @staticmethod
    def _field(text: bytes, name: bytes) -> int:
        for line in text.splitlines():
            key, _, value = line.rpartition(b" ")
            if key == name:
                return int(value)
        return -1


class Program:
    """One program of the candidate, from its start until everything that it left behind is gone."""

    def __init__(self, command: list[bytes], stdin: int, processes: int, seconds: float, output: int) -> None:
        self.began = time.monotonic()
        self.ended = self.began
        self.deadline = self.began + seconds if seconds else None
        self.room_left = output
        self.why = b""  # why we ended it; empty while it goes on or when it ended by itself
        self.status: int | None = None
        self.failure = b""
        out, out_there = os.pipe()
        err, err_there = os.pipe()
        trouble, trouble_there = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            _become(command, (stdin, out_there, err_there), trouble_there, processes)
        for descriptor in (out_there, err_there, trouble_there):
            os.close(descriptor)
        self.failure = os.read(trouble, 4096)  # nothing, and at once, when exec went well
        os.close(trouble)
        _prefer_as_victim(self.pid)
        self.streams = {out: b"1", err: b"2"}
        for descriptor in self.streams:
            os.set_blocking(descriptor, False)

    def read(self, descriptor: int) -> bytes:
        """The next piece that still counts; b"" when there is nothing now. Notes the end and the overflow."""
        try:
            piece = os.read(descriptor, CHUNK)
        except BlockingIOError:
            return b""
        if not piece:
            del self.streams[descriptor]
            os.close(descriptor)
            return b""
        kept = piece[: self.room_left]
        self.room_left -= len(kept)
        if len(kept) < len(piece):
            self.why = self.why or b"output"
        return kept

    def reap(self) -> None:
        """Take the dead: the program itself, and orphans, which the kernel gives to PID 1."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self.pid:
                self.status, self.ended = status, time.monotonic()

    def end(self) -> None:
        """Kill everything that the candidate's uid still runs; what does not die so dies with the room."""
        patience = time.monotonic() + DYING
        while time.monotonic() < patience:
            # To every process of this uid, at once and under the kernel's lock: forking faster does not help.
            try:
                os.kill(-1, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.reap()
            if not _others():
                return
            time.sleep(0.002)
        os._exit(LIFETIME_OVER)


def _become(command: list[bytes], streams: tuple[int, int, int], trouble: int, processes: int) -> None:
    """In the child: give up what is ours, then become the candidate's program. Does not return."""
    try:
        for number, descriptor in enumerate(streams):
            os.dup2(descriptor, number)
        os.setsid()
        os.chdir(BOX)
        for ignored in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT):
            signal.signal(ignored, signal.SIG_DFL)  # or it would stay ignored beyond exec
        os.nice(5)  # when processors are short, the warden and the probes come first
        # The uid is this room's alone, so counting by uid is counting by room; PID 1 itself is one of them.
        resource.setrlimit(resource.RLIMIT_NPROC, (processes + 1, processes + 1))
        os.execvpe(command[0], command, os.environb)
    except OSError as error:
        os.write(trouble, (error.strerror or str(error)).encode())
    finally:
        os._exit(127)


def _prefer_as_victim(pid: int) -> None:
    """When memory runs out, the kernel should take the candidate's program and not PID 1."""
    try:
        with open(f"/proc/{pid}/oom_score_adj", "w") as file:
            file.write("1000")
    except OSError:
        pass  # it has ended already, or this is gVisor, which has no such file


def _others() -> list[int]:
    """Living processes of the candidate: of our uid, or root's in appearance, as a process can make itself look."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and name != "1":
            try:
                if os.stat(f"/proc/{name}").st_uid in (os.getuid(), 0):
                    found.append(int(name))
            except OSError:
                continue
    return found


class Room:
    def __init__(self, lifetime: float, processes: int, most_sockets: int) -> None:
        self.outside = Outside(lifetime)
        self.gauge = Gauge()
        self.processes = processes
        self.most_sockets = most_sockets
        self.program: Program | None = None
        self.served = False
        self.held: list[tuple[bytes, bytes]] = []
        self.collect: list[bytes] = []
        self.most_bytes = 0
        self.before = (0, 0)
        self.file = -1
        self.stdin = -1
        self.sealed = False  # once a program ran, nothing of ours is ever written among its files
        self.woken, waker = os.pipe()
        os.set_blocking(self.woken, False)
        os.set_blocking(waker, False)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)

    def live(self) -> None:
        while True:
            self._wait()
            while (frame := self.outside.frame()) is not None:
                self._obey(*frame)
            if self.program is not None:
                self._watch(self.program)
            self.outside.exit_when_over()

    def _wait(self) -> None:
        now = time.monotonic()
        until = self.outside.ends
        polled = select.poll()
        polled.register(0, select.POLLIN)
        polled.register(self.woken, select.POLLIN)
        if self.program is not None:
            until = min(until, now + TICK, self.program.deadline or until)
            for descriptor in self.program.streams:
                polled.register(descriptor, select.POLLIN)
        for descriptor, _ in polled.poll(max(0.0, until - now) * 1000 + 1):
            if descriptor == 0:
                self.outside.receive()
            elif descriptor == self.woken:
                os.read(self.woken, CHUNK)
            elif self.program is not None and descriptor in self.program.streams:
                self._pass_on(self.program, descriptor)

    def _obey(self, kind: bytes, payload: bytes) -> None:
        if kind in (b"F", b"A", b"I"):
            try:
                self._take(kind, payload)
            except OSError as error:
                self.outside.send(b"x", os.fsencode(error.strerror or "cannot write"))
        elif kind in (b"R", b"S"):
            self._start(kind == b"S", payload.split(b"\0"))
        elif kind == b"X" and self.program is not None:
            self.program.reap()
            if self.program.status is None:
                self.program.why = self.program.why or b"stopped"
            self._finish(self.program)

    def _take(self, kind: bytes, payload: bytes) -> None:
        if kind == b"I":
            if self.stdin < 0:
                self.stdin = os.memfd_create("stdin")
            return _write(self.stdin, payload)
        if kind == b"A":
            return _write(self.file, payload)
        if self.sealed:
            raise PermissionError(errno.EPERM, "files go in before the first program")
        if self.file >= 0:
            os.close(self.file)
            self.file = -1
        path = os.path.join(BOX, os.fsdecode(payload))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        self.file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o755)
        return None

    def _start(self, served: bool, fields: list[bytes]) -> None:
        seconds, output, most_bytes, count, *words = fields
        self.sealed = True
        if self.file >= 0:
            os.close(self.file)
            self.file = -1
        self.served, self.most_bytes, self.held = served, int(most_bytes), []
        self.collect, command = words[: int(count)], words[int(count) :]
        self.before = (self.gauge.cpu_microseconds(), self.gauge.kills())
        if self.stdin < 0:
            self.stdin = os.open("/dev/null", os.O_RDONLY)
        else:
            os.lseek(self.stdin, 0, os.SEEK_SET)
        self.outside.send(b"s")
        self.program = Program(command, self.stdin, self.processes, float(seconds), int(output))
        os.close(self.stdin)
        self.stdin = -1
        if served:
            self.outside.send(b"b", self.program.failure)

    def _pass_on(self, program: Program, descriptor: int) -> bool:
        kind = program.streams[descriptor]
        piece = program.read(descriptor)
        if self.served and program.why == b"output":
            program.why = b""  # a server that logs much is not ended for it; the rest is dropped
        if piece and self.served:
            self.held.append((kind, piece))
        elif piece:
            self.outside.send(kind, piece)
        return bool(piece)

    def _watch(self, program: Program) -> None:
        program.reap()
        if program.status is None and program.deadline is not None and time.monotonic() >= program.deadline:
            program.why = program.why or b"time"
        if self.gauge.open_sockets() > self.most_sockets:
            # cgroup v1 does not count what waits in TCP and UDP buffers; the number of sockets bounds it.
            program.why = program.why or b"sockets"
        if program.status is not None or program.why or program.failure:
            if self.served and not program.why:
                return  # it ended by itself; the worker is told when it asks
            if self.served and program.why != b"stopped":
                program.end()
                return
            self._finish(program)

    def _finish(self, program: Program) -> None:
        program.end()
        for descriptor in list(program.streams):
            while descriptor in program.streams and self._pass_on(program, descriptor):
                continue
        for descriptor in program.streams:
            os.close(descriptor)
        self.program = None
        for kind, piece in self.held:
            self.outside.send(kind, piece)
        cpu, kills = self.gauge.cpu_microseconds(), self.gauge.kills()
        spent = cpu - self.before[0] if cpu >= 0 else -1
        killed = max(0, kills - self.before[1])
        code = os.waitstatus_to_exitcode(program.status) if program.status is not None else -signal.SIGKILL
        lasted = int((program.ended - program.began) * 1e6)
        numbers = (str(number).encode() for number in (code, lasted, spent, killed))
        self.outside.send(b"e", program.why, *numbers, program.failure)
        for name, descriptor, refusal in _found(self.collect, self.most_bytes):
            if descriptor < 0:
                self.outside.send(b"n", os.fsencode(name), refusal.encode())
                continue
            self.outside.send(b"f", os.fsencode(name))
            while piece := os.read(descriptor, CHUNK):
                self.outside.send(b"d", piece)
            os.close(descriptor)
        self.outside.send(b"z")


def _write(descriptor: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _found(names: list[bytes], left: int) -> Iterator[Found]:
    """Open what was asked for, one at a time. Nothing runs any more, so nothing changes while we look."""
    queue = [(os.fsdecode(name), 0) for name in reversed(names)]
    for _ in range(MOST_FILES):
        if not queue:
            return
        name, depth = queue.pop()
        parent = -1
        try:
            name.encode()  # a name that is no text could, made readable, be mistaken for another
            parent, leaf = _parent(name)
            look = os.stat(leaf, dir_fd=parent, follow_symlinks=False)
            if stat.S_ISDIR(look.st_mode) and depth < DEEPEST:
                below = "" if name == "." else name + "/"
                queue += [(below + child, depth + 1) for child in _children(parent, leaf)]
            elif not stat.S_ISREG(look.st_mode):
                yield name, -1, _kind(look.st_mode)
            elif look.st_size > left:
                yield name, -1, f"too large: {look.st_size} bytes, and {left} are left"
            else:
                left -= look.st_size
                yield name, os.open(leaf, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=parent), ""
        except FileNotFoundError:
            continue
        except UnicodeEncodeError:
            yield name, -1, "the name is not UTF-8"
        except OSError as error:
            yield name, -1, _refusal(error)
        finally:
            if parent >= 0:
                os.close(parent)
    if queue:
        yield queue[-1][0], -1, f"more than {MOST_FILES} files and folders were found"


def _children(parent: int, name: str) -> list[str]:
    descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
    try:
        return sorted(os.listdir(descriptor), reverse=True)
    finally:
        os.close(descriptor)


def _parent(name: str) -> tuple[int, str]:
    """The folder that holds `name`, reached without following a link."""
    *folders, leaf = name.split("/")
    descriptor = os.open(BOX, os.O_RDONLY | os.O_DIRECTORY)
    for folder in folders:
        try:
            deeper = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=descriptor)
        finally:
            os.close(descriptor)
        descriptor = deeper
    return descriptor, leaf


def _refusal(error: OSError) -> str:
    if error.errno in (errno.ELOOP, errno.ENOTDIR):
        return "a folder on the way is a link or no folder"
    return error.strerror or "unreadable"


def _kind(mode: int) -> str:
    for test, name in (
        (stat.S_ISLNK, "a link"),
        (stat.S_ISFIFO, "a pipe"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISDIR, f"a folder more than {DEEPEST} folders deep"),
    ):
        if test(mode):
            return name
    return "a device"


if __name__ == "__main__":
    Room(float(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])).live()

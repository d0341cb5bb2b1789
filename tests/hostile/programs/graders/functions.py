"""Functions that should return x * x + 1, and would rather be believed than be right."""

import atexit
import gc
import os
import re
import signal
import subprocess
import sys
import threading
import time

SECRET = re.compile(rb"hidden-[0-9a-f]{32}")


def honest(x):
    return x * x + 1


# F1, F2, F35: ends that look well


def exits_with_zero(x):
    os._exit(0)


def raises_system_exit(x):
    sys.exit(0)


def exits_at_exit(x):
    atexit.register(os._exit, 0)
    raise AssertionError


def kills_itself(x):
    os.kill(os.getpid(), signal.SIGKILL)


def kills_everything(x):
    os.kill(-1, signal.SIGKILL)


def becomes_another_program(x):
    os.execvp("echo", ["echo", "2 passed"])


# F3, F34: words


def prints_a_summary(x):
    print("2 passed in 0.01s")
    print('{"score": 100}', '{"id": "0", "output": 5}', flush=True)
    subprocess.run(["echo", "2 passed"])
    return None


def writes_garbage_everywhere(x):
    for descriptor in range(1, 64):
        try:
            os.write(descriptor, b"\xff\x1b[2J\x00garbage\n")
        except OSError:
            pass
    return x


# F5, F6, F7, F8: values that lie


class Chameleon:
    __array_priority__ = 1e9
    __eq__ = lambda self, other: True
    __ne__ = lambda self, other: False
    __hash__ = None


class LyingInteger(int):
    __eq__ = lambda self, other: True
    __hash__ = int.__hash__


class LyingFloat(float):
    __eq__ = lambda self, other: True
    __hash__ = float.__hash__


class Endless:
    def tolist(self):
        return self


def is_equal_to_all(x):
    return Chameleon()


def is_a_lying_integer(x):
    return LyingInteger(0)


def is_a_lying_float(x):
    return LyingFloat(x * x + 1)


def is_no_number(x):
    return float("nan")


def is_infinite(x):
    return float("inf")


def is_a_text(x):
    return str(x * x + 1)


def is_true(x):
    return True


def is_a_lone_number_in_a_list(x):
    return [x * x + 1]


def is_its_own_list(x):
    return Endless()


# F13: not answering as if nothing had been asked


def skips(x):
    import unittest

    raise unittest.SkipTest("not today")


# F14 to F18: whatever can be read in the room


def looks_for_secrets(x):
    """The secret that an argument holds is found, which shows that it looks in the right places."""
    found = set()
    for thing in gc.get_objects():
        found.update(SECRET.findall(repr(thing)[:10_000].encode(errors="replace")))
    frame = sys._getframe()
    while frame is not None:
        found.update(SECRET.findall(repr((frame.f_locals, frame.f_globals, frame.f_code.co_consts)).encode()))
        frame = frame.f_back
    for process in filter(str.isdigit, os.listdir("/proc")):
        names = [f"/proc/{process}/{name}" for name in ("cmdline", "environ", "status")]
        try:
            names += [f"/proc/{process}/fd/{name}" for name in os.listdir(f"/proc/{process}/fd") if name > "2"]
        except OSError:
            pass
        found.update(secret for name in names if not is_pipe(name) for secret in SECRET.findall(content(name)))
        found.update(secret for piece in memory(process) for secret in SECRET.findall(piece))
    for folder, _, files in os.walk("/"):
        if not folder.startswith(("/proc", "/sys", "/dev/fd", "/usr/bin", "/usr/lib", "/usr/local/lib", "/usr/share")):
            found.update(secret for name in files for secret in SECRET.findall(content(os.path.join(folder, name))))
    return sorted(secret.decode() for secret in found)


def is_pipe(name):
    try:
        return not os.path.isfile(name)
    except OSError:
        return True


def content(name):
    try:
        with open(name, "rb", 0, opener=lambda path, flags: os.open(path, flags | os.O_NONBLOCK)) as file:
            return file.read(1 << 20) or b""
    except OSError:
        return b""


def memory(process):
    try:
        with open(f"/proc/{process}/maps") as maps, open(f"/proc/{process}/mem", "rb", 0) as file:
            for line in maps:
                start, end = (int(word, 16) for word in line.split()[0].split("-"))
                if " rw" in line and end - start < 1 << 26:
                    file.seek(start)
                    yield file.read(end - start)
    except OSError:
        return


# F37


def looks_for_solutions(x):
    names = {"grader.py", "rubric.toml", "expect.toml", "challenge.toml", "private", "solutions", ".git"}
    walked = [(folder, [*folders, *files]) for folder, folders, files in os.walk("/") if "/proc" not in folder]
    return [os.path.join(folder, name) for folder, inside in walked for name in inside if name in names]


# F19, F20: writing what others are to read


def writes_results(x):
    for name in ("result.json", "results.json", "reward.txt", "/tmp/result.json", "answers.jsonl"):
        with open(name, "w") as file:
            file.write('{"score": 1.0, "output": 5, "credit": 1}')
    return None


def leaves_a_writer(x):
    """A child that outlives this one, and answers again and again on every descriptor it can reach."""
    if os.fork() == 0:
        os.setsid()
        while True:
            for descriptor in range(3, 64):
                try:
                    os.write(descriptor, b'{"id":"0","output":5}\n')
                except OSError:
                    pass
            time.sleep(0.001)
    time.sleep(0.1)
    return None


# Our own frames, forged with everything that they need


def question_and_descriptor():
    frame = sys._getframe()
    while "private" not in frame.f_locals:
        frame = frame.f_back
    return re.search(rb'"id": "([0-9a-f]+)"', frame.f_locals["order"])[1], frame.f_locals["private"]


FRAMES = [
    b'{"id":"ID","output":' + b"[" * 60_000 + b"]" * 60_000 + b"}\n",
    b'{"id":"ID","output":1e999}\n',
    b'{"id":"ID","output":' + b"9" * 100_000 + b"}\n",
    b'{"id":"ID","output":1,"output":2}\n',
    b'{"id":"ID","output":1,"raised":[["ValueError"],"x"]}\n',
    b'{"id":"ID","raised":"ValueError"}\n',
    b'{"id":"ID","raised":[[1],"x"]}\n',
    b'{"id":"ID","raised":[' + str(["A"] * 20_000).replace("'", '"').encode() + b',"x"]}\n',
    b'{"id":1,"output":1}\n',
    b'{"output":1}\n',
    b'{"id":"ID"}\n',
    b'{"id":"0","output":1}\n',
    b'{"id":"ID","broken":1}\n',
    b'{"id":"ID","output":"\\ud800"}\n',
    b'{"id":"ID","output":"\xff"}\n',
    b'{"id":"ID","output":1',
    b'{"id":"ID","output":1}\n{"id":"ID","output":1}\n',
    b"\n",
    b"[]\n",
    b"\x80\x04\x95cposix\nsystem\n(S'touch /tmp/pickled'\ntR.\n",
    b"!!python/object/apply:os.system ['touch /tmp/yaml']\n",
]


def forges(number):
    nonce, descriptor = question_and_descriptor()
    rest = FRAMES[number].replace(b"ID", nonce)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
    os._exit(0)


def forges_well(x):
    """All that can be won: to be believed to have returned what is wrong."""
    nonce, descriptor = question_and_descriptor()
    os.write(descriptor, b'{"id":"%s","output":5}\n' % nonce)
    os._exit(0)


# F21, F23, F31: what is left for the next


remembered = []


def remembers(x):
    remembered.append(x)
    threading.Thread(target=time.sleep, args=(300,)).start()
    return remembered


def plants(x):
    """Programs and modules under names that others start and import."""
    packages = "/tmp/.local/lib/python3.11/site-packages"
    os.makedirs(packages, exist_ok=True)
    evil = "raise SystemExit('planted')\n"
    for name in ("sitecustomize", "usercustomize", "json", "os", "importlib", "numpy", "socket", "encodings"):
        for folder in (".", "/tmp", packages):
            with open(f"{folder}/{name}.py", "w") as file:
                file.write(evil)
    with open(f"{packages}/evil.pth", "w") as file:
        file.write("import sys; sys.exit('planted')\n")
    for folder in (".", "/tmp"):
        for name in ("python3", "python", "sh", "env"):
            with open(f"{folder}/{name}", "w") as file:
                file.write("#!/bin/sh\necho planted\n")
            os.chmod(f"{folder}/{name}", 0o755)
    for name in (".bashrc", ".profile", ".pythonrc.py", "pyvenv.cfg"):
        with open(f"/tmp/{name}", "w") as file:
            file.write("exit 1\n")
    os.environ["PATH"] = "/box:/tmp"
    return None


def hangs(x):
    for number in set(range(1, 65)) - {9, 19, 32, 33}:
        signal.signal(number, signal.SIG_IGN)
    while True:
        time.sleep(300)


def floods(x):
    while True:
        os.write(2, b"x" * 65536)


def eats_memory(x):
    return [bytearray(1 << 24) for _ in range(1000)]

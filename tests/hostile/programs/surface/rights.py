# Attacks our rights: looks for a way to have more of them than at the start.
import ctypes
import json
import os
import shutil
import socket
import subprocess
import sys

libc = ctypes.CDLL(None, use_errno=True)
status = dict(line.split(":\t", 1) for line in open("/proc/self/status").read().splitlines() if ":\t" in line)
said: dict[str, object] = {
    "capabilities": sorted({int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}),
    "no new privileges": status["NoNewPrivs"],
    "seccomp": status["Seccomp"],
    "groups": [group for group in os.getgroups() if group != os.getgid()],
    "root": 0 in os.getresuid() + os.getresgid(),
}
gained = []
for act in (
    lambda: os.setuid(0),
    lambda: os.setgid(0),
    lambda: os.setresuid(0, 0, 0),
    lambda: os.setgroups([0]),
    lambda: os.setuid(os.getuid() + 1),
    lambda: os.chroot("/box"),
    lambda: os.nice(-1),
    lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)),
    lambda: os.mknod("/box/device", 0o020666, os.makedev(1, 1)),
    lambda: os.mknod("/box/disk", 0o060666, os.makedev(254, 0)),
    lambda: socket.sethostname("x"),
):
    try:
        act()
    except OSError:
        continue
    gained.append(act.__code__.co_names)
said["gained"] = gained
shutil.copy(os.path.realpath(sys.executable), "/box/raised")
os.chmod("/box/raised", 0o6755)
line = "import os; print(*os.getresuid(), *os.getresgid())"
said["after a set-user-id program"] = subprocess.run(["/box/raised", "-I", "-c", line], capture_output=True, text=True).stdout
said["ours"] = f"{' '.join([str(os.getuid())] * 3)} {' '.join([str(os.getgid())] * 3)}\n"
said["programs that raise"] = [name for name in ("su", "sudo", "newgrp", "passwd", "mount", "pkexec", "ping") if shutil.which(name)]
for folder in ("/tmp", "/dev/shm"):
    shutil.copy("/bin/true", f"{folder}/true")
    try:
        subprocess.run([f"{folder}/true"])
        said[folder] = "executed"
    except OSError as error:
        said[folder] = error.strerror
json.dump(said, sys.stdout)

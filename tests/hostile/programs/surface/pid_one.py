# Attacks PID 1 and our other processes through /proc: opens, lists, follows and writes whatever is there.
import json
import os
import sys

PRIVATE = (
    "mem environ fd maps smaps numa_maps cwd root exe io stack syscall auxv map_files pagemap personality "
    "mountstats ns/mnt ns/pid ns/net task/1/mem task/1/environ task/1/fd fdinfo timers patch_state"
).split()
WRITABLE = (
    "oom_score_adj oom_adj comm clear_refs coredump_filter timerslack_ns attr/current autogroup sched "
    "make-it-fail uid_map gid_map setgroups projid_map loginuid task/1/comm"
).split()


def reached(path: str, flags: int) -> bool:
    try:
        if os.path.islink(path):
            os.readlink(path)
            return True
        if os.path.isdir(path):
            os.listdir(path)
            return True
        handle = os.open(path, flags)
        if flags == os.O_RDONLY:
            os.read(handle, 16)
        else:  # some let themselves be opened, and refuse later
            os.write(handle, b"1")
        return True
    except OSError:
        return False


mine = os.getuid()
others = [int(name) for name in os.listdir("/proc") if name.isdigit() and name != str(os.getpid())]
said = {}
for pid in others:
    said[pid] = {
        "uid": "ours" if os.stat(f"/proc/{pid}").st_uid == mine else "another",
        "reached": [name for name in PRIVATE if reached(f"/proc/{pid}/{name}", os.O_RDONLY)]
        + [name for name in WRITABLE if os.path.isfile(f"/proc/{pid}/{name}") and reached(f"/proc/{pid}/{name}", os.O_WRONLY)],
        "words": open(f"/proc/{pid}/cmdline", errors="replace").read().split("\0"),
    }
print(json.dumps(said), flush=True)
if sys.argv[1:] == ["kill them"]:
    for pid in others:
        for number in (1, 2, 9, 15, 19):
            try:
                os.kill(pid, number)
            except OSError:
                continue
    os.write(1, b"sent\n")

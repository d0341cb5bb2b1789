# Attacks a probe: prints for some time whatever can be read of processes that are not ours.
import os
import time

ends = time.monotonic() + 20
names = ("cmdline", "environ", "maps", "mem", "fd/0", "fd/1", "fd/3", "auxv", "stack", "syscall", "task/{0}/environ")
seen: set[bytes] = set()
while time.monotonic() < ends:
    for pid in [name for name in os.listdir("/proc") if name.isdigit() and name not in ("1", str(os.getpid()))]:
        for name in names:
            try:
                with open(f"/proc/{pid}/{name.format(pid)}", "rb") as file:
                    text = file.read(1 << 16)
            except OSError:
                continue
            if text not in seen:
                seen.add(text)
                os.write(1, name.encode() + b" " + text + b"\n")

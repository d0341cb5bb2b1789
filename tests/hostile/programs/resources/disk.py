# Attacks the file systems in memory: their size, the size of a file, the number of files, the depth of folders.
import errno
import json
import os
import sys

said: dict[str, str] = {}


def until_refused(name: str, act: str) -> None:
    try:
        exec(act)
    except (OSError, RecursionError) as error:
        said[name] = errno.errorcode.get(getattr(error, "errno", 0), type(error).__name__)
    else:
        said[name] = "went well"


way = sys.argv[1]
for folder in ("/box", "/tmp", "/dev/shm"):
    os.chdir(folder)
    if way == "fill":
        until_refused(
            folder, "for n in range(9):\n f = open(f'f{n}', 'wb', 0)\n for _ in range(64): f.write(bytes(65536))"
        )
    elif way == "one large file":
        handle = os.open("large", os.O_RDWR | os.O_CREAT)
        until_refused(f"{folder} write", "while True: os.write(handle, bytes(1 << 20))")
        until_refused(f"{folder} fallocate", "os.posix_fallocate(handle, 0, 10 << 30)")
        until_refused(f"{folder} truncate", "os.ftruncate(handle, 10 << 30)")
        until_refused(f"{folder} pwrite", "os.pwrite(handle, b'x', 10 << 30)")
        os.unlink("large")
    elif way == "many files":
        until_refused(folder, "for n in range(10**6): os.close(os.open(str(n), os.O_CREAT))")
    elif way == "many links":
        os.close(os.open("x", os.O_CREAT))
        until_refused(folder, "for n in range(10**6): os.link('x', f'l{n}')")
    elif way == "deep folders":
        until_refused(folder, "for _ in range(10**6):\n os.mkdir('a')\n os.chdir('a')")
print(json.dumps(said))

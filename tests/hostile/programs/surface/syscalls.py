# Attacks the kernel: makes every system call of a table, each in a process of its own, and tells what came of it.
import ctypes
import json
import os
import sys

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
said: dict[str, object] = {}
for name, number, arguments in json.load(sys.stdin):
    here, there = os.pipe()
    child = os.fork()
    if child == 0:
        buffers = [ctypes.create_string_buffer(4096) if word == "buffer" else word for word in arguments]
        words = [ctypes.c_long(ctypes.addressof(word)) if hasattr(word, "raw") else ctypes.c_long(word) for word in buffers]
        result = libc.syscall(ctypes.c_long(number), *words)
        os.write(there, str(-ctypes.get_errno() if result == -1 else 0).encode())
        os._exit(0)
    os.close(there)
    answer = os.read(here, 100)
    os.close(here)
    _, status = os.waitpid(child, 0)
    said[name] = int(answer) if answer else f"status {status}"
print(json.dumps(said))

# Attacks the filter: makes system calls in the ways of other machines, whose numbers it may not look at.
import ctypes
import json
import mmap
import os
import sys


def machine_code(code: bytes) -> str:
    """What the code returned in a process of its own, or how that ended."""
    here, there = os.pipe()
    child = os.fork()
    if child == 0:
        area = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        area.write(code)
        address = ctypes.addressof(ctypes.c_char.from_buffer(area))
        os.write(there, str(ctypes.CFUNCTYPE(ctypes.c_long)(address)()).encode())
        os._exit(0)
    os.close(there)
    answer = os.read(here, 100).decode()
    os.close(here)
    _, status = os.waitpid(child, 0)
    return answer or f"ended {status}"


SAVE, RESTORE = b"\x53", b"\x5b\xc3"  # push rbx; pop rbx, ret
said = {
    "i386 getpid": machine_code(SAVE + b"\xb8\x14\0\0\0" + b"\xcd\x80" + RESTORE),
    "i386 socket": machine_code(SAVE + b"\xb8\x67\x01\0\0\xbb\x26\0\0\0\xb9\x05\0\0\0\x31\xd2\xcd\x80" + RESTORE),
    "x32 getpid": machine_code(SAVE + b"\xb8\x27\0\0\x40\x0f\x05" + RESTORE),
    "x32 unshare": machine_code(SAVE + b"\xbf\0\0\0\x10\xb8\x10\x01\0\x40\x0f\x05" + RESTORE),
    "native getpid": machine_code(SAVE + b"\xb8\x27\0\0\0\x0f\x05" + RESTORE),
}
json.dump(said, sys.stdout)

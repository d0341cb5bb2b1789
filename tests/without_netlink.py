"""Becomes another program, which cannot open a netlink socket: it does not hear of networks that come and go.

    python -m tests.without_netlink chromium --headless ...

A browser that hears of one gives up whatever it is loading, with ERR_NETWORK_CHANGED, even from loopback. Tests that
bring up Docker networks beside it would decide by chance which page comes out whole.
"""

import ctypes
import os
import platform
import struct
import sys
from typing import Final

AF_NETLINK: Final = 16
EAFNOSUPPORT: Final = 97
SOCKET: Final = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}  # architecture, number of the system call
PR_SET_SECCOMP, SECCOMP_MODE_FILTER, PR_SET_NO_NEW_PRIVS = 22, 2, 38
ALLOW, REFUSE = 0x7FFF0000, 0x00050000 | EAFNOSUPPORT
LOAD, JUMP_EQUAL, RETURN = 0x20, 0x15, 0x06  # of Berkeley packet filters
NUMBER_AT, ARCHITECTURE_AT, FIRST_ARGUMENT_AT = 0, 4, 16


class Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def refuse_netlink() -> None:
    """For this process and all that come from it."""
    architecture, number = SOCKET[platform.machine()]
    steps = (
        (LOAD, 0, 0, ARCHITECTURE_AT),
        (JUMP_EQUAL, 0, 5, architecture),
        (LOAD, 0, 0, NUMBER_AT),
        (JUMP_EQUAL, 0, 3, number),
        (LOAD, 0, 0, FIRST_ARGUMENT_AT),
        (JUMP_EQUAL, 0, 1, AF_NETLINK),
        (RETURN, 0, 0, REFUSE),
        (RETURN, 0, 0, ALLOW),
    )
    program = Program(len(steps), b"".join(struct.pack("HBBI", *step) for step in steps))
    libc = ctypes.CDLL(None, use_errno=True)
    for order in (
        (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
        (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0),
    ):
        if libc.prctl(*order):
            raise OSError(ctypes.get_errno(), "prctl")


if __name__ == "__main__":
    refuse_netlink()
    os.execv(sys.argv[1], sys.argv[1:])

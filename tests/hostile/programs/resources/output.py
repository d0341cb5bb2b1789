# Attacks the reader of our output: too much of it, in pieces and at moments of its own choice.
import os
import struct
import sys
import time

way = sys.argv[1]
if way == "stdout":
    while True:
        os.write(1, b"x" * 65536)
elif way == "stderr":
    while True:
        os.write(2, b"x" * 65536)
elif way == "alternating":
    while True:
        os.write(1, b"o" * 100)
        os.write(2, b"e" * 100)
elif way == "tiny":
    while True:
        os.write(1, b"x")
elif way == "one line":
    print("x" * (10 << 20))
elif way == "many writers":
    for _ in range(5):  # 32 of them: where a fork fails, the first of them might end before there is too much
        os.fork()
    while True:
        os.write(1, b"x" * 4096)
elif way == "flood and exit":
    os.set_blocking(1, False)
    try:
        while True:
            os.write(1, b"x" * 4096)
    except BlockingIOError:
        os._exit(0)
elif way == "larger pipe, flood and exit":
    import fcntl

    fcntl.fcntl(1, 1031, 1 << 20)  # F_SETPIPE_SZ
    os.write(1, b"x" * (1 << 20))
    os._exit(0)
elif way == "orphan":
    if os.fork() == 0:
        os.setsid()
        while True:
            time.sleep(0.001)
            os.write(1, b"late\n")
    time.sleep(0.05)
    os.write(1, b"last\n")
    os._exit(3)
elif way == "closed":
    os.close(1)
    os.close(2)
    time.sleep(0.2)
    os._exit(5)
elif way == "our frames":
    for kind, fields in ((b"e", [b"", b"0", b"0", b"0", b""]), (b"z", []), (b"!", [b"forged"]), (b"s", [])):
        payload = b"\0".join(fields)
        frame = kind + len(payload).to_bytes(4, "big") + payload
        for descriptor in (1, 2):
            os.write(descriptor, frame)
            os.write(descriptor, struct.pack(">BxxxL", 1, len(frame)) + frame)
    os._exit(9)
elif way == "garbage":
    os.write(1, bytes(range(256)) * 16)
    os.write(2, b"\x1b[2J\x1b]0;title\x07\xff\xfe\0" * 100)
    os._exit(0)

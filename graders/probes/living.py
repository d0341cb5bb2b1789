"""Put before probes that wait for a program of the candidate's: whether there is any left to wait for."""

import os


def anything_runs() -> bool:
    """Whether the candidate has a process: one of the user id that PID 1 has too.

    One that has none has nothing that could answer. Started is a program before any probe is.
    """
    owner = os.stat("/proc/1").st_uid
    if owner == 0:  # no room's; here it cannot be seen whose a process is
        return True
    for name in os.listdir("/proc"):
        try:
            if name.isdigit() and name != "1" and os.stat(f"/proc/{name}").st_uid == owner:
                return True
        except OSError:  # it has just ended
            continue
    return False

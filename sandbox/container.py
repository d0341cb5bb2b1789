"""What a room's container may and may not do: the options with which it is created, and nothing else."""

import math
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sandbox import Limits

SECCOMP: Final = Path(__file__).parent / "images" / "seccomp.json"

KIND: Final = "assay.kind"
GRADING: Final = "assay.grading"
FENCE: Final = "assay.fence"
DEADLINE: Final = "assay.deadline"
ROOM: Final = "assay.room"

# gVisor does not execute what it may not read; so there only its own kernel stands between a program and PID 1.
READABLE_WARDEN: Final = ["python3", "-I", "-S", "/opt/assay/warden.py"]

UIDS_A_ROOM: Final = 4  # the candidate's programs and the warden; probes; relays; one to spare
SPARE_PROCESSES: Final = 32  # for what is not the candidate's: warden, probe, relay, the engine's own entering
INODES: Final = 8192
SETUP_SECONDS: Final = 30.0  # of a room's life, beyond the program's own time
LIFETIME_OVER: Final = 99  # the warden's exit code when it ended the room by its own clock

# A socket of the room holds about 70 kB in its buffers with these, which cgroup v1 does not count as memory; the
# warden bounds how many sockets there are. Without them one program under 128 MB could hold 1.5 GB.
TCP_BUFFERS: Final = {"net.ipv4.tcp_rmem": "4096 65536 131072", "net.ipv4.tcp_wmem": "4096 32768 65536"}
SOCKETS_A_MB: Final = 4
FEWEST_SOCKETS: Final = 256


# The engine's own list, which a list of ours replaces, and three folders more. Pseudo terminals are counted for the
# whole host: one room could take them all. Message queues would be one more place to leave something in. The pressure
# is that of the whole host, and may be written to: a neighbour's work could be listened to, with an alarm.
MASKED: Final = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
    "/dev/mqueue",
    "/dev/pts",
    "/proc/pressure",
]


@dataclass(frozen=True, slots=True)
class Owner:
    """For whom a container was made, written on its labels so that a sweep can tell what is left over."""

    kind: str = "candidate"
    grading: str = ""
    fence: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """One container to be, but for its user ids."""

    image: str
    seccomp: str
    runtime: str
    owner: Owner
    limits: Limits
    lifetime: float
    gateways: Mapping[int, Path]
    environment: Mapping[str, str]
    began: float = field(default_factory=time.time)  # by the engine's clock, where one is asked
    mark: str = field(default_factory=lambda: secrets.token_hex(8))  # of this room and no other

    def configuration(self, uid: int) -> dict[str, Any]:
        """The body of the engine's "create container", in the engine's own words."""
        limits = self.limits
        return {
            "Image": self.image,
            "Cmd": [
                f"{self.lifetime:.3f}",
                str(limits.processes),
                str(max(FEWEST_SOCKETS, SOCKETS_A_MB * limits.memory_mb)),
            ],
            "User": f"{uid}:{uid}",
            "WorkingDir": "/",
            "Hostname": "sandbox",
            "Env": [f"{name}={value}" for name, value in {**self._surroundings(), **self.environment}.items()],
            "Labels": self._labels(),
            "Tty": False,
            "OpenStdin": True,
            "StdinOnce": True,  # when the worker is gone, so is stdin, and the warden ends the room
            "AttachStdin": True,
            "AttachStdout": True,
            "AttachStderr": True,
            "NetworkDisabled": True,
            "HostConfig": self._host(uid),
            **({"Entrypoint": READABLE_WARDEN} if self.runtime.startswith("runsc") else {}),
        }

    def _host(self, uid: int) -> dict[str, Any]:
        limits = self.limits
        memory = limits.memory_mb << 20
        disk = f"rw,nosuid,nodev,size={limits.disk_mb}m,nr_inodes={INODES},uid={uid},gid={uid}"
        return {
            # nothing to reach, nothing to write to, nothing to gain
            "NetworkMode": "none",
            "ReadonlyRootfs": True,
            "CapDrop": ["ALL"],
            "Privileged": False,
            "SecurityOpt": ["no-new-privileges:true", f"seccomp={self.seccomp}"],
            "MaskedPaths": MASKED,
            "IpcMode": "private",
            "CgroupnsMode": "private",
            "Tmpfs": {
                "/box": f"{disk},exec,mode=0700",
                "/tmp": f"{disk},noexec,mode=0700",  # noqa: S108
                "/dev/shm": f"{disk},noexec,mode=0700",  # noqa: S108
            },
            "Mounts": [
                {
                    "Type": "bind",
                    "Source": str(path.resolve()),
                    "Target": f"/gateways/{port}",
                    "ReadOnly": True,
                }
                for port, path in self.gateways.items()
            ],
            # how much of the machine
            "Memory": memory,
            "MemorySwap": memory,  # memory and swap together: no swap
            "NanoCpus": int(limits.cpus * 1e9),
            "PidsLimit": limits.processes + SPARE_PROCESSES,
            "Ulimits": [
                _ulimit("nofile", 1024),
                _ulimit("fsize", limits.disk_mb << 20),
                _ulimit("core", 1),  # not 0, with which a host that pipes core dumps would still take one
                _ulimit("memlock", 0),
                _ulimit("cpu", math.ceil(self.lifetime * max(1.0, limits.cpus)) + 10),
            ],
            "Sysctls": TCP_BUFFERS,
            # and what stays when it is over
            "LogConfig": {"Type": "none", "Config": {}},
            "RestartPolicy": {"Name": "no"},
            "AutoRemove": False,
            **({"Runtime": self.runtime} if self.runtime else {}),
        }

    def _labels(self) -> dict[str, str]:
        return {
            ROOM: self.mark,
            KIND: self.owner.kind,
            GRADING: self.owner.grading,
            FENCE: str(self.owner.fence),
            DEADLINE: str(math.ceil(self.began + self.lifetime + SETUP_SECONDS)),
        }

    def _surroundings(self) -> dict[str, str]:
        # Numerical libraries start a thread for every processor of the host, and hit the limit on processes.
        threads = str(max(1, math.floor(self.limits.cpus)))
        return {
            "HOME": "/tmp",  # noqa: S108
            "USER": "candidate",
            "LOGNAME": "candidate",
            "LANG": "C.UTF-8",
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "OMP_NUM_THREADS": threads,
            "OPENBLAS_NUM_THREADS": threads,
            "MKL_NUM_THREADS": threads,
            "NUMEXPR_NUM_THREADS": threads,
        }


def _ulimit(name: str, value: int) -> dict[str, Any]:
    return {"Name": name, "Soft": value, "Hard": value}

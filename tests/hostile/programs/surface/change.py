# Attacks what is ours in the tree: tries to write, replace, remove, cover or remount it.
import json
import os
import sys

PATHS = """
/ /etc /etc/passwd /etc/hosts /etc/hostname /etc/resolv.conf /etc/ld.so.preload /usr /usr/bin /usr/bin/python3
/usr/local/lib /usr/lib/python3/dist-packages /opt/assay /opt/assay/warden.py /opt/assay/python /lib /bin /sbin
/dev /dev/null /dev/zero /dev/pts /dev/pts/0 /dev/console /dev/mqueue /dev/sda /dev/kmsg /dev/mem /dev/fuse
/dev/net/tun /dev/kvm /gateways /run /var /var/tmp /var/lib /root /home /mnt /proc /sys
/proc/sys/kernel/core_pattern /proc/sys/kernel/hostname /proc/sys/vm/overcommit_memory /proc/sysrq-trigger
/proc/sys/net/ipv4/tcp_rmem /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/pid_max /proc/sys/kernel/ns_last_pid
/proc/sys/fs/binfmt_misc/register /proc/irq/default_smp_affinity /proc/bus/pci /proc/fs /proc/kcore /proc/keys
/proc/1/oom_score_adj /proc/timer_list /proc/scsi /proc/acpi /proc/mtrr
/sys/kernel/uevent_helper /sys/fs/cgroup/release_agent /sys/fs/cgroup/memory/release_agent
/sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory/cgroup.procs /sys/fs/cgroup/devices/devices.allow
/sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cgroup.procs
/sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max /sys/fs/cgroup/cgroup.subtree_control /sys/fs/cgroup/rdma
/sys/kernel/security /sys/kernel/debug /sys/module /sys/power/state /sys/firmware
""".split()
TRIALS = {
    "write": lambda path: os.open(path, os.O_WRONLY),
    "append": lambda path: os.open(path, os.O_WRONLY | os.O_APPEND),
    "create in": lambda path: os.open(path + "/new", os.O_WRONLY | os.O_CREAT),
    "folder in": lambda path: os.mkdir(path + "/new"),
    "remove": os.unlink,
    "remove folder": os.rmdir,
    "rename": lambda path: os.rename(path, path + ".old"),
    "replace": lambda path: os.rename("/box/own", path),
    "link over": lambda path: os.symlink("/box/own", path + "x"),
    "mode": lambda path: os.chmod(path, 0o777),
    "owner": lambda path: os.chown(path, os.getuid(), os.getgid()),
    "truncate": lambda path: os.truncate(path, 0),
    "times": lambda path: os.utime(path),
}
MAY = ("write", "append", "times")  # of what is there to be written to, or is masked by such a device
done = []
open("/box/own", "w").close()
for path in PATHS:
    for name, trial in TRIALS.items():
        if name in MAY and os.path.exists(path) and os.stat(path).st_rdev in (os.makedev(1, 3), os.makedev(1, 5)):
            continue
        try:
            trial(path)
        except OSError:
            continue
        done.append(f"{name} {path}")
json.dump(done, sys.stdout)

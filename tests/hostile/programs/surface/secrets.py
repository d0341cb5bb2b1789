# Attacks what we know and it should not: prints all text in the room that says something of the host or of us.
import os

FILES = """
/etc/hosts /etc/hostname /etc/resolv.conf /proc/version /proc/uptime /proc/loadavg /proc/locks
/proc/net/unix /proc/net/tcp /proc/net/tcp6 /proc/net/udp /proc/net/route /proc/net/arp /proc/net/dev /proc/net/if_inet6
/proc/net/fib_trie /proc/sysvipc/shm /proc/swaps /proc/partitions /proc/mdstat /.dockerenv /proc/keys /proc/key-users
/proc/sys/kernel/hostname /proc/sys/kernel/domainname /proc/1/cmdline /proc/1/cgroup /proc/1/status /proc/1/sched
""".split()
for name in FILES:
    try:
        print(name, open(name, errors="replace").read())
    except OSError:
        continue
for name in os.listdir("/proc/self"):
    if name not in ("mountinfo", "mounts", "mountstats", "pagemap", "mem", "clear_refs", "maps", "smaps", "exe"):
        try:
            print(name, open(f"/proc/self/{name}", errors="replace").read())
        except OSError:
            continue
for folder, _, names in os.walk("/sys/fs/cgroup"):
    for name in (folder, *names):
        print(name)
for descriptor in os.listdir("/proc/self/fd"):
    try:
        print(descriptor, os.readlink(f"/proc/self/fd/{descriptor}"))
    except OSError:
        continue
print(os.uname(), os.getcwd(), dict(os.environ))

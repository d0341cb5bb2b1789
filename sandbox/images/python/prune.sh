#!/bin/sh
# Removes from the image whatever a candidate's program has no need of. Programs are kept by name, not removed by
# name: what a later Debian adds is then not there either.
set -eu

packages="$(python3 -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
library="$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')"
kept=" $(dpkg --listfiles bash coreutils dash diffutils findutils grep sed | sed -n 's,.*bin/,,p' | tr '\n' ' ')
    python3.11 python3 python pytest ldconfig "

command -v python > /dev/null || ln -s "$(command -v python3)" /usr/local/bin/python

# Tests of others, and code that would build, install or download; debugpy attaches to other processes.
find "$library" "$packages" -depth -type d \( -name tests -o -name test \) -exec rm -rf {} +
for name in _distutils_hack debugpy pip pkg_resources setuptools wheel; do
    rm -rf "${packages:?}/$name" "$packages/$name"-*
done
rm -f "$packages/distutils-precedence.pth" "$library/EXTERNALLY-MANAGED"
(cd "$library" && rm -rf ensurepip idlelib tkinter turtledemo config-3.11-*)
rm -f /usr/local/lib/libpython*.a

cd /usr
rm -rf games include lib/apt lib/dpkg lib/init lib/lsb lib/mime lib/ssl/misc lib/systemd lib/tmpfiles.d lib/udev libexec \
    lib/*-linux-gnu/e2fsprogs lib/*-linux-gnu/gconv lib/*-linux-gnu/libapt-* lib/*-linux-gnu/perl* \
    lib/*-linux-gnu/security lib/python3 lib/valgrind local/include local/man local/share/man src
cd /usr/share
rm -rf applications apport bash-completion bug debconf debhelper debianutils doc doc-base gcc gdb icons info keyrings \
    libgcrypt20 lintian locale man menu mime pam* perl* pixmaps polkit-1 python3 sensible-utils tabset util-linux
cd /etc
rm -rf alternatives apt cron.* dpkg default init.d logcheck logrotate.d pam.* profile.d rc*.d rmt security selinux skel \
    systemd terminfo update-motd.d passwd- group- shadow- gshadow- subuid* subgid*
cd /var
rm -rf backups cache lib/apt lib/dpkg lib/pam lib/systemd local log mail opt spool
rm -rf /boot /home /media /mnt /root/.cache /srv
mkdir -p /var/cache /var/log

# Nothing here may raise a program's rights, whatever the engine was told about new privileges.
find / -xdev ! -type l -perm /6000 -exec chmod ug-s {} +

# At last the programs, among them those that were used here.
find /bin/ /sbin/ /usr/bin /usr/sbin /usr/local/bin /usr/local/sbin -mindepth 1 -maxdepth 1 |
    while read -r program; do
        case "$kept" in
            *" ${program##*/} "*) ;;
            *) echo "$program" ;;
        esac
    done > /wheels/unwanted
xargs rm -rf < /wheels/unwanted

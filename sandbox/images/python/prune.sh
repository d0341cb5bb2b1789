#!/bin/sh
# Removes from the image whatever a candidate's program has no need of. Programs are kept by name, not removed by
# name: what a later Debian adds is then not there either.
set -eu

kept=" python python3 python3.11 ldconfig $(
    dpkg --listfiles bash coreutils dash diffutils findutils grep sed | sed -n 's,.*bin/,,p' | tr '\n' ' '
) pytest "
find /bin/ /sbin/ /usr/bin /usr/sbin /usr/games /usr/local/bin /usr/local/sbin -mindepth 1 -maxdepth 1 |
    while read -r program; do
        case "$kept" in
            *" ${program##*/} "*) ;;
            *) echo "$program" ;;
        esac
    done > /wheels/unwanted

packages="$(python3 -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
library="$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')"

# Packages' own tests; pip, which could install more; debugpy, which attaches to other processes.
find "$packages" /usr/lib/python3/dist-packages -depth -type d \( -name tests -o -name test \) -exec rm -r {} +
for name in pip setuptools wheel pkg_resources _distutils_hack debugpy; do
    rm -rf "$packages/$name" "$packages/$name"-*.dist-info
done
rm -rf "$packages/distutils-precedence.pth"
cd "$library"
rm -rf ensurepip idlelib lib2to3/tests test tkinter turtledemo config-3.11-*

rm -rf /usr/share/doc /usr/share/man /usr/share/info /usr/share/locale /usr/share/lintian /usr/share/bash-completion \
    /usr/share/perl /usr/share/perl5 /usr/share/debconf /usr/share/icons /usr/share/pixmaps /usr/share/applications \
    /usr/include /usr/local/include /usr/local/share/man /usr/lib/apt /usr/lib/dpkg /usr/lib/systemd /usr/lib/init \
    /usr/lib/*-linux-gnu/perl-base /usr/lib/*-linux-gnu/perl /usr/lib/*-linux-gnu/gconv /usr/libexec \
    /var/cache /var/lib/apt /var/lib/dpkg /var/log /etc/apt /etc/dpkg /etc/cron.d /etc/cron.daily /root/.cache
rm -f /usr/lib/*-linux-gnu/libapt-*.so* /etc/passwd- /etc/group- /etc/shadow- /etc/gshadow-

command -v python > /dev/null || ln -s "$(command -v python3)" /usr/local/bin/python

# No program may change its user id, whatever --security-opt says.
find / -xdev -perm /6000 ! -type l -exec chmod ug-s {} +
xargs rm -rf < /wheels/unwanted

#!/bin/sh
# Makes what is secret, once: sh deploy/secrets.sh [FOLDER]. What is there already stays as it is.
#
# Compose shows these files to containers whose users are not ours, so each may be read by all; that nobody else on
# this host reads them is due to the folder, which only its owner may enter.
set -eu
folder=${1:-$(dirname -- "$0")/secrets}
mkdir -p -- "$folder"
chmod 0700 -- "$folder"
cd -- "$folder"
umask 022

keep() { # NAME TEXT
    if [ ! -e "$1" ]; then
        printf '%s\n' "$2" > "$1.partial"
        mv -- "$1.partial" "$1"
    fi
}
random() {
    od -An -N32 -tx1 /dev/urandom | tr -d ' \n'
}

keep database_password "$(random)"
keep queue_password "$(random)"
keep grading_queue_password "$(random)"
keep instance_secret "$(random)"
keep tree_secret "$(random)"
keep session_secret "$(random)"
keep receipt_key "$(random)"
keep database_url "postgresql://assay:$(cat database_password)@postgres:5432/assay"
keep queue_url "redis://assay:$(cat queue_password)@redis:6379/0"
keep grading_queue_url "redis://grading:$(cat grading_queue_password)@redis:6379/0"

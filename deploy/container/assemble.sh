#!/bin/sh
# assemble.sh PROGRAM FOLDER: FOLDER/root is the root of the image, with the program and the libraries that it names: no shell, no
# package manager. FOLDER/state has the empty state folder: whose it is has to be said where it is copied, since builders differ.
set -eu
program=$1 image=$2/root
install -D -m 0755 "$program" "$image/usr/bin/pullgate"
# Libraries at the paths where the program looks for them, links followed.
ldd "$program" | grep -o '/[^ ]*' | sort -u | xargs -I{} cp --parents --dereference {} "$image"
install -d -m 0755 "$image/etc/pullgate" "$image/var/lib" "$2/state"
install -d -m 0700 "$2/state/pullgate"
install -d -m 1777 "$image/tmp"
# Nothing is missing: it starts where there is nothing else.
/usr/sbin/chroot "$image" /usr/bin/pullgate --version

#!/bin/sh
# build.sh PROGRAM FOLDER [VERSION]: makes FOLDER/pullgate_VERSION_ARCH.deb of a built program. Wants nfpm (NFPM names another one) and dpkg.
# The program runs here once: it prints its completions and the pages of the manual. For another architecture build on a machine of it.
set -eu
program=$(realpath "$1")
mkdir -p "$2"
out=$(realpath "$2")
version=${3:-$("$program" --version | cut -d' ' -f2)}
cd "$(dirname "$0")"

STAGE=$(mktemp -d)
trap 'rm -rf "$STAGE"' EXIT
mkdir -p "$STAGE/completions" "$STAGE/man"
install -m 0755 "$program" "$STAGE/pullgate"
for shell in bash zsh fish; do "$program" completions "$shell" >"$STAGE/completions/pullgate.$shell"; done
"$program" man | gzip -9n >"$STAGE/man/pullgate.1.gz"
for command in $("$program" help | sed -n '/^Commands:/,/^Options:/s/^  \([a-z-]*\) .*/\1/p' | grep -vx help); do
    "$program" man "$command" | gzip -9n >"$STAGE/man/pullgate-$command.1.gz"
done
{
    echo "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/"
    echo
    echo "Files: *"
    echo "Copyright: the authors of Pullgate"
    echo "License: Apache-2.0"
    echo " The full text is in /usr/share/common-licenses/Apache-2.0."
} >"$STAGE/copyright"
chmod 0644 "$STAGE"/completions/* "$STAGE"/man/*

PACKAGE_ARCH=$(dpkg --print-architecture)
PACKAGE_VERSION=$version
# The newest symbol of the C library that the program asks for.
PACKAGE_LIBC=$(grep -ao 'GLIBC_2\.[0-9]*' "$program" | sort -uV | tail -n 1 | cut -d_ -f2)
export STAGE PACKAGE_ARCH PACKAGE_VERSION PACKAGE_LIBC
"${NFPM:-nfpm}" package --config nfpm.yaml --packager deb --target "$out/pullgate_${version}_${PACKAGE_ARCH}.deb"

"""A machine to install on: this one's files with a layer on top that is thrown away, processes and network of its own. No systemd runs there."""

import os
import pathlib
import tempfile

from common import run, skip, tool

SETUP = """
set -eu
mount --make-rprivate /
mount -t tmpfs tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root" || exit 77
mount -t proc proc "$1/root/proc"
mount --rbind /dev "$1/root/dev"
mount -t tmpfs tmpfs "$1/root/run"
ip link set lo up
exec chroot "$1/root" /bin/sh -eu -c "$2"
"""

# Functions for the scripts below. `gate` starts the unit's own command as its user, without a right to more, on files that it
# may only read but for its state: what of the unit's sandbox can be had without systemd.
PRELUDE = """
cd /
# systemctl writes its links and starts nothing: there is no systemd to ask.
export SYSTEMD_OFFLINE=1
systemctl() {
    for word; do
        shift
        if [ "$word" != --now ]; then set -- "$@" "$word"; fi
    done
    command systemctl "$@"
}
claim() { echo "CLAIM $*"; }
gate() {
    command=$(sed -n 's/^ExecStart=//p' "$1")
    mkdir -p -m 0700 /var/lib/pullgate && chown pullgate:pullgate /var/lib/pullgate
    unshare --mount sh -euc '
        mount --bind / /mnt
        mount --bind /var/lib/pullgate /mnt/var/lib/pullgate
        mount -o remount,bind,ro /mnt
        exec chroot /mnt prlimit --core=0 setpriv --reuid pullgate --regid pullgate --clear-groups \\
            --no-new-privs --bounding-set -all --inh-caps -all '"$command" >/var/log/gate.log 2>&1 &
    gate=$!
    tries=0
    until curl -fsS -o /dev/null http://127.0.0.1:5001/readyz 2>/dev/null; do
        tries=$((tries + 1))
        if [ $tries -gt 600 ] || ! kill -0 $gate; then cat /var/log/gate.log; exit 1; fi
        sleep 0.1
    done
}
stop() { kill "$gate"; wait "$gate" || true; }
"""


def typed(script, **values):
    """Runs a script on a machine of its own and gives what it printed."""
    if os.geteuid() != 0:
        skip("machine", "only root can make one")
    tool("ip")
    with tempfile.TemporaryDirectory() as folder:
        script = PRELUDE + "".join(f"{name}='{value}'\n" for name, value in values.items()) + script
        told = run(tool("unshare"), "--mount", "--net", "--pid", "--fork", "--kill-child", "sh", "-c", SETUP, "sh", folder, script, status=None)
        if "CLAIM" not in told and ("mount:" in told or "unshare:" in told):
            skip("machine", "nothing may be mounted here: " + told.strip().splitlines()[-1])
        return told


def code(page, heading):
    """The commands below a heading of a page, as somebody would type them."""
    text = pathlib.Path(page).read_text(encoding="utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return [block.split("\n```")[0] for block in text.split("```sh\n")[1:]]

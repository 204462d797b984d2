#!/bin/sh
# Writes a runtime's mirror configuration in the form that cannot fall through, keeps what stood there, and puts it back.
#
#   node-config.sh write|undo|check containerd|cri-o     1: it would not hold, or does not; nothing was changed
#
# TEMPLATES  folder with hosts.toml (containerd), pullgate.conf and policy.json (CRI-O, podman, buildah, skopeo); without it the
#            one of this program, or those beside it
# GATE       address of the gate, in place of that of the templates
# NODE       root of the node's files, where they are mounted elsewhere
#
# What stood in a file's place lies in `pullgate-before` beside it. `write` twice keeps the first.
set -eu

templates=${TEMPLATES:-$(dirname "$0")}
gate=${GATE:-http://127.0.0.1:5000}
node=${NODE:-}

fail() {
    echo "node-config: $*" >&2
    exit 1
}

# The files of a runtime, as TEMPLATE:FILE.
files() {
    case $1 in
        containerd) echo "hosts.toml:$node/etc/containerd/certs.d/_default/hosts.toml" ;;
        cri-o)
            echo "pullgate.conf:$node/etc/containers/registries.conf.d/zz-pullgate.conf"
            echo "policy.json:$node/etc/containers/policy.json"
            ;;
        *) fail "no runtime \"$1\": containerd or cri-o" ;;
    esac
}

# A template with the gate's own address. Over TLS the lines that allow plain HTTP go.
rendered() {
    host=${gate#*://}
    for folder in "$templates" "$templates/../containerd" "$templates/../podman"; do
        if [ -e "$folder/$1" ]; then break; fi
    done
    [ -e "$folder/$1" ] || fail "no template $1 in $templates"
    case $gate in
        http://*) sed -e "s|http://127\.0\.0\.1:5000|$gate|; s|127\.0\.0\.1:5000|$host|" "$folder/$1" ;;
        https://*) sed -e "s|http://127\.0\.0\.1:5000|$gate|; s|127\.0\.0\.1:5000|$host|; /^insecure = true$/d" "$folder/$1" ;;
        *) fail "the address of the gate begins with http:// or https://: $gate" ;;
    esac
}

# What would win over our files, or keep the runtime from reading them.
in_the_way() {
    case $1 in
        containerd)
            certs=$node/etc/containerd/certs.d
            if [ -d "$certs" ]; then
                find "$certs" -mindepth 1 -maxdepth 1 -type d ! -name _default | sed 's/$/: wins over _default for its registry/'
            fi
            grep -Eqs '^[[:space:]]*config_path[[:space:]]*=[[:space:]]*["'\'']/etc/containerd/certs\.d["'\'']' \
                "$node/etc/containerd/config.toml" ||
                echo "$node/etc/containerd/config.toml: no config_path = \"/etc/containerd/certs.d\", so that certs.d may not be read"
            ;;
        cri-o)
            find "$node/etc/containers/registries.conf.d" -maxdepth 1 -name '*.conf' 2>/dev/null |
                LC_ALL=C awk -F/ '$NF > "zz-pullgate.conf" { print $0 ": is read after ours and may replace it" }'
            ;;
    esac
}

refuse_what_is_in_the_way() {
    found=$(in_the_way "$1")
    [ -z "$found" ] || fail "a pull could go around the gate:
$found"
}

write() {
    refuse_what_is_in_the_way "$1"
    for pair in $(files "$1"); do
        file=${pair#*:}
        before=$(dirname "$file")/pullgate-before
        mkdir -p "$before"
        if ! [ -e "$before/$(basename "$file")" ] && ! [ -e "$before/$(basename "$file").absent" ]; then
            if [ -e "$file" ]; then cp -p "$file" "$before/"; else : >"$before/$(basename "$file").absent"; fi
        fi
        rendered "${pair%%:*}" >"$before/new"
        chmod 0644 "$before/new"
        mv "$before/new" "$file"
        echo "wrote $file"
    done
}

undo() {
    for pair in $(files "$1"); do
        file=${pair#*:}
        before=$(dirname "$file")/pullgate-before
        if [ -e "$before/$(basename "$file")" ]; then
            mv "$before/$(basename "$file")" "$file"
            echo "put back $file"
        elif [ -e "$before/$(basename "$file").absent" ]; then
            rm -f "$file" "$before/$(basename "$file").absent"
            echo "removed $file"
        else
            echo "nothing of ours: $file"
        fi
        rmdir "$before" 2>/dev/null || true
    done
}

check() {
    refuse_what_is_in_the_way "$1"
    for pair in $(files "$1"); do
        rendered "${pair%%:*}" | cmp -s - "${pair#*:}" || fail "${pair#*:}: is not what \`write\` writes"
    done
    echo "closed: $1 has no other host to go to"
}

[ $# = 2 ] || fail "usage: node-config.sh write|undo|check containerd|cri-o"
files "$2" >/dev/null
case $1 in
    write | undo | check) "$1" "$2" ;;
    *) fail "no action \"$1\": write, undo or check" ;;
esac

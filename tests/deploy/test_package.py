"""The Debian package, and the page on systemd typed as it stands: on a machine of their own, with the unit's own command as its own user."""

import os
import pathlib
import re
import tempfile
import unittest

from common import DEPLOY, GATE, ROOT, run, tool
from machine import code, typed

UNIT = DEPLOY / "systemd" / "pullgate.service"


def claims(told):
    return [line.removeprefix("CLAIM ") for line in told.splitlines() if line.startswith("CLAIM ")]


class Package(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.out = pathlib.Path(folder.name)

    def package(self, version):
        file = self.out / f"pullgate_{version}_{run(tool('dpkg'), '--print-architecture').strip()}.deb"
        if not file.exists():
            # Without what only a debugger reads: it would be most of the package.
            program = self.out / "pullgate"
            if not program.exists():
                run(tool("strip"), "-o", program, GATE)
            run("sh", DEPLOY / "package" / "build.sh", program, self.out, version, env={**os.environ, "NFPM": tool("nfpm")})
        return file

    def test_the_package_has_what_its_page_says(self):
        listed = run("dpkg-deb", "--contents", self.package("0.1.0"))
        files = {line.split()[5].removeprefix(".") for line in listed.splitlines() if not line.startswith("d")}
        page = (DEPLOY / "package" / "README.md").read_text(encoding="utf-8")
        said = {word for row in re.findall(r"^\| (`/.*?) \|", page, re.MULTILINE) for word in row.split("`")[1::2]}
        self.assertFalse({file for file in files if not any(file == word or (word.endswith("/") and file.startswith(word)) for word in said)})
        self.assertFalse({word for word in said if not any(file.startswith(word) for file in files)})
        subcommands = re.findall(r"^  ([\w-]+) ", run(GATE, "help").split("Commands:")[1].split("Options:")[0], re.MULTILINE)
        for command in set(subcommands) - {"help"}:
            self.assertIn(f"/usr/share/man/man1/pullgate-{command}.1.gz", files, "a command without its page: build.sh lists them")
        fields = run("dpkg-deb", "--field", self.package("0.1.0"))
        self.assertIn("\nDepends: libc6 (>= 2.", fields)

    def test_one_command_installs_a_gate_that_serves_and_purge_leaves_nothing(self):
        told = typed(
            """
dpkg -i "$first" >/dev/null
claim "user $(getent passwd pullgate | cut -d: -f6,7)"
claim "files $(stat -c '%a %U:%G' /etc/pullgate /etc/pullgate/policy.toml /etc/pullgate/seal.key | tr '\\n' ' ')"
su -s /bin/sh pullgate -c 'test ! -w /etc/pullgate/seal.key && head -c 32 /etc/pullgate/seal.key' | wc -c | sed 's/^/CLAIM key /'
gate /usr/lib/systemd/system/pullgate.service
claim "ready $(curl -fsS http://127.0.0.1:5001/readyz | grep -o '"ready":true')"
claim "data $(curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:5000/v2/)"
claim "user $(stat -c %U /proc/$(pgrep -x pullgate))"
stop
echo '# mine' >>/etc/pullgate/policy.toml
key=$(sha256sum /etc/pullgate/seal.key)
dpkg -i --force-confdef "$second" >/dev/null
claim "upgraded $(dpkg-query -W -f '${Version}' pullgate)"
claim "kept $(tail -n 1 /etc/pullgate/policy.toml), $([ "$key" = "$(sha256sum /etc/pullgate/seal.key)" ] && echo the key)"
gate /usr/lib/systemd/system/pullgate.service
claim "serves after the upgrade $(curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:5000/v2/)"
stop
command -v man >/dev/null || man() { :; }
man --warnings -l /usr/share/man/man1/pullgate-verify.1.gz 2>&1 >/dev/null | sed 's/^/CLAIM man says /'
mkdir -p /etc/containerd && cp "$containerd" /etc/containerd/config.toml
pullgate node-config containerd --write >/dev/null
if dpkg -r pullgate >/tmp/removed 2>&1; then claim "removed while containerd asks nobody else"; fi
grep -o 'containerd asks this gate and nobody else' /tmp/removed | sed 's/^/CLAIM refused: /'
pullgate node-config containerd --undo >/dev/null
dpkg -r pullgate >/dev/null
[ -e /usr/bin/pullgate ] || left=no
claim "removed, $left program: $(ls /etc/pullgate | tr '\\n' ' ')"
dpkg -P pullgate >/dev/null
claim "purged $(ls -d /etc/pullgate /var/lib/pullgate 2>/dev/null | wc -l)"
""",
            first=self.package("0.1.0"),
            second=self.package("0.1.1"),
            containerd=DEPLOY / "containerd" / "config-1.x.toml",
        )
        self.assertEqual(
            claims(told),
            [
                "user /var/lib/pullgate:/usr/sbin/nologin",
                "files 750 root:pullgate 640 root:pullgate 640 root:pullgate ",
                "key 32",
                'ready "ready":true',
                "data 200",
                "user pullgate",
                "upgraded 0.1.1",
                "kept # mine, the key",
                "serves after the upgrade 200",
                "refused: containerd asks this gate and nobody else",
                "removed, no program: policy.toml pullgate.toml seal.key ",
                "purged 0",
            ],
            told,
        )

    def test_the_gate_finds_no_fault_in_the_files_of_the_package(self):
        with tempfile.TemporaryDirectory() as folder:
            for name in ("pullgate.toml", "policy.toml"):
                (pathlib.Path(folder) / name).write_text((DEPLOY / "package" / name).read_text(encoding="utf-8"))
            told = run(GATE, "check", "--config", f"{folder}/pullgate.toml")
            self.assertNotIn("error", told)


class Systemd(unittest.TestCase):
    def test_the_page_on_systemd_works_when_it_is_typed(self):
        install, optional = code(DEPLOY / "systemd" / "README.md", "Install")[0], "install -m 0644 deploy/systemd/pullgate.socket /etc/systemd/system/"
        self.assertIn(optional, (DEPLOY / "systemd" / "README.md").read_text(encoding="utf-8"))
        lines = install.splitlines()
        # Built already, and by another profile: what the first line would make lies where it would make it.
        self.assertEqual(lines[0], "cargo build --profile dist --locked")
        example = ROOT / "config" / "examples" / "warn-first"
        told = typed(
            f"""
mkdir -p /typed/target/dist && cd /typed && cp -r "$deploy" deploy && cp "$gate" target/dist/pullgate
cp "$example/pullgate.toml" "$example/policy.toml" .
sed -i 's|^log = .*|log = "stdout"|' pullgate.toml
{chr(10).join(lines[1:])}
{optional}
claim "enabled $(readlink /etc/systemd/system/multi-user.target.wants/pullgate.service)"
claim "files $(stat -c '%a %U:%G' /etc/pullgate /etc/pullgate/policy.toml /etc/pullgate/seal.key | tr '\\n' ' ')"
claim "verify $(systemd-analyze verify /etc/systemd/system/pullgate.service /etc/systemd/system/pullgate.socket 2>&1 | grep pullgate)"
gate /etc/systemd/system/pullgate.service
claim "ready $(curl -fsS http://127.0.0.1:5001/readyz | grep -o '"ready":true')"
claim "state $(stat -c '%a %U' /var/lib/pullgate)"
stop
""",
            deploy=DEPLOY,
            gate=GATE,
            example=example,
        )
        self.assertEqual(
            claims(told),
            [
                "enabled /etc/systemd/system/pullgate.service",
                "files 750 root:pullgate 640 root:pullgate 640 root:pullgate ",
                "verify ",
                'ready "ready":true',
                "state 700 pullgate",
            ],
            told,
        )

    def test_the_figure_of_systemd_analyze_stands_in_the_page(self):
        told = run(tool("systemd-analyze"), "security", "--offline=true", "--no-pager", UNIT, env={**os.environ, "LC_ALL": "C"})
        figure = re.search(r"Overall exposure level for pullgate\.service: (\S+)", told)[1]
        self.assertIn(f"exposure level {figure}", (DEPLOY / "systemd" / "README.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    unittest.main()

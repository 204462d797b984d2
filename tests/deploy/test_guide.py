"""The guide of deploy/README.md, typed to the letter on a machine of its own: the package installed, its gate running, a registry of recorded images."""

import unittest

import test_package
from common import DEPLOY, GATE, metric_names, skip
from machine import typed
from pages import differs, on_a_machine, outputs
from test_observe import rules, series_of

try:
    import yaml
except ImportError:
    yaml = None

GUIDE = DEPLOY / "README.md"

# After the installation: what the reader has and a test has not. The registry is the demo's, the key that of its images; the
# start of the unit is its own command, and the journal is what that printed.
STAGE = """
gate /usr/lib/systemd/system/pullgate.service
"$program" demo >/tmp/demo.log 2>&1 &
tries=0
until grep -q 'Serving until' /tmp/demo.log; do tries=$((tries + 1)); [ $tries -lt 1200 ] || { cat /tmp/demo.log; exit 1; }; sleep 0.1; done
cp "$(dirname "$(awk '/^policy/ { print $2 }' /tmp/demo.log)")/release.pub" /etc/pullgate/
printf '[upstream."registry.corp.example"]\\nurl = "http://%s"\\n' "$(awk '/^upstream/ { print $2 }' /tmp/demo.log)" >>/etc/pullgate/pullgate.toml
mkdir -p /etc/containerd && cp "$containerd" /etc/containerd/config.toml
rm -rf /etc/containerd/certs.d
# A record is written behind its answer: as somebody who types, this looks a moment later.
journalctl() {
    size=-1
    until [ "$size" = "$(stat -c %s /var/log/gate.log)" ]; do size=$(stat -c %s /var/log/gate.log); sleep 1; done
    cat /var/log/gate.log
}
"""

HELPERS = """
reloads() { curl -s http://127.0.0.1:5001/metrics | awk '/^pullgate_reload_total{result="applied"}/ { print $2 }'; }
in_force() {
    tries=0
    until [ "$(reloads)" != "$1" ]; do tries=$((tries + 1)); [ $tries -lt 60 ] || { echo 'not in force after a minute'; exit 1; }; sleep 1; done
}
"""


class Guide(unittest.TestCase):
    def test_the_rollout_is_what_happens_when_it_is_typed(self):
        test_package.Package.setUpClass()
        self.addCleanup(test_package.Package.doClassCleanups)
        package = test_package.Package().package("0.1.0")
        script, expected = on_a_machine(GUIDE, "Rollout")
        first = script[0].replace("pullgate_0.1.0_amd64.deb", package.name)
        told = typed(
            HELPERS + f"cd {package.parent}\n{first}{STAGE}" + "".join(script[1:]) + "claim done\nstop\n",
            program=GATE,
            containerd=DEPLOY / "containerd" / "config-2.x.toml",
        )
        self.assertIn("CLAIM done", told)
        printed = outputs(told)
        self.assertEqual(len(printed), len(expected), told)
        for (command, says), output in zip(expected, printed):
            if says is not None:
                self.assertIsNone(differs(says, output), f"{command}\n{told}")

    def test_what_the_guide_says_to_watch_exists(self):
        if yaml is None:
            skip("guide", "python3-yaml is not installed")
        text = GUIDE.read_text(encoding="utf-8")
        alerts = {rule["alert"] for rule in rules("alerts.yml")}
        named = {word.strip("`") for word in text.split() if word.startswith("`Pullgate")}
        self.assertLessEqual({word.strip("`,.;") for word in named}, alerts)
        self.assertLessEqual(series_of(text) - {"pullgate_0"}, metric_names())


if __name__ == "__main__":
    unittest.main()

"""Rules, alerts, runbooks and dashboard: checked by promtool, and asked of Debian's Prometheus while it scrapes real gates."""

import json
import os
import pathlib
import re
import tempfile
import unittest
import urllib.parse

from common import DEPLOY, GATE, demo, free_port, get, metric_names, run, skip, started, tool, until

try:
    import yaml
except ImportError:
    yaml = None

OBSERVE = DEPLOY / "observe"

# Series that begin when something goes wrong that these two gates do not go through. Each is in a unit test of the rules or
# written down in proxy/README.md; the query is still asked, and must be understood.
NOT_HERE = {"pullgate_upstream_quota_remaining", "pullgate_upstream_quota_limit"}


def rules(file):
    return [rule for group in yaml.safe_load((OBSERVE / file).read_text(encoding="utf-8"))["groups"] for rule in group["rules"]]


def panels():
    return json.loads((OBSERVE / "dashboard.json").read_text(encoding="utf-8"))["panels"]


def queries():
    """Every query: where it stands, and its text as Prometheus is asked."""
    for rule in rules("rules.yml") + rules("alerts.yml"):
        yield rule.get("record") or rule.get("alert"), rule["expr"]
    for panel in panels():
        for target in panel["targets"]:
            yield panel["title"], target["expr"].replace("$__rate_interval", "1m").replace("$instance", ".*")


def doctor_names():
    """What `pullgate doctor` writes, by the table of deploy/observe/README.md."""
    return set(re.findall(r"^\| `(pullgate_doctor_\w+)`", (OBSERVE / "README.md").read_text(encoding="utf-8"), re.MULTILINE))


def series_of(query):
    """Names of series in a query, without their _bucket, _sum and _count."""
    return {re.sub("_(bucket|sum|count)$", "", name) for name in re.findall(r"\bpullgate_\w+", re.sub(r"\w+:\w+:\w+", "", query))}


class Observe(unittest.TestCase):
    def setUp(self):
        if yaml is None:
            skip("observe", "python3-yaml is not installed")

    def test_promtool_finds_no_fault_in_rules_and_configuration(self):
        self.assertNotIn("FAILED", run(tool("promtool"), "check", "rules", OBSERVE / "rules.yml", OBSERVE / "alerts.yml"))
        run(tool("promtool"), "check", "config", OBSERVE / "prometheus.yml")

    def test_each_alert_fires_and_is_quiet_as_its_unit_tests_say(self):
        run(tool("promtool"), "test", "rules", "rules.test.yml", cwd=OBSERVE)
        named = {test["name"] for test in yaml.safe_load((OBSERVE / "rules.test.yml").read_text(encoding="utf-8"))["tests"]}
        for rule in rules("alerts.yml"):
            self.assertLessEqual({f"{rule['alert']} fires", f"{rule['alert']} is quiet"}, named)

    def test_no_query_names_a_metric_that_the_gate_does_not_have(self):
        recorded = {rule["record"] for rule in rules("rules.yml")}
        for where, query in queries():
            self.assertLessEqual(series_of(query), metric_names() | doctor_names(), where)
            self.assertLessEqual(set(re.findall(r"\w+:\w+:\w+", query)), recorded, where)

    def test_each_alert_has_its_runbook_and_each_runbook_its_alert(self):
        text = (OBSERVE / "RUNBOOKS.md").read_text(encoding="utf-8")
        headings = re.findall("^## (.+)$", text, re.MULTILINE)
        self.assertEqual(headings, [rule["alert"] for rule in rules("alerts.yml")])
        for rule in rules("alerts.yml"):
            self.assertEqual(rule["annotations"]["runbook_url"].rsplit("#", 1)[1], rule["alert"].lower())
            self.assertIn(rule["labels"]["severity"], ("critical", "warning", "info"))
        for section in text.split("\n## ")[1:]:
            self.assertIn("\nLook: ", section)
            self.assertIn("\nDo: ", section)
            self.assertLessEqual(series_of(section), metric_names() | doctor_names(), section)

    def test_the_dashboard_is_one_that_grafana_can_draw(self):
        seen, places = set(), set()
        for panel in panels():
            place = panel["gridPos"]
            cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
            self.assertFalse(cells & places, panel["title"])
            self.assertLessEqual(place["x"] + place["w"], 24)
            places |= cells
            self.assertNotIn(panel["id"], seen)
            seen.add(panel["id"])
            self.assertTrue(panel["description"] and panel["targets"], panel["title"])

    def test_what_doctor_writes_is_what_the_table_says_and_promtool_finds_no_fault(self):
        with tempfile.TemporaryDirectory() as name:
            node = pathlib.Path(name)
            (node / "etc/containerd").mkdir(parents=True)
            file = node / "pullgate.prom"
            run(GATE, "doctor", "--root", node, "--probe", "--pull-with", "false", "--gate", f"http://127.0.0.1:{free_port()}", "--textfile", file, "containerd", status=1)
            text = file.read_text(encoding="utf-8")
        self.assertEqual({line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}, doctor_names())
        self.assertEqual({re.split("[{ ]", line)[0] for line in text.splitlines() if not line.startswith("#")}, doctor_names())
        self.assertEqual(run(tool("promtool"), "check", "metrics", input=text), "")

    def test_systemd_takes_the_units_of_doctor(self):
        with tempfile.TemporaryDirectory() as name:
            for unit in ("pullgate-doctor.service", "pullgate-doctor.timer"):
                text = (OBSERVE / unit).read_text(encoding="utf-8").replace("/usr/bin/pullgate", str(GATE))
                (pathlib.Path(name) / unit).write_text(text, encoding="utf-8")
            told = run(tool("systemd-analyze"), "verify", f"{name}/pullgate-doctor.timer", f"{name}/pullgate-doctor.service", status=None)
        self.assertNotIn("pullgate-doctor", told)


class Scraped(unittest.TestCase):
    """Two gates: the demo with every image pulled, and one whose registry is away; Debian's Prometheus with the shipped rules."""

    def setUp(self):
        if yaml is None:
            skip("observe", "python3-yaml is not installed")

    def test_prometheus_scrapes_gates_and_answers_every_query(self):
        prometheus = tool("prometheus")
        with tempfile.TemporaryDirectory() as name, demo() as good:
            folder = pathlib.Path(name)
            data, admin, port = free_port(), free_port(), free_port()
            self.write_away(folder, data, admin, good.gate)
            away = started(GATE, "serve", "--config", folder / "pullgate.toml", log=folder / "gate.log", env={**os.environ, "PULLGATE_LOG": "warn"})
            with away, started(prometheus, *self.prometheus(folder, [good.admin, f"127.0.0.1:{admin}"], port), log=folder / "prometheus.log"):
                until("the other gate is there", lambda: get(f"http://127.0.0.1:{admin}/livez")[0] == 200)
                self.assertEqual(get(f"http://127.0.0.1:{data}/v2/shop/app/manifests/v1?ns=away.example")[0], 503)
                self.ask(f"http://127.0.0.1:{port}", good.gate, data)

    def ask(self, prometheus, gate, data):
        def pull():
            get(f"http://{gate}/v2/shop/unsigned/manifests/v1")
            manifest = json.loads(get(f"http://{gate}/v2/shop/key/manifests/v1")[2])
            get(f"http://{gate}/v2/shop/key/blobs/{manifest['config']['digest']}")
            get(f"http://{gate}/v2/shop/key/manifests/v1?ns=nobody.example")
            get(f"http://127.0.0.1:{data}/v2/shop/app/manifests/v1?ns=away.example")
            get(f"http://127.0.0.1:{data}/v2/shop/key/manifests/v1?ns=lax.example")

        def asked(query):
            status, _, body = get(f"{prometheus}/api/v1/query?query={urllib.parse.quote(query)}")
            return json.loads(body)["data"]["result"] if status == 200 else None

        def scraped():
            pull()
            return asked("min(count_over_time(up[1m])) >= 6") and asked('count(up{job="pullgate"} == 1) == 2') and asked(
                "count(instance:pullgate_undecided:ratio_rate5m > 0)"
            )

        until("both gates were scraped six times", scraped)
        for target in json.loads(get(f"{prometheus}/api/v1/targets")[2])["data"]["activeTargets"]:
            self.assertEqual((target["health"], target["lastError"]), ("up", ""))
        alerts = {rule["alert"] for rule in rules("alerts.yml")}
        for where, query in queries():
            result = asked(query)
            self.assertIsNotNone(result, f"{where}: {query}")
            # An alert has nothing to say where all is well; everything else shows something.
            if where not in alerts and not series_of(query) <= NOT_HERE:
                self.assertTrue(result, f"{where}: {query}")
        names = set(json.loads(get(f"{prometheus}/api/v1/label/__name__/values")[2])["data"])
        unscraped = {name for name in metric_names() if not {name, f"{name}_count"} & names}
        self.assertLessEqual(unscraped, NOT_HERE, "a metric of the table that no gate of this test shows")

    def write_away(self, folder, data, admin, lax):
        """A gate whose registry and trust root are away, and that permits all of a second registry, which its next policy
        would deny."""
        away = free_port()
        (folder / "pullgate.toml").write_text(
            f'policy = "policy.toml"\nstate = "state"\nseal_key_file = "seal.key"\n'
            f'[listen]\naddress = "127.0.0.1:{data}"\n[admin]\naddress = "127.0.0.1:{admin}"\n'
            f'[upstream."away.example"]\nurl = "http://127.0.0.1:{away}"\n'
            f'[upstream."lax.example"]\nurl = "http://{lax}"\n[audit]\nshadow = "next.toml"\n'
        )
        strict = (
            f'[trust.sigstore]\ntuf = {{ url = "http://127.0.0.1:{away}" }}\n'
            '[authority.ci]\nissuer = "https://token.actions.githubusercontent.com"\n'
            'identity = "https://github.com/myorg/myrepo/.github/workflows/build.yml@refs/heads/main"\n'
            '[[policy]]\nname = "away"\nscope = ["away.example/**"]\n[[policy.require]]\nsigned_by = { any_of = ["ci"] }\n'
        )
        (folder / "next.toml").write_text(strict)
        (folder / "policy.toml").write_text(
            strict + '[[policy]]\nname = "lax"\nscope = ["lax.example/**"]\ninsecure_permit_anything = true\n'
            '[[exempt]]\nscope = ["away.example/old/*"]\nuntil = 2999-01-01\nowner = "ops"\nreason = "INC-1"\n'
        )

    def prometheus(self, folder, targets, port):
        """The shipped configuration, asked every second and of these gates."""
        config = yaml.safe_load((OBSERVE / "prometheus.yml").read_text(encoding="utf-8"))
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config["rule_files"] = [str(OBSERVE / file) for file in config["rule_files"]]
        config["scrape_configs"][0]["static_configs"] = [{"targets": targets}]
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        yield f"--config.file={folder}/prometheus.yml"
        yield f"--storage.tsdb.path={folder}/tsdb"
        yield f"--web.listen-address=127.0.0.1:{port}"
        yield "--log.level=warn"

    def test_promtool_finds_no_fault_in_the_metrics_of_a_gate(self):
        with demo() as good:
            text = get(f"http://{good.admin}/metrics")[2]
        self.assertTrue(text.endswith("# EOF\n"))
        # OpenMetrics, which the gate speaks, names a counter without `_total` and knows units; promtool reads the older form.
        lines = [line for line in text.splitlines() if not line.startswith(("# UNIT", "# EOF"))]
        counters = {line.split()[2] for line in lines if line.startswith("# TYPE") and line.endswith(" counter")}
        older = [re.sub(r"^(# (?:HELP|TYPE) )(\S+)", lambda m: m[1] + m[2] + ("_total" if m[2] in counters else ""), line) for line in lines]
        self.assertEqual(run(tool("promtool"), "check", "metrics", input="\n".join(older) + "\n"), "")


if __name__ == "__main__":
    unittest.main()

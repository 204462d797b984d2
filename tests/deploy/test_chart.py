"""The Helm chart: linted, every rendered object valid, its configuration read by the gate, its pods confined, its contradictions refused."""

import json
import os
import pathlib
import tempfile
import unittest

import schemas
from common import DEPLOY, GATE, ROOT, run, skip, tool

try:
    import yaml
except ImportError:
    yaml = None

CHART = DEPLOY / "helm" / "pullgate"
CASES = sorted(path.stem for path in (CHART / "ci").glob("*.yaml"))
KUBERNETES = "1.30.0"

# What the chart has of other folders: Helm reads nothing outside its own.
COPIES = {
    "rules.yml": DEPLOY / "observe" / "rules.yml",
    "alerts.yml": DEPLOY / "observe" / "alerts.yml",
}


def values(case):
    return CHART / "ci" / f"{case}.yaml"


def rendered(case, *more, status=0):
    return run(
        tool("helm"), "template", "rel", CHART, "--namespace", "pullgate", "--kube-version", KUBERNETES, "--values", values(case), *more, status=status
    )


def objects(case, *more):
    return [thing for thing in yaml.safe_load_all(rendered(case, *more)) if thing]


def pods(things):
    return [thing["spec"]["template"]["spec"] for thing in things if thing["kind"] in ("DaemonSet", "Deployment")]


def gate_pod(things):
    return next(pod for pod in pods(things) if any(container["name"] == "pullgate" for container in pod["containers"]))


class Chart(unittest.TestCase):
    def setUp(self):
        if yaml is None:
            skip("chart", "python3-yaml is not installed")

    def test_copies_of_other_folders_are_equal(self):
        for name, source in COPIES.items():
            copy = CHART / "files" / name
            if "UPDATE" in os.environ:
                copy.write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
            self.assertEqual(copy.read_text(encoding="utf-8"), source.read_text(encoding="utf-8"), f"{name}: UPDATE=1 python3 tests/deploy copies")
        self.assertEqual(set(COPIES), {path.name for path in (CHART / "files").iterdir()})

    def test_helm_lint_finds_nothing(self):
        for case in CASES:
            self.assertIn("0 chart(s) failed", run(tool("helm"), "lint", CHART, "--strict", "--kube-version", KUBERNETES, "--values", values(case)))

    def test_every_object_is_valid(self):
        check = (tool("kubeconform"), "-strict", "-summary", "-output", "json", "-schema-location")
        check += (f"{schemas.write_all()}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json",)
        for case in CASES:
            told = json.loads(run(*check, "-", input=rendered(case)))
            self.assertEqual(told["summary"], {"valid": len(objects(case)), "invalid": 0, "errors": 0, "skipped": 0}, told)
        misspelt = rendered("node").replace("hostNetwork: true", "hostNetwrok: true")
        self.assertIn("hostNetwrok", run(*check, "-", input=misspelt, status=1))

    def test_the_gate_reads_the_configuration_that_is_rendered(self):
        for case in CASES:
            things = objects(case)
            data = next(thing["data"] for thing in things if thing["kind"] == "ConfigMap" and "pullgate.toml" in thing["data"])
            with tempfile.TemporaryDirectory() as folder:
                for name, text in data.items():
                    # A template that YAML reads, with its folders moved to where this test may write.
                    (pathlib.Path(folder) / name).write_text(text.replace("/etc/pullgate/", f"{folder}/").replace("/var/lib/pullgate", f"{folder}/lib"))
                secrets(pathlib.Path(folder))
                self.assertNotIn("error", run(GATE, "check", "--config", f"{folder}/pullgate.toml"))

    def test_a_misspelt_key_of_the_configuration_is_found(self):
        data = next(thing["data"] for thing in objects("minimal", "--set", "config.cache.blobs_mx=1GiB") if "pullgate.toml" in thing.get("data", {}))
        with tempfile.TemporaryDirectory() as folder:
            for name, text in data.items():
                (pathlib.Path(folder) / name).write_text(text)
            self.assertIn("blobs_mx", run(GATE, "check", "--config", f"{folder}/pullgate.toml", status=2))

    def test_containers_may_do_nothing_that_they_need_not(self):
        for case in CASES:
            for pod in pods(objects(case)):
                self.assertFalse(pod["automountServiceAccountToken"])
                self.assertEqual(pod["securityContext"]["seccompProfile"], {"type": "RuntimeDefault"})
                for container in pod["containers"] + pod.get("initContainers", []):
                    context = container["securityContext"]
                    root = container["name"] == "node" and "args" in container
                    self.assertEqual(context["allowPrivilegeEscalation"], False, container["name"])
                    self.assertEqual(context["readOnlyRootFilesystem"], True, container["name"])
                    self.assertEqual(context["runAsNonRoot"], not root, container["name"])
                    self.assertEqual(context["capabilities"]["drop"], ["ALL"])
                    self.assertEqual(context["capabilities"].get("add", []), ["CHOWN", "DAC_OVERRIDE", "FOWNER"] if root else [])
                    self.assertIn("memory", container["resources"]["limits"], container["name"])

    def test_memory_is_what_the_systemd_unit_allows(self):
        unit = (DEPLOY / "systemd" / "pullgate.service").read_text(encoding="utf-8")
        self.assertIn("MemoryMax=768M\n", unit)
        container = next(container for container in gate_pod(objects("minimal"))["containers"] if container["name"] == "pullgate")
        self.assertEqual(container["resources"]["limits"]["memory"], "768Mi")

    def test_contradictions_are_refused_with_what_to_do(self):
        refused = {
            ("minimal", "replicas=2"): "needs a shared store",
            ("front", "replicas=3"): "needs a shared store",
            ("minimal", "image.repository="): "where you pushed the image",
            ("minimal", "tls.secretName=a"): "it is for mode: front",
            ("minimal", "sealKey.secretName=a"): "it is for mode: front",
            ("front", "nodeConfig.action=write"): "only a gate on each node",
            ("minimal", "config.state=/tmp"): "config.state: the chart sets it",
            ("minimal", "config.listen.address=a"): "config.listen.address: the chart sets it",
            ("minimal", "files.policy\\.toml=a"): "the chart makes this file",
            ("minimal", "metrics.serviceMonitor.enabled=true"): "needs metrics.enabled",
            ("minimal", "nodeConfig.action=writ"): "nodeConfig",
            ("minimal", "nodeconfig.action=write"): "nodeconfig",
        }
        for (case, setting), text in refused.items():
            self.assertIn(text, rendered(case, "--set", setting, status=1), setting)

    def test_nodes_bring_the_gates_image_before_their_runtime_is_closed(self):
        pod = gate_pod(objects("node"))
        self.assertEqual([container["name"] for container in pod["initContainers"]], ["check", "node"])
        self.assertEqual(pod["initContainers"][0]["image"], pod["containers"][0]["image"])
        self.assertTrue(pod["hostNetwork"])

    def test_the_init_step_writes_and_undoes_the_configuration_of_containerd(self):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            container = root / "node" / "etc" / "containerd"
            container.mkdir(parents=True)
            (container / "config.toml").write_text((DEPLOY / "containerd" / "config-1.x.toml").read_text(encoding="utf-8"))
            self.step(root, "node", "--set", "port=5999")
            written = (container / "certs.d" / "_default" / "hosts.toml").read_text()
            shipped = (DEPLOY / "containerd" / "hosts.toml").read_text(encoding="utf-8")
            self.assertEqual(written, shipped.replace(":5000", ":5999"))
            key = (root / "key" / "seal.key").read_bytes()
            self.assertEqual((len(key), (root / "key" / "seal.key").stat().st_mode & 0o777), (32, 0o400))
            self.step(root, "node", "--set", "port=5999,nodeConfig.action=undo")
            self.assertFalse((container / "certs.d" / "_default" / "hosts.toml").exists())
            self.assertEqual((root / "key" / "seal.key").read_bytes(), key, "a key stays")

    def step(self, root, case, *more):
        """Runs the script of the init step on folders of its own."""
        if os.geteuid() != 0:
            skip("chart-init", "only root can give a file to another user")
        step = next(container for container in gate_pod(objects(case, *more))["initContainers"] if container["name"] == "node")
        script = step["args"][0].replace("/usr/bin/pullgate", str(GATE))
        for folder in ("/state", "/key", "/node"):
            script = script.replace(f" {folder}", f" {root}{folder}").replace(f">{folder}", f">{root}{folder}")
        run(*step["command"], script)


def secrets(folder):
    """What Secrets would bring: a login, a password, a certificate."""
    (folder / "secrets" / "registries").mkdir(parents=True)
    (folder / "secrets" / "registries" / "config.json").write_text('{"auths":{"https://index.docker.io/v1/":{"auth":"YTpi"}}}')
    (folder / "secrets" / "clients").mkdir()
    bcrypt = "$2y$04$" + "N9qo8uLOickgx2ZMRZoMye" + "IjZAgcfl7p92ldGxad68LJZdL17lhWy"
    (folder / "secrets" / "clients" / "htpasswd").write_text(f"node-1:{bcrypt}\n")
    (folder / "tls").mkdir()
    request = ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=gate.example")
    run(*request, "-keyout", folder / "tls" / "tls.key", "-out", folder / "tls" / "tls.crt")
    (folder / "seal").mkdir()
    (folder / "seal" / "seal.key").write_bytes(bytes(range(32)))
    for path in folder.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)


if __name__ == "__main__":
    unittest.main()

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
    "node-config.sh": DEPLOY / "node" / "node-config.sh",
    "hosts.toml": DEPLOY / "containerd" / "hosts.toml",
    "pullgate.conf": DEPLOY / "podman" / "pullgate.conf",
    "policy.json": DEPLOY / "podman" / "policy.json",
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
            self.assertEqual(written, COPIES["hosts.toml"].read_text(encoding="utf-8").replace(":5000", ":5999"))
            key = (root / "key" / "seal.key").read_bytes()
            self.assertEqual((len(key), (root / "key" / "seal.key").stat().st_mode & 0o777), (32, 0o400))
            self.step(root, "node", "--set", "port=5999,nodeConfig.action=undo")
            self.assertFalse((container / "certs.d" / "_default" / "hosts.toml").exists())
            self.assertEqual((root / "key" / "seal.key").read_bytes(), key, "a key stays")

    def step(self, root, case, *more):
        """Runs the script of the init step with the rendered ConfigMap, on folders of its own."""
        things = objects(case, *more)
        data = next(thing["data"] for thing in things if thing["kind"] == "ConfigMap" and "hosts.toml" in thing["data"])
        (root / "node-config").mkdir(exist_ok=True)
        for name, text in data.items():
            (root / "node-config" / name).write_text(text)
        step = next(container for container in gate_pod(things)["initContainers"] if container["name"] == "node")
        script = step["args"][0]
        for folder in ("/state", "/key", "/node-config"):
            script = script.replace(f" {folder}", f" {root}{folder}").replace(f">{folder}", f">{root}{folder}")
        if os.geteuid() != 0:
            skip("chart-init", "only root can give a file to another user")
        environment = {one["name"]: one["value"] for one in step["env"]}
        run(*step["command"], script, env={**os.environ, **environment, "NODE": str(root / "node")})


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


class NodeConfig(unittest.TestCase):
    """deploy/node/node-config.sh, on the files of a made node."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.node = pathlib.Path(self.folder.name)
        (self.node / "etc" / "containerd").mkdir(parents=True)
        (self.node / "etc" / "containerd" / "config.toml").write_text((DEPLOY / "containerd" / "config-2.x.toml").read_text(encoding="utf-8"))

    def config(self, *words, status=0, gate="http://127.0.0.1:5000"):
        environment = {**os.environ, "NODE": str(self.node), "GATE": gate}
        return run("sh", DEPLOY / "node" / "node-config.sh", *words, status=status, env=environment)

    def files(self):
        return {str(path.relative_to(self.node)): path.read_text() for path in self.node.rglob("*") if path.is_file()}

    def test_what_stood_there_comes_back_byte_for_byte(self):
        registries = self.node / "etc" / "containers" / "registries.conf.d"
        registries.mkdir(parents=True)
        (self.node / "etc" / "containers" / "policy.json").write_text('{"default":[{"type":"reject"}]}')
        before = self.files()
        for runtime in ("containerd", "cri-o"):
            self.config("check", runtime, status=1)
            self.config("write", runtime)
            self.config("write", runtime)
            self.assertIn("closed", self.config("check", runtime))
            self.assertNotEqual(self.files(), before)
            self.config("undo", runtime)
            self.assertEqual(self.files(), before)
            self.assertIn("nothing of ours", self.config("undo", runtime))

    def test_the_files_are_those_of_the_other_folders(self):
        self.config("write", "containerd")
        self.config("write", "cri-o")
        files = self.files()
        for name, source in (
            ("etc/containerd/certs.d/_default/hosts.toml", "containerd/hosts.toml"),
            ("etc/containers/registries.conf.d/zz-pullgate.conf", "podman/pullgate.conf"),
            ("etc/containers/policy.json", "podman/policy.json"),
        ):
            self.assertEqual(files[name], (DEPLOY / source).read_text(encoding="utf-8"))

    def test_another_gate_stands_in_every_file_and_tls_allows_no_plain_http(self):
        for runtime in ("containerd", "cri-o"):
            self.config("write", runtime, gate="https://gate.example:5443")
        files = self.files()
        self.assertIn('server = "https://gate.example:5443"\n', files["etc/containerd/certs.d/_default/hosts.toml"])
        conf = files["etc/containers/registries.conf.d/zz-pullgate.conf"]
        self.assertIn('location = "gate.example:5443/ghcr.io"\n', conf)
        self.assertNotIn("\ninsecure", conf)
        self.assertNotIn("127.0.0.1", conf)

    def test_what_would_go_around_is_refused_and_nothing_is_changed(self):
        own = self.node / "etc" / "containerd" / "certs.d" / "ghcr.io"
        own.mkdir(parents=True)
        before = self.files()
        self.assertIn("certs.d/ghcr.io: wins over _default", self.config("write", "containerd", status=1))
        own.rmdir()
        (self.node / "etc" / "containerd" / "config.toml").write_text('version = 3\n')
        self.assertIn("no config_path", self.config("write", "containerd", status=1))
        later = self.node / "etc" / "containers" / "registries.conf.d" / "zzz-mine.conf"
        later.parent.mkdir(parents=True)
        later.write_text("")
        self.assertIn("zzz-mine.conf: is read after ours", self.config("write", "cri-o", status=1))
        later.rename(later.with_name("aa-mine.conf"))
        self.config("write", "cri-o")
        self.config("undo", "cri-o")
        self.assertEqual({name for name in self.files() if "mine" not in name}, set(before))

    def test_a_changed_file_is_seen(self):
        self.config("write", "containerd")
        hosts = self.node / "etc" / "containerd" / "certs.d" / "_default" / "hosts.toml"
        hosts.write_text('server = "https://docker.io"\n[host."http://127.0.0.1:5000"]\n')
        self.assertIn("is not what", self.config("check", "containerd", status=1))

    def test_a_wrong_word_changes_nothing(self):
        before = self.files()
        for words in (("write",), ("write", "podmann"), ("wipe", "containerd")):
            self.config(*words, status=1)
        self.config("write", "containerd", status=1, gate="127.0.0.1:5000")
        self.assertNotIn("etc/containerd/certs.d/_default/hosts.toml", self.files())
        self.assertTrue(set(before) <= set(self.files()))


if __name__ == "__main__":
    unittest.main()

"""The container images: the final stages of the recipe built by buildah without a daemon, and started as their own settings say."""

import json
import os
import pathlib
import re
import shutil
import tempfile
import unittest

from common import DEPLOY, GATE, free_port, get, run, skip, started, tool, until

try:
    import yaml
except ImportError:
    yaml = None

CONTAINER = DEPLOY / "container"
RECIPE = (CONTAINER / "Containerfile").read_text(encoding="utf-8")


def stage(name):
    """A final stage of the recipe word for word, but for where the program comes from: no compiler can be had without a registry."""
    start = re.search(rf"^FROM \S+ AS {name}\n", RECIPE, re.MULTILINE)
    text = RECIPE[start.end() :].split("\nFROM ")[0]
    base = "scratch" if name == "gate" else "localhost/base"
    return f"FROM {base}\n" + text.replace("--from=build ", "").replace(" /image", " image")


def users(ancestor):
    """The effective users of the gates below a process."""
    parents, found = {}, {}
    for status in pathlib.Path("/proc").glob("[0-9]*/status"):
        try:
            fields = dict(line.split(":\t", 1) for line in status.read_text().splitlines() if ":\t" in line)
        except OSError:
            continue
        parents[fields["Pid"]] = fields["PPid"]
        if fields["Name"] == "pullgate":
            found[fields["Pid"]] = fields["Uid"].split()[1]

    def below(pid):
        while pid in parents and pid != str(ancestor):
            pid = parents[pid]
        return pid == str(ancestor)

    return {user for pid, user in found.items() if below(pid)}


class Image(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.root = pathlib.Path(cls.folder.name)
        cls.context = cls.root / "context"

    def setUp(self):
        if os.geteuid() != 0:
            skip("image", "only root can make the files of another user")
        self.tool = tool("buildah")
        if not self.context.exists():
            run("sh", CONTAINER / "assemble.sh", GATE, self.context / "image")

    def buildah(self, command, *words, **options):
        return run(self.tool, "--storage-driver", "vfs", "--root", self.root / "images", "--runroot", self.root / "run", command, *words, **options)

    def build(self, name, *words, text=None):
        file = self.root / f"Containerfile.{name}"
        file.write_text(text or stage(name))
        self.buildah("build", "--isolation", "chroot", *words, "--file", file, "--tag", f"localhost/{name}", self.context)
        return json.loads(self.buildah("inspect", "--type", "image", f"localhost/{name}"))["OCIv1"]

    def unpacked(self, name):
        """A container of the image, and the folder with its files."""
        container = self.buildah("from", "--pull-never", f"localhost/{name}").strip().splitlines()[-1]
        return container, pathlib.Path(self.buildah("mount", container).strip())

    def test_the_image_has_the_gate_its_libraries_and_no_shell(self):
        image = self.build("gate")
        _, files = self.unpacked("gate")
        found = {str(path.relative_to(files)) for path in files.rglob("*") if path.is_file()}
        needed = {path.lstrip("/") for path in re.findall(r"(/\S+) \(", run("ldd", GATE))}
        self.assertEqual(found, {"usr/bin/pullgate"} | needed)
        self.assertFalse([path for path in files.rglob("*") if path.name in ("sh", "bash", "busybox", "dash")])
        self.assertFalse([path for path in files.rglob("*") if path.is_file() and path.stat().st_mode & 0o7022])
        state = (files / "var" / "lib" / "pullgate").stat()
        self.assertEqual((state.st_uid, state.st_gid, state.st_mode & 0o777), (65532, 65532, 0o700))
        self.assertEqual(image["config"]["User"], "65532:65532")
        self.assertEqual({port.split("/")[0] for port in image["config"]["ExposedPorts"]}, {"5000", "5001"})

    def test_both_images_start_by_their_own_settings_and_refuse_what_is_not_signed(self):
        self.base()
        for name in ("gate", "helpers"):
            image = self.build(name)
            container, files = self.unpacked(name)
            port, admin, log = free_port(), free_port(), self.root / f"{name}.log"
            self.configure(files, port, admin)
            command = image["config"]["Entrypoint"] + image["config"]["Cmd"]
            running = started(
                self.tool, "--storage-driver", "vfs", "--root", self.root / "images", "--runroot", self.root / "run",
                "run", "--isolation", "chroot", container, "--", *command, log=log,
            )
            with running as process:

                def ready():
                    self.assertIsNone(process.poll(), log.read_text())
                    return get(f"http://127.0.0.1:{admin}/readyz")[0] == 200

                until(f"{name} answers", ready)
                status, reason, _ = get(f"http://127.0.0.1:{port}/v2/library/hello-world/manifests/latest?ns=docker.io", "HEAD")
                self.assertEqual(status, 403, reason)
                self.assertEqual(users(process.pid), {"65532"}, "it runs as the user of the image")

    def test_the_variant_runs_a_credential_helper_of_yours(self):
        self.base()
        self.build("helpers")
        (self.context / "docker-credential-test").write_text("#!/bin/sh\ncat >/dev/null\necho '{\"Username\":\"a\",\"Secret\":\"b\"}'\n")
        (self.context / "docker-credential-test").chmod(0o755)
        text = "FROM localhost/helpers\nCOPY docker-credential-test /usr/local/bin/\n"
        self.build("mine", text=text)
        container, files = self.unpacked("mine")
        self.assertTrue((files / "usr/local/bin/docker-credential-test").exists())
        told = self.buildah("run", "--isolation", "chroot", container, "--", "/bin/sh", "-c", "echo x | docker-credential-test get; id -u; echo $HOME")
        self.assertEqual(told.split(), ['{"Username":"a","Secret":"b"}', "65532", "/tmp"])

    def test_the_final_stages_run_nothing_so_that_arm64_is_built_anywhere(self):
        for name in ("gate", "helpers"):
            self.assertNotIn("\nRUN", stage(name))
        image = self.build("gate", "--platform", "linux/arm64")
        self.assertEqual((image["os"], image["architecture"]), ("linux", "arm64"))

    def test_the_context_has_what_the_build_reads(self):
        kept = [line[1:] for line in (CONTAINER / "Containerfile.dockerignore").read_text(encoding="utf-8").splitlines() if line.startswith("!")]
        for path in kept:
            self.assertTrue((DEPLOY.parent / path).exists(), path)
        for script in re.findall(r"^RUN sh (\S+)", RECIPE, re.MULTILINE):
            self.assertIn(script, kept)

    def base(self):
        """In place of Debian, which only a registry has: a program that is a shell."""
        if not shutil.which("busybox"):
            skip("image-helpers", "busybox is not installed, and no base image can be pulled")
        root = self.context / "base"
        if not root.exists():
            (root / "bin").mkdir(parents=True)
            shutil.copy(shutil.which("busybox"), root / "bin" / "busybox")
            for name in ("sh", "cat", "echo", "id"):
                (root / "bin" / name).symlink_to("busybox")
            for path in re.findall(r"(/\S+) \(", run("ldd", GATE)):
                (root / path.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, root / path.lstrip("/"))
            (root / "tmp").mkdir(mode=0o1777)
        self.build("base", text="FROM scratch\nCOPY base /\n")

    def configure(self, files, port, admin):
        """What a mount would bring."""
        folder = files / "etc" / "pullgate"
        (folder / "pullgate.toml").write_text(
            f'policy = "policy.toml"\nstate = "/var/lib/pullgate"\n[listen]\naddress = "127.0.0.1:{port}"\n'
            f'[admin]\naddress = "127.0.0.1:{admin}"\n[upstream."docker.io"]\n'
        )
        (folder / "policy.toml").write_text('unmatched = "deny"\n[authority.a]\nissuer = "https://issuer.example"\nidentity = "a"\n[[policy]]\nname = "hub"\nscope = ["docker.io/myorg/*"]\n[[policy.require]]\nsigned_by = { any_of = ["a"] }\n')


class Compose(unittest.TestCase):
    def test_the_compose_file_says_what_the_readme_says(self):
        if yaml is None:
            skip("compose", "python3-yaml is not installed")
        service = yaml.safe_load((CONTAINER / "compose.yaml").read_text(encoding="utf-8"))["services"]["pullgate"]
        readme = (CONTAINER / "README.md").read_text(encoding="utf-8")
        self.assertIn("--memory 768m --memory-swap 768m", readme)
        self.assertEqual((service["mem_limit"], service["memswap_limit"]), ("768m", "768m"))
        self.assertTrue(service["read_only"] and service["cap_drop"] == ["ALL"])
        self.assertTrue(all(port.startswith("127.0.0.1:") for port in service["ports"]))
        for port in service["ports"]:
            self.assertIn(f"-p {port}", readme)


if __name__ == "__main__":
    unittest.main()

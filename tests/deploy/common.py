"""What the tests of deploy/ share: where things are, how one is skipped by name, a running gate."""

import contextlib
import functools
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
TOOLS = pathlib.Path(os.environ.get("PULLGATE_TOOLS", TARGET / "tools" / "bin")).resolve()
GATE = pathlib.Path(os.environ.get("PULLGATE_BINARY", TARGET / "debug" / "pullgate")).resolve()

# How long something that is started may take, seconds: machines of CI are slow, and nothing here measures speed.
PATIENCE = 120


def skip(name, reason):
    """Skips the test that calls it, as tests/run counts skips."""
    with open(os.environ.get("PULLGATE_SKIPS", os.devnull), "a", encoding="utf-8") as file:
        file.write(f"SKIPPED: deploy/{name}: {reason}\n")
    raise unittest.SkipTest(f"deploy/{name}: {reason}")


def tool(name):
    """The path of a program: one built for the tests, else one that is installed. Where there is none the test is skipped."""
    if (TOOLS / name).exists():
        return str(TOOLS / name)
    return shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin") or skip(name, "is not installed here")


def run(*command, status=0, **options):
    """Runs a program to its end and returns what it printed; another exit status than `status` (None: any) is a failure."""
    done = subprocess.run(
        [str(word) for word in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=options.pop("timeout", 900),
        check=False,
        text=True,
        **options,
    )
    if status is not None and done.returncode != status:
        raise AssertionError(f"{command} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout


def until(what, condition, patience=PATIENCE):
    """Waits for a condition and returns its value."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.1)
    raise AssertionError(f"waited {patience} s in vain: {what}")


def get(url, method="GET"):
    """Status, reason and body of an answer; (0, "", "") where there is none."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=20) as answer:
            return answer.status, answer.reason, answer.read().decode()
    except urllib.error.HTTPError as answer:
        return answer.code, answer.reason, answer.read().decode()
    except (OSError, ValueError):
        return 0, "", ""


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextlib.contextmanager
def started(*command, log, **options):
    """A program that runs while the block does, its output in a file."""
    with open(log, "w", encoding="utf-8") as out:
        process = subprocess.Popen([str(word) for word in command], stdout=out, stderr=subprocess.STDOUT, **options)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def demo():
    """`pullgate demo`: a gate before recorded images, all of them pulled once. Gives its ports, policy folder and output."""
    with tempfile.TemporaryDirectory() as folder:
        log = pathlib.Path(folder) / "demo.log"
        with started(GATE, "demo", log=log, env={**os.environ, "TMPDIR": folder}) as process:

            def ready():
                if process.poll() is not None:
                    raise AssertionError(log.read_text())
                return "Serving until" in log.read_text()

            until("the demo serves", ready)
            yield Demo(log.read_text())


class Demo:
    """A running demo, read from what it prints."""

    def __init__(self, text):
        self.text = text
        self.gate = next(line.split()[1] for line in text.splitlines() if line.startswith("gate "))
        self.policy = pathlib.Path(next(line.split()[1] for line in text.splitlines() if line.startswith("policy ")))
        self.admin = text.rsplit("curl -s http://", 1)[1].split("/metrics")[0]


@functools.cache
def metric_names():
    """Every metric of the gate, by the table of proxy/README.md, which a test in proxy/ holds to the code."""
    names = set()
    for line in (ROOT / "proxy" / "README.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("| `pullgate_"):
            names.update(word for word in line.split(" | ")[0].split("`")[1::2])
    return names

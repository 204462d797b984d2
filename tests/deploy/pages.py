"""Pages whose commands are typed and whose outputs are compared: a block `sh`, and the block `text` below it."""

import os
import pathlib
import re
import shutil
import tempfile

from common import GATE, demo, run


def steps(text):
    """Pairs of commands and what the page says that they print; None where it says nothing."""
    blocks = re.findall(r"^```(sh|text)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    for index, (kind, content) in enumerate(blocks):
        if kind == "sh":
            following = blocks[index + 1] if index + 1 < len(blocks) else ("", "")
            yield content, following[1] if following[0] == "text" else None


def pattern(expected):
    """`…` on a line of its own is any number of lines, in a line any text."""
    lines = []
    for line in expected.rstrip("\n").split("\n"):
        lines.append(r"(?:.*\n)*?" if line.strip() == "…" else re.escape(line).replace("…", ".*") + r"\n")
    return "".join(lines)


def differs(expected, printed):
    """Why an output is not what the page says, or None."""
    printed = "".join(line.rstrip() + "\n" for line in printed.strip("\n").split("\n"))
    if re.fullmatch(pattern(expected), printed):
        return None
    return f"the page says\n{expected}\nand it printed\n{printed}"


class Typed:
    """A shell beside the files of a running demo. Each command has the folder that the ones before it left."""

    def __init__(self, stage, folder):
        self.stage = stage
        self.folder = pathlib.Path(folder)
        for file in stage.policy.parent.iterdir():
            if file.suffix in (".toml", ".pub", ".json"):
                shutil.copy(file, self.folder)
        (self.folder / "bin").mkdir()
        (self.folder / "bin" / "pullgate").symlink_to(GATE)

    def type(self, command):
        command = command.replace("127.0.0.1:5000", self.stage.gate).replace("127.0.0.1:5001", self.stage.admin)
        environment = {**os.environ, "PATH": f"{self.folder}/bin:{os.environ['PATH']}", "LC_ALL": "C.UTF-8"}
        printed = run("bash", "-c", command, status=None, cwd=self.folder, env=environment)
        return printed.replace(self.stage.gate, "127.0.0.1:5000").replace(self.stage.admin, "127.0.0.1:5001").replace("\r", "")


def follow(page):
    """Types a page and gives what differs, command by command."""
    found = []
    with demo() as stage, tempfile.TemporaryDirectory() as folder:
        shell = Typed(stage, folder)
        for command, expected in steps(pathlib.Path(page).read_text(encoding="utf-8")):
            printed = shell.type(command)
            wrong = expected is not None and differs(expected, printed)
            if wrong:
                found.append(f"$ {command}{wrong}")
    return found


def on_a_machine(page, heading):
    """A script that types the part of a page below a heading, block by block, each output between marks.

    A block `toml` whose first line names a file is written there, and the gate has a minute to take it.
    """
    text = pathlib.Path(page).read_text(encoding="utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    script, expected = [], []
    for kind, content in re.findall(r"^```(sh|text|toml)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        if kind == "toml":
            file = content.split("\n")[0].removeprefix("# ")
            script.append(f"before=$(reloads)\ncat >{file} <<'WRITTEN'\n{content}WRITTEN\nin_force \"$before\"\n")
        elif kind == "sh":
            script.append(f"echo '<<<<'\n{content}echo '>>>>'\n")
            expected.append([content, None])
        else:
            expected[-1][1] = content
    return script, expected


def outputs(told):
    return re.findall(r"^<<<<\n(.*?)^>>>>$", told.replace("\r", ""), re.MULTILINE | re.DOTALL)

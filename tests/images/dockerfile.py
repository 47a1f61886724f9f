"""A Dockerfile as data, and its steps done again in a folder: no daemon, no base image, but the very same commands.

What differs from a build: `/` is a folder, so that absolute paths of the product are put below it; the base image is a
fresh virtual environment of this Python; and what the base brings beside Python is this machine's.
"""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

_PATHS = re.compile(r"(?<![\w./-])/(app|src|etc/tron|var/lib/tron)(?![\w.-])")
_NAME = re.compile(r"\$\{(\w+)(?::[?-][^}]*)?\}|\$(\w+)")


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction; `rest` is what follows its name, on one line."""

    name: str
    rest: str

    @property
    def words(self) -> list[str]:
        """The words of the exec form or of the shell form."""
        return json.loads(self.rest) if self.rest.startswith("[") else shlex.split(self.rest)


@dataclass(frozen=True, slots=True)
class Stage:
    base: str
    name: str
    instructions: list[Instruction] = field(default_factory=list)

    def all(self, name: str) -> list[Instruction]:
        return [one for one in self.instructions if one.name == name]


def parse(text: str) -> list[Stage]:
    """The stages of a Dockerfile, and before them one without a base for the arguments of the whole."""
    stages = [Stage("", "")]
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    for line in lines.replace("\\\n", " ").splitlines():
        name, _, rest = line.strip().partition(" ")
        if name == "FROM":
            base, _, alias = rest.partition(" AS ")
            stages.append(Stage(base.strip(), alias.strip()))
        elif name:
            stages[-1].instructions.append(Instruction(name, rest.strip()))
    return stages


def environment(stage: Stage, start: Mapping[str, str]) -> dict[str, str]:
    """What a process of the stage finds in its environment, if the base image has `start`."""
    found = dict(start)
    for one in stage.all("ENV"):
        for word in one.words:
            key, _, value = word.partition("=")
            found[key] = _NAME.sub(lambda name: found.get(name[1] or name[2], ""), value)
    return found


def context(root: Path, target: Path) -> None:
    """Copy to `target` what the .dockerignore of `root` lets through to a builder."""
    rules = [line for line in (root / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".") or name == ".tron"]
        for name in names:
            path = (Path(folder) / name).relative_to(root)
            if _passes(PurePosixPath(path), rules):
                (target / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(root / path, target / path)


def _passes(path: PurePosixPath, rules: list[str]) -> bool:
    """Whether a file goes to the builder: the last rule that matches it, or a folder above it, decides."""
    passes = True
    for rule in rules:
        pattern = rule.removeprefix("!").rstrip("/")
        if any(_matches(part, pattern) for part in (path, *path.parents)):
            passes = rule.startswith("!")
    return passes


def _matches(path: PurePosixPath, pattern: str) -> bool:
    if pattern.startswith("**/"):
        return fnmatch.fnmatchcase(path.name, pattern[3:])
    return len(path.parts) == len(PurePosixPath(pattern).parts) and fnmatch.fnmatchcase(str(path), pattern)


def base_python() -> str:
    """The Python that stands for the base image's: one that every user may run, if there is one."""
    public = shutil.which("python3.11", path="/usr/local/bin:/usr/bin")
    for candidate in (sys.executable, public):
        if candidate and is_public(Path(candidate)) and _can(candidate, "import ensurepip, venv"):
            return candidate
    return sys.executable


def is_public(path: Path) -> bool:
    """Whether every user may run a program."""
    return all(folder.stat().st_mode & 0o001 for folder in path.resolve().parents)


def _link(source: str, target: str) -> None:
    """Copy a file without copying its bytes; a link stays a link."""
    os.link(source, target, follow_symlinks=False)


def _can(python: str, code: str) -> bool:
    return subprocess.run([python, "-c", code], capture_output=True, check=False).returncode == 0


class Replay:
    """Does the steps of one stage after the other below `root`, which is the file system of the last one."""

    def __init__(self, source: Path, folder: Path) -> None:
        self.root = folder / "root"
        self._folder = folder
        self._context = folder / "context"
        context(source, self._context)

    def stage(self, stage: Stage) -> dict[str, str]:
        """Do a stage; returns the environment of its processes. What the stage before left is at `<root>.<name>`."""
        self.root.mkdir()
        base = self._folder / f"base-{stage.name or 'final'}"
        subprocess.run([base_python(), "-m", "venv", base], check=True)
        environ = environment(stage, {"PATH": f"{base}/bin:{os.environ['PATH']}", "HOME": str(self._folder)})
        environ |= {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_", "REQUESTS_"))}
        environ["PIP_NO_COMPILE"] = "1"  # as slow as the rest together, and nothing to learn from
        environ = {name: self.placed(value) for name, value in environ.items()}
        place = self.root
        for one in stage.instructions:
            if one.name == "WORKDIR":
                place = Path(self.placed(one.rest))
                place.mkdir(parents=True, exist_ok=True)
            elif one.name == "COPY":
                self._copy(one.words, place)
            elif one.name == "RUN":
                self._run(one.rest, place, environ)
        return environ

    def keep(self, stage: Stage) -> None:
        """Put the stage that was done aside, for those that copy from it."""
        self.root.rename(self._kept(stage.name))

    def placed(self, text: str) -> str:
        """Text whose absolute paths are below `root`."""
        return _PATHS.sub(lambda path: f"{self.root}{path[0]}", text)

    def _kept(self, name: str) -> Path:
        return self.root.with_name(f"root.{name}")

    def _copy(self, words: list[str], place: Path) -> None:
        source = self._context
        if words[0].startswith("--from="):
            source = self._kept(words.pop(0).removeprefix("--from="))
        *names, target = words
        goal = Path(self.placed(target)) if target.startswith("/") else place / target
        for name in names:
            found = source / name.lstrip("/")
            if found.is_dir():
                shutil.copytree(found, goal, symlinks=True, copy_function=_link)
            else:
                goal.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(found, goal / found.name)

    def _run(self, command: str, place: Path, environ: Mapping[str, str]) -> None:
        placed = self.placed(command)
        if os.geteuid() != 0:
            placed = re.sub(r" --(owner|group)=\d+", "", placed)
        done = subprocess.run(
            ["sh", "-c", placed], cwd=place, env=dict(environ), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{placed}\n{done.stdout}\n{done.stderr}"

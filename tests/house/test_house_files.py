"""The files around the code: lock files, licence, changelog, README, and nothing that binds them to one machine."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from runner.version import VERSION

LARGEST_FILE = 1_000_000
LOCK_FILES = (
    "requirements.txt",
    "requirements-dev.txt",
    "requirements-bench.txt",
    "requirements-gcp.txt",
    "requirements-functions.txt",
)
APART = {"requirements-bigquery.txt": "bigquery-emulator", "requirements-terraform.txt": "terraform"}
"""Of environments of their own, so they need not agree with the others."""
ADDRESS = re.compile(r"://|--(extra-)?index-url|--find-links|--trusted-host|^\s*(-e|-f|-i)\b|@ file", re.MULTILINE)
MACHINE_PATH = re.compile(r"(?<![\w.~*}$-])/(work|root|home|Users|opt|mnt|tmp/bash_jobs)/\w")
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


def locked(path: Path) -> dict[str, Requirement]:
    """Requirements of a lock file by name, without their hashes."""
    lines = path.read_text().replace("\\\n", " ").splitlines()
    requirements = [Requirement(HASH.sub("", line)) for line in lines if line and not line.lstrip().startswith("#")]
    return {canonicalize_name(requirement.name): requirement for requirement in requirements}


def wanted(pyproject: dict[str, Any], group: str) -> list[Requirement]:
    """What pyproject.toml asks for in a run, and in `group` if it names one: a group of its own, or an extra."""
    asked = pyproject["project"]["dependencies"] + pyproject["dependency-groups"]["build"]
    more = {**pyproject["project"]["optional-dependencies"], **pyproject["dependency-groups"]}
    return [Requirement(line) for line in asked + more.get(group, [])]


@pytest.mark.parametrize("name", [*LOCK_FILES, *APART])
def test_a_lock_file_holds_no_addresses(name: str, root: Path) -> None:
    assert ADDRESS.findall((root / name).read_text()) == []


@pytest.mark.parametrize("name", [*LOCK_FILES, *APART])
def test_every_locked_requirement_is_pinned_and_hashed(name: str, root: Path) -> None:
    lines = (root / name).read_text().replace("\\\n", " ").splitlines()
    requirements = [line for line in lines if line and not line.lstrip().startswith("#")]

    assert requirements
    assert [line for line in requirements if "==" not in line or not HASH.search(line)] == []


@pytest.mark.parametrize(("name", "group"), [*zip(LOCK_FILES, ("", "dev", "bench", "gcp", "functions"), strict=True)])
def test_a_lock_file_holds_what_pyproject_asks_for(name: str, group: str, root: Path) -> None:
    pins = locked(root / name)
    for requirement in wanted(tomllib.loads((root / "pyproject.toml").read_text()), group):
        pin = pins[canonicalize_name(requirement.name)]
        (version,) = (specifier.version for specifier in pin.specifier)
        assert requirement.specifier.contains(version), f"{pin} does not satisfy {requirement}: run `make lock`"


@pytest.mark.parametrize(("name", "group"), APART.items())
def test_the_lock_file_of_what_is_apart_holds_what_pyproject_asks_for(name: str, group: str, root: Path) -> None:
    pins = locked(root / name)
    groups = tomllib.loads((root / "pyproject.toml").read_text())["dependency-groups"]
    for requirement in map(Requirement, groups[group]):
        (version,) = (specifier.version for specifier in pins[canonicalize_name(requirement.name)].specifier)
        assert requirement.specifier.contains(version), f"{requirement} is locked as {version}: run `make lock`"


@pytest.mark.parametrize("name", LOCK_FILES[1:])
def test_every_lock_file_agrees_with_the_one_of_a_run(name: str, root: Path) -> None:
    runtime, other = locked(root / LOCK_FILES[0]), locked(root / name)

    assert {package: str(other[package]) for package in runtime} == {key: str(pin) for key, pin in runtime.items()}


def test_no_file_names_a_place_on_one_machine(project_files: list[Path]) -> None:
    found = [(path.name, match.group()) for path in project_files for match in MACHINE_PATH.finditer(text_of(path))]

    assert found == []


def test_no_file_is_large(project_files: list[Path]) -> None:
    assert [path.name for path in project_files if path.stat().st_size > LARGEST_FILE] == []


def test_the_changelog_tells_of_this_version(root: Path) -> None:
    assert re.search(rf"^## \[{re.escape(VERSION)}\]", (root / "CHANGELOG.md").read_text(), re.MULTILINE)


def test_the_licence_is_the_one_that_pyproject_names(root: Path) -> None:
    assert tomllib.loads((root / "pyproject.toml").read_text())["project"]["license"] == "Apache-2.0"
    assert "Apache License" in (root / "LICENSE").read_text()


def test_the_readme_starts_with_the_two_commands(root: Path, project_files: list[Path]) -> None:
    if root / "README.md" not in project_files:
        pytest.skip("README.md is not written yet")
    blocks = re.findall(r"^```\w*\n(.*?)^```", (root / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    commands = [line.removeprefix("$ ").split("#")[0].strip() for block in blocks for line in block.splitlines()]
    makes = [command for command in commands if command.startswith("make")]

    assert makes[:2] == ["make run", "make test"]


def text_of(path: Path) -> str:
    """The text of a file, or nothing where it is not text."""
    try:
        return path.read_text()
    except UnicodeDecodeError:
        return ""

"""cloudbuild.yaml without a cloud: its schema, its scripts, its names, and that it calls what developers call."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
FILE = ROOT / "cloudbuild.yaml"
BUILD: dict[str, Any] = YAML(typ="safe").load(FILE.read_text())
STEPS: list[dict[str, Any]] = BUILD["steps"]
BUILT_IN = {"BUILD_ID", "COMMIT_SHA", "PROJECT_ID", "PROJECT_NUMBER", "LOCATION", "SHORT_SHA", "BRANCH_NAME"}
ESCAPED = re.compile(r"\$\$")
NAME = re.compile(r"\$\{?([A-Z_][A-Z0-9_]*)\}?")
VERBS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
TRIGGER = ROOT / "terraform" / "build.tf"
IN_ORDER = ("lint", "types", "test", "sbom", "functions-archive", "image", "push", "plan", "apply", "smoke")


def tool(name: str, *arguments: str | Path, text: str = "") -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).with_name(name), *arguments]
    return subprocess.run(command, cwd=ROOT, input=text, capture_output=True, text=True, check=False)


def script(step: dict[str, Any]) -> str:
    """What a step gives to its shell, as the shell gets it."""
    text: str = step["args"][-1]
    with_values = NAME.sub("value", ESCAPED.sub("\0", text))
    return with_values.replace("\0", "$")


def names_in(text: str) -> set[str]:
    return set(NAME.findall(ESCAPED.sub("", text)))


def test_the_file_is_what_cloud_build_reads() -> None:
    done = tool("check-jsonschema", "--builtin-schema", "vendor.cloudbuild", FILE)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("step", STEPS, ids=[step["id"] for step in STEPS])
def test_shellcheck_finds_nothing_in_a_step(step: dict[str, Any]) -> None:
    shell = "bash" if step["entrypoint"] == "bash" else "sh"
    text = f"set -eu\n{script(step)}\n"
    done = tool("shellcheck", f"--shell={shell}", "--exclude=SC2050", "-", text=text)  # SC2050: values are put in

    assert done.stdout + done.stderr == ""


@pytest.mark.parametrize(
    "path", [*sorted((ROOT / "scripts").glob("*.sh")), ROOT / ".ci" / "run"], ids=lambda path: path.name
)
def test_shellcheck_finds_nothing_in_a_script(path: Path) -> None:
    done = tool("shellcheck", path)

    assert done.stdout + done.stderr == ""


def test_steps_come_in_the_order_in_which_a_commit_becomes_a_fleet() -> None:
    order = [step["id"] for step in STEPS if step["id"] in IN_ORDER]

    assert order == list(IN_ORDER)
    assert [name for name, count in Counter(step["id"] for step in STEPS).items() if count > 1] == []
    assert not any("waitFor" in step for step in STEPS), "steps share a folder: one after the other"


@pytest.mark.parametrize("verb", IN_ORDER)
def test_a_step_calls_the_make_verb_of_its_name(verb: str) -> None:
    (step,) = (one for one in STEPS if one["id"] == verb)

    assert re.search(rf"\bmake [a-z -]*\b{verb}\b", script(step))
    assert set(re.findall(r"\bmake ([a-z-]+)", script(step))) <= VERBS


@pytest.mark.parametrize("step", STEPS, ids=[step["id"] for step in STEPS])
def test_a_step_that_fails_ends_the_build(step: dict[str, Any]) -> None:
    assert step["args"][:-1] in (["-euo", "pipefail", "-c"], ["-euc"])
    assert not {"allowFailure", "allowExitCodes"} & step.keys()


def test_every_value_that_is_used_is_known_and_every_known_one_is_used() -> None:
    used = names_in(FILE.read_text().partition("\nsteps:")[2]) - BUILT_IN
    given = set(re.findall(r"_[A-Z_]+", FILE.read_text().partition("The trigger gives")[2].partition(".")[0]))

    assert used == BUILD["substitutions"].keys() | given
    assert BUILD["options"]["substitutionOption"] == "MUST_MATCH"


def test_the_trigger_gives_what_the_file_says_it_gives() -> None:
    if not TRIGGER.exists():
        pytest.skip("there is no terraform/build.tf")
    given = re.findall(r"^\s+(_[A-Z_]+)\s+=", TRIGGER.read_text(), re.MULTILINE)

    assert given
    assert set(given) <= names_in(FILE.read_text().partition("\nsteps:")[2])
    assert 'filename        = "cloudbuild.yaml"' in TRIGGER.read_text()
    assert "approval_required" in TRIGGER.read_text()


def test_no_step_runs_in_an_image_that_may_be_another_one_tomorrow() -> None:
    images = {BUILD["substitutions"][step["name"].strip("${}")] for step in STEPS}

    assert [image for image in images if not re.search(r":\d+\.\d+\.\d+$|@sha256:[0-9a-f]{64}$", image)] == []


def test_what_is_applied_is_the_plan_that_was_saved() -> None:
    makefile = (ROOT / "Makefile").read_text()

    assert "plan.tfplan'" in re.findall(r"terraform.*apply.*|TERRAFORM_IN\) apply.*", makefile)[0]
    assert "-auto-approve" not in makefile

"""The configuration is what Terraform and the provider understand, in every major version that is allowed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.terraform.conftest import Providers, missing
from tests.terraform.gate import FOLDER, ROOT, Terraform, copied
from tests.terraform.tables import blocks

ADDONS = FOLDER / "addons"
FILES = sorted(path.relative_to(FOLDER) for path in FOLDER.rglob("*.tf"))
SKIP = re.compile(r"checkov:skip=(\w+)(: \w.+)?")
CHECKOV = ROOT / ".venv-terraform" / "bin" / "checkov"


def test_the_files_are_formatted(terraform: Terraform) -> None:
    step = terraform.run("fmt", "-check", "-recursive", folder=FOLDER)

    assert step.good, step.output


@pytest.mark.slow
def test_every_provider_accepts_the_platform_and_its_tests_pass(providers: Providers) -> None:
    for name, terraform in providers.items():
        for step in terraform.check(FOLDER):
            assert step.good, f"{name}: {step.command}\n{step.output}"


def test_every_provider_accepts_the_addons_and_their_tests_pass(providers: Providers) -> None:
    for name, terraform in providers.items():
        for step in terraform.check(ADDONS):
            assert step.good, f"{name}: {step.command}\n{step.output}"


def test_the_gate_itself_accepts_the_platform(gate: Path | None) -> None:
    if gate is None:
        pytest.skip("TERRAFORM_GATE names no gate")
    schema = json.loads((gate / "google-8x.json").read_text())["resource_schemas"]
    used = {kind for path in FOLDER.glob("*.tf") for kind in re.findall(r'^resource "(\w+)"', path.read_text(), re.M)}

    assert used - schema.keys() == set()


def test_a_plan_that_failed_is_no_plan(terraform: Terraform, example: dict[str, object]) -> None:
    with copied(FOLDER) as copy:
        step = terraform.plan_in(copy, {**example, "environment": "production"})

        assert not step.good
        assert (copy / "plan").exists(), "a failed plan is saved, and shown like any other"
        with pytest.raises(AssertionError, match="one that failed"):
            terraform.shown(copy)


@pytest.mark.parametrize("folder", [FOLDER, ADDONS], ids=["platform", "addons"])
@pytest.mark.parametrize("kind", ["variable", "output"])
def test_variables_and_outputs_are_in_order_and_described(folder: Path, kind: str) -> None:
    found = blocks(kind, folder / f"{kind}s.tf")

    assert list(found) == sorted(found)
    assert [
        name for name, body in found.items() if "  description " not in body and "  description\t" not in body
    ] == []


def test_a_variable_has_a_type_and_may_be_null_only_where_null_means_something() -> None:
    for name, body in blocks("variable", FOLDER / "variables.tf").items():
        assert re.search(r"^  type\s+=", body, re.MULTILINE), name
        says_null = re.search(r"^  default\s+= null$", body, re.MULTILINE)
        assert bool(says_null) != bool(re.search(r"^  nullable\s+= false$", body, re.MULTILINE)), name


def test_validations_speak_in_sentences() -> None:
    text = "".join((FOLDER / path).read_text() for path in FILES)
    said = re.findall(r'error_message = "(.*)"$', text, re.MULTILINE)

    assert len(said) > 30
    assert [sentence for sentence in said if not sentence.endswith(".")] == []


@pytest.mark.slow
def test_checkov_finds_nothing_that_is_not_explained() -> None:
    program = CHECKOV if CHECKOV.exists() else shutil.which("checkov")
    if program is None:
        missing("checkov: make setup-ci installs it")
    command = [str(program), "-d", str(FOLDER), "--framework", "terraform", "--compact", "--quiet", "--skip-download"]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [*command, "--output", "json"], capture_output=True, text=True, env=environ, check=False, timeout=200
    )
    said = json.loads(done.stdout)

    assert said["summary"]["failed"] == 0, done.stdout
    assert said["summary"]["parsing_errors"] == 0
    assert said["summary"]["passed"] > 100


def test_every_check_that_is_skipped_says_why() -> None:
    skips = [skip for path in FILES for skip in SKIP.findall((FOLDER / path).read_text())]

    assert skips
    assert [check for check, reason in skips if not reason] == []

"""The deploy guide names what there is: make verbs, verbs and options of `tron`, files, variables, substitutions."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
import typer

from runner.cli.app import app

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "deploy.md").read_text()
CODE = re.findall(r"^ *```sh\n(.*?)^ *```", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = [line.strip() for block in CODE for line in block.splitlines()] + re.findall(r"`([^`\n]+)`", PAGE)
VARIABLES = ROOT / "terraform" / "variables.tf"


def commands(program: str) -> list[list[str]]:
    found = [shlex.split(line, comments=True) for line in COMMANDS if line.startswith(f"{program} ")]
    return [words[1:] for words in found]


@pytest.mark.parametrize("words", commands("make"), ids=" ".join)
def test_every_make_verb_exists_and_knows_its_variables(words: list[str]) -> None:
    makefile = (ROOT / "Makefile").read_text()
    verbs, variables = [word for word in words if "=" not in word], [word for word in words if "=" in word]

    assert all(re.search(rf"^{verb}:", makefile, re.MULTILINE) for verb in verbs)
    assert all(f"$({variable.partition('=')[0]})" in makefile for variable in variables)


@pytest.mark.parametrize("words", commands("tron"), ids=" ".join)
def test_every_verb_of_tron_exists_and_knows_its_options(words: list[str]) -> None:
    verb, options = words[0], [word for word in words[1:] if word.startswith("--")]
    known = typer.main.get_command(app).commands[verb]  # type: ignore[attr-defined]  # it is a group
    names = {name for parameter in known.params for name in parameter.opts}

    assert set(options) <= names


def test_every_file_that_is_run_or_read_is_there() -> None:
    named = set(re.findall(r"\.\./(scripts/[\w.]+)", PAGE)) | {"cloudbuild.yaml", "docs/costs.md", "terraform/addons"}

    assert "scripts/put_once.sh" in named
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_terraform_variable_that_the_page_sets_exists() -> None:
    if not VARIABLES.exists():
        pytest.skip("there is no terraform/variables.tf")
    known = set(re.findall(r'^variable "(\w+)"', VARIABLES.read_text(), re.MULTILINE))
    (first,) = re.findall(r"<<END\n(\{.*?^\})", PAGE, re.MULTILINE | re.DOTALL)
    later = re.findall(r"^```json\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    plain = re.sub(r"\$\([^\n]*\)", "", first)
    named = set(json.loads(plain)) | {key for block in later for key in json.loads("{" + block + "}")}

    assert {"bots", "build", "prefix"} <= named
    assert named <= known


def test_every_substitution_is_one_of_the_build() -> None:
    named = set(re.findall(r"\b_[A-Z][A-Z_]+\b", PAGE))

    assert named <= set(re.findall(r"\b_[A-Z][A-Z_]+\b", (ROOT / "cloudbuild.yaml").read_text()))


def test_the_price_of_a_worker_pool_is_what_its_formula_gives() -> None:
    formula, price = re.findall(r"\| (2 x 2,592,000 s[^|]*) \| \*\*\$([\d.]+)\*\*", PAGE)[0]
    cpus, seconds, cpu_price, memory, again, gib_price = (
        float(number.replace(",", "")) for number in re.findall(r"\d[\d.,]*", formula)
    )

    assert round(cpus * seconds * cpu_price + memory * again * gib_price, 2) == float(price)

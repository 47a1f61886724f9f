"""Terraform for the tests: with the real provider where it can be downloaded, else with the schema-only one.

`TERRAFORM_GATE` names the folder of the schema-only provider (its README tells what that covers). It is served once and
used by every run; folders are copies, so that a run leaves nothing behind and mistakes can be planted.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "terraform"
EXAMPLE = FOLDER / "example.tfvars.json"
SCHEMAS = ("google-7x.json", "google-8x.json")
ADDONS_SCHEMA = Path(__file__).with_name("addons-schema.json")
OWN_VENV = ROOT / ".venv-terraform" / "gate"
_PLAN = ("plan", "-refresh=false", "-input=false", "-no-color", "-lock=false", "-out=plan")

Json = dict[str, Any]


@dataclass(frozen=True)
class Step:
    """A command that was run, whether it ended well, and what it said."""

    command: str
    good: bool
    output: str


@dataclass(frozen=True)
class Terraform:
    """Runs commands with a provider. `environ` is what makes Terraform find it."""

    environ: Mapping[str, str]
    program: str = field(default_factory=lambda: shutil.which("terraform") or "terraform")

    def run(self, *words: str, folder: Path) -> Step:
        done = subprocess.run(
            [self.program, *words],
            cwd=folder,
            env={**os.environ, **self.environ},
            text=True,
            capture_output=True,
            check=False,
        )
        return Step(" ".join(words), done.returncode == 0, done.stdout + done.stderr)

    def check(self, folder: Path) -> list[Step]:
        """`init`, `validate` and `test` in a copy; stops at the first that fails."""
        with copied(folder) as copy:
            steps = [self.run("init", "-backend=false", "-input=false", "-no-color", folder=copy)]
            for words in (("validate", "-no-color"), ("test", "-no-color")):
                if steps[-1].good:
                    steps.append(self.run(*words, folder=copy))
            return steps

    def plan(self, folder: Path, variables: Mapping[str, Any]) -> Json:
        """The plan of a folder with nothing there yet, as `terraform show -json` writes it.

        Raises `AssertionError` with what Terraform said when there is none, or one that a failure left.
        """
        with copied(folder) as copy:
            step = self.plan_in(copy, variables)
            assert step.good, step.output
            return self.shown(copy)

    def plan_in(self, copy: Path, variables: Mapping[str, Any]) -> Step:
        """Plan in a copy, with its state beside it; the plan is saved there, also when this fails."""
        (copy / "zz_override.tf").write_text('terraform {\n  backend "local" {}\n}\n')
        (copy / "zz.auto.tfvars.json").write_text(json.dumps(variables))
        step = self.run("init", "-input=false", "-no-color", folder=copy)
        return self.run(*_PLAN, folder=copy) if step.good else step

    def shown(self, copy: Path) -> Json:
        """The plan that was saved. Raises `AssertionError` for one that failed."""
        step = self.run("show", "-json", "plan", folder=copy)
        assert step.good, step.output
        return whole(json.loads(step.output))


def whole(plan: Json) -> Json:
    """The plan itself. A plan that failed is saved and shown like any other: only `errored` tells."""
    assert not plan.get("errored"), "the plan is one that failed"
    assert plan.get("complete", True), "the plan is not complete"
    return plan


@contextmanager
def copied(folder: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as temporary:
        copy = Path(temporary) / folder.name
        shutil.copytree(folder, copy, ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*", "terraform.tfvars*"))
        yield copy


@contextmanager
def with_gate(gate: Path, schema: Path) -> Iterator[Terraform]:
    """Terraform with the schema-only provider, which is served meanwhile."""
    python = _gate_python(gate)
    served = subprocess.Popen([python, gate / "stub_provider.py", schema], stdout=subprocess.PIPE, text=True)
    try:
        assert served.stdout
        attach = served.stdout.readline().strip()
        assert attach, "the schema-only provider did not start"
        yield Terraform({**_QUIET, "TF_REATTACH_PROVIDERS": attach, "TF_CLI_CONFIG_FILE": os.devnull})
    finally:
        served.terminate()
        served.wait(10)
        if served.stdout:
            served.stdout.close()


def with_provider() -> Terraform | None:
    """Terraform with the real provider; None where it cannot be downloaded. The token that it wants is never used."""
    if shutil.which("terraform") is None:
        return None
    real = Terraform({**_QUIET, "GOOGLE_OAUTH_ACCESS_TOKEN": "none"})
    with copied(FOLDER) as copy:
        return real if real.run("init", "-backend=false", "-input=false", "-no-color", folder=copy).good else None


def schema_with_addons(gate: Path, schema: str, folder: Path) -> Path:
    """A schema of the gate and the types of the addons, which it lacks, as one file."""
    document = json.loads((gate / schema).read_text())
    document["resource_schemas"] |= json.loads(ADDONS_SCHEMA.read_text())["resource_schemas"]
    path = folder / schema
    path.write_text(json.dumps(document))
    return path


# GOGC: a plan lives for a second, and is done a quarter earlier when Go collects its garbage less often.
_QUIET = {"CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1", "GOGC": "400"}


def _gate_python(gate: Path) -> Path:
    """The Python that the provider needs: of `make setup-ci`, or made once and kept among temporary files."""
    venv = OWN_VENV
    if not (venv / ".done").exists():
        venv = Path(tempfile.gettempdir()) / f"tron-terraform-gate-{os.getuid()}"
        with open(f"{venv}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (venv / ".done").exists():
                _make_venv(venv, gate)
    return venv / "bin" / "python"


def _make_venv(venv: Path, gate: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--clear", venv], check=True)
    install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "-r"]
    subprocess.run([venv / "bin" / "python", *install, gate / "requirements.txt"], check=True, capture_output=True)
    (venv / ".done").touch()

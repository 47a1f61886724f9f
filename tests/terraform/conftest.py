"""Terraform with every provider that there is, and the plan of the example, made once for all tests of a process."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.terraform.gate import EXAMPLE, FOLDER, SCHEMAS, Json, Terraform, schema_with_addons, with_gate, with_provider

Providers = dict[str, Terraform]


@pytest.fixture(scope="session")
def gate() -> Path | None:
    """The folder of the schema-only provider, where there is one."""
    folder = os.environ.get("TERRAFORM_GATE", "")
    return Path(folder).resolve() if folder else None


@pytest.fixture(scope="session")
def providers(gate: Path | None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Providers]:
    """Terraform by the name of its provider. Each knows the types of the addons, too."""
    with ExitStack() as serving:
        if gate and shutil.which("terraform"):
            folder = tmp_path_factory.mktemp("schemas")
            paths = {schema: schema_with_addons(gate, schema, folder) for schema in SCHEMAS}
            yield {schema: serving.enter_context(with_gate(gate, path)) for schema, path in paths.items()}
            return
        real = with_provider()
        if real is None:
            missing("Terraform and its provider: install terraform with a network, or name a gate by TERRAFORM_GATE")
        assert real
        yield {"google": real}


@pytest.fixture(scope="session")
def terraform(providers: Providers) -> Terraform:
    """Terraform with the newest provider."""
    return providers[max(providers)]


@pytest.fixture(scope="session")
def example() -> dict[str, Any]:
    """The variables that the README shows."""
    values: dict[str, Any] = json.loads(EXAMPLE.read_text())
    return values


@pytest.fixture(scope="session")
def plan(terraform: Terraform, example: dict[str, Any]) -> Json:
    return terraform.plan(FOLDER, example)


def missing(what: str) -> None:
    """Skip, or fail where everything must be there."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"missing: {what}")
    pytest.skip(f"missing: {what}")

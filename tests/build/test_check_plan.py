"""What a saved plan may do before anybody is asked."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "check_plan.py"


def change(kind: str, *actions: str) -> dict[str, Any]:
    return {"address": f"{kind}.one", "type": kind, "change": {"actions": list(actions)}}


def check(plan: dict[str, Any], *options: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, SCRIPT, *options], input=json.dumps(plan), capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


def test_a_plan_is_told_in_numbers() -> None:
    plan = [
        change("a", "create"),
        change("b", "update"),
        change("c", "delete"),
        change("d", "no-op"),
        change("e", "read"),
    ]

    assert check({"resource_changes": plan}) == (0, "1 to create, 1 to update, 0 to replace, 1 to destroy\n")


@pytest.mark.parametrize("actions", [("delete",), ("delete", "create"), ("create", "delete")])
def test_a_plan_that_destroys_records_is_refused_until_it_is_asked_for(actions: tuple[str, ...]) -> None:
    plan = {"resource_changes": [change("google_storage_bucket", *actions)]}

    status, said = check(plan)

    assert status == 1
    assert "google_storage_bucket.one" in said
    assert "ALLOW_DESTROY=1" in said
    assert check(plan, "--allow-destroy")[0] == 0


@pytest.mark.parametrize("plan", [{}, {"errored": True, "resource_changes": []}])
def test_a_plan_that_failed_is_refused_whatever_is_asked(plan: dict[str, Any]) -> None:
    assert check(plan, "--allow-destroy") == (1, "the plan failed: it must not be applied\n")

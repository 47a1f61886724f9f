"""The README says what the configuration is: its tables are made from it, and who may do what is the plan's."""

from __future__ import annotations

import re

from tests.terraform.gate import FOLDER, Json
from tests.terraform.tables import README, all_grants, read_access_table, written


def test_the_tables_are_those_of_the_configuration(plan: Json) -> None:
    text = README.read_text()

    assert text == written(text, plan), "write them anew: python -m tests.terraform.tables"


def test_who_may_do_what_is_exactly_what_the_readme_tells(plan: Json) -> None:
    assert read_access_table(README.read_text()) == all_grants(plan)


def test_the_permissions_of_our_roles_are_told(plan: Json) -> None:
    text = README.read_text()
    roles = re.findall(r'role_id\s+= "(\w+)"', (FOLDER / "iam.tf").read_text())

    assert roles
    assert [role for role in roles if f"| `{role}` |" not in text] == []


def test_every_file_is_in_the_table_of_files() -> None:
    known = {"versions.tf", "variables.tf", "locals.tf", "outputs.tf"}
    files = {path.name for path in FOLDER.glob("*.tf")} - known

    assert [name for name in sorted(files) if f"`{name}`" not in README.read_text()] == []

"""Mistakes that somebody could make are found before they are applied."""

from __future__ import annotations

import pytest

from tests.terraform.gate import Terraform
from tests.terraform.mutations import MISTAKES, NOTHING, find_all, report


@pytest.mark.slow
def test_planted_mistakes_are_found(terraform: Terraform) -> None:
    findings = find_all(terraform)
    print(f"\n{report(findings)}")

    assert len(MISTAKES) >= 20
    assert [one.mistake.name for one in findings if one.finder == NOTHING] == []

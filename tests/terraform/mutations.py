"""Mistakes that are planted into a copy of terraform/, and what finds each: `python -m tests.terraform.mutations`.

| finder   | is                                                                                              |
|----------|-------------------------------------------------------------------------------------------------|
| `plan`   | Terraform with the provider's schema and the variables' validations                             |
| `policy` | `policy.complaints` about the plan, and the README's table of who may do what                    |
| `test`   | `terraform test`                                                                                |

What breaks the plan is planted alone. What the policy must find is planted with others in other places, because a plan
takes a second: each must have its own sentence. What is not found so is planted alone once more.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tomllib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.terraform.gate import EXAMPLE, FOLDER, SCHEMAS, Terraform, copied, with_gate, with_provider
from tests.terraform.policy import complaints
from tests.terraform.tables import README, all_grants, read_access_table

POLICY, TEST, NOTHING = "policy", "test", "nothing"
FILE = Path(__file__).with_name("mistakes.toml")
_TOGETHER = 9


@dataclass(frozen=True)
class Mistake:
    """In `file`, the first `right` after `after` becomes `wrong`; `by` says something that `found` matches."""

    name: str
    file: str
    right: str
    wrong: str
    found: str
    after: str = ""
    by: str = POLICY

    @property
    def place(self) -> tuple[str, str, str]:
        return self.file, self.after, self.right

    def plant(self, folder: Path) -> None:
        """Raises `ValueError` when the place is not there."""
        path = folder / self.file
        text = path.read_text()
        place = text.index(self.right, text.index(self.after))
        path.write_text(text[:place] + self.wrong + text[place + len(self.right) :])


@dataclass(frozen=True)
class Finding:
    mistake: Mistake
    said: str

    @property
    def finder(self) -> str:
        return self.mistake.by if self.said else NOTHING


MISTAKES = tuple(Mistake(**one) for one in tomllib.loads(FILE.read_text())["mistake"])


def find_all(terraform: Terraform) -> list[Finding]:
    """What finds each mistake, in the order of `MISTAKES`."""
    groups = [
        *([one] for one in MISTAKES if one.by != POLICY),
        *_compatible(one for one in MISTAKES if one.by == POLICY),
    ]
    with ThreadPoolExecutor(2) as threads:
        found = [finding for findings in threads.map(partial(_find, terraform), groups) for finding in findings]
    again = [_find(terraform, [one.mistake])[0] if one.finder == NOTHING else one for one in found]
    return sorted(again, key=lambda one: MISTAKES.index(one.mistake))


def _compatible(mistakes: Iterable[Mistake]) -> list[list[Mistake]]:
    """Groups in which no place is named twice."""
    groups: list[list[Mistake]] = []
    for mistake in mistakes:
        for group in groups:
            if len(group) < _TOGETHER and mistake.place not in {one.place for one in group}:
                group.append(mistake)
                break
        else:
            groups.append([mistake])
    return groups


def _find(terraform: Terraform, mistakes: Sequence[Mistake]) -> list[Finding]:
    """Plant mistakes of one finder, and look for the sentence that each must have."""
    with copied(FOLDER) as copy:
        for mistake in mistakes:
            mistake.plant(copy)
        look = _test if mistakes[0].by == TEST else _plan
        said = look(copy, terraform)
    return [
        Finding(mistake, next((sentence for sentence in said if re.search(mistake.found, sentence)), ""))
        for mistake in mistakes
    ]


def _plan(copy: Path, terraform: Terraform) -> list[str]:
    step = terraform.plan_in(copy, json.loads(EXAMPLE.read_text()))
    if not step.good:
        return _errors(step.output)
    plan = terraform.shown(copy)
    others = all_grants(plan) ^ read_access_table(README.read_text())
    return [*complaints(plan), *(" ".join(grant) for grant in sorted(others))]


def _test(copy: Path, terraform: Terraform) -> list[str]:
    terraform.run("init", "-backend=false", "-input=false", "-no-color", folder=copy)
    step = terraform.run("test", "-no-color", folder=copy)
    return [] if step.good else _errors(step.output)


def _errors(output: str) -> list[str]:
    return [line.removeprefix("Error: ").strip() for line in output.splitlines() if line.startswith("Error: ")]


def report(findings: Sequence[Finding]) -> str:
    lines = [f"{one.finder:8} {one.mistake.name:46} {one.said}"[:160] for one in findings]
    caught = sum(one.finder != NOTHING for one in findings)
    return "\n".join([*lines, f"{caught} of {len(findings)} mistakes were found"])


def main() -> None:
    gate = Path(os.environ.get("TERRAFORM_GATE", ""))
    if gate.name:
        with with_gate(gate, gate / SCHEMAS[-1]) as terraform:
            findings = find_all(terraform)
    elif real := with_provider():
        findings = find_all(real)
    else:
        sys.exit("there is neither a provider nor a gate: set TERRAFORM_GATE")
    print(report(findings))


if __name__ == "__main__":
    main()

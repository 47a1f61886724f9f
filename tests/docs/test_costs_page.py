"""`docs/costs.md` says what the command says. `python -m tests.docs.test_costs_page` writes its tables anew."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from runner.cli.app import app

PAGE = Path(__file__).parents[2] / "docs" / "costs.md"
BLOCK = re.compile(r"<!-- (tron [^\n]+) -->\n(.*?)<!-- end -->", re.DOTALL)


def said(command: str) -> str:
    done = CliRunner().invoke(app, shlex.split(command)[1:], env={"TRON_HOME": "nowhere"})
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.mark.parametrize(("command", "shown"), BLOCK.findall(PAGE.read_text()))
def test_the_tables_of_the_page_are_what_the_command_prints(command: str, shown: str) -> None:
    assert shown == f"\n{said(command)}\n", "run `python -m tests.docs.test_costs_page`"


def test_the_page_has_a_bill_for_a_million_and_for_ten_million_records_a_day() -> None:
    commands = [command for command, _ in BLOCK.findall(PAGE.read_text())]

    assert ["1M records/day" in command for command in commands] == [True, False]
    assert "10M records/day" in commands[1]


def main() -> None:
    text = BLOCK.sub(lambda block: f"<!-- {block[1]} -->\n\n{said(block[1])}\n<!-- end -->", PAGE.read_text())
    PAGE.write_text(text)


if __name__ == "__main__":
    main()

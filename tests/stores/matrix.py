"""The conformance matrix: how many tests of `test_conformance.py` each backend of each protocol passed.

Any run that holds such tests ends with it, on however many workers it ran.
"""

from __future__ import annotations

from collections import Counter

import pytest

PROTOCOLS = {"live": "LiveStore", "archive": "Archive", "stream": "Stream", "warehouse": "Warehouse"}
"""By the fixture that gives a test one of its backends."""
OUTCOMES = ("passed", "failed", "error", "skipped")
_SUITE = "test_conformance.py"
_CELL = "conformance"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Note on each test which backend it is about; notes reach the process that prints, wherever the test runs."""
    for item in items:
        parameters = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
        for fixture in PROTOCOLS.keys() & parameters.keys() if item.path.name == _SUITE else ():
            item.user_properties.append((_CELL, f"{fixture} {parameters[fixture]}"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    cells = count({outcome: terminalreporter.stats.get(outcome, []) for outcome in OUTCOMES})
    if cells:
        terminalreporter.section("conformance of the stores")
        for line in table(cells):
            terminalreporter.write_line(line)


def count(reports: dict[str, list[pytest.TestReport]]) -> dict[str, Counter[str]]:
    """How often each outcome came, by fixture and backend."""
    cells: dict[str, Counter[str]] = {}
    for outcome, found in reports.items():
        for report in found:
            for name, cell in getattr(report, "user_properties", ()):
                if name == _CELL:
                    cells.setdefault(str(cell), Counter())[outcome] += 1
    return cells


def table(cells: dict[str, Counter[str]]) -> list[str]:
    """A backend a line, those of a protocol together."""
    rows = [("protocol", "backend", *OUTCOMES)]
    for fixture, protocol in PROTOCOLS.items():
        for cell, outcomes in sorted(cells.items()):
            if cell.startswith(f"{fixture} "):
                counts = (str(outcomes[outcome] or "-") for outcome in OUTCOMES)
                rows.append((protocol, cell.partition(" ")[2], *counts))
    return ["{:<10} {:<10} {:>7} {:>7} {:>7} {:>7}".format(*row) for row in rows]

"""How the code reads: what a newcomer may count on in every module."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

Sources = Mapping[Path, ast.Module]

LONGEST_FILE = 400
LONGEST_FUNCTION = 60
NAMES_WE_DO_WITHOUT = re.compile(r"manager|helper|utils?(_|$)|service|processor", re.IGNORECASE)
DOCUMENTED_NAMES = {"LogLifecycleManager", "lifecycle_manager", "trade_manager", "TradeManager"}
NAMES_SHARED_WITH_THE_STANDARD_LIBRARY = {"runner/logging", "runner/market/calendar"}
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX)\b|NotImplementedError|pragma: no cover|type: ignore(?!\[)|noqa(?!: )")

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def definitions(sources: Sources) -> Iterator[tuple[Path, Definition]]:
    for path, tree in sources.items():
        yield from ((path, node) for node in ast.walk(tree) if isinstance(node, Definition))


def test_every_module_says_what_it_is_for(sources: Sources) -> None:
    assert [str(path) for path, tree in sources.items() if not ast.get_docstring(tree)] == []


def test_a_file_is_short_enough_to_read(root: Path, sources: Sources) -> None:
    lengths = {str(path): len((root / path).read_text().splitlines()) for path in sources}

    assert {path: lines for path, lines in lengths.items() if lines > LONGEST_FILE} == {}


def test_a_function_fits_on_a_screen(sources: Sources) -> None:
    functions = [(path, node) for path, node in definitions(sources) if not isinstance(node, ast.ClassDef)]
    lengths = {f"{path}:{node.name}": (node.end_lineno or 0) - node.lineno + 1 for path, node in functions}

    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_FUNCTION} == {}


def test_names_say_what_a_thing_is_and_not_that_it_helps(sources: Sources) -> None:
    names = {part.removesuffix(".py") for path in sources for part in path.parts}
    names |= {node.name for _, node in definitions(sources)}

    assert {name for name in names - DOCUMENTED_NAMES if NAMES_WE_DO_WITHOUT.search(name)} == set()


def test_only_the_command_line_prints(sources: Sources) -> None:
    calls = [(path, node) for path, tree in sources.items() for node in ast.walk(tree) if isinstance(node, ast.Call)]
    printing = {str(path) for path, call in calls if isinstance(call.func, ast.Name) and call.func.id == "print"}

    assert {path for path in printing if not path.startswith("runner/cli")} == set()


def test_only_known_names_are_shared_with_the_standard_library(sources: Sources) -> None:
    modules = {path.parent if path.name == "__init__.py" else path.with_suffix("") for path in sources}
    shared = {str(module) for module in modules if module.name in sys.stdlib_module_names}

    assert shared <= NAMES_SHARED_WITH_THE_STANDARD_LIBRARY


def test_nothing_is_left_unfinished_or_silenced_without_saying_what(root: Path, sources: Sources) -> None:
    lines = [(path, line) for path in sources for line in (root / path).read_text().splitlines()]

    assert [(str(path), line) for path, line in lines if UNFINISHED.search(line)] == []


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("x = 1  # type: ignore[attr-defined]", False),
        ("x = 1  # type: ignore", True),
        ("raise NotImplementedError", True),
    ],
)
def test_the_search_for_unfinished_work_finds_it(line: str, found: bool) -> None:
    assert bool(UNFINISHED.search(line)) is found

"""A function that is killed at any moment and called again leaves what one clean run leaves."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from runner.logging.retention import VERSIONS
from runner.settings import Settings
from tests.functions import past
from tests.functions.killing import KILLS, kill_and_call_again, victim
from tests.functions.past import State

pytestmark = [pytest.mark.crash, pytest.mark.slow]


@dataclass(frozen=True, slots=True)
class Killed:
    """What a clean run left and said, and what was left after each kill."""

    before: State
    clean: State
    said: dict[str, Any]
    ends: list[State]
    settings: Settings


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("template") / "home"
    past.make(Settings(home=home))
    return home


def kill(target: str, template: Path, folder: Path, body: dict[str, Any]) -> Killed:
    settings = Settings(home=folder / "killed" / "home")

    def reset() -> None:
        past.restore(template, settings.home)

    with victim(target, folder, {"TRON_HOME": str(settings.home)}) as found:
        reset()
        before = past.look(settings)
        found.alive()
        began = time.monotonic()
        said = found.call_until_done(body).said
        seconds = time.monotonic() - began
        clean = past.look(settings)
        ends = kill_and_call_again(found, body, seconds, reset, lambda: past.look(settings))
    return Killed(before, clean, said, ends, settings)


def test_a_cleanup(template: Path, tmp_path: Path) -> None:
    killed = kill("daily_cleanup", template, tmp_path, {})
    assert killed.said["report"]["documents"] == past.EXPIRED
    assert killed.said["report"]["versions"] == past.VERSIONS - VERSIONS
    assert killed.clean.documents["live_alerts"] == past.ALIVE
    assert len(killed.clean.journal) < len(killed.before.journal)
    assert killed.ends == [killed.clean] * KILLS
    assert past.is_proven(killed.settings)


def test_a_cost_report(template: Path, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    past.restore(template, settings.home)
    before = past.look(settings)
    with victim("cost_report", tmp_path, {"TRON_HOME": str(settings.home)}) as found:
        body = {"month": f"{past.BEGAN:%Y-%m}"}
        said = [found.call_until_done(body).said]
        ends = kill_and_call_again(found, body, said[0]["seconds"], lambda: None, lambda: past.look(settings))
        said.append(found.call_until_done(body).said)
    clean, again = ({**one["report"], "as_of": ""} for one in said)
    assert clean["kept"]
    assert (clean["kept"], clean["naive"], clean["lines"]) == (again["kept"], again["naive"], again["lines"])
    assert ends == [before] * KILLS


def test_a_compaction(template: Path, tmp_path: Path) -> None:
    killed = kill("compact_archive", template, tmp_path, {})
    assert killed.said["report"]["deleted"] > 50
    assert killed.ends == [killed.clean] * KILLS
    assert past.is_proven(killed.settings)


def test_an_export(template: Path, tmp_path: Path) -> None:
    killed = kill("bigquery_export", template, tmp_path, {})
    total, different = (sum(counts) for counts in zip(*killed.clean.records.values(), strict=True))
    assert killed.said["report"]["records"] == total == different > 400
    assert killed.ends == [killed.clean] * KILLS

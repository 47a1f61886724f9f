"""`tron export`: fills the tables, tells what is set aside, makes CSV of trades, and refuses what makes no sense."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli import evidence
from tests.cli.terminal import ROOT, Tron

Ran = tuple[Tron, str]
REFUSED: dict[str, tuple[tuple[str, ...], str]] = {
    "a day in the future": (("--since", "2999-01-01"), "in the future"),
    "ten years": (("--since", "2010-01-01", "--until", "2020-01-01"), "at most"),
    "two things at once": (("--status", "--tax", "2012"), "exclude each other"),
    "a year to come": (("--tax", "2999"), "no trades of 2999"),
    "simulated trades": (("--tax", "2012"), "--mode PAPER"),
    "a file that exists": (("--tax", "2012", "--mode", "paper", "--output", "tron.toml"), "exists"),
    "a folder that does not": (("--tax", "2012", "--mode", "paper", "--output", "nowhere/x.csv"), "cannot be written"),
}


@pytest.fixture(scope="module")
def traded(ran: Ran) -> Tron:
    """The home of a run of the sample bars, exported."""
    tron, _ = ran
    tron.succeeds("export")
    return tron


@pytest.fixture
def poisoned(traded: Tron) -> Iterator[Path]:
    """An archive object that is damaged while the test runs, and not in the warehouse."""
    path = next(path for path in evidence.objects(traded.home.path) if path.name.startswith("orders_"))
    content = path.read_bytes()
    parts = traded.home.path / "warehouse" / "orders"
    (part,) = parts.rglob(path.name.removesuffix(".json.gz") + ".parquet")
    part.unlink()
    path.write_bytes(content[:-20])
    yield path
    path.write_bytes(content)
    traded.succeeds("export", "--retry")


def test_a_second_export_moves_nothing(traded: Tron) -> None:
    assert traded.succeeds("export").startswith("0 records loaded from 0 objects; ")
    report = json.loads(traded.succeeds("export", "--json"))
    assert (report["records"], report["set_aside"], report["done"]) == (0, [], True)
    assert report["skipped"] == len(evidence.objects(traded.home.path))


def test_a_range_of_days_is_loaded_again_after_it_was_lost(traded: Tron) -> None:
    for part in (traded.home.path / "warehouse" / "trades").rglob("*.parquet"):
        part.unlink()
    assert (
        json.loads(traded.succeeds("export", "--since", "2020-01-01", "--until", "2020-01-31", "--json"))["objects"]
        == 0
    )
    (day,) = {"-".join(path.parts[-5:-2]) for path in evidence.objects(traded.home.path) if "trades_" in path.name}
    report = json.loads(traded.succeeds("export", "--since", day, "--json"))
    assert report["records"] > 0
    assert report["days"] == [day]
    evidence.assert_each_once(traded.home.path)


def test_a_damaged_object_is_set_aside_shown_and_loaded_when_it_is_whole_again(traded: Tron, poisoned: Path) -> None:
    done = traded("export")
    assert done.returncode == 1
    assert "not loaded: trade-logs/logs/" in done.stdout
    assert poisoned.name in done.stdout
    assert traded("export").returncode == 0
    said = traded.succeeds("export", "--status")
    assert re.search(r"^orders +3 +2 +0 +1 *$", said, re.MULTILINE)
    assert poisoned.name in said
    state = json.loads(traded.succeeds("export", "--status", "--json"))
    assert state["streams"]["orders"] == {"objects": 3, "loaded": 2, "set_aside": 1, "waiting": 0}
    assert "cannot be exported" in traded.succeeds("tail", "--kind", "error")


def test_the_year_of_a_tax_return_is_a_file(traded: Tron) -> None:
    traded.succeeds("export", "--tax", "2012", "--mode", "paper", "--output", "2012.csv")
    rows = list(csv.DictReader(io.StringIO((traded.folder / "2012.csv").read_text())))
    assert {row["disposed"][:4] for row in rows} == {"2012"}
    assert {row["term"] for row in rows} <= {"short", "long"}
    (traded.folder / "2012.csv").unlink()


def test_the_tax_csv_is_alone_on_stdout_and_agrees_with_the_trades(traded: Tron) -> None:
    done = traded("export", "--tax", "2012", "--mode", "paper", "--method", "trade")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert "no tax advice" in done.stderr
    sql = (
        "SELECT count(*) AS n, sum(net_profit_loss) AS p FROM trades WHERE kind = 'trade_exit' AND year(\"at\") = 2012"
    )
    (expected,) = csv.DictReader(io.StringIO(traded.succeeds("query", "--csv", sql)))
    assert len(rows) == int(expected["n"])
    assert sum(float(row["gain"]) for row in rows) == pytest.approx(float(expected["p"]))


def test_summaries_are_written_once(traded: Tron) -> None:
    days = ("--since", "2012-01-01", "--until", "2012-12-31")
    first = json.loads(traded.succeeds("export", "--summaries", *days, "--json"))
    again = json.loads(traded.succeeds("export", "--summaries", *days, "--json"))
    assert first["written"]
    assert (again["written"], again["unchanged"]) == ([], len(first["written"]))
    place = traded.home.path / "archive" / "tron-analytics-data"
    assert all((place / name).exists() for name in first["written"])


def test_performance_by_day_is_told(traded: Tron) -> None:
    days = ("--since", "2012-01-01", "--until", "2012-12-31")
    rows = [json.loads(line) for line in traded.succeeds("export", "--performance", *days, "--json").splitlines()]
    assert {row["day"][:4] for row in rows} == {"2012"}
    assert rows[0]["day"] in traded.succeeds("export", "--performance", *days)


def test_slow_queries_are_shown_without_what_they_asked_for(traded: Tron) -> None:
    traded.write_settings("[warehouse]\nslow_query_seconds = 0.000001\n")
    traded.succeeds("query", "SELECT count(*) AS n FROM trades WHERE symbol = 'hunter2'")
    traded.write_settings("")
    said = traded.succeeds("export", "--slow")
    assert "WHERE symbol = ?" in said
    assert "hunter2" not in said


@pytest.mark.parametrize(("options", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_asked_wrongly_is_refused(traded: Tron, options: tuple[str, ...], words: str) -> None:
    assert words in traded.fails("export", *options)


def test_a_home_that_does_not_exist_is_told_and_not_made(tron: Tron) -> None:
    assert "there is no home" in tron.fails("export")
    assert not tron.home.path.exists()


def test_an_archive_without_records_is_told(tron: Tron) -> None:
    tron.home.create()
    assert "holds no records" in tron.fails("export")
    assert "holds no records" in tron.fails("export", TRON_ARCHIVE=f"file://{tron.folder}/nowhere")


def test_a_range_has_a_progress_bar_on_a_terminal(traded: Tron) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "runner.cli", "export", "--since", "2020-01-01", "--until", "2020-12-31"]
    environ = traded.environ({"TERM": "xterm-256color", "COLUMNS": "120", "PYTHONPATH": str(ROOT)})
    done = subprocess.Popen(
        command, cwd=traded.folder, env=environ, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    said = b""
    try:
        while chunk := os.read(ours, 65536):
            said += chunk
    except OSError:
        pass  # the terminal is gone with the process
    os.close(ours)
    assert done.wait(60) == 0
    assert b"/366" in said
    assert b"0 records loaded" in said

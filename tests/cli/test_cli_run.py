"""`tron run`: the main job from the first bar to the proof."""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path

import pytest

from runner.layout import is_batch_object
from tests.cli import evidence
from tests.cli.terminal import ONCE, Tron, equal_count

Ran = tuple[Tron, str]
FAILS = """
from runner.strategies.base import Strategy

class Fails(Strategy):
    def on_bar(self, bar, position):
        raise ZeroDivisionError("no idea")
"""


def test_a_run_ends_with_three_equal_counts_and_the_proof(ran: Ran) -> None:
    _, output = ran

    assert equal_count(output) > 10_000
    assert "verify: complete" in output


def test_the_summary_tells_what_a_person_wants_to_know(ran: Ran) -> None:
    _, output = ran

    for word in ("12,154 bars", "breakout", "mean-reversion", "vwap", "win rate", "P&L after fees", "max drawdown"):
        assert word in output
    for word in ("coalescing saved", "gzip", "cloud cost", "the naive way", "next:"):
        assert word in output


def test_the_counts_are_those_that_others_count(ran: Ran) -> None:
    tron, output = ran
    home = tron.home.path

    ids = evidence.assert_each_once(home)

    assert evidence.accepted(home) == len(ids)
    assert len([one for one in ids if ":metrics:" not in one]) < equal_count(output) < len(ids)
    assert evidence.journaled_ids(home, evidence.runs(home)) <= ids


def test_objects_have_the_documented_names_and_metadata(ran: Ran) -> None:
    tron, _ = ran
    found = evidence.objects(tron.home.path) + evidence.objects(tron.home.path, compliance=True)

    assert found
    for path in found:
        meta = evidence.metadata(path)
        assert is_batch_object(str(path)[str(path).index("logs/20") :])
        assert path.name.startswith(f"{meta['stream']}_")
        assert f"_{meta['run'][-8:]}-{int(meta['first']):012d}_v1" in path.name
        assert path.parent.name == meta["bot"]
        assert {"run", "bot", "stream", "first", "last", "records", "raw_bytes", "raw_sha256", "prev", "chain"} <= {
            *meta
        }


def test_compliance_copies_hold_the_same_lines(ran: Ran) -> None:
    tron, _ = ran
    copies = [path.name for path in evidence.objects(tron.home.path, compliance=True)]
    streams = {name.split("_")[0] for name in copies}

    assert {"trades", "orders"} <= streams
    assert streams <= {"trades", "orders", "risk", "seals"}


def test_an_object_is_readable_with_zcat(ran: Ran) -> None:
    tron, _ = ran
    path = evidence.objects(tron.home.path)[0]

    lines = subprocess.run(["zcat", str(path)], capture_output=True, check=True).stdout.splitlines()

    assert len(lines) == int(evidence.metadata(path)["records"])


def test_everything_in_the_home_is_private(ran: Ran) -> None:
    tron, _ = ran
    home = tron.home.path
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in [home, *home.rglob("*")]}

    assert {str(path): oct(mode) for path, mode in modes.items() if mode != (0o700 if path.is_dir() else 0o600)} == {}


def test_a_second_run_stands_beside_the_first(tron: Tron) -> None:
    first = equal_count(tron.succeeds(*ONCE, "--symbols", "IBM", "--strategy", "breakout"))
    tron.rest()
    before = evidence.assert_each_once(tron.home.path)

    output = tron.succeeds(*ONCE, "--symbols", "IBM", "--strategy", "breakout")
    tron.rest()

    assert equal_count(output) > 0.9 * first
    assert "verify: complete" in output
    assert before < evidence.assert_each_once(tron.home.path)


def test_options_choose_bots_symbols_and_feed(tron: Tron, tmp_path: Path) -> None:
    rows = [f"2024-01-{day:02d},ABC,{day},{day + 1},{day - 0.5},{day},1000" for day in range(1, 31)]
    (tmp_path / "bars.csv").write_text("\n".join(["timestamp,symbol,open,high,low,close,volume", *rows]))

    output = tron.succeeds("run", "--no-dashboard", "--speed", "0", "--feed", "replay:bars.csv", "--strategy", "vwap")

    assert "30 bars" in output
    assert "breakout" not in output
    symbols = {record["data"].get("symbol") for record in evidence.archived(tron.home.path)}
    assert symbols <= {"ABC", None}


def test_shipping_can_be_left_to_others(tron: Tron) -> None:
    output = tron.succeeds(*ONCE, "--symbols", "IBM", "--strategy", "vwap", TRON_SHIPPER="none")
    assert "in the journal only" in output

    assert "everything is shipped" in tron.succeeds("ship")
    assert "verify: complete" in tron.succeeds("verify")
    evidence.assert_each_once(tron.home.path)


def test_the_commands_that_the_summary_names_work_as_they_are(tron: Tron) -> None:
    elsewhere = tron.folder / "else where"
    output = tron.succeeds("--home", str(elsewhere), *ONCE, "--symbols", "IBM", "--strategy", "vwap")
    lines = output.partition("next: ")[2].splitlines()
    commands = [command.strip() for line in lines for command in line.split("   ·   ") if "dashboard" not in command]

    assert len(commands) == 3
    for command in commands:
        done = subprocess.run(
            command, shell=True, cwd=tron.folder, env=tron.environ(), capture_output=True, check=False
        )
        assert done.returncode == 0, f"{command}: {done.stderr.decode()}"
        assert done.stdout


def test_a_halt_is_told_at_the_next_start_with_the_command_that_ends_it(tron: Tron) -> None:
    (tron.folder / "fails.py").write_text(FAILS)
    run = (*ONCE, "--symbols", "IBM", "--strategy", "fails:Fails")
    assert not tron.succeeds(*run).startswith("fails is halted")
    beginning = tron.succeeds(*run).partition("bars 1 of")[0]
    assert "fails is halted: Fails failed: ZeroDivisionError: no idea" in beginning
    assert "resume fails --actor YOU" in beginning

    assert "may trade again" in tron.succeeds("resume", "fails", "--actor", "me", "--reason", "it was a test")

    assert not tron.succeeds(*run).startswith("fails is halted")
    tron.rest()
    (audit,) = [record for record in evidence.archived(tron.home.path) if record["kind"] == "audit"]
    assert audit["actor"] == "me"


@pytest.mark.slow
def test_real_bars_of_nine_months_are_replayed_and_proved(tron: Tron, test_data: Path) -> None:
    bars = test_data / "klines_5m" / "genetrader_BTCUSDT-5m.feather"

    output = tron.succeeds(*ONCE, "--feed", f"replay:{bars}")

    assert "71,769 bars" in output
    assert "verify: complete" in output
    seconds = float(output.partition("bars in ")[2].partition(" s")[0].replace(",", ""))
    print(f"{71_769 / seconds:,.0f} bars/s, {equal_count(output) / seconds:,.0f} records/s")

"""`tron backup` and `tron restore --from`, as an operator runs them."""

from __future__ import annotations

import gzip
import json
import random
import re
import shutil
import time
from pathlib import Path

import pytest

from runner.logging import TradingLogger, backlog, lines
from runner.settings import Settings
from tests.cli.inside import Inside
from tests.cli.terminal import Tron, until


def log(user: Inside, count: int = 20) -> str:
    """A run of its own in the user's home; returns its id."""
    settings = Settings(home=user.home.path, shipping={"shipper": "none"})  # type: ignore[arg-type]
    with TradingLogger(bot="breakout", settings=settings) as logger:
        for number in range(count):
            logger.log_system_event("tick", number=number)
            logger.log_performance_metric("number", number)
        return logger.run


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Inside:
    (tmp_path / "bots").mkdir()
    user = Inside(tmp_path / "bots", monkeypatch, capsys)
    log(user)
    user.succeeds("ship")
    log(user)
    return user


def events(user: Inside) -> list[dict[str, object]]:
    """What backups and drills have put on record."""
    records = [lines.decode(line) for line in backlog.newest(user.home, 0)]
    return [record for record in records if record["bot"] == "backup" and record["kind"] != "seal"]


def test_a_home_that_is_lost_comes_back_and_is_proven(user: Inside) -> None:
    said = user.succeeds("backup", "--to", "kept")
    assert said.startswith("backup 20")
    shutil.rmtree(user.home.path)

    restored = user.succeeds("restore", "--from", "newest", "--to", "kept")

    assert "next: `tron verify`" in restored
    assert "verify: complete" in user.succeeds("verify")
    user.succeeds("ship")
    assert "verify: complete" in user.succeeds("verify")
    assert (
        user.succeeds("query", "SELECT count(*) AS n FROM system WHERE bot = 'breakout'", "--csv").splitlines()[1]
        == "40"
    )


def test_the_drill_prints_rto_and_rpo_and_puts_them_on_record(user: Inside) -> None:
    user.succeeds("backup", "--to", "kept")

    said = user.succeeds("backup", "--drill", "--to", "kept")

    assert ": passed (" in said
    assert "\nRTO " in said
    assert "\nRPO " in said
    made, drilled = events(user)
    assert made["data"]["message"] == "backup made"  # type: ignore[index]
    assert (drilled["data"]["message"], drilled["severity"]) == ("restore drill passed", "NOTICE")  # type: ignore[index]
    context = drilled["data"]["context"]  # type: ignore[index]
    assert context["passed"] is True
    assert context["rto_seconds"] > 0
    assert context["rpo_seconds"] > 0


def test_a_drill_of_a_damaged_backup_ends_with_1_names_the_file_and_alerts(user: Inside) -> None:
    user.succeeds("backup", "--to", "kept")
    (piece,) = [
        path for path in (user.folder / "kept" / "tron-backups" / "home" / "pieces").glob("*/*") if is_journal(path)
    ][:1]
    piece.write_bytes(piece.read_bytes()[:-1])

    code, said, _ = user("backup", "--drill", "--to", "kept", "--json")

    assert code == 1
    report = json.loads(said)
    assert report["passed"] is False
    assert report["findings"][0].startswith("journal/")
    *_, failed, error = events(user)
    assert (failed["severity"], error["kind"]) == ("ERROR", "error")


def is_journal(piece: Path) -> bool:
    return gzip.decompress(piece.read_bytes()).startswith(b'{"id":"') and b":seals:" not in gzip.decompress(
        piece.read_bytes()
    )


def test_backups_are_listed_and_rotated_by_the_settings(user: Inside) -> None:
    (user.folder / "tron.toml").write_text('[backup]\nto = "kept"\ndaily = 1\nweekly = 0\nmonthly = 0\n')
    assert "no backup" in user.succeeds("backup", "--list")
    first = json.loads(user.succeeds("backup", "--json"))
    time.sleep(1.1)  # backups of one second have no order
    second = json.loads(user.succeeds("backup", "--rotate", "--json").splitlines()[0])

    listed = json.loads(user.succeeds("backup", "--list", "--json"))

    assert first["backup"] != second["backup"]
    assert [row["backup"] for row in listed] == [second["backup"]]
    assert second["backup"] in user.succeeds("backup", "--list")


def test_restoring_beside_leaves_the_home_alone(user: Inside) -> None:
    said = json.loads(user.succeeds("backup", "--to", "kept", "--json"))
    before = sorted(path.name for path in user.home.path.iterdir())

    user.succeeds("restore", "--from", str(said["backup"])[:20], "--to", "kept", "--into", "again")

    assert sorted(path.name for path in user.home.path.iterdir()) == before
    assert "verify: complete" in user.succeeds("--home", "again", "verify")


def test_a_home_with_records_is_set_aside_only_by_force(user: Inside) -> None:
    user.succeeds("backup", "--to", "kept")

    assert "has records" in user.fails("restore", "--from", "newest", "--to", "kept")
    said = user.succeeds("restore", "--from", "newest", "--to", "kept", "--force")

    assert f"what was there is now {user.home.path}.old-1" in said
    assert "verify: complete" in user.succeeds("verify")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["backup"], "nobody says where backups go"),
        (["backup", "--to", "ftp://x"], "ftp://x is no place for backups"),
        (["backup", "--to", "memory://"], "is no place for backups"),
        (["backup", "--to", "home/inside"], "lies in the home"),
        (["backup", "--to", "kept", "--drill"], "there is no backup in the set 'home'"),
        (["backup", "--to", "kept", "--name", "../up"], "is no name of a set"),
        (["restore", "--from", "newest", "--to", "kept"], "there is no backup in the set 'home'"),
        (["restore", "--from", "newest", "--live", "--to", "kept"], "--from restores a whole home"),
        (["restore", "--into", "x"], "go with --from"),
        (["restore"], "nothing is to be restored"),
    ],
)
def test_what_is_asked_wrongly_is_told_with_a_hint(user: Inside, arguments: list[str], told: str) -> None:
    assert told in user.fails(*arguments)


def test_the_logs_by_topic_are_written_by_tail(user: Inside) -> None:
    said = user.succeeds("tail", "--topics", "logs")
    again = user.succeeds("tail", "--topics", "logs")

    assert said.startswith("8")
    assert again.startswith("0 lines")
    assert (user.folder / "logs" / "app").is_dir()
    assert "--topics writes every record" in user.fails("tail", "--topics", "logs", "--kind", "error")


def test_the_commands_of_the_page_about_backups_work_in_order(user: Inside) -> None:
    page = (Path(__file__).parents[2] / "docs" / "backup.md").read_text()
    blocks = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    commands = [line.split()[1:] for block in blocks for line in block.splitlines() if line.startswith("tron ")]
    (user.folder / "printed.json").write_text("[]")

    for command in commands:
        user.succeeds(*command)

    assert [command[0] for command in commands] == ["backup", "backup", "backup", "restore", "recover"]


def test_a_backup_that_is_killed_is_none_and_the_next_one_is_whole(user: Inside, tron: Tron) -> None:
    shutil.move(user.home.path, tron.home.path)
    (tron.home.path / "models").mkdir()
    (tron.home.path / "models" / "large.bin").write_bytes(random.Random(1).randbytes(24 << 20))
    process = tron.start("backup", "--to", "kept", TRON_SHIPPER="none")
    until(lambda: any((tron.folder / "kept").glob("tron-backups/home/pieces/*/*")))
    process.kill()
    process.communicate()

    assert "no backup" in tron.succeeds("backup", "--to", "kept", "--list")
    tron.succeeds("backup", "--to", "kept", TRON_SHIPPER="none")
    assert ": passed (" in tron.succeeds("backup", "--to", "kept", "--drill", TRON_SHIPPER="none")

"""`tron tail`, `search`, `query`, `verify`, `doctor`, `ship`: on the home of a run, after it and while it goes on."""

from __future__ import annotations

import csv
import io
import json
import signal

import pytest

from runner.logging import disk
from runner.logging.disk import FileLock
from tests.cli import evidence
from tests.cli.terminal import ONCE, Tron, end, until

Ran = tuple[Tron, str]
PACED = ("run", "--no-dashboard", "--speed", "200", "--strategy", "vwap")


def test_tail_shows_the_newest_records(ran: Ran) -> None:
    tron, _ = ran

    assert len(tron.succeeds("tail", "-n", "7").splitlines()) == 7
    newest = [json.loads(line) for line in tron.succeeds("tail", "--json", "--bot", "vwap").splitlines()]
    assert len(newest) == 20
    assert {record["bot"] for record in newest} == {"vwap"}
    assert [record["seq"] for record in newest] == sorted(record["seq"] for record in newest)


def test_tail_of_one_kind_shows_only_it(ran: Ran) -> None:
    tron, _ = ran

    kinds = {json.loads(line)["kind"] for line in tron.succeeds("tail", "--json", "--kind", "trade_exit").splitlines()}

    assert kinds == {"trade_exit"}


def test_search_finds_a_trade_by_its_id(ran: Ran) -> None:
    tron, _ = ran
    trade = next(record for record in evidence.archived(tron.home.path) if record["kind"] == "trade_exit")
    name = trade["data"]["trade_id"]

    found = [json.loads(line) for line in tron.succeeds("search", name.lower(), "--json").splitlines()]

    assert trade["id"] in [record["id"] for record in found]
    assert all(name in json.dumps(record["data"]) for record in found)


def test_search_says_so_when_nothing_is_found(ran: Ran) -> None:
    tron, _ = ran

    assert tron.succeeds("search", "no such text anywhere") == "no record contains 'no such text anywhere'\n"


@pytest.mark.parametrize("text", ["", "  "])
def test_search_for_nothing_is_refused(ran: Ran, text: str) -> None:
    assert "nothing to look for" in ran[0].fails("search", text)


def test_query_answers_in_a_table_in_json_and_in_csv(ran: Ran) -> None:
    tron, _ = ran
    sql = "SELECT bot, count(*) AS trades FROM trades WHERE kind = 'trade_exit' GROUP BY bot ORDER BY bot"

    assert "3 rows" in tron.succeeds("query", sql)
    rows = [json.loads(line) for line in tron.succeeds("query", sql, "--json").splitlines()]
    assert [row["bot"] for row in rows] == ["breakout", "mean-reversion", "vwap"]
    table = list(csv.DictReader(io.StringIO(tron.succeeds("query", sql, "--csv"))))
    assert [int(row["trades"]) for row in table] == [row["trades"] for row in rows]


def test_the_query_of_the_summary_answers(ran: Ran) -> None:
    tron, output = ran
    sql = output.partition('query "')[2].partition('"')[0]

    trades = {row["bot"]: row["trades"] for row in map(json.loads, tron.succeeds("query", sql, "--json").splitlines())}

    assert {bot: f"{bot} {count}" for bot, count in trades.items()} == {
        bot: " ".join(line.split()[:2])
        for line in output.splitlines()
        for bot in trades
        if line.strip().startswith(bot)
    }


@pytest.mark.parametrize(
    "sql", ["selec", "DELETE FROM records", "SELECT 1; SELECT 2", "COPY (SELECT 1) TO 'stolen.csv'", "", "SELECT nope"]
)
def test_sql_that_is_broken_or_does_more_than_read_is_refused(ran: Ran, sql: str) -> None:
    tron, _ = ran

    tron.fails("query", sql)

    assert not (tron.folder / "stolen.csv").exists()


def test_verify_names_an_edited_object(tron: Tron) -> None:
    tron.succeeds(*ONCE, "--symbols", "IBM", "--strategy", "vwap")
    tron.rest()
    victim = next(path for path in evidence.objects(tron.home.path) if path.name.startswith("trades"))
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 1
    victim.write_bytes(content)

    done = tron("verify")

    assert done.returncode == 1
    assert victim.name in done.stdout
    assert "NOT complete" in done.stdout
    assert not json.loads(tron("verify", "--json").stdout)["complete"]


def test_doctor_is_content_after_a_run(ran: Ran) -> None:
    checks = [json.loads(line) for line in ran[0].succeeds("doctor", "--json").splitlines()]

    assert all(check["good"] for check in checks)
    assert {"home", "journal", "shipper", "live store", "archive", "warehouse"} <= {check["name"] for check in checks}


def test_ship_has_nothing_to_do_after_a_run_and_leaves_nothing_behind(tron: Tron) -> None:
    tron.succeeds(*ONCE, "--symbols", "IBM", "--strategy", "vwap")
    tron.rest()
    before, folders = evidence.assert_each_once(tron.home.path), len(list(tron.home.journal.iterdir()))

    assert tron.succeeds("ship") == "everything is shipped\n"

    assert evidence.assert_each_once(tron.home.path) == before
    assert len(list(tron.home.journal.iterdir())) <= folders


def test_everything_can_be_asked_while_a_run_goes_on(tron: Tron) -> None:
    process = tron.start(*PACED)
    try:
        until(lambda: disk.is_locked(tron.home.shipper_lock))
        first = _count(tron)
        until(lambda: _count(tron) > first)
        assert tron.succeeds("tail")
        assert "vwap" in tron.succeeds("search", "started")
        assert "verify: complete" in tron.succeeds("verify")
        assert "1 bots live" in tron.succeeds("doctor")
        assert process.poll() is None
    finally:
        process.send_signal(signal.SIGINT)
        assert "verify: complete" in end(process)


def test_tail_follows_a_run_record_by_record(tron: Tron) -> None:
    tron.succeeds(*ONCE, "--symbols", "IBM", "--strategy", "vwap")
    tron.rest()
    before = evidence.assert_each_once(tron.home.path)
    follower = tron.start("tail", "--follow", "--json", "-n", "1")
    assert follower.stdout
    try:
        assert json.loads(follower.stdout.readline())["id"] in before
        tron.succeeds(*ONCE, "--symbols", "IBM", "--strategy", "breakout")
        tron.rest()
        wanted = evidence.assert_each_once(tron.home.path) - before
        seen: list[str] = []
        while not wanted <= set(seen):
            seen.append(json.loads(follower.stdout.readline())["id"])
        later = evidence.assert_each_once(tron.home.path) - before - wanted  # what the shipper's own run adds meanwhile
        assert sorted(set(seen) - later) == sorted(wanted)
        assert len(seen) == len(set(seen))
    finally:
        follower.send_signal(signal.SIGINT)
        follower.communicate()


def test_a_second_shipper_waits_says_so_and_harms_nothing(tron: Tron) -> None:
    tron.succeeds(*ONCE, "--symbols", "IBM", "--strategy", "vwap")
    tron.rest()
    first = FileLock(tron.home.shipper_lock)
    assert first.acquire()
    second = tron.start("ship")
    assert second.stdout
    try:
        assert second.stdout.readline() == "another shipper works on this home: waiting for it to finish\n"
        assert second.poll() is None
    finally:
        first.release()
    assert end(second) == "everything is shipped\n"
    evidence.assert_each_once(tron.home.path)


def _count(tron: Tron) -> int:
    return int(json.loads(tron.succeeds("query", "SELECT count(*) AS n FROM records", "--json"))["n"])

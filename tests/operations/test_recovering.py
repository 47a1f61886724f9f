"""What a shipper printed before it had to end is archived afterwards, once, and the proof is complete again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from runner.clock import ManualClock
from runner.layout import Home
from runner.logging import lines
from runner.logging.audit import Auditor
from runner.logging.entries import FoundRecord, RefusedRecord, read_entries
from runner.logging.follower import Journals
from runner.logging.gcs_logger import GCSLogger
from runner.logging.leftovers import cloud_entry, left_lines
from runner.logging.log_types import Kind
from runner.operations.recovering import RecoverReport, recover_records
from runner.stores.memory import MemoryArchive, MemoryLiveStore
from tests.logging.journeys import START, Fleet, PlainWriter, RecordingStream, archived_lines, ship_all


class Lost:
    """A machine whose archive could not be reached at the end: what was left was printed, and the home is gone."""

    def __init__(self, home: Home, *, copies_behind: bool = True) -> None:
        self.home, self.clock, self.archive = home, ManualClock(START), MemoryArchive()
        self.fleet = Fleet(home, self.clock, MemoryLiveStore(clock=self.clock), self.archive, RecordingStream())
        self.writer = PlainWriter(home, self.clock)
        for number in range(10):
            self.writer.trade(number)
            self.writer.write(Kind.ORDER, {"order_id": f"o{number}", "symbol": "AAPL"})
        self.writer.seal()
        archive_follower, compliance = (one for one in self.fleet.build() if isinstance(one, GCSLogger))
        ship_all([compliance])
        for number in range(10, 15):
            self.writer.trade(number)
        ship_all([archive_follower] if copies_behind else [archive_follower, compliance])
        for number in range(15, 20):
            self.writer.trade(number)
            self.writer.write(Kind.ORDER, {"order_id": f"o{number}", "symbol": "AAPL"})
        self.printed = [cloud_entry(line) for line in left_lines(Journals(home, self.clock), archive_follower)]
        self.writer.die()
        self.journal = home.path.with_name("journal-of-before")
        shutil.move(home.journal, self.journal)
        home.create()

    def recover(self, entries: list[str] | None = None, **options: bool) -> RecoverReport:
        text = "\n".join(self.printed if entries is None else entries).encode()
        return recover_records(read_entries(text), self.archive, self.home, **options)

    def verify(self) -> list[str]:
        report = Auditor(self.archive, self.home, clock=self.clock).verify()
        return [str(finding) for finding in report.findings]


@pytest.fixture
def lost(home: Home) -> Lost:
    return Lost(home)


@pytest.mark.parametrize("copies_behind", [True, False])
def test_what_was_printed_is_archived_in_order_and_the_copies_are_completed(home: Home, copies_behind: bool) -> None:
    lost = Lost(home, copies_behind=copies_behind)

    report = lost.recover()

    assert (report.recovered, report.known, report.complete) == (15, 0, True)
    for name in ("trades", "orders"):
        written = b"".join(lost.writer.lines[name])
        assert archived_lines(lost.archive)[lost.writer.run][name] == written
        assert archived_lines(lost.archive, compliance=True)[lost.writer.run][name] == written
    assert lost.verify() == []


def test_recovering_again_changes_nothing(lost: Lost) -> None:
    lost.recover()
    before = [info for bucket in ("trade-logs", "compliance-logs") for info in lost.archive.list(bucket)]

    report = lost.recover()

    assert (report.recovered, report.known, report.copies, report.complete) == (0, 15, 0, True)
    assert [info for bucket in ("trade-logs", "compliance-logs") for info in lost.archive.list(bucket)] == before


def test_entries_in_any_order_and_twice_are_archived_once(lost: Lost) -> None:
    report = lost.recover([*reversed(lost.printed), *lost.printed[:4]])

    assert (report.recovered, report.doubles, report.complete) == (15, 4, True)
    assert lost.verify() == []


def exported(entry: str, **more: Any) -> str:
    """As Cloud Logging exports what it read from a container's stdout."""
    payload = json.loads(entry)
    labels = payload.pop("logging.googleapis.com/labels")
    time = payload.pop("time")
    severity = payload.pop("severity")
    return json.dumps(
        {
            "insertId": "6740a",
            "jsonPayload": payload,
            "labels": labels,
            "logName": "projects/acme/logs/run.googleapis.com%2Fstdout",
            "receiveTimestamp": "2030-06-03T14:31:00Z",
            "resource": {"type": "cloud_run_worker_pool"},
            "severity": severity,
            "timestamp": time,
            **more,
        }
    )


def test_an_export_of_cloud_logging_is_read_line_by_line_as_an_array_and_as_text(lost: Lost) -> None:
    entries = [exported(entry) for entry in lost.printed]
    array = "[" + ",\n".join(entries) + "]"
    text = [json.dumps({"textPayload": entry, "severity": "INFO"}) for entry in lost.printed]
    raw = [json.loads(entry)["record"].rstrip("\n") for entry in lost.printed]

    found = [list(read_entries(one.encode())) for one in ("\n".join(entries), array, "\n".join(text), "\n".join(raw))]

    assert all(len(one) == 15 for one in found)
    assert all([record.line for record in one] == [record.line for record in found[0]] for one in found)  # type: ignore[union-attr]
    assert lost.recover([array]).recovered == 15
    assert lost.verify() == []


def test_other_output_between_the_entries_is_passed_by(lost: Lost) -> None:
    noise = ["shipper: archive: the store cannot be reached", "", "{}", "17", '{"severity":"INFO","message":"hello"}']
    mixed = [line for entry in lost.printed for line in (*noise, entry)]

    assert lost.recover(mixed).recovered == 15


@pytest.mark.parametrize("damage", ["content", "cut off"])
def test_a_damaged_entry_is_refused_with_its_number_and_what_is_behind_it_waits(lost: Lost, damage: str) -> None:
    entries = list(lost.printed)
    trades = [number for number, entry in enumerate(entries) if ":trades:" in entry]
    third = trades[2]
    whole = entries[third]
    entries[third] = whole.replace("100.5", "999.5") if damage == "content" else whole[: len(whole) // 2]

    report = lost.recover(entries)

    assert report.refused[0].startswith(f"entry {third + 1}: ")
    assert report.recovered == 2 + 5
    assert report.held_back == len(trades) - 3
    assert "nowhere" in report.gaps[0]
    assert lost.verify() == []

    assert lost.recover().recovered == len(trades) - 2
    assert lost.verify() == []


def test_with_gaps_what_is_behind_one_is_archived_and_verify_names_the_gap(lost: Lost) -> None:
    trades = [entry for entry in lost.printed if ":trades:" in entry]
    report = lost.recover([*trades[:2], *trades[3:]], with_gaps=True)

    assert (report.recovered, report.held_back) == (len(trades) - 1, 0)
    assert len(report.gaps) == 1
    assert [finding.split(":")[0] for finding in lost.verify() if "compliance" not in finding] == ["gap"]


def test_two_entries_of_one_id_that_differ_are_both_refused(lost: Lost) -> None:
    first = json.loads(lost.printed[0])
    line = first["record"].encode()
    other = lines.seal(line[: -lines.TRAILER].replace(b"100.5", b"999.5"))
    assert lines.is_intact(other)

    report = lost.recover([*lost.printed, json.dumps({"record": other.decode()})])

    assert report.refused == ["entry 16: differs from entry 1 of the same id"]
    assert report.recovered == 5


def test_a_run_that_is_still_in_the_journal_is_left_to_its_shipper(lost: Lost) -> None:
    shutil.rmtree(lost.home.journal)
    shutil.move(lost.journal, lost.home.journal)

    report = lost.recover()

    assert (report.recovered, report.journaled, report.complete) == (0, 15, True)
    ship_all(lost.fleet.build())
    assert lost.verify() == []


@pytest.mark.parametrize("recovered", [15, 4])
def test_a_shipper_that_was_alive_all_the_time_takes_over_what_was_recovered(lost: Lost, recovered: int) -> None:
    assert lost.recover(lost.printed[:recovered]).recovered == recovered
    shutil.rmtree(lost.home.journal)
    shutil.move(lost.journal, lost.home.journal)

    ship_all(lost.fleet.build())

    assert [trouble for trouble in lost.fleet.troubles if "exists" in str(trouble.error)] == []
    assert archived_lines(lost.archive)[lost.writer.run]["trades"] == b"".join(lost.writer.lines["trades"])
    assert lost.verify() == []


def test_a_run_that_nobody_has_registered_is_registered(home: Home) -> None:
    archive, clock = MemoryArchive(), ManualClock(START)
    writer = PlainWriter(home, clock)
    writer.trade(0)
    writer.die()
    entries = "\n".join(cloud_entry(line) for line in writer.lines["trades"]).encode()
    shutil.rmtree(writer.folder)

    recover_records(read_entries(entries), archive, home)

    assert Auditor(archive, home, clock=clock).verify().complete
    assert [info.name.rpartition("/")[2] for info in archive.list("compliance-logs", "registry/")] == [
        f"{writer.run}.json"
    ]


@pytest.mark.parametrize(
    "text", ["", "[]", "[", "[1, 2, {}]", "null", "{", '{"record": 5}', '{"jsonPayload": {"record": null}}', "\x00\xff"]
)
def test_what_holds_no_record_is_no_error(text: str, tmp_path: Path) -> None:
    found = list(read_entries(text.encode("latin-1")))

    assert not any(isinstance(one, FoundRecord) for one in found)
    assert len([one for one in found if isinstance(one, RefusedRecord)]) == (text == "[")


@pytest.mark.parametrize(
    "record", ["../../etc:trades:000000000000", "01bbf1cf-326e-764d-b7e2-43be0730565d:nothing:000000000000", ""]
)
def test_a_record_without_an_id_of_ours_is_refused(record: str) -> None:
    line = lines.seal(b'{"id":"%s","seq":0,"data":{}' % record.encode())

    (found,) = read_entries(json.dumps({"record": line.decode()}).encode())
    assert isinstance(found, RefusedRecord)

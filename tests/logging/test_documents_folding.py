"""Documents that wait for their store are the fold of their records, whatever order runs are read in."""

from __future__ import annotations

from runner.clock import ManualClock
from runner.layout import Home
from runner.logging import documents, lines
from runner.logging.log_types import Kind
from runner.stores.memory import MemoryLiveStore
from tests.logging.journeys import START, PlainWriter


def test_an_older_run_never_replaces_the_waiting_state_of_a_newer_one(home: Home) -> None:
    clock = ManualClock(START)
    old, new = PlainWriter(home, clock, epoch=1), PlainWriter(home, clock, epoch=2)
    for writer, status in ((old, "old"), (new, "new")):
        writer.write(Kind.HEARTBEAT, {"status": status})
    folding = documents.Folding(lambda collection, key: None)

    assert folding.add(lines.decode(new.lines["system"][0]), 2)
    assert not folding.add(lines.decode(old.lines["system"][0]), 1)

    assert [document.fields["status"] for document in folding.pending.values()] == ["new"]
    old.close()
    new.close()


def test_an_exit_whose_entry_was_written_before_keeps_how_the_trade_was_entered(home: Home) -> None:
    writer = PlainWriter(home, ManualClock(START))
    writer.trade(1)
    entry, leaving = map(lines.decode, writer.lines["trades"])
    live = MemoryLiveStore()
    folding = documents.Folding(live.get)

    folding.add(entry, 1)
    live.commit(list(folding.pending.values()))
    folding.clear()
    folding.add(leaving, 1)

    (document,) = folding.pending.values()
    assert (document.fields["status"], document.fields["side"]) == ("closed", "BUY")
    assert (document.fields["entry_price"], document.fields["exit_price"]) == ("100.5", "102")
    writer.close()


def test_records_that_no_document_shows_change_nothing(home: Home) -> None:
    writer = PlainWriter(home, ManualClock(START))
    writer.write(Kind.ORDER, {"order_id": "o"})
    folding = documents.Folding(lambda collection, key: None)

    assert not folding.add(lines.decode(writer.lines["orders"][0]), 1)
    assert folding.pending == {}
    writer.close()

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from runner.clock import ManualClock
from runner.layout import Home
from runner.logging import TradingLogger, backlog, documents, economy, lines
from runner.logging.costs.budgets import BudgetWatch
from runner.logging.costs.prices import load
from runner.logging.costs.spend import SpendBook
from runner.logging.economy import Economy
from runner.logging.log_types import Kind
from runner.logging.usage import UsageLedger
from runner.settings import Costs, Settings

SECOND = threading.Event()
NOON = datetime(2026, 11, 10, 12, tzinfo=UTC)
TODAY = f"{NOON:%Y-%m-%d}"
DOLLAR = 1_111_112
"""Writes of Firestore that cost a dollar."""
FREE = 20_000


class Told:
    """What was told, in order."""

    def __init__(self) -> None:
        self.ended = False
        self.all: list[tuple[str, str]] = []

    def warn(self, message: str, context: Mapping[str, Any]) -> None:
        self.all.append(("WARNING", message))

    def alarm(self, message: str, context: Mapping[str, Any]) -> None:
        self.all.append(("CRITICAL", message))

    def note_action(self, action: str, reason: str, context: Mapping[str, Any]) -> None:
        self.all.append(("audit", action))

    def take(self) -> list[str]:
        taken, self.all = [what if what != "audit" else said for what, said in self.all], []
        return taken


class Windows:
    stretch = 1.0


class Watched:
    """A home with a budget of ten dollars a month, and the chore that watches it."""

    def __init__(self, home: Home, **costs: Any) -> None:
        self.home = home
        self.clock, self.told, self.windows = ManualClock(NOON), Told(), Windows()
        limits = {"firestore_writes_per_day": 0, "archive_operations_per_day": 0, "storage_gib": 0}
        self.costs = Costs(**{"monthly_usd": 10, "act": ("widen", "drop_debug"), **limits, **costs})
        self.start()

    def start(self) -> None:
        """As a shipper that has just begun does."""
        stores = {"live", "archive", "compliance", "stream", "warehouse"}
        self._watch = BudgetWatch(self.home, self.costs, load(), self.clock, self.told, self.windows, stores)

    def spend(self, dollars: float) -> None:
        day = f"{self.clock.now():%Y-%m-%d}"
        known = SpendBook(self.home).days(day[:7]).get(day, {}).get(("live", "writes"), (0, 0))[0]
        writes = round(dollars * DOLLAR) + (0 if known else FREE)
        SpendBook(self.home).add(day, "live", {"writes": (writes, 0)})

    def run(self) -> list[str]:
        self._watch.run()
        return self.told.take()


def test_nothing_is_told_below_four_fifths_of_the_budget(home: Home) -> None:
    watched = Watched(home)
    watched.spend(7.9)

    assert watched.run() == []
    assert watched.windows.stretch == 1
    assert not economy.path(home).exists()


def test_at_four_fifths_there_is_a_warning_and_live_windows_grow_and_both_are_told_once(home: Home) -> None:
    watched = Watched(home)
    watched.spend(8.1)

    assert watched.run() == ["WARNING", "save"]
    assert watched.run() == []
    assert watched.windows.stretch == 4
    assert economy.load(home).dropped == ()


def test_at_the_whole_budget_there_is_a_critical_alert_and_debug_records_are_dropped(home: Home) -> None:
    watched = Watched(home)
    watched.spend(8.1)
    watched.run()
    watched.spend(2)

    assert watched.run() == ["CRITICAL", "save"]
    assert watched.windows.stretch == 12
    assert economy.load(home).dropped == ("debug",)


def test_a_shipper_that_starts_again_saves_at_once_and_tells_nothing_twice(home: Home) -> None:
    watched = Watched(home)
    watched.spend(12)
    watched.run()
    watched.windows.stretch = 1.0
    watched.start()

    assert watched.run() == []
    assert watched.windows.stretch == 12


def test_a_share_that_falls_a_little_changes_nothing_and_one_that_falls_well_below_does(home: Home) -> None:
    watched = Watched(home)
    watched.spend(8.1)
    watched.run()
    watched.clock.advance(7200)

    watched.costs = watched.costs.model_copy(update={"monthly_usd": 11})
    watched.start()
    assert watched.run() == []
    watched.costs = watched.costs.model_copy(update={"monthly_usd": 20})
    watched.start()
    assert watched.run() == ["stop_saving"]
    assert watched.windows.stretch == 1


def test_a_level_stands_for_an_hour_at_least(home: Home) -> None:
    watched = Watched(home)
    watched.spend(8.1)
    watched.run()
    watched.costs = watched.costs.model_copy(update={"monthly_usd": 100})
    watched.start()

    assert watched.run() == []
    watched.clock.advance(3601)
    assert watched.run() == ["stop_saving"]


def test_a_new_month_begins_with_the_whole_budget(home: Home) -> None:
    watched = Watched(home)
    watched.spend(12)
    watched.run()
    watched.clock.set(datetime(2026, 12, 1, 0, 1, tzinfo=UTC))

    assert watched.run() == ["stop_saving"]
    assert economy.load(home) == Economy(since="2026-12-01T00:01:00.000000Z", reason=economy.load(home).reason)


def test_without_leave_to_act_there_are_alerts_only(home: Home) -> None:
    watched = Watched(home, act=())
    watched.spend(12)

    assert watched.run() == ["CRITICAL"]
    assert watched.windows.stretch == 1
    assert economy.load(home).dropped == ()


def test_a_shipper_that_is_about_to_end_tells_nothing_that_it_would_not_ship(home: Home) -> None:
    watched = Watched(home)
    watched.spend(12)
    watched.told.ended = True

    assert watched.run() == []
    assert economy.load(home) == Economy()


def test_without_a_budget_nothing_is_told(home: Home) -> None:
    watched = Watched(home, monthly_usd=0)
    watched.spend(1000)

    assert watched.run() == []


def test_the_threshold_of_writes_fires_once_a_day_and_again_on_the_next(home: Home) -> None:
    watched = Watched(home, firestore_writes_per_day=10_000)
    SpendBook(home).add(TODAY, "live", {"writes": (9_000, 0)})
    assert watched.run() == []
    SpendBook(home).add(TODAY, "live", {"writes": (1_001, 0)})

    assert watched.run() == ["WARNING"]
    watched.start()
    assert watched.run() == []
    watched.clock.advance(86_400)
    assert watched.run() == []
    SpendBook(home).add("2026-11-11", "live", {"writes": (10_001, 0)})
    assert watched.run() == ["WARNING"]


def test_thresholds_of_operations_and_of_what_is_kept_fire(home: Home) -> None:
    watched = Watched(home, archive_operations_per_day=50_000, storage_gib=100, monthly_usd=0)
    SpendBook(home).add(TODAY, "archive", {"class_a": (30_000, 60 << 30), "class_b": (10_000, 0)})
    assert watched.run() == []
    SpendBook(home).add(TODAY, "compliance", {"class_a": (10_001, 41 << 30)})

    assert watched.run() == ["WARNING", "WARNING"]


def test_stores_on_this_machine_cost_nothing(home: Home) -> None:
    told = Told()
    SpendBook(home).add(TODAY, "live", {"writes": (10**9, 0)})

    BudgetWatch(home, Costs(), load(), ManualClock(NOON), told, None, ()).run()

    assert told.all == []


def test_a_run_drops_what_the_economy_says_and_nothing_when_it_is_over_or_damaged(home: Home) -> None:
    look = economy.watching(home)
    assert look() == frozenset()
    economy.save(home, Economy(level=2, dropped=("debug", "trade_entry", "nonsense")))
    assert look() == {Kind.DEBUG}
    economy.save(home, Economy())
    assert look() == frozenset()
    economy.path(home).write_text("{")
    assert look() == frozenset()
    economy.path(home).unlink()
    assert look() == frozenset()


def test_a_bot_that_runs_drops_debug_records_before_they_take_an_offset_and_counts_them(home: Home) -> None:
    settings = Settings(home=home.path, shipping={"shipper": "none"})
    with TradingLogger("s", settings=settings) as logger:
        economy.save(home, Economy(level=2, dropped=("debug",)))
        written = 0
        while logger.log_debug("looked at a bar"):
            written += 1
            SECOND.wait(0.05)
            assert written < 400, "the bot does not hear of the economy"
        for _ in range(3):
            logger.log_debug("looked at a bar")
        logger.log_system_event("still here")
        economy.save(home, Economy())

    records = [lines.decode(line) for line in lines.split(backlog.unshipped(home)["system"])]
    dropped = [record["data"]["counts"] for record in records if record["kind"] == "dropped"]

    assert sum(counts["debug"] for counts in dropped) == 4
    assert sum(record["kind"] == "debug" for record in records) == written
    assert [int(record["id"][-12:]) for record in records] == list(range(len(records)))


def test_a_damaged_book_is_moved_aside_and_begun_again(home: Home) -> None:
    book = SpendBook(home)
    book.add(TODAY, "live", {"writes": (1, 2)})
    (home.state / "spend" / "2026-11.json").write_text("{")

    assert book.days("2026-11") == {}
    assert (home.state / "spend" / "2026-11.damaged").exists()


def test_an_alert_is_a_live_alert_and_an_action_is_an_audit_record_by_the_budget(home: Home) -> None:
    settings = Settings(home=home.path, shipping={"shipper": "none"})
    clock = ManualClock(NOON)
    ledger = UsageLedger(settings, clock, {}, None)  # type: ignore[arg-type]  # it ships nothing here
    SpendBook(home).add(TODAY, "live", {"writes": (100 * DOLLAR, 0)})
    BudgetWatch(home, Costs(), load(), clock, ledger, None, {"live"}).run()
    ledger.close()

    found = backlog.unshipped(home)
    alerts = [lines.decode(line) for line in lines.split(found["errors"])]
    (action,) = [lines.decode(line) for line in lines.split(found["risk"])]

    assert [alert["severity"] for alert in alerts] == ["CRITICAL", "WARNING"]
    assert {documents.address(alert)[0] for alert in alerts} == {"live_alerts"}  # type: ignore[index]
    assert (action["kind"], action["actor"], action["data"]["action"]) == ("audit", "budget", "save")
    assert "of 50.00 US dollars" in action["data"]["reason"]

"""The view of the journal as files by topic: complete, without doubles, and never older than it may be."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

from runner.clock import ManualClock
from runner.errors import ConfigError, JournalError
from runner.layout import Home
from runner.logging import DecisionData, PredictionData, TradeLogData, TradingLogger, UsageData, disk, topics
from runner.logging.topics import TopicLogs
from runner.settings import Journal, Settings, Shipping

NOON = datetime(2025, 12, 10, 12, tzinfo=UTC)
USAGE = UsageData(service="archive", operation="create", count=1)

Write = Callable[[Path, bytes], None]


class PowerLoss(BaseException):
    """The machine goes off."""


def torn(write: Write, steps: Iterator[int], crash_at: int) -> Write:
    """`write`, but at step `crash_at` only half of a file is appended, or the old content stays; then power is lost."""

    def write_or_crash(path: Path, content: bytes) -> None:
        if next(steps) != crash_at:
            write(path, content)
            return
        if path.suffix == ".log":
            write(path, content[: len(content) // 2])
        raise PowerLoss

    return write_or_crash


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture
def trading(home: Home, clock: ManualClock) -> Iterator[TradingLogger]:
    settings = Settings(
        home=home.path, shipping=Shipping(shipper="none"), journal=Journal(segment_bytes=64 * 1024, keep_days=1)
    )
    with TradingLogger(settings=settings, wall_clock=clock) as logger:
        yield logger


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "logs"


def update(trading: TradingLogger, home: Home, folder: Path, clock: ManualClock) -> TopicLogs:
    """Update the view once and close it."""
    trading.flush()
    with TopicLogs(home, folder, clock) as view:
        view.update()
    return view


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.glob("*/*.log")}


def ids(folder: Path, name: str) -> list[str]:
    return [json.loads(line)["id"] for line in (folder / name).read_text().splitlines()]


def all_ids(folder: Path) -> Counter[str]:
    """How often each record stands in the view, `errors` left out because it repeats."""
    return Counter(id for name in names(folder) if not name.startswith("errors/") for id in ids(folder, name))


def test_every_kind_is_filed_under_its_topic_and_day(
    trading: TradingLogger, home: Home, folder: Path, clock: ManualClock
) -> None:
    entry = TradeLogData(
        trade_id="t1", symbol="IBM", strategy="vwap", bot_type="stock-trader", direction="long", quantity=1,
        entry_price=5, status="open",
    )  # fmt: skip
    decision = DecisionData(
        decision_id="d1", symbol="IBM", strategy="vwap", action="buy", outcome="taken", reason="below vwap"
    )
    trades = [trading.log_trade_entry(entry), trading.log_cognitive_decision(decision)]
    trades.append(trading.log_daily_summary({"trades": 1}))
    app = [trading.log_system_event("started"), trading.log_warning("late")]
    errors = [trading.log_error(ValueError("no price"))]
    predictions = [trading.log_prediction(PredictionData(symbol="IBM", model="m", label="high_040_4", probability=0.6))]
    usage = [trading.log_usage(UsageData(service="archive", operation="create", count=3))]
    clock.advance(86_400)
    tomorrow = [trading.log_system_event("a new day")]
    update(trading, home, folder, clock)

    assert {name: set(ids(folder, name)) for name in names(folder)} == {
        "trading/trading_2025-12-10.log": set(trades),
        "app/app_2025-12-10.log": {*app, *errors},
        "errors/errors_2025-12-10.log": set(errors),
        "models/predictions_2025-12-10.log": set(predictions),
        "cloud/usage_2025-12-10.log": set(usage),
        "app/app_2025-12-11.log": set(tomorrow),
    }


def test_lines_are_the_journal_s_own_in_the_order_of_time(
    trading: TradingLogger, home: Home, folder: Path, clock: ManualClock
) -> None:
    written = []
    for number in range(5):
        clock.advance(1)
        written += [trading.log_system_event(f"{number}"), trading.log_warning(f"{number}")]
    update(trading, home, folder, clock)

    assert ids(folder, "app/app_2025-12-10.log") == written
    assert "crc" in json.loads((folder / "app/app_2025-12-10.log").read_text().splitlines()[0])


def test_a_restart_neither_doubles_nor_misses_lines(
    trading: TradingLogger, home: Home, folder: Path, clock: ManualClock
) -> None:
    written = []
    for number in range(8):
        written += [trading.log_system_event("x" * 5000) for _ in range(10 * number)]
        update(trading, home, folder, clock)

    assert all_ids(folder) == Counter(written)


@pytest.mark.parametrize("crash_at", range(8))
def test_a_crash_at_any_write_neither_doubles_nor_misses_lines(
    crash_at: int,
    trading: TradingLogger,
    home: Home,
    folder: Path,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def log_all() -> list[str]:
        return [trading.log_system_event("x"), trading.log_error(ValueError("x")), trading.log_usage(USAGE)]

    written = log_all()
    update(trading, home, folder, clock)
    written += log_all()
    with monkeypatch.context() as patch, contextlib.suppress(PowerLoss):
        steps = count()
        patch.setattr(topics, "_append", torn(topics._append, steps, crash_at))
        patch.setattr(disk, "replace", torn(disk.replace, steps, crash_at))
        update(trading, home, folder, clock)
    written += log_all()
    update(trading, home, folder, clock)

    assert all_ids(folder) == Counter(written)
    assert len(ids(folder, "errors/errors_2025-12-10.log")) == 3


def test_a_failed_update_is_made_good_by_the_next_one_of_the_same_view(
    trading: TradingLogger, home: Home, folder: Path, clock: ManualClock
) -> None:
    first = trading.log_system_event("first")
    trading.flush()
    with TopicLogs(home, folder, clock) as view:
        (folder / "app").write_text("in the way")
        with pytest.raises(JournalError, match="cannot be written"):
            view.update()
        (folder / "app").unlink()

        assert view.update() == 1
        assert view.update() == 0
    assert all_ids(folder) == Counter([first])


def test_several_runs_share_the_files(trading: TradingLogger, home: Home, folder: Path, clock: ManualClock) -> None:
    settings = Settings(home=home.path, shipping=Shipping(shipper="none"))
    written = [trading.log_system_event("one")]
    with TradingLogger(settings=settings, wall_clock=clock, bot="other") as other:
        written.append(other.log_system_event("two"))
    update(trading, home, folder, clock)

    found = all_ids(folder)
    assert {id: found[id] for id in written} == dict.fromkeys(written, 1)


def test_files_are_deleted_when_their_time_is_over_and_no_others(
    trading: TradingLogger, home: Home, folder: Path, clock: ManualClock
) -> None:
    days = {topics.APP: 30, topics.TRADING: 365, topics.PREDICTIONS: 90, topics.USAGE: 90, topics.ERRORS: 180}
    kept = {"app/notes.log", "app/app_2000-01-01.txt"}
    for topic, limit in days.items():
        for age in (limit, limit + 1):
            path = folder / topic.folder / f"{topic.name}_{(NOON - timedelta(days=age)).date()}.log"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            kept |= {str(path.relative_to(folder))} if age == limit else set()
    for name in ("app/notes.log", "app/app_2000-01-01.txt"):
        (folder / name).touch()
    update(trading, home, folder, clock)

    assert {str(path.relative_to(folder)) for path in folder.glob("*/*")} == kept


def test_what_the_journal_let_go_or_damaged_is_counted_as_missed(
    trading: TradingLogger, home: Home, folder: Path, clock: ManualClock
) -> None:
    written = []
    for _ in range(2):
        written += [trading.log_system_event("x" * 1000) for _ in range(50)]
        trading.flush()
    first, *others = sorted((home.journal / trading.run / "system").glob("*.ndjson"))
    gone = int(others[0].stem)
    first.unlink()
    content = bytearray(others[0].read_bytes())
    content[200] ^= 1
    others[0].write_bytes(content)
    view = update(trading, home, folder, clock)

    assert all_ids(folder) == Counter(written[gone + 1 :])
    assert (view.written, view.missed) == (len(written) - gone - 1, gone + 1)


def test_only_one_process_at_a_time_keeps_a_view(home: Home, folder: Path, clock: ManualClock) -> None:
    with TopicLogs(home, folder, clock), pytest.raises(ConfigError, match="another process keeps the logs"):
        TopicLogs(home, folder, clock)
    TopicLogs(home, folder, clock).close()


def test_a_damaged_checkpoint_is_told_and_nothing_is_touched(home: Home, folder: Path, clock: ManualClock) -> None:
    folder.mkdir()
    (folder / ".checkpoint.json").write_text("{")
    for _ in range(2):
        with pytest.raises(JournalError, match="is damaged"):
            TopicLogs(home, folder, clock)


def test_a_view_follows_until_it_is_told_to_stop_and_then_has_everything(
    trading: TradingLogger, home: Home, folder: Path, clock: ManualClock
) -> None:
    stop = threading.Event()
    with TopicLogs(home, folder, clock) as view:
        follower = threading.Thread(target=view.follow, args=(stop,), kwargs={"every": 0.01})
        follower.start()
        written = [trading.log_system_event(str(number)) for number in range(50)]
        trading.flush()
        stop.set()
        follower.join()

    assert all_ids(folder) == Counter(written)


def test_the_view_is_private(trading: TradingLogger, home: Home, folder: Path, clock: ManualClock) -> None:
    trading.log_system_event("started")
    update(trading, home, folder, clock)

    modes = {oct(os.stat(path).st_mode & 0o777) for path in (folder, *folder.rglob("*"))}
    assert modes == {"0o700", "0o600"}

"""Homes to back up, and places to do it in."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from runner.clock import ManualClock
from runner.layout import Home
from runner.logging import TradingLogger
from runner.logging.log_types import Kind
from runner.operations.backup import BackupReport, Source, take
from runner.operations.schemas import columns
from runner.operations.vault import Vault
from runner.settings import Settings, Stores
from runner.stores.base import Archive
from runner.stores.directory import DirectoryArchive
from runner.stores.duckdb import DuckdbWarehouse
from runner.stores.memory import MemoryArchive
from runner.stores.sqlite import SqliteLiveStore
from tests.logging.journeys import START, Fleet, PlainWriter, RecordingStream, ship_all


@dataclass
class House:
    """A home whose stores are in it, with writers at a manual clock, and the place where it is backed up."""

    home: Home
    place: Archive
    clock: ManualClock = field(default_factory=lambda: ManualClock(START))

    def __post_init__(self) -> None:
        self.archive = DirectoryArchive(self.home.archive)
        self.vault = Vault(self.place, "home")

    def ship(self) -> None:
        self.ship_to(self.archive)

    def ship_to(self, archive: Archive) -> None:
        """Ship everything; the archive stays open."""
        live = SqliteLiveStore(self.home.live, clock=self.clock)
        ship_all(Fleet(self.home, self.clock, live, archive, RecordingStream()).build())
        live.close()

    def write(self, bot: str = "breakout", epoch: int = 1, trades: int = 20) -> PlainWriter:
        """A run that is still open, with a seal."""
        writer = PlainWriter(self.home, self.clock, bot, epoch)
        self.write_more(writer, trades)
        return writer

    def write_more(self, writer: PlainWriter, trades: int = 20) -> None:
        for number in range(trades):
            writer.trade(len(writer.lines.get("trades", [])) + number)
            writer.write(Kind.HEARTBEAT, {"status": "running", "number": number})
        writer.metrics(10)
        writer.seal()

    def source(self) -> Source:
        return Source(self.home, Settings(home=self.home.path), self.archive, self.home.archive)

    def back_up(self, *, repair: bool = False) -> BackupReport:
        self.clock.advance(1)
        return take(self.source(), Vault(self.place, "home", repair=repair), self.clock)

    def tomorrow(self) -> None:
        self.clock.advance(timedelta(days=1).total_seconds())


def house(home: Home) -> House:
    """A home with a run that is archived whole, and one that is half archived and still written."""
    built = House(home, MemoryArchive())
    first = built.write("vwap", trades=10)
    first.close()
    second = built.write("breakout", trades=10)
    built.ship()
    built.write_more(second, 5)
    return built


def export(built: House) -> None:
    from runner.operations.exports import export as load

    warehouse = DuckdbWarehouse(built.home.warehouse, columns())
    load(built.archive, warehouse)
    warehouse.close()


def open_logger(home: Home, bot: str = "busy") -> TradingLogger:
    return TradingLogger(bot=bot, settings=Settings(home=home.path, shipping={"shipper": "none"}))  # type: ignore[arg-type]


def remote_source(home: Home, archive: Archive) -> Source:
    """As of a home whose archive is on Google Cloud."""
    return Source(home, Settings(home=home.path, stores=Stores(archive="gs://acme")), archive, None)


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, but for locks."""
    found = (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.endswith("lock"))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}

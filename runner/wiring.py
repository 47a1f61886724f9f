"""Composes what settings describe: stores, the shipper, bots. The only place where everything is known by name."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from runner.bots.bot import Bot
from runner.bots.run import Progress, run_bots
from runner.brokers.charges import Charges
from runner.brokers.paper import PaperBroker
from runner.clock import Clock, ManualClock, SystemClock
from runner.feeds.base import Feed, choose_symbols
from runner.feeds.open import open_feed
from runner.layout import Home
from runner.logging.core_logger import TradingLogger
from runner.logging.costs import prices
from runner.logging.costs.budgets import BudgetWatch
from runner.logging.costs.spend import billed_stores
from runner.logging.daily_sweep import DailySweep
from runner.logging.firestore_logger import FirestoreLogger, LivePolicy
from runner.logging.follower import Follower, Journals, Patience
from runner.logging.gcs_logger import ArchivePolicy, GCSLogger
from runner.logging.pubsub_logger import PubSubLogger
from runner.logging.run import ARCHIVE, is_ram_disk
from runner.logging.shipper import Chore, Reports, Shipper
from runner.logging.usage import UsageLedger
from runner.market.instruments import instrument_of
from runner.operations.regular_export import RegularExport
from runner.operations.schemas import columns
from runner.operations.set_aside import record_in_journal
from runner.operations.slow_queries import record_slow_query, watched
from runner.operations.tables import shapes
from runner.settings import MIB, Settings
from runner.settings import Bot as BotSettings
from runner.stores.base import Archive, LiveStore, Warehouse
from runner.stores.open import open_archive, open_live, open_stream, open_warehouse
from runner.strategies.base import Strategy
from runner.strategies.catalog import build_strategy

COMPLIANCE = "compliance"
_LOCAL_LIVE_SECONDS = 1.0
_LIVE_SECONDS, _HEARTBEAT_SECONDS = 5.0, 60.0
_RAM_DISK_SECONDS = 60.0
_LOCAL_EXPORT_SECONDS, _BILLED_EXPORT_SECONDS = 30.0, 3600.0


def open_settings_warehouse(settings: Settings) -> Warehouse:
    """The warehouse of the settings; what is slow there is recorded. Raises `ConfigError` for its URL."""
    warehouse, clock = open_warehouse(settings, columns(), shapes()), SystemClock()
    return watched(warehouse, settings.warehouse.slow_query_seconds, clock, record_slow_query(settings, clock))


def build_shipper(settings: Settings, clock: Clock, stop: threading.Event, reports: Reports) -> Shipper:
    """The home's shipper with every follower. Raises `ConfigError` for a store URL that cannot be used."""
    home = Home(settings.home).create()
    live, archive, stream = open_live(settings), open_archive(settings), open_stream(settings)
    journals = Journals(home, clock, archive)

    def patience(name: str) -> Patience:
        return Patience(name, stop, reports.trouble)

    shipping = settings.shipping
    live_policy = LivePolicy(shipping.live_documents, live_seconds(settings), heartbeat_seconds(settings))
    showing = FirestoreLogger(journals, live, live_policy, patience("live"))
    copies = archive if settings.stores.archive.startswith("memory") else open_archive(settings)
    archiving = GCSLogger(journals, archive, archive_policy(settings), patience(ARCHIVE))
    followers: list[Follower] = [
        showing,
        archiving,
        GCSLogger(journals, copies, compliance_policy(settings), patience(COMPLIANCE)),
        PubSubLogger(journals, stream, patience("stream"), shipping.published),
    ]
    warehouse = open_settings_warehouse(settings)
    counts = {
        "live": live.operations,
        "archive": archive.operations,
        COMPLIANCE: copies.operations,
        "stream": stream.operations,
        "warehouse": warehouse.operations,
        "coalescing": showing.counts,
    }
    ledger = UsageLedger(settings, clock, counts, archiving)
    return Shipper(
        home,
        followers,
        settings,
        clock,
        stop=stop,
        chores=[
            _budget_watch(settings, clock, ledger, showing),
            *(_home_chores(settings, archive, live, warehouse, clock) if shipping.chores else ()),
        ],
        ledger=ledger,
        reports=reports,
    )


def _home_chores(
    settings: Settings, archive: Archive, live: LiveStore, warehouse: Warehouse, clock: Clock
) -> list[Chore]:
    """Export and sweep. Where the archive is on Google Cloud, the function `daily_cleanup` sweeps it."""
    export = RegularExport(archive, warehouse, export_seconds(settings), clock, record_in_journal(settings, clock))
    is_remote = settings.stores.archive.startswith("gs:")
    return [export] if is_remote else [export, DailySweep(settings, archive, live, clock)]


def _budget_watch(settings: Settings, clock: Clock, ledger: UsageLedger, live: FirestoreLogger) -> BudgetWatch:
    table = prices.load(settings.costs)
    return BudgetWatch(Home(settings.home), settings.costs, table, clock, ledger, live, billed_stores(settings))


@contextmanager
def ship_in_thread(settings: Settings) -> Iterator[None]:
    """Ship from a thread of this process meanwhile, for tests and notebooks; at the end, everything is shipped.

    Use it with `shipping.shipper = "none"`. A thread competes with the bot for the interpreter: a bot that matters
    is better off with the process.
    """
    stop = threading.Event()
    shipper = build_shipper(settings, SystemClock(), stop, Reports())
    thread = threading.Thread(target=lambda: shipper.run(follow=True), name="shipper", daemon=True)
    thread.start()
    try:
        yield
    finally:
        shipper.drain()
        thread.join()


def live_seconds(settings: Settings) -> float:
    """How long a live document waits: 5 s where writes are billed, 1 s where the store is a local file."""
    usual = _LIVE_SECONDS if "live" in billed_stores(settings) else _LOCAL_LIVE_SECONDS
    return settings.shipping.live_seconds or usual


def heartbeat_seconds(settings: Settings) -> float:
    """How long a heartbeat waits: a minute where writes are billed, otherwise no longer than any live document."""
    longest = _HEARTBEAT_SECONDS if "live" in billed_stores(settings) else live_seconds(settings)
    return settings.shipping.heartbeat_seconds or longest


def export_seconds(settings: Settings) -> float:
    """How long archived objects wait for the warehouse: where each merge is billed, longer."""
    return _BILLED_EXPORT_SECONDS if settings.stores.warehouse.startswith("bigquery:") else _LOCAL_EXPORT_SECONDS


def archive_policy(settings: Settings) -> ArchivePolicy:
    """When batches are archived: sooner where the home is gone with its machine."""
    shipping = settings.shipping
    longest = _RAM_DISK_SECONDS if is_ram_disk(Home(settings.home)) else shipping.archive_seconds
    return ArchivePolicy(
        name=ARCHIVE,
        bytes=shipping.archive_bytes,
        seconds=min(longest, shipping.archive_seconds),
        prompt_seconds=min(longest, shipping.archive_prompt_seconds),
        records=shipping.archive_records,
    )


def compliance_policy(settings: Settings) -> ArchivePolicy:
    seconds = settings.shipping.compliance_seconds
    return ArchivePolicy(name=COMPLIANCE, bytes=8 * MIB, seconds=seconds, prompt_seconds=seconds, compliance=True)


@dataclass(frozen=True, slots=True)
class Plan:
    """A bot that can be built: everything about it was checked, and nothing was written yet."""

    settings: BotSettings
    strategy: Strategy
    symbols: tuple[str, ...]
    charges: Charges


def plan_bots(settings: Settings, feed: Feed) -> list[Plan]:
    """Check every bot of the settings against the feed. Raises `StrategyError`, `FeedError`, `ConfigError`."""
    charges = charges_of(settings)
    return [
        Plan(bot, build_strategy(bot.strategy, bot.parameters), choose_symbols(feed.symbols, bot.symbols), charges)
        for bot in settings.bots
    ]


def charges_of(settings: Settings) -> Charges:
    """What a fill costs on paper. Raises `ConfigError` for charges that are not possible."""
    return Charges(settings.broker.fee_bps, settings.broker.slippage_bps)


def run(
    strategy: Strategy, *, feed: str = "sample", symbols: Sequence[str] = (), bot: str = "", speed: float = 0.0
) -> Progress:
    """Let a strategy trade on paper, as fast as possible or at `speed` bars a second; returns how it went.

    Settings come from `tron.toml` and the environment, as for `tron run`. Records are journaled at once, and shipped by
    a process of its own that outlives this one: look with `tron tail`, `tron dashboard`, `tron verify`.
    """
    settings, clock = Settings.load(os.environ), SystemClock()
    bars = open_feed(feed, symbols)
    name = bot or strategy.name or type(strategy).__name__.lower()
    plan = Plan(BotSettings(name=name, strategy=name), strategy, bars.symbols, charges_of(settings))
    with open_loggers(settings, [plan], bars, clock) as loggers:
        bots = build_bots(settings, [plan], bars, loggers, clock)
        return run_bots(bots, bars.bars(), speed=speed, stop=threading.Event(), clock=clock)


@contextmanager
def open_loggers(
    settings: Settings, plans: Sequence[Plan], feed: Feed, wall_clock: Clock
) -> Iterator[list[tuple[TradingLogger, ManualClock]]]:
    """Each bot's logger, with the market clock that it and the bot share: it stands at the feed's first bar.

    All that were opened are closed at the end, also when one of them cannot be opened or closed.
    """
    began = next(iter(feed.bars())).start
    with ExitStack() as closing:
        loggers = []
        for plan in plans:
            logger, clock = _open_logger(settings, plan, ManualClock(began), wall_clock)
            closing.callback(logger.close)
            loggers.append((logger, clock))
        yield loggers


def build_bots(
    settings: Settings,
    plans: Sequence[Plan],
    feed: Feed,
    loggers: Sequence[tuple[TradingLogger, ManualClock]],
    wall_clock: Clock,
) -> list[Bot]:
    """Bots with fresh paper accounts."""
    return [
        _build_bot(settings, plan, feed, logger, clock, wall_clock)
        for plan, (logger, clock) in zip(plans, loggers, strict=True)
    ]


def _open_logger(
    settings: Settings, plan: Plan, market_clock: ManualClock, wall_clock: Clock
) -> tuple[TradingLogger, ManualClock]:
    logger = TradingLogger(
        bot_type=plan.settings.type,
        bot=plan.settings.name,
        settings=settings,
        clock=market_clock,
        wall_clock=wall_clock,
    )
    return logger, market_clock


def _build_bot(
    settings: Settings, plan: Plan, feed: Feed, logger: TradingLogger, market_clock: ManualClock, wall_clock: Clock
) -> Bot:
    instruments = {symbol: instrument_of(symbol, feed.asset_class) for symbol in plan.symbols}
    return Bot(
        name=plan.settings.name,
        bot_type=plan.settings.type,
        strategy=plan.strategy,
        broker=PaperBroker(settings.broker.cash, plan.charges, instruments),
        limits=plan.settings.risk or settings.risk,
        logger=logger,
        instruments=instruments,
        market_clock=market_clock,
        wall_clock=wall_clock,
        home=Home(settings.home),
    )

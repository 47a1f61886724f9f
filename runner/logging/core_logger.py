"""`TradingLogger`: typed records into the journal, in microseconds, with no network.

Three guarantees:

- *process*: when a `log_*` call returns, SIGKILL cannot lose the record.
- *machine*: with `urgent=True` or after `flush()`, and otherwise within about 10 ms while a shipper runs, a loss of
  power cannot lose it. An urgent record covers every earlier record of its run.
- *remote*: after `flush(remote=True)`, the loss of the machine cannot lose it. This is the default for trade, order,
  fill and risk records where the home is on a RAM disk.

Opening a logger never waits for a store, and stores that cannot be reached never stop a bot.
"""

from __future__ import annotations

import atexit
import os
import sys
import weakref
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from types import TracebackType
from typing import Any

from runner.clock import Clock, SystemClock
from runner.errors import JournalFull, RecordInvalid, RunnerError
from runner.layout import Home
from runner.logging import bell, exceptions, lines, payloads, trades
from runner.logging.console import Console
from runner.logging.envelope import Envelope, Envelopes, MarketTimes
from runner.logging.events import EventEncoder
from runner.logging.log_types import (
    AuditData,
    DecisionData,
    FillData,
    ForecastData,
    HeartbeatData,
    Kind,
    MetricData,
    Number,
    OrderData,
    PositionData,
    PredictionData,
    ReflectionData,
    RiskEventData,
    Severity,
    SummaryData,
    TradeLogData,
    UsageData,
    WarningData,
)
from runner.logging.redaction import Redactor, secrets_of
from runner.logging.routes import KINDS
from runner.logging.run import open_run
from runner.logging.spawn import ensure_shipper
from runner.settings import Settings

_SYSTEM_EVENT, _INFO = Kind.SYSTEM_EVENT, Severity.INFO
"""Reading a member of an enumeration takes a tenth of a microsecond, so the busiest path reads them once."""
_ID_START = len(b'{"id":"')
_INHERITED = ("_home", "_run", "_settings", "_redactor", "_clock", "_mode", "_observers")
"""What a bound logger shares. Looking at a `__dict__` would make every later use of its object's attributes slower."""


Observer = Callable[[Kind, Severity, bytes], None]
"""Is shown each accepted record's line, in the caller's thread. It must neither block nor raise."""


class TradingLogger:
    """Writes one run of one bot. Thread-safe; safe to use in a forked child, which becomes a run of its own.

    `clock` is market time, which every record carries as `at`; leave it out where market time is the machine's.
    `secrets` are values that must never be written. Names: `bot` is a stable instance name and defaults to `bot_type`.
    Raises `ConfigError` or `JournalError` when the home cannot be written.
    """

    def __init__(
        self,
        session_id: str | None = None,
        bot_type: str = "stock-trader",
        *,
        bot: str | None = None,
        settings: Settings | None = None,
        clock: Clock | None = None,
        wall_clock: Clock | None = None,
        execution_mode: str = "PAPER",
        secrets: Iterable[str] = (),
        actor: str = "",
        trace: str = "",
    ) -> None:
        settings = settings or Settings.load(os.environ)
        redactor = Redactor(settings.journal.redact_keys, [*secrets, *secrets_of(os.environ)])
        wall = wall_clock or SystemClock()
        self._home = Home(settings.home).create()
        self._run = open_run(
            self._home, settings, wall, bot=bot or settings.bot or bot_type, bot_type=bot_type, session_id=session_id
        )
        self._settings = settings
        self._redactor = redactor
        self._clock = clock
        self._mode = execution_mode
        self._identity = {"actor": actor, "trace": trace}
        self._context: dict[str, Any] = {}
        self._observers: list[Observer] = []
        if settings.console != "off":
            least = Severity(settings.console)
            self.observe(Console(sys.__stdout__, project=settings.project, at_least=least, warn=self.log_warning))
        self._prepare()
        ensure_shipper(self._home, settings)
        _open_loggers.add(self)

    @property
    def run(self) -> str:
        """The id of this run: a UUIDv7 made when the logger was opened."""
        return self._run.info.run

    @property
    def bot(self) -> str:
        return self._run.info.bot

    @property
    def bot_type(self) -> str:
        return self._run.info.bot_type

    @property
    def session_id(self) -> str:
        return self._run.info.session_id

    @property
    def records(self) -> int:
        """How many records this run has accepted."""
        return self._run.journal.seq

    def log_trade_entry(self, trade: TradeLogData, *, urgent: bool = False) -> str:
        """Record that a trade was opened; returns the record's id. Raises `RecordInvalid`, `JournalFull`."""
        return self._log_trade(trade, True, urgent)

    def log_trade_exit(self, trade: TradeLogData, *, urgent: bool = False) -> str:
        """Record that a trade was closed: the same `trade_id` and `order_id`, with `exit_price` and the outcome."""
        return self._log_trade(trade, False, urgent)

    def log_order(self, order: OrderData, *, urgent: bool = False) -> str:
        return self._log(Kind.ORDER, order, urgent=urgent)

    def log_fill(self, fill: FillData, *, urgent: bool = False) -> str:
        return self._log(Kind.FILL, fill, urgent=urgent)

    def log_position(self, position: PositionData, *, urgent: bool = False) -> str:
        return self._log(Kind.POSITION, position, urgent=urgent)

    def log_cognitive_decision(self, decision: DecisionData | Mapping[str, Any], *, urgent: bool = False) -> str:
        """Record why something was or was not done."""
        return self._log(Kind.DECISION, decision, urgent=urgent)

    def log_risk_event(
        self, event: RiskEventData | Mapping[str, Any], *, severity: Severity = Severity.WARNING, urgent: bool = True
    ) -> str:
        return self._log(Kind.RISK_EVENT, event, severity=severity, urgent=urgent)

    def log_audit(self, audit: AuditData, *, actor: str, urgent: bool = True) -> str:
        """Record who did what: halt, resume, changes of settings and retention."""
        return self._log(Kind.AUDIT, audit, urgent=urgent, actor=actor)

    def log_error(
        self,
        error: BaseException,
        context: Mapping[str, Any] | None = None,
        source: str = "",
        *,
        severity: Severity = Severity.ERROR,
        urgent: bool = False,
    ) -> str:
        """Record an exception with its stack and its chain of causes."""
        data = exceptions.describe(error, source, _merged(context, {}))
        return self._log(Kind.ERROR, data, severity=severity, urgent=urgent)

    def log_warning(self, message: str, context: Mapping[str, Any] | None = None, source: str = "") -> str:
        return self._log(Kind.WARNING, WarningData(message=message, source=source, context=_merged(context, {})))

    def log_system_event(
        self,
        message: str,
        context: Mapping[str, Any] | None = None,
        *,
        severity: Severity = _INFO,
        **fields: Any,
    ) -> str:
        """Record that something happened: a message and free fields."""
        return self._log_event(_SYSTEM_EVENT, severity, message, _merged(context, fields) if context else fields)

    def log_debug(self, message: str, context: Mapping[str, Any] | None = None, **fields: Any) -> str:
        """Like a system event, but dropped (and counted) when the journal is full or a budget says so.

        Then the answer is empty.
        """
        if Kind.DEBUG in self._run.dropping:
            self._run.journal.count_dropped(Kind.DEBUG.value)
            return ""
        return self._log_event(Kind.DEBUG, Severity.DEBUG, message, _merged(context, fields) if context else fields)

    def log_heartbeat(self, heartbeat: HeartbeatData) -> str:
        return self._log(Kind.HEARTBEAT, heartbeat)

    def log_performance_metric(self, name: str, value: Number, *, unit: str = "", **tags: str) -> str:
        """Record one number. Dropped (and counted) when the journal is full; then the answer is empty."""
        return self._log(Kind.METRIC, MetricData(name=name, value=value, unit=unit, tags=tags))

    def log_daily_summary(self, metrics: Mapping[str, Any], *, date: date | None = None) -> str:
        """Record a day's metrics by name. `date` is the market day, by default that of the clock."""
        return self._log(Kind.SUMMARY, SummaryData(date=date or self._today(), metrics=_merged(metrics, {})))

    def log_daily_reflection(
        self, text: str, *, date: date | None = None, context: Mapping[str, Any] | None = None
    ) -> str:
        data = ReflectionData(date=date or self._today(), text=text, context=_merged(context, {}))
        return self._log(Kind.REFLECTION, data)

    def log_prediction(self, prediction: PredictionData) -> str:
        return self._log(Kind.PREDICTION, prediction)

    def log_forecast(self, forecast: ForecastData) -> str:
        return self._log(Kind.FORECAST, forecast)

    def log_usage(self, usage: UsageData) -> str:
        return self._log(Kind.USAGE, usage)

    def bind(self, **context: Any) -> TradingLogger:
        """A logger of the same run whose records carry `context`. This one is not changed.

        `trace` and `actor` are fields of the record itself.
        """
        bound = object.__new__(TradingLogger)
        for name in _INHERITED:
            setattr(bound, name, getattr(self, name))
        bound._identity = {
            **self._identity,
            **{name: context.pop(name) for name in ("trace", "actor") if name in context},
        }
        bound._context = {**self._context, **context}
        bound._prepare()
        return bound

    def observe(self, observer: Observer) -> None:
        """Show every record from now on to `observer`, also those of loggers bound to this run."""
        self._observers.append(observer)
        self._run.attentive = True

    def flush(self, *, remote: bool = False, timeout: float = 2.0) -> bool:
        """Give the *machine* guarantee for everything logged so far; with `remote`, the *remote* one.

        Returns whether it was reached: False when the archive did not confirm within `timeout` seconds; the records
        are then still safe on this machine and will be shipped.
        """
        self._run.journal.sync()
        return not remote or self._run.await_archive(timeout)

    def get_metrics(self) -> dict[str, Any]:
        """Numbers about this logger and the shipping of its run; see `runner.logging.measures`."""
        return self._run.measures()

    def close(self) -> None:
        """Seal the run and end it. The shipper ships what is left; nothing waits for it. Closing twice is harmless."""
        _open_loggers.discard(self)
        self._run.close()

    def __enter__(self) -> TradingLogger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None and not isinstance(error, GeneratorExit):
            self.log_error(error, source="uncaught", severity=Severity.CRITICAL, urgent=True)
        self.close()

    def _prepare(self) -> None:
        """Make ready what is the same in every record of this logger and run."""
        self._run.reopen()
        self._info = self._run.info
        fields = self._run.envelope(self._settings)
        environment = trades.TradeEnvironment(
            execution_mode=self._mode,
            session_id=self.session_id,
            bot_version=fields["bot_version"],
            config_hash=fields["config_hash"],
        )
        self._envelopes = Envelopes(fields, self._identity, self._context, self._redactor)
        self._known_envelopes = self._envelopes.known
        self._entry = self._envelopes.make(Kind.TRADE_ENTRY, Severity.INFO, "")
        self._exit = self._envelopes.make(Kind.TRADE_EXIT, Severity.INFO, "")
        self._trades = trades.TradeEncoder(environment, self._redactor)
        self._events = EventEncoder(self._redactor)
        self._timestamps = lines.Timestamps(self._run.wall_clock.time_ns)
        self._market = MarketTimes(self._clock) if self._clock else None

    def _today(self) -> date:
        return (self._clock or self._run.wall_clock).now().date()

    def _log_trade(self, trade: TradeLogData, entry: bool, urgent: bool) -> str:
        try:
            if self._run.info is not self._info:
                self._prepare()
            now = self._timestamps.now()
            moment = self._market.text() if self._market else now.decode()
            shared, data = self._trades.encode(trade, moment, entry)
            return self._append(self._entry if entry else self._exit, data, urgent, now, shared)
        except RunnerError:
            self._run.count_error()
            raise

    def _log_event(self, kind: Kind, severity: Severity, message: str, fields: Mapping[str, Any]) -> str:
        try:
            return self._append(self._envelope(kind, severity), self._events.encode(message, fields), False)
        except RunnerError:
            self._run.count_error()
            raise

    def _log(
        self, kind: Kind, payload: Any, *, severity: Severity | None = None, urgent: bool = False, actor: str = ""
    ) -> str:
        try:
            data = payloads.encode(payloads.of_kind(kind, payload), self._redactor)
            return self._append(self._envelope(kind, severity or KINDS[kind].severity, actor), data, urgent)
        except RunnerError:
            self._run.count_error()
            raise

    def _envelope(self, kind: Kind, severity: Severity, actor: str = "") -> Envelope:
        if self._run.info is not self._info:
            self._prepare()
        return self._known_envelopes.get((kind, severity, actor)) or self._envelopes.make(kind, severity, actor)

    def _append(self, envelope: Envelope, data: bytes, urgent: bool, now: bytes = b"", shared: bytes = b"") -> str:
        """Accept a record whose data is `shared + data`."""
        if len(data) > envelope.longest:
            raise RecordInvalid(
                f"a {envelope.kind.value} of {len(data)} bytes is too large", "a record is at most 256 KiB"
            )
        run, at = self._run, self._market.member() if self._market else b""
        try:
            line = run.journal.accept(envelope.stream, envelope.admission, at, envelope.encoded, shared, data, now)
        except JournalFull:
            if not envelope.admission.droppable:
                raise
            run.journal.count_dropped(envelope.kind.value)
            return ""
        if urgent or run.attentive:
            self._attend(envelope, lines.seal(line), urgent)
        return line[_ID_START : envelope.id_end].decode()

    def _attend(self, envelope: Envelope, line: bytes, urgent: bool) -> None:
        """What few records need once they are in the journal."""
        for observer in self._observers:
            observer(envelope.kind, envelope.severity, line)
        if urgent:
            self._run.journal.sync()
            bell.ring(self._home)
        if envelope.admission.critical and self._run.on_ram_disk:
            self._run.await_archive(2.0)


def create_trading_logger(
    session_id: str | None = None, bot_type: str = "stock-trader", **options: Any
) -> TradingLogger:
    """A `TradingLogger` from `tron.toml` and the environment; `options` are those of `TradingLogger`."""
    return TradingLogger(session_id, bot_type, **options)


def _merged(context: Mapping[str, Any] | None, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Both in one. A context that is no mapping, or that cannot be read, becomes a field of its own."""
    try:
        return {**(context or {}), **fields}
    except Exception:  # a context is the caller's and may be anything, and a record is not lost for it
        return {"context": context, **fields}


_open_loggers: weakref.WeakSet[TradingLogger] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    """A program that ends without `close` ends its runs properly all the same."""
    for logger in list(_open_loggers):
        logger.close()

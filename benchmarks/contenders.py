"""Who is measured. Each contender opens in a folder and offers `trade(i)` and `event(i)`, one call a record."""

from __future__ import annotations

import logging
import logging.handlers
import queue
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import records
from runner.logging import TradeLogData, TradingLogger
from runner.logging.redaction import REDACTED, is_secret_key
from runner.settings import Settings, Shipping

Call = Callable[[int], object]


@dataclass(frozen=True, slots=True)
class Contender:
    trade: Call
    event: Call
    close: Callable[[], object]


def ours(folder: Path, *, redact: bool) -> Contender:
    """The whole product: typed, checked, redacted by key, with checksum, offset and seq."""
    settings = Settings(home=folder, shipping=Shipping(shipper="none"))
    logger = TradingLogger("stock_trader_session", settings=settings, secrets=records.SECRETS if redact else ())
    bound, values, fields = logger.bind(**records.CONTEXT), records.trade_values(), records.event_fields()
    last = records.COUNT - 1
    return Contender(
        trade=lambda i: logger.log_trade_exit(TradeLogData(**values[i & last])),
        event=lambda i: bound.log_system_event("order routed", **fields[i & last]),
        close=logger.close,
    )


def stdlib(folder: Path, *, redact: bool) -> Contender:
    """The standard library's FileHandler with orjson."""
    handler = logging.FileHandler(folder / "stdlib.ndjson")
    return _standard(handler, redact, handler.close)


def queued(folder: Path, *, redact: bool) -> Contender:
    """The standard library's QueueHandler, with a listener that writes with orjson."""
    target = logging.FileHandler(folder / "queue.ndjson")
    target.setFormatter(_OrjsonFormatter(redact))
    waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
    listener = logging.handlers.QueueListener(waiting, target)
    listener.start()
    handler = logging.handlers.QueueHandler(waiting)

    def close() -> None:
        listener.stop()
        target.close()

    return _calls(_logger(handler), close)


def structlog(folder: Path, *, redact: bool) -> Contender:
    """structlog as its documentation tunes it: BytesLogger to a file, orjson, cached loggers."""
    import orjson
    import structlog

    processors: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.format_exc_info,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.JSONRenderer(serializer=orjson.dumps),
    ]
    if redact:
        processors.insert(-1, _Redaction())
    file = (folder / "structlog.ndjson").open("ab")
    structlog.configure(
        cache_logger_on_first_use=True,
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        processors=processors,
        logger_factory=structlog.BytesLoggerFactory(file=file),
    )
    logger = structlog.get_logger().bind(session_id="stock_trader_session", bot="stock-trader", run="0" * 36)
    bound, trades, fields = logger.bind(**records.CONTEXT), records.finished_trades(), records.event_fields()
    last = records.COUNT - 1
    return Contender(
        trade=lambda i: logger.info("trade_exit", **trades[i & last]),
        event=lambda i: bound.info("order routed", **fields[i & last]),
        close=file.close,
    )


def structlog_typed(folder: Path, *, redact: bool) -> Contender:
    """structlog given what ours is given: the typed trade, whose Decimals orjson leaves to a fallback. Unchecked."""
    import orjson
    import structlog as library
    from msgspec.structs import asdict

    plain = structlog(folder, redact=redact)
    library.configure(
        processors=[
            *library.get_config()["processors"][:-1],
            library.processors.JSONRenderer(serializer=lambda event, **_: orjson.dumps(event, default=str)),
        ]
    )
    logger, values, last = library.get_logger(), records.trade_values(), records.COUNT - 1
    return Contender(
        trade=lambda i: logger.info("trade_exit", **asdict(TradeLogData(**values[i & last]))),
        event=plain.event,
        close=plain.close,
    )


def loguru(folder: Path, *, redact: bool) -> Contender:
    """loguru with `serialize=True`."""
    from loguru import logger

    logger.remove()
    logger.add(folder / "loguru.ndjson", serialize=True)
    bound, trades, fields = logger.bind(**records.CONTEXT), records.finished_trades(), records.event_fields()
    last = records.COUNT - 1
    return Contender(
        trade=lambda i: logger.bind(**trades[i & last]).info("trade_exit"),
        event=lambda i: bound.bind(**fields[i & last]).info("order routed"),
        close=logger.remove,
    )


def google(folder: Path, *, redact: bool) -> Contender:
    """google-cloud-logging's background transport. Its API object is a stub that counts, so no network is charged."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud.logging import Client
    from google.cloud.logging.handlers import CloudLoggingHandler
    from google.cloud.logging_v2.resource import Resource

    client = Client(project="demo-bench", credentials=AnonymousCredentials())
    client._logging_api = _StubApi()
    handler = CloudLoggingHandler(client, resource=Resource(type="global", labels={}))
    return _calls(_logger(handler), handler.transport.worker.stop, key="json_fields")


CONTENDERS: Mapping[str, Callable[..., Contender]] = {
    "ours": ours,
    "stdlib + orjson": stdlib,
    "QueueHandler + orjson": queued,
    "structlog + orjson": structlog,
    "structlog, same typed trade": structlog_typed,
    "loguru": loguru,
    "google-cloud-logging": google,
}


class _StubApi:
    def write_entries(self, entries: object, **options: object) -> None:
        """Accept everything."""


class _Redaction:
    """What ours does, for structlog: by key, and five registered values in every text."""

    def __init__(self) -> None:
        self._keys: dict[str, bool] = {}

    def __call__(self, logger: object, method: str, event: dict[str, Any]) -> dict[str, Any]:
        for key, value in event.items():
            hidden = self._keys.get(key)
            if hidden is None:
                hidden = self._keys[key] = is_secret_key(key)
            if hidden:
                event[key] = REDACTED
            elif type(value) is str:
                for secret in records.SECRETS:
                    if secret in value:
                        event[key] = value = value.replace(secret, REDACTED)
        return event


class _OrjsonFormatter(logging.Formatter):
    def __init__(self, redact: bool) -> None:
        super().__init__()
        self._redaction = _Redaction() if redact else None

    def format(self, record: logging.LogRecord) -> str:
        import orjson

        event = {"event": record.msg, "level": record.levelname, "ts": record.created, **record.__dict__["fields"]}
        if self._redaction:
            event = self._redaction(None, "", event)
        return orjson.dumps(event).decode()


def _logger(handler: logging.Handler) -> logging.Logger:
    logger = logging.Logger("benchmark", logging.INFO)
    logger.addHandler(handler)
    return logger


def _standard(handler: logging.Handler, redact: bool, close: Callable[[], object]) -> Contender:
    handler.setFormatter(_OrjsonFormatter(redact))
    return _calls(_logger(handler), close)


def _calls(logger: logging.Logger, close: Callable[[], object], key: str = "fields") -> Contender:
    trades = [{key: trade} for trade in records.finished_trades()]
    fields = [{key: {**records.CONTEXT, **event}} for event in records.event_fields()]
    last = records.COUNT - 1
    return Contender(
        trade=lambda i: logger.info("trade_exit", extra=trades[i & last]),
        event=lambda i: logger.info("order routed", extra=fields[i & last]),
        close=close,
    )

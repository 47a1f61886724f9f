"""A month of trading that can be checked by hand: closed trades, an error and a risk event, and features of bars."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from runner.stores.base import Part

RUN = "018fb0a0-0000-7000-8000-0000deadbeef"
TODAY = datetime(2024, 6, 30, tzinfo=UTC)
FEATURES_SINCE = datetime(2024, 6, 30, 15, 0, tzinfo=UTC)

# bot, symbol, model, days before TODAY, net profit
CLOSED = (
    ("breakout", "AAPL", "azure_breakout", 0, "10.5"),
    ("breakout", "AAPL", "azure_breakout", 0, "-4.25"),
    ("breakout", "MSFT", "azure_breakout", 1, "0"),
    ("breakout", "AAPL", "gcp_breakout", 6, "0.000000000001"),
    ("reversion", "AAPL", "gcp_reversion", 0, "3"),
    ("reversion", "BRK.B", "gcp_reversion", 7, "100"),
    ("reversion", "BRK.B", "gcp_reversion", 29, "-12.75"),
    ("reversion", "BRK.B", "gcp_reversion", 30, "1000"),
    ("vwap", "MSFT", "Azure_and_GCP", 2, "-1.5"),
    ("vwap", "MSFT", "vwap", 3, "7.125"),
)


def parts() -> list[Part]:
    trades = [_closed(number, *trade) for number, trade in enumerate(CLOSED)]
    errors = [_record("errors", 0, "error", "breakout", TODAY, severity="ERROR", message='lost the "feed" of AAPL')]
    risk = [
        _record("risk", 0, "risk_event", "reversion", TODAY, event_type="daily_loss", action_taken="trading_paused")
    ]
    return [_part("trades", trades), _part("errors", errors, bucket="system-logs"), _part("risk", risk)]


def features() -> list[dict[str, Any]]:
    """Rows of the table `features`: five bars of two symbols; the younger column `atr_14` is null in the first ones."""
    bars = [FEATURES_SINCE + timedelta(minutes=5 * number) for number in range(-2, 3)]
    return [
        {"time": at, "symbol": symbol, "freq": "5m", "close_sma_3": 100.5 + n, "vol_regime": n % 2, "atr_14": atr}
        for symbol in ("AAPL", "MSFT")
        for n, (at, atr) in enumerate(zip(bars, (None, None, 0.5, 0.25, 0.75), strict=True))
    ]


PARAMETERS: Mapping[str, dict[str, Any]] = {
    "closed_trades": {"since": TODAY - timedelta(days=6), "until": TODAY},
    "compare_models": {"today": TODAY.date(), "first": "azure", "second": "gcp"},
    "daily_report": {"day": TODAY.date()},
    "executions": {"until": TODAY - timedelta(days=6)},
    "model_performance": {"today": TODAY.date()},
    "recent_features": {"symbol": "AAPL", "freq": "5m", "since": FEATURES_SINCE, "limit": 12},
    "recent_trades": {"symbol": "AAPL", "limit": 2},
    "record_search": {"text": "AAPL", "limit": 3},
    "win_rate_by_symbol": {"since": TODAY - timedelta(days=29), "until": TODAY + timedelta(days=1)},
}


def _closed(number: int, bot: str, symbol: str, model: str, days: int, pnl: str) -> bytes:
    at = TODAY - timedelta(days=days) + timedelta(hours=15, seconds=number)
    payload = {
        "trade_id": f"t{number}",
        "symbol": symbol,
        "action": "SELL",
        "quantity": "2",
        "price": "101.25",
        "strategy_name": model,
        "exit_timestamp": at.isoformat(),
        "net_profit_loss": pnl,
    }
    return _record("trades", number, "trade_exit", bot, at, **payload)


def _record(
    stream: str, offset: int, kind: str, bot: str, at: datetime, *, severity: str = "INFO", **data: Any
) -> bytes:
    moment = at.isoformat(timespec="microseconds")
    record = {"id": f"{RUN}:{stream}:{offset:012d}", "seq": offset, "ts": moment, "at": moment, "kind": kind}
    record |= {"severity": severity, "bot": bot, "run": RUN, "data": data}
    return json.dumps(record, separators=(",", ":")).encode() + b"\n"


def _part(stream: str, lines: Sequence[bytes], bucket: str = "trade-logs") -> Part:
    name = f"logs/2024/06/30/fleet/{stream}_000000_deadbeef-000000000000_v1.json.gz"
    return Part(bucket, name, stream, {}, b"".join(lines))

"""Records of what a bot decided and why, also of what it did not do.

A strategy that repeats itself bar after bar is one decision: a decision is recorded when it differs from the one before
for its symbol, or when the strategy was silent in between. What is taken is always recorded.
"""

from __future__ import annotations

from typing import Literal

from runner.bots.risk import Vetoed
from runner.logging.core_logger import TradingLogger
from runner.logging.log_types import DecisionData
from runner.market.signals import Signal

Outcome = Literal["taken", "vetoed", "near", "skipped"]


class Decisions:
    """Writes the decision records of one bot."""

    def __init__(self, bot: str, strategy: str, logger: TradingLogger) -> None:
        self._bot = bot
        self._logger = logger
        self._strategy = strategy
        self._count = 0
        self._last: dict[str, tuple[str, Outcome, str]] = {}

    def silent(self, symbol: str) -> None:
        """The strategy said nothing about `symbol`."""
        self._last.pop(symbol, None)

    def taken(self, signal: Signal, trade_id: str) -> None:
        self._record(signal, "taken", signal.reason, trade_id=trade_id)

    def vetoed(self, signal: Signal, veto: Vetoed) -> None:
        """A signal that a risk limit stopped."""
        if self._is_new(signal, "vetoed", veto.limit.value):
            self._record(signal, "vetoed", f"{signal.reason}; vetoed: {veto.reason}", detail=veto.limit.value)

    def near(self, signal: Signal) -> None:
        """A signal that the strategy itself held back."""
        if self._is_new(signal, "near", ""):
            self._record(signal, "near", signal.reason)

    def skipped(self, signal: Signal, why: str) -> None:
        """A signal that could not change anything."""
        if self._is_new(signal, "skipped", why):
            self._record(signal, "skipped", f"{signal.reason}; skipped: {why}", detail=why)

    def _is_new(self, signal: Signal, outcome: Outcome, detail: str) -> bool:
        return self._last.get(signal.symbol) != (signal.action, outcome, detail)

    def _record(
        self, signal: Signal, outcome: Outcome, reason: str, *, detail: str = "", trade_id: str | None = None
    ) -> None:
        self._count += 1
        self._last[signal.symbol] = (signal.action, outcome, detail)
        self._logger.log_cognitive_decision(
            DecisionData(
                decision_id=f"{self._bot}-decision-{self._count}-{self._logger.run[-8:]}",
                symbol=signal.symbol,
                strategy=self._strategy,
                action=signal.action.value,
                outcome=outcome,
                reason=reason,
                confidence=float(signal.confidence),
                indicators=dict(signal.indicators),
                vetoed_by=detail if outcome == "vetoed" else None,
                trade_id=trade_id,
            )
        )

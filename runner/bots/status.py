"""What a bot looks like at one moment, for progress lines and heartbeats."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class BotStatus:
    """A snapshot. Money is in the quote currency; `net_profit` is of closed trades, after both commissions.

    `unrealized` is of open positions, before commissions. `max_drawdown_pct` is zero or negative, of the daily equity.
    `halted` is the reason, or empty while the bot may trade.
    """

    name: str
    bot_type: str
    bars: int
    start_equity: Decimal
    equity: Decimal
    cash: Decimal
    unrealized: Decimal
    open_positions: int
    trades: int
    wins: int
    net_profit: Decimal
    fees: Decimal
    max_drawdown_pct: Decimal
    halted: str

    @property
    def win_rate(self) -> float | None:
        """wins / trades, in 0-1; None without trades."""
        return self.wins / self.trades if self.trades else None

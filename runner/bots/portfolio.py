"""What a bot owns: cash and positions marked at the last close, and how that compares with before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from runner.brokers.base import Broker
from runner.market.metrics import DailyEquity, Drawdown, percent_change
from runner.trade_manager import TradeManager


@dataclass(frozen=True, slots=True)
class Standing:
    """The numbers that risk limits look at, at one moment. `open_positions` includes entries on order.

    `buying_power` is what new positions may cost: free cash without the entries on order.
    """

    equity: Decimal
    buying_power: Decimal
    peak: Decimal
    day_start: Decimal
    loss_streak: int
    open_positions: int

    @property
    def day_profit(self) -> Decimal:
        return self.equity - self.day_start

    @property
    def day_profit_pct(self) -> Decimal:
        """Of the equity at the start of the market day; 0 when there was none."""
        return percent_change(self.day_start, self.equity) if self.day_start > 0 else Decimal(0)

    @property
    def drawdown_pct(self) -> Decimal:
        """From the highest equity so far: zero or negative."""
        return Drawdown(self.peak).at(self.equity)


class Portfolio:
    """Cash and positions of one bot, marked to market. Market days are UTC days."""

    def __init__(self, broker: Broker, trades: TradeManager, *, every_day: bool) -> None:
        self.start = self.equity = self.peak = self.day_start = self._counted = broker.cash
        self.prices: dict[str, Decimal] = {}
        self.daily = DailyEquity(self.start, every_day=every_day)
        self._broker = broker
        self._trades = trades

    @property
    def cash(self) -> Decimal:
        return self._broker.cash

    @property
    def drawdown_pct(self) -> Decimal:
        """Of the equity now, from its highest mark: zero or negative."""
        return Drawdown(self.peak).at(self.equity)

    @property
    def max_drawdown_pct(self) -> Decimal:
        """The largest drawdown of the daily equity, today included: zero or negative."""
        return self.daily.max_drawdown_pct(self.equity)

    @property
    def unrealized(self) -> Decimal:
        """Profit of the open positions at the last closes, before any commission."""
        positions = self._trades.positions.values()
        return sum((position.unrealized(self.prices[position.symbol]) for position in positions), Decimal(0))

    def mark(self, symbol: str, price: Decimal) -> None:
        """Take the last price of a symbol."""
        self.prices[symbol] = price

    def revalue(self) -> None:
        """Count cash and positions again, after a fill or a new price of a position.

        A broker may answer with nonsense: what is not finite shows in `standing` only, for the breakers to see.
        """
        self._counted = self._broker.cash
        for symbol, position in self._trades.positions.items():
            self._counted += position.value(self.prices[symbol])
        if self._counted.is_finite():
            self.equity = self._counted
            self.peak = max(self.peak, self.equity)

    def close_day(self, day: date) -> None:
        """End a market day: its equity joins the daily series, and the next day starts from it."""
        self.daily.close(day, self.equity)
        self.day_start = self.equity

    def standing(self) -> Standing:
        entering = self._trades.entering
        reserved = sum((order.quantity * self.prices[symbol] for symbol, order in entering.items()), Decimal(0))
        return Standing(
            equity=self._counted,
            buying_power=self._broker.buying_power - reserved,
            peak=self.peak,
            day_start=self.day_start,
            loss_streak=self._trades.tally.loss_streak,
            open_positions=len(self._trades.positions) + len(entering),
        )

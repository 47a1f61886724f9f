"""What the trades of a bot add up to."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from runner.market.orders import Fill
from runner.market.trades import Outcome, Trade


@dataclass(slots=True)
class Tally:
    """Sums over closed trades, and `fees` over all fills. `profits` are net of both commissions, in order of exits.

    `loss_streak` counts the losses since the last trade that was none.
    """

    profits: list[Decimal] = field(default_factory=list)
    wins: int = 0
    loss_streak: int = 0
    net_profit: Decimal = Decimal(0)
    fees: Decimal = Decimal(0)

    @property
    def trades(self) -> int:
        return len(self.profits)

    def add_fill(self, fill: Fill) -> None:
        self.fees += fill.commission

    def add_trade(self, trade: Trade) -> None:
        net = trade.net_profit
        self.profits.append(net)
        self.net_profit += net
        self.wins += trade.outcome is Outcome.WIN
        self.loss_streak = self.loss_streak + 1 if trade.outcome is Outcome.LOSS else 0

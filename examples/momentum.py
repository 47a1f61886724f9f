"""A bot in ten lines: it buys above the mean of the last hundred bars and sells below it.

Run it with `python -m examples.momentum`, or with `tron run --strategy examples.momentum:Momentum`.
"""

from collections import defaultdict

from runner.features.indicators import Sma
from runner.market.bars import Bar
from runner.market.positions import Position
from runner.market.signals import Signal
from runner.strategies.base import Strategy
from runner.wiring import run


class Momentum(Strategy):
    name = "momentum"

    def __init__(self, *, bars: int = 100) -> None:
        self.means: defaultdict[str, Sma] = defaultdict(lambda: Sma(bars))

    def on_bar(self, bar: Bar, position: Position | None) -> Signal | None:
        close, mean = float(bar.close), self.means[bar.symbol].update(float(bar.close))
        if mean is None or (close > mean) == (position is not None):
            return None
        act = self.enter_long if position is None else self.exit
        return act(bar, f"close {close:.2f}, mean {mean:.2f}", mean=mean)


if __name__ == "__main__":
    (bot,) = run(Momentum(), symbols=["AAPL", "MSFT"]).bots
    print(f"{bot.trades} trades, {bot.net_profit:+.2f} after fees")

"""From signals to trades: builds a bot's orders, turns their fills into positions and trades, records each step.

Ids are deterministic, so two runs over the same bars differ in the run's part only:

    trade   <bot>-<symbol>-<yyyymmddThhmmss>-<n>-<run8>    n counts the bot's trades; run8 ends the logger's run id
    order   <trade>.<k>                                    k counts the trade's orders: entry, bracket, exit
    fill    <order>-fill

Fills of one order come whole (see `runner.brokers.base`) and a symbol has one position at most, so a trade is exactly
one entry fill and one exit fill. A position with a stop or a target is protected by a *bracket*: one order that waits
for both.
"""

from __future__ import annotations

from runner.trade_manager.lifecycle import TradeManager
from runner.trade_manager.tally import Tally

__all__ = ["Tally", "TradeManager"]

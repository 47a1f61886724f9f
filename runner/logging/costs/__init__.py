"""What keeping records costs on Google Cloud: prices, bills, the ledger of what was done, forecasts and budgets.

| module     | answers                                                                        |
|------------|--------------------------------------------------------------------------------|
| `prices`   | what does Google charge, where, since when do we know                           |
| `bill`     | what do these operations cost, and what would the naive way cost                |
| `fleet`    | what will a fleet cost that does not exist yet                                  |
| `spend`    | what has this home asked of its stores, day by day                              |
| `ledger`   | what has the fleet asked of its stores, from the usage records of the archive   |
| `forecast` | what will this month cost                                                       |
| `budgets`  | is a threshold crossed, and what is done about it                               |
"""

from __future__ import annotations

from runner.logging.costs.bill import Cost, Work, estimate, estimate_naive, total
from runner.logging.costs.prices import Prices

__all__ = ["Cost", "Prices", "Work", "estimate", "estimate_naive", "total"]

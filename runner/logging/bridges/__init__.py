"""Bridges: what a program says through another logging library becomes a record of its run.

    from runner.logging.bridges import TradingHandler
    logging.getLogger().addHandler(TradingHandler(logger))

| library   | bridge            | what it cannot write is reported by              |
|-----------|-------------------|--------------------------------------------------|
| logging   | `TradingHandler`  | `logging.Handler.handleError`                    |
| structlog | `StructlogBridge` | one line on stderr                               |
| loguru    | `LoguruSink`      | loguru (`catch=True`, its default)               |
| nothing   | `install_excepthook` for exceptions that nobody caught | one line on stderr |

A bridge never raises into the program. structlog and loguru need not be installed: nothing here imports them.
"""

from runner.logging.bridges.event import LoggedError
from runner.logging.bridges.hooks import Excepthook, install_excepthook
from runner.logging.bridges.loguru import LoguruSink
from runner.logging.bridges.stdlib import TradingHandler
from runner.logging.bridges.structlog import StructlogBridge

__all__ = [
    "Excepthook",
    "LoggedError",
    "LoguruSink",
    "StructlogBridge",
    "TradingHandler",
    "install_excepthook",
]

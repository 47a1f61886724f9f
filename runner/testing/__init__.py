"""What bot authors test with: a logger that remembers, stores in memory, stores that fail on demand, a clock to move.

See `docs/testing.md`. Nothing in the product imports this room.
"""

from runner.clock import ManualClock
from runner.stores.memory import MemoryArchive, MemoryLiveStore, MemoryStream
from runner.testing.capturing import CapturingLogger
from runner.testing.faults import Fault, Faults, Outage, at_random, in_turn
from runner.testing.faulty import FaultyArchive, FaultyLiveStore, FaultyStream

__all__ = [
    "CapturingLogger",
    "Fault",
    "Faults",
    "FaultyArchive",
    "FaultyLiveStore",
    "FaultyStream",
    "ManualClock",
    "MemoryArchive",
    "MemoryLiveStore",
    "MemoryStream",
    "Outage",
    "at_random",
    "in_turn",
]

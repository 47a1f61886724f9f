"""The error tree.

Every error that a user can meet is a `RunnerError`: one line that says what is wrong, and a hint that says what to do.

    RunnerError
    ├── ConfigError        settings, command-line options, a home that cannot be used
    ├── RecordInvalid      a record that is not valid for its kind
    ├── JournalError       the journal cannot be written or read
    │   └── JournalFull    the journal reached its quota, or its disk is full
    ├── StoreError         a store did not do what it was asked
    │   ├── StoreUnavailable   for now (network, quota, permission, missing bucket): try again
    │   ├── StoreRejected      for ever: this very content can never be accepted
    │   └── ObjectExists       the name is taken, and creation was asked for
    ├── FeedError          market data that cannot be read or trusted
    ├── StrategyError      a strategy that does not exist or cannot be built
    └── OrderError         an order that must not or cannot be placed
"""

from __future__ import annotations


class RunnerError(Exception):
    """Base of every error of this product. `hint` says what the reader can do about it, or is empty."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class ConfigError(RunnerError):
    """Settings, options or the home cannot be used as they are."""


class RecordInvalid(RunnerError):
    """A record is not valid for its kind. Nothing was written and no offset was taken."""


class JournalError(RunnerError):
    """The journal cannot be written or read."""


class JournalFull(JournalError):
    """The journal reached its quota or its disk is full. The record was not accepted."""


class StoreError(RunnerError):
    """A store did not do what it was asked."""


class StoreUnavailable(StoreError):
    """The store cannot be used for now; the same request may succeed later."""


class StoreDenied(StoreUnavailable):
    """The store refuses who asks, until somebody grants it."""


class StoreRejected(StoreError):
    """The store will never accept this very content."""


class ObjectExists(StoreError):
    """An object was to be created under a name that is taken."""


class FeedError(RunnerError):
    """Market data is missing, malformed or out of order."""


class StrategyError(RunnerError):
    """A strategy does not exist or cannot be built from its parameters."""


class OrderError(RunnerError):
    """An order must not or cannot be placed."""

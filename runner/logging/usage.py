"""The usage ledger: what the stores were asked for, as `usage` records.

Every store counts its operations. The ledger turns what was added since the last time into records of a run of its own,
so that the bill can be explained from the archive, and into the home's own book (`costs.spend`). It stays silent when
only its own records were shipped. What is counted after its last record is kept for the next ledger of the home, as is
what dashboards read.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from typing import Any

from runner.clock import Clock
from runner.errors import RunnerError
from runner.layout import Home
from runner.logging.core_logger import TradingLogger
from runner.logging.costs.spend import SpendBook, by_operation
from runner.logging.follower import News
from runner.logging.gcs_logger import GCSLogger
from runner.logging.housekeeping import SHIPPER
from runner.logging.log_types import AuditData, Severity, UsageData
from runner.settings import Settings

BUDGET = "budget"
"""Who acts when a budget runs out."""


class UsageLedger:
    """Writes usage of `stores` (service to counts) while `archiving` ships runs of others, until it has `ended`."""

    every = 60.0

    def __init__(
        self, settings: Settings, wall_clock: Clock, stores: Mapping[str, Counter[str]], archiving: GCSLogger
    ) -> None:
        shipping = settings.shipping.model_copy(update={"shipper": "none"})
        self._settings = settings.model_copy(update={"shipping": shipping})
        self._clock = wall_clock
        self._stores = stores
        self._archiving = archiving
        self._book = SpendBook(Home(settings.home))
        self._written: dict[str, Counter[str]] = {store: Counter() for store in stores}
        self._seen = 0
        self.ended = False
        self._opening = threading.Lock()
        self._logger: TradingLogger | None = None

    def run(self) -> None:
        """Write what was added since the last time, if anything was shipped for others."""
        shipped = self._shipped_for_others()
        if shipped == self._seen:
            return
        self._seen = shipped
        day = f"{self._clock.now():%Y-%m-%d}"
        for store, added in self._take_added().items():
            operations = by_operation(store, added)
            for name, (count, size) in operations.items():
                self._open().log_usage(UsageData(service=store, operation=name, count=count, bytes=size))
            if operations:
                self._book.add(day, store, operations)

    def leave(self) -> None:
        """Keep what was counted since the last record for the next ledger of this home."""
        self._book.hand_in(self._take_added())

    def tell(self, news: News) -> None:
        """Record an outage when it begins (a warning) and when it is over, and each record that was set aside."""
        trouble = news.trouble
        context = {"follower": trouble.follower, "error": str(trouble.error), "tries": trouble.tries}
        if news.what == "over":
            self._open().log_system_event(f"{trouble.follower}: recovered", context)
        else:
            self._open().log_warning(f"{trouble.follower}: {news.what}: {trouble.error}", context, SHIPPER)

    def warn(self, message: str, context: Mapping[str, Any]) -> None:
        """An alert of severity WARNING."""
        self._open().log_warning(message, context, BUDGET)

    def alarm(self, message: str, context: Mapping[str, Any]) -> None:
        """An alert of severity CRITICAL."""
        self._open().log_error(RunnerError(message), context, BUDGET, severity=Severity.CRITICAL)

    def note_action(self, action: str, reason: str, context: Mapping[str, Any]) -> None:
        """Record that something was done about the costs."""
        data = AuditData(action=action, subject="shipping", reason=reason, context=dict(context))
        self._open().log_audit(data, actor=BUDGET)

    def close(self) -> None:
        self.ended = True
        if self._logger is not None:
            self._logger.close()
            self._logger = None

    def _take_added(self) -> dict[str, Counter[str]]:
        """What was added since the last time, by service, and what others have handed in meanwhile."""
        added = self._book.take_handed()
        for store, counts in self._stores.items():
            now = Counter(counts)
            added[store] = added.get(store, Counter()) + (now - self._written[store])
            self._written[store] = now
        return added

    def _open(self) -> TradingLogger:
        with self._opening:
            if self._logger is None:
                self._logger = TradingLogger(
                    bot_type=SHIPPER, bot=SHIPPER, settings=self._settings, wall_clock=self._clock
                )
            return self._logger

    def _shipped_for_others(self) -> int:
        return sum(count for bot_type, count in self._archiving.delivered.items() if bot_type != SHIPPER)

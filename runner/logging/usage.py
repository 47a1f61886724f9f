"""The usage ledger: what the stores were asked for, as `usage` records.

Every store counts its operations. The ledger turns what was added since the last time into records of a run of its own,
so that the bill can be explained from the archive. It stays silent when only its own records were shipped.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping

from runner.clock import Clock
from runner.layout import Home
from runner.logging.core_logger import TradingLogger
from runner.logging.follower import Follower, Journals, News
from runner.logging.housekeeping import SHIPPER
from runner.logging.log_types import UsageData
from runner.settings import Settings


class UsageLedger:
    """Writes usage of `stores` (service to counts) while `follower` ships runs of others."""

    every = 60.0

    def __init__(
        self, settings: Settings, wall_clock: Clock, stores: Mapping[str, Counter[str]], follower: Follower
    ) -> None:
        shipping = settings.shipping.model_copy(update={"shipper": "none"})
        self._settings = settings.model_copy(update={"shipping": shipping})
        self._clock = wall_clock
        self._stores = stores
        self._follower = follower
        self._written: dict[str, Counter[str]] = {service: Counter() for service in stores}
        self._seen = 0
        self._opening = threading.Lock()
        self._logger: TradingLogger | None = None

    def run(self) -> None:
        """Write what was added since the last time, if anything was shipped for others."""
        shipped = self._shipped_for_others()
        if shipped == self._seen:
            return
        self._seen = shipped
        for service, counts in self._stores.items():
            added = counts - self._written[service]
            self._written[service] = Counter(counts)
            for operation, count in sorted(added.items()):
                if operation != "bytes":
                    usage = UsageData(service=service, operation=operation, count=count, bytes=added["bytes"])
                    self._open().log_usage(usage)

    def tell(self, news: News) -> None:
        """Record an outage when it begins (a warning) and when it is over, and each record that was set aside."""
        trouble = news.trouble
        context = {"follower": trouble.follower, "error": str(trouble.error), "tries": trouble.tries}
        if news.what == "over":
            self._open().log_system_event(f"{trouble.follower}: recovered", context)
        else:
            self._open().log_warning(f"{trouble.follower}: {news.what}: {trouble.error}", context, SHIPPER)

    def _open(self) -> TradingLogger:
        with self._opening:
            if self._logger is None:
                self._logger = TradingLogger(bot_type=SHIPPER, settings=self._settings, wall_clock=self._clock)
            return self._logger

    def close(self) -> None:
        if self._logger is not None:
            self._logger.close()
            self._logger = None

    def _shipped_for_others(self) -> int:
        journals = Journals(Home(self._settings.home), self._clock)
        return sum(
            self._follower.shipped(info.run, stream).next
            for info in journals.runs()
            if info.bot_type != SHIPPER
            for stream in journals.streams(info.run)
        )

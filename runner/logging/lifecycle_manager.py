"""`LogLifecycleManager`: the daily cleanup, the optimisation of storage costs, and the cost report.

Every method can be called again at any time: what is done is not done twice, and what a deadline or a crash left is
done by the next call. Nothing is deleted that is not proven to be archived, but for what the retention table says is
over; nothing in the compliance bucket is deleted at all.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from types import TracebackType
from typing import Any, Self

from runner.clock import Clock, SystemClock
from runner.errors import RunnerError
from runner.layout import Home
from runner.logging import bucket_rules, cleanup
from runner.logging.bucket_rules import BucketRules
from runner.logging.cleanup import CleanupReport
from runner.logging.compaction import CompactionReport, compact
from runner.logging.core_logger import TradingLogger
from runner.logging.costs import prices
from runner.logging.costs.ledger import check_month, read_ledger
from runner.logging.costs.report import CostReport, report
from runner.logging.costs.spend import billed_stores
from runner.logging.deadline import Deadline
from runner.logging.journal_sweep import sweep_journal
from runner.logging.log_types import AuditData
from runner.logging.retention import BUCKETS, BucketRetention, require_good
from runner.settings import Settings
from runner.stores.base import Archive, LiveStore
from runner.stores.open import open_archive, open_live

__all__ = ["CleanupReport", "CompactionReport", "LogLifecycleManager", "OptimizationReport"]

OPERATOR = "operator"
"""The bot type of a person's own run."""


@dataclass(slots=True)
class OptimizationReport:
    """The lifecycle of every bucket beside the table's, and what compaction did (or would do, unless `applied`)."""

    applied: bool
    buckets: list[BucketRules]
    compaction: CompactionReport
    problems: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    @property
    def done(self) -> bool:
        return not self.left and self.compaction.done

    @property
    def differences(self) -> list[str]:
        """One sentence for each rule that was, or would be, added or removed."""
        return list(bucket_rules.in_words(self.buckets))

    def as_dict(self) -> dict[str, Any]:
        return {
            "applied": self.applied,
            "buckets": [one.as_dict() for one in self.buckets],
            "differences": self.differences,
            "compaction": self.compaction.as_dict(),
            "problems": self.problems,
            "failed": self.failed,
            "left": self.left,
            "done": self.done,
        }


class LogLifecycleManager:
    """Looks after what is kept: see the methods. A context manager; `close` closes the stores that it opened itself.

    Without settings, those of `tron.toml` and the environment. Stores are opened when they are needed first.
    Raises `ConfigError` for settings or a retention table that cannot be used.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        archive: Archive | None = None,
        live: LiveStore | None = None,
        clock: Clock | None = None,
    ) -> None:
        require_good()
        self._settings = settings or Settings.load(os.environ)
        self._clock = clock or SystemClock()
        self._given = (archive, live)
        self._archive = archive
        self._live = live

    @property
    def archive(self) -> Archive:
        if self._archive is None:
            self._archive = open_archive(self._settings)
        return self._archive

    @property
    def live(self) -> LiveStore:
        if self._live is None:
            self._live = open_live(self._settings)
        return self._live

    def run_daily_cleanup(self, *, deadline_seconds: float | None = None, dry_run: bool = False) -> CleanupReport:
        """Delete what nobody needs any more (see `cleanup`), or only count it.

        A store that cannot be used is told in the report, and the other steps go on.
        """
        report = CleanupReport(dry_run)
        deadline, now = Deadline(self._clock, deadline_seconds), self._clock.now()
        self._try("live store", report, lambda: cleanup.clean_documents(self.live, now, deadline, report))

        def clean(bucket: str) -> None:
            cleanup.clean_bucket(self.archive, bucket, now, deadline, report)

        for bucket in BUCKETS:
            self._try(bucket, report, partial(clean, bucket))
        if not dry_run:
            self._try("journal", report, lambda: self._sweep_journal(report))
        return report

    def optimize_storage_costs(
        self, apply: bool = False, *, actor: str = "", deadline_seconds: float | None = None
    ) -> OptimizationReport:
        """Compare every bucket's lifecycle with the table, and compact what is over; with `apply`, change it.

        A change of rules is recorded as an audit record of `actor`, where one is named.
        """
        deadline = Deadline(self._clock, deadline_seconds)
        report = self._compare(deadline, apply, actor)
        report.compaction = self._compact(deadline, dry_run=not apply)
        return report

    def compare_rules(
        self, *, apply: bool = False, actor: str = "", deadline_seconds: float | None = None
    ) -> OptimizationReport:
        """As `optimize_storage_costs`, without compaction."""
        return self._compare(Deadline(self._clock, deadline_seconds), apply, actor)

    def compact_archive(
        self, *, day: date | None = None, deadline_seconds: float | None = None, dry_run: bool = False
    ) -> CompactionReport:
        """Join the small objects of every day that is over, or of one `day`, into few large ones (see `compaction`)."""
        return self._compact(Deadline(self._clock, deadline_seconds), day=day, dry_run=dry_run)

    def get_cost_report(self, month: str = "", *, bot: str = "") -> CostReport:
        """What keeping the records of a month (as `2026-11`; this one by default) costs, of one bot or of all.

        Nothing is changed, and there is no deadline: half a report is none. Raises `ConfigError`, `StoreUnavailable`.
        """
        now, costs = self._clock.now(), self._settings.costs
        ledger = read_ledger(self.archive, Home(self._settings.home), check_month(month, now.date()))
        return report(ledger, prices.load(costs), costs, now, billed_stores(self._settings), bot)

    def close(self) -> None:
        """Close the stores that were opened here."""
        for store, given in zip((self._archive, self._live), self._given, strict=True):
            if store is not None and store is not given:
                store.close()
        self._archive, self._live = self._given

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _compare(self, deadline: Deadline, apply: bool, actor: str) -> OptimizationReport:
        report = OptimizationReport(apply, [], CompactionReport(not apply))
        for bucket, retention in BUCKETS.items():
            if deadline.is_over:
                report.left.append(f"the lifecycle of {bucket}")
            else:
                self._try(bucket, report, partial(self._look_at, bucket, retention, report))
        differing = [one for one in report.buckets if apply and one.differs]
        if differing and actor:
            self._record(differing, actor)
        for one in differing:
            self._try(one.bucket, report, partial(self._apply, one, report))
        return report

    def _look_at(self, bucket: str, retention: BucketRetention, report: OptimizationReport) -> None:
        found = bucket_rules.compare(self.archive, bucket, retention)
        report.buckets.append(found)
        report.problems += found.problems

    def _apply(self, found: BucketRules, report: OptimizationReport) -> None:
        report.buckets[report.buckets.index(found)] = bucket_rules.apply(self.archive, found)

    def _compact(self, deadline: Deadline, *, day: date | None = None, dry_run: bool) -> CompactionReport:
        return compact(self.archive, now=self._clock.now(), deadline=deadline, day=day, dry_run=dry_run)

    def _record(self, changes: Sequence[BucketRules], actor: str) -> None:
        """Who changes how long records are kept is on record before it happens."""
        shipping = self._settings.shipping.model_copy(update={"shipper": "none"})
        settings = self._settings.model_copy(update={"shipping": shipping})
        with TradingLogger(bot_type=OPERATOR, settings=settings, wall_clock=self._clock) as logger:
            for one in changes:
                reason = "the retention table says so"
                audit = AuditData(action="retention", subject=one.bucket, reason=reason, context=one.as_dict())
                logger.log_audit(audit, actor=actor)

    def _sweep_journal(self, report: CleanupReport) -> None:
        swept = sweep_journal(self._settings, self._clock)
        if swept is not None:
            report.runs, report.segments = swept

    def _try(self, name: str, report: CleanupReport | OptimizationReport, step: Callable[[], None]) -> None:
        try:
            step()
        except RunnerError as error:
            report.failed.append(f"{name}: {error}" + (f" ({error.hint})" if error.hint else ""))

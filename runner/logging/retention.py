"""How long everything is kept, as one table.

It drives the expiry of live documents, the lifecycle of buckets, and what `tron sweep` deletes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from runner.logging.routes import ANALYTICS_DATA, COGNITIVE_ARCHIVES, COMPLIANCE_LOGS, SYSTEM_LOGS, TRADE_LOGS


@dataclass(frozen=True, slots=True)
class BucketRetention:
    """Days until deletion, and days until an object (above 1 MiB) moves to a cheaper storage class."""

    days: int
    moves: Mapping[str, int] = field(default_factory=dict)
    locked: bool = False


BUCKETS: Mapping[str, BucketRetention] = {
    TRADE_LOGS: BucketRetention(365, {"NEARLINE": 30, "COLDLINE": 90}),
    COGNITIVE_ARCHIVES: BucketRetention(181, {"NEARLINE": 30, "COLDLINE": 90}),
    SYSTEM_LOGS: BucketRetention(90, {"NEARLINE": 30}),
    ANALYTICS_DATA: BucketRetention(730, {"NEARLINE": 30, "COLDLINE": 90}),
    COMPLIANCE_LOGS: BucketRetention(2555, {"NEARLINE": 30, "COLDLINE": 90, "ARCHIVE": 365}, locked=True),
}

LIVE: Mapping[str, timedelta] = {
    "live_trades": timedelta(days=7),
    "live_positions": timedelta(days=7),
    "live_alerts": timedelta(days=7),
    "live_cognitive": timedelta(days=14),
    "live_system_status": timedelta(hours=1),
    "daily_summaries": timedelta(days=30),
    "daily_reflections": timedelta(days=30),
    "dashboard_metrics": timedelta(days=30),
}
"""How long a live document lives after the last record that touched it."""

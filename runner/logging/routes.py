"""Where each kind goes: its stream, its severity when none is given, and the archive buckets of the stream."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from runner.logging.log_types import Kind, Severity

TRADE_LOGS = "trade-logs"
COGNITIVE_ARCHIVES = "cognitive-archives"
SYSTEM_LOGS = "system-logs"
ANALYTICS_DATA = "analytics-data"
COMPLIANCE_LOGS = "compliance-logs"


@dataclass(frozen=True, slots=True)
class StreamRoute:
    """A stream of a run. `bucket` holds its objects; with `compliance`, a second copy lies in `compliance-logs`.

    `prompt` streams are archived after minutes instead of an hour.
    """

    name: str
    bucket: str
    compliance: bool = False
    prompt: bool = False


STREAMS: Mapping[str, StreamRoute] = {
    route.name: route
    for route in (
        StreamRoute("trades", TRADE_LOGS, compliance=True, prompt=True),
        StreamRoute("orders", TRADE_LOGS, compliance=True, prompt=True),
        StreamRoute("positions", TRADE_LOGS),
        StreamRoute("risk", TRADE_LOGS, compliance=True, prompt=True),
        StreamRoute("decisions", COGNITIVE_ARCHIVES),
        StreamRoute("errors", SYSTEM_LOGS),
        StreamRoute("system", SYSTEM_LOGS),
        StreamRoute("metrics", ANALYTICS_DATA),
        StreamRoute("seals", TRADE_LOGS, compliance=True),
    )
}


@dataclass(frozen=True, slots=True)
class KindRoute:
    """`critical` kinds raise when the journal is full; `droppable` kinds are counted and dropped; others wait first."""

    stream: str
    severity: Severity = Severity.INFO
    critical: bool = False
    droppable: bool = False


KINDS: Mapping[Kind, KindRoute] = {
    Kind.TRADE_ENTRY: KindRoute("trades", critical=True),
    Kind.TRADE_EXIT: KindRoute("trades", critical=True),
    Kind.ORDER: KindRoute("orders", critical=True),
    Kind.FILL: KindRoute("orders", critical=True),
    Kind.POSITION: KindRoute("positions"),
    Kind.RISK_EVENT: KindRoute("risk", Severity.WARNING, critical=True),
    Kind.AUDIT: KindRoute("risk", Severity.NOTICE, critical=True),
    Kind.DECISION: KindRoute("decisions"),
    Kind.REFLECTION: KindRoute("decisions"),
    Kind.ERROR: KindRoute("errors", Severity.ERROR),
    Kind.WARNING: KindRoute("errors", Severity.WARNING),
    Kind.SYSTEM_EVENT: KindRoute("system"),
    Kind.HEARTBEAT: KindRoute("system", Severity.DEBUG),
    Kind.DEBUG: KindRoute("system", Severity.DEBUG, droppable=True),
    Kind.DROPPED: KindRoute("system", Severity.WARNING),
    Kind.METRIC: KindRoute("metrics", droppable=True),
    Kind.SUMMARY: KindRoute("metrics"),
    Kind.PREDICTION: KindRoute("metrics"),
    Kind.FORECAST: KindRoute("metrics"),
    Kind.USAGE: KindRoute("metrics", Severity.DEBUG, droppable=True),
    Kind.SEAL: KindRoute("seals", Severity.DEBUG),
}

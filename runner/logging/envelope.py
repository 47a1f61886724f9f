"""What stands around a record's data: encoded once for all records that share it, so that a call only copies bytes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from runner.clock import Clock
from runner.errors import RecordInvalid
from runner.logging import lines, payloads
from runner.logging.journal import Admission
from runner.logging.log_types import Kind, Severity
from runner.logging.redaction import Redactor
from runner.logging.repair import Repair, encode_json
from runner.logging.routes import KINDS

_ADMISSIONS = {
    kind: Admission(
        critical=route.critical, droppable=route.droppable, reserved=kind in (Kind.TRADE_EXIT, Kind.RISK_EVENT)
    )
    for kind, route in KINDS.items()
}
_SEVERITIES = tuple(Severity)
_CONTEXT_BUDGET = 32 * 1024
_MOST_KEPT = 1000


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """What all records of a kind, a severity and an actor share. `encoded` stands between time and market time.

    `id_end` is where the id ends in a line.
    """

    stream: str
    admission: Admission
    encoded: bytes
    id_end: int


class Envelopes:
    """The envelopes of one logger and run. `known` are those that were made already."""

    def __init__(
        self,
        run: Mapping[str, str],
        identity: Mapping[str, str],
        context: Mapping[str, Any],
        redactor: Redactor,
    ) -> None:
        """`run` are the fields of the run, `identity` trace and actor, `context` the values bound to the logger."""
        repair = Repair(redactor, _CONTEXT_BUDGET)
        self.known: dict[tuple[str, str, str], Envelope] = {}
        self._run = run["run"]
        self._redactor = redactor
        self._fields: dict[str, Any] = {name: redactor.clean(value) for name, value in run.items()}
        self._fields |= {name: repair.any_text(value, name) for name, value in identity.items() if value}
        if context:
            self._fields["context"] = repair.mapping(context, "context")
        if repair.paths:
            self._fields["_repaired"] = repair.paths

    def make(self, kind: Kind, severity: Severity, actor: str) -> Envelope:
        """Raises `RecordInvalid` for a severity that does not exist, and for an audit that nobody did."""
        if severity not in _SEVERITIES:
            raise RecordInvalid(f"severity is {payloads.shortened(severity)}", f"use one of {', '.join(_SEVERITIES)}")
        if kind is Kind.AUDIT and not actor:
            raise RecordInvalid("an audit record needs an actor", "say who did it: log_audit(..., actor=...)")
        fields = {"kind": kind, "severity": severity, **self._fields}
        if actor:
            fields["actor"] = payloads.label(actor, Repair(self._redactor), "actor")
        stream = KINDS[kind].stream
        envelope = Envelope(
            stream=stream,
            admission=_ADMISSIONS[kind],
            encoded=b"," + encode_json(fields)[1:-1],
            id_end=len(lines.id_prefix(self._run, stream)) + lines.OFFSET_DIGITS,
        )
        if len(self.known) < _MOST_KEPT:
            self.known[kind, severity, actor] = envelope
        return envelope


class Times:
    """Market time as a record and a trade say it, made anew only when it changed; else the machine's."""

    def __init__(self, market: Clock | None, wall: Clock) -> None:
        self._market, self._wall = market, wall
        self._now: tuple[object, str, bytes] = (None, "", b"")

    def market(self) -> bytes:
        """What a record says of market time; nothing where it is the machine's."""
        return b"" if self._market is None else self._look(self._market)[2]

    def execution(self) -> datetime | str:
        """The time of a trade: market time, else the machine's. A datetime only where it is written the same."""
        if self._market is not None:
            return self._look(self._market)[1]
        now = self._wall.now()
        return now if now.microsecond and now.tzinfo is UTC else lines.timestamp(now)

    def _look(self, clock: Clock) -> tuple[object, str, bytes]:
        now = clock.now()
        known = self._now
        if now is not known[0]:
            text = lines.timestamp(now)
            known = self._now = (now, text, b',"at":"%s"' % text.encode())
        return known

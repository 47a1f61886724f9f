"""What stands around a record's data: encoded once for all records that share it, so that a call only copies bytes."""

from __future__ import annotations

from collections.abc import Mapping
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
_LONGEST_START = 512
"""Bytes that id, offsets, times and checksum of a line take, and more."""


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """What all records of a kind, a severity and an actor share. `encoded` stands between the times and the data.

    `longest` is how many bytes of data a record can have, `id_end` is where the id ends in a line.
    """

    kind: Kind
    severity: Severity
    stream: str
    admission: Admission
    encoded: bytes
    longest: int
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
        stream, encoded = KINDS[kind].stream, b',%s,"data":' % encode_json(fields)[1:-1]
        envelope = Envelope(
            kind=kind,
            severity=severity,
            stream=stream,
            admission=_ADMISSIONS[kind],
            encoded=encoded,
            longest=lines.MAX_LINE - _LONGEST_START - len(encoded),
            id_end=len(lines.id_prefix(self._run, stream)) + lines.OFFSET_DIGITS,
        )
        if len(self.known) < _MOST_KEPT:
            self.known[kind, severity, actor] = envelope
        return envelope


class MarketTimes:
    """Market time as a record and a trade say it, made anew only when it changed."""

    def __init__(self, market: Clock) -> None:
        self._market = market
        self._known: tuple[object, str, bytes] = (None, "", b"")

    def text(self) -> str:
        """The time of a trade."""
        return self._look()[1]

    def member(self) -> bytes:
        """What a record says of it."""
        return self._look()[2]

    def _look(self) -> tuple[object, str, bytes]:
        now = self._market.now()
        known = self._known
        if now is not known[0]:
            text = lines.timestamp(now)
            known = self._known = (now, text, b',"at":"%s"' % text.encode())
        return known

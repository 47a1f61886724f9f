"""What a function says: entries of Cloud Logging on stdout, one JSON object a line, in the trace of their request.

They have the form that records have on stdout (`runner.logging.console`). Values of variables that are named like
secrets never appear.
"""

from __future__ import annotations

import re
import sys
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from functions.options import Headers
from runner.clock import Clock
from runner.logging import lines
from runner.logging.console import encode_entry, entry_of
from runner.logging.exceptions import describe
from runner.logging.log_types import Kind, Severity
from runner.logging.redaction import Redactor, secrets_of

_GOOGLE = "logging.googleapis.com/"
_W3C = re.compile(r"[0-9a-f]{2}-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})(-.*)?")
_CLOUD = re.compile(r"(?P<trace>[0-9a-f]{32})(/(?P<span>[0-9]{1,20}))?(;o=(?P<sampled>[01]))?")
_NO_TRACE, _NO_SPAN = "0" * 32, "0" * 16
_writing = threading.Lock()


@dataclass(frozen=True, slots=True)
class Trace:
    """The trace that a request belongs to; all empty where it has none. `span` is 16 hexadecimal digits."""

    id: str = ""
    span: str = ""
    sampled: bool = False


def trace_of(headers: Headers) -> Trace:
    """The trace of `traceparent`, else of `X-Cloud-Trace-Context`; none where neither is well formed."""
    found = _W3C.fullmatch(headers.get("traceparent", ""))
    if found and found["trace"] != _NO_TRACE:
        span = "" if found["span"] == _NO_SPAN else found["span"]
        return Trace(found["trace"], span, bool(int(found["flags"], 16) & 1))
    found = _CLOUD.fullmatch(headers.get("X-Cloud-Trace-Context", "").lower())
    if found and found["trace"] != _NO_TRACE:
        number = int(found["span"] or 0)
        return Trace(found["trace"], f"{number:016x}" if 0 < number < 1 << 64 else "", found["sampled"] == "1")
    return Trace()


@dataclass(frozen=True, slots=True)
class Entries:
    """Writes the entries of one call of `function`."""

    function: str
    clock: Clock
    trace: Trace
    execution: str = ""
    project: str = ""
    environment: str = ""
    redactor: Redactor = field(default_factory=Redactor)

    @staticmethod
    def of(function: str, headers: Headers, environ: Mapping[str, str], clock: Clock) -> Entries:
        return Entries(
            function,
            clock,
            trace_of(headers),
            headers.get("Function-Execution-Id", ""),
            environ.get("GOOGLE_CLOUD_PROJECT", ""),
            environ.get("ENVIRONMENT", ""),
            Redactor(values=secrets_of(environ)),
        )

    def say(self, severity: Severity, message: str, context: Mapping[str, Any] | None = None) -> None:
        self._write_own(Kind.SYSTEM_EVENT, severity, {"message": message, "context": dict(context or {})})

    def tell_of(self, error: BaseException) -> None:
        """An error that nobody expected, with its stack."""
        told = describe(error, self.function, {})
        data = {name: getattr(told, name) for name in told.__struct_fields__}
        self._write_own(Kind.ERROR, Severity.ERROR, data)

    def pass_on(self, record: Mapping[str, Any]) -> None:
        """Write a record as what it is. Entries with the same record id are one in Cloud Logging."""
        entry = entry_of(record, self.project)
        self._write(entry | ({} if _GOOGLE + "trace" in entry else self._trace_fields()))

    def _write_own(self, kind: Kind, severity: Severity, data: dict[str, Any]) -> None:
        record = {
            "id": str(uuid.uuid4()),
            "ts": lines.timestamp(self.clock.now()),
            "kind": kind,
            "severity": severity,
            "bot_type": "function",
            "bot": self.function,
            "data": data,
        }
        if self.environment:
            record["environment"] = self.environment
        self._write(entry_of(record, self.project) | self._trace_fields())

    def _trace_fields(self) -> dict[str, Any]:
        if not self.trace.id:
            return {}
        name = f"projects/{self.project}/traces/{self.trace.id}" if self.project else self.trace.id
        fields: dict[str, Any] = {_GOOGLE + "trace": name, _GOOGLE + "trace_sampled": self.trace.sampled}
        return fields | ({_GOOGLE + "spanId": self.trace.span} if self.trace.span else {})

    def _write(self, entry: dict[str, Any]) -> None:
        if self.execution:
            entry[_GOOGLE + "labels"] = {**entry[_GOOGLE + "labels"], "execution_id": self.execution}
        line = self.redactor.clean(encode_entry(entry).decode())
        with _writing:
            sys.stdout.write(line)
            sys.stdout.flush()

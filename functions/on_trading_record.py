"""Says on stdout what is worth an alert, as its record comes from Pub/Sub: risk events, warnings, errors.

A message is a record as the journal wrote it (`runner.stores.envelope`). It is checked, and written as an entry of
Cloud Logging at its own severity, so that an alert on the log sees it seconds after the bot said it, wherever the bot
runs. The entry carries the record's time and id: if the message comes twice, Cloud Logging keeps one. Records below
`TRON_FUNCTION_SEVERITY` are acknowledged and not written, because every byte of a log is paid for; a filter on the
subscription keeps them from coming.

What is no record is never acknowledged: it comes again until the subscription moves it to the dead letters.
"""

from __future__ import annotations

import base64
import binascii
import os
import threading
from collections.abc import Mapping
from typing import Any, Protocol

import flask
import functions_framework
import msgspec

from functions.entries import Entries
from functions.frame import BROKEN, DOORKEEPER, UNAVAILABLE
from functions.options import Options
from functions.refusal import BAD_REQUEST, Refused
from runner.clock import SystemClock
from runner.errors import RunnerError, StoreError, StoreRejected
from runner.logging import lines
from runner.logging.log_types import Severity
from runner.stores.envelope import read_envelope
from runner.stores.seen import Seen

PUBLISHED = "google.cloud.pubsub.topic.v1.messagePublished"
_RANK = {severity: rank for rank, severity in enumerate(Severity)}
_CLOCK = SystemClock()
_HINT = "who else publishes to this topic?"
_seen, _handling = Seen(), threading.Lock()


class Event(Protocol):
    """A CloudEvent: its attributes by name, and its data."""

    @property
    def data(self) -> Any: ...

    def __getitem__(self, name: str) -> Any: ...


@functions_framework.cloud_event
def on_trading_record(event: Event) -> None:
    """Handle one message. What it answers with is 400 for what is no record, 401 and 403 for who may not call."""
    entries = Entries.of("on_trading_record", flask.request.headers, os.environ, _CLOCK)
    try:
        options = Options.load(os.environ)
        DOORKEEPER.check(flask.request.headers, options)
        record = read_record(event)
        if _RANK[record["severity"]] >= _RANK[options.severity]:
            _write_once(record, entries)
    except RunnerError as error:
        _refuse(error, event, entries)


def read_record(event: Event) -> dict[str, Any]:
    """The record that an event brings. Raises `StoreRejected` when it brings none that is whole."""
    if event["type"] != PUBLISHED:
        raise StoreRejected(f"an event of the type {event['type']}", "subscribe the function to the topic of records")
    message = event.data.get("message") if isinstance(event.data, Mapping) else None
    encoded = message.get("data") if isinstance(message, Mapping) else None
    if not isinstance(encoded, str):
        raise StoreRejected("a message without data", _HINT)
    try:
        body = base64.b64decode(encoded, validate=True)
    except binascii.Error as error:
        raise StoreRejected(f"the data of a message is not base64: {error}", _HINT) from None
    envelope = read_envelope(body)
    if not lines.is_intact(body + b"\n"):
        raise StoreRejected(f"record {envelope.id} was changed on its way", "the archive has it as it was")
    if envelope.severity not in _RANK:
        raise StoreRejected(f"record {envelope.id} has the severity {envelope.severity!r}", "update the function")
    return lines.decode(body)


def _write_once(record: Mapping[str, Any], entries: Entries) -> None:
    with _handling:
        if record["id"] in _seen:
            return
        try:
            entries.pass_on(record)
        except (KeyError, TypeError) as error:
            raise StoreRejected(f"record {record['id']} lacks {error}", "update the function") from None
        _seen.add(record["id"])
        _seen.save()


def _refuse(error: RunnerError, event: Event, entries: Entries) -> None:
    """Give the message back, with a status that says why."""
    status = _status(error)
    message = event.data.get("message") if isinstance(event.data, Mapping) else None
    context: dict[str, Any] = {"status": status, "hint": error.hint}
    if isinstance(message, Mapping):
        context["message_id"] = message.get("messageId")
    severity = Severity.WARNING if isinstance(error, Refused) else Severity.ERROR
    entries.say(severity, f"on_trading_record: {error}", context)
    told = {"function": "on_trading_record", "error": str(error), "hint": error.hint}
    flask.abort(flask.Response(msgspec.json.encode(told) + b"\n", status, content_type="application/json"))


def _status(error: RunnerError) -> int:
    if isinstance(error, Refused):
        return error.status
    if isinstance(error, StoreRejected):
        return BAD_REQUEST
    return UNAVAILABLE if isinstance(error, StoreError) else BROKEN

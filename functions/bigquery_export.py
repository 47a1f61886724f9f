"""Loads what is new in the archive into the warehouse, each object once (`runner.operations.exports`)."""

from __future__ import annotations

from contextlib import closing

import functions_framework
from flask import Request

from functions.bodies import ExportBody
from functions.frame import Answer, Call, Outcome, answer
from runner.logging.log_types import Severity
from runner.operations.days import Days
from runner.operations.exports import ExportReport, export
from runner.operations.schemas import columns
from runner.operations.set_aside import SetAside
from runner.operations.tables import shapes
from runner.stores.open import open_archive, open_warehouse

_SECONDS_TO_LOAD, _SHARE_TO_LOAD = 20.0, 0.4
"""What is kept back for loading what was read: so many seconds, or this share of the time where that is less."""


@functions_framework.http
def bigquery_export(request: Request) -> Answer:
    """Export until the time is over; the warehouse knows what it holds, so the next call goes on."""
    return answer("bigquery_export", request, ExportBody, _work)


def _work(call: Call[ExportBody]) -> Outcome:
    with (
        closing(open_archive(call.settings)) as archive,
        closing(open_warehouse(call.settings, columns(), shapes())) as warehouse,
    ):
        kept_back = min(_SECONDS_TO_LOAD, call.seconds_left * _SHARE_TO_LOAD)
        report = export(
            archive,
            warehouse,
            days=_days(call),
            retry=call.body.retry,
            stop=lambda: call.seconds_left <= kept_back,
            on_set_aside=lambda aside: _alert(call, aside),
            clock=call.clock,
        )
    return Outcome(report.as_dict(), next=_next(report))


def _days(call: Call[ExportBody]) -> Days | None:
    since = call.body.since
    return Days(since, call.body.until or call.clock.now().date()) if since else None


def _alert(call: Call[ExportBody], aside: SetAside) -> None:
    call.entries.say(Severity.ERROR, f"{aside.bucket}/{aside.name} cannot be exported: {aside.reason}", aside.as_dict())


def _next(report: ExportReport) -> str | None:
    return None if report.done else "what the warehouse does not hold yet"

"""Joins the many small objects of days that are over into few large ones (`runner.logging.compaction`)."""

from __future__ import annotations

import functions_framework
from flask import Request

from functions.bodies import CompactBody
from functions.frame import Answer, Call, Outcome, answer
from runner.logging.lifecycle_manager import LogLifecycleManager


@functions_framework.http
def compact_archive(request: Request) -> Answer:
    """Compact until the time is over, oldest day first; what is left is found again by the next call."""
    return answer("compact_archive", request, CompactBody, _work)


def _work(call: Call[CompactBody]) -> Outcome:
    asked = call.body
    with LogLifecycleManager(call.settings, clock=call.clock) as manager:
        report = manager.compact_archive(day=asked.day, deadline_seconds=call.seconds_left, dry_run=asked.dry_run)
    return Outcome(report.as_dict(), next=report.left or None, failed=report.failed)

"""Deletes what nobody needs any more, once a day: see `runner.logging.cleanup` for what that is, and what it is not."""

from __future__ import annotations

import functions_framework
from flask import Request

from functions.bodies import CleanupBody
from functions.frame import Answer, Call, Outcome, answer
from runner.logging.lifecycle_manager import LogLifecycleManager


@functions_framework.http
def daily_cleanup(request: Request) -> Answer:
    """Clean up until the time is over; what is left is found again by the next call."""
    return answer("daily_cleanup", request, CleanupBody, _work)


def _work(call: Call[CleanupBody]) -> Outcome:
    with LogLifecycleManager(call.settings, clock=call.clock) as manager:
        report = manager.run_daily_cleanup(deadline_seconds=call.seconds_left, dry_run=call.body.dry_run)
    return Outcome(report.as_dict(), next=report.left or None, failed=report.failed)

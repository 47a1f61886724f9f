"""Says what this month costs so far and will cost, or what another month did cost (`runner.logging.costs.report`)."""

from __future__ import annotations

from contextlib import closing

import functions_framework
from flask import Request

from functions.bodies import CostBody
from functions.frame import Answer, Call, Outcome, answer
from functions.refusal import BAD_REQUEST, Refused
from functions.timed import timed
from runner.layout import Home
from runner.logging.costs import prices
from runner.logging.costs.ledger import check_month, read_ledger
from runner.logging.costs.report import CostReport, report
from runner.logging.costs.spend import billed_stores
from runner.logging.log_types import Severity
from runner.stores.open import open_archive


@functions_framework.http
def cost_report(request: Request) -> Answer:
    """Read the usage records of a month and answer with the report. Nothing is changed.

    Half a report is none: where the time is over before all is read, the answer is 503.
    """
    return answer("cost_report", request, CostBody, _work)


def _work(call: Call[CostBody]) -> Outcome:
    settings, now = call.settings, call.clock.now()
    month = check_month(call.body.month, now.date())
    with closing(open_archive(settings)) as archive:
        ledger = read_ledger(timed(archive, lambda: call.seconds_left), Home(settings.home), month)
    bots = sorted({bot for _, bot, _ in ledger.traffic})
    if call.body.bot and call.body.bot not in bots:
        raise Refused(BAD_REQUEST, f"no bot {call.body.bot!r} has records in {month}", f"there are: {', '.join(bots)}")
    found = report(ledger, prices.load(settings.costs), settings.costs, now, billed_stores(settings), call.body.bot)
    _compare_with_budget(found, call)
    return Outcome(found.as_dict())


def _compare_with_budget(found: CostReport, call: Call[CostBody]) -> None:
    """Alert where the whole month will cost more than its budget, before it does."""
    ahead = found.forecast
    if found.budget and ahead is not None and ahead.usd > found.budget:
        message = f"costs: {ahead.usd:.2f} US dollars are forecast for {found.month}, the budget is {found.budget:.2f}"
        call.entries.say(Severity.WARNING, message, {"low": ahead.low, "high": ahead.high, "method": ahead.method})

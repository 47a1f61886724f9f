"""Functions that do what a test of the frame needs, and the real ones with keys that a test holds."""

from __future__ import annotations

import os
import time
from decimal import Decimal

from flask import Request

import functions.callers
from functions.bodies import Body, DaysBody
from functions.frame import Answer, Call, Outcome, answer
from functions.on_trading_record import on_trading_record
from runner.errors import ConfigError, StoreUnavailable

__all__ = ["broken", "days", "on_trading_record", "slow", "unavailable", "unset"]

if "STAGE_KEYS_URL" in os.environ:
    functions.callers.KEYS_URL = os.environ["STAGE_KEYS_URL"]


def days(request: Request) -> Answer:
    """Says what it understood."""

    def work(call: Call[DaysBody]) -> Outcome:
        body = call.body
        return Outcome({"since": body.since, "until": body.until, "cents": Decimal("1.10"), "left": call.seconds_left})

    return answer("days", request, DaysBody, work)


def slow(request: Request) -> Answer:
    """Works until its time is over, and never finishes."""

    def work(call: Call[Body]) -> Outcome:
        time.sleep(call.seconds_left)
        return Outcome({"counted": 1}, next="2")

    return answer("slow", request, Body, work)


def broken(request: Request) -> Answer:
    def work(call: Call[Body]) -> Outcome:
        raise ValueError(f"nobody expected {os.environ.get('STAGE_API_KEY')}")

    return answer("broken", request, Body, work)


def unavailable(request: Request) -> Answer:
    def work(call: Call[Body]) -> Outcome:
        raise StoreUnavailable("the archive is down", "wait")

    return answer("unavailable", request, Body, work)


def unset(request: Request) -> Answer:
    def work(call: Call[Body]) -> Outcome:
        raise ConfigError("the archive has no name", "set TRON_ARCHIVE")

    return answer("unset", request, Body, work)

"""What every function of a schedule does around its work: let in who may call, read the request, time it, answer.

| status | means                                                                       | Cloud Scheduler |
|--------|-----------------------------------------------------------------------------|-----------------|
| 200    | done                                                                        | is content      |
| 202    | the time was over before the work was: the next call goes on from there     | is content      |
| 400    | the request is wrong, as `error` and `hint` say; also 405, 413              | tries again     |
| 401    | the caller is unknown; 403: known and not allowed                           | tries again     |
| 409    | the same function is at work in this instance                               | tries again     |
| 500    | settings are wrong, or something nobody expected (its stack is in the log)  | tries again     |
| 503    | a store cannot be used for now, or not for every step, as `failed` says     | tries again     |

Trying again is harmless for all of them, because the work is: what was done is seen in the stores, and left alone.
"""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Generic

import msgspec
from flask import Request

from functions.bodies import LARGEST_BODY, AnyBody, parse
from functions.callers import Doorkeeper, Keys
from functions.entries import Entries
from functions.options import Options, load_settings
from functions.refusal import BUSY, TOO_LARGE, UNAUTHENTICATED, WRONG_METHOD, Refused
from runner.clock import Clock, SystemClock
from runner.errors import RunnerError, StoreError
from runner.logging.log_types import Severity
from runner.settings import Settings

DONE, NOT_DONE, BROKEN, UNAVAILABLE = 200, 202, 500, 503
_CLOCK = SystemClock()
DOORKEEPER = Doorkeeper(_CLOCK, Keys(_CLOCK))

_encode = msgspec.json.Encoder(decimal_format="string").encode

Answer = tuple[str, int, dict[str, str]]


@dataclass(frozen=True, slots=True)
class Call(Generic[AnyBody]):
    """One request that is let in and understood. `ends` is when it must be over, on the monotonic clock."""

    body: AnyBody
    settings: Settings
    clock: Clock
    entries: Entries
    ends: float

    @property
    def seconds_left(self) -> float:
        return max(0.0, self.ends - self.clock.monotonic())


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a call did, as JSON. `next` says where the next call goes on; None when nothing is left.

    `failed` are the steps that could not be done, with their reasons, while others were.
    """

    report: Mapping[str, Any] = field(default_factory=dict)
    next: Any = None
    failed: Sequence[str] = ()

    @property
    def status(self) -> int:
        if self.failed:
            return UNAVAILABLE
        return DONE if self.next is None else NOT_DONE


Work = Callable[[Call[AnyBody]], Outcome]


def answer(function: str, request: Request, body: type[AnyBody], work: Work[AnyBody]) -> Answer:
    """Do the work that a request asks for, and say how it went, also where it failed."""
    began = _CLOCK.monotonic()
    entries = Entries.of(function, request.headers, os.environ, _CLOCK)
    try:
        call = _admit(request, body, began, entries)
        with _alone(function):
            outcome = work(call)
    except Exception as error:
        return _failure(function, error, entries)
    return _success(function, outcome, _CLOCK.monotonic() - began, entries)


def _admit(request: Request, body: type[AnyBody], began: float, entries: Entries) -> Call[AnyBody]:
    options = Options.load(os.environ)
    DOORKEEPER.check(request.headers, options)
    if request.method != "POST":
        raise Refused(WRONG_METHOD, f"{request.method} is not how this is asked for", "send a POST request")
    if (request.content_length or 0) > LARGEST_BODY:
        raise Refused(TOO_LARGE, f"the body has more than {LARGEST_BODY} bytes", "send a JSON object")
    asked = parse(body, request.get_data(), _CLOCK.now())
    seconds = min(options.budget, asked.deadline_seconds or options.budget)
    return Call(asked, load_settings(os.environ), _CLOCK, entries, began + seconds)


_SEVERITIES = {DONE: Severity.INFO, NOT_DONE: Severity.NOTICE, UNAVAILABLE: Severity.ERROR}
_MESSAGES = {
    DONE: "done",
    NOT_DONE: "the time is over, the next call goes on",
    UNAVAILABLE: "not every step could be done",
}

_at_work: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)


@contextmanager
def _alone(function: str) -> Iterator[None]:
    """Two calls at once do no harm, but each would do what the other does."""
    lock = _at_work[function]
    if not lock.acquire(blocking=False):
        raise Refused(BUSY, f"{function} is at work already", "call again when it has answered")
    try:
        yield
    finally:
        lock.release()


def _success(function: str, outcome: Outcome, seconds: float, entries: Entries) -> Answer:
    status = outcome.status
    told: dict[str, Any] = {"function": function, "done": status == DONE, "seconds": round(seconds, 3)}
    told["report"] = outcome.report
    if outcome.next is not None:
        told["next"] = outcome.next
    if outcome.failed:
        told["failed"] = outcome.failed
    entries.say(_SEVERITIES[status], f"{function}: {_MESSAGES[status]}", told)
    return _json(told, status)


def _failure(function: str, error: Exception, entries: Entries) -> Answer:
    """Requests that are refused are warnings; what an operator must look at are errors."""
    if not isinstance(error, RunnerError):
        entries.tell_of(error)
        return _json(_told(function, "something unexpected happened", "the function's log has the stack"), BROKEN)
    refused = isinstance(error, Refused)
    status = error.status if isinstance(error, Refused) else UNAVAILABLE if isinstance(error, StoreError) else BROKEN
    context = {"status": status, "hint": error.hint}
    entries.say(Severity.WARNING if refused else Severity.ERROR, f"{function}: {error}", context)
    return _json(_told(function, str(error), error.hint), status)


def _told(function: str, error: str, hint: str) -> dict[str, Any]:
    return {"function": function, "error": error, "hint": hint}


_HEADERS = {
    UNAUTHENTICATED: {"WWW-Authenticate": "Bearer"},
    WRONG_METHOD: {"Allow": "POST"},
    BUSY: {"Retry-After": "60"},
    UNAVAILABLE: {"Retry-After": "60"},
}


def _json(told: Mapping[str, Any], status: int) -> Answer:
    headers = {"Content-Type": "application/json", **_HEADERS.get(status, {})}
    return _encode(told).decode() + "\n", status, headers

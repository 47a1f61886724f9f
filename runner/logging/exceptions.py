"""Exceptions as data: type, message, stack, and the chain of causes."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping
from typing import Any

from runner.logging.log_types import ErrorData

_MOST_CAUSES = 10


def describe(error: BaseException, source: str, context: Mapping[str, Any]) -> ErrorData:
    """An error record's payload. `causes` follow `__cause__`, else `__context__` unless suppressed; nearest first."""
    causes = [{"type": _name(cause), "message": _message(cause), "stack": _stack(cause)} for cause in _causes(error)]
    return ErrorData(
        type=_name(error),
        message=_message(error),
        stack=_stack(error),
        causes=causes,
        source=source,
        context=dict(context),
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen = {id(error)}
    current = _cause(error)
    while current is not None and id(current) not in seen and len(seen) <= _MOST_CAUSES:
        yield current
        seen.add(id(current))
        current = _cause(current)


def _cause(error: BaseException) -> BaseException | None:
    if error.__cause__ is not None:
        return error.__cause__
    return None if error.__suppress_context__ else error.__context__


def _name(error: BaseException) -> str:
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as broken:
        return f"[{type(error).__name__} whose str raised {type(broken).__name__}]"


def _stack(error: BaseException) -> str:
    return "".join(traceback.format_tb(error.__traceback__))

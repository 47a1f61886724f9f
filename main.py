"""The entry points of the Cloud Functions. The bundle is this file beside `functions/` and `runner/`.

A function is imported when it is asked for: each is deployed alone, and need not load what the others need.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

FUNCTIONS = ("bigquery_export", "compact_archive", "cost_report", "daily_cleanup", "on_trading_record")


def __getattr__(name: str) -> Any:
    if name in FUNCTIONS:
        return getattr(import_module(f"functions.{name}"), name)
    raise AttributeError(f"there is no function {name!r}: there are {', '.join(FUNCTIONS)}")

"""CSV that is safe to open in a spreadsheet: exact numbers, and no text that would be run as a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

_STARTS_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")


def csv_text(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """CSV as RFC 4180 has it, with a header line. Each line ends in CR LF, so that either one in a text is quoted."""
    sink = io.StringIO()
    writer = csv.writer(sink)
    writer.writerow(header)
    writer.writerows([cell(value) for value in row] for row in rows)
    return sink.getvalue()


def cell(value: Any) -> str:
    """A value as a cell: nothing for None, Decimals as `amount` writes them, times in ISO 8601.

    A text that a spreadsheet could take for a formula begins with an apostrophe, also behind blanks. Numbers given as
    numbers are left alone: `Decimal("-1")` stays -1, while the text "-1" does not.
    """
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return amount(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    text = str(value)
    if isinstance(value, str) and text.lstrip(" ").startswith(_STARTS_FORMULA):
        return f"'{text}"
    return text


def amount(value: Decimal) -> str:
    """A Decimal with every digit that says something: no exponent, no zeros at the end beyond the second place."""
    whole, point, places = f"{value:f}".partition(".")
    return f"{whole}{point}{places[:2]}{places[2:].rstrip('0')}"

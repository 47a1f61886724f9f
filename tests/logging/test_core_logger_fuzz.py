"""Whatever a bot gives the logger: one line a record, valid JSON, numbers without a gap, and nothing else lost."""

from __future__ import annotations

import collections
import contextlib
import enum
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.errors import RecordInvalid
from runner.logging import lines, payloads
from runner.logging.log_types import PAYLOADS, ErrorData, EventData, Kind, Number
from runner.logging.redaction import Redactor
from runner.testing import CapturingLogger

REDACTOR = Redactor(values=('pä"ss/wörd\\1',))


class Colour(enum.Enum):
    RED = "red"


class Raising:
    def __repr__(self) -> str:
        raise ValueError("no")


class RaisingMapping(collections.UserDict[str, Any]):
    def items(self) -> Any:
        raise RuntimeError("no")


class Shouting(str):
    def __str__(self) -> str:
        raise ValueError("no")


def cycle() -> list[Any]:
    found: list[Any] = []
    found.append({"again": found})
    return found


def deep() -> list[Any]:
    found: list[Any] = []
    for _ in range(5000):
        found = [found]
    return found


def endless() -> dict[str, Any]:
    return {"\x00" * 1000 + str(number): "\x01" * 1000 for number in range(500)}


ODD_VALUES: list[Any] = [
    Colour.RED,
    Raising(),
    RaisingMapping(a=1),
    Shouting("x"),
    cycle(),
    deep(),
    endless(),
    "x" * 2_000_000,
    "\x00" * 300_000,
    b"\xff\x00",
    bytearray(b"\x01"),
    memoryview(b"abc"),
    "\ud800",
    10**6000,
    -(2**63) - 1,
    2**64,
    float("nan"),
    float("inf"),
    Decimal("NaN"),
    Decimal("sNaN"),
    Decimal("-Infinity"),
    Decimal("1E+999999"),
    datetime(2026, 1, 1),  # noqa: DTZ001  a naive one is the point
    datetime.min,  # noqa: DTZ901  likewise
    date.max,
    frozenset({1, 2}),
    range(3),
    object,
    NotImplemented,
    list(range(5000)),
    {1: "a", "1": "b", None: "c", (1, 2): "d", "a.b\nc": 1, Shouting("k"): 2},
    {"password": "secret", "nested": [{"accessToken": "x"}]},
    EventData(message="m", context={"a": {1, 2}}),
    'a pä"ss/wörd\\1 in a text',
]


def odd(number: int) -> Any:
    return ODD_VALUES[number]


ODD = st.integers(0, len(ODD_VALUES) - 1).map(odd)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | ODD,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


def check_line(data: bytes) -> dict[str, Any]:
    assert b"\n" not in data
    assert len(data) <= lines.MAX_LINE - 4096
    found = msgspec.json.decode(data)
    assert isinstance(found, dict)
    return found


@given(VALUES, VALUES)
@settings(max_examples=150)
def test_a_free_value_is_always_written_as_one_short_line(message: Any, value: Any) -> None:
    found = check_line(payloads.encode(EventData(message=message, context={"value": value}), REDACTOR))

    assert set(found) <= {"message", "context", "_repaired"}


@given(VALUES)
@settings(max_examples=100)
def test_a_context_of_any_type_is_kept_or_named_as_repaired(value: Any) -> None:
    found = check_line(payloads.encode(EventData(message="m", context=value), REDACTOR))

    if not isinstance(value, Mapping):
        assert "context" in found["_repaired"]


def _fields(kind: Kind) -> Iterator[tuple[str, Any]]:
    return iter((field.name, field.type) for field in msgspec.structs.fields(PAYLOADS[kind]))


@given(st.sampled_from(list(PAYLOADS)), st.data())
@settings(max_examples=300)
def test_a_payload_of_any_kind_is_written_or_refused_as_invalid(kind: Kind, data: st.DataObject) -> None:
    plain: dict[str, Any] = {name: data.draw(_right(hint), label=name) for name, hint in _fields(kind)}
    spoiled = data.draw(st.sampled_from(sorted(plain)))
    check_line(payloads.encode(PAYLOADS[kind](**plain), REDACTOR))

    with contextlib.suppress(RecordInvalid):
        check_line(payloads.encode(PAYLOADS[kind](**{**plain, spoiled: data.draw(VALUES)}), REDACTOR))


def _right(hint: Any) -> st.SearchStrategy[Any]:
    """Values that a field of this type takes."""
    if hint in (payloads.Id, payloads.Symbol, payloads.Text, str):
        return st.sampled_from(["A", "BTC/USDT"[:3], "X.1"])
    known: dict[Any, st.SearchStrategy[Any]] = {
        bool: st.booleans(),
        int: st.integers(-(2**63), 2**63 - 1),
        float: st.floats(allow_nan=False, allow_infinity=False),
        Decimal: st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9),
        date: st.dates(),
        datetime: st.datetimes(timezones=st.timezones(), min_value=datetime(1971, 1, 1)),  # noqa: DTZ001  made aware
    }
    if hint in known:
        return known[hint]
    arguments = get_args(hint)
    if set(get_args(Number)) <= set(arguments):
        return known[Decimal] | known[float] | known[int]
    if type(None) in arguments:
        return st.none() | _right(next(argument for argument in arguments if argument is not type(None)))
    if arguments and all(isinstance(argument, str) for argument in arguments):
        return st.sampled_from(arguments)
    return st.just([]) if str(hint).startswith("list") else st.just({})


@given(st.lists(VALUES, min_size=1, max_size=6))
@settings(max_examples=25)
def test_after_any_input_the_next_record_has_the_next_number(values: list[Any]) -> None:
    with CapturingLogger() as logger:
        for value in values:
            logger.log_system_event("seen", value=value)
            logger.log_error(ValueError(value), {"value": value})
            with pytest.raises(RecordInvalid):
                logger.log_performance_metric("\n", value)
            logger.bind(value=value).log_debug("bound")
        logger.log_system_event("last")
        records = logger.captured

    assert [record["seq"] for record in records] == list(range(3 * len(values) + 1))
    assert records[-1]["data"]["message"] == "last"


@given(VALUES)
@settings(max_examples=25)
def test_the_journal_holds_whole_lines_with_checksums_whatever_was_written(value: Any) -> None:
    with CapturingLogger() as logger:
        logger.bind(value=value).log_system_event("seen", value=value)
        logger.flush()
        segment = next(Path(logger._home.journal).glob("*/system/*.ndjson"))
        written = segment.read_bytes()

    found = lines.split(written)
    assert len(found) == 1
    assert all(lines.is_intact(line) and len(line) <= lines.MAX_LINE for line in found)


def test_an_exception_that_cannot_be_shown_is_written_all_the_same() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no")

    with CapturingLogger() as logger:
        logger.log_error(Mute())
        assert "Mute" in logger.of_kind("error")[0]["type"]


def test_a_stack_of_megabytes_is_cut_and_named() -> None:
    found = msgspec.json.decode(payloads.encode(ErrorData(type="E", message="m", stack="s" * 2_000_000), REDACTOR))

    assert found["_repaired"] == ["stack"]
    assert len(found["stack"]) < 20_000

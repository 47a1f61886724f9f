"""Free values are repaired, never refused, and what was changed is named."""

from __future__ import annotations

import enum
import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.logging import payloads
from runner.logging.events import EventEncoder
from runner.logging.lines import timestamp
from runner.logging.log_types import EventData
from runner.logging.redaction import Redactor
from runner.logging.repair import BUDGET, Repair, encode_json


class Colour(enum.StrEnum):
    RED = "red"


class Whole(int):
    def __int__(self) -> int:
        raise ValueError("no")


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, None),
        (True, True),
        (2**63 - 1, 2**63 - 1),
        (1.5, 1.5),
        ("ü\n\x00", "ü\n\x00"),
        (Decimal("1.50"), "1.50"),
        (Colour.RED, "red"),
        (Whole(3), 3),
        (np.int64(5), 5),
        (np.float32(0.5), 0.5),
        (np.float64(0.5), 0.5),
        ((1, 2), [1, 2]),
        (date(2026, 1, 2), "2026-01-02"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00.000000Z"),
        (pd.Timestamp("2026-01-02", tz="UTC"), "2026-01-02T00:00:00.000000Z"),
        ({"a.b": {"c\nd": 1}}, {"a.b": {"c\nd": 1}}),
    ],
)
def test_a_value_that_json_can_hold_is_not_called_repaired(value: Any, written: Any) -> None:
    repair = Repair(Redactor())

    assert repair.value(value, "x") == written
    assert repair.paths == []


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (2**63, str(2**63)),
        (b"\x00\xff", "base64:AP8="),
        ("\ud800", "\\ud800"),
        (datetime(2026, 1, 2), "2026-01-02T00:00:00"),  # noqa: DTZ001  a naive one is the point
        (Decimal("NaN"), "NaN"),
        ({1: "a", "1": "b"}, {"1": "a", "1~1": "b"}),
        (pd.NaT, "NaT"),
    ],
)
def test_what_had_to_be_changed_is_named(value: Any, written: Any) -> None:
    repair = Repair(Redactor())

    assert repair.value(value, "x") == written
    assert repair.paths
    assert all(path.startswith("x") for path in repair.paths)


def test_the_path_of_a_repair_leads_to_it() -> None:
    repair = Repair(Redactor())
    repair.value({"a": [1, {"b": float("nan")}]}, "context")

    assert repair.paths == ["context.a.1.b"]


def test_a_text_is_cut_and_says_by_how_much() -> None:
    repair = Repair(Redactor())

    assert repair.text("x" * 20_000, "m").endswith("... [3616 characters cut]")


def test_many_repairs_are_not_all_named() -> None:
    repair = Repair(Redactor())
    repair.value([float("nan")] * 1000, "x")

    assert 0 < len(repair.paths) <= 50


@pytest.mark.parametrize(
    "make",
    [
        lambda: ["\x00" * 16_000] * 1000,
        lambda: {str(number): "x" * 16_000 for number in range(1000)},
        lambda: {"\x01" * 1000 + str(number): number for number in range(1000)},
        lambda: [[[[0] * 1000] * 1000] * 1000] * 1000,
    ],
)
def test_free_values_never_take_more_than_their_budget(make: Callable[[], Any]) -> None:
    repair = Repair(Redactor())

    assert len(encode_json(repair.value(make(), "x"))) <= BUDGET + 16 * 1024
    assert repair.paths


PLAIN = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.lists(st.integers(), max_size=3)
)


@given(st.text(), st.dictionaries(st.text() | st.sampled_from(["token", "size", "a.b"]), PLAIN))
def test_the_quick_way_of_an_event_writes_what_the_careful_way_writes(message: str, fields: dict[str, Any]) -> None:
    redactor = Redactor(values=["hunter2"])
    quick = EventEncoder(redactor)
    quick.encode("learn", dict.fromkeys(fields))

    written = quick.encode(message, fields)

    assert written == payloads.encode(EventData(message=message, context=fields), redactor)
    json.loads(written)


@given(st.datetimes(timezones=st.timezones(), min_value=datetime(2, 1, 1)))  # noqa: DTZ001  made aware by hypothesis
def test_a_time_always_has_six_digits_and_a_z(moment: datetime) -> None:
    for text in (timestamp(moment), timestamp(moment.astimezone(UTC))):
        assert len(text) == 27
        assert datetime.fromisoformat(text) == moment.astimezone(UTC)

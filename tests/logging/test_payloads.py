"""Typed fields are exact or refused; the message names the field and stays short."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec
import numpy as np
import pytest

from runner.errors import RecordInvalid
from runner.logging import payloads
from runner.logging.log_types import (
    PAYLOADS,
    ForecastData,
    HeartbeatData,
    Kind,
    OrderData,
    PredictionData,
    ReflectionData,
)
from runner.logging.redaction import Redactor
from runner.logging.routes import KINDS


def encode(payload: msgspec.Struct) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(payloads.encode(payload, Redactor()))
    return found


def order(**changes: Any) -> OrderData:
    return OrderData(**{"order_id": "o", "symbol": "A", "side": "BUY", "quantity": 1, "status": "new", **changes})


def forecast(**changes: Any) -> ForecastData:
    moment = datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=1)))
    values = {"symbol": "A", "model": "m", "forecast_type": "close", "horizon_minutes": 60, "predicted_value": 1}
    return ForecastData(**{**values, "confidence": 0.5, "expires_at": moment, **changes})


def test_every_kind_has_a_payload_and_a_route() -> None:
    assert set(PAYLOADS) == set(Kind) == set(KINDS)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1, "1"),
        (-0.5, "-0.5"),
        (0.1, "0.1"),
        (1e16, "10000000000000000"),
        (1e-7, "0.0000001"),
        (Decimal("1.10"), "1.10"),
        (Decimal("0E-8"), "0.00000000"),
        (Decimal("1E+3"), "1000"),
        (Decimal("-0"), "-0"),
        (10**30, "1" + "0" * 30),
        (np.float64(2.5), "2.5"),
        (np.int64(7), "7"),
    ],
)
def test_a_number_is_written_plainly_and_loses_nothing(number: Any, text: str) -> None:
    written = encode(order(quantity=number))["quantity"]

    assert written == text
    assert Decimal(written) == Decimal(str(number))


@pytest.mark.parametrize(
    "wrong",
    [
        *("1", b"1", None, True, np.bool_(True), Fraction(1, 3), 1j, [], object()),
        *(float("nan"), float("-inf"), Decimal("NaN"), Decimal("sNaN"), Decimal("1E+401"), Decimal("1E-401")),
        pytest.param(Decimal("1" * 900), id="nine hundred digits"),
        pytest.param(1 << 2000, id="two thousand bits"),
    ],
)
def test_what_is_no_finite_number_is_refused_by_its_name(wrong: Any) -> None:
    with pytest.raises(RecordInvalid, match="quantity is") as refused:
        encode(order(quantity=wrong))

    assert len(str(refused.value)) < 200
    assert refused.value.hint


def test_a_time_is_written_in_utc() -> None:
    assert encode(forecast())["expires_at"] == "2026-01-01T23:00:00.000000Z"


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("expires_at", datetime(2026, 1, 2)),  # noqa: DTZ001  a naive one is the point
        ("expires_at", date(2026, 1, 2)),
        ("expires_at", datetime.min.replace(tzinfo=timezone(timedelta(hours=5)))),
        ("horizon_minutes", 1.0),
        ("horizon_minutes", True),
        ("horizon_minutes", 1 << 63),
        ("confidence", "0.5"),
        ("confidence", float("nan")),
        ("model", "a\nb"),
        ("model", "\ud800"),
        ("symbol", "a"),
    ],
)
def test_a_typed_field_of_another_type_is_refused(field: str, wrong: Any) -> None:
    with pytest.raises(RecordInvalid, match=field):
        encode(forecast(**{field: wrong}))


def test_a_whole_number_is_a_fine_float() -> None:
    prediction = PredictionData(symbol="A", model="m", label="high_040_4", probability=1)

    assert encode(prediction)["probability"] == 1.0


def test_a_day_is_not_a_moment() -> None:
    with pytest.raises(RecordInvalid, match="date"):
        encode(ReflectionData(date=datetime(2026, 1, 2, tzinfo=UTC), text="t"))


def test_a_flag_is_a_boolean() -> None:
    with pytest.raises(RecordInvalid, match="halted"):
        encode(HeartbeatData(status="ok", halted=1))  # type: ignore[arg-type]  # that is the point


@pytest.mark.parametrize("wrong", ["../x", "", "x" * 129, "a\nb", "a\x00", "\ud800", 7, None])
def test_an_id_that_could_lead_elsewhere_is_refused(wrong: Any) -> None:
    with pytest.raises(RecordInvalid, match="order_id"):
        encode(order(order_id=wrong))


def test_an_id_may_hold_slashes_quotes_and_letters_of_any_language() -> None:
    assert encode(order(order_id='ö/"x"'))["order_id"] == 'ö/"x"'


def test_a_choice_is_one_of_those_that_are_named() -> None:
    with pytest.raises(RecordInvalid, match="side is 'buy'") as refused:
        encode(order(side="buy"))

    assert refused.value.hint == "use one of BUY, SELL"

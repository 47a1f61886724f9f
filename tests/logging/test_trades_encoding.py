"""A trade becomes an audited record: checked, completed, exact. The quick way writes what the careful way writes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import RecordInvalid
from runner.logging.log_types import TradeLogData, TradeRecord
from runner.logging.redaction import Redactor
from runner.logging.trades import TradeEncoder, TradeEnvironment

MOMENT = "2026-01-02T15:30:00.000000Z"
ENVIRONMENT = TradeEnvironment(execution_mode="PAPER", session_id="s", bot_version="1", config_hash="c")
SECRET = "hunter2hunter2"


def values(**changes: Any) -> dict[str, Any]:
    return {
        "trade_id": "t-1",
        "symbol": "RELIANCE",
        "strategy": "vwap",
        "bot_type": "stock-trader",
        "direction": "long",
        "quantity": 10,
        "entry_price": 2500.0,
        "status": "open",
        **changes,
    }


def encoder() -> TradeEncoder:
    return TradeEncoder(ENVIRONMENT, Redactor(values=(SECRET,)))


def record(*, entry: bool = True, **changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(
        b"".join(encoder().encode(TradeLogData(**values(**changes)), MOMENT, entry))
    )
    return found


def test_a_record_has_the_fields_of_an_audited_trade_and_no_others() -> None:
    assert set(record()) == set(TradeRecord.__struct_fields__)


def test_what_a_bot_does_not_say_is_completed() -> None:
    found = record()

    assert (found["price"], found["total_value"], found["quantity"]) == ("2500.0", "25000.0", "10")
    assert (found["action"], found["order_id"], found["decision_reasoning"]) == ("BUY", "t-1", "unspecified")
    assert (found["entry_type"], found["execution_mode"], found["timestamp"]) == ("unspecified", "PAPER", MOMENT)


@pytest.mark.parametrize(
    ("direction", "entry", "action"),
    [("long", True, "BUY"), ("long", False, "SELL"), ("short", True, "SELL"), ("short", False, "BUY")],
)
def test_the_action_follows_from_direction_and_side(direction: str, entry: bool, action: str) -> None:
    assert record(entry=entry, direction=direction, exit_price=1)["action"] == action


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("direction", "LONG"),
        ("direction", None),
        ("direction", ["long"]),
        ("status", "done"),
        ("status", 1),
        ("strategy", "a\nb"),
        ("strategy", None),
        ("bot_type", 7),
        ("entry_type", "x" * 201),
        ("symbol", "reliance"),
        ("symbol", "A" * 21),
        ("symbol", ""),
        ("trade_id", "../x"),
        ("trade_id", ""),
        ("trade_id", "x" * 129),
        ("trade_id", "a\x7fb"),
        ("order_id", "a\nb"),
        ("order_id", 5),
        ("account_id", "\ud800"),
        ("quantity", 0),
        ("quantity", True),
        ("quantity", "10"),
        pytest.param("quantity", 10**5000, id="quantity-enormous"),
        ("quantity", Decimal("1E+1000")),
        ("entry_price", -1.0),
        ("entry_price", float("nan")),
        ("entry_price", Decimal("sNaN")),
        ("exit_price", Decimal("Infinity")),
        ("stop_loss", "180"),
        ("target", float("inf")),
        ("profit_loss", b"1"),
        ("risk_reward_ratio", float("nan")),
        ("risk_reward_ratio", "2"),
        ("hold_duration_seconds", 1.5),
        ("hold_duration_seconds", 2**63),
        ("exit_timestamp", datetime(2026, 1, 1)),  # noqa: DTZ001  a naive one is the point
        ("exit_timestamp", "2026-01-01"),
    ],
)
@pytest.mark.parametrize("decimal", [False, True])
def test_a_field_that_is_wrong_is_refused_by_its_name(field: str, wrong: Any, decimal: bool) -> None:
    known = encoder()
    right = values(quantity=Decimal(10), entry_price=Decimal(2500)) if decimal else values()
    known.encode(TradeLogData(**right), MOMENT, True)

    with pytest.raises(RecordInvalid, match="price" if field == "entry_price" else field):
        known.encode(TradeLogData(**{**right, field: wrong}), MOMENT, True)


def test_money_is_written_plainly_and_exactly() -> None:
    found = record(
        quantity=Decimal("0.00000001"),
        entry_price=Decimal("123456789012345678901234567890.123456789"),
        slippage=Decimal("0E-8"),
        commission=1e-07,
        stop_loss=Decimal("1E+3"),
        target=1e22,
    )

    assert found["total_value"] == "1234567890123456789012.34567890123456789"
    assert (found["quantity"], found["slippage"], found["commission"]) == ("0.00000001", "0.00000000", "0.0000001")
    assert (found["stop_loss"], found["target"]) == ("1000", "10000000000000000000000")


def test_text_that_must_be_repaired_is_named() -> None:
    found = record(reasoning="x" * 20_000, exit_reasoning="\ud800", indicators_used="rsi")

    assert found["_repaired"] == ["reasoning", "indicators_used", "exit_reasoning"]
    assert found["indicators_used"] == ["rsi"]


@pytest.mark.parametrize(
    "field", ["trade_id", "order_id", "account_id", "strategy", "entry_type", "outcome", "reasoning", "exit_reasoning"]
)
@pytest.mark.parametrize("again", [False, True])
def test_a_registered_secret_is_in_no_field(field: str, again: bool) -> None:
    known = encoder()
    exact = values(quantity=Decimal(1), entry_price=Decimal(1))
    plain, trade = TradeLogData(**exact), TradeLogData(**{**exact, field: f"a {SECRET}"})
    for _ in range(2 if again else 1):
        known.encode(plain, MOMENT, True)
        written = b"".join(known.encode(trade, MOMENT, True))

    assert SECRET.encode() not in written
    assert b"[redacted]" in written


def test_a_label_known_as_an_indicator_is_still_checked_as_a_label() -> None:
    known = encoder()
    exact = values(quantity=Decimal(1), entry_price=Decimal(1))
    known.encode(TradeLogData(**{**exact, "indicators_used": ["a\nb"]}), MOMENT, True)

    with pytest.raises(RecordInvalid, match="strategy"):
        known.encode(TradeLogData(**{**exact, "strategy": "a\nb"}), MOMENT, True)


MONEY = (
    st.decimals(allow_nan=True, allow_infinity=True)
    | st.decimals(min_value=-1000, max_value=1000, places=4)
    | st.integers(-5, 10**6)
    | st.floats()
)
TEXTS = st.text(max_size=20) | st.sampled_from(["plain", 'quo"te', "back\\slash", "a..b", "\x7f", "ü", f"has {SECRET}"])
OPTIONAL = st.fixed_dictionaries(
    {},
    optional={
        "trade_id": TEXTS,
        "order_id": TEXTS | st.none(),
        "account_id": st.sampled_from(["paper-1", "..", None]),
        "strategy": st.sampled_from(["vwap", "breakout", SECRET]),
        "direction": st.sampled_from(["long", "short", "LONG"]),
        "status": st.sampled_from(["open", "closed", "x"]),
        "quantity": MONEY,
        "entry_price": MONEY,
        "exit_price": MONEY | st.none(),
        "stop_loss": MONEY | st.none(),
        "target": MONEY | st.just("12"),
        "net_profit_loss": MONEY | st.none(),
        "reasoning": TEXTS | st.none(),
        "exit_reasoning": TEXTS | st.none() | st.just(7),
        "indicators_used": st.lists(st.sampled_from(["rsi", "ema", "\ud800"])) | st.just("rsi") | st.just(("rsi",)),
        "risk_reward_ratio": st.none() | st.floats() | st.integers(),
        "hold_duration_seconds": st.none() | st.integers() | st.booleans(),
        "exit_timestamp": st.none()
        | st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))])),
        "outcome": st.sampled_from(["win", "", None, 3]),
        "entry_type": st.sampled_from(["", None, "gap"]),
    },
)


@given(OPTIONAL, st.booleans())
def test_the_quick_way_writes_what_the_careful_way_writes(changes: dict[str, Any], entry: bool) -> None:
    known = encoder()
    said = {**values(quantity=Decimal(10), entry_price=Decimal("2500.5")), **changes}
    for name in ("trade_id", "quantity", "entry_price", "exit_price", "stop_loss", "reasoning", "exit_reasoning"):
        harmless = {**said, name: values(quantity=Decimal(10), entry_price=Decimal(2500)).get(name)}
        _outcome(known, harmless, entry)

    assert _outcome(known, said, entry) == _outcome(encoder(), said, entry)


def _outcome(encoder: TradeEncoder, said: dict[str, Any], entry: bool) -> dict[str, Any] | str:
    try:
        found: dict[str, Any] = msgspec.json.decode(b"".join(encoder.encode(TradeLogData(**said), MOMENT, entry)))
    except RecordInvalid as error:
        return str(error)
    return found


@pytest.mark.parametrize("money", [2500.0, Decimal(2500)])
def test_a_trade_cannot_end_without_the_price_at_which_it_did(money: Any) -> None:
    known = encoder()
    right = values(quantity=Decimal(10), entry_price=money, exit_price=money, status="closed")
    known.encode(TradeLogData(**right), MOMENT, False)

    with pytest.raises(RecordInvalid, match="exit_price"):
        known.encode(TradeLogData(**{**right, "exit_price": None}), MOMENT, False)


CLOSED: dict[str, Any] = {
    "exit_price": Decimal("2510.25"),
    "profit_loss": Decimal("102.5"),
    "net_profit_loss": Decimal("101.5"),
    "slippage": Decimal("0.02"),
    "commission": Decimal(1),
    "risk_reward_ratio": 2.5,
    "hold_duration_seconds": 3600,
    "exit_timestamp": datetime(2026, 1, 2, tzinfo=UTC),
    "exit_reasoning": "target reached",
}


@pytest.mark.parametrize(("changes", "entry"), [({}, True), ({"reasoning": "EMA crossed"}, True), (CLOSED, False)])
def test_a_trade_like_one_that_was_seen_takes_the_quick_way(
    changes: dict[str, Any], entry: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = encoder()
    plain = values(quantity=Decimal(10), entry_price=Decimal("2500.5"), indicators_used=["rsi", "ema"], **changes)
    known.encode(TradeLogData(**plain), MOMENT, entry)
    monkeypatch.setattr(known, "_checked", lambda *_: pytest.fail("this is the careful way"))

    written = known.encode(TradeLogData(**{**plain, "trade_id": "t-2", "order_id": "o-2"}), MOMENT, entry)

    assert msgspec.json.decode(b"".join(written))["order_id"] == "o-2"

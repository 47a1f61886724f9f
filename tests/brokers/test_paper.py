"""The paper broker fills as a market would: later, at worse prices, for a fee, and never on credit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.brokers.base import Rejection
from runner.brokers.charges import Charges
from runner.brokers.paper import PaperBroker
from runner.errors import ConfigError, OrderError
from runner.market.bars import Bar
from runner.market.instruments import AssetClass, instrument_of
from runner.market.orders import Fill, Order, Side, Trigger

DAY = timedelta(days=1)
START = datetime(2024, 1, 2, tzinfo=UTC)
FREE = Charges()


def bar(prices: str, *, day: int = 0, symbol: str = "AAPL") -> Bar:
    opened, high, low, close = (Decimal(price) for price in prices.split())
    return Bar(symbol, START + day * DAY, DAY, opened, high, low, close, Decimal(1000))


def broker(cash: str = "10000", charges: Charges = FREE) -> PaperBroker:
    instruments = {symbol: instrument_of(symbol, AssetClass.STOCK) for symbol in ("AAPL", "IBM")}
    instruments["BTC/USDT"] = instrument_of("BTC/USDT", AssetClass.CRYPTO)
    return PaperBroker(Decimal(cash), charges, instruments)


def order(
    side: Side = Side.BUY, quantity: str = "10", *, name: str = "o1", symbol: str = "AAPL", **prices: str
) -> Order:
    waits = {key: Decimal(price) for key, price in prices.items()}
    return Order(name, "t1", symbol, side, Decimal(quantity), START, **waits)


def fill_of(paper: PaperBroker, prices: str, day: int = 1) -> Fill:
    (answer,) = paper.on_bar(bar(prices, day=day))
    assert isinstance(answer, Fill)
    return answer


def test_a_market_order_fills_at_the_open_of_the_next_bar_of_its_symbol() -> None:
    paper = broker()
    paper.submit(order())
    assert list(paper.on_bar(bar("50 50 50 50", symbol="IBM"))) == []
    fill = fill_of(paper, "100 110 90 105")
    assert (fill.price, fill.at, fill.trigger) == (100, START + DAY, Trigger.OPEN)
    assert paper.cash == 9000
    assert list(paper.on_bar(bar("100 110 90 105", day=2))) == []


def test_slippage_and_fees_work_against_us_and_are_rounded_to_the_tick_against_us() -> None:
    paper = broker(charges=Charges(fee_bps=Decimal(5), slippage_bps=Decimal(2)))
    paper.submit(order())
    bought = fill_of(paper, "100.03 110 90 105")
    assert (bought.price, bought.slippage, bought.commission) == (Decimal("100.06"), Decimal("0.03"), Decimal("0.51"))
    paper.submit(order(Side.SELL, name="o2"))
    sold = fill_of(paper, "100.03 110 90 105", day=2)
    assert (sold.price, sold.slippage, sold.commission) == (Decimal("100.00"), Decimal("0.03"), Decimal("0.50"))
    assert paper.cash == Decimal("10000") - Decimal("1000.60") - Decimal("0.51") + Decimal("1000.00") - Decimal("0.50")


def test_what_the_cash_does_not_cover_is_rejected_with_the_reason_and_costs_nothing() -> None:
    paper = broker(cash="999.99")
    paper.submit(order())
    (answer,) = paper.on_bar(bar("100 110 90 105", day=1))
    assert isinstance(answer, Rejection)
    assert answer.reason == "10 AAPL at 100.00 cost 1000.00, 999.99 is free"
    assert paper.cash == Decimal("999.99")


LONG = {"stop": "95", "target": "110"}


@pytest.mark.parametrize(
    ("prices", "trigger", "price", "intraday"),
    [
        ("100 105 95 101", Trigger.STOP, "95", True),
        ("94 105 93 101", Trigger.STOP, "94", False),
        ("100 110 96 101", Trigger.TARGET, "110", True),
        ("112 115 96 101", Trigger.TARGET, "112", False),
        ("100 111 94 101", Trigger.STOP, "95", True),
        ("112 115 90 101", Trigger.TARGET, "112", False),
    ],
    ids=["stop", "gap below the stop", "target", "gap above the target", "both", "gap above the target, then the stop"],
)
def test_a_bracket_leaves_a_long_position_at_its_price_or_at_a_gapped_open_with_the_stop_first(
    prices: str, trigger: Trigger, price: str, *, intraday: bool
) -> None:
    paper = broker()
    paper.submit(order())
    fill_of(paper, "100 100 100 100")
    paper.submit(order(Side.SELL, name="o2", **LONG))
    assert list(paper.on_bar(bar("100 109.99 95.01 100", day=2))) == []
    fill = fill_of(paper, prices, day=3)
    assert (fill.trigger, fill.price) == (trigger, Decimal(price))
    assert fill.at == START + (4 if intraday else 3) * DAY


@pytest.mark.parametrize(
    ("prices", "trigger", "price"),
    [
        ("100 105 95 101", Trigger.STOP, "105"),
        ("107 108 96 101", Trigger.STOP, "107"),
        ("100 104 90 101", Trigger.TARGET, "90"),
        ("88 104 85 101", Trigger.TARGET, "88"),
    ],
    ids=["stop", "gap above the stop", "target", "gap below the target"],
)
def test_a_bracket_leaves_a_short_position_the_other_way_round(prices: str, trigger: Trigger, price: str) -> None:
    paper = broker()
    paper.submit(order(Side.SELL))
    fill_of(paper, "100 100 100 100")
    paper.submit(order(name="o2", stop="105", target="90"))
    fill = fill_of(paper, prices, day=2)
    assert (fill.trigger, fill.price) == (trigger, Decimal(price))


def test_a_short_sale_secures_its_proceeds_and_as_much_again_until_it_is_closed() -> None:
    paper = broker()
    paper.submit(order(Side.SELL, "60"))
    fill_of(paper, "100 100 100 100")
    assert (paper.cash, paper.buying_power) == (16000, 4000)
    paper.submit(order(Side.BUY, "60", name="o2"))
    fill_of(paper, "300 300 300 300", day=2)
    assert (paper.cash, paper.buying_power) == (-2000, -2000)


def test_a_cancelled_order_never_fills() -> None:
    paper = broker()
    paper.submit(order())
    paper.submit(order(name="o2", symbol="IBM"))
    assert paper.cancel("o1") == order()
    assert paper.cancel("o1") is None
    assert [cancelled.order_id for cancelled in paper.cancel_all()] == ["o2"]
    assert list(paper.on_bar(bar("100 110 90 105", day=1))) == []


def test_an_order_that_can_never_be_filled_is_refused_at_once() -> None:
    paper = broker()
    with pytest.raises(OrderError, match="TSLA is not traded here"):
        paper.submit(order(symbol="TSLA"))
    with pytest.raises(OrderError, match=r"0\.5 is no multiple of 1"):
        paper.submit(order(quantity="0.5"))
    paper.submit(order(quantity="0.00000001", symbol="BTC/USDT"))
    with pytest.raises(OrderError, match="submitted twice"):
        paper.submit(order(quantity="0.00000002", symbol="BTC/USDT"))


def test_charges_and_cash_that_make_no_sense_are_refused() -> None:
    for bps in ("-1", "10000", "NaN"):
        with pytest.raises(ConfigError, match="basis points"):
            Charges(fee_bps=Decimal(bps))
    with pytest.raises(ConfigError, match="cannot start with 0"):
        broker(cash="0")


@given(
    price=st.decimals(min_value="0.01", max_value=100_000, places=6),
    quantity=st.integers(1, 1000),
    fee=st.integers(0, 100),
    slippage=st.integers(0, 100),
)
def test_there_and_back_at_one_price_costs_exactly_slippage_and_commissions(
    price: Decimal, quantity: int, fee: int, slippage: int
) -> None:
    paper = broker("1000000000", Charges(Decimal(fee), Decimal(slippage)))
    flat = f"{price} {price} {price} {price}"
    paper.submit(order(quantity=str(quantity)))
    bought = fill_of(paper, flat)
    paper.submit(order(Side.SELL, str(quantity), name="o2"))
    sold = fill_of(paper, flat, day=2)
    lost = Decimal("1000000000") - paper.cash
    assert lost == (bought.slippage + sold.slippage) * quantity + bought.commission + sold.commission
    assert bought.slippage >= 0
    assert bought.price % Decimal("0.01") == 0

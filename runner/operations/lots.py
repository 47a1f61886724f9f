"""Lots: what was bought (or sold short) and is not closed yet, and which of them a closing trade uses up.

Quantities and money are exact. Where a lot is used up in parts, its fee is shared by quantity; the last part takes what
is left of it, so that nothing is lost to rounding.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from decimal import Context, Decimal, localcontext
from enum import StrEnum
from operator import attrgetter

_SHARE = Decimal("0.000000000001")
_DIGITS = 120


class Method(StrEnum):
    """Which lots a close uses up first."""

    FIFO = "fifo"
    LIFO = "lifo"
    TRADE = "trade"


@dataclass(frozen=True, slots=True)
class Execution:
    """One side of a trade. `opens` a lot or closes some; `fee` is that of this side. `trade` names entry and exit."""

    at: datetime
    account: str
    symbol: str
    is_long: bool
    opens: bool
    quantity: Decimal
    price: Decimal
    fee: Decimal
    trade: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Disposal:
    """A lot, or a part of one, that was closed."""

    opened: datetime
    closed: Execution
    quantity: Decimal
    open_price: Decimal
    fees: Decimal
    note: str

    @property
    def proceeds(self) -> Decimal:
        """What was taken in, before fees."""
        with exactly():
            return self.quantity * (self.closed.price if self.closed.is_long else self.open_price)

    @property
    def cost_basis(self) -> Decimal:
        """What was paid, before fees."""
        with exactly():
            return self.quantity * (self.open_price if self.closed.is_long else self.closed.price)

    @property
    def gain(self) -> Decimal:
        """Proceeds less cost basis and fees; negative is a loss."""
        with exactly():
            return self.proceeds - self.cost_basis - self.fees


def exactly() -> AbstractContextManager[Context]:
    """Within this, sums and products of amounts lose nothing: the default would round to 28 digits."""
    return localcontext(prec=_DIGITS)


@dataclass(slots=True)
class _Lot:
    opened: Execution
    left: Decimal
    fee_left: Decimal

    def take(self, quantity: Decimal) -> Decimal:
        """Use up a part of the lot; returns its share of the lot's fee."""
        share = self.fee_left if quantity == self.left else (self.fee_left * quantity / self.left).quantize(_SHARE)
        self.left -= quantity
        self.fee_left -= share
        return share


def dispose(executions: Iterable[Execution], method: Method) -> Iterator[Disposal]:
    """Every closed lot, in the order of the closes. `executions` are given in the order in which they happened.

    Lots of different accounts, symbols and directions are kept apart. What is closed without having been opened is left
    out: complete the executions first.
    """
    books: dict[tuple[str, str, bool], list[_Lot]] = {}
    for one in executions:
        book = books.setdefault((one.account, one.symbol, one.is_long), [])
        if one.opens:
            book.append(_Lot(one, one.quantity, one.fee))
            continue
        with exactly():
            closed = list(_close(book, one, method))
        yield from closed


def _close(book: list[_Lot], close: Execution, method: Method) -> Iterator[Disposal]:
    left, fee_left = close.quantity, close.fee
    for lot in _in_turn(book, close, method):
        if not left:
            return
        taken = min(left, lot.left)
        own = fee_left if taken == left else (fee_left * taken / left).quantize(_SHARE)
        fees = lot.take(taken) + own
        left, fee_left = left - taken, fee_left - own
        if not lot.left:
            book.remove(lot)
        note = "; ".join(note for note in (lot.opened.note, close.note) if note)
        yield Disposal(lot.opened.at, close, taken, lot.opened.price, fees, note)


def _in_turn(book: list[_Lot], close: Execution, method: Method) -> list[_Lot]:
    by_time = sorted(book, key=attrgetter("opened.at"))
    if method is Method.LIFO:
        return by_time[::-1]
    if method is Method.TRADE:
        return sorted(by_time, key=lambda lot: lot.opened.trade != close.trade)
    return by_time

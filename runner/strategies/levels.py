"""Stop and target prices at a distance from a price."""

from __future__ import annotations

from decimal import Decimal

_DIGITS = 4


def below(price: Decimal, distance: float) -> Decimal:
    """The price `distance` lower, at most half of it lower: a stop must stay above zero."""
    return max(price - _rounded(distance), price / 2)


def above(price: Decimal, distance: float) -> Decimal:
    """The price `distance` higher."""
    return price + _rounded(distance)


def _rounded(distance: float) -> Decimal:
    """Four significant digits: a distance is an estimate, whatever the price level."""
    return Decimal(f"{distance:.{_DIGITS}g}")

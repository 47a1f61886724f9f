"""What can be traded."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from runner.errors import ConfigError

_SYMBOL = re.compile(r"[A-Z0-9._/-]{1,20}")
_US_SYMBOL = re.compile(r"[A-Z0-9]+(\.[A-Z0-9]+)?")


class AssetClass(StrEnum):
    STOCK = "stock"
    CRYPTO = "crypto"
    OPTION = "option"


def check_symbol(symbol: str, *, us_venue: bool = False) -> str:
    """The symbol itself, or `ConfigError`: 1-20 characters `A-Z 0-9 . _ / -`; US venues: letters, digits, one dot."""
    pattern = _US_SYMBOL if us_venue else _SYMBOL
    if not (0 < len(symbol) <= 20 and pattern.fullmatch(symbol)):
        raise ConfigError(f"symbol {symbol!r} is not valid", "use 1-20 characters of A-Z 0-9 . _ / -, such as BTC/USDT")
    return symbol


@dataclass(frozen=True, slots=True)
class Instrument:
    """One tradable thing. Quantities are multiples of `lot_size`, prices of `tick_size`."""

    symbol: str
    asset_class: AssetClass = AssetClass.STOCK
    lot_size: Decimal = Decimal(1)
    tick_size: Decimal = Decimal("0.01")
    us_venue: bool = False

    def __post_init__(self) -> None:
        check_symbol(self.symbol, us_venue=self.us_venue)
        if self.lot_size <= 0 or self.tick_size <= 0:
            raise ConfigError(f"{self.symbol}: lot and tick size must be positive")

    def round_quantity(self, quantity: Decimal) -> Decimal:
        """The largest multiple of the lot size that is not above `quantity`."""
        return (quantity // self.lot_size) * self.lot_size


def instrument_of(symbol: str, asset_class: AssetClass) -> Instrument:
    """The usual instrument of a class: whole shares of US stocks, 1e-8 lots of crypto, contracts of options."""
    match asset_class:
        case AssetClass.STOCK:
            return Instrument(symbol, asset_class, us_venue=True)
        case AssetClass.CRYPTO:
            return Instrument(symbol, asset_class, lot_size=Decimal("0.00000001"), tick_size=Decimal("0.00000001"))
        case AssetClass.OPTION:
            return Instrument(symbol, asset_class, lot_size=Decimal("0.01"))

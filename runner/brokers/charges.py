"""What trading costs: fees on the value of a fill, slippage on its price."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_UP, Decimal

from runner.errors import ConfigError
from runner.market.orders import Side

_BPS = Decimal(10_000)


@dataclass(frozen=True, slots=True)
class Charges:
    """Fees and slippage in basis points: 5 means 0.05 %. Both are rounded to the instrument's tick, against us."""

    fee_bps: Decimal = Decimal(0)
    slippage_bps: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        for bps in (self.fee_bps, self.slippage_bps):
            if not bps.is_finite() or not 0 <= bps < _BPS:
                raise ConfigError(f"charges of {bps} basis points are not possible", "use 0 up to 9999; 5 means 0.05 %")

    def commission(self, value: Decimal, tick: Decimal) -> Decimal:
        """The fee on a fill worth `value`, rounded up to a multiple of `tick`."""
        return _to_tick(value * self.fee_bps / _BPS, tick, ROUND_UP)

    def price(self, side: Side, reference: Decimal, tick: Decimal) -> Decimal:
        """What is paid or got when the market stands at `reference`: above it to buy, below it to sell, never zero."""
        slipped = reference * (1 + side.sign * self.slippage_bps / _BPS)
        rounding = ROUND_UP if side is Side.BUY else ROUND_DOWN
        return max(_to_tick(slipped, tick, rounding), tick)


def _to_tick(amount: Decimal, tick: Decimal, rounding: str) -> Decimal:
    return ((amount / tick).to_integral_value(rounding) * tick).quantize(tick)

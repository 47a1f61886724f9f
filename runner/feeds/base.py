"""What every feed offers: bars, in the order in which they become known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Protocol

from runner.errors import FeedError
from runner.market.bars import Bar
from runner.market.instruments import AssetClass


class Feed(Protocol):
    """Market data that was checked when the feed was opened: reading its bars raises no error about their content."""

    @property
    def name(self) -> str:
        """What a person calls it, such as `sample`."""
        ...

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols that it has bars of, sorted."""
        ...

    @property
    def asset_class(self) -> AssetClass: ...

    @property
    def length(self) -> timedelta:
        """The length of every bar."""
        ...

    @property
    def total(self) -> int | None:
        """How many bars there are, None where nobody knows."""
        ...

    @property
    def default_speed(self) -> float:
        """Bars a second that suit a person who watches; 0 is as fast as possible."""
        ...

    def bars(self) -> Iterator[Bar]:
        """All bars from the first, ordered by end, then symbol."""
        ...


def choose_symbols(available: Sequence[str], wanted: Sequence[str]) -> tuple[str, ...]:
    """The wanted symbols, or all when none is named, sorted. Raises `FeedError` for one that is not available."""
    unknown = sorted(set(wanted) - set(available))
    if unknown:
        raise FeedError(
            f"the feed has no bars of {', '.join(unknown)}", f"available symbols: {', '.join(sorted(available))}"
        )
    return tuple(sorted(set(wanted or available)))

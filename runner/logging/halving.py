"""Sending a batch of which a store refuses some items for ever: they are found by halving, and set aside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from runner.errors import StoreRejected

Item = TypeVar("Item")


def send(
    batch: Sequence[Item],
    deliver: Callable[[Sequence[Item]], object],
    set_aside: Callable[[Item, StoreRejected], None],
) -> None:
    """Deliver all items in order, but for those that are refused when they are alone; these are `set_aside`."""
    if not batch:
        return
    try:
        deliver(batch)
    except StoreRejected as error:
        if len(batch) == 1:
            set_aside(batch[0], error)
            return
        middle = len(batch) // 2
        send(batch[:middle], deliver, set_aside)
        send(batch[middle:], deliver, set_aside)

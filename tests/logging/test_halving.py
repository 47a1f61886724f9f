"""A store that refuses some items for ever gets all others, in order."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from runner.errors import StoreRejected
from runner.logging import halving


@given(st.lists(st.booleans(), max_size=60))
def test_all_good_items_arrive_once_and_in_order_and_each_bad_one_is_set_aside(good: list[bool]) -> None:
    arrived: list[int] = []
    aside: list[int] = []

    def deliver(batch: Sequence[int]) -> None:
        if not all(good[item] for item in batch):
            raise StoreRejected("no")
        arrived.extend(batch)

    halving.send(range(len(good)), deliver, lambda item, error: aside.append(item))

    assert arrived == [item for item, is_good in enumerate(good) if is_good]
    assert aside == [item for item, is_good in enumerate(good) if not is_good]

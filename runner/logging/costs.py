"""What keeping records costs on Google Cloud, by operation, and what the naive way would cost.

Prices are data (`prices.json`), each with its source and the day it was read. Estimates are list prices without free
tiers. The naive way writes one Firestore document a record and a state, and lets the store's own expiry delete them.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib import resources
from typing import Any

import msgspec

GIB = Decimal(1 << 30)
TIB = Decimal(1 << 40)
_ARCHIVE_MONTHS = 12
_NAIVE_DOCUMENT_BYTES = 3000
_NAIVE_MONTHS = 1


@dataclass(frozen=True, slots=True)
class Work:
    """What was done: counts and bytes. `states` are live states before coalescing, `documents` the distinct keys."""

    records: int
    states: int
    live_writes: int
    documents: int
    objects: int
    stored_bytes: int
    published_bytes: int


@dataclass(frozen=True, slots=True)
class Cost:
    """One line of a bill, in US dollars."""

    name: str
    amount: Decimal


@cache
def prices() -> dict[str, Any]:
    return dict(msgspec.json.decode(resources.files("runner.logging").joinpath("prices.json").read_bytes()))


def estimate(work: Work) -> list[Cost]:
    """The bill of our way: coalesced documents, few large objects kept a year, one message stream."""
    firestore, storage, pubsub = prices()["firestore"], prices()["storage"], prices()["pubsub"]
    return [
        Cost("Firestore writes", work.live_writes * Decimal(firestore["write_100k"]) / 100_000),
        Cost("Firestore expiry deletes", work.documents * Decimal(firestore["delete_100k"]) / 100_000),
        Cost("Cloud Storage objects", work.objects * Decimal(storage["class_a_1k"]) / 1000),
        Cost("Cloud Storage for a year", _stored(work.stored_bytes, storage["gib_month"], _ARCHIVE_MONTHS)),
        Cost("Pub/Sub", Decimal(work.published_bytes) / TIB * Decimal(pubsub["tib"])),
    ]


def estimate_naive(work: Work) -> list[Cost]:
    """The bill of the naive way for the same records."""
    firestore = prices()["firestore"]
    writes = work.records + work.states
    return [
        Cost("Firestore writes", writes * Decimal(firestore["write_100k"]) / 100_000),
        Cost("Firestore expiry deletes", work.records * Decimal(firestore["delete_100k"]) / 100_000),
        Cost(
            "Firestore for a month",
            _stored(work.records * _NAIVE_DOCUMENT_BYTES, firestore["gib_month"], _NAIVE_MONTHS),
        ),
    ]


def total(costs: list[Cost]) -> Decimal:
    return sum((cost.amount for cost in costs), Decimal(0))


def _stored(size: int, gib_month: str, months: int) -> Decimal:
    return Decimal(size) / GIB * Decimal(gib_month) * months

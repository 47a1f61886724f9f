"""The lifecycle that buckets have, beside the one that the retention table gives them.

A difference is shown, or applied. What is applied always holds the table's delete rule: a bucket that lost it would
keep and bill everything for ever. Rules that are not ours stay, and are told; one that deletes early is a problem.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from runner.logging.retention import BUCKETS, BucketRetention, rules
from runner.stores.base import Archive, Lifecycle, LifecycleRule


@dataclass(frozen=True, slots=True)
class BucketRules:
    """One bucket: `actual` rules (None for a bucket that is not there), those that are wanted, and whether they were
    `applied` now."""

    bucket: str
    wanted: tuple[LifecycleRule, ...]
    actual: Lifecycle | None
    applied: bool = False

    @property
    def add(self) -> tuple[LifecycleRule, ...]:
        return tuple(rule for rule in self.wanted if self.actual is not None and rule not in self.actual.rules)

    @property
    def remove(self) -> tuple[LifecycleRule, ...]:
        return tuple(rule for rule in self.actual.rules if rule not in self.wanted) if self.actual else ()

    @property
    def differs(self) -> bool:
        return bool(self.add or self.remove)

    @property
    def problems(self) -> Iterator[str]:
        """What a person must look at, as sentences."""
        if self.actual is None:
            yield f"there is no bucket {self.bucket}: Terraform makes it, or the first object does"
            return
        days = BUCKETS[self.bucket].days if self.bucket in BUCKETS else 0
        for text in self.actual.foreign:
            danger = f", and deletes before the {days} days are over" if _deletes_early(text, days) else ""
            yield f"{self.bucket} has a rule that is not ours{danger}: {text}; it stays, look at who set it"

    def as_dict(self) -> dict[str, Any]:
        return {
            "bucket": self.bucket,
            "exists": self.actual is not None,
            "wanted": [str(rule) for rule in self.wanted],
            "add": [str(rule) for rule in self.add],
            "remove": [str(rule) for rule in self.remove],
            "foreign": list(self.actual.foreign) if self.actual else [],
            "applied": self.applied,
        }


def compare(archive: Archive, bucket: str, retention: BucketRetention) -> BucketRules:
    """Raises `StoreError` when the bucket cannot be asked."""
    return BucketRules(bucket, rules(retention), archive.lifecycle(bucket))


def apply(archive: Archive, found: BucketRules) -> BucketRules:
    """Give a bucket the wanted rules where they differ. Raises `StoreError`; nothing is changed then."""
    if found.actual is None or not found.differs:
        return found
    archive.set_lifecycle(found.bucket, found.wanted)
    return BucketRules(found.bucket, found.wanted, found.actual, applied=True)


def in_words(found: Iterable[BucketRules]) -> Iterator[str]:
    """One line for each difference."""
    for one in found:
        did = "added" if one.applied else "to add"
        undid = "removed" if one.applied else "to remove"
        yield from (f"{one.bucket}: {did}: {rule}" for rule in one.add)
        yield from (f"{one.bucket}: {undid}: {rule}" for rule in one.remove)


def _deletes_early(text: str, days: int) -> bool:
    try:
        rule = json.loads(text)
        return rule["action"]["type"] == "Delete" and int(rule["condition"].get("age", 0)) < days
    except (ValueError, KeyError, TypeError, AttributeError):
        return False

"""Lifecycle rules as Google Cloud Storage writes them.

Ours are `Delete` with `age`, and `SetStorageClass` with `age` and perhaps `sizeAboveBytes`. Every other rule is
foreign: it is kept as it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from runner.stores.base import Lifecycle, LifecycleRule

JsonRule = Mapping[str, Any]


def lifecycle_of(resources: Iterable[JsonRule]) -> Lifecycle:
    """The rules of a bucket resource. Google carries them out itself."""
    rules, foreign = [], []
    for resource in resources:
        rule = _rule(resource)
        if rule is None:
            foreign.append(json.dumps(resource, sort_keys=True))
        else:
            rules.append(rule)
    return Lifecycle(tuple(sorted(rules)), tuple(foreign), enforced=True)


def resources_of(rules: Sequence[LifecycleRule], there: Iterable[JsonRule]) -> list[JsonRule]:
    """What to write into a bucket: the foreign rules among those that are there, then `rules`."""
    foreign = [dict(resource) for resource in there if _rule(resource) is None]
    return [*foreign, *map(_resource, sorted(rules))]


def _rule(resource: JsonRule) -> LifecycleRule | None:
    """Ours, or None for a foreign one."""
    try:
        action, condition = dict(resource["action"]), dict(resource["condition"])
        kind, days, above = action.pop("type"), int(condition.pop("age")), int(condition.pop("sizeAboveBytes", 0))
        storage_class = str(action.pop("storageClass", ""))
    except (KeyError, TypeError, ValueError):
        return None
    if action or condition or (kind, bool(storage_class)) not in {("Delete", False), ("SetStorageClass", True)}:
        return None
    return None if above and not storage_class else LifecycleRule(days, storage_class, above)


def _resource(rule: LifecycleRule) -> JsonRule:
    if not rule.storage_class:
        return {"action": {"type": "Delete"}, "condition": {"age": rule.days}}
    size = {"sizeAboveBytes": str(rule.above)} if rule.above else {}
    return {
        "action": {"type": "SetStorageClass", "storageClass": rule.storage_class},
        "condition": {"age": rule.days, **size},
    }

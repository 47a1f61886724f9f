"""Say what a saved Terraform plan would do, and refuse one that must not be applied unseen.

    terraform show -json dist/plan.tfplan | python scripts/check_plan.py [--allow-destroy]

Exit status 1 for a plan that failed (Terraform saves those, too) and for one that destroys or replaces something that
holds records: buckets, databases, datasets, tables, disks, secrets.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

KEEPS_RECORDS = (
    "google_storage_bucket",
    "google_firestore_database",
    "google_bigquery_dataset",
    "google_bigquery_table",
    "google_compute_disk",
    "google_secret_manager_secret",
)


def changes(plan: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Address, type and what happens, of everything that the plan touches."""
    for one in plan.get("resource_changes", ()):
        actions: Sequence[str] = one["change"]["actions"]
        if "delete" in actions:
            yield one["address"], one["type"], "replace" if "create" in actions else "destroy"
        elif actions[0] in ("create", "update"):
            yield one["address"], one["type"], actions[0]


def verdict(plan: Mapping[str, Any], *, allow_destroy: bool = False) -> tuple[list[str], bool]:
    """What to say, line by line, and whether the plan may be applied."""
    if plan.get("errored") or "resource_changes" not in plan:
        return ["the plan failed: it must not be applied"], False
    found = list(changes(plan))
    counts = Counter(what for _, _, what in found)
    lines = [", ".join(f"{counts[what]} to {what}" for what in ("create", "update", "replace", "destroy"))]
    lost = [f"{what}: {address}" for address, kind, what in found if what[0] in "rd" and kind in KEEPS_RECORDS]
    if lost and not allow_destroy:
        lines += [*lost, "these hold records: say ALLOW_DESTROY=1 if that is what you want"]
    return lines, not lost or allow_destroy


if __name__ == "__main__":
    said, good = verdict(json.load(sys.stdin), allow_destroy="--allow-destroy" in sys.argv[1:])
    print("\n".join(said))
    sys.exit(0 if good else 1)

"""What lies in a home, counted with nothing of the product: json, gzip and DuckDB."""

from __future__ import annotations

import gzip
import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import duckdb

Record = dict[str, Any]


def objects(home: Path, *, compliance: bool = False) -> list[Path]:
    """The batch objects of the archive: one copy of each record, or the compliance copies."""
    found = sorted(home.glob("archive/tron-*/logs/**/*.json.gz"))
    return [path for path in found if path.is_relative_to(home / "archive" / "tron-compliance-logs") is compliance]


def metadata(path: Path) -> dict[str, str]:
    """The metadata of an object."""
    bucket = next(parent for parent in path.parents if parent.name.startswith("tron-"))
    sidecar = bucket / ".metadata" / f"{path.relative_to(bucket)}.json"
    return dict(json.loads(sidecar.read_text())["metadata"])


def archived(home: Path) -> Iterator[Record]:
    for path in objects(home):
        with gzip.open(path, "rt") as file:
            yield from map(json.loads, file)


def archived_ids(home: Path) -> list[str]:
    return [record["id"] for record in archived(home)]


def warehouse_ids(home: Path) -> list[str]:
    pattern = str(home / "warehouse" / "*" / "*" / "*" / "*.parquet")
    return [row[0] for row in duckdb.connect().execute("SELECT id FROM read_parquet(?)", [pattern]).fetchall()]


def runs(home: Path) -> set[str]:
    """The runs of the journal that have written something."""
    return {path.parts[-3] for path in (home / "journal").glob("*/*/*.ndjson") if path.stat().st_size}


def journaled_ids(home: Path, wanted: Collection[str]) -> set[str]:
    """The ids of the whole lines in the segments of some runs."""
    paths = [path for run in wanted for path in (home / "journal" / run).glob("*/*.ndjson")]
    lines = [line for path in paths for line in path.read_bytes().splitlines(keepends=True)]
    return {json.loads(line)["id"] for line in lines if line.endswith(b"\n")}


def accepted(home: Path) -> int:
    """How many records the runs of the journal have by their own books."""
    return sum(json.loads(path.read_text())["records"] for path in (home / "journal").glob("*/run.json"))


def offsets_by_stream(ids: list[str]) -> dict[str, list[int]]:
    """Sorted offsets of each run's stream."""
    found: dict[str, list[int]] = {}
    for record_id in ids:
        place, _, offset = record_id.rpartition(":")
        found.setdefault(place, []).append(int(offset))
    return {place: sorted(offsets) for place, offsets in found.items()}


def assert_each_once(home: Path) -> set[str]:
    """Archive and warehouse hold the same records, each once, without a gap; returns their ids."""
    ids = archived_ids(home)
    assert len(ids) == len(set(ids)), "a record is twice in the archive"
    for place, offsets in offsets_by_stream(ids).items():
        assert offsets == list(range(len(offsets))), f"{place} has a gap"
    loaded = warehouse_ids(home)
    assert len(loaded) == len(set(loaded)), "a record is twice in the warehouse"
    assert set(loaded) == set(ids)
    return set(ids)

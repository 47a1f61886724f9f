"""What Terraform must know and the code already says: retention, live collections, the stream, the warehouse.

`content` is the text of `generated.auto.tfvars.json`. It depends on nothing but the code: no time, no machine, no
order of a dictionary. Tables and views name a project and a dataset by `PROJECT_ID` and `DATASET_ID`.

A view stands on the level above everything that it reads, because BigQuery makes a view only over what is there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from runner.logging.retention import BUCKETS, LIVE, MOVE_ABOVE, BucketRetention
from runner.operations.schemas import columns
from runner.operations.tables import shapes
from runner.stores.bigquery_sql import SQL_TYPES, Dataset
from runner.stores.columns import Column
from runner.stores.shapes import TableShape, ViewShape

FILE = "generated.auto.tfvars.json"
PROJECT, DATASET = "PROJECT_ID", "DATASET_ID"
_DAY_SECONDS = 86_400
_STANDS_FOR = {"INT64": "INTEGER", "FLOAT64": "FLOAT", "BOOL": "BOOLEAN"}


def content() -> str:
    """The file, as JSON whose keys are sorted; it ends with a newline."""
    return json.dumps(variables(), indent=2, sort_keys=True) + "\n"


def variables() -> dict[str, Any]:
    """Values of the Terraform variables that are never typed by hand."""
    return {
        "buckets": {name: _bucket(kept) for name, kept in BUCKETS.items()},
        "firestore": _firestore(),
        "stream": {"dead_letters": "tron-records-dead-letter", "delivery_attempts": 5, "topic": "tron-records"},
        "warehouse": _warehouse(),
    }


def _bucket(kept: BucketRetention) -> dict[str, Any]:
    return {
        "days": kept.days,
        "moved_above_bytes": MOVE_ABOVE,
        "moves": dict(kept.moves),
        "retention_seconds": kept.days * _DAY_SECONDS if kept.locked else None,
    }


def _firestore() -> dict[str, Any]:
    """Collections with their time to live in seconds and what is indexed; composite indexes; the rules."""
    said = json.loads(_text("firestore.indexes.json"))
    return {
        "collections": {
            name: {"fields": _fields(said["fieldOverrides"], name), "seconds": int(ttl.total_seconds())}
            for name, ttl in LIVE.items()
        },
        "indexes": {_index_name(index): _index(index) for index in said["indexes"]},
        "rules": _text("firestore.rules"),
    }


def _fields(overrides: Sequence[Mapping[str, Any]], collection: str) -> dict[str, Any]:
    return {
        override["fieldPath"]: {
            "orders": [index["order"] for index in override["indexes"]],
            "ttl": bool(override.get("ttl")),
        }
        for override in overrides
        if override["collectionGroup"] == collection
    }


def _index(index: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "collection": index["collectionGroup"],
        "fields": [{"field": field["fieldPath"], "order": field["order"]} for field in index["fields"]],
    }


def _index_name(index: Mapping[str, Any]) -> str:
    return "-".join([index["collectionGroup"], *(field["fieldPath"] for field in index["fields"])])


def _warehouse() -> dict[str, Any]:
    dataset = Dataset(PROJECT, DATASET, columns(), shapes())
    levels = _levels(dataset.views)
    return {
        "tables": {table.name: _table(table) for table in dataset.tables},
        "views": {view.name: {"level": levels[view.name], "sql": view.sql} for view in dataset.views},
    }


def _levels(views: Sequence[ViewShape]) -> dict[str, int]:
    """How many views stand between a view and the tables; each view comes after those that it reads."""
    levels: dict[str, int] = {}
    for view in views:
        read = [level for name, level in levels.items() if f"`{PROJECT}.{DATASET}.{name}`" in view.sql]
        levels[view.name] = max(read, default=-1) + 1
    return levels


def _table(table: TableShape) -> dict[str, Any]:
    return {
        "cluster": list(table.cluster),
        "columns": [_column(column) for column in table.columns],
        "day": table.day,
    }


def _column(column: Column) -> dict[str, str]:
    """A column as BigQuery's API writes it: `BIGNUMERIC(38, 12)` is a type, a precision and a scale."""
    name, _, digits = SQL_TYPES[column.type].partition("(")
    said = {"mode": "NULLABLE", "name": column.name, "type": _STANDS_FOR.get(name, name)}
    if digits:
        precision, scale = digits.rstrip(")").split(", ")
        said |= {"precision": precision, "scale": scale}
    return said


def _text(name: str) -> str:
    return resources.files("runner.stores").joinpath(name).read_text()

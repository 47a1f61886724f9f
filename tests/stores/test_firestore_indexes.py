"""The indexes that are deployed answer every query of the product: the emulator would answer without them."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from runner.logging.retention import LIVE

ROOT = Path(__file__).parents[2]
INDEXES = json.loads((ROOT / "runner/stores/firestore.indexes.json").read_text())
KEY = "__name__"
BOTH = {"ASCENDING", "DESCENDING"}


@dataclass(frozen=True)
class Shape:
    """A query without its values. `collection` is empty where it is only known when the product runs."""

    collection: str = ""
    equal: tuple[str, ...] = ()
    order_by: str = ""
    descending: bool = False

    @property
    def collections(self) -> list[str]:
        return [self.collection] if self.collection else sorted(LIVE)


def product_queries() -> Iterator[Shape]:
    """Every call of `LiveStore.query` in the product: those that say what the time is."""
    for source in [*(ROOT / "runner").rglob("*.py"), *(ROOT / "functions").rglob("*.py")]:
        if "testing" in source.parts or "stores" in source.parts:
            continue
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "query":
                named = {keyword.arg: keyword.value for keyword in node.keywords}
                if "now" in named:
                    yield shape(node.args, named)


def shape(arguments: list[ast.expr], named: dict[str | None, ast.expr]) -> Shape:
    where = named.get("where", ast.Dict([], []))
    assert isinstance(where, ast.Dict), "the fields of a query are written where it is made"
    equal = tuple(str(ast.literal_eval(key)) for key in where.keys if key is not None)
    collection = arguments[0].value if isinstance(arguments[0], ast.Constant) else ""
    order_by, descending = (
        ast.literal_eval(named.get(name, ast.Constant(default)))
        for name, default in (("order_by", ""), ("descending", False))
    )
    return Shape(str(collection), equal, order_by, descending)


def composite(collection: str, asked: Shape) -> dict[str, Any] | None:
    """The composite index that Firestore wants for a query, or None where the indexes of single fields do."""
    fields = [{"fieldPath": name, "order": "ASCENDING"} for name in sorted(asked.equal)]
    direction = "DESCENDING" if asked.descending else "ASCENDING"
    if asked.order_by and asked.equal:
        fields.append({"fieldPath": asked.order_by, "order": direction})
    elif not asked.order_by and asked.descending:
        fields.append({"fieldPath": KEY, "order": direction})
    else:
        return None
    return {"collectionGroup": collection, "queryScope": "COLLECTION", "fields": fields}


def orders(collection: str, name: str) -> set[str]:
    """Which orders of a field have an index of their own."""
    found = {one["fieldPath"]: one for one in INDEXES["fieldOverrides"] if one["collectionGroup"] == collection}
    override = found.get(name, found["*"])
    return {index["order"] for index in override["indexes"]}


def is_answered(asked: Shape) -> bool:
    for collection in asked.collections:
        wanted = composite(collection, asked)
        if wanted is not None:
            if wanted not in INDEXES["indexes"]:
                return False
        elif any(orders(collection, name) != BOTH for name in filter(None, (*asked.equal, asked.order_by))):
            return False
    return True


def test_every_query_of_the_product_has_its_index() -> None:
    asked = set(product_queries())
    assert Shape("live_system_status") in asked
    assert [one for one in asked if not is_answered(one)] == []


@pytest.mark.parametrize("collection", ["live_trades", "live_alerts", "live_cognitive"])
def test_what_a_bot_did_last_has_its_index(collection: str) -> None:
    assert is_answered(Shape(collection, ("bot",), "ts", descending=True))


@pytest.mark.parametrize(
    "asked",
    [
        Shape("live_trades", ("bot",), "price"),
        Shape("live_positions", ("bot",), "ts", descending=True),
        Shape("live_trades", (), "", descending=True),
        Shape("live_trades", ("reasoning",)),
        Shape("", ("run",), "ts"),
    ],
)
def test_a_query_without_its_index_is_found(asked: Shape) -> None:
    assert not is_answered(asked)


@pytest.mark.parametrize("collection", sorted(LIVE))
def test_every_collection_expires_by_a_field_that_the_sweep_can_ask_for(collection: str) -> None:
    (override,) = (
        one
        for one in INDEXES["fieldOverrides"]
        if (one["collectionGroup"], one["fieldPath"]) == (collection, "expire_at")
    )
    assert override["ttl"] is True
    assert orders(collection, "expire_at") == {"ASCENDING"}


@pytest.mark.parametrize("collection", sorted(LIVE))
def test_payloads_have_no_index(collection: str) -> None:
    assert orders(collection, "reasoning") == orders(collection, "epoch") == set()


def test_only_live_collections_are_spoken_of() -> None:
    named = {one["collectionGroup"] for one in INDEXES["indexes"] + INDEXES["fieldOverrides"]}
    assert named == set(LIVE)

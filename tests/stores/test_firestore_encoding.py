"""How documents lie in Firestore: what goes in comes out, and what Firestore cannot hold is left out and named."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import pytest
from google.cloud.firestore_v1 import types
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import StoreRejected
from runner.stores.base import Document
from runner.stores.firestore_encoding import MAX_DOCUMENT, Message, decode, encode, path

ROOT = "projects/demo-x/databases/(default)/documents"
EXPIRY = datetime(2024, 6, 3, 14, 30, 0, 123456, tzinfo=UTC)
AWKWARD = ["", ".", "..", "__x__", "____", "a/b", "/", "=", "=2F", "=[]", "%2F", "ä☃", "epoch", "seq", "expire_at"]

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
    [*AWKWARD, "record_id", "=record_id", "_left_out"]
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
)
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(names, inner), max_leaves=10)


def document(fields: dict[str, Any], key: str = "k") -> Document:
    return Document("live_trades", key, fields, 3, 7, "run:trades:000000000007", EXPIRY)


def stored(one: Document) -> Message:
    """What is sent to Firestore, as it would come back."""
    write = types.Write.pb()()
    encode(one, path(ROOT, one.collection, one.key), write)
    return types.Document.pb().FromString(write.update.SerializeToString())


@given(st.dictionaries(names, values), names, names)
def test_what_is_json_comes_back_as_it_was(fields: dict[str, Any], key: str, collection: str) -> None:
    one = replace(document(fields, key), collection=collection)
    assert decode(stored(one)) == one


@given(names, names)
def test_two_keys_are_never_one(one: str, other: str) -> None:
    assert (path(ROOT, "c", one) == path(ROOT, "c", other)) is (one == other)


@pytest.mark.parametrize("key", AWKWARD)
def test_a_key_becomes_an_id_that_firestore_allows(key: str) -> None:
    identifier = path(ROOT, "live_trades", key).removeprefix(f"{ROOT}/live_trades/")
    assert identifier not in ("", ".", "..")
    assert "/" not in identifier
    assert not (identifier.startswith("__") and identifier.endswith("__"))


def test_a_percent_encoded_key_is_an_id_as_it_is() -> None:
    assert path(ROOT, "live_positions", "bot:BTC%2FUSDT").endswith("/live_positions/bot:BTC%2FUSDT")


def test_order_and_expiry_are_fields_and_the_record_is_named_once() -> None:
    fields = stored(document({"record_id": "run:trades:000000000007", "price": "1.5"})).fields
    assert sorted(fields) == ["epoch", "expire_at", "price", "record_id", "seq"]
    assert fields["expire_at"].WhichOneof("value_type") == "timestamp_value"
    assert (fields["epoch"].integer_value, fields["seq"].integer_value) == (3, 7)


def test_a_value_of_a_class_that_extends_a_json_type_is_stored_as_that_type() -> None:
    class Side(StrEnum):
        BUY = "buy"

    assert decode(stored(document({"side": Side.BUY, "pair": (1, 2)}))).fields == {"side": "buy", "pair": [1, 2]}


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, {1: 2}, object(), [b"x"], {"a": {"b": float("-inf")}}])
def test_what_firestore_has_no_type_for_is_rejected_by_name(value: Any) -> None:
    with pytest.raises(StoreRejected, match="live_trades/'k'") as caught:
        stored(document({"bad": value}))
    assert caught.value.hint


def test_of_a_document_that_is_too_large_the_small_fields_and_the_names_of_the_others_are_kept() -> None:
    one = document({"symbol": "AAPL", "long": "x" * MAX_DOCUMENT, "list": [1] * 200_000, "price": "1.5"})
    found = decode(stored(one))
    assert found.fields == {"symbol": "AAPL", "price": "1.5", "_left_out": ["list", "long"]}
    assert (found.record_id, found.epoch, found.seq) == (one.record_id, one.epoch, one.seq)


def test_a_document_just_below_the_limit_is_kept_whole() -> None:
    one = document({"long": "x" * (MAX_DOCUMENT - 1024)})
    assert decode(stored(one)) == one


@pytest.mark.parametrize(("levels", "kept"), [(20, True), (21, False), (5000, False)])
def test_a_field_that_is_nested_too_deeply_is_left_out(levels: int, kept: bool) -> None:
    deep: Any = "bottom"
    for _ in range(levels):
        deep = {"a": deep}
    fields = decode(stored(document({"deep": deep, "n": 1}))).fields
    assert fields == ({"deep": deep, "n": 1} if kept else {"n": 1, "_left_out": ["deep"]})


def test_what_others_wrote_without_an_expiry_counts_as_expired() -> None:
    foreign = types.Document.pb()(name=f"{ROOT}/live_trades/k")
    foreign.fields["place"].geo_point_value.latitude = 1.0
    foreign.fields["n"].integer_value = 1
    found = decode(foreign)
    assert found.expire_at == datetime(1970, 1, 1, tzinfo=UTC)
    assert (found.epoch, found.seq, found.fields["n"]) == (0, 0, 1)
    assert json.dumps(dict(found.fields))


def test_an_expiry_is_kept_to_the_microsecond() -> None:
    moment = EXPIRY + timedelta(days=40_000, microseconds=1)
    assert decode(stored(replace(document({}), expire_at=moment))).expire_at == moment

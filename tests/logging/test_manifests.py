"""Manifests: what their metadata tell without reading them, and what is refused."""

from __future__ import annotations

import pytest

from runner.errors import StoreRejected
from runner.layout import CompactedName, compacted_name, is_manifest, object_day
from runner.logging import manifests
from runner.logging.manifests import Names, decode
from runner.stores.base import ObjectInfo

FOLDER = "logs/2030/06/03/breakout"


def part(run8: str, first: int) -> str:
    return f"{FOLDER}/trades_143000_{run8}-{first:012d}_v1.json.gz"


PARTS = [part("deadbeef", 0), part("deadbeef", 10), part("deadbeef", 25), part("0badcafe", 5)]


def manifest_of(names: list[str]) -> tuple[ObjectInfo, bytes]:
    pieces = [(ObjectInfo("trade-logs", name, 3, {"raw_sha256": "x"}), b"abc") for name in names]
    name = CompactedName.of(names[0])
    manifest, _ = manifests.join(pieces, name.object)
    body = manifest.encode()
    return ObjectInfo("trade-logs", name.manifest, len(body), manifest.metadata()), body


def test_a_manifest_comes_back_as_it_was_made() -> None:
    info, body = manifest_of(PARTS)
    found = decode(info, body)
    assert [entry.name for entry in found.parts] == PARTS
    assert [(entry.start, entry.size) for entry in found.parts] == [(0, 3), (3, 3), (6, 3), (9, 3)]
    assert info.metadata["ranges"] == "deadbeef:0:25 0badcafe:5:5"


@pytest.mark.parametrize(
    ("held", "covered"),
    [
        (PARTS, True),
        ([*PARTS, part("deadbeef", 40), part("feedface", 10)], True),
        (PARTS[:-1], False),
        (PARTS[1:], False),
        ([*PARTS, part("deadbeef", 11)], False),
        ([], False),
        ([name.replace("breakout", "vwap") for name in PARTS], False),
        ([name.replace("trades_", "orders_") for name in PARTS], False),
    ],
)
def test_whether_all_parts_are_among_some_names_is_told_by_the_metadata_alone(held: list[str], covered: bool) -> None:
    info, _ = manifest_of(PARTS)
    assert Names(held).cover(info) is covered


@pytest.mark.parametrize("field", ["ranges", "names_sha256", "parts"])
@pytest.mark.parametrize("value", ["", "x", "1:2", None])
def test_metadata_that_are_missing_or_nonsense_cover_nothing(field: str, value: str | None) -> None:
    info, _ = manifest_of(PARTS)
    metadata = {name: text for name, text in {**info.metadata, field: value}.items() if text is not None}
    assert Names(PARTS).cover(ObjectInfo(info.bucket, info.name, info.size, metadata)) is False


def test_names_of_compacted_objects_and_their_days_are_known_by_their_form() -> None:
    name = CompactedName.of(PARTS[0], 3)
    assert name.object == f"{FOLDER}/trades_compacted_143000_deadbeef-000000000000_v3.json.gz"
    assert compacted_name(name.object) == compacted_name(name.manifest) == name
    assert (is_manifest(name.object), is_manifest(name.manifest)) == (False, True)
    assert compacted_name(PARTS[0]) is None
    assert str(object_day(name.object)) == "2030-06-03"
    assert (object_day("registry/2030/06/03/x.json"), object_day("logs/2030/13/99/x/y")) == (None, None)


def test_a_manifest_of_another_bucket_is_refused() -> None:
    info, body = manifest_of(PARTS)
    with pytest.raises(StoreRejected, match="does not fit"):
        decode(ObjectInfo("system-logs", info.name, info.size, info.metadata), body)

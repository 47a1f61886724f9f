"""An archive that is compacted before, between and after exports: every record is in the warehouse once."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from runner.layout import Home, is_manifest
from runner.logging.objects import PRIMARY
from runner.logging.parts import view
from runner.logging.routes import COMPLIANCE_LOGS, STREAMS, TRADE_LOGS
from runner.operations.exports import export
from runner.operations.restore import restore_live, restore_warehouse
from runner.operations.schemas import columns
from runner.settings import Settings, Stores
from runner.stores.base import Archive, Warehouse
from runner.stores.duckdb import DuckdbWarehouse
from runner.stores.memory import MemoryArchive, MemoryLiveStore
from runner.wiring import open_settings_warehouse
from tests.logging.compacting import DAY, Past
from tests.logging.journeys import documents_of
from tests.stores.bigquery_parts import make_dataset
from tests.stores.emulated import open_gcs


@dataclass
class Place:
    """A past, and a warehouse that is empty."""

    past: Past
    warehouse: Warehouse

    def load(self, objects: int = 10**9) -> tuple[int, int]:
        """Export, at most so many objects; returns records loaded and objects that were loaded before."""
        left = iter(range(objects))
        report = export(self.past.archive, self.warehouse, stop=lambda: next(left, None) is None)
        assert report.set_aside == ()
        return report.records, report.skipped

    @property
    def written(self) -> int:
        return sum(len(found) for writer in self.past.writers for found in writer.lines.values())

    def assert_each_once(self) -> None:
        counted = self.warehouse.query("SELECT count(*), count(DISTINCT id) FROM records").rows
        assert counted == ((self.written, self.written),)


def on_duckdb(request: pytest.FixtureRequest, folder: Path) -> tuple[Archive, Warehouse]:
    return MemoryArchive(), DuckdbWarehouse(folder / "warehouse", columns())


def on_bigquery(request: pytest.FixtureRequest, folder: Path) -> tuple[Archive, Warehouse]:
    request.getfixturevalue("bigquery_emulator")
    project = request.getfixturevalue("demo_project")
    make_dataset(project, name := f"tron_{uuid.uuid4().hex[:8]}")
    archive = open_gcs(request, *PRIMARY, COMPLIANCE_LOGS)
    stores = Stores(archive=f"gs://{archive.prefix}", warehouse=f"bigquery://{project}/{name}?location=US&max_gib=10")
    return archive, open_settings_warehouse(Settings(home=folder, project=project, stores=stores))


@pytest.fixture(params=["duckdb", "bigquery"])
def place(request: pytest.FixtureRequest, home: Home, tmp_path: Path) -> Iterator[Place]:
    opener = on_duckdb if request.param == "duckdb" else on_bigquery
    archive, warehouse = opener(request, tmp_path)
    yield Place(Past(home, archive), warehouse)
    warehouse.close()
    archive.close()


def test_what_was_loaded_before_it_was_compacted_is_not_loaded_again(embedded: Place) -> None:
    assert embedded.load() == (embedded.written, 0)
    assert embedded.past.compact().parts == 64
    assert embedded.load() == (0, 64)
    embedded.assert_each_once()


def test_of_objects_that_were_half_loaded_before_they_were_compacted_the_rest_is_loaded(place: Place) -> None:
    loaded, _ = place.load(29)
    place.past.compact()
    assert place.load() == (place.written - loaded, 29)
    assert place.load() == (0, 64)
    place.assert_each_once()


def test_what_is_compacted_already_is_loaded_once(place: Place) -> None:
    place.past.compact()
    assert place.load() == (place.written, 0)
    assert place.load() == (0, 64)
    place.assert_each_once()


@pytest.fixture
def embedded(home: Home, tmp_path: Path) -> Place:
    return Place(Past(home, MemoryArchive()), DuckdbWarehouse(tmp_path / "warehouse", columns()))


def test_manifests_of_what_is_loaded_are_not_even_read(embedded: Place) -> None:
    embedded.past.compact()
    embedded.load()
    reads = embedded.past.archive.operations["class_b"]
    embedded.load()
    assert embedded.past.archive.operations["class_b"] == reads


def test_late_objects_of_a_compacted_day_are_loaded_and_nothing_else(embedded: Place) -> None:
    archive = embedded.past.archive
    late = [info for info in archive.list(TRADE_LOGS, f"logs/{DAY:%Y/%m/%d}/vwap/trades_")][-1]
    body = archive.read(TRADE_LOGS, late.name)
    archive.delete(TRADE_LOGS, late.name)
    embedded.past.compact()
    embedded.load()
    archive.create(TRADE_LOGS, late.name, body, metadata=late.metadata, content_type="application/gzip")
    assert embedded.load() == (int(late.metadata["records"]), 63)
    embedded.assert_each_once()


def test_a_manifest_of_a_stream_that_nobody_knows_is_left_alone(embedded: Place) -> None:
    name = f"logs/{DAY:%Y/%m/%d}/vwap/odd_compacted_143000_deadbeef-000000000000_v1.manifest.gz"
    embedded.past.archive.create(TRADE_LOGS, name, b"", metadata={}, content_type="application/gzip")
    assert "odd" not in STREAMS
    assert embedded.load() == (embedded.written, 0)


def test_a_store_restored_from_a_compacted_archive_is_the_one_that_was_shipped(embedded: Place) -> None:
    embedded.past.compact()
    live = MemoryLiveStore(clock=embedded.past.clock)

    restore_live(embedded.past.archive, live)
    loaded = restore_warehouse(embedded.past.archive, embedded.warehouse)

    assert documents_of(live) == documents_of(embedded.past.live)
    assert loaded.records == embedded.written
    assert any(is_manifest(info.name) for info in embedded.past.archive.list(TRADE_LOGS))
    assert not any(is_manifest(info.name) for info in view(embedded.past.archive).list(TRADE_LOGS))

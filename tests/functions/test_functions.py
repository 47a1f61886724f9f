"""Each function does its work: on the embedded stores, and on the emulators of Google Cloud with the same answer."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from runner.logging.retention import VERSIONS
from runner.settings import Settings
from runner.stores.gcs import GcsArchive
from runner.stores.open import open_archive
from tests.emulators.emulator import Emulator
from tests.functions import past
from tests.functions.conftest import Serve
from tests.stores.bigquery_parts import make_dataset

Environ = Mapping[str, str]
MONTH = f"{past.BEGAN:%Y-%m}"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("template") / "home"
    past.make(Settings(home=home))
    return home


@pytest.fixture
def embedded(template: Path, tmp_path: Path) -> Environ:
    past.restore(template, tmp_path / "past")
    return {"TRON_HOME": str(tmp_path / "past")}


@pytest.fixture
def cloud(all_emulators: dict[str, Emulator], demo_project: str, tmp_path: Path) -> Environ:
    """All stores on emulators, with a past; the function's own home is empty, as it is when it is deployed."""
    make_dataset(demo_project, "tron")
    prefix = f"demo-{uuid.uuid4().hex[:12]}"
    stores = {
        "TRON_LIVE_STORE": f"firestore://{demo_project}/(default)",
        "TRON_ARCHIVE": f"gs://{prefix}",
        "TRON_WAREHOUSE": f"bigquery://{demo_project}/tron",
        "GOOGLE_CLOUD_PROJECT": demo_project,
    }
    settings = Settings.load({**stores, "TRON_HOME": str(tmp_path / "bots")})
    archive = open_archive(settings)
    assert isinstance(archive, GcsArchive)
    archive.ensure(past.BUCKETS)
    archive.close()
    past.make(settings)
    return {**stores, "TRON_HOME": str(tmp_path / "function")}


@pytest.fixture(params=["embedded", pytest.param("cloud", marks=pytest.mark.slow)])
def stores(request: pytest.FixtureRequest) -> Environ:
    found: Environ = request.getfixturevalue(request.param)
    return found


def report(serve: Serve, target: str, stores: Environ, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """What a call that is done says it did."""
    reply = serve(target, **stores).call(body or {})
    assert (reply.status, reply.said.get("done")) == (200, True), reply.said
    found: dict[str, Any] = reply.said["report"]
    return found


def test_a_cleanup_deletes_what_is_over_and_then_nothing(serve: Serve, stores: Environ) -> None:
    settings = Settings.load(stores)
    planned = report(serve, "daily_cleanup", stores, {"dry_run": True})
    before = past.look(settings)
    done = report(serve, "daily_cleanup", stores)
    assert done["documents"] == planned["documents"] == past.EXPIRED
    assert done["versions"] == planned["versions"] == past.VERSIONS - VERSIONS
    after, again = past.look(settings), report(serve, "daily_cleanup", stores)
    assert len(before.archive) - len(after.archive) == done["versions"] + done["objects"]
    assert after.documents["live_alerts"] == past.ALIVE
    assert (again["documents"], again["versions"], again["objects"]) == (0, 0, 0)
    assert past.look(settings) == after


def test_a_compaction_joins_objects_and_loses_no_record(serve: Serve, stores: Environ) -> None:
    settings = Settings.load(stores)
    before = past.look(settings)
    done = report(serve, "compact_archive", stores)
    assert done["deleted"] == done["parts"] > 50
    assert len(past.look(settings).archive) < len(before.archive)
    assert past.is_proven(settings)
    assert report(serve, "compact_archive", stores)["parts"] == 0


def test_an_export_loads_every_record_once(serve: Serve, stores: Environ) -> None:
    settings = Settings.load(stores)
    done = report(serve, "bigquery_export", stores)
    total, different = (sum(counts) for counts in zip(*past.look(settings).records.values(), strict=True))
    assert done["records"] == total == different > 400
    again = report(serve, "bigquery_export", stores, {"since": f"{past.BEGAN:%Y-%m-%d}", "retry": True})
    assert (again["records"], again["skipped"]) == (0, done["objects"])


def test_a_cost_report_says_how_each_number_is_known(serve: Serve, stores: Environ) -> None:
    said = report(serve, "cost_report", stores, {"month": MONTH})
    assert said["total"]["label"] == "estimated"
    assert {one["name"] for one in said["kept"]} >= {"trade-logs", "compliance-logs"}
    one_bot = report(serve, "cost_report", stores, {"month": MONTH, "bot": "vwap"})
    assert 0 < records_of(one_bot) < records_of(said)


def records_of(said: dict[str, Any]) -> int:
    return int(said["naive"]["note"].partition(" ")[0].replace(",", ""))


@pytest.mark.parametrize("target", ["compact_archive", "daily_cleanup", "bigquery_export"])
def test_work_that_is_cut_into_many_calls_ends_as_one_call_does(
    serve: Serve, target: str, template: Path, tmp_path: Path
) -> None:
    ends = []
    for name, body in (("whole", {}), ("pieces", {"deadline_seconds": 0.05})):
        settings = Settings(home=tmp_path / name)
        past.restore(template, settings.home)
        server = serve(target, TRON_HOME=str(settings.home))
        statuses = []
        while not statuses or statuses[-1] == 202:
            statuses.append(server.call(body).status)
            assert len(statuses) < 300
        assert statuses[-1] == 200
        ends.append(past.look(settings))
    assert ends[0] == ends[1]


@pytest.mark.parametrize(
    ("target", "body", "error"),
    [
        ("daily_cleanup", {"bucket": "trade-logs"}, "there is no field 'bucket'"),
        ("daily_cleanup", {"dry_run": "yes"}, "dry_run: "),
        ("compact_archive", {"day": f"{past.NOW + timedelta(days=2):%Y-%m-%d}"}, "which is in the future"),
        ("compact_archive", {"day": f"{past.NOW:%Y-%m-%d}"}, "for which records may still come"),
        ("bigquery_export", {"since": "2014-01-01"}, "days are too many"),
        ("bigquery_export", {"since": "2999-01-01"}, "in the future"),
        ("cost_report", {"month": "2999-01"}, "which is still to come"),
        ("cost_report", {"month": "1999-01"}, "nothing is kept from before"),
        ("cost_report", {"month": "2026-13"}, "month: "),
        ("cost_report", {"bot": "nobody"}, "no bot 'nobody' has records"),
    ],
)
def test_a_wrong_request_has_no_effect_and_a_reason(
    serve: Serve, embedded: Environ, target: str, body: dict[str, Any], error: str
) -> None:
    before = past.look(Settings.load(embedded))
    server = serve(target, **embedded)
    reply, broken = server.call(body), server.call(b"not JSON")
    assert (reply.status, broken.status) == (400, 400)
    assert error in reply.said["error"]
    assert "the body is not JSON" in broken.said["error"]
    assert reply.said["hint"]
    assert past.look(Settings.load(embedded)) == before


def test_a_poisoned_object_is_told_and_the_others_are_loaded(serve: Serve, embedded: Environ) -> None:
    victim = next(Path(embedded["TRON_HOME"], "archive", "tron-trade-logs", "logs").rglob("trades_*.json.gz"))
    victim.write_bytes(b"poison")
    server = serve("bigquery_export", **embedded)
    reply = server.call()
    assert reply.status == 200
    assert [one["name"].rpartition("/")[2] for one in reply.said["report"]["set_aside"]] == [victim.name]
    (entry,) = [entry for entry in server.entries() if entry["severity"] == "ERROR"]
    assert "cannot be exported" in entry["message"]
    assert reply.said["report"]["records"] > 400


def test_a_report_whose_time_is_over_is_none(serve: Serve, embedded: Environ) -> None:
    reply = serve("cost_report", **embedded).call({"deadline_seconds": 0.001})
    assert reply.status == 503
    assert "before everything was read" in reply.said["error"]


def test_a_store_that_cannot_be_used_is_told_and_asks_to_be_called_again(serve: Serve, tmp_path: Path) -> None:
    stores = {"TRON_HOME": str(tmp_path / "empty"), "TRON_LIVE_STORE": f"sqlite://{tmp_path}"}
    reply = serve("daily_cleanup", **stores).call()
    assert (reply.status, reply.said["done"]) == (503, False)
    assert reply.said["failed"][0].startswith("live store: ")
    assert reply.said["report"]["versions"] == 0


@pytest.mark.parametrize(
    "target", ["bigquery_export", "compact_archive", "cost_report", "daily_cleanup", "on_trading_record"]
)
def test_settings_that_are_wrong_are_told(serve: Serve, target: str, tmp_path: Path) -> None:
    server = serve(target, TRON_HOME=str(tmp_path / "home"), TRON_FUNCTION_SECONDS="soon")
    headers = {
        "ce-id": "1",
        "ce-source": "//x",
        "ce-specversion": "1.0",
        "ce-type": "x",
        "content-type": "application/json",
    }
    reply = server.call(b"{}", headers=headers)
    assert reply.status == 500
    assert "TRON_FUNCTION_SECONDS" in reply.said["error"]

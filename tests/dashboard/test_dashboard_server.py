from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import timedelta

import httpx
import pytest

from runner.clock import SystemClock
from runner.dashboard.app import create_app
from runner.dashboard.serve import DashboardServer, serve
from runner.errors import ConfigError, StoreUnavailable
from runner.logging.log_types import Kind
from runner.stores.base import Watch
from runner.stores.memory import MemoryLiveStore
from tests.dashboard.listening import listen_to, snapshot_of, snapshot_when
from tests.dashboard.stage import START, QueueTail, Stage

Serve = Callable[..., DashboardServer]


def test_a_trade_reaches_an_open_stream_as_a_document_and_as_a_record(stage: Stage, serve_stage: Serve) -> None:
    url = serve_stage().url
    with listen_to(url, since=snapshot_of(url)["cursor"]) as ear:
        stage.player("vwap").enter("t-1", "IBM", 130, START, "close crossed above VWAP")
        heard = {}
        while set(heard) < {"documents", "records"}:
            event = next(ear.all())
            heard[event.name] = event.data
    [document] = heard["documents"]
    assert document["key"] == "t-1"
    assert document["fields"]["decision_reasoning"] == "close crossed above VWAP"
    [record] = heard["records"]["records"]
    assert record["kind"] == "trade_entry"
    assert record["id"] == document["record_id"]


def test_the_stream_tells_proxies_not_to_hold_it_back(serve_stage: Serve) -> None:
    with listen_to(serve_stage().url) as ear:
        assert ear.headers["content-type"].startswith("text/event-stream")
        assert ear.headers["x-accel-buffering"] == "no"
        assert ear.headers["cache-control"] == "no-store"


def test_a_silent_stream_beats(serve_stage: Serve) -> None:
    with listen_to(serve_stage(beat_seconds=0.1).url) as ear:
        assert [next(ear.all()).name for _ in range(3)] == ["hb", "hb", "hb"]


def test_an_interrupted_stream_goes_on_where_it_stopped(stage: Stage, serve_stage: Serve) -> None:
    url, player = serve_stage().url, stage.player("vwap")
    with listen_to(url, since=snapshot_of(url)["cursor"]) as ear:
        player.say(Kind.SYSTEM_EVENT, {"message": "seen"})
        cursor = ear.until("records").cursor
    missed = [player.say(Kind.SYSTEM_EVENT, {"message": f"missed {n}"}) for n in range(5)]
    found: list[str] = []
    with listen_to(url, last_event_id=cursor) as ear:
        while len(found) < len(missed):
            found += [record["id"] for record in ear.until("records").data["records"]]
    assert found == missed


def test_a_cursor_of_an_earlier_server_leads_to_a_resync(serve_stage: Serve) -> None:
    with listen_to(serve_stage().url, last_event_id="deadbeef-12") as ear:
        assert next(ear.all()).name == "resync"


def test_the_snapshot_and_the_stream_behind_it_leave_nothing_out(stage: Stage, serve_stage: Serve) -> None:
    url, player = serve_stage().url, stage.player("vwap")
    said: list[str] = []
    writer = threading.Thread(
        target=lambda: said.extend(player.say(Kind.SYSTEM_EVENT, {"message": str(n)}) for n in range(200))
    )
    writer.start()
    snapshot = snapshot_of(url)
    found = {record["id"] for record in snapshot["records"]}
    writer.join()
    with listen_to(url, since=snapshot["cursor"]) as ear:
        while not found >= set(said):
            found |= {record["id"] for record in ear.until("records").data["records"]}
    assert found == set(said)


def test_equity_arrives_as_points_with_the_exact_total(stage: Stage, serve_stage: Serve) -> None:
    url, player = serve_stage().url, stage.player("vwap")
    player.mark(100_000, START)
    player.mark(100_250.5, START + timedelta(days=1))
    snapshot = snapshot_when(url, lambda snapshot: snapshot["counts"]["records"] == 2)
    equity = snapshot["equity"]
    assert equity["current"] == [player.run]
    assert equity["total"] == {"last": "100250.50", "change": "250.50", "change_pct": "0.25"}
    assert [value for _, value in equity["series"][0]["points"]] == [100_000.0, 100_250.5]


def test_runs_whose_journal_is_gone_are_seeded_from_history(stage: Stage, serve_stage: Serve) -> None:
    old = stage.player("vwap").run
    row = {"bot": "vwap", "run": old, "ts": stage.clock.now(), "value": "99000"}
    rows = [{**row, "at": START}, {**row, "at": "2010-01-05T00:00:00Z"}]
    url = serve_stage(history=lambda: rows).url
    snapshot_when(url, lambda snapshot: [len(one["points"]) for one in snapshot["equity"]["series"]] == [2])
    assert len(httpx.get(f"{url}/api/equity/{old}").json()["points"]) == 2
    assert httpx.get(f"{url}/api/equity/unknown").status_code == 404


def test_a_store_that_cannot_be_read_is_named_until_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runner.dashboard.updates.RETRY_SECONDS", 0.2)
    live = _LockedStore()
    server = serve(create_app(live, QueueTail, clock=SystemClock(), beat_seconds=0.2), port=0)
    try:
        snapshot = snapshot_when(server.url, lambda snapshot: snapshot["troubles"])
        assert snapshot["troubles"] == [{"source": "live store", "message": "it is locked", "hint": "wait a little"}]
        with listen_to(server.url, since=snapshot["cursor"]) as ear:
            live.locked = False
            assert ear.until("troubles").data == []
    finally:
        server.stop()


class _LockedStore(MemoryLiveStore):
    locked = True

    def watch(self, collections: Sequence[str]) -> Watch:
        if self.locked:
            raise StoreUnavailable("it is locked", "wait a little")
        return super().watch(collections)


def test_every_answer_forbids_foreign_code_and_foreign_frames(serve_stage: Serve) -> None:
    url = serve_stage().url
    for path in ("/", "/static/main.js", "/api/snapshot", "/nothing"):
        headers = httpx.get(f"{url}{path}").headers
        assert headers["content-security-policy"].startswith("default-src 'self';"), path
        assert "frame-ancestors 'none'" in headers["content-security-policy"], path
        assert headers["x-content-type-options"] == "nosniff", path


def test_a_web_site_that_points_its_name_at_this_machine_is_refused(serve_stage: Serve) -> None:
    url = serve_stage().url
    assert httpx.get(f"{url}/api/snapshot", headers={"Host": "evil.example"}).status_code == 400
    assert httpx.get(f"{url}/api/snapshot", headers={"Host": "localhost:8080"}).status_code == 200


def test_the_page_can_only_be_read(serve_stage: Serve) -> None:
    assert httpx.post(f"{serve_stage().url}/api/snapshot").status_code == 405


def test_files_outside_the_page_are_out_of_reach(serve_stage: Serve) -> None:
    assert httpx.get(f"{serve_stage().url}/static/%2e%2e/app.py").status_code == 404


def test_a_port_in_use_is_an_error_with_a_hint(serve_stage: Serve, stage: Stage) -> None:
    port = int(serve_stage().url.rpartition(":")[2])
    second = DashboardServer(create_app(stage.live, QueueTail, clock=stage.clock), port=port)
    with pytest.raises(ConfigError, match=f"port {port} on 127.0.0.1 is in use") as refused:
        second.start()
    assert "TRON_PORT" in refused.value.hint
    second.stop()


def test_a_host_that_is_not_this_machine_is_an_error(stage: Stage) -> None:
    with pytest.raises(ConfigError, match=r"192\.0\.2\.1"):
        serve(create_app(stage.live, QueueTail, clock=stage.clock), host="192.0.2.1", port=0)


def test_the_address_of_the_next_protocol_works_too(stage: Stage) -> None:
    server = serve(create_app(stage.live, QueueTail, clock=stage.clock), host="::1", port=0)
    try:
        assert server.url.startswith("http://[::1]:")
        assert httpx.get(f"{server.url}/api/snapshot").status_code == 200
    finally:
        server.stop()


def test_stopping_ends_open_streams_and_frees_the_port(stage: Stage, serve_stage: Serve) -> None:
    server = serve_stage()
    with listen_to(server.url) as ear:
        server.stop()
        assert all(heard.name == "hb" for heard in ear.all())
    port = int(server.url.rpartition(":")[2])
    again = serve(create_app(stage.live, QueueTail, clock=stage.clock), port=port)
    again.stop()


def test_no_page_names_another_host(serve_stage: Serve) -> None:
    page = httpx.get(serve_stage().url).text
    assert "http://" not in page
    assert "https://" not in page

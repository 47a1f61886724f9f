from __future__ import annotations

import multiprocessing
import sqlite3
import stat
from datetime import UTC, datetime, timedelta
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.clock import ManualClock
from runner.errors import StoreUnavailable
from runner.stores import sqlite as adapter
from runner.stores.base import Document, LiveStore
from runner.stores.memory import MemoryLiveStore
from runner.stores.sqlite import SqliteLiveStore

NOW = datetime(2024, 6, 3, 14, 30, tzinfo=UTC)
SPAWN = multiprocessing.get_context("spawn")


def document(key: str, seq: int = 0, *, epoch: int = 1, value: object = None, hours: int = 1) -> Document:
    return Document(
        "live_trades", key, {"value": value}, epoch, seq, f"r:trades:{seq:012d}", NOW + timedelta(hours=hours)
    )


def write_from_another_process(path: Path, start: int, count: int, go: Event) -> None:
    store = SqliteLiveStore(path)
    go.wait()
    for seq in range(start, start + count):
        store.commit([document("shared", seq, value=seq), document(f"own-{start}", seq, value=seq)])
    store.close()


def test_the_file_and_its_logs_are_private(tmp_path: Path) -> None:
    store = SqliteLiveStore(tmp_path / "home" / "live.sqlite")
    store.commit([document("a")])
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "home").iterdir()}
    assert modes == {"live.sqlite": 0o600, "live.sqlite-wal": 0o600, "live.sqlite-shm": 0o600}
    assert stat.S_IMODE((tmp_path / "home").stat().st_mode) == 0o700
    store.close()


def test_documents_survive_closing(tmp_path: Path) -> None:
    store = SqliteLiveStore(tmp_path / "live.sqlite")
    store.commit([document("a", value="kept")])
    store.close()
    again = SqliteLiveStore(tmp_path / "live.sqlite")
    assert again.get("live_trades", "a") == document("a", value="kept")
    again.close()


def test_a_watch_sees_what_another_process_writes(tmp_path: Path) -> None:
    store = SqliteLiveStore(tmp_path / "live.sqlite", clock=ManualClock(NOW))
    watch = store.watch(["live_trades"])
    assert watch.next(timeout=0) == []
    go = SPAWN.Event()
    writer = SPAWN.Process(target=write_from_another_process, args=(tmp_path / "live.sqlite", 0, 50, go))
    writer.start()
    go.set()
    last: dict[str, int] = {}
    while last.get("own-0") != 49:
        changes = watch.next(timeout=60)
        assert changes, "the watch missed a change"
        for change in changes:
            assert change.seq > last.get(change.key, -1)
            last[change.key] = change.seq
    writer.join()
    assert last == {"shared": 49, "own-0": 49}
    watch.close()
    store.close()


def test_processes_that_open_and_write_at_once_lose_nothing(tmp_path: Path) -> None:
    path, go = tmp_path / "live.sqlite", SPAWN.Event()
    writers = [SPAWN.Process(target=write_from_another_process, args=(path, n * 100, 30, go)) for n in range(4)]
    for writer in writers:
        writer.start()
    go.set()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0, 0, 0]
    store = SqliteLiveStore(path)
    assert {one.key: one.seq for one in store.query("live_trades", now=NOW)} == {
        "shared": 329,
        "own-0": 29,
        "own-100": 129,
        "own-200": 229,
        "own-300": 329,
    }
    store.close()


keys = st.sampled_from("abc")
values = st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-2, 2) | st.text(max_size=2)
documents = st.builds(
    lambda key, seq, epoch, value, hours: document(key, seq, epoch=epoch, value=value, hours=hours),
    keys,
    st.integers(0, 4),
    st.integers(0, 2),
    values,
    st.integers(-1, 1),
)


def state(store: LiveStore, value: object, descending: bool) -> list[object]:
    return [
        store.query("live_trades", now=NOW, order_by="value", descending=descending),
        store.query("live_trades", now=NOW, where={"value": value}, descending=descending),
        [store.get("live_trades", key) for key in "abc"],
    ]


@settings(max_examples=150, deadline=None)
@given(commits=st.lists(st.lists(documents, max_size=4), max_size=6), value=values, descending=st.booleans())
def test_whatever_is_written_it_answers_as_the_store_in_memory_does(
    tmp_path_factory: pytest.TempPathFactory, commits: list[list[Document]], value: object, descending: bool
) -> None:
    store = SqliteLiveStore(tmp_path_factory.mktemp("live") / "live.sqlite")
    model = MemoryLiveStore()
    newest: dict[str, tuple[int, int]] = {}
    for commit in commits:
        assert store.commit(commit) == model.commit(commit)
        for one in commit:
            newest[one.key] = max(newest.get(one.key, (-1, -1)), (one.epoch, one.seq))
    assert state(store, value, descending) == state(model, value, descending)
    for key, order in newest.items():
        found = store.get("live_trades", key)
        assert found is not None
        assert (found.epoch, found.seq) == order
    assert store.delete_expired(now=NOW) == model.delete_expired(now=NOW)
    assert state(store, value, descending) == state(model, value, descending)
    store.close()


def test_a_database_that_another_process_holds_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "BUSY_SECONDS", 0.05)
    store = SqliteLiveStore(tmp_path / "live.sqlite")
    other = sqlite3.connect(tmp_path / "live.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable) as caught:
        store.commit([document("a")])
    assert "try again" in caught.value.hint
    other.execute("ROLLBACK")
    other.close()
    assert store.commit([document("a")]) == 1
    store.close()


def test_a_damaged_file_is_unavailable_and_the_hint_says_what_rebuilds_it(tmp_path: Path) -> None:
    path = tmp_path / "live.sqlite"
    path.write_bytes(b"this is no database, " * 100)
    with pytest.raises(StoreUnavailable, match="damaged") as caught:
        SqliteLiveStore(path)
    assert "tron restore --live" in caught.value.hint


def test_a_file_damaged_in_the_middle_is_unavailable(tmp_path: Path) -> None:
    path = tmp_path / "live.sqlite"
    store = SqliteLiveStore(path)
    store.commit([document(f"k{n}", value="x" * 500) for n in range(200)])
    store.close()
    content = bytearray(path.read_bytes())
    content[4096:] = b"\x07" * (len(content) - 4096)
    path.write_bytes(content)
    damaged = SqliteLiveStore(path)
    with pytest.raises(StoreUnavailable, match="damaged"):
        damaged.query("live_trades", now=NOW)
    damaged.close()


def test_a_file_of_a_newer_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "live.sqlite"
    SqliteLiveStore(path).close()
    newer = sqlite3.connect(path)
    newer.execute("PRAGMA user_version = 99")
    newer.close()
    with pytest.raises(StoreUnavailable, match="format 99"):
        SqliteLiveStore(path)


def test_a_place_where_no_file_can_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StoreUnavailable):
        SqliteLiveStore(tmp_path / "file" / "live.sqlite")


def test_a_full_disk_is_unavailable_and_what_was_there_stays(small_disk: Path) -> None:
    store = SqliteLiveStore(small_disk / "live.sqlite")
    store.commit([document("first", value="kept")])
    with pytest.raises(StoreUnavailable) as caught:
        store.commit([document(f"k{number}", value="x" * 100_000) for number in range(30)])
    assert "disk" in caught.value.hint
    assert store.get("live_trades", "first") == document("first", value="kept")
    store.close()

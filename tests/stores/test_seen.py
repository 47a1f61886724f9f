from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import StoreRejected, StoreUnavailable
from runner.stores.seen import Seen

RUN = "018fb0a0-0000-7000-8000-0000deadbeef"


def record_id(offset: int, run: str = RUN, stream: str = "trades") -> str:
    return f"{run}:{stream}:{offset:012d}"


@given(st.lists(st.integers(0, 40)), st.integers(0, 40))
def test_it_is_a_set_in_whatever_order_ids_arrive(added: list[int], probe: int) -> None:
    seen = Seen()
    for offset in added:
        seen.add(record_id(offset))
    assert (record_id(probe) in seen) is (probe in added)


def test_streams_and_runs_are_apart() -> None:
    seen = Seen()
    seen.add(record_id(3))
    assert record_id(3) in seen
    assert record_id(3, stream="orders") not in seen
    assert record_id(3, run="018fb0a0-0000-7000-8000-0000feedbeef") not in seen


def test_it_is_kept_in_a_file_that_stays_small(tmp_path: Path) -> None:
    path = tmp_path / "new" / "seen.json"
    seen = Seen(path)
    for offset in [*range(500), 700]:
        seen.add(record_id(offset))
    seen.save()
    assert json.loads(path.read_bytes()) == {f"{RUN}:trades": [[0, 500], [700, 701]]}
    again = Seen(path)
    assert record_id(499) in again
    assert record_id(500) not in again


def test_what_was_not_saved_is_not_remembered(tmp_path: Path) -> None:
    Seen(tmp_path / "seen.json").add(record_id(1))
    assert record_id(1) not in Seen(tmp_path / "seen.json")


def test_only_the_newest_runs_are_remembered(tmp_path: Path) -> None:
    runs = [f"018fb0a0-000{number}-7000-8000-0000deadbeef" for number in range(5)]
    seen = Seen(tmp_path / "seen.json", runs=2)
    for run in runs:
        seen.add(record_id(0, run))
    seen.save()
    assert [record_id(0, run) in seen for run in runs] == [False, False, False, True, True]


@pytest.mark.parametrize("text", ["", "x", "x:", "x:y", "a:b:-1", ":1"])
def test_what_is_no_id_is_rejected(text: str) -> None:
    with pytest.raises(StoreRejected, match="not the id of a record"):
        Seen().add(text)


def test_a_damaged_file_says_what_removing_it_means(tmp_path: Path) -> None:
    path = tmp_path / "seen.json"
    path.write_text("{")
    with pytest.raises(StoreUnavailable, match="is damaged") as caught:
        Seen(path)
    assert "a second time" in caught.value.hint

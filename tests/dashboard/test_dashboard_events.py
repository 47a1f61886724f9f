from __future__ import annotations

import asyncio

from runner.dashboard.events import HEARTBEAT, Hub


async def drained(hub: Hub, since: str) -> bytes | None:
    subscription = hub.subscribe(since)
    try:
        return await subscription.next(0.2)
    finally:
        hub.unsubscribe(subscription)


def names(chunk: bytes | None) -> list[str]:
    return [line[7:] for line in (chunk or b"").decode().splitlines() if line.startswith("event: ")]


def test_a_page_gets_exactly_what_it_missed() -> None:
    hub = Hub("e")
    for name in ("one", "two", "three"):
        hub.publish(name, b"{}")
    assert names(asyncio.run(drained(hub, "e-1"))) == ["two", "three"]


def test_a_page_that_missed_nothing_hears_only_the_beat() -> None:
    hub = Hub("e")
    hub.publish("one", b"{}")
    assert asyncio.run(drained(hub, hub.cursor)) == HEARTBEAT


def test_a_cursor_of_another_life_of_the_server_leads_to_a_resync() -> None:
    hub = Hub("e")
    hub.publish("one", b"{}")
    for cursor in ("d-1", "e-7", "nonsense", "e-x"):
        assert names(asyncio.run(drained(hub, cursor))) == ["resync"], cursor


def test_a_cursor_that_is_no_longer_kept_leads_to_a_resync() -> None:
    hub = Hub("e", ring_bytes=100)
    for _ in range(10):
        hub.publish("one", b"{}")
    assert names(asyncio.run(drained(hub, "e-1"))) == ["resync"]
    assert names(asyncio.run(drained(hub, "e-9"))) == ["one"]


def test_a_page_that_reads_too_slowly_is_told_to_start_over() -> None:
    async def read_late() -> bytes | None:
        hub = Hub("e", queue_events=3)
        subscription = hub.subscribe("")
        for _ in range(4):
            hub.publish("one", b"{}")
        return await subscription.next(1)

    assert names(asyncio.run(read_late())) == ["resync"]


def test_what_waits_is_sent_as_one_chunk() -> None:
    async def read() -> bytes | None:
        hub = Hub("e")
        subscription = hub.subscribe("")
        hub.publish("one", b"1")
        hub.publish("two", b"2")
        return await subscription.next(1)

    assert asyncio.run(read()) == b"id: e-1\nevent: one\ndata: 1\n\nid: e-2\nevent: two\ndata: 2\n\n"


def test_closing_ends_open_streams_and_future_ones() -> None:
    async def read() -> list[bytes | None]:
        hub = Hub("e")
        before = hub.subscribe("")
        hub.close()
        return [await before.next(1), await hub.subscribe("").next(1)]

    assert asyncio.run(read()) == [None, None]

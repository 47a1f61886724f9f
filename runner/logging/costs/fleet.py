"""What a fleet will cost that does not exist yet: traffic, cadence and prices in, a month's bill out.

The month is one in the steady state after a year: everything that is kept less than a year has reached its full size.
Every line names its quantity and its formula, so that a doubt can be looked up. Objects follow from cadence: a stream
with n records a day, whose first waiting record waits w seconds, makes 86400 / (w + 86400 / n) objects a day.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from runner.errors import ConfigError
from runner.settings import MIB, Shipping

DAY = 86_400.0
_NUMBER = re.compile(
    r"(?P<number>\d[\d_]*(?:\.\d+)?)\s*(?P<unit>(?:[kmb](?![a-z]))?)\s*(?P<noun>[a-z]+)(?P<rate>\s*(?:/|per|a)\s*day)?"
)
_UNITS = {"": 1, "k": 1_000, "m": 1_000_000, "b": 1_000_000_000}
_NOUNS = {"bot": "bots", "record": "records", "update": "updates", "listener": "listeners", "home": "homes"}
_A_DAY = ("records", "updates")
_MOST = {"bots": 10_000, "records": 10_000_000_000, "updates": 10_000_000_000, "listeners": 1_000, "homes": 10_000}
_EXAMPLE = 'write it as "10 bots, 1M records/day, 50k updates/day", perhaps with "3 listeners" and "2 homes"'
_UPDATES_OF_A_BOT = 5_000


@dataclass(frozen=True, slots=True)
class Fleet:
    """Bots that run 24 hours a day. `records` and `updates` of live documents are those of all bots, a day.

    `homes` is how many machines they run on, each with a shipper of its own; `listeners` how many dashboards look on.
    """

    bots: int
    records: int
    updates: int
    listeners: int = 1
    homes: int = 1

    def __str__(self) -> str:
        return (
            f"{self.bots:,} bots, {self.records:,} records/day, {self.updates:,} updates/day, "
            f"{self.listeners:,} listeners, {self.homes:,} homes"
        )


@dataclass(frozen=True, slots=True)
class StreamTraffic:
    """One stream of a bot: its share of the records, bytes of a record, and stored bytes per raw byte by batch size."""

    name: str
    share: float
    record_bytes: int
    packed: tuple[tuple[int, float], ...]

    def ratio(self, batch: float) -> float:
        """Stored bytes per raw byte in batches of so many records."""
        return next((ratio for size, ratio in reversed(self.packed) if batch >= size), self.packed[0][1])


TRAFFIC = (
    StreamTraffic("decisions", 0.440, 875, ((1, 0.60), (10, 0.159), (50, 0.109), (150, 0.100), (1000, 0.095))),
    StreamTraffic("metrics", 0.293, 540, ((1, 0.60), (10, 0.117), (50, 0.066), (150, 0.057), (1000, 0.053))),
    StreamTraffic("orders", 0.137, 811, ((1, 0.60), (10, 0.154), (50, 0.105), (150, 0.096), (1000, 0.092))),
    StreamTraffic("positions", 0.075, 815, ((1, 0.60), (10, 0.142), (50, 0.096), (150, 0.089), (1000, 0.085))),
    StreamTraffic("trades", 0.055, 1482, ((1, 0.60), (10, 0.147), (50, 0.109), (150, 0.103), (1000, 0.100))),
)
"""Measured on five real coins in bars of five minutes (`python -m benchmarks compression`)."""
HEARTBEATS = StreamTraffic("system", 0.0, 690, ((1, 0.60), (10, 0.170), (50, 0.12), (150, 0.11)))
SEALS = StreamTraffic("seals", 0.0, 1150, ((1, 0.60), (10, 0.50), (50, 0.45)))
USAGE = StreamTraffic("metrics", 0.0, 510, ((1, 0.60), (10, 0.13), (50, 0.08)))
SMALL_DOCUMENT_BYTES = 3_000
"""A naive document of somebody who switched off most automatic indexes, to be fair to them."""
LOG_ENTRY_BYTES = 463
"""What Cloud Logging counts of an entry beside the record itself."""
UNIQUE_DOCUMENTS = 0.06
"""Of the updates, those that make a document of their own (trades, alerts): each is deleted once, when it expires."""
DOCUMENTS_OF_A_BOT = 6


@dataclass(frozen=True, slots=True)
class Cadence:
    """When things are written, in seconds, and what streams listeners get."""

    live: float = 5.0
    heartbeat_every: float = 15.0
    heartbeat: float = 60.0
    archive: float = Shipping().archive_seconds
    prompt: float = Shipping().archive_prompt_seconds
    compliance: float = Shipping().compliance_seconds
    object_bytes: int = Shipping().archive_bytes
    seal: float = 60.0
    usage: float = 60.0
    export: float = 3600.0

    @staticmethod
    def of(shipping: Shipping) -> Cadence:
        return Cadence(
            live=shipping.live_seconds or 5.0,
            heartbeat=shipping.heartbeat_seconds or 60.0,
            archive=shipping.archive_seconds,
            prompt=shipping.archive_prompt_seconds,
            compliance=shipping.compliance_seconds,
            object_bytes=shipping.archive_bytes,
        )


@dataclass(frozen=True, slots=True)
class Flow:
    """One stream of one bot: records a day, objects a day and stored bytes a day in the archive."""

    traffic: StreamTraffic
    records: float
    objects: float
    stored: float

    @property
    def raw(self) -> float:
        return self.records * self.traffic.record_bytes


def flow(traffic: StreamTraffic, records: float, wait: float, limit: int) -> Flow:
    """What becomes of a stream's records when the first that waits may wait so many seconds."""
    if not records:
        return Flow(traffic, 0.0, 0.0, 0.0)
    objects = DAY / (wait + DAY / records)
    stored = records * traffic.record_bytes * traffic.ratio(records / objects)
    objects = max(objects, stored / limit)
    return Flow(traffic, records, objects, stored)


def written(updates: float, documents: int, window: float) -> float:
    """Of updates a day that fall evenly on some documents, those that are written: one a document and window."""
    rate = updates / DAY / max(1, documents)
    return updates / (1 + rate * window)


def parse(text: str) -> Fleet:
    """A fleet from words. Raises `ConfigError` that names what cannot be read."""
    found: dict[str, int] = {}
    for part in (piece.strip().lower() for piece in re.split(r",(?!\d{3}(?!\d))|;|\band\b", text)):
        match = _NUMBER.fullmatch(part.replace(",", ""))
        if match is None:
            raise ConfigError(f"{part!r} is no part of a fleet", _EXAMPLE)
        noun = _NOUNS.get(match["noun"].removesuffix("s"), "")
        if not noun or (match["rate"] and noun not in _A_DAY):
            raise ConfigError(f"{part!r}: a fleet has no such number", _EXAMPLE)
        if noun in found:
            raise ConfigError(f"{part!r}: the number of {noun} is given twice", _EXAMPLE)
        found[noun] = _bounded(noun, Decimal(match["number"].replace("_", "")) * _UNITS[match["unit"]])
    for needed in ("bots", "records"):
        if needed not in found:
            raise ConfigError(f"the number of {needed} is missing", _EXAMPLE)
    if found.get("homes", 1) > found["bots"]:
        raise ConfigError(f"{found['homes']} homes for {found['bots']} bots: some would have none", _EXAMPLE)
    return Fleet(**{"updates": found["bots"] * _UPDATES_OF_A_BOT, **found})


def _bounded(noun: str, number: Decimal) -> int:
    least = 0 if noun in ("updates", "listeners") else 1
    if number != int(number) or not least <= number <= _MOST[noun]:
        raise ConfigError(f"{number:f} {noun}: give a whole number from {least} to {_MOST[noun]:,}", _EXAMPLE)
    return int(number)


def bot_flows(fleet: Fleet, cadence: Cadence, *, compliance: bool = False) -> list[Flow]:
    """The streams of one bot, in the archive, or of those that have one, the compliance copies."""
    daily = fleet.records / fleet.bots
    flows = []
    for traffic in TRAFFIC:
        wait = cadence.prompt if traffic.name in ("trades", "orders") else cadence.archive
        if not compliance:
            flows.append(flow(traffic, daily * traffic.share, wait, cadence.object_bytes))
        elif traffic.name in ("trades", "orders"):
            flows.append(flow(traffic, daily * traffic.share, cadence.compliance, 8 * MIB))
    own = [(SEALS, DAY / cadence.seal)] + ([] if compliance else [(HEARTBEATS, DAY / cadence.heartbeat_every)])
    wait = cadence.compliance if compliance else cadence.archive
    return flows + [flow(traffic, records, wait, cadence.object_bytes) for traffic, records in own]


def home_flows(cadence: Cadence, *, compliance: bool = False) -> list[Flow]:
    """The streams of a shipper's own run: what it counted, and its seals."""
    wait = cadence.compliance if compliance else cadence.archive
    seals = [flow(SEALS, DAY / cadence.seal, wait, cadence.object_bytes)]
    return seals if compliance else [*seals, flow(USAGE, 12 * DAY / cadence.usage, wait, cadence.object_bytes)]

"""The price table: data, with its source and the day it was read, per region (`prices.json`).

    {"currency", "status", "default_region", "regions": {region: {service: prices}}, "free": {tier: amounts}}

A region names what differs from the default region; what it does not name, it takes from there, and every price says
for which `place` it holds. A table of one's own has the same form. A tier of `free` is what a project or a billing
account gets for nothing: Firestore's a day, the others' a month; deletes by Firestore's own expiry are in none.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from importlib import resources
from pathlib import Path

import msgspec
from msgspec import Struct

from runner.errors import ConfigError
from runner.settings import Costs

CLASSES = ("STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE")
_HINT = "write it as in runner/logging/prices.json, which names every service"


class Sourced(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where prices hold (`place`), where they were read (`source`) and when (`read`, a date)."""

    place: str
    source: str
    read: str


class Firestore(Sourced, frozen=True, kw_only=True):
    """US dollars for 100,000 documents, and for a GiB kept a month."""

    write_100k: Decimal
    read_100k: Decimal
    delete_100k: Decimal
    gib_month: Decimal


class Storage(Sourced, frozen=True, kw_only=True):
    """US dollars by storage class: a GiB kept a month, 1,000 operations, a GiB read."""

    gib_month: dict[str, Decimal]
    class_a_1k: dict[str, Decimal]
    class_b_1k: dict[str, Decimal]
    retrieval_gib: dict[str, Decimal]


class Bigquery(Sourced, frozen=True, kw_only=True):
    active_gib_month: Decimal
    long_term_gib_month: Decimal
    query_tib: Decimal
    load_gib: Decimal


class Pubsub(Sourced, frozen=True, kw_only=True):
    """US dollars for a TiB, published or delivered; a request counts at least `min_request_bytes`."""

    tib: Decimal
    min_request_bytes: int


class Logging(Sourced, frozen=True, kw_only=True):
    gib: Decimal
    kept_gib_month: Decimal
    included_days: int


class Functions(Sourced, frozen=True, kw_only=True):
    invocation_1m: Decimal
    vcpu_second: Decimal
    gib_second: Decimal
    scheduler_job_month: Decimal


class WorkerPool(Sourced, frozen=True, kw_only=True):
    vcpu_second: Decimal
    gib_second: Decimal


class FirestoreFree(Struct, frozen=True, kw_only=True):
    writes: int
    reads: int
    deletes: int
    gib: Decimal


class StorageFree(Struct, frozen=True, kw_only=True):
    class_a: int
    class_b: int
    gib: Decimal


class BigqueryFree(Struct, frozen=True, kw_only=True):
    gib: Decimal
    query_tib: Decimal


class GibFree(Struct, frozen=True, kw_only=True):
    gib: Decimal


class FunctionsFree(Struct, frozen=True, kw_only=True):
    invocations: int
    vcpu_seconds: int
    gib_seconds: int
    scheduler_jobs: int


class Free(Struct, frozen=True, kw_only=True):
    firestore_day: FirestoreFree
    storage_month: StorageFree
    bigquery_month: BigqueryFree
    pubsub_month: GibFree
    logging_month: GibFree
    functions_month: FunctionsFree


class Region(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The prices of one region, complete."""

    firestore: Firestore
    storage: Storage
    bigquery: Bigquery
    pubsub: Pubsub
    logging: Logging
    functions: Functions
    worker_pool: WorkerPool


class Prices(Struct, frozen=True, kw_only=True):
    """What one region charges, and what is free. All amounts are in US dollars."""

    region: str
    status: str
    services: Region
    free: Free

    @property
    def sources(self) -> dict[str, str]:
        """By service: where its prices hold, where they were read, and when."""
        found = {name: getattr(self.services, name) for name in Region.__struct_fields__}
        return {name: f"{one.place}; {one.source}; read {one.read}" for name, one in found.items()}


class _Table(Struct, frozen=True, kw_only=True):
    currency: str
    status: str
    default_region: str
    regions: dict[str, dict[str, msgspec.Raw]]
    free: Free


def load(costs: Costs | None = None) -> Prices:
    """The prices that the settings name. Raises `ConfigError` for a table or a region that cannot be used."""
    asked = costs or Costs()
    place = Path(asked.prices).expanduser() if asked.prices else None
    return _parse(_content(place), asked.region, str(place or "prices.json"))


def _content(place: Path | None) -> bytes:
    if place is None:
        return _own()
    try:
        return place.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"the price table {place} cannot be read: {error.strerror or error}", "see [costs] prices in tron.toml"
        ) from None


@cache
def _own() -> bytes:
    return resources.files("runner.logging").joinpath("prices.json").read_bytes()


def _parse(content: bytes, region: str, name: str) -> Prices:
    try:
        table = msgspec.json.decode(content, type=_Table)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ConfigError(f"the price table {name} is not one: {error}", _HINT) from None
    if table.currency != "USD":
        raise ConfigError(f"the price table {name} is in {table.currency!r}", "give its prices in USD")
    asked = region or table.default_region
    for known in (table.default_region, asked):
        if known not in table.regions:
            there = ", ".join(sorted(table.regions))
            raise ConfigError(f"the price table {name} has no region {known!r}", f"there are: {there}; or add it")
    return Prices(
        region=asked,
        status=table.status,
        services=_complete(table.regions[table.default_region], table.regions[asked], name),
        free=table.free,
    )


def _complete(default: Mapping[str, msgspec.Raw], asked: Mapping[str, msgspec.Raw], name: str) -> Region:
    """A region with what it takes from the default one."""
    merged = {**default, **asked}
    for needed in Region.__struct_fields__:
        if needed not in merged:
            raise ConfigError(f"the price table {name} has no prices of {needed!r}", _HINT)
    try:
        found = msgspec.json.decode(msgspec.json.encode(merged), type=Region)
    except msgspec.MsgspecError as error:
        raise ConfigError(f"the price table {name}: {error}", _HINT) from None
    _check(found, name)
    return found


def _check(region: Region, name: str) -> None:
    for kind in ("gib_month", "class_a_1k", "class_b_1k", "retrieval_gib"):
        known: Mapping[str, Decimal] = getattr(region.storage, kind)
        if missing := [one for one in CLASSES if one not in known]:
            raise ConfigError(f"the price table {name}: storage.{kind} lacks {', '.join(missing)}", _HINT)
    for service in Region.__struct_fields__:
        for field, amount in msgspec.to_builtins(getattr(region, service), builtin_types=(Decimal,)).items():
            amounts = amount.values() if isinstance(amount, dict) else (amount,)
            if any(isinstance(one, Decimal) and not (one.is_finite() and one >= 0) for one in amounts):
                raise ConfigError(f"the price table {name}: {service}.{field} is no price", "use numbers from 0 on")

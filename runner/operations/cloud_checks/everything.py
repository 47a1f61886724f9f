"""Every check of everything that the settings put on Google Cloud, in the order in which problems should be solved."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from runner.clock import Clock
from runner.errors import ConfigError, RunnerError
from runner.logging.routes import TRADE_LOGS
from runner.operations.checks import Check
from runner.operations.cloud_checks import buckets, live, project, stream, warehouse
from runner.operations.cloud_checks.asking import Asking, Purpose
from runner.stores.apis import Apis

Stores = Mapping[str, Mapping[str, str]]


def examine(apis: Apis, stores: Stores, wanted_project: str, purpose: Purpose, clock: Clock) -> Iterator[Check]:
    """Look at everything. `stores` holds the named parts of the URLs of those on Google Cloud, by store.

    What is asked of a store that nothing answers for ends with a check that says so, and the others go on. Raises
    `ConfigError` when no store is on Google Cloud, or no project is known.
    """
    if not stores:
        hint = "set TRON_LIVE_STORE, TRON_ARCHIVE, TRON_STREAM or TRON_WAREHOUSE as docs/google-cloud.md shows"
        raise ConfigError("no store is on Google Cloud", hint)
    asking = Asking(apis, _project(apis, stores, wanted_project), purpose)
    try:
        found = project.look(asking, stores, clock)
    except RunnerError as error:
        yield Check("project", False, str(error), error.hint)
        return
    yield from found.checks
    if not found.usable:
        return
    yield from _attempt("APIs", lambda: project.look_at_apis(asking, stores))
    for store, look in _looks(asking, stores, found.number).items():
        yield from _attempt(store, look)


def _looks(asking: Asking, stores: Stores, number: str) -> Mapping[str, Callable[[], Iterable[Check]]]:
    known: dict[str, Callable[[], Iterable[Check]]] = {}
    if "archive" in stores:
        known["archive"] = lambda: buckets.look(asking, stores["archive"]["prefix"], number)
    if "live" in stores:
        known["live store"] = lambda: live.look(asking, stores["live"].get("database") or "(default)")
    if "stream" in stores:
        known["stream"] = lambda: stream.look(asking)
    if "warehouse" in stores:
        bucket = f"{stores['archive']['prefix']}-tron-{TRADE_LOGS}" if "archive" in stores else ""
        known["warehouse"] = lambda: warehouse.look(asking, stores["warehouse"]["dataset"], bucket)
    return known


def _attempt(name: str, look: Callable[[], Iterable[Check]]) -> Iterator[Check]:
    try:
        yield from look()
    except ConfigError as error:
        yield Check(name, False, str(error), error.hint)
    except RunnerError as error:
        yield Check(name, None, str(error), error.hint or "try again")


def _project(apis: Apis, stores: Stores, wanted: str) -> str:
    named = (parts["project"] for parts in stores.values() if parts.get("project"))
    project = wanted or next(named, "") or apis.default_project
    if not project:
        raise ConfigError("nothing names the project", "set GOOGLE_CLOUD_PROJECT")
    return project

"""The project: that it is the one that is meant, that its clock is ours, and that its APIs are on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from runner.clock import Clock
from runner.operations.checks import Check
from runner.operations.cloud_checks.asking import EMULATED, Asking, Thing, items, path, refused
from runner.stores.apis import Answer

MOST_SKEW = 5.0
"""Seconds. Records are stamped by this machine; tokens and signatures that are minutes off are refused."""
APIS_OF = {"live": "firestore", "archive": "storage", "stream": "pubsub", "warehouse": "bigquery"}
_MANAGER, _USAGE = "cloudresourcemanager", "serviceusage"


@dataclass(frozen=True, slots=True)
class Project:
    """Checks, whether it is worth looking at more, and the project's number, or empty where nobody tells it."""

    checks: tuple[Check, ...]
    usable: bool
    number: str = ""


def look(asking: Asking, stores: Mapping[str, Mapping[str, str]], clock: Clock) -> Project:
    """The project itself, and the time: that of the answer about the project. Raises `StoreUnavailable`."""
    others = sorted({parts["project"] for parts in stores.values() if parts.get("project")} - {asking.project})
    wrong = [_another(asking.project, other) for other in others]
    if not asking.apis.has(_MANAGER):
        return Project((*wrong, Check("project", True, f"{asking.project}; {EMULATED}")), not wrong)
    before = clock.now()
    answer = asking.apis.ask(_MANAGER, path("v3", "projects", asking.project))
    between = before + (clock.now() - before) / 2
    skew = (answer.date - between).total_seconds() if answer.date else None
    number = str(answer.body.get("name", "")).removeprefix("projects/") if answer.good else ""
    itself = _project(asking, answer)
    usable = not wrong and (itself.good is True or answer.is_disabled or answer.status >= 429)
    return Project((*wrong, itself, _clock(skew)), usable, number)


def look_at_apis(asking: Asking, stores: Mapping[str, Mapping[str, str]]) -> Iterator[Check]:
    """Whether the APIs of the stores are on."""
    if not asking.apis.has(_USAGE):
        yield Check("APIs", True, EMULATED)
        return
    wanted = [f"{APIS_OF[store]}.googleapis.com" for store in stores]
    names = "&".join(f"names=projects/{asking.project}/services/{name}" for name in wanted)
    answer = asking.apis.ask(_USAGE, f"{path('v1', 'projects', asking.project)}/services:batchGet?{names}")
    if not answer.good:
        thing = Thing("APIs", _USAGE, "roles/serviceusage.serviceUsageViewer")
        yield refused(answer, thing, asking.project)
        return
    states = {str(one.get("name", "")).rpartition("/")[2]: one.get("state") for one in items(answer, "services")}
    off = [name for name in wanted if states.get(name) != "ENABLED"]
    if off:
        advice = f"gcloud services enable {' '.join(off)} --project={asking.project}"
        yield Check("APIs", False, f"off: {', '.join(off)}", advice)
    else:
        yield Check("APIs", True, f"on: {', '.join(wanted)}")


def _another(project: str, other: str) -> Check:
    found = f"a store lies in {other}, and the project is {project}"
    return Check("project", False, found, "name one project in GOOGLE_CLOUD_PROJECT and in the URLs of all stores")


def _project(asking: Asking, answer: Answer) -> Check:
    if answer.status in (403, 404) and not answer.is_disabled:
        found = f"{asking.project} does not exist, or {asking.apis.identity} may not see it: {answer.message}"
        advice = "check GOOGLE_CLOUD_PROJECT and whose credentials these are; roles/browser lets one see a project"
        return Check("project", False, found, advice)
    if not answer.good:
        return refused(answer, Thing("project", _MANAGER, "roles/browser"), asking.project)
    state = answer.body.get("state", "ACTIVE")
    if state != "ACTIVE":
        return Check("project", False, f"{asking.project} is {state}", f"gcloud projects undelete {asking.project}")
    return Check("project", True, f"{asking.project}, as {asking.apis.identity}")


def _clock(skew: float | None) -> Check:
    if skew is None:
        return Check("clock", None, "the answer has no date", "is there a proxy on the way?")
    if abs(skew) > MOST_SKEW:
        found = f"this machine is {abs(skew):,.0f} s {'behind' if skew > 0 else 'ahead of'} Google"
        return Check("clock", False, found, "sudo timedatectl set-ntp true; in a container, on its machine")
    return Check("clock", True, "right, as far as a second tells")

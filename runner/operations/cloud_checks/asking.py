"""What all checks share: who asks what for, and what a refusal means, in words and with what to do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any
from urllib.parse import quote

from runner.operations.checks import Check
from runner.operations.infrastructure import variables
from runner.stores.apis import SIGN_IN, Answer, Apis

EMULATED = "not asked: the emulator does not know of it"


class Purpose(StrEnum):
    """What somebody wants to do. `ship` is what a bot and its shipper do, `read` what people and dashboards do."""

    SHIP = "ship"
    READ = "read"
    EXPORT = "export"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Thing:
    """What a question is about.

    Its `name` in a check, the `api` that answers, the `role` that may look at it, and the command to `create` it.
    """

    name: str
    api: str
    role: str
    create: str = ""


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks, in which project, and what for."""

    apis: Apis
    project: str
    purpose: Purpose = Purpose.ALL

    def permissions(self, by_purpose: Mapping[Purpose, tuple[str, ...]]) -> tuple[str, ...]:
        """The permissions that the purpose needs, of those that each of them needs."""
        if self.purpose is not Purpose.ALL:
            return by_purpose.get(self.purpose, ())
        return tuple(dict.fromkeys(one for needed in by_purpose.values() for one in needed))


@cache
def wanted_things() -> Mapping[str, Any]:
    """What must be there, as Terraform is told."""
    return variables()


def path(*parts: str) -> str:
    """A path of a URL: every part quoted, so that no name can leave its place."""
    return "/".join(quote(part, safe=":()") for part in parts)


def refused(answer: Answer, thing: Thing, project: str) -> Check:
    """What it means that a question was not answered, and what to do."""
    name, message = thing.name, answer.message
    if answer.status == 401:
        return Check(name, False, f"Google does not take these credentials: {message}", SIGN_IN)
    if answer.is_disabled:
        return Check(
            name,
            False,
            f"its API is off: {message}",
            f"gcloud services enable {thing.api}.googleapis.com --project={project}",
        )
    if answer.status == 403:
        return Check(name, None, f"may not be looked at: {message}", f"ask somebody for {thing.role}, or let them look")
    if answer.status == 404:
        return Check(name, False, "is missing", f"terraform apply; or by hand: {thing.create}")
    if answer.status == 429 or answer.status >= 500:
        return Check(name, None, f"could not be looked at: {message}", "try again in a minute")
    return Check(name, False, message, "see docs/deploy.md")


def granted(asking: Asking, question: str, wanted: Iterable[str], thing: Thing, advice: str) -> Check:
    """Whether one has the `wanted` permissions on a thing. `question` is where its API tells which one has."""
    permissions = list(wanted)
    if thing.api == "storage":
        query = "&".join(f"permissions={permission}" for permission in permissions)
        answer = asking.apis.ask(thing.api, f"{question}?{query}")
    else:
        answer = asking.apis.ask(thing.api, question, {"permissions": permissions})
    if not answer.good:
        return refused(answer, thing, asking.project)
    lacking = [permission for permission in permissions if permission not in answer.body.get("permissions", ())]
    if lacking:
        return Check(thing.name, False, f"{asking.apis.identity} may not {', '.join(lacking)}", advice)
    return Check(thing.name, True, "allow what is needed")


def member(asking: Asking) -> str:
    """The principal for a command that grants a role; a gap to fill in where Google's credentials do not tell it."""
    identity = asking.apis.identity
    return f"serviceAccount:{identity}" if identity.endswith(".gserviceaccount.com") else "user:YOU"


def items(answer: Answer, key: str) -> list[Mapping[str, Any]]:
    return [one for one in answer.body.get(key, ()) if isinstance(one, dict)]

"""What the Google Cloud stores share: what Google refuses, told as this product's errors with what to do about it.

| Google says                                        | we raise           | the hint names                |
|----------------------------------------------------|--------------------|-------------------------------|
| 400 (but no failed precondition), 413              | `StoreRejected`    | nothing: this content is bad  |
| 401, credentials that cannot be refreshed          | `StoreDenied`      | how to sign in                |
| 403                                                | `StoreDenied`      | the role to grant             |
| 404                                                | `StoreUnavailable` | the command that creates it   |
| 409, 412, 429, 499, 5xx, no answer, no connection  | `StoreUnavailable` |                               |
| no credentials at all, when a store is opened      | `ConfigError`      | how to sign in                |

What an adapter knows better (a name that is taken, an object that is absent) it catches before.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from google.api_core import exceptions as google
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError

from runner.errors import ConfigError, StoreDenied, StoreError, StoreRejected, StoreUnavailable
from runner.stores.apis import SIGN_IN

_LONGEST_MESSAGE = 300
_NOT_ENABLED = ("SERVICE_DISABLED", "accessNotConfigured")


@dataclass(frozen=True, slots=True)
class Place:
    """What a request is about: its `name` in a sentence, the `role` that allows it, the command to `create` it."""

    name: str
    role: str
    create: str


@contextmanager
def failures_as_ours(place: Place) -> Iterator[None]:
    """Turn what Google Cloud refuses, or cannot be asked, into a `StoreError` that says what to do."""
    try:
        yield
    except (google.GoogleAPIError, GoogleAuthError, OSError) as error:
        raise translated(error, place) from error


@contextmanager
def opening(url: str) -> Iterator[None]:
    """Turn what keeps a client from being made into `ConfigError`."""
    try:
        yield
    except DefaultCredentialsError as error:
        raise ConfigError(f"{url}: there are no Google Cloud credentials", SIGN_IN) from error
    except (GoogleAuthError, OSError, ValueError) as error:
        raise ConfigError(f"{url}: {_line(error)}", SIGN_IN) from error


def emulator(variable: str) -> str:
    """The address of an emulator that the environment names, as `host:port`, or empty for the real service."""
    return os.environ.get(variable, "").removeprefix("http://")


def translated(error: Exception, place: Place) -> StoreError:
    """Our error for one of Google's."""
    if isinstance(error, google.BadRequest) and not isinstance(error, google.FailedPrecondition):
        return StoreRejected(f"{place.name}: {_line(error)}")
    if isinstance(error, google.GoogleAPICallError) and error.code == 413:
        return StoreRejected(f"{place.name}: {_line(error)}")
    is_denied = isinstance(error, (google.Unauthorized, google.Forbidden, GoogleAuthError))
    kind = StoreDenied if is_denied else StoreUnavailable
    return kind(f"{place.name}: {_line(error)}", _hint(error, place))


def _hint(error: Exception, place: Place) -> str:
    if isinstance(error, (google.Unauthorized, GoogleAuthError)):
        return SIGN_IN
    if isinstance(error, google.Forbidden):
        if any(sign in str(error) for sign in _NOT_ENABLED):
            return "enable the API in this project, as the message says"
        return f"grant the role {place.role}"
    if isinstance(error, google.NotFound):
        return f"create it with `{place.create}`, or with Terraform"
    if isinstance(error, google.TooManyRequests):
        return "a quota is used up for now: it is tried again"
    return "is the network up? It is tried again"


def _line(error: Exception) -> str:
    """One line of an error, and not all of it where it is long."""
    text = " ".join(_message(error).split()) or type(error).__name__
    return text if len(text) <= _LONGEST_MESSAGE else text[: _LONGEST_MESSAGE - 1] + "…"


def _message(error: Exception) -> str:
    """What an error says; where it came as JSON over HTTP, what that says, without the request around it."""
    try:
        told = error.response.json()["error"]  # type: ignore[attr-defined]  # only some errors have one
        return f"{told['code']} {told['message']}"
    except (AttributeError, KeyError, TypeError, ValueError):
        return str(error)

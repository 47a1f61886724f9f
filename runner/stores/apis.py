"""The seam to Google's administrative APIs: one question, one answer, whatever the status."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

SIGN_IN = "sign in with `gcloud auth application-default login`, or run as a service account"


@dataclass(frozen=True, slots=True)
class Answer:
    """What an API answered: the HTTP status, the JSON object of the body, and the time on the server's clock."""

    status: int
    body: Mapping[str, Any] = field(default_factory=dict)
    date: datetime | None = None

    @property
    def good(self) -> bool:
        return self.status < 400

    @property
    def message(self) -> str:
        """What a refusal says, on one line."""
        error = self.body.get("error")
        text = error.get("message", "") if isinstance(error, Mapping) else error
        return " ".join(str(text or f"HTTP status {self.status}").split())

    @property
    def is_disabled(self) -> bool:
        """Whether it is refused because the API is not enabled in the project."""
        signs = ("SERVICE_DISABLED", "accessNotConfigured")
        return self.status == 403 and any(sign in str(self.body) for sign in signs)


class Apis(Protocol):
    @property
    def identity(self) -> str:
        """Whose credentials are used, as one tells it to people."""
        ...

    @property
    def default_project(self) -> str:
        """The project that the credentials name, or empty."""
        ...

    def has(self, api: str) -> bool:
        """Whether there is such an API. Where some are emulators, those without one are not."""
        ...

    def is_emulated(self, api: str) -> bool: ...

    def ask(self, api: str, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        """GET `path`, or POST `body` to it. `api` is the name before `.googleapis.com`.

        Raises `StoreUnavailable` when there is no answer, or none that such an API would give, and `ConfigError` for
        credentials that Google does not take.
        """
        ...

    def ask_all(self, api: str, path: str, key: str) -> Answer:
        """As `ask`, for a list: the answer's `key` holds the items of all pages."""
        ...

    def close(self) -> None: ...

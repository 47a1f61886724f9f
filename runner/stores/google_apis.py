"""Google's administrative APIs over REST, as `Apis`.

`TRON_GOOGLE_APIS` is the address of all of them where it is another one, with `{api}` for the name of each: a private
endpoint `https://{api}-acme.p.googleapis.com`, or a stand-in for tests. Otherwise an API is at its emulator, where the
emulator's variable is set, and else at `https://{api}.googleapis.com`. Credentials are sent over https only.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import google.auth
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import GoogleAuthError, TransportError
from google.auth.transport.requests import AuthorizedSession

from runner.errors import ConfigError, StoreUnavailable
from runner.stores.apis import SIGN_IN, Answer
from runner.stores.cloud import emulator, opening

ENDPOINTS = "TRON_GOOGLE_APIS"
EMULATORS = {
    "bigquery": "BIGQUERY_EMULATOR_HOST",
    "firestore": "FIRESTORE_EMULATOR_HOST",
    "pubsub": "PUBSUB_EMULATOR_HOST",
    "storage": "STORAGE_EMULATOR_HOST",
}
_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
_MOST_PAGES = 100


class GoogleApis:
    """Asks with the credentials of the environment. Raises `ConfigError` where there are none.

    A question is asked once, and ends within `timeout` seconds twice: to connect, and to be answered.
    """

    def __init__(self, *, timeout: float = 10.0, credentials: Any = None) -> None:
        self._timeout = timeout
        self.default_project = ""
        if credentials is None and self._base("storage").startswith("https:"):
            with opening("Google Cloud"):
                credentials, project = google.auth.default(scopes=_SCOPES)
            self.default_project = project or ""
        elif credentials is None:
            credentials = AnonymousCredentials()  # type: ignore[no-untyped-call]  # Google's
        self._session = AuthorizedSession(credentials)  # type: ignore[no-untyped-call]  # Google's
        self.identity = _identity(credentials)

    def has(self, api: str) -> bool:
        return bool(self._base(api))

    def is_emulated(self, api: str) -> bool:
        return not os.environ.get(ENDPOINTS) and any(map(emulator, EMULATORS.values()))

    def ask(self, api: str, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        base = self._base(api)
        if not base:
            raise StoreUnavailable(f"{api}: there is no emulator of it", "unset the emulators' variables")
        try:
            found = self._session.request(  # type: ignore[no-untyped-call]  # Google's
                "GET" if body is None else "POST",
                f"{base}/{path}",
                json=body,
                timeout=self._timeout,
                allow_redirects=False,
            )
        except (TransportError, OSError) as error:
            raise StoreUnavailable(f"{urlsplit(base).netloc} does not answer: {_line(error)}", _NETWORK) from error
        except GoogleAuthError as error:
            raise ConfigError(f"Google does not take these credentials: {_line(error)}", SIGN_IN) from error
        return Answer(found.status_code, _object(api, found), _date(found.headers.get("Date", "")))

    def ask_all(self, api: str, path: str, key: str) -> Answer:
        items: list[Any] = []
        token = ""
        for _ in range(_MOST_PAGES):
            separator = "&" if "?" in path else "?"
            answer = self.ask(api, f"{path}{separator}pageToken={token}" if token else path)
            if not answer.good:
                return answer
            items += answer.body.get(key, ())
            token = answer.body.get("nextPageToken", "")
            if not token:
                break
        return Answer(answer.status, {key: items}, answer.date)

    def close(self) -> None:
        self._session.close()  # type: ignore[no-untyped-call]  # Google's

    def _base(self, api: str) -> str:
        """The address of an API without a slash at its end; empty where it is left out among emulators."""
        template = os.environ.get(ENDPOINTS, "")
        if template:
            return template.replace("{api}", api).rstrip("/")
        if not any(map(emulator, EMULATORS.values())):
            return f"https://{api}.googleapis.com"
        host = emulator(EMULATORS[api]) if api in EMULATORS else ""
        return f"http://{host}" if host else ""


_NETWORK = "is the network up, and may this machine reach Google's APIs?"


def _object(api: str, found: Any) -> Mapping[str, Any]:
    """The JSON object of a body. Emulators refuse without one; what is no object is not of such an API at all."""
    try:
        body = found.json() if found.content else {}
    except ValueError:
        body = None
    if isinstance(body, dict):
        return body
    if found.status_code >= 400:
        return {}
    raise StoreUnavailable(f"{api} gave no JSON: something else answers in its place", "is there a proxy on the way?")


def _date(header: str) -> datetime | None:
    try:
        return parsedate_to_datetime(header)
    except ValueError:
        return None


def _identity(credentials: Any) -> str:
    if isinstance(credentials, AnonymousCredentials):
        return "nobody (without https, no credentials are sent)"
    address = getattr(credentials, "service_account_email", "") or getattr(credentials, "account", "")
    return str(address) if address and address != "default" else f"{type(credentials).__module__.rpartition('.')[2]}"


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]

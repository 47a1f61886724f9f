"""Who calls: the token that Google signed for the caller's service account.

Cloud Run checks the token before the function sees it, and then removes the signature. So with signatures checked by
the `platform`, a token without one is trusted as far as its claims go: it names one of our audiences and one of the
callers, and has not expired. That is sound only where IAM lets nobody in unchecked. A token that still has its
signature is checked against Google's keys, always. Where `X-Serverless-Authorization` is given, it is the one that
Cloud Run checked; nothing is known of the other header then, so it is not looked at.
"""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any

from google.auth import exceptions, jwt

from functions.options import Headers, Options
from functions.refusal import FORBIDDEN, UNAUTHENTICATED, Refused
from runner.clock import Clock
from runner.errors import ConfigError, StoreUnavailable

KEYS_URL = "https://www.googleapis.com/oauth2/v1/certs"
ISSUERS = ("https://accounts.google.com", "accounts.google.com")
REMOVED = "SIGNATURE_REMOVED_BY_GOOGLE"
_HEADERS = ("X-Serverless-Authorization", "Authorization")
_SKEW = 30
_KEEP_SECONDS, _LOOK_AGAIN_SECONDS, _FETCH_SECONDS = 3600.0, 60.0, 5.0
_HINT = "call with a token of a service account: docs/functions.md, who may call"

Claims = Mapping[str, Any]
_jwt: Any = jwt  # it has no types


def fetch_keys() -> dict[str, str]:
    """Google's certificates by key id. Raises `StoreUnavailable`."""
    try:
        with urllib.request.urlopen(KEYS_URL, timeout=_FETCH_SECONDS) as answer:
            keys: dict[str, str] = json.loads(answer.read())
            return keys
    except (OSError, ValueError) as error:
        raise StoreUnavailable(
            f"Google's keys cannot be read: {error}", "is there a way out to googleapis.com?"
        ) from None


class Keys:
    """Google's keys, kept for an hour. A key that is not known is looked for again, at most once a minute."""

    def __init__(self, clock: Clock, fetch: Callable[[], dict[str, str]] = fetch_keys) -> None:
        self._clock = clock
        self._fetch = fetch
        self._lock = threading.Lock()
        self._known: dict[str, str] = {}
        self._fetched = float("-inf")

    def get(self, key_id: str) -> dict[str, str]:
        """The keys, with the one of this id if Google has it. Raises `StoreUnavailable`."""
        with self._lock:
            age = self._clock.monotonic() - self._fetched
            if age > _KEEP_SECONDS or (key_id not in self._known and age > _LOOK_AGAIN_SECONDS):
                self._known = self._fetch()
                self._fetched = self._clock.monotonic()
            return self._known


class Doorkeeper:
    """Lets in who may call. Raises `Refused` with 401 for who is unknown, 403 for who is known and not allowed."""

    def __init__(self, clock: Clock, keys: Keys) -> None:
        self._clock = clock
        self._keys = keys

    def check(self, headers: Headers, options: Options) -> str:
        """The caller's e-mail; empty where nothing is deployed and nobody is asked."""
        if not options.service:
            return ""
        if not (options.callers and options.audiences):
            raise ConfigError(
                "TRON_FUNCTION_CALLERS and TRON_FUNCTION_AUDIENCES are not set, so nobody may call",
                "name the service account of Cloud Scheduler or Pub/Sub, and the audience of its tokens",
            )
        claims = self._claims(_token(headers), options)
        self._check_time(claims)
        return _allowed(claims, options)

    def _claims(self, token: str, options: Options) -> Claims:
        try:
            if token.rpartition(".")[2] == REMOVED:
                return self._claims_checked_before(token, options)
            key_id = _jwt.decode_header(token).get("kid")
            if not isinstance(key_id, str):
                raise Refused(UNAUTHENTICATED, "the token does not say which key signed it", _HINT)
            claims: Claims = _jwt.decode(token, certs=self._keys.get(key_id), clock_skew_in_seconds=_SKEW)
        except (exceptions.GoogleAuthError, ValueError, TypeError, AttributeError) as error:
            raise Refused(UNAUTHENTICATED, f"the token is not valid: {error}"[:300], _HINT) from None
        return claims

    def _claims_checked_before(self, token: str, options: Options) -> Claims:
        if options.signatures != "platform":
            raise Refused(
                UNAUTHENTICATED,
                "Cloud Run removed the token's signature, so it cannot be checked here",
                "set TRON_FUNCTION_SIGNATURES=platform where IAM checks every caller of this function",
            )
        claims: Claims = _jwt.decode(token, verify=False)
        return claims

    def _check_time(self, claims: Claims) -> None:
        now = self._clock.time_ns() / 1e9
        issued, expires = claims.get("iat"), claims.get("exp")
        if not isinstance(issued, int | float) or not isinstance(expires, int | float):
            raise Refused(UNAUTHENTICATED, "the token does not say when it was issued and expires", _HINT)
        if not issued - _SKEW <= now <= expires + _SKEW:
            raise Refused(UNAUTHENTICATED, "the token has expired, or is not valid yet", _HINT)


def _token(headers: Headers) -> str:
    given = next((given for name in _HEADERS if (given := headers.get(name, ""))), "")
    scheme, _, token = given.partition(" ")
    if scheme.lower() != "bearer" or token.count(".") != 2:
        raise Refused(UNAUTHENTICATED, "there is no token in the request", _HINT)
    return token


def _allowed(claims: Claims, options: Options) -> str:
    if claims.get("iss") not in ISSUERS:
        raise Refused(UNAUTHENTICATED, "the token was not issued by Google", _HINT)
    if claims.get("aud") not in options.audiences:
        raise Refused(FORBIDDEN, "the token is for another audience", "see TRON_FUNCTION_AUDIENCES")
    email = claims.get("email")
    if email not in options.callers or claims.get("email_verified") is not True:
        raise Refused(FORBIDDEN, "this caller is not allowed", "see TRON_FUNCTION_CALLERS")
    return str(email)

"""The security rules that are deployed: nobody but service accounts reads or writes, whatever they ask for."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.emulators.emulator import Emulator
from tests.emulators.fixtures import StartEmulator

RULES = Path(__file__).parents[2] / "runner/stores/firestore.rules"
PLACE = "/v1/projects/demo-rules/databases/(default)/documents"
BODY = {"fields": {"n": {"integerValue": "1"}}}
QUERY = {"structuredQuery": {"from": [{"collectionId": "live_trades"}]}}
REQUESTS = {
    "get": ("GET", "/live_trades/t1", None),
    "list": ("GET", "/live_trades", None),
    "query": ("POST", ":runQuery", QUERY),
    "query below": ("POST", ":runQuery", {"structuredQuery": {"from": [{"allDescendants": True}]}}),
    "create": ("POST", "/live_trades?documentId=t2", BODY),
    "update": ("PATCH", "/live_trades/t1", BODY),
    "delete": ("DELETE", "/live_trades/t1", None),
    "commit": ("POST", ":commit", {"writes": [{"delete": f"{PLACE.removeprefix('/v1/')}/live_trades/t1"}]}),
    "elsewhere": ("GET", "/users/me/private/thing", None),
}


def unsigned_token(**claims: object) -> str:
    """What the emulator takes for a user who signed in."""
    parts = [{"alg": "none", "typ": "JWT"}, claims]
    return ".".join(
        [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts] + [""]
    )


SIGNED_IN = unsigned_token(sub="alice", user_id="alice", email="alice@example.com", email_verified=True, admin=True)


@pytest.fixture
def emulator(own_emulator: StartEmulator) -> Emulator:
    return own_emulator("firestore", rules=RULES)


def ask(emulator: Emulator, name: str, token: str = "") -> int:
    """The status of a request's answer."""
    method, path, body = REQUESTS[name]
    request = urllib.request.Request(
        f"{emulator.url}{PLACE}{path}", method=method, data=None if body is None else json.dumps(body).encode()
    )
    request.add_header("Content-Type", "application/json")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def test_the_owner_may_do_everything_and_nobody_else_anything(emulator: Emulator) -> None:
    """One test, because the emulator with the rules is its own and takes a second to start."""
    assert ask(emulator, "create", "owner") == 200
    assert ask(emulator, "update", "owner") == 200
    for token in ("", SIGNED_IN):
        assert {name: ask(emulator, name, token) for name in REQUESTS} == dict.fromkeys(REQUESTS, 403)
    assert ask(emulator, "get", "owner") == 200


def test_the_rules_say_what_they_mean() -> None:
    lines = [line.strip() for line in RULES.read_text().splitlines()]
    assert [line for line in lines if line.startswith("allow")] == ["allow read, write: if false;"]
    assert [line for line in lines if line.startswith("match")][-1] == "match /{document=**} {"

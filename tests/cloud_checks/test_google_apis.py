"""How Google's APIs are asked: with whose credentials, and what it means when no proper answer comes."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import google.auth.transport.requests
import pytest
from google.auth.exceptions import RefreshError
from google.oauth2.credentials import Credentials

from runner.errors import ConfigError
from runner.operations.checks import Check
from runner.settings import Settings
from runner.stores.google_apis import GoogleApis
from runner.stores.open import open_apis
from tests.cloud_checks.conftest import Examine
from tests.cloud_checks.fake_google import PROJECT, FakeGoogle
from tests.emulators.fixtures import VARIABLES


@pytest.fixture
def no_emulators(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VARIABLES.values():
        monkeypatch.delenv(variable, raising=False)


class Tokens(Credentials):
    """Credentials with a token that is good for ever, or that Google takes back."""

    def __init__(self, *, good: bool) -> None:
        super().__init__(token="a-token" if good else None)  # type: ignore[no-untyped-call]

    def refresh(self, request: google.auth.transport.requests.Request) -> None:
        raise RefreshError("invalid_grant: Token has been expired or revoked.")  # type: ignore[no-untyped-call]


def test_without_credentials_one_is_told_how_to_sign_in(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, no_emulators: None
) -> None:
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))

    with pytest.raises(ConfigError, match="there are no Google Cloud credentials") as raised:
        open_apis(Settings.load({"TRON_ARCHIVE": "gs://acme"}))

    assert "gcloud auth application-default login" in raised.value.hint


def test_credentials_that_cannot_be_read_are_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, no_emulators: None
) -> None:
    (tmp_path / "key.json").write_text("{")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))

    with pytest.raises(ConfigError):
        GoogleApis()


def test_credentials_that_were_revoked_are_told(google: FakeGoogle) -> None:
    apis = GoogleApis(credentials=Tokens(good=False))

    with pytest.raises(ConfigError, match=r"does not take these credentials: .*revoked") as raised:
        apis.ask("storage", "storage/v1/b/acme")

    assert "gcloud auth" in raised.value.hint
    apis.close()


def test_production_does_not_talk_to_an_emulator(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="ENVIRONMENT=prod, but STORAGE_EMULATOR_HOST"):
        open_apis(Settings.load({"ENVIRONMENT": "prod", "TRON_ARCHIVE": "gs://acme"}))


def test_where_nobody_answers_the_look_ends_with_the_network(
    google: FakeGoogle, found: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        monkeypatch.setenv("TRON_GOOGLE_APIS", f"http://127.0.0.1:{unused.getsockname()[1]}/{{api}}")
    (check,) = found()

    assert check.good is False
    assert "does not answer" in check.found
    assert "network" in check.advice


@pytest.mark.parametrize("raw", [b"<html>Sign in to the hotel's network</html>", b"[]", b"\xff"])
def test_something_else_in_the_place_of_google_is_told(google: FakeGoogle, found: Examine, raw: bytes) -> None:
    google.raw = raw

    (check,) = found()

    assert check.good is False
    assert "something else answers in its place" in check.found


def test_one_store_that_does_not_answer_keeps_the_others_from_nothing(google: FakeGoogle, found: Examine) -> None:
    google.refuse("pubsub/", 503)

    bad: list[Check] = [check for check in found() if not check.good]

    assert bad
    assert all(check.good is None for check in bad)
    assert all("tron-records" in check.name or check.name == "subscriptions" for check in bad)


def test_credentials_that_one_api_does_not_take_are_told_once_a_store(google: FakeGoogle, found: Examine) -> None:
    google.refuse("storage/", 401, "Request had invalid authentication credentials.")

    wrong = [check for check in found() if not check.good]

    assert {check.name for check in wrong} == {"archive", "warehouse"}
    assert all("does not take these credentials" in check.found and check.good is False for check in wrong)


def test_no_token_is_sent_without_https(google: FakeGoogle) -> None:
    seen: list[Any] = []
    apis = GoogleApis()
    apis._session.hooks["response"].append(lambda answer, **_: seen.append(answer.request.headers))
    apis.ask("storage", "storage/v1/b/acme")
    apis.close()

    assert seen
    assert "Authorization" not in seen[0]
    assert apis.identity.startswith("nobody")


def test_a_token_is_sent_as_google_wants_it(google: FakeGoogle) -> None:
    seen: list[Any] = []
    apis = GoogleApis(credentials=Tokens(good=True))
    apis._session.hooks["response"].append(lambda answer, **_: seen.append(answer.request.headers))
    answer = apis.ask("cloudresourcemanager", f"v3/projects/{PROJECT}")
    apis.close()

    assert answer.body["projectId"] == PROJECT
    assert seen[0]["Authorization"] == "Bearer a-token"

"""A stand-in for Google's APIs, and what the product finds in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from runner.clock import SystemClock
from runner.operations.checks import Check
from runner.operations.cloud_checks.asking import Purpose
from runner.operations.cloud_checks.everything import examine
from runner.settings import Settings
from runner.stores.open import cloud_parts, open_apis
from tests.cloud_checks.fake_google import STORES, FakeGoogle

Examine = Callable[..., list[Check]]


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGoogle]:
    """A project in which everything is right."""
    with FakeGoogle() as fake:
        monkeypatch.setenv("TRON_GOOGLE_APIS", fake.url)
        yield fake


@pytest.fixture
def found(google: FakeGoogle) -> Examine:
    """Look at everything; `found("all", TRON_ARCHIVE="")` with other settings than the project's own."""

    def look(purpose: str = "all", **environ: str) -> list[Check]:
        settings = Settings.load({**STORES, **environ})
        apis = open_apis(settings)
        try:
            return list(examine(apis, cloud_parts(settings), settings.project, Purpose(purpose), SystemClock()))
        finally:
            apis.close()

    return look

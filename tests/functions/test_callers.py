"""Who may call a function that is deployed. Nobody may by default."""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import functions.callers
from functions.callers import REMOVED, Doorkeeper, Keys, fetch_keys
from functions.options import Options
from functions.refusal import Refused
from runner.clock import ManualClock, SystemClock
from runner.errors import ConfigError, StoreUnavailable
from tests.functions.conftest import Serve
from tests.functions.tokens import AUDIENCE, CALLER, DEPLOYED, Signer, bearer

STAGE = Path(__file__).with_name("stage.py")
JSON = {"Content-Type": "application/json"}
OURS, STRANGER = Signer(), Signer()
OWN = Options.load(DEPLOYED)
PLATFORM = Options.load(DEPLOYED | {"TRON_FUNCTION_SIGNATURES": "platform"})


def stripped(token: str) -> str:
    """A token as Cloud Run passes it on."""
    return f"{token.rpartition('.')[0]}.{REMOVED}"


def check(headers: dict[str, str], options: Options = OWN) -> str:
    return Doorkeeper(SystemClock(), Keys(SystemClock(), lambda: OURS.published)).check(headers, options)


def test_a_caller_of_the_list_comes_in() -> None:
    assert check(bearer(OURS.token())) == CALLER
    assert check({"Authorization": f"bearer {OURS.token()}"}) == CALLER


def test_where_nothing_is_deployed_nobody_needs_a_token() -> None:
    assert check({}, Options.load({})) == ""


@pytest.mark.parametrize("missing", ["TRON_FUNCTION_CALLERS", "TRON_FUNCTION_AUDIENCES"])
def test_where_nobody_is_named_nobody_comes_in(missing: str) -> None:
    options = Options.load({name: value for name, value in DEPLOYED.items() if name != missing})
    with pytest.raises(ConfigError, match="nobody may call"):
        check(bearer(OURS.token()), options)


Make = Callable[[], str]
HOUR = 3600


@pytest.mark.parametrize(
    ("make", "status"),
    [
        (lambda: "", 401),
        (lambda: "x", 401),
        (lambda: "a.b.c", 401),
        (lambda: "....", 401),
        (lambda: OURS.token()[:-4] + "AAAA", 401),
        (lambda: STRANGER.token(), 401),
        (lambda: Signer("two").token(), 401),
        (lambda: OURS.token({"kid": None}), 401),
        (lambda: OURS.token({"kid": ["one"]}), 401),
        (lambda: OURS.token({"alg": "none"}), 401),
        (lambda: OURS.token({"alg": "HS256"}), 401),
        (lambda: OURS.token(exp=int(time.time()) - 60, iat=int(time.time()) - HOUR), 401),
        (lambda: OURS.token(iat=int(time.time()) + HOUR), 401),
        (lambda: OURS.token(exp=None), 401),
        (lambda: OURS.token(exp="later"), 401),
        (lambda: OURS.token(iss="https://evil.example"), 401),
        (lambda: OURS.token(aud="https://daily-cleanup.example"), 403),
        (lambda: OURS.token(aud=None), 403),
        (lambda: OURS.token(aud=[AUDIENCE]), 403),
        (lambda: OURS.token(email="mallory@acme.iam.gserviceaccount.com"), 403),
        (lambda: OURS.token(email=None), 403),
        (lambda: OURS.token(email_verified=False), 403),
        (lambda: OURS.token(email_verified="true"), 403),
        (lambda: stripped(OURS.token()), 401),
    ],
)
def test_who_is_unknown_or_not_allowed_stays_out(make: Make, status: int) -> None:
    with pytest.raises(Refused) as caught:
        check(bearer(make()))
    assert caught.value.status == status
    assert caught.value.hint


@pytest.mark.parametrize("given", ["", "Basic YTpi", "Bearer", "Bearer "])
def test_a_header_without_a_token_stays_out(given: str) -> None:
    with pytest.raises(Refused, match="there is no token") as caught:
        check({"Authorization": given})
    assert caught.value.status == 401


class TestSignaturesThatThePlatformChecked:
    def test_a_token_whose_signature_was_removed_comes_in(self) -> None:
        assert check(bearer(stripped(OURS.token())), PLATFORM) == CALLER

    @pytest.mark.parametrize(
        ("changed", "status"),
        [
            ({"exp": 1000}, 401),
            ({"iss": "https://evil.example"}, 401),
            ({"aud": "https://daily-cleanup.example"}, 403),
            ({"email": "mallory@acme.iam.gserviceaccount.com"}, 403),
        ],
    )
    def test_what_it_says_is_checked_all_the_same(self, changed: dict[str, Any], status: int) -> None:
        with pytest.raises(Refused) as caught:
            check(bearer(stripped(OURS.token(**changed))), PLATFORM)
        assert caught.value.status == status

    def test_a_signature_that_is_there_is_checked(self) -> None:
        with pytest.raises(Refused):
            check(bearer(STRANGER.token()), PLATFORM)

    def test_only_the_header_that_the_platform_checked_counts(self) -> None:
        mallory = stripped(OURS.token(email="mallory@acme.iam.gserviceaccount.com"))
        headers = {"X-Serverless-Authorization": f"Bearer {mallory}", **bearer(stripped(OURS.token()))}
        with pytest.raises(Refused, match="this caller is not allowed"):
            check(headers, PLATFORM)


class TestKeys:
    def test_they_are_fetched_once_an_hour(self) -> None:
        fetched: list[int] = []
        clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
        keys = Keys(clock, lambda: fetched.append(1) or {"one": "key"})  # type: ignore[func-returns-value]  # a list's
        for seconds in (0, 1800, 1700, 200):
            clock.advance(seconds)
            keys.get("one")
        assert len(fetched) == 2

    def test_one_that_is_new_is_looked_for_and_one_that_is_made_up_only_once_a_minute(self) -> None:
        clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
        published = {"one": "key"}
        fetched: list[int] = []
        keys = Keys(clock, lambda: fetched.append(1) or dict(published))  # type: ignore[func-returns-value]  # a list's
        for made_up in ("x", "y", "z"):
            assert made_up not in keys.get(made_up)
        assert len(fetched) == 1
        published["two"] = "key"
        clock.advance(61)
        assert "two" in keys.get("two")

    def test_where_they_can_not_be_read_it_is_tried_again_later(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(functions.callers, "KEYS_URL", "http://127.0.0.1:9/certs")
        with pytest.raises(StoreUnavailable, match="Google's keys cannot be read"):
            fetch_keys()


@contextmanager
def published(signer: Signer) -> Iterator[tuple[str, list[str]]]:
    """The address where a signer's keys can be read, and the requests for them."""
    requests: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(signer.published).encode())

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/certs", requests
        finally:
            server.shutdown()
            thread.join()


def test_a_deployed_function_asks_everybody_for_a_token(serve: Serve) -> None:
    with published(OURS) as (url, requests):
        server = serve("days", source=STAGE, STAGE_KEYS_URL=url, **DEPLOYED)
        nobody = server.call()
        assert (nobody.status, nobody.headers["www-authenticate"]) == (401, "Bearer")
        assert nobody.said["hint"]
        assert requests == []
        assert server.call(headers=bearer(STRANGER.token())).status == 401
        assert server.call(headers=bearer(OURS.token(aud="x"))).status == 403
        assert [server.call(headers=bearer(OURS.token())).status for _ in range(3)] == [200] * 3
        assert len(requests) == 1
        assert server.call(b"{", headers=bearer(STRANGER.token())).status == 401
        assert [entry["severity"] for entry in server.entries()].count("WARNING") == 4
        assert OURS.token()[:40] not in server.output()


def test_a_deployed_function_that_names_no_caller_lets_nobody_in(serve: Serve) -> None:
    reply = serve("days", source=STAGE, K_SERVICE="days").call(headers=bearer(OURS.token()))
    assert reply.status == 500
    assert "TRON_FUNCTION_CALLERS" in reply.said["error"]


def test_records_are_taken_from_callers_of_the_list_only(serve: Serve) -> None:
    with published(OURS) as (url, _):
        server = serve("on_trading_record", source=STAGE, STAGE_KEYS_URL=url, **DEPLOYED)
        push = {"message": {"data": "eA==", "messageId": "1", "publishTime": "2024-06-03T14:30:00Z"}}
        push |= {"subscription": "projects/p/subscriptions/s"}
        assert server.call(push, headers=JSON).status == 401
        assert server.call(push, headers=JSON | bearer(OURS.token(aud="x"))).status == 403
        assert "is not a record" in server.call(push, headers=JSON | bearer(OURS.token())).said["error"]

"""What every function answers, whatever it is for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from functions.bodies import DaysBody, parse
from functions.options import Options, load_settings
from functions.refusal import Refused
from runner.errors import ConfigError
from tests.functions.conftest import Serve
from tests.functions.server import Server
from tests.functions.server import serve as serve_one

STAGE = Path(__file__).with_name("stage.py")
NOW = datetime.now(UTC)
TODAY = NOW.date()
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
GOOGLE = "logging.googleapis.com/"


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A function that says what it understood, shared by the tests that only ask it."""
    environ = {"GOOGLE_CLOUD_PROJECT": "acme", "TRON_FUNCTION_SECONDS": "20"}
    server = serve_one("days", tmp_path_factory.mktemp("days"), environ, STAGE)
    yield server
    server.kill()


def test_an_empty_body_asks_for_what_the_function_does_by_itself(days: Server) -> None:
    reply = days.call()
    assert (reply.status, reply.said["done"], "next" in reply.said) == (200, True, False)
    assert reply.said["report"]["since"] is None
    assert reply.said["report"]["cents"] == "1.10"
    assert 15 < reply.said["report"]["left"] <= 20


def test_days_are_read_and_the_time_can_be_shortened(days: Server) -> None:
    reply = days.call({"since": "2024-02-29", "until": "2024-03-01", "deadline_seconds": 2})
    assert reply.said["report"]["since"] == "2024-02-29"
    assert reply.said["report"]["left"] <= 2


def test_the_time_can_not_be_lengthened(days: Server) -> None:
    assert days.call({"deadline_seconds": 3000}).said["report"]["left"] <= 20


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"{", "the body is not JSON: EOF while parsing"),
        (b"\xff", "the body is not JSON"),
        (b"[]", "the body is not a JSON object"),
        (b'"x"', "the body is not a JSON object"),
        (b"null", "the body is not a JSON object"),
        (b'{"day": "2024-01-01"}', "there is no field 'day'"),
        (b'{"since": 7}', "since: "),
        (b'{"since": "yesterday"}', "since: "),
        (b'{"since": "2024-02-30"}', "since: "),
        (b'{"since": "2024-01-01T00:00:00Z"}', "since: "),
        (b'{"deadline_seconds": 0}', "deadline_seconds: "),
        (b'{"deadline_seconds": NaN}', "deadline_seconds: "),
        (b'{"deadline_seconds": 1e999}', "deadline_seconds: "),
        (b'{"deadline_seconds": "9"}', "deadline_seconds: "),
        (f'{{"since": "{TODAY + timedelta(days=2)}"}}'.encode(), "in the future"),
        (f'{{"since": "{TODAY}", "until": "2999-01-01"}}'.encode(), "until is 2999-01-01, which is in the future"),
        (b'{"until": "2024-01-01"}', "until is given without since"),
        (b'{"since": "2014-01-01", "until": "2024-01-01"}', "3,653 days are too many: ask for at most 366"),
        (b'{"since": "0001-01-01"}', "days are too many"),
        (b'{"since": "2024-01-02", "until": "2024-01-01"}', "since 2024-01-02 is after until 2024-01-01"),
    ],
)
def test_a_wrong_request_is_answered_with_what_is_wrong_and_what_to_send(days: Server, body: bytes, error: str) -> None:
    reply = days.call(body)
    assert (reply.status, reply.said["function"]) == (400, "days")
    assert error in reply.said["error"]
    assert reply.said["hint"] == "send nothing, or a JSON object with some of: deadline_seconds, since, until"


def test_a_whole_leap_year_fits_into_one_call() -> None:
    assert parse(DaysBody, b'{"since": "2024-01-01", "until": "2024-12-31"}', NOW).until is not None


def test_a_body_that_is_too_large_is_not_read(days: Server) -> None:
    assert days.call(b" " * 70_000).status == 413


def test_a_body_whose_size_is_not_told_is_measured() -> None:
    with pytest.raises(Refused, match="more than 65536 bytes") as caught:
        parse(DaysBody, b" " * 70_000, NOW)
    assert caught.value.status == 413


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_only_post_is_how_work_is_asked_for(days: Server, method: str) -> None:
    reply = days.call(method=method)
    assert (reply.status, reply.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize(
    ("headers", "span"),
    [
        ({"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}, "00f067aa0ba902b7"),
        ({"X-Cloud-Trace-Context": f"{TRACE}/11;o=1"}, "000000000000000b"),
        ({"X-Cloud-Trace-Context": f"{TRACE}/11;o=1", "traceparent": "garbage"}, "000000000000000b"),
    ],
)
def test_what_it_says_is_in_the_trace_of_the_request(days: Server, headers: dict[str, str], span: str) -> None:
    days.call(headers=headers)
    entry = days.entries()[-1]
    assert entry["message"] == "days: done"
    assert entry["severity"] == "INFO"
    assert entry[GOOGLE + "trace"] == f"projects/acme/traces/{TRACE}"
    assert (entry[GOOGLE + "spanId"], entry[GOOGLE + "trace_sampled"]) == (span, True)
    assert entry[GOOGLE + "labels"]["bot"] == "days"


@pytest.mark.parametrize("header", ["", "0" * 32 + "/1;o=1", "x/1;o=1", f"{TRACE}/1;o=2"])
def test_a_request_without_a_trace_is_in_none(days: Server, header: str) -> None:
    days.call(headers={"X-Cloud-Trace-Context": header})
    assert GOOGLE + "trace" not in days.entries()[-1]


def test_work_that_is_not_done_in_time_says_where_the_next_call_goes_on(serve: Serve) -> None:
    reply = serve("slow", source=STAGE, TRON_FUNCTION_SECONDS="0.2").call()
    assert (reply.status, reply.said["done"], reply.said["next"]) == (202, False, "2")


def test_a_second_call_meanwhile_is_sent_away(serve: Serve) -> None:
    server = serve("slow", source=STAGE, TRON_FUNCTION_SECONDS="1.5")
    with ThreadPoolExecutor(3) as pool:
        statuses = sorted(pool.map(lambda _: server.call().status, range(3)))
    assert statuses == [202, 409, 409]
    assert server.call({"deadline_seconds": 0.1}).status == 202


def test_what_nobody_expected_is_in_the_log_and_not_in_the_answer(serve: Serve) -> None:
    server = serve("broken", source=STAGE, STAGE_API_KEY="s3cr3t-value")
    reply = server.call()
    assert (reply.status, reply.said["error"]) == (500, "something unexpected happened")
    (entry,) = server.entries()
    assert entry["severity"] == "ERROR"
    assert "in work" in entry["stack_trace"]
    assert "nobody expected [redacted]" in entry["message"]
    assert "s3cr3t" not in server.output() + json.dumps(reply.said)


def test_a_store_that_is_down_asks_to_be_called_again(serve: Serve) -> None:
    reply = serve("unavailable", source=STAGE).call()
    assert (reply.status, reply.said["error"], reply.said["hint"]) == (503, "the archive is down", "wait")
    assert reply.headers["retry-after"] == "60"


def test_wrong_settings_are_an_error_with_a_hint(serve: Serve) -> None:
    server = serve("unset", source=STAGE)
    reply = server.call()
    assert (reply.status, reply.said["hint"]) == (500, "set TRON_ARCHIVE")
    assert server.entries()[-1]["severity"] == "ERROR"


@pytest.mark.parametrize(
    ("environ", "budget"),
    [
        ({}, 50),
        ({"TRON_FUNCTION_SECONDS": "240"}, 240),
        ({"CLOUD_RUN_TIMEOUT_SECONDS": "60"}, 50),
        ({"CLOUD_RUN_TIMEOUT_SECONDS": "60", "TRON_FUNCTION_SECONDS": "240"}, 50),
        ({"CLOUD_RUN_TIMEOUT_SECONDS": "540", "TRON_FUNCTION_SECONDS": "240"}, 240),
        ({"CLOUD_RUN_TIMEOUT_SECONDS": "8"}, 4),
        ({"CLOUD_RUN_TIMEOUT_SECONDS": "0"}, 50),
    ],
)
def test_a_call_ends_before_the_platform_ends_it(environ: dict[str, str], budget: float) -> None:
    assert Options.load(environ).budget == budget


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TRON_FUNCTION_SECONDS", "soon"),
        ("TRON_FUNCTION_SECONDS", "0"),
        ("TRON_FUNCTION_SECONDS", "nan"),
        ("TRON_FUNCTION_SIGNATURES", "nobody"),
        ("TRON_FUNCTION_SEVERITY", "LOUD"),
    ],
)
def test_a_wrong_variable_is_named(variable: str, value: str) -> None:
    with pytest.raises(ConfigError, match=variable):
        Options.load({variable: value})


def test_where_it_is_deployed_the_home_is_in_the_temporary_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    environ: dict[str, Any] = {"K_SERVICE": "cost-report"}
    assert load_settings(environ).home.name == "tron"
    assert load_settings(environ).home.is_absolute()
    assert str(load_settings(environ | {"TRON_HOME": "/mnt-x"}).home) == "/mnt-x"
    assert str(load_settings({}).home) == ".tron"

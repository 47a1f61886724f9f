"""No secret reaches the journal: not by its key, not by its value, not quoted, not inside an exception."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import ConfigError
from runner.logging import payloads
from runner.logging.events import EventEncoder
from runner.logging.log_types import EventData, OrderData, WarningData
from runner.logging.redaction import REDACTED, Redactor, is_secret_key, secrets_of
from runner.testing import CapturingLogger

SECRETS = ("sk-live-4eC39Hq", "pä'ss\"wörd\\1", "https://u:p@host/a+b", "-----BEGIN KEY-----\nabc\n-----END KEY-----")


@pytest.fixture
def logger() -> Iterator[CapturingLogger]:
    with CapturingLogger(secrets=SECRETS) as logger:
        yield logger


@pytest.mark.parametrize(
    "key",
    [
        *("password", "dbPassword", "API_KEY", "apiKey", "X-Api-Key", "accessToken", "token", "refresh_tokens"),
        *("Authorization", "PRIVATE-KEY", "clientSecret", "session.cookie", "pin", "credentials", "APIKey", "passwd"),
    ],
)
def test_a_key_that_names_a_secret_is_known(key: str) -> None:
    assert is_secret_key(key)


@pytest.mark.parametrize(
    "key", ["symbol", "tokens_per_second", "spinning", "pinned", "opinion", "keyboard", "tokenize"]
)
def test_a_harmless_key_stays(key: str) -> None:
    assert not is_secret_key(key)


def test_a_value_under_a_secret_key_is_hidden_however_deep(logger: CapturingLogger) -> None:
    logger.log_system_event("seen", outer={"list": [{"apiKey": "abc", "size": 1}]}, password={"a": 1})

    context = logger.of_kind("system_event")[0]["context"]
    assert context == {"outer": {"list": [{"apiKey": REDACTED, "size": 1}]}, "password": REDACTED}


def test_more_keys_can_be_named() -> None:
    redactor = Redactor(keys=["Account"])

    assert redactor.hides("account")
    assert redactor.hides("ACCOUNT")
    assert not redactor.hides("account_id")


WAYS: list[Callable[[str], str]] = [
    str,
    repr,
    ascii,
    json.dumps,
    lambda secret: json.dumps(secret, ensure_ascii=False),
    lambda secret: repr({"key": secret}),
    lambda secret: json.dumps({"key": secret}).replace("/", "\\/"),
    lambda secret: f"postgres://bot:{quote(secret, safe='')}@db",
]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("way", range(len(WAYS)))
def test_a_registered_value_is_found_in_every_dress(secret: str, way: int) -> None:
    dressed = WAYS[way](secret)

    assert Redactor(values=[secret]).clean(f"before {dressed} after") != f"before {dressed} after"


@pytest.mark.parametrize("secret", SECRETS)
def test_a_registered_value_is_in_no_field_of_a_record(logger: CapturingLogger, secret: str) -> None:
    try:
        try:
            raise ValueError(f"inner {secret}")
        except ValueError as inner:
            raise RuntimeError({"key": secret}) from inner
    except RuntimeError as error:
        logger.log_error(error, {"note": secret, secret: 1, "list": [(secret,)]}, source="strategy")
    logger.bind(note=secret, actor=f"a {secret}"[:100]).log_system_event(f"message {secret}", field=secret)
    logger.log_warning(secret, {"note": f"<{secret}>"})
    logger.log_daily_reflection(f"{'x' * 16_380}{secret}")

    text = json.dumps(logger.captured, ensure_ascii=False)
    for form in (secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]):
        assert form not in text
    assert REDACTED in text


def test_typed_labels_and_ids_are_searched_too() -> None:
    secret = "sk-live-4eC39Hq"
    order = OrderData(order_id=secret, symbol="A", side="BUY", quantity=1, status=f"by {secret}")

    written = payloads.encode(order, Redactor(values=[secret]))

    assert secret.encode() not in written


def test_numbers_and_times_stay_what_they_are() -> None:
    order = OrderData(order_id="o", symbol="A", side="BUY", quantity=123456, status="new")

    assert b'"quantity":"123456"' in payloads.encode(order, Redactor(values=["123456"]))


def test_a_secret_that_is_too_short_is_refused() -> None:
    with pytest.raises(ConfigError, match="5 characters"):
        Redactor(values=["12345"])


def test_the_environment_gives_its_secrets_by_name() -> None:
    environ = {"API_KEY": "abcdefgh", "LANG": "C.UTF-8", "DB_PASSWORD": "short"}

    assert secrets_of(environ) == ["abcdefgh"]


@given(
    st.text(min_size=6, max_size=12, alphabet='ab"\\/ü\n\u2028'),
    st.text(max_size=20),
    st.sampled_from(range(len(WAYS))),
)
def test_no_way_of_writing_a_text_leaves_the_secret_in_it(secret: str, around: str, way: int) -> None:
    redactor = Redactor(values=[secret])
    message = f"{around}{WAYS[way](secret)}{around}"

    for written in (
        payloads.encode(WarningData(message=message), redactor),
        payloads.encode(EventData(message="m", context={"note": message}), redactor),
        EventEncoder(redactor).encode(message, {"note": message}),
    ):
        assert not any(needle in text for text in _texts(json.loads(written)) for needle in redactor.needles)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from (*_texts(key), *_texts(inner))
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)

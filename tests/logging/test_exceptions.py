"""An exception is a record: type, message, stack, and the chain of causes, nearest first."""

from __future__ import annotations

from runner.errors import ConfigError
from runner.logging.exceptions import describe


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:
        return caught


def test_type_message_and_stack_are_told() -> None:
    found = describe(raised(ConfigError("no such key")), "settings", {"key": "a"})

    assert (found.type, found.message, found.source) == ("runner.errors.ConfigError", "no such key", "settings")
    assert "in raised" in found.stack
    assert found.context == {"key": "a"}


def test_causes_come_nearest_first() -> None:
    first, second, third = ValueError("first"), KeyError("second"), RuntimeError("third")
    second.__cause__, third.__context__ = first, second

    assert [cause["type"] for cause in describe(third, "", {}).causes] == ["KeyError", "ValueError"]


def test_a_suppressed_context_is_left_out() -> None:
    error = ValueError("outer")
    error.__context__, error.__suppress_context__ = KeyError("inner"), True

    assert describe(error, "", {}).causes == []


def test_a_cycle_of_causes_ends() -> None:
    one, other = ValueError("one"), ValueError("other")
    one.__context__, other.__context__ = other, one

    assert [cause["message"] for cause in describe(one, "", {}).causes] == ["other"]


def test_a_long_chain_is_cut() -> None:
    error = ValueError("0")
    for number in range(1, 100):
        following = ValueError(str(number))
        following.__context__, error = error, following

    assert len(describe(error, "", {}).causes) == 10


def test_an_error_without_a_stack_is_described_too() -> None:
    assert describe(ValueError("never raised"), "", {}).stack == ""

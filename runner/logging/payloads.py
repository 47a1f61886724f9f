"""Payloads checked and encoded: from a struct of `log_types` to the JSON of a record's `data`.

What each field type takes is written in `log_types`. A field that must be exact raises `RecordInvalid`; a free one is
repaired, and `_repaired` names it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from numbers import Integral, Rational, Real
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from runner.errors import ConfigError, RecordInvalid
from runner.logging.lines import timestamp
from runner.logging.log_types import PAYLOADS, Id, Kind, Number, Symbol, Text
from runner.logging.redaction import Redactor
from runner.logging.repair import Repair, encode_json, shown
from runner.market.instruments import check_symbol

Convert = Callable[[Any, Repair, str], Any]

_ID = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{1,128}")
_LABEL = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{0,200}")
_MOST_DIGITS = 400
_MOST_BITS = 1024


def of_kind(kind: Kind, payload: Any) -> msgspec.Struct:
    """The payload of a kind, also from a mapping. Raises `RecordInvalid` naming a field that is missing or unknown."""
    expected = PAYLOADS[kind]
    if isinstance(payload, expected):
        return payload
    hint = f"fields: {', '.join(expected.__struct_fields__)}"
    if not isinstance(payload, Mapping):
        raise RecordInvalid(f"{shortened(payload)} is no {expected.__name__}", hint)
    try:
        return expected(**payload)
    except TypeError as error:
        raise RecordInvalid(f"{expected.__name__}: {error}", hint) from None


def encode(payload: msgspec.Struct, redactor: Redactor) -> bytes:
    """The `data` of a record. Raises `RecordInvalid` naming the field that is wrong."""
    repair = Repair(redactor)
    found = {name: convert(getattr(payload, name), repair, name) for name, convert in fields_of(type(payload))}
    if repair.paths:
        found["_repaired"] = repair.paths
    return encode_json(found)


def number(value: Any, repair: Repair, name: str) -> str:
    """A finite number as a string that loses nothing, without an exponent."""
    exact = value if type(value) in (Decimal, int, float) else _as_number(value)
    if type(exact) is int and exact.bit_length() <= _MOST_BITS:
        return str(exact)
    if type(exact) is float and math.isfinite(exact):
        return plain(Decimal(repr(exact)))
    if type(exact) is Decimal and exact.is_finite() and abs(exact.adjusted()) <= _MOST_DIGITS:
        text = plain(exact)
        if len(text) <= 2 * _MOST_DIGITS:
            return text
    raise RecordInvalid(
        f"{name} is {shortened(value)}, not a finite number", "give a Decimal, an int or a finite float"
    )


def plain(value: Decimal) -> str:
    """A finite Decimal as people write it: all its digits, and no exponent."""
    text = str(value)
    return format(value, "f") if "E" in text else text


def _as_number(value: Any) -> Decimal | int | float | None:
    """Subclasses, and numbers of other libraries, as the plain type that holds exactly the same; None for no number."""
    try:
        if isinstance(value, Decimal):
            return Decimal(value)
        if isinstance(value, Integral):
            return None if isinstance(value, bool) else int(value)
        if isinstance(value, Real) and not isinstance(value, Rational):
            return float(value)
    except Exception:  # whatever a foreign type raises when it is asked for its value, it is no number
        return None
    return None


def identifier(value: Any, repair: Repair, name: str) -> str:
    if type(value) is not str or not _ID.fullmatch(value) or ".." in value:
        raise RecordInvalid(
            f"{name} is {shortened(value)}, not an id", "ids have 1-128 characters, no control characters and no '..'"
        )
    return repair.redactor.clean(value)


def symbol(value: Any, repair: Repair, name: str) -> str:
    try:
        if isinstance(value, str):
            return repair.redactor.clean(check_symbol(str.__str__(value)))
    except ConfigError:
        pass
    raise RecordInvalid(f"{name} is {shortened(value)}, not a symbol", "symbols are 1-20 characters of A-Z 0-9 . _ / -")


def moment(value: Any, repair: Repair, name: str) -> str:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise RecordInvalid(f"{name} is {shortened(value)}, not an aware datetime", "use datetime(..., tzinfo=UTC)")
    try:
        return timestamp(value)
    except (OverflowError, ValueError):
        raise RecordInvalid(f"{name} is {shortened(value)}, which is no time in UTC", "years are 1 to 9999") from None


def _day(value: Any, repair: Repair, name: str) -> str:
    if type(value) is not date:
        raise RecordInvalid(f"{name} is {shortened(value)}, not a date", "use datetime.date(...)")
    return value.isoformat()


def is_label(value: str) -> bool:
    return _LABEL.fullmatch(value) is not None


def label(value: Any, repair: Repair, name: str) -> str:
    if not isinstance(value, str) or not is_label(value):
        raise RecordInvalid(
            f"{name} is {shortened(value)}, not a label", "labels have at most 200 printable characters"
        )
    return repair.redactor.clean(str.__str__(value))


def _text(value: Any, repair: Repair, name: str) -> str:
    return repair.any_text(value, name)


def _integer(value: Any, repair: Repair, name: str) -> int:
    exact = _as_number(value)
    if type(exact) is not int or not -(1 << 63) <= exact < 1 << 63:
        raise RecordInvalid(f"{name} is {shortened(value)}, not an integer", "give an int of at most 64 bits")
    return exact


def _real(value: Any, repair: Repair, name: str) -> float:
    exact = _as_number(value)
    if type(exact) is int and exact.bit_length() <= _MOST_BITS - 1:
        return float(exact)
    if type(exact) is not float or not math.isfinite(exact):
        raise RecordInvalid(f"{name} is {shortened(value)}, not a finite number", "give a finite float")
    return exact


def _flag(value: Any, repair: Repair, name: str) -> bool:
    if type(value) is not bool:
        raise RecordInvalid(f"{name} is {shortened(value)}, not a boolean", "give True or False")
    return value


def _free_mapping(value: Any, repair: Repair, name: str) -> Any:
    return repair.mapping(value, name)


def _free_list(value: Any, repair: Repair, name: str) -> Any:
    return repair.sequence(value, name)


_SIMPLE: Mapping[Any, Convert] = {
    Id: identifier,
    Symbol: symbol,
    Text: _text,
    Decimal: number,
    str: label,
    datetime: moment,
    date: _day,
    int: _integer,
    float: _real,
    bool: _flag,
}


@cache
def fields_of(struct: type[msgspec.Struct]) -> tuple[tuple[str, Convert], ...]:
    """Every field of a payload with its converter, in order."""
    hints = get_type_hints(struct, include_extras=True)
    return tuple((name, _converter(hints[name])) for name in struct.__struct_fields__)


def _converter(hint: Any) -> Convert:
    if hint in _SIMPLE:
        return _SIMPLE[hint]
    origin = get_origin(hint)
    if origin is Annotated:
        return _SIMPLE[hint]
    if origin in (Union, UnionType):
        return _union(get_args(hint))
    if origin is Literal:
        return _choice(get_args(hint))
    return _free_mapping if origin is dict else _free_list


def _union(members: tuple[Any, ...]) -> Convert:
    """A number, or an optional anything."""
    some = [member for member in members if member is not NoneType]
    convert = number if set(some) == set(get_args(Number)) else _converter(some[0])
    return _optional(convert) if NoneType in members else convert


def _optional(convert: Convert) -> Convert:
    return lambda value, repair, name: None if value is None else convert(value, repair, name)


def _choice(allowed: tuple[str, ...]) -> Convert:
    def choose(value: Any, repair: Repair, name: str) -> str:
        if not isinstance(value, str) or value not in allowed:
            raise RecordInvalid(f"{name} is {shortened(value)}", f"use one of {', '.join(allowed)}")
        return str.__str__(value)

    return choose


def shortened(value: Any) -> str:
    """A value as an error message shows it."""
    text = shown(value)
    return text if len(text) <= 80 else text[:77] + "..."

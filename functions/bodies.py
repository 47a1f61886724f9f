"""What a request may say. A body is empty or a JSON object; keys that are not known are refused."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, model_validator

from functions.options import MOST_SECONDS
from functions.refusal import BAD_REQUEST, TOO_LARGE, Refused
from runner.logging.retention import BUCKETS, is_quiet

LARGEST_BODY = 64 * 1024
MOST_DAYS = 366
_DAYS_KEPT = max(retention.days for retention in BUCKETS.values())

AnyBody = TypeVar("AnyBody", bound="Body")


class Body(BaseModel):
    """`deadline_seconds` shortens the time that a call may work; it never lengthens it."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    deadline_seconds: float | None = Field(default=None, gt=0, le=MOST_SECONDS, allow_inf_nan=False)


class DaysBody(Body):
    """`since` and `until` are days in UTC, both included; without them it is up to the function."""

    since: date | None = None
    until: date | None = None

    @model_validator(mode="after")
    def _days_make_sense(self, info: ValidationInfo) -> Self:
        today = _now(info).date()
        for name, day in (("since", self.since), ("until", self.until)):
            if day is not None and day > today:
                raise ValueError(f"{name} is {day}, which is in the future: today is {today} (UTC)")
        if self.since is None:
            if self.until is not None:
                raise ValueError("until is given without since")
            return self
        days = ((self.until or today) - self.since).days + 1
        if days < 1:
            raise ValueError(f"since {self.since} is after until {self.until}")
        if days > MOST_DAYS:
            raise ValueError(f"{days:,} days are too many: ask for at most {MOST_DAYS} in one call, year by year")
        return self


class CleanupBody(Body):
    """With `dry_run` nothing is deleted, and the report says what would be."""

    dry_run: bool = False


class CostBody(Body):
    """`month` as 2026-11, this one when it is empty. With `bot`, only what is attributed to this bot."""

    month: str = Field(default="", pattern=r"^([0-9]{4}-(0[1-9]|1[0-2]))?$")
    bot: str = Field(default="", max_length=64)

    @model_validator(mode="after")
    def _month_is_kept(self, info: ValidationInfo) -> Self:
        now = _now(info)
        if self.month > f"{now:%Y-%m}":
            raise ValueError(f"month is {self.month}, which is still to come")
        oldest = now - timedelta(days=_DAYS_KEPT)
        if self.month and self.month < f"{oldest:%Y-%m}":
            raise ValueError(f"month is {self.month}, and nothing is kept from before {oldest:%Y-%m}")
        return self


class ExportBody(DaysBody):
    """Without days, all of the archive. With `retry`, what was set aside is tried again."""

    retry: bool = False


class CompactBody(Body):
    """Without `day`, every day that is over and quiet. With `dry_run` nothing is changed."""

    day: date | None = None
    dry_run: bool = False

    @model_validator(mode="after")
    def _day_is_over(self, info: ValidationInfo) -> Self:
        today = _now(info).date()
        if self.day is not None and self.day > today:
            raise ValueError(f"day is {self.day}, which is in the future: today is {today} (UTC)")
        if self.day is not None and not is_quiet(self.day, _now(info)):
            raise ValueError(f"day is {self.day}, for which records may still come: name an earlier one")
        return self


def parse(kind: type[AnyBody], content: bytes, now: datetime) -> AnyBody:
    """The body of a request. Raises `Refused` with one sentence that says what is wrong."""
    if len(content) > LARGEST_BODY:
        raise Refused(TOO_LARGE, f"the body has more than {LARGEST_BODY} bytes", _hint(kind))
    try:
        return kind.model_validate_json(content.strip() or b"{}", context={"now": now})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise Refused(BAD_REQUEST, _sentence(first), _hint(kind)) from None


def _now(info: ValidationInfo) -> datetime:
    now: datetime = (info.context or {})["now"]
    return now


def _sentence(first: Mapping[str, object]) -> str:
    place = ".".join(map(str, first["loc"] if isinstance(first["loc"], tuple) else ()))
    message = str(first["msg"]).removeprefix("Value error, ")
    if first["type"] == "json_invalid":
        return f"the body is not JSON: {message.removeprefix('Invalid JSON: ')}"
    if first["type"] == "extra_forbidden":
        return f"there is no field {place[:100]!r}"
    if first["type"] == "model_type":
        return "the body is not a JSON object"
    return f"{place}: {message}" if place else message


def _hint(kind: type[Body]) -> str:
    return f"send nothing, or a JSON object with some of: {', '.join(kind.model_fields)}"

"""How functions run, from the environment. Stores, project and home are those of `runner.settings`.

| variable                   | meaning                                                                                |
|----------------------------|----------------------------------------------------------------------------------------|
| `TRON_FUNCTION_SECONDS`    | how long a call may work: 50, or ten less than the platform's limit where that is less |
| `TRON_FUNCTION_CALLERS`    | service accounts that may call, by e-mail, with commas between them                    |
| `TRON_FUNCTION_AUDIENCES`  | audiences that their tokens may name, with commas between them                         |
| `TRON_FUNCTION_SIGNATURES` | who checks the tokens' signatures: `own` (the function), or the `platform`             |
| `TRON_FUNCTION_SEVERITY`   | the least severity that `on_trading_record` writes: WARNING                            |

Google Cloud sets `K_SERVICE` in what is deployed; without it nobody needs a token.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from runner.errors import ConfigError
from runner.logging.log_types import Severity
from runner.settings import Settings

MOST_SECONDS = 3600.0
_PLATFORM_LIMIT = "CLOUD_RUN_TIMEOUT_SECONDS"
_MARGIN = 10.0
_VARIABLES = {
    "seconds": "TRON_FUNCTION_SECONDS",
    "callers": "TRON_FUNCTION_CALLERS",
    "audiences": "TRON_FUNCTION_AUDIENCES",
    "signatures": "TRON_FUNCTION_SIGNATURES",
    "severity": "TRON_FUNCTION_SEVERITY",
    "service": "K_SERVICE",
    "platform_seconds": _PLATFORM_LIMIT,
}


class Headers(Protocol):
    """The headers of a request, by name in any case."""

    def get(self, key: str, default: str, /) -> str: ...


class Options(BaseModel):
    """The variables above. `service` is empty where nothing is deployed.

    `platform_seconds` is when the platform ends a call, 0 where that is not known.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    seconds: float = Field(default=50, gt=0, le=MOST_SECONDS)
    callers: tuple[str, ...] = ()
    audiences: tuple[str, ...] = ()
    signatures: Literal["own", "platform"] = "own"
    severity: Severity = Severity.WARNING
    service: str = ""
    platform_seconds: float = Field(default=0, ge=0)

    @field_validator("callers", "audiences", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @staticmethod
    def load(environ: Mapping[str, str]) -> Options:
        """Raises `ConfigError` naming the variable that is wrong."""
        values = {name: environ[variable] for name, variable in _VARIABLES.items() if environ.get(variable)}
        try:
            return Options.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            variable = _VARIABLES[str(first["loc"][0])]
            raise ConfigError(f"{variable}: {first['msg']}", "docs/functions.md lists the variables") from None

    @property
    def budget(self) -> float:
        """Seconds that a call may work, so that it answers before the platform ends it."""
        if not self.platform_seconds:
            return self.seconds
        return min(self.seconds, max(self.platform_seconds - _MARGIN, self.platform_seconds / 2))


def load_settings(environ: Mapping[str, str]) -> Settings:
    """The settings, with a home that can be written where only the temporary folder can. Raises `ConfigError`."""
    overrides = {}
    if environ.get("K_SERVICE") and not environ.get("TRON_HOME"):
        overrides["home"] = Path(tempfile.gettempdir()) / "tron"
    return Settings.load(environ, overrides=overrides)

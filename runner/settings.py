"""Settings: `tron.toml` overridden by `TRON_*` variables, read once, frozen.

`Settings.load(environ, directory)` is the only reader of the environment. Secrets are never settings: they come from
the environment, a file or a secret manager where they are used. `config_hash` identifies the effective settings.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from runner.errors import ConfigError

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30

Positive = Annotated[Decimal, Field(gt=0)]
NotNegative = Annotated[Decimal, Field(ge=0)]
Percent = Annotated[Decimal, Field(gt=0, le=100)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Stores(_Section):
    """Store URLs. Empty means the embedded store inside the home."""

    live: str = ""
    archive: str = ""
    stream: str = "memory:"
    warehouse: str = ""


class Journal(_Section):
    """Sizes in bytes. `quota` 0 means the smaller of 1 GiB and a tenth of the free disk."""

    quota: int = Field(default=0, ge=0)
    keep_days: int = Field(default=0, ge=0)
    segment_bytes: int = Field(default=20 * MIB, ge=64 * KIB)
    segment_hours: float = Field(default=24, gt=0)
    front_bytes: int = Field(default=MIB, ge=512 * KIB)
    redact_keys: tuple[str, ...] = ()


StreamName = Literal["trades", "orders", "positions", "risk", "decisions", "errors", "system", "metrics", "seals"]


class Shipping(_Section):
    """When followers ship, and which streams are `published` as messages. `chores` are export and daily sweep.

    `live_seconds` 0 means 5, or 1 where the live store is a local file, which bills nothing; `heartbeat_seconds` 0
    means 60, or the same as other documents there. `docs/costs.md` says what each default saves.
    """

    shipper: Literal["process", "none"] = "process"
    live_documents: int = Field(default=500, ge=1)
    live_seconds: float = Field(default=0, ge=0)
    heartbeat_seconds: float = Field(default=0, ge=0)
    archive_bytes: int = Field(default=4 * MIB, ge=KIB, le=8 * MIB)
    archive_seconds: float = Field(default=3600, gt=0)
    archive_prompt_seconds: float = Field(default=900, gt=0)
    archive_records: int = Field(default=0, ge=0)
    compliance_seconds: float = Field(default=3600, gt=0)
    drain_seconds: float = Field(default=8, gt=0)
    linger_seconds: float = Field(default=10, ge=0)
    chores: bool = True
    published: tuple[StreamName, ...] = ("trades", "orders", "risk", "errors")


class Warehouse(_Section):
    """A query that takes so many seconds or longer leaves a record; 0 for never."""

    slow_query_seconds: float = Field(default=5, ge=0)


class Feed(_Section):
    """`url`: "sample" or "replay:PATH". `speed`: bars a second, 0 for as fast as possible; None for the feed's own."""

    url: str = "sample"
    symbols: tuple[str, ...] = ()
    speed: float | None = Field(default=None, ge=0)


class Broker(_Section):
    """The paper broker. Fees and slippage in basis points of value and price; `cash` per bot in the quote currency."""

    mode: Literal["paper"] = "paper"
    cash: Positive = Decimal(100_000)
    fee_bps: NotNegative = Decimal(5)
    slippage_bps: NotNegative = Decimal(2)


class Risk(_Section):
    """Limits of one bot, in percent of its equity. Crossing the daily loss, drawdown or loss streak halts the bot."""

    max_position_pct: Percent = Decimal(10)
    max_daily_loss_pct: Percent = Decimal(5)
    max_drawdown_pct: Percent = Decimal(25)
    max_consecutive_losses: int = Field(default=20, ge=1)
    max_open_positions: int = Field(default=5, ge=1)
    max_order_quantity: Positive = Decimal(10_000)


class Bot(_Section):
    """One bot instance. `symbols` empty means all of the feed; `parameters` go to the strategy."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")
    type: str = Field(default="stock-trader", pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")
    strategy: str
    symbols: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = {}
    risk: Risk | None = None


class OtherCost(_Section):
    """What is paid elsewhere, such as to another cloud, in US dollars a month."""

    name: str = Field(min_length=1, max_length=64)
    monthly_usd: NotNegative


class Costs(_Section):
    """Prices, the budget of a month in US dollars (0: none), thresholds, and what is done when the budget runs out.

    `region` empty means the price table's default one, `prices` empty the table that comes with this product.
    `billing` is `bigquery://project/dataset/table` of Google's own billing export.
    """

    region: str = ""
    prices: str = ""
    monthly_usd: NotNegative = Decimal(50)
    firestore_writes_per_day: int = Field(default=10_000, ge=0)
    archive_operations_per_day: int = Field(default=50_000, ge=0)
    storage_gib: NotNegative = Decimal(100)
    act: tuple[Literal["widen", "drop_debug"], ...] = ("widen",)
    billing: str = ""
    other: tuple[OtherCost, ...] = ()


class Dashboard(_Section):
    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)


class Backup(_Section):
    """Where backups go (a folder, file:// or gs://), the name of this home's set there, and how many stay."""

    to: str = ""
    name: str = Field(default="home", pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")
    daily: int = Field(default=7, ge=1)
    weekly: int = Field(default=4, ge=0)
    monthly: int = Field(default=12, ge=0)


_DEFAULT_BOTS = (
    Bot(name="breakout", strategy="breakout"),
    Bot(name="mean-reversion", strategy="mean_reversion"),
    Bot(name="vwap", strategy="vwap"),
)

VARIABLES = {
    "TRON_HOME": ("home",),
    "ENVIRONMENT": ("environment",),
    "GOOGLE_CLOUD_PROJECT": ("project",),
    "TRON_BOT": ("bot",),
    "TRON_CONSOLE": ("console",),
    "TRON_LIVE_STORE": ("stores", "live"),
    "TRON_ARCHIVE": ("stores", "archive"),
    "TRON_STREAM": ("stores", "stream"),
    "TRON_WAREHOUSE": ("stores", "warehouse"),
    "TRON_JOURNAL_QUOTA": ("journal", "quota"),
    "TRON_JOURNAL_KEEP": ("journal", "keep_days"),
    "TRON_SHIPPER": ("shipping", "shipper"),
    "TRON_CHORES": ("shipping", "chores"),
    "TRON_LINGER": ("shipping", "linger_seconds"),
    "TRON_FEED": ("feed", "url"),
    "TRON_SPEED": ("feed", "speed"),
    "TRON_HOST": ("dashboard", "host"),
    "TRON_PORT": ("dashboard", "port"),
    "TRON_BACKUP": ("backup", "to"),
}


_CLOUD_RUN = ("K_SERVICE", "CLOUD_RUN_JOB", "CLOUD_RUN_WORKER_POOL")
"""One of these is set in every container of Cloud Run."""


class Settings(_Section):
    """Everything that can be set. Unknown keys are refused.

    `console` is the least severity that is also written to stdout, one JSON object a line as Cloud Logging reads it:
    "WARNING" on Cloud Run, where nothing else is said.
    """

    home: Path = Path(".tron")
    environment: Literal["local", "dev", "staging", "prod"] = "local"
    project: str = ""
    bot: str = ""
    console: Literal["off", "DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL"] = "off"
    stores: Stores = Stores()
    journal: Journal = Journal()
    shipping: Shipping = Shipping()
    warehouse: Warehouse = Warehouse()
    feed: Feed = Feed()
    broker: Broker = Broker()
    risk: Risk = Risk()
    dashboard: Dashboard = Dashboard()
    backup: Backup = Backup()
    costs: Costs = Costs()
    bots: tuple[Bot, ...] = _DEFAULT_BOTS

    @model_validator(mode="after")
    def _names_are_unique(self) -> Settings:
        names = [bot.name for bot in self.bots]
        if len(names) != len(set(names)):
            raise ValueError(f"two bots have the same name: {', '.join(sorted(names))}")
        return self

    @staticmethod
    def load(
        environ: Mapping[str, str], directory: Path | None = None, overrides: Mapping[str, Any] | None = None
    ) -> Settings:
        """Settings of `directory/tron.toml` (if there is one), then the environment, then `overrides` (nested by key).

        Raises `ConfigError` naming the first key that is wrong.
        """
        values = _read_toml((directory or Path.cwd()) / "tron.toml")
        if any(environ.get(name) for name in _CLOUD_RUN):
            values.setdefault("console", "WARNING")
        for variable, path in VARIABLES.items():
            if variable in environ and environ[variable] != "":
                _put(values, path, environ[variable])
        _merge(values, overrides or {})
        try:
            return Settings.model_validate(values)
        except ValidationError as error:
            raise ConfigError(_first(error), "see `tron init` for every key with its meaning") from None

    @property
    def config_hash(self) -> str:
        """SHA-256 of the effective settings; they hold no secrets."""
        return hashlib.sha256(self.model_dump_json(exclude={"home"}).encode()).hexdigest()


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise ConfigError(f"{path} cannot be read: {error}", "`tron init` writes one that can") from None


def _put(values: dict[str, Any], path: tuple[str, ...], value: str) -> None:
    for key in path[:-1]:
        values = values.setdefault(key, {})
        if not isinstance(values, dict):
            return  # the file has a value where a section belongs, which validation tells
    values[path[-1]] = value


def _merge(values: dict[str, Any], overrides: Mapping[str, Any]) -> None:
    for key, value in overrides.items():
        if not isinstance(value, Mapping):
            values[key] = value
        elif isinstance(section := values.setdefault(key, {}), dict):
            _merge(section, value)


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"]) or "settings"
    if first["type"] == "extra_forbidden":
        return f"tron.toml: there is no key {where!r}"
    return f"{where}: {first['msg'].removeprefix('Value error, ')}"

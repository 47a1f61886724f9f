"""Halts that survive a restart: one small file a bot, `<home>/state/<bot>.json`.

    {"version": 1, "bot": "...", "limit": "...", "reason": "...", "at": "<market time>", "run": "..."}

While the file exists the bot enters nothing; only `resume`, by a named actor, removes it. A file that cannot be
understood means halted. Writes are atomic and durable.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from runner.bots.risk import Limit
from runner.errors import ConfigError
from runner.files import replace, sync_folder
from runner.layout import Home
from runner.logging.core_logger import TradingLogger
from runner.logging.log_types import AuditData

_VERSION = 1


@dataclass(frozen=True, slots=True)
class Halt:
    """Why a bot does not trade: the limit that was crossed, the reason in words, the market time and the run."""

    limit: str
    reason: str
    at: str = ""
    run: str = ""


def read_halt(home: Home, bot: str) -> Halt | None:
    """The halt of a bot, None when it may trade. What cannot be read or understood counts as a halt."""
    path = _path(home, bot)
    try:
        content = json.loads(path.read_bytes())
        if content["version"] != _VERSION or content["bot"] != bot:
            raise ValueError(f"version {content['version']} of {content['bot']}")
        return Halt(*(str(content[name]) for name in ("limit", "reason", "at", "run")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        return Halt(Limit.STATE.value, f"{path.name} cannot be understood ({type(error).__name__}: {error})")


def write_halt(home: Home, bot: str, halt: Halt) -> None:
    """Keep a halt over restarts; durable when it returns. Raises `ConfigError`."""
    path = _path(home, bot)
    content = {"version": _VERSION, "bot": bot, **asdict(halt)}
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace(path, json.dumps(content, indent=1).encode() + b"\n")
    except OSError as error:
        raise ConfigError(
            f"the halt of {bot} cannot be kept in {path}: {error.strerror or error}",
            "free some space or choose another folder with TRON_HOME",
        ) from None


def resume(home: Home, bot: str, *, actor: str, reason: str, logger: TradingLogger) -> Halt:
    """Let a halted bot trade again from its next start; returns the halt that ended.

    The audit record is written, urgent, before the halt goes. Raises `ConfigError` without actor, reason or halt.
    """
    halt = check_resumable(home, bot, actor=actor, reason=reason)
    audit = AuditData(action="resume", subject=bot, reason=reason, context=asdict(halt))
    logger.log_audit(audit, actor=actor)
    path = _path(home, bot)
    path.unlink()
    sync_folder(path.parent)
    return halt


def check_resumable(home: Home, bot: str, *, actor: str, reason: str) -> Halt:
    """The halt that a resume would end. Raises `ConfigError` without actor, reason or halt."""
    if not actor.strip() or not reason.strip():
        raise ConfigError("a resume needs an actor and a reason", "say who decided, and why trading is safe again")
    halt = read_halt(home, bot)
    if halt is None:
        raise ConfigError(f"{bot} is not halted", "see the bot's name in tron.toml")
    return halt


def _path(home: Home, bot: str) -> Path:
    return home.state / f"{bot}.json"

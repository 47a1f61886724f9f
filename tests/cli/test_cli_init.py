"""`tron init`: every setting with its default, as a file that says the truth."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from pydantic import BaseModel

from runner.cli.init import template
from runner.settings import VARIABLES, Settings


def uncommented() -> str:
    """The template as it is with every commented setting switched on."""
    setting = re.compile(r"^# (\[\[\w+\]\]|\w+ = )", re.MULTILINE)
    return setting.sub(r"\1", template())


def load(folder: Path, text: str) -> Settings:
    (folder / "tron.toml").write_text(text)
    return Settings.load({}, folder)


def keys(model: type[BaseModel], prefix: str = "") -> set[str]:
    found: set[str] = set()
    for name, field in model.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, BaseModel):
            found |= keys(section, f"{name}.")
        else:
            found.add(prefix + name)
    return found


def test_the_template_as_written_is_the_defaults(tmp_path: Path) -> None:
    assert load(tmp_path, template()) == Settings()


def test_the_template_with_everything_switched_on_is_the_defaults(tmp_path: Path) -> None:
    said, default = load(tmp_path, uncommented()), Settings()

    pace = said.feed.model_copy(update={"speed": default.feed.speed})
    assert said.model_copy(update={"bots": default.bots, "feed": pace}) == default
    assert said.bots == default.bots[:1]
    assert said.feed.speed == 0


def test_the_template_names_every_variable() -> None:
    beginning = template().partition("\n\n")[0]

    assert set(re.findall(r"TRON_\w+|ENVIRONMENT|GOOGLE_\w+", beginning)) == set(VARIABLES)


def test_the_template_names_every_setting(tmp_path: Path) -> None:
    said = tomllib.loads(uncommented())
    named = {f"{key}.{name}" for key, value in said.items() if isinstance(value, dict) for name in value}
    named |= {key for key, value in said.items() if not isinstance(value, dict)}

    assert named == keys(Settings)

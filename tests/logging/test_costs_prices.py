from __future__ import annotations

import json
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from runner.errors import ConfigError
from runner.logging.costs.prices import CLASSES, load
from runner.settings import Costs


def table() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(resources.files("runner.logging").joinpath("prices.json").read_text())
    return found


def load_own(folder: Path, content: object) -> object:
    place = folder / "prices.json"
    place.write_text(content if isinstance(content, str) else json.dumps(content))
    return load(Costs(prices=str(place)))


def test_every_price_says_where_it_holds_where_it_was_read_and_when() -> None:
    for source in load().sources.values():
        place, page, read = source.split("; ")
        assert place
        assert "cloud.google.com" in page or "firebase.google.com" in page
        assert read.startswith("read 2026-")


def test_a_region_takes_what_it_does_not_name_from_the_default_one() -> None:
    usual, other = load(), load(Costs(region="nam5"))

    assert other.services.firestore.write_100k == 2 * usual.services.firestore.write_100k
    assert other.services.storage == usual.services.storage
    assert other.sources["storage"].startswith("us-central1")


def test_an_unknown_region_is_told_with_those_that_are_known() -> None:
    with pytest.raises(ConfigError, match="no region 'moon'") as caught:
        load(Costs(region="moon"))

    assert "us-central1" in caught.value.hint


def test_a_table_of_ones_own_is_used(tmp_path: Path) -> None:
    own = table()
    own["regions"]["us-central1"]["pubsub"]["tib"] = "41.5"

    assert load_own(tmp_path, own).services.pubsub.tib == Decimal("41.5")  # type: ignore[attr-defined]


@pytest.mark.parametrize("service", sorted(table()["regions"]["us-central1"]))
def test_a_table_without_a_service_is_refused_and_the_service_named(service: str, tmp_path: Path) -> None:
    own = table()
    del own["regions"]["us-central1"][service]

    with pytest.raises(ConfigError, match=f"no prices of '{service}'"):
        load_own(tmp_path, own)


@pytest.mark.parametrize("storage_class", CLASSES)
def test_a_table_without_a_storage_class_is_refused(storage_class: str, tmp_path: Path) -> None:
    own = table()
    del own["regions"]["us-central1"]["storage"]["gib_month"][storage_class]

    with pytest.raises(ConfigError, match=storage_class):
        load_own(tmp_path, own)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("not json", "is not one"),
        ("[]", "is not one"),
        ({}, "is not one"),
        ({**table(), "currency": "EUR"}, "in 'EUR'"),
        ({**table(), "default_region": "moon"}, "no region 'moon'"),
    ],
)
def test_what_is_no_table_is_refused(content: object, said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=said):
        load_own(tmp_path, content)


@pytest.mark.parametrize("amount", ["-1", "NaN", "Infinity", "a lot"])
def test_what_is_no_price_is_refused(amount: str, tmp_path: Path) -> None:
    own = table()
    own["regions"]["us-central1"]["firestore"]["write_100k"] = amount

    with pytest.raises(ConfigError):
        load_own(tmp_path, own)


def test_a_table_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(Costs(prices=str(tmp_path / "nothing.json")))

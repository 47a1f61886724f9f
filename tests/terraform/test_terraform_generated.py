"""`generated.auto.tfvars.json` is what the code says today, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runner.cli.init import write_variables
from runner.errors import ConfigError
from runner.logging.retention import BUCKETS, LIVE
from runner.operations import infrastructure
from runner.operations.schemas import columns
from runner.operations.tables import shapes
from runner.stores import pubsub
from runner.stores.bigquery_sql import Dataset
from tests.cli.terminal import Tron
from tests.terraform.gate import FOLDER

ROOT = Path(__file__).parents[2]


def test_the_file_is_what_the_code_says() -> None:
    text = (FOLDER / infrastructure.FILE).read_text()

    assert text == infrastructure.content(), "write it anew: tron init --terraform terraform"


def test_the_command_writes_the_file(tmp_path: Path) -> None:
    (tmp_path / "terraform").mkdir()
    said = Tron(tmp_path).succeeds("init", "--terraform", "terraform")

    assert infrastructure.FILE in said
    assert (tmp_path / "terraform" / infrastructure.FILE).read_text() == infrastructure.content()


def test_a_folder_that_is_not_there_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere") as raised:
        write_variables(tmp_path / "nowhere")

    assert "terraform" in raised.value.hint


def test_it_names_every_bucket_and_collection_with_its_time() -> None:
    said = infrastructure.variables()

    assert {name: bucket["days"] for name, bucket in said["buckets"].items()} == {
        name: kept.days for name, kept in BUCKETS.items()
    }
    collections = said["firestore"]["collections"]
    assert {name: one["seconds"] for name, one in collections.items()} == {
        name: ttl.total_seconds() for name, ttl in LIVE.items()
    }
    assert all(one["fields"]["expire_at"]["ttl"] and one["fields"]["*"]["orders"] == [] for one in collections.values())


def test_the_rules_and_indexes_are_those_that_the_tests_use() -> None:
    said = infrastructure.variables()["firestore"]
    stored = json.loads((ROOT / "runner/stores/firestore.indexes.json").read_text())

    assert said["rules"] == (ROOT / "runner/stores/firestore.rules").read_text()
    assert len(said["indexes"]) == len(stored["indexes"])
    assert sum(len(one["fields"]) for one in said["collections"].values()) == len(stored["fieldOverrides"])


def test_the_stream_is_what_the_adapter_publishes_to() -> None:
    policy = pubsub.subscription_of("projects/p/topics/t", "s", 60).dead_letter_policy

    assert infrastructure.variables()["stream"] == {
        "dead_letters": pubsub.DEAD_LETTERS,
        "delivery_attempts": policy.max_delivery_attempts,
        "topic": pubsub.TOPIC,
    }


def test_the_warehouse_has_everything_that_the_adapter_would_make() -> None:
    said = infrastructure.variables()["warehouse"]
    dataset = Dataset("demo-tron", "tron", columns(), shapes())

    assert list(said["tables"]) == [table.name for table in dataset.tables]
    for view in dataset.views:
        sql = said["views"][view.name]["sql"]
        assert sql.replace(infrastructure.PROJECT, "demo-tron").replace(infrastructure.DATASET, "tron") == view.sql


def test_a_view_stands_above_everything_that_it_reads() -> None:
    views = infrastructure.variables()["warehouse"]["views"]

    for name, view in views.items():
        read = {other for other in views if f".{other}`" in view["sql"]}
        assert all(views[other]["level"] < view["level"] for other in read), name
    assert max(view["level"] for view in views.values()) == 2


def test_money_keeps_its_digits() -> None:
    column = next(
        one for one in infrastructure.variables()["warehouse"]["tables"]["ohlcv"]["columns"] if one["name"] == "close"
    )

    assert column == {"mode": "NULLABLE", "name": "close", "precision": "38", "scale": "12", "type": "BIGNUMERIC"}

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.cli.terminal import Tron

FLEET = "10 bots, 1M records/day, 50k updates/day"


@pytest.fixture(scope="module")
def spent(ran: tuple[Tron, str]) -> tuple[Tron, dict[str, Any]]:
    """A home after a run whose shipper has ended, and its report."""
    tron, _ = ran
    return tron, json.loads(tron.succeeds("costs", "--json"))


def test_the_table_shows_operations_bots_the_forecast_and_the_naive_way(spent: tuple[Tron, Any]) -> None:
    said = spent[0].succeeds("costs")

    for expected in ("live", "writes", "class_a", "bot: breakout", "forecast of the month", "the naive way", "budget"):
        assert expected in said
    assert "Google bills nothing" in said


def test_the_report_counts_what_the_run_wrote(spent: tuple[Tron, Any]) -> None:
    tron, report = spent
    count = {(line["service"], line["operation"]): line["count"] for line in report["lines"]}
    records = json.loads(tron.succeeds("query", "--json", "SELECT count(*) AS n FROM records"))["n"]

    assert count["coalescing", "states"] >= count["live", "writes"] > 0
    assert count["archive", "class_a"] > 0
    assert count["compliance", "class_a"] > 0
    assert 0 < count["stream", "messages"] < records


def test_every_number_of_the_report_has_a_label(spent: tuple[Tron, Any]) -> None:
    labelled = [one for name in ("lines", "free", "kept", "other", "bots") for one in spent[1][name]]

    assert {one["label"] for one in labelled} <= {"metered", "estimated", "billed"}
    assert spent[1]["total"]["label"] == "estimated"


def test_one_bot_costs_less_than_all(spent: tuple[Tron, Any]) -> None:
    one = json.loads(spent[0].succeeds("costs", "--bot", "vwap", "--json"))
    gross = sum(float(line["usd"]) for line in spent[1]["lines"])

    assert 0 < float(one["total"]["usd"]) < gross
    assert [bot["name"] for bot in one["bots"]] == ["vwap"]


def test_each_day_can_have_lines_of_its_own(spent: tuple[Tron, Any]) -> None:
    assert re.search(r"^\d{4}-\d\d-\d\d +archive +class_a", spent[0].succeeds("costs", "--by-day"), re.MULTILINE)


def test_what_is_paid_elsewhere_comes_from_the_settings(spent: tuple[Tron, Any]) -> None:
    tron = spent[0]
    tron.write_settings('[[costs.other]]\nname = "another cloud"\nmonthly_usd = 31\n')
    try:
        assert "elsewhere: another cloud" in tron.succeeds("costs")
    finally:
        tron.write_settings("")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--month", "2999-01"), "still to come"),
        (("--month", "last"), "is no month"),
        (("--bot", "nobody"), "no bot 'nobody'"),
        (("--simulate", "ten bots"), "no part of a fleet"),
        (("--simulate", FLEET, "--month", "2025-01"), "leave out"),
    ],
)
def test_what_cannot_be_answered_is_told_in_one_line(
    arguments: tuple[str, ...], said: str, spent: tuple[Tron, Any]
) -> None:
    assert said in spent[0].fails("costs", *arguments)


def test_a_fleet_is_simulated_before_there_is_a_home(tron: Tron) -> None:
    said = tron.succeeds("costs", "--simulate", FLEET)

    assert re.search(r"the naive way +[\d.]+ +ours is [\d.]+% of it", said)
    assert "break-even" in said
    assert "estimated" in said
    assert not tron.home.path.exists()


def test_a_simulated_fleet_is_json_with_amounts_as_text(tron: Tron) -> None:
    found = json.loads(tron.succeeds("costs", "--simulate", FLEET, "--json"))

    assert found["fleet"]["bots"] == 10
    assert all(isinstance(entry["usd"], str) for entry in found["ours"])
    assert found["label"] == "estimated"
    assert found["break_even_records_a_day"] > 0


def test_without_a_home_there_is_nothing_to_report(tron: Tron) -> None:
    assert "there is no home" in tron.fails("costs")


def test_a_price_table_that_lacks_a_service_is_told(tron: Tron) -> None:
    (tron.folder / "own.json").write_text('{"currency": "USD"}')
    tron.write_settings(f'[costs]\nprices = "{tron.folder / "own.json"}"\n')

    assert "is not one" in tron.fails("costs", "--simulate", FLEET)

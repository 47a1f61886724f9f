"""What the plan of the example does, and what it never does."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from runner.logging.retention import BUCKETS, LIVE
from tests.terraform import policy
from tests.terraform.gate import FOLDER, Json, Terraform
from tests.terraform.policy import LABELLED, resources

Check = Callable[[Json], Iterator[str]]


@pytest.mark.parametrize(
    "check",
    [policy.access, policy.retention, policy.expiry, policy.labels, policy.warehouse, policy.stream, policy.compute],
    ids=lambda check: check.__name__,
)
def test_the_plan_keeps_the_promises_about(check: Check, plan: Json) -> None:
    assert list(check(plan)) == []


def test_every_kind_of_resource_that_has_labels_is_known(plan: Json, terraform: Terraform) -> None:
    planned = plan["planned_values"]["root_module"]["resources"]
    labelled = {one["type"] for one in planned if "labels" in one["values"] or "user_labels" in one["values"]}

    assert labelled <= LABELLED.keys()


def test_every_kind_of_thing_is_in_the_example(plan: Json) -> None:
    planned = {resource["type"] for resource in plan["planned_values"]["root_module"]["resources"]}
    written = set()
    for path in FOLDER.glob("*.tf"):
        lines = path.read_text().splitlines()
        written |= {line.split('"')[1] for line in lines if line.startswith("resource ")}

    assert written == planned


def test_a_bucket_of_seven_years_keeps_220752000_seconds(plan: Json) -> None:
    policies = {values["name"]: values["retention_policy"] for _, values in resources(plan, "google_storage_bucket")}

    assert [one["retention_period"] for one in policies["acme-tron-compliance-logs"]] == ["220752000"]
    assert sum(len(policy) for policy in policies.values()) == sum(kept.locked for kept in BUCKETS.values())


def test_each_live_collection_expires(plan: Json) -> None:
    expiring = {v["collection"] for _, v in resources(plan, "google_firestore_field") if v["ttl_config"]}

    assert expiring == set(LIVE)


def test_what_a_bot_is_told_leads_to_what_is_made(plan: Json) -> None:
    pools = {values["name"]: values for _, values in resources(plan, "google_cloud_run_v2_worker_pool")}
    told = {env["name"]: env["value"] for env in pools["bot-breakout"]["template"][0]["containers"][0]["env"]}
    buckets = {values["name"] for _, values in resources(plan, "google_storage_bucket")}

    assert {f"{told['TRON_ARCHIVE'].removeprefix('gs://')}-tron-{name}" for name in BUCKETS} <= buckets
    assert told["TRON_LIVE_STORE"] == "firestore://demo-tron/tron"
    assert told["TRON_CHORES"] == "false"
    assert (told["TRON_SHIPPER"], told["TRON_BOT"], told["ENVIRONMENT"]) == ("none", "breakout", "prod")
    assert "TRON_WAREHOUSE" not in told


def test_the_containers_of_a_bot_see_the_same_home_in_memory(plan: Json) -> None:
    for _, values in resources(plan, "google_cloud_run_v2_worker_pool"):
        (template,) = values["template"]
        homes = {mount["mount_path"] for one in template["containers"] for mount in one["volume_mounts"]}
        assert homes == {"/var/lib/tron"}
        assert [volume["empty_dir"][0]["medium"] for volume in template["volumes"]] == ["MEMORY"]


def test_a_bot_on_a_machine_keeps_its_identity_and_loses_its_pool(plan: Json) -> None:
    pools = {values["name"] for _, values in resources(plan, "google_cloud_run_v2_worker_pool")}
    machines = plan["planned_values"]["outputs"]["machines"]["value"]

    assert pools == {"bot-breakout", "bot-vwap"}
    assert machines["options"]["service_account"] == "bot-options@demo-tron.iam.gserviceaccount.com"


def test_the_addons_take_the_machines_as_the_platform_gives_them(plan: Json, terraform: Terraform) -> None:
    machines = plan["planned_values"]["outputs"]["machines"]["value"]
    said = {"project": "demo-tron", "environment": "prod", "machines": machines}
    added = terraform.plan(FOLDER / "addons", said)
    ((_, machine),) = resources(added, "google_compute_instance")
    start = machine["metadata"]["user-data"]

    assert list(policy.labels(added)) == []
    assert "TRON_BOT=options" in start
    assert "'ship' '--follow'" in start
    assert "secret 'exchange-key'" in start
    assert not machine["network_interface"][0]["access_config"]


def test_the_script_that_reads_secrets_on_a_machine_is_sound(plan: Json, terraform: Terraform, tmp_path: Path) -> None:
    machines = plan["planned_values"]["outputs"]["machines"]["value"]
    added = terraform.plan(FOLDER / "addons", {"project": "demo-tron", "environment": "prod", "machines": machines})
    ((_, machine),) = resources(added, "google_compute_instance")
    lines = machine["metadata"]["user-data"].partition("path: /etc/tron/secrets.sh\n")[2].splitlines()[2:]
    script = "\n".join(itertools.takewhile(lambda line: line.startswith("    "), lines)) + "\n"
    (tmp_path / "secrets.sh").write_text("#!/bin/bash\n" + textwrap.dedent(script))
    shellcheck = Path(sys.executable).with_name("shellcheck")
    done = subprocess.run([shellcheck, tmp_path / "secrets.sh"], capture_output=True, text=True, check=False)

    assert "secret 'exchange-key'" in script
    assert done.returncode == 0, done.stdout


def test_the_board_shows_only_metrics_that_somebody_writes(terraform: Terraform, plan: Json) -> None:
    added = terraform.plan(FOLDER / "addons", {"project": "demo-tron", "environment": "prod"})
    ((_, board),) = resources(added, "google_monitoring_dashboard")
    own = {values["name"] for _, values in resources(plan, "google_logging_metric")}
    tiles = json.loads(board["dashboard_json"])["mosaicLayout"]["tiles"]
    shown = [_filter(tile) for tile in tiles]

    assert len(shown) == 12
    for said in shown:
        name = said.partition('metric.type="')[2].partition('"')[0]
        assert not name.startswith("logging.googleapis.com/user/") or name.partition("/user/")[2] in own


def test_somebody_is_told_of_lag_dead_letters_and_money(plan: Json) -> None:
    told = {v["display_name"]: v for _, v in resources(plan, "google_monitoring_alert_policy")}
    ((_, budget),) = resources(plan, "google_billing_budget")
    spent = [r["threshold_percent"] for r in budget["threshold_rules"] if r["spend_basis"] == "CURRENT_SPEND"]

    assert {"tron: shipper-lag", "tron: journal-full", "tron: left-records", "tron: dead-letters"} <= told.keys()
    assert all(len(policy["conditions"]) == 1 for policy in told.values())
    assert spent == [0.5, 0.8, 1]
    assert [channel["labels"] for _, channel in resources(plan, "google_monitoring_notification_channel")] == [
        {"email_address": "desk@example.com"}
    ]


def test_the_alerts_find_what_is_really_said(plan: Json) -> None:
    filters = {v["name"].removeprefix("tron/"): v["filter"] for _, v in resources(plan, "google_logging_metric")}
    trying = _said("runner/cli/ship.py", "it goes on trying")

    assert _finds(filters["shipper-lag"], trying.replace("{found.tries}", "10"))
    assert not _finds(filters["shipper-lag"], trying.replace("{found.tries}", "1"))
    assert _finds(filters["journal-full"], _said("runner/logging/quota.py", "is full"))
    assert _finds(filters["journal-full"], _said("runner/logging/disk.py", "disk is full"))
    assert _finds(filters["left-records"], _said("runner/logging/leftovers.py", "unshipped"))


def _finds(text: str, said: str) -> bool:
    patterns = [json.loads(quoted) for quoted in re.findall(r'=~("(?:[^"\\]|\\.)*")', text)]
    assert patterns
    return any(re.search(pattern, said) for pattern in patterns)


def _said(path: str, words: str) -> str:
    """The sentence with these words in a source file, with its values as names in braces."""
    sentences = re.findall(r'f"([^"]*)"', (FOLDER.parent / path).read_text())
    return next(sentence for sentence in sentences if words in sentence)


def _filter(tile: dict[str, Any]) -> str:
    (data,) = tile["widget"]["xyChart"]["dataSets"]
    return str(data["timeSeriesQuery"]["timeSeriesFilter"]["filter"])

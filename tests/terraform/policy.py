"""What must hold for any plan, as sentences about what does not.

Terraform checks a configuration against the provider's schema; the provider and the API check more. Nobody checks what
we promise: who may do what, how long things are kept, what is labelled.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.optimizer.qualify import qualify

from runner.logging.retention import BUCKETS, LIVE, rules
from runner.operations import infrastructure
from runner.operations.infrastructure import DATASET, PROJECT
from runner.stores.base import LifecycleRule
from tests.terraform.gate import Json

PUBLIC = ("allUsers", "allAuthenticatedUsers")
BASIC_ROLES = ("roles/owner", "roles/editor", "roles/viewer")
TOO_MUCH = (
    "roles/storage.admin",
    "roles/iam.serviceAccountAdmin",
    "roles/resourcemanager.projectIamAdmin",
    "roles/run.admin",
)
LABELS = {"app", "environment", "managed-by"}
# By type, where labels are, if not in `labels`: a channel's labels are its address.
LABELLED = {
    "google_artifact_registry_repository": "labels",
    "google_bigquery_dataset": "labels",
    "google_bigquery_table": "labels",
    "google_cloud_run_v2_job": "labels",
    "google_cloud_run_v2_service": "labels",
    "google_cloud_run_v2_worker_pool": "labels",
    "google_cloudfunctions2_function": "labels",
    "google_compute_disk": "labels",
    "google_compute_instance": "labels",
    "google_eventarc_trigger": "labels",
    "google_kms_crypto_key": "labels",
    "google_monitoring_alert_policy": "user_labels",
    "google_monitoring_notification_channel": "user_labels",
    "google_pubsub_subscription": "labels",
    "google_pubsub_topic": "labels",
    "google_secret_manager_secret": "labels",
    "google_storage_bucket": "labels",
}
DELETING = (
    "storage.objects.delete",
    "storage.objects.update",
    "storage.objects.setRetention",
    "storage.buckets.delete",
)
MIGHT_DELETE = ("roles/storage.objectUser", "roles/storage.objectAdmin", "roles/storage.legacyBucketWriter")
DOMAIN = "@demo-tron.iam.gserviceaccount.com"
# Who calls a service: functions are called by schedule, but for two.
SCHEDULER = "scheduler"
CALLERS = {"dashboard": "service-123456789012@gcp-sa-iap.iam.gserviceaccount.com", "on-trading-record": "push"}


@cache
def variables() -> Json:
    return infrastructure.variables()


def resources(plan: Json, *types: str) -> Iterator[tuple[str, Json]]:
    """Addresses and values of what is planned, of some types or all."""
    for resource in plan["planned_values"]["root_module"].get("resources", []):
        if not types or resource["type"] in types:
            yield resource["address"], resource["values"]


def complaints(plan: Json) -> list[str]:
    """Everything about a plan that breaks a promise, sorted."""
    checks = (access, retention, expiry, labels, warehouse, stream, compute)
    return sorted(sentence for check in checks for sentence in check(plan))


def access(plan: Json) -> Iterator[str]:
    """Who may do what."""
    for address, values in resources(plan):
        text = json.dumps(values)
        if any(f'"{public}"' in text for public in PUBLIC):
            yield f"{address} is public"
        if values.get("role") in (*BASIC_ROLES, *TOO_MUCH):
            yield f"{address} grants {values['role']}"
        if "_iam_member" in address and not (values.get("member") and values.get("role")):
            yield f"{address} has a member or a role that the plan does not know"
    for address, values in resources(plan, "google_cloud_run_v2_service_iam_member"):
        caller = values["member"].removeprefix("serviceAccount:").removesuffix(DOMAIN)
        if caller != CALLERS.get(values["name"], SCHEDULER):
            yield f"{address} lets {caller} call {values['name']}"
    yield from _bucket_access(plan)


def _bucket_access(plan: Json) -> Iterator[str]:
    custom = {
        values["role_id"]: set(values["permissions"]) for _, values in resources(plan, "google_project_iam_custom_role")
    }
    if custom.get("tronBotObjects") != {"storage.objects.create", "storage.objects.get"}:
        yield "the role of bots is not create and get"
    for address, values in resources(plan, "google_storage_bucket_iam_member"):
        permissions = custom.get(values["role"].rpartition("/")[2], set())
        may_delete = values["role"] in MIGHT_DELETE or not permissions.isdisjoint(DELETING)
        if may_delete and values["bucket"].endswith("-tron-compliance-logs"):
            yield f"{address} may delete compliance logs"
        if values["member"].startswith("serviceAccount:bot-") and not values["role"].endswith("/tronBotObjects"):
            yield f"{address} gives a bot {values['role']}"
    for address, values in resources(plan, "google_project_iam_member"):
        if values["role"].startswith("roles/storage.") and not values.get("condition"):
            yield f"{address} grants {values['role']} on every bucket"
        if values["role"].startswith("roles/datastore.") and not values.get("condition"):
            yield f"{address} grants {values['role']} on every database"


def retention(plan: Json) -> Iterator[str]:
    """Buckets are those of the retention table, and keep what it says."""
    planned = {values["name"].partition("-tron-")[2]: values for _, values in resources(plan, "google_storage_bucket")}
    yield from (f"there is no bucket {name}" for name in BUCKETS.keys() - planned.keys())
    for name, kept in BUCKETS.items():
        bucket = planned.get(name)
        if bucket is None:
            continue
        wanted = sorted(rules(kept))
        if (found := _lifecycle(bucket)) != wanted:
            yield f"{name}: {', '.join(map(str, found))}; and not: {', '.join(map(str, wanted))}"
        periods = [policy["retention_period"] for policy in bucket["retention_policy"]]
        if periods != ([str(kept.days * 86_400)] if kept.locked else []):
            yield f"{name} has the retention periods {periods}"
        if any(policy["is_locked"] for policy in bucket["retention_policy"]):
            yield f"{name} is locked for ever"
    for name, bucket in planned.items():
        if not bucket["uniform_bucket_level_access"] or bucket["public_access_prevention"] != "enforced":
            yield f"bucket {name} could be public"
        if bucket["force_destroy"]:
            yield f"bucket {name} is destroyed with what is in it"


def _lifecycle(bucket: Json) -> list[LifecycleRule]:
    found = []
    for rule in bucket["lifecycle_rule"]:
        (action,), (condition,) = rule["action"], rule["condition"]
        said = {name for name, value in condition.items() if value and not name.startswith("send_")}
        if not said <= {"age", "size_above_bytes", "with_state"}:
            found.append(LifecycleRule(0, f"a foreign rule about {', '.join(sorted(said))}"))
            continue
        found.append(
            LifecycleRule(
                condition["age"], action.get("storage_class") or "", int(condition.get("size_above_bytes") or 0)
            )
        )
    return sorted(found)


def expiry(plan: Json) -> Iterator[str]:
    """Every live collection expires by `expire_at`, is closed to strangers, and has the indexes of the tests."""
    fields = {
        (values["collection"], values["field"]): values for _, values in resources(plan, "google_firestore_field")
    }
    expiring = sorted(key for key, values in fields.items() if values["ttl_config"])
    if expiring != sorted((name, "expire_at") for name in LIVE):
        yield f"these expire: {expiring}"
    said = variables()["firestore"]
    for name, collection in said["collections"].items():
        for field, wanted in collection["fields"].items():
            planned = fields.pop((name, field), None)
            orders = sorted(one["order"] for one in planned["index_config"][0]["indexes"]) if planned else None
            if orders != sorted(wanted["orders"]):
                yield f"{name}.{field} is indexed {orders}"
    yield from (f"{collection}.{field} is nobody's" for collection, field in fields)
    indexes = {_index(values) for _, values in resources(plan, "google_firestore_index")}
    if indexes != {
        (one["collection"], *((f["field"], f["order"]) for f in one["fields"])) for one in said["indexes"].values()
    }:
        yield "the composite indexes are others"
    closed = [
        file["content"]
        for _, values in resources(plan, "google_firebaserules_ruleset")
        for file in values["source"][0]["files"]
    ]
    if closed != [said["rules"]] or not list(resources(plan, "google_firebaserules_release")):
        yield "the rules of Firestore are others, or not released"
    for address, values in resources(plan, "google_firestore_database"):
        if values["name"] == "(default)":
            yield f"{address} is the default database"


def _index(values: Json) -> tuple[Any, ...]:
    return (values["collection"], *((field["field_path"], field["order"]) for field in values["fields"]))


def labels(plan: Json) -> Iterator[str]:
    types = {resource["address"]: resource["type"] for resource in plan["planned_values"]["root_module"]["resources"]}
    for address, values in resources(plan, *LABELLED):
        lacking = LABELS - (values.get(LABELLED[types[address]]) or {}).keys()
        if lacking:
            yield f"{address} has no label {min(lacking)}"


def warehouse(plan: Json) -> Iterator[str]:
    """Tables and views are those of the code; the SQL of each view holds for the columns that it reads."""
    said = variables()["warehouse"]
    planned = {values["table_id"]: values for _, values in resources(plan, "google_bigquery_table")}
    wanted = {*said["tables"], *said["views"], "events_stream"}
    if planned.keys() != wanted:
        yield f"tables that are too many or missing: {sorted(planned.keys() ^ wanted)}"
        return
    for name, table in said["tables"].items():
        if json.loads(planned[name]["schema"]) != table["columns"]:
            yield f"{name} has other columns"
        if [part["field"] for part in planned[name]["time_partitioning"]] != [table["day"]]:
            yield f"{name} is not partitioned by {table['day']}"
        if (planned[name]["clustering"] or []) != table["cluster"]:
            yield f"{name} is not clustered by {table['cluster']}"
    for name in said["views"]:
        (view,) = planned[name]["view"]
        if view["use_legacy_sql"] is not False:
            yield f"{name} is written in legacy SQL"
        if PROJECT in view["query"] or DATASET in view["query"]:
            yield f"{name} still names {PROJECT} or {DATASET}"
    asked = tuple((name, planned[name]["view"][0]["query"]) for name in said["views"])
    yield from views(tuple((name, planned[name]["schema"]) for name in said["tables"]), asked)


@cache
def views(tables: tuple[tuple[str, str], ...], asked: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    """Reads each view as BigQuery would: its columns must be those of tables, or of views that it may read."""
    known = {name: {one["name"]: one["type"] for one in json.loads(schema)} for name, schema in tables}
    found = []
    for name, sql in sorted(asked, key=lambda one: variables()["warehouse"]["views"][one[0]]["level"]):
        try:
            known[name] = _columns_of(sql, known)
        except sqlglot.errors.SqlglotError as error:
            found.append(f"{name}: {str(error).splitlines()[0]}")
            known[name] = {}
    return tuple(found)


def _columns_of(sql: str, known: dict[str, dict[str, str]]) -> dict[str, str]:
    tree = sqlglot.parse_one(sql, dialect="bigquery")
    for table in tree.find_all(exp.Table):
        name = table.name.rpartition(".")[2]
        if name not in known:
            raise sqlglot.errors.SqlglotError(f"there is no {name}")
        alias = exp.TableAlias(this=exp.to_identifier(table.alias or name))
        table.replace(exp.Table(this=exp.to_identifier(name, quoted=True), alias=alias))
    found = qualify(tree, schema=known, dialect="bigquery", validate_qualify_columns=True)
    return dict.fromkeys(found.named_selects, "STRING")


def stream(plan: Json) -> Iterator[str]:
    """Subscriptions keep what nobody took, and never say twice what a table looks like."""
    for address, values in resources(plan, "google_pubsub_subscription"):
        for config in values["bigquery_config"]:
            if config["use_topic_schema"] and config["use_table_schema"]:
                yield f"{address} uses the schema of the topic and that of the table"
            if not config["write_metadata"]:
                yield f"{address} does not say when a message was published"
        if [policy["ttl"] for policy in values["expiration_policy"]] != [""]:
            yield f"{address} expires"
        is_of_dead_letters = values["name"] == "tron-records-dead-letter"
        if not is_of_dead_letters and not values["dead_letter_policy"]:
            yield f"{address} has no dead letters"
    topics = {values["name"] for _, values in resources(plan, "google_pubsub_topic")}
    if topics != {"tron-records", "tron-records-dead-letter"}:
        yield f"the topics are {sorted(topics)}"
    if "tron-records-dead-letter" not in {
        values["name"] for _, values in resources(plan, "google_pubsub_subscription")
    }:
        yield "nobody keeps the dead letters"
    for address, values in resources(plan, "google_bigquery_table"):
        if values["table_id"] == "events_stream" and values["time_partitioning"][0]["expiration_ms"] != 7 * 86_400_000:
            yield f"{address} does not expire after seven days"


def compute(plan: Json) -> Iterator[str]:
    """What runs is pinned, has an account of its own, and is reached by nobody else."""
    for address, values in resources(plan, "google_cloud_run_v2_worker_pool", "google_cloud_run_v2_service"):
        (template,) = values["template"]
        if not template["service_account"] or template["service_account"].endswith(
            "-compute@developer.gserviceaccount.com"
        ):
            yield f"{address} has no account of its own"
        yield from (
            f"{address} has an image without a digest"
            for one in template["containers"]
            if "@sha256:" not in one["image"]
        )
    for address, values in resources(plan, "google_cloud_run_v2_worker_pool"):
        if [scaling["manual_instance_count"] for scaling in values["scaling"]] not in ([0], [1]):
            yield f"{address} runs more than once"
        names = [container["name"] for container in values["template"][0]["containers"]]
        if names != ["bot", "shipper"]:
            yield f"{address} has the containers {names}"
    for address, values in resources(plan, "google_cloud_run_v2_service"):
        if not values["iap_enabled"] or values["invoker_iam_disabled"]:
            yield f"{address} is not behind the proxy"
    for address, values in resources(plan, "google_cloudfunctions2_function"):
        (service,) = values["service_config"]
        if service["ingress_settings"] != "ALLOW_INTERNAL_ONLY":
            yield f"{address} is reached from outside"
    for address, values in resources(plan, "google_cloud_scheduler_job"):
        (target,) = values["http_target"]
        if [token["audience"] for token in target["oidc_token"]] != [target["uri"]]:
            yield f"{address} calls without a token for what it calls"
    for address, values in resources(plan, "google_artifact_registry_repository"):
        if values["repository_id"] == "tron" and not any(one["immutable_tags"] for one in values["docker_config"]):
            yield f"{address} lets tags be moved"
    for address, _ in resources(plan, "google_secret_manager_secret_version"):
        yield f"{address} puts a secret into the state"

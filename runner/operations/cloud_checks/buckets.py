"""The archive's buckets: whose they are, what leaves them when, who is kept out, and what one may do in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from runner.logging.bucket_rules import BucketRules
from runner.logging.retention import BUCKETS, BucketRetention, rules
from runner.operations.checks import Check
from runner.operations.cloud_checks.asking import EMULATED, Asking, Purpose, Thing, granted, member, path, refused
from runner.stores.gcs_lifecycle import lifecycle_of

_DAY_SECONDS = 86_400
_CREATE, _GET, _LIST, _DELETE = (f"storage.objects.{verb}" for verb in ("create", "get", "list", "delete"))
_NEEDED: Mapping[Purpose, tuple[str, ...]] = {
    Purpose.SHIP: (_CREATE, _GET),
    Purpose.READ: (_GET, _LIST),
    Purpose.EXPORT: (_GET, _LIST),
}
_GIVES = {
    Purpose.SHIP: "roles/storage.objectCreator and roles/storage.objectViewer, or the role tronBotObjects of Terraform",
    Purpose.READ: "roles/storage.objectViewer",
    Purpose.EXPORT: "roles/storage.objectViewer",
    Purpose.ALL: "roles/storage.objectUser",
}


def look(asking: Asking, prefix: str, number: str) -> Iterator[Check]:
    """Every bucket of the retention table. `number` is the project's, or empty where it is not known."""
    for bucket, retention in BUCKETS.items():
        name = f"{prefix}-tron-{bucket}"
        create = f"gcloud storage buckets create gs://{name} --project={asking.project} --uniform-bucket-level-access"
        thing = Thing(f"bucket {bucket}", "storage", f"storage.buckets.get on gs://{name}", create)
        answer = asking.apis.ask("storage", path("storage", "v1", "b", name))
        if not answer.good:
            yield refused(answer, thing, asking.project)
        else:
            yield from _bucket(asking, thing.name, name, answer.body, number, retention)
        if answer.status != 404:
            yield from _permissions(asking, bucket, name)


def _bucket(
    asking: Asking, check: str, name: str, body: Mapping[str, Any], number: str, retention: BucketRetention
) -> Iterator[Check]:
    owner = str(body.get("projectNumber", ""))
    if number and owner not in ("", "0", number):
        found = f"gs://{name} belongs to another project (number {owner})"
        yield Check(
            check, False, found, "choose another prefix in TRON_ARCHIVE: names of buckets are the whole world's"
        )
        return
    if asking.apis.is_emulated("storage"):
        yield Check(check, True, f"gs://{name} is there; rules {EMULATED}")
        return
    problems = [*_lifecycle(check, name, body, retention), *_locks(check, name, body, retention)]
    yield from problems or [
        Check(check, True, f"gs://{name} in {body.get('location', '?')}, kept {retention.days} days")
    ]


def _lifecycle(check: str, name: str, body: Mapping[str, Any], retention: BucketRetention) -> Iterator[Check]:
    """The bucket's rules beside the retention table."""
    resources = body.get("lifecycle", {}).get("rule", ())
    found = BucketRules(check.removeprefix("bucket "), rules(retention), lifecycle_of(resources))
    if found.differs:
        changes = [f"lacks: {rule}" for rule in found.add] + [f"has: {rule}" for rule in found.remove]
        yield Check(check, False, "; ".join(changes), f"terraform apply; or by hand: {_lifecycle_command(name)}")
    for problem in found.problems:
        yield Check(check, False, problem, _lifecycle_command(name).replace("update", "describe").partition(" --l")[0])


def _lifecycle_command(name: str) -> str:
    return f"gcloud storage buckets update gs://{name} --lifecycle-file=RULES.json"


def _locks(check: str, name: str, body: Mapping[str, Any], retention: BucketRetention) -> Iterator[Check]:
    update = f"gcloud storage buckets update gs://{name}"
    access = body.get("iamConfiguration", {})
    if access.get("publicAccessPrevention") != "enforced":
        yield Check(check, False, "it could be made public", f"{update} --public-access-prevention")
    if not access.get("uniformBucketLevelAccess", {}).get("enabled"):
        yield Check(
            check, False, "objects may have permissions of their own", f"{update} --uniform-bucket-level-access"
        )
    seconds = int(body.get("retentionPolicy", {}).get("retentionPeriod", 0))
    wanted = retention.days * _DAY_SECONDS if retention.locked else 0
    if seconds < wanted:
        found = f"what lies in it can be deleted after {seconds // _DAY_SECONDS} days, not after {retention.days}"
        yield Check(check, False, found, f"{update} --retention-period={wanted}s")
    if seconds > retention.days * _DAY_SECONDS:
        found = f"its retention policy keeps objects {seconds // _DAY_SECONDS} days, and {retention.days} are wanted"
        yield Check(check, False, found, f"{update} --clear-retention-period")


def _permissions(asking: Asking, bucket: str, name: str) -> Iterator[Check]:
    check = f"roles on {bucket}"
    if asking.apis.is_emulated("storage"):
        yield Check(check, True, EMULATED)
        return
    thing = Thing(check, "storage", "roles/storage.objectViewer")
    question = f"{path('storage', 'v1', 'b', name)}/iam/testPermissions"
    add = f"gcloud storage buckets add-iam-policy-binding gs://{name} --member={member(asking)} --role=ROLE"
    needed = asking.permissions(_NEEDED)
    yield granted(asking, question, needed, thing, f"{add}, where ROLE is {_GIVES[asking.purpose]}")
    if asking.purpose is Purpose.SHIP and BUCKETS[bucket].locked:
        surplus = granted(asking, question, (_DELETE,), thing, "")
        if surplus.good:
            found = f"{asking.apis.identity} may delete what must be kept"
            yield Check(check, False, found, f"{add.replace('add-', 'remove-')}, where ROLE allows {_DELETE}")

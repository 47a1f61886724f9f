"""The live store's database: its mode, the expiry of its collections, its indexes, and what one may do in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from typing import Any

from runner.operations.checks import Check
from runner.operations.cloud_checks.asking import (
    EMULATED,
    Asking,
    Purpose,
    Thing,
    items,
    member,
    path,
    refused,
    wanted_things,
)

_VIEWER = "roles/datastore.indexAdmin or roles/datastore.viewer"
_OVERRIDES = "indexConfig.usesAncestorConfig=false OR ttlConfig:*"
_PROBE = "tron_doctor/probe"
_Fields = Mapping[str, Mapping[str, Any]]


def look(asking: Asking, database: str) -> Iterator[Check]:
    """The database `database` of the project."""
    place = path("v1", "projects", asking.project, "databases", database)
    if asking.apis.is_emulated("firestore"):
        yield Check("database", True, f"{database}; {EMULATED}")
    else:
        answer = asking.apis.ask("firestore", place)
        create = (
            f"gcloud firestore databases create --database='{database}' --location=REGION --project={asking.project}"
        )
        thing = Thing("database", "firestore", "roles/datastore.viewer", create)
        if answer.status == 404:
            yield refused(answer, thing, asking.project)
            return
        yield _database(database, answer.body) if answer.good else refused(answer, thing, asking.project)
        yield from _fields(asking, place, database)
        yield from _indexes(asking, place, database)
    yield _permissions(asking, place, database)


def _database(database: str, body: Mapping[str, Any]) -> Check:
    mode = body.get("type", "FIRESTORE_NATIVE")
    if mode != "FIRESTORE_NATIVE":
        advice = "create another database in native mode, and name it in TRON_LIVE_STORE"
        return Check("database", False, f"{database} is in the mode {mode}", advice)
    return Check("database", True, f"{database} in {body.get('locationId', '?')}")


def _fields(asking: Asking, place: str, database: str) -> Iterator[Check]:
    """Expiry and single-field indexes, as the collections' fields are set."""
    question = f"{place}/collectionGroups/-/fields?filter={_OVERRIDES.replace(' ', '%20')}&pageSize=500"
    answer = asking.apis.ask_all("firestore", question, "fields")
    if not answer.good:
        yield refused(answer, Thing("expiry and fields", "firestore", _VIEWER), asking.project)
        return
    found = {_field_name(one): one for one in items(answer, "fields")}
    wanted: Mapping[str, Any] = wanted_things()["firestore"]["collections"]
    yield from _expiry(asking, database, wanted, found)
    yield _exemptions(wanted, found)


def _expiry(asking: Asking, database: str, wanted: Mapping[str, Any], found: _Fields) -> Iterator[Check]:
    good = 0
    for collection, said in wanted.items():
        (field,) = (name for name, one in said["fields"].items() if one["ttl"])
        state = found.get(f"{collection}/{field}", {}).get("ttlConfig", {}).get("state", "")
        if state == "ACTIVE":
            good += 1
        elif state == "CREATING":
            yield Check(f"expiry of {collection}", None, "is being switched on", "look again in some minutes")
        else:
            advice = f"gcloud firestore fields ttls update {field} --collection-group={collection} --enable-ttl "
            advice += f"--database='{database}' --project={asking.project}"
            why = f"is in the state {state}" if state else "is off: documents stay and are billed until the sweep"
            yield Check(f"expiry of {collection}", False, why, advice)
    if good == len(wanted):
        yield Check("expiry", True, f"on for {good} collections")


def _exemptions(wanted: Mapping[str, Any], found: _Fields) -> Check:
    """Fields whose indexes are not those that are wanted. Each index is written, and billed, with each document."""
    different = [
        f"{collection}.{field}"
        for collection, said in wanted.items()
        for field, one in said["fields"].items()
        if _orders(found.get(f"{collection}/{field}", {})) != set(one["orders"]) or f"{collection}/{field}" not in found
    ]
    if different:
        shown = ", ".join(different[:5]) + (f" and {len(different) - 5} more" if len(different) > 5 else "")
        advice = "terraform apply; or by hand, from runner/stores: firebase deploy --only firestore"
        return Check("indexed fields", False, f"not as in firestore.indexes.json: {shown}", advice)
    return Check("indexed fields", True, "as in firestore.indexes.json")


def _orders(field: Mapping[str, Any]) -> Set[str]:
    indexes = field.get("indexConfig", {}).get("indexes", ())
    return {str(part["order"]) for index in indexes for part in index.get("fields", ()) if "order" in part}


def _field_name(field: Mapping[str, Any]) -> str:
    """`collection/field` of `.../collectionGroups/<collection>/fields/<field>`."""
    collection, _, name = str(field.get("name", "")).rpartition("/collectionGroups/")[2].partition("/fields/")
    return f"{collection}/{name}"


def _indexes(asking: Asking, place: str, database: str) -> Iterator[Check]:
    answer = asking.apis.ask_all("firestore", f"{place}/collectionGroups/-/indexes?pageSize=500", "indexes")
    if not answer.good:
        yield refused(answer, Thing("indexes", "firestore", _VIEWER), asking.project)
        return
    found = {_index_key(one): str(one.get("state", "")) for one in items(answer, "indexes")}
    wanted = wanted_things()["firestore"]["indexes"]
    missing = [one for one in wanted.values() if found.get(_wanted_key(one)) != "READY"]
    for one in missing:
        state = found.get(_wanted_key(one), "")
        if state == "CREATING":
            yield Check(f"index on {one['collection']}", None, "is being built", "look again in some minutes")
        else:
            why = f"is in the state {state}" if state else "is missing: queries for one bot fail"
            yield Check(f"index on {one['collection']}", False, why, _index_command(asking, database, one))
    if not missing:
        yield Check("indexes", True, f"{len(wanted)} are ready")


def _index_key(index: Mapping[str, Any]) -> str:
    collection = str(index.get("name", "")).rpartition("/collectionGroups/")[2].partition("/")[0]
    fields = [one for one in index.get("fields", ()) if one.get("fieldPath") != "__name__"]
    return " ".join([collection, *(f"{one.get('fieldPath')}:{one.get('order')}" for one in fields)])


def _wanted_key(index: Mapping[str, Any]) -> str:
    return " ".join([index["collection"], *(f"{one['field']}:{one['order']}" for one in index["fields"])])


def _index_command(asking: Asking, database: str, index: Mapping[str, Any]) -> str:
    fields = " ".join(
        f"--field-config=field-path={one['field']},order={one['order'].lower()}" for one in index["fields"]
    )
    where = f"--database='{database}' --project={asking.project}"
    return f"gcloud firestore indexes composite create --collection-group={index['collection']} {fields} {where}"


def _permissions(asking: Asking, place: str, database: str) -> Check:
    """Try it, since a role on one database is not told by the project: read, and update what cannot be there.

    Google refuses who may not before it finds nothing to update. Nothing is written.
    """
    name = f"{place.removeprefix('v1/')}/documents/{_PROBE}"
    update = {"update": {"name": name, "fields": {}}, "currentDocument": {"exists": True}}
    role = "roles/datastore.viewer" if asking.purpose in (Purpose.READ, Purpose.EXPORT) else "roles/datastore.user"
    answers = [asking.apis.ask("firestore", f"v1/{name}")]
    if role == "roles/datastore.user":
        answers.append(asking.apis.ask("firestore", f"{place}/documents:commit", {"writes": [update]}))
    for answer in answers:
        if answer.status == 403 and not answer.is_disabled:
            grant = f"gcloud projects add-iam-policy-binding {asking.project} --member={member(asking)} --role={role}"
            found = f"{asking.apis.identity} is not let in: {answer.message}"
            return Check("roles on the database", False, found, grant)
        if not answer.good and answer.status not in (400, 404, 409):
            return refused(answer, Thing("roles on the database", "firestore", role), asking.project)
    can = "reading and writing" if len(answers) > 1 else "reading"
    return Check("roles on the database", True, f"{can} {database} is allowed")

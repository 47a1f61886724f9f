"""The warehouse: where its dataset lies, whether its tables are as the code has them, and what one may do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from runner.operations.checks import Check
from runner.operations.cloud_checks.asking import (
    EMULATED,
    Asking,
    Purpose,
    Thing,
    granted,
    items,
    member,
    path,
    refused,
    wanted_things,
)

_ALIASES = {"INT64": "INTEGER", "FLOAT64": "FLOAT", "BOOL": "BOOLEAN"}
_VIEWER = "roles/bigquery.metadataViewer"
_READ, _WRITE = "bigquery.tables.getData", "bigquery.tables.updateData"
_NEEDED: Mapping[Purpose, tuple[str, ...]] = {Purpose.READ: (_READ,), Purpose.EXPORT: (_READ, _WRITE)}
_GIVES = {Purpose.READ: "roles/bigquery.dataViewer"}
_Wanted = Mapping[str, Mapping[str, Any]]


def look(asking: Asking, dataset: str, bucket: str) -> Iterator[Check]:
    """The dataset and everything in it. `bucket` is one of the archive's, from which it is loaded."""
    place = path("bigquery", "v2", "projects", asking.project, "datasets", dataset)
    answer = asking.apis.ask("bigquery", place)
    create = f"bq mk --dataset --location=REGION {asking.project}:{dataset}"
    if not answer.good:
        yield refused(answer, Thing("dataset", "bigquery", _VIEWER, create), asking.project)
    else:
        yield _location(asking, dataset, str(answer.body.get("location", "")), bucket)
    if answer.status == 404:
        return
    present = asking.apis.ask_all("bigquery", f"{place}/tables?maxResults=1000", "tables")
    if not present.good:
        yield refused(present, Thing("tables", "bigquery", _VIEWER), asking.project)
        return
    names = {str(one.get("tableReference", {}).get("tableId", "")) for one in items(present, "tables")}
    yield from _tables(asking, place, names)
    yield from _permissions(asking, place, dataset, names)


def _location(asking: Asking, dataset: str, location: str, bucket: str) -> Check:
    """Loads within one place cost nothing; a dataset cannot move."""
    answer = asking.apis.ask("storage", path("storage", "v1", "b", bucket))
    other = str(answer.body.get("location", "")) if answer.good else ""
    if other and location and not _is_near(location.lower(), other.lower()):
        advice = "make the dataset anew beside the buckets, then `tron restore --warehouse`"
        return Check("dataset", False, f"{dataset} lies in {location}, and the buckets in {other}", advice)
    return Check("dataset", True, f"{dataset} in {location or '?'}")


def _is_near(dataset: str, bucket: str) -> bool:
    """Whether BigQuery loads from a bucket: they lie in the same place, or one lies in the continent of the other."""
    continents = {"us": "us", "eu": "europe", "asia": "asia"}
    return dataset == bucket or any(
        large in continents and small.partition("-")[0] == continents[large]
        for large, small in ((dataset, bucket), (bucket, dataset))
    )


def _tables(asking: Asking, place: str, names: set[str]) -> Iterator[Check]:
    wanted: _Wanted = wanted_things()["warehouse"]["tables"]
    good = 0
    for name, said in wanted.items():
        if name in names:
            problems = list(_table(asking, place, name, said))
            good += not problems
            yield from problems
    absent = [name for name in wanted if name not in names]
    if good + len(absent) == len(wanted):
        later = f"; {len(absent)} are made when something is first loaded" if absent else ""
        yield Check("tables", True, f"{good} are as they should be{later}")


def _table(asking: Asking, place: str, name: str, said: Mapping[str, Any]) -> Iterator[Check]:
    """What is wrong with a table. A column that is missing is made by the next load: columns are only ever added."""
    check = f"table {name}"
    answer = asking.apis.ask("bigquery", f"{place}/tables/{path(name)}")
    if not answer.good:
        yield refused(answer, Thing(check, "bigquery", _VIEWER), asking.project)
        return
    fields = answer.body.get("schema", {}).get("fields", ())
    there = {str(field["name"]): _type(field) for field in fields}
    wrong = [
        f"{column['name']} is {there[column['name']]}, not {_type(column)}"
        for column in said["columns"]
        if there.get(column["name"], _type(column)) != _type(column)
    ]
    required = [str(field["name"]) for field in fields if field.get("mode", "NULLABLE") == "REQUIRED"]
    wrong += [f"{column} must have a value, which a record may lack" for column in required]
    if wrong:
        yield Check(check, False, "; ".join(wrong), f"bq rm -t it, then `tron restore --warehouse` fills {name} anew")
    yield from _layout(asking, check, answer.body, said)


def _layout(asking: Asking, check: str, body: Mapping[str, Any], said: Mapping[str, Any]) -> Iterator[Check]:
    if asking.apis.is_emulated("bigquery"):
        return
    day = body.get("timePartitioning", {}).get("field", "")
    cluster = list(body.get("clustering", {}).get("fields", ()))
    if day != said["day"] or cluster != said["cluster"]:
        found = f"is by day of {day or 'nothing'} and clustered by {', '.join(cluster) or 'nothing'}"
        wanted = f"{said['day']} and {', '.join(said['cluster'])}"
        yield Check(check, False, f"{found}, not {wanted}: queries read, and bill, all of it", "make the table anew")


def _type(field: Mapping[str, Any]) -> str:
    """A column's type, whichever of its two names it is called by, with its digits."""
    name = str(field.get("type", ""))
    digits = f"({field['precision']}, {field.get('scale', 0)})" if field.get("precision") else ""
    return _ALIASES.get(name, name) + digits


def _permissions(asking: Asking, place: str, dataset: str, names: set[str]) -> Iterator[Check]:
    """BigQuery tells permissions by table, so one of ours stands for all. Queries need one on the project, too."""
    wanted = asking.permissions(_NEEDED)
    if asking.apis.is_emulated("bigquery"):
        yield Check("roles on the dataset", True, EMULATED)
        return
    if not wanted:
        return
    ours = sorted(names & set(wanted_things()["warehouse"]["tables"]))
    role = _GIVES.get(asking.purpose, "roles/bigquery.dataEditor")
    if ours:
        advice = f"bq add-iam-policy-binding --member={member(asking)} --role={role} {asking.project}:{dataset}"
        thing = Thing("roles on the dataset", "bigquery", _VIEWER)
        yield granted(asking, f"{place}/tables/{path(ours[0])}:testIamPermissions", wanted, thing, advice)
    question = f"{path('v3', 'projects', asking.project)}:testIamPermissions"
    advice = f"gcloud projects add-iam-policy-binding {asking.project} --member={member(asking)} "
    advice += "--role=roles/bigquery.jobUser"
    thing = Thing("roles on the project", "cloudresourcemanager", "roles/browser")
    yield granted(asking, question, ("bigquery.jobs.create",), thing, advice)

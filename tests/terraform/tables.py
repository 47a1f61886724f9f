"""The tables of terraform/README.md, made from what they describe: `python -m tests.terraform.tables` writes them.

It needs a provider or the gate (`TERRAFORM_GATE`), because who may do what is read from the plan of the example.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

from tests.terraform.gate import ADDONS_SCHEMA, EXAMPLE, FOLDER, SCHEMAS, Json, with_gate, with_provider
from tests.terraform.policy import resources

README = FOLDER / "README.md"
GENERATED = ("buckets", "firestore", "stream", "warehouse")
_BLOCK = re.compile(r'^(variable|output) "(\w+)" \{\n(.*?)^\}', re.MULTILINE | re.DOTALL)
_HEREDOC = re.compile(r"<<-EOT\n(.*?)\n\s*EOT", re.DOTALL)
_DOMAIN = "@demo-tron.iam.gserviceaccount.com"
_AGENTS = {
    "service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com": "Google's Pub/Sub",
    "service-123456789012@gcp-sa-iap.iam.gserviceaccount.com": "Google's proxy",
    "group:traders@example.com": "people",
    "group:operators@example.com": "operators",
}

Grant = tuple[str, str, str]
"""An identity, a role, and what it is granted on."""


def blocks(kind: str, path: Path) -> dict[str, str]:
    """The bodies of variables or outputs by name, in their order."""
    return {name: body for found, name, body in _BLOCK.findall(path.read_text()) if found == kind}


def attribute(body: str, name: str) -> str:
    """An attribute of a block as it is written, or nothing; what spans lines is cut to its first."""
    found = re.search(rf"^  {name}\s*= (.*)$", body, re.MULTILINE)
    if not found:
        return ""
    if found[1].startswith("<<-"):
        heredoc = _HEREDOC.search(body)
        return " ".join(heredoc[1].split()) if heredoc else ""
    return found[1].strip('"') if name == "description" else found[1]


def variables_table(path: Path) -> str:
    rows = ["| variable | type | default | meaning |", "|---|---|---|---|"]
    for name, body in blocks("variable", path).items():
        default = attribute(body, "default")
        wanted = "generated" if name in GENERATED else f"`{default}`" if default else "**required**"
        kind = attribute(body, "type")
        kind = kind.replace("({", "").replace("object(", "object") + ("" if kind.count("(") == kind.count(")") else ")")
        kind = kind.replace("map(object)", "map of objects").replace("object)", "object")
        rows.append(f"| `{name}` | {kind} | {wanted} | {attribute(body, 'description')} |")
    return "\n".join(rows)


def outputs_table(path: Path) -> str:
    rows = ["| output | meaning |", "|---|---|"]
    rows += [f"| `{name}` | {attribute(body, 'description')} |" for name, body in blocks("output", path).items()]
    return "\n".join(rows)


def grants(plan: Json) -> set[Grant]:
    """Everything that the plan grants. All bots are one bot; what only those on a machine get is said so."""
    found = set(_raw_grants(plan))
    everyone = {(role, place) for identity, role, place in found if identity == "bot-breakout"}
    told: set[Grant] = set()
    for identity, role, place in found:
        if identity.startswith("bot-"):
            special = "" if (role, place) in everyone or place == "its secrets" else ", on a machine"
            identity = f"bot-NAME{special}"
        told.add((identity, role, re.sub(r"account bot-\w+", "account bot-NAME", place)))
    return told


def _raw_grants(plan: Json) -> Iterator[Grant]:
    types = {resource["address"]: resource["type"] for resource in plan["planned_values"]["root_module"]["resources"]}
    for address, values in resources(plan):
        if "_iam_member" in types[address]:
            member = values["member"]
            identity = _AGENTS.get(
                member.removeprefix("serviceAccount:"), member.removeprefix("serviceAccount:").removesuffix(_DOMAIN)
            )
            role = values["role"].rpartition("/")[2] if values["role"].startswith("projects/") else values["role"]
            yield identity, role, _place(types[address], values)


def _place(kind: str, values: Mapping[str, Json]) -> str:
    """What a role is granted on, in words."""
    if kind == "google_project_iam_member":
        titles = [condition["title"] for condition in values["condition"]]
        return f"project, only {titles[0].replace('-', ' ')}" if titles else "project"
    named = {
        "google_artifact_registry_repository_iam_member": ("repository", "repository"),
        "google_billing_account_iam_member": ("billing account", "billing_account_id"),
        "google_bigquery_dataset_iam_member": ("dataset", "dataset_id"),
        "google_bigquery_table_iam_member": ("table", "table_id"),
        "google_cloud_run_v2_service_iam_member": ("service", "name"),
        "google_iap_web_cloud_run_service_iam_member": ("proxy of", "cloud_run_service_name"),
        "google_pubsub_subscription_iam_member": ("subscription", "subscription"),
        "google_pubsub_topic_iam_member": ("topic", "topic"),
        "google_storage_bucket_iam_member": ("bucket", "bucket"),
    }
    if kind == "google_secret_manager_secret_iam_member":
        return "its secrets"
    if kind == "google_service_account_iam_member":
        return "account"
    word, attribute_name = named[kind]
    only = [f" ({condition['title'].replace('-', ' ')})" for condition in values.get("condition") or ()]
    return "".join([word, " ", str(values[attribute_name]).removeprefix("acme-tron-"), *only])


def accounts_of(plan: Json) -> set[Grant]:
    """Grants on service accounts: their names are known only by the address of the grant."""
    found: set[Grant] = set()
    for address, values in resources(plan, "google_service_account_iam_member"):
        (key,) = re.findall(r'\["(.*)"\]', address)
        identity = values["member"].removeprefix("serviceAccount:")
        name = re.sub(r"^bot-.*", "bot-NAME", key.partition("/")[0])
        found.add((_AGENTS.get(identity, identity.removesuffix(_DOMAIN)), values["role"], f"account {name}"))
    return found


def all_grants(plan: Json) -> set[Grant]:
    return {grant for grant in grants(plan) if grant[2] != "account"} | accounts_of(plan)


def access_table(plan: Json) -> str:
    together: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for identity, role, place in sorted(all_grants(plan)):
        together[identity, role].append(place)
    rows = ["| identity | role | on |", "|---|---|---|"]
    rows += [
        f"| {identity} | `{role}` | {', '.join(places)} |" for (identity, role), places in sorted(together.items())
    ]
    return "\n".join(rows)


def read_access_table(text: str) -> set[Grant]:
    """The grants that a README's table tells."""
    found: set[Grant] = set()
    for line in section(text, "access").splitlines()[2:]:
        identity, role, places = (cell.strip(" `") for cell in line.strip("|").split(" | "))
        found |= {(identity, role, place) for place in re.split(r", (?!only )", places)}
    return found


def section(text: str, name: str) -> str:
    found = re.search(rf"<!-- {name} -->\n(.*?)\n<!-- /{name} -->", text, re.DOTALL)
    return found[1] if found else ""


def with_section(text: str, name: str, content: str) -> str:
    parts = re.split(rf"(<!-- /?{name} -->)", text)
    assert len(parts) == 5, f"{README} has no place for {name}"
    return "".join([*parts[:2], f"\n{content}\n", *parts[3:]])


def written(text: str, plan: Json) -> str:
    """The README with every table as it should be."""
    tables = {
        "variables": variables_table(FOLDER / "variables.tf"),
        "outputs": outputs_table(FOLDER / "outputs.tf"),
        "access": access_table(plan),
        "addons-variables": variables_table(FOLDER / "addons" / "variables.tf"),
    }
    for name, content in tables.items():
        text = with_section(text, name, content)
    return text


def main() -> None:
    with ExitStack() as serving:
        gate = os.environ.get("TERRAFORM_GATE", "")
        terraform = serving.enter_context(with_gate(Path(gate), Path(gate) / SCHEMAS[-1])) if gate else with_provider()
        if terraform is None:
            sys.exit("there is neither a provider nor a gate: set TERRAFORM_GATE")
        plan = terraform.plan(FOLDER, json.loads(EXAMPLE.read_text()))
    README.write_text(written(README.read_text(), plan))
    print(f"wrote the tables of {README.name}; the addons' types are in {ADDONS_SCHEMA.name}")


if __name__ == "__main__":
    main()

"""The bill of materials says what the lock file says, package by package and hash by hash."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


@pytest.fixture(scope="module")
def bill() -> dict[str, Any]:
    done = subprocess.run(["make", "sbom"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads((ROOT / "dist" / "sbom.cdx.json").read_text()))


def locked() -> dict[tuple[str, str], set[str]]:
    """The hashes of every package of the image, by name and version."""
    lines = (ROOT / "requirements-gcp.txt").read_text().replace("\\\n", " ").splitlines()
    found = {}
    for line in lines:
        if line and not line.lstrip().startswith("#"):
            pin = Requirement(HASH.sub("", line))
            (version,) = (specifier.version for specifier in pin.specifier)
            found[canonicalize_name(pin.name), version] = set(HASH.findall(line))
    return found


def test_every_locked_package_is_in_the_bill_with_its_hashes_and_nothing_else_is(bill: dict[str, Any]) -> None:
    listed = {
        (canonicalize_name(one["name"]), one["version"]): {
            digest["content"] for reference in one["externalReferences"] for digest in reference["hashes"]
        }
        for one in bill["components"]
    }

    assert listed == locked()


def test_the_bill_is_cyclonedx_and_names_what_it_is_the_bill_of(bill: dict[str, Any]) -> None:
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert bill["metadata"]["component"]["name"] == "tron-runner"
    assert all(one["purl"].startswith("pkg:pypi/") for one in bill["components"])


def test_the_same_lock_gives_the_same_bill(bill: dict[str, Any]) -> None:
    subprocess.run(["make", "sbom"], cwd=ROOT, capture_output=True, check=True)

    assert json.loads((ROOT / "dist" / "sbom.cdx.json").read_text()) == bill

"""Run a command with all four emulators beside it, and with the stores of the settings on them.

    python -m tests.emulators tron run --once

Everything lies in a demo project that is made for this one call, and is gone afterwards.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Mapping
from pathlib import Path

from tests.emulators.emulator import EmulatorMissing
from tests.emulators.programs import PROGRAMS
from tests.emulators.shared import SharedEmulators

DATASET = "tron"


def addresses(emulators: SharedEmulators) -> dict[str, str]:
    """The variables by which the official clients find the emulators."""
    found = emulators.get_all(PROGRAMS)
    return {
        "FIRESTORE_EMULATOR_HOST": found["firestore"].host,
        "PUBSUB_EMULATOR_HOST": found["pubsub"].host,
        "STORAGE_EMULATOR_HOST": found["gcs"].url,
        "BIGQUERY_EMULATOR_HOST": found["bigquery"].url,
    }


def stores(project: str) -> dict[str, str]:
    """The settings that put every store on Google Cloud."""
    return {
        "GOOGLE_CLOUD_PROJECT": project,
        "TRON_LIVE_STORE": f"firestore://{project}/(default)",
        "TRON_ARCHIVE": f"gs://{project}",
        "TRON_STREAM": f"pubsub://{project}",
        "TRON_WAREHOUSE": f"bigquery://{project}/{DATASET}",
    }


def prepare(project: str) -> None:
    """Make what Terraform makes in production: buckets, topic, dataset."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import bigquery

    from runner.logging.retention import BUCKETS
    from runner.stores.gcs import GcsArchive
    from runner.stores.pubsub import PubsubStream

    archive = GcsArchive(project, project=project)
    archive.ensure(BUCKETS)
    archive.close()
    stream = PubsubStream(project)
    stream.ensure(["tail"])
    stream.close()
    client = bigquery.Client(project=project, credentials=AnonymousCredentials())
    client.create_dataset(DATASET)
    client.close()


def run(command: list[str], home: Mapping[str, str]) -> int:
    """Run the command on emulators of its own; returns its exit status."""
    with tempfile.TemporaryDirectory(prefix="tron-stack-") as folder:
        emulators = SharedEmulators(Path(folder), os.getpid())
        try:
            project = f"demo-{uuid.uuid4().hex[:12]}"
            os.environ.update(addresses(emulators) | stores(project) | home)
            prepare(project)
            return subprocess.run(command, check=False).returncode
        finally:
            emulators.stop()


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="tron-home-") as home:
        try:
            sys.exit(run(sys.argv[1:], {"TRON_HOME": home}))
        except EmulatorMissing as missing:
            sys.exit(f"error: {missing}")


if __name__ == "__main__":
    main()

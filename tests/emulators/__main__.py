"""Run a command with all four emulators beside it, and with the stores of the settings on them.

    python -m tests.emulators tron run --once

Everything lies in a demo project that is made for this one call, and is gone afterwards.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

import psutil

from tests.emulators.emulator import EmulatorMissing
from tests.emulators.programs import PROGRAMS
from tests.emulators.shared import SharedEmulators

DATASET = "tron"
_SECONDS_TO_END = 15.0


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


def run(command: list[str], home: Path) -> int:
    """Run the command on emulators of its own; returns its exit status. Signals are for the command to obey."""
    with tempfile.TemporaryDirectory(prefix="tron-stack-") as folder:
        emulators = SharedEmulators(Path(folder), os.getpid())
        try:
            project = f"demo-{uuid.uuid4().hex[:12]}"
            os.environ.update(addresses(emulators) | stores(project) | {"TRON_HOME": str(home)})
            prepare(project)
            process = subprocess.Popen(command)
            signal.signal(signal.SIGINT, lambda *_: None)
            signal.signal(signal.SIGTERM, lambda *_: process.terminate())
            status = process.wait()
            end_shippers(home)
            sys.stdout.write(f"{project}, its home and its emulators are gone now: what came next above needs others\n")
            return status
        finally:
            emulators.stop()


def end_shippers(home: Path) -> None:
    """A shipper outlives the bots that started it, and must not outlive its stores."""
    found = [process for process in psutil.process_iter() if _ships_for(process, home)]
    for process in found:
        process.terminate()
    _, still_there = psutil.wait_procs(found, timeout=_SECONDS_TO_END)
    for process in still_there:
        process.kill()


def _ships_for(process: psutil.Process, home: Path) -> bool:
    try:
        return "ship" in process.cmdline() and process.environ().get("TRON_HOME") == str(home.resolve())
    except psutil.Error:
        return False


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="tron-home-") as home:
        try:
            sys.exit(run(sys.argv[1:], Path(home).resolve()))
        except EmulatorMissing as missing:
            sys.exit(f"error: {missing}")


if __name__ == "__main__":
    main()

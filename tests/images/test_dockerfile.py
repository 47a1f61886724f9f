"""The image: what its file says, and its steps done again in a clean folder. No image is built here."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.images.dockerfile import Replay, Stage, base_python, context, is_public, parse

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "Dockerfile").read_text()
ARGUMENTS, BUILD, FINAL = parse(TEXT)
NOBODY = 65532
TOOLS = ("pip", "setuptools", "wheel", "uv")


def test_hadolint_finds_nothing() -> None:
    linter = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([linter, ROOT / "Dockerfile"], capture_output=True, text=True, check=False)

    assert done.stdout + done.stderr == ""
    assert done.returncode == 0


@pytest.mark.parametrize("stage", [BUILD, FINAL], ids=["build", "final"])
def test_every_stage_comes_from_the_base_that_the_digest_names(stage: Stage) -> None:
    assert re.fullmatch(r"[\w.:/-]+@\$\{PYTHON_DIGEST(:\?[^}\s]+)?\}", stage.base)


def test_a_build_without_a_digest_ends_with_words_that_say_so() -> None:
    assert [one.rest for one in ARGUMENTS.instructions] == ["PYTHON_DIGEST"]
    assert "PYTHON_DIGEST:?is-missing" in BUILD.base


@pytest.mark.parametrize("digest", ["", "latest", "sha256:abc", "sha256:" + "A" * 64])
def test_make_builds_no_image_from_a_base_that_is_not_named_by_digest(digest: str) -> None:
    done = subprocess.run(
        ["make", "image", f"PYTHON_DIGEST={digest}"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 2
    assert "PYTHON_DIGEST must be the digest of the base image" in done.stderr


def test_the_process_is_tron_itself_and_nobody_special() -> None:
    (user,), (entry,), (command,) = FINAL.all("USER"), FINAL.all("ENTRYPOINT"), FINAL.all("CMD")

    assert user.rest == f"{NOBODY}:{NOBODY}"
    assert entry.words == ["tron"]
    assert command.words == ["run"]
    assert entry.rest.startswith("[")
    assert command.rest.startswith("[")


def test_the_image_says_what_it_is() -> None:
    labels = dict(word.split("=", 1) for one in FINAL.all("LABEL") for word in one.words)

    for name in ("title", "description", "licenses", "version", "revision", "base.name", "base.digest"):
        assert labels[f"org.opencontainers.image.{name}"]
    assert labels["org.opencontainers.image.base.name"].endswith(FINAL.base.partition("@")[0])


def test_only_what_the_image_is_made_of_reaches_the_builder(tmp_path: Path) -> None:
    source = tmp_path / "source"
    wanted = ("LICENSE", "README.md", "pyproject.toml", "requirements-gcp.txt", "runner/a.py", "runner/static/b.js")
    others = (
        ".env",
        ".git/config",
        "tron.toml",
        "key.json",
        "tests/a.py",
        "terraform/x.tf",
        "runner/__pycache__/a.pyc",
        ".tron/journal/run.json",
    )
    for name in (*wanted, *others):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).touch()
    shutil.copyfile(ROOT / ".dockerignore", source / ".dockerignore")

    context(source, tmp_path / "context")

    found = {
        str(path.relative_to(tmp_path / "context")) for path in (tmp_path / "context").rglob("*") if path.is_file()
    }
    assert found == set(wanted)


@dataclass(frozen=True, slots=True)
class Image:
    """The file system of an image, and how to run something in it."""

    root: Path
    place: Path
    environ: dict[str, str]

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run the entry point with these arguments, as the image's user where this one may become it."""
        return subprocess.run(
            [str(self.root / "app/bin/tron"), *words],
            cwd=self.place,
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            user=NOBODY if self.by_nobody else None,
            group=NOBODY if self.by_nobody else None,
            extra_groups=[] if self.by_nobody else None,
        )

    @property
    def by_nobody(self) -> bool:
        """Whether the image's user can be had: root is needed, and a Python that others may run."""
        return os.geteuid() == 0 and is_public(Path(base_python()))

    def contents(self) -> set[Path]:
        return {path for path in self.root.rglob("*") if "var/lib/tron" not in path.as_posix()}


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    """The steps of the Dockerfile, done again where every user may look: pytest's own folders are private."""
    with tempfile.TemporaryDirectory(prefix="tron-image-") as folder:
        Path(folder).chmod(0o755)
        yield built(Replay(ROOT, Path(folder)))


def built(replay: Replay) -> Image:
    replay.stage(BUILD)
    replay.keep(BUILD)
    environ = replay.stage(FINAL)
    environ["TRON_LINGER"] = "0.2"  # in a container, everything ends with process 1
    return Image(replay.root, Path(replay.placed(FINAL.all("WORKDIR")[-1].rest)), environ)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_steps_of_the_dockerfile_make_a_tron_that_runs(image: Image) -> None:
    before = image.contents()

    version, run = image("--version"), image("run", "--once", "--no-dashboard", "--symbols", "IBM")

    assert version.stdout.startswith("tron "), version.stderr
    assert "verify: complete" in run.stdout, run.stdout + run.stderr
    assert (image.root / "var/lib/tron/journal").is_dir()
    assert image.contents() == before, "a run writes nothing but the home"
    assert not image.by_nobody or (image.root / "var/lib/tron/journal").stat().st_uid == NOBODY


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_no_tool_that_installs_or_builds_is_left_in_the_image(image: Image) -> None:
    found = [path.name for path in image.root.glob("app/lib/python*/site-packages/*")]
    base = [path.name for path in image.root.with_name("base-final").glob("lib/python*/site-packages/*")]

    assert "google" in found
    assert [name for name in found + base if name.partition("-")[0].lower() in TOOLS] == []
    assert not list((image.root / "app/bin").glob("pip*"))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_image_knows_the_stores_of_google_cloud(image: Image) -> None:
    image.environ.update(TRON_ARCHIVE="gs://acme", NO_GCE_CHECK="true", HOME=str(image.place))
    done = image("ship")

    assert "there are no Google Cloud credentials" in done.stderr

"""The archive that Cloud Functions are built from: its content decides about its name and bytes, and nothing else."""

from __future__ import annotations

import hashlib
import io
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from scripts.functions_archive import archive, write

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The smallest project that can be packed."""
    root = tmp_path / "project"
    for name in ("main.py", "requirements-functions.txt", "functions/a.py", "runner/b.py", "runner/cli/c.toml"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"# {name}\n")
    return root


def names(content: bytes) -> list[str]:
    return zipfile.ZipFile(io.BytesIO(content)).namelist()


def test_the_same_files_give_the_same_bytes_whenever_and_by_whom_they_were_written(project: Path) -> None:
    before = archive(project)
    for path in project.rglob("*.py"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
        path.chmod(0o600)

    assert archive(project) == before


def test_the_name_is_the_hash_of_the_content(project: Path, tmp_path: Path) -> None:
    path = write(project, tmp_path / "dist")

    assert path.relative_to(tmp_path / "dist").as_posix() == f"functions/{path.stem}.zip"
    assert path.stem == hashlib.sha256(path.read_bytes()).hexdigest()

    (project / "runner" / "b.py").write_text("# changed\n")
    assert write(project, tmp_path / "dist").stem != path.stem


def test_only_code_is_packed(project: Path) -> None:
    for name in ("runner/__pycache__/b.cpython-311.pyc", ".env", "tests/test_a.py", "tron.toml", "functions/.DS_Store"):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text("secret")

    assert names(archive(project)) == [
        "functions/a.py",
        "main.py",
        "requirements.txt",
        "runner/b.py",
        "runner/cli/c.toml",
    ]


@pytest.mark.parametrize("name", ["main.py", "requirements-functions.txt"])
def test_a_missing_part_is_named(project: Path, name: str) -> None:
    (project / name).unlink()

    with pytest.raises(FileNotFoundError, match=re.escape(name)):
        archive(project)


def test_the_archive_of_this_project_is_what_a_function_needs_and_can_be_imported(tmp_path: Path) -> None:
    if not (ROOT / "main.py").exists():
        pytest.skip("main.py is not written yet")
    path = write(ROOT, tmp_path)
    zipfile.ZipFile(path).extractall(tmp_path / "unpacked")
    entries = re.findall(r'entry_point\s*=\s*"(\w+)"', _terraform())

    code = (
        f"import main; missing = [name for name in {entries!r} if not hasattr(main, name)]; assert not missing, missing"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(tmp_path / 'unpacked')!r}); {code}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "--hash=sha256:" in (tmp_path / "unpacked" / "requirements.txt").read_text()


def _terraform() -> str:
    file = ROOT / "terraform" / "functions.tf"
    return file.read_text() if file.exists() else ""

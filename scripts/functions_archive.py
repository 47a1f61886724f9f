"""Write the archive that Cloud Functions are built from, named by what is in it.

    python scripts/functions_archive.py dist      writes dist/functions/<sha256>.zip and prints its path

It holds `main.py`, `functions/` and `runner/` side by side, and the lock file as `requirements.txt`. The same files
give the same bytes on every machine: names in order, one date, one mode, nothing of the file system. So the name
changes when the content does, and Terraform deploys when the name changes.
"""

from __future__ import annotations

import hashlib
import io
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("functions", "runner")
LOCK = "requirements-functions.txt"
_FIRST_DAY = (1980, 1, 1, 0, 0, 0)
_PLAIN_FILE = 0o100644 << 16
_UNIX = 3
_LEFT_OUT = ("__pycache__", ".mypy_cache", ".DS_Store")


def files(root: Path) -> Iterator[tuple[str, bytes]]:
    """Names in the archive and their content, in order of name. Raises `FileNotFoundError` for what must be there."""
    wanted = {"main.py": root / "main.py", "requirements.txt": root / LOCK}
    for package in PACKAGES:
        if not (root / package).is_dir():
            raise FileNotFoundError(f"{root / package} is missing")
        wanted |= {path.relative_to(root).as_posix(): path for path in (root / package).rglob("*") if _is_wanted(path)}
    for name in sorted(wanted):
        yield name, wanted[name].read_bytes()


def archive(root: Path) -> bytes:
    """The archive as bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as target:
        for name, content in files(root):
            entry = zipfile.ZipInfo(name, _FIRST_DAY)
            entry.external_attr, entry.create_system = _PLAIN_FILE, _UNIX
            target.writestr(entry, content)
    return buffer.getvalue()


def write(root: Path, folder: Path) -> Path:
    """Write the archive into `folder`; returns its path, which below `folder` is its name in the source bucket."""
    content = archive(root)
    path = folder / "functions" / f"{hashlib.sha256(content).hexdigest()}.zip"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def _is_wanted(path: Path) -> bool:
    return path.is_file() and path.suffix != ".pyc" and not set(path.parts) & set(_LEFT_OUT)


if __name__ == "__main__":
    try:
        print(write(ROOT, Path(sys.argv[1] if len(sys.argv) > 1 else "dist")))
    except FileNotFoundError as error:
        sys.exit(f"the functions cannot be packed: {error}")

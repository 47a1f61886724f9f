"""`python -m benchmarks [name ...]`: runs the named measures, or all of them."""

from __future__ import annotations

import importlib
import platform
import sys
from datetime import UTC, datetime

from benchmarks.fresh import load

MEASURES = ("caller", "threads", "shipper", "sustained", "verify", "firestore", "compression", "coalescing", "exports")


def main(names: list[str]) -> None:
    unknown = set(names) - set(MEASURES)
    if unknown:
        raise SystemExit(f"there is no measure {', '.join(sorted(unknown))}; there are: {', '.join(MEASURES)}")
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {platform.platform()}, Python {platform.python_version()}")
    for name in names or MEASURES:
        print(f"\n{name}: {load()}")
        importlib.import_module(f"benchmarks.{name}").measure()


if __name__ == "__main__":
    main(sys.argv[1:])
